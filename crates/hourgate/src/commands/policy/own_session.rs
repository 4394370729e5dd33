//! Tells whether a new lock would be put on the very port that the person's own session came through.
//! The command is the one to know: `SSH_CONNECTION` says where its own session ends.

use std::{env, net::IpAddr};

use hourgate_api::jit::PolicyVm;
use hourgate_core::network::Port;
use serde::Deserialize;
use serde_json::Value;

use crate::{
    exit::{Exit, Failure},
    view::Vm,
};

/// Where an ssh session ends: this machine's address and port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Session {
    address: IpAddr,
    port: Port,
}

/// Refuses a change that would newly lock the port of one's own session.
pub(super) fn check(body: &Value, before: Option<&Value>, vms: &[Vm]) -> Result<(), Failure> {
    let Some(session) = env::var("SSH_CONNECTION").ok().and_then(|text| session(&text)) else {
        return Ok(());
    };
    match locked_out(session, body, before, vms) {
        None => Ok(()),
        Some(vm) => {
            let (port, name) = (session.port, &vm.id.name);
            let sentence =
                format!("You are connected to port {port} of {name}, which this would close.");
            Err(Failure::new(Exit::Refused, sentence).advise(
                "If you mean it, add `--confirm-within 5m`: it goes back by itself unless you type \
                 `hourgate confirm` in that time. Connections that exist go on.",
            ))
        }
    }
}

/// Reads `client-address client-port server-address server-port`.
fn session(text: &str) -> Option<Session> {
    let mut words = text.split_whitespace().skip(2);
    // A link-local address has a zone behind it, which no VM's address has.
    let address: IpAddr = words.next()?.split('%').next()?.parse().ok()?;
    let port = words.next()?.parse().ok().and_then(Port::new)?;
    Some(Session { address: address.to_canonical(), port })
}

fn locked_out<'a>(
    session: Session,
    body: &Value,
    before: Option<&Value>,
    vms: &'a [Vm],
) -> Option<&'a Vm> {
    let vm = vms.iter().find(|vm| vm.addresses.contains(&session.address))?;
    let has_port = |policy: &Value| {
        let members = policy.pointer("/properties/virtualMachines").and_then(Value::as_array);
        members.into_iter().flatten().any(|member| {
            PolicyVm::deserialize(member).is_ok_and(|member| {
                let number = session.port.number();
                member.id == vm.id && member.ports.iter().any(|rule| rule.number == number)
            })
        })
    };
    (has_port(body) && !before.is_some_and(has_port)).then_some(vm)
}

#[cfg(test)]
mod tests {
    use hourgate_core::policy::Os;

    use super::*;
    use crate::commands::policy::change::Wanted;

    #[test]
    fn the_own_session_is_found_in_what_sshd_says() {
        let found = session("203.0.113.9 50000 10.0.0.4 22").expect("a session");
        assert_eq!((found.address, found.port.number()), ([10, 0, 0, 4].into(), 22));
        let mapped = session("::ffff:203.0.113.9 50000 ::ffff:10.0.0.4 22").expect("a session");
        assert_eq!(mapped, found);
        for text in ["", "a b c d", "1.2.3.4 1 10.0.0.4", "1.2.3.4 1 10.0.0.4 0"] {
            assert_eq!(session(text), None, "{text}");
        }
    }

    #[test]
    fn only_a_new_lock_on_the_own_port_needs_a_word() {
        let id = "/subscriptions/00000000-0000-0000-0000-000000000000/resourceGroups/g\
                  /providers/Microsoft.Compute/virtualMachines/gw";
        let vm = Vm {
            id: id.parse().expect("an id"),
            location: "local".parse().expect("a location"),
            os: Os::Linux,
            addresses: vec![[10, 0, 0, 4].into()],
        };
        let vms = [vm];
        let body = Wanted::default().merged(None, &vms).expect("merged");
        let at = |text: &str| session(text).expect("a session");
        let own = at("203.0.113.9 50000 10.0.0.4 22");
        assert!(locked_out(own, &body, None, &vms).is_some());
        assert!(locked_out(own, &body, Some(&body), &vms).is_none(), "it is locked already");
        let elsewhere = at("203.0.113.9 50000 10.0.0.5 22");
        assert!(locked_out(elsewhere, &body, None, &vms).is_none());
        let other_port = at("203.0.113.9 50000 10.0.0.4 2222");
        assert!(locked_out(other_port, &body, None, &vms).is_none());
    }
}
