//! Azure's routes for plans: the one that just-in-time access is part of.

use hourgate_api::{
    body,
    error::{ArmError, Positions},
    list::List,
    pricing::PricingResource,
};
use hourgate_core::{id::Name, pricing::Tier};
use hourgate_store::Store;
use hyper::{Method, StatusCode};

use super::{asked::Asked, exchange::Answer};
use crate::operations;

/// The plans of the subscription.
pub(super) async fn list<S: Store>(asked: &Asked<'_, S>) -> Result<Answer, ArmError> {
    let tier = operations::get_pricing(&asked.caller, asked.server, &asked.call(), None)
        .await
        .map_err(|problem| asked.problem(&problem, &Positions::none()))?;
    Ok(asked.exchange.json(StatusCode::OK, &List::whole(vec![shown(asked, tier)])))
}

/// One plan: shown, or turned on or off; always 200.
pub(super) async fn pricing<S: Store>(
    asked: &Asked<'_, S>,
    name: &Name,
) -> Result<Answer, ArmError> {
    let (caller, server, call) = (&asked.caller, asked.server, asked.call());
    let tier = match asked.method {
        Method::PUT => {
            let tier = asked.parse(body::pricing).await?;
            operations::set_pricing(caller, server, &call, (name, tier)).await
        }
        _ => operations::get_pricing(caller, server, &call, Some(name)).await,
    };
    let tier = tier.map_err(|problem| asked.problem(&problem, &Positions::none()))?;
    Ok(asked.exchange.json(StatusCode::OK, &shown(asked, tier)))
}

fn shown<S: Store>(asked: &Asked<'_, S>, tier: Tier) -> PricingResource {
    PricingResource::new(asked.server.installation.subscription, tier)
}
