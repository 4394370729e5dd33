//! Translations on the kernel: one map for the sources of each prefix length, and one rule that asks it.
//!
//! They decide about a flow's first packet alone: what conntrack has translated once goes on so, whatever
//! becomes of the translation. Where a packet goes then, and whether it may, the gate decides as for any.

use std::{collections::BTreeMap, net::IpAddr};

use hourgate_core::{
    gateway::{Carrier, Place, Translation},
    network::{Family, Port},
    nsg::port::PortRange,
};
use ipnet::IpNet;
use nlink::netlink::{
    MessageBuilder,
    nftables::{
        BaseChain, Chain, CtDirection, CtState, FilterHook, MetaKey, NatHook, Policy, Priority,
        Rule, Set, SetDataType, SetElement, SetKeyType, Verdict,
        expr::{Expr, LookupExpr, RawExpr},
    },
};

use super::{
    Batch, INET, SetOf, TABLE, WireError, digit,
    elements::{push_address, push_port, take_address, take_port},
    rules::{
        COLLECT_EVERY, DEFAULT_TIMEOUT, RESET_MARK, TRANSPORTS, address_type, chain_name, header,
        mask, name, network, nfproto, register, rule, transport_at,
    },
};
use crate::translated::NatMap;

/// Before everybody else's translations: the first that translates a flow is the one that counts.
const BEFORE_DNAT: i32 = -110;
/// Behind all translations of the kernel, which come at -100: what is still to a public address then was not
/// translated by anybody.
const AFTER_DNAT: i32 = -90;

/// Before conntrack looks, which is at -200.
const BEFORE_TRACKING: i32 = -300;

/// `enum nft_nat_attributes` of the kernel: nlink's own expression wants its port in a register into which no
/// IPv4 map puts one.
const NFTA_NAT_TYPE: u16 = 1;
const NFTA_NAT_FAMILY: u16 = 2;
const NFTA_NAT_REG_ADDR_MIN: u16 = 3;
const NFTA_NAT_REG_ADDR_MAX: u16 = 4;
const NFTA_NAT_REG_PROTO_MIN: u16 = 5;
const NFTA_NAT_REG_PROTO_MAX: u16 = 6;
const NFTA_NAT_FLAGS: u16 = 7;
const NFT_NAT_DNAT: u32 = 1;
/// `NF_NAT_RANGE_MAP_IPS | NF_NAT_RANGE_PROTO_SPECIFIED`.
const NAT_FLAGS: u32 = 3;

const FAMILIES: [Family; 2] = [Family::V4, Family::V6];

impl Batch {
    /// Makes what translates: chains and rules that ask these maps. `new` are those that the kernel has not
    /// yet; `raised` says whether it has the chains.
    pub(crate) fn translating<'a>(
        mut self,
        maps: impl Iterator<Item = &'a NatMap> + Clone,
        new: impl Fn(&NatMap) -> bool,
        raised: bool,
    ) -> Result<Batch, WireError> {
        let mut t = self.transaction;
        if !raised {
            for family in FAMILIES {
                t = t.add_set(silent(family));
            }
            for chain in chains()? {
                t = t.add_chain(chain);
            }
            for rule in fixed_rules()? {
                t = t.add_rule(rule);
            }
        }
        for map in maps.clone().filter(|map| new(map)) {
            t = t.add_set(translations(*map, self.set_size));
        }
        // Rules stand in the order of the maps, so a new one may belong between two.
        for family in FAMILIES {
            t = t.flush_chain(TABLE, &name("translate", family), INET);
        }
        for map in maps {
            t = t.add_rule(asks(*map));
        }
        self.transaction = t;
        Ok(self)
    }

    /// Changes which ports of public addresses are silent: from what they are to what they shall be.
    pub(crate) fn silence(
        mut self,
        from: &BTreeMap<IpAddr, PortRange>,
        to: &BTreeMap<IpAddr, PortRange>,
    ) -> Batch {
        for family in FAMILIES {
            let of = |silent: &BTreeMap<IpAddr, PortRange>| -> Vec<SetElement> {
                let of = silent.iter().filter(|(address, _)| Family::of(**address) == family);
                of.map(|(address, ports)| element(*address, *ports)).collect()
            };
            let (old, new) = (of(from), of(to));
            if !old.is_empty() {
                self.transaction = self.transaction.del_set_elements(&silent(family), &old);
            }
            if !new.is_empty() {
                self.transaction = self.transaction.add_set_elements(&silent(family), &new);
            }
        }
        self
    }
}

fn element(address: IpAddr, ports: PortRange) -> SetElement {
    let address = match address {
        IpAddr::V4(v4) => SetElement::ipv4(v4),
        IpAddr::V6(v6) => SetElement::ipv6(v6),
    };
    SetElement::concat([address, SetElement::port_range(ports.first(), ports.last())])
}

/// The silent ports that an element stands for; none where a stranger put something there.
pub(super) fn decode_silent(family: Family, element: &SetElement) -> Option<(IpAddr, PortRange)> {
    let (address, first) = take_address(family, element.key())?;
    let number = |bytes: &[u8]| Some(u16::from_be_bytes(*bytes.first_chunk()?));
    let first = number(first)?;
    let last = match element.key_end() {
        Some(end) => match take_address(family, end)? {
            (last, port) if last == address => number(port)?,
            _ => return None,
        },
        None => first,
    };
    Some((address, PortRange::new(first, last)?))
}

/// The set of silent ports.
fn silent(family: Family) -> Set {
    let key = SetKeyType::Concat(vec![address_type(family), SetKeyType::InetService]);
    let name = SetOf::Silent(family).to_string();
    Set::new(TABLE, &name).family(INET).key_type(key).interval()
}

/// A map, empty.
fn translations(map: NatMap, size: u32) -> Set {
    let address = || address_type(map.family);
    let (protocol, port) = (SetKeyType::InetProto, SetKeyType::InetService);
    let key = SetKeyType::Concat(vec![address(), address(), protocol, port.clone()]);
    let to = SetDataType::Value(SetKeyType::Concat(vec![address(), port]));
    let set = Set::new(TABLE, &SetOf::Translations(map).to_string());
    let set = set.family(INET).key_type(key).map(to).size(size);
    if map.ends { set.timeout(DEFAULT_TIMEOUT).gc_interval(COLLECT_EVERY) } else { set }
}

/// The key of a translation, and where it goes on.
pub(super) fn translation_bytes(translation: &Translation, to: Place) -> (Vec<u8>, Vec<u8>) {
    let mut key = Vec::with_capacity(40);
    push_address(&mut key, translation.source().addr());
    push_address(&mut key, translation.at().address);
    key.extend([translation.carrier().number(), 0, 0, 0]);
    push_port(&mut key, translation.at().port);
    let mut data = Vec::with_capacity(20);
    push_address(&mut data, to.address);
    push_port(&mut data, to.port);
    (key, data)
}

/// The translation that an element is; none where a stranger put something there.
pub(super) fn decode_translation(
    map: NatMap,
    key: &[u8],
    data: &[u8],
) -> Option<(Translation, Place)> {
    let (source, rest) = take_address(map.family, key)?;
    let (address, rest) = take_address(map.family, rest)?;
    let (protocol, rest) = rest.split_first_chunk::<4>()?;
    let carrier = Carrier::ALL.into_iter().find(|carrier| carrier.number() == protocol[0])?;
    let at = Place { address, port: take_port(rest)? };
    let translation = Translation::new(IpNet::new(source, map.length).ok()?, at, carrier)?;
    let (address, rest) = take_address(map.family, data)?;
    let port: Port = take_port(rest)?;
    Some((translation, Place { address, port }))
}

fn chains() -> Result<Vec<Chain>, WireError> {
    let chain = |name: &str| {
        Chain::new(TABLE, name).map(|chain| chain.family(INET)).map_err(WireError::Refused)
    };
    let mut chains = vec![chain("translate")?];
    for family in FAMILIES {
        chains.push(chain(&name("translate", family))?);
    }
    for (name, hook) in [("arriving", NatHook::Prerouting), ("leaving", NatHook::Output)] {
        let base = BaseChain::nat(hook, Priority::Custom(BEFORE_DNAT));
        chains.push(chain(name)?.base(base.policy(Policy::Accept)));
    }
    let base = BaseChain::filter(FilterHook::Prerouting, Priority::Custom(AFTER_DNAT));
    chains.push(chain("unanswered")?.base(base.policy(Policy::Accept)));
    let base = BaseChain::filter(FilterHook::Output, Priority::Custom(BEFORE_TRACKING));
    chains.push(chain("unseen")?.base(base.policy(Policy::Accept)));
    Ok(chains)
}

fn fixed_rules() -> Result<Vec<Rule>, WireError> {
    let mut rules = vec![
        // What makes the ends of a session speak is sent in the name of the other end, as that end is known. Seen by
        // conntrack it would be a new flow that clashes with the translated one, and get another port.
        rule("unseen").match_mark(RESET_MARK).then(Expr::Raw(RawExpr::without_data("notrack"))),
        rule("arriving").jump(chain_name("translate".into())?),
        rule("leaving").jump(chain_name("translate".into())?),
        // Answers to what this machine itself, or one behind it, asked from such a port.
        rule("unanswered")
            .match_ct_state(CtState::ESTABLISHED)
            .match_ct_direction(CtDirection::Reply)
            .accept(),
    ];
    for family in FAMILIES {
        let to = Verdict::GotoTo(chain_name(name("translate", family))?);
        rules.push(nfproto(rule("translate"), family).then(to));
        let header = header(family);
        let l4proto = Expr::Meta { dreg: register(0), key: MetaKey::L4Proto };
        let asked = LookupExpr::new(SetOf::Silent(family).to_string(), register(0));
        rules.push(
            nfproto(rule("unanswered"), family)
                .then(l4proto)
                .then(Expr::Lookup(LookupExpr::new(TRANSPORTS, register(0))))
                .then(network(0, header.destination, header.address_bytes))
                .then(transport_at(header.address_bytes / 4, 2, 2))
                .then(Expr::Lookup(asked))
                .drop(),
        );
    }
    Ok(rules)
}

/// `dnat to (client & mask) . address . protocol . port map @…`.
fn asks(map: NatMap) -> Rule {
    let header = header(map.family);
    let bytes = header.address_bytes;
    let words = bytes / 4;
    let mut rule = rule(&name("translate", map.family)).then(network(0, header.source, bytes));
    if u32::from(map.length) < bytes * 8 {
        let mask = mask(bytes, map.length);
        let xor = vec![0; mask.len()];
        let (sreg, dreg) = (register(0), register(0));
        rule = rule.then(Expr::Bitwise { sreg, dreg, len: bytes, mask, xor });
    }
    let asked = LookupExpr::new(SetOf::Translations(map).to_string(), register(0));
    rule.then(network(words, header.destination, bytes))
        .then(Expr::Meta { dreg: register(words * 2), key: MetaKey::L4Proto })
        .then(transport_at(words * 2 + 1, 2, 2))
        .then(Expr::Lookup(asked.dreg(register(0))))
        .then(Expr::Raw(dnat(map.family)))
}

/// To the address and the port that a map put into the registers, one behind the other.
fn dnat(family: Family) -> RawExpr {
    let header = header(family);
    let (address, port) = (register(0).wire(), register(header.address_bytes / 4).wire());
    let mut builder = MessageBuilder::new(0, 0);
    for (attribute, value) in [
        (NFTA_NAT_TYPE, NFT_NAT_DNAT),
        (NFTA_NAT_FAMILY, u32::from(header.nfproto)),
        (NFTA_NAT_REG_ADDR_MIN, address),
        (NFTA_NAT_REG_ADDR_MAX, address),
        (NFTA_NAT_REG_PROTO_MIN, port),
        (NFTA_NAT_REG_PROTO_MAX, port),
        (NFTA_NAT_FLAGS, NAT_FLAGS),
    ] {
        builder.append_attr_u32_be(attribute, value);
    }
    RawExpr::new("nat", super::elements::without_header(&builder))
}

/// The name of a map: `fixed4_24`, `mapped6_128`.
pub(super) fn map_name(map: NatMap) -> String {
    let kind = if map.ends { "mapped" } else { "fixed" };
    format!("{kind}{}_{}", digit(map.family), map.length)
}
