//! What the guards last said, for whoever shows it: intent and observation side by side, never mixed.

use std::sync::{Arc, Mutex, PoisonError};

use hourgate_core::{
    grant::Seen,
    id::RequestId,
    network::{Lock, Opening, Sessions},
    policy::GuardCover,
    time::{Clock, Deadline},
};
use tokio::sync::watch;

use crate::{known::Known, sight::Sighting, status::GuardStatus};

/// A look at every guard. Cheap to clone; each question is answered from memory.
#[derive(Clone)]
pub struct View {
    pub(crate) known: Arc<Mutex<Known>>,
    pub(crate) guards: Arc<[(GuardCover, Arc<Mutex<Sighting>>)]>,
    pub(crate) changes: watch::Sender<u64>,
    pub(crate) clock: Arc<dyn Clock>,
}

/// What a guard last said about one opening.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sight {
    /// It stands.
    Open {
        /// Until when.
        until: Deadline,
        /// Whose word, and when it was given.
        seen: Seen,
    },
    /// It does not stand.
    Closed {
        /// Whose word, and when it was given.
        seen: Seen,
    },
    /// No guard that answers has spoken of its address.
    Unknown,
}

impl View {
    /// Every guard, in the order they were configured.
    pub fn guards(&self) -> Vec<GuardStatus> {
        let now = self.clock.now();
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let status = |(cover, sighting): &(GuardCover, Arc<Mutex<Sighting>>)| {
            let (locks_desired, openings_desired) = known.counts(cover, now);
            let sighting = sighting.lock().unwrap_or_else(PoisonError::into_inner);
            sighting.status(cover, locks_desired, openings_desired, now)
        };
        self.guards.iter().map(status).collect()
    }

    /// What becomes of sessions where a guard that answers last saw the port locked; none where it did not.
    pub fn locked(&self, lock: Lock) -> Option<(Sessions, Seen)> {
        self.guards.iter().find_map(|(cover, sighting)| {
            let sighting = sighting.lock().unwrap_or_else(PoisonError::into_inner);
            let (sessions, at) = sighting.locked(lock)?;
            Some((sessions, Seen { at, guard: cover.name.clone() }))
        })
    }

    /// What was last seen of an opening.
    pub fn sight(&self, opening: &Opening) -> Sight {
        let now = self.clock.now();
        let mut best = Sight::Unknown;
        for (cover, sighting) in self.guards.iter() {
            let sighting = sighting.lock().unwrap_or_else(PoisonError::into_inner);
            let Some((until, at)) = sighting.opening(opening, now) else { continue };
            let seen = Seen { at, guard: cover.name.clone() };
            match until {
                Some(until) => return Sight::Open { until, seen },
                None => best = Sight::Closed { seen },
            }
        }
        best
    }

    /// Until when other requests than that one need an opening, if any does.
    pub fn wanted_by_others(&self, opening: &Opening, request: RequestId) -> Option<Deadline> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.wanted_by_others(opening, request, self.clock.now())
    }

    /// Changes whenever a guard said something and what it said was recorded: for those who wait.
    /// A counter that says nothing but that it is worth looking again.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }
}
