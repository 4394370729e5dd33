//! The bench's clocks and its one sleep.

use std::{ops::Sub, time::Duration};

use rustix::{
    thread::nanosleep,
    time::{ClockId, Timespec, clock_gettime},
};

/// A moment of wall time, in nanoseconds since 1970: what the kernel stamps packets with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Wall(pub(crate) i64);

impl Wall {
    /// Now.
    pub(crate) fn now() -> Wall {
        let now = clock_gettime(ClockId::Realtime);
        Wall(now.tv_sec * 1_000_000_000 + now.tv_nsec)
    }

    /// So much later, or earlier if negative.
    pub(crate) fn plus_millis(self, millis: f64) -> Wall {
        Wall(self.0 + (millis * 1e6) as i64)
    }
}

impl Sub for Wall {
    /// Milliseconds.
    type Output = f64;

    fn sub(self, other: Wall) -> f64 {
        (self.0 - other.0) as f64 / 1e6
    }
}

/// Time since an unknown beginning, on a clock that nobody sets.
pub(crate) fn steady() -> Duration {
    let now = clock_gettime(ClockId::Monotonic);
    Duration::new(u64::try_from(now.tv_sec).unwrap_or(0), u32::try_from(now.tv_nsec).unwrap_or(0))
}

/// How many milliseconds have gone since `began`, which is a [`steady`] time.
pub(crate) fn since(began: Duration) -> f64 {
    millis(steady().saturating_sub(began))
}

/// A length in milliseconds.
pub(crate) fn millis(length: Duration) -> f64 {
    length.as_secs_f64() * 1_000.0
}

/// Sleeps, on this thread, for at least that long.
pub(crate) fn pause(length: Duration) {
    let seconds = i64::try_from(length.as_secs()).unwrap_or(i64::MAX);
    // Woken early is as good: who calls this looks at a clock.
    let _ = nanosleep(&Timespec { tv_sec: seconds, tv_nsec: i64::from(length.subsec_nanos()) });
}

/// Asks every 5 ms whether something holds; false if it does not in time.
pub(crate) fn until(within: Duration, mut holds: impl FnMut() -> bool) -> bool {
    let began = steady();
    while !holds() {
        if steady().saturating_sub(began) > within {
            return false;
        }
        pause(Duration::from_millis(5));
    }
    true
}
