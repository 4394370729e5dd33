//! What refers to what, and in which order things can be made.

use std::collections::{BTreeMap, BTreeSet};

use hourgate_core::id::Name;
use serde_json::Value;

use super::{
    compare::meant,
    thing::{Thing, Wanted},
};

/// A thing that a body refers to, and the subnet where it names one.
pub(super) type Reference = (Thing, Option<Name>);

/// Everything of ours that a body refers to, but the thing itself and its parts. Who refers to it is nothing that
/// it refers to, though the server says so too.
pub(super) fn references(thing: &Thing, body: &Value) -> BTreeSet<Reference> {
    let mut found = BTreeSet::new();
    collect(&meant(thing, body), &mut found);
    found.retain(|(other, _)| other != thing && Some(other) != whole(thing).as_ref());
    if let Some(whole) = whole(thing) {
        found.insert((whole, None));
    }
    found
}

/// What a part is part of.
fn whole(thing: &Thing) -> Option<Thing> {
    match thing {
        Thing::Part(id, ..) => Some(Thing::Resource(id.clone())),
        Thing::Resource(_) | Thing::Policy(_) => None,
    }
}

fn collect(value: &Value, found: &mut BTreeSet<Reference>) {
    match value {
        Value::String(text) if text.starts_with('/') => found.extend(Thing::of_id(text)),
        Value::Array(items) => items.iter().for_each(|item| collect(item, found)),
        Value::Object(object) => object.values().for_each(|value| collect(value, found)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// The order in which things can be made: each behind what it needs, otherwise as they came. A cycle is told
/// by the things on it.
///
/// Networks that are joined refer to each other, and that is meant: it orders nothing.
pub(super) fn ordered(wanted: &[Wanted]) -> Result<Vec<usize>, Vec<Thing>> {
    let index: BTreeMap<&Thing, usize> =
        wanted.iter().enumerate().map(|(index, wanted)| (&wanted.thing, index)).collect();
    let needs: Vec<BTreeSet<usize>> = wanted
        .iter()
        .enumerate()
        .map(|(own, wanted)| {
            let referred = references(&wanted.thing, &wanted.body).into_iter().map(|(it, _)| it);
            let referred =
                referred.filter(|other| !(wanted.thing.is_network() && other.is_network()));
            let all = referred.chain(wanted.after.iter().cloned());
            all.filter_map(|other| index.get(&other).copied()).filter(|it| *it != own).collect()
        })
        .collect();
    // Who waits for each, and for how many each waits: a file of thousands is gone through once.
    let mut waiting: Vec<Vec<usize>> = vec![Vec::new(); wanted.len()];
    for (own, needs) in needs.iter().enumerate() {
        needs.iter().for_each(|needed| waiting[*needed].push(own));
    }
    let mut left: Vec<usize> = needs.iter().map(BTreeSet::len).collect();
    let mut ready: BTreeSet<usize> = (0..wanted.len()).filter(|own| left[*own] == 0).collect();
    let mut order = Vec::with_capacity(wanted.len());
    while let Some(next) = ready.pop_first() {
        order.push(next);
        for own in &waiting[next] {
            left[*own] -= 1;
            if left[*own] == 0 {
                ready.insert(*own);
            }
        }
    }
    if order.len() == wanted.len() {
        return Ok(order);
    }
    Err(cycle(&needs, &left).into_iter().map(|own| wanted[own].thing.clone()).collect())
}

/// One cycle among what is left: whoever follows needs long enough comes back to where they were.
fn cycle(needs: &[BTreeSet<usize>], left: &[usize]) -> Vec<usize> {
    let mut path: Vec<usize> = Vec::new();
    let mut at = left.iter().position(|count| *count > 0);
    while let Some(own) = at {
        if let Some(from) = path.iter().position(|seen| *seen == own) {
            return path.split_off(from);
        }
        path.push(own);
        at = needs[own].iter().copied().find(|needed| left[*needed] > 0);
    }
    path
}

#[cfg(test)]
mod tests;
