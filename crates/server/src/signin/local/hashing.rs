//! Hashes passwords, as slowly as whoever steals the hashes shall have it, and no more of them at once than
//! the machine can bear.
//!
//! For a name that nobody has the same work is done as for one that somebody has: time tells no names.

use std::{
    net::IpAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use argon2::{Algorithm, Argon2, Params, Version};
use base64::{Engine, engine::general_purpose::STANDARD_NO_PAD};
use subtle::ConstantTimeEq;
use tokio::sync::Semaphore;

use super::password::Password;
use crate::{
    http::PerAddress,
    mint::{self, NoRandomness},
};

/// How many are hashed at once: with 64 MiB each, a quarter of a small machine's memory.
const AT_ONCE_MAX: usize = 4;
/// How many may wait, beside those: at a tenth of a second each, under two seconds.
const WAITING_MAX: usize = 64;
/// How many of both may be one address's: an office in the morning, and not everybody's room.
const OF_ONE_ADDRESS_MAX: usize = 16;
/// Length of a salt, in bytes (RFC 9106, section 4).
const SALT_BYTES: usize = 16;
/// Length of a hash, in bytes (RFC 9106, section 4).
const HASH_BYTES: usize = 32;

/// What a hash costs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Cost {
    /// Memory, in KiB.
    pub(crate) memory_kib: u32,
    /// How often it is gone over.
    pub(crate) passes: u32,
    /// In how many lanes.
    pub(crate) lanes: u32,
}

/// The second recommended option of RFC 9106, section 4: the first takes 2 GiB. It is above what OWASP's
/// cheat sheet for the storage of passwords asks (19 MiB, 2 passes).
pub(crate) const COST: Cost = Cost { memory_kib: 64 << 10, passes: 3, lanes: 4 };

/// Why nothing was hashed.
#[derive(Clone, Copy, Debug, thiserror::Error)]
pub(crate) enum HashError {
    /// More wait than may.
    #[error("more passwords are to be hashed than may wait")]
    Busy,
    /// There is no salt to be had.
    #[error(transparent)]
    NoRandomness(#[from] NoRandomness),
    /// The machine does not have the memory.
    #[error("a password could not be hashed: {0}")]
    Failed(argon2::Error),
}

/// What came of a comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Compared {
    /// It is the password.
    Right {
        /// Whether its hash costs less than it should by now: it is to be made anew.
        outdated: bool,
    },
    /// It is not, or there is none.
    Wrong,
}

/// Hashes and compares.
pub(crate) struct Hashing {
    cost: Cost,
    /// What is compared with where there is nothing: a hash of nobody's password.
    stand_in: String,
    at_once: Arc<Semaphore>,
    room: Arc<Semaphore>,
    of_one_address: PerAddress,
    done: Arc<AtomicU64>,
}

impl Hashing {
    pub(crate) fn new(cost: Cost) -> Result<Hashing, NoRandomness> {
        let stand_in = written(cost, &mint::key()?, &mint::key()?);
        Ok(Hashing {
            cost,
            stand_in,
            at_once: Arc::new(Semaphore::new(AT_ONCE_MAX)),
            room: Arc::new(Semaphore::new(AT_ONCE_MAX + WAITING_MAX)),
            of_one_address: PerAddress::of(OF_ONE_ADDRESS_MAX),
            done: Arc::default(),
        })
    }

    /// The hash of a password that somebody sets, with all that it is compared by.
    pub(crate) async fn hash(&self, from: IpAddr, password: Password) -> Result<String, HashError> {
        let (cost, salt) = (self.cost, mint::key()?);
        let hash = self.work(from, cost, salt, password).await?;
        Ok(written(cost, &salt, &hash))
    }

    /// Compares what somebody typed with a hash. Without one, or with a text that no password can be, the work
    /// is done all the same, and the answer is no.
    pub(crate) async fn compare(
        &self,
        from: IpAddr,
        typed: Option<Password>,
        hash: Option<&str>,
    ) -> Result<Compared, HashError> {
        let stored = hash.and_then(read);
        let is_there = stored.is_some() && typed.is_some();
        let Some((cost, salt, expected)) = stored.or_else(|| read(&self.stand_in)) else {
            return Ok(Compared::Wrong);
        };
        let Some(typed) = typed.or_else(|| Password::typed("")) else { return Ok(Compared::Wrong) };
        let hash = self.work(from, cost, salt, typed).await?;
        let same = bool::from(hash.ct_eq(&expected));
        if same && is_there {
            Ok(Compared::Right { outdated: cost != self.cost })
        } else {
            Ok(Compared::Wrong)
        }
    }

    /// How many were hashed: what sign-ins cost.
    #[cfg(test)]
    pub(crate) fn done(&self) -> u64 {
        self.done.load(Ordering::Relaxed)
    }

    async fn work(
        &self,
        from: IpAddr,
        cost: Cost,
        salt: [u8; SALT_BYTES],
        password: Password,
    ) -> Result<[u8; HASH_BYTES], HashError> {
        let own = self.of_one_address.take(from).ok_or(HashError::Busy)?;
        let room = Arc::clone(&self.room).try_acquire_owned().map_err(|_| HashError::Busy)?;
        let place = Arc::clone(&self.at_once).acquire_owned().await;
        let place = place.map_err(|_| HashError::Busy)?;
        let done = Arc::clone(&self.done);
        let work = tokio::task::spawn_blocking(move || {
            // Kept by the thread and not by who waits for it: who gives up leaves the thread hashing.
            let _places = (own, room, place);
            done.fetch_add(1, Ordering::Relaxed);
            argon2id(cost, &salt, password.bytes())
        });
        work.await.map_err(|_| HashError::Busy)?
    }
}

fn argon2id(
    cost: Cost,
    salt: &[u8; SALT_BYTES],
    password: &[u8],
) -> Result<[u8; HASH_BYTES], HashError> {
    let Cost { memory_kib, passes, lanes } = cost;
    let params =
        Params::new(memory_kib, passes, lanes, Some(HASH_BYTES)).map_err(HashError::Failed)?;
    let mut hash = [0; HASH_BYTES];
    let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
    argon2.hash_password_into(password, salt, &mut hash).map_err(HashError::Failed)?;
    Ok(hash)
}

/// As the PHC string format has it, so that other programs can compare too.
fn written(cost: Cost, salt: &[u8; SALT_BYTES], hash: &[u8; HASH_BYTES]) -> String {
    let Cost { memory_kib, passes, lanes } = cost;
    let (salt, hash) = (STANDARD_NO_PAD.encode(salt), STANDARD_NO_PAD.encode(hash));
    format!("$argon2id$v=19$m={memory_kib},t={passes},p={lanes}${salt}${hash}")
}

/// Reads what [`written`] wrote, and nothing else: what costs a hash takes is not to be had from a row that
/// somebody changed.
fn read(text: &str) -> Option<(Cost, [u8; SALT_BYTES], [u8; HASH_BYTES])> {
    let mut parts = text.strip_prefix("$argon2id$v=19$")?.split('$');
    let mut costs = parts.next()?.split(',');
    let mut cost = |name: &str| costs.next()?.strip_prefix(name)?.parse::<u32>().ok();
    let cost = Cost { memory_kib: cost("m=")?, passes: cost("t=")?, lanes: cost("p=")? };
    let salt = STANDARD_NO_PAD.decode(parts.next()?).ok()?.try_into().ok()?;
    let hash = STANDARD_NO_PAD.decode(parts.next()?).ok()?.try_into().ok()?;
    let is_bearable = cost.memory_kib <= 1 << 20 && cost.passes <= 16 && cost.lanes <= 16;
    (parts.next().is_none() && costs.next().is_none() && is_bearable).then_some((cost, salt, hash))
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// Cheap, so that tests are quick.
    pub(crate) const CHEAP: Cost = Cost { memory_kib: 16, passes: 1, lanes: 1 };

    fn from(last: u8) -> IpAddr {
        IpAddr::from([192, 0, 2, last])
    }

    fn typed(text: &str) -> Option<Password> {
        Password::typed(text)
    }

    #[tokio::test]
    async fn the_right_password_is_right_and_says_when_its_hash_is_outdated() {
        let hashing = Hashing::new(CHEAP).expect("randomness");
        let password = typed("correct horse").expect("a password");
        let hash = hashing.hash(from(1), password.clone()).await.expect("a hash");
        let again = hashing.hash(from(1), password).await.expect("a hash");
        assert_ne!(hash, again, "each has a salt of its own");
        let compare = |text: &'static str| hashing.compare(from(1), typed(text), Some(&hash));
        let right = compare("correct horse").await.expect("compared");
        assert_eq!(right, Compared::Right { outdated: false });
        assert_eq!(compare("correct horsf").await.expect("compared"), Compared::Wrong);
        assert_eq!(compare("").await.expect("compared"), Compared::Wrong);
        let dearer = Hashing::new(Cost { passes: 2, ..CHEAP }).expect("randomness");
        let right = dearer.compare(from(1), typed("correct horse"), Some(&hash)).await;
        assert_eq!(right.expect("compared"), Compared::Right { outdated: true });
    }

    /// As the authors' own program has it: `printf password | argon2 0123456789abcdef -id -t 3 -m 16 -p 4`.
    #[test]
    fn a_hash_is_argon2id_as_others_make_it() {
        let hash = argon2id(COST, b"0123456789abcdef", b"password").expect("a hash");
        assert_eq!(written(COST, b"0123456789abcdef", &hash), KNOWN);
    }

    const KNOWN: &str = "$argon2id$v=19$m=65536,t=3,p=4$MDEyMzQ1Njc4OWFiY2RlZg$\
                         uKZLaN6muIyoyIYr5waqw3y+zaDbe9aLSPj6Ln/rbz4";

    #[tokio::test]
    async fn nobody_costs_as_much_as_somebody() {
        let hashing = Hashing::new(CHEAP).expect("randomness");
        let hash =
            hashing.hash(from(1), typed("correct horse").expect("one")).await.expect("a hash");
        let too_long = "x".repeat(100_000);
        for (what, sent, stored) in [
            ("right", "correct horse", Some(hash.as_str())),
            ("wrong", "wrong", Some(hash.as_str())),
            ("nobody", "wrong", None),
            ("nobody, and nothing sent", "", None),
            ("too long", too_long.as_str(), Some(hash.as_str())),
            ("damaged", "wrong", Some("$argon2id$v=19$m=4294967295,t=1,p=1$$")),
        ] {
            let before = hashing.done();
            let compared = hashing.compare(from(1), typed(sent), stored).await.expect("compared");
            assert_eq!(matches!(compared, Compared::Right { .. }), what == "right", "{what}");
            assert_eq!(hashing.done(), before + 1, "{what}: one hash, of the same cost");
        }
        let (cost, ..) = read(&hashing.stand_in).expect("read");
        assert_eq!(cost, CHEAP, "what stands in costs the same");
    }

    #[tokio::test]
    async fn no_more_are_hashed_or_wait_than_may() {
        let hashing = Hashing::new(CHEAP).expect("randomness");
        let all = hashing.at_once.acquire_many(AT_ONCE_MAX as u32).await.expect("places");
        let mut waiting = Vec::new();
        let wrong = |last: u8| Box::pin(hashing.compare(from(last), typed("x"), None));
        for last in
            0..u8::try_from((AT_ONCE_MAX + WAITING_MAX) / OF_ONE_ADDRESS_MAX + 1).expect("few")
        {
            for _ in 0..OF_ONE_ADDRESS_MAX {
                waiting.push((last, wrong(last)));
            }
        }
        let mut busy = 0;
        let mut patient = Vec::new();
        for (_, mut one) in waiting {
            match futures_now(&mut one).await {
                Some(answer) => {
                    assert!(matches!(answer, Err(HashError::Busy)), "{answer:?}");
                    busy += 1;
                }
                None => patient.push(one),
            }
        }
        assert_eq!(patient.len(), AT_ONCE_MAX + WAITING_MAX);
        assert!(busy > 0);
        let mut one_more = wrong(0);
        assert!(futures_now(&mut one_more).await.is_some(), "nobody waits beyond that");
        drop(all);
        for one in patient {
            assert_eq!(one.await.expect("compared"), Compared::Wrong);
        }
        assert_eq!(wrong(0).await.expect("there is room again"), Compared::Wrong);
    }

    #[tokio::test]
    async fn one_address_does_not_take_every_place() {
        let hashing = Hashing::new(CHEAP).expect("randomness");
        let all = hashing.at_once.acquire_many(AT_ONCE_MAX as u32).await.expect("places");
        let mut patient = Vec::new();
        for _ in 0..OF_ONE_ADDRESS_MAX {
            let mut one = Box::pin(hashing.compare(from(1), typed("x"), None));
            assert!(futures_now(&mut one).await.is_none());
            patient.push(one);
        }
        let mut own = Box::pin(hashing.compare(from(1), typed("x"), None));
        assert!(matches!(futures_now(&mut own).await, Some(Err(HashError::Busy))));
        let mut other = Box::pin(hashing.compare(from(2), typed("x"), None));
        assert!(futures_now(&mut other).await.is_none(), "another waits their turn");
        drop((all, patient));
        assert_eq!(other.await.expect("compared"), Compared::Wrong);
    }

    /// What a future answers without waiting.
    async fn futures_now<F: Future + Unpin>(future: &mut F) -> Option<F::Output> {
        std::future::poll_fn(|context| {
            std::task::Poll::Ready(match std::pin::Pin::new(&mut *future).poll(context) {
                std::task::Poll::Ready(answer) => Some(answer),
                std::task::Poll::Pending => None,
            })
        })
        .await
    }
}
