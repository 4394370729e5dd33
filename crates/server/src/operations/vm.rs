//! Machines: made known, shown, forgotten.

use hourgate_api::body::VmParts;
use hourgate_core::{
    command::Command,
    id::{Name, VmId},
    policy::Vm,
    refusal::Refusal,
    role::{Action, Caller},
};
use hourgate_store::{Store, VmFilter};

use super::{Call, Problem, permit};
use crate::{
    mint,
    server::{Server, origin},
};

/// Makes a machine known, or known differently. True where it is new.
pub(crate) async fn register_vm<S: Store>(
    caller: &Caller,
    server: &Server<S>,
    call: &Call,
    id: VmId,
    parts: &VmParts,
) -> Result<(Vm, bool), Problem> {
    permit(caller, server, call, Action::VmWrite, Some(&id.group)).await?;
    let instance = mint::vm_instance()?;
    let command = parts.command(id.clone(), instance);
    let committed = server.commit(origin(caller, call, Action::VmWrite), command).await?;
    let vm = committed.state.vms.get(&id).cloned().ok_or_else(|| not_found(&id))?;
    let new = vm.instance == instance;
    Ok((vm, new))
}

/// One machine.
pub(crate) async fn get_vm<S: Store>(
    caller: &Caller,
    server: &Server<S>,
    call: &Call,
    id: VmId,
) -> Result<Vm, Problem> {
    permit(caller, server, call, Action::VmRead, Some(&id.group)).await?;
    let which = VmFilter { group: Some(id.group.clone()), name: None };
    let vms = server.store.vms(which).await?;
    if vms.is_empty() && !super::resource::is_group(server, &id.group).await? {
        return Err(Problem::NoGroup(id.group));
    }
    vms.into_iter().find(|vm| vm.id == id).ok_or_else(|| not_found(&id))
}

/// The machines of a group, or all.
pub(crate) async fn list_vms<S: Store>(
    caller: &Caller,
    server: &Server<S>,
    call: &Call,
    group: Option<Name>,
) -> Result<Vec<Vm>, Problem> {
    permit(caller, server, call, Action::VmRead, group.as_ref()).await?;
    let vms = server.store.vms(VmFilter { group: group.clone(), name: None }).await?;
    match group.filter(|_| vms.is_empty()) {
        Some(group) if !super::resource::is_group(server, &group).await? => {
            Err(Problem::NoGroup(group))
        }
        Some(_) | None => Ok(vms),
    }
}

/// Forgets a machine. False where it was not known.
pub(crate) async fn unregister_vm<S: Store>(
    caller: &Caller,
    server: &Server<S>,
    call: &Call,
    id: VmId,
) -> Result<bool, Problem> {
    permit(caller, server, call, Action::VmDelete, Some(&id.group)).await?;
    let command = Command::UnregisterVm { id: id.clone() };
    let committed = server.commit(origin(caller, call, Action::VmDelete), command).await;
    match super::policy::in_group(server, &id.group, committed.map(|_| true)).await {
        Ok(done) => {
            server.gate.wake([id]);
            Ok(done)
        }
        Err(Problem::Refused(refusals))
            if matches!(refusals.0.as_slice(), [Refusal::VmNotFound { .. }]) =>
        {
            Ok(false)
        }
        // Its last VM may be the one that is gone already.
        Err(Problem::NoGroup(_)) => Ok(false),
        Err(other) => Err(other),
    }
}

fn not_found(id: &VmId) -> Problem {
    Problem::Refused(Refusal::VmNotFound { vm: id.clone() }.into())
}
