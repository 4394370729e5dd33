//! Why is this flow allowed or not? Every rule that looked at it, what did not fit, and what would help.

use std::collections::BTreeMap;

use super::{
    cure::Cure,
    flow::Flow,
    group::SecurityGroup,
    id::GroupId,
    judge::{Layer, Layers},
    numbers::Numbers,
    rule::SecurityRule,
    surroundings::Surroundings,
    word::{Access, Direction, Part},
};

/// Why a flow is allowed or not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explanation<'a> {
    /// Whether it goes through.
    pub access: Access,
    /// What each group says, in the order in which a flow meets them. One behind a group that denies is
    /// asked too, so that both can be cured at once.
    pub layers: Vec<Asked<'a>>,
    /// What would have to change, all of it; nothing for a flow that goes through.
    pub cures: Vec<Cure>,
}

/// What one group says of a flow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked<'a> {
    /// Where the group is joined.
    pub layer: Layer,
    /// The group.
    pub group: &'a GroupId,
    /// Whether the flow comes as far as this.
    pub reached: bool,
    /// The rules that looked and did not fit, in order.
    pub passed_over: Vec<Look<'a>>,
    /// The rule that fits, and so decides.
    pub decisive: &'a SecurityRule,
}

/// A rule that looked at a flow and did not fit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Look<'a> {
    /// The rule.
    pub rule: &'a SecurityRule,
    /// Which of its parts the flow did not fit, at least one.
    pub misfits: Vec<Part>,
}

/// Explains what [`super::judge::judge`] says.
///
/// `ours` are the numbers that JIT's rules have in each group: they stand beside it, and what would help is none
/// of them.
pub fn explain<'a>(
    layers: Layers<'a>,
    direction: Direction,
    flow: &Flow,
    surroundings: &Surroundings,
    ours: &BTreeMap<GroupId, Numbers>,
) -> Explanation<'a> {
    let none = Numbers::default();
    let mut explained =
        Explanation { access: Access::Allow, layers: Vec::new(), cures: Vec::new() };
    for (layer, group) in layers.in_order(direction) {
        let asked = ask(layer, group, direction, flow, surroundings);
        let reached = explained.access == Access::Allow;
        if asked.decisive.access() == Access::Deny {
            explained.access = Access::Deny;
            explained.cures.push(Cure::past(
                group,
                asked.decisive,
                ours.get(group.id()).unwrap_or(&none),
            ));
        }
        explained.layers.push(Asked { reached, ..asked });
    }
    explained
}

fn ask<'a>(
    layer: Layer,
    group: &'a SecurityGroup,
    direction: Direction,
    flow: &Flow,
    surroundings: &Surroundings,
) -> Asked<'a> {
    let decisive = group.deciding(direction, flow, surroundings);
    let passed_over = group
        .in_order(direction)
        .take_while(|rule| rule.priority() != decisive.priority())
        .map(|rule| Look { rule, misfits: misfits(rule, flow, surroundings) })
        .collect();
    Asked { layer, group: group.id(), reached: true, passed_over, decisive }
}

fn misfits(rule: &SecurityRule, flow: &Flow, surroundings: &Surroundings) -> Vec<Part> {
    Part::ALL.into_iter().filter(|part| !rule.fits(*part, flow, surroundings)).collect()
}
