//! `hourgate can`: may I have access, and if not, what is missing and what helps.

use clap::Args;
use hourgate_api::{
    can::{CanAnswer, Reason},
    paths::Route,
};
use hourgate_core::network::Port;
use serde_json::json;

use super::Session;
use crate::{
    exit::{Exit, Failure},
    input::network,
    named,
    output::{Answer, Table},
    resolve::Vms,
    view,
};

/// May I have access, and if not, what is missing
///
/// Asks for nothing and changes nothing. Ends with 0 if all that is named may be asked for, else with 1.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  hourgate can web-1
  hourgate can web-1 -p 22 --as anna")]
pub(crate) struct Can {
    #[command(flatten)]
    vms: Vms,
    /// The ports [default: those of its system]
    #[arg(
        short,
        long = "port",
        value_name = "PORT",
        num_args = 1..,
        value_delimiter = ',',
        value_parser = network::port
    )]
    ports: Vec<Port>,
    /// Of whom, if not of yourself: an object id, a name or a sign-in name
    #[arg(long = "as", value_name = "WHO")]
    who: Option<String>,
}

/// Asks, for each machine and port.
pub(crate) async fn run(session: &Session, args: Can) -> Result<(), Failure> {
    let who = match &args.who {
        Some(called) => Some(named::who(session, called).await?.name.to_string()),
        None => None,
    };
    let route = Route::Can(session.client.profile().subscription_id);
    let mut answers: Vec<CanAnswer> = Vec::new();
    let mut table = Table::new(["VM", "PORT", "MAY", "WHO", "WHAT IS MISSING"]);
    for vm in args.vms.find(session).await? {
        let usual = view::default_ports(vm.os);
        for port in if args.ports.is_empty() { &usual } else { &args.ports } {
            let (id, port) = (vm.id.to_string(), port.number().to_string());
            let mut query = vec![("vm", id.as_str()), ("port", port.as_str())];
            query.extend(who.as_deref().map(|who| ("principal", who)));
            let value = session.client.get(&route.with_query(&query)).await?.body;
            let answer: CanAnswer = named::read(value, "whether one may")?;
            let missing: Vec<&str> = answer.reasons.iter().map(|r| r.message.as_str()).collect();
            table.row([
                vm.id.name.to_string(),
                port,
                if answer.allowed { "yes" } else { "no" }.to_owned(),
                answer.principal.name.clone(),
                missing.join(" "),
            ]);
            answers.push(answer);
        }
    }
    let next =
        answers.iter().flat_map(|answer| answer.reasons.iter().filter_map(|r| help(answer, r)));
    let next = next.collect();
    session.output.show(&Answer::new(json!(answers), table).then(next))?;
    if answers.iter().all(|answer| answer.allowed) {
        return Ok(());
    }
    Err(Failure::new(Exit::Refused, "Not all of it may be asked for now."))
}

/// What whoever can give a role types. Names come from others, so only one that a shell takes as it is goes
/// into a line that is copied.
fn help(answer: &CanAnswer, reason: &Reason) -> Option<String> {
    let (role, scope) = (reason.roles.first()?, reason.scope.as_deref()?);
    let is_safe = |c: char| c.is_ascii_alphanumeric() || " -_.".contains(c);
    if reason.code != "RoleNeeded" || !role.chars().all(is_safe) {
        return None;
    }
    let who = &answer.principal.id;
    Some(format!(
        "Whoever can give roles types: hourgate role assignment create --assignee {who} --role '{role}' \
         --scope {scope}"
    ))
}
