//! JIT's own rules in the memory: their numbers, what they survive, and the locks that they hold.

use hourgate_core::{
    command::{Command, Near, Needs},
    event::Event,
    grant::{EndReason, Stage},
    id::RequestId,
    jit_rules,
    nsg::{
        band::Band,
        rule::RuleDraft,
        word::{PRIORITY_MAX, Priority},
    },
    policy::Settings,
    refusal::Refusal,
    resource::Kind,
    state::State,
    time::{Clock, later},
};
use hourgate_store::{Store, TransactError};

use crate::fixture::{
    Fixture, HandClock, act, agree, ask, minutes, put_group, put_network, put_nic_at, register,
    resource_id, set, try_act,
};

fn allow(name: &str, priority: i64, from: &str) -> RuleDraft {
    RuleDraft {
        name: name.to_owned(),
        description: None,
        priority,
        direction: "Inbound".to_owned(),
        access: "Allow".to_owned(),
        protocol: "Tcp".to_owned(),
        sources: vec![from.to_owned()],
        source_ports: vec!["*".to_owned()],
        destinations: vec!["*".to_owned()],
        destination_ports: vec!["22".to_owned()],
    }
}

/// The VM web, its interface behind the group `g` with one standing exception, and 22 locked.
async fn locked(store: &impl Store) {
    act(store, register(store, "web", &["10.0.0.4"])).await;
    act(store, put_group(store, "g", vec![allow("jump", 300, "198.51.100.7")])).await;
    act(store, put_network(store, "net", "10.0.0.0/24")).await;
    act(store, put_nic_at(store, "web-nic", "net", "10.0.0.4", "g")).await;
    act(store, set(store, "default", &[("web", &[22])])).await;
}

fn numbers(state: &State) -> Vec<u16> {
    let all = state.numbers.values().flat_map(|numbers| numbers.iter().collect::<Vec<_>>());
    all.map(Priority::number).collect()
}

pub(crate) async fn jits_rules_survive_reopening<F: Fixture>() {
    let (place, clock) = (F::new(), HandClock::new());
    let store = place.open(&clock);
    locked(&store).await;
    act(&store, Command::Request(ask(&store, 1, "ann", &[("web", 22)]))).await;
    let mut of_one = ask(&store, 2, "bob", &[("web", 22)]);
    of_one.accesses[0].addresses = Some(["10.0.0.4".parse().unwrap()].into());
    act(&store, Command::Request(of_one)).await;
    let before = store.everything().await.unwrap();
    assert_eq!(numbers(&before), [100, 101, PRIORITY_MAX]);
    drop(store);
    let store = place.open(&clock);
    assert_eq!(store.everything().await.unwrap(), before);
    agree::<F>(&store).await;
    act(&store, Command::End { request: RequestId::mint(1), only: None }).await;
    assert_eq!(numbers(&store.everything().await.unwrap()), [101, PRIORITY_MAX]);
    act(&store, Command::Request(ask(&store, 3, "eve", &[("web", 22)]))).await;
    assert_eq!(numbers(&store.everything().await.unwrap()), [100, 101, PRIORITY_MAX]);
    agree::<F>(&store).await;
    act(&store, set(&store, "default", &[("web", &[443])])).await;
    assert_eq!(numbers(&store.everything().await.unwrap()), [PRIORITY_MAX]);
    agree::<F>(&store).await;
}

pub(crate) async fn a_number_goes_from_what_ends_to_what_begins<F: Fixture>() {
    let (place, clock) = (F::new(), HandClock::new());
    let store = place.open(&clock);
    let band = Band::new(Priority::MIN, Priority::MIN).unwrap();
    F::set_settings(&store, Settings { band, ..Settings::default() });
    locked(&store).await;
    act(&store, Command::Request(ask(&store, 1, "ann", &[("web", 22)]))).await;
    let mut planned = ask(&store, 2, "bob", &[("web", 22)]);
    planned.start = Some(later(clock.now().wall, minutes(60)));
    act(&store, Command::Request(planned)).await;
    clock.pass(minutes(60));
    act(&store, Command::Tick).await;
    let state = store.everything().await.unwrap();
    let begun = &state.requests[&RequestId::mint(2)].accesses[0];
    assert!(matches!(begun.stage, Stage::Granted { .. }), "{:?}", begun.stage);
    assert_eq!(numbers(&state), [100, PRIORITY_MAX]);
    let refused = try_act(&store, Command::Request(ask(&store, 3, "eve", &[("web", 22)]))).await;
    let Err(TransactError::Refused(why)) = refused else { panic!("{refused:?}") };
    assert!(matches!(&why.0[..], [Refusal::NoNumber { .. }]), "{why:?}");
    // The same person's next takes over: the older keeps its number until then.
    agree::<F>(&store).await;
    let ended = store.request(RequestId::mint(1)).await.unwrap().unwrap();
    let Stage::Ended { reason, .. } = &ended.accesses[0].stage else { panic!() };
    assert_eq!(*reason, EndReason::Expired);
}

pub(crate) async fn a_lock_holds_whatever_was_not_asked_for<F: Fixture>() {
    let (place, clock) = (F::new(), HandClock::new());
    let store = place.open(&clock);
    locked(&store).await;
    let (jump, more) = (allow("jump", 300, "198.51.100.7"), allow("x", 200, "203.0.113.9"));
    let opens = put_group(&store, "g", vec![jump.clone(), more.clone()]);
    for _ in 0..2 {
        let refused = try_act(&store, opens.clone()).await;
        let Err(TransactError::Refused(why)) = refused else { panic!("{refused:?}") };
        assert!(matches!(&why.0[..], [Refusal::LockWouldBreak { .. }]), "{why:?}");
    }
    F::set_settings(&store, Settings { allow_lock_breaks: true, ..Settings::default() });
    let done = act(&store, opens).await;
    assert!(matches!(&done.events[..], [_, Event::LockBroken { .. }]), "{:?}", done.events);
    agree::<F>(&store).await;
}

pub(crate) async fn what_would_be_is_told_and_nothing_is_written<F: Fixture>() {
    let (place, clock) = (F::new(), HandClock::new());
    let store = place.open(&clock);
    locked(&store).await;
    act(&store, Command::Request(ask(&store, 1, "ann", &[("web", 22)]))).await;
    let (before, log) = (store.everything().await.unwrap(), store.verify_log().await.unwrap());
    let would = store.what_if(set(&store, "default", &[("web", &[22, 443])])).await.unwrap();
    let [Event::PolicySet { members, .. }] = &would.events[..] else { panic!("{would:?}") };
    let denies: usize = members.values().map(|member| member.denies().count()).sum();
    assert_eq!((denies, numbers(&would.state)), (2, vec![100, PRIORITY_MAX - 1, PRIORITY_MAX]));
    let more = allow("x", 200, "203.0.113.9");
    let refused = store.what_if(put_group(&store, "g", vec![more])).await;
    let Err(TransactError::Refused(why)) = refused else { panic!("{refused:?}") };
    assert!(matches!(&why.0[..], [Refusal::LockWouldBreak { .. }]), "{why:?}");
    let ended = store.what_if(Command::End { request: RequestId::mint(1), only: None }).await;
    assert_eq!(ended.unwrap().events.len(), 1);
    assert_eq!(store.everything().await.unwrap(), before);
    assert_eq!(store.verify_log().await.unwrap(), log, "not even a record of the refusal");
}

pub(crate) async fn whoever_has_rules_in_a_group_is_loaded_with_it<F: Fixture>() {
    let (place, clock) = (F::new(), HandClock::new());
    let store = place.open(&clock);
    locked(&store).await;
    act(&store, Command::Request(ask(&store, 1, "ann", &[("web", 22)]))).await;
    let group = resource_id(&store, Kind::NetworkSecurityGroups, "g");
    let of = group.security_group().unwrap();
    let shown = || async {
        let near = Some(Near { id: group.clone(), draft: None });
        let state = store.load(Needs { near, ..Needs::default() }).await.unwrap();
        let rules = jit_rules::of_group(&state, &of);
        rules.iter().map(|jit| jit.rule.priority().number()).collect::<Vec<_>>()
    };
    assert_eq!(shown().await, [100, PRIORITY_MAX]);
    // The interface gets another group, which lets nobody in; the numbers stay taken until the policy is set.
    let closed = RuleDraft {
        access: "Deny".to_owned(),
        protocol: "*".to_owned(),
        ..allow("no", 4_000, "*")
    };
    act(&store, put_group(&store, "shut", vec![closed])).await;
    act(&store, put_nic_at(&store, "web-nic", "net", "10.0.0.4", "shut")).await;
    assert_eq!(shown().await, [100, PRIORITY_MAX]);
    // What is sent back of it is JIT's still, and what is over is nobody's.
    let state = store.everything().await.unwrap();
    let rules = jit_rules::of_group(&state, &of);
    let echoes: Vec<RuleDraft> = rules.iter().map(|jit| jit.rule.draft()).collect();
    let jump = || allow("jump", 300, "198.51.100.7");
    let echo = put_group(&store, "g", [vec![jump()], echoes.clone()].concat());
    assert_eq!(act(&store, echo.clone()).await.events, []);
    act(&store, Command::End { request: RequestId::mint(1), only: None }).await;
    assert_eq!(act(&store, echo).await.events, []);
    assert_eq!(shown().await, [PRIORITY_MAX]);
}
