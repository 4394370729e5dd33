//! What is closed is silent, and what is open is open for whom it is open.

use std::time::Duration;

use crate::support::*;
use hourgate_core::network::Sessions;

const LONG: Duration = Duration::from_secs(600);

#[test]
fn a_locked_port_is_silent_and_nothing_else_is_touched() {
    let (net, dir) = (Net::new(), tempfile::tempdir().unwrap());
    let _ssh = (listen(&net.vm, VM, 22), listen(&net.vm, VM, 80), listen(&net.vm, VM_2, 22));
    let guard = Guarded::start(&net, &dir);
    assert_eq!(probe(&net.client, VM, 22), Answer::Open);
    let observed = guard.set(&[(lock(VM, 22), Sessions::GoOn)], &[]);
    assert_eq!(observed.locks.len(), 1);
    assert_eq!(probe(&net.client, VM, 22), Answer::Silent);
    assert_eq!(probe(&net.client, VM, 80), Answer::Open);
    assert_eq!(probe(&net.client, VM, 81), Answer::Refused);
    assert_eq!(probe(&net.client, VM_2, 22), Answer::Open, "an address that is not locked");
    assert!(!udp(&net.client, &net.vm, VM, 22), "every transport protocol is closed");
    assert!(udp(&net.client, &net.vm, VM, 53));
    assert!(icmp(&net.client, VM), "no port, no lock");
}

#[test]
fn one_source_comes_in_and_the_other_does_not() {
    let (net, dir) = (Net::new(), tempfile::tempdir().unwrap());
    let _ssh = (listen(&net.vm, VM, 22), listen(&net.vm, VM6, 22));
    let guard = Guarded::start(&net, &dir);
    let locks = [(lock(VM, 22), Sessions::GoOn), (lock(VM6, 22), Sessions::EndWithAccess)];
    guard.set(&locks, &[]);
    assert_eq!(probe(&net.client, VM6, 22), Answer::Silent);
    let open = [(opening(CLIENT, VM, 22), LONG), (opening(CLIENT6, VM6, 22), LONG)];
    let observed = guard.set(&locks, &open);
    assert_eq!(observed.openings.len(), 2, "{observed:?}");
    assert_eq!(probe_from(&net.client, CLIENT, VM, 22), Answer::Open);
    assert_eq!(probe_from(&net.client, CLIENT_2, VM, 22), Answer::Silent);
    assert_eq!(probe(&net.client, VM6, 22), Answer::Open);
    guard.set(&locks, &[]);
    assert_eq!(probe(&net.client, VM, 22), Answer::Silent);
    assert_eq!(probe(&net.client, VM6, 22), Answer::Silent);
}

#[test]
fn prefixes_within_prefixes_come_and_go_in_every_order() {
    let (net, dir) = (Net::new(), tempfile::tempdir().unwrap());
    let _ssh = listen(&net.vm, VM, 22);
    let guard = Guarded::start(&net, &dir);
    let locks = [(lock(VM, 22), Sessions::GoOn)];
    let nets = ["0.0.0.0/0", "10.1.0.0/24", "10.1.0.0/30", CLIENT];
    let (mut order, mut orders) = ([0, 1, 2, 3], Vec::new());
    permute(&mut order, 0, &mut orders);
    for (round, order) in orders.iter().enumerate() {
        for step in 0..=order.len() {
            let open: Vec<_> =
                order[..step].iter().map(|at| (opening(nets[*at], VM, 22), LONG)).collect();
            let observed = guard.set(&locks, &open);
            assert!(observed.failed.is_empty(), "{observed:?}");
            assert_eq!(observed.openings.len(), step);
        }
        // Taken away in the same order: what remains still opens.
        for step in 1..order.len() {
            let open: Vec<_> =
                order[step..].iter().map(|at| (opening(nets[*at], VM, 22), LONG)).collect();
            assert_eq!(guard.set(&locks, &open).openings.len(), order.len() - step);
            if round % 6 == 0 {
                assert_eq!(probe(&net.client, VM, 22), Answer::Open, "{order:?} at {step}");
            }
        }
    }
    guard.set(&locks, &[(opening("10.1.0.3", VM, 22), LONG)]);
    assert_eq!(probe_from(&net.client, CLIENT, VM, 22), Answer::Silent);
    assert_eq!(probe_from(&net.client, CLIENT_2, VM, 22), Answer::Open);
}

fn permute(order: &mut [usize; 4], at: usize, orders: &mut Vec<[usize; 4]>) {
    if at == order.len() {
        orders.push(*order);
    }
    for other in at..order.len() {
        order.swap(at, other);
        permute(order, at + 1, orders);
        order.swap(at, other);
    }
}

#[test]
fn a_locked_port_of_the_gateway_itself_and_its_own_way_out() {
    let (net, dir) = (Net::new(), tempfile::tempdir().unwrap());
    let _ssh = (listen(&net.gateway, "10.1.0.1", 22), listen(&net.vm, VM, 22));
    let guard = Guarded::start(&net, &dir);
    let locks = [(lock("10.1.0.1", 22), Sessions::EndWithAccess), (lock(VM, 22), Sessions::GoOn)];
    guard.set(&locks, &[]);
    assert_eq!(probe(&net.client, "10.1.0.1", 22), Answer::Silent);
    assert_ne!(probe(&net.gateway, VM, 22), Answer::Open, "a process on the gateway");
    let open = [(opening(CLIENT, "10.1.0.1", 22), LONG), (opening("10.2.0.1", VM, 22), LONG)];
    guard.set(&locks, &open);
    assert_eq!(probe(&net.client, "10.1.0.1", 22), Answer::Open);
    assert_eq!(probe(&net.gateway, VM, 22), Answer::Open);
}
