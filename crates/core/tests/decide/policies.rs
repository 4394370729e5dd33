//! Policies: what can be one, what a PUT keeps, and confirming in time (P1, P2, P25).

use hourgate_core::{
    command::{Command, MemberDraft, PortDraft, Precondition, Sent},
    network::{Family, Sessions},
    policy::{Member, OtherAddresses, PORTS_PER_VM_MAX, SOURCES_PER_RULE_MAX, Widest},
    refusal::{Refusal, TextProperty},
};

use crate::scene::*;

fn confirm() -> Command {
    Command::ConfirmPolicy { id: policy("p") }
}

#[test]
fn what_can_be_no_policy() {
    let longest = |longest| {
        let (least, most) = (hours(1), hours(24));
        vec![Refusal::LongestOutOfBounds { at: at("web", 22), longest, least, most }]
    };
    let of_web = |ports| vec![member("web", ports)];
    let too_wide = |ipv4, ipv6, length, family| {
        let refusal = Refusal::WidestOutOfBounds { at: at("web", 22), length, family };
        (of_web(vec![widest(ipv4, ipv6, rule(22))]), vec![refusal])
    };
    let elsewhere = MemberDraft {
        vm: vm("web").to_string().replace("/g/", "/other/").parse().expect("an id"),
        ..member("web", vec![rule(22)])
    };
    let ports =
        |count: usize| (1..=count).map(|n| rule(u16::try_from(n).expect("small"))).collect();
    let sources: Vec<String> = (0..=SOURCES_PER_RULE_MAX).map(|n| format!("10.9.0.{n}")).collect();
    let sources: Vec<&str> = sources.iter().map(String::as_str).collect();
    let rows: Vec<(Vec<MemberDraft>, Vec<Refusal>)> = vec![
        (vec![], vec![Refusal::NoVms]),
        (vec![member("no", vec![rule(22)])], vec![Refusal::VmNotFound { vm: vm("no") }]),
        (
            vec![member("web", vec![rule(22)]), member("WEB", vec![rule(443)])],
            vec![Refusal::VmTwice { vm: vm("web") }],
        ),
        (
            vec![elsewhere.clone()],
            vec![Refusal::VmOfAnotherGroup { vm: elsewhere.vm.clone(), policy: policy("p") }],
        ),
        (of_web(vec![]), vec![Refusal::NoPorts { vm: vm("web") }]),
        (
            of_web(ports(PORTS_PER_VM_MAX + 1)),
            vec![Refusal::TooManyPorts { vm: vm("web"), most: PORTS_PER_VM_MAX }],
        ),
        (
            of_web(vec![rule(22), rule_from(22, &["10.0.0.0/8"])]),
            vec![Refusal::PortTwice { at: at("web", 22) }],
        ),
        (
            of_web(vec![rule_from(22, &sources)]),
            vec![Refusal::TooManySources { at: at("web", 22), most: SOURCES_PER_RULE_MAX }],
        ),
        (
            of_web(vec![for_at_most(hours(1) - seconds(1), rule(22))]),
            longest(hours(1) - seconds(1)),
        ),
        (
            of_web(vec![for_at_most(hours(24) + seconds(1), rule(22))]),
            longest(hours(24) + seconds(1)),
        ),
        too_wide(33, 48, 33, Family::V4),
        too_wide(24, 129, 129, Family::V6),
    ];
    for (vms, refusals) in rows {
        let mut scene = scene().vm("web", &["10.0.0.4"]);
        assert_eq!(scene.refuses(&set("p", vms)), refusals);
    }
}

#[test]
fn bounds_that_hold() {
    for longest in [hours(1), hours(24)] {
        web(for_at_most(longest, rule(22)));
    }
    let mut shorter = scene().vm("web", &["10.0.0.4"]);
    shorter.settings.shortest_policy = minutes(5);
    shorter.does(&set("p", vec![member("web", vec![for_at_most(minutes(5), rule(22))])]));
    let mut wordy = scene().vm("web", &["10.0.0.4"]);
    let mut draft = draft("p", vec![member("web", vec![rule(22)])]);
    draft.kind = Some("k".repeat(65));
    let command = Command::SetPolicy { draft, only_if: Precondition::None, confirm_within: None };
    let refusals = [Refusal::TextTooLong { property: TextProperty::Kind, most: 64 }];
    assert_eq!(wordy.refuses(&command), refusals);
}

#[test]
fn too_many_vms() {
    let vms = (0..=5_000).map(|n| member(&format!("v{n}"), vec![rule(22)])).collect();
    let refusals = scene().refuses(&set("p", vms));
    assert_eq!(refusals, [Refusal::TooManyVms { most: 5_000 }], "nothing is said of each of them");
    let twice = vec![rule(22); PORTS_PER_VM_MAX + 1];
    let refusals = web(rule(22)).refuses(&set("p", vec![member("web", twice)]));
    assert_eq!(refusals, [Refusal::TooManyPorts { vm: vm("web"), most: PORTS_PER_VM_MAX }]);
}

#[test]
fn enabling_locks_every_address_and_disabling_gives_back() {
    let mut scene = web(rule(22));
    assert_eq!(scene.locks(), ["10.0.0.4 22", "fd00::4 22"]);
    scene.does(&set("p", vec![member("web", vec![rule(443)])]));
    assert_eq!(scene.locks(), ["10.0.0.4 443", "fd00::4 443"]);
    assert_eq!(scene.state.released.len(), 2, "22 is given back explicitly, on both addresses");
    scene.does(&remove("p"));
    assert!(scene.locks().is_empty());
    assert_eq!(scene.state.released.len(), 4);
    scene.does(&set("p", vec![member("web", vec![rule(22)])]));
    assert_eq!(scene.state.released.len(), 2, "what is locked anew is no longer given back");
    assert_eq!(scene.refuses(&remove("q")), [Refusal::PolicyNotFound { policy: policy("q") }]);
}

#[test]
fn a_port_of_a_vm_is_in_one_policy() {
    let mut scene = web(rule(22));
    assert_eq!(
        scene.refuses(&set("q", vec![member("web", vec![rule(443), rule(22)])])),
        [Refusal::PortInOtherPolicy { at: at("web", 22), policy: policy("p") }]
    );
    scene.does(&set("q", vec![member("web", vec![rule(443)])]));
    scene.does(&remove("p"));
    assert_eq!(scene.locks(), ["10.0.0.4 443", "fd00::4 443"], "the other's lock stays");
}

fn stored(scene: &Scene) -> &Member {
    &scene.state.policies[&policy("p")].members[&vm("web")]
}

#[test]
fn a_put_without_our_properties_keeps_them() {
    let ours = PortDraft {
        end_sessions: Sent::Value(true),
        widest_unapproved: Sent::Value(Widest { ipv4: 16, ipv6: 40 }),
        other_addresses: Sent::Value(OtherAddresses::Allowed),
        ..no_approval(rule(22))
    };
    let mut scene = web(ours);
    let azures = for_at_most(hours(2), rule(22));
    scene.does(&set("p", vec![member("web", vec![azures.clone()])]));
    let kept = stored(&scene).rule(port(22)).expect("there").clone();
    assert_eq!(kept.longest, hours(2), "what was sent is set");
    assert_eq!(kept.sessions, Sessions::EndWithAccess);
    assert_eq!(kept.widest_unapproved, Widest { ipv4: 16, ipv6: 40 });
    assert_eq!(kept.other_addresses, OtherAddresses::Allowed);
    let cleared = PortDraft {
        end_sessions: Sent::Cleared,
        widest_unapproved: Sent::Cleared,
        other_addresses: Sent::Cleared,
        ..azures
    };
    scene.does(&set("p", vec![member("web", vec![cleared])]));
    let rule = stored(&scene).rule(port(22)).expect("there");
    assert_eq!(rule.sessions, Sessions::GoOn);
    assert_eq!(rule.widest_unapproved, Widest::default());
    assert_eq!(rule.other_addresses, OtherAddresses::Approval);
}

#[test]
fn if_match() {
    let vms = || vec![member("web", vec![for_at_most(hours(2), rule(22))])];
    let rows = [
        ("p", Precondition::Version(1), None),
        ("p", Precondition::Version(2), Some(Some(1))),
        ("p", Precondition::Exists, None),
        ("p", Precondition::Absent, Some(Some(1))),
        ("q", Precondition::Exists, Some(None)),
        ("q", Precondition::Version(1), Some(None)),
    ];
    for (name, only_if, refused) in rows {
        let put = set_if(name, vms(), only_if);
        let delete = Command::RemovePolicy { id: policy(name), only_if };
        for command in [put, delete] {
            let mut scene = web(rule(22));
            match refused {
                None => {
                    assert!(!scene.does(&command).is_empty());
                }
                Some(version) => assert_eq!(
                    scene.refuses(&command),
                    [Refusal::PreconditionFailed { version }],
                    "{name} {only_if:?}"
                ),
            }
        }
    }
    let mut scene = web(rule(22));
    let same = set("p", vec![member("web", vec![rule(22)])]);
    assert!(scene.does(&same).is_empty(), "the same again is no new version");
    scene.does(&set("p", vms()));
    assert_eq!(scene.state.policies[&policy("p")].version, 2);
}

fn on_the_server() -> Scene {
    let mut scene = scene().vm("web", &["10.0.0.4"]);
    scene.settings.server_addresses = vec![ip("10.0.0.4")];
    scene
}

#[test]
fn a_lock_on_the_servers_machine_needs_a_confirmation() {
    let vms = || vec![member("web", vec![rule(22)])];
    let mut scene = on_the_server();
    let needed = [Refusal::ConfirmationNeeded { at: at("web", 22) }];
    assert_eq!(scene.refuses(&set("p", vms())), needed);
    let bounds = Refusal::ConfirmWithinOutOfBounds { least: seconds(1), most: hours(1) };
    for within in [minutes(0), hours(1) + seconds(1)] {
        let refusals = scene.refuses(&set_unless_confirmed("p", vms(), within));
        assert_eq!(refusals, std::slice::from_ref(&bounds));
    }
    scene.does(&set_unless_confirmed("p", vms(), minutes(5)));
    assert_eq!(scene.locks(), ["10.0.0.4 22"], "it locks at once");
    let until = noon_and(minutes(5));
    assert_eq!(
        scene.refuses(&set("p", vms())),
        [Refusal::ConfirmationPending { until }],
        "while it waits it stays"
    );
    scene.waits(minutes(4));
    scene.does(&confirm());
    scene.waits(hours(1));
    assert!(scene.ticks().is_empty());
    assert_eq!(scene.locks(), ["10.0.0.4 22"]);
    assert_eq!(scene.refuses(&confirm()), [Refusal::NothingToConfirm { policy: policy("p") }]);
    scene.does(&set("p", vec![member("web", vec![for_at_most(hours(2), rule(22))])]));
    scene.does(&remove("p"));
    assert_eq!(scene.refuses(&confirm()), [Refusal::PolicyNotFound { policy: policy("p") }]);
}

#[test]
fn what_nobody_confirms_goes_back() {
    let mut fresh = on_the_server();
    fresh.does(&set_unless_confirmed("p", vec![member("web", vec![rule(22)])], minutes(5)));
    let id = fresh.gets(ask("web", 22));
    fresh.waits(minutes(5));
    fresh.ticks();
    assert!(fresh.locks().is_empty() && fresh.state.policies.is_empty(), "it was new");
    assert_eq!(fresh.state.released.len(), 1, "the port is given back");
    assert_eq!(fresh.stage(id), "withdrawn");

    let mut changed = web(rule(22));
    changed.does(&set_unless_confirmed("p", vec![member("web", vec![rule(443)])], minutes(5)));
    changed.waits(minutes(5));
    changed.ticks();
    assert_eq!(changed.locks(), ["10.0.0.4 22", "fd00::4 22"], "as it was before");
    assert_eq!(changed.state.policies[&policy("p")].version, 3, "which is a change too");
}

#[test]
fn too_late_to_confirm() {
    let mut scene = on_the_server();
    scene.does(&set_unless_confirmed("p", vec![member("web", vec![rule(22)])], minutes(5)));
    scene.waits(minutes(5));
    assert_eq!(scene.refuses(&confirm()), [Refusal::PolicyNotFound { policy: policy("p") }]);
}

#[test]
fn nobody_gets_access_under_what_nobody_confirmed() {
    let mut scene = web(rule(22));
    scene.does(&set_unless_confirmed("p", vec![member("web", vec![rule(443)])], minutes(5)));
    scene.waits(minutes(5));
    assert_eq!(
        scene.denies(ask("web", 443)),
        [Refusal::PortNotInPolicy { at: at("web", 443), ports: vec![port(22)] }],
        "nobody has looked yet, and yet it is over"
    );
}

#[test]
fn who_loads_a_policy_in_part_does_not_roll_it_back() {
    let both = || vec![member("web", vec![rule(22)]), member("db", vec![rule(22)])];
    let mut scene = scene().vm("web", &["10.0.0.4"]).vm("db", &["10.0.0.5"]);
    scene.does(&set_unless_confirmed("p", both(), minutes(5)));
    let ann = scene.gets(ask("db", 22));
    scene.waits(minutes(5));
    // As a store does: the VM that is registered, and nothing of the policy's other VMs.
    let mut part = scene.clone();
    part.state.vms.remove(&vm("db"));
    part.state.requests.clear();
    assert!(part.does(&register("new", 9, &["10.0.0.6"])).len() == 4, "only what it can see");
    scene.ticks();
    assert_eq!(scene.stage(ann), "withdrawn");
    assert_eq!(scene.state.released.len(), 2, "every VM's port is given back");
}

#[test]
fn a_roll_back_takes_no_port_from_another_policy_and_revives_no_vm() {
    let mut scene = scene()
        .vm("web", &["10.0.0.4"])
        .vm("db", &["10.0.0.5"])
        .policy("p", vec![member("web", vec![rule(22), rule(443)]), member("db", vec![rule(22)])]);
    scene.does(&set_unless_confirmed("p", vec![member("web", vec![rule(443)])], minutes(5)));
    scene.does(&set("q", vec![member("web", vec![rule(22)])]));
    scene.does(&Command::UnregisterVm { id: vm("db") });
    scene.waits(minutes(5));
    scene.ticks();
    let members = &scene.state.policies[&policy("p")].members;
    assert_eq!(members.len(), 1);
    assert!(members[&vm("web")].rule(port(22)).is_none(), "q holds it now");
    assert!(members[&vm("web")].rule(port(443)).is_some());
}
