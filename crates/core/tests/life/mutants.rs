//! Broken rules: each is the real one with a mistake that somebody could make. They stand here, at the
//! seam, so that product code carries none.

use std::{sync::Arc, time::Duration};

use hourgate_core::{
    command::{Command, Precondition, Sent},
    event::Event,
    grant::{EndReason, Seen, Stage},
    network::{Family, Opening},
    plan::{Desired, Observed, Plan},
    policy::{Settings, Widest},
    refusal::{ApprovalNeeded, Refusal, Refusals},
    role::{
        Directory, OwnAddress, Scope,
        assignment::{Assignment, UnassignedBecause},
        change::{DirectoryChange, DirectoryCommand},
        principal::Principal,
    },
    state::State,
    time::{BootTime, Deadline, Now, Timestamp, later},
};

use crate::rules::{Real, Rules};

type Decided = Result<Vec<Event>, Refusals>;

/// A mistake in what is said to a command.
struct Decides(&'static str, fn(&State, &Settings, &Command, Now) -> Decided);
/// A mistake in what an event changes.
struct Evolves(&'static str, fn(&mut State, &Event));
/// A mistake in what must be open.
struct Opens(&'static str, fn(&State, Now) -> Desired);
/// A mistake in what changes on a guard.
struct Plans(&'static str, fn(&Desired, &Observed) -> Plan);

impl Rules for Decides {
    fn name(&self) -> &'static str {
        self.0
    }

    fn decide(&self, state: &State, settings: &Settings, command: &Command, now: Now) -> Decided {
        self.1(state, settings, command, now)
    }
}

impl Rules for Evolves {
    fn name(&self) -> &'static str {
        self.0
    }

    fn evolve(&self, state: &mut State, event: &Event) {
        self.1(state, event);
    }
}

impl Rules for Opens {
    fn name(&self) -> &'static str {
        self.0
    }

    fn open_now(&self, state: &State, now: Now) -> Desired {
        self.1(state, now)
    }
}

impl Rules for Plans {
    fn name(&self) -> &'static str {
        self.0
    }

    fn plan(&self, desired: &Desired, observed: &Observed) -> Plan {
        self.1(desired, observed)
    }
}

pub fn all() -> Vec<Box<dyn Rules>> {
    vec![
        Box::new(Opens("expiry one second late", expiry_late)),
        Box::new(Opens("of two ends for one opening the earlier", earlier_of)),
        Box::new(Opens("the other family's addresses open too", other_family)),
        Box::new(Opens("a clock that is behind is believed", clock_believed)),
        Box::new(Evolves("the boot clock's end is ignored", boot_end_ignored)),
        Box::new(Evolves("what is released is forgotten", release_forgotten)),
        Box::new(Evolves("open before a guard saw it", open_unseen)),
        Box::new(Evolves("what ended begins again", revives)),
        Box::new(Decides("a replaced request goes on", replaced_goes_on)),
        Box::new(Decides("sources are compared as text", compared_as_text)),
        Box::new(Decides("what a policy no longer covers goes on", not_withdrawn)),
        Box::new(Decides("a shorter longest ends nothing", not_shortened)),
        Box::new(Decides("an address that only Any covers passes", any_as_named)),
        Box::new(Decides("the widest is ignored", widest_ignored)),
        Box::new(Decides("a plan begins early", begins_early)),
        Box::new(Decides("people before time", people_first)),
        Box::new(Decides("what is refused in part is given in part", half_done)),
        Box::new(Decides("what is left out of a PUT is cleared", left_out_is_cleared)),
        Box::new(Decides("If-Match is ignored", if_match_ignored)),
        Box::new(Decides("what nobody confirmed stays", unconfirmed_stays)),
        Box::new(Decides("who lost the right keeps what they have", right_kept)),
        Box::new(Decides("a role gives a second too long", role_too_long)),
        Box::new(Decides("who is disabled may", disabled_may)),
        Box::new(Decides("who is disabled signs in again", enabled_by_sign_in)),
        Box::new(Decides("a role at a machine is one at all", scopes_ignored)),
        Box::new(Decides("what was given at a machine outlives it", outlives_its_scope)),
        Box::new(Decides("a new word about groups is not heard", groups_not_heard)),
        Box::new(Decides("the last owner goes", last_owner_goes)),
        Box::new(Plans("a lock goes when nobody mentions it", lock_vanishes)),
        Box::new(Plans("an end that moved is not told", ends_not_compared)),
        Box::new(Plans("nothing is closed", nothing_closed)),
    ]
}

fn back(at: Timestamp, length: Duration) -> Timestamp {
    at.checked_sub(length).unwrap_or(Timestamp::MIN)
}

fn stages(state: &mut State, mut change: impl FnMut(&mut Stage)) {
    for request in state.requests.values_mut() {
        let request = std::sync::Arc::make_mut(request);
        request.accesses.iter_mut().for_each(|access| change(&mut access.stage));
    }
}

fn without(decided: Decided, is_so: impl Fn(&Event) -> bool) -> Decided {
    decided.map(|events| events.into_iter().filter(|event| !is_so(event)).collect())
}

fn expiry_late(state: &State, now: Now) -> Desired {
    let mut late = now;
    late.wall = back(now.wall, Duration::from_secs(1));
    late.boot.nanos = now.boot.nanos.saturating_sub(1_000_000_000);
    Real.open_now(state, late)
}

fn earlier_of(state: &State, now: Now) -> Desired {
    let mut desired = Real.open_now(state, now);
    for (_, access) in state.live() {
        let Stage::Granted { until, .. } = access.stage else { continue };
        let Some(vm) = state.vms.get(&access.vm) else { continue };
        for opening in access.openings(vm) {
            if let Some(other) = desired.openings.get_mut(&opening)
                && !until.is_over(now)
                && until.remaining(now) < other.remaining(now)
            {
                *other = until;
            }
        }
    }
    desired
}

fn other_family(state: &State, now: Now) -> Desired {
    let mut desired = Real.open_now(state, now);
    for (opening, until) in desired.openings.clone() {
        for lock in desired.locks.keys() {
            let others = Family::of(lock.address);
            if lock.port == opening.port()
                && others != Family::of(opening.address())
                && let Some(more) = Opening::new(others.all(), lock.address, lock.port)
            {
                desired.openings.insert(more, until);
            }
        }
    }
    desired
}

fn clock_believed(state: &State, now: Now) -> Desired {
    Real.open_now(&State { highest: None, ..state.clone() }, now)
}

fn boot_end_ignored(state: &mut State, event: &Event) {
    state.evolve(event);
    stages(state, |stage| {
        if let Stage::Granted { until, .. } = stage
            && let Some(boot) = &mut until.boot
        {
            boot.nanos = u64::MAX;
        }
    });
}

fn release_forgotten(state: &mut State, event: &Event) {
    let before = state.released.clone();
    state.evolve(event);
    state.released.retain(|lock| before.contains(lock));
}

fn open_unseen(state: &mut State, event: &Event) {
    state.evolve(event);
    stages(state, |stage| {
        if let Stage::Granted { since, opened, .. } = stage {
            let seen = Seen { at: *since, guard: "nobody".to_owned() };
            opened.get_or_insert(seen);
        }
    });
}

fn revives(state: &mut State, event: &Event) {
    let before = state.clone();
    state.evolve(event);
    if let Event::Ended { access, reason: EndReason::Expired, .. } = event
        && let Some(request) = before.requests.get(&access.request)
        && request.accesses.len() > 1
    {
        // Only the first of several is ended.
        let again = request.clone();
        if again.accesses[0].port != access.port || again.accesses[0].vm != access.vm {
            state.requests.insert(again.id, again);
        }
    }
}

fn replaced_goes_on(state: &State, settings: &Settings, command: &Command, now: Now) -> Decided {
    without(Real.decide(state, settings, command, now), |event| {
        matches!(event, Event::Ended { reason: EndReason::Replaced { .. }, .. })
    })
}

fn compared_as_text(state: &State, settings: &Settings, command: &Command, now: Now) -> Decided {
    let decided = Real.decide(state, settings, command, now)?;
    let mut after = state.clone();
    decided.iter().for_each(|event| after.evolve(event));
    without(Ok(decided), |event| {
        let Event::Ended { access, reason: EndReason::Replaced { by }, .. } = event else {
            return false;
        };
        let source = |id| {
            let request = after.requests.get(id)?;
            Some(request.access(&access.vm, access.port)?.source.to_string())
        };
        source(&access.request) != source(by)
    })
}

fn not_withdrawn(state: &State, settings: &Settings, command: &Command, now: Now) -> Decided {
    without(Real.decide(state, settings, command, now), |event| {
        matches!(event, Event::Ended { reason: EndReason::PolicyChanged, .. })
    })
}

fn not_shortened(state: &State, settings: &Settings, command: &Command, now: Now) -> Decided {
    let shortens = matches!(command, Command::SetPolicy { .. } | Command::RemovePolicy { .. });
    without(Real.decide(state, settings, command, now), |event| {
        shortens && matches!(event, Event::EndMoved { .. })
    })
}

fn any_as_named(state: &State, settings: &Settings, command: &Command, now: Now) -> Decided {
    let decided = Real.decide(state, settings, command, now);
    let (Err(refusals), Command::Request(ask)) = (&decided, command) else { return decided };
    let other = refusals.0.iter().find_map(|refusal| match refusal {
        Refusal::ApprovalRequired { source, why: ApprovalNeeded::NotOwnAddress { .. }, .. } => {
            source.single()
        }
        _ => None,
    });
    let Some(other) = other else { return decided };
    let mut ask = ask.clone();
    ask.address = OwnAddress::Seen(other);
    Real.decide(state, settings, &Command::Request(ask), now)
}

fn widest_ignored(state: &State, settings: &Settings, command: &Command, now: Now) -> Decided {
    let Command::Request(_) = command else {
        return Real.decide(state, settings, command, now);
    };
    let mut state = state.clone();
    for policy in state.policies.values_mut() {
        for rule in policy.members.values_mut().flat_map(|member| &mut member.ports) {
            rule.widest_unapproved = Widest { ipv4: 0, ipv6: 0 };
        }
    }
    Real.decide(&state, settings, command, now)
}

fn begins_early(state: &State, settings: &Settings, command: &Command, now: Now) -> Decided {
    let mut early = state.clone();
    stages(&mut early, |stage| {
        if let Stage::Planned { start } = stage {
            *start = back(*start, Duration::from_secs(120));
        }
    });
    Real.decide(&early, settings, command, now)
}

fn people_first(state: &State, settings: &Settings, command: &Command, now: Now) -> Decided {
    if let Command::Tick = command {
        return Real.decide(state, settings, command, now);
    }
    let mut before = state.clone();
    stages(&mut before, |stage| {
        if let Stage::Granted { until, .. } = stage
            && until.is_over(now)
        {
            *until = now.after(Duration::from_secs(1));
        }
    });
    Real.decide(&before, settings, command, now)
}

fn half_done(state: &State, settings: &Settings, command: &Command, now: Now) -> Decided {
    let decided = Real.decide(state, settings, command, now);
    let (Err(_), Command::Request(ask)) = (&decided, command) else { return decided };
    let part = ask.accesses.iter().find_map(|access| {
        let mut part = ask.clone();
        part.accesses = vec![access.clone()];
        Real.decide(state, settings, &Command::Request(part), now).ok()
    });
    part.map_or(decided, Ok)
}

fn left_out_is_cleared(state: &State, settings: &Settings, command: &Command, now: Now) -> Decided {
    let mut command = command.clone();
    if let Command::SetPolicy { draft, .. } = &mut command {
        for port in draft.vms.iter_mut().flat_map(|member| &mut member.ports) {
            if port.widest_unapproved == Sent::Omitted {
                port.widest_unapproved = Sent::Cleared;
            }
            if port.other_addresses == Sent::Omitted {
                port.other_addresses = Sent::Cleared;
            }
        }
    }
    Real.decide(state, settings, &command, now)
}

fn if_match_ignored(state: &State, settings: &Settings, command: &Command, now: Now) -> Decided {
    let mut command = command.clone();
    if let Command::SetPolicy { only_if, .. } | Command::RemovePolicy { only_if, .. } = &mut command
    {
        *only_if = Precondition::None;
    }
    Real.decide(state, settings, &command, now)
}

fn unconfirmed_stays(state: &State, settings: &Settings, command: &Command, now: Now) -> Decided {
    let mut patient = state.clone();
    for policy in patient.policies.values_mut() {
        if let Some(confirmation) = &mut policy.confirmation {
            confirmation.until = Deadline { wall: Timestamp::MAX, boot: None };
        }
    }
    Real.decide(&patient, settings, command, now)
}

fn right_kept(state: &State, settings: &Settings, command: &Command, now: Now) -> Decided {
    without(Real.decide(state, settings, command, now), |event| {
        matches!(event, Event::Ended { reason: EndReason::RightLost, .. })
    })
}

fn with_directory(state: &State, change: impl FnOnce(&mut Directory)) -> State {
    let mut state = state.clone();
    change(Arc::make_mut(&mut state.directory));
    state
}

fn role_too_long(state: &State, settings: &Settings, command: &Command, now: Now) -> Decided {
    let state = with_directory(state, |directory| {
        let all: Vec<Arc<Assignment>> = directory.assignments().cloned().collect();
        for given in all {
            let Some(until) = given.until else { continue };
            let boot =
                until.boot.map(|boot| BootTime { nanos: boot.nanos + 1_000_000_000, ..boot });
            let wall = later(until.wall, Duration::from_secs(1));
            let until = Some(Deadline { wall, boot });
            directory.assign(Arc::new(Assignment { until, ..Assignment::clone(&given) }));
        }
    });
    Real.decide(&state, settings, command, now)
}

fn disabled_may(state: &State, settings: &Settings, command: &Command, now: Now) -> Decided {
    let Command::Request(_) = command else {
        return Real.decide(state, settings, command, now);
    };
    let state = with_directory(state, |directory| {
        let all: Vec<Arc<Principal>> = directory.principals().cloned().collect();
        for who in all {
            let enabled = Principal { disabled: false, ..Principal::clone(&who) };
            directory.set_principal(Arc::new(enabled));
        }
    });
    Real.decide(&state, settings, command, now)
}

fn enabled_by_sign_in(state: &State, settings: &Settings, command: &Command, now: Now) -> Decided {
    let mut decided = Real.decide(state, settings, command, now);
    if let (Ok(events), Command::Directory(DirectoryCommand::Introduce(_))) =
        (&mut decided, command)
    {
        for event in events {
            if let Event::Directory { change: DirectoryChange::PrincipalSet { principal } } = event
            {
                Arc::make_mut(principal).disabled = false;
            }
        }
    }
    decided
}

fn scopes_ignored(state: &State, settings: &Settings, command: &Command, now: Now) -> Decided {
    let Command::Request(_) = command else {
        return Real.decide(state, settings, command, now);
    };
    let state = with_directory(state, |directory| {
        let all: Vec<Arc<Assignment>> = directory.assignments().cloned().collect();
        for given in all {
            let scope = Scope::subscription(given.scope.of_subscription());
            directory.assign(Arc::new(Assignment { scope, ..Assignment::clone(&given) }));
        }
    });
    Real.decide(&state, settings, command, now)
}

fn outlives_its_scope(state: &State, settings: &Settings, command: &Command, now: Now) -> Decided {
    without(Real.decide(state, settings, command, now), |event| {
        let Event::Directory { change: DirectoryChange::Unassigned { why, .. } } = event else {
            return false;
        };
        *why == UnassignedBecause::ScopeGone
    })
}

fn groups_not_heard(state: &State, settings: &Settings, command: &Command, now: Now) -> Decided {
    let mut command = command.clone();
    if let Command::Directory(DirectoryCommand::Introduce(said)) = &mut command {
        said.groups = None;
    }
    Real.decide(state, settings, &command, now)
}

fn last_owner_goes(state: &State, settings: &Settings, command: &Command, now: Now) -> Decided {
    let settings = Settings { first_subscription: None, ..settings.clone() };
    Real.decide(state, &settings, command, now)
}

fn lock_vanishes(desired: &Desired, observed: &Observed) -> Plan {
    let mut plan = Real.plan(desired, observed);
    plan.unlock.extend(observed.locks.keys().filter(|lock| !desired.locks.contains_key(lock)));
    plan
}

fn ends_not_compared(desired: &Desired, observed: &Observed) -> Plan {
    let mut plan = Real.plan(desired, observed);
    plan.shorten.clear();
    plan.open.retain(|opening, _| !observed.openings.contains_key(opening));
    plan
}

fn nothing_closed(desired: &Desired, observed: &Observed) -> Plan {
    let mut plan = Real.plan(desired, observed);
    plan.close.clear();
    plan
}
