//! Roles, assignments and people as answers, in Azure's shapes.

use hourgate_core::{
    id::SubscriptionId,
    role::{
        Scope,
        assignment::Assignment,
        definition::{Definition, Permission},
        principal::{Principal, PrincipalKind},
    },
    time::Timestamp,
};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{
    paths::{PrincipalRoute, RoleRoute, Route},
    time::UtcTime,
};

/// Azure's type of a role assignment.
pub const ASSIGNMENT_TYPE: &str = "Microsoft.Authorization/roleAssignments";
/// Azure's type of a role definition.
pub const DEFINITION_TYPE: &str = "Microsoft.Authorization/roleDefinitions";
/// Our type of somebody who is known.
pub const PRINCIPAL_TYPE: &str = "Hourgate.Access/principals";

/// A role assignment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AssignmentResource {
    /// What it says.
    pub properties: AssignmentProperties,
    /// Its resource id.
    pub id: String,
    /// [`ASSIGNMENT_TYPE`].
    #[serde(rename = "type")]
    pub resource_type: String,
    /// Its name, a GUID.
    pub name: String,
}

/// What a role assignment says. When it was last changed is not among it: only its text and its end change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AssignmentProperties {
    /// The role's resource id.
    pub role_definition_id: String,
    /// To whom.
    pub principal_id: Uuid,
    /// What they are.
    pub principal_type: String,
    /// Where.
    pub scope: String,
    /// Always null: conditions are not accepted.
    pub condition: Option<String>,
    /// Always null.
    pub condition_version: Option<String>,
    /// When it was given.
    pub created_on: UtcTime,
    /// By whom; null where Hourgate itself did.
    pub created_by: Option<String>,
    /// Always null.
    pub delegated_managed_identity_resource_id: Option<String>,
    /// Why.
    pub description: Option<String>,
    /// Ours: until when; for good if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_on: Option<UtcTime>,
}

impl AssignmentResource {
    /// An assignment to a principal of that kind.
    pub fn new(given: &Assignment, kind: PrincipalKind) -> AssignmentResource {
        let subscription = given.scope.of_subscription();
        AssignmentResource {
            properties: AssignmentProperties {
                role_definition_id: definition_id(subscription, given.role),
                principal_id: given.principal,
                principal_type: kind.as_str().to_owned(),
                scope: given.scope.to_string(),
                condition: None,
                condition_version: None,
                created_on: UtcTime(given.created),
                created_by: given.by.as_ref().map(|by| by.0.clone()),
                delegated_managed_identity_resource_id: None,
                description: given.description.clone(),
                expires_on: given.until.map(|until| UtcTime(until.wall)),
            },
            id: Route::Roles(given.scope.clone(), RoleRoute::Assignment(given.id)).to_string(),
            resource_type: ASSIGNMENT_TYPE.to_owned(),
            name: given.id.to_string(),
        }
    }
}

/// The resource id of a role, which is the same at every scope of a subscription.
pub fn definition_id(subscription: SubscriptionId, role: Uuid) -> String {
    Route::Roles(Scope::subscription(subscription), RoleRoute::Definition(role)).to_string()
}

/// A role definition.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DefinitionResource {
    /// What it says.
    pub properties: DefinitionProperties,
    /// Its resource id.
    pub id: String,
    /// [`DEFINITION_TYPE`].
    #[serde(rename = "type")]
    pub resource_type: String,
    /// Its name, a GUID.
    pub name: String,
}

/// What a role definition says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DefinitionProperties {
    /// What it is called.
    pub role_name: String,
    /// `BuiltInRole` or `CustomRole`.
    #[serde(rename = "type")]
    pub kind: String,
    /// What it is for.
    pub description: String,
    /// Where it can be given; `/` for everywhere.
    pub assignable_scopes: Vec<String>,
    /// What it allows.
    pub permissions: Vec<Permission>,
    /// When it was made; null if it was always there.
    pub created_on: Option<UtcTime>,
    /// When it was last changed.
    pub updated_on: Option<UtcTime>,
}

impl DefinitionResource {
    /// A role, with those of its scopes that the caller may know of.
    pub fn new(
        subscription: SubscriptionId,
        role: &Definition,
        knows: impl Fn(&Scope) -> bool,
    ) -> DefinitionResource {
        let said = role.said();
        let assignable = said.assignable.iter().filter(|scope| knows(scope));
        let time = |at: Option<Timestamp>| at.map(UtcTime);
        DefinitionResource {
            properties: DefinitionProperties {
                role_name: said.name.clone(),
                kind: said.kind.as_str().to_owned(),
                description: said.description.clone(),
                assignable_scopes: if said.assignable.is_empty() {
                    vec!["/".to_owned()]
                } else {
                    assignable.map(ToString::to_string).collect()
                },
                permissions: said.permissions.clone(),
                created_on: time(said.created),
                updated_on: time(said.updated),
            },
            id: definition_id(subscription, said.id),
            resource_type: DEFINITION_TYPE.to_owned(),
            name: said.id.to_string(),
        }
    }
}

/// Somebody who is known.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PrincipalResource {
    /// Its resource id.
    pub id: String,
    /// Its object id.
    pub name: Uuid,
    /// [`PRINCIPAL_TYPE`].
    #[serde(rename = "type")]
    pub resource_type: String,
    /// What is known.
    pub properties: PrincipalProperties,
}

/// What is known of somebody.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PrincipalProperties {
    /// `User`, `Group` or `ServicePrincipal`.
    #[serde(rename = "type")]
    pub kind: String,
    /// Who vouches for them.
    pub issuer: String,
    /// Who they are there.
    pub subject: String,
    /// What they are called.
    pub display_name: String,
    /// Their sign-in name, if they have one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_principal_name: Option<String>,
    /// Their mail address, if their issuer has seen it to be theirs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mail: Option<String>,
    /// Whether they were disabled here.
    pub disabled: bool,
    /// The groups they were in by their issuer's last word.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub groups: Vec<Uuid>,
    /// When that was said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub groups_known_on: Option<UtcTime>,
}

impl PrincipalResource {
    /// Somebody, at an installation.
    pub fn new(subscription: SubscriptionId, who: &Principal) -> PrincipalResource {
        PrincipalResource {
            id: Route::Principals(subscription, PrincipalRoute::One(who.id)).to_string(),
            name: who.id,
            resource_type: PRINCIPAL_TYPE.to_owned(),
            properties: PrincipalProperties {
                kind: who.kind.as_str().to_owned(),
                issuer: who.issuer.clone(),
                subject: who.subject.0.clone(),
                display_name: who.name.0.clone(),
                user_principal_name: who.upn.as_ref().map(|upn| upn.0.clone()),
                mail: who.verified_mail.as_ref().map(|mail| mail.0.clone()),
                disabled: who.disabled,
                groups: who.groups.groups.iter().copied().collect(),
                groups_known_on: who.groups.at.map(UtcTime),
            },
        }
    }
}

/// What may be done somewhere: exactly these actions.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PermissionSeen {
    /// What may be done.
    pub actions: Vec<String>,
    /// Nothing: what may not be done is left out above.
    pub not_actions: Vec<String>,
    /// Nothing here is data.
    pub data_actions: Vec<String>,
    /// Nothing here is data.
    pub not_data_actions: Vec<String>,
}
