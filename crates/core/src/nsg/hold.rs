//! A lock is an invariant: which new flows would a change let through that nobody granted?

use super::{
    id::GroupId,
    judge::Layers,
    passing::everything,
    region::Region,
    surroundings::Surroundings,
    sweep::let_through,
    word::{Direction, Priority},
};
use crate::network::Lock;

/// Where a lock's deny stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place<'a> {
    /// In which group. It may be none of those that stand before the address by now.
    pub group: &'a GroupId,
    /// Its number.
    pub priority: Priority,
}

/// What reaches a locked port without any grant: what every layer lets through, and in the group of the deny
/// what is decided before it.
///
/// Grants' rules stand beside the groups, not in them, so nothing has to be left out.
pub fn standing(
    layers: Layers<'_>,
    surroundings: &Surroundings,
    to: Lock,
    deny: &Place<'_>,
) -> Region {
    layers.in_order(Direction::Inbound).fold(everything(to), |left, (_, group)| {
        let before = group
            .in_order(Direction::Inbound)
            .take_while(|rule| group.id() != deny.group || rule.priority() < deny.priority);
        left.intersection(&let_through(before, surroundings, to))
    })
}

/// What a change would newly let through to a locked port that is not granted; none if it may be made.
///
/// `before` and `after` are what is [`standing`] on both sides of the change, be it a rule, a group, a NIC,
/// a subnet, or what a name stands for. Taken from [`super::passing::passing`] instead, a rule for a source
/// that has a grant would hide behind the grant and outlive it: nothing new passes while the grant runs, and
/// its end then closes nothing. For the same reason `granted` is what the change itself is entitled to open,
/// nothing for most, and never the grants that happen to run.
pub fn breaks(before: &Region, granted: &Region, after: &Region) -> Option<Region> {
    let new = after.minus(before).minus(granted);
    (!new.is_empty()).then_some(new)
}
