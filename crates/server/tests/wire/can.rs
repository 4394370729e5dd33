//! May I, and if not, what is missing?

use std::time::Duration;

use hourgate_core::role::built_in::{JIT_REQUESTER, OWNER, READER};
use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::{Running, start};

fn path(server: &Running, rest: &str) -> String {
    let vm = server.vm_id("rg1", "web-1");
    format!("{}/providers/Hourgate.Access/can?vm={vm}&{rest}&api-version=2026-11-01", server.s())
}

fn codes(answer: &Value) -> Vec<&str> {
    let reasons = answer["reasons"].as_array().expect("reasons").iter();
    reasons.map(|reason| reason["code"].as_str().expect("a code")).collect()
}

#[tokio::test]
async fn whoever_may_ask_is_told_so_and_by_which_policy() {
    let server = start().await;
    let policy = server.protect().await;
    let anna = server.person("anna", &[]).await;
    server.give(JIT_REQUESTER, "/resourceGroups/rg1", anna).await;
    let (status, answer) = server.json_as(anna, Method::GET, &path(&server, "port=22"), None).await;
    let expected = json!({
        "allowed": true,
        "principal": {"id": anna, "name": "anna"},
        "vm": server.vm_id("rg1", "web-1"),
        "port": 22,
        "policy": policy,
        "reasons": [],
    });
    assert_eq!((status, answer), (200, expected));
    // What is told comes true.
    let ask = format!("{policy}/initiate?api-version=2020-01-01");
    let (status, answer) =
        server.json_as(anna, Method::POST, &ask, Some(&server.ask_body("web-1", 22))).await;
    assert_eq!(status, 202, "{answer}");
}

#[tokio::test]
async fn each_thing_that_is_missing_is_told() {
    let server = start().await;
    server.protect().await;
    let ask = async |who, rest: &str| {
        let (status, answer) = server.json_as(who, Method::GET, &path(&server, rest), None).await;
        assert_eq!(status, 200, "{answer}");
        assert_eq!(answer["allowed"], json!(answer["reasons"] == json!([])));
        answer
    };
    // A reader sees the policy, and lacks the role; who can give it is named.
    let ben = server.person("ben", &[]).await;
    server.give(READER, "", ben).await;
    let boss = server.person("the boss", &[]).await;
    server.give(OWNER, "/resourceGroups/rg1", boss).await;
    let answer = ask(ben, "port=22").await;
    assert_eq!(codes(&answer), ["RoleNeeded"]);
    let reason = &answer["reasons"][0];
    assert_eq!(reason["scope"], json!(server.vm_id("rg1", "web-1")));
    let action = "Microsoft.Security/locations/jitNetworkAccessPolicies/initiate/action";
    assert_eq!(reason["action"], json!(action));
    let roles = reason["roles"].as_array().expect("roles");
    assert!(roles.contains(&json!("JIT Access Requester")) && !roles.contains(&json!("Reader")));
    assert!(reason["givenBy"].as_array().expect("people").contains(&json!("the boss")));
    assert!(reason["message"].as_str().is_some_and(|said| said.contains("'the boss'")));

    // A stranger learns neither of the policy nor of the machine.
    let carl = server.person("carl", &[]).await;
    let answer = ask(carl, "port=22").await;
    assert_eq!(codes(&answer), ["RoleNeeded", "RoleNeeded"]);
    assert_eq!(answer.get("policy"), None);
    let nowhere = path(&server, "port=22").replace("web-1", "web-9");
    let (_, other) = server.json_as(carl, Method::GET, &nowhere, None).await;
    assert_eq!(other.to_string().replace("web-9", "web-1"), answer.to_string());

    // A port, a source and a machine that no policy speaks of.
    let anna = server.person("anna", &[]).await;
    server.give(JIT_REQUESTER, "/resourceGroups/rg1", anna).await;
    assert_eq!(codes(&ask(anna, "port=23").await), ["PortNotInPolicy"]);
    assert_eq!(codes(&ask(anna, "port=22&from=203.0.113.9").await), ["SourceNotAllowed"]);
    server.register("rg1", "web-2", &["10.9.0.5"]).await;
    let other = path(&server, "port=22").replace("web-1", "web-2");
    let (_, answer) = server.json_as(anna, Method::GET, &other, None).await;
    assert_eq!(codes(&answer), ["NoPolicy"]);

    // Groups that nobody has spoken of for an hour.
    let ops = server.group("ops").await;
    let dora = server.person("dora", &[ops]).await;
    server.give(JIT_REQUESTER, "/resourceGroups/rg1", ops).await;
    assert_eq!(codes(&ask(dora, "port=22").await), [""; 0]);
    server.clock.pass(Duration::from_secs(3_601));
    let answer = ask(dora, "port=22").await;
    assert_eq!(codes(&answer), ["GroupsTooOld"]);
    assert_eq!(answer["reasons"][0]["groupsHold"], json!("PT1H"));

    // Whether another may is told to those who may see what others have.
    let of_anna = format!("port=22&principal={anna}");
    assert_eq!(ask(ben, &of_anna).await["allowed"], json!(true));
    let of_carl = format!("port=22&principal={carl}");
    assert_eq!(codes(&ask(ben, &of_carl).await), ["RoleNeeded", "RoleNeeded"]);
    let (status, _) = server.json_as(anna, Method::GET, &path(&server, &of_carl), None).await;
    assert_eq!(status, 403);
    let mine = format!("port=22&principal={anna}");
    assert_eq!(ask(anna, &mine).await["allowed"], json!(true), "of oneself one may always ask");
}

#[tokio::test]
async fn a_question_that_cannot_be_is_refused() {
    let server = start().await;
    for (rest, target) in [
        ("port=0", "port"),
        ("x=1", "port"),
        ("port=22&from=here", "from"),
        ("port=22&principal=anna", "principal"),
    ] {
        let (status, answer) = server.json(Method::GET, &path(&server, rest), None).await;
        assert_eq!((status, &answer["error"]["target"]), (400, &json!(target)), "{rest}: {answer}");
    }
}
