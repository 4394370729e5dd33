//! What becomes of a connection when its access ends.

use std::{io::Write, sync::Mutex, time::Duration};

use hourgate_core::{network::Sessions, time::Clock};

use crate::support::*;

const LONG: Duration = Duration::from_secs(600);

#[test]
fn sessions_go_on_after_the_end_and_new_ones_do_not_begin() {
    let (net, dir) = (Net::new(), tempfile::tempdir().unwrap());
    let accepted = listen(&net.vm, VM, 22);
    let guard = Guarded::start(&net, &dir);
    let locks = [(lock(VM, 22), Sessions::GoOn)];
    guard.set(&locks, &[(opening(CLIENT, VM, 22), LONG)]);
    let mut session = Session::open(&net.client, &accepted, VM, 22);
    guard.set(&locks, &[]);
    assert_eq!(probe(&net.client, VM, 22), Answer::Silent);
    assert_eq!(session.talks(), (true, true));
}

/// Opens for a moment, and returns how long after the end each of the two was reset.
fn reset_after(
    net: &Net,
    guard: &Guarded,
    address: &str,
    source: &str,
    busy: bool,
) -> [Duration; 2] {
    let accepted = listen_for(net, address);
    let locks = [(lock(address, 22), Sessions::EndWithAccess)];
    let length = Duration::from_millis(600);
    let end = guard.after(length);
    let only = opening(source, address, 22);
    guard.converge(desired(&locks, [(only, end)].into())).unwrap();
    let mut session = Session::open(&net.client, &accepted, address, 22);
    assert_eq!(session.talks(), (true, true));
    let mut reset: [Option<Duration>; 2] = [None, None];
    let clock = guard.clock;
    assert!(
        eventually(Duration::from_secs(3), || {
            if busy && !end.is_over(clock.now()) {
                let _ = session.client.write(b"y");
            }
            for (end_of, at) in [(&mut session.client, 0), (&mut session.vm, 1)] {
                if reset[at].is_none() && is_reset(end_of) {
                    let now = clock.now().boot.nanos;
                    let over = end.boot.unwrap().nanos;
                    assert!(now + 8_000_000 > over, "reset before the end");
                    reset[at] = Some(Duration::from_nanos(now.saturating_sub(over)));
                }
            }
            reset.iter().all(Option::is_some)
        }),
        "{reset:?}"
    );
    reset.map(Option::unwrap)
}

fn listen_for(net: &Net, address: &str) -> std::sync::Arc<Mutex<Vec<std::net::TcpStream>>> {
    let ns = if address == "10.1.0.1" { &net.gateway } else { &net.vm };
    listen(ns, address, 22)
}

#[test]
fn sessions_end_with_the_access_and_both_ends_are_reset() {
    for (address, source, busy) in [
        (VM, CLIENT, false),
        (VM, CLIENT, true),
        (VM6, CLIENT6, false),
        ("10.1.0.1", CLIENT, false),
    ] {
        let (net, dir) = (Net::new(), tempfile::tempdir().unwrap());
        let guard = Guarded::start(&net, &dir);
        let [client, vm] = reset_after(&net, &guard, address, source, busy);
        println!("{address} busy={busy}: client reset {client:?}, vm {vm:?} after the end");
        assert!(client.max(vm) <= Duration::from_millis(50), "{address} {busy} {client:?} {vm:?}");
    }
}

#[test]
fn closing_early_ends_sessions_of_that_source_alone() {
    let (net, dir) = (Net::new(), tempfile::tempdir().unwrap());
    let accepted = listen(&net.vm, VM, 22);
    let other = listen(&net.vm, VM, 23);
    let guard = Guarded::start(&net, &dir);
    let locks = [(lock(VM, 22), Sessions::EndWithAccess), (lock(VM, 23), Sessions::EndWithAccess)];
    let open = [(opening(CLIENT, VM, 22), LONG), (opening(CLIENT, VM, 23), LONG)];
    guard.set(&locks, &open);
    let mut ended = Session::open(&net.client, &accepted, VM, 22);
    let mut stays = Session::open(&net.client, &other, VM, 23);
    guard.set(&locks, &open[1..]);
    assert!(eventually(Duration::from_millis(200), || is_reset(&mut ended.client)));
    assert!(eventually(Duration::from_millis(200), || is_reset(&mut ended.vm)));
    assert_eq!(stays.talks(), (true, true));
}

#[test]
fn with_every_process_dead_no_payload_passes_and_who_speaks_is_reset() {
    let (net, dir) = (Net::new(), tempfile::tempdir().unwrap());
    let accepted = listen(&net.vm, VM, 22);
    let guard = Guarded::start(&net, &dir);
    let locks = [(lock(VM, 22), Sessions::EndWithAccess)];
    let end = guard.after(Duration::from_millis(700));
    guard.converge(desired(&locks, [(opening(CLIENT, VM, 22), end)].into())).unwrap();
    let mut first = Session::open(&net.client, &accepted, VM, 22);
    let mut second = Session::open(&net.client, &accepted, VM, 22);
    assert_eq!(first.talks(), (true, true));
    guard.stop();
    let clock = hourgate_guard::clock::MachineClock::new().unwrap();
    assert!(eventually(Duration::from_secs(2), || end.is_over(clock.now())));
    nap(Duration::from_millis(20));
    let _ = first.client.write(b"late");
    let _ = second.vm.write(b"late");
    assert!(eventually(Duration::from_secs(1), || is_reset(&mut first.client)));
    assert!(eventually(Duration::from_secs(1), || is_reset(&mut second.vm)));
    let mut got = [0; 8];
    for quiet in [&mut first.vm, &mut second.client] {
        assert!(std::io::Read::read(quiet, &mut got).is_err(), "payload passed after the end");
    }
}
