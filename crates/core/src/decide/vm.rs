//! Machines become known and are forgotten.

use std::{collections::BTreeSet, net::IpAddr};

use crate::{
    event::Event,
    id::{Location, VmId, VmInstance},
    network::vm_address,
    policy::{ADDRESSES_PER_VM_MAX, Os, Vm},
    refusal::{Refusal, Refusals},
    state::State,
};

/// Makes a machine known. The same again changes nothing.
pub(super) fn register(
    state: &State,
    id: &VmId,
    instance: VmInstance,
    location: &Location,
    os: Os,
    addresses: &[IpAddr],
) -> Result<Vec<Event>, Refusals> {
    let known = state.vms.get(id);
    let vm = Vm {
        id: known.map_or(id, |vm| &vm.id).clone(),
        instance: known.map_or(instance, |vm| vm.instance),
        location: location.clone(),
        os,
        addresses: addresses.to_vec(),
    };
    if known == Some(&vm) {
        return Ok(Vec::new());
    }
    let mut refusals = unfit_addresses(addresses);
    for address in addresses {
        if let Some(owner) = state.owners.get(address).filter(|owner| *owner != id) {
            refusals.push(Refusal::AddressTaken { address: *address, vm: owner.clone() });
        }
    }
    // Locks and grants stand on the addresses and the location of a VM: while a policy holds it they stay.
    let moved = known.is_some_and(|known| {
        known.location != vm.location
            || known.addresses.iter().collect::<BTreeSet<_>>()
                != addresses.iter().collect::<BTreeSet<_>>()
    });
    if moved && let Some((policy, _)) = state.policies_of(id).next() {
        refusals.push(Refusal::VmHasPolicy { vm: id.clone(), policy: policy.id.clone() });
    }
    if refusals.is_empty() { Ok(vec![Event::VmRegistered { vm }]) } else { Err(Refusals(refusals)) }
}

/// Forgets a machine that no policy holds.
pub(super) fn unregister(state: &State, id: &VmId) -> Result<Vec<Event>, Refusals> {
    if !state.vms.contains_key(id) {
        return Err(Refusal::VmNotFound { vm: id.clone() }.into());
    }
    match state.policies_of(id).next() {
        Some((policy, _)) => {
            Err(Refusal::VmHasPolicy { vm: id.clone(), policy: policy.id.clone() }.into())
        }
        None => Ok(vec![Event::VmUnregistered { id: id.clone() }]),
    }
}

fn unfit_addresses(addresses: &[IpAddr]) -> Vec<Refusal> {
    let mut refusals = Vec::new();
    if addresses.is_empty() {
        refusals.push(Refusal::NoAddress);
    }
    if addresses.len() > ADDRESSES_PER_VM_MAX {
        refusals.push(Refusal::TooManyAddresses { most: ADDRESSES_PER_VM_MAX });
    }
    let mut seen = BTreeSet::new();
    for address in addresses {
        if let Err(why) = vm_address(*address) {
            refusals.push(Refusal::NotAVmAddress { address: *address, why });
        }
        if !seen.insert(address) {
            refusals.push(Refusal::AddressTwice { address: *address });
        }
    }
    refusals
}
