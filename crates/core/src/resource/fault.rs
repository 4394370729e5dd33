//! Why a resource cannot be set or removed: each with what stands against it and what would be accepted.

use std::net::IpAddr;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use super::id::{ResourceId, SubnetId, Target};
use crate::{
    id::Name,
    jit_rules::JitRuleOf,
    network::Family,
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
    /// A public address is another configuration's.
    PublicAddressInUse {
        /// Which configuration.
        configuration: Name,
        /// The public address.
        target: ResourceId,
        /// The interface that has it.
        by: ResourceId,
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
}
