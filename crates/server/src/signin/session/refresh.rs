//! Refresh tokens: each is good once, and gives the next one of its family.
//!
//! A token names its session and holds two secrets: the family's, which stays, and its own, which changes. So a
//! token that was given out once is told from one that somebody made up, however old it is, although nothing
//! but two digests is kept. One that comes a second time is in two hands, and ends the session.

use std::time::Duration;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use hourgate_core::time::{Timestamp, distance};
use hourgate_store::CredentialChange;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use uuid::Uuid;

use super::Session;

/// How long the token before may be sent again, as long as the one that it gave was not used: the answer may
/// have been lost on its way. A thief who is that quick is found when the other's token comes.
pub(super) const LOST_ANSWER_WITHIN: Duration = Duration::from_secs(30);
/// Longest text that is looked at as a token; ours have 111 letters.
const TOKEN_BYTES_MAX: usize = 256;
/// What tokens begin with, so that whoever finds one knows what it is. A letter, as every secret of ours.
const PREFIX: &str = "hgr~";

/// A refresh token as its owner holds it.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct RefreshToken {
    pub(super) session: Uuid,
    family: [u8; 32],
    own: [u8; 32],
}

/// What is kept of a session's refresh tokens.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Family {
    #[serde(with = "hex")]
    secret: [u8; 32],
    #[serde(with = "hex")]
    current: [u8; 32],
    before: Option<Before>,
}

/// The token before the current one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Before {
    #[serde(with = "hex")]
    own: [u8; 32],
    /// When it was first exchanged.
    at: Timestamp,
}

/// What came of a refresh token.
#[derive(Clone, Debug)]
pub(crate) enum Refreshed {
    /// The next one counts from now on.
    Next {
        /// As it is now.
        session: Box<Session>,
        /// To be written before the answer is given.
        change: CredentialChange,
    },
    /// It was exchanged before: the session is over.
    Reused {
        /// As it was.
        session: Box<Session>,
        /// To be written.
        change: CredentialChange,
    },
    /// Its session's time is over.
    Over(CredentialChange),
    /// Nobody was given it, or its session was ended.
    Unknown,
}

/// The same, for the family alone.
pub(super) enum Exchange {
    Next,
    Reused,
    Forged,
}

impl RefreshToken {
    /// The first one of a session.
    pub(crate) fn first(session: Uuid, family: [u8; 32], own: [u8; 32]) -> RefreshToken {
        RefreshToken { session, family, own }
    }

    /// The one behind this.
    pub(crate) fn next(&self, own: [u8; 32]) -> RefreshToken {
        RefreshToken { own, ..self.clone() }
    }

    /// Reads one.
    pub(crate) fn parse(text: &str) -> Option<RefreshToken> {
        if text.len() > TOKEN_BYTES_MAX {
            return None;
        }
        let bytes = URL_SAFE_NO_PAD.decode(text.strip_prefix(PREFIX)?).ok()?;
        let (session, rest) = bytes.split_first_chunk::<16>()?;
        let (family, own) = rest.split_first_chunk::<32>()?;
        let own = own.try_into().ok()?;
        Some(RefreshToken { session: Uuid::from_bytes(*session), family: *family, own })
    }

    /// As its owner is given it.
    pub(crate) fn text(&self) -> String {
        let RefreshToken { session, family, own } = self;
        let bytes = [session.as_bytes().as_slice(), family, own].concat();
        format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(bytes))
    }
}

impl Family {
    pub(super) fn of(first: &RefreshToken) -> Family {
        Family { secret: digest(&first.family), current: digest(&first.own), before: None }
    }

    pub(super) fn is_of(&self, sent: &RefreshToken) -> bool {
        digest(&sent.family).ct_eq(&self.secret).into()
    }

    /// Has `fresh` count instead of `sent`, if `sent` counts.
    pub(super) fn exchange(
        &mut self,
        sent: &RefreshToken,
        fresh: &RefreshToken,
        now: Timestamp,
    ) -> Exchange {
        if !self.is_of(sent) {
            return Exchange::Forged;
        }
        let own = digest(&sent.own);
        if bool::from(own.ct_eq(&self.current)) {
            self.before = Some(Before { own, at: now });
            self.current = digest(&fresh.own);
            return Exchange::Next;
        }
        match &self.before {
            Some(before)
                if bool::from(own.ct_eq(&before.own))
                    && distance(before.at, now) < LOST_ANSWER_WITHIN
                    && now >= before.at =>
            {
                self.current = digest(&fresh.own);
                Exchange::Next
            }
            Some(_) | None => Exchange::Reused,
        }
    }

    pub(super) fn back_to(&mut self, sent: &RefreshToken) {
        self.current = digest(&sent.own);
        self.before = None;
    }
}

fn digest(secret: &[u8; 32]) -> [u8; 32] {
    Sha256::digest(secret).into()
}
