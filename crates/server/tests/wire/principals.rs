//! People, groups and services that are made known before they sign in; and what one is told of oneself.

use std::time::Duration;

use hourgate_core::role::built_in::{JIT_REQUESTER, READER};
use reqwest::Method;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::harness::{ISSUER, Running, start};

const V: &str = "api-version=2026-11-01";

fn path(server: &Running, rest: &str) -> String {
    let join = if rest.contains('?') { "&" } else { "?" };
    format!("{}/providers/Hourgate.Access/principals{rest}{join}{V}", server.s())
}

fn ops() -> Value {
    json!({"properties": {
        "type": "Group", "issuer": ISSUER, "subject": "ops", "displayName": "Operations",
    }})
}

#[tokio::test]
async fn a_group_is_made_known_found_named_anew_and_forgotten() {
    let server = start().await;
    let (status, shown) = server.json(Method::POST, &path(&server, ""), Some(&ops())).await;
    assert_eq!(status, 201, "{shown}");
    let id = shown["name"].as_str().expect("an id").to_owned();
    let mut properties = ops()["properties"].clone();
    properties["disabled"] = json!(false);
    let expected = json!({
        "id": format!("{}/providers/Hourgate.Access/principals/{id}", server.s()),
        "name": id,
        "type": "Hourgate.Access/principals",
        "properties": properties,
    });
    assert_eq!(shown, expected);
    let one = path(&server, &format!("/{id}"));
    assert_eq!(server.json(Method::GET, &one, None).await, (200, shown.clone()));
    assert_eq!(server.json(Method::PUT, &one, Some(&shown)).await, (200, shown.clone()));
    let mut named = shown.clone();
    named["properties"]["displayName"] = json!("Ops");
    assert_eq!(server.json(Method::POST, &path(&server, ""), Some(&named)).await, (200, named));
    for filter in ["displayName eq 'ops'", "type eq 'Group' and issuer eq 'https://people.example'"]
    {
        let list = path(&server, &format!("?$filter={filter}"));
        let (_, list) = server.json(Method::GET, &list, None).await;
        assert_eq!(list["value"].as_array().map(Vec::len), Some(1), "{filter}: {list}");
        assert_eq!(list["value"][0]["name"], json!(id));
    }
    let none = path(&server, "?$filter=subject eq 'nobody'");
    assert_eq!(server.json(Method::GET, &none, None).await, (200, json!({"value": []})));
    assert_eq!(server.json(Method::DELETE, &one, None).await.0, 200);
    assert_eq!(server.json(Method::DELETE, &one, None).await.0, 204);
    assert_eq!(server.json(Method::GET, &one, None).await.0, 404);
}

#[tokio::test]
async fn pages_of_those_who_are_known_follow_one_another() {
    let server = start().await;
    for n in 0..501 {
        server.group(&format!("group {n}")).await;
    }
    let (mut next, mut found) = (Some(server.url(&path(&server, "?$filter=type eq 'Group'"))), 0);
    let mut pages = 0;
    while let Some(url) = next {
        let answer = server.client.get(url).bearer_auth(server.token().await).send().await;
        let list: Value = answer.expect("an answer").json().await.expect("JSON");
        found += list["value"].as_array().map_or(0, Vec::len);
        next = list["nextLink"].as_str().map(str::to_owned);
        pages += 1;
    }
    assert_eq!((found, pages), (501, 2));
}

#[tokio::test]
async fn who_cannot_be_made_known_is_told() {
    let server = start().await;
    let with = |name: &str, value: Value| {
        let mut body = ops();
        body["properties"][name] = value;
        body
    };
    let all = path(&server, "");
    let wrong = path(&server, "/22222222-2222-4333-8444-555555555555");
    let rows = [
        (Method::PUT, &wrong, ops(), 400, "InvalidPrincipalId", "follows"),
        (Method::POST, &all, json!({}), 400, "InvalidRequestContent", "'properties' is missing"),
        (Method::POST, &all, with("type", json!("Robot")), 400, "InvalidParameter", "'Group'"),
        (
            Method::POST,
            &all,
            with("issuer", json!("http://x")),
            400,
            "InvalidParameter",
            "no issuer",
        ),
        (
            Method::POST,
            &all,
            with("issuer", json!("https://x y")),
            400,
            "InvalidParameter",
            "no issuer",
        ),
        (Method::POST, &all, with("subject", json!("")), 400, "InvalidParameter", "is no name"),
        (
            Method::POST,
            &all,
            with("displayName", json!("\u{1b}[2J")),
            400,
            "InvalidParameter",
            "is no name",
        ),
        (
            Method::POST,
            &all,
            with("displayName", json!("x".repeat(257))),
            400,
            "InvalidParameter",
            "is no name",
        ),
        (
            Method::POST,
            &all,
            with("displyName", json!("x")),
            400,
            "InvalidRequestContent",
            "Did you mean",
        ),
        (
            Method::POST,
            &all,
            json!({"properties": {
                "type": "User", "issuer": "hourgate:local", "subject": "eve", "displayName": "Eve",
            }}),
            400,
            "InvalidParameter",
            "made as accounts",
        ),
    ];
    for (method, path, body, status, code, says) in rows {
        let (got, answer) = server.json(method, path, Some(&body)).await;
        assert_eq!((got, &answer["error"]["code"]), (status, &json!(code)), "{body}: {answer}");
        let message = answer["error"]["message"].as_str().unwrap_or_default();
        assert!(message.contains(says), "{body}: {answer}");
        assert!(!answer.to_string().contains('\u{1b}'));
    }
    let (_, list) = server.json(Method::GET, &all, None).await;
    assert_eq!(list["value"].as_array().map(Vec::len), Some(1), "the administrator alone");
}

#[tokio::test]
async fn who_is_disabled_is_out_at_once_and_back_when_enabled() {
    let server = start().await;
    let anna = server.person("anna", &[]).await;
    server.give(READER, "", anna).await;
    let whoami = "/whoami?api-version=2026-11-01";
    let disable = path(&server, &format!("/{anna}/disable"));
    let enable = path(&server, &format!("/{anna}/enable"));
    assert_eq!(server.json_as(anna, Method::GET, whoami, None).await.0, 200);
    let (status, shown) = server.json(Method::POST, &disable, None).await;
    assert_eq!((status, &shown["properties"]["disabled"]), (200, &json!(true)));
    assert_eq!(server.json_as(anna, Method::GET, whoami, None).await.0, 401);
    assert_eq!(server.json(Method::POST, &enable, None).await.0, 200);
    assert_eq!(server.json_as(anna, Method::GET, whoami, None).await.0, 200);
    // Nobody who only reads disables somebody; and nobody leaves the house without a key.
    assert_eq!(server.json_as(anna, Method::POST, &disable, None).await.0, 403);
    let (_, me) = server.json(Method::GET, whoami, None).await;
    let own = path(&server, &format!("/{}/disable", me["id"].as_str().expect("an id")));
    let (status, answer) = server.json(Method::POST, &own, None).await;
    assert_eq!((status, &answer["error"]["code"]), (409, &json!("LastOwner")));
    let nobody = path(&server, &format!("/{}/disable", Uuid::nil()));
    assert_eq!(server.json(Method::POST, &nobody, None).await.0, 404);
}

#[tokio::test]
async fn one_is_told_ones_roles_and_groups_and_whether_those_still_count() {
    let server = start().await;
    server.register("rg1", "web-1", &["10.9.0.4"]).await;
    let ops = server.group("ops").await;
    let anna = server.person("anna", &[ops]).await;
    server.give(JIT_REQUESTER, "/resourceGroups/rg1", ops).await;
    server.give(READER, "", anna).await;
    let me = async || {
        let (status, me) =
            server.json_as(anna, Method::GET, "/whoami?api-version=2026-11-01", None).await;
        assert_eq!(status, 200);
        me
    };
    let seen = me().await;
    let mut roles = seen["roles"].as_array().expect("roles").clone();
    roles.sort_by_key(ToString::to_string);
    let scope = format!("{}/resourceGroups/rg1", server.s());
    let expected = [
        json!({"role": "JIT Access Requester", "scope": scope, "through": ops}),
        json!({"role": "Reader", "scope": server.s()}),
    ];
    assert_eq!(roles, expected);
    assert_eq!(seen["groups"], json!([{"id": ops, "name": "ops"}]));
    assert_eq!((&seen["groupsCount"], &seen["groupsHold"]), (&json!(true), &json!("PT1H")));
    server.clock.pass(Duration::from_secs(3_601));
    let seen = me().await;
    assert_eq!(seen["groupsCount"], json!(false));
    assert_eq!(seen["roles"], json!([{"role": "Reader", "scope": server.s()}]));
}
