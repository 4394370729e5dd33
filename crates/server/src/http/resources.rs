//! Azure's other routes: machines, subscriptions, tenants.

use hourgate_api::{
    body,
    error::{ArmError, Positions},
    list::List,
    subscription::{Subscription, Tenant},
    vm::VmResource,
};
use hourgate_core::{
    id::{Name, VmId},
    policy::Vm,
};
use hourgate_store::Store;
use hyper::{Method, StatusCode};

use super::{dispatch::Asked, exchange::Answer};
use crate::operations;

/// What the subscription and the tenant of an installation are called.
const DISPLAY_NAME: &str = "Hourgate";

/// The machines of a group, or all.
pub(super) async fn list_vms<S: Store>(
    asked: &Asked<'_, S>,
    group: Option<&Name>,
) -> Result<Answer, ArmError> {
    let (caller, call) = (&asked.caller, asked.call());
    let vms = operations::list_vms(caller, asked.server, &call, group.cloned())
        .await
        .map_err(|problem| asked.problem(&problem, &Positions::none()))?;
    let list = List::whole(vms.iter().map(VmResource::from).collect());
    Ok(asked.exchange.json(StatusCode::OK, &list))
}

/// One machine: shown, registered or unregistered.
pub(super) async fn vm<S: Store>(asked: &Asked<'_, S>, id: &VmId) -> Result<Answer, ArmError> {
    let (caller, server, call) = (&asked.caller, asked.server, asked.call());
    let none = Positions::none();
    match asked.method {
        Method::PUT => {
            let parts = asked.parse(body::vm).await?;
            let (vm, new) = operations::register_vm(caller, server, &call, id.clone(), &parts)
                .await
                .map_err(|problem| asked.problem(&problem, &parts.positions))?;
            let status = if new { StatusCode::CREATED } else { StatusCode::OK };
            Ok(asked.exchange.json(status, &VmResource::from(&vm)))
        }
        Method::DELETE => {
            let known = operations::unregister_vm(caller, server, &call, id.clone())
                .await
                .map_err(|problem| asked.problem(&problem, &none))?;
            Ok(asked.exchange.empty(if known { StatusCode::OK } else { StatusCode::NO_CONTENT }))
        }
        _ => {
            let vm: Vm = operations::get_vm(caller, server, &call, id.clone())
                .await
                .map_err(|problem| asked.problem(&problem, &none))?;
            Ok(asked.exchange.json(StatusCode::OK, &VmResource::from(&vm)))
        }
    }
}

/// The subscriptions that the caller sees: an installation has one.
pub(super) fn subscriptions<S: Store>(asked: &Asked<'_, S>) -> Answer {
    asked.exchange.json(StatusCode::OK, &List::whole(vec![the_subscription(asked)]))
}

/// The subscription.
pub(super) fn subscription<S: Store>(asked: &Asked<'_, S>) -> Answer {
    asked.exchange.json(StatusCode::OK, &the_subscription(asked))
}

/// The tenants that the caller belongs to: an installation has one.
pub(super) fn tenants<S: Store>(asked: &Asked<'_, S>) -> Answer {
    let tenant = Tenant::new(asked.server.installation.tenant, DISPLAY_NAME);
    asked.exchange.json(StatusCode::OK, &List::whole(vec![tenant]))
}

fn the_subscription<S: Store>(asked: &Asked<'_, S>) -> Subscription {
    let installation = asked.server.installation;
    Subscription::new(installation.subscription, installation.tenant, DISPLAY_NAME)
}
