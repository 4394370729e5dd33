//! A risky lock, typed: refused with what to type instead, provisional, and kept or gone at its time.

#![expect(clippy::expect_used, reason = "a test fails by panicking")]

mod served;

use std::{
    path::Path,
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use hourgate_core::time::{Clock, Now};
use hourgate_server::{Options, clock::SystemClock};
use serde_json::{Value, json};

use served::serve;

/// Where clients reach the server, besides the addresses of the machine that runs these tests.
const SERVER: &str = "10.9.0.1";
/// A shell that somebody has on `web-1`, as its sshd describes it.
const SHELL: (&str, &str) = ("SSH_CONNECTION", "203.0.113.9 50000 10.0.0.4 22");

/// The kernel's clocks, and how many seconds a test has moved them on.
struct HandClock(SystemClock, AtomicU64);

impl Clock for HandClock {
    fn now(&self) -> Now {
        let (mut now, moved) = (self.0.now(), Duration::from_secs(self.1.load(Ordering::SeqCst)));
        now.wall = now.wall.checked_add(moved).expect("a time");
        now.boot.nanos += u64::try_from(moved.as_nanos()).expect("a length");
        now
    }
}

struct Typed {
    code: Option<i32>,
    out: String,
    err: String,
}

impl Typed {
    #[track_caller]
    fn with(self, code: i32) -> Typed {
        assert_eq!(self.code, Some(code), "stdout: {}\nstderr: {}", self.out, self.err);
        self
    }

    fn json(&self) -> Value {
        serde_json::from_str(&self.out).expect("JSON")
    }
}

fn typed(home: &Path, env: &[(&str, &str)], args: &[&str]) -> Typed {
    let output = Command::new(env!("CARGO_BIN_EXE_hourgate"))
        .env_clear()
        .env("HOME", home)
        .env("HOURGATE_PROFILE", home.join("data/admin.json"))
        .envs(env.iter().copied())
        .args(args)
        .output()
        .expect("the command runs");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("UTF-8");
    Typed { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
}

/// Everything somebody types who locks the server's own machine.
fn story(home: &Path, clock: &HandClock) {
    let run = |args: &[&str]| typed(home, &[], args);
    run(&["add", "gw-1", SERVER, "--os", "linux"]).with(0);
    run(&["add", "web-1", "10.0.0.4", "--os", "linux"]).with(0);
    let none = json!([]);
    let policies = || run(&["vm", "jit-policy", "list"]).with(0).json();

    let refused = run(&["protect", "gw-1"]).with(1);
    for needed in ["ConfirmationNeeded", "gw-1", "--confirm-within 5m", "hourgate confirm"] {
        assert!(refused.err.contains(needed), "{needed}: {}", refused.err);
    }
    assert_eq!(policies(), none, "nothing of it was stored");

    // Two policies are set one after the other: that the first stands is said.
    run(&["add", "far-1", "10.0.0.5", "-l", "elsewhere", "--os", "linux"]).with(0);
    let half = run(&["protect", "far-1", "gw-1"]).with(1);
    assert!(half.err.contains("what was asked of far-1 is stored already"), "{}", half.err);
    run(&["unprotect", "far-1"]).with(0);
    assert_eq!(policies(), none);

    // Provisional, looked at, kept.
    let provisional = run(&["protect", "gw-1", "--confirm-within", "5m", "-o", "table"]).with(0);
    for needed in ["hourgate confirm gw-1", "closed, to be confirmed"] {
        assert!(provisional.out.contains(needed), "{needed}: {}", provisional.out);
    }
    let confirmed = run(&["confirm"]).with(0).json();
    assert!(confirmed["properties"].get("confirmUntilUtc").is_none(), "{confirmed}");
    let kept = policies();
    let nothing = run(&["confirm"]).with(3);
    assert!(nothing.err.contains("No policy waits"), "{}", nothing.err);

    // Provisional once more, with another port, and forgotten: exactly what was kept stands again.
    let more = ["protect", "gw-1", "--ports", "22", "443", "--confirm-within", "5m"];
    let waits = run(&more).with(0).json();
    assert!(waits["properties"]["confirmUntilUtc"].is_string(), "{waits}");
    assert_ne!(policies(), kept);
    clock.1.fetch_add(5 * 60 + 1, Ordering::SeqCst);
    becomes(&policies, &kept);
    let late = run(&["confirm", "gw-1"]).with(1);
    assert!(late.err.contains("NothingToConfirm"), "{}", late.err);
    run(&["unprotect", "gw-1"]).with(0);

    // The shell one sits in is told by the command, which alone knows it.
    let shell = |args: &[&str]| typed(home, &[SHELL], args);
    let refused = shell(&["protect", "web-1"]).with(1);
    for needed in ["port 22 of web-1", "--confirm-within 5m"] {
        assert!(refused.err.contains(needed), "{needed}: {}", refused.err);
    }
    assert_eq!(policies(), none);
    shell(&["protect", "web-1", "--confirm-within", "5m"]).with(0);
    clock.1.fetch_add(5 * 60 + 1, Ordering::SeqCst);
    becomes(&policies, &none);
    // Another port, or a machine that is locked already, is nobody's shell.
    shell(&["protect", "web-1", "--ports", "3389"]).with(0);
    run(&["protect", "web-1", "--ports", "22", "3389"]).with(0);
    shell(&["protect", "web-1", "--max-duration", "2h"]).with(0);
}

/// Looks until it is so; each look is a process of its own, and time goes on by itself.
#[track_caller]
fn becomes(look: &dyn Fn() -> Value, wanted: &Value) {
    let mut seen = Value::Null;
    for _ in 0..200 {
        seen = look();
        if seen == *wanted {
            return;
        }
    }
    assert_eq!(seen, *wanted);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_risky_lock_is_refused_tried_kept_or_gone_at_its_time() {
    let home = tempfile::tempdir().expect("a directory");
    let config = home.path().join("hourgate.toml");
    std::fs::write(&config, format!("public_url = \"https://{SERVER}:8443\"\n")).expect("written");
    let clock = Arc::new(HandClock(SystemClock::new().expect("a clock"), AtomicU64::new(0)));
    let options =
        Options { config: Some(config), clock: Some(clock.clone()), ..Options::default() };
    let served = serve(home.path(), options).await;
    let path = home.path().to_owned();
    let told = tokio::task::spawn_blocking(move || story(&path, &clock));
    told.await.expect("it goes as told");
    served.stop().await;
}
