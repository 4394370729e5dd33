//! P6: rules of JIT's that are sent back with a group stay JIT's: they are neither wiped nor become anybody's.

use hourgate_core::{
    command::{Command, Precondition},
    event::Event,
    id::{Name, RequestId},
    jit_rules::{self, JitRuleOf},
    nsg::{fault::GroupFault, jit_name::JitName, rule::RuleDraft},
    refusal::Refusal,
    resource::{ResourceFault, ResourceId},
};

use crate::{effect::*, locks::*, network::*, scene::*};

/// `web` behind `inner`, SSH locked, and an access.
fn granted() -> (Scene, RequestId) {
    let mut scene = locked(None, Some(vec![theirs()]));
    let id = scene.gets(ask("web", 22).from("203.0.113.7").lasting(hours(1)));
    (scene, id)
}

fn theirs() -> RuleDraft {
    deny("theirs", 500, "192.0.2.0/24")
}

/// JIT's rules of `inner` as they are read: the grant's and the lock's.
fn read(scene: &Scene) -> Vec<RuleDraft> {
    let group = nsg("inner").security_group().expect("a group");
    jit_rules::of_group(&scene.state, &group).into_iter().map(|jit| jit.rule.draft()).collect()
}

fn inner(rules: Vec<RuleDraft>) -> Command {
    put(nsg("inner"), nsg_of(rules))
}

fn version(scene: &Scene, id: &ResourceId) -> u64 {
    scene.state.network.get(id).expect("there").version
}

fn faults(scene: &mut Scene, command: &Command) -> Vec<ResourceFault> {
    let refusals = scene.refuses(command).into_iter().map(|refusal| match refusal {
        Refusal::Resource { fault, .. } => fault,
        other => panic!("{other:?}"),
    });
    refusals.collect()
}

#[test]
fn a_group_that_is_set_keeps_what_jit_has_in_it() {
    let (mut scene, id) = granted();
    let rules = read(&scene);
    let [grant, lock] = &rules[..] else { panic!("{rules:?}") };
    let described = |rule: &RuleDraft| RuleDraft {
        description: Some("read on Monday".to_owned()),
        ..rule.clone()
    };
    let shouted = |rule: &RuleDraft| RuleDraft {
        name: rule.name.to_ascii_uppercase(),
        access: rule.access.to_ascii_lowercase(),
        direction: rule.direction.to_ascii_uppercase(),
        ..rule.clone()
    };
    let rows = [
        ("left out", vec![theirs()]),
        ("as they were read", vec![theirs(), grant.clone(), lock.clone()]),
        ("one of them, first", vec![lock.clone(), theirs()]),
        ("described otherwise", vec![theirs(), described(grant), described(lock)]),
        ("in other letters", vec![theirs(), shouted(grant), shouted(lock)]),
        (
            "written otherwise",
            vec![
                theirs(),
                RuleDraft { sources: vec!["203.0.113.7/32".to_owned()], ..grant.clone() },
            ],
        ),
    ];
    let before = version(&scene, &nsg("inner"));
    for (why, sent) in rows {
        assert_eq!(scene.does(&inner(sent)), [], "{why}");
        assert_eq!(read(&scene), rules, "{why}");
        assert_eq!(version(&scene, &nsg("inner")), before, "{why}");
        assert_eq!(scene.open(), ["203.0.113.7/32 > 10.0.0.4 22"], "{why}");
        assert_eq!(scene.stage(id), "granted", "{why}");
    }
    let other = vec![deny("other", 600, "192.0.2.0/24"), grant.clone(), lock.clone()];
    let events = scene.does(&inner(other));
    let [Event::ResourcePut { resource, .. }] = &events[..] else { panic!("{events:?}") };
    let own: Vec<&str> = resource
        .security_group()
        .expect("a group")
        .rules()
        .iter()
        .map(|rule| rule.name().as_str())
        .collect();
    assert_eq!(own, ["other"], "an echo is nobody's rule");
    assert_eq!(read(&scene), rules);
}

#[test]
fn one_that_differs_is_refused_with_what_it_belongs_to() {
    let (mut scene, id) = granted();
    let rules = read(&scene);
    let [grant, lock] = &rules[..] else { panic!("{rules:?}") };
    let of_grant = JitRuleOf::Grant { request: id, vm: vm("web"), port: port(22) };
    let of_lock = JitRuleOf::Lock { policy: policy("p"), vm: vm("web"), port: port(22) };
    let rows = [
        ("wider", RuleDraft { sources: vec!["*".to_owned()], ..grant.clone() }, &of_grant),
        ("another number", RuleDraft { priority: 101, ..grant.clone() }, &of_grant),
        ("a deny", RuleDraft { access: "Deny".to_owned(), ..grant.clone() }, &of_grant),
        ("no rule at all", RuleDraft { protocol: "Tpc".to_owned(), ..grant.clone() }, &of_grant),
        ("an allow", RuleDraft { access: "Allow".to_owned(), ..lock.clone() }, &of_lock),
        (
            "another port",
            RuleDraft { destination_ports: vec!["23".to_owned()], ..lock.clone() },
            &of_lock,
        ),
    ];
    for (why, sent, whose) in rows {
        let name = sent.name.parse().expect("a name");
        let expected = ResourceFault::JitRule { rule: name, of: whose.clone() };
        assert_eq!(faults(&mut scene, &inner(vec![theirs(), sent])), [expected], "{why}");
        assert_eq!(read(&scene), rules, "{why}");
    }
}

#[test]
fn one_that_is_over_is_dropped_and_nobodys() {
    let (mut scene, id) = granted();
    let rules = read(&scene);
    scene.does(&end(id));
    assert_eq!(scene.does(&inner([vec![theirs()], rules.clone()].concat())), []);
    let grant = rules.first().expect("the grant's").clone();
    let wider = RuleDraft { sources: vec!["*".to_owned()], ..grant.clone() };
    let reserved = ResourceFault::JitName { rule: grant.name.clone() };
    assert_eq!(faults(&mut scene, &inner(vec![theirs(), wider])), [reserved], "and not as it was");
    scene.does(&remove("p"));
    assert_eq!(scene.does(&inner([vec![theirs()], rules].concat())), [], "the lock's too");
    assert!(read(&scene).is_empty());
    assert!(scene.open().is_empty());
}

#[test]
fn one_whose_time_is_over_is_over() {
    let (mut scene, id) = granted();
    let rules = read(&scene);
    scene.waits(hours(1));
    // Nobody has noticed yet.
    assert_eq!(scene.stage(id), "granted");
    let group = nsg("inner").security_group().expect("a group");
    assert_eq!(jit_rules::shown(&scene.state, &group, scene.now).len(), 1, "the lock's alone");
    let events = scene.does(&inner([vec![theirs()], rules].concat()));
    assert!(matches!(&events[..], [Event::Ended { .. }]), "{events:?}");
}

#[test]
fn a_name_of_that_form_is_nobody_elses() {
    let mut scene = locked(None, Some(vec![theirs()]));
    for name in [
        "JIT_web_22_20261123T120000Z_abc123",
        "jit_WEB_22_20261123t120000z_ABC123_V6",
        "JIT_db_22_Deny_0a000009",
        "JIT_web_22_Deny_fd000000000000000000000000000009",
    ] {
        let sent = deny(name, 300, "192.0.2.0/24");
        let expected = ResourceFault::JitName { rule: name.to_owned() };
        assert_eq!(faults(&mut scene, &inner(vec![theirs(), sent])), [expected], "{name}");
    }
    for name in [
        "JIT",
        "JIT_",
        "JIT_web",
        "JIT_web_22",
        "JIT_web_22_Deny",
        "JIT_web_22_Deny_0a0000",
        "JIT_web_22_Allow_0a000004",
        "JIT_web_0_Deny_0a000004",
        "JIT_web_22_20261123_abc123",
        "JIT_web_22_20261123T120000Z_abc12",
        "XJIT_web_22_20261123T120000Z_abc123",
        "MicrosoftDefenderForCloud-JITRule_1_22",
    ] {
        assert_eq!(JitName::of(name), None, "{name}");
        scene.does(&inner(vec![theirs(), deny(name, 300, "192.0.2.0/24")]));
    }
}

#[test]
fn names_are_read_back_as_they_are_made() {
    let long = "m".repeat(90);
    for name in ["web", "web_1_22", "a.b-c", long.as_str()] {
        let mut scene = scene();
        stand(&mut scene, None, Some(vec![]));
        let mut scene = scene.vm(name, &["10.0.0.4", "fd00::4"]);
        scene.does(&set("p", vec![member(name, vec![rule(22)])]));
        let id = scene.gets(ask(name, 22));
        let rules = read(&scene);
        let names: Vec<JitName> =
            rules.iter().map(|rule| JitName::of(&rule.name).expect("of the form")).collect();
        assert!(names.contains(&JitName::Grant { request: id }), "{rules:?}");
        assert!(names.iter().any(|name| matches!(name, JitName::Deny { .. })), "{rules:?}");
    }
}

#[test]
fn a_rule_of_jits_is_not_taken_away_by_itself() {
    let (mut scene, id) = granted();
    let delete = |name: &str| Command::DeleteJitRule {
        group: nsg("inner"),
        name: name.parse::<Name>().expect("a name"),
    };
    let grant = read(&scene).first().expect("the grant's").name.clone();
    for name in [grant.clone(), grant.to_ascii_lowercase()] {
        let of = JitRuleOf::Grant { request: id, vm: vm("web"), port: port(22) };
        let rule = grant.parse().expect("a name");
        let expected = ResourceFault::JitRule { rule, of };
        assert_eq!(faults(&mut scene, &delete(&name)), [expected]);
    }
    scene.does(&end(id));
    assert_eq!(scene.does(&delete(&grant)), [], "it has gone");
}

#[test]
fn a_rule_of_others_does_not_take_its_number_and_all_count() {
    let (mut scene, _) = granted();
    let rules = read(&scene);
    let same_number = deny("mine", 100, "192.0.2.0/24");
    let found = faults(&mut scene, &inner([vec![same_number], rules.clone()].concat()));
    let [ResourceFault::Rules { problem: GroupFault::PriorityTwice { existing, new, .. } }] =
        &found[..]
    else {
        panic!("{found:?}");
    };
    assert_eq!((existing.as_str(), new.as_str()), (rules[0].name.as_str(), "mine"));
    let many = |count: i64| (0..count).map(|n| deny(&format!("r{n}"), 1_000 + n, "192.0.2.0/24"));
    let found = faults(&mut scene, &inner(many(999).chain(rules.clone()).collect()));
    assert!(
        matches!(&found[..], [ResourceFault::Rules { problem: GroupFault::TooManyRules { .. } }]),
        "{found:?}"
    );
    scene.does(&inner(many(998).chain(rules).collect()));
}

#[test]
fn a_rule_of_others_that_had_such_a_name_before_stays_theirs() {
    // Of a time when the form was nobody's: it stands, so it may be sent back.
    let name = "JIT_web_22_Deny_0a000009";
    let mut scene = locked(None, Some(vec![theirs()]));
    let group = put_if(nsg("inner"), nsg_of(vec![theirs()]), Precondition::None);
    let Command::PutResource { draft, .. } = &group else { panic!() };
    let mut resource = (**scene.state.network.get(&draft.id).expect("there")).clone();
    let rules = [deny(name, 300, "192.0.2.0/24")];
    let rules =
        rules.iter().map(|rule| hourgate_core::nsg::rule::SecurityRule::new(rule).expect("a rule"));
    let id = nsg("inner").security_group().expect("a group");
    let made = hourgate_core::nsg::group::SecurityGroup::new(id, rules.collect());
    resource.view = hourgate_core::resource::View::SecurityGroup(made.expect("a group"));
    resource.version += 1;
    scene.state.evolve(&Event::ResourcePut { resource: Box::new(resource), before: Some(1) });
    scene.does(&inner(vec![deny(name, 310, "192.0.2.0/24"), theirs()]));
    let stored = scene.state.network.get(&nsg("inner")).expect("there");
    assert_eq!(stored.security_group().expect("a group").rules().len(), 2);
}
