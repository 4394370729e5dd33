//! What must be open now, and when that next changes.

use std::{
    cell::OnceCell,
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
    time::Duration,
};

use crate::{
    event::Event,
    grant::{EndReason, Seen, Stage},
    network::{Lock, Opening},
    plan::{Coverage, Desired, Observed, OpeningFailure},
    policy::GuardCover,
    state::{State, access_id},
    time::{CLOCK_BEHIND_MAX, Deadline, Now, distance},
};

/// What must hold, for the addresses of the VMs that were loaded: a function of facts and time alone.
///
/// While the clock cannot be right, only what was granted in this boot stays open: its end stands on the
/// boot clock, which no step moves.
pub fn open_now(state: &State, now: Now) -> Desired {
    let locks = state.locks();
    let behind = state.clock_is_behind(now);
    let mut openings: BTreeMap<Opening, Deadline> = BTreeMap::new();
    for (_, access) in state.live() {
        let Stage::Granted { since, until, .. } = access.stage else { continue };
        // An end of another boot stands on the wall clock alone: worth what that is worth.
        let believed = until.is_of_this_boot(now)
            || (!behind && distance(now.wall, since) <= CLOCK_BEHIND_MAX);
        if until.is_over(now) || !believed {
            continue;
        }
        let vm = state.vms.get(&access.vm).filter(|vm| vm.instance == access.instance);
        for opening in vm.into_iter().flat_map(|vm| access.openings(vm)) {
            if locks.contains_key(&opening.lock()) {
                openings
                    .entry(opening)
                    .and_modify(|other| *other = other.later_of(until, now))
                    .or_insert(until);
            }
        }
    }
    let coverage = state
        .vms
        .values()
        .flat_map(|vm| vm.addresses.iter().copied())
        .chain(state.released.iter().map(|lock| lock.address))
        .collect();
    Desired {
        coverage: Coverage::Only(coverage),
        locks,
        released: state.released.clone(),
        openings,
    }
}

/// How long until [`open_now`] or a stage changes by time alone; nothing if it never does.
pub fn next_deadline(state: &State, now: Now) -> Option<Duration> {
    // Until the clock can be right nothing begins, and what was granted in another boot stays closed.
    let believed = state.trusted_from().map_or(Duration::ZERO, |from| distance(now.wall, from));
    let accesses = state.live().filter_map(|(_, access)| match access.stage {
        Stage::Granted { until, .. } if until.is_of_this_boot(now) => Some(until.remaining(now)),
        Stage::Granted { until, .. } => Some(until.remaining(now).min(believed)),
        Stage::Planned { start } => Some(distance(now.wall, start).max(believed)),
        Stage::Ended { .. } => None,
    });
    let policies = state.policies.values();
    let confirmations =
        policies.filter_map(|policy| Some(policy.confirmation.as_ref()?.until.remaining(now)));
    accesses.chain(confirmations).min()
}

/// What a guard's word adds to what is known: accesses first seen open, ended ones first seen closed,
/// openings it could not make, released locks it gave back.
pub fn noticed(state: &State, observed: &Observed, seen: &Seen) -> Vec<Event> {
    let mut events = Vec::new();
    let wanted = OnceCell::new();
    for (request, access) in state.accesses() {
        let is_news = match &access.stage {
            Stage::Granted { opened, .. } => opened.is_none() || !observed.failed.is_empty(),
            Stage::Ended { opened, closed, .. } => opened.is_some() && closed.is_none(),
            Stage::Planned { .. } => false,
        };
        // Most of what is open was seen open before, and nothing is asked of it.
        if !is_news {
            continue;
        }
        let id = access_id(request, &access.vm, access.port);
        let vm = state.vms.get(&access.vm).filter(|vm| vm.instance == access.instance);
        let openings: Vec<Opening> = vm.into_iter().flat_map(|vm| access.openings(vm)).collect();
        // Half a word is none: an access is open or closed on all addresses, or it is not known.
        let spoken_of = openings.iter().all(|opening| observed.coverage.has(opening.address()));
        match &access.stage {
            Stage::Granted { opened, .. } => {
                let failed = openings.iter().find_map(|opening| observed.failed.get(opening));
                if let Some(failure) = failed {
                    let reason = EndReason::Failed { why: why(failure) };
                    events.push(Event::Ended { access: id, at: seen.at, reason });
                } else if opened.is_none()
                    && spoken_of
                    && !openings.is_empty()
                    && openings.iter().all(|opening| observed.openings.contains_key(opening))
                {
                    events.push(Event::Opened { access: id, seen: seen.clone() });
                }
            }
            Stage::Ended { opened: Some(_), closed: None, .. } => {
                let still = |opening: &Opening| {
                    observed.openings.contains_key(opening)
                        && !wanted.get_or_init(|| wanted_by(state)).contains(opening)
                };
                // A VM that was forgotten or registered anew has no opening left under this access.
                if spoken_of && !openings.iter().any(still) {
                    events.push(Event::Closed { access: id, seen: seen.clone() });
                }
            }
            Stage::Planned { .. } | Stage::Ended { .. } => {}
        }
    }
    let unlocked: BTreeSet<Lock> = state
        .released
        .iter()
        .filter(|lock| observed.coverage.has(lock.address) && !observed.locks.contains_key(lock))
        .copied()
        .collect();
    if !unlocked.is_empty() {
        events.push(Event::Unlocked { locks: unlocked, seen: seen.clone() });
    }
    events
}

/// Every opening that some running access needs, whenever it ends.
fn wanted_by(state: &State) -> BTreeSet<Opening> {
    state
        .live()
        .filter(|(_, access)| match access.stage {
            Stage::Granted { .. } => true,
            Stage::Planned { .. } | Stage::Ended { .. } => false,
        })
        .filter_map(|(_, access)| Some((access, state.vms.get(&access.vm)?)))
        .flat_map(|(access, vm)| access.openings(vm))
        .collect()
}

fn why(failure: &OpeningFailure) -> String {
    match failure {
        OpeningFailure::Full => "the guard holds as many openings as it can".to_owned(),
        OpeningFailure::TooFarAhead => "the guard refuses an end so far ahead".to_owned(),
        OpeningFailure::NotCovered => "the guard does not cover the address".to_owned(),
        OpeningFailure::NotLocked => "the port is not locked on the guard".to_owned(),
        OpeningFailure::Rejected(text) => format!("the guard could not open it: {text}"),
    }
}

impl Desired {
    /// The part of it that one guard is to enforce.
    pub fn within(&self, guard: &GuardCover) -> Desired {
        let has = |address: IpAddr| guard.has(address);
        Desired {
            coverage: match &self.coverage {
                Coverage::All => Coverage::All,
                Coverage::Only(addresses) => {
                    Coverage::Only(addresses.iter().copied().filter(|a| has(*a)).collect())
                }
            },
            locks: self
                .locks
                .iter()
                .filter(|(l, _)| has(l.address))
                .map(|(l, s)| (*l, *s))
                .collect(),
            released: self.released.iter().filter(|lock| has(lock.address)).copied().collect(),
            openings: self
                .openings
                .iter()
                .filter(|(opening, _)| has(opening.address()))
                .map(|(opening, until)| (*opening, *until))
                .collect(),
        }
    }
}
