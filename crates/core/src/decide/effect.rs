//! Would what is granted take effect? A rule that would drop it refuses it before it is granted.

use crate::{
    grant::Access,
    network::{Opening, Port, Source},
    nsg::{
        band::Band,
        judge::Layer,
        takes_effect::{Blocked, GrantNumbers, takes_effect},
    },
    open::{grants_at, grants_in},
    policy::Vm,
    refusal::{At, Refusal},
    state::State,
};

/// The rules that would drop flows from a source to a port of a VM although they are granted, each once.
pub(super) fn blocked(state: &State, vm: &Vm, source: Source, port: Port) -> Vec<Refusal> {
    let mut refusals: Vec<Refusal> = Vec::new();
    for opening in Access::openings_of(vm, source, port) {
        let at = At { vm: vm.id.clone(), port };
        let found = by_rules(state, vm, &opening).into_iter().map(|blocked| {
            let Blocked { group, rule, priority, cure, .. } = blocked;
            Refusal::Blocked { at: at.clone(), group, rule, priority, cure }
        });
        for refusal in found {
            if !refusals.contains(&refusal) {
                refusals.push(refusal);
            }
        }
    }
    refusals
}

fn by_rules(state: &State, vm: &Vm, opening: &Opening) -> Vec<Blocked> {
    let Some((layers, surroundings)) = state.network.around(opening.address()) else {
        return Vec::new();
    };
    let number = |layer| grants_in(state, &vm.id, layers, layer).then(|| grants_at(layers, layer));
    let numbers = GrantNumbers { subnet: number(Layer::Subnet), nic: number(Layer::Nic) };
    takes_effect(layers, &surroundings, opening, numbers, Band::default()).err().unwrap_or_default()
}
