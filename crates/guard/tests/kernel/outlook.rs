//! What a guard sees of the way to an address, and which rules of others it suspects, held against packets.

use std::{collections::BTreeMap, net::IpAddr, time::Duration};

use hourgate_core::{
    network::{Port, Sessions},
    outlook::{Outlook, Vantage},
};
use hourgate_guard::Served;

use crate::support::*;

fn look(guard: &Guarded, addresses: &[&str]) -> BTreeMap<IpAddr, Outlook> {
    let ports = [Port::new(22).unwrap()];
    let at = addresses.iter().map(|a| (a.parse().unwrap(), ports.into_iter().collect())).collect();
    guard.handle.block_on(guard.guard.look(at)).unwrap()
}

#[test]
fn it_says_from_where_it_sees_an_address() {
    let (net, dir) = (Net::new(), tempfile::tempdir().unwrap());
    for command in [
        "link add br9 type bridge",
        "link set br9 up",
        "addr add 10.9.0.1/24 dev br9",
        "addr add fd09::1/64 dev br9 nodad",
    ] {
        let words: Vec<&str> = ["ip"].into_iter().chain(command.split(' ')).collect();
        net.on_gateway(&words);
    }
    let guard = Guarded::start(&net, &dir);
    let seen = look(&guard, &[VM, VM6, "10.2.0.1", "10.9.0.7", "fd09::7", "203.0.113.9"]);
    let vantage = |address: &str| seen[&address.parse::<IpAddr>().unwrap()].vantage.clone();
    let routed = Vantage::Routed { link: "tov".to_owned() };
    assert_eq!(vantage(VM), routed);
    assert_eq!(vantage(VM6), routed);
    assert!(routed.misses_neighbours());
    assert_eq!(vantage("10.2.0.1"), Vantage::Host);
    assert_eq!(vantage("203.0.113.9"), Vantage::Unreachable);
    for address in ["10.9.0.7", "fd09::7"] {
        let Vantage::Bridge { link, .. } = vantage(address) else {
            panic!("{address} is on a bridge: {seen:?}");
        };
        assert_eq!(link, "br9");
    }
}

/// What a row expects.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Told {
    /// Nothing is suspected, and the connection arrives.
    Nothing,
    /// This chain and rule are suspected, and the connection does not arrive.
    By(&'static str, Option<&'static str>),
    /// Nothing is suspected, because it depends on what is not known; the connection does not arrive.
    CannotTell,
}

#[test]
fn what_it_suspects_is_what_packets_meet() {
    // Answers go back in every row: what is asked is whether a connection may begin.
    let policy_drops = "chain way { type filter hook forward priority 0; policy drop; ct state established accept\n%R\n }";
    let policy_accepts = "chain way { type filter hook forward priority 0; policy accept; %R\n }";
    let (drop, accept) = (policy_drops, policy_accepts);
    let none = Told::By("way", None);
    let rows: &[(&str, &str, &str, Told)] = &[
        ("nobody drops", accept, "", Told::Nothing),
        ("a chain drops what no rule accepts", drop, "", none),
        ("the port is accepted", drop, "tcp dport 22 accept", Told::Nothing),
        ("in a set of ports", drop, "tcp dport { 22, 80 } accept", Told::Nothing),
        ("in a range of ports", drop, "tcp dport 20-30 accept", Told::Nothing),
        ("another port is accepted", drop, "tcp dport { 80, 443 } accept", none),
        ("another machine is accepted", drop, "ip daddr 10.2.0.5 accept", none),
        ("its prefix is accepted", drop, "ip daddr 10.2.0.0/24 accept", Told::Nothing),
        ("what goes on is accepted", drop, "ct state established,related accept", none),
        ("what is new is accepted", drop, "ct state new accept", Told::Nothing),
        ("the loopback device is accepted", drop, "iifname \"lo\" accept", none),
        ("another protocol is accepted", drop, "meta l4proto udp accept", none),
        ("some sources are accepted", drop, "ip saddr 10.99.0.0/16 accept", Told::CannotTell),
        (
            "a rule drops the port",
            accept,
            "ip daddr 10.2.0.4 tcp dport 22 drop",
            Told::By("way", Some("ip daddr 10.2.0.4 tcp dport 22 drop")),
        ),
        (
            "a rule refuses",
            accept,
            "tcp dport 22 reject with tcp reset",
            Told::By("way", Some("tcp dport 22 reject with tcp reset")),
        ),
        ("a rule drops another port", accept, "tcp dport 23 drop", Told::Nothing),
        ("another chain drops", accept, "jump deep", Told::By("deep", Some("tcp dport 22 drop"))),
        ("another chain accepts", drop, "tcp dport 22 jump fine", Told::Nothing),
        ("another chain sends back", drop, "jump back", none),
        ("a chain that is gone to ends", accept, "goto back; drop", Told::Nothing),
    ];
    let (net, dir) = (Net::new(), tempfile::tempdir().unwrap());
    let guard = Guarded::start(&net, &dir);
    let open = [(opening("10.1.0.0/24", VM, 22), Duration::from_secs(600))];
    guard.set(&[(lock(VM, 22), Sessions::GoOn)], &open);
    for (why, chain, rules, told) in rows {
        let chain = chain.replace("%R", &rules.replace("; ", "\n"));
        let ruleset = format!(
            "table inet others {{
                 chain deep {{ tcp dport 22 drop; }}
                 chain fine {{ accept; }}
                 chain back {{ return; }}
                 {chain}
             }}"
        );
        let file = dir.path().join("others.nft");
        std::fs::write(&file, ruleset).unwrap();
        net.on_gateway(&["nft", "-f", file.to_str().unwrap()]);
        let arrives = probe(&net.client, VM, 22) == Answer::Refused;
        let seen = look(&guard, &[VM]);
        let suspects: Vec<_> =
            seen[&VM.parse::<IpAddr>().unwrap()].suspects.values().flatten().collect();
        match told {
            Told::Nothing => assert!(suspects.is_empty(), "{why}: {suspects:?}"),
            Told::CannotTell => assert!(suspects.is_empty() && !arrives, "{why}: {suspects:?}"),
            Told::By(chain, rule) => {
                let [suspect] = suspects.as_slice() else { panic!("{why}: {suspects:?}") };
                assert_eq!(suspect.table, "inet others", "{why}");
                assert_eq!((suspect.chain.as_str(), suspect.rule.as_deref()), (*chain, *rule));
            }
        }
        // A reset by the other table looks to the client like one by the machine.
        let reset = rules.contains("tcp reset");
        assert_eq!(arrives, *told == Told::Nothing || reset, "{why}: what packets say");
        net.on_gateway(&["nft", "delete table inet others"]);
    }
}

#[test]
fn rules_where_a_machines_packets_do_not_come_by_are_not_suspected() {
    let (net, dir) = (Net::new(), tempfile::tempdir().unwrap());
    let guard = Guarded::start(&net, &dir);
    for command in [
        "add table inet here",
        "add chain inet here input { type filter hook input priority 0; policy drop; }",
        "add table ip6 six",
        "add chain ip6 six way { type filter hook forward priority 0; policy drop; }",
    ] {
        net.on_gateway(&["nft", command]);
    }
    let seen = look(&guard, &[VM, VM6, "10.2.0.1"]);
    let tables = |address: &str| -> Vec<String> {
        let of = &seen[&address.parse::<IpAddr>().unwrap()];
        of.suspects.values().flatten().map(|suspect| suspect.table.clone()).collect()
    };
    assert!(tables(VM).is_empty(), "it is forwarded, and of IPv4: {seen:?}");
    assert_eq!(tables(VM6), ["ip6 six"]);
    assert_eq!(tables("10.2.0.1"), ["inet here"]);
}
