//! What a resource group must be, and what goes with it: everything in it, or nothing at all.

use std::collections::{BTreeMap, BTreeSet};

use super::{happens, refusals, virtual_network};
use crate::{
    event::Event,
    policy::Settings,
    refusal::{Refusal, Refusals},
    resource::{Kind, Network, Resource, ResourceFault, ResourceId, Target, View},
    state::State,
};

/// Removes a group with all that is in it, if no policy holds a machine of it and nothing elsewhere refers to
/// what is in it.
pub(super) fn remove(
    state: &State,
    settings: &Settings,
    id: &ResourceId,
) -> Result<Vec<Event>, Refusals> {
    let network = &*state.network;
    let within: BTreeMap<&ResourceId, &Resource> = network
        .all()
        .filter(|resource| resource.id.group == id.name && resource.id != *id)
        .map(|resource| (&resource.id, &**resource))
        .collect();
    let group = network.get(id);
    if group.is_none() && within.is_empty() {
        return Err(refusals(id, vec![ResourceFault::NotFound]));
    }
    let against: Vec<Refusal> = within
        .values()
        .flat_map(|resource| {
            let outside = refusals(id, used_outside(network, resource, &within)).0;
            held(state, resource).into_iter().chain(outside)
        })
        .collect();
    if !against.is_empty() {
        return Err(Refusals(against));
    }
    let mut events = Vec::new();
    let mut versions: BTreeMap<&ResourceId, u64> =
        within.values().map(|resource| (&resource.id, resource.version)).collect();
    // Networks that are joined refer to each other: neither could go before the other.
    for network in within.values().filter_map(|resource| apart(resource)) {
        if let Some(version) = versions.get_mut(&network.id) {
            let before = Some(std::mem::replace(version, network.version));
            events.push(Event::ResourcePut { resource: Box::new(network), before });
        }
    }
    for resource in in_order(&within) {
        let before = versions.get(&resource.id).copied().unwrap_or(resource.version);
        events.push(Event::ResourceDeleted { id: resource.id.clone(), before });
        let machine = resource.id.virtual_machine().and_then(|id| state.vms.get(&id));
        events.extend(machine.map(|vm| Event::VmUnregistered { id: vm.id.clone() }));
    }
    let deleted =
        |group: &Resource| Event::ResourceDeleted { id: group.id.clone(), before: group.version };
    events.extend(group.map(|group| deleted(group)));
    happens(state, settings, events)
}

/// The policy that holds a machine: what it locks would open.
fn held(state: &State, resource: &Resource) -> Option<Refusal> {
    let vm = resource.id.virtual_machine()?;
    let (policy, _) = state.policies_of(&vm).next()?;
    Some(Refusal::VmHasPolicy { vm: vm.clone(), policy: policy.id.clone() })
}

/// What refers to a resource from elsewhere.
fn used_outside(
    network: &Network,
    resource: &Resource,
    within: &BTreeMap<&ResourceId, &Resource>,
) -> Vec<ResourceFault> {
    let parts = resource.virtual_network().into_iter().flat_map(|network| network.subnets.keys());
    let parts = parts.map(|name| virtual_network::subnet(&resource.id, name));
    let targets = parts.chain([Target::Resource(resource.id.clone())]);
    let used = |target: Target| {
        let outside = network.referrers(&target).filter(|by| !within.contains_key(&by.id));
        let by: Vec<ResourceId> = outside.map(|by| by.id.clone()).collect();
        (!by.is_empty()).then_some(ResourceFault::InUse { target, by })
    };
    targets.filter_map(used).collect()
}

/// A network that is joined to others, as it is when it is not.
fn apart(resource: &Resource) -> Option<Resource> {
    let mut network =
        resource.virtual_network().filter(|network| !network.peers.is_empty())?.clone();
    network.peers.clear();
    let (version, view) = (resource.version + 1, View::VirtualNetwork(network));
    Some(Resource { version, view, ..resource.clone() })
}

/// Who refers to others before those.
fn in_order<'a>(within: &BTreeMap<&'a ResourceId, &'a Resource>) -> Vec<&'a Resource> {
    let referred = |resource: &Resource| -> BTreeSet<ResourceId> {
        let targets =
            resource.view.references().into_iter().map(|target| target.resource().clone());
        let others = targets.filter(|id| *id != resource.id && within.contains_key(id));
        let joined = |id: &ResourceId| {
            resource.id.kind == Kind::VirtualNetworks && id.kind == Kind::VirtualNetworks
        };
        others.filter(|id| !joined(id)).collect()
    };
    let mut waits: BTreeMap<ResourceId, usize> = BTreeMap::new();
    for id in within.values().flat_map(|resource| referred(resource)) {
        *waits.entry(id).or_default() += 1;
    }
    let free = within.values().filter(|resource| !waits.contains_key(&resource.id));
    let mut order: Vec<&Resource> = free.copied().collect();
    let mut next = 0;
    while let Some(resource) = order.get(next).copied() {
        next += 1;
        for id in referred(resource) {
            let left = waits.get_mut(&id).map(|left| {
                *left -= 1;
                *left
            });
            if left == Some(0) {
                order.extend(within.get(&id));
            }
        }
    }
    order
}
