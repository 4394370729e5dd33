//! The gate itself: the chains and rules of our table, in the order in which a packet meets them.

use std::time::Duration;

use hourgate_core::network::{Family, Sessions};
use nlink::netlink::nftables::{
    BaseChain, Chain, ChainName, CmpOp, CtDirection, CtState, FilterHook, MetaKey, PayloadBase,
    Policy, Priority, Register, Rule, Set, SetElement, SetKeyType, TcpFlags, Verdict,
    expr::{Expr, LookupExpr},
};

use super::{INET, SetOf, TABLE, WireError, digit};
use crate::mirror::Slot;

/// After DNAT, so that rules see a VM's own address, and before everybody else's filters.
const BEFORE_FILTERS: i32 = -10;
/// How many openings a set holds. Expired ones count until the kernel collects them.
pub(crate) const SET_SIZE: u32 = 131_072;
/// How often expired openings are collected.
const COLLECT_EVERY: Duration = Duration::from_secs(10);
/// What an opening lasts that was sent without an end: it closes all the same.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(60);
/// What our own packets carry that make both ends of an ended session speak once more.
pub(crate) const RESET_MARK: u32 = 0x4847_5254;

const TCP: u8 = 6;
/// TCP, UDP, DCCP, SCTP, UDP-Lite: a lock closes the port over all of them.
const TRANSPORTS: [u8; 5] = [TCP, 17, 33, 132, 136];

const FAMILIES: [Family; 2] = [Family::V4, Family::V6];
const SESSIONS: [Sessions; 2] = [Sessions::GoOn, Sessions::EndWithAccess];

/// Where in a packet things are.
struct Header {
    nfproto: u8,
    source: u32,
    destination: u32,
    address_bytes: u32,
}

fn header(family: Family) -> Header {
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

pub(super) fn transports() -> Set {
    Set::new(TABLE, "transports").family(INET).key_type(SetKeyType::InetProto)
}

pub(super) fn transport_elements() -> Vec<SetElement> {
    TRANSPORTS.into_iter().map(SetElement::inet_proto).collect()
}

fn address_type(family: Family) -> SetKeyType {
    match family {
        Family::V4 => SetKeyType::Ipv4Addr,
        Family::V6 => SetKeyType::Ipv6Addr,
    }
}

/// The sets that are always there.
pub(super) fn fixed_sets() -> Vec<Set> {
    let mut sets = vec![transports()];
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
const PER_FAMILY: [&str; 6] = ["judge", "going", "ending", "replies", "opened", "answered"];

fn name(chain: &str, family: Family) -> String {
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
        load(rule("judge"), Expr::Meta { dreg: Register::R0, key: MetaKey::L4Proto })
            .then(Expr::Lookup(LookupExpr::new("transports", Register::R0).invert()))
            .then(Verdict::Return),
    ];
    for family in FAMILIES {
        let nfproto = Expr::Meta { dreg: Register::R0, key: MetaKey::NfProto };
        let data = vec![header(family).nfproto];
        rules.push(
            load(rule("judge"), nfproto)
                .then(Expr::Cmp { sreg: Register::R0, op: CmpOp::Eq, data })
                .then(Verdict::GotoTo(chain_name(name("judge", family))?)),
        );
        rules.extend(family_rules(family)?);
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
    Ok(vec![
        lock_lookup(at("judge"), family, Way::Towards, ending).then(to("ending")?),
        lock_lookup(at("judge"), family, Way::Towards, going).then(to("going")?),
        lock_lookup(at("judge").match_l4proto(TCP), family, Way::From, ending).then(to("replies")?),
        // A stranger's packet from the middle of nowhere is `new` to conntrack, never established. But a
        // SYN on a flow that the VM has reset is to conntrack a stray packet of that flow: a connection
        // that begins needs an opening, whatever flow it is taken for.
        going_on(at("going").match_tcp_flags(TcpFlags::empty(), TcpFlags::SYN)),
        going_on(at("going").match_l4proto_not(TCP)),
        at("going").match_l4proto(TCP).then(via("opened")?),
        at("going").drop(),
        at("ending").match_l4proto(TCP).then(via("opened")?),
        // Only what was open once is established here: a scan still sees nothing.
        established(at("ending").match_l4proto(TCP)).reject_tcp_reset(),
        at("ending").drop(),
        // From a lock whose sessions end nothing leaves but answers to what is open. A flow that
        // conntrack forgot and picks up again in the middle gets a reset like one that ended.
        at("replies").match_l4proto(TCP).then(via("answered")?),
        at("replies").reject_tcp_reset(),
    ])
}

/// The rules that ask the set of one slot: towards the lock, and from it with the keys swapped. Only TCP
/// is sent to their chains.
pub(super) fn slot_rules((family, length): Slot) -> [Rule; 2] {
    let of = |chain: &str, way: Way| {
        opening_lookup(rule(&name(chain, family)), family, length, way).accept()
    };
    [of("opened", Way::Towards), of("answered", Way::From)]
}

fn rule(chain: &str) -> Rule {
    Rule::new(TABLE, chain).family(INET)
}

fn load(rule: Rule, expr: Expr) -> Rule {
    rule.then(expr)
}

fn chain_name(name: String) -> Result<ChainName, WireError> {
    ChainName::new(name).map_err(WireError::Refused)
}

/// The 32-bit register `word` words in.
fn register(word: u32) -> Register {
    Register::word(usize::try_from(word).unwrap_or(0)).unwrap_or(Register::Reg32_00)
}

fn network(word: u32, offset: u32, len: u32) -> Expr {
    Expr::Payload { dreg: register(word), base: PayloadBase::Network, offset, len }
}

fn port(word: u32, way: Way) -> Expr {
    let offset = match way {
        Way::Towards => 2,
        Way::From => 0,
    };
    Expr::Payload { dreg: register(word), base: PayloadBase::Transport, offset, len: 2 }
}

/// `address . port @set`, of the end that is locked.
fn lock_lookup(rule: Rule, family: Family, way: Way, set: SetOf) -> Rule {
    let header = header(family);
    let address = match way {
        Way::Towards => header.destination,
        Way::From => header.source,
    };
    rule.then(network(0, address, header.address_bytes))
        .then(port(header.address_bytes / 4, way))
        .then(Expr::Lookup(LookupExpr::new(set.to_string(), register(0))))
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

fn mask(bytes: u32, length: u8) -> Vec<u8> {
    (0..bytes)
        .map(|byte| {
            let ones = u32::from(length).saturating_sub(byte * 8).min(8);
            u8::MAX.checked_shl(8 - ones).unwrap_or(0)
        })
        .collect()
}
