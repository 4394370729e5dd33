//! Who there is, which roles there are, and who was given which.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use super::{
    Scope,
    activation::{
        ACTIVATION_SHOWN, Activation, ActivationId, ActivationStage, Eligibility, EligibilityId,
        Rules,
    },
    assignment::{Assignment, AssignmentId},
    built_in,
    definition::{Definition, RoleId},
    principal::{Principal, PrincipalId, PrincipalKind},
};
use crate::time::{Deadline, Now, later};

/// Everybody who is known, every role, and every assignment. Always there as a whole, and shared: it changes
/// only by events.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Directory {
    principals: BTreeMap<PrincipalId, Arc<Principal>>,
    custom: BTreeMap<RoleId, Arc<Definition>>,
    assignments: BTreeMap<AssignmentId, Arc<Assignment>>,
    /// Who may activate what.
    eligibilities: BTreeMap<EligibilityId, Arc<Eligibility>>,
    /// What it takes, where somebody set it.
    rules: BTreeMap<(RoleId, Scope), Arc<Rules>>,
    /// What was activated, and is shown.
    activations: BTreeMap<ActivationId, Arc<Activation>>,
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

    /// Whoever is Owner of all that, for good, and enabled. A group among them may be empty, and a service's key be
    /// lost.
    pub fn leads(&self, whole: &Scope) -> impl Iterator<Item = &Arc<Principal>> {
        self.principals.values().filter(move |who| {
            let owner = self.given(who.id, built_in::OWNER, whole);
            !who.disabled && owner.is_some_and(|given| given.until.is_none())
        })
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

    /// Whoever loses something at this moment, because time has come.
    pub fn due(&self, now: Now) -> BTreeSet<PrincipalId> {
        let taken = self.over(now).flat_map(|given| self.concerned(given.principal));
        let ended = self
            .eligibilities
            .values()
            .filter(|given| given.until.is_some_and(|until| until.is_over(now)));
        let ended = ended.flat_map(|given| self.concerned(given.principal));
        taken.chain(ended).collect()
    }

    /// The ends that are to come or have passed.
    pub fn ends(&self) -> impl Iterator<Item = Deadline> {
        let assignments = self.assignments.values().filter_map(|given| given.until);
        let eligibilities = self.eligibilities.values().filter_map(|given| given.until);
        let activations =
            self.activations.values().filter_map(|activation| match activation.stage {
                ActivationStage::Waiting { until } => Some(until),
                // Its assignment has the same end.
                ActivationStage::Active { .. } => None,
                ActivationStage::Ended { at, .. } => {
                    Some(Deadline { wall: later(at, ACTIVATION_SHOWN), boot: None })
                }
            });
        assignments.chain(eligibilities).chain(activations)
    }

    /// One eligibility.
    pub fn eligibility(&self, id: EligibilityId) -> Option<&Arc<Eligibility>> {
        self.eligibilities.get(&id)
    }

    /// Every eligibility.
    pub fn eligibilities(&self) -> impl Iterator<Item = &Arc<Eligibility>> {
        self.eligibilities.values()
    }

    /// What it takes to activate a role at a scope: what was set there, else what holds by default.
    pub fn rules(&self, role: RoleId, scope: &Scope) -> Arc<Rules> {
        let set = self.rules.get(&(role, scope.clone()));
        set.cloned().unwrap_or_else(|| Arc::new(Rules::default_of(role, scope.clone())))
    }

    /// What somebody set.
    pub fn set_rules_of(&self, role: RoleId, scope: &Scope) -> Option<&Arc<Rules>> {
        self.rules.get(&(role, scope.clone()))
    }

    /// Everything that somebody set.
    pub fn all_rules(&self) -> impl Iterator<Item = &Arc<Rules>> {
        self.rules.values()
    }

    /// One activation.
    pub fn activation(&self, id: ActivationId) -> Option<&Arc<Activation>> {
        self.activations.get(&id)
    }

    /// Every activation that is shown.
    pub fn activations(&self) -> impl Iterator<Item = &Arc<Activation>> {
        self.activations.values()
    }

    /// How many assignments were activated.
    pub fn activated(&self) -> usize {
        self.activations.values().filter(|it| it.assignment().is_some()).count()
    }

    /// The activation that gave an assignment.
    pub fn activation_of(&self, assignment: AssignmentId) -> Option<&Arc<Activation>> {
        self.activations.values().find(|activation| activation.assignment() == Some(assignment))
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

    /// Somebody may activate a role.
    pub fn set_eligibility(&mut self, eligibility: Arc<Eligibility>) {
        self.eligibilities.insert(eligibility.id, eligibility);
    }

    /// They no longer may.
    pub fn remove_eligibility(&mut self, id: EligibilityId) {
        self.eligibilities.remove(&id);
    }

    /// It takes this to activate a role.
    pub fn set_rules(&mut self, rules: Arc<Rules>) {
        self.rules.insert((rules.role, rules.scope.clone()), rules);
    }

    /// It takes again what it takes by default.
    pub fn remove_rules(&mut self, role: RoleId, scope: &Scope) {
        self.rules.remove(&(role, scope.clone()));
    }

    /// An activation is as this says.
    pub fn set_activation(&mut self, activation: Arc<Activation>) {
        self.activations.insert(activation.id, activation);
    }

    /// An activation is no longer shown.
    pub fn forget_activation(&mut self, id: ActivationId) {
        self.activations.remove(&id);
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
