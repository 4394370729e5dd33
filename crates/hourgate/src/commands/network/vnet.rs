//! `hourgate network vnet create`.

use clap::Args;
use hourgate_core::{id::Name, resource::Kind};
use serde_json::json;

use super::{super::Session, resource::Made};
use crate::{exit::Failure, input::network};

/// Make a virtual network
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  hourgate network vnet create -g prod -n main --address-prefixes 10.0.0.0/16
  hourgate network vnet create -g prod -n main --subnet-name web --subnet-prefixes 10.0.0.0/24")]
pub(crate) struct Create {
    #[command(flatten)]
    made: Made,
    /// Its addresses
    #[arg(long, num_args = 1.., value_delimiter = ',', default_value = "10.0.0.0/16")]
    address_prefixes: Vec<String>,
    /// A first subnet
    #[arg(long, requires = "subnet_prefixes", value_parser = network::name)]
    subnet_name: Option<Name>,
    /// Its addresses
    #[arg(long, num_args = 1.., value_delimiter = ',', requires = "subnet_name")]
    subnet_prefixes: Vec<String>,
}

pub(super) async fn create(session: &Session, args: Create) -> Result<(), Failure> {
    let subnets = args.subnet_name.map(
        |name| json!({ "name": name, "properties": { "addressPrefixes": args.subnet_prefixes } }),
    );
    let mut properties = json!({ "addressSpace": { "addressPrefixes": args.address_prefixes } });
    if let Some(subnet) = subnets {
        properties["subnets"] = json!([subnet]);
    }
    args.made.put(session, Kind::VirtualNetworks, &properties).await
}
