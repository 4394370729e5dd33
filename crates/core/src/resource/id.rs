//! What resources of the network are called: ids compared without case, kept as they were written.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use crate::{
    id::{Name, NotAResourceId, SubscriptionId, VmId, wildcards},
    nsg::id::{AsgId, GroupId},
};

/// The kinds of resources that are understood.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Kind {
    /// A virtual network with its subnets.
    VirtualNetworks,
    /// A security group with its rules.
    NetworkSecurityGroups,
    /// Machines that share a role.
    ApplicationSecurityGroups,
    /// An address that is reached from outside.
    PublicIpAddresses,
    /// What joins a machine to a network.
    NetworkInterfaces,
    /// A machine.
    VirtualMachines,
    /// What resources are put into: the only kind that lies in nothing but its subscription.
    ResourceGroups,
    /// What leads ports of an address to machines.
    LoadBalancers,
    /// What stands in front of networks.
    AzureFirewalls,
    /// The rules of firewalls.
    FirewallPolicies,
}

impl Kind {
    /// Every one.
    pub const ALL: [Kind; 10] = [
        Kind::VirtualNetworks,
        Kind::NetworkSecurityGroups,
        Kind::ApplicationSecurityGroups,
        Kind::PublicIpAddresses,
        Kind::NetworkInterfaces,
        Kind::VirtualMachines,
        Kind::ResourceGroups,
        Kind::LoadBalancers,
        Kind::AzureFirewalls,
        Kind::FirewallPolicies,
    ];

    /// Its segment of a path, as Azure writes it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Kind::VirtualNetworks => "virtualNetworks",
            Kind::NetworkSecurityGroups => "networkSecurityGroups",
            Kind::ApplicationSecurityGroups => "applicationSecurityGroups",
            Kind::PublicIpAddresses => "publicIPAddresses",
            Kind::NetworkInterfaces => "networkInterfaces",
            Kind::VirtualMachines => "virtualMachines",
            Kind::ResourceGroups => "resourceGroups",
            Kind::LoadBalancers => "loadBalancers",
            Kind::AzureFirewalls => "azureFirewalls",
            Kind::FirewallPolicies => "firewallPolicies",
        }
    }

    /// Its whole name, as Azure writes it.
    pub const fn type_name(self) -> &'static str {
        match self {
            Kind::VirtualNetworks => "Microsoft.Network/virtualNetworks",
            Kind::NetworkSecurityGroups => "Microsoft.Network/networkSecurityGroups",
            Kind::ApplicationSecurityGroups => "Microsoft.Network/applicationSecurityGroups",
            Kind::PublicIpAddresses => "Microsoft.Network/publicIPAddresses",
            Kind::NetworkInterfaces => "Microsoft.Network/networkInterfaces",
            Kind::VirtualMachines => "Microsoft.Compute/virtualMachines",
            Kind::ResourceGroups => "Microsoft.Resources/resourceGroups",
            Kind::LoadBalancers => "Microsoft.Network/loadBalancers",
            Kind::AzureFirewalls => "Microsoft.Network/azureFirewalls",
            Kind::FirewallPolicies => "Microsoft.Network/firewallPolicies",
        }
    }

    /// Whose kind it is, as Azure writes it: the provider in its path.
    pub const fn provider(self) -> &'static str {
        match self {
            Kind::VirtualNetworks
            | Kind::NetworkSecurityGroups
            | Kind::ApplicationSecurityGroups
            | Kind::PublicIpAddresses
            | Kind::NetworkInterfaces
            | Kind::LoadBalancers
            | Kind::AzureFirewalls
            | Kind::FirewallPolicies => "Microsoft.Network",
            Kind::VirtualMachines => "Microsoft.Compute",
            Kind::ResourceGroups => "Microsoft.Resources",
        }
    }

    /// The kind of that segment behind that provider, compared without case. Resource groups stand behind none.
    pub fn of(provider: &str, segment: &str) -> Option<Kind> {
        let same = |kind: &Kind| {
            *kind != Kind::ResourceGroups
                && kind.provider().eq_ignore_ascii_case(provider)
                && kind.as_str().eq_ignore_ascii_case(segment)
        };
        Kind::ALL.into_iter().find(same)
    }
}

/// A resource's id.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ResourceId {
    /// Its subscription.
    pub subscription: SubscriptionId,
    /// Its resource group; a group's is itself.
    pub group: Name,
    /// What it is.
    pub kind: Kind,
    /// Its name.
    pub name: Name,
}

/// A subnet's id: it is part of its network.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct SubnetId {
    /// The network.
    // INVARIANT: of the kind of virtual networks, where it was read from a text.
    pub network: ResourceId,
    /// Its name.
    pub name: Name,
}

/// The id of an inbound NAT rule: it is part of its load balancer.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct InboundNatRuleId {
    /// The load balancer.
    // INVARIANT: of the kind of load balancers, where it was read from a text.
    pub balancer: ResourceId,
    /// Its name.
    pub name: Name,
}

/// What a resource can refer to.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Target {
    /// A resource.
    Resource(ResourceId),
    /// A subnet of a network.
    Subnet(SubnetId),
    /// An inbound NAT rule of a load balancer.
    InboundNatRule(InboundNatRuleId),
}

impl Target {
    /// The resource that is, or holds, the target.
    pub fn resource(&self) -> &ResourceId {
        match self {
            Target::Resource(id) => id,
            Target::Subnet(subnet) => &subnet.network,
            Target::InboundNatRule(rule) => &rule.balancer,
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Target::Resource(id) => id.fmt(f),
            Target::Subnet(id) => id.fmt(f),
            Target::InboundNatRule(id) => id.fmt(f),
        }
    }
}

impl fmt::Display for ResourceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ResourceId { subscription, group, kind, name } = self;
        let home = format_args!("/subscriptions/{subscription}/resourceGroups");
        if *kind == Kind::ResourceGroups {
            return write!(f, "{home}/{name}");
        }
        write!(f, "{home}/{group}/providers/{}/{name}", kind.type_name())
    }
}

impl fmt::Display for SubnetId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/subnets/{}", self.network, self.name)
    }
}

impl fmt::Display for InboundNatRuleId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/inboundNatRules/{}", self.balancer, self.name)
    }
}

impl FromStr for ResourceId {
    type Err = NotAResourceId;

    fn from_str(text: &str) -> Result<ResourceId, NotAResourceId> {
        if let Ok([subscription, group]) =
            wildcards(text, ["subscriptions", "*", "resourceGroups", "*"].into_iter())
        {
            return id(subscription, group, Some(Kind::ResourceGroups), group);
        }
        let segments = ["subscriptions", "*", "resourceGroups", "*", "providers", "*", "*", "*"];
        let [subscription, group, provider, kind, name] = wildcards(text, segments.into_iter())?;
        id(subscription, group, Kind::of(provider, kind), name)
    }
}

impl FromStr for SubnetId {
    type Err = NotAResourceId;

    fn from_str(text: &str) -> Result<SubnetId, NotAResourceId> {
        let segments =
            ["subscriptions", "*", "resourceGroups", "*", "providers", "Microsoft.Network"];
        let [subscription, group, network, name] =
            wildcards(text, segments.into_iter().chain(["virtualNetworks", "*", "subnets", "*"]))?;
        let network = id(subscription, group, Some(Kind::VirtualNetworks), network)?;
        Ok(SubnetId { network, name: name.parse().map_err(|_| NotAResourceId)? })
    }
}

impl FromStr for InboundNatRuleId {
    type Err = NotAResourceId;

    fn from_str(text: &str) -> Result<InboundNatRuleId, NotAResourceId> {
        let segments =
            ["subscriptions", "*", "resourceGroups", "*", "providers", "Microsoft.Network"];
        let [subscription, group, balancer, name] = wildcards(
            text,
            segments.into_iter().chain(["loadBalancers", "*", "inboundNatRules", "*"]),
        )?;
        let balancer = id(subscription, group, Some(Kind::LoadBalancers), balancer)?;
        Ok(InboundNatRuleId { balancer, name: name.parse().map_err(|_| NotAResourceId)? })
    }
}

impl TryFrom<String> for InboundNatRuleId {
    type Error = &'static str;

    fn try_from(text: String) -> Result<InboundNatRuleId, &'static str> {
        text.parse().map_err(|NotAResourceId| "not an inbound NAT rule's id")
    }
}

impl From<InboundNatRuleId> for String {
    fn from(id: InboundNatRuleId) -> String {
        id.to_string()
    }
}

fn id(
    subscription: &str,
    group: &str,
    kind: Option<Kind>,
    name: &str,
) -> Result<ResourceId, NotAResourceId> {
    Ok(ResourceId {
        subscription: subscription.parse().map_err(|_| NotAResourceId)?,
        group: group.parse().map_err(|_| NotAResourceId)?,
        kind: kind.ok_or(NotAResourceId)?,
        name: name.parse().map_err(|_| NotAResourceId)?,
    })
}

impl TryFrom<String> for ResourceId {
    type Error = &'static str;

    fn try_from(text: String) -> Result<ResourceId, &'static str> {
        text.parse().map_err(|NotAResourceId| "not a resource id")
    }
}

impl From<ResourceId> for String {
    fn from(id: ResourceId) -> String {
        id.to_string()
    }
}

impl TryFrom<String> for SubnetId {
    type Error = &'static str;

    fn try_from(text: String) -> Result<SubnetId, &'static str> {
        text.parse().map_err(|NotAResourceId| "not a subnet's id")
    }
}

impl From<SubnetId> for String {
    fn from(id: SubnetId) -> String {
        id.to_string()
    }
}

impl From<&GroupId> for ResourceId {
    fn from(id: &GroupId) -> ResourceId {
        let (subscription, group, name) = id.parts();
        ResourceId { subscription, group, kind: Kind::NetworkSecurityGroups, name }
    }
}

impl From<&AsgId> for ResourceId {
    fn from(id: &AsgId) -> ResourceId {
        let (subscription, group, name) = id.parts();
        ResourceId { subscription, group, kind: Kind::ApplicationSecurityGroups, name }
    }
}

impl ResourceId {
    /// The id of a resource group.
    pub fn of_group(subscription: SubscriptionId, group: Name) -> ResourceId {
        ResourceId { subscription, kind: Kind::ResourceGroups, name: group.clone(), group }
    }
}

impl From<&VmId> for ResourceId {
    fn from(id: &VmId) -> ResourceId {
        let VmId { subscription, group, name } = id.clone();
        ResourceId { subscription, group, kind: Kind::VirtualMachines, name }
    }
}

impl ResourceId {
    /// As the id of a machine, if it is one's.
    pub fn virtual_machine(&self) -> Option<VmId> {
        let ResourceId { subscription, group, kind, name } = self.clone();
        (kind == Kind::VirtualMachines).then_some(VmId { subscription, group, name })
    }

    /// As the id of a security group, if it is one's.
    pub fn security_group(&self) -> Option<GroupId> {
        let ResourceId { subscription, group, kind, name } = self;
        (*kind == Kind::NetworkSecurityGroups)
            .then(|| GroupId::of_parts(*subscription, group.clone(), name.clone()))
    }

    /// As the id of an application security group, if it is one's.
    pub fn asg(&self) -> Option<AsgId> {
        let ResourceId { subscription, group, kind, name } = self;
        (*kind == Kind::ApplicationSecurityGroups)
            .then(|| AsgId::of_parts(*subscription, group.clone(), name.clone()))
    }
}
