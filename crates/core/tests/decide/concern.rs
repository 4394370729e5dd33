//! Whom a change concerns, against a naive comparison of what every address meets before and after it.

use std::{collections::BTreeSet, net::IpAddr};

use hourgate_core::{
    command::Command,
    nsg::rule::RuleDraft,
    open::screens,
    resource::{
        Network, ViewDraft,
        network_interface::{NetworkInterfaceDraft, Wanted},
    },
    state::State,
};

use crate::{network::*, resource_life::Random, scene::*};

const NETWORKS: [&str; 3] = ["v", "w", "x"];
const GROUPS: [&str; 4] = ["g", "h", "i", "j"];
const ASGS: [&str; 3] = ["x", "y", "z"];

fn rules(random: &mut Random) -> Vec<RuleDraft> {
    let from =
        ["*", "VirtualNetwork", "Internet", "10.0.0.0/8", "203.0.113.0/24"].map(str::to_owned);
    let from: Vec<String> =
        from.into_iter().chain(ASGS.map(|name| asg(name).to_string())).collect();
    let rule = |n: usize, from: String| RuleDraft {
        access: if n.is_multiple_of(2) { "Allow" } else { "Deny" }.to_owned(),
        ..security_rule(&format!("r{n}"), 100 + n as i64, &from)
    };
    (0..random.below(4)).map(|n| rule(n, random.of(&from))).collect()
}

pub(crate) fn command(random: &mut Random) -> Command {
    let maybe_group = |random: &mut Random| (random.below(2) == 0).then(|| random.of(&GROUPS));
    match random.below(14) {
        0 => delete(vnet(random.of(&NETWORKS))),
        1 => delete(nsg(random.of(&GROUPS))),
        2 => delete(asg(random.of(&ASGS))),
        3 => delete(nic(random.of(&["k", "l", "m", "n", "o"]))),
        4 => put(asg(random.of(&ASGS)), ViewDraft::ApplicationSecurityGroup),
        5..8 => {
            let at = random.below(NETWORKS.len());
            let (one, other) = (format!("10.{at}.0.0/24"), format!("10.{at}.1.0/24"));
            let more = format!("172.{}.0.0/16", 16 + at);
            let (of_one, of_other) = (maybe_group(random), maybe_group(random));
            let subnets = [("a", one.as_str(), of_one), ("b", other.as_str(), of_other)];
            let space = [one.as_str(), other.as_str(), more.as_str()];
            let mut sent = network(&space[..2 + random.below(2)], &subnets);
            let others = NETWORKS.iter().filter(|name| **name != NETWORKS[at]);
            sent.peers =
                Some(others.filter(|_| random.below(2) == 0).map(|name| vnet(name)).collect());
            put(vnet(NETWORKS[at]), ViewDraft::VirtualNetwork(sent))
        }
        8 | 9 => put(nsg(random.of(&GROUPS)), nsg_of(rules(random))),
        _ => {
            let network = random.of(&NETWORKS);
            let count = 1 + random.below(2);
            let configurations = (0..count).map(|n| {
                let within = subnet(network, random.of(&["a", "b"]));
                let wanted: Wanted = any();
                let mut sent = configuration(&format!("ip{n}"), Some(within), wanted);
                let asgs = ASGS.iter().filter(|_| random.below(3) == 0);
                sent.asgs = asgs.filter_map(|name| asg(name).asg()).collect();
                sent.primary = n == 0;
                sent
            });
            let configurations = configurations.collect();
            let security_group = maybe_group(random).and_then(|name| nsg(name).security_group());
            let sent = NetworkInterfaceDraft { security_group, configurations };
            put(nic(random.of(&["k", "l", "m", "n", "o"])), ViewDraft::NetworkInterface(sent))
        }
    }
}

/// The addresses before which something else stands, by looking at all of them.
fn differ(before: &State, after: &State) -> BTreeSet<IpAddr> {
    let every = |network: &Network| network.interface_addresses().collect::<Vec<_>>();
    let all = every(&before.network).into_iter().chain(every(&after.network));
    let all: BTreeSet<IpAddr> = all.collect();
    let [were, are] = [before, after].map(|state| screens(state, all.iter().copied()));
    all.into_iter()
        .filter(|address| {
            let [was, is] = [before, after].map(|state| {
                let (layers, around) = state.network.around(*address)?;
                Some((layers.subnet, layers.nic, around))
            });
            were.get(address) != are.get(address) || was != is
        })
        .collect()
}

#[test]
fn no_change_alters_what_stands_before_an_address_that_it_does_not_concern() {
    let (mut changes, mut altered, mut named) = (0, 0, 0);
    for seed in 0..80 {
        let (mut random, mut scene) = (Random(seed), scene());
        for step in 0..120 {
            let command = command(&mut random);
            let before = scene.state.clone();
            let (Command::PutResource { .. } | Command::DeleteResource { .. }) = &command else {
                panic!("another command");
            };
            let id = match &command {
                Command::PutResource { draft, .. } => draft.id.clone(),
                Command::DeleteResource { id, .. } => id.clone(),
                _ => continue,
            };
            if scene.hears(&command).is_err() {
                continue;
            }
            changes += 1;
            let differ = differ(&before, &scene.state);
            let concerned = Network::concerned(&before.network, &scene.state.network, &id);
            altered += differ.len();
            named += concerned.len();
            let missed: Vec<&IpAddr> = differ.difference(&concerned).collect();
            assert!(missed.is_empty(), "seed {seed}, step {step}, {command:?}: missed {missed:?}");
        }
    }
    assert!(changes > 2_000 && altered > 1_000, "{changes} changes, {altered} altered: too tame");
    assert!(named < 3 * altered, "{named} addresses are named, of {altered} that something alters");
}

#[test]
fn a_change_concerns_those_behind_it_and_nobody_else() {
    let mut scene = scene();
    let mut does = |command: Command| {
        let before = scene.state.network.clone();
        let id = match &command {
            Command::PutResource { draft, .. } => draft.id.clone(),
            Command::DeleteResource { id, .. } => id.clone(),
            other => panic!("not a change of the network: {other:?}"),
        };
        scene.hears(&command).expect("it may");
        let concerned = Network::concerned(&before, &scene.state.network, &id);
        concerned.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
    };
    let net = |space: &[&str], of_b| {
        vnet_of(space, &[("a", "10.0.0.0/24", None), ("b", "10.0.1.0/24", of_b)])
    };
    let rule = |from: &str| nsg_of(vec![security_rule("r", 100, from)]);
    let nic_at = |subnet_name: &str, at: &str, group: Option<&str>, asgs: &[&str]| {
        let mut sent = configuration("ip", Some(subnet("v", subnet_name)), at_address(at));
        sent.asgs = asgs.iter().filter_map(|name| asg(name).asg()).collect();
        let security_group = group.and_then(|name| nsg(name).security_group());
        let configurations = vec![sent];
        ViewDraft::NetworkInterface(NetworkInterfaceDraft { security_group, configurations })
    };
    let web = asg("web").to_string();
    // What is done, and whom it concerns.
    let rows: Vec<(&str, Command, &str)> = vec![
        ("nobody is there yet", put(vnet("v"), net(&["10.0.0.0/16"], None)), ""),
        ("nobody has the group yet", put(nsg("g"), rule("*")), ""),
        ("nor this", put(nsg("s"), rule("*")), ""),
        ("nobody is in it yet", put(asg("web"), ViewDraft::ApplicationSecurityGroup), ""),
        ("its own address", put(nic("k"), nic_at("a", "10.0.0.4", Some("g"), &[])), "10.0.0.4"),
        ("its own address", put(nic("l"), nic_at("b", "10.0.1.4", None, &[])), "10.0.1.4"),
        ("the group's interface", put(nsg("g"), rule(&web)), "10.0.0.4"),
        (
            "a subnet that gets a group",
            put(vnet("v"), net(&["10.0.0.0/16"], Some("s"))),
            "10.0.1.4",
        ),
        ("the group's subnet", put(nsg("s"), rule("10.0.0.0/8")), "10.0.1.4"),
        (
            "itself, and who names what it joins",
            put(nic("l"), nic_at("b", "10.0.1.4", None, &["web"])),
            "10.0.0.4 10.0.1.4",
        ),
        (
            "what it had and has",
            put(nic("k"), nic_at("a", "10.0.0.5", Some("g"), &[])),
            "10.0.0.4 10.0.0.5",
        ),
        (
            "all that say VirtualNetwork of more",
            put(vnet("v"), net(&["10.0.0.0/16", "10.9.0.0/16"], Some("s"))),
            "10.0.0.5 10.0.1.4",
        ),
        (
            "a peer that does not say so too adds nothing",
            put(vnet("w"), {
                let mut sent = network(&["10.7.0.0/16"], &[]);
                sent.peers.get_or_insert_default().push(vnet("v"));
                ViewDraft::VirtualNetwork(sent)
            }),
            "",
        ),
        (
            "and once both do, it does",
            put(vnet("v"), {
                let subnets = [("a", "10.0.0.0/24", None), ("b", "10.0.1.0/24", Some("s"))];
                let mut sent = network(&["10.0.0.0/16", "10.9.0.0/16"], &subnets);
                sent.peers.get_or_insert_default().push(vnet("w"));
                ViewDraft::VirtualNetwork(sent)
            }),
            "10.0.0.5 10.0.1.4",
        ),
        (
            "a peer's space is its peer's too",
            put(vnet("w"), {
                let mut sent = network(&["10.8.0.0/16"], &[]);
                sent.peers.get_or_insert_default().push(vnet("v"));
                ViewDraft::VirtualNetwork(sent)
            }),
            "10.0.0.5 10.0.1.4",
        ),
        ("who leaves what others name", delete(nic("l")), "10.0.0.5 10.0.1.4"),
    ];
    for (why, command, answer) in rows {
        assert_eq!(does(command), answer, "{why}");
    }
}
