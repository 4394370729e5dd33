//! What changes on a guard: the smallest change that makes it agree. Closes come first.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
};

use serde::{Deserialize, Serialize};

use crate::{
    gateway::{Onward, Translation, Translations},
    network::{Lock, Opening, Sessions},
    nsg::port::PortRange,
    screen::{Screen, standing::Standing},
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
    /// What passes a lock without an opening. Of a lock that is not here: nothing.
    #[serde(with = "crate::pairs")]
    pub standing: BTreeMap<Lock, Vec<Standing>>,
    /// What new flows to and from an address meet. Of an address that is spoken of and not here, everything
    /// passes but what is locked.
    #[serde(with = "crate::screen::said")]
    pub screens: BTreeMap<IpAddr, Screen>,
    /// What holds on public addresses. Of one that is spoken of and not here: nothing is translated.
    pub translations: Translations,
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
    /// What passes a lock without an opening.
    #[serde(with = "crate::pairs")]
    pub standing: BTreeMap<Lock, Vec<Standing>>,
    /// What new flows meet.
    #[serde(with = "crate::screen::said")]
    pub screens: BTreeMap<IpAddr, Screen>,
    /// Openings that were asked for and could not be made.
    #[serde(with = "crate::pairs")]
    pub failed: BTreeMap<Opening, OpeningFailure>,
    /// What holds on public addresses.
    pub translations: Translations,
    /// Translations that were asked for and could not be made.
    #[serde(with = "crate::pairs")]
    pub untranslated: BTreeMap<Translation, OpeningFailure>,
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
    /// Translations to take away. With the closes, and before them: what lies outside closes first.
    pub stop: BTreeSet<Translation>,
    /// Translations that must end earlier than they do, or go elsewhere; with those.
    pub divert: BTreeMap<Translation, Onward>,
    /// Openings to take away. Committed alone and first.
    pub close: BTreeSet<Opening>,
    /// Openings that must end earlier than they do; with the closes.
    pub shorten: BTreeMap<Opening, Deadline>,
    /// Locks to set, or to set anew with other sessions.
    pub lock: BTreeMap<Lock, Sessions>,
    /// Locks of which something else passes than did; together with the locks, so that no session that
    /// may go on meets the one without the other.
    pub stand: BTreeMap<Lock, Vec<Standing>>,
    /// Addresses whose new flows meet something else than they did; with the locks too. None: nothing.
    pub screen: BTreeMap<IpAddr, Option<Screen>>,
    /// Openings to make, or to let last longer.
    pub open: BTreeMap<Opening, Deadline>,
    /// Public addresses of which other ports are to be silent than are. None: none.
    pub silence: BTreeMap<IpAddr, Option<PortRange>>,
    /// Translations to make, or to let last longer. After the openings: what lies inside opens first.
    pub translate: BTreeMap<Translation, Onward>,
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
    translate(desired, observed, &mut plan);
    plan.stand = stand(desired, observed);
    plan.screen = screen(desired, observed);
    for lock in observed.locks.keys() {
        if desired.released.contains(lock) && !desired.locks.contains_key(lock) {
            plan.unlock.insert(*lock);
        }
    }
    plan
}

/// What changes on public addresses.
fn translate(desired: &Desired, observed: &Observed, plan: &mut Plan) {
    let (wanted, stands) = (&desired.translations, &observed.translations);
    let spoken = |address: IpAddr| desired.coverage.has(address);
    for (translation, is) in stands.each.iter().filter(|(t, _)| spoken(t.at().address)) {
        match wanted.each.get(translation) {
            None => {
                plan.stop.insert(*translation);
            }
            Some(onward) if onward == is => {}
            Some(onward) if onward.to != is.to || stops_earlier(onward, is) => {
                plan.divert.insert(*translation, *onward);
            }
            Some(onward) => {
                plan.translate.insert(*translation, *onward);
            }
        }
    }
    let new = wanted.each.iter().filter(|(translation, _)| !stands.each.contains_key(translation));
    plan.translate.extend(new.map(|(translation, onward)| (*translation, *onward)));
    let addresses = wanted.silent.keys().chain(stands.silent.keys().filter(|at| spoken(**at)));
    let changed = addresses.filter(|at| wanted.silent.get(at) != stands.silent.get(at));
    plan.silence = changed.map(|at| (*at, wanted.silent.get(at).copied())).collect();
}

/// Whether new flows are translated for a shorter time than they are.
fn stops_earlier(wanted: &Onward, is: &Onward) -> bool {
    match (&wanted.until, &is.until) {
        (Some(wanted), Some(is)) => ends_earlier(wanted, is),
        (Some(_), None) => true,
        (None, Some(_) | None) => false,
    }
}

/// The locks of which something else must pass.
fn stand(desired: &Desired, observed: &Observed) -> BTreeMap<Lock, Vec<Standing>> {
    let spoken = |lock: &&Lock| desired.coverage.has(lock.address);
    let locks = desired.standing.keys().chain(observed.standing.keys().filter(spoken));
    let of = |standing: &BTreeMap<Lock, Vec<Standing>>, lock: &Lock| {
        standing.get(lock).cloned().unwrap_or_default()
    };
    locks
        .map(|lock| (*lock, of(&desired.standing, lock)))
        .filter(|(lock, wanted)| *wanted != of(&observed.standing, lock))
        .collect()
}

/// The addresses whose flows must meet something else.
fn screen(desired: &Desired, observed: &Observed) -> BTreeMap<IpAddr, Option<Screen>> {
    let spoken = |address: &&IpAddr| desired.coverage.has(**address);
    let addresses = desired.screens.keys().chain(observed.screens.keys().filter(spoken));
    addresses
        .filter(|address| desired.screens.get(address) != observed.screens.get(address))
        .map(|address| (*address, desired.screens.get(address).cloned()))
        .collect()
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
