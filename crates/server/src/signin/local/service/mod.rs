//! Service accounts: programs that sign in with a secret, with a key of their own, or with the token of an
//! issuer that already knows them.

pub(crate) mod assertion;
mod key;
#[cfg(test)]
mod tests;

use std::time::Duration;

use hourgate_api::text::is_plain;
use hourgate_core::{
    event::Note,
    personal::Personal,
    role::principal::{LOCAL_ISSUER, PrincipalKind},
    time::{Timestamp, distance, later},
};
use hourgate_store::{Credential, CredentialChange, CredentialKind, Origin, Store};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use uuid::Uuid;

pub(crate) use self::key::{ServiceKey, UnusableKey};
use super::{
    accounts::Occasion,
    factors::made,
    vault::{Vault, VaultError, body, is_live, read},
};
use crate::{
    mint::{self, NoRandomness},
    signin::object::object_id,
};

/// How many service accounts there can be.
pub(crate) const SERVICES_MAX: usize = 10_000;
/// How many secrets, keys and trusts one has, together: the one of now, the next, and some for places.
pub(crate) const CREDENTIALS_MAX: usize = 20;
/// Longest name of a service account or of what it signs in with, in characters.
pub(crate) const NAME_CHARS_MAX: usize = 120;
/// How long a secret holds where nobody says how long.
pub(crate) const SECRET_LIFE: Duration = Duration::from_hours(180 * 24);
/// How long a secret may hold: two years, as Entra ID lets one choose. A key has no such end: it never travels.
pub(crate) const SECRET_LIFE_MAX: Duration = Duration::from_hours(730 * 24);
/// Longest issuer, subject or audience of a trust, in bytes (600 characters at Entra ID).
const TRUST_BYTES_MAX: usize = 600;

/// Service accounts.
pub(crate) struct Services {
    vault: Vault,
}

/// A service that is to have an account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ServiceDraft {
    /// Its client id.
    pub(crate) client: Uuid,
    /// Its object id.
    pub(crate) object: Uuid,
    /// What it is called.
    pub(crate) name: String,
}

/// A service account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Service {
    /// Its client id.
    pub(crate) client: Uuid,
    /// Its object id.
    pub(crate) object: Uuid,
    /// What it is called.
    pub(crate) name: String,
    /// When it was made.
    pub(crate) made: Timestamp,
}

/// What a service signs in with, as a list shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ServiceCredential {
    /// What it is called by.
    pub(crate) id: Uuid,
    /// What its owner calls it.
    pub(crate) name: String,
    /// What it is.
    pub(crate) what: What,
    /// When it was made.
    pub(crate) made: Timestamp,
    /// When it no longer holds.
    pub(crate) until: Option<Timestamp>,
}

/// What a service signs in with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum What {
    /// A secret.
    Secret {
        /// What it begins with, to tell it from others.
        hint: String,
    },
    /// A key that it signs assertions with.
    Key(ServiceKey),
    /// Another issuer's token.
    Trust(Trust),
}

/// Whose tokens stand for a service.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Trust {
    /// Who vouches for it.
    pub(crate) issuer: String,
    /// Who it is there, exactly.
    pub(crate) subject: String,
    /// For whom its tokens must be made.
    pub(crate) audience: String,
}

/// Why a service account is not made or changed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ServiceFault {
    /// It is not for showing.
    #[error("A name has 1 to {NAME_CHARS_MAX} characters, all of which can be seen.")]
    Name,
    /// There is none.
    #[error("There is no such service account.")]
    NotFound,
    /// It has nothing like that.
    #[error("The service account has no such credential.")]
    NoCredential,
    /// There are too many.
    #[error("There are {SERVICES_MAX} service accounts, and no more can be made.")]
    TooMany,
    /// It has as many as it can.
    #[error(
        "A service account has at most {CREDENTIALS_MAX} secrets, keys and trusts: remove one first."
    )]
    Enough,
    /// It would end before it begins, or too late.
    #[error("A secret ends in the future, and within {} days.", SECRET_LIFE_MAX.as_secs() / 86_400)]
    End,
    /// It is no key that can be used.
    #[error(transparent)]
    Key(#[from] UnusableKey),
    /// It says nothing that could be trusted.
    #[error(
        "A trust names an issuer by its https URL, a subject and an audience, each with at most \
         {TRUST_BYTES_MAX} characters that can be seen."
    )]
    Trust,
    /// It could not be written.
    #[error(transparent)]
    Vault(#[from] VaultError),
    /// Nothing random is to be had.
    #[error(transparent)]
    NoRandomness(#[from] NoRandomness),
}

#[derive(Serialize, Deserialize)]
struct ServiceRow {
    name: String,
    made: Timestamp,
}

#[derive(Serialize, Deserialize)]
struct CredentialRow {
    id: Uuid,
    name: String,
    what: What,
    made: Timestamp,
}

/// What a service can sign in with.
const KINDS: [CredentialKind; 3] =
    [CredentialKind::ServiceSecret, CredentialKind::ServiceKey, CredentialKind::FederatedTrust];

impl What {
    fn kind(&self) -> CredentialKind {
        match self {
            What::Secret { .. } => CredentialKind::ServiceSecret,
            What::Key(_) => CredentialKind::ServiceKey,
            What::Trust(_) => CredentialKind::FederatedTrust,
        }
    }
}

impl Services {
    pub(crate) fn new(vault: Vault) -> Services {
        Services { vault }
    }

    /// Forgets what is over, of services and of accounts alike. How much.
    pub(crate) async fn sweep<S: Store>(
        &self,
        store: &S,
        origin: &Origin,
        now: Timestamp,
    ) -> usize {
        self.vault.sweep(store, origin, now).await
    }

    /// Every service account, by client id.
    pub(crate) fn list(&self) -> Vec<Service> {
        let rows = self.vault.all(CredentialKind::Service);
        rows.iter().filter_map(|row| service(row)).collect()
    }

    /// The service account of a client id.
    pub(crate) fn get(&self, client: Uuid) -> Option<Service> {
        service(&*self.vault.get(CredentialKind::Service, &client.to_string())?)
    }

    /// What it signs in with, oldest first, also what no longer holds.
    pub(crate) fn credentials(&self, service: &Service) -> Vec<ServiceCredential> {
        let rows = KINDS.into_iter().flat_map(|kind| self.vault.of(service.object, kind));
        let mut found: Vec<_> = rows.filter_map(|row| credential(&row)).collect();
        found.sort_by_key(|one| one.made);
        found
    }

    /// A new service: first the directory must know it, then [`Services::make`].
    pub(crate) fn draft(&self, name: &str) -> Result<ServiceDraft, ServiceFault> {
        let (client, name) = (mint::uuid()?, named(name)?);
        let object = object_id(PrincipalKind::ServicePrincipal, LOCAL_ISSUER, &client.to_string());
        Ok(ServiceDraft { client, object, name })
    }

    /// Makes a service account that cannot sign in yet.
    pub(crate) async fn make<S: Store>(
        &self,
        on: Occasion<'_, S>,
        draft: ServiceDraft,
    ) -> Result<(), ServiceFault> {
        let ServiceDraft { client, object, name } = draft;
        let hold = self.vault.hold(Uuid::nil()).await;
        if self.vault.all(CredentialKind::Service).len() >= SERVICES_MAX {
            return Err(ServiceFault::TooMany);
        }
        let note = Note::AccountMade { object, name: Personal(name.clone()) };
        let row = Credential {
            kind: CredentialKind::Service,
            id: client.to_string(),
            object,
            body: body(&ServiceRow { name, made: on.now.wall }),
            until: None,
        };
        let changes = vec![CredentialChange::Put(row)];
        Ok(hold.keep(on.store, on.origin, changes, note).await?)
    }

    /// Removes a service account and all that it signs in with. Whoever calls this also forgets its principal.
    pub(crate) async fn remove<S: Store>(
        &self,
        on: Occasion<'_, S>,
        client: Uuid,
    ) -> Result<(), ServiceFault> {
        let object = self.get(client).ok_or(ServiceFault::NotFound)?.object;
        let hold = self.vault.hold(object).await;
        // What was used up outlasts it: nothing is gained by keeping it, and nothing by forgetting it late.
        let changes = self.vault.removal_of(object, |_| true);
        let changes = changes.into_iter().take(hourgate_store::credential::CHANGES_MAX).collect();
        Ok(hold.keep(on.store, on.origin, changes, Note::AccountRemoved { object }).await?)
    }

    /// Makes a secret. It is told once and kept as a digest.
    pub(crate) async fn add_secret<S: Store>(
        &self,
        on: Occasion<'_, S>,
        client: Uuid,
        name: &str,
        until: Option<Timestamp>,
    ) -> Result<(ServiceCredential, String), ServiceFault> {
        let now = on.now.wall;
        let until = until.unwrap_or_else(|| later(now, SECRET_LIFE));
        if until <= now || distance(now, until) > SECRET_LIFE_MAX {
            return Err(ServiceFault::End);
        }
        let secret = mint::secret()?;
        let hint: String = secret.chars().take(6).collect();
        let what = What::Secret { hint };
        let id = secret_id(&secret);
        let added = self.add(on, client, name, (what, id), Some(until)).await?;
        Ok((added, secret))
    }

    /// Takes a public key whose owner signs assertions with the other half.
    pub(crate) async fn add_key<S: Store>(
        &self,
        on: Occasion<'_, S>,
        client: Uuid,
        name: &str,
        key: ServiceKey,
        until: Option<Timestamp>,
    ) -> Result<ServiceCredential, ServiceFault> {
        if until.is_some_and(|until| until <= on.now.wall) {
            return Err(ServiceFault::End);
        }
        let id = format!("{client}/{}", key.thumbprint());
        self.add(on, client, name, (What::Key(key), id), until).await
    }

    /// Lets another issuer's tokens stand for a service.
    pub(crate) async fn add_trust<S: Store>(
        &self,
        on: Occasion<'_, S>,
        client: Uuid,
        name: &str,
        trust: Trust,
    ) -> Result<ServiceCredential, ServiceFault> {
        let Trust { issuer, subject, audience } = &trust;
        let is_good =
            |text: &String| !text.is_empty() && text.len() <= TRUST_BYTES_MAX && is_plain(text);
        let all_good = [issuer, subject, audience].into_iter().all(is_good);
        if !all_good || !issuer.starts_with("https://") {
            return Err(ServiceFault::Trust);
        }
        let digest = Sha256::digest([issuer.as_str(), subject, audience].join("\0"));
        let id = format!("{client}/{}", hex::encode(digest));
        self.add(on, client, name, (What::Trust(trust), id), None).await
    }

    async fn add<S: Store>(
        &self,
        on: Occasion<'_, S>,
        client: Uuid,
        name: &str,
        (what, row_id): (What, String),
        until: Option<Timestamp>,
    ) -> Result<ServiceCredential, ServiceFault> {
        let (id, name) = (mint::uuid()?, named(name)?);
        let object = self.get(client).ok_or(ServiceFault::NotFound)?.object;
        let hold = self.vault.hold(object).await;
        let service = self.get(client).ok_or(ServiceFault::NotFound)?;
        let is_new = |kind: CredentialKind| self.vault.get(kind, &row_id).is_none();
        if is_new(what.kind()) && self.credentials(&service).len() >= CREDENTIALS_MAX {
            return Err(ServiceFault::Enough);
        }
        let added = ServiceCredential { id, name, what, made: on.now.wall, until };
        let kind = added.what.kind();
        let row = CredentialRow {
            id,
            name: added.name.clone(),
            what: added.what.clone(),
            made: added.made,
        };
        let row = Credential { kind, id: row_id, object, body: body(&row), until };
        let note = made(object, kind, &id.to_string());
        hold.keep(on.store, on.origin, vec![CredentialChange::Put(row)], note).await?;
        Ok(added)
    }

    /// Removes what a service signs in with. Whoever calls this also ends the tokens it was given for it.
    pub(crate) async fn remove_credential<S: Store>(
        &self,
        on: Occasion<'_, S>,
        client: Uuid,
        id: Uuid,
    ) -> Result<(), ServiceFault> {
        let object = self.get(client).ok_or(ServiceFault::NotFound)?.object;
        let hold = self.vault.hold(object).await;
        let mut rows = KINDS.into_iter().flat_map(|kind| self.vault.of(object, kind));
        let found = rows.find(|row| credential(row).is_some_and(|one| one.id == id));
        let row = found.ok_or(ServiceFault::NoCredential)?;
        let (kind, id) = (row.kind.to_string(), id.to_string());
        let note = Note::CredentialRemoved { object, kind, id };
        let changes = vec![CredentialChange::Remove { kind: row.kind, id: row.id.clone() }];
        Ok(hold.keep(on.store, on.origin, changes, note).await?)
    }

    /// The service that a client id and a secret are, with the credential's id. A wrong secret and an unknown
    /// client take the same way.
    pub(crate) fn secret(&self, client: &str, secret: &str, now: Timestamp) -> Option<Proved> {
        let row = self.vault.live(CredentialKind::ServiceSecret, &secret_id(secret), now)?;
        let client: Uuid = client.parse().ok()?;
        let service = self.get(client)?;
        let is_its = service.object.as_bytes().ct_eq(row.object.as_bytes());
        let credential = credential(&row)?.id;
        bool::from(is_its).then_some(Proved { service, credential })
    }

    /// The object id of a service, if what it signed in with still holds: a token that was given for it ends
    /// with it.
    pub(crate) fn holds(&self, client: Uuid, id: Uuid, now: Timestamp) -> Option<Uuid> {
        let object = self.vault.get(CredentialKind::Service, &client.to_string())?.object;
        let mut rows = KINDS.into_iter().flat_map(|kind| self.vault.of(object, kind));
        let holds =
            |row: &Credential| is_live(row, now) && credential(row).is_some_and(|one| one.id == id);
        rows.any(|row| holds(&row)).then_some(object)
    }
}

/// A service that proved what it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Proved {
    /// Which.
    pub(crate) service: Service,
    /// With which of its credentials.
    pub(crate) credential: Uuid,
}

fn named(name: &str) -> Result<String, ServiceFault> {
    let name = name.trim();
    if name.is_empty() || name.chars().count() > NAME_CHARS_MAX || !is_plain(name) {
        return Err(ServiceFault::Name);
    }
    Ok(name.to_owned())
}

fn service(row: &Credential) -> Option<Service> {
    let ServiceRow { name, made } = read(row)?;
    Some(Service { client: row.id.parse().ok()?, object: row.object, name, made })
}

fn credential(row: &Credential) -> Option<ServiceCredential> {
    let CredentialRow { id, name, what, made } = read(row)?;
    Some(ServiceCredential { id, name, what, made, until: row.until })
}

/// As a secret is kept: it has 256 random bits, so that nothing is gained by a slower digest, and one that is
/// wrong is found nowhere.
fn secret_id(secret: &str) -> String {
    let digest = Sha256::new().chain_update(b"hourgate service secret\0");
    hex::encode(digest.chain_update(secret).finalize())
}
