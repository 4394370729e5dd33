//! A subscription's plan as an answer, in Azure's shape.

use hourgate_core::{id::SubscriptionId, pricing::Tier};
use serde::{Deserialize, Serialize};

use crate::{paths::Route, time::IsoDuration};

/// The one plan there is: Azure's name of the plan for servers.
pub const PLAN: &str = "VirtualMachines";
/// Its kind with just-in-time access (Azure's Plan 2).
pub const SUB_PLAN: &str = "P2";
/// Azure's type of a plan.
pub const PRICING_TYPE: &str = "Microsoft.Security/pricings";

/// A plan of a subscription.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PricingResource {
    /// Its resource id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// [`PRICING_TYPE`].
    #[serde(rename = "type")]
    pub resource_type: String,
    /// What it says.
    pub properties: PricingProperties,
}

/// What a plan says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PricingProperties {
    /// Whether it is on.
    pub pricing_tier: Tier,
    /// Which kind of it, where it is on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sub_plan: Option<String>,
    /// How long it may still be tried for nothing; no time, here.
    pub free_trial_remaining_time: IsoDuration,
}

impl PricingResource {
    /// The plan for servers of a subscription.
    pub fn new(subscription: SubscriptionId, tier: Tier) -> PricingResource {
        PricingResource {
            id: format!("{}/{PLAN}", Route::Pricings(subscription)),
            name: PLAN.to_owned(),
            resource_type: PRICING_TYPE.to_owned(),
            properties: PricingProperties {
                pricing_tier: tier,
                sub_plan: match tier {
                    Tier::Standard => Some(SUB_PLAN.to_owned()),
                    Tier::Free => None,
                },
                free_trial_remaining_time: IsoDuration(std::time::Duration::ZERO),
            },
        }
    }
}
