//! What is known, and how each event changes it.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
    sync::Arc,
};

use crate::{
    event::{AccessId, Event},
    gateway::Place,
    grant::{Access, GrantRule, Mapped, Request, Stage},
    id::{PolicyId, RequestId, VmId},
    network::{Lock, Port, Sessions},
    nsg::{id::GroupId, numbers::Numbers, word::Priority},
    policy::{Before, Member, Policy, Vm},
    pricing::Pricings,
    resource::{Network, Resource},
    role::Directory,
    time::{CLOCK_BEHIND_MAX, Now, Timestamp},
};

/// What was loaded for a command, or everything.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct State {
    /// The latest wall time ever committed; none in an empty store.
    pub highest: Option<Timestamp>,
    /// VMs.
    pub vms: BTreeMap<VmId, Vm>,
    /// Policies, with the members that were loaded.
    pub policies: BTreeMap<PolicyId, Policy>,
    /// Requests with an access that is not settled, and those asked for by id. Shared with whoever loaded
    /// them, until they change here: there can be many, of which a command changes few.
    pub requests: BTreeMap<RequestId, Arc<Request>>,
    /// Locks that were given back and are not yet seen gone.
    pub released: BTreeSet<Lock>,
    /// Who has which address, of those asked for.
    pub owners: BTreeMap<IpAddr, VmId>,
    /// All resources of the network, always: shared, and copied only where they change.
    pub network: Arc<Network>,
    /// The tiers of plans that were set, always.
    pub pricings: Pricings,
    /// Who there is and who may what, always: shared, and copied only where it changes.
    pub directory: Arc<Directory>,
    /// The inbound numbers that JIT's rules have: of every group, or of those before the addresses of VMs
    /// that were loaded. A group without any is not in it.
    pub numbers: BTreeMap<GroupId, Numbers>,
    /// The ports of public addresses that lead to somebody's machine while an access runs, always all of them:
    /// shared, and copied only where they change.
    pub taken: Arc<BTreeSet<Place>>,
}

impl State {
    /// Takes in what happened.
    pub fn evolve(&mut self, event: &Event) {
        match event {
            Event::VmRegistered { vm } => {
                self.owners.retain(|_, owner| *owner != vm.id);
                self.owners.extend(vm.addresses.iter().map(|address| (*address, vm.id.clone())));
                self.vms.insert(vm.id.clone(), vm.clone());
            }
            Event::VmUnregistered { id } => {
                self.owners.retain(|_, owner| owner != id);
                self.vms.remove(id);
            }
            Event::PolicySet { id, kind, version, members, confirmation, .. } => {
                let before = self.locks_of(id);
                self.number_policy(id, Numbers::remove);
                let policy = Policy {
                    id: id.clone(),
                    kind: kind.clone(),
                    version: *version,
                    members: members.clone(),
                    confirmation: confirmation.clone(),
                };
                self.policies.insert(id.clone(), policy);
                self.number_policy(id, Numbers::insert);
                self.release(id, before);
            }
            Event::PolicyConfirmed { id } => {
                if let Some(policy) = self.policies.get_mut(id) {
                    policy.confirmation = None;
                }
            }
            Event::PolicyRemoved { id, .. } => {
                let before = self.locks_of(id);
                self.number_policy(id, Numbers::remove);
                self.policies.remove(id);
                self.release(id, before);
            }
            Event::Requested { request } => {
                for rule in request.accesses.iter().flat_map(Access::rules) {
                    self.number(&rule.group, rule.priority, Numbers::insert);
                }
                self.take(request.accesses.iter().flat_map(Access::mapped));
                self.requests.insert(request.id, Arc::new(request.clone()));
            }
            Event::Started { access, since, until, rules, mapped } => {
                let mut began: (&[GrantRule], &[Mapped]) = (&[], &[]);
                self.change(access, |stage| match stage {
                    Stage::Planned { .. } => {
                        let (since, until) = (*since, *until);
                        let (own, ports) = (rules.clone(), mapped.clone());
                        let opened = None;
                        *stage = Stage::Granted { since, until, opened, rules: own, mapped: ports };
                        began = (rules, mapped);
                    }
                    // Nothing begins twice, and nothing revives.
                    Stage::Granted { .. } | Stage::Ended { .. } => {}
                });
                for rule in began.0 {
                    self.number(&rule.group, rule.priority, Numbers::insert);
                }
                self.take(began.1);
            }
            Event::EndMoved { access, until: moved } => self.change(access, |stage| match stage {
                Stage::Granted { until, .. } => *until = *moved,
                Stage::Planned { .. } | Stage::Ended { .. } => {}
            }),
            Event::Ended { access, at, reason } => {
                let mut gone: Vec<GrantRule> = Vec::new();
                let mut led: Vec<Mapped> = Vec::new();
                self.change(access, |stage| {
                    let (since, until, opened) = match stage {
                        Stage::Planned { .. } => (None, None, None),
                        Stage::Granted { since, until, opened, rules, mapped } => {
                            gone = std::mem::take(rules);
                            led = std::mem::take(mapped);
                            (Some(*since), Some(until.wall), opened.take())
                        }
                        // Ended is a fact that nothing revives or rewrites.
                        Stage::Ended { .. } => return,
                    };
                    let (at, reason) = (*at, reason.clone());
                    *stage = Stage::Ended { since, until, at, reason, opened, closed: None };
                });
                for rule in gone {
                    self.number(&rule.group, rule.priority, Numbers::remove);
                }
                if !led.is_empty() {
                    let taken = Arc::make_mut(&mut self.taken);
                    for mapped in led {
                        taken.remove(&mapped.at);
                    }
                }
            }
            Event::Opened { access, seen } => self.change(access, |stage| match stage {
                Stage::Granted { opened, .. } => *opened = Some(seen.clone()),
                Stage::Planned { .. } | Stage::Ended { .. } => {}
            }),
            Event::Closed { access, seen } => self.change(access, |stage| match stage {
                Stage::Ended { closed, .. } => *closed = Some(seen.clone()),
                Stage::Planned { .. } | Stage::Granted { .. } => {}
            }),
            Event::Unlocked { locks, .. } => self.released.retain(|lock| !locks.contains(lock)),
            Event::ResourcePut { resource, .. } => {
                Arc::make_mut(&mut self.network).put(Arc::new(Resource::clone(resource)));
            }
            Event::ResourceDeleted { id, .. } => {
                Arc::make_mut(&mut self.network).remove(id);
            }
            // What passes a lock and what drops an access follow from the rules.
            Event::LockBroken { .. }
            | Event::AccessBlocked { .. }
            | Event::AccessUnblocked { .. } => {}
            Event::Directory { change } => Arc::make_mut(&mut self.directory).evolve(change),
            Event::ClockAccepted { at, .. } => self.highest = Some(*at),
            Event::PricingSet { subscription, tier, .. } => {
                self.pricings.insert(*subscription, *tier);
            }
        }
    }

    /// Takes in the time of a commit.
    pub fn pass(&mut self, at: Timestamp) {
        self.highest = Some(self.highest.map_or(at, |highest| highest.max(at)));
    }

    /// Whether the clock lies so far behind what was committed that it cannot be right.
    pub fn clock_is_behind(&self, now: Now) -> bool {
        self.trusted_from().is_some_and(|from| now.wall < from)
    }

    /// From when on the clock can be right, by what was committed; any time in an empty store.
    pub fn trusted_from(&self) -> Option<Timestamp> {
        Some(self.highest?.checked_sub(CLOCK_BEHIND_MAX).unwrap_or(Timestamp::MIN))
    }

    /// Every port of every address that is kept closed.
    pub fn locks(&self) -> BTreeMap<Lock, Sessions> {
        self.members()
            .filter_map(|(_, member, vm)| Some((member, self.vms.get(vm)?)))
            .flat_map(|(member, vm)| member.locks(vm))
            .collect()
    }

    /// Every VM's place in every policy.
    pub fn members(&self) -> impl Iterator<Item = (&Policy, &Member, &VmId)> {
        self.policies
            .values()
            .flat_map(|policy| policy.members.iter().map(move |(vm, member)| (policy, member, vm)))
    }

    /// The policies that hold a VM.
    pub fn policies_of<'a>(
        &'a self,
        vm: &'a VmId,
    ) -> impl Iterator<Item = (&'a Policy, &'a Member)> {
        self.policies.values().filter_map(|policy| Some((policy, policy.members.get(vm)?)))
    }

    /// Every access that waits or runs, with its request.
    pub fn live(&self) -> impl Iterator<Item = (&Request, &Access)> {
        self.accesses().filter(|(_, access)| access.is_live())
    }

    /// Every access that was loaded, with its request.
    pub fn accesses(&self) -> impl Iterator<Item = (&Request, &Access)> {
        self.requests
            .values()
            .flat_map(|request| request.accesses.iter().map(move |access| (&**request, access)))
    }

    /// What one policy keeps closed. A VM's port is in one policy, so no other speaks of these locks.
    fn locks_of(&self, id: &PolicyId) -> BTreeMap<Lock, Sessions> {
        self.policies
            .get(id)
            .into_iter()
            .flat_map(|policy| &policy.members)
            .filter_map(|(vm, member)| Some((member, self.vms.get(vm)?)))
            .flat_map(|(member, vm)| member.locks(vm))
            .collect()
    }

    fn release(&mut self, id: &PolicyId, before: BTreeMap<Lock, Sessions>) {
        let after = self.locks_of(id);
        self.released.extend(before.into_keys());
        self.released.retain(|lock| !after.contains_key(lock));
    }

    /// The denies of one policy's locks take their numbers, or give them back.
    fn number_policy(&mut self, id: &PolicyId, change: fn(&mut Numbers, Priority)) {
        let members = self.policies.get(id).into_iter().flat_map(|policy| policy.members.values());
        let denies = members.flat_map(Member::denies);
        let places: Vec<_> = denies.map(|deny| (deny.group.clone(), deny.priority)).collect();
        for (group, priority) in places {
            self.number(&group, priority, change);
        }
    }

    fn number(&mut self, group: &GroupId, priority: Priority, change: fn(&mut Numbers, Priority)) {
        change_numbers(&mut self.numbers, group, priority, change);
    }

    fn take<'a>(&mut self, mapped: impl IntoIterator<Item = &'a Mapped>) {
        let mut mapped = mapped.into_iter().peekable();
        if mapped.peek().is_some() {
            Arc::make_mut(&mut self.taken).extend(mapped.map(|mapped| mapped.at));
        }
    }

    /// Counts the numbers of all JIT's rules anew, and the ports that lead to machines, where everything was loaded
    /// and they were not counted.
    pub fn count_numbers(&mut self) {
        let mapped = self.accesses().flat_map(|(_, access)| access.mapped());
        self.taken = Arc::new(mapped.map(|mapped| mapped.at).collect());
        let mut numbers = BTreeMap::new();
        let denies = self.members().flat_map(|(_, member, _)| member.denies());
        let of_denies = denies.map(|deny| (&deny.group, deny.priority));
        let rules = self.accesses().flat_map(|(_, access)| access.rules());
        let of_rules = rules.map(|rule| (&rule.group, rule.priority));
        for (group, priority) in of_denies.chain(of_rules) {
            change_numbers(&mut numbers, group, priority, Numbers::insert);
        }
        self.numbers = numbers;
    }

    fn change(&mut self, id: &AccessId, change: impl FnOnce(&mut Stage)) {
        if let Some(request) = self.requests.get_mut(&id.request)
            && let Some(access) = Arc::make_mut(request).access_mut(&id.vm, id.port)
        {
            change(&mut access.stage);
        }
    }
}

/// Changes which numbers JIT's rules have in a group; a group without any is not kept.
pub fn change_numbers(
    all: &mut BTreeMap<GroupId, Numbers>,
    group: &GroupId,
    priority: Priority,
    change: impl Fn(&mut Numbers, Priority),
) {
    let numbers = match all.get_mut(group) {
        Some(numbers) => numbers,
        None => all.entry(group.clone()).or_default(),
    };
    change(numbers, priority);
    if numbers.is_empty() {
        all.remove(group);
    }
}

impl Policy {
    /// As it stands, for the record of what it was.
    pub fn before(&self) -> Before {
        Before { kind: self.kind.clone(), members: self.members.clone() }
    }
}

/// The id of an access of a request.
pub fn access_id(request: &Request, vm: &VmId, port: Port) -> AccessId {
    AccessId { request: request.id, vm: vm.clone(), port }
}
