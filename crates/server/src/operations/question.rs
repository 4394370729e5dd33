//! What is asked of the rules that hold: those of an interface, and whether a flow of a machine would pass.

use std::collections::{BTreeMap, BTreeSet};

use hourgate_api::{
    effective::{EffectiveGroupSeen, qualified},
    error::{ArmError, Code},
    watcher::{FlowAnswer, FlowQuestion, WatcherId},
};
use hourgate_core::{
    id::{Location, Name},
    jit_rules::{self, JitRule},
    nsg::{effective::effective, id::GroupId, judge::Layer, word::Direction},
    policy::Vm,
    resource::{Network, ResourceId},
    role::{Action, Caller, Scope, may},
    verify::{LastWord, verify},
};
use hourgate_store::{Store, StoreError, VmFilter};

use super::{
    Call, Problem,
    machine::machine,
    permit, permit_within,
    policy::permit_linked,
    resource::{jit_rules, network, not_found},
    sight::{missing_group, sees, sees_group, sees_member},
};
use crate::server::Server;

/// The rules that hold for an interface, as far as the caller may read them: the subnets' groups first.
pub(crate) async fn effective_groups<S: Store>(
    caller: &Caller,
    server: &Server<S>,
    call: &Call,
    id: &ResourceId,
) -> Result<Vec<EffectiveGroupSeen>, Problem> {
    permit(caller, server, call, Action::EffectiveGroups, &Scope::from(id)).await?;
    let network = network(server).await?;
    let Some(nic) = network.get(id) else {
        let missing = missing_group(caller, server, &id.group).await?;
        return Err(missing.unwrap_or_else(|| not_found(id)));
    };
    let configurations = nic.network_interface().map(|view| view.configurations.as_slice());
    let may_read = |group: &GroupId| sees_group(caller, group);
    let jit = jit_rules_before(server, &network, id).await?;
    let (mut of_subnets, mut of_nic) = (Vec::new(), Vec::new());
    let mut subnets = BTreeSet::new();
    for configuration in configurations.unwrap_or_default() {
        let Some((layers, around)) = network.layers(id, &configuration.name) else { continue };
        let subnet = configuration.subnet.as_ref();
        for group in effective(layers, &around) {
            let rules = jit.get(group.group).into_iter().flatten();
            let group = group.with(rules.map(|jit| &jit.rule));
            let seen = || EffectiveGroupSeen::of(&group, &nic.id, subnet, may_read);
            match group.layer {
                Layer::Subnet if subnets.insert(subnet) => of_subnets.push(seen()),
                // One group stands before all addresses of the interface.
                Layer::Nic if of_nic.is_empty() => of_nic.push(seen()),
                Layer::Subnet | Layer::Nic => {}
            }
        }
    }
    of_subnets.extend(of_nic);
    Ok(of_subnets)
}

/// The rules that JIT has in the groups before an interface.
async fn jit_rules_before<S: Store>(
    server: &Server<S>,
    network: &Network,
    nic: &ResourceId,
) -> Result<BTreeMap<GroupId, Vec<JitRule>>, Problem> {
    let view = network.get(nic).and_then(|nic| nic.network_interface());
    let configurations = view.into_iter().flat_map(|view| &view.configurations);
    let mut found = BTreeMap::new();
    for configuration in configurations {
        let Some((layers, _)) = network.layers(nic, &configuration.name) else { continue };
        for (_, group) in layers.in_order(Direction::Inbound) {
            let group = group.id();
            if !found.contains_key(group) {
                found.insert(group.clone(), jit_rules(server, &ResourceId::from(group)).await?);
            }
        }
    }
    Ok(found)
}

/// The network watchers: one for each location in which there is anything.
pub(crate) async fn watchers<S: Store>(
    caller: &Caller,
    server: &Server<S>,
    call: &Call,
    group: Option<&Name>,
) -> Result<Vec<(WatcherId, Location)>, Problem> {
    let scope = Scope::of(server.installation.subscription, group);
    permit_within(caller, server, call, Action::WatcherRead, &scope).await?;
    let mut all = every_watcher(server).await?;
    all.retain(|(id, _)| {
        group.is_none_or(|group| id.group == *group)
            && may(caller, Action::WatcherRead, &id.scope())
    });
    Ok(all)
}

/// One network watcher.
pub(crate) async fn watcher<S: Store>(
    caller: &Caller,
    server: &Server<S>,
    call: &Call,
    id: &WatcherId,
) -> Result<(WatcherId, Location), Problem> {
    permit(caller, server, call, Action::WatcherRead, &id.scope()).await?;
    find_watcher(server, id).await
}

/// Whether a flow of a machine would pass now, and who has the last word, as far as the caller may read it.
pub(crate) async fn verify_flow<S: Store>(
    caller: &Caller,
    server: &Server<S>,
    call: &Call,
    (watcher, question): (&WatcherId, &FlowQuestion),
) -> Result<FlowAnswer, Problem> {
    permit(caller, server, call, Action::VerifyFlow, &watcher.scope()).await?;
    let linked = (Action::VerifyFlow, Action::VM_READ);
    permit_linked(caller, server, call, linked, std::iter::once(&question.vm)).await?;
    let (_, location) = find_watcher(server, watcher).await?;
    let (state, vm) = machine(server, &question.vm).await?;
    if vm.location != location {
        let message = format!(
            "'{}' is in '{}', and this network watcher watches '{location}'. Ask '{}'.",
            vm.id,
            vm.location,
            WatcherId::of(watcher.subscription, &vm.location)
                .map_or_else(|| vm.location.to_string(), |id| id.name.to_string()),
        );
        return Err(unreadable("targetResourceId", message));
    }
    has_address(caller, &state.network, &vm, question)?;
    let flow = question.flow().ok_or_else(|| {
        let message = "The two ends of a flow are of one family.".to_owned();
        unreadable("remoteIPAddress", message)
    })?;
    let verified = verify(&state, &vm.id, question.direction, &flow, server.now());
    let rule_name = verified.by.and_then(|by| match by {
        LastWord::Rule { group, rule } => sees_group(caller, group).then(|| qualified(rule)),
        LastWord::Jit(policy) => {
            let met = jit_rules::met(&state, &flow, server.now());
            if let Some((group, jit)) = met {
                return sees_group(caller, &group).then(|| qualified(&jit.rule));
            }
            sees_member(caller, policy, &vm.id)
                .then(|| format!("jitNetworkAccessPolicies/{}", policy.name))
        }
    });
    Ok(FlowAnswer { access: verified.access, rule_name })
}

/// Whether the local address is the machine's, and where an interface is named, that one's.
fn has_address(
    caller: &Caller,
    network: &Network,
    vm: &Vm,
    question: &FlowQuestion,
) -> Result<(), Problem> {
    let listed = |addresses: &[std::net::IpAddr]| {
        addresses.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
    };
    let local = question.local.address;
    if !vm.addresses.contains(&local) {
        let message =
            format!("'{local}' is no address of '{}'; it has {}.", vm.id, listed(&vm.addresses));
        return Err(unreadable("localIPAddress", message));
    }
    let Some(id) = &question.nic else { return Ok(()) };
    let nic = network.get(id).filter(|_| sees(caller, id));
    let Some(nic) = nic.and_then(|nic| nic.network_interface()) else {
        return Err(not_found(id));
    };
    let has: Vec<_> = nic.configurations.iter().map(|its| its.address).collect();
    if !has.iter().any(|address| vm.addresses.contains(address)) {
        let message = format!("'{id}' is no network interface of '{}'.", vm.id);
        return Err(unreadable("targetNicResourceId", message));
    }
    if !has.contains(&local) {
        let message = format!("'{local}' is no address of '{id}'; it has {}.", listed(&has));
        return Err(unreadable("localIPAddress", message));
    }
    Ok(())
}

async fn find_watcher<S: Store>(
    server: &Server<S>,
    id: &WatcherId,
) -> Result<(WatcherId, Location), Problem> {
    let all = every_watcher(server).await?;
    let found = all.into_iter().find(|(known, _)| known == id);
    found.ok_or_else(|| Problem::NoWatcher(id.clone()))
}

/// Nobody makes a watcher: there is one wherever there is something to watch.
async fn every_watcher<S: Store>(
    server: &Server<S>,
) -> Result<Vec<(WatcherId, Location)>, StoreError> {
    let vms = server.store.vms(VmFilter::default()).await?;
    let mut locations: BTreeSet<Location> = vms.into_iter().map(|vm| vm.location).collect();
    locations.extend(network(server).await?.all().map(|resource| resource.location.clone()));
    let subscription = server.installation.subscription;
    let watcher = |location: Location| Some((WatcherId::of(subscription, &location)?, location));
    Ok(locations.into_iter().filter_map(watcher).collect())
}

fn unreadable(at: &str, message: String) -> Problem {
    Problem::Unreadable(ArmError::new(Code::InvalidParameter, message).at(at))
}
