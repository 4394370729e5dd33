//! What would be done to make what stands what a file wants, checked whole before anything is written.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
};

use hourgate_api::{body, error::ArmError};
use hourgate_core::resource::Kind;
use serde_json::{Value, json};

use super::{
    compare::{Difference, differences, meant},
    live::{Live, part},
    order::{ordered, references},
    source::failed,
    thing::{Brought, Skipped, Thing, Wanted},
};
use crate::{exit::Failure, output::Table, view::plain};

/// Where a network's body says what it is joined to.
const PEERS: &str = "/properties/virtualNetworkPeerings";
/// How many properties of one resource a table tells.
const TOLD_MAX: usize = 20;

/// One thing to do.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Step {
    /// To what.
    pub(crate) thing: Thing,
    /// What.
    pub(crate) act: Act,
}

/// What is done.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Act {
    /// It is made.
    Create {
        /// As it is sent.
        body: Value,
    },
    /// It is set anew.
    Change {
        /// As it is sent.
        body: Value,
        /// What is otherwise then.
        differences: Vec<Difference>,
        /// The version it was compared with, where it has one.
        etag: Option<String>,
    },
    /// Nothing: it is so.
    Nothing,
    /// It is removed, because the file does not name it.
    Remove {
        /// A network that is joined to others, without them: so it is set before any of them goes.
        alone: Option<Value>,
    },
}

/// Everything to do, in the order in which it is done, and what is left out.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Plan {
    /// What is done.
    pub(crate) steps: Vec<Step>,
    /// What the file holds and is not brought.
    pub(crate) skipped: Vec<Skipped>,
}

/// Works out what to do, or says everything that stands against it.
pub(crate) fn plan(
    shown: &str,
    brought: Brought,
    live: &Live,
    prune: bool,
) -> Result<Plan, Failure> {
    let Brought { mut wanted, skipped } = brought;
    for wanted in &mut wanted {
        keep_addresses(&mut wanted.body);
    }
    let mut problems = unreadable(&wanted);
    problems.extend(missing(&wanted, live));
    problems.extend(addresses_twice(&wanted, live));
    let order = ordered(&wanted);
    if let Err(cycle) = &order {
        let names: Vec<String> = cycle.iter().map(|thing| format!("`{thing}`")).collect();
        problems.push(format!("a cycle: each of these needs the next: {}", names.join(", ")));
    }
    let (true, Ok(order)) = (problems.is_empty(), order) else {
        return Err(failed(shown, problems));
    };
    let mut steps: Vec<Step> = order.iter().map(|index| step(&wanted[*index], live)).collect();
    if prune {
        steps.extend(pruned(&wanted, live));
    }
    Ok(Plan { steps, skipped })
}

/// An address that a file names is the machine's: to have another picked would protect somebody else's.
fn keep_addresses(body: &mut Value) {
    let listed = body.pointer_mut("/properties/ipConfigurations").and_then(Value::as_array_mut);
    for configuration in listed.into_iter().flatten() {
        let Some(Value::Object(properties)) = configuration.get_mut("properties") else { continue };
        if properties.get("privateIPAddress").is_some_and(|address| !address.is_null()) {
            properties.insert("privateIPAllocationMethod".to_owned(), json!("Static"));
        }
    }
}

/// What the server would not even read: it is asked of the same readers, before anything is written.
fn unreadable(wanted: &[Wanted]) -> Vec<String> {
    let mut problems = Vec::new();
    for Wanted { thing, body, .. } in wanted {
        let bytes = serde_json::to_vec(body).unwrap_or_default();
        if bytes.len() > body::BODY_BYTES_MAX {
            let most = body::BODY_BYTES_MAX >> 20;
            problems.push(format!("`{thing}` is larger than {most} MiB"));
            continue;
        }
        let read = match thing {
            Thing::Resource(id) => body::resource(&bytes, id).map(drop),
            Thing::Part(_, kind, name) => kind.read(&bytes, name),
            Thing::Policy(id) => body::policy(&bytes, id).map(drop),
        };
        let each = |error: ArmError| {
            if error.details.is_empty() { vec![error] } else { error.details }
        };
        for error in read.err().into_iter().flat_map(each) {
            let at = error.target.map(|target| format!(" at {target}")).unwrap_or_default();
            problems.push(format!("`{thing}`{at}: {}", error.message));
        }
    }
    problems
}

/// What is needed and neither in the file nor on the server, each with who needs it.
fn missing(wanted: &[Wanted], live: &Live) -> Vec<String> {
    let known: BTreeMap<&Thing, &Value> =
        wanted.iter().map(|wanted| (&wanted.thing, &wanted.body)).collect();
    let mut problems = Vec::new();
    for wanted in wanted {
        for (thing, subnet) in references(&wanted.thing, &wanted.body) {
            let stands = known.get(&thing).copied().or_else(|| live.get(&thing));
            let by = &wanted.thing;
            match (stands, subnet) {
                (None, _) => problems.push(format!(
                    "`{by}` needs `{thing}`, which is neither in the file nor on the server"
                )),
                (Some(network), Some(subnet)) => {
                    let part = Thing::of_subnet(&thing, subnet.clone());
                    let brought = part.is_some_and(|part| known.contains_key(&part));
                    if !brought && self::part(network, "subnets", &subnet).is_none() {
                        problems.push(format!(
                            "`{by}` needs the subnet `{subnet}` of `{thing}`, which it has neither in the file \
                             nor on the server"
                        ));
                    }
                }
                (Some(_), None) => {}
            }
        }
    }
    problems
}

/// Addresses that two interfaces would have, or two machines. The server would refuse the second of them, when
/// the first stands already.
fn addresses_twice(wanted: &[Wanted], live: &Live) -> Vec<String> {
    let named: BTreeSet<&Thing> = wanted.iter().map(|wanted| &wanted.thing).collect();
    let stands = live.all().filter(|(thing, _)| !named.contains(thing));
    let mut by: BTreeMap<(&str, IpAddr), &Thing> = BTreeMap::new();
    for (thing, body) in stands {
        addresses(thing, body).into_iter().for_each(|at| {
            by.insert(at, thing);
        });
    }
    let mut problems = Vec::new();
    for Wanted { thing, body, .. } in wanted {
        for at in addresses(thing, body) {
            if let Some(other) = by.insert(at, thing).filter(|other| *other != thing) {
                problems.push(format!("`{thing}` has the address {}, and so has `{other}`", at.1));
            }
        }
    }
    problems
}

/// The addresses that an interface or a machine has, with the kind of what has them.
fn addresses(thing: &Thing, body: &Value) -> Vec<(&'static str, IpAddr)> {
    let Thing::Resource(id) = thing else { return Vec::new() };
    let listed = |at: &str| body.pointer(at).and_then(Value::as_array).into_iter().flatten();
    let texts: Vec<&Value> = match id.kind {
        Kind::NetworkInterfaces => listed("/properties/ipConfigurations")
            .filter_map(|configuration| configuration.pointer("/properties/privateIPAddress"))
            .collect(),
        Kind::VirtualMachines => listed("/properties/privateAddresses").collect(),
        Kind::VirtualNetworks
        | Kind::NetworkSecurityGroups
        | Kind::ApplicationSecurityGroups
        | Kind::PublicIpAddresses
        | Kind::ResourceGroups
        | Kind::LoadBalancers
        | Kind::AzureFirewalls
        | Kind::FirewallPolicies => Vec::new(),
    };
    let read = texts.into_iter().filter_map(|text| text.as_str()?.parse().ok());
    read.map(|address| (id.kind.as_str(), address)).collect()
}

fn step(wanted: &Wanted, live: &Live) -> Step {
    let Wanted { thing, body, .. } = wanted;
    let act = match live.get(thing) {
        None => Act::Create { body: body.clone() },
        Some(stands) => {
            let differences = differences(thing, body, stands);
            let etag = stands.get("etag").and_then(Value::as_str).map(str::to_owned);
            match differences.is_empty() {
                true => Act::Nothing,
                false => Act::Change { body: body.clone(), differences, etag },
            }
        }
    };
    Step { thing: thing.clone(), act }
}

/// What stands and the file does not name, each before what it needs.
fn pruned(wanted: &[Wanted], live: &Live) -> Vec<Step> {
    let named: BTreeSet<&Thing> = wanted.iter().map(|wanted| &wanted.thing).collect();
    let gone = live.all().filter(|(thing, _)| !named.contains(thing));
    let gone: Vec<Wanted> = gone
        .map(|(thing, body)| Wanted { thing: thing.clone(), body: body.clone(), after: Vec::new() })
        .collect();
    // What stands has no cycle but that of joined networks, which orders nothing.
    let order = ordered(&gone).unwrap_or_else(|_| (0..gone.len()).collect());
    let removed = order.into_iter().rev();
    let remove = |Wanted { thing, body, .. }: &Wanted| Step {
        thing: thing.clone(),
        act: Act::Remove { alone: without_peers(thing, &meant(thing, body)) },
    };
    removed.map(|index| remove(&gone[index])).collect()
}

/// The body of a network without those it is joined to; none where it is joined to none.
pub(super) fn without_peers(thing: &Thing, body: &Value) -> Option<Value> {
    let peers = body.pointer(PEERS).and_then(Value::as_array);
    if !thing.is_network() || peers.is_none_or(Vec::is_empty) {
        return None;
    }
    let mut alone = body.clone();
    *alone.pointer_mut(PEERS)? = Value::Array(Vec::new());
    Some(alone)
}

/// The body of what stands already: a network of which a file says nothing is joined to none, and the server
/// would leave it as it is.
pub(super) fn all_said(thing: &Thing, body: &Value) -> Value {
    let mut body = body.clone();
    if thing.is_network()
        && body.pointer(PEERS).is_none()
        && let Some(Value::Object(properties)) = body.get_mut("properties")
    {
        properties.insert("virtualNetworkPeerings".to_owned(), Value::Array(Vec::new()));
    }
    body
}

impl Act {
    /// In one word.
    pub(crate) fn word(&self) -> &'static str {
        match self {
            Act::Create { .. } => "create",
            Act::Change { .. } => "change",
            Act::Nothing => "unchanged",
            Act::Remove { .. } => "remove",
        }
    }

    /// Whether anything is done.
    pub(crate) fn is_something(&self) -> bool {
        match self {
            Act::Create { .. } | Act::Change { .. } | Act::Remove { .. } => true,
            Act::Nothing => false,
        }
    }
}

impl Plan {
    /// How many steps change something.
    pub(crate) fn changes(&self) -> usize {
        self.steps.iter().filter(|step| step.act.is_something()).count()
    }

    /// How many steps remove something.
    pub(crate) fn removals(&self) -> usize {
        let is_removal = |step: &&Step| match step.act {
            Act::Remove { .. } => true,
            Act::Create { .. } | Act::Change { .. } | Act::Nothing => false,
        };
        self.steps.iter().filter(is_removal).count()
    }

    /// As a value.
    pub(crate) fn value(&self) -> Value {
        let step = |step: &Step| {
            let mut shown = json!({
                "action": step.act.word(),
                "id": step.thing.to_string(),
                "type": step.thing.type_name(),
            });
            if let Act::Change { differences, .. } = &step.act {
                let each = differences.iter().map(
                    |Difference { path, before, after }| json!({ "path": path, "before": before, "after": after }),
                );
                shown["differences"] = each.collect();
            }
            shown
        };
        let skipped = self.skipped.iter().map(
            |Skipped { kind, name, why }| json!({ "type": kind, "name": name, "reason": why }),
        );
        json!({
            "steps": self.steps.iter().map(step).collect::<Vec<_>>(),
            "skipped": skipped.collect::<Vec<_>>(),
        })
    }

    /// As a table: a row for each thing, and one for each property that changes.
    pub(crate) fn table(&self) -> Table {
        let mut table = Table::new(["WHAT", "TYPE", "GROUP", "NAME", "DETAIL"]);
        for Step { thing, act } in &self.steps {
            let row = |detail: String| {
                let (group, name) = (thing.group().to_string(), thing.name());
                [act.word().to_owned(), short(&thing.type_name()), group, name, detail]
            };
            let Act::Change { differences, .. } = act else {
                table.row(row(String::new()));
                continue;
            };
            for difference in differences.iter().take(TOLD_MAX) {
                table.row(row(told(difference)));
            }
            if differences.len() > TOLD_MAX {
                table.row(row(format!("and {} more", differences.len() - TOLD_MAX)));
            }
        }
        for Skipped { kind, name, why } in &self.skipped {
            table.row(["skipped".into(), short(kind), String::new(), name.clone(), why.clone()]);
        }
        table
    }

    /// In one sentence.
    pub(crate) fn sentence(&self) -> String {
        let count = |word: &str| self.steps.iter().filter(|step| step.act.word() == word).count();
        let mut parts: Vec<String> = ["create", "change", "remove", "unchanged"]
            .into_iter()
            .map(|word| (word, count(word)))
            .filter(|(_, count)| *count > 0)
            .map(|(word, count)| format!("{count} {word}"))
            .collect();
        if !self.skipped.is_empty() {
            parts.push(format!("{} skipped", self.skipped.len()));
        }
        if parts.is_empty() {
            "Nothing is in it.".to_owned()
        } else {
            format!("{}.", parts.join(", "))
        }
    }
}

fn told(Difference { path, before, after }: &Difference) -> String {
    let shown = |value: &Option<Value>| value.as_ref().map_or("nothing".to_owned(), plain);
    format!("{path}: {} -> {}", shown(before), shown(after))
}

/// A type without its provider.
fn short(kind: &str) -> String {
    kind.split_once('/').map_or(kind, |(_, rest)| rest).to_owned()
}

#[cfg(test)]
mod tests;
