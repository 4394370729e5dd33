//! What rules of others would probably do with a new connection, read and never changed (product P19).
//!
//! A guess, and told as one: whatever a rule asks that is not known here (from where, through which link, how
//! often) may be so or not. A drop counts if every rule on the way to it is known to fit, and no rule before
//! it might have let the connection through.
#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "the lists of the netlink crate grow: what they hold that is not read here is not known"
)]

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
};

use hourgate_core::{network::Port, outlook::Suspect};
use nlink::netlink::{
    Connection, Nftables,
    nftables::{
        ChainType, CtDirection, CtState, Family as NftFamily, Field, Item, Match, MatchOp,
        RangeValue, RuleSpec, SetFlags, Stmt, TcpFlags, Value, Verdict,
    },
};

use super::{INET, TABLE, WireError};

/// How deep chains are followed: the kernel allows 16.
const DEPTH_MAX: usize = 16;
/// How many rules are looked at for one port: jumps can make few chains into many steps.
const STEPS_MAX: usize = 20_000;
/// How many elements of sets that others named are read.
const ELEMENTS_MAX: usize = 4_096;
const TCP: u64 = 6;
/// `NF_DROP` as a chain's policy.
const POLICY_DROP: u32 = 0;
/// The loopback device's index in every namespace.
const LOOPBACK: u64 = 1;

/// Where packets to an address are judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Hook {
    /// On the machine whose address it is.
    Input,
    /// On the way through.
    Forward,
}

impl Hook {
    /// Its number in the families that see packets of IP.
    fn number(self) -> u32 {
        match self {
            Hook::Input => 1,
            Hook::Forward => 2,
        }
    }
}

/// A chain with its rules, in order.
#[derive(Debug, Default)]
struct Chain {
    rules: Vec<(RuleSpec, Option<String>)>,
    base: Option<Base>,
}

#[derive(Clone, Copy, Debug)]
struct Base {
    hook: u32,
    drops: bool,
}

/// A table of somebody else's.
#[derive(Debug)]
struct Table {
    name: String,
    family: NftFamily,
    chains: BTreeMap<String, Chain>,
    /// What is in the sets without intervals, by the bytes of their keys.
    sets: BTreeMap<String, BTreeSet<Vec<u8>>>,
}

/// The tables of others that judge packets of IP.
#[derive(Debug, Default)]
pub(crate) struct Others(Vec<Table>);

/// What becomes of a connection in a chain.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Fate {
    /// No rule decides.
    Undecided,
    /// It goes on where this chain was called.
    Returns,
    /// It is let through, by this chain.
    Passes,
    /// A rule drops it.
    Drops { chain: String, rule: Option<String> },
    /// It cannot be told.
    Unknown,
}

/// Whether something fits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fits {
    Yes,
    No,
    Unknown,
}

impl Fits {
    fn of(fits: bool) -> Fits {
        if fits { Fits::Yes } else { Fits::No }
    }
}

impl Others {
    /// Reads every table that is not ours.
    pub(crate) async fn read() -> Result<Others, WireError> {
        let nft = Connection::<Nftables>::new().map_err(WireError::of)?;
        let mut tables = Vec::new();
        for table in nft.list_tables().await.map_err(WireError::of)? {
            let ours = table.name == TABLE && table.family == INET;
            let sees_ip = [NftFamily::Inet, NftFamily::Ip, NftFamily::Ip6].contains(&table.family);
            if !ours && sees_ip {
                // One that is gone again, or whose shape is not known, is not looked at.
                tables.extend(read(&nft, table.name, table.family).await.ok());
            }
        }
        Ok(Others(tables))
    }

    /// The rules that would probably drop a new connection to a port.
    pub(crate) fn suspects(&self, hook: Hook, address: IpAddr, port: Port) -> BTreeSet<Suspect> {
        let mut suspects = BTreeSet::new();
        for table in self.0.iter().filter(|table| table.sees(address)) {
            for (name, chain) in &table.chains {
                let Some(base) = chain.base.filter(|base| base.hook == hook.number()) else {
                    continue;
                };
                let mut walk = Walk { table, address, port: port.number(), steps: 0 };
                let fate = match walk.chain(name, 0) {
                    Fate::Undecided if base.drops => {
                        Fate::Drops { chain: name.clone(), rule: None }
                    }
                    fate => fate,
                };
                match fate {
                    Fate::Drops { chain, rule } => {
                        suspects.insert(Suspect { table: table.shown(), chain, rule });
                    }
                    Fate::Undecided | Fate::Returns | Fate::Passes | Fate::Unknown => {}
                }
            }
        }
        suspects
    }
}

async fn read(
    nft: &Connection<Nftables>,
    name: String,
    family: NftFamily,
) -> Result<Table, WireError> {
    let mut chains: BTreeMap<String, Chain> = BTreeMap::new();
    for chain in nft.list_chains_in(name.as_str(), family).await.map_err(WireError::of)? {
        let filters = chain.chain_type == Some(ChainType::Filter);
        let base = chain
            .hook
            .filter(|_| filters)
            .map(|hook| Base { hook, drops: chain.policy == Some(POLICY_DROP) });
        chains.insert(chain.name, Chain { rules: Vec::new(), base });
    }
    for rule in nft.list_rules(name.as_str(), family).await.map_err(WireError::of)? {
        let spec = rule.spec();
        // As nft writes it, without what it counted.
        let shown = spec.nft_syntax_stateless(family);
        if let Some(chain) = chains.get_mut(&rule.chain) {
            chain.rules.push((spec, shown));
        }
    }
    let mut sets = BTreeMap::new();
    for set in nft.list_sets_in(name.as_str(), family).await.map_err(WireError::of)? {
        let elements = nft.list_set_elements(name.as_str(), set.name.as_str(), family).await;
        let Ok(elements) = elements else { continue };
        // The bounds of an interval stand as elements of their own: what lies between is not told by them.
        if elements.len() <= ELEMENTS_MAX && !set.flags.contains(SetFlags::INTERVAL) {
            let keys = elements.iter().map(|element| element.key().to_vec()).collect();
            sets.insert(set.name, keys);
        }
    }
    Ok(Table { name, family, chains, sets })
}

impl Table {
    fn sees(&self, address: IpAddr) -> bool {
        match self.family {
            NftFamily::Ip => address.is_ipv4(),
            NftFamily::Ip6 => address.is_ipv6(),
            _ => true,
        }
    }

    fn shown(&self) -> String {
        let family = match self.family {
            NftFamily::Ip => "ip",
            NftFamily::Ip6 => "ip6",
            _ => "inet",
        };
        format!("{family} {}", self.name)
    }
}

/// One connection on its way through the chains of one table.
struct Walk<'a> {
    table: &'a Table,
    address: IpAddr,
    port: u16,
    steps: usize,
}

impl Walk<'_> {
    fn chain(&mut self, name: &str, depth: usize) -> Fate {
        let Some(chain) = self.table.chains.get(name).filter(|_| depth < DEPTH_MAX) else {
            return Fate::Unknown;
        };
        for (spec, shown) in &chain.rules {
            self.steps += 1;
            if self.steps > STEPS_MAX {
                return Fate::Unknown;
            }
            match self.rule(name, spec, shown.as_ref(), depth) {
                (Fits::No, _) | (_, Fate::Undecided) => {}
                (Fits::Yes, Fate::Returns) => return Fate::Undecided,
                (Fits::Yes, fate) => return fate,
                // It might have been dropped here; whether it is, the rest says.
                (Fits::Unknown, Fate::Drops { .. }) => {}
                (Fits::Unknown, Fate::Passes | Fate::Returns | Fate::Unknown) => {
                    return Fate::Unknown;
                }
            }
        }
        Fate::Undecided
    }

    /// Whether a connection fits a rule, and what becomes of it then.
    fn rule(
        &mut self,
        chain: &str,
        spec: &RuleSpec,
        shown: Option<&String>,
        depth: usize,
    ) -> (Fits, Fate) {
        let mut fits = Fits::Yes;
        let drops = || Fate::Drops { chain: chain.to_owned(), rule: shown.cloned() };
        for item in spec.items() {
            let asked = match item {
                Item::Match(asked) => self.fits(asked),
                Item::Stmt(Stmt::Reject(_)) => return (fits, drops()),
                Item::Stmt(
                    Stmt::Limit(_)
                    | Stmt::Quota(_)
                    | Stmt::CtCount { .. }
                    | Stmt::Vmap { .. }
                    | Stmt::Queue(_)
                    | Stmt::Synproxy(_),
                ) => Fits::Unknown,
                // A statement that only counts, writes or marks.
                Item::Stmt(_) => Fits::Yes,
                Item::Verdict(Verdict::Accept) => return (fits, Fate::Passes),
                Item::Verdict(Verdict::Drop) => return (fits, drops()),
                Item::Verdict(Verdict::Return) => return (fits, Fate::Returns),
                Item::Verdict(Verdict::Continue) => Fits::Yes,
                Item::Verdict(Verdict::JumpTo(next)) => {
                    return (fits, self.chain(next.as_str(), depth + 1));
                }
                Item::Verdict(Verdict::GotoTo(next)) => {
                    let fate = match self.chain(next.as_str(), depth + 1) {
                        Fate::Undecided => Fate::Returns,
                        fate => fate,
                    };
                    return (fits, fate);
                }
                _ => Fits::Unknown,
            };
            match asked {
                Fits::Yes => {}
                Fits::No => return (Fits::No, Fate::Undecided),
                Fits::Unknown => fits = Fits::Unknown,
            }
        }
        // A map of verdicts, or a queue, may decide what is not read here.
        let fate =
            if fits == Fits::Unknown && decides(spec) { Fate::Unknown } else { Fate::Undecided };
        (fits, fate)
    }

    fn fits(&self, asked: &Match) -> Fits {
        match &asked.field {
            Field::Ip4Daddr | Field::Ip6Daddr => self.destination(asked),
            Field::TcpDport => self.number(asked, u64::from(self.port), 2),
            Field::UdpDport | Field::UdpSport | Field::IcmpType | Field::Icmp6Type => Fits::No,
            Field::L4Proto => self.number(asked, TCP, 1),
            Field::NfProto => self.number(asked, if self.address.is_ipv4() { 2 } else { 10 }, 1),
            Field::CtState => state(asked),
            Field::TcpFlags => flags(asked),
            Field::CtDirection => {
                is(asked.op, matches!(asked.value, Value::CtDirection(CtDirection::Original)))
            }
            // Nobody on another machine comes by the loopback device.
            Field::Iif | Field::Oif => match asked.value {
                Value::Int(LOOPBACK) => is(asked.op, false),
                _ => Fits::Unknown,
            },
            Field::Iifname | Field::Oifname => match &asked.value {
                Value::Name(name) if name == "lo" => is(asked.op, false),
                _ => Fits::Unknown,
            },
            Field::Ip4Saddr if self.address.is_ipv6() => Fits::No,
            Field::Ip6Saddr if self.address.is_ipv4() => Fits::No,
            _ => Fits::Unknown,
        }
    }

    fn destination(&self, asked: &Match) -> Fits {
        let of_family = match asked.field {
            Field::Ip4Daddr => self.address.is_ipv4(),
            _ => self.address.is_ipv6(),
        };
        if !of_family {
            return Fits::No;
        }
        match &asked.value {
            Value::Addr(address) => is(asked.op, *address == self.address),
            Value::Prefix(address, length) => {
                let net = ipnet::IpNet::new(*address, *length);
                net.map_or(Fits::Unknown, |net| is(asked.op, net.contains(&self.address)))
            }
            Value::Set(name) => self.within(name, &octets(self.address), asked.op),
            _ => Fits::Unknown,
        }
    }

    fn number(&self, asked: &Match, has: u64, bytes: usize) -> Fits {
        match (&asked.value, asked.op) {
            (Value::Int(value), MatchOp::Eq) => Fits::of(has == *value),
            (Value::Int(value), MatchOp::Ne) => Fits::of(has != *value),
            (Value::Int(value), MatchOp::Lt) => Fits::of(has < *value),
            (Value::Int(value), MatchOp::Le) => Fits::of(has <= *value),
            (Value::Int(value), MatchOp::Gt) => Fits::of(has > *value),
            (Value::Int(value), MatchOp::Ge) => Fits::of(has >= *value),
            (Value::Range(first, last), op) => match (bound(first), bound(last)) {
                (Some(first), Some(last)) => is(op, (first..=last).contains(&has)),
                _ => Fits::Unknown,
            },
            (Value::Set(name), op) => {
                let key = has.to_be_bytes();
                self.within(name, key.get(8 - bytes..).unwrap_or_default(), op)
            }
            _ => Fits::Unknown,
        }
    }

    fn within(&self, set: &str, key: &[u8], op: MatchOp) -> Fits {
        let Some(keys) = self.table.sets.get(set) else { return Fits::Unknown };
        is(op, keys.contains(key))
    }
}

/// Whether a rule has something that decides in a way which is not read here.
fn decides(spec: &RuleSpec) -> bool {
    spec.items().iter().any(|item| {
        matches!(
            item,
            Item::Stmt(Stmt::Vmap { .. } | Stmt::Queue(_) | Stmt::Synproxy(_)) | Item::Expr(_)
        )
    })
}

fn is(op: MatchOp, equal: bool) -> Fits {
    match op {
        MatchOp::Eq => Fits::of(equal),
        MatchOp::Ne => Fits::of(!equal),
        _ => Fits::Unknown,
    }
}

/// A connection that begins is `new`.
fn state(asked: &Match) -> Fits {
    match &asked.value {
        Value::CtState(states) => match asked.op {
            MatchOp::Eq => Fits::of(states.bits() & CtState::NEW.bits() != 0),
            MatchOp::Ne => Fits::of(states.bits() != CtState::NEW.bits()),
            _ => Fits::Unknown,
        },
        _ => Fits::Unknown,
    }
}

/// A connection begins with a SYN.
fn flags(asked: &Match) -> Fits {
    let syn = u64::from(TcpFlags::SYN.bits());
    match &asked.value {
        Value::TcpFlags(flags) if asked.op == MatchOp::Eq => {
            Fits::of(u64::from(flags.bits()) & syn != 0)
        }
        Value::Masked { value, mask } => is(asked.op, syn & mask == value & mask),
        Value::Int(value) => is(asked.op, *value == syn),
        _ => Fits::Unknown,
    }
}

fn bound(of: &RangeValue) -> Option<u64> {
    match of {
        RangeValue::Port(number) => Some((*number).into()),
        RangeValue::U8(number) => Some((*number).into()),
        RangeValue::U32(number) => Some((*number).into()),
        // Neither a port nor a protocol.
        _ => None,
    }
}

fn octets(address: IpAddr) -> Vec<u8> {
    match address {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => address.octets().to_vec(),
    }
}
