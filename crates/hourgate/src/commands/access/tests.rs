//! Which ports are meant, and how the command ends.

use hourgate_core::policy::Os;
use serde_json::json;

use super::*;

const SCOPE: &str =
    "/subscriptions/00000000-0000-0000-0000-000000000000/resourceGroups/g/providers";

fn vm(name: &str, os: Os) -> Vm {
    Vm {
        id: format!("{SCOPE}/Microsoft.Compute/virtualMachines/{name}").parse().expect("an id"),
        location: "local".parse().expect("a location"),
        os,
        addresses: vec![[10, 0, 0, 4].into()],
    }
}

fn held(name: &str, vm: &str, ports: &[u16]) -> PolicyResource {
    let port = |number: &u16| {
        json!({"number": number, "protocol": "TCP", "allowedSourceAddressPrefix": "*",
               "maxRequestAccessDuration": "PT3H"})
    };
    let id = format!("{SCOPE}/Microsoft.Security/locations/local/jitNetworkAccessPolicies/{name}");
    let policy = json!({
        "id": id, "name": name, "type": "t", "location": "local",
        "properties": {
            "provisioningState": "Succeeded",
            "virtualMachines": [{
                "id": format!("{SCOPE}/Microsoft.Compute/virtualMachines/{vm}"),
                "ports": ports.iter().map(port).collect::<Vec<_>>(),
            }],
        },
    });
    view::policy(&policy).expect("a policy")
}

#[test]
fn without_a_port_only_the_obvious_one_is_meant() {
    let rows: [(Os, &[u16], Result<u16, Exit>); 7] = [
        (Os::Linux, &[22], Ok(22)),
        (Os::Linux, &[22, 443], Ok(22)),
        (Os::Windows, &[3389, 5985], Ok(3389)),
        (Os::Unknown, &[22], Ok(22)),
        (Os::Linux, &[8443], Ok(8443)),
        (Os::Unknown, &[22, 3389], Err(Exit::Usage)),
        (Os::Linux, &[80, 443], Err(Exit::Usage)),
    ];
    for (os, ports, meant) in rows {
        let found = usual_ports(&held("default", "web-1", ports), &vm("web-1", os));
        match (found, meant) {
            (Ok(found), Ok(port)) => assert_eq!(found, [port], "{os:?} {ports:?}"),
            (Err(failure), Err(exit)) => {
                assert_eq!(failure.exit, exit);
                assert!(failure.text().contains("-p"), "{}", failure.text());
            }
            (found, meant) => panic!("{os:?} {ports:?}: {found:?}, not {meant:?}"),
        }
    }
}

#[test]
fn one_request_is_of_one_policy() {
    let policies = [held("default", "web-1", &[22]), held("other", "web-2", &[22])];
    let both = vec![vm("web-1", Os::Linux), vm("web-2", Os::Linux)];
    let failure = one_policy(&policies, both, &[]).err().expect("two policies");
    assert_eq!(failure.exit, Exit::Usage);
    assert_eq!(failure.details.len(), 2);
    let unprotected = one_policy(&policies, vec![vm("db-1", Os::Linux)], &[]).err().expect("none");
    assert_eq!(unprotected.exit, Exit::NotFound);
    assert!(unprotected.text().contains("hourgate protect db-1"));
}

#[test]
fn addresses_that_are_named_are_those_of_each_machine() {
    let at = |address: &str| address.parse::<IpAddr>().expect("an address");
    let wanted = |name: &str, addresses: &[&str]| Wanted {
        vm: Vm { addresses: addresses.iter().map(|a| at(a)).collect(), ..vm(name, Os::Linux) },
        ports: vec![22],
        addresses: None,
    };
    let both = || [wanted("web-1", &["10.0.0.4", "fd00::4"]), wanted("web-2", &["10.0.0.5"])];
    let mut all = both();
    narrow(&mut all, &[]).expect("all");
    assert!(all.iter().all(|one| one.addresses.is_none()));
    let mut some = both();
    narrow(&mut some, &[at("10.0.0.5"), at("fd00::4")]).expect("one of each");
    assert_eq!(some[0].addresses, Some(vec![at("fd00::4")]));
    assert_eq!(some[1].addresses, Some(vec![at("10.0.0.5")]));
    let failure = narrow(&mut both(), &[at("10.0.0.4"), at("10.0.0.9")]).expect_err("two mistakes");
    assert_eq!(failure.exit, Exit::Usage);
    for needed in ["10.0.0.9 is no address", "of web-2 none is named; it has 10.0.0.5"] {
        assert!(failure.text().contains(needed), "{}", failure.text());
    }
}

#[test]
fn only_what_was_seen_open_ends_with_0() {
    let rows = [
        ("Initiated", "UserRequested", "open", None),
        ("Initiating", "UserRequested", "open", None),
        ("Initiating", "Planned", "unknown", None),
        ("Initiating", "UserRequested", "unknown", Some(Exit::NotObserved)),
        ("Initiating", "UserRequested", "closed", Some(Exit::NotObserved)),
        ("Initiated", "UserRequested", "unknown", Some(Exit::NotObserved)),
        ("Revoked", "Expired", "closed", Some(Exit::NotObserved)),
        ("Revoked", "Failed", "unknown", Some(Exit::Refused)),
        ("Revoked", "PolicyChanged", "closed", Some(Exit::Refused)),
        ("Revoked", "SomethingNew", "closed", Some(Exit::Refused)),
    ];
    for (status, reason, seen, exit) in rows {
        let request = json!({
            "virtualMachines": [{"id": vm("web-1", Os::Linux).id, "ports": [{
                "number": 22, "allowedSourceAddressPrefix": "203.0.113.9",
                "endTimeUtc": "2026-11-23T15:00:00Z", "status": status, "statusReason": reason,
                "observed": {"state": seen}, "newer": "property"}]}],
            "startTimeUtc": "2026-11-23T14:00:00Z", "requestor": "", "id": "abc123",
        });
        let request = view::request(&request).expect("a request");
        let ended = verdict(&request).err().map(|failure| failure.exit);
        assert_eq!(ended, exit, "{status} {reason} {seen}");
    }
}
