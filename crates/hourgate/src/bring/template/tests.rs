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
    // Without its group a rule is brought by itself, and a peering is not.
    let apart = json!({ "resources": [
        { "type": "Microsoft.Network/networkSecurityGroups/securityRules", "name": "g/a", "properties": {} },
        { "type": "Microsoft.Network/virtualNetworks/virtualNetworkPeerings", "name": "v/p", "properties": {} },
    ] });
    let brought = read(&apart, None, &place()).expect("read");
    assert_eq!(brought.wanted[0].thing.name(), "g/a");
    assert_eq!(brought.skipped[0].why, "the file does not hold what it is part of");
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
