//! The small words of a rule: its direction, what it does, its protocol, its number, its five parts.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// Which way a flow goes, as the machine sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Direction {
    /// To the machine.
    Inbound,
    /// From the machine.
    Outbound,
}

impl Direction {
    /// Both.
    pub const ALL: [Direction; 2] = [Direction::Inbound, Direction::Outbound];

    /// As Azure writes it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Direction::Inbound => "Inbound",
            Direction::Outbound => "Outbound",
        }
    }
}

/// What a rule does with a flow that it matches first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Access {
    /// Lets it through.
    Allow,
    /// Drops it.
    Deny,
}

impl Access {
    /// Both.
    pub const ALL: [Access; 2] = [Access::Allow, Access::Deny];

    /// As Azure writes it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Access::Allow => "Allow",
            Access::Deny => "Deny",
        }
    }
}

/// The protocol that a rule names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Protocol {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
    /// ICMP, and ICMPv6 in flows of IPv6.
    Icmp,
    /// The encrypted payload of IPsec.
    Esp,
    /// The authentication header of IPsec.
    Ah,
    /// Every protocol, also those that have no word here; written `*`.
    Any,
}

impl Protocol {
    /// Every one.
    pub const ALL: [Protocol; 6] =
        [Protocol::Tcp, Protocol::Udp, Protocol::Icmp, Protocol::Esp, Protocol::Ah, Protocol::Any];

    /// As Azure writes it in a rule (`Tcp`, where a JIT policy has `TCP`).
    pub const fn as_str(self) -> &'static str {
        match self {
            Protocol::Tcp => "Tcp",
            Protocol::Udp => "Udp",
            Protocol::Icmp => "Icmp",
            Protocol::Esp => "Esp",
            Protocol::Ah => "Ah",
            Protocol::Any => "*",
        }
    }
}

/// The text is none of the words that can stand there; case does not count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotAWord;

impl FromStr for Direction {
    type Err = NotAWord;

    fn from_str(text: &str) -> Result<Direction, NotAWord> {
        word(&Direction::ALL, |word| word.as_str(), text)
    }
}

impl FromStr for Access {
    type Err = NotAWord;

    fn from_str(text: &str) -> Result<Access, NotAWord> {
        word(&Access::ALL, |word| word.as_str(), text)
    }
}

impl FromStr for Protocol {
    type Err = NotAWord;

    fn from_str(text: &str) -> Result<Protocol, NotAWord> {
        word(&Protocol::ALL, |word| word.as_str(), text)
    }
}

fn word<T: Copy>(all: &[T], as_str: fn(T) -> &'static str, text: &str) -> Result<T, NotAWord> {
    all.iter().copied().find(|word| as_str(*word).eq_ignore_ascii_case(text)).ok_or(NotAWord)
}

/// The smallest number of a rule (Azure's bound).
pub const PRIORITY_MIN: u16 = 100;
/// The largest number of a rule that somebody made (Azure's bound).
pub const PRIORITY_MAX: u16 = 4_096;
/// The numbers of the default rules, behind everybody's own (Azure's).
pub(super) const DEFAULT_PRIORITIES: [u16; 3] = [65_000, 65_001, 65_500];

/// A rule's number: the smaller, the earlier it is looked at.
///
/// 100 to 4096; 65000, 65001 and 65500 are the default rules', and no rule that is sent can have them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "u16", into = "u16")]
pub struct Priority(u16);

impl Priority {
    /// The smallest.
    pub const MIN: Priority = Priority(PRIORITY_MIN);
    /// The largest that a rule of one's own can have.
    pub const MAX: Priority = Priority(PRIORITY_MAX);

    /// A number for a rule of one's own; none outside 100 to 4096.
    pub const fn own(number: u16) -> Option<Priority> {
        if PRIORITY_MIN <= number && number <= PRIORITY_MAX { Some(Priority(number)) } else { None }
    }

    pub(super) const fn of_default(place: usize) -> Priority {
        Priority(DEFAULT_PRIORITIES[place])
    }

    /// The number.
    pub const fn number(self) -> u16 {
        self.0
    }

    /// Whether it is a default rule's.
    pub const fn is_default(self) -> bool {
        self.0 > PRIORITY_MAX
    }
}

impl TryFrom<u16> for Priority {
    type Error = &'static str;

    fn try_from(number: u16) -> Result<Priority, &'static str> {
        let default = DEFAULT_PRIORITIES.contains(&number).then_some(Priority(number));
        Priority::own(number).or(default).ok_or("not a rule's number")
    }
}

impl From<Priority> for u16 {
    fn from(priority: Priority) -> u16 {
        priority.0
    }
}

impl fmt::Display for Priority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// One of the two ends of a flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Side {
    /// Where it comes from.
    Source,
    /// Where it goes to.
    Destination,
}

/// One of the five parts of a rule that a flow must fit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Part {
    /// The protocol.
    Protocol,
    /// The address it comes from.
    Source,
    /// The port it comes from.
    SourcePort,
    /// The address it goes to.
    Destination,
    /// The port it goes to.
    DestinationPort,
}

impl Part {
    /// All five, in the order in which a rule writes them.
    pub const ALL: [Part; 5] =
        [Part::Protocol, Part::Source, Part::SourcePort, Part::Destination, Part::DestinationPort];
}
