//! Which machines can have just-in-time access, and everything that stands against it for the others.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::{
    gateway::{Front, Unfit, front},
    id::{Location, PolicyId, SubscriptionId},
    policy::{Settings, Vm},
    pricing::Tier,
    resource::{Network, ResourceId, View, virtual_machine::Storage},
    state::State,
};

/// In which of the three lists a machine stands (Azure's portal has these).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Standing {
    /// A policy holds it.
    Configured,
    /// None does, and one could.
    NotConfigured,
    /// None can.
    Unsupported,
}

impl Standing {
    /// As it stands on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Standing::Configured => "Configured",
            Standing::NotConfigured => "NotConfigured",
            Standing::Unsupported => "Unsupported",
        }
    }
}

/// What stands against just-in-time access for a machine.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(tag = "reason", rename_all = "camelCase")]
pub enum Reason {
    /// The subscription's plan is off.
    Plan {
        /// Whose.
        subscription: SubscriptionId,
    },
    /// It is in a location that is not in the configured list.
    Location {
        /// Where it is.
        location: Location,
        /// Where it could be.
        accepted: BTreeSet<Location>,
    },
    /// No guard covers all its addresses.
    NotCovered,
    /// Its disks are the owner's: blobs in a storage account.
    UnmanagedDisks,
    /// No network interface of it is known, so no group can stand before it.
    NoInterface,
    /// Neither an interface of it nor that one's subnet has a security group: there is nothing in which a rule
    /// could be made.
    MissingGroup {
        /// The interface.
        interface: ResourceId,
    },
    /// It is reached through a firewall, and none can be mapped through that one.
    UnfitFirewall {
        /// The firewall.
        firewall: ResourceId,
        /// Why.
        why: Unfit,
    },
}

/// Where a machine stands, and what stands against it. One that a policy holds stays configured whatever came
/// later, and is told what did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Eligibility {
    /// In which list.
    pub standing: Standing,
    /// Why it cannot, each reason once.
    pub reasons: BTreeSet<Reason>,
    /// The policies that hold it.
    pub policies: Vec<PolicyId>,
}

/// Where a machine stands.
pub fn eligibility(state: &State, settings: &Settings, vm: &Vm) -> Eligibility {
    let policies: Vec<PolicyId> =
        state.policies_of(&vm.id).map(|(policy, _)| policy.id.clone()).collect();
    let reasons = reasons(state, settings, vm);
    let standing = match (policies.is_empty(), reasons.is_empty()) {
        (false, _) => Standing::Configured,
        (true, true) => Standing::NotConfigured,
        (true, false) => Standing::Unsupported,
    };
    Eligibility { standing, reasons, policies }
}

/// Everything that stands against just-in-time access for a machine.
pub fn reasons(state: &State, settings: &Settings, vm: &Vm) -> BTreeSet<Reason> {
    let mut reasons = BTreeSet::new();
    if state.tier(settings, vm.id.subscription) == Tier::Free {
        reasons.insert(Reason::Plan { subscription: vm.id.subscription });
    }
    if let Some(accepted) = &settings.locations
        && !accepted.contains(&vm.location)
    {
        let (location, accepted) = (vm.location.clone(), accepted.clone());
        reasons.insert(Reason::Location { location, accepted });
    }
    if settings.guard_of(vm).is_none() {
        reasons.insert(Reason::NotCovered);
    }
    let machine = state.network.get(&ResourceId::from(&vm.id));
    if let Some(View::VirtualMachine(machine)) = machine.map(|resource| &resource.view)
        && machine.storage == Storage::Unmanaged
    {
        reasons.insert(Reason::UnmanagedDisks);
    }
    reasons.extend(of_network(&state.network, vm));
    reasons
}

/// What the network around a machine lacks.
fn of_network(network: &Network, vm: &Vm) -> BTreeSet<Reason> {
    let fronts: Vec<Front> = vm.addresses.iter().map(|address| front(network, *address)).collect();
    // Azure's firewalls translate IPv4 alone: a machine of both families is reached over that one.
    let is_reached = fronts.iter().any(|front| matches!(front, Front::Firewall { .. }));
    let firewalls = fronts.into_iter().filter_map(|front| match front {
        Front::Unfit { why: Unfit::NoPublicAddress, .. } if is_reached => None,
        Front::Unfit { firewall, why } => Some(Reason::UnfitFirewall { firewall, why }),
        Front::Nothing | Front::Firewall { .. } => None,
    });
    vm.addresses
        .iter()
        .filter_map(|address| {
            let Some(interface) = network.owner(*address) else {
                return Some(Reason::NoInterface);
            };
            let (layers, _) = network.around(*address)?;
            let bare = layers.subnet.is_none() && layers.nic.is_none();
            bare.then(|| Reason::MissingGroup { interface: interface.clone() })
        })
        .chain(firewalls)
        .collect()
}
