//! Time as an argument: two clocks, and deadlines that the earlier of both ends.
//!
//! Wall time is for people and rows. The boot clock (`CLOCK_BOOTTIME`) runs on through suspension and
//! knows no steps. A deadline holds an end on each, and the earlier one counts, so that setting a clock
//! back, suspending a machine or restarting a process never lengthens an access.

use std::time::Duration;

pub use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// How far wall time may lie behind the latest time ever committed before nothing opens any more.
pub const CLOCK_BEHIND_MAX: Duration = Duration::from_secs(5);

/// A reading of the boot clock. Readings of different boots cannot be compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct BootTime {
    /// Which boot: `/proc/sys/kernel/random/boot_id`.
    pub boot: Uuid,
    /// Nanoseconds of `CLOCK_BOOTTIME` since that boot.
    pub nanos: u64,
}

/// One reading of both clocks, taken together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Now {
    /// Wall time, UTC.
    pub wall: Timestamp,
    /// The boot clock.
    pub boot: BootTime,
}

impl Now {
    /// The deadline that lies `length` after this reading, on both clocks.
    pub fn after(self, length: Duration) -> Deadline {
        Deadline {
            wall: later(self.wall, length),
            boot: Some(BootTime {
                boot: self.boot.boot,
                nanos: self.boot.nanos.saturating_add(nanos(length)),
            }),
        }
    }

    /// The deadline at wall time `wall`, with the boot clock's end that corresponds to it now.
    pub fn until(self, wall: Timestamp) -> Deadline {
        Deadline { wall, ..self.after(distance(self.wall, wall)) }
    }
}

/// Tells the time. A process has one implementation, in its `clock` module; tests move theirs by hand.
pub trait Clock: Send + Sync + 'static {
    /// Reads both clocks.
    fn now(&self) -> Now;
}

/// An end on both clocks; the earlier one counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Deadline {
    /// The end that people are told.
    pub wall: Timestamp,
    /// The same end on the boot clock of the boot in which it was set. Worth nothing after a reboot.
    pub boot: Option<BootTime>,
}

impl Deadline {
    /// What is left until the earlier end; zero when it is over.
    pub fn remaining(&self, now: Now) -> Duration {
        let wall = distance(now.wall, self.wall);
        match self.boot {
            Some(boot) if boot.boot == now.boot.boot => {
                wall.min(Duration::from_nanos(boot.nanos.saturating_sub(now.boot.nanos)))
            }
            Some(_) | None => wall,
        }
    }

    /// Whether nothing is left.
    pub fn is_over(&self, now: Now) -> bool {
        self.remaining(now).is_zero()
    }

    /// Whether this deadline was set in the boot of `now`, so that a wrong wall clock cannot move it.
    pub fn is_of_this_boot(&self, now: Now) -> bool {
        self.boot.is_some_and(|boot| boot.boot == now.boot.boot)
    }

    /// This deadline, earlier by `length` on both clocks: no step that the wall clock has made since it
    /// was set comes in.
    pub fn earlier_by(self, length: Duration) -> Deadline {
        Deadline {
            wall: self.wall.checked_sub(length).unwrap_or(Timestamp::MIN),
            boot: self
                .boot
                .map(|end| BootTime { nanos: end.nanos.saturating_sub(nanos(length)), ..end }),
        }
    }

    /// This deadline, moved to `other` on each clock where `other` is earlier.
    pub fn but_not_after(self, other: Deadline) -> Deadline {
        let boot = match (self.boot, other.boot) {
            (Some(own), Some(other)) if own.boot == other.boot => Some(own.min(other)),
            (None, other) => other,
            (own, _) => own,
        };
        Deadline { wall: self.wall.min(other.wall), boot }
    }

    /// Of two deadlines for one opening, the one that leaves more.
    pub fn later_of(self, other: Deadline, now: Now) -> Deadline {
        if other.remaining(now) > self.remaining(now) { other } else { self }
    }
}

/// The distance from `from` to `to`; zero when `to` is not later.
pub fn distance(from: Timestamp, to: Timestamp) -> Duration {
    Duration::try_from(to.duration_since(from)).unwrap_or(Duration::ZERO)
}

/// `at` moved forward by `length`; the end of time where that would pass it.
pub fn later(at: Timestamp, length: Duration) -> Timestamp {
    at.checked_add(length).unwrap_or(Timestamp::MAX)
}

fn nanos(length: Duration) -> u64 {
    u64::try_from(length.as_nanos()).unwrap_or(u64::MAX)
}
