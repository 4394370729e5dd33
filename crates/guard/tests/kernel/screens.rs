//! Screens by name: what goes on, what a machine needs, who keeps them, and how they look to nft.

use std::{
    collections::BTreeMap, net::IpAddr, path::Path, process::Command, sync::Arc, time::Duration,
};

use hourgate_core::{
    network::{Family, Lock, Sessions},
    nsg::{
        band::Band,
        flow::Transport,
        group::SecurityGroup,
        judge::{Layer, Layers},
        rule::{RuleDraft, SecurityRule},
        surroundings::Surroundings,
        word::Access,
    },
    plan::Desired,
    screen::{
        Layered, Screen,
        chain::{Chain, Hosts, PortSet},
        standing::Standing,
    },
};
use socket2::Domain;

use crate::support::{chance::asg, *};

const LONG: Duration = Duration::from_secs(600);
const SYN: u8 = 0x02;

/// A group of lines such as `100 Allow Tcp 10.1.0.2@* > *@22`, inbound but for those that end in `out`.
fn group(lines: &[&str]) -> SecurityGroup {
    let rule = |(n, line): (usize, &&str)| {
        let words: Vec<&str> = line.split_whitespace().collect();
        let [priority, access, protocol, from, ">", to, way @ ..] = words.as_slice() else {
            panic!("no rule: {line}");
        };
        let side = |text: &str| {
            let (places, ports) = text.split_once('@').unwrap_or((text, "*"));
            let list = |text: &str| text.split(',').map(str::to_owned).collect::<Vec<_>>();
            (list(places), list(ports))
        };
        let ((sources, source_ports), (destinations, destination_ports)) = (side(from), side(to));
        SecurityRule::new(&RuleDraft {
            name: format!("r{n}"),
            description: None,
            priority: priority.parse().unwrap(),
            direction: if *way == ["out"] { "Outbound" } else { "Inbound" }.to_owned(),
            access: (*access).to_owned(),
            protocol: (*protocol).to_owned(),
            sources,
            source_ports,
            destinations,
            destination_ports,
        })
        .unwrap()
    };
    let id = asg("web").replace("application", "network").parse().unwrap();
    SecurityGroup::new(id, lines.iter().enumerate().map(rule).collect()).unwrap()
}

/// The screen of one NIC with this group, in a network of 10.2.0.0/24 and fd02::/64.
fn screen(lines: &[&str], family: Family) -> Screen {
    let group = group(lines);
    let layers = Layers { subnet: None, nic: Some(&group) };
    let nets = ["10.2.0.0/24", "fd02::/64"].map(|net| net.parse().unwrap());
    let around = Surroundings::new(nets, [], []);
    Screen::of(layers, &around, family, |layer| (layer == Layer::Nic).then(Band::default))
}

fn of(address: &str, lines: &[&str]) -> (IpAddr, Screen) {
    let address: IpAddr = address.parse().unwrap();
    (address, screen(lines, Family::of(address)))
}

fn saying(locks: &[(Lock, Sessions)], screens: &[(IpAddr, Screen)]) -> Desired {
    Desired { screens: screens.iter().cloned().collect(), ..desired(locks, BTreeMap::new()) }
}

#[test]
fn what_began_goes_on_when_a_rule_forbids_it_and_a_new_one_does_not_begin() {
    let (net, dir) = (Net::new(), tempfile::tempdir().unwrap());
    let guard = Guarded::start(&net, &dir);
    for (client, vm) in [(CLIENT, VM), (CLIENT6, VM6)] {
        let accepted = listen(&net.vm, vm, 22);
        guard.converge(saying(&[], &[of(vm, &["100 Allow Tcp * > *@22"])])).unwrap();
        let mut session = Session::open(&net.client, &accepted, vm, 22);
        assert_eq!(probe(&net.client, vm, 23), Answer::Silent, "the default deny");
        guard.converge(saying(&[], &[of(vm, &["100 Deny * * > *"])])).unwrap();
        assert_eq!(session.talks(), (true, true), "{vm}: it goes on");
        assert_eq!(probe(&net.client, vm, 22), Answer::Silent);
        // A SYN with the ports of the session that the VM resets is a new flow, whatever conntrack thinks.
        let port = session.client.local_addr().unwrap().port();
        socket2::SockRef::from(&session.vm).set_linger(Some(Duration::ZERO)).unwrap();
        let Session { client: mut near, vm: far } = session;
        drop(far);
        assert!(eventually(LONG, || is_reset(&mut near)));
        drop(near);
        let domain = if vm == VM { Domain::IPV4 } else { Domain::IPV6 };
        let seen = server_sees(&net.vm, domain, 6, 22, || {
            raw_tcp(&net.client, client, vm, (port, 22), SYN, &[]);
        });
        assert_eq!(seen, 0, "{vm}: a SYN on a flow that was reset");
    }
}

#[test]
fn answers_come_back_and_errors_about_a_flow_too() {
    let (net, dir) = (Net::new(), tempfile::tempdir().unwrap());
    let _web = listen(&net.client, CLIENT, 80);
    let guard = Guarded::start(&net, &dir);
    // Nothing may come in; out to the client alone.
    let rules = ["100 Deny * * > *", "100 Allow * * > 10.1.0.2 out", "101 Deny * * > * out"];
    guard.converge(saying(&[], &[of(VM, &rules)])).unwrap();
    assert_eq!(probe_from(&net.vm, VM, CLIENT, 80), Answer::Open);
    assert_eq!(probe_from(&net.vm, VM, CLIENT_2, 80), Answer::Silent);
    assert_eq!(probe_from(&net.vm, VM, CLIENT, 81), Answer::Refused);
    assert!(!icmp(&net.client, VM), "inbound nothing");
    // "Port unreachable" is about a flow that may be.
    let refused = within(&net.vm, || {
        let socket = std::net::UdpSocket::bind((VM, 0)).unwrap();
        socket.connect((CLIENT, 9)).unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(2))).unwrap();
        socket.send(b"x").unwrap();
        socket.recv(&mut [0]).unwrap_err().kind()
    });
    assert_eq!(refused, std::io::ErrorKind::ConnectionRefused);
}

#[test]
fn a_machine_that_may_nothing_still_finds_its_neighbours_and_itself() {
    let (net, dir) = (Net::new(), tempfile::tempdir().unwrap());
    let _own = listen(&net.gateway, "10.1.0.1", 80);
    let guard = Guarded::start(&net, &dir);
    let nothing = ["100 Deny * * > *", "100 Deny * * > * out"];
    let hosts = ["10.1.0.1", "fd01::1", "fd02::1"].map(|host| of(host, &nothing));
    guard.converge(saying(&[], &hosts)).unwrap();
    assert_eq!(probe(&net.client, "10.1.0.1", 80), Answer::Silent, "the input hook");
    assert_ne!(
        probe_from(&net.gateway, "10.1.0.1", CLIENT, 80),
        Answer::Refused,
        "the output hook"
    );
    assert_eq!(probe(&net.gateway, "10.1.0.1", 80), Answer::Open, "over loopback");
    // Forgotten neighbours are found again, asked from an address that may send nothing.
    for ns in [&net.client, &net.gateway, &net.vm] {
        let flush = Command::new("ip").args(["-n", ns, "-6", "neigh", "flush", "all"]).status();
        assert!(flush.unwrap().success());
    }
    assert_eq!(probe(&net.client, VM6, 9), Answer::Refused, "through the gateway");
}

#[test]
fn a_standing_exception_passes_the_lock_and_no_more_and_its_sessions_end_with_it() {
    let (net, dir) = (Net::new(), tempfile::tempdir().unwrap());
    let guard = Guarded::start(&net, &dir);
    for (client, vm) in [(CLIENT, VM), (CLIENT6, VM6)] {
        let accepted = listen(&net.vm, vm, 22);
        for sessions in [Sessions::GoOn, Sessions::EndWithAccess] {
            let locks = [(lock(vm, 22), sessions)];
            let net_of = |address: &str| vec![address.parse::<IpAddr>().unwrap().into()];
            let one = Standing {
                transport: Transport::Tcp,
                sources: Hosts::these(net_of(client)).unwrap(),
                source_ports: PortSet::All,
            };
            let stands =
                Desired { standing: [(locks[0].0, vec![one])].into(), ..saying(&locks, &[]) };
            let observed = guard.converge(stands.clone()).unwrap();
            assert_eq!(observed.standing, stands.standing);
            let mut session = Session::open(&net.client, &accepted, vm, 22);
            assert_eq!(session.talks(), (true, true));
            if vm == VM {
                assert_eq!(probe_from(&net.client, CLIENT_2, vm, 22), Answer::Silent);
                assert!(!udp(&net.client, &net.vm, vm, 22), "TCP alone");
            }
            let rules = [of(vm, &["100 Deny Tcp * > *@22", "101 Allow * * > *"])];
            let screened = Desired { standing: stands.standing.clone(), ..saying(&locks, &rules) };
            guard.converge(screened).unwrap();
            assert_eq!(probe(&net.client, vm, 22), Answer::Silent, "the rules still hold");
            assert_eq!(session.talks(), (true, true), "{sessions:?}: what began goes on");
            guard.converge(stands).unwrap();
            assert_eq!(probe(&net.client, vm, 22), Answer::Open);
            guard.converge(saying(&locks, &[])).unwrap();
            assert_eq!(probe(&net.client, vm, 22), Answer::Silent);
            let goes_on = sessions == Sessions::GoOn;
            assert_eq!(session.talks().0, goes_on, "{sessions:?}");
        }
        let released = [lock(vm, 22)].into();
        guard.converge(Desired { released, ..saying(&[], &[]) }).unwrap();
    }
}

#[test]
fn screens_outlive_the_guard_and_a_standing_exception_that_the_kernel_still_has() {
    let (net, dir) = (Net::new(), tempfile::tempdir().unwrap());
    let _web = (listen(&net.vm, VM, 80), listen(&net.vm, VM, 22));
    let guard = Guarded::start(&net, &dir);
    let locks = [(lock(VM, 22), Sessions::GoOn)];
    let all =
        Standing { transport: Transport::Tcp, sources: Hosts::All, source_ports: PortSet::All };
    let rules = [of(VM, &["100 Allow Tcp * > *@22"])];
    let said = Desired { standing: [(locks[0].0, vec![all])].into(), ..saying(&locks, &rules) };
    guard.converge(said.clone()).unwrap();
    let holds = |standing: Answer| {
        assert_eq!(probe(&net.client, VM, 80), Answer::Silent);
        assert_eq!(probe(&net.client, VM, 22), standing);
    };
    holds(Answer::Open);
    guard.stop();
    holds(Answer::Open);
    let guard = Guarded::start(&net, &dir);
    let observed = guard.observe();
    assert_eq!(
        (observed.screens, observed.standing),
        (said.screens.clone(), said.standing.clone())
    );
    holds(Answer::Open);
    guard.stop();
    // As after a boot: the floor alone stands. What passed a lock is not known to pass it still.
    net.on_gateway(&["nft", "delete", "table", "inet", "hourgate"]);
    let guard = Guarded::start(&net, &dir);
    assert_eq!(guard.observe().standing, BTreeMap::new());
    assert_eq!(guard.observe().screens, said.screens);
    holds(Answer::Silent);
    guard.converge(said).unwrap();
    holds(Answer::Open);
    guard.stop();
    std::fs::write(dir.path().join("screens"), b"what is this").unwrap();
    let guard = Guarded::start(&net, &dir);
    assert_eq!(probe(&net.client, VM, 22), Answer::Silent, "the lock holds");
    assert_eq!(guard.observe().screens, BTreeMap::new());
}

#[test]
fn whoever_edits_a_chain_or_a_map_is_undone() {
    let (net, dir) = (Net::new(), tempfile::tempdir().unwrap());
    // As on a kernel where the table is not owned: root can edit it.
    let mut settings = hourgate_guard::Settings::new(
        dir.path().to_path_buf(),
        vec!["0.0.0.0/0".parse().unwrap(), "::/0".parse().unwrap()],
    );
    settings.features.persist = false;
    let guard = Guarded::with(&net, settings);
    let _web = listen(&net.vm, VM, 80);
    let many = "100 Allow Tcp 192.0.2.1,192.0.2.3,192.0.2.5,192.0.2.7,192.0.2.9 > *@22";
    guard.converge(saying(&[], &[of(VM, &[many])])).unwrap();
    // What is made anew may stand in another order.
    let shape = || {
        let text = net.on_gateway(&["nft", "-n", "list", "table", "inet", "hourgate"]);
        let mut lines: Vec<_> = text.lines().map(str::to_owned).collect();
        lines.sort();
        lines
    };
    let before = shape();
    for edit in [
        "flush chain inet hourgate rules_1",
        "insert rule inet hourgate rules_1 accept",
        "delete element inet hourgate in4_nic { 10.2.0.4 }",
        "flush map inet hourgate in4_nic",
        "add element inet hourgate in4_subnet { 10.2.0.5 : drop }",
        "insert rule inet hourgate screens4 accept",
        "add rule inet hourgate going4 accept",
    ] {
        assert!(net.gateway_can(&["nft", edit]), "{edit}");
        assert!(eventually(Duration::from_secs(5), || shape() == before), "{edit} stands");
        assert_eq!(probe(&net.client, VM, 80), Answer::Silent, "{edit}");
    }
    assert!(
        !net.gateway_can(&["nft", "add element inet hourgate rules_1_1 { 10.1.0.2 }"]),
        "what a line's set holds cannot be edited at all"
    );
    assert_eq!(guard.observe().screens.len(), 1);
}

#[test]
fn what_two_share_stands_once_and_goes_with_the_last() {
    let (net, dir) = (Net::new(), tempfile::tempdir().unwrap());
    let guard = Guarded::start(&net, &dir);
    let chains = || {
        let text = net.on_gateway(&["nft", "list", "table", "inet", "hourgate"]);
        let count = |word: &str| text.lines().filter(|line| line.trim().starts_with(word)).count();
        (count("chain rules_"), count("set rules_"))
    };
    let many = "100 Allow Tcp 192.0.2.1,192.0.2.3,192.0.2.5,192.0.2.7,192.0.2.9 > *@22";
    let one = Arc::new(Chain::only(Family::V4, Access::Allow));
    let other = Screen { inbound: Layered { nic: Some(one), subnet: None }, ..Screen::default() };
    let both = [of(VM, &[many]), of(VM_2, &[many])];
    guard.converge(saying(&[], &both)).unwrap();
    // One inbound, one outbound; the sets are the five sources and the public addresses.
    assert_eq!(chains(), (2, 2));
    let moved = [both[0].clone(), (both[1].0, other.clone())];
    guard.converge(saying(&[], &moved)).unwrap();
    assert_eq!(chains(), (3, 2));
    guard.converge(saying(&[], &[(both[1].0, other)])).unwrap();
    assert_eq!(chains(), (1, 0));
    guard.converge(saying(&[], &[])).unwrap();
    assert_eq!(chains(), (0, 0));
}

#[test]
fn groups_look_to_nft_as_they_are_written_down() {
    let (net, dir) = (Net::new(), tempfile::tempdir().unwrap());
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/kernel/golden");
    for (name, address) in [("web", VM), ("web6", VM6), ("before_grants", VM)] {
        let read = |kind: &str| std::fs::read_to_string(golden.join(format!("{name}.{kind}")));
        let lines = read("rules").unwrap();
        let lines: Vec<_> = lines.lines().filter(|line| !line.starts_with('#')).collect();
        let guard = Guarded::start(&net, &dir);
        guard.converge(saying(&[], &[of(address, &lines)])).unwrap();
        let listed = net.on_gateway(&["nft", "list", "table", "inet", "hourgate"]);
        let text = readable(&listed);
        if std::env::var_os("HOURGATE_GOLDEN").is_some() {
            std::fs::write(golden.join(format!("{name}.nft")), &text).unwrap();
        }
        assert_eq!(text, read("nft").unwrap(), "HOURGATE_GOLDEN=1 writes {name}.nft anew");
        guard.converge(saying(&[], &[])).unwrap();
        guard.stop();
        net.on_gateway(&["nft", "delete", "table", "inet", "hourgate"]);
        std::fs::remove_file(dir.path().join("screens")).unwrap();
    }
}

/// What of the table is made of groups: their sets and chains, and who is sent there. Addresses that `nft`
/// shows as places in the packet, for it does not know the family, are written as addresses.
fn readable(listed: &str) -> String {
    let (mut text, mut block) = (String::new(), String::new());
    let mut shown = false;
    for line in listed.lines() {
        let words: Vec<&str> = line.split_whitespace().collect();
        if let [kind @ ("set" | "map" | "chain"), name, "{"] = words.as_slice() {
            let own = ["rules_", "before_"].iter().any(|own| name.starts_with(own));
            let screens = *kind == "map" && (name.starts_with("in") || name.starts_with("out"));
            shown = own || screens || name.starts_with("granted") && *kind == "map";
        }
        if shown {
            block.extend(line.split("@nh,").enumerate().map(place).chain(["\n".to_owned()]));
        }
        if line == "\t}" {
            // A map that sends nobody anywhere says nothing.
            if !block.contains("\tmap ") || block.contains("elements") {
                text.push_str(&block);
            }
            (shown, block) = (false, String::new());
        }
    }
    text
}

/// A piece of a line behind `@nh,`: `96,32 & 0xffffff00 == 0xcb007100 ...` is `ip saddr 203.0.113.0/24 ...`.
fn place((at, piece): (usize, &str)) -> String {
    let names = [
        ("96,32", "ip saddr"),
        ("128,32", "ip daddr"),
        ("64,128", "ip6 saddr"),
        ("192,128", "ip6 daddr"),
    ];
    let Some((code, name)) = names.into_iter().find(|(code, _)| at > 0 && piece.starts_with(code))
    else {
        return if at > 0 { format!("@nh,{piece}") } else { piece.to_owned() };
    };
    let mut rest: Vec<&str> = piece[code.len()..].split(' ').collect();
    let number = |text: &str| u128::from_str_radix(text.strip_prefix("0x")?, 16).ok();
    let six = name.starts_with("ip6");
    let address = |value: u128| {
        if six {
            IpAddr::from(value.to_be_bytes())
        } else {
            IpAddr::from(u32::try_from(value).unwrap().to_be_bytes())
        }
    };
    if let ["", "&", mask, "==", value, ..] = rest[..]
        && let (Some(mask), Some(value)) = (number(mask), number(value))
    {
        let length = mask.count_ones();
        return format!("{name} {}/{length} {}", address(value), rest.split_off(5).join(" "));
    }
    if let ["", value, ..] = rest[..]
        && let Some(value) = number(value)
    {
        return format!("{name} {} {}", address(value), rest.split_off(2).join(" "));
    }
    format!("{name}{}", rest.join(" "))
}
