//! What a machine must be: interfaces that are its own; and what JIT knows of it, which follows from them.
//!
//! A machine that is named by its addresses gets an interface for those that nothing has yet, with a security
//! group that lets everything through: so it is like any other machine, and nothing but JIT's ports changes.

use std::{collections::BTreeSet, net::IpAddr};

use uuid::Uuid;

use super::{Setting, happens, refusals};
use crate::{
    event::Event,
    id::{Location, VmId, VmInstance},
    network::vm_address,
    policy::{ADDRESSES_PER_VM_MAX, Settings, Vm},
    refusal::{Refusal, Refusals},
    resource::{
        Kind, Network, Resource, ResourceDraft, ResourceFault, ResourceId, Target, View,
        fault::Part,
        network::addresses,
        virtual_machine::{
            INTERFACES_MAX, InterfaceDraft, Joined, Made, VirtualMachine, VirtualMachineDraft,
        },
    },
    state::State,
};

mod make;

/// Sets a machine, with what is made for it, and what JIT knows of it. The same again changes nothing.
pub(super) fn set(
    state: &State,
    settings: &Settings,
    setting: &Setting<'_>,
    (draft, sent): (&ResourceDraft, &VirtualMachineDraft),
    instance: Uuid,
    faults: Vec<ResourceFault>,
) -> Result<Vec<Event>, Refusals> {
    let known = draft.id.virtual_machine().and_then(|id| state.vms.get(&id));
    let joining = Joining { state, setting, location: &draft.location, instance };
    let mut against = refusals(setting.id, faults).0;
    let (wanted, joined) = match &sent.joined {
        Joined::Interfaces(sent) => (joining.of(sent), joining.by_interfaces(sent, &mut against)),
        Joined::Addresses(sent) => (sent.clone(), joining.by_addresses(sent, &mut against)),
        Joined::Both { interfaces, addresses } => {
            if joining.counts(interfaces, addresses) {
                (addresses.clone(), joining.by_addresses(addresses, &mut against))
            } else {
                against.extend(joining.disagree(interfaces, addresses));
                (joining.of(interfaces), joining.by_interfaces(interfaces, &mut against))
            }
        }
    };
    if wanted.len() > ADDRESSES_PER_VM_MAX {
        against.push(Refusal::TooManyAddresses { most: ADDRESSES_PER_VM_MAX });
    }
    against.extend(known.and_then(|known| held(state, known, &draft.location, &wanted)));
    let Some(joined) = joined.filter(|_| against.is_empty()) else { return Err(Refusals(against)) };
    let instance = setting.before.map(|before| before.instance);
    let instance = instance.or(known.map(|vm| vm.instance.0)).unwrap_or(joining.instance);
    let view = View::VirtualMachine(VirtualMachine {
        interfaces: joined.interfaces,
        primary: joined.primary,
        os: sent.os,
        storage: sent.storage,
        made: joined.made,
    });
    let mut events = joined.before;
    let id = setting.before.map_or(&draft.id, |before| &before.id);
    events.extend(setting.becomes(draft, instance, view).map(|resource| setting.put(resource)));
    let (location, addresses) = (draft.location.clone(), joined.addresses);
    let registered = id.virtual_machine().map(|id| {
        let instance = VmInstance(instance);
        Vm { id, instance, location, os: sent.os, addresses }
    });
    events.extend(registered.filter(|vm| known != Some(vm)).map(|vm| Event::VmRegistered { vm }));
    events.extend(joined.after);
    happens(state, settings, events)
}

/// What becomes of the machine whose interface is set.
pub(super) fn follows(state: &State, nic: &Resource) -> Result<Option<Event>, Refusals> {
    let Some(machine) = state.network.machine_of(&nic.id) else { return Ok(None) };
    let (Some(view), Some(id)) = (machine.virtual_machine(), machine.id.virtual_machine()) else {
        return Ok(None);
    };
    let of = |id: &ResourceId| match state.network.get(id) {
        _ if *id == nic.id => addresses(nic),
        Some(other) => addresses(other),
        None => Vec::new(),
    };
    let vm = Vm {
        id: id.clone(),
        instance: VmInstance(machine.instance),
        location: machine.location.clone(),
        os: view.os,
        addresses: view.interfaces.iter().flat_map(of).collect(),
    };
    let known = state.vms.get(&id);
    if known == Some(&vm) {
        return Ok(None);
    }
    let mut against = taken(state, &id, &vm.addresses);
    if vm.addresses.len() > ADDRESSES_PER_VM_MAX {
        against.push(Refusal::TooManyAddresses { most: ADDRESSES_PER_VM_MAX });
    }
    against.extend(known.and_then(|known| held(state, known, &vm.location, &vm.addresses)));
    if against.is_empty() { Ok(Some(Event::VmRegistered { vm })) } else { Err(Refusals(against)) }
}

/// Forgets a machine that no policy holds, and what was made for it, unless others refer to that.
pub(super) fn remove(
    state: &State,
    settings: &Settings,
    id: &VmId,
) -> Result<Vec<Event>, Refusals> {
    if let Some((policy, _)) = state.policies_of(id).next() {
        return Err(Refusal::VmHasPolicy { vm: id.clone(), policy: policy.id.clone() }.into());
    }
    let mut events = Vec::new();
    let resource = state.network.get(&ResourceId::from(id));
    if let Some(resource) = resource {
        let (id, before) = (resource.id.clone(), resource.version);
        events.push(Event::ResourceDeleted { id, before });
    }
    let known = state.vms.get(id);
    events.extend(known.map(|vm| Event::VmUnregistered { id: vm.id.clone() }));
    if let Some((resource, machine)) = resource.and_then(|r| Some((r, r.virtual_machine()?))) {
        events.extend(unmade(&state.network, &resource.id, &machine.made));
    }
    happens(state, settings, events)
}

/// What was made for a machine and is nobody else's goes with it: interfaces first, which refer to the rest.
fn unmade(network: &Network, machine: &ResourceId, made: &[Made]) -> Vec<Event> {
    let mut gone = BTreeSet::from([machine.clone()]);
    let (interfaces, others): (Vec<&Made>, Vec<&Made>) =
        made.iter().partition(|made| made.id.kind == Kind::NetworkInterfaces);
    let mut events = Vec::new();
    for made in interfaces.into_iter().chain(others) {
        let Some(resource) = standing(network, made) else { continue };
        let target = Target::Resource(made.id.clone());
        if network.referrers(&target).all(|by| gone.contains(&by.id)) {
            gone.insert(made.id.clone());
            let (id, before) = (resource.id.clone(), resource.version);
            events.push(Event::ResourceDeleted { id, before });
        }
    }
    events
}

/// What was made, if it is still that and no later one of its name.
fn standing<'a>(network: &'a Network, made: &Made) -> Option<&'a Resource> {
    let resource = network.get(&made.id)?;
    (resource.instance == made.instance).then_some(resource)
}

/// Locks and grants stand on the addresses and the location of a VM: while a policy holds it they stay.
fn held(state: &State, known: &Vm, location: &Location, addresses: &[IpAddr]) -> Option<Refusal> {
    let moved = known.location != *location || distinct(&known.addresses) != distinct(addresses);
    let (policy, _) = state.policies_of(&known.id).next().filter(|_| moved)?;
    Some(Refusal::VmHasPolicy { vm: known.id.clone(), policy: policy.id.clone() })
}

fn distinct(addresses: &[IpAddr]) -> BTreeSet<IpAddr> {
    addresses.iter().copied().collect()
}

/// The addresses that another machine has, also one that is known by its addresses alone.
fn taken(state: &State, id: &VmId, addresses: &[IpAddr]) -> Vec<Refusal> {
    let owner = |address: &IpAddr| {
        let known = state.owners.get(address).cloned();
        let by_interface = || {
            let machine = state.network.machine_of(state.network.owner(*address)?)?;
            machine.id.virtual_machine()
        };
        known.or_else(by_interface).filter(|owner| owner != id)
    };
    let refusal =
        |address: &IpAddr| Some(Refusal::AddressTaken { address: *address, vm: owner(address)? });
    addresses.iter().filter_map(refusal).collect()
}

/// A machine that is being joined to networks.
struct Joining<'a> {
    state: &'a State,
    setting: &'a Setting<'a>,
    location: &'a Location,
    /// The id of this making.
    instance: Uuid,
}

/// What joins a machine, once nothing stands against it.
struct Fit {
    /// What has to be there before it.
    before: Vec<Event>,
    interfaces: Vec<ResourceId>,
    primary: ResourceId,
    made: Vec<Made>,
    /// Of all interfaces, in their order.
    addresses: Vec<IpAddr>,
    /// What goes once it no longer refers to it.
    after: Vec<Event>,
}

impl Joining<'_> {
    fn network(&self) -> &Network {
        self.setting.network
    }

    /// The machine as it stands.
    fn stored(&self) -> Option<&VirtualMachine> {
        self.setting.before?.virtual_machine()
    }

    /// The addresses that interfaces have.
    fn of(&self, sent: &[InterfaceDraft]) -> Vec<IpAddr> {
        self.network().addresses_of(sent.iter().map(|sent| &sent.id))
    }

    /// Whether addresses count that were sent beside interfaces: those are what stands, and these are not.
    fn counts(&self, interfaces: &[InterfaceDraft], addresses: &[IpAddr]) -> bool {
        let Some(stored) = self.stored() else { return false };
        let sent: Vec<&ResourceId> = interfaces.iter().map(|sent| &sent.id).collect();
        sent == stored.interfaces.iter().collect::<Vec<_>>()
            && distinct(addresses) != distinct(&self.network().addresses_of(&stored.interfaces))
    }

    /// What is wrong where both are new: they have to agree.
    fn disagree(&self, interfaces: &[InterfaceDraft], addresses: &[IpAddr]) -> Vec<Refusal> {
        let stored = self.stored().map(|stored| self.network().addresses_of(&stored.interfaces));
        let stands = stored.is_some_and(|stored| distinct(&stored) == distinct(addresses));
        let has = self.of(interfaces);
        if stands || distinct(&has) == distinct(addresses) {
            return Vec::new();
        }
        let fault = ResourceFault::AddressesDisagree { sent: addresses.to_vec(), interfaces: has };
        refusals(self.setting.id, vec![fault]).0
    }

    fn by_interfaces(&self, sent: &[InterfaceDraft], against: &mut Vec<Refusal>) -> Option<Fit> {
        let faults = self.interface_faults(sent);
        if !faults.is_empty() {
            against.extend(refusals(self.setting.id, faults).0);
            return None;
        }
        let interfaces: Vec<ResourceId> = sent.iter().map(|sent| self.written(&sent.id)).collect();
        let primary = sent.iter().position(|sent| sent.primary).unwrap_or_default();
        let primary = interfaces.get(primary)?.clone();
        let addresses = self.network().addresses_of(&interfaces);
        let id = self.setting.id.virtual_machine()?;
        against.extend(taken(self.state, &id, &addresses));
        let made = self.still_made(&interfaces);
        let (before, after) = (Vec::new(), Vec::new());
        Some(Fit { before, interfaces, primary, made, addresses, after })
    }

    fn interface_faults(&self, sent: &[InterfaceDraft]) -> Vec<ResourceFault> {
        let part = Part::NetworkInterfaces;
        match sent.len() {
            0 => return vec![ResourceFault::NoPart { part }],
            1..=INTERFACES_MAX => {}
            _ => return vec![ResourceFault::TooManyParts { part, most: INTERFACES_MAX }],
        }
        let targets = sent.iter().map(|sent| Target::Resource(sent.id.clone()));
        let mut faults = self.setting.references(targets);
        let (mut ids, mut primary) = (BTreeSet::new(), false);
        for sent in sent {
            let interface = sent.id.clone();
            faults.extend(self.setting.of_kind(&interface, Kind::NetworkInterfaces));
            let owner = self.network().machine_of(&interface).map(|machine| &machine.id);
            if let Some(by) = owner.filter(|by| *by != self.setting.id) {
                let (interface, by) = (interface.clone(), by.clone());
                faults.push(ResourceFault::InterfaceInUse { interface, by });
            }
            if sent.primary && std::mem::replace(&mut primary, true) {
                let interface = interface.clone();
                faults.push(ResourceFault::TwoPrimaryInterfaces { interface });
            }
            if !ids.insert(&sent.id) {
                faults.push(ResourceFault::InterfaceTwice { interface });
            }
        }
        faults
    }

    /// An id as its resource was first written.
    fn written(&self, id: &ResourceId) -> ResourceId {
        self.network().get(id).map_or(id, |resource| &resource.id).clone()
    }

    /// What was made for the machine and still serves it: who took the interface away has it for their own.
    fn still_made(&self, interfaces: &[ResourceId]) -> Vec<Made> {
        let made = self.stored().map(|machine| machine.made.as_slice()).unwrap_or_default();
        let serves = |made: &&Made| {
            standing(self.network(), made).is_some()
                && (made.id.kind != Kind::NetworkInterfaces || interfaces.contains(&made.id))
        };
        let still: Vec<Made> = made.iter().filter(serves).cloned().collect();
        let any = still.iter().any(|made| made.id.kind == Kind::NetworkInterfaces);
        if any { still } else { Vec::new() }
    }

    /// The interface that was made for the machine.
    fn made_interface(&self) -> Option<&Resource> {
        let machine = self.stored()?;
        let mut made = machine.made.iter().filter(|made| machine.interfaces.contains(&made.id));
        made.find_map(|made| standing(self.network(), made))
    }

    fn by_addresses(&self, sent: &[IpAddr], against: &mut Vec<Refusal>) -> Option<Fit> {
        let id = self.setting.id.virtual_machine()?;
        let made = self.made_interface();
        let known = against.len();
        against.extend(unfit(sent));
        against.extend(taken(self.state, &id, sent));
        // Interfaces in the order in which their addresses were sent; none: the one that is made.
        let (mut order, mut left): (Vec<Option<&ResourceId>>, Vec<IpAddr>) = Default::default();
        for address in sent {
            let nic = self.network().owner(*address);
            let nic = nic.filter(|nic| made.is_none_or(|made| made.id != **nic));
            if nic.is_none() {
                left.push(*address);
            }
            if !order.contains(&nic) {
                order.push(nic);
            }
        }
        let own = |nic: &&ResourceId| {
            let machine = self.network().machine_of(nic);
            machine.is_none_or(|machine| machine.id == *self.setting.id)
        };
        for nic in order.iter().copied().flatten().filter(own) {
            let mut more = self.network().addresses_of([nic]);
            more.retain(|address| !sent.contains(address));
            if !more.is_empty() {
                let (interface, addresses) = (nic.clone(), more);
                against.push(Refusal::InterfaceHasMore { interface, addresses });
            }
        }
        if against.len() > known {
            return None;
        }
        let making = match made {
            Some(made) if left.is_empty() => self.without(made),
            Some(made) => self.changed(made, &left, against)?,
            None if left.is_empty() => make::Making::default(),
            None => self.made(&left, against)?,
        };
        let interface = making.interface.as_ref();
        let interfaces: Vec<ResourceId> =
            order.into_iter().filter_map(|nic| nic.or(interface).cloned()).collect();
        let spoke = self.stored().map(|machine| &machine.primary);
        let primary = spoke.filter(|primary| interfaces.contains(primary)).or(interfaces.first());
        let primary = primary?.clone();
        let of = |nic: &ResourceId| {
            if Some(nic) == interface { left.clone() } else { self.network().addresses_of([nic]) }
        };
        let addresses = interfaces.iter().flat_map(of).collect();
        let make::Making { before, made, after, .. } = making;
        Some(Fit { before, interfaces, primary, made, addresses, after })
    }
}

/// What is wrong with addresses by themselves.
fn unfit(addresses: &[IpAddr]) -> Vec<Refusal> {
    let mut refusals = Vec::new();
    if addresses.is_empty() {
        refusals.push(Refusal::NoAddress);
    }
    let mut seen = BTreeSet::new();
    for address in addresses {
        if let Err(why) = vm_address(*address) {
            refusals.push(Refusal::NotAVmAddress { address: *address, why });
        }
        if !seen.insert(address) {
            refusals.push(Refusal::AddressTwice { address: *address });
        }
    }
    refusals
}
