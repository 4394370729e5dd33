//! Azure's other routes: groups, subscriptions, tenants.

use hourgate_api::{
    error::{ArmError, Positions},
    list::List,
    subscription::{ResourceGroup, Subscription, Tenant},
};
use hourgate_core::id::Name;
use hourgate_store::Store;
use hyper::StatusCode;

use super::{dispatch::Asked, exchange::Answer};
use crate::operations;

/// What the subscription and the tenant of an installation are called.
const DISPLAY_NAME: &str = "Hourgate";

/// The resource groups, or one.
pub(super) async fn groups<S: Store>(
    asked: &Asked<'_, S>,
    only: Option<&Name>,
) -> Result<Answer, ArmError> {
    let (caller, call) = (&asked.caller, asked.call());
    let groups = operations::groups(caller, asked.server, &call, only.cloned())
        .await
        .map_err(|problem| asked.problem(&problem, &Positions::none()))?;
    let subscription = asked.server.installation.subscription;
    let mut groups: Vec<ResourceGroup> = groups
        .iter()
        .map(|(name, location)| ResourceGroup::new(subscription, name, location))
        .collect();
    Ok(match (only, groups.pop()) {
        (Some(_), Some(group)) => asked.exchange.json(StatusCode::OK, &group),
        (_, last) => {
            groups.extend(last);
            asked.exchange.json(StatusCode::OK, &List::whole(groups))
        }
    })
}

/// The subscriptions that the caller sees: an installation has one.
pub(super) fn subscriptions<S: Store>(asked: &Asked<'_, S>) -> Answer {
    asked.exchange.json(StatusCode::OK, &List::whole(vec![the_subscription(asked)]))
}

/// The subscription.
pub(super) fn subscription<S: Store>(asked: &Asked<'_, S>) -> Answer {
    asked.exchange.json(StatusCode::OK, &the_subscription(asked))
}

/// The tenants that the caller belongs to: an installation has one.
pub(super) fn tenants<S: Store>(asked: &Asked<'_, S>) -> Answer {
    let tenant = Tenant::new(asked.server.installation.tenant, DISPLAY_NAME);
    asked.exchange.json(StatusCode::OK, &List::whole(vec![tenant]))
}

fn the_subscription<S: Store>(asked: &Asked<'_, S>) -> Subscription {
    let installation = asked.server.installation;
    Subscription::new(installation.subscription, installation.tenant, DISPLAY_NAME)
}
