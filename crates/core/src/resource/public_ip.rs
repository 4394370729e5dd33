//! What is understood of a public address.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::network::Family;

/// A public address.
///
/// Azure gives the address and shows it read-only. Here the operator knows which one it is: it is taken from
/// what is sent, and stays where a later body leaves it out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PublicIpAddress {
    /// The address; none where it is not known.
    pub address: Option<IpAddr>,
    /// How it was given.
    pub allocation: Allocation,
    /// Of which family.
    pub family: Family,
}

/// How an address is given.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Allocation {
    /// Whoever set it said which.
    Static,
    /// Whichever is free.
    Dynamic,
}

impl Allocation {
    /// Both.
    pub const ALL: [Allocation; 2] = [Allocation::Static, Allocation::Dynamic];

    /// As Azure writes it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Allocation::Static => "Static",
            Allocation::Dynamic => "Dynamic",
        }
    }
}
