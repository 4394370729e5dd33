//! The memory in one SQLite file: one writer that commits many commands at once, readers beside it.

mod credentials;
mod deadlines;
mod directory;
mod documents;
mod fingerprint;
mod journal;
mod load;
mod numbers;
mod open;
mod pricings;
mod read;
mod rows;
mod save;
mod slice;
mod standing;
mod touched;
mod writer;

use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard},
    thread::JoinHandle,
    time::Duration,
};

use hourgate_core::{
    command::{Command, Needs},
    decide::decide,
    event::Note,
    grant::Request,
    id::RequestId,
    policy::{Settings, Vm},
    role::Directory,
    state::State,
    time::{Clock, Now},
};
use rusqlite::Connection;
use tokio::sync::{Semaphore, mpsc, oneshot};
use uuid::Uuid;

pub use open::{Open, OpenError, verify};
pub use read::{ENDED_SHOWN, ENDED_SHOWN_MAX, LIVE_SHOWN_MAX, PAGE_MAX};

use crate::{
    Committed, Credential, CredentialChange, Installation, LogVerdict, Origin, PolicyAnswer,
    PolicyFilter, Principal, RequestFilter, Store, StoreError, TransactError, VmFilter,
    log::LogKey,
};
use slice::Slice;
use standing::Standing;
use writer::Work;

type Result<T> = std::result::Result<T, StoreError>;

/// How many commands may wait for the writer; at thousands a second this is under a second of waiting.
pub const WAITING_MAX: usize = 4_096;
/// How many reads run at once, each on a connection and a thread of its own.
pub const READERS_MAX: u32 = 4;
/// How many reads may wait for one.
pub const READS_WAITING_MAX: u32 = 1_024;

/// Randomness for salts and ids. A simulation brings its own.
pub trait Mint: Send + Sync + 'static {
    /// Fills `bytes`; nobody can guess what with.
    fn fill(&self, bytes: &mut [u8]) -> std::result::Result<(), NoRandomness>;
}

/// There is no randomness to be had, so nothing can be written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no randomness: {0}")]
pub struct NoRandomness(pub String);

/// The operating system's randomness.
#[derive(Clone, Copy, Debug, Default)]
pub struct OsMint;

impl Mint for OsMint {
    fn fill(&self, bytes: &mut [u8]) -> std::result::Result<(), NoRandomness> {
        getrandom::fill(bytes).map_err(|error| NoRandomness(error.to_string()))
    }
}

/// A [`Store`] in one SQLite file. Clones share it; [`SqliteStore::close`] or the last one closes it.
#[derive(Clone)]
pub struct SqliteStore(Arc<Inner>);

struct Inner {
    installation: Installation,
    path: PathBuf,
    key: LogKey,
    standing: Arc<RwLock<Standing>>,
    clock: Arc<dyn Clock>,
    settings: Arc<RwLock<Arc<Settings>>>,
    readers: Mutex<Vec<Connection>>,
    may_read: Arc<Semaphore>,
    may_wait: Semaphore,
    // Set until the store closes.
    queue: RwLock<Option<mpsc::Sender<Work>>>,
    held: Mutex<Option<Held>>,
}

/// What an open store holds on to.
struct Held {
    writer: JoinHandle<()>,
    // Let go of once the writer is gone: nobody else opens the file before. Never read.
    _lock: std::fs::File,
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.let_go();
    }
}

impl SqliteStore {
    /// Replaces the settings that decide, from the next command on.
    pub fn set_settings(&self, settings: Settings) {
        *self.0.settings.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(settings);
    }

    /// What stands by the log alone, from its first record on, every record verified: equal to
    /// [`Store::everything`] unless a row or a record was changed by somebody else.
    pub async fn replay(&self) -> Result<State> {
        let (key, id) = (self.0.key.clone(), self.0.installation.id);
        self.read(move |db| journal::replay(db, &key, id)).await
    }

    /// Finishes what waits and lets go of the file, so that somebody else may open it. Whoever asks
    /// later, through whatever clone, is told that the store is closed.
    pub async fn close(&self) {
        // Every read that runs has given its place back.
        if let Ok(all) = self.0.may_read.acquire_many(READERS_MAX).await {
            self.0.may_read.close();
            drop(all);
        }
        let store = Arc::clone(&self.0);
        if tokio::task::spawn_blocking(move || store.let_go()).await.is_err() {
            tracing::error!("the store could not be closed in good order");
        }
    }

    /// The requests that are asked for by id, as their rows tell. One that stands is found in memory, whatever
    /// its row says.
    async fn settled(&self, needs: &Needs) -> Result<BTreeMap<RequestId, Option<Request>>> {
        let mut settled = BTreeMap::new();
        for id in &needs.requests {
            settled.insert(*id, self.request(*id).await?);
        }
        Ok(settled)
    }

    async fn write<T>(&self, work: impl FnOnce(oneshot::Sender<T>) -> Work) -> Result<T> {
        let (answer, answered) = oneshot::channel();
        self.0.enqueue(work(answer))?;
        answered.await.map_err(|_| writer::gone())
    }

    /// Runs `read` in one snapshot, on a thread where it may block.
    async fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Connection) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let _waiting = self.0.may_wait.try_acquire().map_err(|_| StoreError::Busy)?;
        let reading = Arc::clone(&self.0.may_read).acquire_owned();
        let reading = reading.await.map_err(|_| writer::gone())?;
        let store = Arc::clone(&self.0);
        let done = tokio::task::spawn_blocking(move || {
            // Kept by the thread and not by who waits for it: who gives up leaves the thread reading.
            let _reading = reading;
            let kept = store.readers().pop();
            let mut db = match kept {
                Some(db) => db,
                None => open::reader(&store.path)?,
            };
            let snapshot = db.transaction()?;
            let found = read(&snapshot);
            // Nothing was written: there is nothing to commit or to lose.
            let ended = snapshot.finish();
            if ended.is_ok() {
                store.readers().push(db);
            }
            found
        });
        done.await.map_err(|error| StoreError::Unavailable(error.to_string()))?
    }
}

impl Inner {
    fn enqueue(&self, work: Work) -> Result<()> {
        let queue = self.queue.read().unwrap_or_else(PoisonError::into_inner);
        queue.as_ref().ok_or_else(writer::gone)?.try_send(work).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => StoreError::Busy,
            mpsc::error::TrySendError::Closed(_) => writer::gone(),
        })
    }

    /// Blocks until the writer has finished what waits.
    fn let_go(&self) {
        // Without a sender the writer ends.
        *self.queue.write().unwrap_or_else(PoisonError::into_inner) = None;
        let held = self.held.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(held) = held
            && held.writer.join().is_err()
        {
            tracing::error!("the store's writer ended by a bug");
        }
        self.readers().clear();
    }

    /// What stands, as it was last committed.
    fn standing(&self) -> Result<RwLockReadGuard<'_, Standing>> {
        if self.queue.read().unwrap_or_else(PoisonError::into_inner).is_none() {
            return Err(writer::gone());
        }
        Ok(self.standing.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn readers(&self) -> MutexGuard<'_, Vec<Connection>> {
        self.readers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Store for SqliteStore {
    async fn transact(
        &self,
        origin: Origin,
        command: Command,
    ) -> std::result::Result<Committed, TransactError> {
        self.write(|answer| Work::Transact { origin, command, answer }).await?
    }

    async fn what_if(&self, command: Command) -> std::result::Result<Committed, TransactError> {
        let needs = {
            let standing = self.0.standing()?;
            command.needs(&standing.network, &standing.directory)
        };
        let settled = self.settled(&needs).await?;
        let now = self.0.clock.now();
        let (mut state, thin) = {
            let standing = self.0.standing()?;
            let mut slice = Slice::of(&standing);
            slice.needs(&needs, now, |id| Ok(settled.get(&id).cloned().flatten()))?;
            slice.overdue(now);
            slice.into_parts()
        };
        let settings = self.0.settings.read().unwrap_or_else(PoisonError::into_inner).clone();
        let decided = tokio::task::spawn_blocking(move || {
            let events = decide(&state, &settings, &command, now)?;
            let concerned = state.evolve_all(&events);
            Ok((events, thin.out_of(state), concerned))
        });
        // A bug in the rules costs the question alone.
        let decided = decided.await.map_err(|error| StoreError::Damaged(error.to_string()))?;
        let (events, state, concerned) = decided.map_err(TransactError::Refused)?;
        Ok(Committed { now, events, state, concerned })
    }

    fn directory(&self) -> Arc<Directory> {
        let standing = self.0.standing.read().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(&standing.directory)
    }

    async fn note(&self, origin: Origin, note: Note) -> Result<()> {
        self.write(|answer| Work::Note { origin, note, answer }).await?
    }

    async fn load(&self, needs: Needs) -> Result<State> {
        let settled = self.settled(&needs).await?;
        let now = self.0.clock.now();
        let standing = self.0.standing()?;
        let mut slice = Slice::of(&standing);
        slice.needs(&needs, now, |id| Ok(settled.get(&id).cloned().flatten()))?;
        Ok(slice.into_parts().0)
    }

    async fn everything(&self) -> Result<State> {
        let everything = self.0.standing()?.everything();
        Ok(everything.into_state())
    }

    async fn next_deadline(&self, now: Now) -> Result<Option<Duration>> {
        Ok(self.0.standing()?.next_deadline(now))
    }

    async fn policies(&self, which: PolicyFilter) -> Result<Vec<PolicyAnswer>> {
        let now = self.0.clock.now();
        self.read(move |db| read::policies(db, &which, now)).await
    }

    async fn vms(&self, which: VmFilter) -> Result<Vec<Vm>> {
        self.read(move |db| read::vms(db, &which)).await
    }

    async fn requests(&self, which: RequestFilter) -> Result<Vec<Request>> {
        self.read(move |db| read::requests(db, &which)).await
    }

    async fn request(&self, id: RequestId) -> Result<Option<Request>> {
        self.read(move |db| load::request(db, id)).await
    }

    fn settings(&self) -> Arc<Settings> {
        Arc::clone(&self.0.settings.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn installation(&self) -> Installation {
        self.0.installation
    }

    async fn principal(&self, client: Uuid) -> Result<Option<Principal>> {
        self.read(move |db| load::principal(db, client)).await
    }

    async fn set_principal(&self, origin: Origin, principal: Principal, note: Note) -> Result<()> {
        self.write(|answer| Work::Principal { origin, principal, note, answer }).await?
    }

    async fn credentials(&self) -> Result<Vec<Credential>> {
        self.read(credentials::every).await
    }

    async fn keep(&self, origin: Origin, changes: Vec<CredentialChange>, note: Note) -> Result<()> {
        self.write(|answer| Work::Keep { origin, changes, note, answer }).await?
    }

    async fn verify_log(&self) -> Result<LogVerdict> {
        let (key, id) = (self.0.key.clone(), self.0.installation.id);
        self.read(move |db| journal::verify(db, &key, id)).await
    }
}

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> StoreError {
        use rusqlite::ErrorCode;
        match error.sqlite_error_code() {
            // A constraint that fails is a rule that the core let pass: a bug, and this command's alone.
            Some(
                ErrorCode::DatabaseCorrupt
                | ErrorCode::NotADatabase
                | ErrorCode::ConstraintViolation,
            ) => StoreError::Damaged(error.to_string()),
            Some(_) => StoreError::Unavailable(error.to_string()),
            None => StoreError::Damaged(error.to_string()),
        }
    }
}
