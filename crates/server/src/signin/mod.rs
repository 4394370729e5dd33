//! Who is there: what somebody proves in, access tokens out.
//!
//! All of it is kept in memory, so that somebody can sign in and close a port while the store is gone.

mod audience;
mod form;
mod grant;
mod guesses;
pub(crate) mod introduce;
pub(crate) mod kept_keys;
mod keys;
pub(crate) mod local;
pub(crate) mod object;
mod person;
pub mod provider;
mod session;
mod throttle;
mod token;

use std::{
    net::IpAddr,
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock},
    time::Duration,
};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use hourgate_api::token::{Keys, issuer};
use hourgate_core::time::Now;
use hourgate_store::{Credential, Principal};
use serde_json::json;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use uuid::Uuid;

use crate::mint::NoRandomness;

use self::{
    guesses::{Account, Guess, Guesses, Whence},
    local::service::Proved,
    throttle::Throttle,
    token::{Bearer, Tokens},
};

pub use self::local::seal::SealError;
pub(crate) use self::{
    audience::Audiences,
    form::{
        Credentials, DeviceForm, Grant, TokenForm, device_form, resources, revoke_form, token_form,
    },
    grant::{
        Asking, Challenge, Client, Code, Codes, DEVICE_LIFE, Devices, INTERVAL, Polled, Redeemed,
        Redirect, UserCode,
    },
    keys::{KeptKey, KeyChanges, KeyRing},
    person::{Method, SignedIn},
    session::{Lives, Place, RefreshToken, Refreshed, Session, Sessions},
    token::{ALGORITHM, BadToken, TOKEN_LIFE},
};

/// Why nobody can sign in.
#[derive(Debug, thiserror::Error)]
pub enum SignInError {
    /// The key's file cannot be read or written.
    #[error("{}: {}", .0.display(), .1)]
    File(PathBuf, std::io::Error),
    /// The key's file is not what was written.
    #[error("{} is damaged; move it away to have a new one made, which ends every token", .0.display())]
    Unreadable(PathBuf),
    /// No key can be made or read.
    #[error("a signing key cannot be made or read: {0}")]
    Key(rcgen::Error),
    /// A key is of another kind than ours.
    #[error("a signing key is none of P-256")]
    NotP256,
    /// A key was sealed with another seal.
    #[error(
        "a signing key cannot be unsealed: the seal's key in the data directory is another one than it was sealed \
         with; restore it from a backup"
    )]
    Unsealable,
    /// The kernel gives no randomness.
    #[error(transparent)]
    NoRandomness(NoRandomness),
    /// There is no key.
    #[error("there is no signing key")]
    NoKey,
    /// A token cannot be signed.
    #[error("a token cannot be signed: {0}")]
    Token(jsonwebtoken::errors::Error),
}

/// What came of somebody's credentials.
#[derive(Clone, Debug)]
pub(crate) enum Attempt {
    /// They are right.
    Right(Arc<Principal>),
    /// They are not; which part is wrong is told to nobody.
    Wrong,
    /// They are not, once more: too soon to be worth a line in the log.
    TooOften(Duration),
}

/// Whom a token lets in.
#[derive(Clone, Debug)]
pub(crate) enum Identity {
    /// The first administrator's service principal.
    Administrator(Arc<Principal>),
    /// A service account, by what it signed in with; whether that still holds is to be asked.
    Service {
        /// Its client id.
        client: Uuid,
        /// Its credential's id.
        credential: Uuid,
    },
    /// Somebody in a session, which stands.
    Person(Visitor),
}

/// Somebody in a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Visitor {
    /// The session.
    pub(crate) session: Uuid,
    /// The client that holds it.
    pub(crate) client: Uuid,
    /// Who they are; when and how they proved it.
    pub(crate) who: SignedIn,
}

/// Tokens for a session.
#[derive(Clone)]
pub(crate) struct SessionTokens {
    pub(crate) access: String,
    pub(crate) id: String,
    /// Object and tenant, as MSAL wants them.
    pub(crate) client_info: String,
}

/// Knows principals, sessions and tokens.
pub(crate) struct SignIn {
    tenant: Uuid,
    tokens: Tokens,
    audiences: Audiences,
    throttle: Throttle,
    principal: RwLock<Arc<Principal>>,
    pub(crate) sessions: Sessions,
    devices: Mutex<Devices>,
    codes: Mutex<Codes>,
    /// Who tried to guess the code of somebody's device.
    guesses: Guesses,
}

impl SignIn {
    pub(crate) fn open(
        tenant: Uuid,
        administrator: Principal,
        audiences: Audiences,
        keys: KeyRing,
        (lives, rows): (Lives, &[Credential]),
    ) -> SignIn {
        SignIn {
            tenant,
            tokens: Tokens::new(tenant, keys),
            audiences,
            throttle: Throttle::default(),
            principal: RwLock::new(Arc::new(administrator)),
            sessions: Sessions::of(lives, rows),
            devices: Mutex::default(),
            codes: Mutex::default(),
            guesses: Guesses::default(),
        }
    }

    /// Looks at credentials that somebody sent from an address.
    pub(crate) fn attempt(&self, sent: &Credentials, from: IpAddr, now: Now) -> Attempt {
        let client: Option<Uuid> = sent.client.parse().ok();
        let digest: [u8; 32] = Sha256::digest(&sent.secret).into();
        let principal = self.principal();
        // Both are always compared, so that time tells nobody which client ids exist.
        let right_secret = digest.ct_eq(&principal.secret_digest);
        let right_client = client.unwrap_or_default().as_bytes().ct_eq(principal.client.as_bytes());
        let client = client.unwrap_or_default();
        if bool::from(right_secret & right_client) {
            self.throttle.succeeded(from, client);
            return Attempt::Right(principal);
        }
        match self.guessed(client, from, now) {
            Some(wait) => Attempt::TooOften(wait),
            None => Attempt::Wrong,
        }
    }

    /// Somebody sent a code or token that is nobody's. How long they must wait, if they do that too often;
    /// `what` is what they guessed at.
    pub(crate) fn guessed(&self, what: Uuid, from: IpAddr, now: Now) -> Option<Duration> {
        self.throttle.failed(from, what, now.boot.nanos)
    }

    /// Whom a token that names those resources is for; the first of them that is not this server, if one
    /// is not.
    pub(crate) fn audience<'a>(&self, resources: &'a [String]) -> Result<String, &'a str> {
        self.audiences.of(resources)
    }

    /// A token for somebody who was right. `base` is the server's URL.
    pub(crate) fn token(
        &self,
        principal: &Principal,
        base: &str,
        audience: String,
        now: Now,
    ) -> Result<String, SignInError> {
        let (issuer, cred) = (issuer(base, self.tenant), token::credential(principal));
        let who = (principal.object, principal.client);
        self.tokens.for_service(who, cred, issuer, audience, now.wall)
    }

    /// A token for a service account that proved what it is. `base` is the server's URL.
    pub(crate) fn service_token(
        &self,
        proved: &Proved,
        base: &str,
        audience: String,
        now: Now,
    ) -> Result<String, SignInError> {
        let (issuer, cred) = (issuer(base, self.tenant), proved.credential.to_string());
        let who = (proved.service.object, proved.service.client);
        self.tokens.for_service(who, cred, issuer, audience, now.wall)
    }

    /// Whether that is our issuer or our token route, by one of our names: for whom a service makes an
    /// assertion.
    pub(crate) fn takes_assertions_for(&self, audience: &str) -> bool {
        let ends = ["/oauth2/v2.0/token", "/v2.0"];
        ends.into_iter().filter_map(|end| audience.strip_suffix(end)).any(|rest| {
            rest.rsplit_once('/').is_some_and(|(server, tenant)| {
                self.is_tenant(tenant) && self.audiences.has(server)
            })
        })
    }

    /// Tokens for a session of a client. `base` is the server's URL.
    pub(crate) fn session_tokens(
        &self,
        (session, client): (Uuid, Client),
        who: &SignedIn,
        (base, audience): (&str, String),
        nonce: Option<String>,
        now: Now,
    ) -> Result<SessionTokens, SignInError> {
        let (issuer, of) = (issuer(base, self.tenant), (session, client.id()));
        let info = json!({ "uid": who.object, "utid": self.tenant }).to_string();
        Ok(SessionTokens {
            access: self.tokens.for_session(of, who, issuer.clone(), audience, now.wall)?,
            id: self.tokens.id_token(of, who, issuer, nonce, now.wall)?,
            client_info: URL_SAFE_NO_PAD.encode(info),
        })
    }

    /// Whom a token lets in. That what it was given for still stands is looked at each time: whoever is signed
    /// out is out with their next call.
    pub(crate) fn verify(&self, token: &str, now: Now) -> Result<Identity, BadToken> {
        let bearer =
            self.tokens.verify(token, now.wall, |audience| self.audiences.has(audience))?;
        match &*bearer {
            Bearer::Service { client, credential } => {
                let principal = self.principal();
                if principal.client != *client {
                    let credential = credential.parse().map_err(|_| BadToken::Invalid)?;
                    return Ok(Identity::Service { client: *client, credential });
                }
                let stands = token::credential(&principal) == *credential;
                stands.then_some(Identity::Administrator(principal)).ok_or(BadToken::Invalid)
            }
            Bearer::Session { session, client, who } => {
                if !self.sessions.stands(*session, now.wall) {
                    return Err(BadToken::Invalid);
                }
                let (session, client, who) = (*session, *client, (**who).clone());
                Ok(Identity::Person(Visitor { session, client, who }))
            }
        }
    }

    /// Whether a tenant segment of a path stands for this installation.
    pub(crate) fn is_tenant(&self, segment: &str) -> bool {
        let named = ["organizations", "common"];
        named.iter().any(|name| segment.eq_ignore_ascii_case(name))
            || segment.parse::<Uuid>().is_ok_and(|tenant| tenant == self.tenant)
    }

    /// The administrator's secret was replaced: the old one's tokens end.
    pub(crate) fn replaced(&self, administrator: Principal) {
        *self.principal.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(administrator);
        self.tokens.forget();
    }

    /// The public keys of our tokens.
    pub(crate) fn key_set(&self) -> Keys {
        self.tokens.keys.published()
    }

    /// Makes the next key when it is time for that, and drops old ones.
    pub(crate) fn tend_keys(&self, now: Now) -> Result<KeyChanges, SignInError> {
        self.tokens.keys.tend(now.wall)
    }

    /// Has another key sign at once; `drop_old` ends every token.
    pub(crate) fn rotate_keys(&self, drop_old: bool, now: Now) -> Result<KeyChanges, SignInError> {
        let changes = self.tokens.keys.rotate(drop_old, now.wall)?;
        self.tokens.forget();
        Ok(changes)
    }

    /// Somebody who is signed in types the code of a device. Nothing may be looked at while they must wait: it
    /// can be guessed, unlike a secret of ours.
    pub(crate) fn types_code(&self, who: Uuid, from: IpAddr, now: Now) -> Result<(), Duration> {
        let (from, account) = (Whence::Stranger(from), Account::known(who));
        self.guesses.begin(from, Guess::UserCode, account, now.boot.nanos)
    }

    /// A device shows the code that they typed.
    pub(crate) fn typed_right(&self, who: Uuid, from: IpAddr) {
        self.guesses.was_right(Whence::Stranger(from), Guess::UserCode, Account::known(who));
    }

    /// Whether a page's origin is this server, by one of its names.
    pub(crate) fn is_here(&self, origin: &str) -> bool {
        self.audiences.has(origin)
    }

    /// Devices that wait for somebody to type their code.
    pub(crate) fn devices(&self) -> MutexGuard<'_, Devices> {
        self.devices.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Codes that browsers carry to clients.
    pub(crate) fn codes(&self) -> MutexGuard<'_, Codes> {
        self.codes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Somebody is disabled, or gone: nothing that they hold lets anybody in from now on.
    pub(crate) fn shut_out(&self, object: Uuid) -> Vec<hourgate_store::CredentialChange> {
        self.devices().forget_approvals_of(object);
        self.codes().forget_of(object);
        self.sessions.end_all_of(object, None)
    }

    fn principal(&self) -> Arc<Principal> {
        self.principal.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
