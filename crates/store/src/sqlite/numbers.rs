//! Numbers that stand for ids of resources in the rows of requests: an id has a hundred bytes and more, and
//! would be in each of millions of rows and in their indexes.

use std::collections::BTreeMap;

use rusqlite::{Connection, OptionalExtension};

use super::Result;

/// How many are remembered: past this the memory is begun anew, and the rows are asked again.
const REMEMBERED_MAX: usize = 100_000;

/// The numbers that the writer has met.
#[derive(Debug, Default)]
pub(super) struct Numbers(BTreeMap<String, Known>);

#[derive(Clone, Debug)]
struct Known {
    number: i64,
    /// The id as it was first written.
    id: String,
}

/// How a row names a resource.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Named<'a> {
    pub(super) number: i64,
    /// The id as it was written here, if it was not first written so.
    pub(super) spelled: Option<&'a str>,
}

impl Numbers {
    /// The number of the resource whose id is written `id`; a new one where it has none yet.
    pub(super) fn of<'a>(&mut self, db: &Connection, id: &'a str) -> Result<Named<'a>> {
        let key = id.to_ascii_lowercase();
        if let Some(known) = self.0.get(&key) {
            return Ok(known.named(id));
        }
        let stored = db
            .prepare_cached("SELECT n, id FROM resource WHERE key = ?1")?
            .query_row([&key], |row| Ok(Known { number: row.get(0)?, id: row.get(1)? }))
            .optional()?;
        let known = match stored {
            Some(known) => known,
            None => {
                db.prepare_cached("INSERT INTO resource (key, id) VALUES (?1, ?2)")?
                    .execute([key.as_str(), id])?;
                Known { number: db.last_insert_rowid(), id: id.to_owned() }
            }
        };
        let named = known.named(id);
        if self.0.len() >= REMEMBERED_MAX {
            self.forget();
        }
        self.0.insert(key, known);
        Ok(named)
    }

    /// Forgets all: what was written is taken back.
    pub(super) fn forget(&mut self) {
        self.0.clear();
    }
}

impl Known {
    fn named<'a>(&self, id: &'a str) -> Named<'a> {
        Named { number: self.number, spelled: (self.id != id).then_some(id) }
    }
}
