//! Local accounts and service accounts, as our own routes show them.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

use crate::time::UtcTime;

/// A local account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AccountResource {
    /// Its object id.
    pub id: Uuid,
    /// What its owner signs in with.
    pub name: String,
    /// What its owner is called.
    pub display_name: String,
    /// Whether it lets anybody in.
    pub enabled: bool,
    /// When it was made.
    pub created_at: UtcTime,
    /// Whether its owner has set a password.
    pub has_password: bool,
    /// Whether it has a second factor.
    pub has_second_factor: bool,
}

/// An account, and the link with which its owner sets a password. It is told this once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AccountLink {
    /// The account.
    pub account: AccountResource,
    /// The link.
    pub link: String,
    /// Until when it holds.
    pub link_ends_at: UtcTime,
}

/// A service account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ServiceAccountResource {
    /// Its object id, by which it is given roles.
    pub id: Uuid,
    /// Its client id, by which it signs in.
    pub client_id: Uuid,
    /// What it is called.
    pub display_name: String,
    /// Whether it is let in.
    pub enabled: bool,
    /// When it was made.
    pub created_at: UtcTime,
    /// What it signs in with.
    pub credentials: Vec<ServiceCredentialResource>,
}

/// What a service account signs in with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ServiceCredentialResource {
    /// What it is called by.
    pub id: Uuid,
    /// What its owner calls it.
    pub display_name: String,
    /// `secret`, `key` or `trust`.
    pub kind: String,
    /// When it was made.
    pub created_at: UtcTime,
    /// When it no longer holds, if it has an end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ends_at: Option<UtcTime>,
    /// What a secret begins with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// A key's thumbprint (RFC 7638).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub thumbprint: Option<String>,
    /// Whose tokens are trusted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trust: Option<TrustResource>,
}

/// Whose tokens stand for a service account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TrustResource {
    /// Who vouches for it.
    pub issuer: String,
    /// Who it is there, exactly.
    pub subject: String,
    /// For whom its tokens must be made.
    pub audience: String,
}

/// A new secret. It is told this once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SecretResource {
    /// What it is called by, and when it ends.
    pub credential: ServiceCredentialResource,
    /// The secret.
    pub secret: String,
}

/// An account that is to be made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NewAccount {
    /// What its owner signs in with.
    pub name: String,
    /// What its owner is called; its name, if nothing.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub display_name: String,
}

/// A service account that is to be made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NewService {
    /// What it is called.
    pub display_name: String,
}

/// A secret that is to be made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NewSecret {
    /// What its owner calls it.
    pub display_name: String,
    /// When it no longer holds; half a year from now, if nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ends_at: Option<UtcTime>,
}

/// A key that is to be taken.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NewKey {
    /// What its owner calls it.
    pub display_name: String,
    /// The public half, as a JSON Web Key (RFC 7517).
    pub jwk: Value,
    /// When it no longer holds; never, if nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ends_at: Option<UtcTime>,
}

/// Whose tokens are to stand for a service account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NewTrust {
    /// What its owner calls it.
    pub display_name: String,
    /// Who vouches for it.
    pub issuer: String,
    /// Who it is there, exactly.
    pub subject: String,
    /// For whom its tokens must be made.
    pub audience: String,
}
