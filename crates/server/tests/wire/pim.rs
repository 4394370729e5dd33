//! Roles that are activated, in the shapes of Azure's PIM: made eligible, asked for, approved, given back.

use std::{collections::BTreeSet, time::Duration};

use hourgate_core::role::built_in::{CONTRIBUTOR, JIT_REQUESTER, OWNER, READER};
use reqwest::Method;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::harness::{Running, id_of, start};

const V: &str = "api-version=2020-10-01";
/// Where everything happens.
const GROUP: &str = "/resourceGroups/rg1";
/// Of a request for a role; and of an eligibility.
const ASK: &str = "fea7a502-9a96-4806-a26f-eee560e52045";
const ELIGIBLE: &str = "64caffb6-55c0-4deb-a585-68e948ea1ad6";

fn at(server: &Running, scope: &str, rest: &str) -> String {
    let join = if rest.contains('?') { "&" } else { "?" };
    format!("{}{scope}/providers/Microsoft.Authorization/{rest}{join}{V}", server.s())
}

fn role_id(server: &Running, role: Uuid) -> String {
    format!("{}/providers/Microsoft.Authorization/roleDefinitions/{role}", server.s())
}

/// A request of Azure's documentation, with this type, for this role of this principal.
fn body(server: &Running, kind: &str, role: Uuid, who: Uuid) -> Value {
    json!({"properties": {
        "principalId": who,
        "roleDefinitionId": role_id(server, role),
        "requestType": kind,
        "justification": "The move.",
        "scheduleInfo": {"expiration": {"type": "AfterDuration", "endDateTime": null, "duration": "PT2H"}},
    }})
}

fn eligible_path(server: &Running, name: &str) -> String {
    at(server, GROUP, &format!("roleEligibilityScheduleRequests/{name}"))
}

fn ask_path(server: &Running, name: &str) -> String {
    at(server, GROUP, &format!("roleAssignmentScheduleRequests/{name}"))
}

fn code(answer: &Value) -> &str {
    answer["error"]["code"].as_str().unwrap_or_default()
}

fn names(list: &Value) -> Vec<&str> {
    let items = list["value"].as_array().expect("a list").iter();
    items.map(|item| item["name"].as_str().expect("a name")).collect()
}

fn keys(value: &Value) -> BTreeSet<&str> {
    value.as_object().expect("an object").keys().map(String::as_str).collect()
}

/// Somebody who may activate JIT Access Requester in the group.
async fn eligible() -> (Running, Uuid) {
    let server = start().await;
    server.protect().await;
    let anna = server.person("anna", &[]).await;
    let mut sent = body(&server, "AdminAssign", JIT_REQUESTER, anna);
    sent["properties"]["scheduleInfo"]["expiration"]["duration"] = json!("P365D");
    let (status, answer) =
        server.json(Method::PUT, &eligible_path(&server, ELIGIBLE), Some(&sent)).await;
    assert_eq!(status, 201, "{answer}");
    assert_eq!(answer["properties"]["status"], "Provisioned");
    (server, anna)
}

/// Sets what it takes to activate JIT Access Requester.
async fn rules(server: &Running, rules: Value) -> (u16, Value) {
    let path = at(server, GROUP, &format!("roleManagementPolicies/{JIT_REQUESTER}"));
    server.json(Method::PATCH, &path, Some(&json!({"properties": {"rules": rules}}))).await
}

fn approved_by(approvers: &[Uuid]) -> Value {
    let listed: Vec<Value> =
        approvers.iter().map(|id| json!({"id": id, "userType": "User"})).collect();
    json!([{"id": "Approval_EndUser_Assignment", "setting": {
        "isApprovalRequired": true,
        "approvalMode": "SingleStage",
        "approvalStages": [{"approvalStageTimeOutInDays": 1, "primaryApprovers": listed}],
    }}])
}

#[tokio::test]
async fn a_role_is_activated_used_and_given_back() {
    let (server, anna) = eligible().await;
    let ask = body(&server, "SelfActivate", JIT_REQUESTER, anna);
    let initiate = format!("{}/initiate?api-version=2020-01-01", server.policy_id("rg1"));
    let asked = server.ask_body("web-1", 22);
    assert_eq!(server.json_as(anna, Method::POST, &initiate, Some(&asked)).await.0, 403);

    // What would come of it is told, and does nothing.
    let validate = at(&server, GROUP, &format!("roleAssignmentScheduleRequests/{ASK}/validate"));
    let (status, told) = server.json_as(anna, Method::POST, &validate, Some(&ask)).await;
    assert_eq!((status, &told["properties"]["status"]), (200, &json!("Provisioned")), "{told}");
    assert_eq!(server.json_as(anna, Method::POST, &initiate, Some(&asked)).await.0, 403);

    // That a role waits to be activated is told where one asks what one may.
    let (_, me) = server.json_as(anna, Method::GET, "/whoami?api-version=2026-11-01", None).await;
    let scope = format!("{}{GROUP}", server.s());
    let waits = &me["eligibleRoles"][0];
    assert_eq!((&waits["role"], &waits["scope"]), (&json!("JIT Access Requester"), &json!(scope)));
    let vm = server.vm_id("rg1", "web-1");
    let can = format!("{}/providers/Hourgate.Access/can?vm={vm}&port=22&{V}", server.s());
    let (_, answer) = server.json_as(anna, Method::GET, &can, None).await;
    let reason = &answer["reasons"][0];
    assert_eq!(
        (&reason["code"], &reason["scope"]),
        (&json!("RoleNotActive"), &json!(scope)),
        "{answer}"
    );
    assert_eq!(reason["roles"], json!(["JIT Access Requester"]));

    let (status, shown) =
        server.json_as(anna, Method::PUT, &ask_path(&server, ASK), Some(&ask)).await;
    assert_eq!(status, 201, "{shown}");
    // All that Azure's example has, and what its model has besides.
    let properties = [
        "targetRoleAssignmentScheduleId",
        "targetRoleAssignmentScheduleInstanceId",
        "scope",
        "roleDefinitionId",
        "principalId",
        "principalType",
        "requestType",
        "status",
        "approvalId",
        "scheduleInfo",
        "ticketInfo",
        "justification",
        "requestorId",
        "createdOn",
        "condition",
        "conditionVersion",
        "expandedProperties",
        "linkedRoleEligibilityScheduleId",
    ];
    assert_eq!(keys(&shown), BTreeSet::from(["properties", "name", "id", "type"]));
    assert_eq!(keys(&shown["properties"]), BTreeSet::from(properties));
    assert_eq!(shown["name"], ASK);
    assert_eq!(shown["type"], "Microsoft.Authorization/RoleAssignmentScheduleRequests");
    let said = &shown["properties"];
    assert_eq!((&said["status"], &said["approvalId"]), (&json!("Provisioned"), &Value::Null));
    assert_eq!(said["linkedRoleEligibilityScheduleId"], ELIGIBLE);
    assert_eq!(said["scheduleInfo"]["expiration"]["duration"], "PT2H");
    let names_of = &said["expandedProperties"];
    assert_eq!(names_of["roleDefinition"]["displayName"], "JIT Access Requester");
    assert_eq!(names_of["principal"]["displayName"], "anna");
    assert_eq!(names_of["scope"]["type"], "resourcegroup");
    let (status, answer) = server.json_as(anna, Method::POST, &initiate, Some(&asked)).await;
    assert_eq!(status, 202, "{answer}");
    let request = answer["id"].as_str().expect("an id").to_owned();

    // It is listed as hers, and as active.
    let list = async |what: &str| {
        let path = at(&server, GROUP, &format!("{what}?$filter=asTarget()"));
        let (status, list) = server.json_as(anna, Method::GET, &path, None).await;
        assert_eq!(status, 200, "{what}: {list}");
        list
    };
    assert_eq!(names(&list("roleEligibilityScheduleInstances").await), [ELIGIBLE]);
    assert_eq!(names(&list("roleEligibilitySchedules").await), [ELIGIBLE]);
    assert_eq!(names(&list("roleAssignmentScheduleRequests").await), [ASK]);
    let active = list("roleAssignmentScheduleInstances").await;
    let one = &active["value"][0]["properties"];
    assert_eq!(
        (&one["assignmentType"], &one["memberType"]),
        (&json!("Activated"), &json!("Direct"))
    );
    assert_eq!(one["linkedRoleEligibilityScheduleId"], ELIGIBLE);

    // Given back, it is over, and so is what it opened.
    let back = body(&server, "SelfDeactivate", JIT_REQUESTER, anna);
    let path = ask_path(&server, &id_of("back").to_string());
    let (status, answer) = server.json_as(anna, Method::PUT, &path, Some(&back)).await;
    assert_eq!((status, &answer["properties"]["status"]), (201, &json!("Revoked")), "{answer}");
    let (_, shown) = server.json_as(anna, Method::GET, &ask_path(&server, ASK), None).await;
    let said = &shown["properties"];
    assert_eq!(
        (&said["status"], &said["statusReason"]),
        (&json!("Revoked"), &json!("Deactivated"))
    );
    assert_eq!(names(&list("roleAssignmentScheduleInstances").await), [""; 0]);
    let (_, ended) = server.json(Method::GET, &server.request_path(&request), None).await;
    assert_eq!(ended["virtualMachines"][0]["ports"][0]["status"], "Revoked");
}

#[tokio::test]
async fn each_rule_that_is_not_met_is_told() {
    let (server, anna) = eligible().await;
    let enabled = json!([
        {"id": "Enablement_EndUser_Assignment", "ruleType": "RoleManagementPolicyEnablementRule",
         "enabledRules": ["MultiFactorAuthentication", "Justification", "Ticketing"]},
        {"id": "Expiration_EndUser_Assignment", "isExpirationRequired": true, "maximumDuration": "PT1H"},
    ]);
    let (status, policy) = rules(&server, enabled).await;
    assert_eq!(status, 200, "{policy}");
    let said = policy["properties"]["rules"].as_array().expect("rules");
    let of = |id: &str| said.iter().find(|rule| rule["id"] == id).expect("a rule");
    assert_eq!(of("Expiration_EndUser_Assignment")["maximumDuration"], "PT1H");
    assert_eq!(
        of("Enablement_EndUser_Assignment")["enabledRules"],
        json!(["MultiFactorAuthentication", "Justification", "Ticketing"])
    );
    assert_eq!(of("Approval_EndUser_Assignment")["setting"]["isApprovalRequired"], false);
    // Sent back as it was read, it stays as it is.
    let (status, again) = rules(&server, policy["properties"]["rules"].clone()).await;
    assert_eq!((status, &again), (200, &policy));
    // Whoever may activate it may know what it takes; and which policy is whose is told too.
    let list = at(
        &server,
        GROUP,
        &format!("roleManagementPolicyAssignments?$filter=roleDefinitionId eq '{JIT_REQUESTER}'"),
    );
    let (status, list) = server.json_as(anna, Method::GET, &list, None).await;
    assert_eq!(
        (status, &list["value"][0]["properties"]["policyId"]),
        (200, &policy["id"]),
        "{list}"
    );

    let mut ask = body(&server, "SelfActivate", JIT_REQUESTER, anna);
    ask["properties"]["justification"] = json!("  ");
    let (status, answer) =
        server.json_as(anna, Method::PUT, &ask_path(&server, ASK), Some(&ask)).await;
    assert_eq!((status, code(&answer)), (400, "RoleAssignmentRequestPolicyValidationFailed"));
    let message = answer["error"]["message"].as_str().expect("a message");
    for rule in ["ExpirationRule", "JustificationRule", "TicketingRule", "MfaRule"] {
        assert!(message.contains(rule), "{message}");
    }
    let (status, _) = server.json_as(anna, Method::GET, &ask_path(&server, ASK), None).await;
    assert_eq!(status, 403, "nothing came of it");
}

#[tokio::test]
async fn somebody_else_says_yes_or_no_and_strangers_hear_of_neither() {
    let (server, anna) = eligible().await;
    let boss = server.person("boss", &[]).await;
    let carl = server.person("carl", &[]).await;
    assert_eq!(rules(&server, approved_by(&[boss])).await.0, 200);
    let ask = body(&server, "SelfActivate", JIT_REQUESTER, anna);
    let (status, shown) =
        server.json_as(anna, Method::PUT, &ask_path(&server, ASK), Some(&ask)).await;
    assert_eq!(
        (status, &shown["properties"]["status"]),
        (201, &json!("PendingApproval")),
        "{shown}"
    );
    let approval = shown["properties"]["approvalId"].as_str().expect("an approval").to_owned();
    assert_eq!(
        approval,
        format!("/providers/Microsoft.Authorization/roleAssignmentApprovals/{ASK}")
    );
    let path = format!("{approval}?api-version=2021-01-01-preview");
    let (status, seen) = server.json_as(boss, Method::GET, &path, None).await;
    let stage = &seen["properties"]["stages"][0];
    assert_eq!((status, &stage["properties"]["assignedToMe"]), (200, &json!(true)), "{seen}");
    let expected = [
        "displayName",
        "assignedToMe",
        "status",
        "reviewedBy",
        "reviewedDateTime",
        "reviewResult",
        "justification",
    ];
    assert_eq!(keys(&stage["properties"]), BTreeSet::from(expected));
    assert_eq!(stage["properties"]["reviewResult"], "NotReviewed");
    let mine = "/providers/Microsoft.Authorization/roleAssignmentApprovals?$filter=asApprover()&api-version=2021-01-01-preview";
    assert_eq!(names(&server.json_as(boss, Method::GET, mine, None).await.1), [ASK]);
    assert_eq!(names(&server.json_as(anna, Method::GET, mine, None).await.1), [""; 0]);
    let waiting = at(&server, GROUP, "roleAssignmentScheduleRequests?$filter=asApprover()");
    assert_eq!(names(&server.json_as(boss, Method::GET, &waiting, None).await.1), [ASK]);

    let stage = format!("{}?api-version=2021-01-01-preview", stage["id"].as_str().expect("an id"));
    let yes = json!({"properties": {"reviewResult": "Approve", "justification": "Go on."}});
    // Nobody for themselves, and not whoever may not know of it.
    let (status, answer) = server.json_as(anna, Method::PATCH, &stage, Some(&yes)).await;
    assert_eq!((status, code(&answer)), (403, "NotAnApprover"), "{answer}");
    let (status, there) = server.json_as(carl, Method::PATCH, &stage, Some(&yes)).await;
    let nowhere = stage.replace(ASK, ELIGIBLE);
    let (_, not) = server.json_as(carl, Method::PATCH, &nowhere, Some(&yes)).await;
    assert_eq!(status, 404);
    assert_eq!(there.to_string(), not.to_string().replace(ELIGIBLE, ASK));
    assert_eq!(server.json_as(carl, Method::GET, &path, None).await.0, 404);

    let (status, decided) = server.json_as(boss, Method::PATCH, &stage, Some(&yes)).await;
    let said = &decided["properties"];
    assert_eq!((status, &said["reviewResult"]), (200, &json!("Approve")), "{decided}");
    assert_eq!((&said["status"], &said["justification"]), (&json!("Completed"), &json!("Go on.")));
    assert_eq!(said["reviewedBy"]["principalName"], "boss");
    let (_, shown) = server.json_as(anna, Method::GET, &ask_path(&server, ASK), None).await;
    assert_eq!(shown["properties"]["status"], "Provisioned");
    // Decided, it is decided.
    let bare = json!({"reviewResult": "Deny"});
    let (status, answer) = server.json_as(boss, Method::PATCH, &stage, Some(&bare)).await;
    assert_eq!((status, code(&answer)), (409, "RoleAssignmentRequestIsOver"), "{answer}");

    // The next one is denied, without the wrapper, as Azure's guide has it.
    let back = body(&server, "SelfDeactivate", JIT_REQUESTER, anna);
    let path = ask_path(&server, &id_of("back").to_string());
    assert_eq!(server.json_as(anna, Method::PUT, &path, Some(&back)).await.0, 201);
    let second = id_of("second").to_string();
    assert_eq!(
        server.json_as(anna, Method::PUT, &ask_path(&server, &second), Some(&ask)).await.0,
        201
    );
    let stage = stage.replace(ASK, &second);
    let (status, decided) = server.json_as(boss, Method::PATCH, &stage, Some(&bare)).await;
    assert_eq!((status, &decided["properties"]["reviewResult"]), (200, &json!("Deny")));
    let (_, shown) = server.json_as(anna, Method::GET, &ask_path(&server, &second), None).await;
    assert_eq!(shown["properties"]["status"], "Denied");
    // And one that waits is taken back by whoever asked.
    let third = id_of("third").to_string();
    assert_eq!(
        server.json_as(anna, Method::PUT, &ask_path(&server, &third), Some(&ask)).await.0,
        201
    );
    let cancel = at(&server, GROUP, &format!("roleAssignmentScheduleRequests/{third}/cancel"));
    assert_eq!(server.json_as(carl, Method::POST, &cancel, None).await.0, 403);
    assert_eq!(server.json_as(anna, Method::POST, &cancel, None).await.0, 200);
    let (_, shown) = server.json_as(anna, Method::GET, &ask_path(&server, &third), None).await;
    assert_eq!(shown["properties"]["status"], "Canceled");
}

#[tokio::test]
async fn who_may_not_make_others_eligible_does_not_and_what_ends_is_over() {
    let (server, anna) = eligible().await;
    let ben = server.person("ben", &[]).await;
    server.give(CONTRIBUTOR, "", ben).await;
    let path = eligible_path(&server, &id_of("ben").to_string());
    let own = body(&server, "AdminAssign", OWNER, ben);
    let (status, answer) = server.json_as(ben, Method::PUT, &path, Some(&own)).await;
    assert_eq!((status, code(&answer)), (403, "AuthorizationFailed"));
    let patch = at(&server, GROUP, &format!("roleManagementPolicies/{JIT_REQUESTER}"));
    let (status, _) = server
        .json_as(ben, Method::PATCH, &patch, Some(&json!({"properties": {"rules": []}})))
        .await;
    assert_eq!(status, 403);
    // Not for another, not what one is not eligible for, and not where.
    let ask = |who, role| body(&server, "SelfActivate", role, who);
    let asks: [(Uuid, Value, String, u16, &str); 4] = [
        (ben, ask(anna, JIT_REQUESTER), ask_path(&server, ASK), 400, "InvalidParameter"),
        (ben, ask(ben, JIT_REQUESTER), ask_path(&server, ASK), 400, "EligibilityNotFound"),
        (anna, ask(anna, OWNER), ask_path(&server, ASK), 400, "EligibilityNotFound"),
        (
            anna,
            ask(anna, JIT_REQUESTER),
            at(&server, "", &format!("roleAssignmentScheduleRequests/{ASK}")),
            400,
            "EligibilityNotFound",
        ),
    ];
    for (who, sent, path, status, expected) in asks {
        let (got, answer) = server.json_as(who, Method::PUT, &path, Some(&sent)).await;
        assert_eq!((got, code(&answer)), (status, expected), "{answer}");
    }
    // Its time is over: it gives nothing, whatever has run; and it is said so.
    let sent = ask(anna, JIT_REQUESTER);
    assert_eq!(
        server.json_as(anna, Method::PUT, &ask_path(&server, ASK), Some(&sent)).await.0,
        201
    );
    server.clock.pass(Duration::from_secs(2 * 3_600 + 1));
    let initiate = format!("{}/initiate?api-version=2020-01-01", server.policy_id("rg1"));
    let asked = server.ask_body("web-1", 22);
    assert_eq!(server.json_as(anna, Method::POST, &initiate, Some(&asked)).await.0, 403);
    // Not eligible any more. The administrator's token has ended by now, as all of that age.
    let boss = server.person("boss", &[]).await;
    server.give(OWNER, "", boss).await;
    let remove = body(&server, "AdminRemove", JIT_REQUESTER, anna);
    let path = eligible_path(&server, &id_of("remove").to_string());
    let (status, answer) = server.json_as(boss, Method::PUT, &path, Some(&remove)).await;
    assert_eq!((status, &answer["properties"]["status"]), (201, &json!("Revoked")), "{answer}");
    let list = at(&server, GROUP, "roleEligibilitySchedules");
    assert_eq!(server.json_as(boss, Method::GET, &list, None).await, (200, json!({"value": []})));
}

#[tokio::test]
async fn what_cannot_be_asked_for_is_said() {
    let (server, anna) = eligible().await;
    let with = |name: &str, value: Value| {
        let mut sent = body(&server, "SelfActivate", JIT_REQUESTER, anna);
        sent["properties"][name] = value;
        sent
    };
    let expires = |value: Value| with("scheduleInfo", json!({"expiration": value}));
    let later = json!({"startDateTime": "2126-01-01T00:00:00Z"});
    for (sent, expected, says) in [
        (with("requestType", json!("SelfExtend")), "InvalidParameter", "'SelfActivate'"),
        (with("requestType", json!("AdminRenew")), "InvalidParameter", "'SelfActivate'"),
        (with("condition", json!("x")), "InvalidParameter", "not evaluated"),
        (expires(json!({"type": "NoExpiration"})), "InvalidParameter", "always has an end"),
        (
            expires(json!({"type": "AfterDuration"})),
            "InvalidRequestContent",
            "'duration' is missing",
        ),
        (
            expires(json!({"type": "AfterDuration", "duration": "2h"})),
            "InvalidParameter",
            "no duration",
        ),
        (with("scheduleInfo", later), "InvalidParameter", "begins later"),
        (
            with("linkedRoleEligibilityScheduleId", json!("x")),
            "InvalidParameter",
            "no id of an eligibility",
        ),
        (with("justification", json!("x".repeat(2_001))), "InvalidParameter", "2001 characters"),
        (with("reason", json!("x")), "InvalidRequestContent", "Unknown property"),
        (json!({"properties": {}}), "InvalidRequestContent", "'requestType' is missing"),
    ] {
        let (status, answer) =
            server.json_as(anna, Method::PUT, &ask_path(&server, ASK), Some(&sent)).await;
        assert_eq!((status, code(&answer)), (400, expected), "{sent}: {answer}");
        assert!(
            answer["error"]["message"].as_str().is_some_and(|said| said.contains(says)),
            "{answer}"
        );
    }
    for (rule, says) in [
        (json!([{"id": "Notification_Approver_EndUser_Assignment"}]), "not supported"),
        (json!([{"id": "Expiration_EndUser_Assignment", "maximumDuration": "PT25H"}]), ""),
        (json!([{"id": "Expiration_EndUser_Assignment"}]), "'maximumDuration' is missing"),
        (
            json!([{"id": "Enablement_EndUser_Assignment", "enabledRules": ["Biometrics"]}]),
            "'Ticketing'",
        ),
        (
            json!([{"id": "AuthenticationContext_EndUser_Assignment", "isEnabled": true}]),
            "not known here",
        ),
        (
            json!([{"id": "Approval_EndUser_Assignment", "setting": {"approvalStages": [{}, {}]}}]),
            "One stage",
        ),
        (
            json!([{"id": "Approval_EndUser_Assignment", "setting": {"approvalStages": [
                {"isApproverJustificationRequired": true},
            ]}}]),
            "not supported",
        ),
        (approved_by(&[Uuid::nil()]), "does not exist"),
    ] {
        let (status, answer) = rules(&server, rule.clone()).await;
        assert_eq!(status, 400, "{rule}: {answer}");
        assert!(
            answer["error"]["message"].as_str().is_some_and(|said| said.contains(says)),
            "{answer}"
        );
    }
    let ben = server.person("ben", &[]).await;
    server.give(READER, "", ben).await;
    let path = at(&server, GROUP, &format!("roleManagementPolicies/{JIT_REQUESTER}"));
    let (_, policy) = server.json_as(ben, Method::GET, &path, None).await;
    assert_eq!(policy["properties"]["isOrganizationDefault"], true, "nothing was changed");
}
