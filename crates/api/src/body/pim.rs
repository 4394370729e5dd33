//! The bodies about roles that are activated: what is asked for, what it takes, and a decision.

use std::{collections::BTreeSet, time::Duration};

use hourgate_core::{
    role::{
        Scope,
        activation::{DECIDED_WITHIN, REASON_CHARS_MAX, RoleApproval},
        definition::RoleId,
        principal::PrincipalId,
    },
    time::Timestamp,
};
use uuid::Uuid;

use super::{
    json::{self, Json},
    object::{Object, Problems},
    role::{is_the_scope, principal_id, properties, prose, role, unsupported},
    value,
};
use crate::{error::ArmError, paths::KINDS, text::quoted};

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RequestType {
    /// Give somebody the role, or let them activate it.
    AdminAssign,
    /// Take that away.
    AdminRemove,
    /// Change until when.
    AdminUpdate,
    /// Activate a role of one's own.
    SelfActivate,
    /// Give it back.
    SelfDeactivate,
}

impl RequestType {
    const WORDS: [(&'static str, RequestType); 6] = [
        ("AdminAssign", RequestType::AdminAssign),
        ("AdminRemove", RequestType::AdminRemove),
        ("AdminUpdate", RequestType::AdminUpdate),
        ("AdminExtend", RequestType::AdminUpdate),
        ("SelfActivate", RequestType::SelfActivate),
        ("SelfDeactivate", RequestType::SelfDeactivate),
    ];

    /// As Azure writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            RequestType::AdminAssign => "AdminAssign",
            RequestType::AdminRemove => "AdminRemove",
            RequestType::AdminUpdate => "AdminUpdate",
            RequestType::SelfActivate => "SelfActivate",
            RequestType::SelfDeactivate => "SelfDeactivate",
        }
    }
}

/// Until when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expiration {
    /// Nothing was said.
    Unsaid,
    /// For good.
    Never,
    /// So long.
    After(Duration),
    /// Until then.
    At(Timestamp),
}

/// A request as it was sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScheduleRequestSent {
    /// What for.
    pub request: RequestType,
    /// Which role.
    pub role: RoleId,
    /// Whose.
    pub principal: PrincipalId,
    /// From when on, if it was said.
    pub start: Option<Timestamp>,
    /// Until when.
    pub expiration: Expiration,
    /// By which eligibility alone.
    pub eligibility: Option<Uuid>,
    /// Why.
    pub justification: Option<String>,
    /// The ticket's number, and where it is kept.
    pub ticket: Option<(String, Option<String>)>,
}

/// Reads the body of a request at a scope.
pub fn schedule_request(body: &[u8], scope: &Scope) -> Result<ScheduleRequestSent, ArmError> {
    let json = json::read(body)?;
    let mut problems = Problems::default();
    let sent = a_request(json, scope, &mut problems);
    problems.or(sent)
}

fn a_request(json: Json, scope: &Scope, problems: &mut Problems) -> Option<ScheduleRequestSent> {
    let needed = "an object with 'requestType', 'roleDefinitionId' and 'principalId'";
    let mut properties = properties(json, needed, problems)?;
    let request =
        properties.required("requestType", "what is asked for", problems).and_then(|json| {
            value::word(json, "properties.requestType", &RequestType::WORDS, problems)
        });
    let role = properties
        .required("roleDefinitionId", "the id of a role definition", problems)
        .and_then(|json| role(json, scope, problems));
    let principal = properties
        .required("principalId", "an object id", problems)
        .and_then(|json| principal_id(json, problems));
    if let Some(json) = properties.optional("principalType") {
        value::word(json, "properties.principalType", &KINDS, problems);
    }
    if let Some(json) = properties.optional("scope") {
        is_the_scope(json, scope, problems);
    }
    let (start, expiration) = match properties.optional("scheduleInfo") {
        Some(json) => schedule(json, problems)?,
        None => (None, Expiration::Unsaid),
    };
    let eligibility = properties
        .optional("linkedRoleEligibilityScheduleId")
        .and_then(|json| linked(json, problems));
    let justification = properties
        .optional("justification")
        .and_then(|json| prose(json, "properties.justification", REASON_CHARS_MAX, problems));
    let ticket = properties.optional("ticketInfo").and_then(|json| ticket(json, problems));
    // Silently kept, they would give more than their author meant.
    unsupported(&mut properties, &["condition", "conditionVersion"], problems, |name| {
        format!("Conditions ('{name}') are not evaluated here, so none is accepted.")
    });
    properties.overlook(&[
        "status",
        "approvalId",
        "requestorId",
        "createdOn",
        "expandedProperties",
        "targetRoleAssignmentScheduleId",
        "targetRoleAssignmentScheduleInstanceId",
        "targetRoleEligibilityScheduleId",
        "targetRoleEligibilityScheduleInstanceId",
        "statusReason",
    ]);
    properties.close(problems);
    Some(ScheduleRequestSent {
        request: request?,
        role: role?,
        principal: principal?,
        start,
        expiration,
        eligibility,
        justification,
        ticket,
    })
}

fn schedule(json: Json, problems: &mut Problems) -> Option<(Option<Timestamp>, Expiration)> {
    let path = "properties.scheduleInfo";
    let mut object = Object::of(json, path, problems)?;
    let start = object
        .optional("startDateTime")
        .and_then(|json| value::moment(json, "properties.scheduleInfo.startDateTime", problems));
    let expiration = match object.optional("expiration") {
        Some(json) => expiration(json, problems)?,
        None => Expiration::Unsaid,
    };
    object.close(problems);
    Some((start, expiration))
}

/// Which of the three ways to say until when was meant.
#[derive(Clone, Copy)]
enum Way {
    AfterDuration,
    AfterDateTime,
    NoExpiration,
}

fn expiration(json: Json, problems: &mut Problems) -> Option<Expiration> {
    let path = "properties.scheduleInfo.expiration";
    let mut object = Object::of(json, path, problems)?;
    let words = [
        ("AfterDuration", Way::AfterDuration),
        ("AfterDateTime", Way::AfterDateTime),
        ("NoExpiration", Way::NoExpiration),
    ];
    let way = object
        .optional("type")
        .and_then(|json| value::word(json, &object.path_of("type"), &words, problems));
    // What was sent and is none has its own problem.
    let duration = match object.optional("duration") {
        Some(json) => Some(value::duration(json, &object.path_of("duration"), problems)?),
        None => None,
    };
    let end = match object.optional("endDateTime") {
        Some(json) => Some(value::moment(json, &object.path_of("endDateTime"), problems)?),
        None => None,
    };
    object.close(problems);
    match (way, duration, end) {
        (Some(Way::NoExpiration), _, _) => Some(Expiration::Never),
        (Some(Way::AfterDuration) | None, Some(duration), _) => Some(Expiration::After(duration)),
        (Some(Way::AfterDateTime) | None, _, Some(end)) => Some(Expiration::At(end)),
        (None, None, None) => Some(Expiration::Unsaid),
        (Some(Way::AfterDuration), None, _) => {
            problems.form(path, "'duration' is missing.".to_owned());
            None
        }
        (Some(Way::AfterDateTime), _, None) => {
            problems.form(path, "'endDateTime' is missing.".to_owned());
            None
        }
    }
}

/// An eligibility by its id, or by a path that ends in it.
fn linked(json: Json, problems: &mut Problems) -> Option<Uuid> {
    let path = "properties.linkedRoleEligibilityScheduleId";
    let sent = value::text(json, path, "the id of an eligibility", problems)?;
    let id = sent.rsplit('/').next().unwrap_or_default();
    let read = id.parse().ok();
    if read.is_none() {
        problems.value(path, format!("{} is no id of an eligibility.", quoted(&sent)));
    }
    read
}

fn ticket(json: Json, problems: &mut Problems) -> Option<(String, Option<String>)> {
    let mut object = Object::of(json, "properties.ticketInfo", problems)?;
    let mut text = |name, problems: &mut Problems| {
        let path = object.path_of(name);
        object.optional(name).and_then(|json| prose(json, &path, REASON_CHARS_MAX, problems))
    };
    let (number, system) = (text("ticketNumber", problems), text("ticketSystem", problems));
    object.close(problems);
    Some((number?, system))
}

/// What of a role's rules is to be another way; the rest stays.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RulesSent {
    /// The longest that it is had at once.
    pub longest: Option<Duration>,
    /// What is needed: a second factor, a justification, a ticket.
    pub enabled: Option<Enabled>,
    /// On whose word.
    pub approval: Option<RoleApproval>,
}

/// What a role's rules ask for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Enabled {
    /// A second factor.
    pub second_factor: bool,
    /// A justification.
    pub justification: bool,
    /// A ticket.
    pub ticket: bool,
}

/// Reads what it is to take to activate a role.
pub fn role_rules(body: &[u8]) -> Result<RulesSent, ArmError> {
    let json = json::read(body)?;
    let mut problems = Problems::default();
    let sent = some_rules(json, &mut problems);
    problems.or(sent)
}

fn some_rules(json: Json, problems: &mut Problems) -> Option<RulesSent> {
    let mut properties = properties(json, "an object with 'rules'", problems)?;
    let rules = properties.required("rules", "a list of rules", problems);
    properties.overlook(&[
        "scope",
        "displayName",
        "description",
        "isOrganizationDefault",
        "lastModifiedBy",
        "lastModifiedDateTime",
        "effectiveRules",
        "policyProperties",
    ]);
    properties.close(problems);
    let mut sent = RulesSent::default();
    for (path, json) in value::list(rules?, "properties.rules", "a list of rules", problems)? {
        a_rule(json, &path, &mut sent, problems);
    }
    Some(sent)
}

fn a_rule(json: Json, path: &str, sent: &mut RulesSent, problems: &mut Problems) -> Option<()> {
    let mut object = Object::of(json, path, problems)?;
    let id = object.required("id", "which rule it is", problems)?;
    let id = value::text(id, &object.path_of("id"), "which rule it is", problems)?;
    object.overlook(&["ruleType", "target"]);
    match id.to_ascii_lowercase().as_str() {
        "expiration_enduser_assignment" => {
            let at = object.path_of("maximumDuration");
            let longest = object.required("maximumDuration", "a duration", problems)?;
            sent.longest = value::duration(longest, &at, problems);
            if let Some(json) = object.optional("isExpirationRequired") {
                let at = object.path_of("isExpirationRequired");
                if value::flag(json, &at, problems) == Some(false) {
                    problems.value(&at, "An activated role always has an end.".to_owned());
                }
            }
        }
        "enablement_enduser_assignment" => {
            let at = object.path_of("enabledRules");
            let list = object.required("enabledRules", "a list of rules", problems)?;
            sent.enabled = enabled(list, &at, problems);
        }
        "approval_enduser_assignment" => {
            let at = object.path_of("setting");
            let setting = object.required("setting", "an object", problems)?;
            sent.approval = approval(setting, &at, problems);
        }
        "authenticationcontext_enduser_assignment" => {
            let at = object.path_of("isEnabled");
            let wanted = object.optional("isEnabled");
            if wanted.and_then(|json| value::flag(json, &at, problems)) == Some(true) {
                problems.value(&at, "Authentication contexts are not known here.".to_owned());
            }
            object.overlook(&["claimValue"]);
        }
        _ => {
            let message = format!(
                "The rule {} is not supported here. Those are that end in '_EndUser_Assignment' and begin with \
                 'Expiration', 'Enablement' or 'Approval'.",
                quoted(&id)
            );
            problems.value(&object.path_of("id"), message);
            return None;
        }
    }
    object.close(problems);
    Some(())
}

fn enabled(json: Json, path: &str, problems: &mut Problems) -> Option<Enabled> {
    let mut enabled = Enabled::default();
    for (path, json) in value::list(json, path, "a list of rules", problems)? {
        let words = [("MultiFactorAuthentication", 0), ("Justification", 1), ("Ticketing", 2)];
        match value::word(json, &path, &words, problems)? {
            0 => enabled.second_factor = true,
            1 => enabled.justification = true,
            _ => enabled.ticket = true,
        }
    }
    Some(enabled)
}

fn approval(json: Json, path: &str, problems: &mut Problems) -> Option<RoleApproval> {
    let mut object = Object::of(json, path, problems)?;
    let mut flag = |name, problems: &mut Problems| {
        let at = object.path_of(name);
        object.optional(name).and_then(|json| value::flag(json, &at, problems)).unwrap_or(false)
    };
    let required = flag("isApprovalRequired", problems);
    if flag("isApprovalRequiredForExtension", problems) {
        let at = object.path_of("isApprovalRequiredForExtension");
        problems.value(&at, "Activations are not extended here.".to_owned());
    }
    if let Some(json) = object.optional("approvalMode") {
        let at = object.path_of("approvalMode");
        let words = [("SingleStage", ()), ("NoApproval", ())];
        value::word(json, &at, &words, problems);
    }
    object.overlook(&["isRequestorJustificationRequired"]);
    let at = object.path_of("approvalStages");
    let stages = match object.optional("approvalStages") {
        Some(json) => value::list(json, &at, "a list of stages", problems)?,
        None => Vec::new(),
    };
    object.close(problems);
    if stages.len() > 1 {
        problems.value(&at, "One stage is supported here.".to_owned());
        return None;
    }
    let mut approvers = BTreeSet::new();
    for (path, json) in stages {
        approvers.extend(stage(json, &path, problems)?);
    }
    Some(if required { RoleApproval::OneOf(approvers) } else { RoleApproval::NotNeeded })
}

/// The approvers of a stage. What would ask for more than is done here is refused.
fn stage(json: Json, path: &str, problems: &mut Problems) -> Option<BTreeSet<PrincipalId>> {
    let mut object = Object::of(json, path, problems)?;
    if let Some(json) = object.optional("approvalStageTimeOutInDays") {
        let at = object.path_of("approvalStageTimeOutInDays");
        let days = DECIDED_WITHIN.as_secs() / 86_400;
        value::whole(json, &at, days, days, problems);
    }
    for name in ["isApproverJustificationRequired", "isEscalationEnabled"] {
        let at = object.path_of(name);
        let wanted = object.optional(name);
        if wanted.and_then(|json| value::flag(json, &at, problems)) == Some(true) {
            problems.value(&at, format!("'{name}' is not supported here; send false."));
        }
    }
    object.overlook(&["escalationTimeInMinutes", "escalationApprovers"]);
    let at = object.path_of("primaryApprovers");
    let mut approvers = BTreeSet::new();
    let listed = match object.optional("primaryApprovers") {
        Some(json) => value::list(json, &at, "a list of approvers", problems)?,
        None => Vec::new(),
    };
    object.close(problems);
    for (path, json) in listed {
        let mut approver = Object::of(json, &path, problems)?;
        let at = approver.path_of("id");
        let id = approver.required("id", "an object id", problems)?;
        let sent = value::text(id, &at, "an object id", problems)?;
        match sent.parse() {
            Ok(id) => {
                approvers.insert(id);
            }
            Err(_) => problems.value(&at, format!("{} is no object id.", quoted(&sent))),
        }
        approver.overlook(&["description", "isBackup", "userType"]);
        approver.close(problems);
    }
    Some(approvers)
}

/// A decision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReviewSent {
    /// Whether it is a yes.
    pub approve: bool,
    /// Why.
    pub justification: Option<String>,
}

/// Reads a decision: under `properties`, as Azure's reference has it, or without, as its guide has it.
pub fn review(body: &[u8]) -> Result<ReviewSent, ArmError> {
    let json = json::read(body)?;
    let mut problems = Problems::default();
    let sent = a_review(json, &mut problems);
    problems.or(sent)
}

fn a_review(json: Json, problems: &mut Problems) -> Option<ReviewSent> {
    let mut outer = Object::of(json, "", problems)?;
    let mut object = match outer.optional("properties") {
        Some(json) => {
            outer.overlook(&["id", "name", "type"]);
            outer.close(problems);
            Object::of(json, "properties", problems)?
        }
        None => outer,
    };
    let at = object.path_of("reviewResult");
    let approve = object
        .required("reviewResult", "'Approve' or 'Deny'", problems)
        .and_then(|json| value::word(json, &at, &[("Approve", true), ("Deny", false)], problems));
    let at = object.path_of("justification");
    let justification = object
        .optional("justification")
        .and_then(|json| prose(json, &at, REASON_CHARS_MAX, problems));
    object.overlook(&["displayName", "status", "assignedToMe", "reviewedBy", "reviewedDateTime"]);
    object.close(problems);
    Some(ReviewSent { approve: approve?, justification })
}
