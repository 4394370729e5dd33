//! Subscriptions, resource groups and tenants on the wire, as `az login` and `az group` read them.

use hourgate_core::id::{Location, Name, SubscriptionId};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// A subscription.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Subscription {
    /// Its resource id.
    pub id: String,
    /// Its id alone.
    pub subscription_id: SubscriptionId,
    /// Whose it is.
    pub tenant_id: Uuid,
    /// What it is called.
    pub display_name: String,
    /// `Enabled`.
    pub state: String,
}

impl Subscription {
    /// The subscription of an installation.
    pub fn new(subscription: SubscriptionId, tenant: Uuid, name: &str) -> Subscription {
        Subscription {
            id: format!("/subscriptions/{subscription}"),
            subscription_id: subscription,
            tenant_id: tenant,
            display_name: name.to_owned(),
            state: "Enabled".to_owned(),
        }
    }
}

/// A tenant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Tenant {
    /// Its resource id.
    pub id: String,
    /// Its id alone.
    pub tenant_id: Uuid,
    /// What it is called.
    pub display_name: String,
}

impl Tenant {
    /// The tenant of an installation.
    pub fn new(tenant: Uuid, name: &str) -> Tenant {
        let id = format!("/tenants/{tenant}");
        Tenant { id, tenant_id: tenant, display_name: name.to_owned() }
    }
}

/// A resource group.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResourceGroup {
    /// Its resource id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// `Microsoft.Resources/resourceGroups`.
    #[serde(rename = "type")]
    pub resource_type: String,
    /// Where it is.
    pub location: String,
    /// How far it is carried out.
    pub properties: ResourceGroupProperties,
}

/// How far a resource group is carried out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ResourceGroupProperties {
    /// `Succeeded`.
    pub provisioning_state: String,
}

impl ResourceGroup {
    /// A group that exists because a VM is in it; its location is that VM's.
    pub fn new(subscription: SubscriptionId, group: &Name, location: &Location) -> ResourceGroup {
        ResourceGroup {
            id: format!("/subscriptions/{subscription}/resourceGroups/{group}"),
            name: group.to_string(),
            resource_type: "Microsoft.Resources/resourceGroups".to_owned(),
            location: location.to_string(),
            properties: ResourceGroupProperties { provisioning_state: "Succeeded".to_owned() },
        }
    }
}
