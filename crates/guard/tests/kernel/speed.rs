//! What rules cost: to load many, and to a packet. The figures are printed; the bounds are wide, since
//! other tests run beside this one and nothing here is optimised.

use std::{collections::BTreeMap, net::IpAddr, sync::Arc, time::Duration};

use hourgate_core::{
    network::Family,
    nsg::{
        band::Band,
        group::SecurityGroup,
        judge::{Layer, Layers},
        rule::{RuleDraft, SecurityRule},
        surroundings::Surroundings,
        word::Access,
    },
    plan::{Coverage, Desired},
    screen::{Layered, Screen, chain::Chain},
    time::Clock,
};

use crate::support::{
    chance::{asg, ip},
    flood::{Packet, Side, forget_flows},
    *,
};

/// A group of so many rules of each direction, none of which fits what is sent here, and one that does.
fn group(name: usize, rules: u32) -> SecurityGroup {
    let rule = |n: u32, direction: &str| {
        let name = u32::try_from(name).unwrap();
        let address = |n: u32| IpAddr::from((0xC612_0000 + name * 256 + n % 250).to_be_bytes());
        let last = n + 1 == rules;
        let some = vec![address(n).to_string()];
        let several = vec![address(n).to_string(), address(n + 7).to_string()];
        let places = if n.is_multiple_of(4) { several } else { some };
        SecurityRule::new(&RuleDraft {
            name: format!("{direction}{n}"),
            description: None,
            priority: i64::from(200 + n),
            direction: direction.to_owned(),
            access: if n.is_multiple_of(3) { "Deny" } else { "Allow" }.to_owned(),
            protocol: if last { "*" } else { ["Tcp", "*", "Udp"][n as usize % 3] }.to_owned(),
            sources: if last { vec!["*".to_owned()] } else { places },
            source_ports: vec!["*".to_owned()],
            destinations: vec!["*".to_owned()],
            destination_ports: vec![if last { "*".to_owned() } else { (1000 + n).to_string() }],
        })
        .unwrap()
    };
    let ways = ["Inbound", "Outbound"].iter();
    let all = ways.flat_map(|way| (0..rules).map(move |n| (n, *way))).map(|(n, way)| rule(n, way));
    let id = asg(&format!("g{name}")).replace("application", "network");
    SecurityGroup::new(id.parse().unwrap(), all.collect()).unwrap()
}

fn saying(screens: BTreeMap<IpAddr, Screen>) -> Desired {
    Desired { screens, coverage: Coverage::All, ..desired(&[], BTreeMap::new()) }
}

fn screen(group: &SecurityGroup) -> Screen {
    let layers = Layers { subnet: None, nic: Some(group) };
    let around = Surroundings::new(["10.0.0.0/8".parse().unwrap()], [], []);
    Screen::of(layers, &around, Family::V4, |layer| (layer == Layer::Nic).then(Band::default))
}

fn taken<T>(guard: &Guarded, task: impl FnOnce() -> T) -> (T, Duration) {
    let now = || guard.clock.now().boot.nanos;
    let began = now();
    let done = task();
    (done, Duration::from_nanos(now() - began))
}

#[test]
fn two_hundred_groups_of_a_hundred_rules_are_loaded_and_one_is_changed() {
    let (net, dir) = (Net::new(), tempfile::tempdir().unwrap());
    let guard = Guarded::start(&net, &dir);
    let groups: Vec<_> = (0..200).map(|n| group(n, 50)).collect();
    let address = |n: usize| IpAddr::from([10, 9, 0, u8::try_from(n).unwrap()]);
    let (screens, compiling) = taken(&guard, || {
        groups.iter().enumerate().map(|(n, group)| (address(n), screen(group))).collect()
    });
    let said = saying(screens);
    let (loaded, loading) = taken(&guard, || guard.converge(said.clone()));
    assert_eq!(loaded.unwrap().screens, said.screens);
    let (_, again) = taken(&guard, || guard.converge(said.clone()).unwrap());
    let mut one = said.clone();
    one.coverage = Coverage::Only([address(7)].into());
    one.screens = [(address(7), screen(&group(300, 50)))].into();
    let (_, changing) = taken(&guard, || guard.converge(one.clone()).unwrap());
    let rules = net.on_gateway(&["nft", "list", "table", "inet", "hourgate"]).lines().count();
    println!(
        "compiled in {compiling:?}, loaded in {loading:?}, said again in {again:?}, one changed in \
         {changing:?}; {rules} lines of nft"
    );
    assert_eq!(guard.observe().screens.get(&address(7)), one.screens.get(&address(7)));
    assert!(compiling + loading < Duration::from_secs(10), "{compiling:?} {loading:?}");
}

/// What a packet costs from one side to the other, the least of several rounds.
fn cost(guard: &Guarded, net: &Net, side: &Side, first: bool) -> f64 {
    const PACKETS: u16 = 4_000;
    let packet = |n: u16| Packet {
        from: ip(CLIENT),
        to: ip(VM),
        protocol: 17,
        ports: (if first { 10_000 + n } else { 5_555 }, 53),
    };
    let round = || {
        forget_flows(net);
        if !first {
            // The VM's word makes the flow an established one.
            let back = Packet { from: ip(VM), to: ip(CLIENT), protocol: 17, ports: (53, 5_555) };
            side.send_once(&packet(0));
            Side::new_sender(&net.vm).send_once(&back);
        }
        let (_, time) = taken(guard, || (0..PACKETS).for_each(|n| side.send_once(&packet(n))));
        time.as_secs_f64() * 1e9 / f64::from(PACKETS)
    };
    (0..7).map(|_| round()).fold(f64::MAX, f64::min)
}

#[test]
fn a_packet_pays_little_for_a_hundred_rules_and_nothing_once_its_flow_stands() {
    let (net, dir) = (Net::new(), tempfile::tempdir().unwrap());
    let guard = Guarded::start(&net, &dir);
    let (side, _vm) = (Side::new(&net.client), Side::new(&net.vm));
    let empty =
        Layered { subnet: None, nic: Some(Arc::new(Chain::only(Family::V4, Access::Allow))) };
    let none = Screen { inbound: empty.clone(), outbound: Layered::default() };
    let hundred = Screen { outbound: Layered::default(), ..screen(&group(1, 100)) };
    let mut costs = Vec::new();
    for screen in [None, Some(none), Some(hundred)] {
        let screens = screen.map(|screen| (ip(VM), screen)).into_iter().collect();
        guard.converge(saying(screens)).unwrap();
        costs.push([true, false].map(|first| cost(&guard, &net, &side, first)));
    }
    let [[_, _], [first, established], [first_100, established_100]] = costs[..] else { panic!() };
    println!("ns a packet, first and established: none, empty, 100 rules: {costs:.0?}");
    println!(
        "first {:.2} times, established {:.2} times an empty chain",
        first_100 / first,
        established_100 / established
    );
    assert!(first_100 < first * 4.0 && established_100 < established * 1.5, "{costs:?}");
}
