//! Resources of the network as Azure's clients see them: whole answers, references both ways, pages, versions.

use reqwest::{Method, Response};
use serde_json::{Value, json};

use crate::harness::{Running, start};

/// The api-version that az sends.
pub(crate) const V: &str = "?api-version=2022-01-01";

/// The path of a resource of the group `rg1`.
pub(crate) fn at(server: &Running, rest: &str) -> String {
    format!("{}/resourceGroups/rg1/providers/Microsoft.Network/{rest}", server.s())
}

/// Sets something; what comes of it.
pub(crate) async fn put(server: &Running, rest: &str, body: &Value) -> (u16, Value) {
    server.json(Method::PUT, &format!("{}{V}", at(server, rest)), Some(body)).await
}

async fn get(server: &Running, rest: &str) -> Value {
    let (status, body) = server.json(Method::GET, &format!("{}{V}", at(server, rest)), None).await;
    assert_eq!(status, 200, "{rest}: {body}");
    body
}

async fn delete(server: &Running, rest: &str) -> Response {
    server.call(Method::DELETE, &format!("{}{V}", at(server, rest)), None).await
}

/// The ETag of a version of a resource that was shown.
pub(crate) fn tag(resource: &Value, version: u64) -> String {
    let guid = resource["properties"]["resourceGuid"].as_str().expect("a GUID");
    format!("W/\"{}-{version}\"", guid.replace('-', ""))
}

pub(crate) fn rule(priority: i64) -> Value {
    json!({"properties": {
        "protocol": "Tcp", "access": "Allow", "direction": "Inbound", "priority": priority,
        "sourceAddressPrefix": "*", "sourcePortRange": "*",
        "destinationAddressPrefix": "*", "destinationPortRange": "4444",
    }})
}

pub(crate) fn network() -> Value {
    json!({"location": "local", "properties": {
        "addressSpace": {"addressPrefixes": ["10.0.0.0/16"]},
        "subnets": [{"name": "a", "properties": {"addressPrefix": "10.0.0.0/24"}}],
    }})
}

/// A rule of somebody's to port 22.
pub(crate) fn rule_to_22(name: &str, priority: u16, access: &str, from: &str) -> Value {
    json!({"name": name, "properties": {
        "protocol": "*", "access": access, "direction": "Inbound", "priority": priority,
        "sourceAddressPrefix": from, "sourcePortRange": "*",
        "destinationAddressPrefix": "*", "destinationPortRange": "22",
    }})
}

pub(crate) fn nic(server: &Running, address: Option<&str>) -> Value {
    let mut ip = json!({"subnet": {"id": at(server, "virtualNetworks/v/subnets/a")}});
    if let Some(address) = address {
        ip["privateIPAddress"] = json!(address);
        ip["privateIPAllocationMethod"] = json!("Static");
    }
    json!({"location": "local", "properties": {
        "ipConfigurations": [{"name": "ipconfig1", "properties": ip}],
    }})
}

#[tokio::test]
async fn a_security_group_is_made_shown_and_removed_as_in_azure() {
    let server = start().await;
    let path = format!("{}{V}", at(&server, "networkSecurityGroups/Test-nsg1"));
    let sent = json!({"location": "West US", "tags": {"foo": "doo"}}).to_string();
    let made = server.call(Method::PUT, &path, Some(&sent)).await;
    assert_eq!(made.status(), 201);
    let headers = made.headers().clone();
    assert_eq!(headers["azure-asyncnotification"], "Enabled");
    let body: Value = made.json().await.expect("JSON");
    let tag = tag(&body, 1);
    assert_eq!(headers["etag"], tag);
    let id = at(&server, "networkSecurityGroups/Test-nsg1");
    let default = |name: &str,
                   text: &str,
                   (priority, direction, access): (u16, &str, &str),
                   (from, to): (&str, &str)| {
        json!({
            "name": name, "id": format!("{id}/defaultSecurityRules/{name}"), "etag": tag,
            "type": "Microsoft.Network/networkSecurityGroups/defaultSecurityRules",
            "properties": {
                "provisioningState": "Succeeded", "description": text, "protocol": "*",
                "sourcePortRange": "*", "destinationPortRange": "*",
                "sourceAddressPrefix": from, "destinationAddressPrefix": to,
                "access": access, "priority": priority, "direction": direction,
                "sourcePortRanges": [], "destinationPortRanges": [],
                "sourceAddressPrefixes": [], "destinationAddressPrefixes": [],
            },
        })
    };
    let (vnet, inbound, outbound) = ("VirtualNetwork", "Inbound", "Outbound");
    let expected = json!({
        "name": "Test-nsg1", "id": id, "etag": tag,
        "type": "Microsoft.Network/networkSecurityGroups", "location": "westus",
        "tags": {"foo": "doo"},
        "properties": {
            "provisioningState": "Succeeded",
            "resourceGuid": body["properties"]["resourceGuid"],
            "securityRules": [],
            "defaultSecurityRules": [
                default("AllowVnetInBound", "Allow inbound traffic from all VMs in VNET", (65_000, inbound, "Allow"), (vnet, vnet)),
                default("AllowAzureLoadBalancerInBound", "Allow inbound traffic from azure load balancer", (65_001, inbound, "Allow"), ("AzureLoadBalancer", "*")),
                default("DenyAllInBound", "Deny all inbound traffic", (65_500, inbound, "Deny"), ("*", "*")),
                default("AllowVnetOutBound", "Allow outbound traffic from all VMs to all VMs in VNET", (65_000, outbound, "Allow"), (vnet, vnet)),
                default("AllowInternetOutBound", "Allow outbound traffic from all VMs to Internet", (65_001, outbound, "Allow"), ("*", "Internet")),
                default("DenyAllOutBound", "Deny all outbound traffic", (65_500, outbound, "Deny"), ("*", "*")),
            ],
        },
    });
    assert_eq!(body, expected);
    assert_eq!(body["properties"]["resourceGuid"].as_str().map(str::len), Some(36));
    // What az polls, then the resource again.
    let operation = headers["azure-asyncoperation"].to_str().expect("a URL");
    let told = server.client.get(operation).bearer_auth(server.token().await).send().await;
    let told: Value = told.expect("an answer").json().await.expect("JSON");
    assert_eq!(told, json!({"status": "Succeeded"}));
    assert_eq!(
        get(&server, "networksecuritygroups/TEST-NSG1").await,
        expected,
        "case does not count"
    );

    let gone = delete(&server, "networkSecurityGroups/test-nsg1").await;
    assert_eq!(gone.status(), 202);
    let location = gone.headers()["location"].to_str().expect("a URL").to_owned();
    assert!(gone.headers().contains_key("azure-asyncoperation"));
    let done = server.client.get(location).bearer_auth(server.token().await).send().await;
    assert_eq!(done.expect("an answer").status(), 204);
    assert_eq!(delete(&server, "networkSecurityGroups/test-nsg1").await.status(), 204);
    let (status, body) = server.json(Method::GET, &path, None).await;
    assert_eq!((status, &body["error"]["code"]), (404, &json!("ResourceGroupNotFound")));
}

#[tokio::test]
async fn rules_are_set_one_by_one_and_come_back_as_they_were_sent() {
    let server = start().await;
    let (_, group) = put(&server, "networkSecurityGroups/g", &json!({"location": "local"})).await;
    let (status, web) =
        put(&server, "networkSecurityGroups/g/securityRules/web", &rule(1_000)).await;
    assert_eq!(status, 201);
    let id = at(&server, "networkSecurityGroups/g/securityRules/web");
    assert_eq!(
        web,
        json!({
            "name": "web", "id": id, "etag": tag(&group, 2),
            "type": "Microsoft.Network/networkSecurityGroups/securityRules",
            "properties": {
                "provisioningState": "Succeeded", "protocol": "Tcp", "sourcePortRange": "*",
                "destinationPortRange": "4444", "sourceAddressPrefix": "*",
                "destinationAddressPrefix": "*", "access": "Allow", "priority": 1_000,
                "direction": "Inbound", "sourcePortRanges": [], "destinationPortRanges": [],
                "sourceAddressPrefixes": [], "destinationAddressPrefixes": [],
            },
        })
    );
    // As `az network nsg rule update` does: everything back, with one thing changed.
    let mut changed = web.clone();
    changed["properties"]["priority"] = json!(1_001);
    let (status, _) = put(&server, "networkSecurityGroups/g/securityRules/WEB", &changed).await;
    assert_eq!(status, 200);
    let (status, _) = put(&server, "networkSecurityGroups/g/securityRules/web", &changed).await;
    assert_eq!(status, 200, "the same again");
    // A list of one stays a list, and what is not understood stays.
    let listed = json!({"futureWord": {"x": 1.5}, "properties": {
        "protocol": "*", "access": "Deny", "direction": "Outbound", "priority": 100,
        "sourceAddressPrefixes": ["10.0.0.0/8"], "sourcePortRange": "*",
        "destinationAddressPrefix": "Internet", "destinationPortRanges": ["80", "443-444"],
        "networkIntentPolicy": [true],
    }});
    put(&server, "networkSecurityGroups/g/securityRules/out", &listed).await;
    let shown = get(&server, "networkSecurityGroups/g/securityRules/out").await;
    assert_eq!(shown["futureWord"], json!({"x": 1.5}));
    assert_eq!(shown["properties"]["networkIntentPolicy"], json!([true]));
    assert_eq!(shown["properties"]["sourceAddressPrefixes"], json!(["10.0.0.0/8"]));
    assert_eq!(shown["properties"].get("sourceAddressPrefix"), None);
    assert_eq!(shown["properties"]["destinationPortRanges"], json!(["80", "443-444"]));
    let group = get(&server, "networkSecurityGroups/g").await;
    let names = |list: &Value| -> Vec<Value> {
        list.as_array().into_iter().flatten().map(|rule| rule["name"].clone()).collect()
    };
    assert_eq!(names(&group["properties"]["securityRules"]), ["web", "out"]);
    let listed = get(&server, "networkSecurityGroups/g/securityRules").await;
    assert_eq!(names(&listed["value"]), ["web", "out"]);
    assert_eq!(
        names(&get(&server, "networkSecurityGroups/g/defaultSecurityRules").await["value"]).len(),
        6
    );
    let one = get(&server, "networkSecurityGroups/g/defaultSecurityRules/denyallinbound").await;
    assert_eq!(one["name"], "DenyAllInBound");
    // Everything read is everything sent: nothing changes.
    let (status, again) = put(&server, "networkSecurityGroups/g", &group).await;
    assert_eq!((status, &again), (200, &group));
    assert_eq!(delete(&server, "networkSecurityGroups/g/securityRules/web").await.status(), 202);
    assert_eq!(delete(&server, "networkSecurityGroups/g/securityRules/web").await.status(), 204);
    let path = format!("{}{V}", at(&server, "networkSecurityGroups/g/securityRules/web"));
    let (status, body) = server.json(Method::GET, &path, None).await;
    assert_eq!((status, &body["error"]["code"]), (404, &json!("ResourceNotFound")));
}

#[tokio::test]
async fn everything_refers_to_each_other_and_says_so() {
    let server = start().await;
    put(&server, "networkSecurityGroups/g", &json!({"location": "local"})).await;
    put(&server, "applicationSecurityGroups/web", &json!({"location": "local"})).await;
    let public = json!({"location": "local", "sku": {"name": "Standard"}, "properties": {
        "publicIPAllocationMethod": "Static", "ipAddress": "203.0.113.9"}});
    assert_eq!(put(&server, "publicIPAddresses/p", &public).await.0, 201);
    let group = json!({"id": at(&server, "networkSecurityGroups/g")});
    let mut sent = network();
    sent["properties"]["subnets"][0]["properties"]["networkSecurityGroup"] = group.clone();
    assert_eq!(put(&server, "virtualNetworks/v", &sent).await.0, 201);
    let mut sent = nic(&server, None);
    sent["properties"]["enableIPForwarding"] = json!(true);
    sent["properties"]["networkSecurityGroup"] = group;
    let ip = &mut sent["properties"]["ipConfigurations"][0]["properties"];
    ip["publicIPAddress"] = json!({"id": at(&server, "publicIPAddresses/p")});
    ip["applicationSecurityGroups"] = json!([{"id": at(&server, "applicationSecurityGroups/web")}]);
    let (status, made) = put(&server, "networkInterfaces/n", &sent).await;
    assert_eq!(status, 201, "{made}");
    let configuration = at(&server, "networkInterfaces/n/ipConfigurations/ipconfig1");
    assert_eq!(
        made["properties"]["ipConfigurations"],
        json!([{
            "name": "ipconfig1", "id": configuration, "etag": tag(&made, 1),
            "type": "Microsoft.Network/networkInterfaces/ipConfigurations",
            "properties": {
                "provisioningState": "Succeeded", "privateIPAddress": "10.0.0.4",
                "privateIPAllocationMethod": "Dynamic", "primary": true,
                "privateIPAddressVersion": "IPv4",
                "subnet": {"id": at(&server, "virtualNetworks/v/subnets/a")},
                "publicIPAddress": {"id": at(&server, "publicIPAddresses/p")},
                "applicationSecurityGroups": [{"id": at(&server, "applicationSecurityGroups/web")}],
            },
        }])
    );
    assert_eq!(made["properties"]["enableIPForwarding"], true);
    let (status, again) = put(&server, "networkInterfaces/n", &made).await;
    assert_eq!((status, &again), (200, &made), "what was read can be sent");
    let used = json!([{"id": configuration}]);
    assert_eq!(
        get(&server, "virtualNetworks/v/subnets/a").await["properties"]["ipConfigurations"],
        used
    );
    let shown = get(&server, "publicIPAddresses/p").await;
    assert_eq!(shown["properties"]["ipConfiguration"], used[0]);
    assert_eq!(shown["properties"]["ipAddress"], "203.0.113.9");
    assert_eq!(shown["sku"], json!({"name": "Standard"}));
    let shown = get(&server, "networkSecurityGroups/g").await;
    assert_eq!(
        shown["properties"]["networkInterfaces"],
        json!([{"id": at(&server, "networkInterfaces/n")}])
    );
    assert_eq!(
        shown["properties"]["subnets"],
        json!([{"id": at(&server, "virtualNetworks/v/subnets/a")}])
    );

    for (what, code) in [
        ("networkSecurityGroups/g", "InUseNetworkSecurityGroupCannotBeDeleted"),
        ("applicationSecurityGroups/web", "InUseApplicationSecurityGroupCannotBeDeleted"),
        ("publicIPAddresses/p", "PublicIPAddressCannotBeDeleted"),
        ("virtualNetworks/v", "InUseSubnetCannotBeDeleted"),
        ("virtualNetworks/v/subnets/a", "InUseSubnetCannotBeDeleted"),
    ] {
        let kept = delete(&server, what).await;
        assert_eq!(kept.status(), 400, "{what}");
        let error: Value = kept.json().await.expect("JSON");
        assert_eq!(error["error"]["code"], code, "{what}");
        let message = error["error"]["message"].as_str().unwrap_or_default();
        assert!(message.contains("/networkInterfaces/n"), "{what} says by whom: {message}");
    }
    let (status, groups) =
        server.json(Method::GET, &format!("{}/resourceGroups{V}", server.s()), None).await;
    assert_eq!((status, &groups["value"][0]["name"]), (200, &json!("rg1")));
}

#[tokio::test]
async fn subnets_are_set_one_by_one() {
    let server = start().await;
    let (_, whole) = put(&server, "virtualNetworks/v", &network()).await;
    let sent = json!({"properties": {"addressPrefixes": ["10.0.1.0/24"],
                                     "serviceEndpoints": [{"service": "x"}]}});
    let (status, made) = put(&server, "virtualNetworks/v/subnets/b", &sent).await;
    assert_eq!(status, 201);
    assert_eq!(
        made,
        json!({
            "name": "b", "id": at(&server, "virtualNetworks/v/subnets/b"), "etag": tag(&whole, 2),
            "type": "Microsoft.Network/virtualNetworks/subnets",
            "properties": {"provisioningState": "Succeeded", "addressPrefixes": ["10.0.1.0/24"],
                           "serviceEndpoints": [{"service": "x"}]},
        })
    );
    assert_eq!(get(&server, "virtualNetworks/v/subnets").await["value"][1], made);
    assert_eq!(get(&server, "virtualNetworks/v").await["properties"]["subnets"][1], made);
    // As `az network vnet create` does on one that is there: nothing is said of its subnets.
    let mut without = network();
    without["properties"].as_object_mut().expect("an object").remove("subnets");
    let (status, kept) = put(&server, "virtualNetworks/v", &without).await;
    assert_eq!(
        (status, &kept["properties"]["subnets"][1]),
        (200, &made),
        "and what was kept of them"
    );
    assert_eq!(delete(&server, "virtualNetworks/v/subnets/B").await.status(), 202);
    assert_eq!(
        get(&server, "virtualNetworks/v").await["properties"]["subnets"].as_array().map(Vec::len),
        Some(1)
    );
    let (status, body) = put(&server, "virtualNetworks/none/subnets/b", &sent).await;
    assert_eq!((status, &body["error"]["code"]), (404, &json!("ResourceNotFound")));
}

#[tokio::test]
async fn versions_guard_against_somebody_elses_change() {
    let server = start().await;
    let path = format!("{}{V}", at(&server, "networkSecurityGroups/g"));
    let of_rule = format!("{}{V}", at(&server, "networkSecurityGroups/g/securityRules/web"));
    let body = json!({"location": "local"}).to_string();
    let (one, two) = (rule(100).to_string(), rule(200).to_string());
    for (path, body, header, value, status) in [
        (&path, &body, "if-match", "*", 412),
        (&path, &body, "if-none-match", "*", 201),
        (&path, &body, "if-none-match", "*", 412),
        (&path, &body, "if-match", "W/\"9\"", 412),
        (&of_rule, &one, "if-match", "*", 412),
        (&of_rule, &one, "if-none-match", "*", 201),
        (&of_rule, &two, "if-match", "W/\"1\"", 412),
        (&of_rule, &two, "if-match", "W/\"2\"", 200),
    ] {
        let answer = server.call_with(Method::PUT, path, Some(body), &[(header, value)]).await;
        assert_eq!(answer.status(), status, "{path} {header}: {value}");
    }
    for (path, value, status) in
        [(&of_rule, "W/\"2\"", 412), (&path, "W/\"2\"", 412), (&path, "W/\"3\"", 202)]
    {
        let answer = server.call_with(Method::DELETE, path, None, &[("if-match", value)]).await;
        assert_eq!(answer.status(), status, "{path} {value}");
    }
}

#[tokio::test]
async fn a_condition_that_fails_is_told_at_its_header() {
    let server = start().await;
    let path = format!("{}{V}", at(&server, "networkSecurityGroups/g"));
    let body = json!({"location": "local"}).to_string();
    assert_eq!(server.call(Method::PUT, &path, Some(&body)).await.status(), 201);
    for (header, value, target) in
        [("if-match", "W/\"9\"", "If-Match"), ("if-none-match", "*", "If-None-Match")]
    {
        let answer = server.call_with(Method::PUT, &path, Some(&body), &[(header, value)]).await;
        let told: Value = answer.json().await.expect("JSON");
        assert_eq!(told["error"]["target"], target, "{told}");
        let message = told["error"]["message"].as_str().expect("a message");
        assert!(message.contains("is there, at version 1"), "{message}");
    }
}

#[tokio::test]
async fn networks_are_joined_one_peering_at_a_time() {
    let server = start().await;
    for (name, space) in [("v", "10.0.0.0/16"), ("w", "10.1.0.0/16")] {
        let mut body = network();
        body["properties"]["addressSpace"]["addressPrefixes"] = json!([space]);
        body["properties"]["subnets"] = json!([]);
        assert_eq!(put(&server, &format!("virtualNetworks/{name}"), &body).await.0, 201);
    }
    let peering = |remote: &str| {
        let remote = json!({"id": at(&server, &format!("virtualNetworks/{remote}"))});
        json!({"properties": {"remoteVirtualNetwork": remote, "allowForwardedTraffic": true}})
    };
    let of_v = "virtualNetworks/v/virtualNetworkPeerings/to-w";
    let (status, one) = put(&server, of_v, &peering("w")).await;
    assert_eq!((status, &one["name"]), (201, &json!("to-w")), "{one}");
    assert_eq!(one["id"], at(&server, of_v));
    assert_eq!(one["properties"]["peeringState"], "Initiated");
    assert_eq!(one["properties"]["allowForwardedTraffic"], true);
    let (status, _) =
        put(&server, "virtualNetworks/w/virtualNetworkPeerings/to-v", &peering("v")).await;
    assert_eq!(status, 201);
    let one = get(&server, of_v).await;
    assert_eq!(one["properties"]["peeringState"], "Connected");
    let network = get(&server, "virtualNetworks/v").await;
    assert_eq!(network["properties"]["virtualNetworkPeerings"], json!([one]));
    // What was read is written back without a change: the peering, and the network with it.
    assert_eq!(put(&server, of_v, &one).await, (200, one.clone()));
    assert_eq!(put(&server, "virtualNetworks/v", &network).await.1["etag"], network["etag"]);
    let mut apart = peering("w");
    apart["properties"]["allowVirtualNetworkAccess"] = json!(false);
    let (status, told) = put(&server, of_v, &apart).await;
    let target = "properties.allowVirtualNetworkAccess";
    assert_eq!((status, &told["error"]["target"]), (400, &json!(target)), "{told}");
    let (status, told) = put(&server, of_v, &peering("none")).await;
    assert_eq!(
        (status, &told["error"]["code"]),
        (400, &json!("InvalidResourceReference")),
        "{told}"
    );
    assert_eq!(get(&server, of_v).await, one);
    let listed = get(&server, "virtualNetworks/v/virtualNetworkPeerings").await;
    assert_eq!(listed["value"], json!([one]));
    // Of which nothing is said, that stays; who says that there is none means it.
    let mut silent = network.clone();
    silent["properties"].as_object_mut().expect("properties").remove("virtualNetworkPeerings");
    silent["tags"] = json!({"a": "b"});
    let (status, kept) = put(&server, "virtualNetworks/v", &silent).await;
    assert_eq!((status, &kept["tags"]), (200, &silent["tags"]), "{kept}");
    assert_eq!(kept["properties"]["virtualNetworkPeerings"][0]["name"], "to-w", "{kept}");
    assert_eq!(get(&server, of_v).await["properties"], one["properties"]);
    silent["properties"]["virtualNetworkPeerings"] = json!([]);
    let (status, apart) = put(&server, "virtualNetworks/v", &silent).await;
    assert_eq!(status, 200, "{apart}");
    assert_eq!(apart["properties"]["virtualNetworkPeerings"], json!([]), "{apart}");
    assert_eq!(put(&server, of_v, &peering("w")).await.0, 201);
    assert_eq!(delete(&server, of_v).await.status(), 202);
    assert_eq!(delete(&server, of_v).await.status(), 204);
    let other = get(&server, "virtualNetworks/w/virtualNetworkPeerings/to-v").await;
    assert_eq!(other["properties"]["peeringState"], "Initiated");
}

#[tokio::test]
async fn the_etag_of_an_earlier_making_is_not_that_of_the_next() {
    let server = start().await;
    let path = format!("{}{V}", at(&server, "networkSecurityGroups/g"));
    let body = json!({"location": "local"});
    let (_, first) = put(&server, "networkSecurityGroups/g", &body).await;
    assert_eq!(delete(&server, "networkSecurityGroups/g").await.status(), 202);
    let (_, second) = put(&server, "networkSecurityGroups/g", &body).await;
    for (of, status) in [(&first, 412), (&second, 202)] {
        let tag = tag(of, 1);
        assert_eq!(of["etag"], tag);
        let answer = server.call_with(Method::DELETE, &path, None, &[("if-match", &tag)]).await;
        assert_eq!(answer.status(), status, "{tag}");
    }
}

#[tokio::test]
async fn tags_are_set_by_themselves() {
    let server = start().await;
    put(
        &server,
        "networkSecurityGroups/g",
        &json!({"location": "local", "tags": {"a": "1"}, "properties": {"flushConnection": true}}),
    )
    .await;
    put(&server, "networkSecurityGroups/g/securityRules/web", &rule(100)).await;
    let path = format!("{}{V}", at(&server, "networkSecurityGroups/g"));
    let tags = json!({"tags": {"b": "\u{1b}[31m=1+1"}});
    let (status, shown) = server.json(Method::PATCH, &path, Some(&tags)).await;
    assert_eq!((status, &shown["tags"]), (200, &tags["tags"]));
    assert_eq!(shown["properties"]["securityRules"][0]["name"], "web");
    assert_eq!(shown["properties"]["flushConnection"], true);
    for bad in [
        json!({}),
        json!({"tags": {"a": 1}}),
        json!({"tags": {}, "location": "x"}),
        json!({"tags": {"a<": ""}}),
    ] {
        let (status, _) = server.json(Method::PATCH, &path, Some(&bad)).await;
        assert_eq!(status, 400, "{bad}");
    }
    let none = format!("{}{V}", at(&server, "networkSecurityGroups/none"));
    assert_eq!(server.json(Method::PATCH, &none, Some(&tags)).await.0, 404);
}

#[tokio::test]
async fn long_lists_come_in_pages() {
    let server = start().await;
    for n in 0..503 {
        let name = format!("applicationSecurityGroups/a{n:03}");
        assert_eq!(put(&server, &name, &json!({"location": "local"})).await.0, 201);
    }
    let mut next =
        Some(server.url(&format!(
            "{}/providers/Microsoft.Network/applicationSecurityGroups{V}",
            server.s()
        )));
    let mut pages = Vec::new();
    while let Some(url) = next {
        let page = server.client.get(url).bearer_auth(server.token().await).send().await;
        let page: Value = page.expect("an answer").json().await.expect("JSON");
        pages.push(page["value"].as_array().map_or(0, Vec::len));
        next = page["nextLink"].as_str().map(str::to_owned);
    }
    assert_eq!(pages, [500, 3]);
    let (status, empty) = server
        .json(
            Method::GET,
            &format!("{}/providers/Microsoft.Network/networkInterfaces{V}", server.s()),
            None,
        )
        .await;
    assert_eq!((status, empty), (200, json!({"value": []})));
    let bad = format!("{}{V}&$skipToken=x", at(&server, "applicationSecurityGroups"));
    assert_eq!(server.json(Method::GET, &bad, None).await.0, 400);
}

#[tokio::test]
async fn parts_that_are_set_at_once_are_all_there() {
    let server = start().await;
    put(&server, "networkSecurityGroups/g", &json!({"location": "local"})).await;
    let token = server.token().await;
    let sets = (0..40).map(|n| {
        let rest = format!("networkSecurityGroups/g/securityRules/r{n}");
        let call = server.client.put(server.url(&format!("{}{V}", at(&server, &rest))));
        let call = call.bearer_auth(&token).header("content-type", "application/json");
        let call = call.body(rule(100 + n).to_string());
        tokio::spawn(async move { call.send().await.expect("an answer").status().as_u16() })
    });
    for set in sets.collect::<Vec<_>>() {
        assert_eq!(set.await.expect("no panic"), 201);
    }
    let group = get(&server, "networkSecurityGroups/g").await;
    assert_eq!(group["properties"]["securityRules"].as_array().map(Vec::len), Some(40));
}
