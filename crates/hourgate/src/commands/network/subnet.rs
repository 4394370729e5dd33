//! `hourgate network vnet subnet …`.

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

/// Parts of a network
#[derive(Debug, Subcommand)]
pub(crate) enum Subnet {
    Create(Create),
    List(List),
    /// Show the subnet of that name
    Show(One),
    /// Remove the subnet of that name
    Delete(One),
}

/// The network.
#[derive(Debug, Args)]
struct Of {
    #[command(flatten)]
    group: Group,
    /// The network it is part of
    #[arg(long, value_parser = network::name)]
    vnet_name: Name,
}

/// Make a subnet, or set it anew
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  hourgate network vnet subnet create -g prod --vnet-name main -n web --address-prefixes 10.0.0.0/24
  hourgate network vnet subnet create -g prod --vnet-name main -n web \\
    --address-prefixes 10.0.0.0/24 --network-security-group web")]
pub(crate) struct Create {
    #[command(flatten)]
    of: Of,
    /// What it is called
    #[arg(short = 'n', long = "name", value_parser = network::name)]
    name: Name,
    /// Its addresses
    #[arg(long, required = true, num_args = 1.., value_delimiter = ',')]
    address_prefixes: Vec<String>,
    /// Its security group, by name or resource id
    #[arg(long, alias = "nsg", value_name = "NSG")]
    network_security_group: Option<String>,
}

/// The subnets of a network
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  hourgate network vnet subnet list -g prod --vnet-name main")]
pub(crate) struct List {
    #[command(flatten)]
    of: Of,
}

/// The subnet of that name
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  hourgate network vnet subnet show -g prod --vnet-name main -n web
  hourgate network vnet subnet delete -g prod --vnet-name main -n web")]
pub(crate) struct One {
    #[command(flatten)]
    of: Of,
    /// What it is called
    #[arg(short = 'n', long = "name", value_parser = network::name)]
    name: Name,
}

impl Of {
    fn part(&self, session: &Session) -> Result<Part, Failure> {
        let of = self.group.id(session, Kind::VirtualNetworks, &self.vnet_name)?;
        Ok(Part { of, parts: Parts::Subnets, table })
    }
}

pub(super) async fn run(session: &Session, args: Subnet) -> Result<(), Failure> {
    match args {
        Subnet::Create(args) => {
            let mut properties = json!({ "addressPrefixes": args.address_prefixes });
            if let Some(called) = &args.network_security_group {
                let group =
                    args.of.group.reference(session, Kind::NetworkSecurityGroups, called)?;
                properties["networkSecurityGroup"] = group;
            }
            let body = json!({ "properties": properties });
            args.of.part(session)?.put(session, args.name, &body).await
        }
        Subnet::List(args) => args.of.part(session)?.list(session, None).await,
        Subnet::Show(args) => args.of.part(session)?.show(session, args.name).await,
        Subnet::Delete(args) => args.of.part(session)?.delete(session, args.name).await,
    }
}

fn table(found: &[Value]) -> Table {
    let mut table = Table::new(["NAME", "ADDRESSES", "SECURITY GROUP"]);
    for value in found {
        let one = text(value, "/properties/addressPrefix");
        let many = text(value, "/properties/addressPrefixes");
        let group = text(value, "/properties/networkSecurityGroup/id");
        let group = group.rsplit('/').next().unwrap_or_default().to_owned();
        table.row([text(value, "/name"), if one.is_empty() { many } else { one }, group]);
    }
    table
}
