//! From a wake, or the sweep, to the last known facts.

use std::{collections::BTreeSet, net::IpAddr, sync::Arc, sync::Mutex, time::Duration};

use hourgate_core::id::VmId;
use tokio::{
    sync::Notify,
    time::{Instant, sleep, timeout},
};

use super::{PAUSE_MIN, Shared, aside, locked, longer, mark};
use crate::{
    facts::{Facts, FactsError, Named, Which},
    known::Loaded,
};

/// Up to this many openings one statement holds them all; more are swept in slices, so that what changes
/// meanwhile is not kept waiting.
const SWEEP_AT_ONCE_MAX: usize = 5_000;
/// How many openings a slice of the sweep holds: some milliseconds of a guard's time.
const SLICE_OPENINGS: usize = 1_000;
/// How many sweeps in slices until everything is compared in one statement all the same: only that finds
/// openings on addresses that nobody knows.
const SLICED_SWEEPS_MAX: u32 = 30;
/// The sweep takes no more than this share of the time, however long loading everything takes.
const SWEEP_SHARE: u32 = 20;

/// Whom to look at.
#[derive(Default)]
pub(super) struct Wakes {
    /// None where nobody was woken since the last look.
    named: Mutex<Option<Named>>,
    named_bell: Notify,
    everything_bell: Notify,
    /// Rung with every wake: a deadline may have come nearer.
    pub(super) deadline_bell: Notify,
    /// Rung when an end in memory may have come nearer.
    pub(super) ends_bell: Notify,
}

impl Wakes {
    pub(super) fn vms(&self, vms: impl IntoIterator<Item = VmId>) {
        self.named(Named { vms: vms.into_iter().collect(), ..Named::default() });
    }

    pub(super) fn addresses(&self, addresses: BTreeSet<IpAddr>) {
        self.named(Named { addresses, ..Named::default() });
    }

    fn named(&self, named: Named) {
        locked(&self.named).get_or_insert_default().extend(named);
        self.named_bell.notify_one();
        self.deadline_bell.notify_one();
    }

    pub(super) fn everything(&self) {
        self.everything_bell.notify_one();
        self.deadline_bell.notify_one();
    }
}

/// Loads whom a wake named; all that were named while a load was under way go into the next.
pub(super) async fn wakes<F: Facts>(shared: Arc<Shared<F>>) {
    let mut pause = Duration::ZERO;
    loop {
        shared.wakes.named_bell.notified().await;
        let Some(named) = locked(&shared.wakes.named).take() else { continue };
        let which = Which::Named(named);
        match load(&shared, &which).await {
            Ok(_) => pause = Duration::ZERO,
            Err(error) => {
                pause = longer(pause);
                tracing::warn!(%error, "the facts cannot be loaded: nothing opens, what ends is closed");
                if let Which::Named(named) = which {
                    shared.wakes.named(named);
                }
                sleep(pause).await;
            }
        }
    }
}

/// Loads everything from time to time, and when asked to.
pub(super) async fn sweeps<F: Facts>(shared: Arc<Shared<F>>) {
    let mut pause = Duration::ZERO;
    let mut sliced = 0;
    loop {
        let begun = Instant::now();
        let (wait, whole) = match load(&shared, &Which::Everything).await {
            Ok(first) => {
                pause = Duration::ZERO;
                let share = begun.elapsed().saturating_mul(SWEEP_SHARE);
                (shared.pace.sweep.max(share), first || sliced >= SLICED_SWEEPS_MAX)
            }
            Err(error) => {
                pause = longer(pause.max(PAUSE_MIN));
                tracing::warn!(%error, "the facts cannot be loaded: the last known ones hold");
                (if shared.known().is_loaded() { shared.pace.sweep } else { pause }, false)
            }
        };
        if shared.known().is_loaded() {
            sliced = if sweep(&shared, whole) { sliced + 1 } else { 0 };
        }
        let _ = timeout(wait, shared.wakes.everything_bell.notified()).await;
    }
}

/// Has every guard compare everything; says whether any does so in slices.
fn sweep<F: Facts>(shared: &Shared<F>, whole: bool) -> bool {
    let mut sliced = false;
    for lane in shared.lanes.iter() {
        let slices = shared.known().slices(&lane.cover, SLICE_OPENINGS);
        if whole || slices.len() <= SWEEP_AT_ONCE_MAX / SLICE_OPENINGS {
            lane.mark_all();
        } else {
            sliced = true;
            lane.mark_slices(slices);
        }
    }
    sliced
}

/// Loads, and marks what is to be told; says whether everything is known for the first time.
async fn load<F: Facts>(shared: &Shared<F>, which: &Which) -> Result<bool, FactsError> {
    let (load, network) = {
        let mut known = shared.known();
        (known.begin(), known.network())
    };
    let state = shared.facts.load(which).await?;
    let (clock, sorted_as) = (Arc::clone(&shared.clock), which.clone());
    let (size, mapped) = (state.requests.len(), shared.facts.mapped_ports());
    let sorted = move || Loaded::of(load, &sorted_as, (&state, &network, mapped), clock.now());
    let sorted = aside(size, sorted).await;
    let Some(loaded) = sorted else { return Err(FactsError("stopping".to_owned())) };
    let (first, changed) = {
        let mut known = shared.known();
        let first = !known.is_loaded();
        let changed = known.take_in(loaded);
        (first && known.is_loaded(), changed)
    };
    // Before everything is known for the first time nothing is told in parts.
    if !first {
        mark(&shared.lanes, &changed);
    }
    shared.wakes.ends_bell.notify_one();
    Ok(first)
}
