//! The store of a data directory, and the key of its log, which lies beside it.

use std::{path::PathBuf, sync::Arc};

use hourgate_core::{policy::Settings, time::Clock};
use hourgate_store::{
    LogVerdict,
    sqlite::{self, Mint, NoRandomness, Open, OpenError, OsMint, SqliteStore},
};

use crate::{clock::SystemClock, data_dir, data_dir::DataDir};

/// Why there is no store.
#[derive(Debug, thiserror::Error)]
pub enum StorageError {
    /// The key of the log cannot be read or written.
    #[error("{}: {}", .0.display(), .1)]
    Key(PathBuf, std::io::Error),
    /// The key of the log is not one.
    #[error("{} is damaged: 64 hexadecimal digits are expected; restore it from a backup", .0.display())]
    KeyUnreadable(PathBuf),
    /// There is a database and no key for its log.
    #[error(
        "{} is missing, and without it the log of the database beside it cannot be verified; restore it \
         from a backup", .0.display()
    )]
    KeyMissing(PathBuf),
    /// No key can be minted.
    #[error(transparent)]
    NoRandomness(#[from] NoRandomness),
    /// The clock cannot be read.
    #[error("the clock cannot be read: {0}")]
    Clock(std::io::Error),
    /// The database does not open.
    #[error(transparent)]
    Open(#[from] OpenError),
}

impl StorageError {
    /// Whether what lies there is not what was written.
    pub(crate) fn is_damage(&self) -> bool {
        match self {
            StorageError::KeyUnreadable(_) | StorageError::Open(OpenError::Damaged(_)) => true,
            StorageError::Key(_, _)
            | StorageError::KeyMissing(_)
            | StorageError::NoRandomness(_)
            | StorageError::Clock(_)
            | StorageError::Open(
                OpenError::InUse(_)
                | OpenError::NotWritable { .. }
                | OpenError::TooNew { .. }
                | OpenError::Unavailable(_),
            ) => false,
        }
    }
}

/// Opens the store of a directory. Blocks.
pub(crate) fn open(
    dir: &DataDir,
    settings: Settings,
    clock: Arc<dyn Clock>,
) -> Result<SqliteStore, StorageError> {
    let log_key = log_key(dir)?;
    let (path, mint) = (dir.database(), Arc::new(OsMint));
    Ok(SqliteStore::open(Open { path, log_key, settings, clock, mint })?)
}

/// Opens it for one thing that decides nothing about ports.
pub(crate) fn open_alone(dir: &DataDir) -> Result<SqliteStore, StorageError> {
    let clock = SystemClock::new().map_err(StorageError::Clock)?;
    open(dir, Settings::default(), Arc::new(clock))
}

/// Verifies the log of a directory on which no server works, also where its store would not open. Blocks.
pub(crate) fn verify(dir: &DataDir) -> Result<LogVerdict, StorageError> {
    Ok(sqlite::verify(&dir.database(), &log_key(dir)?)?)
}

fn log_key(dir: &DataDir) -> Result<[u8; 32], StorageError> {
    let path = dir.log_key();
    let file = |error| StorageError::Key(path.clone(), error);
    let mut key = [0; 32];
    if let Some(text) = data_dir::read(&path).map_err(file)? {
        let read = hex::decode_to_slice(text.trim(), &mut key);
        return read.map(|()| key).map_err(|_| StorageError::KeyUnreadable(path));
    }
    if dir.database().exists() {
        return Err(StorageError::KeyMissing(path));
    }
    OsMint.fill(&mut key)?;
    data_dir::write_new(&path, format!("{}\n", hex::encode(key)).as_bytes()).map_err(file)?;
    Ok(key)
}
