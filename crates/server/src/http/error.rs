//! The one place that maps what went wrong to a status, and to what the caller and the log are told.

use hourgate_api::{
    error::{
        ArmError, Code, Positions, address_of_unseen, authorization_failed, child_not_found,
        closed_not_recorded, explain_to, group_not_found, internal_error,
        linked_authorization_failed, linked_unseen, plan_not_found, too_many_requests, unavailable,
    },
    watcher::WATCHER_TYPE,
};
use hourgate_core::{
    named::Named,
    role::{Caller, may},
};
use hourgate_store::StoreError;
use hyper::StatusCode;

use super::exchange::Exchange;
use crate::operations::Problem;

/// The status that belongs to a code.
pub(super) fn status(code: &Code) -> StatusCode {
    match code {
        Code::AuthenticationFailed
        | Code::InvalidAuthenticationToken
        | Code::ExpiredAuthenticationToken => StatusCode::UNAUTHORIZED,
        Code::AuthorizationFailed
        | Code::LinkedAuthorizationFailed
        | Code::ApprovalRequired
        | Code::NotAnApprover
        | Code::SignInNeeded
        | Code::NoApprover => StatusCode::FORBIDDEN,
        Code::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
        Code::MissingApiVersionParameter
        | Code::InvalidApiVersionParameter
        | Code::InvalidSubscriptionId
        | Code::InvalidRequestContent
        | Code::InvalidParameter
        | Code::SourceNeeded
        | Code::InvalidRequestFormat
        | Code::InvalidResourceName
        | Code::DuplicateResourceName
        | Code::InvalidResourceReference
        | Code::InvalidCIDRNotation
        | Code::VnetAddressSpacesOverlap
        | Code::NetcfgInvalidSubnet
        | Code::SecurityRuleInvalidAddressPrefix
        | Code::SecurityRuleInvalidPortRange
        | Code::SecurityRuleInvalidPriority
        | Code::SecurityRuleInvalidAccessType
        | Code::SecurityRuleParameterContainsUnsupportedValue
        | Code::SecurityRuleCountLimitReached
        | Code::SecurityRuleAddressesOrPortsPerSecurityGroupLimitReached
        | Code::SecurityRuleConflict
        | Code::PrivateIPAddressNotInSubnet
        | Code::PrivateIPAddressInReservedRange
        | Code::PrivateIPAddressIsAllocated
        | Code::PublicIPAddressInUse
        | Code::SubnetIsFull
        | Code::InUseSubnetCannotBeDeleted
        | Code::InUsePrefixCannotBeDeleted
        | Code::InUseNetworkSecurityGroupCannotBeDeleted
        | Code::InUseApplicationSecurityGroupCannotBeDeleted
        | Code::InUseVirtualNetworkCannotBeDeleted
        | Code::NicInUse
        | Code::InUseLoadBalancerCannotBeDeleted
        | Code::InUseAzureFirewallCannotBeDeleted
        | Code::InUseFirewallPolicyCannotBeDeleted
        | Code::InboundNatRuleInUse
        | Code::RulesUseSameFrontendPort
        | Code::AzureFirewallSubnetNotFound
        | Code::PublicIPAddressCannotBeDeleted
        | Code::PrincipalNotFound
        | Code::UnmatchedPrincipalType
        | Code::RoleDefinitionDoesNotExist
        | Code::InvalidRoleDefinition
        | Code::RoleDefinitionHasAssignments
        | Code::RoleDefinitionNotAssignable
        | Code::RoleDefinitionLimitExceeded
        | Code::RoleAssignmentLimitExceeded
        | Code::PrincipalLimitExceeded
        | Code::InvalidRoleAssignmentId
        | Code::InvalidRoleDefinitionId
        | Code::InvalidPrincipalId
        | Code::InvalidActionOrNotAction
        | Code::RoleAssignmentUpdateNotPermitted
        | Code::AccountLimitReached
        | Code::RoleAssignmentRequestPolicyValidationFailed
        | Code::EligibilityNotFound
        | Code::RequestNotSubset
        | Code::VmNotInPolicy
        | Code::PortNotInPolicy
        | Code::SourceNotAllowed
        | Code::LongerThanPolicy => StatusCode::BAD_REQUEST,
        Code::RequestContentTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        Code::UnsupportedMediaType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
        Code::PreconditionFailed => StatusCode::PRECONDITION_FAILED,
        Code::InvalidResourceType
        | Code::SubscriptionNotFound
        | Code::ResourceGroupNotFound
        | Code::RoleAssignmentScheduleRequestNotFound
        | Code::ResourceNotFound
        | Code::RoleAssignmentNotFound => StatusCode::NOT_FOUND,
        Code::PlanNeeded
        | Code::RoleAssignmentExists
        | Code::RoleAssignmentRequestExists
        | Code::RoleAssignmentRequestIsOver
        | Code::RoleDefinitionWithSameNameExists
        | Code::LastOwner
        | Code::AccountNameTaken
        | Code::VmUnsupported
        | Code::NotEnforced
        | Code::MappedPortsFull
        | Code::Blocked
        | Code::MissingNetworkSecurityGroup
        | Code::NoFreePriority
        | Code::JitRuleReadOnly
        | Code::JitLockWouldBreak
        | Code::PortInOtherPolicy
        | Code::VmHasPolicy
        | Code::InvalidResourceGroupLocation
        | Code::InvalidResourceLocation
        | Code::AddressInUse
        | Code::ConfirmationPending
        | Code::NothingToConfirm
        | Code::ConfirmationNeeded => StatusCode::CONFLICT,
        Code::TooManyRequests => StatusCode::TOO_MANY_REQUESTS,
        Code::RequestIdTaken
        | Code::ClockBehind
        | Code::ClosedNotRecorded
        | Code::ServiceUnavailable => StatusCode::SERVICE_UNAVAILABLE,
        Code::InternalServerError | Code::Other(_) => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

/// Whether a caller may read all of these.
pub(super) fn sees_all(caller: &Caller, named: &[Named]) -> bool {
    named.iter().all(|named| may(caller, named.action, &named.scope))
}

/// What an operation did not do, for the caller; what only the operator may know goes to the log, with the
/// id of the request.
pub(super) fn told(
    problem: &Problem,
    caller: &Caller,
    positions: &Positions,
    exchange: &Exchange,
) -> ArmError {
    let (client, object) = (&caller.person.name.0, &caller.person.id.0);
    match problem {
        Problem::Denied { action } => {
            authorization_failed(client, object, *action, &exchange.target)
        }
        Problem::LinkedDenied { action, linked, scope } => {
            let (did, does) = ((*action, exchange.target.as_str()), (*linked, scope.as_str()));
            linked_authorization_failed(client, object, did, does)
        }
        Problem::LinkedUnseen { action, linked } => {
            linked_unseen(client, object, (*action, &exchange.target), *linked)
        }
        Problem::AddressOfUnseen(address) => address_of_unseen(*address),
        Problem::Refused(refusals) => {
            let sees = |named: &Named| may(caller, named.action, &named.scope);
            explain_to(refusals, positions, &sees)
        }
        Problem::NoGroup(group) => group_not_found(group),
        Problem::NoPlan(plan) => plan_not_found(plan),
        Problem::NoPart { id, part, name } => child_not_found(
            &format!("{}/{}/{}/{name}", id.kind.type_name(), id.name, part.as_str()),
            &id.group,
        ),
        Problem::NoWatcher(id) => {
            child_not_found(&format!("{WATCHER_TYPE}/{}", id.name), &id.group)
        }
        Problem::Unreadable(error) | Problem::Missing(error) => error.clone(),
        Problem::Store(StoreError::Busy) => too_many_requests(),
        Problem::Store(StoreError::Unavailable(why)) => {
            tracing::error!(request = %exchange.request_id, why, "the store is not available");
            unavailable()
        }
        Problem::Store(StoreError::Damaged(why)) => {
            tracing::error!(request = %exchange.request_id, why, "the store is damaged");
            internal_error()
        }
        Problem::ClosedNotRecorded => closed_not_recorded(),
        Problem::TooManyWait => too_many_requests(),
        Problem::NoRandomness(why) => {
            tracing::error!(request = %exchange.request_id, %why, "nothing can be minted");
            unavailable()
        }
    }
}
