//! The plan of a subscription is turned on and off; and what needs it.

use crate::{
    event::Event, id::SubscriptionId, policy::Settings, pricing::Tier, refusal::Refusal,
    state::State,
};

/// Turns the plan on or off. The same again changes nothing.
pub(super) fn set(
    state: &State,
    settings: &Settings,
    subscription: SubscriptionId,
    tier: Tier,
) -> Vec<Event> {
    let before = state.tier(settings, subscription);
    if before == tier {
        return Vec::new();
    }
    vec![Event::PricingSet { subscription, tier, before }]
}

/// What stands against anything new where the plan is off.
pub(super) fn missing(
    state: &State,
    settings: &Settings,
    subscription: SubscriptionId,
) -> Option<Refusal> {
    match state.tier(settings, subscription) {
        Tier::Standard => None,
        Tier::Free => Some(Refusal::PlanNeeded { subscription }),
    }
}
