//! What stands beside what a guard last saw of it, for answers. Intent and observation stay apart.

use std::{collections::BTreeMap, sync::Arc};

use hourgate_api::{
    jit::{Observed, ObservedState, ProvisioningState},
    time::UtcTime,
};
use hourgate_core::{
    grant::{Access, Request, Stage},
    id::{RequestId, VmId},
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

/// What guards say of an access now. What is on record says since when.
pub(crate) fn observed(access: &Access, vm: Option<&Vm>, view: &View) -> Observed {
    let record = Observed::of(access);
    let vm = vm.filter(|vm| vm.instance == access.instance);
    let settled = match &access.stage {
        Stage::Planned { .. } => true,
        Stage::Granted { .. } => false,
        Stage::Ended { .. } => record.state == ObservedState::Closed,
    };
    let Some(vm) = vm.filter(|_| !settled) else { return record };
    let mut open = None;
    for opening in access.openings(vm) {
        match view.sight(&opening) {
            Sight::Open { seen, .. } => open = Some(seen),
            Sight::Closed { seen } => {
                let (since, guard) = (Some(UtcTime(seen.at)), Some(seen.guard));
                return Observed { state: ObservedState::Closed, since, guard };
            }
            Sight::Unknown => {
                return Observed { state: ObservedState::Unknown, since: None, guard: None };
            }
        }
    }
    match open {
        None => record,
        Some(_) if record.state == ObservedState::Open => record,
        Some(seen) => Observed {
            state: ObservedState::Open,
            since: Some(UtcTime(seen.at)),
            guard: Some(seen.guard),
        },
    }
}
