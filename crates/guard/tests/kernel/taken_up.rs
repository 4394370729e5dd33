//! What a new guard takes up of what others left: nothing that opens, and everything that closes.

use std::{collections::BTreeMap, net::IpAddr, time::Duration};

use hourgate_core::{
    gateway::Translations, network::Sessions, nsg::port::PortRange, plan::Desired, time::Clock,
};
use hourgate_guard::{Features, Settings};

use crate::support::*;

/// The longest that any access may last.
const DAY: Duration = Duration::from_secs(24 * 3600);
const PUBLIC: &str = "198.51.100.1";

/// A guard whose table outlives it and has no owner, so that anybody who is root can lay hands on it.
fn guard(net: &Net, dir: &tempfile::TempDir) -> Guarded {
    let covers = ["10.0.0.0/8", "198.51.100.0/24"].map(|net| net.parse().unwrap()).to_vec();
    let mut settings = Settings::new(dir.path().into(), covers);
    settings.features = Features { persist: false, ..Features::of_kernel() };
    Guarded::with(net, settings)
}

#[test]
fn an_opening_without_its_lock_does_not_wake_up_with_a_later_one() {
    let (net, dir) = (Net::new(), tempfile::tempdir().unwrap());
    let _ssh = listen(&net.vm, VM, 22);
    let first = guard(&net, &dir);
    let locks = [(lock(VM, 22), Sessions::GoOn)];
    first.set(&locks, &[(opening(CLIENT, VM, 22), Duration::from_secs(600))]);
    first.stop();
    // As an unlock leaves it that was cut off in the middle.
    let edit = format!("delete element inet hourgate going4 {{ {VM} . 22 }}");
    assert!(net.gateway_can(&["nft", &edit]));
    std::fs::remove_file(dir.path().join("floor.nft")).unwrap();
    let next = guard(&net, &dir);
    assert!(next.observe().openings.is_empty() && next.observe().locks.is_empty());
    next.converge(Desired {
        coverage: hourgate_core::plan::Coverage::Only([VM_2.parse().unwrap()].into()),
        ..desired(&[], BTreeMap::new())
    })
    .unwrap();
    let text = net.on_gateway(&["nft", "list", "table", "inet", "hourgate"]);
    assert!(!text.contains(&format!("{CLIENT} . {VM} . 22")), "{text}");
}

#[test]
fn an_opening_that_somebody_made_for_longer_than_any_access_ends_with_the_day() {
    let (net, dir) = (Net::new(), tempfile::tempdir().unwrap());
    let first = guard(&net, &dir);
    let locks = [(lock(VM, 22), Sessions::GoOn)];
    first.set(&locks, &[(opening(CLIENT, VM, 22), Duration::from_secs(600))]);
    first.stop();
    let edit =
        format!("add element inet hourgate open4_32 {{ {CLIENT_2} . {VM} . 22 timeout 72h }}");
    assert!(net.gateway_can(&["nft", &edit]));
    let next = guard(&net, &dir);
    let openings = next.observe().openings;
    let until = openings.get(&opening(CLIENT_2, VM, 22)).expect("it stands");
    assert!(until.remaining(next.clock.now()) <= DAY, "{until:?}");
}

#[test]
fn ports_that_do_not_answer_stay_so_whether_table_or_file_is_lost() {
    let (net, dir) = (Net::new(), tempfile::tempdir().unwrap());
    let public: IpAddr = PUBLIC.parse().unwrap();
    let silent: BTreeMap<IpAddr, PortRange> =
        [(public, PortRange::new(50_000, 50_999).unwrap())].into();
    let first = guard(&net, &dir);
    let translations = Translations { silent: silent.clone(), ..Translations::default() };
    first.converge(Desired { translations, ..desired(&[], BTreeMap::new()) }).unwrap();
    first.stop();
    assert!(net.gateway_can(&["nft", "delete", "table", "inet", "hourgate"]));
    let next = guard(&net, &dir);
    assert_eq!(next.observe().translations.silent, silent, "from the file");
    next.stop();
    std::fs::remove_file(dir.path().join("floor.nft")).unwrap();
    let next = guard(&net, &dir);
    assert_eq!(next.observe().translations.silent, silent, "from the table");
}
