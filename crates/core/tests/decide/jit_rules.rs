//! P6, the rule of a grant: where it stands, under which number and name, and for how long.

use hourgate_core::{
    command::Sent,
    grant::Stage,
    jit_rules::{self, JitRuleOf},
    nsg::{
        band::{Band, NoNumber},
        rule::RuleDraft,
        word::Priority,
    },
    policy::Placement,
    refusal::Refusal,
};

use crate::{effect::*, locks::*, network::*, scene::*};

fn band(first: u16, last: u16) -> Band {
    let own = |number| Priority::own(number).expect("a number");
    Band::new(own(first), own(last)).expect("a band")
}

/// JIT's rules in a group, as they would be sent.
fn rules_in(scene: &Scene, group: &str) -> Vec<RuleDraft> {
    let group = nsg(group).security_group().expect("a group");
    jit_rules::of_group(&scene.state, &group).into_iter().map(|jit| jit.rule.draft()).collect()
}

fn numbers_in(scene: &Scene, group: &str) -> Vec<i64> {
    rules_in(scene, group).iter().map(|rule| rule.priority).collect()
}

#[test]
fn a_grant_has_a_rule_before_its_lock() {
    let mut scene = locked(None, Some(vec![]));
    let id = scene.gets(ask("web", 22).from("203.0.113.7").lasting(hours(1)));
    let rules = rules_in(&scene, "inner");
    let [grant, lock] = &rules[..] else { panic!("{rules:?}") };
    assert_eq!(grant.name, format!("JIT_web_22_20261123T120000Z_{id}"));
    let said = "JIT access for ann@example.org until 2026-11-23T13:00:00Z";
    assert_eq!(grant.description.as_deref(), Some(said));
    assert_eq!(
        (grant.priority, grant.access.as_str(), grant.protocol.as_str()),
        (100, "Allow", "Tcp")
    );
    assert_eq!(
        (&grant.sources[..], &grant.destinations[..]),
        (&["203.0.113.7".to_owned()][..], &["10.0.0.4".to_owned()][..])
    );
    assert_eq!((lock.name.as_str(), lock.priority), ("JIT_web_22_Deny_0a000004", 4_096));
    assert_eq!(
        (lock.access.as_str(), lock.protocol.as_str(), &lock.sources[0][..]),
        ("Deny", "*", "*")
    );
    let group = nsg("inner").security_group().expect("a group");
    let of: Vec<JitRuleOf> =
        jit_rules::of_group(&scene.state, &group).into_iter().map(|jit| jit.of).collect();
    assert_eq!(of[0], JitRuleOf::Grant { request: id, vm: vm("web"), port: port(22) });
    assert_eq!(of[1], JitRuleOf::Lock { policy: policy("p"), vm: vm("web"), port: port(22) });
}

#[test]
fn numbers_are_unique_and_free_again_at_the_end() {
    let mut scene = locked(None, Some(vec![deny("x", 101, "192.0.2.0/24")]));
    let first = scene.gets(ask("web", 22).from("203.0.113.7"));
    scene.gets(ask("web", 22).by("bob").from("203.0.113.8"));
    assert_eq!(numbers_in(&scene, "inner"), [100, 102, 4_096], "101 is somebody else's");
    scene.does(&end(first));
    assert_eq!(numbers_in(&scene, "inner"), [102, 4_096]);
    scene.gets(ask("web", 22).by("eve").from("203.0.113.9"));
    assert_eq!(numbers_in(&scene, "inner"), [100, 102, 4_096]);
}

#[test]
fn numbers_come_from_the_configured_band() {
    let mut scene = locked(None, Some(vec![]));
    scene.settings.band = band(2_000, 2_001);
    scene.gets(ask("web", 22).from("203.0.113.7"));
    scene.gets(ask("web", 22).by("bob").from("203.0.113.8"));
    assert_eq!(numbers_in(&scene, "inner"), [2_000, 2_001, 4_096]);
    let refusals = scene.denies(ask("web", 22).by("eve").from("203.0.113.9"));
    let group = nsg("inner").security_group().expect("a group");
    let why = NoNumber::BandFull { group, first: 2_000, before: 2_002 };
    assert_eq!(refusals, [Refusal::NoNumber { at: at("web", 22), why }]);
}

#[test]
fn grants_count_towards_what_a_group_may_hold() {
    let many = (0..998).map(|n| deny(&format!("r{n}"), 2_000 + n, "192.0.2.0/24"));
    let mut scene = locked(None, Some(many.collect()));
    scene.gets(ask("web", 22).from("203.0.113.7"));
    let refusals = scene.denies(ask("web", 22).by("bob").from("203.0.113.8"));
    let group = nsg("inner").security_group().expect("a group");
    let why = NoNumber::GroupFull { group, most: 1_000 };
    assert_eq!(refusals, [Refusal::NoNumber { at: at("web", 22), why }]);
}

#[test]
fn placed_in_the_subnets_group_too_it_has_a_rule_in_both() {
    let mut scene = before_locks(Some(vec![deny("no", 300, "*")]), Some(vec![]));
    let mut placed = member("web", vec![ssh()]);
    placed.placement = Sent::Value(Placement::NicAndSubnet);
    scene.does(&set("p", vec![placed]));
    let id = scene.gets(ask("web", 22).from("203.0.113.7"));
    assert_eq!(numbers_in(&scene, "outer"), [100]);
    assert_eq!(numbers_in(&scene, "inner"), [100, 4_096]);
    assert_eq!(scene.access(id).rules().len(), 2);
    assert_eq!(scene.open().len(), 1);
    scene.does(&end(id));
    assert!(numbers_in(&scene, "outer").is_empty());
}

#[test]
fn what_is_planned_has_a_rule_once_it_begins() {
    let mut scene = locked(None, Some(vec![]));
    let later = ask("web", 22).from("203.0.113.7").starting(noon_and(hours(1)));
    let id = scene.gets(later.lasting(hours(1)));
    assert_eq!(numbers_in(&scene, "inner"), [4_096]);
    scene.waits(hours(1) + seconds(1));
    scene.ticks();
    assert_eq!(scene.stage(id), "granted");
    assert_eq!(numbers_in(&scene, "inner"), [100, 4_096]);
}

#[test]
fn what_is_planned_and_finds_no_number_fails_with_the_reason() {
    let mut scene = locked(None, Some(vec![]));
    scene.settings.band = band(100, 100);
    let later = ask("web", 22).from("203.0.113.7").starting(noon_and(hours(1)));
    let id = scene.gets(later.lasting(hours(1)));
    scene.gets(ask("web", 22).by("bob").from("203.0.113.8").lasting(hours(3)));
    scene.waits(hours(1) + seconds(1));
    scene.ticks();
    let Stage::Ended { reason, .. } = &scene.access(id).stage else { panic!() };
    let text = format!("{reason:?}");
    assert!(text.contains("no number from 100 on and before 101"), "{text}");
}

#[test]
fn a_number_can_go_from_one_to_the_next_in_one_moment() {
    let mut scene = locked(None, Some(vec![]));
    scene.settings.band = band(100, 100);
    scene.gets(ask("web", 22).by("bob").from("203.0.113.8").lasting(hours(1)));
    let later = ask("web", 22).from("203.0.113.7").starting(noon_and(hours(1)));
    let id = scene.gets(later.lasting(hours(1)));
    scene.waits(hours(1));
    scene.ticks();
    assert_eq!(scene.stage(id), "granted");
    assert_eq!(numbers_in(&scene, "inner"), [100, 4_096]);
}

#[test]
fn a_request_may_name_one_address_of_its_vm() {
    let mut scene =
        scene().vm("web", &["10.0.0.4", "10.0.0.5"]).policy("p", vec![member("web", vec![ssh()])]);
    let only = |address: &str| {
        let mut ask = ask("web", 22).from("203.0.113.7");
        ask.0.accesses[0].addresses = Some([ip(address)].into());
        ask
    };
    let id = scene.gets(only("10.0.0.5"));
    assert_eq!(scene.open(), ["203.0.113.7/32 > 10.0.0.5 22"]);
    let other = scene.gets(only("10.0.0.4"));
    assert_eq!(scene.stage(id), "granted", "one for other addresses takes nobody's place");
    let all = scene.gets(ask("web", 22).from("203.0.113.7"));
    assert_eq!((scene.stage(id), scene.stage(other)), ("replaced", "replaced"));
    assert_eq!(scene.stage(all), "granted");
    let refusals = scene.denies(only("10.0.0.6"));
    let addresses = vec![ip("10.0.0.4"), ip("10.0.0.5")];
    let refusal = Refusal::AddressNotOfVm { at: at("web", 22), address: ip("10.0.0.6"), addresses };
    assert!(refusals.contains(&refusal), "{refusals:?}");
}

#[test]
fn a_guard_never_opens_what_a_rule_before_the_grant_drops() {
    let mut scene = locked(None, Some(vec![]));
    scene.settings.band = band(200, 300);
    let id = scene.gets(ask("web", 22).from("203.0.113.0/24"));
    assert_eq!(scene.open().len(), 1);
    let mut with = |rule: RuleDraft| {
        scene.does(&put(nsg("inner"), nsg_of(vec![rule])));
        scene.open().len()
    };
    assert_eq!(with(deny("later", 201, "203.0.113.9/32")), 1, "behind the grant");
    assert_eq!(with(deny("others", 150, "192.0.2.0/24")), 1, "of others");
    assert_eq!(with(deny("some", 150, "203.0.113.9/32")), 0, "some of it: none is opened");
    assert_eq!(with(deny("first", 100, "203.0.113.9/32")), 1, "the guard asks that one first");
    assert_eq!(scene.stage(id), "granted");
}
