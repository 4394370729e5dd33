//! What can be asked of the directory, what comes of it, and why not.

use std::{collections::BTreeSet, sync::Arc};

use serde::{Deserialize, Serialize};

use super::{
    Directory, PersonId, Scope,
    assignment::{Assignment, AssignmentId, UnassignedBecause},
    definition::{Definition, Permission, RoleId},
    principal::{Principal, PrincipalId, PrincipalKind},
};
use crate::{id::PolicyId, personal::Personal, time::Timestamp};

/// Something somebody wants to be so of people and roles.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DirectoryCommand {
    /// Somebody showed who they are, or was named before they did: what is said of them is kept.
    Introduce(Introduction),
    /// Disable somebody, or enable them again.
    SetDisabled {
        /// Whom.
        principal: PrincipalId,
        /// Whether they are disabled from now on.
        disabled: bool,
    },
    /// Forget somebody, and take what was given to them.
    Forget {
        /// Whom.
        principal: PrincipalId,
    },
    /// Make a role, or change one.
    Define(RoleDraft),
    /// Remove a role.
    Undefine {
        /// Which.
        role: RoleId,
    },
    /// Give a role.
    Assign(AssignmentDraft),
    /// Take a role.
    Unassign {
        /// Which assignment.
        assignment: AssignmentId,
    },
}

/// What is said of somebody.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Introduction {
    /// Their id.
    pub id: PrincipalId,
    /// What they are.
    pub kind: PrincipalKind,
    /// Who vouches for them.
    pub issuer: String,
    /// Who they are there.
    pub subject: Personal,
    /// What they are called.
    pub name: Personal,
    /// Their sign-in name.
    pub upn: Option<Personal>,
    /// Their mail address, if their issuer has seen it to be theirs.
    pub verified_mail: Option<Personal>,
    /// The groups they are in; none where nothing was said of groups, and then what was known grows old.
    pub groups: Option<BTreeSet<PrincipalId>>,
}

/// A role as it was sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoleDraft {
    /// Its id.
    pub id: RoleId,
    /// Its name.
    pub name: String,
    /// What it is for.
    pub description: String,
    /// What it allows.
    pub permissions: Vec<Permission>,
    /// Where it can be given.
    pub assignable: Vec<Scope>,
}

/// An assignment as it was sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AssignmentDraft {
    /// Its id.
    pub id: AssignmentId,
    /// Where.
    pub scope: Scope,
    /// Which role.
    pub role: RoleId,
    /// To whom.
    pub principal: PrincipalId,
    /// What they are, if the sender says so.
    pub kind: Option<PrincipalKind>,
    /// Why.
    pub description: Option<String>,
    /// Until when; for good if none.
    pub until: Option<Timestamp>,
    /// Who gives it.
    pub by: Option<PersonId>,
}

/// What happened to the directory.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "change", rename_all = "camelCase")]
pub enum DirectoryChange {
    /// Somebody is as this says.
    PrincipalSet {
        /// As they are now.
        principal: Arc<Principal>,
    },
    /// Somebody is no longer known.
    PrincipalForgotten {
        /// Who.
        id: PrincipalId,
    },
    /// A role is as this says.
    RoleDefined {
        /// As it is now.
        role: Arc<Definition>,
    },
    /// A role is gone.
    RoleUndefined {
        /// Which.
        id: RoleId,
    },
    /// A role was given.
    Assigned {
        /// To whom, and where.
        assignment: Arc<Assignment>,
    },
    /// A role was taken.
    Unassigned {
        /// Which assignment.
        id: AssignmentId,
        /// Why.
        why: UnassignedBecause,
    },
}

/// A reason to leave the directory as it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "reason", rename_all = "camelCase")]
pub enum DirectoryRefusal {
    /// Nobody is known by that id.
    PrincipalNotFound {
        /// Which.
        principal: PrincipalId,
    },
    /// Somebody else is known by that id, or somebody of another kind.
    PrincipalDiffers {
        /// Which.
        principal: PrincipalId,
        /// What they are.
        is: PrincipalKind,
    },
    /// As many are known as can be.
    TooManyPrincipals {
        /// How many.
        most: usize,
    },
    /// There is no such role.
    RoleNotFound {
        /// Which.
        role: RoleId,
    },
    /// The role is built-in.
    RoleIsBuiltIn {
        /// Which.
        role: RoleId,
        /// Its name.
        name: String,
    },
    /// Another role has that name.
    RoleNameTaken {
        /// The name.
        name: String,
        /// The other role.
        by: RoleId,
    },
    /// A role can be given nowhere.
    NoAssignableScope,
    /// A role would no longer be assignable where it is given, or is to go while it is given.
    RoleIsGiven {
        /// Which.
        role: RoleId,
        /// How often.
        times: usize,
        /// One place.
        scope: Scope,
    },
    /// As many roles were made as can be.
    TooManyRoles {
        /// How many.
        most: usize,
    },
    /// The role cannot be given there.
    RoleNotAssignable {
        /// Which.
        role: RoleId,
        /// Its name.
        name: String,
        /// Where.
        scope: Scope,
    },
    /// There is nothing at that scope.
    ScopeNotFound {
        /// Which.
        scope: Scope,
    },
    /// They have that role there already.
    AssignmentExists {
        /// By which assignment.
        assignment: AssignmentId,
    },
    /// Whom, what and where an assignment is about does not change.
    AssignmentIsFixed {
        /// Which.
        assignment: AssignmentId,
    },
    /// As many assignments stand as can.
    TooManyAssignments {
        /// How many.
        most: usize,
    },
    /// An assignment is to end before it begins.
    EndsInThePast {
        /// When.
        until: Timestamp,
        /// The time it is.
        now: Timestamp,
    },
    /// Somebody may not ask that policy for access to those machines, or not any more.
    MayNotAsk {
        /// Which policy.
        policy: PolicyId,
    },
    /// Nobody would be left who can give roles: no person, and not the administrator of the first start.
    LastOwner,
}

impl Directory {
    /// Takes in what happened.
    pub fn evolve(&mut self, change: &DirectoryChange) {
        match change {
            DirectoryChange::PrincipalSet { principal } => {
                self.set_principal(Arc::clone(principal));
            }
            DirectoryChange::PrincipalForgotten { id } => self.remove_principal(*id),
            DirectoryChange::RoleDefined { role } => self.define(Arc::clone(role)),
            DirectoryChange::RoleUndefined { id } => self.undefine(*id),
            DirectoryChange::Assigned { assignment } => self.assign(Arc::clone(assignment)),
            DirectoryChange::Unassigned { id, .. } => self.unassign(*id),
        }
    }

    /// Whoever a command can give something or take something from.
    pub fn concerned_by(&self, command: &DirectoryCommand) -> BTreeSet<PrincipalId> {
        match command {
            DirectoryCommand::Introduce(Introduction { id, .. }) => BTreeSet::from([*id]),
            DirectoryCommand::SetDisabled { principal, .. }
            | DirectoryCommand::Forget { principal } => self.concerned(*principal),
            DirectoryCommand::Define(RoleDraft { id: role, .. })
            | DirectoryCommand::Undefine { role } => self.concerned_by_role(*role),
            // What is given takes nothing from anybody.
            DirectoryCommand::Assign(_) => BTreeSet::new(),
            DirectoryCommand::Unassign { assignment } => self
                .assignment(*assignment)
                .map(|given| self.concerned(given.principal))
                .unwrap_or_default(),
        }
    }
}
