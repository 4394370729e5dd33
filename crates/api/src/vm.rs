//! A virtual machine on the wire.

use std::net::IpAddr;

use hourgate_core::{
    id::VmId,
    policy::{Os, Vm},
};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// The type of virtual machines.
pub const VM_TYPE: &str = "Microsoft.Compute/virtualMachines";

/// A VM as an answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct VmResource {
    /// Its name.
    pub name: String,
    /// Its resource id.
    pub id: VmId,
    /// [`VM_TYPE`].
    #[serde(rename = "type")]
    pub resource_type: String,
    /// Where it is.
    pub location: String,
    /// What is known of it.
    pub properties: VmProperties,
}

/// What is known of a VM.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct VmProperties {
    /// Which registration of its name; Azure's `vmId`.
    pub vm_id: Uuid,
    /// `Succeeded`.
    pub provisioning_state: String,
    /// Ours: its private addresses.
    pub private_addresses: Vec<IpAddr>,
    /// Ours, until disks are known: what it runs; absent where that is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub os_type: Option<OsType>,
}

/// What a VM runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum OsType {
    /// Linux.
    Linux,
    /// Windows.
    Windows,
}

impl From<&Vm> for VmResource {
    fn from(vm: &Vm) -> VmResource {
        VmResource {
            name: vm.id.name.to_string(),
            id: vm.id.clone(),
            resource_type: VM_TYPE.to_owned(),
            location: vm.location.to_string(),
            properties: VmProperties {
                vm_id: vm.instance.0,
                provisioning_state: "Succeeded".to_owned(),
                private_addresses: vm.addresses.clone(),
                os_type: match vm.os {
                    Os::Linux => Some(OsType::Linux),
                    Os::Windows => Some(OsType::Windows),
                    Os::Unknown => None,
                },
            },
        }
    }
}

/// The body of a VM's PUT, as our own clients send it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct VmBody {
    /// Where it is.
    pub location: String,
    /// What is known of it.
    pub properties: VmBodyProperties,
}

/// What is known of a VM.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct VmBodyProperties {
    /// Its private addresses.
    pub private_addresses: Vec<IpAddr>,
    /// What it runs; absent where that is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub os_type: Option<OsType>,
}
