//! `hourgate network nic list-effective-nsg`: the rules that hold for an interface.

use clap::Args;
use hourgate_api::{
    effective::{EffectiveGroupSeen, EffectiveRuleSeen, JOINED_TO_SUBNET},
    paths::Route,
};
use hourgate_core::{id::Name, resource::Kind};
use reqwest::Method;
use serde_json::{Value, json};

use super::{super::Session, resource::Group};
use crate::{
    client::Call,
    exit::Failure,
    input::network,
    output::{Answer, Table},
    view::not_understood,
};

/// How many prefixes of what a tag stands for a table shows.
const EXPANDED_SHOWN_MAX: usize = 3;

/// Show the rules that hold for an interface
///
/// Those of its subnet's group and of its own, the default ones included, in the order in which a connection
/// meets them, with tags and application security groups resolved.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  hourgate network nic list-effective-nsg web-1
  hourgate network nic list-effective-nsg -g prod -n web-1 -o json
  hourgate network nic list-effective-nsg web-1 -o csv > rules.csv")]
pub(crate) struct ListEffective {
    /// The interface, by name
    #[arg(value_name = "NIC", required_unless_present = "named", value_parser = network::name)]
    name: Option<Name>,
    /// The same, as az has it
    #[arg(short = 'n', long = "name", id = "named", value_name = "NIC", value_parser = network::name,
          conflicts_with = "name")]
    named: Option<Name>,
    #[command(flatten)]
    group: Group,
}

pub(super) async fn list(session: &Session, args: ListEffective) -> Result<(), Failure> {
    let name = args.name.or(args.named);
    let name = name.ok_or_else(|| Failure::usage("Name the interface."))?;
    let nic = args.group.id(session, Kind::NetworkInterfaces, &name)?;
    let path = Route::EffectiveGroups(nic).uri();
    let value = session.client.send(Call::new(Method::POST, &path).body(&json!({}))).await?.body;
    let list = value.get("value").cloned().unwrap_or(Value::Null);
    let groups: Vec<EffectiveGroupSeen> =
        serde_json::from_value(list).map_err(|error| not_understood(&error.to_string()))?;
    session.output.show(&Answer::new(value, table(&groups)))
}

fn table(groups: &[EffectiveGroupSeen]) -> Table {
    let mut table = Table::new([
        "GROUP",
        "AT",
        "DIRECTION",
        "PRIORITY",
        "NAME",
        "ACCESS",
        "PROTOCOL",
        "FROM",
        "TO",
    ]);
    for group in groups {
        let last = |id: &str| id.rsplit('/').next().unwrap_or_default().to_owned();
        let name = group.network_security_group.as_ref().map(|of| last(&of.id));
        let name = name.unwrap_or_else(|| "one you may not read".to_owned());
        let at = if group.joined_to == JOINED_TO_SUBNET { "subnet" } else { "interface" };
        for rule in group.effective_security_rules.iter().flatten() {
            table.row([
                name.clone(),
                at.to_owned(),
                rule.direction.as_str().to_owned(),
                rule.priority.to_string(),
                last(&rule.name),
                rule.access.as_str().to_owned(),
                rule.protocol.clone(),
                from(rule),
                to(rule),
            ]);
        }
        if group.effective_security_rules.is_none() {
            let none = String::new;
            let cells =
                [name, at.to_owned(), none(), none(), none(), none(), none(), none(), none()];
            table.row(cells);
        }
    }
    table
}

fn from(rule: &EffectiveRuleSeen) -> String {
    side(
        &rule.source_address_prefixes,
        rule.expanded_source_address_prefix.as_deref(),
        &rule.source_port_ranges,
    )
}

fn to(rule: &EffectiveRuleSeen) -> String {
    side(
        &rule.destination_address_prefixes,
        rule.expanded_destination_address_prefix.as_deref(),
        &rule.destination_port_ranges,
    )
}

/// Places and ports of one side: `10.0.0.0/24 : 22-22`, `VirtualNetwork (10.0.0.0/16)`.
fn side(prefixes: &[String], expanded: Option<&[String]>, ports: &[String]) -> String {
    let mut text = prefixes.join(", ");
    if let Some(all) = expanded {
        let mut shown = all[..all.len().min(EXPANDED_SHOWN_MAX)].join(", ");
        match all.len().saturating_sub(EXPANDED_SHOWN_MAX) {
            _ if all.is_empty() => shown = "nothing".to_owned(),
            0 => {}
            more => shown.push_str(&format!(" and {more} more")),
        }
        text = if text.is_empty() { shown } else { format!("{text} ({shown})") };
    }
    if ports != ["0-65535"] {
        text.push_str(&format!(" : {}", ports.join(", ")));
    }
    text
}
