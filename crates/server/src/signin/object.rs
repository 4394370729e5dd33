//! Object ids of people and services: they follow from who vouches for somebody and from who they are there.

pub(crate) use hourgate_core::role::principal::LOCAL_ISSUER;
use sha2::{Digest, Sha256};
use uuid::Uuid;

/// What somebody is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Of {
    /// A person.
    Person,
    /// Many people, by their provider's word.
    Group,
    /// A program.
    Service,
}

/// The object id of somebody.
pub(crate) fn object_id(of: Of, issuer: &str, subject: &str) -> Uuid {
    let kind = match of {
        Of::Person => "User",
        Of::Group => "Group",
        Of::Service => "ServicePrincipal",
    };
    let mut digest = Sha256::new();
    // No issuer has a zero in it, so that no two read the same.
    digest.update(["hourgate principal", kind, issuer, subject].join("\0"));
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&digest.finalize()[..16]);
    uuid::Builder::from_custom_bytes(bytes).into_uuid()
}
