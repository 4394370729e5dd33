//! Where the reconciler learns what is so, and where it reports what was seen.

use std::{collections::BTreeSet, future::Future, net::IpAddr, time::Duration};

use hourgate_core::{
    gateway::{MAPPED_PORTS, Translation},
    id::VmId,
    network::Opening,
    nsg::port::PortRange,
    plan::Observed,
    state::State,
};

/// Which facts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Which {
    /// Of what is named.
    Named(Named),
    /// Of every VM.
    Everything,
}

/// Whom to look at. Where nobody is named it is at the network alone, which every look brings.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Named {
    /// These VMs.
    pub vms: BTreeSet<VmId>,
    /// These addresses, with the VMs that have them; no VM need have one.
    pub addresses: BTreeSet<IpAddr>,
}

impl Named {
    /// Names what the other names too.
    pub fn extend(&mut self, other: Named) {
        self.vms.extend(other.vms);
        self.addresses.extend(other.addresses);
    }
}

/// What is recorded, and the only way in which the reconciler records anything.
pub trait Facts: Send + Sync + 'static {
    /// What stands, of what is named.
    fn load(&self, which: &Which) -> impl Future<Output = Result<State, FactsError>> + Send;

    /// Takes note of what a guard saw on the addresses of these VMs, and says for which VMs something
    /// else changed by that: what was due ended, what could not be opened failed.
    fn noticed(
        &self,
        guard: &str,
        vms: BTreeSet<VmId>,
        observed: Observed,
    ) -> impl Future<Output = Result<BTreeSet<VmId>, FactsError>> + Send;

    /// The ports of firewalls' public addresses that accesses are mapped to.
    fn mapped_ports(&self) -> PortRange {
        MAPPED_PORTS
    }

    /// How long until time alone changes something; none if it never does.
    fn next_deadline(&self) -> impl Future<Output = Result<Option<Duration>, FactsError>> + Send;

    /// Does what time alone demands, and says for which VMs something changed.
    fn tick(&self) -> impl Future<Output = Result<BTreeSet<VmId>, FactsError>> + Send;

    /// Says that a close is late. Must not wait for anything.
    fn alarm(&self, alarm: Alarm);
}

/// The facts cannot be had or written now.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct FactsError(pub String);

/// A close that is late: an incident.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Alarm {
    /// On which guard.
    pub guard: String,
    /// How many closes are late.
    pub closes: usize,
    /// How late the latest of them is.
    pub late: Duration,
    /// One of them.
    pub example: Late,
    /// Whether the guard answers at all.
    pub reached: bool,
}

/// What stands on a guard and must not any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Late {
    /// A port of a machine that is open.
    Opening(Opening),
    /// A port of a public address that leads somewhere.
    Translation(Translation),
}

impl Late {
    /// The address that the guard is to be told of.
    pub fn address(&self) -> IpAddr {
        match self {
            Late::Opening(opening) => opening.address(),
            Late::Translation(translation) => translation.at().address,
        }
    }
}
