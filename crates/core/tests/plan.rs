//! The plan: carried out, it makes a guard agree; it does no more than that; and what closes is never
//! among what opens.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
    sync::Arc,
};

use hourgate_core::{
    gateway::{Carrier, Onward, Place, Translation, Translations},
    network::{Family, Lock, Opening, Port, Sessions},
    nsg::{flow::Transport, port::PortRange, word::Access},
    plan::{Coverage, Desired, Observed, Plan, plan},
    screen::{
        Layered, Screen,
        chain::{Chain, Hosts, PortSet},
        standing::Standing,
    },
    time::{BootTime, Deadline, Timestamp},
};
use proptest::prelude::*;
use uuid::Uuid;

fn lock() -> impl Strategy<Value = Lock> {
    (0u8..3, 1u16..3).prop_map(|(host, number)| Lock {
        address: [10, 0, 0, host].into(),
        port: Port::new(number).unwrap_or_else(|| unreachable!("not 0")),
    })
}

fn opening() -> impl Strategy<Value = Opening> {
    let source = prop_oneof![Just("192.0.2.1/32"), Just("192.0.2.0/24"), Just("0.0.0.0/0")];
    (lock(), source).prop_filter_map("one family", |(lock, source)| {
        Opening::new(source.parse().ok()?, lock.address, lock.port)
    })
}

fn deadline() -> impl Strategy<Value = Deadline> {
    let boot = prop_oneof![
        Just(None),
        (1u128..3, 0u64..3)
            .prop_map(|(boot, nanos)| Some(BootTime { boot: Uuid::from_u128(boot), nanos }))
    ];
    (0i64..3, boot).prop_map(|(wall, boot)| Deadline {
        wall: Timestamp::from_second(wall).unwrap_or(Timestamp::MIN),
        boot,
    })
}

fn locks() -> impl Strategy<Value = BTreeMap<Lock, Sessions>> {
    let sessions = prop_oneof![Just(Sessions::GoOn), Just(Sessions::EndWithAccess)];
    proptest::collection::btree_map(lock(), sessions, 0..6)
}

fn openings() -> impl Strategy<Value = BTreeMap<Opening, Deadline>> {
    proptest::collection::btree_map(opening(), deadline(), 0..6)
}

fn screens() -> impl Strategy<Value = BTreeMap<IpAddr, Screen>> {
    let chain = prop_oneof![Just(None), Just(Some(Access::Allow)), Just(Some(Access::Deny))];
    let screen = (chain.clone(), chain).prop_map(|(nic_in, nic_out)| {
        let chain = |access| Some(Arc::new(Chain::only(Family::V4, access?)));
        let of = |access| Layered { nic: chain(access), subnet: None };
        Screen { inbound: of(nic_in), outbound: of(nic_out) }
    });
    let address = (0u8..3).prop_map(|host| IpAddr::from([10, 0, 0, host]));
    proptest::collection::btree_map(address, screen, 0..3)
}

fn standing() -> impl Strategy<Value = BTreeMap<Lock, Vec<Standing>>> {
    let one = prop_oneof![Just(Transport::Tcp), Just(Transport::Udp)].prop_map(|transport| {
        Standing { transport, sources: Hosts::All, source_ports: PortSet::All }
    });
    proptest::collection::btree_map(lock(), proptest::collection::vec(one, 1..3), 0..4)
}

fn translations() -> impl Strategy<Value = Translations> {
    let source = prop_oneof![Just("192.0.2.1/32"), Just("192.0.2.0/24")];
    let place = |lock: Lock| Place { address: lock.address, port: lock.port };
    let translation = (lock(), source).prop_filter_map("one family", move |(lock, source)| {
        Translation::new(source.parse().ok()?, place(lock), Carrier::Tcp)
    });
    let onward = (lock(), proptest::option::of(deadline()))
        .prop_map(move |(lock, until)| Onward { to: place(lock), until });
    let address = (0u8..3).prop_map(|host| IpAddr::from([10, 0, 0, host]));
    let ports = (1u16..3).prop_map(PortRange::one);
    let each = proptest::collection::btree_map(translation, onward, 0..5);
    let silent = proptest::collection::btree_map(address, ports, 0..3);
    (each, silent).prop_map(|(each, silent)| Translations { each, silent })
}

fn desired() -> impl Strategy<Value = Desired> {
    let coverage = prop_oneof![
        Just(Coverage::All),
        proptest::collection::btree_set(0u8..3, 0..3).prop_map(|hosts| {
            Coverage::Only(hosts.into_iter().map(|host| [10, 0, 0, host].into()).collect())
        })
    ];
    let released = proptest::collection::btree_set(lock(), 0..4);
    let flows = (standing(), screens(), translations());
    let said = (coverage, locks(), released, openings(), flows);
    said.prop_map(|(coverage, locks, released, openings, (standing, screens, translations))| {
        let has = |lock: &Lock| coverage.has(lock.address);
        Desired {
            translations: translations.about(|address| coverage.has(address)),
            standing: standing.into_iter().filter(|(lock, _)| has(lock)).collect(),
            screens: screens.into_iter().filter(|(at, _)| coverage.has(*at)).collect(),
            locks: locks.into_iter().filter(|(lock, _)| has(lock)).collect(),
            released: released.into_iter().filter(|lock| has(lock)).collect(),
            openings: openings.into_iter().filter(|(opening, _)| has(&opening.lock())).collect(),
            coverage,
        }
    })
}

fn observed() -> impl Strategy<Value = Observed> {
    let said = (locks(), openings(), standing(), screens(), translations());
    said.prop_map(|(locks, openings, standing, screens, translations)| Observed {
        translations,
        untranslated: BTreeMap::new(),
        standing,
        screens,
        coverage: Coverage::All,
        locks,
        openings,
        failed: BTreeMap::new(),
    })
}

fn carried_out(plan: &Plan, observed: &Observed) -> Observed {
    let mut after = observed.clone();
    after.openings.retain(|opening, _| !plan.close.contains(opening));
    after.openings.extend(plan.shorten.clone());
    after.locks.extend(plan.lock.clone());
    after.standing.extend(plan.stand.clone());
    after.standing.retain(|_, passes| !passes.is_empty());
    for (address, screen) in &plan.screen {
        after.screens.remove(address);
        after.screens.extend(screen.clone().map(|screen| (*address, screen)));
    }
    after.translations.each.retain(|translation, _| !plan.stop.contains(translation));
    after.translations.each.extend(plan.divert.clone());
    for (address, ports) in &plan.silence {
        after.translations.silent.remove(address);
        after.translations.silent.extend(ports.map(|ports| (*address, ports)));
    }
    after.openings.extend(plan.open.clone());
    after.translations.each.extend(plan.translate.clone());
    after.locks.retain(|lock, _| !plan.unlock.contains(lock));
    after
}

/// Whether the first may end later than the second on some clock.
fn may_end_later(first: &Deadline, second: &Deadline) -> bool {
    let on_boot = match (first.boot, second.boot) {
        (Some(first), Some(second)) if first.boot == second.boot => first.nanos > second.nanos,
        (_, None) => false,
        (Some(_) | None, Some(_)) => true,
    };
    first.wall > second.wall || on_boot
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn carried_out_it_makes_a_guard_agree(desired in desired(), observed in observed()) {
        let after = carried_out(&plan(&desired, &observed), &observed);
        let covered = |lock: &Lock| desired.coverage.has(lock.address);
        for (opening, until) in &after.openings {
            if covered(&opening.lock()) {
                prop_assert_eq!(desired.openings.get(opening), Some(until));
            } else {
                prop_assert_eq!(observed.openings.get(opening), Some(until), "not spoken of");
            }
        }
        for opening in desired.openings.keys() {
            prop_assert!(after.openings.contains_key(opening));
        }
        for (opening, until) in observed.openings.iter().filter(|(o, _)| !covered(&o.lock())) {
            prop_assert_eq!(after.openings.get(opening), Some(until), "nor is it closed");
        }
        for lock in desired.locks.keys().chain(observed.locks.keys()) {
            let released = desired.released.contains(lock);
            let right = match desired.locks.get(lock) {
                Some(sessions) => Some(sessions),
                None if released => None,
                None => observed.locks.get(lock),
            };
            prop_assert_eq!(after.locks.get(lock), right, "what is not released stays");
        }
        for host in 0..3 {
            let at = IpAddr::from([10, 0, 0, host]);
            let spoken = desired.coverage.has(at);
            let right = if spoken { &desired.screens } else { &observed.screens };
            prop_assert_eq!(after.screens.get(&at), right.get(&at), "the screen of {}", at);
            let only = |all: &Translations| all.about(|address| address == at);
            let right = if spoken { &desired.translations } else { &observed.translations };
            prop_assert_eq!(only(&after.translations), only(right), "what {} leads to", at);
        }
        for lock in after.standing.keys().chain(observed.standing.keys()) {
            let right = if covered(lock) { &desired.standing } else { &observed.standing };
            prop_assert_eq!(after.standing.get(lock), right.get(lock), "what passes {:?}", lock);
        }
        prop_assert!(plan(&desired, &after).is_empty(), "what agrees needs nothing");
    }

    #[test]
    fn it_does_no_more_than_that(desired in desired(), observed in observed()) {
        let plan = plan(&desired, &observed);
        for (opening, until) in plan.shorten.iter().chain(&plan.open) {
            prop_assert_ne!(observed.openings.get(opening), Some(until), "it stands so already");
        }
        for (lock, sessions) in &plan.lock {
            prop_assert_ne!(observed.locks.get(lock), Some(sessions), "it stands so already");
        }
        for (lock, passes) in &plan.stand {
            let stands = observed.standing.get(lock).cloned().unwrap_or_default();
            prop_assert_ne!(&stands, passes, "it stands so already");
        }
        for (address, screen) in &plan.screen {
            prop_assert_ne!(observed.screens.get(address), screen.as_ref(), "it stands so already");
        }
        for (translation, onward) in plan.divert.iter().chain(&plan.translate) {
            let stands = observed.translations.each.get(translation);
            prop_assert_ne!(stands, Some(onward), "it stands so already");
        }
        prop_assert!(plan.stop.iter().all(|t| observed.translations.each.contains_key(t)));
        prop_assert!(plan.close.iter().all(|opening| observed.openings.contains_key(opening)));
        prop_assert!(plan.unlock.iter().all(|lock| observed.locks.contains_key(lock)));
        prop_assert!(plan.unlock.iter().all(|lock| !desired.locks.contains_key(lock)));
    }

    #[test]
    fn what_closes_is_never_among_what_opens(desired in desired(), observed in observed()) {
        let plan = plan(&desired, &observed);
        let opens: BTreeSet<&Opening> = plan.open.keys().collect();
        prop_assert!(plan.close.iter().chain(plan.shorten.keys()).all(|o| !opens.contains(o)));
        for (opening, until) in &plan.open {
            if let Some(current) = observed.openings.get(opening) {
                prop_assert!(!may_end_later(current, until), "a later end alone waits for the opens");
            }
        }
        let stops = plan.stop.iter().chain(plan.divert.keys());
        prop_assert!(stops.clone().all(|t| !plan.translate.contains_key(t)));
        for (translation, onward) in &plan.translate {
            let Some(is) = observed.translations.each.get(translation) else { continue };
            prop_assert_eq!(is.to, onward.to, "what leads elsewhere does so first");
            let gets_an_end = is.until.is_none() && onward.until.is_some();
            prop_assert!(!gets_an_end, "what shall end ends first");
            if let (Some(is), Some(until)) = (&is.until, &onward.until) {
                prop_assert!(!may_end_later(is, until), "a later end alone waits for the opens");
            }
        }
    }
}
