//! Load balancers, firewalls and their policies: what each must be, and where ports of public addresses lead.

use std::{collections::BTreeMap, net::IpAddr};

use hourgate_core::{
    eligible::{Reason, reasons},
    gateway::{
        Carrier, Front, MAPPED_PORTS, Onward, Place, Translation, Unfit, fixed, front, reached_at,
    },
    id::Name,
    network::Port,
    resource::{
        InboundNatRuleId, Kind, ResourceFault, ResourceId, Target, ViewDraft,
        fault::Part,
        firewall::{Firewall, FirewallConfiguration, Tier},
        firewall_policy::{DnatRule, FirewallPolicyDraft, NatCollection, RuleCollectionGroup},
        load_balancer::{Frontend, FrontendAddress, InboundNatRule, LoadBalancer},
        network_interface::{IpConfigurationDraft, NetworkInterfaceDraft},
        virtual_network::VirtualNetworkDraft,
    },
};

use crate::{network::*, scene::*};

fn name(text: &str) -> Name {
    text.parse().expect("a name")
}

fn number(port: u16) -> Port {
    Port::new(port).expect("not 0")
}

pub(crate) fn place(address: &str, port: u16) -> Place {
    Place { address: ip(address), port: number(port) }
}

fn balancer() -> ResourceId {
    id(Kind::LoadBalancers, "lb")
}

pub(crate) fn firewall() -> ResourceId {
    id(Kind::AzureFirewalls, "fw")
}

pub(crate) fn policy() -> ResourceId {
    id(Kind::FirewallPolicies, "rules")
}

fn rule(of: &str, frontend: &str, port: u16, to: u16) -> InboundNatRule {
    let (port, to) = (number(port), number(to));
    InboundNatRule { name: name(of), frontend: name(frontend), carrier: Carrier::Tcp, port, to }
}

fn balancing(frontends: &[(&str, FrontendAddress)], rules: &[InboundNatRule]) -> ViewDraft {
    let frontend = |(of, at): &(&str, FrontendAddress)| Frontend { name: name(of), at: at.clone() };
    ViewDraft::LoadBalancer(LoadBalancer {
        frontends: frontends.iter().map(frontend).collect(),
        nat_rules: rules.to_vec(),
    })
}

fn at_public(of: &str) -> FrontendAddress {
    FrontendAddress::Public(public(of))
}

pub(crate) fn walled(tier: Tier, subnet_name: &str, policy: Option<ResourceId>) -> ViewDraft {
    let configuration = FirewallConfiguration {
        name: name("ip"),
        subnet: Some(subnet("hub", subnet_name)),
        public_address: Some(public("outside")),
    };
    ViewDraft::Firewall(Firewall { tier, configurations: vec![configuration], policy })
}

pub(crate) fn dnat(sources: &[&str], at: (&str, u16), to: (&str, u16)) -> DnatRule {
    DnatRule {
        name: "dnat".to_owned(),
        carriers: vec![Carrier::Tcp],
        sources: sources.iter().map(|net| net.parse().expect("a prefix")).collect(),
        destinations: vec![ip(at.0)],
        ports: vec![number(at.1)],
        to: place(to.0, to.1),
    }
}

pub(crate) fn ruled(priority: u32, collections: &[(u32, &[DnatRule])]) -> ViewDraft {
    let collection = |(at, (priority, rules)): (usize, &(u32, &[DnatRule]))| NatCollection {
        name: name(&format!("c{at}")),
        priority: *priority,
        rules: rules.to_vec(),
    };
    let nat = collections.iter().enumerate().map(collection).collect();
    let group = RuleCollectionGroup { priority, nat, sent: "{}".to_owned() };
    ViewDraft::FirewallPolicy(FirewallPolicyDraft::Groups(vec![(name("dnat"), group)]))
}

fn joined(space: &str, subnets: &[(&str, &str, Option<&str>)], peers: &[&str]) -> ViewDraft {
    let peers = Some(peers.iter().map(|peer| vnet(peer)).collect());
    ViewDraft::VirtualNetwork(VirtualNetworkDraft { peers, ..network(&[space], subnets) })
}

/// A hub with a firewall's subnet, a spoke joined to it, one that only says so, public addresses, and a
/// machine `m` in the spoke at 10.1.0.4.
pub(crate) fn hub() -> Scene {
    let mut scene = scene();
    let of_hub = [("AzureFirewallSubnet", "10.0.0.0/26", None), ("a", "10.0.1.0/24", None)];
    scene.does(&put(vnet("hub"), joined("10.0.0.0/16", &of_hub, &[])));
    scene.does(&put(vnet("spoke"), joined("10.1.0.0/16", &[("a", "10.1.0.0/24", None)], &["hub"])));
    scene.does(&put(vnet("alone"), joined("10.2.0.0/16", &[("a", "10.2.0.0/24", None)], &["hub"])));
    scene.does(&put(vnet("hub"), joined("10.0.0.0/16", &of_hub, &["spoke"])));
    scene.does(&put(public("outside"), public_of(Some("198.51.100.1"))));
    scene.does(&put(public("front"), public_of(Some("198.51.100.2"))));
    scene.does(&put(public("unknown"), public_of(None)));
    scene.does(&put(nic("m"), machine("spoke", "10.1.0.4")));
    scene
}

fn machine(network: &str, address: &str) -> ViewDraft {
    nic_of(vec![configuration("ip", Some(subnet(network, "a")), at_address(address))])
}

fn nat_rule(of: &str) -> InboundNatRuleId {
    InboundNatRuleId { balancer: balancer(), name: name(of) }
}

fn led(rules: &[&str]) -> ViewDraft {
    let nat_rules = rules.iter().map(|of| nat_rule(of)).collect();
    let of_spoke = configuration("ip", Some(subnet("spoke", "a")), at_address("10.1.0.4"));
    nic_of(vec![IpConfigurationDraft { nat_rules, ..of_spoke }])
}

fn from(source: &str, at: Place) -> Translation {
    Translation::new(source.parse().expect("a prefix"), at, Carrier::Tcp).expect("one family")
}

fn each(scene: &Scene) -> BTreeMap<Translation, Place> {
    let all = fixed(&scene.state.network, MAPPED_PORTS).each;
    all.into_iter().map(|(translation, Onward { to, .. })| (translation, to)).collect()
}

#[test]
fn load_balancers() {
    use ResourceFault as F;
    let private = |address: &str| FrontendAddress::Private {
        subnet: subnet("spoke", "a"),
        address: Some(ip(address)),
    };
    let rows: Vec<(&str, ViewDraft, Vec<ResourceFault>)> = vec![
        (
            "a public address that does not exist",
            balancing(&[("f", at_public("nobodys"))], &[]),
            vec![F::ReferenceNotFound { target: Target::Resource(public("nobodys")) }],
        ),
        (
            "something that is no public address",
            balancing(&[("f", FrontendAddress::Public(nic("m")))], &[]),
            vec![F::WrongKind { target: nic("m"), needed: Kind::PublicIpAddresses }],
        ),
        (
            "one public address twice",
            balancing(&[("f", at_public("front")), ("g", at_public("front"))], &[]),
            vec![F::PublicAddressInUse {
                configuration: name("g"),
                target: public("front"),
                by: balancer(),
            }],
        ),
        (
            "a name twice",
            balancing(&[("f", at_public("front")), ("F", at_public("outside"))], &[]),
            vec![F::NameTwice { name: name("f") }],
        ),
        (
            "an address outside its subnet",
            balancing(&[("f", private("10.9.0.9"))], &[]),
            vec![F::AddressOutside {
                configuration: name("f"),
                address: ip("10.9.0.9"),
                subnet: subnet("spoke", "a"),
                prefixes: vec!["10.1.0.0/24".parse().expect("a prefix")],
            }],
        ),
        (
            "a machine's address",
            balancing(&[("f", private("10.1.0.4"))], &[]),
            vec![F::AddressInUse {
                configuration: Some(name("f")),
                address: ip("10.1.0.4"),
                by: nic("m"),
            }],
        ),
        (
            "a rule of an address that it has not",
            balancing(&[("f", at_public("front"))], &[rule("ssh", "g", 2222, 22)]),
            vec![F::FrontendNotFound { rule: name("ssh"), frontend: name("g") }],
        ),
        (
            "a port that would lead to two machines",
            balancing(
                &[("f", at_public("front"))],
                &[rule("one", "f", 2222, 22), rule("two", "f", 2222, 23)],
            ),
            vec![F::FrontendPortTwice {
                rule: name("two"),
                other: name("one"),
                port: number(2222),
                carrier: Carrier::Tcp,
            }],
        ),
        (
            "the same port over another protocol",
            balancing(
                &[("f", at_public("front"))],
                &[
                    rule("one", "f", 2222, 22),
                    InboundNatRule { carrier: Carrier::Udp, ..rule("two", "f", 2222, 22) },
                ],
            ),
            vec![],
        ),
        ("more than one kind of address", balancing(&[("f", private("10.1.0.9"))], &[]), vec![]),
    ];
    for (why, view, faults) in rows {
        let mut scene = hub();
        let refusals: Vec<_> = faults.into_iter().map(|f| fault(balancer(), f)).collect();
        if refusals.is_empty() {
            scene.does(&put(balancer(), view));
        } else {
            assert_eq!(scene.refuses(&put(balancer(), view)), refusals, "{why}");
        }
    }
}

#[test]
fn an_inbound_nat_rule_is_one_machines_and_stays_while_it_is() {
    let mut scene = hub();
    let one = balancing(&[("f", at_public("front"))], &[rule("ssh", "f", 2222, 22)]);
    let gone = ResourceFault::ReferenceNotFound { target: Target::InboundNatRule(nat_rule("ssh")) };
    assert_eq!(scene.refuses(&put(nic("m"), led(&["ssh"]))), [fault(nic("m"), gone)]);
    scene.does(&put(balancer(), one.clone()));
    assert_eq!(each(&scene), BTreeMap::new(), "it leads nowhere yet");
    scene.does(&put(nic("m"), led(&["ssh"])));
    let leads = [(from("0.0.0.0/0", place("198.51.100.2", 2222)), place("10.1.0.4", 22))];
    assert_eq!(each(&scene), leads.into());
    let other = IpConfigurationDraft {
        nat_rules: vec![nat_rule("ssh")],
        ..configuration("ip", Some(subnet("spoke", "a")), at_address("10.1.0.5"))
    };
    let taken = ResourceFault::NatRuleTaken {
        configuration: name("ip"),
        rule: nat_rule("ssh"),
        by: nic("m"),
    };
    assert_eq!(scene.refuses(&put(nic("n"), nic_of(vec![other]))), [fault(nic("n"), taken)]);
    let none = balancing(&[("f", at_public("front"))], &[]);
    let used = || in_use(Target::InboundNatRule(nat_rule("ssh")), &[nic("m")]);
    assert_eq!(scene.refuses(&put(balancer(), none.clone())), [fault(balancer(), used())]);
    assert_eq!(scene.refuses(&delete(balancer())), [fault(balancer(), used())]);
    let used = in_use(Target::Resource(public("front")), &[balancer()]);
    assert_eq!(scene.refuses(&delete(public("front"))), [fault(public("front"), used)]);
    scene.does(&put(nic("m"), led(&[])));
    scene.does(&put(balancer(), none));
    scene.does(&delete(balancer()));
    scene.does(&delete(public("front")));
}

#[test]
fn firewalls() {
    use ResourceFault as F;
    let named = |configurations: Vec<FirewallConfiguration>| {
        ViewDraft::Firewall(Firewall { tier: Tier::Standard, configurations, policy: None })
    };
    let bare = |of: &str| FirewallConfiguration {
        name: name(of),
        subnet: None,
        public_address: Some(public(of)),
    };
    let in_hub = |of: &str| FirewallConfiguration {
        subnet: Some(subnet("hub", "AzureFirewallSubnet")),
        ..bare(of)
    };
    let rows: Vec<(&str, ViewDraft, Vec<ResourceFault>)> = vec![
        ("no address", named(vec![]), vec![F::NoPart { part: Part::IpConfigurations }]),
        (
            "a subnet that is not for firewalls",
            walled(Tier::Standard, "a", None),
            vec![F::NotFirewallSubnet { configuration: name("ip"), subnet: subnet("hub", "a") }],
        ),
        (
            "no subnet",
            named(vec![bare("outside")]),
            vec![F::NoSubnet { configuration: name("outside") }],
        ),
        (
            "two subnets",
            named(vec![in_hub("outside"), in_hub("front")]),
            vec![F::SecondSubnet { configuration: name("front") }],
        ),
        ("two addresses", named(vec![in_hub("outside"), bare("front")]), vec![]),
        (
            "a policy that is none",
            walled(Tier::Standard, "AzureFirewallSubnet", Some(nic("m"))),
            vec![F::WrongKind { target: nic("m"), needed: Kind::FirewallPolicies }],
        ),
        (
            "a policy that does not exist",
            walled(Tier::Standard, "azurefirewallsubnet", Some(policy())),
            vec![F::ReferenceNotFound { target: Target::Resource(policy()) }],
        ),
    ];
    for (why, view, faults) in rows {
        let mut scene = hub();
        let refusals: Vec<_> = faults.into_iter().map(|f| fault(firewall(), f)).collect();
        if refusals.is_empty() {
            scene.does(&put(firewall(), view));
        } else {
            assert_eq!(scene.refuses(&put(firewall(), view)), refusals, "{why}");
        }
    }
}

#[test]
fn policies_of_firewalls() {
    use ResourceFault as F;
    let mut scene = hub();
    let outside = |value| F::PriorityOutside { value, least: 100, most: 65_000 };
    assert_eq!(scene.refuses(&put(policy(), ruled(99, &[]))), [fault(policy(), outside(99))]);
    let high = scene.refuses(&put(policy(), ruled(100, &[(65_001, &[])])));
    assert_eq!(high, [fault(policy(), outside(65_001))]);
    let crossed = dnat(&["fd00::/64"], ("198.51.100.1", 2222), ("10.1.0.4", 22));
    let families =
        F::DnatFamilies { rule: "dnat".to_owned(), address: ip("fd00::"), to: ip("10.1.0.4") };
    let refused = scene.refuses(&put(policy(), ruled(100, &[(100, &[crossed])])));
    assert_eq!(refused, [fault(policy(), families)]);
    for to in ["127.0.0.1", "0.0.0.0", "224.0.0.1", "255.255.255.255", "169.254.1.1"] {
        let nowhere = dnat(&[], ("198.51.100.1", 2222), (to, 22));
        let refused = scene.refuses(&put(policy(), ruled(100, &[(100, &[nowhere])])));
        assert_eq!(refused, [fault(policy(), F::AddressUnfit { address: ip(to) })]);
    }
    let ssh = dnat(&[], ("198.51.100.1", 2222), ("10.1.0.4", 22));
    scene.does(&put(policy(), ruled(100, &[(100, std::slice::from_ref(&ssh))])));
    scene.does(&put(firewall(), walled(Tier::Premium, "AzureFirewallSubnet", Some(policy()))));
    let leads: BTreeMap<_, _> =
        [(from("0.0.0.0/0", place("198.51.100.1", 2222)), place("10.1.0.4", 22))].into();
    assert_eq!(each(&scene), leads);
    // Set without its groups, which have routes of their own, it keeps them.
    let as_they_are = ViewDraft::FirewallPolicy(FirewallPolicyDraft::AsTheyAre);
    assert!(scene.does(&put(policy(), as_they_are)).is_empty());
    assert_eq!(each(&scene), leads);
    let used = in_use(Target::Resource(policy()), &[firewall()]);
    assert_eq!(scene.refuses(&delete(policy())), [fault(policy(), used)]);
}

/// The first rule that fits counts, in the order of the numbers; held against a naive reading of that sentence.
#[test]
fn the_first_rule_that_fits_counts() {
    let at = ("198.51.100.1", 2222);
    let wide = dnat(&["10.0.0.0/8"], at, ("10.1.0.4", 22));
    let narrow = dnat(&["10.9.0.0/16"], at, ("10.1.0.5", 22));
    let all = dnat(&[], at, ("10.1.0.6", 22));
    let elsewhere = dnat(&[], ("198.51.100.2", 2222), ("10.1.0.7", 22));
    type Collections<'a> = Vec<(u32, &'a [DnatRule])>;
    let rows: [(&str, Collections<'_>, [&str; 3]); 4] = [
        (
            "narrow before wide before all",
            vec![
                (300, std::slice::from_ref(&all)),
                (200, std::slice::from_ref(&wide)),
                (100, std::slice::from_ref(&narrow)),
            ],
            ["10.1.0.5", "10.1.0.4", "10.1.0.6"],
        ),
        (
            "wide before narrow",
            vec![(200, std::slice::from_ref(&narrow)), (100, std::slice::from_ref(&wide))],
            ["10.1.0.4", "10.1.0.4", ""],
        ),
        (
            "all before everything",
            vec![
                (100, std::slice::from_ref(&all)),
                (200, std::slice::from_ref(&wide)),
                (300, std::slice::from_ref(&narrow)),
            ],
            ["10.1.0.6", "10.1.0.6", "10.1.0.6"],
        ),
        ("another's address", vec![(100, std::slice::from_ref(&elsewhere))], ["", "", ""]),
    ];
    for (why, collections, leads) in rows {
        let mut scene = hub();
        scene.does(&put(policy(), ruled(100, &collections)));
        scene.does(&put(firewall(), walled(Tier::Standard, "AzureFirewallSubnet", Some(policy()))));
        let each = each(&scene);
        for (source, to) in ["10.9.1.1", "10.8.1.1", "192.0.2.1"].into_iter().zip(leads) {
            let source: IpAddr = ip(source);
            // What a guard does: the longest prefix.
            let fits = each.iter().filter(|(translation, _)| {
                translation.at() == place(at.0, at.1) && translation.source().contains(&source)
            });
            let found = fits.max_by_key(|(translation, _)| translation.source().prefix_len());
            let found = found.map_or(String::new(), |(_, to)| to.address.to_string());
            assert_eq!(found, to, "{why}: {source}");
        }
    }
}

#[test]
fn a_firewall_stands_in_front_where_its_network_is_joined_and_nothing_else_is_in_the_way() {
    let in_front = Front::Firewall { firewall: firewall(), address: ip("198.51.100.1") };
    let unfit = |why| Front::Unfit { firewall: firewall(), why };
    let standing = |tier, of: Option<ResourceId>| {
        let mut scene = hub();
        scene.does(&put(policy(), ruled(100, &[])));
        scene.does(&put(firewall(), walled(tier, "AzureFirewallSubnet", of)));
        scene.does(&put(nic("h"), machine("hub", "10.0.1.4")));
        scene.does(&put(nic("x"), machine("alone", "10.2.0.4")));
        scene
    };
    let at = |scene: &Scene, address: &str| front(&scene.state.network, ip(address));
    let mut scene = standing(Tier::Standard, Some(policy()));
    assert_eq!(at(&scene, "10.1.0.4"), in_front, "joined");
    assert_eq!(at(&scene, "10.0.1.4"), in_front, "its own network");
    assert_eq!(at(&scene, "10.2.0.4"), Front::Nothing, "only one of the two says so");
    assert_eq!(at(&scene, "10.7.0.4"), Front::Nothing, "nobody's address");
    let silent = fixed(&scene.state.network, MAPPED_PORTS).silent;
    assert_eq!(silent, [(ip("198.51.100.1"), MAPPED_PORTS)].into());
    // With a public address of its own it is reached there.
    let own = IpConfigurationDraft {
        public_address: Some(public("front")),
        ..configuration("ip", Some(subnet("spoke", "a")), at_address("10.1.0.4"))
    };
    scene.does(&put(nic("m"), nic_of(vec![own])));
    assert_eq!(at(&scene, "10.1.0.4"), Front::Nothing);
    for (tier, of, why) in
        [(Tier::Basic, Some(policy()), Unfit::BasicTier), (Tier::Premium, None, Unfit::NoPolicy)]
    {
        let scene = standing(tier, of);
        assert_eq!(at(&scene, "10.1.0.4"), unfit(why));
        assert!(fixed(&scene.state.network, MAPPED_PORTS).silent.is_empty());
    }
    let mut scene = hub();
    let none = FirewallConfiguration {
        name: name("ip"),
        subnet: Some(subnet("hub", "AzureFirewallSubnet")),
        public_address: Some(public("unknown")),
    };
    scene.does(&put(policy(), ruled(100, &[])));
    let view =
        Firewall { tier: Tier::Standard, configurations: vec![none], policy: Some(policy()) };
    scene.does(&put(firewall(), ViewDraft::Firewall(view)));
    assert_eq!(at(&scene, "10.1.0.4"), unfit(Unfit::NoPublicAddress));
}

#[test]
fn a_firewall_of_one_family_is_enough_for_a_machine_of_both() {
    let mut scene = hub();
    scene.does(&put(policy(), ruled(100, &[])));
    let view = walled(Tier::Standard, "AzureFirewallSubnet", Some(policy()));
    scene.does(&put(firewall(), view));
    scene.does(&put(nsg("g"), nsg_of(vec![])));
    scene.does(&delete(nic("m")));
    let of_both = network(&["10.1.0.0/16", "fd00::/48"], &[("a", "10.1.0.0/24 fd00::/64", None)]);
    let of_both = VirtualNetworkDraft { peers: Some(vec![vnet("hub")]), ..of_both };
    scene.does(&put(vnet("spoke"), ViewDraft::VirtualNetwork(of_both)));
    let machines: [(&str, &[&str]); 2] =
        [("both", &["10.1.0.4", "fd00::4"]), ("six", &["fd00::5"])];
    for (of, addresses) in machines {
        let at = |address: &&str| {
            configuration(
                &format!("ip-{}", address.len()),
                Some(subnet("spoke", "a")),
                at_address(address),
            )
        };
        let security_group = nsg("g").security_group();
        let configurations = addresses.iter().map(at).collect();
        let view = NetworkInterfaceDraft { security_group, configurations };
        scene.does(&put(nic(of), ViewDraft::NetworkInterface(view)));
        scene = scene.vm(of, addresses);
    }
    let told = |of: &str| {
        let vm = scene.state.vms.values().find(|vm| vm.id.name.as_str() == of).expect("known");
        reasons(&scene.state, &scene.settings, vm)
    };
    assert_eq!(told("both"), [].into(), "it is reached over IPv4");
    let why = Unfit::NoPublicAddress;
    assert_eq!(told("six"), [Reason::UnfitFirewall { firewall: firewall(), why }].into());
}

#[test]
fn somebody_connects_to_the_public_address_else_the_load_balancer_else_the_machine() {
    let mut scene = hub();
    let to = place("10.1.0.4", 22);
    let at = |scene: &Scene, to| reached_at(&scene.state.network, to, Carrier::Tcp);
    assert_eq!(at(&scene, to), to);
    assert_eq!(at(&scene, place("10.7.0.4", 22)), place("10.7.0.4", 22), "nobody's address");
    let rules = [rule("ssh", "f", 2222, 22)];
    scene.does(&put(balancer(), balancing(&[("f", at_public("front"))], &rules)));
    scene.does(&put(nic("m"), led(&["ssh"])));
    assert_eq!(at(&scene, to), place("198.51.100.2", 2222));
    assert_eq!(at(&scene, place("10.1.0.4", 23)), place("10.1.0.4", 23), "no rule for that port");
    assert_eq!(reached_at(&scene.state.network, to, Carrier::Udp), to, "nor for that protocol");
    let own = IpConfigurationDraft {
        public_address: Some(public("outside")),
        nat_rules: vec![nat_rule("ssh")],
        ..configuration("ip", Some(subnet("spoke", "a")), at_address("10.1.0.4"))
    };
    scene.does(&put(nic("m"), nic_of(vec![own])));
    assert_eq!(at(&scene, to), place("198.51.100.1", 22));
}

/// The hub with a firewall that accesses can be mapped through, and machines with a policy at these addresses.
pub(crate) fn behind(machines: &[(&str, &str)]) -> Scene {
    let mut scene = hub();
    scene.does(&put(crate::gateways::policy(), ruled(100, &[])));
    let view = walled(Tier::Standard, "AzureFirewallSubnet", Some(crate::gateways::policy()));
    scene.does(&put(firewall(), view));
    scene.does(&put(nsg("g"), nsg_of(vec![])));
    scene.does(&delete(nic("m")));
    for (of, address) in machines {
        let at = configuration("ip", Some(subnet("spoke", "a")), at_address(address));
        let security_group = nsg("g").security_group();
        let view = NetworkInterfaceDraft { security_group, configurations: vec![at] };
        scene.does(&put(nic(of), ViewDraft::NetworkInterface(view)));
        scene = scene.vm(of, &[*address]);
    }
    let members = machines.iter().map(|(of, _)| member(of, vec![crate::scene::rule(22)]));
    scene.policy("p", members.collect())
}

pub(crate) fn ports(scene: &Scene, request: hourgate_core::id::RequestId) -> Vec<(String, String)> {
    let request = scene.state.requests.get(&request).expect("known");
    let mapped = request.accesses.iter().flat_map(|access| access.mapped());
    mapped.map(|mapped| (mapped.at.to_string(), mapped.to.to_string())).collect()
}

fn one_port(scene: &mut Scene, port: u16) {
    scene.settings.mapped_ports = hourgate_core::nsg::port::PortRange::one(port);
}

#[test]
fn an_access_behind_a_firewall_has_a_port_of_its_own_while_it_runs() {
    let led = |at: u16, to: &str| (format!("198.51.100.1:{at}"), format!("{to}:22"));
    let mut scene = behind(&[("web", "10.1.0.4"), ("db", "10.1.0.5")]);
    let first = scene.gets(ask("web", 22).lasting(hours(1)));
    assert_eq!(ports(&scene, first), [led(50_000, "10.1.0.4")]);
    let both = scene.gets(ask("web", 22).and(ask("db", 22)).by("bob"));
    let expected = [led(50_001, "10.1.0.4"), led(50_002, "10.1.0.5")];
    assert_eq!(ports(&scene, both), expected, "each its own");
    // Given back at the end, and not before.
    scene.waits(hours(1));
    scene.ticks();
    assert!(ports(&scene, first).is_empty());
    let again = scene.gets(ask("web", 22).by("eve"));
    assert_eq!(ports(&scene, again), [led(50_000, "10.1.0.4")]);
    scene.does(&end(both));
    assert_eq!(scene.state.taken.len(), 1);
    // Ann's newer request takes the place of her older one, which keeps its port until then.
    let older = scene.gets(ask("db", 22).lasting(hours(1)));
    let newer = scene.gets(ask("db", 22).lasting(hours(2)));
    assert_eq!((scene.stage(older), ports(&scene, newer).len()), ("replaced", 1));
    assert_eq!(scene.state.taken.len(), 2);
}

#[test]
fn where_no_port_is_free_or_nobody_watches_the_firewall_nothing_is_granted() {
    let mut scene = behind(&[("web", "10.1.0.4"), ("db", "10.1.0.5")]);
    one_port(&mut scene, 50_000);
    let full = |of: &str, scene: &Scene| hourgate_core::refusal::Refusal::MappedPortsFull {
        at: at(of, 22),
        firewall: firewall(),
        ports: scene.settings.mapped_ports,
    };
    let refused = scene.denies(ask("web", 22).and(ask("db", 22)));
    assert_eq!(refused, [full("db", &scene)], "both or neither");
    let first = scene.gets(ask("web", 22).lasting(hours(1)));
    assert_eq!(scene.denies(ask("db", 22)), [full("db", &scene)]);
    // What is planned finds its port when it begins, and none is a reason to fail.
    let start = noon_and(minutes(30));
    let planned = scene.gets(ask("db", 22).starting(start).lasting(hours(2)));
    assert!(ports(&scene, planned).is_empty());
    scene.waits(minutes(30));
    scene.ticks();
    assert_eq!(scene.stage(planned), "failed");
    let start = noon_and(hours(1));
    let planned = scene.gets(ask("db", 22).starting(start).lasting(hours(2)));
    scene.waits(minutes(30));
    scene.ticks();
    assert_eq!((scene.stage(first), ports(&scene, planned).len()), ("expired", 1));

    let mut scene = behind(&[("web", "10.1.0.4")]);
    scene.settings.guards = vec![hourgate_core::policy::GuardCover {
        name: "inside".to_owned(),
        covers: vec!["10.0.0.0/8".parse().expect("a prefix")],
    }];
    let unwatched = hourgate_core::refusal::Refusal::FirewallNotEnforced {
        at: at("web", 22),
        firewall: firewall(),
        address: ip("198.51.100.1"),
    };
    assert_eq!(scene.denies(ask("web", 22)), [unwatched]);
}

#[test]
fn a_port_that_a_rule_of_the_policy_leads_elsewhere_is_not_mapped() {
    let mut scene = behind(&[("web", "10.1.0.4")]);
    let taken = dnat(&[], ("198.51.100.1", 50_000), ("10.1.0.9", 80));
    let rules = ruled(100, &[(100, std::slice::from_ref(&taken))]);
    scene.does(&put(crate::gateways::policy(), rules));
    let request = scene.gets(ask("web", 22));
    assert_eq!(ports(&scene, request)[0].0, "198.51.100.1:50001");
}

#[test]
fn what_leads_to_a_machine_is_not_taken_from_under_an_access() {
    use hourgate_core::refusal::Refusal;
    let fault = |fault| vec![Refusal::Resource { id: firewall(), fault }];
    let rules = crate::gateways::policy;
    let standing = |tier, policy| walled(tier, "AzureFirewallSubnet", policy);
    let elsewhere =
        |sources: &[&str], port| dnat(sources, ("198.51.100.1", port), ("10.1.0.9", 80));
    let other_address = || {
        let configuration = FirewallConfiguration {
            name: name("ip"),
            subnet: Some(subnet("hub", "AzureFirewallSubnet")),
            public_address: Some(public("front")),
        };
        let (tier, policy) = (Tier::Standard, Some(crate::gateways::policy()));
        ViewDraft::Firewall(Firewall { tier, configurations: vec![configuration], policy })
    };
    let ruling = |rule: DnatRule| put(rules(), ruled(100, &[(100, std::slice::from_ref(&rule))]));
    let scene = behind(&[("web", "10.1.0.4"), ("db", "10.1.0.5")]);
    let rows: Vec<(&str, hourgate_core::command::Command)> = vec![
        ("the firewall goes", delete(firewall())),
        (
            "it is of a tier that maps nothing",
            put(firewall(), standing(Tier::Basic, Some(rules()))),
        ),
        ("it has no policy any more", put(firewall(), standing(Tier::Standard, None))),
        ("it has another public address", put(firewall(), other_address())),
        ("its address is another", put(public("outside"), public_of(Some("198.51.100.9")))),
    ];
    for (why, change) in &rows {
        let mut scene = scene.clone();
        let [first, second] = ["web", "db"].map(|of| scene.gets(ask(of, 22).lasting(hours(1))));
        let requests = [first, second].into();
        let lead = fault(ResourceFault::LeadsForAccesses { requests });
        assert_eq!(scene.refuses(change), lead, "{why}");
        // Allowed to break locks, it is refused all the same: that closes nothing.
        scene.settings.allow_lock_breaks = true;
        assert_eq!(scene.refuses(change), lead, "{why}");
        scene.does(&end(first));
        let requests = [second].into();
        let lead = fault(ResourceFault::LeadsForAccesses { requests });
        assert_eq!(scene.refuses(change), lead, "{why}");
        // Over, but noticed by nobody yet.
        scene.waits(hours(1));
        scene.does(change);
    }
    for (why, rule) in [
        ("from everywhere", elsewhere(&[], 50_000)),
        ("from the same address", elsewhere(&["203.0.113.7/32"], 50_000)),
    ] {
        let mut scene = scene.clone();
        let request = scene.gets(ask("web", 22));
        let at = place("198.51.100.1", 50_000);
        let taken = fault(ResourceFault::PortLeadsForAccess { at, request });
        assert_eq!(scene.refuses(&ruling(rule.clone())), taken, "{why}");
        scene.does(&ruling(elsewhere(&[], 50_001)));
        scene.does(&end(request));
        scene.does(&ruling(rule));
    }
    // What changes nothing of it goes on.
    let mut scene = scene.clone();
    scene.gets(ask("web", 22));
    scene.does(&put(firewall(), standing(Tier::Premium, Some(rules()))));
}

#[test]
fn a_rule_of_a_few_lines_does_not_stand_for_billions_of_translations() {
    let most = hourgate_core::resource::firewall_policy::DNAT_FLOWS_MAX;
    let sources = |count: usize| -> Vec<_> {
        (0..count)
            .map(|n| format!("10.{}.{}.0/24", n / 256, n % 256).parse().expect("a prefix"))
            .collect()
    };
    let ports = |count: u16| (1..=count).map(number).collect::<Vec<_>>();
    let of = |from: usize, to: u16| DnatRule {
        sources: sources(from),
        ports: ports(to),
        ..dnat(&[], ("198.51.100.1", 1), ("10.1.0.9", 80))
    };
    let one = of(0, 1);
    for (rules, fits) in [
        (vec![of(100, 100)], true),
        (vec![of(0, 10_000)], true),
        (vec![of(100, 100), one.clone()], false),
        (vec![of(0, 10_001)], false),
        (vec![DnatRule { carriers: Carrier::ALL.to_vec(), ..of(100, 51) }], false),
        (vec![of(60_000, u16::MAX)], false),
    ] {
        let mut scene = hub();
        let change = put(policy(), ruled(100, &[(100, &rules)]));
        if fits {
            scene.does(&change);
        } else {
            let fault = ResourceFault::TooManyParts { part: Part::DnatFlows, most };
            let refusal = hourgate_core::refusal::Refusal::Resource { id: policy(), fault };
            assert_eq!(scene.refuses(&change), [refusal]);
        }
    }
}

#[test]
fn an_access_counts_as_open_only_when_both_the_machine_and_the_firewall_say_so() {
    use hourgate_core::{command::Command, plan::Coverage};
    let mut scene = behind(&[("web", "10.1.0.4")]);
    let request = scene.gets(ask("web", 22));
    let inside = scene.word(&["10.1.0.4"]);
    scene.does(&inside);
    assert_eq!(scene.stage(request), "granted", "half of it");
    let led = |scene: &Scene, stands: bool| {
        let mut word = scene.word(&["10.1.0.4"]);
        if let Command::Observe { observed, .. } = &mut word {
            let locks = scene.state.locks();
            let needs = hourgate_core::open::mapped_needs(&scene.state, &locks, scene.now);
            let needs = needs.into_values().flatten().filter(|_| stands);
            observed.translations.each = needs.map(|n| (n.translation, n.onward)).collect();
            if let Coverage::Only(addresses) = &mut observed.coverage {
                addresses.insert(ip("198.51.100.1"));
            }
        }
        word
    };
    scene.does(&led(&scene.clone(), false));
    assert_eq!(scene.stage(request), "granted");
    scene.does(&led(&scene.clone(), true));
    assert_eq!(scene.stage(request), "seen open");
    let closed = scene.state.locks();
    scene.does(&end(request));
    let needs = hourgate_core::open::mapped_needs(&scene.state, &closed, scene.now);
    assert!(needs.is_empty(), "neither is needed any more");
}
