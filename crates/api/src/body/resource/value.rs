//! Values that resources of several kinds have.

use std::str::FromStr;

use hourgate_core::id::Name;
use ipnet::IpNet;

use super::super::{
    json::Json,
    object::{Object, Problems},
    value::{list, text},
};
use crate::text::quoted;

/// `{"id": "…"}`: what else stands in it somebody read here before.
pub(super) fn reference<T: FromStr>(
    json: Json,
    path: &str,
    what: &str,
    problems: &mut Problems,
) -> Option<T> {
    let mut object = Object::of(json, path, problems)?;
    let needed = format!("the resource id of {what}");
    let sent = object.required("id", &needed, problems)?;
    let path = object.path_of("id");
    let sent = text(sent, &path, &needed, problems)?;
    let id = sent.parse().ok();
    if id.is_none() {
        problems.value(&path, format!("{} is no resource id of {what}.", quoted(&sent)));
    }
    id
}

/// A property that is such a reference; the inner none where it is not there.
#[expect(
    clippy::option_option,
    reason = "outside: whether it could be read; inside: whether it is there"
)]
pub(super) fn referred<T: FromStr>(
    properties: &mut Object,
    of: &'static str,
    what: &str,
    problems: &mut Problems,
) -> Option<Option<T>> {
    let Some(json) = properties.optional(of) else { return Some(None) };
    reference(json, &properties.path_of(of), what, problems).map(Some)
}

/// A list of such; empty where it is not there.
pub(super) fn references<T: FromStr>(
    json: Option<Json>,
    path: &str,
    what: &str,
    problems: &mut Problems,
) -> Option<Vec<T>> {
    let Some(json) = json else { return Some(Vec::new()) };
    let items = list(json, path, "a list of references", problems)?;
    let count = items.len();
    let read: Vec<T> = items
        .into_iter()
        .filter_map(|(path, json)| reference(json, &path, what, problems))
        .collect();
    (read.len() == count).then_some(read)
}

/// Texts under a name for one and a name for several; both may be there, as clients send back what they read.
/// Whether a list with something in it was sent says the second.
pub(super) fn one_or_many(
    object: &mut Object,
    (one, many): (&'static str, &'static str),
    problems: &mut Problems,
) -> Option<(Vec<String>, bool)> {
    let mut texts = Vec::new();
    let mut right = true;
    if let Some(json) = object.optional(one) {
        match text(json, &object.path_of(one), "a text", problems) {
            Some(sent) => texts.extend((!sent.is_empty()).then_some(sent)),
            None => right = false,
        }
    }
    let mut listed = false;
    if let Some(json) = object.optional(many) {
        match list(json, &object.path_of(many), "a list of texts", problems) {
            Some(items) => {
                listed = !items.is_empty();
                for (path, json) in items {
                    match text(json, &path, "a text", problems) {
                        Some(sent) => texts.push(sent),
                        None => right = false,
                    }
                }
            }
            None => right = false,
        }
    }
    right.then_some((texts, listed))
}

/// Prefixes. Host bits are for the rules to say.
pub(super) fn prefixes(
    texts: Vec<String>,
    path: &str,
    problems: &mut Problems,
) -> Option<Vec<IpNet>> {
    let count = texts.len();
    let read: Vec<IpNet> = texts
        .into_iter()
        .filter_map(|sent| {
            let prefix = sent.parse().ok();
            if prefix.is_none() {
                let message = format!(
                    "{} is no address prefix: IPv4 or IPv6 with a length is accepted, such as '10.0.0.0/24'.",
                    quoted(&sent)
                );
                problems.value(path, message);
            }
            prefix
        })
        .collect();
    (read.len() == count).then_some(read)
}

/// The name of a part in a list.
pub(super) fn name(object: &mut Object, problems: &mut Problems) -> Option<String> {
    let sent = object.required("name", "a name", problems)?;
    text(sent, &object.path_of("name"), "a name", problems)
}

/// A name as resources have them.
pub(super) fn resource_name(sent: &str, path: &str, problems: &mut Problems) -> Option<Name> {
    let name = sent.parse().ok();
    if name.is_none() {
        let message = format!(
            "{} is no name: 1 to 90 ASCII letters, digits and '-', '_', '.', '(', ')' are accepted, with no '-' \
             or '.' at the beginning and no '.' at the end.",
            quoted(sent)
        );
        problems.value(path, message);
    }
    name
}
