//! A device that shows a code which somebody types where they are signed in (RFC 8628).

use std::{collections::BTreeMap, fmt, net::IpAddr, time::Duration};

use hourgate_core::time::{Timestamp, distance, later};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::Client;
use crate::{party::party, signin::person::SignedIn};

/// How long a code can be typed.
pub(crate) const DEVICE_LIFE: Duration = Duration::from_mins(15);
/// How often a device may ask whether it was, at first. Who asks sooner waits longer from then on.
pub(crate) const INTERVAL: Duration = Duration::from_secs(5);
/// How much longer (RFC 8628, 3.5).
const SLOWER_BY: Duration = Duration::from_secs(5);
/// How much sooner an answer may be asked for than was said: what a network and a timer take.
const SOONER: Duration = Duration::from_millis(500);
/// How many devices wait at once. With 20^8 codes, one guess meets one of them with 1 in 25 million.
const DEVICES_MAX: usize = 1_000;
/// How many of those are one address's: an office has few who sign in within a quarter of an hour.
const DEVICES_PER_ADDRESS_MAX: usize = 20;

/// Letters of a code: no vowels, so that no words come about, and none that looks or sounds like a digit.
const LETTERS: &[u8; 20] = b"BCDFGHJKLMNPQRSTVWXZ";
/// How many a code has: 34 bits.
const CODE_LETTERS: usize = 8;

/// The code that somebody types.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct UserCode([u8; CODE_LETTERS]);

/// A device that waits, as it is shown to whoever is to approve it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Asking {
    /// Which client it says that it is.
    pub(crate) client: Client,
    /// From which address it asked.
    pub(crate) from: IpAddr,
    /// When.
    pub(crate) at: Timestamp,
    /// Whom its tokens will be for: this server, by the name that the device called it.
    pub(crate) audience: String,
}

/// Every device that waits.
#[derive(Debug, Default)]
pub(crate) struct Devices {
    by_digest: BTreeMap<[u8; 32], Device>,
    by_code: BTreeMap<UserCode, [u8; 32]>,
}

#[derive(Debug)]
struct Device {
    code: UserCode,
    asking: Asking,
    stage: Stage,
    interval: Duration,
    polled: Option<Timestamp>,
}

#[derive(Debug)]
enum Stage {
    Waiting,
    Denied,
    Approved(SignedIn),
}

/// What a device is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Polled {
    /// Nobody has decided yet.
    Pending,
    /// Nobody has, and it asks too often.
    SlowDown,
    /// Somebody said no.
    Denied,
    /// It took too long.
    Expired,
    /// Somebody said yes. Told once.
    Approved {
        /// Who.
        who: SignedIn,
        /// Whom the tokens are for.
        audience: String,
    },
    /// No such device asked, or another client did.
    Unknown,
}

/// More devices wait than may.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Full;

impl Devices {
    /// One more device. The code is `code` if nobody has it.
    pub(crate) fn begin(
        &mut self,
        secret: &str,
        code: UserCode,
        asking: Asking,
    ) -> Result<(), Full> {
        self.forget(asking.at);
        let address = party(asking.from);
        let same = self.by_digest.values().filter(|other| party(other.asking.from) == address);
        if self.by_digest.len() >= DEVICES_MAX
            || same.count() >= DEVICES_PER_ADDRESS_MAX
            || self.by_code.contains_key(&code)
        {
            return Err(Full);
        }
        let digest = digest(secret);
        self.by_code.insert(code, digest);
        let (stage, interval) = (Stage::Waiting, INTERVAL);
        self.by_digest.insert(digest, Device { code, asking, stage, interval, polled: None });
        Ok(())
    }

    /// What a device is told that asks.
    pub(crate) fn poll(&mut self, secret: &str, client: Client, now: Timestamp) -> Polled {
        let digest = digest(secret);
        let Some(device) = self.by_digest.get_mut(&digest) else { return Polled::Unknown };
        if device.asking.client != client {
            return Polled::Unknown;
        }
        if device.is_over(now) {
            self.remove(digest);
            return Polled::Expired;
        }
        let before = device.polled.replace(now);
        match &device.stage {
            Stage::Waiting => {
                let pause = before.map(|before| distance(before, now));
                if pause.is_some_and(|pause| pause + SOONER < device.interval) {
                    device.interval += SLOWER_BY;
                    return Polled::SlowDown;
                }
                Polled::Pending
            }
            Stage::Denied => {
                self.remove(digest);
                Polled::Denied
            }
            Stage::Approved(who) => {
                let (who, audience) = (who.clone(), device.asking.audience.clone());
                self.remove(digest);
                Polled::Approved { who, audience }
            }
        }
    }

    /// The device that shows a code and waits.
    pub(crate) fn asking(&self, code: UserCode, now: Timestamp) -> Option<&Asking> {
        let device = self.by_digest.get(self.by_code.get(&code)?)?;
        match device.stage {
            Stage::Waiting if !device.is_over(now) => Some(&device.asking),
            Stage::Waiting | Stage::Denied | Stage::Approved(_) => None,
        }
    }

    /// Somebody decides: `who` says yes, nobody says no. The device that was decided about, if one still
    /// waited.
    pub(crate) fn decide(
        &mut self,
        code: UserCode,
        who: Option<SignedIn>,
        now: Timestamp,
    ) -> Option<Asking> {
        let device = self.by_digest.get_mut(self.by_code.get(&code)?)?;
        if device.is_over(now) {
            return None;
        }
        match device.stage {
            Stage::Waiting => {
                device.stage = who.map_or(Stage::Denied, Stage::Approved);
                Some(device.asking.clone())
            }
            Stage::Denied | Stage::Approved(_) => None,
        }
    }

    /// Takes back what somebody approved and no device has fetched yet: they are disabled.
    pub(crate) fn forget_approvals_of(&mut self, object: Uuid) {
        for device in self.by_digest.values_mut() {
            if matches!(&device.stage, Stage::Approved(who) if who.object == object) {
                device.stage = Stage::Denied;
            }
        }
    }

    fn forget(&mut self, now: Timestamp) {
        self.by_digest.retain(|_, device| !device.is_over(now));
        let left = &self.by_digest;
        self.by_code.retain(|_, digest| left.contains_key(digest));
    }

    fn remove(&mut self, digest: [u8; 32]) {
        if let Some(device) = self.by_digest.remove(&digest) {
            self.by_code.remove(&device.code);
        }
    }
}

impl Device {
    fn is_over(&self, now: Timestamp) -> bool {
        now >= later(self.asking.at, DEVICE_LIFE)
    }
}

impl UserCode {
    /// From random bytes; each of the letters is as likely as any other, but for one part in 10^18.
    pub(crate) fn of(random: [u8; 16]) -> UserCode {
        let mut left = u128::from_ne_bytes(random);
        let mut letters = [0; CODE_LETTERS];
        for letter in &mut letters {
            let index = usize::try_from(left % 20).unwrap_or_default();
            *letter = LETTERS.get(index).copied().unwrap_or(b'B');
            left /= 20;
        }
        UserCode(letters)
    }

    /// As somebody types it: in any case, with or without what stands between.
    pub(crate) fn parse(text: &str) -> Option<UserCode> {
        let letters: Vec<u8> = text
            .bytes()
            .take(4 * CODE_LETTERS)
            .filter(|letter| !matches!(letter, b' ' | b'-'))
            .map(|letter| letter.to_ascii_uppercase())
            .collect();
        let fit = letters.iter().all(|letter| LETTERS.contains(letter));
        fit.then_some(UserCode(letters.try_into().ok()?))
    }
}

impl fmt::Display for UserCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, letter) in self.0.iter().enumerate() {
            let between = if index == CODE_LETTERS / 2 { "-" } else { "" };
            write!(f, "{between}{}", char::from(*letter))?;
        }
        Ok(())
    }
}

/// Not the code itself: whoever reads a log could approve their own device with it, or deny another's.
impl fmt::Debug for UserCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("UserCode(…)")
    }
}

fn digest(secret: &str) -> [u8; 32] {
    Sha256::digest(secret).into()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + seconds).expect("a time")
    }

    fn asking(seconds: i64, from: [u8; 4]) -> Asking {
        let (client, audience) = (Client::Command, "https://gate".to_owned());
        Asking { client, from: IpAddr::from(from), at: at(seconds), audience }
    }

    fn ann() -> SignedIn {
        let methods = BTreeSet::new();
        let name = "Ann".to_owned();
        SignedIn { object: Uuid::from_u128(7), name, upn: None, at: at(0), methods }
    }

    fn code(n: u8) -> UserCode {
        UserCode::of([n; 16])
    }

    fn one() -> Devices {
        let mut devices = Devices::default();
        devices.begin("secret", code(1), asking(0, [192, 0, 2, 1])).expect("room");
        devices
    }

    #[test]
    fn a_device_waits_until_somebody_types_its_code_and_is_told_once() {
        let mut devices = one();
        assert_eq!(devices.poll("secret", Client::Command, at(5)), Polled::Pending);
        assert_eq!(devices.asking(code(1), at(5)), Some(&asking(0, [192, 0, 2, 1])));
        assert!(devices.decide(code(1), Some(ann()), at(6)).is_some());
        assert!(devices.decide(code(1), None, at(6)).is_none(), "it is decided");
        assert!(devices.asking(code(1), at(6)).is_none());
        let approved = Polled::Approved { who: ann(), audience: "https://gate".to_owned() };
        assert_eq!(devices.poll("secret", Client::Command, at(7)), approved);
        assert_eq!(devices.poll("secret", Client::Command, at(12)), Polled::Unknown);
    }

    #[test]
    fn no_is_told_once_and_who_is_disabled_approves_nothing() {
        let mut devices = one();
        assert!(devices.decide(code(1), None, at(6)).is_some());
        assert_eq!(devices.poll("secret", Client::Command, at(7)), Polled::Denied);
        assert_eq!(devices.poll("secret", Client::Command, at(8)), Polled::Unknown);
        let mut devices = one();
        devices.decide(code(1), Some(ann()), at(6)).expect("it waited");
        devices.forget_approvals_of(ann().object);
        assert_eq!(devices.poll("secret", Client::Command, at(7)), Polled::Denied);
    }

    #[test]
    fn who_asks_too_often_waits_longer_each_time() {
        let mut devices = one();
        let mut poll = |now| devices.poll("secret", Client::Command, at(now));
        assert_eq!(poll(0), Polled::Pending);
        assert_eq!(poll(1), Polled::SlowDown);
        assert_eq!(poll(6), Polled::SlowDown, "ten seconds by now");
        assert_eq!(poll(21), Polled::Pending);
        assert_eq!(poll(36), Polled::Pending);
    }

    #[test]
    fn a_code_lives_for_a_quarter_of_an_hour() {
        let mut devices = one();
        assert!(devices.asking(code(1), at(899)).is_some());
        assert!(devices.asking(code(1), at(900)).is_none());
        assert!(devices.decide(code(1), Some(ann()), at(900)).is_none());
        assert_eq!(devices.poll("secret", Client::Command, at(900)), Polled::Expired);
        assert_eq!(devices.poll("secret", Client::Command, at(901)), Polled::Unknown);
        // One that was approved in time and not fetched is over as well.
        let mut devices = one();
        devices.decide(code(1), Some(ann()), at(899)).expect("it waited");
        assert_eq!(devices.poll("secret", Client::Command, at(900)), Polled::Expired);
    }

    #[test]
    fn another_client_and_another_secret_learn_nothing() {
        let mut devices = one();
        devices.decide(code(1), Some(ann()), at(1)).expect("it waited");
        assert_eq!(devices.poll("secret", Client::AzureCli, at(5)), Polled::Unknown);
        assert_eq!(devices.poll("Secret", Client::Command, at(5)), Polled::Unknown);
        assert!(matches!(devices.poll("secret", Client::Command, at(5)), Polled::Approved { .. }));
    }

    #[test]
    fn one_address_and_all_together_have_their_bounds() {
        let mut devices = Devices::default();
        let mut held = 0;
        for n in 0..2_000_u32 {
            let [.., third, last] = (n / 10).to_be_bytes();
            let random = u128::from(n).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835);
            let code = UserCode::of(random.to_ne_bytes());
            let begun = devices.begin(&n.to_string(), code, asking(0, [10, 0, third, last]));
            held += usize::from(begun.is_ok());
        }
        assert_eq!(held, DEVICES_MAX);
        devices.begin("late", code(1), asking(900, [10, 9, 9, 9])).expect("the others are over");
        assert_eq!(devices.by_digest.len(), 1);
        assert_eq!(devices.by_code.len(), 1);
        let mut devices = Devices::default();
        let mut held = 0;
        for n in 0..100 {
            let begun = devices.begin(&n.to_string(), code(n), asking(0, [10, 0, 0, 1]));
            held += usize::from(begun.is_ok());
        }
        assert_eq!(held, DEVICES_PER_ADDRESS_MAX);
    }

    #[test]
    fn a_code_is_read_as_people_type_it() {
        let code = UserCode::of(*b"0123456789abcdef");
        let text = code.to_string();
        assert_eq!((text.len(), text.as_bytes()[4]), (9, b'-'));
        let bare = text.replace('-', "");
        for typed in [text.clone(), text.to_lowercase(), bare.clone(), format!(" {bare} ")] {
            assert_eq!(UserCode::parse(&typed), Some(code), "{typed}");
        }
        for wrong in ["", "BCDF", "BCDF-GHJA", "BCDF-GHJKL", "BCDF-GHJ\u{212a}", "1234-5678"] {
            assert_eq!(UserCode::parse(wrong), None, "{wrong}");
        }
        assert!(!format!("{code:?}").contains(&bare));
    }
}
