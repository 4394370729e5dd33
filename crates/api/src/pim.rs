//! Roles that are activated, as answers in the shapes of Azure's PIM.

use std::time::Duration;

use hourgate_core::{
    resource::Kind,
    role::{
        Directory, Scope,
        activation::{
            Activation, ActivationEnd, ActivationStage, DECIDED_WITHIN, Eligibility, RoleApproval,
            Rules,
        },
        assignment::Assignment,
        definition::RoleId,
        principal::PrincipalId,
        scope::Place,
    },
    time::Timestamp,
};
use serde::Serialize;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::{
    body::RequestType,
    paths::{ApprovalRoute, Of, Route},
    role::definition_id,
    time::{IsoDuration, UtcTime},
};

/// Anything of Azure's: what it says, and who it is.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PimResource {
    /// What it says.
    pub properties: Value,
    /// Its name.
    pub name: String,
    /// Its resource id.
    pub id: String,
    /// Its type.
    #[serde(rename = "type")]
    pub resource_type: String,
}

impl PimResource {
    fn new(scope: &Scope, kind: &str, name: impl ToString, properties: Value) -> PimResource {
        let (name, resource_type) = (name.to_string(), format!("Microsoft.Authorization/{kind}"));
        let id = format!("{scope}/providers/{resource_type}/{name}");
        PimResource { properties, name, id, resource_type }
    }
}

/// Names of what an answer speaks of, where they are known.
fn expanded(directory: &Directory, scope: &Scope, role: RoleId, who: PrincipalId) -> Value {
    let kind = match scope.place() {
        Place::Subscription => "subscription",
        Place::Resource(id) if id.kind == Kind::ResourceGroups => "resourcegroup",
        Place::Resource(_) | Place::Policy(_) | Place::Other => "resource",
    };
    let scope_name = scope.as_str().rsplit('/').next().unwrap_or_default();
    let definition = directory.definition(role).map(|role| role.said());
    let principal = directory.principal(who);
    json!({
        "scope": { "id": scope.as_str(), "displayName": scope_name, "type": kind },
        "roleDefinition": {
            "id": definition_id(scope.of_subscription(), role),
            "displayName": definition.map(|said| said.name.clone()),
            "type": definition.map(|said| said.kind.as_str()),
        },
        "principal": {
            "id": who,
            "displayName": principal.map(|who| who.name.0.clone()),
            "email": principal.and_then(|who| who.upn.as_ref()).map(|upn| upn.0.clone()),
            "type": principal.map(|who| who.kind.as_str()),
        },
    })
}

/// What every answer about a role of somebody says.
fn common(directory: &Directory, scope: &Scope, role: RoleId, who: PrincipalId) -> Value {
    json!({
        "scope": scope.as_str(),
        "roleDefinitionId": definition_id(scope.of_subscription(), role),
        "principalId": who,
        "principalType": directory.principal(who).map(|who| who.kind.as_str()),
        "condition": null,
        "conditionVersion": null,
        "expandedProperties": expanded(directory, scope, role, who),
    })
}

fn with(mut properties: Value, more: Value) -> Value {
    if let (Value::Object(all), Value::Object(more)) = (&mut properties, more) {
        all.extend(more);
    }
    properties
}

fn schedule_info(start: Timestamp, length: Option<Duration>, end: Option<Timestamp>) -> Value {
    let kind = match (length, end) {
        (Some(_), _) => "AfterDuration",
        (None, Some(_)) => "AfterDateTime",
        (None, None) => "NoExpiration",
    };
    json!({
        "startDateTime": UtcTime(start),
        "expiration": {
            "type": kind,
            "endDateTime": end.map(UtcTime),
            "duration": length.map(IsoDuration),
        },
    })
}

const fn requests_type(of: Of) -> &'static str {
    match of {
        Of::Assignment => "RoleAssignmentScheduleRequests",
        Of::Eligibility => "RoleEligibilityScheduleRequests",
    }
}

/// What a request that is done says, where nothing of it is kept but what it did.
pub struct Done<'a> {
    /// What it was about.
    pub of: Of,
    /// What was asked for.
    pub request: RequestType,
    /// Its name.
    pub name: Uuid,
    /// Where.
    pub scope: &'a Scope,
    /// Which role.
    pub role: RoleId,
    /// Whose.
    pub principal: PrincipalId,
    /// Which schedule it made or took.
    pub target: Uuid,
    /// Since when.
    pub since: Timestamp,
    /// Until when.
    pub until: Option<Timestamp>,
    /// Who asked.
    pub by: Option<String>,
}

/// A request that is done.
pub fn done(directory: &Directory, done: &Done<'_>) -> PimResource {
    let status = match done.request {
        RequestType::AdminRemove | RequestType::SelfDeactivate => "Revoked",
        RequestType::AdminAssign | RequestType::AdminUpdate | RequestType::SelfActivate => {
            "Provisioned"
        }
    };
    let target = match done.of {
        Of::Assignment => "targetRoleAssignmentScheduleId",
        Of::Eligibility => "targetRoleEligibilityScheduleId",
    };
    let more = json!({
        target: done.target,
        "requestType": done.request.as_str(),
        "status": status,
        "approvalId": null,
        "scheduleInfo": schedule_info(done.since, None, done.until),
        "ticketInfo": { "ticketNumber": null, "ticketSystem": null },
        "justification": null,
        "requestorId": done.by,
        "createdOn": UtcTime(done.since),
    });
    let common = common(directory, done.scope, done.role, done.principal);
    PimResource::new(done.scope, requests_type(done.of), done.name, with(common, more))
}

/// The request that made somebody eligible.
pub fn eligibility_request(directory: &Directory, given: &Eligibility) -> PimResource {
    done(
        directory,
        &Done {
            of: Of::Eligibility,
            request: RequestType::AdminAssign,
            name: given.id,
            scope: &given.scope,
            role: given.role,
            principal: given.principal,
            target: given.id,
            since: given.created,
            until: given.until.map(|until| until.wall),
            by: given.by.as_ref().map(|by| by.0.clone()),
        },
    )
}

/// The request that gave somebody a role.
pub fn assignment_request(directory: &Directory, given: &Assignment) -> PimResource {
    done(
        directory,
        &Done {
            of: Of::Assignment,
            request: RequestType::AdminAssign,
            name: given.id,
            scope: &given.scope,
            role: given.role,
            principal: given.principal,
            target: given.id,
            since: given.created,
            until: given.until.map(|until| until.wall),
            by: given.by.as_ref().map(|by| by.0.clone()),
        },
    )
}

/// The request that an activation is. Ours is `statusReason`: why one that is over is.
pub fn activation_request(directory: &Directory, activation: &Activation) -> PimResource {
    let who = activation.person.id.principal().unwrap_or_default();
    let (status, reason) = match &activation.stage {
        ActivationStage::Waiting { .. } => ("PendingApproval", None),
        ActivationStage::Active { .. } => ("Provisioned", None),
        ActivationStage::Ended { why, .. } => match why {
            ActivationEnd::Expired => ("Revoked", Some("Expired")),
            ActivationEnd::Deactivated => ("Revoked", Some("Deactivated")),
            ActivationEnd::Denied => ("Denied", None),
            ActivationEnd::Lapsed => ("TimedOut", None),
            ActivationEnd::Canceled => ("Canceled", None),
            ActivationEnd::Withdrawn => ("Revoked", Some("Withdrawn")),
        },
    };
    let (start, needed) = match &activation.stage {
        ActivationStage::Waiting { .. } => (activation.created, true),
        ActivationStage::Active { since, decision, .. } => (*since, decision.is_some()),
        ActivationStage::Ended { why, decision, .. } => {
            let lapsed = matches!(why, ActivationEnd::Lapsed | ActivationEnd::Canceled);
            (activation.created, decision.is_some() || lapsed)
        }
    };
    let ticket = activation.ticket.as_ref();
    let mut more = json!({
        "targetRoleAssignmentScheduleId": activation.assignment(),
        "targetRoleAssignmentScheduleInstanceId": null,
        "requestType": RequestType::SelfActivate.as_str(),
        "linkedRoleEligibilityScheduleId": activation.eligibility,
        "status": status,
        "approvalId": needed.then(|| approval_id(activation.id)),
        "scheduleInfo": schedule_info(start, Some(activation.length), None),
        "ticketInfo": {
            "ticketNumber": ticket.map(|ticket| ticket.number.0.clone()),
            "ticketSystem": ticket.and_then(|ticket| ticket.system.as_ref()).map(|text| text.0.clone()),
        },
        "justification": activation.justification.as_ref().map(|why| why.0.clone()),
        "requestorId": activation.person.id.0,
        "createdOn": UtcTime(activation.created),
    });
    if let Some(reason) = reason {
        more = with(more, json!({ "statusReason": reason }));
    }
    let common = common(directory, &activation.scope, activation.role, who);
    let kind = requests_type(Of::Assignment);
    PimResource::new(&activation.scope, kind, activation.id, with(common, more))
}

/// How somebody comes to what is listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Member {
    /// It is theirs.
    Direct,
    /// It is a group's.
    Group,
}

impl Member {
    const fn as_str(self) -> &'static str {
        match self {
            Member::Direct => "Direct",
            Member::Group => "Group",
        }
    }
}

/// That somebody may activate a role, as a schedule or as what holds now.
pub fn eligibility(
    directory: &Directory,
    given: &Eligibility,
    member: Member,
    instance: bool,
) -> PimResource {
    let kind =
        if instance { "roleEligibilityScheduleInstances" } else { "roleEligibilitySchedules" };
    let of =
        if instance { "roleEligibilityScheduleId" } else { "roleEligibilityScheduleRequestId" };
    let more = json!({
        of: given.id,
        "memberType": member.as_str(),
        "status": "Provisioned",
        "startDateTime": UtcTime(given.created),
        "endDateTime": given.until.map(|until| UtcTime(until.wall)),
        "createdOn": UtcTime(given.created),
    });
    let common = common(directory, &given.scope, given.role, given.principal);
    PimResource::new(&given.scope, kind, given.id, with(common, more))
}

/// That somebody has a role, as a schedule or as what holds now.
pub fn assignment(
    directory: &Directory,
    given: &Assignment,
    member: Member,
    instance: bool,
) -> PimResource {
    let activation = directory.activation_of(given.id);
    let kind = if instance { "roleAssignmentScheduleInstances" } else { "roleAssignmentSchedules" };
    let (of, by) = if instance {
        ("roleAssignmentScheduleId", given.id)
    } else {
        let request = activation.map_or(given.id, |activation| activation.id);
        ("roleAssignmentScheduleRequestId", request)
    };
    let more = json!({
        of: by,
        "linkedRoleEligibilityScheduleId": activation.map(|activation| activation.eligibility),
        "assignmentType": if activation.is_some() { "Activated" } else { "Assigned" },
        "memberType": member.as_str(),
        "status": "Provisioned",
        "startDateTime": UtcTime(given.created),
        "endDateTime": given.until.map(|until| UtcTime(until.wall)),
        "createdOn": UtcTime(given.created),
    });
    let common = common(directory, &given.scope, given.role, given.principal);
    PimResource::new(&given.scope, kind, given.id, with(common, more))
}

/// What it takes to activate a role, as the policy of that role at a scope.
pub fn policy(directory: &Directory, rules: &Rules) -> PimResource {
    let said = rules_said(directory, rules);
    let properties = json!({
        "scope": rules.scope.as_str(),
        "displayName": directory.definition(rules.role).map(|role| role.said().name.clone()),
        "isOrganizationDefault": directory.set_rules_of(rules.role, &rules.scope).is_none(),
        "rules": said.clone(),
        "effectiveRules": said,
    });
    PimResource::new(&rules.scope, "roleManagementPolicies", rules.role, properties)
}

/// Which policy is for a role at a scope: its own.
pub fn policy_assignment(directory: &Directory, rules: &Rules) -> PimResource {
    let policy = policy(directory, rules);
    let properties = json!({
        "scope": rules.scope.as_str(),
        "roleDefinitionId": definition_id(rules.scope.of_subscription(), rules.role),
        "policyId": policy.id,
        "effectiveRules": policy.properties["effectiveRules"],
    });
    let name = format!("{}_{}", rules.role, rules.role);
    PimResource::new(&rules.scope, "roleManagementPolicyAssignments", name, properties)
}

fn rules_said(directory: &Directory, rules: &Rules) -> Value {
    let target = json!({
        "caller": "EndUser",
        "operations": ["All"],
        "level": "Assignment",
        "targetObjects": null,
        "inheritableSettings": null,
        "enforcedSettings": null,
    });
    let enabled: Vec<&str> = [
        (rules.second_factor, "MultiFactorAuthentication"),
        (rules.justification, "Justification"),
        (rules.ticket, "Ticketing"),
    ]
    .into_iter()
    .filter_map(|(is, word)| is.then_some(word))
    .collect();
    let (required, approvers) = match &rules.approval {
        RoleApproval::NotNeeded => (false, Vec::new()),
        RoleApproval::OneOf(approvers) => (true, approvers.iter().copied().collect()),
    };
    let approver = |id: &PrincipalId| {
        let who = directory.principal(*id);
        json!({
            "id": id,
            "description": who.map(|who| who.name.0.clone()),
            "isBackup": false,
            "userType": who.map(|who| who.kind.as_str()),
        })
    };
    json!([
        {
            "setting": {
                "isApprovalRequired": required,
                "isApprovalRequiredForExtension": false,
                "isRequestorJustificationRequired": rules.justification,
                "approvalMode": if required { "SingleStage" } else { "NoApproval" },
                "approvalStages": [{
                    "approvalStageTimeOutInDays": DECIDED_WITHIN.as_secs() / 86_400,
                    "isApproverJustificationRequired": false,
                    "escalationTimeInMinutes": 0,
                    "primaryApprovers": approvers.iter().map(approver).collect::<Vec<Value>>(),
                    "isEscalationEnabled": false,
                    "escalationApprovers": null,
                }],
            },
            "id": "Approval_EndUser_Assignment",
            "ruleType": "RoleManagementPolicyApprovalRule",
            "target": target.clone(),
        },
        {
            "enabledRules": enabled,
            "id": "Enablement_EndUser_Assignment",
            "ruleType": "RoleManagementPolicyEnablementRule",
            "target": target.clone(),
        },
        {
            "isExpirationRequired": true,
            "maximumDuration": IsoDuration(rules.longest),
            "id": "Expiration_EndUser_Assignment",
            "ruleType": "RoleManagementPolicyExpirationRule",
            "target": target,
        },
    ])
}

fn approval_id(activation: Uuid) -> String {
    Route::Approvals(None, ApprovalRoute::One(activation)).to_string()
}

/// The decision about an activation, which has one stage.
pub fn approval(activation: &Activation, assigned_to_me: bool) -> Value {
    let id = approval_id(activation.id);
    json!({
        "id": id,
        "type": "Microsoft.Authorization/roleAssignmentApprovals",
        "name": activation.id,
        "properties": { "stages": [stage(activation, assigned_to_me)] },
    })
}

/// That stage.
pub fn stage(activation: &Activation, assigned_to_me: bool) -> Value {
    let decision = match &activation.stage {
        ActivationStage::Waiting { .. } => None,
        ActivationStage::Active { decision, .. } | ActivationStage::Ended { decision, .. } => {
            decision.as_ref()
        }
    };
    let denied =
        matches!(activation.stage, ActivationStage::Ended { why: ActivationEnd::Denied, .. });
    let result = match decision {
        None => "NotReviewed",
        Some(_) if denied => "Deny",
        Some(_) => "Approve",
    };
    let waits = matches!(activation.stage, ActivationStage::Waiting { .. });
    let by = decision.map(|decision| {
        json!({
            "principalType": "user",
            "principalId": decision.by.id.0,
            "principalName": decision.by.name.0,
            "userPrincipalName": decision.by.upn.as_ref().map(|upn| upn.0.clone()),
        })
    });
    let why = decision.and_then(|decision| decision.why.as_ref()).map(|why| why.0.clone());
    let route = Route::Approvals(None, ApprovalRoute::Stage(activation.id, activation.id));
    json!({
        "id": route.to_string(),
        "type": "Microsoft.Authorization/roleAssignmentApprovals/stages",
        "name": activation.id,
        "properties": {
            "displayName": "Approval",
            "assignedToMe": assigned_to_me,
            "status": if waits { "InProgress" } else { "Completed" },
            "reviewedBy": by,
            "reviewedDateTime": decision.map(|decision| UtcTime(decision.at)),
            "reviewResult": result,
            "justification": why.unwrap_or_default(),
        },
    })
}
