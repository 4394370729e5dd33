//! The body of `initiate`.

use std::{collections::BTreeSet, net::IpAddr};

use hourgate_core::{
    command::{AccessAsk, Ask},
    grant::Window,
    id::{PolicyId, RequestId, VmId},
    network::Source,
    role::{OwnAddress, Person, SignIn},
    time::Timestamp,
};

use super::{
    json::{self, Json},
    object::{Object, Problems},
    policy::single,
    value,
};
use crate::error::{ArmError, PortPosition, Positions, no_ports};

/// The path of the list of VMs.
const VMS: &str = "virtualMachines";

/// What is asked for: all that an [`Ask`] needs but who asks, and the id that it gets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AskParts {
    /// The policy it is asked of.
    pub policy: PolicyId,
    /// When it shall begin; now where not said.
    pub start: Option<Timestamp>,
    /// Why.
    pub justification: Option<String>,
    /// The ticket.
    pub ticket: Option<String>,
    /// What for.
    pub accesses: Vec<AccessAsk>,
    /// Where each VM and port stands in the body.
    pub positions: Positions,
}

impl AskParts {
    /// The whole ask. It may be minted several times, each with an id of its own.
    pub fn ask(
        &self,
        id: RequestId,
        requester: Person,
        (address, sign_in): (OwnAddress, Option<SignIn>),
    ) -> Ask {
        Ask {
            id,
            policy: self.policy.clone(),
            requester,
            address,
            sign_in,
            start: self.start,
            justification: self.justification.clone(),
            ticket: self.ticket.clone(),
            accesses: self.accesses.clone(),
        }
    }
}

/// Reads what is asked of a policy.
pub fn initiate(body: &[u8], policy: &PolicyId) -> Result<AskParts, ArmError> {
    let json = json::read(body)?;
    let mut problems = Problems::default();
    let parts = parts(json, policy, &mut problems);
    problems.or(parts)
}

fn parts(json: Json, policy: &PolicyId, problems: &mut Problems) -> Option<AskParts> {
    let mut object = Object::of(json, "", problems)?;
    let vms = object.required(VMS, "a list of VMs", problems);
    let mut text = |name: &'static str, problems: &mut Problems| {
        let json = object.optional(name)?;
        value::text(json, name, "a text", problems)
    };
    let justification = text("justification", problems);
    let ticket = text("ticket", problems);
    let start = object
        .optional("startTimeUtc")
        .and_then(|json| value::moment(json, "startTimeUtc", problems));
    object.close(problems);
    let mut positions = Positions::of(policy, VMS);
    let mut accesses = Vec::new();
    for (path, json) in value::list(vms?, VMS, "a list of VMs", problems)? {
        accesses.extend(vm(json, &path, &mut positions, problems).into_iter().flatten());
    }
    let policy = policy.clone();
    Some(AskParts { policy, start, justification, ticket, accesses, positions })
}

fn vm(
    json: Json,
    path: &str,
    positions: &mut Positions,
    problems: &mut Problems,
) -> Option<Vec<AccessAsk>> {
    let mut object = Object::of(json, path, problems)?;
    let id = object
        .required("id", "the resource id of a VM", problems)
        .and_then(|json| value::vm_id(json, &object.path_of("id"), problems));
    let ports = object.required("ports", "a list of ports", problems);
    let path_of_ports = object.path_of("ports");
    let addresses = object.optional("addresses");
    let addresses =
        addresses.map(|json| addresses_of(json, &object.path_of("addresses"), problems));
    object.close(problems);
    if let Some(id) = &id {
        positions.vm(id, path);
    }
    let ports = value::list(ports?, &path_of_ports, "a list of ports", problems)?;
    if let Some(id) = id.as_ref().filter(|_| ports.is_empty()) {
        problems.value(&path_of_ports, no_ports(id));
    }
    let ports = ports
        .into_iter()
        .filter_map(|(path, json)| port(json, &path, id.as_ref(), positions, problems));
    let asked: Vec<AccessAsk> = ports.collect();
    let addresses = addresses.flatten();
    Some(asked.into_iter().map(|ask| AccessAsk { addresses: addresses.clone(), ..ask }).collect())
}

/// The only addresses of a VM that are asked for. None at all would be nothing asked.
fn addresses_of(json: Json, path: &str, problems: &mut Problems) -> Option<BTreeSet<IpAddr>> {
    let items = value::list(json, path, "a list of the VM's private addresses", problems)?;
    if items.is_empty() {
        let message =
            "The list of addresses is empty. Name some of the VM's, or leave it out for all.";
        problems.value(path, message.to_owned());
    }
    let read = items.into_iter().filter_map(|(path, json)| value::address(json, &path, problems));
    Some(read.collect())
}

fn port(
    json: Json,
    path: &str,
    vm: Option<&VmId>,
    positions: &mut Positions,
    problems: &mut Problems,
) -> Option<AccessAsk> {
    let mut object = Object::of(json, path, problems)?;
    let port = object
        .required("number", "a whole number from 1 to 65535", problems)
        .and_then(|json| value::port(json, &object.path_of("number"), problems));
    let (window, length) = window(&mut object, problems);
    let (source, source_name) = source(&mut object, problems);
    object.close(problems);
    let (vm, port) = (vm?, port?);
    positions.port(vm, port, PortPosition { path: path.to_owned(), length, source: source_name });
    Some(AccessAsk { vm: vm.clone(), port, source, addresses: None, window })
}

/// How long, and the property that says so.
fn window(object: &mut Object, problems: &mut Problems) -> (Option<Window>, &'static str) {
    let (end, duration) = ("endTimeUtc", "duration");
    match (object.optional(end), object.optional(duration)) {
        (None, None) => (None, duration),
        (Some(json), None) => {
            let until = value::moment(json, &object.path_of(end), problems);
            (until.map(Window::Until), end)
        }
        (None, Some(json)) => {
            let length = value::duration(json, &object.path_of(duration), problems);
            (length.map(Window::For), duration)
        }
        (Some(_), Some(_)) => {
            let message = format!("Both '{end}' and '{duration}' are there. Send one of them.");
            problems.value(&object.path_of(end), message);
            (None, end)
        }
    }
}

/// From where, and the property that says so. Azure knows the singular only; its answers know both.
fn source(object: &mut Object, problems: &mut Problems) -> (Option<Source>, &'static str) {
    let (one, list) = ("allowedSourceAddressPrefix", "allowedSourceAddressPrefixes");
    match (object.optional(one), object.optional(list)) {
        (None, None) => (None, one),
        (Some(json), None) => (single(json, &object.path_of(one), problems), one),
        (None, Some(json)) => (single(json, &object.path_of(list), problems), list),
        (Some(_), Some(_)) => {
            let message = format!("Both '{one}' and '{list}' are there. Send one of them.");
            problems.value(&object.path_of(one), message);
            (None, one)
        }
    }
}
