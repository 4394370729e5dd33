//! A public address, and the interface, load balancer or firewall that has it.

use hourgate_core::resource::{
    Resource, ResourceId, Target, load_balancer::FrontendAddress, public_ip::PublicIpAddress,
};

use super::{Around, Fields, reference};

pub(super) fn fields(
    fields: &mut Fields,
    around: Around<'_>,
    resource: &Resource,
    view: &PublicIpAddress,
) {
    if let Some(address) = view.address {
        fields.text("ipAddress", &address.to_string());
    }
    fields.text("publicIPAddressVersion", &view.family.to_string());
    fields.text("publicIPAllocationMethod", view.allocation.as_str());
    let target = Target::Resource(resource.id.clone());
    let user = around.referrers(&target).find_map(|user| user_of(user, &resource.id));
    if let Some(user) = user {
        fields.push("ipConfiguration", reference(&user));
    }
}

/// The id of the configuration that has it.
fn user_of(user: &Resource, public: &ResourceId) -> Option<String> {
    let of_nic = user.network_interface().and_then(|nic| {
        let mut configurations = nic.configurations.iter();
        let has = configurations.find(|has| has.public_address.as_ref() == Some(public))?;
        Some(format!("{}/ipConfigurations/{}", user.id, has.name))
    });
    let of_balancer = user.load_balancer().and_then(|balancer| {
        let mut frontends = balancer.frontends.iter();
        let has = frontends.find(|has| has.at == FrontendAddress::Public(public.clone()))?;
        Some(format!("{}/frontendIPConfigurations/{}", user.id, has.name))
    });
    let of_firewall = user.firewall().and_then(|firewall| {
        let mut configurations = firewall.configurations.iter();
        let has = configurations.find(|has| has.public_address.as_ref() == Some(public))?;
        Some(format!("{}/azureFirewallIpConfigurations/{}", user.id, has.name))
    });
    of_nic.or(of_balancer).or(of_firewall)
}
