//! From where somebody signed in before: there no stranger's failures slow them.

use std::{net::IpAddr, time::Duration};

use hourgate_core::time::{Timestamp, later};
use hourgate_store::{Credential, CredentialChange, CredentialKind};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::vault::{Vault, is_live};
use crate::{party::party, signin::guesses::Whence};

/// How long a place is known after somebody was last there.
const KNOWN_FOR: Duration = Duration::from_hours(90 * 24);
/// By how much it is known longer before that is written: not at each sign-in.
const RENEWED_AFTER: Duration = Duration::from_hours(24);
/// How many places one account has; a new one takes the place of the one that was left longest ago.
const PLACES_MAX: usize = 16;

/// Whether somebody who says that they are `object` is where that account was signed in to before.
pub(crate) fn whence(vault: &Vault, object: Option<Uuid>, from: IpAddr, now: Timestamp) -> Whence {
    let is_known = |object| vault.live(CredentialKind::Place, &id(object, from), now).is_some();
    if object.is_some_and(is_known) { Whence::Familiar(from) } else { Whence::Stranger(from) }
}

/// What is to be kept once somebody has proved all of who they are at that address; mostly nothing.
pub(crate) fn arrived(
    vault: &Vault,
    object: Uuid,
    from: IpAddr,
    now: Timestamp,
) -> Vec<CredentialChange> {
    let id = id(object, from);
    let soon = later(now, KNOWN_FOR.saturating_sub(RENEWED_AFTER));
    if vault.live(CredentialKind::Place, &id, soon).is_some() {
        return Vec::new();
    }
    let until = Some(later(now, KNOWN_FOR));
    let kind = CredentialKind::Place;
    let fresh = Credential { kind, id: id.clone(), object, body: String::new(), until };
    let mut others = vault.of(object, kind);
    others.retain(|place| place.id != id);
    // Those that are over first, then the longest ago.
    others.sort_by_key(|place| (is_live(place, now), place.until));
    let too_many = (others.len() + 1).saturating_sub(PLACES_MAX);
    let gone = others.into_iter().take(too_many);
    let gone = gone.map(|place| CredentialChange::Remove { kind, id: place.id.clone() });
    gone.chain([CredentialChange::Put(fresh)]).collect()
}

/// A digest, so that no list of addresses lies beside the log: it is not the place to look them up.
fn id(object: Uuid, from: IpAddr) -> String {
    let digest = Sha256::new().chain_update(b"hourgate place\0").chain_update(object.as_bytes());
    let digest = digest.chain_update(party(from).to_string()).finalize();
    hex::encode(&digest[..16])
}
