//! A virtual network with its subnets, and the interfaces in them.

use hourgate_core::{
    id::Name,
    resource::{Resource, SubnetId, virtual_network::VirtualNetwork},
};

use super::{Around, Document, Fields, Json, SUCCEEDED, reference, texts};
use crate::{
    body::{PEERINGS, peering_name},
    jit::resource_etag,
};

pub(super) fn fields(
    fields: &mut Fields,
    around: Around<'_>,
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
        view.subnets.keys().filter_map(|name| subnet(around, resource, name, document)).collect();
    fields.push("subnets", Json::List(subnets));
    let joined = peerings(around, resource, view, document).into_iter().map(|(_, shown)| shown);
    fields.push(PEERINGS, Json::List(joined.collect()));
}

/// What joins a network to others, by their names: as it was sent, and whether the other says so too.
pub(super) fn peerings(
    around: Around<'_>,
    resource: &Resource,
    view: &VirtualNetwork,
    document: &Document,
) -> Vec<(String, Json)> {
    let kept = document.properties.iter().find(|(name, _)| name == PEERINGS);
    let Some((_, Json::List(kept))) = kept else { return Vec::new() };
    let shown = kept.iter().zip(&view.peers).map(|(sent, peer)| {
        let name = peering_name(sent).unwrap_or_default();
        let Json::Object(sent) = sent else { return (name.to_owned(), sent.clone()) };
        let remote = around.network.get(peer).and_then(|peer| peer.virtual_network());
        // Whether the other is joined to this one is a fact about this one too: flows pass, or they do not.
        let is_joined = remote.is_some_and(|remote| remote.peers.contains(&resource.id));
        let mut properties = Fields::default();
        properties.text("provisioningState", SUCCEEDED);
        properties.text("peeringState", if is_joined { "Connected" } else { "Initiated" });
        let inner = sent.iter().find(|(key, _)| key.eq_ignore_ascii_case("properties"));
        if let Some((_, Json::Object(inner))) = inner {
            properties.rest(inner);
        }
        let mut fields = Fields::default();
        fields.text("name", name);
        fields.text("id", &format!("{}/{PEERINGS}/{name}", resource.id));
        fields.text("etag", &resource_etag(resource));
        fields.text("type", "Microsoft.Network/virtualNetworks/virtualNetworkPeerings");
        fields.push("properties", properties.object());
        fields.rest(sent);
        (name.to_owned(), fields.object())
    });
    shown.collect()
}

pub(super) fn subnet(
    around: Around<'_>,
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
    let used: Vec<Json> = around
        .network
        .in_subnet(&id)
        .filter(|(nic, _)| (around.sees)(&nic.id))
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
