//! What leads to a machine for an access that runs stays as long as the access does: a change that would take the
//! firewall or the port away from it is refused. Else the access would be shown as open where nobody gets through,
//! and a port of an address that is somebody else's by then would lead on to the machine.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
};

use crate::{
    gateway::mapping::ruled,
    grant::Mapped,
    id::RequestId,
    network::Port,
    refusal::Refusal,
    resource::{Network, ResourceFault, ResourceId},
    state::State,
};

/// Everything that a change of the network would take from under an access.
pub(super) fn against(state: &State, after: &Network) -> Vec<Refusal> {
    let (mut before, mut after) = (Fronts::of(&state.network), Fronts::of(after));
    let mut gone: BTreeMap<&ResourceId, BTreeSet<RequestId>> = BTreeMap::new();
    let mut refusals = Vec::new();
    let accesses = state.live();
    let mapped =
        accesses.flat_map(|(request, access)| access.mapped().iter().map(move |m| (request, m)));
    for (request, mapped) in mapped {
        let is = after.stands(mapped);
        // What was so before is nothing that this change does.
        if is == before.stands(mapped) {
            continue;
        }
        match is {
            Stands::Well => {}
            Stands::Gone => {
                gone.entry(&mapped.firewall).or_default().insert(request.id);
            }
            Stands::Ruled => {
                let (id, at, request) = (mapped.firewall.clone(), mapped.at, request.id);
                let fault = ResourceFault::PortLeadsForAccess { at, request };
                refusals.push(Refusal::Resource { id, fault });
            }
        }
    }
    refusals.extend(gone.into_iter().map(|(firewall, requests)| {
        let fault = ResourceFault::LeadsForAccesses { requests };
        Refusal::Resource { id: firewall.clone(), fault }
    }));
    refusals
}

/// How a port that leads to a machine stands.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Stands {
    /// As it must.
    Well,
    /// A DNAT rule leads it elsewhere.
    Ruled,
    /// Its firewall is gone, has other addresses, or is one through which nothing is mapped.
    Gone,
}

/// The firewalls of one network. Many accesses lead through one address of one firewall: it is looked at once.
struct Fronts<'a> {
    network: &'a Network,
    known: BTreeMap<(&'a ResourceId, IpAddr), Option<BTreeSet<Port>>>,
}

impl<'a> Fronts<'a> {
    fn of(network: &'a Network) -> Fronts<'a> {
        Fronts { network, known: BTreeMap::new() }
    }

    fn stands(&mut self, mapped: &'a Mapped) -> Stands {
        let Mapped { firewall, at, .. } = mapped;
        let ruled = self
            .known
            .entry((firewall, at.address))
            .or_insert_with(|| ruled(self.network, firewall, at.address));
        match ruled {
            None => Stands::Gone,
            Some(ports) if ports.contains(&at.port) => Stands::Ruled,
            Some(_) => Stands::Well,
        }
    }
}
