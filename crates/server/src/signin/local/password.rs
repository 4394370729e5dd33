//! Which passwords are taken, and how they are compared: the same text whatever keyboard or system typed it.

use icu_normalizer::ComposingNormalizerBorrowed;

/// Shortest password, in characters. Of NIST SP 800-63B-4, section 3.1.1.2, for one that can stand alone: an
/// account need not have a second factor.
pub(crate) const PASSWORD_CHARS_MIN: usize = 15;
/// Longest password, in characters; more than any manager makes.
pub(crate) const PASSWORD_CHARS_MAX: usize = 128;
/// Longest text that is looked at as a password, in bytes: that many characters, of four bytes each.
const PASSWORD_BYTES_MAX: usize = PASSWORD_CHARS_MAX * 4;
/// How many characters must be left of a password without what everybody tries first.
const OWN_CHARS_MIN: usize = 8;
/// From how many on characters in a row, like `abc`, `321` or `aaa`, are no more than one.
const ROW_MIN: usize = 3;
/// Shortest name that a password must not lean on: a shorter one is in many good passwords by chance.
const NAME_CHARS_MIN: usize = 4;

/// What everybody tries first. Short on purpose: with fifteen characters the lists of leaked passwords are
/// mostly these, put together.
const COMMON: [&str; 24] = [
    "hourgate",
    "password",
    "passwort",
    "passw0rd",
    "p@ssw0rd",
    "p@ssword",
    "qwertyuiop",
    "qwertz",
    "qwerty",
    "azerty",
    "asdfghjkl",
    "asdfgh",
    "zxcvbnm",
    "letmein",
    "welcome",
    "iloveyou",
    "admin",
    "administrator",
    "changeme",
    "secret",
    "dragon",
    "monkey",
    "football",
    "1q2w3e4r",
];

/// Why a password is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum PasswordFault {
    /// It is too short.
    #[error(
        "A password has at least {PASSWORD_CHARS_MIN} characters; a few words make a good one."
    )]
    TooShort,
    /// It is too long.
    #[error("A password has at most {PASSWORD_CHARS_MAX} characters.")]
    TooLong,
    /// It holds a line break, a tab or another control character, which many fields cannot take.
    #[error("A password has no line breaks, tabs or other control characters.")]
    Control,
    /// It is little more than a name, a common password, or characters in a row.
    #[error(
        "This password is among the first that are tried: it leans on a name, on a common password or on \
         characters in a row."
    )]
    Common,
}

/// A password as it is compared: composed (NFC), every space a plain one (RFC 8265, section 4.2.2).
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Password(String);

impl Password {
    /// What somebody typed to sign in; none where no account can have it as its password.
    pub(crate) fn typed(text: &str) -> Option<Password> {
        // Before it is composed: that costs as much as there is.
        if text.len() > PASSWORD_BYTES_MAX {
            return None;
        }
        let spaced: String = text.chars().map(|c| if is_space(c) { ' ' } else { c }).collect();
        let composed = ComposingNormalizerBorrowed::new_nfc().normalize(&spaced).into_owned();
        Some(Password(composed))
    }

    /// What somebody wants as the password of an account with those names.
    pub(crate) fn chosen(text: &str, names: &[&str]) -> Result<Password, PasswordFault> {
        let password = Password::typed(text).ok_or(PasswordFault::TooLong)?;
        let length = password.0.chars().count();
        if password.0.chars().any(char::is_control) {
            return Err(PasswordFault::Control);
        }
        if length < PASSWORD_CHARS_MIN {
            return Err(PasswordFault::TooShort);
        }
        if length > PASSWORD_CHARS_MAX {
            return Err(PasswordFault::TooLong);
        }
        if own_chars(&password.0, names) < OWN_CHARS_MIN {
            return Err(PasswordFault::Common);
        }
        Ok(password)
    }

    /// Its bytes, for hashing alone.
    pub(super) fn bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

/// The spaces of Unicode besides the plain one (general category Zs).
fn is_space(c: char) -> bool {
    matches!(
        c,
        '\u{a0}' | '\u{1680}' | '\u{2000}'..='\u{200a}' | '\u{202f}' | '\u{205f}' | '\u{3000}'
    )
}

/// How many characters of a password are its own: not a name's, not a common password's, not the next of a
/// row, and of what repeats itself only the first.
fn own_chars(password: &str, names: &[&str]) -> usize {
    let mut rest = password.to_lowercase();
    let names = names.iter().flat_map(|name| name.split(['@', '.', ' ', '-', '_']));
    let names = names.map(str::to_lowercase).filter(|name| name.chars().count() >= NAME_CHARS_MIN);
    let common = COMMON.iter().map(|word| (*word).to_owned());
    let mut words: Vec<String> = names.chain(common).collect();
    // The longest first: of `administrator` nothing must be left because `admin` was taken out before.
    words.sort_by_key(|word| std::cmp::Reverse(word.len()));
    for word in words {
        rest = rest.replace(&word, "");
    }
    let rest = without_rows(&rest);
    period(&rest)
}

/// Of characters that follow one another, or are the same, the first alone.
fn without_rows(text: &str) -> Vec<char> {
    let chars: Vec<char> = text.chars().collect();
    let step = |a: char, b: char| i64::from(u32::from(b)) - i64::from(u32::from(a));
    let mut kept = Vec::new();
    let mut at = 0;
    while let Some(&first) = chars.get(at) {
        let way = chars.get(at + 1).map(|next| step(first, *next));
        let run = match way {
            Some(way @ -1..=1) => {
                let pairs = chars.get(at..).unwrap_or_default().windows(2);
                1 + pairs.take_while(|pair| step(pair[0], pair[1]) == way).count()
            }
            Some(_) | None => 1,
        };
        kept.push(first);
        at += if run >= ROW_MIN { run } else { 1 };
    }
    kept
}

/// The length of the shortest piece that a text is made of, again and again.
fn period(text: &[char]) -> usize {
    let repeats = |length: &usize| text.iter().zip(text.iter().skip(*length)).all(|(a, b)| a == b);
    (1..text.len()).find(repeats).unwrap_or(text.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(text: &str) -> Option<PasswordFault> {
        Password::chosen(text, &["ann.example@example.com", "Ann Example"]).err()
    }

    #[test]
    fn a_good_password_is_long_and_its_own() {
        use PasswordFault::{Common, Control, TooLong, TooShort};
        for (text, refused) in [
            ("correct horse battery", None),
            ("Xq7 vLmw0 zzKp1a", None),
            ("шесть белых лошадей", None),
            ("🐎🔋📎🌍🐎🦊🐼🌵🍉🎷🎲🧭🪁🪵🧊", None),
            ("ein-Passwort mit Gedanken", None),
            ("short", Some(TooShort)),
            ("fourteen chars", Some(TooShort)),
            ("", Some(TooShort)),
            ("correct horse\nbattery", Some(Control)),
            ("correct horse\u{7f}battery", Some(Control)),
            ("aaaaaaaaaaaaaaaaaaaa", Some(Common)),
            ("abcabcabcabcabcabc", Some(Common)),
            ("abcdefghijklmnopqrstuvwxyz", Some(Common)),
            ("9876543210987654321", Some(Common)),
            ("passwordpassword", Some(Common)),
            ("Password1234567890", Some(Common)),
            ("P@ssw0rdP@ssw0rd!", Some(Common)),
            ("qwertyuiopasdfghjkl", Some(Common)),
            ("ann.example@example", Some(Common)),
            ("ExampleExample2026!", Some(Common)),
            ("hourgatehourgate12", Some(Common)),
            ("administrator12345", Some(Common)),
            ("x7!x7!x7!x7!x7!x7!", Some(Common)),
        ] {
            assert_eq!(fault(text), refused, "{text}");
        }
        assert_eq!(fault(&"ab1 ".repeat(40)), Some(TooLong));
        assert_eq!(fault(&"x".repeat(PASSWORD_BYTES_MAX + 1)), Some(TooLong));
        let longest: String = ('\u{4e00}'..).step_by(7).take(PASSWORD_CHARS_MAX).collect();
        assert_eq!(fault(&longest), None);
    }

    #[test]
    fn the_same_password_is_the_same_on_any_keyboard() {
        let typed = |text: &str| Password::typed(text).expect("a password").0;
        assert_eq!(typed("cafe\u{301} noir"), typed("caf\u{e9}\u{a0}noir"));
        assert_ne!(typed("cafe noir"), typed("caf\u{e9} noir"));
        assert_ne!(typed("Cafe"), typed("cafe"), "its case is its own");
        assert_ne!(typed("\u{fb01}ne"), typed("fine"), "what only looks alike is not the same");
        assert!(Password::typed(&"x".repeat(PASSWORD_BYTES_MAX + 1)).is_none());
    }
}
