//! Credentials as rows, each with its part of the sum over all that stands.

use rusqlite::{Connection, params};

use super::{
    Result,
    fingerprint::{self, Fingerprint},
    load::all,
    rows::{self, Columns},
};
use crate::{
    Credential, CredentialChange, CredentialKind, StoreError, credential::CHANGES_MAX, log::LogKey,
};

/// Every one.
pub(super) fn every(db: &Connection) -> Result<Vec<Credential>> {
    all(db, "SELECT kind, id, object, body, until FROM credential", [], read)
}

/// Changes some, and the sum with them.
pub(super) fn change(
    db: &Connection,
    key: &LogKey,
    sum: &mut Fingerprint,
    changes: &[CredentialChange],
) -> Result<()> {
    if changes.len() > CHANGES_MAX {
        let why = format!("{} credentials change at once, past {CHANGES_MAX}", changes.len());
        return Err(StoreError::Damaged(why));
    }
    for change in changes {
        match change {
            CredentialChange::Put(credential) => {
                take(db, key, sum, credential.kind, &credential.id)?;
                put(db, credential)?;
                sum.add(&fingerprint::credential(key, credential));
            }
            CredentialChange::Remove { kind, id } => {
                take(db, key, sum, *kind, id)?;
                db.prepare_cached("DELETE FROM credential WHERE kind = ?1 AND id = ?2")?
                    .execute([kind.as_str(), id])?;
            }
        }
    }
    Ok(())
}

/// Takes what stands out of the sum.
fn take(
    db: &Connection,
    key: &LogKey,
    sum: &mut Fingerprint,
    kind: CredentialKind,
    id: &str,
) -> Result<()> {
    let sql = "SELECT kind, id, object, body, until FROM credential WHERE kind = ?1 AND id = ?2";
    for before in all(db, sql, [kind.as_str(), id], read)? {
        sum.take(&fingerprint::credential(key, &before));
    }
    Ok(())
}

fn put(db: &Connection, credential: &Credential) -> Result<()> {
    db.prepare_cached(
        "INSERT INTO credential (kind, id, object, body, until) VALUES (?1, ?2, ?3, ?4, ?5) \
         ON CONFLICT (kind, id) DO UPDATE SET object = excluded.object, body = excluded.body, \
         until = excluded.until",
    )?
    .execute(params![
        credential.kind.as_str(),
        credential.id,
        credential.object.as_bytes(),
        credential.body,
        rows::maybe_nanos(credential.until)?,
    ])?;
    Ok(())
}

fn read(row: &Columns<'_>) -> Result<Credential> {
    Ok(Credential {
        kind: row.parsed(0)?,
        id: row.text(1)?.to_owned(),
        object: row.uuid(2)?,
        body: row.text(3)?.to_owned(),
        until: row.maybe_time(4)?,
    })
}
