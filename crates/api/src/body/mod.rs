//! What is sent to us, read strictly: every problem at once, each with its path and what would be accepted.

mod account;
mod flow;
mod initiate;
pub(crate) mod json;
mod object;
mod pim;
mod policy;
mod pricing;
mod principal;
mod resource;
mod role;
mod value;

pub use account::{account, key, secret, service, trust};
pub use flow::flow;
pub use initiate::{AskParts, initiate};
pub use pim::{
    Enabled, Expiration, RequestType, ReviewSent, RulesSent, ScheduleRequestSent, review,
    role_rules, schedule_request,
};
pub use policy::policy;
pub use pricing::pricing;
pub use principal::{PrincipalSent, principal};
pub(crate) use resource::{
    ATTACHED, CREATE_OPTION, Document, PEERINGS, Part, SKU, peering_name, usual_sku,
};
pub use resource::{PartChange, keep_unsaid, resource, resource_tags};
pub use role::{AssignmentSent, DefinitionSent, assignment, definition};

/// The largest body that is read, in bytes: a policy of 5,000 VMs fits.
pub const BODY_BYTES_MAX: usize = 4 << 20;
