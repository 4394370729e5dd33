//! Who asks, and what they may call, where.
//!
//! [`Directory`] holds who there is and which roles they were given; [`Rights`] is what that comes to for one
//! of them at one moment; [`may`] is the question that every operation asks first.

mod action;
pub mod activation;
pub mod assignment;
pub mod built_in;
pub mod change;
pub mod definition;
mod directory;
pub mod pattern;
pub mod principal;
mod rights;
pub mod scope;

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

pub use self::{
    action::{Action, Change, NetworkThing, Verb},
    directory::Directory,
    rights::{Groups, Right, Rights},
    scope::Scope,
};
use crate::{personal::Personal, time::Timestamp};

/// Who somebody is, whatever they are called today: the id of a principal, or a user of the machine itself.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PersonId(pub String);

/// Somebody as rows and log remember them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Person {
    /// Who.
    pub id: PersonId,
    /// What they were called when they asked.
    pub name: Personal,
    /// Their sign-in name; a service has none.
    pub upn: Option<Personal>,
}

/// The address a call came from, and whether it may stand for the caller's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum OwnAddress {
    /// The caller's, as the server saw it.
    Seen(IpAddr),
    /// Seen, but it is loopback, a proxy's, the server's or a guard's own: it names nobody.
    Nobodys(IpAddr),
}

impl OwnAddress {
    /// What the server saw, whoever's it is.
    pub fn seen(self) -> IpAddr {
        match self {
            OwnAddress::Seen(address) | OwnAddress::Nobodys(address) => address,
        }
    }

    /// The caller's own address, if it is known to be theirs.
    pub fn own(self) -> Option<IpAddr> {
        match self {
            OwnAddress::Seen(address) => Some(address),
            OwnAddress::Nobodys(_) => None,
        }
    }
}

/// How somebody signed in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignIn {
    /// When they showed who they are; not when a token was made anew since.
    pub at: Timestamp,
    /// Whether they showed a second factor then.
    pub second_factor: bool,
}

/// Who is asking, from where, with which roles. The first argument of every operation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// Who.
    pub person: Person,
    /// From where.
    pub address: OwnAddress,
    /// How they signed in; none for a service, which has no second factor to show.
    pub sign_in: Option<SignIn>,
    /// What they may, and where.
    pub rights: Rights,
}

/// Whether the caller may do that there.
pub fn may(caller: &Caller, action: Action, scope: &Scope) -> bool {
    caller.rights.allow(action, scope)
}
