//! What each built-in role opens at the edge, and where: one row each.

use hourgate_core::role::built_in::{
    CONTRIBUTOR, JIT_APPROVER, JIT_REQUESTER, NETWORK_CONTRIBUTOR, OWNER, READER, SECURITY_ADMIN,
    SECURITY_READER, USER_ACCESS_ADMINISTRATOR, VM_CONTRIBUTOR,
};
use reqwest::Method;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::{
    harness::{Running, start},
    network::{V, at, put},
};

/// What is tried.
#[derive(Clone, Copy, Debug)]
enum Call {
    ReadPolicy,
    SetPolicy,
    Ask,
    ReadVm,
    SetVm,
    SetGroup,
    SetPlan,
    ReadGuards,
}

use Call::{Ask, ReadGuards, ReadPolicy, ReadVm, SetGroup, SetPlan, SetPolicy, SetVm};

/// Where a role is given.
#[derive(Clone, Copy, Debug)]
enum At {
    Whole,
    Group,
    Vm,
    Policy,
}

use At::{Group, Policy, Vm, Whole};

#[tokio::test]
async fn each_role_opens_what_it_is_for_where_it_was_given() {
    let server = start().await;
    server.protect().await;
    assert_eq!(put(&server, "networkSecurityGroups/g", &json!({"location": "local"})).await.0, 201);
    for (role, given, call, status, why) in [
        (OWNER, Whole, SetPolicy, 200, "an owner may all"),
        (OWNER, Group, SetPolicy, 200, "in a group too"),
        (OWNER, Group, SetPlan, 403, "but not beyond it"),
        (OWNER, Group, ReadGuards, 403, "guards are the whole subscription's"),
        (OWNER, Policy, SetPolicy, 403, "whoever sets a policy sets its machines too"),
        (OWNER, Policy, ReadPolicy, 200, "but reads it"),
        (OWNER, Vm, SetPolicy, 403, "a machine's owner sets no policy"),
        (CONTRIBUTOR, Whole, SetPlan, 200, "a contributor changes things"),
        (CONTRIBUTOR, Group, Ask, 202, "and asks"),
        (READER, Whole, ReadPolicy, 200, "a reader sees"),
        (READER, Whole, SetPolicy, 403, "and sets nothing"),
        (READER, Whole, Ask, 403, "and asks for nothing"),
        (READER, Vm, ReadVm, 200, "a machine's reader sees it"),
        (READER, Vm, ReadPolicy, 200, "and what its policies say of it"),
        (READER, Vm, ReadGuards, 403, "and nothing else"),
        (JIT_REQUESTER, Vm, Ask, 202, "a requester asks, at a machine alone too"),
        (JIT_REQUESTER, Group, Ask, 202, "or in a group"),
        (JIT_REQUESTER, Policy, Ask, 403, "asking needs to see the machine"),
        (JIT_REQUESTER, Whole, SetPolicy, 403, "a requester sets no policy"),
        (JIT_REQUESTER, Whole, SetVm, 403, "nor a machine"),
        (JIT_APPROVER, Whole, ReadPolicy, 200, "an approver sees what is asked"),
        (JIT_APPROVER, Whole, Ask, 403, "and does not ask"),
        (SECURITY_ADMIN, Whole, Ask, 202, "Microsoft: can request"),
        (SECURITY_ADMIN, Whole, SetPolicy, 403, "Microsoft: needs the machine's write too"),
        (SECURITY_ADMIN, Whole, SetPlan, 200, "sets plans"),
        (SECURITY_READER, Whole, ReadPolicy, 200, "sees policies"),
        (SECURITY_READER, Whole, SetPlan, 403, "and sets none"),
        (NETWORK_CONTRIBUTOR, Whole, SetGroup, 200, "changes networks"),
        (NETWORK_CONTRIBUTOR, Whole, ReadVm, 403, "and sees no machines"),
        (NETWORK_CONTRIBUTOR, Vm, SetGroup, 403, "nor networks beyond its scope"),
        (VM_CONTRIBUTOR, Whole, SetVm, 200, "changes machines"),
        (VM_CONTRIBUTOR, Whole, SetGroup, 403, "and no networks"),
        (VM_CONTRIBUTOR, Whole, Ask, 403, "nor opens the way to them"),
        (USER_ACCESS_ADMINISTRATOR, Whole, Ask, 403, "whoever gives roles opens nothing"),
    ] {
        let who = server.person(&format!("{role} at {given:?}"), &[]).await;
        server.give(role, &scope(&server, given), who).await;
        let (got, told) = tried(&server, who, call).await;
        assert_eq!(got, status, "{why}: {call:?} with {role} at {given:?}: {told}");
    }
}

fn scope(server: &Running, given: At) -> String {
    let id = match given {
        Whole => server.s(),
        Group => format!("{}/resourceGroups/rg1", server.s()),
        Vm => server.vm_id("rg1", "web-1"),
        Policy => server.policy_id("rg1"),
    };
    id.replace(&server.s(), "")
}

async fn tried(server: &Running, who: Uuid, call: Call) -> (u16, Value) {
    let policy = server.policy_id("rg1");
    let vm = server.vm_id("rg1", "web-1");
    let group = at(server, "networkSecurityGroups/g");
    let own = format!("{}/providers", server.s());
    let body = match call {
        ReadPolicy | ReadVm | ReadGuards => None,
        SetPolicy => Some(server.policy_body("web-1", 22)),
        Ask => Some(server.ask_body("web-1", 22)),
        SetVm => Some(json!({"tags": {"a": "b"}})),
        SetGroup => Some(json!({"location": "local"})),
        SetPlan => Some(json!({"properties": {"pricingTier": "Standard"}})),
    };
    let (method, path) = match call {
        ReadPolicy => (Method::GET, policy),
        SetPolicy => (Method::PUT, policy),
        Ask => (Method::POST, format!("{policy}/initiate")),
        ReadVm => (Method::GET, vm),
        SetVm => (Method::PATCH, vm),
        SetGroup => (Method::PUT, group),
        SetPlan => (Method::PUT, format!("{own}/Microsoft.Security/pricings/VirtualMachines")),
        ReadGuards => (Method::GET, format!("{own}/Hourgate.Access/guards")),
    };
    server.json_as(who, method, &format!("{path}{V}"), body.as_ref()).await
}
