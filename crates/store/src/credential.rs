//! What somebody proves with who they are, as it is kept: no rule decides about it, and no answer shows it.
//!
//! The store keeps a body without reading it. The log never holds one: a record says what became of whose
//! credential, in words.

use std::{fmt, str::FromStr};

use hourgate_core::time::Timestamp;
use uuid::Uuid;

/// Longest id, in bytes: a digest in hex, a passkey's id in base64 (WebAuthn allows 1,023 bytes), a UUID.
pub const ID_BYTES_MAX: usize = 1_400;
/// Longest body, in bytes. A passkey's public key and a service's are the longest, with some 2 KiB.
pub const BODY_BYTES_MAX: usize = 16 << 10;
/// How many credentials change at once: all that an account can have, removed with it.
pub const CHANGES_MAX: usize = 1_024;

/// One thing that is kept.
#[derive(Clone, PartialEq, Eq)]
pub struct Credential {
    /// What it is.
    pub kind: CredentialKind,
    /// Which of its kind.
    pub id: String,
    /// The principal whose it is; nil where it is Hourgate's own.
    pub object: Uuid,
    /// What is kept of it, as JSON that whoever keeps it reads: digests, and secrets that are sealed.
    pub body: String,
    /// When it no longer counts, if it has an end. The row stays until it is removed.
    pub until: Option<Timestamp>,
}

/// Without the body, so that no message carries a digest away.
impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Credential { kind, id, object, body: _, until } = self;
        f.debug_struct("Credential")
            .field("kind", kind)
            .field("id", id)
            .field("object", object)
            .field("until", until)
            .finish_non_exhaustive()
    }
}

/// What becomes of one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CredentialChange {
    /// It stands as this says, whether or not it did before.
    Put(Credential),
    /// It is gone, if it was there.
    Remove {
        /// What it was.
        kind: CredentialKind,
        /// Which.
        id: String,
    },
}

/// What is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum CredentialKind {
    /// A local account: the name that somebody signs in with, and what holds for all its credentials.
    Account,
    /// An account's password, as a hash.
    Password,
    /// An account's secret of time-based codes, sealed.
    Totp,
    /// A passkey's public key.
    Passkey,
    /// A code for whoever lost their second factor, as a digest.
    RecoveryCode,
    /// A link that lets somebody set a password once, as a digest.
    Link,
    /// A service account.
    Service,
    /// A service account's secret, as a digest.
    ServiceSecret,
    /// A service account's public key.
    ServiceKey,
    /// Whose tokens stand for a service account.
    FederatedTrust,
    /// An assertion that was used, and is not taken again.
    SpentAssertion,
    /// From where somebody signed in before.
    Place,
    /// Somebody's session in a browser.
    Session,
    /// Refresh tokens of which each follows from the one before.
    RefreshFamily,
    /// A key that signs Hourgate's tokens, sealed.
    SigningKey,
}

impl CredentialKind {
    /// Every kind.
    pub const ALL: [CredentialKind; 15] = [
        CredentialKind::Account,
        CredentialKind::Password,
        CredentialKind::Totp,
        CredentialKind::Passkey,
        CredentialKind::RecoveryCode,
        CredentialKind::Link,
        CredentialKind::Service,
        CredentialKind::ServiceSecret,
        CredentialKind::ServiceKey,
        CredentialKind::FederatedTrust,
        CredentialKind::SpentAssertion,
        CredentialKind::Place,
        CredentialKind::Session,
        CredentialKind::RefreshFamily,
        CredentialKind::SigningKey,
    ];

    /// Whether its body is sealed, so that it cannot be read without the seal's key.
    pub fn is_sealed(self) -> bool {
        matches!(self, CredentialKind::Totp | CredentialKind::SigningKey)
    }

    /// As rows and records name it.
    pub fn as_str(self) -> &'static str {
        match self {
            CredentialKind::Account => "account",
            CredentialKind::Password => "password",
            CredentialKind::Totp => "totp",
            CredentialKind::Passkey => "passkey",
            CredentialKind::RecoveryCode => "recoveryCode",
            CredentialKind::Link => "link",
            CredentialKind::Service => "service",
            CredentialKind::ServiceSecret => "serviceSecret",
            CredentialKind::ServiceKey => "serviceKey",
            CredentialKind::FederatedTrust => "federatedTrust",
            CredentialKind::SpentAssertion => "spentAssertion",
            CredentialKind::Place => "place",
            CredentialKind::Session => "session",
            CredentialKind::RefreshFamily => "refreshFamily",
            CredentialKind::SigningKey => "signingKey",
        }
    }
}

impl fmt::Display for CredentialKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// No kind has that name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no kind of credential has this name")]
pub struct UnknownKind;

impl FromStr for CredentialKind {
    type Err = UnknownKind;

    fn from_str(text: &str) -> Result<CredentialKind, UnknownKind> {
        CredentialKind::ALL.into_iter().find(|kind| kind.as_str() == text).ok_or(UnknownKind)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_kind_has_a_name_of_its_own() {
        let names: BTreeSet<&str> = CredentialKind::ALL.iter().map(|kind| kind.as_str()).collect();
        assert_eq!(names.len(), CredentialKind::ALL.len());
        for kind in CredentialKind::ALL {
            assert_eq!(kind.as_str().parse(), Ok(kind));
        }
        assert_eq!("Password".parse::<CredentialKind>(), Err(UnknownKind));
    }

    #[test]
    fn no_message_shows_a_body() {
        let credential = Credential {
            kind: CredentialKind::Password,
            id: "ann".to_owned(),
            object: Uuid::nil(),
            body: "$argon2id$".to_owned(),
            until: None,
        };
        assert!(!format!("{credential:?}").contains("argon2id"));
    }
}
