//! What a group must be to be one: numbers, names and limits, and all faults at once.

use hourgate_core::nsg::{
    fault::{GroupFault, GroupFaults},
    group::SecurityGroup,
    id::GroupId,
    rule::SecurityRule,
    word::{Direction, Side},
};

use crate::scene::*;

fn faults(rules: Vec<SecurityRule>) -> Vec<GroupFault> {
    match SecurityGroup::new(group_id("nic"), rules) {
        Ok(_) => Vec::new(),
        Err(GroupFaults(faults)) => faults,
    }
}

fn lines(lines: &[&str]) -> Vec<SecurityRule> {
    lines.iter().map(|line| rule(line)).collect()
}

#[test]
fn a_number_is_unique_in_its_direction() {
    let one_each = lines(&["a 100 Allow * * > *", "b 100 Allow * * > * out"]);
    assert_eq!(faults(one_each), []);
    let twice = lines(&["a 100 Allow * * > *", "b 100 Deny * * > *", "c 100 Deny * * > *"]);
    let clash = |new| GroupFault::PriorityTwice {
        direction: Direction::Inbound,
        priority: number(100),
        existing: named("a"),
        new: named(new),
    };
    assert_eq!(faults(twice), [clash("b"), clash("c")], "the existing rule is named first");
}

#[test]
fn a_name_is_unique_without_case() {
    let twice = lines(&["web 100 Allow * * > *", "WEB 100 Allow * * > * out"]);
    assert_eq!(faults(twice), [GroupFault::NameTwice { name: named("web") }]);
}

#[test]
fn a_thousand_rules_and_no_more() {
    let rules = |count: u16| -> Vec<SecurityRule> {
        (0..count).map(|n| rule(&format!("r{n} {} Allow * * > *", 100 + n))).collect()
    };
    assert_eq!(faults(rules(1_000)), []);
    assert_eq!(faults(rules(1_001)), [GroupFault::TooManyRules { count: 1_001, most: 1_000 }]);
}

#[test]
fn four_thousand_places_and_ports_a_side_and_no_more() {
    let rules = |more: usize| -> Vec<SecurityRule> {
        let list = |count: usize, text: fn(usize) -> String| {
            (0..count).map(text).collect::<Vec<_>>().join(",")
        };
        let place = |n: usize| format!("10.{}.{}.1", n / 256, n % 256);
        let (places, ports) = (list(2_000, place), list(2_000, |n| n.to_string()));
        let (more_places, more_ports) =
            (list(2_000 + more, place), list(2_000 + more, |n| n.to_string()));
        vec![
            rule(&format!("a 100 Allow Tcp {places}@{ports} > {places}@{ports}")),
            rule(&format!("b 101 Allow Tcp {more_places}@{more_ports} > {places}@{ports}")),
        ]
    };
    assert_eq!(faults(rules(0)), []);
    let (side, count, most) = (Side::Source, 4_001, 4_000);
    assert_eq!(
        faults(rules(1)),
        [
            GroupFault::TooManyPlaces { side, count, most },
            GroupFault::TooManyPorts { side, count, most }
        ]
    );
}

#[test]
fn all_faults_come_at_once_and_reading_is_no_way_round() {
    let bad = lines(&["a 100 Allow * * > *", "A 100 Allow * * > *"]);
    assert_eq!(faults(bad.clone()).len(), 2);
    let text = serde_json::json!({ "id": group_id("nic"), "rules": bad }).to_string();
    assert!(serde_json::from_str::<SecurityGroup>(&text).is_err());
}

#[test]
fn rules_are_given_back_as_sent_and_looked_at_by_number() {
    let group = group(
        "nic",
        &[
            "c 300 Allow * * > *",
            "a 100 Deny * * > *",
            "o 150 Allow * * > * out",
            "b 200 Allow * * > *",
        ],
    );
    let names = |rules: Vec<&SecurityRule>| -> Vec<String> {
        rules.iter().map(|rule| rule.name().to_string()).collect()
    };
    assert_eq!(names(group.rules().iter().collect()), ["c", "a", "o", "b"]);
    assert_eq!(names(group.own_in_order(Direction::Inbound).collect()), ["a", "b", "c"]);
    assert_eq!(
        names(group.in_order(Direction::Outbound).collect()),
        ["o", "AllowVnetOutBound", "AllowInternetOutBound", "DenyAllOutBound"]
    );
}

#[test]
fn a_rule_is_added_changed_and_taken_out() {
    let before = group("nic", &["a 100 Deny * * > *", "b 200 Allow * * > *"]);
    let after = before.with(rule("c 300 Allow * * > *")).expect("a group");
    assert_eq!(after.rules().len(), 3);
    assert_eq!(after.without(|rule| *rule.name() == named("C")), before);
    let changed = before.with(rule("A 150 Allow * * > *")).expect("a group");
    assert_eq!(changed.rule(&named("a")).map(SecurityRule::priority), Some(number(150)));
    assert!(before.with(rule("c 200 Allow * * > *")).is_err());
}

#[test]
fn ids_are_compared_without_case() {
    let lower: GroupId = group_id("nic").to_string().to_lowercase().parse().expect("an id");
    assert_eq!(lower, group_id("NIC"));
    assert!(asg_id("web").parse::<GroupId>().is_err(), "another type");
}
