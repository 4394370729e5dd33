//! A guard behind a unix socket: connects, says hello, asks, and connects again when it is lost.

use std::{
    collections::BTreeMap,
    io::ErrorKind,
    net::IpAddr,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use hourgate_api::guard::{FromGuard, PROTOCOL, ToGuard, encode};
use hourgate_core::{
    outlook::{self, Outlook},
    plan::{Coverage, Desired, Observed},
};
use hourgate_enforce::guard::{Guard, GuardError};
use tokio::{
    io::{AsyncRead, AsyncWrite, split},
    net::UnixStream,
    sync::{Notify, mpsc, oneshot, watch},
    task::{AbortHandle, spawn_blocking},
    time::{Instant, sleep, timeout},
};
use uuid::Uuid;

use super::{
    Met,
    frames::{self, FrameError},
};

/// How long a guard may take to say hello.
const HELLO_MAX: Duration = Duration::from_secs(5);
/// How long a guard may take to answer. Past that it is hung up on: what it holds closes by itself.
const ANSWER_MAX: Duration = Duration::from_secs(15);
/// The pause before the first new attempt to connect; it doubles.
const PAUSE_MIN: Duration = Duration::from_millis(10);
/// The longest such pause: a local connect costs little, and a guard that starts is to be found soon.
const PAUSE_MAX: Duration = Duration::from_millis(200);
/// How many questions may be under way at once.
const QUESTIONS_MAX: usize = 64;
/// From this many openings on a question is put into bytes aside.
const LARGE_OPENINGS: usize = 500;

/// A guard on the other side of a unix socket.
pub(super) struct SocketGuard {
    wire: Arc<Wire>,
    task: AbortHandle,
}

/// How it stands with the connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Link {
    /// Not tried yet.
    Trying,
    /// Nobody listens on the socket.
    Absent(String),
    /// Somebody listens who could not be spoken with.
    Broken(String),
    /// It answers.
    Up,
}

/// What a guard answers to a question.
enum Answer {
    Observed(Observed),
    Looked(BTreeMap<IpAddr, Outlook>),
}

impl Answer {
    fn observed(self) -> Result<Observed, GuardError> {
        match self {
            Answer::Observed(observed) => Ok(observed),
            Answer::Looked(_) => Err(beside_the_point()),
        }
    }

    fn looked(self) -> Result<BTreeMap<IpAddr, Outlook>, GuardError> {
        match self {
            Answer::Looked(outlooks) => Ok(outlooks),
            Answer::Observed(_) => Err(beside_the_point()),
        }
    }
}

fn beside_the_point() -> GuardError {
    GuardError::Failed("it answered something that was not asked".to_owned())
}

/// Asks a guard what it sees, beside what is told to it.
#[derive(Clone)]
pub(super) struct Looker {
    wire: Arc<Wire>,
}

impl Looker {
    /// What the guard sees of the way to addresses.
    pub(super) async fn look(
        &self,
        at: outlook::Asked,
    ) -> Result<BTreeMap<IpAddr, Outlook>, GuardError> {
        self.wire.ask(false, |id| ToGuard::Look { id, at }).await?.looked()
    }
}

struct Wire {
    socket: PathBuf,
    installation: Uuid,
    link: watch::Sender<Link>,
    /// What the guard said it was, when it last said hello.
    met: watch::Sender<Option<Met>>,
    /// Where frames go while the link is up.
    out: Mutex<Option<mpsc::Sender<Vec<u8>>>>,
    waiting: Mutex<BTreeMap<u64, oneshot::Sender<Result<Answer, GuardError>>>>,
    next: AtomicU64,
    changed: Notify,
    hang_up: Notify,
}

impl SocketGuard {
    /// Begins to connect, and goes on doing so. To be called within a tokio runtime.
    pub(super) fn connect(socket: PathBuf, installation: Uuid) -> SocketGuard {
        let (link, _) = watch::channel(Link::Trying);
        let (met, _) = watch::channel(None);
        let wire = Arc::new(Wire {
            socket,
            installation,
            link,
            met,
            out: Mutex::default(),
            waiting: Mutex::default(),
            next: AtomicU64::new(1),
            changed: Notify::new(),
            hang_up: Notify::new(),
        });
        let task = tokio::spawn(Arc::clone(&wire).stay_connected()).abort_handle();
        SocketGuard { wire, task }
    }

    /// How it stands with the connection, from now on.
    pub(super) fn link(&self) -> watch::Receiver<Link> {
        self.wire.link.subscribe()
    }

    /// A way to ask it what it sees.
    pub(super) fn looker(&self) -> Looker {
        Looker { wire: Arc::clone(&self.wire) }
    }

    /// What the guard said it was, from now on; none until it was reached.
    pub(super) fn met(&self) -> watch::Receiver<Option<Met>> {
        self.wire.met.subscribe()
    }
}

impl Drop for SocketGuard {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Guard for SocketGuard {
    async fn converge(&self, desired: Arc<Desired>) -> Result<Observed, GuardError> {
        let large = desired.openings.len() >= LARGE_OPENINGS;
        self.wire.ask(large, |id| ToGuard::Converge { id, desired }).await?.observed()
    }

    async fn observe(&self) -> Result<Observed, GuardError> {
        let observed = self.wire.ask(false, |id| ToGuard::Observe { id }).await?.observed()?;
        match observed.coverage {
            Coverage::All => Ok(observed),
            Coverage::Only(_) => {
                Err(GuardError::Failed("asked about everything, it spoke of a part".to_owned()))
            }
        }
    }

    async fn changed(&self) {
        self.wire.changed.notified().await;
    }
}

impl Wire {
    async fn ask(
        &self,
        large: bool,
        question: impl FnOnce(u64) -> ToGuard,
    ) -> Result<Answer, GuardError> {
        let Some(out) = locked(&self.out).clone() else {
            return Err(GuardError::Unreached(self.why()));
        };
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        let question = question(id);
        let frame = if large {
            let made = spawn_blocking(move || encode(&question)).await;
            made.map_err(|_| GuardError::Failed(FrameError::Stopping.to_string()))?
        } else {
            encode(&question)
        };
        let frame = frame.map_err(|error| GuardError::Failed(error.to_string()))?;
        let (answer, answered) = oneshot::channel();
        locked(&self.waiting).insert(id, answer);
        let asked = Asked { wire: self, id };
        if out.send(frame).await.is_err() {
            return Err(GuardError::Unreached(self.why()));
        }
        // The link may have gone down between the look at it and the question: nobody would answer it.
        if out.is_closed() {
            return Err(GuardError::Unreached(self.why()));
        }
        drop(out);
        match timeout(ANSWER_MAX, answered).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(_)) => Err(GuardError::Unreached(self.why())),
            Err(_) => {
                drop(asked);
                self.hang_up.notify_one();
                let seconds = ANSWER_MAX.as_secs();
                Err(GuardError::Unreached(format!("no answer within {seconds} s")))
            }
        }
    }

    /// Why nobody answers, for people.
    fn why(&self) -> String {
        let socket = self.socket.display();
        match &*self.link.borrow() {
            Link::Trying => format!("{socket}: not connected yet"),
            Link::Absent(why) | Link::Broken(why) => format!("{socket}: {why}"),
            Link::Up => format!("{socket}: the connection was lost"),
        }
    }

    async fn stay_connected(self: Arc<Self>) {
        let mut pause = PAUSE_MIN;
        let mut told: Option<Link> = None;
        loop {
            let link = match connect(&self.socket).await {
                Ok(stream) => {
                    let begun = Instant::now();
                    let error = self.session(stream).await;
                    if *self.link.borrow() == Link::Up {
                        tracing::warn!(socket = %self.socket.display(), %error, "guard lost");
                        // One that hangs up on us each time is not called a hundred times a second.
                        if begun.elapsed() > PAUSE_MAX {
                            pause = PAUSE_MIN;
                        }
                        told = None;
                    }
                    Link::Broken(error.to_string())
                }
                Err(link) => link,
            };
            *locked(&self.out) = None;
            self.link.send_if_modified(|old| {
                let new = *old != link;
                old.clone_from(&link);
                new
            });
            // Said once for each reason; not at once, because one that was just started is on its way.
            if pause == PAUSE_MAX && told.as_ref() != Some(&link) {
                tracing::warn!(why = self.why(), "a guard is not reached: nothing opens on it");
                told = Some(link);
            }
            // Whoever waits for an answer learns that none will come.
            locked(&self.waiting).clear();
            sleep(pause).await;
            pause = (pause * 2).min(PAUSE_MAX);
        }
    }

    /// Speaks with a guard until that is no longer possible, and says why.
    async fn session<S: AsyncRead + AsyncWrite>(&self, stream: S) -> FrameError {
        let (mut reader, mut writer) = split(stream);
        let hello = ToGuard::Hello { protocol: PROTOCOL, installation: self.installation };
        let greeted = async {
            frames::write(&mut writer, &encode(&hello)?).await?;
            frames::read::<FromGuard, _>(&mut reader).await
        };
        match timeout(HELLO_MAX, greeted).await {
            Ok(Ok(FromGuard::Hello { protocol: PROTOCOL, kind, version })) => {
                tracing::info!(socket = %self.socket.display(), kind, version, "guard reached");
                self.met.send_replace(Some(Met { kind, version }));
            }
            Ok(Ok(FromGuard::Hello { protocol, version, .. })) => {
                return unfit(format!(
                    "guard {version} speaks protocol {protocol}, this server {PROTOCOL}"
                ));
            }
            Ok(Ok(FromGuard::Refused { reason, .. })) => {
                return unfit(format!("refused: {reason}"));
            }
            Ok(Ok(
                FromGuard::Observed { .. }
                | FromGuard::Looked { .. }
                | FromGuard::Failed { .. }
                | FromGuard::Changed { .. },
            )) => return unfit("it did not say hello first".to_owned()),
            Ok(Err(error)) => return error,
            Err(_) => return unfit("it does not say hello".to_owned()),
        }
        let (out, mut frames_out) = mpsc::channel(QUESTIONS_MAX);
        *locked(&self.out) = Some(out);
        self.link.send_replace(Link::Up);
        self.changed.notify_one();
        let write = async {
            while let Some(frame) = frames_out.recv().await {
                if let Err(error) = frames::write(&mut writer, &frame).await {
                    return error;
                }
            }
            FrameError::HungUp
        };
        let read = async {
            loop {
                match frames::read::<FromGuard, _>(&mut reader).await {
                    Ok(frame) => {
                        if let Some(error) = self.take(frame) {
                            return error;
                        }
                    }
                    Err(error) => return error,
                }
            }
        };
        tokio::select! {
            error = write => error,
            error = read => error,
            () = self.hang_up.notified() => unfit("it does not answer".to_owned()),
        }
    }

    /// Takes in what the guard says; an error where no honest guard says that.
    fn take(&self, frame: FromGuard) -> Option<FrameError> {
        let (id, answer) = match frame {
            FromGuard::Observed { id, observed } => (id, Ok(Answer::Observed(observed))),
            FromGuard::Looked { id, outlooks } => (id, Ok(Answer::Looked(outlooks))),
            FromGuard::Refused { id, reason } => (id, Err(GuardError::Refused(reason))),
            FromGuard::Failed { id, reason } => (id, Err(GuardError::Failed(reason))),
            FromGuard::Changed { what } => {
                tracing::warn!(socket = %self.socket.display(), ?what, "changed on the guard");
                self.changed.notify_one();
                return None;
            }
            FromGuard::Hello { .. } => return Some(unfit("it says hello again".to_owned())),
        };
        // Nobody waits for it where the question was given up.
        if let Some(waiting) = locked(&self.waiting).remove(&id) {
            let _ = waiting.send(answer);
        }
        None
    }
}

/// A question under way; given up when dropped.
struct Asked<'a> {
    wire: &'a Wire,
    id: u64,
}

impl Drop for Asked<'_> {
    fn drop(&mut self) {
        locked(&self.wire.waiting).remove(&self.id);
    }
}

/// Connects to root's guard or one of our own user's: anybody else who listens there would only say what
/// we like to hear.
async fn connect(socket: &Path) -> Result<UnixStream, Link> {
    let stream = UnixStream::connect(socket).await.map_err(|error| {
        let nobody = [ErrorKind::NotFound, ErrorKind::ConnectionRefused].contains(&error.kind());
        if nobody {
            Link::Absent("nobody listens there".to_owned())
        } else {
            Link::Broken(error.to_string())
        }
    })?;
    let peer = stream.peer_cred().map_err(|error| Link::Broken(error.to_string()))?;
    let own = rustix::process::geteuid().as_raw();
    if peer.uid() == 0 || peer.uid() == own {
        Ok(stream)
    } else {
        Err(Link::Broken(format!("user {} listens there, neither root nor user {own}", peer.uid())))
    }
}

fn unfit(why: String) -> FrameError {
    FrameError::Broken(std::io::Error::other(why))
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
