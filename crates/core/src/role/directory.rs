//! Who there is, which roles there are, and who was given which.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use super::{
    Scope,
    assignment::{Assignment, AssignmentId},
    built_in,
    definition::{Definition, RoleId},
    principal::{Principal, PrincipalId, PrincipalKind},
};
use crate::time::{Deadline, Now};

/// Everybody who is known, every role, and every assignment. Always there as a whole, and shared: it changes
/// only by events.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Directory {
    principals: BTreeMap<PrincipalId, Arc<Principal>>,
    custom: BTreeMap<RoleId, Arc<Definition>>,
    assignments: BTreeMap<AssignmentId, Arc<Assignment>>,
    /// The same assignments by whom they were given to.
    of: BTreeMap<PrincipalId, BTreeSet<AssignmentId>>,
}

impl Directory {
    /// Somebody.
    pub fn principal(&self, id: PrincipalId) -> Option<&Arc<Principal>> {
        self.principals.get(&id)
    }

    /// Everybody.
    pub fn principals(&self) -> impl Iterator<Item = &Arc<Principal>> {
        self.principals.values()
    }

    /// How many there are.
    pub fn principal_count(&self) -> usize {
        self.principals.len()
    }

    /// A role, built-in or not.
    pub fn definition(&self, id: RoleId) -> Option<&Arc<Definition>> {
        built_in::role(id).or_else(|| self.custom.get(&id))
    }

    /// Every role: the built-in ones first.
    pub fn definitions(&self) -> impl Iterator<Item = &Arc<Definition>> {
        built_in::all().iter().chain(self.custom.values())
    }

    /// The roles that people made.
    pub fn custom(&self) -> &BTreeMap<RoleId, Arc<Definition>> {
        &self.custom
    }

    /// One assignment.
    pub fn assignment(&self, id: AssignmentId) -> Option<&Arc<Assignment>> {
        self.assignments.get(&id)
    }

    /// Every assignment.
    pub fn assignments(&self) -> impl Iterator<Item = &Arc<Assignment>> {
        self.assignments.values()
    }

    /// How many there are.
    pub fn assignment_count(&self) -> usize {
        self.assignments.len()
    }

    /// What was given to one principal itself, not to its groups.
    pub fn assignments_of(&self, holder: PrincipalId) -> impl Iterator<Item = &Arc<Assignment>> {
        let ids = self.of.get(&holder).into_iter().flatten();
        ids.filter_map(|id| self.assignments.get(id))
    }

    /// The assignment of a role to somebody at exactly that scope.
    pub fn given(
        &self,
        principal: PrincipalId,
        role: RoleId,
        scope: &Scope,
    ) -> Option<&Arc<Assignment>> {
        self.assignments_of(principal).find(|given| given.role == role && given.scope == *scope)
    }

    /// Whoever a change of what a principal has or is can concern: it, and whoever is in it.
    pub fn concerned(&self, id: PrincipalId) -> BTreeSet<PrincipalId> {
        let is_group = self.principal(id).is_none_or(|who| who.kind == PrincipalKind::Group);
        let members = self.principals.values().filter(|who| who.groups.groups.contains(&id));
        let members = members.filter(|_| is_group).map(|who| who.id);
        members.chain([id]).collect()
    }

    /// Whoever a change of a role can concern.
    pub fn concerned_by_role(&self, role: RoleId) -> BTreeSet<PrincipalId> {
        let given = self.assignments.values().filter(|given| given.role == role);
        let holders: BTreeSet<PrincipalId> = given.map(|given| given.principal).collect();
        holders.into_iter().flat_map(|holder| self.concerned(holder)).collect()
    }

    /// Assignments whose time is over.
    pub fn over(&self, now: Now) -> impl Iterator<Item = &Arc<Assignment>> {
        self.assignments
            .values()
            .filter(move |given| given.until.is_some_and(|until| until.is_over(now)))
    }

    /// The ends that are to come or have passed.
    pub fn ends(&self) -> impl Iterator<Item = Deadline> {
        self.assignments.values().filter_map(|given| given.until)
    }

    /// Somebody is as this says.
    pub fn set_principal(&mut self, principal: Arc<Principal>) {
        self.principals.insert(principal.id, principal);
    }

    /// Somebody is gone. What was given to them goes by itself.
    pub fn remove_principal(&mut self, id: PrincipalId) {
        self.principals.remove(&id);
    }

    /// A role is as this says.
    pub fn define(&mut self, definition: Arc<Definition>) {
        self.custom.insert(definition.id(), definition);
    }

    /// A role is gone.
    pub fn undefine(&mut self, id: RoleId) {
        self.custom.remove(&id);
    }

    /// A role is given.
    pub fn assign(&mut self, assignment: Arc<Assignment>) {
        self.unassign(assignment.id);
        self.of.entry(assignment.principal).or_default().insert(assignment.id);
        self.assignments.insert(assignment.id, assignment);
    }

    /// A role is taken.
    pub fn unassign(&mut self, id: AssignmentId) {
        let Some(gone) = self.assignments.remove(&id) else { return };
        if let Some(held) = self.of.get_mut(&gone.principal) {
            held.remove(&id);
            if held.is_empty() {
                self.of.remove(&gone.principal);
            }
        }
    }
}
