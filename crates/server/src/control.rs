//! What only somebody on the server's machine may ask: a new secret for the administrator, and belief in
//! a clock. Asked of the running server over a socket, done on the store itself where none runs.

use std::{
    future::Future,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    pin::Pin,
    sync::Arc,
    time::Duration,
};

use hourgate_core::{
    command::Command,
    event::{Event, Note},
    time::{Clock, Timestamp},
};
use hourgate_store::{LogVerdict, Origin, Principal, Store, TransactError};
use serde::{Deserialize, Serialize};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::{UnixListener, UnixStream},
};

use crate::{
    admin::{self, local_person},
    clock::SystemClock,
    data_dir::{DataDir, DataDirError},
    mint,
    signin::{SignInError, kept_keys, local::seal::Seal},
    storage::{self, StorageError},
};

/// How long either side waits for the other.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);
/// How long the log may take to be verified: a hundred million records, on a slow disk.
const VERIFY_WITHIN: Duration = Duration::from_mins(10);
/// Longest line of either side.
const LINE_BYTES_MAX: u64 = 4 << 10;

/// The action of whoever rotates keys on the machine.
const ROTATE_KEYS: &str = "Hourgate.Access/keys/rotate/action";
/// The action of whoever has a link made on the machine.
const FIRST_LINK: &str = "Hourgate.Access/administrator/link/action";
/// How old a key becomes where no server runs: of no effect, since nothing is tended there.
const ROTATED_EVERY_ELSEWHERE: Duration = Duration::from_hours(720);

/// Why something local was not done.
#[derive(Debug, thiserror::Error)]
pub enum LocalError {
    /// The data directory cannot be used.
    #[error(transparent)]
    DataDir(#[from] DataDirError),
    /// A server runs and does not answer.
    #[error("the running server does not answer on {}: {why}", path.display())]
    NoAnswer {
        /// Its socket.
        path: PathBuf,
        /// What went wrong.
        why: String,
    },
    /// What lies there is not what was written.
    #[error("{0}")]
    Damaged(String),
    /// It was tried, and failed.
    #[error("{0}")]
    Failed(String),
}

impl From<StorageError> for LocalError {
    fn from(error: StorageError) -> LocalError {
        if error.is_damage() {
            LocalError::Damaged(error.to_string())
        } else {
            LocalError::Failed(error.to_string())
        }
    }
}

/// What became of a clock that was to be believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ClockAnswer {
    /// It was behind and is believed from now on.
    Accepted {
        /// What it says.
        at: Timestamp,
        /// The latest time that had been committed.
        before: Timestamp,
    },
    /// It was not behind: nothing was to be done.
    NotBehind,
}

/// Whether the log is whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogAnswer {
    /// How many records it has.
    pub records: u64,
    /// The first record that is not as it was written; none if the log is whole.
    pub first_bad: Option<u64>,
    /// Whether what stands is what the log explains.
    pub rows_hold: bool,
    /// How many texts about people are gone from it.
    pub erased: u64,
}

impl From<LogVerdict> for LogAnswer {
    fn from(verdict: LogVerdict) -> LogAnswer {
        let LogVerdict { records, first_bad, rows_hold, erased } = verdict;
        LogAnswer { records, first_bad, rows_hold, erased }
    }
}

/// Verifies the log: of the running server, or of a directory where none runs.
pub async fn verify_log(data_dir: &Path) -> Result<LogAnswer, LocalError> {
    match ask(data_dir, Ask::VerifyLog).await? {
        Done::Log(answer) => Ok(answer),
        Done::RotatedAdmin { .. }
        | Done::RotatedKeys { .. }
        | Done::FirstLink { .. }
        | Done::Clock(_) => {
            Err(LocalError::Failed("the server answered something else".to_owned()))
        }
    }
}

/// Gives the administrator a new secret; every token of the old one ends. Returns its file.
pub async fn rotate_admin(data_dir: &Path) -> Result<PathBuf, LocalError> {
    match ask(data_dir, Ask::RotateAdmin).await? {
        Done::RotatedAdmin { file } => Ok(file),
        Done::RotatedKeys { .. } | Done::FirstLink { .. } | Done::Clock(_) | Done::Log(_) => {
            Err(LocalError::Failed("the server answered something else".to_owned()))
        }
    }
}

/// Has another key sign tokens at once. `drop_old` ends every token and every sign-in of a client with them:
/// for when a key may be in other hands. The id of the new key comes back.
pub async fn rotate_keys(data_dir: &Path, drop_old: bool) -> Result<String, LocalError> {
    match ask(data_dir, Ask::RotateKeys { drop_old }).await? {
        Done::RotatedKeys { key } => Ok(key),
        Done::RotatedAdmin { .. } | Done::FirstLink { .. } | Done::Clock(_) | Done::Log(_) => {
            Err(LocalError::Failed("the server answered something else".to_owned()))
        }
    }
}

/// Makes a link with which somebody becomes the first administrator, within the hour and once. The server runs:
/// it is what the link leads to.
pub async fn first_link(data_dir: &Path) -> Result<String, LocalError> {
    match ask(data_dir, Ask::FirstLink).await? {
        Done::FirstLink { link } => Ok(link),
        Done::RotatedAdmin { .. } | Done::RotatedKeys { .. } | Done::Clock(_) | Done::Log(_) => {
            Err(LocalError::Failed("the server answered something else".to_owned()))
        }
    }
}

/// Believes the machine's clock although it lies behind what was committed.
pub async fn accept_clock(data_dir: &Path) -> Result<ClockAnswer, LocalError> {
    match ask(data_dir, Ask::AcceptClock).await? {
        Done::Clock(answer) => Ok(answer),
        Done::RotatedAdmin { .. }
        | Done::RotatedKeys { .. }
        | Done::FirstLink { .. }
        | Done::Log(_) => Err(LocalError::Failed("the server answered something else".to_owned())),
    }
}

#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
enum Ask {
    RotateAdmin,
    #[serde(rename_all = "camelCase")]
    RotateKeys {
        drop_old: bool,
    },
    FirstLink,
    AcceptClock,
    VerifyLog,
}

impl Ask {
    fn within(self) -> Duration {
        match self {
            Ask::RotateAdmin | Ask::RotateKeys { .. } | Ask::FirstLink | Ask::AcceptClock => {
                ANSWER_WITHIN
            }
            Ask::VerifyLog => VERIFY_WITHIN,
        }
    }
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
enum Done {
    RotatedAdmin { file: PathBuf },
    RotatedKeys { key: String },
    FirstLink { link: String },
    Clock(ClockAnswer),
    Log(LogAnswer),
}

async fn ask(data_dir: &Path, ask: Ask) -> Result<Done, LocalError> {
    if !data_dir.is_dir() {
        return Err(LocalError::Failed(format!(
            "there is no data directory {}",
            data_dir.display()
        )));
    }
    let dir = DataDir::create(data_dir)?;
    match dir.lock() {
        // Not on an open store: one whose rows or log were edited does not open, and that is the answer.
        Ok(_lock) if matches!(ask, Ask::VerifyLog) => {
            Ok(Done::Log(LogAnswer::from(storage::verify(&dir)?)))
        }
        Ok(_lock) => {
            let store = storage::open_alone(&dir)?;
            let uid = rustix::process::geteuid().as_raw();
            if let Ask::RotateKeys { drop_old } = ask {
                let clock = SystemClock::new().map_err(|error| failed(&error))?;
                let rotated = rotate_kept_keys(&store, &dir, drop_old, clock.now().wall, uid).await;
                return rotated.map(|key| Done::RotatedKeys { key });
            }
            carry_out(&store, &dir, None, ask, uid).await.map(|(done, _)| done)
        }
        Err(DataDirError::InUse { .. }) => ask_server(&dir.control_socket(), ask).await,
        Err(other) => Err(other.into()),
    }
}

/// Has another key sign tokens of a server that does not run.
async fn rotate_kept_keys<S: Store>(
    store: &S,
    dir: &DataDir,
    drop_old: bool,
    now: Timestamp,
    uid: u32,
) -> Result<String, LocalError> {
    let rows = store.credentials().await.map_err(|error| failed(&error))?;
    let seal = Seal::open(dir, rows.iter().any(|row| row.kind.is_sealed()));
    let seal = seal.map_err(|error| failed(&error))?;
    let ring = kept_keys::read(dir, &seal, &rows, ROTATED_EVERY_ELSEWHERE, now);
    let changes = ring.and_then(|ring| ring.rotate(drop_old, now));
    let changes = changes.map_err(|error| failed(&error))?;
    let kept = kept_keys::rows(&seal, &changes).map_err(|error| failed(&error))?;
    let key = changes.made.first().map(|(id, _)| id.clone()).unwrap_or_default();
    let note = Note::KeyRotated { key: key.clone() };
    let origin = local_origin(ROTATE_KEYS, uid)?;
    store.keep(origin, kept, note).await.map_err(|error| failed(&error))?;
    Ok(key)
}

fn failed(error: &dyn std::fmt::Display) -> LocalError {
    LocalError::Failed(error.to_string())
}

/// On behalf of somebody on the machine.
fn local_origin(action: &str, uid: u32) -> Result<Origin, LocalError> {
    Ok(Origin {
        person: Some(local_person(uid)),
        address: None,
        action: action.to_owned(),
        target: String::new(),
        correlation: mint::uuid().map_err(|error| failed(&error))?,
    })
}

async fn ask_server(path: &Path, ask: Ask) -> Result<Done, LocalError> {
    let no_answer = |why: String| LocalError::NoAnswer { path: path.to_owned(), why };
    let talk = async {
        let stream = UnixStream::connect(path).await?;
        let (read, mut write) = stream.into_split();
        let mut line = serde_json::to_vec(&ask)?;
        line.push(b'\n');
        write.write_all(&line).await?;
        let mut answer = String::new();
        BufReader::new(read.take(LINE_BYTES_MAX)).read_line(&mut answer).await?;
        std::io::Result::Ok(answer)
    };
    let answer = match tokio::time::timeout(ask.within(), talk).await {
        Ok(Ok(answer)) => answer,
        Ok(Err(error)) => return Err(no_answer(error.to_string())),
        Err(_) => return Err(no_answer(format!("nothing within {} s", ask.within().as_secs()))),
    };
    let answer: Result<Done, String> =
        serde_json::from_str(&answer).map_err(|error| no_answer(error.to_string()))?;
    answer.map_err(LocalError::Failed)
}

/// Does it on a store. What changed of the administrator comes back too.
async fn carry_out<S: Store>(
    store: &S,
    dir: &DataDir,
    server: Option<&str>,
    ask: Ask,
    uid: u32,
) -> Result<(Done, Option<Principal>), LocalError> {
    let origin = |action: &str| local_origin(action, uid);
    match ask {
        Ask::RotateAdmin => {
            let origin = origin("Hourgate.Access/administrator/rotate/action")?;
            let rotated = admin::rotate(store, dir, server, origin).await;
            let principal = rotated.map_err(|error| failed(&error))?;
            Ok((Done::RotatedAdmin { file: dir.admin() }, Some(principal)))
        }
        Ask::AcceptClock => {
            let origin = origin("Hourgate.Access/clock/accept/action")?;
            let committed = match store.transact(origin, Command::AcceptClock).await {
                Ok(committed) => committed,
                Err(TransactError::Refused(_)) => {
                    return Err(LocalError::Failed("refused".to_owned()));
                }
                Err(TransactError::Store(error)) => return Err(failed(&error)),
            };
            let accepted = committed.events.iter().find_map(|event| match event {
                Event::ClockAccepted { at, before } => Some((*at, *before)),
                Event::VmRegistered { .. }
                | Event::VmUnregistered { .. }
                | Event::PolicySet { .. }
                | Event::PolicyConfirmed { .. }
                | Event::PolicyRemoved { .. }
                | Event::Requested { .. }
                | Event::Started { .. }
                | Event::EndMoved { .. }
                | Event::Ended { .. }
                | Event::Opened { .. }
                | Event::Closed { .. }
                | Event::ResourcePut { .. }
                | Event::ResourceDeleted { .. }
                | Event::PricingSet { .. }
                | Event::Directory { .. }
                | Event::LockBroken { .. }
                | Event::AccessBlocked { .. }
                | Event::AccessUnblocked { .. }
                | Event::Unlocked { .. } => None,
            });
            let answer = accepted.map_or(ClockAnswer::NotBehind, |(at, before)| {
                ClockAnswer::Accepted { at, before }
            });
            Ok((Done::Clock(answer), None))
        }
        Ask::FirstLink => {
            Err(failed(&"no server runs there that a link could lead to; start it first"))
        }
        // The running server holds them: it does that by itself.
        Ask::RotateKeys { .. } => Err(failed(&"the server does not look after its keys")),
        Ask::VerifyLog => {
            let verdict = store.verify_log().await.map_err(|error| failed(&error))?;
            Ok((Done::Log(verdict.into()), None))
        }
    }
}

/// The socket of a running server.
pub(crate) fn listen(dir: &DataDir) -> std::io::Result<UnixListener> {
    let path = dir.control_socket();
    // The lock on the directory is ours, so what lies there is a dead server's.
    match std::fs::remove_file(&path) {
        Ok(()) => {}
        Err(missing) if missing.kind() == std::io::ErrorKind::NotFound => {}
        Err(other) => return Err(other),
    }
    let listener = UnixListener::bind(&path)?;
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600))?;
    Ok(listener)
}

/// Rotates the keys of a running server.
type RotateKeys = dyn Fn(bool, Origin) -> Pin<Box<dyn Future<Output = Result<String, SignInError>> + Send>>
    + Send
    + Sync;

/// Makes a link of a running server.
type FirstLink =
    dyn Fn(Origin) -> Pin<Box<dyn Future<Output = Result<String, String>> + Send>> + Send + Sync;

/// What a running server does of it.
pub(crate) struct Control<S> {
    pub(crate) store: S,
    pub(crate) dir: DataDir,
    pub(crate) server: String,
    /// Called with the administrator as it is after its secret was replaced.
    pub(crate) replaced: Arc<dyn Fn(Principal) + Send + Sync>,
    /// Has another key sign tokens; its id comes back.
    pub(crate) rotate_keys: Arc<RotateKeys>,
    /// Makes a link for the first administrator.
    pub(crate) first_link: Arc<FirstLink>,
    /// Called when a clock was accepted: what was held back may open.
    pub(crate) accepted: Arc<dyn Fn() + Send + Sync>,
}

impl<S: Store> Control<S> {
    /// Answers, one after the other, for as long as the server runs.
    pub(crate) async fn run(self, listener: UnixListener) {
        loop {
            let talk = match listener.accept().await {
                Ok((stream, _)) => self.talk(stream),
                Err(error) => {
                    tracing::warn!(%error, "the control socket fails");
                    tokio::time::sleep(Duration::from_secs(1)).await;
                    continue;
                }
            };
            match tokio::time::timeout(VERIFY_WITHIN + ANSWER_WITHIN, talk).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => tracing::warn!(%error, "a call on the control socket failed"),
                Err(_) => tracing::warn!("a call on the control socket took too long"),
            }
        }
    }

    async fn talk(&self, stream: UnixStream) -> std::io::Result<()> {
        let uid = stream.peer_cred()?.uid();
        // The socket's mode keeps others out already; this holds where somebody changed it.
        if uid != 0 && uid != rustix::process::geteuid().as_raw() {
            return Err(std::io::Error::other(format!("the user {uid} may not ask")));
        }
        let (read, mut write) = stream.into_split();
        let mut line = String::new();
        let mut read = BufReader::new(read.take(LINE_BYTES_MAX));
        tokio::time::timeout(ANSWER_WITHIN, read.read_line(&mut line)).await??;
        let answer = match serde_json::from_str(&line) {
            Ok(Ask::FirstLink) => match local_origin(FIRST_LINK, uid) {
                Ok(origin) => {
                    let made = (self.first_link)(origin).await;
                    made.map(|link| (Done::FirstLink { link }, None))
                        .map_err(|error| failed(&error))
                }
                Err(error) => Err(error),
            },
            Ok(Ask::RotateKeys { drop_old }) => match local_origin(ROTATE_KEYS, uid) {
                Ok(origin) => {
                    let rotated = (self.rotate_keys)(drop_old, origin).await;
                    let done = rotated.map(|key| (Done::RotatedKeys { key }, None));
                    done.map_err(|error| failed(&error))
                }
                Err(error) => Err(error),
            },
            Ok(ask) => carry_out(&self.store, &self.dir, Some(&self.server), ask, uid).await,
            Err(error) => Err(LocalError::Failed(error.to_string())),
        };
        let answer: Result<Done, String> = match answer {
            Ok((done, replaced)) => {
                if let Some(principal) = replaced {
                    (self.replaced)(principal);
                } else {
                    (self.accepted)();
                }
                Ok(done)
            }
            Err(error) => Err(error.to_string()),
        };
        let mut line = serde_json::to_vec(&answer)?;
        line.push(b'\n');
        write.write_all(&line).await
    }
}
