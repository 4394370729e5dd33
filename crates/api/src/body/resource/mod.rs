//! Bodies of the network's resources. What is understood is read strictly; everything else is kept and given
//! back as sent, and what only the server says (ids, states, back references) is overlooked.

pub(crate) mod document;
mod firewall;
mod load_balancer;
mod network_interface;
mod parts;
mod public_ip;
mod security_group;
mod value;
mod virtual_machine;
mod virtual_network;

use hourgate_core::{
    id::Name,
    nsg::rule::RuleDraft,
    resource::{
        Kind, Resource, ResourceDraft, ResourceId, Tags, ViewDraft,
        firewall_policy::{FirewallPolicyDraft, RuleCollectionGroup},
        load_balancer::InboundNatRule,
        virtual_network::Subnet,
    },
};

pub(crate) use document::{Document, Part};
pub(crate) use virtual_machine::{ATTACHED, CREATE_OPTION};
pub(crate) use virtual_network::{PEERINGS, peering_name};

use super::{
    json::{self, Json},
    object::{Object, Problems},
};
use crate::{
    error::{ArmError, internal_error},
    paths::Parts,
    text::{is_plain, quoted},
};

/// What only the server says of any resource.
const OVERLOOKED: [&str; 5] = ["id", "name", "type", "etag", "systemData"];

/// The property that says what is sold.
pub(crate) const SKU: &str = "sku";

/// What is sold where nobody said so, as in Azure: az reads it of load balancers and public addresses, and does
/// not work where it is missing. Sent, it is as if nobody had said so.
pub(crate) fn usual_sku(kind: Kind) -> Option<Json> {
    match kind {
        Kind::LoadBalancers | Kind::PublicIpAddresses => {
            let pairs = [("name", "Basic"), ("tier", "Regional")];
            let text =
                |(name, value): (&str, &str)| (name.to_owned(), Json::Text(value.to_owned()));
            Some(Json::Object(pairs.map(text).to_vec()))
        }
        Kind::VirtualNetworks
        | Kind::NetworkSecurityGroups
        | Kind::ApplicationSecurityGroups
        | Kind::NetworkInterfaces
        | Kind::VirtualMachines
        | Kind::ResourceGroups
        | Kind::AzureFirewalls
        | Kind::FirewallPolicies => None,
    }
}

/// Reads a resource.
pub fn resource(body: &[u8], id: &ResourceId) -> Result<ResourceDraft, ArmError> {
    let json = json::read(body)?;
    let mut problems = Problems::default();
    let draft = draft(json, id, &mut problems);
    problems.or(draft)
}

fn draft(json: Json, id: &ResourceId, problems: &mut Problems) -> Option<ResourceDraft> {
    let mut object = Object::of(json, "", problems)?;
    let location = object
        .required("location", "the name of a location", problems)
        .and_then(|json| super::value::location(json, "location", problems));
    let tags = object.optional("tags").map_or(Some(Tags::new()), |json| tags(json, problems));
    let properties = object.optional("properties").unwrap_or(Json::Object(Vec::new()));
    let mut properties = Object::of(properties, "properties", problems)?;
    object.overlook(&OVERLOOKED);
    let mut document = Document::default();
    document.top = object.rest();
    if let Some(usual) = usual_sku(id.kind) {
        document.top.retain(|(name, sent)| name != SKU || *sent != usual);
    }
    properties.overlook(&["provisioningState", "resourceGuid"]);
    let view = match id.kind {
        Kind::VirtualNetworks => virtual_network::read(&mut properties, &mut document, problems)
            .map(ViewDraft::VirtualNetwork),
        Kind::NetworkSecurityGroups => {
            security_group::read(&mut properties, &mut document, problems)
                .map(ViewDraft::SecurityGroup)
        }
        Kind::ApplicationSecurityGroups => Some(ViewDraft::ApplicationSecurityGroup),
        Kind::ResourceGroups => Some(ViewDraft::ResourceGroup),
        Kind::PublicIpAddresses => {
            public_ip::read(&mut properties, problems).map(ViewDraft::PublicIpAddress)
        }
        Kind::NetworkInterfaces => {
            network_interface::read(&mut properties, &mut document, problems)
                .map(ViewDraft::NetworkInterface)
        }
        Kind::VirtualMachines => virtual_machine::read(&mut properties, &mut document, problems)
            .map(ViewDraft::VirtualMachine),
        Kind::LoadBalancers => load_balancer::read(&mut properties, &mut document, problems)
            .map(ViewDraft::LoadBalancer),
        Kind::AzureFirewalls => {
            firewall::read(&mut properties, &mut document, problems).map(ViewDraft::Firewall)
        }
        Kind::FirewallPolicies => {
            properties.overlook(&["ruleCollectionGroups", "firewalls", "childPolicies"]);
            Some(ViewDraft::FirewallPolicy(FirewallPolicyDraft::AsTheyAre))
        }
    };
    document.properties.extend(properties.rest());
    let document = document.text()?;
    let (location, tags, view) = (location?, tags?, view?);
    Some(ResourceDraft { id: id.clone(), location, tags, view, document })
}

/// Has a draft that says nothing of a network's subnets or of what it is joined to keep what is kept of those
/// that are stored: the rules keep subnets and peers themselves.
///
/// # Errors
/// What was kept cannot be read: a mistake of ours, or a damaged store.
pub fn keep_unsaid(draft: &mut ResourceDraft, stored: &Resource) -> Result<(), ArmError> {
    let Some(network) = draft.view.virtual_network() else { return Ok(()) };
    let (subnets, peers) = (network.subnets.is_none(), network.peers.is_none());
    if subnets || peers {
        let mut document = Document::read(&draft.document)?;
        let kept = Document::read(&stored.document)?;
        if peers {
            virtual_network::set_peerings(&mut document, virtual_network::peerings(&kept));
        }
        if subnets {
            document.keep_parts(kept);
        }
        draft.document = document.text().ok_or_else(internal_error)?;
    }
    Ok(())
}

/// Reads the body of a PATCH: the tags that a resource shall have.
pub fn resource_tags(body: &[u8]) -> Result<Tags, ArmError> {
    let json = json::read(body)?;
    let mut problems = Problems::default();
    let read = Object::of(json, "", &mut problems).and_then(|mut object| {
        let sent = object.required("tags", "an object of texts", &mut problems);
        object.close(&mut problems);
        tags(sent?, &mut problems)
    });
    problems.or(read)
}

fn tags(json: Json, problems: &mut Problems) -> Option<Tags> {
    let Json::Object(sent) = json else {
        problems.form("tags", format!("{json} stands where an object of texts is needed."));
        return None;
    };
    let mut tags = Tags::new();
    for (name, value) in sent {
        // Azure's list, and what a terminal or a page would be fooled by: a tag's name is a name.
        let unfit = name.contains(['<', '>', '%', '&', '\\', '?', '/']) || !is_plain(&name);
        if unfit {
            let message = format!(
                "{} is no tag's name: < > % & \\ ? / and characters that are not seen are not accepted.",
                quoted(&name)
            );
            problems.value("tags", message);
        }
        match value {
            Json::Text(value) => {
                tags.insert(name, value);
            }
            other @ (Json::Null
            | Json::Flag(_)
            | Json::Number(_)
            | Json::List(_)
            | Json::Object(_)) => {
                let path = format!("tags.{}", crate::text::escaped(&name, 64));
                problems.form(&path, format!("{other} stands where a text is needed."));
            }
        }
    }
    Some(tags)
}

/// A resource with one part of it set as a body says, or taken away.
#[derive(Clone, Debug, PartialEq)]
pub struct PartChange {
    name: Name,
    change: Change,
}

#[derive(Clone, Debug, PartialEq)]
enum Change {
    Subnet(Subnet, Part),
    Rule(RuleDraft, Part),
    Group(RuleCollectionGroup),
    NatRule(InboundNatRule, Part),
    Peering(Json, ResourceId),
    Gone(Parts),
}

impl PartChange {
    /// Reads a subnet.
    pub fn subnet(body: &[u8], name: Name) -> Result<PartChange, ArmError> {
        let json = json::read(body)?;
        let mut problems = Problems::default();
        let read = virtual_network::one(json, "", &mut problems);
        let (subnet, part) = problems.or(read)?;
        Ok(PartChange { name, change: Change::Subnet(subnet, part) })
    }

    /// Reads a security rule.
    pub fn rule(body: &[u8], name: Name) -> Result<PartChange, ArmError> {
        let json = json::read(body)?;
        let mut problems = Problems::default();
        let read = security_group::one(json, "", name.as_str(), &mut problems);
        let (rule, part) = problems.or(read)?;
        Ok(PartChange { name, change: Change::Rule(rule, part) })
    }

    /// Reads a group of rules of a firewall's policy.
    pub fn rule_group(body: &[u8], name: Name) -> Result<PartChange, ArmError> {
        let json = json::read(body)?;
        let mut problems = Problems::default();
        let read = firewall::group(json, &mut problems);
        Ok(PartChange { name, change: Change::Group(problems.or(read)?) })
    }

    /// Reads an inbound NAT rule of a load balancer.
    pub fn nat_rule(body: &[u8], name: Name) -> Result<PartChange, ArmError> {
        let json = json::read(body)?;
        let mut problems = Problems::default();
        let read = load_balancer::one(json, name.clone(), &mut problems);
        let (rule, part) = problems.or(read)?;
        Ok(PartChange { name, change: Change::NatRule(rule, part) })
    }

    /// Reads what joins a network to another.
    pub fn peering(body: &[u8], name: Name) -> Result<PartChange, ArmError> {
        let json = json::read(body)?;
        let mut problems = Problems::default();
        let read = virtual_network::peering(json, "", &mut problems);
        let (peering, peer) = problems.or(read)?;
        let peering = virtual_network::named(peering, &name);
        Ok(PartChange { name, change: Change::Peering(peering, peer) })
    }

    /// The part of that name is taken away.
    pub fn gone(parts: Parts, name: Name) -> PartChange {
        PartChange { name, change: Change::Gone(parts) }
    }

    /// The resource as it shall be; and whether it had such a part.
    pub fn of(&self, resource: &Resource) -> Result<(ResourceDraft, bool), ArmError> {
        let mut draft = resource.draft();
        let mut document = Document::read(&resource.document)?;
        let had = match (&mut draft.view, &self.change) {
            (ViewDraft::VirtualNetwork(network), Change::Subnet(subnet, part)) => {
                document.set_part(self.name.as_str(), part.clone());
                let subnets = network.subnets.get_or_insert_default();
                let known = subnets.iter_mut().find(|(name, _)| *name == self.name);
                match known {
                    Some((_, old)) => {
                        *old = subnet.clone();
                        true
                    }
                    None => {
                        subnets.push((self.name.clone(), subnet.clone()));
                        false
                    }
                }
            }
            (ViewDraft::SecurityGroup(rules), Change::Rule(rule, part)) => {
                security_group::keep(&mut document, self.name.as_str(), part.clone());
                let known = rules.iter_mut().find(|old| self.is(&old.name));
                match known {
                    Some(old) => {
                        // As it was first written.
                        let name = std::mem::take(&mut old.name);
                        *old = RuleDraft { name, ..rule.clone() };
                        true
                    }
                    None => {
                        rules.push(rule.clone());
                        false
                    }
                }
            }
            (ViewDraft::VirtualNetwork(network), Change::Peering(peering, peer)) => {
                let mut kept = virtual_network::peerings(&document);
                let known = virtual_network::position(&kept, &self.name);
                let peers = network.peers.get_or_insert_default();
                match known {
                    Some(at) => {
                        kept[at] = peering.clone();
                        if let Some(old) = peers.get_mut(at) {
                            *old = peer.clone();
                        }
                    }
                    None => {
                        kept.push(peering.clone());
                        peers.push(peer.clone());
                    }
                }
                virtual_network::set_peerings(&mut document, kept);
                known.is_some()
            }
            (ViewDraft::VirtualNetwork(network), Change::Gone(Parts::VirtualNetworkPeerings)) => {
                let mut kept = virtual_network::peerings(&document);
                let known = virtual_network::position(&kept, &self.name);
                if let Some(at) = known {
                    kept.remove(at);
                    let peers = network.peers.get_or_insert_default();
                    if at < peers.len() {
                        peers.remove(at);
                    }
                    virtual_network::set_peerings(&mut document, kept);
                }
                known.is_some()
            }
            (ViewDraft::LoadBalancer(balancer), Change::NatRule(rule, part)) => {
                document.set_part(&load_balancer::kept_of(&self.name), part.clone());
                let rules = &mut balancer.nat_rules;
                match rules.iter_mut().find(|old| old.name == self.name) {
                    Some(old) => {
                        // As it was first written.
                        let name = old.name.clone();
                        *old = InboundNatRule { name, ..rule.clone() };
                        true
                    }
                    None => {
                        rules.push(rule.clone());
                        false
                    }
                }
            }
            (ViewDraft::LoadBalancer(balancer), Change::Gone(Parts::InboundNatRules)) => {
                document.take_part(&load_balancer::kept_of(&self.name));
                let before = balancer.nat_rules.len();
                balancer.nat_rules.retain(|rule| rule.name != self.name);
                balancer.nat_rules.len() < before
            }
            (ViewDraft::VirtualNetwork(network), Change::Gone(Parts::Subnets)) => {
                document.take_part(self.name.as_str());
                let subnets = network.subnets.get_or_insert_default();
                let before = subnets.len();
                subnets.retain(|(name, _)| *name != self.name);
                subnets.len() < before
            }
            (ViewDraft::SecurityGroup(rules), Change::Gone(Parts::SecurityRules)) => {
                document.take_part(self.name.as_str());
                let before = rules.len();
                rules.retain(|rule| !self.is(&rule.name));
                rules.len() < before
            }
            (
                ViewDraft::FirewallPolicy(FirewallPolicyDraft::Groups(groups)),
                Change::Group(group),
            ) => match groups.iter_mut().find(|(name, _)| *name == self.name) {
                Some((_, old)) => {
                    *old = group.clone();
                    true
                }
                None => {
                    groups.push((self.name.clone(), group.clone()));
                    false
                }
            },
            (
                ViewDraft::FirewallPolicy(FirewallPolicyDraft::Groups(groups)),
                Change::Gone(Parts::RuleCollectionGroups),
            ) => {
                let before = groups.len();
                groups.retain(|(name, _)| *name != self.name);
                groups.len() < before
            }
            // A route names a kind that has such parts.
            (
                ViewDraft::VirtualNetwork(_)
                | ViewDraft::SecurityGroup(_)
                | ViewDraft::ApplicationSecurityGroup
                | ViewDraft::ResourceGroup
                | ViewDraft::PublicIpAddress(_)
                | ViewDraft::NetworkInterface(_)
                | ViewDraft::VirtualMachine(_)
                | ViewDraft::LoadBalancer(_)
                | ViewDraft::Firewall(_)
                | ViewDraft::FirewallPolicy(_),
                Change::Subnet(..)
                | Change::Rule(..)
                | Change::Group(_)
                | Change::NatRule(..)
                | Change::Peering(..)
                | Change::Gone(_),
            ) => return Err(internal_error()),
        };
        draft.document = document.text().ok_or_else(internal_error)?;
        Ok((draft, had))
    }

    fn is(&self, name: &str) -> bool {
        name.eq_ignore_ascii_case(self.name.as_str())
    }
}
