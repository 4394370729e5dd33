//! What the events of one command touch: which rows are written, and what of what stands changes.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use hourgate_core::{
    event::{AccessId, Event},
    grant::Request,
    id::{PolicyId, RequestId, SubscriptionId, VmId},
    network::Lock,
    resource::ResourceId,
    role::{
        Scope,
        activation::{ActivationId, EligibilityId},
        assignment::AssignmentId,
        change::DirectoryChange,
        definition::RoleId,
        principal::PrincipalId,
    },
    state::State,
};

use super::standing::{Change, Released};

/// What the events of one command touch.
#[derive(Default)]
pub(super) struct Touched {
    pub(super) vms: BTreeSet<VmId>,
    pub(super) policies: BTreeSet<PolicyId>,
    /// Requests that are new.
    pub(super) requests: BTreeSet<RequestId>,
    /// Accesses whose stage changed, of requests that are not new.
    pub(super) accesses: BTreeSet<AccessId>,
    /// Those requests.
    pub(super) known_requests: BTreeSet<RequestId>,
    /// Resources, in the order in which they change: what is referred to stands before who refers to it, and
    /// goes after it.
    pub(super) resources: Vec<ResourceId>,
    /// People who are otherwise since.
    pub(super) principals: BTreeSet<PrincipalId>,
    /// Roles that are.
    pub(super) roles: BTreeSet<RoleId>,
    /// Assignments that are.
    pub(super) assignments: BTreeSet<AssignmentId>,
    /// Eligibilities that are.
    pub(super) eligibilities: BTreeSet<EligibilityId>,
    /// What it takes to activate these roles.
    pub(super) rules: BTreeSet<(RoleId, Scope)>,
    /// Activations that are.
    pub(super) activations: BTreeSet<ActivationId>,
    /// Subscriptions whose plan changed.
    pub(super) pricings: BTreeSet<SubscriptionId>,
}

impl Touched {
    pub(super) fn by(events: &[Event]) -> Touched {
        let mut touched = Touched::default();
        events.iter().for_each(|event| touched.add(event));
        let new = &touched.requests;
        touched.accesses.retain(|access| !new.contains(&access.request));
        touched.known_requests = touched.accesses.iter().map(|access| access.request).collect();
        touched
    }

    /// What of it stands in `state` before the events: all that they change, and no more.
    pub(super) fn before(&self, state: &State) -> State {
        State {
            highest: state.highest,
            vms: some(&self.vms, &state.vms),
            policies: some(&self.policies, &state.policies),
            requests: some(&self.known_requests, &state.requests),
            released: state.released.clone(),
            owners: BTreeMap::new(),
            network: Arc::clone(&state.network),
            pricings: state.pricings.clone(),
            directory: Arc::clone(&state.directory),
            numbers: BTreeMap::new(),
            taken: Arc::clone(&state.taken),
        }
    }

    fn add(&mut self, event: &Event) {
        match event {
            Event::VmRegistered { vm } => {
                self.vms.insert(vm.id.clone());
            }
            Event::VmUnregistered { id } => {
                self.vms.insert(id.clone());
            }
            Event::PolicySet { id, .. }
            | Event::PolicyConfirmed { id }
            | Event::PolicyRemoved { id, .. } => {
                self.policies.insert(id.clone());
            }
            Event::Requested { request } => {
                self.requests.insert(request.id);
            }
            Event::Started { access, .. }
            | Event::EndMoved { access, .. }
            | Event::Ended { access, .. }
            | Event::Opened { access, .. }
            | Event::Closed { access, .. } => {
                self.accesses.insert(access.clone());
            }
            // What passes a lock and what drops an access follow from the rules.
            Event::LockBroken { .. }
            | Event::AccessBlocked { .. }
            | Event::AccessUnblocked { .. } => {}
            Event::ResourcePut { resource, .. } => self.resource(&resource.id),
            Event::ResourceDeleted { id, .. } => self.resource(id),
            Event::PricingSet { subscription, .. } => {
                self.pricings.insert(*subscription);
            }
            Event::Directory { change } => self.directory(change),
            // Released locks are compared as a set; the latest time stands in the head.
            Event::Unlocked { .. } | Event::ClockAccepted { .. } => {}
        }
    }

    fn directory(&mut self, change: &DirectoryChange) {
        match change {
            DirectoryChange::PrincipalSet { principal } => {
                self.principals.insert(principal.id);
            }
            DirectoryChange::PrincipalForgotten { id } => {
                self.principals.insert(*id);
            }
            DirectoryChange::RoleDefined { role } => {
                self.roles.insert(role.id());
            }
            DirectoryChange::RoleUndefined { id } => {
                self.roles.insert(*id);
            }
            DirectoryChange::Assigned { assignment } => {
                self.assignments.insert(assignment.id);
            }
            DirectoryChange::Unassigned { id, .. } => {
                self.assignments.insert(*id);
            }
            DirectoryChange::EligibilitySet { eligibility } => {
                self.eligibilities.insert(eligibility.id);
            }
            DirectoryChange::EligibilityRemoved { id, .. } => {
                self.eligibilities.insert(*id);
            }
            DirectoryChange::RulesSet { rules } => {
                self.rules.insert((rules.role, rules.scope.clone()));
            }
            DirectoryChange::RulesRemoved { role, scope } => {
                self.rules.insert((*role, scope.clone()));
            }
            DirectoryChange::ActivationSet { activation } => {
                self.activations.insert(activation.id);
            }
            DirectoryChange::ActivationForgotten { id } => {
                self.activations.insert(*id);
            }
        }
    }

    fn changes_directory(&self) -> bool {
        !(self.principals.is_empty()
            && self.roles.is_empty()
            && self.assignments.is_empty()
            && self.eligibilities.is_empty()
            && self.rules.is_empty()
            && self.activations.is_empty())
    }

    fn resource(&mut self, id: &ResourceId) {
        if !self.resources.contains(id) {
            self.resources.push(id.clone());
        }
    }

    /// What of what stands is otherwise after them.
    pub(super) fn change(&self, before: &State, after: &State) -> Change {
        let requests = self.requests.iter().chain(&self.known_requests).copied();
        let stands = |request: &&Arc<Request>| request.accesses.iter().any(|a| !a.is_settled());
        let gone = seen_gone(before, after).map(|lock| (lock, None));
        let back = given_back(before, after).map(|(lock, is)| (lock, Some(is)));
        Change {
            vms: each(&self.vms, |id| after.vms.get(id)),
            policies: each(&self.policies, |id| after.policies.get(id)),
            requests: requests
                .map(|id| (id, after.requests.get(&id).filter(stands).cloned()))
                .collect(),
            released: gone.chain(back).collect(),
            network: (!self.resources.is_empty()).then(|| Arc::clone(&after.network)),
            pricings: (!self.pricings.is_empty()).then(|| after.pricings.clone()),
            directory: self.changes_directory().then(|| Arc::clone(&after.directory)),
        }
    }
}

/// Locks that the guard no longer has.
pub(super) fn seen_gone<'a>(
    before: &'a State,
    after: &'a State,
) -> impl Iterator<Item = Lock> + 'a {
    before.released.difference(&after.released).copied()
}

/// Locks that the guard is to let go of.
pub(super) fn given_back<'a>(
    before: &'a State,
    after: &'a State,
) -> impl Iterator<Item = (Lock, Released)> + 'a {
    after.released.difference(&before.released).map(|lock| {
        let vms = before.vms.values().chain(after.vms.values());
        let vm = vms.into_iter().find(|vm| vm.addresses.contains(&lock.address));
        (*lock, Released { vm: vm.map(|vm| vm.id.clone()) })
    })
}

fn some<K: Ord + Clone, T: Clone>(ids: &BTreeSet<K>, all: &BTreeMap<K, T>) -> BTreeMap<K, T> {
    ids.iter().filter_map(|id| Some((id.clone(), all.get(id)?.clone()))).collect()
}

fn each<'a, K: Clone + 'a, T: Clone + 'a>(
    ids: impl IntoIterator<Item = &'a K>,
    is: impl Fn(&K) -> Option<&'a T>,
) -> Vec<(K, Option<Arc<T>>)> {
    ids.into_iter().map(|id| (id.clone(), is(id).cloned().map(Arc::new))).collect()
}
