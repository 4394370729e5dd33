//! Access tokens: signed JWTs of our own, short-lived, and looked at closely only once.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use hourgate_core::time::Timestamp;
use hourgate_store::Principal;
use jsonwebtoken::{Algorithm, Header, Validation};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::{
    SignInError,
    keys::KeyRing,
    person::{Method, SignedIn},
};

/// How tokens are signed, as JOSE calls it.
pub(crate) const ALGORITHM: &str = "ES256";
/// How long a token holds. Azure's clients renew five minutes before its end.
pub(crate) const TOKEN_LIFE: Duration = Duration::from_secs(3_600);
/// Longest token that is looked at; ours have less than 2 KiB.
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
    #[serde(flatten)]
    by: By,
}

/// What a token was given for, which must still stand.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(untagged)]
enum By {
    Session {
        sid: Uuid,
        auth_time: i64,
        amr: BTreeSet<Method>,
        name: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        preferred_username: Option<String>,
    },
    /// Binds the token to the secret it was given for: a replaced secret ends its tokens.
    Secret { cred: String },
}

/// What an id token says: to a client, about who signed in. It lets nobody in here: a client is no audience
/// of ours.
#[derive(Clone, Debug, Serialize)]
struct IdClaims {
    #[serde(flatten)]
    claims: Claims,
    #[serde(skip_serializing_if = "Option::is_none")]
    nonce: Option<String>,
}

/// Why a token does not let anybody in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BadToken {
    /// Not ours, changed, for a secret that was replaced or a session that is over, or no token at all.
    Invalid,
    /// Its time is over.
    Expired,
}

/// What a token was given for, and to whom. Whether that still stands is asked for every call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Bearer {
    /// A service, with its secret.
    Service { client: Uuid, credential: String },
    /// Somebody in a session.
    Session { session: Uuid, client: Uuid, who: Box<SignedIn> },
}

/// Signs and verifies.
pub(super) struct Tokens {
    tenant: Uuid,
    pub(super) keys: KeyRing,
    remembered: RwLock<BTreeMap<[u8; 32], Verified>>,
}

#[derive(Clone)]
struct Verified {
    bearer: Arc<Bearer>,
    audience: Arc<str>,
    until: i64,
}

impl Tokens {
    pub(super) fn new(tenant: Uuid, keys: KeyRing) -> Tokens {
        Tokens { tenant, keys, remembered: RwLock::default() }
    }

    /// A token for a service that proved what it is, from `now` on; `cred` is what it did that with.
    pub(super) fn for_service(
        &self,
        (object, client): (Uuid, Uuid),
        cred: String,
        issuer: String,
        audience: String,
        now: Timestamp,
    ) -> Result<String, SignInError> {
        let by = By::Secret { cred };
        let claims = self.claims(object, client, (issuer, audience), by, now);
        self.sign(&claims, now)
    }

    /// A token for a session.
    pub(super) fn for_session(
        &self,
        (session, client): (Uuid, Uuid),
        who: &SignedIn,
        issuer: String,
        audience: String,
        now: Timestamp,
    ) -> Result<String, SignInError> {
        let by = by_session(session, who);
        self.sign(&self.claims(who.object, client, (issuer, audience), by, now), now)
    }

    /// An id token for a session, for its client.
    pub(super) fn id_token(
        &self,
        (session, client): (Uuid, Uuid),
        who: &SignedIn,
        issuer: String,
        nonce: Option<String>,
        now: Timestamp,
    ) -> Result<String, SignInError> {
        let by = by_session(session, who);
        let parties = (issuer, client.to_string());
        let claims = self.claims(who.object, client, parties, by, now);
        self.sign(&IdClaims { claims, nonce }, now)
    }

    fn claims(
        &self,
        object: Uuid,
        client: Uuid,
        (iss, aud): (String, String),
        by: By,
        now: Timestamp,
    ) -> Claims {
        let from = now.as_second();
        Claims {
            iss,
            aud,
            sub: object,
            oid: object,
            appid: client,
            tid: self.tenant,
            iat: from,
            nbf: from,
            exp: from.saturating_add(i64::try_from(TOKEN_LIFE.as_secs()).unwrap_or_default()),
            ver: "2.0".to_owned(),
            by,
        }
    }

    fn sign(&self, claims: &impl Serialize, now: Timestamp) -> Result<String, SignInError> {
        let key = self.keys.signing(now).ok_or(SignInError::NoKey)?;
        let header = Header { kid: Some(key.id.clone()), ..Header::new(Algorithm::ES256) };
        jsonwebtoken::encode(&header, claims, &key.signing).map_err(SignInError::Token)
    }

    /// Who bears a token. `is_ours` says of an audience whether it is this server.
    pub(super) fn verify(
        &self,
        token: &str,
        now: Timestamp,
        is_ours: impl FnOnce(&str) -> bool,
    ) -> Result<Arc<Bearer>, BadToken> {
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
            None => self.look_closely(token, digest, now)?,
        };
        // Not remembered: which names are ours changes with this machine's addresses.
        if !is_ours(&verified.audience) {
            return Err(BadToken::Invalid);
        }
        if verified.until > now.as_second() { Ok(verified.bearer) } else { Err(BadToken::Expired) }
    }

    fn look_closely(
        &self,
        token: &str,
        digest: [u8; 32],
        now: Timestamp,
    ) -> Result<Verified, BadToken> {
        // The header chooses among our own keys and nothing else: not the algorithm, and no key from elsewhere.
        let header = jsonwebtoken::decode_header(token).map_err(|_| BadToken::Invalid)?;
        let key = header.kid.and_then(|id| self.keys.verifying(&id)).ok_or(BadToken::Invalid)?;
        let mut validation = Validation::new(Algorithm::ES256);
        // Time and audience are looked at by us: by our clock, and because a server has several names.
        validation.validate_exp = false;
        validation.validate_nbf = false;
        validation.validate_aud = false;
        validation.required_spec_claims.clear();
        let claims = jsonwebtoken::decode::<Claims>(token, &key.verifying, &validation)
            .map_err(|_| BadToken::Invalid)?
            .claims;
        if claims.exp <= now.as_second() {
            return Err(BadToken::Expired);
        }
        if claims.tid != self.tenant {
            return Err(BadToken::Invalid);
        }
        let (audience, until) = (claims.aud.as_str().into(), claims.exp);
        let bearer = Arc::new(bearer(claims).ok_or(BadToken::Invalid)?);
        let verified = Verified { bearer, audience, until };
        let mut held = self.remembered.write().unwrap_or_else(PoisonError::into_inner);
        if held.len() >= REMEMBERED_MAX {
            held.clear();
        }
        held.insert(digest, verified.clone());
        Ok(verified)
    }

    /// A secret was replaced, or a key dropped: every token is looked at anew.
    pub(super) fn forget(&self) {
        self.remembered.write().unwrap_or_else(PoisonError::into_inner).clear();
    }
}

fn by_session(session: Uuid, who: &SignedIn) -> By {
    let SignedIn { object: _, name, upn, at, methods } = who.clone();
    let (sid, auth_time, amr) = (session, at.as_second(), methods);
    By::Session { sid, auth_time, amr, name, preferred_username: upn }
}

fn bearer(claims: Claims) -> Option<Bearer> {
    let Claims { oid: object, appid: client, by, .. } = claims;
    Some(match by {
        By::Secret { cred } => Bearer::Service { client, credential: cred },
        By::Session { sid, auth_time, amr, name, preferred_username: upn } => {
            let at = Timestamp::from_second(auth_time).ok()?;
            let who = Box::new(SignedIn { object, name, upn, at, methods: amr });
            Bearer::Session { session: sid, client, who }
        }
    })
}

/// What stands for a secret in a token: tells nothing about it, and changes with it.
pub(super) fn credential(principal: &Principal) -> String {
    let mut digest = Sha256::new();
    digest.update(b"hourgate token credential\0");
    digest.update(principal.secret_digest);
    hex::encode(&digest.finalize()[..16])
}
