//! How often somebody may be wrong: after a few failures wrong secrets are not even recorded for a while.
//!
//! The right secret always passes. It has 256 random bits, so nothing is gained by making its owner wait,
//! and nobody is locked out by somebody else's failures.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use uuid::Uuid;

use crate::party::party;

/// How often a client at an address may be wrong before they wait.
const FREE_FAILURES: u32 = 5;
/// How often everybody at an address may be, together: whoever makes up a new client id each time is one
/// stranger, and an office has few who are wrong within a quarter of an hour.
const FREE_FAILURES_OF_ALL: u32 = 20;
/// The longest wait.
const DELAY_MAX: Duration = Duration::from_mins(5);
/// Failures are forgotten after so long without another.
const REMEMBERED: Duration = Duration::from_mins(15);
/// How many are remembered, of both kinds; an attacker with more addresses than this is slowed as one.
const WATCHED_MAX: usize = 10_000;

/// How often those who are forgotten are looked for, where too many are remembered: looking costs more than
/// failing does.
const SWEPT_EVERY: Duration = Duration::from_secs(1);

/// Who failed how often.
#[derive(Debug, Default)]
pub(super) struct Throttle(Mutex<Watched>);

#[derive(Debug, Default)]
struct Watched {
    failures: BTreeMap<Who, Failures>,
    /// When those who are forgotten were last taken out.
    swept: Option<u64>,
}

/// A client at an address, and everybody there. IPv6 callers have a whole /64 each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Who {
    At(IpAddr, Uuid),
    AllAt(IpAddr),
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
        let address = party(address);
        let both = [Who::AllAt(address), Who::At(address, client)];
        // As a set: two that are watched as one have failed once.
        let both = BTreeSet::from(both.map(|who| held.as_whom(who, now)));
        let waits = both.iter().filter_map(|who| {
            held.failures.get(who).map(|failures| failures.wait(who.free_failures(), now))
        });
        let wait = waits.max().unwrap_or_default();
        if wait > 0 {
            return Some(Duration::from_nanos(wait));
        }
        for who in both {
            let failures = held.failures.entry(who).or_insert(Failures { count: 0, last: now });
            let count = failures.remembered(now).saturating_add(1);
            *failures = Failures { count, last: now };
        }
        None
    }

    /// Somebody was right. What others at that address did stays remembered.
    pub(super) fn succeeded(&self, address: IpAddr, client: Uuid) {
        let mut held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        held.failures.remove(&Who::At(party(address), client));
    }
}

impl Who {
    fn free_failures(self) -> u32 {
        match self {
            Who::At(..) | Who::Anybody => FREE_FAILURES,
            Who::AllAt(_) => FREE_FAILURES_OF_ALL,
        }
    }
}

impl Failures {
    /// How many of them count at `now`.
    fn remembered(self, now: u64) -> u32 {
        if now.saturating_sub(self.last) >= nanos(REMEMBERED) { 0 } else { self.count }
    }

    /// How long whoever failed so often still waits.
    fn wait(self, free: u32, now: u64) -> u64 {
        let since = now.saturating_sub(self.last);
        nanos(delay(self.remembered(now), free)).saturating_sub(since)
    }
}

impl Watched {
    /// As whom somebody is watched: as one of many, where too many are.
    fn as_whom(&mut self, who: Who, now: u64) -> Who {
        if self.failures.len() < WATCHED_MAX || self.failures.contains_key(&who) {
            return who;
        }
        if self.swept.is_none_or(|swept| now.saturating_sub(swept) >= nanos(SWEPT_EVERY)) {
            self.swept = Some(now);
            self.failures.retain(|_, failures| failures.remembered(now) > 0);
        }
        if self.failures.len() < WATCHED_MAX { who } else { Who::Anybody }
    }
}

/// The wait after so many failures: none, then 1 s, and twice as much each time.
fn delay(failures: u32, free: u32) -> Duration {
    match failures.checked_sub(free) {
        None => Duration::ZERO,
        Some(over) => Duration::from_secs(1 << over.min(16)).min(DELAY_MAX),
    }
}

fn nanos(length: Duration) -> u64 {
    u64::try_from(length.as_nanos()).unwrap_or(u64::MAX)
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
        let held = throttle.0.lock().unwrap_or_else(PoisonError::into_inner).failures.len();
        assert!(held <= WATCHED_MAX + 2, "{held}");
        // Who is new is one of many by now, and themselves again once the others are forgotten.
        let (address, client) = (IpAddr::from([203, 0, 113, 1]), Uuid::nil());
        assert!(throttle.failed(address, client, 0).is_some());
        assert_eq!(throttle.failed(address, client, nanos(REMEMBERED)), None);
        let held = throttle.0.lock().unwrap_or_else(PoisonError::into_inner).failures.len();
        assert_eq!(held, 2);
    }

    #[test]
    fn a_new_client_id_each_time_helps_nobody() {
        let throttle = Throttle::default();
        let address = IpAddr::from([192, 0, 2, 1]);
        let mut counted = 0;
        for n in 0..10_000_u64 {
            // A hundred a second.
            let now = n * SECOND / 100;
            let client = Uuid::from_u128(n.into());
            counted += u32::from(throttle.failed(address, client, now).is_none());
        }
        // In 100 s: those that are free, and one after each wait of 1, 2, 4, 8, 16 and 32 s.
        assert_eq!(counted, FREE_FAILURES_OF_ALL + 6);
        let held = throttle.0.lock().unwrap_or_else(PoisonError::into_inner).failures.len();
        assert_eq!(
            held,
            1 + FREE_FAILURES_OF_ALL as usize + 6,
            "what is not counted takes no memory"
        );
        // Another address is not slowed, and one who was right makes the others no better.
        let now = 100 * SECOND;
        assert_eq!(throttle.failed(IpAddr::from([192, 0, 2, 2]), Uuid::nil(), now), None);
        throttle.succeeded(address, Uuid::nil());
        assert!(throttle.failed(address, Uuid::from_u128(1 << 64), now).is_some());
    }
}
