//! The log in its tables: appended to, walked, replayed.

use std::collections::BTreeMap;

use hourgate_core::{event::Event, state::State, time::Timestamp};
use rusqlite::{Connection, OptionalExtension, params};
use serde_json::Value;
use uuid::Uuid;

use super::{
    Result,
    fingerprint::{Fingerprint, ROWS_VERSION},
    load,
    rows::{self, Columns},
};
use crate::{
    LogVerdict, Origin, Principal, StoreError,
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
    ) -> Result<Fingerprint> {
        let sum = Fingerprint::of(key, state, principals);
        if sum.seal(key, self.seq, &self.hash, self.highest) == self.rows_seal {
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

/// Goes over the whole log in order, as one snapshot. The visitor says whether to go on.
fn walk(db: &Connection, mut visit: impl FnMut(Stored<'_>) -> Result<bool>) -> Result<()> {
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
            return Ok(());
        }
    }
    Ok(())
}

/// Whether every record follows from the one before and bears the seal, the last is the head, and the rows
/// are those that the head vouches for.
pub(super) fn verify(db: &Connection, key: &LogKey, installation: Uuid) -> Result<LogVerdict> {
    let head = Head::read(db)?;
    let records: i64 = db.query_row("SELECT count(*) FROM log", [], |row| row.get(0))?;
    let mut verdict = LogVerdict {
        records: u64::try_from(records).map_err(rows::damaged)?,
        first_bad: None,
        rows_hold: head.as_ref().is_some_and(|head| rows_hold(db, key, head).is_ok()),
        erased: 0,
    };
    let (mut seq, mut hash) = (0, log::genesis(installation));
    walk(db, |record| {
        seq += 1;
        let whole = Some(seq).filter(|seq| record.seq == *seq);
        let Some(erased) = whole.and_then(|_| erased(&record, key, &hash)) else {
            verdict.first_bad = Some(seq);
            return Ok(false);
        };
        verdict.erased += erased;
        hash = record.hash;
        Ok(true)
    })?;
    let head_holds = head.is_some_and(|head| {
        (head.seq, head.hash) == (seq, hash) && key.seal_head(seq, &hash) == head.seal
    });
    if verdict.first_bad.is_none() && !head_holds {
        // Every record there is stands, but nothing says that they are all.
        verdict.first_bad = Some(seq + 1);
    }
    Ok(verdict)
}

fn rows_hold(db: &Connection, key: &LogKey, head: &Head) -> Result<Fingerprint> {
    head.check_rows(key, &load::everything(db, head.highest)?, &load::principals(db)?)
}

/// How many of a record's texts about people are gone; nothing where it is not as it was written.
fn erased(record: &Stored<'_>, key: &LogKey, previous: &Hash) -> Option<u64> {
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
    Some(log::commitments(&body).saturating_sub(there))
}

/// What stands by the log alone: what its events make, from the first to the last.
pub(super) fn replay(db: &Connection, key: &LogKey, installation: Uuid) -> Result<State> {
    let mut state = State::default();
    let mut hash = log::genesis(installation);
    walk(db, |record| {
        if erased(&record, key, &hash).is_none() {
            return Err(rows::damaged(format!("record {} of the log", record.seq)));
        }
        hash = record.hash;
        let mut body: Value = serde_json::from_slice(record.body).map_err(rows::damaged)?;
        let sides: BTreeMap<String, String> =
            record.beside.into_iter().map(|(path, _, text)| (path, text)).collect();
        log::restore(&mut body, &sides);
        if body["entry"].get("event").is_some() {
            let event: Event =
                serde_json::from_value(body["entry"].take()).map_err(rows::damaged)?;
            state.evolve(&event);
        }
        let at: Timestamp = serde_json::from_value(body["at"].take()).map_err(rows::damaged)?;
        state.pass(at);
        Ok(true)
    })?;
    state.requests.retain(|_, request| request.accesses.iter().any(|a| !a.is_settled()));
    Ok(state)
}
