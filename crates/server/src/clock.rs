//! What time it is: the only place of the server that reads a clock.

use std::time::{Duration, Instant};

use hourgate_core::time::{BootTime, Clock, Now, Timestamp};
use rustix::time::{ClockId, clock_gettime};
use uuid::Uuid;

/// The kernel's two clocks.
#[derive(Clone, Copy, Debug)]
pub struct SystemClock {
    boot: Uuid,
}

impl SystemClock {
    /// Learns which boot this is; an error if the kernel does not say, since then no two readings of the
    /// boot clock could be compared.
    pub fn new() -> std::io::Result<SystemClock> {
        let text = std::fs::read_to_string("/proc/sys/kernel/random/boot_id")?;
        let boot = text.trim().parse().map_err(std::io::Error::other)?;
        Ok(SystemClock { boot })
    }
}

impl Clock for SystemClock {
    fn now(&self) -> Now {
        let boot = clock_gettime(ClockId::Boottime);
        let seconds = u64::try_from(boot.tv_sec).unwrap_or_default();
        let nanos = u64::try_from(boot.tv_nsec).unwrap_or_default();
        let nanos = seconds.saturating_mul(1_000_000_000).saturating_add(nanos);
        Now { wall: wall(), boot: BootTime { boot: self.boot, nanos } }
    }
}

/// Wall time, for what is no decision: a stamp in an answer.
#[expect(clippy::disallowed_methods, reason = "this is the one clock of the server")]
pub(crate) fn wall() -> Timestamp {
    Timestamp::now()
}

/// Measures how long something took.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stopwatch(Instant);

impl Stopwatch {
    #[expect(clippy::disallowed_methods, reason = "this is the one clock of the server")]
    pub(crate) fn start() -> Stopwatch {
        Stopwatch(Instant::now())
    }

    pub(crate) fn elapsed(self) -> Duration {
        self.0.elapsed()
    }
}
