//! What a security group must be: each rule right by itself, and all of them able to stand together.

use super::Setting;
use crate::{
    nsg::{
        fault::{GroupFaults, RuleFaults},
        group::{RULES_PER_GROUP_MAX, SecurityGroup},
        rule::{RuleDraft, SecurityRule},
    },
    resource::{ResourceFault, View, view::asgs_of},
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
