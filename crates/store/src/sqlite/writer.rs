//! The one writer: decides and writes each waiting command by itself, and commits many at once.

use std::{
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
    Mint, Result,
    journal::Chain,
    load,
    numbers::Numbers,
    save::save,
    slice::{Slice, Thin},
    standing::{Change, Standing},
    touched::Touched,
};
use crate::{
    Committed, Origin, Principal, StoreError, TransactError,
    bound::Bound,
    log::{Entry, LogKey},
};

/// How many commands are committed at once: past this a commit costs each of them little already.
const GROUP_MAX: usize = 256;
/// How long a group is collected, in nanoseconds of the boot clock: who came first waits no longer.
const GROUP_NANOS_MAX: u64 = 5_000_000;

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
}

/// An answer that waits for the commit.
enum Answer {
    Transacted(
        oneshot::Sender<std::result::Result<Committed, TransactError>>,
        std::result::Result<Committed, TransactError>,
    ),
    Done(oneshot::Sender<Result<()>>, Result<()>),
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
            && let Err(error) = self.last_words(&note, now)
        {
            tracing::warn!(%error, "refusals that were only counted are not in the log");
        }
    }

    /// Commits what waits, then answers: an answer means that it is on the disk.
    fn group(&mut self, first: Work, queue: &mut mpsc::Receiver<Work>) {
        let (chain, bound) = (self.chain, self.bound.clone());
        let mut answers = Vec::new();
        let committed = self.begin(first, queue, &mut answers).and_then(|()| self.commit(chain));
        if let Err(error) = &committed {
            tracing::error!(%error, commands = answers.len(), "nothing of a group was committed");
            self.roll_back(chain, bound);
        }
        for answer in answers {
            answer.send(&committed);
        }
    }

    /// Runs the group's commands. An error is the whole group's: its transaction is lost.
    fn begin(
        &mut self,
        first: Work,
        queue: &mut mpsc::Receiver<Work>,
        answers: &mut Vec<Answer>,
    ) -> Result<()> {
        let began = self.clock.now();
        let mut ready = self.db.execute_batch("BEGIN").map_err(StoreError::from);
        if ready.is_ok() {
            ready = self.count_refusals(began);
        }
        let mut next = Some(first);
        while let Some(work) = next {
            // Once the transaction is lost the rest is not tried, only answered.
            let answer = match &ready {
                Ok(()) => self.one(work),
                Err(error) => Answer::unavailable(work, error),
            };
            if let Some(StoreError::Unavailable(why)) = answer.error() {
                ready = Err(StoreError::Unavailable(why.clone()));
            } else if ready.is_ok() && self.db.is_autocommit() {
                ready = Err(StoreError::Unavailable("the transaction was rolled back".to_owned()));
            }
            answers.push(answer);
            let now = self.clock.now();
            let full = answers.len() >= GROUP_MAX
                || now.boot.nanos.saturating_sub(began.boot.nanos) > GROUP_NANOS_MAX;
            next = if full || ready.is_err() { None } else { queue.try_recv().ok() };
        }
        ready
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

    fn one(&mut self, work: Work) -> Answer {
        match work {
            Work::Transact { origin, command, answer } => {
                Answer::Transacted(answer, self.transact(&origin, &command))
            }
            Work::Note { origin, note, answer } => Answer::Done(answer, self.note(&origin, &note)),
            Work::Principal { origin, principal, note, answer } => {
                Answer::Done(answer, self.principal(&origin, &principal, &note))
            }
        }
    }

    fn transact(
        &mut self,
        origin: &Origin,
        command: &Command,
    ) -> std::result::Result<Committed, TransactError> {
        let now = self.clock.now();
        let (state, thin) = self.load(command, now)?;
        let events = match self.decide(&state, command, now)? {
            Ok(events) => events,
            Err(refusals) => {
                self.refused(origin, &refusals, now)?;
                return Err(TransactError::Refused(refusals));
            }
        };
        let mut after = state.clone();
        if !events.is_empty() {
            events.iter().for_each(|event| after.evolve(event));
            after.pass(now.wall);
            let touched = Touched::by(&events, &state, &after);
            self.alone(|writer| writer.write(origin, (&state, &after), &touched, &events, now))?;
            self.stands(touched.change(&after));
        }
        Ok(Committed { now, events, state: thin.out_of(after) })
    }

    fn stands(&mut self, change: Change) {
        self.group.done.push(change.clone());
        self.group.undo.push(self.standing.apply(change));
    }

    fn load(&mut self, command: &Command, now: Now) -> Result<(State, Thin)> {
        self.standing.highest = self.chain.highest;
        let mut slice = Slice::of(&self.standing);
        slice.needs(&command.needs(), now, |id| load::request(&self.db, id))?;
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

    /// Does it, or nothing of it, whatever becomes of the rest of the group.
    fn alone(&mut self, work: impl FnOnce(&mut Writer) -> Result<()>) -> Result<()> {
        let chain = self.chain;
        self.db.prepare_cached("SAVEPOINT command")?.execute([])?;
        let done = work(self);
        if done.is_err() {
            self.chain = chain;
            self.numbers.forget();
            if !self.db.is_autocommit() {
                self.db.prepare_cached("ROLLBACK TO command")?.execute([])?;
            }
        }
        if !self.db.is_autocommit() {
            self.db.prepare_cached("RELEASE command")?.execute([])?;
        }
        done
    }

    fn refused(&mut self, origin: &Origin, refusals: &Refusals, now: Now) -> Result<()> {
        if !self.bound.admits(origin.person.as_ref().map(|person| &person.id), now) {
            return Ok(());
        }
        let note = Note::Refused {
            action: origin.action.clone(),
            target: origin.target.clone(),
            refusals: refusals.clone(),
        };
        self.alone(|writer| writer.append(origin, Entry::Note(&note), now))
    }

    fn note(&mut self, origin: &Origin, note: &Note) -> Result<()> {
        let now = self.clock.now();
        let person: Option<&PersonId> = origin.person.as_ref().map(|person| &person.id);
        if is_refusal(note) && !self.bound.admits(person, now) {
            return Ok(());
        }
        self.alone(|writer| writer.append(origin, Entry::Note(note), now))
    }

    fn principal(&mut self, origin: &Origin, principal: &Principal, note: &Note) -> Result<()> {
        let now = self.clock.now();
        self.alone(|writer| {
            writer
                .db
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
            writer.append(origin, Entry::Note(note), now)
        })
    }

    /// Records how many refusals were only counted, once their minute is over.
    fn count_refusals(&mut self, now: Now) -> Result<()> {
        match self.bound.take_more(now) {
            Some(note) => self.append(&hourgate_itself(), Entry::Note(&note), now),
            None => Ok(()),
        }
    }

    fn last_words(&mut self, note: &Note, now: Now) -> Result<()> {
        let before = self.chain;
        self.db.execute_batch("BEGIN")?;
        self.append(&hourgate_itself(), Entry::Note(note), now)?;
        self.commit(before)
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
        Note::Refused { .. } | Note::Denied { .. } | Note::SignInFailed { .. } => true,
        Note::ServerStarted { .. }
        | Note::ServerStopped
        | Note::MoreRefused { .. }
        | Note::SignedIn { .. }
        | Note::SecretRotated { .. }
        | Note::Alarm { .. } => false,
    }
}

impl Answer {
    fn unavailable(work: Work, error: &StoreError) -> Answer {
        match work {
            Work::Transact { answer, .. } => Answer::Transacted(answer, Err(error.clone().into())),
            Work::Note { answer, .. } | Work::Principal { answer, .. } => {
                Answer::Done(answer, Err(error.clone()))
            }
        }
    }

    fn error(&self) -> Option<&StoreError> {
        match self {
            Answer::Transacted(_, Err(TransactError::Store(error)))
            | Answer::Done(_, Err(error)) => Some(error),
            Answer::Transacted(_, Ok(_) | Err(TransactError::Refused(_)))
            | Answer::Done(_, Ok(())) => None,
        }
    }

    /// Answers. Who no longer waits is not told; what was committed stands.
    fn send(self, committed: &Result<()>) {
        match (self, committed) {
            (Answer::Transacted(to, answer), Ok(())) => drop(to.send(answer)),
            (Answer::Done(to, answer), Ok(())) => drop(to.send(answer)),
            (Answer::Transacted(to, _), Err(error)) => drop(to.send(Err(error.clone().into()))),
            (Answer::Done(to, _), Err(error)) => drop(to.send(Err(error.clone()))),
        }
    }
}
