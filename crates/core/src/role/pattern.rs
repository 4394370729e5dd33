//! Patterns of actions in role definitions: `Microsoft.Compute/*/read`, compared without case.

use std::{fmt, str::FromStr, sync::Arc};

use serde::{Deserialize, Serialize};

/// Longest pattern, in characters; Azure's longest action has about 200.
pub const PATTERN_CHARS_MAX: usize = 512;

/// An action, or many by `*`, which stands for any text, slashes too (Azure's meaning).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Pattern(Arc<str>);

/// The text is no pattern: empty, too long, or with characters that no action has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotAPattern;

impl Pattern {
    /// As it was written.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it stands for an action.
    pub fn matches(&self, action: &str) -> bool {
        matches(self.0.as_bytes(), action.as_bytes())
    }
}

/// In time that grows with the product of both lengths, not faster: patterns come from people.
fn matches(pattern: &[u8], action: &[u8]) -> bool {
    let (mut p, mut a) = (0, 0);
    // Where to go on when what follows the last `*` did not fit: one character later.
    let mut retry: Option<(usize, usize)> = None;
    while a < action.len() {
        match pattern.get(p) {
            Some(b'*') => {
                retry = Some((p, a));
                p += 1;
            }
            Some(byte) if byte.eq_ignore_ascii_case(&action[a]) => {
                p += 1;
                a += 1;
            }
            Some(_) | None => match retry {
                Some((star, from)) => {
                    retry = Some((star, from + 1));
                    (p, a) = (star + 1, from + 1);
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|byte| *byte == b'*')
}

impl FromStr for Pattern {
    type Err = NotAPattern;

    fn from_str(text: &str) -> Result<Pattern, NotAPattern> {
        let fits = |c: char| c.is_ascii_alphanumeric() || "*/._-".contains(c);
        let whole = text.split('/').all(|segment| !segment.is_empty());
        // `*` alone is everything; all else names a provider first.
        let named = text == "*" || text.contains('/');
        if text.len() <= PATTERN_CHARS_MAX && text.chars().all(fits) && whole && named {
            Ok(Pattern(text.into()))
        } else {
            Err(NotAPattern)
        }
    }
}

impl TryFrom<String> for Pattern {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Pattern, &'static str> {
        text.parse().map_err(|NotAPattern| "not a pattern of actions")
    }
}

impl From<Pattern> for String {
    fn from(pattern: Pattern) -> String {
        pattern.as_str().to_owned()
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_any_text_and_case_does_not_count() {
        for (pattern, action, fits) in [
            ("*", "Microsoft.Compute/virtualMachines/read", true),
            ("*/read", "Microsoft.Compute/virtualMachines/read", true),
            ("*/read", "Microsoft.Compute/virtualMachines/write", false),
            ("microsoft.compute/*", "Microsoft.Compute/virtualMachines/read", true),
            ("Microsoft.Compute/*/read", "Microsoft.Compute/virtualMachines/read", true),
            ("Microsoft.Compute/*/read", "Microsoft.Compute/read", false),
            ("Microsoft.Comp*/read", "Microsoft.Compute/a/b/read", true),
            ("Microsoft.Compute/virtualMachines", "Microsoft.Compute/virtualMachines/read", false),
            (
                "Microsoft.Compute/virtualMachines/read",
                "Microsoft.Compute/virtualMachines/re",
                false,
            ),
            ("a/**/b", "A/x/B", true),
            ("x/*a*b", "x/xaxxbxb", true),
            ("x/*a*b", "x/xaxxbx", false),
        ] {
            let pattern: Pattern = pattern.parse().expect("a pattern");
            assert_eq!(pattern.matches(action), fits, "{pattern} {action}");
        }
    }

    #[test]
    fn what_is_no_pattern_is_none() {
        for text in ["", "read", "a//b", "/a/b", "a/b/", "a/b c", "a/\u{202e}b", "a/b?"] {
            assert_eq!(text.parse::<Pattern>(), Err(NotAPattern), "{text:?}");
        }
    }
}
