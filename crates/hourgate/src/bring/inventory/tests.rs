use serde_json::json;

use super::*;

fn place() -> Place {
    Place {
        subscription: "00000000-0000-0000-0000-00000000000a".parse().expect("an id"),
        group: "default".parse().expect("a name"),
        location: "local".parse().expect("a location"),
    }
}

#[test]
fn a_line_is_a_machine_with_what_is_left_out_filled_in() {
    let text =
        "Name, Addresses, OS\nweb-1, 10.0.0.4;fd00::4, linux\n\"db-1\",\"10.0.0.5, 10.0.0.6\",\n";
    let brought = csv(text, &place()).expect("a list");
    let shown: Vec<(String, Value)> =
        brought.wanted.iter().map(|wanted| (wanted.thing.name(), wanted.body.clone())).collect();
    let body = |properties: Value| json!({ "location": "local", "properties": properties });
    assert_eq!(
        shown,
        [
            (
                "web-1".to_owned(),
                body(json!({ "privateAddresses": ["10.0.0.4", "fd00::4"], "osType": "Linux" }))
            ),
            ("db-1".to_owned(), body(json!({ "privateAddresses": ["10.0.0.5", "10.0.0.6"] }))),
        ]
    );
    let list = json!([{ "name": "db-1", "addresses": ["10.0.0.5", "10.0.0.6"], "os": null }]);
    assert_eq!(value(&list, &place()).expect("a list").wanted[0], brought.wanted[1]);
}

#[test]
fn everything_that_is_wrong_with_a_list_is_told_at_once() {
    let text = "name,addresses,os\n-x,10.0.0.4,linux\nweb-1,ten,solaris\nweb-2,,\n";
    let problems = csv(text, &place()).expect_err("wrong");
    let told = ["line 2: name", "line 3: os", "line 3: addresses", "line 4: addresses"];
    assert_eq!(problems.len(), told.len(), "{problems:?}");
    for (problem, needed) in problems.iter().zip(told) {
        assert!(problem.starts_with(needed), "{problem}");
    }
}

#[test]
fn a_field_that_stands_twice_is_not_chosen_from() {
    let problems = csv("name,NAME,addresses\nweb-1,db-1,10.0.0.4\n", &place()).expect_err("wrong");
    assert_eq!(problems, ["the field `name` stands twice"]);
}
