//! What holds on public addresses: flows to a port of one go on to a machine behind the gateway.
//!
//! A load balancer's and a firewall's rules always hold; what an access needs holds as long as it does. The
//! source of a flow stays as it is, so the locks and rules behind the gateway see who comes.

use std::{collections::BTreeMap, fmt, net::IpAddr};

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

pub(crate) mod mapping;

mod translate;

pub use translate::{Front, Unfit, fit, fixed, front, reached_at};
pub(crate) use translate::{public_addresses, ruled_ports};

use crate::{
    network::{Family, Port},
    nsg::port::PortRange,
    time::Deadline,
};

/// The ports of a firewall's public address that accesses are mapped to, unless told otherwise.
pub const MAPPED_PORTS: PortRange = match PortRange::new(50_000, 50_999) {
    Some(ports) => ports,
    None => PortRange::ALL,
};

/// What a translation carries: Azure's two.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Carrier {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
}

impl Carrier {
    /// Both.
    pub const ALL: [Carrier; 2] = [Carrier::Tcp, Carrier::Udp];

    /// As Azure's load balancers write it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Carrier::Tcp => "Tcp",
            Carrier::Udp => "Udp",
        }
    }

    /// Its number in an IP header (IANA).
    pub const fn number(self) -> u8 {
        match self {
            Carrier::Tcp => 6,
            Carrier::Udp => 17,
        }
    }
}

/// A port of an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Place {
    /// The address.
    pub address: IpAddr,
    /// The port on it.
    pub port: Port,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        std::net::SocketAddr::new(self.address, self.port.number()).fmt(f)
    }
}

/// Which flows are translated: from a source to a port of a public address.
///
/// Two that differ in their sources alone may nest: the longer prefix counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "Fields", into = "Fields")]
pub struct Translation {
    // INVARIANT: `source` has no host bits and is of the family of the address.
    at: Place,
    carrier: Carrier,
    source: IpNet,
}

impl Translation {
    /// A translation; none where source and address are of different families or the source has host bits.
    pub fn new(source: IpNet, at: Place, carrier: Carrier) -> Option<Translation> {
        (source.trunc() == source && Family::of_net(source) == Family::of(at.address))
            .then_some(Translation { at, carrier, source })
    }

    /// Where traffic may come from.
    pub fn source(&self) -> IpNet {
        self.source
    }

    /// The public address and the port on it.
    pub fn at(&self) -> Place {
        self.at
    }

    /// What it carries.
    pub fn carrier(&self) -> Carrier {
        self.carrier
    }
}

#[derive(Serialize, Deserialize)]
struct Fields {
    source: IpNet,
    at: Place,
    carrier: Carrier,
}

impl TryFrom<Fields> for Translation {
    type Error = &'static str;

    fn try_from(Fields { source, at, carrier }: Fields) -> Result<Translation, &'static str> {
        Translation::new(source, at, carrier)
            .ok_or("the source has host bits or is of another family than the address")
    }
}

impl From<Translation> for Fields {
    fn from(Translation { at, carrier, source }: Translation) -> Fields {
        Fields { source, at, carrier }
    }
}

/// Where flows go on, and how long new ones do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Onward {
    // INVARIANT: `to` is of the family of the translation's address; guards refuse another.
    /// The machine's own address, and the port on it.
    pub to: Place,
    /// Until when; without an end it holds until it is taken away.
    pub until: Option<Deadline>,
}

/// What holds on public addresses.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Translations {
    /// Which flows go on where.
    #[serde(with = "crate::pairs")]
    pub each: BTreeMap<Translation, Onward>,
    /// Ports of public addresses on which a flow that is not translated gets no answer: nobody who scans
    /// them learns which are in use.
    #[serde(with = "crate::pairs")]
    pub silent: BTreeMap<IpAddr, PortRange>,
}

impl Translations {
    /// Whether nothing is translated and nothing is silent.
    pub fn is_empty(&self) -> bool {
        self.each.is_empty() && self.silent.is_empty()
    }

    /// The part of it that is about some addresses.
    pub fn about(&self, has: impl Fn(IpAddr) -> bool) -> Translations {
        let each = self.each.iter().filter(|(translation, _)| has(translation.at.address));
        let silent = self.silent.iter().filter(|(address, _)| has(**address));
        Translations {
            each: each.map(|(translation, onward)| (*translation, *onward)).collect(),
            silent: silent.map(|(address, ports)| (*address, *ports)).collect(),
        }
    }
}
