//! Would a grant's rule let its flows through? If not, which rule stands against it (product P7).

use std::collections::BTreeMap;

use super::{
    band::Band,
    cure::Cure,
    group::SecurityGroup,
    id::GroupId,
    judge::{Layer, Layers},
    name::RuleName,
    numbers::Numbers,
    passing::shares,
    region::Region,
    surroundings::Surroundings,
    word::{Access, Direction, Priority},
};
use crate::network::Opening;

/// The numbers that a grant's rule has, or is to have, in the groups of a NIC.
///
/// None where the grant has no rule in that layer: then the layer's other rules must let its flows through.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct GrantNumbers {
    /// In the subnet's group.
    pub subnet: Option<Priority>,
    /// In the NIC's group.
    pub nic: Option<Priority>,
}

/// A rule that would drop flows of a grant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Blocked {
    /// Where its group is joined.
    pub layer: Layer,
    /// Its group.
    pub group: GroupId,
    /// Its name; it may be a default rule.
    pub rule: RuleName,
    /// Its number.
    pub priority: Priority,
    /// The flows that it would drop.
    pub flows: Region,
    /// What would help.
    pub cure: Cure,
}

/// Whether the flows of an opening pass once the grant has its rules, all of them.
///
/// A layer blocks where the first rule that matches any of the flows is a deny, among the rules before the
/// grant's own where it has one there. For the cure `band` says which numbers a rule in the subnet's group
/// could have, and `ours` which JIT's rules have already.
///
/// # Errors
/// Every rule that would drop some of the flows, in the order in which a flow meets them.
pub fn takes_effect(
    layers: Layers<'_>,
    surroundings: &Surroundings,
    opening: &Opening,
    numbers: GrantNumbers,
    (band, ours): (Band, &BTreeMap<GroupId, Numbers>),
) -> Result<(), Vec<Blocked>> {
    let mut blocked = Vec::new();
    let none = Numbers::default();
    for (layer, group) in layers.in_order(Direction::Inbound) {
        let number = match layer {
            Layer::Subnet => numbers.subnet,
            Layer::Nic => numbers.nic,
        };
        let ours = ours.get(group.id()).unwrap_or(&none);
        let flows = Region::of_opening(opening);
        let denies = shares(group, surroundings, opening.lock(), flows)
            .take_while(|(rule, _)| number.is_none_or(|number| rule.priority() < number))
            .filter(|(rule, _)| rule.access() == Access::Deny);
        blocked.extend(denies.map(|(rule, flows)| {
            Blocked {
                layer,
                group: group.id().clone(),
                rule: rule.name().clone(),
                priority: rule.priority(),
                flows,
                cure: match (layer, number) {
                    (Layer::Subnet, None) => in_subnet_too(group, rule.priority(), band, ours)
                        .unwrap_or_else(|| Cure::past(group, rule, ours)),
                    (Layer::Subnet | Layer::Nic, _) => Cure::past(group, rule, ours),
                },
            }
        }));
    }
    if blocked.is_empty() { Ok(()) } else { Err(blocked) }
}

/// The cure by a rule of the grant's own in the subnet's group, if a number before the deny is free.
fn in_subnet_too(
    group: &SecurityGroup,
    deny: Priority,
    band: Band,
    ours: &Numbers,
) -> Option<Cure> {
    let free = band.free(group, ours, Some(deny)).ok()?;
    Some(Cure::PlaceInSubnetToo { group: group.id().clone(), free })
}
