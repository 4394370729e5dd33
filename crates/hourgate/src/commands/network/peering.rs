//! `hourgate network vnet peering …`: what joins a network to another.

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

/// What joins a network to others
#[derive(Debug, Subcommand)]
pub(crate) enum Peering {
    Create(Create),
    List(List),
    /// Show the peering of that name
    Show(One),
    /// Remove the peering of that name
    Delete(One),
}

/// The network.
#[derive(Debug, Args)]
struct Of {
    #[command(flatten)]
    group: Group,
    /// The network that is joined
    #[arg(long, value_parser = network::name)]
    vnet_name: Name,
}

/// Join a network to another
///
/// Two networks are joined once both say so: make a peering in each.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  hourgate network vnet peering create -g prod --vnet-name spoke -n to-hub --remote-vnet hub
  hourgate network vnet peering create -g prod --vnet-name hub -n to-spoke --remote-vnet spoke")]
pub(crate) struct Create {
    #[command(flatten)]
    of: Of,
    /// What it is called
    #[arg(short = 'n', long = "name", value_parser = network::name)]
    name: Name,
    /// The other network, by name or resource id
    #[arg(long, value_name = "NETWORK")]
    remote_vnet: String,
}

/// Which networks a network is joined to
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  hourgate network vnet peering list -g prod --vnet-name hub")]
pub(crate) struct List {
    #[command(flatten)]
    of: Of,
}

/// The peering of that name
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  hourgate network vnet peering show -g prod --vnet-name hub -n to-spoke
  hourgate network vnet peering delete -g prod --vnet-name hub -n to-spoke")]
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
        Ok(Part { of, parts: Parts::VirtualNetworkPeerings, table })
    }
}

pub(super) async fn run(session: &Session, args: Peering) -> Result<(), Failure> {
    match args {
        Peering::Create(args) => {
            let kind = Kind::VirtualNetworks;
            let remote = args.of.group.reference(session, kind, &args.remote_vnet)?;
            let body = json!({ "properties": {
                "remoteVirtualNetwork": remote, "allowVirtualNetworkAccess": true,
            } });
            args.of.part(session)?.put(session, args.name, &body).await
        }
        Peering::List(args) => args.of.part(session)?.list(session, None).await,
        Peering::Show(args) => args.of.part(session)?.show(session, args.name).await,
        Peering::Delete(args) => args.of.part(session)?.delete(session, args.name).await,
    }
}

fn table(found: &[Value]) -> Table {
    let mut table = Table::new(["NAME", "NETWORK", "STATE"]);
    for value in found {
        let remote = text(value, "/properties/remoteVirtualNetwork/id");
        let remote = remote.rsplit('/').next().unwrap_or_default().to_owned();
        table.row([text(value, "/name"), remote, text(value, "/properties/peeringState")]);
    }
    table
}
