//! One machine and what stands around it, for whoever asks about it.

use std::collections::BTreeSet;

use hourgate_core::{command::Needs, id::VmId, policy::Vm, refusal::Refusal, state::State};
use hourgate_store::Store;

use super::Problem;
use crate::server::Server;

/// Loads a machine with all that a decision about it looks at, or refuses.
pub(super) async fn machine<S: Store>(
    server: &Server<S>,
    id: &VmId,
) -> Result<(State, Vm), Problem> {
    let needs = Needs { vms: BTreeSet::from([id.clone()]), ..Needs::default() };
    let state = server.store.load(needs).await?;
    match state.vms.get(id).cloned() {
        Some(vm) => Ok((state, vm)),
        None => Err(Problem::Refused(Refusal::VmNotFound { vm: id.clone() }.into())),
    }
}
