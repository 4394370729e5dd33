//! The command against a server without a guard: what is stored, what is said, how it ends.

#![expect(clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use std::{
    fs,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
};

use serde_json::Value;

/// A server on a directory of its own; ends with the test.
struct Server {
    process: Child,
    dir: tempfile::TempDir,
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// How a command ended.
struct Ended {
    code: Option<i32>,
    out: String,
    err: String,
}

impl Ended {
    fn json(&self) -> Value {
        serde_json::from_str(&self.out)
            .unwrap_or_else(|error| panic!("{error}: {}\n{}", self.out, self.err))
    }

    #[track_caller]
    fn with(self, code: i32) -> Ended {
        assert_eq!(self.code, Some(code), "stdout: {}\nstderr: {}", self.out, self.err);
        self
    }
}

fn command(home: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_hourgate"));
    command.env_clear().env("HOME", home).env("TZ", "Europe/Berlin").stdin(Stdio::null());
    command
}

fn ended(output: Output) -> Ended {
    Ended {
        code: output.status.code(),
        out: String::from_utf8(output.stdout).expect("UTF-8"),
        err: String::from_utf8(output.stderr).expect("UTF-8"),
    }
}

impl Server {
    fn start() -> Server {
        let dir = tempfile::tempdir().expect("a directory");
        let mut process = command(dir.path())
            .args(["serve", "--no-guard", "--listen", "127.0.0.1:0", "--data-dir"])
            .arg(dir.path().join("data"))
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("a server");
        let mut lines = BufReader::new(process.stderr.take().expect("stderr")).lines();
        let mut said = Vec::new();
        loop {
            let line = lines.next().and_then(Result::ok);
            let line = line.unwrap_or_else(|| panic!("no server: {}", said.join("\n")));
            if line.contains("ready") {
                break;
            }
            said.push(line);
        }
        // Reads on, so that the server never waits for us.
        std::thread::spawn(move || lines.for_each(drop));
        Server { process, dir }
    }

    fn profile(&self) -> PathBuf {
        self.dir.path().join("data/admin.json")
    }

    fn run(&self, args: &[&str]) -> Ended {
        let mut command = command(self.dir.path());
        command.env("HOURGATE_PROFILE", self.profile()).args(args);
        ended(command.output().expect("the command runs"))
    }

    fn protected() -> Server {
        let server = Server::start();
        server.run(&["add", "web-1", "10.0.0.4", "--os", "linux"]).with(0);
        let protect =
            ["protect", "web-1", "--allowed-sources", "203.0.113.0/24", "--timeout", "1s"];
        server.run(&protect).with(4);
        server
    }
}

#[test]
fn machines_are_added_shown_and_forgotten() {
    let server = Server::start();
    let added =
        server.run(&["add", "web-1", "10.0.0.4", "fd00::4", "--os", "linux"]).with(0).json();
    assert_eq!(added["name"], "web-1");
    assert_eq!(added["location"], "local");
    assert!(added["id"].as_str().expect("an id").contains("/resourceGroups/default/"));
    let register = ["vm", "register", "-g", "prod", "-n", "web-1", "--private-ip", "10.0.0.5"];
    server.run(&register).with(0);

    let list = server.run(&["vm", "list"]).with(0).json();
    assert_eq!(list.as_array().map(Vec::len), Some(2), "a list is a bare array");
    let prod = server.run(&["vm", "list", "-g", "prod", "--query", "[].name"]).with(0).json();
    assert_eq!(prod, serde_json::json!(["web-1"]));

    let ambiguous = server.run(&["vm", "show", "web-1"]).with(2);
    assert!(
        ambiguous.err.contains("-g prod") && ambiguous.err.contains("10.0.0.4"),
        "{}",
        ambiguous.err
    );
    let shown = server.run(&["vm", "show", "web-1", "-g", "prod"]).with(0).json();
    assert_eq!(shown["properties"]["privateAddresses"], serde_json::json!(["10.0.0.5"]));
    server.run(&["configure", "--defaults", "group=prod"]).with(0);
    let shown = server.run(&["vm", "show", "web-1"]).with(0).json();
    assert!(shown["id"].as_str().expect("an id").contains("/prod/"));

    let table = server.run(&["vm", "list", "-o", "table"]).with(0);
    assert!(table.out.starts_with("NAME"), "{}", table.out);
    assert!(table.out.contains("10.0.0.4, fd00::4"), "{}", table.out);
    let csv = server.run(&["vm", "list", "-o", "csv"]).with(0);
    assert!(csv.out.contains("\"10.0.0.4, fd00::4\""), "{}", csv.out);

    server.run(&["vm", "unregister", "web-1"]).with(0);
    server.run(&["vm", "show", "web-1", "-g", "prod"]).with(3);
    server.run(&["add", "web-2", "10.0.0.4"]).with(1);
    server.run(&["add", "web-2", "127.0.0.1"]).with(1);
}

#[test]
fn a_lock_that_nobody_observed_is_not_called_closed() {
    let server = Server::start();
    server.run(&["add", "web-1", "10.0.0.4", "--os", "linux"]).with(0);
    server.run(&["add", "web-2", "10.0.0.5"]).with(0);
    let stored = server.run(&["protect", "web-1", "--timeout", "1s"]).with(4);
    assert!(stored.err.contains("stored"), "{}", stored.err);
    let policy = stored.json();
    assert_eq!(policy["properties"]["provisioningState"], "Updating");
    let rule = &policy["properties"]["virtualMachines"][0]["ports"][0];
    assert_eq!(rule["number"], 22);
    assert_eq!(rule["maxRequestAccessDuration"], "PT3H");

    // A second VM leaves the first as it is.
    let second =
        ["protect", "web-2", "--ports", "22", "5985", "--max-duration", "2h", "--timeout", "1s"];
    server.run(&second).with(4);
    let shown = server.run(&["vm", "jit-policy", "show", "web-1"]).with(0).json();
    let vms = shown["properties"]["virtualMachines"].as_array().expect("VMs");
    assert_eq!(vms.len(), 2);
    assert_eq!(&vms[0]["ports"][0], rule);
    assert_eq!(vms[1]["ports"].as_array().map(Vec::len), Some(2));

    let table = server.run(&["vm", "jit-policy", "list", "-o", "table"]).with(0);
    assert!(
        table.out.contains("not yet observed") && !table.out.contains("closed"),
        "{}",
        table.out
    );

    server.run(&["vm", "unregister", "web-1"]).with(1);
    server.run(&["unprotect", "web-3"]).with(3);
    let given_back = server.run(&["unprotect", "web-1"]).with(4);
    assert!(given_back.err.contains("stay closed"), "{}", given_back.err);
    let left = server.run(&["vm", "jit-policy", "show", "web-2"]).with(0).json();
    assert_eq!(left["properties"]["virtualMachines"].as_array().map(Vec::len), Some(1));
    server.run(&["unprotect", "web-2"]).with(4);
    let list = server.run(&["vm", "jit-policy", "list"]).with(0).json();
    assert_eq!(list, serde_json::json!([]));
    let none = server.run(&["request", "web-1", "--source", "203.0.113.9"]).with(3);
    assert!(none.err.contains("hourgate protect web-1"), "{}", none.err);
}

#[test]
fn a_request_is_made_seen_and_closed() {
    let server = Server::protected();
    let bidi = "because\u{202e}txt\u{1b}[2J";
    let ask =
        ["request", "web-1", "--source", "203.0.113.9", "-d", "1h", "--reason", bidi, "--no-wait"];
    let asked = server.run(&ask).with(0);
    assert!(!asked.out.contains('\u{202e}') && !asked.out.contains('\u{1b}'), "{}", asked.out);
    let request = &asked.json()[0];
    assert_eq!(request["justification"], bidi);
    let id = request["id"].as_str().expect("an id").to_owned();
    let port = &request["virtualMachines"][0]["ports"][0];
    assert_eq!(port["number"], 22);
    assert_eq!(port["status"], "Initiating");

    let status = server.run(&["status"]).with(0).json();
    assert_eq!(status.as_array().map(Vec::len), Some(1));
    assert_eq!(status[0]["id"], id.as_str());
    let table = server.run(&["status", "-o", "table"]).with(0);
    for needed in ["web-1", "22", "203.0.113.9", "59 min", "opening", &id] {
        assert!(table.out.contains(needed), "{needed}: {}", table.out);
    }
    // Nobody started its guard, and why nothing opens is told without being asked.
    let told = format!("{}{}", table.out, table.err);
    assert!(told.contains("The guard `local` is not reached ("), "{told}");

    let closed = server.run(&["close", "web-1"]).with(0).json();
    assert_eq!(closed[0]["virtualMachines"][0]["ports"][0]["status"], "Revoked");
    server.run(&["close", &id]).with(0);
    assert_eq!(server.run(&["status"]).with(0).json(), serde_json::json!([]));
    let all = server.run(&["status", "--all"]).with(0).json();
    assert_eq!(all.as_array().map(Vec::len), Some(1));
    server.run(&["close", "web-1"]).with(3);
    server.run(&["close", "zzzzzz"]).with(3);
}

#[test]
fn what_is_granted_but_not_open_is_exit_4() {
    let server = Server::protected();
    let ask = ["request", "web-1", "--source", "203.0.113.9", "--timeout", "1s"];
    let granted = server.run(&ask).with(4);
    assert!(granted.err.contains("not observed"), "{}", granted.err);
    assert_eq!(granted.json()[0]["virtualMachines"][0]["ports"][0]["status"], "Initiating");
}

#[test]
fn a_planned_access_waits_for_nobody() {
    let server = Server::protected();
    let at = "2027-01-01T22:00:00Z";
    let ask =
        ["request", "web-1", "--source", "203.0.113.9", "--start", at, "-d", "2h", "-o", "table"];
    let planned = server.run(&ask);
    // Further ahead than anybody may plan, once the years pass: then it is refused, and says so.
    if planned.code == Some(0) {
        assert!(
            planned.out.contains("2027-01-01 23:00:00 (2027-01-01 22:00:00 UTC)"),
            "{}",
            planned.out
        );
        assert_eq!(server.run(&["status"]).with(0).json(), serde_json::json!([]));
    } else {
        planned.with(1);
    }
}

#[test]
fn refusals_say_every_reason() {
    let server = Server::protected();
    let ask = ["request", "web-1", "-p", "22,443", "--source", "198.51.100.1", "-d", "5h"];
    let refused = server.run(&ask).with(1);
    assert!(refused.out.is_empty(), "{}", refused.out);
    for needed in ["443", "198.51.100.1", "3 h"] {
        assert!(refused.err.contains(needed), "{needed}: {}", refused.err);
    }
    // The server sees loopback, which is nobody's own address.
    let own = server.run(&["request", "web-1"]).with(1);
    assert!(own.err.contains("127.0.0.1") || own.err.contains("::1"), "{}", own.err);
    assert_eq!(server.run(&["status", "--all"]).with(0).json(), serde_json::json!([]));
}

#[test]
fn who_i_am_and_whether_the_log_is_whole() {
    let server = Server::start();
    let whoami = server.run(&["whoami"]).with(0).json();
    assert_eq!(whoami["addressIsOwn"], false);
    let data = server.dir.path().join("data");
    let data = data.to_str().expect("UTF-8");
    let verdict = server.run(&["log", "verify", "--data-dir", data]).with(0).json();
    assert_eq!(verdict["ok"], true);
    assert_eq!(verdict["firstBad"], Value::Null);
    assert!(verdict["records"].as_u64().is_some_and(|records| records > 0), "{verdict}");
    server.run(&["clock", "accept", "--data-dir", data]).with(0);

    let before = fs::read(server.profile()).expect("a profile");
    server.run(&["admin", "rotate", "--data-dir", data]).with(0);
    assert_ne!(fs::read(server.profile()).expect("a profile"), before);
    server.run(&["whoami"]).with(0);
    let old = server.dir.path().join("old.json");
    fs::write(&old, before).expect("written");
    let old = server.run(&["whoami", "--profile", old.to_str().expect("UTF-8")]).with(1);
    assert!(old.err.contains("admin rotate"), "{}", old.err);
}

#[test]
fn the_profiles_folder_is_the_data_directory_where_none_is_named() {
    let mut server = Server::start();
    for args in [&["log", "verify"][..], &["clock", "accept"], &["admin", "rotate"]] {
        server.run(args).with(0);
    }
    server.run(&["whoami"]).with(0);
    server.process.kill().expect("killed");
    server.process.wait().expect("ended");
    assert_eq!(server.run(&["log", "verify"]).with(0).json()["ok"], true);

    // A copy of the profile leads nowhere by itself, and what is not there is not made.
    let copy = server.dir.path().join("copy");
    fs::create_dir(&copy).expect("a directory");
    fs::copy(server.profile(), copy.join("admin.json")).expect("copied");
    let profile = copy.join("admin.json");
    for words in ["log verify", "clock accept", "admin rotate"] {
        let mut args: Vec<&str> = words.split(' ').collect();
        args.extend(["--profile", profile.to_str().expect("UTF-8")]);
        let lost = server.run(&args).with(3);
        for looked in ["the profile's folder", "/copy", "the default"] {
            assert!(lost.err.contains(looked), "{looked}: {}", lost.err);
        }
        let named = ["--data-dir", copy.to_str().expect("UTF-8")];
        let none = server.run(&[&args[..], &named].concat()).with(3);
        assert!(none.err.contains("--data-dir: there is no"), "{}", none.err);
    }
    assert_eq!(fs::read_dir(&copy).expect("a directory").count(), 1);
}

#[test]
fn a_server_that_is_not_there_is_exit_6() {
    let mut server = Server::start();
    server.process.kill().expect("killed");
    server.process.wait().expect("ended");
    let failed = server.run(&["status"]).with(6);
    assert!(failed.err.contains("not reached"), "{}", failed.err);
    // What lies there can be verified without it.
    let data = server.dir.path().join("data");
    let verify = ["log", "verify", "--data-dir", data.to_str().expect("UTF-8")];
    assert_eq!(server.run(&verify).with(0).json()["ok"], true);
}

#[test]
fn without_a_server_the_command_says_how_to_get_one() {
    let home = tempfile::tempdir().expect("a directory");
    let missing = home.path().join("admin.json");
    let profile = ["status", "--profile", missing.to_str().expect("UTF-8")];
    let none = ended(command(home.path()).args(profile).output().expect("runs")).with(2);
    assert!(none.err.contains("hourgate serve"), "{}", none.err);
    let empty = home.path().to_str().expect("UTF-8");
    let verify = ["log", "verify", "--data-dir", empty];
    ended(command(home.path()).args(verify).output().expect("runs")).with(3);
    ended(command(home.path()).arg("nonsense").output().expect("runs")).with(2);
}

#[test]
fn a_configuration_is_tested() {
    let home = tempfile::tempdir().expect("a directory");
    let path = home.path().join("config.toml");
    let check = |text: &str| {
        fs::write(&path, text).expect("written");
        let path = path.to_str().expect("UTF-8");
        ended(command(home.path()).args(["config", "check", path]).output().expect("runs"))
    };
    let sound = check("shortest_access = \"PT3S\"\n").with(0).json();
    assert_eq!(sound["shortest_access"], "PT3S");
    let wrong = check("shortest_acess = \"PT3S\"\n").with(1);
    assert!(wrong.err.contains("shortest_acess"), "{}", wrong.err);
}

#[test]
fn a_database_that_was_edited_is_judged_and_not_only_refused() {
    let edits = [
        ("DROP TRIGGER log_is_not_cut; DELETE FROM personal; DELETE FROM log", Some(1), "record 1"),
        ("UPDATE head SET seal = zeroblob(32)", None, "from record"),
        ("UPDATE meta SET value = 'x' WHERE key = 'installation'", Some(1), "record 1"),
        ("UPDATE principal SET name = 'mallory'", None, "the rows beside it"),
        ("UPDATE vm SET location = 'elsewhere'", None, "the rows beside it"),
    ];
    for (sql, first_bad, said) in edits {
        let mut server = Server::protected();
        server.process.kill().expect("killed");
        server.process.wait().expect("ended");
        let data = server.dir.path().join("data");
        let db = rusqlite::Connection::open(data.join("hourgate.db")).expect("a database");
        db.execute_batch(sql).expect("edited");
        drop(db);
        for format in ["json", "table"] {
            let judged = server.run(&["log", "verify", "-o", format]).with(1);
            assert!(judged.err.contains(said), "{sql}: {}", judged.err);
            assert!(judged.err.contains("compare it with a backup"), "{sql}: {}", judged.err);
            if format == "table" {
                assert!(judged.out.contains("NO"), "{sql}: {}", judged.out);
                continue;
            }
            let verdict = judged.json();
            assert_eq!(verdict["ok"], false, "{sql}");
            if first_bad.is_some() {
                assert_eq!(verdict["firstBad"].as_u64(), first_bad, "{sql}");
            }
        }
        let refused = server.run(&["admin", "rotate"]).with(1);
        assert!(
            refused.err.contains("damaged") && refused.err.contains("backup"),
            "{}",
            refused.err
        );
    }
}

#[test]
fn roles_are_given_shown_and_taken() {
    let server = Server::start();
    let admin = server.run(&["whoami"]).with(0).json();
    let id = admin["id"].as_str().expect("an id");
    let create = ["role", "assignment", "create", "--assignee-object-id", id, "--role", "approver"];
    let given = server.run(&[&create[..], &["--for", "8h"]].concat()).with(0).json();
    assert!(given["properties"]["expiresOn"].is_string(), "{given}");

    let list = ["role", "assignment", "list", "--role", "approver"];
    let listed = server.run(&list).with(0).json();
    assert_eq!(listed.as_array().map(Vec::len), Some(1), "{listed}");
    assert_eq!(listed[0]["name"], given["name"]);

    let delete = ["role", "assignment", "delete", "--role", "approver"];
    let asked = server.run(&delete).with(2);
    assert!(asked.err.contains("--yes"), "{}", asked.err);
    server.run(&[&delete[..], &["--yes"]].concat()).with(0);
    assert_eq!(server.run(&list).with(0).json(), serde_json::json!([]));
    server.run(&[&delete[..], &["--yes"]].concat()).with(3);
    let unknown = server.run(&[&create[..4], &["nobody", "--role", "owner"]].concat());
    assert_eq!(unknown.code, Some(2), "{}", unknown.err);
}
