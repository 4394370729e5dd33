//! The guard's protocol: frames over a stream, each a big-endian `u32` length and that many bytes of JSON.
//!
//! The server asks, the guard answers each question once, with the number of the question, in order; and
//! it may say [`FromGuard::Changed`] at any time.

use hourgate_core::plan::{Desired, Observed};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// The version of this protocol. Both sides say theirs first; who cannot speak the other's hangs up.
pub const PROTOCOL: u32 = 1;

/// The longest frame: 100,000 openings are about 20 MiB.
pub const FRAME_BYTES_MAX: usize = 64 << 20;

/// What a server says to a guard.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub enum ToGuard {
    /// The first frame.
    Hello {
        /// [`PROTOCOL`].
        protocol: u32,
        /// The installation the server belongs to: a guard obeys one.
        installation: Uuid,
    },
    /// Make it so.
    Converge {
        /// Number of the question.
        id: u64,
        /// What must hold.
        desired: Desired,
    },
    /// What stands?
    Observe {
        /// Number of the question.
        id: u64,
    },
}

/// What a guard says to a server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub enum FromGuard {
    /// The first frame.
    Hello {
        /// [`PROTOCOL`].
        protocol: u32,
        /// What enforces: `nftables`, or `fake`.
        kind: String,
        /// The guard's own version.
        version: String,
    },
    /// What stands, for the addresses asked about.
    Observed {
        /// The question's number.
        id: u64,
        /// What stands.
        observed: Observed,
    },
    /// The guard holds this for something no honest server asks, and changed nothing.
    Refused {
        /// The question's number.
        id: u64,
        /// Why, for the log.
        reason: String,
    },
    /// The kernel failed; what stands is not known.
    Failed {
        /// The question's number.
        id: u64,
        /// What it said.
        reason: String,
    },
    /// Something changed without being asked for: look again.
    Changed {
        /// What was seen, for the log.
        what: String,
    },
}
