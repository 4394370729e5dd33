//! What was acknowledged survives SIGKILL at any moment: the test runs itself as a child and kills it.

use std::{
    io::{BufRead, BufReader, Write},
    path::Path,
    process::{Command as Process, Stdio},
};

use hourgate_core::{command::Command, id::RequestId};
use hourgate_store::Store;

use crate::fixture::{HandClock, act, ask, open, origin, prepare};

const CHILD: &str = "HOURGATE_TEST_KILLED_CHILD";
const ROUNDS: u64 = 24;
/// Far more than a round gets to.
const PER_ROUND: u64 = 100_000;

#[test]
fn what_was_acknowledged_survives_a_kill() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    if let Some(path) = std::env::var_os(CHILD) {
        runtime.block_on(commit_for_ever(Path::new(&path)));
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("store.db");
    runtime.block_on(async { prepare(&open(&path, &HandClock::new()).unwrap()).await });
    let mut acknowledged: Vec<u64> = Vec::new();
    for round in 0..ROUNDS {
        let seen = acknowledged.len();
        kill_after(&path, round, &mut acknowledged);
        assert!(acknowledged.len() > seen, "round {round} acknowledged nothing");
        runtime.block_on(async {
            let store = open(&path, &HandClock::new()).unwrap();
            for number in &acknowledged[seen..] {
                let found = store.request(RequestId::mint(*number)).await.unwrap();
                assert!(found.is_some(), "round {round}: {number} was acknowledged and is gone");
            }
            assert_eq!(store.verify_log().await.unwrap().first_bad, None, "round {round}");
        });
    }
    runtime.block_on(async {
        let store = open(&path, &HandClock::new()).unwrap();
        let stands = store.everything().await.unwrap();
        assert_eq!(store.replay().await.unwrap(), stands);
        for number in &acknowledged {
            assert!(store.request(RequestId::mint(*number)).await.unwrap().is_some(), "{number}");
        }
    });
}

/// Lets a child commit, and kills it after a number of acknowledgements that differs by round; the
/// callers run on meanwhile, so the kill falls anywhere between a BEGIN and an answer.
fn kill_after(path: &Path, round: u64, acknowledged: &mut Vec<u64>) {
    let mut child = Process::new(std::env::current_exe().unwrap())
        .args(["--exact", "kill::what_was_acknowledged_survives_a_kill", "--nocapture"])
        .env(CHILD, path)
        .env("HOURGATE_TEST_ROUND", round.to_string())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let enough = 1 + (round * 7) % 31;
    let mut count = 0;
    let mut read = |line: std::io::Result<String>| {
        // A line that the kill cut short acknowledges nothing.
        let line = line.unwrap();
        let number = line.strip_prefix("done ").and_then(|rest| rest.strip_suffix(" ok"));
        if let Some(number) = number {
            acknowledged.push(number.parse().unwrap());
            count += 1;
        }
        count
    };
    for line in lines.by_ref() {
        if read(line) >= enough {
            break;
        }
    }
    child.kill().unwrap();
    lines.for_each(|line| {
        read(line);
    });
    assert!(!child.wait().unwrap().success(), "it ended by itself");
}

async fn commit_for_ever(path: &Path) {
    let round: u64 = std::env::var("HOURGATE_TEST_ROUND").unwrap().parse().unwrap();
    let store = open(path, &HandClock::new()).unwrap();
    let callers: Vec<_> = (0..8_u64)
        .map(|caller| {
            let store = store.clone();
            tokio::spawn(async move {
                for number in (0..PER_ROUND / 8).map(|step| round * PER_ROUND + step * 8 + caller) {
                    let who = format!("p{number}");
                    let asked = ask(&store, number, &who, &[("web", 22), ("db", 22)]);
                    store.transact(origin(&who), Command::Request(asked)).await.unwrap();
                    let request = RequestId::mint(number);
                    // Old ones end, so that the VMs do not fill up.
                    acknowledge(number);
                    act(&store, Command::End { request, only: None }).await;
                }
            })
        })
        .collect();
    for caller in callers {
        caller.await.unwrap();
    }
}

fn acknowledge(number: u64) {
    let mut out = std::io::stdout().lock();
    writeln!(out, "done {number} ok").unwrap();
    out.flush().unwrap();
}
