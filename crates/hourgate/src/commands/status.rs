//! `hourgate status`: who has access right now.

use clap::Args;
use hourgate_api::{
    jit::{RequestPort, RequestResource},
    paths::{PAGE_MAX, RequestQuery, Route, StatusFilter},
};
use hourgate_core::time::distance;
use jiff::Timestamp;
use serde_json::Value;

use super::{Session, policy, reach};
use crate::{
    clock,
    exit::Failure,
    output::{Answer, Table, human},
    view,
};

/// Who has access right now
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  hourgate status
  hourgate status --all -o csv
  hourgate status --query '[].requestedBy.name' -o json")]
pub(crate) struct Status {
    /// Also what is planned, and what has ended
    #[arg(short, long)]
    all: bool,
}

/// Shows who has access.
pub(crate) async fn run(session: &Session, args: &Status) -> Result<(), Failure> {
    let status = (!args.all).then_some(StatusFilter::Live);
    let query = RequestQuery { status, most: PAGE_MAX, ..RequestQuery::default() };
    let mut values = requests(session, &query).await?;
    if !args.all {
        let mut kept = Vec::new();
        for value in values {
            if view::request(&value)?.ports().any(|(_, port)| view::is_current(port)) {
                kept.push(value);
            }
        }
        values = kept;
    }
    let table = table(&values, |port| args.all || view::is_current(port), clock::now())?;
    let mut next = match table.rows.is_empty() {
        true if args.all => vec!["Nobody has asked for access yet.".to_owned()],
        true => vec!["Nobody has access right now.".to_owned()],
        false => Vec::new(),
    };
    next.extend(reach::unreached(session).await?);
    for policy in policy::with_locks(session).await? {
        next.extend(policy::reached_without(&policy, |_| true));
    }
    session.output.show(&Answer::new(Value::Array(values), table).then(next))
}

/// Requests, newest first.
pub(super) async fn requests(
    session: &Session,
    query: &RequestQuery,
) -> Result<Vec<Value>, Failure> {
    let parameters = query.parameters();
    let parameters: Vec<(&str, &str)> =
        parameters.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let route = Route::Requests(session.client.profile().subscription_id);
    session.client.list(&route.with_query(&parameters)).await
}

/// A row for each access that is to be shown.
pub(super) fn table(
    values: &[Value],
    is_shown: impl Fn(&RequestPort) -> bool,
    now: Timestamp,
) -> Result<Table, Failure> {
    let mut table = Table::new(["PERSON", "VM", "PORT", "SOURCE", "TIME LEFT", "STATE", "REQUEST"]);
    for value in values {
        let request = view::request(value)?;
        let id = request.id.map(|id| id.to_string()).unwrap_or_default();
        for (vm, port) in request.ports().filter(|(_, port)| is_shown(port)) {
            table.row([
                view::person(&request),
                vm.name.to_string(),
                port.number.to_string(),
                view::source(port),
                left(&request, port, now),
                view::state(port),
                id.clone(),
            ]);
        }
    }
    Ok(table)
}

/// What is left of an access; for a planned one, when it begins and how long it is.
fn left(request: &RequestResource, port: &RequestPort, now: Timestamp) -> String {
    let (start, end) = (request.start_time_utc.0, port.end_time_utc.0);
    if view::is_over(port) {
        "-".to_owned()
    } else if view::is_planned(port) {
        let (until, length) = (distance(now, start), distance(start, end));
        format!("in {}, for {}", human::length(until), human::length(length))
    } else {
        human::length(distance(now, end))
    }
}
