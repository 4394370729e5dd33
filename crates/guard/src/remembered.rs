//! What outlives the guard beside the floor: screens and standing exceptions, which the kernel holds as rules
//! and nobody reads back from them. The file is replaced whole.
//!
//! Screens are taken up as they are remembered: as old as the last write, they still say more than none.
//! A standing exception lets through what a lock would stop, so one is taken up only where the kernel has
//! just that one; after a boot there is none until the server speaks, and closed is safe.

use std::{
    collections::BTreeMap,
    io,
    path::{Path, PathBuf},
};

use hourgate_api::guard::{decode, encode};
use hourgate_core::{
    gateway::Translations,
    network::{Family, Lock, Sessions},
    plan::{Coverage, Observed, Plan},
};
use serde::{Deserialize, Serialize};

use crate::{
    floor::replace,
    screened::{ChainOf, Key, MapOf, Points, Screened},
};

/// The name of the file in the guard's directory.
const FILE: &str = "screens";
/// The version of the file's form.
const VERSION: u32 = 2;
/// The length that a frame begins with.
const LENGTH_BYTES: usize = 4;

/// Where a guard's rules are kept.
pub(crate) fn path(state_dir: &Path) -> PathBuf {
    state_dir.join(FILE)
}

/// What is remembered.
#[derive(Serialize, Deserialize)]
pub(crate) struct Remembered {
    version: u32,
    /// Screens and standing exceptions alone.
    stood: Observed,
    /// The number of each lock's standing exceptions on the kernel.
    numbers: Vec<(Lock, u32)>,
}

impl Remembered {
    /// What stands now.
    pub(crate) fn of(screened: &Screened) -> Remembered {
        let (screens, standing) = screened.observed(&Coverage::All);
        let number = |((map, key), chain): ((MapOf, Key), ChainOf)| match (map, key, chain) {
            (MapOf::Standing(_), Key::Lock(lock), ChainOf::Standing(number)) => {
                Some((lock, number))
            }
            (
                MapOf::Standing(_) | MapOf::Answers(_) | MapOf::Screen(..) | MapOf::Granted(..),
                ..,
            ) => None,
        };
        Remembered {
            version: VERSION,
            numbers: screened.points().into_iter().filter_map(number).collect(),
            stood: Observed {
                coverage: Coverage::All,
                locks: BTreeMap::new(),
                openings: BTreeMap::new(),
                failed: BTreeMap::new(),
                standing,
                screens,
                // The kernel has them as they are, and tells them itself.
                translations: Translations::default(),
                untranslated: BTreeMap::new(),
            },
        }
    }

    /// Reads what was written; nothing where nothing was, or nobody can read it any more.
    pub(crate) fn read(state_dir: &Path) -> io::Result<Option<Remembered>> {
        let bytes = match std::fs::read(path(state_dir)) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        match decode(bytes.get(LENGTH_BYTES..).unwrap_or_default()) {
            Ok(remembered @ Remembered { version: VERSION, .. }) => Ok(Some(remembered)),
            Ok(Remembered { version, .. }) => {
                tracing::error!(
                    version,
                    "the rules of before are of another version: until the server speaks only locks hold"
                );
                Ok(None)
            }
            Err(error) => {
                tracing::error!(%error, "the rules of before cannot be read: until the server speaks only locks hold");
                Ok(None)
            }
        }
    }

    /// Writes it so that it survives a crash at any instruction.
    pub(crate) fn write(&self, state_dir: &Path) -> io::Result<()> {
        replace(state_dir, FILE, &encode(self).map_err(io::Error::other)?)
    }

    /// What is taken up, where the kernel sends whom it sends.
    pub(crate) fn adopted(&self, stands: &Points, locks: &BTreeMap<Lock, Sessions>) -> Screened {
        let numbers: BTreeMap<Lock, u32> = self.numbers.iter().copied().collect();
        let just_so = |lock: &Lock| {
            let map = MapOf::Standing(Family::of(lock.address));
            let number = numbers.get(lock).map(|number| ChainOf::Standing(*number));
            locks.contains_key(lock)
                && number.is_some()
                && stands.get(&(map, Key::Lock(*lock))).copied() == number
        };
        let standing = self.stood.standing.iter().filter(|(lock, _)| just_so(lock));
        let screens = self.stood.screens.iter();
        let plan = Plan {
            stand: standing.map(|(lock, passes)| (*lock, passes.clone())).collect(),
            screen: screens.map(|(address, screen)| (*address, Some(screen.clone()))).collect(),
            ..Plan::default()
        };
        let mut screened = Screened::default();
        // A number that the kernel or the file has must not come to mean something else.
        let known = stands.values().map(|chain| chain.number()).chain(numbers.into_values());
        screened.number_from(known.max().unwrap_or(0).saturating_add(1));
        screened.change(&plan);
        screened
    }
}
