//! Times and durations as Azure writes them, so that its clients read ours and we read theirs.

use std::{fmt, str::FromStr, time::Duration};

use hourgate_core::time::Timestamp;
use jiff::fmt::temporal::SpanParser;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

/// Azure's times have .NET's ticks, of 100 ns: seven digits behind the point.
const TICK_NANOS: i32 = 100;

/// A moment in UTC: RFC 3339 with `Z`, up to seven digits behind the point, no trailing zeros.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct UtcTime(pub Timestamp);

impl fmt::Display for UtcTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let nanos = self.0.subsec_nanosecond();
        let ticks = Timestamp::new(self.0.as_second(), nanos - nanos.rem_euclid(TICK_NANOS));
        ticks.unwrap_or(self.0).fmt(f)
    }
}

/// The text is no moment with an offset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotATime;

impl FromStr for UtcTime {
    type Err = NotATime;

    /// Any offset is read; none is refused, since nobody could say which was meant.
    fn from_str(text: &str) -> Result<UtcTime, NotATime> {
        text.parse().map(UtcTime).map_err(|_| NotATime)
    }
}

impl Serialize for UtcTime {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for UtcTime {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<UtcTime, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(|NotATime| D::Error::custom("not a time with an offset"))
    }
}

/// A duration of ISO 8601 in hours, minutes and seconds: `PT3H`, `PT1H30M`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct IsoDuration(pub Duration);

impl fmt::Display for IsoDuration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.0.as_secs();
        let (hours, minutes, rest) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
        f.write_str("PT")?;
        if hours > 0 {
            write!(f, "{hours}H")?;
        }
        if minutes > 0 {
            write!(f, "{minutes}M")?;
        }
        let nanos = self.0.subsec_nanos();
        if nanos > 0 {
            let fraction = format!("{nanos:09}");
            write!(f, "{rest}.{}S", fraction.trim_end_matches('0'))
        } else if rest > 0 || seconds == 0 {
            write!(f, "{rest}S")
        } else {
            Ok(())
        }
    }
}

/// The text is no duration of ISO 8601 in weeks, days, hours, minutes and seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotADuration;

impl FromStr for IsoDuration {
    type Err = NotADuration;

    /// A day counts 24 h, as in Azure. Years and months have no length of their own and are refused, and
    /// so is what runs backwards.
    fn from_str(text: &str) -> Result<IsoDuration, NotADuration> {
        let span = SpanParser::new().parse_span(text).map_err(|_| NotADuration)?;
        if span.is_negative() || span.get_years() != 0 || span.get_months() != 0 {
            return Err(NotADuration);
        }
        let days = 7 * i128::from(span.get_weeks()) + i128::from(span.get_days());
        let hours = 24 * days + i128::from(span.get_hours());
        let minutes = 60 * hours + i128::from(span.get_minutes());
        let seconds = 60 * minutes + i128::from(span.get_seconds());
        let millis = 1_000 * seconds + i128::from(span.get_milliseconds());
        let micros = 1_000 * millis + i128::from(span.get_microseconds());
        let nanos = 1_000 * micros + i128::from(span.get_nanoseconds());
        let seconds = u64::try_from(nanos / 1_000_000_000).map_err(|_| NotADuration)?;
        let nanos = u32::try_from(nanos % 1_000_000_000).map_err(|_| NotADuration)?;
        Ok(IsoDuration(Duration::new(seconds, nanos)))
    }
}

impl Serialize for IsoDuration {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for IsoDuration {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<IsoDuration, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(|NotADuration| D::Error::custom("not a duration of ISO 8601"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_with_at_most_seven_digits_and_no_trailing_zeros() {
        for (sent, written) in [
            ("2018-07-22T15:51:55.21337Z", "2018-07-22T15:51:55.21337Z"),
            ("2022-11-17T11:44:50.5921811Z", "2022-11-17T11:44:50.5921811Z"),
            ("2022-11-17T11:44:50.592181199Z", "2022-11-17T11:44:50.5921811Z"),
            ("2022-11-17T12:44:50.5000+01:00", "2022-11-17T11:44:50.5Z"),
            ("2022-11-17T11:44:50Z", "2022-11-17T11:44:50Z"),
            ("1969-12-31T23:59:59.999999999Z", "1969-12-31T23:59:59.9999999Z"),
        ] {
            assert_eq!(sent.parse::<UtcTime>().map(|t| t.to_string()), Ok(written.to_owned()));
        }
    }

    #[test]
    fn a_time_without_an_offset_is_refused() {
        for text in ["2022-11-17T11:44:50", "tomorrow", "", "2022-11-17", "11:44Z"] {
            assert_eq!(text.parse::<UtcTime>(), Err(NotATime), "{text}");
        }
    }

    #[test]
    fn durations_are_written_as_azure_does() {
        for (sent, written) in [
            ("PT3H", "PT3H"),
            ("PT90M", "PT1H30M"),
            ("P1D", "PT24H"),
            ("PT1H30M15S", "PT1H30M15S"),
            ("PT0.5S", "PT0.5S"),
            ("PT0S", "PT0S"),
            ("P1W", "PT168H"),
            ("PT1.5H", "PT1H30M"),
        ] {
            assert_eq!(sent.parse::<IsoDuration>().map(|d| d.to_string()), Ok(written.to_owned()));
        }
    }

    #[test]
    fn what_is_no_length_of_time_is_refused() {
        for text in ["3h", "3 hours", "PT", "P1M", "P1Y", "-PT3H", "", "03:00:00", "PT3H\u{1b}"] {
            assert_eq!(text.parse::<IsoDuration>(), Err(NotADuration), "{text}");
        }
    }
}
