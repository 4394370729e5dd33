//! Azure's other routes: subscriptions, tenants.

use hourgate_api::{
    error::{ArmError, Positions},
    list::List,
    subscription::{Subscription, Tenant},
};
use hourgate_store::Store;
use hyper::StatusCode;

use super::{asked::Asked, exchange::Answer};
use crate::operations;

/// What the subscription and the tenant of an installation are called.
const DISPLAY_NAME: &str = "Hourgate";

/// The subscriptions that the caller sees: an installation has one.
pub(super) fn subscriptions<S: Store>(asked: &Asked<'_, S>) -> Answer {
    let seen = operations::sees_subscription(&asked.caller, asked.server);
    let all = seen.then(|| the_subscription(asked)).into_iter().collect();
    asked.exchange.json(StatusCode::OK, &List::whole(all))
}

/// The subscription.
pub(super) async fn subscription<S: Store>(asked: &Asked<'_, S>) -> Result<Answer, ArmError> {
    operations::permit_subscription(&asked.caller, asked.server, &asked.call())
        .await
        .map_err(|problem| asked.problem(&problem, &Positions::none()))?;
    Ok(asked.exchange.json(StatusCode::OK, &the_subscription(asked)))
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
