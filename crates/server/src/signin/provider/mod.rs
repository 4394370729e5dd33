//! People whom others vouch for: any OpenID Connect provider, several at once.
//!
//! [`Providers::verify`] says whose token it is that somebody brings; [`Providers::begin`] and
//! [`Providers::finish`] lead somebody through a provider's own sign-in. Neither decides what they may do.

mod code;

mod verified;

mod claims;
mod discovery;
mod jws;
mod keys;
mod look;
mod seen;

use std::{sync::Arc, time::Duration};

use hourgate_core::time::Now;
use sha2::{Digest, Sha256};

use self::{
    claims::For,
    jws::Jws,
    look::{Age, Known},
    seen::{Memory, Remembered},
};
use crate::{
    config::{ConfigError, ProviderConfig},
    outgoing::Outgoing,
};

pub use self::{
    code::{Begun, Freshness, PENDING_LIFE, Pending, Returned, SignInFailure, Went},
    verified::{Groups, Verified},
};

/// Why a token lets nobody in. For the log: the caller is told that it does not, and nothing else.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Rejected {
    /// No signed token, or larger than any that is looked at.
    #[error("it is no signed token")]
    Malformed,
    /// `none`, a symmetric algorithm, or an unknown one.
    #[error("its algorithm proves nothing here")]
    Algorithm,
    /// It demands something that is not understood.
    #[error("it has critical extensions")]
    Critical,
    /// It is no token for calls, or one that counts only together with a proof that is not asked for here.
    #[error("it is a token of another kind")]
    Kind,
    /// No configured provider made it, or another one than should have.
    #[error("its issuer is not a configured provider, or not the one it should be")]
    Issuer,
    /// Its provider has no such key.
    #[error("its key is not one of its provider's")]
    Key,
    /// It was changed, or signed by somebody else.
    #[error("its signature is wrong")]
    Signature,
    /// It was for somebody else.
    #[error("it is for another audience")]
    Audience,
    /// It is for several, and was made for one of the others.
    #[error("it was made for another program")]
    Party,
    /// It belongs to another sign-in.
    #[error("its nonce is that of another sign-in")]
    Nonce,
    /// It does not say whose it is, in a way that can be kept.
    #[error("its subject is missing, too long or not plain")]
    Subject,
    /// It does not say when it was made or ends, or not in numbers.
    #[error("its times are missing or no numbers")]
    Time,
    /// It is over.
    #[error("it has expired")]
    Expired,
    /// It begins later.
    #[error("it is from the future")]
    TooEarly,
    /// Its provider cannot be asked for its keys, so it may be good.
    #[error(transparent)]
    Down(Down),
}

/// A provider that does not answer, or not in a way that can be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the provider {provider:?} cannot be asked: {why}")]
pub struct Down {
    /// Its configured name.
    pub provider: Arc<str>,
    /// What went wrong; for the log.
    pub why: String,
    /// How long it is not asked any more.
    pub wait: Duration,
}

/// A provider as a sign-in page offers it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Offered<'a> {
    /// Its name in URLs.
    pub name: &'a str,
    /// Its name for people.
    pub title: &'a str,
}

/// Every configured provider.
pub struct Providers {
    providers: Vec<Provider>,
    outgoing: Arc<Outgoing>,
    memory: Memory,
}

struct Provider {
    config: ProviderConfig,
    name: Arc<str>,
    issuer: Arc<str>,
    known: Arc<Known>,
}

impl Providers {
    /// Takes what is configured, and reads each secret once, so that a missing file stops the start. None
    /// of the providers is asked yet.
    pub fn open(
        configs: Vec<ProviderConfig>,
        outgoing: Arc<Outgoing>,
    ) -> Result<Providers, ConfigError> {
        let provider = |config: ProviderConfig| {
            config.secret()?;
            let (name, issuer) = (Arc::from(&*config.name), Arc::from(&*config.issuer));
            let known = Known::new(Arc::clone(&name), Arc::clone(&issuer), Arc::clone(&outgoing));
            Ok(Provider { config, name, issuer, known: Arc::new(known) })
        };
        let providers = configs.into_iter().map(provider).collect::<Result<_, _>>()?;
        Ok(Providers { providers, outgoing, memory: Memory::default() })
    }

    /// Those that people can sign in with, as configured.
    pub fn names(&self) -> impl Iterator<Item = Offered<'_>> {
        let offered = self.providers.iter().filter(|provider| provider.config.client.is_some());
        offered
            .map(|provider| Offered { name: &provider.config.name, title: &provider.config.title })
    }

    /// What is configured for an issuer: which role it may give at most, how long its groups count.
    pub fn rules(&self, issuer: &str) -> Option<&ProviderConfig> {
        self.providers
            .iter()
            .map(|provider| &provider.config)
            .find(|config| config.issuer == issuer)
    }

    /// Whose token it is that somebody brings with a call. The same token is looked at closely once.
    pub async fn verify(&self, token: &str, now: Now) -> Result<Arc<Verified>, Rejected> {
        let digest: [u8; 32] = Sha256::digest(token).into();
        if let Some(verified) = self.remembered(&digest, now) {
            return Ok(verified);
        }
        let jws = Jws::read(token)?;
        let (place, provider) = self.of_issuer(jws.issuer()?)?;
        let generation = provider.is_signed(&jws, now).await?;
        let verified = Arc::new(provider.read(&jws, &For::Bearer, now)?);
        let remembered =
            Remembered { verified: Arc::clone(&verified), provider: place, generation };
        self.memory.keep(digest, remembered);
        Ok(verified)
    }

    /// Who is shown by a token that stands in place of a secret (RFC 7523, 2.2): for one of `audiences`
    /// and for nobody else, whatever the provider's configuration says.
    pub async fn verify_assertion(
        &self,
        token: &str,
        audiences: &[&str],
        now: Now,
    ) -> Result<Verified, Rejected> {
        let jws = Jws::read(token)?;
        let (_, provider) = self.of_issuer(jws.issuer()?)?;
        provider.is_signed(&jws, now).await?;
        provider.read(&jws, &For::Assertion(audiences), now)
    }

    fn remembered(&self, digest: &[u8; 32], now: Now) -> Option<Arc<Verified>> {
        let remembered = self.memory.get(digest, now.wall)?;
        let known = &self.providers.get(remembered.provider)?.known;
        if !known.vouches(remembered.generation, now) {
            return None;
        }
        // Else a key that was taken back would last as long as what was remembered of it.
        if let Age::Old(_) = known.now(now) {
            known.ask_aside(now);
        }
        Some(remembered.verified)
    }

    fn of_issuer(&self, issuer: &str) -> Result<(usize, &Provider), Rejected> {
        let mut places = self.providers.iter().enumerate();
        places.find(|(_, provider)| *provider.issuer == *issuer).ok_or(Rejected::Issuer)
    }
}

impl Provider {
    /// That one of the provider's keys signed a token; of which generation they are.
    async fn is_signed(&self, jws: &Jws<'_>, now: Now) -> Result<u64, Rejected> {
        let id = jws.key_id.as_deref();
        let mut seen = match self.known.now(now) {
            Age::Fresh(seen) => seen,
            Age::Old(seen) => {
                self.known.ask_aside(now);
                seen
            }
            Age::Nothing => self.known.ask(now).await.map_err(Rejected::Down)?,
        };
        if seen.keys.find(id, jws.algorithm).is_none() {
            seen = self.known.again(now).await.map_err(Rejected::Down)?;
        }
        let key = seen.keys.find(id, jws.algorithm).ok_or(Rejected::Key)?;
        if jws.is_by(key) { Ok(seen.generation) } else { Err(Rejected::Signature) }
    }

    fn read(&self, jws: &Jws<'_>, audience: &For<'_>, now: Now) -> Result<Verified, Rejected> {
        let provider = (&self.name, &self.issuer);
        claims::read(&jws.claims, &self.config, provider, audience, now.wall)
    }
}
