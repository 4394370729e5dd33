//! Changes a policy as whoever shares it would want: read, change our part, write back if nobody else
//! wrote in between, else again.

use std::{collections::BTreeSet, time::Duration};

use hourgate_api::{
    headers,
    jit::{PLACEMENT_NIC, PLACEMENT_NIC_AND_SUBNET},
    paths::{Route, WHAT_IF},
    time::IsoDuration,
};
use hourgate_core::{
    id::{PolicyId, VmId},
    network::{Port, Source},
    policy::LONGEST_ACCESS_DEFAULT,
};
use reqwest::Method;
use serde_json::{Map, Value, json};

use super::{Placement, Session, confirm_header};
use crate::{
    client::Call,
    exit::{Exit, Failure},
    view::{Vm, default_ports},
};

/// How often a change is tried anew because somebody else was faster.
const ATTEMPTS_MAX: usize = 10;

/// What the person wants of the VMs they named; what is not said stays, or has its default.
#[derive(Clone, Debug, Default)]
pub(super) struct Wanted {
    /// Exactly these ports; those it has, or its system's, if none.
    pub(super) ports: Vec<Port>,
    /// The longest access.
    pub(super) longest: Option<Duration>,
    /// From where.
    pub(super) sources: Vec<Source>,
    /// Whether sessions end with the access.
    pub(super) end_sessions: Option<bool>,
    /// Whether locks close standing exceptions too.
    pub(super) remove_standing: Option<bool>,
    /// Where the rules of accesses lie.
    pub(super) placement: Option<Placement>,
}

/// What becomes of a policy.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Changed {
    /// It is this.
    Put(Value),
    /// It holds nothing any more.
    Delete,
    /// It is so already.
    Nothing,
}

/// Changes a policy, and gives it back as stored; nothing if it is no more.
pub(super) async fn commit(
    session: &Session,
    id: &PolicyId,
    within: Option<Duration>,
    change: impl Fn(Option<&Value>) -> Result<Changed, Failure>,
) -> Result<Option<Value>, Failure> {
    let path = Route::Policy(id.clone()).uri();
    for _ in 0..ATTEMPTS_MAX {
        let stored = match session.client.get(&path).await {
            Ok(reply) => Some(reply),
            Err(failure) if failure.exit == Exit::NotFound => None,
            Err(failure) => return Err(failure),
        };
        let body = change(stored.as_ref().map(|reply| &reply.body))?;
        let call = match &body {
            Changed::Put(body) => Call::new(Method::PUT, &path).body(body),
            Changed::Delete => Call::new(Method::DELETE, &path),
            Changed::Nothing => return Ok(stored.map(|reply| reply.body)),
        };
        let call = match stored.and_then(|reply| reply.etag) {
            Some(etag) => call.header(headers::IF_MATCH, etag),
            None => call.header(headers::IF_NONE_MATCH, "*"),
        };
        let call = match within.map(confirm_header) {
            Some((name, value)) => call.header(name, value),
            None => call,
        };
        if let Some(reply) = session.client.send_if(call).await? {
            return Ok((body != Changed::Delete).then_some(reply.body));
        }
    }
    Err(Failure::new(Exit::Refused, format!("Others change the policy {} all the time.", id.name))
        .advise("Nothing of this was stored; try again."))
}

/// What a policy would be, and what its locks would do; nothing is changed.
pub(super) async fn what_if(
    session: &Session,
    id: &PolicyId,
    within: Option<Duration>,
    body: impl Fn(Option<&Value>) -> Result<Value, Failure>,
) -> Result<Value, Failure> {
    let route = Route::Policy(id.clone());
    let stored = match session.client.get(&route.uri()).await {
        Ok(reply) => Some(reply.body),
        Err(failure) if failure.exit == Exit::NotFound => None,
        Err(failure) => return Err(failure),
    };
    let body = body(stored.as_ref())?;
    let path = route.with_query(&[(WHAT_IF, "true")]);
    let call = Call::new(Method::PUT, &path).body(&body);
    let call = match within.map(confirm_header) {
        Some((name, value)) => call.header(name, value),
        None => call,
    };
    Ok(session.client.send(call).await?.body)
}

/// The policy without these VMs, or without these ports of them.
pub(super) fn without(policy: Option<&Value>, vms: &[Vm], ports: &[Port]) -> Changed {
    let Some(policy) = policy else { return Changed::Nothing };
    let before = members(Some(policy));
    let mut after = before.clone();
    let is_named = |member: &Value| vms.iter().any(|vm| is_of(member, &vm.id));
    let stays = |rule: &Value| {
        let number = rule["number"].as_u64();
        ports.iter().all(|port| number != Some(port.number().into()))
    };
    for member in after.iter_mut().filter(|member| is_named(member)) {
        match member["ports"].as_array_mut() {
            Some(rules) if !ports.is_empty() => rules.retain(stays),
            Some(rules) => rules.clear(),
            None => {}
        }
    }
    let is_empty = |member: &Value| member["ports"].as_array().is_none_or(Vec::is_empty);
    after.retain(|member| !(is_named(member) && is_empty(member)));
    if after.is_empty() {
        Changed::Delete
    } else if after == before {
        Changed::Nothing
    } else {
        Changed::Put(body(Some(policy), after))
    }
}

impl Wanted {
    /// What can be said to be wrong without asking the server.
    pub(super) fn check(&self) -> Result<(), Failure> {
        let mut seen = BTreeSet::new();
        match self.ports.iter().find(|port| !seen.insert(**port)) {
            Some(twice) => Err(Failure::usage(format!("The port {twice} is named twice."))),
            None => Ok(()),
        }
    }

    /// The policy with what is wanted of these VMs, and everything else in it as it is.
    pub(super) fn merged(&self, policy: Option<&Value>, vms: &[Vm]) -> Result<Value, Failure> {
        let mut members = members(policy);
        for vm in vms {
            let stored = members.iter().position(|member| is_of(member, &vm.id));
            let member = self.member(stored.map(|at| &members[at]), vm)?;
            match stored {
                Some(at) => members[at] = member,
                None => members.push(member),
            }
        }
        Ok(body(policy, members))
    }

    fn member(&self, stored: Option<&Value>, vm: &Vm) -> Result<Value, Failure> {
        let rules: Vec<Value> =
            stored.and_then(|member| member["ports"].as_array()).cloned().unwrap_or_default();
        let rule_of = |port: Port| {
            rules.iter().find(|rule| rule["number"].as_u64() == Some(port.number().into()))
        };
        let ports = match (self.ports.is_empty(), rules.is_empty()) {
            (false, _) => self.ports.iter().map(|port| self.rule(rule_of(*port), *port)).collect(),
            (true, true) => {
                default_ports(vm.os).into_iter().map(|port| self.rule(None, port)).collect()
            }
            (true, false) => {
                let kept = rules.iter().map(|rule| {
                    let number = rule["number"].as_u64().and_then(|n| u16::try_from(n).ok());
                    number.and_then(Port::new).map(|port| self.rule(Some(rule), port))
                });
                kept.collect::<Option<Vec<Value>>>().ok_or_else(|| {
                    Failure::new(Exit::Refused, "The stored policy has a port that is none.")
                })?
            }
        };
        let mut member = stored.and_then(Value::as_object).cloned().unwrap_or_default();
        member.insert("id".to_owned(), json!(vm.id));
        member.insert("ports".to_owned(), Value::Array(ports));
        if let Some(placement) = self.placement {
            let placement = match placement {
                Placement::Nic => PLACEMENT_NIC,
                Placement::NicAndSubnet => PLACEMENT_NIC_AND_SUBNET,
            };
            member.insert("placement".to_owned(), json!(placement));
        }
        Ok(Value::Object(member))
    }

    fn rule(&self, stored: Option<&Value>, port: Port) -> Value {
        let mut rule = stored.and_then(Value::as_object).cloned().unwrap_or_else(|| {
            Map::from_iter([
                ("number".to_owned(), json!(port)),
                ("protocol".to_owned(), json!("TCP")),
                ("allowedSourceAddressPrefix".to_owned(), json!(Source::Any)),
                ("maxRequestAccessDuration".to_owned(), json!(IsoDuration(LONGEST_ACCESS_DEFAULT))),
            ])
        });
        if let Some(longest) = self.longest {
            rule.insert("maxRequestAccessDuration".to_owned(), json!(IsoDuration(longest)));
        }
        if let Some(end_sessions) = self.end_sessions {
            rule.insert("endSessions".to_owned(), json!(end_sessions));
        }
        if let Some(remove_standing) = self.remove_standing {
            rule.insert("removeStanding".to_owned(), json!(remove_standing));
        }
        // Only ever told.
        rule.remove("locks");
        // One or the other, never both (Azure).
        match self.sources.as_slice() {
            [] => {}
            [one] => {
                rule.remove("allowedSourceAddressPrefixes");
                rule.insert("allowedSourceAddressPrefix".to_owned(), json!(one));
            }
            several => {
                rule.remove("allowedSourceAddressPrefix");
                rule.insert("allowedSourceAddressPrefixes".to_owned(), json!(several));
            }
        }
        Value::Object(rule)
    }
}

fn members(policy: Option<&Value>) -> Vec<Value> {
    let members = policy.and_then(|policy| policy.pointer("/properties/virtualMachines"));
    members.and_then(Value::as_array).cloned().unwrap_or_default()
}

fn is_of(member: &Value, vm: &VmId) -> bool {
    member["id"].as_str().and_then(|id| id.parse().ok()).is_some_and(|id: VmId| id == *vm)
}

fn body(policy: Option<&Value>, members: Vec<Value>) -> Value {
    let kind = policy.and_then(|policy| policy["kind"].as_str()).unwrap_or("Basic");
    json!({ "kind": kind, "properties": { "virtualMachines": members } })
}

#[cfg(test)]
mod tests {
    use hourgate_core::policy::Os;

    use super::*;

    const SCOPE: &str = "/subscriptions/00000000-0000-0000-0000-000000000000/resourceGroups/g\
                         /providers/Microsoft.Compute/virtualMachines";

    fn vm(name: &str, os: Os) -> Vm {
        Vm {
            id: format!("{SCOPE}/{name}").parse().expect("an id"),
            location: "local".parse().expect("a location"),
            os,
            addresses: vec![[10, 0, 0, 4].into()],
        }
    }

    fn port(number: u16) -> Port {
        Port::new(number).expect("a port")
    }

    fn stored() -> Value {
        json!({
            "kind": "Basic", "id": "x", "name": "default",
            "properties": {
                "provisioningState": "Succeeded",
                "requests": [{"id": "abc123"}],
                "virtualMachines": [
                    {"id": format!("{SCOPE}/WEB-1"), "placement": "nic", "ports": [
                        {"number": 22, "protocol": "*", "allowedSourceAddressPrefix": "10.0.0.0/8",
                         "maxRequestAccessDuration": "PT1H", "endSessions": true, "later": 1,
                         "locks": [{"address": "10.0.0.4"}]},
                        {"number": 443, "protocol": "TCP", "allowedSourceAddressPrefixes": ["*"],
                         "maxRequestAccessDuration": "PT2H"}]},
                    {"id": format!("{SCOPE}/other"), "ports": [{"number": 9}], "later": true},
                ],
            },
        })
    }

    fn member(body: &Value, at: usize) -> &Value {
        &body["properties"]["virtualMachines"][at]
    }

    #[test]
    fn a_new_vm_has_the_ports_of_its_system() {
        for (os, ports) in
            [(Os::Linux, vec![22]), (Os::Windows, vec![3389]), (Os::Unknown, vec![22, 3389])]
        {
            let body = Wanted::default().merged(None, &[vm("new", os)]).expect("merged");
            let rules = member(&body, 0)["ports"].as_array().expect("ports");
            assert_eq!(rules.iter().map(|rule| &rule["number"]).collect::<Vec<_>>(), ports);
            for rule in rules {
                assert_eq!(rule["protocol"], "TCP");
                assert_eq!(rule["allowedSourceAddressPrefix"], "*");
                assert_eq!(rule["maxRequestAccessDuration"], "PT3H");
            }
        }
    }

    #[test]
    fn what_is_not_said_stays() {
        let body = Wanted::default().merged(Some(&stored()), &[vm("web-1", Os::Linux)]);
        let body = body.expect("merged");
        let mut ports = stored()["properties"]["virtualMachines"][0]["ports"].clone();
        ports[0].as_object_mut().expect("a rule").remove("locks");
        assert_eq!(member(&body, 0)["ports"], ports);
        assert_eq!(member(&body, 0)["placement"], "nic");
        assert_eq!(member(&body, 1), &stored()["properties"]["virtualMachines"][1]);
        assert!(body["properties"].get("requests").is_none(), "history is not ours to send");
    }

    #[test]
    fn ports_are_set_and_keep_their_rules() {
        let wanted = Wanted {
            ports: vec![port(22), port(5985)],
            longest: Some(Duration::from_mins(30)),
            sources: vec![Source::Any, "10.0.0.4".parse().expect("a source")],
            end_sessions: Some(false),
            remove_standing: Some(true),
            placement: Some(Placement::NicAndSubnet),
        };
        let body = wanted.merged(Some(&stored()), &[vm("web-1", Os::Linux)]).expect("merged");
        assert_eq!(member(&body, 0)["placement"], "nic-and-subnet");
        let rules = member(&body, 0)["ports"].as_array().expect("ports");
        assert_eq!(rules.len(), 2);
        assert_eq!(rules[0]["later"], 1, "what we do not know is kept");
        assert_eq!(rules[0]["protocol"], "*");
        for rule in rules {
            assert_eq!(rule["maxRequestAccessDuration"], "PT30M");
            assert_eq!(rule["endSessions"], false);
            assert_eq!(rule["removeStanding"], true);
            assert!(rule.get("locks").is_none(), "what is only told is not sent");
            assert_eq!(rule["allowedSourceAddressPrefixes"], json!(["*", "10.0.0.4"]));
            assert!(rule.get("allowedSourceAddressPrefix").is_none());
        }
        let twice = Wanted { ports: vec![port(22), port(22)], ..Wanted::default() };
        assert_eq!(twice.check().expect_err("twice").exit, Exit::Usage);
    }

    #[test]
    fn the_last_vm_takes_the_policy_with_it() {
        let [one, two] = [vm("web-1", Os::Linux), vm("other", Os::Linux)];
        let Changed::Put(body) = without(Some(&stored()), std::slice::from_ref(&one), &[]) else {
            panic!("the other VM stays")
        };
        assert_eq!(body["properties"]["virtualMachines"].as_array().map(Vec::len), Some(1));
        assert_eq!(without(Some(&stored()), &[one.clone(), two], &[]), Changed::Delete);
        assert_eq!(without(Some(&stored()), &[vm("third", Os::Linux)], &[]), Changed::Nothing);
        assert_eq!(without(None, &[], &[]), Changed::Nothing);
        let Changed::Put(body) = without(Some(&stored()), std::slice::from_ref(&one), &[port(22)])
        else {
            panic!("its other port stays")
        };
        let left = member(&body, 0)["ports"].as_array().expect("ports");
        assert_eq!((left.len(), &left[0]["number"]), (1, &json!(443)));
        assert_eq!(without(Some(&stored()), &[one], &[port(9)]), Changed::Nothing);
    }
}
