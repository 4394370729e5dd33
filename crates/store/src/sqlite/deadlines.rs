//! When time alone changes something of what stands, so that the writer and the gate need not look at all of it.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use hourgate_core::{
    grant::{Access, Request, Stage},
    id::RequestId,
    time::{Now, Timestamp, distance},
};
use uuid::Uuid;

/// The requests that wait or run, by when.
#[derive(Clone, Debug, Default)]
pub(super) struct Deadlines {
    starts: BTreeSet<(Timestamp, RequestId)>,
    ends: BTreeSet<(Timestamp, RequestId)>,
    /// Ends on the clock of each boot. More than one only after a reboot, and not for long.
    boot_ends: BTreeMap<Uuid, BTreeSet<(u64, RequestId)>>,
    /// Ends that stand on the wall clock alone.
    bootless: BTreeSet<RequestId>,
}

impl Deadlines {
    /// Forgets one request as it was.
    pub(super) fn take(&mut self, request: &Request) {
        for access in &request.accesses {
            match &access.stage {
                Stage::Planned { start } => {
                    self.starts.remove(&(*start, request.id));
                }
                Stage::Granted { until, .. } => {
                    self.ends.remove(&(until.wall, request.id));
                    match until.boot {
                        Some(end) => {
                            if let Some(ends) = self.boot_ends.get_mut(&end.boot) {
                                ends.remove(&(end.nanos, request.id));
                                if ends.is_empty() {
                                    self.boot_ends.remove(&end.boot);
                                }
                            }
                        }
                        None => {
                            self.bootless.remove(&request.id);
                        }
                    }
                }
                Stage::Ended { .. } => {}
            }
        }
    }

    /// Takes in one request as it is.
    pub(super) fn add(&mut self, request: &Request) {
        for access in &request.accesses {
            match &access.stage {
                Stage::Planned { start } => {
                    self.starts.insert((*start, request.id));
                }
                Stage::Granted { until, .. } => {
                    self.ends.insert((until.wall, request.id));
                    match until.boot {
                        Some(end) => {
                            let ends = self.boot_ends.entry(end.boot).or_default();
                            ends.insert((end.nanos, request.id));
                        }
                        None => {
                            self.bootless.insert(request.id);
                        }
                    }
                }
                Stage::Ended { .. } => {}
            }
        }
    }

    /// Requests with an access that [`is_due`].
    pub(super) fn due(&self, now: Now) -> BTreeSet<RequestId> {
        let by = |times: &BTreeSet<(Timestamp, RequestId)>| -> Vec<RequestId> {
            times.iter().take_while(|(at, _)| *at <= now.wall).map(|(_, id)| *id).collect()
        };
        let mut due: BTreeSet<RequestId> = self.bootless.clone();
        due.extend(by(&self.starts));
        due.extend(by(&self.ends));
        for (boot, ends) in &self.boot_ends {
            let this = *boot == now.boot.boot;
            let over = ends.iter().take_while(|(at, _)| !this || *at <= now.boot.nanos);
            due.extend(over.map(|(_, id)| *id));
        }
        due
    }

    /// How long until the first of them; the clock is believed only after `believed`. The same as
    /// `hourgate_core::open::next_deadline` says of these requests.
    pub(super) fn next(&self, now: Now, believed: Duration) -> Option<Duration> {
        let first = |times: &BTreeSet<(Timestamp, RequestId)>| {
            times.first().map(|(at, _)| distance(now.wall, *at))
        };
        let boot_end = self.boot_ends.get(&now.boot.boot).and_then(|ends| ends.first());
        let of_another_boot =
            !self.bootless.is_empty() || self.boot_ends.keys().any(|boot| *boot != now.boot.boot);
        [
            first(&self.ends),
            first(&self.starts).map(|start| start.max(believed)),
            boot_end.map(|(at, _)| Duration::from_nanos(at.saturating_sub(now.boot.nanos))),
            of_another_boot.then_some(believed),
        ]
        .into_iter()
        .flatten()
        .min()
    }
}

/// Whether time has ended or begun an access, or its end stands on another boot's clock.
pub(super) fn is_due(access: &Access, now: Now) -> bool {
    match &access.stage {
        Stage::Planned { start } => *start <= now.wall,
        Stage::Granted { until, .. } => until.is_over(now) || !until.is_of_this_boot(now),
        Stage::Ended { .. } => false,
    }
}
