//! Why a rule or a group cannot be: each fault with the value that was sent and what would be accepted.

use serde::{Deserialize, Serialize};

use super::{
    name::RuleName,
    place::PlaceProblem,
    port::PortProblem,
    word::{Direction, Priority, Side},
};

/// Everything that is wrong with a rule, never empty.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RuleFaults(pub Vec<RuleFault>);

/// One thing that is wrong with a rule.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "fault", rename_all = "camelCase")]
pub enum RuleFault {
    /// No name of a rule: see [`RuleName`] for what is.
    Name {
        /// As sent.
        value: String,
    },
    /// The description is too long.
    Description {
        /// How long it is, in UTF-16 code units.
        units: usize,
        /// How long it may be.
        most: usize,
    },
    /// No number that a rule of one's own can have.
    Priority {
        /// As sent.
        value: i64,
        /// The smallest.
        least: u16,
        /// The largest.
        most: u16,
    },
    /// Neither `Inbound` nor `Outbound`.
    Direction {
        /// As sent.
        value: String,
    },
    /// Neither `Allow` nor `Deny`.
    Access {
        /// As sent.
        value: String,
    },
    /// None of `Tcp`, `Udp`, `Icmp`, `Esp`, `Ah` and `*`.
    Protocol {
        /// As sent.
        value: String,
    },

    /// A side names no port; `*` says every port.
    NoPort {
        /// Which side.
        side: Side,
    },
    /// No port and no range of ports.
    Port {
        /// Which side.
        side: Side,
        /// As sent.
        value: String,
        /// Why.
        problem: PortProblem,
    },
    /// Ports stand twice.
    PortTwice {
        /// Which side.
        side: Side,
        /// As sent.
        value: String,
    },
    /// `*` stands beside other ports.
    PortNotAlone {
        /// Which side.
        side: Side,
    },

    /// A side names no place; `*` says every address.
    NoPlace {
        /// Which side.
        side: Side,
    },
    /// No place.
    Place {
        /// Which side.
        side: Side,
        /// As sent.
        value: String,
        /// Why.
        problem: PlaceProblem,
    },
    /// A place stands twice, however it was written.
    PlaceTwice {
        /// Which side.
        side: Side,
        /// As sent.
        value: String,
    },
    /// `*` or a tag stands beside other places.
    PlaceNotAlone {
        /// Which side.
        side: Side,
        /// The `*` or the tag.
        value: String,
    },
    /// Application security groups stand beside prefixes.
    AsgBesidePrefix {
        /// Which side.
        side: Side,
    },
    /// More application security groups than a side may name.
    TooManyAsgs {
        /// Which side.
        side: Side,
        /// How many it names.
        count: usize,
        /// How many it may.
        most: usize,
    },
    /// Prefixes of IPv4 and of IPv6 in one rule, whichever sides they stand on.
    FamiliesMixed {
        /// One of IPv4.
        ipv4: String,
        /// One of IPv6.
        ipv6: String,
    },
}

/// Everything that is wrong with a group of rules that are right by themselves, never empty.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GroupFaults(pub Vec<GroupFault>);

/// One thing that is wrong with a group.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "fault", rename_all = "camelCase")]
pub enum GroupFault {
    /// Two rules of one direction have one number.
    PriorityTwice {
        /// Which direction.
        direction: Direction,
        /// Which number.
        priority: Priority,
        /// The rule that stands first; Azure names it first.
        existing: RuleName,
        /// The other.
        new: RuleName,
    },
    /// Two rules have one name, compared without case.
    NameTwice {
        /// The name, as the first has it.
        name: RuleName,
    },
    /// More rules than a group may have.
    TooManyRules {
        /// How many it has.
        count: usize,
        /// How many it may.
        most: usize,
    },
    /// More places on one side than all rules of a group may name together.
    TooManyPlaces {
        /// Which side.
        side: Side,
        /// How many they name.
        count: usize,
        /// How many they may.
        most: usize,
    },
    /// More ranges of ports on one side than all rules of a group may name together.
    TooManyPorts {
        /// Which side.
        side: Side,
        /// How many they name.
        count: usize,
        /// How many they may.
        most: usize,
    },
}
