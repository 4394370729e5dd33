//! P2, lock-down: where the deny goes, what is any source, and what becomes of narrow rules.

use std::collections::BTreeSet;

use hourgate_core::{
    network::{Family, Lock},
    nsg::{
        group::SecurityGroup,
        judge::{Layer, Layers},
        lockdown::{
            Exceptions, Lockdown, LockdownRefusal, Numbered, WhyAny, any_source, deny_rule,
            lockdown,
        },
        numbers::Numbers,
        passing::passing,
        place::ServiceTag,
        rule::RuleDraft,
        word::{Direction, Side},
    },
};
use proptest::prelude::*;

use crate::{
    judging::Built,
    naive::{self, Groups},
    random::{MACHINE, cases, groups},
    scene::*,
};

fn locked(nic: &SecurityGroup, exceptions: Exceptions) -> Result<Lockdown, LockdownRefusal> {
    let layers = layers(None, Some(nic));
    lockdown(layers, &surroundings(), lock("10.0.0.4", 22), exceptions, &Numbers::default())
}

fn names(rules: &[Numbered]) -> Vec<String> {
    rules.iter().map(|rule| format!("{} {}", rule.rule, rule.priority)).collect()
}

/// Number of the deny; any source; standing; shadowed.
type Row<'a> = (&'a str, &'a [&'a str], u16, &'a [&'a str], &'a [&'a str], &'a [&'a str]);

#[test]
fn where_the_deny_goes() {
    let rows: &[Row<'_>] = &[
        ("an empty group: 4096", &[], 4_096, &[], &[], &[]),
        ("taken: counts down", &["x 4096 Deny Udp * > *@9"], 4_095, &[], &[], &[]),
        (
            "an outbound rule takes no inbound number",
            &["x 4096 Deny * * > * out"],
            4_096,
            &[],
            &[],
            &[],
        ),
        (
            "any source: right before it",
            &["rdp 1001 Allow Tcp * > *@22"],
            1_000,
            &["rdp 1001"],
            &[],
            &[],
        ),
        (
            "the nearest that is free",
            &["rdp 1001 Allow Tcp * > *@22", "x 1000 Deny Udp * > *@9", "y 999 Deny Udp * > *@8"],
            998,
            &["rdp 1001"],
            &[],
            &[],
        ),
        (
            "the first of several",
            &["b 500 Allow Tcp * > *@22", "a 300 Allow * Internet > *"],
            299,
            &["a 300", "b 500"],
            &[],
            &[],
        ),
        (
            "a narrow one stays before it",
            &["jump 1000 Allow Tcp 203.0.113.7 > *@22"],
            4_096,
            &[],
            &["jump 1000"],
            &[],
        ),
        (
            "between narrow and any",
            &["jump 1000 Allow Tcp 203.0.113.7 > *@22", "all 2000 Allow * * > *"],
            1_999,
            &["all 2000"],
            &["jump 1000"],
            &[],
        ),
        (
            "a narrow one behind any decides nothing today, and nothing then",
            &["all 200 Allow * * > *", "jump 300 Allow Tcp 203.0.113.7 > *@22"],
            199,
            &["all 200"],
            &[],
            &["jump 300"],
        ),
        ("another port", &["x 200 Allow Tcp * > *@80"], 4_096, &[], &[], &[]),
        (
            "a range with the port in it",
            &["x 200 Allow Tcp * > *@20-25"],
            199,
            &["x 200"],
            &[],
            &[],
        ),
        ("another machine", &["x 200 Allow Tcp * > 10.0.0.5@22"], 4_096, &[], &[], &[]),
        (
            "its application security group",
            &["x 200 Allow Tcp * > asg:web@22"],
            199,
            &["x 200"],
            &[],
            &[],
        ),
        ("another's", &["x 200 Allow Tcp * > asg:jump@22"], 4_096, &[], &[], &[]),
        ("over UDP too", &["x 200 Allow Udp * > *@22"], 199, &["x 200"], &[], &[]),
        ("ICMP goes to no port", &["x 200 Allow Icmp * > *"], 4_096, &[], &[], &[]),
        ("a deny lets nothing through", &["x 200 Deny * * > *"], 4_096, &[], &[], &[]),
        ("the other family", &["x 200 Allow Tcp ::/0 > *@22"], 4_096, &[], &[], &[]),
        (
            "an application security group is named machine by machine",
            &["x 200 Allow Tcp asg:jump > *@22"],
            4_096,
            &[],
            &["x 200"],
            &[],
        ),
        (
            "so are probes",
            &["x 200 Allow Tcp AzureLoadBalancer > *@22"],
            4_096,
            &[],
            &["x 200"],
            &[],
        ),
        (
            "from one port only is any source all the same",
            &["x 200 Allow Tcp *@1024 > *@22"],
            199,
            &["x 200"],
            &[],
            &[],
        ),
    ];
    for (why, lines, number, any, standing, shadowed) in rows {
        let nic = group("nic", lines);
        let found = locked(&nic, Exceptions::Stay).expect(why);
        assert_eq!(found.priority.number(), *number, "{why}");
        let any_found: Vec<Numbered> =
            found.any_source.iter().map(|any| any.rule.clone()).collect();
        assert_eq!(names(&any_found), *any, "{why}");
        assert_eq!(names(&found.standing), *standing, "{why}");
        assert_eq!(names(&found.shadowed), *shadowed, "{why}");
    }
}

#[test]
fn what_any_source_is() {
    let halves = (0..=255).map(|n| format!("{n}.0.0.0/8")).collect::<Vec<_>>().join(",");
    let but_one = (0..=254).map(|n| format!("{n}.0.0.0/8")).collect::<Vec<_>>().join(",");
    let (v4, v6) = (Family::V4, Family::V6);
    let tag = |tag| Some(WhyAny::Tag(tag));
    let rows = [
        ("*", v4, Some(WhyAny::Star)),
        ("*", v6, Some(WhyAny::Star)),
        ("Internet", v4, tag(ServiceTag::Internet)),
        ("VirtualNetwork", v4, tag(ServiceTag::VirtualNetwork)),
        ("AzureLoadBalancer", v4, None),
        ("10.0.0.0/8", v4, None),
        ("2001::/16", v6, None),
        ("asg:web", v4, None),
        (&halves, v4, Some(WhyAny::Covers(v4))),
        (&but_one, v4, None),
    ];
    for (text, family, why) in rows {
        let rule = rule(&format!("a 100 Allow Tcp {text} > *@22"));
        assert_eq!(any_source(rule.places(Side::Source), family), why, "{text}");
    }
    for (text, family) in [
        ("0.0.0.0/0", v4),
        ("10.0.0.0/7", v4),
        ("::/0", v6),
        ("2000::/15", v6),
        ("10.0.0.4,12.0.0.0/6", v4),
    ] {
        let rule = rule(&format!("a 100 Allow Tcp {text} > *@22"));
        let why = any_source(rule.places(Side::Source), family);
        assert!(matches!(why, Some(WhyAny::Short(_))), "{text}");
    }
}

#[test]
fn narrow_rules_that_let_the_world_in_together_are_no_exceptions() {
    let half = |from: u16, to: u16| {
        (from..=to).map(|n| format!("{n}.0.0.0/8")).collect::<Vec<_>>().join(",")
    };
    let lines = [
        format!("a 200 Allow Tcp {} > *@22", half(0, 127)),
        format!("b 300 Allow Tcp {} > *@22", half(128, 255)),
    ];
    let both = group("nic", &[&lines[0], &lines[1]]);
    let found = locked(&both, Exceptions::Stay).expect("a place");
    assert_eq!((found.priority.number(), found.any_source.len()), (199, 2));
    assert_eq!(found.any_source[0].why, WhyAny::Together(Family::V4));
    assert!(found.left.is_empty());
    let one = group("nic", &[&lines[0]]);
    assert_eq!(names(&locked(&one, Exceptions::Stay).expect("a place").standing), ["a 200"]);
}

#[test]
fn no_number_is_refused_naming_both() {
    let numbered = |name: &str, of| Some(Numbered { rule: named(name), priority: number(of) });
    let refused =
        |after, before| LockdownRefusal::NoFreeNumber { group: group_id("nic"), after, before };
    let rows: [(&str, &[&str], LockdownRefusal); 4] = [
        ("any at 100", &["all 100 Allow * * > *"], refused(None, numbered("all", 100))),
        (
            "narrow and any side by side",
            &["jump 199 Allow Tcp 203.0.113.7 > *@22", "all 200 Allow * * > *"],
            refused(numbered("jump", 199), numbered("all", 200)),
        ),
        (
            "what is between them is taken",
            &[
                "jump 198 Allow Tcp 203.0.113.7 > *@22",
                "x 199 Deny Udp * > *@9",
                "all 200 Allow * * > *",
            ],
            refused(numbered("jump", 198), numbered("all", 200)),
        ),
        (
            "a narrow one at the very end",
            &["jump 4096 Allow Tcp 203.0.113.7 > *@22"],
            refused(numbered("jump", 4_096), None),
        ),
    ];
    for (why, lines, refusal) in rows {
        assert_eq!(locked(&group("nic", lines), Exceptions::Stay), Err(refusal), "{why}");
    }
}

#[test]
fn standing_exceptions_can_be_taken_too() {
    let nic = group(
        "nic",
        &[
            "jump 199 Allow Tcp 203.0.113.7 > *@22",
            "all 200 Allow * * > *",
            "b 300 Allow Tcp 203.0.113.8 > *",
        ],
    );
    let found = locked(&nic, Exceptions::Taken).expect("a place");
    assert_eq!(found.priority.number(), 198);
    assert_eq!(names(&found.shadowed), ["jump 199", "b 300"]);
    assert!(found.standing.is_empty() && found.left.is_empty());
    let narrow = group("nic", &["jump 4096 Allow Tcp 203.0.113.7 > *@22"]);
    assert_eq!(locked(&narrow, Exceptions::Taken).expect("a place").priority.number(), 4_095);
}

#[test]
fn the_deny_lies_in_the_nics_group_else_in_the_subnets() {
    let (subnet, nic) = (group("subnet", &[]), group("nic", &[]));
    let ours = Numbers::default();
    let place = |layers: Layers<'_>| {
        lockdown(layers, &surroundings(), lock("10.0.0.4", 22), Exceptions::Stay, &ours)
            .map(|found| (found.layer, found.group))
    };
    assert_eq!(place(layers(Some(&subnet), Some(&nic))), Ok((Layer::Nic, group_id("nic"))));
    assert_eq!(place(layers(Some(&subnet), None)), Ok((Layer::Subnet, group_id("subnet"))));
    assert_eq!(place(layers(None, None)), Err(LockdownRefusal::MissingSecurityGroup));
}

#[test]
fn a_full_group_takes_no_deny() {
    let lines: Vec<String> =
        (0..1_000).map(|n| format!("r{n} {} Deny Udp * > *@9", 100 + n)).collect();
    let nic = group("nic", &lines.iter().map(String::as_str).collect::<Vec<_>>());
    let full = LockdownRefusal::GroupFull { group: group_id("nic"), most: 1_000 };
    assert_eq!(locked(&nic, Exceptions::Stay), Err(full));
}

#[test]
fn numbers_of_jits_own_rules_are_taken() {
    let (nic, around) = (group("nic", &["rdp 1001 Allow Tcp * > *@22"]), surroundings());
    let place = |taken: &[u16]| {
        let mut ours = Numbers::default();
        taken.iter().for_each(|n| ours.insert(number(*n)));
        let to = lock("10.0.0.4", 22);
        lockdown(layers(None, Some(&nic)), &around, to, Exceptions::Stay, &ours)
            .map(|found| found.priority.number())
    };
    assert_eq!(place(&[1_000, 999, 4_096]), Ok(998));
    let band: Vec<u16> = (100..1_000).collect();
    assert_eq!(place(&band), Ok(1_000), "the last before it");
    let all: Vec<u16> = (100..=1_000).collect();
    assert!(matches!(place(&all), Err(LockdownRefusal::NoFreeNumber { .. })));
    let full: Vec<u16> = (1_500..2_499).collect();
    let refused = LockdownRefusal::GroupFull { group: group_id("nic"), most: 1_000 };
    assert_eq!(place(&full), Err(refused), "JIT's rules count too");
}

#[test]
fn the_deny_is_for_every_protocol_from_everywhere() {
    let deny = deny_rule(named("JIT_deny"), lock("fd00::4", 3_389), number(4_096)).draft();
    assert_eq!(deny, draft("JIT_deny 4096 Deny * * > fd00::4@3389"));
}

/// What P2 says of a rule's source, once more and from the text.
fn is_narrow(texts: &[String]) -> bool {
    texts.iter().all(|text| match text.as_str() {
        "*" | "Internet" | "VirtualNetwork" => false,
        "AzureLoadBalancer" => true,
        text if text.starts_with('/') => true,
        text => {
            let shortest = if text.contains(':') { 16 } else { 8 };
            text.split_once('/')
                .is_none_or(|(_, length)| length.parse::<u8>().expect("a length") >= shortest)
        }
    })
}

/// Every number that a rule of these has inwards.
fn used(rules: &[RuleDraft]) -> BTreeSet<i64> {
    rules.iter().filter(|r| r.direction == "Inbound").map(|r| r.priority).collect()
}

fn holds(groups: &Groups, to: Lock, exceptions: Exceptions) -> Result<(), TestCaseError> {
    let (built, world, around) = (Built::of(groups), world(), surroundings());
    let found = lockdown(built.layers(), &around, to, exceptions, &Numbers::default());
    let home = groups.nic.as_ref().or(groups.subnet.as_ref());
    let Some(home) = home else {
        prop_assert_eq!(found, Err(LockdownRefusal::MissingSecurityGroup));
        return Ok(());
    };
    let speaks = |rule: &&RuleDraft| {
        let family = |text: &String| {
            !text.contains(['.', ':'])
                || text.starts_with('/')
                || text.contains(':') == to.address.is_ipv6()
        };
        let port = |text: &String| match text.split_once('-') {
            Some((a, b)) => {
                (a.parse().expect("port")..=b.parse().expect("port")).contains(&to.port.number())
            }
            None => text == "*" || *text == to.port.to_string(),
        };
        rule.direction == "Inbound"
            && rule.access == "Allow"
            && ["Tcp", "Udp", "*"].contains(&rule.protocol.as_str())
            && rule.destination_ports.iter().any(port)
            && rule.destinations.iter().any(|text| world.is(text, naive::point(to.address)))
            && rule.sources.iter().all(family)
    };
    let speaking: Vec<_> = home.iter().filter(speaks).collect();
    let any = speaking.iter().filter(|r| !is_narrow(&r.sources)).map(|r| r.priority).min();
    let narrow = speaking.iter().filter(|r| is_narrow(&r.sources)).map(|r| r.priority);
    let (low, high) = match exceptions {
        Exceptions::Stay => (
            narrow.filter(|n| any.is_none_or(|any| *n < any)).max().unwrap_or(99),
            any.unwrap_or(4_097),
        ),
        Exceptions::Taken => (99, any.into_iter().chain(narrow).min().unwrap_or(4_097)),
    };
    let taken = used(home);
    let expected = (low + 1..high).rev().find(|n| !taken.contains(n));
    let found = match (found, expected) {
        (Ok(found), Some(n)) => {
            prop_assert_eq!(i64::from(found.priority.number()), n);
            found
        }
        (Err(LockdownRefusal::NoFreeNumber { .. }), None) => return Ok(()),
        (found, expected) => panic!("{found:?} where {expected:?}"),
    };
    after(groups, &found, to, low)?;
    // Disabling gives back exactly what was.
    let before = built.layers().home().expect("a group").1;
    let deny = deny_rule(named("JIT_deny"), to, found.priority);
    let with = before.with(deny).expect("a free number");
    prop_assert_eq!(&with.without(|rule| *rule.name() == named("jit_DENY")), before);
    Ok(())
}

/// The groups as they are with the deny, flow by flow.
fn after(groups: &Groups, found: &Lockdown, to: Lock, low: i64) -> Result<(), TestCaseError> {
    let (world, around) = (world(), surroundings());
    let mut with = groups.clone();
    let home = if with.nic.is_some() { &mut with.nic } else { &mut with.subnet };
    let rules = home.as_mut().expect("a group");
    let deny = deny_rule(named("JIT_deny"), to, found.priority);
    rules.push(deny.draft());
    let rules = rules.clone();
    let standing: BTreeSet<String> = found.standing.iter().map(|r| r.rule.to_string()).collect();
    let shadowed: BTreeSet<String> = found.shadowed.iter().map(|r| r.rule.to_string()).collect();
    let drafts: Vec<_> = groups.rules().collect();
    let before_home = groups.nic.as_ref().or(groups.subnet.as_ref()).expect("a group");
    for flow in naive::flows_to((to.address, to.port.number()), &drafts, &[&world], &[]) {
        let (by, allow) = naive::decides(&rules, &world, Direction::Inbound, &flow);
        prop_assert!(!allow || standing.contains(&by), "{by} lets {flow:?} in");
        prop_assert!(!shadowed.contains(&by), "{by} is said to have no effect");
        let (was_by, was) = naive::decides(before_home, &world, Direction::Inbound, &flow);
        let was_number = before_home.iter().find(|r| r.name == was_by).map(|r| r.priority);
        if was && was_number.is_some_and(|n| n <= low) {
            prop_assert!(allow, "{was_by} was a standing exception, and does not stay");
        }
        let pass = with.pass(&world, &flow);
        prop_assert_eq!(found.left.contains(&flow), pass, "{:?}", flow);
        prop_assert!(!pass || groups.pass(&world, &flow), "a lock opens nothing");
    }
    let built = Built::of(&with);
    prop_assert_eq!(&found.left, &passing(built.layers(), &around, to));
    Ok(())
}

proptest! {
    #![proptest_config(cases(2_000))]

    #[test]
    fn every_lock_closes_and_keeps_what_stands(groups in groups(8), taken in any::<bool>(), machine in 0..2usize) {
        let exceptions = if taken { Exceptions::Taken } else { Exceptions::Stay };
        holds(&groups, lock(MACHINE[machine], 22), exceptions)?;
    }
}
