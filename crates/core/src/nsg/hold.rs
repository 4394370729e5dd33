//! A lock is an invariant: which new flows would a change let through that nobody granted?

use super::{
    group::SecurityGroup, judge::Layers, passing::passing, region::Region, rule::SecurityRule,
    surroundings::Surroundings,
};
use crate::network::Lock;

/// What reaches a locked port without any grant: what is let through if the grants' own rules are left out.
///
/// `is_grant` says which rules of a group are grants'.
pub fn standing(
    layers: Layers<'_>,
    surroundings: &Surroundings,
    to: Lock,
    is_grant: impl Fn(&SecurityGroup, &SecurityRule) -> bool,
) -> Region {
    let without = |group: &SecurityGroup| group.without(|rule| is_grant(group, rule));
    let (subnet, nic) = (layers.subnet.map(without), layers.nic.map(without));
    passing(Layers { subnet: subnet.as_ref(), nic: nic.as_ref() }, surroundings, to)
}

/// What a change would newly let through to a locked port that is not granted; none if it may be made.
///
/// `before` and `after` are what is [`standing`] on both sides of the change, be it a rule, a group, a NIC,
/// a subnet, or what a name stands for. Taken from [`passing`] instead, a rule for a source that has a grant
/// would hide behind the grant and outlive it: nothing new passes while the grant runs, and its end then
/// closes nothing. For the same reason `granted` is what the change itself is entitled to open, nothing for
/// most, and never the grants that happen to run.
pub fn breaks(before: &Region, granted: &Region, after: &Region) -> Option<Region> {
    let new = after.minus(before).minus(granted);
    (!new.is_empty()).then_some(new)
}
