//! The log in its tables: appended to, walked, replayed.

use std::collections::BTreeMap;

use hourgate_core::{
    event::Event,
    grant::{Access, Request},
    id::RequestId,
    state::State,
    time::Timestamp,
};
use rusqlite::{Connection, OptionalExtension, params};
use serde_json::Value;
use uuid::Uuid;

use super::{
    Result, credentials,
    fingerprint::{Fingerprint, ROWS_VERSION},
    load,
    rows::{self, Columns},
    touched::Touched,
};
use crate::{
    Credential, LogVerdict, Origin, Principal, StoreError,
    log::{self, CanonicalError, Entry, FORMAT_VERSION, Hash, LogKey},
    sqlite::Mint,
};

/// Where the log ends, and what stands there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Chain {
    pub(super) seq: u64,
    pub(super) hash: Hash,
    pub(super) highest: Option<Timestamp>,
    pub(super) rows: Fingerprint,
}

/// The head as it is stored: the sum over the rows is only known by its seal.
pub(super) struct Head {
    pub(super) seq: u64,
    pub(super) hash: Hash,
    pub(super) seal: Hash,
    pub(super) highest: Option<Timestamp>,
    pub(super) rows_version: u32,
    pub(super) rows_seal: Hash,
}

impl Chain {
    /// Of an installation in which nothing has happened.
    pub(super) fn begin(installation: Uuid) -> Chain {
        let hash = log::genesis(installation);
        Chain { seq: 0, hash, highest: None, rows: Fingerprint::default() }
    }

    /// Adds one record.
    pub(super) fn append(
        &mut self,
        db: &Connection,
        key: &LogKey,
        mint: &dyn Mint,
        at: Timestamp,
        origin: &Origin,
        entry: Entry<'_>,
    ) -> Result<()> {
        let seq = self.seq + 1;
        let (body, sides) = log::body(seq, at, origin, entry, &mut |salt| mint.fill(salt))
            .map_err(|error| match error {
                CanonicalError::Json(_) => rows::damaged(error),
                CanonicalError::Commit(error) => StoreError::Unavailable(error.to_string()),
            })?;
        let hash = log::hash(FORMAT_VERSION, seq, &self.hash, &body);
        let number = i64::try_from(seq).map_err(rows::damaged)?;
        db.prepare_cached(
            "INSERT INTO log (seq, version, body, hash, seal) VALUES (?1, ?2, ?3, ?4, ?5)",
        )?
        .execute(params![number, FORMAT_VERSION, body, hash, key.seal_record(&hash)])?;
        let mut beside = db.prepare_cached(
            "INSERT INTO personal (seq, path, salt, text) VALUES (?1, ?2, ?3, ?4)",
        )?;
        for side in sides {
            beside.execute(params![number, side.path, side.salt, side.text])?;
        }
        self.seq = seq;
        self.hash = hash;
        // Whatever is recorded is committed at that time: the clock may not fall behind it.
        self.highest = self.highest.max(Some(at));
        Ok(())
    }

    /// Writes the head, or writes it for the first time.
    pub(super) fn write_head(&self, db: &Connection, key: &LogKey) -> Result<()> {
        db.prepare_cached(
            "INSERT INTO head (one, seq, hash, seal, highest, rows_version, rows_seal) \
             VALUES (1, ?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT (one) DO UPDATE SET \
             seq = excluded.seq, hash = excluded.hash, seal = excluded.seal, \
             highest = excluded.highest, rows_version = excluded.rows_version, \
             rows_seal = excluded.rows_seal",
        )?
        .execute(params![
            i64::try_from(self.seq).map_err(rows::damaged)?,
            self.hash,
            key.seal_head(self.seq, &self.hash),
            rows::maybe_nanos(self.highest)?,
            ROWS_VERSION,
            self.rows.seal(key, self.seq, &self.hash, self.highest),
        ])?;
        Ok(())
    }
}

impl Head {
    pub(super) fn read(db: &Connection) -> Result<Option<Head>> {
        let sql = "SELECT seq, hash, seal, highest, rows_version, rows_seal FROM head";
        let mut statement = db.prepare_cached(sql)?;
        let mut found = statement.query([])?;
        let Some(row) = found.next()? else { return Ok(None) };
        let row = Columns(row);
        Ok(Some(Head {
            seq: row.unsigned(0)?,
            hash: row.hash(1)?,
            seal: row.hash(2)?,
            highest: row.maybe_time(3)?,
            rows_version: row.unsigned(4)?,
            rows_seal: row.hash(5)?,
        }))
    }

    /// Whether it is the log's last record, and bears the seal.
    pub(super) fn check(&self, db: &Connection, key: &LogKey, installation: Uuid) -> Result<()> {
        let last: Option<(i64, Hash)> = db
            .query_row("SELECT seq, hash FROM log ORDER BY seq DESC LIMIT 1", [], |row| {
                Ok((row.get(0)?, row.get(1)?))
            })
            .optional()?;
        let last = match last {
            Some((seq, hash)) => (u64::try_from(seq).map_err(rows::damaged)?, hash),
            None => (0, log::genesis(installation)),
        };
        if key.seal_head(self.seq, &self.hash) != self.seal {
            return Err(rows::damaged("the log's head does not bear the seal of this log key"));
        }
        if last != (self.seq, self.hash) {
            return Err(rows::damaged("the log's last record is not its head"));
        }
        Ok(())
    }

    /// Whether the rows are those that the log's events made; what they add up to.
    pub(super) fn check_rows(
        &self,
        key: &LogKey,
        state: &State,
        principals: &[Principal],
        credentials: &[Credential],
    ) -> Result<Fingerprint> {
        let sum = Fingerprint::of(key, state, principals, credentials);
        if self.rows_version == ROWS_VERSION
            && sum.seal(key, self.seq, &self.hash, self.highest) == self.rows_seal
        {
            Ok(sum)
        } else {
            Err(rows::damaged("rows stand that no event of the log explains"))
        }
    }
}

/// One record as it is stored, with what is kept beside it.
struct Stored<'a> {
    seq: u64,
    version: u32,
    body: &'a [u8],
    hash: Hash,
    seal: Hash,
    beside: Vec<(String, Vec<u8>, String)>,
}

/// Goes over the whole log in order, as one snapshot. The visitor says whether to go on; the answer is
/// whether it went to the end.
fn walk(db: &Connection, mut visit: impl FnMut(Stored<'_>) -> Result<bool>) -> Result<bool> {
    let mut records = db.prepare("SELECT seq, version, body, hash, seal FROM log ORDER BY seq")?;
    let mut beside =
        db.prepare("SELECT path, salt, text FROM personal WHERE seq = ?1 ORDER BY path")?;
    let mut found = records.query([])?;
    while let Some(row) = found.next()? {
        let row = Columns(row);
        let sides = beside
            .query_map([row.number(0)?], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
        let record = Stored {
            seq: row.unsigned(0)?,
            version: row.unsigned(1)?,
            body: row.blob(2)?,
            hash: row.hash(3)?,
            seal: row.hash(4)?,
            beside: sides.collect::<rusqlite::Result<_>>()?,
        };
        if !visit(record)? {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Whether every record follows from the one before and bears the seal, the last is the head, and the rows
/// are those that the head vouches for and that the records make. Whatever cannot be read is bad, not an
/// error: somebody asks because they fear that it is.
pub(super) fn verify(db: &Connection, key: &LogKey, installation: Uuid) -> Result<LogVerdict> {
    let head = unless_damaged(Head::read(db))?.flatten();
    let records: i64 = db.query_row("SELECT count(*) FROM log", [], |row| row.get(0))?;
    let mut verdict = LogVerdict {
        records: u64::try_from(records).map_err(rows::damaged)?,
        first_bad: None,
        rows_hold: true,
        erased: 0,
    };
    let (mut seq, mut hash) = (0, log::genesis(installation));
    let mut told = Some(Told::default());
    let walked = walk(db, |record| {
        let whole = Some(seq + 1).filter(|next| record.seq == *next);
        let Some(read) = whole.and_then(|_| read(&record, key, &hash)) else {
            return Ok(false);
        };
        (seq, hash) = (record.seq, record.hash);
        verdict.erased += read.erased;
        // Without a text nobody can say what a row should hold; that it is gone is said by itself.
        told = told.take().filter(|_| read.erased == 0);
        if let Some(log) = &mut told
            && unless_damaged(log.take(record, read.body))?.is_none()
        {
            told = None;
            verdict.rows_hold = false;
        }
        Ok(true)
    });
    let all = unless_damaged(walked)?.is_some_and(|all| all);
    let head_holds = head.as_ref().is_some_and(|head| {
        (head.seq, head.hash) == (seq, hash) && key.seal_head(seq, &hash) == head.seal
    });
    if !all || !head_holds {
        // The one after the last that is whole; where there is none, nothing says that they are all.
        verdict.first_bad = Some(seq + 1);
        told = None;
    }
    let sealed = match &head {
        Some(head) => unless_damaged(rows_hold(db, key, head))?.is_some(),
        None => false,
    };
    let explained = match told {
        Some(told) => unless_damaged(told.explains(db))?.unwrap_or(false),
        None => true,
    };
    verdict.rows_hold &= sealed && explained;
    Ok(verdict)
}

/// Nothing where what is stored is not what was written; an error where it cannot be had now.
fn unless_damaged<T>(read: Result<T>) -> Result<Option<T>> {
    match read {
        Ok(read) => Ok(Some(read)),
        Err(StoreError::Damaged(why)) => {
            tracing::warn!(why, "what is stored is not what was written");
            Ok(None)
        }
        Err(other @ (StoreError::Unavailable(_) | StoreError::Busy)) => Err(other),
    }
}

fn rows_hold(db: &Connection, key: &LogKey, head: &Head) -> Result<Fingerprint> {
    let (state, principals) = (load::everything(db, head.highest)?, load::principals(db)?);
    head.check_rows(key, &state, &principals, &credentials::every(db)?)
}

/// A record that is as it was written.
struct Read {
    body: Value,
    /// How many of its texts about people are gone.
    erased: u64,
}

/// Reads a record; nothing where it is not as it was written.
fn read(record: &Stored<'_>, key: &LogKey, previous: &Hash) -> Option<Read> {
    let written = record.version == FORMAT_VERSION
        && log::hash(record.version, record.seq, previous, record.body) == record.hash
        && key.seal_record(&record.hash) == record.seal;
    let body: Value = serde_json::from_slice(record.body).ok().filter(|_| written)?;
    let fit = body["seq"] == record.seq
        && record.beside.iter().all(|(path, salt, text)| {
            let commitment = body.pointer(path).and_then(|v| log::marked(v, "commitment"));
            commitment == Some(log::commitment(salt, text).as_str())
        });
    let there = u64::try_from(record.beside.len()).ok().filter(|_| fit)?;
    let erased = log::commitments(&body).saturating_sub(there);
    Some(Read { body, erased })
}

/// The event that a record tells of, if it does, and its time.
fn event(record: Stored<'_>, mut body: Value) -> Result<(Option<Event>, Timestamp)> {
    let sides: BTreeMap<String, String> =
        record.beside.into_iter().map(|(path, _, text)| (path, text)).collect();
    log::restore(&mut body, &sides);
    let at = serde_json::from_value(body["at"].take()).map_err(rows::damaged)?;
    if body["entry"].get("event").is_none() {
        return Ok((None, at));
    }
    let event = serde_json::from_value(body["entry"].take()).map_err(rows::damaged)?;
    Ok((Some(event), at))
}

/// What stands by the log alone: what its events make, from the first to the last.
pub(super) fn replay(db: &Connection, key: &LogKey, installation: Uuid) -> Result<State> {
    let mut state = State::default();
    let mut hash = log::genesis(installation);
    walk(db, |record| {
        let Some(Read { body, .. }) = read(&record, key, &hash) else {
            return Err(rows::damaged(format!("record {} of the log", record.seq)));
        };
        hash = record.hash;
        let (event, at) = event(record, body)?;
        if let Some(event) = event {
            state.evolve(&event);
        }
        state.pass(at);
        Ok(true)
    })?;
    state.requests.retain(|_, request| request.accesses.iter().any(|a| !a.is_settled()));
    Ok(state)
}

/// What the log tells of everything that ever was. Of a request that is settled a digest is enough, since
/// no event changes it any more: a history of millions is verified in a hundred bytes for each.
#[derive(Default)]
struct Told {
    state: State,
    settled: BTreeMap<RequestId, Hash>,
}

impl Told {
    fn take(&mut self, record: Stored<'_>, body: Value) -> Result<()> {
        let (Some(event), _) = event(record, body)? else { return Ok(()) };
        self.state.evolve(&event);
        // Not asked for here, and to keep it in step costs a look at all for each VM.
        self.state.owners.clear();
        let touched = Touched::by(std::slice::from_ref(&event));
        for id in touched.requests.iter().chain(&touched.known_requests) {
            let request = self.state.requests.get(id).filter(|request| is_settled(request));
            if let Some(request) = request {
                self.settled.insert(*id, digest(request)?);
                self.state.requests.remove(id);
            }
        }
        Ok(())
    }

    /// Whether the rows are exactly what it tells, those of the past too.
    fn explains(mut self, db: &Connection) -> Result<bool> {
        let (mut requests, mut accesses, mut same) = (0, 0, true);
        load::each_request(db, "TRUE", [], |row| {
            requests += 1;
            accesses += row.accesses.len();
            let told = if is_settled(&row) {
                self.settled.remove(&row.id)
            } else {
                self.state.requests.remove(&row.id).and_then(|told| digest(&told).ok())
            };
            same &= told.is_some() && told == digest(&row).ok();
        })?;
        // The latest time is sealed with the head.
        let rest = State { highest: None, owners: BTreeMap::new(), ..load::everything(db, None)? };
        let told = State { highest: None, ..self.state };
        same &= told == State { requests: BTreeMap::new(), ..rest };
        Ok(same && self.settled.is_empty() && rows::hang_together(db, requests, accesses)?)
    }
}

fn is_settled(request: &Request) -> bool {
    request.accesses.iter().all(Access::is_settled)
}

/// Over all of a request, as it was spelled.
fn digest(request: &Request) -> Result<Hash> {
    Ok(log::digest(&serde_json::to_vec(request).map_err(rows::damaged)?))
}
