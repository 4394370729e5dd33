//! Access: asked for, shown, waited for, ended.

use std::{collections::BTreeMap, time::Duration};

use hourgate_api::{
    body::AskParts,
    jit::{Status, status_of},
    paths::{RequestQuery, StatusFilter},
};
use hourgate_core::{
    command::Command,
    grant::{Request, Stage},
    id::{RequestId, VmId},
    policy::Vm,
    refusal::Refusal,
    role::{Action, Caller},
};
use hourgate_store::{Committed, RequestFilter, Store, StoreError, VmFilter};

use super::{
    Call, Problem, RequestsSeen, permit,
    policy::{in_group, permit_linked},
    see::{BlockedSeen, RequestSeen, blocked, request_tag},
};
use crate::{
    mint,
    server::{Server, origin},
};

/// How often another id is minted when the first is taken. With a million requests kept, one in two
/// thousand is: eight in a row never are.
const IDS_TRIED_MAX: usize = 8;
/// How many requests one page of a filtered list looks at before it is given out as it is.
const LOOKED_AT_MAX: usize = 10_000;
/// How many it loads at once.
const LOADED_AT_ONCE: usize = 1_000;

/// Asks a policy for access. What comes back is durable; whether it is open is another question.
pub(crate) async fn request_access<S: Store>(
    caller: &Caller,
    server: &Server<S>,
    call: &Call,
    parts: &AskParts,
) -> Result<(Request, Committed), Problem> {
    let group = &parts.policy.group;
    permit(caller, server, call, Action::Initiate, Some(group)).await?;
    let vms = parts.accesses.iter().map(|access| &access.vm);
    permit_linked(caller, server, call, (Action::Initiate, Action::VM_READ), vms).await?;
    let mut tries = 0;
    loop {
        let id = mint::request_id()?;
        let ask = parts.ask(id, caller.person.clone(), (caller.address, caller.sign_in));
        let origin = origin(caller, call, Action::Initiate);
        let outcome = server.commit(origin, Command::Request(ask)).await;
        tries += 1;
        match outcome {
            Err(Problem::Refused(refusals)) if is_taken(&refusals.0) && tries < IDS_TRIED_MAX => {}
            outcome => {
                let committed = in_group(server, group, outcome).await?;
                let request =
                    committed.state.requests.get(&id).map(|request| Request::clone(request));
                let request = request.ok_or_else(|| not_found(id))?;
                return Ok((request, committed));
            }
        }
    }
}

fn is_taken(refusals: &[Refusal]) -> bool {
    matches!(refusals, [Refusal::RequestIdTaken { .. }])
}

/// Ends what is left of a request. Where that cannot be recorded it is closed all the same, and recorded
/// as soon as it can be.
pub(crate) async fn close_request<S: Store>(
    caller: &Caller,
    server: &Server<S>,
    call: &Call,
    id: RequestId,
) -> Result<RequestSeen, Problem> {
    permit(caller, server, call, Action::Close, None).await?;
    let command = Command::End { request: id, only: None };
    let committed = match server.commit(origin(caller, call, Action::Close), command).await {
        Ok(committed) => committed,
        Err(Problem::Store(error)) => {
            tracing::error!(%error, request = %id, "a close could not be recorded");
            let held = server.gate.hold(origin(caller, call, Action::Close), id, None);
            return Err(if held { Problem::ClosedNotRecorded } else { Problem::Store(error) });
        }
        Err(other) => return Err(other),
    };
    let request = committed
        .state
        .requests
        .get(&id)
        .map(|request| Request::clone(request))
        .ok_or_else(|| not_found(id))?;
    Ok(RequestSeen { request, vms: committed.state.vms, blocked: BlockedSeen::new() })
}

/// One request, with the VMs it speaks of.
pub(crate) async fn get_request<S: Store>(
    caller: &Caller,
    server: &Server<S>,
    call: &Call,
    id: RequestId,
) -> Result<RequestSeen, Problem> {
    permit(caller, server, call, Action::PolicyRead, None).await?;
    let request = server.store.request(id).await?.ok_or_else(|| not_found(id))?;
    seen(server, request).await
}

async fn seen<S: Store>(server: &Server<S>, request: Request) -> Result<RequestSeen, Problem> {
    let vms = vms_of(server, std::slice::from_ref(&request)).await?;
    let blocked = blocked(server, std::slice::from_ref(&request)).await?;
    Ok(RequestSeen { request, vms, blocked })
}

/// The same, but not before it is another than the one with the ETag `known`, or the time is over.
///
/// Without `known` it waits only while something is on its way: an access that a guard has yet to open or
/// to close, or that begins later. So nobody sleeps through a change that came just before they asked.
pub(crate) async fn wait_for_request<S: Store>(
    caller: &Caller,
    server: &Server<S>,
    call: &Call,
    id: RequestId,
    longest: Duration,
    known: Option<&str>,
) -> Result<RequestSeen, Problem> {
    permit(caller, server, call, Action::PolicyRead, None).await?;
    let waiter = server.waiters.join(id).ok_or(Problem::TooManyWait)?;
    let mut seen = server.gate.view().changes();
    let mut stop = server.stop.clone();
    let deadline = tokio::time::sleep(longest);
    tokio::pin!(deadline);
    let mut first: Option<Request> = None;
    loop {
        // Armed before the look, so that no change falls between look and sleep.
        let notified = waiter.notified();
        tokio::pin!(notified);
        notified.as_mut().enable();
        seen.mark_unchanged();
        let request = server.store.request(id).await?.ok_or_else(|| not_found(id))?;
        let go_on = match (&first, known) {
            (Some(first), _) if *first != request => false,
            (_, Some(known)) => request_tag(&request) == known,
            (_, None) => is_on_its_way(&request),
        };
        if !go_on || deadline.is_elapsed() || *stop.borrow() {
            return self::seen(server, request).await;
        }
        first.get_or_insert(request);
        tokio::select! {
            () = &mut notified => {}
            // Without a gate nothing more is seen; time goes on.
            Ok(()) = seen.changed() => {}
            () = &mut deadline => {}
            _ = stop.wait_for(|stop| *stop) => {}
        }
    }
}

fn is_on_its_way(request: &Request) -> bool {
    request.accesses.iter().any(|access| match &access.stage {
        Stage::Planned { .. } | Stage::Granted { opened: None, .. } => true,
        Stage::Granted { opened: Some(_), .. } => false,
        Stage::Ended { .. } => !access.is_settled(),
    })
}

/// Requests, newest first.
pub(crate) async fn list_requests<S: Store>(
    caller: &Caller,
    server: &Server<S>,
    call: &Call,
    query: &RequestQuery,
) -> Result<RequestsSeen, Problem> {
    permit(caller, server, call, Action::PolicyRead, None).await?;
    let mut before = query.before;
    let mut requests: Vec<Request> = Vec::new();
    let mut looked_at = 0;
    let next = loop {
        let which = RequestFilter {
            standing_only: query.status.is_some_and(is_standing),
            vm: query.vm.clone(),
            before,
            most: LOADED_AT_ONCE,
        };
        let page = server.store.requests(which).await?;
        let whole = page.len() < LOADED_AT_ONCE;
        let mut full = false;
        for request in page {
            // One more than asked for would fit on this page: so there is a next one.
            if requests.len() == query.most {
                full = true;
                break;
            }
            looked_at += 1;
            before = Some((request.created, request.id));
            if fits(&request, query) {
                requests.push(request);
            }
        }
        if full {
            break before;
        }
        if whole {
            break None;
        }
        if looked_at >= LOOKED_AT_MAX {
            break before;
        }
    };
    let vms = vms_of(server, &requests).await?;
    let blocked = blocked(server, &requests).await?;
    Ok(RequestsSeen { requests, vms, blocked, next })
}

fn is_standing(status: StatusFilter) -> bool {
    match status {
        StatusFilter::Live | StatusFilter::Initiating | StatusFilter::Initiated => true,
        StatusFilter::Revoked => false,
    }
}

fn fits(request: &Request, query: &RequestQuery) -> bool {
    let status = query.status.is_none_or(|wanted| {
        request.accesses.iter().any(|access| {
            let (status, _, _) = status_of(&access.stage);
            match wanted {
                // Whoever asks who has access must hear of what is over and may still be open.
                StatusFilter::Live => !access.is_settled(),
                StatusFilter::Initiating => status == Status::Initiating,
                StatusFilter::Initiated => status == Status::Initiated,
                StatusFilter::Revoked => status == Status::Revoked,
            }
        })
    });
    let requester = &request.requester;
    let person = query.requestor.as_ref().is_none_or(|wanted| {
        requester.id.0.eq_ignore_ascii_case(wanted)
            || requester.upn.as_ref().is_some_and(|upn| upn.0.eq_ignore_ascii_case(wanted))
    });
    status && person
}

async fn vms_of<S: Store>(
    server: &Server<S>,
    requests: &[Request],
) -> Result<BTreeMap<VmId, Vm>, StoreError> {
    let named: std::collections::BTreeSet<&VmId> =
        requests.iter().flat_map(|request| &request.accesses).map(|access| &access.vm).collect();
    let which = match named.iter().next() {
        None => return Ok(BTreeMap::new()),
        Some(vm) if named.len() == 1 => {
            VmFilter { group: Some(vm.group.clone()), name: Some(vm.name.clone()) }
        }
        Some(vm) if named.iter().all(|other| other.group == vm.group) => {
            VmFilter { group: Some(vm.group.clone()), name: None }
        }
        Some(_) => VmFilter::default(),
    };
    let vms = server.store.vms(which).await?;
    Ok(vms.into_iter().map(|vm| (vm.id.clone(), vm)).collect())
}

fn not_found(request: RequestId) -> Problem {
    Problem::Refused(Refusal::RequestNotFound { request }.into())
}
