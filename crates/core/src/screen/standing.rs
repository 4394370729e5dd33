//! Standing exceptions: flows to a locked port that pass its lock without an opening (product P2).

use serde::{Deserialize, Serialize};

use super::{
    chain::{Hosts, PortSet, is_over},
    compile::hosts_of,
};
use crate::{
    network::Family,
    nsg::{
        addresses::Addresses,
        flow::{Flow, Transport},
        port::PortRange,
        region::Region,
        word::Side,
    },
};

/// Flows to a locked port that pass its lock.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Standing {
    /// Over which transport.
    pub transport: Transport,
    /// Where they come from.
    pub sources: Hosts,
    /// The ports they come from.
    pub source_ports: PortSet,
}

impl Standing {
    /// Whether a flow to that port passes.
    pub fn passes(&self, flow: &Flow) -> bool {
        let address = flow.address(Side::Source);
        let from = match &self.sources {
            Hosts::All => true,
            Hosts::These(_) => self.sources.nets().iter().any(|net| net.contains(&address)),
        };
        let port = match &self.source_ports {
            PortSet::All => true,
            PortSet::These(_) => flow.port(Side::Source).is_some_and(|port| {
                self.source_ports.ranges().iter().any(|range| range.contains(port))
            }),
        };
        is_over(flow, self.transport) && from && port
    }
}

/// What is left to reach a port of an address of this family, as standing exceptions: together they let
/// through what the region has of that family, and nothing else.
pub fn standing(left: &Region, family: Family) -> Vec<Standing> {
    let mut all = Vec::new();
    for transport in Transport::ALL {
        // Ports that share their addresses become one exception.
        let mut shared: Vec<(Hosts, Vec<PortRange>)> = Vec::new();
        for (ports, addresses) in left.slabs(transport) {
            let Some(hosts) = hosts_of(addresses, family) else { continue };
            match shared.iter_mut().find(|(same, _)| *same == hosts) {
                Some((_, ranges)) => ranges.push(ports),
                None => shared.push((hosts, vec![ports])),
            }
        }
        all.extend(shared.into_iter().filter_map(|(sources, ranges)| {
            let source_ports = PortSet::of(ranges)?;
            Some(Standing { transport, sources, source_ports })
        }));
    }
    all
}

/// What standing exceptions to a port of an address of this family let through.
pub fn region(standing: &[Standing], family: Family) -> Region {
    standing.iter().fold(Region::nothing(), |all, one| {
        let addresses = match &one.sources {
            Hosts::All => Addresses::family(family),
            Hosts::These(_) => Addresses::of(one.sources.nets().iter().copied()),
        };
        let ports = match &one.source_ports {
            PortSet::All => &[PortRange::ALL][..],
            PortSet::These(_) => one.source_ports.ranges(),
        };
        all.union(&Region::of(one.transport, ports, &addresses))
    })
}
