//! What of an answer its caller may see. What they may not read is not shown, not counted and not named.
//!
//! A VM of a policy, and what was asked for on it, is seen by whoever may read the VM and either the policy or
//! policies at the VM: so a role that was given at one VM shows that VM's part and no other. What somebody asked
//! for themselves they see, whatever became of their roles.

use hourgate_core::{
    grant::Request,
    id::{Name, PolicyId, VmId},
    nsg::id::GroupId,
    resource::ResourceId,
    role::{Action, Caller, Groups, NetworkThing, Rights, Scope, Verb, may},
};
use hourgate_store::{PolicyAnswer, Store, StoreError};

use super::Problem;
use crate::server::Server;

/// Whether a caller may read a resource.
pub(crate) fn sees(caller: &Caller, id: &ResourceId) -> bool {
    may(caller, Action::Network(NetworkThing::Of(id.kind), Verb::Read), &Scope::from(id))
}

/// Whether a caller may read a security group, and so hear of its rules.
pub(crate) fn sees_group(caller: &Caller, id: &GroupId) -> bool {
    sees(caller, &ResourceId::from(id))
}

/// Whether a caller may read a policy, with all that it says of itself.
pub(crate) fn sees_policy(caller: &Caller, id: &PolicyId) -> bool {
    may(caller, Action::PolicyRead, &Scope::from(id))
}

/// Whether a caller may see what a policy says of a VM, and what was asked for on it.
pub(crate) fn sees_member(caller: &Caller, policy: &PolicyId, vm: &VmId) -> bool {
    let at_vm = Scope::from(vm);
    may(caller, Action::VM_READ, &at_vm)
        && (may(caller, Action::PolicyRead, &at_vm) || sees_policy(caller, policy))
}

/// Whether a caller may see what was asked for on a VM, of whichever policy.
pub(crate) fn sees_asked_at(caller: &Caller, vm: &VmId) -> bool {
    let at_vm = Scope::from(vm);
    may(caller, Action::VM_READ, &at_vm) && may(caller, Action::PolicyRead, &at_vm)
}

/// A policy as far as the caller may see it; none where nothing of it.
pub(super) fn of_policy(caller: &Caller, mut answer: PolicyAnswer) -> Option<PolicyAnswer> {
    let policy = &mut answer.policy;
    let id = policy.id.clone();
    let whole = sees_policy(caller, &id);
    // A policy holds VMs of its own group: mostly one look tells of thousands.
    if whole && may(caller, Action::VM_READ, &Scope::group(id.subscription, &id.group)) {
        return Some(answer);
    }
    policy.members.retain(|vm, _| sees_member(caller, &id, vm));
    if !whole && policy.members.is_empty() {
        return None;
    }
    answer.requests =
        answer.requests.into_iter().filter_map(|request| of_request(caller, request)).collect();
    Some(answer)
}

/// A request as far as the caller may see it; none where nothing of it.
pub(super) fn of_request(caller: &Caller, mut request: Request) -> Option<Request> {
    if request.requester.id == caller.person.id {
        return Some(request);
    }
    let policy = request.policy.clone();
    request.accesses.retain(|access| sees_member(caller, &policy, &access.vm));
    (!request.accesses.is_empty()).then_some(request)
}

/// The caller as they are now, for whoever has waited since they came; none where they were disabled or
/// forgotten.
pub(super) fn as_of_now<S: Store>(caller: &Caller, server: &Server<S>) -> Option<Caller> {
    let Some(principal) = caller.person.id.principal() else { return Some(caller.clone()) };
    let (known, settings) = (server.store.directory(), server.store.settings());
    known.principal(principal).filter(|who| !who.disabled)?;
    let rights = Rights::of(&known, &settings, principal, Groups::Fresh, server.now());
    Some(Caller { rights, ..caller.clone() })
}

/// That a resource group is missing, where it is, and the caller may know: to others it is missing or not by the
/// same answer.
pub(super) async fn missing_group<S: Store>(
    caller: &Caller,
    server: &Server<S>,
    group: &Name,
) -> Result<Option<Problem>, StoreError> {
    let id = ResourceId::of_group(server.installation.subscription, group.clone());
    let is_told = sees(caller, &id) && !super::resource::is_group(server, group).await?;
    Ok(is_told.then(|| Problem::NoGroup(group.clone())))
}
