//! Which guards answer, and why others do not.

use hourgate_api::{
    guards::{GuardResource, GuardState},
    paths::Route,
};

use super::Session;
use crate::{exit::Failure, view};

/// The guards of the server.
pub(super) async fn guards(session: &Session) -> Result<Vec<GuardResource>, Failure> {
    let route = Route::Guards(session.client.profile().subscription_id);
    session.client.list(&route.uri()).await?.iter().map(view::guard).collect()
}

/// A line about each guard that does not answer.
pub(super) async fn unreached(session: &Session) -> Result<Vec<String>, Failure> {
    let guards = guards(session).await?;
    let unreached = guards.into_iter().filter(|guard| guard.state == GuardState::Unreached);
    Ok(unreached.map(told).collect())
}

fn told(guard: GuardResource) -> String {
    let why = guard.problem.map(|why| format!(" ({why})")).unwrap_or_default();
    format!(
        "The guard `{}` is not reached{why}: nothing opens on it, what it keeps closed stays closed, and what is \
         open there ends on time.",
        guard.name
    )
}
