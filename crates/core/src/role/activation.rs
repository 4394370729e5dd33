//! Roles that are not always there: who may have one, for how long at once, and on whose word (Azure's PIM).

use std::{collections::BTreeSet, time::Duration};

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{
    Person, PersonId, Scope, assignment::AssignmentId, definition::RoleId, principal::PrincipalId,
};
use crate::{
    personal::Personal,
    time::{Deadline, Timestamp},
};

/// An eligibility's id.
pub type EligibilityId = Uuid;
/// An activation's id.
pub type ActivationId = Uuid;

/// How long a role is had at once, where nothing else was set (Azure's).
pub const ACTIVE_DEFAULT: Duration = Duration::from_hours(8);
/// The most that can be set (Azure's).
pub const ACTIVE_MAX: Duration = Duration::from_hours(24);
/// The least: shorter than that nobody can do anything with it.
pub const ACTIVE_MIN: Duration = Duration::from_mins(5);
/// How long somebody has to decide about an activation (Azure's).
pub const DECIDED_WITHIN: Duration = Duration::from_hours(24);
/// How long an activation that is over is shown.
pub const ACTIVATION_SHOWN: Duration = Duration::from_hours(24 * 30);
/// How many activations wait or run.
pub const ACTIVATIONS_MAX: usize = 20_000;
/// How many of one person are kept: for one more, the oldest that is over goes. They have no more roles than that.
pub const ACTIVATIONS_OF_ONE_MAX: usize = 200;
/// How many eligibilities there can be.
pub const ELIGIBILITIES_MAX: usize = 4_000;
/// How many approvers one role's rules may name.
pub const APPROVERS_MAX: usize = 100;
/// Longest justification and longest ticket, in characters.
pub const REASON_CHARS_MAX: usize = 2_000;

/// Somebody may have a role at a scope, once they ask for it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Eligibility {
    /// Its id.
    pub id: EligibilityId,
    /// Where, and below.
    pub scope: Scope,
    /// Which role.
    pub role: RoleId,
    /// Who: a person, or a group whose people each may.
    pub principal: PrincipalId,
    /// Since when.
    pub created: Timestamp,
    /// Who said so.
    pub by: Option<PersonId>,
    /// Until when; for good if none.
    pub until: Option<Deadline>,
}

/// What it takes to activate a role at a scope.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rules {
    /// Which role.
    pub role: RoleId,
    /// Exactly where.
    pub scope: Scope,
    /// The longest that it is had at once.
    pub longest: Duration,
    /// Whether somebody says why.
    pub justification: bool,
    /// Whether they name a ticket.
    pub ticket: bool,
    /// Whether they have shown a second factor.
    pub second_factor: bool,
    /// On whose word, if it needs one.
    pub approval: RoleApproval,
}

/// On whose word a role is activated.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum RoleApproval {
    /// Nobody's.
    #[default]
    NotNeeded,
    /// One of these people, or of the people in these groups; where none is named, whoever can give the role
    /// there. Never their own.
    OneOf(BTreeSet<PrincipalId>),
}

impl Rules {
    /// Those that hold where nobody set any.
    pub fn default_of(role: RoleId, scope: Scope) -> Rules {
        Rules {
            role,
            scope,
            longest: ACTIVE_DEFAULT,
            justification: true,
            ticket: false,
            second_factor: false,
            approval: RoleApproval::NotNeeded,
        }
    }
}

/// One time that somebody asked for a role they are eligible for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Activation {
    /// Its id.
    pub id: ActivationId,
    /// Who.
    pub person: Person,
    /// By which eligibility.
    pub eligibility: EligibilityId,
    /// Which role.
    pub role: RoleId,
    /// Where, and below: all of what they are eligible for, or a part.
    pub scope: Scope,
    /// When they asked.
    pub created: Timestamp,
    /// How long they asked for.
    pub length: Duration,
    /// Why.
    pub justification: Option<Personal>,
    /// Their ticket.
    pub ticket: Option<Ticket>,
    /// How far it has come.
    pub stage: ActivationStage,
}

/// A ticket.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ticket {
    /// Its number.
    pub number: Personal,
    /// Where it is kept.
    pub system: Option<Personal>,
}

/// How far an activation has come.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ActivationStage {
    /// Somebody else must say yes.
    Waiting {
        /// When it lapses.
        until: Deadline,
    },
    /// The role is theirs.
    Active {
        /// By which assignment.
        assignment: AssignmentId,
        /// Since when.
        since: Timestamp,
        /// Until when.
        until: Deadline,
        /// On whose word, if it needed one.
        decision: Option<Decision>,
    },
    /// It is over.
    Ended {
        /// When.
        at: Timestamp,
        /// Why.
        why: ActivationEnd,
        /// What somebody said to it.
        decision: Option<Decision>,
    },
}

/// What somebody said to an activation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Decision {
    /// Who.
    pub by: Person,
    /// When.
    pub at: Timestamp,
    /// Why.
    pub why: Option<Personal>,
}

/// Why an activation is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ActivationEnd {
    /// Its time was over.
    Expired,
    /// They gave the role back.
    Deactivated,
    /// Somebody said no.
    Denied,
    /// Nobody said anything in time.
    Lapsed,
    /// They no longer want it.
    Canceled,
    /// Somebody took the role, or the eligibility, or it ended, or they are gone.
    Withdrawn,
}

impl Activation {
    /// Whether it waits or runs.
    pub fn is_live(&self) -> bool {
        match self.stage {
            ActivationStage::Waiting { .. } | ActivationStage::Active { .. } => true,
            ActivationStage::Ended { .. } => false,
        }
    }

    /// The assignment that it gives while it runs.
    pub fn assignment(&self) -> Option<AssignmentId> {
        match self.stage {
            ActivationStage::Active { assignment, .. } => Some(assignment),
            ActivationStage::Waiting { .. } | ActivationStage::Ended { .. } => None,
        }
    }
}
