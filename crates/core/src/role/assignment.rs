//! A role, given to somebody at a scope.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{PersonId, Scope, definition::RoleId, principal::PrincipalId};
use crate::time::{Deadline, Timestamp};

/// An assignment's id.
pub type AssignmentId = Uuid;

/// How many assignments a subscription may have (Azure's number).
pub const ASSIGNMENTS_MAX: usize = 4_000;
/// Longest description, in characters.
pub const ASSIGNMENT_DESCRIPTION_CHARS_MAX: usize = 1_024;

/// A role, given to somebody at a scope. One principal has a role at a scope once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Assignment {
    /// Its id.
    pub id: AssignmentId,
    /// Where, and below.
    pub scope: Scope,
    /// Which role.
    pub role: RoleId,
    /// To whom.
    pub principal: PrincipalId,
    /// Why, in somebody's words.
    pub description: Option<String>,
    /// When it was given.
    pub created: Timestamp,
    /// By whom; nobody, where Hourgate itself did.
    pub by: Option<PersonId>,
    /// Until when; for good if none. Past it, it gives nothing, whatever has run.
    pub until: Option<Deadline>,
}

/// Why an assignment is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum UnassignedBecause {
    /// Somebody took it.
    Asked,
    /// Its time was over.
    Expired,
    /// What it was given at is gone. The same name may be somebody else's tomorrow.
    ScopeGone,
    /// Whom it was given to is gone.
    PrincipalGone,
    /// They activated it, and are not eligible any more.
    EligibilityGone,
}
