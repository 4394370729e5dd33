//! The ports of a rule: `*`, or a list of ports and ranges.

use std::{collections::BTreeSet, fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// Ports from … to …, both included, 0 to 65535; `22-22` is the same as `22`, and written so.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct PortRange {
    // INVARIANT: first <= last.
    first: u16,
    last: u16,
}

impl PortRange {
    /// Every port.
    pub const ALL: PortRange = PortRange { first: 0, last: u16::MAX };

    /// A range; none if it is turned round.
    pub const fn new(first: u16, last: u16) -> Option<PortRange> {
        if first <= last { Some(PortRange { first, last }) } else { None }
    }

    /// One port.
    pub const fn one(port: u16) -> PortRange {
        PortRange { first: port, last: port }
    }

    /// The first port.
    pub const fn first(self) -> u16 {
        self.first
    }

    /// The last port.
    pub const fn last(self) -> u16 {
        self.last
    }

    /// Whether a port lies in it.
    pub const fn contains(self, port: u16) -> bool {
        self.first <= port && port <= self.last
    }
}

/// Why a text is no port and no range of ports.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum PortProblem {
    /// Neither a number from 0 to 65535 nor two of them with `-` between.
    NotAPort,
    /// The last port stands first; what was probably meant.
    TurnedRound {
        /// The range the right way round.
        meant: PortRange,
    },
}

impl FromStr for PortRange {
    type Err = PortProblem;

    fn from_str(text: &str) -> Result<PortRange, PortProblem> {
        let Some((first, last)) = text.split_once('-') else { return number(text).map(Self::one) };
        let (first, last) = (number(first)?, number(last)?);
        PortRange::new(first, last)
            .ok_or(PortProblem::TurnedRound { meant: PortRange { first: last, last: first } })
    }
}

/// A port as people write it: digits alone, without a sign and without leading zeros.
fn number(text: &str) -> Result<u16, PortProblem> {
    let plain = text.bytes().all(|byte| byte.is_ascii_digit());
    let padded = text.len() > 1 && text.starts_with('0');
    if !plain || padded {
        return Err(PortProblem::NotAPort);
    }
    text.parse().map_err(|_| PortProblem::NotAPort)
}

impl fmt::Display for PortRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.first == self.last {
            self.first.fmt(f)
        } else {
            write!(f, "{}-{}", self.first, self.last)
        }
    }
}

impl TryFrom<String> for PortRange {
    type Error = &'static str;

    fn try_from(text: String) -> Result<PortRange, &'static str> {
        text.parse().map_err(|_| "not a range of ports")
    }
}

impl From<PortRange> for String {
    fn from(range: PortRange) -> String {
        range.to_string()
    }
}

/// The ports of one side of a rule.
///
/// `*` and `0-65535` mean the same and are written as they were sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ports {
    /// `*`.
    Any,
    /// These, in the order sent.
    Listed(PortList),
}

/// Ranges of ports: at least one, none written twice; two may overlap.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PortList(pub(super) Vec<PortRange>);

impl Ports {
    /// One port.
    pub fn one(port: u16) -> Ports {
        Ports::Listed(PortList(vec![PortRange::one(port)]))
    }

    /// The ranges they stand for: at least one.
    pub fn ranges(&self) -> &[PortRange] {
        match self {
            Ports::Any => &[PortRange::ALL],
            Ports::Listed(PortList(ranges)) => ranges,
        }
    }

    /// Whether a port is among them.
    pub fn contains(&self, port: u16) -> bool {
        self.ranges().iter().any(|range| range.contains(port))
    }

    /// Whether others are the same, in whatever order.
    pub fn same_as(&self, other: &Ports) -> bool {
        let [one, two] = [self, other].map(|ports| ports.ranges().iter().collect::<BTreeSet<_>>());
        one == two
    }

    /// Whether every port is among them, however they were written.
    pub fn is_every_port(&self) -> bool {
        let mut next = 0;
        while let Some(reach) = self.reach(next) {
            if reach == u16::MAX {
                return true;
            }
            next = reach + 1;
        }
        false
    }

    /// The farthest port that one range with `from` in it goes to.
    fn reach(&self, from: u16) -> Option<u16> {
        self.ranges().iter().filter(|range| range.contains(from)).map(|range| range.last).max()
    }

    /// As Azure writes them: `*`, or one text a range.
    pub fn texts(&self) -> Vec<String> {
        match self {
            Ports::Any => vec!["*".to_owned()],
            Ports::Listed(PortList(ranges)) => ranges.iter().map(PortRange::to_string).collect(),
        }
    }
}
