//! JIT policies: set, confirmed, removed, shown.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use hourgate_core::{
    command::{Command, Needs, PolicyDraft, Precondition},
    id::{Name, PolicyId, VmId},
    policy::Policy,
    refusal::Refusal,
    role::{Action, Caller, Scope, may},
};
use hourgate_store::{Committed, PolicyAnswer, PolicyFilter, Store, VmFilter};

use super::{
    Call, PolicySeen, Problem, denied, permit, permit_within,
    see::{LocksSeen, blocked, locks},
    sight::{missing_group, of_policy, sees_member, sees_policy},
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
    permit(caller, server, call, Action::PolicyWrite, &Scope::from(&draft.id)).await?;
    let vms = draft.vms.iter().map(|member| &member.vm);
    permit_linked(caller, server, call, (Action::PolicyWrite, Action::VM_WRITE), vms).await?;
    permit_letting_go(caller, server, call, &draft).await?;
    let id = draft.id.clone();
    let command = Command::SetPolicy { draft, only_if, confirm_within };
    let committed = if what_if {
        server.what_if(command).await
    } else {
        server.commit(origin(caller, call, Action::PolicyWrite), command).await
    };
    let Committed { state, .. } = in_group(caller, server, &id.group, committed).await?;
    let policy = stands(state.policies.get(&id), &id)?;
    let locks = locks(caller, &policy, &state.vms, state.network).await;
    Ok((policy, locks))
}

/// Keeps a policy that waits for confirmation.
pub(crate) async fn confirm_policy<S: Store>(
    caller: &Caller,
    server: &Server<S>,
    call: &Call,
    id: PolicyId,
) -> Result<PolicySeen, Problem> {
    permit(caller, server, call, Action::PolicyWrite, &Scope::from(&id)).await?;
    let command = Command::ConfirmPolicy { id: id.clone() };
    let committed = server.commit(origin(caller, call, Action::PolicyWrite), command).await;
    in_group(caller, server, &id.group, committed).await?;
    match see(caller, server, &id).await? {
        Some(seen) => Ok(seen),
        // Whoever may confirm it and not see it hears that it stands.
        None => {
            let answer = PolicyAnswer { policy: head(server, &id).await?, requests: Vec::new() };
            let alone = PolicySeen::all(vec![answer], Vec::new(), server.gate.view());
            alone.into_iter().next().ok_or_else(|| not_found(id))
        }
    }
}

/// A policy without its VMs.
async fn head<S: Store>(server: &Server<S>, id: &PolicyId) -> Result<Policy, Problem> {
    let needs = Needs { heads: BTreeSet::from([id.clone()]), ..Needs::default() };
    let state = server.store.load(needs).await?;
    let policy = stands(state.policies.get(id), id)?;
    Ok(Policy { members: BTreeMap::new(), ..policy })
}

/// Removes a policy. False where there was none.
pub(crate) async fn remove_policy<S: Store>(
    caller: &Caller,
    server: &Server<S>,
    call: &Call,
    id: PolicyId,
    only_if: Precondition,
) -> Result<bool, Problem> {
    permit(caller, server, call, Action::PolicyDelete, &Scope::from(&id)).await?;
    let group = id.group.clone();
    let command = Command::RemovePolicy { id, only_if };
    let removed = server.commit(origin(caller, call, Action::PolicyDelete), command).await;
    match in_group(caller, server, &group, removed).await {
        Ok(_) => Ok(true),
        Err(Problem::Refused(refusals))
            if matches!(refusals.0.as_slice(), [Refusal::PolicyNotFound { .. }]) =>
        {
            Ok(false)
        }
        Err(other) => Err(other),
    }
}

/// One policy with its requests, and what is seen of both. Whoever may read policies at a VM of it alone sees
/// that VM's part; whether there is a policy that does not hold their VM, they do not learn.
pub(crate) async fn get_policy<S: Store>(
    caller: &Caller,
    server: &Server<S>,
    call: &Call,
    id: PolicyId,
) -> Result<PolicySeen, Problem> {
    if sees_policy(caller, &id) {
        return match see(caller, server, &id).await? {
            Some(seen) => Ok(seen),
            None => Err(not_there(caller, server, id).await?),
        };
    }
    permit_within(
        caller,
        server,
        call,
        Action::PolicyRead,
        &Scope::group(id.subscription, &id.group),
    )
    .await?;
    match see(caller, server, &id).await? {
        Some(seen) => Ok(seen),
        None => {
            denied(caller, server, call, Action::PolicyRead).await;
            Err(Problem::Denied { action: Action::PolicyRead })
        }
    }
}

/// Policies that a filter names, with their requests.
pub(crate) async fn list_policies<S: Store>(
    caller: &Caller,
    server: &Server<S>,
    call: &Call,
    which: PolicyFilter,
    with_locks: bool,
) -> Result<Vec<PolicySeen>, Problem> {
    let scope = Scope::of(server.installation.subscription, which.group.as_ref());
    permit_within(caller, server, call, Action::PolicyRead, &scope).await?;
    let group = which.group.clone();
    let policies = server.store.policies(which).await?;
    let vms = server.store.vms(VmFilter { group: group.clone(), name: None }).await?;
    if let Some(group) = group.filter(|_| vms.is_empty() && policies.is_empty())
        && let Some(missing) = missing_group(caller, server, &group).await?
    {
        return Err(missing);
    }
    let policies = policies.into_iter().filter_map(|answer| of_policy(caller, answer)).collect();
    let mut all = PolicySeen::all(policies, vms, server.gate.view());
    if with_locks {
        let network = super::resource::network(server).await?;
        for seen in &mut all {
            seen.locks = locks(caller, &seen.answer.policy, &seen.vms, network.clone()).await;
        }
    }
    Ok(all)
}

/// A policy as far as the caller may see it.
async fn see<S: Store>(
    caller: &Caller,
    server: &Server<S>,
    id: &PolicyId,
) -> Result<Option<PolicySeen>, Problem> {
    let which = PolicyFilter { id: Some(id.clone()), ..PolicyFilter::default() };
    let policies = server.store.policies(which).await?;
    let policies = policies.into_iter().filter_map(|answer| of_policy(caller, answer)).collect();
    let vms = server.store.vms(VmFilter { group: Some(id.group.clone()), name: None }).await?;
    let found = PolicySeen::all(policies, vms, server.gate.view()).into_iter().next();
    let Some(mut seen) = found else { return Ok(None) };
    let network = super::resource::network(server).await?;
    seen.locks = locks(caller, &seen.answer.policy, &seen.vms, network).await;
    seen.blocked = blocked(caller, server, &seen.answer.requests).await?;
    Ok(Some(seen))
}

async fn not_there<S: Store>(
    caller: &Caller,
    server: &Server<S>,
    id: PolicyId,
) -> Result<Problem, Problem> {
    let group = missing_group(caller, server, &id.group).await?;
    Ok(group.unwrap_or_else(|| not_found(id)))
}

fn not_found(id: PolicyId) -> Problem {
    Problem::Refused(Refusal::PolicyNotFound { policy: id }.into())
}

/// Whether the caller may take out of a policy what they do not send. A PUT sets all VMs of a policy: whoever
/// may not see some of them cannot have meant to unlock those, and may not without the right at each.
async fn permit_letting_go<S: Store>(
    caller: &Caller,
    server: &Server<S>,
    call: &Call,
    draft: &PolicyDraft,
) -> Result<(), Problem> {
    let id = &draft.id;
    if sees_policy(caller, id)
        && may(caller, Action::VM_READ, &Scope::group(id.subscription, &id.group))
    {
        return Ok(());
    }
    let needs = Needs { policies: BTreeSet::from([id.clone()]), ..Needs::default() };
    let state = server.store.load(needs).await?;
    let sent: BTreeSet<&VmId> = draft.vms.iter().map(|member| &member.vm).collect();
    let held = state.policies.get(id).into_iter().flat_map(|policy| policy.members.keys());
    let mut let_go = held.filter(|vm| !sent.contains(vm) && !sees_member(caller, id, vm));
    if let_go.all(|vm| may(caller, Action::VM_WRITE, &Scope::from(vm))) {
        return Ok(());
    }
    denied(caller, server, call, Action::VM_WRITE).await;
    Err(Problem::LinkedUnseen { action: Action::PolicyWrite, linked: Action::VM_WRITE })
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
    caller: &Caller,
    server: &Server<S>,
    group: &Name,
    outcome: Result<T, Problem>,
) -> Result<T, Problem> {
    let Err(Problem::Refused(refusals)) = &outcome else { return outcome };
    let not_found = refusals.0.iter().any(|refusal| {
        matches!(refusal, Refusal::PolicyNotFound { .. } | Refusal::VmNotFound { .. })
    });
    match missing_group(caller, server, group).await?.filter(|_| not_found) {
        Some(missing) => Err(missing),
        None => outcome,
    }
}

fn stands(policy: Option<&Policy>, id: &PolicyId) -> Result<Policy, Problem> {
    policy.cloned().ok_or_else(|| not_found(id.clone()))
}
