//! The command against a server whose guard answers: what is open is said, with what to type next.

#![expect(clippy::expect_used, reason = "a test fails by panicking")]

mod served;

use std::{path::Path, process::Command};

use hourgate_core::nsg::{
    flow::{Carried, Flow, Transport},
    word::Direction,
};
use hourgate_enforce::fake::FakeGuard;
use hourgate_server::Options;
use serde_json::Value;

use served::serve;

fn run(home: &Path, args: &[&str]) -> (Option<i32>, String, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_hourgate"))
        .env_clear()
        .env("HOME", home)
        .env("TZ", "Europe/Berlin")
        .env("HOURGATE_PROFILE", home.join("data/admin.json"))
        .args(args)
        .output()
        .expect("the command runs");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("UTF-8");
    (output.status.code(), text(output.stdout), text(output.stderr))
}

#[track_caller]
fn done(home: &Path, args: &[&str]) -> String {
    let (code, out, err) = run(home, args);
    assert_eq!(code, Some(0), "{args:?}\nstdout: {out}\nstderr: {err}");
    out
}

/// A day of an engineer, typed.
fn day(home: &Path) {
    done(home, &["add", "web-1", "10.0.0.4", "fd00::4", "--os", "linux"]);
    let sources = ["--allowed-sources", "203.0.113.0/24", "2001:db8::/48"];
    let protect =
        [&["protect", "web-1", "-o", "table", "--ports", "22", "443"][..], &sources].concat();
    let closed = done(home, &protect);
    assert!(closed.contains("closed") && closed.contains("hourgate request web-1"), "{closed}");

    let ask = ["request", "web-1", "--source", "203.0.113.9", "-d", "1h", "-o", "table"];
    let open = done(home, &ask);
    for needed in ["ssh 10.0.0.4", "203.0.113.9", "UTC)", "59 min", "hourgate close"] {
        assert!(open.contains(needed), "{needed}: {open}");
    }
    let six = ["request", "web-1", "--source", "2001:db8::9", "-p", "443", "-o", "table"];
    let open = done(home, &six);
    assert!(open.contains("[fd00::4]:443"), "{open}");

    let status = done(home, &["status", "-o", "table"]);
    assert_eq!(status.matches(" open ").count(), 2, "{status}");
    let query = ["status", "--query", "[].virtualMachines[].ports[].observed.state"];
    let states: Value = serde_json::from_str(&done(home, &query)).expect("JSON");
    assert_eq!(states, serde_json::json!(["open", "open"]));

    done(home, &["close", "web-1"]);
    let status: Value = serde_json::from_str(&done(home, &["status"])).expect("JSON");
    assert_eq!(status, serde_json::json!([]));
    let all = done(home, &["status", "--all", "-o", "csv"]);
    assert_eq!(all.matches("ended early").count(), 2, "{all}");

    let unprotected = done(home, &["unprotect", "web-1"]);
    assert!(unprotected.contains("web-1"), "{unprotected}");
    let (code, _, _) = run(home, &["request", "web-1", "--source", "203.0.113.9"]);
    assert_eq!(code, Some(3));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_engineers_day() {
    let home = tempfile::tempdir().expect("a directory");
    let served = serve(home.path(), Options::default()).await;
    let path = home.path().to_owned();
    tokio::task::spawn_blocking(move || day(&path)).await.expect("the day goes well");
    served.stop().await;
}

/// Somebody ends an access while the guard does not answer.
fn late(home: &Path, guard: &FakeGuard) {
    done(home, &["add", "web-1", "10.0.0.4", "--os", "linux"]);
    done(home, &["protect", "web-1", "--allowed-sources", "203.0.113.0/24"]);
    done(home, &["request", "web-1", "--source", "203.0.113.9", "-d", "1h"]);
    guard.lag(true);
    let (code, out, _) = run(home, &["close", "web-1", "--timeout", "1s", "-o", "table"]);
    assert_eq!(code, Some(4), "{out}");
    for format in ["table", "csv"] {
        let status = done(home, &["status", "-o", format]);
        assert!(status.contains("BUT NOT YET SEEN CLOSED"), "{status}");
    }
    // Typed again, it is the same access that is meant.
    let (code, again, _) = run(home, &["close", "web-1", "--timeout", "1s", "-o", "table"]);
    assert!(code == Some(4) && again.contains("BUT NOT YET SEEN CLOSED"), "{again}");
    guard.lag(false);
    let shown = || done(home, &["status", "-o", "table"]).contains("web-1");
    assert!((0..200).any(|_| !shown()), "until it is closed");
    let (code, _, _) = run(home, &["close", "web-1"]);
    assert_eq!(code, Some(3), "there is nothing left to end");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_has_access_shows_what_is_over_and_not_seen_closed() {
    let home = tempfile::tempdir().expect("a directory");
    let served = serve(home.path(), Options::default()).await;
    let (path, guard) = (home.path().to_owned(), served.guards[0].clone());
    tokio::task::spawn_blocking(move || late(&path, &guard)).await.expect("it is shown");
    served.stop().await;
}

/// A group is put before a machine, and a rule of it changed; each is on the guard soon after it is said.
fn ruled(home: &Path, guard: &FakeGuard) {
    done(home, &["add", "web-1", "10.0.0.4"]);
    done(home, &["network", "nsg", "create", "-n", "web"]);
    let rule = |access: &str| {
        let rule = ["network", "nsg", "rule", "create", "--nsg-name", "web", "-n", "http"];
        let rest = ["--priority", "300", "--destination-port-ranges", "80", "--protocol", "Tcp"];
        done(home, &[&rule[..], &rest, &["--access", access]].concat());
    };
    rule("Allow");
    let space = ["network", "vnet", "create", "-n", "v", "--address-prefixes", "10.0.0.0/16"];
    let subnet = ["--subnet-name", "a", "--subnet-prefixes", "10.0.0.0/24"];
    done(home, &[&space[..], &subnet].concat());
    let nic = ["network", "nic", "create", "-n", "web-1-nic", "--vnet-name", "v", "--subnet", "a"];
    let behind = ["--private-ip-address", "10.0.0.4", "--network-security-group", "web"];
    done(home, &[&nic[..], &behind].concat());
    soon("the group stands", || passes(guard, 80) && !passes(guard, 81));
    rule("Deny");
    soon("the rule holds", || !passes(guard, 80));
    let why = done(home, &["explain", "web-1", "-p", "80", "--from", "203.0.113.9", "-o", "table"]);
    for needed in ["interface's web", "http", "drops", "does not come through", "priority 299"] {
        assert!(why.contains(needed), "{needed}: {why}");
    }
    rule("Allow");
    soon("it is allowed again", || passes(guard, 80));
}

/// Whether the guard's rules let a new connection from 203.0.113.9 to a port of 10.0.0.4 through.
fn passes(guard: &FakeGuard, port: u16) -> bool {
    let [from, to] = ["203.0.113.9", "10.0.0.4"].map(|text| text.parse().expect("an address"));
    let carried = Carried::Ports { transport: Transport::Tcp, source: 50_000, destination: port };
    let flow = Flow::new(from, to, carried).expect("a flow");
    guard.screens().get(&to).is_none_or(|its| its.allows(Direction::Inbound, &flow, false))
}

/// Waits for what must be so long before the next look at everything, which comes every ten seconds.
#[expect(clippy::disallowed_methods, reason = "the real server runs on the real clock")]
fn soon(what: &str, so: impl Fn() -> bool) {
    let began = std::time::Instant::now();
    while !so() {
        assert!(began.elapsed() < std::time::Duration::from_secs(2), "not soon: {what}");
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_rule_is_on_the_guard_at_once_and_says_why() {
    let home = tempfile::tempdir().expect("a directory");
    let served = serve(home.path(), Options::default()).await;
    let (path, guard) = (home.path().to_owned(), served.guards[0].clone());
    tokio::task::spawn_blocking(move || ruled(&path, &guard)).await.expect("rules hold");
    served.stop().await;
}

/// Accounts and programs, typed by whoever runs the server.
fn people(home: &Path) {
    let made = done(home, &["account", "create", "ann", "--display-name", "Ann E.", "-o", "table"]);
    assert!(made.contains("/welcome?link=hg~") && made.contains("once"), "{made}");
    let (code, _, err) = run(home, &["account", "create", "ANN"]);
    assert!(code == Some(1) && err.contains("taken"), "{err}");
    let listed = done(home, &["account", "list", "-o", "csv"]);
    assert!(listed.contains("ann,Ann E.,yes,no,no"), "{listed}");
    done(home, &["account", "disable", "Ann"]);
    let enabled = done(home, &["account", "list", "--query", "[].enabled"]);
    assert_eq!(enabled.split_whitespace().collect::<String>(), "[false]");
    done(home, &["account", "enable", "ann"]);
    assert!(done(home, &["account", "reset", "ann", "-o", "table"]).contains("/welcome?link="));
    assert_eq!(run(home, &["account", "disable", "bob"]).0, Some(3));
    assert_eq!(run(home, &["account", "remove", "ann"]).0, Some(2), "nobody is there to be asked");
    done(home, &["account", "remove", "ann", "--yes"]);
    assert_eq!(run(home, &["account", "enable", "ann"]).0, Some(3));

    done(home, &["service-account", "create", "pipeline"]);
    let secret = done(home, &["service-account", "secret", "add", "pipeline", "--for", "90d"]);
    let secret: Value = serde_json::from_str(&secret).expect("JSON");
    assert!(secret["secret"].as_str().is_some_and(|text| text.starts_with("hg~")));
    let trust = ["--issuer", "https://issuer.example", "--subject", "s", "--audience", "a"];
    done(home, &[&["service-account", "trust", "add", "pipeline"][..], &trust].concat());
    let key = home.join("public.jwk");
    let add = ["service-account", "key", "add", "pipeline", "--file", key.to_str().expect("text")];
    let public = "\"kty\":\"OKP\",\"crv\":\"Ed25519\",\
                  \"x\":\"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo\"";
    std::fs::write(&key, format!("{{{public},\"d\":\"AAAA\"}}")).expect("written");
    let (code, _, err) = run(home, &add);
    assert!(code == Some(2) && err.contains("private half"), "{err}");
    std::fs::write(&key, format!("{{{public}}}")).expect("written");
    done(home, &add);
    let listed = done(home, &["service-account", "list", "-o", "table"]);
    for word in ["secret 'secret' until", "key 'key'", "trust 'trust'"] {
        assert!(listed.contains(word), "{word}: {listed}");
    }
    let id = secret["credential"]["id"].as_str().expect("an id");
    done(home, &["service-account", "secret", "remove", "pipeline", id]);
    assert_eq!(run(home, &["service-account", "secret", "remove", "pipeline", id]).0, Some(3));
    done(home, &["service-account", "create", "pipeline"]);
    let (code, _, err) = run(home, &["service-account", "disable", "pipeline"]);
    assert!(code == Some(2) && err.contains("2 service accounts"), "{err}");
}

#[tokio::test(flavor = "multi_thread")]
async fn accounts_and_programs_are_managed() {
    let home = tempfile::tempdir().expect("a directory");
    let served = serve(home.path(), Options::default()).await;
    let path = home.path().to_owned();
    tokio::task::spawn_blocking(move || people(&path)).await.expect("it goes well");
    served.stop().await;
}
