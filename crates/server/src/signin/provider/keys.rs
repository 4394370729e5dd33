//! A provider's public keys: which of them may vouch for a token, and with which algorithm.

use std::collections::BTreeSet;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, DecodingKey};
use serde::Deserialize;
use serde_json::Value;

/// How many keys a provider may publish; the largest have a dozen.
const KEYS_MAX: usize = 100;
/// Longest id of a key, in bytes.
pub(super) const KEY_ID_BYTES_MAX: usize = 256;

/// RFC 7518, 3.1, RSA: what a key of 2048 bits or more may sign with.
const RSA: [Algorithm; 6] = [
    Algorithm::RS256,
    Algorithm::RS384,
    Algorithm::RS512,
    Algorithm::PS256,
    Algorithm::PS384,
    Algorithm::PS512,
];

/// The algorithm of a name, if tokens may be signed with it: asymmetric ones alone. With HS256 whoever
/// knows the public key could sign, and with `none` everybody.
pub(super) fn algorithm(name: &str) -> Option<Algorithm> {
    match name {
        "RS256" => Some(Algorithm::RS256),
        "RS384" => Some(Algorithm::RS384),
        "RS512" => Some(Algorithm::RS512),
        "PS256" => Some(Algorithm::PS256),
        "PS384" => Some(Algorithm::PS384),
        "PS512" => Some(Algorithm::PS512),
        "ES256" => Some(Algorithm::ES256),
        "ES384" => Some(Algorithm::ES384),
        "EdDSA" | "Ed25519" => Some(Algorithm::EdDSA),
        _ => None,
    }
}

/// The keys of one answer.
#[derive(Debug)]
pub(super) struct KeySet {
    keys: Vec<ProviderKey>,
}

/// One key that signs.
#[derive(Debug)]
pub(super) struct ProviderKey {
    id: Option<String>,
    algorithms: Vec<Algorithm>,
    /// What it is, so that a key that stays is told from one that was replaced under the same id.
    identity: String,
    key: DecodingKey,
}

/// Why an answer is no set of keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum BadKeys {
    #[error("its keys are no JSON Web Key Set")]
    NoSet,
    #[error("it has more than {KEYS_MAX} keys")]
    TooMany,
    #[error("it has no key that could sign a token")]
    None,
}

#[derive(Deserialize)]
struct Answered {
    keys: Vec<Value>,
}

/// One key as it is written (RFC 7517); what is not looked at here, a certificate or its URL, counts for
/// nothing.
#[derive(Deserialize)]
struct Jwk {
    kty: String,
    #[serde(rename = "use")]
    purpose: Option<String>,
    key_ops: Option<Vec<String>>,
    alg: Option<String>,
    kid: Option<String>,
    crv: Option<String>,
    n: Option<String>,
    e: Option<String>,
    x: Option<String>,
    y: Option<String>,
}

impl KeySet {
    /// Reads an answer. A key that is not understood, or not there to sign, is left out.
    pub(super) fn read(body: &[u8]) -> Result<KeySet, BadKeys> {
        let answered: Answered = serde_json::from_slice(body).map_err(|_| BadKeys::NoSet)?;
        if answered.keys.len() > KEYS_MAX {
            return Err(BadKeys::TooMany);
        }
        let keys: Vec<ProviderKey> =
            answered.keys.into_iter().filter_map(ProviderKey::read).collect();
        if keys.is_empty() { Err(BadKeys::None) } else { Ok(KeySet { keys }) }
    }

    /// The key that a token names. A token that names none is believed where one key alone comes into
    /// question (OpenID Connect Core, 10.1).
    pub(super) fn find(&self, id: Option<&str>, algorithm: Algorithm) -> Option<&ProviderKey> {
        let mut fit = self.keys.iter().filter(|key| {
            key.algorithms.contains(&algorithm) && (id.is_none() || key.id.as_deref() == id)
        });
        let first = fit.next()?;
        if id.is_none() && fit.next().is_some() { None } else { Some(first) }
    }

    /// Whether every key of `earlier` is still here.
    pub(super) fn keeps_all_of(&self, earlier: &KeySet) -> bool {
        let own: BTreeSet<&str> = self.keys.iter().map(|key| key.identity.as_str()).collect();
        earlier.keys.iter().all(|key| own.contains(key.identity.as_str()))
    }
}

impl ProviderKey {
    fn read(value: Value) -> Option<ProviderKey> {
        let jwk: Jwk = serde_json::from_value(value).ok()?;
        let signs = jwk.purpose.as_deref().is_none_or(|purpose| purpose == "sig");
        let verifies = |ops: &Vec<String>| ops.iter().any(|op| op == "verify");
        let long = jwk.kid.as_ref().is_some_and(|kid| kid.len() > KEY_ID_BYTES_MAX);
        if !signs || !jwk.key_ops.as_ref().is_none_or(verifies) || long {
            return None;
        }
        let (algorithms, key) = jwk.key()?;
        let algorithms = match jwk.alg.as_deref() {
            None => algorithms,
            Some(named) => {
                let named = algorithm(named)?;
                algorithms.into_iter().filter(|fits| *fits == named).collect()
            }
        };
        let part = |part: &Option<String>| part.clone().unwrap_or_default();
        let parts = [&jwk.kid, &jwk.crv, &jwk.n, &jwk.e, &jwk.x, &jwk.y].map(part);
        let identity = format!("{} {}", jwk.kty, parts.join(" "));
        (!algorithms.is_empty()).then_some(ProviderKey { id: jwk.kid, algorithms, identity, key })
    }

    /// Whether this key made a signature. `signed` is what was signed, the signature is in base64url.
    pub(super) fn made(&self, signature: &str, signed: &str, algorithm: Algorithm) -> bool {
        self.algorithms.contains(&algorithm)
            && jsonwebtoken::crypto::verify(signature, signed.as_bytes(), &self.key, algorithm)
                .unwrap_or(false)
    }
}

impl Jwk {
    /// The key, with every algorithm that its type and curve allow (RFC 7518, 3.1; RFC 8037).
    fn key(&self) -> Option<(Vec<Algorithm>, DecodingKey)> {
        match (self.kty.as_str(), self.crv.as_deref()) {
            ("RSA", None) => {
                let key = DecodingKey::from_rsa_components(self.n.as_ref()?, self.e.as_ref()?);
                Some((RSA.to_vec(), key.ok()?))
            }
            ("EC", Some("P-256")) => Some((vec![Algorithm::ES256], self.point(32)?)),
            ("EC", Some("P-384")) => Some((vec![Algorithm::ES384], self.point(48)?)),
            ("OKP", Some("Ed25519")) => {
                let x = self.x.as_ref().filter(|x| is_of_length(x, 32))?;
                Some((vec![Algorithm::EdDSA], DecodingKey::from_ed_components(x).ok()?))
            }
            _ => None,
        }
    }

    fn point(&self, length: usize) -> Option<DecodingKey> {
        let x = self.x.as_ref().filter(|x| is_of_length(x, length))?;
        let y = self.y.as_ref().filter(|y| is_of_length(y, length))?;
        DecodingKey::from_ec_components(x, y).ok()
    }
}

fn is_of_length(text: &str, length: usize) -> bool {
    URL_SAFE_NO_PAD.decode(text).is_ok_and(|bytes| bytes.len() == length)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn rsa(kid: &str, more: &Value) -> Value {
        let n = URL_SAFE_NO_PAD.encode([0xc5; 256]);
        let mut key = json!({ "kty": "RSA", "kid": kid, "n": n, "e": "AQAB" });
        let more = more.as_object().expect("an object").clone();
        key.as_object_mut().expect("an object").extend(more);
        key
    }

    fn read(keys: &[Value]) -> Result<KeySet, BadKeys> {
        KeySet::read(json!({ "keys": keys }).to_string().as_bytes())
    }

    #[test]
    fn a_key_vouches_only_as_what_it_is_published_for() {
        let x = URL_SAFE_NO_PAD.encode([1; 32]);
        let ec = json!({ "kty": "EC", "crv": "P-256", "kid": "b", "x": x, "y": x });
        let keys = read(&[
            rsa("a", &json!({})),
            ec,
            rsa("c", &json!({ "alg": "PS256" })),
            rsa("d", &json!({ "use": "enc" })),
            rsa("e", &json!({ "key_ops": ["encrypt"] })),
            rsa("f", &json!({ "alg": "RSA-OAEP" })),
            rsa("g", &json!({ "alg": "HS256" })),
            json!({ "kty": "oct", "kid": "h", "k": "AAAA" }),
            json!({ "kty": "EC", "crv": "P-384", "kid": "i", "x": x, "y": x }),
            json!("no key"),
        ]);
        let keys = keys.expect("keys");
        let fits = |kid: &str, algorithm| keys.find(Some(kid), algorithm).is_some();
        assert!(fits("a", Algorithm::RS256) && fits("a", Algorithm::PS512));
        assert!(!fits("a", Algorithm::ES256) && !fits("a", Algorithm::HS256));
        assert!(fits("b", Algorithm::ES256));
        assert!(!fits("b", Algorithm::RS256) && !fits("b", Algorithm::ES384));
        assert!(fits("c", Algorithm::PS256) && !fits("c", Algorithm::RS256));
        for kid in ["d", "e", "f", "g", "h", "i"] {
            let any = [RSA.as_slice(), &[Algorithm::ES256, Algorithm::ES384, Algorithm::HS256]];
            assert!(!any.concat().into_iter().any(|algorithm| fits(kid, algorithm)), "{kid}");
        }
        assert!(keys.find(None, Algorithm::ES256).is_some(), "one key alone fits");
        assert!(keys.find(None, Algorithm::PS256).is_none(), "two fit");
    }

    #[test]
    fn what_is_no_set_of_keys_or_too_large_is_refused() {
        assert_eq!(KeySet::read(b"<html>").expect_err("refused"), BadKeys::NoSet);
        assert_eq!(read(&[]).expect_err("refused"), BadKeys::None);
        let many: Vec<Value> = (0..=KEYS_MAX).map(|n| rsa(&n.to_string(), &json!({}))).collect();
        assert_eq!(read(&many).expect_err("refused"), BadKeys::TooMany);
        assert!(read(&many[1..]).is_ok());
    }

    #[test]
    fn a_key_that_went_or_was_replaced_under_its_id_is_noticed() {
        let (a, b) = (rsa("a", &json!({})), rsa("b", &json!({})));
        let other = rsa("a", &json!({ "n": URL_SAFE_NO_PAD.encode([0xc7; 256]) }));
        let set = |keys: &[Value]| read(keys).expect("keys");
        let one = set(std::slice::from_ref(&a));
        assert!(set(&[a, b.clone()]).keeps_all_of(&one));
        assert!(!set(std::slice::from_ref(&b)).keeps_all_of(&one));
        assert!(!set(&[other, b]).keeps_all_of(&one));
    }
}
