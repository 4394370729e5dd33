//! The plan that just-in-time access is part of, in Azure's shape, and which machines can have access.

use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::{Running, Wanted, fresh_dir, start_in};

async fn server(config: &str) -> Running {
    start_in(fresh_dir(), Wanted::config(config)).await.expect("a server")
}

/// The path of a plan, or of something beside it, with a version that az sends.
fn path(server: &Running, below: &str) -> String {
    let group = server.policy_id("rg1");
    let subscription: Vec<&str> = group.split('/').take(3).collect();
    format!("{}/providers/{below}?api-version=2024-01-01", subscription.join("/"))
}

/// A call with a text as its body, whatever it is.
async fn send(server: &Running, method: Method, path: &str, body: Option<&str>) -> (u16, Value) {
    let answer = server.call(method, path, body).await;
    let status = answer.status().as_u16();
    (status, answer.json().await.unwrap_or(Value::Null))
}

#[tokio::test]
async fn a_plan_is_shown_as_azure_shows_it_and_turned_off_and_on() {
    let server = server("").await;
    let plan = path(&server, "Microsoft.Security/pricings/virtualMachines");
    let (status, shown) = server.json(Method::GET, &plan, None).await;
    assert_eq!(status, 200);
    let id = shown["id"].as_str().expect("an id");
    assert!(id.ends_with("/providers/Microsoft.Security/pricings/VirtualMachines"), "{id}");
    assert_eq!(shown["name"], "VirtualMachines");
    assert_eq!(shown["type"], "Microsoft.Security/pricings");
    assert_eq!(
        shown["properties"],
        json!({ "pricingTier": "Standard", "subPlan": "P2", "freeTrialRemainingTime": "PT0S" })
    );
    let all = path(&server, "Microsoft.Security/pricings");
    let (status, list) = server.json(Method::GET, &all, None).await;
    assert_eq!((status, &list), (200, &json!({ "value": [shown] })));

    // az sends the tier in lower case, and what it read comes back with it.
    let off = r#"{"properties":{"pricingTier":"free","subPlan":null,"extensions":[]}}"#;
    let (status, shown) = send(&server, Method::PUT, &plan, Some(off)).await;
    assert_eq!(status, 200);
    assert_eq!(
        shown["properties"],
        json!({ "pricingTier": "Free", "freeTrialRemainingTime": "PT0S" })
    );
    assert_eq!(server.json(Method::PUT, &plan, Some(&shown)).await, (200, shown));
    let on = r#"{"properties":{"pricingTier":"Standard","subPlan":"P2","enforce":"False"}}"#;
    let (status, shown) = send(&server, Method::PUT, &plan, Some(on)).await;
    assert_eq!((status, &shown["properties"]["subPlan"]), (200, &json!("P2")));
}

#[tokio::test]
async fn what_is_no_plan_and_what_no_plan_can_be_is_said() {
    let server = server("").await;
    let plan = path(&server, "Microsoft.Security/pricings/VirtualMachines");
    let other = path(&server, "Microsoft.Security/pricings/KeyVaults");
    let standard = r#"{"properties":{"pricingTier":"Standard"}}"#;
    /// How it is called, with which body; and the status, code and words of the answer.
    type Row<'a> = (Method, &'a str, Option<&'a str>, u16, &'a str, &'a str);
    let rows: [Row<'_>; 11] = [
        (Method::GET, &other, None, 404, "ResourceNotFound", "'VirtualMachines'"),
        (Method::PUT, &other, Some(standard), 404, "ResourceNotFound", "'VirtualMachines'"),
        (Method::DELETE, &plan, None, 405, "MethodNotAllowed", "GET, PUT"),
        (Method::PUT, &plan, Some("{}"), 400, "InvalidRequestContent", "'properties' is missing"),
        (Method::PUT, &plan, Some("[]"), 400, "InvalidRequestContent", "an object is needed"),
        (
            Method::PUT,
            &plan,
            Some(r#"{"properties":{}}"#),
            400,
            "InvalidRequestContent",
            "'pricingTier' is missing",
        ),
        (
            Method::PUT,
            &plan,
            Some(r#"{"properties":{"pricingTier":"Premium"}}"#),
            400,
            "InvalidParameter",
            "'Free' or 'Standard'",
        ),
        (
            Method::PUT,
            &plan,
            Some(r#"{"properties":{"pricingTier":"Standard","subPlan":"P1"}}"#),
            400,
            "InvalidParameter",
            "'P2'",
        ),
        (
            Method::PUT,
            &plan,
            Some(r#"{"properties":{"pricingTier":"Standard","extensions":[{"name":"x"}]}}"#),
            400,
            "InvalidParameter",
            "no extensions here",
        ),
        (
            Method::PUT,
            &plan,
            Some(r#"{"properties":{"pricingTier":"Standard","teir":1}}"#),
            400,
            "InvalidRequestContent",
            "Unknown property",
        ),
        (Method::PUT, &plan, Some("{"), 400, "InvalidRequestContent", ""),
    ];
    for (method, path, body, status, code, says) in rows {
        let (got, answer) = send(&server, method, path, body).await;
        let message = answer["error"]["message"].as_str().unwrap_or_default();
        assert_eq!((got, &answer["error"]["code"]), (status, &json!(code)), "{body:?}: {answer}");
        assert!(message.contains(says), "{body:?}: {message}");
    }
    let (_, shown) = server.json(Method::GET, &plan, None).await;
    assert_eq!(shown["properties"]["pricingTier"], "Standard", "nothing was changed");
}

#[tokio::test]
async fn machines_stand_in_three_lists_a_group_at_a_time() {
    let server = server("locations = [\"westeurope\", \"West US\"]").await;
    server.register("rg1", "web-1", &["10.0.0.4"]).await;
    server.register("rg2", "web-2", &["10.0.0.5"]).await;
    let all = path(&server, "Hourgate.Access/eligibility");
    let (status, list) = server.json(Method::GET, &all, None).await;
    let states = |list: &Value| -> Vec<(String, String, Vec<String>)> {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let machines = list["value"].as_array().expect("a list").iter();
        machines
            .map(|machine| {
                let reasons = machine["properties"]["reasons"].as_array().expect("reasons").iter();
                let codes = reasons.map(|reason| text(&reason["code"])).collect();
                (text(&machine["name"]), text(&machine["properties"]["state"]), codes)
            })
            .collect()
    };
    let (state, codes) = ("Unsupported", vec!["LocationNotSupported".to_owned()]);
    assert_eq!(status, 200);
    let expected = |name: &str| (name.to_owned(), state.to_owned(), codes.clone());
    assert_eq!(states(&list), [expected("web-1"), expected("web-2")]);
    let group = all.replace("/providers/", "/resourceGroups/RG2/providers/");
    assert_eq!(states(&server.json(Method::GET, &group, None).await.1), [expected("web-2")]);
    let none = all.replace("/providers/", "/resourceGroups/none/providers/");
    assert_eq!(server.json(Method::GET, &none, None).await.0, 404);
    let page = format!("{all}&$skipToken=x");
    let (status, answer) = server.json(Method::GET, &page, None).await;
    assert_eq!((status, &answer["error"]["target"]), (400, &json!("$skipToken")));
    let first = server.vm_id("rg1", "web-1");
    let page = format!("{all}&$skipToken={first}");
    assert_eq!(states(&server.json(Method::GET, &page, None).await.1), [expected("web-2")]);
}
