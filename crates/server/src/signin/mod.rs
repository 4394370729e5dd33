//! Who is there: client credentials in, access tokens out.
//!
//! Principals are kept in memory, so that somebody can sign in and close a port while the store is gone.

mod audience;
mod form;
pub mod provider;
mod throttle;
mod token;

use std::{
    net::IpAddr,
    path::PathBuf,
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use hourgate_api::token::{Keys, issuer};
use hourgate_core::time::Now;
use hourgate_store::Principal;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use uuid::Uuid;

use self::{throttle::Throttle, token::Tokens};
use crate::data_dir::DataDir;

pub(crate) use self::{
    audience::Audiences,
    form::{Credentials, credentials},
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
    /// No key can be made.
    #[error("a signing key cannot be made: {0}")]
    Key(rcgen::Error),
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

/// Knows principals and tokens.
pub(crate) struct SignIn {
    tenant: Uuid,
    tokens: Tokens,
    audiences: Audiences,
    throttle: Throttle,
    principal: RwLock<Arc<Principal>>,
}

impl SignIn {
    pub(crate) fn open(
        dir: &DataDir,
        tenant: Uuid,
        administrator: Principal,
        audiences: Audiences,
    ) -> Result<SignIn, SignInError> {
        Ok(SignIn {
            tenant,
            tokens: Tokens::open(dir, tenant)?,
            audiences,
            throttle: Throttle::default(),
            principal: RwLock::new(Arc::new(administrator)),
        })
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
        match self.throttle.failed(from, client, now.boot.nanos) {
            Some(wait) => Attempt::TooOften(wait),
            None => Attempt::Wrong,
        }
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
        let issuer = issuer(base, self.tenant);
        self.tokens.issue(principal, issuer, audience, now.wall)
    }

    /// Whose token it is.
    pub(crate) fn verify(&self, token: &str, now: Now) -> Result<Arc<Principal>, BadToken> {
        let known = |client| Some(self.principal()).filter(|principal| principal.client == client);
        self.tokens.verify(token, now.wall, known, |audience| self.audiences.has(audience))
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
        self.tokens.key_set()
    }

    fn principal(&self) -> Arc<Principal> {
        self.principal.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
