//! Routes about people and roles: Azure's, which hang on any scope, and ours for those who are known.

use std::fmt;

use hourgate_core::{
    id::{PolicyId, SubscriptionId},
    role::{Scope, assignment::AssignmentId, definition::RoleId, principal::PrincipalId},
};
use uuid::Uuid;

use super::{
    PathError, Route,
    pim::{self, PimRoute},
};

/// What is served of roles at a scope.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RoleRoute {
    /// Who was given which role there.
    Assignments,
    /// One assignment.
    Assignment(AssignmentId),
    /// Which roles can be given there.
    Definitions,
    /// One role.
    Definition(RoleId),
    /// What the caller may there.
    Permissions,
    /// Something of roles that are activated.
    Pim(PimRoute),
}

/// What is served of those who are known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PrincipalRoute {
    /// All of them.
    All,
    /// One.
    One(PrincipalId),
    /// Disable one.
    Disable(PrincipalId),
    /// Enable one again.
    Enable(PrincipalId),
}

/// The provider of Azure's routes, as a segment in lower case.
const PROVIDER: &str = "microsoft.authorization";

/// What a path below a subscription serves of roles; none if it is not about roles. `folded` and `sent` are
/// all its segments, in lower case and as they were sent.
///
/// What stands before the last such provider is the scope: a resource may be of any provider.
pub(super) fn at_scope(folded: &[&str], sent: &[String]) -> Option<Result<Route, PathError>> {
    let pairs = folded.windows(2);
    let at = pairs.enumerate().rev().find(|(_, pair)| **pair == ["providers", PROVIDER])?.0;
    let (before, behind) = (sent.get(..at)?, folded.get(at + 2..)?);
    let names = sent.get(at + 2..)?;
    let route = || {
        let what = match behind {
            ["roleassignments"] => RoleRoute::Assignments,
            ["roleassignments", _] => RoleRoute::Assignment(guid("role assignment", &names[1])?),
            ["roledefinitions"] => RoleRoute::Definitions,
            ["roledefinitions", _] => RoleRoute::Definition(guid("role definition", &names[1])?),
            ["permissions"] => RoleRoute::Permissions,
            _ => {
                if let Some(approvals) = pim::approvals(behind, names) {
                    return Ok(Route::Approvals(Some(scope(before)?), approvals?));
                }
                RoleRoute::Pim(pim::behind(behind, names).ok_or(PathError::Unknown)??)
            }
        };
        Ok(Route::Roles(scope(before)?, what))
    };
    Some(route())
}

/// A scope by its segments. An encoded slash in one of them makes no other scope.
fn scope(segments: &[String]) -> Result<Scope, PathError> {
    let text = format!("/{}", segments.join("/"));
    if segments.iter().any(|segment| segment.contains('/')) {
        return Err(PathError::NotAScope(text));
    }
    // Locations have several spellings.
    let policy = text.parse::<PolicyId>().map(|policy| Scope::from(&policy));
    policy.or_else(|_| text.parse()).map_err(|_| PathError::NotAScope(text))
}

/// What a path of ours serves of those who are known. `folded` and `sent` are the segments behind
/// `principals`.
pub(super) fn principals(
    subscription: SubscriptionId,
    folded: &[&str],
    sent: &[String],
) -> Result<Route, PathError> {
    let id = || guid("principal", &sent[0]);
    let what = match folded {
        [] => PrincipalRoute::All,
        [_] => PrincipalRoute::One(id()?),
        [_, "disable"] => PrincipalRoute::Disable(id()?),
        [_, "enable"] => PrincipalRoute::Enable(id()?),
        _ => return Err(PathError::Unknown),
    };
    Ok(Route::Principals(subscription, what))
}

/// A GUID with its hyphens; the other spellings of a UUID are none.
pub(super) fn guid(what: &'static str, sent: &str) -> Result<Uuid, PathError> {
    let read = sent.parse().ok().filter(|_| sent.len() == 36);
    read.ok_or_else(|| PathError::NotAGuid { what, sent: sent.to_owned() })
}

impl RoleRoute {
    pub(super) fn methods(self) -> &'static [&'static str] {
        match self {
            RoleRoute::Assignments | RoleRoute::Definitions | RoleRoute::Permissions => &["GET"],
            RoleRoute::Assignment(_) | RoleRoute::Definition(_) => &["GET", "PUT", "DELETE"],
            RoleRoute::Pim(what) => what.methods(),
        }
    }
}

impl PrincipalRoute {
    pub(super) fn methods(self) -> &'static [&'static str] {
        match self {
            PrincipalRoute::All => &["GET", "POST"],
            PrincipalRoute::One(_) => &["GET", "PUT", "DELETE"],
            PrincipalRoute::Disable(_) | PrincipalRoute::Enable(_) => &["POST"],
        }
    }
}

impl fmt::Display for RoleRoute {
    /// The path behind the scope.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("/providers/Microsoft.Authorization")?;
        match self {
            RoleRoute::Assignments => f.write_str("/roleAssignments"),
            RoleRoute::Assignment(id) => write!(f, "/roleAssignments/{id}"),
            RoleRoute::Definitions => f.write_str("/roleDefinitions"),
            RoleRoute::Definition(id) => write!(f, "/roleDefinitions/{id}"),
            RoleRoute::Permissions => f.write_str("/permissions"),
            RoleRoute::Pim(what) => what.fmt(f),
        }
    }
}

impl fmt::Display for PrincipalRoute {
    /// The path behind the subscription.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("/providers/Hourgate.Access/principals")?;
        match self {
            PrincipalRoute::All => Ok(()),
            PrincipalRoute::One(id) => write!(f, "/{id}"),
            PrincipalRoute::Disable(id) => write!(f, "/{id}/disable"),
            PrincipalRoute::Enable(id) => write!(f, "/{id}/enable"),
        }
    }
}
