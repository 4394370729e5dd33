//! Refusals in words for somebody who may not read what they name: what is wrong, and nothing about whose it is.

use hourgate_core::{
    named::Named,
    nsg::lockdown::LockdownRefusal,
    refusal::Refusal,
    resource::{ResourceFault, ResourceId},
};

use super::resource;

/// The sentence instead of the one with the names; none where all that is named may be read.
pub(super) fn instead(refusal: &Refusal, sees: &dyn Fn(&Named) -> bool) -> Option<String> {
    let users = refusal.users();
    let seen: Vec<ResourceId> =
        users.iter().filter(|by| sees(&Named::resource(by))).cloned().collect();
    if let Refusal::Resource { fault: ResourceFault::InUse { target, .. }, .. } = refusal
        && seen.len() < users.len()
    {
        return Some(resource::in_use_unseen(target, &seen));
    }
    if refusal.names().iter().all(sees) {
        return None;
    }
    Some(without_names(refusal))
}

#[expect(clippy::wildcard_enum_match_arm, reason = "what has no sentence of its own says nothing")]
fn without_names(refusal: &Refusal) -> String {
    let sentence = match refusal {
        Refusal::Blocked { at, .. } => {
            return format!(
                "A rule of a network security group that you may not see would drop what is asked for on port {} \
                 of '{}', so nothing was opened. Ask whoever administers the network.",
                at.port, at.vm
            );
        }
        Refusal::NoNumber { at, .. } => {
            return format!(
                "A network security group that you may not see has no room for the rule for port {} of '{}'. End \
                 accesses that are no longer needed, or ask whoever administers the network.",
                at.port, at.vm
            );
        }
        Refusal::NoPlace { at, why, .. } => {
            let lacks = match why {
                LockdownRefusal::MissingSecurityGroup => "There is no network security group",
                LockdownRefusal::NoFreeNumber { .. } | LockdownRefusal::GroupFull { .. } => {
                    "A network security group that you may not see has no room"
                }
            };
            return format!(
                "{lacks} for the deny that closes port {} of '{}'. Ask whoever administers the network.",
                at.port, at.vm
            );
        }
        Refusal::MappedPortsFull { at, .. } => {
            return format!(
                "Port {} of '{}' cannot be reached: the firewall in front, which you may not see, has no free port \
                 for it. Ask again when an access has ended.",
                at.port, at.vm
            );
        }
        Refusal::FirewallNotEnforced { at, .. } => {
            return format!(
                "No guard covers the public address of the firewall in front of '{}', which you may not see.",
                at.vm
            );
        }
        Refusal::AddressTaken { address, .. } => {
            return super::address_of_unseen(*address).message;
        }
        Refusal::PortInOtherPolicy { at, .. } => {
            return format!(
                "Port {} of '{}' is held by a policy that you may not see. A port is in one policy.",
                at.port, at.vm
            );
        }
        Refusal::AddressNotOfVm { at, address, .. } => {
            return format!("{address} is no address of '{}'.", at.vm);
        }
        Refusal::NoAddressInFamily { at, source, .. } => {
            return format!(
                "The source {source} cannot reach '{}': it has no address of that family.",
                at.vm
            );
        }
        Refusal::Unsupported { vm, reason } => {
            let (_, why) = super::unseen_reason(reason);
            return format!("'{vm}' cannot have just-in-time access: {why}");
        }
        Refusal::LockWouldBreak { .. } => {
            "That would let somebody through to a port that JIT keeps closed, of a VM or behind a network security \
             group that you may not see, although nobody granted it."
        }
        Refusal::NotEnforced { .. } => {
            "No guard covers all addresses of a VM that you may not see, so nothing would keep its ports closed."
        }
        Refusal::InterfaceHasMore { .. } => {
            "The network interface that has these addresses has others too: a VM has all addresses of its \
             interfaces."
        }
        Refusal::VmHasPolicy { .. } => {
            "A JIT policy holds the VM, so it can neither be unregistered nor change its addresses or location."
        }
        Refusal::Directory { .. } => {
            "The role is given at a scope that you may not see. It must be taken away there first."
        }
        Refusal::Resource { fault, .. } => return of_fault(fault).to_owned(),
        // What names nothing of others is told as it is, and never comes here.
        _ => "Something that you may not see stands against it.",
    };
    sentence.to_owned()
}

#[expect(clippy::wildcard_enum_match_arm, reason = "what has no sentence of its own says nothing")]
fn of_fault(fault: &ResourceFault) -> &'static str {
    match fault {
        ResourceFault::JitRule { .. } => {
            "The rule belongs to a request or a JIT policy that you may not see; it can neither be changed nor \
             deleted as a rule. A network security group may be set with the rule as it was read, or without it: it \
             stays."
        }
        ResourceFault::AddressLeft { .. } => {
            "The subnet cannot lose an address that something has which you may not see."
        }
        ResourceFault::AddressInUse { .. } => {
            "An address of it is already allocated to a resource that you may not see."
        }
        ResourceFault::InterfaceInUse { .. } => {
            "A network interface of it is used by a VM that you may not see."
        }
        ResourceFault::PublicAddressInUse { .. } => {
            "A public address of it is already allocated to a resource that you may not see."
        }
        ResourceFault::NatRuleTaken { .. } => {
            "An inbound NAT rule of it leads to a resource that you may not see already."
        }
        ResourceFault::PeersOverlap { .. } => {
            "The virtual networks cannot be peered because their address spaces overlap."
        }
        ResourceFault::LeadsForAccesses { .. } => {
            "A firewall leads to machines for requests that you may not see, and could not any more."
        }
        ResourceFault::PortLeadsForAccess { .. } => {
            "A DNAT rule is about a port that leads to a machine for a request that you may not see."
        }
        ResourceFault::AddressOutside { .. } => {
            "A private static IP address of it does not belong to the range of its subnet."
        }
        _ => "Something that you may not see stands against it.",
    }
}
