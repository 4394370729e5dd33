//! From what is wanted to the path where it is served, for clients and for links.

use std::fmt;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use super::Route;
use crate::watcher::WATCHER_TYPE;

/// What is not written as itself in a segment or value of a URL: all but RFC 3986's unreserved.
pub(crate) const RESERVED: &AsciiSet =
    &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

impl fmt::Display for Route {
    /// The path. Names and locations need no encoding: no character of theirs has a meaning in URLs.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tenant = |tenant: &str| utf8_percent_encode(tenant, RESERVED).to_string();
        match self {
            Route::Policies { subscription, group, location } => {
                write!(f, "/subscriptions/{subscription}")?;
                if let Some(group) = group {
                    write!(f, "/resourceGroups/{group}")?;
                }
                f.write_str("/providers/Microsoft.Security")?;
                if let Some(location) = location {
                    write!(f, "/locations/{location}")?;
                }
                f.write_str("/jitNetworkAccessPolicies")
            }
            Route::Policy(policy) => write!(f, "{policy}"),
            Route::Initiate(policy) => write!(f, "{policy}/initiate"),
            Route::Confirm(policy) => write!(f, "{policy}/confirm"),
            Route::Requests(subscription) => {
                write!(f, "/subscriptions/{subscription}/providers/Hourgate.Access/requests")
            }
            Route::Request(subscription, id) => {
                write!(f, "/subscriptions/{subscription}/providers/Hourgate.Access/requests/{id}")
            }
            Route::CloseRequest(subscription, id) => {
                write!(f, "{}/close", Route::Request(*subscription, *id))
            }
            Route::Whoami(None) => f.write_str("/whoami"),
            Route::Whoami(Some(subscription)) => {
                write!(f, "/subscriptions/{subscription}/providers/Hourgate.Access/whoami")
            }
            Route::Guards(subscription) => {
                write!(f, "/subscriptions/{subscription}/providers/Hourgate.Access/guards")
            }
            Route::Explain(subscription) => {
                write!(f, "/subscriptions/{subscription}/providers/Hourgate.Access/explain")
            }
            Route::Outlook(subscription) => {
                write!(f, "/subscriptions/{subscription}/providers/Hourgate.Access/outlook")
            }
            Route::Resources { subscription, group, kind } => {
                write!(f, "/subscriptions/{subscription}")?;
                if let Some(group) = group {
                    write!(f, "/resourceGroups/{group}")?;
                }
                write!(f, "/providers/{}", kind.type_name())
            }
            Route::Resource(id) => write!(f, "{id}"),
            Route::InstanceView(id) => write!(f, "{id}/instanceView"),
            Route::Parts(id, parts) => write!(f, "{id}/{}", parts.as_str()),
            Route::Part(id, parts, name) => write!(f, "{id}/{}/{name}", parts.as_str()),
            Route::EffectiveGroups(id) => write!(f, "{id}/effectiveNetworkSecurityGroups"),
            Route::Watchers { subscription, group } => {
                write!(f, "/subscriptions/{subscription}")?;
                if let Some(group) = group {
                    write!(f, "/resourceGroups/{group}")?;
                }
                write!(f, "/providers/{WATCHER_TYPE}")
            }
            Route::Watcher(id) => write!(f, "{id}"),
            Route::VerifyFlow(id) => write!(f, "{id}/ipFlowVerify"),
            Route::Operation(subscription, location, id) => write!(
                f,
                "/subscriptions/{subscription}/providers/Microsoft.Network/locations/{location}/operations/{id}"
            ),
            Route::OperationResult(subscription, location, id) => write!(
                f,
                "/subscriptions/{subscription}/providers/Microsoft.Network/locations/{location}/operationResults/{id}"
            ),
            Route::Pricings(subscription) => {
                write!(f, "/subscriptions/{subscription}/providers/Microsoft.Security/pricings")
            }
            Route::Pricing(subscription, name) => {
                write!(f, "{}/{name}", Route::Pricings(*subscription))
            }
            Route::Eligibility { subscription, group } => {
                write!(f, "/subscriptions/{subscription}")?;
                if let Some(group) = group {
                    write!(f, "/resourceGroups/{group}")?;
                }
                f.write_str("/providers/Hourgate.Access/eligibility")
            }
            Route::Roles(scope, what) => write!(f, "{scope}{what}"),
            Route::Approvals(None, what) => what.fmt(f),
            Route::Approvals(Some(scope), what) => write!(f, "{scope}{what}"),
            Route::Principals(subscription, what) => {
                write!(f, "/subscriptions/{subscription}{what}")
            }
            Route::Can(subscription) => {
                write!(f, "/subscriptions/{subscription}/providers/Hourgate.Access/can")
            }
            Route::Subscriptions => f.write_str("/subscriptions"),
            Route::Subscription(subscription) => write!(f, "/subscriptions/{subscription}"),
            Route::Groups(subscription) => {
                write!(f, "/subscriptions/{subscription}/resourceGroups")
            }
            Route::Group(subscription, group) => {
                write!(f, "/subscriptions/{subscription}/resourceGroups/{group}")
            }
            Route::Tenants => f.write_str("/tenants"),
            Route::MetadataEndpoints => f.write_str("/metadata/endpoints"),
            Route::Token(id) => write!(f, "/{}/oauth2/v2.0/token", tenant(id)),
            Route::Discovery(id) => {
                write!(f, "/{}/v2.0/.well-known/openid-configuration", tenant(id))
            }
            Route::Keys(id) => write!(f, "/{}/discovery/v2.0/keys", tenant(id)),
            Route::DeviceCode(id) => write!(f, "/{}/oauth2/v2.0/devicecode", tenant(id)),
            Route::Authorize(id) => write!(f, "/{}/oauth2/v2.0/authorize", tenant(id)),
            Route::Revoke(id) => write!(f, "/{}/oauth2/v2.0/revoke", tenant(id)),
            Route::Page(page) => write!(f, "{page}"),
            Route::Sessions(subscription) => {
                write!(f, "/subscriptions/{subscription}/providers/Hourgate.Access/sessions")
            }
            Route::RevokeSession(subscription, id) => {
                write!(f, "{}/{id}/revoke", Route::Sessions(*subscription))
            }
            Route::Account(subscription, route) => {
                write!(f, "/subscriptions/{subscription}/providers/Hourgate.Access/{route}")
            }
            Route::Healthz => f.write_str("/healthz"),
            Route::Readyz => f.write_str("/readyz"),
        }
    }
}

impl Route {
    /// Path and query as a client sends them: with the api-version, where one is needed, and with these
    /// parameters, encoded.
    pub fn with_query(&self, parameters: &[(&str, &str)]) -> String {
        let version = self.version().map(|version| ("api-version", version));
        let mut out = self.to_string();
        for (index, (name, value)) in
            version.into_iter().chain(parameters.iter().copied()).enumerate()
        {
            out.push(if index == 0 { '?' } else { '&' });
            out.push_str(name);
            out.push('=');
            out.extend(utf8_percent_encode(value, RESERVED));
        }
        out
    }

    /// Path and query as a client sends them.
    pub fn uri(&self) -> String {
        self.with_query(&[])
    }
}
