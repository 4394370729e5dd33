//! The body of a policy's PUT.

use hourgate_core::{
    command::{MemberDraft, PolicyDraft, PortDraft, Sent},
    id::{PolicyId, VmId},
    nsg::lockdown::Exceptions,
    policy::{AllowedSources, Approval, OtherAddresses, Placement, Protocol, SignInDemand, Widest},
};

use super::{
    json::{self, Json},
    object::{Object, Problems},
    value,
};
use crate::{
    error::{ArmError, PortPosition, Positions},
    jit::{
        OTHERS_ALLOWED, OTHERS_APPROVAL, PLACEMENT_NIC, PLACEMENT_NIC_AND_SUBNET, PROTOCOL_ANY,
        PROTOCOL_TCP,
    },
    text::{is_plain, quoted},
};

/// What clients send back because they read it.
const OVERLOOKED: [&str; 7] = ["id", "name", "type", "location", "etag", "tags", "systemData"];
const PROPERTIES_OVERLOOKED: [&str; 5] =
    ["requests", "provisioningState", "appendMode", "confirmUntilUtc", "whatIf"];
/// The path of the list of VMs.
const VMS: &str = "properties.virtualMachines";

/// Reads a policy, and where each VM and port stands in it.
///
/// An answer of ours can be sent back as it is: what only we decide is overlooked.
pub fn policy(body: &[u8], id: &PolicyId) -> Result<(PolicyDraft, Positions), ArmError> {
    let json = json::read(body)?;
    let mut problems = Problems::default();
    let mut positions = Positions::of(id, VMS);
    let draft = draft(json, id, &mut positions, &mut problems);
    problems.or(draft).map(|draft| (draft, positions))
}

fn draft(
    json: Json,
    id: &PolicyId,
    positions: &mut Positions,
    problems: &mut Problems,
) -> Option<PolicyDraft> {
    let mut object = Object::of(json, "", problems)?;
    let kind = object.optional("kind").and_then(|json| kind(json, problems));
    let properties = object.required("properties", "an object with 'virtualMachines'", problems);
    object.overlook(&OVERLOOKED);
    object.close(problems);
    let mut properties = Object::of(properties?, "properties", problems)?;
    let vms = properties.required("virtualMachines", "a list of VMs", problems);
    properties.overlook(&PROPERTIES_OVERLOOKED);
    properties.close(problems);
    let vms = value::list(vms?, VMS, "a list of VMs", problems)?;
    let vms = vms.into_iter().filter_map(|(path, json)| vm(json, &path, positions, problems));
    Some(PolicyDraft { id: id.clone(), kind, vms: vms.collect() })
}

fn kind(json: Json, problems: &mut Problems) -> Option<String> {
    let kind = value::text(json, "kind", "a text such as 'Basic'", problems)?;
    if !is_plain(&kind) {
        let message = format!("{} holds a character that cannot be seen.", quoted(&kind));
        problems.value("kind", message);
    }
    Some(kind)
}

fn vm(
    json: Json,
    path: &str,
    positions: &mut Positions,
    problems: &mut Problems,
) -> Option<MemberDraft> {
    let mut object = Object::of(json, path, problems)?;
    let id = object
        .required("id", "the resource id of a VM", problems)
        .and_then(|json| value::vm_id(json, &object.path_of("id"), problems));
    let ports = object.required("ports", "a list of ports", problems);
    let placements =
        [(PLACEMENT_NIC, Placement::Nic), (PLACEMENT_NIC_AND_SUBNET, Placement::NicAndSubnet)];
    let placement = ours(&mut object, "placement", problems, |json, path, problems| {
        value::word(json, path, &placements, problems)
    });
    object.overlook(&["publicIpAddress"]);
    let path_of_ports = object.path_of("ports");
    object.close(problems);
    if let Some(id) = &id {
        positions.vm(id, path);
    }
    let ports = value::list(ports?, &path_of_ports, "a list of ports", problems)?;
    let ports: Vec<PortDraft> = ports
        .into_iter()
        .filter_map(|(path, json)| port(json, &path, id.as_ref(), positions, problems))
        .collect();
    Some(MemberDraft { vm: id?, placement, ports })
}

fn port(
    json: Json,
    path: &str,
    vm: Option<&VmId>,
    positions: &mut Positions,
    problems: &mut Problems,
) -> Option<PortDraft> {
    let mut object = Object::of(json, path, problems)?;
    let port = object
        .required("number", "a whole number from 1 to 65535", problems)
        .and_then(|json| value::port(json, &object.path_of("number"), problems));
    let protocol = object
        .required("protocol", "'TCP' or '*'", problems)
        .and_then(|json| protocol(json, &object.path_of("protocol"), problems));
    let (allowed, source) = allowed(&mut object, problems);
    let longest = object
        .required("maxRequestAccessDuration", "a duration such as 'PT3H'", problems)
        .and_then(|json| {
            value::duration(json, &object.path_of("maxRequestAccessDuration"), problems)
        });
    let approval = ours(&mut object, "approval", problems, approval);
    let end_sessions = ours(&mut object, "endSessions", problems, value::flag);
    let widest_unapproved = ours(&mut object, "widestUnapproved", problems, widest);
    let others =
        [(OTHERS_APPROVAL, OtherAddresses::Approval), (OTHERS_ALLOWED, OtherAddresses::Allowed)];
    let other_addresses = ours(&mut object, "otherAddresses", problems, |json, path, problems| {
        value::word(json, path, &others, problems)
    });
    let sign_in = ours(&mut object, "signIn", problems, sign_in);
    let remove_standing = ours(&mut object, "removeStanding", problems, value::flag);
    object.overlook(&["locks"]);
    object.close(problems);
    if let (Some(vm), Some(port)) = (vm, port) {
        let length = "maxRequestAccessDuration";
        positions.port(vm, port, PortPosition { path: path.to_owned(), length, source });
    }
    Some(PortDraft {
        port: port?,
        protocol: protocol?,
        allowed: allowed?,
        longest: longest?,
        approval,
        end_sessions,
        widest_unapproved,
        other_addresses,
        sign_in,
        exceptions: match remove_standing {
            Sent::Omitted => Sent::Omitted,
            Sent::Cleared => Sent::Cleared,
            Sent::Value(true) => Sent::Value(Exceptions::Taken),
            Sent::Value(false) => Sent::Value(Exceptions::Stay),
        },
    })
}

/// A property of our own: left out, `null`, or a value.
fn ours<T>(
    object: &mut Object,
    name: &'static str,
    problems: &mut Problems,
    read: impl FnOnce(Json, &str, &mut Problems) -> Option<T>,
) -> Sent<T> {
    match object.take(name) {
        None => Sent::Omitted,
        Some(Json::Null) => Sent::Cleared,
        Some(json) => {
            // What cannot be read is a problem already, and with it the body is refused.
            read(json, &object.path_of(name), problems).map_or(Sent::Omitted, Sent::Value)
        }
    }
}

fn protocol(json: Json, path: &str, problems: &mut Problems) -> Option<Protocol> {
    let sent = value::text(json, path, "'TCP' or '*'", problems)?;
    if sent.eq_ignore_ascii_case(PROTOCOL_TCP) {
        return Some(Protocol::Tcp);
    }
    if sent == PROTOCOL_ANY {
        return Some(Protocol::Any);
    }
    let why = match sent.as_str() {
        "" => "The protocol is empty",
        udp if udp.eq_ignore_ascii_case("UDP") => "'UDP' is not accepted: JIT supports TCP only",
        _ => &format!("{} is no protocol that JIT supports", quoted(&sent)),
    };
    let message = format!("{why}. 'TCP' is accepted, and '*', which means the same.");
    problems.value(path, message);
    None
}

/// The sources, and the property that names them.
fn allowed(object: &mut Object, problems: &mut Problems) -> (Option<AllowedSources>, &'static str) {
    let (one_name, list_name) = ("allowedSourceAddressPrefix", "allowedSourceAddressPrefixes");
    let one = object.optional(one_name);
    let list = object.optional(list_name);
    let allowed = match (one, list) {
        (Some(json), None) => {
            single(json, &object.path_of(one_name), problems).map(AllowedSources::one)
        }
        (None, Some(json)) => {
            let path = object.path_of(list_name);
            let needed = "a list of IP addresses and CIDR prefixes";
            let Some(items) = value::list(json, &path, needed, problems) else {
                return (None, list_name);
            };
            if items.is_empty() {
                let message = "The list of sources is empty. Name at least one; '*' is any source.";
                problems.value(&path, message.to_owned());
            }
            let sources =
                items.into_iter().filter_map(|(path, json)| value::source(json, &path, problems));
            return (AllowedSources::list(sources.collect()), list_name);
        }
        (Some(_), Some(_)) => {
            let message =
                format!("Both '{one_name}' and '{list_name}' are there. Send one of them.");
            problems.value(&object.path_of(one_name), message);
            None
        }
        (None, None) => {
            let message = format!(
                "No source is allowed: '{one_name}' or '{list_name}' is needed. '*' is any source."
            );
            problems.form(&object.path_of(one_name), message);
            None
        }
    };
    (allowed, one_name)
}

/// One source, bare or in a list of one, as the samples of Azure PowerShell have it.
pub(super) fn single(
    json: Json,
    path: &str,
    problems: &mut Problems,
) -> Option<hourgate_core::network::Source> {
    let Json::List(items) = json else { return value::source(json, path, problems) };
    match <[Json; 1]>::try_from(items) {
        Ok([only]) => value::source(only, path, problems),
        Err(items) => {
            let message = format!("A list of {} stands where one source is needed.", items.len());
            problems.value(path, message);
            None
        }
    }
}

/// Stages are refused until somebody can say yes: stored and not obeyed they would be a lie.
fn approval(_: Json, path: &str, problems: &mut Problems) -> Option<Approval> {
    let message = "Approval is not there yet, so a policy cannot demand it. Leave 'approval' out, or send null.";
    problems.value(path, message.to_owned());
    None
}

fn sign_in(json: Json, path: &str, problems: &mut Problems) -> Option<SignInDemand> {
    let mut object = Object::of(json, path, problems)?;
    let within = object
        .optional("within")
        .map(|json| value::duration(json, &object.path_of("within"), problems));
    let second_factor = object
        .optional("secondFactor")
        .map(|json| value::flag(json, &object.path_of("secondFactor"), problems));
    object.close(problems);
    let second_factor = second_factor.unwrap_or(Some(false))?;
    match within {
        Some(within) => Some(SignInDemand { within: Some(within?), second_factor }),
        None => Some(SignInDemand { within: None, second_factor }),
    }
}

fn widest(json: Json, path: &str, problems: &mut Problems) -> Option<Widest> {
    let mut object = Object::of(json, path, problems)?;
    let mut length = |name: &'static str, most: u64| {
        let needed = format!("a prefix length from 0 to {most}");
        let json = object.required(name, &needed, problems)?;
        let length = value::whole(json, &object.path_of(name), 0, most, problems)?;
        u8::try_from(length).ok()
    };
    let (ipv4, ipv6) = (length("ipv4", 32), length("ipv6", 128));
    object.close(problems);
    Some(Widest { ipv4: ipv4?, ipv6: ipv6? })
}
