//! Security groups and their rules. What a rule's values must be, the rules of the core say, with Azure's codes.

use hourgate_core::nsg::{id::AsgId, jit_name::JitName, rule::RuleDraft};

use super::{
    super::{
        json::Json,
        object::{Object, Problems},
        value::{list, text},
    },
    Document, OVERLOOKED, Part,
    value::{name, one_or_many, references},
};

/// What only the server says of a group.
const GROUP_OVERLOOKED: [&str; 4] =
    ["defaultSecurityRules", "networkInterfaces", "subnets", "flowLogs"];

pub(super) fn read(
    properties: &mut Object,
    document: &mut Document,
    problems: &mut Problems,
) -> Option<Vec<RuleDraft>> {
    let sent = properties.optional("securityRules");
    properties.overlook(&GROUP_OVERLOOKED);
    let Some(sent) = sent else { return Some(Vec::new()) };
    let path = properties.path_of("securityRules");
    let items = list(sent, &path, "a list of security rules", problems)?;
    let count = items.len();
    let mut rules = Vec::with_capacity(count);
    for (path, json) in items {
        let Some(mut object) = Object::of(json, &path, problems) else { continue };
        let name = name(&mut object, problems);
        let read = of_object(object, name.as_deref().unwrap_or_default(), problems);
        if let Some((rule, part)) = read.filter(|_| name.is_some()) {
            keep(document, &rule.name, part);
            rules.push(rule);
        }
    }
    (rules.len() == count).then_some(rules)
}

/// Keeps what else was sent of a rule. Of JIT's own, which are echoes of what was read, nothing: they are no
/// part of the group.
pub(super) fn keep(document: &mut Document, rule: &str, part: Part) {
    if JitName::of(rule).is_none() {
        document.set_part(rule, part);
    }
}

/// One rule whose name stands in the path.
pub(super) fn one(
    json: Json,
    path: &str,
    name: &str,
    problems: &mut Problems,
) -> Option<(RuleDraft, Part)> {
    of_object(Object::of(json, path, problems)?, name, problems)
}

fn of_object(mut object: Object, name: &str, problems: &mut Problems) -> Option<(RuleDraft, Part)> {
    let properties = object.required("properties", "an object with a rule's properties", problems);
    let path = object.path_of("properties");
    object.overlook(&OVERLOOKED);
    let mut part = Part { top: object.rest(), ..Part::default() };
    let mut properties = Object::of(properties?, &path, problems)?;
    properties.overlook(&["provisioningState"]);
    let description = match properties.optional("description") {
        None => Some(None),
        Some(json) => text(json, &properties.path_of("description"), "a text", problems).map(Some),
    };
    let mut word = |name: &'static str, needed: &str| {
        let sent = properties.required(name, needed, problems)?;
        text(sent, &properties.path_of(name), needed, problems)
    };
    let direction = word("direction", "'Inbound' or 'Outbound'");
    let access = word("access", "'Allow' or 'Deny'");
    let protocol = word("protocol", "'Tcp', 'Udp', 'Icmp', 'Esp', 'Ah' or '*'");
    let priority = priority(&mut properties, problems);
    let mut texts = |one, many, asgs: Option<&'static str>| {
        let read = one_or_many(&mut properties, (one, many), problems);
        let ids = asgs.map(|name| {
            let path = properties.path_of(name);
            let sent = properties.optional(name);
            references::<AsgId>(sent, &path, "an application security group", problems)
        });
        let (mut texts, listed) = read?;
        if listed {
            part.properties.push((many.to_owned(), Json::List(Vec::new())));
        }
        if let Some(ids) = ids {
            texts.extend(ids?.iter().map(AsgId::to_string));
        }
        Some(texts)
    };
    let sources = texts(
        "sourceAddressPrefix",
        "sourceAddressPrefixes",
        Some("sourceApplicationSecurityGroups"),
    );
    let source_ports = texts("sourcePortRange", "sourcePortRanges", None);
    let destinations = texts(
        "destinationAddressPrefix",
        "destinationAddressPrefixes",
        Some("destinationApplicationSecurityGroups"),
    );
    let destination_ports = texts("destinationPortRange", "destinationPortRanges", None);
    part.properties.extend(properties.rest());
    let rule = RuleDraft {
        name: name.to_owned(),
        description: description?,
        priority: priority?,
        direction: direction?,
        access: access?,
        protocol: protocol?,
        sources: sources?,
        source_ports: source_ports?,
        destinations: destinations?,
        destination_ports: destination_ports?,
    };
    Some((rule, part))
}

fn priority(properties: &mut Object, problems: &mut Problems) -> Option<i64> {
    let needed = "a whole number from 100 to 4096";
    let sent = properties.required("priority", needed, problems)?;
    let path = properties.path_of("priority");
    let number = match &sent {
        Json::Number(number) => number.as_i64(),
        Json::Null | Json::Flag(_) | Json::Text(_) | Json::List(_) | Json::Object(_) => None,
    };
    if number.is_none() {
        problems.form(&path, format!("{sent} stands where {needed} is needed."));
    }
    number
}
