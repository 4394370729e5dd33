//! Looks for closes that are late, whatever the other tasks are waiting for.

use std::{sync::Arc, time::Duration};

use tokio::time::sleep;

use super::{Shared, lane::Lane, locked};
use crate::facts::{Alarm, Facts};

/// How often it looks.
const LOOK_EVERY: Duration = Duration::from_millis(200);
/// From when on late is an alarm: with [`LOOK_EVERY`] it is raised within a second.
const ALARM_AFTER: Duration = Duration::from_millis(700);
/// While nothing known changes, time alone can make something late: compared again this often.
const COMPARE_EVERY: Duration = Duration::from_secs(1);

/// Watches one guard.
pub(super) async fn run<F: Facts>(shared: Arc<Shared<F>>, lane: Arc<Lane>) {
    // Nothing was late then: nanoseconds on the boot clock.
    let mut fine_at = shared.clock.now().boot.nanos;
    let mut compared = (0, 0);
    let mut alarmed = false;
    loop {
        sleep(LOOK_EVERY).await;
        let now = shared.clock.now();
        let held_up = lane.begun().is_some_and(|begun| since(begun, now.boot.nanos) > LOOK_EVERY);
        let suspect = {
            let sighting = locked(&lane.sighting);
            held_up || !sighting.is_reached() || sighting.disobeyed || sighting.is_late()
        };
        if !suspect {
            fine_at = now.boot.nanos;
            alarmed = false;
            continue;
        }
        let known = shared.known();
        let mut sighting = locked(&lane.sighting);
        let stale = since(compared.1, now.boot.nanos) >= COMPARE_EVERY;
        if stale || known.version != compared.0 || sighting.is_late() || sighting.disobeyed {
            sighting.look_for_late(&known, fine_at, now);
            compared = (known.version, now.boot.nanos);
        }
        let reached = sighting.is_reached();
        let (overdue, example) = (sighting.overdue(now), sighting.latest());
        let addresses = sighting.late_addresses();
        drop(sighting);
        drop(known);
        let (Some(overdue), Some(example)) = (overdue, example) else {
            fine_at = now.boot.nanos;
            alarmed = false;
            continue;
        };
        if reached && !held_up {
            // It was told and did not do it: tell it again.
            lane.mark(&addresses);
        }
        if overdue.longest >= ALARM_AFTER && !alarmed {
            alarmed = true;
            shared.facts.alarm(Alarm {
                guard: lane.cover.name.clone(),
                closes: overdue.closes,
                late: overdue.longest,
                example,
                reached,
            });
            shared.changed();
        }
    }
}

fn since(begun: u64, now: u64) -> Duration {
    Duration::from_nanos(now.saturating_sub(begun))
}
