//! Whether somebody may ask for access to a machine's port, and what is missing: the question in a query, and
//! its answer.

use hourgate_core::{
    id::VmId,
    network::{Port, Source},
    role::{Action, Person, Scope, principal::PrincipalId},
    time::Timestamp,
};
use serde::{Deserialize, Serialize};

use crate::{
    error::{ArmError, Code},
    paths::first,
    text::{listed, moment, quoted, span},
    time::{IsoDuration, UtcTime},
};

/// How many roles or people one sentence names.
const NAMED_MAX: usize = 10;

/// What is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    /// Of which machine.
    pub vm: VmId,
    /// Of which port.
    pub port: Port,
    /// From where; from where the caller is, where not said.
    pub from: Option<Source>,
    /// Of whom; of the caller, where not said.
    pub principal: Option<PrincipalId>,
}

impl Question {
    /// Reads `vm`, `port`, and where they are there `from` and `principal`.
    pub fn parse(query: Option<&str>) -> Result<Question, ArmError> {
        let (vm, port) = ("the resource id of a VM", "a port, 1 to 65535");
        Ok(Question {
            vm: read(query, "vm", vm, |text| text.parse().ok())?
                .ok_or_else(|| missing("vm", vm))?,
            port: read(query, "port", port, |text| text.parse().ok().and_then(Port::new))?
                .ok_or_else(|| missing("port", port))?,
            from: read(query, "from", "an IP address or a prefix", |text| text.parse().ok())?,
            principal: read(query, "principal", "an object id", |text| text.parse().ok())?,
        })
    }
}

fn read<T>(
    query: Option<&str>,
    name: &'static str,
    needed: &str,
    parse: impl FnOnce(&str) -> Option<T>,
) -> Result<Option<T>, ArmError> {
    let Some(sent) = first(query, name) else { return Ok(None) };
    parse(&sent).map(Some).ok_or_else(|| {
        let message = format!("{} is not accepted: {needed} is.", quoted(&sent));
        ArmError::new(Code::InvalidParameter, message).at(name)
    })
}

fn missing(name: &'static str, needed: &str) -> ArmError {
    ArmError::new(Code::InvalidParameter, format!("'{name}' is missing: {needed} is needed."))
        .at(name)
}

/// The answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CanAnswer {
    /// Whether they could ask now and would not be refused.
    pub allowed: bool,
    /// Of whom it was asked.
    pub principal: PrincipalSeen,
    /// The machine.
    pub vm: String,
    /// The port.
    pub port: u16,
    /// The policy to ask, where there is one that the caller may know of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy: Option<String>,
    /// What is missing; nothing where it is allowed.
    pub reasons: Vec<Reason>,
}

/// Somebody.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PrincipalSeen {
    /// The object id.
    pub id: String,
    /// What they are called.
    pub name: String,
}

/// Something that is missing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Reason {
    /// A word for machines: `RoleNeeded`, `RoleNotActive`, `GroupsTooOld`, `NoPolicy`, or the code of the refusal that a request
    /// would meet.
    pub code: String,
    /// For a person.
    pub message: String,
    /// The action that no role of theirs allows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub action: Option<String>,
    /// Where it would have to be allowed; of a role that is not active, where it can be activated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scope: Option<String>,
    /// The roles that would allow it there, by their names.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub roles: Vec<String>,
    /// Who can give roles there.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub given_by: Vec<String>,
    /// When their issuer last spoke of their groups.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub groups_known_on: Option<UtcTime>,
    /// How long such a word holds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub groups_hold: Option<IsoDuration>,
}

impl CanAnswer {
    /// An answer about somebody; `policy` where the caller may know of one.
    pub fn new(
        who: &Person,
        question: &Question,
        policy: Option<String>,
        reasons: Vec<Reason>,
    ) -> CanAnswer {
        CanAnswer {
            allowed: reasons.is_empty(),
            principal: PrincipalSeen { id: who.id.0.clone(), name: who.name.0.clone() },
            vm: question.vm.to_string(),
            port: question.port.number(),
            policy,
            reasons,
        }
    }
}

impl Reason {
    fn said(code: &str, message: String) -> Reason {
        Reason {
            code: code.to_owned(),
            message,
            action: None,
            scope: None,
            roles: Vec::new(),
            given_by: Vec::new(),
            groups_known_on: None,
            groups_hold: None,
        }
    }

    /// No role of theirs allows an action there. `roles` would, and those in `by` can give one.
    pub fn role(action: Action, scope: &Scope, roles: Vec<String>, by: Vec<String>) -> Reason {
        let quote =
            |names: &[String]| -> Vec<String> { names.iter().map(|name| quoted(name)).collect() };
        let name = action.name();
        let mut message = format!("No role allows '{name}' at '{scope}'.");
        if !roles.is_empty() {
            message += &format!(" These would: {}.", listed(&quote(&roles), NAMED_MAX));
        }
        if !by.is_empty() {
            message += &format!(" Who can give one: {}.", listed(&quote(&by), NAMED_MAX));
        }
        Reason {
            action: Some(name.to_owned()),
            scope: Some(scope.to_string()),
            roles,
            given_by: by,
            ..Reason::said("RoleNeeded", message)
        }
    }

    /// They may activate a role that allows it, and have not.
    pub fn not_active(action: Action, scope: &Scope, role: &str, at: &Scope) -> Reason {
        let name = action.name();
        let message = format!(
            "No role that is active allows '{name}' at '{scope}'. Activate {}, for which they are eligible at \
             '{at}'.",
            quoted(role)
        );
        Reason {
            action: Some(name.to_owned()),
            scope: Some(at.to_string()),
            roles: vec![role.to_owned()],
            ..Reason::said("RoleNotActive", message)
        }
    }

    /// Their groups would have the right, and their issuer has not spoken of them for too long.
    pub fn groups_too_old(at: Option<Timestamp>, hold: std::time::Duration) -> Reason {
        let known = at.map_or_else(|| "never".to_owned(), |at| format!("at {}", moment(at)));
        let message = format!(
            "A group has the right, but what is known of the groups is too old: it was last said {known}, and \
             holds for {}. Sign in again.",
            span(hold)
        );
        Reason {
            groups_known_on: at.map(UtcTime),
            groups_hold: Some(IsoDuration(hold)),
            ..Reason::said("GroupsTooOld", message)
        }
    }

    /// No policy holds the machine, or none that the caller may know of.
    pub fn no_policy(vm: &VmId) -> Reason {
        let message = format!("No JIT policy that you may see holds '{vm}'.");
        Reason::said("NoPolicy", message)
    }

    /// What a request would be refused for.
    pub fn refused(error: &ArmError) -> Vec<Reason> {
        let one = |error: &ArmError| Reason::said(&error.code.to_string(), error.message.clone());
        if error.details.is_empty() {
            vec![one(error)]
        } else {
            error.details.iter().map(one).collect()
        }
    }
}
