//! A security group with its rules, the six default ones, and who it is joined to.

use hourgate_core::{
    jit_rules::{JitRule, JitRuleOf},
    nsg::{
        group::{SecurityGroup, default_rules},
        place::Places,
        rule::SecurityRule,
        word::{Direction, Side},
    },
    resource::{Resource, SubnetId, Target},
};

use super::{Around, Document, Fields, Json, Part, SUCCEEDED, texts};
use crate::jit::resource_etag;

pub(super) fn fields(
    fields: &mut Fields,
    around: Around<'_>,
    resource: &Resource,
    (group, jit): (&SecurityGroup, &[JitRule]),
    document: &Document,
) {
    let own = group
        .rules()
        .iter()
        .map(|own| rule(resource, "securityRules", own, &document.part(own.name().as_str())));
    let jit = jit.iter().map(|jit| jit_rule(around, resource, jit));
    fields.push("securityRules", Json::List(own.chain(jit).collect()));
    let part = Part::default();
    let defaults = defaults().map(|own| rule(resource, "defaultSecurityRules", own, &part));
    fields.push("defaultSecurityRules", Json::List(defaults.collect()));
    let target = Target::Resource(resource.id.clone());
    let (mut nics, mut subnets) = (Vec::new(), Vec::new());
    for by in around.referrers(&target) {
        match by.virtual_network() {
            Some(view) => {
                let joined = view.subnets.iter().filter(|(_, subnet)| {
                    subnet.security_group.as_ref() == resource.id.security_group().as_ref()
                });
                subnets.extend(
                    joined.map(|(name, _)| SubnetId { network: by.id.clone(), name: name.clone() }),
                );
            }
            None => nics.push(&by.id),
        }
    }
    // Azure leaves out what is empty here.
    if !nics.is_empty() {
        fields.references("networkInterfaces", nics);
    }
    if !subnets.is_empty() {
        fields.references("subnets", subnets);
    }
}

/// The six default rules, in Azure's order.
pub(super) fn defaults() -> impl Iterator<Item = &'static SecurityRule> {
    Direction::ALL.into_iter().flat_map(default_rules)
}

/// A rule that JIT has in the group, and whose it is: `jit`, which clients of Azure's do not know and need
/// not send back.
pub(super) fn jit_rule(around: Around<'_>, resource: &Resource, jit: &JitRule) -> Json {
    if !(around.sees_jit)(&jit.of) {
        return rule(resource, "securityRules", &jit.rule, &Part::default());
    }
    let mut of = Fields::default();
    let (vm, port) = match &jit.of {
        JitRuleOf::Lock { policy, vm, port } => {
            of.text("policyId", &policy.to_string());
            (vm, port)
        }
        JitRuleOf::Grant { request, vm, port } => {
            of.text("requestId", &request.to_string());
            (vm, port)
        }
    };
    of.text("vmId", &vm.to_string());
    of.push("port", Json::Number(port.number().into()));
    let part = Part { properties: vec![("jit".to_owned(), of.object())], ..Part::default() };
    rule(resource, "securityRules", &jit.rule, &part)
}

/// A rule; `list` is the list that it stands in.
pub(super) fn rule(resource: &Resource, list: &str, rule: &SecurityRule, part: &Part) -> Json {
    let mut properties = Fields::default();
    properties.text("provisioningState", SUCCEEDED);
    if let Some(description) = rule.description() {
        properties.text("description", description.as_str());
    }
    properties.text("protocol", rule.protocol().as_str());
    let ports = |side| rule.ports(side).texts();
    let places = |side| match rule.places(side) {
        Places::Asgs(_) => Vec::new(),
        places @ (Places::Any | Places::Tag(_) | Places::Prefixes(_)) => places.texts(),
    };
    let sides = [
        ("sourcePortRange", "sourcePortRanges", ports(Side::Source)),
        ("destinationPortRange", "destinationPortRanges", ports(Side::Destination)),
        ("sourceAddressPrefix", "sourceAddressPrefixes", places(Side::Source)),
        ("destinationAddressPrefix", "destinationAddressPrefixes", places(Side::Destination)),
    ];
    let mut lists = Vec::new();
    for (one, many, values) in sides {
        match values.as_slice() {
            [value] if !part.lists(many) => {
                properties.text(one, value);
                lists.push((many, Vec::new()));
            }
            _ => lists.push((many, values)),
        }
    }
    properties.text("access", rule.access().as_str());
    properties.push("priority", Json::Number(rule.priority().number().into()));
    properties.text("direction", rule.direction().as_str());
    for (name, values) in lists {
        properties.push(name, texts(values));
    }
    for (name, side) in [
        ("sourceApplicationSecurityGroups", Side::Source),
        ("destinationApplicationSecurityGroups", Side::Destination),
    ] {
        if let Places::Asgs(asgs) = rule.places(side) {
            properties.references(name, asgs.as_slice());
        }
    }
    properties.rest(&part.properties);
    let mut fields = Fields::default();
    fields.text("name", rule.name().as_str());
    fields.text("id", &format!("{}/{list}/{}", resource.id, rule.name()));
    fields.text("etag", &resource_etag(resource));
    fields.text("type", &format!("{}/{list}", resource.id.kind.type_name()));
    fields.push("properties", properties.object());
    fields.rest(&part.top);
    fields.object()
}
