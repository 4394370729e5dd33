use serde_json::json;

use super::*;

const GROUP: &str = "/subscriptions/00000000-0000-0000-0000-00000000000a/resourceGroups/g/providers\
                     /Microsoft.Network";

fn live(things: &[(&str, Value)]) -> Live {
    let of = |(path, body): &(&str, Value)| {
        (Thing::of_id(&format!("{GROUP}/{path}")).expect("ours").0, body.clone())
    };
    things.iter().map(of).collect()
}

fn group(etag: &str) -> Value {
    json!({ "location": "local", "etag": etag, "properties": {} })
}

#[test]
fn what_the_file_does_not_name_goes_before_what_it_needs() {
    let nic = json!({ "properties": {
        "networkSecurityGroup": { "id": format!("{GROUP}/networkSecurityGroups/a") } } });
    let stands = live(&[
        ("networkInterfaces/n", nic),
        ("networkSecurityGroups/a", group("1")),
        ("networkSecurityGroups/kept", group("1")),
    ]);
    let kept = Wanted {
        thing: Thing::of_id(&format!("{GROUP}/networkSecurityGroups/kept")).expect("ours").0,
        body: json!({ "location": "local" }),
        after: Vec::new(),
    };
    let brought = Brought { wanted: vec![kept], skipped: Vec::new() };
    let steps = |prune| {
        let plan = plan("file", brought.clone(), &stands, prune).expect("a plan");
        plan.steps
            .iter()
            .map(|s| format!("{} {}", s.act.word(), s.thing.name()))
            .collect::<Vec<_>>()
    };
    assert_eq!(steps(false), ["unchanged kept"]);
    assert_eq!(steps(true), ["unchanged kept", "remove n", "remove a"]);
}

#[test]
fn an_address_that_a_file_names_is_sent_as_one_that_stays() {
    let mut body = json!({ "properties": { "ipConfigurations": [
        { "name": "a", "properties": { "privateIPAddress": "10.0.0.4", "privateIPAllocationMethod": "Dynamic" } },
        { "name": "b", "properties": { "privateIPAllocationMethod": "Dynamic" } },
    ] } });
    keep_addresses(&mut body);
    let method = |at: usize| &body["properties"]["ipConfigurations"][at]["properties"]["privateIPAllocationMethod"];
    assert_eq!((method(0), method(1)), (&json!("Static"), &json!("Dynamic")));
}

#[test]
fn an_address_is_one_interfaces_and_one_machines() {
    let machine = |path: &str, address: &str| Wanted {
        thing: Thing::of_id(&format!("{GROUP}/{path}").replace("Network", "Compute"))
            .expect("ours")
            .0,
        body: json!({ "location": "local", "properties": { "privateAddresses": [address] } }),
        after: Vec::new(),
    };
    let stands = [("virtualMachines/a", "10.0.0.4")].map(|(path, address)| {
        let Wanted { thing, body, .. } = machine(path, address);
        (thing, body)
    });
    let live: Live = stands.into_iter().collect();
    let told = |wanted: Vec<Wanted>| {
        let brought = Brought { wanted, skipped: Vec::new() };
        plan("file", brought, &live, false).err().map(|failure| failure.text())
    };
    let told_of = |wanted| told(wanted).unwrap_or_default();
    let twice = told_of(vec![
        machine("virtualMachines/b", "10.0.0.5"),
        machine("virtualMachines/c", "10.0.0.5"),
    ]);
    assert!(twice.contains("has the address 10.0.0.5, and so has"), "{twice}");
    let taken = told_of(vec![machine("virtualMachines/b", "10.0.0.4")]);
    assert!(taken.contains("virtualMachines/a`"), "{taken}");
    // What the file moves away is free.
    let moved =
        vec![machine("virtualMachines/a", "10.0.0.9"), machine("virtualMachines/b", "10.0.0.4")];
    assert_eq!(told(moved), None);
}
