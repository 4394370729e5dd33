//! What a guard last said, by address, and what it is late to close.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
    time::Duration,
};

use hourgate_core::{
    gateway::{Onward, Translation},
    network::{Lock, Opening, Sessions},
    plan::{Coverage, Desired, Observed},
    policy::GuardCover,
    time::{Deadline, Now, Timestamp},
};

use crate::{
    facts::Late,
    known::Known,
    status::{GuardStatus, Overdue, Reached},
};

/// What one guard last said.
#[derive(Debug)]
pub(crate) struct Sighting {
    reached: Reached,
    seen: BTreeMap<IpAddr, AddressSeen>,
    /// When the guard last spoke of all its addresses: of one it did not name then, nothing stands.
    all_seen: Option<Timestamp>,
    /// When the guard last spoke of anything.
    last_seen: Option<Timestamp>,
    /// Closes that are late, and since when: nanoseconds on the boot clock.
    late: BTreeMap<Late, u64>,
    /// Whether the guard reported something open that it was told to close.
    pub(crate) disobeyed: bool,
    convergences: u64,
    failures: u64,
    last_convergence: Option<Duration>,
}

#[derive(Debug)]
struct AddressSeen {
    at: Timestamp,
    locks: BTreeMap<Lock, Sessions>,
    openings: BTreeMap<Opening, Deadline>,
    translations: BTreeMap<Translation, Onward>,
}

impl AddressSeen {
    fn nothing(at: Timestamp) -> AddressSeen {
        let (locks, openings, translations) = Default::default();
        AddressSeen { at, locks, openings, translations }
    }
}

/// A guard's word, sorted by address; made without holding anything up.
pub(crate) struct Sorted {
    all: bool,
    seen: BTreeMap<IpAddr, AddressSeen>,
    disobeyed: bool,
}

impl Sorted {
    pub(crate) fn of(desired: &Desired, observed: &Observed, at: Timestamp) -> Sorted {
        let none = || AddressSeen::nothing(at);
        let (all, mut seen) = match &observed.coverage {
            Coverage::All => (true, BTreeMap::new()),
            Coverage::Only(addresses) => {
                (false, addresses.iter().map(|address| (*address, none())).collect())
            }
        };
        let mut disobeyed = false;
        for (lock, sessions) in &observed.locks {
            seen.entry(lock.address).or_insert_with(none).locks.insert(*lock, *sessions);
        }
        for (opening, until) in &observed.openings {
            disobeyed |= !desired.openings.contains_key(opening);
            seen.entry(opening.address()).or_insert_with(none).openings.insert(*opening, *until);
        }
        for (translation, onward) in &observed.translations.each {
            disobeyed |= !desired.translations.each.contains_key(translation);
            let seen = seen.entry(translation.at().address).or_insert_with(none);
            seen.translations.insert(*translation, *onward);
        }
        Sorted { all, seen, disobeyed }
    }
}

impl Sighting {
    pub(crate) fn new(now: Now) -> Sighting {
        Sighting {
            reached: Reached::No { since: now.wall, why: "not reached yet".to_owned() },
            seen: BTreeMap::new(),
            all_seen: None,
            last_seen: None,
            late: BTreeMap::new(),
            disobeyed: false,
            convergences: 0,
            failures: 0,
            last_convergence: None,
        }
    }

    /// The guard answered.
    pub(crate) fn saw(&mut self, sorted: Sorted, took: Duration, now: Now) {
        self.reached(now);
        self.convergences += 1;
        self.last_convergence = Some(took);
        self.last_seen = Some(now.wall);
        self.disobeyed |= sorted.disobeyed;
        if sorted.all {
            self.seen = sorted.seen;
            self.all_seen = Some(now.wall);
        } else {
            self.seen.extend(sorted.seen);
        }
    }

    /// The guard answers, whatever it says.
    pub(crate) fn reached(&mut self, now: Now) {
        match self.reached {
            Reached::Yes { .. } => {}
            Reached::No { .. } => self.reached = Reached::Yes { since: now.wall },
        }
    }

    /// The guard answered that it will not.
    pub(crate) fn refused(&mut self) {
        self.failures += 1;
    }

    /// The guard did not answer. What it was told to open, or to lead on, may stand all the same.
    pub(crate) fn lost(&mut self, told: &Desired, why: String, now: Now) {
        self.failures += 1;
        let since = match &self.reached {
            Reached::Yes { .. } => now.wall,
            Reached::No { since, .. } => *since,
        };
        self.reached = Reached::No { since, why };
        for (opening, until) in &told.openings {
            let none = || AddressSeen::nothing(now.wall);
            let seen = self.seen.entry(opening.address()).or_insert_with(none);
            let stands = seen.openings.entry(*opening).or_insert(*until);
            *stands = stands.later_of(*until, now);
        }
        for (translation, onward) in &told.translations.each {
            let none = || AddressSeen::nothing(now.wall);
            let seen = self.seen.entry(translation.at().address).or_insert_with(none);
            let stands = seen.translations.entry(*translation).or_insert(*onward);
            // Without an end it stands until it is taken away.
            let until = stands.until.zip(onward.until);
            stands.until = until.map(|(one, other)| one.later_of(other, now));
        }
    }

    pub(crate) fn is_reached(&self) -> bool {
        match self.reached {
            Reached::Yes { .. } => true,
            Reached::No { .. } => false,
        }
    }

    /// What becomes of sessions where it last saw the port locked, and when that was.
    pub(crate) fn locked(&self, lock: Lock) -> Option<(Sessions, Timestamp)> {
        let seen = self.seen.get(&lock.address).filter(|_| self.is_reached())?;
        Some((*seen.locks.get(&lock)?, seen.at))
    }

    /// Until when an opening stands (none: it does not), and when that was said; nothing where a guard
    /// that answers has not spoken of its address.
    pub(crate) fn opening(
        &self,
        opening: &Opening,
        now: Now,
    ) -> Option<(Option<Deadline>, Timestamp)> {
        if !self.is_reached() {
            return None;
        }
        match self.seen.get(&opening.address()) {
            Some(seen) => {
                let until = seen.openings.get(opening).copied();
                Some((until.filter(|until| !until.is_over(now)), seen.at))
            }
            None => Some((None, self.all_seen?)),
        }
    }

    /// Whether it last saw a translation; whether it answers is not asked.
    pub(crate) fn leads(&self, translation: &Translation) -> bool {
        let seen = self.seen.get(&translation.at().address);
        seen.is_some_and(|seen| seen.translations.contains_key(translation))
    }

    /// The translations that it last saw and that end by themselves, but have not yet; none where it does not
    /// answer.
    pub(crate) fn ending(&self, now: Now) -> impl Iterator<Item = (Translation, Onward)> + '_ {
        let seen = self.seen.values().filter(|_| self.is_reached());
        let all = seen.flat_map(|seen| seen.translations.iter().map(|(t, onward)| (*t, *onward)));
        all.filter(move |(_, onward)| onward.until.is_some_and(|until| !until.is_over(now)))
    }

    /// What it last saw of one address, as far as a record needs it; nothing where it does not answer or has not
    /// spoken of it.
    pub(crate) fn add_to(&self, observed: &mut Observed, address: IpAddr, now: Now) {
        let Some(seen) = self.seen.get(&address).filter(|_| self.is_reached()) else { return };
        match &mut observed.coverage {
            Coverage::All => {}
            Coverage::Only(addresses) => {
                addresses.insert(address);
            }
        }
        observed.locks.extend(seen.locks.iter().map(|(lock, sessions)| (*lock, *sessions)));
        let live = seen.openings.iter().filter(|(_, until)| !until.is_over(now));
        observed.openings.extend(live.map(|(opening, until)| (*opening, *until)));
        let leads = seen.translations.iter();
        let leads =
            leads.filter(|(_, onward)| onward.until.is_none_or(|until| !until.is_over(now)));
        observed.translations.each.extend(leads.map(|(t, onward)| (*t, *onward)));
    }

    /// Looks for openings and translations that stand and must not. `since` is when nothing was late for the
    /// last time, in nanoseconds on the boot clock.
    pub(crate) fn look_for_late(&mut self, known: &Known, since: u64, now: Now) {
        let mut late = BTreeMap::new();
        for seen in self.seen.values() {
            // What the guard said would end by now has ended: its own timeout sees to that without us. Unless
            // it said so after that end.
            let stands = |until: &Deadline| !until.is_over(now) || until.wall < seen.at;
            let openings = seen.openings.iter().filter(|(_, until)| stands(until));
            let openings = openings.map(|(opening, _)| opening);
            let openings = openings.filter(|opening| known.wanted(opening, now).is_none());
            let leads = seen.translations.iter();
            let leads = leads.filter(|(_, onward)| onward.until.as_ref().is_none_or(stands));
            let leads = leads.map(|(translation, _)| translation);
            let leads = leads.filter(|translation| !known.translates(translation, now));
            let found = openings.copied().map(Late::Opening);
            for found in found.chain(leads.copied().map(Late::Translation)) {
                late.insert(found, self.late.get(&found).copied().unwrap_or(since));
            }
        }
        self.disobeyed = false;
        self.late = late;
    }

    /// Whether something is late, as far as is known.
    pub(crate) fn is_late(&self) -> bool {
        !self.late.is_empty()
    }

    /// One of the closes that are late longest.
    pub(crate) fn latest(&self) -> Option<Late> {
        self.late.iter().min_by_key(|(_, since)| **since).map(|(late, _)| *late)
    }

    /// What is late, and how late.
    pub(crate) fn overdue(&self, now: Now) -> Option<Overdue> {
        let since = *self.late.values().min()?;
        let longest = Duration::from_nanos(now.boot.nanos.saturating_sub(since));
        Some(Overdue { closes: self.late.len(), longest })
    }

    /// The addresses of what is late.
    pub(crate) fn late_addresses(&self) -> BTreeSet<IpAddr> {
        self.late.keys().map(Late::address).collect()
    }

    pub(crate) fn status(
        &self,
        cover: &GuardCover,
        locks_desired: usize,
        openings_desired: usize,
        now: Now,
    ) -> GuardStatus {
        let openings = self.seen.values().flat_map(|seen| seen.openings.values());
        GuardStatus {
            cover: cover.clone(),
            reached: self.reached.clone(),
            locks_desired,
            locks_observed: self.seen.values().map(|seen| seen.locks.len()).sum(),
            openings_desired,
            openings_observed: openings.filter(|until| !until.is_over(now)).count(),
            overdue: self.overdue(now),
            convergences: self.convergences,
            failures: self.failures,
            last_convergence: self.last_convergence,
            observed_at: self.last_seen,
        }
    }
}
