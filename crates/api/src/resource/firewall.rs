//! A firewall with its addresses, a policy, and the groups of rules of one.

use hourgate_core::{
    id::Name,
    resource::{
        Resource, Target,
        firewall::{Firewall, FirewallConfiguration},
        firewall_policy::{FirewallPolicy, RuleCollectionGroup},
    },
};

use super::{Around, Document, Fields, Json, SUCCEEDED, reference};
use crate::{
    error::{ArmError, internal_error},
    jit::etag,
};

pub(super) fn fields(
    fields: &mut Fields,
    resource: &Resource,
    view: &Firewall,
    document: &Document,
) {
    let mut sku = Fields::default();
    sku.text("name", "AZFW_VNet");
    sku.text("tier", view.tier.as_str());
    let kept = document.properties.iter().find(|(name, _)| name == "sku");
    if let Some((_, Json::Object(kept))) = kept {
        let name = kept.iter().find(|(name, _)| name.eq_ignore_ascii_case("name"));
        if let Some((_, name)) = name {
            sku.0[0].1 = name.clone();
        }
        sku.rest(kept);
    }
    fields.push("sku", sku.object());
    let configurations = view.configurations.iter().map(|is| configuration(resource, is, document));
    fields.push("ipConfigurations", Json::List(configurations.collect()));
    if let Some(policy) = &view.policy {
        fields.reference("firewallPolicy", policy);
    }
}

fn configuration(resource: &Resource, is: &FirewallConfiguration, document: &Document) -> Json {
    let part = document.part(is.name.as_str());
    let mut properties = Fields::default();
    properties.text("provisioningState", SUCCEEDED);
    if let Some(subnet) = &is.subnet {
        properties.reference("subnet", subnet);
    }
    if let Some(public) = &is.public_address {
        properties.reference("publicIPAddress", public);
    }
    properties.rest(&part.properties);
    let mut fields = Fields::default();
    fields.text("name", is.name.as_str());
    fields.text("id", &format!("{}/azureFirewallIpConfigurations/{}", resource.id, is.name));
    fields.text("etag", &etag(resource.version));
    fields.text("type", "Microsoft.Network/azureFirewalls/azureFirewallIpConfigurations");
    fields.push("properties", properties.object());
    fields.rest(&part.top);
    fields.object()
}

pub(super) fn policy_fields(
    fields: &mut Fields,
    around: Around<'_>,
    resource: &Resource,
    view: &FirewallPolicy,
) {
    let groups = view.groups.keys();
    let groups =
        groups.map(|name| reference(&format!("{}/ruleCollectionGroups/{name}", resource.id)));
    fields.push("ruleCollectionGroups", Json::List(groups.collect()));
    let own = Target::Resource(resource.id.clone());
    let users = around.referrers(&own);
    fields.references("firewalls", users.map(|firewall| firewall.id.to_string()));
}

/// One group of a policy as an answer: as it was sent.
pub(super) fn group(
    resource: &Resource,
    (name, is): (&Name, &RuleCollectionGroup),
) -> Result<Json, ArmError> {
    let mut properties = Fields::default();
    properties.text("provisioningState", SUCCEEDED);
    properties.push("priority", Json::Number(is.priority.into()));
    let sent: Json = serde_json::from_str(&is.sent).map_err(|_| internal_error())?;
    if let Json::Object(sent) = sent {
        properties.rest(&sent);
    }
    let mut fields = Fields::default();
    fields.text("name", name.as_str());
    fields.text("id", &format!("{}/ruleCollectionGroups/{name}", resource.id));
    fields.text("etag", &etag(resource.version));
    fields.text("type", "Microsoft.Network/FirewallPolicies/RuleCollectionGroups");
    fields.push("properties", properties.object());
    Ok(fields.object())
}
