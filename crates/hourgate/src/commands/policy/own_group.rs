//! `protect --create-nsg`: a security group for machines before which none stands, so that a lock has a place.

use std::net::IpAddr;

use hourgate_api::paths::Route;
use hourgate_core::resource::{
    Kind, ResourceId,
    virtual_machine::{ALLOW_ALL_IN, ALLOW_ALL_OUT},
};
use reqwest::Method;
use serde_json::{Value, json};

use super::Session;
use crate::{client::Call, exit::Failure, view::Vm};

/// A group that is made for an interface.
pub(super) struct OwnGroup {
    /// The machine whose address the interface has.
    pub(super) vm: Vm,
    /// The interface, as it stands.
    nic: Value,
    nic_id: ResourceId,
    /// The group.
    pub(super) group: ResourceId,
}

/// The groups that are to be made: one for each interface of these machines that has none and whose subnet has
/// none.
pub(super) async fn missing(session: &Session, vms: &[Vm]) -> Result<Vec<OwnGroup>, Failure> {
    let subscription = session.client.profile().subscription_id;
    let kind = Kind::NetworkInterfaces;
    let route = Route::Resources { subscription, group: None, kind };
    let mut missing = Vec::new();
    for nic in session.client.list(&route.uri()).await? {
        let Some(vm) = vms.iter().find(|vm| has(&nic, &vm.addresses)) else { continue };
        let nic_id = nic["id"].as_str().and_then(|id| id.parse::<ResourceId>().ok());
        let Some(nic_id) = nic_id else { continue };
        if has_group(&nic["properties"]) || subnet_has_group(session, &nic).await? {
            continue;
        }
        let name = format!("{}-nsg", nic_id.name).parse().map_err(|_| {
            Failure::usage(format!(
                "No security group can be named after the interface {}.",
                nic_id.name
            ))
        })?;
        let group = ResourceId { kind: Kind::NetworkSecurityGroups, name, ..nic_id.clone() };
        missing.push(OwnGroup { vm: vm.clone(), nic, nic_id, group });
    }
    Ok(missing)
}

impl OwnGroup {
    /// What would be done.
    pub(super) fn told(&self) -> String {
        format!(
            "No security group stands before {}: {} would be made, ending in {ALLOW_ALL_IN}, and joined to the \
             interface {}.",
            self.vm.id.name, self.group.name, self.nic_id.name
        )
    }

    /// What was done.
    pub(super) fn done(&self) -> String {
        format!(
            "No security group stood before {}: {} was made, ending in {ALLOW_ALL_IN}, and joined to the \
             interface {}.",
            self.vm.id.name, self.group.name, self.nic_id.name
        )
    }

    /// Makes the group and joins it. Its last rules let everything through, so that nothing but what JIT does
    /// to its ports changes.
    pub(super) async fn make(self, session: &Session) -> Result<(), Failure> {
        let rule = |name: &str, direction: &str| {
            json!({"name": name, "properties": {
                "priority": 4096, "direction": direction, "access": "Allow", "protocol": "*",
                "sourceAddressPrefix": "*", "sourcePortRange": "*",
                "destinationAddressPrefix": "*", "destinationPortRange": "*",
            }})
        };
        let rules = json!([rule(ALLOW_ALL_IN, "Inbound"), rule(ALLOW_ALL_OUT, "Outbound"),]);
        let location = self.nic["location"].as_str().unwrap_or("local");
        let group = json!({ "location": location, "properties": { "securityRules": rules } });
        let path = Route::Resource(self.group.clone()).uri();
        let call = Call::new(Method::PUT, &path).body(&group);
        // One of that name that is there already is somebody's.
        let made = call.header(hourgate_api::headers::IF_NONE_MATCH, "*");
        session.client.send(made).await?;
        let mut nic = self.nic;
        nic["properties"]["networkSecurityGroup"] = json!({ "id": self.group.to_string() });
        let path = Route::Resource(self.nic_id).uri();
        session.client.send(Call::new(Method::PUT, &path).body(&nic)).await?;
        Ok(())
    }
}

fn has(nic: &Value, addresses: &[IpAddr]) -> bool {
    let configurations = nic.pointer("/properties/ipConfigurations").and_then(Value::as_array);
    configurations.into_iter().flatten().any(|configuration| {
        let address = configuration.pointer("/properties/privateIPAddress").and_then(Value::as_str);
        let address = address.and_then(|text| text.parse::<IpAddr>().ok());
        address.is_some_and(|address| addresses.contains(&address))
    })
}

fn has_group(properties: &Value) -> bool {
    properties.pointer("/networkSecurityGroup/id").is_some()
}

async fn subnet_has_group(session: &Session, nic: &Value) -> Result<bool, Failure> {
    let configurations = nic.pointer("/properties/ipConfigurations").and_then(Value::as_array);
    for configuration in configurations.into_iter().flatten() {
        let id = configuration.pointer("/properties/subnet/id").and_then(Value::as_str);
        if let Some(id) = id {
            let path = format!("{id}?api-version={}", hourgate_api::paths::NETWORK_VERSION);
            if has_group(&session.client.get(&path).await?.body["properties"]) {
                return Ok(true);
            }
        }
    }
    Ok(false)
}
