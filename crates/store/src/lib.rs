//! The memory: what is known, and the log that explains it, written in one transaction.
//!
//! [`Store`] is all that the rest of Hourgate sees of it.

pub mod bound;
pub mod credential;
pub mod log;
pub mod sqlite;

use std::{collections::BTreeSet, future::Future, net::IpAddr, sync::Arc, time::Duration};

use hourgate_core::{
    command::{Command, Needs},
    event::{Event, Note},
    grant::Request,
    id::{Location, Name, PolicyId, RequestId, VmId},
    policy::{Policy, Settings, Vm},
    refusal::Refusals,
    role::{Directory, Person},
    state::State,
    time::{Now, Timestamp},
};
use uuid::Uuid;

pub use credential::{Credential, CredentialChange, CredentialKind};

/// Where everything that must not be lost is kept.
///
/// A method that returns has its work on the disk; one that fails has done nothing.
pub trait Store: Clone + Send + Sync + 'static {
    /// Loads what the command needs, decides it, and writes rows and log, or nothing at all.
    /// The only way in which anything changes. A refusal is recorded, and bounded in how often.
    fn transact(
        &self,
        origin: Origin,
        command: Command,
    ) -> impl Future<Output = Result<Committed, TransactError>> + Send;

    /// What would come of a command, decided from what stands, and nothing written: neither rows nor a record.
    fn what_if(
        &self,
        command: Command,
    ) -> impl Future<Output = Result<Committed, TransactError>> + Send;

    /// Records something that changes no state.
    fn note(
        &self,
        origin: Origin,
        note: Note,
    ) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// What stands, of what is needed.
    fn load(&self, needs: Needs) -> impl Future<Output = Result<State, StoreError>> + Send;

    /// What stands of every VM and policy, with every access that is not settled.
    fn everything(&self) -> impl Future<Output = Result<State, StoreError>> + Send;

    /// How long until time alone changes something; none if it never does.
    fn next_deadline(
        &self,
        now: Now,
    ) -> impl Future<Output = Result<Option<Duration>, StoreError>> + Send;

    /// Policies with all their VMs and the requests that their answer shows, by id.
    fn policies(
        &self,
        which: PolicyFilter,
    ) -> impl Future<Output = Result<Vec<PolicyAnswer>, StoreError>> + Send;

    /// VMs, by id.
    fn vms(&self, which: VmFilter) -> impl Future<Output = Result<Vec<Vm>, StoreError>> + Send;

    /// Requests, newest first.
    fn requests(
        &self,
        which: RequestFilter,
    ) -> impl Future<Output = Result<Vec<Request>, StoreError>> + Send;

    /// One request.
    fn request(
        &self,
        id: RequestId,
    ) -> impl Future<Output = Result<Option<Request>, StoreError>> + Send;

    /// Who there is and who may what. Out of memory, so that it is known while the disk is full or gone.
    fn directory(&self) -> Arc<Directory>;

    /// Who this installation is.
    fn installation(&self) -> Installation;

    /// The settings that decide.
    fn settings(&self) -> Arc<Settings>;

    /// The service principal of that client id.
    fn principal(
        &self,
        client: Uuid,
    ) -> impl Future<Output = Result<Option<Principal>, StoreError>> + Send;

    /// Sets a service principal, and records it, in one transaction.
    fn set_principal(
        &self,
        origin: Origin,
        principal: Principal,
        note: Note,
    ) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Every credential. Read at the start: from then on whoever keeps them knows them by heart.
    fn credentials(&self) -> impl Future<Output = Result<Vec<Credential>, StoreError>> + Send;

    /// Changes credentials, in their order, and records what that means, in one transaction. A limit of
    /// [`credential`] that is passed is a bug of whoever calls, and fails the call alone.
    fn keep(
        &self,
        origin: Origin,
        changes: Vec<CredentialChange>,
        note: Note,
    ) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Whether the log is whole: every record follows from the one before, bears the seal, and the last
    /// one is the head; and whether the rows are still those that it explains.
    fn verify_log(&self) -> impl Future<Output = Result<LogVerdict, StoreError>> + Send;
}

/// On whose behalf something is written: the envelope of its log records.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// Who; nobody where Hourgate itself acts.
    pub person: Option<Person>,
    /// From which address.
    pub address: Option<IpAddr>,
    /// The action that was called, by its name on the wire; empty where none was.
    pub action: String,
    /// The resource it was called on.
    pub target: String,
    /// One id through everything that belongs together.
    pub correlation: Uuid,
}

/// A command's outcome, on the disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Committed {
    /// The time it was decided at.
    pub now: Now,
    /// What happened; nothing, where everything was so already.
    pub events: Vec<Event>,
    /// What stands then, of what was loaded for the command.
    pub state: State,
    /// The addresses before which other rules may stand than did.
    pub concerned: BTreeSet<IpAddr>,
}

/// Why a command has no outcome.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TransactError {
    /// The rules say no.
    #[error("refused")]
    Refused(Refusals),
    /// It could not be written: nothing of it stands.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Why the store did not answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// The disk is full, the file cannot be written, the database is gone: try again later.
    #[error("the store cannot be written or read: {0}")]
    Unavailable(String),
    /// More commands wait than may.
    #[error("the store has more to do than it may take on")]
    Busy,
    /// What is stored is not what this version wrote.
    #[error("the store is damaged: {0}")]
    Damaged(String),
}

/// Which policies.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PolicyFilter {
    /// This one alone.
    pub id: Option<PolicyId>,
    /// Those that hold this VM.
    pub vm: Option<VmId>,
    /// Those of this resource group.
    pub group: Option<Name>,
    /// Those of this location.
    pub location: Option<Location>,
}

/// A policy, and the requests that its answer shows: the newest live ones (2,000 at most) and the newest
/// that ended within 30 days (1,000 at most).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicyAnswer {
    /// The policy with all its VMs.
    pub policy: Policy,
    /// Its requests, oldest first.
    pub requests: Vec<Request>,
}

/// Which VMs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct VmFilter {
    /// Those of this resource group.
    pub group: Option<Name>,
    /// Those of this name, in any group.
    pub name: Option<Name>,
}

/// Which requests.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RequestFilter {
    /// Only those with an access that waits, runs, or has ended and was not seen closed since it was seen
    /// open.
    pub standing_only: bool,
    /// Only those that name this VM.
    pub vm: Option<VmId>,
    /// Only those older than this one: the next page.
    pub before: Option<(Timestamp, RequestId)>,
    /// No more than this many.
    pub most: usize,
}

/// Who an installation is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Installation {
    /// What its guard knows it by.
    pub id: Uuid,
    /// Its tenant.
    pub tenant: Uuid,
    /// Its subscription.
    pub subscription: Uuid,
}

/// A service that may sign in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Principal {
    /// Its client id.
    pub client: Uuid,
    /// Its object id.
    pub object: Uuid,
    /// What it is called.
    pub name: String,
    /// SHA-256 of its secret, which has 256 bits of its own: nothing is gained by a slower digest.
    pub secret_digest: [u8; 32],
}

/// What a look over the whole log found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogVerdict {
    /// How many records it has.
    pub records: u64,
    /// The first record that is not as it was written; none if the log is whole.
    pub first_bad: Option<u64>,
    /// Whether what the rows say stands is what the log explains.
    pub rows_hold: bool,
    /// How many texts about people are gone from records that are whole without them.
    pub erased: u64,
}
