//! Parts of a resource that have names: lists of objects with properties of their own.

use hourgate_core::id::Name;

use super::{
    super::{
        json::Json,
        object::{Object, Problems},
        value::list,
    },
    OVERLOOKED, Part,
    value::{name, resource_name},
};

/// Such a list; empty where it is not there. A name that is none is no reason to be silent about the rest of its part.
pub(super) fn parts<T>(
    sent: Option<Json>,
    (path, needed): (&str, &str),
    problems: &mut Problems,
    mut read: impl FnMut(Option<Name>, Object, &mut Problems) -> Option<T>,
) -> Option<Vec<T>> {
    let Some(sent) = sent else { return Some(Vec::new()) };
    let items = list(sent, path, needed, problems)?;
    let count = items.len();
    let mut all = Vec::new();
    for (path, json) in items {
        let Some(mut object) = Object::of(json, &path, problems) else { continue };
        let name = name(&mut object, problems)
            .and_then(|sent| resource_name(&sent, &object.path_of("name"), problems));
        all.extend(read(name, object, problems));
    }
    (all.len() == count).then_some(all)
}

/// The properties of a part, and what else was sent beside them.
pub(super) fn opened(
    mut object: Object,
    needed: &str,
    problems: &mut Problems,
) -> Option<(Object, Part)> {
    let properties = object.required("properties", needed, problems);
    let path = object.path_of("properties");
    object.overlook(&OVERLOOKED);
    let part = Part { top: object.rest(), ..Part::default() };
    Some((Object::of(properties?, &path, problems)?, part))
}
