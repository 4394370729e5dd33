//! What can be brought: what it is called, and where it is served.

use std::fmt;

use hourgate_api::{
    body::PartChange,
    error::ArmError,
    paths::{Parts, Route},
};
use hourgate_core::{
    id::{Location, Name, PolicyId, SubscriptionId},
    resource::{Kind, ResourceId, SubnetId},
};
use serde_json::Value;

/// The type of JIT policies, as Azure writes it.
pub(crate) const POLICY_TYPE: &str = "Microsoft.Security/locations/jitNetworkAccessPolicies";
/// The provider of classic machines.
const CLASSIC: &str = "Microsoft.ClassicCompute/";
/// How many segments the id of a resource has that is part of no other.
const WHOLE_SEGMENTS: usize = 8;

/// Something that can be brought.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Thing {
    /// A resource, machines among them.
    Resource(ResourceId),
    /// A part of one that the file does not hold as a whole.
    Part(ResourceId, PartKind, Name),
    /// A JIT policy.
    Policy(PolicyId),
}

/// Parts that have routes of their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum PartKind {
    /// A subnet of a network.
    Subnet,
    /// A rule of a security group.
    Rule,
    /// What joins a network to another.
    Peering,
    /// A port of a load balancer that leads to one machine.
    NatRule,
    /// A group of rules of a firewall's policy: the policy itself does not list what is in it.
    RuleGroup,
}

/// Where what a file names without saying so belongs.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    /// The server's subscription.
    pub(crate) subscription: SubscriptionId,
    /// The resource group.
    pub(crate) group: Name,
    /// The location.
    pub(crate) location: Location,
}

/// Something that a file wants to be so.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Wanted {
    /// What.
    pub(crate) thing: Thing,
    /// As it is sent.
    pub(crate) body: Value,
    /// What must be there before it, as the file says beside what the body refers to.
    pub(crate) after: Vec<Thing>,
}

/// Something in a file that is not brought.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Skipped {
    /// Its type, as the file writes it.
    pub(crate) kind: String,
    /// Its name, as far as it can be read.
    pub(crate) name: String,
    /// Why.
    pub(crate) why: String,
}

/// What a file holds.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Brought {
    /// What is brought, in the file's order.
    pub(crate) wanted: Vec<Wanted>,
    /// What is not.
    pub(crate) skipped: Vec<Skipped>,
}

/// What a type and its names stand for.
pub(crate) enum Known {
    /// A thing by itself.
    Whole(Thing),
    /// A part of a resource that the resource lists itself.
    Part(ResourceId, PartKind, Name),
    /// Nothing that is kept here, and why.
    No(String),
}

/// What a type with its names is; the names are a path's, one for each segment behind the provider.
pub(crate) fn known(
    kind: &str,
    names: &[&str],
    (subscription, group): (SubscriptionId, &Name),
) -> Result<Known, String> {
    let (provider, segments) = kind.split_once('/').unwrap_or((kind, ""));
    let segments: Vec<&str> = segments.split('/').collect();
    if kind.get(..CLASSIC.len()).is_some_and(|head| head.eq_ignore_ascii_case(CLASSIC)) {
        return Ok(Known::No("a classic machine cannot have just-in-time access".to_owned()));
    }
    let resource = Kind::ALL.into_iter().find(|known| {
        known.type_name().eq_ignore_ascii_case(&format!("{provider}/{}", segments[0]))
    });
    let policy = kind.eq_ignore_ascii_case(POLICY_TYPE);
    if resource.is_none() && !policy {
        let why = if kind.eq_ignore_ascii_case("Microsoft.Resources/deployments") {
            "it is a deployment within the template: export its own template, and import that"
        } else {
            "resources of this type are not kept here"
        };
        return Ok(Known::No(why.to_owned()));
    }
    if names.len() != segments.len() {
        return Err(format!(
            "the type has {} segments behind its provider, and the name has {}",
            segments.len(),
            names.len()
        ));
    }
    let name = |index: usize| -> Result<Name, String> {
        let text: &str = names.get(index).copied().unwrap_or_default();
        text.parse().map_err(|_| format!("`{text}` is no name that a resource can have here"))
    };
    if policy {
        let location = names.first().copied().unwrap_or_default();
        let location =
            location.parse().map_err(|_| format!("`{location}` is no name of a location"))?;
        let policy = PolicyId { subscription, group: group.clone(), location, name: name(1)? };
        return Ok(Known::Whole(Thing::Policy(policy)));
    }
    let Some(kind) = resource else { return Ok(Known::No(String::new())) };
    let id = ResourceId { subscription, group: group.clone(), kind, name: name(0)? };
    let Some(part) = segments.get(1) else { return Ok(Known::Whole(Thing::Resource(id))) };
    let parts = PartKind::ALL.into_iter();
    let mut parts = parts.filter(|known| known.parts().of() == kind && segments.len() == 2);
    Ok(match parts.find(|known| known.list().eq_ignore_ascii_case(part)) {
        Some(PartKind::RuleGroup) => Known::Whole(Thing::Part(id, PartKind::RuleGroup, name(1)?)),
        Some(known) => Known::Part(id, known, name(1)?),
        None if part.eq_ignore_ascii_case("defaultSecurityRules") => {
            Known::No("every security group has the default rules by itself".to_owned())
        }
        None => Known::No("resources of this type are not kept here".to_owned()),
    })
}

impl Thing {
    /// What an id names, and the subnet where it names one; nothing where it is of nothing that is kept here.
    /// What is part of a resource stands and falls with it, so its id names that.
    pub(crate) fn of_id(text: &str) -> Option<(Thing, Option<Name>)> {
        if let Ok(subnet) = text.parse::<SubnetId>() {
            return Some((Thing::Resource(subnet.network), Some(subnet.name)));
        }
        if let Ok(policy) = text.parse::<PolicyId>() {
            return Some((Thing::Policy(policy), None));
        }
        let of_whole = || text.match_indices('/').nth(WHOLE_SEGMENTS).map(|(end, _)| &text[..end]);
        let whole = text.parse().ok().or_else(|| of_whole()?.parse().ok());
        whole.map(|id| (Thing::Resource(id), None))
    }

    /// A subnet of a network, as a part of it.
    pub(crate) fn of_subnet(network: &Thing, name: Name) -> Option<Thing> {
        match network {
            Thing::Resource(id) => Some(Thing::Part(id.clone(), PartKind::Subnet, name)),
            Thing::Part(..) | Thing::Policy(_) => None,
        }
    }

    /// Where it is served.
    pub(crate) fn route(&self) -> Route {
        match self {
            Thing::Resource(id) => Route::Resource(id.clone()),
            Thing::Part(id, kind, name) => Route::Part(id.clone(), kind.parts(), name.clone()),
            Thing::Policy(id) => Route::Policy(id.clone()),
        }
    }

    /// Its type, as Azure writes it.
    pub(crate) fn type_name(&self) -> String {
        match self {
            Thing::Resource(id) => id.kind.type_name().to_owned(),
            Thing::Part(id, kind, _) => {
                format!("{}/{}", id.kind.type_name(), kind.parts().as_str())
            }
            Thing::Policy(_) => POLICY_TYPE.to_owned(),
        }
    }

    /// Its resource group.
    pub(crate) fn group(&self) -> &Name {
        match self {
            Thing::Resource(id) | Thing::Part(id, ..) => &id.group,
            Thing::Policy(id) => &id.group,
        }
    }

    /// Its name, behind that of what it is part of.
    pub(crate) fn name(&self) -> String {
        match self {
            Thing::Resource(id) => id.name.to_string(),
            Thing::Part(id, _, name) => format!("{}/{name}", id.name),
            Thing::Policy(id) => format!("{}/{}", id.location, id.name),
        }
    }

    /// Whether it is a virtual network.
    pub(crate) fn is_network(&self) -> bool {
        matches!(self, Thing::Resource(id) if id.kind == Kind::VirtualNetworks)
    }
}

impl PartKind {
    const ALL: [PartKind; 5] = [
        PartKind::Subnet,
        PartKind::Rule,
        PartKind::Peering,
        PartKind::NatRule,
        PartKind::RuleGroup,
    ];

    /// As the server calls them.
    pub(crate) fn parts(self) -> Parts {
        match self {
            PartKind::Subnet => Parts::Subnets,
            PartKind::Rule => Parts::SecurityRules,
            PartKind::Peering => Parts::VirtualNetworkPeerings,
            PartKind::NatRule => Parts::InboundNatRules,
            PartKind::RuleGroup => Parts::RuleCollectionGroups,
        }
    }

    /// The property of the whole that lists it.
    pub(crate) fn list(self) -> &'static str {
        self.parts().as_str()
    }

    /// Whether the server can read one.
    pub(crate) fn read(self, body: &[u8], name: &Name) -> Result<(), ArmError> {
        match self {
            PartKind::Subnet => PartChange::subnet(body, name.clone()).map(drop),
            PartKind::Rule => PartChange::rule(body, name.clone()).map(drop),
            PartKind::Peering => PartChange::peering(body, name.clone()).map(drop),
            PartKind::NatRule => PartChange::nat_rule(body, name.clone()).map(drop),
            PartKind::RuleGroup => PartChange::rule_group(body, name.clone()).map(drop),
        }
    }
}

impl fmt::Display for Thing {
    /// Its resource id.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.route().fmt(f)
    }
}
