//! The socket client against a guard in memory behind a real socket, and against peers that misbehave.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use hourgate_api::guard::{FRAME_BYTES_MAX, FromGuard, PROTOCOL, ToGuard, encode};
use hourgate_core::{
    network::{Lock, Opening, Port, Sessions},
    plan::{Coverage, Desired},
    policy::GuardCover,
    time::Clock,
};
use hourgate_enforce::{
    fake::FakeGuard,
    guard::{Guard, GuardError},
};
use tokio::{
    io::AsyncWriteExt,
    net::{UnixListener, UnixStream},
    task::JoinHandle,
    time::timeout,
};
use uuid::Uuid;

use super::{
    Met, StartGuard, frames,
    socket::{Link, SocketGuard},
    supervise,
};
use crate::clock::SystemClock;

const INSTALLATION: Uuid = Uuid::from_u128(1);

struct Lab {
    dir: tempfile::TempDir,
    clock: Arc<dyn Clock>,
    fake: FakeGuard,
}

impl Lab {
    fn new() -> Lab {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::new().unwrap());
        let fake = FakeGuard::new(Arc::clone(&clock));
        Lab { dir: tempfile::tempdir().unwrap(), clock, fake }
    }

    fn socket(&self) -> PathBuf {
        self.dir.path().join("guard.sock")
    }

    /// Serves the guard in memory over the socket.
    fn serve(&self) -> JoinHandle<()> {
        let _ = std::fs::remove_file(self.socket());
        let listener = UnixListener::bind(self.socket()).unwrap();
        let fake = self.fake.clone();
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                converse(stream, &fake).await;
            }
        })
    }

    /// What must hold for some machines with some sources each.
    fn desired(&self, machines: u8, sources: u16) -> Arc<Desired> {
        let until = self.clock.now().after(Duration::from_secs(3600));
        let mut locks = BTreeMap::new();
        let mut openings = BTreeMap::new();
        for machine in 1..=machines {
            let (address, port) = (IpAddr::from([10, 0, 0, machine]), Port::new(22).unwrap());
            locks.insert(Lock { address, port }, Sessions::GoOn);
            for number in 0..sources {
                let [high, low] = number.to_be_bytes();
                let source = IpAddr::from([203, 0, high, low]);
                openings.insert(Opening::new(source.into(), address, port).unwrap(), until);
            }
        }
        let desired = Desired {
            coverage: Coverage::All,
            locks,
            released: BTreeSet::new(),
            openings,
            standing: Default::default(),
            screens: Default::default(),
            translations: Default::default(),
        };
        Arc::new(desired)
    }
}

/// Answers one server until it hangs up.
async fn converse(mut stream: UnixStream, fake: &FakeGuard) {
    hello(&mut stream, PROTOCOL).await;
    loop {
        let answer = tokio::select! {
            asked = frames::read::<ToGuard, _>(&mut stream) => match asked {
                Ok(ToGuard::Converge { id, desired }) => match fake.converge(desired).await {
                    Ok(observed) => FromGuard::Observed { id, observed },
                    Err(GuardError::Refused(reason)) => FromGuard::Refused { id, reason },
                    Err(error) => FromGuard::Failed { id, reason: error.to_string() },
                },
                Ok(ToGuard::Observe { id }) => {
                    FromGuard::Observed { id, observed: fake.observe().await.unwrap() }
                }
                Ok(ToGuard::Look { id, .. }) => {
                    FromGuard::Looked { id, outlooks: BTreeMap::new() }
                }
                Ok(ToGuard::Hello { .. }) => panic!("a second hello"),
                Err(_) => return,
            },
            () = fake.changed() => FromGuard::Changed { what: "told to".to_owned() },
        };
        if frames::write(&mut stream, &encode(&answer).unwrap()).await.is_err() {
            return;
        }
    }
}

async fn hello(stream: &mut UnixStream, protocol: u32) {
    let said: ToGuard = frames::read(stream).await.unwrap();
    assert_eq!(said, ToGuard::Hello { protocol: PROTOCOL, installation: INSTALLATION });
    let hello = FromGuard::Hello { protocol, kind: "fake".to_owned(), version: "0".to_owned() };
    frames::write(stream, &encode(&hello).unwrap()).await.unwrap();
}

async fn reach(guard: &SocketGuard) {
    let mut link = guard.link();
    let up = link.wait_for(|link| *link == Link::Up);
    timeout(Duration::from_secs(10), up).await.expect("reached").unwrap();
}

#[tokio::test]
async fn asks_are_answered_and_changes_told() {
    let lab = Lab::new();
    let _served = lab.serve();
    let guard = SocketGuard::connect(lab.socket(), INSTALLATION);
    reach(&guard).await;
    let met = Met { kind: "fake".to_owned(), version: "0".to_owned() };
    assert_eq!(*guard.met().borrow(), Some(met));
    timeout(Duration::from_secs(5), guard.changed()).await.expect("reached is a change");
    let desired = lab.desired(2, 3);
    let observed = guard.converge(desired.clone()).await.unwrap();
    assert_eq!((&observed.locks, &observed.openings), (&desired.locks, &desired.openings));
    assert_eq!(lab.fake.openings(), desired.openings);
    assert_eq!(guard.observe().await.unwrap(), observed);
    lab.fake.refuse(true);
    assert!(matches!(guard.converge(desired).await, Err(GuardError::Refused(_))));
    lab.fake.forget();
    timeout(Duration::from_secs(5), guard.changed()).await.expect("told of a change");
}

#[tokio::test]
async fn many_questions_at_once_each_get_their_own_answer() {
    let lab = Lab::new();
    let _served = lab.serve();
    let guard = Arc::new(SocketGuard::connect(lab.socket(), INSTALLATION));
    reach(&guard).await;
    let all = lab.desired(100, 1);
    let mut asked = Vec::new();
    for lock in all.locks.keys() {
        let address = lock.address;
        let mine = Desired {
            coverage: Coverage::Only(BTreeSet::from([address])),
            standing: Default::default(),
            screens: Default::default(),
            translations: Default::default(),
            locks: all
                .locks
                .iter()
                .filter(|(l, _)| l.address == address)
                .map(|(l, s)| (*l, *s))
                .collect(),
            released: BTreeSet::new(),
            openings: all
                .openings
                .iter()
                .filter(|(o, _)| o.address() == address)
                .map(|(o, u)| (*o, *u))
                .collect(),
        };
        let guard = Arc::clone(&guard);
        asked.push(tokio::spawn(async move {
            let told = Arc::new(mine.clone());
            (mine, guard.converge(told).await)
        }));
    }
    for answer in asked {
        let (mine, observed) = answer.await.unwrap();
        assert_eq!(observed.unwrap().openings, mine.openings);
    }
}

#[tokio::test]
async fn a_large_statement_goes_there_and_back() {
    let lab = Lab::new();
    let _served = lab.serve();
    let guard = SocketGuard::connect(lab.socket(), INSTALLATION);
    reach(&guard).await;
    let desired = lab.desired(10, 2_000);
    let observed = guard.converge(desired.clone()).await.unwrap();
    assert_eq!(observed.openings, desired.openings);
}

#[tokio::test]
async fn a_guard_that_went_away_is_unreached_and_found_again() {
    let lab = Lab::new();
    let guard = SocketGuard::connect(lab.socket(), INSTALLATION);
    let mut link = guard.link();
    link.wait_for(|link| matches!(link, Link::Absent(_))).await.unwrap();
    let why = guard.observe().await.unwrap_err().to_string();
    assert!(why.contains("guard.sock: nobody listens there"), "{why}");

    let served = lab.serve();
    reach(&guard).await;
    guard.observe().await.unwrap();
    // A question under way is answered with the loss, not left waiting.
    lab.fake.lag(true);
    let (lost, ()) = tokio::join!(guard.observe(), async {
        tokio::task::yield_now().await;
        served.abort();
    });
    assert!(matches!(lost, Err(GuardError::Unreached(_))), "{lost:?}");
    lab.fake.lag(false);
    let _served = lab.serve();
    reach(&guard).await;
    guard.observe().await.unwrap();
}

/// What the client says of a peer that sends `bytes` after the client's hello.
async fn told_by(bytes: &[u8]) -> String {
    let lab = Lab::new();
    let listener = UnixListener::bind(lab.socket()).unwrap();
    let guard = SocketGuard::connect(lab.socket(), INSTALLATION);
    let (mut stream, _) = listener.accept().await.unwrap();
    let _: ToGuard = frames::read(&mut stream).await.unwrap();
    stream.write_all(bytes).await.unwrap();
    stream.shutdown().await.unwrap();
    let mut link = guard.link();
    let broken = |link: &Link| matches!(link, Link::Broken(_));
    timeout(Duration::from_secs(10), link.wait_for(broken)).await.expect("broken").unwrap();
    guard.observe().await.unwrap_err().to_string()
}

#[tokio::test]
async fn a_peer_that_is_no_guard_of_this_protocol_is_hung_up_on() {
    let frame = |frame: &FromGuard| encode(frame).unwrap();
    let hello = |protocol| {
        frame(&FromGuard::Hello { protocol, kind: "fake".to_owned(), version: "9".to_owned() })
    };
    let refused = FromGuard::Refused { id: 0, reason: "belongs to another".to_owned() };
    let too_long = u32::try_from(FRAME_BYTES_MAX + 1).unwrap().to_be_bytes();
    for (why, bytes, said) in [
        ("another protocol", hello(PROTOCOL + 1), "speaks protocol 4, this server 3"),
        ("another installation's", frame(&refused), "refused: belongs to another"),
        ("no hello", frame(&FromGuard::Changed { what: String::new() }), "did not say hello first"),
        ("no JSON", [&9u32.to_be_bytes()[..], b"not json!"].concat(), "not understood"),
        ("too long", too_long.to_vec(), "longer than"),
        ("cut short", hello(PROTOCOL)[..9].to_vec(), "the connection broke"),
        ("nothing", Vec::new(), "the guard hung up"),
        ("hello twice", [hello(PROTOCOL), hello(PROTOCOL)].concat(), "says hello again"),
        ("garbage later", [hello(PROTOCOL), vec![0, 0, 0, 1, b'{']].concat(), "not understood"),
    ] {
        let told = told_by(&bytes).await;
        assert!(told.contains(said), "{why}: {told}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_guard_that_does_not_answer_is_given_up_and_called_again() {
    let lab = Lab::new();
    let listener = UnixListener::bind(lab.socket()).unwrap();
    let guard = SocketGuard::connect(lab.socket(), INSTALLATION);
    let (mut silent, _) = listener.accept().await.unwrap();
    hello(&mut silent, PROTOCOL).await;
    reach(&guard).await;
    let answer = guard.converge(lab.desired(1, 1)).await;
    assert!(
        matches!(&answer, Err(GuardError::Unreached(why)) if why.contains("no answer")),
        "{answer:?}"
    );
    let (mut again, _) = listener.accept().await.unwrap();
    hello(&mut again, PROTOCOL).await;
    reach(&guard).await;
}

/// A program that writes down how it was called, and ends.
fn program(dir: &Path) -> PathBuf {
    let path = dir.join("program");
    let calls = dir.join("calls");
    std::fs::write(&path, format!("#!/bin/sh\necho \"$@\" >> {}\necho said\n", calls.display()))
        .unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    path
}

#[tokio::test]
async fn the_local_guard_is_started_where_nobody_listens_and_again_when_it_ends() {
    let lab = Lab::new();
    let guard = SocketGuard::connect(lab.socket(), INSTALLATION);
    let (dir, socket) = (lab.dir.path().to_owned(), lab.socket());
    let start =
        StartGuard { program: program(&dir), state_dir: dir.clone(), log: dir.join("guard.log") };
    let cover = GuardCover::everything("local");
    let supervisor = tokio::spawn(supervise::run(guard.link(), socket.clone(), cover, start));
    let calls = || std::fs::read_to_string(dir.join("calls")).unwrap_or_default();
    let twice = async {
        while calls().lines().count() < 2 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(Duration::from_secs(20), twice).await.expect("started twice");
    let called = calls();
    let expected = format!(
        "guard --socket {} --state-dir {} --covers 0.0.0.0/0 --covers ::/0",
        socket.display(),
        dir.display()
    );
    assert_eq!(called.lines().next().unwrap(), expected);
    assert!(std::fs::read_to_string(dir.join("guard.log")).unwrap().contains("said"));
    let mode = std::fs::metadata(dir.join("guard.log")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);

    // Somebody listens: nobody is started.
    let _served = lab.serve();
    reach(&guard).await;
    tokio::time::sleep(Duration::from_millis(50)).await;
    let before = calls().lines().count();
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert!(calls().lines().count() <= before + 1, "started beside one that answers");
    supervisor.abort();
}
