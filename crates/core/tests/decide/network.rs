//! A small language for resources of the network.

use hourgate_core::{
    command::{Command, Precondition},
    nsg::rule::RuleDraft,
    refusal::Refusal,
    resource::{
        Kind, ResourceDraft, ResourceFault, ResourceId, SubnetId, Tags, Target, ViewDraft,
        network_interface::{IpConfigurationDraft, NetworkInterfaceDraft, Wanted},
        public_ip::{Allocation, PublicIpAddress},
        virtual_network::{Subnet, VirtualNetworkDraft},
    },
};
use uuid::Uuid;

use crate::scene::*;

pub(crate) fn id(kind: Kind, name: &str) -> ResourceId {
    let group = "g".parse().expect("a name");
    let name = name.parse().expect("a name");
    ResourceId { subscription: Uuid::nil(), group, kind, name }
}

pub(crate) fn vnet(name: &str) -> ResourceId {
    id(Kind::VirtualNetworks, name)
}

pub(crate) fn nsg(name: &str) -> ResourceId {
    id(Kind::NetworkSecurityGroups, name)
}

pub(crate) fn asg(name: &str) -> ResourceId {
    id(Kind::ApplicationSecurityGroups, name)
}

pub(crate) fn public(name: &str) -> ResourceId {
    id(Kind::PublicIpAddresses, name)
}

pub(crate) fn nic(name: &str) -> ResourceId {
    id(Kind::NetworkInterfaces, name)
}

pub(crate) fn subnet(network: &str, name: &str) -> SubnetId {
    SubnetId { network: vnet(network), name: name.parse().expect("a name") }
}

pub(crate) fn put(id: ResourceId, view: ViewDraft) -> Command {
    put_if(id, view, Precondition::None)
}

pub(crate) fn put_if(id: ResourceId, view: ViewDraft, only_if: Precondition) -> Command {
    let draft = ResourceDraft {
        id,
        location: "local".parse().expect("a location"),
        tags: Tags::new(),
        view,
        document: "{}".to_owned(),
    };
    Command::PutResource { draft: Box::new(draft), instance: Uuid::from_u128(1), only_if }
}

pub(crate) fn delete(id: ResourceId) -> Command {
    Command::DeleteResource { id, only_if: Precondition::None }
}

/// Subnets as name, prefixes (joined by spaces) and group.
pub(crate) fn network(
    space: &[&str],
    subnets: &[(&str, &str, Option<&str>)],
) -> VirtualNetworkDraft {
    let net = |text: &str| text.parse().expect("a prefix");
    let subnet = |(name, prefixes, group): &(&str, &str, Option<&str>)| {
        let prefixes = prefixes.split_whitespace().map(net).collect();
        let security_group = group.and_then(|group| nsg(group).security_group());
        (name.parse().expect("a name"), Subnet { prefixes, security_group })
    };
    VirtualNetworkDraft {
        address_space: space.iter().map(|text| net(text)).collect(),
        subnets: Some(subnets.iter().map(subnet).collect()),
        peers: Some(Vec::new()),
    }
}

pub(crate) fn vnet_of(space: &[&str], subnets: &[(&str, &str, Option<&str>)]) -> ViewDraft {
    ViewDraft::VirtualNetwork(network(space, subnets))
}

pub(crate) fn at_address(address: &str) -> Wanted {
    Wanted::Static(ip(address))
}

pub(crate) fn any() -> Wanted {
    Wanted::Dynamic(hourgate_core::network::Family::V4)
}

pub(crate) fn configuration(
    name: &str,
    within: Option<SubnetId>,
    wanted: Wanted,
) -> IpConfigurationDraft {
    IpConfigurationDraft {
        name: name.parse().expect("a name"),
        wanted,
        subnet: within,
        public_address: None,
        asgs: Vec::new(),
        nat_rules: Vec::new(),
        primary: false,
    }
}

pub(crate) fn nic_of(configurations: Vec<IpConfigurationDraft>) -> ViewDraft {
    ViewDraft::NetworkInterface(NetworkInterfaceDraft { security_group: None, configurations })
}

/// One configuration in the subnet `a` of the network `v`.
pub(crate) fn one(wanted: Wanted) -> ViewDraft {
    nic_of(vec![configuration("ip", Some(subnet("v", "a")), wanted)])
}

pub(crate) fn public_of(address: Option<&str>) -> ViewDraft {
    ViewDraft::PublicIpAddress(PublicIpAddress {
        address: address.map(ip),
        allocation: Allocation::Static,
        family: hourgate_core::network::Family::V4,
    })
}

pub(crate) fn security_rule(name: &str, priority: i64, from: &str) -> RuleDraft {
    RuleDraft {
        name: name.to_owned(),
        description: None,
        priority,
        direction: "Inbound".to_owned(),
        access: "Allow".to_owned(),
        protocol: "Tcp".to_owned(),
        sources: vec![from.to_owned()],
        source_ports: vec!["*".to_owned()],
        destinations: vec!["*".to_owned()],
        destination_ports: vec!["22".to_owned()],
    }
}

pub(crate) fn nsg_of(rules: Vec<RuleDraft>) -> ViewDraft {
    ViewDraft::SecurityGroup(rules)
}

pub(crate) fn fault(id: ResourceId, fault: ResourceFault) -> Refusal {
    Refusal::Resource { id, fault }
}

pub(crate) fn in_use(target: Target, by: &[ResourceId]) -> ResourceFault {
    ResourceFault::InUse { target, by: by.to_vec() }
}
