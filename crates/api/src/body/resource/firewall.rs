//! Firewalls, their policies, and the groups of rules of those.

use hourgate_core::{
    gateway::{Carrier, Place},
    id::Name,
    network::{Port, Source},
    resource::{
        firewall::{Firewall, FirewallConfiguration, Tier},
        firewall_policy::{DnatRule, NatCollection, RuleCollectionGroup},
    },
};
use ipnet::IpNet;

use super::{
    super::{
        json::Json,
        object::{Object, Problems},
        value::{address, list, source, text, whole, word},
    },
    Document, OVERLOOKED, Part,
    parts::{opened, parts},
    value::{name, referred, resource_name},
};
use crate::text::quoted;

const TIERS: [(&str, Tier); 3] =
    [("Standard", Tier::Standard), ("Premium", Tier::Premium), ("Basic", Tier::Basic)];
const CARRIERS: [(&str, Carrier); 2] = [("TCP", Carrier::Tcp), ("UDP", Carrier::Udp)];
/// What only the server says of a firewall.
const FIREWALL_OVERLOOKED: [&str; 3] = ["hubIPAddresses", "ipGroups", "autoscaleConfiguration"];

pub(super) fn read(
    properties: &mut Object,
    document: &mut Document,
    problems: &mut Problems,
) -> Option<Firewall> {
    properties.overlook(&FIREWALL_OVERLOOKED);
    let tier = properties.optional("sku").map_or(Some(Tier::Standard), |json| {
        let mut sku = Object::of(json, &properties.path_of("sku"), problems)?;
        let tier = sku.optional("tier").map_or(Some(Tier::Standard), |json| {
            word(json, &sku.path_of("tier"), &TIERS, problems)
        });
        let rest = sku.rest();
        if !rest.is_empty() {
            document.properties.push(("sku".to_owned(), Json::Object(rest)));
        }
        tier
    });
    let policy = referred(properties, "firewallPolicy", "a firewall policy", problems);
    let needed = "a list of IP configurations";
    let sent = properties.required("ipConfigurations", needed, problems)?;
    let path = properties.path_of("ipConfigurations");
    let configurations = parts(Some(sent), (&path, needed), problems, |name, object, problems| {
        let (configuration, part) = configuration(name, object, problems)?;
        document.set_part(configuration.name.as_str(), part);
        Some(configuration)
    });
    Some(Firewall { tier: tier?, configurations: configurations?, policy: policy? })
}

fn configuration(
    name: Option<Name>,
    object: Object,
    problems: &mut Problems,
) -> Option<(FirewallConfiguration, Part)> {
    let needed = "an IP configuration's properties";
    let (mut properties, mut part) = opened(object, needed, problems)?;
    properties.overlook(&["provisioningState", "privateIPAddress"]);
    let subnet = referred(&mut properties, "subnet", "a subnet", problems);
    let public = referred(&mut properties, "publicIPAddress", "a public IP address", problems);
    part.properties.extend(properties.rest());
    Some((FirewallConfiguration { name: name?, subnet: subnet?, public_address: public? }, part))
}

/// One group of rules whose name stands in the path. All of it is kept as sent beside what is understood.
pub(super) fn group(json: Json, problems: &mut Problems) -> Option<RuleCollectionGroup> {
    let mut object = Object::of(json, "", problems)?;
    let sent = object.required("properties", "the properties of a rule collection group", problems);
    object.overlook(&OVERLOOKED);
    object.close(problems);
    let sent = sent?;
    let text = serde_json::to_string(&sent).ok()?;
    let mut properties = Object::of(sent, "properties", problems)?;
    let priority = properties
        .required("priority", "a number", problems)
        .and_then(|json| number(json, &properties.path_of("priority"), problems));
    let collections = properties.optional("ruleCollections").map_or(Some(Vec::new()), |json| {
        let path = properties.path_of("ruleCollections");
        let items = list(json, &path, "a list of rule collections", problems)?;
        let count = items.len();
        let read: Vec<_> = items
            .into_iter()
            .filter_map(|(path, json)| collection(json, &path, problems))
            .collect();
        (read.len() == count).then(|| read.into_iter().flatten().collect())
    });
    Some(RuleCollectionGroup { priority: priority?, nat: collections?, sent: text })
}

fn number(json: Json, path: &str, problems: &mut Problems) -> Option<u32> {
    // Which are accepted is for the rules to say.
    whole(json, path, 0, u64::from(u32::MAX), problems).and_then(|n| u32::try_from(n).ok())
}

/// A collection of DNAT rules; nothing of one of another kind.
#[expect(
    clippy::option_option,
    reason = "outside: whether it could be read; inside: whether it is DNAT"
)]
fn collection(json: Json, path: &str, problems: &mut Problems) -> Option<Option<NatCollection>> {
    let mut object = Object::of(json, path, problems)?;
    let kind = object
        .required("ruleCollectionType", "the kind of rule collection", problems)
        .and_then(|json| text(json, &object.path_of("ruleCollectionType"), "a text", problems))?;
    if kind != "FirewallPolicyNatRuleCollection" {
        return Some(None);
    }
    let name = name(&mut object, problems)
        .and_then(|sent| resource_name(&sent, &object.path_of("name"), problems));
    let priority = object
        .required("priority", "a number", problems)
        .and_then(|json| number(json, &object.path_of("priority"), problems));
    let action = object.required("action", "an object with 'type'", problems).and_then(|json| {
        let mut action = Object::of(json, &object.path_of("action"), problems)?;
        let kind = action.required("type", "'DNAT'", problems)?;
        word(kind, &action.path_of("type"), &[("DNAT", ())], problems)
    });
    let rules = object.optional("rules").map_or(Some(Vec::new()), |json| {
        let items = list(json, &object.path_of("rules"), "a list of rules", problems)?;
        let count = items.len();
        let read: Vec<DnatRule> =
            items.into_iter().filter_map(|(path, json)| dnat(json, &path, problems)).collect();
        (read.len() == count).then_some(read)
    });
    action?;
    Some(Some(NatCollection { name: name?, priority: priority?, rules: rules? }))
}

fn dnat(json: Json, path: &str, problems: &mut Problems) -> Option<DnatRule> {
    let mut object = Object::of(json, path, problems)?;
    let name = name(&mut object, problems);
    let carriers = each(&mut object, "ipProtocols", problems, |json, path, problems| {
        word(json, path, &CARRIERS, problems)
    });
    let sources = sources(&mut object, problems);
    let destinations = each(&mut object, "destinationAddresses", problems, address);
    let ports = each(&mut object, "destinationPorts", problems, port_text);
    let to = object
        .required("translatedAddress", "an IP address", problems)
        .and_then(|json| address(json, &object.path_of("translatedAddress"), problems));
    let port = object
        .required("translatedPort", "a port as a text", problems)
        .and_then(|json| port_text(json, &object.path_of("translatedPort"), problems));
    Some(DnatRule {
        name: name?,
        carriers: carriers?,
        sources: sources?,
        destinations: destinations?,
        ports: ports?,
        to: Place { address: to?, port: port? },
    })
}

/// A list with at least one value.
fn each<T>(
    object: &mut Object,
    of: &'static str,
    problems: &mut Problems,
    mut read: impl FnMut(Json, &str, &mut Problems) -> Option<T>,
) -> Option<Vec<T>> {
    let needed = "a list with at least one value";
    let json = object.required(of, needed, problems)?;
    let path = object.path_of(of);
    let items = list(json, &path, needed, problems)?;
    if items.is_empty() {
        problems.form(&path, format!("'{of}' is empty: {needed} is needed."));
        return None;
    }
    let count = items.len();
    let all: Vec<T> =
        items.into_iter().filter_map(|(path, json)| read(json, &path, problems)).collect();
    (all.len() == count).then_some(all)
}

/// From where; none for everywhere. What is only in groups of addresses leads nowhere here, so it is refused.
fn sources(object: &mut Object, problems: &mut Problems) -> Option<Vec<IpNet>> {
    let read = each(object, "sourceAddresses", problems, source)?;
    if read.contains(&Source::Any) {
        return Some(Vec::new());
    }
    let net = |source: Source| match source {
        Source::Any => None,
        Source::Address(address) => Some(IpNet::from(address)),
        Source::Prefix(net) => Some(net),
    };
    Some(read.into_iter().filter_map(net).collect())
}

/// A port as a text, as rules of firewalls have it.
fn port_text(json: Json, path: &str, problems: &mut Problems) -> Option<Port> {
    let sent = match json {
        Json::Number(number) => number.to_string(),
        other @ (Json::Null | Json::Flag(_) | Json::Text(_) | Json::List(_) | Json::Object(_)) => {
            text(other, path, "a port as a text", problems)?
        }
    };
    let plain = sent.bytes().all(|byte| byte.is_ascii_digit());
    let port = sent.parse().ok().filter(|_| plain).and_then(Port::new);
    if port.is_none() {
        let message =
            format!("{} is no port: one number from 1 to 65535 is accepted.", quoted(&sent));
        problems.value(path, message);
    }
    port
}
