//! JIT's rules in security groups as Azure's clients see them: shown, sent back, left out, and never theirs to
//! change; and what a lock would do, before it is set.

use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    harness::{Running, Wanted, fresh_dir, start, start_in},
    network::{V, at, nic, put, rule_to_22 as rule},
};

const GROUP: &str = "networkSecurityGroups/web";

fn group(rules: &[Value]) -> Value {
    json!({"location": "local", "properties": {"securityRules": rules}})
}

fn theirs() -> Vec<Value> {
    vec![rule("jump", 300, "Allow", "198.51.100.7"), rule("all", 500, "Allow", "*")]
}

/// `web-1` at 10.9.0.4 behind a group with one narrow allow and one from everywhere; nothing is locked yet.
async fn grouped() -> Running {
    grouped_in(start().await).await
}

async fn grouped_in(server: Running) -> Running {
    assert_eq!(put(&server, GROUP, &group(&theirs())).await.0, 201);
    let net = json!({"location": "local", "properties": {
        "addressSpace": {"addressPrefixes": ["10.9.0.0/16"]},
        "subnets": [{"name": "a", "properties": {"addressPrefix": "10.9.0.0/24"}}],
    }});
    assert_eq!(put(&server, "virtualNetworks/v", &net).await.0, 201);
    let mut nic = nic(&server, Some("10.9.0.4"));
    nic["properties"]["networkSecurityGroup"] = json!({"id": at(&server, GROUP)});
    assert_eq!(put(&server, "networkInterfaces/web-1", &nic).await.0, 201);
    server.register("rg1", "web-1", &["10.9.0.4"]).await;
    server
}

async fn set_policy(server: &Running, query: &str) -> (u16, Value) {
    let path = format!("{}?api-version=2020-01-01{query}", server.policy_id("rg1"));
    let body = server.policy_body("web-1", 22);
    server.json(Method::PUT, &path, Some(&body)).await
}

/// The same, locked, with an access from 192.0.2.7; its request.
async fn granted() -> (Running, String) {
    let server = grouped().await;
    let (status, answer) = set_policy(&server, "").await;
    assert_eq!(status, 200, "{answer}");
    let id = server.ask().await;
    (server, id)
}

async fn get(server: &Running, rest: &str) -> Value {
    let (status, body) = server.json(Method::GET, &format!("{}{V}", at(server, rest)), None).await;
    assert_eq!(status, 200, "{rest}: {body}");
    body
}

fn rules(group: &Value) -> Vec<Value> {
    group["properties"]["securityRules"].as_array().cloned().unwrap_or_default()
}

fn names(rules: &[Value]) -> Vec<&str> {
    rules.iter().filter_map(|rule| rule["name"].as_str()).collect()
}

/// Whether the access is still desired: its rule is there.
async fn runs(server: &Running, id: &str) -> bool {
    let group = get(server, GROUP).await;
    names(&rules(&group)).iter().any(|name| name.ends_with(id))
}

#[tokio::test]
async fn jits_rules_are_shown_as_security_rules_by_every_route() {
    let (server, id) = granted().await;
    let group = get(&server, GROUP).await;
    let shown = rules(&group);
    let [jump, all, grant, lock] = &shown[..] else { panic!("{group}") };
    assert_eq!((&jump["name"], &all["name"]), (&json!("jump"), &json!("all")));
    let name = grant["name"].as_str().expect("a name");
    assert!(name.starts_with("JIT_web-1_22_2") && name.ends_with(&format!("Z_{id}")), "{name}");
    let vm = server.vm_id("rg1", "web-1");
    let path = at(&server, GROUP);
    // The group's own, of its making and at its first version.
    let guid = group["properties"]["resourceGuid"].as_str().expect("a guid");
    let etag = format!("W/\"{}-1\"", guid.replace('-', ""));
    assert_eq!(
        *lock,
        json!({
            "name": "JIT_web-1_22_Deny_0a090004",
            "id": format!("{path}/securityRules/JIT_web-1_22_Deny_0a090004"),
            "etag": etag,
            "type": "Microsoft.Network/networkSecurityGroups/securityRules",
            "properties": {
                "provisioningState": "Succeeded",
                "description": "JIT keeps this port closed; what is granted stands before",
                "protocol": "*", "sourcePortRange": "*", "destinationPortRange": "22",
                "sourceAddressPrefix": "*", "destinationAddressPrefix": "10.9.0.4",
                "access": "Deny", "priority": 499, "direction": "Inbound",
                "sourcePortRanges": [], "destinationPortRanges": [],
                "sourceAddressPrefixes": [], "destinationAddressPrefixes": [],
                "jit": {"policyId": server.policy_id("rg1"), "vmId": vm, "port": 22},
            },
        })
    );
    let told = &grant["properties"];
    assert_eq!(
        (&told["priority"], &told["access"], &told["protocol"]),
        (&json!(100), &json!("Allow"), &json!("Tcp"))
    );
    assert_eq!(told["sourceAddressPrefix"], "192.0.2.7");
    assert_eq!(told["destinationAddressPrefix"], "10.9.0.4");
    assert_eq!(told["jit"], json!({"requestId": id, "vmId": vm, "port": 22}));
    let described = told["description"].as_str().expect("a description");
    assert!(described.starts_with("JIT access for administrator until 2"), "{described}");

    let listed = get(&server, "networkSecurityGroups").await;
    assert_eq!(rules(&listed["value"][0]), shown);
    let listed = get(&server, &format!("{GROUP}/securityRules")).await;
    assert_eq!(listed["value"], Value::Array(shown.clone()));
    for rule in [grant, lock] {
        let name = rule["name"].as_str().expect("a name").to_ascii_uppercase();
        assert_eq!(get(&server, &format!("{GROUP}/securityRules/{name}")).await, *rule);
    }

    let close = server.request_path(&id).replace(&id, &format!("{id}/close"));
    assert_eq!(server.json(Method::POST, &close, None).await.0, 200);
    assert_eq!(names(&rules(&get(&server, GROUP).await)).len(), 3, "the grant's is gone with it");
    let policy = format!("{}?api-version=2020-01-01", server.policy_id("rg1"));
    assert_eq!(server.call(Method::DELETE, &policy, None).await.status(), 200);
    let group = get(&server, GROUP).await;
    assert_eq!(names(&rules(&group)), ["jump", "all"]);
    assert_eq!(group["etag"], etag, "nobody else's part of it ever changed");
}

#[tokio::test]
async fn a_grant_is_shown_until_its_end_and_no_longer() {
    let server = grouped().await;
    assert_eq!(set_policy(&server, "").await.0, 200);
    let mut body = server.ask_body("web-1", 22);
    body["virtualMachines"][0]["ports"][0]["duration"] = json!("PT5M");
    let path = format!("{}/initiate?api-version=2020-01-01", server.policy_id("rg1"));
    let (status, answer) = server.json(Method::POST, &path, Some(&body)).await;
    assert_eq!(status, 202, "{answer}");
    let id = answer["id"].as_str().expect("an id");
    assert!(runs(&server, id).await);
    server.clock.pass(std::time::Duration::from_secs(300));
    assert!(!runs(&server, id).await);
}

#[tokio::test]
async fn a_group_that_is_set_keeps_jits_rules() {
    let (server, id) = granted().await;
    let read = get(&server, GROUP).await;
    let bare: Vec<Value> = rules(&read)
        .into_iter()
        .map(|mut rule| {
            let rule = rule.as_object_mut().expect("a rule");
            rule.retain(|name, _| name == "name" || name == "properties");
            let properties = rule["properties"].as_object_mut().expect("properties");
            properties.retain(|name, _| {
                !["jit", "provisioningState", "description"].contains(&name.as_str())
            });
            Value::Object(rule.clone())
        })
        .collect();
    let reordered: Vec<Value> = bare.iter().rev().cloned().collect();
    for (why, sent, changes) in [
        ("sent back as it was read", read.clone(), false),
        ("without what only the server says", group(&bare), false),
        ("without them", group(&theirs()), false),
        ("in another order", group(&reordered), true),
        (
            "as az sets a tag",
            {
                let mut tagged = read.clone();
                tagged["tags"] = json!({"a": "b"});
                tagged
            },
            true,
        ),
    ] {
        let before = get(&server, GROUP).await["etag"].clone();
        let (status, answer) = put(&server, GROUP, &sent).await;
        assert_eq!(status, 200, "{why}: {answer}");
        assert_eq!(rules(&answer).len(), 4, "{why}: {answer}");
        assert_eq!(answer["etag"] != before, changes, "{why}: {answer}");
        assert!(runs(&server, &id).await, "{why}");
    }
    let path = format!("{}{V}", at(&server, GROUP));
    let tags = json!({"tags": {"c": "d"}});
    let (status, answer) = server.json(Method::PATCH, &path, Some(&tags)).await;
    assert_eq!((status, rules(&answer).len()), (200, 4), "{answer}");

    // What is over and comes back is nobody's rule.
    let stale = get(&server, GROUP).await;
    let close = server.request_path(&id).replace(&id, &format!("{id}/close"));
    server.json(Method::POST, &close, None).await;
    let (status, answer) = put(&server, GROUP, &stale).await;
    assert_eq!((status, rules(&answer).len()), (200, 3), "{answer}");
}

#[tokio::test]
async fn jits_rules_are_nobody_elses_to_change() {
    let (server, id) = granted().await;
    let read = get(&server, GROUP).await;
    let [_, _, grant, lock] = &rules(&read)[..] else { panic!("{read}") };
    let wider = |rule: &Value| {
        let mut rule = rule.clone();
        rule["properties"]["sourceAddressPrefix"] = json!("203.0.113.0/24");
        rule
    };
    let with = |rule: Value| group(&[theirs(), vec![rule]].concat());
    for (rule, whose, instead) in [
        (grant, format!("the request '{id}'"), format!("hourgate close {id}")),
        (
            lock,
            format!("the JIT policy '{}'", server.policy_id("rg1")),
            "hourgate unprotect web-1 -p 22".to_owned(),
        ),
    ] {
        let name = rule["name"].as_str().expect("a name");
        let part = format!("{GROUP}/securityRules/{name}");
        let (status, same) = put(&server, &part, rule).await;
        assert_eq!((status, &same), (200, rule), "an equal one succeeds and changes nothing");
        let path = format!("{}{V}", at(&server, &part));
        for (status, answer) in [
            put(&server, GROUP, &with(wider(rule))).await,
            put(&server, &part, &wider(rule)).await,
            server.json(Method::DELETE, &path, None).await,
        ] {
            assert_eq!((status, &answer["error"]["code"]), (409, &json!("JitRuleReadOnly")));
            let message = answer["error"]["message"].as_str().expect("a message");
            for needed in [name, &whose, &instead] {
                assert!(message.contains(needed), "{needed}: {message}");
            }
        }
    }
    let (status, answer) =
        put(&server, GROUP, &with(rule("JIT_x_22_20261123T120000Z_abc123", 600, "Deny", "*")))
            .await;
    assert_eq!(
        (status, &answer["error"]["code"]),
        (400, &json!("InvalidResourceName")),
        "{answer}"
    );
    let (status, answer) = put(&server, GROUP, &with(rule("mine", 100, "Deny", "192.0.2.9"))).await;
    let expected = format!(
        "Security rule {} conflicts with rule mine. Rules cannot have the same Priority and Direction. To learn \
         more, see aka.ms/nsgrules.",
        grant["name"].as_str().expect("a name")
    );
    assert_eq!((status, &answer["error"]["code"]), (400, &json!("SecurityRuleConflict")));
    assert_eq!(answer["error"]["message"], expected);
    assert_eq!(get(&server, GROUP).await, read, "nothing of it is half done");
}

#[tokio::test]
async fn what_a_lock_would_do_is_told_before() {
    let server = grouped().await;
    let before = get(&server, GROUP).await;
    let (status, told) = set_policy(&server, "&whatIf=true").await;
    assert_eq!(status, 200, "{told}");
    assert_eq!(told["properties"]["whatIf"], true);
    let expected = json!([{
        "address": "10.9.0.4",
        "networkSecurityGroup": {"id": at(&server, GROUP)},
        "priority": 499,
        "closes": [
            {"rule": "all", "priority": 500, "sources": ["*"], "why": "'*' is every source"},
        ],
        "standing": [{"rule": "jump", "priority": 300, "sources": ["198.51.100.7"]}],
        "shadowed": [],
        "reachable": ["198.51.100.7/32"],
    }]);
    let locks =
        |policy: &Value| policy["properties"]["virtualMachines"][0]["ports"][0]["locks"].clone();
    assert_eq!(locks(&told), expected);
    assert_eq!(get(&server, GROUP).await, before);
    let policy = format!("{}?api-version=2020-01-01", server.policy_id("rg1"));
    assert_eq!(server.call(Method::GET, &policy, None).await.status(), 404, "nothing was set");

    // A policy's answers tell the same, and it can be sent back.
    let (_, stored) = set_policy(&server, "").await;
    assert_eq!(locks(&stored), expected);
    assert!(stored["properties"].get("whatIf").is_none());
    let (_, read) = server.json(Method::GET, &policy, None).await;
    assert_eq!(locks(&read), expected);
    let (status, again) = server.json(Method::PUT, &policy, Some(&read)).await;
    assert_eq!((status, locks(&again)), (200, expected.clone()));
    let list = format!("{}/providers/Microsoft.Security/jitNetworkAccessPolicies", server.s());
    let bare = server.json(Method::GET, &format!("{list}?api-version=2020-01-01"), None).await.1;
    assert_eq!(locks(&bare["value"][0]), Value::Null, "a list says it where it is asked to");
    let path = format!("{list}?api-version=2020-01-01&locks=true");
    let told = server.json(Method::GET, &path, None).await.1;
    assert_eq!(locks(&told["value"][0]), expected);
}

#[tokio::test]
async fn refusals_are_told_before_too_and_nothing_else_asks() {
    let server = grouped().await;
    let mut body = server.policy_body("web-1", 22);
    body["properties"]["virtualMachines"][0]["ports"][0]["maxRequestAccessDuration"] =
        json!("PT48H");
    let path = format!("{}?api-version=2020-01-01", server.policy_id("rg1"));
    let would = server.json(Method::PUT, &format!("{path}&whatIf=true"), Some(&body)).await;
    assert_eq!(would.0, 400);
    assert_eq!(would, server.json(Method::PUT, &path, Some(&body)).await);
    let (status, answer) = set_policy(&server, "&whatIf=perhaps").await;
    assert_eq!((status, &answer["error"]["target"]), (400, &json!("whatIf")), "{answer}");
    // Whoever asks what would be must not have it done.
    let group = format!("{}{V}&whatIf=true", at(&server, GROUP));
    let (status, answer) = server.json(Method::PUT, &group, Some(&group_of_nothing())).await;
    assert_eq!((status, &answer["error"]["target"]), (400, &json!("whatIf")), "{answer}");
    assert_eq!(rules(&get(&server, GROUP).await).len(), 2);
}

fn group_of_nothing() -> Value {
    group(&[])
}

#[tokio::test]
async fn a_rule_that_drops_what_runs_is_told_with_it() {
    let (server, id) = granted().await;
    let blocked = |answer: &Value| answer["virtualMachines"][0]["ports"][0]["blockedBy"].clone();
    let request = server.request_path(&id);
    assert_eq!(blocked(&server.json(Method::GET, &request, None).await.1), Value::Null);
    // The subnet gets a group that lets nobody in.
    let outer = "networkSecurityGroups/outer";
    assert_eq!(put(&server, outer, &group(&[rule("no", 200, "Deny", "*")])).await.0, 201);
    let net = json!({"location": "local", "properties": {
        "addressSpace": {"addressPrefixes": ["10.9.0.0/16"]},
        "subnets": [{"name": "a", "properties": {
            "addressPrefix": "10.9.0.0/24",
            "networkSecurityGroup": {"id": at(&server, outer)},
        }}],
    }});
    assert_eq!(put(&server, "virtualNetworks/v", &net).await.0, 200);
    let expected =
        json!({"networkSecurityGroup": {"id": at(&server, outer)}, "rule": "no", "priority": 200});
    assert_eq!(blocked(&server.json(Method::GET, &request, None).await.1), expected);
    let path = format!("{}/providers/Hourgate.Access/requests?api-version=2026-11-01", server.s());
    let list = server.json(Method::GET, &path, None).await.1;
    assert_eq!(blocked(&list["value"][0]), expected);
    let path = format!("{}?api-version=2020-01-01", server.policy_id("rg1"));
    let policy = server.json(Method::GET, &path, None).await.1;
    assert_eq!(blocked(&policy["properties"]["requests"][0]), expected);
}

#[tokio::test]
async fn a_request_may_name_addresses_of_its_machine() {
    let server = start().await;
    server.register("rg1", "web-1", &["10.9.0.4", "10.9.0.5"]).await;
    let policy = server.policy_id("rg1");
    let path = format!("{policy}?api-version=2020-01-01");
    let set = server.json(Method::PUT, &path, Some(&server.policy_body("web-1", 22))).await;
    assert_eq!(set.0, 200, "{}", set.1);
    let initiate = format!("{policy}/initiate?api-version=2020-01-01");
    let ask = |addresses: Value| {
        let mut body = server.ask_body("web-1", 22);
        body["virtualMachines"][0]["addresses"] = addresses;
        let (server, path) = (&server, initiate.as_str());
        async move { server.json(Method::POST, path, Some(&body)).await }
    };
    let (status, answer) = ask(json!(["10.9.0.5"])).await;
    assert_eq!(status, 202, "{answer}");
    let vm = &answer["virtualMachines"][0];
    assert_eq!(vm["addresses"], json!(["10.9.0.5"]));
    assert_eq!(vm["ports"][0]["connect"]["address"], "10.9.0.5");
    let path = "virtualMachines[0].addresses";
    for (sent, target) in [
        (json!(["10.9.0.6"]), path.to_owned()),
        (json!([]), path.to_owned()),
        (json!("10.9.0.5"), path.to_owned()),
        (json!(["web"]), format!("{path}[0]")),
    ] {
        let (status, answer) = ask(sent.clone()).await;
        assert_eq!((status, &answer["error"]["target"]), (400, &json!(target)), "{sent}: {answer}");
    }
    let (status, answer) = ask(Value::Null).await;
    assert_eq!((status, answer["virtualMachines"][0].get("addresses")), (202, None), "{answer}");
}

#[tokio::test]
async fn what_was_let_in_past_a_lock_is_shown_as_exposed() {
    let wanted = Wanted::config("allow_lock_breaks = true");
    let server = grouped_in(start_in(fresh_dir(), wanted).await.expect("a server")).await;
    assert_eq!(set_policy(&server, "").await.0, 200);
    let more = rule("more", 310, "Allow", "203.0.113.9");
    assert_eq!(put(&server, GROUP, &group(&[theirs(), vec![more]].concat())).await.0, 200);
    let policy = format!("{}?api-version=2020-01-01", server.policy_id("rg1"));
    let (_, read) = server.json(Method::GET, &policy, None).await;
    let lock = &read["properties"]["virtualMachines"][0]["ports"][0]["locks"][0];
    assert_eq!(lock["exposed"], json!(["203.0.113.9/32"]), "{lock}");
    assert_eq!(lock["reachable"], json!(["198.51.100.7/32", "203.0.113.9/32"]));
    let rules: Vec<&Value> =
        lock["standing"].as_array().into_iter().flatten().map(|allow| &allow["rule"]).collect();
    assert_eq!(rules, [&json!("jump"), &json!("more")]);
}
