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
