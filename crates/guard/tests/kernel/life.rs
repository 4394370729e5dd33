//! Ends on time, whoever lives; and what stands survives whoever dies.

use std::{process::Command, time::Duration};

use hourgate_api::guard::{FromGuard, PROTOCOL, ToGuard};
use hourgate_core::{
    network::Sessions,
    plan::{Desired, Observed},
    time::{Clock, Deadline},
};
use hourgate_guard::{Features, Settings, clock::MachineClock, frames};
use tokio::net::UnixStream;

use crate::support::*;

const LONG: Duration = Duration::from_secs(600);

/// Connects again and again, and returns when it last succeeded and first failed, in ms from the end.
fn around_the_end(net: &Net, end: Deadline) -> (f64, f64) {
    let clock = MachineClock::new().unwrap();
    let over = end.boot.unwrap().nanos;
    let at = |nanos: u64| (nanos as f64 - over as f64) / 1e6;
    within(&net.client, || {
        let (mut last_open, mut first_shut) = (f64::MIN, f64::MAX);
        let to = format!("{VM}:22").parse().unwrap();
        loop {
            let began = clock.now().boot.nanos;
            match connect(None, to, Duration::from_millis(8)) {
                Ok(_) => (last_open, first_shut) = (at(began), f64::MAX),
                Err(_) => first_shut = first_shut.min(at(began)),
            }
            if at(began) > 60.0 {
                return (last_open, first_shut);
            }
            if at(began) < -60.0 {
                nap(Duration::from_millis(20));
            }
        }
    })
}

#[test]
fn an_opening_ends_on_time_with_the_guard_alive() {
    let (net, dir) = (Net::new(), tempfile::tempdir().unwrap());
    let _ssh = listen(&net.vm, VM, 22);
    let guard = Guarded::start(&net, &dir);
    for length in [250, 301, 377] {
        let end = guard.after(Duration::from_millis(length));
        let locks = [(lock(VM, 22), Sessions::GoOn)];
        guard.converge(desired(&locks, [(opening(CLIENT, VM, 22), end)].into())).unwrap();
        let (last, first) = around_the_end(&net, end);
        println!("last open {last:.2} ms, first shut {first:.2} ms from the end");
        assert!(last <= 10.0, "open {last} ms after the end");
        assert!(first >= -40.0, "shut {first} ms before the end");
        assert!(eventually(Duration::from_secs(1), || guard.observe().openings.is_empty()));
    }
}

/// Talks to a guard process as a server does.
pub fn tell(dir: &tempfile::TempDir, desired: Desired) -> Observed {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let mut stream = UnixStream::connect(dir.path().join("guard.sock")).await.unwrap();
        let installation = uuid::Uuid::from_u128(1);
        frames::write(&mut stream, &ToGuard::Hello { protocol: PROTOCOL, installation })
            .await
            .unwrap();
        frames::write(&mut stream, &ToGuard::Converge { id: 1, desired: desired.into() })
            .await
            .unwrap();
        loop {
            match frames::read(&mut stream).await.unwrap().unwrap() {
                FromGuard::Observed { observed, .. } => return observed,
                FromGuard::Hello { .. } | FromGuard::Changed { .. } => {}
                other @ (FromGuard::Refused { .. }
                | FromGuard::Failed { .. }
                | FromGuard::Looked { .. }) => panic!("{other:?}"),
            }
        }
    })
}

/// Starts the guard process and waits until it answers.
pub fn started(net: &Net, dir: &tempfile::TempDir) -> Process {
    let child = process(net, dir);
    assert!(eventually(Duration::from_secs(10), || {
        std::os::unix::net::UnixStream::connect(dir.path().join("guard.sock")).is_ok()
    }));
    child
}

#[test]
fn an_opening_ends_on_time_when_every_process_is_killed_and_the_lock_stays() {
    let (net, dir) = (Net::new(), tempfile::tempdir().unwrap());
    let _ssh = listen(&net.vm, VM, 22);
    let mut child = started(&net, &dir);
    let end = MachineClock::new().unwrap().now().after(Duration::from_millis(900));
    let locks = [(lock(VM, 22), Sessions::GoOn)];
    let observed = tell(&dir, desired(&locks, [(opening(CLIENT, VM, 22), end)].into()));
    assert_eq!(observed.openings.len(), 1);
    child.kill();
    let (last, first) = around_the_end(&net, end);
    println!("all dead: last open {last:.2} ms, first shut {first:.2} ms from the end");
    assert!(last > -100.0, "the opening did not survive the process: {last}");
    assert!(last <= 10.0, "open {last} ms after the end");
    assert!(first >= -40.0, "shut {first} ms before the end");
    // Another start finds the lock, and obeys the same installation.
    let mut again = started(&net, &dir);
    assert_eq!(probe(&net.client, VM, 22), Answer::Silent);
    assert_eq!(tell(&dir, desired(&[], [].into())).locks.len(), 1);
    let term = Command::new("kill").arg(again.id().to_string()).status().unwrap();
    assert!(term.success() && again.ended_well(), "SIGTERM is a clean stop");
    assert_eq!(probe(&net.client, VM, 22), Answer::Silent);
}

#[test]
fn the_process_itself_with_two_capabilities_ends_sessions_on_both_ends() {
    let (net, dir) = (Net::new(), tempfile::tempdir().unwrap());
    let accepted = listen(&net.vm, VM, 22);
    let _child = started(&net, &dir);
    let clock = MachineClock::new().unwrap();
    let end = clock.now().after(Duration::from_millis(900));
    let locks = [(lock(VM, 22), Sessions::EndWithAccess)];
    tell(&dir, desired(&locks, [(opening(CLIENT, VM, 22), end)].into()));
    let mut session = Session::open(&net.client, &accepted, VM, 22);
    assert_eq!(session.talks(), (true, true));
    assert!(eventually(Duration::from_secs(2), || end.is_over(clock.now())));
    let (mut client, mut vm) = (false, false);
    assert!(eventually(Duration::from_millis(50), || {
        client |= is_reset(&mut session.client);
        vm |= is_reset(&mut session.vm);
        client && vm
    }));
}

#[test]
fn a_new_guard_takes_up_what_stands_with_what_it_has_left() {
    let (net, dir) = (Net::new(), tempfile::tempdir().unwrap());
    let _ssh = listen(&net.vm, VM, 22);
    let guard = Guarded::start(&net, &dir);
    let locks = [(lock(VM, 22), Sessions::GoOn), (lock(VM6, 22), Sessions::EndWithAccess)];
    let open = [opening(CLIENT, VM, 22), opening("fd01::/64", VM6, 22)];
    let end = guard.after(Duration::from_secs(100));
    let asked = desired(&locks, open.map(|opening| (opening, end)).into());
    let before = guard.converge(asked.clone()).unwrap();
    guard.stop();
    let guard = Guarded::start(&net, &dir);
    let after = guard.observe();
    assert_eq!(after.locks, before.locks);
    assert_eq!(
        after.openings.keys().collect::<Vec<_>>(),
        before.openings.keys().collect::<Vec<_>>()
    );
    let now = guard.clock.now();
    for until in after.openings.values() {
        let (left, was) = (until.remaining(now), end.remaining(now));
        assert!(left <= was, "a restart lengthened an opening: {left:?} {was:?}");
        assert!(was - left < Duration::from_millis(200), "{left:?} {was:?}");
    }
    assert_eq!(probe(&net.client, VM, 22), Answer::Open);
    assert_eq!(guard.converge(asked).unwrap().openings.len(), 2);
}

#[test]
fn a_restart_among_many_openings_lengthens_none() {
    let (net, dir) = (Net::new(), tempfile::tempdir().unwrap());
    let guard = Guarded::start(&net, &dir);
    let end = guard.after(Duration::from_secs(100));
    let source = |n: u16| format!("10.200.{}.{}", n / 250, n % 250);
    let open = (0..5_000).map(|n| (opening(&source(n), VM, 22), end));
    guard.converge(desired(&[(lock(VM, 22), Sessions::GoOn)], open.collect())).unwrap();
    guard.stop();
    let guard = Guarded::start(&net, &dir);
    let after = guard.observe();
    let now = guard.clock.now();
    assert_eq!(after.openings.len(), 5_000);
    let latest = after.openings.values().map(|until| until.remaining(now)).max().unwrap();
    // To read them all takes a while.
    assert!(latest <= end.remaining(now), "{latest:?} {:?}", end.remaining(now));
}

#[test]
fn prolonging_leaves_no_gap_and_shortening_holds_on_old_kernels_too() {
    for features in [
        Features::of_kernel(),
        Features { update_timeout: false, ..Features::of_kernel() },
        Features { update_timeout: false, destroy: false, persist: false },
    ] {
        let (net, dir) = (Net::new(), tempfile::tempdir().unwrap());
        let _ssh = listen(&net.vm, VM, 22);
        let mut settings = Settings::new(dir.path().into(), vec!["10.0.0.0/8".parse().unwrap()]);
        settings.features = features;
        let guard = Guarded::with(&net, settings);
        let locks = [(lock(VM, 22), Sessions::GoOn)];
        let open = |length| guard.set(&locks, &[(opening(CLIENT, VM, 22), length)]);
        open(Duration::from_millis(700));
        // The same length again and again: what a kernel that compares timeouts would ignore.
        let runs = std::sync::atomic::AtomicBool::new(true);
        std::thread::scope(|scope| {
            let prober = scope.spawn(|| {
                let mut closed = 0;
                while runs.load(std::sync::atomic::Ordering::Relaxed) {
                    closed += usize::from(probe(&net.client, VM, 22) != Answer::Open);
                    nap(Duration::from_millis(4));
                }
                closed
            });
            for _ in 0..8 {
                nap(Duration::from_millis(200));
                open(Duration::from_millis(700));
            }
            runs.store(false, std::sync::atomic::Ordering::Relaxed);
            assert_eq!(prober.join().unwrap(), 0, "a gap while prolonging, {features:?}");
        });
        open(Duration::from_secs(100));
        open(Duration::from_millis(300));
        nap(Duration::from_millis(320));
        assert_eq!(probe(&net.client, VM, 22), Answer::Silent, "shortened, {features:?}");
    }
}

#[test]
fn the_floor_closes_before_any_guard_runs_and_the_guard_takes_it_up() {
    let (net, dir) = (Net::new(), tempfile::tempdir().unwrap());
    let guard = Guarded::start(&net, &dir);
    let locks = [(lock(VM, 22), Sessions::GoOn), (lock(VM6, 22), Sessions::EndWithAccess)];
    guard.set(&locks, &[(opening(CLIENT, VM, 22), LONG)]);
    guard.stop();
    let boot = Net::new();
    let _ssh = (listen(&boot.vm, VM, 22), listen(&boot.vm, VM6, 22), listen(&boot.vm, VM, 80));
    let floor = dir.path().join("floor.nft");
    boot.on_gateway(&["nft", "-f", floor.to_str().unwrap()]);
    boot.on_gateway(&["nft", "-f", floor.to_str().unwrap()]);
    assert_eq!(probe(&boot.client, VM, 22), Answer::Silent);
    assert_eq!(probe(&boot.client, VM6, 22), Answer::Silent);
    assert_eq!(probe(&boot.client, VM, 80), Answer::Open);
    let guard = Guarded::start(&boot, &dir);
    assert_eq!(guard.observe().locks.len(), 2);
    assert!(guard.observe().openings.is_empty());
    guard.set(&locks, &[(opening(CLIENT, VM, 22), LONG)]);
    assert_eq!(probe(&boot.client, VM, 22), Answer::Open);
}
