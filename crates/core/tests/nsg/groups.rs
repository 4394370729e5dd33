//! What a group must be to be one: numbers, names and limits, and all faults at once.

use std::{collections::BTreeSet, net::IpAddr};

use hourgate_core::nsg::{
    fault::{GroupFault, GroupFaults},
    flow::{Carried, Flow, Portless, Transport},
    group::SecurityGroup,
    id::GroupId,
    rule::SecurityRule,
    word::{Direction, Side},
};
use proptest::{collection::vec, prelude::*, sample::select};

use crate::{random::cases, scene::*};

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

/// Rules that each fit few flows, so that many are passed over before one decides.
fn narrow_rule() -> impl Strategy<Value = String> {
    let v4 = (0_u8..4, 0_u8..4, 16_u8..=32).prop_map(|(a, b, length)| {
        let address = u32::from_be_bytes([10, a, b * 64, b]);
        let kept = u32::MAX << (32 - u32::from(length));
        format!("{}/{length}", std::net::Ipv4Addr::from(address & kept))
    });
    let v6 = (0_u16..4, 0_u16..4).prop_map(|(a, b)| format!("fd00:{a}::{b}/128"));
    let port = (0_u16..40, 0_u16..4).prop_map(|(from, more)| format!("{from}-{}", from + more));
    let places = prop_oneof![
        6 => vec(v4, 1..4).prop_map(|nets| nets.join(",")),
        2 => vec(v6, 1..4).prop_map(|nets| nets.join(",")),
        1 => select(vec!["asg:web", "asg:jump", "asg:unknown", "asg:jump,asg:WEB"]).prop_map(str::to_owned),
        1 => select(vec!["VirtualNetwork", "AzureLoadBalancer"]).prop_map(str::to_owned),
    ];
    let ports =
        prop_oneof![1 => Just("*".to_owned()), 6 => vec(port, 1..3).prop_map(|p| p.join(","))];
    let words = (select(vec!["Allow", "Deny"]), select(vec!["Tcp", "Udp", "Icmp", "*"]));
    let way = select(vec!["", "", "", " out"]);
    (words, places, ports.clone(), ports, way).prop_map(
        |((access, protocol), from, by, to, way)| {
            format!("{access} {protocol} {from}@{by} > *@{to}{way}")
        },
    )
}

fn narrow_flow() -> impl Strategy<Value = Flow> {
    let v4 = (0_u8..4, 0_u8..4).prop_map(|(a, b)| IpAddr::from([10, a, b * 64, b]));
    let v6 = (0_u16..4, 0_u16..4).prop_map(|(a, b)| IpAddr::from([0xfd00, a, 0, 0, 0, 0, 0, b]));
    let far = prop_oneof![
        6 => v4,
        2 => v6,
        1 => select(vec!["10.0.0.77", "10.0.0.200", "fd00::4", "203.0.113.7"]).prop_map(ip),
    ];
    let ports = (0_usize..3, 0_u16..44, 0_u16..44).prop_map(|(transport, source, destination)| {
        Carried::Ports { transport: Transport::ALL[transport], source, destination }
    });
    let portless = select(Portless::ALL.to_vec()).prop_map(Carried::Portless);
    let kind = prop_oneof![9 => ports, 1 => portless];
    (far, kind).prop_map(|(far, kind)| {
        let to = if far.is_ipv6() { "fd00::4" } else { "10.0.0.4" };
        Flow::new(far, ip(to), kind).expect("a flow")
    })
}

proptest! {
    #![proptest_config(cases(24))]

    #[test]
    fn of_many_rules_the_first_that_matches_decides(
        said in vec(narrow_rule(), 60..1_000),
        flows in vec(narrow_flow(), 200),
    ) {
        // Not in the order of their numbers.
        let number = |n: usize| 100 + (n * 7) % 1_009;
        let line = |n: usize, said: &str| format!("r{n} {} {said}", number(n));
        // One that names a place twice is none.
        let rules = (0..).zip(&said).map(|(n, said)| SecurityRule::new(&draft(&line(n, said))));
        let group = SecurityGroup::new(group_id("nic"), rules.flatten().collect());
        let group = group.expect("a group");
        let around = surroundings();
        let mut deciding = BTreeSet::new();
        for flow in &flows {
            for direction in Direction::ALL {
                let mut fit: Vec<&SecurityRule> = group
                    .rules()
                    .iter()
                    .filter(|rule| rule.direction() == direction && rule.matches(flow, &around))
                    .collect();
                fit.sort_by_key(|rule| rule.priority());
                let decides = group.deciding(direction, flow, &around);
                match fit.first() {
                    Some(first) => prop_assert_eq!(decides, *first, "{:?}", flow),
                    None => prop_assert!(decides.priority().is_default(), "{:?}", flow),
                }
                deciding.insert(decides.name().to_string());
            }
        }
        prop_assert!(said.len() < 500 || deciding.len() > 20, "{} rules decide", deciding.len());
    }
}
