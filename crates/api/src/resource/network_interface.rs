//! A network interface with its addresses.

use hourgate_core::{
    network::Family,
    resource::{
        Resource,
        network_interface::{IpConfiguration, NetworkInterface},
    },
};

use super::{Around, Document, Fields, Json, SUCCEEDED};
use crate::jit::resource_etag;

pub(super) fn fields(
    fields: &mut Fields,
    around: Around<'_>,
    resource: &Resource,
    view: &NetworkInterface,
    document: &Document,
) {
    let configurations =
        view.configurations.iter().map(|is| configuration(resource, is, document)).collect();
    fields.push("ipConfigurations", Json::List(configurations));
    if let Some(group) = &view.security_group {
        fields.reference("networkSecurityGroup", group);
    }
    if let Some(machine) =
        around.network.machine_of(&resource.id).filter(|by| (around.sees)(&by.id))
    {
        fields.reference("virtualMachine", &machine.id);
        let primary = machine.virtual_machine().map(|machine| machine.primary == resource.id);
        fields.push("primary", Json::Flag(primary.unwrap_or_default()));
    }
}

fn configuration(resource: &Resource, is: &IpConfiguration, document: &Document) -> Json {
    let part = document.part(is.name.as_str());
    let mut properties = Fields::default();
    properties.text("provisioningState", SUCCEEDED);
    properties.text("privateIPAddress", &is.address.to_string());
    properties.text("privateIPAllocationMethod", is.allocation.as_str());
    if let Some(subnet) = &is.subnet {
        properties.reference("subnet", subnet);
    }
    if let Some(public) = &is.public_address {
        properties.reference("publicIPAddress", public);
    }
    if !is.asgs.is_empty() {
        properties.references("applicationSecurityGroups", &is.asgs);
    }
    if !is.nat_rules.is_empty() {
        properties.references("loadBalancerInboundNatRules", &is.nat_rules);
    }
    properties.push("primary", Json::Flag(is.primary));
    properties.text("privateIPAddressVersion", &Family::of(is.address).to_string());
    properties.rest(&part.properties);
    let mut fields = Fields::default();
    fields.text("name", is.name.as_str());
    fields.text("id", &format!("{}/ipConfigurations/{}", resource.id, is.name));
    fields.text("etag", &resource_etag(resource));
    fields.text("type", "Microsoft.Network/networkInterfaces/ipConfigurations");
    fields.push("properties", properties.object());
    fields.rest(&part.top);
    fields.object()
}
