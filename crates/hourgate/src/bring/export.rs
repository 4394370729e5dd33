//! What stands, as a file that can be applied again.

use serde_json::Value;

use super::{compare::meant, live::Live, manifest, order::ordered, thing::Wanted};

/// The file of everything that stands: in the order in which it can be made, and within that by type and
/// name, so that two exports of the same are the same text.
pub(crate) fn file(live: &Live) -> Value {
    let all: Vec<Wanted> = live
        .all()
        .map(|(thing, body)| Wanted {
            thing: thing.clone(),
            body: meant(thing, body),
            after: Vec::new(),
        })
        .collect();
    // What stands can be made, so it has an order.
    let order = ordered(&all).unwrap_or_else(|_| (0..all.len()).collect());
    let listed = order.into_iter().map(|index| (all[index].thing.clone(), all[index].body.clone()));
    manifest::file(&listed.collect::<Vec<_>>())
}
