//! JIT's own rules as security rules: the denies of locks and the allows of grants.
//!
//! They are facts beside a group and not rows in it: a group's resource holds other people's rules alone, so
//! a grant rewrites no document, and nobody who sets a group takes a grant away. Wherever a group is shown,
//! numbered or judged, they are laid over it.

use serde::{Deserialize, Serialize};

use crate::{
    grant::{Access, GrantRule, Request, Stage},
    id::{PolicyId, RequestId, VmId},
    network::{Lock, Port},
    nsg::{
        flow::Flow,
        grant_rule::{deny_rule_name, grant_description, grant_rule, grant_rule_name},
        id::GroupId,
        jit_name::JitName,
        lockdown::deny_rule,
        name::Description,
        rule::SecurityRule,
        word::Side,
    },
    policy::Deny,
    state::State,
    time::{Now, Timestamp},
};

/// A rule that JIT made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JitRule {
    /// The rule.
    pub rule: SecurityRule,
    /// Whose it is.
    pub of: JitRuleOf,
}

impl JitRule {
    /// Whether it has that name, compared without case.
    pub fn is_called(&self, name: &str) -> bool {
        self.rule.name().as_str().eq_ignore_ascii_case(name)
    }
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
    let rules = sources(state, group).filter_map(|source| source.rule());
    let mut rules: Vec<JitRule> = rules.collect();
    rules.sort_by_key(|rule| rule.rule.priority());
    rules
}

/// How many that are: much cheaper, since none is written out.
pub fn count(state: &State, group: &GroupId) -> usize {
    sources(state, group).count()
}

/// The rule of JIT's that has a name in a group, compared without case. Nothing is looked at where nobody would
/// give one such a name.
pub fn named(state: &State, group: &GroupId, name: &str) -> Option<JitRule> {
    JitName::of(name)?;
    of_group(state, group).into_iter().find(|jit| jit.is_called(name))
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

/// Where a rule of JIT's comes from: what it says is only written out where somebody reads it.
enum Source<'a> {
    Lock {
        policy: &'a PolicyId,
        vm: &'a VmId,
        port: Port,
        deny: &'a Deny,
    },
    Grant {
        request: &'a Request,
        access: &'a Access,
        rule: &'a GrantRule,
        times: (Timestamp, Timestamp),
    },
}

fn sources<'a>(state: &'a State, group: &'a GroupId) -> impl Iterator<Item = Source<'a>> {
    denies(state, group).chain(allows(state, group))
}

fn denies<'a>(state: &'a State, group: &'a GroupId) -> impl Iterator<Item = Source<'a>> {
    let ports = state.members().flat_map(|(policy, member, vm)| {
        member.ports.iter().map(move |port| (&policy.id, vm, port))
    });
    ports.flat_map(move |(policy, vm, rule)| {
        let denies = rule.denies.iter().filter(|deny| deny.group == *group);
        denies.map(move |deny| Source::Lock { policy, vm, port: rule.port, deny })
    })
}

fn allows<'a>(state: &'a State, group: &'a GroupId) -> impl Iterator<Item = Source<'a>> {
    state.live().flat_map(move |(request, access)| {
        let times = match &access.stage {
            Stage::Granted { since, until, .. } => Some((*since, until.wall)),
            Stage::Planned { .. } | Stage::Ended { .. } => None,
        };
        let rules = access.rules().iter().filter(|rule| rule.group == *group);
        rules.filter_map(move |rule| Some(Source::Grant { request, access, rule, times: times? }))
    })
}

impl Source<'_> {
    fn rule(&self) -> Option<JitRule> {
        match *self {
            Source::Lock { policy, vm, port, deny } => {
                let lock = Lock { address: deny.address, port };
                let rule = deny_rule(deny_rule_name(&vm.name, lock), lock, deny.priority);
                let of = JitRuleOf::Lock { policy: policy.clone(), vm: vm.clone(), port };
                Some(JitRule { rule: rule.described(deny_description()), of })
            }
            Source::Grant { request, access, rule, times: (since, until) } => {
                let (vm, port, family) = (&access.vm, access.port, rule.family());
                let source = access.source.within(family)?;
                let name = grant_rule_name(&vm.name, port, since, request.id, family);
                let made = grant_rule(name, source, &rule.addresses, port, rule.priority);
                let who = request.requester.upn.as_ref().unwrap_or(&request.requester.name);
                let of = JitRuleOf::Grant { request: request.id, vm: vm.clone(), port };
                Some(JitRule { rule: made.described(grant_description(&who.0, until)), of })
            }
        }
    }
}

fn deny_description() -> Description {
    Description::known("JIT keeps this port closed; what is granted stands before".to_owned())
}
