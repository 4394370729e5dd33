//! P6, the rule: unique numbers from a band, clear errors where it is full, names and descriptions that fit.

use std::net::IpAddr;

use hourgate_core::{
    id::{Name, RequestId},
    network::Family,
    nsg::{
        band::{Band, NoNumber},
        grant_rule::{deny_rule_name, grant_description, grant_rule, grant_rule_name},
        group::SecurityGroup,
        name::{DESCRIPTION_UNITS_MAX, Description, RULE_NAME_CHARS_MAX, RuleName},
        numbers::Numbers,
    },
    time::Timestamp,
};
use proptest::{collection::btree_set, prelude::*};

use crate::{random::cases, scene::*};

fn at(text: &str) -> Timestamp {
    text.parse().expect("a time")
}

fn id(text: &str) -> RequestId {
    text.parse().expect("an id")
}

fn none() -> Numbers {
    Numbers::default()
}

fn band(first: u16, last: u16) -> Band {
    Band::new(number(first), number(last)).expect("a band")
}

fn filled(numbers: impl IntoIterator<Item = u16>) -> SecurityGroup {
    let lines: Vec<String> =
        numbers.into_iter().map(|n| format!("r{n} {n} Allow Udp * > *@9")).collect();
    group("nic", &lines.iter().map(String::as_str).collect::<Vec<_>>())
}

#[test]
fn numbers_come_from_100() {
    let group_of = |lines: &[&str]| group("nic", lines);
    assert_eq!(Band::default().free(&group_of(&[]), &none(), None), Ok(number(100)));
    let taken = group_of(&["a 100 Deny * * > *", "b 101 Allow * * > *", "c 103 Allow * * > *"]);
    assert_eq!(
        Band::default().free(&taken, &none(), None),
        Ok(number(102)),
        "the first that is free"
    );
    let outbound = group_of(&["a 100 Deny * * > * out"]);
    assert_eq!(
        Band::default().free(&outbound, &none(), None),
        Ok(number(100)),
        "unique per direction"
    );
    assert_eq!(band(500, 600).free(&taken, &none(), None), Ok(number(500)), "configurable");
}

#[test]
fn a_full_band_is_a_clear_error() {
    let full = |first, before| NoNumber::BandFull { group: group_id("nic"), first, before };
    assert_eq!(band(100, 102).free(&filled(100..=102), &none(), None), Err(full(100, 103)));
    assert_eq!(
        Band::default().free(&filled(100..=149), &none(), Some(number(150))),
        Err(full(100, 150)),
        "behind the lock a grant has no effect"
    );
    assert_eq!(band(300, 400).free(&filled([]), &none(), Some(number(200))), Err(full(300, 200)));
    assert_eq!(
        Band::default().free(&filled(100..=148), &none(), Some(number(150))),
        Ok(number(149))
    );
}

#[test]
fn a_full_group_is_a_clear_error() {
    let full = NoNumber::GroupFull { group: group_id("nic"), most: 1_000 };
    assert_eq!(Band::default().free(&filled(1_000..2_000), &none(), None), Err(full));
    assert_eq!(Band::default().free(&filled(1_000..1_999), &none(), None), Ok(number(100)));
}

#[test]
fn numbers_of_jits_own_rules_are_taken() {
    let taken = |numbers: std::ops::Range<u16>| {
        let mut ours = Numbers::default();
        numbers.for_each(|n| ours.insert(number(n)));
        ours
    };
    let free = |ours| Band::default().free(&filled([100]), &ours, None).map(|n| n.number());
    assert_eq!(free(taken(101..103)), Ok(103));
    assert_eq!(free(taken(102..110)), Ok(101));
    let full = NoNumber::GroupFull { group: group_id("nic"), most: 1_000 };
    assert_eq!(free(taken(2_000..2_999)), Err(full), "JIT's rules count too");
    let full = NoNumber::BandFull { group: group_id("nic"), first: 100, before: 105 };
    let ours = taken(101..105);
    assert_eq!(Band::default().free(&filled([100]), &ours, Some(number(105))), Err(full));
}

#[test]
fn every_deny_has_a_name_of_its_own() {
    let name = |vm: &str, address: &str| {
        let vm: Name = vm.parse().expect("a name");
        deny_rule_name(&vm, lock(address, 65_535)).to_string()
    };
    assert_eq!(name("web-1", "10.0.0.4"), "JIT_web-1_65535_Deny_0a000004");
    let six = name(&"x".repeat(90), "fd00::4");
    assert_eq!(six.len(), 80);
    assert!(six.ends_with("_65535_Deny_fd000000000000000000000000000004"), "{six}");
    assert_eq!(six.parse::<RuleName>().map(|name| name.to_string()), Ok(six));
}

#[test]
fn a_band_is_not_turned_round() {
    assert!(Band::new(number(200), number(100)).is_none());
    assert!(serde_json::from_str::<Band>(r#"{"first":100,"last":65000}"#).is_err());
    assert_eq!(Band::default(), band(100, 1_099));
}

#[test]
fn a_grants_rule_lets_its_opening_through_and_no_more() {
    let rule = |source: &str, addresses: &[&str]| {
        let addresses: Vec<IpAddr> = addresses.iter().map(|text| ip(text)).collect();
        let source = source.parse().expect("a prefix");
        grant_rule(named("JIT_x"), source, &addresses, port(22), number(100)).draft()
    };
    assert_eq!(
        rule("203.0.113.0/24", &["10.0.0.4", "10.0.0.5"]),
        draft("JIT_x 100 Allow Tcp 203.0.113.0/24 > 10.0.0.4,10.0.0.5@22")
    );
    assert_eq!(
        rule("2001:db8::7/128", &["fd00::4"]),
        draft("JIT_x 100 Allow Tcp 2001:db8::7 > fd00::4@22")
    );
    let mixed = rule("203.0.113.0/24", &["fd00::4", "10.0.0.4"]);
    assert_eq!(mixed.destinations, ["10.0.0.4"], "no rule mixes families");
}

#[test]
fn names_tell_machine_port_time_and_grant() {
    let name = |vm: &str| {
        let vm: Name = vm.parse().expect("a name");
        let (at, id) = (at("2026-03-01T14:07:09.999Z"), id("k3v9x0"));
        grant_rule_name(&vm, port(22), at, id, Family::V4).to_string()
    };
    assert_eq!(name("web-1"), "JIT_web-1_22_20260301T140709Z_k3v9x0");
    assert_eq!(name("web(1)"), "JIT_web-1-_22_20260301T140709Z_k3v9x0");
    let (a, b) = (name(&format!("{}a", "x".repeat(80))), name(&format!("{}b", "x".repeat(80))));
    assert_eq!((a.len(), b.len()), (80, 80));
    assert_ne!(a, b, "two machines that begin alike");
    assert!(a.ends_with("_22_20260301T140709Z_k3v9x0"));
}

#[test]
fn descriptions_tell_for_whom_and_until_when() {
    let text = |requester: &str| {
        grant_description(requester, at("2026-03-01T17:00:00Z")).as_str().to_owned()
    };
    assert_eq!(
        text("ann@example.com"),
        "JIT access for ann@example.com until 2026-03-01T17:00:00Z"
    );
    assert_eq!(
        text("ann\u{202e}\n\u{1b}[31m"),
        "JIT access for ann\\u{202e}\\n\\u{1b}[31m until 2026-03-01T17:00:00Z"
    );
    assert_eq!(
        text("O'Neil \"x\" ünal"),
        "JIT access for O'Neil \"x\" ünal until 2026-03-01T17:00:00Z"
    );
    let long = text(&"\u{202e}".repeat(200));
    assert!(long.ends_with("\\u{202e}… until 2026-03-01T17:00:00Z"), "whole escapes: {long}");
}

proptest! {
    #![proptest_config(cases(1_000))]

    #[test]
    fn the_band_gives_the_first_free_number(
        taken in btree_set(100u16..120, 0..20),
        first in 100u16..120,
        more in 0u16..20,
        lock in 95u16..150,
    ) {
        let lock = (lock >= 100).then(|| number(lock));
        let end = lock.map_or(u16::MAX, |lock| lock.number()).min(first + more + 1);
        let expected = (first..end).find(|n| !taken.contains(n));
        let given = band(first, first + more).free(&filled(taken), &none(), lock);
        prop_assert_eq!(given.ok().map(|given| given.number()), expected);
    }

    #[test]
    fn every_name_is_one(
        vm in "[A-Za-z0-9_(][A-Za-z0-9._()-]{0,88}[A-Za-z0-9_)]",
        number in 1u16..,
        seconds in -377_000_000_000i64..253_000_000_000,
        random in any::<u64>(),
    ) {
        let vm: Name = vm.parse().expect("a name");
        let at = Timestamp::from_second(seconds).expect("a time");
        let name = grant_rule_name(&vm, port(number), at, RequestId::mint(random), Family::V4);
        prop_assert!(name.as_str().len() <= RULE_NAME_CHARS_MAX);
        prop_assert_eq!(name.as_str().parse::<RuleName>(), Ok(name.clone()));
        prop_assert!(name.as_str().starts_with("JIT_"));
        prop_assert!(name.as_str().ends_with(RequestId::mint(random).as_str()));
    }

    #[test]
    fn every_description_is_one(requester in any::<String>(), many in 0usize..40) {
        let text = grant_description(&requester.repeat(many), at("2026-03-01T17:00:00Z"));
        let units = text.as_str().encode_utf16().count();
        prop_assert!(units <= DESCRIPTION_UNITS_MAX);
        prop_assert_eq!(text.as_str().parse::<Description>(), Ok(text.clone()));
        prop_assert!(!text.as_str().chars().any(char::is_control));
        prop_assert!(text.as_str().ends_with(" until 2026-03-01T17:00:00Z"));
    }
}
