//! Values in sentences: hostile text made harmless, durations and times as people read them.

use std::{fmt::Write as _, time::Duration};

use hourgate_core::time::Timestamp;

use crate::time::UtcTime;

/// How much of a text somebody sent is repeated to them: a resource id with two names fits, and it is too
/// little to flood a log.
pub const QUOTED_CHARS_MAX: usize = 300;

/// A text from others in quotes: cut short, and with every character escaped that is not seen as itself
/// (control, escape, direction and invisible characters), so that no terminal or log is fooled.
pub fn quoted(text: &str) -> String {
    format!("'{}'", escaped(text, QUOTED_CHARS_MAX))
}

/// The same without quotes, with a limit of its own in characters.
pub fn escaped(text: &str, chars_max: usize) -> String {
    let mut out = String::new();
    for (count, c) in text.chars().enumerate() {
        if count == chars_max {
            out.push('…');
            break;
        }
        match c {
            '"' => out.push('"'),
            c => out.extend(c.escape_debug()),
        }
    }
    out
}

/// Whether a text holds a character that is not seen as itself.
pub fn is_plain(text: &str) -> bool {
    !text.chars().any(|c| {
        let mut escape = c.escape_debug();
        escape.len() > 1 && !matches!(c, '"' | '\'' | '\\') && escape.next() == Some('\\')
    })
}

/// A length of time as people read it: `3 h`, `90 min`, `2 h 30 min`, `45 s`, `0.4 s`.
///
/// Parts of a second are told under a minute; above it, one more second is.
pub fn span(length: Duration) -> String {
    if length < Duration::from_mins(1) {
        let text = format!("{:.3}", length.as_secs_f64());
        return format!("{} s", text.trim_end_matches('0').trim_end_matches('.'));
    }
    let up = u64::from(length.subsec_nanos() > 0);
    let seconds = length.as_secs().saturating_add(up);
    if seconds.is_multiple_of(60) && seconds < 7_200 && !seconds.is_multiple_of(3_600) {
        return format!("{} min", seconds / 60);
    }
    let mut out = String::new();
    for (amount, unit) in [(seconds / 3600, "h"), (seconds / 60 % 60, "min"), (seconds % 60, "s")] {
        if amount > 0 {
            let space = if out.is_empty() { "" } else { " " };
            // Writing to a String cannot fail.
            let _ = write!(out, "{space}{amount} {unit}");
        }
    }
    out
}

/// A moment as errors tell it: RFC 3339 in UTC.
pub fn moment(at: Timestamp) -> String {
    UtcTime(at).to_string()
}

/// Things in a sentence: `a, b and c`; `nothing` where there are none. Past `most` they are counted.
pub fn listed<T: std::fmt::Display>(things: &[T], most: usize) -> String {
    let shown: Vec<String> = things.iter().take(most).map(ToString::to_string).collect();
    match (shown.split_last(), things.len().saturating_sub(shown.len())) {
        (None, _) => "nothing".to_owned(),
        (Some(_), more) if more > 0 => format!("{} and {more} more", shown.join(", ")),
        (Some((last, [])), _) => last.clone(),
        (Some((last, others)), _) => format!("{} and {last}", others.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_read_as_people_say_them() {
        for (seconds, text) in [
            (10_800.0, "3 h"),
            (5_400.0, "90 min"),
            (3_600.0, "1 h"),
            (9_000.0, "2 h 30 min"),
            (86_400.0, "24 h"),
            (45.0, "45 s"),
            (0.4, "0.4 s"),
            (0.0, "0 s"),
            (61.5, "1 min 2 s"),
            (10_800.2, "3 h 1 s"),
        ] {
            assert_eq!(span(Duration::from_secs_f64(seconds)), text);
        }
    }

    #[test]
    fn nothing_hostile_survives_quoting() {
        let hostile = "a\u{1b}[2J\u{202e}b\u{200b}\n\r\0\u{e0041}'; rm\u{2028}";
        let shown = quoted(hostile);
        assert!(shown.chars().all(|c| !c.is_control()), "{shown}");
        for c in ['\u{1b}', '\u{202e}', '\u{200b}', '\u{e0041}', '\u{2028}'] {
            assert!(!shown.contains(c), "{shown}");
        }
        assert!(is_plain("Barbara's \"web\" – größer"));
        assert!(!is_plain("a\u{202e}"));
        assert!(!is_plain("a\n"));
        assert_eq!(quoted(&"x".repeat(5_000)).chars().count(), QUOTED_CHARS_MAX + 3);
    }

    #[test]
    fn lists_read_as_sentences() {
        assert_eq!(listed::<u8>(&[], 5), "nothing");
        assert_eq!(listed(&[22], 5), "22");
        assert_eq!(listed(&[22, 80, 443], 5), "22, 80 and 443");
        assert_eq!(listed(&[1, 2, 3, 4], 2), "1, 2 and 2 more");
    }
}
