//! The first administrator: a service principal, and the file that holds what it signs in with.

use std::path::PathBuf;

use hourgate_core::{
    command::Command,
    event::Note,
    personal::Personal,
    refusal::Refusals,
    role::{
        Person, PersonId, Scope,
        built_in::OWNER,
        change::{AssignmentDraft, DirectoryCommand, Introduction},
        principal::{ADMINISTRATOR, LOCAL_ISSUER, PrincipalKind},
    },
};
use hourgate_store::{Installation, Origin, Principal, Store, StoreError, TransactError};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::{
    data_dir::{self, DataDir},
    mint::{self, NoRandomness},
    server::ours,
    signin::SignedIn,
};

/// Why there is no administrator.
#[derive(Debug, thiserror::Error)]
pub enum AdminError {
    /// The file cannot be read or written.
    #[error("{}: {}", .0.display(), .1)]
    File(PathBuf, std::io::Error),
    /// The file is there, and is not this installation's.
    #[error(
        "{} is not this installation's, or is damaged; move it away, and have a new one made with \
         `hourgate admin rotate`", .0.display()
    )]
    NotOurs(PathBuf),
    /// The store does not answer.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The administrator cannot be made Owner.
    #[error("the administrator cannot be made Owner: {0:?}")]
    Refused(Refusals),
    /// No secret can be minted.
    #[error(transparent)]
    NoRandomness(#[from] NoRandomness),
}

/// `admin.json`: all that a client needs.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AdminFile {
    /// Where the server is.
    pub server: String,
    /// The certificate to trust: an absolute path of a PEM file.
    pub ca: PathBuf,
    /// The tenant.
    pub tenant_id: Uuid,
    /// The subscription.
    pub subscription_id: Uuid,
    /// The client id.
    pub client_id: Uuid,
    /// The secret.
    pub client_secret: String,
}

impl AdminFile {
    fn text(&self) -> Result<Vec<u8>, std::io::Error> {
        let mut text = serde_json::to_vec_pretty(self).map_err(std::io::Error::other)?;
        text.push(b'\n');
        Ok(text)
    }
}

/// Makes the administrator at first start, and renews `server` and `ca` in its file at a later one.
pub(crate) async fn ensure<S: Store>(
    store: &S,
    dir: &DataDir,
    server: &str,
) -> Result<Principal, AdminError> {
    let administrator = sign_in(store, dir, server).await?;
    // Whoever disabled it since, or took its role, meant it.
    if store.directory().principal(administrator.object).is_none() {
        make_owner(store, &administrator, nobody()?).await?;
    }
    Ok(administrator)
}

/// What the administrator signs in with: as it is known, or made.
async fn sign_in<S: Store>(
    store: &S,
    dir: &DataDir,
    server: &str,
) -> Result<Principal, AdminError> {
    let installation = store.installation();
    let client = client_id(&installation);
    let file = read(dir, &installation)?;
    let known = store.principal(client).await?;
    match (known, file) {
        (Some(principal), Some(mut file)) => {
            if file.server != server || file.ca != dir.ca() {
                file.server = server.to_owned();
                file.ca = dir.ca();
                replace(dir, &file)?;
            }
            Ok(principal)
        }
        (Some(principal), None) => {
            tracing::warn!(
                file = %dir.admin().display(),
                "the administrator's file is gone; `hourgate admin rotate` makes a new secret and file"
            );
            Ok(principal)
        }
        // The first start was cut off after it wrote the file: nobody can have used another secret.
        (None, Some(mut file)) => {
            file.server = server.to_owned();
            file.ca = dir.ca();
            replace(dir, &file)?;
            introduce(store, principal(&installation, &file.client_secret)).await
        }
        (None, None) => {
            let file = fresh(&installation, dir, server)?;
            let text = file.text().map_err(|error| AdminError::File(dir.admin(), error))?;
            data_dir::write_new(&dir.admin(), &text)
                .map_err(|error| AdminError::File(dir.admin(), error))?;
            introduce(store, principal(&installation, &file.client_secret)).await
        }
    }
}

/// Replaces the administrator's secret, recorded first, and writes its file anew.
pub(crate) async fn rotate<S: Store>(
    store: &S,
    dir: &DataDir,
    server: Option<&str>,
    origin: Origin,
) -> Result<Principal, AdminError> {
    let installation = store.installation();
    let stored = read(dir, &installation).ok().flatten().map(|file| file.server);
    // Where neither is known, the next start writes the right one.
    let server = server.map(str::to_owned).or(stored);
    let server = server.unwrap_or_else(|| "https://localhost:8443".to_owned());
    let file = fresh(&installation, dir, &server)?;
    let principal = principal(&installation, &file.client_secret);
    let note = Note::SecretRotated { client: principal.client.to_string() };
    store.set_principal(origin.clone(), principal.clone(), note).await?;
    // Whoever is on the machine itself comes in again, whatever was done to the administrator since.
    make_owner(store, &principal, origin).await?;
    replace(dir, &file)?;
    Ok(principal)
}

/// Makes the administrator known, enabled, and Owner of the subscription.
async fn make_owner<S: Store>(
    store: &S,
    administrator: &Principal,
    origin: Origin,
) -> Result<(), AdminError> {
    let installation = store.installation();
    let id = administrator.object;
    let introduction = Introduction {
        id,
        kind: PrincipalKind::ServicePrincipal,
        issuer: LOCAL_ISSUER.to_owned(),
        subject: Personal(ADMINISTRATOR.to_owned()),
        name: Personal(administrator.name.clone()),
        upn: None,
        verified_mail: None,
        groups: None,
        said: None,
    };
    let owner = AssignmentDraft {
        id: derived(&installation, "owner"),
        scope: Scope::subscription(installation.subscription),
        role: OWNER,
        principal: id,
        kind: None,
        description: Some("The administrator of the first start.".to_owned()),
        until: None,
        by: None,
    };
    let directory = store.directory();
    let is_owner = directory.given(id, owner.role, &owner.scope);
    let is_owner = is_owner.is_some_and(|given| given.until.is_none());
    let steps = [
        Some(DirectoryCommand::Introduce(introduction)),
        Some(DirectoryCommand::SetDisabled { principal: id, disabled: false }),
        (!is_owner).then_some(DirectoryCommand::Assign(owner)),
    ];
    for step in steps.into_iter().flatten() {
        match store.transact(origin.clone(), Command::Directory(step)).await {
            Ok(_) => {}
            Err(TransactError::Refused(why)) => return Err(AdminError::Refused(why)),
            Err(TransactError::Store(error)) => return Err(error.into()),
        }
    }
    Ok(())
}

async fn introduce<S: Store>(store: &S, principal: Principal) -> Result<Principal, AdminError> {
    let origin = nobody()?;
    let note = Note::SecretRotated { client: principal.client.to_string() };
    store.set_principal(origin, principal.clone(), note).await?;
    Ok(principal)
}

/// On behalf of Hourgate itself.
fn nobody() -> Result<Origin, NoRandomness> {
    Ok(ours(mint::uuid()?))
}

fn fresh(
    installation: &Installation,
    dir: &DataDir,
    server: &str,
) -> Result<AdminFile, AdminError> {
    Ok(AdminFile {
        server: server.to_owned(),
        ca: dir.ca(),
        tenant_id: installation.tenant,
        subscription_id: installation.subscription,
        client_id: client_id(installation),
        client_secret: mint::secret()?,
    })
}

fn principal(installation: &Installation, secret: &str) -> Principal {
    Principal {
        client: client_id(installation),
        object: derived(installation, "object"),
        name: "administrator".to_owned(),
        secret_digest: Sha256::digest(secret).into(),
    }
}

/// The administrator's client id: it follows from the installation, so that a lost file costs a secret
/// and not the way in. It is no secret itself.
fn client_id(installation: &Installation) -> Uuid {
    derived(installation, "client")
}

fn derived(installation: &Installation, what: &str) -> Uuid {
    let mut digest = Sha256::new();
    digest.update(b"hourgate administrator\0");
    digest.update(what);
    digest.update(installation.id);
    let digest = digest.finalize();
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&digest[..16]);
    uuid::Builder::from_custom_bytes(bytes).into_uuid()
}

/// The file, if it is there and this installation's.
fn read(dir: &DataDir, installation: &Installation) -> Result<Option<AdminFile>, AdminError> {
    let path = dir.admin();
    let text = match data_dir::read(&path) {
        Ok(text) => text,
        Err(error) => return Err(AdminError::File(path, error)),
    };
    let Some(text) = text else { return Ok(None) };
    match serde_json::from_str::<AdminFile>(&text) {
        Ok(file) if file.client_id == client_id(installation) => Ok(Some(file)),
        Ok(_) | Err(_) => Err(AdminError::NotOurs(path)),
    }
}

fn replace(dir: &DataDir, file: &AdminFile) -> Result<(), AdminError> {
    let written = file.text().and_then(|text| data_dir::replace(&dir.admin(), &text));
    written.map_err(|error| AdminError::File(dir.admin(), error))
}

/// A principal as rows and log remember them.
pub(crate) fn person(principal: &Principal) -> Person {
    Person {
        id: PersonId(principal.object.to_string()),
        name: Personal(principal.name.clone()),
        upn: None,
    }
}

/// Somebody in a session as rows and log remember them.
pub(crate) fn visitor(who: &SignedIn) -> Person {
    Person {
        id: PersonId(who.object.to_string()),
        name: Personal(who.name.clone()),
        upn: who.upn.clone().map(Personal),
    }
}

/// Somebody on the machine itself, by their user id.
pub(crate) fn local_person(uid: u32) -> Person {
    Person {
        id: PersonId(format!("local:{uid}")),
        name: Personal(format!("uid {uid} on the server's machine")),
        upn: None,
    }
}
