//! What somebody may not read does not exist for them: not in lists, not in answers, not in refusals, and by the
//! same error as what was never there.

use hourgate_core::role::built_in::{JIT_REQUESTER, READER};
use reqwest::Method;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::{
    harness::{Running, start},
    network::{V, at, put, rule_to_22},
    walk::define,
};

/// The scope of a VM of `rg1`, behind the subscription.
fn vm(name: &str) -> String {
    format!("/resourceGroups/rg1/providers/Microsoft.Compute/virtualMachines/{name}")
}

/// `web-1` and `web-2` in one policy, both asked for.
async fn two() -> Running {
    let server = start().await;
    server.register("rg1", "web-1", &["10.9.0.4"]).await;
    server.register("rg1", "web-2", &["10.9.0.5"]).await;
    let mut body = server.policy_body("web-1", 22);
    let second = server.policy_body("web-2", 22)["properties"]["virtualMachines"][0].clone();
    body["properties"]["virtualMachines"].as_array_mut().expect("VMs").push(second);
    let path = format!("{}?api-version=2020-01-01", server.policy_id("rg1"));
    let (status, told) = server.json(Method::PUT, &path, Some(&body)).await;
    assert_eq!(status, 200, "{told}");
    server
}

async fn ask(server: &Running, who: Uuid, vm: &str) -> (u16, Value) {
    let path = format!("{}/initiate?api-version=2020-01-01", server.policy_id("rg1"));
    server.json_as(who, Method::POST, &path, Some(&server.ask_body(vm, 22))).await
}

/// What is left of an error when what the caller sent is taken out of it.
fn bare(told: &Value, sent: &[&str]) -> String {
    sent.iter().fold(told.to_string(), |text, sent| text.replace(sent, "SENT"))
}

#[tokio::test]
async fn a_role_at_one_machine_shows_that_machine_alone() {
    let server = two().await;
    let both = ["web-1", "web-2"].map(vm);
    let ann = server.person("ann", &[]).await;
    server.give(JIT_REQUESTER, &both[0], ann).await;
    let bob = server.person("bob", &[]).await;
    server.give(JIT_REQUESTER, &both[1], bob).await;
    let (status, told) = ask(&server, bob, "web-2").await;
    assert_eq!(status, 202, "{told}");
    let of_bob = told["id"].as_str().expect("an id").to_owned();
    let (status, told) = ask(&server, ann, "web-1").await;
    assert_eq!(status, 202, "{told}");
    let of_ann = told["id"].as_str().expect("an id").to_owned();
    let (status, told) = ask(&server, ann, "web-2").await;
    assert_eq!((status, &told["error"]["code"]), (403, &json!("AuthorizationFailed")));
    let s = server.s();
    let policies = "providers/Microsoft.Security/jitNetworkAccessPolicies?api-version=2020-01-01";
    for path in [
        format!("{}?api-version=2020-01-01", server.policy_id("rg1")),
        format!("{s}/{policies}"),
        format!("{s}/resourceGroups/rg1/{policies}"),
        format!("{s}/providers/Hourgate.Access/requests?api-version=2026-11-01"),
        format!("{s}/providers/Hourgate.Access/eligibility?api-version=2026-11-01"),
        format!("{s}/providers/Microsoft.Compute/virtualMachines?api-version=2026-04-01"),
    ] {
        let (status, told) = server.json_as(ann, Method::GET, &path, None).await;
        let text = told.to_string();
        assert_eq!(status, 200, "{path}: {text}");
        assert!(text.contains("web-1") && !text.contains("web-2"), "{path}: {text}");
        assert!(!text.contains(&of_bob) && !text.contains("bob"), "{path}: {text}");
        assert!(!text.contains("nextLink"), "{path}: {text}");
    }
    // What a lock does to the rules of a group is for whoever may read the group.
    let policy = format!("{}?api-version=2020-01-01", server.policy_id("rg1"));
    let locks =
        |told: &Value| told["properties"]["virtualMachines"][0]["ports"][0]["locks"].clone();
    let (_, told) = server.json(Method::GET, &policy, None).await;
    assert!(locks(&told)[0]["networkSecurityGroup"].is_object(), "{told}");
    let (_, told) = server.json_as(ann, Method::GET, &policy, None).await;
    assert_eq!(locks(&told), Value::Null, "{told}");
    // What one asked for oneself one sees, ends and waits for; what somebody else did is not there.
    let missing = server.request_path("zzzzz0");
    let (_, never) = server.json_as(ann, Method::GET, &missing, None).await;
    for (id, statuses) in [(&of_ann, [200, 200]), (&of_bob, [404, 404])] {
        let path = server.request_path(id);
        for (method, path, expected) in [
            (Method::GET, path.clone(), statuses[0]),
            (Method::GET, format!("{path}&wait=0"), statuses[0]),
            (Method::POST, path.replace('?', "/close?"), statuses[1]),
        ] {
            let (status, told) = server.json_as(ann, method, &path, None).await;
            assert_eq!(status, expected, "{path}: {told}");
            if status == 404 {
                assert_eq!(bare(&told, &[id]), bare(&never, &["zzzzz0"]), "{path}");
            }
        }
    }
    let (_, told) = server.json(Method::GET, &server.request_path(&of_bob), None).await;
    assert_ne!(told["virtualMachines"][0]["ports"][0]["status"], "Revoked", "{told}");
}

#[tokio::test]
async fn what_may_not_be_read_and_what_is_not_there_are_refused_by_the_same_bytes() {
    let server = two().await;
    assert_eq!(put(&server, "networkSecurityGroups/g", &json!({"location": "local"})).await.0, 201);
    let ann = server.person("ann", &[]).await;
    server.give(READER, &vm("web-1"), ann).await;
    // Who may ask for one machine, and hears of no policy that does not hold it.
    server.give(JIT_REQUESTER, &vm("web-1"), ann).await;
    server.register("rg1", "web-3", &["10.9.0.7"]).await;
    let other = server.policy_id("rg1").replace("/default", "/other");
    let body = server.policy_body("web-3", 22);
    let path = format!("{other}?api-version=2020-01-01");
    assert_eq!(server.json(Method::PUT, &path, Some(&body)).await.0, 200);
    let s = server.s();
    let ask = server.ask_body("web-1", 22);
    let (rule, nsgs) = (rule_to_22("r", 300, "Allow", "*"), "networkSecurityGroups");
    let watch = format!("{s}/providers/Hourgate.Access/explain?port=22&from=192.0.2.7&vm=");
    let in_group = |group: &str| format!("{s}/resourceGroups/{group}");
    let machines = "providers/Microsoft.Compute/virtualMachines?x=y";
    let policies = "providers/Microsoft.Security/jitNetworkAccessPolicies?x=y";
    server.register("rg2", "far", &["10.9.0.8"]).await;
    for (method, there, never, body) in [
        (Method::GET, server.vm_id("rg1", "web-2"), server.vm_id("rg1", "web-9"), None),
        (Method::DELETE, server.vm_id("rg1", "web-2"), server.vm_id("rg1", "web-9"), None),
        (Method::GET, server.policy_id("rg2"), server.policy_id("rg9"), None),
        (Method::GET, other.clone(), other.replace("other", "never"), None),
        (Method::DELETE, other.clone(), other.replace("other", "never"), None),
        (
            Method::POST,
            format!("{other}/initiate"),
            format!("{}/initiate", other.replace("other", "never")),
            Some(&ask),
        ),
        (
            Method::POST,
            format!("{}/initiate", server.policy_id("rg2")),
            format!("{}/initiate", server.policy_id("rg9")),
            Some(&ask),
        ),
        (Method::GET, at(&server, &format!("{nsgs}/g")), at(&server, &format!("{nsgs}/h")), None),
        (
            Method::PUT,
            at(&server, &format!("{nsgs}/g/securityRules/r")),
            at(&server, &format!("{nsgs}/h/securityRules/r")),
            Some(&rule),
        ),
        (Method::GET, in_group("rg2"), in_group("rg9"), None),
        (Method::DELETE, in_group("rg2"), in_group("rg9"), None),
        (
            Method::GET,
            format!("{}/{machines}", in_group("rg2")),
            format!("{}/{machines}", in_group("rg9")),
            None,
        ),
        (
            Method::GET,
            format!("{}/{policies}", in_group("rg2")),
            format!("{}/{policies}", in_group("rg9")),
            None,
        ),
        (
            Method::GET,
            format!("{watch}{}", server.vm_id("rg1", "web-2")),
            format!("{watch}{}", server.vm_id("rg1", "web-9")),
            None,
        ),
    ] {
        let mut told = Vec::new();
        for path in [&there, &never] {
            let joint = if path.contains('?') { "&" } else { "?" };
            let path = format!("{path}{joint}{}", &V[1..]);
            let (status, answer) = server.json_as(ann, method.clone(), &path, body).await;
            assert!(status == 403 || status == 404, "{path}: {status} {answer}");
            let bare = bare(&answer, &[there.as_str(), never.as_str()]);
            let bare = bare.replace("web-9", "web-2").replace("never", "other");
            told.push((status, bare.replace("rg9", "rg2").replace("/h/", "/g/")));
        }
        let ends = |text: &str| text.replace("networkSecurityGroups/h", "networkSecurityGroups/g");
        assert_eq!(
            (told[0].0, ends(&told[0].1)),
            (told[1].0, ends(&told[1].1)),
            "{method} {there}"
        );
    }
}

#[tokio::test]
async fn refusals_name_nothing_that_their_reader_may_not_read() {
    let server = two().await;
    let own = ["networkSecurityGroups/hidden", "networkInterfaces/hidden-nic"];
    let deny = json!({"location": "local", "properties": {"securityRules": [rule_to_22("secret-rule", 100, "Deny", "*")]}});
    let (status, told) = put(&server, own[0], &deny).await;
    assert_eq!(status, 201, "{told}");
    let (_, web) =
        server.json(Method::GET, &format!("{}{V}", server.vm_id("rg1", "web-1")), None).await;
    let nic = web["properties"]["networkProfile"]["networkInterfaces"][0]["id"]
        .as_str()
        .expect("one")
        .to_owned();
    let (_, mut had) = server.json(Method::GET, &format!("{nic}{V}"), None).await;
    had["properties"]["networkSecurityGroup"] = json!({"id": at(&server, own[0])});
    let (status, told) = server.json(Method::PUT, &format!("{nic}{V}"), Some(&had)).await;
    assert_eq!(status, 200, "{told}");
    // A rule of a group that a requester may not see stands in the way.
    let ann = server.person("ann", &[]).await;
    server.give(JIT_REQUESTER, &vm("web-1"), ann).await;
    let (status, told) = ask(&server, ann, "web-1").await;
    let text = told.to_string();
    assert_eq!((status, &told["error"]["code"]), (409, &json!("Blocked")), "{text}");
    assert!(text.contains("that you may not see"), "{text}");
    assert!(!text.contains("secret-rule") && !text.contains("hidden"), "{status} {text}");
    // Somebody who may set policies and not see the other one's, nor its machines.
    let eve = server.person("eve", &[]).await;
    let policies = "Microsoft.Security/locations/jitNetworkAccessPolicies/*";
    let role = define(&server, "sets", &[policies], &[]).await;
    let machines = define(&server, "covers", &["Microsoft.Compute/virtualMachines/*"], &[]).await;
    let other = server.policy_id("rg1").replace("/default", "/other");
    let path = format!("{other}?api-version=2020-01-01");
    let third = server.policy_body("web-1", 8080);
    assert_eq!(server.json(Method::PUT, &path, Some(&third)).await.0, 200);
    server.give(role, &other.replace(&server.s(), ""), eve).await;
    server.give(machines, &vm("web-2"), eve).await;
    let (status, told) =
        server.json_as(eve, Method::PUT, &path, Some(&server.policy_body("web-2", 22))).await;
    let text = told.to_string();
    assert_eq!((status, &told["error"]["code"]), (403, &json!("LinkedAuthorizationFailed")));
    assert!(!text.contains("web-1"), "what it would let go is not named: {text}");
    server.give(machines, &vm("web-1"), eve).await;
    let (status, told) =
        server.json_as(eve, Method::PUT, &path, Some(&server.policy_body("web-2", 22))).await;
    let text = told.to_string();
    assert_eq!((status, &told["error"]["code"]), (409, &json!("PortInOtherPolicy")), "{text}");
    assert!(text.contains("held by a policy that you may not see"), "{text}");
    assert!(!text.contains("default"), "{text}");
    // An address says not whose it is.
    let tom = server.person("tom", &[]).await;
    let making = define(
        &server,
        "makes",
        &["Microsoft.Compute/virtualMachines/write", "Microsoft.Network/*/write"],
        &[],
    )
    .await;
    server.give(making, "/resourceGroups/rg1", tom).await;
    let body = json!({"location": "centralus", "properties": {"privateAddresses": ["10.9.0.5"]}});
    let path = format!("{}?api-version=2026-04-01", server.vm_id("rg1", "new"));
    let (status, told) = server.json_as(tom, Method::PUT, &path, Some(&body)).await;
    let text = told.to_string();
    assert_eq!((status, &told["error"]["code"]), (409, &json!("AddressInUse")), "{text}");
    assert!(!text.contains("web-2"), "{text}");
}

#[tokio::test]
async fn a_resource_does_not_tell_who_refers_to_it_to_who_may_not_read_that() {
    let server = two().await;
    let (_, web) =
        server.json(Method::GET, &format!("{}{V}", server.vm_id("rg1", "web-1")), None).await;
    let nic = web["properties"]["networkProfile"]["networkInterfaces"][0]["id"]
        .as_str()
        .expect("one")
        .to_owned();
    let (_, had) = server.json(Method::GET, &format!("{nic}{V}"), None).await;
    let group =
        had["properties"]["networkSecurityGroup"]["id"].as_str().expect("a group").to_owned();
    let ann = server.person("ann", &[]).await;
    server.give(READER, &nic.replace(&server.s(), ""), ann).await;
    let (status, seen) = server.json_as(ann, Method::GET, &format!("{nic}{V}"), None).await;
    assert_eq!((status, &seen["properties"]["virtualMachine"]), (200, &Value::Null), "{seen}");
    assert_eq!(seen["properties"]["networkSecurityGroup"]["id"], group, "what it refers to stays");
    assert_eq!(had["properties"]["virtualMachine"]["id"], server.vm_id("rg1", "web-1"));
    let bob = server.person("bob", &[]).await;
    server.give(READER, &group.replace(&server.s(), ""), bob).await;
    let (_, all) = server.json(Method::GET, &format!("{group}{V}"), None).await;
    assert!(all["properties"]["networkInterfaces"].is_array(), "{all}");
    assert!(all.to_string().contains("\"jit\""), "{all}");
    let (status, seen) = server.json_as(bob, Method::GET, &format!("{group}{V}"), None).await;
    assert_eq!(status, 200);
    assert_eq!(seen["properties"]["networkInterfaces"], Value::Null, "{seen}");
    assert!(!seen.to_string().contains("\"jit\""), "{seen}");
    assert_eq!(
        seen["properties"]["securityRules"].as_array().map(Vec::len),
        all["properties"]["securityRules"].as_array().map(Vec::len),
    );
    // Deleting it says that something is in the way, and not what.
    let role = define(&server, "deletes", &["Microsoft.Network/*/delete"], &[]).await;
    server.give(role, &group.replace(&server.s(), ""), bob).await;
    let (status, told) = server.json_as(bob, Method::DELETE, &format!("{group}{V}"), None).await;
    let text = told.to_string();
    assert_eq!(status, 400, "{text}");
    let name = nic.rsplit('/').next().expect("a name");
    assert!(text.contains("something that you may not see") && !text.contains(name), "{text}");
}
