//! Sets of flows: exact, laws of sets, and a flow is in what passes exactly if it is let through.

use hourgate_core::{
    network::{Lock, Opening},
    nsg::{
        addresses::Addresses,
        flow::{Carried, Flow, Portless, Transport},
        judge::judge,
        passing::passing,
        port::PortRange,
        region::Region,
        spans::Spans,
        word::{Access, Direction},
    },
};
use proptest::{collection::vec, prelude::*, sample::select};

use crate::{
    judging::Built,
    naive,
    random::{MACHINE, cases, groups},
    scene::*,
};

/// Small spans, some of them at the very end of the numbers.
fn spans() -> impl Strategy<Value = Vec<(u128, u128)>> {
    vec((0u128..40, 0u128..6, any::<bool>()), 0..6).prop_map(|parts| {
        let part = |(first, more, high): (u128, u128, bool)| match high {
            true => (u128::MAX - first, u128::MAX - first.saturating_sub(more)),
            false => (first, first + more),
        };
        parts.into_iter().map(part).collect()
    })
}

fn numbers() -> impl Iterator<Item = u128> {
    (0..50).chain((0..50).map(|n| u128::MAX - n))
}

fn net(text: &str) -> ipnet::IpNet {
    text.parse().expect("a prefix")
}

const PIECES: &[&str] = &[
    "10.0.0.0/30",
    "10.0.0.2/31",
    "10.0.0.4/32",
    "0.0.0.0/0",
    "128.0.0.0/1",
    "::/0",
    "fd00::/127",
];

fn region() -> impl Strategy<Value = Region> {
    let piece = (
        select(Transport::ALL.as_slice()),
        select([(0, 65_535), (0, 21), (22, 22), (20, 30), (30, 65_535)].as_slice()),
        select(PIECES),
    );
    vec(piece, 0..5).prop_map(|pieces| {
        pieces.into_iter().fold(Region::nothing(), |all, (transport, (first, last), text)| {
            let ports = [PortRange::new(first, last).expect("a range")];
            all.union(&Region::of(transport, &ports, &Addresses::of([net(text)])))
        })
    })
}

proptest! {
    #![proptest_config(cases(1_000))]

    #[test]
    fn spans_are_sets_of_numbers(a in spans(), b in spans()) {
        let has = |spans: &[(u128, u128)], n| spans.iter().any(|(from, to)| (*from..=*to).contains(&n));
        let (x, y) = (Spans::many(a.clone()), Spans::many(b.clone()));
        let (union, both, minus) = (x.union(&y), x.intersection(&y), x.minus(&y));
        for n in numbers() {
            let (in_a, in_b) = (has(&a, n), has(&b, n));
            prop_assert_eq!(x.contains(n), in_a, "{}", n);
            prop_assert_eq!(union.contains(n), in_a || in_b, "{}", n);
            prop_assert_eq!(both.contains(n), in_a && in_b, "{}", n);
            prop_assert_eq!(minus.contains(n), in_a && !in_b, "{}", n);
        }
        for set in [&x, &union, &both, &minus] {
            let apart = |pair: &[(u128, u128)]| pair[0].1 < u128::MAX && pair[0].1 + 1 < pair[1].0;
            prop_assert!(set.as_slice().windows(2).all(apart), "written in one way: {:?}", set);
        }
    }

    #[test]
    fn addresses_are_their_prefixes(texts in vec(select(PIECES), 0..5), less in select(PIECES)) {
        let set = Addresses::of(texts.iter().map(|text| net(text)));
        for set in [set.clone(), set.minus(&Addresses::of([net(less)]))] {
            let prefixes = set.prefixes();
            prop_assert_eq!(&Addresses::of(prefixes.clone()), &set);
            prop_assert_eq!(ipnet::IpNet::aggregate(&prefixes), prefixes, "the fewest");
            prop_assert!(set.first().is_none_or(|first| set.contains(first)));
        }
    }

    #[test]
    fn regions_obey_the_laws_of_sets(a in region(), b in region(), c in region()) {
        let nothing = Region::nothing();
        prop_assert_eq!(a.union(&b), b.union(&a));
        prop_assert_eq!(a.intersection(&b), b.intersection(&a));
        prop_assert_eq!(a.union(&b).union(&c), a.union(&b.union(&c)));
        prop_assert_eq!(
            a.intersection(&b.union(&c)),
            a.intersection(&b).union(&a.intersection(&c))
        );
        prop_assert_eq!(a.intersection(&b), a.minus(&a.minus(&b)));
        prop_assert_eq!(a.minus(&b).union(&a.intersection(&b)), a.clone());
        prop_assert_eq!(a.minus(&b).minus(&c), a.minus(&b.union(&c)));
        prop_assert_eq!(a.union(&b).minus(&b), a.minus(&b));
        prop_assert_eq!(a.union(&nothing), a.clone());
        prop_assert!(a.minus(&a).is_empty() && a.intersection(&nothing).is_empty());
        prop_assert_eq!(a.is_empty(), a == nothing);
    }

    #[test]
    fn regions_are_sets_of_flows(a in region(), b in region()) {
        let (union, both, minus) = (a.union(&b), a.intersection(&b), a.minus(&b));
        let addresses = ["9.255.255.255", "10.0.0.0", "10.0.0.1", "10.0.0.2", "10.0.0.3", "10.0.0.4",
            "10.0.0.5", "128.0.0.0", "255.255.255.255", "::", "fd00::", "fd00::1", "fd00::2"];
        for transport in Transport::ALL {
            for port in [0, 19, 20, 21, 22, 23, 29, 30, 31, 65_535] {
                for address in addresses.map(ip) {
                    let (in_a, in_b) =
                        (a.has(transport, address, port), b.has(transport, address, port));
                    prop_assert_eq!(union.has(transport, address, port), in_a || in_b);
                    prop_assert_eq!(both.has(transport, address, port), in_a && in_b);
                    prop_assert_eq!(minus.has(transport, address, port), in_a && !in_b);
                }
            }
        }
        for to in [lock("10.0.0.4", 22), lock("fd00::4", 22)] {
            match a.example(to) {
                Some(flow) => prop_assert!(a.contains(&flow)),
                None => {
                    let known = ip(if to.address.is_ipv6() { "fd00::1" } else { "10.0.0.2" });
                    prop_assert!(!a.sources().contains(known));
                }
            }
        }
    }
}

proptest! {
    #![proptest_config(cases(1_000))]

    #[test]
    fn what_passes_is_what_is_let_through(groups in groups(8), number in select([22u16, 3_389].as_slice())) {
        let (built, world, around) = (Built::of(&groups), world(), surroundings());
        for machine in MACHINE {
            let to: Lock = lock(machine, number);
            let region = passing(built.layers(), &around, to);
            let rules: Vec<_> = groups.rules().collect();
            for flow in naive::flows_to((to.address, number), &rules, &[&world], &[]) {
                let pass = groups.pass(&world, &flow);
                prop_assert_eq!(region.contains(&flow), pass, "{:?}", flow);
                let judged = judge(built.layers(), Direction::Inbound, &flow, &around);
                prop_assert_eq!(judged.access == Access::Allow, pass, "{:?}", flow);
            }
            if let Some(flow) = region.example(to) {
                prop_assert!(groups.pass(&world, &flow), "an example passes: {:?}", flow);
            } else {
                prop_assert!(region.is_empty());
            }
        }
    }
}

#[test]
fn an_opening_is_tcp_from_every_port_of_its_source() {
    let opening: Opening = opening("203.0.113.0/24", "10.0.0.4", 22);
    let region = Region::of_opening(&opening);
    assert!(region.has(Transport::Tcp, ip("203.0.113.255"), 0));
    assert!(!region.has(Transport::Tcp, ip("203.0.114.0"), 50_000));
    assert!(!region.has(Transport::Udp, ip("203.0.113.7"), 50_000));
    let carried = Carried::Portless(Portless::Icmp);
    let ping = Flow::new(ip("203.0.113.7"), ip("10.0.0.4"), carried).expect("a flow");
    assert!(!region.contains(&ping), "what has no port goes to none");
}

/// As many as a group may name on each side: what is worked out must follow what is named, not the product.
#[test]
fn thousands_of_ports_and_addresses_of_one_rule_are_worked_out_at_once() {
    let ports: Vec<PortRange> = (0..4_000).map(|n| PortRange::one(2 * n + 1)).collect();
    let nets = (0..4_000u32).map(|n| {
        let address = std::net::Ipv4Addr::from_bits(0x0a00_0000 | (n << 9));
        ipnet::IpNet::new(address.into(), 24).expect("a prefix")
    });
    let addresses = Addresses::of(nets);
    let all = Region::from(&Addresses::everything());
    let named = Region::of(Transport::Tcp, &ports, &addresses);
    let (left, share) = (all.minus(&named), all.intersection(&named));
    assert_eq!(share, named);
    assert_eq!(left.union(&named), all);
    assert!(left.intersection(&named).is_empty());
    assert_eq!(named.sources(), addresses);
    let inside = "10.0.2.9".parse().expect("an address");
    assert!(named.has(Transport::Tcp, inside, 7_999) && !left.has(Transport::Tcp, inside, 7_999));
    assert!(!named.has(Transport::Tcp, inside, 8_000) && left.has(Transport::Tcp, inside, 8_000));
    // However they were written.
    let [one, two, both] = [(1, 9), (5, 20), (1, 20)]
        .map(|(first, last)| PortRange::new(first, last).expect("a range"));
    let of = |ports: &[PortRange]| Region::of(Transport::Udp, ports, &addresses);
    assert_eq!(of(&[two, one]), of(&[both]));
}

/// As many rules as a group may have, each with ports and addresses of its own: every port is about others of them.
#[test]
fn rules_that_all_differ_in_their_ports_are_worked_out_at_once() {
    let line = |n: u32| {
        let (access, last) = (["Deny", "Allow"][n as usize % 2], 60 * (n + 1));
        format!("r{n} {} {access} * 10.{}.{}.0/25@0-{last} > 10.0.0.4@22", 100 + n, n >> 8, n & 255)
    };
    let lines: Vec<String> = (0..1_000).map(line).collect();
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    let group = group("g", &lines);
    let region = passing(layers(None, Some(&group)), &surroundings(), lock("10.0.0.4", 22));
    for (from, port, passes) in [
        ("10.0.1.9", 0, true),
        ("10.0.1.9", 120, true),
        ("10.0.1.9", 121, false),
        ("10.0.2.9", 0, false),
        ("10.3.231.9", 60_000, true),
        ("10.3.231.9", 60_001, false),
        ("10.3.231.200", 0, false),
    ] {
        assert_eq!(region.has(Transport::Tcp, ip(from), port), passes, "{from} from {port}");
    }
}
