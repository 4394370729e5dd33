//! What a passkey signs so that nobody can show an old signature: random, for one purpose, for a short time,
//! and once.
//!
//! A challenge carries the proof that it is ours, and nothing is remembered of one that is not answered:
//! whoever asks for a million of them takes no memory from anybody.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use aws_lc_rs::hmac;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use uuid::Uuid;

use crate::mint::{self, NoRandomness};

/// How long somebody may take: five minutes, as WebAuthn recommends (Level 3, section 15.1).
pub(crate) const CHALLENGE_LIFE: Duration = Duration::from_mins(5);
/// How many are remembered as used, each for as long as it could come again. Only who is right uses one.
const USED_MAX: usize = 100_000;

const RANDOM_BYTES: usize = 16;
const UNTIL_BYTES: usize = 8;
const TAG_BYTES: usize = 16;

/// What a challenge is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// A new passkey for an account.
    Register(Uuid),
    /// To sign in with nothing else, as whoever the passkey says.
    SignIn,
    /// To prove that it is this account's owner.
    Prove(Uuid),
}

/// Why a challenge is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum BadChallenge {
    /// Not made by this server since it started, or for something else.
    #[error("it answers no question of this server")]
    NotOurs,
    /// Its time is over.
    #[error("it came too late")]
    Late,
    /// It was answered before.
    #[error("it was used before")]
    Used,
    /// So many were used in a short time that no more can be remembered.
    #[error("too many come at once")]
    TooMany,
}

/// Makes challenges, and knows them again.
pub(crate) struct Challenges {
    /// Of this start: no challenge outlives it.
    key: hmac::Key,
    used: Mutex<BTreeMap<Random, u64>>,
}

type Random = [u8; RANDOM_BYTES];

impl Challenges {
    pub(crate) fn new() -> Result<Challenges, NoRandomness> {
        let key = hmac::Key::new(hmac::HMAC_SHA256, &mint::key::<32>()?);
        Ok(Challenges { key, used: Mutex::default() })
    }

    /// A new one, as it stands in options and in what a browser answers. `now` is nanoseconds on the boot
    /// clock.
    pub(crate) fn make(&self, purpose: Purpose, now: u64) -> Result<String, NoRandomness> {
        let random: Random = mint::key()?;
        let until = now.saturating_add(nanos(CHALLENGE_LIFE)).to_be_bytes();
        let tag = self.tag(purpose, &random, until);
        Ok(URL_SAFE_NO_PAD.encode([&random[..], &until[..], &tag[..]].concat()))
    }

    /// Whether it is ours, for that purpose, and its time is not over. It can still have been used.
    pub(crate) fn check(
        &self,
        challenge: &str,
        purpose: Purpose,
        now: u64,
    ) -> Result<Challenge, BadChallenge> {
        let bytes = URL_SAFE_NO_PAD.decode(challenge).map_err(|_| BadChallenge::NotOurs)?;
        let (random, rest) = bytes.split_first_chunk().ok_or(BadChallenge::NotOurs)?;
        let (until, tag) = rest.split_first_chunk().ok_or(BadChallenge::NotOurs)?;
        let is_ours = subtle::ConstantTimeEq::ct_eq(&self.tag(purpose, random, *until)[..], tag);
        if !bool::from(is_ours) {
            return Err(BadChallenge::NotOurs);
        }
        let challenge = Challenge { random: *random, until: u64::from_be_bytes(*until) };
        if now < challenge.until { Ok(challenge) } else { Err(BadChallenge::Late) }
    }

    /// Uses it up, once everything else is right.
    pub(crate) fn spend(&self, challenge: Challenge, now: u64) -> Result<(), BadChallenge> {
        let mut used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        if used.len() >= USED_MAX {
            used.retain(|_, until| now < *until);
        }
        if used.contains_key(&challenge.random) {
            return Err(BadChallenge::Used);
        }
        if used.len() >= USED_MAX {
            return Err(BadChallenge::TooMany);
        }
        used.insert(challenge.random, challenge.until);
        Ok(())
    }

    fn tag(&self, purpose: Purpose, random: &Random, until: [u8; UNTIL_BYTES]) -> [u8; TAG_BYTES] {
        let (kind, object) = match purpose {
            Purpose::Register(object) => (b'r', object),
            Purpose::SignIn => (b's', Uuid::nil()),
            Purpose::Prove(object) => (b'p', object),
        };
        let mut message = vec![kind];
        message.extend_from_slice(object.as_bytes());
        message.extend_from_slice(random);
        message.extend_from_slice(&until);
        let whole = hmac::sign(&self.key, &message);
        let mut tag = [0; TAG_BYTES];
        tag.iter_mut().zip(whole.as_ref()).for_each(|(to, from)| *to = *from);
        tag
    }
}

/// A challenge that is ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Challenge {
    random: Random,
    until: u64,
}

fn nanos(length: Duration) -> u64 {
    u64::try_from(length.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ANN: Uuid = Uuid::from_u128(1);

    #[test]
    fn a_challenge_is_for_one_purpose_for_a_short_time_and_once() {
        let challenges = Challenges::new().expect("randomness");
        let made = challenges.make(Purpose::Prove(ANN), 0).expect("a challenge");
        let life = nanos(CHALLENGE_LIFE);
        for (what, purpose, now, answer) in [
            ("as it was meant", Purpose::Prove(ANN), life - 1, Ok(())),
            ("too late", Purpose::Prove(ANN), life, Err(BadChallenge::Late)),
            ("another's", Purpose::Prove(Uuid::from_u128(2)), 0, Err(BadChallenge::NotOurs)),
            ("to sign in", Purpose::SignIn, 0, Err(BadChallenge::NotOurs)),
            ("to register", Purpose::Register(ANN), 0, Err(BadChallenge::NotOurs)),
        ] {
            assert_eq!(challenges.check(&made, purpose, now).map(drop), answer, "{what}");
        }
        let challenge = challenges.check(&made, Purpose::Prove(ANN), 0).expect("ours");
        assert_eq!(challenges.spend(challenge, 0), Ok(()));
        assert_eq!(challenges.spend(challenge, 0), Err(BadChallenge::Used));
        let other = Challenges::new().expect("randomness");
        let not_ours = other.check(&made, Purpose::Prove(ANN), 0);
        assert_eq!(not_ours, Err(BadChallenge::NotOurs), "of another start");
        for bad in
            ["", "AAAA", &made[..made.len() - 1], &format!("{made}A"), "=", &made.to_lowercase()]
        {
            let checked = challenges.check(bad, Purpose::Prove(ANN), 0);
            assert_eq!(checked, Err(BadChallenge::NotOurs), "{bad}");
        }
    }

    #[test]
    fn what_is_used_is_remembered_within_bounds_and_as_long_as_it_counts() {
        let challenges = Challenges::new().expect("randomness");
        let challenge = |n: u128, until| Challenge { random: n.to_be_bytes(), until };
        for n in 0..USED_MAX as u128 {
            assert_eq!(challenges.spend(challenge(n, 10), 0), Ok(()));
        }
        assert_eq!(challenges.spend(challenge(0, 10), 9), Err(BadChallenge::Used));
        assert_eq!(challenges.spend(challenge(u128::MAX, 10), 9), Err(BadChallenge::TooMany));
        assert_eq!(challenges.spend(challenge(u128::MAX, 20), 10), Ok(()), "the others are over");
    }
}
