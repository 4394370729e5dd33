//! What the guard of a machine sees of it, and whose rules may stand in the way.

use std::{fmt::Display, net::IpAddr};

use hourgate_core::{
    id::VmId,
    network::Port,
    outlook::{self, PORTS_ASKED_MAX, Vantage},
};
use serde::{Deserialize, Serialize};

use crate::{
    error::{ArmError, Code},
    paths::{all, first},
    text::quoted,
};

/// Which machine is asked about, and which of its ports.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    /// The machine.
    pub vm: VmId,
    /// The ports; those its policies lock where none is named.
    pub ports: Vec<Port>,
}

impl Question {
    /// Reads `vm`, and `port` as often as it is there.
    pub fn parse(query: Option<&str>) -> Result<Question, ArmError> {
        let a_vm = "the resource id of a VM";
        let vm = first(query, "vm").ok_or_else(|| unreadable("vm", "nothing", a_vm))?;
        let a_port = "a port, 1 to 65535";
        let ports = all(query, "port")
            .into_iter()
            .map(|text| {
                let port = text.parse().ok().and_then(Port::new);
                port.ok_or_else(|| unreadable("port", quoted(&text), a_port))
            })
            .collect::<Result<Vec<Port>, ArmError>>()?;
        if ports.len() > PORTS_ASKED_MAX {
            let most = format!("at most {PORTS_ASKED_MAX} ports");
            return Err(unreadable("port", format!("there {} times", ports.len()), &most));
        }
        Ok(Question { vm: vm.parse().map_err(|_| unreadable("vm", quoted(&vm), a_vm))?, ports })
    }
}

fn unreadable(name: &str, sent: impl Display, accepted: &str) -> ArmError {
    let message = format!("'{name}' is {sent}; accepted is {accepted}.");
    ArmError::new(Code::InvalidParameter, message).at(name)
}

/// What is known of each address of a machine.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Outlooks {
    /// The guard that covers the machine; absent where none does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub guard: Option<String>,
    /// One an address, in the machine's order.
    pub addresses: Vec<OutlookSeen>,
}

/// What is known of an address.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct OutlookSeen {
    /// The address.
    pub address: IpAddr,
    /// From where the guard sees it.
    pub vantage: Seen,
    /// The link or bridge that leads there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub link: Option<String>,
    /// Whether machines next to it reach it unseen; absent where that is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub misses_neighbours: Option<bool>,
    /// Rules of others that would probably drop new connections to ports asked about.
    pub may_be_blocked: Vec<MayBeBlocked>,
}

/// From where a guard sees an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Seen {
    /// On the machine itself: everything that arrives.
    Host,
    /// From a gateway: what is forwarded.
    Routed,
    /// From the bridge that the machine is on.
    Bridge,
    /// Nothing leads there: nothing is seen.
    Unreachable,
    /// The guard does not say.
    Unknown,
}

impl Seen {
    /// In words, for people.
    pub fn said(self, misses_neighbours: Option<bool>) -> &'static str {
        match (self, misses_neighbours) {
            (Seen::Host, _) => "host",
            (Seen::Routed, _) => "routed: machines on the same link are not seen",
            (Seen::Bridge, Some(false)) => "bridge: machines on it are seen",
            (Seen::Bridge, _) => "bridge: machines on the same link are not seen",
            (Seen::Unreachable, _) => "not seen: no route leads there",
            (Seen::Unknown, _) => "not known: the guard does not say",
        }
    }
}

/// A rule of somebody else's that would probably drop connections to a port.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MayBeBlocked {
    /// The port.
    pub port: Port,
    /// The table, with its family.
    pub table: String,
    /// The chain.
    pub chain: String,
    /// The rule as nft writes it; absent where the chain drops what no rule of it accepts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rule: Option<String>,
}

impl OutlookSeen {
    /// What a guard says of an address; none where it does not.
    pub fn of(address: IpAddr, outlook: Option<&outlook::Outlook>) -> OutlookSeen {
        let (vantage, link) = match outlook.map(|outlook| &outlook.vantage) {
            None => (Seen::Unknown, None),
            Some(Vantage::Host) => (Seen::Host, None),
            Some(Vantage::Routed { link }) => (Seen::Routed, Some(link.clone())),
            Some(Vantage::Bridge { link, .. }) => (Seen::Bridge, Some(link.clone())),
            Some(Vantage::Unreachable) => (Seen::Unreachable, None),
        };
        let suspects = outlook.iter().flat_map(|outlook| &outlook.suspects);
        let may_be_blocked = suspects.flat_map(|(port, suspects)| {
            suspects.iter().map(|suspect| MayBeBlocked {
                port: *port,
                table: suspect.table.clone(),
                chain: suspect.chain.clone(),
                rule: suspect.rule.clone(),
            })
        });
        OutlookSeen {
            address,
            vantage,
            link,
            misses_neighbours: outlook.map(|outlook| outlook.vantage.misses_neighbours()),
            may_be_blocked: may_be_blocked.collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const VM: &str = "/subscriptions/00000000-0000-0000-0000-000000000001/resourceGroups/g/providers/Microsoft.Compute/virtualMachines/web-1";

    #[test]
    fn a_question_names_a_machine_and_any_number_of_ports() {
        let asked = Question::parse(Some(&format!("vm={VM}&port=22&port=3389"))).unwrap();
        assert_eq!(asked.ports.len(), 2);
        assert!(Question::parse(Some(&format!("vm={VM}"))).unwrap().ports.is_empty());
        let many = "&port=22".repeat(PORTS_ASKED_MAX + 1);
        for (bad, target) in [
            (String::new(), "vm"),
            ("vm=web-1".to_owned(), "vm"),
            (format!("vm={VM}&port=0"), "port"),
            (format!("vm={VM}&port=ssh"), "port"),
            (format!("vm={VM}{many}"), "port"),
        ] {
            let error = Question::parse(Some(&bad)).unwrap_err();
            assert_eq!(error.target.as_deref(), Some(target), "{bad}");
        }
    }
}
