//! Where each VM, port and address stands in the body that was sent, so that an error can point at it.

use std::{collections::BTreeMap, net::IpAddr};

use hourgate_core::{
    id::{PolicyId, VmId},
    network::Port,
    refusal::At,
    resource::{ResourceDraft, ViewDraft, virtual_machine::Joined},
};

/// Where things stand in a sent body. Of none, where nothing was sent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Positions {
    policy: Option<PolicyId>,
    list: &'static str,
    vms: BTreeMap<VmId, Vec<String>>,
    ports: BTreeMap<(VmId, Port), Vec<PortPosition>>,
    addresses: Vec<IpAddr>,
}

/// Where a port stands, and which of several properties say how long and from where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PortPosition {
    /// The path of the port.
    pub(crate) path: String,
    /// `duration`, `endTimeUtc` or `maxRequestAccessDuration`.
    pub(crate) length: &'static str,
    /// `allowedSourceAddressPrefix` or its plural.
    pub(crate) source: &'static str,
}

impl Positions {
    /// Of a call without a body, or with one that names nothing.
    pub fn none() -> Positions {
        Positions::default()
    }

    /// Of a body that was sent to a policy; `list` is the path of its list of VMs.
    pub(crate) fn of(policy: &PolicyId, list: &'static str) -> Positions {
        Positions { policy: Some(policy.clone()), list, ..Positions::default() }
    }

    /// Of a resource.
    pub fn of_resource(draft: &ResourceDraft) -> Positions {
        let addresses = match &draft.view {
            ViewDraft::VirtualMachine(machine) => match &machine.joined {
                Joined::Addresses(addresses) | Joined::Both { addresses, .. } => addresses.clone(),
                Joined::Interfaces(_) => Vec::new(),
            },
            ViewDraft::VirtualNetwork(_)
            | ViewDraft::SecurityGroup(_)
            | ViewDraft::ApplicationSecurityGroup
            | ViewDraft::ResourceGroup
            | ViewDraft::LoadBalancer(_)
            | ViewDraft::Firewall(_)
            | ViewDraft::FirewallPolicy(_)
            | ViewDraft::PublicIpAddress(_)
            | ViewDraft::NetworkInterface(_) => Vec::new(),
        };
        Positions { addresses, ..Positions::default() }
    }

    /// Takes note of a VM.
    pub(crate) fn vm(&mut self, vm: &VmId, path: &str) {
        self.vms.entry(vm.clone()).or_default().push(path.to_owned());
    }

    /// Takes note of a port of a VM.
    pub(crate) fn port(&mut self, vm: &VmId, port: Port, position: PortPosition) {
        self.ports.entry((vm.clone(), port)).or_default().push(position);
    }

    /// The policy that was asked.
    pub(super) fn policy(&self) -> Option<&PolicyId> {
        self.policy.as_ref()
    }

    /// The list of VMs.
    pub(super) fn list(&self) -> Option<String> {
        (!self.list.is_empty()).then(|| self.list.to_owned())
    }

    /// A property of a VM, where it stands first.
    pub(super) fn of_vm(&self, vm: &VmId, property: &str) -> Option<String> {
        Some(format!("{}.{property}", self.vms.get(vm)?.first()?))
    }

    /// A VM where it stands again.
    pub(super) fn of_vm_again(&self, vm: &VmId) -> Option<String> {
        Some(format!("{}.id", self.vms.get(vm)?.last()?))
    }

    /// A property of a port, where it stands first.
    pub(super) fn of_port(&self, at: &At, property: &str) -> Option<String> {
        Some(format!("{}.{property}", self.first(at)?.path))
    }

    /// What says how long, of a port.
    pub(super) fn of_length(&self, at: &At) -> Option<String> {
        self.of_port(at, self.first(at)?.length)
    }

    /// What says from where, of a port.
    pub(super) fn of_source(&self, at: &At) -> Option<String> {
        self.of_port(at, self.first(at)?.source)
    }

    /// A port where it stands again.
    pub(super) fn of_port_again(&self, at: &At) -> Option<String> {
        Some(format!("{}.number", self.ports.get(&(at.vm.clone(), at.port))?.last()?.path))
    }

    fn first(&self, at: &At) -> Option<&PortPosition> {
        self.ports.get(&(at.vm.clone(), at.port))?.first()
    }

    /// An address, where it stands last.
    pub(super) fn of_address(&self, address: IpAddr) -> Option<String> {
        let index = self.addresses.iter().rposition(|other| *other == address)?;
        Some(format!("properties.privateAddresses[{index}]"))
    }
}
