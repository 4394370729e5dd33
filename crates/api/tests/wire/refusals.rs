//! What the rules refuse, in words: the code, where it stands, and the numbers needed to ask again.

use hourgate_api::{
    body,
    error::{ArmError, Code, DETAILS_MAX, Positions, explain},
};
use hourgate_core::{
    command::{Command, Precondition},
    id::RequestId,
    network::{Family, NotAVmAddress},
    refusal::{At, Refusal, Refusals, SourceNeeded, TextProperty},
    role::OwnAddress,
};
use uuid::Uuid;

use crate::world::{AZURE_POLICY, AZURE_VM, World, barbara};

const POLICY: &str = r#"{"properties":{"virtualMachines":[{"id":"VM","ports":[
    {"number":22,"protocol":"TCP","allowedSourceAddressPrefixes":["10.0.0.0/16","10.2.0.0/16"],"maxRequestAccessDuration":"PT3H"},
    {"number":3389,"protocol":"*","allowedSourceAddressPrefix":"*","maxRequestAccessDuration":"PT1H30M"}]}]}}"#;

fn world() -> World {
    let mut world = World::at("2026-11-23T14:00:00Z").vm(AZURE_VM, "10.0.0.4");
    world.put_json(AZURE_POLICY, &POLICY.replace("VM", AZURE_VM));
    world
}

/// The error for an ask of barbara's, from 192.0.2.7.
fn ask(ports: &str) -> ArmError {
    ask_body(&format!(r#"{{"virtualMachines":[{{"id":"{AZURE_VM}","ports":[{ports}]}}]}}"#))
}

fn ask_body(json: &str) -> ArmError {
    let parts = body::initiate(json.as_bytes(), &AZURE_POLICY.parse().unwrap()).unwrap();
    let from = OwnAddress::Seen("192.0.2.7".parse().unwrap());
    let ask = parts.ask(RequestId::mint(9), barbara(), (from, None));
    let refusals = world().command(Command::Request(ask)).expect_err(json);
    explain(&refusals, &parts.positions)
}

const NOT_SUBSET: &str = "The given access request is not a subset of policy '/subscriptions/20ff7fc3-e762-44dd-bd96-b71116dcdc23/resourceGroups/myRg1/providers/Microsoft.Security/locations/westeurope/jitNetworkAccessPolicies/default'. Please make sure that the access request is within the allowed policy properties.";

#[test]
fn a_request_that_is_no_subset_gets_azures_sentence_and_every_reason() {
    let error = ask(
        r#"{"number":22,"duration":"PT4H","allowedSourceAddressPrefix":"203.0.113.0/24"},{"number":23}"#,
    );
    assert_eq!(error.code, Code::RequestNotSubset);
    assert_eq!(error.message, NOT_SUBSET);
    let told: Vec<(String, String, String)> = error
        .details
        .into_iter()
        .map(|d| (d.code.to_string(), d.target.unwrap(), d.message))
        .collect();
    let told: Vec<(&str, &str, &str)> =
        told.iter().map(|(a, b, c)| (a.as_str(), b.as_str(), c.as_str())).collect();
    let vm = AZURE_VM;
    assert_eq!(
        told,
        [
            (
                "PortNotInPolicy",
                "virtualMachines[0].ports[1].number",
                format!("Asked port 23 of '{vm}'; the policy allows 22 and 3389.").as_str()
            ),
            (
                "SourceNotAllowed",
                "virtualMachines[0].ports[0].allowedSourceAddressPrefix",
                &format!(
                    "Asked source 203.0.113.0/24 for port 22 of '{vm}'; the policy allows 10.0.0.0/16 and 10.2.0.0/16."
                )
            ),
            (
                "LongerThanPolicy",
                "virtualMachines[0].ports[0].duration",
                &format!("Asked 4 h for port 22 of '{vm}'; the policy allows at most 3 h.")
            ),
        ]
    );
    // One reason stands in the details, too.
    let error = ask(r#"{"number":3389,"endTimeUtc":"2026-11-23T16:00:00Z"}"#);
    assert_eq!(error.message, NOT_SUBSET);
    assert_eq!(error.details.len(), 1);
    assert!(error.details[0].message.contains("Asked 2 h"), "{}", error.details[0].message);
    assert!(error.details[0].message.contains("at most 90 min"), "{}", error.details[0].message);
    assert_eq!(error.details[0].target.as_deref(), Some("virtualMachines[0].ports[0].endTimeUtc"));
}

#[test]
fn what_a_request_is_refused_for() {
    let port = |property: &str| format!("virtualMachines[0].ports[0].{property}");
    for (ports, code, target, says) in [
        (
            r#"{"number":3389,"allowedSourceAddressPrefix":"198.51.100.9"}"#,
            Code::ApprovalRequired,
            port("allowedSourceAddressPrefix"),
            "Ask for 192.0.2.7, your own",
        ),
        (
            r#"{"number":22,"allowedSourceAddressPrefix":"10.0.0.0/20"}"#,
            Code::ApprovalRequired,
            port("allowedSourceAddressPrefix"),
            "wider than an IPv4 /24",
        ),
        (
            r#"{"number":22,"allowedSourceAddressPrefixes":["2001:db8::1"]}"#,
            Code::InvalidParameter,
            port("allowedSourceAddressPrefixes"),
            "IPv4 addresses only",
        ),
        (
            r#"{"number":22,"duration":"PT1S","allowedSourceAddressPrefix":"10.0.0.9"}"#,
            Code::InvalidParameter,
            port("duration"),
            "Asked 1 s; at least 1 min is accepted.",
        ),
        (
            r#"{"number":22,"endTimeUtc":"2026-11-23T13:00:00Z","allowedSourceAddressPrefix":"10.0.0.9"}"#,
            Code::InvalidParameter,
            port("endTimeUtc"),
            "The end 2026-11-23T13:00:00Z is not after the beginning 2026-11-23T14:00:00Z",
        ),
        (
            r#"{"number":22,"allowedSourceAddressPrefix":"10.0.0.9"},{"number":22,"allowedSourceAddressPrefix":"10.0.0.8"}"#,
            Code::InvalidParameter,
            "virtualMachines[0].ports[1].number".to_owned(),
            "is named twice",
        ),
    ] {
        let error = ask(ports);
        assert_eq!(error.code, code, "{ports}: {}", error.message);
        assert_eq!(error.target, Some(target), "{ports}");
        assert!(error.message.contains(says), "{ports}: {}", error.message);
    }
    let error = ask_body(r#"{"virtualMachines":[]}"#);
    assert_eq!(
        (error.code, error.target.as_deref()),
        (Code::InvalidParameter, Some("virtualMachines"))
    );
    let error = ask_body(&format!(
        r#"{{"virtualMachines":[{{"id":"{AZURE_VM}x","ports":[{{"number":1}},{{"number":2}}]}}]}}"#
    ));
    assert_eq!(
        (error.code, error.target.as_deref()),
        (Code::ResourceNotFound, Some("virtualMachines[0].id"))
    );
    assert!(error.details.is_empty(), "a VM is missed once: {:?}", error.details);
    assert_eq!(
        error.message,
        "The Resource 'Microsoft.Compute/virtualMachines/vm1x' under resource group 'myRg1' was not found."
    );
}

#[test]
fn of_several_refusals_the_first_to_repair_bears_the_code() {
    let at =
        At { vm: AZURE_VM.parse().unwrap(), port: hourgate_core::network::Port::new(22).unwrap() };
    let vm = at.vm.clone();
    let policy = AZURE_POLICY.parse().unwrap();
    let time = |text: &str| text.parse().unwrap();
    // From the last to the first.
    let all = [
        (
            Refusal::ClockBehind {
                now: time("2026-01-01T00:00:00Z"),
                highest: time("2026-01-02T00:00:00Z"),
            },
            Code::ClockBehind,
        ),
        (Refusal::TooManyOnVm { vm: vm.clone(), most: 5_000 }, Code::TooManyRequests),
        (Refusal::ConfirmationNeeded { at: at.clone() }, Code::ConfirmationNeeded),
        (Refusal::PortInOtherPolicy { at: at.clone(), policy }, Code::PortInOtherPolicy),
        (Refusal::NotEnforced { vm: vm.clone() }, Code::NotEnforced),
        (
            Refusal::SourceNeeded {
                at: at.clone(),
                seen: "::1".parse().unwrap(),
                why: SourceNeeded::Nobodys,
            },
            Code::SourceNeeded,
        ),
        (
            Refusal::TextTooLong { property: TextProperty::Ticket, most: 200 },
            Code::InvalidParameter,
        ),
        (Refusal::VmNotFound { vm }, Code::ResourceNotFound),
        (Refusal::PreconditionFailed { version: Some(3) }, Code::PreconditionFailed),
    ];
    let mut refusals = Vec::new();
    for (refusal, code) in all {
        refusals.push(refusal);
        let error = explain(&Refusals(refusals.clone()), &Positions::none());
        assert_eq!(error.code, code);
        assert_eq!(error.details.len(), if refusals.len() == 1 { 0 } else { refusals.len() });
    }
}

#[test]
fn what_a_policy_and_a_vm_are_refused_for() {
    let draft = |json: &str| {
        let json = json.replace("VM", AZURE_VM);
        let (draft, positions) =
            body::policy(json.as_bytes(), &AZURE_POLICY.parse().unwrap()).unwrap();
        explain(&world().put(draft).unwrap_err(), &positions)
    };
    let first = "properties.virtualMachines[0]";
    for (from, to, code, target, says) in [
        (
            "PT3H",
            "PT25H",
            Code::InvalidParameter,
            ".ports[0].maxRequestAccessDuration",
            "The longest access is 25 h; from 1 h to 24 h is accepted.",
        ),
        (
            "PT3H",
            "PT30M",
            Code::InvalidParameter,
            ".ports[0].maxRequestAccessDuration",
            "30 min; from 1 h",
        ),
        ("3389", "22", Code::InvalidParameter, ".ports[1].number", "named twice"),
        (
            "virtualMachines/vm1",
            "virtualMachines/vm9",
            Code::ResourceNotFound,
            ".id",
            "was not found",
        ),
        (
            "resourceGroups/myRg1",
            "resourceGroups/other",
            Code::InvalidParameter,
            ".id",
            "resource group 'myRg1'",
        ),
    ] {
        let error = draft(&POLICY.replace("VM", AZURE_VM).replacen(from, to, 1));
        assert_eq!(error.code, code, "{to}: {}", error.message);
        assert_eq!(error.target, Some(format!("{first}{target}")), "{to}");
        assert!(error.message.contains(says), "{to}: {}", error.message);
    }
    let error = draft(r#"{"properties":{"virtualMachines":[{"id":"VM","ports":[]}]}}"#);
    assert_eq!(error.target, Some(format!("{first}.ports")));
    let error = draft(r#"{"properties":{"virtualMachines":[]}}"#);
    assert_eq!(error.target.as_deref(), Some("properties.virtualMachines"));

    for (addresses, code, target, says) in [
        (r#""127.0.0.1""#, Code::InvalidParameter, "[0]", "is a loopback address"),
        (r#""10.0.0.9","ff02::1""#, Code::InvalidParameter, "[1]", "is a multicast"),
        (r#""fe80::1""#, Code::InvalidParameter, "[0]", "is a link-local address"),
        (r#""10.0.0.9","10.0.0.9""#, Code::InvalidParameter, "[1]", "is named twice"),
        (r#""10.0.0.4""#, Code::AddressInUse, "[0]", "is that of"),
        ("", Code::InvalidParameter, "", "at least one"),
    ] {
        let json =
            format!(r#"{{"location":"local","properties":{{"privateAddresses":[{addresses}]}}}}"#);
        let id = format!("{AZURE_VM}-new").parse().unwrap();
        let draft = body::resource(json.as_bytes(), &id).unwrap();
        let positions = Positions::of_resource(&draft);
        let (instance, only_if) = (Uuid::from_u128(3), Precondition::None);
        let command = Command::PutResource { draft: Box::new(draft), instance, only_if };
        let error = explain(&world().command(command).unwrap_err(), &positions);
        assert_eq!(error.code, code, "{addresses}: {}", error.message);
        assert_eq!(error.target, Some(format!("properties.privateAddresses{target}")));
        assert!(error.message.contains(says), "{addresses}: {}", error.message);
    }
    let refusal = Refusal::NotAVmAddress {
        address: "::ffff:1.2.3.4".parse().unwrap(),
        why: NotAVmAddress::Mapped,
    };
    let error = explain(&refusal.into(), &Positions::none());
    assert_eq!(error.target, None, "what was not sent has no place");
    let refusal = Refusal::NoAddressInFamily {
        at: At {
            vm: AZURE_VM.parse().unwrap(),
            port: hourgate_core::network::Port::new(1).unwrap(),
        },
        source: "2001:db8::/32".parse().unwrap(),
        families: vec![Family::V4],
    };
    assert!(explain(&refusal.into(), &Positions::none()).message.contains("IPv4 addresses only"));
}

#[test]
fn a_hundred_thousand_refusals_are_told_while_somebody_waits() {
    // Compared each with each this takes the better part of an hour, and the test is ended before.
    let vm = AZURE_VM.parse::<hourgate_core::id::VmId>().unwrap();
    let named =
        |n: u32| hourgate_core::id::VmId { name: format!("v{n}").parse().unwrap(), ..vm.clone() };
    let mut refusals: Vec<Refusal> =
        (0..100_000).map(|n| Refusal::VmNotFound { vm: named(n) }).collect();
    refusals.extend(refusals.clone());
    let error = explain(&Refusals(refusals), &Positions::none());
    assert_eq!(error.code, Code::ResourceNotFound);
    assert_eq!(error.details.len(), DETAILS_MAX + 1);
    assert_eq!(error.details[DETAILS_MAX].message, "And 99900 more.");
}
