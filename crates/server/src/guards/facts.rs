//! The facts are the store's, and what was seen goes back there.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use hourgate_core::{
    command::{Command, Needs},
    event::{Event, Note},
    id::VmId,
    nsg::port::PortRange,
    plan::Observed,
    state::State,
    time::Clock,
};
use hourgate_enforce::facts::{Alarm, Facts, FactsError, Late, Named, Which};
use hourgate_store::{Origin, Store, TransactError};
use uuid::Uuid;

/// A store as the reconciler sees it.
pub(super) struct StoreFacts<S> {
    store: S,
    clock: Arc<dyn Clock>,
}

impl<S: Store> StoreFacts<S> {
    pub(super) fn new(store: S, clock: Arc<dyn Clock>) -> StoreFacts<S> {
        StoreFacts { store, clock }
    }
}

impl<S: Store> Facts for StoreFacts<S> {
    async fn load(&self, which: &Which) -> Result<State, FactsError> {
        match which {
            Which::Everything => self.store.everything().await,
            Which::Named(Named { vms, addresses }) => {
                let (vms, at) = (vms.clone(), addresses.clone());
                self.store.load(Needs { vms, at, ..Needs::default() }).await
            }
        }
        .map_err(|error| FactsError(error.to_string()))
    }

    fn mapped_ports(&self) -> PortRange {
        self.store.settings().mapped_ports
    }

    async fn noticed(
        &self,
        guard: &str,
        vms: BTreeSet<VmId>,
        observed: Observed,
    ) -> Result<BTreeSet<VmId>, FactsError> {
        let command = Command::Observe { guard: guard.to_owned(), vms, observed };
        match self.store.transact(ours(), command).await {
            Ok(committed) => Ok(vms_of(committed.events.iter().filter(|event| !is_sight(event)))),
            // Tried again it would be refused again.
            Err(TransactError::Refused(refusals)) => {
                tracing::error!(guard, ?refusals, "what a guard saw was refused");
                Ok(BTreeSet::new())
            }
            Err(TransactError::Store(error)) => Err(FactsError(error.to_string())),
        }
    }

    async fn next_deadline(&self) -> Result<Option<Duration>, FactsError> {
        let next = self.store.next_deadline(self.clock.now()).await;
        next.map_err(|error| FactsError(error.to_string()))
    }

    async fn tick(&self) -> Result<BTreeSet<VmId>, FactsError> {
        match self.store.transact(ours(), Command::Tick).await {
            Ok(committed) => Ok(vms_of(&committed.events)),
            Err(TransactError::Refused(refusals)) => {
                Err(FactsError(format!("refused: {refusals:?}")))
            }
            Err(TransactError::Store(error)) => Err(FactsError(error.to_string())),
        }
    }

    fn alarm(&self, alarm: Alarm) {
        let late = alarm.late.as_millis();
        let answers = if alarm.reached { "answers" } else { "does not answer" };
        let what = format!(
            "{} of the closes on guard {} are late by {late} ms, {} among them; the guard {answers}",
            alarm.closes,
            alarm.guard,
            example(&alarm.example),
        );
        tracing::error!(
            guard = alarm.guard,
            closes = alarm.closes,
            late_ms = late,
            "late to close"
        );
        let store = self.store.clone();
        tokio::spawn(async move {
            if let Err(error) = store.note(ours(), Note::Alarm { what }).await {
                tracing::error!(%error, "an alarm cannot be recorded");
            }
        });
    }
}

/// What is late to close, in words.
fn example(late: &Late) -> String {
    let (way, port, address, source) = match late {
        Late::Opening(of) => ("", of.port(), of.address(), of.source()),
        Late::Translation(of) => ("the way from ", of.at().port, of.at().address, of.source()),
    };
    format!("{way}port {port} of {address} for {source}")
}

/// Hourgate itself acts.
fn ours() -> Origin {
    Origin {
        person: None,
        address: None,
        action: String::new(),
        target: String::new(),
        // Without randomness the record stands all the same, under the id that is nobody's.
        correlation: crate::mint::uuid().unwrap_or(Uuid::nil()),
    }
}

/// The VMs on which events change what must be open.
pub(super) fn vms_of<'a>(events: impl IntoIterator<Item = &'a Event>) -> BTreeSet<VmId> {
    let mut vms = BTreeSet::new();
    for event in events {
        match event {
            Event::VmRegistered { vm } => vms.extend([vm.id.clone()]),
            Event::VmUnregistered { id } => vms.extend([id.clone()]),
            Event::PolicySet { members, before, .. } => {
                vms.extend(members.keys().cloned());
                vms.extend(before.iter().flat_map(|before| before.members.keys().cloned()));
            }
            Event::PolicyRemoved { before, .. } => vms.extend(before.members.keys().cloned()),
            Event::Requested { request } => {
                vms.extend(request.accesses.iter().map(|access| access.vm.clone()));
            }
            Event::Started { access, .. }
            | Event::EndMoved { access, .. }
            | Event::Ended { access, .. }
            | Event::Opened { access, .. }
            | Event::Closed { access, .. }
            | Event::AccessBlocked { access, .. }
            | Event::AccessUnblocked { access } => vms.extend([access.vm.clone()]),
            Event::LockBroken { broken } => vms.extend([broken.vm.clone()]),
            Event::PolicyConfirmed { .. }
            | Event::ResourcePut { .. }
            | Event::ResourceDeleted { .. }
            | Event::Unlocked { .. }
            | Event::PricingSet { .. }
            | Event::Directory { .. }
            | Event::ClockAccepted { .. } => {}
        }
    }
    vms
}

/// Whether an event says only what a guard saw, which changes nothing that must be open.
fn is_sight(event: &Event) -> bool {
    match event {
        Event::Opened { .. } | Event::Closed { .. } | Event::Unlocked { .. } => true,
        Event::VmRegistered { .. }
        | Event::VmUnregistered { .. }
        | Event::PolicySet { .. }
        | Event::PolicyRemoved { .. }
        | Event::ResourcePut { .. }
        | Event::ResourceDeleted { .. }
        | Event::PolicyConfirmed { .. }
        | Event::Requested { .. }
        | Event::Started { .. }
        | Event::EndMoved { .. }
        | Event::Ended { .. }
        | Event::PricingSet { .. }
        | Event::Directory { .. }
        | Event::LockBroken { .. }
        | Event::AccessBlocked { .. }
        | Event::AccessUnblocked { .. }
        | Event::ClockAccepted { .. } => false,
    }
}
