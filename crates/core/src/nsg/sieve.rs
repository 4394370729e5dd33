//! A group's rules turned on their side, so that the rule which decides a flow is found without looking at
//! the others, however they differ.
//!
//! For each part of a rule and each stretch of numbers within which no two flows differ, one bit a rule says
//! whether that part fits. A flow finds its stretch in each part and takes the first rule whose bits are all
//! set: what that costs follows from how many rules and stretches there are, and from nothing that is said
//! in them. The answer is exact; tests hold each one against the rule itself.

use std::net::IpAddr;

use super::{
    flow::{Carried, Flow, Portless, Transport},
    group::RULES_PER_GROUP_MAX,
    id::AsgId,
    place::{Places, ServiceTag},
    port::PortRange,
    rule::SecurityRule,
    surroundings::{Surroundings, asg_key},
    word::{Direction, Side},
};
use crate::network::Family;

/// How many words one bit a rule takes.
const WORDS_MAX: usize = RULES_PER_GROUP_MAX.div_ceil(64);

/// One bit for each rule of a direction, in the order in which they are looked at.
type Bits = [u64; WORDS_MAX];

const NONE: Bits = [0; WORDS_MAX];

/// The rules of one direction, by their numbers.
#[derive(Clone, Debug, Default)]
pub(super) struct Sieve {
    /// Where each stands in its group.
    places: Vec<u16>,
    source: End,
    destination: End,
    /// By [`transport_row`] and [`portless_row`].
    protocols: Vec<Bits>,
}

/// One side of the rules.
#[derive(Clone, Debug, Default)]
struct End {
    v4: Axis,
    v6: Axis,
    /// By [`tag_row`].
    tags: Vec<Bits>,
    /// By the group's key, and by itself where two have one key.
    asgs: Vec<(u64, AsgId, Bits)>,
    ports: Axis,
    /// Rules of every port: what carries none fits no others.
    every_port: Bits,
}

/// Which rules fit which numbers: row `n` is for those from `starts[n]` until the next start.
///
/// A group names at most 4,000 places and ranges on a side, so there are at most 8,001 rows of 128 bytes.
#[derive(Clone, Debug, Default)]
struct Axis {
    // INVARIANT: sorted; where there is any rule the first is 0.
    starts: Vec<u128>,
    rows: Vec<u64>,
    /// How many words a row has.
    words: usize,
}

impl Sieve {
    pub(super) fn new(rules: &[SecurityRule], direction: Direction) -> Sieve {
        let mut places: Vec<(u16, &SecurityRule)> =
            (0..).zip(rules).filter(|(_, rule)| rule.direction() == direction).collect();
        places.sort_by_key(|(_, rule)| rule.priority());
        let ordered: Vec<&SecurityRule> = places.iter().map(|(_, rule)| *rule).collect();
        let transports = Transport::ALL
            .map(|transport| bits(&ordered, |rule| rule.protocol().covers_transport(transport)));
        let portless = Portless::ALL.map(|portless| {
            bits(&ordered, |rule| rule.protocol().covers(Carried::Portless(portless)))
        });
        Sieve {
            places: places.iter().map(|(place, _)| *place).collect(),
            source: End::new(&ordered, Side::Source),
            destination: End::new(&ordered, Side::Destination),
            protocols: transports.into_iter().chain(portless).collect(),
        }
    }

    /// Where the rules stand in their group, in the order in which they are looked at.
    pub(super) fn places(&self) -> impl Iterator<Item = usize> {
        self.places.iter().map(|place| usize::from(*place))
    }

    /// Where the first rule stands that matches a flow.
    pub(super) fn first(&self, flow: &Flow, surroundings: &Surroundings) -> Option<usize> {
        if self.places.is_empty() {
            return None;
        }
        let mut left = self.destination.places(flow.address(Side::Destination), surroundings);
        and(&mut left, &self.source.places(flow.address(Side::Source), surroundings));
        let row = match flow.carried() {
            Carried::Ports { transport, source, destination } => {
                self.source.ports.narrow(&mut left, u128::from(source));
                self.destination.ports.narrow(&mut left, u128::from(destination));
                transport_row(transport)
            }
            Carried::Portless(portless) => {
                and(&mut left, &self.source.every_port);
                and(&mut left, &self.destination.every_port);
                portless_row(portless)
            }
        };
        and(&mut left, self.protocols.get(row)?);
        let (word, bits) = left.iter().enumerate().find(|(_, bits)| **bits != 0)?;
        let rule = word * 64 + bits.trailing_zeros() as usize;
        self.places.get(rule).map(|place| usize::from(*place))
    }
}

impl End {
    fn new(rules: &[&SecurityRule], side: Side) -> End {
        let of = |family| {
            Axis::new(rules, |rule| match rule.places(side) {
                Places::Any => vec![(0, u128::MAX)],
                Places::Prefixes(prefixes) => prefixes
                    .as_slice()
                    .iter()
                    .map(|prefix| prefix.net())
                    .filter(|net| Family::of_net(*net) == family)
                    .map(|net| (number(net.network()), number(net.broadcast())))
                    .collect(),
                Places::Tag(_) | Places::Asgs(_) => Vec::new(),
            })
        };
        let tagged = |tag| bits(rules, |rule| *rule.places(side) == Places::Tag(tag));
        let ports = Axis::new(rules, |rule| {
            let span = |range: &PortRange| (u128::from(range.first()), u128::from(range.last()));
            match rule.ports(side).ranges() {
                [] => vec![(0, u128::MAX)],
                ranges => ranges.iter().map(span).collect(),
            }
        });
        End {
            v4: of(Family::V4),
            v6: of(Family::V6),
            tags: ServiceTag::ALL.map(tagged).to_vec(),
            asgs: asgs(rules, side),
            ports,
            every_port: bits(rules, |rule| rule.ports(side).is_every_port()),
        }
    }

    /// The rules among whose places an address is.
    fn places(&self, address: IpAddr, surroundings: &Surroundings) -> Bits {
        let axis = match Family::of(address) {
            Family::V4 => &self.v4,
            Family::V6 => &self.v6,
        };
        let mut fit = axis.at(number(address));
        for tag in ServiceTag::ALL {
            if let Some(tagged) = self.tags.get(tag_row(tag))
                && *tagged != NONE
                && surroundings.tag(tag).contains(address)
            {
                or(&mut fit, tagged);
            }
        }
        if self.asgs.is_empty() {
            return fit;
        }
        for (key, asg) in surroundings.asgs_of(address) {
            let from = self.asgs.partition_point(|(known, ..)| known < key);
            let same = self.asgs[from..].iter().take_while(|(known, ..)| known == key);
            for (_, _, named) in same.filter(|(_, known, _)| known == asg) {
                or(&mut fit, named);
            }
        }
        fit
    }
}

impl Axis {
    /// From the numbers that fit each rule, as spans from … to …, which may overlap.
    fn new(rules: &[&SecurityRule], spans: impl Fn(&SecurityRule) -> Vec<(u128, u128)>) -> Axis {
        // Where a rule's spans begin, and where the first number behind them is.
        let mut turns: Vec<(u128, usize, i32)> = Vec::new();
        for (rule, said) in rules.iter().enumerate() {
            for (first, last) in spans(said) {
                turns.push((first, rule, 1));
                turns.extend(last.checked_add(1).map(|behind| (behind, rule, -1)));
            }
        }
        turns.sort_unstable_by_key(|(at, ..)| *at);
        let words = rules.len().div_ceil(64);
        let mut axis = Axis { starts: Vec::new(), rows: Vec::new(), words };
        let (mut row, mut depth) = (NONE, vec![0_i32; rules.len()]);
        if turns.first().is_none_or(|(at, ..)| *at > 0) {
            axis.push(0, &row);
        }
        for stretch in turns.chunk_by(|one, next| one.0 == next.0) {
            for (_, rule, step) in stretch {
                depth[*rule] += step;
                let bit = 1 << (rule % 64);
                match depth[*rule] {
                    0 => row[rule / 64] &= !bit,
                    _ => row[rule / 64] |= bit,
                }
            }
            if let Some((at, ..)) = stretch.first() {
                axis.push(*at, &row);
            }
        }
        axis
    }

    fn push(&mut self, start: u128, row: &Bits) {
        self.starts.push(start);
        self.rows.extend_from_slice(&row[..self.words]);
    }

    /// The rules that a number fits.
    fn row(&self, number: u128) -> &[u64] {
        let behind = self.starts.partition_point(|start| *start <= number);
        let from = behind.saturating_sub(1) * self.words;
        self.rows.get(from..from + self.words).unwrap_or_default()
    }

    fn at(&self, number: u128) -> Bits {
        let mut bits = NONE;
        bits.iter_mut().zip(self.row(number)).for_each(|(to, from)| *to = *from);
        bits
    }

    /// Keeps of these rules those that a number fits.
    fn narrow(&self, left: &mut Bits, number: u128) {
        left.iter_mut().zip(self.row(number)).for_each(|(left, row)| *left &= row);
    }
}

/// The rules of which something holds.
fn bits(rules: &[&SecurityRule], holds: impl Fn(&SecurityRule) -> bool) -> Bits {
    let mut bits = NONE;
    for (index, rule) in rules.iter().enumerate() {
        if holds(rule) {
            bits[index / 64] |= 1 << (index % 64);
        }
    }
    bits
}

/// The rules that name each application security group on a side, by its key.
fn asgs(rules: &[&SecurityRule], side: Side) -> Vec<(u64, AsgId, Bits)> {
    let mut named: Vec<(u64, &AsgId, usize)> = Vec::new();
    for (index, rule) in rules.iter().enumerate() {
        if let Places::Asgs(asgs) = rule.places(side) {
            named.extend(asgs.as_slice().iter().map(|asg| (asg_key(asg), asg, index)));
        }
    }
    named.sort_unstable();
    let same = named.chunk_by(|one, next| one.1 == next.1);
    let row = |same: &[(u64, &AsgId, usize)]| {
        let (key, asg, _) = same.first()?;
        let mut bits = NONE;
        same.iter().for_each(|(_, _, index)| bits[index / 64] |= 1 << (index % 64));
        Some((*key, (*asg).clone(), bits))
    };
    same.filter_map(row).collect()
}

fn and(left: &mut Bits, with: &Bits) {
    left.iter_mut().zip(with).for_each(|(left, with)| *left &= with);
}

fn or(left: &mut Bits, with: &Bits) {
    left.iter_mut().zip(with).for_each(|(left, with)| *left |= with);
}

fn number(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(v4) => u128::from(v4.to_bits()),
        IpAddr::V6(v6) => v6.to_bits(),
    }
}

fn tag_row(tag: ServiceTag) -> usize {
    match tag {
        ServiceTag::VirtualNetwork => 0,
        ServiceTag::Internet => 1,
        ServiceTag::AzureLoadBalancer => 2,
    }
}

fn transport_row(transport: Transport) -> usize {
    match transport {
        Transport::Tcp => 0,
        Transport::Udp => 1,
        Transport::Other => 2,
    }
}

fn portless_row(portless: Portless) -> usize {
    match portless {
        Portless::Icmp => 3,
        Portless::Esp => 4,
        Portless::Ah => 5,
        Portless::Other => 6,
    }
}
