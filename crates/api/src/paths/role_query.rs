//! Which assignments, roles and people a caller wants to see.

use hourgate_core::role::principal::{PrincipalId, PrincipalKind};
use uuid::Uuid;

use super::{
    filter::{self, Term},
    query::skip_token,
};
use crate::error::ArmError;

/// Which assignments.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AssignmentQuery {
    /// Only those at the scope and above it: those that count there.
    pub at_scope: bool,
    /// Only those given to this principal itself.
    pub principal: Option<PrincipalId>,
    /// Only those that this principal has, by itself or by its groups.
    pub assigned_to: Option<PrincipalId>,
}

impl AssignmentQuery {
    /// Reads `$filter`.
    pub fn parse(query: Option<&str>) -> Result<AssignmentQuery, ArmError> {
        let mut wanted = AssignmentQuery::default();
        let accepted = "atScope(), principalId eq 'ID' and assignedTo('ID'), with an object id";
        filter::read(query, accepted, |term| match term {
            Term::Call { name, value: None } if is(name, "atScope") => {
                wanted.at_scope = true;
                true
            }
            Term::Call { name, value: Some(value) } if is(name, "assignedTo") => {
                wanted.assigned_to = value.parse().ok();
                wanted.assigned_to.is_some()
            }
            Term::Equals { name, value } if is(name, "principalId") => {
                wanted.principal = value.parse().ok();
                wanted.principal.is_some()
            }
            Term::Call { .. } | Term::Equals { .. } => false,
        })?;
        Ok(wanted)
    }
}

/// Which roles.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DefinitionQuery {
    /// Those too that can be given only somewhere below the scope.
    pub below: bool,
    /// Only the one of this name, compared without case.
    pub name: Option<String>,
    /// Only those of this kind: `BuiltInRole` or `CustomRole`.
    pub kind: Option<String>,
    /// Only those behind this one: the next page.
    pub after: Option<Uuid>,
}

impl DefinitionQuery {
    /// Reads `$filter` and `$skipToken`.
    pub fn parse(query: Option<&str>) -> Result<DefinitionQuery, ArmError> {
        let mut wanted =
            DefinitionQuery { after: skip_token(query)?, ..DefinitionQuery::default() };
        let accepted = "roleName eq 'NAME', type eq 'BuiltInRole' or 'CustomRole', atScope() and \
                        atScopeAndBelow()";
        filter::read(query, accepted, |term| match term {
            Term::Call { name, value: None } if is(name, "atScope") => true,
            Term::Call { name, value: None } if is(name, "atScopeAndBelow") => {
                wanted.below = true;
                true
            }
            Term::Equals { name, value } if is(name, "roleName") => {
                wanted.name = Some(value.clone());
                true
            }
            Term::Equals { name, value } if is(name, "type") => {
                wanted.kind = Some(value.clone());
                is(value, "BuiltInRole") || is(value, "CustomRole")
            }
            Term::Call { .. } | Term::Equals { .. } => false,
        })?;
        Ok(wanted)
    }

    /// The parameters that [`DefinitionQuery::parse`] reads back, for the page behind a role.
    pub fn next(&self, after: Uuid) -> Vec<(&'static str, String)> {
        let terms = [
            self.below.then(|| "atScopeAndBelow()".to_owned()),
            self.name.as_ref().map(|name| equals("roleName", name)),
            self.kind.as_ref().map(|kind| equals("type", kind)),
        ];
        parameters(terms, after)
    }
}

/// Which people, groups and services.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PrincipalQuery {
    /// Only those of this kind.
    pub kind: Option<PrincipalKind>,
    /// Only those that this issuer vouches for.
    pub issuer: Option<String>,
    /// Only those who are this there.
    pub subject: Option<String>,
    /// Only those of this name, compared without case.
    pub name: Option<String>,
    /// Only those behind this one: the next page.
    pub after: Option<Uuid>,
}

/// The words for kinds of principals, as Azure writes them.
pub(crate) const KINDS: [(&str, PrincipalKind); 3] = [
    (PrincipalKind::User.as_str(), PrincipalKind::User),
    (PrincipalKind::Group.as_str(), PrincipalKind::Group),
    (PrincipalKind::ServicePrincipal.as_str(), PrincipalKind::ServicePrincipal),
];

impl PrincipalQuery {
    /// Reads `$filter` and `$skipToken`.
    pub fn parse(query: Option<&str>) -> Result<PrincipalQuery, ArmError> {
        let mut wanted = PrincipalQuery { after: skip_token(query)?, ..PrincipalQuery::default() };
        let accepted = "type eq 'User', 'Group' or 'ServicePrincipal', issuer eq 'URL', \
                        subject eq 'ID' and displayName eq 'NAME'";
        filter::read(query, accepted, |term| match term {
            Term::Equals { name, value } if is(name, "type") => {
                let known = KINDS.into_iter().find(|(word, _)| is(word, value));
                wanted.kind = known.map(|(_, kind)| kind);
                wanted.kind.is_some()
            }
            Term::Equals { name, value } if is(name, "issuer") => {
                wanted.issuer = Some(value.clone());
                true
            }
            Term::Equals { name, value } if is(name, "subject") => {
                wanted.subject = Some(value.clone());
                true
            }
            Term::Equals { name, value } if is(name, "displayName") => {
                wanted.name = Some(value.clone());
                true
            }
            Term::Call { .. } | Term::Equals { .. } => false,
        })?;
        Ok(wanted)
    }

    /// The parameters that [`PrincipalQuery::parse`] reads back, for the page behind somebody.
    pub fn next(&self, after: Uuid) -> Vec<(&'static str, String)> {
        let terms = [
            self.kind.map(|kind| equals("type", kind.as_str())),
            self.issuer.as_ref().map(|issuer| equals("issuer", issuer)),
            self.subject.as_ref().map(|subject| equals("subject", subject)),
            self.name.as_ref().map(|name| equals("displayName", name)),
        ];
        parameters(terms, after)
    }
}

fn is(sent: &str, known: &str) -> bool {
    sent.eq_ignore_ascii_case(known)
}

fn equals(name: &str, value: &str) -> String {
    format!("{name} eq '{}'", value.replace('\'', "''"))
}

fn parameters(
    terms: impl IntoIterator<Item = Option<String>>,
    after: Uuid,
) -> Vec<(&'static str, String)> {
    let terms: Vec<String> = terms.into_iter().flatten().collect();
    let filter = (!terms.is_empty()).then(|| ("$filter", terms.join(" and ")));
    filter.into_iter().chain([("$skipToken", after.to_string())]).collect()
}
