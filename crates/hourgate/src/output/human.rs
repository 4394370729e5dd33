//! Times as people read them: how long is left, and when, in their zone with UTC beside.

use std::time::Duration;

use jiff::{Timestamp, Zoned, tz::TimeZone};

/// What is left: `2 h 13 min`, `41 s`, `3 d 4 h`. Never more than is left.
pub(crate) fn length(length: Duration) -> String {
    let seconds = length.as_secs();
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3_600 % 24, seconds / 60 % 60);
    let two = |big: u64, unit: &str, small: u64, small_unit: &str| match small {
        0 => format!("{big} {unit}"),
        _ => format!("{big} {unit} {small} {small_unit}"),
    };
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds} s"),
        (0, 0, 1..=4) => two(minutes, "min", seconds % 60, "s"),
        (0, 0, _) => format!("{minutes} min"),
        (0, _, _) => two(hours, "h", minutes, "min"),
        (_, _, _) => two(days, "d", hours, "h"),
    }
}

/// When: `14:05:12 (12:05:12 UTC)`, with the date where it is not today's.
pub(crate) fn moment(at: Timestamp, now: &Zoned) -> String {
    let local = at.to_zoned(now.time_zone().clone());
    let utc = at.to_zoned(TimeZone::UTC);
    let dated = |at: &Zoned, with_date: bool| {
        let at = at.datetime();
        let time = format!("{:02}:{:02}:{:02}", at.hour(), at.minute(), at.second());
        if with_date { format!("{} {time}", at.date()) } else { time }
    };
    let today = local.date() == now.date();
    if local.offset() == utc.offset() {
        return format!("{} UTC", dated(&utc, !today));
    }
    let utc_dated = !today || utc.date() != local.date();
    format!("{} ({} UTC)", dated(&local, !today), dated(&utc, utc_dated))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_as_people_say_them() {
        let rows = [
            (0, "0 s"),
            (41, "41 s"),
            (60, "1 min"),
            (100, "1 min 40 s"),
            (600, "10 min"),
            (3_600, "1 h"),
            (7_980, "2 h 13 min"),
            (86_400, "1 d"),
            (273_600, "3 d 4 h"),
        ];
        for (seconds, text) in rows {
            assert_eq!(length(Duration::from_secs(seconds)), text);
        }
        assert_eq!(length(Duration::from_millis(41_999)), "41 s");
    }

    #[test]
    fn moments_have_utc_beside() {
        let berlin: Zoned = "2026-11-23T15:00:00+01:00[+01:00]".parse().expect("a time");
        let at = |text: &str| text.parse::<Timestamp>().expect("a time");
        assert_eq!(moment(at("2026-11-23T15:05:09Z"), &berlin), "16:05:09 (15:05:09 UTC)");
        assert_eq!(
            moment(at("2026-11-23T23:30:00Z"), &berlin),
            "2026-11-24 00:30:00 (2026-11-23 23:30:00 UTC)"
        );
        let utc = berlin.with_time_zone(TimeZone::UTC);
        assert_eq!(moment(at("2026-11-23T15:05:09Z"), &utc), "15:05:09 UTC");
    }
}
