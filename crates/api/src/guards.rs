//! The guards, and what each last reported.

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use crate::time::UtcTime;

/// A guard as the server knows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct GuardResource {
    /// What it is called.
    pub name: String,
    /// Whether it answers.
    pub state: GuardState,
    /// Since when it does, or does not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<UtcTime>,
    /// What enforces: `nftables`, or `fake`; absent until it was reached.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// Its version; absent until it was reached.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// The prefixes whose addresses it enforces.
    pub covers: Vec<IpNet>,
    /// Locks that must hold, and that it last reported.
    pub locks: DesiredObserved,
    /// Openings that must stand, and that it last reported.
    pub openings: DesiredObserved,
    /// When it last reported.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_at: Option<UtcTime>,
    /// What is wrong, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
}

/// Whether a guard answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum GuardState {
    /// It does.
    Reached,
    /// It does not.
    Unreached,
}

/// How many must be, and how many a guard last reported: two things, never one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DesiredObserved {
    /// How many must be.
    pub desired: u64,
    /// How many were reported; absent where nothing was yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed: Option<u64>,
}
