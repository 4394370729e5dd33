//! Which ports of a firewall's public address lead to a machine while an access runs: found where one is granted,
//! and nobody else's meanwhile.

use std::{collections::BTreeSet, net::IpAddr};

use super::{Front, Place, front, ruled_ports};
use crate::{
    grant::Mapped,
    network::Port,
    nsg::port::PortRange,
    policy::Settings,
    refusal::{At, Refusal},
    resource::Network,
};

/// The ports that lead to some addresses of a machine, each where a firewall stands in front of it. `taken` are
/// those of running accesses; what is found is added to it.
pub(crate) fn mapped(
    network: &Network,
    settings: &Settings,
    taken: &mut BTreeSet<Place>,
    (at, addresses): (&At, &BTreeSet<IpAddr>),
) -> Result<Vec<Mapped>, Vec<Refusal>> {
    let (mut found, mut refusals) = (Vec::new(), Vec::new());
    for address in addresses {
        let (firewall, public) = match front(network, *address) {
            Front::Firewall { firewall, address } => (firewall, address),
            // Whether such a machine can have a policy at all is asked where it gets one.
            Front::Nothing | Front::Unfit { .. } => continue,
        };
        if !settings.guards.iter().any(|guard| guard.has(public)) {
            let at = at.clone();
            refusals.push(Refusal::FirewallNotEnforced { at, firewall, address: public });
            continue;
        }
        let ruled = ruled_ports(network, &firewall, public);
        match free(settings.mapped_ports, taken, &ruled, public) {
            Some(place) => {
                taken.insert(place);
                let to = Place { address: *address, port: at.port };
                found.push(Mapped { firewall, at: place, to });
            }
            None => {
                let (at, ports) = (at.clone(), settings.mapped_ports);
                refusals.push(Refusal::MappedPortsFull { at, firewall, ports });
            }
        }
    }
    if refusals.is_empty() { Ok(found) } else { Err(refusals) }
}

/// The first port of a public address that leads nowhere.
fn free(
    ports: PortRange,
    taken: &BTreeSet<Place>,
    ruled: &BTreeSet<Port>,
    address: IpAddr,
) -> Option<Place> {
    let all = (ports.first()..=ports.last()).filter_map(Port::new);
    let free = all.filter(|port| !ruled.contains(port));
    free.map(|port| Place { address, port }).find(|place| !taken.contains(place))
}
