//! What a guard is told about new flows to and from an address: rules as plain data, free of names.
//!
//! A [`chain`] is what one security group says about one direction and one family; a screen is the chains
//! that the flows of one address meet; a [`standing`] exception is what passes a lock without an opening.
//! A chain has no name and no number: it is what it says, so two that differ can never be taken for one
//! another, and those that say the same are one. [`compile`] makes chains of groups.

pub mod chain;
pub mod compile;
pub mod standing;

pub(crate) mod said;

use std::sync::Arc;

use chain::Chain;

use crate::{
    network::Family,
    nsg::{
        band::Band,
        flow::Flow,
        judge::{Layer, Layers},
        surroundings::Surroundings,
        word::{Access, Direction},
    },
};

/// What new flows to and from one address meet.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Screen {
    /// Flows to the address: the subnet's chain first, then the NIC's.
    pub inbound: Layered,
    /// Flows from the address: the NIC's chain first, then the subnet's.
    pub outbound: Layered,
}

/// The chains of one direction. A layer without one lets everything through.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Layered {
    /// The subnet's.
    pub subnet: Option<Arc<Chain>>,
    /// The NIC's.
    pub nic: Option<Arc<Chain>>,
}

impl Layered {
    /// The chain of one layer.
    pub fn chain(&self, layer: Layer) -> Option<&Arc<Chain>> {
        match layer {
            Layer::Subnet => self.subnet.as_ref(),
            Layer::Nic => self.nic.as_ref(),
        }
    }

    fn allows(&self, flow: &Flow, granted: bool) -> bool {
        [&self.subnet, &self.nic]
            .into_iter()
            .flatten()
            .all(|chain| chain.decides(flow, granted) == Access::Allow)
    }
}

impl Screen {
    /// The screen of an address of this family behind these groups. `band` says in which layers grants have
    /// their rules, and from which number on.
    ///
    /// Every address gets chains of its own: [`compile::compile`] once for those that share groups and
    /// surroundings saves the work.
    pub fn of(
        layers: Layers<'_>,
        surroundings: &Surroundings,
        family: Family,
        band: impl Fn(Layer) -> Option<Band>,
    ) -> Screen {
        let chain = |layer, direction| {
            let group = layers.group(layer)?;
            let chain = compile::compile(group, direction, surroundings, family, band(layer));
            (!chain.lets_everything_through()).then(|| Arc::new(chain))
        };
        let layered = |direction| Layered {
            subnet: chain(Layer::Subnet, direction),
            nic: chain(Layer::Nic, direction),
        };
        Screen { inbound: layered(Direction::Inbound), outbound: layered(Direction::Outbound) }
    }

    /// The chains of one direction.
    pub fn layered(&self, direction: Direction) -> &Layered {
        match direction {
            Direction::Inbound => &self.inbound,
            Direction::Outbound => &self.outbound,
        }
    }

    /// Whether a new flow to or from the address passes. `granted`: an opening lets it through.
    pub fn allows(&self, direction: Direction, flow: &Flow, granted: bool) -> bool {
        self.layered(direction).allows(flow, granted)
    }

    /// Every chain in it, with where it stands.
    pub fn chains(&self) -> impl Iterator<Item = (Place, &Arc<Chain>)> {
        Place::ALL.into_iter().filter_map(|place| {
            let chain = self.layered(place.direction).chain(place.layer)?;
            Some((place, chain))
        })
    }
}

/// Where in a screen a chain stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// For which flows.
    pub direction: Direction,
    /// At which layer.
    pub layer: Layer,
}

impl Place {
    /// Every place, in the order in which a flow from one screened address to another meets them.
    pub const ALL: [Place; 4] = [
        Place { direction: Direction::Outbound, layer: Layer::Nic },
        Place { direction: Direction::Outbound, layer: Layer::Subnet },
        Place { direction: Direction::Inbound, layer: Layer::Subnet },
        Place { direction: Direction::Inbound, layer: Layer::Nic },
    ];
}
