//! Machines that are named by their addresses become known, as resources, and are forgotten.

use std::net::IpAddr;

use super::resource;
use crate::{
    command::Precondition,
    event::Event,
    id::{Location, VmId, VmInstance},
    policy::{Os, Settings},
    refusal::{Refusal, Refusals},
    resource::{
        ResourceDraft, ResourceId, Tags, ViewDraft,
        virtual_machine::{Joined, Storage, VirtualMachineDraft},
    },
    state::State,
};

/// Makes a machine known. The same again changes nothing; what else is known of it stays.
pub(super) fn register(
    (state, settings): (&State, &Settings),
    id: &VmId,
    instance: VmInstance,
    location: &Location,
    os: Os,
    addresses: &[IpAddr],
) -> Result<Vec<Event>, Refusals> {
    let id = ResourceId::from(id);
    let known = state.network.get(&id);
    let machine = known.and_then(|known| known.virtual_machine());
    let sent = VirtualMachineDraft {
        joined: Joined::Addresses(addresses.to_vec()),
        os,
        storage: machine.map_or(Storage::default(), |machine| machine.storage),
    };
    let draft = ResourceDraft {
        location: location.clone(),
        tags: known.map_or_else(Tags::new, |known| known.tags.clone()),
        view: ViewDraft::VirtualMachine(sent),
        document: known.map_or_else(|| "{}".to_owned(), |known| known.document.clone()),
        id,
    };
    resource::put(state, settings, &draft, instance.0, Precondition::None)
}

/// Forgets a machine that no policy holds, and what was made for it.
pub(super) fn unregister(
    state: &State,
    settings: &Settings,
    id: &VmId,
) -> Result<Vec<Event>, Refusals> {
    if !state.vms.contains_key(id) {
        return Err(Refusal::VmNotFound { vm: id.clone() }.into());
    }
    resource::delete(state, settings, &ResourceId::from(id), Precondition::None)
}
