//! A chain: lines in order, of which the first that a flow fits decides; the last fits every flow.

use std::net::IpAddr;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use crate::{
    network::Family,
    nsg::{
        flow::{Carried, Flow, Transport},
        group::RULES_PER_GROUP_MAX,
        port::PortRange,
        spans::Spans,
        word::{Access, Protocol, Side},
    },
};

/// How many lines a chain may have: a group's rules, the three defaults of a direction, and the grants.
pub const LINES_MAX: usize = RULES_PER_GROUP_MAX + 4;

/// What one group says about new flows of one family in one direction.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "ChainFields", into = "ChainFields")]
pub struct Chain {
    // INVARIANT: every prefix is of `family`; the last line fits every flow and no other does; the grants
    // stand at most once.
    family: Family,
    lines: Vec<Line>,
}

/// A line of a chain.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Line {
    /// Decides the flows that fit.
    Flows {
        /// What becomes of them.
        access: Access,
        /// Which.
        flows: Flows,
    },
    /// Lets through whatever an opening lets through: here stand the rules of the grants.
    Grants,
}

/// Which flows a line fits: those that fit all five parts.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Flows {
    /// Over which protocol.
    pub protocol: Protocol,
    /// Where they come from.
    pub sources: Hosts,
    /// The ports they come from.
    pub source_ports: PortSet,
    /// Where they go to.
    pub destinations: Hosts,
    /// The ports they go to.
    pub destination_ports: PortSet,
}

/// Addresses of one family.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "Vec<IpNet>", into = "Vec<IpNet>")]
pub enum Hosts {
    /// Every address.
    All,
    /// These.
    These(Nets),
}

/// Prefixes: at least one, of one family, sorted, without host bits, none within another.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Nets(Vec<IpNet>);

/// Ports of one side.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "Vec<PortRange>", into = "Vec<PortRange>")]
pub enum PortSet {
    /// Every port, and protocols without ports.
    All,
    /// These; a protocol without ports fits none.
    These(PortRanges),
}

/// Ranges of ports: at least one, sorted, apart from one another.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct PortRanges(Vec<PortRange>);

/// Why lines are no chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotAChain {
    /// There are more than [`LINES_MAX`].
    TooLong,
    /// A prefix is of another family than the chain.
    OtherFamily,
    /// The last line does not fit every flow: some flow would be decided by nobody.
    Undecided,
    /// A line stands behind one that fits every flow, or the grants stand twice.
    Unreachable,
}

impl Chain {
    /// Whether nothing stops at it: then it need not stand.
    pub fn lets_everything_through(&self) -> bool {
        self.lines.iter().all(|line| match line {
            Line::Flows { access, .. } => *access == Access::Allow,
            Line::Grants => true,
        })
    }

    /// A chain of lines.
    ///
    /// # Errors
    /// [`NotAChain`].
    pub fn new(family: Family, lines: Vec<Line>) -> Result<Chain, NotAChain> {
        if lines.len() > LINES_MAX {
            return Err(NotAChain::TooLong);
        }
        if lines.iter().any(|line| line.is_of_other(family)) {
            return Err(NotAChain::OtherFamily);
        }
        let (last, others) = lines.split_last().ok_or(NotAChain::Undecided)?;
        if !last.fits_everything() {
            return Err(NotAChain::Undecided);
        }
        let grants = others.iter().filter(|line| **line == Line::Grants).count();
        if others.iter().any(Line::fits_everything) || grants > 1 {
            return Err(NotAChain::Unreachable);
        }
        Ok(Chain { family, lines })
    }

    /// Everything passes, or nothing.
    pub fn only(family: Family, access: Access) -> Chain {
        Chain { family, lines: vec![Line::Flows { access, flows: Flows::everything() }] }
    }

    /// Of which family its flows are.
    pub fn family(&self) -> Family {
        self.family
    }

    /// Its lines, in order.
    pub fn lines(&self) -> &[Line] {
        &self.lines
    }

    /// The lines before the grants; all where it has none. What an opening lets through and none of these
    /// decides passes.
    pub fn before_grants(&self) -> Option<&[Line]> {
        let at = self.lines.iter().position(|line| *line == Line::Grants)?;
        self.lines.get(..at)
    }

    /// What becomes of a new flow. `granted`: an opening lets it through.
    pub fn decides(&self, flow: &Flow, granted: bool) -> Access {
        let access = self.lines.iter().find_map(|line| match line {
            Line::Flows { access, flows } => flows.fit(flow).then_some(*access),
            Line::Grants => granted.then_some(Access::Allow),
        });
        // The last line fits every flow; were there none, nothing would pass.
        access.unwrap_or(Access::Deny)
    }
}

impl Line {
    fn fits_everything(&self) -> bool {
        match self {
            Line::Flows { flows, .. } => *flows == Flows::everything(),
            Line::Grants => false,
        }
    }

    fn is_of_other(&self, family: Family) -> bool {
        match self {
            Line::Flows { flows, .. } => [&flows.sources, &flows.destinations]
                .into_iter()
                .any(|hosts| hosts.family().is_some_and(|its| its != family)),
            Line::Grants => false,
        }
    }
}

impl Flows {
    /// Every flow.
    pub fn everything() -> Flows {
        Flows {
            protocol: Protocol::Any,
            sources: Hosts::All,
            source_ports: PortSet::All,
            destinations: Hosts::All,
            destination_ports: PortSet::All,
        }
    }

    /// Whether a flow fits all five parts.
    pub fn fit(&self, flow: &Flow) -> bool {
        self.protocol.covers(flow.carried())
            && self.sources.contain(flow.address(Side::Source))
            && self.source_ports.contain(flow.port(Side::Source))
            && self.destinations.contain(flow.address(Side::Destination))
            && self.destination_ports.contain(flow.port(Side::Destination))
    }
}

impl Hosts {
    /// These prefixes; [`Hosts::All`] for one of length 0.
    ///
    /// None where there is no prefix, or they are of two families, not sorted, overlap, or have host bits.
    pub fn these(nets: Vec<IpNet>) -> Option<Hosts> {
        let family = Family::of_net(*nets.first()?);
        let plain = |net: &IpNet| net.trunc() == *net && Family::of_net(*net) == family;
        let apart = nets.windows(2).all(|two| match two {
            [one, next] => one.broadcast() < next.network(),
            _ => true,
        });
        if !nets.iter().all(plain) || !apart {
            return None;
        }
        let all = nets.first().is_some_and(|net| net.prefix_len() == 0);
        Some(if all { Hosts::All } else { Hosts::These(Nets(nets)) })
    }

    /// The prefixes; none for all.
    pub fn nets(&self) -> &[IpNet] {
        match self {
            Hosts::All => &[],
            Hosts::These(Nets(nets)) => nets,
        }
    }

    /// The family; none for all.
    pub fn family(&self) -> Option<Family> {
        self.nets().first().map(|net| Family::of_net(*net))
    }

    fn contain(&self, address: IpAddr) -> bool {
        match self {
            Hosts::All => true,
            Hosts::These(Nets(nets)) => nets.iter().any(|net| net.contains(&address)),
        }
    }
}

impl PortSet {
    /// The ports of these ranges, in any order, which may overlap; none where there is no range.
    pub fn of(ranges: impl IntoIterator<Item = PortRange>) -> Option<PortSet> {
        let number = |port: u128| u16::try_from(port).ok();
        let spans = ranges.into_iter().map(|range| (range.first().into(), range.last().into()));
        let ranges: Vec<PortRange> = Spans::many(spans)
            .as_slice()
            .iter()
            .filter_map(|(first, last)| PortRange::new(number(*first)?, number(*last)?))
            .collect();
        match ranges.as_slice() {
            [] => None,
            [PortRange::ALL] => Some(PortSet::All),
            _ => Some(PortSet::These(PortRanges(ranges))),
        }
    }

    /// The ranges; none for all.
    pub fn ranges(&self) -> &[PortRange] {
        match self {
            PortSet::All => &[],
            PortSet::These(PortRanges(ranges)) => ranges,
        }
    }

    fn contain(&self, port: Option<u16>) -> bool {
        match self {
            PortSet::All => true,
            PortSet::These(PortRanges(ranges)) => {
                port.is_some_and(|port| ranges.iter().any(|range| range.contains(port)))
            }
        }
    }
}

impl TryFrom<Vec<IpNet>> for Hosts {
    type Error = &'static str;

    fn try_from(nets: Vec<IpNet>) -> Result<Hosts, &'static str> {
        if nets.is_empty() {
            return Ok(Hosts::All);
        }
        Hosts::these(nets).ok_or("the prefixes are not sorted and apart, or of two families")
    }
}

impl From<Hosts> for Vec<IpNet> {
    fn from(hosts: Hosts) -> Vec<IpNet> {
        match hosts {
            Hosts::All => Vec::new(),
            Hosts::These(Nets(nets)) => nets,
        }
    }
}

impl TryFrom<Vec<PortRange>> for PortSet {
    type Error = &'static str;

    fn try_from(ranges: Vec<PortRange>) -> Result<PortSet, &'static str> {
        let said = ranges.len();
        let ports = PortSet::of(ranges).unwrap_or(PortSet::All);
        if ports.ranges().len() == said { Ok(ports) } else { Err("the ranges are not apart") }
    }
}

impl From<PortSet> for Vec<PortRange> {
    fn from(ports: PortSet) -> Vec<PortRange> {
        match ports {
            PortSet::All => Vec::new(),
            PortSet::These(PortRanges(ranges)) => ranges,
        }
    }
}

#[derive(Serialize, Deserialize)]
struct ChainFields {
    family: Family,
    lines: Vec<Line>,
}

impl TryFrom<ChainFields> for Chain {
    type Error = String;

    fn try_from(fields: ChainFields) -> Result<Chain, String> {
        Chain::new(fields.family, fields.lines).map_err(|problem| format!("no chain: {problem:?}"))
    }
}

impl From<Chain> for ChainFields {
    fn from(chain: Chain) -> ChainFields {
        ChainFields { family: chain.family, lines: chain.lines }
    }
}

/// Whether a flow is over this transport; for those who ask about standing exceptions.
pub(super) fn is_over(flow: &Flow, transport: Transport) -> bool {
    match flow.carried() {
        Carried::Ports { transport: its, .. } => its == transport,
        Carried::Portless(_) => false,
    }
}
