//! Sets of addresses of both families, by exact arithmetic.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Subnets, Ipv6Subnets};

use super::spans::Spans;
use crate::network::Family;

/// A set of addresses.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Addresses {
    // INVARIANT: numbers of `v4` fit into 32 bits.
    v4: Spans,
    v6: Spans,
}

impl Addresses {
    /// No address.
    pub const fn nothing() -> Addresses {
        Addresses { v4: Spans::nothing(), v6: Spans::nothing() }
    }

    /// Every address of both families.
    pub fn everything() -> Addresses {
        Addresses::of([Family::V4.all(), Family::V6.all()])
    }

    /// Every address of one family.
    pub fn family(family: Family) -> Addresses {
        Addresses::of([family.all()])
    }

    /// The addresses of prefixes; host bits do not count.
    pub fn of(nets: impl IntoIterator<Item = IpNet>) -> Addresses {
        let (mut v4, mut v6) = (Vec::new(), Vec::new());
        for net in nets {
            let span = (number(net.network()), number(net.broadcast()));
            match Family::of_net(net) {
                Family::V4 => v4.push(span),
                Family::V6 => v6.push(span),
            }
        }
        Addresses { v4: Spans::many(v4), v6: Spans::many(v6) }
    }

    /// The addresses of one family with these numbers.
    // INVARIANT: the caller's numbers of IPv4 fit into 32 bits.
    pub(super) fn of_spans(family: Family, spans: Spans) -> Addresses {
        match family {
            Family::V4 => Addresses { v4: spans, v6: Spans::nothing() },
            Family::V6 => Addresses { v4: Spans::nothing(), v6: spans },
        }
    }

    /// Whether there is no address.
    pub fn is_empty(&self) -> bool {
        self.v4.is_empty() && self.v6.is_empty()
    }

    /// Whether an address is among them.
    pub fn contains(&self, address: IpAddr) -> bool {
        self.spans(Family::of(address)).contains(number(address))
    }

    /// Whether every address of a family is among them.
    pub fn covers(&self, family: Family) -> bool {
        Addresses::family(family).minus(self).is_empty()
    }

    /// The addresses of either.
    #[must_use]
    pub fn union(&self, other: &Addresses) -> Addresses {
        Addresses { v4: self.v4.union(&other.v4), v6: self.v6.union(&other.v6) }
    }

    /// The addresses of both.
    #[must_use]
    pub fn intersection(&self, other: &Addresses) -> Addresses {
        Addresses { v4: self.v4.intersection(&other.v4), v6: self.v6.intersection(&other.v6) }
    }

    /// The addresses that the other does not have.
    #[must_use]
    pub fn minus(&self, other: &Addresses) -> Addresses {
        Addresses { v4: self.v4.minus(&other.v4), v6: self.v6.minus(&other.v6) }
    }

    /// The first of them, IPv4 before IPv6.
    pub fn first(&self) -> Option<IpAddr> {
        let of = |family| self.spans(family).as_slice().first().map(|(first, _)| *first);
        of(Family::V4)
            .map(|first| v4(first).into())
            .or_else(|| of(Family::V6).map(|first| Ipv6Addr::from_bits(first).into()))
    }

    /// The fewest prefixes that stand for them, in order.
    pub fn prefixes(&self) -> Vec<IpNet> {
        let ipv4 =
            self.v4.as_slice().iter().flat_map(|(first, last)| {
                Ipv4Subnets::new(v4(*first), v4(*last), 0).map(IpNet::V4)
            });
        let ipv6 = self.v6.as_slice().iter().flat_map(|(first, last)| {
            let (first, last) = (Ipv6Addr::from_bits(*first), Ipv6Addr::from_bits(*last));
            Ipv6Subnets::new(first, last, 0).map(IpNet::V6)
        });
        ipv4.chain(ipv6).collect()
    }

    /// Those of one family, as numbers.
    pub(super) fn spans(&self, family: Family) -> &Spans {
        match family {
            Family::V4 => &self.v4,
            Family::V6 => &self.v6,
        }
    }
}

fn number(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(v4) => u128::from(v4.to_bits()),
        IpAddr::V6(v6) => v6.to_bits(),
    }
}

fn v4(number: u128) -> Ipv4Addr {
    // The set holds numbers of 32 bits alone; anything else would end at the last address.
    Ipv4Addr::from_bits(u32::try_from(number).unwrap_or(u32::MAX))
}
