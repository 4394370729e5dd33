//! The body of a plan's PUT.

use hourgate_core::pricing::Tier;

use super::{
    json::{self, Json},
    object::{Object, Problems},
    value,
};
use crate::{error::ArmError, pricing::SUB_PLAN};

/// What clients send back because they read it.
const OVERLOOKED: [&str; 4] = ["id", "name", "type", "systemData"];
const PROPERTIES_OVERLOOKED: [&str; 7] = [
    "freeTrialRemainingTime",
    "enablementTime",
    "deprecated",
    "replacedBy",
    "inherited",
    "inheritedFrom",
    "resourcesCoverageStatus",
];

/// Reads the tier that a plan shall have.
pub fn pricing(body: &[u8]) -> Result<Tier, ArmError> {
    let json = json::read(body)?;
    let mut problems = Problems::default();
    let tier = tier(json, &mut problems);
    problems.or(tier)
}

fn tier(json: Json, problems: &mut Problems) -> Option<Tier> {
    let mut object = Object::of(json, "", problems)?;
    let properties = object.required("properties", "an object with 'pricingTier'", problems);
    object.overlook(&OVERLOOKED);
    object.close(problems);
    let mut properties = Object::of(properties?, "properties", problems)?;
    let words = [Tier::Free, Tier::Standard].map(|tier| (tier.as_str(), tier));
    let tier = properties
        .required("pricingTier", "'Free' or 'Standard'", problems)
        .and_then(|json| value::word(json, "properties.pricingTier", &words, problems));
    if let Some(json) = properties.optional("subPlan") {
        // Plan 1 has no just-in-time access; to take it for Plan 2 would promise what nobody bought.
        value::word(json, "properties.subPlan", &[(SUB_PLAN, ())], problems);
    }
    if let Some(Json::List(items)) = properties.optional("extensions")
        && !items.is_empty()
    {
        let message =
            "The plan has no extensions here. Leave 'extensions' out, or send an empty list.";
        problems.value("properties.extensions", message.to_owned());
    }
    if let Some(json) = properties.optional("enforce") {
        // Nothing is below a subscription that could differ from it.
        value::word(json, "properties.enforce", &[("False", ()), ("True", ())], problems);
    }
    properties.overlook(&PROPERTIES_OVERLOOKED);
    properties.close(problems);
    tier
}
