//! What is understood of a virtual machine: what joins it to networks, and what JIT asks of its system and disks.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::id::{ResourceId, Target};
use crate::policy::Os;

/// How many interfaces a machine may have; as many as it may have addresses.
pub const INTERFACES_MAX: usize = crate::policy::ADDRESSES_PER_VM_MAX;

/// What lets everything in that nothing else decides, in the group of a machine that was named by its addresses.
pub const ALLOW_ALL_IN: &str = "HourgateAllowAllInBound";
/// The same for what goes out: the defaults would stop what goes to private addresses of no known network.
pub const ALLOW_ALL_OUT: &str = "HourgateAllowAllOutBound";

/// A virtual machine.
///
/// Its addresses are those of its interfaces, in their order. What JIT knows of a machine
/// ([`crate::policy::Vm`]) follows from this and from them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct VirtualMachine {
    /// What joins it to networks, in the order sent; at least one, each of them its alone.
    pub interfaces: Vec<ResourceId>,
    /// The one it speaks with.
    // INVARIANT: one of `interfaces`.
    pub primary: ResourceId,
    /// What it runs.
    pub os: Os,
    /// Whose its disks are.
    pub storage: Storage,
    /// What was made for it because it was named by its addresses alone. It goes with the machine.
    pub made: Vec<Made>,
}

/// Whose a machine's disks are: JIT is for machines with managed ones (product P18).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Storage {
    /// The platform's.
    Managed,
    /// The owner's: blobs in a storage account.
    Unmanaged,
    /// Nothing was said; of one's own machines there is nothing to say.
    #[default]
    Unknown,
}

/// A resource that was made for a machine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Made {
    /// Its id.
    pub id: ResourceId,
    /// Which making of that name: what somebody else makes under it later is theirs.
    pub instance: Uuid,
}

/// A virtual machine as it was sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VirtualMachineDraft {
    /// What shall join it to networks.
    pub joined: Joined,
    /// What it runs.
    pub os: Os,
    /// Whose its disks are.
    pub storage: Storage,
}

/// What shall join a machine to networks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Joined {
    /// These interfaces, as Azure's clients say it.
    Interfaces(Vec<InterfaceDraft>),
    /// Whatever has these addresses, as our own clients say it; what nothing has gets an interface made for it.
    Addresses(Vec<IpAddr>),
    /// Both, as who reads a machine and sends it back does. What says what stands already says nothing new, so
    /// the other counts; where both are new they have to agree.
    Both {
        /// These interfaces.
        interfaces: Vec<InterfaceDraft>,
        /// And these addresses.
        addresses: Vec<IpAddr>,
    },
}

/// An interface of a machine as it was sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InterfaceDraft {
    /// Which.
    pub id: ResourceId,
    /// Whether the machine shall speak with it; the first, where none is said to be.
    pub primary: bool,
}

impl VirtualMachine {
    /// As it would be sent to stay as it is.
    pub fn draft(&self) -> VirtualMachineDraft {
        let interface =
            |id: &ResourceId| InterfaceDraft { id: id.clone(), primary: *id == self.primary };
        VirtualMachineDraft {
            joined: Joined::Interfaces(self.interfaces.iter().map(interface).collect()),
            os: self.os,
            storage: self.storage,
        }
    }
}

impl VirtualMachineDraft {
    /// Everything it would refer to by name.
    pub fn references(&self) -> Vec<Target> {
        match &self.joined {
            Joined::Interfaces(sent) | Joined::Both { interfaces: sent, .. } => {
                sent.iter().map(|interface| Target::Resource(interface.id.clone())).collect()
            }
            Joined::Addresses(_) => Vec::new(),
        }
    }
}
