//! Questions about the rules that hold, as Azure's clients ask them.

use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    harness::{Running, start},
    network::{V, at, put},
};

const WATCHER: &str = "NetworkWatcherRG/providers/Microsoft.Network/networkWatchers";

async fn post(server: &Running, path: &str, body: &Value) -> (u16, Value) {
    server.json(Method::POST, &format!("{path}{V}"), Some(body)).await
}

async fn verify(server: &Running, body: &Value) -> (u16, Value) {
    let path =
        format!("{}/resourceGroups/{WATCHER}/NetworkWatcher_centralus/ipFlowVerify", server.s());
    post(server, &path, body).await
}

fn flow(server: &Running) -> Value {
    json!({
        "targetResourceId": server.vm_id("rg1", "web-1"), "direction": "Inbound", "protocol": "TCP",
        "localIPAddress": "10.9.0.4", "localPort": "80",
        "remoteIPAddress": "203.0.113.7", "remotePort": "*",
    })
}

/// `web-1` at 10.9.0.4, its port 22 protected, with a group at its interface and one at its subnet.
async fn walled() -> Running {
    let server = start().await;
    assert_eq!(
        put(&server, "applicationSecurityGroups/role", &json!({"location": "local"})).await.0,
        201
    );
    let role = json!([{"id": at(&server, "applicationSecurityGroups/role")}]);
    let rule = |name: &str, priority: u16, more: Value| {
        let mut properties = json!({
            "protocol": "Tcp", "access": "Allow", "direction": "Inbound", "priority": priority,
            "sourcePortRange": "*", "destinationPortRange": "80",
        });
        properties
            .as_object_mut()
            .expect("an object")
            .extend(more.as_object().expect("one").clone());
        json!({"name": name, "properties": properties})
    };
    let outer = json!([
        rule(
            "web",
            200,
            json!({
                "sourceAddressPrefix": "203.0.113.7", "destinationAddressPrefix": "*",
                "destinationPortRange": "22-80",
            })
        ),
        rule(
            "many",
            210,
            json!({
                "sourceAddressPrefixes": ["192.0.2.0/24", "198.51.100.0/24"],
                "destinationAddressPrefix": "*", "protocol": "*",
                "destinationPortRanges": ["22", "81-90"], "destinationPortRange": null,
            })
        ),
    ]);
    let inner = json!([rule(
        "role",
        300,
        json!({
            "sourceAddressPrefix": "*", "destinationApplicationSecurityGroups": role,
        })
    )]);
    for (name, rules) in [("outer", outer), ("inner", inner)] {
        let group = json!({"location": "local", "properties": {"securityRules": rules}});
        let (status, told) = put(&server, &format!("networkSecurityGroups/{name}"), &group).await;
        assert_eq!(status, 201, "{told}");
    }
    let subnet = json!({"name": "a", "properties": {
        "addressPrefix": "10.9.0.0/24",
        "networkSecurityGroup": {"id": at(&server, "networkSecurityGroups/outer")},
    }});
    let net = json!({"location": "local", "properties": {
        "addressSpace": {"addressPrefixes": ["10.9.0.0/16"]}, "subnets": [subnet],
    }});
    assert_eq!(put(&server, "virtualNetworks/v", &net).await.0, 201);
    let ip = json!({
        "subnet": {"id": at(&server, "virtualNetworks/v/subnets/a")},
        "privateIPAddress": "10.9.0.4", "privateIPAllocationMethod": "Static",
        "applicationSecurityGroups": role,
    });
    let nic = json!({"location": "local", "properties": {
        "networkSecurityGroup": {"id": at(&server, "networkSecurityGroups/inner")},
        "ipConfigurations": [{"name": "ipconfig1", "properties": ip}],
    }});
    let (status, told) = put(&server, "networkInterfaces/web-1", &nic).await;
    assert_eq!(status, 201, "{told}");
    server.protect().await;
    server
}

#[tokio::test]
async fn effective_rules_are_told_in_azures_shape() {
    let server = walled().await;
    let path = format!(
        "{}/effectiveNetworkSecurityGroups",
        at(&server, "networkInterfaces/WEB-1").replace("rg1", "RG1")
    );
    let (status, told) = post(&server, &path, &json!({})).await;
    assert_eq!(status, 200, "{told}");
    let [outer, inner] = told["value"].as_array().expect("a list").as_slice() else {
        panic!("two groups: {told}");
    };
    assert_eq!(outer["networkSecurityGroup"]["id"], at(&server, "networkSecurityGroups/outer"));
    let both = json!({
        "subnet": {"id": at(&server, "virtualNetworks/v/subnets/a")},
        "networkInterface": {"id": at(&server, "networkInterfaces/web-1")},
    });
    assert_eq!((&outer["association"], &inner["association"]), (&both, &both));
    assert_eq!([&outer["joinedTo"], &inner["joinedTo"]], ["subnet", "networkInterface"]);
    let rules = outer["effectiveSecurityRules"].as_array().expect("rules");
    assert_eq!(rules.len(), 2 + 6);
    assert_eq!(
        rules[0],
        json!({
            "name": "securityRules/web", "protocol": "Tcp",
            "sourcePortRange": "0-65535", "sourcePortRanges": ["0-65535"],
            "destinationPortRange": "22-80", "destinationPortRanges": ["22-80"],
            "sourceAddressPrefix": "203.0.113.7/32", "sourceAddressPrefixes": ["203.0.113.7/32"],
            "destinationAddressPrefix": "0.0.0.0/0",
            "destinationAddressPrefixes": ["0.0.0.0/0", "::/0"],
            "access": "Allow", "priority": 200, "direction": "Inbound",
        })
    );
    assert_eq!(
        rules[1],
        json!({
            "name": "securityRules/many", "protocol": "All",
            "sourcePortRange": "0-65535", "sourcePortRanges": ["0-65535"],
            "destinationPortRanges": ["22-22", "81-90"],
            "sourceAddressPrefixes": ["192.0.2.0/24", "198.51.100.0/24"],
            "destinationAddressPrefix": "0.0.0.0/0",
            "destinationAddressPrefixes": ["0.0.0.0/0", "::/0"],
            "access": "Allow", "priority": 210, "direction": "Inbound",
        })
    );
    let vnet = &rules[2];
    assert_eq!(vnet["name"], "defaultSecurityRules/AllowVnetInBound");
    assert_eq!(vnet["sourceAddressPrefix"], "VirtualNetwork");
    assert_eq!(vnet["expandedSourceAddressPrefix"], json!(["10.9.0.0/16"]));
    // JIT's own rules stand among the others, where their numbers are.
    server.ask().await;
    let (_, told) = post(&server, &path, &json!({})).await;
    let rules = told["value"][1]["effectiveSecurityRules"].as_array().expect("rules");
    let [access, role, deny, ..] = rules.as_slice() else { panic!("three rules: {told}") };
    let name = |rule: &Value| rule["name"].as_str().unwrap_or_default().to_owned();
    assert!(name(access).starts_with("securityRules/JIT_web-1_22_2"), "{access}");
    assert_eq!((&access["access"], &access["priority"]), (&json!("Allow"), &json!(100)));
    assert_eq!(access["destinationAddressPrefix"], "10.9.0.4/32");
    assert_eq!(name(deny), "securityRules/JIT_web-1_22_Deny_0a090004");
    assert_eq!((&deny["access"], &deny["priority"]), (&json!("Deny"), &json!(4096)));
    assert_eq!(role["destinationAddressPrefixes"], json!([]));
    assert_eq!(role["expandedDestinationAddressPrefix"], json!(["10.9.0.4/32"]));
    assert_eq!(role["destinationAddressPrefix"], Value::Null);

    let none = format!("{}/effectiveNetworkSecurityGroups", at(&server, "networkInterfaces/none"));
    let (status, told) = post(&server, &none, &json!({})).await;
    assert_eq!((status, told["error"]["code"].as_str()), (404, Some("ResourceNotFound")), "{told}");
}

#[tokio::test]
async fn a_watcher_is_there_for_each_location_and_nowhere_else() {
    let server = walled().await;
    let list = format!("{}/providers/Microsoft.Network/networkWatchers{V}", server.s());
    let (status, told) = server.json(Method::GET, &list, None).await;
    let names: Vec<&str> = told["value"]
        .as_array()
        .expect("a list")
        .iter()
        .filter_map(|w| w["name"].as_str())
        .collect();
    assert_eq!((status, names), (200, vec!["NetworkWatcher_centralus", "NetworkWatcher_local"]));
    let one = &told["value"][0];
    assert_eq!(one["location"], "centralus");
    let id = one["id"].as_str().expect("an id");
    assert_eq!(id, format!("{}/resourceGroups/{WATCHER}/NetworkWatcher_centralus", server.s()));
    let (status, told) = server.json(Method::GET, &format!("{id}{V}"), None).await;
    assert_eq!((status, &told), (200, one));
    let none = format!("{}/resourceGroups/{WATCHER}/other{V}", server.s());
    let (status, told) = server.json(Method::GET, &none, None).await;
    assert_eq!((status, told["error"]["code"].as_str()), (404, Some("ResourceNotFound")), "{told}");
    let (status, _) = server.json(Method::PUT, &none, Some(&json!({}))).await;
    assert_eq!(status, 405);
}

#[tokio::test]
async fn a_flow_is_told_with_who_has_the_last_word() {
    let server = walled().await;
    let (inbound, outbound) = ("Inbound", "Outbound");
    let deny = "securityRules/JIT_web-1_22_Deny_0a090004";
    // Direction, protocol, local port, remote address, remote port; access, by whom.
    let rows = [
        (inbound, "TCP", "80", "203.0.113.7", "*", "Allow", "securityRules/role"),
        (inbound, "tcp", "80", "203.0.113.7", "0", "Allow", "securityRules/role"),
        (inbound, "TCP", "80", "203.0.113.8", "*", "Deny", "defaultSecurityRules/DenyAllInBound"),
        (inbound, "UDP", "80", "203.0.113.7", "*", "Deny", "defaultSecurityRules/DenyAllInBound"),
        (inbound, "TCP", "70", "203.0.113.7", "*", "Deny", "defaultSecurityRules/DenyAllInBound"),
        (inbound, "TCP", "22", "192.0.2.7", "50000", "Deny", deny),
        (inbound, "UDP", "22", "192.0.2.7", "50000", "Deny", deny),
        (
            outbound,
            "TCP",
            "*",
            "8.8.8.8",
            "443",
            "Allow",
            "defaultSecurityRules/AllowInternetOutBound",
        ),
        (outbound, "UDP", "1", "172.16.0.1", "53", "Deny", "defaultSecurityRules/DenyAllOutBound"),
    ];
    let ask = async |(direction, protocol, local, remote, port): (&str, &str, &str, &str, &str)| {
        let mut body = flow(&server);
        for (name, value) in [
            ("direction", direction),
            ("protocol", protocol),
            ("localPort", local),
            ("remoteIPAddress", remote),
            ("remotePort", port),
        ] {
            body[name] = json!(value);
        }
        verify(&server, &body).await
    };
    for (direction, protocol, local, remote, port, access, by) in rows {
        let (status, told) = ask((direction, protocol, local, remote, port)).await;
        let right = json!({"access": access, "ruleName": by});
        assert_eq!((status, &told), (200, &right), "{direction} {protocol} {local} {remote}");
    }
    server.ask().await;
    let (_, told) = ask((inbound, "TCP", "22", "192.0.2.7", "*")).await;
    let by = told["ruleName"].as_str().unwrap_or_default();
    assert_eq!(told["access"], "Allow");
    assert!(by.starts_with("securityRules/JIT_web-1_22_2"), "an access lets it through: {told}");
    let (_, told) = ask((inbound, "TCP", "22", "192.0.2.8", "*")).await;
    assert_eq!(told["access"], "Deny", "another source");
    let mut body = flow(&server);
    body["targetNicResourceId"] = json!(at(&server, "networkInterfaces/web-1"));
    assert_eq!(verify(&server, &body).await.0, 200);
}

#[tokio::test]
async fn a_flow_that_cannot_be_is_refused_with_what_could() {
    let server = walled().await;
    let other = {
        let subnet = json!({"id": at(&server, "virtualNetworks/v/subnets/a")});
        let ip = json!({"subnet": subnet, "privateIPAddress": "10.9.0.5",
                        "privateIPAllocationMethod": "Static"});
        json!({"location": "local", "properties": {
            "ipConfigurations": [{"name": "ipconfig1", "properties": ip}]}})
    };
    assert_eq!(put(&server, "networkInterfaces/db-1", &other).await.0, 201);
    server.register("rg1", "db-1", &["10.9.0.5"]).await;
    let (vm, nic) = (|name| server.vm_id("rg1", name), |name| at(&server, name));
    for (name, value, status, needed) in [
        ("targetResourceId", json!(vm("none")), 404, "none"),
        ("localIPAddress", json!("10.9.0.9"), 400, "it has 10.9.0.4"),
        ("remoteIPAddress", json!("2001:db8::7"), 400, "two of one family"),
        ("protocol", json!("ICMP"), 400, "'TCP' or 'UDP'"),
        ("localPort", json!("*"), 400, "must be named"),
        ("remotePort", json!("1-2"), 400, "0 to 65535"),
        ("targetNicResourceId", json!(nic("networkInterfaces/none")), 404, "none"),
        (
            "targetNicResourceId",
            json!(nic("networkInterfaces/db-1")),
            400,
            "no network interface of",
        ),
        ("localPort", json!("\u{1b}[31m"), 400, "0 to 65535"),
    ] {
        let mut body = flow(&server);
        body[name] = value;
        let (got, told) = verify(&server, &body).await;
        let message = told["error"]["message"].as_str().unwrap_or_default();
        assert_eq!(got, status, "{name}: {told}");
        assert!(message.contains(needed) && !message.contains('\u{1b}'), "{name}: {told}");
        assert!(status == 404 || told["error"]["target"] == name, "{name}: {told}");
    }
    let elsewhere =
        format!("{}/resourceGroups/{WATCHER}/NetworkWatcher_local/ipFlowVerify", server.s());
    let (status, told) = post(&server, &elsewhere, &flow(&server)).await;
    let message = told["error"]["message"].as_str().unwrap_or_default();
    assert!(status == 400 && message.contains("Ask 'NetworkWatcher_centralus'"), "{told}");
}
