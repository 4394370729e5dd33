//! How often somebody may be wrong: after a few failures wrong secrets are not even recorded for a while.
//!
//! The right secret always passes. It has 256 random bits, so nothing is gained by making its owner wait,
//! and nobody is locked out by somebody else's failures.

use std::{
    collections::BTreeMap,
    net::{IpAddr, Ipv6Addr},
    sync::{Mutex, PoisonError},
    time::Duration,
};

use uuid::Uuid;

/// How often somebody may be wrong before they wait.
const FREE_FAILURES: u32 = 5;
/// The longest wait.
const DELAY_MAX: Duration = Duration::from_mins(5);
/// Failures are forgotten after so long without another.
const REMEMBERED: Duration = Duration::from_mins(15);
/// How many are remembered; an attacker with more addresses than this is slowed as one.
const WATCHED_MAX: usize = 10_000;

/// Who failed how often.
#[derive(Debug, Default)]
pub(super) struct Throttle(Mutex<BTreeMap<Who, Failures>>);

/// A client at an address. IPv6 callers have a whole /64 each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Who {
    At(IpAddr, Uuid),
    Anybody,
}

#[derive(Clone, Copy, Debug)]
struct Failures {
    count: u32,
    /// Nanoseconds on the boot clock, which nobody sets.
    last: u64,
}

impl Throttle {
    /// Takes note of a failure at `now` (nanoseconds on the boot clock). The wait, if somebody was wrong
    /// while they had to wait; none if this one counts.
    pub(super) fn failed(&self, address: IpAddr, client: Uuid, now: u64) -> Option<Duration> {
        let mut held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut who = Who::At(network(address), client);
        if !held.contains_key(&who) && held.len() >= WATCHED_MAX {
            held.retain(|_, failures| now.saturating_sub(failures.last) < nanos(REMEMBERED));
            if held.len() >= WATCHED_MAX {
                who = Who::Anybody;
            }
        }
        let failures = held.entry(who).or_insert(Failures { count: 0, last: now });
        let since = now.saturating_sub(failures.last);
        if since >= nanos(REMEMBERED) {
            failures.count = 0;
        }
        let wait = nanos(delay(failures.count)).saturating_sub(since);
        if wait > 0 {
            return Some(Duration::from_nanos(wait));
        }
        *failures = Failures { count: failures.count.saturating_add(1), last: now };
        None
    }

    /// Somebody was right.
    pub(super) fn succeeded(&self, address: IpAddr, client: Uuid) {
        let mut held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        held.remove(&Who::At(network(address), client));
    }
}

/// The wait after so many failures: none, then 1 s, and twice as much each time.
fn delay(failures: u32) -> Duration {
    match failures.checked_sub(FREE_FAILURES) {
        None => Duration::ZERO,
        Some(over) => Duration::from_secs(1 << over.min(16)).min(DELAY_MAX),
    }
}

fn nanos(length: Duration) -> u64 {
    u64::try_from(length.as_nanos()).unwrap_or(u64::MAX)
}

fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(v4) => IpAddr::V4(v4),
        IpAddr::V6(v6) => IpAddr::V6(Ipv6Addr::from(u128::from(v6) & (u128::MAX << 64))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;

    #[test]
    fn after_a_few_failures_the_wait_grows() {
        let throttle = Throttle::default();
        let (address, client) = (IpAddr::from([192, 0, 2, 1]), Uuid::nil());
        for _ in 0..FREE_FAILURES {
            assert_eq!(throttle.failed(address, client, 0), None);
        }
        assert_eq!(throttle.failed(address, client, 0), Some(Duration::from_secs(1)));
        assert_eq!(throttle.failed(address, client, SECOND), None);
        assert_eq!(throttle.failed(address, client, SECOND), Some(Duration::from_secs(2)));
        assert_eq!(throttle.failed(address, client, 2 * SECOND), Some(Duration::from_secs(1)));
        let other = IpAddr::from([192, 0, 2, 2]);
        assert_eq!(throttle.failed(other, client, SECOND), None);
        throttle.succeeded(address, client);
        assert_eq!(throttle.failed(address, client, SECOND), None);
    }

    #[test]
    fn a_neighbour_in_the_same_64_is_the_same_caller() {
        let throttle = Throttle::default();
        let client = Uuid::nil();
        let at = |last: u16| IpAddr::from([0x2001, 0xdb8, 0, 0, 0, 0, 0, last]);
        for last in 0..5 {
            assert_eq!(throttle.failed(at(last), client, 0), None);
        }
        assert!(throttle.failed(at(99), client, 0).is_some());
    }

    #[test]
    fn many_addresses_cannot_fill_the_memory() {
        let throttle = Throttle::default();
        for n in 0..20_000_u32 {
            throttle.failed(IpAddr::from(n.to_be_bytes()), Uuid::nil(), 0);
        }
        let held = throttle.0.lock().unwrap_or_else(PoisonError::into_inner).len();
        assert!(held <= WATCHED_MAX + 1, "{held}");
    }
}
