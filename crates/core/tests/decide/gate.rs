//! A guard's word: seen open, seen closed, failed, unlocked; and what is never opened by emptiness.

use std::collections::BTreeMap;

use hourgate_core::{
    command::Command,
    network::Family,
    open::open_now,
    plan::{Coverage, Desired, Observed, OpeningFailure, plan},
    policy::GuardCover,
    state::State,
};

use crate::scene::*;

const ALL: &[&str] = &["10.0.0.4", "fd00::4"];

fn dual() -> Scene {
    // Named prefixes of both families; a source of both is `*` alone, which needs them to cover it.
    let mut scene = web(rule(22));
    let id = scene.gets(ask("web", 22));
    let request = scene.state.requests.get_mut(&id).expect("known");
    let access = &mut std::sync::Arc::make_mut(request).accesses[0];
    access.source = source("*");
    scene
}

#[test]
fn open_is_what_a_guard_reported() {
    let mut scene = dual();
    let id = *scene.state.requests.keys().next().expect("one");
    assert_eq!(scene.open().len(), 2);
    scene.does(&scene.word(&["10.0.0.4"]));
    assert_eq!(scene.stage(id), "granted", "half a word is none");
    scene.does(&scene.word(&[]));
    assert_eq!(scene.stage(id), "granted");
    scene.does(&scene.word(ALL));
    assert_eq!(scene.stage(id), "seen open");
    assert!(scene.does(&scene.word(ALL)).is_empty(), "the first time is told, once");
}

#[test]
fn closed_is_what_a_guard_reported() {
    let mut scene = dual();
    let id = *scene.state.requests.keys().next().expect("one");
    let still_open = scene.word(ALL);
    scene.does(&still_open);
    scene.does(&end(id));
    assert!(!scene.access(id).is_settled());
    assert!(scene.does(&still_open).is_empty(), "the guard still has it");
    assert!(scene.does(&scene.word(&["fd00::4"])).is_empty(), "half a word is none");
    scene.does(&scene.word(ALL));
    assert!(scene.access(id).is_settled());
}

#[test]
fn closed_is_also_what_somebody_elses_grant_keeps_open() {
    let mut scene = web(rule(22));
    let ann = scene.gets(ask("web", 22));
    scene.gets(ask("web", 22).by("bob"));
    scene.does(&scene.word(ALL));
    scene.does(&end(ann));
    scene.does(&scene.word(ALL));
    assert!(scene.access(ann).is_settled(), "what is open now is bob's");
}

#[test]
fn what_was_never_open_is_settled_by_its_end() {
    let mut scene = web(rule(22));
    let id = scene.gets(ask("web", 22));
    scene.does(&end(id));
    assert!(scene.access(id).is_settled());
}

#[test]
fn what_a_guard_could_not_open_has_failed() {
    let mut scene = web(rule(22));
    let id = scene.gets(ask("web", 22));
    let opening = *open_now(&scene.state, scene.now).openings.keys().next().expect("one");
    let failures = [
        OpeningFailure::Full,
        OpeningFailure::TooFarAhead,
        OpeningFailure::NotCovered,
        OpeningFailure::NotLocked,
        OpeningFailure::Rejected("EINVAL".to_owned()),
    ];
    for failure in failures {
        let mut scene = scene.clone();
        let Command::Observe { guard, vms, mut observed } = scene.word(ALL) else {
            panic!("a word")
        };
        observed.openings.clear();
        observed.failed.insert(opening, failure);
        scene.does(&Command::Observe { guard, vms, observed });
        assert_eq!((scene.stage(id), scene.open().len()), ("failed", 0));
    }
}

#[test]
fn released_locks_stay_until_a_guard_gave_them_back() {
    let mut scene = web(rule(22));
    let locked = scene.word(ALL);
    scene.does(&remove("p"));
    assert!(scene.does(&locked).is_empty(), "the guard still locks");
    assert_eq!(scene.state.released.len(), 2);
    scene.does(&scene.word(&["10.0.0.4"]));
    assert_eq!(scene.state.released.len(), 1);
    scene.does(&scene.word(ALL));
    assert!(scene.state.released.is_empty());
}

#[test]
fn an_empty_memory_closes_and_never_unlocks() {
    let scene = dual();
    let desired = open_now(&scene.state, scene.now);
    let observed = Observed {
        coverage: Coverage::All,
        locks: desired.locks.clone(),
        openings: desired.openings.clone(),
        failed: BTreeMap::new(),
        standing: Default::default(),
        screens: Default::default(),
        translations: Default::default(),
        untranslated: Default::default(),
    };
    let nothing = Desired { coverage: Coverage::All, ..open_now(&State::default(), scene.now) };
    let plan = plan(&nothing, &observed);
    assert_eq!(plan.close.len(), 2);
    assert!(plan.unlock.is_empty(), "a lock goes only when it was released");
}

#[test]
fn an_access_opens_nothing_without_its_lock() {
    let mut scene = dual();
    scene.state.policies.clear();
    assert!(scene.open().is_empty());
}

#[test]
fn each_guard_is_told_of_its_own_addresses() {
    let scene = dual();
    let guard = GuardCover { name: "v4".to_owned(), covers: vec![Family::V4.all()] };
    let part = open_now(&scene.state, scene.now).within(&guard);
    let v4 = |address| Family::of(address) == Family::V4;
    assert_eq!((part.locks.len(), part.openings.len()), (1, 1));
    assert!(part.locks.keys().all(|lock| v4(lock.address)));
    assert!(part.openings.keys().all(|opening| v4(opening.address())));
    assert!(part.coverage.has(ip("10.0.0.4")) && !part.coverage.has(ip("fd00::4")));
    let all = Desired { coverage: Coverage::All, ..part };
    assert_eq!(all.within(&guard).coverage, Coverage::All);
}
