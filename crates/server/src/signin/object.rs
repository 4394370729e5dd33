//! Object ids of people, groups and services: they follow from who vouches for somebody and from who they are there.

use hourgate_core::role::principal::{PrincipalId, PrincipalKind};
use sha2::{Digest, Sha256};

/// The object id of somebody.
pub(crate) fn object_id(kind: PrincipalKind, issuer: &str, subject: &str) -> PrincipalId {
    let mut digest = Sha256::new();
    // Neither has a zero in it, so that no two read the same.
    digest.update(["hourgate principal", kind.as_str(), issuer, subject].join("\0"));
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&digest.finalize()[..16]);
    uuid::Builder::from_custom_bytes(bytes).into_uuid()
}
