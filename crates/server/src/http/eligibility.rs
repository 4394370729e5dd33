//! Our route that tells which machines can have just-in-time access.

use hourgate_api::{
    eligibility::EligibilityResource,
    error::{ArmError, Positions},
    list::List,
    paths::{Route, VmPage},
};
use hourgate_core::id::Name;
use hourgate_store::Store;
use hyper::StatusCode;

use super::{asked::Asked, exchange::Answer};
use crate::operations::{self, Machine};

/// How many machines one page has at most.
const PAGE_MACHINES_MAX: usize = 500;

/// Machines and where they stand, a page at a time.
pub(super) async fn list<S: Store>(
    asked: &Asked<'_, S>,
    group: Option<&Name>,
) -> Result<Answer, ArmError> {
    let page = VmPage::parse(asked.query.as_deref())?;
    let (caller, call) = (&asked.caller, asked.call());
    let wanted = (page.after.as_ref(), PAGE_MACHINES_MAX);
    let (machines, more) = operations::eligibility(caller, asked.server, &call, group, wanted)
        .await
        .map_err(|problem| asked.problem(&problem, &Positions::none()))?;
    let last = machines.last().filter(|_| more).map(|machine| machine.vm.id.to_string());
    let next_link = last.map(|last| {
        let subscription = asked.server.installation.subscription;
        let route = Route::Eligibility { subscription, group: group.cloned() };
        format!("{}{}", asked.server.base, route.with_query(&[("$skipToken", &last)]))
    });
    let shown = |Machine { vm, found, used }: Machine| {
        EligibilityResource::new(&vm, &found, used, |reason| asked.sees_all(&reason.names()))
    };
    let value = machines.into_iter().map(shown).collect();
    Ok(asked.exchange.json(StatusCode::OK, &List { value, next_link }))
}
