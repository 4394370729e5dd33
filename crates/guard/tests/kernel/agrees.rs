//! The kernel agrees with the model: random groups, locks, openings and standing exceptions, real packets
//! both ways, and for each what the pure rules say, written here a second time and naively.
//!
//! `HOURGATE_FLOWS=N` asks about so many flows, `HOURGATE_SEED=N` the same ones again.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
    time::Duration,
};

use hourgate_core::{
    network::{Family, Lock, Opening, Port, Sessions},
    nsg::{
        band::Band,
        flow::{Carried, Flow, Portless, Transport},
        group::SecurityGroup,
        judge::{Layer, Layers, judge},
        surroundings::Surroundings,
        word::{Access, Direction},
    },
    plan::{Coverage, Desired},
    screen::{Screen, standing::Standing},
    time::Clock,
};

use crate::support::{
    chance::{Chance, FAR, NEAR, PORTS, ip},
    flood::{Packet, Side, flood, forget_flows},
    *,
};

const LONG: Duration = Duration::from_secs(3600);
/// How many flows are asked about where nobody says how many.
const FLOWS: usize = 16_000;
const FLOWS_EACH: usize = 160;
/// Neither locked nor behind rules, so that a packet between them always arrives.
const ALWAYS: [&str; 2] = ["10.1.0.200", "10.2.0.200"];

/// What holds at one time.
struct World {
    groups: Vec<SecurityGroup>,
    surroundings: Vec<Surroundings>,
    nics: BTreeMap<IpAddr, Nic>,
    locks: BTreeMap<Lock, Sessions>,
    openings: BTreeSet<Opening>,
    standing: BTreeMap<Lock, Vec<Standing>>,
}

/// The groups before one address, by their numbers.
struct Nic {
    subnet: Option<usize>,
    nic: Option<usize>,
    around: usize,
    bands: [Option<Band>; 2],
}

impl World {
    fn new(chance: &mut Chance) -> World {
        let groups: Vec<_> = (0..5).map(|n| chance.group(&format!("g{n}"))).collect();
        let surroundings = (0..2).map(|_| chance.surroundings()).collect();
        let mut nics = BTreeMap::new();
        for address in NEAR.iter().chain(&FAR) {
            let far = FAR.contains(address);
            if !chance.percent(if far { 85 } else { 35 }) {
                continue;
            }
            let mut group = || chance.percent(65).then(|| chance.below(groups.len()));
            let (subnet, nic) = (group(), group());
            let bands = [chance.band(), chance.band()];
            nics.insert(ip(address), Nic { subnet, nic, around: chance.below(2), bands });
        }
        let locks: BTreeMap<_, _> = (0..chance.below(9)).map(|_| chance.lock()).collect();
        let mut world = World {
            groups,
            surroundings,
            nics,
            locks,
            openings: BTreeSet::new(),
            standing: BTreeMap::new(),
        };
        for lock in world.locks.keys() {
            world.openings.extend((0..chance.below(6)).map(|_| chance.opening(*lock)));
            if chance.percent(70) {
                let passes = (0..=chance.below(2)).map(|_| chance.standing(*lock)).collect();
                world.standing.insert(*lock, passes);
            }
        }
        world
    }

    fn layers(&self, nic: &Nic) -> Layers<'_> {
        let group = |at: Option<usize>| at.map(|at| &self.groups[at]);
        Layers { subnet: group(nic.subnet), nic: group(nic.nic) }
    }

    fn screens(&self) -> BTreeMap<IpAddr, Screen> {
        let screen = |(address, nic): (&IpAddr, &Nic)| {
            let around = &self.surroundings[nic.around];
            let band = |layer| nic.band(layer);
            (*address, Screen::of(self.layers(nic), around, Family::of(*address), band))
        };
        self.nics.iter().map(screen).collect()
    }

    /// Whether a new flow passes and why, written naively.
    fn why(&self, packet: &Packet) -> Why {
        let flow = packet_flow(packet);
        let at = match self.at_locks(packet, &flow) {
            Err(stopped) => return stopped,
            Ok(at) => at,
        };
        let outbound = self.nics.get(&packet.from).is_none_or(|nic| {
            let around = &self.surroundings[nic.around];
            let verdict = judge(self.layers(nic), Direction::Outbound, &flow, around);
            verdict.access == Access::Allow
        });
        if !outbound {
            return Why::SourceMayNot;
        }
        let Some(nic) = self.nics.get(&packet.to) else { return at };
        let around = &self.surroundings[nic.around];
        let mut why = if at == Why::Nothing { Why::RulesAllow } else { at };
        for (layer, group) in self.layers(nic).in_order(Direction::Inbound) {
            let rule = group.deciding(Direction::Inbound, &flow, around);
            if rule.access() == Access::Allow {
                continue;
            }
            let grants = nic.band(layer).filter(|band| rule.priority() > band.first());
            match (at == Why::Opening || at == Why::OpeningBesideRules, grants) {
                (true, Some(_)) => why = Why::OpeningBesideRules,
                (true, None) if nic.band(layer).is_none() => return Why::NoGrantsHere,
                (true, None) => return Why::RuleBeforeGrants,
                (false, _) => return Why::RulesForbid,
            }
        }
        why
    }

    /// What the locks say: why nothing passes, or why it passes them.
    fn at_locks(&self, packet: &Packet, flow: &Flow) -> Result<Why, Why> {
        let Carried::Ports { transport, source, destination } = flow.carried() else {
            return Ok(Why::Nothing);
        };
        let lock = |address, port| Some(Lock { address, port: Port::new(port)? });
        let stands = |lock: &Lock, from: IpAddr, port: u16| {
            self.standing.get(lock).into_iter().flatten().any(|one| {
                let back = Carried::Ports { transport, source: port, destination: 1 };
                one.passes(&Flow::new(from, lock.address, back).unwrap())
            })
        };
        let open = |lock: &Lock, from: IpAddr| {
            let of = |opening: &&Opening| opening.lock() == *lock;
            transport == Transport::Tcp
                && self.openings.iter().filter(of).any(|opening| opening.source().contains(&from))
        };
        let locked = |lock: &Lock| self.locks.contains_key(lock);
        if let Some(to) = lock(packet.to, destination).filter(locked) {
            return match (open(&to, packet.from), stands(&to, packet.from, source)) {
                (true, _) => Ok(Why::Opening),
                (false, true) => Ok(Why::Standing),
                (false, false) => Err(Why::Locked),
            };
        }
        // From a lock whose sessions end with their access only answers leave.
        let ends = |lock: &Lock| self.locks.get(lock) == Some(&Sessions::EndWithAccess);
        let from = lock(packet.from, source).filter(ends);
        match from.filter(|_| transport == Transport::Tcp) {
            None => Ok(Why::Nothing),
            Some(from) if open(&from, packet.to) => Ok(Why::AnswerToOpening),
            Some(from) if stands(&from, packet.to, destination) => Ok(Why::AnswerToStanding),
            Some(_) => Err(Why::NoAnswer),
        }
    }
}

/// Why a flow passes or not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Why {
    /// No lock and no rule speaks of it.
    Nothing,
    RulesAllow,
    Opening,
    /// An opening, though a rule behind the grants forbids it.
    OpeningBesideRules,
    Standing,
    AnswerToOpening,
    AnswerToStanding,
    Locked,
    NoAnswer,
    SourceMayNot,
    RulesForbid,
    /// An opening, but the group that forbids it holds no grants.
    NoGrantsHere,
    /// An opening, but a rule before the grants forbids it.
    RuleBeforeGrants,
}

impl Why {
    const ALL: [Why; 13] = [
        Why::Nothing,
        Why::RulesAllow,
        Why::Opening,
        Why::OpeningBesideRules,
        Why::Standing,
        Why::AnswerToOpening,
        Why::AnswerToStanding,
        Why::Locked,
        Why::NoAnswer,
        Why::SourceMayNot,
        Why::RulesForbid,
        Why::NoGrantsHere,
        Why::RuleBeforeGrants,
    ];

    fn passes(self) -> bool {
        match self {
            Why::Nothing
            | Why::RulesAllow
            | Why::Opening
            | Why::OpeningBesideRules
            | Why::Standing
            | Why::AnswerToOpening
            | Why::AnswerToStanding => true,
            Why::Locked
            | Why::NoAnswer
            | Why::SourceMayNot
            | Why::RulesForbid
            | Why::NoGrantsHere
            | Why::RuleBeforeGrants => false,
        }
    }
}

impl Nic {
    fn band(&self, layer: Layer) -> Option<Band> {
        match layer {
            Layer::Subnet => self.bands[0],
            Layer::Nic => self.bands[1],
        }
    }
}

fn packet_flow(packet: &Packet) -> Flow {
    let (source, destination) = packet.ports;
    let ports = |transport| Carried::Ports { transport, source, destination };
    let carried = match packet.protocol {
        6 => ports(Transport::Tcp),
        17 => ports(Transport::Udp),
        132 | 136 => ports(Transport::Other),
        1 | 58 => Carried::Portless(Portless::Icmp),
        50 => Carried::Portless(Portless::Esp),
        51 => Carried::Portless(Portless::Ah),
        _ => Carried::Portless(Portless::Other),
    };
    Flow::new(packet.from, packet.to, carried).unwrap()
}

/// Flows from both sides, none the answer to another.
fn packets(chance: &mut Chance, world: &World) -> Vec<(usize, Packet)> {
    let mut taken = BTreeSet::new();
    let mut packets = Vec::new();
    while packets.len() < FLOWS_EACH {
        let side = chance.below(2);
        let (near, far) = (ip(chance.one(&NEAR)), ip(chance.one(&FAR)));
        if near.is_ipv4() != far.is_ipv4() {
            continue;
        }
        let (from, mut to) = if side == 0 { (near, far) } else { (far, near) };
        let icmp = if near.is_ipv4() { 1 } else { 58 };
        let all = [6, 6, 6, 6, 6, 6, 17, 17, 17, icmp, icmp, 132, 136, 50, 253];
        let mut protocol = chance.one(&all);
        if near.is_ipv4() && chance.percent(3) {
            protocol = 51;
        }
        let mut ports = match protocol {
            6 | 17 | 132 | 136 => (chance.one(&PORTS), chance.one(&PORTS)),
            _ => (0, 0),
        };
        // Towards a lock more often than luck would have it.
        let locks: Vec<_> = world.locks.keys().copied().collect();
        if ports.1 > 0 && !locks.is_empty() && chance.percent(45) {
            let lock = chance.one(&locks);
            let across = if side == 0 {
                FAR.map(ip).contains(&lock.address)
            } else {
                NEAR.map(ip).contains(&lock.address)
            };
            if across && lock.address.is_ipv4() == from.is_ipv4() {
                to = lock.address;
                ports.1 = lock.port.number();
            }
        }
        // Or from one.
        let from_there: Vec<_> = locks.iter().filter(|lock| lock.address == from).collect();
        if ports.1 > 0 && !from_there.is_empty() && chance.percent(45) {
            ports.0 = chance.one(&from_there).port.number();
        }
        let key = (protocol, from, to, ports);
        let back = (protocol, to, from, (ports.1, ports.0));
        if protocol != icmp && taken.contains(&back) || !taken.insert(key) {
            continue;
        }
        packets.push((side, Packet { from, to, protocol, ports }));
    }
    packets
}

/// Gives both sides their addresses, and the gateway the way to them.
fn wide(net: &Net) {
    let ip = |args: &[&str]| {
        let output = std::process::Command::new("ip").args(args).output().unwrap();
        assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    };
    for (ns, all) in [(&net.client, &NEAR[..]), (&net.vm, &FAR[..])] {
        for address in all.iter().chain(&ALWAYS) {
            let own = if *ns == net.client { "10.1." } else { "10.2." };
            if address.starts_with("10.") && !address.starts_with(own) {
                continue;
            }
            let length = if address.contains(':') { 64 } else { 24 };
            let address = format!("{address}/{length}");
            ip(&["-n", ns, "addr", "replace", &address, "dev", "eth0", "nodad"]);
        }
    }
    let g = &net.gateway;
    ip(&["-n", g, "route", "add", "203.0.113.0/24", "via", CLIENT]);
    ip(&["-n", g, "route", "add", "2001:db8:1::/64", "via", CLIENT6]);
}

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().unwrap_or_else(|_| panic!("{name}={text}")))
}

#[test]
fn the_kernel_agrees_with_the_model() {
    let wanted = number("HOURGATE_FLOWS").map_or(FLOWS, |flows| usize::try_from(flows).unwrap());
    let (net, dir) = (Net::new(), tempfile::tempdir().unwrap());
    wide(&net);
    let guard = Guarded::start(&net, &dir);
    let seed = number("HOURGATE_SEED").unwrap_or_else(|| guard.clock.now().boot.nanos);
    println!("HOURGATE_SEED={seed}");
    let mut chance = Chance(seed);
    let sides = [Side::new(&net.client), Side::new(&net.vm)];
    let last = {
        let [near, far] = ALWAYS.map(ip);
        let packet = |from, to| Packet { from, to, protocol: 253, ports: (0, 0) };
        [packet(near, far), packet(far, near)]
    };
    let (mut asked, mut round) = (0, 0);
    let mut reasons: BTreeMap<Why, usize> = BTreeMap::new();
    let mut before: BTreeSet<Lock> = BTreeSet::new();
    // Once enough was asked, what luck never showed is looked for.
    let mut missing = None;
    while asked < wanted || missing.is_some() {
        round += 1;
        let (world, packets) = showing(&mut chance, missing);
        let until = guard.after(LONG);
        let said = Desired {
            coverage: Coverage::All,
            locks: world.locks.clone(),
            released: before.iter().filter(|l| !world.locks.contains_key(l)).copied().collect(),
            openings: world.openings.iter().map(|opening| (*opening, until)).collect(),
            standing: world.standing.clone(),
            screens: world.screens(),
            translations: Default::default(),
        };
        let observed = guard.converge(said.clone()).unwrap();
        assert!(observed.failed.is_empty(), "{observed:?}");
        assert_eq!((&observed.screens, &observed.standing), (&said.screens, &said.standing));
        before = world.locks.keys().copied().collect();
        forget_flows(&net);
        let arrived = flood(&sides, &packets, last);
        for ((_, packet), arrived) in packets.iter().zip(arrived) {
            let why = world.why(packet);
            let of = |address| world.nics.get(address).map(|nic| (nic.subnet, nic.nic));
            assert_eq!(
                arrived,
                why.passes(),
                "{why:?} {packet:?}\nfrom {:?} to {:?}\n{:?}\n{:?}\n{:?}\nround {round}, HOURGATE_SEED={seed}\n{}",
                of(&packet.from),
                of(&packet.to),
                world.locks,
                world.openings,
                world.standing,
                net.on_gateway(&["nft", "list", "ruleset"])
            );
            *reasons.entry(why).or_default() += 1;
        }
        asked += packets.len();
        missing = Why::ALL.into_iter().find(|why| asked >= wanted && !reasons.contains_key(why));
    }
    println!("{asked} flows in {round} networks: {reasons:?}");
    // What never happens is not tested.
    assert!(Why::ALL.iter().all(|why| reasons.contains_key(why)), "{reasons:?}");
}

/// A random world and packets for it: any, or one in which a packet passes or not for that reason.
fn showing(chance: &mut Chance, wanted: Option<Why>) -> (World, Vec<(usize, Packet)>) {
    const TRIES_MAX: usize = 20_000;
    for _ in 0..TRIES_MAX {
        let world = World::new(chance);
        let packets = packets(chance, &world);
        if wanted.is_none_or(|why| packets.iter().any(|(_, packet)| world.why(packet) == why)) {
            return (world, packets);
        }
    }
    panic!("no world shows {wanted:?}");
}
