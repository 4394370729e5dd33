//! From everything that stands to what one command needs: copies what is needed, and no more.

use std::{collections::BTreeSet, sync::Arc};

use hourgate_core::{
    command::Needs,
    grant::{Request, Stage},
    id::{PolicyId, RequestId, VmId},
    jit_rules,
    nsg::{id::GroupId, numbers::Numbers},
    policy::{Policy, Vm},
    state::State,
    time::Now,
};

use super::{Result, standing::Standing};

/// What was copied, and what of it is whole.
pub(super) struct Slice<'a> {
    standing: &'a Standing,
    state: State,
    vms: BTreeSet<VmId>,
    policies: BTreeSet<PolicyId>,
    thin: Thin,
}

/// VMs of which the row is in a state and not the accesses: other people's of the same request.
/// Whoever enforces must not take them for all there is.
#[derive(Debug, Default)]
pub(super) struct Thin(BTreeSet<VmId>);

impl Thin {
    /// What stands of all that was asked for, without what was only looked at.
    pub(super) fn out_of(&self, mut state: State) -> State {
        state.vms.retain(|id, _| !self.0.contains(id));
        state
    }
}

impl<'a> Slice<'a> {
    pub(super) fn of(standing: &'a Standing) -> Slice<'a> {
        Slice {
            standing,
            state: State {
                highest: standing.highest,
                network: Arc::clone(&standing.network),
                pricings: standing.pricings.clone(),
                directory: Arc::clone(&standing.directory),
                taken: Arc::clone(&standing.taken),
                ..State::default()
            },
            vms: BTreeSet::new(),
            policies: BTreeSet::new(),
            thin: Thin::default(),
        }
    }

    /// Exactly what is named; `now` says what is due, and `settled` finds a request that no longer stands.
    pub(super) fn needs(
        &mut self,
        needs: &Needs,
        now: Now,
        settled: impl Fn(RequestId) -> Result<Option<Request>>,
    ) -> Result<()> {
        needs.policies.iter().for_each(|id| self.policy(id));
        needs.heads.iter().for_each(|id| self.head(id));
        needs.vms.iter().for_each(|id| self.vm(id));
        for id in &needs.requests {
            let found = match self.standing.request(*id) {
                Some(request) => Some(Arc::clone(request)),
                None => settled(*id)?.map(Arc::new),
            };
            let Some(request) = found else { continue };
            let vms: BTreeSet<VmId> = request.accesses.iter().map(|a| a.vm.clone()).collect();
            self.state.requests.insert(*id, request);
            vms.iter().for_each(|vm| self.vm(vm));
        }
        for address in &needs.addresses {
            let owner = self.standing.owner(*address).cloned();
            self.state.owners.extend(owner.map(|vm| (*address, vm)));
        }
        for address in &needs.at {
            if let Some(owner) = self.standing.owner(*address) {
                self.vm(owner);
            }
            self.state.released.extend(self.standing.released_on(*address));
        }
        if let Some(near) = &needs.near {
            let network = Arc::clone(&self.standing.network);
            for address in network.near(&near.id, near.draft.as_deref()) {
                if let Some(vm) = self.standing.owner(address).cloned() {
                    self.vm(&vm);
                }
            }
            let firewalls = network.firewalls_near(&near.id);
            if !firewalls.is_empty() && !self.standing.taken.is_empty() {
                let mapped = self.standing.mapped_through(&firewalls);
                mapped.iter().for_each(|vm| self.vm(vm));
            }
            // A group is held against every number that JIT's rules have in it, whoever is behind it.
            if let Some(group) = near.id.security_group() {
                numbers(&mut self.state, self.standing, &group);
                self.whoever_has_rules_in(&group);
            }
        }
        if !needs.people.is_empty() {
            self.standing.vms_of(&needs.people).iter().for_each(|vm| self.vm(vm));
        }
        if needs.due {
            let people = self.standing.due_people(now);
            if !people.is_empty() {
                self.standing.vms_of(&people).iter().for_each(|vm| self.vm(vm));
            }
            self.standing.due_policies(now).iter().for_each(|id| self.policy(id));
            self.standing.due_vms(now).iter().for_each(|vm| self.vm(vm));
        }
        Ok(())
    }

    /// The VMs that are not behind a group any more and have rules of JIT's in it still: an interface got
    /// another group since. There are none as long as the rules of those that are loaded have every number, and
    /// that is seen without looking at all others.
    fn whoever_has_rules_in(&mut self, group: &GroupId) {
        let told = self.state.numbers.get(group).map_or(0, Numbers::len);
        if jit_rules::count(&self.state, group) >= told {
            return;
        }
        for vm in self.standing.with_rules_in(group) {
            self.vm(&vm);
        }
    }

    /// What `decide` will look at beside what was named, because time has come for something in it:
    /// a policy to roll back comes with all its VMs, an access that begins with its VM.
    pub(super) fn overdue(&mut self, now: Now) {
        loop {
            let policies = self.state.policies.values();
            let over: Vec<PolicyId> = policies
                .filter(|p| p.confirmation.as_ref().is_some_and(|c| c.until.is_over(now)))
                .filter(|p| !self.policies.contains(&p.id))
                .map(|p| p.id.clone())
                .collect();
            let begins: BTreeSet<VmId> = self
                .state
                .live()
                .filter(|(_, access)| match access.stage {
                    Stage::Planned { start } => start <= now.wall,
                    Stage::Granted { .. } | Stage::Ended { .. } => false,
                })
                .filter(|(_, access)| !self.vms.contains(&access.vm))
                .map(|(_, access)| access.vm.clone())
                .collect();
            if over.is_empty() && begins.is_empty() {
                return;
            }
            over.iter().for_each(|id| self.policy(id));
            begins.iter().for_each(|id| self.vm(id));
        }
    }

    /// The VMs on which a copied access ended and is not yet seen closed: for want of its VM an access
    /// counts as closed.
    pub(super) fn vms_to_close(&mut self) {
        let accesses = self.state.accesses().map(|(_, access)| access);
        let missing: BTreeSet<VmId> = accesses
            .filter(|access| !access.is_live() && !access.is_settled())
            .filter(|access| !self.vms.contains(&access.vm))
            .map(|access| access.vm.clone())
            .collect();
        for id in missing {
            if let Some(vm) = self.standing.vm(&id) {
                self.state.vms.insert(id.clone(), vm.clone());
                self.thin.0.insert(id);
            }
        }
    }

    pub(super) fn into_parts(self) -> (State, Thin) {
        (self.state, self.thin)
    }

    /// A policy with all its VMs, each as if named.
    fn policy(&mut self, id: &PolicyId) {
        let standing = self.standing;
        let Some(policy) = standing.policy(id) else { return };
        if !self.policies.insert(id.clone()) {
            return;
        }
        self.state.policies.insert(policy.id.clone(), policy.clone());
        // What a roll-back brings back is locked again: those VMs are part of the policy too.
        let before = policy.confirmation.iter().filter_map(|c| c.before.as_ref());
        let vms = policy.members.keys().chain(before.flat_map(|before| before.members.keys()));
        vms.for_each(|vm| self.vm(vm));
    }

    /// A policy without its VMs, if it is not here with them.
    fn head(&mut self, id: &PolicyId) {
        if let Some(policy) = self.standing.policy(id) {
            self.state.policies.entry(policy.id.clone()).or_insert_with(|| head(policy));
        }
    }

    /// A VM with its place in every policy, its accesses that are not settled, and the locks released
    /// on its addresses. Of a VM that was forgotten, what is still to be seen closed or given back.
    fn vm(&mut self, id: &VmId) {
        if !self.vms.insert(id.clone()) {
            return;
        }
        self.thin.0.remove(id);
        let standing = self.standing;
        let vm: Option<&Vm> = standing.vm(id);
        self.state.vms.extend(vm.map(|vm| (vm.id.clone(), vm.clone())));
        for policy in standing.policies_of(id) {
            let known = self.state.policies.entry(policy.id.clone());
            let known = known.or_insert_with(|| head(policy));
            if let Some((id, member)) = policy.members.get_key_value(id) {
                known.members.entry(id.clone()).or_insert_with(|| member.clone());
                member.denies().for_each(|deny| numbers(&mut self.state, standing, &deny.group));
            }
        }
        if let Some(unsettled) = standing.unsettled_on(id) {
            if self.state.requests.is_empty() {
                // Mostly one VM is asked for, and there can be many requests on it.
                self.state.requests.clone_from(unsettled);
            } else {
                let unsettled = unsettled.iter().map(|(id, request)| (*id, Arc::clone(request)));
                self.state.requests.extend(unsettled);
            }
        }
        self.state.released.extend(standing.released_of(id));
        for address in vm.iter().flat_map(|vm| &vm.addresses) {
            let groups = standing.network.groups_before(*address);
            groups.for_each(|group| numbers(&mut self.state, standing, group));
            self.state.released.extend(standing.released_on(*address));
        }
    }
}

/// The numbers that JIT's rules have in a group.
fn numbers(state: &mut State, standing: &Standing, group: &GroupId) {
    if let Some(numbers) = standing.numbers(group)
        && !state.numbers.contains_key(group)
    {
        state.numbers.insert(group.clone(), numbers.clone());
    }
}

fn head(policy: &Policy) -> Policy {
    Policy {
        id: policy.id.clone(),
        kind: policy.kind.clone(),
        version: policy.version,
        members: Default::default(),
        confirmation: policy.confirmation.clone(),
    }
}
