//! Resources of the network are set and removed; what all kinds have in common.

mod firewall;
mod load_balancer;
mod network_interface;
mod public_ip;
mod security_group;
mod virtual_network;

use std::collections::BTreeSet;

use uuid::Uuid;

use super::check;
use crate::{
    command::Precondition,
    event::Event,
    id::Name,
    refusal::{Refusal, Refusals},
    resource::{
        Kind, Network, Resource, ResourceDraft, ResourceFault, ResourceId, Target, View, ViewDraft,
        network::RESOURCES_MAX,
        view::{TAG_NAME_CHARS_MAX, TAG_VALUE_CHARS_MAX, TAGS_MAX},
    },
    state::State,
};

/// Sets a resource. The same again changes nothing.
pub(super) fn put(
    state: &State,
    draft: &ResourceDraft,
    instance: Uuid,
    only_if: Precondition,
) -> Result<Vec<Event>, Refusals> {
    let network = &*state.network;
    let before = network.get(&draft.id);
    check(only_if, before.map(|resource| resource.version))?;
    let setting = Setting { network, id: &draft.id, before: before.map(|before| &**before) };
    let mut faults = common(&setting, draft);
    let view = match &draft.view {
        ViewDraft::VirtualNetwork(sent) => virtual_network::view(&setting, sent, &mut faults),
        ViewDraft::SecurityGroup(sent) => security_group::view(&setting, sent, &mut faults),
        ViewDraft::ApplicationSecurityGroup => Some(View::ApplicationSecurityGroup),
        ViewDraft::PublicIpAddress(sent) => public_ip::view(&setting, sent, &mut faults),
        ViewDraft::NetworkInterface(sent) => network_interface::view(&setting, sent, &mut faults),
        ViewDraft::LoadBalancer(sent) => load_balancer::view(&setting, sent, &mut faults),
        ViewDraft::Firewall(sent) => firewall::view(&setting, sent, &mut faults),
        ViewDraft::FirewallPolicy(sent) => firewall::policy(&setting, sent, &mut faults),
    };
    let Some(view) = view.filter(|_| faults.is_empty()) else {
        return Err(refusals(&draft.id, faults));
    };
    let resource = Resource {
        id: before.map_or(&draft.id, |before| &before.id).clone(),
        instance: before.map_or(instance, |before| before.instance),
        version: before.map_or(0, |before| before.version) + 1,
        location: draft.location.clone(),
        tags: draft.tags.clone(),
        view,
        document: draft.document.clone(),
    };
    let same = |before: &Resource| Resource { version: resource.version, ..before.clone() };
    if before.is_some_and(|before| same(before) == resource) {
        return Ok(Vec::new());
    }
    let before = before.map(|before| before.version);
    happens(state, Event::ResourcePut { resource: Box::new(resource), before })
}

/// Removes a resource that nobody refers to.
pub(super) fn delete(
    state: &State,
    id: &ResourceId,
    only_if: Precondition,
) -> Result<Vec<Event>, Refusals> {
    let network = &*state.network;
    let resource = network.get(id);
    check(only_if, resource.map(|resource| resource.version))?;
    let Some(resource) = resource else {
        return Err(refusals(id, vec![ResourceFault::NotFound]));
    };
    let subnets = resource.virtual_network().into_iter().flat_map(|network| network.subnets.keys());
    let subnets = subnets.map(|name| virtual_network::subnet(id, name));
    let rules = resource.load_balancer().into_iter().flat_map(|lb| lb.nat_targets(id));
    let targets = subnets.chain(rules).chain([Target::Resource(id.clone())]);
    let faults: Vec<ResourceFault> =
        targets.filter_map(|target| in_use(network, id, target)).collect();
    if !faults.is_empty() {
        return Err(refusals(id, faults));
    }
    happens(state, Event::ResourceDeleted { id: resource.id.clone(), before: resource.version })
}

/// The one place through which every change of the network goes, once it is right by itself.
// LOCKS: a lock is an invariant. Here each change is to be held against what it would newly let through:
// for every locked port of an address whose interface, subnet, groups or names the event changes,
// `nsg::hold::standing` over `state.network` and over the same with the event taken in, and
// `nsg::hold::breaks` of the two. What it finds is refused (`JitLockWouldBreak`). Nothing is held against yet.
fn happens(_state: &State, event: Event) -> Result<Vec<Event>, Refusals> {
    Ok(vec![event])
}

/// A resource that is being set.
struct Setting<'a> {
    network: &'a Network,
    id: &'a ResourceId,
    before: Option<&'a Resource>,
}

impl Setting<'_> {
    /// What keeps the resource from referring to that: each target once, in the order given.
    fn references(&self, targets: impl IntoIterator<Item = Target>) -> Vec<ResourceFault> {
        let mut seen = BTreeSet::new();
        targets
            .into_iter()
            .filter(|target| seen.insert(target.clone()))
            .filter_map(|target| {
                if target.resource().subscription != self.id.subscription {
                    Some(ResourceFault::OtherSubscription { target })
                } else if !self.network.holds(&target) {
                    Some(ResourceFault::ReferenceNotFound { target })
                } else {
                    None
                }
            })
            .collect()
    }

    /// Whether that kind of resource can stand there.
    fn of_kind(&self, target: &ResourceId, needed: Kind) -> Option<ResourceFault> {
        let target = target.clone();
        (target.kind != needed).then_some(ResourceFault::WrongKind { target, needed })
    }
}

/// What is wrong with what every resource has.
fn common(setting: &Setting<'_>, draft: &ResourceDraft) -> Vec<ResourceFault> {
    let mut faults = Vec::new();
    if setting.before.is_none() && setting.network.len() >= RESOURCES_MAX {
        faults.push(ResourceFault::TooManyResources { most: RESOURCES_MAX });
    }
    if draft.tags.len() > TAGS_MAX {
        faults.push(ResourceFault::TooManyTags { most: TAGS_MAX });
    }
    for (name, value) in &draft.tags {
        let most = TAG_NAME_CHARS_MAX;
        if name.is_empty() || name.chars().count() > most {
            faults.push(ResourceFault::TagName { name: name.clone(), most });
        }
        let most = TAG_VALUE_CHARS_MAX;
        if value.chars().count() > most {
            faults.push(ResourceFault::TagValue { name: name.clone(), most });
        }
    }
    faults
}

/// Two parts of one name.
fn twice<'a>(names: impl Iterator<Item = &'a Name>, faults: &mut Vec<ResourceFault>) {
    let mut seen = BTreeSet::new();
    let again = names.filter(|name| !seen.insert(*name));
    faults.extend(again.map(|name| ResourceFault::NameTwice { name: name.clone() }));
}

/// Whether others than the resource itself refer to it, or to a part of it.
fn in_use(network: &Network, own: &ResourceId, target: Target) -> Option<ResourceFault> {
    let by: Vec<ResourceId> =
        network.referrers(&target).map(|by| by.id.clone()).filter(|by| by != own).collect();
    (!by.is_empty()).then_some(ResourceFault::InUse { target, by })
}

fn refusals(id: &ResourceId, faults: Vec<ResourceFault>) -> Refusals {
    let refusal = |fault| Refusal::Resource { id: id.clone(), fault };
    Refusals(faults.into_iter().map(refusal).collect())
}
