//! Sessions: what a sign-in leaves behind, in a browser or at a command, until it is ended.
//!
//! All are held in memory, since every call asks whether its session still stands. What is given to whoever
//! holds one is random and kept as a digest alone: a copy of the database signs nobody in.

mod refresh;

use std::{
    collections::BTreeMap,
    net::IpAddr,
    sync::{PoisonError, RwLock},
    time::Duration,
};

use hourgate_core::time::{Timestamp, distance, later};
use hourgate_store::{Credential, CredentialChange, CredentialKind};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use self::refresh::Family;
pub(crate) use self::refresh::{RefreshToken, Refreshed};
use super::person::SignedIn;

/// How many sessions one person has at most. One more ends the one that was used least recently: somebody
/// who signs in again and again is one person with many old browsers, or a script.
pub(crate) const SESSIONS_PER_PERSON_MAX: usize = 50;
/// How many there are at most, of everybody: each takes some 500 bytes.
const SESSIONS_MAX: usize = 100_000;
/// How much later than it was written a session may have been used: a page that is looked at is no reason
/// to write a row.
const USE_WRITTEN_EVERY: Duration = Duration::from_mins(10);

/// How long sessions last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Lives {
    /// Without being used.
    pub(crate) idle: Duration,
    /// However often they are used.
    pub(crate) longest: Duration,
}

/// One session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Session {
    /// What it is called. No secret: it stands in tokens, lists and the log.
    pub(crate) id: Uuid,
    /// Whose.
    pub(crate) who: SignedIn,
    /// Where it is.
    pub(crate) at: Place,
    /// From which address it began.
    pub(crate) from: IpAddr,
    /// When it was last used.
    pub(crate) used: Timestamp,
    /// When it ends, however often it is used.
    pub(crate) until: Timestamp,
    /// When `used` was last written.
    written: Timestamp,
}

/// Where a session is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Place {
    /// In a browser, by a cookie.
    Browser {
        /// Of what the cookie holds.
        #[serde(with = "hex")]
        cookie: [u8; 32],
    },
    /// At a command, by refresh tokens.
    Command {
        /// Of which client.
        client: Uuid,
        /// Its refresh tokens.
        family: Family,
    },
}

/// What a row holds besides.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Body {
    who: SignedIn,
    at: Place,
    from: IpAddr,
    used: Timestamp,
}

/// Every session.
pub(crate) struct Sessions {
    lives: Lives,
    held: RwLock<Held>,
}

#[derive(Default)]
struct Held {
    by_id: BTreeMap<Uuid, Session>,
    by_cookie: BTreeMap<[u8; 32], Uuid>,
}

/// More people are signed in than can be remembered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TooMany;

impl Sessions {
    /// Those that were kept. A row that cannot be read is a session that is over.
    pub(crate) fn of(lives: Lives, rows: &[Credential]) -> Sessions {
        let mut held = Held::default();
        for row in rows.iter().filter(|row| row.kind == CredentialKind::Session) {
            match read(row) {
                Some(session) => held.insert(session),
                None => tracing::warn!(session = row.id, "a session cannot be read, and is over"),
            }
        }
        Sessions { lives, held: RwLock::new(held) }
    }

    /// Begins one in a browser. What is to be written comes back: the session, and others that end for it.
    pub(crate) fn begin_in_browser(
        &self,
        id: Uuid,
        cookie: &str,
        who: SignedIn,
        from: IpAddr,
        now: Timestamp,
    ) -> Result<Vec<CredentialChange>, TooMany> {
        self.begin(id, Place::Browser { cookie: digest(cookie) }, who, from, now)
    }

    /// Begins one at a command, with its first refresh token.
    pub(crate) fn begin_at_command(
        &self,
        token: &RefreshToken,
        client: Uuid,
        who: SignedIn,
        from: IpAddr,
        now: Timestamp,
    ) -> Result<Vec<CredentialChange>, TooMany> {
        let place = Place::Command { client, family: Family::of(token) };
        self.begin(token.session, place, who, from, now)
    }

    fn begin(
        &self,
        id: Uuid,
        at: Place,
        who: SignedIn,
        from: IpAddr,
        now: Timestamp,
    ) -> Result<Vec<CredentialChange>, TooMany> {
        let who = who.bounded();
        let until = later(now, self.lives.longest);
        let session = Session { id, who, at, from, used: now, until, written: now };
        let mut held = self.held.write().unwrap_or_else(PoisonError::into_inner);
        let mut changes = Vec::new();
        let theirs: Vec<&Session> = held.of(session.who.object).collect();
        if theirs.len() >= SESSIONS_PER_PERSON_MAX
            && let Some(oldest) = theirs.iter().min_by_key(|session| session.used).map(|s| s.id)
        {
            held.remove(oldest);
            changes.push(removal(oldest));
        }
        if held.by_id.len() >= SESSIONS_MAX {
            let over = held.over(self.lives, now);
            over.iter().for_each(|id| held.remove(*id));
            changes.extend(
                over.into_iter().take(hourgate_store::credential::CHANGES_MAX / 2).map(removal),
            );
            if held.by_id.len() >= SESSIONS_MAX {
                return Err(TooMany);
            }
        }
        changes.push(row(&session));
        held.insert(session);
        Ok(changes)
    }

    /// The session of a browser's cookie, if it stands; and the row, where its use is to be written.
    pub(crate) fn of_cookie(
        &self,
        cookie: &str,
        now: Timestamp,
    ) -> Option<(Session, Option<CredentialChange>)> {
        let mut held = self.held.write().unwrap_or_else(PoisonError::into_inner);
        let id = *held.by_cookie.get(&digest(cookie))?;
        let session = held.by_id.get_mut(&id).filter(|session| session.stands(self.lives, now))?;
        session.used = session.used.max(now);
        let write = distance(session.written, now) >= USE_WRITTEN_EVERY;
        if write {
            session.written = now;
        }
        let session = session.clone();
        let change = write.then(|| row(&session));
        Some((session, change))
    }

    /// Whether a session stands. Asked for every call with one of its tokens.
    pub(crate) fn stands(&self, id: Uuid, now: Timestamp) -> bool {
        let held = self.held.read().unwrap_or_else(PoisonError::into_inner);
        held.by_id.get(&id).is_some_and(|session| session.stands(self.lives, now))
    }

    /// One session, if it stands.
    pub(crate) fn get(&self, id: Uuid, now: Timestamp) -> Option<Session> {
        let held = self.held.read().unwrap_or_else(PoisonError::into_inner);
        held.by_id.get(&id).filter(|session| session.stands(self.lives, now)).cloned()
    }

    /// Those that stand: one person's, or everybody's; the one used last first.
    pub(crate) fn list(&self, of: Option<Uuid>, now: Timestamp) -> Vec<Session> {
        let held = self.held.read().unwrap_or_else(PoisonError::into_inner);
        let wanted = held.by_id.values().filter(|session| {
            of.is_none_or(|object| session.who.object == object) && session.stands(self.lives, now)
        });
        let mut list: Vec<Session> = wanted.cloned().collect();
        list.sort_by_key(|session| (std::cmp::Reverse(session.used), session.id));
        list
    }

    /// Ends one. Its tokens are dead when this returns.
    pub(crate) fn end(&self, id: Uuid) -> Option<(Session, CredentialChange)> {
        let mut held = self.held.write().unwrap_or_else(PoisonError::into_inner);
        let session = held.by_id.get(&id).cloned()?;
        held.remove(id);
        Some((session, removal(id)))
    }

    /// Ends all of somebody's, but one: who has a new password, or is disabled.
    pub(crate) fn end_all_of(&self, object: Uuid, but: Option<Uuid>) -> Vec<CredentialChange> {
        let mut held = self.held.write().unwrap_or_else(PoisonError::into_inner);
        let theirs: Vec<Uuid> =
            held.of(object).map(|session| session.id).filter(|id| Some(*id) != but).collect();
        theirs.iter().for_each(|id| held.remove(*id));
        theirs.into_iter().map(removal).collect()
    }

    /// Exchanges a refresh token for the next one, `fresh`.
    pub(crate) fn refresh(
        &self,
        sent: &RefreshToken,
        client: Uuid,
        fresh: &RefreshToken,
        now: Timestamp,
    ) -> Refreshed {
        let mut held = self.held.write().unwrap_or_else(PoisonError::into_inner);
        let Some(session) = held.by_id.get_mut(&sent.session) else { return Refreshed::Unknown };
        let stands = session.stands(self.lives, now);
        let Place::Command { client: theirs, family } = &mut session.at else {
            return Refreshed::Unknown;
        };
        // A token that another client sends was stolen from the one that it was given to.
        let right_client = *theirs == client;
        match family.exchange(sent, fresh, now) {
            refresh::Exchange::Forged => Refreshed::Unknown,
            refresh::Exchange::Next if !right_client => held.reused(sent.session),
            refresh::Exchange::Reused => held.reused(sent.session),
            refresh::Exchange::Next if !stands => {
                held.remove(sent.session);
                Refreshed::Over(removal(sent.session))
            }
            refresh::Exchange::Next => {
                session.used = session.used.max(now);
                session.written = session.used;
                let session = session.clone();
                let change = row(&session);
                Refreshed::Next { session: Box::new(session), change }
            }
        }
    }

    /// Takes the exchange back: it could not be written, so the token that was sent stays the one that counts.
    pub(crate) fn not_refreshed(&self, sent: &RefreshToken) {
        let mut held = self.held.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(Session { at: Place::Command { family, .. }, .. }) =
            held.by_id.get_mut(&sent.session)
        {
            family.back_to(sent);
        }
    }

    /// The session that a refresh token belongs to, whichever of its family it is.
    pub(crate) fn of_refresh(&self, sent: &RefreshToken) -> Option<Uuid> {
        let held = self.held.read().unwrap_or_else(PoisonError::into_inner);
        match &held.by_id.get(&sent.session)?.at {
            Place::Command { family, .. } => family.is_of(sent).then_some(sent.session),
            Place::Browser { .. } => None,
        }
    }

    /// Forgets those whose time is over; what is to be removed comes back, a part at a time.
    pub(crate) fn sweep(&self, now: Timestamp) -> Vec<CredentialChange> {
        let mut held = self.held.write().unwrap_or_else(PoisonError::into_inner);
        let mut over = held.over(self.lives, now);
        over.truncate(hourgate_store::credential::CHANGES_MAX);
        over.iter().for_each(|id| held.remove(*id));
        over.into_iter().map(removal).collect()
    }
}

impl Session {
    fn stands(&self, lives: Lives, now: Timestamp) -> bool {
        now < self.until && distance(self.used, now) < lives.idle
    }
}

impl Held {
    fn of(&self, object: Uuid) -> impl Iterator<Item = &Session> {
        self.by_id.values().filter(move |session| session.who.object == object)
    }

    fn over(&self, lives: Lives, now: Timestamp) -> Vec<Uuid> {
        let over = self.by_id.values().filter(|session| !session.stands(lives, now));
        over.map(|session| session.id).collect()
    }

    fn insert(&mut self, session: Session) {
        if let Place::Browser { cookie } = session.at {
            self.by_cookie.insert(cookie, session.id);
        }
        self.by_id.insert(session.id, session);
    }

    fn remove(&mut self, id: Uuid) {
        if let Some(Session { at: Place::Browser { cookie }, .. }) = self.by_id.remove(&id) {
            self.by_cookie.remove(&cookie);
        }
    }

    fn reused(&mut self, id: Uuid) -> Refreshed {
        let session = self.by_id.get(&id).cloned();
        self.remove(id);
        match session {
            Some(session) => Refreshed::Reused { session: Box::new(session), change: removal(id) },
            None => Refreshed::Unknown,
        }
    }
}

fn digest(secret: &str) -> [u8; 32] {
    Sha256::digest(secret).into()
}

fn row(session: &Session) -> CredentialChange {
    let Session { id, who, at, from, used, until, written: _ } = session.clone();
    let object = who.object;
    // A body of texts, numbers and lists can always be written.
    let body = serde_json::to_string(&Body { who, at, from, used }).unwrap_or_default();
    let (kind, id, until) = (CredentialKind::Session, id.to_string(), Some(until));
    CredentialChange::Put(Credential { kind, id, object, body, until })
}

fn removal(id: Uuid) -> CredentialChange {
    CredentialChange::Remove { kind: CredentialKind::Session, id: id.to_string() }
}

fn read(row: &Credential) -> Option<Session> {
    let Body { who, at, from, used } = serde_json::from_str(&row.body).ok()?;
    let (id, until) = (row.id.parse().ok()?, row.until?);
    Some(Session { id, who, at, from, used, until, written: used })
}

#[cfg(test)]
mod tests;
