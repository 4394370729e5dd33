//! What the commands for all kinds of resources share: which one is meant, and how it is shown.

use clap::Args;
use hourgate_api::paths::Route;
use hourgate_core::{
    id::{Location, Name},
    resource::{Kind, ResourceId},
};
use reqwest::Method;
use serde_json::{Value, json};

use super::super::Session;
use crate::{
    client::Call,
    exit::Failure,
    input::network,
    output::{Answer, Table},
    view::plain,
};

/// Show those there are
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  hourgate network nsg list
  hourgate network nic list -g prod -o json")]
pub(crate) struct Listed {
    /// Only those of this resource group
    #[arg(short = 'g', long = "resource-group", value_name = "GROUP", value_parser = network::name)]
    group: Option<Name>,
}

/// The one of that name
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  hourgate network nsg show -g prod -n web
  hourgate network nic delete -g prod -n web-1")]
pub(crate) struct Named {
    #[command(flatten)]
    group: Group,
    /// What it is called
    #[arg(short = 'n', long = "name", value_parser = network::name)]
    name: Name,
}

/// Where a resource is.
#[derive(Debug, Args)]
pub(super) struct Group {
    /// Its resource group; made with what is made in it, where it is new [default: default]
    #[arg(short = 'g', long = "resource-group", value_name = "GROUP", value_parser = network::name)]
    group: Option<Name>,
}

/// A resource that is made.
#[derive(Debug, Args)]
pub(super) struct Made {
    #[command(flatten)]
    group: Group,
    /// What it is called
    #[arg(short = 'n', long = "name", value_parser = network::name)]
    name: Name,
    /// Where it is [default: local]
    #[arg(short, long, value_parser = network::location)]
    location: Option<Location>,
}

impl Group {
    /// The resource of that kind and name in it.
    pub(super) fn id(
        &self,
        session: &Session,
        kind: Kind,
        name: &Name,
    ) -> Result<ResourceId, Failure> {
        let group = match self.group.clone().or_else(|| session.defaults.group.clone()) {
            Some(group) => group,
            None => network::name("default").map_err(Failure::usage)?,
        };
        let subscription = session.client.profile().subscription_id;
        Ok(ResourceId { subscription, group, kind, name: name.clone() })
    }

    /// What is called by its name, in the same group, or by its resource id.
    pub(super) fn reference(
        &self,
        session: &Session,
        kind: Kind,
        called: &str,
    ) -> Result<Value, Failure> {
        if called.starts_with('/') {
            return Ok(json!({ "id": called }));
        }
        let name = network::name(called).map_err(Failure::usage)?;
        Ok(json!({ "id": self.id(session, kind, &name)?.to_string() }))
    }
}

impl Made {
    /// The group that it is made in.
    pub(super) fn group(&self) -> &Group {
        &self.group
    }

    /// Makes it, or sets it anew.
    pub(super) async fn put(
        &self,
        session: &Session,
        kind: Kind,
        properties: &Value,
    ) -> Result<(), Failure> {
        let location = self.location.clone().or_else(|| session.defaults.location.clone());
        let location = location.map_or_else(|| "local".to_owned(), |l| l.to_string());
        let body = json!({ "location": location, "properties": properties });
        let path = Route::Resource(self.group.id(session, kind, &self.name)?).uri();
        let value = session.client.send(Call::new(Method::PUT, &path).body(&body)).await?.body;
        session.output.show(&Answer::new(value.clone(), table(kind, &[value])))
    }
}

pub(super) async fn list(session: &Session, kind: Kind, args: Listed) -> Result<(), Failure> {
    let subscription = session.client.profile().subscription_id;
    let route = Route::Resources { subscription, group: args.group, kind };
    let found = session.client.list(&route.uri()).await?;
    let table = table(kind, &found);
    session.output.show(&Answer::new(Value::Array(found), table))
}

impl Named {
    /// Reads it.
    pub(super) async fn get(&self, session: &Session, kind: Kind) -> Result<Value, Failure> {
        let path = Route::Resource(self.group.id(session, kind, &self.name)?).uri();
        Ok(session.client.get(&path).await?.body)
    }
}

pub(super) async fn show(session: &Session, kind: Kind, args: Named) -> Result<(), Failure> {
    let value = args.get(session, kind).await?;
    session.output.show(&Answer::new(value.clone(), table(kind, &[value])))
}

pub(super) async fn delete(session: &Session, kind: Kind, args: Named) -> Result<(), Failure> {
    let path = Route::Resource(args.group.id(session, kind, &args.name)?).uri();
    session.client.send(Call::new(Method::DELETE, &path)).await?;
    Ok(())
}

/// The name of a resource, its group, where it is, and what it is about.
fn table(kind: Kind, found: &[Value]) -> Table {
    let about = match kind {
        Kind::VirtualNetworks => "ADDRESS SPACE",
        Kind::NetworkSecurityGroups => "RULES",
        Kind::ApplicationSecurityGroups => "STATE",
        Kind::PublicIpAddresses => "ADDRESS",
        Kind::NetworkInterfaces | Kind::VirtualMachines => "ADDRESSES",
        Kind::ResourceGroups => "STATE",
        Kind::LoadBalancers => "INBOUND NAT RULES",
        Kind::AzureFirewalls => "TIER",
        Kind::FirewallPolicies => "RULE GROUPS",
    };
    let mut table = Table::new(["NAME", "GROUP", "LOCATION", about]);
    for value in found {
        let id: Option<ResourceId> =
            value.get("id").and_then(Value::as_str).and_then(|id| id.parse().ok());
        table.row([
            text(value, "/name"),
            id.map(|id| id.group.to_string()).unwrap_or_default(),
            text(value, "/location"),
            summary(kind, value),
        ]);
    }
    table
}

fn summary(kind: Kind, value: &Value) -> String {
    match kind {
        Kind::VirtualNetworks => text(value, "/properties/addressSpace/addressPrefixes"),
        Kind::NetworkSecurityGroups => {
            let rules = value.pointer("/properties/securityRules").and_then(Value::as_array);
            rules.map_or(0, Vec::len).to_string()
        }
        Kind::ApplicationSecurityGroups | Kind::ResourceGroups => {
            text(value, "/properties/provisioningState")
        }
        Kind::PublicIpAddresses => text(value, "/properties/ipAddress"),
        Kind::NetworkInterfaces => {
            let all = value.pointer("/properties/ipConfigurations").and_then(Value::as_array);
            let addresses =
                all.into_iter().flatten().map(|c| text(c, "/properties/privateIPAddress"));
            addresses.collect::<Vec<_>>().join(", ")
        }
        Kind::VirtualMachines => text(value, "/properties/privateAddresses"),
        Kind::LoadBalancers => {
            let rules = value.pointer("/properties/inboundNatRules").and_then(Value::as_array);
            rules.map_or(0, Vec::len).to_string()
        }
        Kind::AzureFirewalls => text(value, "/properties/sku/tier"),
        Kind::FirewallPolicies => {
            let groups = value.pointer("/properties/ruleCollectionGroups");
            groups.and_then(Value::as_array).map_or(0, Vec::len).to_string()
        }
    }
}

/// What stands there, as a person reads it.
pub(super) fn text(value: &Value, at: &str) -> String {
    value.pointer(at).map(plain).unwrap_or_default()
}
