//! The rules that hold for a NIC, with names resolved to prefixes: what Azure shows as effective rules.

use ipnet::IpNet;

use super::{
    group::SecurityGroup,
    id::GroupId,
    judge::{Layer, Layers},
    place::Places,
    rule::SecurityRule,
    surroundings::Surroundings,
    word::{Direction, Side},
};

/// The rules of one group that hold for a NIC.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EffectiveGroup<'a> {
    /// Where the group is joined.
    pub layer: Layer,
    /// The group.
    pub group: &'a GroupId,
    /// Its rules and the defaults: inbound before outbound, each in the order in which they are looked at.
    pub rules: Vec<EffectiveRule<'a>>,
}

/// One rule, with the names in it resolved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EffectiveRule<'a> {
    /// The rule; [`super::word::Priority::is_default`] tells a default one.
    pub rule: &'a SecurityRule,
    /// What a tag or application security groups as source stand for: the fewest prefixes, in order, and
    /// an empty list where no address is known. None where the rule itself says it in prefixes or `*`.
    pub expanded_sources: Option<Vec<IpNet>>,
    /// The same for the destination.
    pub expanded_destinations: Option<Vec<IpNet>>,
}

/// The rules that hold for a NIC: one entry for each layer that has a group, the subnet's first.
pub fn effective<'a>(layers: Layers<'a>, surroundings: &Surroundings) -> Vec<EffectiveGroup<'a>> {
    layers
        .in_order(Direction::Inbound)
        .map(|(layer, group)| EffectiveGroup {
            layer,
            group: group.id(),
            rules: rules(group, surroundings),
        })
        .collect()
}

impl<'a> EffectiveGroup<'a> {
    /// With rules of JIT's in it, each where its number stands: they are inbound and speak in prefixes.
    #[must_use]
    pub fn with(mut self, jit: impl IntoIterator<Item = &'a SecurityRule>) -> EffectiveGroup<'a> {
        for rule in jit {
            let before = |other: &EffectiveRule<'_>| {
                other.rule.direction() == Direction::Inbound
                    && other.rule.priority() < rule.priority()
            };
            let at = self.rules.partition_point(before);
            let made = EffectiveRule { rule, expanded_sources: None, expanded_destinations: None };
            self.rules.insert(at, made);
        }
        self
    }
}

fn rules<'a>(group: &'a SecurityGroup, surroundings: &Surroundings) -> Vec<EffectiveRule<'a>> {
    Direction::ALL
        .into_iter()
        .flat_map(|direction| group.in_order(direction))
        .map(|rule| EffectiveRule {
            rule,
            expanded_sources: expanded(rule.places(Side::Source), surroundings),
            expanded_destinations: expanded(rule.places(Side::Destination), surroundings),
        })
        .collect()
}

fn expanded(places: &Places, surroundings: &Surroundings) -> Option<Vec<IpNet>> {
    match places {
        Places::Any | Places::Prefixes(_) => None,
        Places::Tag(_) | Places::Asgs(_) => Some(surroundings.addresses(places).prefixes()),
    }
}
