//! Refusals for somebody who may not read what they name: not a word of it is told.

use hourgate_api::error::{Positions, explain, explain_to};
use hourgate_core::{
    named::Named,
    refusal::{Refusal, Refusals},
};
use serde_json::{Value, json};

const S: &str = "/subscriptions/6f1a0000-0000-4000-8000-000000000001/resourceGroups/rg";

fn network(kind: &str, name: &str) -> String {
    format!("{S}/providers/Microsoft.Network/{kind}/{name}")
}

fn vm(name: &str) -> String {
    format!("{S}/providers/Microsoft.Compute/virtualMachines/{name}")
}

/// Everything that names something nobody sent; what is not to be told is called `secret`, an address of it
/// 10.66.66.66, and a request of somebody's `secret`, whose ids have six letters.
fn samples() -> Vec<Refusal> {
    let nsg = network("networkSecurityGroups", "secret");
    let nic = network("networkInterfaces", "secret");
    let firewall = network("azureFirewalls", "secret");
    let balancer = network("loadBalancers", "secret");
    let policy =
        format!("{S}/providers/Microsoft.Security/locations/l/jitNetworkAccessPolicies/secret");
    let at = json!({"vm": vm("mine"), "port": 22});
    let numbered = json!({"rule": "secret", "priority": 200});
    let own = network("networkInterfaces", "mine");
    let fault = |fault: Value| json!({"refusal": "resource", "id": own, "fault": fault});
    let of_nsg = |fault: Value| {
        let id = network("networkSecurityGroups", "mine");
        json!({"refusal": "resource", "id": id, "fault": fault})
    };
    let of_firewall = |fault: Value| json!({"refusal": "resource", "id": firewall, "fault": fault});
    let all = [
        json!({"refusal": "blocked", "at": at, "group": nsg, "rule": "secret", "priority": 100,
               "cure": {"cure": "changeRule", "group": nsg, "rule": "secret", "priority": 100}}),
        json!({"refusal": "noNumber", "at": at,
               "why": {"refusal": "bandFull", "group": nsg, "first": 100, "before": 200}}),
        json!({"refusal": "mappedPortsFull", "at": at, "firewall": firewall,
               "ports": "40000-49999"}),
        json!({"refusal": "firewallNotEnforced", "at": at, "firewall": firewall,
               "address": "10.66.66.66"}),
        json!({"refusal": "addressTaken", "address": "10.0.0.4", "vm": vm("secret")}),
        json!({"refusal": "notEnforced", "vm": vm("secret")}),
        json!({"refusal": "interfaceHasMore", "interface": nic, "addresses": ["10.66.66.66"]}),
        json!({"refusal": "vmHasPolicy", "vm": vm("secret"), "policy": policy}),
        json!({"refusal": "portInOtherPolicy", "at": at, "policy": policy}),
        json!({"refusal": "addressNotOfVm", "at": at, "address": "10.0.0.9",
               "addresses": ["10.66.66.66"]}),
        json!({"refusal": "unsupported", "vm": vm("mine"),
               "reason": {"reason": "missingGroup", "interface": nic}}),
        json!({"refusal": "unsupported", "vm": vm("mine"),
               "reason": {"reason": "unfitFirewall", "firewall": firewall, "why": "NoPolicy"}}),
        fault(json!({"fault": "inUse", "target": {"Resource": own}, "by": [vm("secret")]})),
        fault(json!({"fault": "addressInUse", "configuration": "ip", "address": "10.0.0.4",
                     "by": nic})),
        fault(json!({"fault": "interfaceInUse", "interface": own, "by": vm("secret")})),
        fault(json!({"fault": "publicAddressInUse", "configuration": "ip",
                     "target": network("publicIPAddresses", "mine"), "by": nic})),
        fault(json!({"fault": "natRuleTaken", "configuration": "ip", "by": nic,
                     "rule": format!("{balancer}/inboundNatRules/r")})),
        fault(json!({"fault": "addressLeft", "subnet": "a", "by": nic, "address": "10.66.66.66"})),
        of_nsg(json!({"fault": "jitRule", "rule": "mine",
                      "of": {"of": "lock", "policy": policy, "vm": vm("secret"), "port": 22}})),
        of_nsg(json!({"fault": "jitRule", "rule": "mine",
                      "of": {"of": "grant", "request": "secret", "vm": vm("secret"), "port": 22}})),
        of_firewall(json!({"fault": "leadsForAccesses", "requests": ["secret"]})),
    ];
    let mut read: Vec<Refusal> = all
        .into_iter()
        .map(|json| serde_json::from_value(json.clone()).unwrap_or_else(|e| panic!("{e}: {json}")))
        .collect();
    for why in [
        json!({"refusal": "noFreeNumber", "group": nsg, "after": numbered, "before": null}),
        json!({"refusal": "groupFull", "group": nsg, "most": 1000}),
    ] {
        let json = json!({"refusal": "noPlace", "at": at, "address": "10.0.0.4", "why": why});
        read.push(serde_json::from_value(json).unwrap());
    }
    read
}

#[test]
fn nothing_that_may_not_be_read_is_told() {
    for refusal in samples() {
        let refusals = Refusals(vec![refusal.clone()]);
        let all = explain(&refusals, &Positions::none());
        let seen = all.message.contains("secret") || all.message.contains("10.66.66.66");
        assert!(seen, "it names what it is about: {}", all.message);
        assert_eq!(explain_to(&refusals, &Positions::none(), &|_| true), all);
        let less = explain_to(&refusals, &Positions::none(), &|_| false);
        assert_eq!(less.code, all.code);
        let text = serde_json::to_string(&less).unwrap();
        assert!(!text.contains("secret") && !text.contains("10.66.66.66"), "{text}");
        assert!(!less.message.is_empty() && less.message.ends_with('.'), "{text}");
    }
}

/// One name that may not be read is enough, whichever it is.
#[test]
fn each_name_is_asked_for() {
    for refusal in samples() {
        // What was sent is told, whoever may read it.
        let unsent = |named: &Named| named.scope.as_str().ends_with("/secret");
        for hidden in refusal.names().into_iter().filter(unsent) {
            let sees = |named: &Named| *named != hidden;
            let less = explain_to(&refusal.clone().into(), &Positions::none(), &sees);
            let name = hidden.scope.as_str();
            assert!(!less.message.contains(name), "{name}: {}", less.message);
        }
    }
}

#[test]
fn several_that_read_alike_are_one() {
    let broken = |name: &str| {
        let taken = json!({"refusal": "vmHasPolicy", "vm": vm(name), "policy": format!(
            "{S}/providers/Microsoft.Security/locations/l/jitNetworkAccessPolicies/p"
        )});
        serde_json::from_value::<Refusal>(taken).unwrap()
    };
    let refusals = Refusals(vec![broken("a"), broken("b"), broken("c")]);
    assert_eq!(explain(&refusals, &Positions::none()).details.len(), 3);
    let less = explain_to(&refusals, &Positions::none(), &|_| false);
    assert!(less.details.is_empty() && !less.message.contains("more"), "{less:?}");
}

#[test]
fn of_those_that_use_something_each_is_told_to_who_may_read_it() {
    let own = network("networkSecurityGroups", "mine");
    let by = [network("networkInterfaces", "seen"), network("networkInterfaces", "secret")];
    let json = json!({"refusal": "resource", "id": own, "fault": {
        "fault": "inUse", "target": {"Resource": own}, "by": by,
    }});
    let refusal: Refusal = serde_json::from_value(json).unwrap();
    let sees = |named: &Named| named.scope.as_str().ends_with("/seen");
    let told = explain_to(&refusal.into(), &Positions::none(), &sees).message;
    assert!(told.contains("/seen, and something that you may not see"), "{told}");
    assert!(!told.contains("secret"), "{told}");
}
