//! The rules that hold for a network interface, in Azure's shape: what `az network nic list-effective-nsg`
//! reads.

use hourgate_core::{
    network::Family,
    nsg::{
        effective::{EffectiveGroup, EffectiveRule},
        id::GroupId,
        judge::Layer,
        place::Places,
        port::PortRange,
        rule::SecurityRule,
        word::{Access, Direction, Protocol, Side},
    },
    resource::{ResourceId, SubnetId},
};
use ipnet::IpNet;
use serde::{Deserialize, Serialize};

/// What stands in [`EffectiveGroupSeen::joined_to`] where the group is a subnet's.
pub const JOINED_TO_SUBNET: &str = "subnet";

/// What a group says for an interface.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct EffectiveGroupSeen {
    /// The group; null where the caller may not read it, and then none of its rules is told.
    pub network_security_group: Option<Reference>,
    /// Whose it is.
    pub association: Association,
    /// Ours: where it is joined, `subnet` or `networkInterface`.
    pub joined_to: String,
    /// Its rules and the default ones, inbound before outbound, in the order in which they are looked at;
    /// null where the caller may not read them.
    pub effective_security_rules: Option<Vec<EffectiveRuleSeen>>,
}

/// Something by its id.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reference {
    /// Its resource id.
    pub id: String,
}

/// The interface that was asked about and its subnet, both in each entry as in Azure's examples: az's table
/// looks at both, and shows nothing where one is missing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Association {
    /// The subnet; null for an interface that is in none.
    pub subnet: Option<Reference>,
    /// The interface.
    pub network_interface: Reference,
}

/// One rule. Where a side has one range or prefix it stands by itself too, as Azure has it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct EffectiveRuleSeen {
    /// `securityRules/NAME`, or `defaultSecurityRules/NAME`.
    pub name: String,
    /// `Tcp`, `Udp`, another's name, or `All`.
    pub protocol: String,
    /// `22-22`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source_port_range: Option<String>,
    /// The same.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub destination_port_range: Option<String>,
    /// All of them.
    pub source_port_ranges: Vec<String>,
    /// The same.
    pub destination_port_ranges: Vec<String>,
    /// A prefix or a tag.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source_address_prefix: Option<String>,
    /// The same.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub destination_address_prefix: Option<String>,
    /// All of them; none where the side is application security groups, which stand in `expanded`.
    pub source_address_prefixes: Vec<String>,
    /// The same.
    pub destination_address_prefixes: Vec<String>,
    /// What a tag or application security groups stand for around this interface; empty where no address
    /// is known, and then the rule matches nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expanded_source_address_prefix: Option<Vec<String>>,
    /// The same.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expanded_destination_address_prefix: Option<Vec<String>>,
    /// `Allow` or `Deny`.
    pub access: Access,
    /// Its number.
    pub priority: u16,
    /// `Inbound` or `Outbound`.
    pub direction: Direction,
}

impl EffectiveGroupSeen {
    /// A group as far as the caller may read it. `subnet` is where the interface is.
    pub fn of(
        effective: &EffectiveGroup<'_>,
        nic: &ResourceId,
        subnet: Option<&SubnetId>,
        may_read: impl Fn(&GroupId) -> bool,
    ) -> EffectiveGroupSeen {
        let EffectiveGroup { layer, group, rules } = effective;
        let readable = may_read(group);
        let reference = |id: &dyn std::fmt::Display| Reference { id: id.to_string() };
        EffectiveGroupSeen {
            network_security_group: readable.then(|| reference(group)),
            association: Association {
                subnet: subnet.map(|id| reference(id)),
                network_interface: reference(nic),
            },
            joined_to: match layer {
                Layer::Subnet => JOINED_TO_SUBNET.to_owned(),
                Layer::Nic => "networkInterface".to_owned(),
            },
            effective_security_rules: readable.then(|| rules.iter().map(rule).collect()),
        }
    }
}

/// What a rule is called where Azure names the list that it stands in too.
pub fn qualified(rule: &SecurityRule) -> String {
    let list = if rule.priority().is_default() { "defaultSecurityRules" } else { "securityRules" };
    format!("{list}/{}", rule.name())
}

fn rule(effective: &EffectiveRule<'_>) -> EffectiveRuleSeen {
    let EffectiveRule { rule, expanded_sources, expanded_destinations } = effective;
    let (from_ports, to_ports) = (ports(rule, Side::Source), ports(rule, Side::Destination));
    let (from, to) = (places(rule.places(Side::Source)), places(rule.places(Side::Destination)));
    let texts = |nets: &Vec<IpNet>| nets.iter().map(ToString::to_string).collect();
    EffectiveRuleSeen {
        name: qualified(rule),
        protocol: match rule.protocol() {
            Protocol::Any => "All".to_owned(),
            one @ (Protocol::Tcp
            | Protocol::Udp
            | Protocol::Icmp
            | Protocol::Esp
            | Protocol::Ah) => one.as_str().to_owned(),
        },
        source_port_range: single(&from_ports),
        destination_port_range: single(&to_ports),
        source_port_ranges: from_ports,
        destination_port_ranges: to_ports,
        source_address_prefix: from.first().filter(|_| is_one(rule.places(Side::Source))).cloned(),
        destination_address_prefix: to
            .first()
            .filter(|_| is_one(rule.places(Side::Destination)))
            .cloned(),
        source_address_prefixes: from,
        destination_address_prefixes: to,
        expanded_source_address_prefix: expanded_sources.as_ref().map(texts),
        expanded_destination_address_prefix: expanded_destinations.as_ref().map(texts),
        access: rule.access(),
        priority: rule.priority().number(),
        direction: rule.direction(),
    }
}

fn ports(rule: &SecurityRule, side: Side) -> Vec<String> {
    let text = |range: &PortRange| format!("{}-{}", range.first(), range.last());
    match rule.ports(side).ranges() {
        [] => vec![text(&PortRange::ALL)],
        ranges => ranges.iter().map(text).collect(),
    }
}

/// The places of one side. `*` is written as the prefixes it is, IPv4 first; an address with its length.
fn places(places: &Places) -> Vec<String> {
    match places {
        Places::Any => [Family::V4, Family::V6].map(|family| family.all().to_string()).to_vec(),
        Places::Prefixes(prefixes) => {
            prefixes.as_slice().iter().map(|prefix| prefix.net().to_string()).collect()
        }
        Places::Tag(_) => places.texts(),
        Places::Asgs(_) => Vec::new(),
    }
}

/// Whether a side is one thing, so that it stands by itself. `*` is, as its prefix of IPv4.
fn is_one(places: &Places) -> bool {
    match places {
        Places::Any | Places::Tag(_) => true,
        Places::Prefixes(prefixes) => prefixes.as_slice().len() == 1,
        Places::Asgs(_) => false,
    }
}

fn single(all: &[String]) -> Option<String> {
    match all {
        [one] => Some(one.clone()),
        [] | [_, ..] => None,
    }
}
