//! What the rules of security groups do to accesses that run: each is let through where its own rule stands,
//! unless another rule, looked at before, drops some of its flows.
//!
//! Guards look openings up at one place in a chain, behind the rules that have the smallest number there is
//! ([`grants_at`]), and not at each grant's own number. So what a guard is told to open must be such that it
//! makes no difference: an opening of which a rule between that place and the grant's number would drop
//! something is left out ([`Effects::guard_would_open_more`]), and a guard never opens more than the rules do.

use std::{
    collections::{BTreeMap, btree_map::Entry},
    net::IpAddr,
};

use crate::{
    grant::{Access, GrantRule, Stage, number_in},
    id::VmId,
    network::{Lock, Opening},
    nsg::{
        addresses::Addresses,
        band::Band,
        judge::{Layer, Layers},
        numbers::Numbers,
        passing::denies,
        surroundings::Surroundings,
        takes_effect::{Blocked, GrantNumbers, takes_effect},
        word::{Direction, Priority},
    },
    policy::Placement,
    state::State,
};

/// Whether a VM's grants are looked up in the group of a layer: where JIT's rules lie, and where its policy
/// says so in the subnet's too.
pub fn grants_in(state: &State, vm: &VmId, layers: Layers<'_>, layer: Layer) -> bool {
    let mut places = state.policies_of(vm).map(|(_, member)| member.placement);
    is_home(layers, layer)
        || match layer {
            Layer::Subnet => places.any(|placement| placement == Placement::NicAndSubnet),
            Layer::Nic => false,
        }
}

/// Whether JIT's rules lie in the group of a layer.
pub(crate) fn is_home(layers: Layers<'_>, layer: Layer) -> bool {
    layers.home().is_some_and(|(home, _)| home == layer)
}

/// The number at which guards look grants up in a group: the smallest there is, behind a rule that has it.
pub fn grants_at(layers: Layers<'_>, layer: Layer) -> Priority {
    let used = layers.group(layer).map(|group| Numbers::of(group, Direction::Inbound));
    let next = Priority::own(LOOK_UP.number() + 1);
    next.filter(|_| used.is_some_and(|used| used.contains(LOOK_UP))).unwrap_or(LOOK_UP)
}

/// Guards look grants up behind the rules whose number is not larger than this.
const LOOK_UP: Priority = Priority::MIN;

/// What guards are told of where grants lie.
pub(crate) fn look_up() -> Band {
    Band::new(LOOK_UP, Priority::MAX).unwrap_or_default()
}

/// The rules against accesses that run. What was asked of an address or a port before is not asked again:
/// there can be thousands of accesses to one.
#[derive(Debug)]
pub struct Effects<'a> {
    state: &'a State,
    around: BTreeMap<IpAddr, Option<(Layers<'a>, Surroundings)>>,
    denies: BTreeMap<(Lock, Layer), Vec<(Priority, Addresses)>>,
}

impl<'a> Effects<'a> {
    /// In a state.
    pub fn of(state: &'a State) -> Effects<'a> {
        Effects { state, around: BTreeMap::new(), denies: BTreeMap::new() }
    }

    /// Every rule that drops some flows of an access that runs; none for one that does not run, or before
    /// whose VM no group stands.
    pub fn blocked(&mut self, access: &Access) -> Vec<Blocked> {
        let Stage::Granted { rules, .. } = &access.stage else { return Vec::new() };
        let vm = self.state.vms.get(&access.vm).filter(|vm| vm.instance == access.instance);
        let openings: Vec<Opening> = vm.into_iter().flat_map(|vm| access.openings(vm)).collect();
        let mut blocked: Vec<Blocked> = Vec::new();
        for opening in openings {
            for found in self.blocked_opening(rules, &opening) {
                let same = |old: &Blocked| old.group == found.group && old.rule == found.rule;
                if !blocked.iter().any(same) {
                    blocked.push(found);
                }
            }
        }
        blocked
    }

    /// The same of one opening, for an access with these rules.
    pub fn blocked_opening(&mut self, rules: &[GrantRule], opening: &Opening) -> Vec<Blocked> {
        let Some(layers) = self.layers(opening.address()) else { return Vec::new() };
        let may = layers.in_order(Direction::Inbound).any(|(layer, group)| {
            let number = number_in(rules, group.id(), opening.address());
            number.is_none_or(|number| self.may_drop(opening, layer, None, number))
        });
        if may { self.all(layers, rules, opening) } else { Vec::new() }
    }

    /// Whether a guard that is told to open it would let more of it through than the rules do.
    pub fn guard_would_open_more(&mut self, access: &Access, opening: &Opening) -> bool {
        let Some(layers) = self.layers(opening.address()) else { return false };
        let rules = access.rules();
        let told: Vec<Layer> = layers
            .in_order(Direction::Inbound)
            .filter(|(layer, _)| grants_in(self.state, &access.vm, layers, *layer))
            .filter(|(layer, group)| {
                let number = number_in(rules, group.id(), opening.address());
                // Without a rule of its own there it passes by others' rules, or not at all.
                number.is_none_or(|number| self.may_drop(opening, *layer, Some(LOOK_UP), number))
            })
            .map(|(layer, _)| layer)
            .collect();
        // What stands before the place of the look-up the guard asks first, as the rules say.
        let counts =
            |blocked: &Blocked| told.contains(&blocked.layer) && blocked.priority > LOOK_UP;
        !told.is_empty() && self.all(layers, rules, opening).iter().any(counts)
    }

    /// Whether a deny between two numbers is for a source of the opening: quick, and never too seldom.
    fn may_drop(
        &mut self,
        opening: &Opening,
        layer: Layer,
        behind: Option<Priority>,
        before: Priority,
    ) -> bool {
        let between = |priority: Priority| behind.is_none_or(|b| priority > b) && priority < before;
        let source = Addresses::of([opening.source()]);
        self.denies_of(opening.lock(), layer).iter().any(|(priority, sources)| {
            between(*priority) && !sources.intersection(&source).is_empty()
        })
    }

    fn all(&mut self, layers: Layers<'a>, rules: &[GrantRule], opening: &Opening) -> Vec<Blocked> {
        let address = opening.address();
        let number = |layer| number_in(rules, layers.group(layer)?.id(), address);
        let numbers = GrantNumbers { subnet: number(Layer::Subnet), nic: number(Layer::Nic) };
        let ours = &self.state.numbers;
        let Some((layers, surroundings)) = self.around.get(&address).and_then(Option::as_ref)
        else {
            return Vec::new();
        };
        takes_effect(*layers, surroundings, opening, numbers, (Band::default(), ours))
            .err()
            .unwrap_or_default()
    }

    fn layers(&mut self, address: IpAddr) -> Option<Layers<'a>> {
        let network = &self.state.network;
        let around = self.around.entry(address).or_insert_with(|| network.around(address));
        around.as_ref().map(|(layers, _)| *layers)
    }

    /// The denies of a layer for TCP to a port, from whichever of the ports.
    fn denies_of(&mut self, to: Lock, layer: Layer) -> &[(Priority, Addresses)] {
        match self.denies.entry((to, layer)) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(new) => {
                let around = self.around.get(&to.address).and_then(Option::as_ref);
                let found = around.and_then(|(layers, surroundings)| {
                    Some(denies(layers.group(layer)?, surroundings, to).collect())
                });
                new.insert(found.unwrap_or_default())
            }
        }
    }
}
