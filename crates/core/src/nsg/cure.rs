//! What would have to change for a flow to go through, as data: the edge makes words of it.

use serde::{Deserialize, Serialize};

use super::{
    group::SecurityGroup,
    id::GroupId,
    name::RuleName,
    numbers::Numbers,
    rule::SecurityRule,
    word::{Direction, PRIORITY_MAX, PRIORITY_MIN, Priority},
};

/// One change that would let a flow past a rule that denies it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "cure", rename_all = "camelCase")]
pub enum Cure {
    /// An allow rule with a smaller number than the deny's.
    AllowBefore {
        /// In which group.
        group: GroupId,
        /// Smaller than this: the deny's, or one more than the largest where a default rule denies.
        below: u16,
        /// The nearest number that is free.
        free: Priority,
    },
    /// No smaller number is free, so the rule that denies must itself be changed.
    ChangeRule {
        /// In which group.
        group: GroupId,
        /// Which rule.
        rule: RuleName,
        /// Its number.
        priority: Priority,
    },
    /// The exception must also stand in the subnet's group: placement `nic-and-subnet`.
    PlaceInSubnetToo {
        /// The subnet's group.
        group: GroupId,
        /// The number the exception can have there.
        free: Priority,
    },
}

impl Cure {
    /// The group in which something would have to change.
    pub fn group(&self) -> &GroupId {
        match self {
            Cure::AllowBefore { group, .. }
            | Cure::ChangeRule { group, .. }
            | Cure::PlaceInSubnetToo { group, .. } => group,
        }
    }

    /// What gets a flow past a rule of a group, in which JIT's rules have these numbers.
    pub(super) fn past(group: &SecurityGroup, deny: &SecurityRule, ours: &Numbers) -> Cure {
        let below = deny.priority().number().min(PRIORITY_MAX + 1);
        let mut used = Numbers::of(group, deny.direction());
        if deny.direction() == Direction::Inbound {
            used = used.union(ours);
        }
        match used.last_free(PRIORITY_MIN..below) {
            Some(free) => Cure::AllowBefore { group: group.id().clone(), below, free },
            None => Cure::change(group, deny),
        }
    }

    pub(super) fn change(group: &SecurityGroup, deny: &SecurityRule) -> Cure {
        Cure::ChangeRule {
            group: group.id().clone(),
            rule: deny.name().clone(),
            priority: deny.priority(),
        }
    }
}
