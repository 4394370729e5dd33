//! Signing keys as they are kept: sealed, so that a copy of the database signs nothing.

use hourgate_core::time::Timestamp;
use hourgate_store::{Credential, CredentialChange, CredentialKind};
use uuid::Uuid;

use super::{KeptKey, KeyChanges, KeyRing, SignInError, local::seal::Seal};
use crate::data_dir::{self, DataDir};

/// The keys of an installation: those that were kept, or the one of a version that had one, in a file.
pub(crate) fn read(
    dir: &DataDir,
    seal: &Seal,
    rows: &[Credential],
    rotated_every: std::time::Duration,
    now: Timestamp,
) -> Result<KeyRing, SignInError> {
    let rows = rows.iter().filter(|row| row.kind == CredentialKind::SigningKey);
    let kept: Result<Vec<KeptKey>, SignInError> = rows.map(|row| unseal(seal, row)).collect();
    let kept = match kept? {
        kept if kept.is_empty() => of_file(dir, now)?.into_iter().collect(),
        kept => kept,
    };
    KeyRing::of(rotated_every, kept)
}

/// What is to be written of a change.
pub(crate) fn rows(
    seal: &Seal,
    changes: &KeyChanges,
) -> Result<Vec<CredentialChange>, SignInError> {
    let kind = CredentialKind::SigningKey;
    let made = changes.made.iter().map(|(id, kept)| {
        let plain = serde_json::to_vec(kept).map_err(|_| SignInError::Unsealable)?;
        let body = seal.seal(kind, id, &plain).map_err(|_| SignInError::Unsealable)?;
        let (id, object) = (id.clone(), Uuid::nil());
        Ok(CredentialChange::Put(Credential { kind, id, object, body, until: None }))
    });
    let dropped = changes.dropped.iter().map(|id| {
        let id = id.clone();
        Ok(CredentialChange::Remove { kind, id })
    });
    made.chain(dropped).collect()
}

fn unseal(seal: &Seal, row: &Credential) -> Result<KeptKey, SignInError> {
    let plain = seal.unseal(row.kind, &row.id, &row.body).map_err(|_| SignInError::Unsealable)?;
    serde_json::from_slice(&plain).map_err(|_| SignInError::Unsealable)
}

fn of_file(dir: &DataDir, now: Timestamp) -> Result<Option<KeptKey>, SignInError> {
    let path = dir.token_key();
    let text = data_dir::read(&path).map_err(|error| SignInError::File(path.clone(), error))?;
    text.map(|pem| KeptKey::first(pem, &path, now)).transpose()
}
