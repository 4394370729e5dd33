//! Closing: on time, on request, and also when it cannot be written down.

use std::{sync::atomic::Ordering, time::Duration};

use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    harness::{Running, SOON, start, status_of_first_port},
    raw::elapse,
};

/// After how long a guard that does not answer counts as lost.
const LOST: Duration = Duration::from_secs(20);

/// Who has access, as everybody asks it.
fn live(server: &Running) -> String {
    let list = format!("{}/providers/Hourgate.Access/requests", server.s());
    format!("{list}?api-version=2026-11-01&$filter=status%20eq%20'Live'")
}

fn seen(request: &Value) -> &str {
    request["virtualMachines"][0]["ports"][0]["observed"]["state"].as_str().unwrap_or_default()
}

#[tokio::test]
async fn what_has_ended_and_is_still_seen_open_counts_as_live() {
    let server = start().await;
    server.protect().await;
    let id = server.ask().await;
    let path = server.request_path(&id);
    server.until(&path, |request| status_of_first_port(request) == "Initiated").await;
    let guard = server.guard.clone().expect("a guard");
    guard.lag(true);
    let (status, _) = server.json(Method::POST, &path.replace('?', "/close?"), None).await;
    assert_eq!(status, 200);
    assert_eq!(guard.openings().len(), 1, "it is open");
    for is_lost in [false, true] {
        if is_lost {
            elapse(LOST + Duration::from_secs(1)).await;
            let guards = format!("{}/providers/Hourgate.Access/guards", server.s());
            let guards = format!("{guards}?api-version=2026-11-01");
            server.until(&guards, |list| list["value"][0]["state"] == "unreached").await;
        }
        let (_, list) = server.json(Method::GET, &live(&server), None).await;
        let request = &list["value"][0];
        assert_eq!(status_of_first_port(request), "Revoked", "{is_lost}: {list}");
        assert_eq!(seen(request), "open", "{is_lost}: {list}");
        let of_vm =
            format!("{}%20and%20vm%20eq%20'{}'", live(&server), server.vm_id("rg1", "web-1"));
        assert_eq!(server.json(Method::GET, &of_vm, None).await.1, list);
    }
    guard.lag(false);
    server.until(&live(&server), |list| list["value"] == json!([])).await;
    assert!(guard.openings().is_empty());
    let (_, request) = server.json(Method::GET, &path, None).await;
    assert_eq!(seen(&request), "closed");
}

#[tokio::test]
async fn what_its_successor_keeps_open_is_no_late_close() {
    let server = start().await;
    server.protect().await;
    let id = server.ask().await;
    let path = server.request_path(&id);
    server.until(&path, |request| status_of_first_port(request) == "Initiated").await;
    let guard = server.guard.clone().expect("a guard");
    guard.lag(true);
    server.ask().await;
    let replaced = server.until(&path, |request| seen(request) != "open").await;
    let port = &replaced["virtualMachines"][0]["ports"][0];
    assert_eq!(port["statusReason"], "NewerRequestInitiated");
    guard.lag(false);
    server.until(&path, |request| seen(request) == "closed").await;
    assert_eq!(guard.openings().len(), 1);
}

#[tokio::test]
async fn since_when_nothing_was_open_is_not_made_up() {
    let server = start().await;
    server.protect().await;
    let guard = server.guard.clone().expect("a guard");
    guard.lag(true);
    let id = server.ask().await;
    let path = server.request_path(&id);
    server.json(Method::POST, &path.replace('?', "/close?"), None).await;
    guard.lag(false);
    let never = server.until(&path, |request| seen(request) == "closed").await;
    let observed = &never["virtualMachines"][0]["ports"][0]["observed"];
    assert_eq!(observed, &json!({"state": "closed", "guard": "local"}));
}

#[tokio::test]
async fn closing_closes_and_says_so_again_when_it_has_ended() {
    let server = start().await;
    server.protect().await;
    let id = server.ask().await;
    let path = server.request_path(&id);
    server.until(&path, |request| status_of_first_port(request) == "Initiated").await;
    let close = path.replace('?', "/close?");
    for _ in 0..2 {
        let (status, request) = server.json(Method::POST, &close, None).await;
        assert_eq!(status, 200);
        let port = &request["virtualMachines"][0]["ports"][0];
        assert_eq!(
            (&port["status"], &port["statusReason"]),
            (&json!("Revoked"), &json!("UserRequested"))
        );
    }
    let closed = |request: &serde_json::Value| {
        request["virtualMachines"][0]["ports"][0]["observed"]["state"] == "closed"
    };
    server.until(&path, closed).await;
    assert!(server.guard.as_ref().expect("a guard").openings().is_empty());
    let (status, _) = server.json(Method::POST, &close.replace(&id, "zzzzzz"), None).await;
    assert_eq!(status, 404);
}

#[tokio::test]
async fn a_port_closes_although_the_store_is_gone_and_that_is_recorded_later() {
    let server = start().await;
    server.protect().await;
    let id = server.ask().await;
    let path = server.request_path(&id);
    server.until(&path, |request| status_of_first_port(request) == "Initiated").await;
    let guard = server.guard.clone().expect("a guard");
    assert_eq!(guard.openings().len(), 1);
    server.broken.store(true, Ordering::SeqCst);
    let close = path.replace('?', "/close?");
    let (status, answer) = server.json(Method::POST, &close, None).await;
    assert_eq!((status, &answer["error"]["code"]), (503, &json!("ClosedNotRecorded")));
    let shut = async {
        while !guard.openings().is_empty() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(SOON, shut).await.expect("it closes");
    // Opening waits for the store: nothing is granted that is not recorded.
    let initiate = format!("{}/initiate?api-version=2020-01-01", server.policy_id("rg1"));
    let body = server.ask_body("web-1", 22);
    let (status, answer) = server.json(Method::POST, &initiate, Some(&body)).await;
    assert_eq!((status, &answer["error"]["code"]), (503, &json!("ServiceUnavailable")));
    server.broken.store(false, Ordering::SeqCst);
    let request = server.until(&path, |request| status_of_first_port(request) == "Revoked").await;
    assert_eq!(request["virtualMachines"][0]["ports"][0]["statusReason"], "UserRequested");
}
