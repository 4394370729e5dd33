//! Makes a chain of a security group: its names become addresses, and what can match nothing is left out.

use super::chain::{Chain, Flows, Hosts, Line, PortSet};
use crate::{
    network::Family,
    nsg::{
        addresses::Addresses,
        band::Band,
        group::SecurityGroup,
        place::Places,
        port::Ports,
        rule::SecurityRule,
        surroundings::Surroundings,
        word::{Access, Direction, Protocol, Side},
    },
};

/// The chain of a group for one direction and one family, the default rules included.
///
/// `band`: the numbers of the grants' rules, where this group holds any. Openings are looked up where the
/// band begins: behind the rules whose number is not larger than the band's first. Outbound there are none.
pub fn compile(
    group: &SecurityGroup,
    direction: Direction,
    surroundings: &Surroundings,
    family: Family,
    band: Option<Band>,
) -> Chain {
    let mut grants = match direction {
        Direction::Inbound => band.map(Band::first),
        Direction::Outbound => None,
    };
    let mut lines = Vec::new();
    for rule in group.in_order(direction) {
        if grants.take_if(|first| rule.priority() > *first).is_some() {
            lines.push(Line::Grants);
        }
        let Some(flows) = flows(rule, surroundings, family) else { continue };
        let decides_the_rest = flows == Flows::everything();
        lines.push(Line::Flows { access: rule.access(), flows });
        if decides_the_rest {
            break;
        }
    }
    // The last default matches every flow, so this is a chain; were it none, nothing would pass.
    Chain::new(family, lines).unwrap_or_else(|_| Chain::only(family, Access::Deny))
}

/// The flows of a family that a rule matches; none where it can match none.
fn flows(rule: &SecurityRule, surroundings: &Surroundings, family: Family) -> Option<Flows> {
    let source_ports = ports(rule.ports(Side::Source))?;
    let destination_ports = ports(rule.ports(Side::Destination))?;
    let has_ports = match rule.protocol() {
        Protocol::Tcp | Protocol::Udp | Protocol::Any => true,
        Protocol::Icmp | Protocol::Esp | Protocol::Ah => false,
    };
    // A rule for ICMP and port 22 matches nothing.
    if !has_ports && (source_ports != PortSet::All || destination_ports != PortSet::All) {
        return None;
    }
    Some(Flows {
        protocol: rule.protocol(),
        sources: hosts(rule.places(Side::Source), surroundings, family)?,
        source_ports,
        destinations: hosts(rule.places(Side::Destination), surroundings, family)?,
        destination_ports,
    })
}

fn ports(ports: &Ports) -> Option<PortSet> {
    PortSet::of(ports.ranges().iter().copied())
}

fn hosts(places: &Places, surroundings: &Surroundings, family: Family) -> Option<Hosts> {
    match places {
        Places::Any => Some(Hosts::All),
        Places::Tag(_) | Places::Prefixes(_) | Places::Asgs(_) => {
            hosts_of(&surroundings.addresses(places), family)
        }
    }
}

/// The addresses of one family among these; none where there is none.
pub(super) fn hosts_of(addresses: &Addresses, family: Family) -> Option<Hosts> {
    Hosts::these(addresses.intersection(&Addresses::family(family)).prefixes())
}
