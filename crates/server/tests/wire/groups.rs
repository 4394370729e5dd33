//! Resource groups, as `az group` asks for them.

use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    harness::{Running, start},
    network::put,
};

fn path(server: &Running, name: &str) -> String {
    format!("{}/resourcegroups/{name}?api-version=2024-11-01", server.s())
}

async fn group(server: &Running, method: Method, name: &str, body: Option<&Value>) -> (u16, Value) {
    server.json(method, &path(server, name), body).await
}

#[tokio::test]
async fn a_group_is_made_tagged_shown_and_removed() {
    let server = start().await;
    assert_eq!(group(&server, Method::GET, "prod", None).await.0, 404);
    let body = json!({"location": "West Europe", "tags": {"owner": "ops"}});
    let (status, made) = group(&server, Method::PUT, "prod", Some(&body)).await;
    let id = format!("{}/resourceGroups/prod", server.s());
    let shown = json!({
        "id": id,
        "name": "prod",
        "type": "Microsoft.Resources/resourceGroups",
        "location": "westeurope",
        "tags": {"owner": "ops"},
        "properties": {"provisioningState": "Succeeded"},
    });
    assert_eq!((status, &made), (201, &shown));
    assert_eq!(group(&server, Method::PUT, "PROD", Some(&body)).await, (200, shown.clone()));
    assert_eq!(group(&server, Method::GET, "prod", None).await, (200, shown.clone()));
    let tags = json!({"tags": {"stage": "prod"}});
    let (status, tagged) = group(&server, Method::PATCH, "prod", Some(&tags)).await;
    assert_eq!((status, &tagged["tags"]), (200, &tags["tags"]));
    let moved = json!({"location": "eastus"});
    let (status, told) = group(&server, Method::PUT, "prod", Some(&moved)).await;
    assert_eq!(status, 409);
    assert_eq!(
        told["error"]["message"],
        "Invalid resource group location 'eastus'. The Resource group already exists in location \
         'westeurope'."
    );
    assert_eq!(told["error"]["code"], "InvalidResourceGroupLocation");
    let list = format!("{}/resourcegroups?api-version=2024-11-01", server.s());
    let (_, all) = server.json(Method::GET, &list, None).await;
    let names: Vec<&str> =
        all["value"].as_array().unwrap().iter().map(|g| g["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["prod"]);
    assert_eq!(group(&server, Method::DELETE, "prod", None).await.0, 202);
    assert_eq!(group(&server, Method::DELETE, "prod", None).await.0, 404);
}

#[tokio::test]
async fn a_list_holds_no_group_that_was_not_asked_for() {
    let server = start().await;
    for (name, tags) in [
        ("a", json!({"Env": "prod"})),
        ("b", json!({"env": "test"})),
        ("c", json!({"env": "prod"})),
    ] {
        let body = json!({"location": "local", "tags": tags});
        assert_eq!(group(&server, Method::PUT, name, Some(&body)).await.0, 201);
    }
    let list = async |query: &str| {
        let path = format!("{}/resourcegroups?api-version=2024-11-01{query}", server.s());
        let (status, told) = server.json(Method::GET, &path, None).await;
        let groups = told["value"].as_array().into_iter().flatten();
        let names: Vec<String> =
            groups.map(|group| group["name"].as_str().unwrap().to_owned()).collect();
        (status, names.concat(), told)
    };
    for (query, names) in [
        ("", "abc"),
        ("&$filter=", "abc"),
        ("&$filter=tagname%20eq%20%27env%27", "abc"),
        // What `az group list --tag env=prod` sends.
        ("&$filter=tagname%20eq%20%27env%27%20and%20tagvalue%20eq%20%27prod%27", "ac"),
        ("&$filter=tagName%20eq%20%27other%27", ""),
        ("&$top=1", "a"),
        ("&$top=3", "abc"),
    ] {
        let (status, found, told) = list(query).await;
        assert_eq!((status, found.as_str()), (200, names), "{query}: {told}");
        assert_eq!(told["nextLink"].is_string(), query == "&$top=1", "{query}: {told}");
    }
    let (_, _, told) =
        list("&$top=1&$filter=tagName%20eq%20%27env%27%20and%20tagValue%20eq%20%27prod%27").await;
    let next = told["nextLink"].as_str().expect("more");
    let (_, query) = next.split_once('&').expect("behind the version");
    let (_, found, told) = list(&format!("&{query}")).await;
    assert_eq!((found.as_str(), &told["nextLink"]), ("c", &Value::Null), "{next}");
    for query in
        ["&$filter=location%20eq%20%27local%27", "&$filter=tagValue%20eq%20%27prod%27", "&$top=0"]
    {
        let (status, _, told) = list(query).await;
        assert_eq!((status, &told["error"]["code"]), (400, &json!("InvalidParameter")), "{told}");
    }
}

#[tokio::test]
async fn a_group_is_asked_for_with_head() {
    let server = start().await;
    let asked = server.call(Method::HEAD, &path(&server, "rg1"), None).await;
    assert_eq!(asked.status().as_u16(), 404);
    assert_eq!(
        put(&server, "applicationSecurityGroups/x", &json!({"location": "local"})).await.0,
        201
    );
    let asked = server.call(Method::HEAD, &path(&server, "rg1"), None).await;
    assert_eq!(asked.status().as_u16(), 204, "one that its resources make is one too");
}

#[tokio::test]
async fn what_is_in_a_group_goes_with_it_or_nothing_does() {
    let server = start().await;
    server.protect().await;
    let (status, told) = group(&server, Method::DELETE, "rg1", None).await;
    assert_eq!((status, told["error"]["code"].as_str()), (409, Some("VmHasPolicy")), "{told}");
    let policy = format!("{}?api-version=2020-01-01", server.policy_id("rg1"));
    assert_eq!(server.json(Method::DELETE, &policy, None).await.0, 200);
    let tags = json!({"tags": {"a": "b"}});
    assert_eq!(group(&server, Method::PATCH, "rg1", Some(&tags)).await.0, 200);
    assert_eq!(group(&server, Method::DELETE, "rg1", None).await.0, 202);
    assert_eq!(group(&server, Method::GET, "rg1", None).await.0, 404);
    let vm = format!("{}?api-version=2024-11-01", server.vm_id("rg1", "web-1"));
    assert_eq!(server.json(Method::GET, &vm, None).await.0, 404);
}
