//! Durations as people write them.

use std::time::Duration;

use jiff::{Span, SpanRelativeTo};

/// Reads `3s`, `90m`, `2h`, `1h30m`, `1d` or `PT2H`.
pub(crate) fn parse(text: &str) -> Result<Duration, String> {
    let wrong = || format!("`{text}` is no duration: write 90s, 45m, 2h, 1h30m or PT2H");
    let span: Span = text.trim().parse().map_err(|_| wrong())?;
    let length = span.to_duration(SpanRelativeTo::days_are_24_hours()).map_err(|_| wrong())?;
    let length = Duration::try_from(length).map_err(|_| wrong())?;
    if length.is_zero() { Err(format!("`{text}` is no time at all")) } else { Ok(length) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_as_people_write_them() {
        let rows = [
            ("3s", 3),
            ("90m", 5_400),
            ("2h", 7_200),
            ("1h30m", 5_400),
            ("1h 30m", 5_400),
            ("PT2H", 7_200),
            ("pt1h30m", 5_400),
            ("1d", 86_400),
            ("P1D", 86_400),
            ("45 minutes", 2_700),
        ];
        for (text, seconds) in rows {
            assert_eq!(parse(text), Ok(Duration::from_secs(seconds)), "{text}");
        }
    }

    #[test]
    fn what_is_no_duration_says_what_would_be() {
        for text in ["", "2", "-2h", "2h ago", "0s", "PT0S", "1mo", "1y", "2x", "h", "🕑", "9e9h"]
        {
            let error = parse(text).expect_err(text);
            assert!(error.contains("no duration") || error.contains("no time"), "{error}");
        }
    }
}
