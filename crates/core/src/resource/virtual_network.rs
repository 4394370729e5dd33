//! What is understood of a virtual network: its addresses, its subnets, and the networks it is joined to.

use std::{collections::BTreeMap, net::IpAddr};

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use super::id::ResourceId;
use crate::{id::Name, network::Family, nsg::id::GroupId};

/// How many subnets a network may have (Azure's).
pub const SUBNETS_MAX: usize = 3_000;
/// How many prefixes a network, or one of its subnets, may have; Azure's bound for subnets is smaller.
pub const PREFIXES_MAX: usize = 100;
/// How many networks a network may be joined to (Azure's).
pub const PEERS_MAX: usize = 500;
/// The lengths an IPv4 prefix may have: a longer one has no address left beside those that are reserved
/// (source: Azure's `virtual-networks-faq`).
pub const LENGTHS_V4: std::ops::RangeInclusive<u8> = 2..=29;
/// The one length of an IPv6 subnet (same source).
pub const SUBNET_LENGTH_V6: u8 = 64;
/// How many addresses at the beginning of a prefix are the network's own (same source): its number, the
/// gateway, two for names.
pub const RESERVED_FIRST: u128 = 4;

/// A virtual network.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct VirtualNetwork {
    /// Its addresses, in the order sent.
    pub address_space: Vec<IpNet>,
    /// Its subnets.
    #[serde(with = "crate::pairs")]
    pub subnets: BTreeMap<Name, Subnet>,
    /// The networks that it says it is joined to. It is where they say so too.
    pub peers: Vec<ResourceId>,
}

/// A part of a network.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subnet {
    /// Its addresses, in the order sent.
    pub prefixes: Vec<IpNet>,
    /// The group through which the flows of all its interfaces go.
    pub security_group: Option<GroupId>,
}

/// A virtual network as it was sent: names may stand twice, prefixes may have host bits.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct VirtualNetworkDraft {
    /// Its addresses.
    pub address_space: Vec<IpNet>,
    /// Its subnets; none where nothing was said of them: then those that are stored stay, as in Azure.
    pub subnets: Option<Vec<(Name, Subnet)>>,
    /// The networks it shall be joined to; none where nothing was said of them: then it stays joined as it is.
    pub peers: Option<Vec<ResourceId>>,
}

impl Subnet {
    /// The prefix that holds an address.
    pub fn prefix_of(&self, address: IpAddr) -> Option<IpNet> {
        self.prefixes.iter().copied().find(|prefix| prefix.contains(&address))
    }

    /// Its addresses of one family that an interface can have, in order.
    pub fn usable(&self, family: Family) -> impl Iterator<Item = IpAddr> {
        self.prefixes.iter().filter(move |prefix| Family::of_net(**prefix) == family).flat_map(
            |prefix| {
                (number(prefix.network()).saturating_add(RESERVED_FIRST)
                    ..number(prefix.broadcast()))
                    .map({
                        let family = Family::of_net(*prefix);
                        move |n| address(family, n)
                    })
            },
        )
    }
}

/// Whether an address is one of the five of its prefix that no interface gets: the first four and the last.
pub fn is_reserved(prefix: IpNet, address: IpAddr) -> bool {
    let n = number(address);
    n < number(prefix.network()).saturating_add(RESERVED_FIRST) || n == number(prefix.broadcast())
}

fn number(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(v4) => u128::from(v4.to_bits()),
        IpAddr::V6(v6) => v6.to_bits(),
    }
}

fn address(family: Family, number: u128) -> IpAddr {
    match family {
        // Within a prefix of IPv4 every number has 32 bits.
        Family::V4 => {
            std::net::Ipv4Addr::from_bits(u32::try_from(number).unwrap_or(u32::MAX)).into()
        }
        Family::V6 => std::net::Ipv6Addr::from_bits(number).into(),
    }
}
