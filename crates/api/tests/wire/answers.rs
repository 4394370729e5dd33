//! Our answers, byte for byte where Azure's are known.

use std::{collections::BTreeSet, time::Duration};

use hourgate_api::{
    body,
    jit::{
        LockShown, PolicyBody, PolicyResource, ProvisioningState, RequestResource, Status,
        StatusReason,
    },
    list::List,
};
use hourgate_core::{
    command::Command,
    grant::EndReason,
    id::PolicyId,
    open::open_now,
    plan::{Coverage, Observed},
};
use serde_json::{Value, json};

use crate::world::{AZURE_POLICY, AZURE_VM, World, barbara, service};

const CREATE: &str = include_str!("azure/CreateJitNetworkAccessPolicy_example.json");
const LIST: &str = include_str!("azure/GetJitNetworkAccessPoliciesSubscription_example.json");
const INITIATE: &str = include_str!("azure/InitiateJitNetworkAccessPolicy_example.json");

fn example(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

/// What Az PowerShell sent and got on 17 November 2022.
const RECORDED_VM: &str = "/subscriptions/487bb485-b5b0-471e-9c0d-10717612f869/resourceGroups/myService1\
                           /providers/Microsoft.Compute/virtualMachines/testService1";
const RECORDED_POLICY: &str = "/subscriptions/487bb485-b5b0-471e-9c0d-10717612f869/resourceGroups/myService1\
                               /providers/Microsoft.Security/locations/centralus\
                               /jitNetworkAccessPolicies/default";
const RECORDED_PUT: &str = r#"{"kind":"Basic","properties":{"virtualMachines":[{"id":"/subscriptions/487bb485-b5b0-471e-9c0d-10717612f869/resourceGroups/myService1/providers/Microsoft.Compute/virtualMachines/testService1","ports":[{"number":22,"protocol":"TCP","allowedSourceAddressPrefix":"127.0.0.1","maxRequestAccessDuration":"PT3H"}]}]}}"#;
const RECORDED_PUT_ANSWER: &str = r#"{"kind":"Basic","properties":{"virtualMachines":[{"id":"/subscriptions/487bb485-b5b0-471e-9c0d-10717612f869/resourceGroups/myService1/providers/Microsoft.Compute/virtualMachines/testService1","ports":[{"number":22,"protocol":"TCP","allowedSourceAddressPrefix":"127.0.0.1","maxRequestAccessDuration":"PT3H"}]}],"requests":[],"provisioningState":"Updating","appendMode":false},"id":"/subscriptions/487bb485-b5b0-471e-9c0d-10717612f869/resourceGroups/myService1/providers/Microsoft.Security/locations/centralus/jitNetworkAccessPolicies/default","name":"default","type":"Microsoft.Security/locations/jitNetworkAccessPolicies","location":"centralus"}"#;
const RECORDED_INITIATE: &str = r#"{"virtualMachines":[{"id":"/subscriptions/487bb485-b5b0-471e-9c0d-10717612f869/resourceGroups/myService1/providers/Microsoft.Compute/virtualMachines/testService1","ports":[{"number":22,"allowedSourceAddressPrefix":"127.0.0.1","endTimeUtc":"2022-11-17T11:44:50.5921811Z"}]}]}"#;
const RECORDED_INITIATE_ANSWER: &str = r#"{"virtualMachines":[{"id":"/subscriptions/487bb485-b5b0-471e-9c0d-10717612f869/resourceGroups/myService1/providers/Microsoft.Compute/virtualMachines/testService1","ports":[{"number":22,"allowedSourceAddressPrefix":"127.0.0.1","endTimeUtc":"2022-11-17T11:44:50.5921811Z","status":"Initiating","statusReason":"UserRequested"}]}],"startTimeUtc":"2022-11-17T09:44:51.5874583Z","requestor":""}"#;

/// An answer as Azure's is, which tells nothing of what a lock does. It is told for each port.
fn without_locks(mut answer: PolicyResource) -> PolicyResource {
    for port in answer.properties.virtual_machines.iter_mut().flat_map(|vm| &mut vm.ports) {
        assert_eq!(port.locks.len(), 1, "port {}", port.number);
        port.locks.clear();
    }
    answer
}

/// What the lock of its first port does.
fn locks(answer: &PolicyResource) -> &[LockShown] {
    &answer.properties.virtual_machines[0].ports[0].locks
}

#[test]
fn the_recorded_session_gets_the_recorded_bytes() {
    let mut world = World::at("2022-11-17T09:44:51.5874583Z").vm(RECORDED_VM, "10.0.0.4");
    world.put_json(RECORDED_POLICY, RECORDED_PUT);
    let answer = world.policy(RECORDED_POLICY, ProvisioningState::Updating);
    let azures = serde_json::to_string(&without_locks(answer.clone())).unwrap();
    assert_eq!(azures, RECORDED_PUT_ANSWER);
    assert_eq!(azures.len(), 645);
    // Of ours there is only what the lock does, behind Azure's.
    let whole = serde_json::to_string(&answer).unwrap();
    let locks = serde_json::to_string(locks(&answer)).unwrap();
    assert_eq!(whole.replace(&format!(",\"locks\":{locks}"), ""), azures);

    let id = world.ask(RECORDED_POLICY, RECORDED_INITIATE, service(), "203.0.113.9");
    let answer = world.request(id);
    let azures = serde_json::to_string(&answer.clone().without_ours()).unwrap();
    assert_eq!(azures, RECORDED_INITIATE_ANSWER);
    assert_eq!(azures.len(), 388);
    // Ours stand behind Azure's, on each level.
    let whole = serde_json::to_string(&answer).unwrap();
    assert!(whole.contains(
        r#""statusReason":"UserRequested","observed":{"state":"unknown"},"connect":{"address":"10.0.0.4","port":22}}"#
    ));
    assert!(whole.contains(&format!(r#""requestor":"","id":"{id}","policyId":"{RECORDED_POLICY}","requestedBy":{{"id":"s","name":"admin"}}}}"#)));
}

#[test]
fn the_published_example_of_a_policy_is_read_and_answered() {
    let example = example(CREATE);
    let mut world = World::at("2018-05-17T08:06:45.5691611Z").vm(AZURE_VM, "10.0.0.4");
    world.put_json(AZURE_POLICY, &example["parameters"]["body"].to_string());
    let answer = world.policy(AZURE_POLICY, ProvisioningState::Succeeded);
    let mut expected = example["responses"]["200"]["body"].clone();
    // A PUT's answer echoes no requests (recorded); `appendMode` is on the wire, but not in the examples.
    expected["properties"]["requests"] = json!([]);
    expected["properties"]["appendMode"] = json!(false);
    assert_eq!(serde_json::to_value(without_locks(answer)).unwrap(), expected);
}

#[test]
fn the_published_example_of_a_request_is_read_and_answered() {
    let example = example(INITIATE);
    let mut world = World::at("2018-07-12T08:53:03.3658798Z").vm(AZURE_VM, "10.0.0.4");
    world.put_json(AZURE_POLICY, &self::example(CREATE)["parameters"]["body"].to_string());
    let body = example["parameters"]["body"].to_string();
    let id = world.ask(AZURE_POLICY, &body, barbara(), "192.127.0.2");
    let mut expected = example["responses"]["202"]["body"].clone();
    // The subscription differs between request and answer in the example, by a slip.
    expected["virtualMachines"][0]["id"] = json!(AZURE_VM);
    let answer = world.request(id).without_ours();
    assert_eq!(serde_json::to_value(&answer).unwrap(), expected);
}

#[test]
fn azures_own_answers_are_read_and_written_back() {
    let mut body = example(LIST)["responses"]["200"]["body"].clone();
    let list: List<PolicyResource> = serde_json::from_value(body.clone()).unwrap();
    body["value"][0]["properties"]["appendMode"] = json!(false);
    assert_eq!(serde_json::to_value(&list).unwrap(), body);
    let request = &example(INITIATE)["responses"]["202"]["body"];
    let read: RequestResource = serde_json::from_value(request.clone()).unwrap();
    assert_eq!(serde_json::to_value(&read).unwrap(), *request);
    assert_eq!(
        serde_json::to_string(&List::<Value>::whole(Vec::new())).unwrap(),
        r#"{"value":[]}"#
    );
}

const OURS: &str = r#"{"kind":"Basic","properties":{"virtualMachines":[{"id":"VM","ports":[
    {"number":22,"protocol":"*","allowedSourceAddressPrefixes":["10.0.0.0/8","2001:db8::/32","192.0.2.1"],
     "maxRequestAccessDuration":"PT1H30M","approval":null,"endSessions":true,
     "widestUnapproved":{"ipv4":28,"ipv6":0},"otherAddresses":"allowed","signIn":{"within":"PT15M","secondFactor":true},"removeStanding":true}],
    "placement":"nic-and-subnet"}]}}"#;

#[test]
fn an_answer_can_be_sent_back_and_changes_nothing() {
    let mut world = World::at("2026-11-23T14:00:00Z").vm(AZURE_VM, "10.0.0.4");
    let sent = OURS.replace("VM", AZURE_VM);
    world.put_json(AZURE_POLICY, &sent);
    let read = world.policy(AZURE_POLICY, ProvisioningState::Updating);
    let json = serde_json::to_value(&read).unwrap();
    let port = &json["properties"]["virtualMachines"][0]["ports"][0];
    assert_eq!(
        *port,
        json!({"number": 22, "protocol": "*",
            "allowedSourceAddressPrefixes": ["10.0.0.0/8", "2001:db8::/32", "192.0.2.1"],
            "maxRequestAccessDuration": "PT1H30M", "endSessions": true,
            "widestUnapproved": {"ipv4": 28, "ipv6": 0}, "otherAddresses": "allowed", "signIn": {"within": "PT15M", "secondFactor": true},
            "removeStanding": true, "locks": port["locks"]})
    );
    let rg = "/subscriptions/20ff7fc3-e762-44dd-bd96-b71116dcdc23/resourceGroups/myRg1";
    let group = format!("{rg}/providers/Microsoft.Network/networkSecurityGroups/vm1-nsg");
    assert_eq!(
        port["locks"],
        json!([{"address": "10.0.0.4", "networkSecurityGroup": {"id": group}, "priority": 4095,
            "closes": [{"rule": "HourgateAllowAllInBound", "priority": 4096, "sources": ["*"],
                "why": "'*' is every source"}],
            "standing": [], "shadowed": [], "reachable": []}])
    );
    // As our clients do, as a reader who knows nothing of ours does, and all of it as it came.
    let ours = serde_json::to_string(&PolicyBody::from(read)).unwrap();
    let mut azures = json.clone();
    let vm = &mut azures["properties"]["virtualMachines"][0];
    vm.as_object_mut().unwrap().remove("placement");
    for name in
        ["endSessions", "widestUnapproved", "otherAddresses", "signIn", "removeStanding", "locks"]
    {
        vm["ports"][0].as_object_mut().unwrap().remove(name);
    }
    for body in [ours, json.to_string(), azures.to_string()] {
        assert_eq!(world.put_json(AZURE_POLICY, &body), [], "{body}");
    }
    // `null` clears it.
    let cleared = sent.replace("\"endSessions\":true", "\"endSessions\":null");
    assert_eq!(world.put_json(AZURE_POLICY, &cleared).len(), 1);
    let read = world.policy(AZURE_POLICY, ProvisioningState::Updating);
    assert_eq!(read.properties.virtual_machines[0].ports[0].end_sessions, None);
}

const ASK: &str =
    r#"{"virtualMachines":[{"id":"VM","ports":[{"number":22,"duration":"PT1H"}]}],"ticket":"T-1"}"#;

#[test]
fn a_request_shows_each_stage_of_its_life() {
    let mut world = World::at("2026-11-23T14:00:00Z").vm(AZURE_VM, "10.0.0.4");
    world.put_json(AZURE_POLICY, &example(CREATE)["parameters"]["body"].to_string());
    let ask = ASK.replace("VM", AZURE_VM);
    let status = |world: &World, id| {
        let request = world.request(id);
        let (_, port) = request.ports().next().unwrap();
        let observed = port.observed.clone().unwrap();
        (port.status, port.status_reason, port.end_time_utc.to_string(), observed.state)
    };
    use hourgate_api::jit::ObservedState::{Closed, Open, Unknown};
    let id = world.ask(AZURE_POLICY, &ask, barbara(), "192.127.0.2");
    let end = "2026-11-23T15:00:00Z".to_owned();
    let (initiating, asked) = (Status::Initiating, StatusReason::UserRequested);
    assert_eq!(status(&world, id), (initiating, asked, end.clone(), Unknown));
    assert_eq!(world.request(id).ticket.as_deref(), Some("T-1"));

    world.pass(Duration::from_secs(1));
    observe(&mut world);
    assert_eq!(status(&world, id), (Status::Initiated, asked, end.clone(), Open));

    // The same person again: the older one is replaced, and says when it ended and by what.
    let newer = world.ask(AZURE_POLICY, &ask, barbara(), "192.127.0.2");
    let (at, replaced) = ("2026-11-23T14:00:01Z".to_owned(), StatusReason::NewerRequestInitiated);
    assert_eq!(status(&world, id), (Status::Revoked, replaced, at, Open));
    let detail = world.request(id).ports().next().unwrap().1.status_detail.clone();
    assert_eq!(detail, Some(format!("replaced by {newer}")));

    // Long after its end, the end it had is told, not when that was written down.
    world.pass(Duration::from_hours(5));
    world.command(Command::Tick).unwrap();
    observe(&mut world);
    let end = "2026-11-23T15:00:01Z".to_owned();
    assert_eq!(status(&world, newer), (Status::Revoked, StatusReason::Expired, end, Unknown));
    assert_eq!(status(&world, id).3, Closed);

    let later = ask.replace("\"ticket\"", "\"startTimeUtc\":\"2026-11-24T00:00:00Z\",\"ticket\"");
    let planned = world.ask(AZURE_POLICY, &later, barbara(), "192.127.0.2");
    let end = "2026-11-24T01:00:00Z".to_owned();
    assert_eq!(status(&world, planned), (initiating, StatusReason::Planned, end, Unknown));
    assert_eq!(world.request(planned).start_time_utc.to_string(), "2026-11-24T00:00:00Z");
}

fn observe(world: &mut World) {
    let desired = open_now(&world.state, world.now);
    let observed = Observed {
        coverage: Coverage::All,
        locks: desired.locks,
        openings: desired.openings,
        failed: Default::default(),
        standing: Default::default(),
        screens: Default::default(),
        translations: Default::default(),
        untranslated: Default::default(),
    };
    let vms: BTreeSet<_> = world.state.vms.keys().cloned().collect();
    world.command(Command::Observe { guard: "local".to_owned(), vms, observed }).unwrap();
}

#[test]
fn why_an_access_ended_has_a_word_each() {
    use hourgate_api::jit::status_of;
    use hourgate_core::grant::Stage;
    for (reason, word) in [
        (EndReason::Expired, "Expired"),
        (EndReason::UserRequested, "UserRequested"),
        (EndReason::PolicyChanged, "PolicyChanged"),
        (EndReason::RightLost, "RightLost"),
        (EndReason::Lapsed, "Lapsed"),
        (EndReason::Failed { why: "full".to_owned() }, "Failed"),
    ] {
        let at = "2026-11-23T14:00:00Z".parse().unwrap();
        let ended =
            Stage::Ended { since: None, until: None, at, reason, opened: None, closed: None };
        let (status, reason, _) = status_of(&ended);
        assert_eq!(status, Status::Revoked);
        assert_eq!(serde_json::to_value(reason).unwrap(), word);
    }
    assert_eq!(serde_json::from_str::<StatusReason>("\"Later\"").unwrap(), StatusReason::Unknown);
}

#[test]
fn a_list_of_one_source_is_the_source_in_a_request() {
    let id: PolicyId = AZURE_POLICY.parse().unwrap();
    let ask = |source: &str| {
        let port = format!(r#"{{"number":22,{source}}}"#);
        let json = format!(r#"{{"virtualMachines":[{{"id":"{AZURE_VM}","ports":[{port}]}}]}}"#);
        body::initiate(json.as_bytes(), &id).map(|parts| parts.accesses[0].source)
    };
    let one = "192.0.2.1".parse().ok();
    assert_eq!(ask(r#""allowedSourceAddressPrefix":["192.0.2.1"]"#).unwrap(), one);
    assert_eq!(ask(r#""allowedSourceAddressPrefix":"192.0.2.1""#).unwrap(), one);
    assert_eq!(ask(r#""allowedSourceAddressPrefix":null"#).unwrap(), None);
    assert!(ask(r#""allowedSourceAddressPrefix":["192.0.2.1","192.0.2.2"]"#).is_err());
    assert!(ask(r#""allowedSourceAddressPrefix":[]"#).is_err());
}
