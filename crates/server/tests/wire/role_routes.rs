//! Role assignments and role definitions as Azure's clients see them, and who may see and change which.

use hourgate_core::role::built_in::{
    CONTRIBUTOR, JIT_REQUESTER, OWNER, READER, USER_ACCESS_ADMINISTRATOR,
};
use reqwest::Method;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::harness::{Running, id_of, start};

const V: &str = "api-version=2022-04-01";
/// Some assignment's name.
const ONE: &str = "11111111-2222-4333-8444-555555555555";
/// Some role's name.
const ROLE: &str = "22222222-2222-4333-8444-555555555555";

/// A path of Azure's for roles at a scope behind the subscription.
fn at(server: &Running, scope: &str, rest: &str) -> String {
    let join = if rest.contains('?') { "&" } else { "?" };
    format!("{}{scope}/providers/Microsoft.Authorization/{rest}{join}{V}", server.s())
}

fn given_path(server: &Running, scope: &str, name: &str) -> String {
    at(server, scope, &format!("roleAssignments/{name}"))
}

fn role_path(server: &Running, scope: &str, name: &str) -> String {
    at(server, scope, &format!("roleDefinitions/{name}"))
}

fn role_id(server: &Running, role: Uuid) -> String {
    format!("{}/providers/Microsoft.Authorization/roleDefinitions/{role}", server.s())
}

fn to(server: &Running, role: Uuid, principal: Uuid) -> Value {
    json!({"properties": {
        "roleDefinitionId": role_id(server, role), "principalId": principal,
    }})
}

/// A role of one's own that starts machines, and that can be given in one group.
fn a_role(server: &Running, scope: &str) -> Value {
    json!({"properties": {
        "roleName": "Starter",
        "type": "CustomRole",
        "description": "Starts machines.",
        "assignableScopes": [format!("{}{scope}", server.s())],
        "permissions": [{
            "actions": ["Microsoft.Compute/*/read"],
            "notActions": ["Microsoft.Compute/disks/read"],
            "dataActions": [],
            "notDataActions": [],
        }],
    }})
}

fn code(answer: &Value) -> &str {
    answer["error"]["code"].as_str().unwrap_or_default()
}

fn message(answer: &Value) -> &str {
    answer["error"]["message"].as_str().unwrap_or_default()
}

/// The names of what a list holds.
fn names(list: &Value) -> Vec<String> {
    let items = list["value"].as_array().expect("a list").iter();
    items.map(|item| item["name"].as_str().expect("a name").to_owned()).collect()
}

#[tokio::test]
async fn a_role_is_given_shown_changed_and_taken() {
    let server = start().await;
    server.register("rg1", "web-1", &["10.9.0.4"]).await;
    let anna = server.person("anna", &[]).await;
    let path = given_path(&server, "/resourceGroups/rg1", ONE);
    let mut body = to(&server, READER, anna);
    body["properties"]["principalType"] = json!("User");
    body["properties"]["description"] = json!("For the move.");
    body["properties"]["expiresOn"] = json!("2126-11-28T12:00:00Z");
    let (status, shown) = server.json(Method::PUT, &path, Some(&body)).await;
    assert_eq!(status, 201, "{shown}");
    let created = shown["properties"]["createdOn"].clone();
    let by = shown["properties"]["createdBy"].as_str().expect("by whom");
    let expected = json!({
        "properties": {
            "roleDefinitionId": role_id(&server, READER),
            "principalId": anna,
            "principalType": "User",
            "scope": format!("{}/resourceGroups/rg1", server.s()),
            "condition": null,
            "conditionVersion": null,
            "createdOn": created,
            "createdBy": by,
            "delegatedManagedIdentityResourceId": null,
            "description": "For the move.",
            "expiresOn": "2126-11-28T12:00:00Z",
        },
        "id": format!(
            "{}/resourceGroups/rg1/providers/Microsoft.Authorization/roleAssignments/{ONE}", server.s()
        ),
        "type": "Microsoft.Authorization/roleAssignments",
        "name": ONE,
    });
    assert_eq!(shown, expected);

    // By its id, which is its path; and in any case.
    let by_id = format!("{}?{V}", shown["id"].as_str().expect("an id"));
    assert_eq!(server.json(Method::GET, &by_id, None).await, (200, shown.clone()));
    let capitals = by_id.replace("/resourceGroups/rg1", "/RESOURCEGROUPS/RG1");
    assert_eq!(server.json(Method::GET, &capitals, None).await, (200, shown.clone()));
    // What was read can be sent back, and changes nothing.
    assert_eq!(server.json(Method::PUT, &path, Some(&shown)).await, (200, shown.clone()));
    // Text and end may change, and nothing else.
    let mut changed = shown.clone();
    changed["properties"]["description"] = Value::Null;
    let (status, answer) = server.json(Method::PUT, &path, Some(&changed)).await;
    assert_eq!((status, &answer["properties"]["description"]), (200, &Value::Null), "{answer}");
    let (status, answer) = server.json(Method::PUT, &path, Some(&to(&server, OWNER, anna))).await;
    assert_eq!((status, code(&answer)), (400, "RoleAssignmentUpdateNotPermitted"));
    // The same again under another name is there already, by Azure's words.
    let other = given_path(&server, "/resourceGroups/rg1", ROLE);
    let (status, answer) = server.json(Method::PUT, &other, Some(&to(&server, READER, anna))).await;
    assert_eq!((status, code(&answer)), (409, "RoleAssignmentExists"));
    assert!(message(&answer).contains(&ONE.replace('-', "")), "{answer}");

    // It stands at its scope and nowhere else.
    let elsewhere = given_path(&server, "", ONE);
    let (status, answer) = server.json(Method::GET, &elsewhere, None).await;
    assert_eq!((status, code(&answer)), (404, "RoleAssignmentNotFound"));
    assert_eq!(server.json(Method::DELETE, &elsewhere, None).await.0, 204);
    let (status, gone) = server.json(Method::DELETE, &path, None).await;
    assert_eq!((status, &gone["name"]), (200, &json!(ONE)));
    assert_eq!(server.call(Method::DELETE, &path, None).await.status(), 204);
    assert_eq!(server.json(Method::GET, &path, None).await.0, 404);
}

#[tokio::test]
async fn a_list_holds_what_counts_at_a_scope_and_what_stands_below_it() {
    let server = start().await;
    server.register("rg1", "web-1", &["10.9.0.4"]).await;
    server.register("rg2", "db-1", &["10.9.1.4"]).await;
    let ops = server.group("ops").await;
    let anna = server.person("anna", &[ops]).await;
    let vm = server.vm_id("rg1", "web-1").replace(&server.s(), "");
    let whole = server.give(READER, "", anna).await.to_string();
    let in_group = server.give(CONTRIBUTOR, "/resourceGroups/rg1", ops).await.to_string();
    let on_vm = server.give(JIT_REQUESTER, &vm, anna).await.to_string();
    let other = server.give(READER, "/resourceGroups/rg2", anna).await.to_string();
    let list = async |scope: &str, filter: &str| {
        let rest = format!("roleAssignments?$filter={filter}");
        let (status, list) = server.json(Method::GET, &at(&server, scope, &rest), None).await;
        assert_eq!(status, 200, "{filter}: {list}");
        let mut names = names(&list);
        names.retain(|name| [&whole, &in_group, &on_vm, &other].contains(&name));
        names.sort();
        names
    };
    let these = |names: &[&String]| {
        let mut names: Vec<String> = names.iter().map(ToString::to_string).collect();
        names.sort();
        names
    };
    let group = "/resourceGroups/rg1";
    assert_eq!(list("", "").await, these(&[&whole, &in_group, &on_vm, &other]));
    assert_eq!(list("", "atScope()").await, these(&[&whole]));
    assert_eq!(list(group, "").await, these(&[&whole, &in_group, &on_vm]));
    assert_eq!(list(group, "atScope()").await, these(&[&whole, &in_group]));
    assert_eq!(list(&vm, "atscope()").await, these(&[&whole, &in_group, &on_vm]));
    let anna_s = format!("principalId eq '{anna}'");
    assert_eq!(list(group, &anna_s).await, these(&[&whole, &on_vm]));
    let both = format!("atScope() and principalId eq '{anna}'");
    assert_eq!(list(group, &both).await, these(&[&whole]));
    let all_of_hers = format!("assignedTo('{anna}')");
    assert_eq!(list(group, &all_of_hers).await, these(&[&whole, &in_group, &on_vm]));
    assert_eq!(list("", &format!("assignedTo('{ops}')")).await, these(&[&in_group]));
    for bad in ["atScope", "principalId eq 'x'", "atScope() or asTarget()", "atScope() and", "x()"]
    {
        let path = at(&server, "", &format!("roleAssignments?$filter={bad}"));
        let (status, answer) = server.json(Method::GET, &path, None).await;
        assert_eq!((status, code(&answer)), (400, "InvalidParameter"), "{bad}");
        assert_eq!(answer["error"]["target"], "$filter");
    }
}

#[tokio::test]
async fn a_role_is_made_found_changed_given_and_removed() {
    let server = start().await;
    server.register("rg1", "web-1", &["10.9.0.4"]).await;
    let anna = server.person("anna", &[]).await;
    let (group, path) = ("/resourceGroups/rg1", role_path(&server, "", ROLE));
    let body = a_role(&server, group);
    let (status, shown) = server.json(Method::PUT, &path, Some(&body)).await;
    assert_eq!(status, 201, "{shown}");
    let mut properties = body["properties"].clone();
    properties["createdOn"] = shown["properties"]["createdOn"].clone();
    properties["updatedOn"] = shown["properties"]["updatedOn"].clone();
    let expected = json!({
        "properties": properties,
        "id": role_id(&server, ROLE.parse().expect("an id")),
        "type": "Microsoft.Authorization/roleDefinitions",
        "name": ROLE,
    });
    assert_eq!(shown, expected);
    // The one status that Azure's SDKs take, also for what stands.
    assert_eq!(server.json(Method::PUT, &path, Some(&shown)).await, (201, shown.clone()));
    assert_eq!(server.json(Method::GET, &path, None).await, (200, shown.clone()));

    let list = async |scope: &str, filter: &str| {
        let rest = format!("roleDefinitions?$filter={filter}");
        let (status, list) = server.json(Method::GET, &at(&server, scope, &rest), None).await;
        assert_eq!(status, 200, "{filter}: {list}");
        names(&list)
    };
    assert_eq!(list(group, "roleName eq 'starter'").await, [ROLE]);
    assert_eq!(list("", "roleName eq 'starter'").await, [""; 0], "it cannot be given there");
    assert_eq!(list("", "atScopeAndBelow() and type eq 'CustomRole'").await, [ROLE]);
    assert_eq!(list(group, "type eq 'CustomRole'").await, [ROLE]);
    assert_eq!(list("", "roleName eq 'Owner'").await, [OWNER.to_string()]);
    let all = list("", "").await;
    assert!(all.contains(&JIT_REQUESTER.to_string()) && !all.contains(&ROLE.to_owned()));
    let (_, owner) =
        server.json(Method::GET, &role_path(&server, "", &OWNER.to_string()), None).await;
    assert_eq!(owner["properties"]["assignableScopes"], json!(["/"]));
    assert_eq!(owner["properties"]["permissions"][0]["actions"], json!(["*"]));
    assert_eq!(owner["properties"]["type"], "BuiltInRole");

    // Given where it can be, it stays.
    let given = given_path(&server, group, ONE);
    let mut ask = to(&server, ROLE.parse().expect("an id"), anna);
    assert_eq!(server.json(Method::PUT, &given, Some(&ask)).await.0, 201);
    let (status, answer) = server.json(Method::DELETE, &path, None).await;
    assert_eq!((status, code(&answer)), (400, "RoleDefinitionHasAssignments"));
    // The id alone is enough, too.
    ask["properties"]["roleDefinitionId"] = json!(ROLE);
    let whole = given_path(&server, "", ROLE);
    let (status, answer) = server.json(Method::PUT, &whole, Some(&ask)).await;
    assert_eq!((status, code(&answer)), (400, "RoleDefinitionNotAssignable"), "{answer}");
    assert_eq!(server.json(Method::DELETE, &given, None).await.0, 200);
    let (status, gone) = server.json(Method::DELETE, &path, None).await;
    assert_eq!((status, &gone["name"]), (200, &json!(ROLE)));
    assert_eq!(server.call(Method::DELETE, &path, None).await.status(), 204);
    let (status, answer) = server.json(Method::GET, &path, None).await;
    assert_eq!((status, code(&answer)), (404, "ResourceNotFound"));
}

/// How it is called, with which body, and the status, code and words of the answer.
type Row = (String, Value, u16, &'static str, &'static str);

#[tokio::test]
async fn what_cannot_be_given_is_said() {
    let server = start().await;
    server.register("rg1", "web-1", &["10.9.0.4"]).await;
    let anna = server.person("anna", &[]).await;
    let good = to(&server, READER, anna);
    let with = |name: &str, value: Value| {
        let mut body = to(&server, READER, anna);
        body["properties"][name] = value;
        body
    };
    let path = given_path(&server, "", ONE);
    let foreign = "/subscriptions/6f1a0000-0000-4000-8000-000000000001/providers\
                   /Microsoft.Authorization/roleDefinitions/acdd72a7-3385-48ef-bd42-f606fba81ae7";
    let rows: [Row; 21] = [
        (given_path(&server, "", "one"), good.clone(), 400, "InvalidRoleAssignmentId", "a GUID"),
        (
            given_path(&server, "/resourceGroups/none", ONE),
            good.clone(),
            404,
            "ResourceNotFound",
            "nothing at",
        ),
        (
            given_path(&server, "/resourceGroups/rg1/providers/A.B/c/d", ONE),
            good.clone(),
            404,
            "ResourceNotFound",
            "nothing at",
        ),
        (
            given_path(&server, "/resourceGroups/a%2Fb", ONE),
            good.clone(),
            400,
            "InvalidParameter",
            "is no scope",
        ),
        (given_path(&server, "/resourceGroups", ONE), good, 400, "InvalidParameter", "is no scope"),
        (path.clone(), json!([]), 400, "InvalidRequestContent", "an object is needed"),
        (path.clone(), json!({}), 400, "InvalidRequestContent", "'properties' is missing"),
        (
            path.clone(),
            json!({"properties": {}}),
            400,
            "InvalidRequestContent",
            "'roleDefinitionId' is missing",
        ),
        (
            path.clone(),
            with("roleDefinitionId", json!(foreign)),
            400,
            "InvalidParameter",
            "no id of a role",
        ),
        (
            path.clone(),
            with("roleDefinitionId", json!("Reader")),
            400,
            "InvalidParameter",
            "no id of a role",
        ),
        (
            path.clone(),
            with("roleDefinitionId", json!(ROLE)),
            400,
            "RoleDefinitionDoesNotExist",
            "does not exist",
        ),
        (
            path.clone(),
            with("principalId", json!("anna\u{202e}")),
            400,
            "InvalidPrincipalId",
            "'anna\\u{202e}'",
        ),
        (
            path.clone(),
            with("principalId", json!(ROLE)),
            400,
            "PrincipalNotFound",
            "does not exist",
        ),
        (
            path.clone(),
            with("principalType", json!("Group")),
            400,
            "UnmatchedPrincipalType",
            "is a User",
        ),
        (
            path.clone(),
            with("principalType", json!("Device")),
            400,
            "InvalidParameter",
            "'ServicePrincipal'",
        ),
        (
            path.clone(),
            with("condition", json!("@Resource[x] == 1")),
            400,
            "InvalidParameter",
            "not evaluated",
        ),
        (
            path.clone(),
            with("conditionVersion", json!("2.0")),
            400,
            "InvalidParameter",
            "not evaluated",
        ),
        (
            path.clone(),
            with("expiresOn", json!("2020-01-01T00:00:00Z")),
            400,
            "InvalidParameter",
            "would end at",
        ),
        (path.clone(), with("expiresOn", json!("soon")), 400, "InvalidParameter", "is no time"),
        (
            path.clone(),
            with("description", json!("x".repeat(1_025))),
            400,
            "InvalidParameter",
            "1025 characters",
        ),
        (
            path.clone(),
            with("desciption", json!("x")),
            400,
            "InvalidRequestContent",
            "Did you mean 'description'?",
        ),
    ];
    for (path, body, status, expected, says) in rows {
        let (got, answer) = server.json(Method::PUT, &path, Some(&body)).await;
        assert_eq!((got, code(&answer)), (status, expected), "{body}: {answer}");
        assert!(message(&answer).contains(says), "{body}: {answer}");
        assert!(!answer.to_string().contains('\u{202e}'));
    }
    let (_, list) = server.json(Method::GET, &at(&server, "", "roleAssignments"), None).await;
    assert_eq!(list["value"].as_array().map(Vec::len), Some(1), "the administrator's alone");
    let none = path.split('?').next().expect("a path");
    let (status, answer) = server.json(Method::GET, none, None).await;
    assert_eq!((status, code(&answer)), (400, "MissingApiVersionParameter"));
}

#[tokio::test]
async fn what_no_role_can_be_is_said() {
    let server = start().await;
    let with = |name: &str, value: Value| {
        let mut body = a_role(&server, "");
        body["properties"][name] = value;
        body
    };
    let actions = |list: Value| with("permissions", json!([{"actions": list}]));
    let many = vec!["A.B/c/read"; 1_001];
    let path = role_path(&server, "", ROLE);
    let built_in = role_path(&server, "", &READER.to_string());
    let rows: [Row; 16] = [
        (
            role_path(&server, "", "Starter"),
            a_role(&server, ""),
            400,
            "InvalidRoleDefinitionId",
            "a GUID",
        ),
        (built_in, a_role(&server, ""), 400, "InvalidRoleDefinition", "built-in"),
        (path.clone(), json!("x"), 400, "InvalidRequestContent", "an object is needed"),
        (
            path.clone(),
            with("roleName", json!("Reader")),
            409,
            "RoleDefinitionWithSameNameExists",
            "'Reader'",
        ),
        (path.clone(), with("roleName", json!("")), 400, "InvalidParameter", "is no name"),
        (
            path.clone(),
            with("roleName", json!("Own\u{200b}er")),
            400,
            "InvalidParameter",
            "is no name",
        ),
        (
            path.clone(),
            with("roleName", json!("x".repeat(513))),
            400,
            "InvalidParameter",
            "is no name",
        ),
        (path.clone(), with("type", json!("BuiltInRole")), 400, "InvalidParameter", "'CustomRole'"),
        (path.clone(), with("permissions", json!([])), 400, "InvalidParameter", "at least one"),
        (path.clone(), actions(json!([""])), 400, "InvalidActionOrNotAction", "'' is no action"),
        (path.clone(), actions(json!(["a b/c"])), 400, "InvalidActionOrNotAction", "is no action"),
        (path.clone(), actions(json!(many)), 400, "InvalidParameter", "1001 actions"),
        (
            path.clone(),
            with("permissions", json!([{"actions": ["*"], "condition": "x"}])),
            400,
            "InvalidParameter",
            "not evaluated",
        ),
        (
            path.clone(),
            with("assignableScopes", json!([])),
            400,
            "InvalidRoleDefinition",
            "at least one scope",
        ),
        (
            path.clone(),
            with("assignableScopes", json!(["/"])),
            400,
            "InvalidParameter",
            "is no scope",
        ),
        (
            path.clone(),
            with(
                "assignableScopes",
                json!(["/subscriptions/6f1a0000-0000-4000-8000-000000000001"]),
            ),
            403,
            "LinkedAuthorizationFailed",
            "on the linked scope(s)",
        ),
    ];
    for (path, body, status, expected, says) in rows {
        let (got, answer) = server.json(Method::PUT, &path, Some(&body)).await;
        assert_eq!((got, code(&answer)), (status, expected), "{body}: {answer}");
        assert!(message(&answer).contains(says), "{body}: {answer}");
    }
    let own = at(&server, "", "roleDefinitions?$filter=type eq 'CustomRole'");
    assert_eq!(server.json(Method::GET, &own, None).await, (200, json!({"value": []})));
}

#[tokio::test]
async fn who_gives_roles_in_one_group_gives_none_elsewhere_and_a_contributor_gives_none() {
    let server = start().await;
    server.register("rg1", "web-1", &["10.9.0.4"]).await;
    server.register("rg2", "db-1", &["10.9.1.4"]).await;
    let anna = server.person("anna", &[]).await;
    let ben = server.person("ben", &[]).await;
    let carl = server.person("carl", &[]).await;
    server.give(USER_ACCESS_ADMINISTRATOR, "/resourceGroups/rg1", anna).await;
    server.give(CONTRIBUTOR, "", ben).await;
    let vm = server.vm_id("rg1", "web-1").replace(&server.s(), "");
    let body = to(&server, READER, carl);
    for (who, scope, status) in [
        (anna, "/resourceGroups/rg1", 201),
        (anna, vm.as_str(), 201),
        (anna, "/resourceGroups/rg2", 403),
        (anna, "", 403),
        (ben, "", 403),
        (ben, vm.as_str(), 403),
        (carl, "/resourceGroups/rg1", 403),
    ] {
        let path = given_path(&server, scope, &id_of(&format!("{who}{scope}")).to_string());
        let (got, answer) = server.json_as(who, Method::PUT, &path, Some(&body)).await;
        assert_eq!(got, status, "{who} {scope}: {answer}");
        if status == 403 {
            assert_eq!(code(&answer), "AuthorizationFailed");
            assert!(message(&answer).contains("Microsoft.Authorization/roleAssignments/write"));
            let (got, _) = server.json_as(who, Method::DELETE, &path, None).await;
            assert_eq!(got, 403, "{who} {scope}");
        }
    }
    // A role that could be given elsewhere too is not made by who may give it in one place alone.
    let mut role = a_role(&server, "/resourceGroups/rg1");
    let path = role_path(&server, "/resourceGroups/rg1", ROLE);
    assert_eq!(server.json_as(anna, Method::PUT, &path, Some(&role)).await.0, 201);
    role["properties"]["assignableScopes"] = json!([server.s()]);
    let (status, answer) = server.json_as(anna, Method::PUT, &path, Some(&role)).await;
    assert_eq!((status, code(&answer)), (403, "LinkedAuthorizationFailed"));
    // Once it can be, it is out of their hands, and they do not learn where else it can be given.
    let both = json!([
        format!("{}/resourceGroups/rg1", server.s()),
        format!("{}/resourceGroups/rg2", server.s())
    ]);
    role["properties"]["assignableScopes"] = both;
    assert_eq!(server.json(Method::PUT, &path, Some(&role)).await.0, 201);
    let (status, shown) = server.json_as(anna, Method::GET, &path, None).await;
    let theirs = json!([format!("{}/resourceGroups/rg1", server.s())]);
    assert_eq!((status, &shown["properties"]["assignableScopes"]), (200, &theirs));
    let (status, answer) = server.json_as(anna, Method::PUT, &path, Some(&shown)).await;
    assert_eq!((status, code(&answer)), (403, "AuthorizationFailed"), "{answer}");
    let (status, answer) = server.json_as(anna, Method::DELETE, &path, None).await;
    assert_eq!((status, code(&answer)), (403, "AuthorizationFailed"), "{answer}");
}

#[tokio::test]
async fn what_one_may_not_read_is_not_there_and_ones_own_is() {
    let server = start().await;
    server.register("rg1", "web-1", &["10.9.0.4"]).await;
    server.register("rg2", "db-1", &["10.9.1.4"]).await;
    let ops = server.group("ops").await;
    let anna = server.person("anna", &[ops]).await;
    let ben = server.person("ben", &[]).await;
    let carl = server.person("carl", &[]).await;
    let hers = server.give(JIT_REQUESTER, "/resourceGroups/rg1", ops).await.to_string();
    let his = server.give(READER, "/resourceGroups/rg1", ben).await.to_string();
    let other = server.give(READER, "/resourceGroups/rg2", carl).await.to_string();
    let list = at(&server, "", "roleAssignments");
    let seen = async |who| {
        let (status, list) = server.json_as(who, Method::GET, &list, None).await;
        let mut names = if status == 200 { names(&list) } else { Vec::new() };
        names.sort();
        (status, names)
    };
    let sorted = |mut names: Vec<String>| {
        names.sort();
        names
    };
    assert_eq!(seen(anna).await, (200, vec![hers.clone()]), "through the group");
    assert_eq!(seen(ben).await, (200, sorted(vec![hers.clone(), his.clone()])), "a reader there");
    assert_eq!(seen(carl).await, (200, vec![other.clone()]));
    let stranger = server.person("dora", &[]).await;
    assert_eq!(seen(stranger).await.0, 403);

    // Of what one may not read and of what there is not, one hears the same.
    let rg2 = "/resourceGroups/rg2";
    let ask = async |who, method: Method, path: &str, id: &str| {
        let (status, answer) = server.json_as(who, method, path, None).await;
        (status, answer.to_string().replace(id, "ID"))
    };
    for who in [anna, ben] {
        for method in [Method::GET, Method::DELETE] {
            let there = ask(who, method.clone(), &given_path(&server, rg2, &other), &other).await;
            let not = ask(who, method.clone(), &given_path(&server, rg2, ONE), ONE).await;
            assert_eq!(there, not, "{who} {method}");
            assert_eq!(there.0, 403);
        }
    }
    let own = given_path(&server, "/resourceGroups/rg1", &hers);
    assert_eq!(server.json_as(anna, Method::GET, &own, None).await.0, 200);
    assert_eq!(
        server.json_as(anna, Method::DELETE, &own, None).await.0,
        403,
        "not for her to take"
    );

    // Roles that can be given elsewhere alone are neither listed nor named.
    let path = role_path(&server, rg2, ROLE);
    assert_eq!(server.json(Method::PUT, &path, Some(&a_role(&server, rg2))).await.0, 201);
    let here = role_path(&server, "/resourceGroups/rg1", ROLE);
    let there = ask(ben, Method::GET, &here, ROLE).await;
    assert_eq!(
        there,
        ask(ben, Method::GET, &role_path(&server, "/resourceGroups/rg1", ONE), ONE).await
    );
    assert_eq!(there.0, 404);
    let all = at(&server, "", "roleDefinitions?$filter=atScopeAndBelow()");
    let (_, list) = server.json_as(ben, Method::GET, &all, None).await;
    assert!(!names(&list).contains(&ROLE.to_owned()), "{list}");
    let erin = server.person("erin", &[]).await;
    server.give(USER_ACCESS_ADMINISTRATOR, "/resourceGroups/rg1", erin).await;
    let given = given_path(&server, "/resourceGroups/rg1", ONE);
    let refused = async |role: &str| {
        let body = to(&server, role.parse().expect("an id"), carl);
        let (status, answer) = server.json_as(erin, Method::PUT, &given, Some(&body)).await;
        (status, answer.to_string().replace(role, "ID"))
    };
    assert_eq!(refused(ROLE).await, refused(ONE).await);
    assert_eq!(refused(ROLE).await.0, 400);
    // The name of a role that one has is one's own to know.
    let requester = role_path(&server, "/resourceGroups/rg1", &JIT_REQUESTER.to_string());
    assert_eq!(server.json_as(anna, Method::GET, &requester, None).await.0, 200);
    let reader = role_path(&server, "/resourceGroups/rg1", &READER.to_string());
    assert_eq!(server.json_as(anna, Method::GET, &reader, None).await.0, 403);
}

#[tokio::test]
async fn the_last_owner_stays_and_what_one_may_is_listed() {
    let server = start().await;
    let (_, list) = server.json(Method::GET, &at(&server, "", "roleAssignments"), None).await;
    let first = list["value"][0]["id"].as_str().expect("an id").to_owned();
    let path = format!("{first}?{V}");
    let (status, answer) = server.json(Method::DELETE, &path, None).await;
    assert_eq!((status, code(&answer)), (409, "LastOwner"));
    let anna = server.person("anna", &[]).await;
    server.give(READER, "", anna).await;
    let may = async |who: Uuid| {
        let path = at(&server, "/resourceGroups/rg1", "permissions");
        let (status, list) = server.json_as(who, Method::GET, &path, None).await;
        assert_eq!(status, 200);
        list["value"][0]["actions"].clone()
    };
    let reads = may(anna).await;
    let all = reads.as_array().expect("a list");
    assert!(all.contains(&json!("Microsoft.Authorization/roleAssignments/read")));
    assert!(all.iter().all(|action| action.as_str().is_some_and(|name| name.ends_with("/read"))));
    server.give(OWNER, "", anna).await;
    let all = may(anna).await;
    assert!(
        all.as_array()
            .expect("a list")
            .contains(&json!("Microsoft.Authorization/roleAssignments/write"))
    );
    assert_eq!(server.json(Method::DELETE, &path, None).await.0, 200);
    // From then on the administrator may nothing.
    assert_eq!(server.json(Method::GET, &path, None).await.0, 403);
}

#[tokio::test]
async fn a_call_that_is_denied_is_recorded_with_azures_action() {
    let server = start().await;
    let anna = server.person("anna", &[]).await;
    let path = given_path(&server, "", ONE);
    let (status, answer) =
        server.json_as(anna, Method::PUT, &path, Some(&to(&server, OWNER, anna))).await;
    assert_eq!((status, code(&answer)), (403, "AuthorizationFailed"));
    let denied = {
        let notes = server.notes.lock().expect("no panic");
        notes.iter().any(|note| {
            format!("{note:?}").contains("Microsoft.Authorization/roleAssignments/write")
        })
    };
    assert!(denied, "a denied call is recorded");
}
