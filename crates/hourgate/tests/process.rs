//! Real processes on a real kernel, in a namespace of their own: the server is told to stop, its guard and
//! the gate stay, and another server goes on where it was.

#![expect(clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use std::{
    fs,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Output, Stdio},
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

/// The machine's own address, in a namespace of its own.
const OWN: &str = "10.77.0.1";
/// Another one, which a machine in a subnet can have.
const BEHIND: &str = "10.77.0.9";
/// How long anything may take that is awaited; a busy machine is slow to start processes.
const SOON: Duration = Duration::from_secs(20);
/// A packet that is dropped is not answered: so long nobody waits for an answer on the same machine.
const DROPPED_AFTER: &str = "1";

/// A namespace with one address, gone with the test, together with the guard that a server started in it.
struct Machine {
    name: String,
    dir: tempfile::TempDir,
}

impl Machine {
    fn new() -> Machine {
        let name = format!("hgproc-{}", std::process::id());
        let dir = tempfile::tempdir().expect("a directory");
        let machine = Machine { name, dir };
        ip(&["netns", "add", &machine.name]);
        for args in [
            &["link", "set", "lo", "up"][..],
            &["address", "add", &format!("{OWN}/24"), "dev", "lo"],
            &["address", "add", &format!("{BEHIND}/24"), "dev", "lo"],
        ] {
            ip(&[&["-n", &machine.name], args].concat());
        }
        machine
    }

    fn data(&self) -> PathBuf {
        self.dir.path().join("data")
    }

    /// A program in the namespace. `ip` replaces itself with it, so its process is the program's.
    fn inside(&self, program: &str) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.name, program]);
        command.env_clear().env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin");
        command.env("HOME", self.dir.path()).stdin(Stdio::null());
        command
    }

    fn typed(&self, args: &[&str]) -> Output {
        let mut command = self.inside(env!("CARGO_BIN_EXE_hourgate"));
        command.env("HOURGATE_PROFILE", self.data().join("admin.json"));
        command.args(args).output().expect("the command runs")
    }

    #[track_caller]
    fn done(&self, args: &[&str], code: i32) -> (String, String) {
        let output = self.typed(args);
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let (out, err) = (text(&output.stdout), text(&output.stderr));
        assert_eq!(output.status.code(), Some(code), "{args:?}\nstdout: {out}\nstderr: {err}");
        (out, err)
    }

    /// What a new connection to a port of this machine's address meets.
    fn attempt(&self, port: u16) -> Met {
        self.attempt_at(OWN, port)
    }

    fn attempt_at(&self, address: &str, port: u16) -> Met {
        let connect = format!("exec 3<>/dev/tcp/{address}/{port}");
        let mut command = self.inside("timeout");
        let outcome = command.args([DROPPED_AFTER, "bash", "-c", &connect]).output();
        match outcome.expect("it runs").status.code() {
            Some(0) => Met::Open,
            Some(1) => Met::Refused,
            Some(124) => Met::Silence,
            other => panic!("bash ended with {other:?}"),
        }
    }

    /// The guard that serves this machine's socket.
    fn guard(&self) -> Option<Pid> {
        let socket = self.data().join("guard.sock");
        let is_guard = |pid: &i32| {
            let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            let words: Vec<&[u8]> = line.split(|byte| *byte == 0).collect();
            words.get(1) == Some(&&b"guard"[..])
                && words.contains(&socket.as_os_str().as_encoded_bytes())
        };
        let entries = fs::read_dir("/proc").expect("processes").filter_map(Result::ok);
        let mut pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
        pids.find(is_guard).and_then(Pid::from_raw)
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        if let Some(guard) = self.guard() {
            // It may have ended by itself.
            let _ = kill_process(guard, Signal::KILL);
        }
        let _ = Command::new("ip").args(["netns", "del", &self.name]).status();
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Met {
    Open,
    Refused,
    Silence,
}

fn ip(args: &[&str]) {
    let output = Command::new("ip").args(args).output().expect("iproute2");
    assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
}

/// A server as an operator starts one.
struct Serving {
    process: Child,
}

impl Drop for Serving {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Serving {
    fn start(machine: &Machine, listen: &str) -> Serving {
        let mut command = machine.inside(env!("CARGO_BIN_EXE_hourgate"));
        command.args(["serve", "--listen", listen, "--data-dir"]).arg(machine.data());
        let process = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn();
        let mut serving = Serving { process: process.expect("a server") };
        let stderr = serving.process.stderr.take().expect("stderr");
        let mut lines = BufReader::new(stderr).lines().map_while(Result::ok);
        let mut said = Vec::new();
        while !said.last().is_some_and(|line: &String| line.contains("ready")) {
            said.push(lines.next().unwrap_or_else(|| panic!("no server: {}", said.join("\n"))));
        }
        // Reads on, so that the server never waits for us.
        std::thread::spawn(move || lines.for_each(drop));
        serving
    }

    /// Tells it to stop, and gives how it ended.
    fn told_to_stop(mut self) -> ExitStatus {
        let pid = i32::try_from(self.process.id()).ok().and_then(Pid::from_raw).expect("a process");
        kill_process(pid, Signal::TERM).expect("it runs");
        awaited("the server ends", || self.process.try_wait().expect("our child"))
    }
}

/// Looks until there is something.
#[track_caller]
#[expect(clippy::disallowed_methods, reason = "a test has no patience but real time")]
fn awaited<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let began = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(began.elapsed() < SOON, "{what}: not within {SOON:?}");
        std::thread::yield_now();
    }
}

fn port_of(profile: &Path) -> u16 {
    let text = fs::read(profile).expect("admin.json");
    let profile: Value = serde_json::from_slice(&text).expect("JSON");
    let server = profile["server"].as_str().expect("a URL");
    server.rsplit(':').next().and_then(|port| port.parse().ok()).expect("a port")
}

#[test]
fn a_server_told_to_stop_leaves_guard_and_gate_to_the_next_one() {
    let machine = Machine::new();
    let serving = Serving::start(&machine, "[::]:0");
    let port = port_of(&machine.data().join("admin.json"));
    let (own, ssh) = (port.to_string(), 22);
    machine.done(&["add", "gw-1", OWN, "--os", "linux"], 0);
    assert_eq!((machine.attempt(port), machine.attempt(ssh)), (Met::Open, Met::Refused));

    // This is the machine that runs the server, and the port that carries everybody's connection to it.
    let protect = ["protect", "gw-1", "--ports", "22", &own, "--allowed-sources", "10.77.0.0/24"];
    let (_, err) = machine.done(&protect, 1);
    assert!(err.contains("ConfirmationNeeded") && err.contains("--confirm-within"), "{err}");
    assert_eq!(machine.attempt(port), Met::Open);
    machine.done(&[&protect[..], &["--confirm-within", "3s"]].concat(), 0);
    awaited("it goes back by itself", || (machine.attempt(port) == Met::Open).then_some(()));
    machine.done(&["confirm"], 3);
    machine.done(&[&protect[..], &["--confirm-within", "5m"]].concat(), 0);
    assert_eq!((machine.attempt(port), machine.attempt(ssh)), (Met::Silence, Met::Silence));
    machine.done(&["confirm"], 0);
    machine.done(&["request", "gw-1", "-p", &own, "--source", OWN, "-d", "1h"], 0);
    assert_eq!((machine.attempt(port), machine.attempt(ssh)), (Met::Open, Met::Silence));

    // Nobody else works on its directory meanwhile, and who tries is told who does.
    let data = machine.data();
    let data = data.to_str().expect("UTF-8");
    let (_, err) = machine.done(&["serve", "--listen", "127.0.0.1:0", "--data-dir", data], 1);
    let holder = format!("(process {})", serving.process.id());
    assert!(err.contains("another server") && err.contains(&holder) && err.contains(data), "{err}");
    let guard = machine.guard().expect("a guard that it started");

    let ended = serving.told_to_stop();
    assert_eq!(ended.code(), Some(0), "{ended:?}");
    assert_eq!(machine.guard(), Some(guard), "it outlives the server");
    // Nobody listens any more on what the gate lets through; what it locks is still silent.
    assert_eq!((machine.attempt(port), machine.attempt(ssh)), (Met::Refused, Met::Silence));
    machine.done(&["status"], 6);
    let (verdict, _) = machine.done(&["log", "verify", "--data-dir", data], 0);
    assert!(verdict.contains("true"), "{verdict}");

    let again = Serving::start(&machine, &format!("[::]:{port}"));
    assert_eq!(machine.guard(), Some(guard), "the one that was there");
    let open = || {
        let (out, _) = machine.done(&["status"], 0);
        let status: Value = serde_json::from_str(&out).expect("JSON");
        let port = &status[0]["virtualMachines"][0]["ports"][0];
        (port["observed"]["state"] == "open").then_some(())
    };
    awaited("the access is seen open again", open);
    assert_eq!((machine.attempt(port), machine.attempt(ssh)), (Met::Open, Met::Silence));
    machine.done(&["unprotect", "gw-1"], 0);
    awaited("the port is given back", || (machine.attempt(ssh) == Met::Refused).then_some(()));
    assert_eq!(again.told_to_stop().code(), Some(0));
}

/// Somebody who works on a security group as az and Terraform do, during an access.
#[test]
fn a_group_that_is_set_during_an_access_leaves_it_open() {
    let machine = Machine::new();
    let serving = Serving::start(&machine, "127.0.0.1:0");
    let nsg = |args: &[&str], code| machine.done(&[&["network", "nsg"], args].concat(), code);
    nsg(&["create", "-n", "web"], 0);
    let all = ["--priority", "4096", "--destination-port-ranges", "*"];
    let rule = ["rule", "create", "--nsg-name", "web"];
    nsg(&[&rule[..], &["-n", "all"], &all].concat(), 0);
    let space = ["network", "vnet", "create", "-n", "v", "--address-prefixes", "10.77.0.0/16"];
    let subnet = ["--subnet-name", "a", "--subnet-prefixes", "10.77.0.0/24"];
    // The subnet's first addresses are no machine's in Azure.
    machine.done(&[&space[..], &subnet].concat(), 0);
    let nic = ["network", "nic", "create", "-n", "gw-1", "--vnet-name", "v", "--subnet", "a"];
    let behind = ["--private-ip-address", BEHIND, "--network-security-group", "web"];
    machine.done(&[&nic[..], &behind].concat(), 0);
    machine.done(&["add", "gw-1", BEHIND, "--os", "linux"], 0);
    assert_eq!(machine.attempt_at(BEHIND, 22), Met::Refused, "nobody listens, and it is reached");

    let protect =
        ["protect", "gw-1", "--allowed-sources", "10.77.0.0/24", "--confirm-within", "5m"];
    let (told, _) = machine.done(&[&protect[..], &["--what-if", "-o", "table"]].concat(), 0);
    for needed in ["4095", "all (4096) from *", "Nothing was changed."] {
        assert!(told.contains(needed), "{needed}: {told}");
    }
    assert_eq!(machine.attempt_at(BEHIND, 22), Met::Refused);
    machine.done(&protect, 0);
    machine.done(&["confirm"], 0);
    assert_eq!(machine.attempt_at(BEHIND, 22), Met::Silence);
    // On its way to any of its own addresses, the machine speaks with its first.
    let (out, _) = machine.done(&["request", "gw-1", "--source", OWN, "-d", "1h"], 0);
    let request: Value = serde_json::from_str(&out).expect("JSON");
    let id = request[0]["id"].as_str().expect("an id");
    assert_eq!(machine.attempt_at(BEHIND, 22), Met::Refused);

    let (rules, _) = nsg(&["show", "-n", "web", "-o", "table"], 0);
    for needed in [&format!("request {id}"), "policy default", "JIT_gw-1_22_", "default"] {
        assert!(rules.contains(needed), "{needed}: {rules}");
    }
    let (rules, _) = nsg(&["rule", "list", "--nsg-name", "web", "--query", "[].name"], 0);
    let names: Vec<String> = serde_json::from_str(&rules).expect("JSON");
    let grant = names.iter().find(|name| name.ends_with(id)).expect("the grant's rule");
    // A group that is set without any rule, one with another, and one of which JIT's rule shall go.
    nsg(&["create", "-n", "web"], 0);
    assert_eq!(machine.attempt_at(BEHIND, 22), Met::Refused);
    nsg(&[&rule[..], &["-n", "web", "--priority", "300", "--protocol", "Tcp"]].concat(), 0);
    assert_eq!(machine.attempt_at(BEHIND, 22), Met::Refused);
    let (_, err) = nsg(&["rule", "delete", "--nsg-name", "web", "-n", grant], 1);
    assert!(err.contains(&format!("hourgate close {id}")), "{err}");
    assert_eq!(machine.attempt_at(BEHIND, 22), Met::Refused);
    machine.done(&["close", id], 0);
    assert_eq!(machine.attempt_at(BEHIND, 22), Met::Silence);
    let (rules, _) = nsg(&["rule", "list", "--nsg-name", "web", "--query", "[].name"], 0);
    assert!(!rules.contains(grant.as_str()), "{rules}");
    machine.done(&["unprotect", "gw-1", "-p", "22"], 0);
    assert_eq!(serving.told_to_stop().code(), Some(0));
}
