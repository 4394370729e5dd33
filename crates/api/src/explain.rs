//! Why a new connection would come through or not: the question in a query, and its answer.

use std::{fmt::Display, net::IpAddr};

use hourgate_core::{
    id::VmId,
    network::Port,
    nsg::{
        explain::Look,
        flow::Transport,
        judge::Layer,
        rule::SecurityRule,
        word::{Access, Part},
    },
    reach::{Locked, Met, Reach},
};
use serde::{Deserialize, Serialize};

use crate::{
    error::{ArmError, Code, cured},
    paths::first,
    text::quoted,
    time::UtcTime,
};

/// Which connection is asked about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    /// To which machine.
    pub vm: VmId,
    /// To which of its addresses; its first of the source's family where not said.
    pub address: Option<IpAddr>,
    /// To which port.
    pub port: Port,
    /// From where.
    pub from: IpAddr,
    /// Over what.
    pub transport: Transport,
}

const TRANSPORTS: [(&str, Transport); 2] = [("TCP", Transport::Tcp), ("UDP", Transport::Udp)];

impl Question {
    /// Reads `vm`, `port`, `from`, and where they are there `address` and `protocol`.
    pub fn parse(query: Option<&str>) -> Result<Question, ArmError> {
        let needed = |name: &'static str, what: &str| {
            first(query, name).ok_or_else(|| unreadable(name, "nothing", what))
        };
        let a_vm = "the resource id of a VM";
        let vm = needed("vm", a_vm)?;
        let a_port = "a port, 1 to 65535";
        let port = needed("port", a_port)?;
        let an_address = "an IPv4 or IPv6 address";
        let from = needed("from", an_address)?;
        let address = |name, text: String| {
            let read: Option<IpAddr> = text.parse().ok();
            let plain = read.filter(|address| address.to_canonical() == *address);
            plain.ok_or_else(|| unreadable(name, quoted(&text), an_address))
        };
        let to = first(query, "address").map(|text| address("address", text)).transpose()?;
        let transport = match first(query, "protocol") {
            None => Transport::Tcp,
            Some(text) => TRANSPORTS
                .into_iter()
                .find(|(name, _)| name.eq_ignore_ascii_case(&text))
                .map(|(_, transport)| transport)
                .ok_or_else(|| unreadable("protocol", quoted(&text), "TCP or UDP"))?,
        };
        Ok(Question {
            address: to,
            port: port
                .parse()
                .ok()
                .and_then(Port::new)
                .ok_or_else(|| unreadable("port", quoted(&port), a_port))?,
            from: address("from", from)?,
            transport,
            vm: vm.parse().map_err(|_| unreadable("vm", quoted(&vm), a_vm))?,
        })
    }

    /// The parameters that [`Question::parse`] reads back.
    pub fn parameters(&self) -> Vec<(&'static str, String)> {
        let named = TRANSPORTS.into_iter().find(|(_, transport)| *transport == self.transport);
        let protocol = named.map(|(name, _)| ("protocol", name.to_owned()));
        let address = self.address.map(|address| ("address", address.to_string()));
        let mut all = vec![
            ("vm", self.vm.to_string()),
            ("port", self.port.to_string()),
            ("from", self.from.to_string()),
        ];
        all.extend(address.into_iter().chain(protocol));
        all
    }
}

fn unreadable(name: &str, sent: impl Display, accepted: &str) -> ArmError {
    let message = format!("'{name}' is {sent}; accepted is {accepted}.");
    ArmError::new(Code::InvalidParameter, message).at(name)
}

/// The answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Explained {
    /// `Allow` or `Deny`.
    pub access: Access,
    /// The address that was asked about.
    pub address: IpAddr,
    /// The lock of the port; null where it is not locked.
    pub lock: Option<LockSeen>,
    /// What each security group says, in the order in which the connection meets them.
    pub layers: Vec<LayerSeen>,
    /// What would have to change in the groups, in sentences.
    pub cures: Vec<String>,
}

/// A locked port, from one source.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LockSeen {
    /// Until when an access lets the source through; null: none does.
    pub open_until: Option<UtcTime>,
    /// Whether a standing exception lets it through.
    #[serde(default)]
    pub standing: bool,
}

/// What one group says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LayerSeen {
    /// `subnet` or `networkInterface`.
    pub layer: String,
    /// The group's resource id; null where the caller may not read it, and then nothing of its rules is told.
    pub group: Option<String>,
    /// Whether the connection comes as far as this.
    pub reached: bool,
    /// Whether the access decides here, before any rule would.
    pub by_access: bool,
    /// The rule that decides otherwise.
    pub decided_by: Option<RuleSeen>,
    /// The rules that looked before it and did not fit.
    pub passed_over: Vec<RuleSeen>,
}

/// A rule that looked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RuleSeen {
    /// Its name.
    pub name: String,
    /// Its number.
    pub priority: u16,
    /// `Allow` or `Deny`.
    pub access: Access,
    /// What of the connection did not fit: `protocol`, `source`, `sourcePort`, `destination`,
    /// `destinationPort`.
    pub misfits: Vec<String>,
}

impl Explained {
    /// What was found, as far as the caller may read it.
    pub fn of(
        reach: &Reach<'_>,
        address: IpAddr,
        may_read: impl Fn(&hourgate_core::nsg::id::GroupId) -> bool,
    ) -> Explained {
        let readable = |met: &&Met<'_>| may_read(met.asked.group);
        let cures = reach.cures.iter().filter(|cure| may_read(cure.group()));
        Explained {
            access: reach.access,
            address,
            lock: reach.lock.map(|Locked { open_until, standing }| LockSeen {
                open_until: open_until.map(|until| UtcTime(until.wall)),
                standing,
            }),
            layers: reach
                .layers
                .iter()
                .map(|met| layer(met, Some(met).filter(readable).is_some()))
                .collect(),
            cures: cures.map(cured).collect(),
        }
    }
}

fn layer(met: &Met<'_>, readable: bool) -> LayerSeen {
    let Met { asked, by_access } = met;
    let passed_over = asked.passed_over.iter().map(|Look { rule, misfits }| {
        let misfits = misfits.iter().map(|part| part_name(*part).to_owned()).collect();
        RuleSeen { misfits, ..seen(rule) }
    });
    LayerSeen {
        layer: match asked.layer {
            Layer::Subnet => "subnet".to_owned(),
            Layer::Nic => "networkInterface".to_owned(),
        },
        group: readable.then(|| asked.group.to_string()),
        reached: asked.reached,
        by_access: *by_access,
        decided_by: readable.then(|| seen(asked.decisive)),
        passed_over: passed_over.filter(|_| readable).collect(),
    }
}

fn seen(rule: &SecurityRule) -> RuleSeen {
    RuleSeen {
        name: rule.name().to_string(),
        priority: rule.priority().number(),
        access: rule.access(),
        misfits: Vec::new(),
    }
}

fn part_name(part: Part) -> &'static str {
    match part {
        Part::Protocol => "protocol",
        Part::Source => "source",
        Part::SourcePort => "sourcePort",
        Part::Destination => "destination",
        Part::DestinationPort => "destinationPort",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const VM: &str = "/subscriptions/00000000-0000-0000-0000-000000000001/resourceGroups/g/providers/Microsoft.Compute/virtualMachines/web-1";

    #[test]
    fn a_question_is_read_back_as_it_was_asked() {
        let question = Question {
            vm: VM.parse().unwrap(),
            address: Some("fd00::4".parse().unwrap()),
            port: Port::new(22).unwrap(),
            from: "2001:db8::7".parse().unwrap(),
            transport: Transport::Udp,
        };
        let query = url(&question.parameters());
        assert_eq!(Question::parse(Some(&query)).unwrap(), question);
    }

    fn url(parameters: &[(&str, String)]) -> String {
        parameters.iter().map(|(name, value)| format!("{name}={value}&")).collect()
    }

    #[test]
    fn what_is_wrong_is_named_with_what_would_be_accepted() {
        let good = [("vm", VM), ("port", "22"), ("from", "203.0.113.7")];
        let rows = [
            ("vm", "web-1", "the resource id of a VM"),
            ("port", "0", "a port, 1 to 65535"),
            ("port", "65536", "a port, 1 to 65535"),
            ("from", "here", "an IPv4 or IPv6 address"),
            ("from", "::ffff:203.0.113.7", "an IPv4 or IPv6 address"),
            ("address", "10.0.0.0/8", "an IPv4 or IPv6 address"),
            ("protocol", "ICMP", "TCP or UDP"),
        ];
        for (name, bad, accepted) in rows {
            let others = good.into_iter().filter(|(known, _)| *known != name);
            let all = others.chain([(name, bad)]).map(|(n, v)| format!("{n}={v}&"));
            let error = Question::parse(Some(&all.collect::<String>())).unwrap_err();
            assert_eq!(error.target.as_deref(), Some(name));
            assert!(error.message.contains(bad) && error.message.contains(accepted), "{error:?}");
        }
        for (name, _) in good {
            let others = good.iter().filter(|(known, _)| *known != name);
            let all: String = others.map(|(n, v)| format!("{n}={v}&")).collect();
            assert_eq!(Question::parse(Some(&all)).unwrap_err().target.as_deref(), Some(name));
        }
    }
}
