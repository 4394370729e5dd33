//! A group's rules as a few numbers each, so that most rules are passed over without being read.
//!
//! A thousand rules are looked at for each flow. What is kept here of a rule is never narrower than the
//! rule: what it lets pass is then compared with the rule itself, so a mistake in speed cannot widen one.

use std::net::IpAddr;

use super::{
    flow::{Carried, Flow, Portless, Transport},
    place::Places,
    port::Ports,
    rule::SecurityRule,
    word::{Direction, Side},
};
use crate::network::Family;

/// The rules of one direction, by their numbers.
#[derive(Clone, Debug)]
pub(super) struct Sieve(Vec<Line>);

/// What is kept of a rule.
#[derive(Clone, Debug)]
struct Line {
    source: Bits,
    destination: Bits,
    source_ports: (u16, u16),
    destination_ports: (u16, u16),
    /// Where the rule stands in its group; a group has fewer rules than 65536.
    place: u16,
    /// One bit for each protocol that can match.
    protocols: u8,
    /// One bit for each family that can match.
    families: u8,
}

/// The first bits that all addresses of a side have, left-aligned in 64.
#[derive(Clone, Copy, Debug)]
struct Bits {
    bits: u64,
    mask: u64,
}

/// The same numbers of a flow.
struct Wanted {
    source: u64,
    destination: u64,
    source_port: u16,
    destination_port: u16,
    protocol: u8,
    family: u8,
}

impl Sieve {
    pub(super) fn new(rules: &[SecurityRule], direction: Direction) -> Sieve {
        let mut places: Vec<(u16, &SecurityRule)> =
            (0..).zip(rules).filter(|(_, rule)| rule.direction() == direction).collect();
        places.sort_by_key(|(_, rule)| rule.priority());
        Sieve(places.into_iter().map(|(place, rule)| Line::new(place, rule)).collect())
    }

    /// Where the rules stand in their group, in the order in which they are looked at.
    pub(super) fn places(&self) -> impl Iterator<Item = usize> {
        self.0.iter().map(|line| usize::from(line.place))
    }

    /// Where the rules stand that can match a flow, in the order in which they are looked at.
    pub(super) fn candidates(&self, flow: &Flow) -> impl Iterator<Item = usize> {
        let wanted = Wanted::new(flow);
        self.0
            .iter()
            .filter(move |line| line.can_match(&wanted))
            .map(|line| usize::from(line.place))
    }
}

impl Line {
    fn new(place: u16, rule: &SecurityRule) -> Line {
        let (sources, destinations) = (rule.places(Side::Source), rule.places(Side::Destination));
        let (from, to) = (rule.ports(Side::Source), rule.ports(Side::Destination));
        let every_port = from.is_every_port() && to.is_every_port();
        let transports = Transport::ALL
            .into_iter()
            .filter(|transport| rule.protocol().covers_transport(*transport))
            .map(transport_bit);
        let portless = Portless::ALL
            .into_iter()
            .filter(|portless| every_port && rule.protocol().covers(Carried::Portless(*portless)))
            .map(portless_bit);
        Line {
            source: Bits::of(sources),
            destination: Bits::of(destinations),
            source_ports: hull(from),
            destination_ports: hull(to),
            place,
            protocols: transports.chain(portless).fold(0, |all, bit| all | bit),
            families: families(sources) & families(destinations),
        }
    }

    fn can_match(&self, wanted: &Wanted) -> bool {
        let within = |(first, last): (u16, u16), port: u16| first <= port && port <= last;
        self.protocols & wanted.protocol != 0
            && self.families & wanted.family != 0
            && within(self.destination_ports, wanted.destination_port)
            && self.destination.has(wanted.destination)
            && self.source.has(wanted.source)
            && within(self.source_ports, wanted.source_port)
    }
}

impl Wanted {
    fn new(flow: &Flow) -> Wanted {
        Wanted {
            source: left_aligned(flow.address(Side::Source)),
            destination: left_aligned(flow.address(Side::Destination)),
            // Without ports only rules of every port can match, and those have 0 too.
            source_port: flow.port(Side::Source).unwrap_or(0),
            destination_port: flow.port(Side::Destination).unwrap_or(0),
            protocol: match flow.carried() {
                Carried::Ports { transport, .. } => transport_bit(transport),
                Carried::Portless(portless) => portless_bit(portless),
            },
            family: family_bit(flow.family()),
        }
    }
}

impl Bits {
    const ANY: Bits = Bits { bits: 0, mask: 0 };

    fn of(places: &Places) -> Bits {
        let mut prefixes = places.prefixes().iter().map(|prefix| prefix.net());
        let Some(first) = prefixes.next() else { return Bits::ANY };
        let bits = left_aligned(first.addr());
        let common = prefixes.fold(u32::from(first.prefix_len()), |common, net| {
            let same = (left_aligned(net.addr()) ^ bits).leading_zeros();
            common.min(u32::from(net.prefix_len())).min(same)
        });
        let mask = u64::MAX.checked_shr(common).map_or(u64::MAX, |behind| !behind);
        Bits { bits: bits & mask, mask }
    }

    fn has(self, address: u64) -> bool {
        (address ^ self.bits) & self.mask == 0
    }
}

fn left_aligned(address: IpAddr) -> u64 {
    match address {
        IpAddr::V4(v4) => u64::from(v4.to_bits()) << 32,
        // The other half is left to the rule itself.
        IpAddr::V6(v6) => (v6.to_bits() >> 64) as u64,
    }
}

fn hull(ports: &Ports) -> (u16, u16) {
    let first = ports.ranges().iter().map(|range| range.first()).min().unwrap_or(0);
    let last = ports.ranges().iter().map(|range| range.last()).max().unwrap_or(u16::MAX);
    (first, last)
}

fn families(places: &Places) -> u8 {
    let of_prefix = places.prefixes().first().map(|prefix| Family::of_net(prefix.net()));
    of_prefix.map_or(family_bit(Family::V4) | family_bit(Family::V6), family_bit)
}

fn family_bit(family: Family) -> u8 {
    match family {
        Family::V4 => 1,
        Family::V6 => 1 << 1,
    }
}

fn transport_bit(transport: Transport) -> u8 {
    match transport {
        Transport::Tcp => 1,
        Transport::Udp => 1 << 1,
        Transport::Other => 1 << 2,
    }
}

fn portless_bit(portless: Portless) -> u8 {
    match portless {
        Portless::Icmp => 1 << 3,
        Portless::Esp => 1 << 4,
        Portless::Ah => 1 << 5,
        Portless::Other => 1 << 6,
    }
}
