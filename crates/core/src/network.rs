//! Ports, addresses, sources, and the two things a firewall is told: locks and openings.

use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    num::NonZeroU16,
    str::FromStr,
};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use serde::{Deserialize, Serialize};

/// A TCP port, 1 to 65535.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Port(NonZeroU16);

impl Port {
    /// The one of the least number.
    pub const FIRST: Port = Port(NonZeroU16::MIN);

    /// The port of that number; none for 0.
    pub const fn new(number: u16) -> Option<Port> {
        match NonZeroU16::new(number) {
            Some(number) => Some(Port(number)),
            None => None,
        }
    }

    /// Its number.
    pub const fn number(self) -> u16 {
        self.0.get()
    }
}

impl fmt::Display for Port {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// IPv4 or IPv6.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Family {
    /// IPv4.
    V4,
    /// IPv6.
    V6,
}

impl Family {
    /// The family of an address.
    pub fn of(address: IpAddr) -> Family {
        match address {
            IpAddr::V4(_) => Family::V4,
            IpAddr::V6(_) => Family::V6,
        }
    }

    /// The family of a prefix.
    pub fn of_net(net: IpNet) -> Family {
        Family::of(net.addr())
    }

    /// Every address of the family, as a prefix.
    pub fn all(self) -> IpNet {
        match self {
            Family::V4 => IpNet::V4(Ipv4Net::new_assert(Ipv4Addr::UNSPECIFIED, 0)),
            Family::V6 => IpNet::V6(Ipv6Net::new_assert(Ipv6Addr::UNSPECIFIED, 0)),
        }
    }
}

impl fmt::Display for Family {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Family::V4 => "IPv4",
            Family::V6 => "IPv6",
        })
    }
}

/// Prefixes shorter than this count as any source (product P2).
pub const ANY_SHORTER_THAN_V4: u8 = 8;
/// The same for IPv6.
pub const ANY_SHORTER_THAN_V6: u8 = 16;

/// Where traffic may come from: anywhere, one address, or a prefix without host bits.
///
/// An address and the prefix of its full length mean the same and are written as they were sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Source {
    /// Any address of either family; written `*`.
    Any,
    /// One address; written bare.
    Address(IpAddr),
    /// A prefix; written with its length.
    Prefix(IpNet),
}

impl Source {
    /// Whether it names no place: `*`, or a prefix so short that it means the world.
    pub fn is_any(self) -> bool {
        match self {
            Source::Any => true,
            Source::Address(_) => false,
            Source::Prefix(IpNet::V4(net)) => net.prefix_len() < ANY_SHORTER_THAN_V4,
            Source::Prefix(IpNet::V6(net)) => net.prefix_len() < ANY_SHORTER_THAN_V6,
        }
    }

    /// The one address it stands for, if it is one.
    pub fn single(self) -> Option<IpAddr> {
        match self {
            Source::Any => None,
            Source::Address(address) => Some(address),
            Source::Prefix(net) => (net.prefix_len() == net.max_prefix_len()).then(|| net.addr()),
        }
    }

    /// As a prefix within one family; none where the source has no address of that family.
    pub fn within(self, family: Family) -> Option<IpNet> {
        let net = match self {
            Source::Any => family.all(),
            Source::Address(address) => IpNet::from(address),
            Source::Prefix(net) => net,
        };
        (Family::of_net(net) == family).then_some(net)
    }

    /// The families it has addresses of.
    pub fn families(self) -> Vec<Family> {
        [Family::V4, Family::V6].into_iter().filter(|f| self.within(*f).is_some()).collect()
    }

    /// Whether both stand for the same addresses, however they were written.
    pub fn same_as(self, other: Source) -> bool {
        [Family::V4, Family::V6].into_iter().all(|f| self.within(f) == other.within(f))
    }
}

/// Why a text is no source.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum SourceError {
    /// Neither `*` nor an address nor a prefix.
    NotAnAddress,
    /// Bits behind the prefix length are set; the prefix that was probably meant.
    HostBits {
        /// The prefix without its host bits.
        meant: IpNet,
    },
    /// An IPv4 address dressed as IPv6, which no firewall matches as either.
    Mapped,
}

impl FromStr for Source {
    type Err = SourceError;

    fn from_str(text: &str) -> Result<Source, SourceError> {
        if text == "*" || text.eq_ignore_ascii_case("any") {
            return Ok(Source::Any);
        }
        let source = if let Ok(address) = text.parse::<IpAddr>() {
            Source::Address(address)
        } else if let Ok(net) = text.parse::<IpNet>() {
            if net.trunc() != net {
                return Err(SourceError::HostBits { meant: net.trunc() });
            }
            Source::Prefix(net)
        } else {
            return Err(SourceError::NotAnAddress);
        };
        match source {
            Source::Address(IpAddr::V6(v6)) if v6.to_ipv4_mapped().is_some() => {
                Err(SourceError::Mapped)
            }
            Source::Prefix(IpNet::V6(net))
                if net.prefix_len() >= 96 && net.addr().to_ipv4_mapped().is_some() =>
            {
                Err(SourceError::Mapped)
            }
            Source::Any | Source::Address(_) | Source::Prefix(_) => Ok(source),
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Source::Any => f.write_str("*"),
            Source::Address(address) => address.fmt(f),
            Source::Prefix(net) => net.fmt(f),
        }
    }
}

impl Serialize for Source {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Source {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Source, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(|_| serde::de::Error::custom("not a source"))
    }
}

/// A port of an address that JIT keeps closed, over every transport protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Lock {
    /// The VM's address.
    pub address: IpAddr,
    /// The port that is closed on it.
    pub port: Port,
}

/// What becomes of a connection when the access under which it began ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Sessions {
    /// It goes on, as in Azure.
    GoOn,
    /// It ends with the access: no payload either way, and a reset to both ends.
    EndWithAccess,
}

/// What a firewall must let through: TCP from `source` to `port` of `address`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "OpeningFields", into = "OpeningFields")]
pub struct Opening {
    // INVARIANT: `source` has no host bits and is of the family of `address`.
    address: IpAddr,
    port: Port,
    source: IpNet,
}

impl Opening {
    /// An opening; none where source and address are of different families or the source has host bits.
    pub fn new(source: IpNet, address: IpAddr, port: Port) -> Option<Opening> {
        (source.trunc() == source && Family::of_net(source) == Family::of(address))
            .then_some(Opening { address, port, source })
    }

    /// Where traffic may come from.
    pub fn source(&self) -> IpNet {
        self.source
    }

    /// The VM's address.
    pub fn address(&self) -> IpAddr {
        self.address
    }

    /// The port on it.
    pub fn port(&self) -> Port {
        self.port
    }

    /// The lock that this is an exception to.
    pub fn lock(&self) -> Lock {
        Lock { address: self.address, port: self.port }
    }
}

#[derive(Serialize, Deserialize)]
struct OpeningFields {
    source: IpNet,
    address: IpAddr,
    port: Port,
}

impl TryFrom<OpeningFields> for Opening {
    type Error = &'static str;

    fn try_from(fields: OpeningFields) -> Result<Opening, &'static str> {
        Opening::new(fields.source, fields.address, fields.port)
            .ok_or("the source has host bits or is of another family than the address")
    }
}

impl From<Opening> for OpeningFields {
    fn from(opening: Opening) -> OpeningFields {
        OpeningFields { source: opening.source, address: opening.address, port: opening.port }
    }
}

/// Why an address cannot be a VM's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum NotAVmAddress {
    /// 127.0.0.0/8 or ::1.
    Loopback,
    /// A multicast or broadcast address.
    Multicast,
    /// 169.254.0.0/16 or fe80::/10: means something else on each link.
    LinkLocal,
    /// 0.0.0.0 or ::.
    Unspecified,
    /// An IPv4 address dressed as IPv6.
    Mapped,
}

/// Whether an address can be a VM's: one unicast address that means the same everywhere on the network.
pub fn vm_address(address: IpAddr) -> Result<IpAddr, NotAVmAddress> {
    let problem = match address {
        _ if address.is_loopback() => Some(NotAVmAddress::Loopback),
        _ if address.is_unspecified() => Some(NotAVmAddress::Unspecified),
        _ if address.is_multicast() => Some(NotAVmAddress::Multicast),
        IpAddr::V4(v4) if v4.is_broadcast() => Some(NotAVmAddress::Multicast),
        IpAddr::V4(v4) if v4.is_link_local() => Some(NotAVmAddress::LinkLocal),
        // 0.0.0.0/8 is "this network" (RFC 1122) and 240.0.0.0/4 is reserved: neither is routed.
        IpAddr::V4(v4) if v4.octets()[0] == 0 || v4.octets()[0] >= 240 => {
            Some(NotAVmAddress::Unspecified)
        }
        IpAddr::V6(v6) if v6.to_ipv4_mapped().is_some() => Some(NotAVmAddress::Mapped),
        IpAddr::V6(v6) if v6.is_unicast_link_local() => Some(NotAVmAddress::LinkLocal),
        IpAddr::V4(_) | IpAddr::V6(_) => None,
    };
    problem.map_or(Ok(address), Err)
}
