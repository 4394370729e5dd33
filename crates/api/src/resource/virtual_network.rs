//! A virtual network with its subnets, and the interfaces in them.

use hourgate_core::{
    id::Name,
    resource::{Network, Resource, SubnetId, virtual_network::VirtualNetwork},
};

use super::{Document, Fields, Json, SUCCEEDED, reference, texts};
use crate::jit::resource_etag;

pub(super) fn fields(
    fields: &mut Fields,
    network: &Network,
    resource: &Resource,
    view: &VirtualNetwork,
    document: &Document,
) {
    let mut space = Fields::default();
    space.push("addressPrefixes", texts(&view.address_space));
    let kept = document.properties.iter().find(|(name, _)| name == "addressSpace");
    if let Some((_, Json::Object(kept))) = kept {
        space.rest(kept);
    }
    fields.push("addressSpace", space.object());
    let subnets =
        view.subnets.keys().filter_map(|name| subnet(network, resource, name, document)).collect();
    fields.push("subnets", Json::List(subnets));
    // The peerings are given back as sent; what they mean is understood beside.
    if !document.properties.iter().any(|(name, _)| name == "virtualNetworkPeerings") {
        fields.push("virtualNetworkPeerings", Json::List(Vec::new()));
    }
}

pub(super) fn subnet(
    network: &Network,
    resource: &Resource,
    name: &Name,
    document: &Document,
) -> Option<Json> {
    let (name, view) = resource.virtual_network()?.subnets.get_key_value(name)?;
    let part = document.part(name.as_str());
    let mut properties = Fields::default();
    properties.text("provisioningState", SUCCEEDED);
    match view.prefixes.as_slice() {
        [prefix] if !part.lists("addressPrefixes") => {
            properties.text("addressPrefix", &prefix.to_string());
        }
        prefixes => properties.push("addressPrefixes", texts(prefixes)),
    }
    if let Some(group) = &view.security_group {
        properties.reference("networkSecurityGroup", group);
    }
    let id = SubnetId { network: resource.id.clone(), name: name.clone() };
    let used: Vec<Json> = network
        .in_subnet(&id)
        .map(|(nic, is)| reference(&format!("{}/ipConfigurations/{}", nic.id, is.name)))
        .collect();
    if !used.is_empty() {
        properties.push("ipConfigurations", Json::List(used));
    }
    let kept = part.properties.iter().filter(|(name, _)| name != "addressPrefixes");
    properties.rest(&kept.cloned().collect::<Vec<_>>());
    let mut fields = Fields::default();
    fields.text("name", name.as_str());
    fields.text("id", &id.to_string());
    fields.text("etag", &resource_etag(resource));
    fields.text("type", "Microsoft.Network/virtualNetworks/subnets");
    fields.push("properties", properties.object());
    fields.rest(&part.top);
    Some(fields.object())
}
