//! What the guard of a machine sees of it, as words beside other answers.

use hourgate_api::{
    outlook::{MayBeBlocked, OutlookSeen, Outlooks, Seen},
    paths::Route,
};
use hourgate_core::network::Port;

use super::Session;
use crate::{
    exit::Failure,
    view::{Vm, not_understood},
};

/// Asks; `ports` are those that rules of others may stand before, its locked ones where none is named.
pub(crate) async fn ask(session: &Session, vm: &Vm, ports: &[Port]) -> Result<Outlooks, Failure> {
    let (id, ports) = (vm.id.to_string(), ports.iter().map(ToString::to_string));
    let ports: Vec<String> = ports.collect();
    let ports = ports.iter().map(|port| ("port", port.as_str()));
    let parameters: Vec<(&str, &str)> = [("vm", id.as_str())].into_iter().chain(ports).collect();
    let route = Route::Outlook(session.client.profile().subscription_id);
    let value = session.client.get(&route.with_query(&parameters)).await?.body;
    serde_json::from_value(value).map_err(|error| not_understood(&error.to_string()))
}

/// From where a machine is seen, in a cell of a table.
pub(crate) fn seen(outlooks: &Outlooks) -> String {
    if outlooks.guard.is_none() {
        return "by no guard".to_owned();
    }
    let mut said: Vec<&str> =
        outlooks.addresses.iter().map(|of| of.vantage.said(of.misses_neighbours)).collect();
    said.dedup();
    said.join("; ")
}

/// What may be in the way to these machines, for people who change something about them. A server or guard
/// that does not say keeps nobody from what they do.
pub(crate) async fn warnings(session: &Session, vms: &[Vm], ports: &[Port]) -> Vec<String> {
    let mut warnings = Vec::new();
    for vm in vms {
        let Ok(outlooks) = ask(session, vm, ports).await else { continue };
        let unseen = outlooks.addresses.iter().filter(|of| of.vantage == Seen::Unreachable);
        warnings.extend(unseen.map(|of| {
            format!(
                "No route of the guard leads to {}: what goes there is not seen by it.",
                of.address
            )
        }));
        warnings.extend(suspicions(&outlooks));
    }
    warnings
}

/// A sentence for each rule of others that would probably drop what an access lets through.
pub(crate) fn suspicions(outlooks: &Outlooks) -> Vec<String> {
    outlooks
        .addresses
        .iter()
        .flat_map(|of| of.may_be_blocked.iter().map(|by| said(of, by)))
        .collect()
}

fn said(of: &OutlookSeen, by: &MayBeBlocked) -> String {
    let MayBeBlocked { port, table, chain, rule } = by;
    let what = match rule {
        Some(rule) => format!("its rule `{rule}`"),
        None => "which drops what no rule of it accepts".to_owned(),
    };
    format!(
        "Port {port} of {} may be blocked by table {table}, chain {chain}: {what}. That table is not \
         Hourgate's, and it is left as it is.",
        of.address
    )
}
