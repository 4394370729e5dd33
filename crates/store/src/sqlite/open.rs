//! A store is opened: made if it is new, and looked over before anything is believed.

use std::{
    fs::{File, OpenOptions, Permissions},
    io,
    os::unix::fs::{OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, RwLock},
};

use hourgate_core::{policy::Settings, time::Clock};
use rusqlite::{
    Connection, OpenFlags, OptionalExtension, TransactionBehavior, config::DbConfig, params,
};
use rustix::fs::{FlockOperation, flock};
use sha2::{Digest, Sha256};
use tokio::sync::{Semaphore, mpsc};
use uuid::Uuid;

use super::{
    Held, Inner, Mint, READERS_MAX, READS_WAITING_MAX, SqliteStore, WAITING_MAX, credentials,
    journal::{self, Chain, Head},
    load, rows,
    standing::Standing,
    writer::Writer,
};
use crate::{Installation, LogVerdict, StoreError, log::LogKey};

/// The schema, step by step. A step that was released is never edited: its checksum is stored.
const MIGRATIONS: &[&str] = &[
    include_str!("0001.sql"),
    include_str!("0002.sql"),
    include_str!("0003.sql"),
    include_str!("0004.sql"),
    include_str!("0005.sql"),
    include_str!("0006.sql"),
    include_str!("0007.sql"),
    include_str!("0008.sql"),
];

/// How many statements a connection keeps prepared: more than there are.
const STATEMENTS_MAX: usize = 128;

/// What a store is opened with.
pub struct Open {
    /// The file. Its directory must be there.
    pub path: PathBuf,
    /// The key that seals the log. It is kept outside the database: who can write the one should not
    /// have the other.
    pub log_key: [u8; 32],
    /// The settings that decide.
    pub settings: Settings,
    /// Tells the time at which a command is decided.
    pub clock: Arc<dyn Clock>,
    /// Randomness for salts, and for the ids of a new installation.
    pub mint: Arc<dyn Mint>,
}

/// Why a store does not open.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process has it open.
    #[error("{} is in use by another process", .0.display())]
    InUse(PathBuf),
    /// The file or its directory cannot be written.
    #[error("{} cannot be written: {why}", path.display())]
    NotWritable {
        /// Which.
        path: PathBuf,
        /// Why.
        why: io::Error,
    },
    /// A newer Hourgate wrote it.
    #[error(
        "the database was written by a newer Hourgate (schema {found}; this one knows {known})"
    )]
    TooNew {
        /// The schema it has.
        found: usize,
        /// The newest that this version knows.
        known: usize,
    },
    /// It is not what Hourgate wrote, or was sealed with another key.
    #[error("the database is damaged: {0}")]
    Damaged(String),
    /// It cannot be read or written now.
    #[error("the database cannot be opened: {0}")]
    Unavailable(String),
}

impl From<StoreError> for OpenError {
    fn from(error: StoreError) -> OpenError {
        match error {
            StoreError::Damaged(why) => OpenError::Damaged(why),
            StoreError::Unavailable(_) | StoreError::Busy => {
                OpenError::Unavailable(error.to_string())
            }
        }
    }
}

impl From<rusqlite::Error> for OpenError {
    fn from(error: rusqlite::Error) -> OpenError {
        StoreError::from(error).into()
    }
}

impl SqliteStore {
    /// Opens a store, and makes it if it is new. Blocks: call it before there is anybody to wait.
    pub fn open(open: Open) -> Result<SqliteStore, OpenError> {
        let lock = lock(&open.path)?;
        claim(&open.path)?;
        let mut db = Connection::open_with_flags(
            &open.path,
            OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX,
        )?;
        prepare(&db)?;
        let key = LogKey::new(&open.log_key);
        migrate(&mut db)?;
        let installation = installation(&mut db, &key, open.mint.as_ref())?;
        let (chain, standing) = look_over(&db, &key, installation.id)?;
        let standing = Arc::new(RwLock::new(standing));
        let settings = Arc::new(RwLock::new(Arc::new(open.settings)));
        let (queue, work) = mpsc::channel(WAITING_MAX);
        let writer = Writer::new(
            db,
            key.clone(),
            chain,
            Arc::clone(&standing),
            Arc::clone(&open.clock),
            Arc::clone(&settings),
            open.mint,
        );
        let writer = std::thread::Builder::new()
            .name("store-writer".to_owned())
            .spawn(move || writer.run(work))
            .map_err(|error| OpenError::Unavailable(error.to_string()))?;
        Ok(SqliteStore(Arc::new(Inner {
            installation,
            path: open.path,
            key,
            standing,
            clock: open.clock,
            settings,
            readers: Mutex::new(Vec::new()),
            may_read: Arc::new(Semaphore::new(READERS_MAX as usize)),
            may_wait: Semaphore::new((READERS_MAX + READS_WAITING_MAX) as usize),
            queue: RwLock::new(Some(queue)),
            held: Mutex::new(Some(Held { writer, _lock: lock })),
        })))
    }
}

/// Verifies the log of a store that nobody has open. Nothing of it is believed first, so that there is an
/// answer where [`SqliteStore::open`] refuses. Blocks.
pub fn verify(path: &Path, log_key: &[u8; 32]) -> Result<LogVerdict, OpenError> {
    let _lock = lock(path)?;
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut db = Connection::open_with_flags(path, flags)?;
    prepare(&db)?;
    migrate(&mut db)?;
    let snapshot = db.transaction()?;
    let ids: Vec<Option<Uuid>> = IDS
        .iter()
        .map(|name| match stored_id(&snapshot, name) {
            Err(StoreError::Damaged(_)) => Ok(None),
            read => read,
        })
        .collect::<Result<_, StoreError>>()?;
    // Nobody's id: no record follows from it.
    let installation = ids.first().copied().flatten().unwrap_or(Uuid::nil());
    let mut verdict = journal::verify(&snapshot, &LogKey::new(log_key), installation)?;
    verdict.rows_hold &= ids.iter().all(Option::is_some);
    snapshot.finish()?;
    Ok(verdict)
}

/// A connection that can only read.
pub(super) fn reader(path: &Path) -> Result<Connection, StoreError> {
    let db = Connection::open_with_flags(
        path,
        OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX,
    )?;
    keep_statements(&db)?;
    db.busy_timeout(std::time::Duration::from_secs(5))?;
    Ok(db)
}

/// Nobody else may have it open: the writer believes that rows change by its hand alone.
fn lock(path: &Path) -> Result<File, OpenError> {
    let mut name = path.as_os_str().to_owned();
    name.push(".lock");
    let path = PathBuf::from(name);
    let file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(&path)
        .map_err(|why| OpenError::NotWritable { path: path.clone(), why })?;
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(file),
        Err(rustix::io::Errno::WOULDBLOCK) => Err(OpenError::InUse(path)),
        Err(error) => Err(OpenError::NotWritable { path, why: error.into() }),
    }
}

/// The file is the owner's alone: it tells who works where, and digests of secrets. SQLite gives its
/// other files the same mode.
fn claim(path: &Path) -> Result<(), OpenError> {
    let not_writable = |why| OpenError::NotWritable { path: path.to_owned(), why };
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(path)
        .map_err(not_writable)?;
    file.set_permissions(Permissions::from_mode(0o600)).map_err(not_writable)
}

/// Statements are planned once. Without QPSG each new value has SQLite plan anew, in case a partial
/// index fits that value better: measured, that took three quarters of a request's time.
fn keep_statements(db: &Connection) -> rusqlite::Result<()> {
    db.set_prepared_statement_cache_capacity(STATEMENTS_MAX);
    db.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    Ok(())
}

fn prepare(db: &Connection) -> Result<(), OpenError> {
    keep_statements(db)?;
    db.execute_batch(
        // FULL: what is committed is on the disk. A checkpoint every 16 MiB: seldom, and never long.
        "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON;
         PRAGMA wal_autocheckpoint = 4000; PRAGMA journal_size_limit = 67108864;
         PRAGMA trusted_schema = OFF; PRAGMA cache_size = -32768; PRAGMA temp_store = MEMORY;",
    )?;
    Ok(())
}

fn migrate(db: &mut Connection) -> Result<(), OpenError> {
    let step = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let tables: i64 =
        step.query_row("SELECT count(*) FROM sqlite_master WHERE type = 'table'", [], |row| {
            row.get(0)
        })?;
    let known: i64 = step.query_row(
        "SELECT count(*) FROM sqlite_master WHERE type = 'table' AND name = 'migration'",
        [],
        |row| row.get(0),
    )?;
    if tables > 0 && known == 0 {
        return Err(OpenError::Damaged("the file is another program's database".to_owned()));
    }
    step.execute_batch(
        "CREATE TABLE IF NOT EXISTS migration (
           number INTEGER PRIMARY KEY,
           checksum BLOB NOT NULL CHECK (length(checksum) = 32)
         ) STRICT;",
    )?;
    let done: Vec<(u32, [u8; 32])> = step
        .prepare("SELECT number, checksum FROM migration ORDER BY number")?
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect::<rusqlite::Result<_>>()?;
    if done.len() > MIGRATIONS.len() {
        return Err(OpenError::TooNew { found: done.len(), known: MIGRATIONS.len() });
    }
    for ((place, number), sql) in (1..).enumerate().zip(MIGRATIONS) {
        let checksum: [u8; 32] = Sha256::digest(sql.as_bytes()).into();
        match done.get(place) {
            Some(stored) if *stored == (number, checksum) => {}
            Some(_) => {
                let why = format!("its schema step {number} is not this version's");
                return Err(OpenError::Damaged(why));
            }
            None => {
                step.execute_batch(sql)?;
                step.execute(
                    "INSERT INTO migration (number, checksum) VALUES (?1, ?2)",
                    params![number, checksum],
                )?;
            }
        }
    }
    step.commit()?;
    Ok(())
}

/// Who this installation is, minted at the first opening.
fn installation(
    db: &mut Connection,
    key: &LogKey,
    mint: &dyn Mint,
) -> Result<Installation, OpenError> {
    let step = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let is_new = Head::read(&step)?.is_none();
    let id = |name: &str| -> Result<Uuid, OpenError> {
        match stored_id(&step, name)? {
            Some(id) => return Ok(id),
            // Another one would cover up that somebody took it away.
            None if !is_new => return Err(OpenError::Damaged(format!("its {name} is gone"))),
            None => {}
        }
        let mut bytes = [0; 16];
        mint.fill(&mut bytes).map_err(|error| OpenError::Unavailable(error.to_string()))?;
        let id = uuid::Builder::from_random_bytes(bytes).into_uuid();
        step.execute("INSERT INTO meta (key, value) VALUES (?1, ?2)", [name, &id.to_string()])?;
        Ok(id)
    };
    let [installation, tenant, subscription] = IDS;
    let (installation, tenant, subscription) = (id(installation)?, id(tenant)?, id(subscription)?);
    if is_new {
        Chain::begin(installation).write_head(&step, key)?;
    }
    step.commit()?;
    Ok(Installation { id: installation, tenant, subscription })
}

/// What an installation and its tenant and subscription are known by.
const IDS: [&str; 3] = ["installation", "tenant", "subscription"];

fn stored_id(db: &Connection, name: &str) -> Result<Option<Uuid>, StoreError> {
    let stored: Option<String> = db
        .query_row("SELECT value FROM meta WHERE key = ?1", [name], |row| row.get(0))
        .optional()?;
    stored.map(|text| text.parse().map_err(|_| rows::damaged(format!("its {name}")))).transpose()
}

/// Believes nothing that the log does not explain: a row without its event opens no port.
fn look_over(
    db: &Connection,
    key: &LogKey,
    installation: Uuid,
) -> Result<(Chain, Standing), OpenError> {
    let head =
        Head::read(db)?.ok_or_else(|| OpenError::Damaged("no head of its log".to_owned()))?;
    head.check(db, key, installation)?;
    let (state, principals) = (load::everything(db, head.highest)?, load::principals(db)?);
    let rows = head.check_rows(key, &state, &principals, &credentials::every(db)?)?;
    let chain = Chain { seq: head.seq, hash: head.hash, highest: head.highest, rows };
    Ok((chain, Standing::of(state, load::released(db)?)))
}
