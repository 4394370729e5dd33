//! Random rules and groups, from few places and ports, so that they meet.

use hourgate_core::nsg::rule::{RuleDraft, SecurityRule};
use proptest::{collection::vec, option, prelude::*, sample::select};

use crate::{naive::Groups, scene::asg_id};

/// How many random cases a law is held against.
pub fn cases(cases: u32) -> ProptestConfig {
    ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() }
}

/// The machine whose ports are asked about, in both families.
pub const MACHINE: [&str; 2] = ["10.0.0.4", "fd00::4"];

const V4: &[&str] = &[
    "10.0.0.4",
    "10.0.0.4/32",
    "10.0.0.4/31",
    "10.0.0.0/24",
    "10.0.0.0/8",
    "11.0.0.0/8",
    "0.0.0.0/0",
    "0.0.0.0/1",
    "128.0.0.0/1",
    "203.0.113.0/24",
    "203.0.113.7",
    "203.0.113.8/29",
    "168.63.129.16",
    "192.168.0.0/16",
];
const V6: &[&str] = &[
    "fd00::4",
    "fd00::/64",
    "fd00::/126",
    "::/0",
    "::/1",
    "8000::/1",
    "2001:db8::/32",
    "2001:db8::7",
    "2001::/16",
    "2000::/15",
];

fn texts(pool: &[&str]) -> BoxedStrategy<String> {
    let pool: Vec<String> = pool.iter().map(|text| (*text).to_owned()).collect();
    select(pool).boxed()
}

fn places(pool: &'static [&'static str]) -> BoxedStrategy<Vec<String>> {
    let asgs = [asg_id("web"), asg_id("jump"), asg_id("WEB"), asg_id("unknown")].to_vec();
    prop_oneof![
        3 => Just(vec!["*".to_owned()]),
        2 => texts(&["VirtualNetwork", "Internet", "AzureLoadBalancer"]).prop_map(|tag| vec![tag]),
        5 => vec(texts(pool), 1..4),
        1 => vec(select(asgs), 1..3),
    ]
    .boxed()
}

fn ports() -> BoxedStrategy<Vec<String>> {
    prop_oneof![
        4 => Just(vec!["*".to_owned()]),
        4 => Just(vec!["22".to_owned()]),
        3 => vec(texts(&["22", "20-25", "3389", "0-21", "23-65535", "0-65535"]), 1..4),
    ]
    .boxed()
}

/// A rule that is right by itself, with one of these numbers.
pub fn any_rule(numbers: &'static [i64]) -> BoxedStrategy<RuleDraft> {
    let words = (
        texts(&["a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l"]),
        select(numbers),
        prop_oneof![4 => Just("Inbound"), 1 => Just("Outbound")],
        select(["Allow", "Deny"].as_slice()),
        select(["Tcp", "Udp", "Icmp", "Esp", "Ah", "*", "*", "Tcp"].as_slice()),
    );
    let sides = prop_oneof![3 => Just(V4), 1 => Just(V6)].prop_flat_map(|pool| {
        let to = prop_oneof![2 => Just(vec!["*".to_owned()]), 2 => places(pool)];
        (places(pool), prop_oneof![3 => Just(vec!["*".to_owned()]), 1 => ports()], to, ports())
    });
    (words, sides)
        .prop_map(|((name, priority, direction, access, protocol), sides)| RuleDraft {
            name,
            description: None,
            priority,
            direction: direction.to_owned(),
            access: access.to_owned(),
            protocol: protocol.to_owned(),
            sources: sides.0,
            source_ports: sides.1,
            destinations: sides.2,
            destination_ports: sides.3,
        })
        .prop_filter("a rule", |draft| SecurityRule::new(draft).is_ok())
        .boxed()
}

/// Numbers close to one another and at both ends.
pub const NUMBERS: &[i64] = &[
    100, 101, 102, 103, 104, 105, 106, 107, 108, 200, 201, 202, 203, 300, 4090, 4093, 4094, 4095,
    4096,
];

/// Rules that can stand together: of those with one name or one number the first stays.
pub fn rules(numbers: &'static [i64], most: usize) -> BoxedStrategy<Vec<RuleDraft>> {
    vec(any_rule(numbers), 0..=most)
        .prop_map(|drafts| {
            let mut kept: Vec<RuleDraft> = Vec::new();
            for draft in drafts {
                let clash = |other: &RuleDraft| {
                    other.name == draft.name
                        || (other.priority, &other.direction) == (draft.priority, &draft.direction)
                };
                if !kept.iter().any(clash) {
                    kept.push(draft);
                }
            }
            kept
        })
        .boxed()
}

/// Groups of both layers, mostly there.
pub fn groups(most: usize) -> BoxedStrategy<Groups> {
    let group = || option::weighted(0.85, rules(NUMBERS, most));
    (group(), group()).prop_map(|(subnet, nic)| Groups { subnet, nic }).boxed()
}
