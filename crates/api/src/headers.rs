//! The headers of Azure Resource Manager, and ours: names in lower case, as HTTP/2 wants them.

/// One per answer, a GUID.
pub const REQUEST_ID: &str = "x-ms-request-id";
/// One through everything that belongs together; the client's if it sent one.
pub const CORRELATION_REQUEST_ID: &str = "x-ms-correlation-request-id";
/// `REGION:yyyyMMddTHHmmssZ:{correlation id}`.
pub const ROUTING_REQUEST_ID: &str = "x-ms-routing-request-id";
/// The client's own id of its call, given back where [`RETURN_CLIENT_REQUEST_ID`] is `true`.
pub const CLIENT_REQUEST_ID: &str = "x-ms-client-request-id";
/// Whether the client wants [`CLIENT_REQUEST_ID`] back.
pub const RETURN_CLIENT_REQUEST_ID: &str = "x-ms-return-client-request-id";
/// How many reads the subscription has left.
pub const REMAINING_READS: &str = "x-ms-ratelimit-remaining-subscription-reads";
/// How many writes the subscription has left.
pub const REMAINING_WRITES: &str = "x-ms-ratelimit-remaining-subscription-writes";
/// How many deletes the subscription has left.
pub const REMAINING_DELETES: &str = "x-ms-ratelimit-remaining-subscription-deletes";
/// On errors that were made before a resource was looked at: `gateway`.
pub const FAILURE_CAUSE: &str = "x-ms-failure-cause";
/// What az and Azure PowerShell say that they run; for the log.
pub const COMMAND_NAME: &str = "commandname";
/// Ours, on a PUT of a policy: go back unless confirmed within this ISO 8601 duration.
pub const CONFIRM_WITHIN: &str = "hourgate-confirm-within";
/// A policy's version.
pub const ETAG: &str = "etag";
/// Only if the policy has this version.
pub const IF_MATCH: &str = "if-match";
/// Only if the policy does not exist (`*`).
pub const IF_NONE_MATCH: &str = "if-none-match";
/// Whether a client is told when an operation is done; `Enabled`, as Azure answers.
pub const ASYNC_NOTIFICATION: &str = "azure-asyncnotification";
/// Where the answer of an operation is.
pub const LOCATION: &str = "location";
/// When to ask again, in seconds.
pub const RETRY_AFTER: &str = "retry-after";
/// Where the state of an operation is told.
pub const ASYNC_OPERATION: &str = "azure-asyncoperation";
/// `application/json; charset=utf-8`, as Azure writes it.
pub const JSON: &str = "application/json; charset=utf-8";
