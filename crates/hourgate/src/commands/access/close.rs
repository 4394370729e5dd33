//! `hourgate close`: ends an access early, and waits until it is seen closed.

use clap::Args;
use hourgate_api::{
    jit::{ObservedState, RequestPort, RequestResource, Status},
    paths::{RequestQuery, Route, StatusFilter},
};
use hourgate_core::id::{Name, RequestId};
use reqwest::Method;
use serde_json::Value;

use super::follow;
use crate::{
    client::Call,
    clock,
    commands::{Session, status},
    exit::{Exit, Failure},
    input::network,
    output::Answer,
    progress, resolve,
    view::{self, Vm},
};

/// End an access early
///
/// With the name of a VM, ends your own accesses to it; with the id of a request, all of that request.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  hourgate close web-1
  hourgate close k3x9qa")]
pub(crate) struct Close {
    /// A VM, or the id of a request
    #[arg(value_name = "NAME|ID", value_parser = resolve::target)]
    target: resolve::Target,
    /// The VM's resource group, where its name is not unique
    #[arg(short = 'g', long = "resource-group", value_name = "GROUP", value_parser = network::name)]
    group: Option<Name>,
}

/// Ends what is meant, and waits until it is seen closed.
pub(crate) async fn close(session: &Session, args: Close) -> Result<(), Failure> {
    let subscription = session.client.profile().subscription_id;
    let mut shown = Vec::new();
    let mut is_closed = true;
    for (id, before) in meant(session, &args).await? {
        let path = Route::CloseRequest(subscription, id).uri();
        let value = session.client.send(Call::new(Method::POST, &path)).await?.body;
        let done = |request: &RequestResource| {
            request
                .ports()
                .zip(before.ports())
                .all(|((_, after), (_, before))| is_seen_closed(before, after))
        };
        let what = format!("waiting until {id} is seen closed");
        let value = progress::shown(&what, follow(&session.client, id, value, done)).await?;
        is_closed &= done(&view::request(&value)?);
        shown.push(value);
    }
    let table = status::table(&shown, |_| true, clock::now())?;
    session.output.show(&Answer::new(Value::Array(shown), table))?;
    if is_closed {
        return Ok(());
    }
    let sentence = "It is ended, but no guard has reported it closed in the time to wait.";
    Err(Failure::new(Exit::NotObserved, sentence)
        .advise("It closes as soon as the guard is reached, and at its granted end in any case."))
}

/// Whether an ended access is closed: seen so, or never seen open.
fn is_seen_closed(before: &RequestPort, after: &RequestPort) -> bool {
    let seen = after.observed.as_ref().map_or(ObservedState::Unknown, |seen| seen.state);
    let was_open = before.status == Status::Initiated || view::is_seen_open(before);
    view::is_over(after)
        && match seen {
            ObservedState::Closed => true,
            ObservedState::Open => false,
            ObservedState::Unknown => !was_open,
        }
}

/// The requests that are meant, as they stand.
async fn meant(
    session: &Session,
    args: &Close,
) -> Result<Vec<(RequestId, RequestResource)>, Failure> {
    let id: Option<RequestId> = match &args.target {
        resolve::Target::Name(name) => name.as_str().parse().ok(),
        resolve::Target::Id(_) => None,
    };
    let targets = std::slice::from_ref(&args.target);
    let vm = match resolve::find(session, targets, args.group.as_ref()).await {
        Ok(vms) => vms.into_iter().next(),
        // Six letters and digits that are no VM's name: a request.
        Err(failure) if failure.exit == Exit::NotFound && id.is_some() => None,
        Err(failure) => return Err(failure),
    };
    match (vm, id) {
        (Some(vm), _) => of_vm(session, &vm).await,
        (None, Some(id)) => {
            let path = Route::Request(session.client.profile().subscription_id, id).uri();
            let request = view::request(&session.client.get(&path).await?.body)?;
            Ok(vec![(id, request)])
        }
        (None, None) => Ok(Vec::new()),
    }
}

/// The caller's own requests that give access to a VM now; planned ones if none does.
async fn of_vm(session: &Session, vm: &Vm) -> Result<Vec<(RequestId, RequestResource)>, Failure> {
    let query = RequestQuery {
        status: Some(StatusFilter::Live),
        vm: Some(vm.id.clone()),
        ..RequestQuery::default()
    };
    let whoami = session.client.get(&Route::Whoami(None).uri()).await?.body;
    let me = whoami["id"].as_str().unwrap_or_default().to_owned();
    let name = &vm.id.name;
    let (mut now, mut planned, mut others) = (Vec::new(), Vec::new(), Vec::new());
    for value in status::requests(session, &query).await? {
        let request = view::request(&value)?;
        let id = view::id_of(&request)?;
        let mine = request.requested_by.as_ref().is_some_and(|by| by.id == me);
        let of_it = |is: fn(&RequestPort) -> bool| {
            request.ports().any(|(of, port)| *of == vm.id && is(port))
        };
        let (is_now, is_planned) = (of_it(view::is_current), of_it(view::is_planned));
        match (mine, is_now) {
            // Over, and about to be recorded as closed.
            (_, false) if !is_planned => {}
            (false, _) => others.push(format!("{id} of {}", view::person(&request))),
            (true, true) => now.push((id, request)),
            (true, false) => planned.push((id, request)),
        }
    }
    let found = if now.is_empty() { planned } else { now };
    if found.is_empty() {
        return Err(Failure::new(Exit::NotFound, format!("You have no access to {name} to end."))
            .because(others)
            .advise("`hourgate status --all` shows every request; close one by its id."));
    }
    // Ending the whole of a request because of one of its VMs would take away what was not named.
    for (id, request) in &found {
        if request.ports().any(|(of, port)| *of != vm.id && !view::is_over(port)) {
            let sentence = format!("The request {id} gives access to other VMs than {name} too.");
            return Err(Failure::usage(sentence)
                .advise(format!("End all of it with `hourgate close {id}`.")));
        }
    }
    Ok(found)
}
