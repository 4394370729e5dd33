//! Closing: on time, on request, and also when it cannot be written down.

use std::sync::atomic::Ordering;

use reqwest::Method;
use serde_json::json;

use crate::harness::{SOON, start, status_of_first_port};

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
