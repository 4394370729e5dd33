//! Resources of the network: set, tagged, removed, shown; and their parts, each a change of its resource.

use std::sync::Arc;

use hourgate_api::{body::PartChange, paths::Parts};
use hourgate_core::{
    command::{Command, Needs, Precondition},
    id::Name,
    refusal::{Refusal, Refusals},
    resource::{Kind, Network, Resource, ResourceDraft, ResourceFault, ResourceId, Tags, Target},
    role::{Action, Caller, NetworkThing, Scope, Verb, may},
};
use hourgate_store::{Store, StoreError, VmFilter};

use super::{Call, Problem, denied, permit};
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
    if network(server).await?.all().any(|resource| resource.id.group == *group) {
        return Ok(true);
    }
    let which = VmFilter { group: Some(group.clone()), name: None };
    Ok(!server.store.vms(which).await?.is_empty())
}

/// Sets a resource. True where it is new.
pub(crate) async fn put_resource<S: Store>(
    caller: &Caller,
    server: &Server<S>,
    call: &Call,
    draft: ResourceDraft,
    only_if: Precondition,
) -> Result<(Arc<Resource>, Arc<Network>, bool), Problem> {
    let action = Action::Network(NetworkThing::Of(draft.id.kind), Verb::Write);
    permit(caller, server, call, action, Some(&draft.id.group)).await?;
    permit_joins(caller, server, call, action, &draft).await?;
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
    permit(caller, server, call, action, Some(&id.group)).await?;
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
    permit(caller, server, call, action, Some(&id.group)).await?;
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
    (id, thing): (&ResourceId, NetworkThing),
) -> Result<(Arc<Resource>, Arc<Network>), Problem> {
    let action = Action::Network(thing, Verb::Read);
    permit(caller, server, call, action, Some(&id.group)).await?;
    let network = network(server).await?;
    match network.get(id) {
        Some(resource) => Ok((resource.clone(), network.clone())),
        None if is_group(server, &id.group).await? => Err(not_found(id)),
        None => Err(Problem::NoGroup(id.group.clone())),
    }
}

/// The resources of a kind in a group, or all, by their ids; and the network in which they stand.
pub(crate) async fn list_resources<S: Store>(
    caller: &Caller,
    server: &Server<S>,
    call: &Call,
    (kind, group): (Kind, Option<&Name>),
) -> Result<(Vec<Arc<Resource>>, Arc<Network>), Problem> {
    let action = Action::Network(NetworkThing::Of(kind), Verb::Read);
    permit(caller, server, call, action, group).await?;
    let network = network(server).await?;
    if let Some(group) = group
        && !is_group(server, group).await?
    {
        return Err(Problem::NoGroup(group.clone()));
    }
    let found = network.of_kind(kind, group).cloned().collect();
    Ok((found, network))
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
    permit(caller, server, call, action, Some(&id.group)).await?;
    let had = std::sync::atomic::AtomicBool::new(false);
    let set = |resource: &Resource| {
        let (draft, known) = part.of(resource).map_err(Problem::Unreadable)?;
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
    permit(caller, server, call, action, Some(&id.group)).await?;
    let part = PartChange::gone(name.clone());
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
pub(crate) fn thing(parts: Parts) -> NetworkThing {
    match parts {
        Parts::Subnets => NetworkThing::Subnet,
        Parts::SecurityRules | Parts::DefaultSecurityRules => NetworkThing::SecurityRule,
        Parts::RuleCollectionGroups => NetworkThing::RuleCollectionGroup,
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
            return Err(if is_group(server, &id.group).await? {
                not_found(id)
            } else {
                Problem::NoGroup(id.group.clone())
            });
        };
        check_part(only_if, resource, true)?;
        let Some(draft) = change(resource)? else { return Ok(None) };
        permit_joins(caller, server, call, action, &draft).await?;
        let unchanged = Precondition::Version(resource.version);
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

/// Whether the caller may have the resource refer to each of what it names; Azure's linked access check.
async fn permit_joins<S: Store>(
    caller: &Caller,
    server: &Server<S>,
    call: &Call,
    action: Action,
    draft: &ResourceDraft,
) -> Result<(), Problem> {
    for target in draft.view.references() {
        let (id, thing) = match &target {
            Target::Resource(id) => (id, NetworkThing::Of(id.kind)),
            Target::Subnet(subnet) => (&subnet.network, NetworkThing::Subnet),
            // Azure's action on it is on the load balancer's kind.
            Target::InboundNatRule(rule) => (&rule.balancer, NetworkThing::Of(rule.balancer.kind)),
        };
        let linked = Action::Network(thing, Verb::Join);
        let scope = Scope { subscription: id.subscription, group: Some(id.group.clone()) };
        // What is of another subscription is refused by the rules.
        if id.subscription == server.installation.subscription && !may(caller, linked, &scope) {
            denied(caller, server, call, linked).await;
            return Err(Problem::LinkedDenied { action, linked, scope: target.to_string() });
        }
    }
    Ok(())
}

/// Whether a part, or what is tagged, stands as the caller says; its version is that of the resource.
fn check_part(only_if: Precondition, resource: &Resource, known: bool) -> Result<(), Problem> {
    let holds = match only_if {
        Precondition::None => true,
        Precondition::Exists => known,
        Precondition::Version(version) => known && version == resource.version,
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

fn not_found(id: &ResourceId) -> Problem {
    Problem::Refused(Refusal::Resource { id: id.clone(), fault: ResourceFault::NotFound }.into())
}
