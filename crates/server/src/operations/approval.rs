//! What it takes to activate a role, and who says yes.

use std::sync::Arc;

use hourgate_api::{
    body::{ReviewSent, RulesSent},
    error::definition_not_found,
};
use hourgate_core::{
    command::Command,
    role::{
        Action, Caller, Change, Directory, Groups, Rights, Scope,
        activation::{Activation, ActivationId, ActivationStage, Rules},
        change::DirectoryCommand,
        definition::{Definition, RoleId},
        may,
    },
};
use hourgate_store::Store;
use uuid::Uuid;

use super::{
    Call, Problem,
    activation::{asked, missing, named},
    permit,
};
use crate::{
    mint,
    server::{Server, origin},
};

/// Azure's action of deciding about an activation.
const DECIDE: &str = "Microsoft.Authorization/roleAssignmentApprovals/stages/write";
/// How many activations that wait are looked at for one list: each is asked of the core.
const LOOKED_AT_MAX: usize = 500;

/// Whether the caller could say yes or no to an activation now. The core is asked, and nothing is done.
pub(super) async fn decides<S: Store>(
    caller: &Caller,
    server: &Server<S>,
    activation: &Activation,
) -> bool {
    if !matches!(activation.stage, ActivationStage::Waiting { .. }) {
        return false;
    }
    let command = DirectoryCommand::Decide {
        activation: activation.id,
        by: caller.person.clone(),
        approve: false,
        why: None,
        assignment: Uuid::nil(),
    };
    server.what_if(Command::Directory(command)).await.is_ok()
}

/// Whether the caller may see an activation: it is theirs, they may read what others have, they could decide about
/// it, or they have.
pub(super) async fn sees<S: Store>(
    caller: &Caller,
    server: &Server<S>,
    activation: &Activation,
) -> bool {
    let decided = match &activation.stage {
        ActivationStage::Waiting { .. } => None,
        ActivationStage::Active { decision, .. } | ActivationStage::Ended { decision, .. } => {
            decision.as_ref()
        }
    };
    activation.person.id == caller.person.id
        || decided.is_some_and(|decision| decision.by.id == caller.person.id)
        || may(caller, Action::Assignment(Change::Read), &activation.scope)
        || decides(caller, server, activation).await
}

/// The activations that wait for a word and that the caller may see, each with whether theirs is waited for.
pub(crate) async fn list_approvals<S: Store>(
    caller: &Caller,
    server: &Server<S>,
    scope: &Scope,
    as_approver: bool,
) -> Vec<(Arc<Activation>, bool)> {
    let directory = server.store.directory();
    let waiting = directory.activations().filter(|activation| {
        matches!(activation.stage, ActivationStage::Waiting { .. })
            && (scope.holds(&activation.scope) || activation.scope.holds(scope))
    });
    let mut listed = Vec::new();
    for activation in waiting.take(LOOKED_AT_MAX) {
        let decides = decides(caller, server, activation).await;
        let own = activation.person.id == caller.person.id;
        let reads = own || may(caller, Action::Assignment(Change::Read), &activation.scope);
        if decides || (reads && !as_approver) {
            listed.push((Arc::clone(activation), decides));
        }
    }
    listed
}

/// One activation, and whether the caller's word is waited for.
pub(crate) async fn get_approval<S: Store>(
    caller: &Caller,
    server: &Server<S>,
    id: ActivationId,
) -> Result<(Arc<Activation>, bool), Problem> {
    let activation = asked(server, id).ok_or_else(|| missing(id))?;
    if !sees(caller, server, &activation).await {
        return Err(missing(id));
    }
    let decides = decides(caller, server, &activation).await;
    Ok((activation, decides))
}

/// Says yes or no to somebody's activation.
pub(crate) async fn decide_activation<S: Store>(
    caller: &Caller,
    server: &Server<S>,
    call: &Call,
    id: ActivationId,
    sent: ReviewSent,
) -> Result<Arc<Activation>, Problem> {
    let activation = asked(server, id).ok_or_else(|| missing(id))?;
    // Of what they may not see they are told nothing, not even that they may not decide about it.
    if !sees(caller, server, &activation).await {
        return Err(missing(id));
    }
    let command = DirectoryCommand::Decide {
        activation: id,
        by: caller.person.clone(),
        approve: sent.approve,
        why: sent.justification,
        assignment: mint::uuid()?,
    };
    let origin = named(caller, call, DECIDE);
    let committed = server.commit(origin, Command::Directory(command)).await?;
    committed.state.directory.activation(id).cloned().ok_or_else(|| missing(id))
}

/// What it takes to activate each role that can be given at a scope, as far as the caller may see it.
pub(crate) async fn list_rules<S: Store>(
    caller: &Caller,
    server: &Server<S>,
    call: &Call,
    (scope, only): (&Scope, Option<RoleId>),
) -> Result<(Arc<Directory>, Vec<Arc<Rules>>), Problem> {
    let directory = server.store.directory();
    let seen = |role: &&Arc<Definition>| {
        role.is_assignable_at(scope)
            && only.is_none_or(|only| only == role.id())
            && sees_rules(caller, server, &directory, (scope, role.id()))
    };
    let roles: Vec<RoleId> = directory.definitions().filter(seen).map(|role| role.id()).collect();
    if roles.is_empty() {
        permit(caller, server, call, Action::Eligibility(Change::Read), scope).await?;
    }
    let rules = roles.into_iter().map(|role| directory.rules(role, scope)).collect();
    Ok((directory, rules))
}

/// Whoever may activate a role must know what it takes.
fn sees_rules<S: Store>(
    caller: &Caller,
    server: &Server<S>,
    directory: &Directory,
    (scope, role): (&Scope, RoleId),
) -> bool {
    if may(caller, Action::Eligibility(Change::Read), scope) {
        return true;
    }
    let who = caller.person.id.principal().and_then(|id| directory.principal(id));
    let Some(who) = who else { return false };
    let (settings, now) = (server.store.settings(), server.now());
    let groups = Rights::groups_of(directory, &settings, who, Groups::Fresh, now);
    directory.eligibilities().any(|given| {
        given.role == role
            && given.scope == *scope
            && (given.principal == who.id || groups.contains(&given.principal))
    })
}

/// What it takes to activate one role at a scope.
pub(crate) async fn get_rules<S: Store>(
    caller: &Caller,
    server: &Server<S>,
    call: &Call,
    (scope, role): (&Scope, RoleId),
) -> Result<(Arc<Directory>, Arc<Rules>), Problem> {
    let (directory, rules) = list_rules(caller, server, call, (scope, Some(role))).await?;
    let rules = rules.into_iter().next();
    Ok((directory, rules.ok_or_else(|| Problem::Missing(definition_not_found(role)))?))
}

/// Says what it takes; what was not said stays.
pub(crate) async fn set_rules<S: Store>(
    caller: &Caller,
    server: &Server<S>,
    call: &Call,
    (scope, role): (&Scope, RoleId),
    sent: RulesSent,
) -> Result<(Arc<Directory>, Arc<Rules>), Problem> {
    let action = Action::Eligibility(Change::Write);
    permit(caller, server, call, action, scope).await?;
    let mut rules = Rules::clone(&server.store.directory().rules(role, scope));
    if let Some(longest) = sent.longest {
        rules.longest = longest;
    }
    if let Some(enabled) = sent.enabled {
        rules.second_factor = enabled.second_factor;
        rules.justification = enabled.justification;
        rules.ticket = enabled.ticket;
    }
    if let Some(approval) = sent.approval {
        rules.approval = approval;
    }
    let command = Command::Directory(DirectoryCommand::SetRules(rules));
    let committed = server.commit(origin(caller, call, action), command).await?;
    let directory = committed.state.directory;
    let rules = directory.rules(role, scope);
    Ok((directory, rules))
}
