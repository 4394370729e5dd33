//! Machines that a store knows by their addresses alone become resources: it was written before machines were.

use hourgate_core::{
    command::{Command, Needs},
    policy::Vm,
    refusal::{Refusal, Refusals},
    resource::ResourceId,
};
use hourgate_store::{Store, TransactError, VmFilter};

use crate::{mint, serve::ServeError, server::ours};

/// Registers such machines again, as they are. Those that are resources already are passed over, so this may be
/// done at each start; what cannot be adopted stays as it is, and is told.
pub(crate) async fn adopt<S: Store>(store: &S) -> Result<(), ServeError> {
    let network = store.load(Needs::default()).await?.network;
    let vms = store.vms(VmFilter { group: None, name: None }).await?;
    let alone = |vm: &Vm| network.get(&ResourceId::from(&vm.id)).is_none();
    for mut vm in vms.into_iter().filter(alone) {
        let mut adopted = register(store, &vm).await?;
        if let Err(Refusals(refusals)) = &adopted {
            let more: Vec<_> = refusals.iter().flat_map(more).collect();
            if !more.is_empty() {
                vm.addresses.extend(more);
                adopted = register(store, &vm).await?;
            }
        }
        match adopted {
            Ok(()) => tracing::info!(vm = %vm.id, "the machine has become a resource"),
            Err(refusals) => tracing::error!(
                vm = %vm.id,
                ?refusals,
                "the machine stays known by its addresses alone; make room for it and start again"
            ),
        }
    }
    Ok(())
}

/// What else an interface has of which the machine knows a part: both are the machine's.
fn more(refusal: &Refusal) -> Vec<std::net::IpAddr> {
    if let Refusal::InterfaceHasMore { addresses, .. } = refusal {
        return addresses.clone();
    }
    Vec::new()
}

async fn register<S: Store>(store: &S, vm: &Vm) -> Result<Result<(), Refusals>, ServeError> {
    let command = Command::RegisterVm {
        id: vm.id.clone(),
        instance: mint::vm_instance()?,
        location: vm.location.clone(),
        os: vm.os,
        addresses: vm.addresses.clone(),
    };
    match store.transact(ours(mint::uuid()?), command).await {
        Ok(_) => Ok(Ok(())),
        Err(TransactError::Refused(refusals)) => Ok(Err(refusals)),
        Err(TransactError::Store(error)) => Err(error.into()),
    }
}
