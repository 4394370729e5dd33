//! Seals what must be read again and is nobody else's to read: secrets of authenticator codes, keys that sign.
//!
//! The key lies in a file of its own: a stolen copy of the database alone shows no secret.

use std::path::PathBuf;

use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use hourgate_store::CredentialKind;

use crate::{
    data_dir::{self, DataDir},
    mint::{self, NoRandomness},
};

/// How this version seals; stands before what it sealed, so that another way can follow.
const VERSION: &str = "1.";

/// Why there is no seal.
#[derive(Debug, thiserror::Error)]
pub enum SealError {
    /// The key's file cannot be read or written.
    #[error("{}: {}", .0.display(), .1)]
    File(PathBuf, std::io::Error),
    /// The key's file is not what was written.
    #[error("{} is damaged: 64 hexadecimal digits are expected; restore it from a backup", .0.display())]
    Unreadable(PathBuf),
    /// Something is sealed, and the key is gone.
    #[error(
        "{} is missing, and without it authenticator codes cannot be checked; restore it from a backup, or, \
         where there is none, put 64 random hexadecimal digits there: then everybody sets up their \
         authenticator app anew", .0.display()
    )]
    Missing(PathBuf),
    /// No key can be minted.
    #[error(transparent)]
    NoRandomness(#[from] NoRandomness),
}

/// Something cannot be sealed, or was not sealed with this key for this place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("it is not sealed with this key, or not for this place")]
pub(crate) struct Unsealable;

/// Seals with one key.
pub(crate) struct Seal(RandomizedNonceKey);

impl Seal {
    /// With the key of a data directory; a new one where nothing is sealed yet.
    pub(crate) fn open(dir: &DataDir, anything_sealed: bool) -> Result<Seal, SealError> {
        let path = dir.seal_key();
        let file = |error| SealError::File(path.clone(), error);
        let mut key = [0; 32];
        match data_dir::read(&path).map_err(file)? {
            Some(text) => hex::decode_to_slice(text.trim(), &mut key)
                .map_err(|_| SealError::Unreadable(path.clone()))?,
            None if anything_sealed => return Err(SealError::Missing(path)),
            None => {
                key = mint::key()?;
                let text = format!("{}\n", hex::encode(key));
                data_dir::write_new(&path, text.as_bytes()).map_err(file)?;
            }
        }
        Seal::new(&key).map_err(|Unsealable| SealError::Unreadable(path))
    }

    /// With this key.
    pub(crate) fn new(key: &[u8; 32]) -> Result<Seal, Unsealable> {
        RandomizedNonceKey::new(&AES_256_GCM, key).map(Seal).map_err(|_| Unsealable)
    }

    /// Seals something for a row. Moved to another row, it does not open: whoever can write the database must
    /// not give somebody the secret of an account of their own.
    pub(crate) fn seal(
        &self,
        kind: CredentialKind,
        id: &str,
        plain: &[u8],
    ) -> Result<String, Unsealable> {
        let mut sealed = plain.to_vec();
        let nonce = self.0.seal_in_place_append_tag(place(kind, id), &mut sealed);
        let mut whole = nonce.map_err(|_| Unsealable)?.as_ref().to_vec();
        whole.append(&mut sealed);
        Ok(format!("{VERSION}{}", URL_SAFE_NO_PAD.encode(whole)))
    }

    /// What was sealed for a row.
    pub(crate) fn unseal(
        &self,
        kind: CredentialKind,
        id: &str,
        sealed: &str,
    ) -> Result<Vec<u8>, Unsealable> {
        let encoded = sealed.strip_prefix(VERSION).ok_or(Unsealable)?;
        let mut whole = URL_SAFE_NO_PAD.decode(encoded).map_err(|_| Unsealable)?;
        let (nonce, sealed) = whole.split_at_mut_checked(NONCE_LEN).ok_or(Unsealable)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| Unsealable)?;
        let plain = self.0.open_in_place(nonce, place(kind, id), sealed);
        plain.map(|plain| plain.to_vec()).map_err(|_| Unsealable)
    }
}

/// For which row something is sealed. No kind has a zero in its name.
fn place(kind: CredentialKind, id: &str) -> Aad<Vec<u8>> {
    Aad::from(["hourgate seal", kind.as_str(), id].join("\0").into_bytes())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn what_is_sealed_opens_for_its_row_alone() {
        let seal = Seal::new(&[7; 32]).expect("a seal");
        let sealed = seal.seal(CredentialKind::Totp, "ann", b"secret").expect("sealed");
        assert!(!sealed.contains("secret"));
        assert_eq!(seal.unseal(CredentialKind::Totp, "ann", &sealed), Ok(b"secret".to_vec()));
        let again = seal.seal(CredentialKind::Totp, "ann", b"secret").expect("sealed");
        assert_ne!(sealed, again, "the same secret does not look the same");
        assert_eq!(seal.unseal(CredentialKind::Totp, "bob", &sealed), Err(Unsealable));
        assert_eq!(seal.unseal(CredentialKind::SigningKey, "ann", &sealed), Err(Unsealable));
        let other = Seal::new(&[8; 32]).expect("a seal");
        assert_eq!(other.unseal(CredentialKind::Totp, "ann", &sealed), Err(Unsealable));
        for bad in ["", "1.", "1.AAAA", "2.AAAA", &sealed[..sealed.len() - 2], "1.%%%"] {
            assert_eq!(seal.unseal(CredentialKind::Totp, "ann", bad), Err(Unsealable), "{bad}");
        }
        let mut changed = sealed.into_bytes();
        let middle = changed.len() / 2;
        changed[middle] = if changed[middle] == b'A' { b'B' } else { b'A' };
        let changed = String::from_utf8(changed).expect("text");
        assert_eq!(seal.unseal(CredentialKind::Totp, "ann", &changed), Err(Unsealable));
    }

    #[test]
    fn the_key_is_made_once_for_its_owner_alone_and_is_missed_when_it_is_gone() {
        let place = tempfile::tempdir().expect("a directory");
        let path = place.path().join("data");
        let dir = DataDir::create(&path).expect("a data directory");
        let sealed = Seal::open(&dir, false).expect("a seal").seal(CredentialKind::Totp, "a", b"x");
        let sealed = sealed.expect("sealed");
        let mode = dir.seal_key().metadata().expect("a file").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let seal = Seal::open(&dir, true).expect("the same");
        assert_eq!(seal.unseal(CredentialKind::Totp, "a", &sealed), Ok(b"x".to_vec()));
        std::fs::write(dir.seal_key(), "1234").expect("written");
        assert!(matches!(Seal::open(&dir, true), Err(SealError::Unreadable(_))));
        std::fs::remove_file(dir.seal_key()).expect("removed");
        assert!(matches!(Seal::open(&dir, true), Err(SealError::Missing(_))));
        assert!(!dir.seal_key().exists(), "nothing is made that would hide what is lost");
    }
}
