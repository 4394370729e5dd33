//! What `hourgate login` leaves: a file for its owner alone, and the lock that keeps two commands from using one
//! refresh token, which is good once.

use std::{
    fs::{self, File, OpenOptions},
    io::{ErrorKind, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
    time::Duration,
};

use jiff::Timestamp;
use rustix::fs::{FlockOperation, flock};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{Secret, absolute};
use crate::{
    clock::Patience,
    exit::{Exit, Failure},
};

/// How long another command may take to renew the tokens.
const LOCK_MAX: Duration = Duration::from_secs(40);
/// How often it is looked whether it has.
const LOCK_PAUSE: Duration = Duration::from_millis(50);

/// Somebody who is signed in at a server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Kept {
    /// Where the server is.
    pub(crate) server: String,
    /// The one CA that is believed, as PEM; without it, those that this machine believes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) ca_pem: Option<String>,
    /// The tenant.
    pub(crate) tenant_id: Uuid,
    /// The subscription that everything belongs to.
    pub(crate) subscription_id: Uuid,
    /// Who signed in; for showing alone.
    pub(crate) signed_in_as: String,
    /// What calls are made with.
    pub(crate) access_token: Secret,
    /// Until when.
    pub(crate) access_token_ends: Timestamp,
    /// What gives the next one, once.
    pub(crate) refresh_token: Secret,
}

/// Held while tokens are renewed; the kernel lets go when a process dies.
#[derive(Debug)]
pub(crate) struct Lock {
    _file: File,
}

/// Where a sign-in is kept unless `--profile` says where.
pub(crate) fn default_path() -> Option<PathBuf> {
    let config = absolute("XDG_CONFIG_HOME")
        .or_else(|| absolute("HOME").map(|home| home.join(".config")))?;
    Some(config.join("hourgate/login.json"))
}

impl Kept {
    /// Reads it.
    pub(crate) fn read(path: &Path) -> Result<Kept, Failure> {
        let shown = path.display();
        let again = "Sign in anew with `hourgate login`.";
        let text = fs::read_to_string(path).map_err(|error| {
            Failure::usage(format!("The sign-in {shown} cannot be read: {error}.")).advise(again)
        })?;
        // The parser's own words could quote a token.
        serde_json::from_str(&text)
            .map_err(|_| Failure::usage(format!("The sign-in {shown} is damaged.")).advise(again))
    }

    /// Writes it for its owner alone, whole or not at all.
    pub(crate) fn write(&self, path: &Path) -> Result<(), Failure> {
        let text = serde_json::to_string_pretty(self).unwrap_or_default() + "\n";
        replace(path, text.as_bytes()).map_err(|error| {
            let shown = path.display();
            Failure::new(Exit::Refused, format!("The sign-in cannot be kept in {shown}: {error}."))
        })
    }
}

/// Whether a file is no sign-in: then it is somebody's profile of another kind, and not written over.
pub(crate) fn is_another(path: &Path) -> bool {
    match fs::read_to_string(path) {
        Ok(text) => serde_json::from_str::<Kept>(&text).is_err(),
        Err(error) => error.kind() != ErrorKind::NotFound,
    }
}

/// Waits until no other command renews the tokens of this file.
pub(crate) async fn lock(path: &Path) -> Result<Lock, Failure> {
    let lock = path.with_extension("lock");
    let failed = |error: &dyn std::fmt::Display| {
        let shown = lock.display();
        Failure::new(Exit::Refused, format!("The lock {shown} cannot be taken: {error}."))
    };
    let file = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(&lock);
    let file = file.map_err(|error| failed(&error))?;
    let patience = Patience::new(LOCK_MAX);
    // Never waited for in the kernel: another client of this very process may hold it.
    while flock(&file, FlockOperation::NonBlockingLockExclusive).is_err() {
        if patience.left().is_zero() {
            return Err(failed(&"another command holds it"));
        }
        patience.pause(LOCK_PAUSE).await;
    }
    Ok(Lock { _file: file })
}

fn replace(path: &Path, content: &[u8]) -> std::io::Result<()> {
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    }
    let fresh = path.with_extension(format!("{}.new", std::process::id()));
    match fs::remove_file(&fresh) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => {}
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&fresh)?;
    file.write_all(content)?;
    file.sync_all()?;
    fs::rename(&fresh, path)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn kept() -> Kept {
        Kept {
            server: "https://localhost:1".to_owned(),
            ca_pem: None,
            tenant_id: Uuid::nil(),
            subscription_id: Uuid::nil(),
            signed_in_as: "Ann".to_owned(),
            access_token: Secret::new("hunter2".to_owned()),
            access_token_ends: Timestamp::UNIX_EPOCH,
            refresh_token: Secret::new("hunter3".to_owned()),
        }
    }

    #[test]
    fn a_sign_in_is_its_owners_alone_and_takes_no_other_profiles_place() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("config/login.json");
        assert!(!is_another(&path));
        kept().write(&path).expect("written");
        kept().write(&path).expect("written again");
        let mode = path.metadata().expect("a file").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert_eq!(Kept::read(&path).expect("read"), kept());
        assert!(!is_another(&path));
        let admin = dir.path().join("admin.json");
        fs::write(&admin, r#"{"clientSecret":"x"}"#).expect("written");
        assert!(is_another(&admin));
        fs::write(&path, r#"{"refreshToken":"hunter3","server":5}"#).expect("written");
        let failure = Kept::read(&path).expect_err("damaged");
        assert!(!failure.text().contains("hunter"), "{}", failure.text());
        assert!(!format!("{:?}", kept()).contains("hunter"));
    }

    #[tokio::test]
    async fn one_command_renews_at_a_time() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("login.json");
        let first = lock(&path).await.expect("free");
        let second = tokio::spawn({
            let path = path.clone();
            async move { lock(&path).await.map(drop) }
        });
        tokio::task::yield_now().await;
        assert!(!second.is_finished());
        drop(first);
        second.await.expect("no panic").expect("free again");
    }
}
