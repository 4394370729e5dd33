//! Why a machine cannot have just-in-time access, in words: those of Azure's portal where it has some.

use hourgate_core::{eligible::Reason, gateway::Unfit};

use super::known::plan_needed;
use crate::text::listed;

/// How many locations one sentence names.
const LOCATIONS_MAX: usize = 100;

/// A word for machines, and a sentence with what would have to change.
pub fn reason(reason: &Reason) -> (&'static str, String) {
    match reason {
        Reason::Plan { subscription } => ("PlanNeeded", plan_needed(*subscription).message),
        Reason::Location { location, accepted } => {
            let accepted: Vec<_> = accepted.iter().collect();
            let accepted = listed(&accepted, LOCATIONS_MAX);
            let message = format!(
                "It is in the location '{location}', and the server's configuration ('locations') accepts \
                 {accepted}."
            );
            ("LocationNotSupported", message)
        }
        Reason::NotCovered => (
            "NotEnforced",
            "No guard covers all its addresses. Configure a guard that covers them.".to_owned(),
        ),
        Reason::UnmanagedDisks => (
            "UnmanagedDisks",
            "Its disks are unmanaged: blobs in a storage account. Move it to managed disks."
                .to_owned(),
        ),
        Reason::NoInterface => (
            "MissingNetworkInterface",
            "An address of it belongs to no network interface. Give the VM one.".to_owned(),
        ),
        Reason::MissingGroup { interface } => {
            let message = format!(
                "Missing NSG: neither '{interface}' nor its subnet has a network security group. Give one of \
                 them a group; `hourgate protect NAME --create-nsg` makes one."
            );
            ("MissingNetworkSecurityGroup", message)
        }
        Reason::UnfitFirewall { firewall, why } => {
            let (lacks, cure) = match why {
                Unfit::BasicTier => {
                    ("is of the Basic tier", "Use one of the Standard or Premium tier.")
                }
                Unfit::NoPolicy => ("has no firewall policy", "Give it one."),
                Unfit::NoPublicAddress => {
                    ("has no public address of the machine's family", "Give it one.")
                }
            };
            let message = format!("The firewall '{firewall}' before it {lacks}. {cure}");
            ("FirewallNotSupported", message)
        }
    }
}

/// The same for somebody who may not read what it names.
pub fn unseen_reason(reason: &Reason) -> (&'static str, String) {
    let (code, message) = self::reason(reason);
    let unseen = match reason {
        Reason::MissingGroup { .. } => {
            "Missing NSG: neither a network interface of it, which you may not see, nor that one's subnet has a \
             network security group."
        }
        Reason::UnfitFirewall { .. } => {
            "The firewall before it, which you may not see, is one that no access can be mapped through."
        }
        Reason::Plan { .. }
        | Reason::Location { .. }
        | Reason::NotCovered
        | Reason::UnmanagedDisks
        | Reason::NoInterface => return (code, message),
    };
    (code, unseen.to_owned())
}
