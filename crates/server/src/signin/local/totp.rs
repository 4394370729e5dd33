//! Codes of an authenticator app (RFC 6238): six digits that change every thirty seconds, each good for once.

use aws_lc_rs::hmac;
use data_encoding::BASE32_NOPAD;
use hourgate_core::time::Timestamp;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use subtle::ConstantTimeEq;

/// Length of a secret, in bytes: that of the digest (RFC 4226, section 4, R6).
pub(crate) const SECRET_BYTES: usize = 20;
/// How long a code is shown, in seconds. What every app takes for granted (RFC 6238, section 5.2).
const STEP_SECONDS: i64 = 30;
/// How many codes before and after the one of now are taken: clocks differ, and people type (section 5.2).
const STEPS_AROUND: u64 = 1;
/// How many digits, and one more than the highest number of so many.
const DIGITS: usize = 6;
const NUMBERS: u32 = 1_000_000;

/// An app's secret.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Secret(pub(crate) [u8; SECRET_BYTES]);

/// Which code of all since 1970.
pub(crate) type Step = u64;

/// What stays as it is in a URI.
const URI: AsciiSet = NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

impl Secret {
    /// As people type it where they cannot scan it: four letters at a time.
    pub(crate) fn typed(&self) -> String {
        let text = BASE32_NOPAD.encode(&self.0);
        let groups: Vec<&str> =
            text.as_bytes().chunks(4).map_while(|c| str::from_utf8(c).ok()).collect();
        groups.join(" ")
    }

    /// What an app reads from a picture: the de facto `otpauth` URI. Algorithm, digits and period are those
    /// that are taken where nothing is said; some apps overlook them, so that no others would do.
    pub(crate) fn uri(&self, issuer: &str, account: &str) -> String {
        let written = |text| utf8_percent_encode(text, &URI).to_string();
        format!(
            "otpauth://totp/{issuer}:{}?secret={}&issuer={issuer}&algorithm=SHA1&digits={DIGITS}&period={STEP_SECONDS}",
            written(account),
            BASE32_NOPAD.encode(&self.0),
            issuer = written(issuer),
        )
    }

    /// The step of a code that is right now, and later than the last that was used. A code is good for once:
    /// whoever looks over a shoulder has thirty seconds to come second.
    pub(crate) fn check(&self, typed: &str, last: Option<Step>, now: Timestamp) -> Option<Step> {
        let typed: String = typed.chars().filter(|c| *c != ' ').collect();
        let current = step(now);
        let mut right = None;
        // All are compared, so that time does not tell which one it was.
        for candidate in current.saturating_sub(STEPS_AROUND)..=current + STEPS_AROUND {
            let same = bool::from(self.code(candidate).as_bytes().ct_eq(typed.as_bytes()));
            if same && last.is_none_or(|last| last < candidate) {
                right = Some(candidate);
            }
        }
        right
    }

    /// The code of a step, with its zeros (RFC 4226, section 5.3).
    fn code(&self, step: Step) -> String {
        let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, &self.0);
        let tag = hmac::sign(&key, &step.to_be_bytes());
        let digest = tag.as_ref();
        let offset = usize::from(digest.last().copied().unwrap_or_default() & 0xf);
        let part = digest.get(offset..offset + 4).unwrap_or_default();
        let number = part.iter().fold(0_u32, |number, byte| (number << 8) | u32::from(*byte));
        format!("{:0DIGITS$}", (number & 0x7fff_ffff) % NUMBERS)
    }
}

#[cfg(test)]
impl Secret {
    /// What the app shows.
    pub(crate) fn code_at(&self, now: Timestamp) -> String {
        self.code(step(now))
    }
}

fn step(now: Timestamp) -> Step {
    // Before 1970 there are no codes.
    Step::try_from(now.as_second().div_euclid(STEP_SECONDS)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The secret of the RFCs' examples.
    fn secret() -> Secret {
        Secret(*b"12345678901234567890")
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).expect("a time")
    }

    /// RFC 4226, appendix D; RFC 6238, appendix B, whose codes of eight digits end in these six.
    #[test]
    fn codes_are_those_of_the_rfcs() {
        let codes = [
            "755224", "287082", "359152", "969429", "338314", "254676", "287922", "162583",
            "399871", "520489",
        ];
        for (step, code) in (0..).zip(codes) {
            assert_eq!(secret().code(step), code);
        }
        for (second, code) in [
            (59, "287082"),
            (1_111_111_109, "081804"),
            (1_111_111_111, "050471"),
            (1_234_567_890, "005924"),
            (2_000_000_000, "279037"),
            (20_000_000_000, "353130"),
        ] {
            assert_eq!(secret().check(code, None, at(second)), Some(step(at(second))), "{second}");
        }
    }

    #[test]
    fn a_code_holds_for_a_step_around_and_once() {
        let now = at(1_111_111_109);
        let current = step(now);
        for (away, holds) in [(-2, false), (-1, true), (0, true), (1, true), (2, false)] {
            let code = secret().code(current.checked_add_signed(away).expect("a step"));
            assert_eq!(secret().check(&code, None, now).is_some(), holds, "{away}");
        }
        let code = secret().code(current);
        assert_eq!(secret().check(&code, Some(current - 1), now), Some(current));
        assert_eq!(secret().check(&code, Some(current), now), None, "a second time");
        let before = secret().code(current - 1);
        assert_eq!(secret().check(&before, Some(current), now), None, "an older one after a newer");
    }

    #[test]
    fn what_is_no_code_is_wrong() {
        let now = at(1_234_567_890);
        assert!(secret().check("005 924", None, now).is_some(), "as apps show it");
        for bad in ["", "5924", "0005924", "005925", "００５９２４", "00592a", "005924\n"] {
            assert_eq!(secret().check(bad, None, now), None, "{bad:?}");
        }
    }

    #[test]
    fn an_app_can_read_it() {
        assert_eq!(secret().typed(), "GEZD GNBV GY3T QOJQ GEZD GNBV GY3T QOJQ");
        assert_eq!(
            secret().uri("Hourgate", "ann@example.com"),
            "otpauth://totp/Hourgate:ann%40example.com?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ\
             &issuer=Hourgate&algorithm=SHA1&digits=6&period=30"
        );
        let hostile = secret().uri("Hourgate", "a&secret=B?x:y/z");
        assert!(hostile.contains("Hourgate:a%26secret%3DB%3Fx%3Ay%2Fz?secret=GEZD"), "{hostile}");
    }
}
