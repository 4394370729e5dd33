//! Keeps what stands: ends what is due, undoes what others did, and compares everything now and then.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use hourgate_core::network::{Lock, Opening, Sessions};

use super::Inner;
use crate::netlink::{Flow, Monitor, Seen};

/// The longest sleep before both clocks are read again: a suspended machine or a wall clock set forward
/// is noticed within this time.
const NAP_MAX: Duration = Duration::from_secs(1);
/// How long to wait after a failure before trying again.
const RETRY: Duration = Duration::from_millis(200);
/// When the ends of an ended session are asked to speak: at once, and again for packets that were lost.
const PROVOKE_AFTER: [Duration; 3] =
    [Duration::ZERO, Duration::from_millis(15), Duration::from_millis(300)];

impl Inner {
    /// The second clock: the kernel ends openings by itself; so do we, at the same moment.
    pub(super) async fn watch_deadlines(self: Arc<Self>) {
        loop {
            let next = {
                let mut state = self.state.lock().await;
                let now = self.clock.now();
                let due = state.mirror.due(now);
                if !due.is_empty() {
                    let locks: BTreeSet<_> = due.iter().map(Opening::lock).collect();
                    if let Err(error) = state.close(due).await {
                        tracing::error!(%error, "openings that are over could not be taken away; the kernel ends them by itself");
                        drop(state);
                        tokio::time::sleep(RETRY).await;
                        continue;
                    }
                    let ends = |lock: &Lock| {
                        state.mirror.locks.get(lock) == Some(&Sessions::EndWithAccess)
                    };
                    let ended = locks.into_iter().filter(ends).collect();
                    Arc::clone(&self).end_sessions(ended);
                }
                state.mirror.next_due(now)
            };
            let nap = next.unwrap_or(NAP_MAX).clamp(Duration::from_micros(500), NAP_MAX);
            tokio::select! {
                () = tokio::time::sleep(nap) => {}
                () = self.deadlines.notified() => {}
            }
        }
    }

    /// Makes both ends of every session that lost its access at these locks hear of it.
    pub(super) fn end_sessions(self: Arc<Self>, locks: BTreeSet<Lock>) {
        if locks.is_empty() {
            return;
        }
        tokio::spawn(async move {
            for wait in PROVOKE_AFTER {
                tokio::time::sleep(wait).await;
                for lock in &locks {
                    self.provoke(*lock).await;
                }
            }
        });
    }

    async fn provoke(&self, lock: Lock) {
        let flows = match self.flows.to(lock).await {
            Ok(flows) => flows,
            Err(error) => {
                tracing::warn!(%error, "sessions cannot be listed: each ends with its next packet");
                return;
            }
        };
        let over: Vec<Flow> = {
            let state = self.state.lock().await;
            let now = self.clock.now();
            if state.mirror.locks.get(&lock) != Some(&Sessions::EndWithAccess) {
                return;
            }
            flows.into_iter().filter(|f| !state.mirror.admits(lock, f.client, now)).collect()
        };
        // Any number will do: four billion to one it lies outside the window.
        let sequence = self.clock.now().boot.nanos.to_le_bytes();
        let sequence = u32::from_le_bytes([sequence[0], sequence[1], sequence[2], sequence[3]]);
        for flow in over {
            if let Err(error) = self.resets.provoke(&flow, sequence) {
                tracing::debug!(%error, "an end of a session could not be asked to speak");
            }
        }
    }

    /// Undoes within milliseconds what others do to our table.
    pub(super) async fn watch_hands(self: Arc<Self>, monitor: Monitor) {
        loop {
            match monitor.next().await {
                Seen::Touched => {
                    tracing::warn!("somebody changed table inet hourgate: restoring it");
                    self.restore().await;
                }
                Seen::Lost => self.compare().await,
            }
        }
    }

    async fn restore(&self) {
        loop {
            let restored = {
                let mut state = self.state.lock().await;
                state.restore(&*self.clock).await
            };
            match restored {
                Ok(()) => {
                    tracing::warn!("table inet hourgate is restored");
                    self.say_changed();
                    return;
                }
                Err(error) => {
                    tracing::error!(%error, "table inet hourgate could not be restored: trying again");
                    tokio::time::sleep(RETRY).await;
                }
            }
        }
    }

    /// Compares everything, and restores what differs.
    async fn compare(&self) {
        let differs = {
            let state = self.state.lock().await;
            match state.wire.survey().await {
                Ok(survey) => state.differs(survey.as_ref(), self.clock.now()),
                Err(error) => {
                    tracing::warn!(%error, "the table could not be read");
                    return;
                }
            }
        };
        if differs {
            tracing::warn!("table inet hourgate is not what it must be: restoring it");
            self.restore().await;
        }
    }

    /// The slow comparison.
    pub(super) async fn sweep(self: Arc<Self>) {
        loop {
            tokio::time::sleep(self.settings.sweep).await;
            self.compare().await;
        }
    }
}
