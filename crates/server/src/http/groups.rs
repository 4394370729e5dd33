//! Resource groups: made, tagged, shown, and removed with all that is in them.

use hourgate_api::{
    body,
    error::{ArmError, Positions, group_not_found},
    list::List,
    paths::{GroupQuery, Route},
    resource::{Around, Shown, show},
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

/// All groups, or those that have a tag.
pub(super) async fn list<S: Store>(asked: &Asked<'_, S>) -> Result<Answer, ArmError> {
    let query = GroupQuery::parse(asked.query.as_deref())?;
    let groups = operations::groups(&asked.caller, asked.server, &asked.call(), None).await;
    let mut groups = groups.map_err(|problem| asked.problem(&problem, &Positions::none()))?;
    groups.retain(|group| is_wanted(group, &query));
    let most = query.most.unwrap_or(usize::MAX);
    let last = groups.get(most.saturating_sub(1)).filter(|_| groups.len() > most);
    let next_link = last.map(|last| {
        let next = query.next(last.name());
        let next: Vec<(&str, &str)> =
            next.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let route = Route::Groups(asked.server.installation.subscription);
        format!("{}{}", asked.server.base, route.with_query(&next))
    });
    let value: Result<Vec<GroupSeen>, ArmError> =
        groups.iter().take(most).map(|of| seen(asked, of)).collect();
    Ok(asked.exchange.json(StatusCode::OK, &List { value: value?, next_link }))
}

fn is_wanted(group: &Group, query: &GroupQuery) -> bool {
    let behind = query.after.as_ref().is_none_or(|after| after < group.name());
    let tagged = query.tag.as_ref().is_none_or(|tag| {
        let mut tags = group.tags().into_iter().flatten();
        let known = tags.find(|(name, _)| name.eq_ignore_ascii_case(tag));
        known.is_some_and(|(_, value)| query.value.as_ref().is_none_or(|wanted| wanted == value))
    });
    behind && tagged
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
            Ok(asked.exchange.json(status, &show(Around::all(&network), &resource, &[])?))
        }
        Method::PATCH => {
            let only_if = condition(asked)?;
            let tags = asked.parse(body::resource_tags).await?;
            let (resource, network) =
                operations::tag_group(caller, server, &call, (name, &tags), only_if)
                    .await
                    .map_err(problem)?;
            Ok(asked.exchange.json(StatusCode::OK, &show(Around::all(&network), &resource, &[])?))
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
        Group::Made(resource) => {
            Ok(GroupSeen::Made(show(Around::all(&Network::default()), resource, &[])?))
        }
        Group::Implied { name, location } => {
            let subscription = asked.server.installation.subscription;
            Ok(GroupSeen::Implied(ResourceGroup::new(subscription, name, location)))
        }
    }
}
