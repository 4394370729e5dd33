//! What the doctor finds on a machine that was made ill on purpose, and the shape of the gate as nft sees it.

use hourgate_core::network::Sessions;
use hourgate_guard::doctor::{Finding, Severity, doctor};
use std::time::Duration;

use crate::support::*;

fn findings(net: &Net) -> Vec<Finding> {
    within(&net.gateway, doctor)
}

fn has(found: &[Finding], severity: Severity, text: &str) -> bool {
    found.iter().any(|finding| finding.severity == severity && finding.what.contains(text))
}

#[test]
fn the_doctor_finds_what_voids_a_gate() {
    let (net, dir) = (Net::new(), tempfile::tempdir().unwrap());
    assert!(has(&findings(&net), Severity::Note, "no table"));
    let guard = Guarded::start(&net, &dir);
    guard.set(&[(lock(VM, 22), Sessions::GoOn)], &[]);
    let before = findings(&net);
    assert!(!before.iter().any(|finding| finding.severity == Severity::Critical), "{before:?}");
    assert!(net.gateway_can(&["nft", "add table inet ill"]));
    // Not every kernel is built with all of these; what it takes must be found.
    let takes = |commands: &[&str]| commands.iter().all(|c| net.gateway_can(&["nft", c]));
    let fast =
        takes(&["add flowtable inet ill fast { hook ingress priority 0; devices = { toc }; }"]);
    let helps = takes(&["add ct helper inet ill ftp { type \"ftp\" protocol tcp; }"]);
    let translates = takes(&[
        "add chain inet ill dnat { type nat hook prerouting priority -100; }",
        "add rule inet ill dnat tcp dport 2222 dnat ip to 10.2.0.4:22",
    ]);
    within(&net.gateway, || {
        std::fs::write("/proc/sys/net/ipv4/conf/all/rp_filter", "0").unwrap();
        std::fs::write("/proc/sys/net/ipv4/conf/toc/rp_filter", "0").unwrap();
    });
    let after = findings(&net);
    println!("flowtables {fast}, helpers {helps}, translation {translates}: {after:#?}");
    assert_eq!(has(&after, Severity::Critical, "flowtable"), fast);
    assert_eq!(has(&after, Severity::Warning, "helper"), helps);
    assert_eq!(has(&after, Severity::Note, "translates to 10.2.0.4"), translates);
    assert!(has(&after, Severity::Warning, "toc takes packets from any source"));
    assert!(after.is_sorted_by_key(|f| std::cmp::Reverse(f.severity)), "the worst comes first");
}

/// The rules of a chain, as nft shows them.
fn chain(net: &Net, name: &str) -> Vec<String> {
    let text = net.on_gateway(&["nft", "-n", "list", "chain", "inet", "hourgate", name]);
    let lines = text.lines().map(|line| line.trim().to_owned());
    lines.filter(|line| !line.is_empty() && !line.ends_with('{') && line != "}").collect()
}

#[test]
fn the_gate_has_the_shape_that_was_designed() {
    let (net, dir) = (Net::new(), tempfile::tempdir().unwrap());
    let guard = Guarded::start(&net, &dir);
    let open = [(opening("10.1.0.0/24", VM, 22), Duration::from_secs(600))];
    guard.set(&[(lock(VM, 22), Sessions::GoOn)], &open);
    for (name, rules) in [
        ("forward", vec!["type filter hook forward priority -10; policy accept;", "jump judge"]),
        ("judge", vec!["meta nfproto 2 goto judge4", "meta nfproto 10 goto judge6"]),
        (
            "judge4",
            vec![
                "meta l4proto != @transports goto rest4",
                "@nh,128,32 . th dport @ending4 goto ending4",
                "@nh,128,32 . th dport @going4 goto going4",
                "@nh,96,32 . tcp sport @ending4 goto replies4",
                "goto rest4",
            ],
        ),
        (
            "going4",
            vec![
                "tcp flags ! 0x2 ct state 0x2 ct direction 0 accept",
                "meta l4proto != 6 ct state 0x2 ct direction 0 accept",
                "meta l4proto 6 jump opened4",
                "@nh,128,32 . th dport vmap @standing4",
                "drop",
            ],
        ),
        (
            "ending4",
            vec![
                "meta l4proto 6 jump opened4",
                "@nh,128,32 . th dport vmap @standing4",
                "meta l4proto 6 ct state 0x2 reject with tcp reset",
                "drop",
            ],
        ),
        (
            "replies4",
            vec![
                "meta l4proto 6 jump answered4",
                "@nh,96,32 . th sport vmap @answers4",
                "meta l4proto 6 reject with tcp reset",
            ],
        ),
        (
            "opened4",
            vec![
                "@nh,96,32 . @nh,128,32 . th dport @open4_32 goto granted4",
                "@nh,96,32 & 0xffffff00 . @nh,128,32 . th dport @open4_24 goto granted4",
            ],
        ),
        (
            "rest4",
            vec![
                "tcp flags ! 0x2 ct state 0x2 accept",
                "meta l4proto != 6 ct state 0x2 accept",
                "tcp flags 0x2,0x10 / 0x2,0x10 ct state 0x2 ct direction 1 accept",
                "meta l4proto 1 ct state 0x4 accept",
                "goto screens4",
            ],
        ),
        (
            "screens4",
            vec![
                "iifname \"lo\" accept",
                "oifname \"lo\" accept",
                "icmp type 3 icmp code 4 accept",
                "oif 0 udp sport 67 udp dport 68 accept",
                "iif 0 udp sport 68 udp dport 67 accept",
                "@nh,96,32 vmap @out4_nic",
                "@nh,96,32 vmap @out4_subnet",
                "@nh,128,32 vmap @in4_subnet",
                "@nh,128,32 vmap @in4_nic",
                "accept",
            ],
        ),
    ] {
        assert_eq!(chain(&net, name), rules, "{name}");
    }
    let json = net.on_gateway(&["nft", "-j", "list", "ruleset"]);
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    let listed = json["nftables"].as_array().unwrap();
    let count = |kind: &str| listed.iter().filter(|item| item.get(kind).is_some()).count();
    assert_eq!((count("table"), count("chain"), count("set")), (1, 22, 9));
    assert_eq!(count("rule"), 7 + 2 * (13 + 5) + (25 + 26) + 2 * 3);
    let set = listed.iter().filter_map(|item| item.get("set"));
    let set = set.into_iter().find(|set| set["name"] == "open4_24").unwrap();
    assert_eq!(
        (&set["timeout"], &set["gc-interval"], &set["size"]),
        (&60.into(), &10.into(), &131_072.into())
    );
}
