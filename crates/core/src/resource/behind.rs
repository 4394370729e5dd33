//! The addresses behind a resource: those whose flows meet what it says.

use std::{collections::BTreeSet, net::IpAddr};

use super::{
    id::{ResourceId, SubnetId, Target},
    network::Network,
    network_interface::NetworkInterface,
    view::View,
    virtual_network::VirtualNetwork,
};
use crate::{id::Name, nsg::id::AsgId};

/// Collects addresses out of one network, or of the same one as it was at several times.
pub(super) struct Behind<'a, const TIMES: usize> {
    networks: [&'a Network; TIMES],
    addresses: BTreeSet<IpAddr>,
    /// Groups that were looked at: one can be named in many ways.
    groups: BTreeSet<ResourceId>,
}

impl<'a, const TIMES: usize> Behind<'a, TIMES> {
    pub(super) fn new(networks: [&'a Network; TIMES]) -> Self {
        Self { networks, addresses: BTreeSet::new(), groups: BTreeSet::new() }
    }

    /// What was found.
    pub(super) fn addresses(self) -> BTreeSet<IpAddr> {
        self.addresses
    }

    /// The addresses of an interface.
    pub(super) fn interface(&mut self, nic: &NetworkInterface) {
        self.addresses.extend(nic.configurations.iter().map(|its| its.address));
    }

    /// The addresses behind each security group that names an application security group.
    pub(super) fn asg(&mut self, asg: &AsgId) {
        let target = Target::Resource(asg.into());
        for network in self.networks {
            for by in network.referrers(&target).filter(|by| by.security_group().is_some()) {
                self.group(&by.id);
            }
        }
    }

    /// The addresses of every interface and every subnet that has a security group.
    pub(super) fn group(&mut self, id: &ResourceId) {
        if !self.groups.insert(id.clone()) {
            return;
        }
        let target = Target::Resource(id.clone());
        for network in self.networks {
            for by in network.referrers(&target) {
                match &by.view {
                    View::NetworkInterface(nic) => self.interface(nic),
                    View::VirtualNetwork(its) => {
                        let has = |name: &&Name| group_of(its, name) == Some(id.clone());
                        its.subnets.keys().filter(has).for_each(|name| self.subnet(&by.id, name));
                    }
                    View::SecurityGroup(_)
                    | View::ApplicationSecurityGroup
                    | View::PublicIpAddress(_)
                    | View::VirtualMachine(_)
                    | View::ResourceGroup
                    | View::LoadBalancer(_)
                    | View::Firewall(_)
                    | View::FirewallPolicy(_) => {}
                }
            }
        }
    }

    /// Every address in a network's subnets.
    pub(super) fn all_of(&mut self, id: &ResourceId) {
        for network in
            self.networks.map(|network| network.virtual_network(id)).into_iter().flatten()
        {
            network.subnets.keys().for_each(|name| self.subnet(id, name));
        }
    }

    /// Every address in one subnet.
    pub(super) fn subnet(&mut self, network: &ResourceId, name: &Name) {
        let id = SubnetId { network: network.clone(), name: name.clone() };
        for network in self.networks {
            self.addresses.extend(network.in_subnet(&id).map(|(_, its)| its.address));
        }
    }
}

/// The group of a subnet.
pub(super) fn group_of(network: &VirtualNetwork, subnet: &Name) -> Option<ResourceId> {
    network.subnets.get(subnet)?.security_group.as_ref().map(ResourceId::from)
}
