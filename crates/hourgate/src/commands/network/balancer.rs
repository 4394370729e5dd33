//! `hourgate network lb …`.

use std::net::IpAddr;

use clap::{Args, Subcommand, ValueEnum};
use hourgate_api::paths::Route;
use hourgate_core::{
    id::Name,
    network::Port,
    resource::{Kind, SubnetId},
};
use reqwest::Method;
use serde_json::{Value, json};

use super::{
    super::Session,
    resource::{Group, Made},
};
use crate::{
    client::Call,
    exit::{Exit, Failure},
    input::network,
};

/// What its one address is called unless told otherwise (az's name).
const FRONTEND: &str = "LoadBalancerFrontEnd";

/// Make a load balancer with one address
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  hourgate network lb create -g prod -n front --public-ip-address front
  hourgate network lb create -g prod -n inner --vnet-name main --subnet web \\
    --private-ip-address 10.0.0.9")]
pub(crate) struct Create {
    #[command(flatten)]
    made: Made,
    /// What its address is called
    #[arg(long, default_value = FRONTEND, value_parser = network::name)]
    frontend_ip_name: Name,
    /// Its public address, by name or resource id
    #[arg(long, value_name = "PUBLIC-IP", required_unless_present = "subnet")]
    public_ip_address: Option<String>,
    /// The network it is in, where it has no public address
    #[arg(long, requires = "subnet", conflicts_with = "public_ip_address", value_parser = network::name)]
    vnet_name: Option<Name>,
    /// The subnet it is in
    #[arg(long, requires = "vnet_name", value_parser = network::name)]
    subnet: Option<Name>,
    /// Its address there
    #[arg(long, value_name = "ADDRESS", requires = "subnet", value_parser = network::address)]
    private_ip_address: Option<IpAddr>,
}

/// Ports that lead to one machine
#[derive(Debug, Subcommand)]
pub(crate) enum NatRule {
    Create(CreateRule),
    Delete(OneRule),
}

/// The load balancer.
#[derive(Debug, Args)]
struct Of {
    #[command(flatten)]
    group: Group,
    /// The load balancer it is part of
    #[arg(long, value_parser = network::name)]
    lb_name: Name,
    /// What it is called
    #[arg(short = 'n', long = "name", value_parser = network::name)]
    name: Name,
}

/// What a port carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Protocol {
    Tcp,
    Udp,
}

/// Let a port lead to a machine: the one whose interface names the rule
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  hourgate network lb inbound-nat-rule create -g prod --lb-name front -n ssh-web-1 \\
    --frontend-port 2201 --backend-port 22
  hourgate network nic create -g prod -n web-1 --vnet-name main --subnet web \\
    --lb-name front --lb-inbound-nat-rules ssh-web-1")]
pub(crate) struct CreateRule {
    #[command(flatten)]
    of: Of,
    /// Of which of its addresses
    #[arg(long, default_value = FRONTEND, value_parser = network::name)]
    frontend_ip_name: Name,
    /// What it carries
    #[arg(long, ignore_case = true, default_value = "tcp")]
    protocol: Protocol,
    /// The port of that address
    #[arg(long, value_parser = network::port)]
    frontend_port: Port,
    /// The machine's port
    #[arg(long, value_parser = network::port)]
    backend_port: Port,
}

/// Let a port lead nowhere any more
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  hourgate network lb inbound-nat-rule delete -g prod --lb-name front -n ssh-web-1")]
pub(crate) struct OneRule {
    #[command(flatten)]
    of: Of,
}

pub(super) async fn create(session: &Session, args: Create) -> Result<(), Failure> {
    let group = args.made.group();
    let mut at = json!({});
    if let Some(called) = &args.public_ip_address {
        at["publicIPAddress"] = group.reference(session, Kind::PublicIpAddresses, called)?;
    }
    if let (Some(vnet), Some(name)) = (&args.vnet_name, args.subnet) {
        let network = group.id(session, Kind::VirtualNetworks, vnet)?;
        at["subnet"] = json!({ "id": SubnetId { network, name } });
        if let Some(address) = args.private_ip_address {
            at["privateIPAddress"] = json!(address);
            at["privateIPAllocationMethod"] = json!("Static");
        }
    }
    let frontend = json!({ "name": args.frontend_ip_name, "properties": at });
    let properties = json!({ "frontendIPConfigurations": [frontend] });
    args.made.put(session, Kind::LoadBalancers, &properties).await
}

pub(super) async fn nat_rule(session: &Session, args: NatRule) -> Result<(), Failure> {
    match args {
        NatRule::Create(CreateRule {
            of,
            frontend_ip_name,
            protocol,
            frontend_port,
            backend_port,
        }) => {
            let balancer = of.group.id(session, Kind::LoadBalancers, &of.lb_name)?;
            let protocol = match protocol {
                Protocol::Tcp => "Tcp",
                Protocol::Udp => "Udp",
            };
            let frontend = format!("{balancer}/frontendIPConfigurations/{frontend_ip_name}");
            let rule = json!({
                "name": of.name,
                "properties": {
                    "frontendIPConfiguration": { "id": frontend },
                    "protocol": protocol,
                    "frontendPort": frontend_port,
                    "backendPort": backend_port,
                },
            });
            of.change(session, Some(rule)).await
        }
        NatRule::Delete(OneRule { of }) => of.change(session, None).await,
    }
}

impl Of {
    /// Sets the load balancer with the rule as it shall be, if nobody came between.
    async fn change(&self, session: &Session, rule: Option<Value>) -> Result<(), Failure> {
        let id = self.group.id(session, Kind::LoadBalancers, &self.lb_name)?;
        let path = Route::Resource(id).uri();
        let mut balancer = session.client.get(&path).await?.body;
        let etag = balancer.get("etag").and_then(Value::as_str).unwrap_or("*").to_owned();
        let rules = balancer.pointer_mut("/properties/inboundNatRules");
        if let Some(rules) = rules.and_then(Value::as_array_mut) {
            let named = |rule: &Value| {
                let name = rule.get("name").and_then(Value::as_str).unwrap_or_default();
                name.eq_ignore_ascii_case(self.name.as_str())
            };
            let before = rules.len();
            rules.retain(|rule| !named(rule));
            if rule.is_none() && rules.len() == before {
                let why = format!("{} has no inbound NAT rule {}", self.lb_name, self.name);
                return Err(Failure::new(Exit::NotFound, why));
            }
            rules.extend(rule);
        }
        let call = Call::new(Method::PUT, &path).header("If-Match", etag).body(&balancer);
        session.client.send(call).await?;
        Ok(())
    }
}
