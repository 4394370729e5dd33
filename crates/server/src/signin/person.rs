//! Who signed in, when, and how: what a session remembers and a token says.

use std::collections::BTreeSet;

use hourgate_core::time::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// Longest name that a session remembers, in characters; a longer one is cut.
const NAME_CHARS_MAX: usize = 256;

/// Somebody who proved who they are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SignedIn {
    /// Who, by object id.
    pub(crate) object: Uuid,
    /// What they were called then; for showing alone.
    pub(crate) name: String,
    /// Their sign-in name; for showing alone.
    pub(crate) upn: Option<String>,
    /// When they proved it.
    pub(crate) at: Timestamp,
    /// How.
    pub(crate) methods: BTreeSet<Method>,
}

/// How somebody proved who they are, by the names of RFC 8176.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Method {
    /// A password.
    Pwd,
    /// A one-time code.
    Otp,
    /// A passkey: a key that is kept in hardware or by the system.
    Hwk,
    /// More than one factor.
    Mfa,
    /// Another provider's word. Not of the RFC, which has no name for it.
    Fed,
}

impl SignedIn {
    /// The same, with names that are short enough to be kept.
    pub(crate) fn bounded(self) -> SignedIn {
        let cut = |text: String| text.chars().take(NAME_CHARS_MAX).collect();
        SignedIn { name: cut(self.name), upn: self.upn.map(cut), ..self }
    }
}

impl Method {
    /// As RFC 8176 writes it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Method::Pwd => "pwd",
            Method::Otp => "otp",
            Method::Hwk => "hwk",
            Method::Mfa => "mfa",
            Method::Fed => "fed",
        }
    }
}
