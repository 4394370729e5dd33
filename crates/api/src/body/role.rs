//! The bodies of role assignments and role definitions.

use std::collections::BTreeSet;

use hourgate_core::{
    role::{
        Scope,
        assignment::ASSIGNMENT_DESCRIPTION_CHARS_MAX,
        definition::{
            ASSIGNABLE_SCOPES_MAX, PATTERNS_MAX, Permission, ROLE_DESCRIPTION_CHARS_MAX,
            ROLE_NAME_CHARS_MAX, RoleId, RoleKind,
        },
        pattern::Pattern,
        principal::{PrincipalId, PrincipalKind},
    },
    time::Timestamp,
};
use uuid::Uuid;

use super::{
    json::{self, Json},
    object::{Object, Problems},
    value,
};
use crate::{
    error::{ArmError, Code},
    paths::KINDS,
    text::{is_plain, quoted},
};

/// What clients send back because they read it.
const OVERLOOKED: [&str; 4] = ["id", "name", "type", "systemData"];
const PROPERTIES_OVERLOOKED: [&str; 4] = ["createdOn", "updatedOn", "createdBy", "updatedBy"];
/// What stands before the id of a role, wherever the role is read.
const ROLE_PATH: &str = "/providers/microsoft.authorization/roledefinitions/";

/// A role assignment as it was sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AssignmentSent {
    /// Which role.
    pub role: RoleId,
    /// To whom.
    pub principal: PrincipalId,
    /// What they are, if it was said.
    pub kind: Option<PrincipalKind>,
    /// Why.
    pub description: Option<String>,
    /// Until when; for good if none.
    pub until: Option<Timestamp>,
}

/// A role definition as it was sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DefinitionSent {
    /// Its name.
    pub name: String,
    /// What it is for.
    pub description: String,
    /// What it allows.
    pub permissions: Vec<Permission>,
    /// Where it can be given.
    pub assignable: Vec<Scope>,
}

/// Reads the body of an assignment at a scope.
pub fn assignment(body: &[u8], scope: &Scope) -> Result<AssignmentSent, ArmError> {
    let json = json::read(body)?;
    let mut problems = Problems::default();
    let sent = an_assignment(json, scope, &mut problems);
    problems.or(sent)
}

fn an_assignment(json: Json, scope: &Scope, problems: &mut Problems) -> Option<AssignmentSent> {
    let needed = "an object with 'roleDefinitionId' and 'principalId'";
    let mut properties = properties(json, needed, problems)?;
    let role = properties
        .required("roleDefinitionId", "the id of a role definition", problems)
        .and_then(|json| role(json, scope, problems));
    let principal = properties
        .required("principalId", "an object id", problems)
        .and_then(|json| principal_id(json, problems));
    let kind = properties
        .optional("principalType")
        .and_then(|json| value::word(json, "properties.principalType", &KINDS, problems));
    let description = properties.optional("description").and_then(|json| {
        let most = ASSIGNMENT_DESCRIPTION_CHARS_MAX;
        prose(json, "properties.description", most, problems)
    });
    let until = properties
        .optional("expiresOn")
        .and_then(|json| value::moment(json, "properties.expiresOn", problems));
    if let Some(json) = properties.optional("scope") {
        is_the_scope(json, scope, problems);
    }
    // Silently kept, they would give more than their author meant.
    unsupported(&mut properties, &["condition", "conditionVersion"], problems, |name| {
        format!(
            "Conditions on role assignments ('{name}') are not evaluated here, so none is accepted. Give a \
             narrower role, or give it at a narrower scope."
        )
    });
    unsupported(&mut properties, &["delegatedManagedIdentityResourceId"], problems, |name| {
        format!("'{name}' is not supported here. Leave it out.")
    });
    properties.overlook(&PROPERTIES_OVERLOOKED);
    properties.close(problems);
    Some(AssignmentSent { role: role?, principal: principal?, kind, description, until })
}

/// What stands under `properties`, where all is that says something.
pub(super) fn properties(json: Json, needed: &str, problems: &mut Problems) -> Option<Object> {
    let mut object = Object::of(json, "", problems)?;
    let properties = object.required("properties", needed, problems);
    object.overlook(&OVERLOOKED);
    object.close(problems);
    Object::of(properties?, "properties", problems)
}

/// Properties that would change what the rest means, and that nobody here looks at.
pub(super) fn unsupported(
    object: &mut Object,
    names: &[&'static str],
    problems: &mut Problems,
    message: impl Fn(&str) -> String,
) {
    for name in names {
        if object.optional(name).is_some() {
            problems.value(&object.path_of(name), message(name));
        }
    }
}

/// A role by its bare id, or by a path that ends in it.
pub(super) fn role(json: Json, scope: &Scope, problems: &mut Problems) -> Option<RoleId> {
    let path = "properties.roleDefinitionId";
    let sent = value::text(json, path, "the id of a role definition", problems)?;
    let folded = sent.to_ascii_lowercase();
    let (before, id) = folded.rsplit_once(ROLE_PATH).unwrap_or(("", &folded));
    // A built-in role's id is the same everywhere; what somebody made in another subscription is not here.
    let is_here = match before {
        "" => true,
        before => {
            before.parse::<Scope>().is_ok_and(|of| of.of_subscription() == scope.of_subscription())
        }
    };
    let read = guid(id).filter(|_| is_here);
    if read.is_none() {
        let message = format!(
            "{} is no id of a role definition here. Its form is \
             '/subscriptions/{}/providers/Microsoft.Authorization/roleDefinitions/{{GUID}}', or the GUID alone.",
            quoted(&sent),
            scope.of_subscription()
        );
        problems.value(path, message);
    }
    read
}

pub(super) fn principal_id(json: Json, problems: &mut Problems) -> Option<PrincipalId> {
    let path = "properties.principalId";
    let sent = value::text(json, path, "an object id", problems)?;
    let read = guid(&sent);
    if read.is_none() {
        let message = format!(
            "The Principal ID {} is not valid. Principal ID must be a GUID.",
            quoted(&sent)
        );
        problems.coded(Code::InvalidPrincipalId, path, message);
    }
    read
}

pub(super) fn is_the_scope(json: Json, scope: &Scope, problems: &mut Problems) {
    let path = "properties.scope";
    let Some(sent) = value::text(json, path, "the scope of the path", problems) else { return };
    if !sent.parse::<Scope>().is_ok_and(|sent| sent == *scope) {
        let message =
            format!("{} is not the scope of the path, which is '{scope}'.", quoted(&sent));
        problems.value(path, message);
    }
}

/// Reads the body of a role definition.
pub fn definition(body: &[u8]) -> Result<DefinitionSent, ArmError> {
    let json = json::read(body)?;
    let mut problems = Problems::default();
    let sent = a_definition(json, &mut problems);
    problems.or(sent)
}

fn a_definition(json: Json, problems: &mut Problems) -> Option<DefinitionSent> {
    let needed = "an object with 'roleName', 'permissions' and 'assignableScopes'";
    let mut properties = properties(json, needed, problems)?;
    let name = properties.required("roleName", "a name", problems).and_then(|json| {
        let most = ROLE_NAME_CHARS_MAX;
        name(json, "properties.roleName", most, problems)
    });
    let description = properties.optional("description").and_then(|json| {
        let most = ROLE_DESCRIPTION_CHARS_MAX;
        prose(json, "properties.description", most, problems)
    });
    if let Some(json) = properties.optional("type") {
        let custom = RoleKind::CustomRole;
        value::word(json, "properties.type", &[(custom.as_str(), custom)], problems);
    }
    let permissions = properties
        .required("permissions", "a list with what the role allows", problems)
        .and_then(|json| permissions(json, problems));
    let assignable = properties
        .required("assignableScopes", "a list of scopes", problems)
        .and_then(|json| assignable(json, problems));
    properties.overlook(&PROPERTIES_OVERLOOKED);
    properties.close(problems);
    Some(DefinitionSent {
        name: name?,
        description: description.unwrap_or_default(),
        permissions: permissions?,
        assignable: assignable?,
    })
}

fn permissions(json: Json, problems: &mut Problems) -> Option<Vec<Permission>> {
    let path = "properties.permissions";
    let items = value::list(json, path, "a list with what the role allows", problems)?;
    let (mut all, mut patterns) = (Vec::new(), 0);
    for (path, json) in items {
        let permission = permission(json, &path, problems)?;
        patterns += permission.patterns();
        all.push(permission);
    }
    if all.is_empty() {
        problems.value(path, "A role has at least one permission.".to_owned());
        return None;
    }
    if patterns > PATTERNS_MAX {
        let message = format!("The role has {patterns} actions; {PATTERNS_MAX} are accepted.");
        problems.value(path, message);
        return None;
    }
    Some(all)
}

fn permission(json: Json, path: &str, problems: &mut Problems) -> Option<Permission> {
    let mut object = Object::of(json, path, problems)?;
    let mut list = |name, problems: &mut Problems| {
        let path = object.path_of(name);
        object.optional(name).map_or(Some(Vec::new()), |json| patterns(json, &path, problems))
    };
    let actions = list("actions", problems);
    let not_actions = list("notActions", problems);
    let data_actions = list("dataActions", problems);
    let not_data_actions = list("notDataActions", problems);
    // Azure shows them with its built-in roles, and clients copy those.
    unsupported(&mut object, &["condition", "conditionVersion"], problems, |name| {
        format!("Conditions ('{name}') are not evaluated here, so none is accepted.")
    });
    object.close(problems);
    Some(Permission {
        actions: actions?,
        not_actions: not_actions?,
        data_actions: data_actions?,
        not_data_actions: not_data_actions?,
    })
}

/// Patterns of actions. One that is no action here is kept: roles are brought from elsewhere.
fn patterns(json: Json, path: &str, problems: &mut Problems) -> Option<Vec<Pattern>> {
    let mut read = Vec::new();
    for (path, json) in value::list(json, path, "a list of actions", problems)? {
        let sent = value::text(json, &path, "an action", problems)?;
        match sent.parse() {
            Ok(pattern) => read.push(pattern),
            Err(_) => {
                let message = format!(
                    "{} is no action: a provider, a type and a verb such as \
                     'Microsoft.Compute/virtualMachines/read' are, with '*' for any part, or '*' alone.",
                    quoted(&sent)
                );
                problems.coded(Code::InvalidActionOrNotAction, &path, message);
            }
        }
    }
    Some(read)
}

fn assignable(json: Json, problems: &mut Problems) -> Option<Vec<Scope>> {
    let path = "properties.assignableScopes";
    let items = value::list(json, path, "a list of scopes", problems)?;
    if items.len() > ASSIGNABLE_SCOPES_MAX {
        let message =
            format!("{} scopes are named; {ASSIGNABLE_SCOPES_MAX} are accepted.", items.len());
        problems.value(path, message);
        return None;
    }
    let mut read = BTreeSet::new();
    for (path, json) in items {
        let sent = value::text(json, &path, "a scope", problems)?;
        match sent.parse::<Scope>() {
            Ok(scope) => {
                read.insert(scope);
            }
            Err(_) => {
                let message = format!(
                    "{} is no scope: '/subscriptions/{{GUID}}', a resource group or a resource below it is.",
                    quoted(&sent)
                );
                problems.value(&path, message);
            }
        }
    }
    Some(read.into_iter().collect())
}

/// A name that people choose by: none may look like another, or like nothing.
pub(super) fn name(json: Json, path: &str, most: usize, problems: &mut Problems) -> Option<String> {
    let sent = value::text(json, path, "a name", problems)?;
    let chars = sent.chars().count();
    let fits = chars <= most && is_plain(&sent) && sent.trim() == sent && !sent.is_empty();
    if !fits {
        let message = format!(
            "{} is no name: 1 to {most} characters that can all be seen are accepted, with no space at \
             either end.",
            quoted(&sent)
        );
        problems.value(path, message);
    }
    fits.then_some(sent)
}

/// A text for people, kept as it is and escaped where it is shown.
pub(super) fn prose(
    json: Json,
    path: &str,
    most: usize,
    problems: &mut Problems,
) -> Option<String> {
    let sent = value::text(json, path, "a text", problems)?;
    let chars = sent.chars().count();
    if chars > most {
        problems.value(path, format!("The text has {chars} characters; {most} are accepted."));
        return None;
    }
    Some(sent)
}

fn guid(text: &str) -> Option<Uuid> {
    text.parse().ok().filter(|_| text.len() == 36)
}
