//! The network's resources as answers: what is understood as it stands, the rest as it was sent, and what
//! only the whole network tells: who refers to what.

mod firewall;
mod load_balancer;
mod network_interface;
mod public_ip;
mod security_group;
mod virtual_machine;
mod virtual_network;

use std::sync::Arc;

use hourgate_core::{
    id::Name,
    jit_rules::{JitRule, JitRuleOf},
    nsg::rule::SecurityRule,
    resource::{Kind, Network, Resource, ResourceId, Target, View},
};
use serde::{Serialize, Serializer};

use crate::{
    body::json::Json,
    body::{Document, Part, SKU, usual_sku},
    error::ArmError,
    jit::resource_etag,
};

/// The network around what is shown, as far as somebody may read it.
///
/// What a resource refers to stands in its document, and is shown with it: whoever read it without that and wrote
/// it back would cut it off. What refers to a resource is nothing of its own, and is shown to whoever may read
/// that.
#[derive(Clone, Copy)]
pub struct Around<'a> {
    /// All of it.
    pub network: &'a Network,
    /// Whether a resource of it may be read.
    pub sees: &'a dyn Fn(&ResourceId) -> bool,
    /// Whether what JIT did for a VM may be seen, of a policy where it is a lock's.
    pub sees_jit: &'a dyn Fn(&JitRuleOf) -> bool,
}

impl<'a> Around<'a> {
    /// For somebody who may read everything.
    pub fn all(network: &'a Network) -> Around<'a> {
        Around { network, sees: &|_| true, sees_jit: &|_| true }
    }

    fn referrers(self, target: &Target) -> impl Iterator<Item = &'a Arc<Resource>> {
        self.network.referrers(target).filter(move |by| (self.sees)(&by.id))
    }
}

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

/// A resource as an answer; `jit` are the rules that JIT has in it, where it is a security group.
///
/// # Errors
/// What was kept of it cannot be read: a mistake of ours, or a damaged store.
pub fn show(around: Around<'_>, resource: &Resource, jit: &[JitRule]) -> Result<Shown, ArmError> {
    let document = Document::read(&resource.document)?;
    if resource.view == View::ResourceGroup {
        return Ok(resource_group(resource, &document));
    }
    let mut properties = Fields::default();
    properties.text("provisioningState", SUCCEEDED);
    let guid = match resource.id.kind {
        Kind::VirtualMachines => "vmId",
        Kind::VirtualNetworks
        | Kind::NetworkSecurityGroups
        | Kind::ApplicationSecurityGroups
        | Kind::PublicIpAddresses
        | Kind::NetworkInterfaces
        | Kind::LoadBalancers
        | Kind::AzureFirewalls
        | Kind::FirewallPolicies
        | Kind::ResourceGroups => "resourceGuid",
    };
    properties.text(guid, &resource.instance.to_string());
    match &resource.view {
        View::VirtualNetwork(view) => {
            virtual_network::fields(&mut properties, around, resource, view, &document);
        }
        View::SecurityGroup(view) => {
            let rules = (view, jit);
            security_group::fields(&mut properties, around, resource, rules, &document);
        }
        View::ApplicationSecurityGroup | View::ResourceGroup => {}
        View::PublicIpAddress(view) => {
            public_ip::fields(&mut properties, around, resource, view);
        }
        View::NetworkInterface(view) => {
            network_interface::fields(&mut properties, around, resource, view, &document);
        }
        View::VirtualMachine(view) => {
            virtual_machine::fields(&mut properties, around, view, &document);
        }
        View::LoadBalancer(view) => {
            load_balancer::fields(&mut properties, around, resource, view, &document);
        }
        View::Firewall(view) => {
            firewall::fields(&mut properties, resource, view, &document);
        }
        View::FirewallPolicy(view) => {
            firewall::policy_fields(&mut properties, around, resource, view);
        }
    }
    properties.rest(&document.properties);
    let mut fields = Fields::default();
    fields.text("name", resource.id.name.as_str());
    fields.text("id", &resource.id.to_string());
    fields.text("etag", &resource_etag(resource));
    fields.text("type", resource.id.kind.type_name());
    fields.text("location", resource.location.as_str());
    // `az vm update --set tags.x=y` needs something to set it in.
    if !resource.tags.is_empty() || resource.id.kind == Kind::VirtualMachines {
        fields.push("tags", tags(resource));
    }
    fields.push("properties", properties.object());
    let is_said = document.top.iter().any(|(name, _)| name.eq_ignore_ascii_case(SKU));
    if let Some(usual) = usual_sku(resource.id.kind).filter(|_| !is_said) {
        fields.push(SKU, usual);
    }
    fields.rest(&document.top);
    Ok(Shown(fields.object()))
}

/// A group: Azure's has neither ETag nor id of its making.
fn resource_group(group: &Resource, document: &Document) -> Shown {
    let mut properties = Fields::default();
    properties.text("provisioningState", SUCCEEDED);
    properties.rest(&document.properties);
    let mut fields = Fields::default();
    fields.text("id", &group.id.to_string());
    fields.text("name", group.id.name.as_str());
    fields.text("type", group.id.kind.type_name());
    fields.text("location", group.location.as_str());
    if !group.tags.is_empty() {
        fields.push("tags", tags(group));
    }
    fields.push("properties", properties.object());
    fields.rest(&document.top);
    Shown(fields.object())
}

fn tags(resource: &Resource) -> Json {
    let tags = resource.tags.iter();
    Json::Object(tags.map(|(name, value)| (name.clone(), Json::Text(value.clone()))).collect())
}

/// A machine as an answer, with how it is.
///
/// # Errors
/// As [`show`].
pub fn show_with_instance_view(around: Around<'_>, machine: &Resource) -> Result<Shown, ArmError> {
    let Shown(mut shown) = show(around, machine, &[])?;
    if let Json::Object(fields) = &mut shown
        && let Some((_, Json::Object(properties))) =
            fields.iter_mut().find(|(name, _)| name == "properties")
    {
        properties.retain(|(name, _)| !name.eq_ignore_ascii_case("instanceView"));
        properties.push(("instanceView".to_owned(), virtual_machine::instance_view(machine)));
    }
    Ok(Shown(shown))
}

/// How a machine is.
pub fn show_instance_view(machine: &Resource) -> Shown {
    Shown(virtual_machine::instance_view(machine))
}

/// The subnets of a network as answers, by their names.
///
/// # Errors
/// As [`show`].
pub fn show_subnets(around: Around<'_>, resource: &Resource) -> Result<Vec<Shown>, ArmError> {
    let document = Document::read(&resource.document)?;
    let names = resource.virtual_network().into_iter().flat_map(|network| network.subnets.keys());
    let shown = names.filter_map(|name| virtual_network::subnet(around, resource, name, &document));
    Ok(shown.map(Shown).collect())
}

/// One subnet as an answer; none if the network has none of that name.
///
/// # Errors
/// As [`show`].
pub fn show_subnet(
    around: Around<'_>,
    resource: &Resource,
    name: &Name,
) -> Result<Option<Shown>, ArmError> {
    let document = Document::read(&resource.document)?;
    Ok(virtual_network::subnet(around, resource, name, &document).map(Shown))
}

/// What joins a network to others as answers, by their names.
///
/// # Errors
/// As [`show`].
pub fn show_peerings(
    around: Around<'_>,
    resource: &Resource,
) -> Result<Vec<(String, Shown)>, ArmError> {
    let document = Document::read(&resource.document)?;
    let view = resource.virtual_network().into_iter();
    let shown = view.flat_map(|view| virtual_network::peerings(around, resource, view, &document));
    Ok(shown.map(|(name, shown)| (name, Shown(shown))).collect())
}

/// The inbound NAT rules of a load balancer as answers, by their names.
///
/// # Errors
/// As [`show`].
pub fn show_nat_rules(
    around: Around<'_>,
    resource: &Resource,
) -> Result<Vec<(String, Shown)>, ArmError> {
    let document = Document::read(&resource.document)?;
    let rules = resource.load_balancer().into_iter().flat_map(|balancer| &balancer.nat_rules);
    let shown = rules.map(|rule| {
        let shown = load_balancer::nat_rule(around, resource, rule, &document);
        (rule.name.to_string(), Shown(shown))
    });
    Ok(shown.collect())
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

/// The own rules of a group as answers, in the order sent, and behind them those that JIT has in it.
///
/// # Errors
/// As [`show`].
pub fn show_rules(
    around: Around<'_>,
    resource: &Resource,
    jit: &[JitRule],
) -> Result<Vec<(String, Shown)>, ArmError> {
    let document = Document::read(&resource.document)?;
    let rules = resource.security_group().map(|group| group.rules()).unwrap_or_default();
    let own = rules.iter().map(|rule| {
        let part = document.part(rule.name().as_str());
        let shown = security_group::rule(resource, "securityRules", rule, &part);
        (rule.name().to_string(), Shown(shown))
    });
    let jit = jit.iter().map(|jit| {
        (jit.rule.name().to_string(), Shown(security_group::jit_rule(around, resource, jit)))
    });
    Ok(own.chain(jit).collect())
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
