//! A role: what may be done, named.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{Action, Scope, pattern::Pattern};
use crate::time::Timestamp;

/// A role's id.
pub type RoleId = Uuid;

/// How many roles of one's own there can be (Azure's number for a tenant).
pub const CUSTOM_ROLES_MAX: usize = 5_000;
/// Longest name of a role, in characters (Azure's).
pub const ROLE_NAME_CHARS_MAX: usize = 512;
/// Longest description, in characters (Azure's).
pub const ROLE_DESCRIPTION_CHARS_MAX: usize = 2_048;
/// How many patterns one role may have.
pub const PATTERNS_MAX: usize = 1_000;
/// How many scopes one role may name.
pub const ASSIGNABLE_SCOPES_MAX: usize = 1_000;

/// What some patterns allow, less what others take away again. What one permission of a role takes away
/// another one of it can still give (Azure's meaning).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Permission {
    /// What may be done.
    pub actions: Vec<Pattern>,
    /// What of it may not.
    pub not_actions: Vec<Pattern>,
    /// What may be done to data: kept as it was sent, since nothing here is data.
    pub data_actions: Vec<Pattern>,
    /// What of that may not.
    pub not_data_actions: Vec<Pattern>,
}

impl Permission {
    /// Whether it allows an action.
    pub fn allows(&self, action: &str) -> bool {
        let any = |patterns: &[Pattern]| patterns.iter().any(|pattern| pattern.matches(action));
        any(&self.actions) && !any(&self.not_actions)
    }

    /// How many patterns it has.
    pub fn patterns(&self) -> usize {
        [&self.actions, &self.not_actions, &self.data_actions, &self.not_data_actions]
            .map(Vec::len)
            .iter()
            .sum()
    }
}

/// Whose a role is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum RoleKind {
    /// Everybody's: it is there from the start and does not change.
    BuiltInRole,
    /// Somebody made it.
    CustomRole,
}

impl RoleKind {
    /// As Azure writes it.
    pub const fn as_str(self) -> &'static str {
        match self {
            RoleKind::BuiltInRole => "BuiltInRole",
            RoleKind::CustomRole => "CustomRole",
        }
    }
}

/// A role.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Said", into = "Said")]
pub struct Definition {
    said: Said,
    /// What of all that can be called here it allows: made once, since it is asked with every call.
    allows: BTreeSet<Action>,
}

/// What a role says of itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Said {
    /// Its id.
    pub id: RoleId,
    /// Its name.
    pub name: String,
    /// What it is for.
    pub description: String,
    /// Whose it is.
    pub kind: RoleKind,
    /// What it allows.
    pub permissions: Vec<Permission>,
    /// Where it can be given; everywhere if none is named, which only a built-in role does.
    pub assignable: Vec<Scope>,
    /// When it was made; none if it was always there.
    pub created: Option<Timestamp>,
    /// When it was last changed.
    pub updated: Option<Timestamp>,
}

impl Definition {
    /// What it says of itself.
    pub fn said(&self) -> &Said {
        &self.said
    }

    /// Its id.
    pub fn id(&self) -> RoleId {
        self.said.id
    }

    /// Whether it allows an action.
    pub fn allows(&self, action: Action) -> bool {
        self.allows.contains(&action)
    }

    /// Whether it can be given at a scope.
    pub fn is_assignable_at(&self, scope: &Scope) -> bool {
        let assignable = &self.said.assignable;
        assignable.is_empty() || assignable.iter().any(|outer| outer.holds(scope))
    }
}

impl From<Said> for Definition {
    fn from(said: Said) -> Definition {
        let allowed = |action: &Action| said.permissions.iter().any(|p| p.allows(action.name()));
        Definition { allows: Action::all().filter(allowed).collect(), said }
    }
}

impl From<Definition> for Said {
    fn from(definition: Definition) -> Said {
        definition.said
    }
}
