//! How it stands with a guard: whether it answers, what must stand on it beside what it reported.

use std::time::Duration;

use hourgate_core::{policy::GuardCover, time::Timestamp};

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
