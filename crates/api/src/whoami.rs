//! Who the caller is, as the server sees them.

use std::net::IpAddr;

use hourgate_core::{
    id::SubscriptionId,
    role::{Caller, OwnAddress},
};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// The caller.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Whoami {
    /// The object id.
    pub id: String,
    /// What they are called.
    pub name: String,
    /// The sign-in name; a service has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_principal_name: Option<String>,
    /// The tenant.
    pub tenant_id: Uuid,
    /// The installation's subscription.
    pub subscription_id: SubscriptionId,
    /// What they may, and where.
    pub roles: Vec<RoleAt>,
    /// The address that the server sees.
    pub address: IpAddr,
    /// Whether that address is the caller's own, so that it goes as the source of a request that names
    /// none: `false` for loopback, a proxy's, the server's or a guard's own.
    pub address_is_own: bool,
}

/// A role at a scope.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RoleAt {
    /// The role's name.
    pub role: String,
    /// The scope, as a path.
    pub scope: String,
}

impl Whoami {
    /// A caller, at an installation.
    pub fn new(caller: &Caller, tenant: Uuid, subscription: SubscriptionId) -> Whoami {
        let roles = caller.rights.all().iter().map(|right| RoleAt {
            role: right.role.said().name.clone(),
            scope: right.assignment.scope.to_string(),
        });
        Whoami {
            id: caller.person.id.0.clone(),
            name: caller.person.name.0.clone(),
            user_principal_name: caller.person.upn.as_ref().map(|upn| upn.0.clone()),
            tenant_id: tenant,
            subscription_id: subscription,
            roles: roles.collect(),
            address: caller.address.seen(),
            address_is_own: match caller.address {
                OwnAddress::Seen(_) => true,
                OwnAddress::Nobodys(_) => false,
            },
        }
    }
}
