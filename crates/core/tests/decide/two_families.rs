//! A machine of IPv4 and IPv6: each address is locked, opened and led to by itself (P2, P13).

use hourgate_core::{
    command::Command,
    gateway::{Carrier, Front, MAPPED_PORTS, Unfit, fixed, front},
    plan::Observed,
    refusal::Refusal,
    resource::{
        Kind, ResourceId, ViewDraft,
        firewall::{Firewall, FirewallConfiguration, Tier},
        load_balancer::{Frontend, FrontendAddress, InboundNatRule, LoadBalancer},
        network_interface::{IpConfigurationDraft, NetworkInterfaceDraft},
        public_ip::{Allocation, PublicIpAddress},
    },
};

use crate::{effect::*, gateways, network::*, scene::*};

/// `web` at 10.0.0.4 and fd00::4 in one network, behind `inner`.
fn dual() -> Scene {
    let mut scene = scene().vm("web", &["10.0.0.4", "fd00::4"]);
    scene.does(&put(nsg("inner"), nsg_of(vec![])));
    let subnets = [("a", "10.0.0.0/24 fd00::/64", None)];
    scene.does(&put(vnet("v"), vnet_of(&["10.0.0.0/16", "fd00::/48"], &subnets)));
    let at = |name: &str, address: &str| {
        configuration(name, Some(subnet("v", "a")), at_address(address))
    };
    let view = NetworkInterfaceDraft {
        security_group: nsg("inner").security_group(),
        configurations: vec![
            IpConfigurationDraft { primary: true, ..at("v4", "10.0.0.4") },
            at("v6", "fd00::4"),
        ],
    };
    scene.does(&put(nic("web-nic"), ViewDraft::NetworkInterface(view)));
    scene
}

#[test]
fn a_rule_that_lets_both_in_breaks_both_locks_each_from_its_own_family() {
    let mut scene = dual().policy("p", vec![member("web", vec![ssh()])]);
    let change = put(nsg("inner"), nsg_of(vec![allow("near", 200, "VirtualNetwork")]));
    let refusals = scene.refuses(&change).into_iter();
    let mut told: Vec<(String, String)> = refusals
        .map(|refusal| match refusal {
            Refusal::LockWouldBreak { broken } => {
                (broken.lock.address.to_string(), broken.from.to_string())
            }
            other => panic!("{other:?}"),
        })
        .collect();
    told.sort();
    let expected = [("10.0.0.4", "10.0.0.0"), ("fd00::4", "fd00::")];
    assert_eq!(told, expected.map(|(at, from)| (at.to_owned(), from.to_owned())));
}

#[test]
fn open_on_one_of_two_addresses_is_not_open() {
    // A source of both families is `*` alone, which takes somebody else's yes.
    let mut scene = web(rule(22));
    let id = scene.gets(ask("web", 22));
    let request = scene.state.requests.get_mut(&id).expect("known");
    std::sync::Arc::make_mut(request).accesses[0].source = source("*");
    let all = ["10.0.0.4", "fd00::4"];
    let half = |word: Command, kept: &str| {
        let Command::Observe { guard, vms, observed } = word else { panic!("a word") };
        let openings = observed.openings.into_iter();
        let openings = openings.filter(|(opening, _)| opening.address() == ip(kept)).collect();
        Command::Observe { guard, vms, observed: Observed { openings, ..observed } }
    };
    for address in all {
        scene.does(&half(scene.word(&all), address));
        assert_eq!(scene.stage(id), "granted", "{address} alone");
    }
    scene.does(&scene.word(&all));
    assert_eq!(scene.stage(id), "seen open");
}

fn public6(name: &str, address: &str) -> Command {
    let view = PublicIpAddress {
        address: Some(ip(address)),
        allocation: Allocation::Static,
        family: hourgate_core::network::Family::V6,
    };
    put(public(name), ViewDraft::PublicIpAddress(view))
}

/// A machine of IPv6 in a hub of both families, with a firewall that has these public addresses.
fn behind_a_firewall(publics: &[&str]) -> Scene {
    let mut scene = scene();
    let subnets =
        [("AzureFirewallSubnet", "10.0.0.0/26", None), ("a", "10.0.1.0/24 fd00:0:0:1::/64", None)];
    scene.does(&put(vnet("hub"), vnet_of(&["10.0.0.0/16", "fd00::/48"], &subnets)));
    scene.does(&put(public("outside"), public_of(Some("198.51.100.1"))));
    scene.does(&public6("outside6", "2001:db8::1"));
    scene.does(&put(gateways::policy(), gateways::ruled(100, &[])));
    let configuration_of = |(n, name): (usize, &&str)| FirewallConfiguration {
        name: name.parse().expect("a name"),
        subnet: (n == 0).then(|| subnet("hub", "AzureFirewallSubnet")),
        public_address: Some(public(name)),
    };
    let configurations = publics.iter().enumerate().map(configuration_of).collect();
    let policy = Some(gateways::policy());
    let view = ViewDraft::Firewall(Firewall { tier: Tier::Standard, configurations, policy });
    scene.does(&put(gateways::firewall(), view));
    let at = configuration("ip", Some(subnet("hub", "a")), at_address("fd00:0:0:1::4"));
    scene.does(&put(nic("m"), nic_of(vec![at])));
    scene
}

#[test]
fn a_machine_is_reached_through_an_address_of_its_own_family() {
    let at = |scene: &Scene| front(&scene.state.network, ip("fd00:0:0:1::4"));
    let firewall = gateways::firewall();
    let unfit = Front::Unfit { firewall: firewall.clone(), why: Unfit::NoPublicAddress };
    assert_eq!(at(&behind_a_firewall(&["outside"])), unfit);
    let both = behind_a_firewall(&["outside", "outside6"]);
    assert_eq!(at(&both), Front::Firewall { firewall, address: ip("2001:db8::1") });
}

/// A load balancer's rule that leads an interface's address, over a protocol.
fn balanced(frontend: &str, address: &str, carrier: Carrier) -> Scene {
    let mut scene = behind_a_firewall(&["outside6"]);
    let name = |text: &str| text.parse().expect("a name");
    let balancer: ResourceId = id(Kind::LoadBalancers, "lb");
    let rule = InboundNatRule {
        name: name("in"),
        frontend: name("f"),
        carrier,
        port: port(2222),
        to: port(22),
    };
    let at = FrontendAddress::Public(public(frontend));
    let view =
        LoadBalancer { frontends: vec![Frontend { name: name("f"), at }], nat_rules: vec![rule] };
    scene.does(&put(public("front"), public_of(Some("198.51.100.2"))));
    scene.does(&put(balancer.clone(), ViewDraft::LoadBalancer(view)));
    let led = hourgate_core::resource::InboundNatRuleId { balancer, name: name("in") };
    let its = IpConfigurationDraft {
        nat_rules: vec![led],
        ..configuration("ip", Some(subnet("hub", "a")), at_address(address))
    };
    scene.does(&put(nic("n"), nic_of(vec![its])));
    scene
}

#[test]
fn an_inbound_nat_rule_leads_within_a_family_and_over_its_own_protocol() {
    let each = |scene: &Scene| fixed(&scene.state.network, MAPPED_PORTS).each;
    assert!(each(&balanced("front", "fd00:0:0:1::9", Carrier::Tcp)).is_empty(), "from 4 to 6");
    for carrier in Carrier::ALL {
        let each = each(&balanced("front", "10.0.1.9", carrier));
        let told: Vec<(Carrier, String)> =
            each.iter().map(|(t, onward)| (t.carrier(), onward.to.to_string())).collect();
        assert_eq!(told, [(carrier, "10.0.1.9:22".to_owned())]);
    }
}
