//! What one guard is still to be told, and what it said.

use std::{
    collections::{BTreeSet, VecDeque},
    net::IpAddr,
    sync::{Arc, Mutex},
};

use hourgate_core::{policy::GuardCover, time::Now};
use tokio::sync::Notify;

use super::{locked, notice::Notices};
use crate::{known::Part, sight::Sighting};

/// One guard's share of the work.
pub(super) struct Lane {
    pub(super) cover: GuardCover,
    pub(super) sighting: Arc<Mutex<Sighting>>,
    pub(super) notices: Notices,
    /// Rung when there is something to tell.
    pub(super) bell: Notify,
    queue: Mutex<Queue>,
}

/// What is to be told. What changed goes first, then all of it, then the sweep's slices.
#[derive(Default)]
struct Queue {
    changed: BTreeSet<IpAddr>,
    all: bool,
    slices: VecDeque<BTreeSet<IpAddr>>,
    /// When the statement was begun that is under way: nanoseconds on the boot clock.
    begun: Option<u64>,
}

impl Lane {
    pub(super) fn new(cover: GuardCover, now: Now) -> Lane {
        Lane {
            cover,
            sighting: Arc::new(Mutex::new(Sighting::new(now))),
            notices: Notices::default(),
            bell: Notify::new(),
            queue: Mutex::new(Queue { all: true, ..Queue::default() }),
        }
    }

    /// These addresses may have changed.
    pub(super) fn mark(&self, addresses: &BTreeSet<IpAddr>) {
        let covered: Vec<IpAddr> =
            addresses.iter().copied().filter(|address| self.cover.has(*address)).collect();
        if !covered.is_empty() {
            locked(&self.queue).changed.extend(covered);
            self.bell.notify_one();
        }
    }

    /// Everything may have changed.
    pub(super) fn mark_all(&self) {
        locked(&self.queue).all = true;
        self.bell.notify_one();
    }

    /// A look at everything, in parts between which what changed gets its turn.
    pub(super) fn mark_slices(&self, slices: impl IntoIterator<Item = BTreeSet<IpAddr>>) {
        locked(&self.queue).slices = slices.into_iter().collect();
        self.bell.notify_one();
    }

    /// These parts before the other slices: what was refused together is told in halves.
    pub(super) fn mark_halves(&self, halves: [BTreeSet<IpAddr>; 2]) {
        let mut queue = locked(&self.queue);
        for half in halves {
            queue.slices.push_front(half);
        }
    }

    /// What to tell next, apart from slices.
    pub(super) fn next(&self) -> Option<Part> {
        let mut queue = locked(&self.queue);
        if queue.all {
            *queue = Queue { begun: queue.begun, ..Queue::default() };
            return Some(Part::All);
        }
        let changed = std::mem::take(&mut queue.changed);
        (!changed.is_empty()).then_some(Part::Addresses(changed))
    }

    /// The next slice.
    pub(super) fn next_slice(&self) -> Option<Part> {
        locked(&self.queue).slices.pop_front().map(Part::Addresses)
    }

    pub(super) fn has_slices(&self) -> bool {
        !locked(&self.queue).slices.is_empty()
    }

    /// A statement is under way since then, or no more.
    pub(super) fn under_way(&self, begun: Option<u64>) {
        locked(&self.queue).begun = begun;
    }

    /// Since when a statement is under way.
    pub(super) fn begun(&self) -> Option<u64> {
        locked(&self.queue).begun
    }
}
