//! A flow: what is asked of the rules, and which parts of a rule it fits.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use super::{
    rule::SecurityRule,
    surroundings::Surroundings,
    word::{Part, Protocol, Side},
};
use crate::network::{Family, Lock};

/// A protocol that has ports.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Transport {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
    /// Any other with ports: SCTP, DCCP, UDP-Lite. Only rules of every protocol match it.
    Other,
}

impl Transport {
    /// Every one.
    pub const ALL: [Transport; 3] = [Transport::Tcp, Transport::Udp, Transport::Other];
}

/// A protocol that has no ports.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Portless {
    /// ICMP or ICMPv6.
    Icmp,
    /// The encrypted payload of IPsec.
    Esp,
    /// The authentication header of IPsec.
    Ah,
    /// Any other without ports, GRE for one. Only rules of every protocol match it.
    Other,
}

impl Portless {
    /// Every one.
    pub const ALL: [Portless; 4] = [Portless::Icmp, Portless::Esp, Portless::Ah, Portless::Other];
}

/// What a flow carries: a protocol, with its ports where it has some.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Carried {
    /// From a port to a port.
    Ports {
        /// Over which protocol.
        transport: Transport,
        /// From.
        source: u16,
        /// To.
        destination: u16,
    },
    /// Without ports.
    Portless(Portless),
}

/// A flow between two addresses of one family, after translation: as the rules see it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "FlowFields", into = "FlowFields")]
pub struct Flow {
    // INVARIANT: both are of one family, and neither is an IPv4 address dressed as IPv6.
    source: IpAddr,
    destination: IpAddr,
    carried: Carried,
}

impl Flow {
    /// A flow; none where the two addresses are of different families, or one is IPv4 dressed as IPv6.
    pub fn new(source: IpAddr, destination: IpAddr, carried: Carried) -> Option<Flow> {
        let plain = |address: IpAddr| address.to_canonical() == address;
        let one_family = Family::of(source) == Family::of(destination);
        (one_family && plain(source) && plain(destination)).then_some(Flow {
            source,
            destination,
            carried,
        })
    }

    /// The address of one end.
    pub fn address(&self, side: Side) -> IpAddr {
        match side {
            Side::Source => self.source,
            Side::Destination => self.destination,
        }
    }

    /// The port of one end; none where the protocol has none.
    pub fn port(&self, side: Side) -> Option<u16> {
        match (self.carried, side) {
            (Carried::Ports { source, .. }, Side::Source) => Some(source),
            (Carried::Ports { destination, .. }, Side::Destination) => Some(destination),
            (Carried::Portless(_), _) => None,
        }
    }

    /// What it carries.
    pub fn carried(&self) -> Carried {
        self.carried
    }

    /// The family of both its addresses.
    pub fn family(&self) -> Family {
        Family::of(self.source)
    }
}

#[derive(Serialize, Deserialize)]
struct FlowFields {
    source: IpAddr,
    destination: IpAddr,
    carried: Carried,
}

impl TryFrom<FlowFields> for Flow {
    type Error = &'static str;

    fn try_from(fields: FlowFields) -> Result<Flow, &'static str> {
        Flow::new(fields.source, fields.destination, fields.carried)
            .ok_or("the two addresses of a flow are of one family")
    }
}

impl From<Flow> for FlowFields {
    fn from(flow: Flow) -> FlowFields {
        FlowFields { source: flow.source, destination: flow.destination, carried: flow.carried }
    }
}

impl Protocol {
    /// Whether a rule of this protocol matches what a flow carries.
    pub fn covers(self, carried: Carried) -> bool {
        match carried {
            Carried::Ports { transport, .. } => self.covers_transport(transport),
            Carried::Portless(portless) => match self {
                Protocol::Any => true,
                Protocol::Icmp => portless == Portless::Icmp,
                Protocol::Esp => portless == Portless::Esp,
                Protocol::Ah => portless == Portless::Ah,
                Protocol::Tcp | Protocol::Udp => false,
            },
        }
    }

    /// Whether a rule of this protocol matches flows of a transport.
    pub fn covers_transport(self, transport: Transport) -> bool {
        match self {
            Protocol::Any => true,
            Protocol::Tcp => transport == Transport::Tcp,
            Protocol::Udp => transport == Transport::Udp,
            Protocol::Icmp | Protocol::Esp | Protocol::Ah => false,
        }
    }
}

impl SecurityRule {
    /// Whether a flow fits all five parts.
    pub fn matches(&self, flow: &Flow, surroundings: &Surroundings) -> bool {
        Part::ALL.into_iter().all(|part| self.fits(part, flow, surroundings))
    }

    /// Whether it says anything about flows to a port.
    pub(crate) fn is_to(&self, to: Lock, surroundings: &Surroundings) -> bool {
        self.ports(Side::Destination).contains(to.port.number())
            && surroundings.places_contain(self.places(Side::Destination), to.address)
    }

    /// Whether a flow fits one part.
    ///
    /// A flow without ports fits ports only where they are every port: a rule for port 22 of every protocol
    /// says nothing about ICMP. So says a rule for ICMP and port 22, which then matches nothing.
    pub fn fits(&self, part: Part, flow: &Flow, surroundings: &Surroundings) -> bool {
        match part {
            Part::Protocol => self.protocol().covers(flow.carried()),
            Part::Source => self.has_address(Side::Source, flow, surroundings),
            Part::SourcePort => self.has_port(Side::Source, flow),
            Part::Destination => self.has_address(Side::Destination, flow, surroundings),
            Part::DestinationPort => self.has_port(Side::Destination, flow),
        }
    }

    fn has_address(&self, side: Side, flow: &Flow, surroundings: &Surroundings) -> bool {
        surroundings.places_contain(self.places(side), flow.address(side))
    }

    fn has_port(&self, side: Side, flow: &Flow) -> bool {
        let ports = self.ports(side);
        flow.port(side).map_or_else(|| ports.is_every_port(), |port| ports.contains(port))
    }
}
