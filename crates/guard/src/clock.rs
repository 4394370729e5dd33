//! What time is it? The only file of the guard that reads clocks.

use hourgate_core::time::{BootTime, Clock, Now, Timestamp};
use rustix::time::{ClockId, clock_gettime};
use uuid::Uuid;

/// Where the kernel says which boot this is.
const BOOT_ID: &str = "/proc/sys/kernel/random/boot_id";

/// The clocks of this machine.
#[derive(Clone, Copy, Debug)]
pub struct MachineClock {
    boot: Uuid,
}

impl MachineClock {
    /// The machine's clocks; an error where the kernel does not say which boot this is.
    pub fn new() -> std::io::Result<MachineClock> {
        let text = std::fs::read_to_string(BOOT_ID)?;
        let boot = text.trim().parse().map_err(std::io::Error::other)?;
        Ok(MachineClock { boot })
    }
}

impl Clock for MachineClock {
    fn now(&self) -> Now {
        let boot = clock_gettime(ClockId::Boottime);
        let seconds = u64::try_from(boot.tv_sec).unwrap_or(0);
        let nanos = u64::try_from(boot.tv_nsec).unwrap_or(0);
        #[expect(clippy::disallowed_methods, reason = "this is the one place that reads it")]
        let wall = Timestamp::now();
        let nanos = seconds.saturating_mul(1_000_000_000).saturating_add(nanos);
        Now { wall, boot: BootTime { boot: self.boot, nanos } }
    }
}
