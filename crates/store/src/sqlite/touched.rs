//! What the events of one command touch: which rows are written, and what of what stands changes.

use std::{collections::BTreeSet, sync::Arc};

use hourgate_core::{
    event::{AccessId, Event},
    grant::Request,
    id::{PolicyId, RequestId, VmId},
    network::Lock,
    state::State,
};

use super::standing::{Change, Released};

/// What the events of one command touch.
#[derive(Default)]
pub(super) struct Touched {
    pub(super) vms: BTreeSet<VmId>,
    pub(super) policies: BTreeSet<PolicyId>,
    /// Requests that are new.
    pub(super) requests: BTreeSet<RequestId>,
    /// Accesses whose stage changed, of requests that are not new.
    pub(super) accesses: BTreeSet<AccessId>,
    pub(super) given_back: Vec<(Lock, Released)>,
    pub(super) seen_gone: Vec<Lock>,
}

impl Touched {
    /// By the events, and what stood before and after them.
    pub(super) fn by(events: &[Event], before: &State, after: &State) -> Touched {
        let mut touched = Touched::default();
        events.iter().for_each(|event| touched.add(event));
        let new = &touched.requests;
        touched.accesses.retain(|access| !new.contains(&access.request));
        for lock in after.released.difference(&before.released) {
            let vms = before.vms.values().chain(after.vms.values());
            let vm = vms.into_iter().find(|vm| vm.addresses.contains(&lock.address));
            touched.given_back.push((*lock, Released { vm: vm.map(|vm| vm.id.clone()) }));
        }
        touched.seen_gone = before.released.difference(&after.released).copied().collect();
        touched
    }

    fn add(&mut self, event: &Event) {
        match event {
            Event::VmRegistered { vm } => {
                self.vms.insert(vm.id.clone());
            }
            Event::VmUnregistered { id } => {
                self.vms.insert(id.clone());
            }
            Event::PolicySet { id, .. }
            | Event::PolicyConfirmed { id }
            | Event::PolicyRemoved { id, .. } => {
                self.policies.insert(id.clone());
            }
            Event::Requested { request } => {
                self.requests.insert(request.id);
            }
            Event::Started { access, .. }
            | Event::EndMoved { access, .. }
            | Event::Ended { access, .. }
            | Event::Opened { access, .. }
            | Event::Closed { access, .. } => {
                self.accesses.insert(access.clone());
            }
            // Released locks are compared as a set; the latest time stands in the head.
            Event::Unlocked { .. } | Event::ClockAccepted { .. } => {}
        }
    }

    /// Requests that are not new.
    pub(super) fn known_requests(&self) -> BTreeSet<RequestId> {
        self.accesses.iter().map(|access| access.request).collect()
    }

    /// What of what stands is otherwise after them.
    pub(super) fn change(&self, after: &State) -> Change {
        let requests = self.requests.iter().copied().chain(self.known_requests());
        let stands = |request: &&Arc<Request>| request.accesses.iter().any(|a| !a.is_settled());
        let gone = self.seen_gone.iter().map(|lock| (*lock, None));
        let back = self.given_back.iter().map(|(lock, is)| (*lock, Some(is.clone())));
        Change {
            vms: each(&self.vms, |id| after.vms.get(id)),
            policies: each(&self.policies, |id| after.policies.get(id)),
            requests: requests
                .map(|id| {
                    let request = after.requests.get(&id).filter(stands);
                    (id, request.cloned())
                })
                .collect(),
            released: gone.chain(back).collect(),
        }
    }
}

fn each<'a, K: Clone + 'a, T: Clone + 'a>(
    ids: impl IntoIterator<Item = &'a K>,
    is: impl Fn(&K) -> Option<&'a T>,
) -> Vec<(K, Option<Arc<T>>)> {
    ids.into_iter().map(|id| (id.clone(), is(id).cloned().map(Arc::new))).collect()
}
