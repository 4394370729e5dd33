//! What stands, in memory: what commands are decided from and guards are told by.
//!
//! The rows are for restarts, for history and for proof; nothing that runs is decided by reading them, so
//! an edit of the file opens no port, and no command waits for a read.

use std::{
    collections::{BTreeMap, BTreeSet, btree_map::Entry},
    net::IpAddr,
    sync::Arc,
    time::Duration,
};

use hourgate_core::{
    gateway::Place,
    grant::{Access, Request},
    id::{PolicyId, RequestId, VmId},
    network::{Lock, Port},
    nsg::{id::GroupId, numbers::Numbers, word::Priority},
    policy::{Member, Policy, Vm},
    pricing::Pricings,
    resource::{Network, ResourceId},
    role::{Directory, PersonId, principal::PrincipalId},
    state::{State, change_numbers},
    time::{Now, Timestamp, distance},
};

use super::deadlines::{Deadlines, is_due};

/// Everything that stands, found by what commands name. Clones share what they hold.
#[derive(Clone, Debug, Default)]
pub(super) struct Standing {
    /// The latest wall time ever committed.
    pub(super) highest: Option<Timestamp>,
    vms: BTreeMap<VmId, Arc<Vm>>,
    owners: BTreeMap<IpAddr, VmId>,
    policies: BTreeMap<PolicyId, Arc<Policy>>,
    to_confirm: BTreeSet<PolicyId>,
    places: BTreeMap<VmId, BTreeSet<PolicyId>>,
    requests: BTreeMap<RequestId, Arc<Request>>,
    /// The same requests by the VMs of their accesses that are not settled: there can be many on one VM, and
    /// each command looks at all of them.
    unsettled: BTreeMap<VmId, BTreeMap<RequestId, Arc<Request>>>,
    deadlines: Deadlines,
    released: BTreeMap<Lock, Released>,
    released_of: BTreeMap<VmId, BTreeSet<Lock>>,
    /// All resources of the network: the same for every command.
    pub(super) network: Arc<Network>,
    /// The tiers of plans that were set: the same for every command.
    pub(super) pricings: Pricings,
    /// Who there is and who may what: the same for every command.
    pub(super) directory: Arc<Directory>,
    /// The numbers that JIT's rules have in each group: what policies and requests say, added up.
    numbers: BTreeMap<GroupId, Numbers>,
    /// The ports of public addresses that lead to machines: what requests say, added up.
    pub(super) taken: Arc<BTreeSet<Place>>,
}

/// A lock that was given back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Released {
    /// The VM whose it was, which may be forgotten by now.
    pub(super) vm: Option<VmId>,
}

/// Some things as they are now; nothing where they no longer stand. Applied, it gives back what was.
#[derive(Clone, Debug, Default)]
pub(super) struct Change {
    pub(super) vms: Vec<(VmId, Option<Arc<Vm>>)>,
    pub(super) policies: Vec<(PolicyId, Option<Arc<Policy>>)>,
    /// One that is settled no longer stands.
    pub(super) requests: Vec<(RequestId, Option<Arc<Request>>)>,
    /// Locks given back and not yet seen gone.
    pub(super) released: Vec<(Lock, Option<Released>)>,
    /// The whole network, where something in it changed.
    pub(super) network: Option<Arc<Network>>,
    /// All tiers of plans, where one changed.
    pub(super) pricings: Option<Pricings>,
    /// The whole directory, where something in it changed.
    pub(super) directory: Option<Arc<Directory>>,
}

impl Standing {
    /// From everything at once, and the released locks with whose they were.
    pub(super) fn of(state: State, released: BTreeMap<Lock, Released>) -> Standing {
        let mut standing = Standing { highest: state.highest, ..Standing::default() };
        standing.apply(Change {
            vms: state.vms.into_iter().map(|(id, vm)| (id, Some(Arc::new(vm)))).collect(),
            policies: state.policies.into_iter().map(|(id, p)| (id, Some(Arc::new(p)))).collect(),
            requests: state.requests.into_iter().map(|(id, r)| (id, Some(r))).collect(),
            released: released.into_iter().map(|(lock, is)| (lock, Some(is))).collect(),
            network: Some(state.network),
            pricings: Some(state.pricings),
            directory: Some(state.directory),
        });
        standing
    }

    /// Takes in a change, and gives back what undoes it.
    pub(super) fn apply(&mut self, change: Change) -> Change {
        // All numbers are given back before any is taken: one can go from one request to another at once.
        let policies: Vec<PolicyId> = change.policies.iter().map(|(id, _)| id.clone()).collect();
        let requests: Vec<RequestId> = change.requests.iter().map(|(id, _)| *id).collect();
        self.number(&policies, &requests, Numbers::remove);
        self.map(&requests, |taken, place| {
            taken.remove(&place);
        });
        let undo = Change {
            vms: change.vms.into_iter().map(|(id, vm)| self.set_vm(id, vm)).collect(),
            policies: change.policies.into_iter().map(|(id, p)| self.set_policy(id, p)).collect(),
            requests: change.requests.into_iter().map(|(id, r)| self.set_request(id, r)).collect(),
            released: change.released.into_iter().map(|(l, r)| self.set_released(l, r)).collect(),
            network: change.network.map(|network| std::mem::replace(&mut self.network, network)),
            pricings: change.pricings.map(|all| std::mem::replace(&mut self.pricings, all)),
            directory: change.directory.map(|all| std::mem::replace(&mut self.directory, all)),
        };
        self.number(&policies, &requests, Numbers::insert);
        self.map(&requests, |taken, place| {
            taken.insert(place);
        });
        undo
    }

    pub(super) fn vm(&self, id: &VmId) -> Option<&Vm> {
        self.vms.get(id).map(Arc::as_ref)
    }

    pub(super) fn owner(&self, address: IpAddr) -> Option<&VmId> {
        self.owners.get(&address)
    }

    pub(super) fn policy(&self, id: &PolicyId) -> Option<&Policy> {
        self.policies.get(id).map(Arc::as_ref)
    }

    /// The policies that hold a VM.
    pub(super) fn policies_of(&self, vm: &VmId) -> impl Iterator<Item = &Policy> {
        self.places.get(vm).into_iter().flatten().filter_map(|id| self.policy(id))
    }

    /// The numbers that JIT's rules have in a group; none where it has none.
    pub(super) fn numbers(&self, group: &GroupId) -> Option<&Numbers> {
        self.numbers.get(group)
    }

    /// The VMs that have rules of JIT's in a group, found by looking at everything.
    pub(super) fn with_rules_in(&self, group: &GroupId) -> BTreeSet<VmId> {
        let members = self.policies.values().flat_map(|policy| &policy.members);
        let locked = members.filter(|(_, member)| member.denies().any(|deny| deny.group == *group));
        let accesses = self.requests.values().flat_map(|request| &request.accesses);
        let granted = accesses.filter(|a| a.rules().iter().any(|rule| rule.group == *group));
        let locked = locked.map(|(vm, _)| vm.clone());
        locked.chain(granted.map(|access| access.vm.clone())).collect()
    }

    /// The VMs that somebody reaches through one of these firewalls, found by looking at every access.
    pub(super) fn mapped_through(&self, firewalls: &BTreeSet<ResourceId>) -> BTreeSet<VmId> {
        let accesses = self.requests.values().flat_map(|request| &request.accesses);
        let through = accesses.filter(|access| {
            access.mapped().iter().any(|mapped| firewalls.contains(&mapped.firewall))
        });
        through.map(|access| access.vm.clone()).collect()
    }

    /// A request with an access that is not settled.
    pub(super) fn request(&self, id: RequestId) -> Option<&Arc<Request>> {
        self.requests.get(&id)
    }

    /// Requests with an access to that VM that is not settled.
    pub(super) fn unsettled_on(&self, vm: &VmId) -> Option<&BTreeMap<RequestId, Arc<Request>>> {
        self.unsettled.get(vm)
    }

    /// Locks that were given back and not seen gone: a VM's by its id, also when it is forgotten.
    pub(super) fn released_of(&self, vm: &VmId) -> impl Iterator<Item = Lock> {
        self.released_of.get(vm).into_iter().flatten().copied()
    }

    /// The same, on an address, whosever they were.
    pub(super) fn released_on(&self, address: IpAddr) -> impl Iterator<Item = Lock> {
        let ports = Port::new(1).zip(Port::new(u16::MAX));
        let locks = ports.map(|(first, last)| {
            let [from, to] = [first, last].map(|port| Lock { address, port });
            self.released.range(from..=to).map(|(lock, _)| *lock)
        });
        locks.into_iter().flatten()
    }

    /// VMs with an access that time has begun or ended, or whose end stands on another boot's clock.
    pub(super) fn due_vms(&self, now: Now) -> BTreeSet<VmId> {
        let requests = self.deadlines.due(now);
        requests
            .into_iter()
            .filter_map(|id| self.request(id))
            .flat_map(|request| &request.accesses)
            .filter(|access| is_due(access, now))
            .map(|access| access.vm.clone())
            .collect()
    }

    /// VMs on which some of these people have an access that is not settled, found by looking at every request.
    pub(super) fn vms_of(&self, people: &BTreeSet<PrincipalId>) -> BTreeSet<VmId> {
        let people: BTreeSet<PersonId> = people.iter().map(|id| (*id).into()).collect();
        let theirs = self.requests.values().filter(|r| people.contains(&r.requester.id));
        let accesses = theirs.flat_map(|request| &request.accesses);
        accesses.filter(|access| !access.is_settled()).map(|access| access.vm.clone()).collect()
    }

    /// Whoever has something whose time is over.
    pub(super) fn due_people(&self, now: Now) -> BTreeSet<PrincipalId> {
        self.directory.due(now)
    }

    /// Policies whose time to be confirmed is over.
    pub(super) fn due_policies(&self, now: Now) -> Vec<PolicyId> {
        let waiting = self.to_confirm.iter().filter_map(|id| self.policy(id));
        waiting
            .filter(|policy| policy.confirmation.as_ref().is_some_and(|c| c.until.is_over(now)))
            .map(|policy| policy.id.clone())
            .collect()
    }

    /// The same as `hourgate_core::open::next_deadline` of everything.
    pub(super) fn next_deadline(&self, now: Now) -> Option<Duration> {
        let clock = State { highest: self.highest, ..State::default() };
        // Until the clock can be right nothing begins, and an end of another boot is not believed.
        let believed = clock.trusted_from().map_or(Duration::ZERO, |from| distance(now.wall, from));
        let confirmations = self
            .to_confirm
            .iter()
            .filter_map(|id| Some(self.policy(id)?.confirmation.as_ref()?.until.remaining(now)));
        let roles = self.directory.ends().map(|end| end.remaining(now));
        confirmations.chain(roles).chain(self.deadlines.next(now, believed)).min()
    }

    /// Everything, to be looked at while other things go on.
    pub(super) fn everything(&self) -> Everything {
        Everything {
            highest: self.highest,
            vms: self.vms.values().cloned().collect(),
            policies: self.policies.values().cloned().collect(),
            requests: self.requests.values().cloned().collect(),
            released: self.released.keys().copied().collect(),
            network: Arc::clone(&self.network),
            pricings: self.pricings.clone(),
            directory: Arc::clone(&self.directory),
            numbers: self.numbers.clone(),
            taken: Arc::clone(&self.taken),
        }
    }

    fn set_vm(&mut self, id: VmId, vm: Option<Arc<Vm>>) -> (VmId, Option<Arc<Vm>>) {
        let after: BTreeSet<IpAddr> = vm.iter().flat_map(|vm| &vm.addresses).copied().collect();
        let before = match &vm {
            Some(vm) => self.vms.insert(id.clone(), vm.clone()),
            None => self.vms.remove(&id),
        };
        for address in before.iter().flat_map(|vm| &vm.addresses) {
            if !after.contains(address) && self.owners.get(address) == Some(&id) {
                self.owners.remove(address);
            }
        }
        self.owners.extend(after.into_iter().map(|address| (address, id.clone())));
        (id, before)
    }

    fn set_policy(
        &mut self,
        id: PolicyId,
        policy: Option<Arc<Policy>>,
    ) -> (PolicyId, Option<Arc<Policy>>) {
        if policy.as_ref().is_some_and(|policy| policy.confirmation.is_some()) {
            self.to_confirm.insert(id.clone());
        } else {
            self.to_confirm.remove(&id);
        }
        let before = match &policy {
            Some(policy) => self.policies.insert(id.clone(), policy.clone()),
            None => self.policies.remove(&id),
        };
        for vm in before.iter().flat_map(|policy| policy.members.keys()) {
            forget(&mut self.places, vm, &id);
        }
        for vm in policy.iter().flat_map(|policy| policy.members.keys()) {
            self.places.entry(vm.clone()).or_default().insert(id.clone());
        }
        (id, before)
    }

    fn set_request(
        &mut self,
        id: RequestId,
        request: Option<Arc<Request>>,
    ) -> (RequestId, Option<Arc<Request>>) {
        let before = match &request {
            Some(request) => self.requests.insert(id, request.clone()),
            None => self.requests.remove(&id),
        };
        if let Some(before) = &before {
            self.deadlines.take(before);
            for access in &before.accesses {
                if let Some(requests) = self.unsettled.get_mut(&access.vm) {
                    requests.remove(&id);
                    if requests.is_empty() {
                        self.unsettled.remove(&access.vm);
                    }
                }
            }
        }
        if let Some(request) = &request {
            self.deadlines.add(request);
            for access in request.accesses.iter().filter(|access| !access.is_settled()) {
                let requests = self.unsettled.entry(access.vm.clone()).or_default();
                requests.insert(id, Arc::clone(request));
            }
        }
        (id, before)
    }

    /// The rules of these policies and requests, as they stand now, take their numbers or give them back.
    fn number(
        &mut self,
        policies: &[PolicyId],
        requests: &[RequestId],
        change: fn(&mut Numbers, Priority),
    ) {
        let Standing { policies: all, requests: asked, numbers, .. } = self;
        let members = policies.iter().filter_map(|id| all.get(id)).flat_map(|p| p.members.values());
        for deny in members.flat_map(Member::denies) {
            change_numbers(numbers, &deny.group, deny.priority, change);
        }
        let accesses = requests.iter().filter_map(|id| asked.get(id)).flat_map(|r| &r.accesses);
        for rule in accesses.flat_map(Access::rules) {
            change_numbers(numbers, &rule.group, rule.priority, change);
        }
    }

    /// The same for the ports that lead to what these requests open.
    fn map(&mut self, requests: &[RequestId], change: fn(&mut BTreeSet<Place>, Place)) {
        let Standing { requests: asked, taken, .. } = self;
        let accesses = requests.iter().filter_map(|id| asked.get(id)).flat_map(|r| &r.accesses);
        let places: Vec<Place> = accesses.flat_map(Access::mapped).map(|m| m.at).collect();
        if !places.is_empty() {
            let taken = Arc::make_mut(taken);
            places.into_iter().for_each(|place| change(taken, place));
        }
    }

    fn set_released(&mut self, lock: Lock, released: Option<Released>) -> (Lock, Option<Released>) {
        let before = match &released {
            Some(is) => self.released.insert(lock, is.clone()),
            None => self.released.remove(&lock),
        };
        if let Some(vm) = before.as_ref().and_then(|was| was.vm.as_ref()) {
            forget(&mut self.released_of, vm, &lock);
        }
        if let Some(vm) = released.and_then(|is| is.vm) {
            self.released_of.entry(vm).or_default().insert(lock);
        }
        (lock, before)
    }
}

/// Takes an item from those of one key, and the key with the last of them.
fn forget<K: Ord + Clone, T: Ord>(all: &mut BTreeMap<K, BTreeSet<T>>, key: &K, item: &T) {
    if let Entry::Occupied(mut items) = all.entry(key.clone()) {
        items.get_mut().remove(item);
        if items.get().is_empty() {
            items.remove();
        }
    }
}

/// What stood at one moment.
pub(super) struct Everything {
    highest: Option<Timestamp>,
    vms: Vec<Arc<Vm>>,
    policies: Vec<Arc<Policy>>,
    requests: Vec<Arc<Request>>,
    released: BTreeSet<Lock>,
    network: Arc<Network>,
    pricings: Pricings,
    directory: Arc<Directory>,
    numbers: BTreeMap<GroupId, Numbers>,
    taken: Arc<BTreeSet<Place>>,
}

impl Everything {
    pub(super) fn into_state(self) -> State {
        let owners = self
            .vms
            .iter()
            .flat_map(|vm| vm.addresses.iter().map(move |address| (*address, vm.id.clone())));
        State {
            highest: self.highest,
            owners: owners.collect(),
            vms: self.vms.iter().map(|vm| (vm.id.clone(), Vm::clone(vm))).collect(),
            policies: self.policies.iter().map(|p| (p.id.clone(), Policy::clone(p))).collect(),
            requests: self.requests.into_iter().map(|request| (request.id, request)).collect(),
            released: self.released,
            network: self.network,
            pricings: self.pricings,
            directory: self.directory,
            numbers: self.numbers,
            taken: self.taken,
        }
    }
}
