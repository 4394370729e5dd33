//! Passkeys: a key that never leaves somebody's device signs our challenge, for our name and no other, once the
//! device has seen that it is they (Web Authentication Level 3, sections 7.1 and 7.2).
//!
//! No attestation is asked for and none is believed: whose device may be used is not ours to say.
//! `docs/decisions/0032-passkeys.md` says why this is our own.

#[cfg(test)]
pub(crate) mod authenticator;
mod cbor;
pub(crate) mod challenge;
mod key;
#[cfg(test)]
mod tests;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::Deserialize;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use uuid::Uuid;

pub(crate) use self::key::PublicKey;
use self::{
    cbor::{NotCbor, Reader},
    challenge::{BadChallenge, CHALLENGE_LIFE, Challenge},
};
use crate::signin::audience;

/// Longest id of a passkey, in bytes (section 4, "Credential ID").
const CREDENTIAL_ID_BYTES_MAX: usize = 1_023;
/// Longest part of an answer that is looked at, in characters of base64: attestations with certificates have
/// a few KiB.
const PART_CHARS_MAX: usize = 32 << 10;

/// Flags of an authenticator's word (section 6.1).
const USER_PRESENT: u8 = 1;
const USER_VERIFIED: u8 = 1 << 2;
const BACKUP_ELIGIBLE: u8 = 1 << 3;
const BACKED_UP: u8 = 1 << 4;
const KEY_INCLUDED: u8 = 1 << 6;
const EXTENSIONS_INCLUDED: u8 = 1 << 7;

/// Why a passkey is not taken. None of it says anything about whose it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum PasskeyFault {
    /// It is not what a browser sends.
    #[error("the answer of the browser cannot be read")]
    Unreadable,
    /// It was made for another page or another name.
    #[error("the passkey was used on another site")]
    OtherSite,
    /// Its challenge.
    #[error(transparent)]
    Challenge(#[from] BadChallenge),
    /// Nobody touched the device.
    #[error("nobody was present at the device")]
    NobodyPresent,
    /// It is not known here, or not that account's.
    #[error("the passkey is not known here")]
    Unknown,
    /// Anybody who holds the device could have used it: that is one factor, and no more.
    #[error("the device did not see that it was its owner who used it")]
    NotVerified,
    /// It is of a kind that is not taken.
    #[error("the passkey is of a kind that is not supported")]
    KeyNotTaken,
    /// It is not its signature.
    #[error("the passkey's signature is wrong")]
    WrongSignature,
    /// It counted backwards, or is suddenly another kind of key: there may be a copy of it.
    #[error("the passkey was used elsewhere since: there may be a copy of it")]
    Copied,
}

impl From<NotCbor> for PasskeyFault {
    fn from(NotCbor: NotCbor) -> PasskeyFault {
        PasskeyFault::Unreadable
    }
}

/// For whom passkeys are: the name of the server's URL, which browsers hold them to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RelyingParty {
    id: String,
    origin: String,
}

/// What a browser sends of a new passkey: `PublicKeyCredential.toJSON()`.
#[derive(Deserialize)]
pub(crate) struct NewPasskey {
    #[serde(rename = "type")]
    kind: String,
    response: Attestation,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Attestation {
    #[serde(rename = "clientDataJSON")]
    client_data: String,
    attestation_object: String,
}

/// What a browser sends of one that is used.
#[derive(Deserialize)]
pub(crate) struct UsedPasskey {
    /// Which, in base64.
    pub(crate) id: String,
    #[serde(rename = "type")]
    kind: String,
    response: Assertion,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Assertion {
    #[serde(rename = "clientDataJSON")]
    client_data: String,
    authenticator_data: String,
    signature: String,
    user_handle: Option<String>,
}

/// A passkey as it was registered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Registered {
    /// Its id, in base64.
    pub(crate) id: String,
    /// Its key.
    pub(crate) key: PublicKey,
    /// How often it was used, as it counts; 0 where it does not.
    pub(crate) counter: u32,
    /// Whether the device saw that it was its owner: by a finger, a face, a PIN.
    pub(crate) user_verified: bool,
    /// Whether it may be on several devices.
    pub(crate) backup_eligible: bool,
    /// What it answered.
    pub(crate) challenge: Challenge,
}

/// What is known of a passkey that is used.
pub(crate) struct Known<'a> {
    pub(crate) object: Uuid,
    pub(crate) key: &'a PublicKey,
    pub(crate) counter: u32,
    pub(crate) backup_eligible: bool,
}

/// A passkey that was used as it should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Used {
    /// How often, as it counts.
    pub(crate) counter: u32,
    /// Whether the device saw that it was its owner.
    pub(crate) user_verified: bool,
    /// What it answered.
    pub(crate) challenge: Challenge,
}

impl RelyingParty {
    /// The server at that URL. None at a bare address, where browsers have no passkeys.
    pub(crate) fn of(base: &str) -> Option<RelyingParty> {
        let (id, origin) = audience::host_and_origin(base)?;
        id.parse::<std::net::IpAddr>().is_err().then_some(RelyingParty { id, origin })
    }

    /// What a browser is asked for a new passkey: `PublicKeyCredentialCreationOptionsJSON`.
    pub(crate) fn creation_options(
        &self,
        challenge: &str,
        object: Uuid,
        (name, display_name): (&str, &str),
        others: &[String],
    ) -> Value {
        let algorithms = key::ALGORITHMS;
        json!({
            "rp": { "id": self.id, "name": "Hourgate" },
            "user": {
                "id": URL_SAFE_NO_PAD.encode(object.as_bytes()),
                "name": name,
                "displayName": display_name,
            },
            "challenge": challenge,
            "pubKeyCredParams": algorithms.map(|alg| json!({ "type": "public-key", "alg": alg })),
            "timeout": millis(),
            "excludeCredentials": descriptors(others),
            "authenticatorSelection": { "residentKey": "preferred", "userVerification": "required" },
            "attestation": "none",
        })
    }

    /// What a browser is asked to use one: `PublicKeyCredentialRequestOptionsJSON`. Without ids it offers
    /// whatever it has for us.
    pub(crate) fn request_options(&self, challenge: &str, ids: &[String]) -> Value {
        json!({
            "rpId": self.id,
            "challenge": challenge,
            "timeout": millis(),
            "allowCredentials": descriptors(ids),
            "userVerification": "required",
        })
    }

    /// Looks at a new passkey. `ask` says whether a challenge is ours.
    pub(crate) fn register(
        &self,
        sent: &NewPasskey,
        ask: impl FnOnce(&str) -> Result<Challenge, BadChallenge>,
    ) -> Result<Registered, PasskeyFault> {
        if sent.kind != "public-key" {
            return Err(PasskeyFault::Unreadable);
        }
        let client_data = part(&sent.response.client_data)?;
        let challenge = self.client_data(&client_data, "webauthn.create", ask)?;
        let object = part(&sent.response.attestation_object)?;
        let word = Word::read(attested(&object)?)?;
        self.is_for_us(&word)?;
        let New { id, key } = word.new.ok_or(PasskeyFault::Unreadable)?;
        Ok(Registered {
            id: URL_SAFE_NO_PAD.encode(id),
            key: key.ok_or(PasskeyFault::KeyNotTaken)?,
            counter: word.counter,
            user_verified: word.flags & USER_VERIFIED != 0,
            backup_eligible: word.flags & BACKUP_ELIGIBLE != 0,
            challenge,
        })
    }

    /// Looks at the use of a passkey that is known.
    pub(crate) fn verify(
        &self,
        sent: &UsedPasskey,
        known: &Known<'_>,
        ask: impl FnOnce(&str) -> Result<Challenge, BadChallenge>,
    ) -> Result<Used, PasskeyFault> {
        if sent.kind != "public-key" {
            return Err(PasskeyFault::Unreadable);
        }
        if let Some(handle) = &sent.response.user_handle
            && part(handle)? != known.object.as_bytes()
        {
            return Err(PasskeyFault::Unreadable);
        }
        let client_data = part(&sent.response.client_data)?;
        let challenge = self.client_data(&client_data, "webauthn.get", ask)?;
        let data = part(&sent.response.authenticator_data)?;
        let word = Word::read(&data)?;
        self.is_for_us(&word)?;
        let signed = [&data[..], &Sha256::digest(&client_data)].concat();
        if !known.key.verify(&signed, &part(&sent.response.signature)?) {
            return Err(PasskeyFault::WrongSignature);
        }
        // One that counts counts up, and one that does not says 0 each time.
        let counts_up = known.counter < word.counter || (known.counter, word.counter) == (0, 0);
        let is_same_kind = (word.flags & BACKUP_ELIGIBLE != 0) == known.backup_eligible;
        if !counts_up || !is_same_kind {
            return Err(PasskeyFault::Copied);
        }
        let user_verified = word.flags & USER_VERIFIED != 0;
        Ok(Used { counter: word.counter, user_verified, challenge })
    }

    /// Whether a browser used it on a page of ours, to answer a challenge of ours.
    fn client_data(
        &self,
        bytes: &[u8],
        kind: &str,
        ask: impl FnOnce(&str) -> Result<Challenge, BadChallenge>,
    ) -> Result<Challenge, PasskeyFault> {
        let data: ClientData =
            serde_json::from_slice(bytes).map_err(|_| PasskeyFault::Unreadable)?;
        if data.kind != kind {
            return Err(PasskeyFault::Unreadable);
        }
        // In a frame of another page somebody does not see where they sign in.
        let in_a_frame = data.cross_origin == Some(true) || data.top_origin.is_some();
        if data.origin != self.origin || in_a_frame {
            return Err(PasskeyFault::OtherSite);
        }
        Ok(ask(&data.challenge)?)
    }

    fn is_for_us(&self, word: &Word<'_>) -> Result<(), PasskeyFault> {
        if !bool::from(Sha256::digest(&self.id).ct_eq(word.party)) {
            return Err(PasskeyFault::OtherSite);
        }
        if word.flags & USER_PRESENT == 0 {
            return Err(PasskeyFault::NobodyPresent);
        }
        Ok(())
    }
}

/// What a browser says of where and for what a passkey was used (section 5.8.1).
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ClientData {
    #[serde(rename = "type")]
    kind: String,
    challenge: String,
    origin: String,
    cross_origin: Option<bool>,
    top_origin: Option<String>,
}

/// What an authenticator says (section 6.1).
struct Word<'a> {
    /// The digest of the name that it is for.
    party: &'a [u8],
    flags: u8,
    counter: u32,
    new: Option<New<'a>>,
}

/// A new key in it (section 6.5.1).
struct New<'a> {
    id: &'a [u8],
    /// None for one that is not taken.
    key: Option<PublicKey>,
}

impl<'a> Word<'a> {
    fn read(bytes: &'a [u8]) -> Result<Word<'a>, PasskeyFault> {
        let unreadable = PasskeyFault::Unreadable;
        let (party, rest) = bytes.split_at_checked(32).ok_or(unreadable)?;
        let (flags, rest) = rest.split_first().ok_or(unreadable)?;
        let (counter, rest) = rest.split_first_chunk().ok_or(unreadable)?;
        let mut reader = Reader::new(rest);
        let new = if flags & KEY_INCLUDED == 0 {
            None
        } else {
            let (new, rest) = New::read(rest)?;
            reader = rest;
            Some(new)
        };
        if flags & EXTENSIONS_INCLUDED != 0 {
            reader.skip()?;
        }
        // What is on several devices can only be one that may be.
        let contradicts = flags & BACKED_UP != 0 && flags & BACKUP_ELIGIBLE == 0;
        if !reader.rest().is_empty() || contradicts {
            return Err(unreadable);
        }
        Ok(Word { party, flags: *flags, counter: u32::from_be_bytes(*counter), new })
    }
}

impl<'a> New<'a> {
    fn read(bytes: &'a [u8]) -> Result<(New<'a>, Reader<'a>), PasskeyFault> {
        let unreadable = PasskeyFault::Unreadable;
        // The model of the authenticator, which anybody can claim to have.
        let (_, rest) = bytes.split_at_checked(16).ok_or(unreadable)?;
        let (length, rest) = rest.split_first_chunk().ok_or(unreadable)?;
        let length = usize::from(u16::from_be_bytes(*length));
        if !(1..=CREDENTIAL_ID_BYTES_MAX).contains(&length) {
            return Err(unreadable);
        }
        let (id, rest) = rest.split_at_checked(length).ok_or(unreadable)?;
        let mut reader = Reader::new(rest);
        match PublicKey::read(&mut reader) {
            Ok(key) => Ok((New { id, key: Some(key) }, reader)),
            Err(NotCbor) => {
                // Well-formed, and of a kind that is not taken.
                let mut reader = Reader::new(rest);
                reader.skip()?;
                Ok((New { id, key: None }, reader))
            }
        }
    }
}

/// The authenticator's word in an attestation object (section 6.5.4).
fn attested(object: &[u8]) -> Result<&[u8], PasskeyFault> {
    let mut reader = Reader::new(object);
    let mut found = None;
    for _ in 0..reader.map()? {
        match reader.text()? {
            "authData" => {
                if found.replace(reader.bytes()?).is_some() {
                    return Err(PasskeyFault::Unreadable);
                }
            }
            _ => reader.skip()?,
        }
    }
    match found {
        Some(word) if reader.rest().is_empty() => Ok(word),
        Some(_) | None => Err(PasskeyFault::Unreadable),
    }
}

fn part(text: &str) -> Result<Vec<u8>, PasskeyFault> {
    if text.len() > PART_CHARS_MAX {
        return Err(PasskeyFault::Unreadable);
    }
    URL_SAFE_NO_PAD.decode(text).map_err(|_| PasskeyFault::Unreadable)
}

fn descriptors(ids: &[String]) -> Value {
    ids.iter().map(|id| json!({ "type": "public-key", "id": id })).collect()
}

fn millis() -> u64 {
    u64::try_from(CHALLENGE_LIFE.as_millis()).unwrap_or_default()
}
