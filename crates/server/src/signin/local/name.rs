//! Names that people sign in with: letters that look like themselves, whatever their case.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// Longest name, in characters; a mail address of a long name fits.
pub(crate) const NAME_CHARS_MAX: usize = 64;

/// A name as it is compared: folded. Of ASCII alone, since a name that only looks like another is a trap for
/// whoever reads the log.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(crate) struct SignInName(String);

/// It is no name to sign in with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "A name to sign in with has 1 to {NAME_CHARS_MAX} letters (a to z), digits and . _ - + @, and begins \
     and ends with a letter or a digit."
)]
pub(crate) struct BadName;

impl SignInName {
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for SignInName {
    type Err = BadName;

    fn from_str(text: &str) -> Result<SignInName, BadName> {
        let is_inner = |c: char| c.is_ascii_alphanumeric() || "._-+@".contains(c);
        let is_edge = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric());
        let edges = is_edge(text.chars().next()) && is_edge(text.chars().next_back());
        if text.len() > NAME_CHARS_MAX || !edges || !text.chars().all(is_inner) {
            return Err(BadName);
        }
        Ok(SignInName(text.to_ascii_lowercase()))
    }
}

impl TryFrom<String> for SignInName {
    type Error = BadName;

    fn try_from(text: String) -> Result<SignInName, BadName> {
        text.parse()
    }
}

impl From<SignInName> for String {
    fn from(name: SignInName) -> String {
        name.0
    }
}

impl fmt::Display for SignInName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_what_it_looks_like() {
        for (text, name) in [
            ("Ann", Some("ann")),
            ("ann.example@Example.com", Some("ann.example@example.com")),
            ("a", Some("a")),
            ("7", Some("7")),
            ("", None),
            ("-ann", None),
            ("ann.", None),
            ("ann example", None),
            ("an\u{430}", None),
            ("ann\u{202e}", None),
            ("ann\n", None),
            ("ann/../bob", None),
            ("'; DROP TABLE--", None),
        ] {
            assert_eq!(
                text.parse::<SignInName>().ok().as_ref().map(SignInName::as_str),
                name,
                "{text}"
            );
        }
        assert!("a".repeat(NAME_CHARS_MAX).parse::<SignInName>().is_ok());
        assert_eq!("a".repeat(NAME_CHARS_MAX + 1).parse::<SignInName>(), Err(BadName));
    }
}
