//! What a machine's guard sees of it, and whose rules may stand in the way: asked of the guard itself.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
};

use hourgate_api::outlook::{OutlookSeen, Outlooks, Question};
use hourgate_core::{
    network::Port,
    outlook::PORTS_ASKED_MAX,
    role::{Action, Caller, Scope},
};
use hourgate_store::Store;

use super::{Call, Problem, machine::machine, permit, sight::sees_member};
use crate::server::Server;

/// Asks the guard that covers a machine.
pub(crate) async fn outlook<S: Store>(
    caller: &Caller,
    server: &Server<S>,
    call: &Call,
    question: &Question,
) -> Result<Outlooks, Problem> {
    permit(caller, server, call, Action::VM_READ, &Scope::from(&question.vm)).await?;
    let (state, vm) = machine(server, &question.vm).await?;
    let ports: BTreeSet<Port> = if question.ports.is_empty() {
        let policies = state.policies_of(&vm.id);
        let seen = policies.filter(|(policy, _)| sees_member(caller, &policy.id, &vm.id));
        let members = seen.map(|(_, member)| member);
        let locked = members.flat_map(|member| &member.ports).map(|rule| rule.port);
        locked.take(PORTS_ASKED_MAX).collect()
    } else {
        question.ports.iter().copied().collect()
    };
    let at = vm.addresses.iter().map(|address| (*address, ports.clone())).collect();
    let (guard, seen) = match server.gate.look(at).await {
        Some((guard, seen)) => (Some(guard), seen),
        None => (None, BTreeMap::new()),
    };
    let of = |address: &IpAddr| OutlookSeen::of(*address, seen.get(address));
    Ok(Outlooks { guard, addresses: vm.addresses.iter().map(of).collect() })
}
