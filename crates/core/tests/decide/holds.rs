//! P2, the lock is an invariant; P7, a later rule that blocks what runs is told.

use hourgate_core::{
    command::{Command, PortDraft, Sent},
    effect::Effects,
    event::Event,
    network::Lock,
    nsg::{
        fault::GroupFault,
        flow::{Carried, Flow, Transport},
        lockdown::Exceptions,
        rule::RuleDraft,
        word::Access,
    },
    open::{exposed, open_now},
    policy::Placement,
    reach::reach,
    refusal::Refusal,
    resource::{ResourceFault, ViewDraft, network_interface::NetworkInterfaceDraft},
};

use crate::{
    effect::*,
    locks::*,
    naive::{self, Groups, World},
    network::*,
    resource_life::Random,
    scene::*,
};

const JUMP: &str = "198.51.100.7/32";

/// `web` behind `inner`, which has one standing exception and so the deny at 4096.
fn held() -> Scene {
    let mut scene = locked(None, Some(vec![allow("jump", 300, JUMP)]));
    scene.does(&put(nsg("other"), nsg_of(vec![allow("all", 100, "*")])));
    let none = RuleDraft { protocol: "*".to_owned(), ..to_port("*", deny("none", 100, "*")) };
    scene.does(&put(nsg("shut"), nsg_of(vec![none])));
    scene.does(&put(asg("ops"), ViewDraft::ApplicationSecurityGroup));
    scene
}

fn inner(rules: Vec<RuleDraft>) -> Command {
    put(nsg("inner"), nsg_of(rules))
}

/// The interface of `web` with another group.
fn with_group(group: Option<&str>) -> Command {
    let address = configuration("ip", Some(subnet("v", "a")), at_address("10.0.0.4"));
    let security_group = group.and_then(|name| nsg(name).security_group());
    let view = NetworkInterfaceDraft { security_group, configurations: vec![address] };
    put(nic("web-nic"), ViewDraft::NetworkInterface(view))
}

fn to_port(port: &str, rule: RuleDraft) -> RuleDraft {
    RuleDraft { destination_ports: vec![port.to_owned()], ..rule }
}

/// By which rule a change would break the lock; none if it would not.
fn breaks(scene: &mut Scene, change: &Command) -> Option<String> {
    match scene.hears(change) {
        Ok(_) => None,
        Err(refusals) => match &refusals[..] {
            [Refusal::LockWouldBreak { broken }] => {
                assert_eq!(broken.lock, Lock { address: ip("10.0.0.4"), port: port(22) });
                let by = broken.by.as_ref().map(|by| format!("{} {}", by.rule, by.priority));
                Some(by.unwrap_or_else(|| "no group".to_owned()))
            }
            other => panic!("{other:?}"),
        },
    }
}

#[test]
fn a_change_that_opens_a_locked_port_is_refused() {
    let jump = || allow("jump", 300, JUMP);
    let udp = |rule| RuleDraft { protocol: "Udp".to_owned(), ..rule };
    let rows: [(&str, Command, Option<&str>); 11] = [
        ("a new allow", inner(vec![jump(), allow("x", 200, "203.0.113.9/32")]), Some("x 200")),
        ("over UDP", inner(vec![jump(), udp(allow("x", 200, "203.0.113.9/32"))]), Some("x 200")),
        (
            "to another port",
            inner(vec![jump(), to_port("80", allow("x", 200, "203.0.113.9/32"))]),
            None,
        ),
        ("for whom it is open", inner(vec![jump(), allow("x", 200, JUMP)]), None),
        (
            "an exception made wider",
            inner(vec![allow("jump", 300, "198.51.100.0/24")]),
            Some("jump 300"),
        ),
        ("an exception gone", inner(vec![]), None),
        ("the group gone from the interface", with_group(None), Some("no group")),
        ("another group that lets in", with_group(Some("other")), Some("all 100")),
        ("another group that does not", with_group(Some("shut")), None),
        (
            "a group of the subnet's too",
            put(vnet("v"), vnet_of(&["10.0.0.0/16"], &[("a", "10.0.0.0/24", Some("other"))])),
            None,
        ),
        ("a group that nobody has", put(nsg("other"), nsg_of(vec![])), None),
    ];
    for (why, change, by) in rows {
        assert_eq!(breaks(&mut held(), &change).as_deref(), by, "{why}");
    }
}

/// The deny stands in the subnet's group, and the interface gets one of its own since: there is home from then on,
/// and a rule there that has let nobody through so far is no exception because a policy is set again.
#[test]
fn a_policy_that_is_set_again_opens_nothing_where_its_deny_goes_elsewhere() {
    let outer = || Some(vec![allow("all", 4000, "*")]);
    let again =
        |rule: PortDraft| set("p", vec![member("web", vec![rule, crate::scene::rule(3389)])]);
    let mut scene = locked(outer(), None);
    scene.does(&inner(vec![allow("jump", 300, JUMP)]));
    scene.does(&with_group(Some("inner")));
    let before = denies(&scene);
    assert_eq!(breaks(&mut scene, &again(ssh())).as_deref(), Some("jump 300"));
    assert_eq!(denies(&scene), before, "nothing moved");
    // Who takes exceptions away asks for less, and who lets them stay from then on for more.
    let taken = PortDraft { exceptions: Sent::Value(Exceptions::Taken), ..ssh() };
    scene.does(&again(taken));
    assert!(exposed(&scene.state).is_empty());
    assert!(open_now(&scene.state, scene.now).standing.is_empty());
    let stay = PortDraft { exceptions: Sent::Value(Exceptions::Stay), ..ssh() };
    scene.does(&again(stay));
    assert_eq!(open_now(&scene.state, scene.now).standing.len(), 1);
    // Without the rule there is nothing to let through, and the deny goes home.
    let mut scene = locked(outer(), None);
    scene.does(&inner(vec![]));
    scene.does(&with_group(Some("inner")));
    scene.does(&again(ssh()));
    assert_eq!(denies(&scene)[0].2, "inner");
    // Where locks may be broken it is done.
    let mut scene = locked(outer(), None);
    scene.settings.allow_lock_breaks = true;
    scene.does(&inner(vec![allow("jump", 300, JUMP)]));
    scene.does(&with_group(Some("inner")));
    scene.does(&again(ssh()));
}

/// Nobody hears a refusal when a change is rolled back: then the deny goes before the rule too.
#[test]
fn what_is_rolled_back_opens_nothing_either() {
    let mut scene = locked(Some(vec![allow("all", 4000, "*")]), None);
    let more = vec![member("web", vec![ssh(), crate::scene::rule(3389)])];
    scene.does(&set_unless_confirmed("p", more, minutes(5)));
    scene.does(&inner(vec![allow("jump", 300, JUMP)]));
    scene.does(&with_group(Some("inner")));
    scene.waits(minutes(5));
    scene.ticks();
    let stands = denies(&scene);
    assert_eq!(stands.len(), 1, "rolled back");
    assert_eq!((stands[0].2.as_str(), stands[0].3 < 300), ("inner", true));
    assert!(open_now(&scene.state, scene.now).standing.is_empty());
}

#[test]
fn whom_a_name_stands_for_is_held_too() {
    let mut scene = held();
    let from_ops = RuleDraft { sources: vec![asg("ops").to_string()], ..allow("ops", 300, "*") };
    scene.does(&remove("p"));
    scene.does(&inner(vec![from_ops]));
    scene.does(&set("p", vec![member("web", vec![ssh()])]));
    let joins = |address: &str| {
        let mut its = configuration("ip", Some(subnet("v", "a")), at_address(address));
        its.asgs = asg("ops").asg().into_iter().collect();
        let view = NetworkInterfaceDraft { security_group: None, configurations: vec![its] };
        put(nic("op"), ViewDraft::NetworkInterface(view))
    };
    assert_eq!(breaks(&mut scene, &joins("10.0.0.9")).as_deref(), Some("ops 300"));
}

#[test]
fn where_the_subnets_group_is_home_it_is_held_there() {
    let mut scene = locked(Some(vec![]), None);
    let change = put(vnet("v"), vnet_of(&["10.0.0.0/16"], &[("a", "10.0.0.0/24", None)]));
    assert_eq!(breaks(&mut scene, &change).as_deref(), Some("no group"));
}

#[test]
fn a_lock_that_was_given_back_holds_nobody() {
    let mut scene = held();
    scene.does(&remove("p"));
    scene.does(&inner(vec![allow("x", 200, "203.0.113.9/32")]));
}

#[test]
fn where_the_settings_allow_it_the_log_says_so_and_it_is_shown() {
    let mut scene = held();
    scene.settings.allow_lock_breaks = true;
    assert!(exposed(&scene.state).is_empty());
    let events =
        scene.does(&inner(vec![allow("jump", 300, JUMP), allow("x", 200, "203.0.113.9/32")]));
    let [Event::ResourcePut { .. }, Event::LockBroken { broken }] = &events[..] else {
        panic!("{events:?}");
    };
    assert_eq!((broken.from, &broken.vm), (ip("203.0.113.9"), &vm("web")));
    let exposed = exposed(&scene.state);
    let lock = Lock { address: ip("10.0.0.4"), port: port(22) };
    assert_eq!(exposed[&lock].sources().prefixes(), ["203.0.113.9/32".parse().expect("a prefix")]);
    scene.does(&inner(vec![allow("jump", 300, JUMP)]));
    assert!(hourgate_core::open::exposed(&scene.state).is_empty());
}

#[test]
fn standing_exceptions_pass_the_lock_and_are_told() {
    let scene = held();
    let lock = Lock { address: ip("10.0.0.4"), port: port(22) };
    let flow = |from: &str| {
        let carried = Carried::Ports { transport: Transport::Tcp, source: 50_000, destination: 22 };
        Flow::new(ip(from), ip("10.0.0.4"), carried).expect("a flow")
    };
    let standing = open_now(&scene.state, scene.now).standing;
    let passes = |from: &str| standing[&lock].iter().any(|one| one.passes(&flow(from)));
    assert!(passes("198.51.100.7") && !passes("198.51.100.8"));
    let id = vm("web");
    let told = |from: &str| {
        let reach = reach(&scene.state, &id, &flow(from), scene.now);
        (reach.access, reach.lock.expect("locked").standing)
    };
    assert_eq!(told("198.51.100.7"), (Access::Allow, true));
    assert_eq!(told("198.51.100.8"), (Access::Deny, false));
    let mut taken = held();
    taken.does(&set("p", vec![member("web", vec![without_standing(ssh())])]));
    assert!(open_now(&taken.state, taken.now).standing.is_empty());
}

#[test]
fn nobody_takes_a_number_or_a_name_of_jits() {
    let mut scene = held();
    scene.gets(ask("web", 22).from("203.0.113.7"));
    let against = |scene: &mut Scene, rule: RuleDraft| {
        let refusals = scene.refuses(&inner(vec![allow("jump", 300, JUMP), rule]));
        let faults = refusals.into_iter().map(|refusal| match refusal {
            Refusal::Resource { fault: ResourceFault::Rules { problem }, .. } => problem,
            other => panic!("{other:?}"),
        });
        faults.collect::<Vec<_>>()
    };
    let faults = against(&mut scene, deny("x", 4_096, "192.0.2.0/24"));
    let [GroupFault::PriorityTwice { existing, .. }] = &faults[..] else { panic!("{faults:?}") };
    assert_eq!(existing.as_str(), "JIT_web_22_Deny_0a000004");
    let faults = against(&mut scene, deny("x", 100, "192.0.2.0/24"));
    assert!(matches!(&faults[..], [GroupFault::PriorityTwice { .. }]), "{faults:?}");
    let named = deny("jit_WEB_22_deny_0A000004", 200, "192.0.2.0/24");
    let refusals = scene.refuses(&inner(vec![allow("jump", 300, JUMP), named]));
    let [Refusal::Resource { fault: ResourceFault::JitRule { rule, .. }, .. }] = &refusals[..]
    else {
        panic!("{refusals:?}");
    };
    assert_eq!(rule.as_str(), "JIT_web_22_Deny_0a000004");
    let many = (0..999).map(|n| deny(&format!("r{n}"), 1_000 + n, "192.0.2.0/24"));
    let refusals = scene.refuses(&inner(many.collect()));
    assert!(format!("{refusals:?}").contains("TooManyRules"), "{refusals:?}");
    scene.does(&inner(vec![RuleDraft {
        direction: "Outbound".to_owned(),
        ..deny("o", 4_096, "*")
    }]));
}

#[test]
fn a_later_rule_that_blocks_what_runs_is_told() {
    let here = "203.0.113.0/24";
    let outer = |rules: Vec<RuleDraft>| put(nsg("outer"), nsg_of(rules));
    let mut scene = locked(Some(vec![allow("in", 300, here)]), Some(vec![]));
    let id = scene.gets(ask("web", 22).from("203.0.113.7"));
    let blocked = |scene: &Scene| Effects::of(&scene.state).blocked(scene.access(id)).len();
    assert_eq!(blocked(&scene), 0);
    let events = scene.does(&outer(vec![deny("no", 200, here), allow("in", 300, here)]));
    let [_, Event::AccessBlocked { access, rule, priority, .. }] = &events[..] else {
        panic!("{events:?}");
    };
    assert_eq!((access.request, rule.as_str(), priority.number()), (id, "no", 200));
    assert_eq!(blocked(&scene), 1);
    let again = scene.does(&outer(vec![deny("no", 200, here), allow("on", 300, here)]));
    assert_eq!(again.len(), 1, "once: {again:?}");
    let events = scene.does(&outer(vec![allow("in", 300, here)]));
    assert!(matches!(&events[..], [_, Event::AccessUnblocked { .. }]), "{events:?}");
    assert_eq!(blocked(&scene), 0);
}

#[test]
fn what_a_vm_does_not_need_is_near_no_change() {
    for seed in 0..60 {
        let (mut random, mut scene) = (Random(seed), scene());
        for step in 0..120 {
            let command = crate::concern::command(&mut random);
            let (id, draft) = match &command {
                Command::PutResource { draft, .. } => (draft.id.clone(), Some(&**draft)),
                Command::DeleteResource { id, .. } => (id.clone(), None),
                other => panic!("{other:?}"),
            };
            let before = scene.state.network.clone();
            let near = before.near(&id, draft);
            if scene.hears(&command).is_err() {
                continue;
            }
            let after = &scene.state.network;
            let concerned = hourgate_core::resource::Network::concerned(&before, after, &id);
            // Of an address of which nothing was known no lock has a place.
            let known = concerned.into_iter().filter(|address| before.owner(*address).is_some());
            let missed: Vec<_> = known.filter(|address| !near.contains(address)).collect();
            assert!(missed.is_empty(), "seed {seed}, step {step}, {command:?}: {missed:?}");
        }
    }
}

/// A rule from what matters for a lock.
fn any_rule(random: &mut Random, name: &str) -> RuleDraft {
    let from = ["*", "VirtualNetwork", "Internet", "203.0.113.0/24", "203.0.113.7/32", JUMP];
    let protocols = ["Tcp", "Udp", "*", "Tcp"];
    RuleDraft {
        access: random.of(&["Allow", "Allow", "Deny"]).to_owned(),
        protocol: random.of(&protocols).to_owned(),
        destination_ports: vec![random.of(&["22", "20-25", "80", "*", "22"]).to_owned()],
        destinations: vec![random.of(&["*", "10.0.0.4", "10.0.0.5", "VirtualNetwork"]).to_owned()],
        source_ports: vec![random.of(&["*", "*", "1024-65535"]).to_owned()],
        ..security_rule(name, 150 + 10 * random.below(20) as i64, random.of(&from))
    }
}

fn any_rules(random: &mut Random) -> Vec<RuleDraft> {
    let mut rules: Vec<RuleDraft> = Vec::new();
    for n in 0..random.below(5) {
        let rule = any_rule(random, &format!("r{n}"));
        if rules.iter().all(|other| other.priority != rule.priority) {
            rules.push(rule);
        }
    }
    rules
}

/// The groups as the oracle reads them, with the deny written into its own.
fn with_deny(subnet: &Option<Vec<RuleDraft>>, nic: &Option<Vec<RuleDraft>>, at: i64) -> Groups {
    let mut groups = Groups { subnet: subnet.clone(), nic: nic.clone() };
    let home = if groups.nic.is_some() { &mut groups.nic } else { &mut groups.subnet };
    let deny = RuleDraft {
        protocol: "*".to_owned(),
        destinations: vec!["10.0.0.4".to_owned()],
        ..deny("JIT_deny", at, "*")
    };
    home.iter_mut().for_each(|rules| rules.push(deny.clone()));
    groups
}

#[test]
fn random_edits_never_break_a_lock() {
    let world =
        World { network: vec!["10.0.0.0/16".to_owned()], balancers: Vec::new(), asgs: Vec::new() };
    let (mut refused, mut made) = (0, 0);
    for seed in 0..120 {
        let mut random = Random(seed);
        let mut subnet = (random.below(3) == 0).then(|| any_rules(&mut random));
        let mut own = (subnet.is_none() || random.below(3) > 0).then(|| any_rules(&mut random));
        let mut scene = before_locks(subnet.clone(), own.clone());
        if scene.hears(&set("p", vec![member("web", vec![ssh()])])).is_err() {
            continue;
        }
        scene.settings.band = crate::jit_rules::band(101, 140);
        let at = i64::from(denies(&scene)[0].3);
        let first = with_deny(&subnet, &own, at);
        for step in 0..14 {
            if random.below(3) == 0 {
                let source = random.of(&["203.0.113.7", "203.0.113.0/24"]);
                let _ = scene.hears(&{
                    let mut ask = ask("web", 22).by(&format!("p{step}")).from(source);
                    ask.0.id = hourgate_core::id::RequestId::mint(1_000 + step);
                    Command::Request(ask.0)
                });
            }
            let of_subnet = subnet.is_some() && (own.is_none() || random.below(2) == 0);
            let changed = any_rules(&mut random);
            let (was, (mut then_subnet, mut then_own)) =
                (with_deny(&subnet, &own, at), (subnet.clone(), own.clone()));
            let (group, layer) =
                if of_subnet { ("outer", &mut then_subnet) } else { ("inner", &mut then_own) };
            *layer = Some(changed.clone());
            let is = with_deny(&then_subnet, &then_own, at);
            let opens = |from: &Groups, to: &Groups| {
                let rules: Vec<&RuleDraft> = from.rules().chain(to.rules()).collect();
                let flows = naive::flows_to((ip("10.0.0.4"), 22), &rules, &[&world], &[]);
                flows.into_iter().find(|f| to.pass(&world, f) && !from.pass(&world, f))
            };
            let answer = scene.hears(&put(nsg(group), nsg_of(changed.clone())));
            let new = opens(&was, &is);
            match answer {
                Ok(_) => {
                    assert_eq!(new, None, "seed {seed}, step {step}: {changed:?}");
                    assert_eq!(opens(&first, &is), None, "seed {seed}, step {step}");
                    (subnet, own) = (then_subnet, then_own);
                    made += 1;
                }
                Err(refusals) => {
                    let broke = matches!(refusals[..], [Refusal::LockWouldBreak { .. }]);
                    let number = format!("{refusals:?}").contains("PriorityTwice");
                    assert!(broke || number, "{refusals:?}");
                    assert!(!broke || new.is_some(), "seed {seed}, step {step}: {changed:?}");
                    refused += usize::from(broke);
                }
            }
        }
    }
    assert!(made > 300 && refused > 100, "{made} made, {refused} refused: too tame");
}

#[test]
fn placed_in_both_groups_a_rule_of_the_subnets_does_not_block_it_later() {
    let mut scene = before_locks(Some(vec![]), Some(vec![]));
    let mut placed = member("web", vec![ssh()]);
    placed.placement = Sent::Value(Placement::NicAndSubnet);
    scene.does(&set("p", vec![placed]));
    scene.gets(ask("web", 22).from("203.0.113.7"));
    let events = scene.does(&put(nsg("outer"), nsg_of(vec![deny("no", 200, "*")])));
    assert_eq!(events.len(), 1, "{events:?}");
    assert_eq!(scene.open().len(), 1);
}
