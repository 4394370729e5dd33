//! The guard under test: on a thread in the gateway, or as a process that can be killed.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    process::{Child, Command, Stdio},
    sync::Arc,
    time::Duration,
};

use hourgate_core::{
    network::{Lock, Opening, Port, Sessions},
    plan::{Coverage, Desired, Observed},
    time::{Clock, Deadline},
};
use hourgate_enforce::guard::{Guard, GuardError};
use hourgate_guard::{Config, Nftables, Settings, clock::MachineClock};
use tempfile::TempDir;
use tokio::{runtime::Handle, sync::oneshot};

use super::net::{Net, enter};

pub struct Guarded {
    pub guard: Arc<Nftables>,
    pub clock: MachineClock,
    pub handle: Handle,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Guarded {
    /// A guard on the gateway that covers everything.
    pub fn start(net: &Net, dir: &TempDir) -> Guarded {
        let covers = vec!["0.0.0.0/0".parse().unwrap(), "::/0".parse().unwrap()];
        Guarded::with(net, Settings::new(dir.path().to_path_buf(), covers))
    }

    pub fn with(net: &Net, settings: Settings) -> Guarded {
        Guarded::in_namespace(&net.gateway, settings)
    }

    pub fn in_namespace(ns: &str, settings: Settings) -> Guarded {
        let ns = ns.to_owned();
        let clock = MachineClock::new().unwrap();
        let (stop, stopped) = oneshot::channel();
        let (ready, started) = std::sync::mpsc::channel();
        let thread = std::thread::spawn(move || {
            enter(&ns);
            let runtime =
                tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let guard = Nftables::start(settings, Arc::new(clock)).await.unwrap();
                let guard = Arc::new(guard);
                ready.send((Arc::clone(&guard), Handle::current())).unwrap();
                drop(guard);
                let _ = stopped.await;
            });
        });
        let (guard, handle) = started.recv_timeout(Duration::from_secs(10)).unwrap();
        Guarded { guard, clock, handle, stop: Some(stop), thread: Some(thread) }
    }

    pub fn after(&self, length: Duration) -> Deadline {
        self.clock.now().after(length)
    }

    pub fn converge(&self, desired: Desired) -> Result<Observed, GuardError> {
        self.handle.block_on(self.guard.converge(desired.into()))
    }

    pub fn observe(&self) -> Observed {
        self.handle.block_on(self.guard.observe()).unwrap()
    }

    /// Locks and opens, for `open` each, and returns what then stands.
    pub fn set(&self, locks: &[(Lock, Sessions)], open: &[(Opening, Duration)]) -> Observed {
        let openings = open.iter().map(|(opening, length)| (*opening, self.after(*length)));
        self.converge(desired(locks, openings.collect())).unwrap()
    }

    /// Stops it as SIGTERM does: the table stays.
    pub fn stop(mut self) {
        self.halt();
    }

    fn halt(&mut self) {
        let _ = self.stop.take().map(|stop| stop.send(()));
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Drop for Guarded {
    fn drop(&mut self) {
        self.halt();
    }
}

pub fn lock(address: &str, port: u16) -> Lock {
    Lock { address: address.parse().unwrap(), port: Port::new(port).unwrap() }
}

/// From a source (an address or a prefix) to a port of an address.
pub fn opening(source: &str, address: &str, port: u16) -> Opening {
    let source = source.parse().unwrap_or_else(|_| {
        let source: std::net::IpAddr = source.parse().unwrap();
        source.into()
    });
    Opening::new(source, address.parse().unwrap(), Port::new(port).unwrap()).unwrap()
}

pub fn desired(locks: &[(Lock, Sessions)], openings: BTreeMap<Opening, Deadline>) -> Desired {
    Desired {
        coverage: Coverage::All,
        locks: locks.iter().copied().collect(),
        released: BTreeSet::new(),
        openings,
        standing: BTreeMap::new(),
        screens: BTreeMap::new(),
        translations: Default::default(),
    }
}

const IS_GUARD: &str = "HOURGATE_TEST_GUARD_DIR";

/// What the test named `guard_process` does when it is started as the guard.
pub fn run_if_told() {
    let Some(dir) = std::env::var_os(IS_GUARD) else { return };
    let dir = Path::new(&dir);
    let config = Config {
        socket: dir.join("guard.sock"),
        state_dir: dir.to_path_buf(),
        covers: vec!["0.0.0.0/0".parse().unwrap(), "::/0".parse().unwrap()],
        allow_uids: Vec::new(),
    };
    hourgate_guard::run(&config).unwrap();
}

/// Starts this test program again, as a guard in the gateway.
pub fn process(net: &Net, dir: &TempDir) -> Process {
    let child = Command::new("ip")
        .args(["netns", "exec", &net.gateway])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", "guard_process", "--nocapture"])
        .env(IS_GUARD, dir.path())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    Process(child)
}

/// A guard process; killed when the test is over, however it ends.
pub struct Process(Child);

impl Process {
    pub fn id(&self) -> u32 {
        self.0.id()
    }

    pub fn kill(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }

    /// Waits for it to end by itself; says whether it ended well.
    pub fn ended_well(&mut self) -> bool {
        self.0.wait().unwrap().success()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}
