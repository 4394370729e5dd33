//! The bodies that our own clients send.

use std::net::IpAddr;

use hourgate_core::id::VmId;
use serde::{Deserialize, Serialize};

use super::{PolicyResource, PolicyVm};
use crate::time::{IsoDuration, UtcTime};

/// The body of a policy's PUT.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PolicyBody {
    /// Azure's `kind`; `Basic` in practice.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// What it shall say.
    pub properties: PolicyBodyProperties,
}

/// What a policy shall say.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PolicyBodyProperties {
    /// Its VMs, all of them.
    pub virtual_machines: Vec<PolicyVm>,
}

impl From<PolicyResource> for PolicyBody {
    /// A policy as it was read, to be changed and sent back.
    fn from(policy: PolicyResource) -> PolicyBody {
        let virtual_machines = policy.properties.virtual_machines;
        PolicyBody { kind: policy.kind, properties: PolicyBodyProperties { virtual_machines } }
    }
}

/// The body of `initiate`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct InitiateBody {
    /// What is asked for.
    pub virtual_machines: Vec<InitiateVm>,
    /// Why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub justification: Option<String>,
    /// Ours: the ticket.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ticket: Option<String>,
    /// Ours: when it shall begin.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start_time_utc: Option<UtcTime>,
}

/// A VM that is asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InitiateVm {
    /// Its resource id.
    pub id: VmId,
    /// Its ports that are asked for.
    pub ports: Vec<InitiatePort>,
    /// Ours: only these of its addresses; all without.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub addresses: Option<Vec<IpAddr>>,
}

/// A port that is asked for. For how long: `duration` or `end_time_utc`, not both; the policy's longest
/// without either.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct InitiatePort {
    /// Which.
    pub number: u16,
    /// For how long, from when it is granted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duration: Option<IsoDuration>,
    /// Until when.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end_time_utc: Option<UtcTime>,
    /// From where; the caller's own address where not said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub allowed_source_address_prefix: Option<String>,
}
