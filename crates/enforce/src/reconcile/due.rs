//! The second clock: what ends by time alone, closed from memory, and recorded as soon as that is possible.

use std::{sync::Arc, time::Duration};

use tokio::time::{sleep, timeout};

use super::{PAUSE_MAX, Shared, longer, mark};
use crate::facts::Facts;

/// The longest sleep: a machine that was suspended looks at its clocks this soon after it woke.
const SLEEP_MAX: Duration = Duration::from_secs(1);
/// Deadlines are asked for no more often than this while wakes keep coming.
const ASK_EVERY: Duration = Duration::from_millis(20);

/// Has guards told of every opening that ends, at its end, whatever becomes of the facts.
pub(super) async fn ends<F: Facts>(shared: Arc<Shared<F>>) {
    loop {
        let now = shared.clock.now();
        let (ended, next) = {
            let mut known = shared.known();
            (known.ended(now), known.next_due())
        };
        mark(&shared.lanes, &ended);
        let left = next.map(|next| Duration::from_nanos(next.saturating_sub(now.boot.nanos)));
        let wait = left.map_or(SLEEP_MAX, |left| left.min(SLEEP_MAX));
        let _ = timeout(wait, shared.wakes.ends_bell.notified()).await;
    }
}

/// Has the facts do what time demands: ends are recorded, what was planned begins.
pub(super) async fn ticks<F: Facts>(shared: Arc<Shared<F>>) {
    let mut pause = Duration::ZERO;
    loop {
        match shared.facts.next_deadline().await {
            Ok(Some(left)) if left.is_zero() => match shared.facts.tick().await {
                Ok(vms) => {
                    // Something was due and nothing came of it: the clock is not believed. Ask again later.
                    pause = if vms.is_empty() { longer(pause) } else { Duration::ZERO };
                    shared.wakes.vms(vms);
                    shared.changed();
                    sleep(pause).await;
                }
                Err(error) => {
                    pause = longer(pause);
                    tracing::warn!(%error, "what time demands cannot be recorded");
                    sleep(pause).await;
                }
            },
            Ok(left) => {
                pause = Duration::ZERO;
                let wait = left.map_or(SLEEP_MAX, |left| left.min(SLEEP_MAX));
                sleep(ASK_EVERY.min(wait)).await;
                let rest = wait.saturating_sub(ASK_EVERY);
                let _ = timeout(rest, shared.wakes.deadline_bell.notified()).await;
            }
            Err(error) => {
                pause = longer(pause);
                tracing::debug!(%error, "the next deadline is not known");
                sleep(pause.min(PAUSE_MAX)).await;
            }
        }
    }
}
