//! A load balancer with its addresses, and the ports of them that lead to machines.

use hourgate_core::{
    network::Family,
    resource::{
        InboundNatRuleId, Resource, Target,
        load_balancer::{Frontend, FrontendAddress, InboundNatRule, LoadBalancer},
    },
};

use super::{Around, Document, Fields, Json, SUCCEEDED, reference};
use crate::jit::etag;

pub(super) fn fields(
    fields: &mut Fields,
    around: Around<'_>,
    resource: &Resource,
    view: &LoadBalancer,
    document: &Document,
) {
    let frontends = view.frontends.iter().map(|is| frontend(resource, view, is, document));
    fields.push("frontendIPConfigurations", Json::List(frontends.collect()));
    let rules = view.nat_rules.iter().map(|is| nat_rule(around, resource, is, document));
    fields.push("inboundNatRules", Json::List(rules.collect()));
}

fn frontend(resource: &Resource, view: &LoadBalancer, is: &Frontend, document: &Document) -> Json {
    let part = document.part(&format!("frontend/{}", is.name));
    let mut properties = Fields::default();
    properties.text("provisioningState", SUCCEEDED);
    match &is.at {
        FrontendAddress::Public(public) => {
            properties.text("privateIPAllocationMethod", "Dynamic");
            properties.reference("publicIPAddress", public);
        }
        FrontendAddress::Private { subnet, address } => {
            if let Some(address) = address {
                properties.text("privateIPAddress", &address.to_string());
                properties.text("privateIPAddressVersion", &Family::of(*address).to_string());
            }
            properties.reference("subnet", subnet);
        }
    }
    let rules: Vec<Json> = view
        .nat_rules
        .iter()
        .filter(|rule| rule.frontend == is.name)
        .map(|rule| reference(&format!("{}/inboundNatRules/{}", resource.id, rule.name)))
        .collect();
    if !rules.is_empty() {
        properties.push("inboundNatRules", Json::List(rules));
    }
    properties.rest(&part.properties);
    child(resource, ("frontendIPConfigurations", is.name.as_str()), properties, &part.top)
}

pub(super) fn nat_rule(
    around: Around<'_>,
    resource: &Resource,
    is: &InboundNatRule,
    document: &Document,
) -> Json {
    let part = document.part(&format!("nat/{}", is.name));
    let mut properties = Fields::default();
    properties.text("provisioningState", SUCCEEDED);
    let frontend = format!("{}/frontendIPConfigurations/{}", resource.id, is.frontend);
    properties.push("frontendIPConfiguration", reference(&frontend));
    properties.push("frontendPort", Json::Number(is.port.number().into()));
    properties.push("backendPort", Json::Number(is.to.number().into()));
    properties.text("protocol", is.carrier.as_str());
    let id = InboundNatRuleId { balancer: resource.id.clone(), name: is.name.clone() };
    let target = Target::InboundNatRule(id.clone());
    let backend = around.referrers(&target).find_map(|nic| {
        let mut configurations = nic.network_interface()?.configurations.iter();
        let named = configurations.find(|configuration| configuration.nat_rules.contains(&id))?;
        Some(format!("{}/ipConfigurations/{}", nic.id, named.name))
    });
    if let Some(backend) = backend {
        properties.push("backendIPConfiguration", reference(&backend));
    }
    properties.rest(&part.properties);
    child(resource, ("inboundNatRules", is.name.as_str()), properties, &part.top)
}

fn child(
    resource: &Resource,
    (kind, name): (&str, &str),
    properties: Fields,
    top: &[(String, Json)],
) -> Json {
    let mut fields = Fields::default();
    fields.text("name", name);
    fields.text("id", &format!("{}/{kind}/{name}", resource.id));
    fields.text("etag", &etag(resource.version));
    fields.text("type", &format!("Microsoft.Network/loadBalancers/{kind}"));
    fields.push("properties", properties.object());
    fields.rest(top);
    fields.object()
}
