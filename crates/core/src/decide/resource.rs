//! Resources of the network are set and removed; what all kinds have in common.

mod firewall;
mod jit_rule;
mod load_balancer;
mod network_interface;
mod public_ip;
mod resource_group;
mod security_group;
mod virtual_machine;
mod virtual_network;

use std::collections::BTreeSet;

use uuid::Uuid;

use super::{check, hold};
use crate::{
    command::Precondition,
    event::Event,
    id::Name,
    policy::Settings,
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
    settings: &Settings,
    draft: &ResourceDraft,
    instance: Uuid,
    only_if: Precondition,
) -> Result<Vec<Event>, Refusals> {
    let network = &*state.network;
    let before = network.get(&draft.id);
    stands(only_if, before.map(|before| &**before))?;
    let setting = Setting { network, id: &draft.id, before: before.map(|before| &**before) };
    let mut faults = common(&setting, draft);
    let view = match &draft.view {
        ViewDraft::VirtualNetwork(sent) => virtual_network::view(&setting, sent, &mut faults),
        ViewDraft::SecurityGroup(sent) => {
            let sent = jit_rule::without_echoes(state, &setting, sent, &mut faults);
            let view = security_group::view(&setting, &sent, &mut faults);
            view.filter(|view| security_group::beside_ours(state, view, &mut faults))
        }
        ViewDraft::ApplicationSecurityGroup => Some(View::ApplicationSecurityGroup),
        ViewDraft::ResourceGroup => Some(View::ResourceGroup),
        ViewDraft::PublicIpAddress(sent) => public_ip::view(&setting, sent, &mut faults),
        ViewDraft::NetworkInterface(sent) => network_interface::view(&setting, sent, &mut faults),
        ViewDraft::VirtualMachine(sent) => {
            return virtual_machine::set(
                state,
                settings,
                &setting,
                (draft, sent),
                instance,
                faults,
            );
        }
        ViewDraft::LoadBalancer(sent) => load_balancer::view(&setting, sent, &mut faults),
        ViewDraft::Firewall(sent) => firewall::view(&setting, sent, &mut faults),
        ViewDraft::FirewallPolicy(sent) => firewall::policy(&setting, sent, &mut faults),
    };
    let Some(view) = view.filter(|_| faults.is_empty()) else {
        return Err(refusals(&draft.id, faults));
    };
    let Some(resource) = setting.becomes(draft, instance, view) else { return Ok(Vec::new()) };
    let follows = virtual_machine::follows(state, &resource)?;
    happens(state, settings, [setting.put(resource)].into_iter().chain(follows).collect())
}

/// Removes a resource that nobody refers to.
pub(super) fn delete(
    state: &State,
    settings: &Settings,
    id: &ResourceId,
    only_if: Precondition,
) -> Result<Vec<Event>, Refusals> {
    let network = &*state.network;
    let resource = network.get(id);
    stands(only_if, resource.map(|resource| &**resource))?;
    if id.kind == Kind::ResourceGroups {
        return resource_group::remove(state, settings, id);
    }
    // A machine may still be known by its addresses alone.
    let machine = id.virtual_machine();
    if let Some(machine) = machine.filter(|id| resource.is_some() || state.vms.contains_key(id)) {
        return virtual_machine::remove(state, settings, &machine);
    }
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
    let deleted = Event::ResourceDeleted { id: resource.id.clone(), before: resource.version };
    happens(state, settings, vec![deleted])
}

/// Takes a rule of JIT's away: never, as long as what it belongs to stands. Nothing where it has gone by now.
pub(super) fn delete_jit_rule(
    state: &State,
    group: &ResourceId,
    name: &Name,
) -> Result<Vec<Event>, Refusals> {
    match jit_rule::against_delete(state, group, name.as_str()) {
        Some(fault) => Err(refusals(group, vec![fault])),
        None => Ok(Vec::new()),
    }
}

/// The one place through which every change of the network goes, once it is right by itself: all that one
/// decision changes, in the order in which it does. No lock may break.
fn happens(state: &State, settings: &Settings, events: Vec<Event>) -> Result<Vec<Event>, Refusals> {
    hold::held(state, settings, events)
}

/// Whether a resource stands as the caller says.
fn stands(only_if: Precondition, resource: Option<&Resource>) -> Result<(), Refusals> {
    let version = resource.map(|resource| resource.version);
    match only_if {
        Precondition::Making { instance, version: wanted } => {
            // A name that was made anew begins at the same version again.
            let same = |is: &Resource| is.instance == instance && is.version == wanted;
            let holds = resource.is_some_and(same);
            if holds { Ok(()) } else { Err(Refusal::PreconditionFailed { version }.into()) }
        }
        Precondition::None
        | Precondition::Exists
        | Precondition::Version(_)
        | Precondition::Absent => check(only_if, version),
    }
}

/// A resource that is being set.
struct Setting<'a> {
    network: &'a Network,
    id: &'a ResourceId,
    before: Option<&'a Resource>,
}

impl Setting<'_> {
    /// What the resource becomes; nothing where it is so already.
    fn becomes(&self, draft: &ResourceDraft, instance: Uuid, view: View) -> Option<Resource> {
        let before = self.before;
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
        (!before.is_some_and(|before| same(before) == resource)).then_some(resource)
    }

    /// The record of that.
    fn put(&self, resource: Resource) -> Event {
        let before = self.before.map(|before| before.version);
        Event::ResourcePut { resource: Box::new(resource), before }
    }

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
    // A group that only its resources make is where it is said to be.
    if let Some(before) = setting.before.filter(|before| before.location != draft.location) {
        let (sent, location) = (draft.location.clone(), before.location.clone());
        faults.push(ResourceFault::Elsewhere { sent, location });
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
