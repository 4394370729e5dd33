//! What is understood of a network interface: the addresses it gives a machine, and the groups it is in.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use super::{
    id::{InboundNatRuleId, ResourceId, SubnetId, Target},
    public_ip::Allocation,
};
use crate::{
    id::Name,
    network::Family,
    nsg::id::{AsgId, GroupId},
};

/// How many addresses an interface may have (Azure's).
pub const CONFIGURATIONS_MAX: usize = 256;
/// How many application security groups one address may be in (Azure's).
pub const ASGS_PER_CONFIGURATION_MAX: usize = 20;

/// A network interface.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NetworkInterface {
    /// The group through which its flows go, beside its subnet's.
    pub security_group: Option<GroupId>,
    /// Its addresses, in the order sent; at least one, and one of them primary.
    pub configurations: Vec<IpConfiguration>,
}

/// One address of an interface.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct IpConfiguration {
    /// Its name, unique in the interface.
    pub name: Name,
    /// The address.
    pub address: IpAddr,
    /// How it was given.
    pub allocation: Allocation,
    /// Where it is; none for a machine that is known by its address alone.
    pub subnet: Option<SubnetId>,
    /// The public address through which it is reached.
    pub public_address: Option<ResourceId>,
    /// The application security groups that it is in.
    pub asgs: Vec<AsgId>,
    /// The load balancers' inbound NAT rules that lead to it. Not written where there are none, so that what
    /// was stored before there could be any reads as it was sealed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub nat_rules: Vec<InboundNatRuleId>,
    /// Whether it is the one that the interface speaks with.
    pub primary: bool,
}

/// A network interface as it was sent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NetworkInterfaceDraft {
    /// The group through which its flows shall go.
    pub security_group: Option<GroupId>,
    /// Its addresses.
    pub configurations: Vec<IpConfigurationDraft>,
}

/// One address of an interface as it was sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IpConfigurationDraft {
    /// Its name.
    pub name: Name,
    /// Which address.
    pub wanted: Wanted,
    /// Where it is.
    pub subnet: Option<SubnetId>,
    /// The public address through which it is reached.
    pub public_address: Option<ResourceId>,
    /// The application security groups that it is in.
    pub asgs: Vec<AsgId>,
    /// The load balancers' inbound NAT rules that shall lead to it.
    pub nat_rules: Vec<InboundNatRuleId>,
    /// Whether it shall be the one that the interface speaks with.
    pub primary: bool,
}

/// Which address a configuration shall have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// This one.
    Static(IpAddr),
    /// Any of that family: the one it has while it stays in its subnet, else the first that is free.
    Dynamic(Family),
}

impl NetworkInterfaceDraft {
    /// Everything it would refer to.
    pub fn references(&self) -> Vec<Target> {
        let group = self.security_group.iter().map(ResourceId::from).map(Target::Resource);
        let of_each = self.configurations.iter().flat_map(|configuration| {
            let subnet = configuration.subnet.iter().cloned().map(Target::Subnet);
            let public = configuration.public_address.iter().cloned();
            let asgs = configuration.asgs.iter().map(ResourceId::from);
            let rules = configuration.nat_rules.iter().cloned().map(Target::InboundNatRule);
            subnet.chain(public.chain(asgs).map(Target::Resource)).chain(rules)
        });
        group.chain(of_each).collect()
    }
}

impl NetworkInterface {
    /// As it would be sent to stay as it is.
    pub fn draft(&self) -> NetworkInterfaceDraft {
        let configuration = |is: &IpConfiguration| IpConfigurationDraft {
            name: is.name.clone(),
            wanted: match is.allocation {
                Allocation::Static => Wanted::Static(is.address),
                Allocation::Dynamic => Wanted::Dynamic(Family::of(is.address)),
            },
            subnet: is.subnet.clone(),
            public_address: is.public_address.clone(),
            asgs: is.asgs.clone(),
            nat_rules: is.nat_rules.clone(),
            primary: is.primary,
        };
        NetworkInterfaceDraft {
            security_group: self.security_group.clone(),
            configurations: self.configurations.iter().map(configuration).collect(),
        }
    }

    /// The configuration of a name.
    pub fn configuration(&self, name: &Name) -> Option<&IpConfiguration> {
        self.configurations.iter().find(|configuration| configuration.name == *name)
    }

    /// The configuration that the interface speaks with.
    pub fn primary(&self) -> Option<&IpConfiguration> {
        self.configurations.iter().find(|configuration| configuration.primary)
    }
}
