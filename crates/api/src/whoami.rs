//! Who the caller is, as the server sees them.

use std::net::IpAddr;

use hourgate_core::{
    id::SubscriptionId,
    role::{Caller, OwnAddress, principal::PrincipalId},
    time::Timestamp,
};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::time::{IsoDuration, UtcTime};

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
    /// The roles that they may activate, and have not.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub eligible_roles: Vec<RoleAt>,
    /// The groups that they are in, by their issuer's last word.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub groups: Vec<GroupSeen>,
    /// When that was said; absent if nothing was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub groups_known_on: Option<UtcTime>,
    /// How long it holds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub groups_hold: Option<IsoDuration>,
    /// Whether it holds now: if not, roles of groups are not among those above. Absent for who is in none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub groups_count: Option<bool>,
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
    /// The group that it was given to; absent where it was given to the caller.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub through: Option<PrincipalId>,
    /// Until when; for good if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<UtcTime>,
}

/// A group.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GroupSeen {
    /// Its object id.
    pub id: PrincipalId,
    /// What it is called, where that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}

/// The groups of a caller, and what their issuer's word about them is worth.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupsSeen {
    /// The groups.
    pub groups: Vec<GroupSeen>,
    /// When they were said.
    pub at: Option<Timestamp>,
    /// How long that holds.
    pub hold: std::time::Duration,
    /// Whether it holds now.
    pub count: bool,
}

impl Whoami {
    /// A caller, at an installation; their groups, if they are in some, and what they may activate.
    pub fn new(
        caller: &Caller,
        (groups, eligible_roles): (Option<GroupsSeen>, Vec<RoleAt>),
        tenant: Uuid,
        subscription: SubscriptionId,
    ) -> Whoami {
        let own = caller.person.id.principal();
        let roles = caller.rights.all().iter().map(|right| RoleAt {
            role: right.role.said().name.clone(),
            scope: right.assignment.scope.to_string(),
            through: Some(right.assignment.principal).filter(|holder| own != Some(*holder)),
            until: right.assignment.until.map(|until| UtcTime(until.wall)),
        });
        Whoami {
            id: caller.person.id.0.clone(),
            name: caller.person.name.0.clone(),
            user_principal_name: caller.person.upn.as_ref().map(|upn| upn.0.clone()),
            tenant_id: tenant,
            subscription_id: subscription,
            roles: roles.collect(),
            eligible_roles,
            groups_known_on: groups.as_ref().and_then(|seen| seen.at).map(UtcTime),
            groups_hold: groups.as_ref().map(|seen| IsoDuration(seen.hold)),
            groups_count: groups.as_ref().map(|seen| seen.count),
            groups: groups.map(|seen| seen.groups).unwrap_or_default(),
            address: caller.address.seen(),
            address_is_own: match caller.address {
                OwnAddress::Seen(_) => true,
                OwnAddress::Nobodys(_) => false,
            },
        }
    }
}
