//! Roles: shown, made, given and taken, each checked at the scope that it is about.
//!
//! One may always see what one has oneself. Whatever else one may not read is not there: it is not listed, and
//! asking for it gives the answer of something that does not exist.

use std::{collections::BTreeSet, sync::Arc};

use hourgate_api::{
    body::{AssignmentSent, DefinitionSent},
    error::{assignment_not_found, definition_not_found},
    paths::{AssignmentQuery, DefinitionQuery},
};
use hourgate_core::{
    command::Command,
    refusal::{Refusal, Refusals},
    role::{
        Action, Caller, Change, Directory, Scope,
        assignment::{Assignment, AssignmentId},
        change::{AssignmentDraft, DirectoryCommand, DirectoryRefusal, RoleDraft},
        definition::{Definition, RoleId, RoleKind},
        may,
        principal::PrincipalKind,
    },
};
use hourgate_store::Store;

use super::{Call, Problem, denied, permit};
use crate::server::{Server, origin};

const READ_GIVEN: Action = Action::Assignment(Change::Read);
const READ_ROLE: Action = Action::Role(Change::Read);

/// An assignment, and what it was given to.
pub(crate) struct AssignmentSeen {
    /// The assignment.
    pub(crate) assignment: Arc<Assignment>,
    /// What whoever has it is.
    pub(crate) kind: PrincipalKind,
}

/// Whether something was there before it was set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Before {
    /// It was, whether as it is now or not.
    Stood,
    /// It was not.
    New,
}

/// The assignments that are asked for, as far as the caller may see them, by their ids.
pub(crate) async fn list_assignments<S: Store>(
    caller: &Caller,
    server: &Server<S>,
    call: &Call,
    (scope, query): (&Scope, &AssignmentQuery),
) -> Result<Vec<AssignmentSeen>, Problem> {
    let directory = server.store.directory();
    let all = directory.assignments().filter(|given| is_visible(caller, given));
    let found: Vec<&Arc<Assignment>> =
        all.filter(|given| is_wanted(&directory, given, scope, query)).collect();
    if found.is_empty() && !caller.rights.allow_within(READ_GIVEN, scope) {
        permit(caller, server, call, READ_GIVEN, scope).await?;
    }
    Ok(found.into_iter().filter_map(|given| seen(&directory, given)).collect())
}

/// Whether an assignment is among those that are asked for at a scope: without a filter those at it, above it
/// and below it (Azure's meaning).
fn is_wanted(
    directory: &Directory,
    given: &Assignment,
    scope: &Scope,
    query: &AssignmentQuery,
) -> bool {
    let above = given.scope.holds(scope);
    let placed = above || (!query.at_scope && scope.holds(&given.scope));
    let of_principal = query.principal.is_none_or(|who| who == given.principal);
    let of_any = query.assigned_to.is_none_or(|who| {
        let groups = directory.principal(who).map(|who| &who.groups.groups);
        who == given.principal || groups.is_some_and(|groups| groups.contains(&given.principal))
    });
    placed && of_principal && of_any
}

/// Whether a caller may know of an assignment: by a right, or because it is theirs.
fn is_visible(caller: &Caller, given: &Assignment) -> bool {
    may(caller, READ_GIVEN, &given.scope) || is_own(caller, given)
}

/// Whether a caller has an assignment, by themselves or by a group that counts.
fn is_own(caller: &Caller, given: &Assignment) -> bool {
    caller.person.id.principal() == Some(given.principal)
        || caller.rights.all().iter().any(|right| right.assignment.id == given.id)
}

fn seen(directory: &Directory, given: &Arc<Assignment>) -> Option<AssignmentSeen> {
    // What was given to somebody goes with them.
    let kind = directory.principal(given.principal)?.kind;
    Some(AssignmentSeen { assignment: Arc::clone(given), kind })
}

/// One assignment, which stands at that scope and nowhere else.
pub(crate) async fn get_assignment<S: Store>(
    caller: &Caller,
    server: &Server<S>,
    call: &Call,
    (scope, id): (&Scope, AssignmentId),
) -> Result<AssignmentSeen, Problem> {
    let directory = server.store.directory();
    let found = directory.assignment(id).filter(|given| given.scope == *scope);
    if !found.is_some_and(|given| is_own(caller, given)) {
        permit(caller, server, call, READ_GIVEN, scope).await?;
    }
    found
        .and_then(|given| seen(&directory, given))
        .ok_or_else(|| Problem::Missing(assignment_not_found(id)))
}

/// Gives a role at a scope.
pub(crate) async fn put_assignment<S: Store>(
    caller: &Caller,
    server: &Server<S>,
    call: &Call,
    (scope, id, sent): (&Scope, AssignmentId, AssignmentSent),
) -> Result<(AssignmentSeen, Before), Problem> {
    let action = Action::Assignment(Change::Write);
    permit(caller, server, call, action, scope).await?;
    let directory = server.store.directory();
    // A role that the caller may not know of, and that cannot be given there, is not named.
    let unknown =
        |role: &Arc<Definition>| !role.is_assignable_at(scope) && !knows_role(caller, role);
    if directory.definition(sent.role).is_some_and(unknown) {
        return Err(refused(DirectoryRefusal::RoleNotFound { role: sent.role }));
    }
    let before = directory.assignment(id).map_or(Before::New, |_| Before::Stood);
    let draft = AssignmentDraft {
        id,
        scope: scope.clone(),
        role: sent.role,
        principal: sent.principal,
        kind: sent.kind,
        description: sent.description,
        until: sent.until,
        by: Some(caller.person.id.clone()),
    };
    let command = Command::Directory(DirectoryCommand::Assign(draft));
    let committed = server.commit(origin(caller, call, action), command).await?;
    let directory = &committed.state.directory;
    let given = directory.assignment(id).and_then(|given| seen(directory, given));
    // It cannot be gone: it was committed just now.
    let given = given.ok_or_else(|| Problem::Missing(assignment_not_found(id)))?;
    Ok((given, before))
}

/// Takes a role; none where there is no such assignment at that scope.
pub(crate) async fn delete_assignment<S: Store>(
    caller: &Caller,
    server: &Server<S>,
    call: &Call,
    (scope, id): (&Scope, AssignmentId),
) -> Result<Option<AssignmentSeen>, Problem> {
    let action = Action::Assignment(Change::Delete);
    permit(caller, server, call, action, scope).await?;
    let directory = server.store.directory();
    let stands = directory.assignment(id).filter(|given| given.scope == *scope);
    let Some(gone) = stands.and_then(|given| seen(&directory, given)) else { return Ok(None) };
    let command = Command::Directory(DirectoryCommand::Unassign { assignment: id });
    server.commit(origin(caller, call, action), command).await?;
    Ok(Some(gone))
}

/// A page of the roles that can be given at a scope, as far as the caller may see them, by their ids; and
/// whether there are more.
pub(crate) async fn list_definitions<S: Store>(
    caller: &Caller,
    server: &Server<S>,
    call: &Call,
    (scope, query): (&Scope, &DefinitionQuery),
) -> Result<Vec<Arc<Definition>>, Problem> {
    let directory = server.store.directory();
    let reads = caller.rights.allow_within(READ_ROLE, scope);
    let visible =
        |role: &&Arc<Definition>| is_held(caller, role) || (reads && knows_role(caller, role));
    let placed = |role: &&Arc<Definition>| {
        let said = role.said();
        let below = said.assignable.iter().any(|inner| scope.holds(inner));
        role.is_assignable_at(scope) || (query.below && below)
    };
    let named = |role: &&Arc<Definition>| {
        let said = role.said();
        let same = |name: &String| name.to_lowercase() == said.name.to_lowercase();
        query.name.as_ref().is_none_or(same)
            && query.kind.as_ref().is_none_or(|kind| kind.eq_ignore_ascii_case(said.kind.as_str()))
            && query.after < Some(role.id())
    };
    let known = directory.definitions().filter(visible);
    let mut found: Vec<Arc<Definition>> =
        known.filter(placed).filter(named).map(Arc::clone).collect();
    if found.is_empty() && !reads {
        permit(caller, server, call, READ_ROLE, scope).await?;
    }
    found.sort_by_key(|role| role.id());
    Ok(found)
}

/// Whether a role is one of those at a scope: it can be given there, above it or below it.
fn is_at(role: &Definition, scope: &Scope) -> bool {
    let assignable = &role.said().assignable;
    role.is_assignable_at(scope) || assignable.iter().any(|inner| scope.holds(inner))
}

/// Whether a caller has a role.
fn is_held(caller: &Caller, role: &Definition) -> bool {
    caller.rights.all().iter().any(|right| right.role.id() == role.id())
}

/// Whether a caller may know of a role.
pub(super) fn knows_role(caller: &Caller, role: &Definition) -> bool {
    let said = role.said();
    said.kind == RoleKind::BuiltInRole
        || is_held(caller, role)
        || said.assignable.iter().any(|scope| knows_scope(caller, scope))
}

/// Whether a caller may know that a role can be given at a scope.
pub(crate) fn knows_scope(caller: &Caller, scope: &Scope) -> bool {
    caller.rights.allow_within(READ_ROLE, scope)
}

/// One role.
pub(crate) async fn get_definition<S: Store>(
    caller: &Caller,
    server: &Server<S>,
    call: &Call,
    (scope, id): (&Scope, RoleId),
) -> Result<Arc<Definition>, Problem> {
    let directory = server.store.directory();
    let found = directory.definition(id);
    if !found.is_some_and(|role| is_held(caller, role)) {
        permit(caller, server, call, READ_ROLE, scope).await?;
    }
    let found = found.filter(|role| is_held(caller, role) || is_at(role, scope));
    found.cloned().ok_or_else(|| Problem::Missing(definition_not_found(id)))
}

/// Makes a role, or changes one. That needs the right at each scope where it can be given, before and after.
pub(crate) async fn put_definition<S: Store>(
    caller: &Caller,
    server: &Server<S>,
    call: &Call,
    (scope, id, sent): (&Scope, RoleId, DefinitionSent),
) -> Result<Arc<Definition>, Problem> {
    let action = Action::Role(Change::Write);
    permit(caller, server, call, action, scope).await?;
    if let Some(linked) = sent.assignable.iter().find(|scope| !may(caller, action, scope)) {
        denied(caller, server, call, action).await;
        let scope = linked.to_string();
        return Err(Problem::LinkedDenied { action, linked: action, scope });
    }
    permit_everywhere(caller, server, call, action, id).await?;
    let draft = RoleDraft {
        id,
        name: sent.name,
        description: sent.description,
        permissions: sent.permissions,
        assignable: sent.assignable,
    };
    let command = Command::Directory(DirectoryCommand::Define(draft));
    let committed = server
        .commit(origin(caller, call, action), command)
        .await
        .map_err(|problem| told_without_scope(caller, problem))?;
    let role = committed.state.directory.definition(id).cloned();
    role.ok_or_else(|| Problem::Missing(definition_not_found(id)))
}

/// Removes a role; none where there is no such role at that scope.
pub(crate) async fn delete_definition<S: Store>(
    caller: &Caller,
    server: &Server<S>,
    call: &Call,
    (scope, id): (&Scope, RoleId),
) -> Result<Option<Arc<Definition>>, Problem> {
    let action = Action::Role(Change::Delete);
    permit(caller, server, call, action, scope).await?;
    let directory = server.store.directory();
    let Some(role) = directory.definition(id).filter(|role| is_at(role, scope)) else {
        return Ok(None);
    };
    permit_everywhere(caller, server, call, action, id).await?;
    let command = Command::Directory(DirectoryCommand::Undefine { role: id });
    server
        .commit(origin(caller, call, action), command)
        .await
        .map_err(|problem| told_without_scope(caller, problem))?;
    Ok(Some(Arc::clone(role)))
}

/// Whether the caller may do that at every scope where a role can be given. Which those are is not said: the
/// caller may not know of them.
async fn permit_everywhere<S: Store>(
    caller: &Caller,
    server: &Server<S>,
    call: &Call,
    action: Action,
    role: RoleId,
) -> Result<(), Problem> {
    let directory = server.store.directory();
    let stands = directory.definition(role).map(|role| role.said());
    let scopes = stands.into_iter().flat_map(|said| &said.assignable);
    if scopes.into_iter().all(|scope| may(caller, action, scope)) {
        return Ok(());
    }
    denied(caller, server, call, action).await;
    Err(Problem::Denied { action })
}

/// A role that is given stays as it is; where it is given is told to those who may know that.
fn told_without_scope(caller: &Caller, problem: Problem) -> Problem {
    let Problem::Refused(Refusals(mut refusals)) = problem else { return problem };
    for refusal in &mut refusals {
        if let Refusal::Directory { why: DirectoryRefusal::RoleIsGiven { scope, .. } } = refusal
            && !may(caller, READ_GIVEN, scope)
        {
            *scope = Scope::subscription(scope.of_subscription());
        }
    }
    Problem::Refused(Refusals(refusals))
}

/// What the caller may do at a scope, by the actions' names.
pub(crate) fn permissions(caller: &Caller, scope: &Scope) -> Vec<&'static str> {
    let allowed = Action::all().filter(|action| may(caller, *action, scope));
    // Some actions of ours have one name of Azure's between them.
    let names: BTreeSet<&'static str> = allowed.map(Action::name).collect();
    names.into_iter().collect()
}

fn refused(why: DirectoryRefusal) -> Problem {
    Problem::Refused(why.into())
}
