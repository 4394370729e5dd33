//! The places of a rule: `*`, a service tag, prefixes, or application security groups.

use std::{fmt, net::IpAddr, str::FromStr};

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use super::id::AsgId;
use crate::network::{Source, SourceError};

/// Addresses that have a name; what they are around one NIC stands in [`super::surroundings`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum ServiceTag {
    /// The virtual network, its peers, and what is connected to it.
    VirtualNetwork,
    /// What lies outside of it and is reached over the public internet.
    Internet,
    /// The load balancer's probes.
    AzureLoadBalancer,
}

impl ServiceTag {
    /// Every tag that is known here.
    pub const ALL: [ServiceTag; 3] =
        [ServiceTag::VirtualNetwork, ServiceTag::Internet, ServiceTag::AzureLoadBalancer];

    /// As Azure writes it.
    pub const fn as_str(self) -> &'static str {
        match self {
            ServiceTag::VirtualNetwork => "VirtualNetwork",
            ServiceTag::Internet => "Internet",
            ServiceTag::AzureLoadBalancer => "AzureLoadBalancer",
        }
    }
}

/// An address or a prefix without host bits, written as it was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Prefix {
    // INVARIANT: no host bits; `bare` only where the length is the family's longest.
    net: IpNet,
    bare: bool,
}

impl Prefix {
    /// A prefix, written with its length; none if it has host bits.
    pub fn new(net: IpNet) -> Option<Prefix> {
        (net.trunc() == net).then_some(Prefix { net, bare: false })
    }

    /// One address, written bare.
    pub fn address(address: IpAddr) -> Prefix {
        Prefix { net: IpNet::from(address), bare: true }
    }

    /// Where a grant lets in from, without host bits; one address is written bare.
    pub fn of_source(net: IpNet) -> Prefix {
        Prefix { net: net.trunc(), bare: net.prefix_len() == net.max_prefix_len() }
    }

    /// The prefix it stands for.
    pub fn net(self) -> IpNet {
        self.net
    }
}

impl fmt::Display for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.bare { self.net.addr().fmt(f) } else { self.net.fmt(f) }
    }
}

/// One place, as it stands alone in a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// `*`: every address of both families.
    Any,
    /// A tag.
    Tag(ServiceTag),
    /// An address or a prefix.
    Prefix(Prefix),
    /// The machines of an application security group.
    Asg(AsgId),
}

/// Why a text is no place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum PlaceProblem {
    /// Neither `*`, nor an address or prefix, nor a tag known here, nor an application security group's id.
    NotAPlace,
    /// Bits behind the prefix length are set. It is refused, not cut: `10.0.0.5/24` may have been meant
    /// as one machine, and cutting would let 255 others in.
    HostBits {
        /// The prefix without its host bits.
        meant: IpNet,
    },
    /// An IPv4 address dressed as IPv6, which no firewall matches as either.
    Mapped,
}

impl FromStr for Place {
    type Err = PlaceProblem;

    fn from_str(text: &str) -> Result<Place, PlaceProblem> {
        if text == "*" {
            return Ok(Place::Any);
        }
        let tag = ServiceTag::ALL.into_iter().find(|tag| tag.as_str().eq_ignore_ascii_case(text));
        if let Some(tag) = tag {
            return Ok(Place::Tag(tag));
        }
        if text.starts_with('/') {
            return text.parse().map(Place::Asg).map_err(|_| PlaceProblem::NotAPlace);
        }
        match text.parse() {
            Ok(Source::Address(address)) => Ok(Place::Prefix(Prefix::address(address))),
            Ok(Source::Prefix(net)) => Ok(Place::Prefix(Prefix { net, bare: false })),
            // A source may be called "any"; a security rule knows `*` alone.
            Ok(Source::Any) | Err(SourceError::NotAnAddress) => Err(PlaceProblem::NotAPlace),
            Err(SourceError::HostBits { meant }) => Err(PlaceProblem::HostBits { meant }),
            Err(SourceError::Mapped) => Err(PlaceProblem::Mapped),
        }
    }
}

/// How many application security groups one side of a rule may name (Azure's).
pub const ASGS_PER_SIDE_MAX: usize = 10;

/// The places of one side of a rule.
///
/// `*` and a tag stand alone, and prefixes and application security groups do not stand together
/// (Azure's rules for augmented rules).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Places {
    /// `*`.
    Any,
    /// A tag.
    Tag(ServiceTag),
    /// Addresses and prefixes of one family, in the order sent.
    Prefixes(PrefixList),
    /// Application security groups, in the order sent.
    Asgs(AsgList),
}

/// Prefixes: at least one, all of one family, none twice; one may lie within another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PrefixList(pub(super) Vec<Prefix>);

impl PrefixList {
    /// The prefixes, in the order sent.
    pub fn as_slice(&self) -> &[Prefix] {
        &self.0
    }
}

/// Application security groups: one to ten, none twice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AsgList(pub(super) Vec<AsgId>);

impl AsgList {
    /// The groups, in the order sent.
    pub fn as_slice(&self) -> &[AsgId] {
        &self.0
    }
}

impl Places {
    /// One address, written bare.
    pub fn address(address: IpAddr) -> Places {
        Places::Prefixes(PrefixList(vec![Prefix::address(address)]))
    }

    /// Addresses, written bare.
    // INVARIANT: the caller's are of one family, at least one, none twice.
    pub(super) fn addresses(addresses: impl IntoIterator<Item = IpAddr>) -> Places {
        Places::Prefixes(PrefixList(addresses.into_iter().map(Prefix::address).collect()))
    }

    /// One prefix.
    pub fn prefix(prefix: Prefix) -> Places {
        Places::Prefixes(PrefixList(vec![prefix]))
    }

    /// The prefixes it names; none for the other kinds.
    pub fn prefixes(&self) -> &[Prefix] {
        match self {
            Places::Prefixes(PrefixList(prefixes)) => prefixes,
            Places::Any | Places::Tag(_) | Places::Asgs(_) => &[],
        }
    }

    /// How many places it names; `*` is one.
    pub fn count(&self) -> usize {
        match self {
            Places::Any | Places::Tag(_) => 1,
            Places::Prefixes(PrefixList(prefixes)) => prefixes.len(),
            Places::Asgs(AsgList(asgs)) => asgs.len(),
        }
    }

    /// As Azure writes them, one text a place; application security groups by their ids.
    pub fn texts(&self) -> Vec<String> {
        match self {
            Places::Any => vec!["*".to_owned()],
            Places::Tag(tag) => vec![tag.as_str().to_owned()],
            Places::Prefixes(PrefixList(prefixes)) => {
                prefixes.iter().map(Prefix::to_string).collect()
            }
            Places::Asgs(AsgList(asgs)) => asgs.iter().map(AsgId::to_string).collect(),
        }
    }
}
