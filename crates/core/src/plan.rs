//! What changes on a guard: the smallest change that makes it agree. Closes come first.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
};

use serde::{Deserialize, Serialize};

use crate::{
    network::{Lock, Opening, Sessions},
    time::Deadline,
};

/// Which addresses a statement speaks of. What it does not speak of stays as it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Coverage {
    /// Every address the guard covers: what is not named must not be there.
    All,
    /// These addresses alone.
    Only(BTreeSet<IpAddr>),
}

impl Coverage {
    /// Whether the statement speaks of `address`.
    pub fn has(&self, address: IpAddr) -> bool {
        match self {
            Coverage::All => true,
            Coverage::Only(addresses) => addresses.contains(&address),
        }
    }
}

/// What must hold on a guard.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Desired {
    /// Of which addresses this speaks.
    pub coverage: Coverage,
    /// What is closed.
    #[serde(with = "crate::pairs")]
    pub locks: BTreeMap<Lock, Sessions>,
    /// What was closed and is explicitly given back. A lock that is neither here nor in `locks` stays:
    /// an empty database closes, it never opens.
    pub released: BTreeSet<Lock>,
    /// What is let through all the same, and until when.
    #[serde(with = "crate::pairs")]
    pub openings: BTreeMap<Opening, Deadline>,
}

/// What a guard last saw on its own kernel or cloud.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Observed {
    /// Of which addresses this speaks.
    pub coverage: Coverage,
    /// What is closed.
    #[serde(with = "crate::pairs")]
    pub locks: BTreeMap<Lock, Sessions>,
    /// What is let through.
    #[serde(with = "crate::pairs")]
    pub openings: BTreeMap<Opening, Deadline>,
    /// Openings that were asked for and could not be made.
    #[serde(with = "crate::pairs")]
    pub failed: BTreeMap<Opening, OpeningFailure>,
}

/// Why a guard could not make one opening, while it made the others.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum OpeningFailure {
    /// The guard holds as many openings as it can.
    Full,
    /// The end lies further ahead than any access may last.
    TooFarAhead,
    /// The address is none that this guard covers.
    NotCovered,
    /// There is no lock on that address and port, so an opening would mean nothing.
    NotLocked,
    /// The kernel or the cloud refused it.
    Rejected(String),
}

/// The smallest change. Its parts are carried out in the order they stand in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// Openings to take away. Committed alone and first.
    pub close: BTreeSet<Opening>,
    /// Openings that must end earlier than they do; with the closes.
    pub shorten: BTreeMap<Opening, Deadline>,
    /// Locks to set, or to set anew with other sessions.
    pub lock: BTreeMap<Lock, Sessions>,
    /// Openings to make, or to let last longer.
    pub open: BTreeMap<Opening, Deadline>,
    /// Locks to take away, each explicitly released.
    pub unlock: BTreeSet<Lock>,
}

impl Plan {
    /// Whether everything agrees already.
    pub fn is_empty(&self) -> bool {
        *self == Plan::default()
    }
}

/// What to change where `observed` holds and `desired` must, for the addresses `desired` speaks of.
pub fn plan(desired: &Desired, observed: &Observed) -> Plan {
    let mut plan = Plan::default();
    for (opening, until) in &observed.openings {
        if !desired.coverage.has(opening.address()) {
            continue;
        }
        match desired.openings.get(opening) {
            None => {
                plan.close.insert(*opening);
            }
            Some(wanted) if wanted != until && ends_earlier(wanted, until) => {
                plan.shorten.insert(*opening, *wanted);
            }
            Some(wanted) if wanted != until => {
                plan.open.insert(*opening, *wanted);
            }
            Some(_) => {}
        }
    }
    for (opening, until) in &desired.openings {
        if !observed.openings.contains_key(opening) {
            plan.open.insert(*opening, *until);
        }
    }
    for (lock, sessions) in &desired.locks {
        if observed.locks.get(lock) != Some(sessions) {
            plan.lock.insert(*lock, *sessions);
        }
    }
    for lock in observed.locks.keys() {
        if desired.released.contains(lock) && !desired.locks.contains_key(lock) {
            plan.unlock.insert(*lock);
        }
    }
    plan
}

/// Whether `wanted` may end before `current` on either clock. Where that cannot be told (different
/// boots), it counts as earlier: closing early is an inconvenience, closing late an incident.
fn ends_earlier(wanted: &Deadline, current: &Deadline) -> bool {
    let boot_earlier = match (wanted.boot, current.boot) {
        (Some(wanted), Some(current)) if wanted.boot == current.boot => {
            wanted.nanos < current.nanos
        }
        (Some(_), Some(_) | None) => true,
        (None, Some(_) | None) => false,
    };
    wanted.wall < current.wall || boot_earlier
}
