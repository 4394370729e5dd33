//! A gate that does what a kernel does: it holds locks and openings, each with its own timeout, and
//! needs nobody to let one end.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
};

use hourgate_core::{
    network::{Lock, Opening, Sessions},
    plan::{Coverage, Observed, OpeningFailure, Plan},
    time::{Deadline, Now},
};

#[derive(Default)]
pub struct Gate {
    pub locks: BTreeMap<Lock, Sessions>,
    openings: BTreeMap<Opening, (Deadline, u64)>,
    /// What it said when it was last reached.
    pub last_word: Option<Observed>,
}

impl Gate {
    pub fn observed(&self, now: Now) -> Observed {
        let openings = self.openings.iter().filter(|(_, (_, end))| *end > now.boot.nanos);
        Observed {
            coverage: Coverage::All,
            locks: self.locks.clone(),
            openings: openings.map(|(opening, (until, _))| (*opening, *until)).collect(),
            failed: BTreeMap::new(),
            standing: Default::default(),
            screens: Default::default(),
            translations: Default::default(),
            untranslated: Default::default(),
        }
    }

    /// Carries a plan out, in its order; cannot make the opening `refused`.
    pub fn carries_out(&mut self, plan: &Plan, refused: Option<Opening>, now: Now) {
        self.openings
            .retain(|opening, (_, end)| *end > now.boot.nanos && !plan.close.contains(opening));
        self.locks.extend(plan.lock.iter().map(|(lock, sessions)| (*lock, *sessions)));
        let mut failed = BTreeMap::new();
        for (opening, until) in plan.shorten.iter().chain(&plan.open) {
            if Some(*opening) == refused {
                failed.insert(*opening, OpeningFailure::Full);
                self.openings.remove(opening);
                continue;
            }
            let left = u64::try_from(until.remaining(now).as_nanos()).expect("in range");
            self.openings.insert(*opening, (*until, now.boot.nanos + left));
        }
        self.locks.retain(|lock, _| !plan.unlock.contains(lock));
        self.last_word = Some(Observed { failed, ..self.observed(now) });
    }

    /// The locks come back with the boot, the openings do not.
    pub fn boots(&mut self) {
        self.openings.clear();
    }

    /// Whether a packet passes.
    pub fn passes(&self, from: IpAddr, lock: Lock, now: Now) -> bool {
        !self.locks.contains_key(&lock)
            || self
                .observed(now)
                .openings
                .keys()
                .any(|opening| opening.lock() == lock && opening.source().contains(&from))
    }

    pub fn locked(&self) -> BTreeSet<(IpAddr, u16)> {
        self.locks.keys().map(|lock| (lock.address, lock.port.number())).collect()
    }
}
