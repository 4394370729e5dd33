//! Roles that are activated: asked for, given back; and who may activate them, said.
//!
//! Whether somebody may have a role is decided in the core. Here is looked at who may make others eligible.

use std::{sync::Arc, time::Duration};

use hourgate_api::{
    body::{Expiration, RequestType, ScheduleRequestSent},
    error::{ArmError, Code, schedule_request_not_found},
    paths::Of,
    pim::{Done, PimResource, activation_request, done},
};
use hourgate_core::{
    command::Command,
    personal::Personal,
    role::{
        Action, Caller, Change, Directory, Scope,
        activation::{Activation, ActivationId, ActivationStage, Ticket},
        change::{
            ActivationAsk, AssignmentDraft, DirectoryCommand, DirectoryRefusal, EligibilityDraft,
        },
    },
    time::{Timestamp, distance, later},
};
use hourgate_store::{Origin, Store};
use uuid::Uuid;

use super::{Call, Problem, permit, role::knows_role};
use crate::{
    mint,
    server::{Server, origin},
};

/// How far ahead a schedule may begin: as far as two clocks may be apart. What begins later is not kept here.
const BEGINS_WITHIN: Duration = Duration::from_mins(5);
/// Azure's action of asking for a role.
const ASK: &str = "Microsoft.Authorization/roleAssignmentScheduleRequests/write";
/// Azure's action of taking that back.
const CANCEL: &str = "Microsoft.Authorization/roleAssignmentScheduleRequests/cancel/action";

/// Whether something is to be done, or only told what would come of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Really {
    /// Do it.
    Do,
    /// Tell.
    Validate,
}

/// Asks for a role, for oneself or for somebody else.
pub(crate) async fn request_role<S: Store>(
    caller: &Caller,
    server: &Server<S>,
    call: &Call,
    (scope, of, name): (&Scope, Of, Uuid),
    sent: ScheduleRequestSent,
    really: Really,
) -> Result<PimResource, Problem> {
    let now = server.now().wall;
    let soon = sent.start.is_none_or(|start| start <= later(now, BEGINS_WITHIN));
    if !soon {
        let message = "A role is had from now on; one that begins later is not kept here.";
        return Err(unreadable("properties.scheduleInfo.startDateTime", message));
    }
    match (sent.request, of) {
        (RequestType::SelfActivate, Of::Assignment) => {
            activate(caller, server, call, (scope, name), sent, really).await
        }
        (RequestType::SelfDeactivate, Of::Assignment) => {
            deactivate(caller, server, call, (scope, name), sent, really).await
        }
        (RequestType::SelfActivate | RequestType::SelfDeactivate, Of::Eligibility) => {
            let message = "A role is activated by a roleAssignmentScheduleRequest.";
            Err(unreadable("properties.requestType", message))
        }
        (RequestType::AdminAssign | RequestType::AdminUpdate | RequestType::AdminRemove, of) => {
            administer(caller, server, call, (scope, of, name), sent, really).await
        }
    }
}

/// Activates a role of one's own. That needs no right but to be eligible.
async fn activate<S: Store>(
    caller: &Caller,
    server: &Server<S>,
    call: &Call,
    (scope, name): (&Scope, ActivationId),
    sent: ScheduleRequestSent,
    really: Really,
) -> Result<PimResource, Problem> {
    is_own(caller, &sent)?;
    let length = match sent.expiration {
        Expiration::Unsaid => None,
        Expiration::After(length) => Some(length),
        Expiration::At(end) => Some(distance(server.now().wall, end)),
        Expiration::Never => {
            let message = "An activated role always has an end.";
            return Err(unreadable("properties.scheduleInfo.expiration", message));
        }
    };
    let ask = ActivationAsk {
        id: name,
        person: caller.person.clone(),
        role: sent.role,
        scope: scope.clone(),
        eligibility: sent.eligibility,
        length,
        justification: sent.justification,
        ticket: sent.ticket.map(|(number, system)| Ticket {
            number: Personal(number),
            system: system.map(Personal),
        }),
        sign_in: caller.sign_in,
        assignment: mint::uuid()?,
    };
    let directory = commit(caller, server, call, DirectoryCommand::Activate(ask), really).await?;
    let activation = directory.activation(name);
    let activation = activation.ok_or_else(|| missing(name))?;
    Ok(activation_request(&directory, activation))
}

/// Gives a role of one's own back before its end.
async fn deactivate<S: Store>(
    caller: &Caller,
    server: &Server<S>,
    call: &Call,
    (scope, name): (&Scope, Uuid),
    sent: ScheduleRequestSent,
    really: Really,
) -> Result<PimResource, Problem> {
    is_own(caller, &sent)?;
    let directory = server.store.directory();
    let own = directory.activations().find(|activation| {
        activation.person.id == caller.person.id
            && activation.role == sent.role
            && activation.scope == *scope
            && activation.assignment().is_some()
    });
    let Some(own) = own.cloned() else {
        let (role, scope) = (sent.role, scope.clone());
        return Err(Problem::Refused(DirectoryRefusal::NotEligible { role, scope }.into()));
    };
    let command = DirectoryCommand::Deactivate { activation: own.id };
    commit(caller, server, call, command, really).await?;
    let told = Done {
        of: Of::Assignment,
        request: sent.request,
        name,
        scope,
        role: sent.role,
        principal: sent.principal,
        target: own.assignment().unwrap_or(own.id),
        since: server.now().wall,
        until: None,
        by: Some(caller.person.id.0.clone()),
    };
    Ok(done(&directory, &told))
}

/// What one asks for oneself, one asks for nobody else.
fn is_own(caller: &Caller, sent: &ScheduleRequestSent) -> Result<(), Problem> {
    if caller.person.id.principal() == Some(sent.principal) {
        return Ok(());
    }
    let message = "A role is activated by whoever is eligible for it: 'principalId' must be your own object \
                   id, which 'whoami' tells.";
    Err(unreadable("properties.principalId", message))
}

/// Gives somebody a role, or lets them activate it; changes until when; or takes it away.
async fn administer<S: Store>(
    caller: &Caller,
    server: &Server<S>,
    call: &Call,
    (scope, of, name): (&Scope, Of, Uuid),
    sent: ScheduleRequestSent,
    really: Really,
) -> Result<PimResource, Problem> {
    let removes = sent.request == RequestType::AdminRemove;
    let action = match of {
        Of::Eligibility => Action::Eligibility(Change::Write),
        Of::Assignment if removes => Action::Assignment(Change::Delete),
        Of::Assignment => Action::Assignment(Change::Write),
    };
    permit(caller, server, call, action, scope).await?;
    let directory = server.store.directory();
    let hidden = directory
        .definition(sent.role)
        .is_some_and(|role| !role.is_assignable_at(scope) && !knows_role(caller, role));
    if hidden {
        return Err(Problem::Refused(DirectoryRefusal::RoleNotFound { role: sent.role }.into()));
    }
    let stands = stands(&directory, scope, of, &sent);
    let not_there = || {
        let (role, scope) = (sent.role, scope.clone());
        Problem::Refused(DirectoryRefusal::NotEligible { role, scope }.into())
    };
    let target = if sent.request == RequestType::AdminAssign {
        name
    } else {
        stands.ok_or_else(not_there)?
    };
    let now = server.now().wall;
    let until = match sent.expiration {
        Expiration::Unsaid | Expiration::Never => None,
        Expiration::After(length) => Some(later(now, length)),
        Expiration::At(end) => Some(end),
    };
    let command = command(caller, &directory, (scope, of, target), &sent, until);
    let after = commit(caller, server, call, command, really).await?;
    let told = Done {
        of,
        request: sent.request,
        name,
        scope,
        role: sent.role,
        principal: sent.principal,
        target,
        since: now,
        until: until.filter(|_| !removes),
        by: Some(caller.person.id.0.clone()),
    };
    Ok(done(&after, &told))
}

/// The eligibility or assignment of that principal and role at exactly that scope.
fn stands(
    directory: &Directory,
    scope: &Scope,
    of: Of,
    sent: &ScheduleRequestSent,
) -> Option<Uuid> {
    match of {
        Of::Assignment => directory.given(sent.principal, sent.role, scope).map(|given| given.id),
        Of::Eligibility => directory
            .eligibilities()
            .find(|given| {
                given.principal == sent.principal
                    && given.role == sent.role
                    && given.scope == *scope
            })
            .map(|given| given.id),
    }
}

fn command(
    caller: &Caller,
    directory: &Directory,
    (scope, of, id): (&Scope, Of, Uuid),
    sent: &ScheduleRequestSent,
    until: Option<Timestamp>,
) -> DirectoryCommand {
    let by = Some(caller.person.id.clone());
    let (scope, role, principal) = (scope.clone(), sent.role, sent.principal);
    match (of, sent.request == RequestType::AdminRemove) {
        (Of::Eligibility, true) => DirectoryCommand::Ineligible { eligibility: id },
        (Of::Assignment, true) => DirectoryCommand::Unassign { assignment: id },
        (Of::Eligibility, false) => {
            let draft = EligibilityDraft { id, scope, role, principal, until, by };
            DirectoryCommand::MakeEligible(draft)
        }
        (Of::Assignment, false) => {
            let before = directory.assignment(id).and_then(|given| given.description.clone());
            let description = sent.justification.clone().or(before);
            let kind = None;
            let draft =
                AssignmentDraft { id, scope, role, principal, kind, description, until, by };
            DirectoryCommand::Assign(draft)
        }
    }
}

/// Does it, or tells what would come of it; and who there is then.
async fn commit<S: Store>(
    caller: &Caller,
    server: &Server<S>,
    call: &Call,
    command: DirectoryCommand,
    really: Really,
) -> Result<Arc<Directory>, Problem> {
    let command = Command::Directory(command);
    let committed = match really {
        Really::Do => server.commit(named(caller, call, ASK), command).await?,
        Really::Validate => server.what_if(command).await?,
    };
    Ok(committed.state.directory)
}

/// On whose behalf a call is recorded whose action has no rights of its own.
pub(super) fn named(caller: &Caller, call: &Call, action: &str) -> Origin {
    let base = origin(caller, call, Action::Assignment(Change::Write));
    Origin { action: action.to_owned(), ..base }
}

/// Takes back that one asked for a role, while it waits for a word.
pub(crate) async fn cancel_request<S: Store>(
    caller: &Caller,
    server: &Server<S>,
    call: &Call,
    (scope, id): (&Scope, ActivationId),
) -> Result<(), Problem> {
    let directory = server.store.directory();
    let asked = directory.activation(id).filter(|asked| asked.scope == *scope);
    let own = asked.is_some_and(|asked| asked.person.id == caller.person.id);
    if !own {
        permit(caller, server, call, Action::Assignment(Change::Delete), scope).await?;
    }
    let asked = asked.ok_or_else(|| missing(id))?;
    if !matches!(asked.stage, ActivationStage::Waiting { .. }) {
        let refusal = DirectoryRefusal::ActivationIsOver { activation: id };
        return Err(Problem::Refused(refusal.into()));
    }
    let command = Command::Directory(DirectoryCommand::Deactivate { activation: id });
    server.commit(named(caller, call, CANCEL), command).await?;
    Ok(())
}

pub(super) fn missing(id: Uuid) -> Problem {
    Problem::Missing(schedule_request_not_found(id))
}

fn unreadable(at: &str, message: &str) -> Problem {
    Problem::Unreadable(ArmError::new(Code::InvalidParameter, message).at(at))
}

/// An activation that waits, by its id.
pub(super) fn asked<S: Store>(server: &Server<S>, id: ActivationId) -> Option<Arc<Activation>> {
    server.store.directory().activation(id).cloned()
}
