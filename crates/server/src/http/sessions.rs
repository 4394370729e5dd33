//! Our own routes of sessions: which there are, and to end one.

use hourgate_api::{
    error::{ArmError, Positions},
    list::List,
    sessions::SessionResource,
    time::UtcTime,
};
use hourgate_store::Store;
use hyper::StatusCode;
use uuid::Uuid;

use super::{asked::Asked, exchange::Answer};
use crate::{
    operations,
    signin::{Client, Place, Session},
};

/// Sessions: one's own, and everybody's for those who may see them.
pub(super) async fn list<S: Store>(asked: &Asked<'_, S>) -> Result<Answer, ArmError> {
    let (caller, server) = (&asked.caller, asked.server);
    let sessions = operations::list_sessions(caller, server);
    let value = sessions.iter().map(|session| shown(session, asked.session)).collect();
    Ok(asked.exchange.json(StatusCode::OK, &List::whole(value)))
}

/// Ends one. 204 also where it has ended already.
pub(super) async fn revoke<S: Store>(asked: &Asked<'_, S>, id: Uuid) -> Result<Answer, ArmError> {
    let (caller, call) = (&asked.caller, asked.call());
    let ended = operations::end_session(caller, asked.server, &call, id).await;
    ended.map_err(|problem| asked.problem(&problem, &Positions::none()))?;
    Ok(asked.exchange.empty(StatusCode::NO_CONTENT))
}

fn shown(session: &Session, own: Option<Uuid>) -> SessionResource {
    let (kind, client) = match &session.at {
        Place::Browser { .. } => ("browser", None),
        Place::Command { client, .. } => ("command", Some(*client)),
    };
    SessionResource {
        id: session.id,
        principal_id: session.who.object,
        principal_name: session.who.name.clone(),
        kind: kind.to_owned(),
        client: client.and_then(|id| Client::of(&id.to_string())).map(|c| c.name().to_owned()),
        address: session.from,
        signed_in_at: UtcTime(session.who.at),
        methods: session.who.methods.iter().map(|method| method.name().to_owned()).collect(),
        last_used_at: UtcTime(session.used),
        ends_at: UtcTime(session.until),
        is_this_one: own == Some(session.id),
    }
}
