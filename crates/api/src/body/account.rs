//! Bodies of accounts and of what services sign in with.

use hourgate_core::time::Timestamp;
use serde_json::Value;

use super::{
    json::{self, Json},
    object::{Object, Problems},
    value,
};
use crate::{
    account::{NewAccount, NewKey, NewSecret, NewService, NewTrust},
    error::ArmError,
    time::UtcTime,
};

/// What a public key can hold (RFC 7517, RFC 7518), and what gives a private one away.
const KEY_PROPERTIES: [&str; 22] = [
    "kty", "crv", "x", "y", "n", "e", "kid", "use", "alg", "key_ops", "x5t", "x5t#S256", "x5c",
    "d", "p", "q", "dp", "dq", "qi", "oth", "k", "x5u",
];

/// Reads an account that is to be made.
pub fn account(body: &[u8]) -> Result<NewAccount, ArmError> {
    read(body, |object, problems| {
        let name = text(object, "name", problems);
        let display_name = optional_text(object, "displayName", problems);
        Some(NewAccount { name: name?, display_name: display_name? })
    })
}

/// Reads a service account that is to be made.
pub fn service(body: &[u8]) -> Result<NewService, ArmError> {
    read(body, |object, problems| {
        Some(NewService { display_name: text(object, "displayName", problems)? })
    })
}

/// Reads a secret that is to be made.
pub fn secret(body: &[u8]) -> Result<NewSecret, ArmError> {
    read(body, |object, problems| {
        let display_name = text(object, "displayName", problems);
        let ends_at = end(object, problems);
        Some(NewSecret { display_name: display_name?, ends_at })
    })
}

/// Reads a key that is to be taken.
pub fn key(body: &[u8]) -> Result<NewKey, ArmError> {
    read(body, |object, problems| {
        let display_name = text(object, "displayName", problems);
        let ends_at = end(object, problems);
        let jwk = object.required("jwk", "a public JSON Web Key", problems);
        let jwk = jwk.and_then(|jwk| key_of(jwk, problems));
        Some(NewKey { display_name: display_name?, jwk: jwk?, ends_at })
    })
}

/// Reads whose tokens are to stand for a service account.
pub fn trust(body: &[u8]) -> Result<NewTrust, ArmError> {
    read(body, |object, problems| {
        let display_name = text(object, "displayName", problems);
        let issuer = text(object, "issuer", problems);
        let subject = text(object, "subject", problems);
        let audience = text(object, "audience", problems);
        Some(NewTrust {
            display_name: display_name?,
            issuer: issuer?,
            subject: subject?,
            audience: audience?,
        })
    })
}

fn read<T>(
    body: &[u8],
    take: impl FnOnce(&mut Object, &mut Problems) -> Option<T>,
) -> Result<T, ArmError> {
    let json = json::read(body)?;
    let mut problems = Problems::default();
    let taken = Object::of(json, "", &mut problems).and_then(|mut object| {
        let taken = take(&mut object, &mut problems);
        object.close(&mut problems);
        taken
    });
    problems.or(taken)
}

fn text(object: &mut Object, name: &'static str, problems: &mut Problems) -> Option<String> {
    let path = object.path_of(name);
    let json = object.required(name, "a text", problems)?;
    value::text(json, &path, "a text", problems)
}

fn optional_text(
    object: &mut Object,
    name: &'static str,
    problems: &mut Problems,
) -> Option<String> {
    let path = object.path_of(name);
    match object.optional(name) {
        Some(json) => value::text(json, &path, "a text", problems),
        None => Some(String::new()),
    }
}

fn end(object: &mut Object, problems: &mut Problems) -> Option<UtcTime> {
    let path = object.path_of("endsAt");
    let at: Option<Timestamp> =
        object.optional("endsAt").and_then(|json| value::moment(json, &path, problems));
    at.map(UtcTime)
}

/// The texts of a key, for the server to judge.
fn key_of(json: Json, problems: &mut Problems) -> Option<Value> {
    let mut object = Object::of(json, "jwk", problems)?;
    let mut key = serde_json::Map::new();
    for name in KEY_PROPERTIES {
        match object.optional(name) {
            Some(json @ Json::Text(_)) => {
                let path = object.path_of(name);
                let text = value::text(json, &path, "a text", problems)?;
                key.insert(name.to_owned(), text.into());
            }
            // Lists of certificates or purposes; nothing of them is believed.
            Some(_) => {
                key.insert(name.to_owned(), Value::Null);
            }
            None => {}
        }
    }
    // What else it says about itself is passed over.
    drop(object);
    Some(Value::Object(key))
}
