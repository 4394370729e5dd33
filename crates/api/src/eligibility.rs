//! Which machines can have just-in-time access, as an answer.

use hourgate_core::{
    eligible::{Eligibility, Reason, Standing},
    id::PolicyId,
    policy::Vm,
};
use serde::{Deserialize, Serialize};

use crate::{
    error::{reason, unseen_reason},
    time::UtcTime,
};

/// Our type of it.
pub const ELIGIBILITY_TYPE: &str = "Hourgate.Access/eligibility";

/// Where one machine stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EligibilityResource {
    /// The machine's resource id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// [`ELIGIBILITY_TYPE`].
    #[serde(rename = "type")]
    pub resource_type: String,
    /// Where it is.
    pub location: String,
    /// The rest.
    pub properties: EligibilityProperties,
}

/// In which list, why, and what its policies were used for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct EligibilityProperties {
    /// In which of the three lists.
    pub state: Standing,
    /// Everything that stands against just-in-time access; nothing where it can have it.
    pub reasons: Vec<ReasonShown>,
    /// The policies that hold it.
    pub policies: Vec<PolicyId>,
    /// What they were used for; only of a machine that one holds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub used: Option<Used>,
}

/// A reason.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReasonShown {
    /// For machines.
    pub code: String,
    /// For people.
    pub message: String,
}

/// What a machine's policies were used for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Used {
    /// How many requests of the last seven days were granted, of those that its policies show.
    pub approved_requests: u64,
    /// When the last access began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_access_utc: Option<UtcTime>,
    /// Who had it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_user: Option<String>,
}

impl EligibilityResource {
    /// Where a machine stands. `sees` says whether the caller may read all that a reason names.
    pub fn new(
        vm: &Vm,
        found: &Eligibility,
        used: Option<Used>,
        sees: impl Fn(&Reason) -> bool,
    ) -> EligibilityResource {
        let shown = found.reasons.iter().map(|why| {
            let (code, message) = if sees(why) { reason(why) } else { unseen_reason(why) };
            ReasonShown { code: code.to_owned(), message }
        });
        EligibilityResource {
            id: vm.id.to_string(),
            name: vm.id.name.to_string(),
            resource_type: ELIGIBILITY_TYPE.to_owned(),
            location: vm.location.to_string(),
            properties: EligibilityProperties {
                state: found.standing,
                reasons: shown.collect(),
                policies: found.policies.clone(),
                used,
            },
        }
    }
}
