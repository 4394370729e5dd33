//! P2, P6: which numbers the rules of JIT get when others come between, and what a plan finds when it begins.

use hourgate_core::{
    command::Sent,
    jit_rules,
    nsg::{band::NoNumber, rule::RuleDraft},
    policy::Placement,
    refusal::Refusal,
    resource::{ViewDraft, network_interface::NetworkInterfaceDraft},
};

use crate::{effect::*, jit_rules::band, locks::*, network::*, scene::*};

fn rules_in(scene: &Scene, group: &str) -> Vec<RuleDraft> {
    let group = nsg(group).security_group().expect("a group");
    jit_rules::of_group(&scene.state, &group).into_iter().map(|jit| jit.rule.draft()).collect()
}

/// Port, group and number of every deny.
fn places(scene: &Scene) -> Vec<(u16, String, u16)> {
    let mut found: Vec<_> =
        denies(scene).into_iter().map(|(_, port, group, n)| (port, group, n)).collect();
    found.sort();
    found
}

fn at_place(port: u16, group: &str, number: u16) -> (u16, String, u16) {
    (port, group.to_owned(), number)
}

#[test]
fn a_grant_that_would_stand_behind_its_lock_is_refused() {
    let mut scene = locked(None, Some(vec![allow("all", 102, "*")]));
    assert_eq!(places(&scene), [at_place(22, "inner", 101)]);
    scene.gets(ask("web", 22).from("203.0.113.7"));
    let refusals = scene.denies(ask("web", 22).by("bob").from("203.0.113.8"));
    let group = nsg("inner").security_group().expect("a group");
    let why = NoNumber::BandFull { group, first: 100, before: 101 };
    assert_eq!(refusals, [Refusal::NoNumber { at: at("web", 22), why }], "102 has no effect");
}

#[test]
fn two_ports_of_one_request_get_two_numbers() {
    let both = vec![ssh(), rule_from(3_389, &["203.0.113.0/24"])];
    let mut scene = before_locks(None, Some(vec![])).policy("p", vec![member("web", both)]);
    scene.gets(ask("web", 22).and(ask("web", 3_389)).from("203.0.113.7"));
    let numbers: Vec<i64> = rules_in(&scene, "inner").iter().map(|rule| rule.priority).collect();
    assert_eq!(numbers, [100, 101, 4_095, 4_096]);
}

#[test]
fn a_lock_whose_interface_got_another_group_is_placed_there_when_its_policy_is_set() {
    let mut scene = locked(None, Some(vec![]));
    let none = RuleDraft {
        protocol: "*".to_owned(),
        destination_ports: vec!["*".to_owned()],
        ..deny("none", 100, "*")
    };
    scene.does(&put(nsg("shut"), nsg_of(vec![none])));
    let address = configuration("ip", Some(subnet("v", "a")), at_address("10.0.0.4"));
    let security_group = nsg("shut").security_group();
    let view = NetworkInterfaceDraft { security_group, configurations: vec![address] };
    scene.does(&put(nic("web-nic"), ViewDraft::NetworkInterface(view)));
    assert_eq!(places(&scene), [at_place(22, "inner", 4_096)]);
    scene.does(&set("p", vec![member("web", vec![ssh(), rule(3_389)])]));
    let both = [at_place(22, "shut", 4_096), at_place(3_389, "shut", 4_095)];
    assert_eq!(places(&scene).iter().map(|p| &p.1).collect::<Vec<_>>(), ["shut", "shut"]);
    let mut numbers: Vec<u16> = places(&scene).iter().map(|place| place.2).collect();
    numbers.sort_unstable();
    assert_eq!(numbers, [both[1].2, both[0].2]);
}

#[test]
fn what_goes_back_stands_where_it_stood_though_a_better_place_is_free_by_now() {
    let mut scene = locked(None, Some(vec![deny("x", 4_096, "192.0.2.0/24")]));
    assert_eq!(places(&scene), [at_place(22, "inner", 4_095)]);
    scene.does(&set_unless_confirmed("p", vec![member("web", vec![rule(3_389)])], minutes(5)));
    scene.does(&put(nsg("inner"), nsg_of(vec![])));
    scene.waits(minutes(6));
    scene.ticks();
    assert_eq!(places(&scene), [at_place(22, "inner", 4_095)]);
}

#[test]
fn what_goes_back_does_not_share_a_number_with_another_policys_lock() {
    let mut scene = locked(None, Some(vec![]));
    scene.does(&put(nsg("other"), nsg_of(vec![])));
    behind(&mut scene, "db", "10.0.0.5", "other");
    scene.does(&set_unless_confirmed("p", vec![member("db", vec![ssh()])], minutes(5)));
    scene.does(&set("q", vec![member("web", vec![rule(443)])]));
    assert!(places(&scene).contains(&at_place(443, "inner", 4_096)));
    scene.waits(minutes(6));
    scene.ticks();
    assert_eq!(places(&scene), [at_place(22, "inner", 4_095), at_place(443, "inner", 4_096)]);
}

#[test]
fn who_does_not_know_the_placement_keeps_it() {
    let mut scene = before_locks(Some(vec![]), Some(vec![]));
    let mut placed = member("web", vec![ssh()]);
    placed.placement = Sent::Value(Placement::NicAndSubnet);
    scene.does(&set("p", vec![placed]));
    scene.does(&set("p", vec![member("web", vec![ssh(), rule(3_389)])]));
    let policy = &scene.state.policies[&policy("p")];
    assert_eq!(policy.members[&vm("web")].placement, Placement::NicAndSubnet);
    scene.gets(ask("web", 22).from("203.0.113.7"));
    assert_eq!(scene.open().len(), 1, "so the subnet's default deny does not drop it");
}

#[test]
fn what_rules_would_drop_is_not_even_planned() {
    let mut scene = networked(Some(vec![]), Some(vec![]));
    let later = ask("web", 22).from("203.0.113.7").starting(noon_and(hours(1)));
    let refusals = scene.denies(later);
    assert!(matches!(&refusals[..], [Refusal::Blocked { .. }]), "{refusals:?}");
}

#[test]
fn what_is_planned_for_one_address_begins_there_alone() {
    let mut scene = before_locks(None, Some(vec![]));
    let own = |name: &str, address: &str| {
        configuration(name, Some(subnet("v", "a")), at_address(address))
    };
    let security_group = nsg("inner").security_group();
    let configurations = vec![own("ip", "10.0.0.4"), own("ip2", "10.0.0.5")];
    let view = NetworkInterfaceDraft { security_group, configurations };
    scene.does(&put(nic("web-nic"), ViewDraft::NetworkInterface(view)));
    scene.does(&register("web", 9, &["10.0.0.4", "10.0.0.5"]));
    scene.does(&set("p", vec![member("web", vec![ssh()])]));
    let mut later = ask("web", 22).from("203.0.113.7").starting(noon_and(hours(1)));
    later.0.accesses[0].addresses = Some([ip("10.0.0.5")].into());
    let id = scene.gets(later.lasting(hours(1)));
    scene.waits(hours(1));
    scene.ticks();
    assert_eq!(scene.stage(id), "granted");
    assert_eq!(scene.open(), ["203.0.113.7/32 > 10.0.0.5 22"]);
    let grant = rules_in(&scene, "inner").into_iter().find(|rule| rule.access == "Allow");
    assert_eq!(grant.expect("its rule").destinations, ["10.0.0.5"]);
}

/// Guards look grants up behind the rules with the smallest number; what those rules drop, they drop.
#[test]
fn a_rule_with_the_smallest_number_decides_before_any_access_and_is_told() {
    use hourgate_core::{
        nsg::{
            flow::{Carried, Flow, Transport},
            word::Access,
        },
        reach::reach,
    };
    let rules = vec![deny("first", 100, "203.0.113.9/32"), deny("again", 150, "203.0.113.9/32")];
    let mut scene = locked(None, Some(vec![]));
    scene.settings.band = band(200, 300);
    scene.gets(ask("web", 22).from("203.0.113.0/24"));
    scene.does(&put(nsg("inner"), nsg_of(rules)));
    assert_eq!(scene.open().len(), 1, "the guard asks that one first, and the next says no more");
    let id = vm("web");
    let told = |from: &str| {
        let carried = Carried::Ports { transport: Transport::Tcp, source: 50_000, destination: 22 };
        let flow = Flow::new(ip(from), ip("10.0.0.4"), carried).expect("a flow");
        let reach = reach(&scene.state, &id, &flow, scene.now);
        (reach.access, reach.layers[0].by_access)
    };
    assert_eq!(told("203.0.113.9"), (Access::Deny, false), "not by the access");
    assert_eq!(told("203.0.113.7"), (Access::Allow, true));
}

#[test]
fn openings_are_looked_up_where_jit_has_its_rules_and_nowhere_else() {
    use hourgate_core::{
        nsg::judge::Layer,
        open::open_now,
        screen::{Layered, chain::Chain},
    };
    let looked_up = |scene: &Scene| {
        let screens = open_now(&scene.state, scene.now).screens;
        let screen = screens.get(&ip("10.0.0.4")).expect("a screen");
        let of = |layered: &Layered, layer| {
            let chain = layered.chain(layer).map(|chain| Chain::clone(chain));
            chain.is_some_and(|chain| chain.before_grants().is_some())
        };
        let inbound = [Layer::Subnet, Layer::Nic].map(|layer| of(&screen.inbound, layer));
        let outbound = [Layer::Subnet, Layer::Nic].map(|layer| of(&screen.outbound, layer));
        (inbound, outbound)
    };
    let none = [false, false];
    let mut scene = before_locks(Some(vec![]), Some(vec![]));
    scene.does(&set("p", vec![member("web", vec![ssh()])]));
    assert_eq!(looked_up(&scene), ([false, true], none), "the interface's group");
    let mut placed = member("web", vec![ssh()]);
    placed.placement = Sent::Value(Placement::NicAndSubnet);
    scene.does(&set("p", vec![placed]));
    assert_eq!(looked_up(&scene), ([true, true], none), "and the subnet's, where it is placed");
    let scene = locked(Some(vec![]), None);
    assert_eq!(looked_up(&scene), ([true, false], none), "the subnet's where there is no other");
}

#[test]
fn a_lock_before_which_no_group_stands_any_more_lets_nothing_through() {
    let mut scene = locked(None, Some(vec![allow("jump", 300, "198.51.100.7/32")]));
    scene.settings.allow_lock_breaks = true;
    let standing = |scene: &Scene| hourgate_core::open::open_now(&scene.state, scene.now).standing;
    assert_eq!(standing(&scene).len(), 1);
    let address = configuration("ip", Some(subnet("v", "a")), at_address("10.0.0.4"));
    scene.does(&put(nic("web-nic"), nic_of(vec![address])));
    assert!(standing(&scene).is_empty(), "no group: not even what stood");
    assert_eq!(scene.locks(), ["10.0.0.4 22"]);
}

#[test]
fn an_access_of_an_earlier_registration_opens_nothing_on_a_later_ones_lock() {
    let mut scene = web(rule(22));
    scene.gets(ask("web", 22));
    let anew = hourgate_core::id::VmInstance(uuid::Uuid::from_u128(4_711));
    scene.state.vms.get_mut(&vm("web")).expect("known").instance = anew;
    let policy = scene.state.policies.get_mut(&policy("p")).expect("known");
    policy.members.get_mut(&vm("web")).expect("a member").instance = anew;
    assert_eq!(scene.locks().len(), 2, "locked anew");
    assert!(scene.open().is_empty());
}

/// Of a time when machines were no resources.
#[test]
fn a_machine_of_which_no_interface_is_known_can_have_no_policy() {
    use hourgate_core::{
        eligible::{Reason, Standing, eligibility},
        event::Event,
    };
    let registered = scene().vm("web", &["10.0.0.4"]).state.vms[&vm("web")].clone();
    let mut scene = scene();
    scene.state.evolve(&Event::VmRegistered { vm: registered.clone() });
    let found = eligibility(&scene.state, &scene.settings, &registered);
    assert_eq!(found.standing, Standing::Unsupported);
    assert_eq!(Vec::from_iter(found.reasons), [Reason::NoInterface]);
    let refused = scene.refuses(&set("p", vec![member("web", vec![rule(22)])]));
    let expected = Refusal::Unsupported { vm: vm("web"), reason: Reason::NoInterface };
    assert_eq!(refused, [expected]);
}

/// Who follows the advice is not refused for it.
#[test]
fn what_would_help_is_a_number_that_jit_has_not() {
    use hourgate_core::{
        nsg::{
            cure::Cure,
            flow::{Carried, Flow, Transport},
        },
        reach::reach,
    };
    let mut scene = locked(None, Some(vec![]));
    assert_eq!(places(&scene), [at_place(22, "inner", 4_096)]);
    let carried = Carried::Ports { transport: Transport::Tcp, source: 50_000, destination: 80 };
    let flow = Flow::new(ip("203.0.113.7"), ip("10.0.0.4"), carried).expect("a flow");
    let id = vm("web");
    let free = {
        let reach = reach(&scene.state, &id, &flow, scene.now);
        let [Cure::AllowBefore { free, .. }] = &reach.cures[..] else { panic!("{reach:?}") };
        free.number()
    };
    assert_eq!(free, 4_095);
    let http = RuleDraft {
        destination_ports: vec!["80".to_owned()],
        ..allow("http", i64::from(free), "203.0.113.0/24")
    };
    scene.does(&put(nsg("inner"), nsg_of(vec![http])));
    assert!(reach(&scene.state, &id, &flow, scene.now).cures.is_empty(), "and it helps");
}

/// Where an access decides in the subnet's group and a rule in the interface's, the rule has the last word.
#[test]
fn the_last_word_is_that_of_the_rule_behind_the_access() {
    use hourgate_core::{
        nsg::{
            flow::{Carried, Flow, Transport},
            word::{Access, Direction},
        },
        verify::{LastWord, verify},
    };
    let mut scene = before_locks(Some(vec![]), Some(vec![]));
    let mut placed = member("web", vec![ssh()]);
    placed.placement = Sent::Value(Placement::NicAndSubnet);
    scene.does(&set("p", vec![placed]));
    scene.settings.band = band(200, 300);
    scene.gets(ask("web", 22).from("203.0.113.0/24"));
    scene.does(&put(nsg("inner"), nsg_of(vec![deny("first", 100, "203.0.113.9/32")])));
    let carried = Carried::Ports { transport: Transport::Tcp, source: 50_000, destination: 22 };
    let flow = Flow::new(ip("203.0.113.9"), ip("10.0.0.4"), carried).expect("a flow");
    let id = vm("web");
    let verified = verify(&scene.state, &id, Direction::Inbound, &flow, scene.now);
    let Some(LastWord::Rule { group, rule }) = verified.by else { panic!("{verified:?}") };
    assert_eq!(verified.access, Access::Deny);
    assert_eq!((group.name().as_str(), rule.name().as_str()), ("inner", "first"));
}

#[test]
fn of_a_lock_before_which_no_group_stands_nothing_is_said_to_be_reachable() {
    let mut scene = locked(None, Some(vec![allow("jump", 300, "198.51.100.7/32")]));
    scene.settings.allow_lock_breaks = true;
    let facts = |scene: &Scene| {
        let policy = &scene.state.policies[&policy("p")];
        let (vm, member) = (&scene.state.vms[&vm("web")], &policy.members[&vm("web")]);
        let of = hourgate_core::lock_facts::of_port;
        let mut all = of(&scene.state.network, vm, member, &member.ports[0]);
        let facts = all.pop().expect("one address");
        (facts.deny.is_some(), facts.reachable.len(), facts.exposed.len())
    };
    assert_eq!(facts(&scene), (true, 1, 0));
    let address = configuration("ip", Some(subnet("v", "a")), at_address("10.0.0.4"));
    scene.does(&put(nic("web-nic"), nic_of(vec![address])));
    assert_eq!(facts(&scene), (false, 0, 0), "all of it is closed");
}

#[test]
fn a_standing_exception_is_for_the_transport_of_its_rule() {
    use hourgate_core::{
        nsg::{
            flow::{Carried, Flow, Transport},
            word::Access,
        },
        reach::reach,
    };
    let scene = locked(None, Some(vec![allow("jump", 300, "198.51.100.7/32")]));
    let id = vm("web");
    let told = |transport| {
        let carried = Carried::Ports { transport, source: 50_000, destination: 22 };
        let flow = Flow::new(ip("198.51.100.7"), ip("10.0.0.4"), carried).expect("a flow");
        let reach = reach(&scene.state, &id, &flow, scene.now);
        (reach.access, reach.lock.expect("locked").standing)
    };
    assert_eq!(told(Transport::Tcp), (Access::Allow, true));
    assert_eq!(told(Transport::Udp), (Access::Deny, false));
    assert_eq!(told(Transport::Other), (Access::Deny, false));
}
