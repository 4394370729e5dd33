//! A request as an answer: what was asked, what became of it, and what a guard sees of it.

use std::net::IpAddr;

use hourgate_core::{
    gateway::{Carrier, Place, reached_at},
    grant::{Access, EndReason, Request, Stage, Window},
    id::{PolicyId, RequestId, VmId},
    lock_facts::LockFacts,
    network::Port,
    policy::Vm,
    resource::Network,
    time::{Timestamp, later},
};
use serde::{Deserialize, Serialize};

use super::Reference;
use crate::time::UtcTime;

/// A request. Azure's keys first; ours are there in every answer of ours, and absent in Azure's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RequestResource {
    /// What was asked for.
    pub virtual_machines: Vec<RequestVm>,
    /// When it began, or begins; when it was asked, if it never did.
    pub start_time_utc: UtcTime,
    /// The sign-in name of who asked; empty for a service.
    pub requestor: String,
    /// Why, as they said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub justification: Option<String>,
    /// Ours: its id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<RequestId>,
    /// Ours: the policy it was asked of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy_id: Option<PolicyId>,
    /// Ours: who asked, whatever they are called today.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requested_by: Option<RequestedBy>,
    /// Ours: their ticket.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ticket: Option<String>,
}

/// Who asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RequestedBy {
    /// Their object id.
    pub id: String,
    /// What they were called when they asked.
    pub name: String,
}

/// A VM of a request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RequestVm {
    /// Its resource id.
    pub id: VmId,
    /// Its ports that were asked for.
    pub ports: Vec<RequestPort>,
    /// Ours: its addresses that were asked for, where not all were.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub addresses: Option<Vec<IpAddr>>,
}

/// A port of a request. Azure's keys first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RequestPort {
    /// Which.
    pub number: u16,
    /// From where.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub allowed_source_address_prefix: Option<String>,
    /// When it ends, or ended.
    pub end_time_utc: UtcTime,
    /// How far it has come.
    pub status: Status,
    /// Why.
    pub status_reason: StatusReason,
    /// The port of a firewall's public address that leads to it, where one stands in front.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mapped_port: Option<u16>,
    /// Ours: more about why, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status_detail: Option<String>,
    /// Ours: what a guard last said of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed: Option<Observed>,
    /// Ours: what to connect to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connect: Option<Connect>,
    /// Ours: the rule of a security group that drops some of it since it was granted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub blocked_by: Option<BlockedBy>,
}

/// A rule that drops some of what a running access is for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BlockedBy {
    /// The security group that it is in; null where the caller may not read that, and then nothing of it is told.
    pub network_security_group: Option<Reference>,
    /// Its name; it may be a default rule's.
    pub rule: Option<String>,
    /// Its number.
    pub priority: Option<u16>,
}

/// How far an access has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Status {
    /// Durable, not yet observed open.
    Initiating,
    /// Observed open, and never back.
    Initiated,
    /// Over.
    Revoked,
}

/// Why an access has its status.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum StatusReason {
    /// Somebody asked, or ended it.
    UserRequested,
    /// It waits for approval.
    PendingApproval,
    /// It begins later.
    Planned,
    /// Its time was over.
    Expired,
    /// A newer request of the same person took its place.
    NewerRequestInitiated,
    /// Approval was refused.
    Denied,
    /// It was to begin, and its time had passed before that was possible.
    Lapsed,
    /// It could not be opened.
    Failed,
    /// The policy no longer covers it.
    PolicyChanged,
    /// Who has it was disabled, or may no longer ask for it.
    RightLost,
    /// One that this version does not know; only ever read.
    #[serde(other)]
    Unknown,
}

/// What a guard last said of an access. Never the same field as what was granted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Observed {
    /// What.
    pub state: ObservedState,
    /// Since when; absent where it is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<UtcTime>,
    /// Which guard; absent where none spoke.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub guard: Option<String>,
}

/// Whether traffic is let through.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ObservedState {
    /// It is.
    Open,
    /// It is not.
    Closed,
    /// No guard has said, or the last word is too old.
    Unknown,
}

/// What to connect to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Connect {
    /// The address.
    pub address: IpAddr,
    /// The port.
    pub port: u16,
}

/// What an answer needs to know besides the request itself.
#[derive(Clone, Copy)]
pub struct View<'a> {
    /// A VM, if it is still known.
    pub vm: &'a dyn Fn(&VmId) -> Option<Vm>,
    /// What a guard last said of an access of a request; [`Observed::of`] tells what is on record of it.
    pub observed: &'a dyn Fn(RequestId, &Access) -> Observed,
    /// The rule that drops some of an access which runs.
    pub blocked: &'a dyn Fn(RequestId, &Access) -> Option<BlockedBy>,
    /// What the locks of a VM's port do to the rules around them; nothing where that is not asked.
    pub locks: &'a dyn Fn(&VmId, Port) -> Vec<LockFacts>,
    /// The network in which the VMs are.
    pub network: &'a Network,
}

impl RequestResource {
    /// A request as it stands.
    pub fn new(request: &Request, view: &View<'_>) -> RequestResource {
        let mut vms: Vec<RequestVm> = Vec::new();
        for access in &request.accesses {
            let port = port(request.id, access, view);
            let addresses: Option<Vec<IpAddr>> =
                access.addresses.as_ref().map(|only| only.iter().copied().collect());
            match vms.iter_mut().find(|vm| vm.id == access.vm && vm.addresses == addresses) {
                Some(vm) => vm.ports.push(port),
                None => {
                    vms.push(RequestVm { id: access.vm.clone(), ports: vec![port], addresses });
                }
            }
        }
        let by = &request.requester;
        RequestResource {
            virtual_machines: vms,
            start_time_utc: UtcTime(start_of(request)),
            requestor: by.upn.as_ref().map(|upn| upn.0.clone()).unwrap_or_default(),
            justification: request.justification.as_ref().map(|text| text.0.clone()),
            id: Some(request.id),
            policy_id: Some(request.policy.clone()),
            requested_by: Some(RequestedBy { id: by.id.0.clone(), name: by.name.0.clone() }),
            ticket: request.ticket.as_ref().map(|text| text.0.clone()),
        }
    }

    /// Its ports with their VMs.
    pub fn ports(&self) -> impl Iterator<Item = (&VmId, &RequestPort)> {
        self.virtual_machines.iter().flat_map(|vm| vm.ports.iter().map(move |port| (&vm.id, port)))
    }

    /// Azure's part of it alone.
    #[must_use]
    pub fn without_ours(mut self) -> RequestResource {
        let virtual_machines = &mut self.virtual_machines;
        virtual_machines.iter_mut().for_each(|vm| vm.addresses = None);
        for port in virtual_machines.iter_mut().flat_map(|vm| vm.ports.iter_mut()) {
            (port.status_detail, port.observed, port.connect) = (None, None, None);
            port.blocked_by = None;
        }
        RequestResource { id: None, policy_id: None, requested_by: None, ticket: None, ..self }
    }
}

fn port(request: RequestId, access: &Access, view: &View<'_>) -> RequestPort {
    let (status, status_reason, status_detail) = status_of(&access.stage);
    RequestPort {
        number: access.port.number(),
        allowed_source_address_prefix: Some(access.source.to_string()),
        end_time_utc: UtcTime(end_of(access)),
        status,
        status_reason,
        mapped_port: access.mapped().first().map(|mapped| mapped.at.port.number()),
        status_detail,
        observed: Some((view.observed)(request, access)),
        connect: connect(access, view),
        blocked_by: (view.blocked)(request, access),
    }
}

/// Where a VM's first address that was asked for, of the family that the source comes from, is reached: through a firewall, at a public
/// address of its own, through a load balancer, or as it is. None where the VM is gone or is not the one that the
/// access was given for.
fn connect(access: &Access, view: &View<'_>) -> Option<Connect> {
    let vm = (view.vm)(&access.vm).filter(|vm| vm.instance == access.instance)?;
    let families = access.source.families();
    let asked =
        |address: &IpAddr| access.addresses.as_ref().is_none_or(|only| only.contains(address));
    let address = families.into_iter().find_map(|family| vm.addresses_of(family).find(asked))?;
    let to = Place { address, port: access.port };
    let mapped = access.mapped().iter().find(|mapped| mapped.to == to).map(|mapped| mapped.at);
    let at = mapped.unwrap_or_else(|| reached_at(view.network, to, Carrier::Tcp));
    Some(Connect { address: at.address, port: at.port.number() })
}

/// When a request began, or begins; when it was asked, if it never did.
pub fn start_of(request: &Request) -> Timestamp {
    let starts = request.accesses.iter().filter_map(|access| match access.stage {
        Stage::Planned { start } => Some(start),
        Stage::Granted { since, .. } => Some(since),
        Stage::Ended { since, .. } => since,
    });
    starts.min().unwrap_or(request.created)
}

/// When an access ends, or ended.
pub fn end_of(access: &Access) -> Timestamp {
    match &access.stage {
        Stage::Planned { start } => match access.window {
            Window::Until(end) => end,
            Window::For(length) => later(*start, length),
        },
        Stage::Granted { until, .. } => until.wall,
        // Its guard closed it at the end, whenever that was written down.
        Stage::Ended { until: Some(until), reason: EndReason::Expired, .. } => *until,
        Stage::Ended { until: Some(until), at, .. } => *until.min(at),
        Stage::Ended { until: None, at, .. } => *at,
    }
}

/// A stage on the wire, and more about why, for people.
pub fn status_of(stage: &Stage) -> (Status, StatusReason, Option<String>) {
    match stage {
        Stage::Planned { .. } => (Status::Initiating, StatusReason::Planned, None),
        Stage::Granted { opened: None, .. } => {
            (Status::Initiating, StatusReason::UserRequested, None)
        }
        Stage::Granted { opened: Some(_), .. } => {
            (Status::Initiated, StatusReason::UserRequested, None)
        }
        Stage::Ended { reason, .. } => {
            let (reason, detail) = match reason {
                EndReason::Expired => (StatusReason::Expired, None),
                EndReason::UserRequested => (StatusReason::UserRequested, None),
                EndReason::Replaced { by } => {
                    (StatusReason::NewerRequestInitiated, Some(format!("replaced by {by}")))
                }
                EndReason::PolicyChanged => (StatusReason::PolicyChanged, None),
                EndReason::RightLost => (StatusReason::RightLost, None),
                EndReason::Lapsed => (StatusReason::Lapsed, None),
                EndReason::Failed { why } => (StatusReason::Failed, Some(why.clone())),
            };
            (Status::Revoked, reason, detail)
        }
    }
}

impl Observed {
    /// What is on record of an access: a guard's last word on it, however long ago it came. A server that
    /// cannot reach the guard says [`ObservedState::Unknown`] instead.
    pub fn of(access: &Access) -> Observed {
        let (state, seen) = match &access.stage {
            Stage::Granted { opened: Some(seen), .. } => (ObservedState::Open, Some(seen)),
            Stage::Ended { closed: Some(seen), .. } => (ObservedState::Closed, Some(seen)),
            // Ended, and a guard has not said yet that it is closed.
            Stage::Ended { opened: Some(seen), closed: None, .. } => {
                (ObservedState::Open, Some(seen))
            }
            Stage::Planned { .. }
            | Stage::Granted { opened: None, .. }
            | Stage::Ended { opened: None, closed: None, .. } => (ObservedState::Unknown, None),
        };
        Observed {
            state,
            since: seen.map(|seen| UtcTime(seen.at)),
            guard: seen.map(|seen| seen.guard.clone()),
        }
    }
}
