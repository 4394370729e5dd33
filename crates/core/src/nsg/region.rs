//! Sets of flows to one port of one address: exact union, intersection and difference.
//!
//! A flow to a port is a transport, a port it comes from, and an address it comes from. Protocols without
//! ports go to no port, so a lock says nothing about them and they have no place here.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
    sync::Arc,
};

use super::{
    addresses::Addresses,
    flow::{Carried, Flow, Transport},
    port::PortRange,
    spans::Spans,
    word::Side,
};
use crate::network::{Family, Lock, Opening};

/// A set of flows to one port of one address. Which port and address is its user's to know.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Region {
    tcp: Area,
    udp: Area,
    other: Area,
}

impl Region {
    /// No flow.
    pub const fn nothing() -> Region {
        Region { tcp: Area::nothing(), udp: Area::nothing(), other: Area::nothing() }
    }

    /// Every flow of any transport, from any port of these addresses.
    pub fn from(addresses: &Addresses) -> Region {
        Transport::ALL.into_iter().fold(Region::nothing(), |all, transport| {
            all.union(&Region::of(transport, &[PortRange::ALL], addresses))
        })
    }

    /// The flows of a transport from any of these ports of these addresses.
    pub fn of(transport: Transport, ports: &[PortRange], addresses: &Addresses) -> Region {
        Region::nothing().with(transport, Area::of(ports, addresses))
    }

    /// The flows of a transport from these ports of these addresses: slabs in order, no port twice.
    pub(super) fn of_slabs(
        transport: Transport,
        slabs: impl Iterator<Item = (PortRange, Arc<Addresses>)>,
    ) -> Region {
        let mut area = Area::nothing();
        slabs.for_each(|(ports, addresses)| area.append(ports.first(), ports.last(), addresses));
        Region::nothing().with(transport, area)
    }

    /// The flows of an opening: TCP from any port of its source.
    pub fn of_opening(opening: &Opening) -> Region {
        Region::of(Transport::Tcp, &[PortRange::ALL], &Addresses::of([opening.source()]))
    }

    /// Whether there is no flow.
    pub fn is_empty(&self) -> bool {
        Transport::ALL.into_iter().all(|transport| self.area(transport).0.is_empty())
    }

    /// The flows of either.
    #[must_use]
    pub fn union(&self, other: &Region) -> Region {
        self.combine(other, Addresses::union)
    }

    /// The flows of both.
    #[must_use]
    pub fn intersection(&self, other: &Region) -> Region {
        self.combine(other, Addresses::intersection)
    }

    /// The flows that the other does not have.
    #[must_use]
    pub fn minus(&self, other: &Region) -> Region {
        self.combine(other, Addresses::minus)
    }

    /// Whether it has a flow of a transport from a port of an address.
    pub fn has(&self, transport: Transport, source: IpAddr, source_port: u16) -> bool {
        let slabs = &self.area(transport).0;
        slabs
            .iter()
            .find(|(ports, _)| ports.contains(source_port))
            .is_some_and(|(_, addresses)| addresses.contains(source))
    }

    /// Whether it has a flow. Where that goes to is its user's to know.
    pub fn contains(&self, flow: &Flow) -> bool {
        match flow.carried() {
            Carried::Ports { transport, source, .. } => {
                self.has(transport, flow.address(Side::Source), source)
            }
            Carried::Portless(_) => false,
        }
    }

    /// The addresses that flows in it come from, over any transport and from any port.
    pub fn sources(&self) -> Addresses {
        let slabs = Transport::ALL.into_iter().flat_map(|transport| &self.area(transport).0);
        let mut seen = BTreeSet::new();
        let each = slabs.filter(|(_, addresses)| seen.insert(Arc::as_ptr(addresses)));
        each.fold(Addresses::nothing(), |all, (_, addresses)| all.union(addresses))
    }

    /// One of its flows to a port, for a message; none if it has none of that address's family.
    pub fn example(&self, to: Lock) -> Option<Flow> {
        let family = Addresses::family(Family::of(to.address));
        Transport::ALL.into_iter().find_map(|transport| {
            self.area(transport).0.iter().find_map(|(ports, addresses)| {
                let from = addresses.intersection(&family).first()?;
                // The last port: clients take theirs from the upper end, and nobody's is 0.
                let (source, destination) = (ports.last(), to.port.number());
                Flow::new(from, to.address, Carried::Ports { transport, source, destination })
            })
        })
    }

    /// The addresses that flows of a transport come from, by the ports they come from: sorted, no port twice.
    pub fn slabs(&self, transport: Transport) -> impl Iterator<Item = (PortRange, &Addresses)> {
        self.area(transport).0.iter().map(|(ports, addresses)| (*ports, &**addresses))
    }

    fn with(mut self, transport: Transport, area: Area) -> Region {
        match transport {
            Transport::Tcp => self.tcp = area,
            Transport::Udp => self.udp = area,
            Transport::Other => self.other = area,
        }
        self
    }

    fn area(&self, transport: Transport) -> &Area {
        match transport {
            Transport::Tcp => &self.tcp,
            Transport::Udp => &self.udp,
            Transport::Other => &self.other,
        }
    }

    fn combine(&self, other: &Region, with: Combine) -> Region {
        Region {
            tcp: self.tcp.combine(&other.tcp, with),
            udp: self.udp.combine(&other.udp, with),
            other: self.other.combine(&other.other, with),
        }
    }
}

/// How two sets of addresses become one. Of two empty sets it makes an empty one.
type Combine = fn(&Addresses, &Addresses) -> Addresses;

/// Addresses by the ports that flows come from: sorted slabs of ports, none without addresses, and none
/// beside another of the same addresses, so that a set is written in one way.
///
/// A rule can name thousands of ports and thousands of addresses. Its slabs share those, and what is worked out of
/// two that are shared is shared again: time and memory follow what is named, and not the product.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
struct Area(Vec<(PortRange, Arc<Addresses>)>);

static NOBODY: Addresses = Addresses::nothing();

impl Area {
    const fn nothing() -> Area {
        Area(Vec::new())
    }

    /// The same addresses from any of these ports.
    fn of(ports: &[PortRange], addresses: &Addresses) -> Area {
        if addresses.is_empty() {
            return Area::nothing();
        }
        let shared = Arc::new(addresses.clone());
        let spans = ports.iter().map(|range| (range.first().into(), range.last().into()));
        let ranges = Spans::many(spans);
        let ranges = ranges.as_slice().iter().filter_map(|(first, last)| {
            PortRange::new(u16::try_from(*first).ok()?, u16::try_from(*last).ok()?)
        });
        Area(ranges.map(|range| (range, Arc::clone(&shared))).collect())
    }

    /// Walks over both at once, from one port where either changes to the next.
    fn combine(&self, other: &Area, with: Combine) -> Area {
        let mut made = Area::nothing();
        let mut known: BTreeMap<[*const Addresses; 2], Arc<Addresses>> = BTreeMap::new();
        let meet_once = self.0.len() <= 1 && other.0.len() <= 1;
        let (mut a, mut b) = (self.0.as_slice(), other.0.as_slice());
        let mut from = 0;
        loop {
            let (of_a, a_until) = at(a, from);
            let (of_b, b_until) = at(b, from);
            let until = a_until.min(b_until);
            let both = || Arc::new(with(of_a, of_b));
            let addresses = if meet_once {
                both()
            } else {
                let key = [of_a, of_b].map(std::ptr::from_ref);
                Arc::clone(known.entry(key).or_insert_with(both))
            };
            made.append(from, until, addresses);
            let Some(next) = until.checked_add(1) else { return made };
            from = next;
            a = past(a, until);
            b = past(b, until);
        }
    }

    fn append(&mut self, first: u16, last: u16, addresses: Arc<Addresses>) {
        if addresses.is_empty() {
            return;
        }
        let begin = match self.0.last() {
            Some((before, same)) if before.last() + 1 == first && *same == addresses => {
                before.first()
            }
            Some(_) | None => first,
        };
        if begin < first {
            self.0.pop();
        }
        if let Some(ports) = PortRange::new(begin, last) {
            self.0.push((ports, addresses));
        }
    }
}

/// The addresses at a port that lies in the first slab or before it, and the last port up to which they stay the
/// same.
fn at(slabs: &[(PortRange, Arc<Addresses>)], port: u16) -> (&Addresses, u16) {
    match slabs.first() {
        Some((ports, addresses)) if ports.first() <= port => (addresses, ports.last()),
        Some((ports, _)) => (&NOBODY, ports.first() - 1),
        None => (&NOBODY, u16::MAX),
    }
}

/// The slabs that go on behind a port.
fn past(slabs: &[(PortRange, Arc<Addresses>)], until: u16) -> &[(PortRange, Arc<Addresses>)] {
    match slabs.split_first() {
        Some(((ports, _), rest)) if ports.last() <= until => rest,
        Some(_) | None => slabs,
    }
}
