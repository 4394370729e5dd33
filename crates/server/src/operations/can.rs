//! Whether somebody may ask for access, and what is missing: asked of the same functions that decide it.

use std::{collections::BTreeSet, sync::Arc};

use hourgate_api::can::Question;
use hourgate_core::{
    command::{AccessAsk, Ask, Command},
    id::PolicyId,
    network::Source,
    policy::{Policy, PortRule},
    refusal::{Refusal, Refusals},
    role::{
        Action, Caller, Change, Directory, Groups, OwnAddress, Person, Rights, Scope,
        assignment::Assignment, change::DirectoryRefusal, may, principal::PrincipalId,
    },
    time::Timestamp,
};
use hourgate_store::{PolicyFilter, Store};

use super::{Call, Problem, permit};
use crate::{mint, server::Server};

/// How many people are named who can give a role.
const GIVERS_MAX: usize = 10;

/// Something that is missing.
pub(crate) enum Missing {
    /// No role allows that there. These would, and these people can give one.
    Role { action: Action, scope: Scope, roles: Vec<String>, by: Vec<String> },
    /// A role that they may activate would allow it.
    NotActive { action: Action, scope: Scope, role: String, at: Scope },
    /// A group would have the right, and what is known of the groups is too old.
    GroupsTooOld { at: Option<Timestamp> },
    /// No policy holds the machine that the caller may know of.
    Policy,
    /// A request would be refused.
    Refused(Refusals),
}

/// Of whom it was asked, which policy they would ask, and what is missing; nothing, where they may.
pub(crate) async fn can<S: Store>(
    caller: &Caller,
    server: &Server<S>,
    call: &Call,
    question: &Question,
) -> Result<(Person, Option<PolicyId>, Vec<Missing>), Problem> {
    let scope = Scope::from(&question.vm);
    let (directory, settings, now) =
        (server.store.directory(), server.store.settings(), server.now());
    let asked_of = question.principal.filter(|id| caller.person.id.principal() != Some(*id));
    let (person, rights, last) = match asked_of {
        None => {
            let id = caller.person.id.principal();
            let last = id.map(|id| Rights::of(&directory, &settings, id, Groups::Last, now));
            (caller.person.clone(), caller.rights.clone(), last.unwrap_or_default())
        }
        Some(id) => {
            permit(caller, server, call, Action::Assignment(Change::Read), &scope).await?;
            permit(caller, server, call, Action::VM_READ, &scope).await?;
            let who = super::principal::known(&directory, id)?;
            let of = |groups| Rights::of(&directory, &settings, id, groups, now);
            (who.person(), of(Groups::Fresh), of(Groups::Last))
        }
    };
    let policies = policies(caller, server, question).await?;
    let policy = policies.iter().find(|policy| rule(policy, question).is_some());
    let policy = policy.or_else(|| policies.first());
    let wanted = [
        (Action::VM_READ, rights.allow(Action::VM_READ, &scope)),
        (Action::Initiate, may_ask(&rights, policy, question)),
    ];
    let held = [last.allow(Action::VM_READ, &scope), may_ask(&last, policy, question)];
    let mut missing = Vec::new();
    for ((action, allowed), by_last) in wanted.into_iter().zip(held) {
        if allowed {
            continue;
        }
        if by_last {
            let who = person.id.principal().and_then(|id| directory.principal(id));
            missing.push(Missing::GroupsTooOld { at: who.and_then(|who| who.groups.at) });
        } else if let Some((role, at)) = eligible(server, &directory, &person, action, &scope) {
            missing.push(Missing::NotActive { action, scope: scope.clone(), role, at });
        } else {
            missing.push(role_missing(caller, &directory, action, &scope));
        }
    }
    // Whoever may not see the machine learns nothing more about it.
    if may(caller, Action::VM_READ, &scope) {
        match policy {
            None => missing.push(Missing::Policy),
            Some(policy) => {
                let ask = ask(caller, &person, policy, question, asked_of.is_some())?;
                missing.extend(refused(server, ask).await?);
            }
        }
    }
    Ok((person, policy.map(|policy| policy.id.clone()), missing))
}

/// The policies that hold the machine and that the caller may know of: whoever may ask one must.
async fn policies<S: Store>(
    caller: &Caller,
    server: &Server<S>,
    question: &Question,
) -> Result<Vec<Policy>, Problem> {
    let which = PolicyFilter { vm: Some(question.vm.clone()), ..PolicyFilter::default() };
    let found = server.store.policies(which).await?.into_iter().map(|answer| answer.policy);
    let knows = |policy: &Policy| {
        may(caller, Action::PolicyRead, &Scope::from(&policy.id))
            || caller.rights.may_ask(&policy.id, [&question.vm])
    };
    Ok(found.filter(knows).collect())
}

fn rule<'a>(policy: &'a Policy, question: &Question) -> Option<&'a PortRule> {
    let member = policy.members.get(&question.vm)?;
    member.ports.iter().find(|rule| rule.port == question.port)
}

/// Without a policy that is known, a role on the machine itself is what would be needed.
fn may_ask(rights: &Rights, policy: Option<&Policy>, question: &Question) -> bool {
    match policy {
        Some(policy) => rights.may_ask(&policy.id, [&question.vm]),
        None => rights.allow(Action::Initiate, &Scope::from(&question.vm)),
    }
}

/// A role that somebody may activate and that would allow it there, and where they may.
fn eligible<S: Store>(
    server: &Server<S>,
    directory: &Directory,
    person: &Person,
    action: Action,
    scope: &Scope,
) -> Option<(String, Scope)> {
    let who = person.id.principal().and_then(|id| directory.principal(id))?;
    let (settings, now) = (server.store.settings(), server.now());
    let groups = Rights::groups_of(directory, &settings, who, Groups::Fresh, now);
    directory.eligibilities().find_map(|given| {
        let theirs = given.principal == who.id || groups.contains(&given.principal);
        let over = given.until.is_some_and(|until| until.is_over(now));
        let role = directory.definition(given.role).filter(|role| role.allows(action))?;
        let fits = theirs && !over && given.scope.holds(scope);
        fits.then(|| (role.said().name.clone(), given.scope.clone()))
    })
}

/// The roles that would allow it there, and who can give one there.
fn role_missing(caller: &Caller, directory: &Directory, action: Action, scope: &Scope) -> Missing {
    let known = directory.definitions().filter(|role| super::role::knows_role(caller, role));
    let roles = known.filter(|role| role.allows(action) && role.is_assignable_at(scope));
    let gives = |given: &&Arc<Assignment>| {
        let role = directory.definition(given.role);
        given.scope.holds(scope)
            && role.is_some_and(|role| role.allows(Action::Assignment(Change::Write)))
    };
    let givers = directory.assignments().filter(gives).map(|given| given.principal);
    let givers: BTreeSet<PrincipalId> = givers.collect();
    let named = givers.into_iter().filter_map(|id| directory.principal(id));
    let by = named.filter(|who| !who.disabled).map(|who| who.name.0.clone()).take(GIVERS_MAX);
    Missing::Role {
        action,
        scope: scope.clone(),
        roles: roles.map(|role| role.said().name.clone()).collect(),
        by: by.collect(),
    }
}

/// What they would ask: for as long as the policy allows. Where nobody knows from where, from an address that it
/// allows.
fn ask(
    caller: &Caller,
    person: &Person,
    policy: &Policy,
    question: &Question,
    is_another: bool,
) -> Result<Ask, Problem> {
    let somewhere = is_another || caller.address.own().is_none();
    let allowed = rule(policy, question).filter(|_| somewhere && question.from.is_none());
    let allowed = allowed.and_then(|rule| rule.allowed.sources().first());
    let (source, address) = match allowed {
        None => (question.from, caller.address),
        // From their own address, whichever that is.
        Some(Source::Any) => (None, OwnAddress::Seen(caller.address.seen())),
        Some(Source::Address(address)) => (Some(Source::Address(*address)), caller.address),
        Some(Source::Prefix(net)) => (Some(Source::Address(net.addr())), caller.address),
    };
    let access = AccessAsk {
        vm: question.vm.clone(),
        port: question.port,
        source,
        addresses: None,
        window: None,
    };
    Ok(Ask {
        id: mint::request_id()?,
        policy: policy.id.clone(),
        requester: person.clone(),
        address,
        // Another's sign-in is not known; what the policy wants of it is told.
        sign_in: if is_another { None } else { caller.sign_in },
        start: None,
        justification: None,
        ticket: None,
        accesses: vec![access],
    })
}

/// What a request would be refused for, but for the roles, which were looked at more closely.
async fn refused<S: Store>(server: &Server<S>, ask: Ask) -> Result<Option<Missing>, Problem> {
    match server.what_if(Command::Request(ask)).await {
        Ok(_) => Ok(None),
        Err(Problem::Refused(Refusals(mut refusals))) => {
            refusals.retain(|refusal| !is_about_roles(refusal));
            let left = (!refusals.is_empty()).then_some(Refusals(refusals));
            Ok(left.map(Missing::Refused))
        }
        Err(problem) => Err(problem),
    }
}

fn is_about_roles(refusal: &Refusal) -> bool {
    matches!(refusal, Refusal::Directory { why: DirectoryRefusal::MayNotAsk { .. } })
}
