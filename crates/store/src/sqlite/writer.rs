//! The one writer: decides and writes each waiting command by itself, and commits many at once.

use std::{
    collections::BTreeSet,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, PoisonError, RwLock},
};

use hourgate_core::{
    command::Command,
    decide::decide,
    event::{Event, Note},
    policy::Settings,
    refusal::Refusals,
    role::PersonId,
    state::State,
    time::{Clock, Now},
};
use rusqlite::{Connection, params};
use tokio::sync::{mpsc, oneshot};
use uuid::Uuid;

use super::{
    Mint, Result, credentials, fingerprint,
    journal::Chain,
    load,
    numbers::Numbers,
    save::save,
    slice::{Slice, Thin},
    standing::{Change, Standing},
    touched::Touched,
};
use crate::{
    Committed, CredentialChange, Origin, Principal, StoreError, TransactError,
    bound::Bound,
    log::{Entry, LogKey},
};

/// How many commands are committed at once: past this a commit costs each of them little already.
const GROUP_MAX: usize = 256;
/// How long a group is collected, in nanoseconds of the boot clock: who came first waits no longer.
const GROUP_NANOS_MAX: u64 = 10_000_000;

/// How many refusals of one command its record names. A body can earn tens of thousands, and whoever
/// sends it again and again must not fill the disk.
const REFUSALS_RECORDED_MAX: usize = 20;

/// Something to write, and whom to answer once it is on the disk.
pub(super) enum Work {
    Transact {
        origin: Origin,
        command: Command,
        answer: oneshot::Sender<std::result::Result<Committed, TransactError>>,
    },
    Note {
        origin: Origin,
        note: Note,
        answer: oneshot::Sender<Result<()>>,
    },
    Principal {
        origin: Origin,
        principal: Principal,
        note: Note,
        answer: oneshot::Sender<Result<()>>,
    },
    Keep {
        origin: Origin,
        changes: Vec<CredentialChange>,
        note: Note,
        answer: oneshot::Sender<Result<()>>,
    },
}

/// What became of one of them; told once it is on the disk.
enum Outcome {
    Transacted(Box<std::result::Result<Committed, TransactError>>),
    Done,
}

pub(super) fn gone() -> StoreError {
    StoreError::Unavailable("the store is closed".to_owned())
}

/// What a group has changed of what stands.
#[derive(Default)]
struct Group {
    done: Vec<Change>,
    undo: Vec<Change>,
}

pub(super) struct Writer {
    db: Connection,
    key: LogKey,
    chain: Chain,
    /// What stands, with what this group has changed.
    standing: Standing,
    group: Group,
    /// What stands for everybody else: as it was last committed.
    published: Arc<RwLock<Standing>>,
    numbers: Numbers,
    bound: Bound,
    clock: Arc<dyn Clock>,
    settings: Arc<RwLock<Arc<Settings>>>,
    mint: Arc<dyn Mint>,
}

impl Writer {
    pub(super) fn new(
        db: Connection,
        key: LogKey,
        chain: Chain,
        published: Arc<RwLock<Standing>>,
        clock: Arc<dyn Clock>,
        settings: Arc<RwLock<Arc<Settings>>>,
        mint: Arc<dyn Mint>,
    ) -> Writer {
        let standing = published.read().unwrap_or_else(PoisonError::into_inner).clone();
        Writer {
            db,
            key,
            chain,
            standing,
            group: Group::default(),
            published,
            numbers: Numbers::default(),
            bound: Bound::default(),
            clock,
            settings,
            mint,
        }
    }

    /// Works until nobody is left who could ask.
    pub(super) fn run(mut self, mut queue: mpsc::Receiver<Work>) {
        while let Some(first) = queue.blocking_recv() {
            self.group(first, &mut queue);
        }
        let now = self.clock.now();
        if let Some(note) = self.bound.take_all()
            && let Err(error) =
                self.taken(|w| w.append(&hourgate_itself(), Entry::Note(&note), now))
        {
            tracing::warn!(%error, "refusals that were only counted are not in the log");
        }
    }

    /// Commits what waits, then answers: an answer means that it is on the disk.
    fn group(&mut self, first: Work, queue: &mut mpsc::Receiver<Work>) {
        let mut works = Vec::new();
        let taken = self.taken(|writer| writer.begin(first, queue, &mut works));
        match taken {
            Ok(outcomes) => {
                works.into_iter().zip(outcomes).for_each(|(work, outcome)| work.answer(outcome));
            }
            // One that cannot be written costs the others nothing but time.
            Err(StoreError::Damaged(_)) if works.len() > 1 => {
                works.into_iter().for_each(|work| self.alone(work));
            }
            Err(error) => {
                tracing::error!(%error, commands = works.len(), "nothing of a group was committed");
                works.into_iter().for_each(|work| work.fail(&error));
            }
        }
    }

    /// Does it with nobody else in its transaction.
    fn alone(&mut self, work: Work) {
        match self.taken(|writer| writer.one(&work)) {
            Ok(outcome) => work.answer(outcome),
            Err(error) => {
                tracing::error!(%error, "a command could not be committed");
                work.fail(&error);
            }
        }
    }

    /// Does it in one transaction, and takes back all of it if that, or the commit, fails.
    fn taken<T>(&mut self, work: impl FnOnce(&mut Writer) -> Result<T>) -> Result<T> {
        let (chain, bound) = (self.chain, self.bound.clone());
        let began = self.db.execute_batch("BEGIN").map_err(StoreError::from);
        let done = began.and_then(|()| work(self)).and_then(|done| {
            self.commit(chain)?;
            Ok(done)
        });
        if done.is_err() {
            self.roll_back(chain, bound);
        }
        done
    }

    /// Runs the group's commands. An error is the whole group's: its transaction is lost.
    fn begin(
        &mut self,
        first: Work,
        queue: &mut mpsc::Receiver<Work>,
        works: &mut Vec<Work>,
    ) -> Result<Vec<Outcome>> {
        let began = self.clock.now();
        works.push(first);
        self.count_refusals(began)?;
        let mut outcomes = Vec::new();
        while let Some(work) = works.get(outcomes.len()) {
            outcomes.push(self.one(work)?);
            let now = self.clock.now();
            let full = outcomes.len() >= GROUP_MAX
                || now.boot.nanos.saturating_sub(began.boot.nanos) > GROUP_NANOS_MAX;
            if !full {
                works.extend(queue.try_recv());
            }
        }
        Ok(outcomes)
    }

    fn commit(&mut self, before: Chain) -> Result<()> {
        if self.chain != before {
            self.chain.write_head(&self.db, &self.key)?;
        }
        self.db.execute_batch("COMMIT")?;
        self.publish();
        Ok(())
    }

    /// Shows to everybody what is on the disk now.
    fn publish(&mut self) {
        self.group.undo.clear();
        let mut published = self.published.write().unwrap_or_else(PoisonError::into_inner);
        published.highest = self.chain.highest;
        for change in self.group.done.drain(..) {
            published.apply(change);
        }
    }

    fn roll_back(&mut self, chain: Chain, bound: Bound) {
        self.chain = chain;
        self.bound = bound;
        self.group.done.clear();
        while let Some(undo) = self.group.undo.pop() {
            self.standing.apply(undo);
        }
        self.numbers.forget();
        if !self.db.is_autocommit()
            && let Err(error) = self.db.execute_batch("ROLLBACK")
        {
            // The next BEGIN fails while this transaction stands, so nothing of it is ever committed.
            tracing::error!(%error, "a transaction could not be rolled back");
        }
    }

    fn one(&mut self, work: &Work) -> Result<Outcome> {
        match work {
            Work::Transact { origin, command, .. } => {
                Ok(Outcome::Transacted(Box::new(self.transact(origin, command)?)))
            }
            Work::Note { origin, note, .. } => {
                self.note(origin, note)?;
                Ok(Outcome::Done)
            }
            Work::Principal { origin, principal, note, .. } => {
                self.principal(origin, principal, note)?;
                Ok(Outcome::Done)
            }
            Work::Keep { origin, changes, note, .. } => {
                self.keep(origin, changes, note)?;
                Ok(Outcome::Done)
            }
        }
    }

    fn transact(
        &mut self,
        origin: &Origin,
        command: &Command,
    ) -> Result<std::result::Result<Committed, TransactError>> {
        let now = self.clock.now();
        let (mut state, thin) = self.load(command, now)?;
        let events = match self.decide(&state, command, now)? {
            Ok(events) => events,
            Err(refusals) => {
                self.refused(origin, &refusals, now)?;
                return Ok(Err(TransactError::Refused(refusals)));
            }
        };
        let mut concerned = BTreeSet::new();
        if !events.is_empty() {
            let touched = Touched::by(&events);
            let before = touched.before(&state);
            concerned = state.evolve_all(&events);
            state.pass(now.wall);
            self.write(origin, (&before, &state), &touched, &events, now)?;
            self.stands(touched.change(&before, &state));
        }
        Ok(Ok(Committed { now, events, state: thin.out_of(state), concerned }))
    }

    fn stands(&mut self, change: Change) {
        self.group.done.push(change.clone());
        self.group.undo.push(self.standing.apply(change));
    }

    fn load(&mut self, command: &Command, now: Now) -> Result<(State, Thin)> {
        self.standing.highest = self.chain.highest;
        let mut slice = Slice::of(&self.standing);
        let needs = command.needs(&self.standing.network, &self.standing.directory);
        slice.needs(&needs, now, |id| load::request(&self.db, id))?;
        slice.overdue(now);
        if matches!(command, Command::Observe { .. }) {
            slice.vms_to_close();
        }
        Ok(slice.into_parts())
    }

    /// A bug in the rules must cost the command, not the writer: without a writer nothing is recorded.
    fn decide(
        &self,
        state: &State,
        command: &Command,
        now: Now,
    ) -> Result<std::result::Result<Vec<Event>, Refusals>> {
        let settings = Arc::clone(&self.settings.read().unwrap_or_else(PoisonError::into_inner));
        catch_unwind(AssertUnwindSafe(|| decide(state, &settings, command, now)))
            .map_err(|_| StoreError::Damaged("a command could not be decided".to_owned()))
    }

    fn write(
        &mut self,
        origin: &Origin,
        (before, after): (&State, &State),
        touched: &Touched,
        events: &[Event],
        now: Now,
    ) -> Result<()> {
        let (sum, numbers) = (&mut self.chain.rows, &mut self.numbers);
        save(&self.db, &self.key, sum, numbers, (before, after), touched)?;
        for event in events {
            self.append(origin, Entry::Event(event), now)?;
        }
        // Not the latest of all records: an accepted clock takes it back.
        self.chain.highest = after.highest;
        Ok(())
    }

    fn append(&mut self, origin: &Origin, entry: Entry<'_>, now: Now) -> Result<()> {
        self.chain.append(&self.db, &self.key, self.mint.as_ref(), now.wall, origin, entry)
    }

    fn refused(&mut self, origin: &Origin, refusals: &Refusals, now: Now) -> Result<()> {
        if !self.bound.admits(origin.person.as_ref().map(|person| &person.id), now) {
            return Ok(());
        }
        let first: Vec<_> = refusals.0.iter().take(REFUSALS_RECORDED_MAX).cloned().collect();
        let more = (refusals.0.len() - first.len()) as u64;
        let note = Note::Refused {
            action: origin.action.clone(),
            target: origin.target.clone(),
            refusals: Refusals(first),
            more,
        };
        self.append(origin, Entry::Note(&note), now)
    }

    fn note(&mut self, origin: &Origin, note: &Note) -> Result<()> {
        let now = self.clock.now();
        let person: Option<&PersonId> = origin.person.as_ref().map(|person| &person.id);
        if is_refusal(note) && !self.bound.admits(person, now) {
            return Ok(());
        }
        self.append(origin, Entry::Note(note), now)
    }

    fn principal(&mut self, origin: &Origin, principal: &Principal, note: &Note) -> Result<()> {
        let now = self.clock.now();
        if let Some(before) = load::principal(&self.db, principal.client)? {
            self.chain.rows.take(&fingerprint::principal(&self.key, &before));
        }
        self.chain.rows.add(&fingerprint::principal(&self.key, principal));
        self.db
            .prepare_cached(
                "INSERT INTO principal (client, object, name, secret_digest) \
                 VALUES (?1, ?2, ?3, ?4) ON CONFLICT (client) DO UPDATE SET \
                 object = excluded.object, name = excluded.name, \
                 secret_digest = excluded.secret_digest",
            )?
            .execute(params![
                principal.client.as_bytes(),
                principal.object.as_bytes(),
                principal.name,
                principal.secret_digest,
            ])?;
        self.append(origin, Entry::Note(note), now)
    }

    /// Recorded whatever it is: no note of a change is left out because there are many.
    fn keep(&mut self, origin: &Origin, changes: &[CredentialChange], note: &Note) -> Result<()> {
        let now = self.clock.now();
        credentials::change(&self.db, &self.key, &mut self.chain.rows, changes)?;
        self.append(origin, Entry::Note(note), now)
    }

    /// Records how many refusals were only counted, once their minute is over.
    fn count_refusals(&mut self, now: Now) -> Result<()> {
        match self.bound.take_more(now) {
            Some(note) => self.append(&hourgate_itself(), Entry::Note(&note), now),
            None => Ok(()),
        }
    }
}

fn hourgate_itself() -> Origin {
    Origin {
        person: None,
        address: None,
        action: String::new(),
        target: String::new(),
        correlation: Uuid::nil(),
    }
}

/// Whether anybody without any right can cause such a record as often as they like.
fn is_refusal(note: &Note) -> bool {
    match note {
        Note::Refused { .. }
        | Note::Denied { .. }
        | Note::SignInFailed { .. }
        | Note::FactorWrong { .. } => true,
        Note::ServerStarted { .. }
        | Note::ServerStopped
        | Note::MoreRefused { .. }
        | Note::SignedIn { .. }
        | Note::SecretRotated { .. }
        | Note::AccountMade { .. }
        | Note::AccountRemoved { .. }
        | Note::PasswordSet { .. }
        | Note::CredentialMade { .. }
        | Note::CredentialRemoved { .. }
        | Note::LinkMade { .. }
        | Note::FactorRight { .. }
        | Note::SessionBegan { .. }
        | Note::SessionEnded { .. }
        | Note::TokensRenewed { .. }
        | Note::RefreshReused { .. }
        | Note::KeyRotated { .. }
        | Note::CredentialsSwept { .. }
        | Note::Alarm { .. } => false,
    }
}

impl Work {
    /// Answers. Who no longer waits is not told; what was committed stands.
    fn answer(self, outcome: Outcome) {
        match (self, outcome) {
            (Work::Transact { answer, .. }, Outcome::Transacted(done)) => drop(answer.send(*done)),
            (
                Work::Note { answer, .. }
                | Work::Principal { answer, .. }
                | Work::Keep { answer, .. },
                Outcome::Done,
            ) => {
                drop(answer.send(Ok(())));
            }
            // Each work has its own outcome; without an answer who waits is told that the store is gone.
            (Work::Transact { .. }, Outcome::Done)
            | (
                Work::Note { .. } | Work::Principal { .. } | Work::Keep { .. },
                Outcome::Transacted(_),
            ) => {}
        }
    }

    /// Says why nothing of it was done.
    fn fail(self, error: &StoreError) {
        match self {
            Work::Transact { answer, .. } => drop(answer.send(Err(error.clone().into()))),
            Work::Note { answer, .. }
            | Work::Principal { answer, .. }
            | Work::Keep { answer, .. } => {
                drop(answer.send(Err(error.clone())));
            }
        }
    }
}
