//! Azure's routes for roles: who was given which, and what they are.

use hourgate_api::{
    body,
    error::{ArmError, Positions},
    list::List,
    paths::{AssignmentQuery, DefinitionQuery, RoleRoute, Route},
    role::{AssignmentResource, DefinitionResource, PermissionSeen},
};
use hourgate_core::role::{
    Scope,
    assignment::AssignmentId,
    definition::{Definition, RoleId},
};
use hourgate_store::Store;
use hyper::{Method, StatusCode};

use super::{asked::Asked, exchange::Answer, pim};
use crate::operations::{self, AssignmentSeen, Before, Problem};

/// How many roles one page of a list has at most.
const PAGE_ROLES_MAX: usize = 1_000;
/// How many bytes of JSON it has about at most: Azure's answers stay under 8 MB.
const PAGE_BYTES_MAX: usize = 4 << 20;

/// What is asked of roles at a scope.
pub(super) async fn answer<S: Store>(
    asked: &Asked<'_, S>,
    scope: &Scope,
    what: RoleRoute,
) -> Result<Answer, ArmError> {
    match what {
        RoleRoute::Assignments => list_assignments(asked, scope).await,
        RoleRoute::Assignment(id) => assignment(asked, scope, id).await,
        RoleRoute::Definitions => list_definitions(asked, scope).await,
        RoleRoute::Definition(id) => definition(asked, scope, id).await,
        RoleRoute::Permissions => Ok(permissions(asked, scope)),
        RoleRoute::Pim(what) => pim::answer(asked, scope, what).await,
    }
}

async fn list_assignments<S: Store>(
    asked: &Asked<'_, S>,
    scope: &Scope,
) -> Result<Answer, ArmError> {
    let query = AssignmentQuery::parse(asked.query.as_deref())?;
    let found =
        operations::list_assignments(&asked.caller, asked.server, &asked.call(), (scope, &query))
            .await
            .map_err(|problem| problem_of(asked, &problem))?;
    // A subscription has few enough for one page (`ASSIGNMENTS_MAX`).
    let list = List::whole(found.iter().map(shown).collect());
    Ok(asked.exchange.json(StatusCode::OK, &list))
}

async fn assignment<S: Store>(
    asked: &Asked<'_, S>,
    scope: &Scope,
    id: AssignmentId,
) -> Result<Answer, ArmError> {
    let (caller, server, call) = (&asked.caller, asked.server, asked.call());
    let problem = |problem: Problem| problem_of(asked, &problem);
    let (status, seen) = match asked.method {
        Method::PUT => {
            let at = scope.clone();
            let sent = asked.parse(move |body| body::assignment(body, &at)).await?;
            let (seen, before) =
                operations::put_assignment(caller, server, &call, (scope, id, sent))
                    .await
                    .map_err(problem)?;
            (status_of(before), seen)
        }
        Method::DELETE => {
            let gone = operations::delete_assignment(caller, server, &call, (scope, id)).await;
            match gone.map_err(problem)? {
                Some(gone) => (StatusCode::OK, gone),
                None => return Ok(asked.exchange.empty(StatusCode::NO_CONTENT)),
            }
        }
        _ => {
            let seen = operations::get_assignment(caller, server, &call, (scope, id)).await;
            (StatusCode::OK, seen.map_err(problem)?)
        }
    };
    Ok(asked.exchange.json(status, &shown(&seen)))
}

fn shown(seen: &AssignmentSeen) -> AssignmentResource {
    AssignmentResource::new(&seen.assignment, seen.kind)
}

/// 201 for what is new.
pub(super) fn status_of(before: Before) -> StatusCode {
    match before {
        Before::New => StatusCode::CREATED,
        Before::Stood => StatusCode::OK,
    }
}

async fn list_definitions<S: Store>(
    asked: &Asked<'_, S>,
    scope: &Scope,
) -> Result<Answer, ArmError> {
    let query = DefinitionQuery::parse(asked.query.as_deref())?;
    let found =
        operations::list_definitions(&asked.caller, asked.server, &asked.call(), (scope, &query))
            .await
            .map_err(|problem| problem_of(asked, &problem))?;
    let (mut value, mut bytes) = (Vec::new(), 0);
    for role in &found {
        if value.len() >= PAGE_ROLES_MAX || bytes > PAGE_BYTES_MAX {
            break;
        }
        let shown = role_shown(asked, role);
        bytes += serde_json::to_vec(&shown).map_or(0, |json| json.len());
        value.push(shown);
    }
    let last = value.len().checked_sub(1).and_then(|last| found.get(last));
    let next_link = last.filter(|_| value.len() < found.len()).map(|last| {
        let route = Route::Roles(scope.clone(), RoleRoute::Definitions);
        link(asked, &route, &query.next(last.id()))
    });
    Ok(asked.exchange.json(StatusCode::OK, &List { value, next_link }))
}

/// The URL of another page.
pub(super) fn link<S: Store>(
    asked: &Asked<'_, S>,
    route: &Route,
    parameters: &[(&str, String)],
) -> String {
    let parameters: Vec<(&str, &str)> =
        parameters.iter().map(|(name, value)| (*name, value.as_str())).collect();
    format!("{}{}", asked.server.base, route.with_query(&parameters))
}

async fn definition<S: Store>(
    asked: &Asked<'_, S>,
    scope: &Scope,
    id: RoleId,
) -> Result<Answer, ArmError> {
    let (caller, server, call) = (&asked.caller, asked.server, asked.call());
    let problem = |problem: Problem| problem_of(asked, &problem);
    let (status, role) = match asked.method {
        // 201 also for what stood: the one status that Azure's SDKs take.
        Method::PUT => {
            let sent = asked.parse(body::definition).await?;
            let role = operations::put_definition(caller, server, &call, (scope, id, sent)).await;
            (StatusCode::CREATED, role.map_err(problem)?)
        }
        Method::DELETE => {
            let gone = operations::delete_definition(caller, server, &call, (scope, id)).await;
            match gone.map_err(problem)? {
                Some(gone) => (StatusCode::OK, gone),
                None => return Ok(asked.exchange.empty(StatusCode::NO_CONTENT)),
            }
        }
        _ => {
            let role = operations::get_definition(caller, server, &call, (scope, id)).await;
            (StatusCode::OK, role.map_err(problem)?)
        }
    };
    Ok(asked.exchange.json(status, &role_shown(asked, &role)))
}

fn role_shown<S: Store>(asked: &Asked<'_, S>, role: &Definition) -> DefinitionResource {
    let knows = |scope: &Scope| operations::knows_scope(&asked.caller, scope);
    DefinitionResource::new(asked.server.installation.subscription, role, knows)
}

/// What the caller may do at a scope.
fn permissions<S: Store>(asked: &Asked<'_, S>, scope: &Scope) -> Answer {
    let actions = operations::permissions(&asked.caller, scope);
    let seen = PermissionSeen {
        actions: actions.into_iter().map(str::to_owned).collect(),
        not_actions: Vec::new(),
        data_actions: Vec::new(),
        not_data_actions: Vec::new(),
    };
    asked.exchange.json(StatusCode::OK, &List::whole(vec![seen]))
}

pub(super) fn problem_of<S: Store>(asked: &Asked<'_, S>, problem: &Problem) -> ArmError {
    asked.problem(problem, &Positions::none())
}
