//! Azure's routes for roles that are activated (PIM).

use hourgate_api::{
    body,
    error::ArmError,
    list::List,
    paths::{ApprovalRoute, Of, PimQuery, PimRoute},
    pim,
};
use hourgate_core::role::{Scope, activation::ActivationId};
use hourgate_store::Store;
use hyper::{Method, StatusCode};
use uuid::Uuid;

use super::{asked::Asked, exchange::Answer, roles::problem_of};
use crate::operations::{self, One, Really};

/// What is asked of roles that are activated, at a scope.
pub(super) async fn answer<S: Store>(
    asked: &Asked<'_, S>,
    scope: &Scope,
    what: PimRoute,
) -> Result<Answer, ArmError> {
    match what {
        PimRoute::Requests(of) => {
            let query = PimQuery::parse(asked.query.as_deref())?;
            let (caller, server, call) = (&asked.caller, asked.server, asked.call());
            let found =
                operations::list_requests_of(caller, server, &call, (scope, of, &query)).await;
            let found = found.map_err(|problem| problem_of(asked, &problem))?;
            Ok(asked.exchange.json(StatusCode::OK, &List::whole(found)))
        }
        PimRoute::Request(of, id) if asked.method == Method::PUT => {
            request(asked, (scope, of, id), Really::Do).await
        }
        PimRoute::Validate(of, id) => request(asked, (scope, of, id), Really::Validate).await,
        PimRoute::Request(of, id) => one(asked, (scope, of, id), One::Request).await,
        PimRoute::Cancel(_, id) => {
            let (caller, server, call) = (&asked.caller, asked.server, asked.call());
            let done = operations::cancel_request(caller, server, &call, (scope, id)).await;
            done.map_err(|problem| problem_of(asked, &problem))?;
            Ok(asked.exchange.empty(StatusCode::OK))
        }
        PimRoute::Schedules(of) => list(asked, (scope, of, false)).await,
        PimRoute::Instances(of) => list(asked, (scope, of, true)).await,
        PimRoute::Schedule(of, id) => one(asked, (scope, of, id), One::Schedule).await,
        PimRoute::Instance(of, id) => one(asked, (scope, of, id), One::Instance).await,
        PimRoute::Policies | PimRoute::PolicyAssignments => policies(asked, scope, what).await,
        PimRoute::Policy(role) | PimRoute::PolicyAssignment(role) => {
            policy(asked, (scope, role), what).await
        }
    }
}

/// Asks for a role: 201, the one status that Azure's SDKs take; or tells what would come of it: 200.
async fn request<S: Store>(
    asked: &Asked<'_, S>,
    (scope, of, id): (&Scope, Of, Uuid),
    really: Really,
) -> Result<Answer, ArmError> {
    let at = scope.clone();
    let sent = asked.parse(move |body| body::schedule_request(body, &at)).await?;
    let (caller, server, call) = (&asked.caller, asked.server, asked.call());
    let done = operations::request_role(caller, server, &call, (scope, of, id), sent, really).await;
    let shown = done.map_err(|problem| problem_of(asked, &problem))?;
    let status = match really {
        Really::Do => StatusCode::CREATED,
        Really::Validate => StatusCode::OK,
    };
    Ok(asked.exchange.json(status, &shown))
}

async fn list<S: Store>(
    asked: &Asked<'_, S>,
    what: (&Scope, Of, bool),
) -> Result<Answer, ArmError> {
    let query = PimQuery::parse(asked.query.as_deref())?;
    let (caller, server, call) = (&asked.caller, asked.server, asked.call());
    let found = operations::list_schedules(caller, server, &call, what, &query).await;
    let found = found.map_err(|problem| problem_of(asked, &problem))?;
    Ok(asked.exchange.json(StatusCode::OK, &List::whole(found)))
}

async fn one<S: Store>(
    asked: &Asked<'_, S>,
    what: (&Scope, Of, Uuid),
    one: One,
) -> Result<Answer, ArmError> {
    let (caller, server, call) = (&asked.caller, asked.server, asked.call());
    let found = operations::get_schedule(caller, server, &call, what, one).await;
    let found = found.map_err(|problem| problem_of(asked, &problem))?;
    Ok(asked.exchange.json(StatusCode::OK, &found))
}

/// What it takes to activate the roles of a scope, as policies or as which of them is for which role.
async fn policies<S: Store>(
    asked: &Asked<'_, S>,
    scope: &Scope,
    what: PimRoute,
) -> Result<Answer, ArmError> {
    let query = PimQuery::parse(asked.query.as_deref())?;
    let (caller, server, call) = (&asked.caller, asked.server, asked.call());
    let found = operations::list_rules(caller, server, &call, (scope, query.role)).await;
    let (directory, rules) = found.map_err(|problem| problem_of(asked, &problem))?;
    let shown = rules.iter().map(|rules| {
        if what == PimRoute::Policies {
            pim::policy(&directory, rules)
        } else {
            pim::policy_assignment(&directory, rules)
        }
    });
    Ok(asked.exchange.json(StatusCode::OK, &List::whole(shown.collect())))
}

async fn policy<S: Store>(
    asked: &Asked<'_, S>,
    (scope, role): (&Scope, Uuid),
    what: PimRoute,
) -> Result<Answer, ArmError> {
    let (caller, server, call) = (&asked.caller, asked.server, asked.call());
    let found = if asked.method == Method::PATCH {
        let sent = asked.parse(body::role_rules).await?;
        operations::set_rules(caller, server, &call, (scope, role), sent).await
    } else {
        operations::get_rules(caller, server, &call, (scope, role)).await
    };
    let (directory, rules) = found.map_err(|problem| problem_of(asked, &problem))?;
    let shown = if what == PimRoute::Policy(role) {
        pim::policy(&directory, &rules)
    } else {
        pim::policy_assignment(&directory, &rules)
    };
    Ok(asked.exchange.json(StatusCode::OK, &shown))
}

/// What is asked of decisions about activations.
pub(super) async fn approvals<S: Store>(
    asked: &Asked<'_, S>,
    scope: Option<&Scope>,
    what: ApprovalRoute,
) -> Result<Answer, ArmError> {
    let whole = Scope::subscription(asked.server.installation.subscription);
    let scope = scope.unwrap_or(&whole);
    match what {
        ApprovalRoute::All => {
            let query = PimQuery::parse(asked.query.as_deref())?;
            let (caller, server) = (&asked.caller, asked.server);
            let found = operations::list_approvals(caller, server, scope, query.as_approver).await;
            let shown = found.iter().map(|(activation, mine)| pim::approval(activation, *mine));
            Ok(asked.exchange.json(StatusCode::OK, &List::whole(shown.collect())))
        }
        ApprovalRoute::Stage(id, stage) if asked.method != Method::GET => {
            decide(asked, id, stage).await
        }
        ApprovalRoute::One(id) | ApprovalRoute::Stages(id) | ApprovalRoute::Stage(id, _) => {
            let found = operations::get_approval(&asked.caller, asked.server, id).await;
            let (activation, mine) = found.map_err(|problem| problem_of(asked, &problem))?;
            let shown = match what {
                ApprovalRoute::Stage(_, stage) => {
                    is_the_stage(id, stage)?;
                    pim::stage(&activation, mine)
                }
                ApprovalRoute::Stages(_) => {
                    let list = List::whole(vec![pim::stage(&activation, mine)]);
                    return Ok(asked.exchange.json(StatusCode::OK, &list));
                }
                ApprovalRoute::All | ApprovalRoute::One(_) => pim::approval(&activation, mine),
            };
            Ok(asked.exchange.json(StatusCode::OK, &shown))
        }
    }
}

async fn decide<S: Store>(
    asked: &Asked<'_, S>,
    id: ActivationId,
    stage: Uuid,
) -> Result<Answer, ArmError> {
    is_the_stage(id, stage)?;
    let sent = asked.parse(body::review).await?;
    let (caller, server, call) = (&asked.caller, asked.server, asked.call());
    let done = operations::decide_activation(caller, server, &call, id, sent).await;
    let activation = done.map_err(|problem| problem_of(asked, &problem))?;
    Ok(asked.exchange.json(StatusCode::OK, &pim::stage(&activation, true)))
}

/// An activation has one stage, which has its id.
fn is_the_stage(id: ActivationId, stage: Uuid) -> Result<(), ArmError> {
    if id == stage { Ok(()) } else { Err(hourgate_api::error::schedule_request_not_found(stage)) }
}
