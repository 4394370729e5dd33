//! What is understood of a firewall's policy: which ports of its public addresses lead to machines.

use std::{collections::BTreeMap, net::IpAddr};

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use crate::{
    gateway::{Carrier, Place},
    id::Name,
    network::Port,
};

/// How many groups of rules a policy may have (Azure's).
pub const GROUPS_MAX: usize = 100;
/// How many DNAT rules a policy may have: what is in memory and on a guard for each is small.
pub const DNAT_RULES_MAX: usize = 10_000;
/// How many combinations of source, address, port and protocol they may stand for: each is one by itself in memory
/// and on a guard, and a rule of a few lines can stand for billions.
pub const DNAT_FLOWS_MAX: usize = 10_000;
/// The numbers a group or a collection may have (Azure's).
pub const PRIORITIES: std::ops::RangeInclusive<u32> = 100..=65_000;

/// A firewall's policy.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FirewallPolicy {
    /// Its groups of rules.
    #[serde(with = "crate::pairs")]
    pub groups: BTreeMap<Name, RuleCollectionGroup>,
}

/// A group of rules.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RuleCollectionGroup {
    /// A smaller number counts first.
    pub priority: u32,
    /// Its collections of DNAT rules, in the order sent.
    pub nat: Vec<NatCollection>,
    /// All its properties as they were sent, as JSON that is only given back: collections of other kinds are
    /// for firewalls that filter, which this is not.
    pub sent: String,
}

/// DNAT rules that stand together.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NatCollection {
    /// Its name, unique in the group.
    pub name: Name,
    /// A smaller number counts first.
    pub priority: u32,
    /// Its rules; the first that fits counts.
    pub rules: Vec<DnatRule>,
}

/// Ports of public addresses that lead to one machine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DnatRule {
    /// Its name as sent.
    pub name: String,
    /// What it carries.
    pub carriers: Vec<Carrier>,
    /// From where; none says from everywhere.
    pub sources: Vec<IpNet>,
    /// The public addresses.
    pub destinations: Vec<IpAddr>,
    /// The ports of them.
    pub ports: Vec<Port>,
    /// Where to.
    pub to: Place,
}

impl DnatRule {
    /// How many combinations of source, address, port and protocol it stands for.
    pub fn flows(&self) -> usize {
        let parts = [self.sources.len().max(1), self.destinations.len(), self.ports.len()];
        parts.into_iter().fold(self.carriers.len(), usize::saturating_mul)
    }
}

/// A policy as it was sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FirewallPolicyDraft {
    /// With the groups that it has: groups have routes of their own, and a policy is set without them.
    AsTheyAre,
    /// With these groups; a name may stand twice.
    Groups(Vec<(Name, RuleCollectionGroup)>),
}

impl FirewallPolicy {
    /// Its DNAT rules in the order in which they count.
    pub fn dnat(&self) -> Vec<&DnatRule> {
        let mut groups: Vec<_> = self.groups.iter().collect();
        groups.sort_by_key(|(name, group)| (group.priority, (*name).clone()));
        let mut rules = Vec::new();
        for (_, group) in groups {
            let mut collections: Vec<_> = group.nat.iter().collect();
            collections.sort_by_key(|collection| collection.priority);
            rules.extend(collections.into_iter().flat_map(|collection| &collection.rules));
        }
        rules
    }
}
