//! `hourgate network watcher …`: whether a flow would pass.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use clap::{Args, Subcommand, ValueEnum};
use hourgate_api::{
    paths::Route,
    watcher::{FlowAnswer, FlowEnd, FlowQuestion, WatcherId},
};
use hourgate_core::{
    id::Name,
    nsg::{
        flow::Transport,
        word::{Access, Direction},
    },
    resource::{Kind, ResourceId},
};
use reqwest::Method;
use serde_json::Value;

use super::super::Session;
use crate::{
    client::Call,
    exit::Failure,
    input::network,
    output::{Answer, Table},
    resolve::{self, Target},
    view::not_understood,
};

/// Ask whether a flow would pass
#[derive(Debug, Subcommand)]
pub(crate) enum Watcher {
    TestIpFlow(TestIpFlow),
}

/// Whether a new flow to or from a machine would pass, and by which rule
///
/// `hourgate explain` tells more: every rule that looks, and what would have to change.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  hourgate network watcher test-ip-flow --vm web-1 --direction Inbound --protocol TCP \\
    --local 10.0.0.4:22 --remote 203.0.113.7:50000
  hourgate network watcher test-ip-flow --vm web-1 --direction Outbound --protocol UDP \\
    --local '10.0.0.4:*' --remote 192.0.2.53:53 -o table
  hourgate network watcher test-ip-flow --vm web-1 --direction Inbound --protocol TCP \\
    --local '[fd00::4]:22' --remote '[2001:db8::7]:*'")]
pub(crate) struct TestIpFlow {
    /// The machine, by name or resource id
    #[arg(long, value_parser = resolve::target)]
    vm: Target,
    /// Its resource group, where its name is not unique
    #[arg(short = 'g', long = "resource-group", value_name = "GROUP", value_parser = network::name)]
    group: Option<Name>,
    /// To the machine, or from it
    #[arg(long, ignore_case = true)]
    direction: Way,
    /// Over what
    #[arg(long, ignore_case = true)]
    protocol: Protocol,
    /// Its address and port; * for the port where the flow is outbound
    #[arg(long, value_name = "ADDRESS:PORT", value_parser = end)]
    local: FlowEnd,
    /// The other end's address and port; * for the port where the flow is inbound
    #[arg(long, value_name = "ADDRESS:PORT", value_parser = end)]
    remote: FlowEnd,
    /// Through which of its interfaces, by name or resource id [default: the one that has the address]
    #[arg(long)]
    nic: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Way {
    /// To the machine.
    #[value(name = "Inbound")]
    Inbound,
    /// From the machine.
    #[value(name = "Outbound")]
    Outbound,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Protocol {
    /// TCP.
    #[value(name = "TCP")]
    Tcp,
    /// UDP.
    #[value(name = "UDP")]
    Udp,
}

pub(super) async fn run(session: &Session, args: Watcher) -> Result<(), Failure> {
    match args {
        Watcher::TestIpFlow(args) => test_ip_flow(session, args).await,
    }
}

async fn test_ip_flow(session: &Session, args: TestIpFlow) -> Result<(), Failure> {
    let found = resolve::find(session, &[args.vm], args.group.as_ref()).await?;
    let vm = found.first().ok_or_else(|| Failure::usage("Name the machine."))?;
    let subscription = session.client.profile().subscription_id;
    let watcher = WatcherId::of(subscription, &vm.location).ok_or_else(|| {
        Failure::usage(format!("No network watcher can be in a location called {}.", vm.location))
    })?;
    let nic = args.nic.as_deref().map(|called| interface(called, &vm.id.group, subscription));
    let question = FlowQuestion {
        vm: vm.id.clone(),
        nic: nic.transpose()?,
        direction: match args.direction {
            Way::Inbound => Direction::Inbound,
            Way::Outbound => Direction::Outbound,
        },
        transport: match args.protocol {
            Protocol::Tcp => Transport::Tcp,
            Protocol::Udp => Transport::Udp,
        },
        local: args.local,
        remote: args.remote,
    };
    let body = serde_json::to_value(question.body())
        .map_err(|error| Failure::usage(format!("The question cannot be written: {error}.")))?;
    let path = Route::VerifyFlow(watcher).uri();
    let value = session.client.send(Call::new(Method::POST, &path).body(&body)).await?.body;
    let answer: FlowAnswer = serde_json::from_value(value.clone())
        .map_err(|error| not_understood(&error.to_string()))?;
    session.output.show(&shown(value, &answer, &question))
}

fn shown(value: Value, answer: &FlowAnswer, question: &FlowQuestion) -> Answer {
    let mut table = Table::new(["ACCESS", "RULE"]);
    table.row([answer.access.as_str().to_owned(), answer.rule_name.clone().unwrap_or_default()]);
    let mut next = Vec::new();
    if let (Access::Deny, Direction::Inbound, Some(port)) =
        (answer.access, question.direction, question.local.port)
    {
        next.push(format!(
            "Why: hourgate explain {} -g {} -p {port} --from {}",
            question.vm.name, question.vm.group, question.remote.address
        ));
    }
    Answer::new(value, table).then(next)
}

/// An interface by its resource id, or by its name in the machine's group, as az has it.
fn interface(called: &str, group: &Name, subscription: uuid::Uuid) -> Result<ResourceId, Failure> {
    let kind = Kind::NetworkInterfaces;
    if called.starts_with('/') {
        let id: Option<ResourceId> = called.parse().ok();
        return id.filter(|id| id.kind == kind).ok_or_else(|| {
            Failure::usage("--nic is no resource id of a network interface.".to_owned())
        });
    }
    let name = network::name(called).map_err(Failure::usage)?;
    Ok(ResourceId { subscription, group: group.clone(), kind, name })
}

/// Reads `10.0.0.4:22`, `10.0.0.4:*`, or `[fd00::4]:22`.
fn end(text: &str) -> Result<FlowEnd, String> {
    let wrong = || {
        format!("`{text}` is no address and port, such as 10.0.0.4:22, 10.0.0.4:* or [fd00::4]:22")
    };
    let (address, port) = text.trim().rsplit_once(':').ok_or_else(wrong)?;
    let address = match address.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        Some(v6) => v6.parse::<Ipv6Addr>().map(IpAddr::from).map_err(|_| wrong())?,
        None => address.parse::<Ipv4Addr>().map(IpAddr::from).map_err(|_| wrong())?,
    };
    let port = match port {
        "*" => None,
        port => Some(port.parse().map_err(|_| wrong())?),
    };
    Ok(FlowEnd { address, port })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_end_is_an_address_and_a_port() {
        for (text, address, port) in [
            ("10.0.0.4:22", "10.0.0.4", Some(22)),
            ("10.0.0.4:*", "10.0.0.4", None),
            ("[fd00::4]:65535", "fd00::4", Some(65_535)),
        ] {
            let read = end(text).expect(text);
            assert_eq!((read.address.to_string().as_str(), read.port), (address, port));
        }
        for text in ["", "10.0.0.4", "10.0.0.4:", ":22", "fd00::4:22", "10.0.0.4:65536", "web:22"] {
            assert!(end(text).expect_err(text).contains("such as"), "{text}");
        }
    }
}
