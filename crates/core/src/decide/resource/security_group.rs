//! What a security group must be: each rule right by itself, and all of them able to stand together.

use std::cell::LazyCell;

use super::Setting;
use crate::{
    jit_rules,
    nsg::{
        fault::{GroupFault, GroupFaults, RuleFaults},
        group::{RULES_PER_GROUP_MAX, SecurityGroup},
        jit_name::JitName,
        rule::{RuleDraft, SecurityRule},
        word::Direction,
    },
    resource::{ResourceFault, View, view::asgs_of},
    state::State,
};

pub(super) fn view(
    setting: &Setting<'_>,
    sent: &[RuleDraft],
    faults: &mut Vec<ResourceFault>,
) -> Option<View> {
    let mut rules = Vec::with_capacity(sent.len().min(RULES_PER_GROUP_MAX));
    let known = faults.len();
    for draft in sent {
        match SecurityRule::new(draft) {
            Ok(rule) => rules.push(rule),
            Err(RuleFaults(problems)) => faults.extend(
                problems
                    .into_iter()
                    .map(|problem| ResourceFault::Rule { rule: draft.name.clone(), problem }),
            ),
        }
    }
    faults.extend(setting.references(rules.iter().flat_map(asgs_of)));
    // A rule that is not even one may be the one that another is in the way of: those that are rules are
    // held against each other all the same, so that everything is told at once.
    match SecurityGroup::new(setting.id.security_group()?, rules) {
        Ok(group) => (faults.len() == known).then_some(View::SecurityGroup(group)),
        Err(GroupFaults(problems)) => {
            faults.extend(problems.into_iter().map(|problem| ResourceFault::Rules { problem }));
            None
        }
    }
}

/// Whether the rules can stand beside JIT's, which are not among them: numbers and names are unique, and all
/// count towards what a group may hold.
pub(super) fn beside_ours(state: &State, view: &View, faults: &mut Vec<ResourceFault>) -> bool {
    let View::SecurityGroup(group) = view else { return true };
    let Some(ours) = state.numbers.get(group.id()) else { return true };
    // Most groups have nothing in the way of any.
    let rules = LazyCell::new(|| jit_rules::of_group(state, group.id()));
    let known = faults.len();
    let mut wrong = |problem| faults.push(ResourceFault::Rules { problem });
    for rule in group.rules() {
        let is_formed = JitName::of(rule.name().as_str()).is_some();
        if is_formed && rules.iter().any(|jit| jit.rule.name() == rule.name()) {
            wrong(GroupFault::NameTwice { name: rule.name().clone() });
        }
        let (direction, priority) = (rule.direction(), rule.priority());
        if direction == Direction::Inbound && ours.contains(priority) {
            // Of a VM that is not loaded only the number is known.
            let existing = rules.iter().find(|jit| jit.rule.priority() == priority);
            let existing = existing.map_or(rule, |jit| &jit.rule).name().clone();
            let new = rule.name().clone();
            wrong(GroupFault::PriorityTwice { direction, priority, existing, new });
        }
    }
    let (count, most) = (group.rules().len() + ours.len(), RULES_PER_GROUP_MAX);
    if count > most {
        wrong(GroupFault::TooManyRules { count, most });
    }
    faults.len() == known
}
