//! The reconciler against a guard that fails, lags and forgets, with a clock that is moved by hand.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on says so by panicking")]

mod life;
mod network;
mod outside;
mod screens;
mod world;

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use hourgate_core::{
    command::{Command, Precondition},
    grant::{EndReason, Stage},
    id::RequestId,
};
use hourgate_enforce::{
    facts::Late, fake::FakeGuard, guard::GuardError, status::Reached, view::Sight,
};
use tokio::time::sleep;
use world::*;

fn lost() -> GuardError {
    GuardError::Unreached("told to".to_owned())
}

#[tokio::test(start_paused = true)]
async fn locks_come_first_and_a_request_opens_one_port_for_one_source_until_its_end() {
    let world = world();
    until("locked", || world.guard.locks().len() == usize::from(VMS)).await;
    assert!(!world.guard.accepts(source(1), address(1), port()));

    let id = world.request(1, 1, source(1), 60);
    let took = until("open", || world.guard.accepts(source(1), address(1), port())).await;
    assert!(took <= Duration::from_millis(2), "opened after {took:?}");
    assert!(!world.guard.accepts(source(2), address(1), port()), "another source");
    assert!(!world.guard.accepts(source(1), address(2), port()), "another machine");
    until("recorded", || world.is_recorded_open(id)).await;
    assert!(matches!(world.reconciler.view().sight(&opening(1, 1)), Sight::Open { .. }));

    sleep(Duration::from_secs(59)).await;
    until("closed", || !world.guard.accepts(source(1), address(1), port())).await;
    let took = until("recorded", || world.is_recorded_closed(id)).await;
    assert!(took < Duration::from_millis(500), "recorded after {took:?}");
    assert!(matches!(world.access(id).stage, Stage::Ended { reason: EndReason::Expired, .. }));
    assert!(world.memory.alarms.lock().unwrap().is_empty());
}

#[tokio::test(start_paused = true)]
async fn ending_early_closes_at_once_and_is_recorded() {
    let world = world();
    let id = world.request(1, 1, source(1), 3600);
    until("recorded", || world.is_recorded_open(id)).await;
    world.end(id);
    let took = until("closed", || !world.guard.accepts(source(1), address(1), port())).await;
    assert!(took <= Duration::from_millis(2), "closed after {took:?}");
    until("recorded", || world.is_recorded_closed(id)).await;
}

#[tokio::test(start_paused = true)]
async fn wakes_that_come_while_a_guard_is_busy_go_into_one_statement() {
    let world = world();
    until("locked", || !world.guard.locks().is_empty()).await;
    sleep(Duration::from_millis(10)).await;
    world.guard.lag(true);
    world.request(1, 1, source(1), 60);
    sleep(Duration::from_millis(10)).await;
    let before = world.guard.statements();
    for id in 2..200 {
        world.request(id, u8::try_from(id % 6).unwrap() + 1, source(u8::try_from(id).unwrap()), 60);
        tokio::task::yield_now().await;
    }
    world.guard.lag(false);
    until("open", || world.guard.openings().len() == 199).await;
    assert!(world.guard.statements() - before <= 2, "{}", world.guard.statements() - before);
}

#[tokio::test(start_paused = true)]
async fn a_slow_look_at_everything_keeps_nobody_waiting_and_undoes_nothing_newer() {
    let world = world();
    let old = world.request(1, 1, source(1), 3600);
    until("recorded", || world.is_recorded_open(old)).await;
    world.memory.slow.store(500, std::sync::atomic::Ordering::SeqCst);
    world.reconciler.wake_all();
    sleep(Duration::from_millis(100)).await;
    let new = world.request(2, 2, source(2), 3600);
    world.end(old);
    let took = until("open", || world.guard.accepts(source(2), address(2), port())).await;
    assert!(took <= Duration::from_millis(2), "opened after {took:?}");
    for _ in 0..600 {
        sleep(Duration::from_millis(1)).await;
        assert!(world.guard.accepts(source(2), address(2), port()), "closed by an older look");
        assert!(!world.guard.accepts(source(1), address(1), port()), "opened by an older look");
    }
    assert!(world.is_recorded_open(new) && world.is_recorded_closed(old));
}

#[tokio::test(start_paused = true)]
async fn what_ends_is_closed_although_the_database_is_gone_and_nothing_opens() {
    let world = world();
    let id = world.request(1, 1, source(1), 33);
    until("recorded", || world.is_recorded_open(id)).await;
    world.memory.go_down(true);
    world.request(2, 2, source(2), 30);
    sleep(Duration::from_secs(5)).await;
    assert!(world.guard.accepts(source(1), address(1), port()), "its time is not over");
    assert!(!world.guard.accepts(source(2), address(2), port()), "not loaded, not opened");
    // Between two sweeps. What somebody else opened, or the guard did not close by itself, is closed from memory.
    let until_late = world.clock.now().after(Duration::from_hours(1));
    sleep(Duration::from_secs(27)).await;
    world.guard.intrude(opening(1, 1), until_late);
    let took = until("closed", || world.guard.openings().is_empty()).await;
    assert!(took < Duration::from_millis(1_100), "closed after {took:?}");
    world.memory.go_down(false);
    until("recorded", || world.is_recorded_closed(id)).await;
    let second = RequestId::mint(2);
    assert!(matches!(world.access(second).stage, Stage::Ended { opened: None, .. }));
}

#[tokio::test(start_paused = true)]
async fn a_hold_closes_what_cannot_be_recorded_and_ends_with_the_record() {
    let world = world();
    let id = world.request(1, 1, source(1), 3600);
    let other = world.request(2, 2, source(2), 3600);
    until("recorded", || world.is_recorded_open(id) && world.is_recorded_open(other)).await;
    world.memory.go_down(true);
    assert!(world.reconciler.hold(id, None));
    let took = until("closed", || !world.guard.accepts(source(1), address(1), port())).await;
    assert!(took <= Duration::from_millis(2), "closed after {took:?}");
    sleep(Duration::from_secs(30)).await;
    assert!(!world.guard.accepts(source(1), address(1), port()), "a sweep opened it again");
    assert!(world.guard.accepts(source(2), address(2), port()), "another request's");
    // Readable again, not yet recorded: the hold still stands.
    world.memory.go_down(false);
    sleep(Duration::from_secs(30)).await;
    assert!(!world.guard.accepts(source(1), address(1), port()), "a load opened it again");
    world.memory.command(&Command::End { request: id, only: None }).unwrap();
    world.reconciler.release(id);
    sleep(Duration::from_secs(30)).await;
    assert!(!world.guard.accepts(source(1), address(1), port()));
    until("recorded", || world.is_recorded_closed(id)).await;
    assert!(!world.reconciler.hold(RequestId::mint(99), None), "nothing is known of it");
}

#[tokio::test(start_paused = true)]
async fn a_hold_of_one_port_or_beside_another_grant_closes_no_more_than_that() {
    let world = world();
    let first = world.request(1, 1, source(1), 3600);
    let second = world.request(2, 1, source(1), 1800);
    until("open", || world.is_recorded_open(first) && world.is_recorded_open(second)).await;
    assert!(world.reconciler.hold(first, Some(BTreeSet::from([(vm(2), port())]))));
    sleep(Duration::from_millis(10)).await;
    assert!(world.guard.accepts(source(1), address(1), port()), "another machine was named");
    assert!(world.reconciler.hold(first, Some(BTreeSet::from([(vm(1), port())]))));
    sleep(Duration::from_millis(10)).await;
    assert!(world.guard.accepts(source(1), address(1), port()), "the second needs it too");
    let ends = world.guard.openings()[&opening(1, 1)];
    let left = ends.remaining(world.clock.now());
    assert!(left <= Duration::from_secs(1800), "but no longer than the second: {left:?}");
    assert!(world.reconciler.hold(second, None));
    until("closed", || world.guard.openings().is_empty()).await;
}

#[tokio::test(start_paused = true)]
async fn a_guard_that_was_away_agrees_again_when_it_is_back() {
    let world = world();
    let id = world.request(1, 1, source(1), 3600);
    until("recorded", || world.is_recorded_open(id)).await;
    let ends = world.request(2, 2, source(2), 3600);
    until("recorded", || world.is_recorded_open(ends)).await;
    world.guard.fail(std::iter::repeat_n(lost(), 20));
    world.end(ends);
    let open = world.request(3, 3, source(3), 3600);
    sleep(Duration::from_millis(100)).await;
    let status = &world.reconciler.view().guards()[0];
    assert!(matches!(&status.reached, Reached::No { why, .. } if why.contains("told to")));
    assert!(status.failures > 0);
    assert_eq!(world.reconciler.view().sight(&opening(1, 1)), Sight::Unknown);
    assert_eq!(world.reconciler.view().locked(lock(1)), None);
    let back = || matches!(world.reconciler.view().guards()[0].reached, Reached::Yes { .. });
    until("back", back).await;
    let took =
        until("open", || world.is_recorded_open(open) && world.is_recorded_closed(ends)).await;
    assert!(took <= Duration::from_millis(20), "agreed after {took:?}, not waiting for a sweep");
    assert!(!world.guard.accepts(source(2), address(2), port()));
    assert!(matches!(world.reconciler.view().guards()[0].reached, Reached::Yes { .. }));
}

#[tokio::test(start_paused = true)]
async fn a_guard_that_forgot_everything_is_locked_and_opened_again_at_once() {
    let world = world();
    let id = world.request(1, 1, source(1), 3600);
    until("recorded", || world.is_recorded_open(id)).await;
    world.guard.forget();
    assert!(world.guard.accepts(source(9), address(1), port()));
    let took = until("locked", || !world.guard.accepts(source(9), address(1), port())).await;
    assert!(took <= Duration::from_millis(2), "locked after {took:?}");
    assert!(world.guard.accepts(source(1), address(1), port()));
    world.guard.lose(&opening(1, 1));
    until("found by the sweep", || world.guard.accepts(source(1), address(1), port())).await;
}

#[tokio::test(start_paused = true)]
async fn a_close_that_is_late_is_an_alarm_within_a_second() {
    // Whether the guard answers late, never, or that it did not do it.
    for how in ["keeps us waiting", "does not answer", "does not obey"] {
        let world = world();
        let id = world.request(1, 1, source(1), 3600);
        until("recorded", || world.is_recorded_open(id)).await;
        match how {
            "keeps us waiting" => world.guard.lag(true),
            "does not answer" => world.guard.fail(std::iter::repeat_n(lost(), 9)),
            _ => world.guard.ignore(opening(1, 1)),
        }
        sleep(Duration::from_millis(500)).await;
        let alarms = || world.memory.alarms.lock().unwrap().clone();
        assert_eq!(alarms(), [], "{how}: nothing is late yet");
        world.end(id);
        let took = until(how, || !alarms().is_empty()).await;
        assert!(took <= Duration::from_secs(1), "{how}: after {took:?}");
        assert_eq!(
            (alarms().len(), alarms()[0].example),
            (1, Late::Opening(opening(1, 1))),
            "{how}"
        );
        let status = &world.reconciler.view().guards()[0];
        assert!(status.overdue.is_some_and(|overdue| overdue.closes == 1), "{how}: {status:?}");
        if how == "keeps us waiting" {
            world.guard.lag(false);
            until("closed", || world.guard.openings().is_empty()).await;
            let view = world.reconciler.view();
            until("no longer late", || view.guards()[0].overdue.is_none()).await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn an_end_that_the_guard_keeps_by_itself_is_not_late_while_it_is_away() {
    let world = world();
    let id = world.request(1, 1, source(1), 10);
    until("recorded", || world.is_recorded_open(id)).await;
    world.guard.lag(true);
    sleep(Duration::from_secs(15)).await;
    assert!(world.guard.openings().is_empty());
    assert!(world.memory.alarms.lock().unwrap().is_empty());
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_opened_fails_and_the_rest_opens() {
    let clock: std::sync::Arc<dyn hourgate_core::time::Clock> =
        std::sync::Arc::new(TestClock::new());
    let guard = FakeGuard::with_capacity(std::sync::Arc::clone(&clock), 2);
    let world = world_of(clock, guard);
    until("locked", || !world.guard.locks().is_empty()).await;
    let ids: Vec<_> = (1..=3).map(|n| world.request(n, 1, source(n as u8), 60)).collect();
    let failed = |id: &RequestId| {
        matches!(world.access(*id).stage, Stage::Ended { reason: EndReason::Failed { .. }, .. })
    };
    until("one failed", || ids.iter().filter(|id| failed(id)).count() == 1).await;
    until("two open", || ids.iter().filter(|id| world.is_recorded_open(**id)).count() == 2).await;
    sleep(Duration::from_secs(30)).await;
    assert_eq!(ids.iter().filter(|id| failed(id)).count(), 1);
}

#[tokio::test(start_paused = true)]
async fn locks_are_given_back_only_when_they_are_released_and_that_is_recorded() {
    let world = world();
    until("locked", || world.guard.locks().len() == usize::from(VMS)).await;
    let removed = Command::RemovePolicy { id: policy(), only_if: Precondition::None };
    world.memory.command(&removed).unwrap();
    world.reconciler.wake((1..=VMS).map(vm));
    until("unlocked", || world.guard.locks().is_empty()).await;
    until("recorded", || world.memory.state.lock().unwrap().released.is_empty()).await;

    world.memory.command(&protect(1..=VMS)).unwrap();
    world.reconciler.wake((1..=VMS).map(vm));
    until("locked", || world.guard.locks().len() == usize::from(VMS)).await;
    // An empty database closes, it never opens.
    *world.memory.state.lock().unwrap() = Default::default();
    world.reconciler.wake_all();
    sleep(Duration::from_secs(30)).await;
    assert_eq!(world.guard.locks().len(), usize::from(VMS));
}

#[tokio::test(start_paused = true)]
async fn a_refusal_of_one_machine_keeps_no_other_from_closing() {
    let clock: std::sync::Arc<dyn hourgate_core::time::Clock> =
        std::sync::Arc::new(TestClock::new());
    let fake = FakeGuard::new(std::sync::Arc::clone(&clock));
    let world = world_of(clock, Picky(fake.clone()));
    until("the others are locked", || fake.locks().len() == usize::from(VMS) - 1).await;
    assert!(!fake.locks().contains_key(&lock(3)));
    world.request(1, 1, source(1), 60);
    until("open", || fake.accepts(source(1), address(1), port())).await;
}

/// A guard that refuses every statement that locks one certain address.
#[derive(Clone)]
struct Picky(FakeGuard);

impl hourgate_enforce::guard::Guard for Picky {
    async fn converge(
        &self,
        desired: Arc<hourgate_core::plan::Desired>,
    ) -> Result<hourgate_core::plan::Observed, GuardError> {
        if desired.locks.contains_key(&lock(3)) {
            return Err(GuardError::Refused("none of mine".to_owned()));
        }
        self.0.converge(desired).await
    }

    async fn observe(&self) -> Result<hourgate_core::plan::Observed, GuardError> {
        self.0.observe().await
    }

    async fn changed(&self) {
        self.0.changed().await;
    }
}
