//! Sessions: whose there are, and to end one.

use hourgate_core::{
    event::Note,
    role::{Action, Caller, Change, Scope, may},
};
use hourgate_store::Store;
use uuid::Uuid;

use super::{Call, Problem, denied};
use crate::{
    server::{Server, origin},
    signin::Session,
};

/// The caller's sessions; everybody's for whoever may see them.
pub(crate) fn list_sessions<S: Store>(caller: &Caller, server: &Server<S>) -> Vec<Session> {
    let (sessions, now) = (&server.sign_in.sessions, server.now().wall);
    match own(caller) {
        _ if sees_all(caller, server, Action::Session(Change::Read)) => sessions.list(None, now),
        Some(object) => sessions.list(Some(object), now),
        None => Vec::new(),
    }
}

/// Ends a session: one's own, or anybody's with the right to. Its tokens are dead when this returns, also where
/// that cannot be written yet.
pub(crate) async fn end_session<S: Store>(
    caller: &Caller,
    server: &Server<S>,
    call: &Call,
    id: Uuid,
) -> Result<(), Problem> {
    let session = server.sign_in.sessions.get(id, server.now().wall);
    let is_own = session.as_ref().is_some_and(|s| Some(s.who.object) == own(caller));
    if !is_own && !sees_all(caller, server, Action::Session(Change::Delete)) {
        // The same for one that is not there: which ids there are is not told.
        denied(caller, server, call, Action::Session(Change::Delete)).await;
        return Err(Problem::Denied { action: Action::Session(Change::Delete) });
    }
    if let Some((session, change)) = server.sign_in.sessions.end(id) {
        let (object, session) = (session.who.object, id.to_string());
        let origin = origin(caller, call, Action::Session(Change::Delete));
        server.keep(origin, vec![change], Note::SessionEnded { object, session }).await;
    }
    Ok(())
}

fn own(caller: &Caller) -> Option<Uuid> {
    caller.person.id.0.parse().ok()
}

fn sees_all<S>(caller: &Caller, server: &Server<S>, action: Action) -> bool {
    let scope = Scope::subscription(server.installation.subscription);
    may(caller, action, &scope)
}
