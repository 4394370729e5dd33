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
const FLOWS: usize = 4_000;
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
        let locks: BTreeMap<_, _> = (0..chance.below(7)).map(|_| chance.lock()).collect();
        let mut world = World {
            groups,
            surroundings,
            nics,
            locks,
            openings: BTreeSet::new(),
            standing: BTreeMap::new(),
        };
        for lock in world.locks.keys() {
            world.openings.extend((0..chance.below(3)).map(|_| chance.opening(*lock)));
            if chance.percent(50) {
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

    /// Whether a new flow passes, written naively.
    fn passes(&self, packet: &Packet) -> bool {
        let flow = packet_flow(packet);
        let granted = match self.at_locks(packet, &flow) {
            Some(granted) => granted,
            None => return false,
        };
        let outbound = self.nics.get(&packet.from).is_none_or(|nic| {
            let around = &self.surroundings[nic.around];
            let verdict = judge(self.layers(nic), Direction::Outbound, &flow, around);
            verdict.access == Access::Allow
        });
        let inbound = self.nics.get(&packet.to).is_none_or(|nic| {
            let around = &self.surroundings[nic.around];
            self.layers(nic).in_order(Direction::Inbound).all(|(layer, group)| {
                let rule = group.deciding(Direction::Inbound, &flow, around);
                let grants = nic.band(layer).filter(|band| rule.priority() > band.first());
                rule.access() == Access::Allow || (granted && grants.is_some())
            })
        });
        outbound && inbound
    }

    /// What the locks say: nothing passes, or whether an opening is why it passes.
    fn at_locks(&self, packet: &Packet, flow: &Flow) -> Option<bool> {
        let Carried::Ports { transport, source, destination } = flow.carried() else {
            return Some(false);
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
        if let Some(to) = lock(packet.to, destination).filter(|lock| self.locks.contains_key(lock))
        {
            let granted = open(&to, packet.from);
            return (granted || stands(&to, packet.from, source)).then_some(granted);
        }
        let from = lock(packet.from, source)
            .filter(|lock| self.locks.get(lock) == Some(&Sessions::EndWithAccess))
            .filter(|_| transport == Transport::Tcp);
        match from {
            // From a lock whose sessions end with their access only answers leave.
            Some(from) => {
                let answers = open(&from, packet.to) || stands(&from, packet.to, destination);
                answers.then_some(false)
            }
            None => Some(false),
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
        let all = [6, 6, 6, 6, 17, 17, 17, icmp, icmp, 132, 136, 50, 253];
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
        if ports.1 > 0 && !locks.is_empty() && chance.percent(30) {
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
    let (mut asked, mut passed, mut round) = (0, 0, 0);
    let mut before: BTreeSet<Lock> = BTreeSet::new();
    while asked < wanted {
        round += 1;
        let world = World::new(&mut chance);
        let until = guard.after(LONG);
        let said = Desired {
            coverage: Coverage::All,
            locks: world.locks.clone(),
            released: before.iter().filter(|l| !world.locks.contains_key(l)).copied().collect(),
            openings: world.openings.iter().map(|opening| (*opening, until)).collect(),
            standing: world.standing.clone(),
            screens: world.screens(),
        };
        let observed = guard.converge(said.clone()).unwrap();
        assert!(observed.failed.is_empty(), "{observed:?}");
        assert_eq!((&observed.screens, &observed.standing), (&said.screens, &said.standing));
        before = world.locks.keys().copied().collect();
        forget_flows(&net);
        let packets = packets(&mut chance, &world);
        let arrived = flood(&sides, &packets, last);
        for ((_, packet), arrived) in packets.iter().zip(arrived) {
            let right = world.passes(packet);
            let of = |address| world.nics.get(address).map(|nic| (nic.subnet, nic.nic));
            assert_eq!(
                arrived,
                right,
                "{packet:?}\nfrom {:?} to {:?}\n{:?}\n{:?}\n{:?}\nround {round}, HOURGATE_SEED={seed}\n{}",
                of(&packet.from),
                of(&packet.to),
                world.locks,
                world.openings,
                world.standing,
                net.on_gateway(&["nft", "list", "ruleset"])
            );
            passed += usize::from(arrived);
        }
        asked += packets.len();
    }
    println!("{asked} flows in {round} networks, {passed} passed");
    // Rules of which everything or nothing passes would agree on nothing worth asking.
    assert!((asked / 10..asked * 9 / 10).contains(&passed), "{passed} of {asked} passed");
}
