//! The log's format, version 1: what a record's bytes are, how they are chained and sealed.
//!
//! Pure: no database. `docs/decisions/0010-log-format.md` says the same for a stranger who verifies it.

mod canonical;

use std::{collections::BTreeMap, fmt};

use hmac::{Hmac, Mac};
use hourgate_core::{
    event::{Event, Note},
    personal::Personal,
    role::Person,
    time::Timestamp,
};
use serde::Serialize;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::Origin;
pub use canonical::CanonicalError;
use canonical::Commit;

/// The format that this version writes.
pub const FORMAT_VERSION: u32 = 1;
/// Length of a salt, in bytes: too many to try all for one short text.
pub const SALT_BYTES: usize = 16;

/// A SHA-256 digest or HMAC.
pub type Hash = [u8; 32];

/// The key under which records, head and rows are sealed. It is kept outside the database.
#[derive(Clone)]
pub struct LogKey(Hmac<Sha256>);

impl LogKey {
    /// From its bytes.
    pub fn new(bytes: &[u8; 32]) -> LogKey {
        // HMAC pads a key shorter than its block with zeros (RFC 2104), so this is the same key, and the
        // constructor that cannot fail takes a whole block.
        let mut block = hmac::digest::Key::<Hmac<Sha256>>::default();
        block[..32].copy_from_slice(bytes);
        LogKey(<Hmac<Sha256> as hmac::digest::KeyInit>::new(&block))
    }

    /// The seal of some parts under this key, each with its length before it.
    pub(crate) fn seal(&self, parts: &[&[u8]]) -> Hash {
        let mut mac = self.0.clone();
        for part in parts {
            mac.update(part);
        }
        mac.finalize().into_bytes().into()
    }

    /// The seal of a record.
    pub fn seal_record(&self, hash: &Hash) -> Hash {
        self.seal(&[b"hourgate log seal\0", hash])
    }

    /// The seal of the log's head: nothing is cut from its end unnoticed.
    pub fn seal_head(&self, seq: u64, hash: &Hash) -> Hash {
        self.seal(&[b"hourgate log head\0", &seq.to_be_bytes(), hash])
    }
}

/// What the first record of an installation follows.
pub fn genesis(installation: Uuid) -> Hash {
    let digest = Sha256::new().chain_update(b"hourgate log genesis\0");
    digest.chain_update(installation.as_bytes()).finalize().into()
}

/// The hash of a record: it follows `previous` and says `body`.
pub fn hash(version: u32, seq: u64, previous: &Hash, body: &[u8]) -> Hash {
    Sha256::new()
        .chain_update(b"hourgate log record\0")
        .chain_update(version.to_be_bytes())
        .chain_update(seq.to_be_bytes())
        .chain_update(previous)
        .chain_update(body)
        .finalize()
        .into()
}

/// What a record tells.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(untagged)]
pub enum Entry<'a> {
    /// Something happened.
    Event(&'a Event),
    /// Something was worth remembering.
    Note(&'a Note),
}

/// A text that tells of a person, kept beside the record that commits to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Side {
    /// Where it stands in the body: a JSON pointer (RFC 6901).
    pub path: String,
    /// What makes its commitment impossible to guess.
    pub salt: [u8; SALT_BYTES],
    /// The text.
    pub text: String,
}

/// A record as it is written.
#[derive(Serialize)]
struct Body<'a> {
    version: u32,
    seq: u64,
    at: Timestamp,
    person: Option<&'a Person>,
    address: Option<Personal>,
    action: &'a str,
    target: &'a str,
    correlation: Uuid,
    entry: Entry<'a>,
}

/// The body of a record, and what is kept beside it. `salt` fills in randomness.
pub fn body<E: fmt::Debug + fmt::Display>(
    seq: u64,
    at: Timestamp,
    origin: &Origin,
    entry: Entry<'_>,
    salt: &mut dyn FnMut(&mut [u8; SALT_BYTES]) -> Result<(), E>,
) -> Result<(Vec<u8>, Vec<Side>), CanonicalError<E>> {
    let body = Body {
        version: FORMAT_VERSION,
        seq,
        at,
        person: origin.person.as_ref(),
        address: origin.address.map(|address| Personal(address.to_string())),
        action: &origin.action,
        target: &origin.target,
        correlation: origin.correlation,
        entry,
    };
    let mut beside = Beside { salt, sides: Vec::new() };
    let body = canonical::to_vec(&body, &mut beside)?;
    Ok((body, beside.sides))
}

/// Keeps texts beside the record, each with a salt of its own.
struct Beside<'s, E> {
    salt: &'s mut dyn FnMut(&mut [u8; SALT_BYTES]) -> Result<(), E>,
    sides: Vec<Side>,
}

impl<E: fmt::Debug + fmt::Display> Commit for Beside<'_, E> {
    type Error = E;

    fn commit(&mut self, path: &str, text: String) -> Result<String, E> {
        let mut side = Side { path: path.to_owned(), salt: [0; SALT_BYTES], text };
        (self.salt)(&mut side.salt)?;
        let commitment = commitment(&side.salt, &side.text);
        self.sides.push(side);
        Ok(commitment)
    }
}

/// A digest to compare by, without a key.
pub(crate) fn digest(bytes: &[u8]) -> Hash {
    Sha256::digest(bytes).into()
}

/// What a text is represented by in a record.
pub fn commitment(salt: &[u8], text: &str) -> String {
    hex::encode(Sha256::new().chain_update(salt).chain_update(text.as_bytes()).finalize())
}

/// Puts every text back in its place; what was erased stays a commitment.
pub fn restore(value: &mut Value, sides: &BTreeMap<String, String>) {
    fn at(value: &mut Value, path: &mut String, sides: &BTreeMap<String, String>) {
        if marked(value, "commitment").is_some() {
            if let Some(text) = sides.get(path.as_str()) {
                *value = json!({ "personal": text });
            }
            return;
        }
        let done: Result<(), std::convert::Infallible> = each(value, path, &mut |child, path| {
            at(child, path, sides);
            Ok(())
        });
        match done {
            Ok(()) => {}
        }
    }
    at(value, &mut String::new(), sides);
}

/// How many texts about people a body commits to.
pub fn commitments(value: &Value) -> u64 {
    match value {
        Value::Object(_) if marked(value, "commitment").is_some() => 1,
        Value::Object(object) => object.values().map(commitments).sum(),
        Value::Array(list) => list.iter().map(commitments).sum(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => 0,
    }
}

/// The text of an object with that key and no other.
pub fn marked<'a>(value: &'a Value, key: &str) -> Option<&'a str> {
    let object = value.as_object().filter(|object| object.len() == 1)?;
    object.get(key)?.as_str()
}

fn each<E>(
    value: &mut Value,
    path: &mut String,
    visit: &mut dyn FnMut(&mut Value, &mut String) -> Result<(), E>,
) -> Result<(), E> {
    let length = path.len();
    let mut step = |name: &str, child: &mut Value| {
        path.push('/');
        path.push_str(&name.replace('~', "~0").replace('/', "~1"));
        let done = visit(child, path);
        path.truncate(length);
        done
    };
    match value {
        Value::Object(object) => object.iter_mut().try_for_each(|(key, child)| {
            if child.is_object() || child.is_array() { step(key, child) } else { Ok(()) }
        }),
        Value::Array(list) => list.iter_mut().enumerate().try_for_each(|(place, child)| {
            if child.is_object() || child.is_array() {
                step(&place.to_string(), child)
            } else {
                Ok(())
            }
        }),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Ok(()),
    }
}
