//! Who gets in, and who does not.

use hourgate_api::paths::{ApprovalRoute, Of, Parts, PimRoute, PrincipalRoute, RoleRoute, Route};
use hourgate_core::{
    resource::{Kind, ResourceId},
    role::Scope,
};
use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::{client, read_admin, start};

#[tokio::test]
async fn the_right_secret_gives_a_token_as_az_wants_it() {
    let server = start().await;
    let answer = server.token_call(&server.admin.client_secret).await;
    assert_eq!(answer.status(), 200);
    let answer: Value = answer.json().await.expect("JSON");
    assert_eq!(answer["token_type"], "Bearer");
    assert!(answer["expires_in"].as_u64().is_some_and(|seconds| seconds <= 3_600));
    assert_eq!(answer["expires_in"], answer["ext_expires_in"]);
    let discovery = format!("/{}/v2.0/.well-known/openid-configuration", server.admin.tenant_id);
    let found = server.client.get(server.url(&discovery)).send().await.expect("an answer");
    let found: Value = found.json().await.expect("JSON");
    let keys = found["jwks_uri"].as_str().expect("a URL");
    assert!(keys.starts_with(&server.ready.url), "{keys}");
    let keys: Value =
        server.client.get(keys).send().await.expect("keys").json().await.expect("JSON");
    assert_eq!(keys["keys"][0]["alg"], "ES256");
}

#[tokio::test]
async fn a_wrong_secret_and_an_unknown_client_get_the_same_answer_and_a_record() {
    let server = start().await;
    let url = server.url(&format!("/{}/oauth2/v2.0/token", server.admin.tenant_id));
    let mut answers = Vec::new();
    for client in [server.admin.client_id.to_string(), "nobody".to_owned()] {
        let body = format!("grant_type=client_credentials&client_id={client}&client_secret=wrong");
        let answer = server.client.post(&url).body(body).send().await.expect("an answer");
        answers.push((answer.status().as_u16(), answer.text().await.expect("a body")));
    }
    assert_eq!(answers[0], answers[1]);
    assert_eq!(answers[0].0, 401);
    assert!(answers[0].1.contains("invalid_client"));
    let failed = || {
        let notes = server.notes.lock().expect("no panic");
        notes.iter().filter(|note| format!("{note:?}").starts_with("SignInFailed")).count()
    };
    assert_eq!(failed(), 2);
    let mut last = 0;
    for _ in 0..10 {
        last = server.token_call("wrong").await.status().as_u16();
    }
    assert_eq!(last, 429);
    assert!(failed() <= 7, "{}", failed());
    // Nobody locks the owner out.
    assert_eq!(server.token_call(&server.admin.client_secret).await.status(), 200);
}

#[tokio::test]
async fn a_stranger_with_a_new_client_id_each_time_is_one_stranger() {
    let server = start().await;
    let url = server.url(&format!("/{}/oauth2/v2.0/token", server.admin.tenant_id));
    let mut slowed = 0;
    for n in 0..60_u128 {
        let client = uuid::Uuid::from_u128(n);
        let body = format!("grant_type=client_credentials&client_id={client}&client_secret=wrong");
        let answer = server.client.post(&url).body(body).send().await.expect("an answer");
        slowed += usize::from(answer.status() == 429);
    }
    assert!(slowed >= 30, "{slowed}");
    let failed = {
        let notes = server.notes.lock().expect("no panic");
        notes.iter().filter(|note| format!("{note:?}").starts_with("SignInFailed")).count()
    };
    assert_eq!(failed, 60 - slowed, "who is told to wait fills no log");
    // Nobody at that address is locked out by them.
    assert_eq!(server.token_call(&server.admin.client_secret).await.status(), 200);
}

#[tokio::test]
async fn a_form_to_sign_in_is_small() {
    let server = start().await;
    let padding = "x".repeat(64 << 10);
    let secret = &server.admin.client_secret;
    let answer = server.token_for(secret, &[("padding", &padding)]).await;
    assert_eq!(answer.status(), 413);
    assert!(answer.text().await.expect("a body").contains("larger than 64 KiB"));
}

#[tokio::test]
async fn no_route_but_the_open_ones_works_without_a_token() {
    let server = start().await;
    let s = server.admin.subscription_id;
    let policy: hourgate_core::id::PolicyId = server.policy_id("rg1").parse().expect("an id");
    let request: hourgate_core::id::RequestId = "abc123".parse().expect("an id");
    let group: hourgate_core::id::Name = "rg1".parse().expect("a name");
    let location: hourgate_core::id::Location = "local".parse().expect("a location");
    let network =
        |kind| ResourceId { subscription: s, group: group.clone(), kind, name: group.clone() };
    let routes = [
        Route::Policies { subscription: s, group: None, location: None },
        Route::Policy(policy.clone()),
        Route::Initiate(policy.clone()),
        Route::Confirm(policy),
        Route::Requests(s),
        Route::Request(s, request),
        Route::CloseRequest(s, request),
        Route::Whoami(None),
        Route::Whoami(Some(s)),
        Route::Guards(s),
        Route::Explain(s),
        Route::Resources { subscription: s, group: None, kind: Kind::VirtualMachines },
        Route::Resource(network(Kind::VirtualMachines)),
        Route::InstanceView(network(Kind::VirtualMachines)),
        Route::Outlook(s),
        Route::Resources { subscription: s, group: None, kind: Kind::NetworkInterfaces },
        Route::Resource(network(Kind::PublicIpAddresses)),
        Route::Parts(network(Kind::VirtualNetworks), Parts::Subnets),
        Route::Part(network(Kind::VirtualNetworks), Parts::Subnets, group.clone()),
        Route::Part(network(Kind::NetworkSecurityGroups), Parts::SecurityRules, group.clone()),
        Route::Part(
            network(Kind::NetworkSecurityGroups),
            Parts::DefaultSecurityRules,
            group.clone(),
        ),
        Route::Operation(s, location.clone(), s),
        Route::OperationResult(s, location, s),
        Route::Roles(Scope::subscription(s), RoleRoute::Assignments),
        Route::Roles(Scope::group(s, &group), RoleRoute::Assignment(s)),
        Route::Roles(Scope::subscription(s), RoleRoute::Definitions),
        Route::Roles(Scope::subscription(s), RoleRoute::Definition(s)),
        Route::Roles(Scope::subscription(s), RoleRoute::Permissions),
        Route::Roles(Scope::subscription(s), RoleRoute::Pim(PimRoute::Request(Of::Assignment, s))),
        Route::Roles(Scope::subscription(s), RoleRoute::Pim(PimRoute::Cancel(Of::Assignment, s))),
        Route::Roles(Scope::subscription(s), RoleRoute::Pim(PimRoute::Policy(s))),
        Route::Approvals(None, ApprovalRoute::Stage(s, s)),
        Route::Principals(s, PrincipalRoute::All),
        Route::Principals(s, PrincipalRoute::One(s)),
        Route::Principals(s, PrincipalRoute::Disable(s)),
        Route::Principals(s, PrincipalRoute::Enable(s)),
        Route::Can(s),
        Route::Subscriptions,
        Route::Subscription(s),
        Route::Groups(s),
        Route::Group(s, group),
        Route::Tenants,
    ];
    let token = server.token().await;
    let damaged = format!("{}x", &token[..token.len() - 4]);
    let unsigned = "eyJhbGciOiJub25lIn0.eyJzdWIiOiJhIn0.";
    for route in routes {
        for method in route.methods() {
            let method: Method = method.parse().expect("a method");
            for sent in [None, Some(damaged.as_str()), Some(unsigned), Some("")] {
                let mut call = server.client.request(method.clone(), server.url(&route.uri()));
                if let Some(sent) = sent {
                    call = call.bearer_auth(sent);
                }
                let answer = call.send().await.expect("an answer");
                assert_eq!(answer.status(), 401, "{method} {route} {sent:?}");
                let challenge = answer.headers()["www-authenticate"].to_str().expect("text");
                assert!(
                    challenge.starts_with("Bearer authorization_uri=\"https://"),
                    "{challenge}"
                );
                let body = answer.text().await.expect("a body");
                if method == Method::HEAD {
                    assert_eq!(body, "", "{method} {route}");
                    continue;
                }
                let error: Value = serde_json::from_str(&body).expect("JSON");
                let code = if sent.is_none() {
                    "AuthenticationFailed"
                } else {
                    "InvalidAuthenticationToken"
                };
                assert_eq!(error["error"]["code"], code, "{method} {route}");
            }
        }
    }
    let nowhere = server.client.get(server.url("/nowhere")).send().await.expect("an answer");
    assert_eq!(nowhere.status(), 401);
    for open in ["/healthz", "/readyz", "/metadata/endpoints?api-version=2022-09-01"] {
        let answer = server.client.get(server.url(open)).send().await.expect("an answer");
        assert_eq!(answer.status(), 200, "{open}");
    }
}

#[tokio::test]
async fn a_new_secret_ends_the_old_one_and_its_tokens() {
    let server = start().await;
    let path = "/whoami?api-version=2026-11-01";
    assert_eq!(server.call(Method::GET, path, None).await.status(), 200);
    let data = server.dir.path().join("data");
    let file = hourgate_server::rotate_admin(&data).await.expect("a new secret");
    assert_eq!(server.call(Method::GET, path, None).await.status(), 401);
    assert_eq!(server.token_call(&server.admin.client_secret).await.status(), 401);
    let fresh = read_admin(&file);
    assert_ne!(fresh.client_secret, server.admin.client_secret);
    assert_eq!(fresh.client_id, server.admin.client_id);
    assert_eq!(server.token_call(&fresh.client_secret).await.status(), 200);
}

#[tokio::test]
async fn both_http_versions_are_served() {
    let server = start().await;
    for http1 in [None, Some(())] {
        let client = client(&server.ready.ca, http1);
        let answer = client.get(server.url("/healthz")).send().await.expect("an answer");
        let expected =
            if http1.is_some() { reqwest::Version::HTTP_11 } else { reqwest::Version::HTTP_2 };
        assert_eq!((answer.status().as_u16(), answer.version()), (200, expected));
        assert_eq!(answer.json::<Value>().await.expect("JSON"), json!({"status": "up"}));
    }
}
