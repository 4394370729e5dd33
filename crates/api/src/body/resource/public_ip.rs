//! Public addresses.

use hourgate_core::{
    network::Family,
    resource::public_ip::{Allocation, PublicIpAddress},
};

use super::super::{
    object::{Object, Problems},
    value::{address, word},
};

/// The words for how an address is given.
pub(super) const ALLOCATIONS: [(&str, Allocation); 2] =
    [("Static", Allocation::Static), ("Dynamic", Allocation::Dynamic)];
/// The words for its family.
pub(super) const FAMILIES: [(&str, Family); 2] = [("IPv4", Family::V4), ("IPv6", Family::V6)];

pub(super) fn read(properties: &mut Object, problems: &mut Problems) -> Option<PublicIpAddress> {
    properties.overlook(&["ipConfiguration"]);
    let allocation = match properties.optional("publicIPAllocationMethod") {
        None => Some(Allocation::Dynamic),
        Some(json) => {
            let path = properties.path_of("publicIPAllocationMethod");
            word(json, &path, &ALLOCATIONS, problems)
        }
    };
    let family = match properties.optional("publicIPAddressVersion") {
        None => Some(Family::V4),
        Some(json) => {
            word(json, &properties.path_of("publicIPAddressVersion"), &FAMILIES, problems)
        }
    };
    let address = match properties.optional("ipAddress") {
        None => Some(None),
        Some(json) => address(json, &properties.path_of("ipAddress"), problems).map(Some),
    };
    Some(PublicIpAddress { address: address?, allocation: allocation?, family: family? })
}
