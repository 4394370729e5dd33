//! Where everything is, as `az cloud register --endpoint-resource-manager` reads it: one object with every
//! field, since az stumbles over those that are missing.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// The endpoints of a cloud.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Endpoints {
    /// What the cloud is called.
    pub name: String,
    /// Where one signs in.
    pub authentication: Authentication,
    /// Where resources are.
    pub resource_manager: String,
    /// Where the portal is.
    pub portal: String,
    /// Nothing is served there; az wants a URL.
    pub graph: String,
    /// The same.
    pub graph_audience: String,
    /// The same.
    pub microsoft_graph_resource_id: String,
    /// The same.
    pub media: String,
    /// The same.
    pub batch: String,
    /// The same.
    pub sql_management: String,
    /// The same.
    pub gallery: String,
    /// The same.
    pub vm_image_alias_doc: String,
    /// The same.
    pub active_directory_data_lake: String,
    /// The same.
    pub log_analytics_resource_id: String,
    /// The same.
    pub app_insights_resource_id: String,
    /// Ends of host names that az puts together; none is served.
    pub suffixes: Suffixes,
}

/// Where one signs in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Authentication {
    /// The authority.
    pub login_endpoint: String,
    /// What tokens are for.
    pub audiences: Vec<String>,
    /// The tenant.
    pub tenant: String,
    /// `AAD`: the paths are Entra ID's.
    pub identity_provider: String,
}

/// Ends of host names.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Suffixes {
    /// Of storage accounts.
    pub storage: String,
    /// Of key vaults.
    pub key_vault_dns: String,
    /// Of container registries.
    pub acr_login_server: String,
    /// Of SQL servers.
    pub sql_server_hostname: String,
}

impl Endpoints {
    /// Of an installation behind a public URL.
    pub fn new(public_url: &str, tenant: Uuid) -> Endpoints {
        let base = public_url.trim_end_matches('/').to_owned();
        let host = base.split_once("://").map_or(base.as_str(), |(_, host)| host);
        let host = host.rsplit_once(':').map_or(host, |(host, _)| host);
        let suffix = |service: &str| format!("{service}.{host}");
        Endpoints {
            name: "Hourgate".to_owned(),
            authentication: Authentication {
                login_endpoint: base.clone(),
                audiences: vec![base.clone()],
                tenant: tenant.to_string(),
                identity_provider: "AAD".to_owned(),
            },
            resource_manager: base.clone(),
            portal: base.clone(),
            graph: base.clone(),
            graph_audience: base.clone(),
            microsoft_graph_resource_id: base.clone(),
            media: base.clone(),
            batch: base.clone(),
            sql_management: base.clone(),
            gallery: base.clone(),
            vm_image_alias_doc: format!("{base}/aliases.json"),
            active_directory_data_lake: base.clone(),
            log_analytics_resource_id: base.clone(),
            app_insights_resource_id: base.clone(),
            suffixes: Suffixes {
                storage: suffix("storage"),
                key_vault_dns: suffix("vault"),
                acr_login_server: suffix("registry"),
                sql_server_hostname: suffix("database"),
            },
        }
    }
}
