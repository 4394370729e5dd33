//! A group's rules as a few numbers each, so that most rules are passed over without being read.
//!
//! A thousand rules are looked at for each flow, so a line fits into a cache line, and what few rules need
//! stands beside. What is kept here of a rule is never narrower than the rule: what it lets pass is then
//! compared with the rule itself, so a mistake in speed cannot widen one.

use std::{
    hash::{DefaultHasher, Hash, Hasher},
    net::IpAddr,
};

use super::{
    flow::{Carried, Flow, Portless, Transport},
    id::AsgId,
    place::{Places, Prefix, ServiceTag},
    port::{PortRange, Ports},
    rule::SecurityRule,
    surroundings::Surroundings,
    word::{Direction, Side},
};
use crate::network::Family;

/// The rules of one direction, by their numbers.
#[derive(Clone, Debug, Default)]
pub(super) struct Sieve {
    lines: Vec<Line>,
    lists: Lists,
}

/// What is kept of a rule.
#[derive(Clone, Debug)]
struct Line {
    source: End,
    destination: End,
    /// Where the rule stands in its group; a group has fewer rules than 65536.
    place: u16,
    /// One bit for each protocol that can match.
    protocols: u8,
    /// One bit for each family that can match.
    families: u8,
    /// Where the lists of the rule stand, if the two ends do not say it all.
    more: Option<u16>,
}

/// One side of a rule.
#[derive(Clone, Debug)]
struct End {
    /// What all its prefixes have in common: the fields of [`Bits`], which alone would be padded.
    bits: u64,
    mask: u64,
    half: Half,
    /// From the first of its ports to the last.
    ports: PortRange,
    /// The bits of its tag or of its application security groups, or [`NO_NAME`].
    names: u8,
}

/// What does not fit into lines.
#[derive(Clone, Debug, Default)]
struct Lists {
    of_rules: Vec<[Listed; 2]>,
    prefixes: Vec<Bits>,
    ranges: Vec<PortRange>,
}

/// Where the prefixes and the ranges of one side stand among all; nowhere where its end says it all.
#[derive(Clone, Copy, Debug, Default)]
struct Listed {
    prefixes: Part,
    ranges: Part,
}

/// From where to where some of many stand. A group names at most 4,000 on a side.
#[derive(Clone, Copy, Debug, Default)]
struct Part {
    start: u16,
    end: u16,
}

/// Bits that all addresses of a prefix have, in one half of a left-aligned address.
///
/// Of a prefix longer than a half only the second is kept: machines of one subnet differ in that.
#[derive(Clone, Copy, Debug)]
struct Bits {
    bits: u64,
    mask: u64,
    half: Half,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Half {
    First = 0,
    Second = 1,
}

/// The same numbers of a flow.
struct Wanted {
    source: WantedEnd,
    destination: WantedEnd,
    protocol: u8,
    family: u8,
}

struct WantedEnd {
    /// The address, by [`Half`].
    halves: [u64; 2],
    /// Without a port only rules of every port can match, and those have 0 too.
    port: u16,
    /// The bits of the names that the address has, and [`NO_NAME`].
    names: u8,
}

impl Sieve {
    pub(super) fn new(rules: &[SecurityRule], direction: Direction) -> Sieve {
        let mut places: Vec<(u16, &SecurityRule)> =
            (0..).zip(rules).filter(|(_, rule)| rule.direction() == direction).collect();
        places.sort_by_key(|(_, rule)| rule.priority());
        let mut sieve = Sieve::default();
        for (place, rule) in places {
            let end = |side| End::new(rule.places(side), rule.ports(side));
            let line = Line {
                source: end(Side::Source),
                destination: end(Side::Destination),
                place,
                protocols: protocols(rule),
                families: families(rule.places(Side::Source))
                    & families(rule.places(Side::Destination)),
                more: sieve.lists.keep(rule),
            };
            sieve.lines.push(line);
        }
        sieve
    }

    /// Where the rules stand in their group, in the order in which they are looked at.
    pub(super) fn places(&self) -> impl Iterator<Item = usize> {
        self.lines.iter().map(|line| usize::from(line.place))
    }

    /// Where the rules stand that can match a flow, in the order in which they are looked at.
    pub(super) fn candidates(
        &self,
        flow: &Flow,
        surroundings: &Surroundings,
    ) -> impl Iterator<Item = usize> {
        let wanted = Wanted::new(flow, surroundings);
        self.lines
            .iter()
            .filter(move |line| line.can_match(&wanted) && self.lists.can_match(line, &wanted))
            .map(|line| usize::from(line.place))
    }
}

impl Line {
    fn can_match(&self, wanted: &Wanted) -> bool {
        self.protocols & wanted.protocol != 0
            && self.families & wanted.family != 0
            && self.destination.can_be(&wanted.destination)
            && self.source.can_be(&wanted.source)
    }
}

impl End {
    fn new(places: &Places, ports: &Ports) -> End {
        let prefixes = places.prefixes().iter().map(Bits::of);
        let Bits { bits, mask, half } = prefixes.reduce(Bits::common).unwrap_or(Bits::ANY);
        let ranges = ports.ranges();
        let first = ranges.iter().map(|range| range.first()).min().unwrap_or(0);
        let last = ranges.iter().map(|range| range.last()).max().unwrap_or(u16::MAX);
        End {
            bits,
            mask,
            half,
            ports: PortRange::new(first, last).unwrap_or(PortRange::ALL),
            names: match places {
                Places::Tag(tag) => tag_bit(*tag),
                Places::Asgs(asgs) => {
                    asgs.as_slice().iter().fold(0, |names, asg| names | asg_bit(asg))
                }
                Places::Any | Places::Prefixes(_) => NO_NAME,
            },
        }
    }

    fn can_be(&self, wanted: &WantedEnd) -> bool {
        self.ports.contains(wanted.port)
            && Bits { bits: self.bits, mask: self.mask, half: self.half }.has(wanted)
            && self.names & wanted.names != 0
    }
}

impl Lists {
    /// Keeps the lists of a rule, and says where, unless its line says it all.
    fn keep(&mut self, rule: &SecurityRule) -> Option<u16> {
        let place = u16::try_from(self.of_rules.len()).ok()?;
        let mut needed = false;
        let lists = [Side::Source, Side::Destination].map(|side| {
            let mut listed = Listed::default();
            let prefixes: Vec<Bits> = rule.places(side).prefixes().iter().map(Bits::of).collect();
            if prefixes.len() > 1 {
                listed.prefixes = appended(&mut self.prefixes, &prefixes);
            }
            let ranges = rule.ports(side).ranges();
            if ranges.len() > 1 {
                listed.ranges = appended(&mut self.ranges, ranges);
            }
            needed |= listed.prefixes.is_somewhere() || listed.ranges.is_somewhere();
            listed
        });
        needed.then(|| {
            self.of_rules.push(lists);
            place
        })
    }

    fn can_match(&self, line: &Line, wanted: &Wanted) -> bool {
        let Some(place) = line.more else { return true };
        let [source, destination] = &self.of_rules[usize::from(place)];
        self.can_be(source, &wanted.source) && self.can_be(destination, &wanted.destination)
    }

    fn can_be(&self, listed: &Listed, wanted: &WantedEnd) -> bool {
        listed.prefixes.any(&self.prefixes, |prefix| prefix.has(wanted))
            && listed.ranges.any(&self.ranges, |range| range.contains(wanted.port))
    }
}

impl Part {
    fn is_somewhere(self) -> bool {
        self.end > 0
    }

    /// Whether one of these has it; nowhere says nothing against it.
    fn any<T>(self, all: &[T], has: impl Fn(&T) -> bool) -> bool {
        !self.is_somewhere() || all[usize::from(self.start)..usize::from(self.end)].iter().any(has)
    }
}

/// Where they stand then; nowhere if there are too many, which is not narrower: the rule itself is asked.
fn appended<T: Copy>(all: &mut Vec<T>, these: &[T]) -> Part {
    let (start, end) = (u16::try_from(all.len()), u16::try_from(all.len() + these.len()));
    let (Ok(start), Ok(end)) = (start, end) else { return Part::default() };
    all.extend_from_slice(these);
    Part { start, end }
}

impl Wanted {
    fn new(flow: &Flow, surroundings: &Surroundings) -> Wanted {
        let end = |side| {
            let halves = halves(flow.address(side));
            let port = flow.port(side).unwrap_or(0);
            let tags = ServiceTag::ALL
                .into_iter()
                .filter(|tag| surroundings.tag(*tag).contains(flow.address(side)))
                .map(tag_bit);
            let asgs = surroundings.asgs_of(flow.address(side)).map(asg_bit);
            let names = tags.chain(asgs).fold(NO_NAME, |names, bit| names | bit);
            WantedEnd { halves, port, names }
        };
        Wanted {
            source: end(Side::Source),
            destination: end(Side::Destination),
            protocol: match flow.carried() {
                Carried::Ports { transport, .. } => transport_bit(transport),
                Carried::Portless(portless) => portless_bit(portless),
            },
            family: family_bit(flow.family()),
        }
    }
}

impl Bits {
    const ANY: Bits = Bits { bits: 0, mask: 0, half: Half::First };

    fn of(prefix: &Prefix) -> Bits {
        let [first, second] = halves(prefix.net().addr());
        match prefix.net().prefix_len().checked_sub(64) {
            None | Some(0) => {
                let mask = first_bits(prefix.net().prefix_len());
                Bits { bits: first, mask, half: Half::First }
            }
            Some(length) => Bits { bits: second, mask: first_bits(length), half: Half::Second },
        }
    }

    fn common(self, other: Bits) -> Bits {
        if self.half != other.half {
            return Bits::ANY;
        }
        // The bits before the first in which they differ; all 64 where they do not.
        let same = u64::MAX
            .checked_shr((self.bits ^ other.bits).leading_zeros())
            .map_or(u64::MAX, |behind| !behind);
        let mask = self.mask & other.mask & same;
        Bits { bits: self.bits & mask, mask, half: self.half }
    }

    fn has(self, wanted: &WantedEnd) -> bool {
        (wanted.halves[self.half as usize] ^ self.bits) & self.mask == 0
    }
}

fn first_bits(length: u8) -> u64 {
    u64::MAX.checked_shr(u32::from(length)).map_or(u64::MAX, |behind| !behind)
}

/// The two halves of an address, left-aligned in 128 bits.
fn halves(address: IpAddr) -> [u64; 2] {
    match address {
        IpAddr::V4(v4) => [u64::from(v4.to_bits()) << 32, 0],
        // Each has 64 bits.
        IpAddr::V6(v6) => [(v6.to_bits() >> 64) as u64, v6.to_bits() as u64],
    }
}

/// The protocols that can match: those without ports only where the rule names every port.
fn protocols(rule: &SecurityRule) -> u8 {
    let every_port =
        [Side::Source, Side::Destination].into_iter().all(|side| rule.ports(side).is_every_port());
    let transports = Transport::ALL
        .into_iter()
        .filter(|transport| rule.protocol().covers_transport(*transport))
        .map(transport_bit);
    let portless = Portless::ALL
        .into_iter()
        .filter(|portless| every_port && rule.protocol().covers(Carried::Portless(*portless)))
        .map(portless_bit);
    transports.chain(portless).fold(0, |all, bit| all | bit)
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

/// What every address has, and every side that names nothing.
const NO_NAME: u8 = 1 << 7;
/// The bits that stand for application security groups, several for each: a line has room for no more.
const ASG_BITS: [u8; 4] = [1 << 3, 1 << 4, 1 << 5, 1 << 6];

fn asg_bit(asg: &AsgId) -> u8 {
    let mut hasher = DefaultHasher::new();
    asg.hash(&mut hasher);
    ASG_BITS[(hasher.finish() % 4) as usize]
}

fn tag_bit(tag: ServiceTag) -> u8 {
    match tag {
        ServiceTag::VirtualNetwork => 1,
        ServiceTag::Internet => 1 << 1,
        ServiceTag::AzureLoadBalancer => 1 << 2,
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
