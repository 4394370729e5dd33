//! What a port scan of somebody else's making sees: Debian's `nmap`.

use std::{collections::BTreeMap, process::Command, time::Duration};

use hourgate_core::network::Sessions;

use crate::support::*;

const LONG: Duration = Duration::from_secs(600);

/// What a scan of these ports says of each, from one of the client's addresses.
fn scan(net: &Net, kind: &str, from: &str, to: &str, ports: &str) -> BTreeMap<u16, String> {
    let output = Command::new("ip")
        .args(["netns", "exec", &net.client, "nmap", kind, "-Pn", "-n", "-oG", "-"])
        .args(["-S", from, "-e", "eth0", "--max-retries", "1", "--host-timeout", "60s"])
        .args(to.contains(':').then_some("-6"))
        .args(["-p", ports, to])
        .output()
        .unwrap();
    let told = String::from_utf8(output.stdout).unwrap();
    let said = || format!("{told}{}", String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{}", said());
    let line = told.lines().find_map(|line| line.split_once("Ports: ")).map(|(_, ports)| ports);
    let line = line.unwrap_or_else(|| panic!("no ports: {}", said()));
    // 22/filtered/tcp//ssh///, 80/open/tcp//http///
    let ports = line.split(['\t', ',']).filter_map(|port| {
        let mut parts = port.trim().split('/');
        Some((parts.next()?.parse().ok()?, parts.next()?.to_owned()))
    });
    ports.collect()
}

fn saw(ports: &[(u16, &str)]) -> BTreeMap<u16, String> {
    ports.iter().map(|(port, state)| (*port, (*state).to_owned())).collect()
}

#[test]
fn a_scan_sees_nothing_of_a_locked_port_but_from_where_it_was_granted() {
    let (net, dir) = (Net::new(), tempfile::tempdir().unwrap());
    let _listening = (listen(&net.vm, VM, 22), listen(&net.vm, VM, 80), listen(&net.vm, VM6, 22));
    let guard = Guarded::start(&net, &dir);
    let syn = |from| scan(&net, "-sS", from, VM, "22,80,81");
    assert_eq!(syn(CLIENT), saw(&[(22, "open"), (80, "open"), (81, "closed")]), "before");

    let locks = [(lock(VM, 22), Sessions::GoOn), (lock(VM6, 22), Sessions::EndWithAccess)];
    guard.set(&locks, &[]);
    let locked = saw(&[(22, "filtered"), (80, "open"), (81, "closed")]);
    assert_eq!(syn(CLIENT), locked);
    assert_eq!(syn(CLIENT_2), locked);
    assert_eq!(scan(&net, "-sS", CLIENT6, VM6, "22"), saw(&[(22, "filtered")]));

    let open = [(opening(CLIENT, VM, 22), LONG), (opening(CLIENT6, VM6, 22), LONG)];
    guard.set(&locks, &open);
    assert_eq!(syn(CLIENT), saw(&[(22, "open"), (80, "open"), (81, "closed")]), "granted");
    assert_eq!(syn(CLIENT_2), locked, "another source during the grant");
    assert_eq!(scan(&net, "-sS", CLIENT6, VM6, "22"), saw(&[(22, "open")]));
    // Scans that go round rules which look at SYNs alone: an answer would be a reset, and so `unfiltered`.
    assert_eq!(scan(&net, "-sA", CLIENT_2, VM, "22"), saw(&[(22, "filtered")]), "a lone ACK");
    for kind in ["-sF", "-sN", "-sX"] {
        let seen = scan(&net, kind, CLIENT_2, VM, "22");
        assert_eq!(seen, saw(&[(22, "open|filtered")]), "{kind}: no answer is no word");
    }

    guard.set(&locks, &[]);
    assert_eq!(syn(CLIENT), locked, "ended");
}
