//! What can be done: a thin function for each use case. It asks whether the caller may, changes or reads
//! the store once, and wakes the guards. Whether something may be opened is decided in the core.

mod account;
mod activation;
mod approval;
mod can;
mod eligibility;
mod explain;
mod group;
mod machine;
mod outlook;
mod policy;
mod pricing;
mod principal;
mod question;
mod request;
mod resource;
mod role;
mod schedule;
mod see;
mod session;
mod sight;
mod waiting;

use std::{
    net::IpAddr,
    sync::{Mutex, PoisonError},
};

use hourgate_api::{error::ArmError, paths::Parts, watcher::WatcherId};
use hourgate_core::{
    event::Note,
    id::Name,
    refusal::Refusals,
    resource::ResourceId,
    role::{Action, Caller, Scope, may},
};
use hourgate_store::{Store, StoreError};
use uuid::Uuid;

pub(crate) use self::{
    account::{
        NewCredential, add_credential, get_account, get_service, is_enabled, list_accounts,
        list_services, make_account, make_service, remove_account, remove_credential,
        remove_service, reset_account, set_account_disabled, set_service_disabled,
    },
    activation::{Really, cancel_request, request_role},
    approval::{decide_activation, get_approval, get_rules, list_approvals, list_rules, set_rules},
    can::{Missing, can},
    eligibility::{Machine, eligibility},
    explain::explain,
    group::{Group, groups, tag_group},
    outlook::outlook,
    policy::{Setting, confirm_policy, get_policy, list_policies, put_policy, remove_policy},
    pricing::{get_pricing, set_pricing},
    principal::{
        forget_principal, get_principal, list_principals, own_groups, put_principal, set_disabled,
    },
    question::{effective_groups, verify_flow, watcher, watchers},
    request::{close_request, get_request, list_requests, request_access, wait_for_request},
    resource::{
        PartSeen, delete_part, delete_resource, get_part, get_parts, get_resource, jit_rule,
        jit_rules, list_resources, network, put_part, put_resource, tag_resource,
    },
    role::{
        AssignmentSeen, Before, delete_assignment, delete_definition, get_assignment,
        get_definition, knows_scope, list_assignments, list_definitions, permissions,
        put_assignment, put_definition,
    },
    schedule::{One, get_schedule, list_requests_of, list_schedules, own_eligible},
    see::{BlockedSeen, PolicySeen, RequestSeen, RequestsSeen, observed, request_tag},
    session::{end_session, list_sessions},
    sight::{sees, sees_asked_at, sees_member},
    waiting::Waiters,
};
use crate::{
    guards::GuardStatus,
    mint::NoRandomness,
    server::{Server, origin},
};

/// One call: what it was about, and the id of everything that belongs together.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    /// The resource it was called on.
    pub(crate) target: String,
    /// The correlation id.
    pub(crate) correlation: Uuid,
}

/// Why an operation did nothing.
#[derive(Clone, Debug)]
pub(crate) enum Problem {
    /// The caller lacks the right.
    Denied { action: Action },
    /// The caller lacks the right on something named in the body.
    LinkedDenied { action: Action, linked: Action, scope: String },
    /// The caller lacks the right on something that the call changes and that they may not see.
    LinkedUnseen { action: Action, linked: Action },
    /// An address is that of something that the caller may not see.
    AddressOfUnseen(IpAddr),
    /// The resource has no part of that name.
    NoPart { id: ResourceId, part: Parts, name: Name },
    /// There is no such network watcher.
    NoWatcher(WatcherId),
    /// What was sent cannot be read together with what stands.
    Unreadable(ArmError),
    /// The rules say no.
    Refused(Refusals),
    /// There is no such resource group.
    NoGroup(Name),
    /// There is no such plan.
    NoPlan(Name),
    /// There is nothing of that id, in the words of its kind.
    Missing(ArmError),
    /// The store could not be read or written: nothing was changed.
    Store(StoreError),
    /// The port is closed, and that could not be recorded yet.
    ClosedNotRecorded,
    /// More calls wait for a change than may.
    TooManyWait,
    /// The kernel gives no randomness.
    NoRandomness(NoRandomness),
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Problem {
        Problem::Store(error)
    }
}

impl From<NoRandomness> for Problem {
    fn from(error: NoRandomness) -> Problem {
        Problem::NoRandomness(error)
    }
}

/// How many denied calls are recorded in a minute. What is above is counted, and the count is recorded:
/// somebody without rights must not be able to fill the log.
const DENIALS_RECORDED_MAX: u64 = 120;
/// That minute, in nanoseconds.
const DENIALS_WINDOW_NANOS: u64 = 60_000_000_000;

/// Counts denied calls, or failed sign-ins.
#[derive(Debug, Default)]
pub(crate) struct Denials(Mutex<Counted>);

#[derive(Debug, Default)]
struct Counted {
    since: u64,
    count: u64,
    unrecorded: u64,
}

impl Denials {
    /// Whether one more is to be recorded, and how many were not before it. `now` is nanoseconds on the
    /// boot clock.
    pub(crate) fn count(&self, now: u64) -> (bool, u64) {
        let mut counted = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if now.saturating_sub(counted.since) >= DENIALS_WINDOW_NANOS {
            (counted.since, counted.count) = (now, 0);
        }
        counted.count += 1;
        if counted.count > DENIALS_RECORDED_MAX {
            counted.unrecorded += 1;
            return (false, 0);
        }
        (true, std::mem::take(&mut counted.unrecorded))
    }

    /// One more that is not to be recorded, only counted.
    pub(crate) fn pass_over(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).unrecorded += 1;
    }
}

/// All that belongs to the installation and to no group: people, plans, guards.
fn whole<S>(server: &Server<S>) -> Scope {
    Scope::subscription(server.installation.subscription)
}

/// Whether the caller may do that there. A no is recorded.
///
/// It follows from the caller's roles and the path alone, and is asked before anything is looked up: so the
/// answer is the same whether there is something at the scope or not.
async fn permit<S: Store>(
    caller: &Caller,
    server: &Server<S>,
    call: &Call,
    action: Action,
    scope: &Scope,
) -> Result<(), Problem> {
    if may(caller, action, scope) {
        return Ok(());
    }
    denied(caller, server, call, action).await;
    Err(Problem::Denied { action })
}

/// The same for a list of what lies in a scope: whoever may see something in it may ask, and hears of that alone.
/// Whoever can see nothing there, whatever there is, is refused.
async fn permit_within<S: Store>(
    caller: &Caller,
    server: &Server<S>,
    call: &Call,
    action: Action,
    scope: &Scope,
) -> Result<(), Problem> {
    if caller.rights.allow_within(action, scope) {
        return Ok(());
    }
    denied(caller, server, call, action).await;
    Err(Problem::Denied { action })
}

/// Records that a caller lacked a right.
async fn denied<S: Store>(caller: &Caller, server: &Server<S>, call: &Call, action: Action) {
    let (recorded, before) = server.denials.count(server.now().boot.nanos);
    if before > 0 {
        server.note(origin(caller, call, action), Note::MoreRefused { count: before }).await;
    }
    if recorded {
        let (action_name, target) = (action.name().to_owned(), call.target.clone());
        let note = Note::Denied { action: action_name, target };
        server.note(origin(caller, call, action), note).await;
    }
}

/// What every guard last said.
pub(crate) async fn guards<S: Store>(
    caller: &Caller,
    server: &Server<S>,
    call: &Call,
) -> Result<Vec<GuardStatus>, Problem> {
    let whole = Scope::subscription(server.installation.subscription);
    permit(caller, server, call, Action::GuardRead, &whole).await?;
    Ok(server.gate.view().guards())
}

/// Whether the caller sees the subscription at all: whoever may see something in it, as Azure has it. Its id is no
/// secret, since `whoami` tells it to everybody who signs in.
pub(crate) async fn permit_subscription<S: Store>(
    caller: &Caller,
    server: &Server<S>,
    call: &Call,
) -> Result<(), Problem> {
    let whole = Scope::subscription(server.installation.subscription);
    permit_within(caller, server, call, Action::SubscriptionRead, &whole).await
}

/// The same for a list, in which it is left out.
pub(crate) fn sees_subscription<S: Store>(caller: &Caller, server: &Server<S>) -> bool {
    let whole = Scope::subscription(server.installation.subscription);
    caller.rights.allow_within(Action::SubscriptionRead, &whole)
}
