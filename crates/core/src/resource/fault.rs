//! Why a resource cannot be set or removed: each with what stands against it and what would be accepted.

use std::{collections::BTreeSet, net::IpAddr};

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use super::id::{InboundNatRuleId, ResourceId, SubnetId, Target};
use crate::{
    gateway::{Carrier, Place},
    id::{Location, Name, RequestId},
    jit_rules::JitRuleOf,
    network::{Family, Port},
    nsg::{
        fault::{GroupFault, RuleFault},
        name::RuleName,
    },
};

/// One reason why a resource cannot be set or removed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "fault", rename_all = "camelCase")]
pub enum ResourceFault {
    /// There is no such resource.
    NotFound,
    /// What it refers to does not exist.
    ReferenceNotFound {
        /// What.
        target: Target,
    },
    /// What it refers to is in another subscription.
    OtherSubscription {
        /// What.
        target: Target,
    },
    /// A resource of that kind cannot stand there.
    WrongKind {
        /// What it refers to.
        target: ResourceId,
        /// What can.
        needed: super::id::Kind,
    },
    /// Others refer to it, so it stays.
    InUse {
        /// What: itself, or a part of it.
        target: Target,
        /// By whom.
        by: Vec<ResourceId>,
    },
    /// There are as many resources as there may be.
    TooManyResources {
        /// How many may.
        most: usize,
    },
    /// More tags than a resource may have.
    TooManyTags {
        /// How many may.
        most: usize,
    },
    /// A tag's name that is empty or too long.
    TagName {
        /// As sent.
        name: String,
        /// How many characters it may have.
        most: usize,
    },
    /// A tag's value that is too long.
    TagValue {
        /// The tag.
        name: String,
        /// How many characters it may have.
        most: usize,
    },
    /// Two parts of one name, compared without case.
    NameTwice {
        /// The name.
        name: Name,
    },
    /// More parts than it may have.
    TooManyParts {
        /// Of what.
        part: Part,
        /// How many may.
        most: usize,
    },
    /// It lacks a part that it must have.
    NoPart {
        /// What.
        part: Part,
    },

    /// A rule is wrong by itself.
    Rule {
        /// Its name as sent.
        rule: String,
        /// What is wrong.
        problem: RuleFault,
    },
    /// A rule of JIT's own would be changed or taken away.
    JitRule {
        /// Which.
        rule: RuleName,
        /// Whose it is.
        of: JitRuleOf,
    },
    /// A rule bears a name of the form that JIT's own rules have, and is none of them.
    JitName {
        /// The name as sent.
        rule: String,
    },
    /// The rules cannot stand together.
    Rules {
        /// Why.
        problem: GroupFault,
    },

    /// Bits behind the prefix length are set.
    HostBits {
        /// As sent.
        prefix: IpNet,
        /// What was probably meant.
        meant: IpNet,
    },
    /// A prefix that no network can have.
    PrefixLength {
        /// Which.
        prefix: IpNet,
        /// The shortest.
        least: u8,
        /// The longest.
        most: u8,
    },
    /// Two prefixes of the address space overlap.
    AddressSpacesOverlap {
        /// One.
        one: IpNet,
        /// The other.
        other: IpNet,
    },
    /// A subnet's prefix lies outside its network.
    SubnetOutside {
        /// The subnet.
        subnet: Name,
        /// Its prefix.
        prefix: IpNet,
        /// The network's addresses.
        space: Vec<IpNet>,
    },
    /// Two subnets overlap, or one overlaps itself.
    SubnetsOverlap {
        /// The later one.
        subnet: Name,
        /// Its prefix.
        prefix: IpNet,
        /// The other.
        other: Name,
        /// Its prefix.
        other_prefix: IpNet,
    },
    /// An interface has an address that the subnet would no longer have.
    AddressLeft {
        /// The subnet.
        subnet: Name,
        /// The interface.
        by: ResourceId,
        /// Its address.
        address: IpAddr,
    },
    /// A network cannot be joined to itself.
    PeerOfItself,
    /// Two networks that are joined have addresses in common.
    PeersOverlap {
        /// The other network.
        peer: ResourceId,
        /// This network's prefix.
        prefix: IpNet,
        /// The other's.
        other: IpNet,
    },

    /// An address lies outside its subnet.
    AddressOutside {
        /// Which configuration.
        configuration: Name,
        /// The address.
        address: IpAddr,
        /// The subnet.
        subnet: SubnetId,
        /// The subnet's prefixes.
        prefixes: Vec<IpNet>,
    },
    /// An address is one of the five of each subnet that no interface gets.
    AddressReserved {
        /// Which configuration.
        configuration: Name,
        /// The address.
        address: IpAddr,
        /// The subnet's prefix.
        prefix: IpNet,
    },
    /// An address is another's.
    AddressInUse {
        /// Which configuration; none for a public address.
        configuration: Option<Name>,
        /// The address.
        address: IpAddr,
        /// Whose it is.
        by: ResourceId,
    },
    /// An address that no machine can have.
    AddressUnfit {
        /// The address.
        address: IpAddr,
    },
    /// An address of the other family than was said.
    AddressFamily {
        /// The address.
        address: IpAddr,
        /// What was said.
        family: Family,
    },
    /// No address of the subnet is free.
    SubnetFull {
        /// Which configuration.
        configuration: Name,
        /// The subnet.
        subnet: SubnetId,
        /// Of which family.
        family: Family,
    },
    /// An address is to be picked, and it is not said from which subnet.
    NoSubnet {
        /// Which configuration.
        configuration: Name,
    },
    /// The addresses of one interface lie in two networks.
    TwoNetworks {
        /// The configuration whose network is not the first's.
        configuration: Name,
    },
    /// More than one configuration is to be the primary one.
    TwoPrimaries {
        /// The later one.
        configuration: Name,
    },
    /// An interface is another machine's.
    InterfaceInUse {
        /// The interface.
        interface: ResourceId,
        /// The machine that has it.
        by: ResourceId,
    },
    /// An interface stands twice in one machine.
    InterfaceTwice {
        /// The interface.
        interface: ResourceId,
    },
    /// More than one interface is to be the primary one.
    TwoPrimaryInterfaces {
        /// The later one.
        interface: ResourceId,
    },
    /// Interfaces and addresses were both sent for a machine, and say two things.
    AddressesDisagree {
        /// The addresses that were sent.
        sent: Vec<IpAddr>,
        /// What the interfaces have.
        interfaces: Vec<IpAddr>,
    },
    /// It is somewhere else already, and stays there.
    Elsewhere {
        /// Where it was sent to be.
        sent: Location,
        /// Where it is.
        location: Location,
    },
    /// A public address is another configuration's.
    PublicAddressInUse {
        /// Which configuration.
        configuration: Name,
        /// The public address.
        target: ResourceId,
        /// The interface that has it.
        by: ResourceId,
    },

    /// An inbound NAT rule names an address that the load balancer has not.
    FrontendNotFound {
        /// The rule.
        rule: Name,
        /// What it names.
        frontend: Name,
    },
    /// A port of a load balancer's address would lead to two machines.
    FrontendPortTwice {
        /// The later rule.
        rule: Name,
        /// The other.
        other: Name,
        /// The port.
        port: Port,
        /// What both carry.
        carrier: Carrier,
    },
    /// An inbound NAT rule leads to another configuration already.
    NatRuleTaken {
        /// Which configuration.
        configuration: Name,
        /// The rule.
        rule: InboundNatRuleId,
        /// The interface it leads to.
        by: ResourceId,
    },
    /// A firewall stands in a subnet that is not for firewalls.
    NotFirewallSubnet {
        /// Which configuration.
        configuration: Name,
        /// The subnet.
        subnet: SubnetId,
    },
    /// A firewall would stand in two subnets: only its first configuration names one.
    SecondSubnet {
        /// Which configuration.
        configuration: Name,
    },
    /// A number that no group and no collection of rules may have.
    PriorityOutside {
        /// As sent.
        value: u32,
        /// The smallest.
        least: u32,
        /// The largest.
        most: u32,
    },
    /// A firewall leads to machines for accesses that run, and could not any more.
    LeadsForAccesses {
        /// The requests they belong to.
        requests: BTreeSet<RequestId>,
    },
    /// A DNAT rule is about a port that leads to a machine for an access that runs.
    PortLeadsForAccess {
        /// The port of a public address.
        at: Place,
        /// The request it belongs to.
        request: RequestId,
    },
    /// A DNAT rule would lead from one family of addresses to the other.
    DnatFamilies {
        /// The rule, as it is called.
        rule: String,
        /// The address that does not fit.
        address: IpAddr,
        /// Where it leads.
        to: IpAddr,
    },
}

/// What a resource is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Part {
    /// Prefixes of a network or a subnet.
    Prefixes,
    /// Subnets of a network.
    Subnets,
    /// Networks that a network is joined to.
    Peers,
    /// Addresses of an interface.
    IpConfigurations,
    /// Application security groups of an address.
    Asgs,
    /// Interfaces of a machine.
    NetworkInterfaces,
    /// Addresses of a load balancer.
    Frontends,
    /// Inbound NAT rules of a load balancer.
    InboundNatRules,
    /// Groups of rules of a firewall's policy.
    RuleCollectionGroups,
    /// DNAT rules of a firewall's policy.
    DnatRules,
    /// What the DNAT rules of a firewall's policy stand for: each source, address, port and protocol by itself.
    DnatFlows,
}
