//! Resources of the network: what each must be, and what is not taken away from under others.

use hourgate_core::{
    command::Precondition,
    nsg::{
        fault::{GroupFault, RuleFault},
        flow::{Carried, Flow, Transport},
        judge::judge,
        word::{Access, Direction},
    },
    refusal::Refusal,
    resource::{Kind, ResourceFault, Target, ViewDraft, fault::Part},
};

use crate::{network::*, scene::*};

/// A network `v` of 10.0.0.0/16 with subnets `a` (10.0.0.0/24) and `b` (10.0.1.0/29).
fn networked() -> Scene {
    let mut scene = scene();
    let subnets = [("a", "10.0.0.0/24", None), ("b", "10.0.1.0/29", None)];
    scene.does(&put(vnet("v"), vnet_of(&["10.0.0.0/16"], &subnets)));
    scene
}

fn net(text: &str) -> ipnet::IpNet {
    text.parse().expect("a prefix")
}

fn name(text: &str) -> hourgate_core::id::Name {
    text.parse().expect("a name")
}

#[test]
fn networks() {
    use ResourceFault as F;
    let rows: Vec<(&str, ViewDraft, Vec<ResourceFault>)> = vec![
        ("no addresses", vnet_of(&[], &[]), vec![F::NoPart { part: Part::Prefixes }]),
        (
            "host bits",
            vnet_of(&["10.0.0.1/16"], &[]),
            vec![F::HostBits { prefix: net("10.0.0.1/16"), meant: net("10.0.0.0/16") }],
        ),
        (
            "address spaces overlap",
            vnet_of(&["10.0.0.0/16", "10.0.4.0/24"], &[]),
            vec![F::AddressSpacesOverlap { one: net("10.0.0.0/16"), other: net("10.0.4.0/24") }],
        ),
        (
            "a subnet outside its network",
            vnet_of(&["10.0.0.0/16"], &[("a", "10.1.0.0/24", None)]),
            vec![F::SubnetOutside {
                subnet: name("a"),
                prefix: net("10.1.0.0/24"),
                space: vec![net("10.0.0.0/16")],
            }],
        ),
        (
            "subnets overlap",
            vnet_of(&["10.0.0.0/16"], &[("a", "10.0.0.0/24", None), ("b", "10.0.0.128/25", None)]),
            vec![F::SubnetsOverlap {
                subnet: name("b"),
                prefix: net("10.0.0.128/25"),
                other: name("a"),
                other_prefix: net("10.0.0.0/24"),
            }],
        ),
        (
            "a name twice, in any case",
            vnet_of(&["10.0.0.0/16"], &[("a", "10.0.0.0/24", None), ("A", "10.0.1.0/24", None)]),
            vec![F::NameTwice { name: name("a") }],
        ),
        (
            "no address left in it",
            vnet_of(&["10.0.0.0/16"], &[("a", "10.0.0.0/30", None)]),
            vec![F::PrefixLength { prefix: net("10.0.0.0/30"), least: 2, most: 29 }],
        ),
        (
            "IPv6 subnets are /64",
            vnet_of(&["fd00::/48"], &[("a", "fd00::/65", None)]),
            vec![F::PrefixLength { prefix: net("fd00::/65"), least: 64, most: 64 }],
        ),
        (
            "a group that does not exist",
            vnet_of(&["10.0.0.0/16"], &[("a", "10.0.0.0/24", Some("none"))]),
            vec![F::ReferenceNotFound { target: Target::Resource(nsg("none")) }],
        ),
        (
            "everything at once",
            vnet_of(&["10.0.0.0/16"], &[("a", "10.1.0.1/24", Some("none"))]),
            vec![
                F::HostBits { prefix: net("10.1.0.1/24"), meant: net("10.1.0.0/24") },
                F::SubnetOutside {
                    subnet: name("a"),
                    prefix: net("10.1.0.1/24"),
                    space: vec![net("10.0.0.0/16")],
                },
                F::ReferenceNotFound { target: Target::Resource(nsg("none")) },
            ],
        ),
    ];
    for (why, sent, faults) in rows {
        let expected: Vec<Refusal> = faults.into_iter().map(|f| fault(vnet("n"), f)).collect();
        assert_eq!(scene().refuses(&put(vnet("n"), sent)), expected, "{why}");
    }
}

#[test]
fn nothing_is_taken_from_under_an_interface() {
    let mut scene = networked();
    scene.does(&put(nic("n"), one(at_address("10.0.0.200"))));
    let used = Target::Subnet(subnet("v", "a"));
    let without = vnet_of(&["10.0.0.0/16"], &[("b", "10.0.1.0/29", None)]);
    assert_eq!(
        scene.refuses(&put(vnet("v"), without)),
        [fault(vnet("v"), in_use(used.clone(), &[nic("n")]))],
        "the subnet is gone"
    );
    for (why, prefix) in [("moved away", "10.0.2.0/24"), ("now reserved", "10.0.0.200/29")] {
        let moved = vnet_of(&["10.0.0.0/16"], &[("a", prefix, None)]);
        let left = ResourceFault::AddressLeft {
            subnet: name("a"),
            by: nic("n"),
            address: ip("10.0.0.200"),
        };
        assert_eq!(scene.refuses(&put(vnet("v"), moved)), [fault(vnet("v"), left)], "{why}");
    }
    let grown = vnet_of(&["10.0.0.0/16"], &[("a", "10.0.0.0/23", None)]);
    scene.does(&put(vnet("v"), grown));
    assert_eq!(scene.refuses(&delete(vnet("v"))), [fault(vnet("v"), in_use(used, &[nic("n")]))]);
    scene.does(&delete(nic("n")));
    scene.does(&delete(vnet("v")));
    assert_eq!(scene.refuses(&delete(vnet("v"))), [fault(vnet("v"), ResourceFault::NotFound)]);
}

#[test]
fn networks_that_are_joined() {
    let mut scene = networked();
    let joined = |space: &str, to: &str| {
        let mut network = network(&[space], &[]);
        network.peers.get_or_insert_default().push(vnet(to));
        ViewDraft::VirtualNetwork(network)
    };
    let refused = |of: &str, f| [fault(vnet(of), f)];
    assert_eq!(
        scene.refuses(&put(vnet("w"), joined("10.1.0.0/16", "w"))),
        refused("w", ResourceFault::PeerOfItself)
    );
    assert_eq!(
        scene.refuses(&put(vnet("w"), joined("10.0.3.0/24", "v"))),
        refused(
            "w",
            ResourceFault::PeersOverlap {
                peer: vnet("v"),
                prefix: net("10.0.3.0/24"),
                other: net("10.0.0.0/16"),
            }
        )
    );
    scene.does(&put(vnet("w"), joined("10.1.0.0/16", "v")));
    let space = |scene: &Scene| scene.state.network.joined_space(&vnet("w"));
    assert_eq!(space(&scene), [net("10.1.0.0/16")], "one side's word joins nothing");
    scene.does(&put(vnet("v"), joined("10.0.0.0/16", "w")));
    assert_eq!(space(&scene), [net("10.1.0.0/16"), net("10.0.0.0/16")]);
    assert_eq!(
        scene.refuses(&put(vnet("v"), vnet_of(&["10.1.2.0/24"], &[]))),
        refused(
            "v",
            ResourceFault::PeersOverlap {
                peer: vnet("w"),
                prefix: net("10.1.2.0/24"),
                other: net("10.1.0.0/16"),
            }
        ),
        "held against who says it is joined to this one"
    );
    assert_eq!(
        scene.refuses(&delete(vnet("w"))),
        refused("w", in_use(Target::Resource(vnet("w")), &[vnet("v")]))
    );
}

#[test]
fn addresses_of_interfaces() {
    use ResourceFault as F;
    let of = Some(name("ip"));
    let reserved = |address| F::AddressReserved {
        configuration: name("ip"),
        address: ip(address),
        prefix: net("10.0.0.0/24"),
    };
    let rows = [
        ("the network's number", at_address("10.0.0.0"), reserved("10.0.0.0")),
        ("the gateway", at_address("10.0.0.1"), reserved("10.0.0.1")),
        ("names", at_address("10.0.0.2"), reserved("10.0.0.2")),
        ("names", at_address("10.0.0.3"), reserved("10.0.0.3")),
        ("the last", at_address("10.0.0.255"), reserved("10.0.0.255")),
        (
            "outside",
            at_address("10.0.1.4"),
            F::AddressOutside {
                configuration: name("ip"),
                address: ip("10.0.1.4"),
                subnet: subnet("v", "a"),
                prefixes: vec![net("10.0.0.0/24")],
            },
        ),
        (
            "another's",
            at_address("10.0.0.4"),
            F::AddressInUse { configuration: of, address: ip("10.0.0.4"), by: nic("other") },
        ),
    ];
    for (why, wanted, expected) in rows {
        let mut scene = networked();
        scene.does(&put(nic("other"), one(at_address("10.0.0.4"))));
        let refused = scene.refuses(&put(nic("n"), one(wanted)));
        assert_eq!(refused, [fault(nic("n"), expected)], "{why}");
    }
}

#[test]
fn any_address_is_the_first_that_is_free_and_stays() {
    let mut scene = networked();
    let address = |scene: &Scene, of: &str| {
        let network = &scene.state.network;
        let nic = network.get(&nic(of)).and_then(|nic| nic.network_interface().cloned());
        nic.expect("known").configurations[0].address.to_string()
    };
    let in_b = || nic_of(vec![configuration("ip", Some(subnet("v", "b")), any())]);
    for (of, expected) in [("x", "10.0.1.4"), ("y", "10.0.1.5"), ("z", "10.0.1.6")] {
        scene.does(&put(nic(of), in_b()));
        assert_eq!(address(&scene, of), expected);
    }
    let full = ResourceFault::SubnetFull {
        configuration: name("ip"),
        subnet: subnet("v", "b"),
        family: hourgate_core::network::Family::V4,
    };
    assert_eq!(scene.refuses(&put(nic("w"), in_b())), [fault(nic("w"), full)]);
    scene.does(&delete(nic("x")));
    assert!(scene.does(&put(nic("y"), in_b())).is_empty(), "the same again changes nothing");
    scene.does(&put(nic("w"), in_b()));
    assert_eq!(address(&scene, "w"), "10.0.1.4", "the one that became free");
    scene.does(&put(nic("y"), one(any())));
    assert_eq!(address(&scene, "y"), "10.0.0.4", "another subnet, another address");
}

#[test]
fn interfaces() {
    use ResourceFault as F;
    let within = || Some(subnet("v", "a"));
    let two = |first, second| nic_of(vec![first, second]);
    let plain = |of| configuration(of, within(), any());
    let primary = |of| {
        let mut configuration = plain(of);
        configuration.primary = true;
        configuration
    };
    let with_public = |of, target| {
        let mut configuration = plain(of);
        configuration.public_address = Some(target);
        configuration
    };
    let with_asg = |of| {
        let mut configuration = plain("ip");
        configuration.asgs = asg(of).asg().into_iter().collect();
        configuration
    };
    let missing = |target| F::ReferenceNotFound { target };
    let rows: Vec<(&str, ViewDraft, Vec<ResourceFault>)> = vec![
        ("no address", nic_of(vec![]), vec![F::NoPart { part: Part::IpConfigurations }]),
        ("a name twice", two(plain("ip"), plain("IP")), vec![F::NameTwice { name: name("IP") }]),
        (
            "two primaries",
            two(primary("x"), primary("y")),
            vec![F::TwoPrimaries { configuration: name("y") }],
        ),
        (
            "two networks",
            two(plain("x"), configuration("y", None, at_address("10.9.0.4"))),
            vec![F::TwoNetworks { configuration: name("y") }],
        ),
        (
            "any address, of no subnet",
            nic_of(vec![configuration("ip", None, any())]),
            vec![F::NoSubnet { configuration: name("ip") }],
        ),
        (
            "a subnet that does not exist",
            nic_of(vec![configuration("ip", Some(subnet("v", "none")), any())]),
            vec![missing(Target::Subnet(subnet("v", "none")))],
        ),
        (
            "an application security group that does not exist",
            nic_of(vec![with_asg("none")]),
            vec![missing(Target::Resource(asg("none")))],
        ),
        (
            "a public address that is something else",
            nic_of(vec![with_public("ip", vnet("v"))]),
            vec![F::WrongKind { target: vnet("v"), needed: Kind::PublicIpAddresses }],
        ),
        (
            "a public address twice",
            two(with_public("x", public("p")), with_public("y", public("p"))),
            vec![F::PublicAddressInUse {
                configuration: name("y"),
                target: public("p"),
                by: nic("n"),
            }],
        ),
        (
            "one address twice in one interface",
            two(
                configuration("x", within(), at_address("10.0.0.9")),
                configuration("y", within(), at_address("10.0.0.9")),
            ),
            vec![F::AddressInUse {
                configuration: Some(name("y")),
                address: ip("10.0.0.9"),
                by: nic("n"),
            }],
        ),
    ];
    for (why, sent, faults) in rows {
        let mut scene = networked();
        scene.does(&put(public("p"), public_of(Some("203.0.113.9"))));
        let expected: Vec<Refusal> = faults.into_iter().map(|f| fault(nic("n"), f)).collect();
        assert_eq!(scene.refuses(&put(nic("n"), sent)), expected, "{why}");
    }
    let mut scene = networked();
    scene.does(&put(public("p"), public_of(None)));
    scene.does(&put(nic("n"), nic_of(vec![with_public("ip", public("p"))])));
    let taken =
        F::PublicAddressInUse { configuration: name("ip"), target: public("p"), by: nic("n") };
    let second = scene.refuses(&put(nic("m"), nic_of(vec![with_public("ip", public("p"))])));
    assert_eq!(second, [fault(nic("m"), taken)]);
    assert_eq!(
        scene.refuses(&delete(public("p"))),
        [fault(public("p"), in_use(Target::Resource(public("p")), &[nic("n")]))]
    );
}

#[test]
fn two_networks_may_share_a_space_but_no_interfaces_an_address() {
    let mut scene = networked();
    scene.does(&put(vnet("w"), vnet_of(&["10.0.0.0/16"], &[("a", "10.0.0.0/24", None)])));
    scene.does(&put(nic("n"), one(at_address("10.0.0.4"))));
    let there = |wanted| nic_of(vec![configuration("ip", Some(subnet("w", "a")), wanted)]);
    let taken = ResourceFault::AddressInUse {
        configuration: Some(name("ip")),
        address: ip("10.0.0.4"),
        by: nic("n"),
    };
    // A guard could not tell the two machines apart.
    assert_eq!(
        scene.refuses(&put(nic("m"), there(at_address("10.0.0.4")))),
        [fault(nic("m"), taken)]
    );
    scene.does(&put(nic("m"), there(any())));
    let around = |address: &str| scene.state.network.owner(ip(address)).cloned();
    assert_eq!([around("10.0.0.4"), around("10.0.0.5")], [Some(nic("n")), Some(nic("m"))]);
}

#[test]
fn security_groups() {
    let mut scene = scene();
    let refused = scene.refuses(&put(
        nsg("g"),
        nsg_of(vec![
            security_rule("x", 99, "*"),
            security_rule("y", 200, "*"),
            security_rule("z", 200, "*"),
        ]),
    ));
    let priority = RuleFault::Priority { value: 99, least: 100, most: 4_096 };
    assert_eq!(
        refused[0],
        fault(nsg("g"), ResourceFault::Rule { rule: "x".to_owned(), problem: priority })
    );
    assert!(
        matches!(
            &refused[1..],
            [Refusal::Resource {
                fault: ResourceFault::Rules { problem: GroupFault::PriorityTwice { .. } },
                ..
            }]
        ),
        "{refused:?}"
    );
    let many = (0..1_001).map(|n| security_rule(&format!("r{n}"), 100 + n, "*")).collect();
    let refused = scene.refuses(&put(nsg("g"), nsg_of(many)));
    let too_many = GroupFault::TooManyRules { count: 1_001, most: 1_000 };
    assert_eq!(refused, [fault(nsg("g"), ResourceFault::Rules { problem: too_many })]);
    let from = asg("web").to_string();
    let unknown = ResourceFault::ReferenceNotFound { target: Target::Resource(asg("web")) };
    assert_eq!(
        scene.refuses(&put(nsg("g"), nsg_of(vec![security_rule("x", 100, &from)]))),
        [fault(nsg("g"), unknown)]
    );
    scene.does(&put(asg("web"), ViewDraft::ApplicationSecurityGroup));
    scene.does(&put(nsg("g"), nsg_of(vec![security_rule("x", 100, &from)])));
    assert_eq!(
        scene.refuses(&delete(asg("web"))),
        [fault(asg("web"), in_use(Target::Resource(asg("web")), &[nsg("g")]))]
    );
    scene.does(&put(vnet("v"), vnet_of(&["10.0.0.0/16"], &[("a", "10.0.0.0/24", Some("g"))])));
    assert_eq!(
        scene.refuses(&delete(nsg("g"))),
        [fault(nsg("g"), in_use(Target::Resource(nsg("g")), &[vnet("v")]))]
    );
}

#[test]
fn public_addresses() {
    let mut scene = scene();
    scene.does(&put(public("p"), public_of(Some("203.0.113.9"))));
    assert!(scene.does(&put(public("p"), public_of(None))).is_empty(), "left out, it stays");
    let taken = ResourceFault::AddressInUse {
        configuration: None,
        address: ip("203.0.113.9"),
        by: public("p"),
    };
    assert_eq!(
        scene.refuses(&put(public("q"), public_of(Some("203.0.113.9")))),
        [fault(public("q"), taken)]
    );
    let family = hourgate_core::network::Family::V4;
    let other = ResourceFault::AddressFamily { address: ip("2001:db8::1"), family };
    assert_eq!(
        scene.refuses(&put(public("q"), public_of(Some("2001:db8::1")))),
        [fault(public("q"), other)]
    );
}

#[test]
fn another_subscription_is_another_world() {
    let mut elsewhere = asg("x");
    elsewhere.subscription = uuid::Uuid::from_u128(7);
    let sent = nsg_of(vec![security_rule("x", 100, &elsewhere.to_string())]);
    let expected = ResourceFault::OtherSubscription { target: Target::Resource(elsewhere) };
    assert_eq!(scene().refuses(&put(nsg("g"), sent)), [fault(nsg("g"), expected)]);
}

#[test]
fn preconditions() {
    let sent = || ViewDraft::ApplicationSecurityGroup;
    let mut scene = scene();
    let failed = |version| [Refusal::PreconditionFailed { version }];
    for only_if in [Precondition::Exists, Precondition::Version(1)] {
        assert_eq!(scene.refuses(&put_if(asg("x"), sent(), only_if)), failed(None));
    }
    scene.does(&put_if(asg("x"), sent(), Precondition::Absent));
    for only_if in [Precondition::Absent, Precondition::Version(2)] {
        assert_eq!(scene.refuses(&put_if(asg("X"), sent(), only_if)), failed(Some(1)));
    }
    scene.does(&put_if(asg("x"), sent(), Precondition::Version(1)));
}

#[test]
fn an_interfaces_flows_meet_its_subnets_group_and_its_own() {
    let mut scene = networked();
    scene.does(&put(asg("jump"), ViewDraft::ApplicationSecurityGroup));
    let from = asg("jump").to_string();
    scene.does(&put(nsg("outer"), nsg_of(vec![security_rule("in", 100, &from)])));
    scene.does(&put(nsg("inner"), nsg_of(vec![security_rule("in", 100, &from)])));
    let subnets = [("a", "10.0.0.0/24", Some("outer"))];
    scene.does(&put(vnet("v"), vnet_of(&["10.0.0.0/16"], &subnets)));
    let ViewDraft::NetworkInterface(mut draft) = one(at_address("10.0.0.4")) else { return };
    draft.security_group = nsg("inner").security_group();
    scene.does(&put(nic("web"), ViewDraft::NetworkInterface(draft)));
    let mut jump = configuration("ip", Some(subnet("v", "a")), at_address("10.0.0.5"));
    jump.asgs = asg("jump").asg().into_iter().collect();
    scene.does(&put(nic("jump"), nic_of(vec![jump])));
    let tcp = Carried::Ports { transport: Transport::Tcp, source: 50_000, destination: 22 };
    let verdict = |from: &str| {
        let flow = Flow::new(ip(from), ip("10.0.0.4"), tcp).expect("one family");
        let (layers, around) =
            scene.state.network.layers(&nic("web"), &name("ip")).expect("a configuration");
        let verdict = judge(layers, Direction::Inbound, &flow, &around);
        let by = verdict.by.expect("a rule");
        (verdict.access, by.group.name().to_string(), by.rule.name().to_string())
    };
    let said = |access, group: &str, rule: &str| (access, group.to_owned(), rule.to_owned());
    assert_eq!(verdict("10.0.0.5"), said(Access::Allow, "inner", "in"));
    assert_eq!(verdict("10.0.7.9"), said(Access::Allow, "inner", "AllowVnetInBound"));
    assert_eq!(verdict("203.0.113.7"), said(Access::Deny, "outer", "DenyAllInBound"));
    assert!(scene.state.network.layers(&nic("web"), &name("none")).is_none());
}

#[test]
fn subnets_of_which_nothing_is_said_stay() {
    let mut scene = scene();
    let subnets = [("a", "10.0.0.0/24", None), ("b", "10.0.1.0/29", None)];
    scene.does(&put(vnet("v"), vnet_of(&["10.0.0.0/16"], &subnets)));
    let mut sent = network(&["10.0.0.0/16", "10.7.0.0/16"], &[]);
    sent.subnets = None;
    scene.does(&put(vnet("v"), ViewDraft::VirtualNetwork(sent)));
    let subnets =
        |scene: &Scene| scene.state.network.virtual_network(&vnet("v")).map(|v| v.subnets.len());
    assert_eq!(subnets(&scene), Some(2));
    // They still have to fit.
    let mut sent = network(&["10.7.0.0/16"], &[]);
    sent.subnets = None;
    let refused = scene.refuses(&put(vnet("v"), ViewDraft::VirtualNetwork(sent)));
    assert_eq!(refused.len(), 2, "{refused:?}");
    scene.does(&put(vnet("v"), vnet_of(&["10.0.0.0/16"], &[])));
    assert_eq!(subnets(&scene), Some(0), "an empty list says that there are none");
}
