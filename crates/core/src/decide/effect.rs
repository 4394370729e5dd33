//! Would what is granted take effect? A rule that would drop it refuses it before it is granted.

use crate::{
    grant::Access,
    network::{Opening, Port, Source},
    nsg::{
        band::Band,
        judge::{Layer, Layers},
        takes_effect::{Blocked, GrantNumbers, takes_effect},
        word::{Direction, Priority},
    },
    open::grants_in,
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
    let number =
        |layer| grants_in(state, &vm.id, layers, layer).then(|| looked_up_at(layers, layer));
    let numbers = GrantNumbers { subnet: number(Layer::Subnet), nic: number(Layer::Nic) };
    takes_effect(layers, &surroundings, opening, numbers, Band::default()).err().unwrap_or_default()
}

/// The number at which guards look grants up in a group: the band's first, behind a rule that has it.
fn looked_up_at(layers: Layers<'_>, layer: Layer) -> Priority {
    let first = Band::default().first();
    let used = layers.group(layer).map(|group| group.used(Direction::Inbound)).unwrap_or_default();
    let next = Priority::own(first.number() + 1).filter(|_| used.contains(&first));
    next.unwrap_or(first)
}
