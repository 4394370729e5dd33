//! Whom a token is for: this server, by any of its own names, and nobody else.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::Value;

use crate::harness::{Running, Wanted, fresh_dir, start_in, start_with_key};

const WHOAMI: &str = "/whoami?api-version=2026-11-01";

async fn behind_a_public_url() -> Running {
    let wanted = Wanted::config("public_url = \"https://hourgate.example.com/\"");
    start_in(fresh_dir(), wanted).await.expect("a server")
}

fn port(server: &Running) -> u16 {
    server.ready.addresses[0].port()
}

fn claims(token: &str) -> Value {
    let payload = token.split('.').nth(1).expect("three parts");
    let payload = URL_SAFE_NO_PAD.decode(payload).expect("base64");
    serde_json::from_slice(&payload).expect("claims")
}

async fn status_with(server: &Running, token: &str) -> u16 {
    let call = server.client.get(server.url(WHOAMI)).bearer_auth(token);
    call.send().await.expect("an answer").status().as_u16()
}

#[tokio::test]
async fn tokens_are_given_for_every_name_of_this_server() {
    let server = behind_a_public_url().await;
    let port = port(&server);
    let secret = &server.admin.client_secret;
    let local = format!("https://localhost:{port}");
    for (wanted, audience) in [
        (vec![("scope", "https://hourgate.example.com/.default".to_owned())], None),
        (vec![("scope", "https://hourgate.example.com//.default".to_owned())], None),
        (vec![("scope", "https://hourgate.example.com:443/.default".to_owned())], None),
        (vec![("scope", "HTTPS://HOURGATE.example.com/.default".to_owned())], None),
        (vec![("resource", "https://hourgate.example.com/".to_owned())], None),
        (vec![("resource", "https://hourgate.example.com".to_owned())], None),
        // az, for a device: scopes of OpenID Connect stand beside the resource.
        (
            vec![(
                "scope",
                "https://hourgate.example.com//.default offline_access openid profile".to_owned(),
            )],
            None,
        ),
        // Nobody named: there is one server.
        (vec![], None),
        (vec![("scope", String::new())], None),
        (vec![("scope", format!("{local}/.default"))], Some(local.clone())),
        (vec![("scope", format!("{local}//.default"))], Some(local.clone())),
        (
            vec![("scope", format!("https://127.0.0.1:{port}/.default"))],
            Some(format!("https://127.0.0.1:{port}")),
        ),
        (
            vec![("scope", format!("https://[::1]:{port}/.default"))],
            Some(format!("https://[::1]:{port}")),
        ),
    ] {
        let fields: Vec<(&str, &str)> =
            wanted.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let answer = server.token_for(secret, &fields).await;
        assert_eq!(answer.status(), 200, "{wanted:?}");
        let answer: Value = answer.json().await.expect("JSON");
        let token = answer["access_token"].as_str().expect("a token");
        let audience = audience.as_deref().unwrap_or("https://hourgate.example.com");
        assert_eq!(claims(token)["aud"], audience, "{wanted:?}");
        assert_eq!(status_with(&server, token).await, 200, "{wanted:?}");
    }
}

#[tokio::test]
async fn no_token_is_given_for_anybody_else() {
    let server = behind_a_public_url().await;
    let port = port(&server);
    let secret = &server.admin.client_secret;
    let own = format!("https://localhost:{port}/.default");
    for wanted in [
        vec![("scope", "https://graph.evil/.default".to_owned())],
        vec![("resource", "https://graph.evil".to_owned())],
        vec![("scope", "https://management.azure.com//.default".to_owned())],
        vec![("scope", format!("http://localhost:{port}/.default"))],
        vec![("scope", "https://localhost:1/.default".to_owned())],
        vec![("scope", "https://localhost/.default".to_owned())],
        vec![("scope", format!("https://localhost:{port}.evil/.default"))],
        vec![("scope", format!("https://localhost:{port}@graph.evil/.default"))],
        vec![("scope", format!("https://localhost:{port}/path/.default"))],
        vec![("scope", format!("https://localhost:{port}?x/.default"))],
        vec![("scope", "https://hourgate.example.com:8443/.default".to_owned())],
        vec![("scope", "https://evil-hourgate.example.com/.default".to_owned())],
        vec![("scope", "hourgate.example.com/.default".to_owned())],
        // None of several, and neither of two ways to say it, may be another's.
        vec![("scope", format!("{own} https://graph.evil/.default"))],
        vec![("scope", own.clone()), ("resource", "https://graph.evil".to_owned())],
    ] {
        let fields: Vec<(&str, &str)> =
            wanted.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let answer = server.token_for(secret, &fields).await;
        assert_eq!(answer.status(), 400, "{wanted:?}");
        let answer: Value = answer.json().await.expect("JSON");
        assert_eq!(answer["error"], "invalid_resource", "{wanted:?}");
        let why = answer["error_description"].as_str().expect("a text");
        assert!(why.starts_with("AADSTS500011: "), "{why}");
        assert!(why.contains("'https://hourgate.example.com/.default'"), "{why}");
    }
    let signed_in = {
        let notes = server.notes.lock().expect("no panic");
        notes.iter().filter(|note| format!("{note:?}").starts_with("SignedIn")).count()
    };
    assert_eq!(signed_in, 0, "nobody was let in");
}

#[tokio::test]
async fn a_token_for_another_lets_nobody_in_on_any_call() {
    let (server, key) = start_with_key().await;
    let token = server.token().await;
    let signed = |audience: &str| {
        let mut claims = claims(&token);
        claims["aud"] = audience.into();
        let header = jsonwebtoken::decode_header(&token).expect("a header");
        jsonwebtoken::encode(&header, &claims, &key).expect("a token")
    };
    // What tells the two apart is the audience alone.
    for (audience, status) in [
        (server.ready.url.as_str(), 200),
        ("https://graph.evil", 401),
        ("https://management.azure.com/", 401),
        ("", 401),
    ] {
        let token = signed(audience);
        for call in ["first", "second"] {
            assert_eq!(status_with(&server, &token).await, status, "{audience:?}, {call} call");
        }
    }
}

#[tokio::test]
async fn a_token_for_a_name_that_the_server_had_once_is_for_another() {
    let server = behind_a_public_url().await;
    let scope = "https://hourgate.example.com/.default";
    let answer = server.token_for(&server.admin.client_secret, &[("scope", scope)]).await;
    let answer: Value = answer.json().await.expect("JSON");
    let token = answer["access_token"].as_str().expect("a token");
    assert_eq!(status_with(&server, token).await, 200);
    let server = server.restart(Wanted::default()).await;
    assert_eq!(status_with(&server, token).await, 401);
}
