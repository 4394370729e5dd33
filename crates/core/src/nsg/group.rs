//! A security group: rules that stand in order, each with a number and a name of its own.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use serde::{Deserialize, Serialize};

use super::{
    default::Defaults,
    fault::{GroupFault, GroupFaults},
    flow::Flow,
    id::GroupId,
    name::RuleName,
    rule::SecurityRule,
    sieve::Sieve,
    surroundings::Surroundings,
    word::{Direction, Priority, Side},
};

pub use super::default::default_rules;

/// How many rules a group may have, grants' and locks' counted, defaults not (Azure's).
pub const RULES_PER_GROUP_MAX: usize = 1_000;
/// How many places, and how many ranges of ports, all rules of a group may name on one side (Azure's
/// `MaxSecurityRuleAddressesOrPortsPerSecurityGroup`).
pub const NAMED_PER_SIDE_MAX: usize = 4_000;

/// A security group.
///
/// Each of its rules has a number that is unique in its direction and a name that is unique in the group.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(try_from = "GroupFields", into = "GroupFields")]
pub struct SecurityGroup {
    id: GroupId,
    // As sent; `inbound` and `outbound` say the order in which they are looked at.
    rules: Vec<SecurityRule>,
    inbound: Arc<Sieve>,
    outbound: Arc<Sieve>,
}

impl SecurityGroup {
    /// A group of rules, in any order.
    ///
    /// # Errors
    /// Everything that keeps these rules from standing together.
    pub fn new(id: GroupId, rules: Vec<SecurityRule>) -> Result<SecurityGroup, GroupFaults> {
        let faults = faults(&rules);
        if !faults.is_empty() {
            return Err(GroupFaults(faults));
        }
        Ok(SecurityGroup::of(id, rules))
    }

    /// Its resource id.
    pub fn id(&self) -> &GroupId {
        &self.id
    }

    /// Its own rules, in the order sent.
    pub fn rules(&self) -> &[SecurityRule] {
        &self.rules
    }

    /// The own rule of a name.
    pub fn rule(&self, name: &RuleName) -> Option<&SecurityRule> {
        self.rules.iter().find(|rule| rule.name() == name)
    }

    /// Every rule of one direction in the order in which it is looked at: its own, then the defaults.
    pub fn in_order(&self, direction: Direction) -> impl Iterator<Item = &SecurityRule> {
        self.own_in_order(direction).chain(Defaults::of(direction).iter())
    }

    /// Its own rules of one direction, by their numbers.
    pub fn own_in_order(&self, direction: Direction) -> impl Iterator<Item = &SecurityRule> {
        self.sieve(direction).places().map(|place| &self.rules[place])
    }

    /// The numbers that its own rules have in one direction.
    pub fn used(&self, direction: Direction) -> BTreeSet<Priority> {
        self.own_in_order(direction).map(SecurityRule::priority).collect()
    }

    /// The rule that decides a flow: the first that matches; the last default matches every flow.
    pub fn deciding(
        &self,
        direction: Direction,
        flow: &Flow,
        surroundings: &Surroundings,
    ) -> &SecurityRule {
        let first = self.sieve(direction).first(flow, surroundings);
        let own = first.map(|place| &self.rules[place]);
        debug_assert!(own.is_none_or(|rule| rule.matches(flow, surroundings)), "{own:?} {flow:?}");
        let defaults = Defaults::of(direction);
        own.or_else(|| defaults.allows.iter().find(|rule| rule.matches(flow, surroundings)))
            .unwrap_or(&defaults.deny_all)
    }

    /// The group with a rule added, or changed where one of that name stands.
    ///
    /// # Errors
    /// Everything that keeps the rules from standing together then.
    pub fn with(&self, rule: SecurityRule) -> Result<SecurityGroup, GroupFaults> {
        let mut rules = self.rules.clone();
        match rules.iter_mut().find(|old| old.name() == rule.name()) {
            Some(old) => *old = rule,
            None => rules.push(rule),
        }
        SecurityGroup::new(self.id.clone(), rules)
    }

    /// The group without some of its rules. What is left stood together before, so nothing can be wrong.
    #[must_use]
    pub fn without(&self, gone: impl Fn(&SecurityRule) -> bool) -> SecurityGroup {
        let rules: Vec<SecurityRule> =
            self.rules.iter().filter(|rule| !gone(rule)).cloned().collect();
        SecurityGroup::of(self.id.clone(), rules)
    }

    // INVARIANT: the rules stand together.
    fn of(id: GroupId, rules: Vec<SecurityRule>) -> SecurityGroup {
        let sieve = |direction| Arc::new(Sieve::new(&rules, direction));
        let (inbound, outbound) = (sieve(Direction::Inbound), sieve(Direction::Outbound));
        SecurityGroup { id, rules, inbound, outbound }
    }

    fn sieve(&self, direction: Direction) -> &Sieve {
        match direction {
            Direction::Inbound => &self.inbound,
            Direction::Outbound => &self.outbound,
        }
    }
}

/// Groups are the same if their rules are; how they are sorted follows from that.
impl PartialEq for SecurityGroup {
    fn eq(&self, other: &SecurityGroup) -> bool {
        self.id == other.id && self.rules == other.rules
    }
}

impl Eq for SecurityGroup {}

fn faults(rules: &[SecurityRule]) -> Vec<GroupFault> {
    let mut faults = Vec::new();
    let mut names = BTreeSet::new();
    let mut numbers: BTreeMap<(Direction, Priority), &RuleName> = BTreeMap::new();
    for rule in rules {
        if !names.insert(rule.name()) {
            faults.push(GroupFault::NameTwice { name: rule.name().clone() });
        }
        let (direction, priority) = (rule.direction(), rule.priority());
        match numbers.get(&(direction, priority)) {
            Some(existing) => faults.push(GroupFault::PriorityTwice {
                direction,
                priority,
                existing: (*existing).clone(),
                new: rule.name().clone(),
            }),
            None => {
                numbers.insert((direction, priority), rule.name());
            }
        }
    }
    let (count, most) = (rules.len(), RULES_PER_GROUP_MAX);
    if count > most {
        faults.push(GroupFault::TooManyRules { count, most });
    }
    for side in [Side::Source, Side::Destination] {
        let most = NAMED_PER_SIDE_MAX;
        let count = rules.iter().map(|rule| rule.places(side).count()).sum();
        if count > most {
            faults.push(GroupFault::TooManyPlaces { side, count, most });
        }
        let count = rules.iter().map(|rule| rule.ports(side).ranges().len()).sum();
        if count > most {
            faults.push(GroupFault::TooManyPorts { side, count, most });
        }
    }
    faults
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct GroupFields {
    id: GroupId,
    rules: Vec<SecurityRule>,
}

impl TryFrom<GroupFields> for SecurityGroup {
    type Error = String;

    fn try_from(fields: GroupFields) -> Result<SecurityGroup, String> {
        SecurityGroup::new(fields.id, fields.rules)
            .map_err(|GroupFaults(faults)| format!("no security group: {faults:?}"))
    }
}

impl From<SecurityGroup> for GroupFields {
    fn from(group: SecurityGroup) -> GroupFields {
        GroupFields { id: group.id, rules: group.rules }
    }
}
