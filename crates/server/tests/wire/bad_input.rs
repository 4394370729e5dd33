//! What bad input gets: a typed refusal in Azure's shape, and nothing left behind.

use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::{Running, start};

const V: &str = "?api-version=2020-01-01";

async fn refused(server: &Running, method: Method, path: &str, body: &str) -> (u16, String) {
    let answer = server.call(method, path, Some(body)).await;
    let status = answer.status().as_u16();
    let error: Value = answer.json().await.expect("an error in JSON");
    let message = error["error"]["message"].as_str().unwrap_or_default();
    assert!(!message.is_empty(), "{error}");
    (status, error["error"]["code"].as_str().unwrap_or_default().to_owned())
}

fn with_port(server: &Running, port: Value) -> String {
    json!({"kind": "Basic", "properties": {"virtualMachines": [
        {"id": server.vm_id("rg1", "web-1"), "ports": [port]}]}})
    .to_string()
}

#[tokio::test]
async fn a_policy_that_cannot_be_is_refused_and_leaves_nothing() {
    let server = start().await;
    server.register("rg1", "web-1", &["10.9.0.4"]).await;
    server.register("rg2", "other", &["10.9.0.9"]).await;
    let policy = format!("{}{V}", server.policy_id("rg1"));
    let good = json!({"number": 22, "protocol": "TCP", "allowedSourceAddressPrefix": "*",
                      "maxRequestAccessDuration": "PT3H"});
    let change = |name: &str, value: Value| {
        let mut port = good.clone();
        port[name] = value;
        with_port(&server, port)
    };
    let twice = json!({"kind": "Basic", "properties": {"virtualMachines": [
        {"id": server.vm_id("rg1", "web-1"), "ports": [good, good]}]}});
    let of_group = json!({"kind": "Basic", "properties": {"virtualMachines": [
        {"id": server.vm_id("rg2", "other"), "ports": [good]}]}});
    let unknown_vm = json!({"kind": "Basic", "properties": {"virtualMachines": [
        {"id": server.vm_id("rg1", "nobody"), "ports": [good]}]}});
    let no_ports = json!({"kind": "Basic", "properties": {"virtualMachines": [
        {"id": server.vm_id("rg1", "web-1"), "ports": []}]}});
    for (what, body, status) in [
        ("port 0", change("number", json!(0)), 400),
        ("port 65536", change("number", json!(65_536)), 400),
        ("UDP", change("protocol", json!("UDP")), 400),
        ("host bits", change("allowedSourceAddressPrefix", json!("10.0.0.1/8")), 400),
        ("over 24 h", change("maxRequestAccessDuration", json!("PT25H")), 400),
        ("a wrong type", change("number", json!("22")), 400),
        ("a misspelt property of ours", change("endSession", json!(true)), 400),
        ("no JSON", "{".to_owned(), 400),
        ("nothing", String::new(), 400),
        ("the same port twice", twice.to_string(), 400),
        ("no ports", no_ports.to_string(), 400),
        ("a VM of another group", of_group.to_string(), 400),
        ("an unknown VM", unknown_vm.to_string(), 404),
    ] {
        let (found, code) = refused(&server, Method::PUT, &policy, &body).await;
        assert_eq!(found, status, "{what}: {code}");
    }
    assert_eq!(server.call(Method::GET, &policy, None).await.status(), 404);
    assert!(server.guard.as_ref().expect("a guard").locks().is_empty());
}

#[tokio::test]
async fn a_request_that_cannot_be_is_refused_and_leaves_nothing() {
    let server = start().await;
    let policy = server.protect().await;
    let path = format!("{policy}/initiate{V}");
    let ask = |port: Value| {
        json!({"virtualMachines": [{"id": server.vm_id("rg1", "web-1"), "ports": [port]}]})
            .to_string()
    };
    let source = "192.0.2.7";
    for (what, body, code) in [
        (
            "a source outside",
            ask(json!({"number": 22, "allowedSourceAddressPrefix": "198.51.100.1"})),
            "RequestNotSubset",
        ),
        (
            "too long",
            ask(json!({"number": 22, "duration": "PT4H", "allowedSourceAddressPrefix": source})),
            "RequestNotSubset",
        ),
        (
            "another port",
            ask(json!({"number": 23, "allowedSourceAddressPrefix": source})),
            "RequestNotSubset",
        ),
        (
            "IPv6 without IPv6",
            ask(json!({"number": 22, "allowedSourceAddressPrefix": "2001:db8::1"})),
            "InvalidParameter",
        ),
        (
            "an end in the past",
            ask(
                json!({"number": 22, "endTimeUtc": "2020-01-01T00:00:00Z", "allowedSourceAddressPrefix": source}),
            ),
            "InvalidParameter",
        ),
        ("loopback as the own address", ask(json!({"number": 22})), "SourceNeeded"),
    ] {
        let (status, found) = refused(&server, Method::POST, &path, &body).await;
        assert_eq!((status, found.as_str()), (400, code), "{what}");
    }
    let list = format!("{}/providers/Hourgate.Access/requests?api-version=2026-11-01", server.s());
    assert_eq!(server.json(Method::GET, &list, None).await.1, json!({"value": []}));
    assert!(server.guard.as_ref().expect("a guard").openings().is_empty());
}

#[tokio::test]
async fn an_address_that_no_vm_can_have_is_refused() {
    let server = start().await;
    server.register("rg1", "web-1", &["10.9.0.4"]).await;
    for (address, status) in [
        ("127.0.0.1", 400),
        ("::1", 400),
        ("224.0.0.1", 400),
        ("fe80::1", 400),
        ("169.254.1.1", 400),
        ("not an address", 400),
        ("10.9.0.4", 409),
    ] {
        let body = json!({"location": "centralus", "properties": {"privateAddresses": [address]}});
        let path = format!("{}?api-version=2026-04-01", server.vm_id("rg1", "web-2"));
        let (found, code) = refused(&server, Method::PUT, &path, &body.to_string()).await;
        assert_eq!(found, status, "{address}: {code}");
    }
    let path = format!("{}?api-version=2026-04-01", server.vm_id("rg1", "web-2"));
    assert_eq!(server.call(Method::GET, &path, None).await.status(), 404);
    let escape = server.vm_id("rg1", "a%1b%5b2J");
    let body =
        json!({"location": "x", "properties": {"privateAddresses": ["10.9.0.5"]}}).to_string();
    let answer =
        server.call(Method::PUT, &format!("{escape}?api-version=2026-04-01"), Some(&body)).await;
    assert_eq!(answer.status(), 400);
    assert!(!answer.text().await.expect("a body").contains('\u{1b}'));
}

#[tokio::test]
async fn paths_methods_and_versions_that_are_not_served() {
    let server = start().await;
    let policy = server.protect().await;
    let other =
        policy.replace(&server.admin.subscription_id.to_string(), &uuid::Uuid::nil().to_string());
    let (s, subset) = (server.s(), "providers/Microsoft.Security/jitNetworkAccessPolicies");
    for (method, path, status, code) in [
        (Method::GET, "/nowhere".to_owned(), 404, "InvalidResourceType"),
        (
            Method::GET,
            format!("{s}/providers/Microsoft.Nothing/things{V}"),
            404,
            "InvalidResourceType",
        ),
        (Method::POST, format!("{policy}{V}"), 405, "MethodNotAllowed"),
        (Method::GET, format!("{policy}/initiate{V}"), 405, "MethodNotAllowed"),
        (Method::POST, format!("{policy}/terminate{V}"), 404, "InvalidResourceType"),
        (Method::GET, policy.clone(), 400, "MissingApiVersionParameter"),
        (Method::GET, format!("{policy}?api-version=soon"), 400, "InvalidApiVersionParameter"),
        (Method::GET, format!("{other}{V}"), 404, "SubscriptionNotFound"),
        (Method::GET, format!("/subscriptions/mine/{subset}{V}"), 400, "InvalidSubscriptionId"),
        (
            Method::GET,
            format!("{}{V}", policy.replace("default", "other")),
            404,
            "ResourceNotFound",
        ),
        (Method::GET, format!("{}{V}", policy.replace("rg1", "rg9")), 404, "ResourceGroupNotFound"),
    ] {
        let answer = server.call(method.clone(), &path, None).await;
        let found = answer.status().as_u16();
        let error: Value = answer.json().await.expect("JSON");
        assert_eq!((found, &error["error"]["code"]), (status, &json!(code)), "{method} {path}");
    }
    let answer = server.call(Method::POST, &format!("{policy}{V}"), None).await;
    assert_eq!(answer.headers()["allow"], "GET, PUT, DELETE");
}

#[tokio::test]
async fn a_body_of_5_mb_is_refused_and_the_server_goes_on() {
    let server = start().await;
    let policy = format!("{}{V}", server.policy_id("rg1"));
    let (status, code) = refused(&server, Method::PUT, &policy, &" ".repeat(5 << 20)).await;
    assert_eq!((status, code.as_str()), (413, "RequestContentTooLarge"));
    assert_eq!(server.call(Method::GET, "/healthz", None).await.status(), 200);
}

#[tokio::test]
async fn a_condition_that_fails_names_the_header_that_said_it() {
    let server = start().await;
    let policy = format!("{}{V}", server.protect().await);
    let body = server.policy_body("web-1", 22).to_string();
    for (name, value, status, target) in [
        ("if-none-match", "*", 412, "If-None-Match"),
        ("if-match", "W/\"77\"", 412, "If-Match"),
        ("if-match", "none", 400, "If-Match"),
        ("if-none-match", "W/\"1\"", 400, "If-None-Match"),
        ("hourgate-confirm-within", "soon", 400, "Hourgate-Confirm-Within"),
    ] {
        let answer = server.call_with(Method::PUT, &policy, Some(&body), &[(name, value)]).await;
        assert_eq!(answer.status(), status, "{name}: {value}");
        let error: Value = answer.json().await.expect("JSON");
        assert_eq!(error["error"]["target"], target, "{name}: {value}");
    }
}

#[tokio::test]
async fn two_tokens_are_nobodys() {
    let server = start().await;
    let token = server.token().await;
    for path in ["/whoami?api-version=2026-11-01", "/nowhere"] {
        let call = server.client.get(server.url(path)).bearer_auth(&token).bearer_auth("other");
        let answer = call.send().await.expect("an answer");
        assert_eq!(answer.status(), 400, "{path}");
        let error: Value = answer.json().await.expect("JSON");
        assert_eq!(error["error"]["target"], "Authorization");
    }
}
