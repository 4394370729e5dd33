//! Which flows to a port rules let through, the first that matches deciding: worked out for one span of source ports
//! after the other, and in each by one walk over the addresses.
//!
//! Rule by rule, what is left would be rewritten as often as there are rules: a thousand that name ports of their own
//! would take minutes in which nothing else is decided.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use super::{
    addresses::Addresses,
    flow::Transport,
    port::PortRange,
    region::Region,
    rule::SecurityRule,
    spans::Spans,
    surroundings::Surroundings,
    word::{Access, Side},
};
use crate::network::{Family, Lock};

/// A rule that says something of the port, and from where.
struct Said<'a> {
    rule: &'a SecurityRule,
    sources: Addresses,
}

/// What rules in order let through to a port. A flow that none matches is not let through.
pub(super) fn let_through<'a>(
    rules: impl Iterator<Item = &'a SecurityRule>,
    surroundings: &Surroundings,
    to: Lock,
) -> Region {
    let family = Family::of(to.address);
    let said = rules
        .filter(|rule| rule.is_to(to, surroundings))
        .map(|rule| Said { rule, sources: surroundings.addresses(rule.places(Side::Source)) });
    let said: Vec<Said<'_>> = said.filter(|said| !said.sources.spans(family).is_empty()).collect();
    // Many spans of ports are about the same rules, and so are most transports.
    let mut known: BTreeMap<Vec<usize>, Arc<Addresses>> = BTreeMap::new();
    let each = Transport::ALL.into_iter().map(|transport| {
        let over = |place: &usize| said[*place].rule.protocol().covers_transport(transport);
        let over: Vec<usize> = (0..said.len()).filter(over).collect();
        let slabs = between(over.iter().map(|place| said[*place].rule)).into_iter().map(|ports| {
            let about =
                |place: &usize| said[*place].rule.ports(Side::Source).contains(ports.first());
            let about: Vec<usize> = over.iter().copied().filter(about).collect();
            let found = known.entry(about).or_insert_with_key(|about| {
                Arc::new(Addresses::of_spans(family, swept(&said, about, family)))
            });
            (ports, Arc::clone(found))
        });
        Region::of_slabs(transport, slabs)
    });
    each.fold(Region::nothing(), |all, region| all.union(&region))
}

/// Spans of source ports within which no rule begins or ends to match, in order: all ports together.
fn between<'a>(rules: impl Iterator<Item = &'a SecurityRule>) -> Vec<PortRange> {
    let mut begins = BTreeSet::from([0]);
    for range in rules.flat_map(|rule| rule.ports(Side::Source).ranges()) {
        begins.insert(range.first());
        begins.extend(range.last().checked_add(1));
    }
    let ends = begins.iter().skip(1).map(|next| next - 1).chain([u16::MAX]);
    begins.iter().zip(ends).filter_map(|(first, last)| PortRange::new(*first, last)).collect()
}

/// The addresses from which these rules, given by their places, let flows through: a walk from one address where
/// one of them begins or ends to match to the next.
fn swept(said: &[Said<'_>], about: &[usize], family: Family) -> Spans {
    let mut turns: Vec<(u128, usize, bool)> = Vec::new();
    for place in about {
        for (first, last) in said[*place].sources.spans(family).as_slice() {
            turns.push((*first, *place, true));
            turns.extend(last.checked_add(1).map(|behind| (behind, *place, false)));
        }
    }
    turns.sort_unstable();
    let allowed = |matching: &BTreeSet<usize>| {
        let first = matching.first();
        first.is_some_and(|place| said[*place].rule.access() == Access::Allow)
    };
    let (mut matching, mut from) = (BTreeSet::new(), 0);
    let mut found = Vec::new();
    for (at, place, begins) in turns {
        // Where several turn at one address, only the last of them says what holds from there on.
        if at > from && allowed(&matching) {
            found.push((from, at - 1));
        }
        from = at;
        if begins {
            matching.insert(place);
        } else {
            matching.remove(&place);
        }
    }
    if allowed(&matching) {
        found.push((from, u128::MAX));
    }
    Spans::many(found)
}
