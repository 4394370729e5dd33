//! What stands beside what a guard last saw of it, for answers. Intent and observation stay apart.

use std::{collections::BTreeMap, sync::Arc};

use hourgate_api::jit::{Observed, ObservedState, ProvisioningState};
use hourgate_core::{
    grant::{Access, Request, Seen, Stage},
    id::{RequestId, VmId},
    network::Opening,
    policy::{Policy, Vm},
    time::Timestamp,
};
use hourgate_store::PolicyAnswer;
use sha2::{Digest, Sha256};

use crate::guards::{Sight, View};

/// A policy with its requests, and how far it is carried out.
pub(crate) struct PolicySeen {
    /// The policy and its requests.
    pub(crate) answer: PolicyAnswer,
    /// Whether every lock was last reported by a guard that answers.
    pub(crate) state: ProvisioningState,
    /// The VMs it speaks of, as far as they are known.
    pub(crate) vms: Arc<BTreeMap<VmId, Vm>>,
}

impl PolicySeen {
    pub(super) fn all(policies: Vec<PolicyAnswer>, vms: Vec<Vm>, view: &View) -> Vec<PolicySeen> {
        let vms: BTreeMap<VmId, Vm> = vms.into_iter().map(|vm| (vm.id.clone(), vm)).collect();
        let vms = Arc::new(vms);
        let seen = |answer: PolicyAnswer| PolicySeen {
            state: state(&answer.policy, &vms, view),
            vms: vms.clone(),
            answer,
        };
        policies.into_iter().map(seen).collect()
    }
}

/// A page of requests, the VMs they speak of, and where the next page begins.
pub(crate) struct RequestsSeen {
    pub(crate) requests: Vec<Request>,
    pub(crate) vms: BTreeMap<VmId, Vm>,
    pub(crate) next: Option<(Timestamp, RequestId)>,
}

/// Every lock of the policy was last reported as it must be, or not.
fn state(policy: &Policy, vms: &BTreeMap<VmId, Vm>, view: &View) -> ProvisioningState {
    let locked = |(id, member): (&VmId, &hourgate_core::policy::Member)| {
        let Some(vm) = vms.get(id).filter(|vm| vm.instance == member.instance) else {
            return false;
        };
        member.locks(vm).all(|(lock, sessions)| {
            view.locked(lock).is_some_and(|(observed, _)| observed == sessions)
        })
    };
    if policy.members.iter().all(locked) {
        ProvisioningState::Succeeded
    } else {
        ProvisioningState::Updating
    }
}

/// The ETag of a request: changes with everything that is recorded of it.
pub(crate) fn request_tag(request: &Request) -> String {
    // A request is made of texts and numbers, so it can always be written; if not, every tag is stale.
    let digest = Sha256::digest(serde_json::to_vec(request).unwrap_or_default());
    format!("W/\"{}\"", hex::encode(&digest[..12]))
}

/// What guards say of an access now, beside what is on record. Since when is what was recorded: a report
/// says how it is, not since when.
pub(crate) fn observed(
    request: RequestId,
    access: &Access,
    vm: Option<&Vm>,
    view: &View,
    now: Timestamp,
) -> Observed {
    let record = Observed::of(access);
    let Some(vm) = vm.filter(|vm| vm.instance == access.instance) else { return record };
    match &access.stage {
        Stage::Planned { .. } => record,
        Stage::Granted { .. } => of_granted(access, vm, view, record),
        Stage::Ended { .. } if record.state == ObservedState::Closed => record,
        Stage::Ended { until, .. } => of_ended((request, access), vm, view, record, *until, now),
    }
}

/// Open only if it is on all addresses, and that was recorded: so it never says more than the status.
fn of_granted(access: &Access, vm: &Vm, view: &View, record: Observed) -> Observed {
    for opening in access.openings(vm) {
        match view.sight(&opening) {
            Sight::Open { .. } => {}
            Sight::Closed { seen } => return closed(seen),
            Sight::Unknown => return UNKNOWN,
        }
    }
    record
}

/// Closed only if it is on all addresses. What somebody else's access keeps open is theirs. Where no guard
/// answers, one that was seen open is open, until the end at which the kernel closes it: to say less would
/// hide an open port.
fn of_ended(
    (request, access): (RequestId, &Access),
    vm: &Vm,
    view: &View,
    record: Observed,
    until: Option<Timestamp>,
    now: Timestamp,
) -> Observed {
    let theirs = |opening: &Opening, until: Timestamp| {
        view.wanted_by_others(opening, request).is_some_and(|theirs| theirs.wall >= until)
    };
    let was_open = record.state == ObservedState::Open;
    let mut last = None;
    let mut is_known = true;
    for opening in access.openings(vm) {
        match view.sight(&opening) {
            Sight::Open { until, seen } if theirs(&opening, until.wall) => last = Some(seen),
            Sight::Open { .. } if was_open => return record,
            Sight::Open { seen, .. } => {
                let guard = Some(seen.guard);
                return Observed { state: ObservedState::Open, since: None, guard };
            }
            Sight::Closed { seen } => last = Some(seen),
            Sight::Unknown => {
                let may_stand = until.filter(|until| *until > now);
                if was_open && may_stand.is_some_and(|until| !theirs(&opening, until)) {
                    return record;
                }
                is_known = false;
            }
        }
    }
    match last {
        Some(seen) if is_known => closed(seen),
        Some(_) | None if !is_known => UNKNOWN,
        Some(_) | None => record,
    }
}

const UNKNOWN: Observed = Observed { state: ObservedState::Unknown, since: None, guard: None };

fn closed(seen: Seen) -> Observed {
    Observed { state: ObservedState::Closed, since: None, guard: Some(seen.guard) }
}
