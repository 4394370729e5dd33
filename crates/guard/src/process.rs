//! The guard as a process: takes its place, opens its socket, serves until it is told to stop.

use std::{
    fs::{self, File, Permissions},
    io,
    os::unix::{
        fs::{FileTypeExt, PermissionsExt},
        net::UnixStream,
    },
    path::{Path, PathBuf},
    sync::Arc,
};

use ipnet::IpNet;
use rustix::{
    fs::{FlockOperation, flock},
    thread::{CapabilitySet, CapabilitySets, capabilities, set_capabilities, set_no_new_privs},
};
use tokio::{
    net::UnixListener,
    signal::unix::{SignalKind, signal},
};

use crate::{
    clock::MachineClock,
    nftables::{Nftables, Settings, StartError},
    serve::{Door, serve},
};

/// Held while a guard runs, so that a second one and `remove` know.
const LOCK_FILE: &str = "guard.lock";

/// What a guard is started with.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where it listens: `DIR/guard.sock`.
    pub socket: PathBuf,
    /// Where it keeps `floor.nft`.
    pub state_dir: PathBuf,
    /// The addresses it may lock. None of them: none at all.
    pub covers: Vec<IpNet>,
    /// Users who may talk to it, beside root and its own.
    pub allow_uids: Vec<u32>,
}

/// Why the guard does not run. What stood on the kernel stands unchanged.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The kernel, the rights, or the table.
    #[error(transparent)]
    Start(#[from] StartError),
    /// A living guard is there already.
    #[error("another guard is running and answers at {0}")]
    Running(PathBuf),
    /// Something that is no socket stands where the socket must be.
    #[error("{0} is not a socket; the guard does not replace it")]
    NotASocket(PathBuf),
    /// The path cannot be used.
    #[error("{path} cannot be used: {error}")]
    Path {
        /// Which.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// The machine lacks what every Linux has.
    #[error("the guard cannot run here: {0}")]
    Machine(io::Error),
    /// The socket failed while serving.
    #[error("the guard's socket failed: {0}")]
    Socket(io::Error),
}

/// Runs the guard until SIGTERM or SIGINT, which leave the gate as it is.
pub fn run(config: &Config) -> Result<(), RunError> {
    shed().map_err(|error| RunError::Machine(error.into()))?;
    // Two threads: a long statement that is being read keeps no deadline waiting.
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(RunError::Machine)?;
    runtime.block_on(guard(config))
}

/// Gives up every privilege but the two that are needed, for this thread and all it will make: whoever
/// takes the guard over gets the firewall, and nothing else of root's.
fn shed() -> rustix::io::Result<()> {
    set_no_new_privs(true)?;
    let kept = CapabilitySet::NET_ADMIN | CapabilitySet::NET_RAW;
    let held = capabilities(None)?;
    let sets = CapabilitySets {
        effective: held.effective & kept,
        permitted: held.permitted & kept,
        inheritable: CapabilitySet::empty(),
    };
    set_capabilities(None, sets)
}

async fn guard(config: &Config) -> Result<(), RunError> {
    let mut terminate = signal(SignalKind::terminate()).map_err(RunError::Machine)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(RunError::Machine)?;
    let at = |path: &Path| {
        let path = path.to_path_buf();
        move |error| RunError::Path { path, error }
    };
    fs::create_dir_all(&config.state_dir).map_err(at(&config.state_dir))?;
    let Some(_place) = take_place(&config.state_dir).map_err(at(&config.state_dir))? else {
        return Err(RunError::Running(config.socket.clone()));
    };
    refuse_taken(&config.socket)?;
    let clock = Arc::new(MachineClock::new().map_err(RunError::Machine)?);
    let settings = Settings::new(config.state_dir.clone(), config.covers.clone());
    let nftables = Arc::new(Nftables::start(settings, clock).await?);
    // Only now: who finds the socket finds a guard that can answer.
    let listener = bind(&config.socket).map_err(at(&config.socket))?;
    tracing::info!(socket = %config.socket.display(), "the guard is at its post");
    let door = Door { allow_uids: config.allow_uids.iter().copied().collect() };
    tokio::select! {
        error = serve(listener, nftables, door) => Err(RunError::Socket(error)),
        _ = terminate.recv() => Ok(()),
        _ = interrupt.recv() => Ok(()),
    }
}

/// Takes the place of the one guard over a state directory; none where another has it.
pub(crate) fn take_place(state_dir: &Path) -> io::Result<Option<File>> {
    let file = File::create(state_dir.join(LOCK_FILE))?;
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(Some(file)),
        Err(rustix::io::Errno::WOULDBLOCK) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Refuses a path where somebody lives, or that is no socket. A socket nobody answers at is stale.
fn refuse_taken(path: &Path) -> Result<(), RunError> {
    let found = match fs::symlink_metadata(path) {
        Ok(found) => found,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(RunError::Path { path: path.to_path_buf(), error }),
    };
    if !found.file_type().is_socket() {
        return Err(RunError::NotASocket(path.to_path_buf()));
    }
    match UnixStream::connect(path) {
        Ok(_) => Err(RunError::Running(path.to_path_buf())),
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => Ok(()),
        Err(error) => Err(RunError::Path { path: path.to_path_buf(), error }),
    }
}

/// Binds beside the path and moves it there: nobody sees a socket with wider permissions, or none.
fn bind(path: &Path) -> io::Result<UnixListener> {
    let mut beside = path.as_os_str().to_owned();
    beside.push(".new");
    let beside = PathBuf::from(beside);
    match fs::remove_file(&beside) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => {}
    }
    let listener = UnixListener::bind(&beside)?;
    fs::set_permissions(&beside, Permissions::from_mode(0o600))?;
    fs::rename(&beside, path)?;
    Ok(listener)
}
