//! Azure's own recorded calls, and what a guard's word changes in the answers.

use hourgate_api::{guard::FromGuard, jit::LockShown};
use hourgate_core::network::Sessions;
use reqwest::{Method, header::HeaderValue};
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;

use crate::harness::{Wanted, fresh_dir, start, start_in, status_of_first_port};

const V: &str = "?api-version=2020-01-01";

#[tokio::test]
async fn azures_recorded_sequence_gets_azures_answers() {
    let server = start().await;
    server.register("myService1", "testService1", &["10.9.0.4"]).await;
    let vm = server.vm_id("myService1", "testService1");
    let policy = server.policy_id("myService1");
    let sent = format!(
        "{{\"kind\":\"Basic\",\"properties\":{{\"virtualMachines\":[{{\"id\":\"{vm}\",\"ports\":[{{\"number\":22,\
         \"protocol\":\"TCP\",\"allowedSourceAddressPrefix\":\"192.0.2.1\",\
         \"maxRequestAccessDuration\":\"PT3H\"}}]}}]}}}}"
    );
    let answer = server.call(Method::PUT, &format!("{policy}{V}"), Some(&sent)).await;
    assert_eq!(answer.status(), 200);
    let header = |name: &str| answer.headers()[name].to_str().expect("text").to_owned();
    assert_eq!(header("content-type"), "application/json; charset=utf-8");
    assert_eq!(header("cache-control"), "no-cache");
    assert_eq!(header("pragma"), "no-cache");
    assert_eq!(header("expires"), "-1");
    assert_eq!(header("strict-transport-security"), "max-age=31536000; includeSubDomains");
    assert_eq!(header("x-content-type-options"), "nosniff");
    assert_eq!(header("x-ms-ratelimit-remaining-subscription-writes"), "1199");
    let correlation = header("x-ms-correlation-request-id");
    assert!(header("x-ms-routing-request-id").ends_with(&correlation));
    assert!(header("x-ms-request-id").parse::<uuid::Uuid>().is_ok());
    assert!(answer.headers().get("location").is_none());
    let expected = format!(
        "{{\"kind\":\"Basic\",\"properties\":{{\"virtualMachines\":[{{\"id\":\"{vm}\",\"ports\":[{{\"number\":22,\
         \"protocol\":\"TCP\",\"allowedSourceAddressPrefix\":\"192.0.2.1\",\
         \"maxRequestAccessDuration\":\"PT3H\"}}]}}],\"requests\":[],\"provisioningState\":\"Updating\",\
         \"appendMode\":false}},\"id\":\"{policy}\",\"name\":\"default\",\
         \"type\":\"Microsoft.Security/locations/jitNetworkAccessPolicies\",\"location\":\"centralus\"}}"
    );
    let whole = answer.text().await.expect("a body");
    // Of ours there is only what the lock does, behind Azure's.
    let told: Value = serde_json::from_str(&whole).expect("JSON");
    let locks = &told["properties"]["virtualMachines"][0]["ports"][0]["locks"];
    assert_eq!(locks[0]["address"], "10.9.0.4");
    let shown: Vec<LockShown> = serde_json::from_value(locks.clone()).expect("locks");
    let shown = serde_json::to_string(&shown).expect("JSON");
    assert_eq!(whole.replace(&format!(",\"locks\":{shown}"), ""), expected);

    let sent = json!({"virtualMachines": [{"id": vm, "ports": [{
        "number": 22, "allowedSourceAddressPrefix": "192.0.2.1", "duration": "PT2H"}]}]});
    let path = format!("{policy}/initiate{V}");
    let answer = server.call(Method::POST, &path, Some(&sent.to_string())).await;
    assert_eq!(answer.status(), 202);
    for absent in ["location", "azure-asyncoperation", "retry-after"] {
        assert!(answer.headers().get(absent).is_none(), "{absent}");
    }
    let asked: Value = answer.json().await.expect("JSON");
    let port = &asked["virtualMachines"][0]["ports"][0];
    assert_eq!(port["status"], "Initiating");
    assert_eq!(port["statusReason"], "UserRequested");
    assert_eq!(port["allowedSourceAddressPrefix"], "192.0.2.1");
    assert_eq!(asked["requestor"], "");
    assert!(asked.get("justification").is_none());

    let seen = server
        .until(&format!("{policy}{V}"), |policy| {
            status_of_first_port(&policy["properties"]["requests"][0]) == "Initiated"
        })
        .await;
    assert_eq!(seen["properties"]["provisioningState"], "Succeeded");
    assert_eq!(seen["properties"]["requests"][0]["id"], asked["id"]);

    let answer = server.call(Method::DELETE, &format!("{policy}{V}"), None).await;
    assert_eq!(answer.status(), 200);
    assert_eq!(answer.headers()["x-ms-ratelimit-remaining-subscription-deletes"], "14999");
    assert!(answer.headers().get("content-type").is_none());
    assert_eq!(answer.content_length(), Some(0));
    let again = server.call(Method::DELETE, &format!("{policy}{V}"), None).await;
    assert_eq!(again.status(), 204);
    let (status, list) = server
        .json(
            Method::GET,
            &format!("{}/providers/Microsoft.Security/jitNetworkAccessPolicies{V}", server.s()),
            None,
        )
        .await;
    assert_eq!((status, list), (200, json!({"value": []})));
}

#[tokio::test]
async fn a_put_that_omits_requests_keeps_the_history_and_echoes_none() {
    let server = start().await;
    let policy = server.protect().await;
    server.ask().await;
    let body = server.policy_body("web-1", 22);
    let (status, answer) = server.json(Method::PUT, &format!("{policy}{V}"), Some(&body)).await;
    assert_eq!((status, &answer["properties"]["requests"]), (200, &json!([])));
    let (_, seen) = server.json(Method::GET, &format!("{policy}{V}"), None).await;
    assert_eq!(seen["properties"]["requests"].as_array().map(Vec::len), Some(1));
}

#[tokio::test]
async fn the_four_lists_hold_what_their_paths_say() {
    let server = start().await;
    server.protect().await;
    let s = server.s();
    let provider = "providers/Microsoft.Security";
    for (path, count) in [
        (format!("{s}/{provider}/jitNetworkAccessPolicies"), 1),
        (format!("{s}/{provider}/locations/CentralUS/jitNetworkAccessPolicies"), 1),
        (format!("{s}/{provider}/locations/westeurope/jitNetworkAccessPolicies"), 0),
        (format!("{s}/resourcegroups/RG1/{provider}/jitNetworkAccessPolicies"), 1),
        (
            format!(
                "{s}/resourceGroups/rg1/{provider}/locations/centralus/jitnetworkaccesspolicies"
            ),
            1,
        ),
    ] {
        let (status, list) = server.json(Method::GET, &format!("{path}{V}"), None).await;
        assert_eq!(status, 200, "{path}");
        assert_eq!(list["value"].as_array().map(Vec::len), Some(count), "{path}");
    }
    let path = format!("{s}/resourceGroups/nowhere/{provider}/jitNetworkAccessPolicies{V}");
    let (status, answer) = server.json(Method::GET, &path, None).await;
    assert_eq!((status, &answer["error"]["code"]), (404, &json!("ResourceGroupNotFound")));
}

#[tokio::test]
async fn names_and_words_are_compared_without_case() {
    let server = start().await;
    let policy = server.protect().await;
    let path = format!("{}{V}", policy.to_uppercase());
    let (status, seen) = server.json(Method::GET, &path, None).await;
    assert_eq!((status, &seen["id"]), (200, &json!(policy)));
    let path = format!("{}/Initiate{V}", policy.replace("Microsoft", "mIcrosoft"));
    let (status, _) = server.json(Method::POST, &path, Some(&server.ask_body("WEB-1", 22))).await;
    assert_eq!(status, 202);
}

#[tokio::test]
async fn conditions_protect_against_lost_updates() {
    let server = start().await;
    let policy = format!("{}{V}", server.protect().await);
    let got = server.call(Method::GET, &policy, None).await;
    let tag = got.headers()["etag"].to_str().expect("text").to_owned();
    let changed = server.policy_body("web-1", 23).to_string();
    let put = async |tag: &str| {
        server.call_with(Method::PUT, &policy, Some(&changed), &[("if-match", tag)]).await.status()
    };
    assert_eq!(put(&tag).await, 200);
    assert_eq!(put(&tag).await, 412);
    let absent = [("if-none-match", "*")];
    let answer = server.call_with(Method::PUT, &policy, Some(&changed), &absent).await;
    assert_eq!(answer.status(), 412);
    let answer = server.call_with(Method::DELETE, &policy, None, &[("if-match", &tag)]).await;
    assert_eq!(answer.status(), 412);
    assert_eq!(server.call(Method::GET, &policy, None).await.status(), 200);
}

#[tokio::test]
async fn correlation_and_client_ids_come_back_where_they_should() {
    let server = start().await;
    let path = format!("/subscriptions{V}");
    let id = "11111111-2222-4333-8444-555555555555";
    let sent = [("x-ms-correlation-request-id", id), ("x-ms-client-request-id", "mine")];
    let answer = server.call_with(Method::GET, &path, None, &sent).await;
    assert_eq!(answer.headers()["x-ms-correlation-request-id"], id);
    assert!(answer.headers().get("x-ms-client-request-id").is_none());
    let sent = [
        ("x-ms-correlation-request-id", "no guid"),
        ("x-ms-client-request-id", "mine"),
        ("x-ms-return-client-request-id", "true"),
    ];
    let answer = server.call_with(Method::GET, &path, None, &sent).await;
    assert_ne!(answer.headers()["x-ms-correlation-request-id"], "no guid");
    assert_eq!(answer.headers()["x-ms-client-request-id"], "mine");
}

#[tokio::test]
async fn only_a_plain_client_request_id_is_given_back() {
    let server = start().await;
    let token = server.token().await;
    let longest = "x".repeat(128);
    for (sent, plain) in [
        (&b"11111111-2222-4333-8444-555555555555"[..], true),
        (longest.as_bytes(), true),
        (format!("{longest}x").as_bytes(), false),
        (b"", false),
        (b"two words", false),
        (b"a\tb", false),
        ("caf\u{e9}".as_bytes(), false),
        (b"\xff\xfe", false),
    ] {
        let id = HeaderValue::from_bytes(sent).expect("a header");
        let call = server.client.get(server.url(&format!("/subscriptions{V}"))).bearer_auth(&token);
        let call = call.header("x-ms-return-client-request-id", "true");
        let answer = call.header("x-ms-client-request-id", id).send().await.expect("an answer");
        assert_eq!(answer.status(), 200, "{sent:?}");
        let given = answer.headers().get("x-ms-client-request-id").map(HeaderValue::as_bytes);
        assert_eq!(given, plain.then_some(sent), "{sent:?}");
    }
}

#[tokio::test]
async fn without_a_guard_nothing_is_called_open() {
    let wanted = Wanted { guard: false, ..Wanted::default() };
    let server = start_in(fresh_dir(), wanted).await.expect("a server");
    let policy = server.protect().await;
    let id = server.ask().await;
    let (_, seen) = server.json(Method::GET, &format!("{policy}{V}"), None).await;
    assert_eq!(seen["properties"]["provisioningState"], "Updating");
    let (_, request) = server.json(Method::GET, &server.request_path(&id), None).await;
    assert_eq!(status_of_first_port(&request), "Initiating");
    let observed = &request["virtualMachines"][0]["ports"][0]["observed"];
    assert_eq!(observed, &json!({"state": "unknown"}));
    let (status, ready) = server.json(Method::GET, "/readyz", None).await;
    assert_eq!(status, 200);
    assert_eq!(ready["guards"], json!([{"name": "local", "state": "unreached"}]));
}

#[tokio::test]
async fn succeeded_is_said_only_once_sessions_are_seen_to_end_as_the_policy_says() {
    let server = start().await;
    let policy = format!("{}{V}", server.protect().await);
    let state = |policy: &Value| policy["properties"]["provisioningState"].clone();
    server.until(&policy, |seen| state(seen) == "Succeeded").await;
    let guard = server.guard.clone().expect("a guard");
    for (end_sessions, sessions) in
        [(true, Sessions::EndWithAccess), (false, Sessions::GoOn), (true, Sessions::EndWithAccess)]
    {
        guard.lag(true);
        let mut body = server.policy_body("web-1", 22);
        body["properties"]["virtualMachines"][0]["ports"][0]["endSessions"] = json!(end_sessions);
        let (status, stored) = server.json(Method::PUT, &policy, Some(&body)).await;
        assert_eq!((status, state(&stored)), (200, json!("Updating")));
        // The port is locked all the while, and was last seen so: but not in this way.
        for _ in 0..20 {
            let (_, seen) = server.json(Method::GET, &policy, None).await;
            assert_eq!(state(&seen), "Updating");
            assert!(!guard.locks().values().any(|stands| *stands == sessions));
        }
        guard.lag(false);
        server.until(&policy, |seen| state(seen) == "Succeeded").await;
        let locks = guard.locks();
        assert_eq!(locks.len(), 1);
        assert!(locks.values().all(|stands| *stands == sessions), "{locks:?}");
    }
}

#[tokio::test]
async fn guards_are_shown_with_what_must_stand_beside_what_was_seen() {
    let server = start().await;
    let policy = format!("{}{V}", server.protect().await);
    let succeeded = |seen: &Value| seen["properties"]["provisioningState"] == "Succeeded";
    server.until(&policy, succeeded).await;
    let path = format!("{}/providers/Hourgate.Access/guards?api-version=2026-11-01", server.s());
    let (status, list) = server.json(Method::GET, &path, None).await;
    let guard = &list["value"][0];
    assert_eq!(
        (status, &guard["name"], &guard["state"]),
        (200, &json!("local"), &json!("reached"))
    );
    assert_eq!(guard["covers"], json!(["0.0.0.0/0", "::/0"]));
    assert_eq!(guard["locks"], json!({"desired": 1, "observed": 1}));
    assert_eq!(guard["openings"], json!({"desired": 0, "observed": 0}));
    let at = |name: &str| guard[name].as_str().and_then(|at| at.parse::<jiff::Timestamp>().ok());
    assert!(at("observedAt") >= at("since") && at("since").is_some(), "{guard}");

    // One that never answered says so, and claims to have seen nothing.
    let server = server.restart(Wanted { guard: false, ..Wanted::default() }).await;
    let (_, list) = server.json(Method::GET, &path, None).await;
    let guard = &list["value"][0];
    assert_eq!(guard["state"], "unreached");
    for absent in ["observedAt", "kind", "version"] {
        assert!(guard.get(absent).is_none(), "{absent}: {guard}");
    }
    assert!(guard["locks"].get("observed").is_none() && guard["problem"].is_string(), "{guard}");
}

#[tokio::test]
async fn what_a_guard_says_it_is_is_shown() {
    let dir = fresh_dir();
    let socket = dir.path().join("elsewhere.sock");
    let listener = tokio::net::UnixListener::bind(&socket).expect("a socket");
    let config = format!("[[guard]]\nname = \"gw-1\"\nsocket = \"{}\"", socket.display());
    let wanted = Wanted { sockets: true, ..Wanted::config(&config) };
    let server = start_in(dir, wanted).await.expect("a server");
    let (version, kind) = ("9.9".to_owned(), "nftables".to_owned());
    let hello = FromGuard::Hello { protocol: hourgate_api::guard::PROTOCOL, kind, version };
    let hello = hourgate_api::guard::encode(&hello).expect("a frame");
    let (mut stream, _) = listener.accept().await.expect("the server");
    stream.write_all(&hello).await.expect("written");
    let path = format!("{}/providers/Hourgate.Access/guards?api-version=2026-11-01", server.s());
    let seen = server.until(&path, |list| list["value"][0]["version"] == "9.9").await;
    let guard = &seen["value"][0];
    assert_eq!((&guard["name"], &guard["kind"]), (&json!("gw-1"), &json!("nftables")));
    // It said what it is, and nothing yet of what stands.
    assert!(guard.get("observedAt").is_none(), "{guard}");
}

#[tokio::test]
async fn a_wait_ends_with_the_change() {
    let server = start().await;
    server.protect().await;
    let guard = server.guard.clone().expect("a guard");
    guard.lag(true);
    let id = server.ask().await;
    let path = format!("{}&wait=50", server.request_path(&id));
    let waiting = server.json(Method::GET, &path, None);
    let opening = async {
        tokio::task::yield_now().await;
        guard.lag(false);
    };
    let ((status, seen), ()) = tokio::join!(waiting, opening);
    assert_eq!((status, status_of_first_port(&seen)), (200, "Initiated"));
    // Nothing is on its way any more: nobody is kept waiting for it.
    let (status, _) = server.json(Method::GET, &path, None).await;
    assert_eq!(status, 200);
}

#[tokio::test]
async fn the_installation_shows_itself_to_az() {
    let server = start().await;
    server.protect().await;
    let (_, subscriptions) =
        server.json(Method::GET, "/subscriptions?api-version=2022-12-01", None).await;
    let subscription = &subscriptions["value"][0];
    assert_eq!(subscription["subscriptionId"], json!(server.admin.subscription_id));
    assert_eq!(subscription["state"], "Enabled");
    let groups = format!("{}/resourcegroups?api-version=2024-11-01", server.s());
    let (_, groups) = server.json(Method::GET, &groups, None).await;
    assert_eq!(groups["value"][0]["name"], "rg1");
    let (status, whoami) = server.json(Method::GET, "/whoami?api-version=2026-11-01", None).await;
    assert_eq!((status, &whoami["address"]), (200, &json!("127.0.0.1")));
    assert_eq!(whoami["addressIsOwn"], false);
}
