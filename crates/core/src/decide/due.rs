//! What time alone demands: ends, beginnings, and changes that nobody confirmed.

use super::{Unfolding, ended, policy, replaced};
use crate::{
    event::Event,
    grant::{Access, EndReason, Request, Stage, Window},
    id::PolicyId,
    policy::{Confirmation, PortRule},
    state::{State, access_id},
    time::{Now, later},
};

/// Everything that is due at `now`, in order: ends, roll-backs, beginnings.
pub(super) fn due(state: &State, now: Now) -> Vec<Event> {
    let mut after = Unfolding { state: state.clone(), events: Vec::new() };
    after.all(expired(&after.state, now));
    for (id, confirmation) in unconfirmed(&after.state, now) {
        after.all(policy::roll_back(&after.state, &id, confirmation, now));
    }
    // With a clock that cannot be right nothing begins; what is planned waits for it to be accepted.
    if !after.state.clock_is_behind(now) {
        for (request, access) in beginning(&after.state, now) {
            let events = begin(&after.state, &request, &access, now);
            after.all(events);
        }
    }
    after.events
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
        .filter_map(|policy| Some((policy.id.clone(), policy.confirmation.clone()?)))
        .filter(|(_, confirmation)| confirmation.until.is_over(now))
        .collect()
}

fn beginning(state: &State, now: Now) -> Vec<(Request, Access)> {
    state
        .live()
        .filter(|(_, access)| match access.stage {
            Stage::Planned { start } => start <= now.wall,
            Stage::Granted { .. } | Stage::Ended { .. } => false,
        })
        .map(|(request, access)| (request.clone(), access.clone()))
        .collect()
}

/// A planned access begins under the policy of today; if it slept through its own time, it lapses.
fn begin(state: &State, request: &Request, access: &Access, now: Now) -> Vec<Event> {
    let id = access_id(request, &access.vm, access.port);
    let Stage::Planned { start } = access.stage else { return Vec::new() };
    let Some(rule) = rule_of(state, request, access) else {
        return vec![ended(id, EndReason::PolicyChanged, now)];
    };
    let longest = later(start, rule.longest);
    let end = match access.window {
        Window::Until(end) => end.min(longest),
        Window::For(length) => later(start, length).min(longest),
    };
    let until = now.until(end);
    if until.is_over(now) {
        return vec![ended(id, EndReason::Lapsed, now)];
    }
    let mut events = vec![Event::Started { access: id.clone(), since: now.wall, until }];
    events.extend(replaced(state, &id, end, now));
    events
}

/// The rule under which an access stands today.
pub(super) fn rule_of<'a>(
    state: &'a State,
    request: &Request,
    access: &Access,
) -> Option<&'a PortRule> {
    let member = state.policies.get(&request.policy)?.members.get(&access.vm)?;
    if member.instance == access.instance { member.rule(access.port) } else { None }
}
