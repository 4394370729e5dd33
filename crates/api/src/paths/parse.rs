//! From a path to what is served there.

use hourgate_core::{
    id::{Location, Name, PolicyId, RequestId, SubscriptionId},
    resource::{Kind, ResourceId},
};
use percent_encoding::percent_decode_str;

use super::{AccountRoute, Page, Parts, Route, pim, roles};
use crate::{
    error::{ArmError, Code, not_a_guid, not_a_scope, path_not_found},
    text::quoted,
    watcher::WatcherId,
};

/// Why a path leads nowhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PathError {
    /// Nothing of that form is served: 404.
    Unknown,
    /// A subscription's id that is no GUID: 400.
    NotASubscription(String),
    /// A name that none can have: 400.
    NotAName {
        /// Of what.
        what: &'static str,
        /// What was sent.
        sent: String,
    },
    /// A scope that there cannot be: 400.
    NotAScope(String),
    /// A name that is no GUID, where names are: 400.
    NotAGuid {
        /// Of what.
        what: &'static str,
        /// What was sent.
        sent: String,
    },
    /// A request's id that none can have: 404.
    NotARequest(String),
    /// A machine of Azure's older kind: 404, whatever its name.
    Classic,
}

impl PathError {
    /// In words. `path` is what was asked for.
    pub fn explain(&self, path: &str) -> ArmError {
        match self {
            PathError::Unknown => path_not_found(path),
            PathError::NotASubscription(sent) => ArmError::new(
                Code::InvalidSubscriptionId,
                format!("The provided subscription identifier {} is malformed or invalid.", quoted(sent)),
            ),
            PathError::NotAName { what, sent } => ArmError::new(
                Code::InvalidParameter,
                format!(
                    "{} is no name of a {what}: 1 to 90 ASCII letters, digits and '-', '_', '.', '(', ')' are \
                     accepted, with no '-' or '.' at the beginning and no '.' at the end.",
                    quoted(sent)
                ),
            )
            .at(*what),
            PathError::NotAScope(sent) => not_a_scope(sent),
            PathError::NotAGuid { what, sent } => not_a_guid(what, sent),
            PathError::Classic => ArmError::new(
                Code::InvalidResourceType,
                "A classic VM (Microsoft.ClassicCompute) cannot have just-in-time access, so none is kept here. \
                 Register it as 'Microsoft.Compute/virtualMachines'.",
            ),
            PathError::NotARequest(sent) => ArmError::new(
                Code::ResourceNotFound,
                format!(
                    "There is no request {}. A request's id has six letters and digits.",
                    quoted(sent)
                ),
            ),
        }
    }
}

pub(super) fn route(path: &str) -> Result<Route, PathError> {
    // An endpoint registered with a slash at its end makes clients begin with two; Azure takes both.
    let path = path.strip_prefix('/').ok_or(PathError::Unknown)?;
    let path = path.strip_prefix('/').unwrap_or(path);
    let path = path.strip_suffix('/').unwrap_or(path);
    let mut segments = Vec::new();
    for segment in path.split('/') {
        let decoded = percent_decode_str(segment).decode_utf8();
        segments.push(decoded.map_err(|_| PathError::Unknown)?.into_owned());
    }
    let folded: Vec<String> = segments.iter().map(|segment| segment.to_ascii_lowercase()).collect();
    let folded: Vec<&str> = folded.iter().map(String::as_str).collect();
    match folded.as_slice() {
        ["subscriptions", _, rest @ ..] if !is_tenant_route(&folded) => {
            let subscription = subscription(&segments[1])?;
            roles::at_scope(&folded, &segments)
                .unwrap_or_else(|| below_subscription(subscription, rest, &segments[2..]))
        }
        ["providers", "microsoft.authorization", rest @ ..] => {
            let approvals = pim::approvals(rest, &segments[2..]).ok_or(PathError::Unknown)?;
            approvals.map(|what| Route::Approvals(None, what))
        }
        ["subscriptions"] => Ok(Route::Subscriptions),
        ["tenants"] => Ok(Route::Tenants),
        ["whoami"] => Ok(Route::Whoami(None)),
        ["metadata", "endpoints"] => Ok(Route::MetadataEndpoints),
        ["healthz"] => Ok(Route::Healthz),
        ["readyz"] => Ok(Route::Readyz),
        [_, "oauth2", "v2.0", "token"] => Ok(Route::Token(segments[0].clone())),
        [_, "v2.0", ".well-known", "openid-configuration"] => {
            Ok(Route::Discovery(segments[0].clone()))
        }
        [_, "discovery", "v2.0", "keys"] => Ok(Route::Keys(segments[0].clone())),
        [_, "oauth2", "v2.0", "devicecode"] => Ok(Route::DeviceCode(segments[0].clone())),
        [_, "oauth2", "v2.0", "authorize"] => Ok(Route::Authorize(segments[0].clone())),
        [_, "oauth2", "v2.0", "revoke"] => Ok(Route::Revoke(segments[0].clone())),
        page => Page::parse(page, &segments).map(Route::Page).ok_or(PathError::Unknown),
    }
}

fn is_tenant_route(folded: &[&str]) -> bool {
    matches!(
        folded,
        [_, "oauth2", "v2.0", "token" | "devicecode" | "authorize" | "revoke"]
            | [_, "v2.0", ".well-known", "openid-configuration"]
            | [_, "discovery", "v2.0", "keys"]
    )
}

/// `folded` and `sent` are the segments behind the subscription, in lower case and as they were sent.
fn below_subscription(
    subscription: SubscriptionId,
    folded: &[&str],
    sent: &[String],
) -> Result<Route, PathError> {
    match folded {
        [] => Ok(Route::Subscription(subscription)),
        ["resourcegroups"] => Ok(Route::Groups(subscription)),
        ["resourcegroups", _] => Ok(Route::Group(subscription, name("resource group", &sent[1])?)),
        ["resourcegroups", _, "providers", "microsoft.classiccompute", "virtualmachines", ..] => {
            Err(PathError::Classic)
        }
        ["resourcegroups", _, "providers", rest @ ..] => {
            let group = known(rest).then(|| name("resource group", &sent[1])).transpose()?;
            of_provider(subscription, Some(group.ok_or(PathError::Unknown)?), rest, &sent[3..])
        }
        ["providers", "hourgate.access", rest @ ..] => own(subscription, rest, &sent[2..]),
        ["providers", rest @ ..] => of_provider(subscription, None, rest, &sent[1..]),
        _ => Err(PathError::Unknown),
    }
}

/// Whether the provider is one of ours; only then is a bad name before it worth a word.
fn known(rest: &[&str]) -> bool {
    matches!(
        rest.first(),
        Some(
            &"microsoft.security"
                | &"microsoft.compute"
                | &"microsoft.network"
                | &"hourgate.access"
        )
    )
}

fn of_provider(
    subscription: SubscriptionId,
    group: Option<Name>,
    folded: &[&str],
    sent: &[String],
) -> Result<Route, PathError> {
    match (folded, group) {
        (["microsoft.security", "jitnetworkaccesspolicies"], group) => {
            Ok(Route::Policies { subscription, group, location: None })
        }
        (["microsoft.security", "locations", _, "jitnetworkaccesspolicies"], group) => {
            let location = Some(location(&sent[2])?);
            Ok(Route::Policies { subscription, group, location })
        }
        (
            ["microsoft.security", "locations", _, "jitnetworkaccesspolicies", _, action @ ..],
            Some(group),
        ) => {
            let (location, name) = (location(&sent[2])?, name("JIT policy", &sent[4])?);
            let policy = PolicyId { subscription, group, location, name };
            match action {
                [] => Ok(Route::Policy(policy)),
                ["initiate"] => Ok(Route::Initiate(policy)),
                ["confirm"] => Ok(Route::Confirm(policy)),
                _ => Err(PathError::Unknown),
            }
        }
        (["microsoft.security", "pricings"], None) => Ok(Route::Pricings(subscription)),
        (["microsoft.security", "pricings", _], None) => {
            Ok(Route::Pricing(subscription, name("plan", &sent[2])?))
        }
        (["hourgate.access", "eligibility"], group) => {
            Ok(Route::Eligibility { subscription, group })
        }
        (["microsoft.compute", "virtualmachines", _, "instanceview"], Some(group)) => {
            let (kind, name) = (Kind::VirtualMachines, name("resource", &sent[2])?);
            Ok(Route::InstanceView(ResourceId { subscription, group, kind, name }))
        }
        (["microsoft.network", "locations", _, what, id], None) => {
            let location = location(&sent[2])?;
            let id = id.parse().map_err(|_| PathError::Unknown)?;
            match *what {
                "operations" => Ok(Route::Operation(subscription, location, id)),
                "operationresults" => Ok(Route::OperationResult(subscription, location, id)),
                _ => Err(PathError::Unknown),
            }
        }
        (["microsoft.network", "networkwatchers"], group) => {
            Ok(Route::Watchers { subscription, group })
        }
        (["microsoft.network", "networkwatchers", _, action @ ..], Some(group)) => {
            let id = WatcherId { subscription, group, name: name("network watcher", &sent[2])? };
            match action {
                [] => Ok(Route::Watcher(id)),
                ["ipflowverify"] => Ok(Route::VerifyFlow(id)),
                _ => Err(PathError::Unknown),
            }
        }
        ([provider, kind, rest @ ..], group) => {
            let kind = Kind::of(provider, kind).ok_or(PathError::Unknown)?;
            of_kind(subscription, group, kind, rest, &sent[2..])
        }
        (_, _) => Err(PathError::Unknown),
    }
}

/// What stands behind a kind of resources.
fn of_kind(
    subscription: SubscriptionId,
    group: Option<Name>,
    kind: Kind,
    folded: &[&str],
    sent: &[String],
) -> Result<Route, PathError> {
    let parts = |segment: &str| {
        Parts::ALL
            .into_iter()
            .find(|parts| parts.of() == kind && parts.as_str().eq_ignore_ascii_case(segment))
            .ok_or(PathError::Unknown)
    };
    let id = |group| {
        let name = name("resource", &sent[0])?;
        Ok(ResourceId { subscription, group, kind, name })
    };
    match (folded, group) {
        ([], group) => Ok(Route::Resources { subscription, group, kind }),
        ([_], Some(group)) => Ok(Route::Resource(id(group)?)),
        ([_, "effectivenetworksecuritygroups"], Some(group)) if kind == Kind::NetworkInterfaces => {
            Ok(Route::EffectiveGroups(id(group)?))
        }
        ([_, segment], Some(group)) => Ok(Route::Parts(id(group)?, parts(segment)?)),
        ([_, segment, _], Some(group)) => {
            let parts = parts(segment)?;
            Ok(Route::Part(id(group)?, parts, name("resource", &sent[2])?))
        }
        (_, _) => Err(PathError::Unknown),
    }
}

fn own(subscription: SubscriptionId, folded: &[&str], sent: &[String]) -> Result<Route, PathError> {
    match folded {
        ["requests"] => Ok(Route::Requests(subscription)),
        ["requests", _] => Ok(Route::Request(subscription, request(&sent[1])?)),
        ["requests", _, "close"] => Ok(Route::CloseRequest(subscription, request(&sent[1])?)),
        ["whoami"] => Ok(Route::Whoami(Some(subscription))),
        ["guards"] => Ok(Route::Guards(subscription)),
        ["sessions"] => Ok(Route::Sessions(subscription)),
        ["sessions", id, "revoke"] => {
            let id = id.parse().map_err(|_| PathError::Unknown)?;
            Ok(Route::RevokeSession(subscription, id))
        }
        ["accounts" | "serviceaccounts", ..] => {
            let route = AccountRoute::parse(folded).ok_or(PathError::Unknown)?;
            Ok(Route::Account(subscription, route))
        }
        ["explain"] => Ok(Route::Explain(subscription)),
        ["outlook"] => Ok(Route::Outlook(subscription)),
        ["eligibility"] => Ok(Route::Eligibility { subscription, group: None }),
        ["can"] => Ok(Route::Can(subscription)),
        ["principals", rest @ ..] => roles::principals(subscription, rest, &sent[1..]),
        _ => Err(PathError::Unknown),
    }
}

/// A GUID with its hyphens, as Azure wants it; the other spellings of a UUID are none.
fn subscription(sent: &str) -> Result<SubscriptionId, PathError> {
    let wrong = || PathError::NotASubscription(sent.to_owned());
    if sent.len() == 36 { sent.parse().map_err(|_| wrong()) } else { Err(wrong()) }
}

fn name(what: &'static str, sent: &str) -> Result<Name, PathError> {
    sent.parse().map_err(|_| PathError::NotAName { what, sent: sent.to_owned() })
}

fn location(sent: &str) -> Result<Location, PathError> {
    sent.parse().map_err(|_| PathError::NotAName { what: "location", sent: sent.to_owned() })
}

fn request(sent: &str) -> Result<RequestId, PathError> {
    sent.parse().map_err(|_| PathError::NotARequest(sent.to_owned()))
}
