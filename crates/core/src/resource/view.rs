//! A resource: what is understood of it, and the rest as it was sent.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{
    firewall::Firewall,
    firewall_policy::{FirewallPolicy, FirewallPolicyDraft},
    id::{Kind, ResourceId, Target},
    load_balancer::LoadBalancer,
    network_interface::{NetworkInterface, NetworkInterfaceDraft},
    public_ip::PublicIpAddress,
    virtual_machine::{VirtualMachine, VirtualMachineDraft},
    virtual_network::{VirtualNetwork, VirtualNetworkDraft},
};
use crate::{
    id::Location,
    nsg::{
        group::SecurityGroup,
        place::Places,
        rule::{RuleDraft, SecurityRule},
        word::Side,
    },
};

/// How many tags a resource may have (Azure's).
pub const TAGS_MAX: usize = 50;
/// Longest name of a tag, in characters (Azure's).
pub const TAG_NAME_CHARS_MAX: usize = 512;
/// Longest value of a tag, in characters (Azure's).
pub const TAG_VALUE_CHARS_MAX: usize = 256;

/// Somebody's words about a resource: texts from others, which whoever shows them escapes.
pub type Tags = BTreeMap<String, String>;

/// A resource.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resource {
    /// Its id, as it was first written.
    pub id: ResourceId,
    /// Which making of that name; Azure's `resourceGuid`.
    pub instance: Uuid,
    /// How often it was set: its ETag.
    pub version: u64,
    /// Where it is.
    pub location: Location,
    /// Words about it.
    // As pairs: an object whose one key is `personal` would be taken for somebody's personal text in the log.
    #[serde(with = "crate::pairs")]
    pub tags: Tags,
    /// What is understood of it.
    pub view: View,
    /// What else was sent, as JSON that is only given back.
    pub document: String,
}

/// What is understood of a resource.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum View {
    /// A virtual network.
    VirtualNetwork(VirtualNetwork),
    /// A security group.
    SecurityGroup(SecurityGroup),
    /// Machines that share a role; who they are, their interfaces say.
    ApplicationSecurityGroup,
    /// A public address.
    PublicIpAddress(PublicIpAddress),
    /// A network interface.
    NetworkInterface(NetworkInterface),
    /// A machine.
    VirtualMachine(VirtualMachine),
    /// A group; what is in it, the ids of resources say.
    ResourceGroup,
    /// A load balancer.
    LoadBalancer(LoadBalancer),
    /// A firewall.
    Firewall(Firewall),
    /// A firewall's policy.
    FirewallPolicy(FirewallPolicy),
}

/// A resource as it was sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResourceDraft {
    /// Which.
    pub id: ResourceId,
    /// Where it is.
    pub location: Location,
    /// Words about it.
    pub tags: Tags,
    /// What is understood of it.
    // INVARIANT: of the kind of `id`.
    pub view: ViewDraft,
    /// What else was sent.
    pub document: String,
}

/// What is understood of a resource that was sent; any of it may be wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ViewDraft {
    /// A virtual network.
    VirtualNetwork(VirtualNetworkDraft),
    /// A security group's rules.
    SecurityGroup(Vec<RuleDraft>),
    /// An application security group.
    ApplicationSecurityGroup,
    /// A public address.
    PublicIpAddress(PublicIpAddress),
    /// A network interface.
    NetworkInterface(NetworkInterfaceDraft),
    /// A machine.
    VirtualMachine(VirtualMachineDraft),
    /// A group.
    ResourceGroup,
    /// A load balancer.
    LoadBalancer(LoadBalancer),
    /// A firewall.
    Firewall(Firewall),
    /// A firewall's policy.
    FirewallPolicy(FirewallPolicyDraft),
}

impl View {
    /// Of which kind of resource.
    pub fn kind(&self) -> Kind {
        match self {
            View::VirtualNetwork(_) => Kind::VirtualNetworks,
            View::SecurityGroup(_) => Kind::NetworkSecurityGroups,
            View::ApplicationSecurityGroup => Kind::ApplicationSecurityGroups,
            View::ResourceGroup => Kind::ResourceGroups,
            View::PublicIpAddress(_) => Kind::PublicIpAddresses,
            View::NetworkInterface(_) => Kind::NetworkInterfaces,
            View::VirtualMachine(_) => Kind::VirtualMachines,
            View::LoadBalancer(_) => Kind::LoadBalancers,
            View::Firewall(_) => Kind::AzureFirewalls,
            View::FirewallPolicy(_) => Kind::FirewallPolicies,
        }
    }

    /// Everything it refers to.
    ///
    /// No cycle can be told but that of networks which are joined to each other, and that one is meant: an
    /// interface refers to subnets, groups, public addresses and load balancers, a load balancer and a firewall
    /// to subnets, public addresses and policies, a subnet and a rule to groups, a machine to interfaces, and
    /// nothing else refers to anything. So whatever follows references ends, if it does not follow peers' peers.
    pub fn references(&self) -> Vec<Target> {
        match self {
            View::VirtualNetwork(network) => {
                let groups = network.subnets.values().filter_map(|s| s.security_group.as_ref());
                let groups = groups.map(ResourceId::from);
                groups.chain(network.peers.iter().cloned()).map(Target::Resource).collect()
            }
            View::SecurityGroup(group) => group.rules().iter().flat_map(asgs_of).collect(),
            View::ApplicationSecurityGroup
            | View::PublicIpAddress(_)
            | View::ResourceGroup
            | View::FirewallPolicy(_) => Vec::new(),
            View::NetworkInterface(nic) => nic.draft().references(),
            View::VirtualMachine(machine) => machine.draft().references(),
            View::LoadBalancer(balancer) => balancer.references(),
            View::Firewall(firewall) => firewall.references(),
        }
    }
}

impl ViewDraft {
    /// Everything it would refer to, as far as it can be read.
    pub fn references(&self) -> Vec<Target> {
        match self {
            ViewDraft::VirtualNetwork(network) => {
                let subnets = network.subnets.iter().flatten();
                let groups = subnets.filter_map(|(_, subnet)| subnet.security_group.as_ref());
                let groups = groups.map(ResourceId::from);
                groups
                    .chain(network.peers.iter().flatten().cloned())
                    .map(Target::Resource)
                    .collect()
            }
            ViewDraft::SecurityGroup(rules) => rules
                .iter()
                .flat_map(|rule| rule.sources.iter().chain(&rule.destinations))
                .filter_map(|place| place.parse().ok())
                .filter(|id: &ResourceId| id.kind == Kind::ApplicationSecurityGroups)
                .map(Target::Resource)
                .collect(),
            ViewDraft::ApplicationSecurityGroup
            | ViewDraft::PublicIpAddress(_)
            | ViewDraft::ResourceGroup
            | ViewDraft::FirewallPolicy(_) => Vec::new(),
            ViewDraft::NetworkInterface(nic) => nic.references(),
            ViewDraft::VirtualMachine(machine) => machine.references(),
            ViewDraft::LoadBalancer(balancer) => balancer.references(),
            ViewDraft::Firewall(firewall) => firewall.references(),
        }
    }

    /// As a virtual network, if it is one.
    pub fn virtual_network(&self) -> Option<&VirtualNetworkDraft> {
        if let ViewDraft::VirtualNetwork(its) = self { Some(its) } else { None }
    }

    /// As a network interface, if it is one.
    pub fn network_interface(&self) -> Option<&NetworkInterfaceDraft> {
        if let ViewDraft::NetworkInterface(its) = self { Some(its) } else { None }
    }
}

/// The application security groups that a rule names.
pub(crate) fn asgs_of(rule: &SecurityRule) -> Vec<Target> {
    [Side::Source, Side::Destination]
        .into_iter()
        .filter_map(|side| match rule.places(side) {
            Places::Asgs(asgs) => Some(asgs.as_slice()),
            Places::Any | Places::Tag(_) | Places::Prefixes(_) => None,
        })
        .flatten()
        .map(|asg| Target::Resource(asg.into()))
        .collect()
}

impl Resource {
    /// As it would be sent to stay as it is, so that one part of it can be changed.
    pub fn draft(&self) -> ResourceDraft {
        let view = match &self.view {
            View::VirtualNetwork(network) => ViewDraft::VirtualNetwork(VirtualNetworkDraft {
                address_space: network.address_space.clone(),
                subnets: Some(network.subnets.clone().into_iter().collect()),
                peers: Some(network.peers.clone()),
            }),
            View::SecurityGroup(group) => {
                ViewDraft::SecurityGroup(group.rules().iter().map(SecurityRule::draft).collect())
            }
            View::ApplicationSecurityGroup => ViewDraft::ApplicationSecurityGroup,
            View::ResourceGroup => ViewDraft::ResourceGroup,
            View::PublicIpAddress(public) => ViewDraft::PublicIpAddress(public.clone()),
            View::NetworkInterface(nic) => ViewDraft::NetworkInterface(nic.draft()),
            View::VirtualMachine(machine) => ViewDraft::VirtualMachine(machine.draft()),
            View::LoadBalancer(balancer) => ViewDraft::LoadBalancer(balancer.clone()),
            View::Firewall(firewall) => ViewDraft::Firewall(firewall.clone()),
            View::FirewallPolicy(policy) => {
                let groups = policy.groups.iter();
                let groups = groups.map(|(name, group)| (name.clone(), group.clone())).collect();
                ViewDraft::FirewallPolicy(FirewallPolicyDraft::Groups(groups))
            }
        };
        ResourceDraft {
            id: self.id.clone(),
            location: self.location.clone(),
            tags: self.tags.clone(),
            view,
            document: self.document.clone(),
        }
    }

    /// As a virtual network, if it is one.
    pub fn virtual_network(&self) -> Option<&VirtualNetwork> {
        if let View::VirtualNetwork(its) = &self.view { Some(its) } else { None }
    }

    /// As a security group, if it is one.
    pub fn security_group(&self) -> Option<&SecurityGroup> {
        if let View::SecurityGroup(its) = &self.view { Some(its) } else { None }
    }

    /// As a public address, if it is one.
    pub fn public_ip(&self) -> Option<&PublicIpAddress> {
        if let View::PublicIpAddress(its) = &self.view { Some(its) } else { None }
    }

    /// As a network interface, if it is one.
    pub fn network_interface(&self) -> Option<&NetworkInterface> {
        if let View::NetworkInterface(its) = &self.view { Some(its) } else { None }
    }

    /// As a machine, if it is one.
    pub fn virtual_machine(&self) -> Option<&VirtualMachine> {
        if let View::VirtualMachine(its) = &self.view { Some(its) } else { None }
    }

    /// As a load balancer, if it is one.
    pub fn load_balancer(&self) -> Option<&LoadBalancer> {
        if let View::LoadBalancer(its) = &self.view { Some(its) } else { None }
    }

    /// As a firewall, if it is one.
    pub fn firewall(&self) -> Option<&Firewall> {
        if let View::Firewall(its) = &self.view { Some(its) } else { None }
    }

    /// As a firewall's policy, if it is one.
    pub fn firewall_policy(&self) -> Option<&FirewallPolicy> {
        if let View::FirewallPolicy(its) = &self.view { Some(its) } else { None }
    }
}
