//! The gate itself: the chains and rules of our table, in the order in which a packet meets them.

use std::time::Duration;

use hourgate_core::network::{Family, Sessions};
use nlink::netlink::nftables::{
    BaseChain, Chain, ChainName, CmpOp, CtDirection, CtState, FilterHook, MetaKey, PayloadBase,
    Policy, Priority, Register, Rule, Set, SetElement, SetKeyType, TcpFlags, Verdict,
    expr::{Expr, LookupExpr},
};

use super::{INET, SetOf, TABLE, WireError, digit, screens};
use crate::{mirror::Slot, screened::MapOf};

/// After DNAT, so that rules see a VM's own address, and before everybody else's filters.
const BEFORE_FILTERS: i32 = -10;
/// How many openings a set holds. Expired ones count until the kernel collects them.
pub(crate) const SET_SIZE: u32 = 131_072;
/// How often expired openings are collected.
pub(super) const COLLECT_EVERY: Duration = Duration::from_secs(10);
/// What an opening lasts that was sent without an end: it closes all the same.
pub(super) const DEFAULT_TIMEOUT: Duration = Duration::from_secs(60);
/// What our own packets carry that make both ends of an ended session speak once more.
pub(crate) const RESET_MARK: u32 = 0x4847_5254;

pub(super) const TCP: u8 = 6;
const UDP: u8 = 17;
/// DCCP, SCTP, UDP-Lite: what has ports beside TCP and UDP.
const OTHER_NUMBERS: [u8; 3] = [33, 132, 136];
/// The set of all protocols with ports: a lock closes the port over each of them.
pub(super) const TRANSPORTS: &str = "transports";
/// The set of those that are neither TCP nor UDP.
pub(super) const OTHERS: &str = "others";

const FAMILIES: [Family; 2] = [Family::V4, Family::V6];
const SESSIONS: [Sessions; 2] = [Sessions::GoOn, Sessions::EndWithAccess];

/// Where in a packet things are.
pub(super) struct Header {
    pub(super) nfproto: u8,
    pub(super) source: u32,
    pub(super) destination: u32,
    pub(super) address_bytes: u32,
}

pub(super) fn header(family: Family) -> Header {
    match family {
        Family::V4 => Header { nfproto: 2, source: 12, destination: 16, address_bytes: 4 },
        Family::V6 => Header { nfproto: 10, source: 8, destination: 24, address_bytes: 16 },
    }
}

/// Which way a packet goes, seen from the lock.
#[derive(Clone, Copy)]
enum Way {
    Towards,
    From,
}

/// The sets of protocols, with what is in them.
pub(super) fn protocols() -> [(Set, Vec<SetElement>); 2] {
    let set = |name| Set::new(TABLE, name).family(INET).key_type(SetKeyType::InetProto);
    let others = OTHER_NUMBERS.map(SetElement::inet_proto);
    let all = [TCP, UDP].map(SetElement::inet_proto).into_iter().chain(others.clone());
    [(set(TRANSPORTS), all.collect()), (set(OTHERS), others.to_vec())]
}

pub(super) fn address_type(family: Family) -> SetKeyType {
    match family {
        Family::V4 => SetKeyType::Ipv4Addr,
        Family::V6 => SetKeyType::Ipv6Addr,
    }
}

/// The sets that are always there.
pub(super) fn fixed_sets() -> Vec<Set> {
    let mut sets = Vec::new();
    for family in FAMILIES {
        for sessions in SESSIONS {
            let key = SetKeyType::Concat(vec![address_type(family), SetKeyType::InetService]);
            let name = SetOf::Locks(family, sessions).to_string();
            sets.push(Set::new(TABLE, &name).family(INET).key_type(key));
        }
    }
    sets
}

/// The set of one slot: a hash over the masked source, so that a prefix may lie within another.
pub(super) fn openings((family, length): Slot, size: u32) -> Set {
    let address = || address_type(family);
    let key = SetKeyType::Concat(vec![address(), address(), SetKeyType::InetService]);
    Set::new(TABLE, &SetOf::Openings(family, length).to_string())
        .family(INET)
        .key_type(key)
        .size(size)
        .timeout(DEFAULT_TIMEOUT)
        .gc_interval(COLLECT_EVERY)
}

/// The chains of one family, beside `judge`.
const PER_FAMILY: [&str; 9] =
    ["judge", "going", "ending", "replies", "opened", "answered", "rest", "screens", "granted"];

pub(super) fn name(chain: &str, family: Family) -> String {
    format!("{chain}{}", digit(family))
}

/// Every chain, empty.
pub(super) fn chains() -> Result<Vec<Chain>, WireError> {
    let chain = |name: &str| {
        Chain::new(TABLE, name).map(|chain| chain.family(INET)).map_err(WireError::Refused)
    };
    let mut chains = vec![chain("judge")?];
    for family in FAMILIES {
        for each in PER_FAMILY {
            chains.push(chain(&name(each, family))?);
        }
    }
    let hooks = [
        ("input", FilterHook::Input),
        ("forward", FilterHook::Forward),
        ("output", FilterHook::Output),
    ];
    for (name, hook) in hooks {
        let base = BaseChain::filter(hook, Priority::Custom(BEFORE_FILTERS));
        chains.push(chain(name)?.base(base.policy(Policy::Accept)));
    }
    Ok(chains)
}

/// Every rule that is always there.
pub(super) fn fixed_rules() -> Result<Vec<Rule>, WireError> {
    let reset = TcpFlags::FIN | TcpFlags::SYN | TcpFlags::RST;
    let mut rules = vec![
        // On the loopback device only we ourselves send: the resets of `reject`, and what asks for them.
        rule("input").match_iif("lo").match_mark(RESET_MARK).accept(),
        rule("input").match_iif("lo").match_tcp_flags(TcpFlags::RST, reset).accept(),
        rule("input").jump(chain_name("judge".into())?),
        rule("forward").jump(chain_name("judge".into())?),
        // A reset carries no payload and opens nothing; those of `reject` leave through here.
        rule("output").match_mark(RESET_MARK).accept(),
        rule("output").match_tcp_flags(TcpFlags::RST, reset).accept(),
        rule("output").jump(chain_name("judge".into())?),
    ];
    for family in FAMILIES {
        let to = Verdict::GotoTo(chain_name(name("judge", family))?);
        rules.push(nfproto(rule("judge"), family).then(to));
        rules.extend(family_rules(family)?);
        rules.extend(screens::rules(family)?);
    }
    Ok(rules)
}

fn family_rules(family: Family) -> Result<Vec<Rule>, WireError> {
    let at = |chain: &str| rule(&name(chain, family));
    let to = |chain: &str| chain_name(name(chain, family)).map(Verdict::GotoTo);
    let via = |chain: &str| chain_name(name(chain, family)).map(Verdict::JumpTo);
    let ending = SetOf::Locks(family, Sessions::EndWithAccess);
    let going = SetOf::Locks(family, Sessions::GoOn);
    let established = |rule: Rule| rule.match_ct_state(CtState::ESTABLISHED);
    let going_on =
        |rule: Rule| established(rule).match_ct_direction(CtDirection::Original).accept();
    let l4proto = Expr::Meta { dreg: Register::R0, key: MetaKey::L4Proto };
    let no_ports = Expr::Lookup(LookupExpr::new(TRANSPORTS, Register::R0).invert());
    let passes = |rule, way, map: MapOf| lock_lookup(rule, family, way, vmap(map));
    Ok(vec![
        at("judge").then(l4proto).then(no_ports).then(to("rest")?),
        lock_lookup(at("judge"), family, Way::Towards, within(ending)).then(to("ending")?),
        lock_lookup(at("judge"), family, Way::Towards, within(going)).then(to("going")?),
        lock_lookup(at("judge").match_l4proto(TCP), family, Way::From, within(ending))
            .then(to("replies")?),
        at("judge").then(to("rest")?),
        // A stranger's packet from the middle of nowhere is `new` to conntrack, never established. But a
        // SYN on a flow that the VM has reset is to conntrack a stray packet of that flow: a connection
        // that begins needs an opening, whatever flow it is taken for.
        going_on(at("going").match_tcp_flags(TcpFlags::empty(), TcpFlags::SYN)),
        going_on(at("going").match_l4proto_not(TCP)),
        at("going").match_l4proto(TCP).then(via("opened")?),
        passes(at("going"), Way::Towards, MapOf::Standing(family)),
        at("going").drop(),
        at("ending").match_l4proto(TCP).then(via("opened")?),
        passes(at("ending"), Way::Towards, MapOf::Standing(family)),
        // Only what was open once is established here: a scan still sees nothing.
        established(at("ending").match_l4proto(TCP)).reject_tcp_reset(),
        at("ending").drop(),
        // From a lock whose sessions end nothing leaves but answers to what is open. A flow that
        // conntrack forgot and picks up again in the middle gets a reset like one that ended.
        at("replies").match_l4proto(TCP).then(via("answered")?),
        passes(at("replies"), Way::From, MapOf::Answers(family)),
        at("replies").reject_tcp_reset(),
    ])
}

/// The rules that ask the set of one slot: towards the lock, and from it with the keys swapped. Only TCP
/// is sent to their chains. What passes is then judged as any flow is, but that an opening counts.
pub(super) fn slot_rules((family, length): Slot) -> Result<[Rule; 2], WireError> {
    let of = |chain: &str, way: Way, on: &str| {
        let on = Verdict::GotoTo(chain_name(name(on, family))?);
        Ok(opening_lookup(rule(&name(chain, family)), family, length, way).then(on))
    };
    Ok([of("opened", Way::Towards, "granted")?, of("answered", Way::From, "rest")?])
}

/// Only packets of that family.
pub(super) fn nfproto(rule: Rule, family: Family) -> Rule {
    let nfproto = Expr::Meta { dreg: Register::R0, key: MetaKey::NfProto };
    let data = vec![header(family).nfproto];
    rule.then(nfproto).then(Expr::Cmp { sreg: Register::R0, op: CmpOp::Eq, data })
}

pub(super) fn rule(chain: &str) -> Rule {
    Rule::new(TABLE, chain).family(INET)
}

pub(super) fn chain_name(name: String) -> Result<ChainName, WireError> {
    ChainName::new(name).map_err(WireError::Refused)
}

/// The 32-bit register `word` words in.
pub(super) fn register(word: u32) -> Register {
    Register::word(usize::try_from(word).unwrap_or(0)).unwrap_or(Register::Reg32_00)
}

pub(super) fn network(word: u32, offset: u32, len: u32) -> Expr {
    Expr::Payload { dreg: register(word), base: PayloadBase::Network, offset, len }
}

/// The first bytes of what the packet carries.
pub(super) fn transport(offset: u32, len: u32) -> Expr {
    transport_at(0, offset, len)
}

/// The same, to another word.
pub(super) fn transport_at(word: u32, offset: u32, len: u32) -> Expr {
    Expr::Payload { dreg: register(word), base: PayloadBase::Transport, offset, len }
}

fn port(word: u32, way: Way) -> Expr {
    let offset = match way {
        Way::Towards => 2,
        Way::From => 0,
    };
    Expr::Payload { dreg: register(word), base: PayloadBase::Transport, offset, len: 2 }
}

/// Whether what was loaded is in a set.
fn within(set: SetOf) -> LookupExpr {
    LookupExpr::new(set.to_string(), register(0))
}

/// Where a map sends what was loaded.
pub(super) fn vmap(map: MapOf) -> LookupExpr {
    LookupExpr::new(map.to_string(), register(0)).dreg(Register::Verdict)
}

/// `address . port @set`, of the end that is locked.
fn lock_lookup(rule: Rule, family: Family, way: Way, asked: LookupExpr) -> Rule {
    let header = header(family);
    let address = match way {
        Way::Towards => header.destination,
        Way::From => header.source,
    };
    rule.then(network(0, address, header.address_bytes))
        .then(port(header.address_bytes / 4, way))
        .then(Expr::Lookup(asked))
}

/// `client & mask . address . port @set`.
fn opening_lookup(rule: Rule, family: Family, length: u8, way: Way) -> Rule {
    let header = header(family);
    let (client, address) = match way {
        Way::Towards => (header.source, header.destination),
        Way::From => (header.destination, header.source),
    };
    let bytes = header.address_bytes;
    let mut rule = rule.then(network(0, client, bytes));
    if u32::from(length) < bytes * 8 {
        let mask = mask(bytes, length);
        let xor = vec![0; mask.len()];
        let (sreg, dreg) = (register(0), register(0));
        rule = rule.then(Expr::Bitwise { sreg, dreg, len: bytes, mask, xor });
    }
    rule.then(network(bytes / 4, address, bytes)).then(port(bytes / 2, way)).then(Expr::Lookup(
        LookupExpr::new(SetOf::Openings(family, length).to_string(), register(0)),
    ))
}

pub(super) fn mask(bytes: u32, length: u8) -> Vec<u8> {
    (0..bytes)
        .map(|byte| {
            let ones = u32::from(length).saturating_sub(byte * 8).min(8);
            u8::MAX.checked_shl(8 - ones).unwrap_or(0)
        })
        .collect()
}
