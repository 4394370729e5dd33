//! What can be asked of the rules, parsed and typed; and what must be loaded to decide it.

use std::{collections::BTreeSet, net::IpAddr, time::Duration};

use uuid::Uuid;

use crate::{
    grant::Window,
    id::{Location, Name, PolicyId, RequestId, SubscriptionId, VmId, VmInstance},
    network::{Port, Source},
    nsg::{group::RULES_PER_GROUP_MAX, jit_name::JitName, lockdown::Exceptions},
    plan::Observed,
    policy::{
        AllowedSources, Approval, Os, OtherAddresses, Placement, Protocol, SignInDemand, Widest,
    },
    pricing::Tier,
    resource::{
        Kind, Network, ResourceDraft, ResourceId, ViewDraft,
        network_interface::Wanted,
        virtual_machine::{Joined, VirtualMachineDraft},
    },
    role::{
        Directory, OwnAddress, Person, SignIn, change::DirectoryCommand, principal::PrincipalId,
        scope::Place,
    },
    time::Timestamp,
};

/// Something somebody, or time itself, wants to be so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// Make a machine known by its addresses: as a resource, with what it needs beside it.
    RegisterVm {
        /// Its id.
        id: VmId,
        /// The id of this registration, minted by the caller; unused if the VM is known.
        instance: VmInstance,
        /// Where it is.
        location: Location,
        /// What it runs.
        os: Os,
        /// Its addresses.
        addresses: Vec<IpAddr>,
    },
    /// Forget a machine, and what was made for it.
    UnregisterVm {
        /// Which.
        id: VmId,
    },
    /// Set a policy: replaces its VMs as a whole.
    SetPolicy {
        /// What it shall be.
        draft: PolicyDraft,
        /// Only if it stands so.
        only_if: Precondition,
        /// Go back unless confirmed within this time.
        confirm_within: Option<Duration>,
    },
    /// Keep a policy that waits for confirmation.
    ConfirmPolicy {
        /// Which.
        id: PolicyId,
    },
    /// Remove a policy: its ports are given back.
    RemovePolicy {
        /// Which.
        id: PolicyId,
        /// Only if it stands so.
        only_if: Precondition,
    },
    /// Ask for access.
    Request(Ask),
    /// End what is left of a request.
    End {
        /// Which.
        request: RequestId,
        /// Only these; all where none is named.
        only: Option<BTreeSet<(VmId, Port)>>,
    },
    /// Take note of what a guard saw.
    Observe {
        /// Which guard.
        guard: String,
        /// The VMs whose addresses it speaks of.
        vms: BTreeSet<VmId>,
        /// What it saw.
        observed: Observed,
    },
    /// Set a resource of the network.
    PutResource {
        /// What it shall be.
        draft: Box<ResourceDraft>,
        /// The id of this making, minted by the caller; unused if the resource is known. What is made beside
        /// a machine gets ids that follow from it.
        instance: Uuid,
        /// Only if it stands so.
        only_if: Precondition,
    },
    /// Remove a resource of the network.
    DeleteResource {
        /// Which.
        id: ResourceId,
        /// Only if it stands so.
        only_if: Precondition,
    },
    /// Take a rule of JIT's out of a security group. It goes with what it belongs to and not by itself, so this
    /// is refused; it is asked all the same, so that the log tells of it.
    DeleteJitRule {
        /// The group.
        group: ResourceId,
        /// The rule's name.
        name: Name,
    },
    /// Believe the clock although it lies behind what was committed.
    AcceptClock,
    /// Turn the plan of a subscription on or off.
    SetPricing {
        /// Whose.
        subscription: SubscriptionId,
        /// The tier it shall have.
        tier: Tier,
    },
    /// Change who there is, which roles there are, or who is given which.
    Directory(DirectoryCommand),
    /// Do what time alone demands.
    Tick,
}

/// What must hold of a resource before it is changed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Precondition {
    /// Nothing.
    #[default]
    None,
    /// It exists (`If-Match: *`).
    Exists,
    /// It is this version.
    Version(u64),
    /// It is this making of its name, at this version: what a resource's ETag says. Nothing else has makings.
    Making {
        /// Which making.
        instance: Uuid,
        /// The version.
        version: u64,
    },
    /// It does not exist (`If-None-Match: *`).
    Absent,
}

/// A policy as it was sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicyDraft {
    /// Which.
    pub id: PolicyId,
    /// Azure's `kind`.
    pub kind: Option<String>,
    /// Its VMs in the order sent.
    pub vms: Vec<MemberDraft>,
}

/// A VM of a policy as it was sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemberDraft {
    /// Which.
    pub vm: VmId,
    /// Where the exception is made.
    pub placement: Sent<Placement>,
    /// Its ports in the order sent.
    pub ports: Vec<PortDraft>,
}

/// A port rule as it was sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PortDraft {
    /// Which port.
    pub port: Port,
    /// `TCP` or `*`.
    pub protocol: Protocol,
    /// From where.
    pub allowed: AllowedSources,
    /// For how long at most.
    pub longest: Duration,
    /// On whose approval.
    pub approval: Sent<Approval>,
    /// Whether sessions end with the access.
    pub end_sessions: Sent<bool>,
    /// How wide without approval.
    pub widest_unapproved: Sent<Widest>,
    /// Other people's addresses.
    pub other_addresses: Sent<OtherAddresses>,
    /// What becomes of standing exceptions.
    pub exceptions: Sent<Exceptions>,
    /// How somebody must have signed in.
    pub sign_in: Sent<SignInDemand>,
}

/// A property of our own in a body that clients of Azure's may not know.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Sent<T> {
    /// Not there: what is stored stays.
    #[default]
    Omitted,
    /// `null`: back to the default.
    Cleared,
    /// Set.
    Value(T),
}

impl<T: Copy + Default> Sent<T> {
    /// What holds then, where `stored` held before.
    pub fn over(self, stored: Option<T>) -> T {
        match self {
            Sent::Omitted => stored.unwrap_or_default(),
            Sent::Cleared => T::default(),
            Sent::Value(value) => value,
        }
    }
}

/// A request for access as it was sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ask {
    /// The id it gets, minted by the caller.
    pub id: RequestId,
    /// The policy it is asked of.
    pub policy: PolicyId,
    /// Who asks.
    pub requester: Person,
    /// From where.
    pub address: OwnAddress,
    /// How they signed in; none for a service.
    pub sign_in: Option<SignIn>,
    /// When it shall begin; now where not said.
    pub start: Option<Timestamp>,
    /// Why.
    pub justification: Option<String>,
    /// The ticket.
    pub ticket: Option<String>,
    /// What for.
    pub accesses: Vec<AccessAsk>,
}

/// One VM and port of an ask.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccessAsk {
    /// The VM.
    pub vm: VmId,
    /// The port.
    pub port: Port,
    /// From where; the caller's own address where not said.
    pub source: Option<Source>,
    /// To which addresses of the VM; all of them where not said.
    pub addresses: Option<BTreeSet<IpAddr>>,
    /// How long; the policy's longest where not said.
    pub window: Option<Window>,
}

/// What must be loaded to decide a command, and is written together with it.
///
/// A VM brings its row, its place in every policy, its accesses that are not settled, and the locks
/// released on its addresses.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Needs {
    /// These VMs.
    pub vms: BTreeSet<VmId>,
    /// These policies with all their VMs, also those that a roll-back would bring back.
    pub policies: BTreeSet<PolicyId>,
    /// These policies without their VMs.
    pub heads: BTreeSet<PolicyId>,
    /// These requests with the VMs they name.
    pub requests: BTreeSet<RequestId>,
    /// Who has these addresses.
    pub addresses: BTreeSet<IpAddr>,
    /// The VMs that have these addresses, each as if named, and the locks released on them.
    pub at: BTreeSet<IpAddr>,
    /// Every VM that has an address which a change of this resource may concern.
    pub near: Option<Near>,
    /// Every request of these people with an access that is not settled, with the VMs it names.
    pub people: BTreeSet<PrincipalId>,
    /// Every VM and policy with something that time has ended, begun or rolled back, the VMs that a
    /// roll-back brings back, every VM with an access whose end stands on another boot's clock, and every request
    /// of people who have a role whose time is over.
    pub due: bool,
}

/// A resource that is to change, as far as that says which addresses are concerned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Near {
    /// Which.
    pub id: ResourceId,
    /// What it shall be; none where it is to go.
    pub draft: Option<Box<ResourceDraft>>,
}

impl Command {
    /// What must be loaded to decide it, where this is the network, and these are the people.
    pub fn needs(&self, network: &Network, directory: &Directory) -> Needs {
        let mut needs = Needs::default();
        match self {
            Command::RegisterVm { id, addresses, .. } => {
                needs.vms.insert(id.clone());
                needs.addresses.extend(addresses);
                needs.near = Some(Near { id: id.into(), draft: None });
            }
            Command::UnregisterVm { id } => {
                needs.vms.insert(id.clone());
                needs.near = Some(Near { id: id.into(), draft: None });
            }
            Command::SetPolicy { draft, .. } => {
                needs.policies.insert(draft.id.clone());
                needs.vms.extend(draft.vms.iter().map(|member| member.vm.clone()));
            }
            Command::ConfirmPolicy { id } | Command::RemovePolicy { id, .. } => {
                needs.policies.insert(id.clone());
            }
            Command::Request(ask) => {
                needs.heads.insert(ask.policy.clone());
                needs.requests.insert(ask.id);
                needs.vms.extend(ask.accesses.iter().map(|access| access.vm.clone()));
            }
            Command::End { request, .. } => {
                needs.requests.insert(*request);
            }
            Command::Observe { vms, .. } => needs.vms.clone_from(vms),
            // The network and the plans are always there as a whole; the locks that a change may break are not, and
            // what JIT knows of a machine follows its interfaces.
            Command::PutResource { draft, .. } => {
                needs.requests.extend(echoed(draft));
                needs.near = Some(Near { id: draft.id.clone(), draft: Some(draft.clone()) });
                needs.vms.extend(draft.id.virtual_machine());
                needs
                    .vms
                    .extend(network.machine_of(&draft.id).and_then(|vm| vm.id.virtual_machine()));
                needs.addresses.extend(addresses(&draft.view, network));
            }
            Command::DeleteResource { id, .. } => {
                needs.near = Some(Near { id: id.clone(), draft: None });
                needs.vms.extend(id.virtual_machine());
                if id.kind == Kind::ResourceGroups {
                    let machines = network.of_kind(Kind::VirtualMachines, Some(&id.name));
                    needs.vms.extend(machines.filter_map(|machine| machine.id.virtual_machine()));
                }
            }
            Command::DeleteJitRule { group, .. } => {
                needs.near = Some(Near { id: group.clone(), draft: None });
            }
            Command::AcceptClock | Command::SetPricing { .. } => {}
            Command::Directory(command) => {
                needs.people = directory.concerned_by(command);
                if let DirectoryCommand::Assign(draft) = command
                    && let Place::Policy(id) = draft.scope.place()
                {
                    needs.heads.insert(id);
                }
            }
            Command::Tick => needs.due = true,
        }
        needs
    }
}

/// The addresses that a resource would give a machine, as far as they are named.
fn addresses(view: &ViewDraft, network: &Network) -> Vec<IpAddr> {
    match view {
        ViewDraft::VirtualMachine(VirtualMachineDraft { joined, .. }) => match joined {
            Joined::Interfaces(sent) => network.addresses_of(sent.iter().map(|sent| &sent.id)),
            Joined::Addresses(addresses) => addresses.clone(),
            Joined::Both { interfaces, addresses } => {
                let of_interfaces = network.addresses_of(interfaces.iter().map(|sent| &sent.id));
                of_interfaces.into_iter().chain(addresses.iter().copied()).collect()
            }
        },
        ViewDraft::NetworkInterface(nic) => {
            let named = nic.configurations.iter().filter_map(|sent| match sent.wanted {
                Wanted::Static(address) => Some(address),
                Wanted::Dynamic(_) => None,
            });
            named.collect()
        }
        ViewDraft::VirtualNetwork(_)
        | ViewDraft::SecurityGroup(_)
        | ViewDraft::ApplicationSecurityGroup
        | ViewDraft::ResourceGroup
        | ViewDraft::LoadBalancer(_)
        | ViewDraft::Firewall(_)
        | ViewDraft::FirewallPolicy(_)
        | ViewDraft::PublicIpAddress(_) => Vec::new(),
    }
}

/// The requests whose rules are sent back with a group, which may be over by now. No group has more rules than
/// are looked at.
fn echoed(draft: &ResourceDraft) -> BTreeSet<RequestId> {
    let ViewDraft::SecurityGroup(rules) = &draft.view else { return BTreeSet::new() };
    let names = rules.iter().filter_map(|rule| JitName::of(&rule.name));
    let requests = names.filter_map(|name| match name {
        JitName::Grant { request } => Some(request),
        JitName::Deny { .. } => None,
    });
    requests.take(RULES_PER_GROUP_MAX).collect()
}
