//! Who asks, and what they may call.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{id::Name, personal::Personal, resource::Kind};

/// Who somebody is, whatever they are called today: an object id, later issuer and subject.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PersonId(pub String);

/// Somebody as rows and log remember them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Person {
    /// Who.
    pub id: PersonId,
    /// What they were called when they asked.
    pub name: Personal,
    /// Their sign-in name; a service has none.
    pub upn: Option<Personal>,
}

/// The address a call came from, and whether it may stand for the caller's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum OwnAddress {
    /// The caller's, as the server saw it.
    Seen(IpAddr),
    /// Seen, but it is loopback, a proxy's, the server's or a guard's own: it names nobody.
    Nobodys(IpAddr),
}

impl OwnAddress {
    /// What the server saw, whoever's it is.
    pub fn seen(self) -> IpAddr {
        match self {
            OwnAddress::Seen(address) | OwnAddress::Nobodys(address) => address,
        }
    }

    /// The caller's own address, if it is known to be theirs.
    pub fn own(self) -> Option<IpAddr> {
        match self {
            OwnAddress::Seen(address) => Some(address),
            OwnAddress::Nobodys(_) => None,
        }
    }
}

/// Who is asking, from where, with which roles. The first argument of every operation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// Who.
    pub person: Person,
    /// From where.
    pub address: OwnAddress,
    /// What they may, and where.
    pub assignments: Vec<Assignment>,
}

/// A role at a scope.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Assignment {
    /// What may be done.
    pub role: Role,
    /// Where, and below.
    pub scope: Scope,
}

/// A set of actions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Role {
    /// Everything.
    Owner,
}

impl Role {
    /// As Azure calls it.
    pub fn name(self) -> &'static str {
        match self {
            Role::Owner => "Owner",
        }
    }
}

/// Where an action is done: a subscription, or a resource group in it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Scope {
    /// The subscription.
    pub subscription: Uuid,
    /// The group; without one, the whole subscription.
    pub group: Option<Name>,
}

impl Scope {
    fn holds(&self, inner: &Scope) -> bool {
        self.subscription == inner.subscription
            && (self.group.is_none() || self.group == inner.group)
    }
}

/// What can be called.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Action {
    /// See JIT policies and requests.
    PolicyRead,
    /// Set a JIT policy.
    PolicyWrite,
    /// Remove a JIT policy.
    PolicyDelete,
    /// Ask for access.
    Initiate,
    /// End an access, one's own or another's.
    Close,
    /// See guards and what they report.
    GuardRead,
    /// See the plans of a subscription.
    PricingRead,
    /// Turn a plan on or off.
    PricingWrite,
    /// See which machines can have just-in-time access.
    EligibilityRead,
    /// Do something to a resource, or to a part of it. To set a VM is also to have a policy cover it.
    Network(NetworkThing, Verb),
    /// See the rules that hold for a network interface.
    EffectiveGroups,
    /// See network watchers.
    WatcherRead,
    /// Ask a network watcher whether a flow would pass.
    VerifyFlow,
}

/// What in the network an action is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum NetworkThing {
    /// A resource of a kind.
    Of(Kind),
    /// A subnet.
    Subnet,
    /// A rule of a security group.
    SecurityRule,
    /// A group of rules of a firewall's policy.
    RuleCollectionGroup,
    /// A port of a load balancer that leads to one machine.
    InboundNatRule,
    /// What joins a network to another.
    Peering,
}

/// What is done to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Verb {
    /// See it.
    Read,
    /// Set it.
    Write,
    /// Remove it.
    Delete,
    /// Have something else refer to it.
    Join,
}

impl Action {
    /// See VMs.
    pub const VM_READ: Action =
        Action::Network(NetworkThing::Of(Kind::VirtualMachines), Verb::Read);
    /// Set a VM, or have a policy cover it.
    pub const VM_WRITE: Action =
        Action::Network(NetworkThing::Of(Kind::VirtualMachines), Verb::Write);

    /// Azure's name of the action, or ours in its style.
    pub fn name(self) -> &'static str {
        match self {
            Action::PolicyRead => "Microsoft.Security/locations/jitNetworkAccessPolicies/read",
            Action::PolicyWrite => "Microsoft.Security/locations/jitNetworkAccessPolicies/write",
            Action::PolicyDelete => "Microsoft.Security/locations/jitNetworkAccessPolicies/delete",
            Action::Initiate => {
                "Microsoft.Security/locations/jitNetworkAccessPolicies/initiate/action"
            }
            Action::Close => "Hourgate.Access/requests/close/action",
            Action::GuardRead => "Hourgate.Access/guards/read",
            Action::PricingRead => "Microsoft.Security/pricings/read",
            Action::PricingWrite => "Microsoft.Security/pricings/write",
            Action::EligibilityRead => "Hourgate.Access/eligibility/read",
            Action::Network(thing, verb) => network_action(thing, verb),
            Action::EffectiveGroups => {
                "Microsoft.Network/networkInterfaces/effectiveNetworkSecurityGroups/action"
            }
            Action::WatcherRead => "Microsoft.Network/networkWatchers/read",
            Action::VerifyFlow => "Microsoft.Network/networkWatchers/ipFlowVerify/action",
        }
    }
}

/// Azure's names; what is joined has a verb of its own for each kind.
const fn network_action(thing: NetworkThing, verb: Verb) -> &'static str {
    let [read, write, delete, join] = match thing {
        NetworkThing::Of(Kind::VirtualNetworks) => [
            "Microsoft.Network/virtualNetworks/read",
            "Microsoft.Network/virtualNetworks/write",
            "Microsoft.Network/virtualNetworks/delete",
            "Microsoft.Network/virtualNetworks/peer/action",
        ],
        NetworkThing::Of(Kind::NetworkSecurityGroups) => [
            "Microsoft.Network/networkSecurityGroups/read",
            "Microsoft.Network/networkSecurityGroups/write",
            "Microsoft.Network/networkSecurityGroups/delete",
            "Microsoft.Network/networkSecurityGroups/join/action",
        ],
        NetworkThing::Of(Kind::ApplicationSecurityGroups) => [
            "Microsoft.Network/applicationSecurityGroups/read",
            "Microsoft.Network/applicationSecurityGroups/write",
            "Microsoft.Network/applicationSecurityGroups/delete",
            "Microsoft.Network/applicationSecurityGroups/joinIpConfiguration/action",
        ],
        NetworkThing::Of(Kind::PublicIpAddresses) => [
            "Microsoft.Network/publicIPAddresses/read",
            "Microsoft.Network/publicIPAddresses/write",
            "Microsoft.Network/publicIPAddresses/delete",
            "Microsoft.Network/publicIPAddresses/join/action",
        ],
        NetworkThing::Of(Kind::NetworkInterfaces) => [
            "Microsoft.Network/networkInterfaces/read",
            "Microsoft.Network/networkInterfaces/write",
            "Microsoft.Network/networkInterfaces/delete",
            "Microsoft.Network/networkInterfaces/join/action",
        ],
        NetworkThing::Of(Kind::VirtualMachines) => [
            "Microsoft.Compute/virtualMachines/read",
            "Microsoft.Compute/virtualMachines/write",
            "Microsoft.Compute/virtualMachines/delete",
            // Nothing refers to a machine.
            "Microsoft.Compute/virtualMachines/write",
        ],
        NetworkThing::Of(Kind::ResourceGroups) => [
            "Microsoft.Resources/subscriptions/resourceGroups/read",
            "Microsoft.Resources/subscriptions/resourceGroups/write",
            "Microsoft.Resources/subscriptions/resourceGroups/delete",
            // Nothing refers to a group.
            "Microsoft.Resources/subscriptions/resourceGroups/write",
        ],
        NetworkThing::Of(Kind::LoadBalancers) => [
            "Microsoft.Network/loadBalancers/read",
            "Microsoft.Network/loadBalancers/write",
            "Microsoft.Network/loadBalancers/delete",
            "Microsoft.Network/loadBalancers/inboundNatRules/join/action",
        ],
        NetworkThing::Of(Kind::AzureFirewalls) => [
            "Microsoft.Network/azureFirewalls/read",
            "Microsoft.Network/azureFirewalls/write",
            "Microsoft.Network/azureFirewalls/delete",
            // Nothing refers to a firewall.
            "Microsoft.Network/azureFirewalls/write",
        ],
        NetworkThing::Of(Kind::FirewallPolicies) => [
            "Microsoft.Network/firewallPolicies/read",
            "Microsoft.Network/firewallPolicies/write",
            "Microsoft.Network/firewallPolicies/delete",
            "Microsoft.Network/firewallPolicies/join/action",
        ],
        NetworkThing::RuleCollectionGroup => [
            "Microsoft.Network/firewallPolicies/ruleCollectionGroups/read",
            "Microsoft.Network/firewallPolicies/ruleCollectionGroups/write",
            "Microsoft.Network/firewallPolicies/ruleCollectionGroups/delete",
            // Nothing refers to a group of rules.
            "Microsoft.Network/firewallPolicies/join/action",
        ],
        NetworkThing::Subnet => [
            "Microsoft.Network/virtualNetworks/subnets/read",
            "Microsoft.Network/virtualNetworks/subnets/write",
            "Microsoft.Network/virtualNetworks/subnets/delete",
            "Microsoft.Network/virtualNetworks/subnets/join/action",
        ],
        NetworkThing::SecurityRule => [
            "Microsoft.Network/networkSecurityGroups/securityRules/read",
            "Microsoft.Network/networkSecurityGroups/securityRules/write",
            "Microsoft.Network/networkSecurityGroups/securityRules/delete",
            // Nothing refers to a rule.
            "Microsoft.Network/networkSecurityGroups/join/action",
        ],
        NetworkThing::InboundNatRule => [
            "Microsoft.Network/loadBalancers/inboundNatRules/read",
            "Microsoft.Network/loadBalancers/inboundNatRules/write",
            "Microsoft.Network/loadBalancers/inboundNatRules/delete",
            "Microsoft.Network/loadBalancers/inboundNatRules/join/action",
        ],
        NetworkThing::Peering => [
            "Microsoft.Network/virtualNetworks/virtualNetworkPeerings/read",
            "Microsoft.Network/virtualNetworks/virtualNetworkPeerings/write",
            "Microsoft.Network/virtualNetworks/virtualNetworkPeerings/delete",
            "Microsoft.Network/virtualNetworks/peer/action",
        ],
    };
    match verb {
        Verb::Read => read,
        Verb::Write => write,
        Verb::Delete => delete,
        Verb::Join => join,
    }
}

/// Whether the caller may do that there.
pub fn may(caller: &Caller, action: Action, scope: &Scope) -> bool {
    caller.assignments.iter().any(|assignment| {
        assignment.scope.holds(scope)
            && match (assignment.role, action) {
                (Role::Owner, _) => true,
            }
    })
}
