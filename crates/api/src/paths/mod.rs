//! The one place for URLs: which paths are served, and how clients build them.
//!
//! Words of a path are compared without case, names as Azure compares them.

mod account;
mod filter;
mod page;
mod parse;
mod pim;
mod query;
mod role_query;
mod roles;
mod version;
mod write;

use hourgate_core::{
    id::{Location, Name, PolicyId, RequestId, SubscriptionId},
    resource::{Kind, ResourceId},
    role::Scope,
};
use uuid::Uuid;

use crate::watcher::WatcherId;

pub use account::{AccountRoute, AccountStep, CredentialSort};
pub use page::Page;
pub use parse::PathError;
pub use pim::{ApprovalRoute, Of, PimQuery, PimRoute};
pub use query::{
    GroupQuery, LOCKS, PAGE_DEFAULT, PAGE_MAX, RequestQuery, ResourcePage, StatusFilter, VmPage,
    WAIT_SECONDS_MAX, WHAT_IF, expands, wait_seconds, what_if, with_locks,
};
pub(crate) use query::{all, first};
pub(crate) use role_query::KINDS;
pub use role_query::{AssignmentQuery, DefinitionQuery, PrincipalQuery};
pub use roles::{PrincipalRoute, RoleRoute};
pub use version::{
    APPROVAL_VERSION, AUTHORIZATION_VERSION, COMPUTE_VERSION, JIT_VERSION, METADATA_VERSION,
    NETWORK_VERSION, OWN_VERSION, PRICING_VERSION, RESOURCES_VERSION, check_version,
};
pub(crate) use write::RESERVED;

/// Something that is served.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Route {
    /// JIT policies of a subscription: all, or those of a group, of a location, or of both.
    Policies {
        /// The subscription.
        subscription: SubscriptionId,
        /// Only of this group.
        group: Option<Name>,
        /// Only of this location.
        location: Option<Location>,
    },
    /// One JIT policy.
    Policy(PolicyId),
    /// Ask a policy for access.
    Initiate(PolicyId),
    /// Keep a policy that waits for confirmation.
    Confirm(PolicyId),
    /// Requests of a subscription.
    Requests(SubscriptionId),
    /// One request.
    Request(SubscriptionId, RequestId),
    /// End a request.
    CloseRequest(SubscriptionId, RequestId),
    /// Who the caller is.
    Whoami(Option<SubscriptionId>),
    /// The guards, and what each reports.
    Guards(SubscriptionId),
    /// Why a new connection would reach a machine, or not.
    Explain(SubscriptionId),
    /// What a machine's guard sees of it, and whose rules may stand in the way.
    Outlook(SubscriptionId),
    /// Resources of one kind: a subscription's, or those of one group.
    Resources {
        /// The subscription.
        subscription: SubscriptionId,
        /// Only of this group.
        group: Option<Name>,
        /// The kind.
        kind: Kind,
    },
    /// One resource.
    Resource(ResourceId),
    /// How a machine is.
    InstanceView(ResourceId),
    /// The parts of one kind that a resource has.
    Parts(ResourceId, Parts),
    /// One part of a resource.
    Part(ResourceId, Parts, Name),
    /// The rules that hold for a network interface.
    EffectiveGroups(ResourceId),
    /// Network watchers: a subscription's, or those of one group.
    Watchers {
        /// The subscription.
        subscription: SubscriptionId,
        /// Only of this group.
        group: Option<Name>,
    },
    /// One network watcher.
    Watcher(WatcherId),
    /// Whether a flow would pass.
    VerifyFlow(WatcherId),
    /// What has become of an operation.
    Operation(SubscriptionId, Location, Uuid),
    /// The answer of an operation that is done.
    OperationResult(SubscriptionId, Location, Uuid),
    /// The plans of a subscription.
    Pricings(SubscriptionId),
    /// One plan.
    Pricing(SubscriptionId, Name),
    /// Which machines can have just-in-time access, and why others cannot: a subscription's, or those of one
    /// group.
    Eligibility {
        /// The subscription.
        subscription: SubscriptionId,
        /// Only of this group.
        group: Option<Name>,
    },
    /// Roles at a scope: who was given which, and what they are.
    Roles(Scope, RoleRoute),
    /// Decisions about activated roles: at a scope, or the tenant's where none is named.
    Approvals(Option<Scope>, ApprovalRoute),
    /// People, groups and services.
    Principals(SubscriptionId, PrincipalRoute),
    /// Whether somebody may ask for access to a machine, and what is missing.
    Can(SubscriptionId),
    /// The subscriptions that the caller sees.
    Subscriptions,
    /// One subscription.
    Subscription(SubscriptionId),
    /// Its resource groups.
    Groups(SubscriptionId),
    /// One resource group.
    Group(SubscriptionId, Name),
    /// The tenants that the caller belongs to.
    Tenants,
    /// Where everything is, for `az cloud register`.
    MetadataEndpoints,
    /// Tokens of a tenant, named by id or by a word such as `organizations`.
    Token(String),
    /// A tenant's OpenID configuration.
    Discovery(String),
    /// The keys that sign a tenant's tokens.
    Keys(String),
    /// Where a device's code is, for a tenant.
    DeviceCode(String),
    /// Where a browser brings somebody who lets a client sign in as them, for a tenant.
    Authorize(String),
    /// Where a client ends its session, for a tenant.
    Revoke(String),
    /// A page.
    Page(Page),
    /// Sessions: the caller's, or everybody's.
    Sessions(SubscriptionId),
    /// End a session.
    RevokeSession(SubscriptionId, Uuid),
    /// Local accounts and service accounts.
    Account(SubscriptionId, AccountRoute),
    /// Whether the server is up, and nothing more.
    Healthz,
    /// Whether it is ready, and what it still waits for.
    Readyz,
}

/// Parts of resources that have routes of their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Parts {
    /// A virtual network's.
    Subnets,
    /// A security group's.
    SecurityRules,
    /// A security group's six.
    DefaultSecurityRules,
    /// A firewall policy's.
    RuleCollectionGroups,
    /// A load balancer's.
    InboundNatRules,
    /// A virtual network's: what joins it to others.
    VirtualNetworkPeerings,
}

impl Parts {
    /// Every one.
    pub const ALL: [Parts; 6] = [
        Parts::Subnets,
        Parts::SecurityRules,
        Parts::DefaultSecurityRules,
        Parts::RuleCollectionGroups,
        Parts::InboundNatRules,
        Parts::VirtualNetworkPeerings,
    ];

    /// As a segment of a path.
    pub const fn as_str(self) -> &'static str {
        match self {
            Parts::Subnets => "subnets",
            Parts::SecurityRules => "securityRules",
            Parts::DefaultSecurityRules => "defaultSecurityRules",
            Parts::RuleCollectionGroups => "ruleCollectionGroups",
            Parts::InboundNatRules => "inboundNatRules",
            Parts::VirtualNetworkPeerings => "virtualNetworkPeerings",
        }
    }

    /// The kind of resource that has them.
    pub const fn of(self) -> Kind {
        match self {
            Parts::Subnets | Parts::VirtualNetworkPeerings => Kind::VirtualNetworks,
            Parts::SecurityRules | Parts::DefaultSecurityRules => Kind::NetworkSecurityGroups,
            Parts::RuleCollectionGroups => Kind::FirewallPolicies,
            Parts::InboundNatRules => Kind::LoadBalancers,
        }
    }
}

impl Route {
    /// What is served at a path (without its query). Percent-encoding is undone segment by segment, so an
    /// encoded slash never makes another path.
    pub fn parse(path: &str) -> Result<Route, PathError> {
        parse::route(path)
    }

    /// The methods it is served with.
    pub fn methods(&self) -> &'static [&'static str] {
        match self {
            Route::Policy(_)
            | Route::Part(
                _,
                Parts::Subnets
                | Parts::SecurityRules
                | Parts::RuleCollectionGroups
                | Parts::InboundNatRules
                | Parts::VirtualNetworkPeerings,
                _,
            ) => &["GET", "PUT", "DELETE"],
            Route::Resource(_) => &["GET", "PUT", "PATCH", "DELETE"],
            Route::Pricing(..) => &["GET", "PUT"],
            Route::Roles(_, what) => what.methods(),
            Route::Approvals(_, what) => what.methods(),
            Route::Principals(_, what) => what.methods(),
            // `az group exists` asks with HEAD.
            Route::Group(..) => &["GET", "HEAD", "PUT", "PATCH", "DELETE"],
            Route::Initiate(_)
            | Route::Confirm(_)
            | Route::CloseRequest(..)
            | Route::EffectiveGroups(_)
            | Route::VerifyFlow(_)
            | Route::RevokeSession(..)
            | Route::DeviceCode(_)
            | Route::Revoke(_)
            | Route::Token(_) => &["POST"],
            Route::Authorize(_) => &["GET", "POST"],
            Route::Page(page) => page.methods(),
            Route::Account(_, account) => account.methods(),
            Route::Resources { .. }
            | Route::Parts(..)
            | Route::Part(_, Parts::DefaultSecurityRules, _)
            | Route::Watchers { .. }
            | Route::Watcher(_)
            | Route::Operation(..)
            | Route::OperationResult(..)
            | Route::Policies { .. }
            | Route::Requests(_)
            | Route::Request(..)
            | Route::Whoami(_)
            | Route::Guards(_)
            | Route::Explain(_)
            | Route::InstanceView(_)
            | Route::Outlook(_)
            | Route::Pricings(_)
            | Route::Eligibility { .. }
            | Route::Can(_)
            | Route::Subscriptions
            | Route::Subscription(_)
            | Route::Groups(_)
            | Route::Tenants
            | Route::MetadataEndpoints
            | Route::Discovery(_)
            | Route::Sessions(_)
            | Route::Keys(_) => &["GET"],
            // Load balancers ask with HEAD.
            Route::Healthz | Route::Readyz => &["GET", "HEAD"],
        }
    }

    /// Whether it is served with that method; 405 if not.
    pub fn allows(&self, method: &str) -> bool {
        self.methods().contains(&method)
    }

    /// Whether it is served without a token: what a client must read before it can have one, and whether
    /// the server is up.
    pub fn is_open(&self) -> bool {
        match self {
            Route::MetadataEndpoints
            | Route::Token(_)
            | Route::Discovery(_)
            | Route::Keys(_)
            | Route::DeviceCode(_)
            | Route::Authorize(_)
            | Route::Revoke(_)
            | Route::Page(_)
            | Route::Healthz
            | Route::Readyz => true,
            Route::Policies { .. }
            | Route::Policy(_)
            | Route::Initiate(_)
            | Route::Confirm(_)
            | Route::Requests(_)
            | Route::Request(..)
            | Route::CloseRequest(..)
            | Route::Whoami(_)
            | Route::Guards(_)
            | Route::Explain(_)
            | Route::Outlook(_)
            | Route::Resources { .. }
            | Route::Resource(_)
            | Route::InstanceView(_)
            | Route::Parts(..)
            | Route::Part(..)
            | Route::EffectiveGroups(_)
            | Route::Watchers { .. }
            | Route::Watcher(_)
            | Route::VerifyFlow(_)
            | Route::Operation(..)
            | Route::OperationResult(..)
            | Route::Pricings(_)
            | Route::Pricing(..)
            | Route::Eligibility { .. }
            | Route::Roles(..)
            | Route::Approvals(..)
            | Route::Principals(..)
            | Route::Can(_)
            | Route::Subscriptions
            | Route::Subscription(_)
            | Route::Groups(_)
            | Route::Group(..)
            | Route::Sessions(_)
            | Route::RevokeSession(..)
            | Route::Account(..)
            | Route::Tenants => false,
        }
    }

    /// The subscription it is about; none where it is about none.
    pub fn subscription(&self) -> Option<SubscriptionId> {
        match self {
            Route::Policies { subscription, .. }
            | Route::Requests(subscription)
            | Route::Request(subscription, _)
            | Route::CloseRequest(subscription, _)
            | Route::Guards(subscription)
            | Route::Explain(subscription)
            | Route::Outlook(subscription)
            | Route::Resources { subscription, .. }
            | Route::Watchers { subscription, .. }
            | Route::Operation(subscription, ..)
            | Route::OperationResult(subscription, ..)
            | Route::Pricings(subscription)
            | Route::Pricing(subscription, _)
            | Route::Eligibility { subscription, .. }
            | Route::Principals(subscription, _)
            | Route::Can(subscription)
            | Route::Subscription(subscription)
            | Route::Groups(subscription)
            | Route::Sessions(subscription)
            | Route::RevokeSession(subscription, _)
            | Route::Account(subscription, _)
            | Route::Group(subscription, _) => Some(*subscription),
            Route::Policy(policy) | Route::Initiate(policy) | Route::Confirm(policy) => {
                Some(policy.subscription)
            }
            Route::Resource(id)
            | Route::InstanceView(id)
            | Route::Parts(id, _)
            | Route::Part(id, ..)
            | Route::EffectiveGroups(id) => Some(id.subscription),
            Route::Watcher(id) | Route::VerifyFlow(id) => Some(id.subscription),
            Route::Roles(scope, _) => Some(scope.of_subscription()),
            Route::Approvals(scope, _) => scope.as_ref().map(Scope::of_subscription),
            Route::Whoami(subscription) => *subscription,
            Route::Subscriptions
            | Route::Tenants
            | Route::MetadataEndpoints
            | Route::Token(_)
            | Route::Discovery(_)
            | Route::Keys(_)
            | Route::DeviceCode(_)
            | Route::Authorize(_)
            | Route::Revoke(_)
            | Route::Page(_)
            | Route::Healthz
            | Route::Readyz => None,
        }
    }

    /// The api-version that our own clients send to it; none where none is needed. The server needs one
    /// exactly where this is some, and takes any date.
    pub fn version(&self) -> Option<&'static str> {
        match self {
            Route::Policies { .. } | Route::Policy(_) | Route::Initiate(_) | Route::Confirm(_) => {
                Some(JIT_VERSION)
            }
            Route::Requests(_)
            | Route::Request(..)
            | Route::CloseRequest(..)
            | Route::Whoami(_)
            | Route::Guards(_)
            | Route::Explain(_)
            | Route::Sessions(_)
            | Route::RevokeSession(..)
            | Route::Account(..)
            | Route::Principals(..)
            | Route::Can(_)
            | Route::Eligibility { .. } => Some(OWN_VERSION),
            Route::Roles(..) => Some(AUTHORIZATION_VERSION),
            Route::Approvals(..) => Some(APPROVAL_VERSION),
            Route::Pricings(_) | Route::Pricing(..) => Some(PRICING_VERSION),
            Route::Resources { kind, .. } | Route::Resource(ResourceId { kind, .. }) => {
                Some(version::of(*kind))
            }
            Route::InstanceView(_) => Some(COMPUTE_VERSION),
            Route::Parts(..) | Route::Outlook(_) => Some(OWN_VERSION),
            Route::Part(..)
            | Route::EffectiveGroups(_)
            | Route::Watchers { .. }
            | Route::Watcher(_)
            | Route::VerifyFlow(_)
            | Route::Operation(..)
            | Route::OperationResult(..) => Some(NETWORK_VERSION),
            Route::Subscriptions
            | Route::Subscription(_)
            | Route::Groups(_)
            | Route::Group(..)
            | Route::Tenants => Some(RESOURCES_VERSION),
            Route::MetadataEndpoints
            | Route::Token(_)
            | Route::Discovery(_)
            | Route::Keys(_)
            | Route::DeviceCode(_)
            | Route::Authorize(_)
            | Route::Revoke(_)
            | Route::Page(_)
            | Route::Healthz
            | Route::Readyz => None,
        }
    }
}
