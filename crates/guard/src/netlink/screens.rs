//! Where new flows meet the screens of their two ends: the fixed part, which sends them to the chains.

use hourgate_core::{
    network::Family,
    nsg::{judge::Layer, word::Direction},
    screen::Place,
};
use nlink::netlink::nftables::{
    CmpOp, CtDirection, CtState, MetaKey, Register, Rule, TcpFlags, Verdict, expr::Expr,
};

use super::{
    WireError,
    lines::{ICMP, ICMP6, UDP},
    rules::{TCP, chain_name, header, name, network, register, rule, transport, vmap},
};
use crate::screened::MapOf;

/// The first and last of neighbour discovery's messages: solicitations, advertisements, redirects (RFC 4861).
const NEIGHBOURS: [u8; 2] = [133, 137];
/// "Packet too big" of ICMPv6.
const TOO_BIG: u8 = 2;
/// "Destination unreachable: fragmentation needed" of ICMP: type and code.
const FRAGMENTATION_NEEDED: [u8; 2] = [3, 4];

/// What a packet meets that no lock stops, in the chains `rest`, `screens` and `granted`.
pub(super) fn rules(family: Family) -> Result<Vec<Rule>, WireError> {
    let screens = Verdict::GotoTo(chain_name(name("screens", family))?);
    let rest = || rule(&name("rest", family));
    let icmp = match family {
        Family::V4 => ICMP,
        Family::V6 => ICMP6,
    };
    let mut rules = established(&name("rest", family));
    // A flow that another table's helper calls related is a new one; an error about a flow is not.
    rules.push(rest().match_l4proto(icmp).match_ct_state(CtState::RELATED).accept());
    rules.push(rest().then(screens));
    let chain = name("screens", family);
    rules.extend(always(&chain, family));
    rules.extend(asked(&chain, family, |layer| {
        MapOf::Screen(family, Place { direction: Direction::Inbound, layer })
    }));
    let chain = name("granted", family);
    rules.extend(established(&chain));
    rules.extend(always_here(&chain));
    rules.extend(asked(&chain, family, |layer| MapOf::Granted(family, layer)));
    Ok(rules)
}

/// What belongs to a flow that began before goes on, whatever the rules say by now.
///
/// But a SYN on a flow that was reset is to conntrack a stray packet of that flow: what begins a connection
/// is judged as such, whatever flow it is taken for.
fn established(chain: &str) -> Vec<Rule> {
    let established = |rule: Rule| rule.match_ct_state(CtState::ESTABLISHED);
    let answer = TcpFlags::SYN | TcpFlags::ACK;
    vec![
        established(rule(chain).match_tcp_flags(TcpFlags::empty(), TcpFlags::SYN)).accept(),
        established(rule(chain).match_l4proto_not(TCP)).accept(),
        established(rule(chain).match_tcp_flags(answer, answer))
            .match_ct_direction(CtDirection::Reply)
            .accept(),
    ]
}

/// What a machine needs to be on its network at all, whatever its rules say: its own loopback, an address,
/// its neighbours, and word of packets that were too big.
fn always(chain: &str, family: Family) -> Vec<Rule> {
    let mut rules = always_here(chain);
    let kind =
        |rule: Rule, number: u8, bytes: u32| rule.match_l4proto(number).then(transport(0, bytes));
    match family {
        Family::V4 => {
            rules.push(equals(kind(rule(chain), ICMP, 2), &FRAGMENTATION_NEEDED).accept());
            rules.extend(leases(chain, 67, 68));
        }
        Family::V6 => {
            let [first, last] = NEIGHBOURS.map(|number| vec![number]);
            let op = nlink::netlink::nftables::RangeOp::Eq;
            let between = Expr::Range { sreg: register(0), op, from: first, to: last };
            rules.push(kind(rule(chain), ICMP6, 1).then(between).accept());
            rules.push(equals(kind(rule(chain), ICMP6, 1), &[TOO_BIG]).accept());
            rules.extend(leases(chain, 547, 546));
        }
    }
    rules
}

/// What goes over the loopback device meets nobody's rules.
fn always_here(chain: &str) -> Vec<Rule> {
    vec![rule(chain).match_iif("lo").accept(), rule(chain).match_oif("lo").accept()]
}

/// DHCP of this machine itself: the server's word coming in, the client's going out. Forwarded it is a flow
/// like any other.
fn leases(chain: &str, server: u16, client: u16) -> [Rule; 2] {
    let here = |key| {
        rule(chain)
            .then(Expr::Meta { dreg: Register::R0, key })
            .then(Expr::Cmp { sreg: Register::R0, op: CmpOp::Eq, data: vec![0; 4] })
            .match_l4proto(UDP)
    };
    let ports = |rule: Rule, from: u16, to: u16| {
        let both = [from.to_be_bytes(), to.to_be_bytes()].concat();
        equals(rule.then(transport(0, 4)), &both).accept()
    };
    [ports(here(MetaKey::Oif), server, client), ports(here(MetaKey::Iif), client, server)]
}

/// The chains of both ends, one after the other. Each drops what it denies.
fn asked(chain: &str, family: Family, inbound: impl Fn(Layer) -> MapOf) -> Vec<Rule> {
    let header = header(family);
    let mut rules: Vec<Rule> = Place::ALL
        .into_iter()
        .map(|place| {
            let (offset, map) = match place.direction {
                Direction::Outbound => (header.source, MapOf::Screen(family, place)),
                Direction::Inbound => (header.destination, inbound(place.layer)),
            };
            let address = network(0, offset, header.address_bytes);
            rule(chain).then(address).then(Expr::Lookup(vmap(map)))
        })
        .collect();
    // Not "return": an opening and a standing exception are asked from chains that end in a drop.
    rules.push(rule(chain).accept());
    rules
}

fn equals(rule: Rule, data: &[u8]) -> Rule {
    rule.then(Expr::Cmp { sreg: register(0), op: CmpOp::Eq, data: data.to_vec() })
}
