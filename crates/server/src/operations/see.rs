//! What stands beside what a guard last saw of it, for answers. Intent and observation stay apart.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use hourgate_api::jit::{BlockedBy, Observed, ObservedState, ProvisioningState, Reference};
use hourgate_core::{
    command::Needs,
    effect::Effects,
    event::AccessId,
    grant::{Access, Request, Seen, Stage},
    id::{RequestId, VmId},
    lock_facts::{self, LockFacts},
    network::{Opening, Port},
    nsg::takes_effect::Blocked,
    policy::{Member, Policy, Vm},
    resource::Network,
    role::Caller,
    state::access_id,
    time::Timestamp,
};
use hourgate_store::{PolicyAnswer, Store, StoreError};
use sha2::{Digest, Sha256};

use super::sight::sees_group;
use crate::{
    guards::{Sight, View},
    server::Server,
};

/// A policy with its requests, and how far it is carried out.
pub(crate) struct PolicySeen {
    /// The policy and its requests.
    pub(crate) answer: PolicyAnswer,
    /// Whether every lock was last reported by a guard that answers.
    pub(crate) state: ProvisioningState,
    /// The VMs it speaks of, as far as they are known.
    pub(crate) vms: Arc<BTreeMap<VmId, Vm>>,
    /// What its locks do to the rules around them; nothing in lists, where nobody reads it.
    pub(crate) locks: LocksSeen,
    /// The rules that drop its accesses.
    pub(crate) blocked: BlockedSeen,
}

/// What the locks of a VM's port do to the rules around them.
pub(crate) type LocksSeen = BTreeMap<(VmId, Port), Vec<LockFacts>>;

/// The rule that drops some of an access which runs.
pub(crate) type BlockedSeen = BTreeMap<AccessId, BlockedBy>;

/// The facts of every lock of a policy. Rules of a group can be a thousand, and VMs thousands: nobody else
/// waits for it.
pub(super) async fn locks(
    caller: &Caller,
    policy: &Policy,
    vms: &BTreeMap<VmId, Vm>,
    network: Arc<Network>,
) -> LocksSeen {
    let members = policy.members.iter();
    let members: Vec<(Member, Vm)> =
        members.filter_map(|(id, member)| Some((member.clone(), vms.get(id)?.clone()))).collect();
    let all = tokio::task::spawn_blocking(move || {
        let ports = members.iter().flat_map(|(member, vm)| {
            let network = &network;
            member.ports.iter().map(move |rule| {
                let facts = lock_facts::of_port(network, vm, member, rule);
                ((vm.id.clone(), rule.port), facts)
            })
        });
        ports.collect()
    });
    // Without them the answer is right, and says less.
    let mut all: LocksSeen = all.await.unwrap_or_default();
    // They name rules of the group that the deny stands in, and from where others let somebody in.
    let seen =
        |facts: &LockFacts| facts.deny.as_ref().is_none_or(|(group, _)| sees_group(caller, group));
    all.values_mut().for_each(|facts| facts.retain(seen));
    all
}

/// The rules that drop accesses of these requests which run; of a group that the caller may not see, that there
/// is one.
pub(super) async fn blocked<S: Store>(
    caller: &Caller,
    server: &Server<S>,
    requests: &[Request],
) -> Result<BlockedSeen, StoreError> {
    let runs = |access: &&Access| match access.stage {
        Stage::Granted { .. } => true,
        Stage::Planned { .. } | Stage::Ended { .. } => false,
    };
    let accesses = requests.iter().flat_map(|request| &request.accesses);
    let vms: BTreeSet<VmId> = accesses.filter(runs).map(|access| access.vm.clone()).collect();
    if vms.is_empty() {
        return Ok(BlockedSeen::new());
    }
    let state = server.store.load(Needs { vms, ..Needs::default() }).await?;
    let asked: BTreeSet<RequestId> = requests.iter().map(|request| request.id).collect();
    let caller = caller.clone();
    let found = tokio::task::spawn_blocking(move || {
        let mut effects = Effects::of(&state);
        let live = state.live().filter(|(request, _)| asked.contains(&request.id));
        let of = |(request, access): (&Request, &Access)| {
            let Blocked { group, rule, priority, .. } =
                effects.blocked(access).into_iter().next()?;
            let seen = sees_group(&caller, &group);
            let by = BlockedBy {
                network_security_group: seen.then(|| Reference { id: group.to_string() }),
                rule: seen.then(|| rule.to_string()),
                priority: seen.then(|| priority.number()),
            };
            Some((access_id(request, &access.vm, access.port), by))
        };
        live.filter_map(of).collect()
    });
    Ok(found.await.unwrap_or_default())
}

impl PolicySeen {
    pub(super) fn all(policies: Vec<PolicyAnswer>, vms: Vec<Vm>, view: &View) -> Vec<PolicySeen> {
        let vms: BTreeMap<VmId, Vm> = vms.into_iter().map(|vm| (vm.id.clone(), vm)).collect();
        let vms = Arc::new(vms);
        let seen = |answer: PolicyAnswer| PolicySeen {
            state: state(&answer.policy, &vms, view),
            vms: vms.clone(),
            locks: LocksSeen::new(),
            blocked: BlockedSeen::new(),
            answer,
        };
        policies.into_iter().map(seen).collect()
    }
}

/// A request with the VMs it speaks of, and the rules that drop its accesses.
pub(crate) struct RequestSeen {
    pub(crate) request: Request,
    pub(crate) vms: BTreeMap<VmId, Vm>,
    pub(crate) blocked: BlockedSeen,
}

/// A page of requests, the VMs they speak of, and where the next page begins.
pub(crate) struct RequestsSeen {
    pub(crate) requests: Vec<Request>,
    pub(crate) vms: BTreeMap<VmId, Vm>,
    pub(crate) blocked: BlockedSeen,
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
