//! `hourgate explain`: why a connection would come through or not, and what would have to change.

use std::net::IpAddr;

use clap::{Args, ValueEnum};
use hourgate_api::{
    explain::{Explained, LayerSeen, Question, RuleSeen},
    paths::Route,
    whoami::Whoami,
};
use hourgate_core::{
    network::Port,
    nsg::{flow::Transport, word::Access},
};
use serde_json::Value;

use super::{Session, outlook};
use crate::{
    clock,
    exit::Failure,
    input::network,
    output::{Answer, Table, human},
    resolve::Vms,
    view::not_understood,
};

/// Why a new connection would come through to a port of a machine, or not
///
/// Shows the lock of the port and every rule that looks at the connection, in order, and what would have to
/// change. Nothing is sent and nothing is changed.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  hourgate explain web-1 -p 22                              from your own address
  hourgate explain web-1 -p 443 --from 203.0.113.7
  hourgate explain web-1 -p 53 --protocol udp --from 203.0.113.7 -o json")]
pub(crate) struct Explain {
    #[command(flatten)]
    vms: Vms,
    /// To which port
    #[arg(short, long, value_parser = network::port)]
    port: Port,
    /// From where [default: your own address, as the server sees it]
    #[arg(long, alias = "source", value_name = "ADDRESS", value_parser = network::address)]
    from: Option<IpAddr>,
    /// To which of its addresses [default: the first of the source's family]
    #[arg(long, value_name = "ADDRESS", value_parser = network::address)]
    address: Option<IpAddr>,
    /// Over what
    #[arg(long, default_value = "tcp", ignore_case = true)]
    protocol: Protocol,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Protocol {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
}

/// Asks, and shows each machine's answer.
pub(crate) async fn run(session: &Session, args: Explain) -> Result<(), Failure> {
    let from = match args.from {
        Some(from) => from,
        None => own(session).await?,
    };
    for vm in args.vms.find(session).await? {
        let question = Question {
            vm: vm.id.clone(),
            address: args.address,
            port: args.port,
            from,
            transport: match args.protocol {
                Protocol::Tcp => Transport::Tcp,
                Protocol::Udp => Transport::Udp,
            },
        };
        let parameters = question.parameters();
        let parameters: Vec<(&str, &str)> =
            parameters.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let route = Route::Explain(session.client.profile().subscription_id);
        let value = session.client.get(&route.with_query(&parameters)).await?.body;
        let explained: Explained = serde_json::from_value(value.clone())
            .map_err(|error| not_understood(&error.to_string()))?;
        let mut answer = answer(value, &explained, &question, vm.id.name.as_str());
        if question.transport == Transport::Tcp {
            answer.next.extend(outlook::warnings(session, &[vm], &[question.port]).await);
        }
        session.output.show(&answer)?;
    }
    Ok(())
}

/// The caller's own address, where the server can tell it.
async fn own(session: &Session) -> Result<IpAddr, Failure> {
    let value = session.client.get(&Route::Whoami(None).uri()).await?.body;
    let whoami: Whoami =
        serde_json::from_value(value).map_err(|error| not_understood(&error.to_string()))?;
    if whoami.address_is_own {
        return Ok(whoami.address);
    }
    let seen = whoami.address;
    Err(Failure::usage(format!("The server sees {seen}, which is nobody's own address."))
        .advise("Say from where: --from ADDRESS."))
}

fn answer(value: Value, explained: &Explained, question: &Question, name: &str) -> Answer {
    let mut table = Table::new(["ORDER", "WHERE", "WHAT", "PRIORITY", "SAYS", "BECAUSE"]);
    let mut order = 0_u32;
    let mut row = |at: &str, what: &str, priority: String, says: &str, because: String| {
        order += 1;
        let cells =
            [order.to_string(), at.to_owned(), what.to_owned(), priority, says.to_owned(), because];
        table.row(cells);
    };
    if let Some(lock) = &explained.lock {
        let (says, because) = match &lock.open_until {
            Some(until) => (
                "lets through",
                format!("an access until {}", human::moment(until.0, &clock::local_now())),
            ),
            None if lock.standing => ("lets through", "a standing exception".to_owned()),
            None => ("drops", format!("no access from {}", question.from)),
        };
        row("lock", &format!("port {}", question.port), String::new(), says, because);
    }
    for layer in &explained.layers {
        let at = at(layer);
        for rule in &layer.passed_over {
            let because = format!("differs in {}", rule.misfits.join(", "));
            row(&at, &rule.name, rule.priority.to_string(), "passes on", because);
        }
        if layer.by_access {
            row(
                &at,
                "the access",
                String::new(),
                "allows",
                "it stands before the rules".to_owned(),
            );
        } else {
            let (what, priority, says) = decision(layer.decided_by.as_ref());
            let because = if layer.reached { "fits" } else { "fits, but is not reached" };
            row(&at, &what, priority, says, because.to_owned());
        }
    }
    let verb = match explained.access {
        Access::Allow => "comes through",
        Access::Deny => "does not come through",
    };
    let mut next = vec![format!(
        "A new connection from {} to port {} of {name} ({}) {verb}.",
        question.from, question.port, explained.address
    )];
    next.extend(explained.cures.iter().cloned());
    if explained.lock.as_ref().is_some_and(|lock| lock.open_until.is_none() && !lock.standing) {
        next.push(match question.transport {
            Transport::Tcp => format!(
                "Ask for access: hourgate request {name} -g {} -p {} --source {}",
                question.vm.group, question.port, question.from
            ),
            Transport::Udp | Transport::Other => {
                "The lock keeps the port closed over it as well, and an access opens TCP alone."
                    .to_owned()
            }
        });
    }
    Answer::new(value, table).then(next)
}

fn at(layer: &LayerSeen) -> String {
    let group = layer.group.as_deref().and_then(|id| id.rsplit('/').next());
    let group = group.unwrap_or("a group you may not read");
    match layer.layer.as_str() {
        "subnet" => format!("subnet's {group}"),
        _ => format!("interface's {group}"),
    }
}

fn decision(rule: Option<&RuleSeen>) -> (String, String, &'static str) {
    match rule {
        Some(rule) => {
            let says = match rule.access {
                Access::Allow => "allows",
                Access::Deny => "drops",
            };
            (rule.name.clone(), rule.priority.to_string(), says)
        }
        None => ("a rule you may not read".to_owned(), String::new(), "decides"),
    }
}
