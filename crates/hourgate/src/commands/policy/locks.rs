//! What locks do to the rules around them, for people: what `--what-if` tells, and what is reached without
//! access wherever machines are shown.

use hourgate_api::jit::{AllowShown, LockShown, PolicyPort, PolicyResource};
use hourgate_core::id::VmId;
use serde_json::Value;

use crate::{
    exit::Failure,
    output::Table,
    view::{self, Vm},
};

/// A row for each address of each locked port of these machines.
pub(super) fn what_if(values: &[Value], only: &[Vm]) -> Result<Table, Failure> {
    let head = [
        "VM",
        "PORT",
        "ADDRESS",
        "DENY AT",
        "GROUP",
        "CLOSES",
        "STAYS",
        "SHADOWED",
        "REACHED FROM",
    ];
    let mut table = Table::new(head);
    for value in values {
        let policy = view::policy(value)?;
        for (vm, rule) in ports(&policy).filter(|(vm, _)| only.iter().any(|one| one.id == **vm)) {
            if rule.locks.is_empty() {
                let none = || "-".to_owned();
                table.row([
                    vm.name.to_string(),
                    rule.number.to_string(),
                    none(),
                    none(),
                    none(),
                    "all of it: no network is known around it".to_owned(),
                    none(),
                    none(),
                    "nowhere".to_owned(),
                ]);
            }
            for lock in &rule.locks {
                table.row([
                    vm.name.to_string(),
                    rule.number.to_string(),
                    lock.address.to_string(),
                    lock.priority.to_string(),
                    last(&lock.network_security_group.id),
                    listed(&lock.closes),
                    listed(&lock.standing),
                    listed(&lock.shadowed),
                    reached(lock),
                ]);
            }
        }
    }
    Ok(table)
}

/// A sentence for each locked port that is reached without access.
pub(crate) fn reached_without(
    policy: &PolicyResource,
    is_shown: impl Fn(&VmId) -> bool,
) -> Vec<String> {
    let mut said = Vec::new();
    for (vm, rule) in ports(policy).filter(|(vm, _)| is_shown(vm)) {
        for lock in &rule.locks {
            let (name, port, address) = (&vm.name, rule.number, lock.address);
            if !lock.standing.is_empty() {
                let then = match lock.reachable.is_empty() {
                    true => "other rules drop what they let through".to_owned(),
                    false => format!("it is reached without access from {}", nets(&lock.reachable)),
                };
                said.push(format!(
                    "Port {port} of {name} ({address}) has standing exceptions: {} in {}; {then}.",
                    listed(&lock.standing),
                    last(&lock.network_security_group.id)
                ));
            }
            if !lock.exposed.is_empty() {
                said.push(format!(
                    "EXPOSED: port {port} of {name} ({address}) is reached from {}, which was not listed when it \
                     was locked.",
                    nets(&lock.exposed)
                ));
            }
        }
    }
    said
}

/// From where a port is exposed; nothing where it is not.
pub(super) fn exposed(rule: &PolicyPort) -> Option<String> {
    let all: Vec<_> = rule.locks.iter().flat_map(|lock| lock.exposed.iter().copied()).collect();
    (!all.is_empty()).then(|| nets(&all))
}

fn ports(policy: &PolicyResource) -> impl Iterator<Item = (&VmId, &PolicyPort)> {
    let members = policy.properties.virtual_machines.iter();
    members.flat_map(|member| member.ports.iter().map(move |rule| (&member.id, rule)))
}

fn listed(allows: &[AllowShown]) -> String {
    let told: Vec<String> = allows.iter().map(named).collect();
    if told.is_empty() { "-".to_owned() } else { told.join(", ") }
}

/// `jump (300) from 198.51.100.7`, and why it counts as any.
fn named(allow: &AllowShown) -> String {
    let from = allow.sources.join(" ");
    let why = allow.why.as_ref().map(|why| format!(": {why}")).unwrap_or_default();
    format!("{} ({}) from {from}{why}", allow.rule, allow.priority)
}

fn reached(lock: &LockShown) -> String {
    if lock.reachable.is_empty() { "nowhere".to_owned() } else { nets(&lock.reachable) }
}

fn nets(nets: &[ipnet::IpNet]) -> String {
    /// What a line of a table still shows well.
    const SHOWN_MAX: usize = 8;
    let shown: Vec<String> = nets.iter().take(SHOWN_MAX).map(ToString::to_string).collect();
    let more = nets.len().saturating_sub(SHOWN_MAX);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    shown.join(", ") + &more
}

/// The name at the end of a resource id.
fn last(id: &str) -> String {
    id.rsplit('/').next().unwrap_or_default().to_owned()
}
