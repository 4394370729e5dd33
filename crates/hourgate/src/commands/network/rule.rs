//! `hourgate network nsg rule …`.

use clap::{Args, Subcommand};
use hourgate_api::paths::Parts;
use hourgate_core::{id::Name, resource::Kind};
use serde_json::{Value, json};

use super::{
    super::Session,
    part::Part,
    resource::{Group, text},
};
use crate::{exit::Failure, input::network, output::Table};

/// Rules of a group
#[derive(Debug, Subcommand)]
pub(crate) enum Rule {
    Create(Box<Create>),
    List(List),
    /// Show the rule of that name
    Show(One),
    /// Remove the rule of that name
    Delete(One),
}

/// The group.
#[derive(Debug, Args)]
struct Of {
    #[command(flatten)]
    group: Group,
    /// The security group it is a rule of
    #[arg(long, value_parser = network::name)]
    nsg_name: Name,
}

/// Make a rule, or set it anew
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  hourgate network nsg rule create -g prod --nsg-name web -n https --priority 100 \\
    --destination-port-ranges 443 --protocol Tcp
  hourgate network nsg rule create -g prod --nsg-name web -n no-ssh --priority 200 \\
    --access Deny --source-address-prefixes Internet --destination-port-ranges 22")]
pub(crate) struct Create {
    #[command(flatten)]
    of: Of,
    /// What it is called
    #[arg(short = 'n', long = "name", value_parser = network::name)]
    name: Name,
    /// Its number, 100 to 4096: the smaller, the earlier it is looked at
    #[arg(long)]
    priority: i64,
    /// Allow or Deny
    #[arg(long, default_value = "Allow")]
    access: String,
    /// Inbound or Outbound
    #[arg(long, default_value = "Inbound")]
    direction: String,
    /// Tcp, Udp, Icmp, Esp, Ah or *
    #[arg(long, default_value = "*")]
    protocol: String,
    /// From where: addresses, prefixes, a tag, or *
    #[arg(long, num_args = 1.., value_delimiter = ',', default_value = "*")]
    source_address_prefixes: Vec<String>,
    /// From which ports
    #[arg(long, num_args = 1.., value_delimiter = ',', default_value = "*")]
    source_port_ranges: Vec<String>,
    /// To where
    #[arg(long, num_args = 1.., value_delimiter = ',', default_value = "*")]
    destination_address_prefixes: Vec<String>,
    /// To which ports
    #[arg(long, num_args = 1.., value_delimiter = ',', default_value = "80")]
    destination_port_ranges: Vec<String>,
    /// What it is for
    #[arg(long)]
    description: Option<String>,
}

/// The rules of a group
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  hourgate network nsg rule list -g prod --nsg-name web --include-default")]
pub(crate) struct List {
    #[command(flatten)]
    of: Of,
    /// The six default rules too
    #[arg(long)]
    include_default: bool,
}

/// The rule of that name
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  hourgate network nsg rule show -g prod --nsg-name web -n https
  hourgate network nsg rule delete -g prod --nsg-name web -n https")]
pub(crate) struct One {
    #[command(flatten)]
    of: Of,
    /// What it is called
    #[arg(short = 'n', long = "name", value_parser = network::name)]
    name: Name,
}

impl Of {
    fn part(&self, session: &Session) -> Result<Part, Failure> {
        let of = self.group.id(session, Kind::NetworkSecurityGroups, &self.nsg_name)?;
        Ok(Part { of, parts: Parts::SecurityRules, table })
    }
}

pub(super) async fn run(session: &Session, args: Rule) -> Result<(), Failure> {
    match args {
        Rule::Create(args) => {
            let body = body(&args);
            args.of.part(session)?.put(session, args.name, &body).await
        }
        Rule::List(args) => {
            let more = args.include_default.then_some(Parts::DefaultSecurityRules);
            args.of.part(session)?.list(session, more).await
        }
        Rule::Show(args) => args.of.part(session)?.show(session, args.name).await,
        Rule::Delete(args) => args.of.part(session)?.delete(session, args.name).await,
    }
}

fn body(args: &Create) -> Value {
    let mut properties = json!({
        "priority": args.priority,
        "access": args.access,
        "direction": args.direction,
        "protocol": args.protocol,
    });
    for (one, many, values) in [
        ("sourceAddressPrefix", "sourceAddressPrefixes", &args.source_address_prefixes),
        ("sourcePortRange", "sourcePortRanges", &args.source_port_ranges),
        (
            "destinationAddressPrefix",
            "destinationAddressPrefixes",
            &args.destination_address_prefixes,
        ),
        ("destinationPortRange", "destinationPortRanges", &args.destination_port_ranges),
    ] {
        // As az does: one value stands alone.
        match values.as_slice() {
            [value] => properties[one] = json!(value),
            values => properties[many] = json!(values),
        }
    }
    if let Some(description) = &args.description {
        properties["description"] = json!(description);
    }
    json!({ "properties": properties })
}

/// A row for each rule, the last column saying whose it is.
pub(super) fn table(found: &[Value]) -> Table {
    let head =
        ["NAME", "PRIORITY", "DIRECTION", "ACCESS", "PROTOCOL", "FROM", "TO", "PORTS", "WHOSE"];
    let mut table = Table::new(head);
    for value in found {
        let of = |one: &str, many: &str, third: &str| {
            let texts = [one, many, third].map(|name| text(value, &format!("/properties/{name}")));
            texts.into_iter().find(|text| !text.is_empty()).unwrap_or_default()
        };
        table.row([
            text(value, "/name"),
            text(value, "/properties/priority"),
            text(value, "/properties/direction"),
            text(value, "/properties/access"),
            text(value, "/properties/protocol"),
            of("sourceAddressPrefix", "sourceAddressPrefixes", "sourceApplicationSecurityGroups"),
            of(
                "destinationAddressPrefix",
                "destinationAddressPrefixes",
                "destinationApplicationSecurityGroups",
            ),
            of("destinationPortRange", "destinationPortRanges", "none"),
            whose(value),
        ]);
    }
    table
}

/// JIT's rules are told by what they belong to: nobody changes or deletes them as rules.
fn whose(rule: &Value) -> String {
    let jit = |name: &str| text(rule, &format!("/properties/jit/{name}"));
    let (request, policy) = (jit("requestId"), jit("policyId"));
    if !request.is_empty() {
        format!("request {request}")
    } else if !policy.is_empty() {
        format!("policy {}", policy.rsplit('/').next().unwrap_or_default())
    } else if text(rule, "/id").contains("/defaultSecurityRules/") {
        "default".to_owned()
    } else {
        "own".to_owned()
    }
}
