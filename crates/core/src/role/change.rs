//! What can be asked of the directory, what comes of it, and why not.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use serde::{Deserialize, Serialize};

use super::{
    Directory, Person, PersonId, Scope, SignIn,
    activation::{Activation, ActivationId, Eligibility, EligibilityId, Rules, Ticket},
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
    /// Let somebody activate a role.
    MakeEligible(EligibilityDraft),
    /// Let them no longer.
    Ineligible {
        /// By which eligibility.
        eligibility: EligibilityId,
    },
    /// Say what it takes to activate a role.
    SetRules(Rules),
    /// Activate a role.
    Activate(ActivationAsk),
    /// Give an activated role back, or no longer want it.
    Deactivate {
        /// Which activation.
        activation: ActivationId,
    },
    /// Say yes or no to somebody's activation.
    Decide {
        /// Which.
        activation: ActivationId,
        /// Who says so.
        by: Person,
        /// Whether it is a yes.
        approve: bool,
        /// Why.
        why: Option<String>,
        /// The assignment that comes of a yes, minted by the caller.
        assignment: AssignmentId,
    },
}

/// An eligibility as it was sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EligibilityDraft {
    /// Its id.
    pub id: EligibilityId,
    /// Where.
    pub scope: Scope,
    /// Which role.
    pub role: RoleId,
    /// Who.
    pub principal: PrincipalId,
    /// Until when; for good if none.
    pub until: Option<Timestamp>,
    /// Who says so.
    pub by: Option<PersonId>,
}

/// Somebody asks for a role that they are eligible for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ActivationAsk {
    /// The id it gets.
    pub id: ActivationId,
    /// Who asks, for themselves.
    pub person: Person,
    /// Which role.
    pub role: RoleId,
    /// Where: at what they are eligible for, or below.
    pub scope: Scope,
    /// By this eligibility alone; by any that fits, where none is named.
    pub eligibility: Option<EligibilityId>,
    /// How long; the longest that the rules allow where not said.
    pub length: Option<Duration>,
    /// Why.
    pub justification: Option<String>,
    /// The ticket.
    pub ticket: Option<Ticket>,
    /// How they signed in.
    pub sign_in: Option<SignIn>,
    /// The assignment that comes of it, minted by the caller.
    pub assignment: AssignmentId,
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
    /// When that was said; just now, if none. A token tells what was so when it was made.
    pub said: Option<Timestamp>,
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
    /// Somebody may activate a role.
    EligibilitySet {
        /// As it is now.
        eligibility: Arc<Eligibility>,
    },
    /// They no longer may.
    EligibilityRemoved {
        /// Which.
        id: EligibilityId,
        /// Why.
        why: UnassignedBecause,
    },
    /// It takes this to activate a role.
    RulesSet {
        /// As they are now.
        rules: Arc<Rules>,
    },
    /// What it takes is again what it takes by default.
    RulesRemoved {
        /// Of which role.
        role: RoleId,
        /// Where.
        scope: Scope,
    },
    /// An activation is as this says.
    ActivationSet {
        /// As it is now.
        activation: Arc<Activation>,
    },
    /// An activation is no longer shown: it has been over for long.
    ActivationForgotten {
        /// Which.
        id: ActivationId,
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
    /// They are eligible for that role there already.
    EligibilityExists {
        /// By which eligibility.
        eligibility: EligibilityId,
    },
    /// Whom, what and where an eligibility is about does not change.
    EligibilityIsFixed {
        /// Which.
        eligibility: EligibilityId,
    },
    /// As many eligibilities stand as can.
    TooManyEligibilities {
        /// How many.
        most: usize,
    },
    /// They are not eligible for that role there.
    NotEligible {
        /// Which role.
        role: RoleId,
        /// Where.
        scope: Scope,
    },
    /// An activation's id is taken.
    ActivationExists {
        /// Which.
        activation: ActivationId,
    },
    /// They asked for that role there before, and it waits.
    ActivationWaits {
        /// Which activation.
        activation: ActivationId,
    },
    /// There is no such activation, or it is somebody else's.
    ActivationNotFound {
        /// Which.
        activation: ActivationId,
    },
    /// An activation is over, or was decided.
    ActivationIsOver {
        /// Which.
        activation: ActivationId,
    },
    /// As many activations are kept as can be.
    TooManyActivations {
        /// How many.
        most: usize,
    },
    /// What the rules of the role want and was not given.
    RulesNotMet {
        /// Each rule that was not met.
        missing: BTreeSet<Missing>,
        /// The longest that the role is had at once.
        longest: Duration,
        /// The shortest.
        shortest: Duration,
    },
    /// Nobody else could approve.
    NoApprover {
        /// Which role.
        role: RoleId,
        /// Where.
        scope: Scope,
    },
    /// Nobody approves for themselves.
    OwnActivation {
        /// Which.
        activation: ActivationId,
    },
    /// They may not decide about it.
    NotAnApprover {
        /// Which.
        activation: ActivationId,
    },
    /// The longest activation lies outside of what can be set.
    RulesOutOfBounds {
        /// The least.
        least: Duration,
        /// The most.
        most: Duration,
    },
    /// Rules name more approvers than they may.
    TooManyApprovers {
        /// How many they may.
        most: usize,
    },
    /// Nobody would be left who can give roles: no person, and not the administrator of the first start.
    LastOwner,
}

/// A rule of a role that an activation did not meet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Missing {
    /// Too long, or too short.
    Length,
    /// Without a justification.
    Justification,
    /// Without a ticket.
    Ticket,
    /// Without a second factor.
    SecondFactor,
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
            DirectoryChange::EligibilitySet { eligibility } => {
                self.set_eligibility(Arc::clone(eligibility));
            }
            DirectoryChange::EligibilityRemoved { id, .. } => self.remove_eligibility(*id),
            DirectoryChange::RulesSet { rules } => self.set_rules(Arc::clone(rules)),
            DirectoryChange::RulesRemoved { role, scope } => self.remove_rules(*role, scope),
            DirectoryChange::ActivationSet { activation } => {
                self.set_activation(Arc::clone(activation));
            }
            DirectoryChange::ActivationForgotten { id } => self.forget_activation(*id),
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
            // What is given takes nothing from anybody, but where an end is set to it.
            DirectoryCommand::Assign(AssignmentDraft { id, .. }) => self
                .assignment(*id)
                .map(|given| self.concerned(given.principal))
                .unwrap_or_default(),
            DirectoryCommand::MakeEligible(EligibilityDraft { id, .. })
            | DirectoryCommand::Ineligible { eligibility: id } => self
                .eligibility(*id)
                .map(|given| self.concerned(given.principal))
                .unwrap_or_default(),
            DirectoryCommand::Deactivate { activation } => self
                .activation(*activation)
                .and_then(|activation| activation.person.id.principal())
                .into_iter()
                .collect(),
            DirectoryCommand::SetRules(_)
            | DirectoryCommand::Activate(_)
            | DirectoryCommand::Decide { .. } => BTreeSet::new(),
            DirectoryCommand::Unassign { assignment } => self
                .assignment(*assignment)
                .map(|given| self.concerned(given.principal))
                .unwrap_or_default(),
        }
    }
}
