//! Azure's routes for resources: the network's, and machines.

use std::sync::Arc;

use hourgate_api::{
    body::{self, PartChange},
    error::{ArmError, Positions, internal_error},
    headers,
    jit::resource_etag,
    list::List,
    operation::Operation,
    paths::{Parts, ResourcePage, Route, expands},
    resource::{
        Around, Shown, show, show_default_rules, show_instance_view, show_nat_rules, show_peerings,
        show_rule_groups, show_rules, show_subnet, show_subnets, show_with_instance_view,
    },
};
use hourgate_core::{
    id::{Location, Name},
    jit_rules::JitRule,
    resource::{Kind, Resource, ResourceId},
};
use hourgate_store::Store;
use hyper::{Method, StatusCode};
use uuid::Uuid;

use super::{
    asked::Asked,
    exchange::{Answer, with},
    jit::{condition, under},
};
use crate::{
    mint,
    operations::{self, PartSeen, Problem},
};

/// How many resources one page of a list has at most.
const PAGE_RESOURCES_MAX: usize = 500;
/// How many bytes of JSON it has about at most: Azure's answers stay under 8 MB.
const PAGE_BYTES_MAX: usize = 4 << 20;
/// When to ask again about what is done already, in seconds: clients that are not told wait much longer.
const RETRY_AFTER: &str = "1";

/// The resources of a kind, a page at a time.
pub(super) async fn list<S: Store>(
    asked: &Asked<'_, S>,
    (kind, group): (Kind, Option<&Name>),
) -> Result<Answer, ArmError> {
    let page = ResourcePage::parse(asked.query.as_deref())?;
    let (caller, call) = (&asked.caller, asked.call());
    let (found, network) = operations::list_resources(caller, asked.server, &call, (kind, group))
        .await
        .map_err(|problem| asked.problem(&problem, &Positions::none()))?;
    let behind = |resource: &&Arc<Resource>| page.after.as_ref() < Some(&resource.id);
    let rest: Vec<&Arc<Resource>> = found.iter().filter(behind).collect();
    let (mut value, mut bytes) = (Vec::new(), 0);
    for resource in &rest {
        if value.len() >= PAGE_RESOURCES_MAX || bytes > PAGE_BYTES_MAX {
            break;
        }
        let jit = jit(asked, &resource.id).await?;
        let shown = asked.around(&network, |around| show(around, resource, &jit))?;
        bytes += serde_json::to_vec(&shown).map_or(0, |json| json.len());
        value.push(shown);
    }
    let last = value.len().checked_sub(1).and_then(|last| rest.get(last));
    let is_more = value.len() < rest.len();
    let next_link = last.filter(|_| is_more).map(|last| {
        let subscription = asked.server.installation.subscription;
        let route = Route::Resources { subscription, group: group.cloned(), kind };
        let token = last.id.to_string();
        format!("{}{}", asked.server.base, route.with_query(&[("$skipToken", &token)]))
    });
    Ok(asked.exchange.json(StatusCode::OK, &List { value, next_link }))
}

/// One resource: shown, set, tagged or removed.
pub(super) async fn resource<S: Store>(
    asked: &Asked<'_, S>,
    id: &ResourceId,
) -> Result<Answer, ArmError> {
    let (caller, server, call) = (&asked.caller, asked.server, asked.call());
    let problem = |problem: Problem| asked.problem(&problem, &Positions::none());
    match asked.method {
        Method::PUT => {
            let only_if = condition(asked)?;
            let of = id.clone();
            let draft = asked.parse(move |sent| body::resource(sent, &of)).await?;
            let positions = Positions::of_resource(&draft);
            let (resource, network, new) =
                operations::put_resource(caller, server, &call, draft, only_if)
                    .await
                    .map_err(|problem| under(only_if, asked.problem(&problem, &positions)))?;
            let jit = jit(asked, id).await?;
            let shown = asked.around(&network, |around| show(around, &resource, &jit))?;
            put(asked, &resource, &shown, new)
        }
        Method::PATCH => {
            let only_if = condition(asked)?;
            let tags = asked.parse(body::resource_tags).await?;
            let (resource, network) =
                operations::tag_resource(caller, server, &call, (id.clone(), &tags), only_if)
                    .await
                    .map_err(problem)?;
            let jit = jit(asked, id).await?;
            let shown = asked.around(&network, |around| show(around, &resource, &jit))?;
            put(asked, &resource, &shown, false)
        }
        Method::DELETE => {
            let only_if = condition(asked)?;
            let known = operations::delete_resource(caller, server, &call, id.clone(), only_if)
                .await
                .map_err(problem)?;
            deleted(asked, known)
        }
        _ => {
            let (resource, network) =
                operations::get_resource(caller, server, &call, id).await.map_err(problem)?;
            let shown = if id.kind == Kind::VirtualMachines
                && expands(asked.query.as_deref(), "instanceView")
            {
                asked.around(&network, |around| show_with_instance_view(around, &resource))?
            } else {
                let jit = jit(asked, id).await?;
                asked.around(&network, |around| show(around, &resource, &jit))?
            };
            let answer = asked.exchange.json(StatusCode::OK, &shown);
            Ok(with(answer, headers::ETAG, &resource_etag(&resource)))
        }
    }
}

/// How a machine is.
pub(super) async fn instance_view<S: Store>(
    asked: &Asked<'_, S>,
    id: &ResourceId,
) -> Result<Answer, ArmError> {
    let (caller, call) = (&asked.caller, asked.call());
    let (machine, _) = operations::get_resource(caller, asked.server, &call, id)
        .await
        .map_err(|problem| asked.problem(&problem, &Positions::none()))?;
    Ok(asked.exchange.json(StatusCode::OK, &show_instance_view(&machine)))
}

/// The parts of one kind that a resource has.
pub(super) async fn parts<S: Store>(
    asked: &Asked<'_, S>,
    (id, parts): (&ResourceId, Parts),
) -> Result<Answer, ArmError> {
    let (caller, call) = (&asked.caller, asked.call());
    let (resource, network) = operations::get_parts(caller, asked.server, &call, (id, parts))
        .await
        .map_err(|problem| asked.problem(&problem, &Positions::none()))?;
    let named = |rules: Vec<(String, Shown)>| rules.into_iter().map(|(_, shown)| shown).collect();
    let jit = match parts {
        Parts::SecurityRules => jit(asked, id).await?,
        Parts::Subnets
        | Parts::DefaultSecurityRules
        | Parts::RuleCollectionGroups
        | Parts::InboundNatRules
        | Parts::VirtualNetworkPeerings => Vec::new(),
    };
    let shown = |around: Around<'_>| {
        Ok(match parts {
            Parts::Subnets => show_subnets(around, &resource)?,
            Parts::SecurityRules => named(show_rules(around, &resource, &jit)?),
            Parts::DefaultSecurityRules => named(show_default_rules(&resource)),
            Parts::RuleCollectionGroups => named(show_rule_groups(&resource)?),
            Parts::InboundNatRules => named(show_nat_rules(around, &resource)?),
            Parts::VirtualNetworkPeerings => named(show_peerings(around, &resource)?),
        })
    };
    let value: Vec<Shown> = asked.around(&network, shown)?;
    Ok(asked.exchange.json(StatusCode::OK, &List::whole(value)))
}

/// One part of a resource: shown, set or taken away.
pub(super) async fn part<S: Store>(
    asked: &Asked<'_, S>,
    (id, parts, name): (&ResourceId, Parts, &Name),
) -> Result<Answer, ArmError> {
    let (caller, server, call) = (&asked.caller, asked.server, asked.call());
    let problem = |problem: Problem| asked.problem(&problem, &Positions::none());
    match asked.method {
        Method::PUT => {
            let only_if = condition(asked)?;
            let of = name.clone();
            let change = asked
                .parse(move |sent| match parts {
                    Parts::Subnets => PartChange::subnet(sent, of),
                    Parts::SecurityRules => PartChange::rule(sent, of),
                    Parts::RuleCollectionGroups => PartChange::rule_group(sent, of),
                    Parts::InboundNatRules => PartChange::nat_rule(sent, of),
                    Parts::VirtualNetworkPeerings => PartChange::peering(sent, of),
                    // No method of theirs sets anything.
                    Parts::DefaultSecurityRules => Err(internal_error()),
                })
                .await?;
            let what = (id, parts, name);
            let PartSeen { resource, network, new } =
                operations::put_part(caller, server, &call, what, (&change, only_if))
                    .await
                    .map_err(|of| under(only_if, problem(of)))?;
            let jit = jit_of(asked, what).await?;
            // A rule of JIT's that was sent back as it was read may have gone with its access since.
            let shown =
                asked.around(&network, |around| one((around, &resource, &jit), parts, name))?;
            let shown = shown.ok_or_else(|| {
                problem(Problem::NoPart { id: id.clone(), part: parts, name: name.clone() })
            })?;
            put(asked, &resource, &shown, new)
        }
        Method::DELETE => {
            let only_if = condition(asked)?;
            let what = (id, parts, name);
            let known = operations::delete_part(caller, server, &call, what, only_if)
                .await
                .map_err(problem)?;
            deleted(asked, known)
        }
        _ => {
            let (resource, network) =
                operations::get_part(caller, server, &call, (id, parts, name))
                    .await
                    .map_err(problem)?;
            let jit = jit_of(asked, (id, parts, name)).await?;
            let shown =
                asked.around(&network, |around| one((around, &resource, &jit), parts, name))?;
            let shown = shown.ok_or_else(|| {
                problem(Problem::NoPart { id: id.clone(), part: parts, name: name.clone() })
            })?;
            let answer = asked.exchange.json(StatusCode::OK, &shown);
            Ok(with(answer, headers::ETAG, &resource_etag(&resource)))
        }
    }
}

/// The rules that JIT has in a resource that is a security group.
async fn jit<S: Store>(asked: &Asked<'_, S>, id: &ResourceId) -> Result<Vec<JitRule>, ArmError> {
    let rules = operations::jit_rules(asked.server, id).await;
    rules.map_err(|problem| asked.problem(&problem, &Positions::none()))
}

/// Of these the one that a part's name tells.
async fn jit_of<S: Store>(
    asked: &Asked<'_, S>,
    what: (&ResourceId, Parts, &Name),
) -> Result<Vec<JitRule>, ArmError> {
    let rule = operations::jit_rule(asked.server, what).await;
    let rule = rule.map_err(|problem| asked.problem(&problem, &Positions::none()))?;
    Ok(rule.into_iter().collect())
}

fn one(
    (around, resource, jit): (Around<'_>, &Resource, &[JitRule]),
    parts: Parts,
    name: &Name,
) -> Result<Option<Shown>, ArmError> {
    let rules = match parts {
        Parts::Subnets => return show_subnet(around, resource, name),
        Parts::SecurityRules => show_rules(around, resource, jit)?,
        Parts::DefaultSecurityRules => show_default_rules(resource),
        Parts::RuleCollectionGroups => show_rule_groups(resource)?,
        Parts::InboundNatRules => show_nat_rules(around, resource)?,
        Parts::VirtualNetworkPeerings => show_peerings(around, resource)?,
    };
    let found = rules.into_iter().find(|(known, _)| known.eq_ignore_ascii_case(name.as_str()));
    Ok(found.map(|(_, shown)| shown))
}

/// What has become of an operation: every one is done before it is answered.
pub(super) fn operation<S: Store>(asked: &Asked<'_, S>) -> Answer {
    asked.exchange.json(StatusCode::OK, &Operation::done())
}

/// What an operation that is done answers: it had nothing to say.
pub(super) fn operation_result<S: Store>(asked: &Asked<'_, S>) -> Answer {
    asked.exchange.empty(StatusCode::NO_CONTENT)
}

/// 201 with an operation to ask about where it is new, as Azure answers; 200 where it was known.
pub(super) fn put<S: Store>(
    asked: &Asked<'_, S>,
    resource: &Resource,
    shown: &Shown,
    new: bool,
) -> Result<Answer, ArmError> {
    let status = if new { StatusCode::CREATED } else { StatusCode::OK };
    let answer = with(asked.exchange.json(status, shown), headers::ETAG, &resource_etag(resource));
    if !new {
        return Ok(answer);
    }
    let (operation, _) = urls(asked)?;
    let answer = with(answer, headers::ASYNC_OPERATION, &operation);
    let answer = with(answer, headers::ASYNC_NOTIFICATION, "Enabled");
    Ok(with(answer, headers::RETRY_AFTER, RETRY_AFTER))
}

/// 202 with an operation to ask about where it was there, 204 where not.
pub(super) fn deleted<S: Store>(asked: &Asked<'_, S>, known: bool) -> Result<Answer, ArmError> {
    if !known {
        return Ok(asked.exchange.empty(StatusCode::NO_CONTENT));
    }
    let (operation, result) = urls(asked)?;
    let answer = asked.exchange.empty(StatusCode::ACCEPTED);
    let answer = with(answer, headers::ASYNC_OPERATION, &operation);
    let answer = with(answer, headers::LOCATION, &result);
    Ok(with(answer, headers::RETRY_AFTER, RETRY_AFTER))
}

/// Where an operation is told of, and where its answer is. Everything is done by then, so nothing is kept.
fn urls<S: Store>(asked: &Asked<'_, S>) -> Result<(String, String), ArmError> {
    let subscription = asked.server.installation.subscription;
    let id: Uuid = mint::uuid()
        .map_err(|error| asked.problem(&Problem::NoRandomness(error), &Positions::none()))?;
    let location: Location = "local".parse().map_err(|_| internal_error())?;
    let url = |route: Route| format!("{}{}", asked.server.base, route.uri());
    Ok((
        url(Route::Operation(subscription, location.clone(), id)),
        url(Route::OperationResult(subscription, location, id)),
    ))
}
