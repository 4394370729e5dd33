//! What a lock does to the rules around its port, as an answer.

use std::net::IpAddr;

use hourgate_core::{
    lock_facts::{Allow, LockFacts},
    nsg::lockdown::WhyAny,
};
use ipnet::IpNet;
use serde::{Deserialize, Serialize};

/// `{"id": "…"}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reference {
    /// The resource's id.
    pub id: String,
}

/// A locked port at one address.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LockShown {
    /// The address.
    pub address: IpAddr,
    /// The security group that its deny stands in.
    pub network_security_group: Reference,
    /// The deny's number there.
    pub priority: u16,
    /// Allows from any source that the lock closes.
    #[serde(default)]
    pub closes: Vec<AllowShown>,
    /// Standing exceptions: allows with a narrow source that stay in force.
    #[serde(default)]
    pub standing: Vec<AllowShown>,
    /// Allows with a narrow source that have no effect on the port, because they lie behind the deny.
    #[serde(default)]
    pub shadowed: Vec<AllowShown>,
    /// From where the port is reached without access, through every group.
    #[serde(default)]
    pub reachable: Vec<IpNet>,
    /// What of that was not listed when it was locked: a setting let somebody break the lock.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub exposed: Vec<IpNet>,
}

/// An allow rule that speaks of a locked port.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AllowShown {
    /// Its name.
    pub rule: String,
    /// Its number.
    pub priority: u16,
    /// Its sources.
    #[serde(default)]
    pub sources: Vec<String>,
    /// Why they count as any; absent where they are narrow.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
}

impl LockShown {
    /// As an answer; none where the deny has no place, because nothing is known of the network around it.
    pub fn of(facts: &LockFacts) -> Option<LockShown> {
        let (group, priority) = facts.deny.as_ref()?;
        let shown = |allows: &[Allow]| allows.iter().map(AllowShown::of).collect();
        Some(LockShown {
            address: facts.address,
            network_security_group: Reference { id: group.to_string() },
            priority: priority.number(),
            closes: shown(&facts.closes),
            standing: shown(&facts.standing),
            shadowed: shown(&facts.shadowed),
            reachable: facts.reachable.clone(),
            exposed: facts.exposed.clone(),
        })
    }
}

impl AllowShown {
    fn of(allow: &Allow) -> AllowShown {
        AllowShown {
            rule: allow.rule.to_string(),
            priority: allow.priority.number(),
            sources: allow.sources.clone(),
            why: allow.why.map(|why| match why {
                WhyAny::Star => "'*' is every source".to_owned(),
                WhyAny::Tag(tag) => format!("'{}' counts as any source", tag.as_str()),
                WhyAny::Short(prefix) => format!("{prefix} is too wide to name a place"),
                WhyAny::Covers(family) => format!("its prefixes together cover {family}"),
                WhyAny::Together(family) => {
                    format!("together with other rules it covers {family}")
                }
            }),
        }
    }
}
