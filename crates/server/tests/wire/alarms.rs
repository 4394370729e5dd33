//! P2, P7: what a change of the rules does to locks and to what runs is an alarm; and it is on the guard at once.

use std::{net::IpAddr, time::Duration};

use hourgate_core::event::Note;
use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    harness::{Running, SOON, Wanted, fresh_dir, start_in},
    network::{V, at, nic, put, rule_to_22 as rule},
};

const GROUP: &str = "networkSecurityGroups/web";

async fn set_group(server: &Running, rules: &[Value]) {
    let group = json!({"location": "local", "properties": {"securityRules": rules}});
    let (status, told) = put(server, GROUP, &group).await;
    assert!(status == 200 || status == 201, "{status} {told}");
}

/// `web-1` at 10.9.0.4 behind a group, its port 22 locked, with an access from 192.0.2.7 that has 200 or more.
async fn granted(config: &str) -> Running {
    let config = format!("jit_rule_priorities = {{ first = 200, last = 300 }}\n{config}");
    let server = start_in(fresh_dir(), Wanted::config(&config)).await.expect("a server");
    set_group(&server, &[]).await;
    let net = json!({"location": "local", "properties": {
        "addressSpace": {"addressPrefixes": ["10.9.0.0/16"]},
        "subnets": [{"name": "a", "properties": {"addressPrefix": "10.9.0.0/24"}}],
    }});
    assert_eq!(put(&server, "virtualNetworks/v", &net).await.0, 201);
    let mut nic = nic(&server, Some("10.9.0.4"));
    nic["properties"]["networkSecurityGroup"] = json!({"id": at(&server, GROUP)});
    assert_eq!(put(&server, "networkInterfaces/web-1", &nic).await.0, 201);
    server.protect().await;
    server.ask().await;
    server
}

fn alarms(server: &Running) -> Vec<String> {
    let notes = server.notes.lock().expect("no panic");
    let alarms = notes
        .iter()
        .filter_map(|note| if let Note::Alarm { what } = note { Some(what.clone()) } else { None });
    alarms.collect()
}

#[tokio::test]
async fn a_rule_that_drops_what_runs_is_an_alarm_that_names_it() {
    let server = granted("").await;
    assert_eq!(alarms(&server), Vec::<String>::new());
    set_group(&server, &[rule("others", 150, "Deny", "203.0.113.0/24")]).await;
    assert_eq!(alarms(&server), Vec::<String>::new(), "not of others");
    set_group(&server, &[rule("no", 150, "Deny", "192.0.2.0/24")]).await;
    let all = alarms(&server);
    let [alarm] = &all[..] else { panic!("{all:?}") };
    assert!(alarm.contains("'no' (priority 150)") && alarm.contains("web-1"), "{alarm}");
}

#[tokio::test]
async fn a_lock_that_is_broken_knowingly_is_an_alarm_that_says_from_where() {
    let server = granted("allow_lock_breaks = true").await;
    set_group(&server, &[rule("more", 310, "Allow", "203.0.113.9")]).await;
    let all = alarms(&server);
    let [alarm] = &all[..] else { panic!("{all:?}") };
    assert!(alarm.contains("port 22 of 10.9.0.4") && alarm.contains("203.0.113.9"), "{alarm}");
}

#[tokio::test]
async fn a_changed_rule_is_on_the_guard_before_anybody_looks_at_everything() {
    let server = granted("").await;
    let guard = server.guard.clone().expect("a guard");
    let address: IpAddr = "10.9.0.4".parse().expect("an address");
    let screen = || guard.screens().get(&address).cloned();
    let stands = async {
        while screen().is_none() {
            tokio::task::yield_now().await
        }
    };
    tokio::time::timeout(SOON, stands).await.expect("a screen");
    // The sweep is every ten seconds.
    for n in 0..3 {
        let before = screen();
        set_group(&server, &[rule("x", 400 + n, "Deny", &format!("203.0.113.{n}"))]).await;
        let changed = async {
            while screen() == before {
                tokio::task::yield_now().await
            }
        };
        let soon = tokio::time::timeout(Duration::from_secs(2), changed).await;
        assert!(soon.is_ok(), "change {n} is not on the guard");
    }
}

#[tokio::test]
async fn a_rule_that_is_to_be_new_does_not_take_the_place_of_one_that_stands() {
    let server = granted("").await;
    let path = format!("{}/securityRules/mine{V}", at(&server, GROUP));
    let put_new = async |priority| {
        let body = rule("mine", priority, "Deny", "203.0.113.0/24").to_string();
        let only_new = [("if-none-match", "*")];
        server.call_with(Method::PUT, &path, Some(&body), &only_new).await.status().as_u16()
    };
    assert_eq!((put_new(500).await, put_new(501).await), (201, 412));
    let (_, told) = server.json(Method::GET, &path, None).await;
    assert_eq!(told["properties"]["priority"], 500);
}

#[tokio::test]
async fn a_group_of_two_addresses_is_told_once() {
    let server = granted("").await;
    let subnet = json!({"id": at(&server, "virtualNetworks/v/subnets/a")});
    let one = |name: &str, address: &str, primary: bool| {
        json!({"name": name, "properties": {
            "subnet": subnet, "privateIPAddress": address, "primary": primary,
            "privateIPAllocationMethod": "Static",
        }})
    };
    let net = json!({"location": "local", "properties": {
        "addressSpace": {"addressPrefixes": ["10.9.0.0/16"]},
        "subnets": [{"name": "a", "properties": {
            "addressPrefix": "10.9.0.0/24",
            "networkSecurityGroup": {"id": at(&server, GROUP)},
        }}],
    }});
    assert_eq!(put(&server, "virtualNetworks/v", &net).await.0, 200);
    let nic = json!({"location": "local", "properties": {
        "networkSecurityGroup": {"id": at(&server, GROUP)},
        "ipConfigurations": [one("a", "10.9.0.8", true), one("b", "10.9.0.9", false)],
    }});
    assert_eq!(put(&server, "networkInterfaces/two", &nic).await.0, 201);
    let path =
        format!("{}/effectiveNetworkSecurityGroups{V}", at(&server, "networkInterfaces/two"));
    let (status, told) = server.json(Method::POST, &path, Some(&json!({}))).await;
    assert_eq!(status, 200, "{told}");
    let joined: Vec<&Value> =
        told["value"].as_array().into_iter().flatten().map(|group| &group["joinedTo"]).collect();
    assert_eq!(joined, ["subnet", "networkInterface"]);
}
