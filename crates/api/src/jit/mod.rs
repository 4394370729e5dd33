//! JIT policies and requests as answers: Azure's keys in Azure's order, ours behind them.
//!
//! The same types are read back by clients, which overlook what they do not know.

mod etag;
mod lock;
mod policy;
mod request;
mod send;

pub use etag::{etag, precondition, resource_etag};
pub use lock::{AllowShown, LockShown, Reference};
pub(crate) use policy::{OTHERS_ALLOWED, OTHERS_APPROVAL, PROTOCOL_ANY, PROTOCOL_TCP};
pub use policy::{
    PLACEMENT_NIC, PLACEMENT_NIC_AND_SUBNET, PolicyPort, PolicyProperties, PolicyResource,
    PolicyVm, ProvisioningState, WidestUnapproved,
};
pub use request::{
    BlockedBy, Connect, Observed, ObservedState, RequestPort, RequestResource, RequestVm,
    RequestedBy, Status, StatusReason, View, end_of, start_of, status_of,
};
pub use send::{InitiateBody, InitiatePort, InitiateVm, PolicyBody, PolicyBodyProperties};

/// The type of JIT policies.
pub const POLICY_TYPE: &str = "Microsoft.Security/locations/jitNetworkAccessPolicies";
