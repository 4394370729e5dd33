//! `hourgate network public-ip create`.

use std::net::IpAddr;

use clap::{Args, ValueEnum};
use hourgate_core::{network::Family, resource::Kind};
use serde_json::json;

use super::{super::Session, resource::Made};
use crate::{exit::Failure, input::network};

/// How an address is given.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Method {
    /// You say which.
    Static,
    /// Whichever there is.
    Dynamic,
}

/// Make a public address known
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  hourgate network public-ip create -g prod -n front --ip-address 203.0.113.9")]
pub(crate) struct Create {
    #[command(flatten)]
    made: Made,
    /// The address; one that exists keeps its address where none is named
    #[arg(long, value_parser = network::address)]
    ip_address: Option<IpAddr>,
    /// How it is given
    #[arg(long, ignore_case = true, default_value = "static")]
    allocation_method: Method,
}

pub(super) async fn create(session: &Session, args: Create) -> Result<(), Failure> {
    let method = match args.allocation_method {
        Method::Static => "Static",
        Method::Dynamic => "Dynamic",
    };
    let mut properties = json!({ "publicIPAllocationMethod": method });
    if let Some(address) = args.ip_address {
        properties["ipAddress"] = json!(address);
        properties["publicIPAddressVersion"] = json!(Family::of(address).to_string());
    }
    args.made.put(session, Kind::PublicIpAddresses, &properties).await
}
