//! What somebody has ends with their right to it: the guard is told within a second, and their token lets nobody in.

use std::time::{Duration, Instant};

use hourgate_core::role::{
    Scope,
    built_in::JIT_REQUESTER,
    change::{AssignmentDraft, DirectoryCommand},
};
use reqwest::Method;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::harness::{Running, id_of, start};

/// Within which the guard must have closed it.
const AT_ONCE: Duration = Duration::from_secs(1);

async fn ask(server: &Running, who: Uuid) -> String {
    let path = format!("{}/initiate?api-version=2020-01-01", server.policy_id("rg1"));
    let (status, told) =
        server.json_as(who, Method::POST, &path, Some(&server.ask_body("web-1", 22))).await;
    assert_eq!(status, 202, "{told}");
    let guard = server.guard.clone().expect("a guard");
    soon(|| guard.openings().len() == 1).await;
    told["id"].as_str().expect("an id").to_owned()
}

/// How long it takes until it is so.
#[expect(clippy::disallowed_methods, reason = "the promise is about time that passes")]
async fn soon(so: impl Fn() -> bool) -> Duration {
    let begun = Instant::now();
    let look = async {
        while !so() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(AT_ONCE * 10, look).await.expect("it became so");
    begun.elapsed()
}

async fn reason(server: &Running, id: &str) -> Value {
    let path = server.request_path(id);
    let told = server
        .until(&path, |told| told["virtualMachines"][0]["ports"][0]["status"] == "Revoked")
        .await;
    told["virtualMachines"][0]["ports"][0]["statusReason"].clone()
}

async fn whoami(server: &Running, who: Uuid) -> u16 {
    server.json_as(who, Method::GET, "/whoami?api-version=2026-11-01", None).await.0
}

#[tokio::test]
async fn what_a_disabled_person_has_is_closed_within_a_second_and_their_token_is_dead() {
    let server = start().await;
    server.protect().await;
    let ann = server.person("ann", &[]).await;
    server.give(JIT_REQUESTER, "/resourceGroups/rg1", ann).await;
    let id = ask(&server, ann).await;
    // Nothing is on its way any more: whoever waits now waits for what comes.
    let path = server.request_path(&id);
    let opened = |told: &Value| told["virtualMachines"][0]["ports"][0]["status"] == "Initiated";
    server.until(&path, opened).await;
    let (client, url) = (server.client.clone(), server.url(&format!("{path}&wait=50")));
    let token = format!("person-{ann}");
    let seen = client.get(server.url(&path)).bearer_auth(&token).send().await.expect("an answer");
    let tag = seen.headers()["etag"].to_str().expect("a tag").to_owned();
    let waits = tokio::spawn(async move {
        let call = client.get(url).bearer_auth(token).header("if-none-match", tag);
        call.send().await.expect("an answer").status().as_u16()
    });
    // On the same connection: by the second answer the call that waits has long been taken in.
    for _ in 0..2 {
        assert_eq!(whoami(&server, ann).await, 200);
    }
    server.directory(DirectoryCommand::SetDisabled { principal: ann, disabled: true }).await;
    assert_eq!(whoami(&server, ann).await, 401, "the token is dead at once");
    let guard = server.guard.clone().expect("a guard");
    let took = soon(|| guard.openings().is_empty()).await;
    assert!(took < AT_ONCE, "{took:?}");
    assert_eq!(reason(&server, &id).await, "RightLost");
    assert_eq!(waits.await.expect("no panic"), 404, "who waited hears no more");
    server.directory(DirectoryCommand::SetDisabled { principal: ann, disabled: false }).await;
    assert_eq!(whoami(&server, ann).await, 200);
    assert!(guard.openings().is_empty(), "what ended does not come back");
}

#[tokio::test]
async fn what_somebody_has_by_a_role_is_closed_within_a_second_after_it_was_taken() {
    let server = start().await;
    server.protect().await;
    let group = server.group("ops").await;
    let ann = server.person("ann", &[group]).await;
    let given = server.give(JIT_REQUESTER, "/resourceGroups/rg1", group).await;
    let id = ask(&server, ann).await;
    server.directory(DirectoryCommand::Unassign { assignment: given }).await;
    let guard = server.guard.clone().expect("a guard");
    let took = soon(|| guard.openings().is_empty()).await;
    assert!(took < AT_ONCE, "{took:?}");
    assert_eq!(reason(&server, &id).await, "RightLost");
    assert_eq!(whoami(&server, ann).await, 200, "whoever lost a role is still there");
    let path = format!("{}/initiate?api-version=2020-01-01", server.policy_id("rg1"));
    let (status, told) =
        server.json_as(ann, Method::POST, &path, Some(&server.ask_body("web-1", 22))).await;
    assert_eq!((status, &told["error"]["code"]), (403, &json!("AuthorizationFailed")));
    // What they asked for themselves they still see, by no role at all.
    let (status, told) = server.json_as(ann, Method::GET, &server.request_path(&id), None).await;
    assert_eq!(status, 200, "{told}");
}

#[tokio::test]
async fn what_somebody_has_by_a_role_ends_with_the_roles_time() {
    let server = start().await;
    server.protect().await;
    let ann = server.person("ann", &[]).await;
    let scope: Scope = format!("{}/resourceGroups/rg1", server.s()).parse().expect("a scope");
    let ends = Duration::from_secs(600);
    let now = hourgate_core::time::Clock::now(&*server.clock);
    let draft = AssignmentDraft {
        id: id_of("for ten minutes"),
        scope,
        role: JIT_REQUESTER,
        principal: ann,
        kind: None,
        description: None,
        until: Some(now.wall.checked_add(ends).expect("a time")),
        by: None,
    };
    server.directory(DirectoryCommand::Assign(draft)).await;
    let id = ask(&server, ann).await;
    server.clock.pass(ends - Duration::from_secs(30));
    let guard = server.guard.clone().expect("a guard");
    assert_eq!(guard.openings().len(), 1, "its time is not over");
    server.clock.pass(Duration::from_secs(31));
    let path = format!("{}/initiate?api-version=2020-01-01", server.policy_id("rg1"));
    let (status, _) =
        server.json_as(ann, Method::POST, &path, Some(&server.ask_body("web-1", 22))).await;
    assert_eq!(status, 403, "past its end a role gives nothing, whatever has run");
    crate::raw::elapse(ends).await;
    soon(|| guard.openings().is_empty()).await;
    assert_eq!(reason(&server, &id).await, "RightLost");
}
