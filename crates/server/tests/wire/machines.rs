//! Machines as Azure's clients and ours see them: whole answers, both shapes of a body, and what they are joined by.

use reqwest::{Method, Response};
use serde_json::{Value, json};

use crate::{
    harness::{Running, start},
    network::{at, network, nic, put as put_in_network},
};

/// The api-version that az sends.
const V: &str = "?api-version=2026-04-01";

async fn put(server: &Running, name: &str, body: &Value) -> (u16, Value) {
    let path = format!("{}{V}", server.vm_id("rg1", name));
    server.json(Method::PUT, &path, Some(body)).await
}

async fn get(server: &Running, path: &str) -> Value {
    let (status, body) = server.json(Method::GET, path, None).await;
    assert_eq!(status, 200, "{path}: {body}");
    body
}

async fn delete(server: &Running, name: &str) -> Response {
    server.call(Method::DELETE, &format!("{}{V}", server.vm_id("rg1", name)), None).await
}

/// As `az vm create` sends it, with what it must not keep.
fn azures(server: &Running, nics: &[&str]) -> Value {
    let nics: Vec<Value> = nics
        .iter()
        .enumerate()
        .map(|(n, name)| {
            json!({
                "id": at(server, &format!("networkInterfaces/{name}")),
                "properties": {"primary": n == 0, "deleteOption": "Detach"},
            })
        })
        .collect();
    json!({
        "location": "West US", "tags": {"team": "web"}, "zones": ["1"],
        "properties": {
            "hardwareProfile": {"vmSize": "Standard_DS1_v2"},
            "storageProfile": {
                "imageReference": {"publisher": "Debian", "sku": "13"},
                "osDisk": {
                    "createOption": "FromImage", "name": "disk",
                    "managedDisk": {"storageAccountType": "Premium_LRS"},
                },
                "dataDisks": [],
            },
            "osProfile": {
                "computerName": "web-1", "adminUsername": "ops", "adminPassword": "hunter2",
                "customData": "c2VjcmV0", "linuxConfiguration": {"disablePasswordAuthentication": true},
            },
            "networkProfile": {"networkInterfaces": nics},
            "userData": "c2VjcmV0",
        },
    })
}

async fn networked(server: &Running) {
    put_in_network(server, "virtualNetworks/v", &network()).await;
    for (name, address) in [("k", "10.0.0.9"), ("l", "10.0.0.10")] {
        let sent = nic(server, Some(address));
        let (status, body) =
            put_in_network(server, &format!("networkInterfaces/{name}"), &sent).await;
        assert_eq!(status, 201, "{body}");
    }
}

#[tokio::test]
async fn a_machine_is_made_shown_and_removed_as_in_azure() {
    let server = start().await;
    networked(&server).await;
    let path = format!("{}{V}", server.vm_id("rg1", "Web-1"));
    let sent = azures(&server, &["k", "l"]);
    let made = server.call(Method::PUT, &path, Some(&sent.to_string())).await;
    assert_eq!(made.status(), 201);
    assert!(made.headers().contains_key("azure-asyncoperation"));
    let tag = made.headers()["etag"].to_str().expect("a text").to_owned();
    let body: Value = made.json().await.expect("JSON");
    let interface = |name: &str, primary: bool| {
        json!({
            "id": at(&server, &format!("networkInterfaces/{name}")),
            "properties": {"primary": primary, "deleteOption": "Detach"},
        })
    };
    let expected = json!({
        "name": "Web-1", "id": server.vm_id("rg1", "Web-1"), "etag": tag,
        "type": "Microsoft.Compute/virtualMachines", "location": "westus",
        "tags": {"team": "web"}, "zones": ["1"],
        "properties": {
            "provisioningState": "Succeeded", "vmId": body["properties"]["vmId"],
            "hardwareProfile": {"vmSize": "Standard_DS1_v2"},
            "storageProfile": {
                "imageReference": {"publisher": "Debian", "sku": "13"},
                "osDisk": {
                    "osType": "Linux", "createOption": "FromImage", "name": "disk",
                    "managedDisk": {"storageAccountType": "Premium_LRS"},
                },
                "dataDisks": [],
            },
            "osProfile": {
                "computerName": "web-1", "adminUsername": "ops",
                "linuxConfiguration": {"disablePasswordAuthentication": true},
            },
            "networkProfile": {"networkInterfaces": [interface("k", true), interface("l", false)]},
            "privateAddresses": ["10.0.0.9", "10.0.0.10"], "osType": "Linux",
        },
    });
    assert_eq!(body, expected, "secrets are not kept");
    assert_eq!(body["properties"]["vmId"].as_str().map(str::len), Some(36));
    assert_eq!(get(&server, &path.replace("Web-1", "WEB-1")).await, expected);
    let shown =
        get(&server, &format!("{}?api-version=2022-01-01", at(&server, "networkInterfaces/k")))
            .await;
    assert_eq!(shown["properties"]["virtualMachine"], json!({"id": server.vm_id("rg1", "Web-1")}));
    assert_eq!(shown["properties"]["primary"], true);
    // Everything read is everything sent: nothing changes.
    let (status, again) = put(&server, "web-1", &body).await;
    assert_eq!((status, &again), (200, &expected));
    // An interface in use stays, and is one machine's.
    let in_use = format!("{}?api-version=2022-01-01", at(&server, "networkInterfaces/k"));
    let (status, refused) = server.json(Method::DELETE, &in_use, None).await;
    assert_eq!((status, &refused["error"]["code"]), (400, &json!("NicInUse")), "{refused}");
    let (status, refused) = put(&server, "other", &azures(&server, &["k"])).await;
    assert_eq!((status, &refused["error"]["code"]), (400, &json!("NicInUse")), "{refused}");
    assert_eq!(delete(&server, "web-1").await.status(), 202);
    assert_eq!(delete(&server, "web-1").await.status(), 204);
    assert_eq!(server.call(Method::DELETE, &in_use, None).await.status(), 202, "nobody's now");
}

#[tokio::test]
async fn a_machine_that_is_named_by_its_addresses_is_a_machine_like_any() {
    let server = start().await;
    server.register("rg1", "web-1", &["10.9.0.4", "fd00::4"]).await;
    let shown = get(&server, &format!("{}{V}", server.vm_id("rg1", "web-1"))).await;
    let nic = at(&server, "networkInterfaces/web-1-nic");
    assert_eq!(
        shown["properties"]["networkProfile"],
        json!({"networkInterfaces": [{"id": nic, "properties": {"primary": true}}]})
    );
    assert_eq!(
        shown["properties"]["storageProfile"],
        json!({"osDisk": {"osType": "Linux", "createOption": "Attach"}})
    );
    let nic = get(&server, &format!("{nic}?api-version=2022-01-01")).await;
    let group = &nic["properties"]["networkSecurityGroup"]["id"];
    assert_eq!(*group, at(&server, "networkSecurityGroups/web-1-nsg"));
    let group =
        get(&server, &format!("{}?api-version=2022-01-01", group.as_str().expect("an id"))).await;
    let rules: Vec<&Value> =
        group["properties"]["securityRules"].as_array().into_iter().flatten().collect();
    let names: Vec<&Value> = rules.iter().map(|rule| &rule["name"]).collect();
    assert_eq!(names, ["HourgateAllowAllInBound", "HourgateAllowAllOutBound"]);
    assert!(rules.iter().all(|rule| rule["properties"]["priority"] == 4_096));
    // Both at once, of which one is what stands; and both new, which disagree.
    let mut body = shown.clone();
    body["properties"]["privateAddresses"] = json!(["10.9.0.5"]);
    let (status, changed) = put(&server, "web-1", &body).await;
    assert_eq!((status, &changed["properties"]["privateAddresses"]), (200, &json!(["10.9.0.5"])));
    networked(&server).await;
    let mut body = azures(&server, &["k"]);
    body["properties"]["privateAddresses"] = json!(["10.0.0.77"]);
    let (status, refused) = put(&server, "web-1", &body).await;
    assert_eq!((status, &refused["error"]["code"]), (400, &json!("InvalidParameter")));
    let message = refused["error"]["message"].as_str().unwrap_or_default();
    assert!(message.contains("10.0.0.77") && message.contains("10.0.0.9"), "{message}");
    // What was made goes with it.
    assert_eq!(delete(&server, "web-1").await.status(), 202);
    let left = get(
        &server,
        &format!(
            "{}/providers/Microsoft.Network/networkInterfaces?api-version=2022-01-01",
            server.s()
        ),
    )
    .await;
    let names: Vec<&Value> =
        left["value"].as_array().into_iter().flatten().map(|nic| &nic["name"]).collect();
    assert_eq!(names, ["k", "l"]);
}

#[tokio::test]
async fn tags_versions_lists_and_how_a_machine_is() {
    let server = start().await;
    for n in 0..3 {
        server.register("rg1", &format!("web-{n}"), &[&format!("10.9.0.{n}")]).await;
    }
    server.register("rg2", "db", &["10.9.1.1"]).await;
    let path = format!("{}{V}", server.vm_id("rg1", "web-1"));
    let tags = Some(json!({"tags": {"team": "web"}}));
    let (status, tagged) = server.json(Method::PATCH, &path, tags.as_ref()).await;
    assert_eq!((status, &tagged["tags"]), (200, &json!({"team": "web"})));
    let tag = tagged["etag"].as_str().expect("a text");
    let stale = [("if-match", "W/\"1\"")];
    let answer = server.call_with(Method::DELETE, &path, None, &stale).await;
    assert_eq!(answer.status(), 412);
    let shown = get(&server, &format!("{path}&$expand=instanceView")).await;
    let view = json!({"statuses": [
        {"code": "ProvisioningState/succeeded", "level": "Info", "displayStatus": "Provisioning succeeded"},
        {"code": "PowerState/running", "level": "Info", "displayStatus": "VM running"},
    ]});
    assert_eq!(shown["properties"]["instanceView"], view);
    assert_eq!(get(&server, &path.replace('?', "/instanceView?")).await, view);
    assert_eq!(get(&server, &path).await["properties"].get("instanceView"), None);
    let (status, _) = put(&server, "web-1", &shown).await;
    assert_eq!(status, 200, "what was read is sent back");
    let list = |at: String| format!("{at}/providers/Microsoft.Compute/virtualMachines{V}");
    let names = |list: &Value| -> Vec<String> {
        let value = list["value"].as_array().into_iter().flatten();
        value.filter_map(|vm| vm["name"].as_str()).map(str::to_owned).collect()
    };
    assert_eq!(names(&get(&server, &list(server.s())).await), ["web-0", "web-1", "web-2", "db"]);
    let of_group = format!("{}/resourceGroups/RG2", server.s());
    assert_eq!(names(&get(&server, &list(of_group)).await), ["db"]);
    let answer = server.call_with(Method::DELETE, &path, None, &[("if-match", tag)]).await;
    assert_eq!(answer.status(), 202);
    let (status, _) = server.json(Method::GET, &path, None).await;
    assert_eq!(status, 404);
    let (status, _) = server.json(Method::GET, &path.replace('?', "/instanceView?"), None).await;
    assert_eq!(status, 404);
}

#[tokio::test]
async fn bodies_of_machines_that_are_refused() {
    let server = start().await;
    networked(&server).await;
    let with = |change: &dyn Fn(&mut Value)| {
        let mut body = azures(&server, &["k"]);
        change(&mut body["properties"]);
        body
    };
    let rows: Vec<(Value, &str, &str, &str)> = vec![
        (
            json!({"location": "local", "properties": {}}),
            "InvalidRequestContent",
            "properties.networkProfile",
            "'networkInterfaces'",
        ),
        (
            with(&|p| p["networkProfile"]["networkInterfaces"] = json!("k")),
            "InvalidRequestContent",
            "properties.networkProfile.networkInterfaces",
            "a list",
        ),
        (
            with(&|p| p["networkProfile"]["networkInterfaces"] = json!([])),
            "InvalidRequestFormat",
            "",
            "needs network interfaces",
        ),
        (
            with(&|p| p["networkProfile"]["networkInterfaces"][0]["id"] = json!("k")),
            "InvalidParameter",
            "properties.networkProfile.networkInterfaces[0].id",
            "'k' is no resource id",
        ),
        (
            with(&|p| {
                p["networkProfile"]["networkInterfaces"][0]["id"] =
                    json!(at(&server, "virtualNetworks/v"))
            }),
            "InvalidResourceReference",
            "",
            "is no Microsoft.Network/networkInterfaces",
        ),
        (
            with(&|p| {
                p["networkProfile"]["networkInterfaces"][0]["id"] =
                    json!(at(&server, "networkInterfaces/x"))
            }),
            "InvalidResourceReference",
            "",
            "was not found",
        ),
        (
            with(&|p| p["storageProfile"]["osDisk"]["osType"] = json!("Plan9")),
            "InvalidParameter",
            "properties.storageProfile.osDisk.osType",
            "'Linux' or 'Windows' is",
        ),
        (
            with(&|p| p["osProfile"]["windowsConfiguration"] = json!({})),
            "InvalidParameter",
            "properties.osProfile",
            "not both",
        ),
        (
            with(&|p| p["osType"] = json!("Windows")),
            "InvalidParameter",
            "properties.osType",
            "two systems",
        ),
        (
            with(&|p| p["osTyp"] = json!("Linux")),
            "InvalidRequestContent",
            "properties.osTyp",
            "Did you mean 'osType'?",
        ),
    ];
    for (body, code, target, says) in rows {
        let (status, refused) = put(&server, "web-1", &body).await;
        let error = &refused["error"];
        assert_eq!((status, &error["code"]), (400, &json!(code)), "{refused}");
        assert_eq!(error["target"].as_str().unwrap_or_default(), target, "{refused}");
        assert!(error["message"].as_str().unwrap_or_default().contains(says), "{refused}");
    }
    let (status, _) = put(&server, "bad name", &azures(&server, &["k"])).await;
    assert_eq!(status, 400);
    let path = format!("{}{V}", server.vm_id("rg1", "web-1"));
    assert_eq!(server.json(Method::GET, &path, None).await.0, 404, "nothing was half done");
}
