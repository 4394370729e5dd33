use serde_json::json;

use super::*;

fn place() -> Place {
    Place {
        subscription: "00000000-0000-0000-0000-00000000000a".parse().expect("an id"),
        group: "prod".parse().expect("a name"),
        location: "westeurope".parse().expect("a location"),
    }
}

fn asg(name: &str) -> Value {
    json!({ "type": "Microsoft.Network/applicationSecurityGroups", "name": name, "location": "x" })
}

#[test]
fn parameters_are_given_or_have_a_value_and_nothing_else_is_taken() {
    let template = json!({
        "parameters": { "one": { "type": "string" }, "two": { "defaultValue": "b" } },
        "resources": [asg("[parameters('one')]"), asg("[parameters('TWO')]")],
    });
    let names = |given: Value| {
        let brought = read(&template, Some(&given), &place())?;
        Ok::<_, Vec<String>>(brought.wanted.iter().map(|w| w.thing.name()).collect::<Vec<_>>())
    };
    let wrapped = json!({ "parameters": { "One": { "value": "a" } } });
    assert_eq!(names(wrapped), Ok(vec!["a".to_owned(), "b".to_owned()]));
    assert_eq!(names(json!({ "one": "a", "two": "c" })), Ok(vec!["a".to_owned(), "c".to_owned()]));
    let missing = names(json!({})).expect_err("no value");
    assert!(missing[0].contains("`one` has no value") && missing[0].contains("--parameters"));
    let more = names(json!({ "one": "a", "three": "x" })).expect_err("one too many");
    assert!(more[0].contains("`three`"), "{more:?}");
    let vault = json!({ "parameters": { "one": { "reference": { "keyVault": {} } } } });
    assert!(names(vault).expect_err("a vault")[0].contains("key vault"));
}

#[test]
fn resources_within_others_are_theirs_wherever_they_stand() {
    let within = json!({
        "type": "Microsoft.Network/networkSecurityGroups", "name": "g", "location": "x",
        "properties": { "securityRules": [{ "name": "a", "properties": { "priority": 1 } }] },
        "resources": [
            { "type": "securityRules", "name": "A", "properties": { "priority": 2 } },
            { "type": "securityRules", "name": "b", "properties": { "priority": 3 } },
        ],
    });
    let brought = read(&json!({ "resources": [within] }), None, &place()).expect("read");
    assert_eq!(brought.wanted.len(), 1);
    assert_eq!(
        brought.wanted[0].body["properties"]["securityRules"],
        json!([
            { "name": "A", "properties": { "priority": 2 } },
            { "name": "b", "properties": { "priority": 3 } },
        ])
    );
    // Without what they are part of, parts are brought by themselves.
    let apart = json!({ "resources": [
        { "type": "Microsoft.Network/networkSecurityGroups/securityRules", "name": "g/a", "properties": {} },
        { "type": "Microsoft.Network/virtualNetworks/virtualNetworkPeerings", "name": "v/p", "properties": {} },
        { "type": "Microsoft.Network/loadBalancers/inboundNatRules", "name": "l/r", "properties": {} },
    ] });
    let brought = read(&apart, None, &place()).expect("read");
    let names: Vec<String> = brought.wanted.iter().map(|wanted| wanted.thing.name()).collect();
    assert_eq!(names, ["g/a", "v/p", "l/r"]);
    assert!(brought.skipped.is_empty());
}

#[test]
fn a_load_balancer_lists_its_rules_and_a_firewall_policy_does_not() {
    let template = json!({ "resources": [
        { "type": "Microsoft.Network/firewallPolicies/ruleCollectionGroups", "name": "p/nat",
          "dependsOn": ["[resourceId('Microsoft.Network/firewallPolicies', 'p')]"], "properties": { "priority": 100 } },
        { "type": "Microsoft.Network/firewallPolicies", "name": "p", "location": "x", "properties": {} },
        { "type": "Microsoft.Network/loadBalancers", "name": "l", "location": "x", "properties": {} },
        { "type": "Microsoft.Network/loadBalancers/inboundNatRules", "name": "l/r",
          "properties": { "frontendPort": 50001 } },
    ] });
    let brought = read(&template, None, &place()).expect("read");
    assert!(brought.skipped.is_empty(), "{:?}", brought.skipped);
    let told: Vec<(String, String)> =
        brought.wanted.iter().map(|w| (w.thing.type_name(), w.thing.name())).collect();
    let told: Vec<(&str, &str)> = told.iter().map(|(a, b)| (a.as_str(), b.as_str())).collect();
    assert_eq!(
        told,
        [
            ("Microsoft.Network/firewallPolicies/ruleCollectionGroups", "p/nat"),
            ("Microsoft.Network/firewallPolicies", "p"),
            ("Microsoft.Network/loadBalancers", "l"),
        ]
    );
    assert_eq!(brought.wanted[0].after.len(), 1);
    let rules = json!([{ "name": "r", "properties": { "frontendPort": 50001 } }]);
    assert_eq!(brought.wanted[2].body["properties"]["inboundNatRules"], rules);
}

#[test]
fn ids_of_one_foreign_subscription_become_ours_and_of_two_are_refused() {
    let id = |n: u32| {
        format!(
            "/subscriptions/1111111{n}-1111-1111-1111-111111111111/resourceGroups/x/providers\
             /Microsoft.Network/networkSecurityGroups/g"
        )
    };
    let brought = |ids: &[String]| Brought {
        wanted: vec![Wanted {
            thing: Thing::of_id(&id(1)).expect("ours").0,
            body: json!({ "ids": ids, "other": "/subscriptions/x" }),
            after: Vec::new(),
        }],
        skipped: Vec::new(),
    };
    let mut one = brought(&[id(1), id(1)]);
    adopt(&mut one, &place()).expect("one");
    let ours = one.wanted[0].body["ids"][1].as_str().expect("a text");
    assert!(
        ours.starts_with("/subscriptions/00000000-0000-0000-0000-00000000000a/resourceGroups/x/")
    );
    assert_eq!(one.wanted[0].body["other"], "/subscriptions/x");
    let why = adopt(&mut brought(&[id(1), id(2)]), &place()).expect_err("two");
    assert!(why.contains("several subscriptions"), "{why}");
}

#[test]
fn a_template_of_too_much_is_refused() {
    let many: Vec<Value> = (0..=RESOURCES_MAX).map(|n| asg(&format!("a{n}"))).collect();
    let problems = read(&json!({ "resources": many }), None, &place()).expect_err("too many");
    assert!(problems[0].contains("more than 20000 resources"), "{problems:?}");
    let mut deep = asg("x");
    for _ in 0..20 {
        deep = json!({ "type": "Microsoft.Network/applicationSecurityGroups", "name": "x", "location": "x",
                       "resources": [deep] });
    }
    let problems = read(&json!({ "resources": [deep] }), None, &place()).expect_err("too deep");
    assert!(problems[0].contains("nested deeper"), "{problems:?}");
}

#[test]
fn rules_of_azures_own_access_are_left_out_however_they_are_written() {
    let rule = |name: &str| json!({ "name": name, "properties": {} });
    let names = ["MicrosoftDefenderForCloud-JITRule_1", "securitycenter-jitrule-2", "Security"];
    let within = json!({
        "type": "Microsoft.Network/networkSecurityGroups", "name": "g", "location": "x",
        "properties": { "securityRules": names.map(rule) },
    });
    let apart = |name: &str| {
        let kind = "Microsoft.Network/networkSecurityGroups/securityRules";
        json!({ "type": kind, "name": format!("h/{name}"), "properties": {} })
    };
    let all: Vec<Value> = [within].into_iter().chain(names.map(apart)).collect();
    let brought = read(&json!({ "resources": all }), None, &place()).expect("read");
    let kept = json!([{ "name": "Security", "properties": {} }]);
    assert_eq!(brought.wanted[0].body["properties"]["securityRules"], kept);
    let whole: Vec<String> = brought.wanted.iter().map(|wanted| wanted.thing.name()).collect();
    assert_eq!(whole, ["g", "h/Security"]);
    let skipped: Vec<&str> = brought.skipped.iter().map(|skipped| skipped.name.as_str()).collect();
    assert_eq!(
        skipped,
        [
            "g/MicrosoftDefenderForCloud-JITRule_1",
            "g/securitycenter-jitrule-2",
            "h/MicrosoftDefenderForCloud-JITRule_1",
            "h/securitycenter-jitrule-2",
        ]
    );
}

#[test]
fn one_that_stands_for_many_is_left_out_with_the_reason() {
    let mut many = asg("[concat('a', copyIndex())]");
    many["copy"] = json!({ "name": "each", "count": 3 });
    let mut named = asg("many");
    named["copy"] = json!({ "name": "each", "count": 3 });
    let brought = read(&json!({ "resources": [named, asg("one")] }), None, &place()).expect("read");
    assert_eq!(brought.wanted.len(), 1);
    let [skipped] = &brought.skipped[..] else { panic!("{:?}", brought.skipped) };
    assert_eq!(skipped.name, "many");
    assert!(skipped.why.contains("`copy`"), "{skipped:?}");
    // Its name is worked out by a deployment alone: it is told, not guessed.
    let problems = read(&json!({ "resources": [many] }), None, &place()).expect_err("no name");
    assert!(problems[0].contains("copyIndex"), "{problems:?}");
}
