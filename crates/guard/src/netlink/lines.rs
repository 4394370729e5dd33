//! Lines of chains as rules of the kernel: the first that a packet fits lets it go on or drops it.
//!
//! One prefix or range stands in the rule, a few in as many rules; more stand in a set of the chain's own,
//! which is constant: while a rule asks it nobody, not even root, changes what is in it.

use std::net::IpAddr;

use hourgate_core::{
    network::Family,
    nsg::{
        flow::Transport,
        port::PortRange,
        word::{Access, Protocol, Side},
    },
    screen::chain::{Chain, Flows, Hosts, Line, PortSet},
};
use ipnet::IpNet;
use nlink::netlink::nftables::{
    ChainName, CmpOp, MetaKey, PayloadBase, RangeOp, Rule, Set, SetElement, SetKeyType, Verdict,
    expr::{Expr, LookupExpr},
};

use super::{
    INET, TABLE, WireError,
    rules::{OTHERS, TCP, TRANSPORTS, address_type, chain_name, header, mask, register, rule},
};
use crate::screened::{ChainOf, Passes};

pub(super) const UDP: u8 = 17;
pub(super) const ICMP: u8 = 1;
pub(super) const ICMP6: u8 = 58;
const ESP: u8 = 50;
const AH: u8 = 51;

/// How many rules may say what one line says before it is given sets. The kernel looks for a set by walking
/// over all of the table's, so thousands of small ones cost seconds to load, and a packet as much as a few rules.
const RULES_PER_LINE_MAX: usize = 4;

/// What a chain of lines is on the kernel, in the order in which it is made.
pub(super) struct Compiled {
    /// Its constant sets, with what is in them.
    pub(super) sets: Vec<(Set, Vec<SetElement>)>,
    pub(super) rules: Vec<Rule>,
}

/// Writes the rules of one chain.
struct Writer {
    chain: String,
    family: Family,
    /// Beside each set what it was made for, so that a chain has none twice.
    sets: Vec<(Asked, Set, Vec<SetElement>)>,
    rules: Vec<Rule>,
}

/// What a set is asked.
#[derive(PartialEq)]
enum Asked {
    Hosts(Vec<(IpAddr, IpAddr)>),
    Ports(Vec<PortRange>),
}

/// Which protocols a rule fits.
enum Carrying {
    Anything,
    One(u8),
    /// Any of a set of numbers.
    Of(&'static str),
}

/// The lines of a group as a chain of the kernel, or those alone that stand before the grants.
pub(super) fn lines(number: u32, chain: &Chain, before_grants: bool) -> Compiled {
    let (name, lines) = if before_grants {
        (ChainOf::Before(number), chain.before_grants().unwrap_or_default())
    } else {
        (ChainOf::Rules(number), chain.lines())
    };
    let mut writer = Writer::new(name, chain.family());
    for line in lines {
        match line {
            Line::Flows { access, flows } => {
                let verdict = match access {
                    // What goes on meets the next layer; what does not hears nothing.
                    Access::Allow => Verdict::Return,
                    Access::Deny => Verdict::Drop,
                };
                writer.flows(flows, verdict);
            }
            // What an opening lets through does not come here, but to the lines before this one alone.
            Line::Grants => {}
        }
    }
    writer.done()
}

/// What passes a lock as a chain of the kernel, towards the lock or from it; it goes on at `rest`.
pub(super) fn standing(number: u32, passes: &Passes, rest: &ChainName, from: bool) -> Compiled {
    let name = if from { ChainOf::Answers(number) } else { ChainOf::Standing(number) };
    let mut writer = Writer::new(name, passes.family);
    let side = if from { Side::Destination } else { Side::Source };
    for one in &passes.standing {
        let carrying = match one.transport {
            Transport::Tcp => Carrying::One(TCP),
            Transport::Udp => Carrying::One(UDP),
            Transport::Other => Carrying::Of(OTHERS),
        };
        let rule = carried(rule(&writer.chain), &carrying);
        let rule = writer.hosts(rule, side, &one.sources);
        let rule = writer.ports(rule, side, &one.source_ports);
        writer.rules.push(rule.then(Verdict::GotoTo(rest.clone())));
    }
    writer.done()
}

impl Writer {
    fn new(chain: ChainOf, family: Family) -> Writer {
        Writer { chain: chain.to_string(), family, sets: Vec::new(), rules: Vec::new() }
    }

    fn done(self) -> Compiled {
        let sets = self.sets.into_iter().map(|(_, set, elements)| (set, elements)).collect();
        Compiled { sets, rules: self.rules }
    }

    fn flows(&mut self, flows: &Flows, verdict: Verdict) {
        let has_ports = [&flows.source_ports, &flows.destination_ports]
            .into_iter()
            .any(|ports| *ports != PortSet::All);
        let carrying = match (flows.protocol, self.family) {
            (Protocol::Any, _) if has_ports => Carrying::Of(TRANSPORTS),
            (Protocol::Any, _) => Carrying::Anything,
            (Protocol::Tcp, _) => Carrying::One(TCP),
            (Protocol::Udp, _) => Carrying::One(UDP),
            (Protocol::Icmp, Family::V4) => Carrying::One(ICMP),
            (Protocol::Icmp, Family::V6) => Carrying::One(ICMP6),
            (Protocol::Esp, _) => Carrying::One(ESP),
            (Protocol::Ah, _) => Carrying::One(AH),
        };
        for part in parts(flows) {
            let mut rule = carried(rule(&self.chain), &carrying);
            for side in [Side::Source, Side::Destination] {
                let (hosts, ports) = match side {
                    Side::Source => (&part.sources, &part.source_ports),
                    Side::Destination => (&part.destinations, &part.destination_ports),
                };
                rule = self.hosts(rule, side, hosts);
                rule = self.ports(rule, side, ports);
            }
            self.rules.push(rule.then(verdict.clone()));
        }
    }

    fn hosts(&mut self, rule: Rule, side: Side, hosts: &Hosts) -> Rule {
        let header = header(self.family);
        let offset = match side {
            Side::Source => header.source,
            Side::Destination => header.destination,
        };
        let len = header.address_bytes;
        let load = Expr::Payload { dreg: register(0), base: PayloadBase::Network, offset, len };
        match hosts.nets() {
            [] => rule,
            [net] => {
                let mut rule = rule.then(load);
                if net.prefix_len() < net.max_prefix_len() {
                    let mask = mask(len, net.prefix_len());
                    let xor = vec![0; mask.len()];
                    let (sreg, dreg) = (register(0), register(0));
                    rule = rule.then(Expr::Bitwise { sreg, dreg, len, mask, xor });
                }
                rule.then(equals(octets(net.addr())))
            }
            nets => {
                let set = self.set(Asked::Hosts(ranges(nets)));
                rule.then(load).then(Expr::Lookup(LookupExpr::new(set, register(0))))
            }
        }
    }

    fn ports(&mut self, rule: Rule, side: Side, ports: &PortSet) -> Rule {
        let offset = match side {
            Side::Source => 0,
            Side::Destination => 2,
        };
        let (dreg, base) = (register(0), PayloadBase::Transport);
        let load = Expr::Payload { dreg, base, offset, len: 2 };
        let bytes = |port: u16| port.to_be_bytes().to_vec();
        match ports.ranges() {
            [] => rule,
            [one] if one.first() == one.last() => rule.then(load).then(equals(bytes(one.first()))),
            [range] => rule.then(load).then(Expr::Range {
                sreg: register(0),
                op: RangeOp::Eq,
                from: bytes(range.first()),
                to: bytes(range.last()),
            }),
            many => {
                let set = self.set(Asked::Ports(many.to_vec()));
                rule.then(load).then(Expr::Lookup(LookupExpr::new(set, register(0))))
            }
        }
    }

    /// The name of the set that is asked this.
    fn set(&mut self, asked: Asked) -> String {
        if let Some((_, set, _)) = self.sets.iter().find(|(same, ..)| *same == asked) {
            return set.name().to_owned();
        }
        let name = format!("{}_{}", self.chain, self.sets.len() + 1);
        let (key, elements) = match &asked {
            Asked::Hosts(ranges) => {
                let range = |(first, last): &(IpAddr, IpAddr)| {
                    SetElement::range(octets(*first), octets(*last))
                };
                (address_type(self.family), ranges.iter().map(range).collect())
            }
            Asked::Ports(ranges) => {
                let range = |ports: &PortRange| SetElement::port_range(ports.first(), ports.last());
                (SetKeyType::InetService, ranges.iter().map(range).collect())
            }
        };
        let set = Set::new(TABLE, &name).family(INET).key_type(key).constant().interval();
        self.sets.push((asked, set, elements));
        name
    }
}

/// A line as the few rules that say the same without a set, where they are few.
fn parts(flows: &Flows) -> Vec<Flows> {
    let hosts = |hosts: &Hosts| -> Vec<Hosts> {
        hosts.nets().iter().filter_map(|net| Hosts::these(vec![*net])).collect()
    };
    let ports = |ports: &PortSet| -> Vec<PortSet> {
        ports.ranges().iter().filter_map(|range| PortSet::of([*range])).collect()
    };
    let mut parts = vec![flows.clone()];
    split(&mut parts, &hosts(&flows.sources), |part, sources| part.sources = sources);
    split(&mut parts, &ports(&flows.source_ports), |part, ports| part.source_ports = ports);
    split(&mut parts, &hosts(&flows.destinations), |part, to| part.destinations = to);
    split(&mut parts, &ports(&flows.destination_ports), |part, ports| {
        part.destination_ports = ports;
    });
    parts
}

/// Splits every part by one of its sides, unless there would be too many.
fn split<T: Clone>(parts: &mut Vec<Flows>, by: &[T], set: impl Fn(&mut Flows, T)) {
    if by.len() < 2 || parts.len() * by.len() > RULES_PER_LINE_MAX {
        return;
    }
    let with = |part: &Flows, one: &T| {
        let mut part = part.clone();
        set(&mut part, one.clone());
        part
    };
    *parts = parts.iter().flat_map(|part| by.iter().map(|one| with(part, one))).collect();
}

fn carried(rule: Rule, carrying: &Carrying) -> Rule {
    let load = Expr::Meta { dreg: register(0), key: MetaKey::L4Proto };
    match carrying {
        Carrying::Anything => rule,
        Carrying::One(number) => rule.then(load).then(equals(vec![*number])),
        Carrying::Of(set) => rule.then(load).then(Expr::Lookup(LookupExpr::new(*set, register(0)))),
    }
}

fn equals(data: Vec<u8>) -> Expr {
    Expr::Cmp { sreg: register(0), op: CmpOp::Eq, data }
}

fn octets(address: IpAddr) -> Vec<u8> {
    match address {
        IpAddr::V4(v4) => v4.octets().to_vec(),
        IpAddr::V6(v6) => v6.octets().to_vec(),
    }
}

/// The prefixes as ranges; those that touch become one.
fn ranges(nets: &[IpNet]) -> Vec<(IpAddr, IpAddr)> {
    let mut ranges: Vec<(IpAddr, IpAddr)> = Vec::new();
    for net in nets {
        match ranges.last_mut() {
            Some((_, last)) if follows(*last, net.network()) => *last = net.broadcast(),
            Some(_) | None => ranges.push((net.network(), net.broadcast())),
        }
    }
    ranges
}

/// Whether `next` is the address behind `last`.
fn follows(last: IpAddr, next: IpAddr) -> bool {
    match (last, next) {
        (IpAddr::V4(last), IpAddr::V4(next)) => {
            last.to_bits().checked_add(1) == Some(next.to_bits())
        }
        (IpAddr::V6(last), IpAddr::V6(next)) => {
            last.to_bits().checked_add(1) == Some(next.to_bits())
        }
        (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => false,
    }
}

/// Where standing exceptions go on.
pub(super) fn rest(family: Family) -> Result<ChainName, WireError> {
    chain_name(super::rules::name("rest", family))
}
