//! JIT's own rules as security rules: the denies of locks and the allows of grants.
//!
//! They are facts beside a group and not rows in it: a group's resource holds other people's rules alone, so
//! a grant rewrites no document, and nobody who sets a group takes a grant away. Wherever a group is shown,
//! numbered or judged, they are laid over it.

use serde::{Deserialize, Serialize};

use crate::{
    grant::{Access, Request, Stage},
    id::{PolicyId, RequestId, VmId},
    network::{Lock, Port},
    nsg::{
        flow::Flow,
        grant_rule::{deny_rule_name, grant_description, grant_rule, grant_rule_name},
        id::GroupId,
        lockdown::deny_rule,
        name::Description,
        rule::SecurityRule,
        word::Side,
    },
    state::State,
    time::Now,
};

/// A rule that JIT made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JitRule {
    /// The rule.
    pub rule: SecurityRule,
    /// Whose it is.
    pub of: JitRuleOf,
}

/// Whose a rule of JIT's is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(tag = "of", rename_all = "camelCase")]
pub enum JitRuleOf {
    /// The deny of a lock.
    Lock {
        /// The policy that has it.
        policy: PolicyId,
        /// The VM.
        vm: VmId,
        /// The port.
        port: Port,
    },
    /// The allow of a grant.
    Grant {
        /// The request it belongs to.
        request: RequestId,
        /// The VM.
        vm: VmId,
        /// The port.
        port: Port,
    },
}

/// JIT's rules in a group, by their numbers: of the VMs that are loaded, which must be all before which the
/// group stands for this to be all of them.
pub fn of_group(state: &State, group: &GroupId) -> Vec<JitRule> {
    let mut rules: Vec<JitRule> = denies(state, group).collect();
    for (request, access) in state.live() {
        rules.extend(allows(request, access, group));
    }
    rules.sort_by_key(|rule| rule.rule.priority());
    rules
}

/// The same as they are shown: a grant's until its end and no longer, also where nobody has noticed yet that it
/// is over.
pub fn shown(state: &State, group: &GroupId, now: Now) -> Vec<JitRule> {
    let runs = |of: &JitRuleOf| match of {
        JitRuleOf::Lock { .. } => true,
        JitRuleOf::Grant { request, vm, port } => {
            let access = state.requests.get(request).and_then(|of| of.access(vm, *port));
            access.is_some_and(|access| match access.stage {
                Stage::Granted { until, .. } => !until.is_over(now),
                Stage::Planned { .. } | Stage::Ended { .. } => false,
            })
        }
    };
    of_group(state, group).into_iter().filter(|jit| runs(&jit.of)).collect()
}

/// The rule of JIT's that a flow towards a machine meets first where JIT's rules lie, and in which group; of the
/// VMs that are loaded.
pub fn met(state: &State, flow: &Flow, now: Now) -> Option<(GroupId, JitRule)> {
    let (layers, surroundings) = state.network.around(flow.address(Side::Destination))?;
    let (_, home) = layers.home()?;
    let mut rules = shown(state, home.id(), now).into_iter();
    let rule = rules.find(|jit| jit.rule.matches(flow, &surroundings))?;
    Some((home.id().clone(), rule))
}

fn denies<'a>(state: &'a State, group: &'a GroupId) -> impl Iterator<Item = JitRule> + 'a {
    state.members().flat_map(move |(policy, member, vm)| {
        let rules = member.ports.iter();
        rules.flat_map(move |port| {
            port.denies.iter().filter(|deny| deny.group == *group).map(move |deny| {
                let lock = Lock { address: deny.address, port: port.port };
                let rule = deny_rule(deny_rule_name(&vm.name, lock), lock, deny.priority);
                let rule = rule.described(deny_description());
                let of =
                    JitRuleOf::Lock { policy: policy.id.clone(), vm: vm.clone(), port: port.port };
                JitRule { rule, of }
            })
        })
    })
}

fn allows<'a>(
    request: &'a Request,
    access: &'a Access,
    group: &'a GroupId,
) -> impl Iterator<Item = JitRule> + 'a {
    let granted = match &access.stage {
        Stage::Granted { since, until, .. } => Some((*since, until.wall)),
        Stage::Planned { .. } | Stage::Ended { .. } => None,
    };
    let of = || JitRuleOf::Grant { request: request.id, vm: access.vm.clone(), port: access.port };
    let rules = access.rules().iter().filter(|rule| rule.group == *group);
    rules.filter_map(move |rule| {
        let ((since, until), family) = (granted?, rule.family());
        let source = access.source.within(family)?;
        let name = grant_rule_name(&access.vm.name, access.port, since, request.id, family);
        let made = grant_rule(name, source, &rule.addresses, access.port, rule.priority);
        let who = request.requester.upn.as_ref().unwrap_or(&request.requester.name);
        Some(JitRule { rule: made.described(grant_description(&who.0, until)), of: of() })
    })
}

fn deny_description() -> Description {
    Description::known("JIT keeps this port closed; what is granted stands before".to_owned())
}
