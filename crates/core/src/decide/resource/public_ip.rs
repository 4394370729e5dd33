//! What a public address must be: an address that is nobody else's.

use std::net::IpAddr;

use super::Setting;
use crate::{
    network::Family,
    resource::{Kind, ResourceFault, View, public_ip::PublicIpAddress},
};

pub(super) fn view(
    setting: &Setting<'_>,
    sent: &PublicIpAddress,
    faults: &mut Vec<ResourceFault>,
) -> Option<View> {
    let stored = setting.before.and_then(|before| before.public_ip());
    // Azure's clients never send it, so what is left out stays; another family cannot keep it.
    let kept = stored.and_then(|stored| stored.address);
    let kept = kept.filter(|address| Family::of(*address) == sent.family);
    let address = sent.address.or(kept);
    if let Some(address) = address {
        if Family::of(address) != sent.family {
            faults.push(ResourceFault::AddressFamily { address, family: sent.family });
        }
        if unfit(address) {
            faults.push(ResourceFault::AddressUnfit { address });
        }
        let others = setting.network.of_kind(Kind::PublicIpAddresses, None);
        let taken = others
            .filter(|other| other.id != *setting.id)
            .find(|other| other.public_ip().is_some_and(|public| public.address == Some(address)));
        faults.extend(taken.map(|other| ResourceFault::AddressInUse {
            configuration: None,
            address,
            by: other.id.clone(),
        }));
    }
    Some(View::PublicIpAddress(PublicIpAddress { address, ..sent.clone() }))
}

/// Whether nothing can be reached at that address from elsewhere.
pub(super) fn unfit(address: IpAddr) -> bool {
    crate::network::vm_address(address).is_err()
}
