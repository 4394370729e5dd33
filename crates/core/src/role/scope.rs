//! Where a role holds, and all below: a subscription, a resource group, or a resource, as Azure writes its id.

use std::{fmt, str::FromStr, sync::Arc};

use serde::{Deserialize, Serialize};

use crate::{
    id::{Name, PolicyId, SubscriptionId, VmId},
    resource::ResourceId,
};

/// Longest scope, in characters: ids of Azure's have 1,600 at most with all their parts.
pub const SCOPE_CHARS_MAX: usize = 2_048;
/// Fewest segments of a resource: a subscription, a provider, and one type with its name.
const RESOURCE_SEGMENTS_MIN: usize = 6;

/// A subscription, a resource group, or a resource. Compared without case, kept as it was written.
///
/// It need not exist: whether something may be done is told before whether there is anything to do it to.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Scope {
    written: Arc<str>,
    folded: Arc<str>,
    subscription: SubscriptionId,
}

/// The text is no scope.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotAScope;

/// What a scope is, as far as that is known of its own text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// A subscription.
    Subscription,
    /// A JIT policy.
    Policy(PolicyId),
    /// A resource group, or a resource of the network.
    Resource(ResourceId),
    /// A part of a resource, or something of a kind that is not kept here.
    Other,
}

impl Scope {
    /// A whole subscription.
    pub fn subscription(id: SubscriptionId) -> Scope {
        Scope::new(format!("/subscriptions/{id}"), id)
    }

    /// A resource group.
    pub fn group(subscription: SubscriptionId, group: &Name) -> Scope {
        Scope::new(format!("/subscriptions/{subscription}/resourceGroups/{group}"), subscription)
    }

    /// A group, or the whole subscription where none is named.
    pub fn of(subscription: SubscriptionId, group: Option<&Name>) -> Scope {
        match group {
            Some(group) => Scope::group(subscription, group),
            None => Scope::subscription(subscription),
        }
    }

    /// Something in a resource, by the segments behind the resource's id.
    pub fn part(&self, kind: &str, name: &Name) -> Scope {
        Scope::new(format!("{}/{kind}/{name}", self.written), self.subscription)
    }

    fn new(written: String, subscription: SubscriptionId) -> Scope {
        let written: Arc<str> = written.into();
        let upper = written.bytes().any(|byte| byte.is_ascii_uppercase());
        let folded = if upper { written.to_ascii_lowercase().into() } else { Arc::clone(&written) };
        Scope { written, folded, subscription }
    }

    /// The subscription it is in.
    pub fn of_subscription(&self) -> SubscriptionId {
        self.subscription
    }

    /// As it was written.
    pub fn as_str(&self) -> &str {
        &self.written
    }

    /// Whether another scope is this one, or lies in it.
    pub fn holds(&self, inner: &Scope) -> bool {
        inner
            .folded
            .strip_prefix(&*self.folded)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }

    /// What it is.
    pub fn place(&self) -> Place {
        let text = &*self.written;
        if text.split('/').nth(3).is_none() {
            return Place::Subscription;
        }
        let policy = text.parse().map(Place::Policy);
        policy.or_else(|_| text.parse().map(Place::Resource)).unwrap_or(Place::Other)
    }
}

impl From<&VmId> for Scope {
    fn from(id: &VmId) -> Scope {
        Scope::new(id.to_string(), id.subscription)
    }
}

impl From<&PolicyId> for Scope {
    fn from(id: &PolicyId) -> Scope {
        Scope::new(id.to_string(), id.subscription)
    }
}

impl From<&ResourceId> for Scope {
    fn from(id: &ResourceId) -> Scope {
        Scope::new(id.to_string(), id.subscription)
    }
}

impl FromStr for Scope {
    type Err = NotAScope;

    fn from_str(text: &str) -> Result<Scope, NotAScope> {
        if text.len() > SCOPE_CHARS_MAX {
            return Err(NotAScope);
        }
        // Clients leave a slash at the end, or none at the beginning.
        let text = text.trim_matches('/');
        let segments: Vec<&str> = text.split('/').collect();
        let [subscriptions, id, rest @ ..] = segments.as_slice() else { return Err(NotAScope) };
        if !subscriptions.eq_ignore_ascii_case("subscriptions") || id.len() != 36 {
            return Err(NotAScope);
        }
        let subscription = id.parse().map_err(|_| NotAScope)?;
        if rest.iter().any(|segment| segment.parse::<Name>().is_err()) {
            return Err(NotAScope);
        }
        let provided = |rest: &[&str]| match rest {
            [] => true,
            [providers, ..] => {
                providers.eq_ignore_ascii_case("providers")
                    && rest.len() + 2 >= RESOURCE_SEGMENTS_MIN
                    && rest.len().is_multiple_of(2)
            }
        };
        let fits = match rest {
            [groups, _, rest @ ..] if groups.eq_ignore_ascii_case("resourceGroups") => {
                provided(rest)
            }
            rest => provided(rest),
        };
        if fits { Ok(Scope::new(format!("/{text}"), subscription)) } else { Err(NotAScope) }
    }
}

impl TryFrom<String> for Scope {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Scope, &'static str> {
        text.parse().map_err(|NotAScope| "not a scope")
    }
}

impl From<Scope> for String {
    fn from(scope: Scope) -> String {
        scope.as_str().to_owned()
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl PartialEq for Scope {
    fn eq(&self, other: &Scope) -> bool {
        self.folded == other.folded
    }
}

impl Eq for Scope {}

impl PartialOrd for Scope {
    fn partial_cmp(&self, other: &Scope) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Scope {
    fn cmp(&self, other: &Scope) -> std::cmp::Ordering {
        self.folded.cmp(&other.folded)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SUB: &str = "/subscriptions/6f1a0000-0000-4000-8000-000000000001";

    fn scope(rest: &str) -> Scope {
        format!("{SUB}{rest}").parse().expect("a scope")
    }

    #[test]
    fn a_scope_holds_what_lies_in_it_and_nothing_that_only_begins_alike() {
        for (outer, inner, holds) in [
            ("", "", true),
            ("", "/resourceGroups/rg", true),
            ("/resourceGroups/rg", "", false),
            ("/resourceGroups/rg", "/resourcegroups/RG", true),
            ("/resourceGroups/rg", "/resourceGroups/rg2", false),
            ("/resourceGroups/rg", "/resourceGroups/rg/providers/A.B/c/d", true),
            ("/resourceGroups/rg/providers/A.B/c/d", "/resourceGroups/rg", false),
            (
                "/resourceGroups/rg/providers/A.B/c/d",
                "/resourceGroups/rg/providers/a.b/C/d/e/f",
                true,
            ),
            (
                "/resourceGroups/rg/providers/A.B/c/d",
                "/resourceGroups/rg/providers/A.B/c/d2",
                false,
            ),
        ] {
            assert_eq!(scope(outer).holds(&scope(inner)), holds, "{outer} {inner}");
        }
    }

    #[test]
    fn what_is_no_scope_is_none() {
        for rest in [
            "/resourceGroups",
            "/resourceGroups/",
            "/resourceGroups//",
            "/resourceGroups/rg/",
            "/resourceGroups/rg/providers",
            "/resourceGroups/rg/providers/A.B",
            "/resourceGroups/rg/providers/A.B/c",
            "/resourceGroups/rg/providers/A.B/c/d/e",
            "/resourceGroups/rg/providers//c/d",
            "/resourceGroups/..",
            "/resourceGroups/a%2Fb",
            "/elsewhere/rg",
            "x",
        ] {
            let text = format!("{SUB}{rest}");
            let ends_in_slash = rest == "/resourceGroups/rg/";
            assert_eq!(text.parse::<Scope>().is_ok(), ends_in_slash, "{text}");
        }
        for text in ["", "/", "/subscriptions", "/subscriptions/x", "/providers/A.B/c/d"] {
            assert_eq!(text.parse::<Scope>(), Err(NotAScope), "{text}");
        }
    }

    #[test]
    fn says_what_it_is() {
        assert_eq!(scope("").place(), Place::Subscription);
        assert!(matches!(scope("/resourceGroups/rg").place(), Place::Resource(_)));
        let vm = scope("/resourceGroups/rg/providers/Microsoft.Compute/virtualMachines/web-1");
        assert!(matches!(vm.place(), Place::Resource(_)));
        let policy = "/resourceGroups/rg/providers/Microsoft.Security/locations/l\
                      /jitNetworkAccessPolicies/default";
        assert!(matches!(scope(policy).place(), Place::Policy(_)));
        assert_eq!(scope("/resourceGroups/rg/providers/A.B/c/d").place(), Place::Other);
    }
}
