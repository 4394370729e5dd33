//! The cases, for any store.

use std::{collections::BTreeSet, time::Duration};

use hourgate_core::{
    command::{Command, Needs, Precondition},
    event::{Event, Note},
    grant::Stage,
    id::RequestId,
    network::Opening,
    plan::{Coverage, Observed},
    policy::Settings,
    refusal::Refusal,
    resource::Kind,
    time::{Clock, later},
};
use hourgate_store::{
    PolicyFilter, Principal, RequestFilter, Store, StoreError, TransactError, VmFilter,
};
use uuid::Uuid;

pub(crate) use crate::credentials::{
    a_credential_past_its_bounds_costs_the_others_nothing, credentials_are_kept,
    no_change_of_a_credential_goes_unrecorded,
};
pub(crate) use crate::jit_rules::{
    a_lock_holds_whatever_was_not_asked_for, a_number_goes_from_what_ends_to_what_begins,
    jits_rules_survive_reopening, what_would_be_is_told_and_nothing_is_written,
    whoever_has_rules_in_a_group_is_loaded_with_it,
};
pub(crate) use crate::people::{
    a_roles_end_is_a_deadline, an_activation_that_waits_lapses, people_and_roles_are_kept,
    what_somebody_has_ends_with_their_right,
};

use crate::fixture::{
    Fixture, HandClock, act, agree, ask, draft, minutes, origin, policy_id, prepare, put_network,
    put_nic, register, resource_command, resource_id, set, try_act, vm_id,
};

pub(crate) async fn everything_survives_reopening<F: Fixture>() {
    let (place, clock) = (F::new(), HandClock::new());
    let store = place.open(&clock);
    prepare(&store).await;
    act(&store, Command::Request(ask(&store, 1, "ann", &[("web", 22), ("db", 22)]))).await;
    let mut planned = ask(&store, 2, "bob", &[("db", 22)]);
    planned.start = Some(later(clock.now().wall, minutes(90)));
    act(&store, Command::Request(planned)).await;
    act(&store, set(&store, "default", &[("web", &[22])])).await;
    let (before, who) = (store.everything().await.unwrap(), store.installation());
    assert_eq!(before.requests.len(), 1, "bob's was withdrawn with its VM, never opened");
    drop(store);
    let store = place.open(&clock);
    assert_eq!(store.installation(), who);
    assert_eq!(store.everything().await.unwrap(), before);
    let member = &before.policies[&policy_id(&store, "default")].members[&vm_id(&store, "web")];
    assert_eq!(member.ports.len(), 1);
    assert_eq!(before.released.len(), 3, "443 of web on two addresses, and 22 of db");
    agree::<F>(&store).await;
}

pub(crate) async fn a_refused_command_leaves_its_record_alone<F: Fixture>() {
    let (place, clock) = (F::new(), HandClock::new());
    let store = place.open(&clock);
    prepare(&store).await;
    let (before, log) = (store.everything().await.unwrap(), store.verify_log().await.unwrap());
    clock.pass(minutes(1));
    let asked = ask(&store, 1, "ann", &[("web", 22), ("db", 3389)]);
    let refused = try_act(&store, Command::Request(asked)).await;
    assert!(
        matches!(&refused, Err(TransactError::Refused(why))
        if matches!(why.0.as_slice(), [Refusal::PortNotInPolicy { .. }])),
        "{refused:?}"
    );
    let mut after = store.everything().await.unwrap();
    after.highest = before.highest;
    assert_eq!(after, before);
    assert_eq!(store.verify_log().await.unwrap().records, log.records + 1);
    assert_eq!(store.request(RequestId::mint(1)).await.unwrap(), None);
    agree::<F>(&store).await;
}

pub(crate) async fn one_refused_among_many_spoils_nobody<F: Fixture>() {
    let (place, clock) = (F::new(), HandClock::new());
    let store = place.open(&clock);
    prepare(&store).await;
    let tasks: Vec<_> = (0..200_u64)
        .map(|number| {
            let store = store.clone();
            let wanted = if number % 10 == 3 { 3389 } else { 22 };
            let who = format!("person{number}");
            let asked = ask(&store, number, &who, &[("web", wanted), ("db", 22)]);
            tokio::spawn(async move {
                (number, store.transact(origin(&who), Command::Request(asked)).await)
            })
        })
        .collect();
    for task in tasks {
        let (number, answer) = task.await.unwrap();
        let found = store.request(RequestId::mint(number)).await.unwrap();
        if number % 10 == 3 {
            assert!(matches!(answer, Err(TransactError::Refused(_))), "{number}: {answer:?}");
            assert_eq!(found, None);
        } else {
            assert_eq!(found.unwrap().accesses.len(), 2, "{number}: {answer:?}");
        }
    }
    assert_eq!(store.everything().await.unwrap().requests.len(), 180);
    agree::<F>(&store).await;
}

pub(crate) async fn needs_bring_what_they_say<F: Fixture>() {
    let (place, clock) = (F::new(), HandClock::new());
    let store = place.open(&clock);
    prepare(&store).await;
    act(&store, register(&store, "lone", &["10.0.0.6"])).await;
    act(&store, set(&store, "other", &[("web", &[8443]), ("lone", &[22])])).await;
    act(&store, Command::Request(ask(&store, 1, "ann", &[("web", 22), ("db", 22)]))).await;
    act(&store, Command::Request(ask(&store, 2, "bob", &[("db", 22)]))).await;
    act(&store, Command::End { request: RequestId::mint(2), only: None }).await;
    let (web, db, lone) = (vm_id(&store, "web"), vm_id(&store, "db"), vm_id(&store, "lone"));
    let (default, other) = (policy_id(&store, "default"), policy_id(&store, "other"));

    let needs = Needs { vms: [web.clone(), vm_id(&store, "none")].into(), ..Needs::default() };
    let state = store.load(needs).await.unwrap();
    assert_eq!(state.vms.keys().collect::<Vec<_>>(), [&web]);
    assert_eq!(state.policies.keys().collect::<Vec<_>>(), [&default, &other]);
    assert!(state.policies.values().all(|policy| policy.members.keys().eq([&web])));
    assert_eq!(state.requests[&RequestId::mint(1)].accesses.len(), 2, "the whole request");
    assert_eq!(state.requests.len(), 1);

    let needs = Needs { policies: [other.clone()].into(), ..Needs::default() };
    let state = store.load(needs).await.unwrap();
    assert_eq!(state.vms.keys().collect::<Vec<_>>(), [&lone, &web]);
    assert_eq!(state.policies[&other].members.len(), 2);
    assert!(state.policies[&default].members.keys().eq([&web]), "its place in every policy");

    let needs = Needs { heads: [default.clone()].into(), ..Needs::default() };
    let state = store.load(needs).await.unwrap();
    assert!(state.vms.is_empty() && state.policies[&default].members.is_empty());

    let needs = Needs { requests: [RequestId::mint(2)].into(), ..Needs::default() };
    let state = store.load(needs).await.unwrap();
    let found: BTreeSet<_> = state.requests.keys().copied().collect();
    assert_eq!(found, [RequestId::mint(1), RequestId::mint(2)].into(), "over, and db's others");
    assert_eq!(state.vms.keys().collect::<Vec<_>>(), [&db]);

    let addresses = ["fd00::4", "10.9.9.9"].map(|address| address.parse().unwrap()).into();
    let state = store.load(Needs { addresses, ..Needs::default() }).await.unwrap();
    assert_eq!(state.owners.into_values().collect::<Vec<_>>(), [web]);

    let at = ["fd00::4", "10.9.9.9"].map(|address| address.parse().unwrap()).into();
    let state = store.load(Needs { at, ..Needs::default() }).await.unwrap();
    assert_eq!(state.vms.keys().collect::<Vec<_>>(), [&vm_id(&store, "web")]);
    assert_eq!(state.requests.keys().copied().collect::<Vec<_>>(), [RequestId::mint(1)]);
    assert_eq!(state.policies.len(), 2, "whoever has the address comes as if named");

    let due = Needs { due: true, ..Needs::default() };
    assert!(store.load(due.clone()).await.unwrap().vms.is_empty());
    clock.pass(minutes(60));
    assert_eq!(store.load(due).await.unwrap().vms.len(), 2);
}

pub(crate) async fn what_time_demands_is_loaded_whole<F: Fixture>() {
    let (place, clock) = (F::new(), HandClock::new());
    let store = place.open(&clock);
    prepare(&store).await;
    // A change that drops db, to be confirmed. When the time is over nobody asks under it any more, and
    // what rolls it back brings back all of it, and locks db again.
    let command = Command::SetPolicy {
        draft: draft(&store, "default", &[("web", &[22])]),
        only_if: Precondition::Exists,
        confirm_within: Some(minutes(5)),
    };
    act(&store, command).await;
    clock.pass(minutes(5));
    let asked = ask(&store, 1, "ann", &[("web", 443)]);
    act(&store, Command::Request(asked)).await;
    act(&store, Command::Tick).await;
    let state = store.everything().await.unwrap();
    let policy = &state.policies[&policy_id(&store, "default")];
    assert_eq!((policy.members.len(), policy.version), (2, 3));
    assert!(state.released.is_empty(), "{:?}", state.released);
    agree::<F>(&store).await;
    // A plan over two VMs begins on both, although only one is named when its time has come.
    let mut planned = ask(&store, 2, "bob", &[("web", 22), ("db", 22)]);
    planned.start = Some(later(clock.now().wall, minutes(10)));
    act(&store, Command::Request(planned)).await;
    clock.pass(minutes(11));
    act(&store, Command::Request(ask(&store, 3, "eve", &[("web", 22)]))).await;
    let bobs = store.request(RequestId::mint(2)).await.unwrap().unwrap();
    let runs = |stage: &Stage| matches!(stage, Stage::Granted { .. });
    assert!(bobs.accesses.iter().all(|access| runs(&access.stage)), "{bobs:?}");
    agree::<F>(&store).await;
}

pub(crate) async fn a_request_over_two_vms_is_not_closed_by_half_a_look<F: Fixture>() {
    let (place, clock) = (F::new(), HandClock::new());
    let store = place.open(&clock);
    prepare(&store).await;
    act(&store, Command::Request(ask(&store, 1, "ann", &[("web", 22), ("db", 22)]))).await;
    let state = store.everything().await.unwrap();
    let desired = hourgate_core::open::open_now(&state, clock.now());
    let seen = |names: &[&str], open: bool| {
        let vms: BTreeSet<_> = names.iter().map(|name| vm_id(&store, name)).collect();
        let on = |opening: &Opening| {
            vms.iter().any(|vm| state.vms[vm].addresses.contains(&opening.address()))
        };
        let openings = desired.openings.iter().filter(|(opening, _)| open && on(opening));
        let observed = Observed {
            coverage: Coverage::Only(
                vms.iter().flat_map(|vm| state.vms[vm].addresses.clone()).collect(),
            ),
            locks: desired.locks.clone(),
            openings: openings.map(|(opening, until)| (*opening, *until)).collect(),
            failed: Default::default(),
            standing: Default::default(),
            screens: Default::default(),
            translations: Default::default(),
            untranslated: Default::default(),
        };
        Command::Observe { guard: "local".to_owned(), vms, observed }
    };
    assert_eq!(act(&store, seen(&["web", "db"], true)).await.events.len(), 2);
    act(&store, Command::End { request: RequestId::mint(1), only: None }).await;
    let closed = act(&store, seen(&["web"], false)).await;
    assert!(
        matches!(closed.events.as_slice(),
        [Event::Closed { access, .. }] if access.vm == vm_id(&store, "web")),
        "{closed:?}"
    );
    assert!(!closed.state.vms.contains_key(&vm_id(&store, "db")), "db was not asked for");
    assert_eq!(store.everything().await.unwrap().requests.len(), 1);
    act(&store, seen(&["db"], false)).await;
    assert!(store.everything().await.unwrap().requests.is_empty());
    agree::<F>(&store).await;
}

pub(crate) async fn the_next_deadline_is_the_earliest<F: Fixture>() {
    let (place, clock) = (F::new(), HandClock::new());
    let store = place.open(&clock);
    prepare(&store).await;
    assert_eq!(store.next_deadline(clock.now()).await.unwrap(), None);
    let mut planned = ask(&store, 1, "ann", &[("web", 443)]);
    planned.start = Some(later(clock.now().wall, minutes(90)));
    act(&store, Command::Request(planned)).await;
    assert_eq!(store.next_deadline(clock.now()).await.unwrap(), Some(minutes(90)));
    act(&store, Command::Request(ask(&store, 2, "bob", &[("db", 22)]))).await;
    assert_eq!(store.next_deadline(clock.now()).await.unwrap(), Some(minutes(60)));
    clock.set_wall(later(clock.now().wall, minutes(20)));
    assert_eq!(store.next_deadline(clock.now()).await.unwrap(), Some(minutes(40)));
    clock.set_wall("2026-03-01T11:00:00Z".parse().unwrap());
    let left = store.next_deadline(clock.now()).await.unwrap();
    assert_eq!(left, Some(minutes(60)), "the boot clock, which no step moves");
    let state = store.everything().await.unwrap();
    assert_eq!(left, hourgate_core::open::next_deadline(&state, clock.now()));
    clock.reboot();
    let left = store.next_deadline(clock.now()).await.unwrap();
    assert_eq!(left, hourgate_core::open::next_deadline(&state, clock.now()));
    assert!(
        left < Some(minutes(60)),
        "an end of another boot, once the clock can be right: {left:?}"
    );
    clock.set_wall("2026-03-01T12:30:00Z".parse().unwrap());
    assert_eq!(store.next_deadline(clock.now()).await.unwrap(), Some(Duration::ZERO));
    let due = store.load(Needs { due: true, ..Needs::default() }).await.unwrap();
    assert!(due.vms.keys().eq([&vm_id(&store, "db")]), "it is to be anchored in this boot");
    act(&store, Command::Tick).await;
    assert!(store.next_deadline(clock.now()).await.unwrap() > Some(minutes(29)));
}

pub(crate) async fn answers_are_bounded_and_paged<F: Fixture>() {
    let (place, clock) = (F::new(), HandClock::new());
    let store = place.open(&clock);
    prepare(&store).await;
    for number in 0..30 {
        clock.pass(Duration::from_secs(u64::from(number % 2 == 0)));
        let who = format!("p{number}");
        act(&store, Command::Request(ask(&store, number, &who, &[("web", 22)]))).await;
        if number % 3 == 0 {
            act(&store, Command::End { request: RequestId::mint(number), only: None }).await;
        }
    }
    let mut which = RequestFilter { most: 7, ..RequestFilter::default() };
    let mut paged = Vec::new();
    loop {
        let page = store.requests(which.clone()).await.unwrap();
        assert!(page.len() <= 7);
        let Some(last) = page.last() else { break };
        which.before = Some((last.created, last.id));
        paged.extend(page);
    }
    assert_eq!(paged.len(), 30);
    assert!(paged.is_sorted_by(|a, b| (a.created, a.id) > (b.created, b.id)), "newest first");
    let live = RequestFilter { standing_only: true, most: 100, ..RequestFilter::default() };
    assert_eq!(store.requests(live).await.unwrap().len(), 20);
    let vm = Some(vm_id(&store, "db"));
    let of_db = RequestFilter { vm, most: 100, ..RequestFilter::default() };
    assert!(store.requests(of_db).await.unwrap().is_empty());
    let which = PolicyFilter { vm: Some(vm_id(&store, "web")), ..PolicyFilter::default() };
    let shown = store.policies(which.clone()).await.unwrap();
    assert_eq!((shown.len(), shown[0].requests.len()), (1, 30));
    assert_eq!(shown[0].policy.members.len(), 2);
    assert!(shown[0].requests.is_sorted_by_key(|request| request.created), "oldest first");
    clock.pass(minutes(60 * 24 * 30 + 1));
    assert_eq!(store.policies(which).await.unwrap()[0].requests.len(), 20, "30 days have passed");
}

pub(crate) async fn names_are_found_in_any_case<F: Fixture>() {
    let (place, clock) = (F::new(), HandClock::new());
    let store = place.open(&clock);
    prepare(&store).await;
    let name = Some("WEB".parse().unwrap());
    let found = store.vms(VmFilter { name, group: Some("pROD".parse().unwrap()) }).await.unwrap();
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].id.name.as_str(), "web", "as it was written");
    assert_eq!(found[0].addresses.len(), 2);
    let twice = act(&store, register(&store, "Web", &["10.0.0.4", "fd00::4"])).await;
    assert!(twice.events.is_empty(), "{twice:?}");
    let group = Some("prod".parse().unwrap());
    let which = PolicyFilter { group, ..PolicyFilter::default() };
    assert_eq!(store.policies(which).await.unwrap().len(), 1);
    let location = Some("elsewhere".parse().unwrap());
    let which = PolicyFilter { location, ..PolicyFilter::default() };
    assert!(store.policies(which).await.unwrap().is_empty());
}

pub(crate) async fn an_accepted_clock_stays_accepted<F: Fixture>() {
    let (place, clock) = (F::new(), HandClock::new());
    let store = place.open(&clock);
    prepare(&store).await;
    let right = clock.now().wall;
    clock.set_wall(later(right, minutes(600)));
    act(&store, register(&store, "late", &["10.0.0.7"])).await;
    clock.set_wall(right);
    let asked = || Command::Request(ask(&store, 1, "ann", &[("web", 22)]));
    let refused = try_act(&store, asked()).await;
    assert!(matches!(refused, Err(TransactError::Refused(_))), "{refused:?}");
    act(&store, Command::AcceptClock).await;
    assert_eq!(store.everything().await.unwrap().highest, Some(right));
    drop(store);
    let store = place.open(&clock);
    act(&store, Command::Request(ask(&store, 1, "ann", &[("web", 22)]))).await;
    agree::<F>(&store).await;
}

pub(crate) async fn refusals_are_bounded<F: Fixture>() {
    let (place, clock) = (F::new(), HandClock::new());
    let store = place.open(&clock);
    let ended = Command::End { request: RequestId::mint(1), only: None };
    let denied = Note::Denied { action: "a".to_owned(), target: "t".to_owned() };
    for _ in 0..50 {
        assert!(try_act(&store, ended.clone()).await.is_err());
        store.note(origin("ann"), denied.clone()).await.unwrap();
    }
    let records = async || store.verify_log().await.unwrap().records;
    assert_eq!(records().await, 60, "per person");
    for person in 0..700 {
        store.note(origin(&format!("p{person}")), denied.clone()).await.unwrap();
    }
    assert_eq!(records().await, 600, "in all");
    store.note(origin("ann"), Note::ServerStopped).await.unwrap();
    assert_eq!(records().await, 601, "what is no refusal is not counted among them");
    clock.pass(minutes(1));
    store.note(origin("ann"), denied).await.unwrap();
    assert_eq!(records().await, 603, "how many more there were, and the new one");
    agree::<F>(&store).await;
}

pub(crate) async fn a_principal_is_kept<F: Fixture>() {
    let (place, clock) = (F::new(), HandClock::new());
    let store = place.open(&clock);
    let client = Uuid::from_u128(77);
    assert_eq!(store.principal(client).await.unwrap(), None);
    let principal = Principal {
        client,
        object: Uuid::from_u128(78),
        name: "admin".to_owned(),
        secret_digest: [9; 32],
    };
    let note = Note::SecretRotated { client: client.to_string() };
    store.set_principal(origin("root"), principal.clone(), note.clone()).await.unwrap();
    let rotated = Principal { secret_digest: [10; 32], ..principal };
    store.set_principal(origin("root"), rotated.clone(), note).await.unwrap();
    assert_eq!(store.principal(client).await.unwrap(), Some(rotated));
    assert_eq!(store.verify_log().await.unwrap().records, 2);
}

pub(crate) async fn settings_can_be_replaced<F: Fixture>() {
    let (place, clock) = (F::new(), HandClock::new());
    let store = place.open(&clock);
    prepare(&store).await;
    F::set_settings(&store, Settings { guards: Vec::new(), ..Settings::default() });
    let refused = try_act(&store, Command::Request(ask(&store, 1, "ann", &[("web", 22)]))).await;
    assert!(matches!(refused, Err(TransactError::Refused(_))), "no guard covers it: {refused:?}");
}

/// Promise 4: the log, replayed, gives the rows that stand; through anything that can happen.
pub(crate) async fn the_log_explains_a_random_history<F: Fixture>() {
    let (place, clock) = (F::new(), HandClock::new());
    let mut store = place.open(&clock);
    let mut random = Random(0x5eed_0001);
    let names = ["web", "db", "app"];
    let (mut events, mut refused) = (0, 0);
    for name in names {
        let address = format!("10.0.1.{}", name.bytes().map(u32::from).sum::<u32>() % 250);
        act(&store, register(&store, name, &[&address])).await;
        if name == "web" {
            act(&store, set(&store, "default", &[("web", &[22, 443])])).await;
        }
    }
    for step in 0..1_000_u64 {
        let (name, other) = (names[random.below(3)], names[random.below(3)]);
        let (one, two) = ([22_u16, 443][random.below(2)], [80_u16, 443][random.below(2)]);
        let command = match random.below(16) {
            12.. => resource_command(&store, step, &mut |end| random.below(end)),
            0 | 1 if random.below(5) > 0 => {
                let own = names.iter().position(|known| *known == name).unwrap();
                register(&store, name, &[["10.0.0.4", "10.0.0.5", "fd00::6"][own]])
            }
            0 => register(&store, name, &["10.0.0.4"]),
            1 => Command::UnregisterVm { id: vm_id(&store, name) },
            2 | 3 => set(&store, "default", &[(name, &[one, two]), (other, &[22])]),
            4 => Command::SetPolicy {
                draft: draft(&store, "default", &[(name, &[one])]),
                only_if: Precondition::None,
                confirm_within: Some(minutes(3)),
            },
            5 => Command::RemovePolicy {
                id: policy_id(&store, ["default", "none"][random.below(2)]),
                only_if: Precondition::None,
            },
            6 => Command::ConfirmPolicy { id: policy_id(&store, "default") },
            7 => {
                let recent = step.saturating_sub(random.below(12) as u64);
                Command::End { request: RequestId::mint(recent), only: None }
            }
            8 => Command::Tick,
            9 => {
                let state = store.everything().await.unwrap();
                let desired = hourgate_core::open::open_now(&state, clock.now());
                let vms = state.vms.keys().cloned().collect();
                let observed = Observed {
                    coverage: Coverage::All,
                    locks: desired.locks,
                    openings: desired.openings,
                    failed: Default::default(),
                    standing: Default::default(),
                    screens: Default::default(),
                    translations: Default::default(),
                    untranslated: Default::default(),
                };
                Command::Observe { guard: "local".to_owned(), vms, observed }
            }
            _ => {
                let who = ["ann", "bob"][random.below(2)];
                let mut asked = ask(&store, step, who, &[(name, one), (other, 22)]);
                asked.accesses.truncate(1 + random.below(2));
                asked.start = (random.below(3) == 0)
                    .then(|| later(clock.now().wall, minutes(1 + random.below(9) as u64)));
                Command::Request(asked)
            }
        };
        match try_act(&store, command).await {
            Ok(committed) => events += committed.events.len(),
            Err(TransactError::Refused(_)) => refused += 1,
            Err(TransactError::Store(StoreError::Damaged(why))) => panic!("step {step}: {why}"),
            Err(error) => panic!("step {step}: {error}"),
        }
        clock.pass(Duration::from_secs(random.below(240) as u64));
        if step % 100 == 99 {
            agree::<F>(&store).await;
            drop(store);
            store = place.open(&clock);
        }
    }
    assert!(events > 200 && refused > 20, "{events} events, {refused} refused: too tame a life");
}

/// Resources of the network survive reopening, are found in any case, and what is in use stays.
pub(crate) async fn resources_are_kept<F: Fixture>() {
    let (place, clock) = (F::new(), HandClock::new());
    let store = place.open(&clock);
    let network = resource_id(&store, Kind::VirtualNetworks, "Net");
    act(&store, put_network(&store, "Net", "10.0.0.0/24")).await;
    act(&store, put_nic(&store, "one", "Net")).await;
    let again = act(&store, put_nic(&store, "ONE", "net")).await;
    assert!(
        again.state.network.get(&resource_id(&store, Kind::NetworkInterfaces, "one")).is_some()
    );
    let delete = Command::DeleteResource { id: network.clone(), only_if: Precondition::None };
    assert!(matches!(try_act(&store, delete).await, Err(TransactError::Refused(_))));
    let before = store.load(Needs::default()).await.unwrap().network;
    drop(store);
    let store = place.open(&clock);
    let after = store.load(Needs::default()).await.unwrap().network;
    assert_eq!(after, before);
    let network = after.get(&network).unwrap();
    assert_eq!((network.version, network.document.as_str()), (1, "{\"kept\":1.5}"));
    assert_eq!(network.tags["personal"], "\u{1b}[31m\u{202e}");
    agree::<F>(&store).await;
}

/// SplitMix64: the same seed, the same life.
struct Random(u64);

impl Random {
    fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) % end as u64) as usize
    }
}
