//! Virtual networks and their subnets.

use hourgate_core::{
    id::Name,
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

/// The property that lists what joins a network to others.
pub(crate) const PEERINGS: &str = "virtualNetworkPeerings";
/// What only the server says of a peering, beside its properties and in them.
const PEERING_OVERLOOKED: [&str; 4] = ["id", "etag", "type", "resourceGroup"];
const PEERING_STATES: [&str; 4] =
    ["provisioningState", "peeringState", "peeringSyncLevel", "resourceGuid"];

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

/// The networks it is joined to; the inner none where nothing is said of them. The peerings themselves, with their
/// switches, are given back as sent.
#[expect(
    clippy::option_option,
    reason = "outside: whether it could be read; inside: whether it is there"
)]
fn peers(
    properties: &mut Object,
    document: &mut Document,
    problems: &mut Problems,
) -> Option<Option<Vec<ResourceId>>> {
    let Some(sent) = properties.optional(PEERINGS) else { return Some(None) };
    let path = properties.path_of(PEERINGS);
    let items = list(sent, &path, "a list of peerings", problems)?;
    let count = items.len();
    let read: Vec<(Json, ResourceId)> =
        items.into_iter().filter_map(|(path, json)| peering(json, &path, problems)).collect();
    let whole = read.len() == count;
    let (sent, peers): (Vec<Json>, Vec<ResourceId>) = read.into_iter().unzip();
    set_peerings(document, sent);
    whole.then_some(Some(peers))
}

/// One peering: as it was sent, without what only the server says, and the network that it joins.
pub(super) fn peering(
    json: Json,
    path: &str,
    problems: &mut Problems,
) -> Option<(Json, ResourceId)> {
    let kept = without(json.clone(), &PEERING_OVERLOOKED);
    let mut object = Object::of(json, path, problems)?;
    let inner = object.required("properties", "a peering's properties", problems)?;
    let mut inner = Object::of(inner, &object.path_of("properties"), problems)?;
    let needed = "the remote virtual network";
    let remote = inner.required("remoteVirtualNetwork", needed, problems)?;
    let path = inner.path_of("remoteVirtualNetwork");
    let remote = reference(remote, &path, "a virtual network", problems);
    // Joined, the other's addresses are VirtualNetwork's: to overlook a no would let in what somebody kept out.
    if inner.optional("allowVirtualNetworkAccess") == Some(Json::Flag(false)) {
        let message = "false is not accepted: networks that are joined reach each other here. Send true \
                       (`--allow-vnet-access`), and keep out with rules what shall not come in.";
        problems.value(&inner.path_of("allowVirtualNetworkAccess"), message.to_owned());
    }
    Some((kept, remote?))
}

fn without(json: Json, names: &[&str]) -> Json {
    let Json::Object(pairs) = json else { return json };
    let is_kept = |name: &String| !names.iter().any(|known| known.eq_ignore_ascii_case(name));
    let pairs = pairs.into_iter().filter(|(name, _)| is_kept(name));
    let inner = |(name, value): (String, Json)| match name.eq_ignore_ascii_case("properties") {
        true => (name, without(value, &PEERING_STATES)),
        false => (name, value),
    };
    Json::Object(pairs.map(inner).collect())
}

/// The peerings that are kept of a network, in the order of its peers.
pub(super) fn peerings(document: &Document) -> Vec<Json> {
    let kept = document.properties.iter().find(|(name, _)| name == PEERINGS);
    match kept {
        Some((_, Json::List(items))) => items.clone(),
        Some(_) | None => Vec::new(),
    }
}

/// Keeps these in place of those that were kept.
pub(super) fn set_peerings(document: &mut Document, peerings: Vec<Json>) {
    document.properties.retain(|(name, _)| name != PEERINGS);
    if !peerings.is_empty() {
        document.properties.push((PEERINGS.to_owned(), Json::List(peerings)));
    }
}

/// Where the peering of that name stands among others.
pub(super) fn position(peerings: &[Json], named: &Name) -> Option<usize> {
    peerings.iter().position(|peering| {
        peering_name(peering).is_some_and(|name| name.eq_ignore_ascii_case(named.as_str()))
    })
}

/// What a peering is called.
pub(crate) fn peering_name(peering: &Json) -> Option<&str> {
    let Json::Object(pairs) = peering else { return None };
    let name = pairs.iter().find(|(key, _)| key.eq_ignore_ascii_case("name"));
    match name {
        Some((_, Json::Text(name))) => Some(name),
        Some(_) | None => None,
    }
}

/// A peering with the name that stands in the path.
pub(super) fn named(peering: Json, name: &Name) -> Json {
    let Json::Object(mut pairs) = peering else { return peering };
    pairs.retain(|(key, _)| !key.eq_ignore_ascii_case("name"));
    pairs.insert(0, ("name".to_owned(), Json::Text(name.to_string())));
    Json::Object(pairs)
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
