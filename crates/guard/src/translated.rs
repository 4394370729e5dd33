//! What stands of translations, kept in memory beside what stands of locks and openings.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
    time::Duration,
};

use hourgate_core::{
    gateway::{Onward, Translation, Translations},
    network::Family,
    nsg::port::PortRange,
    plan::Coverage,
    time::Now,
};

/// A map of the kernel: the translations of one family whose sources have one prefix length.
///
/// Their order is the order in which a packet asks them: a longer prefix first, so that of two that nest
/// the narrower counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NatMap {
    pub(crate) family: Family,
    pub(crate) length: u8,
    /// Whether what is in it ends by itself: the kernel gives those an end who are sent without one.
    pub(crate) ends: bool,
}

impl NatMap {
    pub(crate) fn of(translation: &Translation, ends: bool) -> NatMap {
        let family = Family::of(translation.at().address);
        NatMap { family, length: translation.source().prefix_len(), ends }
    }

    fn order(&self) -> (Family, std::cmp::Reverse<u8>, bool) {
        (self.family, std::cmp::Reverse(self.length), !self.ends)
    }
}

impl PartialOrd for NatMap {
    fn partial_cmp(&self, other: &NatMap) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for NatMap {
    fn cmp(&self, other: &NatMap) -> std::cmp::Ordering {
        self.order().cmp(&other.order())
    }
}

/// Where flows go on, with the end as the boot clock of this boot has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Held {
    onward: Onward,
    // INVARIANT: there where the translation has an end, and fixed when that was set.
    boot_nanos: Option<u64>,
}

/// What stands.
#[derive(Clone, Debug, Default)]
pub(crate) struct Translated {
    each: BTreeMap<Translation, Held>,
    pub(crate) silent: BTreeMap<IpAddr, PortRange>,
    /// Every map that the kernel has.
    pub(crate) maps: BTreeSet<NatMap>,
    /// Whether the kernel has the chains that ask them: a machine that is no gateway translates nothing,
    /// and need not be able to.
    pub(crate) raised: bool,
}

impl Translated {
    /// Notes a translation that now stands, or where it now goes on and until when.
    pub(crate) fn hold(&mut self, translation: Translation, onward: Onward, now: Now) {
        let ends = onward.until.map(|until| {
            let left = u64::try_from(until.remaining(now).as_nanos()).unwrap_or(u64::MAX);
            now.boot.nanos.saturating_add(left)
        });
        self.each.insert(translation, Held { onward, boot_nanos: ends });
    }

    /// Notes that a translation stands no more.
    pub(crate) fn forget(&mut self, translation: &Translation) {
        self.each.remove(translation);
    }

    /// Where it goes on, over or not.
    pub(crate) fn get(&self, translation: &Translation) -> Option<Onward> {
        self.each.get(translation).map(|held| held.onward)
    }

    /// How many a map holds.
    pub(crate) fn count(&self, map: NatMap) -> usize {
        let of = |(translation, held): &(&Translation, &Held)| {
            NatMap::of(translation, held.boot_nanos.is_some()) == map
        };
        self.each.iter().filter(of).count()
    }

    /// What is left of it on the earlier clock; none where it has no end.
    fn left(held: &Held, now: Now) -> Option<Duration> {
        let boot = Duration::from_nanos(held.boot_nanos?.saturating_sub(now.boot.nanos));
        Some(held.onward.until.map_or(boot, |until| boot.min(until.remaining(now))))
    }

    /// Those that are over on either clock.
    pub(crate) fn due(&self, now: Now) -> BTreeSet<Translation> {
        let over = |held: &Held| Self::left(held, now).is_some_and(|left| left.is_zero());
        self.each.iter().filter(|(_, held)| over(held)).map(|(t, _)| *t).collect()
    }

    /// How long until the next is over.
    pub(crate) fn next_due(&self, now: Now) -> Option<Duration> {
        self.each.values().filter_map(|held| Self::left(held, now)).min()
    }

    /// Those with something left, and how much; none where there is no end.
    pub(crate) fn live(
        &self,
        now: Now,
    ) -> impl Iterator<Item = (Translation, Onward, Option<Duration>)> + '_ {
        let each = self.each.iter().map(move |(t, held)| (*t, held.onward, Self::left(held, now)));
        each.filter(|(_, _, left)| left.is_none_or(|left| !left.is_zero()))
    }

    /// What stands now, for the addresses of a statement.
    pub(crate) fn observed(&self, coverage: &Coverage, now: Now) -> Translations {
        let live = self.live(now).filter(|(t, ..)| coverage.has(t.at().address));
        let silent = self.silent.iter().filter(|(at, _)| coverage.has(**at));
        Translations {
            each: live.map(|(translation, onward, _)| (translation, onward)).collect(),
            silent: silent.map(|(at, ports)| (*at, *ports)).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hourgate_core::{
        gateway::{Carrier, Place},
        network::Port,
        time::{BootTime, Timestamp, later},
    };
    use uuid::Uuid;

    fn now() -> Now {
        let boot = BootTime { boot: Uuid::from_u128(1), nanos: 1_000_000_000_000 };
        Now { wall: Timestamp::from_second(1_800_000_000).unwrap(), boot }
    }

    fn place(address: &str, port: u16) -> Place {
        Place { address: address.parse().unwrap(), port: Port::new(port).unwrap() }
    }

    #[test]
    fn whichever_clock_comes_first_ends_a_translation_and_one_without_an_end_stays() {
        let mut stands = Translated::default();
        let of = |source: &str| {
            let at = place("198.51.100.1", 50_022);
            Translation::new(source.parse().unwrap(), at, Carrier::Tcp).unwrap()
        };
        let (ends, stays) = (of("192.0.2.7/32"), of("0.0.0.0/0"));
        let to = place("10.0.0.4", 22);
        let until = Some(now().after(Duration::from_secs(60)));
        stands.hold(ends, Onward { to, until }, now());
        stands.hold(stays, Onward { to, until: None }, now());
        for (wall, boot, over) in [(0, 59, false), (59, 0, false), (60, 0, true), (0, 60, true)] {
            let nanos = now().boot.nanos + boot * 1_000_000_000;
            let wall = later(now().wall, Duration::from_secs(wall));
            let at = Now { wall, boot: BootTime { nanos, ..now().boot } };
            assert_eq!(stands.due(at).contains(&ends), over);
            assert_eq!(stands.next_due(at).unwrap().is_zero(), over);
            let left: Vec<_> = stands.live(at).map(|(t, ..)| t).collect();
            assert_eq!(left.contains(&ends), !over);
            assert!(left.contains(&stays));
        }
    }

    #[test]
    fn a_longer_prefix_is_asked_first() {
        let map = |family, length, ends| NatMap { family, length, ends };
        let all: BTreeSet<NatMap> = [
            map(Family::V4, 0, false),
            map(Family::V4, 32, false),
            map(Family::V4, 32, true),
            map(Family::V4, 24, true),
        ]
        .into();
        let lengths: Vec<(u8, bool)> = all.iter().map(|map| (map.length, map.ends)).collect();
        assert_eq!(lengths, [(32, true), (32, false), (24, true), (0, false)]);
    }
}
