//! What a running server holds, and the one way in which its operations change anything.

use std::sync::Arc;

use hourgate_core::{
    command::Command,
    event::{Event, Note},
    role::{Action, Caller},
    time::{Clock, Now},
};
use hourgate_store::{Committed, Installation, Origin, Store, TransactError};
use ipnet::IpNet;
use tokio::sync::{Semaphore, watch};
use uuid::Uuid;

use crate::{
    guards::Gate,
    http::{Parsers, PerAddress},
    interfaces::OwnAddresses,
    metrics::Metrics,
    mint,
    operations::{Call, Denials, Problem, Waiters},
    serve::Whose,
    signin::SignIn,
};

/// How many requests are worked on at once; each may hold a body of 4 MiB.
const REQUESTS_MAX: usize = 512;
/// How many more may be, if they close something: closing waits on nothing else.
const CLOSES_MAX: usize = 128;
/// How many may sign in at once. Nobody is known before that, so strangers who send slowly take places
/// from one another and not from those who are signed in.
const SIGN_INS_MAX: usize = 128;
/// How many of those may be one address's, an eighth: one alone must not keep everybody else out.
const SIGN_INS_PER_ADDRESS_MAX: usize = SIGN_INS_MAX / 8;

/// Room for requests under way; 429 where there is none.
#[derive(Debug)]
pub(crate) struct Places {
    pub(crate) usual: Semaphore,
    pub(crate) to_close: Semaphore,
    pub(crate) to_sign_in: Semaphore,
    pub(crate) to_sign_in_of: PerAddress,
}

impl Default for Places {
    fn default() -> Places {
        Places {
            usual: Semaphore::new(REQUESTS_MAX),
            to_close: Semaphore::new(CLOSES_MAX),
            to_sign_in: Semaphore::new(SIGN_INS_MAX),
            to_sign_in_of: PerAddress::of(SIGN_INS_PER_ADDRESS_MAX),
        }
    }
}

/// A running server.
pub(crate) struct Server<S> {
    pub(crate) store: S,
    pub(crate) gate: Gate,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) installation: Installation,
    pub(crate) sign_in: SignIn,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) own: OwnAddresses,
    pub(crate) trusted_proxies: Vec<IpNet>,
    /// The URL that absolute links begin with, without a slash at its end.
    pub(crate) base: String,
    pub(crate) waiters: Waiters,
    pub(crate) places: Places,
    pub(crate) parsers: Parsers,
    /// Held by whoever changes a part of a resource: two who read, change and write would race.
    pub(crate) parts: tokio::sync::Mutex<()>,
    pub(crate) stop: watch::Receiver<bool>,
    /// Whose a token is that nobody here gave; in tests alone.
    pub(crate) whose: Option<Whose>,
    /// Calls that were denied to people we know.
    pub(crate) denials: Denials,
    /// Sign-ins that failed. Counted apart: strangers must not use up the room for records of people.
    pub(crate) failed_sign_ins: Denials,
}

impl<S: Store> Server<S> {
    pub(crate) fn now(&self) -> Now {
        self.clock.now()
    }

    /// Commits a command on somebody's behalf, and has the guards look at the VMs that it is about.
    pub(crate) async fn commit(
        &self,
        origin: Origin,
        command: Command,
    ) -> Result<Committed, Problem> {
        let committed = match self.store.transact(origin, command).await {
            Ok(committed) => committed,
            Err(TransactError::Refused(refusals)) => return Err(Problem::Refused(refusals)),
            Err(TransactError::Store(error)) => return Err(Problem::Store(error)),
        };
        self.metrics.commits.inc();
        if !committed.events.is_empty() {
            self.gate.wake_for(&committed);
            self.waiters.changed(&committed.events);
            self.alarm(&committed).await;
        }
        Ok(committed)
    }

    /// What would come of a command. Nothing is changed or recorded.
    pub(crate) async fn what_if(&self, command: Command) -> Result<Committed, Problem> {
        match self.store.what_if(command).await {
            Ok(committed) => Ok(committed),
            Err(TransactError::Refused(refusals)) => Err(Problem::Refused(refusals)),
            Err(TransactError::Store(error)) => Err(Problem::Store(error)),
        }
    }

    /// Says what somebody must look at: accesses that a rule drops since, and locks that were broken knowingly.
    async fn alarm(&self, committed: &Committed) {
        let what: Vec<String> = committed.events.iter().filter_map(alarming).collect();
        let (Some(first), Ok(correlation)) = (what.first(), mint::uuid()) else { return };
        self.metrics.network_alarms.inc_by(what.len() as u64);
        // One record for one change, however many it is about: each has its own event beside.
        let what = match what.len() - 1 {
            0 => first.clone(),
            more => format!("{first}; and {more} more"),
        };
        tracing::error!(what);
        self.note(ours(correlation), Note::Alarm { what }).await;
    }

    /// Records something, as far as that is possible: what it tells of has happened.
    pub(crate) async fn note(&self, origin: Origin, note: Note) {
        if let Err(error) = self.store.note(origin, note).await {
            tracing::error!(%error, "something could not be recorded");
        }
    }
}

fn alarming(event: &Event) -> Option<String> {
    match event {
        Event::AccessBlocked { access, group, rule, priority } => Some(format!(
            "the rule '{rule}' (priority {priority}) of '{group}' drops what request {} has open: port {} of \
             '{}'",
            access.request, access.port, access.vm
        )),
        Event::LockBroken { broken } => Some(format!(
            "port {} of {} ('{}'), which JIT keeps closed, is reached from {} without a grant",
            broken.lock.port, broken.lock.address, broken.vm, broken.from
        )),
        Event::VmRegistered { .. }
        | Event::VmUnregistered { .. }
        | Event::PolicySet { .. }
        | Event::PolicyConfirmed { .. }
        | Event::PolicyRemoved { .. }
        | Event::Requested { .. }
        | Event::Started { .. }
        | Event::EndMoved { .. }
        | Event::Ended { .. }
        | Event::Opened { .. }
        | Event::Closed { .. }
        | Event::AccessUnblocked { .. }
        | Event::PricingSet { .. }
        | Event::Directory { .. }
        | Event::ResourcePut { .. }
        | Event::ResourceDeleted { .. }
        | Event::Unlocked { .. }
        | Event::ClockAccepted { .. } => None,
    }
}

/// On whose behalf a call is recorded.
pub(crate) fn origin(caller: &Caller, call: &Call, action: Action) -> Origin {
    Origin {
        person: Some(caller.person.clone()),
        address: Some(caller.address.seen()),
        action: action.name().to_owned(),
        target: call.target.clone(),
        correlation: call.correlation,
    }
}

/// On behalf of Hourgate itself.
pub(crate) fn ours(correlation: Uuid) -> Origin {
    Origin {
        person: None,
        address: None,
        action: String::new(),
        target: String::new(),
        correlation,
    }
}
