//! The way to the guards: sockets, the local guard's process, and the reconciler over the store.
//!
//! Operations use [`Gate`] and nothing else of this module:
//!
//! - after every commit: [`Gate::wake_for`] with it, or [`Gate::wake`] with the VMs it was about.
//!   Neither says what to do;
//! - where ending an access could not be committed: [`Gate::hold`] closes it now, records it as soon as
//!   the store takes it, and then forgets the hold. The answer is 503 "closed, not yet recorded";
//! - to show what guards see: [`Gate::view`]; to wait for a change: [`View::changes`], then ask the store;
//! - nobody else commits [`Command::Tick`] or [`Command::Observe`]: the gate does, on time.

mod facts;
mod frames;
mod socket;
mod supervise;

#[cfg(test)]
mod tests;

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
    path::PathBuf,
    sync::Arc,
    time::Duration,
};

use hourgate_core::{
    command::Command,
    id::{RequestId, VmId},
    network::Port,
    outlook::{self, Outlook},
    policy::GuardCover,
    time::Clock,
};
use hourgate_enforce::{
    guard::Guard,
    reconcile::{Pace, Reconciler},
};
use hourgate_store::{Committed, Origin, Store, TransactError};
use tokio::{sync::watch, task::AbortHandle, time::sleep};

pub use hourgate_enforce::{
    status::{GuardStatus, Overdue, Reached},
    view::{Sight, View},
};

use facts::StoreFacts;
use socket::{Looker, SocketGuard};

/// The longest pause before a close that could not be recorded is tried again.
const RECORD_PAUSE_MAX: Duration = Duration::from_secs(1);
/// The first such pause.
const RECORD_PAUSE_MIN: Duration = Duration::from_millis(50);

/// A guard, and how its process comes to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GuardAt {
    /// Its name and what it covers.
    pub cover: GuardCover,
    /// Its unix socket.
    pub socket: PathBuf,
    /// Set where this server starts the guard when nobody answers on the socket: where it has the
    /// privilege ([`may_start_guards`]) and was not told `--no-guard`.
    pub start: Option<StartGuard>,
}

/// How a local guard is started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StartGuard {
    /// Its program: this one's own, `std::env::current_exe()`.
    pub program: PathBuf,
    /// `--state-dir`.
    pub state_dir: PathBuf,
    /// The file that its words are appended to.
    pub log: PathBuf,
}

/// What a guard says it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Met {
    /// What enforces: `nftables`, or `fake`.
    pub kind: String,
    /// Its version.
    pub version: String,
}

pub use supervise::may_start_guards;

/// Everything that is told to guards goes through here. Clones are the same gate; when the last is
/// dropped the work stops, and what stands on the guards stays.
#[derive(Clone)]
pub struct Gate {
    inner: Arc<Inner>,
}

struct Inner {
    reconciler: Arc<Reconciler>,
    record: Box<dyn Fn(Origin, Command, RequestId) + Send + Sync>,
    ways: Ways,
}

/// What leads to guards that are processes of their own, beside the reconciler; nothing for those in memory.
#[derive(Default)]
struct Ways {
    supervisors: Vec<AbortHandle>,
    /// What each guard says it is, by its name.
    met: BTreeMap<String, watch::Receiver<Option<Met>>>,
    /// How each is asked what it sees, in the order of the configuration.
    lookers: Vec<(GuardCover, Looker)>,
}

impl Gate {
    /// Begins to make the guards agree with the store. To be called within a tokio runtime.
    pub fn start<S: Store>(guards: Vec<GuardAt>, store: S, clock: Arc<dyn Clock>) -> Gate {
        let installation = store.installation().id;
        let mut supervisors = Vec::new();
        let (mut sockets, mut met) = (Vec::new(), BTreeMap::new());
        let mut lookers = Vec::new();
        for GuardAt { cover, socket, start } in guards {
            let guard = SocketGuard::connect(socket.clone(), installation);
            if let Some(start) = start {
                let watch = supervise::run(guard.link(), socket, cover.clone(), start);
                supervisors.push(tokio::spawn(watch).abort_handle());
            }
            met.insert(cover.name.clone(), guard.met());
            lookers.push((cover.clone(), guard.looker()));
            sockets.push((cover, guard));
        }
        Gate::over(sockets, store, clock, Ways { supervisors, met, lookers })
    }

    /// The same over any guards, for instance those in memory.
    pub fn start_with<S: Store, G: Guard>(
        guards: Vec<(GuardCover, G)>,
        store: S,
        clock: Arc<dyn Clock>,
    ) -> Gate {
        Gate::over(guards, store, clock, Ways::default())
    }

    fn over<S: Store, G: Guard>(
        guards: Vec<(GuardCover, G)>,
        store: S,
        clock: Arc<dyn Clock>,
        ways: Ways,
    ) -> Gate {
        let facts = StoreFacts::new(store.clone(), Arc::clone(&clock));
        let reconciler = Arc::new(Reconciler::start(facts, guards, clock, Pace::default()));
        let held = Arc::downgrade(&reconciler);
        let record = move |origin: Origin, command: Command, request: RequestId| {
            let (store, held) = (store.clone(), held.clone());
            tokio::spawn(async move {
                record(&store, origin, command).await;
                if let Some(reconciler) = held.upgrade() {
                    reconciler.release(request);
                }
            });
        };
        Gate { inner: Arc::new(Inner { reconciler, record: Box::new(record), ways }) }
    }

    /// Says that something about these VMs may have changed. Never waits.
    pub fn wake(&self, vms: impl IntoIterator<Item = VmId>) {
        self.inner.reconciler.wake(vms);
    }

    /// Says that something about what a commit speaks of may have changed: the VMs of its events, the
    /// addresses before which other rules may stand, and where public addresses lead. Never waits.
    pub fn wake_for(&self, committed: &Committed) {
        let vms = facts::vms_of(&committed.events);
        if !vms.is_empty() {
            self.wake(vms);
        }
        if committed.events.iter().any(|event| event.resource().is_some()) {
            self.inner.reconciler.wake_at(committed.concerned.clone());
        }
    }

    /// Says that anything may have changed, for instance that the clock is believed again. Never waits.
    pub fn wake_all(&self) {
        self.inner.reconciler.wake_all();
    }

    /// Closes a request's accesses (all, or those named) although [`Command::End`] could not be committed,
    /// and commits it, on behalf of `origin`, as soon as the store takes it. Never waits.
    ///
    /// False where nothing of the request is known to be open: then nothing was done.
    pub fn hold(
        &self,
        origin: Origin,
        request: RequestId,
        only: Option<BTreeSet<(VmId, Port)>>,
    ) -> bool {
        let held = self.inner.reconciler.hold(request, only.clone());
        if held {
            (self.inner.record)(origin, Command::End { request, only }, request);
        }
        held
    }

    /// What a guard said it was when it was last reached; none if it never was, or lives in this process.
    pub fn met(&self, guard: &str) -> Option<Met> {
        self.inner.ways.met.get(guard)?.borrow().clone()
    }

    /// The guard that covers all these addresses, and what it sees of the way to them. Of one that is not
    /// spoken of nothing is known: of all, where the guard does not answer. None where no guard covers them,
    /// or it lives in this process.
    pub async fn look(&self, at: outlook::Asked) -> Option<(String, BTreeMap<IpAddr, Outlook>)> {
        let covers = |cover: &GuardCover| at.keys().all(|address| cover.has(*address));
        let (cover, looker) = self.inner.ways.lookers.iter().find(|(cover, _)| covers(cover))?;
        let seen = looker.look(at).await.unwrap_or_else(|error| {
            tracing::warn!(guard = cover.name, %error, "a guard does not say what it sees");
            BTreeMap::new()
        });
        Some((cover.name.clone(), seen))
    }

    /// What the guards last said.
    pub fn view(&self) -> &View {
        self.inner.reconciler.view()
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        for supervisor in &self.ways.supervisors {
            supervisor.abort();
        }
    }
}

/// Commits a close that is made already, however long that takes.
async fn record<S: Store>(store: &S, origin: Origin, command: Command) {
    let mut pause = RECORD_PAUSE_MIN;
    loop {
        match store.transact(origin.clone(), command.clone()).await {
            Ok(_) => return,
            // Nothing is left of it to end: somebody else recorded that.
            Err(TransactError::Refused(_)) => return,
            Err(TransactError::Store(error)) => {
                tracing::error!(%error, "closed, not yet recorded");
                sleep(pause).await;
                pause = (pause * 2).min(RECORD_PAUSE_MAX);
            }
        }
    }
}
