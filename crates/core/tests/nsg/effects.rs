//! P7, it takes effect or it is refused: which rule stands against a grant, and what helps.

use std::collections::BTreeMap;

use hourgate_core::{
    network::Opening,
    nsg::{
        band::Band,
        cure::Cure,
        flow::{Carried, Transport},
        grant_rule::grant_rule,
        id::GroupId,
        judge::Layer,
        numbers::Numbers,
        rule::{RuleDraft, SecurityRule},
        takes_effect::{Blocked, GrantNumbers, takes_effect},
        word::{Direction, Priority, Side},
    },
};
use proptest::{prelude::*, sample::select};

use crate::{
    judging::Built,
    naive::{self, Groups},
    random::{cases, groups},
    scene::*,
};

fn none() -> (Band, &'static BTreeMap<GroupId, Numbers>) {
    static NONE: BTreeMap<GroupId, Numbers> = BTreeMap::new();
    (Band::default(), &NONE)
}

fn grant_of(opening: &Opening, number: Priority) -> SecurityRule {
    let (source, to) = (opening.source(), [opening.address()]);
    grant_rule(named("JIT_x"), source, &to, opening.port(), number)
}

fn groups_of(subnet: Option<&[&str]>, nic: Option<&[&str]>) -> Groups {
    let drafts = |lines: &[&str]| lines.iter().map(|line| draft(line)).collect();
    Groups { subnet: subnet.map(drafts), nic: nic.map(drafts) }
}

fn blocked(groups: &Groups, source: &str, numbers: GrantNumbers) -> Vec<Blocked> {
    let opening = opening(source, "10.0.0.4", 22);
    takes_effect(Built::of(groups).layers(), &surroundings(), &opening, numbers, none())
        .err()
        .unwrap_or_default()
}

fn nic(of: u16) -> GrantNumbers {
    GrantNumbers { subnet: None, nic: Some(number(of)) }
}

fn told(blocked: &[Blocked]) -> Vec<String> {
    let line = |b: &Blocked| format!("{:?} {} {} {}", b.layer, b.group.name(), b.rule, b.priority);
    blocked.iter().map(line).collect()
}

type Row<'a> = (&'a str, Option<&'a [&'a str]>, Option<&'a [&'a str]>, &'a [&'a str]);

#[test]
fn which_rule_stands_against_a_grant() {
    let rows: &[Row<'_>] = &[
        ("nothing does", None, Some(&[]), &[]),
        ("the lock is behind it", None, Some(&["JIT_d 4096 Deny * * > 10.0.0.4@22"]), &[]),
        ("a deny before it", None, Some(&["no 150 Deny * * > *@22"]), &["Nic nic no 150"]),
        ("a deny behind it", None, Some(&["no 201 Deny * * > *@22"]), &[]),
        ("of part of it", None, Some(&["no 150 Deny Tcp 203.0.113.7 > *"]), &["Nic nic no 150"]),
        ("of other sources", None, Some(&["no 150 Deny * 203.0.114.0/24 > *"]), &[]),
        ("of another protocol", None, Some(&["no 150 Deny Udp * > *"]), &[]),
        ("of another port", None, Some(&["no 150 Deny * * > *@23"]), &[]),
        (
            "one that an allow is before",
            None,
            Some(&["yes 140 Allow Tcp 203.0.113.0/24 > *@22", "no 150 Deny * * > *@22"]),
            &[],
        ),
        ("the subnet's default", Some(&[]), Some(&[]), &["Subnet subnet DenyAllInBound 65500"]),
        (
            "the subnet's first match is an allow",
            Some(&["yes 4096 Allow Tcp Internet > *@22"]),
            Some(&[]),
            &[],
        ),
        (
            "the subnet's first match is a deny, whatever comes later",
            Some(&["no 300 Deny * * > *@22", "yes 400 Allow * * > *"]),
            Some(&[]),
            &["Subnet subnet no 300"],
        ),
        (
            "both, all at once",
            Some(&["no 300 Deny * * > *@22"]),
            Some(&["nono 150 Deny * * > *@22"]),
            &["Subnet subnet no 300", "Nic nic nono 150"],
        ),
        (
            "several, each for its part",
            None,
            Some(&["a 110 Deny * 203.0.113.0/25 > *", "b 120 Deny * 203.0.113.0/24 > *"]),
            &["Nic nic a 110", "Nic nic b 120"],
        ),
    ];
    for (why, subnet, own, expected) in rows {
        let groups = groups_of(*subnet, *own);
        assert_eq!(told(&blocked(&groups, "203.0.113.0/24", nic(200))), *expected, "{why}");
    }
}

#[test]
fn what_helps() {
    let cure = |subnet: Option<&[&str]>, own: Option<&[&str]>, numbers| {
        let blocked = blocked(&groups_of(subnet, own), "203.0.113.7/32", numbers);
        let [one] = blocked.as_slice() else { panic!("one: {blocked:?}") };
        one.cure.clone()
    };
    let subnet = group_id("subnet");
    assert_eq!(
        cure(Some(&["no 300 Deny * * > *@22"]), Some(&[]), nic(200)),
        Cure::PlaceInSubnetToo { group: subnet.clone(), free: number(100) },
        "placement nic-and-subnet"
    );
    assert_eq!(
        cure(Some(&["x 100 Allow Udp * > *", "no 101 Deny * * > *@22"]), Some(&[]), nic(200)),
        Cure::ChangeRule { group: subnet.clone(), rule: named("no"), priority: number(101) },
        "no number before it is free"
    );
    let both = GrantNumbers { subnet: Some(number(350)), nic: Some(number(200)) };
    assert_eq!(
        cure(Some(&["no 300 Deny * * > *@22"]), Some(&[]), both),
        Cure::AllowBefore { group: subnet, below: 300, free: number(299) },
        "it is placed there, and too late"
    );
    assert_eq!(
        cure(None, Some(&["no 100 Deny * * > *@22"]), nic(200)),
        Cure::ChangeRule { group: group_id("nic"), rule: named("no"), priority: number(100) }
    );
}

#[test]
fn placed_in_the_subnets_group_too_it_takes_effect() {
    let groups =
        groups_of(Some(&["no 300 Deny * * > *@22"]), Some(&["JIT_d 4096 Deny * * > *@22"]));
    let both = GrantNumbers { subnet: Some(number(100)), nic: Some(number(100)) };
    assert_eq!(blocked(&groups, "203.0.113.7/32", both), []);
    let subnet_only = groups_of(Some(&["JIT_d 4096 Deny * * > *@22"]), None);
    let there = GrantNumbers { subnet: Some(number(100)), nic: None };
    assert_eq!(blocked(&subnet_only, "203.0.113.7/32", there), []);
}

#[test]
fn blocked_says_which_flows() {
    let groups = groups_of(None, Some(&["no 150 Deny Tcp 203.0.113.128/25 > *"]));
    let blocked = blocked(&groups, "203.0.113.0/24", nic(200));
    assert_eq!(blocked[0].layer, Layer::Nic);
    let nets = blocked[0].flows.sources().prefixes();
    assert_eq!(nets, ["203.0.113.128/25".parse().expect("a prefix")]);
}

/// The groups with the grant's rule in them, as far as its number is free.
fn with_grant(groups: &Groups, rule: &RuleDraft, numbers: GrantNumbers) -> Option<Groups> {
    let mut groups = groups.clone();
    for (rules, number) in [(&mut groups.subnet, numbers.subnet), (&mut groups.nic, numbers.nic)] {
        let (Some(rules), Some(number)) = (rules, number) else { continue };
        let priority = i64::from(number.number());
        if rules.iter().any(|r| r.priority == priority && r.direction == "Inbound") {
            return None;
        }
        rules.push(RuleDraft { priority, ..rule.clone() });
    }
    Some(groups)
}

const SOURCES: &[&str] = &[
    "203.0.113.7/32",
    "203.0.113.0/24",
    "10.0.0.0/29",
    "10.0.0.77/32",
    "10.0.0.0/8",
    "0.0.0.0/0",
    "168.63.129.16/32",
];

proptest! {
    #![proptest_config(cases(1_500))]

    #[test]
    fn it_takes_effect_exactly_if_every_flow_passes(
        groups in groups(6),
        source in select(SOURCES),
        subnet in select([None, Some(100), Some(105), Some(250), Some(4_092)].as_slice()),
        nic in select([None, Some(100), Some(105), Some(250), Some(4_092)].as_slice()),
    ) {
        let numbers = GrantNumbers { subnet: subnet.map(number), nic: nic.map(number) };
        let opening = opening(source, "10.0.0.4", 22);
        let rule = grant_of(&opening, number(100)).draft();
        let Some(with) = with_grant(&groups, &rule, numbers) else { return Ok(()) };
        let (built, world) = (Built::of(&groups), world());
        let told = takes_effect(built.layers(), &surroundings(), &opening, numbers, none());
        let blocked = told.err().unwrap_or_default();
        let drafts: Vec<_> = with.rules().collect();
        let (first, last) = naive::ends(source);
        for flow in naive::flows_to((ip("10.0.0.4"), 22), &drafts, &[&world], &[source]) {
            let at = naive::point(flow.address(Side::Source));
            let tcp = matches!(flow.carried(), Carried::Ports { transport: Transport::Tcp, .. });
            if !tcp || at < first || last < at {
                prop_assert!(blocked.iter().all(|b| !b.flows.contains(&flow)));
                continue;
            }
            for layer in [Layer::Subnet, Layer::Nic] {
                let rules = match layer {
                    Layer::Subnet => &with.subnet,
                    Layer::Nic => &with.nic,
                };
                let Some(rules) = rules else { continue };
                let (by, allow) = naive::decides(rules, &world, Direction::Inbound, &flow);
                let told: Vec<_> = blocked
                    .iter()
                    .filter(|b| b.layer == layer && b.flows.contains(&flow))
                    .map(|b| b.rule.to_string())
                    .collect();
                let expected = if allow { vec![] } else { vec![by] };
                prop_assert_eq!(told, expected, "{:?} {:?}", layer, flow);
            }
        }
        prop_assert!(blocked.iter().all(|b| !b.flows.is_empty()));
    }

    #[test]
    fn what_passes_after_a_cure_was_blocked_before(
        groups in groups(6),
        source in select(SOURCES),
    ) {
        let opening = opening(source, "10.0.0.4", 22);
        let numbers = GrantNumbers { subnet: None, nic: Some(number(250)) };
        let built = Built::of(&groups);
        let told = takes_effect(built.layers(), &surroundings(), &opening, numbers, none());
        for blocked in told.err().unwrap_or_default() {
            let numbers = match (&blocked.cure, blocked.layer) {
                (Cure::PlaceInSubnetToo { free, .. }, _) => GrantNumbers { subnet: Some(*free), ..numbers },
                (Cure::AllowBefore { free, .. }, Layer::Nic) => GrantNumbers { nic: Some(*free), ..numbers },
                (Cure::AllowBefore { free, .. }, Layer::Subnet) => GrantNumbers { subnet: Some(*free), ..numbers },
                (Cure::ChangeRule { .. }, _) => continue,
            };
            let again = takes_effect(built.layers(), &surroundings(), &opening, numbers, none());
            let still = again.err().unwrap_or_default();
            prop_assert!(
                !still.iter().any(|b| b.layer == blocked.layer && b.rule == blocked.rule),
                "{:?} does not help", blocked.cure
            );
        }
    }
}
