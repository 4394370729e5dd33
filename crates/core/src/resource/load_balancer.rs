//! What is understood of a load balancer: its addresses, and which of their ports lead to one machine.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use super::id::{InboundNatRuleId, ResourceId, SubnetId, Target};
use crate::{gateway::Carrier, id::Name, network::Port};

/// How many addresses a load balancer may have (Azure's).
pub const FRONTENDS_MAX: usize = 600;
/// How many inbound NAT rules a load balancer may have (Azure's bound for all its rules).
pub const NAT_RULES_MAX: usize = 1_500;

/// A load balancer. Pools, probes and rules that balance are kept as they were sent.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LoadBalancer {
    /// Its addresses, in the order sent.
    pub frontends: Vec<Frontend>,
    /// Ports that lead to one machine, in the order sent. Which machine: the interface says whose
    /// configuration names the rule.
    pub nat_rules: Vec<InboundNatRule>,
}

/// A load balancer's address.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Frontend {
    /// Its name, unique in the load balancer.
    pub name: Name,
    /// Where it is reached.
    pub at: FrontendAddress,
}

/// Where a load balancer is reached.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum FrontendAddress {
    /// At a public address.
    Public(ResourceId),
    /// Within a network.
    Private {
        /// In which subnet.
        subnet: SubnetId,
        /// At which address; none where that is not known.
        address: Option<IpAddr>,
    },
}

/// A port that leads to one machine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InboundNatRule {
    /// Its name, unique in the load balancer.
    pub name: Name,
    /// Of which address.
    pub frontend: Name,
    /// What it carries.
    pub carrier: Carrier,
    /// The port of that address.
    pub port: Port,
    /// The machine's port.
    pub to: Port,
}

impl LoadBalancer {
    /// Everything it refers to.
    pub fn references(&self) -> Vec<Target> {
        let of = |frontend: &Frontend| match &frontend.at {
            FrontendAddress::Public(public) => Target::Resource(public.clone()),
            FrontendAddress::Private { subnet, .. } => Target::Subnet(subnet.clone()),
        };
        self.frontends.iter().map(of).collect()
    }

    /// The address of that name.
    pub fn frontend(&self, name: &Name) -> Option<&Frontend> {
        self.frontends.iter().find(|frontend| frontend.name == *name)
    }

    /// The inbound NAT rule of that name.
    pub fn nat_rule(&self, name: &Name) -> Option<&InboundNatRule> {
        self.nat_rules.iter().find(|rule| rule.name == *name)
    }

    /// Each of its inbound NAT rules as something that is referred to.
    pub fn nat_targets(&self, own: &ResourceId) -> impl Iterator<Item = Target> {
        self.nat_rules.iter().map(|rule| {
            let (balancer, name) = (own.clone(), rule.name.clone());
            Target::InboundNatRule(InboundNatRuleId { balancer, name })
        })
    }
}
