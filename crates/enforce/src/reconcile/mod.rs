//! One loop makes every guard agree with what must be open, and says what it saw.
//!
//! It is told at most *which* VMs and addresses to look at, never what to do. Five small tasks share one memory:
//!
//! - `load` turns wakes and the sweep into the last known facts, and marks what a guard must be told;
//! - `converge`, one a guard, tells it, however many wakes came meanwhile in one statement, in the order that
//!   `outside` says where two guards stand one before the other;
//! - `record`, one a guard, records what was seen, in order, while the next statement is under way;
//! - `due` is the second clock: what ends is closed from memory, even while the database is gone;
//! - `watch`, one a guard, looks for closes that are late, even while a guard keeps us waiting.

mod converge;
mod due;
mod lane;
mod load;
mod notice;
mod outside;
mod record;
mod watch;

use std::{
    collections::BTreeSet,
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use hourgate_core::{
    id::{RequestId, VmId},
    network::Port,
    policy::GuardCover,
    time::Clock,
};
use tokio::{sync::watch as watched, task::AbortHandle};

use crate::{facts::Facts, guard::Guard, known::Known, view::View};
use lane::Lane;
use load::Wakes;

/// How often what must hold is compared with what does, unless told otherwise.
pub const SWEEP: Duration = Duration::from_secs(10);

/// The longest pause before a guard or the store that failed is tried again.
const PAUSE_MAX: Duration = Duration::from_secs(1);
/// The first such pause.
const PAUSE_MIN: Duration = Duration::from_millis(20);
/// From this many openings on, work on them leaves the threads on which others wait.
const LARGE: usize = 2_000;

/// How often the reconciler looks by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    /// How long from one sweep to the next.
    pub sweep: Duration,
}

impl Default for Pace {
    fn default() -> Pace {
        Pace { sweep: SWEEP }
    }
}

/// Makes guards agree with the facts, until it is dropped. What stands on them stays then as it is.
pub struct Reconciler {
    known: Arc<Mutex<Known>>,
    wakes: Arc<Wakes>,
    lanes: Arc<[Arc<Lane>]>,
    view: View,
    tasks: Vec<AbortHandle>,
}

/// What the tasks share.
struct Shared<F> {
    facts: F,
    clock: Arc<dyn Clock>,
    pace: Pace,
    known: Arc<Mutex<Known>>,
    wakes: Arc<Wakes>,
    lanes: Arc<[Arc<Lane>]>,
    changes: watched::Sender<u64>,
}

impl Reconciler {
    /// Begins: loads everything, and makes each guard agree with the part that it covers. To be called
    /// within a tokio runtime.
    pub fn start<F: Facts, G: Guard>(
        facts: F,
        guards: Vec<(GuardCover, G)>,
        clock: Arc<dyn Clock>,
        pace: Pace,
    ) -> Reconciler {
        let known = Arc::new(Mutex::new(Known::default()));
        let wakes = Arc::new(Wakes::default());
        let (changes, _) = watched::channel(0);
        let now = clock.now();
        let lanes: Arc<[Arc<Lane>]> =
            guards.iter().map(|(cover, _)| Arc::new(Lane::new(cover.clone(), now))).collect();
        let view = View {
            known: Arc::clone(&known),
            guards: lanes
                .iter()
                .map(|lane| (lane.cover.clone(), Arc::clone(&lane.sighting)))
                .collect(),
            changes: changes.clone(),
            clock: Arc::clone(&clock),
        };
        let shared = Arc::new(Shared {
            facts,
            clock,
            pace,
            known: Arc::clone(&known),
            wakes: Arc::clone(&wakes),
            lanes: Arc::clone(&lanes),
            changes,
        });
        let mut tasks = vec![
            tokio::spawn(load::wakes(Arc::clone(&shared))).abort_handle(),
            tokio::spawn(load::sweeps(Arc::clone(&shared))).abort_handle(),
            tokio::spawn(due::ends(Arc::clone(&shared))).abort_handle(),
            tokio::spawn(due::ticks(Arc::clone(&shared))).abort_handle(),
        ];
        for ((_, guard), lane) in guards.into_iter().zip(lanes.iter()) {
            let (shared, lane) = (|| Arc::clone(&shared), || Arc::clone(lane));
            let watch = tokio::spawn(watch::run(shared(), lane()));
            let record = tokio::spawn(record::run(shared(), lane()));
            let converge = tokio::spawn(converge::run(shared(), lane(), guard));
            tasks.extend([watch, record, converge].map(|task| task.abort_handle()));
        }
        Reconciler { known, wakes, lanes, view, tasks }
    }

    /// Says that something about these VMs may have changed. Never waits.
    pub fn wake(&self, vms: impl IntoIterator<Item = VmId>) {
        self.wakes.vms(vms);
    }

    /// Says that the network changed: other rules may stand before these addresses than did, whether or not a VM
    /// has them. Where it stands before none, what holds on public addresses is looked at all the same. Never
    /// waits.
    pub fn wake_at(&self, addresses: BTreeSet<IpAddr>) {
        self.wakes.addresses(addresses);
    }

    /// Says that anything may have changed. Never waits.
    pub fn wake_all(&self) {
        self.wakes.everything();
    }

    /// Closes what a request opened (all of it, or what is named) although that could not be recorded, and
    /// keeps it closed until [`Reconciler::release`]. An opening that another request needs too stays.
    ///
    /// False where nothing of the request is known to be open: then there is nothing to close.
    pub fn hold(&self, request: RequestId, only: Option<BTreeSet<(VmId, Port)>>) -> bool {
        let addresses = locked(&self.known).hold(request, only);
        let held = !addresses.is_empty();
        if !held {
            locked(&self.known).release(request);
        }
        mark(&self.lanes, &addresses);
        held
    }

    /// Ends a hold, once what it closed is recorded as closed, or was refused.
    pub fn release(&self, request: RequestId) {
        let (addresses, owners) = {
            let mut known = locked(&self.known);
            let addresses = known.release(request);
            let owners = known.owners(&addresses);
            (addresses, owners)
        };
        // The facts first: without a look at them the memory would open again what was just recorded.
        if owners.is_empty() {
            mark(&self.lanes, &addresses);
        } else {
            self.wakes.vms(owners);
        }
    }

    /// What the guards last said.
    pub fn view(&self) -> &View {
        &self.view
    }
}

impl Drop for Reconciler {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}

impl<F> Shared<F> {
    fn known(&self) -> MutexGuard<'_, Known> {
        locked(&self.known)
    }

    fn changed(&self) {
        self.changes.send_modify(|count| *count = count.wrapping_add(1));
    }
}

/// Marks addresses to be told to the guards that cover them.
fn mark(lanes: &[Arc<Lane>], addresses: &BTreeSet<IpAddr>) {
    for lane in lanes {
        lane.mark(addresses);
    }
}

/// A lock that another task's panic cannot close for ever: what it holds is replaced as a whole.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The pause after another failure: twice the last, within bounds.
fn longer(pause: Duration) -> Duration {
    (pause * 2).clamp(PAUSE_MIN, PAUSE_MAX)
}

/// Does work here if it is small, and beside the threads on which others wait if it is large. None if the
/// runtime is stopping.
async fn aside<T: Send + 'static>(
    size: usize,
    work: impl FnOnce() -> T + Send + 'static,
) -> Option<T> {
    if size < LARGE { Some(work()) } else { tokio::task::spawn_blocking(work).await.ok() }
}
