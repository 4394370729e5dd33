//! What a provider vouched for.

use std::{collections::BTreeSet, sync::Arc};

use hourgate_core::time::Timestamp;

/// A person, or whatever else the provider knows, as a token of theirs shows them. Who they are is issuer
/// and subject together; the rest is what the provider says about them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verified {
    /// The configured provider's name.
    pub provider: Arc<str>,
    /// The provider, as it calls itself.
    pub issuer: Arc<str>,
    /// The person's id there. It never changes hands, as names and addresses do.
    pub subject: String,
    /// How they are called; for showing. Empty if the provider does not say.
    pub name: String,
    /// What they type to sign in; for showing. Empty if the provider does not say.
    pub upn: String,
    /// Their mail address, and whether the provider has seen that it is theirs. It may block, never allow.
    pub email: Option<(String, bool)>,
    /// Their groups at this provider; a group is its issuer and its id.
    pub groups: Groups,
    /// Until when the groups count.
    pub groups_until: Timestamp,
    /// When they last signed in there, where it is said.
    pub auth_time: Option<Timestamp>,
    /// By which means (RFC 8176): `pwd`, `mfa`, `otp`…
    pub amr: BTreeSet<String>,
    /// How strongly, in the provider's own words. Empty if it does not say.
    pub acr: String,
    /// The program that the token was made for (`azp`). Empty if it is not said.
    pub party: String,
    /// When the token was made.
    pub issued: Timestamp,
    /// From when on it gives nothing.
    pub until: Timestamp,
}

impl Verified {
    /// The groups that count at `now`; none where they are not known, or were known too long ago.
    pub fn groups_at(&self, now: Timestamp) -> impl Iterator<Item = &str> {
        let known = match &self.groups {
            Groups::Known(groups) if now < self.groups_until => Some(groups),
            Groups::Known(_) | Groups::Absent | Groups::TooMany | Groups::Unreadable => None,
        };
        known.into_iter().flatten().map(String::as_str)
    }
}

/// What is known of somebody's groups. Only [`Groups::Known`] gives anything.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Groups {
    /// These.
    Known(BTreeSet<String>),
    /// The token does not speak of groups: the provider was not told to write them.
    Absent,
    /// There are too many for a token (Entra ID's overage), or more than are read here.
    TooMany,
    /// What stands there is no list of ids.
    Unreadable,
}
