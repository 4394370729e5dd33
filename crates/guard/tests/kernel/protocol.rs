//! What the guard refuses by itself, and what it does with callers who do not speak its language.

use std::{collections::BTreeSet, os::unix::fs::PermissionsExt, sync::Arc, time::Duration};

use hourgate_api::guard::{FRAME_BYTES_MAX, FromGuard, PROTOCOL, ToGuard};
use hourgate_core::{
    network::Sessions,
    plan::{Coverage, Desired, OpeningFailure},
};
use hourgate_enforce::guard::GuardError;
use hourgate_guard::{Config, Door, RunError, Settings, StartError, frames, remove, run, serve};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{UnixListener, UnixStream},
};
use uuid::Uuid;

use crate::support::*;

const LONG: Duration = Duration::from_secs(600);

fn narrow(net: &Net, dir: &tempfile::TempDir) -> Guarded {
    let covers = vec!["10.2.0.0/24".parse().unwrap()];
    Guarded::with(net, Settings::new(dir.path().into(), covers))
}

#[test]
fn what_no_honest_server_asks_is_refused() {
    let (net, dir) = (Net::new(), tempfile::tempdir().unwrap());
    let guard = narrow(&net, &dir);
    let locks = [(lock(VM, 22), Sessions::GoOn)];
    guard.set(&locks, &[(opening(CLIENT, VM, 22), LONG)]);
    let before = guard.observe();

    let far = guard.converge(desired(&[(lock("10.3.0.1", 22), Sessions::GoOn)], [].into()));
    assert!(matches!(far, Err(GuardError::Refused(_))), "{far:?}");
    let mut partial = desired(&locks, [].into());
    partial.coverage = Coverage::Only([VM_2.parse().unwrap()].into());
    assert!(matches!(guard.converge(partial), Err(GuardError::Refused(_))));
    assert_eq!(guard.observe(), before, "a refusal changes nothing");

    let day = Duration::from_secs(24 * 3600);
    let observed = guard.set(
        &locks,
        &[
            (opening(CLIENT, VM, 22), LONG),
            (opening("10.1.0.9", VM, 22), day + Duration::from_secs(5)),
            (opening("10.1.0.8", VM, 22), day),
            (opening(CLIENT, "10.3.0.1", 22), LONG),
            (opening(CLIENT, VM, 23), LONG),
            (opening(CLIENT_2, VM, 22), Duration::ZERO),
        ],
    );
    assert_eq!(observed.openings.len(), 2);
    let failed: Vec<_> = observed.failed.values().cloned().collect();
    let expected =
        [OpeningFailure::TooFarAhead, OpeningFailure::NotLocked, OpeningFailure::NotCovered];
    assert_eq!(failed, expected, "what has nothing left is neither open nor a failure");

    // An unlock that nobody signed off is none, and a signed one takes the openings with it.
    assert_eq!(guard.converge(desired(&[], [].into())).unwrap().locks.len(), 1);
    guard.set(&locks, &[(opening(CLIENT, VM, 22), LONG)]);
    let mut released = desired(&[], [(opening(CLIENT, VM, 22), guard.after(LONG))].into());
    released.released = BTreeSet::from([lock(VM, 22)]);
    let observed = guard.converge(released).unwrap();
    assert!(observed.locks.is_empty() && observed.openings.is_empty(), "{observed:?}");
    assert_eq!(observed.failed.values().next(), Some(&OpeningFailure::NotLocked));
}

#[test]
fn the_same_statement_again_changes_nothing() {
    let (net, dir) = (Net::new(), tempfile::tempdir().unwrap());
    let guard = Guarded::start(&net, &dir);
    let end = guard.after(LONG);
    let locks = [(lock(VM, 22), Sessions::GoOn), (lock(VM6, 22), Sessions::EndWithAccess)];
    let asked = desired(&locks, [(opening(CLIENT, VM, 22), end)].into());
    let first = guard.converge(asked.clone()).unwrap();
    let generation = || net.on_gateway(&["nft", "-j", "list", "ruleset"]).replace("expires", "");
    let before = generation().len();
    assert_eq!(guard.converge(asked).unwrap(), first);
    assert!(generation().len().abs_diff(before) < 8);
    assert_eq!(first.openings[&opening(CLIENT, VM, 22)], end);
}

/// Says hello, and what is answered first.
async fn greeted(path: &std::path::Path, installation: u128) -> (UnixStream, Option<FromGuard>) {
    let mut stream = UnixStream::connect(path).await.unwrap();
    let installation = Uuid::from_u128(installation);
    let hello = ToGuard::Hello { protocol: PROTOCOL, installation };
    frames::write(&mut stream, &hello).await.unwrap();
    let first = frames::read(&mut stream).await.unwrap();
    (stream, first)
}

async fn hello(path: &std::path::Path, installation: u128) -> UnixStream {
    let (stream, first) = greeted(path, installation).await;
    assert!(matches!(first, Some(FromGuard::Hello { protocol: PROTOCOL, .. })), "{first:?}");
    stream
}

#[test]
fn a_guard_obeys_one_installation_and_hangs_up_on_garbage() {
    let (net, dir) = (Net::new(), tempfile::tempdir().unwrap());
    let guard = Guarded::start(&net, &dir);
    let path = dir.path().join("guard.sock");
    let served = Arc::clone(&guard.guard);
    let at = path.clone();
    guard.handle.spawn(async move {
        let listener = UnixListener::bind(at).unwrap();
        serve(listener, served, Door::default()).await
    });
    assert!(eventually(Duration::from_secs(5), || path.exists()));
    guard.handle.block_on(async {
        let mut ours = hello(&path, 1).await;
        for garbage in [
            b"\0\0\0\x04junk".to_vec(),
            (u32::try_from(FRAME_BYTES_MAX).unwrap() + 1).to_be_bytes().to_vec(),
            b"\0\0\0\x02{}".to_vec(),
            br#"{"observe":{}}"#.to_vec(),
        ] {
            let mut stream = UnixStream::connect(&path).await.unwrap();
            stream.write_all(&garbage).await.unwrap();
            stream.shutdown().await.unwrap();
            assert_eq!(stream.read(&mut [0]).await.unwrap_or(0), 0, "not hung up on");
        }
        // The reason comes first: a hello before it would look like a guard that was lost.
        let (mut other, refused) = greeted(&path, 2).await;
        let Some(FromGuard::Refused { reason, .. }) = refused else { panic!("{refused:?}") };
        assert!(reason.contains("keeps the rules of installation"), "{reason}");
        assert!(frames::read::<FromGuard, _>(&mut other).await.unwrap().is_none());
        frames::write(&mut ours, &ToGuard::Observe { id: 9 }).await.unwrap();
        let answer = frames::read(&mut ours).await.unwrap();
        assert!(matches!(answer, Some(FromGuard::Observed { id: 9, .. })), "{answer:?}");
    });
    // Also after a restart, and without the state directory: the table itself says whose it is.
    guard.stop();
    let empty = tempfile::tempdir().unwrap();
    let guard = Guarded::start(&net, &empty);
    let claim = hourgate_guard::Served::claim(&*guard.guard, Uuid::from_u128(2));
    assert!(matches!(guard.handle.block_on(claim), Err(GuardError::Refused(_))));
}

#[test]
fn a_statement_of_an_earlier_conversation_opens_nothing_again() {
    let (net, dir) = (Net::new(), tempfile::tempdir().unwrap());
    let guard = Guarded::start(&net, &dir);
    let path = dir.path().join("guard.sock");
    let served = Arc::clone(&guard.guard);
    let listener = guard.handle.block_on(async { UnixListener::bind(&path).unwrap() });
    guard.handle.spawn(async move { serve(listener, served, Door::default()).await });
    let locks = [(lock(VM, 22), Sessions::GoOn)];
    let open = desired(&locks, [(opening(CLIENT, VM, 22), guard.after(LONG))].into());
    let closed = desired(&locks, [].into());
    let says = async |stream: &mut UnixStream, desired: Desired| {
        frames::write(stream, &ToGuard::Converge { id: 1, desired: desired.into() }).await.unwrap();
        frames::read::<FromGuard, _>(stream).await.unwrap_or(None)
    };
    guard.handle.block_on(async {
        let mut earlier = hello(&path, 1).await;
        assert!(matches!(says(&mut earlier, open.clone()).await, Some(FromGuard::Observed { .. })));
        let mut later = hello(&path, 1).await;
        assert!(matches!(says(&mut later, closed.clone()).await, Some(FromGuard::Observed { .. })));
        assert_eq!(says(&mut earlier, open).await, None, "hung up on");
        assert!(matches!(says(&mut later, closed).await, Some(FromGuard::Observed { .. })));
    });
    assert!(guard.observe().openings.is_empty());
}

#[test]
fn removal_says_what_it_opens_and_is_refused_while_a_guard_runs() {
    let (net, dir) = (Net::new(), tempfile::tempdir().unwrap());
    let _ssh = listen(&net.vm, VM, 22);
    let guard = Guarded::start(&net, &dir);
    guard.set(&[(lock(VM, 22), Sessions::GoOn)], &[]);
    let would = within(&net.gateway, || remove::would_open(dir.path()).unwrap());
    assert_eq!(would, BTreeSet::from([lock(VM, 22)]));
    let refused = within(&net.gateway, || remove::remove(dir.path()));
    assert!(matches!(refused, Err(remove::RemoveError::Running)), "{refused:?}");
    guard.stop();
    assert_eq!(probe(&net.client, VM, 22), Answer::Silent);
    let opened = within(&net.gateway, || remove::remove(dir.path()).unwrap());
    assert_eq!(opened, would);
    assert_eq!(probe(&net.client, VM, 22), Answer::Open);
    assert!(!dir.path().join("floor.nft").exists());
}

#[test]
fn a_guard_does_not_take_the_place_of_another_or_of_a_file() {
    let (net, dir) = (Net::new(), tempfile::tempdir().unwrap());
    let config = |name: &str| Config {
        socket: dir.path().join(name),
        state_dir: dir.path().to_path_buf(),
        covers: Vec::new(),
        allow_uids: Vec::new(),
    };
    std::fs::write(dir.path().join("file"), "mine").unwrap();
    let refused = within(&net.gateway, || run(&config("file")));
    assert!(matches!(refused, Err(RunError::NotASocket(_))), "{refused:?}");
    assert_eq!(std::fs::read_to_string(dir.path().join("file")).unwrap(), "mine");

    // Somebody lives at the socket, but over another directory.
    let _living = std::os::unix::net::UnixListener::bind(dir.path().join("taken")).unwrap();
    let refused = within(&net.gateway, || run(&config("taken")));
    assert!(matches!(refused, Err(RunError::Running(_))), "{refused:?}");

    // A socket that nobody answers at is replaced.
    drop(std::os::unix::net::UnixListener::bind(dir.path().join("guard.sock")).unwrap());
    let child = process(&net, &dir);
    let answers = || std::os::unix::net::UnixStream::connect(dir.path().join("guard.sock")).is_ok();
    assert!(eventually(Duration::from_secs(10), answers));
    let mode = std::fs::metadata(dir.path().join("guard.sock")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let refused = within(&net.gateway, || run(&config("other.sock")));
    assert!(matches!(refused, Err(RunError::Running(_))), "{refused:?}");
    // Nor does one over another directory get hold of the table.
    let other = tempfile::tempdir().unwrap();
    let settings = Config { state_dir: other.path().into(), ..config("third.sock") };
    let refused = within(&net.gateway, || run(&settings));
    assert!(matches!(refused, Err(RunError::Start(StartError::Owned(_)))), "{refused:?}");
    // Its threads have the two capabilities that are needed; the harness's own thread has all.
    let tasks = std::fs::read_dir(format!("/proc/{}/task", child.id())).unwrap();
    let capabilities = tasks.map(|task| {
        let status = std::fs::read_to_string(task.unwrap().path().join("status")).unwrap();
        let line = status.lines().find(|line| line.starts_with("CapEff:")).unwrap();
        line["CapEff:".len()..].trim().to_owned()
    });
    let shed = capabilities.filter(|held| held == "0000000000003000").count();
    assert!(shed >= 3, "{shed}");
}
