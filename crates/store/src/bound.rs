//! How many refusals are worth a record each: a log that anybody can fill is a disk that anybody can fill.

use std::collections::BTreeMap;

use hourgate_core::{event::Note, role::PersonId, time::Now};
use uuid::Uuid;

/// Records of refusals per person and minute; past that somebody runs a loop.
pub const REFUSALS_PER_PERSON_MAX: u32 = 60;
/// Records of refusals per minute in all, since persons can be many and unknown.
pub const REFUSALS_MAX: u32 = 600;

const MINUTE_NANOS: u64 = 60_000_000_000;

/// Counts refusals within the current minute of the boot clock.
#[derive(Clone, Debug, Default)]
pub(crate) struct Bound {
    minute: Option<(Uuid, u64)>,
    // No more than REFUSALS_MAX people: past that nobody is looked at.
    people: BTreeMap<Option<PersonId>, u32>,
    all: u32,
    more: u64,
}

impl Bound {
    /// Whether one more refusal of that person is worth a record of its own; if not, it is counted.
    pub(crate) fn admits(&mut self, person: Option<&PersonId>, now: Now) -> bool {
        self.turn(now);
        let own = if self.all < REFUSALS_MAX {
            self.people.entry(person.cloned()).or_default()
        } else {
            self.more += 1;
            return false;
        };
        if *own >= REFUSALS_PER_PERSON_MAX {
            self.more += 1;
            return false;
        }
        *own += 1;
        self.all += 1;
        true
    }

    /// How many were only counted, once their minute is over.
    pub(crate) fn take_more(&mut self, now: Now) -> Option<Note> {
        if self.more == 0 || self.minute == Some(minute(now)) {
            return None;
        }
        Some(Note::MoreRefused { count: std::mem::take(&mut self.more) })
    }

    /// How many were only counted, minute over or not: before the store closes.
    pub(crate) fn take_all(&mut self) -> Option<Note> {
        (self.more > 0).then(|| Note::MoreRefused { count: std::mem::take(&mut self.more) })
    }

    fn turn(&mut self, now: Now) {
        if self.minute != Some(minute(now)) {
            self.minute = Some(minute(now));
            self.people.clear();
            self.all = 0;
        }
    }
}

fn minute(now: Now) -> (Uuid, u64) {
    (now.boot.boot, now.boot.nanos / MINUTE_NANOS)
}
