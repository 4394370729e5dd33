//! Is this flow allowed, and by which rule? The groups of a NIC and its subnet, asked in Azure's order.

use serde::{Deserialize, Serialize};

use super::{
    flow::Flow,
    group::SecurityGroup,
    id::GroupId,
    rule::SecurityRule,
    surroundings::Surroundings,
    word::{Access, Direction},
};

/// Where a group is joined.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Layer {
    /// To the subnet.
    Subnet,
    /// To the network interface.
    Nic,
}

/// The groups through which a NIC's flows go. A layer without a group lets everything through.
#[derive(Clone, Copy, Debug)]
pub struct Layers<'a> {
    /// The subnet's.
    pub subnet: Option<&'a SecurityGroup>,
    /// The NIC's.
    pub nic: Option<&'a SecurityGroup>,
}

impl<'a> Layers<'a> {
    /// The group of one layer.
    pub fn group(self, layer: Layer) -> Option<&'a SecurityGroup> {
        match layer {
            Layer::Subnet => self.subnet,
            Layer::Nic => self.nic,
        }
    }

    /// The groups there are, in the order in which a flow meets them: inwards the subnet's first.
    pub fn in_order(
        self,
        direction: Direction,
    ) -> impl Iterator<Item = (Layer, &'a SecurityGroup)> {
        let order = match direction {
            Direction::Inbound => [Layer::Subnet, Layer::Nic],
            Direction::Outbound => [Layer::Nic, Layer::Subnet],
        };
        order.into_iter().filter_map(move |layer| Some((layer, self.group(layer)?)))
    }

    /// The group in which JIT's rules lie: the NIC's, and where it has none the subnet's.
    pub fn home(self) -> Option<(Layer, &'a SecurityGroup)> {
        let of = |layer| Some((layer, self.group(layer)?));
        of(Layer::Nic).or_else(|| of(Layer::Subnet))
    }
}

/// What becomes of a flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verdict<'a> {
    /// Whether it goes through.
    pub access: Access,
    /// The rule that had the last word: the one that stopped it, or the one that let it through the last
    /// layer. None where no layer has a group: everything goes through.
    pub by: Option<By<'a>>,
}

/// A rule of a group of a layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct By<'a> {
    /// Where the group is joined.
    pub layer: Layer,
    /// The group.
    pub group: &'a GroupId,
    /// The rule; it may be a default rule.
    pub rule: &'a SecurityRule,
}

/// What becomes of a flow: every layer that has a group must allow it, and the first that denies has said
/// the last word.
///
/// Rules know no state: what is asked is whether a new flow may begin.
pub fn judge<'a>(
    layers: Layers<'a>,
    direction: Direction,
    flow: &Flow,
    surroundings: &Surroundings,
) -> Verdict<'a> {
    let mut verdict = Verdict { access: Access::Allow, by: None };
    for (layer, group) in layers.in_order(direction) {
        let rule = group.deciding(direction, flow, surroundings);
        verdict =
            Verdict { access: rule.access(), by: Some(By { layer, group: group.id(), rule }) };
        if verdict.access == Access::Deny {
            break;
        }
    }
    verdict
}
