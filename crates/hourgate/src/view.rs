//! The server's resources as the command reads them. They are shown as they came, so that what a newer
//! server adds is seen; here is only what a command decides by.

use std::net::IpAddr;

use hourgate_api::{
    guards::GuardResource,
    jit::{
        ObservedState, PolicyPort, PolicyResource, PolicyVm, ProvisioningState, RequestPort,
        RequestResource, Status, StatusReason,
    },
};
use hourgate_core::{
    id::{Location, RequestId, VmId},
    network::{Family, Port},
    policy::Os,
};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::Value;

use crate::exit::{Exit, Failure};

/// A machine.
#[derive(Clone, Debug)]
pub(crate) struct Vm {
    /// Its resource id.
    pub(crate) id: VmId,
    /// Where it is.
    pub(crate) location: Location,
    /// What it runs.
    pub(crate) os: Os,
    /// Its private addresses.
    pub(crate) addresses: Vec<IpAddr>,
}

#[derive(Deserialize)]
struct VmBody {
    id: VmId,
    location: Location,
    properties: VmProperties,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct VmProperties {
    #[serde(default)]
    private_addresses: Vec<IpAddr>,
    os_type: Option<String>,
}

impl Vm {
    /// Reads one.
    pub(crate) fn of(value: &Value) -> Result<Vm, Failure> {
        let VmBody { id, location, properties } = read(value, "a VM")?;
        let os = match properties.os_type.as_deref().map(str::to_ascii_lowercase).as_deref() {
            Some("linux") => Os::Linux,
            Some("windows") => Os::Windows,
            Some(_) | None => Os::Unknown,
        };
        Ok(Vm { id, location, os, addresses: properties.private_addresses })
    }

    /// The families it has addresses of.
    pub(crate) fn has(&self, family: Family) -> bool {
        self.addresses.iter().any(|address| Family::of(*address) == family)
    }
}

/// The default ports of a machine (product P1).
pub(crate) fn default_ports(os: Os) -> Vec<Port> {
    let numbers: &[u16] = match os {
        Os::Linux => &[22],
        Os::Windows => &[3389],
        Os::Unknown => &[22, 3389],
    };
    numbers.iter().filter_map(|number| Port::new(*number)).collect()
}

/// Reads a policy.
pub(crate) fn policy(value: &Value) -> Result<PolicyResource, Failure> {
    read(value, "a policy")
}

/// Whether every lock of a policy was observed.
pub(crate) fn is_observed(policy: &PolicyResource) -> bool {
    match policy.properties.provisioning_state {
        ProvisioningState::Succeeded => true,
        ProvisioningState::Updating | ProvisioningState::Failed => false,
    }
}

/// The machine in a policy.
pub(crate) fn member<'a>(policy: &'a PolicyResource, vm: &VmId) -> Option<&'a PolicyVm> {
    policy.properties.virtual_machines.iter().find(|member| member.id == *vm)
}

/// From where a rule allows access.
pub(crate) fn allowed(rule: &PolicyPort) -> String {
    let one = rule.allowed_source_address_prefix.clone();
    let list = rule.allowed_source_address_prefixes.as_ref();
    any(&one.or_else(|| list.map(|list| list.join(", "))).unwrap_or_default())
}

/// Reads a guard.
pub(crate) fn guard(value: &Value) -> Result<GuardResource, Failure> {
    read(value, "a guard")
}

/// Reads a request.
pub(crate) fn request(value: &Value) -> Result<RequestResource, Failure> {
    read(value, "a request")
}

/// A request's id, which every server of ours gives.
pub(crate) fn id_of(request: &RequestResource) -> Result<RequestId, Failure> {
    request.id.ok_or_else(|| not_understood("a request without an id"))
}

/// Who asked, as they are called.
pub(crate) fn person(request: &RequestResource) -> String {
    match &request.requested_by {
        Some(by) => by.name.clone(),
        None => request.requestor.clone(),
    }
}

/// From where an access is.
pub(crate) fn source(access: &RequestPort) -> String {
    any(access.allowed_source_address_prefix.as_deref().unwrap_or_default())
}

/// Whether an access is over.
pub(crate) fn is_over(access: &RequestPort) -> bool {
    access.status == Status::Revoked
}

/// Whether an access begins later.
pub(crate) fn is_planned(access: &RequestPort) -> bool {
    !is_over(access) && access.status_reason == StatusReason::Planned
}

/// Whether a guard reports that traffic is let through.
pub(crate) fn is_seen_open(access: &RequestPort) -> bool {
    access.observed.as_ref().is_some_and(|seen| seen.state == ObservedState::Open)
}

/// Whether an access matters right now: it runs, or is over and not seen closed since it was seen open.
pub(crate) fn is_current(access: &RequestPort) -> bool {
    if is_over(access) { is_seen_open(access) } else { !is_planned(access) }
}

/// How far an access has come, in words. What was granted and what was seen are two things.
pub(crate) fn state(access: &RequestPort) -> String {
    if let Some(by) = access.blocked_by.as_ref().filter(|_| !is_over(access)) {
        let (Some(group), Some(rule), Some(priority)) =
            (&by.network_security_group, &by.rule, by.priority)
        else {
            return "BLOCKED by a rule of a security group that you may not see".to_owned();
        };
        let group = group.id.rsplit('/').next().unwrap_or_default();
        return format!("BLOCKED by rule {rule} ({priority}) of {group}");
    }
    let seen = access.observed.as_ref().map_or(ObservedState::Unknown, |seen| seen.state);
    let state = match (access.status, access.status_reason, seen) {
        (Status::Initiating, StatusReason::Planned, _) => "planned",
        (Status::Initiating, StatusReason::PendingApproval, _) => "waits for approval",
        (Status::Initiating, _, ObservedState::Open) => "open",
        (Status::Initiating, _, ObservedState::Closed | ObservedState::Unknown) => "opening",
        (Status::Initiated, _, ObservedState::Open) => "open",
        (Status::Initiated, _, ObservedState::Closed) => "granted, but seen closed",
        (Status::Initiated, _, ObservedState::Unknown) => "granted, guard not reached",
        (Status::Revoked, reason, seen) => {
            let ended = ended(reason);
            return match (seen, &access.status_detail) {
                (ObservedState::Open, _) => format!("{ended}, BUT NOT YET SEEN CLOSED"),
                // The detail says so itself: "replaced by xf85aa".
                (ObservedState::Closed | ObservedState::Unknown, Some(why))
                    if why.starts_with(ended) =>
                {
                    why.clone()
                }
                (ObservedState::Closed | ObservedState::Unknown, Some(why)) => {
                    format!("{ended}: {why}")
                }
                (ObservedState::Closed | ObservedState::Unknown, None) => ended.to_owned(),
            };
        }
    };
    state.to_owned()
}

fn ended(reason: StatusReason) -> &'static str {
    match reason {
        StatusReason::Expired => "expired",
        StatusReason::UserRequested => "ended early",
        StatusReason::NewerRequestInitiated => "replaced",
        StatusReason::Denied => "denied",
        StatusReason::Lapsed => "lapsed",
        StatusReason::Failed => "failed",
        StatusReason::PolicyChanged => "withdrawn by the policy",
        StatusReason::RightLost => "withdrawn: may no longer have it",
        StatusReason::PendingApproval | StatusReason::Planned | StatusReason::Unknown => "ended",
    }
}

fn any(source: &str) -> String {
    if source == "*" { "Any".to_owned() } else { source.to_owned() }
}

/// A value as a person reads it: strings bare, lists with commas.
pub(crate) fn plain(value: &Value) -> String {
    let joined = |values: &mut dyn Iterator<Item = &Value>, between: &str| {
        values.map(plain).filter(|text| !text.is_empty()).collect::<Vec<_>>().join(between)
    };
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        Value::Array(items) => joined(&mut items.iter(), ", "),
        Value::Object(fields) => joined(&mut fields.values(), " "),
        Value::Bool(_) | Value::Number(_) => value.to_string(),
    }
}

fn read<T: DeserializeOwned>(value: &Value, what: &str) -> Result<T, Failure> {
    T::deserialize(value).map_err(|error| not_understood(&format!("{what}: {error}")))
}

/// An answer that no server of this version gives.
pub(crate) fn not_understood(what: &str) -> Failure {
    Failure::new(Exit::Refused, format!("The server's answer is not understood: {what}."))
        .advise("Are the command and the server of the same version? `hourgate --version`")
}
