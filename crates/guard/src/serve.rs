//! Speaks the guard's protocol over a unix socket, for any guard: the kernel's, or a fake one in a demo.

use std::{
    collections::{BTreeMap, BTreeSet},
    future::Future,
    io,
    net::IpAddr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use hourgate_api::guard::{FromGuard, PROTOCOL, ToGuard};
use hourgate_core::{
    outlook::{ADDRESSES_ASKED_MAX, Asked, Outlook, PORTS_ASKED_MAX},
    plan::{Desired, Observed},
};
use hourgate_enforce::guard::{Guard, GuardError};
use tokio::{
    net::{
        UnixListener, UnixStream,
        unix::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::{Semaphore, mpsc},
};
use uuid::Uuid;

use crate::frames::{self, FrameError};

/// More servers than ever talk to one guard; each may make us hold one frame.
const CONNECTIONS_MAX: usize = 8;
/// How long a caller may take to say who it is.
const HELLO_WAIT_MAX: Duration = Duration::from_secs(10);
/// How long a caller may take to read an answer: one that does not read is hung up on.
const ANSWER_WAIT_MAX: Duration = Duration::from_secs(30);

/// A guard that can be served: it has a name for its kind, and it obeys one installation.
pub trait Served: Guard {
    /// What enforces: `nftables`, or `fake`.
    fn kind(&self) -> &str;

    /// Belongs to `installation` from now on; refused where it belongs to another.
    fn claim(&self, installation: Uuid) -> impl Future<Output = Result<(), GuardError>> + Send;

    /// What it sees of the way to addresses, and who else stands in it. Of one it says nothing about, nothing
    /// is known.
    fn look(
        &self,
        at: Asked,
    ) -> impl Future<Output = Result<BTreeMap<IpAddr, Outlook>, GuardError>> + Send;
}

/// Any guard, given a kind, and belonging to the first who says hello.
pub struct Shown<G> {
    kind: String,
    guard: G,
    owner: Mutex<Option<Uuid>>,
}

impl<G> Shown<G> {
    /// Shows `guard` as one of this kind.
    pub fn new(kind: impl Into<String>, guard: G) -> Shown<G> {
        Shown { kind: kind.into(), guard, owner: Mutex::new(None) }
    }
}

impl<G: Guard> Guard for Shown<G> {
    async fn converge(&self, desired: Arc<Desired>) -> Result<Observed, GuardError> {
        self.guard.converge(desired).await
    }

    async fn observe(&self) -> Result<Observed, GuardError> {
        self.guard.observe().await
    }

    async fn changed(&self) {
        self.guard.changed().await;
    }
}

impl<G: Guard> Served for Shown<G> {
    fn kind(&self) -> &str {
        &self.kind
    }

    async fn claim(&self, installation: Uuid) -> Result<(), GuardError> {
        let mut owner = self.owner.lock().unwrap_or_else(PoisonError::into_inner);
        let owner = *owner.get_or_insert(installation);
        if owner == installation {
            Ok(())
        } else {
            Err(GuardError::Refused(format!("this guard belongs to installation {owner}")))
        }
    }

    // It has no machine to look at.
    async fn look(&self, _at: Asked) -> Result<BTreeMap<IpAddr, Outlook>, GuardError> {
        Ok(BTreeMap::new())
    }
}

/// Who may come in, beside root and the guard's own user.
#[derive(Clone, Debug, Default)]
pub struct Door {
    /// Their user ids.
    pub allow_uids: BTreeSet<u32>,
}

impl Door {
    fn admits(&self, stream: &UnixStream) -> bool {
        let own = rustix::process::geteuid().as_raw();
        match stream.peer_cred() {
            Ok(peer) => {
                let uid = peer.uid();
                uid == 0 || uid == own || self.allow_uids.contains(&uid)
            }
            Err(_) => false,
        }
    }
}

/// Serves `guard` to everybody whom the door admits, for ever.
pub async fn serve<G: Served>(listener: UnixListener, guard: Arc<G>, door: Door) -> io::Error {
    let room = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let latest = Arc::new(Latest::default());
    loop {
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(error) if is_passing(&error) => {
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            }
            Err(error) => return error,
        };
        if !door.admits(&stream) {
            tracing::warn!("a process of another user was turned away");
            continue;
        }
        let Ok(seat) = Arc::clone(&room).try_acquire_owned() else {
            tracing::warn!("a caller was turned away: {CONNECTIONS_MAX} are here already");
            continue;
        };
        let (guard, latest) = (Arc::clone(&guard), Arc::clone(&latest));
        tokio::spawn(async move {
            if let Err(error) = converse(stream, &*guard, &latest).await {
                tracing::warn!(%error, "hung up on a caller");
            }
            drop(seat);
        });
    }
}

/// Whether accepting may succeed later: too many files are open, or the caller is gone already.
fn is_passing(error: &io::Error) -> bool {
    let errno = error.raw_os_error().map(rustix::io::Errno::from_raw_os_error);
    error.kind() == io::ErrorKind::ConnectionAborted
        || matches!(
            errno,
            Some(rustix::io::Errno::MFILE | rustix::io::Errno::NFILE | rustix::io::Errno::NOBUFS)
        )
}

/// Which conversation is the latest: it alone says what must hold. A statement that an earlier one still
/// has under way may be older than what was said since, and open again what was closed.
#[derive(Default)]
struct Latest(tokio::sync::Mutex<u64>);

impl Latest {
    /// Begins a conversation, once what an earlier one asked is done, and gives its number.
    async fn begin(&self) -> u64 {
        let mut latest = self.0.lock().await;
        *latest += 1;
        *latest
    }

    /// Does what a conversation asks, unless there is a later one.
    async fn unless_later<T>(&self, own: u64, task: impl Future<Output = T>) -> Option<T> {
        let latest = self.0.lock().await;
        if *latest == own { Some(task.await) } else { None }
    }
}

/// Why a conversation ended before the caller hung up.
#[derive(Debug, thiserror::Error)]
enum Ended {
    #[error(transparent)]
    Frame(#[from] FrameError),
    #[error("the first frame was no hello")]
    NoHello,
    #[error("the caller speaks protocol {0}, this guard {PROTOCOL}")]
    Protocol(u32),
    #[error("{0}")]
    Refused(GuardError),
    #[error("the caller has begun another conversation since")]
    Superseded,
    #[error("the caller did not speak or read in time")]
    Slow(#[from] tokio::time::error::Elapsed),
}

async fn converse<G: Served>(stream: UnixStream, guard: &G, latest: &Latest) -> Result<(), Ended> {
    let (mut read, mut write) = stream.into_split();
    let hello = FromGuard::Hello {
        protocol: PROTOCOL,
        kind: guard.kind().to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
    };
    let first = tokio::time::timeout(HELLO_WAIT_MAX, frames::read(&mut read)).await??;
    match first {
        Some(ToGuard::Hello { protocol, installation }) => {
            if protocol != PROTOCOL {
                // It says which is spoken here.
                say(&mut write, &hello).await?;
                return Err(Ended::Protocol(protocol));
            }
            // Whoever is turned away hears that first: a hello before it would look like a guard that was lost.
            if let Err(error) = guard.claim(installation).await {
                let reason = match &error {
                    GuardError::Refused(why) => why.clone(),
                    GuardError::Failed(_) | GuardError::Unreached(_) => error.to_string(),
                };
                let refused = FromGuard::Refused { id: 0, reason };
                say(&mut write, &refused).await?;
                return Err(Ended::Refused(error));
            }
        }
        Some(ToGuard::Converge { .. } | ToGuard::Observe { .. } | ToGuard::Look { .. }) => {
            return Err(Ended::NoHello);
        }
        None => return Ok(()),
    }
    say(&mut write, &hello).await?;
    let own = latest.begin().await;
    answer(read, write, guard, (latest, own)).await
}

/// Answers each question in order, and says when something changed by itself.
async fn answer<G: Served>(
    read: OwnedReadHalf,
    mut write: OwnedWriteHalf,
    guard: &G,
    (latest, own): (&Latest, u64),
) -> Result<(), Ended> {
    let (ask, mut asked) = mpsc::channel(1);
    let reader = tokio::spawn(listen(read, ask));
    let changed = guard.changed();
    tokio::pin!(changed);
    let ended = loop {
        let next = tokio::select! {
            biased;
            frame = asked.recv() => frame,
            () = &mut changed => {
                changed.set(guard.changed());
                let what = "the guard repaired what others changed".to_owned();
                if let Err(error) = say(&mut write, &FromGuard::Changed { what }).await {
                    break Err(error);
                }
                continue;
            }
        };
        let answer = match next {
            None => break Ok(()),
            Some(Err(error)) => break Err(Ended::Frame(error)),
            Some(Ok(ToGuard::Hello { .. })) => break Err(Ended::NoHello),
            Some(Ok(ToGuard::Converge { id, desired })) => {
                match latest.unless_later(own, guard.converge(desired)).await {
                    Some(result) => told(id, result),
                    None => break Err(Ended::Superseded),
                }
            }
            Some(Ok(ToGuard::Observe { id })) => told(id, guard.observe().await),
            Some(Ok(ToGuard::Look { id, at })) => looked(id, look(guard, at).await),
        };
        if let Err(error) = say(&mut write, &answer).await {
            break Err(error);
        }
    };
    reader.abort();
    ended
}

/// Reads frame by frame. A frame is never read half, whatever else happens meanwhile.
async fn listen(mut read: OwnedReadHalf, ask: mpsc::Sender<Result<ToGuard, FrameError>>) {
    while let Some(frame) = frames::read(&mut read).await.transpose() {
        let over = frame.is_err();
        if ask.send(frame).await.is_err() || over {
            return;
        }
    }
}

/// Looks, if no more is asked than an honest server would.
async fn look<G: Served>(guard: &G, at: Asked) -> Result<BTreeMap<IpAddr, Outlook>, GuardError> {
    if at.len() > ADDRESSES_ASKED_MAX || at.values().any(|ports| ports.len() > PORTS_ASKED_MAX) {
        return Err(GuardError::Refused("more is asked about than a machine has".to_owned()));
    }
    guard.look(at).await
}

fn told(id: u64, result: Result<Observed, GuardError>) -> FromGuard {
    said(id, result.map(|observed| FromGuard::Observed { id, observed }))
}

fn looked(id: u64, result: Result<BTreeMap<IpAddr, Outlook>, GuardError>) -> FromGuard {
    said(id, result.map(|outlooks| FromGuard::Looked { id, outlooks }))
}

fn said(id: u64, answer: Result<FromGuard, GuardError>) -> FromGuard {
    match answer {
        Ok(answer) => answer,
        Err(GuardError::Refused(reason)) => FromGuard::Refused { id, reason },
        Err(GuardError::Failed(reason) | GuardError::Unreached(reason)) => {
            tracing::error!(%reason, "the guard could not do what it was told");
            FromGuard::Failed { id, reason }
        }
    }
}

async fn say(write: &mut OwnedWriteHalf, frame: &FromGuard) -> Result<(), Ended> {
    tokio::time::timeout(ANSWER_WAIT_MAX, frames::write(write, frame)).await??;
    Ok(())
}
