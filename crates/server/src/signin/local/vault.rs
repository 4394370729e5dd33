//! Credentials of accounts and services, by heart: whoever signs in is found in memory, also while the store
//! is gone, and nothing is changed but through here.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use hourgate_core::{event::Note, time::Timestamp};
use hourgate_store::{
    Credential, CredentialChange, CredentialKind, Origin, Store, StoreError,
    credential::CHANGES_MAX,
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use tokio::sync::{Mutex, OwnedMutexGuard};
use uuid::Uuid;

use super::name::SignInName;

/// How many credentials there can be: each takes under 1 KiB of memory, and is read at the start.
const CREDENTIALS_MAX: usize = 500_000;
/// How many may be changed at the same time, each another's. Commits that wait together are one.
const LANES: usize = 64;

/// How long a service's secret or key is shown after its end.
const SHOWN_AFTER: Duration = Duration::from_hours(30 * 24);

/// The kinds that are kept here. Sessions and signing keys know their own.
const KINDS: [CredentialKind; 12] = [
    CredentialKind::Account,
    CredentialKind::Password,
    CredentialKind::Totp,
    CredentialKind::Passkey,
    CredentialKind::RecoveryCode,
    CredentialKind::Link,
    CredentialKind::Service,
    CredentialKind::ServiceSecret,
    CredentialKind::ServiceKey,
    CredentialKind::FederatedTrust,
    CredentialKind::SpentAssertion,
    CredentialKind::Place,
];

/// Why a credential was not changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum VaultError {
    /// There are as many as can be.
    #[error("there are {CREDENTIALS_MAX} credentials, and no more can be kept")]
    Full,
    /// It could not be written: nothing was changed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// All credentials of accounts and services. Clones share them.
#[derive(Clone)]
pub(crate) struct Vault(Arc<Inner>);

struct Inner {
    held: RwLock<Held>,
    lanes: Vec<Arc<Mutex<()>>>,
}

type Key = (CredentialKind, String);

#[derive(Default)]
struct Held {
    by_id: BTreeMap<Key, Arc<Credential>>,
    by_object: BTreeMap<Uuid, BTreeSet<Key>>,
    /// Whose account a name is: changes with the account, so that no two ever have one.
    names: BTreeMap<SignInName, Uuid>,
}

/// What of an account's row its name is.
#[derive(Deserialize)]
struct Named {
    name: SignInName,
}

impl Vault {
    /// Of what the store has; what is not of accounts and services is left out.
    pub(crate) fn new(rows: Vec<Credential>) -> Vault {
        let mut held = Held::default();
        rows.into_iter().filter(|row| KINDS.contains(&row.kind)).for_each(|row| held.put(row));
        let lanes = (0..LANES).map(|_| Arc::default()).collect();
        Vault(Arc::new(Inner { held: RwLock::new(held), lanes }))
    }

    /// One, whether or not its time is over.
    pub(crate) fn get(&self, kind: CredentialKind, id: &str) -> Option<Arc<Credential>> {
        self.read(|held| held.by_id.get(&(kind, id.to_owned())).cloned())
    }

    /// One whose time is not over.
    pub(crate) fn live(
        &self,
        kind: CredentialKind,
        id: &str,
        now: Timestamp,
    ) -> Option<Arc<Credential>> {
        self.get(kind, id).filter(|one| is_live(one, now))
    }

    /// Those of a kind that are somebody's, in the order of their ids, whether or not their time is over.
    pub(crate) fn of(&self, object: Uuid, kind: CredentialKind) -> Vec<Arc<Credential>> {
        self.read(|held| {
            let keys = held.by_object.get(&object).into_iter().flatten();
            let keys = keys.filter(|(of, _)| *of == kind);
            keys.filter_map(|key| held.by_id.get(key).cloned()).collect()
        })
    }

    /// Whose account a name is.
    pub(crate) fn named(&self, name: &SignInName) -> Option<Uuid> {
        self.read(|held| held.names.get(name).copied())
    }

    /// Every account, by name.
    pub(crate) fn names(&self) -> Vec<Uuid> {
        self.read(|held| held.names.values().copied().collect())
    }

    /// All of a kind.
    pub(crate) fn all(&self, kind: CredentialKind) -> Vec<Arc<Credential>> {
        self.read(|held| {
            let from = (kind, String::new());
            let found = held.by_id.range(from..).take_while(|((of, _), _)| *of == kind);
            found.map(|(_, one)| Arc::clone(one)).collect()
        })
    }

    /// What takes everything of somebody's away.
    pub(crate) fn removal_of(
        &self,
        object: Uuid,
        which: impl Fn(CredentialKind) -> bool,
    ) -> Vec<CredentialChange> {
        self.read(|held| {
            let keys = held.by_object.get(&object).into_iter().flatten();
            let keys = keys.filter(|(kind, _)| which(*kind)).cloned();
            keys.map(|(kind, id)| CredentialChange::Remove { kind, id }).collect()
        })
    }

    /// Forgets what was over long ago: one account's, or one service's, after the other. How much of it.
    pub(crate) async fn sweep<S: Store>(
        &self,
        store: &S,
        origin: &Origin,
        now: Timestamp,
    ) -> usize {
        let is_old = |one: &Credential| !is_live(one, shown_until(one.kind, now));
        let objects: BTreeSet<Uuid> = self.read(|held| {
            let old = held.by_id.values().filter(|one| is_old(one));
            old.take(CHANGES_MAX).map(|one| one.object).collect()
        });
        let mut swept = 0;
        for object in objects {
            let hold = self.hold(object).await;
            let changes: Vec<CredentialChange> = self.read(|held| {
                let keys = held.by_object.get(&object).into_iter().flatten();
                let old = keys.filter(|key| held.by_id.get(*key).is_some_and(|one| is_old(one)));
                let old = old.take(CHANGES_MAX).cloned();
                old.map(|(kind, id)| CredentialChange::Remove { kind, id }).collect()
            });
            let count = changes.len();
            let note = Note::CredentialsSwept { count: count as u64 };
            match hold.keep(store, origin.clone(), changes, note).await {
                Ok(()) => swept += count,
                Err(error) => tracing::warn!(%error, "what is over could not be forgotten"),
            }
        }
        swept
    }

    /// Keeps everybody else from changing what is somebody's: what is looked at then stays so until it is
    /// changed. Nil stands for names and for what is nobody's.
    pub(crate) async fn hold(&self, object: Uuid) -> Hold {
        let lane = usize::from(object.as_bytes()[0]) % LANES;
        // There are as many lanes as the remainder can be.
        let lane = self.0.lanes.get(lane).cloned().unwrap_or_default();
        Hold { vault: self.clone(), _lane: lane.lock_owned().await }
    }

    fn read<T>(&self, look: impl FnOnce(&Held) -> T) -> T {
        look(&self.0.held.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn apply(&self, changes: Vec<CredentialChange>) {
        let mut held = self.0.held.write().unwrap_or_else(PoisonError::into_inner);
        for change in changes {
            match change {
                CredentialChange::Put(one) => held.put(one),
                CredentialChange::Remove { kind, id } => held.remove(&(kind, id)),
            }
        }
    }

    fn has_room(&self, changes: &[CredentialChange]) -> bool {
        let puts = changes.iter().filter(|change| matches!(change, CredentialChange::Put(_)));
        self.read(|held| held.by_id.len()).saturating_add(puts.count()) <= CREDENTIALS_MAX
    }
}

/// What was over at that time is forgotten now: secrets that ended are shown for a while, so that whoever
/// wonders why a program no longer comes in finds them.
fn shown_until(kind: CredentialKind, now: Timestamp) -> Timestamp {
    match kind {
        CredentialKind::ServiceSecret | CredentialKind::ServiceKey => {
            now.checked_sub(SHOWN_AFTER).unwrap_or(Timestamp::MIN)
        }
        CredentialKind::Account
        | CredentialKind::Password
        | CredentialKind::Totp
        | CredentialKind::Passkey
        | CredentialKind::RecoveryCode
        | CredentialKind::Link
        | CredentialKind::Service
        | CredentialKind::FederatedTrust
        | CredentialKind::SpentAssertion
        | CredentialKind::Place
        | CredentialKind::Session
        | CredentialKind::RefreshFamily
        | CredentialKind::SigningKey => now,
    }
}

/// Whether its time is not over.
pub(crate) fn is_live(one: &Credential, now: Timestamp) -> bool {
    one.until.is_none_or(|until| now < until)
}

impl Held {
    fn put(&mut self, one: Credential) {
        let key = (one.kind, one.id.clone());
        self.remove(&key);
        if let Some(name) = name_of(&one) {
            self.names.insert(name, one.object);
        }
        self.by_object.entry(one.object).or_default().insert(key.clone());
        self.by_id.insert(key, Arc::new(one));
    }

    fn remove(&mut self, key: &Key) {
        let Some(before) = self.by_id.remove(key) else { return };
        if let Some(name) = name_of(&before) {
            self.names.remove(&name);
        }
        if let Some(keys) = self.by_object.get_mut(&before.object) {
            keys.remove(key);
            if keys.is_empty() {
                self.by_object.remove(&before.object);
            }
        }
    }
}

fn name_of(one: &Credential) -> Option<SignInName> {
    let Named { name } = (one.kind == CredentialKind::Account).then(|| read(one)).flatten()?;
    Some(name)
}

/// The right to change what is somebody's.
pub(crate) struct Hold {
    vault: Vault,
    _lane: OwnedMutexGuard<()>,
}

impl Hold {
    /// Changes it on the disk, and then in memory: for whatever lets somebody in who could not come in before.
    /// It is done to its end, also where whoever asked no longer waits.
    pub(crate) async fn keep<S: Store>(
        self,
        store: &S,
        origin: Origin,
        changes: Vec<CredentialChange>,
        note: Note,
    ) -> Result<(), VaultError> {
        if !self.vault.has_room(&changes) {
            return Err(VaultError::Full);
        }
        let store = store.clone();
        let work = tokio::spawn(async move {
            // All of it: a part alone would let go of the lane too early.
            let hold = self;
            store.keep(origin, changes.clone(), note).await?;
            hold.vault.apply(changes);
            Ok(())
        });
        work.await.map_err(|error| StoreError::Unavailable(error.to_string()))?
    }

    /// Changes it in memory, and then on the disk as far as that is possible: for what is used up by a sign-in,
    /// which must go on while the store is gone. Until the next start it is used up all the same.
    pub(crate) async fn spend<S: Store>(
        self,
        store: &S,
        origin: Origin,
        changes: Vec<CredentialChange>,
        note: Note,
    ) -> Result<(), VaultError> {
        if !self.vault.has_room(&changes) {
            return Err(VaultError::Full);
        }
        self.vault.apply(changes.clone());
        let store = store.clone();
        let work = tokio::spawn(async move {
            // Held until it is written: of two changes the later one stands on the disk too.
            let _held = self;
            if let Err(error) = store.keep(origin, changes, note).await {
                tracing::error!(%error, "a sign-in could not be recorded");
            }
        });
        work.await.map_err(|error| StoreError::Unavailable(error.to_string()).into())
    }
}

/// What a credential's row holds, as it is written.
pub(crate) fn body<T: Serialize>(body: &T) -> String {
    // It is made of texts and numbers, so it can always be written.
    serde_json::to_string(body).unwrap_or_default()
}

/// What a credential's row holds; nothing where another version wrote it, which then lets nobody in.
pub(crate) fn read<T: DeserializeOwned>(one: &Credential) -> Option<T> {
    match serde_json::from_str(&one.body) {
        Ok(body) => Some(body),
        Err(error) => {
            // Without the error's own words: they can hold a part of what was read.
            tracing::error!(
                kind = %one.kind, object = %one.object, line = error.line(),
                "a credential cannot be read"
            );
            None
        }
    }
}
