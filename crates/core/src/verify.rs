//! Does a new flow of a machine pass, and who has the last word? What Azure asks of a network watcher.

use crate::{
    id::{PolicyId, VmId},
    network::Port,
    nsg::{
        flow::Flow,
        id::GroupId,
        judge::{By, judge},
        rule::SecurityRule,
        word::{Access, Direction, Side},
    },
    reach::{Met, reach},
    state::State,
    time::Now,
};

/// What becomes of a flow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verified<'a> {
    /// Whether it passes.
    pub access: Access,
    /// Who has the last word; none where nothing stands before the address.
    pub by: Option<LastWord<'a>>,
}

/// Who decides about a flow: one that stopped it, or the one that let it through the last of all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LastWord<'a> {
    /// JIT: the policy that locks the port, and no access lets the flow through, or one does.
    Jit(&'a PolicyId),
    /// A rule of a group.
    Rule {
        /// The group.
        group: &'a GroupId,
        /// The rule; it may be a default rule.
        rule: &'a SecurityRule,
    },
}

/// Asks for a flow to or from a VM that was loaded. Of the other end only the address counts: what stands
/// before that is another question.
pub fn verify<'a>(
    state: &'a State,
    vm: &'a VmId,
    direction: Direction,
    flow: &Flow,
    now: Now,
) -> Verified<'a> {
    match direction {
        Direction::Inbound => inbound(state, vm, flow, now),
        Direction::Outbound => outbound(state, flow),
    }
}

fn inbound<'a>(state: &'a State, vm: &'a VmId, flow: &Flow, now: Now) -> Verified<'a> {
    let reach = reach(state, vm, flow, now);
    let jit = || jit(state, vm, flow).map(LastWord::Jit);
    if reach.lock.is_some_and(|lock| lock.open_until.is_none()) {
        return Verified { access: reach.access, by: jit() };
    }
    let denies = |met: &&Met<'_>| !met.by_access && met.asked.decisive.access() == Access::Deny;
    let decides = match reach.access {
        Access::Deny => reach.layers.iter().find(denies),
        Access::Allow => reach.layers.last(),
    };
    let by = match decides {
        Some(Met { by_access: false, asked }) => {
            Some(LastWord::Rule { group: asked.group, rule: asked.decisive })
        }
        Some(Met { by_access: true, .. }) => jit(),
        None => jit().filter(|_| reach.lock.is_some()),
    };
    Verified { access: reach.access, by }
}

/// Locks are for flows towards a machine: one from it meets the groups alone.
fn outbound<'a>(state: &'a State, flow: &Flow) -> Verified<'a> {
    let Some((layers, surroundings)) = state.network.around(flow.address(Side::Source)) else {
        return Verified { access: Access::Allow, by: None };
    };
    let verdict = judge(layers, Direction::Outbound, flow, &surroundings);
    let by = verdict.by.map(|By { group, rule, .. }| LastWord::Rule { group, rule });
    Verified { access: verdict.access, by }
}

/// The policy that locks the port a flow goes to. A port of a VM is in one policy.
fn jit<'a>(state: &'a State, vm: &'a VmId, flow: &Flow) -> Option<&'a PolicyId> {
    let port = Port::new(flow.port(Side::Destination)?)?;
    let mut locks = state.policies_of(vm).filter(|(_, member)| member.rule(port).is_some());
    locks.next().map(|(policy, _)| &policy.id)
}
