//! `hourgate network firewall …` and `hourgate network firewall-policy …`.

use std::net::IpAddr;

use clap::{Args, Subcommand, ValueEnum};
use hourgate_api::paths::{Parts, Route};
use hourgate_core::{
    id::Name,
    network::Port,
    resource::{Kind, SubnetId, firewall::SUBNET_NAME},
};
use reqwest::Method;
use serde_json::{Value, json};

use super::{
    super::Session,
    part::Part,
    resource::{Group, Made, text},
};
use crate::{client::Call, exit::Failure, input::network, output::Table};

/// The group of rules, and the collection in it, that the command writes to unless told otherwise.
const GROUP: &str = "DefaultDnatRuleCollectionGroup";
/// The number of that group (Azure's for DNAT), and of the collection.
const PRIORITY: u32 = 100;

/// What a firewall can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Tier {
    Standard,
    Premium,
    /// No just-in-time access through it
    Basic,
}

/// Make a firewall known that stands in a network
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  hourgate network firewall create -g prod -n hub --vnet-name hub --public-ip-address outside \\
    --firewall-policy hub")]
pub(crate) struct Create {
    #[command(flatten)]
    made: Made,
    /// The network it stands in, in the subnet AzureFirewallSubnet
    #[arg(long, value_parser = network::name)]
    vnet_name: Name,
    /// Its public address, by name or resource id
    #[arg(long, value_name = "PUBLIC-IP")]
    public_ip_address: String,
    /// Its policy, by name or resource id
    #[arg(long, value_name = "POLICY")]
    firewall_policy: Option<String>,
    /// What it can do
    #[arg(long, ignore_case = true, default_value = "standard")]
    tier: Tier,
}

/// Make a policy for firewalls
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  hourgate network firewall-policy create -g prod -n hub")]
pub(crate) struct CreatePolicy {
    #[command(flatten)]
    made: Made,
}

/// Ports of a firewall's public address that lead to machines
#[derive(Debug, Subcommand)]
pub(crate) enum Dnat {
    Create(CreateDnat),
    List(ListDnat),
}

/// The policy.
#[derive(Debug, Args)]
struct Of {
    #[command(flatten)]
    group: Group,
    /// The policy it is part of
    #[arg(long, value_parser = network::name)]
    policy_name: Name,
}

/// Let a port of a public address lead to a machine
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  hourgate network firewall-policy dnat create -g prod --policy-name hub -n web \\
    --destination-address 203.0.113.9 --destination-port 443 \\
    --translated-address 10.1.0.4 --translated-port 443")]
pub(crate) struct CreateDnat {
    #[command(flatten)]
    of: Of,
    /// What the rule is called
    #[arg(short = 'n', long = "name", value_parser = network::name)]
    name: Name,
    /// From where
    #[arg(long, num_args = 1.., value_delimiter = ',', default_value = "*")]
    source_addresses: Vec<String>,
    /// The firewall's public address
    #[arg(long, value_name = "ADDRESS", value_parser = network::address)]
    destination_address: IpAddr,
    /// The port of it
    #[arg(long, value_parser = network::port)]
    destination_port: Port,
    /// The machine's address
    #[arg(long, value_name = "ADDRESS", value_parser = network::address)]
    translated_address: IpAddr,
    /// The machine's port
    #[arg(long, value_parser = network::port)]
    translated_port: Port,
    /// What it carries
    #[arg(long, num_args = 1.., value_delimiter = ',', default_value = "TCP")]
    ip_protocols: Vec<String>,
}

/// The groups of rules of a policy
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  hourgate network firewall-policy dnat list -g prod --policy-name hub")]
pub(crate) struct ListDnat {
    #[command(flatten)]
    of: Of,
}

pub(super) async fn create(session: &Session, args: Create) -> Result<(), Failure> {
    let group = args.made.group();
    let network = group.id(session, Kind::VirtualNetworks, &args.vnet_name)?;
    let name = network::name(SUBNET_NAME).map_err(Failure::usage)?;
    let public = group.reference(session, Kind::PublicIpAddresses, &args.public_ip_address)?;
    let tier = match args.tier {
        Tier::Standard => "Standard",
        Tier::Premium => "Premium",
        Tier::Basic => "Basic",
    };
    let mut properties = json!({
        "sku": { "name": "AZFW_VNet", "tier": tier },
        "ipConfigurations": [{
            "name": "ipconfig1",
            "properties": {
                "subnet": { "id": SubnetId { network, name } },
                "publicIPAddress": public,
            },
        }],
    });
    if let Some(called) = &args.firewall_policy {
        properties["firewallPolicy"] = group.reference(session, Kind::FirewallPolicies, called)?;
    }
    args.made.put(session, Kind::AzureFirewalls, &properties).await
}

pub(super) async fn create_policy(session: &Session, args: CreatePolicy) -> Result<(), Failure> {
    args.made.put(session, Kind::FirewallPolicies, &json!({})).await
}

pub(super) async fn dnat(session: &Session, args: Dnat) -> Result<(), Failure> {
    match args {
        Dnat::Create(args) => create_dnat(session, args).await,
        Dnat::List(args) => args.of.part(session)?.list(session, None).await,
    }
}

impl Of {
    fn part(&self, session: &Session) -> Result<Part, Failure> {
        let of = self.group.id(session, Kind::FirewallPolicies, &self.policy_name)?;
        Ok(Part { of, parts: Parts::RuleCollectionGroups, table })
    }
}

/// Sets the rule in the one collection that this command writes; whatever else is in the group stays.
async fn create_dnat(session: &Session, args: CreateDnat) -> Result<(), Failure> {
    let part = args.of.part(session)?;
    let group = network::name(GROUP).map_err(Failure::usage)?;
    let all = session.client.list(&Route::Parts(part.of.clone(), part.parts).uri()).await?;
    let known = all.into_iter().find(|known| text(known, "/name").eq_ignore_ascii_case(GROUP));
    let mut properties = known
        .and_then(|known| known.get("properties").cloned())
        .unwrap_or_else(|| json!({ "priority": PRIORITY, "ruleCollections": [] }));
    let rule = json!({
        "ruleType": "NatRule",
        "name": args.name,
        "ipProtocols": args.ip_protocols,
        "sourceAddresses": args.source_addresses,
        "destinationAddresses": [args.destination_address],
        "destinationPorts": [args.destination_port.to_string()],
        "translatedAddress": args.translated_address,
        "translatedPort": args.translated_port.to_string(),
    });
    let collections = properties["ruleCollections"].as_array_mut();
    if let Some(collections) = collections {
        let ours = collections.iter_mut().find(|known| text(known, "/name") == "dnat");
        let rules = ours.and_then(|ours| ours.get_mut("rules")?.as_array_mut());
        match rules {
            Some(rules) => {
                rules.retain(|known| text(known, "/name") != args.name.as_str());
                rules.push(rule);
            }
            None => collections.push(json!({
                "ruleCollectionType": "FirewallPolicyNatRuleCollection",
                "name": "dnat",
                "priority": PRIORITY,
                "action": { "type": "DNAT" },
                "rules": [rule],
            })),
        }
    }
    if let Some(properties) = properties.as_object_mut() {
        properties.remove("provisioningState");
    }
    let path = Route::Part(part.of, part.parts, group).uri();
    let body = json!({ "properties": properties });
    let value = session.client.send(Call::new(Method::PUT, &path).body(&body)).await?.body;
    let table = table(std::slice::from_ref(&value));
    session.output.show(&crate::output::Answer::new(value, table))
}

fn table(found: &[Value]) -> Table {
    let mut table = Table::new(["NAME", "PRIORITY", "DNAT RULES"]);
    for value in found {
        let collections = value.pointer("/properties/ruleCollections").and_then(Value::as_array);
        let rules = collections.into_iter().flatten().filter_map(|of| of.get("rules")?.as_array());
        let count = rules
            .flatten()
            .filter(|rule| text(rule, "/ruleType").eq_ignore_ascii_case("NatRule"))
            .count();
        table.row([text(value, "/name"), text(value, "/properties/priority"), count.to_string()]);
    }
    table
}
