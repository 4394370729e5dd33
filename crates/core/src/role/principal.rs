//! Who can be given a role: a person, a group, a service.
//!
//! A person is an issuer and a subject, a group an issuer and its id there: the same name at another issuer
//! is somebody else.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{Person, PersonId};
use crate::{personal::Personal, time::Timestamp};

/// The issuer of everybody who is known to this installation alone.
pub const LOCAL_ISSUER: &str = "hourgate:local";
/// The subject of the administrator that the first start makes.
pub const ADMINISTRATOR: &str = "administrator";
/// How many principals there can be.
pub const PRINCIPALS_MAX: usize = 100_000;
/// How many groups of one person are looked at.
pub const GROUPS_MAX: usize = 1_000;
/// Longest name, in characters.
pub const PRINCIPAL_NAME_CHARS_MAX: usize = 256;

/// A principal's id: it follows from kind, issuer and subject, and says nothing about them.
pub type PrincipalId = Uuid;

/// What a principal is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum PrincipalKind {
    /// A person.
    User,
    /// Many at once, by what their issuer says of each.
    Group,
    /// A program.
    ServicePrincipal,
}

impl PrincipalKind {
    /// As Azure writes it.
    pub const fn as_str(self) -> &'static str {
        match self {
            PrincipalKind::User => "User",
            PrincipalKind::Group => "Group",
            PrincipalKind::ServicePrincipal => "ServicePrincipal",
        }
    }
}

/// Somebody who is known.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Principal {
    /// Their id.
    pub id: PrincipalId,
    /// What they are.
    pub kind: PrincipalKind,
    /// Who vouches for them.
    pub issuer: String,
    /// Who they are there.
    pub subject: Personal,
    /// What they are called; for showing.
    pub name: Personal,
    /// Their sign-in name, if they have one; for showing.
    pub upn: Option<Personal>,
    /// Their mail address, where the issuer has seen it to be theirs. It can block and never allows.
    pub verified_mail: Option<Personal>,
    /// Whether they were disabled here: then nothing is theirs.
    pub disabled: bool,
    /// The groups that they are in.
    pub groups: Membership,
}

/// Which groups somebody is in, by the last word of their issuer.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Membership {
    /// The groups' ids.
    pub groups: BTreeSet<PrincipalId>,
    /// When that was said; never, if nothing was.
    pub at: Option<Timestamp>,
}

impl Principal {
    /// Whether it is the administrator of the first start.
    pub fn is_first(&self) -> bool {
        self.kind == PrincipalKind::ServicePrincipal
            && self.issuer == LOCAL_ISSUER
            && self.subject.0 == ADMINISTRATOR
    }

    /// As rows and log remember them.
    pub fn person(&self) -> Person {
        Person { id: self.id.into(), name: self.name.clone(), upn: self.upn.clone() }
    }
}

impl From<PrincipalId> for PersonId {
    fn from(id: PrincipalId) -> PersonId {
        PersonId(id.to_string())
    }
}

impl PersonId {
    /// The principal's id; none for a user of the machine itself.
    pub fn principal(&self) -> Option<PrincipalId> {
        self.0.parse().ok()
    }
}
