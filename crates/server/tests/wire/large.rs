//! Large bodies: whoever sends them waits for them, and nobody else does.

use std::time::Duration;

use hourgate_api::body;
use hourgate_core::id::PolicyId;
use reqwest::Method;
use serde_json::json;
use tokio::{task::JoinSet, time::Instant};

use crate::harness::{client, start};

/// How many large bodies come at once.
const AT_ONCE: usize = 4;
/// How often it may fail before it is no accident: this machine does other things besides.
const TRIES: usize = 3;

#[tokio::test]
async fn who_sends_little_is_answered_while_large_bodies_are_read() {
    let server = start().await;
    let policy = server.protect().await;
    let path = format!("{policy}/initiate?api-version=2020-01-01");
    let ports = vec![json!({"number": 22, "duration": "PT1H"}); 4];
    let vm = json!({"id": server.vm_id("rg1", "web-1"), "ports": ports});
    // Wrong at its very end: all of it is read, and nothing else is done with it.
    let large = json!({"virtualMachines": vec![vm; 14_000], "wrong": true}).to_string();
    assert!((3 << 20..4 << 20).contains(&large.len()), "{}", large.len());
    let id: PolicyId = policy.parse().expect("an id");
    let began = Instant::now();
    body::initiate(large.as_bytes(), &id).expect_err("it is wrong");
    let alone = began.elapsed();
    let token = server.token().await;
    let mut longest = Duration::ZERO;
    for _ in 0..TRIES {
        let mut all = JoinSet::new();
        for _ in 0..AT_ONCE {
            let client = client(&server.ready.ca, None);
            let call = client.post(server.url(&path)).bearer_auth(&token).body(large.clone());
            all.spawn(async move { call.send().await.expect("an answer").status() });
        }
        longest = Duration::ZERO;
        while !all.is_empty() {
            while let Some(answered) = all.try_join_next() {
                assert_eq!(answered.expect("no panic"), 400);
            }
            let began = Instant::now();
            let whoami = "/whoami?api-version=2026-11-01";
            assert_eq!(server.call(Method::GET, whoami, None).await.status(), 200);
            longest = longest.max(began.elapsed());
        }
        // Test and server share one thread: read on it, one body alone would hold everybody up so long.
        if longest < alone / 2 {
            return;
        }
    }
    panic!("a small call took {longest:?}, a large body {alone:?}");
}
