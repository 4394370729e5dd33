//! `hourgate network nic create`.

use std::net::IpAddr;

use clap::Args;
use hourgate_core::{
    id::Name,
    resource::{Kind, SubnetId},
};
use serde_json::{Value, json};

use super::{super::Session, resource::Made};
use crate::{exit::Failure, input::network};

/// Make a network interface with one address
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  hourgate network nic create -g prod -n web-1 --vnet-name main --subnet web
  hourgate network nic create -g prod -n web-1 --vnet-name main --subnet web \\
    --private-ip-address 10.0.0.9 --network-security-group web --public-ip-address front")]
pub(crate) struct Create {
    #[command(flatten)]
    made: Made,
    /// The network it is in
    #[arg(long, value_parser = network::name)]
    vnet_name: Name,
    /// The subnet it is in
    #[arg(long, value_parser = network::name)]
    subnet: Name,
    /// Its address [default: the first that is free]
    #[arg(long, value_name = "ADDRESS", value_parser = network::address)]
    private_ip_address: Option<IpAddr>,
    /// Its security group, by name or resource id
    #[arg(long, value_name = "NSG")]
    network_security_group: Option<String>,
    /// Its public address, by name or resource id
    #[arg(long, value_name = "PUBLIC-IP")]
    public_ip_address: Option<String>,
    /// The application security groups it is in, by name or resource id
    #[arg(long, value_name = "ASG", num_args = 1.., value_delimiter = ',')]
    application_security_groups: Vec<String>,
    /// The load balancer of the rules that lead to it
    #[arg(long, requires = "lb_inbound_nat_rules", value_parser = network::name)]
    lb_name: Option<Name>,
    /// The inbound NAT rules that lead to it, by name or resource id
    #[arg(long, value_name = "RULE", num_args = 1.., value_delimiter = ',')]
    lb_inbound_nat_rules: Vec<String>,
}

pub(super) async fn create(session: &Session, args: Create) -> Result<(), Failure> {
    let group = args.made.group();
    let network = group.id(session, Kind::VirtualNetworks, &args.vnet_name)?;
    let subnet = SubnetId { network, name: args.subnet };
    let mut ip = json!({ "primary": true, "subnet": { "id": subnet } });
    if let Some(address) = args.private_ip_address {
        ip["privateIPAddress"] = json!(address);
        ip["privateIPAllocationMethod"] = json!("Static");
    }
    if let Some(called) = &args.public_ip_address {
        ip["publicIPAddress"] = group.reference(session, Kind::PublicIpAddresses, called)?;
    }
    let asgs: Vec<Value> = args
        .application_security_groups
        .iter()
        .map(|called| group.reference(session, Kind::ApplicationSecurityGroups, called))
        .collect::<Result<_, _>>()?;
    if !asgs.is_empty() {
        ip["applicationSecurityGroups"] = json!(asgs);
    }
    let rules: Vec<Value> = args
        .lb_inbound_nat_rules
        .iter()
        .map(|called| match &args.lb_name {
            Some(balancer) if !called.starts_with('/') => {
                let balancer = group.id(session, Kind::LoadBalancers, balancer)?;
                Ok(json!({ "id": format!("{balancer}/inboundNatRules/{called}") }))
            }
            Some(_) => Ok(json!({ "id": called })),
            None if called.starts_with('/') => Ok(json!({ "id": called })),
            None => Err(Failure::usage(format!(
                "{called} is a rule's name: say of which load balancer with --lb-name"
            ))),
        })
        .collect::<Result<_, _>>()?;
    if !rules.is_empty() {
        ip["loadBalancerInboundNatRules"] = json!(rules);
    }
    let configuration = json!({ "name": "ipconfig1", "properties": ip });
    let mut properties = json!({ "ipConfigurations": [configuration] });
    if let Some(called) = &args.network_security_group {
        properties["networkSecurityGroup"] =
            group.reference(session, Kind::NetworkSecurityGroups, called)?;
    }
    args.made.put(session, Kind::NetworkInterfaces, &properties).await
}
