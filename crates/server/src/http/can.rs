//! Our route that tells whether somebody may ask for access, and what is missing.

use hourgate_api::{
    can::{CanAnswer, Question, Reason},
    error::{ArmError, Positions, explain},
};
use hourgate_store::Store;
use hyper::StatusCode;

use super::{asked::Asked, exchange::Answer, roles::problem_of};
use crate::operations::{self, Missing};

/// May they, and if not, why?
pub(super) async fn can<S: Store>(asked: &Asked<'_, S>) -> Result<Answer, ArmError> {
    let question = Question::parse(asked.query.as_deref())?;
    let (caller, server, call) = (&asked.caller, asked.server, asked.call());
    let (who, policy, missing) = operations::can(caller, server, &call, &question)
        .await
        .map_err(|problem| problem_of(asked, &problem))?;
    let directory = server.store.directory();
    let issuer = who.id.principal().and_then(|id| directory.principal(id)).map(|who| &who.issuer);
    let hold = server.store.settings().groups_hold_of(issuer.map_or("", String::as_str));
    let mut reasons: Vec<Reason> = Vec::new();
    for missing in missing {
        let told = match missing {
            Missing::Role { action, scope, roles, by } => {
                vec![Reason::role(action, &scope, roles, by)]
            }
            Missing::NotActive { action, scope, role, at } => {
                vec![Reason::not_active(action, &scope, &role, &at)]
            }
            Missing::GroupsTooOld { at } => vec![Reason::groups_too_old(at, hold)],
            Missing::Policy => vec![Reason::no_policy(&question.vm)],
            Missing::Refused(refusals) => Reason::refused(&explain(&refusals, &Positions::none())),
        };
        // Two rights can be missing for one reason.
        reasons.extend(told.into_iter().filter(|told| !reasons.contains(told)).collect::<Vec<_>>());
    }
    let policy = policy.map(|policy| policy.to_string());
    let answer = CanAnswer::new(&who, &question, policy, reasons);
    Ok(asked.exchange.json(StatusCode::OK, &answer))
}
