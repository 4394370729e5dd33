//! P2, the lock is an invariant for each machine by itself: what was worked out for one is not taken for another
//! that meets other rules, and whoever decides looks at everybody whom a change may concern.

use std::net::IpAddr;

use hourgate_core::{
    command::Command,
    event::LockBreak,
    nsg::rule::RuleDraft,
    refusal::Refusal,
    resource::{
        Network, ResourceId, Tags, ViewDraft,
        network_interface::{IpConfigurationDraft, NetworkInterfaceDraft},
        virtual_network::VirtualNetworkDraft,
    },
};

use crate::{effect::*, locks::*, network::*, scene::*};

const JUMP: &str = "198.51.100.7/32";

/// What a change would break.
fn broken(scene: &mut Scene, change: &Command) -> Vec<LockBreak> {
    let broken = scene.refuses(change).into_iter().map(|refusal| match refusal {
        Refusal::LockWouldBreak { broken } => broken,
        other => panic!("{other:?}"),
    });
    broken.collect()
}

fn of(broken: &[LockBreak]) -> Vec<(String, String)> {
    let told = broken.iter().map(|one| (one.lock.address.to_string(), one.from.to_string()));
    told.collect()
}

fn to(address: &str, rule: RuleDraft) -> RuleDraft {
    RuleDraft { destinations: vec![address.to_owned()], ..rule }
}

#[test]
fn a_rule_for_one_machine_of_a_group_breaks_that_ones_lock() {
    let mut scene = locked(None, Some(vec![]));
    behind(&mut scene, "db", "10.0.0.5", "inner");
    scene.does(&set("q", vec![member("db", vec![ssh()])]));
    for (name, address) in [("web", "10.0.0.4"), ("db", "10.0.0.5")] {
        let rules = vec![to(address, allow("x", 200, JUMP))];
        let found = broken(&mut scene, &put(nsg("inner"), nsg_of(rules)));
        let [one] = &found[..] else { panic!("{found:?}") };
        assert_eq!((&one.vm, one.lock.address), (&vm(name), ip(address)));
    }
}

#[test]
fn a_machine_behind_its_subnets_group_alone_is_not_taken_for_one_with_a_group_of_its_own() {
    // `db` comes first and is closed by its own group; `web` has none.
    let mut scene = before_locks(Some(vec![]), None);
    scene.does(&put(nsg("own"), nsg_of(vec![])));
    behind(&mut scene, "db", "10.0.0.5", "own");
    scene.does(&put(nsg("other"), nsg_of(vec![])));
    scene.does(&set("p", vec![member("db", vec![ssh()]), member("web", vec![ssh()])]));
    let other = vnet_of(&["10.0.0.0/16"], &[("a", "10.0.0.0/24", Some("other"))]);
    let found = broken(&mut scene, &put(vnet("v"), other));
    let [one] = &found[..] else { panic!("{found:?}") };
    assert_eq!(one.vm, vm("web"), "the deny lies in the group that is gone");
}

/// A network that is joined to others.
fn joined(space: &str, group: &str, peers: &[&str]) -> ViewDraft {
    let subnet = format!("{}/24", space.split('/').next().unwrap_or_default());
    let peers = Some(peers.iter().map(|peer| vnet(peer)).collect());
    let of = network(&[space], &[("a", &subnet, Some(group))]);
    ViewDraft::VirtualNetwork(VirtualNetworkDraft { peers, ..of })
}

#[test]
fn names_stand_for_what_is_around_each_machine() {
    let mut scene = scene();
    scene.does(&put(nsg("g"), nsg_of(vec![])));
    scene.does(&put(vnet("v"), joined("10.0.0.0/16", "g", &[])));
    scene.does(&put(vnet("w"), joined("10.1.0.0/16", "g", &["v"])));
    for (name, network, address) in [("db", "w", "10.1.0.4"), ("web", "v", "10.0.0.4")] {
        scene = scene.vm(name, &[address]);
        let at = configuration("ip", Some(subnet(network, "a")), at_address(address));
        scene.does(&put(nic(&format!("{name}-nic")), nic_of(vec![at])));
    }
    scene.does(&set("p", vec![member("web", vec![ssh()]), member("db", vec![ssh()])]));
    // Let in knowingly, so that the name counts before the denies.
    scene.settings.allow_lock_breaks = true;
    scene.does(&put(nsg("g"), nsg_of(vec![allow("near", 200, "VirtualNetwork")])));
    scene.settings.allow_lock_breaks = false;
    let found = broken(&mut scene, &put(vnet("v"), joined("10.0.0.0/16", "g", &["w"])));
    let expected = [("10.1.0.4", "10.0.0.0"), ("10.0.0.4", "10.1.0.0")];
    let expected = expected.map(|(at, from)| (at.to_owned(), from.to_owned()));
    let mut found = of(&found);
    found.sort();
    assert_eq!(found, { expected.iter().rev().cloned().collect::<Vec<_>>() });
}

#[test]
fn the_rule_that_changed_is_told_and_not_one_that_let_the_flow_through_before() {
    // The interface's group lets it through as a standing exception; the subnet's did not.
    let mut scene = locked(Some(vec![]), Some(vec![allow("jump", 300, JUMP)]));
    let found = broken(&mut scene, &put(nsg("outer"), nsg_of(vec![allow("x", 200, JUMP)])));
    let [one] = &found[..] else { panic!("{found:?}") };
    let by = one.by.as_ref().expect("a rule");
    assert_eq!((by.group.name().as_str(), by.rule.as_str()), ("outer", "x"));
}

/// An interface in the subnet `a` that is in application security groups.
fn in_groups(address: &str, asgs: &[&str]) -> ViewDraft {
    let its = IpConfigurationDraft {
        asgs: asgs.iter().filter_map(|name| asg(name).asg()).collect(),
        ..configuration("ip", Some(subnet("v", "a")), at_address(address))
    };
    let (security_group, configurations) = (None, vec![its]);
    ViewDraft::NetworkInterface(NetworkInterfaceDraft { security_group, configurations })
}

/// Whoever leaves a group that a deny names is let in: so the machines behind that deny are near.
#[test]
fn whoever_goes_is_near_those_whose_rules_name_it() {
    let of_ops = RuleDraft { sources: vec![asg("ops").to_string()], ..deny("no", 200, "*") };
    let mut scene = before_locks(None, Some(vec![]));
    scene.does(&put(asg("ops"), ViewDraft::ApplicationSecurityGroup));
    scene = scene.vm("op", &["10.0.0.9"]);
    let machine = ResourceId::from(&vm("op"));
    let interfaces = scene.state.network.get(&machine).and_then(|op| op.virtual_machine());
    let own = interfaces.expect("a machine").interfaces.first().expect("one").clone();
    scene.does(&put(own.clone(), in_groups("10.0.0.9", &["ops"])));
    scene.does(&put(nsg("inner"), nsg_of(vec![of_ops])));
    let network: Network = (*scene.state.network).clone();
    let web: IpAddr = ip("10.0.0.4");
    let group = ResourceId {
        kind: hourgate_core::resource::Kind::ResourceGroups,
        name: machine.group.clone(),
        ..machine.clone()
    };
    for (why, id) in [("the interface", own), ("the machine", machine), ("its group", group)] {
        assert!(network.near(&id, None).contains(&web), "{why}");
    }
}

#[test]
fn other_tags_concern_nobody() {
    let mut scene = locked(None, Some(vec![]));
    let before = scene.state.network.clone();
    let Command::PutResource { mut draft, instance, only_if } = put(nsg("inner"), nsg_of(vec![]))
    else {
        panic!("another command");
    };
    draft.tags = Tags::from([("team".to_owned(), "web".to_owned())]);
    let id = draft.id.clone();
    let events = scene.does(&Command::PutResource { draft, instance, only_if });
    assert_eq!(events.len(), 1, "{events:?}");
    assert!(Network::concerned(&before, &scene.state.network, &id).is_empty());
}
