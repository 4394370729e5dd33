//! Access: asked for, shown, waited for, ended.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

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
    refusal::{Refusal, Refusals},
    role::{Action, Caller, Scope, may},
};
use hourgate_store::{Committed, RequestFilter, Store, StoreError, VmFilter};

use super::{
    Call, Problem, RequestsSeen, denied,
    policy::{in_group, permit_linked},
    see::{BlockedSeen, RequestSeen, blocked, request_tag},
    sight::{as_of_now, of_request, sees_policy},
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
    let vms = || parts.accesses.iter().map(|access| &access.vm);
    if !caller.rights.may_ask(&parts.policy, vms()) {
        denied(caller, server, call, Action::Initiate).await;
        return Err(Problem::Denied { action: Action::Initiate });
    }
    permit_linked(caller, server, call, (Action::Initiate, Action::VM_READ), vms()).await?;
    let mut tries = 0;
    loop {
        let id = mint::request_id()?;
        let ask = parts.ask(id, caller.person.clone(), (caller.address, caller.sign_in));
        let origin = origin(caller, call, Action::Initiate);
        let outcome = server.commit(origin, Command::Request(ask)).await;
        tries += 1;
        match outcome {
            Err(Problem::Refused(refusals)) if is_taken(&refusals.0) && tries < IDS_TRIED_MAX => {}
            Err(Problem::Refused(refusals)) => {
                let refusals = as_unseen(caller, parts, refusals);
                let refused = Err(Problem::Refused(refusals));
                return in_group(caller, server, group, refused).await;
            }
            outcome => {
                let committed = outcome?;
                let request =
                    committed.state.requests.get(&id).map(|request| Request::clone(request));
                let request = request.ok_or_else(|| not_found(id))?;
                return Ok((request, committed));
            }
        }
    }
}

/// Whoever may ask for machines alone, and not read the policy, must not learn which policies there are besides
/// those that hold these machines: one that holds none of them is not there.
fn as_unseen(caller: &Caller, parts: &AskParts, mut refusals: Refusals) -> Refusals {
    let Refusals(all) = &mut refusals;
    let outside = |refusal: &Refusal| {
        if let Refusal::VmNotInPolicy { vm, .. } | Refusal::VmNotFound { vm } = refusal {
            Some(vm.clone())
        } else {
            None
        }
    };
    let not_held: BTreeSet<VmId> = all.iter().filter_map(outside).collect();
    let is_held = parts.accesses.iter().any(|access| !not_held.contains(&access.vm));
    if is_held || not_held.is_empty() || sees_policy(caller, &parts.policy) {
        return refusals;
    }
    // As the rules say it where there is no such policy: nothing of the machines is looked at then.
    all.retain(|refusal| outside(refusal).is_none());
    all.push(Refusal::PolicyNotFound { policy: parts.policy.clone() });
    refusals
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
    permit_close(caller, server, call, id).await?;
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
    // Whoever may end it and not see it hears that it has ended.
    let nothing_of_it = Request { accesses: Vec::new(), ..request.clone() };
    let request = of_request(caller, request).unwrap_or(nothing_of_it);
    Ok(RequestSeen { request, vms: committed.state.vms, blocked: BlockedSeen::new() })
}

/// Whether the caller may end a request: whoever asked may always, others need the right at its policy, or at
/// each VM that it names. A request that they may not see is not there.
async fn permit_close<S: Store>(
    caller: &Caller,
    server: &Server<S>,
    call: &Call,
    id: RequestId,
) -> Result<(), Problem> {
    let request = match server.store.request(id).await {
        Ok(request) => request.ok_or_else(|| not_found(id))?,
        // Nobody can say whose it is, and a port that must close does not wait for it: whoever may close or ask
        // somewhere may close. What it takes from others they can ask for again.
        Err(error) => {
            let whole = Scope::subscription(server.installation.subscription);
            let may = |action| caller.rights.allow_within(action, &whole);
            let may = may(Action::Close) || may(Action::Initiate);
            return if may { Ok(()) } else { Err(Problem::Store(error)) };
        }
    };
    let right = |scope: &Scope| may(caller, Action::Close, scope);
    let mut vms = request.accesses.iter().map(|access| &access.vm);
    if request.requester.id == caller.person.id
        || right(&Scope::from(&request.policy))
        || vms.all(|vm| right(&Scope::from(vm)))
    {
        return Ok(());
    }
    if of_request(caller, request).is_none() {
        return Err(not_found(id));
    }
    denied(caller, server, call, Action::Close).await;
    Err(Problem::Denied { action: Action::Close })
}

/// One request, with the VMs it speaks of, as far as the caller may see it.
pub(crate) async fn get_request<S: Store>(
    caller: &Caller,
    server: &Server<S>,
    id: RequestId,
) -> Result<RequestSeen, Problem> {
    let request = find(caller, server, id).await?;
    seen(caller, server, request).await
}

async fn find<S: Store>(
    caller: &Caller,
    server: &Server<S>,
    id: RequestId,
) -> Result<Request, Problem> {
    let request = server.store.request(id).await?;
    request.and_then(|request| of_request(caller, request)).ok_or_else(|| not_found(id))
}

async fn seen<S: Store>(
    caller: &Caller,
    server: &Server<S>,
    request: Request,
) -> Result<RequestSeen, Problem> {
    let vms = vms_of(server, std::slice::from_ref(&request)).await?;
    let blocked = blocked(caller, server, std::slice::from_ref(&request)).await?;
    Ok(RequestSeen { request, vms, blocked })
}

/// The same, but not before it is another than the one with the ETag `known`, or the time is over.
///
/// Without `known` it waits only while something is on its way: an access that a guard has yet to open or
/// to close, or that begins later. So nobody sleeps through a change that came just before they asked.
pub(crate) async fn wait_for_request<S: Store>(
    caller: &Caller,
    server: &Server<S>,
    id: RequestId,
    longest: Duration,
    known: Option<&str>,
) -> Result<RequestSeen, Problem> {
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
        // Looked at each time: whoever lost a right while they waited hears no more.
        let caller = as_of_now(caller, server).ok_or_else(|| not_found(id))?;
        let request = find(&caller, server, id).await?;
        let go_on = match (&first, known) {
            (Some(first), _) if *first != request => false,
            (_, Some(known)) => request_tag(&request) == known,
            (_, None) => is_on_its_way(&request),
        };
        if !go_on || deadline.is_elapsed() || *stop.borrow() {
            return self::seen(&caller, server, request).await;
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

/// Requests that the caller may see, newest first.
pub(crate) async fn list_requests<S: Store>(
    caller: &Caller,
    server: &Server<S>,
    query: &RequestQuery,
) -> Result<RequestsSeen, Problem> {
    let whole = Scope::subscription(server.installation.subscription);
    let all = may(caller, Action::PolicyRead, &whole) && may(caller, Action::VM_READ, &whole);
    let mut before = query.before;
    let mut requests: Vec<Request> = Vec::new();
    let mut looked_at = 0;
    let next = 'pages: loop {
        let which = RequestFilter {
            standing_only: query.status.is_some_and(is_standing),
            vm: query.vm.clone(),
            before,
            most: LOADED_AT_ONCE,
        };
        let page = server.store.requests(which).await?;
        let whole = page.len() < LOADED_AT_ONCE;
        for request in page {
            looked_at += 1;
            before = Some((request.created, request.id));
            let seen = if all { Some(request) } else { of_request(caller, request) };
            let Some(request) = seen.filter(|request| fits(request, query)) else { continue };
            // One more than asked for would fit on this page: so there is a next one. It begins behind what is
            // shown, so that the link names nothing else.
            if requests.len() == query.most {
                break 'pages requests.last().map(|last| (last.created, last.id));
            }
            requests.push(request);
        }
        if whole {
            break None;
        }
        if looked_at >= LOOKED_AT_MAX {
            // The last that was looked at may be nothing for this caller: the link names its moment, and no id.
            break before.map(|(created, _)| (created, RequestId::LAST));
        }
    };
    let vms = vms_of(server, &requests).await?;
    let blocked = blocked(caller, server, &requests).await?;
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
    let named: BTreeSet<&VmId> =
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
