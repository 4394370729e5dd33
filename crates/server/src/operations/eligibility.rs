//! Which machines can have just-in-time access, and what their policies were used for.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use hourgate_api::{eligibility::Used, time::UtcTime};
use hourgate_core::{
    command::Needs,
    eligible::{Eligibility, Standing, eligibility as of},
    grant::{Request, Stage},
    id::{Name, PolicyId, VmId},
    policy::Vm,
    role::{Action, Caller, Scope, may},
    time::{Timestamp, distance},
};
use hourgate_store::{PolicyFilter, Store, VmFilter};

use super::{
    Call, Problem, permit_within,
    sight::{missing_group, sees_member},
};
use crate::server::Server;

/// How far back requests are counted (Azure's portal counts as far).
const COUNTED: Duration = Duration::from_hours(7 * 24);

/// A machine, where it stands, and what its policies were used for.
pub(crate) struct Machine {
    pub(crate) vm: Vm,
    pub(crate) found: Eligibility,
    pub(crate) used: Option<Used>,
}

/// Machines of a group, or of all, behind one of them, in the order of ids; and whether there are more.
pub(crate) async fn eligibility<S: Store>(
    caller: &Caller,
    server: &Server<S>,
    call: &Call,
    group: Option<&Name>,
    (after, most): (Option<&VmId>, usize),
) -> Result<(Vec<Machine>, bool), Problem> {
    let scope = Scope::of(server.installation.subscription, group);
    permit_within(caller, server, call, Action::EligibilityRead, &scope).await?;
    let mut vms = server.store.vms(VmFilter { group: group.cloned(), name: None }).await?;
    if let Some(group) = group.filter(|_| vms.is_empty())
        && let Some(missing) = missing_group(caller, server, group).await?
    {
        return Err(missing);
    }
    vms.retain(|vm| {
        let at = Scope::from(&vm.id);
        may(caller, Action::EligibilityRead, &at) && may(caller, Action::VM_READ, &at)
    });
    vms.sort_by(|one, other| one.id.cmp(&other.id));
    vms.retain(|vm| after < Some(&vm.id));
    let more = vms.len() > most;
    vms.truncate(most);
    let needs = Needs { vms: vms.iter().map(|vm| vm.id.clone()).collect(), ..Needs::default() };
    let (state, settings) = (server.store.load(needs).await?, server.store.settings());
    let seen = |vm: &Vm| {
        let mut found = of(&state, &settings, vm);
        // That there is a policy is a fact about the machine; which one, and what came of it, is not.
        found.policies.retain(|policy| sees_member(caller, policy, &vm.id));
        found
    };
    let found: Vec<(&Vm, Eligibility)> = state.vms.values().map(|vm| (vm, seen(vm))).collect();
    let policies: BTreeSet<&PolicyId> = found.iter().flat_map(|(_, e)| &e.policies).collect();
    let mut used = BTreeMap::new();
    for policy in policies {
        let which = PolicyFilter { id: Some(policy.clone()), ..PolicyFilter::default() };
        for answer in server.store.policies(which).await? {
            count(&mut used, &answer.requests, server.now().wall);
        }
    }
    let machine = |(vm, found): (&Vm, Eligibility)| Machine {
        used: match found.standing {
            Standing::Configured if !found.policies.is_empty() => {
                Some(used.remove(&vm.id).unwrap_or_default())
            }
            Standing::Configured | Standing::NotConfigured | Standing::Unsupported => None,
        },
        vm: vm.clone(),
        found,
    };
    Ok((found.into_iter().map(machine).collect(), more))
}

/// Adds what requests were granted on each machine.
fn count(used: &mut BTreeMap<VmId, Used>, requests: &[Request], now: Timestamp) {
    for request in requests {
        let mut begun: BTreeMap<&VmId, Timestamp> = BTreeMap::new();
        for access in &request.accesses {
            let since = match &access.stage {
                Stage::Granted { since, .. } => Some(*since),
                Stage::Ended { since, .. } => *since,
                Stage::Planned { .. } => None,
            };
            if let Some(since) = since {
                let last = begun.entry(&access.vm).or_insert(since);
                *last = since.max(*last);
            }
        }
        for (vm, since) in begun {
            let used = used.entry(vm.clone()).or_default();
            if distance(since, now) <= COUNTED {
                used.approved_requests += 1;
            }
            if used.last_access_utc.as_ref().is_none_or(|last| last.0 <= since) {
                used.last_access_utc = Some(UtcTime(since));
                used.last_user = Some(request.requester.name.0.clone());
            }
        }
    }
}
