//! What an attacker would try, and what others do to the table.

use std::{collections::BTreeSet, net::SocketAddr, sync::Arc, time::Duration};

use hourgate_core::{network::Sessions, plan::OpeningFailure};
use hourgate_enforce::guard::Guard;
use hourgate_guard::{Features, Settings};
use socket2::{Domain, SockRef};

use crate::support::*;

const LONG: Duration = Duration::from_secs(600);
const ACK: u8 = 0x10;
const SYN_ACK: u8 = 0x12;
const SYN: u8 = 0x02;
const FIN: u8 = 0x01;
const PSH: u8 = 0x08;
const NULL: u8 = 0;
const XMAS: u8 = 0x29;

#[test]
fn no_crafted_packet_reaches_a_locked_port_and_none_is_answered() {
    let (net, dir) = (Net::new(), tempfile::tempdir().unwrap());
    let _ssh = (listen(&net.vm, VM, 22), listen(&net.vm, VM6, 22));
    let guard = Guarded::start(&net, &dir);
    // What a destination option of four bytes of padding before TCP looks like.
    let options = [6, 0, 1, 4, 0, 0, 0, 0];
    for sessions in [Sessions::GoOn, Sessions::EndWithAccess] {
        guard.set(&[(lock(VM, 22), sessions), (lock(VM6, 22), sessions)], &[]);
        for flags in [SYN, ACK, SYN_ACK, FIN, NULL, XMAS] {
            let send = || raw_tcp(&net.client, CLIENT, VM, (5555, 22), flags, &[]);
            let answers = server_sees(&net.client, Domain::IPV4, 6, 5555, || {
                let seen = server_sees(&net.vm, Domain::IPV4, 6, 22, || (send(), send()).0);
                assert_eq!(seen, 0, "flags {flags:#x} {sessions:?}");
            });
            assert_eq!(answers, 0, "flags {flags:#x} {sessions:?} were answered");
        }
        for extra in [&[][..], &options] {
            for flags in [SYN, ACK] {
                let seen = server_sees(&net.vm, Domain::IPV6, 6, 22, || {
                    raw_tcp(&net.client, CLIENT6, VM6, (5555, 22), flags, extra);
                });
                assert_eq!(seen, 0, "IPv6, flags {flags:#x}, extension {extra:?}");
            }
        }
    }
    for transport in [17, 33, 132, 136] {
        for (port, arrives) in [(22, 0), (23, 1)] {
            let seen = server_sees(&net.vm, Domain::IPV4, transport, port, || {
                raw_transport(&net.client, VM, transport, port);
            });
            assert_eq!(seen, arrives, "protocol {transport} to port {port}");
        }
    }
    // The same packets arrive where there is no lock, so the test would see them.
    let seen = server_sees(&net.vm, Domain::IPV6, 6, 23, || {
        raw_tcp(&net.client, CLIENT6, VM6, (5555, 23), SYN, &options);
    });
    assert_eq!(seen, 1);
}

#[test]
fn a_packet_in_fragments_is_put_together_before_it_is_judged() {
    let (net, dir) = (Net::new(), tempfile::tempdir().unwrap());
    let guard = Guarded::start(&net, &dir);
    guard.set(&[(lock(VM, 22), Sessions::GoOn)], &[]);
    let datagram = |port: u16| {
        let server = within(&net.vm, || std::net::UdpSocket::bind((VM, port)).unwrap());
        server.set_read_timeout(Some(Duration::from_millis(300))).unwrap();
        within(&net.client, || {
            let socket = std::net::UdpSocket::bind("0.0.0.0:0").unwrap();
            socket.send_to(&[7; 4000], (VM, port)).unwrap();
        });
        server.recv(&mut [0; 5000]).is_ok()
    };
    assert!(!datagram(22), "fragments passed the lock");
    assert!(datagram(53), "fragments of others pass");
}

#[test]
fn a_flow_that_conntrack_forgot_is_not_revived_from_the_middle() {
    let (net, dir) = (Net::new(), tempfile::tempdir().unwrap());
    let accepted = listen(&net.vm, VM, 22);
    for sessions in [Sessions::GoOn, Sessions::EndWithAccess] {
        let guard = Guarded::start(&net, &dir);
        let locks = [(lock(VM, 22), sessions)];
        guard.set(&locks, &[(opening(CLIENT, VM, 22), LONG)]);
        let mut session = Session::open(&net.client, &accepted, VM, 22);
        assert_eq!(session.talks(), (true, true));
        guard.set(&locks, &[]);
        let _ = net.gateway_can(&["conntrack", "-D", "-p", "tcp"]);
        let (to_vm, to_client) = session.talks();
        assert!(!to_vm, "{sessions:?}: payload to the VM");
        if sessions == Sessions::EndWithAccess {
            assert!(!to_client, "payload from the VM");
        }
    }
}

#[test]
fn a_session_that_the_vm_reset_is_no_way_in_for_a_new_one() {
    let (net, dir) = (Net::new(), tempfile::tempdir().unwrap());
    let guard = Guarded::start(&net, &dir);
    let locks = [(lock(VM, 22), Sessions::GoOn), (lock(VM6, 22), Sessions::GoOn)];
    for (client, vm, domain) in [(CLIENT, VM, Domain::IPV4), (CLIENT6, VM6, Domain::IPV6)] {
        let accepted = listen(&net.vm, vm, 22);
        let open = [(opening(client, vm, 22), LONG)];
        guard.set(&locks, &open);
        let mut session = Session::open(&net.client, &accepted, vm, 22);
        let own = session.client.local_addr().unwrap();
        assert_eq!(session.talks(), (true, true));
        guard.set(&locks, &[]);
        assert_eq!(session.talks(), (true, true), "it goes on");
        // Conntrack remembers the flow for a while, takes a SYN on it for one that strayed, and calls it
        // established.
        let Session { client: mut near, vm: far } = session;
        SockRef::from(&far).set_linger(Some(Duration::ZERO)).unwrap();
        drop(far);
        assert!(eventually(LONG, || is_reset(&mut near)));
        drop(near);
        let to = SocketAddr::new(vm.parse().unwrap(), 22);
        let dial = || within(&net.client, || connect(Some(own), to, Duration::from_millis(400)));
        assert!(dial().is_err(), "{vm}: a new session without an opening");
        for flags in [SYN, SYN | PSH, SYN | FIN, SYN_ACK] {
            let send = || raw_tcp(&net.client, client, vm, (own.port(), 22), flags, &[]);
            let seen = server_sees(&net.vm, domain, 6, 22, send);
            assert_eq!(seen, 0, "{vm}: flags {flags:#x}");
        }
        guard.set(&locks, &open);
        assert!(dial().is_ok(), "{vm}: the same ports once more, with an opening");
    }
}

#[test]
fn while_the_guard_lives_nobody_else_can_touch_the_table() {
    let (net, dir) = (Net::new(), tempfile::tempdir().unwrap());
    let _ssh = listen(&net.vm, VM, 22);
    let guard = Guarded::start(&net, &dir);
    guard.set(&[(lock(VM, 22), Sessions::GoOn)], &[]);
    let _ = net.gateway_can(&["nft", "flush", "ruleset"]);
    assert!(!net.gateway_can(&["nft", "delete", "table", "inet", "hourgate"]));
    assert!(!net.gateway_can(&["nft", "flush", "chain", "inet", "hourgate", "judge4"]));
    assert_eq!(probe(&net.client, VM, 22), Answer::Silent);
    assert_eq!(guard.observe().locks.len(), 1);
}

#[test]
fn what_others_did_to_the_table_is_undone_within_100_ms() {
    let (net, dir) = (Net::new(), tempfile::tempdir().unwrap());
    let mut settings = Settings::new(dir.path().into(), vec!["10.0.0.0/8".parse().unwrap()]);
    // Without an owner, as before kernel 6.9, anybody who is root can.
    settings.features = Features { persist: false, ..Features::of_kernel() };
    let guard = Guarded::with(&net, settings);
    let open = [(opening(CLIENT, VM, 22), LONG), (opening("10.1.0.0/30", VM, 22), LONG)];
    guard.set(&[(lock(VM, 22), Sessions::GoOn)], &open);
    let standing = || net.on_gateway(&["nft", "list", "table", "inet", "hourgate"]);
    let shape = |text: &str| {
        let lines = text.lines().filter(|line| !line.contains("expires"));
        lines.map(str::to_owned).collect::<BTreeSet<_>>()
    };
    let before = shape(&standing());
    let element = "{ 10.1.0.2 . 10.2.0.4 . 22 }";
    let stranger = "{ 10.1.0.4 . 10.2.0.4 . 22 }";
    for meddling in [
        vec!["flush", "ruleset"],
        vec!["delete", "table", "inet", "hourgate"],
        vec!["flush", "chain", "inet", "hourgate", "judge4"],
        vec!["flush", "set", "inet", "hourgate", "going4"],
        vec!["insert", "rule", "inet", "hourgate", "judge", "accept"],
        vec!["add", "element", "inet", "hourgate", "open4_30", stranger],
        vec!["delete", "element", "inet", "hourgate", "open4_32", element],
    ] {
        let program = [&["nft"][..], &meddling].concat();
        let told = Arc::clone(&guard.guard);
        let told = guard.handle.spawn(async move { told.changed().await });
        let _ = guard.observe();
        let now = || hourgate_core::time::Clock::now(&guard.clock).boot.nanos;
        assert!(net.gateway_can(&program), "{meddling:?}");
        let began = now();
        assert!(eventually(Duration::from_secs(2), || told.is_finished()), "nobody was told");
        let took = (now() - began) / 1_000_000;
        println!("{meddling:?} undone {took} ms after nft was done");
        assert!(took <= 100, "{meddling:?} {took} ms");
        assert!(
            eventually(Duration::from_secs(2), || {
                net.gateway_can(&["nft", "list", "chain", "inet", "hourgate", "judge4"])
                    && shape(&standing()) == before
                    && standing().matches("expires").count() == 2
            }),
            "{meddling:?} was not undone: {}",
            standing()
        );
    }
}

#[test]
fn what_was_done_while_no_guard_watched_is_undone_by_the_next_start() {
    let (net, dir) = (Net::new(), tempfile::tempdir().unwrap());
    let _ssh = listen(&net.vm, VM, 22);
    for meddling in [
        vec!["add", "set", "inet", "hourgate", "open4_0", "{ type ipv4_addr; }"],
        vec!["flush", "ruleset"],
        vec!["flush", "set", "inet", "hourgate", "going4"],
        vec!["insert", "rule", "inet", "hourgate", "judge", "accept"],
    ] {
        let guard = Guarded::start(&net, &dir);
        guard.set(&[(lock(VM, 22), Sessions::GoOn)], &[]);
        guard.stop();
        let program = [&["nft"][..], &meddling].concat();
        assert!(net.gateway_can(&program), "{meddling:?}");
        let guard = Guarded::start(&net, &dir);
        assert_eq!(guard.observe().locks.len(), 1, "{meddling:?}");
        assert_eq!(probe(&net.client, VM, 22), Answer::Silent, "{meddling:?}");
        guard.set(&[(lock(VM, 22), Sessions::GoOn)], &[(opening("0.0.0.0/0", VM, 22), LONG)]);
        assert_eq!(probe(&net.client, VM, 22), Answer::Open, "{meddling:?}");
    }
}

#[test]
fn a_full_set_refuses_what_does_not_fit_and_nothing_else() {
    let (net, dir) = (Net::new(), tempfile::tempdir().unwrap());
    let mut settings = Settings::new(dir.path().into(), vec!["10.0.0.0/8".parse().unwrap()]);
    settings.openings_max = 4;
    let guard = Guarded::with(&net, settings);
    let locks = [(lock(VM, 22), Sessions::GoOn)];
    let all: Vec<_> = (1..=6).map(|n| (opening(&format!("10.9.0.{n}"), VM, 22), LONG)).collect();
    let observed = guard.set(&locks, &all);
    assert_eq!((observed.openings.len(), observed.failed.len()), (4, 2));
    assert!(observed.failed.values().all(|failure| *failure == OpeningFailure::Full));
    let observed = guard.set(&locks, &all[2..]);
    assert_eq!((observed.openings.len(), observed.failed.len()), (4, 0), "closes make room");
}

#[test]
fn a_hundred_thousand_openings() {
    let (net, dir) = (Net::new(), tempfile::tempdir().unwrap());
    let _ssh = listen(&net.vm, VM, 22);
    let guard = Guarded::start(&net, &dir);
    let locks = [(lock(VM, 22), Sessions::GoOn)];
    let many: Vec<_> = (0..100_000_u32)
        .map(|n| {
            let source = std::net::Ipv4Addr::from(0x0b00_0000 + n);
            (opening(&source.to_string(), VM, 22), LONG)
        })
        .collect();
    let now = || hourgate_core::time::Clock::now(&guard.clock).boot.nanos;
    let timed = |what: &str, did: &mut dyn FnMut()| {
        let began = now();
        did();
        println!("{what}: {} ms", (now() - began) / 1_000_000);
    };
    timed("open 100,000", &mut || assert_eq!(guard.set(&locks, &many).openings.len(), 100_000));
    let one = opening(CLIENT, VM_2, 22);
    timed("lock and open one more elsewhere", &mut || {
        let mut more =
            desired(&[(lock(VM_2, 22), Sessions::GoOn)], [(one, guard.after(LONG))].into());
        more.coverage = hourgate_core::plan::Coverage::Only([VM_2.parse().unwrap()].into());
        assert_eq!(guard.converge(more).unwrap().openings.len(), 1);
    });
    assert_eq!(guard.observe().openings.len(), 100_001);
    timed("close 100,000", &mut || assert!(guard.set(&locks, &[]).openings.is_empty()));
    assert_eq!(probe(&net.client, VM, 22), Answer::Silent);
}

#[test]
fn a_batch_that_the_kernel_refuses_is_halved_until_only_what_does_not_fit_fails() {
    let (net, dir) = (Net::new(), tempfile::tempdir().unwrap());
    let _ssh = listen(&net.vm, VM, 22);
    let mut settings = Settings::new(dir.path().into(), vec!["10.0.0.0/8".parse().unwrap()]);
    settings.set_size = 20;
    let guard = Guarded::with(&net, settings);
    let locks = [(lock(VM, 22), Sessions::GoOn)];
    let mut open: Vec<_> =
        (1..=30).map(|n| (opening(&format!("10.9.0.{n}"), VM, 22), LONG)).collect();
    // Of another prefix length, so of another set, in the same batch.
    open.push((opening("10.1.0.0/30", VM, 22), LONG));
    let observed = guard.set(&locks, &open);
    assert_eq!((observed.openings.len(), observed.failed.len()), (21, 10), "{observed:?}");
    assert!(observed.failed.values().all(|failure| *failure == OpeningFailure::Full));
    assert_eq!(probe(&net.client, VM, 22), Answer::Open);
    // What is asked to close closes although what is asked to open cannot.
    let mut rest = open.split_off(1);
    rest.retain(|(opening, _)| opening.source().prefix_len() == 32);
    let observed = guard.set(&locks, &rest);
    assert_eq!(observed.openings.len(), 20);
    assert_eq!(probe(&net.client, VM, 22), Answer::Silent);
}
