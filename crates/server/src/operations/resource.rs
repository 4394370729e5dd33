//! Resources, of the network and machines: set, tagged, removed, shown; and their parts, each a change of its resource.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use hourgate_api::{
    body::{PartChange, keep_unsaid},
    paths::Parts,
};
use hourgate_core::{
    command::{Command, Near, Needs, Precondition},
    id::Name,
    jit_rules::{self, JitRule},
    nsg::jit_name::JitName,
    refusal::{Refusal, Refusals},
    resource::{
        Kind, Network, Resource, ResourceDraft, ResourceFault, ResourceId, Tags, Target, ViewDraft,
        virtual_machine::Joined,
    },
    role::{Action, Caller, NetworkThing, Scope, Verb, may},
};
use hourgate_store::{Store, StoreError};

use super::{
    Call, Problem, denied, permit, permit_within,
    sight::{missing_group, sees},
};
use crate::{
    mint,
    server::{Server, origin},
};

/// How often the change of a part is tried anew because its whole was set meanwhile.
const PART_TRIES_MAX: usize = 8;

/// All resources, as they were last committed.
pub(crate) async fn network<S: Store>(server: &Server<S>) -> Result<Arc<Network>, StoreError> {
    Ok(server.store.load(Needs::default()).await?.network)
}

/// Whether anything is in a resource group: that is what makes one.
pub(super) async fn is_group<S: Store>(
    server: &Server<S>,
    group: &Name,
) -> Result<bool, StoreError> {
    Ok(network(server).await?.has_group(group))
}

/// Sets a resource. True where it is new.
pub(crate) async fn put_resource<S: Store>(
    caller: &Caller,
    server: &Server<S>,
    call: &Call,
    mut draft: ResourceDraft,
    only_if: Precondition,
) -> Result<(Arc<Resource>, Arc<Network>, bool), Problem> {
    let action = Action::Network(NetworkThing::Of(draft.id.kind), Verb::Write);
    permit(caller, server, call, action, &Scope::from(&draft.id)).await?;
    // What the caller does not say stays joined, which joins nothing.
    permit_joins(caller, server, call, action, (&draft, None)).await?;
    if let Some(stored) = network(server).await?.get(&draft.id) {
        keep_unsaid(&mut draft, stored).map_err(Problem::Unreadable)?;
    }
    permit_making(caller, server, call, action, &draft).await?;
    set(caller, server, call, action, draft, only_if).await
}

/// Sets the tags of a resource, and nothing else.
pub(crate) async fn tag_resource<S: Store>(
    caller: &Caller,
    server: &Server<S>,
    call: &Call,
    (id, tags): (ResourceId, &Tags),
    only_if: Precondition,
) -> Result<(Arc<Resource>, Arc<Network>), Problem> {
    let action = Action::Network(NetworkThing::Of(id.kind), Verb::Write);
    permit(caller, server, call, action, &Scope::from(&id)).await?;
    let tag =
        |resource: &Resource| Ok(Some(ResourceDraft { tags: tags.clone(), ..resource.draft() }));
    let changed = change(caller, server, call, action, (&id, only_if, &tag)).await?;
    changed.ok_or_else(|| not_found(&id))
}

/// Removes a resource. False where there was none.
pub(crate) async fn delete_resource<S: Store>(
    caller: &Caller,
    server: &Server<S>,
    call: &Call,
    id: ResourceId,
    only_if: Precondition,
) -> Result<bool, Problem> {
    let action = Action::Network(NetworkThing::Of(id.kind), Verb::Delete);
    permit(caller, server, call, action, &Scope::from(&id)).await?;
    let command = Command::DeleteResource { id, only_if };
    match server.commit(origin(caller, call, action), command).await {
        Ok(_) => Ok(true),
        Err(Problem::Refused(refusals)) if is_not_found(&refusals) => Ok(false),
        Err(other) => Err(other),
    }
}

/// One resource, and the network in which it stands.
pub(crate) async fn get_resource<S: Store>(
    caller: &Caller,
    server: &Server<S>,
    call: &Call,
    id: &ResourceId,
) -> Result<(Arc<Resource>, Arc<Network>), Problem> {
    let action = Action::Network(NetworkThing::Of(id.kind), Verb::Read);
    permit(caller, server, call, action, &Scope::from(id)).await?;
    find(caller, server, id).await
}

/// The resource that has parts of a kind, for whoever may read those.
pub(crate) async fn get_parts<S: Store>(
    caller: &Caller,
    server: &Server<S>,
    call: &Call,
    (id, parts): (&ResourceId, Parts),
) -> Result<(Arc<Resource>, Arc<Network>), Problem> {
    let action = Action::Network(thing(parts), Verb::Read);
    permit(caller, server, call, action, &Scope::from(id)).await?;
    find(caller, server, id).await
}

/// The resource that has a part, for whoever may read that part.
pub(crate) async fn get_part<S: Store>(
    caller: &Caller,
    server: &Server<S>,
    call: &Call,
    (id, parts, name): (&ResourceId, Parts, &Name),
) -> Result<(Arc<Resource>, Arc<Network>), Problem> {
    let action = Action::Network(thing(parts), Verb::Read);
    permit(caller, server, call, action, &part_scope(id, parts, name)).await?;
    find(caller, server, id).await
}

async fn find<S: Store>(
    caller: &Caller,
    server: &Server<S>,
    id: &ResourceId,
) -> Result<(Arc<Resource>, Arc<Network>), Problem> {
    let network = network(server).await?;
    match network.get(id) {
        Some(resource) => Ok((resource.clone(), network.clone())),
        None => Err(missing(caller, server, id).await?),
    }
}

/// Why a resource is not there: its group may be missing too.
async fn missing<S: Store>(
    caller: &Caller,
    server: &Server<S>,
    id: &ResourceId,
) -> Result<Problem, StoreError> {
    let group = missing_group(caller, server, &id.group).await?;
    Ok(group.unwrap_or_else(|| not_found(id)))
}

fn part_scope(id: &ResourceId, parts: Parts, name: &Name) -> Scope {
    Scope::from(id).part(parts.as_str(), name)
}

/// The resources of a kind in a group, or all, by their ids; and the network in which they stand.
pub(crate) async fn list_resources<S: Store>(
    caller: &Caller,
    server: &Server<S>,
    call: &Call,
    (kind, group): (Kind, Option<&Name>),
) -> Result<(Vec<Arc<Resource>>, Arc<Network>), Problem> {
    let action = Action::Network(NetworkThing::Of(kind), Verb::Read);
    let scope = Scope::of(server.installation.subscription, group);
    permit_within(caller, server, call, action, &scope).await?;
    let network = network(server).await?;
    if let Some(group) = group
        && let Some(missing) = missing_group(caller, server, group).await?
    {
        return Err(missing);
    }
    let all = may(caller, action, &scope);
    let seen = |resource: &&Arc<Resource>| all || may(caller, action, &Scope::from(&resource.id));
    let found = network.of_kind(kind, group).filter(seen).cloned().collect();
    Ok((found, network))
}

/// The rules that JIT has in a security group, as they are shown; none in any other resource.
pub(crate) async fn jit_rules<S: Store>(
    server: &Server<S>,
    id: &ResourceId,
) -> Result<Vec<JitRule>, Problem> {
    let Some(group) = id.security_group() else { return Ok(Vec::new()) };
    let near = Some(Near { id: id.clone(), draft: None });
    let state = server.store.load(Needs { near, ..Needs::default() }).await?;
    Ok(jit_rules::shown(&state, &group, server.now()))
}

/// The one of them that has a name, where a part of that name can be one.
pub(crate) async fn jit_rule<S: Store>(
    server: &Server<S>,
    (id, parts, name): (&ResourceId, Parts, &Name),
) -> Result<Option<JitRule>, Problem> {
    match parts {
        Parts::SecurityRules if JitName::of(name.as_str()).is_some() => {
            let rules = jit_rules(server, id).await?;
            Ok(rules.into_iter().find(|jit| jit.is_called(name.as_str())))
        }
        Parts::SecurityRules
        | Parts::DefaultSecurityRules
        | Parts::Subnets
        | Parts::RuleCollectionGroups
        | Parts::InboundNatRules
        | Parts::VirtualNetworkPeerings => Ok(None),
    }
}

/// A resource whose part was set.
pub(crate) struct PartSeen {
    /// The resource as it is now.
    pub(crate) resource: Arc<Resource>,
    /// The network in which it stands.
    pub(crate) network: Arc<Network>,
    /// Whether the part is new.
    pub(crate) new: bool,
}

/// Sets a part of a resource.
pub(crate) async fn put_part<S: Store>(
    caller: &Caller,
    server: &Server<S>,
    call: &Call,
    (id, parts, name): (&ResourceId, Parts, &Name),
    (part, only_if): (&PartChange, Precondition),
) -> Result<PartSeen, Problem> {
    let action = Action::Network(thing(parts), Verb::Write);
    permit(caller, server, call, action, &part_scope(id, parts, name)).await?;
    // One of JIT's is no part of the resource, and yet it is there: it may be sent back as it was read.
    let is_jits = jit_rule(server, (id, parts, name)).await?.is_some();
    let had = std::sync::atomic::AtomicBool::new(false);
    let set = |resource: &Resource| {
        let (draft, known) = part.of(resource).map_err(Problem::Unreadable)?;
        let known = known || is_jits;
        check_part(only_if, resource, known)?;
        had.store(known, std::sync::atomic::Ordering::Relaxed);
        Ok(Some(draft))
    };
    let changed = change(caller, server, call, action, (id, Precondition::None, &set)).await?;
    let (resource, network) = changed.ok_or_else(|| Problem::NoPart {
        id: id.clone(),
        part: parts,
        name: name.clone(),
    })?;
    let new = !had.load(std::sync::atomic::Ordering::Relaxed);
    Ok(PartSeen { resource, network, new })
}

/// Takes a part of a resource away. False where there was none.
pub(crate) async fn delete_part<S: Store>(
    caller: &Caller,
    server: &Server<S>,
    call: &Call,
    (id, parts, name): (&ResourceId, Parts, &Name),
    only_if: Precondition,
) -> Result<bool, Problem> {
    let action = Action::Network(thing(parts), Verb::Delete);
    permit(caller, server, call, action, &part_scope(id, parts, name)).await?;
    if jit_rule(server, (id, parts, name)).await?.is_some() {
        // The rules say no, and the log that somebody tried; nothing where it has ended meanwhile.
        let command = Command::DeleteJitRule { group: id.clone(), name: name.clone() };
        return server.commit(origin(caller, call, action), command).await.map(|_| false);
    }
    let part = PartChange::gone(parts, name.clone());
    let take = |resource: &Resource| {
        let (draft, known) = part.of(resource).map_err(Problem::Unreadable)?;
        check_part(only_if, resource, known)?;
        Ok(known.then_some(draft))
    };
    let changed = change(caller, server, call, action, (id, Precondition::None, &take)).await;
    match changed {
        Ok(changed) => Ok(changed.is_some()),
        Err(Problem::Refused(refusals)) if is_not_found(&refusals) => Ok(false),
        Err(Problem::NoGroup(_)) => Ok(false),
        Err(other) => Err(other),
    }
}

/// What an action on such a part is about.
fn thing(parts: Parts) -> NetworkThing {
    match parts {
        Parts::Subnets => NetworkThing::Subnet,
        Parts::SecurityRules | Parts::DefaultSecurityRules => NetworkThing::SecurityRule,
        Parts::RuleCollectionGroups => NetworkThing::RuleCollectionGroup,
        Parts::InboundNatRules => NetworkThing::InboundNatRule,
        Parts::VirtualNetworkPeerings => NetworkThing::Peering,
    }
}

/// Reads a resource, makes another of it, and sets that if nobody came between; none where the change says
/// that there is nothing to do.
async fn change<S: Store>(
    caller: &Caller,
    server: &Server<S>,
    call: &Call,
    action: Action,
    (id, only_if, change): (
        &ResourceId,
        Precondition,
        &(impl Fn(&Resource) -> Result<Option<ResourceDraft>, Problem> + Sync),
    ),
) -> Result<Option<(Arc<Resource>, Arc<Network>)>, Problem> {
    let _turn = server.parts.lock().await;
    for _ in 0..PART_TRIES_MAX {
        let network = network(server).await?;
        let Some(resource) = network.get(id) else {
            return Err(missing(caller, server, id).await?);
        };
        check_part(only_if, resource, true)?;
        let Some(draft) = change(resource)? else { return Ok(None) };
        permit_joins(caller, server, call, action, (&draft, Some(resource))).await?;
        let unchanged =
            Precondition::Making { instance: resource.instance, version: resource.version };
        match set(caller, server, call, action, draft, unchanged).await {
            Ok((resource, network, _)) => return Ok(Some((resource, network))),
            Err(Problem::Refused(refusals)) if is_late(&refusals) => {}
            Err(other) => return Err(other),
        }
    }
    Err(Problem::Store(StoreError::Busy))
}

async fn set<S: Store>(
    caller: &Caller,
    server: &Server<S>,
    call: &Call,
    action: Action,
    draft: ResourceDraft,
    only_if: Precondition,
) -> Result<(Arc<Resource>, Arc<Network>, bool), Problem> {
    let id = draft.id.clone();
    let instance = mint::uuid()?;
    let command = Command::PutResource { draft: Box::new(draft), instance, only_if };
    let committed = server.commit(origin(caller, call, action), command).await?;
    let network = committed.state.network;
    let resource = network.get(&id).cloned().ok_or_else(|| not_found(&id))?;
    let new = resource.instance == instance;
    Ok((resource, network, new))
}

/// Whether the caller may have the resource refer to each of what it names; Azure's linked access check. What
/// the resource refers to as it stands is asked for only where the caller sent it again.
async fn permit_joins<S: Store>(
    caller: &Caller,
    server: &Server<S>,
    call: &Call,
    action: Action,
    (draft, stands): (&ResourceDraft, Option<&Resource>),
) -> Result<(), Problem> {
    // Counted: a group before one subnet is not thereby joined to another.
    let mut stands_so: BTreeMap<Target, usize> = BTreeMap::new();
    for target in stands.map(|resource| resource.view.references()).unwrap_or_default() {
        *stands_so.entry(target).or_default() += 1;
    }
    for target in draft.view.references() {
        if let Some(times) = stands_so.get_mut(&target).filter(|times| **times > 0) {
            *times -= 1;
            continue;
        }
        let (id, thing) = match &target {
            Target::Resource(id) => (id, NetworkThing::Of(id.kind)),
            Target::Subnet(subnet) => (&subnet.network, NetworkThing::Subnet),
            Target::InboundNatRule(rule) => (&rule.balancer, NetworkThing::InboundNatRule),
        };
        let linked = Action::Network(thing, Verb::Join);
        let scope: Scope = target.to_string().parse().unwrap_or_else(|_| Scope::from(id));
        // What is of another subscription is refused by the rules.
        if id.subscription == server.installation.subscription && !may(caller, linked, &scope) {
            denied(caller, server, call, linked).await;
            return Err(Problem::LinkedDenied { action, linked, scope: target.to_string() });
        }
    }
    Ok(())
}

/// Whether the caller may do what a machine that is named by its addresses does beside it: take the interfaces
/// that have them, and have one made with its group for the others.
async fn permit_making<S: Store>(
    caller: &Caller,
    server: &Server<S>,
    call: &Call,
    action: Action,
    draft: &ResourceDraft,
) -> Result<(), Problem> {
    let ViewDraft::VirtualMachine(machine) = &draft.view else { return Ok(()) };
    let addresses = match &machine.joined {
        Joined::Addresses(addresses) | Joined::Both { addresses, .. } => addresses,
        Joined::Interfaces(_) => return Ok(()),
    };
    let network = network(server).await?;
    let interface = NetworkThing::Of(Kind::NetworkInterfaces);
    let group = NetworkThing::Of(Kind::NetworkSecurityGroups);
    let mut linked: BTreeSet<(Action, Name, String)> = BTreeSet::new();
    for address in addresses {
        match network.owner(*address) {
            Some(nic) => {
                let join = Action::Network(interface, Verb::Join);
                // The caller named an address, and must not learn by that whose it is.
                if !sees(caller, nic) && !may(caller, join, &Scope::from(nic)) {
                    denied(caller, server, call, join).await;
                    return Err(Problem::AddressOfUnseen(*address));
                }
                linked.insert((join, nic.group.clone(), nic.to_string()));
            }
            None => {
                let (to, scope) = (draft.id.group.clone(), group_path(&draft.id));
                for thing in [interface, group] {
                    let write = Action::Network(thing, Verb::Write);
                    linked.insert((write, to.clone(), scope.clone()));
                }
            }
        }
    }
    for (linked, group, named) in linked {
        let scope = named
            .parse()
            .unwrap_or_else(|_| Scope::group(server.installation.subscription, &group));
        if !may(caller, linked, &scope) {
            denied(caller, server, call, linked).await;
            return Err(Problem::LinkedDenied { action, linked, scope: named });
        }
    }
    Ok(())
}

fn group_path(id: &ResourceId) -> String {
    format!("/subscriptions/{}/resourceGroups/{}", id.subscription, id.group)
}

/// Whether a part, or what is tagged, stands as the caller says; its version is that of the resource.
fn check_part(only_if: Precondition, resource: &Resource, known: bool) -> Result<(), Problem> {
    let holds = match only_if {
        Precondition::None => true,
        Precondition::Exists => known,
        Precondition::Version(version) => known && version == resource.version,
        Precondition::Making { instance, version } => {
            known && instance == resource.instance && version == resource.version
        }
        Precondition::Absent => !known,
    };
    let version = known.then_some(resource.version);
    if holds {
        Ok(())
    } else {
        Err(Problem::Refused(Refusal::PreconditionFailed { version }.into()))
    }
}

fn is_late(refusals: &Refusals) -> bool {
    matches!(refusals.0.as_slice(), [Refusal::PreconditionFailed { .. }])
}

fn is_not_found(refusals: &Refusals) -> bool {
    matches!(refusals.0.as_slice(), [Refusal::Resource { fault: ResourceFault::NotFound, .. }])
}

/// There is no such resource.
pub(super) fn not_found(id: &ResourceId) -> Problem {
    Problem::Refused(Refusal::Resource { id: id.clone(), fault: ResourceFault::NotFound }.into())
}
