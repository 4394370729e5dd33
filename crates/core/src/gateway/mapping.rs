//! Which ports of a firewall's public address lead to a machine while an access runs: found where one is granted,
//! and nobody else's meanwhile.

use std::{collections::BTreeSet, net::IpAddr};

use super::{Front, Place, fit, front, public_addresses, ruled_ports};
use crate::{
    grant::{Access, Mapped},
    network::Port,
    nsg::port::PortRange,
    policy::Settings,
    refusal::{At, Refusal},
    resource::{Network, ResourceId},
    state::State,
};

/// Why no port of a firewall leads to a machine.
pub(crate) enum Against {
    /// Every port is taken.
    Full { firewall: ResourceId, ports: PortRange },
    /// No guard covers its public address.
    NotEnforced { firewall: ResourceId, address: IpAddr },
}

impl Against {
    /// As a refusal.
    pub(crate) fn refusal(self, at: &At) -> Refusal {
        let at = at.clone();
        match self {
            Against::Full { firewall, ports } => Refusal::MappedPortsFull { at, firewall, ports },
            Against::NotEnforced { firewall, address } => {
                Refusal::FirewallNotEnforced { at, firewall, address }
            }
        }
    }

    /// For the record of a planned access that could not begin.
    pub(crate) fn in_words(&self) -> String {
        match self {
            Against::Full { firewall, ports } => {
                format!("every port from {ports} of the firewall {firewall} is taken")
            }
            Against::NotEnforced { firewall, address } => {
                format!("no guard covers {address}, the address of the firewall {firewall}")
            }
        }
    }
}

/// The ports that lead to what an access opens, each where a firewall stands in front. `taken` are those of
/// accesses that run; what is found is added to it.
pub(crate) fn of(
    state: &State,
    settings: &Settings,
    taken: &mut BTreeSet<Place>,
    access: &Access,
) -> Result<Vec<Mapped>, Vec<Against>> {
    let vm = state.vms.get(&access.vm).filter(|vm| vm.instance == access.instance);
    let openings = vm.into_iter().flat_map(|vm| access.openings(vm));
    let addresses: BTreeSet<IpAddr> = openings.map(|opening| opening.address()).collect();
    let (mut found, mut against) = (Vec::new(), Vec::new());
    for address in addresses {
        match port(&state.network, settings, taken, address) {
            Ok(Some((firewall, at))) => {
                taken.insert(at);
                let to = Place { address, port: access.port };
                found.push(Mapped { firewall, at, to });
            }
            Ok(None) => {}
            Err(why) => against.push(why),
        }
    }
    if against.is_empty() { Ok(found) } else { Err(against) }
}

/// The ports of a firewall's public address that DNAT rules lead somewhere; none where no access is mapped through
/// that address.
pub(crate) fn ruled(
    network: &Network,
    firewall: &ResourceId,
    address: IpAddr,
) -> Option<BTreeSet<Port>> {
    let view = network.get(firewall)?.firewall()?;
    let has = public_addresses(network, view).any(|its| its == address);
    let fits = has && fit(network, view).is_ok();
    fits.then(|| ruled_ports(network, firewall, address))
}

/// A free port of the firewall in front of an address; none where none stands there.
fn port(
    network: &Network,
    settings: &Settings,
    taken: &BTreeSet<Place>,
    address: IpAddr,
) -> Result<Option<(ResourceId, Place)>, Against> {
    let (firewall, address) = match front(network, address) {
        Front::Firewall { firewall, address } => (firewall, address),
        // Whether such a machine can have a policy at all is asked where it gets one.
        Front::Nothing | Front::Unfit { .. } => return Ok(None),
    };
    if !settings.guards.iter().any(|guard| guard.has(address)) {
        return Err(Against::NotEnforced { firewall, address });
    }
    let ports = settings.mapped_ports;
    let ruled = ruled_ports(network, &firewall, address);
    let all = (ports.first()..=ports.last()).filter_map(Port::new);
    let mut free = all.filter(|port| !ruled.contains(port)).map(|port| Place { address, port });
    match free.find(|place| !taken.contains(place)) {
        Some(place) => Ok(Some((firewall, place))),
        None => Err(Against::Full { firewall, ports }),
    }
}
