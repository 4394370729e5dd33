//! From the last known facts to the guard, and back with its word.

use std::{collections::BTreeSet, net::IpAddr, sync::Arc, time::Duration};

use hourgate_core::{
    id::VmId,
    plan::{Coverage, Desired},
};
use tokio::time::{Instant, sleep, timeout};

use super::{Shared, aside, lane::Lane, locked, longer, notice::Notice, outside};
use crate::{
    facts::Facts,
    guard::{Guard, GuardError},
    known::Part,
    sight::Sorted,
};

/// How long a guard may take for an answer before it counts as not reached.
const ANSWER_MAX: Duration = Duration::from_secs(20);
/// The pause between two slices of a sweep: what changes has the guard nearly to itself.
const SLICE_PAUSE: Duration = Duration::from_millis(50);

/// Makes one guard agree, for ever.
pub(super) async fn run<F: Facts, G: Guard>(shared: Arc<Shared<F>>, lane: Arc<Lane>, guard: G) {
    let mut pause = Duration::ZERO;
    loop {
        let part = next(&shared, &lane, &guard).await;
        let begun = shared.clock.now().boot.nanos;
        lane.under_way(Some(begun));
        let before = locked(&lane.sighting).is_reached();
        let told = tell(&shared, &lane, &guard, &part).await;
        lane.under_way(None);
        if locked(&lane.sighting).is_reached() != before {
            outside::comes_or_goes(&shared, &lane);
        }
        shared.changed();
        match told {
            Told::Done => pause = Duration::ZERO,
            Told::Refused => split(&shared, &lane, part),
            Told::Lost => {
                lane.mark_all();
                knock(&shared, &lane, &guard, &mut pause).await;
                shared.changed();
            }
        }
    }
}

/// What came of a statement.
enum Told {
    Done,
    Refused,
    Lost,
}

/// Waits for something to tell.
async fn next<F: Facts, G: Guard>(shared: &Shared<F>, lane: &Lane, guard: &G) -> Part {
    loop {
        if shared.known().is_loaded()
            && let Some(part) = lane.next()
        {
            return part;
        }
        tokio::select! {
            biased;
            () = lane.bell.notified() => {}
            () = guard.changed() => lane.mark_all(),
            () = sleep(SLICE_PAUSE), if lane.has_slices() => {
                if let Some(part) = lane.next_slice() {
                    return part;
                }
            }
        }
    }
}

/// Tells the guard what must hold, and takes its word.
async fn tell<F: Facts, G: Guard>(shared: &Shared<F>, lane: &Lane, guard: &G, part: &Part) -> Told {
    outside::closes_first(shared, lane, part).await;
    let snapshot = outside::snapshot(shared, lane, part);
    let size = snapshot.openings;
    let clock = Arc::clone(&shared.clock);
    let prepared = aside(size, move || {
        let told = Arc::new(snapshot.desired(clock.now()));
        (told, snapshot)
    });
    let Some((told, snapshot)) = prepared.await else { return Told::Lost };
    let asked = Instant::now();
    let answer = match timeout(ANSWER_MAX, guard.converge(Arc::clone(&told))).await {
        Ok(answer) => answer,
        Err(_) => Err(GuardError::Unreached("it does not answer in time".to_owned())),
    };
    let took = asked.elapsed();
    match answer {
        Ok(observed) => {
            let at = shared.clock.now();
            let size = observed.openings.len();
            let whole = outside::whole(shared, lane, &snapshot, &observed, at);
            let owners: BTreeSet<VmId> = snapshot.owners.values().cloned().collect();
            let sorted = aside(size, move || {
                let notice = Notice::of(&snapshot, whole.as_ref().unwrap_or(&observed));
                (Sorted::of(&told, &observed, at.wall), notice, observed)
            });
            let Some((sorted, notice, observed)) = sorted.await else { return Told::Lost };
            for (opening, failure) in observed.failed {
                tracing::warn!(guard = lane.cover.name, ?opening, ?failure, "could not be opened");
            }
            for (translation, failure) in observed.untranslated {
                tracing::warn!(guard = lane.cover.name, ?translation, ?failure, "not translated");
            }
            locked(&lane.sighting).saw(sorted, took, at);
            outside::goes_on(shared, lane, owners);
            if let Some(notice) = notice {
                lane.notices.push(notice);
            }
            Told::Done
        }
        Err(GuardError::Refused(why)) => {
            tracing::error!(guard = lane.cover.name, why, "the guard refused");
            let mut sighting = locked(&lane.sighting);
            sighting.reached(shared.clock.now());
            sighting.refused();
            Told::Refused
        }
        Err(error @ (GuardError::Unreached(_) | GuardError::Failed(_))) => {
            lose(shared, lane, &told, &error);
            Told::Lost
        }
    }
}

fn lose<F: Facts>(shared: &Shared<F>, lane: &Lane, told: &Desired, error: &GuardError) {
    let mut sighting = locked(&lane.sighting);
    if sighting.is_reached() {
        tracing::error!(guard = lane.cover.name, %error, "the guard is lost: nothing opens on it");
    }
    sighting.lost(told, error.to_string(), shared.clock.now());
}

/// Asks with a statement about nothing until the guard answers: cheap, however much is open.
async fn knock<F: Facts, G: Guard>(
    shared: &Shared<F>,
    lane: &Lane,
    guard: &G,
    pause: &mut Duration,
) {
    loop {
        *pause = longer(*pause);
        tokio::select! {
            biased;
            () = guard.changed() => {}
            () = sleep(*pause) => {}
        }
        let nothing = Arc::new(Desired {
            coverage: Coverage::Only(BTreeSet::new()),
            locks: Default::default(),
            released: BTreeSet::new(),
            openings: Default::default(),
            standing: Default::default(),
            screens: Default::default(),
            translations: Default::default(),
        });
        let answer = timeout(ANSWER_MAX, guard.converge(Arc::clone(&nothing))).await;
        match answer {
            Ok(Ok(_) | Err(GuardError::Refused(_))) => {
                tracing::info!(guard = lane.cover.name, "the guard answers");
                return;
            }
            Ok(Err(error)) => lose(shared, lane, &nothing, &error),
            Err(_) => {
                let late = GuardError::Unreached("it does not answer in time".to_owned());
                lose(shared, lane, &nothing, &late);
            }
        }
    }
}

/// What was refused together is told in halves, so that one bad part does not keep the rest from closing.
fn split<F: Facts>(shared: &Shared<F>, lane: &Lane, part: Part) {
    match part {
        Part::All => {
            let slices = shared.known().slices(&lane.cover, usize::MAX);
            let whole: BTreeSet<IpAddr> = slices.into_iter().flatten().collect();
            halve(lane, whole);
        }
        // The halves of a single address would be refused again; the next sweep asks once more.
        Part::Addresses(addresses) if addresses.len() > 1 => halve(lane, addresses),
        Part::Addresses(_) => {}
    }
}

fn halve(lane: &Lane, mut addresses: BTreeSet<IpAddr>) {
    let middle = addresses.iter().nth(addresses.len() / 2).copied();
    if let Some(middle) = middle {
        let upper = addresses.split_off(&middle);
        lane.mark_halves([addresses, upper].map(|half| half));
    }
}
