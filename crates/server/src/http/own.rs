//! Our own routes: requests, the caller, the guards.

use std::{collections::BTreeMap, time::Duration};

use hourgate_api::{
    error::{ArmError, Positions},
    explain::Question,
    guards::{DesiredObserved, GuardResource, GuardState},
    headers,
    jit::{RequestResource, View},
    list::List,
    outlook,
    paths::{RequestQuery, Route, wait_seconds},
    time::UtcTime,
    whoami::Whoami,
};
use hourgate_core::{
    grant::{Access, Request},
    id::{RequestId, VmId},
    policy::Vm,
    resource::Network,
};
use hourgate_store::Store;
use hyper::StatusCode;

use super::{
    asked::Asked,
    exchange::{Answer, with},
    jit::{blocked_of, shown_in},
};
use crate::{
    guards::{GuardStatus, Reached},
    operations::{self, BlockedSeen, RequestSeen},
};

/// Who the caller is, and from which address.
pub(super) fn whoami<S: Store>(asked: &Asked<'_, S>) -> Answer {
    let installation = asked.server.installation;
    let groups = operations::own_groups(&asked.caller, asked.server);
    let eligible = operations::own_eligible(&asked.caller, asked.server);
    let (tenant, subscription) = (installation.tenant, installation.subscription);
    let whoami = Whoami::new(&asked.caller, (groups, eligible), tenant, subscription);
    asked.exchange.json(StatusCode::OK, &whoami)
}

/// The guards, and what each last said.
pub(super) async fn guards<S: Store>(asked: &Asked<'_, S>) -> Result<Answer, ArmError> {
    let guards = operations::guards(&asked.caller, asked.server, &asked.call()).await;
    let guards = guards.map_err(|problem| asked.problem(&problem, &Positions::none()))?;
    let list = List::whole(guards.iter().map(|status| guard(asked, status)).collect());
    Ok(asked.exchange.json(StatusCode::OK, &list))
}

/// Why a new connection would reach a machine, or not.
pub(super) async fn explain<S: Store>(asked: &Asked<'_, S>) -> Result<Answer, ArmError> {
    let question = Question::parse(asked.query.as_deref())?;
    let explained =
        operations::explain(&asked.caller, asked.server, &asked.call(), &question).await;
    let explained = explained.map_err(|problem| asked.problem(&problem, &Positions::none()))?;
    Ok(asked.exchange.json(StatusCode::OK, &explained))
}

/// What a machine's guard sees of it, and whose rules may stand in the way.
pub(super) async fn outlook<S: Store>(asked: &Asked<'_, S>) -> Result<Answer, ArmError> {
    let question = outlook::Question::parse(asked.query.as_deref())?;
    let seen = operations::outlook(&asked.caller, asked.server, &asked.call(), &question).await;
    let seen = seen.map_err(|problem| asked.problem(&problem, &Positions::none()))?;
    Ok(asked.exchange.json(StatusCode::OK, &seen))
}

/// Ends a request: 200 also when it has ended.
pub(super) async fn close<S: Store>(
    asked: &Asked<'_, S>,
    id: RequestId,
) -> Result<Answer, ArmError> {
    let (caller, call) = (&asked.caller, asked.call());
    let closed = operations::close_request(caller, asked.server, &call, id).await;
    let seen = closed.map_err(|problem| asked.problem(&problem, &Positions::none()))?;
    show(asked, &seen).await
}

/// Whether a call waits until something changes.
pub(super) fn waits(route: &Route, query: Option<&str>) -> bool {
    matches!(route, Route::Request(..))
        && wait_seconds(query).is_ok_and(|seconds| seconds.is_some())
}

/// One request, at once or when it has changed.
pub(super) async fn get<S: Store>(asked: &Asked<'_, S>, id: RequestId) -> Result<Answer, ArmError> {
    let (caller, server) = (&asked.caller, asked.server);
    let found = match wait_seconds(asked.query.as_deref())? {
        Some(seconds) => {
            let known = asked.header(headers::IF_NONE_MATCH);
            let longest = Duration::from_secs(seconds);
            operations::wait_for_request(caller, server, id, longest, known).await
        }
        None => operations::get_request(caller, server, id).await,
    };
    let seen = found.map_err(|problem| asked.problem(&problem, &Positions::none()))?;
    show(asked, &seen).await
}

/// Requests, newest first, a page at a time.
pub(super) async fn list<S: Store>(asked: &Asked<'_, S>) -> Result<Answer, ArmError> {
    let query = RequestQuery::parse(asked.query.as_deref())?;
    let seen = operations::list_requests(&asked.caller, asked.server, &query)
        .await
        .map_err(|problem| asked.problem(&problem, &Positions::none()))?;
    let network = shown_in(asked).await?;
    let shown = |request| resource(asked, request, (&seen.vms, &seen.blocked), &network);
    let value = seen.requests.iter().map(shown).collect();
    let next_link = seen.next.map(|before| {
        let parameters = RequestQuery { before: Some(before), ..query }.parameters();
        let parameters: Vec<(&str, &str)> =
            parameters.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let route = Route::Requests(asked.server.installation.subscription);
        format!("{}{}", asked.server.base, route.with_query(&parameters))
    });
    Ok(asked.exchange.json(StatusCode::OK, &List { value, next_link }))
}

async fn show<S: Store>(asked: &Asked<'_, S>, seen: &RequestSeen) -> Result<Answer, ArmError> {
    let RequestSeen { request, vms, blocked } = seen;
    let network = shown_in(asked).await?;
    let shown = resource(asked, request, (vms, blocked), &network);
    let answer = asked.exchange.json(StatusCode::OK, &shown);
    Ok(with(answer, headers::ETAG, &operations::request_tag(request)))
}

fn resource<S: Store>(
    asked: &Asked<'_, S>,
    request: &Request,
    (vms, blocked): (&BTreeMap<VmId, Vm>, &BlockedSeen),
    network: &Network,
) -> RequestResource {
    let (gate, now) = (asked.server.gate.view(), asked.server.now().wall);
    let view = View {
        vm: &|id: &VmId| vms.get(id).cloned(),
        observed: &|id, access: &Access| {
            operations::observed(id, access, vms.get(&access.vm), gate, now)
        },
        blocked: &|request, access: &Access| blocked_of(blocked, request, access),
        locks: &|_, _| Vec::new(),
        network,
    };
    RequestResource::new(request, &view)
}

fn guard<S: Store>(asked: &Asked<'_, S>, status: &GuardStatus) -> GuardResource {
    let met = asked.server.gate.met(&status.cover.name);
    let (kind, version) = met.map(|met| (met.kind, met.version)).unzip();
    let (state, since, problem) = match &status.reached {
        Reached::Yes { since } => (GuardState::Reached, *since, None),
        Reached::No { since, why } => (GuardState::Unreached, *since, Some(why.clone())),
    };
    let late = status.overdue.as_ref().map(|overdue| {
        format!("{} closes are late, by {:.3} s", overdue.closes, overdue.longest.as_secs_f64())
    });
    let count = |n: usize| u64::try_from(n).unwrap_or(u64::MAX);
    let ever = status.convergences > 0;
    let both = |desired, observed| DesiredObserved {
        desired: count(desired),
        observed: ever.then(|| count(observed)),
    };
    GuardResource {
        name: status.cover.name.clone(),
        state,
        since: Some(UtcTime(since)),
        kind,
        version,
        covers: status.cover.covers.clone(),
        locks: both(status.locks_desired, status.locks_observed),
        openings: both(status.openings_desired, status.openings_observed),
        observed_at: status.observed_at.map(UtcTime),
        problem: late.or(problem),
    }
}
