//! Where a lock's deny goes, and what becomes of the rules that let the port through today (product P2).
//!
//! A narrow allow stays in force if it stands before the first allow from any source: there, and only there,
//! it is what lets its flows through today. So the deny goes into the gap between the last of these and the
//! first allow from any source, at the highest free number: 4096 counting down where there is none from any
//! source, else the nearest below it. A gap without a free number is refused, naming the rules on both
//! its ends: nobody's rule is renumbered, and no exception is cut off unasked. A narrow allow behind the
//! first from any source decides nothing today that the other does not decide before it; behind the deny
//! it would decide nothing at all, and is told as shadowed.

use serde::{Deserialize, Serialize};

use super::{
    addresses::Addresses,
    band::is_full,
    group::RULES_PER_GROUP_MAX,
    hold::{self, Place},
    id::GroupId,
    judge::{Layer, Layers},
    name::RuleName,
    numbers::Numbers,
    place::{Places, Prefix, ServiceTag},
    port::Ports,
    region::Region,
    rule::SecurityRule,
    surroundings::Surroundings,
    word::{Access, Direction, PRIORITY_MAX, PRIORITY_MIN, Priority, Protocol, Side},
};
use crate::network::{Family, Lock, Source};

/// What becomes of standing exceptions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Exceptions {
    /// They stay, as in Azure.
    #[default]
    Stay,
    /// The deny goes before them too (`--remove-standing`). Their rules are left as they are.
    Taken,
}

/// Where a deny goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lockdown {
    /// Which group it lies in: the NIC's, and where the NIC has none the subnet's.
    pub layer: Layer,
    /// That group.
    pub group: GroupId,
    /// Its number.
    pub priority: Priority,
    /// Allows from any source: what the lock is there to close.
    pub any_source: Vec<AnySource>,
    /// Allows with a narrow source before the deny: they stay in force as far as other rules let them.
    pub standing: Vec<Numbered>,
    /// Allows with a narrow source behind the deny: they have no effect on the port any more.
    pub shadowed: Vec<Numbered>,
    /// What still reaches the port without a grant, through both layers: what the standing exceptions let
    /// through. Nothing where there are none.
    pub left: Region,
}

/// A rule of the group, by name and number.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Numbered {
    /// Its name.
    pub rule: RuleName,
    /// Its number.
    pub priority: Priority,
}

/// A rule that lets the port through from any source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AnySource {
    /// Which.
    pub rule: Numbered,
    /// Why its source counts as any.
    pub why: WhyAny,
}

/// Why a source counts as any (product P2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WhyAny {
    /// `*`.
    Star,
    /// `Internet` or `VirtualNetwork`, whatever they stand for today.
    Tag(ServiceTag),
    /// A prefix that is too short to name a place: shorter than /8, or /16 of IPv6.
    Short(Prefix),
    /// Its prefixes together cover the family.
    Covers(Family),
    /// With the narrow sources of other allow rules together they cover the family.
    Together(Family),
}

/// Why a port cannot be locked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "refusal", rename_all = "camelCase")]
pub enum LockdownRefusal {
    /// Neither the NIC nor its subnet has a group.
    MissingSecurityGroup,
    /// No number between the two rules is free. Renumber one of them, or take the standing exceptions too.
    NoFreeNumber {
        /// In which group.
        group: GroupId,
        /// The last standing exception before the first allow from any source; none: from 100 on.
        after: Option<Numbered>,
        /// The first allow that the deny must go before; none: up to 4096.
        before: Option<Numbered>,
    },
    /// The group has as many rules as it may.
    GroupFull {
        /// In which group.
        group: GroupId,
        /// How many it may.
        most: usize,
    },
}

/// Where the deny of a lock goes, for a NIC with these groups.
///
/// `ours` are the numbers that JIT's rules have in that group already. Where a machine has IPv4 and IPv6, each
/// address is a lock of its own, since no rule mixes them.
///
/// # Errors
/// [`LockdownRefusal`].
pub fn lockdown(
    layers: Layers<'_>,
    surroundings: &Surroundings,
    lock: Lock,
    exceptions: Exceptions,
    ours: &Numbers,
) -> Result<Lockdown, LockdownRefusal> {
    let Some((layer, group)) = layers.home() else {
        return Err(LockdownRefusal::MissingSecurityGroup);
    };
    let id = group.id().clone();
    if is_full(group, ours) {
        return Err(LockdownRefusal::GroupFull { group: id, most: RULES_PER_GROUP_MAX });
    }
    let allows = group
        .own_in_order(Direction::Inbound)
        .filter(|rule| lets_through(rule, surroundings, lock));
    let (any_source, narrow) = sorted_out(allows.collect(), surroundings, lock);
    let first_any = any_source.first().map(|any| any.rule.clone());
    let (after, before) = match exceptions {
        Exceptions::Stay => {
            let kept = |rule: &&Numbered| {
                first_any.as_ref().is_none_or(|any| rule.priority < any.priority)
            };
            (narrow.iter().rfind(kept).cloned(), first_any)
        }
        Exceptions::Taken => {
            let first = first_any.iter().chain(narrow.first()).min_by_key(|rule| rule.priority);
            (None, first.cloned())
        }
    };
    let from = after.as_ref().map_or(PRIORITY_MIN, |rule| rule.priority.number() + 1);
    let end = before.as_ref().map_or(PRIORITY_MAX + 1, |rule| rule.priority.number());
    let used = Numbers::of(group, Direction::Inbound).union(ours);
    let Some(priority) = used.last_free(from..end) else {
        return Err(LockdownRefusal::NoFreeNumber { group: id, after, before });
    };
    let (standing, shadowed) = narrow.into_iter().partition(|rule| rule.priority < priority);
    let left = hold::standing(layers, surroundings, lock, &Place { group: &id, priority });
    Ok(Lockdown { layer, group: id, priority, any_source, standing, shadowed, left })
}

/// The deny of a lock: every protocol, from everywhere, to its port.
pub fn deny_rule(name: RuleName, lock: Lock, priority: Priority) -> SecurityRule {
    SecurityRule::from_anywhere(
        name,
        priority,
        (Direction::Inbound, Access::Deny, Protocol::Any),
        (Places::address(lock.address), Ports::one(lock.port.number())),
    )
}

/// Whether a rule can let flows through to a port. Its source's names may stand for no address today.
fn lets_through(rule: &SecurityRule, surroundings: &Surroundings, lock: Lock) -> bool {
    let transport = match rule.protocol() {
        Protocol::Tcp | Protocol::Udp | Protocol::Any => true,
        Protocol::Icmp | Protocol::Esp | Protocol::Ah => false,
    };
    let of_family = |prefix: &Prefix| Family::of_net(prefix.net()) == Family::of(lock.address);
    transport
        && rule.access() == Access::Allow
        && rule.ports(Side::Destination).contains(lock.port.number())
        && surroundings.places_contain(rule.places(Side::Destination), lock.address)
        && rule.places(Side::Source).prefixes().iter().all(of_family)
}

/// The allows from any source, and the narrow ones, each in order.
fn sorted_out(
    allows: Vec<&SecurityRule>,
    surroundings: &Surroundings,
    lock: Lock,
) -> (Vec<AnySource>, Vec<Numbered>) {
    let family = Family::of(lock.address);
    let why = |rule: &SecurityRule| any_source(rule.places(Side::Source), family);
    let narrow_together = allows
        .iter()
        .filter(|rule| why(rule).is_none())
        .map(|rule| surroundings.addresses(rule.places(Side::Source)))
        .fold(Addresses::nothing(), |all, sources| all.union(&sources));
    // Many narrow rules that let the world in are no exceptions.
    let together = narrow_together.covers(family).then_some(WhyAny::Together(family));
    let (mut any, mut narrow) = (Vec::new(), Vec::new());
    for rule in allows {
        let numbered = Numbered { rule: rule.name().clone(), priority: rule.priority() };
        match why(rule).or(together) {
            Some(why) => any.push(AnySource { rule: numbered, why }),
            None => narrow.push(numbered),
        }
    }
    (any, narrow)
}

/// Why places as a source mean any; none if they are narrow.
///
/// The balancer's probes and the members of application security groups are named one by one.
pub fn any_source(places: &Places, family: Family) -> Option<WhyAny> {
    match places {
        Places::Any => Some(WhyAny::Star),
        Places::Tag(tag) => match tag {
            ServiceTag::Internet | ServiceTag::VirtualNetwork => Some(WhyAny::Tag(*tag)),
            ServiceTag::AzureLoadBalancer => None,
        },
        Places::Prefixes(prefixes) => {
            let prefixes = prefixes.as_slice();
            let is_short = |prefix: &&Prefix| Source::Prefix(prefix.net()).is_any();
            let short = prefixes.iter().find(is_short).map(|prefix| WhyAny::Short(*prefix));
            let all = || Addresses::of(prefixes.iter().map(|prefix| prefix.net()));
            short.or_else(|| all().covers(family).then_some(WhyAny::Covers(family)))
        }
        Places::Asgs(_) => None,
    }
}
