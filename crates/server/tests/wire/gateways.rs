//! Load balancers, firewalls and policies as Azure's clients see them; and a machine that is reached through one.

use hourgate_core::{gateway::Carrier, gateway::Place, network::Port};
use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    harness::{Running, SOON, start},
    network::{V, at, put},
};

const PUBLIC: &str = "198.51.100.1";

fn made(properties: Value) -> Value {
    json!({"location": "local", "properties": properties})
}

async fn puts(server: &Running, rest: &str, properties: Value) -> Value {
    let (status, body) = put(server, rest, &made(properties)).await;
    assert!([200, 201].contains(&status), "{rest}: {status} {body}");
    body
}

async fn get(server: &Running, rest: &str) -> Value {
    let (status, body) = server.json(Method::GET, &format!("{}{V}", at(server, rest)), None).await;
    assert_eq!(status, 200, "{rest}: {body}");
    body
}

async fn refused(server: &Running, rest: &str, properties: Value) -> (String, String) {
    let (status, body) = put(server, rest, &made(properties)).await;
    assert_eq!(status, 400, "{rest}: {body}");
    let text = |name: &str| body["error"][name].as_str().unwrap_or_default().to_owned();
    (text("code"), text("message"))
}

/// Waits until a guard was told.
async fn soon(so: impl Fn() -> bool) {
    let look = async {
        while !so() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(SOON, look).await.expect("it became so");
}

fn id(server: &Running, rest: &str) -> Value {
    json!({"id": at(server, rest)})
}

/// A hub with a firewall, a spoke joined to it, and an interface at 10.1.0.4.
async fn hub(server: &Running) {
    let vnet = |space: &str, subnet: (&str, &str), peers: Value| {
        json!({
            "addressSpace": {"addressPrefixes": [space]},
            "subnets": [{"name": subnet.0, "properties": {"addressPrefix": subnet.1}}],
            "virtualNetworkPeerings": peers,
        })
    };
    let peering = |remote: &str| {
        let remote = id(server, &format!("virtualNetworks/{remote}"));
        json!([{"name": "p", "properties": {"remoteVirtualNetwork": remote}}])
    };
    let of_hub = ("AzureFirewallSubnet", "10.0.0.0/26");
    puts(server, "virtualNetworks/hub", vnet("10.0.0.0/16", of_hub, json!([]))).await;
    let spoke = vnet("10.1.0.0/16", ("a", "10.1.0.0/24"), peering("hub"));
    puts(server, "virtualNetworks/spoke", spoke).await;
    puts(server, "virtualNetworks/hub", vnet("10.0.0.0/16", of_hub, peering("spoke"))).await;
    let address = json!({"ipAddress": PUBLIC, "publicIPAllocationMethod": "Static"});
    puts(server, "publicIPAddresses/outside", address).await;
    puts(server, "networkSecurityGroups/g", json!({})).await;
    puts(server, "networkInterfaces/m", nic(server, json!({}))).await;
}

fn nic(server: &Running, more: Value) -> Value {
    let mut ip = json!({
        "subnet": id(server, "virtualNetworks/spoke/subnets/a"),
        "privateIPAddress": "10.1.0.4", "privateIPAllocationMethod": "Static",
    });
    for (name, value) in more.as_object().into_iter().flatten() {
        ip[name] = value.clone();
    }
    json!({
        "networkSecurityGroup": id(server, "networkSecurityGroups/g"),
        "ipConfigurations": [{"name": "ip", "properties": ip}],
    })
}

fn balancer(server: &Running) -> Value {
    let own = at(server, "loadBalancers/lb");
    json!({
        "frontendIPConfigurations": [{
            "name": "f", "properties": {"publicIPAddress": id(server, "publicIPAddresses/outside")},
        }],
        "backendAddressPools": [{"name": "pool", "properties": {"anything": [1, {"x": null}]}}],
        "inboundNatRules": [{"name": "ssh", "properties": {
            "frontendIPConfiguration": {"id": format!("{own}/frontendIPConfigurations/f")},
            "protocol": "Tcp", "frontendPort": 2222, "backendPort": 22,
            "enableFloatingIP": false,
        }}],
    })
}

fn firewall(server: &Running, tier: &str) -> Value {
    json!({
        "sku": {"name": "AZFW_VNet", "tier": tier},
        "ipConfigurations": [{"name": "ip", "properties": {
            "subnet": id(server, "virtualNetworks/hub/subnets/AzureFirewallSubnet"),
            "publicIPAddress": id(server, "publicIPAddresses/outside"),
        }}],
        "firewallPolicy": id(server, "firewallPolicies/rules"),
        "natRuleCollections": [{"name": "old", "properties": {"priority": 7}}],
        "threatIntelMode": "Alert",
    })
}

fn group(rule: &Value) -> Value {
    json!({"properties": {"priority": 200, "ruleCollections": [
        {
            "ruleCollectionType": "FirewallPolicyFilterRuleCollection", "name": "allow",
            "priority": 300, "action": {"type": "Allow"}, "rules": [{"whatever": true}],
        },
        {
            "ruleCollectionType": "FirewallPolicyNatRuleCollection", "name": "in",
            "priority": 100, "action": {"type": "DNAT"}, "rules": [rule],
        },
    ]}})
}

fn dnat() -> Value {
    json!({
        "ruleType": "NatRule", "name": "web", "ipProtocols": ["TCP"], "sourceAddresses": ["*"],
        "destinationAddresses": [PUBLIC], "destinationPorts": ["8080"],
        "translatedAddress": "10.1.0.4", "translatedPort": "80",
    })
}

#[tokio::test]
async fn a_load_balancer_shows_who_is_behind_it_and_gives_the_rest_back_as_sent() {
    let server = start().await;
    hub(&server).await;
    let sent = balancer(&server);
    puts(&server, "loadBalancers/lb", sent.clone()).await;
    let rule = id(&server, "loadBalancers/lb/inboundNatRules/ssh");
    puts(
        &server,
        "networkInterfaces/m",
        nic(&server, json!({"loadBalancerInboundNatRules": [rule]})),
    )
    .await;
    let shown = get(&server, "loadBalancers/LB").await;
    assert_eq!(shown["type"], "Microsoft.Network/loadBalancers");
    assert_eq!(shown["sku"], json!({"name": "Basic", "tier": "Regional"}), "az reads it");
    let properties = &shown["properties"];
    assert_eq!(properties["backendAddressPools"], sent["backendAddressPools"]);
    let ssh = &properties["inboundNatRules"][0];
    assert_eq!(ssh["id"], rule["id"]);
    assert_eq!(ssh["properties"]["frontendPort"], 2222);
    assert_eq!(ssh["properties"]["enableFloatingIP"], false);
    let backend = id(&server, "networkInterfaces/m/ipConfigurations/ip");
    assert_eq!(ssh["properties"]["backendIPConfiguration"], backend);
    let of_frontend = &properties["frontendIPConfigurations"][0]["properties"]["inboundNatRules"];
    assert_eq!(*of_frontend, json!([rule]));
    let public = get(&server, "publicIPAddresses/outside").await;
    let user = id(&server, "loadBalancers/lb/frontendIPConfigurations/f");
    assert_eq!(public["properties"]["ipConfiguration"], user);
    let nic = get(&server, "networkInterfaces/m").await;
    let rules = &nic["properties"]["ipConfigurations"][0]["properties"];
    assert_eq!(rules["loadBalancerInboundNatRules"], json!([rule]));
    // What was read is written back without a change.
    let etag = shown["etag"].clone();
    let (status, again) = put(&server, "loadBalancers/lb", &shown).await;
    assert_eq!((status, &again["etag"]), (200, &etag));
    let path = format!("{}{V}", at(&server, "loadBalancers/lb"));
    let (status, answer) = server.json(Method::DELETE, &path, None).await;
    assert_eq!((status, &answer["error"]["code"]), (400, &json!("InboundNatRuleInUse")));
}

#[tokio::test]
async fn inbound_nat_rules_are_set_one_by_one() {
    let server = start().await;
    hub(&server).await;
    puts(&server, "loadBalancers/lb", balancer(&server)).await;
    let own = at(&server, "loadBalancers/lb");
    let rule = |port: u16| {
        json!({"properties": {
            "frontendIPConfiguration": {"id": format!("{own}/frontendIPConfigurations/f")},
            "protocol": "Tcp", "frontendPort": port, "backendPort": 22, "idleTimeoutInMinutes": 4,
        }})
    };
    let path = "loadBalancers/lb/inboundNatRules/more";
    let (status, made) = put(&server, path, &rule(2223)).await;
    assert_eq!((status, &made["id"]), (201, &json!(at(&server, path))), "{made}");
    assert_eq!(made["properties"]["idleTimeoutInMinutes"], 4);
    assert_eq!(put(&server, path, &made).await, (200, made.clone()), "as it was read");
    assert_eq!(get(&server, path).await, made);
    let listed = get(&server, "loadBalancers/lb/inboundNatRules").await;
    assert_eq!(listed["value"].as_array().map(Vec::len), Some(2));
    // A port leads to one machine.
    let (status, told) = put(&server, path, &rule(2222)).await;
    assert_eq!((status, &told["error"]["details"]), (400, &Value::Null), "{told}");
    let used = json!({"loadBalancerInboundNatRules": [id(&server, path)]});
    puts(&server, "networkInterfaces/m", nic(&server, used)).await;
    let path = format!("{}{V}", at(&server, path));
    let (status, told) = server.json(Method::DELETE, &path, None).await;
    assert_eq!((status, &told["error"]["code"]), (400, &json!("InboundNatRuleInUse")), "{told}");
    puts(&server, "networkInterfaces/m", nic(&server, json!({}))).await;
    assert_eq!(server.call(Method::DELETE, &path, None).await.status(), 202);
}

#[tokio::test]
async fn a_firewall_and_its_policy_come_back_as_they_were_sent() {
    let server = start().await;
    hub(&server).await;
    puts(&server, "firewallPolicies/rules", json!({"threatIntelMode": "Deny"})).await;
    let shown = puts(&server, "azureFirewalls/fw", firewall(&server, "Premium")).await;
    let sent = firewall(&server, "Premium");
    for kept in ["sku", "natRuleCollections", "threatIntelMode", "firewallPolicy"] {
        assert_eq!(shown["properties"][kept], sent[kept], "{kept}");
    }
    let path = format!("{}{V}", at(&server, "firewallPolicies/rules/ruleCollectionGroups/g"));
    let (status, body) = server.json(Method::PUT, &path, Some(&group(&dnat()))).await;
    assert_eq!(status, 201, "{body}");
    let collections = &group(&dnat())["properties"]["ruleCollections"];
    assert_eq!(body["properties"]["ruleCollections"], *collections);
    // A policy that is set without its groups keeps them, and so do its tags.
    puts(&server, "firewallPolicies/rules", json!({"threatIntelMode": "Off"})).await;
    let policy = get(&server, "firewallPolicies/rules").await;
    let groups = id(&server, "firewallPolicies/rules/ruleCollectionGroups/g");
    assert_eq!(policy["properties"]["ruleCollectionGroups"], json!([groups]));
    assert_eq!(policy["properties"]["threatIntelMode"], "Off");
    assert_eq!(policy["properties"]["firewalls"], json!([id(&server, "azureFirewalls/fw")]));
    let all = get(&server, "firewallPolicies/rules/ruleCollectionGroups").await;
    assert_eq!(all["value"].as_array().map(Vec::len), Some(1));
    let place = |port| Place {
        address: PUBLIC.parse().expect("an address"),
        port: Port::new(port).expect("not 0"),
    };
    let guard = server.guard.as_ref().expect("a guard");
    let somebody = "203.0.113.7".parse().expect("an address");
    let leads = || guard.translates(somebody, place(8080), Carrier::Tcp);
    soon(|| leads().is_some()).await;
    assert_eq!(leads().map(|to| to.to_string()), Some("10.1.0.4:80".to_owned()));
    assert!(!guard.translations().silent.is_empty());
    let gone = server.call(Method::DELETE, &path, None).await;
    assert_eq!(gone.status(), 202);
    soon(|| leads().is_none()).await;
}

#[tokio::test]
async fn what_cannot_be_is_refused_with_what_would_be_accepted() {
    let server = start().await;
    hub(&server).await;
    puts(&server, "firewallPolicies/rules", json!({})).await;
    let lb = |change: fn(&mut Value)| {
        let mut sent = balancer(&server);
        change(&mut sent);
        sent
    };
    let rows = [
        (
            lb(|lb| lb["inboundNatRules"][0]["properties"]["protocol"] = json!("All")),
            "InvalidParameter",
            "'All' is not accepted: 'Tcp' or 'Udp' is",
        ),
        (
            lb(|lb| lb["inboundNatRules"][0]["properties"]["frontendPort"] = json!(0)),
            "InvalidParameter",
            "0 is not accepted: a whole number from 1 to 65535 is",
        ),
        (
            lb(|lb| {
                let of = &mut lb["inboundNatRules"][0]["properties"]["frontendIPConfiguration"];
                of["id"] = json!("/subscriptions/x");
            }),
            "InvalidParameter",
            "'/subscriptions/x' is no resource id of a frontend IP configuration",
        ),
        (
            lb(|lb| lb["frontendIPConfigurations"][0]["properties"] = json!({})),
            "InvalidRequestContent",
            "'publicIPAddress' is missing: a public address, or a 'subnet', is needed",
        ),
        (
            lb(|lb| lb["frontendIPConfigurations"][0]["name"] = json!("g")),
            "InvalidResourceReference",
            "frontendIPConfigurations/f referenced by resource",
        ),
    ];
    for (sent, code, sentence) in rows {
        let (got, message) = refused(&server, "loadBalancers/lb", sent).await;
        assert_eq!(got, code, "{message}");
        assert!(message.contains(sentence), "{message}");
    }
    let mut wrong = firewall(&server, "Gold");
    let (code, message) = refused(&server, "azureFirewalls/fw", wrong.clone()).await;
    assert_eq!(code, "InvalidParameter", "{message}");
    wrong["sku"]["tier"] = json!("Standard");
    wrong["ipConfigurations"][0]["properties"]["subnet"] =
        id(&server, "virtualNetworks/spoke/subnets/a");
    let (code, message) = refused(&server, "azureFirewalls/fw", wrong).await;
    assert_eq!(code, "AzureFirewallSubnetNotFound");
    assert!(message.contains("'AzureFirewallSubnet'"), "{message}");
    let rows = [
        (json!({"destinationPorts": ["80-90"]}), "'80-90' is no port"),
        (json!({"destinationPorts": []}), "'destinationPorts' is empty"),
        (json!({"translatedAddress": null}), "'translatedAddress' is missing"),
        (json!({"translatedPort": "0"}), "'0' is no port"),
        (json!({"ipProtocols": ["Any"]}), "'Any' is not accepted"),
        (json!({"sourceAddresses": ["10.0.0.1/8"]}), "10.0.0.0/8"),
        (json!({"destinationAddresses": ["fd00::1"]}), "another family"),
    ];
    for (changes, sentence) in rows {
        let mut rule = dnat();
        for (name, value) in changes.as_object().into_iter().flatten() {
            rule[name] = value.clone();
        }
        let path = format!("{}{V}", at(&server, "firewallPolicies/rules/ruleCollectionGroups/g"));
        let (status, answer) = server.json(Method::PUT, &path, Some(&group(&rule))).await;
        assert_eq!(status, 400, "{answer}");
        let message = answer["error"]["message"].as_str().unwrap_or_default();
        assert!(message.contains(sentence), "{changes}: {message}");
    }
}

#[tokio::test]
async fn the_answer_says_what_to_connect_to() {
    let server = start().await;
    hub(&server).await;
    server.register("rg1", "web-1", &["10.1.0.4"]).await;
    let policy = server.policy_id("rg1");
    let version = "?api-version=2020-01-01";
    let sent = server.policy_body("web-1", 22);
    let (status, body) = server.json(Method::PUT, &format!("{policy}{version}"), Some(&sent)).await;
    assert_eq!(status, 200, "{body}");
    let connect = async || {
        let ask = server.ask_body("web-1", 22);
        let path = format!("{policy}/initiate{version}");
        let (status, request) = server.json(Method::POST, &path, Some(&ask)).await;
        assert_eq!(status, 202, "{request}");
        let path = server.request_path(request["id"].as_str().expect("an id"));
        let open =
            |request: &Value| request["virtualMachines"][0]["ports"][0]["status"] == "Initiated";
        let request = server.until(&path, open).await;
        let port = &request["virtualMachines"][0]["ports"][0];
        (port["connect"].clone(), port["mappedPort"].clone())
    };
    let at_port = |address: &str, port: u16| json!({"address": address, "port": port});
    assert_eq!(connect().await, (at_port("10.1.0.4", 22), Value::Null), "nothing in front");

    puts(&server, "loadBalancers/lb", balancer(&server)).await;
    let rule = id(&server, "loadBalancers/lb/inboundNatRules/ssh");
    let led = nic(&server, json!({"loadBalancerInboundNatRules": [rule]}));
    puts(&server, "networkInterfaces/m", led).await;
    assert_eq!(connect().await, (at_port(PUBLIC, 2222), Value::Null), "a load balancer's");
    puts(&server, "networkInterfaces/m", nic(&server, json!({}))).await;
    let path = format!("{}{V}", at(&server, "loadBalancers/lb"));
    assert_eq!(server.call(Method::DELETE, &path, None).await.status(), 202);

    let public = json!({"publicIPAddress": id(&server, "publicIPAddresses/outside")});
    puts(&server, "networkInterfaces/m", nic(&server, public)).await;
    assert_eq!(connect().await, (at_port(PUBLIC, 22), Value::Null), "its own");
    puts(&server, "networkInterfaces/m", nic(&server, json!({}))).await;

    puts(&server, "firewallPolicies/rules", json!({})).await;
    puts(&server, "azureFirewalls/fw", firewall(&server, "Standard")).await;
    let (to, mapped) = connect().await;
    assert_eq!((to, mapped), (at_port(PUBLIC, 50_000), json!(50_000)), "a firewall's");
    let (_, policy) = server.json(Method::GET, &format!("{policy}{version}"), None).await;
    let of_vm = &policy["properties"]["virtualMachines"][0];
    assert_eq!(of_vm["publicIpAddress"], PUBLIC);
}

#[tokio::test]
async fn what_an_access_leads_through_is_not_taken_away_and_the_answer_names_the_request() {
    let server = start().await;
    hub(&server).await;
    server.register("rg1", "web-1", &["10.1.0.4"]).await;
    puts(&server, "firewallPolicies/rules", json!({})).await;
    puts(&server, "azureFirewalls/fw", firewall(&server, "Standard")).await;
    let (policy, version) = (server.policy_id("rg1"), "?api-version=2020-01-01");
    let sent = server.policy_body("web-1", 22);
    let (status, body) = server.json(Method::PUT, &format!("{policy}{version}"), Some(&sent)).await;
    assert_eq!(status, 200, "{body}");
    let ask = server.ask_body("web-1", 22);
    let path = format!("{policy}/initiate{version}");
    let (status, request) = server.json(Method::POST, &path, Some(&ask)).await;
    assert_eq!(status, 202, "{request}");
    let request = request["id"].as_str().expect("an id").to_owned();

    let mut rule = dnat();
    rule["destinationPorts"] = json!(["50000"]);
    let other = json!({"ipAddress": "198.51.100.9", "publicIPAllocationMethod": "Static"});
    let changes = [
        (Method::DELETE, "azureFirewalls/fw", None),
        (Method::PUT, "azureFirewalls/fw", Some(made(firewall(&server, "Basic")))),
        (Method::PUT, "publicIPAddresses/outside", Some(made(other))),
        (Method::PUT, "firewallPolicies/rules/ruleCollectionGroups/g", Some(group(&rule))),
    ];
    for (method, rest, body) in &changes {
        let path = format!("{}{V}", at(&server, rest));
        let (status, answer) = server.json(method.clone(), &path, body.as_ref()).await;
        assert_eq!((status, &answer["error"]["code"]), (409, &json!("JitRuleReadOnly")), "{rest}");
        let message = answer["error"]["message"].as_str().unwrap_or_default();
        assert!(message.contains(&request), "{rest}: {message}");
    }
    let close = server.request_path(&request).replace('?', "/close?");
    assert_eq!(server.call(Method::POST, &close, None).await.status(), 200);
    for (method, rest, body) in changes.into_iter().rev() {
        let path = format!("{}{V}", at(&server, rest));
        let (status, answer) = server.json(method, &path, body.as_ref()).await;
        assert!((200..300).contains(&status), "{rest}: {status} {answer}");
    }
}
