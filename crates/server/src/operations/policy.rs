//! JIT policies: set, confirmed, removed, shown.

use std::time::Duration;

use hourgate_core::{
    command::{Command, PolicyDraft, Precondition},
    id::{Name, PolicyId, VmId},
    policy::Policy,
    refusal::Refusal,
    role::{Action, Caller, Scope, may},
};
use hourgate_store::{Committed, PolicyFilter, Store, VmFilter};

use super::{
    Call, PolicySeen, Problem, denied, permit,
    see::{LocksSeen, blocked, locks},
};
use crate::server::{Server, origin};

/// How a policy is set.
pub(crate) struct Setting {
    /// Only if it stands so.
    pub(crate) only_if: Precondition,
    /// Go back unless confirmed within this time.
    pub(crate) confirm_within: Option<Duration>,
    /// Say what would be, and change nothing.
    pub(crate) what_if: bool,
}

/// Sets a policy as sent: 200 whether it is new or not. Or says what it would be, with the refusals that it
/// would get.
pub(crate) async fn put_policy<S: Store>(
    caller: &Caller,
    server: &Server<S>,
    call: &Call,
    draft: PolicyDraft,
    Setting { only_if, confirm_within, what_if }: Setting,
) -> Result<(Policy, LocksSeen), Problem> {
    permit(caller, server, call, Action::PolicyWrite, Some(&draft.id.group)).await?;
    let vms = draft.vms.iter().map(|member| &member.vm);
    permit_linked(caller, server, call, (Action::PolicyWrite, Action::VM_WRITE), vms).await?;
    let id = draft.id.clone();
    let command = Command::SetPolicy { draft, only_if, confirm_within };
    let committed = if what_if {
        server.what_if(command).await
    } else {
        server.commit(origin(caller, call, Action::PolicyWrite), command).await
    };
    let Committed { state, .. } = in_group(server, &id.group, committed).await?;
    let policy = stands(state.policies.get(&id), &id)?;
    let locks = locks(&policy, &state.vms, state.network).await;
    Ok((policy, locks))
}

/// Keeps a policy that waits for confirmation.
pub(crate) async fn confirm_policy<S: Store>(
    caller: &Caller,
    server: &Server<S>,
    call: &Call,
    id: PolicyId,
) -> Result<PolicySeen, Problem> {
    permit(caller, server, call, Action::PolicyWrite, Some(&id.group)).await?;
    let command = Command::ConfirmPolicy { id: id.clone() };
    let committed = server.commit(origin(caller, call, Action::PolicyWrite), command).await;
    in_group(server, &id.group, committed).await?;
    see(server, id).await
}

/// Removes a policy. False where there was none.
pub(crate) async fn remove_policy<S: Store>(
    caller: &Caller,
    server: &Server<S>,
    call: &Call,
    id: PolicyId,
    only_if: Precondition,
) -> Result<bool, Problem> {
    permit(caller, server, call, Action::PolicyDelete, Some(&id.group)).await?;
    let group = id.group.clone();
    let command = Command::RemovePolicy { id, only_if };
    let removed = server.commit(origin(caller, call, Action::PolicyDelete), command).await;
    match in_group(server, &group, removed).await {
        Ok(_) => Ok(true),
        Err(Problem::Refused(refusals))
            if matches!(refusals.0.as_slice(), [Refusal::PolicyNotFound { .. }]) =>
        {
            Ok(false)
        }
        Err(other) => Err(other),
    }
}

/// One policy with its requests, and what is seen of both.
pub(crate) async fn get_policy<S: Store>(
    caller: &Caller,
    server: &Server<S>,
    call: &Call,
    id: PolicyId,
) -> Result<PolicySeen, Problem> {
    permit(caller, server, call, Action::PolicyRead, Some(&id.group)).await?;
    see(server, id).await
}

/// Policies that a filter names, with their requests.
pub(crate) async fn list_policies<S: Store>(
    caller: &Caller,
    server: &Server<S>,
    call: &Call,
    which: PolicyFilter,
    with_locks: bool,
) -> Result<Vec<PolicySeen>, Problem> {
    permit(caller, server, call, Action::PolicyRead, which.group.as_ref()).await?;
    let group = which.group.clone();
    let policies = server.store.policies(which).await?;
    let vms = server.store.vms(VmFilter { group: group.clone(), name: None }).await?;
    if let Some(group) = group.filter(|_| vms.is_empty() && policies.is_empty())
        && !super::resource::is_group(server, &group).await?
    {
        return Err(Problem::NoGroup(group));
    }
    let mut all = PolicySeen::all(policies, vms, server.gate.view());
    if with_locks {
        let network = super::resource::network(server).await?;
        for seen in &mut all {
            seen.locks = locks(&seen.answer.policy, &seen.vms, network.clone()).await;
        }
    }
    Ok(all)
}

async fn see<S: Store>(server: &Server<S>, id: PolicyId) -> Result<PolicySeen, Problem> {
    let group = id.group.clone();
    let which = PolicyFilter { id: Some(id.clone()), ..PolicyFilter::default() };
    let policies = server.store.policies(which).await?;
    let vms = server.store.vms(VmFilter { group: Some(group.clone()), name: None }).await?;
    if policies.is_empty() && vms.is_empty() && !super::resource::is_group(server, &group).await? {
        return Err(Problem::NoGroup(group));
    }
    let found = PolicySeen::all(policies, vms, server.gate.view()).into_iter().next();
    let mut seen =
        found.ok_or_else(|| Problem::Refused(Refusal::PolicyNotFound { policy: id }.into()))?;
    let network = super::resource::network(server).await?;
    seen.locks = locks(&seen.answer.policy, &seen.vms, network).await;
    seen.blocked = blocked(server, &seen.answer.requests).await?;
    Ok(seen)
}

/// Whether the caller may also do to each VM what the call does to it; Azure's linked access check.
pub(super) async fn permit_linked<S: Store>(
    caller: &Caller,
    server: &Server<S>,
    call: &Call,
    (action, linked): (Action, Action),
    vms: impl Iterator<Item = &VmId>,
) -> Result<(), Problem> {
    for vm in vms {
        let scope = Scope::from(vm);
        // A VM of another subscription is refused as not found by the rules.
        if vm.subscription == server.installation.subscription && !may(caller, linked, &scope) {
            denied(caller, server, call, linked).await;
            return Err(Problem::LinkedDenied { action, linked, scope: vm.to_string() });
        }
    }
    Ok(())
}

/// Says that the group is missing, where that is why something in it was not found.
pub(super) async fn in_group<S: Store, T>(
    server: &Server<S>,
    group: &Name,
    outcome: Result<T, Problem>,
) -> Result<T, Problem> {
    let Err(Problem::Refused(refusals)) = &outcome else { return outcome };
    let not_found = refusals.0.iter().any(|refusal| {
        matches!(refusal, Refusal::PolicyNotFound { .. } | Refusal::VmNotFound { .. })
    });
    if not_found && !super::resource::is_group(server, group).await? {
        return Err(Problem::NoGroup(group.clone()));
    }
    outcome
}

fn stands(policy: Option<&Policy>, id: &PolicyId) -> Result<Policy, Problem> {
    policy
        .cloned()
        .ok_or_else(|| Refusal::PolicyNotFound { policy: id.clone() }.into())
        .map_err(Problem::Refused)
}
