//! What names stand for around a NIC, and that a name of which nothing is known matches nothing.

use hourgate_core::nsg::{
    judge::judge,
    place::ServiceTag,
    surroundings::Surroundings,
    word::{Access, Direction},
};

use crate::scene::*;

#[test]
fn tags_are_disjoint_and_internet_is_public() {
    let around = surroundings();
    let rows = [
        ("the network", "10.0.0.9", Some(ServiceTag::VirtualNetwork)),
        ("the network, IPv6", "fd00::9", Some(ServiceTag::VirtualNetwork)),
        ("the public internet", "203.0.113.7", Some(ServiceTag::Internet)),
        ("the public internet, IPv6", "2001:db8::7", Some(ServiceTag::Internet)),
        ("probes", "168.63.129.16", Some(ServiceTag::AzureLoadBalancer)),
        ("a balancer's neighbour", "168.63.129.17", Some(ServiceTag::Internet)),
        ("private, outside of the network", "10.0.1.9", None),
        ("private", "172.16.0.1", None),
        ("private", "192.168.0.1", None),
        ("behind a carrier's translation", "100.64.0.1", None),
        ("loopback", "127.0.0.1", None),
        ("link-local", "169.254.169.254", None),
        ("multicast", "224.0.0.1", None),
        ("this network", "0.0.0.0", None),
        ("link-local, IPv6", "fe80::1", None),
        ("unique local, outside of the network", "fd01::1", None),
        ("loopback, IPv6", "::1", None),
    ];
    for (why, address, tag) in rows {
        let of: Vec<ServiceTag> = ServiceTag::ALL
            .into_iter()
            .filter(|tag| around.tag(*tag).contains(ip(address)))
            .collect();
        assert_eq!(of, tag.into_iter().collect::<Vec<_>>(), "{why}: {address}");
    }
}

#[test]
fn a_network_of_public_addresses_is_not_the_internet() {
    let around = Surroundings::new(["203.0.113.0/24".parse().expect("a prefix")], [], []);
    assert!(around.tag(ServiceTag::VirtualNetwork).contains(ip("203.0.113.7")));
    assert!(!around.tag(ServiceTag::Internet).contains(ip("203.0.113.7")));
}

#[test]
fn a_name_of_which_nothing_is_known_matches_nothing() {
    let nothing = Surroundings::new([], [], []);
    let flow = tcp("10.0.0.77", "10.0.0.4", 22);
    let says = |line: &str| {
        let nic = group("nic", &[line, "rest 4096 Allow Udp * > *"]);
        let verdict = judge(layers(None, Some(&nic)), Direction::Inbound, &flow, &nothing);
        (verdict.access, verdict.by.map(|by| by.rule.name().to_string()).unwrap_or_default())
    };
    let closed = (Access::Deny, "DenyAllInBound".to_owned());
    assert_eq!(says("a 100 Allow * VirtualNetwork > *"), closed, "an allow fails closed");
    assert_eq!(says("a 100 Allow * asg:jump > *"), closed);
    assert_eq!(says("a 100 Allow * * > asg:web"), closed);
    let open = |line: &str| {
        let nic = group("nic", &[line, "rest 4096 Allow * * > *"]);
        let verdict = judge(layers(None, Some(&nic)), Direction::Inbound, &flow, &nothing);
        verdict.access
    };
    assert_eq!(open("a 100 Deny * asg:jump > *"), Access::Allow, "a deny is no guess either");
}
