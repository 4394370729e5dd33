//! Which numbers rules have in one direction of a group: a bit for each.
//!
//! Asked for each grant, thousands of times a second: a set of numbers would cost more than the rest.

use std::{fmt, ops::Range};

use super::{
    group::SecurityGroup,
    word::{Direction, PRIORITY_MAX, PRIORITY_MIN, Priority},
};

/// As many words of 64 bits as the numbers of one's own rules need.
const WORDS: usize = ((PRIORITY_MAX - PRIORITY_MIN) / 64 + 1) as usize;

/// A set of numbers that rules of one's own can have. A default rule's is never in it.
#[derive(Clone, PartialEq, Eq)]
pub struct Numbers([u64; WORDS]);

impl Numbers {
    /// The numbers of a group's own rules.
    pub fn of(group: &SecurityGroup, direction: Direction) -> Numbers {
        let mut numbers = Numbers::default();
        group.own_in_order(direction).for_each(|rule| numbers.insert(rule.priority()));
        numbers
    }

    /// Adds a number.
    pub fn insert(&mut self, number: Priority) {
        if let Some((word, bit)) = place(number) {
            self.0[word] |= bit;
        }
    }

    /// Takes a number away.
    pub fn remove(&mut self, number: Priority) {
        if let Some((word, bit)) = place(number) {
            self.0[word] &= !bit;
        }
    }

    /// Whether a number is in it.
    pub fn contains(&self, number: Priority) -> bool {
        place(number).is_some_and(|(word, bit)| self.0[word] & bit != 0)
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.iter().map(|word| word.count_ones() as usize).sum()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.iter().all(|word| *word == 0)
    }

    /// Those of either.
    #[must_use]
    pub fn union(&self, other: &Numbers) -> Numbers {
        let mut all = self.clone();
        all.0.iter_mut().zip(&other.0).for_each(|(word, more)| *word |= more);
        all
    }

    /// The numbers, in order.
    pub fn iter(&self) -> impl Iterator<Item = Priority> {
        (PRIORITY_MIN..=PRIORITY_MAX)
            .filter_map(Priority::own)
            .filter(|number| self.contains(*number))
    }

    /// The smallest number of a range that is not in it.
    pub fn first_free(&self, range: Range<u16>) -> Option<Priority> {
        range.filter_map(Priority::own).find(|number| !self.contains(*number))
    }

    /// The largest number of a range that is not in it.
    pub fn last_free(&self, range: Range<u16>) -> Option<Priority> {
        range.rev().filter_map(Priority::own).find(|number| !self.contains(*number))
    }
}

/// The word and the bit of a number; none of a default rule's.
fn place(number: Priority) -> Option<(usize, u64)> {
    if number.is_default() {
        return None;
    }
    let at = usize::from(number.number() - PRIORITY_MIN);
    Some((at / 64, 1 << (at % 64)))
}

impl Default for Numbers {
    fn default() -> Numbers {
        Numbers([0; WORDS])
    }
}

impl fmt::Debug for Numbers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter().map(Priority::number)).finish()
    }
}
