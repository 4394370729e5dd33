//! Local accounts and service accounts, by their routes.

use std::time::Duration;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use hourgate_core::event::Note;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    browser::{Browser, PASSWORD},
    harness::{Running, Wanted, fresh_dir, start, start_in},
};

const JWT_BEARER: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

impl Running {
    async fn own(&self, method: Method, path: &str, body: Option<Value>) -> (u16, Value) {
        let path = format!("{}/providers/Hourgate.Access/{path}?api-version=2026-11-01", self.s());
        let body = body.map(|body| body.to_string());
        let answer = self.call(method, &path, body.as_deref()).await;
        let status = answer.status().as_u16();
        let text = answer.text().await.expect("a body");
        (status, serde_json::from_str(&text).unwrap_or(Value::Null))
    }

    async fn made(&self, path: &str, body: Value) -> Value {
        let (status, made) = self.own(Method::POST, path, Some(body)).await;
        assert_eq!(status, 201, "{made}");
        made
    }

    async fn with_secret(&self, client: &str, secret: &str) -> (u16, Value) {
        let form = [
            ("grant_type", "client_credentials"),
            ("client_id", client),
            ("client_secret", secret),
        ];
        self.oauth("token", &form).await
    }

    async fn with_assertion(&self, assertion: &str) -> (u16, Value) {
        let form = [
            ("grant_type", "client_credentials"),
            ("client_assertion_type", JWT_BEARER),
            ("client_assertion", assertion),
        ];
        self.oauth("token", &form).await
    }
}

fn text<'a>(answer: &'a Value, name: &str) -> &'a str {
    answer[name].as_str().expect("a text of that name in the answer")
}

/// A service account with a secret: its client id, its secret, the secret's id.
async fn service(server: &Running) -> (String, String, String) {
    let made = server.made("serviceAccounts", json!({ "displayName": "pipeline" })).await;
    let client = text(&made, "clientId").to_owned();
    let path = format!("serviceAccounts/{client}/secrets");
    let added = server.made(&path, json!({ "displayName": "first" })).await;
    let id = text(&added["credential"], "id").to_owned();
    (client, text(&added, "secret").to_owned(), id)
}

/// Sets a password by a link, and signs in with it.
async fn come_in(server: &Running, link: &str) -> Browser {
    let mut browser = Browser::at(server);
    let path = link.strip_prefix(&server.ready.url).expect("a link to here").to_owned();
    assert_eq!(browser.get(&path).await.status, 200);
    let secret = path.split_once('=').expect("a secret").1.to_owned();
    let fields = [("link", secret.as_str()), ("password", PASSWORD), ("again", PASSWORD)];
    let done = browser.post("/welcome", &fields).await;
    assert_eq!(done.location.as_deref(), Some("/factors"), "{} {}", done.status, done.body);
    browser
}

#[tokio::test]
async fn an_account_is_made_disabled_reset_and_removed() {
    let server = start().await;
    let made = server.made("accounts", json!({ "name": "Bob", "displayName": "Bob B." })).await;
    let (account, link) = (&made["account"], text(&made, "link"));
    assert_eq!((text(account, "name"), text(account, "displayName")), ("bob", "Bob B."));
    assert_eq!((&account["enabled"], &account["hasPassword"]), (&json!(true), &json!(false)));
    let own = format!("accounts/{}", text(account, "id"));
    let mut browser = come_in(&server, link).await;
    assert_eq!(browser.get("/sessions").await.status, 200);
    let (status, shown) = server.own(Method::GET, &own, None).await;
    assert_eq!((status, &shown["hasPassword"]), (200, &json!(true)));
    let (_, list) = server.own(Method::GET, "accounts", None).await;
    assert_eq!(list["value"], json!([shown]));

    let (status, disabled) = server.own(Method::POST, &format!("{own}/disable"), None).await;
    assert_eq!((status, &disabled["enabled"]), (200, &json!(false)));
    assert_ne!(browser.get("/sessions").await.status, 200, "out at once");
    let refused = sign_in(&server, "bob").await;
    assert_ne!(refused, 303, "and does not come in again");
    let (_, enabled) = server.own(Method::POST, &format!("{own}/enable"), None).await;
    assert_eq!(enabled["enabled"], true);
    assert_eq!(sign_in(&server, "bob").await, 303);

    let (status, reset) = server.own(Method::POST, &format!("{own}/reset"), None).await;
    assert_eq!((status, &reset["account"]["hasPassword"]), (200, &json!(false)));
    assert_ne!(sign_in(&server, "bob").await, 303, "the old password is gone");
    let mut browser = come_in(&server, text(&reset, "link")).await;
    let (status, _) = server.own(Method::DELETE, &own, None).await;
    assert_eq!(status, 200);
    assert_ne!(browser.get("/sessions").await.status, 200);
    assert_eq!(server.own(Method::DELETE, &own, None).await.0, 204);
    assert_eq!(server.own(Method::GET, &own, None).await.0, 404);
    let notes = server.notes.lock().expect("no panic").clone();
    let told = format!("{notes:?}");
    assert!(!told.contains(PASSWORD) && !told.contains("hg~"), "no secret is in the log");
    assert!(notes.iter().any(|note| matches!(note, Note::AccountRemoved { .. })));
}

/// The status of a sign-in with name and password, from a browser of its own.
async fn sign_in(server: &Running, login: &str) -> u16 {
    let mut browser = Browser::at(server);
    browser.get("/signin").await;
    browser.post("/signin", &[("login", login), ("password", PASSWORD)]).await.status
}

#[tokio::test]
async fn a_service_comes_in_with_a_secret_until_that_is_removed_or_over() {
    let server = start().await;
    let (client, secret, id) = service(&server).await;
    let (status, answer) = server.with_secret(&client, &secret).await;
    assert_eq!(status, 200, "{answer}");
    let token = text(&answer, "access_token").to_owned();
    assert_eq!(server.status_with(&token).await, 200);
    for (client, secret) in [
        (client.as_str(), "hg~wrong"),
        ("11111111-1111-4111-8111-111111111111", secret.as_str()),
        (&server.admin.client_id.to_string(), &secret),
        (&client, &server.admin.client_secret),
    ] {
        let (status, answer) = server.with_secret(client, secret).await;
        assert_eq!((status, text(&answer, "error")), (401, "invalid_client"));
    }
    let path = format!("serviceAccounts/{client}/secrets");
    let in_a_minute = hourgate_server::clock::SystemClock::new().expect("a clock");
    let at = hourgate_core::time::Clock::now(&in_a_minute).wall + Duration::from_secs(60);
    let short = server.made(&path, json!({ "displayName": "short", "endsAt": at })).await;
    let (status, answer) = server.with_secret(&client, text(&short, "secret")).await;
    assert_eq!(status, 200);
    let of_short = text(&answer, "access_token").to_owned();
    server.clock.pass(Duration::from_secs(61));
    assert_eq!(server.with_secret(&client, text(&short, "secret")).await.0, 401);
    assert_eq!(server.status_with(&of_short).await, 401, "its tokens end with it");
    assert_eq!(server.status_with(&token).await, 200, "the other's go on");
    let own = format!("serviceAccounts/{client}");
    let (status, _) = server.own(Method::DELETE, &format!("{own}/credentials/{id}"), None).await;
    assert_eq!(status, 200);
    assert_eq!(server.status_with(&token).await, 401, "dead with the next call");
    assert_eq!(server.with_secret(&client, &secret).await.0, 401);
    assert_eq!(server.own(Method::DELETE, &format!("{own}/credentials/{id}"), None).await.0, 204);
}

#[tokio::test]
async fn a_disabled_or_removed_service_is_out_at_once() {
    let server = start().await;
    let (client, secret, _) = service(&server).await;
    let own = format!("serviceAccounts/{client}");
    let token = text(&server.with_secret(&client, &secret).await.1, "access_token").to_owned();
    let (status, shown) = server.own(Method::POST, &format!("{own}/disable"), None).await;
    assert_eq!((status, &shown["enabled"]), (200, &json!(false)));
    assert_eq!(server.status_with(&token).await, 401);
    assert_eq!(server.with_secret(&client, &secret).await.0, 401);
    server.own(Method::POST, &format!("{own}/enable"), None).await;
    assert_eq!(server.status_with(&token).await, 200);
    assert_eq!(server.own(Method::DELETE, &own, None).await.0, 200);
    assert_eq!(server.status_with(&token).await, 401);
    assert_eq!(server.with_secret(&client, &secret).await.0, 401);
    assert_eq!(server.own(Method::DELETE, &own, None).await.0, 204);
    assert_eq!(server.own(Method::GET, "serviceAccounts", None).await.1["value"], json!([]));
}

#[tokio::test]
async fn a_service_signs_assertions_that_hold_once_also_after_a_restart() {
    let dir = fresh_dir();
    let server = start_in(dir, Wanted::default()).await.expect("a server");
    let made = server.made("serviceAccounts", json!({ "displayName": "signer" })).await;
    let client = text(&made, "clientId").to_owned();
    let pair = rcgen::KeyPair::generate().expect("a key");
    let point = pair.public_key_raw();
    let jwk = json!({
        "kty": "EC", "crv": "P-256", "kid": "k", "use": "sig", "key_ops": ["verify"],
        "x": URL_SAFE_NO_PAD.encode(&point[1..33]),
        "y": URL_SAFE_NO_PAD.encode(&point[33..]),
    });
    let path = format!("serviceAccounts/{client}/keys");
    let added = server.made(&path, json!({ "displayName": "key", "jwk": jwk })).await;
    assert_eq!(text(&added, "kind"), "key");
    let key = EncodingKey::from_ec_der(pair.serialized_der());
    let sign = |number: &str, audience: String| {
        let clock = hourgate_server::clock::SystemClock::new().expect("a clock");
        let now = hourgate_core::time::Clock::now(&clock).wall.as_second();
        let claims = json!({
            "iss": client, "sub": client, "aud": audience, "exp": now + 500, "jti": number,
        });
        jsonwebtoken::encode(&Header::new(Algorithm::ES256), &claims, &key).expect("signed")
    };
    let tenant = server.admin.tenant_id;
    let route = format!("{}/{tenant}/oauth2/v2.0/token", server.ready.url);
    let issuer = format!("{}/{tenant}/v2.0", server.ready.url);
    for (number, audience) in [("one", route.clone()), ("two", issuer)] {
        let (status, answer) = server.with_assertion(&sign(number, audience)).await;
        assert_eq!(status, 200, "{answer}");
        assert_eq!(server.status_with(text(&answer, "access_token")).await, 200);
    }
    for (what, assertion) in [
        ("a second time", sign("one", route.clone())),
        ("for another server", sign("three", format!("https://evil.example/{tenant}/v2.0"))),
        ("for another tenant", sign("three", format!("{}/other/v2.0", server.ready.url))),
        ("for no route of ours", sign("three", server.ready.url.clone())),
    ] {
        let (status, answer) = server.with_assertion(&assertion).await;
        assert_eq!((status, text(&answer, "error")), (401, "invalid_client"), "{what}");
    }
    let form = [
        ("grant_type", "client_credentials"),
        ("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:saml2-bearer"),
        ("client_assertion", "x"),
    ];
    assert_eq!(server.oauth("token", &form).await.0, 400);
    let url = server.ready.url.clone();
    let server = server.restart(Wanted::default()).await;
    let again = sign("one", route.replace(&url, &server.ready.url));
    let (status, answer) = server.with_assertion(&again).await;
    assert_eq!((status, text(&answer, "error")), (401, "invalid_client"), "after a restart");
}

#[tokio::test]
async fn whoever_has_no_right_learns_nothing_and_changes_nothing() {
    let server = start().await;
    let made = server.made("accounts", json!({ "name": "bob" })).await;
    let bob = text(&made["account"], "id").to_owned();
    let (client, secret, id) = service(&server).await;
    let token = text(&server.with_secret(&client, &secret).await.1, "access_token").to_owned();
    let nobody = "99999999-9999-4999-8999-999999999999";
    let routes = [
        (Method::GET, "accounts".to_owned()),
        (Method::POST, "accounts".to_owned()),
        (Method::GET, format!("accounts/{bob}")),
        (Method::GET, format!("accounts/{nobody}")),
        (Method::DELETE, format!("accounts/{bob}")),
        (Method::DELETE, format!("accounts/{nobody}")),
        (Method::POST, format!("accounts/{bob}/disable")),
        (Method::POST, format!("accounts/{nobody}/disable")),
        (Method::POST, format!("accounts/{bob}/reset")),
        (Method::GET, "serviceAccounts".to_owned()),
        (Method::POST, "serviceAccounts".to_owned()),
        (Method::GET, format!("serviceAccounts/{client}")),
        (Method::DELETE, format!("serviceAccounts/{client}")),
        (Method::POST, format!("serviceAccounts/{client}/disable")),
        (Method::POST, format!("serviceAccounts/{nobody}/disable")),
        (Method::POST, format!("serviceAccounts/{client}/secrets")),
        (Method::POST, format!("serviceAccounts/{nobody}/secrets")),
        (Method::DELETE, format!("serviceAccounts/{client}/credentials/{id}")),
    ];
    let body = json!({ "name": "eve", "displayName": "Eve" });
    for (method, route) in routes {
        let path =
            format!("{}/providers/Hourgate.Access/{route}?api-version=2026-11-01", server.s());
        for (token, expected) in [(Some(token.as_str()), 403), (None, 401)] {
            let mut call = server.client.request(method.clone(), server.url(&path));
            if let Some(token) = token {
                call = call.bearer_auth(token);
            }
            if method == Method::POST {
                // Whoever is made has a name of their own; a service has what it is shown as alone.
                let named = route.ends_with("accounts");
                let sent = if named { body.clone() } else { json!({ "displayName": "Eve" }) };
                call = call.json(&sent);
            }
            let status = call.send().await.expect("an answer").status().as_u16();
            assert_eq!(status, expected, "{method} {route}");
        }
    }
    let (_, list) = server.own(Method::GET, "accounts", None).await;
    assert_eq!(list["value"].as_array().map(Vec::len), Some(1));
    let (_, list) = server.own(Method::GET, "serviceAccounts", None).await;
    assert_eq!(list["value"].as_array().map(Vec::len), Some(1));
    assert_eq!(list["value"][0]["credentials"].as_array().map(Vec::len), Some(1));
}

#[tokio::test]
async fn bad_bodies_are_told_what_is_wrong_and_make_nothing() {
    let server = start().await;
    server.made("accounts", json!({ "name": "bob" })).await;
    let (client, _, _) = service(&server).await;
    let of = |sort: &str| format!("serviceAccounts/{client}/{sort}");
    let jwk = json!({ "kty": "OKP", "crv": "Ed25519", "x": URL_SAFE_NO_PAD.encode([9; 32]) });
    let mut private = jwk.clone();
    private["d"] = json!("AAAA");
    for (path, body, status, code) in [
        ("accounts", json!({}), 400, "InvalidRequestContent"),
        ("accounts", json!({ "name": 7 }), 400, "InvalidRequestContent"),
        ("accounts", json!({ "name": "eve", "nmae": 1 }), 400, "InvalidRequestContent"),
        ("accounts", json!({ "name": "" }), 400, "InvalidParameter"),
        ("accounts", json!({ "name": "e\u{202e}ve" }), 400, "InvalidParameter"),
        ("accounts", json!({ "name": "eve", "displayName": "\u{7}" }), 400, "InvalidParameter"),
        ("accounts", json!({ "name": "BOB" }), 409, "AccountNameTaken"),
        ("serviceAccounts", json!({ "displayName": " " }), 400, "InvalidParameter"),
        (
            &of("secrets"),
            json!({ "displayName": "x", "endsAt": "2001-01-01T00:00:00Z" }),
            400,
            "InvalidParameter",
        ),
        (&of("secrets"), json!({ "displayName": "x", "endsAt": "soon" }), 400, "InvalidParameter"),
        (&of("keys"), json!({ "displayName": "x", "jwk": private }), 400, "InvalidParameter"),
        (&of("keys"), json!({ "displayName": "x", "jwk": "text" }), 400, "InvalidRequestContent"),
        (
            &of("trusts"),
            json!({ "displayName": "x", "issuer": "http://i", "subject": "s",
            "audience": "a" }),
            400,
            "InvalidParameter",
        ),
        (
            "serviceAccounts/99999999-9999-4999-8999-999999999999/secrets",
            json!({ "displayName": "x" }),
            404,
            "ResourceNotFound",
        ),
        (
            "accounts/99999999-9999-4999-8999-999999999999/disable",
            json!({}),
            404,
            "ResourceNotFound",
        ),
    ] {
        let (found, answer) = server.own(Method::POST, path, Some(body.clone())).await;
        let told = answer["error"]["code"].as_str().unwrap_or_default();
        assert_eq!((found, told), (status, code), "{path} {body}: {answer}");
        assert!(!answer.to_string().contains('\u{202e}'));
    }
    let (_, list) = server.own(Method::GET, "accounts", None).await;
    assert_eq!(list["value"].as_array().map(Vec::len), Some(1));
    let (_, list) = server.own(Method::GET, "serviceAccounts", None).await;
    assert_eq!(list["value"][0]["credentials"].as_array().map(Vec::len), Some(1));
}
