//! Load balancers.

use hourgate_core::{
    gateway::Carrier,
    id::Name,
    resource::{
        ResourceId,
        load_balancer::{Frontend, FrontendAddress, InboundNatRule, LoadBalancer},
    },
};

use super::{
    super::{
        json::Json,
        object::{Object, Problems},
        value::{address, port, text, word},
    },
    Document, Part,
    parts::{opened, parts},
    value::referred,
};
use crate::text::quoted;

/// The words for what a rule carries.
const CARRIERS: [(&str, Carrier); 2] = [("Tcp", Carrier::Tcp), ("Udp", Carrier::Udp)];
/// What only the server says of an address, and of a rule.
const FRONTEND_OVERLOOKED: [&str; 5] = [
    "provisioningState",
    "inboundNatRules",
    "loadBalancingRules",
    "outboundRules",
    "inboundNatPools",
];
const RULE_OVERLOOKED: [&str; 2] = ["provisioningState", "backendIPConfiguration"];

pub(super) fn read(
    properties: &mut Object,
    document: &mut Document,
    problems: &mut Problems,
) -> Option<LoadBalancer> {
    let needed = "a list of objects";
    let (path, sent) = listed(properties, "frontendIPConfigurations");
    let frontends = parts(sent, (&path, needed), problems, |name, object, problems| {
        let (at, part) = frontend(object, problems)?;
        let name = name?;
        document.set_part(&format!("frontend/{name}"), part);
        Some(Frontend { name, at })
    });
    let (path, sent) = listed(properties, "inboundNatRules");
    let nat_rules = parts(sent, (&path, needed), problems, |name, object, problems| {
        let (rule, part) = nat_rule(name, object, problems)?;
        document.set_part(&kept_of(&rule.name), part);
        Some(rule)
    });
    Some(LoadBalancer { frontends: frontends?, nat_rules: nat_rules? })
}

fn listed(properties: &mut Object, of: &'static str) -> (String, Option<Json>) {
    (properties.path_of(of), properties.optional(of))
}

/// One inbound NAT rule whose name stands in the path.
pub(super) fn one(
    json: Json,
    name: Name,
    problems: &mut Problems,
) -> Option<(InboundNatRule, Part)> {
    nat_rule(Some(name), Object::of(json, "", problems)?, problems)
}

/// Under which name the rest of an inbound NAT rule is kept.
pub(super) fn kept_of(rule: &Name) -> String {
    format!("nat/{rule}")
}

fn frontend(object: Object, problems: &mut Problems) -> Option<(FrontendAddress, Part)> {
    let (mut properties, mut part) = opened(object, "a public address or a subnet", problems)?;
    properties.overlook(&FRONTEND_OVERLOOKED);
    let public = referred(&mut properties, "publicIPAddress", "a public IP address", problems);
    let subnet = referred(&mut properties, "subnet", "a subnet", problems);
    let private = properties.optional("privateIPAddress").map_or(Some(None), |json| {
        address(json, &properties.path_of("privateIPAddress"), problems).map(Some)
    });
    let path = properties.path_of("publicIPAddress");
    // What follows from the address is the server's to say, and comes back with what was read.
    if matches!(public, Some(Some(_))) {
        properties.overlook(&["privateIPAllocationMethod"]);
    }
    if matches!(private, Some(Some(_))) {
        properties.overlook(&["privateIPAddressVersion"]);
    }
    part.properties.extend(properties.rest());
    let at = match (public?, subnet?) {
        (Some(public), None) => FrontendAddress::Public(public),
        (None, Some(subnet)) => FrontendAddress::Private { subnet, address: private? },
        (Some(_), Some(_)) => {
            problems.form(
                &path,
                "'publicIPAddress' and 'subnet' stand side by side: one is accepted.".to_owned(),
            );
            return None;
        }
        (None, None) => {
            problems.form(
                &path,
                "'publicIPAddress' is missing: a public address, or a 'subnet', is needed."
                    .to_owned(),
            );
            return None;
        }
    };
    Some((at, part))
}

fn nat_rule(
    name: Option<Name>,
    object: Object,
    problems: &mut Problems,
) -> Option<(InboundNatRule, Part)> {
    let needed = "the properties of an inbound NAT rule";
    let (mut properties, mut part) = opened(object, needed, problems)?;
    properties.overlook(&RULE_OVERLOOKED);
    let needed = "a frontend IP configuration";
    let frontend =
        properties.required("frontendIPConfiguration", needed, problems).and_then(|json| {
            frontend_name(json, &properties.path_of("frontendIPConfiguration"), problems)
        });
    let carrier = properties
        .required("protocol", "'Tcp' or 'Udp'", problems)
        .and_then(|json| word(json, &properties.path_of("protocol"), &CARRIERS, problems));
    let mut number = |of: &'static str| {
        let json = properties.required(of, "a port", problems)?;
        port(json, &properties.path_of(of), problems)
    };
    let (from, to) = (number("frontendPort"), number("backendPort"));
    part.properties.extend(properties.rest());
    let rule = InboundNatRule {
        name: name?,
        frontend: frontend?,
        carrier: carrier?,
        port: from?,
        to: to?,
    };
    Some((rule, part))
}

/// `{"id": "…/frontendIPConfigurations/NAME"}`: it is of the same load balancer, so its name is enough.
fn frontend_name(json: Json, path: &str, problems: &mut Problems) -> Option<Name> {
    let mut object = Object::of(json, path, problems)?;
    let needed = "the resource id of a frontend IP configuration";
    let sent = object.required("id", needed, problems)?;
    let path = object.path_of("id");
    let sent = text(sent, &path, needed, problems)?;
    let name = sent.rsplit_once('/').and_then(|(before, name)| {
        let (balancer, segment) = before.rsplit_once('/')?;
        let balancer = balancer.parse::<ResourceId>().ok()?;
        let ours = balancer.kind == hourgate_core::resource::Kind::LoadBalancers
            && segment.eq_ignore_ascii_case("frontendIPConfigurations");
        if ours { name.parse().ok() } else { None }
    });
    if name.is_none() {
        let message = format!(
            "{} is no resource id of a frontend IP configuration of a load balancer.",
            quoted(&sent)
        );
        problems.value(&path, message);
    }
    name
}
