//! The body of `ipFlowVerify`: which flow is asked about.

use std::net::IpAddr;

use hourgate_core::{
    nsg::{flow::Transport, word::Direction},
    resource::{Kind, ResourceId},
};

use super::{
    json::{self, Json},
    object::{Object, Problems},
    value,
};
use crate::{
    error::ArmError,
    text::quoted,
    watcher::{FlowEnd, FlowQuestion},
};

const NIC_ID: &str = "/subscriptions/{id}/resourceGroups/{group}\
                      /providers/Microsoft.Network/networkInterfaces/{name}";

/// Reads which flow is asked about.
pub fn flow(body: &[u8]) -> Result<FlowQuestion, ArmError> {
    let json = json::read(body)?;
    let mut problems = Problems::default();
    let question = question(json, &mut problems);
    problems.or(question)
}

fn question(json: Json, problems: &mut Problems) -> Option<FlowQuestion> {
    let mut object = Object::of(json, "", problems)?;
    let vm = object
        .required("targetResourceId", "the resource id of a VM", problems)
        .and_then(|json| value::vm_id(json, "targetResourceId", problems));
    let directions = Direction::ALL.map(|direction| (direction.as_str(), direction));
    let direction = object
        .required("direction", "'Inbound' or 'Outbound'", problems)
        .and_then(|json| value::word(json, "direction", &directions, problems));
    let transports = [("TCP", Transport::Tcp), ("UDP", Transport::Udp)];
    let transport = object
        .required("protocol", "'TCP' or 'UDP'", problems)
        .and_then(|json| value::word(json, "protocol", &transports, problems));
    let local = end(&mut object, ["localIPAddress", "localPort"], problems);
    let remote = end(&mut object, ["remoteIPAddress", "remotePort"], problems);
    let nic = match object.optional("targetNicResourceId") {
        None => Some(None),
        Some(json) => interface(json, problems).map(Some),
    };
    object.close(problems);
    let (vm, nic, direction, transport) = (vm?, nic?, direction?, transport?);
    let question = FlowQuestion { vm, nic, direction, transport, local: local?, remote: remote? };
    let ([local, remote], said) = ([question.local, question.remote], direction.as_str());
    let (to, at) = match direction {
        Direction::Inbound => (local, "localPort"),
        Direction::Outbound => (remote, "remotePort"),
    };
    if to.port.is_none() {
        problems.value(
            at,
            format!(
                "'*' is not accepted here: the port that a flow goes to must be named, which is '{at}' of an \
                 {said} one. '*' may stand for the port that it comes from."
            ),
        );
    }
    if local.address.is_ipv4() != remote.address.is_ipv4() {
        problems.value(
            "remoteIPAddress",
            format!(
                "No flow has '{}' and '{}' for its ends: one is IPv4 and the other IPv6. Name two of one family.",
                local.address, remote.address
            ),
        );
    }
    Some(question)
}

fn end(object: &mut Object, names: [&'static str; 2], problems: &mut Problems) -> Option<FlowEnd> {
    let [address_name, port_name] = names;
    let read = object
        .required(address_name, "an IP address", problems)
        .and_then(|json| address(json, address_name, problems));
    let port = object
        .required(port_name, "a port as a text, such as '22', or '*'", problems)
        .and_then(|json| port(json, port_name, problems));
    Some(FlowEnd { address: read?, port: port? })
}

fn address(json: Json, path: &str, problems: &mut Problems) -> Option<IpAddr> {
    let address = value::address(json, path, problems)?;
    let plain = address.to_canonical();
    if plain != address {
        let message =
            format!("'{address}' is an IPv4 address written as IPv6. Write it as '{plain}'.");
        problems.value(path, message);
        return None;
    }
    Some(address)
}

/// A port as a text, or as the number that somebody meant; `*` is none.
fn port(json: Json, path: &str, problems: &mut Problems) -> Option<Option<u16>> {
    if matches!(json, Json::Number(_)) {
        let number = value::whole(json, path, 0, u64::from(u16::MAX), problems)?;
        return u16::try_from(number).ok().map(Some);
    }
    let sent = value::text(json, path, "a port as a text", problems)?;
    if sent == "*" {
        return Some(None);
    }
    let digits = !sent.is_empty() && sent.bytes().all(|byte| byte.is_ascii_digit());
    let read = digits.then(|| sent.parse().ok()).flatten();
    if read.is_none() {
        let message = format!(
            "{} is no port: one number from 0 to 65535, or '*', is accepted.",
            quoted(&sent)
        );
        problems.value(path, message);
    }
    read.map(Some)
}

fn interface(json: Json, problems: &mut Problems) -> Option<ResourceId> {
    let (path, needed) = ("targetNicResourceId", "the resource id of a network interface");
    let sent = value::text(json, path, needed, problems)?;
    let id: Option<ResourceId> = sent.parse().ok();
    let id = id.filter(|id| id.kind == Kind::NetworkInterfaces);
    if id.is_none() {
        let message = format!("{} is not {needed}. Its form is '{NIC_ID}'.", quoted(&sent));
        problems.value(path, message);
    }
    id
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    const VM: &str = "/subscriptions/00000000-0000-0000-0000-000000000001/resourceGroups/g/providers/Microsoft.Compute/virtualMachines/web-1";

    fn good() -> Value {
        json!({
            "targetResourceId": VM, "direction": "Inbound", "protocol": "TCP", "localPort": "22",
            "remotePort": "*", "localIPAddress": "10.0.0.4", "remoteIPAddress": "203.0.113.7",
        })
    }

    #[test]
    fn a_question_is_read_back_as_it_was_asked() {
        let question = flow(good().to_string().as_bytes()).unwrap();
        let body = serde_json::to_vec(&question.body()).unwrap();
        assert_eq!(flow(&body).unwrap(), question);
        assert_eq!(question.remote.port, None);
        let flow = question.flow().unwrap();
        assert_eq!(flow.address(hourgate_core::nsg::word::Side::Source), question.remote.address);
    }

    #[test]
    fn what_is_wrong_is_named_with_what_would_be_accepted() {
        let rows = [
            ("targetResourceId", json!("web-1"), "virtualMachines/{name}"),
            ("direction", json!("Sideways"), "'Inbound' or 'Outbound'"),
            ("protocol", json!("ICMP"), "'TCP' or 'UDP'"),
            ("protocol", json!("*"), "'TCP' or 'UDP'"),
            ("localPort", json!("*"), "the port that a flow goes to must be named"),
            ("localPort", json!("22-23"), "one number from 0 to 65535"),
            ("localPort", json!("65536"), "one number from 0 to 65535"),
            ("localPort", json!(65_536), "from 0 to 65535"),
            ("remotePort", json!("+1"), "one number from 0 to 65535"),
            ("remotePort", json!(""), "one number from 0 to 65535"),
            ("localIPAddress", json!("10.0.0.0/24"), "without a prefix length"),
            ("remoteIPAddress", json!("2001:db8::7"), "two of one family"),
            ("remoteIPAddress", json!("::ffff:203.0.113.7"), "Write it as '203.0.113.7'"),
            ("targetNicResourceId", json!(VM), "networkInterfaces/{name}"),
            ("localIPAdress", json!("10.0.0.4"), "Did you mean 'localIPAddress'?"),
        ];
        for (name, bad, accepted) in rows {
            let mut body = good();
            body[name] = bad;
            let error = flow(body.to_string().as_bytes()).unwrap_err();
            assert_eq!(error.target.as_deref(), Some(name), "{error:?}");
            assert!(error.message.contains(accepted), "{error:?}");
        }
        for name in good().as_object().unwrap().keys() {
            let mut body = good();
            body.as_object_mut().unwrap().remove(name);
            let error = flow(body.to_string().as_bytes()).unwrap_err();
            assert_eq!(error.target.as_deref(), Some(name.as_str()), "{error:?}");
        }
    }
}
