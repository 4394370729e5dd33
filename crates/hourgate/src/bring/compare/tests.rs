use serde_json::json;

use super::*;

fn group() -> Thing {
    let id = "/subscriptions/00000000-0000-0000-0000-00000000000a/resourceGroups/g/providers\
              /Microsoft.Network/networkSecurityGroups/g";
    Thing::of_id(id).expect("ours").0
}

fn network() -> Thing {
    let id = group().to_string().replace("networkSecurityGroups", "virtualNetworks");
    Thing::of_id(&id).expect("ours").0
}

fn paths(wanted: &Value, live: &Value) -> Vec<String> {
    differences(&group(), wanted, live).into_iter().map(|difference| difference.path).collect()
}

#[test]
fn what_only_the_server_says_or_fills_in_is_no_difference() {
    let rows = [
        ("read only", json!({}), json!({"etag": "x", "properties": {"provisioningState": "S"}})),
        ("empty and absent", json!({"properties": {"a": [], "b": null, "c": {}}}), json!({})),
        (
            "a location's spelling",
            json!({"location": "West Europe"}),
            json!({"location": "westeurope"}),
        ),
        (
            "case of a word",
            json!({"properties": {"protocol": "TCP"}}),
            json!({"properties": {"protocol": "Tcp"}}),
        ),
        ("case of a name", json!({"Properties": {"A": 1}}), json!({"properties": {"a": 1}})),
        ("an id's case", json!({"id": "/A", "x": {"id": "/A/b"}}), json!({"x": {"id": "/a/B"}})),
        ("a prefix's spelling", json!({"p": "10.0.0.4/32"}), json!({"p": "10.0.0.4"})),
        ("a duration's spelling", json!({"p": "PT180M"}), json!({"p": "PT3H"})),
        ("a list of one", json!({"p": ["*"]}), json!({"p": "*"})),
        (
            "the order of named things",
            json!({"properties": {"securityRules": [{"name": "a"}, {"name": "B"}]}}),
            json!({"properties": {"securityRules": [{"name": "b"}, {"name": "a"}]}}),
        ),
        (
            "an address that was picked",
            json!({"properties": {"ipConfigurations": [{"name": "a", "properties": {"subnet": {"id": "/s"}}}]}}),
            json!({"properties": {"ipConfigurations": [{"name": "a", "id": "/x", "properties": {
                "subnet": {"id": "/s"}, "privateIPAddress": "10.0.0.4", "primary": true,
                "privateIPAllocationMethod": "Dynamic"}}]}}),
        ),
        (
            "how an address that is named was given",
            json!({"properties": {"ipConfigurations": [{"name": "a", "properties": {
                "privateIPAddress": "10.0.0.4", "privateIPAllocationMethod": "Static"}}]}}),
            json!({"properties": {"ipConfigurations": [{"name": "a", "properties": {
                "privateIPAddress": "10.0.0.4", "privateIPAllocationMethod": "Dynamic"}}]}}),
        ),
        (
            "rules of JIT's own",
            json!({"properties": {"securityRules": [{"name": "a"}]}}),
            json!({"properties": {"securityRules": [{"name": "a"}, 
                {"name": "JIT_web_22_20261128T002047Z_w4s6po"}, {"name": "JIT_web_22_Deny_0a000004"}]}}),
        ),
        (
            "what stands beside an id",
            json!({"p": {"publicIPAddress": {"id": "/a", "properties": {"deleteOption": "Detach"}}}}),
            json!({"p": {"publicIPAddress": {"id": "/a"}}}),
        ),
        (
            "who is in a group",
            json!({}),
            json!({"properties": {"networkInterfaces": [{"id": "/n"}], "subnets": [{"id": "/s"}]}}),
        ),
    ];
    for (why, wanted, live) in rows {
        assert_eq!(paths(&wanted, &live), Vec::<String>::new(), "{why}");
    }
}

#[test]
fn what_differs_is_told_by_its_path() {
    let rows = [
        (
            "a value",
            json!({"properties": {"a": 1}}),
            json!({"properties": {"a": 2}}),
            vec!["properties.a"],
        ),
        ("more", json!({"properties": {"a": 1}}), json!({}), vec!["properties"]),
        ("less", json!({}), json!({"tags": {"a": "b"}}), vec!["tags"]),
        ("a tag's case", json!({"tags": {"a": "B"}}), json!({"tags": {"a": "b"}}), vec!["tags.a"]),
        (
            "a description's case",
            json!({"p": {"description": "B"}}),
            json!({"p": {"description": "b"}}),
            vec!["p.description"],
        ),
        (
            "a rule",
            json!({"properties": {"securityRules": [{"name": "a", "properties": {"priority": 1}}]}}),
            json!({"properties": {"securityRules": [{"name": "a", "properties": {"priority": 2}}, {"name": "b"}]}}),
            vec!["properties.securityRules[a].properties.priority", "properties.securityRules[b]"],
        ),
        (
            "the order of what has no name",
            json!({"p": ["10.0.0.0/8", "10.0.0.4"]}),
            json!({"p": ["10.0.0.4", "10.0.0.0/8"]}),
            vec!["p"],
        ),
        (
            "a machine's port",
            json!({"properties": {"virtualMachines": [{"id": "/x/web", "ports": [{"number": 22, "d": "PT1H"}]}]}}),
            json!({"properties": {"virtualMachines": [{"id": "/X/web", "ports": [{"number": 22, "d": "PT2H"}]}]}}),
            vec!["properties.virtualMachines[web].ports[22].d"],
        ),
        (
            "an address",
            json!({"properties": {"privateIPAddress": "10.0.0.4"}}),
            json!({"properties": {"privateIPAddress": "10.0.0.5"}}),
            vec!["properties.privateIPAddress"],
        ),
    ];
    for (why, wanted, live, expected) in rows {
        assert_eq!(paths(&wanted, &live), expected, "{why}");
    }
}

#[test]
fn who_uses_a_subnet_is_no_difference_of_its_network_and_a_subnet_more_is_one() {
    let subnet = json!({"name": "a", "properties": {"addressPrefix": "10.0.0.0/24"}});
    let mut used = subnet.clone();
    used["properties"]["ipConfigurations"] = json!([{"id": "/n"}]);
    let of = |subnets: &[&Value]| json!({"properties": {"subnets": subnets}});
    assert_eq!(differences(&network(), &of(&[&subnet]), &of(&[&used])), []);
    let more = json!({"name": "b", "properties": {"addressPrefix": "10.0.1.0/24"}});
    let found = differences(&network(), &of(&[&subnet]), &of(&[&used, &more]));
    assert_eq!(found[0].path, "properties.subnets[b]");
}

#[test]
fn a_rule_that_is_called_almost_like_one_of_jits_is_somebodys() {
    let live = json!({"properties": {"securityRules": [{"name": "JIT_mine"}]}});
    assert_eq!(paths(&json!({}), &live), ["properties"]);
}

#[test]
fn who_uses_a_load_balancer_is_no_difference_and_keeps_nothing_from_being_made() {
    let of = |kind: &str| {
        let id = group().to_string().replace("networkSecurityGroups", kind);
        Thing::of_id(&id).expect("ours").0
    };
    let wanted = json!({"properties": {
        "frontendIPConfigurations": [{"name": "f", "properties": {"publicIPAddress": {"id": "/p"}}}],
        "inboundNatRules": [{"name": "r", "properties": {"frontendPort": 1}}],
    }});
    let live = json!({"properties": {
        "frontendIPConfigurations": [{"name": "f", "properties": {
            "publicIPAddress": {"id": "/p"}, "inboundNatRules": [{"id": "/r"}]}}],
        "inboundNatRules": [{"name": "r", "id": "/r", "properties": {
            "frontendPort": 1, "backendIPConfiguration": {"id": "/n"}}}],
    }});
    assert_eq!(differences(&of("loadBalancers"), &wanted, &live), []);
    assert_eq!(meant(&of("loadBalancers"), &live), wanted);
    let told = json!({"properties": {
        "ruleCollectionGroups": [{"id": "/g"}], "firewalls": [{"id": "/f"}], "childPolicies": [],
    }});
    assert_eq!(differences(&of("firewallPolicies"), &json!({}), &told), []);
}
