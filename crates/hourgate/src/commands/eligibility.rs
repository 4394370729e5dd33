//! `hourgate eligibility`: which machines can have just-in-time access, in the three lists of Azure's portal.

use clap::Args;
use hourgate_api::{
    eligibility::{EligibilityProperties, EligibilityResource},
    paths::Route,
};
use hourgate_core::{
    eligible::Standing,
    id::{Name, VmId},
};
use serde_json::Value;

use super::Session;
use crate::{
    clock,
    exit::Failure,
    input::network,
    output::{Answer, Table, human},
    view::not_understood,
};

/// Which machines are configured, which could be, and why others cannot
///
/// Configured machines with the requests granted in the last seven days, the last access, and whose it was.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  hourgate eligibility
  hourgate eligibility -g prod --query \"[?properties.state=='Unsupported'].name\" -o json")]
pub(crate) struct Eligibility {
    /// Only those of this resource group
    #[arg(short = 'g', long = "resource-group", value_name = "GROUP", value_parser = network::name)]
    group: Option<Name>,
}

/// Shows the three lists.
pub(crate) async fn run(session: &Session, args: Eligibility) -> Result<(), Failure> {
    let subscription = session.client.profile().subscription_id;
    let list = Route::Eligibility { subscription, group: args.group };
    let found = session.client.list(&list.uri()).await?;
    let read = found.iter().map(|value| serde_json::from_value(value.clone()));
    let mut machines: Vec<EligibilityResource> =
        read.collect::<Result<_, _>>().map_err(|_| not_understood("a machine without a state"))?;
    machines.sort_by_key(|machine| machine.properties.state);
    let mut table =
        Table::new(["STATE", "VM", "GROUP", "REQUESTS 7 D", "LAST ACCESS", "BY", "WHY NOT"]);
    for EligibilityResource { id, name, properties, .. } in &machines {
        let EligibilityProperties { state, reasons, used, .. } = properties;
        let group = id.parse().map(|vm: VmId| vm.group.to_string()).unwrap_or_default();
        let why: Vec<&str> = reasons.iter().map(|reason| reason.message.as_str()).collect();
        let used = used.clone().unwrap_or_default();
        let count = match state {
            Standing::Configured => used.approved_requests.to_string(),
            Standing::NotConfigured | Standing::Unsupported => String::new(),
        };
        let last = used.last_access_utc.map(|at| human::moment(at.0, &clock::local_now()));
        table.row([
            words(*state).to_owned(),
            name.clone(),
            group,
            count,
            last.unwrap_or_default(),
            used.last_user.unwrap_or_default(),
            why.join(" "),
        ]);
    }
    let next = match machines.is_empty() {
        true => vec!["No machine is known yet. Add one with: hourgate add NAME ADDRESS".to_owned()],
        false => Vec::new(),
    };
    session.output.show(&Answer::new(Value::Array(found), table).then(next))
}

/// As Azure's portal calls the list.
fn words(state: Standing) -> &'static str {
    match state {
        Standing::Configured => "Configured",
        Standing::NotConfigured => "Not configured",
        Standing::Unsupported => "Unsupported",
    }
}
