//! Access tokens: signed JWTs of our own, short-lived, and looked at closely only once.

use std::{
    collections::BTreeMap,
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use hourgate_api::token::{Key, Keys};
use hourgate_core::time::Timestamp;
use hourgate_store::Principal;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use rcgen::KeyPair;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::SignInError;
use crate::{data_dir, data_dir::DataDir};

/// How tokens are signed, as JOSE calls it.
pub(crate) const ALGORITHM: &str = "ES256";
/// How long a token holds. Azure's clients renew five minutes before its end.
pub(crate) const TOKEN_LIFE: Duration = Duration::from_secs(3_600);
/// Longest token that is looked at; ours have about 600 bytes.
const TOKEN_BYTES_MAX: usize = 8 << 10;
/// How many verified tokens are remembered. Past that all are forgotten, and verified again.
const REMEMBERED_MAX: usize = 10_000;

/// What a token says.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Claims {
    iss: String,
    aud: String,
    sub: Uuid,
    oid: Uuid,
    appid: Uuid,
    tid: Uuid,
    iat: i64,
    nbf: i64,
    exp: i64,
    ver: String,
    /// Binds the token to the secret it was given for: a replaced secret ends its tokens.
    cred: String,
}

/// Why a token does not let anybody in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BadToken {
    /// Not ours, changed, for a secret that was replaced, or no token at all.
    Invalid,
    /// Its time is over.
    Expired,
}

/// Signs and verifies.
pub(super) struct Tokens {
    tenant: Uuid,
    key_id: String,
    x: String,
    y: String,
    signing: EncodingKey,
    verifying: DecodingKey,
    remembered: RwLock<BTreeMap<[u8; 32], Verified>>,
}

#[derive(Clone)]
struct Verified {
    principal: Arc<Principal>,
    audience: Arc<str>,
    until: i64,
}

impl Tokens {
    /// Loads the key that signs, or makes one.
    pub(super) fn open(dir: &DataDir, tenant: Uuid) -> Result<Tokens, SignInError> {
        let path = dir.token_key();
        let file = |error| SignInError::File(path.clone(), error);
        let key = match data_dir::read(&path).map_err(file)? {
            Some(pem) => {
                KeyPair::from_pem(&pem).map_err(|_| SignInError::Unreadable(path.clone()))?
            }
            None => {
                let key = KeyPair::generate().map_err(SignInError::Key)?;
                data_dir::write_new(&path, key.serialize_pem().as_bytes()).map_err(file)?;
                key
            }
        };
        // An uncompressed point on P-256: 4, then x and y of 32 bytes each (SEC 1).
        let point = key.public_key_raw();
        let (Some([4]), Some(x), Some(y), 65) =
            (point.get(..1), point.get(1..33), point.get(33..65), point.len())
        else {
            return Err(SignInError::Unreadable(path));
        };
        Ok(Tokens {
            tenant,
            key_id: hex::encode(&Sha256::digest(point)[..10]),
            x: URL_SAFE_NO_PAD.encode(x),
            y: URL_SAFE_NO_PAD.encode(y),
            signing: EncodingKey::from_ec_der(key.serialized_der()),
            verifying: DecodingKey::from_ec_der(point),
            remembered: RwLock::default(),
        })
    }

    /// A token for a principal that showed its secret, from `now` on.
    pub(super) fn issue(
        &self,
        principal: &Principal,
        issuer: String,
        audience: String,
        now: Timestamp,
    ) -> Result<String, SignInError> {
        let from = now.as_second();
        let claims = Claims {
            iss: issuer,
            aud: audience,
            sub: principal.object,
            oid: principal.object,
            appid: principal.client,
            tid: self.tenant,
            iat: from,
            nbf: from,
            exp: from.saturating_add(i64::try_from(TOKEN_LIFE.as_secs()).unwrap_or_default()),
            ver: "2.0".to_owned(),
            cred: credential(principal),
        };
        let header = Header { kid: Some(self.key_id.clone()), ..Header::new(Algorithm::ES256) };
        jsonwebtoken::encode(&header, &claims, &self.signing).map_err(SignInError::Token)
    }

    /// Whose token it is. `known` gives the principal of a client id, where there is one; `is_ours` says of
    /// an audience whether it is this server.
    pub(super) fn verify(
        &self,
        token: &str,
        now: Timestamp,
        known: impl FnOnce(Uuid) -> Option<Arc<Principal>>,
        is_ours: impl FnOnce(&str) -> bool,
    ) -> Result<Arc<Principal>, BadToken> {
        if token.len() > TOKEN_BYTES_MAX {
            return Err(BadToken::Invalid);
        }
        let digest: [u8; 32] = Sha256::digest(token).into();
        let remembered = {
            let held = self.remembered.read().unwrap_or_else(PoisonError::into_inner);
            held.get(&digest).cloned()
        };
        let verified = match remembered {
            Some(verified) => verified,
            None => self.look_closely(token, digest, now, known)?,
        };
        // Not remembered: which names are ours changes with this machine's addresses.
        if !is_ours(&verified.audience) {
            return Err(BadToken::Invalid);
        }
        if verified.until > now.as_second() {
            Ok(verified.principal)
        } else {
            Err(BadToken::Expired)
        }
    }

    fn look_closely(
        &self,
        token: &str,
        digest: [u8; 32],
        now: Timestamp,
        known: impl FnOnce(Uuid) -> Option<Arc<Principal>>,
    ) -> Result<Verified, BadToken> {
        let mut validation = Validation::new(Algorithm::ES256);
        // Time and audience are looked at by us: by our clock, and because a server has several names.
        validation.validate_exp = false;
        validation.validate_nbf = false;
        validation.validate_aud = false;
        validation.required_spec_claims.clear();
        let claims = jsonwebtoken::decode::<Claims>(token, &self.verifying, &validation)
            .map_err(|_| BadToken::Invalid)?
            .claims;
        if claims.exp <= now.as_second() {
            return Err(BadToken::Expired);
        }
        let principal = known(claims.appid)
            .filter(|principal| credential(principal) == claims.cred && claims.tid == self.tenant)
            .ok_or(BadToken::Invalid)?;
        let verified = Verified { principal, audience: claims.aud.into(), until: claims.exp };
        let mut held = self.remembered.write().unwrap_or_else(PoisonError::into_inner);
        if held.len() >= REMEMBERED_MAX {
            held.clear();
        }
        held.insert(digest, verified.clone());
        Ok(verified)
    }

    /// A secret was replaced: every token is looked at anew.
    pub(super) fn forget(&self) {
        self.remembered.write().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// The public key as a JSON Web Key Set.
    pub(super) fn key_set(&self) -> Keys {
        let key = Key {
            kty: "EC".to_owned(),
            kid: self.key_id.clone(),
            purpose: "sig".to_owned(),
            alg: ALGORITHM.to_owned(),
            crv: Some("P-256".to_owned()),
            x: Some(self.x.clone()),
            y: Some(self.y.clone()),
            n: None,
            e: None,
        };
        Keys { keys: vec![key] }
    }
}

/// What stands for a secret in a token: tells nothing about it, and changes with it.
fn credential(principal: &Principal) -> String {
    let mut digest = Sha256::new();
    digest.update(b"hourgate token credential\0");
    digest.update(principal.secret_digest);
    hex::encode(&digest.finalize()[..16])
}
