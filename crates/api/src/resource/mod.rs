//! The network's resources as answers: what is understood as it stands, the rest as it was sent, and what
//! only the whole network tells: who refers to what.

mod firewall;
mod load_balancer;
mod network_interface;
mod public_ip;
mod security_group;
mod virtual_network;

use hourgate_core::{
    id::Name,
    nsg::rule::SecurityRule,
    resource::{Network, Resource, View},
};
use serde::{Serialize, Serializer};

use crate::{
    body::json::Json,
    body::{Document, Part},
    error::ArmError,
    jit::etag,
};

/// The state of everything that is shown: a change stands before it is answered.
const SUCCEEDED: &str = "Succeeded";

/// A resource, or a part of one, as an answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Shown(Json);

impl Serialize for Shown {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

/// A resource as an answer.
///
/// # Errors
/// What was kept of it cannot be read: a mistake of ours, or a damaged store.
pub fn show(network: &Network, resource: &Resource) -> Result<Shown, ArmError> {
    let document = Document::read(&resource.document)?;
    let mut properties = Fields::default();
    properties.text("provisioningState", SUCCEEDED);
    properties.text("resourceGuid", &resource.instance.to_string());
    match &resource.view {
        View::VirtualNetwork(view) => {
            virtual_network::fields(&mut properties, network, resource, view, &document);
        }
        View::SecurityGroup(view) => {
            security_group::fields(&mut properties, network, resource, view, &document);
        }
        View::ApplicationSecurityGroup => {}
        View::PublicIpAddress(view) => {
            public_ip::fields(&mut properties, network, resource, view);
        }
        View::NetworkInterface(view) => {
            network_interface::fields(&mut properties, resource, view, &document);
        }
        View::LoadBalancer(view) => {
            load_balancer::fields(&mut properties, network, resource, view, &document);
        }
        View::Firewall(view) => {
            firewall::fields(&mut properties, resource, view, &document);
        }
        View::FirewallPolicy(view) => {
            firewall::policy_fields(&mut properties, network, resource, view);
        }
    }
    properties.rest(&document.properties);
    let mut fields = Fields::default();
    fields.text("name", resource.id.name.as_str());
    fields.text("id", &resource.id.to_string());
    fields.text("etag", &etag(resource.version));
    fields.text("type", resource.id.kind.type_name());
    fields.text("location", resource.location.as_str());
    if !resource.tags.is_empty() {
        let tags = resource.tags.iter();
        let tags = tags.map(|(name, value)| (name.clone(), Json::Text(value.clone()))).collect();
        fields.push("tags", Json::Object(tags));
    }
    fields.push("properties", properties.object());
    fields.rest(&document.top);
    Ok(Shown(fields.object()))
}

/// The subnets of a network as answers, by their names.
///
/// # Errors
/// As [`show`].
pub fn show_subnets(network: &Network, resource: &Resource) -> Result<Vec<Shown>, ArmError> {
    let document = Document::read(&resource.document)?;
    let names = resource.virtual_network().into_iter().flat_map(|network| network.subnets.keys());
    let shown =
        names.filter_map(|name| virtual_network::subnet(network, resource, name, &document));
    Ok(shown.map(Shown).collect())
}

/// One subnet as an answer; none if the network has none of that name.
///
/// # Errors
/// As [`show`].
pub fn show_subnet(
    network: &Network,
    resource: &Resource,
    name: &Name,
) -> Result<Option<Shown>, ArmError> {
    let document = Document::read(&resource.document)?;
    Ok(virtual_network::subnet(network, resource, name, &document).map(Shown))
}

/// The groups of rules of a firewall's policy as answers, by their names.
///
/// # Errors
/// As [`show`].
pub fn show_rule_groups(resource: &Resource) -> Result<Vec<(String, Shown)>, ArmError> {
    let groups = resource.firewall_policy().into_iter().flat_map(|policy| &policy.groups);
    let shown = groups.map(|(name, group)| {
        Ok((name.to_string(), Shown(firewall::group(resource, (name, group))?)))
    });
    shown.collect()
}

/// The own rules of a group as answers, in the order sent.
///
/// # Errors
/// As [`show`].
pub fn show_rules(resource: &Resource) -> Result<Vec<(String, Shown)>, ArmError> {
    let document = Document::read(&resource.document)?;
    let rules = resource.security_group().map(|group| group.rules()).unwrap_or_default();
    let shown = |rule: &SecurityRule| {
        let part = document.part(rule.name().as_str());
        let shown = security_group::rule(resource, "securityRules", rule, &part);
        (rule.name().to_string(), Shown(shown))
    };
    Ok(rules.iter().map(shown).collect())
}

/// The default rules of a group as answers.
pub fn show_default_rules(resource: &Resource) -> Vec<(String, Shown)> {
    let shown = |rule: &SecurityRule| {
        let shown = security_group::rule(resource, "defaultSecurityRules", rule, &Part::default());
        (rule.name().to_string(), Shown(shown))
    };
    security_group::defaults().map(shown).collect()
}

/// An object that is being made, in the order in which it is read.
#[derive(Default)]
struct Fields(Vec<(String, Json)>);

impl Fields {
    fn push(&mut self, name: &str, value: Json) {
        self.0.push((name.to_owned(), value));
    }

    fn text(&mut self, name: &str, value: &str) {
        self.push(name, Json::Text(value.to_owned()));
    }

    /// `{"id": "…"}`.
    fn reference(&mut self, name: &str, id: &impl ToString) {
        self.push(name, reference(id));
    }

    fn references<T: ToString>(&mut self, name: &str, ids: impl IntoIterator<Item = T>) {
        self.push(name, Json::List(ids.into_iter().map(|id| reference(&id)).collect()));
    }

    /// What was kept as sent. What is understood, or only the server says, is never taken from there.
    fn rest(&mut self, kept: &[(String, Json)]) {
        let known = self.0.len();
        for (name, value) in kept {
            if !self.0[..known].iter().any(|(known, _)| known.eq_ignore_ascii_case(name)) {
                self.0.push((name.clone(), value.clone()));
            }
        }
    }

    fn object(self) -> Json {
        Json::Object(self.0)
    }
}

fn reference(id: &impl ToString) -> Json {
    Json::Object(vec![("id".to_owned(), Json::Text(id.to_string()))])
}

fn texts<T: ToString>(values: impl IntoIterator<Item = T>) -> Json {
    Json::List(values.into_iter().map(|value| Json::Text(value.to_string())).collect())
}
