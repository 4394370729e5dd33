//! The command's only clock and its only sleep: everything else gets the time as an argument.

use std::time::Duration;

use jiff::{Timestamp, Zoned};

/// The time in the reader's own zone.
#[expect(clippy::disallowed_methods, reason = "the one place of this process that reads wall time")]
pub(crate) fn local_now() -> Zoned {
    Zoned::now()
}

/// The time.
pub(crate) fn now() -> Timestamp {
    local_now().timestamp()
}

/// A wait that ends after `timeout`, measured on a clock that nobody sets.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Patience {
    until: tokio::time::Instant,
}

impl Patience {
    /// Waits at most that long from now on.
    pub(crate) fn new(timeout: Duration) -> Patience {
        let now = tokio::time::Instant::now();
        // A timeout past what the clock can tell is a year: nobody waits longer.
        let until = now.checked_add(timeout).unwrap_or(now + Duration::from_hours(24 * 365));
        Patience { until }
    }

    /// What is left of it; zero when it is over.
    pub(crate) fn left(self) -> Duration {
        self.until.saturating_duration_since(tokio::time::Instant::now())
    }

    /// Pauses for `pause`, or for what is left if that is less.
    pub(crate) async fn pause(self, pause: Duration) {
        tokio::time::sleep(pause.min(self.left())).await;
    }
}
