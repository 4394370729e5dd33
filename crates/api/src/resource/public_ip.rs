//! A public address, and the interface that has it.

use hourgate_core::resource::{Network, Resource, Target, public_ip::PublicIpAddress};

use super::{Fields, reference};

pub(super) fn fields(
    fields: &mut Fields,
    network: &Network,
    resource: &Resource,
    view: &PublicIpAddress,
) {
    if let Some(address) = view.address {
        fields.text("ipAddress", &address.to_string());
    }
    fields.text("publicIPAddressVersion", &view.family.to_string());
    fields.text("publicIPAllocationMethod", view.allocation.as_str());
    let target = Target::Resource(resource.id.clone());
    let user = network.referrers(&target).find_map(|nic| {
        let configurations = &nic.network_interface()?.configurations;
        let has =
            configurations.iter().find(|c| c.public_address.as_ref() == Some(&resource.id))?;
        Some(format!("{}/ipConfigurations/{}", nic.id, has.name))
    });
    if let Some(user) = user {
        fields.push("ipConfiguration", reference(&user));
    }
}
