//! Errors that stand for themselves, in the words of Azure Resource Manager where it has some.

use std::net::IpAddr;

use hourgate_core::{
    id::{Name, PolicyId, RequestId, SubscriptionId, VmId},
    role::Action,
};

use super::{ArmError, Code};
use crate::{
    paths::{PRICING_VERSION, Route},
    pricing::PLAN,
    text::quoted,
};

/// 401: no token.
pub fn authentication_failed() -> ArmError {
    let message = "Authentication failed. The 'Authorization' header is missing.";
    ArmError::new(Code::AuthenticationFailed, message)
}

/// 401: a token that is not ours, or not well formed. It does not say which part is wrong.
pub fn invalid_token() -> ArmError {
    let message = "The access token is invalid. Sign in again.";
    ArmError::new(Code::InvalidAuthenticationToken, message)
}

/// 401: a token whose time is over.
pub fn expired_token() -> ArmError {
    let message = "The access token has expired. Sign in again.";
    ArmError::new(Code::ExpiredAuthenticationToken, message)
}

/// 403: the caller lacks the right.
pub fn authorization_failed(client: &str, object: &str, action: Action, scope: &str) -> ArmError {
    let (client, object, scope) = (quoted(client), quoted(object), quoted(scope));
    let action = action.name();
    let message = format!(
        "The client {client} with object id {object} does not have authorization to perform action \
         '{action}' over scope {scope} or the scope is invalid. If access was recently granted, please \
         refresh your credentials."
    );
    ArmError::new(Code::AuthorizationFailed, message)
}

/// 403: the caller may do what was called, but not what it does to something named in the body.
pub fn linked_authorization_failed(
    client: &str,
    object: &str,
    (action, scope): (Action, &str),
    (linked_action, linked): (Action, &str),
) -> ArmError {
    let (client, object, scope) = (quoted(client), quoted(object), quoted(scope));
    let (action, linked_action) = (action.name(), linked_action.name());
    let message = format!(
        "The client {client} with object id {object} has permission to perform action '{action}' on \
         scope {scope}; however, it does not have permission to perform action '{linked_action}' on the \
         linked scope(s) '{linked}' or the linked scope(s) are invalid."
    );
    ArmError::new(Code::LinkedAuthorizationFailed, message)
}

/// 403: the call would change something that the caller neither sees nor may change.
pub fn linked_unseen(
    client: &str,
    object: &str,
    (action, scope): (Action, &str),
    linked_action: Action,
) -> ArmError {
    let (client, object, scope) = (quoted(client), quoted(object), quoted(scope));
    let (action, linked_action) = (action.name(), linked_action.name());
    let message = format!(
        "The client {client} with object id {object} has permission to perform action '{action}' on scope {scope}; \
         however, that would also take out what the client may not see, and it does not have permission to perform \
         action '{linked_action}' there."
    );
    ArmError::new(Code::LinkedAuthorizationFailed, message)
}

/// 409: whose an address is, the caller may not know.
pub fn address_of_unseen(address: IpAddr) -> ArmError {
    let message = format!("The address {address} is that of something that you may not see.");
    ArmError::new(Code::AddressInUse, message)
}

/// 404: not this installation's subscription.
pub fn subscription_not_found(subscription: SubscriptionId) -> ArmError {
    let message = format!("The subscription '{subscription}' could not be found.");
    ArmError::new(Code::SubscriptionNotFound, message)
}

/// 404.
pub fn group_not_found(group: &Name) -> ArmError {
    let message = format!("Resource group '{group}' could not be found.");
    ArmError::new(Code::ResourceGroupNotFound, message)
}

/// 404.
pub fn vm_not_found(vm: &VmId) -> ArmError {
    let VmId { group, name, .. } = vm;
    let message = format!(
        "The Resource 'Microsoft.Compute/virtualMachines/{name}' under resource group '{group}' was not \
         found."
    );
    ArmError::new(Code::ResourceNotFound, message)
}

/// 404.
pub fn policy_not_found(policy: &PolicyId) -> ArmError {
    let PolicyId { group, location, name, .. } = policy;
    let message = format!(
        "The Resource 'Microsoft.Security/locations/{location}/jitNetworkAccessPolicies/{name}' under \
         resource group '{group}' was not found."
    );
    ArmError::new(Code::ResourceNotFound, message)
}

/// 404.
pub fn request_not_found(request: RequestId) -> ArmError {
    let message = format!("The Resource 'Hourgate.Access/requests/{request}' was not found.");
    ArmError::new(Code::ResourceNotFound, message)
}

/// 404: no such path.
pub fn path_not_found(path: &str) -> ArmError {
    let message = format!("Nothing is served at the path {}.", quoted(path));
    ArmError::new(Code::InvalidResourceType, message)
}

/// 405: the path is served, but not with that method.
pub fn method_not_allowed(method: &str, allowed: &[&str]) -> ArmError {
    let (method, allowed) = (quoted(method), allowed.join(", "));
    let message = format!(
        "The requested resource does not support http method {method}. It supports {allowed}."
    );
    ArmError::new(Code::MethodNotAllowed, message)
}

/// 413: a body that is too large. `most` is the limit in bytes.
pub fn too_large(most: usize) -> ArmError {
    let most =
        if most < 1 << 20 { format!("{} KiB", most >> 10) } else { format!("{} MiB", most >> 20) };
    let message = format!("The request content is larger than {most}, the most that is read.");
    ArmError::new(Code::RequestContentTooLarge, message)
}

/// 415: a body of another type than the one needed, such as `application/json`.
pub fn unsupported_media_type(needed: &str) -> ArmError {
    let message = format!("The request content must be of the type '{needed}'.");
    ArmError::new(Code::UnsupportedMediaType, message).at("Content-Type")
}

/// 429: more than the server takes on.
pub fn too_many_requests() -> ArmError {
    let message = "The server has more to do than it takes on. Try again in a moment.";
    ArmError::new(Code::TooManyRequests, message)
}

/// 503: the port is closed, but the record of it could not be written.
pub fn closed_not_recorded() -> ArmError {
    let message = "Closed, but not yet recorded: the store cannot be written. It is recorded first as soon \
                   as it can.";
    ArmError::new(Code::ClosedNotRecorded, message)
}

/// 503: nothing of what was asked was done.
pub fn unavailable() -> ArmError {
    let message = "The server cannot read or write its store now. Nothing was changed; try again.";
    ArmError::new(Code::ServiceUnavailable, message)
}

/// 500: a mistake of ours. What went wrong stands in the server's own log.
pub fn internal_error() -> ArmError {
    let message =
        "The server made a mistake. It has written down what, with the id of this request.";
    ArmError::new(Code::InternalServerError, message)
}

/// 409: the plan is off that just-in-time access is part of; and the call that turns it on.
pub fn plan_needed(subscription: SubscriptionId) -> ArmError {
    let plans = Route::Pricings(subscription);
    let message = format!(
        "The plan for servers of the subscription '{subscription}' is Free, and just-in-time access needs \
         Standard. Turn it on with PUT {plans}/{PLAN}?api-version={PRICING_VERSION} and the body {{\"properties\":{{\"pricingTier\":\"Standard\"}}}}, \
         or 'hourgate pricing create -n {PLAN} --tier standard'."
    );
    ArmError::new(Code::PlanNeeded, message)
}

/// 404: no plan of that name.
pub fn plan_not_found(plan: &Name) -> ArmError {
    let message = format!(
        "The Resource 'Microsoft.Security/pricings/{plan}' was not found. The one plan that there is here is \
         '{PLAN}'."
    );
    ArmError::new(Code::ResourceNotFound, message)
}
