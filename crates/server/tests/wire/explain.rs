//! Why a connection would come through or not, and that a request which a rule would drop is refused with it.

use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    harness::{Running, start},
    network::{at, nic, put},
};

async fn explain(server: &Running, query: &str) -> (u16, Value) {
    let vm = server.vm_id("rg1", "web-1");
    let path = format!(
        "{}/providers/Hourgate.Access/explain?api-version=2026-11-01&vm={vm}&{query}",
        server.s()
    );
    server.json(Method::GET, &path, None).await
}

/// `web-1` at 10.9.0.4, its port 22 protected, behind a group of its subnet that drops everything to 22.
async fn walled() -> Running {
    let server = start().await;
    let rule = json!({"name": "no-ssh", "properties": {
        "protocol": "Tcp", "access": "Deny", "direction": "Inbound", "priority": 200,
        "sourceAddressPrefix": "*", "sourcePortRange": "*",
        "destinationAddressPrefix": "*", "destinationPortRange": "22",
    }});
    let group = json!({"location": "local", "properties": {"securityRules": [rule]}});
    assert_eq!(put(&server, "networkSecurityGroups/outer", &group).await.0, 201);
    let outer = json!({"id": at(&server, "networkSecurityGroups/outer")});
    let subnet = json!({"name": "a", "properties": {
        "addressPrefix": "10.9.0.0/24", "networkSecurityGroup": outer,
    }});
    let net = json!({"location": "local", "properties": {
        "addressSpace": {"addressPrefixes": ["10.9.0.0/16"]}, "subnets": [subnet],
    }});
    assert_eq!(put(&server, "virtualNetworks/v", &net).await.0, 201);
    let nic = nic(&server, Some("10.9.0.4"));
    assert_eq!(put(&server, "networkInterfaces/web-1-nic", &nic).await.0, 201);
    server.protect().await;
    server
}

#[tokio::test]
async fn every_rule_that_looked_is_told_and_what_would_help() {
    let server = walled().await;
    let (status, told) = explain(&server, "port=22&from=203.0.113.7").await;
    assert_eq!(status, 200, "{told}");
    let group = at(&server, "networkSecurityGroups/outer");
    assert_eq!(
        told,
        json!({
            "access": "Deny",
            "address": "10.9.0.4",
            "lock": {"openUntil": null, "standing": false},
            "layers": [{
                "layer": "subnet",
                "group": group,
                "reached": true,
                "byAccess": false,
                "decidedBy": {"name": "no-ssh", "priority": 200, "access": "Deny", "misfits": []},
                "passedOver": [],
            }],
            // JIT's rules lie in this group: an access is all that it needs.
            "cures": [],
        })
    );
    let (_, told) = explain(&server, "port=80&from=203.0.113.7").await;
    assert_eq!(told["lock"], Value::Null);
    assert_eq!(told["layers"][0]["passedOver"][0]["misfits"], json!(["destinationPort"]));
    assert_eq!(told["layers"][0]["decidedBy"]["name"], "DenyAllInBound");
    // 4096 is the number of the deny that keeps port 22 closed.
    let cure = format!(
        "Put a rule that allows it before: priority 4095, or another free one below 4097, in '{group}'."
    );
    assert_eq!(told["cures"], json!([cure]));
    // An access opens TCP alone.
    let (_, told) = explain(&server, "port=22&from=203.0.113.7&protocol=UDP").await;
    assert_eq!(told["cures"].as_array().map(Vec::len), Some(1), "{told}");
    // Where it decides, the rules behind it have looked at nothing.
    server.ask().await;
    let (_, told) = explain(&server, "port=22&from=192.0.2.7").await;
    assert_eq!((&told["access"], &told["cures"]), (&json!("Allow"), &json!([])), "{told}");
    let layer = &told["layers"][0];
    assert_eq!((&layer["byAccess"], &layer["passedOver"]), (&json!(true), &json!([])));
}

#[tokio::test]
async fn a_request_that_a_rule_would_drop_is_refused_with_it() {
    let server = walled().await;
    let path = format!("{}/initiate?api-version=2020-01-01", server.policy_id("rg1"));
    let body = server.ask_body("web-1", 22);
    let (status, told) = server.json(Method::POST, &path, Some(&body)).await;
    assert_eq!(status, 202, "the subnet's group is the only one, so JIT's rules lie there: {told}");
    let inner = json!({"location": "local"});
    assert_eq!(put(&server, "networkSecurityGroups/inner", &inner).await.0, 201);
    let mut nic = nic(&server, Some("10.9.0.4"));
    nic["properties"]["networkSecurityGroup"] =
        json!({"id": at(&server, "networkSecurityGroups/inner")});
    assert_eq!(put(&server, "networkInterfaces/web-1-nic", &nic).await.0, 200);
    let (status, told) = server.json(Method::POST, &path, Some(&body)).await;
    assert_eq!((status, told["error"]["code"].as_str()), (409, Some("Blocked")), "{told}");
    let message = told["error"]["message"].as_str().expect("a message");
    for part in ["'no-ssh' (priority 200)", "networkSecurityGroups/outer", "nic-and-subnet"] {
        assert!(message.contains(part), "{message}");
    }
}

#[tokio::test]
async fn a_question_that_cannot_be_answered_is_refused_with_what_could() {
    let server = start().await;
    let (status, told) = explain(&server, "port=22&from=203.0.113.7").await;
    assert_eq!((status, told["error"]["code"].as_str()), (404, Some("ResourceNotFound")), "{told}");
    server.register("rg1", "web-1", &["10.9.0.4"]).await;
    for (query, target) in [
        ("port=0&from=203.0.113.7", "port"),
        ("port=22", "from"),
        ("port=22&from=here", "from"),
        ("port=22&from=203.0.113.7&protocol=ICMP", "protocol"),
        ("port=22&from=203.0.113.7&address=10.9.0.5", "address"),
        ("port=22&from=2001:db8::7", "address"),
        ("port=22&from=203.0.113.7&address=%1b%5b31m", "address"),
    ] {
        let (status, told) = explain(&server, query).await;
        assert_eq!((status, told["error"]["target"].as_str()), (400, Some(target)), "{told}");
        assert!(!told.to_string().contains('\u{1b}'));
    }
}
