//! When an access shall begin: `22:00` as a person says it, or a full time.

use jiff::{Timestamp, ToSpan, Zoned, civil};

/// Reads `22:00` (today, or tomorrow if that has passed), `2026-12-01 22:00` or
/// `2026-12-01T22:00:00Z`; without a zone it is the one of `now`.
pub(crate) fn parse(text: &str, now: &Zoned) -> Result<Timestamp, String> {
    let text = text.trim();
    let zone = now.time_zone();
    let wrong = || format!("`{text}` is no time: write 22:00, 2026-12-01T22:00 or …22:00:00Z");
    if let Ok(at) = text.parse::<Timestamp>() {
        return Ok(at);
    }
    // A date first: the parser of times also reads the time within a date and time.
    let starts_with_date = text.get(..10).is_some_and(|date| date.parse::<civil::Date>().is_ok());
    if starts_with_date {
        let at: civil::DateTime = text.parse().map_err(|_| wrong())?;
        return at.to_zoned(zone.clone()).map(|at| at.timestamp()).map_err(|_| wrong());
    }
    if !text.contains(':') {
        return Err(wrong());
    }
    let time: civil::Time = text.parse().map_err(|_| wrong())?;
    let on = |date: civil::Date| date.to_datetime(time).to_zoned(zone.clone()).map_err(|_| wrong());
    let today = on(now.date())?;
    if today.timestamp() > now.timestamp() {
        return Ok(today.timestamp());
    }
    let tomorrow = now.date().checked_add(1.day()).map_err(|_| wrong())?;
    on(tomorrow).map(|at| at.timestamp())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn now() -> Zoned {
        "2026-11-23T20:30:00+01:00[+01:00]".parse().expect("a time")
    }

    #[test]
    fn a_time_of_day_is_the_next_one() {
        let rows = [
            ("22:00", "2026-11-23T21:00:00Z"),
            ("22:00:30", "2026-11-23T21:00:30Z"),
            ("20:30", "2026-11-24T19:30:00Z"),
            ("07:15", "2026-11-24T06:15:00Z"),
            ("2026-12-01T22:00", "2026-12-01T21:00:00Z"),
            ("2026-12-01 22:00", "2026-12-01T21:00:00Z"),
            ("2026-12-01T22:00:00Z", "2026-12-01T22:00:00Z"),
            ("2026-12-01T22:00:00+03:00", "2026-12-01T19:00:00Z"),
        ];
        for (text, at) in rows {
            assert_eq!(parse(text, &now()), Ok(at.parse().expect("a time")), "{text}");
        }
    }

    #[test]
    fn what_is_no_time_says_what_would_be() {
        for text in ["", "22", "25:00", "tomorrow", "2026-13-01T10:00", "22:00-", "-1:00", "2026"] {
            assert!(parse(text, &now()).is_err(), "{text}");
        }
    }
}
