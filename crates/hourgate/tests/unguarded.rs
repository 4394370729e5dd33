//! A server without a guard says so, and why, where an operator looks: in its log.

#![expect(clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use std::{
    io::{BufRead, BufReader},
    process::{Child, Command, Stdio},
    sync::mpsc,
    time::Duration,
};

/// How long it may take to say so.
const SOON: Duration = Duration::from_secs(20);

struct Serving(Child);

impl Drop for Serving {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Waits until a server that is started so says all of that.
fn says(mut command: Command, wanted: &[&str]) {
    let home = tempfile::tempdir().expect("a directory");
    let config = home.path().join("hourgate.toml");
    std::fs::write(
        &config,
        "[[guard]]\nname = \"gw-1\"\nsocket = \"/nowhere/guard.sock\"\n\
                             covers = [\"10.0.0.0/8\"]\n[[guard]]\nname = \"local\"\n\
                             covers = [\"192.168.0.0/16\"]\n",
    )
    .expect("written");
    command.args(["serve", "--listen", "127.0.0.1:0", "--config"]).arg(config);
    command.arg("--data-dir").arg(home.path().join("data"));
    let started = command.env("HOME", home.path()).stderr(Stdio::piped()).spawn();
    let mut serving = Serving(started.expect("a server"));
    let stderr = serving.0.stderr.take().expect("stderr");
    let (line, lines) = mpsc::channel();
    std::thread::spawn(move || {
        let said = BufReader::new(stderr).lines().map_while(Result::ok);
        said.for_each(|said| drop(line.send(said)));
    });
    let mut said = Vec::new();
    for part in wanted {
        while !said.iter().any(|line: &String| line.contains(part)) {
            match lines.recv_timeout(SOON) {
                Ok(line) => said.push(line),
                Err(_) => panic!("never {part:?}: {}", said.join("\n")),
            }
        }
    }
}

#[test]
fn why_no_guard_is_started_or_reached_is_logged() {
    let program = env!("CARGO_BIN_EXE_hourgate");
    let mut without = Command::new("setpriv");
    without.args(["--inh-caps=-net_admin", "--bounding-set=-net_admin", program]);
    says(without, &["CAP_NET_ADMIN", "/nowhere/guard.sock", "nobody listens there"]);
}
