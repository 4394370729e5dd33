//! What a subscription pays for: just-in-time access is part of the plan for servers, so it needs that plan.
//!
//! Without it nothing new is locked or opened. What stands goes on, and can be ended, given back and removed.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{id::SubscriptionId, policy::Settings, state::State};

/// The tier of a subscription's plan for servers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Tier {
    /// The plan is off.
    Free,
    /// The plan is on.
    Standard,
}

impl Tier {
    /// As Azure writes it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Tier::Free => "Free",
            Tier::Standard => "Standard",
        }
    }
}

/// The tiers that somebody set.
pub type Pricings = BTreeMap<SubscriptionId, Tier>;

impl State {
    /// The tier that holds for a subscription: what was set, else what it began with. The one made at first
    /// start began with the plan, any other without.
    pub fn tier(&self, settings: &Settings, subscription: SubscriptionId) -> Tier {
        let begins = settings.first_subscription.is_none_or(|first| first == subscription);
        let begins = if begins { Tier::Standard } else { Tier::Free };
        self.pricings.get(&subscription).copied().unwrap_or(begins)
    }
}
