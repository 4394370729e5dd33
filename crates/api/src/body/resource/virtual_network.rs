//! Virtual networks and their subnets.

use hourgate_core::{
    nsg::id::GroupId,
    resource::{
        ResourceId,
        virtual_network::{Subnet, VirtualNetworkDraft},
    },
};

use super::{
    super::{
        json::Json,
        object::{Object, Problems},
        value::list,
    },
    Document, OVERLOOKED, Part,
    value::{name, one_or_many, prefixes, reference, referred, resource_name},
};

/// What only the server says of a subnet.
const SUBNET_OVERLOOKED: [&str; 7] = [
    "provisioningState",
    "ipConfigurations",
    "ipConfigurationProfiles",
    "privateEndpoints",
    "resourceNavigationLinks",
    "serviceAssociationLinks",
    "purpose",
];

pub(super) fn read(
    properties: &mut Object,
    document: &mut Document,
    problems: &mut Problems,
) -> Option<VirtualNetworkDraft> {
    let needed = "an object with 'addressPrefixes'";
    let space = properties.required("addressSpace", needed, problems).and_then(|json| {
        let path = properties.path_of("addressSpace");
        let mut object = Object::of(json, &path, problems)?;
        let sent = one_or_many(&mut object, ("addressPrefix", "addressPrefixes"), problems);
        let path = object.path_of("addressPrefixes");
        let rest = object.rest();
        if !rest.is_empty() {
            document.properties.push(("addressSpace".to_owned(), Json::Object(rest)));
        }
        prefixes(sent?.0, &path, problems)
    });
    let subnets = properties.optional("subnets").map_or(Some(None), |json| {
        let path = properties.path_of("subnets");
        let items = list(json, &path, "a list of subnets", problems)?;
        let count = items.len();
        let mut subnets = Vec::new();
        for (path, json) in items {
            let Some(mut object) = Object::of(json, &path, problems) else { continue };
            let name = name(&mut object, problems)
                .and_then(|sent| resource_name(&sent, &object.path_of("name"), problems));
            let read = of_object(object, problems);
            if let (Some(name), Some((subnet, part))) = (name, read) {
                document.set_part(name.as_str(), part);
                subnets.push((name, subnet));
            }
        }
        (subnets.len() == count).then_some(Some(subnets))
    });
    let peers = peers(properties, document, problems);
    Some(VirtualNetworkDraft { address_space: space?, subnets: subnets?, peers: peers? })
}

/// The networks it is joined to. The peerings themselves, with their switches, are given back as sent.
fn peers(
    properties: &mut Object,
    document: &mut Document,
    problems: &mut Problems,
) -> Option<Vec<ResourceId>> {
    let Some(sent) = properties.optional("virtualNetworkPeerings") else { return Some(Vec::new()) };
    let path = properties.path_of("virtualNetworkPeerings");
    if sent != Json::List(Vec::new()) {
        document.properties.push(("virtualNetworkPeerings".to_owned(), sent.clone()));
    }
    let items = list(sent, &path, "a list of peerings", problems)?;
    let count = items.len();
    let read: Vec<ResourceId> = items
        .into_iter()
        .filter_map(|(path, json)| {
            let mut object = Object::of(json, &path, problems)?;
            let inner = object.required("properties", "a peering's properties", problems)?;
            let mut inner = Object::of(inner, &object.path_of("properties"), problems)?;
            let needed = "the remote virtual network";
            let remote = inner.required("remoteVirtualNetwork", needed, problems)?;
            reference(remote, &inner.path_of("remoteVirtualNetwork"), "a virtual network", problems)
        })
        .collect();
    (read.len() == count).then_some(read)
}

/// One subnet whose name stands in the path.
pub(super) fn one(json: Json, path: &str, problems: &mut Problems) -> Option<(Subnet, Part)> {
    of_object(Object::of(json, path, problems)?, problems)
}

fn of_object(mut object: Object, problems: &mut Problems) -> Option<(Subnet, Part)> {
    let properties = object.required("properties", "an object with 'addressPrefix'", problems);
    let path = object.path_of("properties");
    object.overlook(&OVERLOOKED);
    let mut part = Part { top: object.rest(), ..Part::default() };
    let mut properties = Object::of(properties?, &path, problems)?;
    properties.overlook(&SUBNET_OVERLOOKED);
    let sent = one_or_many(&mut properties, ("addressPrefix", "addressPrefixes"), problems);
    let listed = sent.as_ref().is_some_and(|(_, listed)| *listed);
    if listed {
        part.properties.push(("addressPrefixes".to_owned(), Json::List(Vec::new())));
    }
    let path = properties.path_of(if listed { "addressPrefixes" } else { "addressPrefix" });
    let prefixes = sent.and_then(|(texts, _)| prefixes(texts, &path, problems));
    let what = "a network security group";
    let group = referred::<GroupId>(&mut properties, "networkSecurityGroup", what, problems);
    part.properties.extend(properties.rest());
    // Some clients send one prefix under both names, and mean it once.
    let mut prefixes = prefixes?;
    if listed {
        prefixes.dedup();
    }
    Some((Subnet { prefixes, security_group: group? }, part))
}
