//! People sign in: by pages, at devices, with refresh tokens; and out.

use std::time::Duration;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use hourgate_api::token::COMMAND_CLIENT;
use reqwest::Method;
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::{
    browser::{Browser, PASSWORD, between},
    harness::{Running, Wanted, start, start_with_key},
};

const AZ: &str = "04b07795-8ddb-461a-bbee-02f9e1bf7b46";
const DEVICE: &str = "urn:ietf:params:oauth:grant-type:device_code";

fn command() -> String {
    COMMAND_CLIENT.to_string()
}

fn text<'a>(answer: &'a Value, name: &str) -> &'a str {
    answer[name].as_str().expect(name)
}

/// A server, and a browser of its first administrator.
async fn with_administrator() -> (Running, Browser) {
    let server = start().await;
    let mut browser = Browser::at(&server);
    browser.become_administrator(&server).await;
    (server, browser)
}

/// Tokens of a command that somebody let in.
async fn signed_in(server: &Running, browser: &mut Browser, client: &str) -> Value {
    let scope = format!("{}//.default offline_access openid profile", server.ready.url);
    let (status, begun) =
        server.oauth("devicecode", &[("client_id", client), ("scope", &scope)]).await;
    assert_eq!(status, 200, "{begun}");
    let done = browser.decide(text(&begun, "user_code"), "approve").await;
    assert!(done.body.contains("signed in as you"), "{}", done.body);
    let secret = text(&begun, "device_code");
    let form = [("grant_type", DEVICE), ("client_id", client), ("device_code", secret)];
    let (status, tokens) = server.oauth("token", &form).await;
    assert_eq!(status, 200, "{tokens}");
    tokens
}

async fn refresh(server: &Running, token: &str) -> (u16, Value) {
    let client = command();
    let form =
        [("grant_type", "refresh_token"), ("client_id", client.as_str()), ("refresh_token", token)];
    server.oauth("token", &form).await
}

#[tokio::test]
async fn the_first_administrator_comes_by_a_link_once_and_is_owner() {
    let (server, mut browser) = with_administrator().await;
    let link = server.ready.welcome.clone().expect("a link");
    let path = link.strip_prefix(&server.ready.url).expect("a link to here");
    let again = browser.get(path).await;
    assert_eq!(again.status, 404, "a link is good once");
    let tokens = signed_in(&server, &mut browser, &command()).await;
    let call = server.client.get(server.url("/whoami?api-version=2026-11-01"));
    let who = call.bearer_auth(text(&tokens, "access_token")).send().await.expect("an answer");
    let who: Value = who.json().await.expect("JSON");
    assert_eq!((text(&who, "name"), text(&who, "userPrincipalName")), ("Ann Other", "ann"));
    assert_eq!(who["roles"][0]["role"], "Owner");
    // And has the right to what nobody else may.
    let path = format!("{}/providers/Hourgate.Access/sessions?api-version=2026-11-01", server.s());
    let call = server.client.get(server.url(&path)).bearer_auth(text(&tokens, "access_token"));
    let list: Value = call.send().await.expect("an answer").json().await.expect("JSON");
    assert_eq!(list["value"].as_array().map(Vec::len), Some(2), "{list}");
}

#[tokio::test]
async fn a_link_holds_an_hour_and_a_weak_password_uses_nothing_up() {
    let server = start().await;
    let mut browser = Browser::at(&server);
    let link = server.ready.welcome.clone().expect("a link");
    let path = link.strip_prefix(&server.ready.url).expect("a link to here").to_owned();
    let secret = path.split_once('=').expect("a secret").1.to_owned();
    browser.get(&path).await;
    for (password, again) in [("short", "short"), (PASSWORD, "another")] {
        let fields = [
            ("link", secret.as_str()),
            ("login", "ann"),
            ("name", "Ann"),
            ("password", password),
            ("again", again),
        ];
        let refused = browser.post("/welcome", &fields).await;
        assert_eq!(refused.status, 400);
        assert!(refused.body.contains("role=\"alert\""), "{}", refused.body);
        assert!(!refused.body.contains(password), "a password is never shown");
    }
    // Nobody was made Owner on the way.
    let path_of =
        format!("{}/providers/Hourgate.Access/sessions?api-version=2026-11-01", server.s());
    let (_, list) = server.json(Method::GET, &path_of, None).await;
    assert_eq!(list["value"].as_array().map(Vec::len), Some(0));
    server.clock.pass(Duration::from_secs(3_600));
    assert_eq!(browser.get(&path).await.status, 404);
}

#[tokio::test]
async fn a_device_waits_for_its_owner_and_gets_what_az_wants() {
    let (server, mut browser) = with_administrator().await;
    let scope = format!("{}//.default offline_access openid profile", server.ready.url);
    let ask = [("client_id", AZ), ("scope", scope.as_str())];
    let (status, begun) = server.oauth("devicecode", &ask).await;
    assert_eq!(status, 200, "{begun}");
    assert_eq!(begun["verification_uri"], format!("{}/device", server.ready.url));
    assert!(text(&begun, "message").contains(text(&begun, "user_code")));
    assert_eq!((&begun["expires_in"], &begun["interval"]), (&900.into(), &5.into()));
    let secret = text(&begun, "device_code");
    // As az sends it: the code twice.
    let poll = [
        ("grant_type", DEVICE),
        ("client_id", AZ),
        ("device_code", secret),
        ("code", secret),
        ("client_info", "1"),
        ("scope", scope.as_str()),
    ];
    assert_eq!(text(&server.oauth("token", &poll).await.1, "error"), "authorization_pending");
    assert_eq!(text(&server.oauth("token", &poll).await.1, "error"), "slow_down");
    let asked = browser.decide(text(&begun, "user_code"), "approve").await;
    assert!(asked.body.contains("signed in as you"), "{}", asked.body);
    let (status, tokens) = server.oauth("token", &poll).await;
    assert_eq!(status, 200, "{tokens}");
    for name in ["access_token", "refresh_token", "id_token", "client_info"] {
        assert!(!text(&tokens, name).is_empty(), "{name}");
    }
    assert!(tokens["expires_in"].as_u64().is_some_and(|seconds| seconds <= 3_600));
    let info = URL_SAFE_NO_PAD.decode(text(&tokens, "client_info")).expect("base64");
    let info: Value = serde_json::from_slice(&info).expect("JSON");
    assert_eq!(info["utid"], server.admin.tenant_id.to_string());
    let claims = claims(text(&tokens, "access_token"));
    for name in ["sid", "oid", "auth_time", "amr", "exp"] {
        assert!(!claims[name].is_null(), "{name} in {claims}");
    }
    assert_eq!(claims["amr"], serde_json::json!(["pwd"]));
    // An id token tells the client who it is, and lets nobody in.
    assert_eq!(server.status_with(text(&tokens, "access_token")).await, 200);
    assert_eq!(server.status_with(text(&tokens, "id_token")).await, 401);
    let (status, again) = server.oauth("token", &poll).await;
    assert_eq!((status, text(&again, "error")), (400, "invalid_grant"), "told once");
    // az renews it at its own tenant, and finds it there.
    let form = [
        ("grant_type", "refresh_token"),
        ("client_id", AZ),
        ("refresh_token", text(&tokens, "refresh_token")),
        ("scope", scope.as_str()),
    ];
    assert_eq!(server.oauth("token", &form).await.0, 200);
    let call = server.client.get(server.url("/tenants?api-version=2022-12-01"));
    let tenants = call.bearer_auth(text(&tokens, "access_token")).send().await.expect("an answer");
    assert_eq!(tenants.status(), 200);
}

fn claims(token: &str) -> Value {
    let payload = token.split('.').nth(1).expect("three parts");
    let payload = URL_SAFE_NO_PAD.decode(payload).expect("base64");
    serde_json::from_slice(&payload).expect("claims")
}

#[tokio::test]
async fn whoever_lets_a_device_in_sees_who_asks_and_can_say_no() {
    let (server, mut browser) = with_administrator().await;
    let client = command();
    let (_, begun) = server.oauth("devicecode", &[("client_id", &client)]).await;
    let code = text(&begun, "user_code").to_lowercase().replace('-', " ");
    browser.get("/device").await;
    let asked = browser.post("/device", &[("code", &code)]).await;
    for shown in ["the hourgate command", "127.0.0.1", "Ann Other", text(&begun, "user_code")] {
        assert!(asked.body.contains(shown), "{shown} in {}", asked.body);
    }
    let no = browser.post("/device", &[("code", &code), ("decision", "deny")]).await;
    assert!(no.body.contains("turned away"), "{}", no.body);
    let secret = text(&begun, "device_code");
    let form = [("grant_type", DEVICE), ("client_id", client.as_str()), ("device_code", secret)];
    assert_eq!(text(&server.oauth("token", &form).await.1, "error"), "access_denied");
    // A code that nobody typed in time is over.
    let (_, begun) = server.oauth("devicecode", &[("client_id", &client)]).await;
    server.clock.pass(Duration::from_secs(900));
    let secret = text(&begun, "device_code");
    let form = [("grant_type", DEVICE), ("client_id", client.as_str()), ("device_code", secret)];
    assert_eq!(text(&server.oauth("token", &form).await.1, "error"), "expired_token");
    let (status, other) = server.oauth("devicecode", &[("client_id", "nobody")]).await;
    assert_eq!((status, text(&other, "error")), (401, "invalid_client"));
}

#[tokio::test]
async fn codes_of_devices_cannot_be_guessed() {
    let (server, mut browser) = with_administrator().await;
    let client = command();
    let (_, begun) = server.oauth("devicecode", &[("client_id", &client)]).await;
    browser.get("/device").await;
    let mut slowed = 0;
    for _ in 0..40 {
        let tried = browser.post("/device", &[("code", "BCDF-GHJK")]).await;
        assert!(tried.status == 400 || tried.status == 429, "{}", tried.status);
        slowed += usize::from(tried.status == 429);
    }
    assert!(slowed >= 20, "{slowed}");
    // While somebody must wait the right one is not even looked at.
    let right = browser.post("/device", &[("code", text(&begun, "user_code"))]).await;
    assert_eq!(right.status, 429);
    assert!(right.headers.contains_key("retry-after"));
    let secret = text(&begun, "device_code");
    let form = [("grant_type", DEVICE), ("client_id", client.as_str()), ("device_code", secret)];
    assert_eq!(text(&server.oauth("token", &form).await.1, "error"), "authorization_pending");
}

#[tokio::test]
async fn a_refresh_token_that_comes_twice_ends_the_session_at_once() {
    let (server, mut browser) = with_administrator().await;
    let tokens = signed_in(&server, &mut browser, &command()).await;
    let first = text(&tokens, "refresh_token");
    let (status, second) = refresh(&server, first).await;
    assert_eq!(status, 200, "{second}");
    assert_eq!(server.status_with(text(&second, "access_token")).await, 200);
    let (status, third) = refresh(&server, text(&second, "refresh_token")).await;
    assert_eq!(status, 200, "{third}");
    // A thief comes with the first one.
    let (status, refused) = refresh(&server, first).await;
    assert_eq!((status, text(&refused, "error")), (400, "invalid_grant"));
    for tokens in [&tokens, &second, &third] {
        assert_eq!(server.status_with(text(tokens, "access_token")).await, 401);
    }
    assert_eq!(refresh(&server, text(&third, "refresh_token")).await.0, 400);
    let seen = server
        .notes
        .lock()
        .expect("no panic")
        .iter()
        .any(|note| format!("{note:?}").starts_with("RefreshReused"));
    assert!(seen, "and that is recorded");
}

#[tokio::test]
async fn sessions_survive_a_restart_and_a_store_that_is_gone() {
    let (server, mut browser) = with_administrator().await;
    let tokens = signed_in(&server, &mut browser, &command()).await;
    let at = server.ready.addresses[0].to_string();
    let wanted = Wanted { listen: vec![at.leak()], ..Wanted::default() };
    let server = server.restart(wanted).await;
    assert!(server.ready.welcome.is_none(), "only the first start makes a link");
    assert_eq!(server.status_with(text(&tokens, "access_token")).await, 200);
    assert_eq!(browser.get("/sessions").await.status, 200);
    let (_, tokens) = refresh(&server, text(&tokens, "refresh_token")).await;
    // While nothing can be written somebody must still be able to close a port: the token stays.
    server.broken.store(true, std::sync::atomic::Ordering::SeqCst);
    let (status, kept) = refresh(&server, text(&tokens, "refresh_token")).await;
    assert_eq!(status, 200, "{kept}");
    assert_eq!(kept["refresh_token"], tokens["refresh_token"]);
    assert_eq!(server.status_with(text(&kept, "access_token")).await, 200);
    let mut other = Browser::at(&server);
    assert_eq!(other.sign_in("/sessions").await.location.as_deref(), Some("/sessions"));
    server.broken.store(false, std::sync::atomic::Ordering::SeqCst);
    let (status, next) = refresh(&server, text(&tokens, "refresh_token")).await;
    assert_eq!(status, 200, "{next}");
    assert_ne!(next["refresh_token"], tokens["refresh_token"]);
}

#[tokio::test]
async fn a_session_that_is_ended_is_dead_with_the_next_call() {
    let (server, mut browser) = with_administrator().await;
    let tokens = signed_in(&server, &mut browser, &command()).await;
    let token = text(&tokens, "access_token");
    let s = server.s();
    let own = "api-version=2026-11-01";
    let list = format!("{s}/providers/Hourgate.Access/sessions?{own}");
    let call = server.client.get(server.url(&list)).bearer_auth(token);
    let found: Value = call.send().await.expect("an answer").json().await.expect("JSON");
    let found = found["value"].as_array().expect("a list").clone();
    let this = found.iter().find(|one| one["isThisOne"] == true).expect("this one");
    assert_eq!(this["kind"], "command");
    let path = format!("{s}/providers/Hourgate.Access/sessions/{}/revoke?{own}", text(this, "id"));
    // The administrator's service may end anybody's; it has none of its own.
    let (status, _) = server.json(Method::POST, &path, None).await;
    assert_eq!(status, 204);
    assert_eq!(server.status_with(token).await, 401);
    assert_eq!(refresh(&server, text(&tokens, "refresh_token")).await.0, 400);
    assert_eq!(server.json(Method::POST, &path, None).await.0, 204, "ended is ended");
    // A browser's, from its own page.
    let other = found.iter().find(|one| one["kind"] == "browser").expect("the browser's");
    browser.get("/sessions").await;
    let ended = browser.post("/sessions", &[("session", text(other, "id"))]).await;
    assert_eq!(ended.location.as_deref(), Some("/sessions"));
    let after = browser.get("/sessions").await;
    assert_eq!(after.location.as_deref(), Some("/signin?next=%2Fsessions"));
}

#[tokio::test]
async fn a_command_signs_out_and_nobody_learns_whether_a_token_was_one() {
    let (server, mut browser) = with_administrator().await;
    let tokens = signed_in(&server, &mut browser, &command()).await;
    let client = command();
    for token in ["hgr~nothing", "", text(&tokens, "refresh_token")] {
        let form = [("client_id", client.as_str()), ("token", token)];
        assert_eq!(server.oauth("revoke", &form).await.0, 200, "{token}");
    }
    assert_eq!(server.status_with(text(&tokens, "access_token")).await, 401);
}

fn challenge(verifier: &str) -> String {
    URL_SAFE_NO_PAD.encode(Sha256::digest(verifier))
}

const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
const REDIRECT: &str = "http://127.0.0.1:4711/signed-in";

fn authorize(redirect: &str, with: &[(&str, &str)]) -> String {
    let (client, challenge) = (command(), challenge(VERIFIER));
    let mut query = form_urlencoded::Serializer::new(String::new());
    query.extend_pairs([
        ("client_id", client.as_str()),
        ("redirect_uri", redirect),
        ("response_type", "code"),
        ("state", "s&t"),
        ("code_challenge", &challenge),
        ("code_challenge_method", "S256"),
    ]);
    query.extend_pairs(with);
    format!("/organizations/oauth2/v2.0/authorize?{}", query.finish())
}

async fn redeem(server: &Running, code: &str, redirect: &str, verifier: &str) -> (u16, Value) {
    let client = command();
    let form = [
        ("grant_type", "authorization_code"),
        ("client_id", client.as_str()),
        ("code", code),
        ("redirect_uri", redirect),
        ("code_verifier", verifier),
    ];
    server.oauth("token", &form).await
}

/// Lets the command in by a browser: the code.
async fn code_of(browser: &mut Browser) -> String {
    let asked = browser.get(&authorize(REDIRECT, &[])).await;
    assert_eq!(asked.status, 200, "{}", asked.body);
    let policy = asked.headers["content-security-policy"].to_str().expect("text");
    assert!(policy.ends_with("form-action 'self' http://127.0.0.1:4711"), "{policy}");
    let query = authorize(REDIRECT, &[]);
    let query = query.split_once('?').expect("a query").1.to_owned();
    let mut fields: Vec<(String, String)> = form_urlencoded::parse(query.as_bytes())
        .map(|(name, value)| (name.into_owned(), value.into_owned()))
        .collect();
    fields.push(("decision".to_owned(), "approve".to_owned()));
    let fields: Vec<(&str, &str)> =
        fields.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let back = browser.post("/organizations/oauth2/v2.0/authorize", &fields).await;
    let place = back.location.expect("back to the command");
    assert!(place.starts_with("http://127.0.0.1:4711/signed-in?code="), "{place}");
    assert!(place.contains("state=s%26t") && place.contains("iss=https"), "{place}");
    between(&place, "code=", "&").expect("a code").to_owned()
}

#[tokio::test]
async fn a_code_is_for_whoever_asked_and_one_that_comes_twice_ends_what_it_gave() {
    let (server, mut browser) = with_administrator().await;
    let code = code_of(&mut browser).await;
    let code =
        form_urlencoded::parse(format!("c={code}").as_bytes()).next().expect("one").1.into_owned();
    let (status, tokens) = redeem(&server, &code, REDIRECT, VERIFIER).await;
    assert_eq!(status, 200, "{tokens}");
    assert_eq!(server.status_with(text(&tokens, "access_token")).await, 200);
    let (status, again) = redeem(&server, &code, REDIRECT, VERIFIER).await;
    assert_eq!((status, text(&again, "error")), (400, "invalid_grant"));
    assert_eq!(server.status_with(text(&tokens, "access_token")).await, 401);
    assert_eq!(refresh(&server, text(&tokens, "refresh_token")).await.0, 400);
    // With another verifier, another address, or too late.
    let other = "0BjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
    for (redirect, verifier, after) in [
        (REDIRECT, other, 0),
        ("http://127.0.0.1:4712/signed-in", VERIFIER, 0),
        (REDIRECT, VERIFIER, 60),
    ] {
        let code = code_of(&mut browser).await.replace("%7E", "~");
        server.clock.pass(Duration::from_secs(after));
        assert_eq!(redeem(&server, &code, redirect, verifier).await.0, 400);
        assert_eq!(redeem(&server, &code, REDIRECT, VERIFIER).await.0, 400, "it is spoilt");
        // Who guesses waits; that is forgotten after a quarter of an hour.
        server.clock.pass(Duration::from_secs(900));
    }
}

#[tokio::test]
async fn a_code_is_sent_nowhere_but_to_the_machine_of_whoever_signs_in() {
    let (_server, mut browser) = with_administrator().await;
    for redirect in [
        "https://evil.example/signed-in",
        "http://evil.example:80/signed-in",
        "http://127.0.0.1:1@evil.example/signed-in",
        "http://localhost.evil.example:1/signed-in",
        "http://localhost:1/signed-in/../x",
        "javascript:alert(1)",
        "",
    ] {
        let refused = browser.get(&authorize(redirect, &[])).await;
        assert_eq!((refused.status, refused.location), (400, None), "{redirect}");
    }
    // What is wrong besides is told to the client, which is where it should be.
    let path = authorize(REDIRECT, &[]);
    for (from, to, error) in [
        ("response_type=code", "response_type=token", "unsupported_response_type"),
        ("method=S256", "method=plain", "invalid_request"),
        ("state=", "scope=https%3A%2F%2Fevil%2F.default&state=", "invalid_resource"),
        ("state=", "response_mode=fragment&state=", "invalid_request"),
        ("state=", "prompt=none&state=", "interaction_required"),
    ] {
        let told = browser.get(&path.replace(from, to)).await;
        let place = told.location.expect("back");
        assert!(place.starts_with(&format!("{REDIRECT}?error={error}&")), "{place}");
    }
    // Who is not signed in is asked to, and comes back.
    let mut nobody = browser;
    nobody.cookies.clear();
    let asked = nobody.get(&path).await;
    let place = asked.location.expect("to the sign-in");
    assert!(place.starts_with("/signin?next=%2Forganizations%2Foauth2"), "{place}");
    let page = nobody.get(&place).await;
    let next = between(&page.body, "name=\"next\" value=\"", "\"").expect("a place");
    let next = next.replace("&amp;", "&");
    let signed = nobody.sign_in(&next).await;
    assert_eq!(signed.location.as_deref(), Some(path.as_str()));
}

#[tokio::test]
async fn keys_rotate_by_hand_and_those_that_may_be_stolen_are_dropped() {
    let server = start().await;
    let token = server.token().await;
    let data = server.dir.path().join("data");
    let keys = format!("/{}/discovery/v2.0/keys", server.admin.tenant_id);
    let ids = async || {
        let found = server.client.get(server.url(&keys)).send().await.expect("an answer");
        let found: Value = found.json().await.expect("JSON");
        let keys = found["keys"].as_array().expect("keys").clone();
        keys.iter().map(|key| text(key, "kid").to_owned()).collect::<Vec<_>>()
    };
    let before = ids().await;
    assert_eq!(before.len(), 1);
    let fresh = hourgate_server::rotate_keys(&data, false).await.expect("rotated");
    assert_eq!(ids().await, [before[0].clone(), fresh.clone()]);
    assert_eq!(server.status_with(&token).await, 200, "its key is still known");
    let answer = server.token_call(&server.admin.client_secret).await;
    let answer: Value = answer.json().await.expect("JSON");
    let header = jsonwebtoken::decode_header(text(&answer, "access_token")).expect("a header");
    assert_eq!(header.kid.as_deref(), Some(fresh.as_str()));
    let last = hourgate_server::rotate_keys(&data, true).await.expect("rotated");
    assert_eq!(ids().await, std::slice::from_ref(&last));
    assert_eq!(server.status_with(&token).await, 401);
    assert_eq!(server.status_with(text(&answer, "access_token")).await, 401);
    // Also across a restart, and where no server runs.
    let at = server.ready.addresses[0].to_string();
    let mut server = server;
    server.stop().await;
    let offline = hourgate_server::rotate_keys(&data, true).await.expect("rotated");
    assert_ne!(offline, last);
    let wanted = Wanted { listen: vec![at.leak()], ..Wanted::default() };
    let server = server.restart(wanted).await;
    let answer: Value =
        server.token_call(&server.admin.client_secret).await.json().await.expect("JSON");
    let header = jsonwebtoken::decode_header(text(&answer, "access_token")).expect("a header");
    assert_eq!(header.kid.as_deref(), Some(offline.as_str()));
}

#[tokio::test]
async fn no_token_but_ours_lets_anybody_in() {
    use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
    let (server, key) = start_with_key().await;
    let token = server.token().await;
    let ours = jsonwebtoken::decode_header(&token).expect("a header");
    let good = claims(&token);
    let signed = |header: &Header, claims: &Value, key: &EncodingKey| {
        encode(header, claims, key).expect("a token")
    };
    assert_eq!(server.status_with(&signed(&ours, &good, &key)).await, 200, "as it should be");
    let with = |name: &str, value: Value| {
        let mut claims = good.clone();
        claims[name] = value;
        claims
    };
    let foreign = rcgen::KeyPair::generate().expect("a key");
    let foreign = EncodingKey::from_ec_der(foreign.serialized_der());
    let header =
        |kid: Option<&str>| Header { kid: kid.map(str::to_owned), ..Header::new(Algorithm::ES256) };
    let elsewhere = Header { jku: Some("https://evil.example/keys".to_owned()), ..ours.clone() };
    let path = format!("/{}/discovery/v2.0/keys", server.admin.tenant_id);
    let keys = server.client.get(server.url(&path)).send().await.expect("an answer");
    let keys = keys.text().await.expect("a body");
    let symmetric = Header { alg: Algorithm::HS256, ..ours.clone() };
    let public = EncodingKey::from_secret(keys.as_bytes());
    let encoded = |part: &Value| URL_SAFE_NO_PAD.encode(part.to_string());
    let unsigned = |alg: &str| {
        let head = serde_json::json!({ "alg": alg, "typ": "JWT", "kid": ours.kid });
        format!("{}.{}.", encoded(&head), encoded(&good))
    };
    let now = hourgate_core::time::Clock::now(&*server.clock).wall.as_second();
    for (why, bad) in [
        ("expired", signed(&ours, &with("exp", (now - 1).into()), &key)),
        ("for another", signed(&ours, &with("aud", "https://evil.example".into()), &key)),
        (
            "of another tenant",
            signed(&ours, &with("tid", uuid::Uuid::nil().to_string().into()), &key),
        ),
        ("for a secret that is none", signed(&ours, &with("cred", "00".into()), &key)),
        ("of nobody", signed(&ours, &with("appid", uuid::Uuid::nil().to_string().into()), &key)),
        ("by another key under our name", signed(&ours, &good, &foreign)),
        ("by a key that is none of ours", signed(&header(Some("mine")), &good, &foreign)),
        ("by a key without a name", signed(&header(None), &good, &foreign)),
        ("by a key that lies elsewhere", signed(&elsewhere, &good, &foreign)),
        ("by our public key as a secret", signed(&symmetric, &good, &public)),
        ("by nobody", unsigned("none")),
        ("by nobody, again", unsigned("None")),
        ("with no signature", unsigned("ES256")),
        ("too long", format!("{token}{}", "x".repeat(9_000))),
    ] {
        for call in ["first", "second"] {
            assert_eq!(server.status_with(&bad).await, 401, "{why}, {call} call");
        }
    }
    // Many names of keys cost nothing, and nobody is asked for them.
    for n in 0..200 {
        let flood = signed(&header(Some(&n.to_string())), &good, &foreign);
        assert_eq!(server.status_with(&flood).await, 401);
    }
    assert_eq!(server.status_with(&token).await, 200);
}
