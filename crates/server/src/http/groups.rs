//! Resource groups: made, tagged, shown, and removed with all that is in them.

use hourgate_api::{
    body,
    error::{ArmError, Positions, group_not_found},
    list::List,
    resource::{Shown, show},
    subscription::ResourceGroup,
};
use hourgate_core::{
    id::Name,
    resource::{Network, ResourceId},
};
use hourgate_store::Store;
use hyper::{Method, StatusCode};
use serde::Serialize;

use super::{asked::Asked, exchange::Answer, jit::condition, network};
use crate::operations::{self, Group, Problem};

/// A group as it is shown, whoever made it.
#[derive(Serialize)]
#[serde(untagged)]
enum GroupSeen {
    Made(Shown),
    Implied(ResourceGroup),
}

/// All groups.
pub(super) async fn list<S: Store>(asked: &Asked<'_, S>) -> Result<Answer, ArmError> {
    let groups = operations::groups(&asked.caller, asked.server, &asked.call(), None).await;
    let groups = groups.map_err(|problem| asked.problem(&problem, &Positions::none()))?;
    let seen: Result<Vec<GroupSeen>, ArmError> = groups.iter().map(|of| seen(asked, of)).collect();
    Ok(asked.exchange.json(StatusCode::OK, &List::whole(seen?)))
}

/// One group: shown, asked for, made, tagged or removed.
pub(super) async fn group<S: Store>(asked: &Asked<'_, S>, name: &Name) -> Result<Answer, ArmError> {
    let (caller, server, call) = (&asked.caller, asked.server, asked.call());
    let problem = |problem: Problem| asked.problem(&problem, &Positions::none());
    let id = ResourceId::of_group(server.installation.subscription, name.clone());
    match asked.method {
        Method::PUT => {
            let only_if = condition(asked)?;
            let draft = asked.parse(move |sent| body::resource(sent, &id)).await?;
            let (resource, network, new) =
                operations::put_resource(caller, server, &call, draft, only_if)
                    .await
                    .map_err(problem)?;
            // Azure makes a group at once: there is no operation to ask about.
            let status = if new { StatusCode::CREATED } else { StatusCode::OK };
            Ok(asked.exchange.json(status, &show(&network, &resource, &[])?))
        }
        Method::PATCH => {
            let only_if = condition(asked)?;
            let tags = asked.parse(body::resource_tags).await?;
            let (resource, network) =
                operations::tag_group(caller, server, &call, (name, &tags), only_if)
                    .await
                    .map_err(problem)?;
            Ok(asked.exchange.json(StatusCode::OK, &show(&network, &resource, &[])?))
        }
        Method::DELETE => {
            let only_if = condition(asked)?;
            let known = operations::delete_resource(caller, server, &call, id, only_if)
                .await
                .map_err(problem)?;
            if known { network::deleted(asked, true) } else { Err(group_not_found(name)) }
        }
        _ => {
            let groups = operations::groups(caller, server, &call, Some(name)).await;
            let groups = groups.map_err(problem)?;
            let group = groups.first().ok_or_else(|| group_not_found(name))?;
            if asked.method == Method::HEAD {
                return Ok(asked.exchange.empty(StatusCode::NO_CONTENT));
            }
            Ok(asked.exchange.json(StatusCode::OK, &seen(asked, group)?))
        }
    }
}

fn seen<S: Store>(asked: &Asked<'_, S>, group: &Group) -> Result<GroupSeen, ArmError> {
    match group {
        // Nothing of the network tells more about a group.
        Group::Made(resource) => Ok(GroupSeen::Made(show(&Network::default(), resource, &[])?)),
        Group::Implied { name, location } => {
            let subscription = asked.server.installation.subscription;
            Ok(GroupSeen::Implied(ResourceGroup::new(subscription, name, location)))
        }
    }
}
