//! The keys that sign our tokens: one signs, the next one is published before it does, and old ones stay
//! until the last token that they signed is over.

use std::{
    path::Path,
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use hourgate_api::token::{Key as PublicKey, Keys};
use hourgate_core::time::{Timestamp, later};
use jsonwebtoken::{DecodingKey, EncodingKey};
use rcgen::KeyPair;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::{
    SignInError,
    token::{ALGORITHM, TOKEN_LIFE},
};

/// How long a key is published before it signs. Whoever verifies our tokens elsewhere reads the keys at least
/// once a day.
const PUBLISHED_BEFORE: Duration = Duration::from_hours(24);
/// How long an old key stays after another one began to sign: a token's life, and what clocks differ by.
const KEPT_AFTER: Duration = TOKEN_LIFE.saturating_add(Duration::from_mins(5));
/// How many keys there are at most: one that signs, the next, and one for each rotation by hand within the
/// hour. Whoever rotates more often than that drops the old ones.
const KEYS_MAX: usize = 16;

/// What is kept of a key.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct KeptKey {
    /// PKCS#8, as PEM.
    pub(crate) pem: String,
    /// From when on it signs.
    pub(crate) begins: Timestamp,
}

/// A key that is at hand.
pub(crate) struct SigningKey {
    pub(super) id: String,
    pub(super) signing: EncodingKey,
    pub(super) verifying: DecodingKey,
    kept: KeptKey,
    public: PublicKey,
}

/// Every key, by when it begins to sign.
pub(crate) struct KeyRing {
    rotated_every: Duration,
    keys: RwLock<Vec<Arc<SigningKey>>>,
}

/// What is to be written of a change.
pub(crate) struct KeyChanges {
    /// These are new.
    pub(crate) made: Vec<(String, KeptKey)>,
    /// These are gone.
    pub(crate) dropped: Vec<String>,
}

impl KeyRing {
    /// Those that were kept.
    pub(crate) fn of(
        rotated_every: Duration,
        kept: impl IntoIterator<Item = KeptKey>,
    ) -> Result<KeyRing, SignInError> {
        let read = |kept| SigningKey::read(kept).map(Arc::new);
        let keys: Result<Vec<_>, _> = kept.into_iter().map(read).collect();
        let mut keys = keys?;
        keys.sort_by_key(|key| key.kept.begins);
        Ok(KeyRing { rotated_every, keys: RwLock::new(keys) })
    }

    /// The key that signs. There is one from the first [`KeyRing::tend`] on.
    pub(super) fn signing(&self, now: Timestamp) -> Option<Arc<SigningKey>> {
        let keys = self.keys.read().unwrap_or_else(PoisonError::into_inner);
        // Where the clock was set back, none has begun: the oldest signs then.
        keys.iter().rev().find(|key| key.kept.begins <= now).or(keys.first()).cloned()
    }

    /// One of ours, by its id.
    pub(super) fn verifying(&self, id: &str) -> Option<Arc<SigningKey>> {
        let keys = self.keys.read().unwrap_or_else(PoisonError::into_inner);
        keys.iter().find(|key| key.id == id).cloned()
    }

    /// Those that verify, and the one that will sign next, as a JSON Web Key Set.
    pub(crate) fn published(&self) -> Keys {
        let keys = self.keys.read().unwrap_or_else(PoisonError::into_inner);
        Keys { keys: keys.iter().map(|key| key.public.clone()).collect() }
    }

    /// Makes the next key when it is time for that, and drops those whose last token is over. Nothing in most
    /// cases.
    pub(crate) fn tend(&self, now: Timestamp) -> Result<KeyChanges, SignInError> {
        let newest = {
            let keys = self.keys.read().unwrap_or_else(PoisonError::into_inner);
            keys.last().map(|key| key.kept.begins)
        };
        let made = match newest {
            None => Some(now),
            Some(newest) => {
                let ends = later(newest, self.rotated_every);
                let ahead = later(now, PUBLISHED_BEFORE);
                (ahead >= ends).then_some(ahead)
            }
        };
        self.change(made, now)
    }

    /// Has another key sign at once. `drop_old` ends every token of the others with it: for when one of them
    /// may be in other hands.
    pub(crate) fn rotate(&self, drop_old: bool, now: Timestamp) -> Result<KeyChanges, SignInError> {
        if drop_old {
            // One that was published to sign later is as old as those that sign: it goes too.
            let fresh = SigningKey::make(now)?;
            let mut keys = self.keys.write().unwrap_or_else(PoisonError::into_inner);
            let dropped = keys.drain(..).map(|key| key.id.clone()).collect();
            let made = vec![(fresh.id.clone(), fresh.kept.clone())];
            keys.push(Arc::new(fresh));
            return Ok(KeyChanges { made, dropped });
        }
        self.change(Some(now), now)
    }

    fn change(&self, begins: Option<Timestamp>, now: Timestamp) -> Result<KeyChanges, SignInError> {
        let fresh = begins.map(SigningKey::make).transpose()?;
        let mut keys = self.keys.write().unwrap_or_else(PoisonError::into_inner);
        let made = fresh.as_ref().map(|key| (key.id.clone(), key.kept.clone()));
        keys.extend(fresh.map(Arc::new));
        keys.sort_by_key(|key| key.kept.begins);
        let mut dropped = Vec::new();
        // A key is old once its successor has signed for as long as a token lives.
        while let [_, next, ..] = keys.as_slice()
            && (later(next.kept.begins, KEPT_AFTER) <= now || keys.len() > KEYS_MAX)
        {
            dropped.push(keys.remove(0).id.clone());
        }
        Ok(KeyChanges { made: made.into_iter().collect(), dropped })
    }
}

impl KeyChanges {
    /// Whether nothing is to be written.
    pub(crate) fn is_nothing(&self) -> bool {
        self.made.is_empty() && self.dropped.is_empty()
    }
}

impl KeptKey {
    /// The key of an installation that had one, in a file of its own.
    pub(crate) fn first(pem: String, path: &Path, now: Timestamp) -> Result<KeptKey, SignInError> {
        let kept = KeptKey { pem, begins: now };
        match SigningKey::read(kept.clone()) {
            Ok(_) => Ok(kept),
            Err(_) => Err(SignInError::Unreadable(path.to_owned())),
        }
    }
}

impl SigningKey {
    fn make(begins: Timestamp) -> Result<SigningKey, SignInError> {
        let key = KeyPair::generate().map_err(SignInError::Key)?;
        SigningKey::read(KeptKey { pem: key.serialize_pem(), begins })
    }

    fn read(kept: KeptKey) -> Result<SigningKey, SignInError> {
        let key = KeyPair::from_pem(&kept.pem).map_err(SignInError::Key)?;
        // An uncompressed point on P-256: 4, then x and y of 32 bytes each (SEC 1).
        let point = key.public_key_raw();
        let (Some([4]), Some(x), Some(y), 65) =
            (point.get(..1), point.get(1..33), point.get(33..65), point.len())
        else {
            return Err(SignInError::NotP256);
        };
        let id = hex::encode(&Sha256::digest(point)[..10]);
        Ok(SigningKey {
            public: PublicKey {
                kty: "EC".to_owned(),
                kid: id.clone(),
                purpose: "sig".to_owned(),
                alg: ALGORITHM.to_owned(),
                crv: Some("P-256".to_owned()),
                x: Some(URL_SAFE_NO_PAD.encode(x)),
                y: Some(URL_SAFE_NO_PAD.encode(y)),
                n: None,
                e: None,
            },
            signing: EncodingKey::from_ec_der(key.serialized_der()),
            verifying: DecodingKey::from_ec_der(point),
            kept,
            id,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: i64 = 86_400;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + seconds).expect("a time")
    }

    fn ring() -> KeyRing {
        let ring = KeyRing::of(Duration::from_hours(30 * 24), []).expect("a ring");
        let first = ring.tend(at(0)).expect("a key");
        assert_eq!((first.made.len(), first.dropped.len()), (1, 0));
        ring
    }

    fn signs(ring: &KeyRing, now: i64) -> String {
        ring.signing(at(now)).expect("a key").id.clone()
    }

    #[test]
    fn the_next_key_is_published_a_day_before_it_signs_and_the_old_one_until_its_tokens_are_over() {
        let ring = ring();
        let first = signs(&ring, 0);
        assert!(ring.tend(at(29 * DAY - 1)).expect("tended").is_nothing());
        let changes = ring.tend(at(29 * DAY)).expect("tended");
        assert_eq!(changes.made.len(), 1);
        let second = changes.made[0].0.clone();
        assert_eq!(ring.published().keys.len(), 2);
        assert_eq!(signs(&ring, 30 * DAY - 1), first);
        assert_eq!(signs(&ring, 30 * DAY), second);
        // Nobody is told twice, and nothing is dropped while one of its tokens holds.
        assert!(ring.tend(at(30 * DAY + 3_600)).expect("tended").is_nothing());
        assert!(ring.verifying(&first).is_some());
        let changes = ring.tend(at(30 * DAY + 3_900)).expect("tended");
        assert_eq!(changes.dropped, std::slice::from_ref(&first));
        assert!(ring.verifying(&first).is_none());
        assert_eq!(signs(&ring, 31 * DAY), second);
    }

    #[test]
    fn a_server_that_was_off_for_a_year_still_publishes_before_it_signs() {
        let ring = ring();
        let first = signs(&ring, 0);
        ring.tend(at(365 * DAY)).expect("tended");
        assert_eq!(signs(&ring, 365 * DAY), first);
        assert_ne!(signs(&ring, 366 * DAY), first);
    }

    #[test]
    fn a_rotation_by_hand_signs_at_once_and_may_drop_the_old_ones() {
        let ring = ring();
        let first = signs(&ring, 0);
        let changes = ring.rotate(false, at(10)).expect("rotated");
        assert!(changes.dropped.is_empty());
        let second = signs(&ring, 10);
        assert_ne!(second, first);
        assert!(ring.verifying(&first).is_some());
        ring.tend(at(29 * DAY + 10)).expect("the next one");
        let changes = ring.rotate(true, at(29 * DAY + 11)).expect("rotated");
        assert!(changes.dropped.contains(&second) && changes.dropped.len() >= 2);
        assert_eq!(ring.published().keys.len(), 1, "also the one that was to sign next is gone");
        for _ in 0..40 {
            ring.rotate(false, at(29 * DAY + 12)).expect("rotated");
        }
        assert_eq!(ring.published().keys.len(), KEYS_MAX);
    }

    #[test]
    fn what_is_kept_gives_the_same_keys_again() {
        let ring = ring();
        let kept = ring.rotate(false, at(5)).expect("rotated").made.remove(0);
        let again = KeyRing::of(Duration::from_hours(48), [kept.1]).expect("read");
        assert!(again.verifying(&kept.0).is_some());
        assert!(again.verifying("other").is_none());
        let damaged = KeptKey { pem: "-----BEGIN".to_owned(), begins: at(0) };
        assert!(KeyRing::of(Duration::from_hours(48), [damaged]).is_err());
    }
}
