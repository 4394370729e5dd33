//! Errors in Azure's shape, and the one place where their words are made.
//!
//! Status codes are the server's affair: it maps [`Code`].

mod eligible;
mod explain;
mod known;
mod positions;
mod resource;
mod role;
mod unseen;

use std::fmt;

use serde::{Deserialize, Serialize};

pub use eligible::{reason, unseen_reason};
pub(crate) use explain::{cured, no_ports};
pub use explain::{explain, explain_to};
pub use known::*;
pub(crate) use positions::PortPosition;
pub use positions::Positions;
pub use resource::{child_not_found, resource_not_found};
pub use role::{
    assignment_not_found, definition_not_found, not_a_guid, not_a_scope, not_the_id,
    principal_not_found, schedule_request_not_found,
};

/// How many problems one answer tells; a body of 4 MiB may have a million, and the rest is counted.
pub const DETAILS_MAX: usize = 100;

/// `{"error":{…}}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorAnswer {
    /// The error.
    pub error: ArmError,
}

/// Azure's error: what is wrong, where, and what would be accepted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ArmError {
    /// What kind.
    pub code: Code,
    /// For a person.
    pub message: String,
    /// Where in the request: a path in the body, a query parameter or a header.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
    /// Every problem, where there are several.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub details: Vec<ArmError>,
    /// For machines.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub additional_info: Vec<AdditionalInfo>,
}

/// Something about an error for machines.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AdditionalInfo {
    /// Of which type.
    #[serde(rename = "type")]
    pub kind: String,
    /// What.
    pub info: serde_json::Value,
}

/// What kind of error: the `code` of Azure's errors. The comment names the status that belongs to it.
///
/// In the order in which one of several stands for all of them: whoever repairs the first is told less
/// the next time, never something new that the first had hidden.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Code {
    /// 401: no token.
    AuthenticationFailed,
    /// 401: a token that is not ours, or not well formed.
    InvalidAuthenticationToken,
    /// 401: a token whose time is over.
    ExpiredAuthenticationToken,
    /// 403: the caller lacks the right.
    AuthorizationFailed,
    /// 403: the caller lacks the right on something named in the body.
    LinkedAuthorizationFailed,
    /// 405.
    MethodNotAllowed,
    /// 400: no api-version.
    MissingApiVersionParameter,
    /// 400: an api-version that is no date.
    InvalidApiVersionParameter,
    /// 400: a subscription's id that is no GUID.
    InvalidSubscriptionId,
    /// 413: more than [`crate::body::BODY_BYTES_MAX`].
    RequestContentTooLarge,
    /// 415: not JSON, or no form where one is needed.
    UnsupportedMediaType,
    /// 412: the resource does not stand as the caller says.
    PreconditionFailed,
    /// 404: no such path.
    InvalidResourceType,
    /// 404: not this installation's subscription.
    SubscriptionNotFound,
    /// 404.
    ResourceGroupNotFound,
    /// 404: also for a VM named in a body.
    ResourceNotFound,
    /// 404.
    RoleAssignmentNotFound,
    /// 400: no JSON, a wrong type, an unknown or missing property.
    InvalidRequestContent,
    /// 400: a value that cannot be.
    InvalidParameter,
    /// 400: a resource that lacks something or has too much.
    InvalidRequestFormat,
    /// 400.
    InvalidResourceName,
    /// 400: two parts of one name.
    DuplicateResourceName,
    /// 409: a group stays where it is.
    InvalidResourceGroupLocation,
    /// 409: a resource stays where it is.
    InvalidResourceLocation,
    /// 400: what it refers to does not exist.
    InvalidResourceReference,
    /// 400: a prefix with host bits, or of a length that cannot be.
    InvalidCIDRNotation,
    /// 400.
    VnetAddressSpacesOverlap,
    /// 400: a subnet outside its network, or over another.
    NetcfgInvalidSubnet,
    /// 400.
    SecurityRuleInvalidAddressPrefix,
    /// 400.
    SecurityRuleInvalidPortRange,
    /// 400.
    SecurityRuleInvalidPriority,
    /// 400.
    SecurityRuleInvalidAccessType,
    /// 400.
    SecurityRuleParameterContainsUnsupportedValue,
    /// 400.
    SecurityRuleCountLimitReached,
    /// 400.
    SecurityRuleAddressesOrPortsPerSecurityGroupLimitReached,
    /// 400: two rules of one priority and direction.
    SecurityRuleConflict,
    /// 400.
    PrivateIPAddressNotInSubnet,
    /// 400.
    PrivateIPAddressInReservedRange,
    /// 400: another interface has the address.
    PrivateIPAddressIsAllocated,
    /// 400.
    PublicIPAddressInUse,
    /// 400.
    SubnetIsFull,
    /// 400.
    InUseSubnetCannotBeDeleted,
    /// 400: an interface has an address in it.
    InUsePrefixCannotBeDeleted,
    /// 400.
    InUseNetworkSecurityGroupCannotBeDeleted,
    /// 400.
    InUseApplicationSecurityGroupCannotBeDeleted,
    /// 400.
    InUseVirtualNetworkCannotBeDeleted,
    /// 400.
    NicInUse,
    /// 400.
    InUseLoadBalancerCannotBeDeleted,
    /// 400.
    InUseAzureFirewallCannotBeDeleted,
    /// 400.
    InUseFirewallPolicyCannotBeDeleted,
    /// 400: an interface names the rule.
    InboundNatRuleInUse,
    /// 400: two inbound NAT rules of one port.
    RulesUseSameFrontendPort,
    /// 400: a firewall in a subnet of another name.
    AzureFirewallSubnetNotFound,
    /// 400: an interface has it.
    PublicIPAddressCannotBeDeleted,
    /// 400: no source was named, and the caller's address cannot stand in.
    SourceNeeded,
    /// 400: asked for more than the policy allows. The reasons stand in `details`.
    RequestNotSubset,
    /// 400, in details: the policy does not hold the VM.
    VmNotInPolicy,
    /// 400, in details: the policy does not hold the port.
    PortNotInPolicy,
    /// 400, in details: the policy does not allow the source.
    SourceNotAllowed,
    /// 400, in details: the policy does not allow so long.
    LongerThanPolicy,
    /// 403: somebody else must say yes.
    ApprovalRequired,
    /// 403: whoever asks must sign in anew, or with a second factor.
    SignInNeeded,
    /// 403: nobody could say yes.
    NoApprover,
    /// 400: an assignment's name that is no GUID.
    InvalidRoleAssignmentId,
    /// 400: a role's name that is no GUID.
    InvalidRoleDefinitionId,
    /// 400: no GUID, or not the one that follows from who somebody is.
    InvalidPrincipalId,
    /// 400: what is no action stands where actions do.
    InvalidActionOrNotAction,
    /// 400: there is no such principal.
    PrincipalNotFound,
    /// 400: the principal is of another kind than was said.
    UnmatchedPrincipalType,
    /// 400: there is no such role.
    RoleDefinitionDoesNotExist,
    /// 400: the role is built-in, or named as nothing can be.
    InvalidRoleDefinition,
    /// 400: a role is given, so that it stays.
    RoleDefinitionHasAssignments,
    /// 400: the role cannot be given there.
    RoleDefinitionNotAssignable,
    /// 400: as many roles were made as can be.
    RoleDefinitionLimitExceeded,
    /// 400: as many roles were given as can be.
    RoleAssignmentLimitExceeded,
    /// 400: as many people, groups and services are known as can be.
    PrincipalLimitExceeded,
    /// 400: whom, what and where an assignment is about does not change.
    RoleAssignmentUpdateNotPermitted,
    /// 400: what the rules of the role want was not given (Azure's code).
    RoleAssignmentRequestPolicyValidationFailed,
    /// 400: they are not eligible for the role there.
    EligibilityNotFound,
    /// 403: they may not decide about an activation.
    NotAnApprover,
    /// 404: there is no such activation.
    RoleAssignmentScheduleRequestNotFound,
    /// 409: an activation waits, is over, or its id is taken.
    RoleAssignmentRequestExists,
    /// 409: an activation is over or was decided.
    RoleAssignmentRequestIsOver,
    /// 409: somebody has that role there already.
    RoleAssignmentExists,
    /// 409: another role has that name.
    RoleDefinitionWithSameNameExists,
    /// 400: there are as many accounts, or ways to sign in to one, as can be.
    AccountLimitReached,
    /// 409: another account has that name.
    AccountNameTaken,
    /// 409: nobody would be left who can give roles.
    LastOwner,
    /// 409: the subscription's plan is off.
    PlanNeeded,
    /// 409: the VM cannot have just-in-time access.
    VmUnsupported,
    /// 409: no guard covers the VM.
    NotEnforced,
    /// 409: no port of the firewall's public address is free.
    MappedPortsFull,
    /// 409: a rule of a security group would drop what was asked for.
    Blocked,
    /// 409: no security group stands before an address of the VM.
    MissingNetworkSecurityGroup,
    /// 409: a rule of JIT's finds no free number where it would have to stand.
    NoFreePriority,
    /// 409: a rule of JIT's own would be changed or taken away.
    JitRuleReadOnly,
    /// 409: a change of the network would let flows to a locked port through that nobody granted.
    JitLockWouldBreak,
    /// 409: the port is another policy's.
    PortInOtherPolicy,
    /// 409: a policy holds the VM.
    VmHasPolicy,
    /// 409: another VM has the address.
    AddressInUse,
    /// 409: the policy waits for confirmation.
    ConfirmationPending,
    /// 409: the policy does not wait for confirmation.
    NothingToConfirm,
    /// 409: the lock could lock out the one who sets it.
    ConfirmationNeeded,
    /// 429: more than the server takes on, for one VM or at all.
    TooManyRequests,
    /// 503: the minted id was taken; the server asks again with another and never shows this.
    RequestIdTaken,
    /// 503: the server's clock cannot be right.
    ClockBehind,
    /// 503: closed, but not yet recorded.
    ClosedNotRecorded,
    /// 503: try again.
    ServiceUnavailable,
    /// 500: a mistake of ours.
    InternalServerError,
    /// A code that this version does not know; only ever read, never made.
    #[serde(untagged)]
    Other(String),
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.serialize(f)
    }
}

impl Code {
    /// Whether it says that the policy does not allow what was asked.
    fn is_not_subset(&self) -> bool {
        (Code::RequestNotSubset..=Code::LongerThanPolicy).contains(self)
    }
}

impl ArmError {
    /// An error without target and details.
    pub fn new(code: Code, message: impl Into<String>) -> ArmError {
        ArmError {
            code,
            message: message.into(),
            target: None,
            details: Vec::new(),
            additional_info: Vec::new(),
        }
    }

    /// The same, about a part of the request.
    #[must_use]
    pub fn at(mut self, target: impl Into<String>) -> ArmError {
        self.target = Some(target.into());
        self
    }

    /// One error for several problems: it bears the code that comes first in [`Code`], and all problems
    /// in its details. One problem stands for itself. None at all is a mistake of ours.
    pub fn of(problems: Vec<ArmError>) -> ArmError {
        ArmError::of_first(problems, 0)
    }

    /// The same, where `more` problems were found than are told.
    pub(crate) fn of_first(mut problems: Vec<ArmError>, more: usize) -> ArmError {
        let count = problems.len() + more;
        // Stable: within a code they stand in the order of the body.
        problems.sort_by(|a, b| a.code.cmp(&b.code));
        problems.truncate(DETAILS_MAX);
        let Some(first) = problems.first() else { return internal_error() };
        if count == 1 {
            return problems.remove(0);
        }
        let (code, target) = (first.code.clone(), first.target.clone());
        let things = if count == 2 { "problem" } else { "problems" };
        let message = format!("{} ({} more {things}: see details.)", first.message, count - 1);
        let untold = count - problems.len();
        if untold > 0 {
            problems.push(ArmError::new(code.clone(), format!("And {untold} more.")));
        }
        ArmError { code, message, target, details: problems, additional_info: Vec::new() }
    }
}

impl From<ArmError> for ErrorAnswer {
    fn from(error: ArmError) -> ErrorAnswer {
        ErrorAnswer { error }
    }
}
