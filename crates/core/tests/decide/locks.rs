//! P2, lock-down: where the denies of locks stand, and that nothing of anybody else's is touched.

use std::collections::BTreeSet;

use hourgate_core::{
    command::{MemberDraft, PortDraft, Sent},
    eligible::Reason,
    nsg::{
        lockdown::{Exceptions, LockdownRefusal, Numbered},
        rule::RuleDraft,
    },
    refusal::Refusal,
    resource::{ResourceId, ViewDraft, network_interface::NetworkInterfaceDraft},
};

use crate::{effect::*, network::*, scene::*};

/// The machine `web` behind its groups; nothing is locked yet.
pub(crate) fn before_locks(
    of_subnet: Option<Vec<RuleDraft>>,
    of_nic: Option<Vec<RuleDraft>>,
) -> Scene {
    let mut scene = scene().vm("web", &["10.0.0.4"]);
    stand(&mut scene, of_subnet, of_nic);
    scene
}

/// The same with SSH locked.
pub(crate) fn locked(of_subnet: Option<Vec<RuleDraft>>, of_nic: Option<Vec<RuleDraft>>) -> Scene {
    before_locks(of_subnet, of_nic).policy("p", vec![member("web", vec![ssh()])])
}

/// A machine behind a group of its own or another's, in the subnet `a`.
pub(crate) fn behind(scene: &mut Scene, name: &str, address: &str, group: &str) {
    scene.minted += 1;
    let registered = register(name, scene.minted, &[address]);
    scene.does(&registered);
    let configuration = configuration("ip", Some(subnet("v", "a")), at_address(address));
    let security_group = nsg(group).security_group();
    let view = NetworkInterfaceDraft { security_group, configurations: vec![configuration] };
    scene.does(&put(nic(&format!("{name}-nic")), ViewDraft::NetworkInterface(view)));
}

/// Address, port, group and number of every deny.
pub(crate) fn denies(scene: &Scene) -> Vec<(String, u16, String, u16)> {
    let mut found = Vec::new();
    for (_, member, _) in scene.state.members() {
        for rule in &member.ports {
            for deny in &rule.denies {
                let group = deny.group.name().to_string();
                let number = deny.priority.number();
                found.push((deny.address.to_string(), rule.port.number(), group, number));
            }
        }
    }
    found
}

fn deny_at(group: &str, number: u16) -> Vec<(String, u16, String, u16)> {
    vec![("10.0.0.4".to_owned(), 22, group.to_owned(), number)]
}

pub(crate) fn without_standing(rule: PortDraft) -> PortDraft {
    PortDraft { exceptions: Sent::Value(Exceptions::Taken), ..rule }
}

#[test]
fn enabling_places_a_deny_where_the_product_says() {
    let narrow = || allow("jump", 300, "198.51.100.7/32");
    type Rules = Option<Vec<RuleDraft>>;
    let rows: [(&str, Rules, Rules, &str, u16); 6] = [
        ("the interface's group, at 4096", Some(vec![]), Some(vec![]), "inner", 4_096),
        ("without one in the subnet's", Some(vec![]), None, "outer", 4_096),
        ("counting down", None, Some(vec![deny("x", 4_096, "198.51.100.0/24")]), "inner", 4_095),
        ("before an allow from any source", None, Some(vec![allow("all", 200, "*")]), "inner", 199),
        ("behind a standing exception", None, Some(vec![narrow()]), "inner", 4_096),
        ("between that and any", None, Some(vec![narrow(), allow("all", 500, "*")]), "inner", 499),
    ];
    for (why, of_subnet, of_nic, group, number) in rows {
        assert_eq!(denies(&locked(of_subnet, of_nic)), deny_at(group, number), "{why}");
    }
}

#[test]
fn standing_exceptions_are_listed_and_can_be_taken_too() {
    let rules = vec![allow("jump", 300, "198.51.100.7/32"), allow("all", 500, "*")];
    let mut scene = before_locks(None, Some(rules));
    scene.does(&set("p", vec![member("web", vec![ssh()])]));
    let listed = |scene: &Scene| {
        let policy = &scene.state.policies[&policy("p")];
        let deny = &policy.members[&vm("web")].ports[0].denies[0];
        let names: Vec<String> = deny.standing.iter().map(|s| s.rule.to_string()).collect();
        (names, deny.left.len(), deny.priority.number())
    };
    assert_eq!(listed(&scene), (vec!["jump".to_owned()], 1, 499));
    scene.does(&set("p", vec![member("web", vec![without_standing(ssh())])]));
    assert_eq!(listed(&scene), (vec![], 0, 299), "placed anew, before the exception");
    scene.does(&set("p", vec![member("web", vec![ssh()])]));
    assert_eq!(listed(&scene), (vec![], 0, 299), "who does not know the property keeps it");
}

#[test]
fn a_put_that_changes_nothing_changes_nothing() {
    let mut scene = locked(None, Some(vec![]));
    let again = set("p", vec![member("web", vec![ssh()])]);
    assert_eq!(scene.does(&again), vec![]);
    // Another port comes: the first one's deny stays where it is.
    scene.does(&set("p", vec![member("web", vec![rule(3_389), ssh()])]));
    let numbers: BTreeSet<(u16, u16)> =
        denies(&scene).into_iter().map(|(_, port, _, number)| (port, number)).collect();
    assert_eq!(numbers, BTreeSet::from([(22, 4_096), (3_389, 4_095)]));
}

#[test]
fn every_lock_of_one_group_has_a_number_of_its_own() {
    let mut scene = before_locks(None, Some(vec![]));
    behind(&mut scene, "db", "10.0.0.5", "inner");
    let two = |name: &str| member(name, vec![ssh(), rule(3_389)]);
    scene.does(&set("p", vec![two("web"), two("db")]));
    let numbers: BTreeSet<u16> = denies(&scene).into_iter().map(|deny| deny.3).collect();
    assert_eq!(numbers, (4_093..=4_096).collect());
    scene.does(&set("p", vec![two("db")]));
    assert_eq!(denies(&scene).len(), 2);
    scene.does(&set("q", vec![member("web", vec![ssh()])]));
    let numbers: BTreeSet<u16> = denies(&scene).into_iter().map(|deny| deny.3).collect();
    assert_eq!(numbers.len(), 3, "a number that was given back is free");
    assert!(numbers.contains(&4_096));
}

#[test]
fn without_a_free_number_it_is_refused_naming_both() {
    let rules = || vec![allow("jump", 199, "198.51.100.7/32"), allow("all", 200, "*")];
    let mut scene = before_locks(None, Some(rules()));
    let lock = |rule| set("p", vec![member("web", vec![rule])]);
    let refusals = scene.refuses(&lock(ssh()));
    let [Refusal::NoPlace { at: named, address, why }] = &refusals[..] else {
        panic!("{refusals:?}");
    };
    assert_eq!((named, *address), (&at("web", 22), ip("10.0.0.4")));
    let LockdownRefusal::NoFreeNumber { group, after, before } = why else { panic!("{why:?}") };
    let told = |rule: &Option<Numbered>| rule.as_ref().map(|rule| rule.rule.to_string());
    assert_eq!(group.name().as_str(), "inner");
    assert_eq!((told(after), told(before)), (Some("jump".into()), Some("all".into())));
    scene.does(&lock(without_standing(ssh())));
    assert_eq!(denies(&scene), deny_at("inner", 198));
}

#[test]
fn everything_that_stands_against_it_is_told_at_once() {
    let mut scene = before_locks(None, Some(vec![allow("all", 100, "*")]));
    scene.does(&put(nsg("none"), nsg_of(vec![allow("any", 100, "*")])));
    behind(&mut scene, "db", "10.0.0.5", "none");
    let refusals =
        scene.refuses(&set("p", vec![member("web", vec![ssh()]), member("db", vec![ssh()])]));
    assert_eq!(refusals.len(), 2, "{refusals:?}");
}

#[test]
fn without_a_group_a_port_cannot_be_locked() {
    let mut scene = before_locks(None, None);
    let refusals = scene.refuses(&set("p", vec![member("web", vec![ssh()])]));
    assert!(
        matches!(&refusals[..], [Refusal::Unsupported { reason: Reason::MissingGroup { .. }, .. }]),
        "{refusals:?}"
    );
}

#[test]
fn a_full_group_takes_no_lock() {
    let many = (0..1_000).map(|n| deny(&format!("r{n}"), 1_000 + n, "198.51.100.0/24"));
    let mut scene = before_locks(None, Some(many.collect()));
    let refusals = scene.refuses(&set("p", vec![member("web", vec![ssh()])]));
    assert!(
        matches!(
            &refusals[..],
            [Refusal::NoPlace { why: LockdownRefusal::GroupFull { most: 1_000, .. }, .. }]
        ),
        "{refusals:?}"
    );
}

#[test]
fn what_is_not_confirmed_gets_its_place_back() {
    let mut scene = locked(None, Some(vec![allow("all", 500, "*")]));
    assert_eq!(denies(&scene), deny_at("inner", 499));
    let without: Vec<MemberDraft> = vec![member("web", vec![rule(3_389)])];
    scene.does(&set_unless_confirmed("p", without, minutes(5)));
    // Meanwhile somebody takes the number.
    let rules = vec![allow("all", 500, "*"), deny("x", 499, "192.0.2.0/24")];
    scene.does(&put(nsg("inner"), nsg_of(rules)));
    scene.waits(minutes(6));
    scene.ticks();
    assert_eq!(denies(&scene), deny_at("inner", 498), "another place, but a place");
}

/// The group as it was sent, and its version.
fn stored(scene: &Scene, id: &ResourceId) -> (u64, Vec<RuleDraft>) {
    let resource = scene.state.network.get(id).expect("there");
    let rules = resource.security_group().expect("a group").rules();
    (resource.version, rules.iter().map(|rule| rule.draft()).collect())
}

#[test]
fn disabling_restores_exactly_what_was() {
    let rules = vec![allow("jump", 300, "198.51.100.7/32"), allow("all", 500, "*")];
    let mut scene = before_locks(None, Some(rules));
    let before = stored(&scene, &nsg("inner"));
    scene.does(&set("p", vec![member("web", vec![ssh()])]));
    scene.gets(ask("web", 22).from("203.0.113.7"));
    assert_eq!(stored(&scene, &nsg("inner")), before);
    assert_eq!(scene.state.numbers.values().map(|n| n.len()).sum::<usize>(), 2);
    scene.does(&remove("p"));
    assert_eq!(stored(&scene, &nsg("inner")), before, "neither a rule nor a version changed");
    assert!(scene.state.numbers.is_empty(), "{:?}", scene.state.numbers);
}
