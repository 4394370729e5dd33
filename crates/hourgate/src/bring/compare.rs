//! What differs between a resource as a file wants it and as it stands, property by property.
//!
//! What only the server says is overlooked, and so is what it fills in where a file says nothing.

use std::{collections::BTreeMap, net::IpAddr};

use hourgate_api::time::IsoDuration;
use hourgate_core::{nsg::jit_name::JitName, resource::Kind};
use ipnet::IpNet;
use serde_json::{Map, Value};

use super::thing::Thing;

/// What only the server says, wherever it stands.
const OVERLOOKED: [&str; 16] = [
    "etag",
    "provisioningState",
    "resourceGuid",
    "systemData",
    "defaultSecurityRules",
    "ipConfiguration",
    "virtualMachine",
    "requests",
    "appendMode",
    "confirmUntilUtc",
    "instanceView",
    "vmId",
    "peeringState",
    "peeringSyncLevel",
    // Interfaces name the rules and pools of load balancers; those only tell who does.
    "backendIPConfiguration",
    "networkInterfaceIPConfiguration",
];
/// What a resource's own answer tells of others that refer to it, or of parts with routes of their own.
const TOLD_OF_OTHERS: [(Kind, &[&str]); 2] = [
    (Kind::NetworkSecurityGroups, &["networkInterfaces", "subnets"]),
    (Kind::FirewallPolicies, &["ruleCollectionGroups", "firewalls", "childPolicies"]),
];
/// Lists of a load balancer in which its addresses and pools tell, by ids alone, which rules are for them: the
/// rules themselves say so. Interfaces that are in a pool say that too.
const USES_IN_A_BALANCER: [&str; 5] = [
    "inboundNatRules",
    "inboundNatPools",
    "loadBalancingRules",
    "outboundRules",
    "backendIPConfigurations",
];
/// What the server fills in, or keeps as it was, where nothing is said.
const FILLED_IN: [&str; 19] = [
    "privateIPAddress",
    "privateIPAddressVersion",
    "privateIPAllocationMethod",
    "primary",
    "ipAddress",
    "publicIPAddressVersion",
    "publicIPAllocationMethod",
    "approval",
    "endSessions",
    "widestUnapproved",
    "otherAddresses",
    "signIn",
    "placement",
    "privateAddresses",
    "osType",
    "timeCreated",
    "sku",
    // Of a machine that is named by its addresses.
    "networkProfile",
    "storageProfile",
];
/// What refers to something by its id, of which the server keeps nothing else.
const REFERENCES: [&str; 6] = [
    "networkSecurityGroup",
    "subnet",
    "publicIPAddress",
    "applicationSecurityGroups",
    "sourceApplicationSecurityGroups",
    "destinationApplicationSecurityGroups",
];
/// Texts whose case somebody chose.
const EXACT: [&str; 2] = ["description", "tags"];

/// One property that differs. Nothing stands for what is not there.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Difference {
    /// Where.
    pub(crate) path: String,
    /// As it stands.
    pub(crate) before: Option<Value>,
    /// As the file wants it.
    pub(crate) after: Option<Value>,
}

/// Whether that property says nothing in what is sent.
fn is_overlooked(key: &str) -> bool {
    OVERLOOKED.iter().any(|name| name.eq_ignore_ascii_case(key))
}

/// The body of a thing without all that only the server says: what can be sent again.
pub(super) fn meant(thing: &Thing, body: &Value) -> Value {
    let mut out = within(body, "");
    if let Value::Object(object) = &mut out {
        ["id", "name", "type"].into_iter().for_each(|key| {
            object.remove(key);
        });
        if matches!(thing, Thing::Policy(_)) {
            // Where a policy is stands in its name.
            object.remove("location");
        }
        let told = TOLD_OF_OTHERS.into_iter().find(|(kind, _)| is_a(thing, *kind));
        if let Some((_, told)) = told
            && let Some(Value::Object(properties)) = object.get_mut("properties")
        {
            properties.retain(|key, _| !told.iter().any(|name| name.eq_ignore_ascii_case(key)));
            if properties.is_empty() {
                object.remove("properties");
            }
        }
    }
    out
}

fn is_a(thing: &Thing, kind: Kind) -> bool {
    matches!(thing, Thing::Resource(id) if id.kind == kind)
}

fn within(value: &Value, of: &str) -> Value {
    let refers = REFERENCES.iter().any(|name| name.eq_ignore_ascii_case(of));
    match value {
        Value::Object(object) if refers && object.contains_key("id") => {
            Value::Object(object.iter().filter(|(key, _)| *key == "id").map(both).collect())
        }
        Value::Object(object) => {
            let named = object.keys().any(|key| key.eq_ignore_ascii_case("name"));
            let mut out = Map::new();
            for (key, value) in object {
                let is_own_id = named && key.eq_ignore_ascii_case("id");
                let is_own_type = named
                    && key.eq_ignore_ascii_case("type")
                    && value.as_str().is_some_and(|kind| kind.starts_with("Microsoft."));
                // In a subnet, who has an address of it.
                let is_use = named_subnet(object) && key.eq_ignore_ascii_case("ipConfigurations");
                let is_use = is_use || tells_uses(key, value);
                if is_own_id || is_own_type || is_use || is_overlooked(key) {
                    continue;
                }
                let value = within(value, key);
                if !is_nothing(&value) {
                    out.insert(key.clone(), value);
                }
            }
            Value::Object(out)
        }
        Value::Array(items) => {
            let kept = items.iter().filter(|item| !is_rule_of_jit(of, item));
            Value::Array(kept.map(|item| within(item, of)).collect())
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => value.clone(),
    }
}

fn both((key, value): (&String, &Value)) -> (String, Value) {
    (key.clone(), value.clone())
}

/// Whether a list only tells, by ids, who uses what it stands in.
fn tells_uses(key: &str, value: &Value) -> bool {
    let is_id = |item: &Value| {
        item.as_object().is_some_and(|item| item.len() == 1 && item.contains_key("id"))
    };
    USES_IN_A_BALANCER.iter().any(|name| name.eq_ignore_ascii_case(key))
        && value.as_array().is_some_and(|items| !items.is_empty() && items.iter().all(is_id))
}

/// Whether these are the properties of a subnet.
fn named_subnet(properties: &Map<String, Value>) -> bool {
    properties.contains_key("addressPrefix") || properties.contains_key("addressPrefixes")
}

/// Whether it is one of JIT's own rules, which come and go by themselves.
fn is_rule_of_jit(of: &str, item: &Value) -> bool {
    of.eq_ignore_ascii_case("securityRules")
        && item.get("name").and_then(Value::as_str).is_some_and(|name| JitName::of(name).is_some())
}

fn is_nothing(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Array(items) => items.is_empty(),
        Value::Object(object) => object.is_empty(),
        Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
    }
}

/// What differs; nothing if what stands is what is wanted.
pub(super) fn differences(thing: &Thing, wanted: &Value, live: &Value) -> Vec<Difference> {
    let mut found = Vec::new();
    let (wanted, live) = (meant(thing, wanted), meant(thing, live));
    compare("", "", Some(&wanted), Some(&live), &mut found);
    found
}

fn compare(
    path: &str,
    key: &str,
    wanted: Option<&Value>,
    live: Option<&Value>,
    found: &mut Vec<Difference>,
) {
    match (wanted, live) {
        (None, None) => {}
        (None, Some(_)) if FILLED_IN.iter().any(|name| name.eq_ignore_ascii_case(key)) => {}
        (Some(Value::Object(wanted)), Some(Value::Object(live))) => {
            let fold = |object: &Map<String, Value>| -> BTreeMap<String, (String, Value)> {
                let lower = |key: &str| match key_is_exact(path) {
                    true => key.to_owned(),
                    false => key.to_ascii_lowercase(),
                };
                object.iter().map(|(k, v)| (lower(k), (k.clone(), v.clone()))).collect()
            };
            let (mut one, other) = (fold(wanted), fold(live));
            if one.contains_key("privateipaddress") {
                // An address that a file names is kept, however it was given.
                one.remove("privateipallocationmethod");
            }
            let keys: std::collections::BTreeSet<&String> =
                one.keys().chain(other.keys()).collect();
            for folded in keys {
                let (wanted, live) = (one.get(folded), other.get(folded));
                let name = wanted.or(live).map_or(folded.as_str(), |(name, _)| name);
                let inner =
                    if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") };
                let (wanted, live) = (wanted.map(|(_, v)| v), live.map(|(_, v)| v));
                compare(&inner, name, wanted, live, found);
            }
        }
        (Some(Value::Array(wanted)), Some(Value::Array(live))) => {
            compare_lists(path, key, wanted, live, found);
        }
        (Some(wanted), Some(live)) if is_same(path, key, wanted, live) => {}
        (wanted, live) => found.push(Difference {
            path: path.to_owned(),
            before: live.cloned(),
            after: wanted.cloned(),
        }),
    }
}

fn key_is_exact(path: &str) -> bool {
    path == "tags"
}

/// Items that have a name are compared by it; others, as a whole and in their order.
fn compare_lists(
    path: &str,
    key: &str,
    wanted: &[Value],
    live: &[Value],
    found: &mut Vec<Difference>,
) {
    let named = |items: &[Value]| -> Option<BTreeMap<String, (String, Value)>> {
        let keyed = items.iter().map(|item| {
            let name = name_of(item)?;
            Some((name.to_ascii_lowercase(), (name, item.clone())))
        });
        let keyed: BTreeMap<_, _> = keyed.collect::<Option<_>>()?;
        (keyed.len() == items.len()).then_some(keyed)
    };
    if let (Some(one), Some(other)) = (named(wanted), named(live)) {
        let keys: std::collections::BTreeSet<&String> = one.keys().chain(other.keys()).collect();
        for folded in keys {
            let (wanted, live) = (one.get(folded), other.get(folded));
            let name = wanted.or(live).map_or(folded.as_str(), |(name, _)| name);
            let last = name.rsplit('/').next().unwrap_or(name);
            let inner = format!("{path}[{last}]");
            compare(&inner, "", wanted.map(|(_, v)| v), live.map(|(_, v)| v), found);
        }
        return;
    }
    let same = wanted.len() == live.len()
        && wanted.iter().zip(live).all(|(one, other)| {
            let mut inner = Vec::new();
            compare(path, key, Some(one), Some(other), &mut inner);
            inner.is_empty()
        });
    if !same {
        let both = |items: &[Value]| Some(Value::Array(items.to_vec()));
        found.push(Difference { path: path.to_owned(), before: both(live), after: both(wanted) });
    }
}

/// What an item of a list is found by.
fn name_of(item: &Value) -> Option<String> {
    let text = |key: &str| item.get(key).and_then(Value::as_str).map(str::to_owned);
    let number = || Some(item.get("number")?.as_u64()?.to_string());
    text("name").or_else(|| text("id")).or_else(number)
}

/// Whether two values mean the same: case chooses nothing but in somebody's own words, and addresses,
/// prefixes and durations can be written in several ways.
fn is_same(path: &str, key: &str, one: &Value, other: &Value) -> bool {
    let (Value::String(one), Value::String(other)) = (one, other) else {
        // One source alone, or in a list of one, as the samples of Azure PowerShell have it.
        return match (one, other) {
            (Value::Array(items), alone) | (alone, Value::Array(items)) => {
                matches!(items.as_slice(), [item] if is_same(path, key, item, alone))
            }
            (one, other) => one == other,
        };
    };
    if one == other {
        return true;
    }
    if EXACT.contains(&key) || path.starts_with("tags.") {
        return false;
    }
    if key.eq_ignore_ascii_case("location") {
        let fold = |text: &str| text.replace(' ', "").to_ascii_lowercase();
        return fold(one) == fold(other);
    }
    if one.eq_ignore_ascii_case(other) {
        return true;
    }
    let net = |text: &str| {
        text.parse::<IpNet>().ok().or_else(|| text.parse::<IpAddr>().ok().map(IpNet::from))
    };
    if let (Some(one), Some(other)) = (net(one), net(other)) {
        return one == other;
    }
    let length = |text: &str| text.parse::<IsoDuration>().ok().map(|length| length.0);
    matches!((length(one), length(other)), (Some(one), Some(other)) if one == other)
}

#[cfg(test)]
mod tests;
