//! The numbers of grants' rules: unique in a group and direction, from a band that is set aside.

use serde::{Deserialize, Serialize};

use super::{
    group::{RULES_PER_GROUP_MAX, SecurityGroup},
    id::GroupId,
    numbers::Numbers,
    word::{Direction, Priority},
};

/// The numbers that grants may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "BandFields", into = "BandFields")]
pub struct Band {
    // INVARIANT: first <= last, and both are numbers of one's own rules.
    first: Priority,
    last: Priority,
}

/// From 100, as Azure, and as many as a group can have rules.
const DEFAULT_LAST: u16 = 1_099;

impl Default for Band {
    fn default() -> Band {
        Band { first: Priority::MIN, last: Priority::own(DEFAULT_LAST).unwrap_or(Priority::MAX) }
    }
}

impl Band {
    /// A band, both ends included; none if it is turned round or a default rule's number is in it.
    pub fn new(first: Priority, last: Priority) -> Option<Band> {
        (first <= last && !last.is_default()).then_some(Band { first, last })
    }

    /// Its first number.
    pub fn first(self) -> Priority {
        self.first
    }

    /// Its last number.
    pub fn last(self) -> Priority {
        self.last
    }

    /// The smallest free number for an inbound rule of a grant.
    ///
    /// `ours` are the numbers that JIT's rules have in the group already: they stand beside it, not in it.
    /// `before` is the number of the lock that the grant is an exception to: behind it the grant would have
    /// no effect.
    ///
    /// # Errors
    /// [`NoNumber`], and in which group.
    pub fn free(
        self,
        group: &SecurityGroup,
        ours: &Numbers,
        before: Option<Priority>,
    ) -> Result<Priority, NoNumber> {
        if is_full(group, ours) {
            let most = RULES_PER_GROUP_MAX;
            return Err(NoNumber::GroupFull { group: group.id().clone(), most });
        }
        let end = self.last.number() + 1;
        let end = before.map_or(end, |lock| end.min(lock.number()));
        let used = Numbers::of(group, Direction::Inbound).union(ours);
        used.first_free(self.first.number()..end).ok_or_else(|| NoNumber::BandFull {
            group: group.id().clone(),
            first: self.first.number(),
            before: end,
        })
    }
}

/// Why a group has no number for another grant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "refusal", rename_all = "camelCase")]
pub enum NoNumber {
    /// Every number of the band that lies before the lock is taken.
    BandFull {
        /// Which group.
        group: GroupId,
        /// The first number of the band.
        first: u16,
        /// The number behind the last that could have been taken: the lock's or the band's end.
        before: u16,
    },
    /// The group has as many rules as it may.
    GroupFull {
        /// Which group.
        group: GroupId,
        /// How many it may.
        most: usize,
    },
}

/// Whether a group has as many rules as it may, JIT's counted.
pub(super) fn is_full(group: &SecurityGroup, ours: &Numbers) -> bool {
    group.rules().len() + ours.len() >= RULES_PER_GROUP_MAX
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct BandFields {
    first: Priority,
    last: Priority,
}

impl TryFrom<BandFields> for Band {
    type Error = &'static str;

    fn try_from(fields: BandFields) -> Result<Band, &'static str> {
        Band::new(fields.first, fields.last).ok_or("not a band of rules' numbers")
    }
}

impl From<Band> for BandFields {
    fn from(band: Band) -> BandFields {
        BandFields { first: band.first, last: band.last }
    }
}
