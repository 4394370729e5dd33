//! What is asked of a machine's guard, and what is answered where no guard says anything.

use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::{Running, start};

async fn outlook(server: &Running, query: &str) -> (u16, Value) {
    let path =
        format!("{}/providers/Hourgate.Access/outlook?api-version=2026-11-01&{query}", server.s());
    server.json(Method::GET, &path, None).await
}

#[tokio::test]
async fn of_what_no_guard_says_nothing_is_claimed() {
    let server = start().await;
    server.protect().await;
    let vm = server.vm_id("rg1", "web-1");
    let (status, told) = outlook(&server, &format!("vm={vm}&port=22")).await;
    assert_eq!(status, 200, "{told}");
    let address = json!({"address": "10.9.0.4", "vantage": "unknown", "mayBeBlocked": []});
    assert_eq!(told, json!({"addresses": [address]}));
}

#[tokio::test]
async fn a_bad_question_is_told_what_is_wrong() {
    let server = start().await;
    server.protect().await;
    let vm = server.vm_id("rg1", "web-1");
    let nobody = server.vm_id("rg1", "nobody");
    for (query, status, code, target) in [
        (String::new(), 400, "InvalidParameter", Some("vm")),
        ("vm=web-1".to_owned(), 400, "InvalidParameter", Some("vm")),
        (format!("vm={vm}&port=65536"), 400, "InvalidParameter", Some("port")),
        (format!("vm={nobody}"), 404, "ResourceNotFound", None),
    ] {
        let (was, told) = outlook(&server, &query).await;
        assert_eq!((was, told["error"]["code"].as_str()), (status, Some(code)), "{query}: {told}");
        if target.is_some() {
            assert_eq!(told["error"]["target"].as_str(), target, "{query}");
        }
    }
}
