//! Azure's routes for questions about the rules that hold.
//!
//! Azure answers 202 and has clients ask again; here the answer is there at once, and a 200 needs nothing to
//! be kept. az and the SDKs take either.

use hourgate_api::{
    body,
    error::{ArmError, Positions},
    list::List,
    watcher::{WatcherId, WatcherResource},
};
use hourgate_core::{id::Name, resource::ResourceId};
use hourgate_store::Store;
use hyper::StatusCode;

use super::{asked::Asked, exchange::Answer};
use crate::operations;

/// The rules that hold for an interface.
pub(super) async fn effective<S: Store>(
    asked: &Asked<'_, S>,
    id: &ResourceId,
) -> Result<Answer, ArmError> {
    let (caller, call) = (&asked.caller, asked.call());
    let groups = operations::effective_groups(caller, asked.server, &call, id)
        .await
        .map_err(|problem| asked.problem(&problem, &Positions::none()))?;
    Ok(asked.exchange.json(StatusCode::OK, &List::whole(groups)))
}

/// The network watchers.
pub(super) async fn watchers<S: Store>(
    asked: &Asked<'_, S>,
    group: Option<&Name>,
) -> Result<Answer, ArmError> {
    let (caller, call) = (&asked.caller, asked.call());
    let found = operations::watchers(caller, asked.server, &call, group)
        .await
        .map_err(|problem| asked.problem(&problem, &Positions::none()))?;
    let value = found.iter().map(|(id, location)| WatcherResource::new(id, location)).collect();
    Ok(asked.exchange.json(StatusCode::OK, &List::whole(value)))
}

/// One network watcher.
pub(super) async fn watcher<S: Store>(
    asked: &Asked<'_, S>,
    id: &WatcherId,
) -> Result<Answer, ArmError> {
    let (caller, call) = (&asked.caller, asked.call());
    let (id, location) = operations::watcher(caller, asked.server, &call, id)
        .await
        .map_err(|problem| asked.problem(&problem, &Positions::none()))?;
    Ok(asked.exchange.json(StatusCode::OK, &WatcherResource::new(&id, &location)))
}

/// Whether a flow would pass.
pub(super) async fn verify_flow<S: Store>(
    asked: &Asked<'_, S>,
    id: &WatcherId,
) -> Result<Answer, ArmError> {
    let question = asked.parse(body::flow).await?;
    let (caller, call) = (&asked.caller, asked.call());
    let answer = operations::verify_flow(caller, asked.server, &call, (id, &question))
        .await
        .map_err(|problem| asked.problem(&problem, &Positions::none()))?;
    Ok(asked.exchange.json(StatusCode::OK, &answer))
}
