//! What the guards last said, for whoever shows it: intent and observation side by side, never mixed.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use hourgate_core::{
    grant::Seen,
    network::{Lock, Opening, Sessions},
    policy::GuardCover,
    time::{Clock, Deadline, Timestamp},
};
use tokio::sync::watch;

use crate::{known::Known, sight::Sighting};

/// A look at every guard. Cheap to clone; each question is answered from memory.
#[derive(Clone)]
pub struct View {
    pub(crate) known: Arc<Mutex<Known>>,
    pub(crate) guards: Arc<[(GuardCover, Arc<Mutex<Sighting>>)]>,
    pub(crate) changes: watch::Sender<u64>,
    pub(crate) clock: Arc<dyn Clock>,
}

/// What is known of one guard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GuardStatus {
    /// Its name and what it covers.
    pub cover: GuardCover,
    /// Whether it answers.
    pub reached: Reached,
    /// Locks that must stand on it.
    pub locks_desired: usize,
    /// Locks that it last reported.
    pub locks_observed: usize,
    /// Openings that must stand on it.
    pub openings_desired: usize,
    /// Openings that it last reported and whose end has not come.
    pub openings_observed: usize,
    /// What must be closed on it and is not.
    pub overdue: Option<Overdue>,
    /// How often it was made to agree.
    pub convergences: u64,
    /// How often it did not answer, refused or failed.
    pub failures: u64,
    /// How long the last convergence took, from the question to the answer.
    pub last_convergence: Option<Duration>,
    /// When it last reported what stands on it; none if it never did.
    pub observed_at: Option<Timestamp>,
}

/// Whether a guard answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reached {
    /// It does.
    Yes {
        /// Since when.
        since: Timestamp,
    },
    /// It does not: what stands on it is not known.
    No {
        /// Since when; from the start, if it never did.
        since: Timestamp,
        /// What went wrong, for people.
        why: String,
    },
}

/// Closes that are late: an incident.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Overdue {
    /// How many.
    pub closes: usize,
    /// How late the latest of them is.
    pub longest: Duration,
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

    /// Changes whenever a guard said something and what it said was recorded: for those who wait.
    /// A counter that says nothing but that it is worth looking again.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }
}
