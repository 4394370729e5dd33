//! Sessions, as our own routes show them.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::time::UtcTime;

/// A session.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SessionResource {
    /// What it is called.
    pub id: Uuid,
    /// Whose it is, by object id.
    pub principal_id: Uuid,
    /// What they were called when they signed in.
    pub principal_name: String,
    /// `browser` or `command`.
    pub kind: String,
    /// Which command; none for a browser.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client: Option<String>,
    /// From which address it began.
    pub address: IpAddr,
    /// When its owner proved who they are.
    pub signed_in_at: UtcTime,
    /// How, by the names of RFC 8176.
    pub methods: Vec<String>,
    /// When it was last used.
    pub last_used_at: UtcTime,
    /// When it ends, however often it is used.
    pub ends_at: UtcTime,
    /// Whether it is the one that asks.
    pub is_this_one: bool,
}
