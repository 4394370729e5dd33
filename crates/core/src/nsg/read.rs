//! Reads the lists of a rule: texts in, ports and places out, or every fault of the list at once.

use std::collections::BTreeSet;

use super::{
    fault::RuleFault,
    id::AsgId,
    place::{ASGS_PER_SIDE_MAX, AsgList, Place, Places, Prefix, PrefixList, ServiceTag},
    port::{PortList, PortRange, Ports},
    word::Side,
};
use crate::network::Family;

/// The ports of one side; none where something is wrong, which `faults` then tells.
pub(super) fn ports(side: Side, texts: &[String], faults: &mut Vec<RuleFault>) -> Option<Ports> {
    let known = faults.len();
    let mut ranges = Vec::new();
    let mut seen = BTreeSet::new();
    for text in texts.iter().filter(|text| *text != "*") {
        match text.parse::<PortRange>() {
            Ok(range) if seen.insert(range) => ranges.push(range),
            Ok(_) => faults.push(RuleFault::PortTwice { side, value: text.clone() }),
            Err(problem) => faults.push(RuleFault::Port { side, value: text.clone(), problem }),
        }
    }
    let stars = texts.iter().filter(|text| *text == "*").count();
    if texts.is_empty() {
        faults.push(RuleFault::NoPort { side });
    } else if stars > 0 && texts.len() > 1 {
        faults.push(RuleFault::PortNotAlone { side });
    }
    let ports = if stars > 0 { Ports::Any } else { Ports::Listed(PortList(ranges)) };
    (faults.len() == known).then_some(ports)
}

/// The places that texts name, by kind, each with its text.
#[derive(Default)]
struct Named {
    any: bool,
    tags: Vec<ServiceTag>,
    prefixes: Vec<Prefix>,
    asgs: Vec<AsgId>,
}

/// The places of one side; none where something is wrong, which `faults` then tells.
pub(super) fn places(side: Side, texts: &[String], faults: &mut Vec<RuleFault>) -> Option<Places> {
    let known = faults.len();
    if texts.is_empty() {
        faults.push(RuleFault::NoPlace { side });
    }
    let Named { any, tags, prefixes, asgs } = named(side, texts, faults);
    let alone = any.then_some("*").into_iter().chain(tags.iter().map(|tag| tag.as_str()));
    if texts.len() > 1 {
        let beside = |value: &str| RuleFault::PlaceNotAlone { side, value: value.to_owned() };
        faults.extend(alone.map(beside));
    }
    if !prefixes.is_empty() && !asgs.is_empty() {
        faults.push(RuleFault::AsgBesidePrefix { side });
    }
    if asgs.len() > ASGS_PER_SIDE_MAX {
        let (count, most) = (asgs.len(), ASGS_PER_SIDE_MAX);
        faults.push(RuleFault::TooManyAsgs { side, count, most });
    }
    if faults.len() > known {
        return None;
    }
    // From here on one kind stands alone.
    Some(match tags.first() {
        Some(tag) => Places::Tag(*tag),
        None if any => Places::Any,
        None if asgs.is_empty() => Places::Prefixes(PrefixList(prefixes)),
        None => Places::Asgs(AsgList(asgs)),
    })
}

fn named(side: Side, texts: &[String], faults: &mut Vec<RuleFault>) -> Named {
    let mut named = Named::default();
    for text in texts {
        let place = match text.parse::<Place>() {
            Ok(place) => place,
            Err(problem) => {
                faults.push(RuleFault::Place { side, value: text.clone(), problem });
                continue;
            }
        };
        let twice = match place {
            Place::Any => std::mem::replace(&mut named.any, true),
            Place::Tag(tag) => put(&mut named.tags, tag, |a, b| a == b),
            Place::Prefix(prefix) => put(&mut named.prefixes, prefix, |a, b| a.net() == b.net()),
            Place::Asg(asg) => put(&mut named.asgs, asg, |a, b| a == b),
        };
        if twice {
            faults.push(RuleFault::PlaceTwice { side, value: text.clone() });
        }
    }
    named
}

/// Adds what is not there yet; whether it was there.
fn put<T>(list: &mut Vec<T>, new: T, same: fn(&T, &T) -> bool) -> bool {
    let twice = list.iter().any(|old| same(old, &new));
    if !twice {
        list.push(new);
    }
    twice
}

/// A rule speaks of one family: its prefixes on both sides are of IPv4 or of IPv6.
pub(super) fn one_family(sources: &[Prefix], destinations: &[Prefix]) -> Option<RuleFault> {
    let of = |family| {
        sources.iter().chain(destinations).find(|prefix| Family::of_net(prefix.net()) == family)
    };
    let (ipv4, ipv6) = (of(Family::V4)?.to_string(), of(Family::V6)?.to_string());
    Some(RuleFault::FamiliesMixed { ipv4, ipv6 })
}
