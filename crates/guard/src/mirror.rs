//! What stands on the kernel, kept in memory, so that a change costs what it changes and not what there is.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
    time::Duration,
};

use hourgate_core::{
    network::{Family, Lock, Opening, Port, Sessions},
    plan::{Coverage, Observed},
    time::{Deadline, Now, Timestamp},
};
use ipnet::IpNet;
use uuid::Uuid;

use crate::{screened::Screened, translated::Translated};

/// The openings of one family whose source has one prefix length: one set of the kernel.
pub(crate) type Slot = (Family, u8);

/// Single addresses of either family: nearly every opening. Their sets are always there, so that the first
/// opening costs no more than the next, and a packet the same whether anything is open or not.
pub(crate) const SINGLES: [Slot; 2] = [(Family::V4, 32), (Family::V6, 128)];

/// The slot an opening is kept in.
pub(crate) fn slot(opening: &Opening) -> Slot {
    (Family::of(opening.address()), opening.source().prefix_len())
}

/// An opening's end, as it was said and as the boot clock of this boot has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Held {
    until: Deadline,
    // INVARIANT: fixed when the end was set, so that a wall clock set back does not move it.
    boot_nanos: u64,
}

/// What stands.
#[derive(Clone, Debug, Default)]
pub(crate) struct Mirror {
    pub(crate) installation: Option<Uuid>,
    pub(crate) locks: BTreeMap<Lock, Sessions>,
    pub(crate) screened: Screened,
    pub(crate) translated: Translated,
    openings: BTreeMap<Opening, Held>,
    // INVARIANT: both hold exactly the openings. Whichever clock comes first ends one.
    by_boot: BTreeSet<(u64, Opening)>,
    by_wall: BTreeSet<(Timestamp, Opening)>,
    slots: BTreeMap<Slot, usize>,
}

impl Mirror {
    /// Notes an opening that now stands, or its new end.
    pub(crate) fn hold(&mut self, opening: Opening, until: Deadline, now: Now) {
        self.forget(&opening);
        let left = u64::try_from(until.remaining(now).as_nanos()).unwrap_or(u64::MAX);
        let boot_nanos = now.boot.nanos.saturating_add(left);
        self.openings.insert(opening, Held { until, boot_nanos });
        self.by_boot.insert((boot_nanos, opening));
        self.by_wall.insert((until.wall, opening));
        *self.slots.entry(slot(&opening)).or_default() += 1;
    }

    /// Notes that an opening stands no more.
    pub(crate) fn forget(&mut self, opening: &Opening) {
        let Some(held) = self.openings.remove(opening) else { return };
        self.by_boot.remove(&(held.boot_nanos, *opening));
        self.by_wall.remove(&(held.until.wall, *opening));
        if let Some(count) = self.slots.get_mut(&slot(opening)) {
            *count -= 1;
        }
    }

    /// Whether it stands, over or not.
    pub(crate) fn holds(&self, opening: &Opening) -> bool {
        self.openings.contains_key(opening)
    }

    /// How many openings a slot holds.
    pub(crate) fn count(&self, slot: Slot) -> usize {
        self.slots.get(&slot).copied().unwrap_or(0)
    }

    /// Every slot that was ever needed.
    pub(crate) fn slots(&self) -> impl Iterator<Item = Slot> + '_ {
        self.slots.keys().copied()
    }

    /// Notes that the kernel has a set for this slot.
    pub(crate) fn make_slot(&mut self, slot: Slot) {
        self.slots.entry(slot).or_default();
    }

    /// Whether the kernel has a set for this slot.
    pub(crate) fn has_slot(&self, slot: Slot) -> bool {
        self.slots.contains_key(&slot)
    }

    /// The openings that are over on either clock.
    pub(crate) fn due(&self, now: Now) -> BTreeSet<Opening> {
        let boot = self.by_boot.iter().take_while(|(end, _)| *end <= now.boot.nanos);
        let wall = self.by_wall.iter().take_while(|(end, _)| *end <= now.wall);
        boot.map(|(_, o)| *o).chain(wall.map(|(_, o)| *o)).collect()
    }

    /// How long until the next opening is over.
    pub(crate) fn next_due(&self, now: Now) -> Option<Duration> {
        let boot = self
            .by_boot
            .first()
            .map(|(end, _)| Duration::from_nanos(end.saturating_sub(now.boot.nanos)));
        let wall =
            self.by_wall.first().map(|(end, _)| hourgate_core::time::distance(now.wall, *end));
        boot.into_iter().chain(wall).min()
    }

    /// What is left of an opening, on the earlier clock.
    fn left(held: &Held, now: Now) -> Duration {
        let boot = Duration::from_nanos(held.boot_nanos.saturating_sub(now.boot.nanos));
        boot.min(held.until.remaining(now))
    }

    /// The openings with something left, and how much.
    pub(crate) fn live(&self, now: Now) -> impl Iterator<Item = (Opening, Duration)> + '_ {
        self.openings
            .iter()
            .map(move |(opening, held)| (*opening, Self::left(held, now)))
            .filter(|(_, left)| !left.is_zero())
    }

    /// Whether a live opening or a standing exception lets `client` through to `lock`.
    pub(crate) fn admits(&self, lock: Lock, client: IpAddr, now: Now) -> bool {
        if self.screened.admits(lock, client) {
            return true;
        }
        let family = Family::of(lock.address);
        self.slots.keys().filter(|(f, _)| *f == family).any(|(_, length)| {
            IpNet::new(client, *length)
                .ok()
                .and_then(|net| Opening::new(net.trunc(), lock.address, lock.port))
                .and_then(|opening| self.openings.get(&opening))
                .is_some_and(|held| !Self::left(held, now).is_zero())
        })
    }

    /// The openings that are exceptions to `lock`.
    pub(crate) fn through(&self, lock: Lock) -> Vec<Opening> {
        self.of_address(lock.address, lock.port)
            .take_while(|(opening, _)| opening.port() == lock.port)
            .map(|(opening, _)| *opening)
            .collect()
    }

    /// What stands now, for the addresses of a statement. Costs what the statement names.
    pub(crate) fn observed(&self, coverage: &Coverage, now: Now) -> Observed {
        let (screens, standing) = self.screened.observed(coverage);
        let mut observed = Observed {
            screens,
            standing,
            coverage: coverage.clone(),
            locks: BTreeMap::new(),
            openings: BTreeMap::new(),
            failed: BTreeMap::new(),
            translations: self.translated.observed(coverage, now),
            untranslated: BTreeMap::new(),
        };
        match coverage {
            Coverage::All => {
                observed.locks.clone_from(&self.locks);
                let live = self.openings.iter().filter(|(_, h)| !Self::left(h, now).is_zero());
                observed.openings.extend(live.map(|(o, h)| (*o, h.until)));
            }
            Coverage::Only(addresses) => {
                for address in addresses {
                    let first = Lock { address: *address, port: Port::FIRST };
                    let locks = self.locks.range(first..);
                    let locks = locks.take_while(|(lock, _)| lock.address == *address);
                    observed.locks.extend(locks.map(|(lock, sessions)| (*lock, *sessions)));
                    let live = self
                        .of_address(*address, Port::FIRST)
                        .filter(|(_, held)| !Self::left(held, now).is_zero());
                    observed.openings.extend(live.map(|(o, h)| (*o, h.until)));
                }
            }
        }
        observed
    }

    fn of_address(&self, address: IpAddr, port: Port) -> impl Iterator<Item = (&Opening, &Held)> {
        let first = Opening::new(Family::of(address).all(), address, port);
        first
            .map(|first| self.openings.range(first..))
            .into_iter()
            .flatten()
            .take_while(move |(opening, _)| opening.address() == address)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hourgate_core::time::{BootTime, later};

    fn now() -> Now {
        let boot = BootTime { boot: Uuid::from_u128(1), nanos: 1_000_000_000_000 };
        Now { wall: Timestamp::from_second(1_800_000_000).unwrap(), boot }
    }

    fn passed(wall: u64, boot: u64) -> Now {
        let nanos = now().boot.nanos + boot * 1_000_000_000;
        let wall = later(now().wall, Duration::from_secs(wall));
        Now { wall, boot: BootTime { nanos, ..now().boot } }
    }

    fn opening(source: &str) -> Opening {
        let (address, port) = ("10.0.0.4".parse().unwrap(), Port::new(22).unwrap());
        Opening::new(source.parse().unwrap(), address, port).unwrap()
    }

    #[test]
    fn whichever_clock_comes_first_ends_an_opening() {
        let mut mirror = Mirror::default();
        let only = opening("192.0.2.7/32");
        mirror.hold(only, now().after(Duration::from_secs(60)), now());
        for (wall, boot, over) in [(0, 59, false), (59, 0, false), (60, 0, true), (0, 60, true)] {
            let at = passed(wall, boot);
            assert_eq!(mirror.due(at).contains(&only), over, "{wall} {boot}");
            assert_eq!(mirror.live(at).count() == 0, over, "{wall} {boot}");
            assert_eq!(mirror.admits(only.lock(), "192.0.2.7".parse().unwrap(), at), !over);
            assert_eq!(mirror.next_due(at).unwrap().is_zero(), over, "{wall} {boot}");
        }
        // An end of another boot is fixed on this boot's clock when it arrives.
        let old = Deadline { boot: None, ..now().after(Duration::from_secs(60)) };
        mirror.hold(only, old, now());
        assert!(mirror.due(passed(0, 60)).contains(&only), "a wall clock set back");
    }

    #[test]
    fn only_what_a_statement_speaks_of_is_observed_and_counts_stay_right() {
        let mut mirror = Mirror::default();
        let until = now().after(Duration::from_secs(60));
        for source in ["192.0.2.7/32", "192.0.2.0/24", "0.0.0.0/0"] {
            mirror.hold(opening(source), until, now());
            mirror.hold(opening(source), until, now());
        }
        mirror.locks.insert(opening("0.0.0.0/0").lock(), Sessions::GoOn);
        let of = |address: &str| Coverage::Only([address.parse().unwrap()].into());
        assert_eq!(mirror.observed(&of("10.0.0.4"), now()).openings.len(), 3);
        assert_eq!(mirror.observed(&of("10.0.0.4"), now()).locks.len(), 1);
        assert!(mirror.observed(&of("10.0.0.3"), now()).locks.is_empty());
        assert!(mirror.observed(&of("10.0.0.5"), now()).openings.is_empty());
        assert_eq!(mirror.count((Family::V4, 24)), 1);
        mirror.forget(&opening("192.0.2.0/24"));
        mirror.forget(&opening("192.0.2.0/24"));
        assert_eq!(mirror.count((Family::V4, 24)), 0);
        assert!(mirror.has_slot((Family::V4, 24)), "the kernel still has its set");
        assert_eq!(mirror.through(opening("0.0.0.0/0").lock()).len(), 2);
        assert!(mirror.admits(opening("0.0.0.0/0").lock(), "8.8.8.8".parse().unwrap(), now()));
    }
}
