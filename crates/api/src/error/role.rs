//! Refusals about people and roles, in Azure's words where Azure has some.

use hourgate_core::role::change::DirectoryRefusal;

use super::{ArmError, Code};
use crate::text::{moment, quoted};

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
            Code::RoleLimitExceeded,
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
                "The role {role} is given {times} times, for example at '{scope}'. Take it away there first."
            ),
        ),
        DirectoryRefusal::TooManyRoles { most } => said(
            Code::RoleLimitExceeded,
            format!("{most} roles were made, and no more can be."),
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
            format!("The role assignment already exists. Its ID is {assignment}."),
        ),
        DirectoryRefusal::AssignmentIsFixed { assignment } => said(
            Code::RoleAssignmentUpdateNotPermitted,
            format!(
                "Principal, role and scope of the role assignment {assignment} are not allowed to be updated. \
                 Make another one."
            ),
        ),
        DirectoryRefusal::TooManyAssignments { most } => said(
            Code::RoleLimitExceeded,
            format!("{most} role assignments stand, and no more can."),
        ),
        DirectoryRefusal::EndsInThePast { until, now } => said(
            Code::InvalidParameter,
            format!("It would end at {}, and now is {}.", moment(*until), moment(*now)),
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
