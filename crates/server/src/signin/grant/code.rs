//! Codes that a browser carries from our pages to a client (RFC 6749, 4.1), bound to it by PKCE (RFC 7636).

use std::{collections::BTreeMap, time::Duration};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use hourgate_core::time::{Timestamp, later};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use uuid::Uuid;

use super::Client;
use crate::signin::person::SignedIn;

/// How long a code can be redeemed.
const CODE_LIFE: Duration = Duration::from_secs(60);
/// How long a redeemed one is remembered, so that one that comes twice is seen: longer than it lives, and as
/// long as somebody who read it in a history could wait.
const REMEMBERED: Duration = Duration::from_mins(15);
/// How many are held at once. Only who is signed in has one made.
const CODES_MAX: usize = 2_000;
/// How many of those are one person's.
const CODES_PER_PERSON_MAX: usize = 50;
/// Shortest and longest verifier (RFC 7636, 4.1).
const VERIFIER_BYTES: std::ops::RangeInclusive<usize> = 43..=128;

/// What a code is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Code {
    pub(crate) client: Client,
    /// As the client sent it: it sends the same again.
    pub(crate) redirect: String,
    pub(crate) challenge: Challenge,
    pub(crate) who: SignedIn,
    /// Whom the tokens are for.
    pub(crate) audience: String,
    /// What the client wants to find in its id token.
    pub(crate) nonce: Option<String>,
}

/// A client's challenge: SHA-256 of what it will show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Challenge([u8; 32]);

/// Every code.
#[derive(Debug, Default)]
pub(crate) struct Codes(BTreeMap<[u8; 32], Held>);

#[derive(Debug)]
struct Held {
    at: Timestamp,
    person: Uuid,
    stage: Stage,
}

#[derive(Debug)]
enum Stage {
    Fresh(Box<Code>),
    /// Redeemed, for this session.
    Redeemed(Uuid),
    /// Shown with something wrong: it is nobody's any more.
    Spoilt,
}

/// What came of a code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Redeemed {
    /// It is good, once.
    Right(Box<Code>),
    /// It was redeemed before, for this session, which somebody else may hold.
    Again(Uuid),
    /// It is nobody's, over, or another client's.
    Wrong,
}

/// More codes wait than may.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Full;

impl Codes {
    /// One more code.
    pub(crate) fn issue(&mut self, secret: &str, code: Code, now: Timestamp) -> Result<(), Full> {
        self.0.retain(|_, held| now < later(held.at, REMEMBERED));
        let person = code.who.object;
        let theirs = self.0.values().filter(|held| held.person == person).count();
        if self.0.len() >= CODES_MAX || theirs >= CODES_PER_PERSON_MAX {
            return Err(Full);
        }
        let held = Held { at: now, person, stage: Stage::Fresh(Box::new(code)) };
        self.0.insert(digest(secret), held);
        Ok(())
    }

    /// Exchanges a code for what it is for; `session` begins with it. Shown with a wrong client, address or
    /// verifier it is over for everybody: whoever has it did not get it from us.
    pub(crate) fn redeem(
        &mut self,
        secret: &str,
        (client, redirect, verifier): (Client, &str, &str),
        session: Uuid,
        now: Timestamp,
    ) -> Redeemed {
        let Some(held) = self.0.get_mut(&digest(secret)) else { return Redeemed::Wrong };
        match std::mem::replace(&mut held.stage, Stage::Spoilt) {
            Stage::Fresh(code)
                if code.client == client
                    && code.redirect == redirect
                    && code.challenge.is_met_by(verifier)
                    && now < later(held.at, CODE_LIFE) =>
            {
                held.stage = Stage::Redeemed(session);
                Redeemed::Right(code)
            }
            Stage::Fresh(_) | Stage::Spoilt => Redeemed::Wrong,
            Stage::Redeemed(session) => {
                held.stage = Stage::Redeemed(session);
                Redeemed::Again(session)
            }
        }
    }

    /// Forgets the codes of somebody who is disabled.
    pub(crate) fn forget_of(&mut self, object: Uuid) {
        self.0.retain(|_, held| held.person != object);
    }
}

impl Challenge {
    /// Reads one, of the only method that is taken: with `plain`, whoever sees the way there sees the proof.
    pub(crate) fn parse(challenge: &str, method: &str) -> Option<Challenge> {
        if method != "S256" {
            return None;
        }
        let bytes = URL_SAFE_NO_PAD.decode(challenge).ok()?;
        Some(Challenge(bytes.try_into().ok()?))
    }

    fn is_met_by(&self, verifier: &str) -> bool {
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
        VERIFIER_BYTES.contains(&verifier.len())
            && verifier.bytes().all(fits)
            && bool::from(digest(verifier).ct_eq(&self.0))
    }
}

fn digest(secret: &str) -> [u8; 32] {
    Sha256::digest(secret).into()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    const REDIRECT: &str = "http://localhost:4711/signed-in";
    // RFC 7636, appendix B.
    const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
    const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + seconds).expect("a time")
    }

    fn code() -> Code {
        let (name, methods) = ("Ann".to_owned(), BTreeSet::new());
        Code {
            client: Client::Command,
            redirect: REDIRECT.to_owned(),
            challenge: Challenge::parse(CHALLENGE, "S256").expect("one"),
            who: SignedIn { object: Uuid::from_u128(7), name, upn: None, at: at(0), methods },
            audience: "https://gate".to_owned(),
            nonce: None,
        }
    }

    fn issued() -> Codes {
        let mut codes = Codes::default();
        codes.issue("code", code(), at(0)).expect("room");
        codes
    }

    const RIGHT: (Client, &str, &str) = (Client::Command, REDIRECT, VERIFIER);
    const SESSION: Uuid = Uuid::from_u128(9);

    #[test]
    fn a_code_is_good_once_and_one_that_comes_again_tells_what_it_gave() {
        let mut codes = issued();
        let right = codes.redeem("code", RIGHT, SESSION, at(59));
        assert_eq!(right, Redeemed::Right(Box::new(code())));
        for n in 60..62 {
            let again = codes.redeem("code", RIGHT, Uuid::from_u128(10), at(n));
            assert_eq!(again, Redeemed::Again(SESSION));
        }
    }

    #[test]
    fn a_code_is_for_one_client_one_address_one_verifier_and_a_minute() {
        let other = "0BjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
        for (shown, now) in [
            ((Client::AzureCli, REDIRECT, VERIFIER), 1),
            ((Client::Command, "http://localhost:4712/signed-in", VERIFIER), 1),
            ((Client::Command, REDIRECT, other), 1),
            ((Client::Command, REDIRECT, CHALLENGE), 1),
            ((Client::Command, REDIRECT, ""), 1),
            (RIGHT, 60),
        ] {
            let mut codes = issued();
            assert_eq!(codes.redeem("code", shown, SESSION, at(now)), Redeemed::Wrong, "{shown:?}");
            let after = codes.redeem("code", RIGHT, SESSION, at(2));
            assert_eq!(after, Redeemed::Wrong, "it is spoilt");
        }
        assert_eq!(issued().redeem("Code", RIGHT, SESSION, at(1)), Redeemed::Wrong);
    }

    #[test]
    fn only_the_method_that_hides_the_proof_is_taken() {
        assert!(Challenge::parse(VERIFIER, "plain").is_none());
        assert!(Challenge::parse(CHALLENGE, "").is_none());
        assert!(Challenge::parse(CHALLENGE, "s256").is_none());
        assert!(Challenge::parse("AAAA", "S256").is_none());
    }

    #[test]
    fn a_person_has_only_so_many_and_none_once_they_are_disabled() {
        let mut codes = Codes::default();
        for n in 0..CODES_PER_PERSON_MAX {
            codes.issue(&n.to_string(), code(), at(0)).expect("room");
        }
        assert_eq!(codes.issue("more", code(), at(0)), Err(Full));
        codes.issue("later", code(), at(900)).expect("the others are forgotten");
        codes.forget_of(code().who.object);
        assert_eq!(codes.redeem("later", RIGHT, SESSION, at(901)), Redeemed::Wrong);
    }
}
