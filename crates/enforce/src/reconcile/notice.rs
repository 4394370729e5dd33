//! What a guard saw and is still to be recorded: the news in its word, and a bounded queue of them.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    net::IpAddr,
    sync::Mutex,
};

use hourgate_core::{
    id::VmId,
    network::Opening,
    plan::{Coverage, Observed},
};
use tokio::sync::Notify;

use super::locked;
use crate::known::Snapshot;

/// How many notices wait while the facts cannot be written. More are dropped, oldest first: the sweep
/// brings anew whatever is still awaited.
const NOTICES_MAX: usize = 1_000;
/// How many VMs go into one record: a commit stays short.
const VMS_MAX: usize = 200;

/// What a guard saw on the addresses of some VMs.
pub(super) struct Notice {
    /// Of which VMs, and which load said that a word about them is awaited.
    pub(super) told: BTreeMap<VmId, u64>,
    pub(super) observed: Observed,
}

/// What is still to be recorded, oldest first.
#[derive(Default)]
pub(super) struct Notices {
    waiting: Mutex<VecDeque<Notice>>,
    /// Rung when there is one more.
    pub(super) bell: Notify,
}

impl Notice {
    /// The part of a guard's word that is news; none if nothing is.
    pub(super) fn of(snapshot: &Snapshot, observed: &Observed) -> Option<Notice> {
        let mut told: BTreeMap<VmId, u64> = BTreeMap::new();
        let mut addresses: BTreeSet<IpAddr> = BTreeSet::new();
        for (vm, load, its) in &snapshot.awaited {
            told.insert(vm.clone(), *load);
            addresses.extend(its);
        }
        for vm in observed.failed.keys().filter_map(|o| snapshot.owners.get(&o.address())) {
            // No load asked for this, so none is answered by it.
            told.entry(vm.clone()).or_insert(0);
            addresses.extend(snapshot.owners.iter().filter(|(_, of)| *of == vm).map(|(a, _)| *a));
        }
        for need in
            snapshot.mapped.iter().filter(|n| observed.untranslated.contains_key(&n.translation))
        {
            told.entry(need.vm.clone()).or_insert(0);
            addresses.insert(need.translation.at().address);
        }
        addresses.retain(|address| observed.coverage.has(*address));
        let on = |opening: &Opening| addresses.contains(&opening.address());
        let locks = observed.locks.iter().filter(|(lock, _)| addresses.contains(&lock.address));
        let openings = observed.openings.iter().filter(|(opening, _)| on(opening));
        let failed = observed.failed.iter().filter(|(opening, _)| on(opening));
        let untranslated = observed.untranslated.iter();
        let untranslated = untranslated.filter(|(t, _)| addresses.contains(&t.at().address));
        let untranslated = untranslated.map(|(t, failure)| (*t, failure.clone())).collect();
        let translations = observed.translations.about(|address| addresses.contains(&address));
        let observed = Observed {
            locks: locks.map(|(lock, sessions)| (*lock, *sessions)).collect(),
            openings: openings.map(|(opening, until)| (*opening, *until)).collect(),
            failed: failed.map(|(opening, failure)| (*opening, failure.clone())).collect(),
            coverage: Coverage::Only(addresses),
            // Of these nothing is recorded.
            standing: BTreeMap::new(),
            screens: BTreeMap::new(),
            translations,
            untranslated,
        };
        (!told.is_empty()).then_some(Notice { told, observed })
    }

    /// Takes a later notice into this one; gives it back where something this one says would be lost:
    /// that an opening stood for a moment is worth a record too.
    fn merge(&mut self, later: Notice) -> Option<Notice> {
        let new = |opening: &Opening| later.observed.coverage.has(opening.address());
        let (before, after) = (&self.observed, &later.observed);
        let lost = before.openings.keys().any(|o| new(o) && !after.openings.contains_key(o))
            || before.failed.keys().any(|o| new(o) && !after.failed.contains_key(o))
            || before.translations.each.keys().any(|t| {
                later.observed.coverage.has(t.at().address)
                    && !after.translations.each.contains_key(t)
            })
            || before
                .locks
                .keys()
                .any(|l| later.observed.coverage.has(l.address) && !after.locks.contains_key(l));
        let (Coverage::Only(addresses), Coverage::Only(more)) =
            (&mut self.observed.coverage, &later.observed.coverage)
        else {
            return Some(later);
        };
        if lost || self.told.len() + later.told.len() > VMS_MAX {
            return Some(later);
        }
        addresses.extend(more);
        self.observed.locks.retain(|lock, _| !more.contains(&lock.address));
        self.observed.openings.retain(|opening, _| !more.contains(&opening.address()));
        self.observed.failed.retain(|opening, _| !more.contains(&opening.address()));
        let kept = self.observed.translations.about(|address| !more.contains(&address));
        self.observed.translations = kept;
        self.observed.translations.each.extend(later.observed.translations.each);
        self.observed.untranslated.extend(later.observed.untranslated);
        self.observed.locks.extend(later.observed.locks);
        self.observed.openings.extend(later.observed.openings);
        self.observed.failed.extend(later.observed.failed);
        self.told.extend(later.told);
        None
    }
}

impl Notices {
    pub(super) fn push(&self, notice: Notice) {
        let mut waiting = locked(&self.waiting);
        let alone = match waiting.back_mut() {
            Some(last) => last.merge(notice),
            None => Some(notice),
        };
        waiting.extend(alone);
        if waiting.len() > NOTICES_MAX {
            waiting.pop_front();
        }
        drop(waiting);
        self.bell.notify_one();
    }

    pub(super) fn pop(&self) -> Option<Notice> {
        locked(&self.waiting).pop_front()
    }
}
