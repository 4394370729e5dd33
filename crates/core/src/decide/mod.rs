//! The only place that says yes or no.
//!
//! Time first, then people: what is overdue ends before the command is looked at, so nobody revokes or
//! prolongs the past.

mod activation;
mod directory;
mod due;
mod effect;
mod hold;
mod lead;
mod policy;
mod pricing;
mod request;
mod resource;
mod vm;

use std::{borrow::Cow, collections::BTreeSet, net::IpAddr};

use crate::{
    command::{Command, Precondition},
    event::{AccessId, Event},
    grant::{Access, EndReason, Request, Seen, Stage},
    id::{PolicyId, RequestId, VmId},
    network::Port,
    open,
    policy::Settings,
    refusal::{Refusal, Refusals},
    state::{State, access_id},
    time::{Now, Timestamp},
};

/// What happens, or everything that stands against it. What was loaded for the command is in `state`
/// ([`Command::needs`]).
pub fn decide(
    state: &State,
    settings: &Settings,
    command: &Command,
    now: Now,
) -> Result<Vec<Event>, Refusals> {
    let mut after = due::due(state, settings, command, now);
    let events = match command {
        Command::RegisterVm { id, instance, location, os, addresses } => {
            vm::register((&after.state, settings), id, *instance, location, *os, addresses)?
        }
        Command::UnregisterVm { id } => vm::unregister(&after.state, settings, id)?,
        Command::SetPolicy { draft, only_if, confirm_within } => {
            policy::set(&after.state, settings, draft, *only_if, *confirm_within, now)?
        }
        Command::ConfirmPolicy { id } => policy::confirm(&after.state, id)?,
        Command::RemovePolicy { id, only_if } => policy::remove(&after.state, id, *only_if, now)?,
        Command::Request(ask) => request::request(&after.state, settings, ask, now)?,
        Command::End { request, only } => end(&after.state, *request, only.as_ref(), now)?,
        Command::Observe { guard, observed, .. } => {
            let seen = Seen { at: now.wall, guard: guard.clone() };
            open::noticed(&after.state, observed, &seen)
        }
        Command::PutResource { draft, instance, only_if } => {
            resource::put(&after.state, settings, draft, *instance, *only_if)?
        }
        Command::DeleteResource { id, only_if } => {
            resource::delete(&after.state, settings, id, *only_if)?
        }
        Command::DeleteJitRule { group, name } => {
            resource::delete_jit_rule(&after.state, group, name)?
        }
        Command::AcceptClock => accept_clock(&after.state, now),
        Command::SetPricing { subscription, tier } => {
            pricing::set(&after.state, settings, *subscription, *tier)
        }
        Command::Directory(command) => directory::directory(&after.state, settings, command, now)?,
        Command::Tick => Vec::new(),
    };
    after.events.extend(events);
    let orphaned = directory::orphaned(&after.state, &after.events, now);
    after.events.extend(orphaned);
    Ok(after.events)
}

/// Events in the making: each is taken in before the next is thought of. Copies the state only where
/// there are any.
struct Unfolding<'a> {
    state: Cow<'a, State>,
    events: Vec<Event>,
}

impl Unfolding<'_> {
    fn all(&mut self, events: Vec<Event>) {
        self.imagine(&events);
        self.events.extend(events);
    }

    /// Takes in what is certain to happen, and leaves it to another command to say so.
    fn imagine(&mut self, events: &[Event]) {
        if !events.is_empty() {
            let state = self.state.to_mut();
            events.iter().for_each(|event| state.evolve(event));
        }
    }
}

/// Whether a command loads all of a policy, so that it can carry out what becomes of its VMs.
fn loads_all_of(command: &Command, policy: &PolicyId) -> bool {
    match command {
        Command::SetPolicy { draft, .. } => draft.id == *policy,
        Command::ConfirmPolicy { id } | Command::RemovePolicy { id, .. } => id == policy,
        Command::Tick => true,
        Command::RegisterVm { .. }
        | Command::UnregisterVm { .. }
        | Command::Request(_)
        | Command::End { .. }
        | Command::Observe { .. }
        | Command::PutResource { .. }
        | Command::DeleteResource { .. }
        | Command::DeleteJitRule { .. }
        | Command::AcceptClock
        | Command::Directory(_)
        | Command::SetPricing { .. } => false,
    }
}

fn end(
    state: &State,
    id: RequestId,
    only: Option<&BTreeSet<(VmId, Port)>>,
    now: Now,
) -> Result<Vec<Event>, Refusals> {
    let request = state.requests.get(&id).ok_or(Refusal::RequestNotFound { request: id })?;
    Ok(request
        .accesses
        .iter()
        .filter(|access| access.is_live())
        .filter(|access| only.is_none_or(|only| only.contains(&(access.vm.clone(), access.port))))
        .map(|access| {
            ended(access_id(request, &access.vm, access.port), EndReason::UserRequested, now)
        })
        .collect())
}

fn accept_clock(state: &State, now: Now) -> Vec<Event> {
    match state.highest {
        Some(before) if before > now.wall => vec![Event::ClockAccepted { at: now.wall, before }],
        Some(_) | None => Vec::new(),
    }
}

fn ended(access: AccessId, reason: EndReason, now: Now) -> Event {
    Event::Ended { access, at: now.wall, reason }
}

/// Whether a resource of that version (none: it does not exist) stands as the caller says.
fn check(only_if: Precondition, version: Option<u64>) -> Result<(), Refusals> {
    let holds = match only_if {
        Precondition::None => true,
        Precondition::Exists => version.is_some(),
        Precondition::Version(wanted) => version == Some(wanted),
        Precondition::Making { .. } => false,
        Precondition::Absent => version.is_none(),
    };
    if holds { Ok(()) } else { Err(Refusal::PreconditionFailed { version }.into()) }
}

/// The end of the same person's live accesses that `access`, running now until `until`, takes the place
/// of: same VM, port and source, no address that the newer leaves out, and a window that overlaps. The newer is granted in the same breath, so
/// there is no gap. `live` holds those that came before it.
fn replaced<'a>(
    live: impl Iterator<Item = (&'a Request, &'a Access)>,
    newer: &Request,
    access: &Access,
    until: Timestamp,
    now: Now,
) -> Vec<Event> {
    live.filter(|(request, older)| {
        older.port == access.port
            && older.source.same_as(access.source)
            && request.id != newer.id
            && request.requester.id == newer.requester.id
            && older.vm == access.vm
            && covers(access.addresses.as_ref(), older.addresses.as_ref())
    })
    .filter(|(_, older)| match older.stage {
        Stage::Granted { .. } => true,
        Stage::Planned { start } => start < until,
        Stage::Ended { .. } => false,
    })
    .map(|(request, older)| {
        let reason = EndReason::Replaced { by: newer.id };
        ended(access_id(request, &older.vm, older.port), reason, now)
    })
    .collect()
}

/// Whether some addresses of a VM, all of them where none is named, have all of others.
fn covers(newer: Option<&BTreeSet<IpAddr>>, older: Option<&BTreeSet<IpAddr>>) -> bool {
    match (newer, older) {
        (None, _) => true,
        (Some(_), None) => false,
        (Some(newer), Some(older)) => older.is_subset(newer),
    }
}
