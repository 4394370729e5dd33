//! Keeps what stands: ends what is due, undoes what others did, and compares everything now and then.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use hourgate_core::{
    network::{Lock, Opening, Sessions},
    time::{BootTime, Now, later},
};

use super::{Inner, State};
use crate::netlink::{Flow, Monitor, Seen, WireError};

/// The longest sleep before both clocks are read again: a suspended machine or a wall clock set forward
/// is noticed within this time.
const NAP_MAX: Duration = Duration::from_secs(1);
/// The shortest, so that a clock that stands still does not keep us busy.
const NAP_MIN: Duration = Duration::from_micros(500);
/// How long before an end the flows are listed that it will end.
const FORESEE: Duration = Duration::from_millis(150);
/// How long to wait after a failure before trying again.
const RETRY: Duration = Duration::from_millis(200);
/// When the flows are listed anew and their ends asked to speak: for those that began meanwhile, and for
/// packets that were lost.
const PROVOKE_AFTER: [Duration; 3] =
    [Duration::ZERO, Duration::from_millis(15), Duration::from_millis(300)];

impl Inner {
    /// The second clock: the kernel ends openings by itself; so do we, at the same moment.
    pub(super) async fn watch_deadlines(self: Arc<Self>) {
        loop {
            let nap = match self.end_due().await {
                Ok(next) => next,
                Err(error) => {
                    tracing::error!(%error, "openings that are over could not be taken away; the kernel ends them by itself");
                    RETRY
                }
            };
            tokio::select! {
                () = tokio::time::sleep(nap.clamp(NAP_MIN, NAP_MAX)) => {}
                () = self.deadlines.notified() => {}
            }
        }
    }

    /// Ends what is due, and says how long there is nothing to do.
    async fn end_due(self: &Arc<Self>) -> Result<Duration, WireError> {
        let mut state = self.state.lock().await;
        let now = self.clock.now();
        let due = state.mirror.due(now);
        if !due.is_empty() {
            let ended = state.ending(&due);
            state.close(due).await?;
            Arc::clone(self).end_sessions(ended);
        }
        let stopped = state.mirror.translated.due(now);
        if !stopped.is_empty() {
            state.stop(stopped, BTreeMap::new(), &*self.clock).await?;
        }
        let translated = state.mirror.translated.next_due(now).unwrap_or(NAP_MAX);
        let Some(next) = state.mirror.next_due(now) else { return Ok(translated) };
        let next = next.min(translated);
        if next > FORESEE {
            return Ok(next - FORESEE);
        }
        let soon = state.ending(&state.mirror.due(ahead(now, FORESEE)));
        let known = std::mem::replace(&mut state.foreseen_for, soon.clone());
        drop(state);
        let new: BTreeSet<_> = soon.difference(&known).copied().collect();
        if !new.is_empty() {
            tokio::spawn(Arc::clone(self).foresee(new));
        }
        Ok(next)
    }

    /// Lists the flows that are about to end: at the end itself that would take too long.
    async fn foresee(self: Arc<Self>, locks: BTreeSet<Lock>) {
        if let Ok(flows) = self.flows.to(&locks).await {
            self.state.lock().await.foreseen.extend(flows);
        }
    }

    /// Makes both ends of every session that lost its access at these locks hear of it.
    pub(super) fn end_sessions(self: Arc<Self>, locks: BTreeSet<Lock>) {
        if locks.is_empty() {
            return;
        }
        tokio::spawn(async move {
            let foreseen = {
                let mut state = self.state.lock().await;
                let all = std::mem::take(&mut state.foreseen);
                let (mine, others) = all.into_iter().partition(|(lock, _)| locks.contains(lock));
                state.foreseen = others;
                mine
            };
            self.provoke(foreseen).await;
            for wait in PROVOKE_AFTER {
                tokio::time::sleep(wait).await;
                match self.flows.to(&locks).await {
                    Ok(flows) => self.provoke(flows).await,
                    Err(error) => {
                        tracing::warn!(%error, "sessions cannot be listed: each ends with its next packet");
                    }
                }
            }
        });
    }

    /// Makes both ends of those flows speak that have no access any more.
    async fn provoke(&self, flows: Vec<(Lock, Flow)>) {
        let now = self.clock.now();
        let over: Vec<Flow> = {
            let state = self.state.lock().await;
            let ends = |lock: &Lock| state.mirror.locks.get(lock) == Some(&Sessions::EndWithAccess);
            flows
                .into_iter()
                .filter(|(lock, flow)| ends(lock) && !state.mirror.admits(*lock, flow.client, now))
                .map(|(_, flow)| flow)
                .collect()
        };
        // Any number will do: many thousands to one it lies outside the window.
        let [a, b, c, d, ..] = now.boot.nanos.to_le_bytes();
        let sequence = u32::from_le_bytes([a, b, c, d]);
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
                Seen::Lost => self.compare(true).await,
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

    /// Compares everything, and restores what differs. `deaf`: news was lost since the last time.
    async fn compare(&self, deaf: bool) {
        let differs = {
            let mut state = self.state.lock().await;
            match state.wire.survey().await {
                Ok(survey) => {
                    let differs = state.differs(survey.as_ref(), self.clock.now());
                    let unread = state.rules.is_none();
                    if unread && !differs && !deaf {
                        state.rules = survey.map(|survey| survey.rules);
                    }
                    differs || (unread && deaf)
                }
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
            self.compare(false).await;
        }
    }
}

impl State {
    /// The locks of these openings whose sessions end with them.
    fn ending(&self, openings: &BTreeSet<Opening>) -> BTreeSet<Lock> {
        let locks = openings.iter().map(Opening::lock);
        let ends = |lock: &Lock| self.mirror.locks.get(lock) == Some(&Sessions::EndWithAccess);
        locks.filter(ends).collect()
    }
}

/// A reading of both clocks as it will be.
fn ahead(now: Now, by: Duration) -> Now {
    let nanos = u64::try_from(by.as_nanos()).unwrap_or(u64::MAX);
    let boot = BootTime { nanos: now.boot.nanos.saturating_add(nanos), ..now.boot };
    Now { wall: later(now.wall, by), boot }
}
