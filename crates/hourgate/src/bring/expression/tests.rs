use serde_json::json;

use super::*;

fn place() -> Place {
    Place {
        subscription: "00000000-0000-0000-0000-00000000000a".parse().expect("an id"),
        group: "prod".parse().expect("a name"),
        location: "westeurope".parse().expect("a location"),
    }
}

/// What a text comes to, with a few parameters and variables.
fn of(text: &str) -> Result<Value, String> {
    let place = place();
    let known = |pairs: &[(&str, Value)]| {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect()
    };
    let parameters: BTreeMap<String, Value> = known(&[
        ("name", json!("web-1")),
        ("list", json!(["a", "b"])),
        ("tag", json!({"Env": "x"})),
    ]);
    let scope = Scope {
        place: &place,
        parameters: parameters.into_iter().map(|(name, value)| (name, Ok(value))).collect(),
        variables: known(&[
            ("nic", json!("[concat(parameters('name'), '-nic')]")),
            ("loop", json!("[variables('loop')]")),
        ]),
        made: Cell::new(0),
    };
    scope.value(&Value::String(text.to_owned()))
}

#[test]
fn expressions_come_to_what_azure_makes_of_them() {
    let nsg = "/subscriptions/00000000-0000-0000-0000-00000000000a/resourceGroups/prod/providers\
               /Microsoft.Network/networkSecurityGroups/g";
    let rows = [
        ("plain", json!("plain")),
        ("[not an expression", json!("[not an expression")),
        ("[[meant]", json!("[meant]")),
        ("[parameters('name')]", json!("web-1")),
        ("[ parameters ( 'NAME' ) ]", json!("web-1")),
        ("[variables('nic')]", json!("web-1-nic")),
        ("[concat('it''s ', parameters('name'))]", json!("it's web-1")),
        ("[concat(parameters('list'), createArray('c'))]", json!(["a", "b", "c"])),
        ("[format('{0}/{1}-{{{0}}}', 'v', 7)]", json!("v/7-{v}")),
        ("[parameters('list')[1]]", json!("b")),
        ("[parameters('tag').env]", json!("x")),
        ("[parameters('tag')['Env']]", json!("x")),
        ("[resourceGroup().location]", json!("westeurope")),
        ("[subscription().subscriptionId]", json!("00000000-0000-0000-0000-00000000000a")),
        ("[resourceId('Microsoft.Network/networkSecurityGroups', 'g')]", json!(nsg)),
        ("[resourceId('prod', 'Microsoft.Network/networkSecurityGroups', 'g')]", json!(nsg)),
        (
            "[resourceId('Microsoft.Network/virtualNetworks/subnets', 'v', 's')]",
            json!(
                "/subscriptions/00000000-0000-0000-0000-00000000000a/resourceGroups/prod/providers\
                 /Microsoft.Network/virtualNetworks/v/subnets/s"
            ),
        ),
        ("[if(equals(parameters('name'), 'x'), reference('y'), 'no')]", json!("no")),
        ("[toLower('ABC')]", json!("abc")),
        ("[and(true(), not(false()))]", json!(true)),
        ("[length(parameters('list'))]", json!(2)),
        ("[coalesce(null(), 'b')]", json!("b")),
        ("[split('a/b', '/')]", json!(["a", "b"])),
    ];
    for (text, expected) in rows {
        assert_eq!(of(text), Ok(expected), "{text}");
    }
}

#[test]
fn what_no_file_can_tell_is_said_with_where_it_stands() {
    let rows = [
        ("[reference('x').y]", "reference() is known only where Azure deploys"),
        ("[listKeys('x', 'y')]", "listkeys() is known only"),
        ("[uniqueString('x')]", "uniquestring('x') is not worked out here"),
        ("[parameters('none')]", "there is no parameter `none`"),
        ("[variables('none')]", "there is no variable `none`"),
        ("[variables('loop')]", "nested deeper"),
        ("[concat('a'", "[concat('a'"),
        ("[concat('a']", "`)` is missing"),
        ("[concat('a)]", "a text has no end"),
        ("[]", "no expression begins"),
        ("['a' 'b']", "stands behind the expression"),
        ("[resourceId('g')]", "no type"),
        ("[resourceId('A.B/c/d', 'x')]", "1 names for the type"),
        ("[parameters('list')[9]]", "there is no item 9"),
        ("[parameters('name').x]", "no properties"),
        ("[format('{1}', 'a')]", "nothing for {1}"),
        ("[concat(1, parameters('tag'))]", "where a text is needed"),
        ("[int('x')]", "`x` is no number"),
        ("[toLower(1)]", "tolower() does not take"),
    ];
    for (text, needed) in rows {
        match of(text) {
            // Without its other bracket a text is a text.
            Ok(value) => assert_eq!(value, json!(needed), "{text}"),
            Err(why) => assert!(why.contains(needed), "{text}: {why}"),
        }
    }
}

#[test]
fn a_few_lines_that_mean_a_text_without_end_are_refused() {
    let place = place();
    let mut variables = BTreeMap::from([("v0".to_owned(), json!("x".repeat(1_000)))]);
    for n in 1..=20 {
        let before = format!("variables('v{}')", n - 1);
        variables.insert(format!("v{n}"), json!(format!("[concat({before}, {before})]")));
    }
    let mut lists = BTreeMap::from([("v0".to_owned(), json!(["x"]))]);
    for n in 1..=20 {
        let before = format!("variables('v{}')", n - 1);
        lists.insert(format!("v{n}"), json!(format!("[createArray({before}, {before})]")));
    }
    for variables in [variables, lists] {
        let scope =
            Scope { place: &place, parameters: BTreeMap::new(), variables, made: Cell::new(0) };
        let why = scope.value(&json!("[variables('v20')]")).expect_err("without end");
        assert!(why.contains("longer than") || why.contains("more than"), "{why}");
    }
    let deep = format!("[{}'x'{}]", "concat(".repeat(5_000), ")".repeat(5_000));
    assert!(of(&deep).expect_err("deep").contains("nested deeper"));
    for link in [".a", "['a']", "[0]"] {
        let long = format!("[parameters('tag'){}]", link.repeat(1_000_000));
        assert!(of(&long).expect_err("deep").contains("nested deeper"), "{link}");
        let most = format!("[parameters('tag'){}]", link.repeat(DEPTH_MAX));
        assert!(of(&most).is_err(), "nothing is so deep");
    }
}
