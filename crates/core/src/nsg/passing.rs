//! Which flows to a port the groups let through: the answer for all flows at once, by set arithmetic.

use super::{
    addresses::Addresses,
    flow::Transport,
    group::SecurityGroup,
    judge::Layers,
    region::Region,
    rule::SecurityRule,
    surroundings::Surroundings,
    sweep::let_through,
    word::{Access, Direction, Priority, Side},
};
use crate::network::{Family, Lock};

/// Every inbound flow that reaches a port of an address: what all layers let through.
pub fn passing(layers: Layers<'_>, surroundings: &Surroundings, to: Lock) -> Region {
    layers.in_order(Direction::Inbound).fold(everything(to), |left, (_, group)| {
        let rules = group.in_order(Direction::Inbound);
        left.intersection(&let_through(rules, surroundings, to))
    })
}

/// Every flow that can go to an address.
pub(super) fn everything(to: Lock) -> Region {
    Region::from(&Addresses::family(Family::of(to.address)))
}

/// The rules that decide about flows of a region, in order, each with its share: the flows that it is the
/// first to match. A rule without a share is left out; all shares together are the region.
pub fn shares<'a>(
    group: &'a SecurityGroup,
    surroundings: &'a Surroundings,
    to: Lock,
    region: Region,
) -> impl Iterator<Item = (&'a SecurityRule, Region)> {
    let mut left = region;
    group.in_order(Direction::Inbound).filter_map(move |rule| {
        if left.is_empty() {
            return None;
        }
        let share = matched(rule, surroundings, to)?.intersection(&left);
        if share.is_empty() {
            return None;
        }
        left = left.minus(&share);
        Some((rule, share))
    })
}

/// The own rules that drop TCP to a port, by their numbers, each with where that comes from; whether an
/// earlier rule lets some of it through is not asked.
pub(crate) fn denies(
    group: &SecurityGroup,
    surroundings: &Surroundings,
    to: Lock,
) -> impl Iterator<Item = (Priority, Addresses)> {
    group
        .own_in_order(Direction::Inbound)
        .filter(|rule| {
            rule.access() == Access::Deny && rule.protocol().covers_transport(Transport::Tcp)
        })
        .filter(move |rule| rule.is_to(to, surroundings))
        .map(|rule| (rule.priority(), surroundings.addresses(rule.places(Side::Source))))
}

/// The flows to a port that a rule matches; none where it says nothing about that port.
fn matched(rule: &SecurityRule, surroundings: &Surroundings, to: Lock) -> Option<Region> {
    if !rule.is_to(to, surroundings) {
        return None;
    }
    let addresses = surroundings.addresses(rule.places(Side::Source));
    let ports = rule.ports(Side::Source).ranges();
    let of = |transport| Region::of(transport, ports, &addresses);
    let transports = Transport::ALL.into_iter();
    let covered = transports.filter(|transport| rule.protocol().covers_transport(*transport));
    Some(covered.fold(Region::nothing(), |all, transport| all.union(&of(transport))))
}
