//! Objects taken apart property by property: what is missing, misspelt or left over is a problem.

use super::json::Json;
use crate::{
    error::{ArmError, Code, DETAILS_MAX, internal_error},
    text::quoted,
};

/// How many letters a misspelt name may differ by to be recognised.
const TYPOS_MAX: usize = 2;
/// A longer name is no misspelling of ours.
const NAME_CHARS_MAX: usize = 64;

/// Everything that is wrong with a body.
#[derive(Debug, Default)]
pub(super) struct Problems {
    kept: Vec<ArmError>,
    count: usize,
}

impl Problems {
    /// Something about its form: a wrong type, an unknown or a missing property.
    pub(super) fn form(&mut self, path: &str, message: String) {
        self.push(Code::InvalidRequestContent, path, message);
    }

    /// Something about a value.
    pub(super) fn value(&mut self, path: &str, message: String) {
        self.push(Code::InvalidParameter, path, message);
    }

    /// Something about a value for which Azure has a code of its own.
    pub(super) fn coded(&mut self, code: Code, path: &str, message: String) {
        self.push(code, path, message);
    }

    fn push(&mut self, code: Code, path: &str, message: String) {
        self.count += 1;
        if !self.is_full() {
            let error = ArmError::new(code, message);
            self.kept.push(if path.is_empty() { error } else { error.at(path) });
        }
    }

    /// Whether more problems are only counted.
    fn is_full(&self) -> bool {
        self.kept.len() >= DETAILS_MAX
    }

    /// What was read, if nothing is wrong with it.
    pub(super) fn or<T>(self, read: Option<T>) -> Result<T, ArmError> {
        match read {
            Some(read) if self.count == 0 => Ok(read),
            // Nothing read and no problem told would be a mistake of this crate.
            Some(_) | None if self.count == 0 => Err(internal_error()),
            Some(_) | None => {
                let more = self.count - self.kept.len();
                Err(ArmError::of_first(self.kept, more))
            }
        }
    }
}

/// An object, and which of its properties nobody took yet.
pub(super) struct Object {
    path: String,
    left: Vec<(String, Json)>,
    known: Vec<&'static str>,
}

impl Object {
    /// The value as an object.
    pub(super) fn of(json: Json, path: &str, problems: &mut Problems) -> Option<Object> {
        let Json::Object(left) = json else {
            problems.form(path, format!("{json} stands where an object is needed."));
            return None;
        };
        Some(Object { path: path.to_owned(), left, known: Vec::new() })
    }

    /// Where a property stands.
    pub(super) fn path_of(&self, name: &str) -> String {
        if self.path.is_empty() { name.to_owned() } else { format!("{}.{name}", self.path) }
    }

    /// A property, `null` included. Names are compared without case, as Azure's readers do.
    pub(super) fn take(&mut self, name: &'static str) -> Option<Json> {
        self.known.push(name);
        let index = self.left.iter().position(|(sent, _)| sent.eq_ignore_ascii_case(name))?;
        Some(self.left.remove(index).1)
    }

    /// A property that may be left out or `null`.
    pub(super) fn optional(&mut self, name: &'static str) -> Option<Json> {
        self.take(name).filter(|json| *json != Json::Null)
    }

    /// A property that must be there.
    pub(super) fn required(
        &mut self,
        name: &'static str,
        needed: &str,
        problems: &mut Problems,
    ) -> Option<Json> {
        let found = self.optional(name);
        if found.is_none() {
            problems.form(&self.path_of(name), format!("'{name}' is missing: {needed} is needed."));
        }
        found
    }

    /// Properties that clients send because they read them, and that say nothing.
    pub(super) fn overlook(&mut self, names: &[&'static str]) {
        self.left.retain(|(sent, _)| !names.iter().any(|name| sent.eq_ignore_ascii_case(name)));
    }

    /// Whatever nobody took, as it was sent.
    pub(super) fn rest(self) -> Vec<(String, Json)> {
        self.left
    }

    /// Whatever nobody took is kept, but for misspellings of names of ours: nobody else knows those.
    pub(super) fn suspect(&self, ours: &[&'static str], problems: &mut Problems) {
        for (sent, _) in &self.left {
            if let Some(name) = meant(sent, ours) {
                let path = self.path_of(&crate::text::escaped(sent, NAME_CHARS_MAX));
                let message = format!("Unknown property {}. Did you mean '{name}'?", quoted(sent));
                problems.form(&path, message);
            }
        }
    }

    /// Whatever nobody took is unknown.
    pub(super) fn close(self, problems: &mut Problems) {
        let known = self.known.join("', '");
        for (sent, _) in &self.left {
            if problems.is_full() {
                // A body holds hundreds of thousands of them: nobody reads what is only counted.
                problems.count += 1;
                continue;
            }
            let path = self.path_of(&crate::text::escaped(sent, NAME_CHARS_MAX));
            let meant = meant(sent, &self.known).map(|name| format!(" Did you mean '{name}'?"));
            let meant = meant.unwrap_or_default();
            let message =
                format!("Unknown property {}.{meant} Accepted here are '{known}'.", quoted(sent));
            problems.form(&path, message);
        }
    }
}

/// The known name that a sent one is a misspelling of.
fn meant(sent: &str, known: &[&'static str]) -> Option<&'static str> {
    if sent.len() > NAME_CHARS_MAX {
        return None;
    }
    let sent = sent.to_ascii_lowercase();
    let distances = known.iter().map(|name| (distance(&sent, &name.to_ascii_lowercase()), *name));
    distances.min().filter(|(distance, _)| *distance <= TYPOS_MAX).map(|(_, name)| name)
}

/// How many letters to insert, remove or replace (Levenshtein).
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, from) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, to) in b.iter().enumerate() {
            let replaced = diagonal + usize::from(from != *to);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}
