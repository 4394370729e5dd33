//! What can be called, by Azure's names where Azure has one.

use serde::{Deserialize, Serialize};

use crate::resource::Kind;

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
    /// See a subscription.
    SubscriptionRead,
    /// Do something to role definitions.
    Role(Change),
    /// Do something to role assignments: who is given what.
    Assignment(Change),
    /// Do something to what people may activate, and to how.
    Eligibility(Change),
    /// Do something to people, groups and services: make them known, disable, forget.
    Principal(Change),
    /// Do something to local accounts and to what services sign in with.
    Account(Change),
    /// See other people's sessions, or end them.
    Session(Change),
}

/// What is done to something that is not of the network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Change {
    /// See it.
    Read,
    /// Set it.
    Write,
    /// Remove it.
    Delete,
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

impl NetworkThing {
    /// Every one.
    fn all() -> impl Iterator<Item = NetworkThing> {
        let parts = [
            NetworkThing::Subnet,
            NetworkThing::SecurityRule,
            NetworkThing::RuleCollectionGroup,
            NetworkThing::InboundNatRule,
            NetworkThing::Peering,
        ];
        Kind::ALL.into_iter().map(NetworkThing::Of).chain(parts)
    }
}

impl Action {
    /// Every one.
    pub fn all() -> impl Iterator<Item = Action> {
        let single = [
            Action::PolicyRead,
            Action::PolicyWrite,
            Action::PolicyDelete,
            Action::Initiate,
            Action::Close,
            Action::GuardRead,
            Action::PricingRead,
            Action::PricingWrite,
            Action::EligibilityRead,
            Action::EffectiveGroups,
            Action::WatcherRead,
            Action::VerifyFlow,
            Action::SubscriptionRead,
        ];
        let kinds: [fn(Change) -> Action; 6] = [
            Action::Role,
            Action::Assignment,
            Action::Eligibility,
            Action::Principal,
            Action::Account,
            Action::Session,
        ];
        let changes = [Change::Read, Change::Write, Change::Delete];
        let changed = kinds.into_iter().flat_map(move |kind| changes.map(kind));
        let verbs = [Verb::Read, Verb::Write, Verb::Delete, Verb::Join];
        let network = NetworkThing::all()
            .flat_map(move |thing| verbs.map(|verb| Action::Network(thing, verb)));
        single.into_iter().chain(changed).chain(network)
    }

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
            Action::SubscriptionRead => "Microsoft.Resources/subscriptions/read",
            Action::Role(Change::Read) => "Microsoft.Authorization/roleDefinitions/read",
            Action::Role(Change::Write) => "Microsoft.Authorization/roleDefinitions/write",
            Action::Role(Change::Delete) => "Microsoft.Authorization/roleDefinitions/delete",
            Action::Assignment(Change::Read) => "Microsoft.Authorization/roleAssignments/read",
            Action::Assignment(Change::Write) => "Microsoft.Authorization/roleAssignments/write",
            Action::Assignment(Change::Delete) => "Microsoft.Authorization/roleAssignments/delete",
            Action::Eligibility(Change::Read) => {
                "Microsoft.Authorization/roleEligibilitySchedules/read"
            }
            Action::Eligibility(Change::Write) => {
                "Microsoft.Authorization/roleEligibilityScheduleRequests/write"
            }
            Action::Eligibility(Change::Delete) => {
                "Microsoft.Authorization/roleEligibilitySchedules/delete"
            }
            Action::Principal(Change::Read) => "Hourgate.Access/principals/read",
            Action::Principal(Change::Write) => "Hourgate.Access/principals/write",
            Action::Principal(Change::Delete) => "Hourgate.Access/principals/delete",
            Action::Account(Change::Read) => "Hourgate.Access/accounts/read",
            Action::Account(Change::Write) => "Hourgate.Access/accounts/write",
            Action::Account(Change::Delete) => "Hourgate.Access/accounts/delete",
            // Not a "read", which every reader may: sessions tell from where people sign in.
            Action::Session(Change::Read) => "Hourgate.Access/sessions/list/action",
            Action::Session(Change::Write) => "Hourgate.Access/sessions/write",
            Action::Session(Change::Delete) => "Hourgate.Access/sessions/delete",
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

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn each_action_stands_in_the_list_once() {
        let all: Vec<Action> = Action::all().collect();
        let distinct: BTreeSet<Action> = all.iter().copied().collect();
        assert_eq!(all.len(), distinct.len());
        assert_eq!(all.len(), 13 + 6 * 3 + (Kind::ALL.len() + 5) * 4);
    }
}
