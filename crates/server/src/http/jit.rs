//! Azure's JIT routes: policies, and asking for access.

use std::{sync::Arc, time::Duration};

use hourgate_api::{
    body,
    error::{ArmError, Code, Positions},
    headers,
    jit::{
        BlockedBy, Observed, PolicyResource, ProvisioningState, RequestResource, View, etag,
        precondition,
    },
    list::List,
    paths::{what_if, with_locks},
    text::quoted,
    time::IsoDuration,
};
use hourgate_core::{
    command::Precondition,
    event::AccessId,
    grant::Access,
    id::{PolicyId, RequestId, VmId},
    resource::Network,
};
use hourgate_store::{PolicyFilter, Store};
use hyper::{Method, StatusCode};

use super::{
    asked::Asked,
    exchange::{Answer, with},
};
use crate::operations::{self, BlockedSeen, PolicySeen, Setting};

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
        // Whatever would drop it had it refused.
        blocked: &|_, _| None,
        locks: &|_, _| Vec::new(),
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
    let what_if = what_if(asked.query.as_deref())?;
    let of = id.clone();
    let (draft, positions) = asked.parse(move |sent| body::policy(sent, &of)).await?;
    let (caller, call) = (&asked.caller, asked.call());
    let setting = Setting { only_if, confirm_within, what_if };
    let (policy, locks) = operations::put_policy(caller, asked.server, &call, draft, setting)
        .await
        .map_err(|problem| under(only_if, asked.problem(&problem, &positions)))?;
    let view = View {
        vm: &|_| None,
        observed: &|_, access: &Access| Observed::of(access),
        blocked: &|_, _| None,
        network: &Network::default(),
        locks: &|vm, port| locks.get(&(vm.clone(), port)).cloned().unwrap_or_default(),
    };
    let mut answer = PolicyResource::new(&policy, &[], ProvisioningState::Updating, &view);
    answer.properties.what_if = what_if;
    let answer = asked.exchange.json(StatusCode::OK, &answer);
    if what_if {
        // No version that anybody could send back.
        return Ok(answer);
    }
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
    let with_locks = with_locks(asked.query.as_deref())?;
    let seen = operations::list_policies(caller, asked.server, &call, which, with_locks)
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
        blocked: &|request, access: &Access| blocked_of(&seen.blocked, request, access),
        locks: &|vm, port| seen.locks.get(&(vm.clone(), port)).cloned().unwrap_or_default(),
        network,
    };
    PolicyResource::new(&seen.answer.policy, &seen.answer.requests, seen.state, &view)
}

/// The rule that drops some of an access.
pub(super) fn blocked_of(
    blocked: &BlockedSeen,
    request: RequestId,
    access: &Access,
) -> Option<BlockedBy> {
    let id = AccessId { request, vm: access.vm.clone(), port: access.port };
    blocked.get(&id).cloned()
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
