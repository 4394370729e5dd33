//! The guard over nftables: one table of ours on this machine's kernel.
//!
//! `converge` makes a statement true, `keep` keeps what stands (deadlines, foreign hands, the slow
//! comparison), `raise` builds the whole table anew in one transaction. `translate` is what a gateway does more.

mod converge;
mod keep;
mod raise;
mod translate;

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    net::IpAddr,
    path::PathBuf,
    sync::Arc,
    time::Duration,
};

use hourgate_core::{
    network::Lock,
    outlook::{Asked, Outlook},
    plan::{Coverage, Desired, Observed},
    time::Clock,
};
use hourgate_enforce::guard::{Guard, GuardError};
use ipnet::IpNet;
use tokio::{
    sync::{Mutex, Notify, OwnedMutexGuard, watch},
    task::JoinSet,
};
use uuid::Uuid;

pub use crate::netlink::Features;
use crate::{
    floor::Floor,
    mirror::Mirror,
    netlink::{self, Flow, Flows, Monitor, Wire, WireError},
    remembered::Remembered,
    serve::Served,
    sessions::Resets,
};

/// What a guard of this kind is called.
pub const KIND: &str = "nftables";
/// How long an answer waits for the disk. Closing waits for none, and opening not for a broken one.
const DISK_WAIT_MAX: Duration = Duration::from_secs(2);
/// How long a look at the rules of others may take: what is to be closed meanwhile waits behind it.
const LOOK_MAX: Duration = Duration::from_millis(300);

/// How this guard is set up.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where `floor.nft` is kept.
    pub state_dir: PathBuf,
    /// The addresses it may lock. None of them: none at all.
    pub covers: Vec<IpNet>,
    /// What the kernel can do.
    pub features: Features,
    /// How many openings one set may hold beside the tenth that is kept free for break-glass.
    pub openings_max: usize,
    /// How many elements the kernel is told a set may hold.
    pub set_size: u32,
    /// How often everything is compared.
    pub sweep: Duration,
}

impl Settings {
    /// The usual settings, for this machine's kernel.
    pub fn new(state_dir: PathBuf, covers: Vec<IpNet>) -> Settings {
        let set_size = crate::netlink::SET_SIZE;
        let size = usize::try_from(set_size).unwrap_or(usize::MAX);
        Settings {
            state_dir,
            covers,
            features: Features::of_kernel(),
            openings_max: size - size / 10,
            set_size,
            sweep: Duration::from_secs(60),
        }
    }
}

/// Why the guard could not take up its work. What stood on the kernel stands unchanged.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// No CAP_NET_ADMIN, or no CAP_NET_RAW.
    #[error(
        "the guard must change the firewall: run it as root, or give it CAP_NET_ADMIN and CAP_NET_RAW ({0})"
    )]
    NotPermitted(String),
    /// Another process owns the table.
    #[error("{0}")]
    Owned(String),
    /// The kernel has no nf_tables, or refuses our rules.
    #[error(
        "this kernel does not take the rules of the gate; it needs nf_tables and nf_conntrack ({0})"
    )]
    Kernel(String),
    /// The state directory cannot be used.
    #[error("the state directory {path} cannot be used: {error}")]
    State {
        /// Which.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
}

impl StartError {
    fn of(error: WireError) -> StartError {
        match error {
            WireError::NotPermitted(error) => StartError::NotPermitted(error.to_string()),
            WireError::Owned => StartError::Owned(error.to_string()),
            WireError::Refused(_) | WireError::Raced | WireError::Full => {
                StartError::Kernel(error.to_string())
            }
        }
    }
}

/// The guard of this machine. Dropping it leaves locks and openings as they are.
pub struct Nftables {
    inner: Arc<Inner>,
    _tasks: JoinSet<()>,
}

struct Inner {
    settings: Settings,
    clock: Arc<dyn Clock>,
    state: Mutex<State>,
    flows: Flows,
    resets: Resets,
    /// One writer of the floor at a time, who writes what is newest.
    floor: Arc<Mutex<()>>,
    /// Counts what happened without being asked for.
    changed: watch::Sender<u64>,
    /// The earliest deadline may have changed.
    deadlines: Notify,
}

struct State {
    wire: Wire,
    mirror: Mirror,
    /// Our rules as the kernel told them, to find an edited one. None since we changed some: to read thousands
    /// takes longer than to change a few, so it is done at the next comparison. Until then who edits one is
    /// heard of by the monitor alone, and where its news was lost everything is made anew.
    rules: Option<Vec<(String, Vec<u8>)>>,
    /// A commit failed in a way that leaves open what stands: compare before the next.
    doubtful: bool,
    /// Flows that an end close at hand will end, and the locks they were listed for.
    foreseen: Vec<(Lock, Flow)>,
    foreseen_for: BTreeSet<Lock>,
}

impl Nftables {
    /// Takes up the table that stands, or builds it; from then on keeps it.
    pub async fn start(settings: Settings, clock: Arc<dyn Clock>) -> Result<Nftables, StartError> {
        let floor = Floor::read(&settings.state_dir)
            .map_err(|error| StartError::State { path: settings.state_dir.clone(), error })?;
        let remembered = Remembered::read(&settings.state_dir)
            .map_err(|error| StartError::State { path: settings.state_dir.clone(), error })?;
        let wire = Wire::open(settings.features, settings.set_size).map_err(StartError::of)?;
        let flows = Flows::open().map_err(StartError::of)?;
        let resets = Resets::open().map_err(|e| StartError::NotPermitted(e.to_string()))?;
        let mut state = State {
            wire,
            mirror: Mirror::default(),
            rules: None,
            doubtful: false,
            foreseen: Vec::new(),
            foreseen_for: BTreeSet::new(),
        };
        // Nobody listens yet: the kernel would write down every single element for them, which takes longer
        // with a hundred thousand than all the rest.
        let generation = state.adopt(floor, remembered, &*clock).await.map_err(StartError::of)?;
        let monitor = Monitor::open(state.wire.port()).map_err(StartError::of)?;
        // Who came between was heard by nobody.
        if state.wire.generation().await.map_err(StartError::of)? != generation {
            tracing::info!(
                "somebody changed rules while the table was built: it is built once more"
            );
            state.restore(&*clock).await.map_err(StartError::of)?;
        }
        let inner = Arc::new(Inner {
            settings,
            clock,
            state: Mutex::new(state),
            flows,
            resets,
            floor: Arc::default(),
            changed: watch::Sender::new(0),
            deadlines: Notify::new(),
        });
        inner.write_floor().await;
        let mut tasks = JoinSet::new();
        tasks.spawn(Arc::clone(&inner).watch_hands(monitor));
        tasks.spawn(Arc::clone(&inner).watch_deadlines());
        tasks.spawn(Arc::clone(&inner).sweep());
        Ok(Nftables { inner, _tasks: tasks })
    }
}

impl Guard for Nftables {
    async fn converge(&self, desired: Arc<Desired>) -> Result<Observed, GuardError> {
        let inner = Arc::clone(&self.inner);
        // On a task of its own: who asked may hang up, and half a change must not be left.
        let task = tokio::spawn(async move { inner.converge(desired).await });
        task.await.map_err(|error| GuardError::Failed(error.to_string()))?
    }

    async fn observe(&self) -> Result<Observed, GuardError> {
        let state = self.inner.state.lock().await;
        Ok(state.mirror.observed(&Coverage::All, self.inner.clock.now()))
    }

    async fn changed(&self) {
        // The sender lives as long as we do.
        let _ = self.inner.changed.subscribe().changed().await;
    }
}

impl Served for Nftables {
    fn kind(&self) -> &str {
        KIND
    }

    async fn claim(&self, installation: Uuid) -> Result<(), GuardError> {
        self.inner.claim(installation).await
    }

    async fn look(&self, at: Asked) -> Result<BTreeMap<IpAddr, Outlook>, GuardError> {
        // On a task of its own: it looks from where the guard's own threads are.
        let looking = tokio::spawn(async move { netlink::outlooks(&at).await });
        match tokio::time::timeout(LOOK_MAX, looking).await {
            Ok(Ok(found)) => found.map_err(failed),
            Ok(Err(error)) => Err(GuardError::Failed(error.to_string())),
            Err(_) => Err(GuardError::Failed("the rules of others are too many to read".into())),
        }
    }
}

impl Inner {
    async fn claim(&self, installation: Uuid) -> Result<(), GuardError> {
        let mut state = self.state.lock().await;
        match state.mirror.installation {
            Some(owner) if owner == installation => return Ok(()),
            Some(owner) => {
                return Err(GuardError::Refused(format!(
                    "this guard keeps the rules of installation {owner}, not of {installation}; \
                     `hourgate guard remove` takes them away, and opens what they keep closed"
                )));
            }
            None => {}
        }
        let batch = state.wire.batch().claim(installation).map_err(failed)?;
        state.wire.commit(batch).await.map_err(failed)?;
        state.mirror.installation = Some(installation);
        drop(state);
        self.write_floor().await;
        Ok(())
    }

    /// Writes the floor of what is locked now. What cannot be written is said, and waits for nothing.
    async fn write_floor(&self) {
        let turn = Arc::clone(&self.floor).lock_owned().await;
        let floor = {
            let state = self.state.lock().await;
            let Mirror { installation, locks, translated, .. } = &state.mirror;
            let silent = translated.silent.clone();
            Floor { installation: *installation, locks: locks.clone(), silent }
        };
        let dir = self.settings.state_dir.clone();
        if let Err(error) = on_disk(turn, move || floor.write(&dir)).await {
            tracing::error!(%error, "floor.nft is not written: a boot before the guard runs would close what was locked before");
        }
    }

    /// Writes what new flows meet, for the next start.
    async fn write_screens(&self) {
        let turn = Arc::clone(&self.floor).lock_owned().await;
        let remembered = Remembered::of(&self.state.lock().await.mirror.screened);
        let dir = self.settings.state_dir.clone();
        if let Err(error) = on_disk(turn, move || remembered.write(&dir)).await {
            tracing::error!(%error, "the rules of security groups are not written: a guard that starts before the server speaks would hold those of before");
        }
    }

    /// Says that something happened which nobody asked for.
    fn say_changed(&self) {
        self.changed.send_modify(|count| *count = count.wrapping_add(1));
    }
}

/// Writes without holding up anything but its own turn; says what went wrong, or that it takes long.
async fn on_disk(
    turn: OwnedMutexGuard<()>,
    write: impl FnOnce() -> io::Result<()> + Send + 'static,
) -> io::Result<()> {
    let writing = tokio::task::spawn_blocking(move || {
        let written = write();
        drop(turn);
        written
    });
    match tokio::time::timeout(DISK_WAIT_MAX, writing).await {
        Ok(Ok(written)) => written,
        Ok(Err(error)) => Err(io::Error::other(error)),
        Err(_) => Err(io::Error::other("the disk does not answer yet")),
    }
}

fn failed(error: WireError) -> GuardError {
    GuardError::Failed(error.to_string())
}
