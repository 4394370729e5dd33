//! Refusals about people and roles, in Azure's words where Azure has some.

use std::{collections::BTreeSet, time::Duration};

use hourgate_core::role::{
    assignment::AssignmentId,
    change::{DirectoryRefusal, Missing},
    definition::RoleId,
    principal::PrincipalId,
};

use uuid::Uuid;

use super::{ArmError, Code};
use crate::text::{moment, quoted, span};

/// 404.
pub fn assignment_not_found(id: AssignmentId) -> ArmError {
    let message = format!("The role assignment '{id}' is not found.");
    ArmError::new(Code::RoleAssignmentNotFound, message)
}

/// 404: a request for a role, what came of it, or a decision about it.
pub fn schedule_request_not_found(id: Uuid) -> ArmError {
    let message = format!("The request {id} was not found.");
    ArmError::new(Code::RoleAssignmentScheduleRequestNotFound, message)
}

/// 404: of a role that is asked for by its path. Azure's words, and the code of things that are not there: that
/// of Azure is 400 where a body names the role.
pub fn definition_not_found(id: RoleId) -> ArmError {
    let message = format!("The specified role definition with ID '{id}' does not exist.");
    ArmError::new(Code::ResourceNotFound, message)
}

/// 404.
pub fn principal_not_found(id: PrincipalId) -> ArmError {
    let message = format!("The Resource 'Hourgate.Access/principals/{id}' was not found.");
    ArmError::new(Code::ResourceNotFound, message)
}

/// 400: another id follows from who somebody is.
pub fn not_the_id(sent: PrincipalId, right: PrincipalId) -> ArmError {
    let message = format!(
        "'{sent}' is not the id of that principal: from its type, issuer and subject follows '{right}'. A POST \
         to the list needs no id."
    );
    ArmError::new(Code::InvalidPrincipalId, message)
}

/// 400: a name that is no GUID, where names are.
pub fn not_a_guid(what: &str, sent: &str) -> ArmError {
    let code = match what {
        "role assignment" => Code::InvalidRoleAssignmentId,
        "role definition" => Code::InvalidRoleDefinitionId,
        _ => Code::InvalidPrincipalId,
    };
    let sent = quoted(sent);
    ArmError::new(code, format!("The {what} ID {sent} is not valid. The {what} ID must be a GUID."))
}

/// 400: a scope that there cannot be.
pub fn not_a_scope(sent: &str) -> ArmError {
    let message =
        format!("{} is no scope: a subscription, a resource group or a resource is.", quoted(sent));
    ArmError::new(Code::InvalidParameter, message).at("scope")
}

/// What stands against a change of people or roles.
pub(super) fn directory(why: &DirectoryRefusal) -> ArmError {
    let said = |code, message: String| ArmError::new(code, message);
    match why {
        DirectoryRefusal::PrincipalNotFound { principal } => said(
            Code::PrincipalNotFound,
            format!(
                "Principal {principal} does not exist in the directory. People are known once they have \
                 signed in; groups and services are made known first."
            ),
        )
        .at("properties.principalId"),
        DirectoryRefusal::PrincipalDiffers { principal, is } => said(
            Code::UnmatchedPrincipalType,
            format!("The principal {principal} is a {}, and not what was said.", is.as_str()),
        )
        .at("properties.principalType"),
        DirectoryRefusal::TooManyPrincipals { most } => said(
            Code::PrincipalLimitExceeded,
            format!("{most} people, groups and services are known, and no more can be."),
        ),
        DirectoryRefusal::RoleNotFound { role } => said(
            Code::RoleDefinitionDoesNotExist,
            format!("The specified role definition with ID '{role}' does not exist."),
        )
        .at("properties.roleDefinitionId"),
        DirectoryRefusal::RoleIsBuiltIn { role, name } => said(
            Code::InvalidRoleDefinition,
            format!(
                "The role '{name}' ({role}) is built-in and does not change. Make a role of your own with \
                 what you need of it."
            ),
        ),
        DirectoryRefusal::RoleNameTaken { name, by } => said(
            Code::RoleDefinitionWithSameNameExists,
            format!("A role named {} exists already ({by}). Choose another name.", quoted(name)),
        )
        .at("properties.roleName"),
        DirectoryRefusal::NoAssignableScope => said(
            Code::InvalidRoleDefinition,
            "A role names at least one scope at which it can be given.".to_owned(),
        )
        .at("properties.assignableScopes"),
        DirectoryRefusal::RoleIsGiven { role, times, scope } => said(
            Code::RoleDefinitionHasAssignments,
            format!(
                "There are existing role assignments referencing role {role}: {times}, for example at \
                 '{scope}'. Take it away there first."
            ),
        ),
        DirectoryRefusal::TooManyRoles { most } => said(
            Code::RoleDefinitionLimitExceeded,
            format!("Role definition limit exceeded. {most} roles were made, and no more can be."),
        ),
        DirectoryRefusal::RoleNotAssignable { role, name, scope } => said(
            Code::RoleDefinitionNotAssignable,
            format!(
                "The role {} ({role}) cannot be given at '{scope}': none of its assignable scopes holds it.",
                quoted(name)
            ),
        )
        .at("properties.roleDefinitionId"),
        DirectoryRefusal::ScopeNotFound { scope } => said(
            Code::ResourceNotFound,
            format!(
                "There is nothing at '{scope}'. A role is given at the subscription, at a resource group, or \
                 at a resource that is here."
            ),
        ),
        DirectoryRefusal::AssignmentExists { assignment } => said(
            Code::RoleAssignmentExists,
            format!(
                "The role assignment already exists. The ID of the conflicting role assignment is {}.",
                assignment.simple()
            ),
        ),
        DirectoryRefusal::AssignmentIsFixed { assignment } => said(
            Code::RoleAssignmentUpdateNotPermitted,
            format!(
                "Principal, role and scope of the role assignment {assignment} are not allowed to be updated. \
                 Make another one."
            ),
        ),
        DirectoryRefusal::TooManyAssignments { most } => said(
            Code::RoleAssignmentLimitExceeded,
            format!("No more role assignments can be created: {most} stand."),
        ),
        DirectoryRefusal::EndsInThePast { until, now } => said(
            Code::InvalidParameter,
            format!("It would end at {}, and now is {}.", moment(*until), moment(*now)),
        ),
        DirectoryRefusal::EligibilityExists { eligibility } => said(
            Code::RoleAssignmentExists,
            format!("They are eligible for that role there already. Its ID is {eligibility}."),
        ),
        DirectoryRefusal::EligibilityIsFixed { eligibility } => said(
            Code::RoleAssignmentUpdateNotPermitted,
            format!(
                "Principal, role and scope of the eligibility {eligibility} are not allowed to be updated. \
                 Make another one."
            ),
        ),
        DirectoryRefusal::TooManyEligibilities { most } => said(
            Code::RoleAssignmentLimitExceeded,
            format!("{most} eligibilities stand, and no more can."),
        ),
        DirectoryRefusal::NotEligible { role, scope } => said(
            Code::EligibilityNotFound,
            format!(
                "You are not eligible for the role {role} at '{scope}', or not any more. Groups count only \
                 while what is known of them is new enough: sign in again."
            ),
        ),
        DirectoryRefusal::ActivationExists { activation } => said(
            Code::RoleAssignmentRequestExists,
            format!("The request {activation} exists already."),
        ),
        DirectoryRefusal::ActivationWaits { activation } => said(
            Code::RoleAssignmentRequestExists,
            format!("The role was asked for there before, by the request {activation}, which waits."),
        ),
        DirectoryRefusal::ActivationNotFound { activation } => {
            schedule_request_not_found(*activation)
        }
        DirectoryRefusal::ActivationIsOver { activation } => said(
            Code::RoleAssignmentRequestIsOver,
            format!("The request {activation} is over, or was decided before."),
        ),
        DirectoryRefusal::TooManyActivations { most } => said(
            Code::RoleAssignmentLimitExceeded,
            format!("{most} requests for roles are kept, and no more can be."),
        ),
        DirectoryRefusal::RulesNotMet { missing, longest, shortest } => {
            rules_not_met(missing, *longest, *shortest)
        }
        DirectoryRefusal::NoApprover { role, scope } => said(
            Code::NoApprover,
            format!(
                "The role {role} at '{scope}' needs somebody's approval, and nobody but you could give it."
            ),
        ),
        DirectoryRefusal::OwnActivation { activation } => said(
            Code::NotAnApprover,
            format!("Nobody approves for themselves, and the request {activation} is yours."),
        ),
        DirectoryRefusal::NotAnApprover { activation } => said(
            Code::NotAnApprover,
            format!("You are no approver of the request {activation}."),
        ),
        DirectoryRefusal::RulesOutOfBounds { least, most } => said(
            Code::InvalidParameter,
            format!(
                "A role can be activated for {} at least and {} at most.",
                span(*least),
                span(*most)
            ),
        ),
        DirectoryRefusal::TooManyApprovers { most } => said(
            Code::InvalidParameter,
            format!("The rules of a role name {most} approvers at most; name a group."),
        ),
        DirectoryRefusal::MayNotAsk { policy } => said(
            Code::AuthorizationFailed,
            format!(
                "You may not ask '{policy}' for access to these machines, or not any more: a role has ended \
                 or was taken. If access was recently granted, please refresh your credentials."
            ),
        ),
        DirectoryRefusal::LastOwner => said(
            Code::LastOwner,
            "Nobody would be left who can give roles: make a person Owner of the subscription first, for good. \
             Groups and services do not count, since a group may be empty and a key be lost."
                .to_owned(),
        ),
    }
}

/// Azure's sentence, which scripts look for, and what each rule wants.
fn rules_not_met(missing: &BTreeSet<Missing>, longest: Duration, shortest: Duration) -> ArmError {
    let rule = |missing: &Missing| match missing {
        Missing::Length => "\"ExpirationRule\"",
        Missing::Justification => "\"JustificationRule\"",
        Missing::Ticket => "\"TicketingRule\"",
        Missing::SecondFactor => "\"MfaRule\"",
    };
    let wants = |missing: &Missing| match missing {
        Missing::Length => {
            format!("a duration from {} to {}", span(shortest), span(longest))
        }
        Missing::Justification => "a justification".to_owned(),
        Missing::Ticket => "a ticket".to_owned(),
        Missing::SecondFactor => "a sign-in with a second factor".to_owned(),
    };
    let rules: Vec<&str> = missing.iter().map(rule).collect();
    let wanted: Vec<String> = missing.iter().map(wants).collect();
    let message = format!(
        "The following policy rules failed: [{}]. The role wants {}.",
        rules.join(","),
        wanted.join(", and ")
    );
    ArmError::new(Code::RoleAssignmentRequestPolicyValidationFailed, message)
}
