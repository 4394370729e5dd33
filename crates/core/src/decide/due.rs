//! What time alone demands: ends, beginnings, and changes that nobody confirmed.

use std::{borrow::Cow, collections::BTreeSet};

use super::{
    Unfolding, directory,
    effect::{Against, Placing, Wanted},
    ended, loads_all_of, policy, replaced,
};
use crate::{
    command::Command,
    event::{AccessId, Event},
    gateway::mapping,
    grant::{Access, EndReason, GrantRule, Request, Stage, Window},
    id::PolicyId,
    policy::{Confirmation, Settings},
    state::{State, access_id},
    time::{CLOCK_BEHIND_MAX, Now, Timestamp, distance, later},
};

/// Everything that is due at `now`, in order: ends, roll-backs, beginnings.
pub(super) fn due<'a>(
    state: &'a State,
    settings: &Settings,
    command: &Command,
    now: Now,
) -> Unfolding<'a> {
    let mut after = Unfolding { state: Cow::Borrowed(state), events: Vec::new() };
    after.all(expired(&after.state, now));
    // Nobody else has loaded what those people have. What is over gives nothing to anybody meanwhile.
    if let Command::Tick = command {
        after.all(directory::over(&after.state, settings, now));
    }
    for (id, confirmation) in unconfirmed(&after.state, now) {
        let events = policy::roll_back(&after.state, settings, &id, confirmation, now);
        // Who did not load all of a policy cannot say what becomes of its VMs; Tick will. But nobody
        // gets access under what nobody confirmed.
        if loads_all_of(command, &id) {
            after.all(events);
        } else if let Command::Request(_) = command {
            after.imagine(&events);
        }
    }
    // With a clock that cannot be right nothing begins; what is planned waits for it to be accepted.
    if !after.state.clock_is_behind(now) {
        after.all(anchored(&after.state, now));
        for id in beginning(&after.state, now) {
            let events = begin(&after.state, settings, &id, now);
            after.all(events);
        }
    }
    after
}

fn expired(state: &State, now: Now) -> Vec<Event> {
    state
        .live()
        .filter(|(_, access)| match access.stage {
            Stage::Granted { until, .. } => until.is_over(now),
            Stage::Planned { .. } | Stage::Ended { .. } => false,
        })
        .map(|(request, access)| {
            ended(access_id(request, &access.vm, access.port), EndReason::Expired, now)
        })
        .collect()
}

fn unconfirmed(state: &State, now: Now) -> Vec<(PolicyId, Confirmation)> {
    state
        .policies
        .values()
        .filter_map(|policy| Some((policy, policy.confirmation.as_ref()?)))
        .filter(|(_, confirmation)| confirmation.until.is_over(now))
        .map(|(policy, confirmation)| (policy.id.clone(), confirmation.clone()))
        .collect()
}

/// After a reboot the ends of running accesses stand on the wall clock alone, and whoever sets it back
/// prolongs them: each gets an end on this boot's clock too. One that has not begun yet by the clock
/// that was accepted since is not believed.
fn anchored(state: &State, now: Now) -> Vec<Event> {
    state
        .live()
        .filter_map(|(request, access)| match access.stage {
            Stage::Granted { since, until, .. } if !until.is_of_this_boot(now) => {
                let id = access_id(request, &access.vm, access.port);
                Some(if distance(now.wall, since) > CLOCK_BEHIND_MAX {
                    let why = "the clock was set back to before it began".to_owned();
                    ended(id, EndReason::Failed { why }, now)
                } else {
                    Event::EndMoved { access: id, until: now.until(until.wall) }
                })
            }
            Stage::Granted { .. } | Stage::Planned { .. } | Stage::Ended { .. } => None,
        })
        .collect()
}

/// What is to begin, earliest first.
fn beginning(state: &State, now: Now) -> Vec<AccessId> {
    let mut due: Vec<(Timestamp, AccessId)> = state
        .live()
        .filter_map(|(request, access)| match access.stage {
            Stage::Planned { start } if start <= now.wall => {
                Some((start, access_id(request, &access.vm, access.port)))
            }
            Stage::Planned { .. } | Stage::Granted { .. } | Stage::Ended { .. } => None,
        })
        .collect();
    due.sort();
    due.into_iter().map(|(_, id)| id).collect()
}

/// A planned access begins under the policy of today; if it slept through its own time, it lapses.
fn begin(state: &State, settings: &Settings, id: &AccessId, now: Now) -> Vec<Event> {
    let Some(request) = state.requests.get(&id.request) else { return Vec::new() };
    let Some(access) = request.access(&id.vm, id.port) else { return Vec::new() };
    // One that began a moment ago may have taken the place of this one.
    let Stage::Planned { start } = access.stage else { return Vec::new() };
    if !directory::may_begin(state, settings, (request, access), now) {
        return vec![ended(id.clone(), EndReason::RightLost, now)];
    }
    let members = state.policies.get(&request.policy).map(|policy| &policy.members);
    let Some(rule) = members.and_then(|members| access.rule_in(members)) else {
        return vec![ended(id.clone(), EndReason::PolicyChanged, now)];
    };
    let longest = later(start, rule.longest);
    let end = match access.window {
        Window::Until(end) => end.min(longest),
        Window::For(length) => later(start, length).min(longest),
    };
    let until = now.until(end);
    if until.is_over(now) {
        return vec![ended(id.clone(), EndReason::Lapsed, now)];
    }
    // Rules may have changed since it was planned, and nothing is called open that they would drop.
    let rules = match placed(state, settings, request, access) {
        Ok(rules) => rules,
        Err(why) => return vec![ended(id.clone(), EndReason::Failed { why }, now)],
    };
    let mut taken = BTreeSet::clone(&state.taken);
    let mapped = match mapping::of(state, settings, &mut taken, access) {
        Ok(mapped) => mapped,
        Err(against) => {
            let why: Vec<_> = against.iter().map(mapping::Against::in_words).collect();
            let why = why.join("; ");
            return vec![ended(id.clone(), EndReason::Failed { why }, now)];
        }
    };
    let since = now.wall;
    let mut events = vec![Event::Started { access: id.clone(), since, until, rules, mapped }];
    let older = state.live().filter(|(other, _)| other.created <= request.created);
    events.extend(replaced(older, request, access, end, now));
    events
}

/// The rules with which a planned access begins; in words why there are none.
fn placed(
    state: &State,
    settings: &Settings,
    request: &Request,
    access: &Access,
) -> Result<Vec<GrantRule>, String> {
    let member = state.policies.get(&request.policy).and_then(|p| p.members.get(&access.vm));
    let (Some(vm), Some(member)) = (state.vms.get(&access.vm), member) else {
        return Ok(Vec::new());
    };
    let Some(rule) = member.rule(access.port) else { return Ok(Vec::new()) };
    let (placement, source) = (member.placement, access.source);
    let wanted = Wanted { vm, placement, rule, source, addresses: access.addresses.as_ref() };
    let placed = Placing::of(state, settings).grant(&wanted);
    placed.map_err(|against| against.iter().map(Against::in_words).collect::<Vec<_>>().join("; "))
}
