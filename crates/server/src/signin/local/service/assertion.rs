//! A service shows a token instead of a secret (RFC 7521, RFC 7523): one that it signed itself, for us and for
//! once, or one of an issuer that vouches for it.

use std::{future::Future, time::Duration};

use hourgate_core::{
    event::Note,
    time::{Timestamp, later},
};
use hourgate_store::{Credential, CredentialChange, CredentialKind, Store};
use jsonwebtoken::{Algorithm, Validation};
use serde::Deserialize;
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::{Proved, Service, Services, What, credential};
use crate::signin::local::{accounts::Occasion, vault::is_live};

/// What an assertion is sent as.
pub(crate) const ASSERTION_TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
/// Longest assertion that is looked at, in bytes; one with a large RSA key has some 1,200.
pub(crate) const ASSERTION_BYTES_MAX: usize = 16 << 10;
/// How far ahead its end may lie: what is made for one sign-in needs no longer.
const LIFE_MAX: Duration = Duration::from_mins(10);
/// By how much clocks may differ.
const LEEWAY: Duration = Duration::from_secs(30);
/// Longest `jti` that is looked at, in bytes.
const JTI_BYTES_MAX: usize = 255;
/// How many of one service's are remembered as used, each until it could no longer come: six a second.
const SPENT_MAX: usize = 4_000;
/// How many that are over are forgotten at each sign-in: more than come.
const FORGOTTEN_AT_ONCE: usize = 8;

/// Why an assertion is not taken. For the log; whoever sent it is told that it was wrong.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum AssertionFault {
    /// It is no token, or says what no token says.
    #[error("the assertion cannot be read")]
    Unreadable,
    /// No service is meant, or another than the form says.
    #[error("the assertion names no service account, or another")]
    NoService,
    /// No key of the service made the signature.
    #[error("no key of the service account made this signature")]
    Signature,
    /// It is for another server.
    #[error("the assertion is for another audience")]
    Audience,
    /// It is over, or not begun, or made to last.
    #[error("the assertion is over, not begun, or holds for more than {} minutes", LIFE_MAX.as_secs() / 60)]
    Time,
    /// It was used.
    #[error("the assertion was used before")]
    Used,
    /// So many were used that no more can be remembered.
    #[error("too many assertions come at once")]
    TooMany,
    /// Nobody trusts that issuer for that subject.
    #[error("no trust names this issuer and subject")]
    NotTrusted,
    /// The issuer's token does not hold, or it cannot be asked.
    #[error("the issuer's token is not believed: {0}")]
    Issuer(String),
}

/// Who knows whether another issuer's token holds.
pub(crate) trait Issuers: Sync {
    /// The subject of a token whose signature, issuer, audience and times hold; why not, otherwise.
    fn subject(
        &self,
        token: &str,
        issuer: &str,
        audience: &str,
        now: Timestamp,
    ) -> impl Future<Output = Result<String, String>> + Send;
}

/// Nobody does: there is no issuer but ourselves.
pub(crate) struct NoIssuers;

impl Issuers for NoIssuers {
    async fn subject(
        &self,
        _token: &str,
        _issuer: &str,
        _audience: &str,
        _now: Timestamp,
    ) -> Result<String, String> {
        Err("no such issuer is configured".to_owned())
    }
}

/// What an assertion says.
#[derive(Deserialize)]
struct Claims {
    iss: String,
    sub: String,
    aud: OneOrMore,
    exp: i64,
    nbf: Option<i64>,
    iat: Option<i64>,
    jti: String,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum OneOrMore {
    One(String),
    More(Vec<String>),
}

/// What is looked at before anything is believed.
#[derive(Deserialize)]
struct Peeked {
    iss: String,
}

impl Services {
    /// Looks at an assertion. `client` is the form's client id, if it has one; `is_ours` says of an audience
    /// whether it is this server's issuer or token route.
    pub(crate) async fn assertion<S: Store>(
        &self,
        on: Occasion<'_, S>,
        (assertion, client): (&str, Option<&str>),
        is_ours: impl Fn(&str) -> bool + Send,
        issuers: &impl Issuers,
    ) -> Result<Proved, AssertionFault> {
        if assertion.len() > ASSERTION_BYTES_MAX {
            return Err(AssertionFault::Unreadable);
        }
        let issuer = peek(assertion)?;
        let own = issuer.parse::<Uuid>().ok().and_then(|client| self.get(client));
        let said =
            client.map(|client| client.parse::<Uuid>().map_err(|_| AssertionFault::NoService));
        match (own, said.transpose()?) {
            (Some(service), said) if said.is_none_or(|said| said == service.client) => {
                self.own_assertion(on, &service, assertion, is_ours).await
            }
            (Some(_), _) => Err(AssertionFault::NoService),
            (None, said) => {
                let service = said.and_then(|client| self.get(client));
                let service = service.ok_or(AssertionFault::NoService)?;
                self.foreign(service, assertion, &issuer, issuers, on.now.wall).await
            }
        }
    }

    /// One that the service signed itself.
    async fn own_assertion<S: Store>(
        &self,
        on: Occasion<'_, S>,
        service: &Service,
        assertion: &str,
        is_ours: impl Fn(&str) -> bool,
    ) -> Result<Proved, AssertionFault> {
        let now = on.now.wall;
        let (claims, credential) = self.signed(service, assertion, now)?;
        let Claims { iss, sub, aud, exp, nbf, iat, jti } = claims;
        let client = service.client.to_string();
        if iss != client || sub != client {
            return Err(AssertionFault::NoService);
        }
        // For us alone: one that is for others too could come from any of them.
        let is_for_us = match &aud {
            OneOrMore::One(one) => is_ours(one),
            OneOrMore::More(more) => matches!(more.as_slice(), [one] if is_ours(one)),
        };
        if !is_for_us {
            return Err(AssertionFault::Audience);
        }
        let leeway = i64::try_from(LEEWAY.as_secs()).unwrap_or_default();
        let last = later(now, LIFE_MAX).as_second().saturating_add(leeway);
        let begun =
            |at: Option<i64>| at.is_none_or(|at| at.saturating_sub(leeway) <= now.as_second());
        if exp.saturating_add(leeway) <= now.as_second() || exp > last || !begun(nbf) || !begun(iat)
        {
            return Err(AssertionFault::Time);
        }
        if jti.is_empty() || jti.len() > JTI_BYTES_MAX {
            return Err(AssertionFault::Unreadable);
        }
        self.use_up(on, service, &jti, exp.saturating_add(leeway)).await?;
        Ok(Proved { service: service.clone(), credential })
    }

    /// What it says, and which of the service's keys signed it. A key that the token itself names or links to
    /// is none of the service's, and is not looked at.
    fn signed(
        &self,
        service: &Service,
        assertion: &str,
        now: Timestamp,
    ) -> Result<(Claims, Uuid), AssertionFault> {
        let header = jsonwebtoken::decode_header(assertion);
        let header = header.map_err(|_| AssertionFault::Unreadable)?;
        for row in self.vault.of(service.object, CredentialKind::ServiceKey) {
            if !is_live(&row, now) {
                continue;
            }
            let Some(held) = credential(&row) else { continue };
            let What::Key(key) = &held.what else { continue };
            // Azure's clients name a certificate's digest as `kid`: a hint for whoever has many keys, and no
            // more. With twenty at most each is tried.
            let Some(verifier) = key.verifier(header.alg) else { continue };
            if let Ok(token) =
                jsonwebtoken::decode::<Claims>(assertion, &verifier, &by_signature(header.alg))
            {
                return Ok((token.claims, held.id));
            }
        }
        Err(AssertionFault::Signature)
    }

    async fn use_up<S: Store>(
        &self,
        on: Occasion<'_, S>,
        service: &Service,
        jti: &str,
        until: i64,
    ) -> Result<(), AssertionFault> {
        let (kind, object, now) = (CredentialKind::SpentAssertion, service.object, on.now.wall);
        let digest = Sha256::new().chain_update(b"hourgate assertion\0");
        let digest = digest.chain_update(object.as_bytes()).chain_update(jti).finalize();
        let until = Timestamp::from_second(until).map_err(|_| AssertionFault::Time)?;
        let row = Credential {
            kind,
            id: hex::encode(digest),
            object,
            body: String::new(),
            until: Some(until),
        };
        let hold = self.vault.hold(object).await;
        if self.vault.live(kind, &row.id, now).is_some() {
            return Err(AssertionFault::Used);
        }
        let used = self.vault.of(object, kind);
        let over = used.iter().filter(|one| !is_live(one, now)).take(FORGOTTEN_AT_ONCE);
        let mut changes: Vec<CredentialChange> =
            over.map(|one| CredentialChange::Remove { kind, id: one.id.clone() }).collect();
        if used.len() - changes.len() >= SPENT_MAX {
            return Err(AssertionFault::TooMany);
        }
        changes.push(CredentialChange::Put(row));
        let factor = CredentialKind::ServiceKey.to_string();
        let spent = hold.spend(on.store, on.origin, changes, Note::FactorRight { object, factor });
        spent.await.map_err(|_| AssertionFault::TooMany)
    }

    /// One of another issuer: it must be trusted for this service before anybody is asked about it.
    async fn foreign(
        &self,
        service: Service,
        token: &str,
        issuer: &str,
        issuers: &impl Issuers,
        now: Timestamp,
    ) -> Result<Proved, AssertionFault> {
        let mut fault = AssertionFault::NotTrusted;
        for row in self.vault.of(service.object, CredentialKind::FederatedTrust) {
            let Some(held) = credential(&row).filter(|_| is_live(&row, now)) else { continue };
            let What::Trust(trust) = held.what else { continue };
            if trust.issuer != issuer {
                continue;
            }
            match issuers.subject(token, issuer, &trust.audience, now).await {
                Ok(subject) if subject == trust.subject => {
                    return Ok(Proved { service, credential: held.id });
                }
                Ok(_) => {}
                Err(why) => fault = AssertionFault::Issuer(why),
            }
        }
        Err(fault)
    }
}

/// Its signature alone: times and audience are looked at here, by our clock.
fn by_signature(algorithm: Algorithm) -> Validation {
    let mut validation = Validation::new(algorithm);
    validation.validate_exp = false;
    validation.validate_nbf = false;
    validation.validate_aud = false;
    validation.required_spec_claims.clear();
    validation
}

/// Who it says made it, believed by nobody yet.
fn peek(assertion: &str) -> Result<String, AssertionFault> {
    use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
    let mut parts = assertion.split('.');
    let (Some(_), Some(payload), Some(_), None) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Err(AssertionFault::Unreadable);
    };
    let payload = URL_SAFE_NO_PAD.decode(payload).map_err(|_| AssertionFault::Unreadable)?;
    let peeked = serde_json::from_slice::<Peeked>(&payload);
    peeked.map(|peeked| peeked.iss).map_err(|_| AssertionFault::Unreadable)
}
