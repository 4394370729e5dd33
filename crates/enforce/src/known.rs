//! The last known facts, by address: what a guard must be told even while the database is gone.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
    sync::Arc,
};

use hourgate_core::{
    gateway::{Translation, Translations, fixed},
    grant::Stage,
    id::{RequestId, VmId},
    network::{Lock, Opening, Port, Sessions},
    nsg::port::PortRange,
    open::{MappedNeed, Need, mapped_needs, needs, screens, standing, until},
    plan::{Coverage, Desired, Observed},
    policy::GuardCover,
    resource::Network,
    screen::{Screen, standing::Standing},
    state::State,
    time::{Deadline, Now},
};

use crate::facts::{Named, Which};

/// What was loaded last, of every address that was ever spoken of.
#[derive(Debug, Default)]
pub(crate) struct Known {
    addresses: BTreeMap<IpAddr, Arc<AddressFacts>>,
    vms: BTreeMap<VmId, VmFacts>,
    /// When the next opening of an address ends: nanoseconds on the boot clock.
    due: BTreeSet<(u64, IpAddr)>,
    due_of: BTreeMap<IpAddr, u64>,
    holds: BTreeMap<RequestId, Hold>,
    /// What always holds on public addresses, and since which load.
    fixed: (u64, Arc<Translations>),
    /// The network that this follows from.
    network: Arc<Network>,
    /// The VMs with an access that needs something on a public address.
    mapped: BTreeMap<IpAddr, BTreeSet<VmId>>,
    loads: u64,
    loaded: bool,
    /// Grows with each change, so that nobody compares twice what did not change.
    pub(crate) version: u64,
}

/// What of a request is kept closed although it is recorded as open; everything where nothing is named.
type Hold = Option<BTreeSet<(VmId, Port)>>;

/// What is recorded of one address.
#[derive(Debug, Default)]
struct AddressFacts {
    /// The load this comes from; an earlier one never overwrites it.
    load: u64,
    vm: Option<VmId>,
    locks: BTreeMap<Lock, Sessions>,
    released: BTreeSet<Lock>,
    standing: BTreeMap<Lock, Vec<Standing>>,
    screen: Option<Screen>,
    /// In order.
    openings: Vec<(Opening, Deadline)>,
    /// Who needs which opening, in the order of the openings.
    needs: Vec<Need>,
    /// When its first opening ends, as seen when it was loaded: nanoseconds on the boot clock.
    first_due: Option<u64>,
}

#[derive(Debug, Default)]
struct VmFacts {
    load: u64,
    addresses: BTreeSet<IpAddr>,
    /// Whether a guard's word about it would be news.
    awaited: bool,
    /// What its accesses need on public addresses.
    mapped: Arc<[MappedNeed]>,
}

impl VmFacts {
    /// The public addresses on which it needs something.
    fn publics(&self) -> impl Iterator<Item = IpAddr> + '_ {
        self.mapped.iter().map(|need| need.translation.at().address)
    }
}

/// What one load brought, sorted by address; made without holding anything up.
pub(crate) struct Loaded {
    load: u64,
    everything: bool,
    addresses: BTreeMap<IpAddr, AddressFacts>,
    vms: BTreeMap<VmId, VmFacts>,
    network: Arc<Network>,
    /// What always holds on public addresses, where that may be something else than before.
    fixed: Option<Translations>,
}

impl Loaded {
    /// Sorts what was loaded. `load` is the number that [`Known::begin`] gave before the loading began.
    ///
    /// `known` is the network of the last look, and `mapped_ports` are those of firewalls that accesses are mapped to.
    pub(crate) fn of(
        load: u64,
        which: &Which,
        (state, known, mapped_ports): (&State, &Arc<Network>, PortRange),
        now: Now,
    ) -> Loaded {
        let everything = *which == Which::Everything;
        // What was asked for and is not there is gone, and that is news too.
        let (mut vms, mut addresses) = match which {
            Which::Everything => (BTreeMap::new(), BTreeMap::new()),
            Which::Named(Named { vms, addresses }) => {
                let gone = || VmFacts { load, ..VmFacts::default() };
                let nothing = |address: &IpAddr| (*address, AddressFacts::default());
                let vms = vms.iter().map(|vm| (vm.clone(), gone())).collect();
                (vms, addresses.iter().map(nothing).collect::<BTreeMap<_, _>>())
            }
        };
        for vm in state.vms.values() {
            for address in &vm.addresses {
                addresses.entry(*address).or_default().vm = Some(vm.id.clone());
            }
            let addresses = vm.addresses.iter().copied().collect();
            let facts = VmFacts { load, addresses, ..VmFacts::default() };
            vms.insert(vm.id.clone(), facts);
        }
        let locks = state.locks();
        let needs = needs(state, &locks, now);
        for (vm, mapped) in mapped_needs(state, &locks, now) {
            if let Some(facts) = vms.get_mut(&vm) {
                facts.mapped = mapped.into();
            }
        }
        for (lock, sessions) in locks {
            addresses.entry(lock.address).or_default().locks.insert(lock, sessions);
        }
        for lock in &state.released {
            addresses.entry(lock.address).or_default().released.insert(*lock);
        }
        for (lock, standing) in standing(state) {
            addresses.entry(lock.address).or_default().standing.insert(lock, standing);
        }
        for (address, screen) in screens(state, interfaces(state, which)) {
            addresses.entry(address).or_default().screen = Some(screen);
        }
        for its in needs.chunk_by(|one, next| one.opening.address() == next.opening.address()) {
            let Some(first) = its.first() else { continue };
            let facts = addresses.entry(first.opening.address()).or_default();
            facts.openings = until(its, now).collect();
            facts.needs = its.to_vec();
        }
        for id in awaited(state) {
            if everything {
                // Also of a VM that was forgotten: that its accesses are closed is still to be recorded.
                vms.entry(id.clone()).or_insert(VmFacts { load, ..VmFacts::default() });
            }
            if let Some(vm) = vms.get_mut(id) {
                vm.awaited = true;
            }
        }
        for facts in addresses.values_mut() {
            facts.load = load;
            facts.first_due = facts.next_due(now);
            if !facts.released.is_empty()
                && let Some(vm) = facts.vm.as_ref().and_then(|vm| vms.get_mut(vm))
            {
                vm.awaited = true;
            }
        }
        // Every state has the whole network, so whoever looks at one machine notices when it changed.
        let changed = everything || !Arc::ptr_eq(known, &state.network);
        let fixed = changed.then(|| fixed(&state.network, mapped_ports));
        let network = Arc::clone(&state.network);
        Loaded { load, everything, addresses, vms, network, fixed }
    }
}

/// The addresses of interfaces that are looked at, which no VM need have yet.
fn interfaces(state: &State, which: &Which) -> Vec<IpAddr> {
    match which {
        Which::Everything => state.network.interface_addresses().collect(),
        Which::Named(Named { addresses, .. }) => addresses.iter().copied().collect(),
    }
}

/// The VMs of which a guard's word would be news.
fn awaited(state: &State) -> impl Iterator<Item = &VmId> {
    let accesses = state.accesses().filter(|(_, access)| match &access.stage {
        Stage::Planned { .. } => false,
        Stage::Granted { opened, .. } => opened.is_none(),
        Stage::Ended { opened, closed, .. } => opened.is_some() && closed.is_none(),
    });
    accesses.map(|(_, access)| &access.vm)
}

impl AddressFacts {
    /// When its next opening ends on the boot clock, whichever clock ends it.
    fn next_due(&self, now: Now) -> Option<u64> {
        let left = self.openings.iter().map(|(_, until)| until.remaining(now));
        let left = left.filter(|left| !left.is_zero()).min()?;
        let left = u64::try_from(left.as_nanos()).unwrap_or(u64::MAX);
        Some(now.boot.nanos.saturating_add(left))
    }

    /// What must stand now, and until when, in order.
    fn wanted(
        &self,
        holds: &BTreeMap<RequestId, Hold>,
        now: Now,
    ) -> impl Iterator<Item = (Opening, Deadline)> {
        let wanted = self.openings.iter().filter_map(move |(opening, recorded)| {
            let until = self.unless_held(opening, *recorded, holds, now)?;
            Some((*opening, until))
        });
        wanted.filter(move |(_, until)| !until.is_over(now))
    }

    /// Until when one opening must stand, if at all.
    fn wanted_of(
        &self,
        opening: &Opening,
        holds: &BTreeMap<RequestId, Hold>,
        now: Now,
    ) -> Option<Deadline> {
        let at = self.openings.binary_search_by_key(opening, |(opening, _)| *opening).ok()?;
        let (_, recorded) = self.openings.get(at)?;
        let until = self.unless_held(opening, *recorded, holds, now);
        until.filter(|until| !until.is_over(now))
    }

    fn unless_held(
        &self,
        opening: &Opening,
        recorded: Deadline,
        holds: &BTreeMap<RequestId, Hold>,
        now: Now,
    ) -> Option<Deadline> {
        if holds.is_empty() {
            return Some(recorded);
        }
        let (held, free): (Vec<&Need>, Vec<&Need>) = self
            .needs
            .iter()
            .filter(|need| need.opening == *opening)
            .partition(|need| self.is_held(need.request, opening.port(), holds));
        if held.is_empty() {
            return Some(recorded);
        }
        free.into_iter().map(|need| need.until).reduce(|one, other| one.later_of(other, now))
    }

    fn is_held(&self, request: RequestId, port: Port, holds: &BTreeMap<RequestId, Hold>) -> bool {
        holds.get(&request).is_some_and(|only| match (only, &self.vm) {
            (None, _) => true,
            (Some(only), Some(vm)) => only.contains(&(vm.clone(), port)),
            (Some(_), None) => false,
        })
    }
}

/// Which addresses a statement to a guard speaks of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    /// All the guard covers.
    All,
    /// These, each VM with all of its own.
    Addresses(BTreeSet<IpAddr>),
}

/// What is known of a part, taken out so that nothing waits while it is looked at.
pub(crate) struct Snapshot {
    coverage: Coverage,
    facts: Vec<(IpAddr, Arc<AddressFacts>)>,
    holds: BTreeMap<RequestId, Hold>,
    /// The VMs of which a guard's word is awaited, with the load that said so, and their addresses.
    pub(crate) awaited: Vec<(VmId, u64, BTreeSet<IpAddr>)>,
    /// Whose each address is.
    pub(crate) owners: BTreeMap<IpAddr, VmId>,
    /// How many openings it speaks of.
    pub(crate) openings: usize,
    /// What always holds on its public addresses.
    fixed: Translations,
    /// What accesses need on them.
    pub(crate) mapped: Vec<MappedNeed>,
    /// What accesses to its machines need on public addresses of others.
    elsewhere: Vec<MappedNeed>,
    /// Openings that must not stand yet, although they are recorded.
    closed: BTreeSet<Opening>,
}

impl Snapshot {
    /// What must hold now.
    pub(crate) fn desired(&self, now: Now) -> Desired {
        let mut locks = Vec::new();
        let mut released = Vec::new();
        let mut openings = Vec::with_capacity(self.openings);
        let mut standing = BTreeMap::new();
        for (_, facts) in &self.facts {
            locks.extend(facts.locks.iter().map(|(lock, sessions)| (*lock, *sessions)));
            released.extend(facts.released.iter().copied());
            let wanted = facts.wanted(&self.holds, now);
            openings.extend(wanted.filter(|(opening, _)| !self.closed.contains(opening)));
            standing.extend(facts.standing.iter().map(|(lock, passes)| (*lock, passes.clone())));
        }
        let mut translations = self.fixed.clone();
        let wanted = self.mapped.iter().filter(|need| {
            !is_held(&self.holds, need) && need.onward.until.is_none_or(|until| !until.is_over(now))
        });
        translations.each.extend(wanted.map(|need| (need.translation, need.onward)));
        let screens = self.facts.iter();
        let screens = screens.filter_map(|(at, facts)| Some((*at, facts.screen.clone()?)));
        Desired {
            coverage: self.coverage.clone(),
            locks: locks.into_iter().collect(),
            released: released.into_iter().collect(),
            openings: openings.into_iter().collect(),
            standing,
            screens: screens.collect(),
            translations,
        }
    }

    /// Leaves out what is not to be led to yet.
    pub(crate) fn keep_back(&mut self, leads: impl Fn(&MappedNeed) -> bool) {
        self.mapped.retain(leads);
    }

    /// Leaves out what is not to be open yet, because nothing leads to it; unless somebody needs it who comes
    /// by another way.
    pub(crate) fn keep_closed(&mut self, cut_off: impl Fn(&MappedNeed) -> bool) {
        let cut_off: BTreeSet<(Opening, RequestId)> = self
            .elsewhere
            .iter()
            .filter(|need| cut_off(need))
            .map(|need| (need.opening, need.request))
            .collect();
        if cut_off.is_empty() {
            return;
        }
        for (_, facts) in &self.facts {
            for needs in facts.needs.chunk_by(|one, next| one.opening == next.opening) {
                if needs.iter().all(|need| cut_off.contains(&(need.opening, need.request))) {
                    self.closed.extend(needs.first().map(|need| need.opening));
                }
            }
        }
    }
}

/// Whether a request that needs a translation is kept closed.
fn is_held(holds: &BTreeMap<RequestId, Hold>, need: &MappedNeed) -> bool {
    holds.get(&need.request).is_some_and(|only| match only {
        None => true,
        Some(only) => only.contains(&(need.vm.clone(), need.opening.port())),
    })
}

impl Known {
    /// Numbers a load that is about to begin.
    pub(crate) fn begin(&mut self) -> u64 {
        self.loads += 1;
        self.loads
    }

    /// The network of the last look.
    pub(crate) fn network(&self) -> Arc<Network> {
        Arc::clone(&self.network)
    }

    /// Whether everything was loaded at least once. Before that nothing is said to any guard: an empty
    /// memory is no reason to close or to open.
    pub(crate) fn is_loaded(&self) -> bool {
        self.loaded
    }

    /// Takes in what was loaded, and says which addresses are to be told of: all it speaks of, or where that
    /// is everything those before which other rules stand than did. The rest is the sweep's.
    pub(crate) fn take_in(&mut self, loaded: Loaded) -> BTreeSet<IpAddr> {
        let Loaded { load, everything, addresses, vms, network, fixed } = loaded;
        let mut spoken: BTreeSet<IpAddr> = addresses.keys().copied().collect();
        let mut ruled = BTreeSet::new();
        self.version += 1;
        for (id, vm) in vms {
            if self.vms.get(&id).is_some_and(|stored| stored.load > load) {
                continue;
            }
            let publics: BTreeSet<IpAddr> = vm.publics().collect();
            let mapped = Arc::clone(&vm.mapped);
            let before = self.vms.insert(id.clone(), vm);
            let was = before.as_ref().map(|before| &*before.mapped).unwrap_or_default();
            if *was != *mapped {
                let all = was.iter().map(|need| need.translation.at().address);
                spoken.extend(all.chain(publics.iter().copied()));
            }
            for public in before.iter().flat_map(VmFacts::publics) {
                if let Some(vms) =
                    self.mapped.get_mut(&public).filter(|_| !publics.contains(&public))
                {
                    vms.remove(&id);
                    if vms.is_empty() {
                        self.mapped.remove(&public);
                    }
                }
            }
            for public in publics {
                self.mapped.entry(public).or_default().insert(id.clone());
            }
            for address in before.into_iter().flat_map(|before| before.addresses) {
                let stale =
                    |facts: &Arc<AddressFacts>| facts.vm.as_ref() == Some(&id) && facts.load < load;
                if !addresses.contains_key(&address)
                    && self.addresses.get(&address).is_some_and(stale)
                {
                    // What stands before it is its interface's, and goes with that alone.
                    let screen = self.addresses.get(&address).and_then(|had| had.screen.clone());
                    self.set(address, AddressFacts { load, screen, ..AddressFacts::default() });
                    spoken.insert(address);
                }
            }
        }
        if everything {
            self.loaded = true;
            self.vms.retain(|_, vm| vm.load >= load);
            self.mapped.retain(|_, vms| {
                vms.retain(|vm| self.vms.contains_key(vm));
                !vms.is_empty()
            });
            let gone = |(address, facts): (&IpAddr, &Arc<AddressFacts>)| {
                (facts.load < load && !addresses.contains_key(address)).then_some(*address)
            };
            let gone: Vec<IpAddr> = self.addresses.iter().filter_map(gone).collect();
            for address in gone {
                self.remove(address);
                ruled.insert(address);
            }
        }
        for (address, facts) in addresses {
            let stored = self.addresses.get(&address);
            if stored.is_none_or(|stored| stored.load <= load) {
                let none = AddressFacts::default();
                let before = stored.map_or(&none, |stored| &**stored);
                if before.screen != facts.screen || before.standing != facts.standing {
                    ruled.insert(address);
                }
                self.set(address, facts);
            }
        }
        if let Some(fixed) = fixed.filter(|_| self.fixed.0 <= load) {
            let differing = differing(&self.fixed.1, &fixed);
            ruled.extend(&differing);
            spoken.extend(&differing);
            self.fixed = (load, fixed.into());
            self.network = network;
        }
        if everything { ruled } else { spoken }
    }

    fn set(&mut self, address: IpAddr, facts: AddressFacts) {
        self.set_due(address, facts.first_due);
        self.addresses.insert(address, Arc::new(facts));
    }

    fn remove(&mut self, address: IpAddr) {
        self.set_due(address, None);
        self.addresses.remove(&address);
    }

    fn set_due(&mut self, address: IpAddr, due: Option<u64>) {
        let before = match due {
            Some(due) => self.due_of.insert(address, due),
            None => self.due_of.remove(&address),
        };
        if let Some(before) = before {
            self.due.remove(&(before, address));
        }
        self.due.extend(due.map(|due| (due, address)));
    }

    /// When the next opening ends: nanoseconds on the boot clock.
    pub(crate) fn next_due(&self) -> Option<u64> {
        self.due.first().map(|(due, _)| *due)
    }

    /// The addresses on which an opening has ended since this was last asked.
    pub(crate) fn ended(&mut self, now: Now) -> BTreeSet<IpAddr> {
        let mut ended = BTreeSet::new();
        while let Some((due, address)) = self.due.first().copied()
            && due <= now.boot.nanos
        {
            ended.insert(address);
            // What is over has nothing left, so the next end is later than now and this loop ends.
            let next = self.addresses.get(&address).and_then(|facts| facts.next_due(now));
            self.set_due(address, next);
        }
        ended
    }

    /// Keeps what a request opened closed, and says on which addresses that changes something.
    pub(crate) fn hold(&mut self, request: RequestId, only: Hold) -> BTreeSet<IpAddr> {
        self.version += 1;
        match (self.holds.get_mut(&request), only) {
            (Some(Some(held)), Some(more)) => held.extend(more),
            (Some(None), _) => {}
            (Some(held), None) => *held = None,
            (None, only) => {
                self.holds.insert(request, only);
            }
        }
        self.addresses_of(request)
    }

    /// Ends a hold: what it kept closed is recorded.
    pub(crate) fn release(&mut self, request: RequestId) -> BTreeSet<IpAddr> {
        self.version += 1;
        self.holds.remove(&request);
        self.addresses_of(request)
    }

    /// Whose these addresses are.
    pub(crate) fn owners(&self, addresses: &BTreeSet<IpAddr>) -> BTreeSet<VmId> {
        addresses.iter().filter_map(|a| self.addresses.get(a)?.vm.clone()).collect()
    }

    fn addresses_of(&self, request: RequestId) -> BTreeSet<IpAddr> {
        let needs = |facts: &AddressFacts| facts.needs.iter().any(|need| need.request == request);
        let own = self.addresses.iter().filter(|(_, facts)| needs(facts)).map(|(a, _)| *a);
        let vms = self.mapped.values().flatten().filter_map(|vm| self.vms.get(vm));
        let mapped = vms.flat_map(|vm| vm.mapped.iter()).filter(|need| need.request == request);
        own.chain(mapped.map(|need| need.translation.at().address)).collect()
    }

    /// Whether a translation that ends by itself must still hold.
    pub(crate) fn leads(&self, translation: &Translation, now: Now) -> bool {
        let vms = self.mapped.get(&translation.at().address);
        let vms = vms.into_iter().flatten().filter_map(|vm| self.vms.get(vm));
        vms.flat_map(|vm| vm.mapped.iter()).any(|need| {
            need.translation == *translation
                && !is_held(&self.holds, need)
                && need.onward.until.is_none_or(|until| !until.is_over(now))
        })
    }

    /// Whether a translation must hold, be it always or for a while.
    pub(crate) fn translates(&self, translation: &Translation, now: Now) -> bool {
        self.fixed.1.each.contains_key(translation) || self.leads(translation, now)
    }

    /// The public addresses that lead to these VMs.
    pub(crate) fn publics(&self, vms: impl IntoIterator<Item = VmId>) -> BTreeSet<IpAddr> {
        let vms = vms.into_iter().filter_map(|vm| self.vms.get(&vm));
        vms.flat_map(|vm| vm.publics().collect::<Vec<_>>()).collect()
    }

    /// The addresses of the machines that public addresses of this guard lead to.
    pub(crate) fn behind(&self, cover: &GuardCover) -> BTreeSet<IpAddr> {
        let vms = self.mapped.iter().filter(|(public, _)| cover.has(**public));
        let vms = vms.flat_map(|(_, vms)| vms).filter_map(|vm| self.vms.get(vm));
        vms.flat_map(|vm| vm.addresses.iter().copied()).collect()
    }

    /// Until when an opening must stand, if at all.
    pub(crate) fn wanted(&self, opening: &Opening, now: Now) -> Option<Deadline> {
        self.addresses.get(&opening.address())?.wanted_of(opening, &self.holds, now)
    }

    /// Until when other requests than that one need an opening, if any does.
    pub(crate) fn wanted_by_others(
        &self,
        opening: &Opening,
        request: RequestId,
        now: Now,
    ) -> Option<Deadline> {
        let facts = self.addresses.get(&opening.address())?;
        let others = facts.needs.iter().filter(|need| {
            need.opening == *opening
                && need.request != request
                && !need.until.is_over(now)
                && !facts.is_held(need.request, opening.port(), &self.holds)
        });
        others.map(|need| need.until).reduce(|one, other| one.later_of(other, now))
    }

    /// What is known of a part of what a guard covers.
    pub(crate) fn snapshot(&self, part: &Part, cover: &GuardCover) -> Snapshot {
        let named: BTreeSet<IpAddr> = match part {
            Part::All => {
                let each = self.fixed.1.each.keys().map(|translation| translation.at().address);
                let public = each.chain(self.fixed.1.silent.keys().copied());
                let public = public.chain(self.mapped.keys().copied());
                self.addresses.keys().copied().chain(public).collect()
            }
            Part::Addresses(addresses) => {
                let owners = addresses.iter().filter_map(|a| self.addresses.get(a)?.vm.as_ref());
                let whole = owners.filter_map(|vm| self.vms.get(vm)).flat_map(|vm| &vm.addresses);
                whole.chain(addresses).copied().collect()
            }
        };
        let named: BTreeSet<IpAddr> = named.into_iter().filter(|a| cover.has(*a)).collect();
        let known = |at: &IpAddr| Some((*at, Arc::clone(self.addresses.get(at)?)));
        let facts: Vec<(IpAddr, Arc<AddressFacts>)> = named.iter().filter_map(known).collect();
        let owner = |address: &IpAddr| Some((*address, self.addresses.get(address)?.vm.clone()?));
        let owners: BTreeMap<IpAddr, VmId> = named.iter().filter_map(owner).collect();
        let led = named.iter().filter_map(|address| self.mapped.get(address)).flatten();
        let vms: BTreeSet<&VmId> = owners.values().chain(led).collect();
        let mapped: Vec<MappedNeed> = vms
            .iter()
            .filter_map(|id| self.vms.get(*id))
            .flat_map(|vm| vm.mapped.iter())
            .filter(|need| named.contains(&need.translation.at().address))
            .cloned()
            .collect();
        let elsewhere: Vec<MappedNeed> = owners
            .values()
            .collect::<BTreeSet<_>>()
            .into_iter()
            .filter_map(|id| self.vms.get(id))
            .flat_map(|vm| vm.mapped.iter())
            .filter(|need| !cover.has(need.translation.at().address))
            .cloned()
            .collect();
        let forgotten = self.vms.iter().filter(|(_, vm)| vm.addresses.is_empty());
        let forgotten = forgotten.filter(|_| *part == Part::All).map(|(id, _)| id);
        let awaited = vms
            .into_iter()
            .chain(forgotten)
            .filter_map(|id| Some((id, self.vms.get(id)?)))
            .filter(|(_, vm)| vm.awaited)
            .map(|(id, vm)| {
                let addresses = vm.addresses.iter().copied().chain(vm.publics()).collect();
                (id.clone(), vm.load, addresses)
            })
            .collect();
        Snapshot {
            coverage: match part {
                Part::All => Coverage::All,
                Part::Addresses(_) => Coverage::Only(named),
            },
            openings: facts.iter().map(|(_, facts)| facts.openings.len()).sum(),
            holds: self.holds.clone(),
            fixed: self.fixed.1.about(|address| {
                cover.has(address)
                    && match part {
                        Part::All => true,
                        Part::Addresses(addresses) => addresses.contains(&address),
                    }
            }),
            mapped,
            elsewhere,
            closed: BTreeSet::new(),
            facts,
            awaited,
            owners,
        }
    }

    /// A guard's word was recorded: nothing is awaited of these VMs, unless a later load says otherwise. Where a
    /// firewall's guard and the machine's must both have spoken, the word of one is half of it.
    pub(crate) fn recorded(&mut self, told: &BTreeMap<VmId, u64>, observed: &Observed) {
        let stands = |need: &MappedNeed| {
            observed.translations.each.contains_key(&need.translation)
                && observed.openings.contains_key(&need.opening)
        };
        for (id, load) in told {
            if let Some(vm) = self.vms.get_mut(id).filter(|vm| vm.load == *load) {
                vm.awaited &= !vm.mapped.iter().all(stands);
                if vm.mapped.iter().any(|need| !need.seen && stands(need)) {
                    let seen = |need: &MappedNeed| need.seen || stands(need);
                    let mapped = vm.mapped.iter();
                    let mapped = mapped.map(|need| MappedNeed { seen: seen(need), ..need.clone() });
                    vm.mapped = mapped.collect();
                }
            }
        }
    }

    /// The addresses in `cover`, in parts of about `openings_each` openings.
    pub(crate) fn slices(&self, cover: &GuardCover, openings_each: usize) -> Vec<BTreeSet<IpAddr>> {
        let mut slices = Vec::new();
        let mut slice = BTreeSet::new();
        let mut openings = 0;
        for (address, facts) in self.addresses.iter().filter(|(address, _)| cover.has(**address)) {
            slice.insert(*address);
            // An address without openings is work too, though little.
            openings += 1 + facts.openings.len();
            if openings >= openings_each {
                slices.push(std::mem::take(&mut slice));
                openings = 0;
            }
        }
        if !slice.is_empty() {
            slices.push(slice);
        }
        slices
    }

    /// How many locks and openings must stand on a guard.
    pub(crate) fn counts(&self, cover: &GuardCover, now: Now) -> (usize, usize) {
        let covered = self.addresses.iter().filter(|(address, _)| cover.has(**address));
        covered.fold((0, 0), |(locks, openings), (_, facts)| {
            (locks + facts.locks.len(), openings + facts.wanted(&self.holds, now).count())
        })
    }
}

/// The addresses on which something else always holds.
fn differing(one: &Translations, other: &Translations) -> BTreeSet<IpAddr> {
    let each = one.each.iter().filter(|(t, onward)| other.each.get(t) != Some(onward));
    let each = each.map(|(translation, _)| translation.at().address);
    let silent = one.silent.iter().filter(|(at, ports)| other.silent.get(at) != Some(ports));
    let gone: BTreeSet<IpAddr> = each.chain(silent.map(|(at, _)| *at)).collect();
    let each = other.each.iter().filter(|(t, onward)| one.each.get(t) != Some(onward));
    let each = each.map(|(translation, _)| translation.at().address);
    let silent = other.silent.iter().filter(|(at, ports)| one.silent.get(at) != Some(ports));
    gone.into_iter().chain(each).chain(silent.map(|(at, _)| *at)).collect()
}
