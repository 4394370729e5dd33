//! How often somebody may try what can be guessed: a password, a code of six digits.
//!
//! Unlike a secret of 256 bits, the right one does not pass while somebody has to wait: it would only have to
//! be tried often enough. Each try counts before it is looked at, so that a thousand at once are not a
//! thousand free ones; whoever is right gets theirs back.
//!
//! Three are counted: an account at an address, everybody at an address, and an account from everywhere, since
//! addresses are cheap. The last would let a stranger lock somebody out by being wrong in their name. So it
//! slows only those who come from where nobody signed in to the account before: at their usual place people
//! have a count of their own, that nobody elsewhere can run up.
//!
//! A name that nobody has is counted like one that somebody has: waiting tells no names.

use std::{
    collections::BTreeMap,
    net::IpAddr,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::party::party;

/// Failures are forgotten after so long without another: a day, so that a patient stranger has no more
/// tries than a hasty one has waits.
const REMEMBERED: Duration = Duration::from_hours(24);
/// How many strangers are counted apart; past that all new ones are counted as one, and wait together. At
/// their usual place, and with a passkey, people come in all the same.
const STRANGERS_MAX: usize = 20_000;
/// How many at their usual places are counted: as many as fail there within a day.
const FAMILIAR_MAX: usize = 20_000;
/// How often what is forgotten is looked for, where too much is remembered.
const SWEPT_EVERY: Duration = Duration::from_secs(1);

/// What is guessed at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Guess {
    /// A password, by a name.
    Password,
    /// The second factor of somebody whose password was right.
    SecondFactor,
    /// A code that somebody reads from another screen.
    UserCode,
}

/// In whose name something is tried: the same for a name that is somebody's and one that is nobody's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Account(Uuid);

impl Account {
    /// By the name that somebody typed, folded.
    pub(crate) fn named(name: &str) -> Account {
        let digest = Sha256::new().chain_update(b"hourgate guessed name\0").chain_update(name);
        let mut bytes = [0; 16];
        bytes.copy_from_slice(&digest.finalize()[..16]);
        Account(Uuid::from_bytes(bytes))
    }

    /// By its object id, where who it is was proved before.
    pub(crate) fn known(object: Uuid) -> Account {
        Account(object)
    }
}

/// Where somebody tries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Whence {
    /// Where somebody signed in to the account before.
    Familiar(IpAddr),
    /// Anywhere else.
    Stranger(IpAddr),
}

/// Who tried how often.
#[derive(Debug, Default)]
pub(crate) struct Guesses(Mutex<Tried>);

#[derive(Debug, Default)]
struct Tried {
    strangers: BTreeMap<Who, Tries>,
    familiar: BTreeMap<Who, Tries>,
    /// When what is forgotten was last taken out.
    swept: Option<u64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Who {
    At(IpAddr, Guess, Account),
    AllAt(IpAddr),
    Everywhere(Guess, Account),
    Anybody,
}

/// How often, and when last: nanoseconds on the boot clock, which nobody sets.
#[derive(Clone, Copy, Debug)]
struct Tries {
    count: u32,
    last: u64,
}

/// How slow it gets.
struct Pace {
    /// How many tries are free.
    free: u32,
    /// The longest wait.
    longest: Duration,
}

impl Who {
    fn pace(self) -> Pace {
        let minutes = Duration::from_mins;
        match self {
            // Three right ones among a million, and the password is known already: every try is one too many.
            Who::At(_, Guess::SecondFactor, _) => Pace { free: 5, longest: minutes(15) },
            Who::Everywhere(Guess::SecondFactor, _) => Pace { free: 10, longest: minutes(60) },
            Who::At(_, Guess::Password | Guess::UserCode, _) => {
                Pace { free: 5, longest: minutes(5) }
            }
            // NIST SP 800-63B-4, section 3.2.2, allows a hundred in a row; these are 20 and one an hour.
            Who::Everywhere(Guess::Password | Guess::UserCode, _) => {
                Pace { free: 20, longest: minutes(60) }
            }
            // An office has a few who are wrong in a day, and more who were right in between.
            Who::AllAt(_) => Pace { free: 50, longest: minutes(5) },
            Who::Anybody => Pace { free: 20, longest: minutes(1) },
        }
    }
}

impl Guesses {
    /// Counts one more try at `now` (nanoseconds on the boot clock), or says how long to wait: then nothing
    /// may be looked at.
    pub(crate) fn begin(
        &self,
        from: Whence,
        guess: Guess,
        account: Account,
        now: u64,
    ) -> Result<(), Duration> {
        let mut tried = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match from {
            Whence::Familiar(address) => {
                let own = Who::At(party(address), guess, account);
                make_room(&mut tried, now);
                // Without room for another, somebody at their usual place is let try: their account was
                // signed in to from there.
                if tried.familiar.len() >= FAMILIAR_MAX && !tried.familiar.contains_key(&own) {
                    return Ok(());
                }
                wait(&tried.familiar, own, now)?;
                count(&mut tried.familiar, own, now);
            }
            Whence::Stranger(address) => {
                make_room(&mut tried, now);
                let all = whom(party(address), guess, account).map(|who| tried.as_whom(who));
                let all = std::collections::BTreeSet::from(all);
                for who in &all {
                    wait(&tried.strangers, *who, now)?;
                }
                all.into_iter().for_each(|who| count(&mut tried.strangers, who, now));
            }
        }
        Ok(())
    }

    /// The try was not looked at: what it counted is taken back, and nothing more.
    pub(crate) fn take_back(&self, from: Whence, guess: Guess, account: Account) {
        let mut tried = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match from {
            Whence::Familiar(address) => {
                less(&mut tried.familiar, Who::At(party(address), guess, account));
            }
            Whence::Stranger(address) => {
                for who in whom(party(address), guess, account) {
                    less(&mut tried.strangers, who);
                }
            }
        }
    }

    /// The try was right: what it counted is taken back, and at that address the account begins anew. What
    /// others did stays remembered.
    pub(crate) fn was_right(&self, from: Whence, guess: Guess, account: Account) {
        let mut tried = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match from {
            Whence::Familiar(address) => {
                tried.familiar.remove(&Who::At(party(address), guess, account));
            }
            Whence::Stranger(address) => {
                for who in whom(party(address), guess, account) {
                    match who {
                        Who::At(..) => drop(tried.strangers.remove(&who)),
                        Who::AllAt(_) | Who::Everywhere(..) | Who::Anybody => {
                            less(&mut tried.strangers, who);
                        }
                    }
                }
            }
        }
    }
}

/// As whom a stranger is counted.
fn whom(address: IpAddr, guess: Guess, account: Account) -> [Who; 3] {
    [Who::AllAt(address), Who::At(address, guess, account), Who::Everywhere(guess, account)]
}

impl Tried {
    /// As one of many, where too many are counted.
    fn as_whom(&self, who: Who) -> Who {
        let has_room = self.strangers.len() < STRANGERS_MAX || self.strangers.contains_key(&who);
        if has_room { who } else { Who::Anybody }
    }
}

fn make_room(tried: &mut Tried, now: u64) {
    let is_full = tried.strangers.len() >= STRANGERS_MAX || tried.familiar.len() >= FAMILIAR_MAX;
    let is_due = tried.swept.is_none_or(|swept| now.saturating_sub(swept) >= nanos(SWEPT_EVERY));
    if is_full && is_due {
        tried.swept = Some(now);
        tried.strangers.retain(|_, tries| tries.remembered(now) > 0);
        tried.familiar.retain(|_, tries| tries.remembered(now) > 0);
    }
}

/// An error with what is left of a wait.
fn wait(tried: &BTreeMap<Who, Tries>, who: Who, now: u64) -> Result<(), Duration> {
    let Some(tries) = tried.get(&who) else { return Ok(()) };
    let Pace { free, longest } = who.pace();
    let whole = match tries.remembered(now).checked_sub(free) {
        None => Duration::ZERO,
        Some(over) => Duration::from_secs(1 << over.min(16)).min(longest),
    };
    let left = nanos(whole).saturating_sub(now.saturating_sub(tries.last));
    if left > 0 { Err(Duration::from_nanos(left)) } else { Ok(()) }
}

fn count(tried: &mut BTreeMap<Who, Tries>, who: Who, now: u64) {
    let tries = tried.entry(who).or_insert(Tries { count: 0, last: now });
    *tries = Tries { count: tries.remembered(now).saturating_add(1), last: now };
}

fn less(tried: &mut BTreeMap<Who, Tries>, who: Who) {
    if let Some(tries) = tried.get_mut(&who) {
        tries.count = tries.count.saturating_sub(1);
    }
}

impl Tries {
    /// How many of them count at `now`.
    fn remembered(self, now: u64) -> u32 {
        if now.saturating_sub(self.last) >= nanos(REMEMBERED) { 0 } else { self.count }
    }
}

fn nanos(length: Duration) -> u64 {
    u64::try_from(length.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;
    const ANN: Account = Account(Uuid::from_u128(1));

    fn stranger(last: u32) -> Whence {
        Whence::Stranger(IpAddr::from((0xc633_6400 + last).to_be_bytes()))
    }

    fn home() -> Whence {
        Whence::Familiar(IpAddr::from([192, 0, 2, 1]))
    }

    fn pass(guesses: &Guesses, from: Whence, now: u64) -> Option<Duration> {
        guesses.begin(from, Guess::Password, ANN, now).err()
    }

    #[test]
    fn a_wait_grows_and_the_right_password_does_not_shorten_it() {
        let guesses = Guesses::default();
        for _ in 0..5 {
            assert_eq!(pass(&guesses, stranger(1), 0), None);
        }
        assert_eq!(pass(&guesses, stranger(1), 0), Some(Duration::from_secs(1)));
        assert_eq!(pass(&guesses, stranger(1), SECOND), None);
        assert_eq!(pass(&guesses, stranger(1), SECOND), Some(Duration::from_secs(2)));
        // A wait that is not over is not begun anew by asking.
        assert_eq!(pass(&guesses, stranger(1), 2 * SECOND), Some(Duration::from_secs(1)));
        assert_eq!(pass(&guesses, stranger(1), 3 * SECOND), None);
        guesses.was_right(stranger(1), Guess::Password, ANN);
        for _ in 0..5 {
            assert_eq!(pass(&guesses, stranger(1), 3 * SECOND), None, "begun anew");
        }
        assert!(pass(&guesses, stranger(1), 3 * SECOND).is_some());
    }

    #[test]
    fn many_at_once_are_not_many_free_ones() {
        let guesses = Guesses::default();
        let free = (0..1_000).filter(|_| pass(&guesses, stranger(1), 0).is_none()).count();
        assert_eq!(free, 5);
    }

    #[test]
    fn many_addresses_do_not_help_against_one_account() {
        let guesses = Guesses::default();
        let mut counted = 0;
        // A new address each second, for a day.
        for second in 0..86_400_u32 {
            let now = u64::from(second) * SECOND;
            counted += u32::from(pass(&guesses, stranger(second), now).is_none());
        }
        // 20 that are free, one after each wait of 1, 2, 4 … 2,048 s, and then one an hour.
        assert!((20 + 12..=20 + 12 + 24).contains(&counted), "{counted}");
    }

    #[test]
    fn a_stranger_locks_nobody_out_of_their_usual_place() {
        let guesses = Guesses::default();
        for second in 0..86_400_u32 {
            let _counted = pass(&guesses, stranger(second), u64::from(second) * SECOND);
        }
        let now = 86_400 * SECOND;
        assert!(pass(&guesses, stranger(99_999), now).is_some());
        for _ in 0..5 {
            assert_eq!(pass(&guesses, home(), now), None);
        }
        assert!(
            pass(&guesses, home(), now).is_some(),
            "whoever sits there is slowed by themselves"
        );
        guesses.was_right(home(), Guess::Password, ANN);
        assert_eq!(pass(&guesses, home(), now), None);
    }

    #[test]
    fn a_right_password_gives_no_new_tries_of_the_second_factor() {
        let guesses = Guesses::default();
        let begin = |guess| guesses.begin(stranger(1), guess, ANN, 0);
        for _ in 0..5 {
            assert_eq!(begin(Guess::Password), Ok(()));
            guesses.was_right(stranger(1), Guess::Password, ANN);
            assert_eq!(begin(Guess::SecondFactor), Ok(()));
        }
        assert_eq!(begin(Guess::Password), Ok(()));
        guesses.was_right(stranger(1), Guess::Password, ANN);
        assert_eq!(begin(Guess::SecondFactor), Err(Duration::from_secs(1)));
    }

    #[test]
    fn a_new_name_each_time_helps_nobody_at_an_address() {
        let guesses = Guesses::default();
        let free = (0..1_000).filter(|n| {
            let account = Account::named(&format!("name{n}"));
            guesses.begin(stranger(1), Guess::Password, account, 0).is_ok()
        });
        assert_eq!(free.count(), 50);
        assert_eq!(pass(&guesses, stranger(2), 0), None, "another address is not slowed");
        let v6 = |last| Whence::Stranger(IpAddr::from([0x2001, 0xdb8, 0, 0, 0, 0, 0, last]));
        let free = (0..100).filter(|last| pass(&guesses, v6(*last), 0).is_none()).count();
        assert_eq!(free, 5, "a /64 is one address");
    }

    #[test]
    fn one_that_was_not_looked_at_gives_no_more_back_than_it_took() {
        let guesses = Guesses::default();
        for _ in 0..5 {
            assert_eq!(pass(&guesses, stranger(1), 0), None);
        }
        guesses.take_back(stranger(1), Guess::Password, ANN);
        assert_eq!(pass(&guesses, stranger(1), 0), None);
        assert!(pass(&guesses, stranger(1), 0).is_some());
    }

    #[test]
    fn right_ones_do_not_add_up_at_an_address() {
        let guesses = Guesses::default();
        for n in 0..1_000 {
            let account = Account::named(&format!("name{n}"));
            assert_eq!(guesses.begin(stranger(1), Guess::Password, account, 0), Ok(()), "{n}");
            guesses.was_right(stranger(1), Guess::Password, account);
        }
    }

    #[test]
    fn strangers_cannot_fill_the_memory_nor_shut_out_who_is_at_home() {
        let guesses = Guesses::default();
        for n in 0..30_000 {
            let account = Account::named(&format!("name{n}"));
            let _counted = guesses.begin(stranger(n), Guess::Password, account, 0);
        }
        let held = guesses.0.lock().expect("no panic").strangers.len();
        assert!(held <= STRANGERS_MAX + 3, "{held}");
        assert!(pass(&guesses, stranger(40_000), 0).is_some(), "who is new is one of many");
        assert_eq!(pass(&guesses, home(), 0), None);
        assert_eq!(pass(&guesses, stranger(40_000), nanos(REMEMBERED)), None);
        assert!(guesses.0.lock().expect("no panic").strangers.len() <= 3);
    }

    #[test]
    fn a_name_is_counted_whoever_has_it() {
        assert_eq!(Account::named("ann"), Account::named("ann"));
        assert_ne!(Account::named("ann"), Account::named("bob"));
    }
}
