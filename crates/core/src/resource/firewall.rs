//! What is understood of a firewall in front of networks: its addresses, and the policy it follows.

use serde::{Deserialize, Serialize};

use super::id::{ResourceId, SubnetId, Target};
use crate::id::Name;

/// How many public addresses a firewall may have (Azure's).
pub const CONFIGURATIONS_MAX: usize = 250;
/// What a firewall's subnet is called (Azure's rule).
pub const SUBNET_NAME: &str = "AzureFirewallSubnet";

/// A firewall. Rules that stand in itself, from before there were policies, are kept as they were sent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Firewall {
    /// What it can do.
    pub tier: Tier,
    /// Its addresses, in the order sent. The first says in which subnet it stands.
    pub configurations: Vec<FirewallConfiguration>,
    /// The policy whose rules it follows.
    pub policy: Option<ResourceId>,
}

/// What a firewall can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Tier {
    /// No just-in-time access through it (Azure).
    Basic,
    /// The usual.
    Standard,
    /// With inspection.
    Premium,
}

impl Tier {
    /// Every one.
    pub const ALL: [Tier; 3] = [Tier::Basic, Tier::Standard, Tier::Premium];

    /// As Azure writes it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Tier::Basic => "Basic",
            Tier::Standard => "Standard",
            Tier::Premium => "Premium",
        }
    }
}

/// One address of a firewall.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FirewallConfiguration {
    /// Its name, unique in the firewall.
    pub name: Name,
    /// The subnet it stands in; only the first has one.
    pub subnet: Option<SubnetId>,
    /// The public address.
    pub public_address: Option<ResourceId>,
}

impl Firewall {
    /// Everything it refers to.
    pub fn references(&self) -> Vec<Target> {
        let of_each = self.configurations.iter().flat_map(|configuration| {
            let subnet = configuration.subnet.iter().cloned().map(Target::Subnet);
            subnet.chain(configuration.public_address.iter().cloned().map(Target::Resource))
        });
        of_each.chain(self.policy.iter().cloned().map(Target::Resource)).collect()
    }

    /// The network it stands in.
    pub fn network(&self) -> Option<&ResourceId> {
        let mut subnets = self.configurations.iter().filter_map(|c| c.subnet.as_ref());
        subnets.next().map(|subnet| &subnet.network)
    }
}
