//! Our routes for those who are known: people, groups and services.

use hourgate_api::{
    body,
    error::ArmError,
    list::List,
    paths::{PrincipalQuery, PrincipalRoute, Route},
    role::PrincipalResource,
};
use hourgate_core::role::principal::{Principal, PrincipalId};
use hourgate_store::Store;
use hyper::{Method, StatusCode};

use super::{
    asked::Asked,
    exchange::Answer,
    roles::{link, problem_of, status_of},
};
use crate::operations;

/// How many principals one page has at most.
const PAGE_PRINCIPALS_MAX: usize = 500;

/// What is asked of those who are known.
pub(super) async fn answer<S: Store>(
    asked: &Asked<'_, S>,
    what: PrincipalRoute,
) -> Result<Answer, ArmError> {
    match what {
        PrincipalRoute::All if asked.method == Method::POST => put(asked, None).await,
        PrincipalRoute::All => list(asked).await,
        PrincipalRoute::One(id) => one(asked, id).await,
        PrincipalRoute::Disable(id) => set_disabled(asked, id, true).await,
        PrincipalRoute::Enable(id) => set_disabled(asked, id, false).await,
    }
}

async fn list<S: Store>(asked: &Asked<'_, S>) -> Result<Answer, ArmError> {
    let query = PrincipalQuery::parse(asked.query.as_deref())?;
    let (caller, server, call) = (&asked.caller, asked.server, asked.call());
    let (found, more) =
        operations::list_principals(caller, server, &call, &query, PAGE_PRINCIPALS_MAX)
            .await
            .map_err(|problem| problem_of(asked, &problem))?;
    let last = found.last().filter(|_| more);
    let next_link = last.map(|last| {
        let route = Route::Principals(server.installation.subscription, PrincipalRoute::All);
        link(asked, &route, &query.next(last.id))
    });
    let value = found.iter().map(|who| shown(asked, who)).collect();
    Ok(asked.exchange.json(StatusCode::OK, &List { value, next_link }))
}

async fn one<S: Store>(asked: &Asked<'_, S>, id: PrincipalId) -> Result<Answer, ArmError> {
    let (caller, server, call) = (&asked.caller, asked.server, asked.call());
    let who = match asked.method {
        Method::PUT => return put(asked, Some(id)).await,
        Method::DELETE => {
            let gone = operations::forget_principal(caller, server, &call, id).await;
            match gone.map_err(|problem| problem_of(asked, &problem))? {
                Some(gone) => gone,
                None => return Ok(asked.exchange.empty(StatusCode::NO_CONTENT)),
            }
        }
        _ => operations::get_principal(caller, server, &call, id)
            .await
            .map_err(|problem| problem_of(asked, &problem))?,
    };
    Ok(asked.exchange.json(StatusCode::OK, &shown(asked, &who)))
}

/// Makes somebody known: 201 if they were not.
async fn put<S: Store>(asked: &Asked<'_, S>, id: Option<PrincipalId>) -> Result<Answer, ArmError> {
    let sent = asked.parse(body::principal).await?;
    let (who, before) =
        operations::put_principal(&asked.caller, asked.server, &asked.call(), (id, sent))
            .await
            .map_err(|problem| problem_of(asked, &problem))?;
    Ok(asked.exchange.json(status_of(before), &shown(asked, &who)))
}

async fn set_disabled<S: Store>(
    asked: &Asked<'_, S>,
    id: PrincipalId,
    disabled: bool,
) -> Result<Answer, ArmError> {
    let (caller, server, call) = (&asked.caller, asked.server, asked.call());
    let who = operations::set_disabled(caller, server, &call, (id, disabled)).await;
    let who = who.map_err(|problem| problem_of(asked, &problem))?;
    Ok(asked.exchange.json(StatusCode::OK, &shown(asked, &who)))
}

fn shown<S: Store>(asked: &Asked<'_, S>, who: &Principal) -> PrincipalResource {
    PrincipalResource::new(asked.server.installation.subscription, who)
}
