//! A gateway's public addresses lead to machines behind it, for whom and as long as they shall; the gate behind
//! them decides as ever.

use std::{collections::BTreeMap, process::Command, time::Duration};

use hourgate_core::{
    gateway::{Carrier, Onward, Place, Translation, Translations},
    network::{Lock, Opening, Port, Sessions},
    nsg::port::PortRange,
    plan::{Desired, OpeningFailure},
    time::{Clock, Deadline},
};
use hourgate_guard::{Features, Settings, clock::MachineClock};
use socket2::Domain;

use crate::{
    life::{started, tell},
    support::*,
};

const LONG: Duration = Duration::from_secs(600);
const PUBLIC: &str = "198.51.100.1";
const PUBLIC6: &str = "fd0f::1";
const TCP: i32 = 6;
const SYN: u8 = 2;
const ACK: u8 = 16;

/// A network whose gateway has public addresses.
fn net() -> Net {
    let net = Net::new();
    for address in [PUBLIC, PUBLIC6] {
        let add = ["-n", &net.gateway, "addr", "add", address, "dev", "lo", "nodad"];
        assert!(Command::new("ip").args(add).status().unwrap().success());
    }
    net
}

fn place(address: &str, port: u16) -> Place {
    Place { address: address.parse().unwrap(), port: Port::new(port).unwrap() }
}

fn from(source: &str, at: Place) -> Translation {
    Translation::new(source.parse().unwrap(), at, Carrier::Tcp).unwrap()
}

fn always(to: Place) -> Onward {
    Onward { to, until: None }
}

fn silent() -> BTreeMap<std::net::IpAddr, PortRange> {
    let ports = PortRange::new(50_000, 50_999).unwrap();
    [PUBLIC, PUBLIC6].map(|address| (address.parse().unwrap(), ports)).into()
}

fn with(
    locks: &[(Lock, Sessions)],
    openings: &[(Opening, Deadline)],
    each: &[(Translation, Onward)],
) -> Desired {
    let each = each.iter().copied().collect();
    Desired {
        translations: Translations { each, silent: silent() },
        ..desired(locks, openings.iter().copied().collect())
    }
}

#[test]
fn a_port_of_a_public_address_leads_to_the_machine_and_the_source_stays() {
    let (net, dir) = (net(), tempfile::tempdir().unwrap());
    let guard = Guarded::start(&net, &dir);
    let each = [
        (from("0.0.0.0/0", place(PUBLIC, 2222)), always(place(VM, 22))),
        (from("::/0", place(PUBLIC6, 2222)), always(place(VM6, 22))),
    ];
    let said = with(&[], &[], &each);
    let observed = guard.converge(said.clone()).unwrap();
    assert_eq!(observed.translations, said.translations);
    for (public, vm, client) in [(PUBLIC, VM, CLIENT), (PUBLIC6, VM6, CLIENT6)] {
        let accepted = listen(&net.vm, vm, 22);
        let session = Session::open(&net.client, &accepted, public, 2222);
        let seen = session.vm.peer_addr().unwrap();
        assert_eq!(seen.ip(), client.parse::<std::net::IpAddr>().unwrap(), "no source is changed");
        assert_eq!(probe(&net.client, public, 2223), Answer::Refused, "no other port");
        assert_eq!(probe(&net.gateway, public, 2222), Answer::Open, "from the gateway itself");
    }
    // Locked, nobody comes through the door in front either.
    let locks = [(lock(VM, 22), Sessions::GoOn)];
    guard.converge(with(&locks, &[], &each)).unwrap();
    assert_eq!(probe(&net.client, PUBLIC, 2222), Answer::Silent);
    assert_eq!(probe(&net.gateway, PUBLIC, 2222), Answer::Silent);
    let open = [(opening(CLIENT, VM, 22), guard.after(LONG))];
    guard.converge(with(&locks, &open, &each)).unwrap();
    assert_eq!(probe_from(&net.client, CLIENT, PUBLIC, 2222), Answer::Open);
    assert_eq!(probe_from(&net.client, CLIENT_2, PUBLIC, 2222), Answer::Silent);
    guard.converge(with(&locks, &[], &[])).unwrap();
    assert_eq!(probe(&net.client, PUBLIC, 2222), Answer::Refused, "as before");
}

#[test]
fn the_narrower_source_counts_and_a_translation_that_changes_leads_elsewhere_at_once() {
    let (net, dir) = (net(), tempfile::tempdir().unwrap());
    let guard = Guarded::start(&net, &dir);
    let (one, two) = (listen(&net.vm, VM, 22), listen(&net.vm, VM_2, 22));
    let at = place(PUBLIC, 2222);
    let leads = |source: &str| {
        assert_eq!(probe_from(&net.client, source, PUBLIC, 2222), Answer::Open, "{source}");
        assert!(eventually(Duration::from_secs(1), || {
            one.lock().unwrap().len() + two.lock().unwrap().len() > 0
        }));
        let first = std::mem::take(&mut *one.lock().unwrap()).len();
        std::mem::take(&mut *two.lock().unwrap());
        if first > 0 { VM } else { VM_2 }
    };
    // The wide one is made first, so that its rule is there when the narrow one's comes.
    let wide = (from("0.0.0.0/0", at), always(place(VM, 22)));
    guard.converge(with(&[], &[], &[wide])).unwrap();
    assert_eq!([leads(CLIENT), leads(CLIENT_2)], [VM, VM]);
    let narrow = (from("10.1.0.3/32", at), always(place(VM_2, 22)));
    guard.converge(with(&[], &[], &[wide, narrow])).unwrap();
    assert_eq!([leads(CLIENT), leads(CLIENT_2)], [VM, VM_2]);
    let between = (from("10.1.0.2/31", at), always(place(VM_2, 22)));
    guard.converge(with(&[], &[], &[wide, narrow, between])).unwrap();
    assert_eq!([leads(CLIENT), leads(CLIENT_2)], [VM_2, VM_2]);
    guard.converge(with(&[], &[], &[(wide.0, always(place(VM_2, 22)))])).unwrap();
    assert_eq!([leads(CLIENT), leads(CLIENT_2)], [VM_2, VM_2]);
    let ends = Onward { until: Some(guard.after(LONG)), ..wide.1 };
    let observed = guard.converge(with(&[], &[], &[(wide.0, ends)])).unwrap();
    assert_eq!(observed.translations.each, [(wide.0, ends)].into());
    assert_eq!([leads(CLIENT), leads(CLIENT_2)], [VM, VM]);
    let table = net.on_gateway(&["nft", "list", "table", "inet", "hourgate"]);
    let rules: Vec<_> = table.lines().filter(|line| line.contains("dnat ip to")).collect();
    assert_eq!(rules.len(), 4, "one rule for each length and kind: {rules:#?}");
    assert!(rules[0].contains("@fixed4_32"), "{rules:#?}");
}

#[test]
fn ports_that_lead_nowhere_do_not_answer() {
    let (net, dir) = (net(), tempfile::tempdir().unwrap());
    let guard = Guarded::start(&net, &dir);
    let heard = |port, flags| {
        server_sees(&net.client, Domain::IPV4, TCP, 5555, || {
            raw_tcp(&net.client, CLIENT, PUBLIC, (5555, port), flags, &[]);
        })
    };
    assert!(heard(50_022, SYN) > 0, "without a guard's word the machine answers");
    guard.converge(with(&[], &[], &[])).unwrap();
    for port in [50_000, 50_022, 50_999] {
        assert_eq!(probe(&net.client, PUBLIC, port), Answer::Silent, "{port}");
        assert_eq!(probe(&net.client, PUBLIC6, port), Answer::Silent, "{port}");
        for flags in [SYN, ACK, 0, SYN | ACK, 1, 0x29] {
            assert_eq!(heard(port, flags), 0, "{port} with flags {flags:#x}");
        }
    }
    for port in [49_999, 51_000] {
        assert_eq!(probe(&net.client, PUBLIC, port), Answer::Refused, "{port}");
    }
    // What the gateway itself asks from such a port is answered.
    let server = listen(&net.client, CLIENT, 80);
    within(&net.gateway, || {
        let own = format!("{PUBLIC}:50022").parse().unwrap();
        connect(Some(own), format!("{CLIENT}:80").parse().unwrap(), Duration::from_secs(2))
            .unwrap();
    });
    drop(server);
    // Mapped and not open behind: no answer either, and open only to whom it is.
    let locks = [(lock(VM, 22), Sessions::GoOn)];
    let _ssh = listen(&net.vm, VM, 22);
    let end = guard.after(LONG);
    let mapped = from("10.1.0.2/32", place(PUBLIC, 50_022));
    let to = Onward { to: place(VM, 22), until: Some(end) };
    guard.converge(with(&locks, &[], &[(mapped, to)])).unwrap();
    for flags in [SYN, ACK] {
        assert_eq!(heard(50_022, flags), 0);
    }
    guard.converge(with(&locks, &[(opening(CLIENT, VM, 22), end)], &[(mapped, to)])).unwrap();
    assert_eq!(probe_from(&net.client, CLIENT, PUBLIC, 50_022), Answer::Open);
    assert_eq!(probe_from(&net.client, CLIENT_2, PUBLIC, 50_022), Answer::Silent);
    assert_eq!(probe(&net.client, PUBLIC, 50_023), Answer::Silent);
    // The floor keeps them silent before any guard runs.
    guard.stop();
    net.on_gateway(&["nft", "delete", "table", "inet", "hourgate"]);
    let floor = dir.path().join("floor.nft");
    net.on_gateway(&["nft", "-f", floor.to_str().unwrap()]);
    assert_eq!(probe_from(&net.client, CLIENT, PUBLIC, 50_022), Answer::Silent);
    assert_eq!(probe(&net.client, PUBLIC, 49_999), Answer::Refused);
    let guard = Guarded::start(&net, &dir);
    assert_eq!(guard.observe().translations, with(&[], &[], &[]).translations);
    assert_eq!(probe(&net.client, PUBLIC, 50_022), Answer::Silent);
}

#[test]
fn a_translation_ends_by_itself_with_every_process_dead_and_what_began_goes_on() {
    let (net, dir) = (net(), tempfile::tempdir().unwrap());
    let accepted = listen(&net.vm, VM, 22);
    let mut child = started(&net, &dir);
    let clock = MachineClock::new().unwrap();
    let end = clock.now().after(Duration::from_millis(2500));
    // The opening lasts: what ends here is the translation.
    let locks = [(lock(VM, 22), Sessions::GoOn)];
    let open = [(opening(CLIENT, VM, 22), clock.now().after(LONG))];
    let mapped = from("10.1.0.2/32", place(PUBLIC, 50_022));
    let to = Onward { to: place(VM, 22), until: Some(end) };
    let observed = tell(&dir, with(&locks, &open, &[(mapped, to)]));
    assert_eq!(observed.translations.each.len(), 1, "{observed:?}");
    let mut session = Session::open(&net.client, &accepted, PUBLIC, 50_022);
    child.kill();
    assert!(!end.is_over(clock.now()), "the test is too slow to tell");
    assert_eq!(probe_from(&net.client, CLIENT, PUBLIC, 50_022), Answer::Open);
    assert!(eventually(Duration::from_secs(5), || end.is_over(clock.now())));
    nap(Duration::from_millis(10));
    assert_eq!(probe_from(&net.client, CLIENT, PUBLIC, 50_022), Answer::Silent, "it ended");
    assert_eq!(probe_from(&net.client, CLIENT, VM, 22), Answer::Open, "what is behind did not");
    assert_eq!(session.talks(), (true, true), "what began goes on");
    let _again = started(&net, &dir);
    assert_eq!(tell(&dir, with(&locks, &open, &[])).translations.each, BTreeMap::new());
    assert_eq!(session.talks(), (true, true));
}

#[test]
fn sessions_that_end_with_their_access_end_through_a_translation_too() {
    let (net, dir) = (net(), tempfile::tempdir().unwrap());
    let accepted = listen(&net.vm, VM, 22);
    let guard = Guarded::start(&net, &dir);
    let locks = [(lock(VM, 22), Sessions::EndWithAccess)];
    let end = guard.after(LONG);
    let mapped = from("10.1.0.2/32", place(PUBLIC, 50_022));
    let to = Onward { to: place(VM, 22), until: Some(end) };
    guard.converge(with(&locks, &[(opening(CLIENT, VM, 22), end)], &[(mapped, to)])).unwrap();
    let mut session = Session::open(&net.client, &accepted, PUBLIC, 50_022);
    assert_eq!(session.talks(), (true, true));
    guard.converge(with(&locks, &[], &[])).unwrap();
    let (mut client, mut vm) = (false, false);
    assert!(eventually(Duration::from_secs(2), || {
        client |= is_reset(&mut session.client);
        vm |= is_reset(&mut session.vm);
        client && vm
    }));
}

#[test]
fn a_new_guard_takes_translations_up_and_what_others_do_to_them_is_undone() {
    let (net, dir) = (net(), tempfile::tempdir().unwrap());
    let _ssh = listen(&net.vm, VM, 22);
    let settings = || {
        let covers = ["10.0.0.0/8", "198.51.100.0/24", "fd0f::/16"];
        let covers = covers.map(|net| net.parse().unwrap()).to_vec();
        let mut settings = Settings::new(dir.path().into(), covers);
        // Without an owner anybody who is root can.
        settings.features = Features { persist: false, ..Features::of_kernel() };
        settings
    };
    let guard = Guarded::with(&net, settings());
    let end = guard.after(Duration::from_secs(100));
    let mapped = from("10.1.0.0/24", place(PUBLIC, 50_022));
    let fixed = from("0.0.0.0/0", place(PUBLIC, 2222));
    let each =
        [(mapped, Onward { to: place(VM, 22), until: Some(end) }), (fixed, always(place(VM, 22)))];
    let said = with(&[], &[], &each);
    guard.converge(said.clone()).unwrap();
    guard.stop();
    let guard = Guarded::with(&net, settings());
    let taken = guard.observe().translations;
    assert_eq!(taken.silent, silent());
    assert_eq!(
        taken.each.keys().collect::<Vec<_>>(),
        said.translations.each.keys().collect::<Vec<_>>()
    );
    let now = guard.clock.now();
    let left = taken.each[&mapped].until.unwrap().remaining(now);
    assert!(left <= end.remaining(now), "a restart lengthened it");
    assert_eq!(probe(&net.client, PUBLIC, 50_022), Answer::Open);
    guard.converge(said.clone()).unwrap();
    let shape = || {
        let text = net.on_gateway(&["nft", "list", "table", "inet", "hourgate"]);
        let all = text.split_whitespace().map(|word| word.trim_matches(',')).map(str::to_owned);
        // What is left of an end differs from look to look.
        all.filter(|word| !word.ends_with('s')).collect::<std::collections::BTreeSet<_>>()
    };
    let before = shape();
    for edit in [
        "delete element inet hourgate mapped4_24 { 10.1.0.0 . 198.51.100.1 . tcp . 50022 }",
        "delete element inet hourgate fixed4_0 { 0.0.0.0 . 198.51.100.1 . tcp . 2222 }",
        "add element inet hourgate fixed4_0 { 0.0.0.0 . 198.51.100.1 . tcp . 2223 : 10.2.0.4 . 22 }",
        "flush set inet hourgate silent4",
        "flush chain inet hourgate translate4",
        "flush chain inet hourgate unanswered",
        "insert rule inet hourgate unanswered accept",
        "delete table inet hourgate",
    ] {
        assert!(net.gateway_can(&["nft", edit]), "{edit}");
        assert!(eventually(Duration::from_secs(5), || shape() == before), "{edit} stands");
        assert_eq!(probe(&net.client, PUBLIC, 50_022), Answer::Open, "{edit}");
        assert_eq!(probe(&net.client, PUBLIC, 2222), Answer::Open, "{edit}");
        assert_eq!(probe(&net.client, PUBLIC, 50_023), Answer::Silent, "{edit}");
        assert_eq!(probe(&net.client, PUBLIC, 2223), Answer::Refused, "{edit}");
    }
    // A guard does what it may and says what it may not.
    let far = Onward { until: Some(guard.after(Duration::from_secs(25 * 3600))), ..each[0].1 };
    let observed = guard.converge(with(&[], &[], &[(mapped, far), each[1]])).unwrap();
    assert_eq!(observed.untranslated, [(mapped, OpeningFailure::TooFarAhead)].into());
    assert_eq!(observed.translations.each.keys().collect::<Vec<_>>(), [&fixed]);
    let elsewhere = (from("0.0.0.0/0", place("192.0.2.1", 22)), always(place(VM, 22)));
    assert!(guard.converge(with(&[], &[], &[elsewhere])).is_err());
    let crossed = (fixed, always(place(VM6, 22)));
    assert!(guard.converge(with(&[], &[], &[crossed])).is_err());
}

#[test]
fn the_whole_is_what_nft_says_it_is() {
    let (net, dir) = (net(), tempfile::tempdir().unwrap());
    let guard = Guarded::start(&net, &dir);
    let each = [
        (from("0.0.0.0/0", place(PUBLIC, 2222)), always(place(VM, 22))),
        (from("10.1.0.0/24", place(PUBLIC, 2222)), always(place(VM_2, 22))),
        (from("::/0", place(PUBLIC6, 2222)), always(place(VM6, 22))),
    ];
    guard.converge(with(&[], &[], &each)).unwrap();
    let list = |kind: &str, name: &str| {
        net.on_gateway(&["nft", "-y", "list", kind, "inet", "hourgate", name])
    };
    let parts = [
        ("map", "fixed4_24"),
        ("map", "fixed4_0"),
        ("map", "fixed6_0"),
        ("set", "silent4"),
        ("chain", "arriving"),
        ("chain", "leaving"),
        ("chain", "unanswered"),
        ("chain", "unseen"),
        ("chain", "translate"),
        ("chain", "translate4"),
        ("chain", "translate6"),
    ];
    let text: String = parts.iter().map(|(kind, name)| list(kind, name)).collect();
    let golden =
        std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/kernel/golden/gateway.nft");
    if std::env::var_os("HOURGATE_GOLDEN").is_some() {
        std::fs::write(&golden, &text).unwrap();
    }
    assert_eq!(text, std::fs::read_to_string(&golden).unwrap(), "HOURGATE_GOLDEN=1 writes it anew");
}
