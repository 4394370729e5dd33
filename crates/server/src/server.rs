//! What a running server holds, and the one way in which its operations change anything.

use std::{collections::VecDeque, net::IpAddr, sync::Arc};

use hourgate_api::paths::{Page, Route};
use hourgate_core::{
    command::Command,
    event::{Event, Note},
    role::{Action, Caller},
    time::{Clock, Now},
};
use hourgate_store::{
    Committed, CredentialChange, CredentialKind, Installation, Origin, Store, StoreError,
    TransactError,
};
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
    portal::Portal,
    serve::Whose,
    signin::{
        KeyChanges, SignIn, SignInError, kept_keys,
        local::{
            accounts::{Accounts, Occasion},
            seal::Seal,
            service::Services,
        },
        provider::Providers,
    },
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

/// How many changes of credentials may wait for a store that is gone: each has some 500 bytes.
const OWED_MAX: usize = 10_000;

/// Changes of credentials that wait to be written.
pub(crate) type Owed = tokio::sync::Mutex<VecDeque<(Origin, Vec<CredentialChange>, Note)>>;

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
    /// Words about addresses that were not believed.
    pub(crate) hearsay: Denials,
    /// Proxies whose connections begin with whose they are.
    pub(crate) proxy_protocol: Vec<IpNet>,
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
    /// Other providers, who vouch for people and services.
    pub(crate) providers: Providers,
    /// Knows what people without a provider prove who they are with.
    pub(crate) accounts: Accounts,
    /// Service accounts.
    pub(crate) services: Services,
    /// What browsers are shown, and what they are half-way through.
    pub(crate) portal: Portal,
    /// Seals keys that sign.
    pub(crate) seal: Seal,
    /// What became of credentials and could not be written yet.
    pub(crate) owed: Owed,
    /// Sign-ins that failed. Counted apart: strangers must not use up the room for records of people.
    pub(crate) failed_sign_ins: Denials,
}

impl<S: Store> Server<S> {
    /// Whose word about addresses counts: that of requests' headers, and that of connections.
    pub(crate) fn proxies(&self) -> (&[IpNet], &[IpNet]) {
        (&self.trusted_proxies, &self.proxy_protocol)
    }

    /// Somebody said from where they call, and is not believed. Told so many times a minute and counted beyond: anybody
    /// can do so.
    pub(crate) fn hears_hearsay(&self, peer: IpAddr) {
        self.metrics.hearsay.inc();
        let (recorded, before) = self.hearsay.count(self.now().boot.nanos);
        if recorded {
            tracing::info!(
                %peer,
                before,
                "a caller brings a forwarding header and is no trusted proxy: it is not believed"
            );
        }
    }

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

    /// Keeps what has become of credentials, and records it. What cannot be written holds all the same until
    /// the server ends, and is tried again: whoever was shut out stays shut out.
    pub(crate) async fn keep(&self, origin: Origin, changes: Vec<CredentialChange>, note: Note) {
        let mut owed = self.owed.lock().await;
        if owed.len() < OWED_MAX {
            owed.push_back((origin, changes, note));
        }
        self.write(&mut owed).await;
    }

    /// Has the next key that signs tokens made when it is time for that, and old ones dropped.
    pub(crate) async fn tend_keys(&self) -> Result<(), SignInError> {
        let changes = self.sign_in.tend_keys(self.now())?;
        self.keep_keys(&changes, None).await
    }

    /// Has another key sign tokens at once, on somebody's word.
    pub(crate) async fn rotate_keys(
        &self,
        drop_old: bool,
        origin: Origin,
    ) -> Result<String, SignInError> {
        let changes = self.sign_in.rotate_keys(drop_old, self.now())?;
        self.keep_keys(&changes, Some(origin)).await?;
        Ok(changes.made.first().map(|(id, _)| id.clone()).unwrap_or_default())
    }

    async fn keep_keys(&self, changes: &KeyChanges, by: Option<Origin>) -> Result<(), SignInError> {
        if changes.is_nothing() {
            return Ok(());
        }
        let rows = kept_keys::rows(&self.seal, changes)?;
        let correlation = mint::uuid().map_err(SignInError::NoRandomness)?;
        let note = match (changes.made.first(), changes.dropped.first()) {
            (Some((key, _)), _) => Note::KeyRotated { key: key.clone() },
            (None, dropped) => Note::CredentialRemoved {
                object: Uuid::nil(),
                kind: CredentialKind::SigningKey.to_string(),
                id: dropped.cloned().unwrap_or_default(),
            },
        };
        self.keep(by.unwrap_or_else(|| ours(correlation)), rows, note).await;
        Ok(())
    }

    /// A link with which somebody becomes the first administrator; one that was made before no longer holds.
    pub(crate) async fn first_link(&self, origin: Origin) -> Result<String, String> {
        let (store, now) = (&self.store, self.now());
        let from = std::net::IpAddr::from([127, 0, 0, 1]);
        let made = self.accounts.first_link(Occasion { store, origin, from, now }).await;
        let secret = made.map_err(|error| error.to_string())?;
        Ok(format!("{}{}?link={secret}", self.base, Route::Page(Page::Welcome)))
    }

    /// Forgets links, places and what services signed in with, once they are over.
    pub(crate) async fn sweep_credentials(&self) {
        if let Ok(correlation) = mint::uuid() {
            self.services.sweep(&self.store, &ours(correlation), self.now().wall).await;
        }
    }

    /// Forgets sessions whose time is over.
    pub(crate) async fn sweep_sessions(&self) {
        let changes = self.sign_in.sessions.sweep(self.now().wall);
        if let (false, Ok(correlation)) = (changes.is_empty(), mint::uuid()) {
            let count = changes.len() as u64;
            self.keep(ours(correlation), changes, Note::CredentialsSwept { count }).await;
        }
    }

    /// Writes what could not be written before.
    pub(crate) async fn keep_owed(&self) {
        let mut owed = self.owed.lock().await;
        self.write(&mut owed).await;
    }

    /// In its order: what was begun and ended since must not be found begun.
    async fn write(&self, owed: &mut VecDeque<(Origin, Vec<CredentialChange>, Note)>) {
        while let Some((origin, changes, note)) = owed.front().cloned() {
            match self.store.keep(origin, changes, note).await {
                Ok(()) => {}
                Err(error @ (StoreError::Unavailable(_) | StoreError::Busy)) => {
                    let waiting = owed.len();
                    return tracing::error!(%error, waiting, "credentials could not be kept yet");
                }
                // It never will be: the others must not wait for it.
                Err(error @ StoreError::Damaged(_)) => {
                    tracing::error!(%error, "what became of a credential cannot be kept");
                }
            }
            owed.pop_front();
        }
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
