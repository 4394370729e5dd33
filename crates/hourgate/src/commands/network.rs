//! `hourgate network …`: networks, groups, addresses, interfaces and what leads to them, in the words of az.

mod asg;
mod balancer;
mod effective;
mod firewall;
mod nic;
mod nsg;
mod part;
mod peering;
mod public_ip;
mod resource;
mod rule;
mod subnet;
mod vnet;
mod watcher;

use clap::Subcommand;
use hourgate_core::resource::Kind;

use super::Session;
use crate::exit::Failure;
use resource::{Listed, Named};

/// Networks, security groups, addresses and interfaces, in the words of az
#[derive(Debug, Subcommand)]
pub(crate) enum Network {
    /// Virtual networks and their subnets
    #[command(subcommand)]
    Vnet(Vnet),
    /// Network security groups and their rules
    #[command(subcommand)]
    Nsg(Nsg),
    /// Application security groups: machines that share a role
    #[command(subcommand)]
    Asg(Asg),
    /// Public addresses
    #[command(subcommand)]
    PublicIp(PublicIp),
    /// Network interfaces
    #[command(subcommand)]
    Nic(Nic),
    /// Questions: whether a flow would pass
    #[command(subcommand)]
    Watcher(watcher::Watcher),
    /// Load balancers: ports of an address that lead to machines
    #[command(subcommand)]
    Lb(Lb),
    /// Firewalls that stand in front of networks
    #[command(subcommand)]
    Firewall(Firewall),
    /// Policies of firewalls
    #[command(subcommand)]
    FirewallPolicy(FirewallPolicy),
}

/// Virtual networks and their subnets
#[derive(Debug, Subcommand)]
pub(crate) enum Vnet {
    Create(vnet::Create),
    List(Listed),
    /// Show the one of that name
    Show(Named),
    /// Remove the one of that name, if nothing needs it
    Delete(Named),
    /// Parts of a network
    #[command(subcommand)]
    Subnet(subnet::Subnet),
    /// What joins a network to others
    #[command(subcommand)]
    Peering(peering::Peering),
}

/// Network security groups and their rules
#[derive(Debug, Subcommand)]
pub(crate) enum Nsg {
    Create(nsg::Create),
    List(Listed),
    /// Show the one of that name
    Show(Named),
    /// Remove the one of that name, if nothing needs it
    Delete(Named),
    /// Rules of a group
    #[command(subcommand)]
    Rule(rule::Rule),
}

/// Application security groups
#[derive(Debug, Subcommand)]
pub(crate) enum Asg {
    Create(asg::Create),
    List(Listed),
    /// Show the one of that name
    Show(Named),
    /// Remove the one of that name, if nothing needs it
    Delete(Named),
}

/// Public addresses
#[derive(Debug, Subcommand)]
pub(crate) enum PublicIp {
    Create(public_ip::Create),
    List(Listed),
    /// Show the one of that name
    Show(Named),
    /// Remove the one of that name, if nothing needs it
    Delete(Named),
}

/// Network interfaces
#[derive(Debug, Subcommand)]
pub(crate) enum Nic {
    Create(Box<nic::Create>),
    List(Listed),
    /// Show the one of that name
    Show(Named),
    /// Remove the one of that name, if nothing needs it
    Delete(Named),
    ListEffectiveNsg(effective::ListEffective),
}

/// Load balancers
#[derive(Debug, Subcommand)]
pub(crate) enum Lb {
    Create(balancer::Create),
    List(Listed),
    /// Show the one of that name
    Show(Named),
    /// Remove the one of that name, if nothing needs it
    Delete(Named),
    /// Ports that lead to one machine
    #[command(subcommand)]
    InboundNatRule(balancer::NatRule),
}

/// Firewalls
#[derive(Debug, Subcommand)]
pub(crate) enum Firewall {
    Create(firewall::Create),
    List(Listed),
    /// Show the one of that name
    Show(Named),
    /// Remove the one of that name, if nothing needs it
    Delete(Named),
}

/// Policies of firewalls
#[derive(Debug, Subcommand)]
pub(crate) enum FirewallPolicy {
    Create(firewall::CreatePolicy),
    List(Listed),
    /// Show the one of that name
    Show(Named),
    /// Remove the one of that name, if nothing needs it
    Delete(Named),
    /// Ports of a firewall's public address that lead to machines
    #[command(subcommand)]
    Dnat(firewall::Dnat),
}

/// Does what was typed behind `network`.
pub(crate) async fn run(session: &Session, args: Network) -> Result<(), Failure> {
    let (vnet, nsg) = (Kind::VirtualNetworks, Kind::NetworkSecurityGroups);
    let (asg, public) = (Kind::ApplicationSecurityGroups, Kind::PublicIpAddresses);
    let nic = Kind::NetworkInterfaces;
    match args {
        Network::Vnet(Vnet::Create(args)) => vnet::create(session, args).await,
        Network::Vnet(Vnet::List(args)) => resource::list(session, vnet, args).await,
        Network::Vnet(Vnet::Show(args)) => resource::show(session, vnet, args).await,
        Network::Vnet(Vnet::Delete(args)) => resource::delete(session, vnet, args).await,
        Network::Vnet(Vnet::Subnet(args)) => subnet::run(session, args).await,
        Network::Vnet(Vnet::Peering(args)) => peering::run(session, args).await,
        Network::Nsg(Nsg::Create(args)) => nsg::create(session, args).await,
        Network::Nsg(Nsg::List(args)) => resource::list(session, nsg, args).await,
        Network::Nsg(Nsg::Show(args)) => nsg::show(session, args).await,
        Network::Nsg(Nsg::Delete(args)) => resource::delete(session, nsg, args).await,
        Network::Nsg(Nsg::Rule(args)) => rule::run(session, args).await,
        Network::Asg(Asg::Create(args)) => asg::create(session, args).await,
        Network::Asg(Asg::List(args)) => resource::list(session, asg, args).await,
        Network::Asg(Asg::Show(args)) => resource::show(session, asg, args).await,
        Network::Asg(Asg::Delete(args)) => resource::delete(session, asg, args).await,
        Network::PublicIp(PublicIp::Create(args)) => public_ip::create(session, args).await,
        Network::PublicIp(PublicIp::List(args)) => resource::list(session, public, args).await,
        Network::PublicIp(PublicIp::Show(args)) => resource::show(session, public, args).await,
        Network::PublicIp(PublicIp::Delete(args)) => resource::delete(session, public, args).await,
        Network::Nic(Nic::Create(args)) => nic::create(session, *args).await,
        Network::Nic(Nic::List(args)) => resource::list(session, nic, args).await,
        Network::Nic(Nic::Show(args)) => resource::show(session, nic, args).await,
        Network::Nic(Nic::Delete(args)) => resource::delete(session, nic, args).await,
        Network::Nic(Nic::ListEffectiveNsg(args)) => effective::list(session, args).await,
        Network::Watcher(args) => watcher::run(session, args).await,
        Network::Lb(args) => lb(session, args).await,
        Network::Firewall(args) => firewall(session, args).await,
        Network::FirewallPolicy(args) => firewall_policy(session, args).await,
    }
}

async fn lb(session: &Session, args: Lb) -> Result<(), Failure> {
    let kind = Kind::LoadBalancers;
    match args {
        Lb::Create(args) => balancer::create(session, args).await,
        Lb::List(args) => resource::list(session, kind, args).await,
        Lb::Show(args) => resource::show(session, kind, args).await,
        Lb::Delete(args) => resource::delete(session, kind, args).await,
        Lb::InboundNatRule(args) => balancer::nat_rule(session, args).await,
    }
}

async fn firewall(session: &Session, args: Firewall) -> Result<(), Failure> {
    let kind = Kind::AzureFirewalls;
    match args {
        Firewall::Create(args) => firewall::create(session, args).await,
        Firewall::List(args) => resource::list(session, kind, args).await,
        Firewall::Show(args) => resource::show(session, kind, args).await,
        Firewall::Delete(args) => resource::delete(session, kind, args).await,
    }
}

async fn firewall_policy(session: &Session, args: FirewallPolicy) -> Result<(), Failure> {
    let kind = Kind::FirewallPolicies;
    match args {
        FirewallPolicy::Create(args) => firewall::create_policy(session, args).await,
        FirewallPolicy::List(args) => resource::list(session, kind, args).await,
        FirewallPolicy::Show(args) => resource::show(session, kind, args).await,
        FirewallPolicy::Delete(args) => resource::delete(session, kind, args).await,
        FirewallPolicy::Dnat(args) => firewall::dnat(session, args).await,
    }
}
