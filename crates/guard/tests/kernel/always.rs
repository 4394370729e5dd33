//! What a machine needs whatever its rules say, as packets; and that an opening opens TCP and nothing beside (P2, P19).

use std::{
    net::{IpAddr, SocketAddr, UdpSocket},
    os::fd::AsFd,
    time::Duration,
};

use hourgate_core::{
    network::{Family, Sessions},
    nsg::{
        band::Band,
        group::SecurityGroup,
        judge::{Layer, Layers},
        surroundings::Surroundings,
    },
    plan::Desired,
    screen::{Screen, standing::Standing},
};
use hourgate_enforce::guard::GuardError;
use socket2::{Domain, Protocol, Socket, Type};

use crate::support::{chance::asg, *};

const LONG: Duration = Duration::from_secs(600);
/// How long a packet that passes may take.
const WAIT: Duration = Duration::from_millis(250);
const GATEWAY: &str = "10.1.0.1";
const GATEWAY6: &str = "fd01::1";

/// The screen of a group without rules of its own, in no network: nothing may come in.
fn nothing_in(address: &str) -> (IpAddr, Screen) {
    let id = asg("none").replace("application", "network").parse().unwrap();
    let group = SecurityGroup::new(id, Vec::new()).unwrap();
    let layers = Layers { subnet: None, nic: Some(&group) };
    let around = Surroundings::new([], [], []);
    let address: IpAddr = address.parse().unwrap();
    let band = |layer| (layer == Layer::Nic).then(Band::default);
    (address, Screen::of(layers, &around, Family::of(address), band))
}

fn screened(addresses: &[&str]) -> Desired {
    let screens = addresses.iter().map(|address| nothing_in(address)).collect();
    Desired { screens, ..desired(&[], [].into()) }
}

fn at(address: &str, port: u16) -> SocketAddr {
    SocketAddr::new(address.parse().unwrap(), port)
}

/// Whether a datagram arrives.
fn arrives((from_ns, from): (&str, SocketAddr), (to_ns, to): (&str, SocketAddr)) -> bool {
    let server = within(to_ns, || UdpSocket::bind(to).unwrap());
    server.set_read_timeout(Some(WAIT)).unwrap();
    within(from_ns, || {
        // One that may not leave is refused to its sender, which is as good as lost.
        let _ = UdpSocket::bind(from).unwrap().send_to(b"x", to);
    });
    server.recv(&mut [0]).is_ok()
}

#[test]
fn an_opening_is_for_tcp_alone() {
    let (net, dir) = (Net::new(), tempfile::tempdir().unwrap());
    let _ssh = (listen(&net.vm, VM, 22), listen(&net.vm, VM_2, 22));
    let guard = Guarded::start(&net, &dir);
    let locks = [(lock(VM, 22), Sessions::GoOn), (lock(VM_2, 22), Sessions::EndWithAccess)];
    guard.set(&locks, &[(opening(CLIENT, VM, 22), LONG), (opening(CLIENT, VM_2, 22), LONG)]);
    for vm in [VM, VM_2] {
        assert_eq!(probe_from(&net.client, CLIENT, vm, 22), Answer::Open, "{vm}");
        assert!(!udp(&net.client, &net.vm, vm, 22), "{vm}: UDP");
        let seen = server_sees(&net.vm, Domain::IPV4, 132, 22, || {
            raw_transport(&net.client, vm, 132, 22);
        });
        assert_eq!(seen, 0, "{vm}: SCTP");
    }
}

#[test]
fn a_machine_that_may_hear_nothing_still_gets_its_address() {
    let (net, dir) = (Net::new(), tempfile::tempdir().unwrap());
    let guard = Guarded::start(&net, &dir);
    guard.converge(screened(&[GATEWAY, GATEWAY6, VM, VM6])).unwrap();
    let leases = [(CLIENT, GATEWAY, VM, 67, 68), (CLIENT6, GATEWAY6, VM6, 547, 546)];
    for (near, own, behind, server, client) in leases {
        let from = (net.client.as_str(), at(near, server));
        assert!(arrives(from, (&net.gateway, at(own, client))), "{own}: what a server says");
        assert!(!arrives(from, (&net.gateway, at(own, client + 100))), "{own}: another port");
        let other = (net.client.as_str(), at(near, server + 100));
        assert!(!arrives(other, (&net.gateway, at(own, client))), "{own}: from another port");
        // Forwarded it is a flow like any other.
        assert!(!arrives(from, (&net.vm, at(behind, client))), "{behind}: through the gateway");
    }
}

/// Whether a message of ICMPv6 from `ns` about nothing arrives in `to_ns`.
fn message(ns: &str, to_ns: &str, to: &str, kind: u8) -> bool {
    let raw = || Socket::new(Domain::IPV6, Type::RAW, Some(Protocol::ICMPV6)).unwrap();
    let receiver = within(to_ns, raw);
    receiver.set_read_timeout(Some(WAIT)).unwrap();
    let mut packet = [0; 56];
    packet[0] = kind;
    packet[6..8].copy_from_slice(&1280_u16.to_be_bytes());
    within(ns, || raw().send_to(&packet, &at(to, 0).into()).unwrap());
    let mut heard = [0; 128];
    while let Ok(length) = rustix::io::read(receiver.as_fd(), &mut heard) {
        if length > 0 && heard[0] == kind {
            return true;
        }
    }
    false
}

#[test]
fn a_machine_that_may_hear_nothing_still_hears_that_packets_are_too_big() {
    let (net, dir) = (Net::new(), tempfile::tempdir().unwrap());
    let guard = Guarded::start(&net, &dir);
    guard.converge(screened(&[VM6])).unwrap();
    assert!(message(&net.client, &net.vm, VM6, 2), "packet too big");
    assert!(!message(&net.client, &net.vm, VM6, 4), "another error about nothing");
}

#[test]
fn datagrams_that_were_answered_go_on_where_sessions_do() {
    let (net, dir) = (Net::new(), tempfile::tempdir().unwrap());
    let guard = Guarded::start(&net, &dir);
    for (vm, sessions, goes_on) in
        [(VM, Sessions::GoOn, true), (VM_2, Sessions::EndWithAccess, false)]
    {
        guard.converge(desired(&[], [].into())).unwrap();
        let server = within(&net.vm, || UdpSocket::bind(at(vm, 5300)).unwrap());
        let client = within(&net.client, || UdpSocket::bind(at(CLIENT, 0)).unwrap());
        for socket in [&server, &client] {
            socket.set_read_timeout(Some(WAIT)).unwrap();
        }
        client.connect(at(vm, 5300)).unwrap();
        client.send(b"x").unwrap();
        let (_, peer) = server.recv_from(&mut [0]).unwrap();
        server.send_to(b"y", peer).unwrap();
        client.recv(&mut [0]).unwrap();
        guard.set(&[(lock(vm, 5300), sessions)], &[]);
        client.send(b"x").unwrap();
        assert_eq!(server.recv(&mut [0]).is_ok(), goes_on, "{vm}: what began");
        drop(server);
        assert!(!udp(&net.client, &net.vm, vm, 5300), "{vm}: a new one");
    }
}

#[test]
fn no_exception_without_its_lock_and_no_chain_of_another_family() {
    use hourgate_core::{
        nsg::flow::Transport,
        screen::chain::{Hosts, PortSet},
    };
    let (net, dir) = (Net::new(), tempfile::tempdir().unwrap());
    let guard = Guarded::start(&net, &dir);
    let locks = [(lock(VM, 22), Sessions::GoOn)];
    guard.set(&locks, &[]);
    let before = guard.observe();
    let from = |net: &str| Standing {
        transport: Transport::Tcp,
        sources: Hosts::these(vec![net.parse().unwrap()]).unwrap(),
        source_ports: PortSet::All,
    };
    let standing = |at, passes| Desired {
        standing: [(at, vec![passes])].into(),
        ..desired(&locks, [].into())
    };
    let (_, six) = nothing_in(VM6);
    let crossed =
        Desired { screens: [(VM.parse().unwrap(), six)].into(), ..desired(&locks, [].into()) };
    for (why, said) in [
        ("no lock", standing(lock(VM_2, 22), from("10.1.0.2/32"))),
        ("of another family", standing(lock(VM, 22), from("fd01::2/128"))),
        ("a chain of another family", crossed),
    ] {
        let refused = guard.converge(said);
        assert!(matches!(refused, Err(GuardError::Refused(_))), "{why}: {refused:?}");
        assert_eq!(guard.observe(), before, "{why}");
    }
}

#[test]
fn an_exception_for_other_transports_is_none_for_tcp_and_udp() {
    use hourgate_core::{
        nsg::flow::Transport,
        screen::chain::{Hosts, PortSet},
    };
    let (net, dir) = (Net::new(), tempfile::tempdir().unwrap());
    let _ssh = listen(&net.vm, VM, 22);
    let guard = Guarded::start(&net, &dir);
    let other =
        Standing { transport: Transport::Other, sources: Hosts::All, source_ports: PortSet::All };
    let standing = [(lock(VM, 22), vec![other])].into();
    let locks = [(lock(VM, 22), Sessions::GoOn)];
    guard.converge(Desired { standing, ..desired(&locks, [].into()) }).unwrap();
    assert_eq!(probe(&net.client, VM, 22), Answer::Silent, "TCP");
    assert!(!udp(&net.client, &net.vm, VM, 22), "UDP");
    let sctp = || raw_transport(&net.client, VM, 132, 22);
    assert_eq!(server_sees(&net.vm, Domain::IPV4, 132, 22, sctp), 1, "SCTP");
}
