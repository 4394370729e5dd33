//! Calls that wait until a request changes.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use hourgate_core::{event::Event, id::RequestId};
use tokio::sync::Notify;

/// How many calls may wait at once; each costs a connection and a little memory, and nothing else.
const WAITERS_MAX: usize = 2_000;

/// Who waits for which request.
#[derive(Clone, Debug, Default)]
pub(crate) struct Waiters(Arc<Mutex<Held>>);

#[derive(Debug, Default)]
struct Held {
    count: usize,
    by_request: BTreeMap<RequestId, (usize, Arc<Notify>)>,
}

/// One that waits; gone when dropped.
pub(crate) struct Waiter {
    waiters: Waiters,
    request: RequestId,
    notify: Arc<Notify>,
}

impl Waiters {
    /// One more for that request; none where too many wait.
    pub(crate) fn join(&self, request: RequestId) -> Option<Waiter> {
        let mut held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if held.count >= WAITERS_MAX {
            return None;
        }
        held.count += 1;
        let (count, notify) = held.by_request.entry(request).or_default();
        *count += 1;
        let notify = notify.clone();
        Some(Waiter { waiters: self.clone(), request, notify })
    }

    /// Wakes those whose request is in these events.
    pub(crate) fn changed(&self, events: &[Event]) {
        let held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if held.count == 0 {
            return;
        }
        for request in events.iter().filter_map(request_of) {
            if let Some((_, notify)) = held.by_request.get(&request) {
                notify.notify_waiters();
            }
        }
    }
}

impl Waiter {
    /// Resolves at the next change after it was asked for.
    pub(crate) fn notified(&self) -> tokio::sync::futures::Notified<'_> {
        self.notify.notified()
    }
}

impl Drop for Waiter {
    fn drop(&mut self) {
        let mut held = self.waiters.0.lock().unwrap_or_else(PoisonError::into_inner);
        held.count = held.count.saturating_sub(1);
        if let Some((count, _)) = held.by_request.get_mut(&self.request) {
            *count -= 1;
            if *count == 0 {
                held.by_request.remove(&self.request);
            }
        }
    }
}

fn request_of(event: &Event) -> Option<RequestId> {
    match event {
        Event::Requested { request } => Some(request.id),
        Event::Started { access, .. }
        | Event::EndMoved { access, .. }
        | Event::Ended { access, .. }
        | Event::Opened { access, .. }
        | Event::Closed { access, .. }
        | Event::AccessBlocked { access, .. }
        | Event::AccessUnblocked { access } => Some(access.request),
        Event::VmRegistered { .. }
        | Event::VmUnregistered { .. }
        | Event::PolicySet { .. }
        | Event::PolicyConfirmed { .. }
        | Event::PolicyRemoved { .. }
        | Event::ResourcePut { .. }
        | Event::ResourceDeleted { .. }
        | Event::PricingSet { .. }
        | Event::Directory { .. }
        | Event::LockBroken { .. }
        | Event::Unlocked { .. }
        | Event::ClockAccepted { .. } => None,
    }
}
