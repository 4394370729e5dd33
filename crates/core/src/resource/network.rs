//! All resources together: who refers to what, which addresses are in use, and what a flow meets.

use std::{collections::BTreeSet, net::IpAddr, sync::Arc};

use ipnet::IpNet;

use super::{
    id::{Kind, ResourceId, SubnetId, Target},
    network_interface::IpConfiguration,
    shelves::Shelves,
    view::{Resource, asgs_of},
    virtual_network::{Subnet, VirtualNetwork},
};
use crate::{
    id::Name,
    nsg::{group::SecurityGroup, id::GroupId, judge::Layers, surroundings::Surroundings},
};

/// How many resources there may be: all of them are in memory.
pub const RESOURCES_MAX: usize = 100_000;

/// Every resource there is. Shared by whoever looks at it: a change makes a copy of what it changes, not of
/// the rest.
///
/// What is kept beside the resources follows from them alone, so two that hold the same are the same.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Network {
    resources: Shelves<ResourceId, Arc<Resource>>,
    referrers: Shelves<Target, Arc<BTreeSet<ResourceId>>>,
    /// The interfaces' addresses. Azure has an address once in each network; here it is one interface's
    /// altogether, as it is one VM's, because a guard tells machines apart by it.
    addresses: Shelves<IpAddr, ResourceId>,
}

impl Network {
    /// Sets a resource.
    pub fn put(&mut self, resource: Arc<Resource>) {
        self.remove(&resource.id);
        for target in resource.view.references() {
            let mut referrers = self.referrers.get(&target).cloned().unwrap_or_default();
            Arc::make_mut(&mut referrers).insert(resource.id.clone());
            self.referrers.insert(target, referrers);
        }
        for address in addresses(&resource) {
            self.addresses.insert(address, resource.id.clone());
        }
        self.resources.insert(resource.id.clone(), resource);
    }

    /// Whether there is a resource group of that name: made by hand, or because something is in it.
    pub fn has_group(&self, group: &Name) -> bool {
        self.all().any(|resource| resource.id.group == *group)
    }

    /// Takes a resource away.
    pub fn remove(&mut self, id: &ResourceId) -> Option<Arc<Resource>> {
        let gone = self.resources.remove(id)?;
        for target in gone.view.references() {
            if let Some(mut referrers) = self.referrers.remove(&target) {
                Arc::make_mut(&mut referrers).remove(id);
                if !referrers.is_empty() {
                    self.referrers.insert(target, referrers);
                }
            }
        }
        for address in addresses(&gone) {
            self.addresses.remove(&address);
        }
        Some(gone)
    }

    /// A resource.
    pub fn get(&self, id: &ResourceId) -> Option<&Arc<Resource>> {
        self.resources.get(id)
    }

    /// All resources, by their ids.
    pub fn all(&self) -> impl Iterator<Item = &Arc<Resource>> {
        self.resources.iter().map(|(_, resource)| resource)
    }

    /// The resources of a kind, of one group or of all.
    pub fn of_kind<'a>(
        &'a self,
        kind: Kind,
        group: Option<&'a Name>,
    ) -> impl Iterator<Item = &'a Arc<Resource>> {
        self.all().filter(move |resource| {
            resource.id.kind == kind && group.is_none_or(|group| resource.id.group == *group)
        })
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.resources.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.resources.len() == 0
    }

    /// Who refers to it.
    pub fn referrers(&self, target: &Target) -> impl Iterator<Item = &Arc<Resource>> {
        let referrers = self.referrers.get(target).map(|referrers| referrers.iter());
        referrers.into_iter().flatten().filter_map(|id| self.get(id))
    }

    /// A virtual network.
    pub fn virtual_network(&self, id: &ResourceId) -> Option<&VirtualNetwork> {
        self.get(id)?.virtual_network()
    }

    /// A subnet.
    pub fn subnet(&self, id: &SubnetId) -> Option<&Subnet> {
        self.virtual_network(&id.network)?.subnets.get(&id.name)
    }

    /// Whether what is referred to exists.
    pub fn holds(&self, target: &Target) -> bool {
        match target {
            Target::Resource(id) => self.resources.contains_key(id),
            Target::Subnet(id) => self.subnet(id).is_some(),
            Target::InboundNatRule(id) => {
                let balancer = self.get(&id.balancer).and_then(|of| of.load_balancer());
                balancer.is_some_and(|balancer| balancer.nat_rule(&id.name).is_some())
            }
        }
    }

    /// The addresses that interfaces have in a subnet, each with its interface.
    pub fn in_subnet<'a>(
        &'a self,
        id: &'a SubnetId,
    ) -> impl Iterator<Item = (&'a Arc<Resource>, &'a IpConfiguration)> {
        // By value: the target is made here.
        let referrers = self.referrers.get(&Target::Subnet(id.clone()));
        let referrers = referrers.map(|referrers| referrers.iter());
        referrers.into_iter().flatten().filter_map(|nic| self.get(nic)).flat_map(move |nic| {
            let configurations = nic.network_interface().map(|n| n.configurations.iter());
            configurations
                .into_iter()
                .flatten()
                .filter(|configuration| configuration.subnet.as_ref() == Some(id))
                .map(move |configuration| (nic, configuration))
        })
    }

    /// The interface that has an address.
    pub fn owner(&self, address: IpAddr) -> Option<&ResourceId> {
        self.addresses.get(&address)
    }

    /// The addresses that interfaces have.
    pub fn interface_addresses(&self) -> impl Iterator<Item = IpAddr> {
        self.addresses.iter().map(|(address, _)| *address)
    }

    /// What the flows of an address meet: the groups, and what names in their rules stand for. None where no
    /// interface has it: then nothing is known of its network, and no group stands before it.
    pub fn around(&self, address: IpAddr) -> Option<(Layers<'_>, Surroundings)> {
        let nic = self.owner(address)?;
        let mut configurations = self.get(nic)?.network_interface()?.configurations.iter();
        let configuration = configurations.find(|its| its.address == address)?;
        self.layers(nic, &configuration.name)
    }

    /// The machine that an interface belongs to.
    pub fn machine_of(&self, nic: &ResourceId) -> Option<&Arc<Resource>> {
        // By value: the target is made here.
        let referrers = self.referrers.get(&Target::Resource(nic.clone()))?;
        let machine = referrers.iter().find(|by| by.kind == Kind::VirtualMachines)?;
        self.get(machine)
    }

    /// The addresses of some interfaces, in their order.
    pub fn addresses_of<'a>(
        &'a self,
        interfaces: impl IntoIterator<Item = &'a ResourceId>,
    ) -> Vec<IpAddr> {
        let resources = interfaces.into_iter().filter_map(|nic| self.get(nic));
        resources.flat_map(|nic| addresses(nic)).collect()
    }

    /// The virtual network that an address is in.
    pub fn within(&self, address: IpAddr) -> Option<ResourceId> {
        let nic = self.owner(address).and_then(|nic| self.get(nic)?.network_interface())?;
        let mut configurations = nic.configurations.iter();
        let configuration = configurations.find(|its| its.address == address)?;
        Some(configuration.subnet.as_ref()?.network.clone())
    }

    /// The networks that a network is joined to: where both say so.
    pub fn joined(&self, id: &ResourceId) -> Vec<ResourceId> {
        let peers = self.virtual_network(id).map(|network| network.peers.iter());
        let both = |peer: &&ResourceId| {
            self.virtual_network(peer).is_some_and(|other| other.peers.contains(id))
        };
        peers.into_iter().flatten().filter(both).cloned().collect()
    }

    /// The groups before an address, the subnet's first; none where no interface has it.
    pub fn groups_before(&self, address: IpAddr) -> impl Iterator<Item = &GroupId> {
        let nic = self.owner(address).and_then(|nic| self.get(nic)?.network_interface());
        let configuration =
            nic.and_then(|nic| nic.configurations.iter().find(|its| its.address == address));
        let subnet = configuration.and_then(|its| self.subnet(its.subnet.as_ref()?));
        let of_subnet = subnet.and_then(|subnet| subnet.security_group.as_ref());
        let of_nic = nic.and_then(|nic| nic.security_group.as_ref());
        of_subnet.into_iter().chain(of_nic)
    }

    /// The addresses of a network and of those joined to it.
    pub fn joined_space(&self, id: &ResourceId) -> Vec<IpNet> {
        let all = [id.clone()].into_iter().chain(self.joined(id));
        let networks =
            all.filter_map(|id| self.virtual_network(&id).map(|n| n.address_space.clone()));
        networks.flatten().collect()
    }

    /// What the flows of an interface's address meet: the groups, and what names in their rules stand for.
    /// None where there is no such interface or configuration.
    pub fn layers(
        &self,
        nic: &ResourceId,
        configuration: &Name,
    ) -> Option<(Layers<'_>, Surroundings)> {
        let nic = self.get(nic)?.network_interface()?;
        let configuration = nic.configuration(configuration)?;
        let group = |id| self.get(&ResourceId::from(id))?.security_group();
        let subnet = configuration.subnet.as_ref();
        let of_subnet = subnet.and_then(|id| self.subnet(id)?.security_group.as_ref());
        let layers = Layers {
            subnet: of_subnet.and_then(group),
            nic: nic.security_group.as_ref().and_then(group),
        };
        let space = subnet.map(|id| self.joined_space(&id.network)).unwrap_or_default();
        let named =
            [layers.subnet, layers.nic].into_iter().flatten().flat_map(SecurityGroup::rules);
        let named: BTreeSet<Target> = named.flat_map(asgs_of).collect();
        let asgs = named
            .iter()
            .filter_map(|target| Some((target.resource().asg()?, self.members(target))));
        Some((layers, Surroundings::new(space, [], asgs)))
    }

    /// The addresses that are in an application security group.
    fn members(&self, asg: &Target) -> Vec<IpAddr> {
        let Some(id) = asg.resource().asg() else { return Vec::new() };
        self.referrers(asg)
            .filter_map(|resource| resource.network_interface())
            .flat_map(|nic| &nic.configurations)
            .filter(|configuration| configuration.asgs.contains(&id))
            .map(|configuration| configuration.address)
            .collect()
    }
}

/// The addresses that a resource takes.
pub(crate) fn addresses(resource: &Resource) -> Vec<IpAddr> {
    let configurations = resource.network_interface().map(|nic| nic.configurations.as_slice());
    configurations.unwrap_or_default().iter().map(|c| c.address).collect()
}
