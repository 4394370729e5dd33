//! Azure's JIT routes: policies, and asking for access.

use std::{sync::Arc, time::Duration};

use hourgate_api::{
    body,
    error::{ArmError, Code, Positions},
    headers,
    jit::{Observed, PolicyResource, ProvisioningState, RequestResource, View, etag, precondition},
    list::List,
    text::quoted,
    time::IsoDuration,
};
use hourgate_core::{
    command::Precondition,
    grant::Access,
    id::{PolicyId, VmId},
    resource::Network,
};
use hourgate_store::{PolicyFilter, Store};
use hyper::{Method, StatusCode};

use super::{
    dispatch::Asked,
    exchange::{Answer, with},
};
use crate::operations::{self, PolicySeen};

/// Asks for access: 202 with the request, and no header that makes a client wait for anything.
pub(super) async fn initiate<S: Store>(
    asked: &Asked<'_, S>,
    policy: &PolicyId,
) -> Result<Answer, ArmError> {
    let of = policy.clone();
    let parts = asked.parse(move |sent| body::initiate(sent, &of)).await?;
    let (caller, call) = (&asked.caller, asked.call());
    let (request, committed) = operations::request_access(caller, asked.server, &call, &parts)
        .await
        .map_err(|problem| asked.problem(&problem, &parts.positions))?;
    let view = View {
        vm: &|id: &VmId| committed.state.vms.get(id).cloned(),
        // Nothing that was granted just now was seen by anybody.
        observed: &|_, access: &Access| Observed::of(access),
        network: &committed.state.network,
    };
    let answer = RequestResource::new(&request, &view);
    Ok(asked.exchange.json(StatusCode::ACCEPTED, &answer))
}

/// One policy: shown, set or removed.
pub(super) async fn policy<S: Store>(
    asked: &Asked<'_, S>,
    id: &PolicyId,
) -> Result<Answer, ArmError> {
    match asked.method {
        Method::PUT => put_policy(asked, id).await,
        Method::DELETE => delete_policy(asked, id).await,
        _ => get_policy(asked, id).await,
    }
}

/// Sets a policy: always 200, and `Updating`.
async fn put_policy<S: Store>(asked: &Asked<'_, S>, id: &PolicyId) -> Result<Answer, ArmError> {
    let only_if = condition(asked)?;
    let confirm_within = confirm_within(asked)?;
    let of = id.clone();
    let (draft, positions) = asked.parse(move |sent| body::policy(sent, &of)).await?;
    let (caller, call) = (&asked.caller, asked.call());
    let policy =
        operations::put_policy(caller, asked.server, &call, draft, only_if, confirm_within)
            .await
            .map_err(|problem| under(only_if, asked.problem(&problem, &positions)))?;
    let view = View {
        vm: &|_| None,
        observed: &|_, access: &Access| Observed::of(access),
        network: &Network::default(),
    };
    let answer = PolicyResource::new(&policy, &[], ProvisioningState::Updating, &view);
    let answer = asked.exchange.json(StatusCode::OK, &answer);
    Ok(with(answer, headers::ETAG, &etag(policy.version)))
}

async fn get_policy<S: Store>(asked: &Asked<'_, S>, id: &PolicyId) -> Result<Answer, ArmError> {
    let (caller, call) = (&asked.caller, asked.call());
    let seen = operations::get_policy(caller, asked.server, &call, id.clone())
        .await
        .map_err(|problem| asked.problem(&problem, &Positions::none()))?;
    show(asked, &seen).await
}

pub(super) async fn list_policies<S: Store>(
    asked: &Asked<'_, S>,
    which: PolicyFilter,
) -> Result<Answer, ArmError> {
    let (caller, call) = (&asked.caller, asked.call());
    let seen = operations::list_policies(caller, asked.server, &call, which)
        .await
        .map_err(|problem| asked.problem(&problem, &Positions::none()))?;
    let network = shown_in(asked).await?;
    let list = List::whole(seen.iter().map(|seen| resource(asked, seen, &network)).collect());
    Ok(asked.exchange.json(StatusCode::OK, &list))
}

/// Removes a policy: 200 if it was there, 204 if not, without a body either way.
async fn delete_policy<S: Store>(asked: &Asked<'_, S>, id: &PolicyId) -> Result<Answer, ArmError> {
    let only_if = condition(asked)?;
    let (caller, call) = (&asked.caller, asked.call());
    let removed = operations::remove_policy(caller, asked.server, &call, id.clone(), only_if)
        .await
        .map_err(|problem| under(only_if, asked.problem(&problem, &Positions::none())))?;
    Ok(asked.exchange.empty(if removed { StatusCode::OK } else { StatusCode::NO_CONTENT }))
}

/// Keeps a policy that waits for confirmation.
pub(super) async fn confirm<S: Store>(
    asked: &Asked<'_, S>,
    id: &PolicyId,
) -> Result<Answer, ArmError> {
    let (caller, call) = (&asked.caller, asked.call());
    let seen = operations::confirm_policy(caller, asked.server, &call, id.clone())
        .await
        .map_err(|problem| asked.problem(&problem, &Positions::none()))?;
    show(asked, &seen).await
}

async fn show<S: Store>(asked: &Asked<'_, S>, seen: &PolicySeen) -> Result<Answer, ArmError> {
    let network = shown_in(asked).await?;
    let answer = asked.exchange.json(StatusCode::OK, &resource(asked, seen, &network));
    Ok(with(answer, headers::ETAG, &etag(seen.answer.policy.version)))
}

/// The network in which what is shown stands: it says where machines are reached.
pub(super) async fn shown_in<S: Store>(asked: &Asked<'_, S>) -> Result<Arc<Network>, ArmError> {
    let network = operations::network(asked.server).await;
    network.map_err(|error| asked.problem(&error.into(), &Positions::none()))
}

fn resource<S: Store>(
    asked: &Asked<'_, S>,
    seen: &PolicySeen,
    network: &Network,
) -> PolicyResource {
    let (gate, now) = (asked.server.gate.view(), asked.server.now().wall);
    let view = View {
        vm: &|id: &VmId| seen.vms.get(id).cloned(),
        observed: &|id, access: &Access| {
            operations::observed(id, access, seen.vms.get(&access.vm), gate, now)
        },
        network,
    };
    PolicyResource::new(&seen.answer.policy, &seen.answer.requests, seen.state, &view)
}

/// A refusal, at the header whose condition failed.
pub(super) fn under(only_if: Precondition, error: ArmError) -> ArmError {
    match (only_if, &error.code) {
        (Precondition::Absent, Code::PreconditionFailed) => error.at("If-None-Match"),
        _ => error,
    }
}

pub(super) fn condition<S>(asked: &Asked<'_, S>) -> Result<Precondition, ArmError> {
    let text = |name: &'static str, shown: &'static str| match asked.headers.get(name) {
        None => Ok(None),
        // A condition that cannot be read is not overlooked: the caller wanted protection.
        Some(value) => value
            .to_str()
            .map(Some)
            .map_err(|_| ArmError::new(Code::InvalidParameter, "The header is no text.").at(shown)),
    };
    let if_match = text(headers::IF_MATCH, "If-Match")?;
    precondition(if_match, text(headers::IF_NONE_MATCH, "If-None-Match")?)
}

fn confirm_within<S>(asked: &Asked<'_, S>) -> Result<Option<Duration>, ArmError> {
    if !asked.headers.contains_key(headers::CONFIRM_WITHIN) {
        return Ok(None);
    }
    let sent = asked.header(headers::CONFIRM_WITHIN).unwrap_or_default();
    match sent.parse::<IsoDuration>() {
        Ok(IsoDuration(within)) => Ok(Some(within)),
        Err(_) => {
            let message =
                format!("{} is no duration. ISO 8601 is accepted, such as 'PT5M'.", quoted(sent));
            Err(ArmError::new(Code::InvalidParameter, message).at("Hourgate-Confirm-Within"))
        }
    }
}
