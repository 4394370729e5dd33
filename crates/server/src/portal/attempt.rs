//! Sign-ins that are half done: the password was right, and the second factor is owed.

use std::{collections::BTreeMap, time::Duration};

use hourgate_core::time::{Timestamp, later};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::next::Next;

/// How long somebody may look for their phone.
const ATTEMPT_LIFE: Duration = Duration::from_mins(10);
/// How many are half-way at once. Each showed a right password, or a link.
const ATTEMPTS_MAX: usize = 1_000;
/// How many of those are one account's.
const ATTEMPTS_PER_ACCOUNT_MAX: usize = 10;

/// Somebody whose password was right.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Attempt {
    pub(super) object: Uuid,
    pub(super) next: Next,
    pub(super) at: Timestamp,
}

/// Every one, by the digest of its cookie.
#[derive(Debug, Default)]
pub(super) struct Attempts(BTreeMap<[u8; 32], Attempt>);

impl Attempts {
    /// One more. Of an account with many the oldest goes.
    pub(super) fn begin(&mut self, cookie: &str, attempt: Attempt) {
        self.0.retain(|_, held| attempt.at < later(held.at, ATTEMPT_LIFE));
        let theirs = self.0.iter().filter(|(_, held)| held.object == attempt.object);
        let oldest = |of: &mut dyn Iterator<Item = (&[u8; 32], &Attempt)>| {
            of.min_by_key(|(_, held)| held.at).map(|(digest, _)| *digest)
        };
        let theirs: Vec<_> = theirs.collect();
        let gone = if theirs.len() >= ATTEMPTS_PER_ACCOUNT_MAX {
            oldest(&mut theirs.into_iter())
        } else if self.0.len() >= ATTEMPTS_MAX {
            oldest(&mut self.0.iter())
        } else {
            None
        };
        if let Some(gone) = gone {
            self.0.remove(&gone);
        }
        self.0.insert(digest(cookie), attempt);
    }

    /// The one of a cookie.
    pub(super) fn get(&self, cookie: &str, now: Timestamp) -> Option<Attempt> {
        let attempt = self.0.get(&digest(cookie))?;
        (now < later(attempt.at, ATTEMPT_LIFE)).then(|| attempt.clone())
    }

    /// It is done.
    pub(super) fn end(&mut self, cookie: &str) {
        self.0.remove(&digest(cookie));
    }
}

fn digest(secret: &str) -> [u8; 32] {
    Sha256::digest(secret).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_attempt_is_one_browsers_for_ten_minutes_and_an_account_has_few() {
        let at = |seconds: i64| Timestamp::from_second(1_800_000_000 + seconds).expect("a time");
        let attempt = |object, seconds| Attempt {
            object: Uuid::from_u128(object),
            next: Next::sessions(),
            at: at(seconds),
        };
        let mut attempts = Attempts::default();
        attempts.begin("a", attempt(1, 0));
        assert!(attempts.get("a", at(599)).is_some());
        assert!(attempts.get("a", at(600)).is_none());
        assert!(attempts.get("b", at(1)).is_none());
        for n in 1..=20 {
            attempts.begin(&n.to_string(), attempt(2, n));
        }
        assert!(attempts.get("10", at(21)).is_none());
        assert!(attempts.get("11", at(21)).is_some());
        assert!(attempts.get("a", at(21)).is_some(), "another account's stays");
        for n in 0..2_000_u32 {
            attempts.begin(&format!("x{n}"), attempt(u128::from(n) + 9, 30));
        }
        assert_eq!(attempts.0.len(), ATTEMPTS_MAX);
        attempts.end("x1999");
        assert!(attempts.get("x1999", at(30)).is_none());
    }
}
