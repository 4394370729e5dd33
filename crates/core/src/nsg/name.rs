//! A rule's name and description: short texts with Azure's bounds.

use std::{
    cmp::Ordering,
    fmt,
    hash::{Hash, Hasher},
    str::FromStr,
};

use serde::{Deserialize, Serialize};

/// Longest name of a rule, in characters (Azure's).
pub const RULE_NAME_CHARS_MAX: usize = 80;
/// Longest description of a rule, in UTF-16 code units (Azure's 140, counted as .NET counts).
pub const DESCRIPTION_UNITS_MAX: usize = 140;

/// A rule's name: 1 to 80 ASCII letters, digits, `_`, `.` and `-`, compared without case.
///
/// It begins and ends with a letter, a digit or `_`. Azure's "word character" may hold other scripts; here
/// a look-alike letter or a direction character in a name that decides access is worth nothing to anybody
/// honest.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct RuleName(String);

/// The text is no rule's name: see [`RuleName`] for what is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotARuleName;

impl RuleName {
    /// As it was written.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    // INVARIANT: the caller's text fits the rules of a name; the tests parse what is made here.
    pub(super) fn known(text: String) -> RuleName {
        RuleName(text)
    }

    fn folded_bytes(&self) -> impl Iterator<Item = u8> + '_ {
        self.0.bytes().map(|byte| byte.to_ascii_lowercase())
    }
}

/// Whether a character can stand anywhere in a name.
pub(super) fn is_of_a_name(c: char) -> bool {
    is_word(c) || c == '.' || c == '-'
}

fn is_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}

impl FromStr for RuleName {
    type Err = NotARuleName;

    fn from_str(text: &str) -> Result<RuleName, NotARuleName> {
        let fits = text.len() <= RULE_NAME_CHARS_MAX
            && text.starts_with(is_word)
            && text.ends_with(is_word)
            && text.chars().all(is_of_a_name);
        if fits { Ok(RuleName(text.to_owned())) } else { Err(NotARuleName) }
    }
}

impl TryFrom<String> for RuleName {
    type Error = &'static str;

    fn try_from(text: String) -> Result<RuleName, &'static str> {
        text.parse().map_err(|NotARuleName| "not a rule's name")
    }
}

impl From<RuleName> for String {
    fn from(name: RuleName) -> String {
        name.0
    }
}

impl fmt::Display for RuleName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl PartialEq for RuleName {
    fn eq(&self, other: &RuleName) -> bool {
        self.0.eq_ignore_ascii_case(&other.0)
    }
}

impl Eq for RuleName {}

impl Hash for RuleName {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.to_ascii_lowercase().hash(state);
    }
}

impl PartialOrd for RuleName {
    fn partial_cmp(&self, other: &RuleName) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for RuleName {
    fn cmp(&self, other: &RuleName) -> Ordering {
        self.folded_bytes().cmp(other.folded_bytes())
    }
}

/// A rule's description: up to 140 UTF-16 code units of anything.
///
/// It is somebody else's text: whoever shows it escapes it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Description(String);

/// The text is longer than a description can be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DescriptionTooLong {
    /// How long it is, in UTF-16 code units.
    pub units: usize,
}

impl Description {
    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    // INVARIANT: the caller's text is short enough; the tests parse what is made here.
    pub(crate) fn known(text: String) -> Description {
        Description(text)
    }
}

impl FromStr for Description {
    type Err = DescriptionTooLong;

    fn from_str(text: &str) -> Result<Description, DescriptionTooLong> {
        let units = text.encode_utf16().count();
        if units > DESCRIPTION_UNITS_MAX {
            return Err(DescriptionTooLong { units });
        }
        Ok(Description(text.to_owned()))
    }
}

impl TryFrom<String> for Description {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Description, &'static str> {
        text.parse().map_err(|DescriptionTooLong { .. }| "longer than a description can be")
    }
}

impl From<Description> for String {
    fn from(description: Description) -> String {
        description.0
    }
}
