//! The naive oracle: security groups a second time, from the rules' texts, without a line of their code.
//!
//! It knows no sets: it asks about one flow after another. Since nothing but the ends of prefixes and
//! ranges tells one flow from the next, the flows at those ends stand for all.

use std::{collections::BTreeSet, net::IpAddr};

use hourgate_core::nsg::{
    flow::{Carried, Flow, Portless, Transport},
    rule::RuleDraft,
    word::{Direction, Side},
};

/// What names stand for, as text.
#[derive(Clone, Debug)]
pub struct World {
    pub network: Vec<String>,
    pub balancers: Vec<String>,
    pub asgs: Vec<(String, Vec<String>)>,
}

/// An address as its family and its number.
pub type Point = (bool, u128);

pub fn point(address: IpAddr) -> Point {
    match address {
        IpAddr::V4(v4) => (false, u128::from(u32::from(v4))),
        IpAddr::V6(v6) => (true, u128::from(v6)),
    }
}

pub fn address((v6, number): Point) -> IpAddr {
    if v6 {
        IpAddr::V6(number.into())
    } else {
        IpAddr::V4(u32::try_from(number).expect("32 bits").into())
    }
}

/// First and last address of a prefix's or an address's text.
pub fn ends(text: &str) -> (Point, Point) {
    let (start, length) = text.split_once('/').unwrap_or((text, ""));
    let (v6, first) = point(start.parse().expect("an address"));
    let bits = if v6 { 128 } else { 32 };
    let length: u32 = if length.is_empty() { bits } else { length.parse().expect("a length") };
    let more = if bits - length == 128 { u128::MAX } else { (1 << (bits - length)) - 1 };
    ((v6, first), (v6, first + more))
}

fn within(text: &str, at: Point) -> bool {
    let (first, last) = ends(text);
    first <= at && at <= last
}

const PRIVATE: [&str; 8] = [
    "0.0.0.0/8",
    "10.0.0.0/8",
    "127.0.0.0/8",
    "100.64.0.0/10",
    "169.254.0.0/16",
    "172.16.0.0/12",
    "192.168.0.0/16",
    "224.0.0.0/3",
];
const PROBE: &str = "168.63.129.16";

impl World {
    fn is_network(&self, at: Point) -> bool {
        self.network.iter().any(|net| within(net, at))
    }

    fn is_balancer(&self, at: Point) -> bool {
        within(PROBE, at) || self.balancers.iter().any(|text| within(text, at))
    }

    fn is_internet(&self, at: Point) -> bool {
        let public =
            if at.0 { within("2000::/3", at) } else { !PRIVATE.iter().any(|net| within(net, at)) };
        public && !self.is_network(at) && !self.is_balancer(at)
    }

    /// Whether an address is what a place's text says.
    pub fn is(&self, place: &str, at: Point) -> bool {
        match place {
            "*" => true,
            "VirtualNetwork" => self.is_network(at),
            "Internet" => self.is_internet(at),
            "AzureLoadBalancer" => self.is_balancer(at),
            _ if place.starts_with('/') => self
                .asgs
                .iter()
                .filter(|(id, _)| id.eq_ignore_ascii_case(place))
                .any(|(_, members)| members.iter().any(|member| within(member, at))),
            _ => within(place, at),
        }
    }

    /// Every text that says where something begins or ends.
    fn texts(&self) -> Vec<&str> {
        let members = self.asgs.iter().flat_map(|(_, members)| members);
        let own = self.network.iter().chain(&self.balancers).chain(members).map(String::as_str);
        own.chain(PRIVATE).chain([PROBE, "2000::/3", "0.0.0.0/0", "::/0"]).collect()
    }
}

fn range(text: &str) -> (u16, u16) {
    match text.split_once('-') {
        _ if text == "*" => (0, 65_535),
        Some((first, last)) => (first.parse().expect("a port"), last.parse().expect("a port")),
        None => (text.parse().expect("a port"), text.parse().expect("a port")),
    }
}

fn has_port(texts: &[String], port: Option<u16>) -> bool {
    let ranges: Vec<(u16, u16)> = texts.iter().map(|text| range(text)).collect();
    let has = |port: u16| ranges.iter().any(|(first, last)| (*first..=*last).contains(&port));
    match port {
        Some(port) => has(port),
        // Every port: each that a range ends at has its next in another.
        None => has(0) && ranges.iter().all(|(_, last)| *last == 65_535 || has(last + 1)),
    }
}

fn has_protocol(rule: &RuleDraft, carried: Carried) -> bool {
    let word = match carried {
        Carried::Ports { transport: Transport::Tcp, .. } => "Tcp",
        Carried::Ports { transport: Transport::Udp, .. } => "Udp",
        Carried::Portless(Portless::Icmp) => "Icmp",
        Carried::Portless(Portless::Esp) => "Esp",
        Carried::Portless(Portless::Ah) => "Ah",
        Carried::Ports { transport: Transport::Other, .. } | Carried::Portless(Portless::Other) => {
            ""
        }
    };
    rule.protocol == "*" || rule.protocol == word
}

pub fn matches(rule: &RuleDraft, world: &World, flow: &Flow) -> bool {
    let place =
        |texts: &[String], side| texts.iter().any(|text| world.is(text, point(flow.address(side))));
    has_protocol(rule, flow.carried())
        && has_port(&rule.destination_ports, flow.port(Side::Destination))
        && has_port(&rule.source_ports, flow.port(Side::Source))
        && place(&rule.destinations, Side::Destination)
        && place(&rule.sources, Side::Source)
}

/// The name of the rule that decides, and whether it allows.
pub fn decides(
    rules: &[RuleDraft],
    world: &World,
    direction: Direction,
    flow: &Flow,
) -> (String, bool) {
    let way = format!("{direction:?}");
    let mut first: Option<&RuleDraft> = None;
    for rule in rules.iter().filter(|rule| rule.direction == way && matches(rule, world, flow)) {
        if first.is_none_or(|other| rule.priority < other.priority) {
            first = Some(rule);
        }
    }
    if let Some(rule) = first {
        return (rule.name.clone(), rule.access == "Allow");
    }
    let at = |side| point(flow.address(side));
    let (from, to) = (at(Side::Source), at(Side::Destination));
    let inside = world.is_network(from) && world.is_network(to);
    let (name, allow) = match direction {
        Direction::Inbound if inside => ("AllowVnetInBound", true),
        Direction::Inbound if world.is_balancer(from) => ("AllowAzureLoadBalancerInBound", true),
        Direction::Inbound => ("DenyAllInBound", false),
        Direction::Outbound if inside => ("AllowVnetOutBound", true),
        Direction::Outbound if world.is_internet(to) => ("AllowInternetOutBound", true),
        Direction::Outbound => ("DenyAllOutBound", false),
    };
    (name.to_owned(), allow)
}

/// The rules of subnet and NIC; none where there is no group.
#[derive(Clone, Debug, Default)]
pub struct Groups {
    pub subnet: Option<Vec<RuleDraft>>,
    pub nic: Option<Vec<RuleDraft>>,
}

impl Groups {
    pub fn rules(&self) -> impl Iterator<Item = &RuleDraft> {
        self.subnet.iter().chain(&self.nic).flatten()
    }

    /// Whether a flow passes, and the rule that has the last word.
    pub fn says(&self, world: &World, direction: Direction, flow: &Flow) -> (Option<String>, bool) {
        let order = match direction {
            Direction::Inbound => [&self.subnet, &self.nic],
            Direction::Outbound => [&self.nic, &self.subnet],
        };
        let mut last = (None, true);
        for rules in order.into_iter().flatten() {
            let (name, allow) = decides(rules, world, direction, flow);
            last = (Some(name), allow);
            if !allow {
                break;
            }
        }
        last
    }

    pub fn pass(&self, world: &World, flow: &Flow) -> bool {
        self.says(world, Direction::Inbound, flow).1
    }
}

/// One address of each stretch within which no rule and no name of the world tells two apart.
pub fn addresses<'a>(
    rules: impl Iterator<Item = &'a RuleDraft>,
    worlds: &[&World],
    also: &[&str],
    v6: bool,
) -> Vec<IpAddr> {
    let places = rules.flat_map(|rule| rule.sources.iter().chain(&rule.destinations));
    let prefixes = places
        .map(String::as_str)
        .filter(|text| text.contains(['.', ':']) && !text.contains("Microsoft"));
    let mut starts = BTreeSet::from([0]);
    let texts = worlds.iter().flat_map(|world| world.texts());
    for text in prefixes.chain(texts).chain(also.iter().copied()) {
        let (first, last) = ends(text);
        if first.0 == v6 {
            starts.insert(first.1);
            let top = if v6 { u128::MAX } else { u128::from(u32::MAX) };
            starts.extend((last.1 < top).then(|| last.1 + 1));
        }
    }
    starts.into_iter().map(|number| address((v6, number))).collect()
}

/// One port of each stretch within which no rule tells two apart.
pub fn ports<'a>(texts: impl Iterator<Item = &'a String>) -> Vec<u16> {
    let mut starts = BTreeSet::from([0]);
    for (first, last) in texts.map(|text| range(text)) {
        starts.insert(first);
        starts.extend(last.checked_add(1));
    }
    starts.into_iter().collect()
}

/// One flow of each kind to a port: every transport, from every stretch of ports and of addresses.
pub fn flows_to(
    to: (IpAddr, u16),
    rules: &[&RuleDraft],
    worlds: &[&World],
    also: &[&str],
) -> Vec<Flow> {
    let from = addresses(rules.iter().copied(), worlds, also, to.0.is_ipv6());
    let from_ports = ports(rules.iter().flat_map(|rule| &rule.source_ports));
    let mut flows = Vec::new();
    for transport in [Transport::Tcp, Transport::Udp, Transport::Other] {
        for source in &from_ports {
            let carried = Carried::Ports { transport, source: *source, destination: to.1 };
            flows.extend(from.iter().filter_map(|from| Flow::new(*from, to.0, carried)));
        }
    }
    flows
}
