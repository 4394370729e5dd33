//! The body of a VM's PUT.

use std::net::IpAddr;

use hourgate_core::{
    command::Command,
    id::{Location, VmId, VmInstance},
    policy::Os,
};

use super::{
    json::{self, Json},
    object::{Object, Problems},
    value,
};
use crate::error::{ArmError, Positions};

/// What clients send back because they read it.
const OVERLOOKED: [&str; 6] = ["id", "name", "type", "etag", "tags", "systemData"];
const PROPERTIES_OVERLOOKED: [&str; 2] = ["vmId", "provisioningState"];

/// A VM to register: all but its id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VmParts {
    /// Where it is.
    pub location: Location,
    /// What it runs.
    pub os: Os,
    /// Its addresses, in the order sent.
    pub addresses: Vec<IpAddr>,
    /// Where each address stands in the body.
    pub positions: Positions,
}

impl VmParts {
    /// The command that registers it.
    pub fn command(&self, id: VmId, instance: VmInstance) -> Command {
        Command::RegisterVm {
            id,
            instance,
            location: self.location.clone(),
            os: self.os,
            addresses: self.addresses.clone(),
        }
    }
}

/// Reads a VM to register.
pub fn vm(body: &[u8]) -> Result<VmParts, ArmError> {
    let json = json::read(body)?;
    let mut problems = Problems::default();
    let parts = parts(json, &mut problems);
    problems.or(parts)
}

fn parts(json: Json, problems: &mut Problems) -> Option<VmParts> {
    let mut object = Object::of(json, "", problems)?;
    let location = object
        .required("location", "the name of a location", problems)
        .and_then(|json| value::location(json, "location", problems));
    let properties = object.required("properties", "an object with 'privateAddresses'", problems);
    object.overlook(&OVERLOOKED);
    object.close(problems);
    let mut properties = Object::of(properties?, "properties", problems)?;
    let addresses = properties.required("privateAddresses", "a list of IP addresses", problems);
    let systems = [("Linux", Os::Linux), ("Windows", Os::Windows)];
    let os = match properties.optional("osType") {
        None => Some(Os::Unknown),
        Some(json) => value::word(json, &properties.path_of("osType"), &systems, problems),
    };
    let path = properties.path_of("privateAddresses");
    properties.overlook(&PROPERTIES_OVERLOOKED);
    properties.close(problems);
    let addresses = value::list(addresses?, &path, "a list of IP addresses", problems)?;
    let addresses: Vec<IpAddr> = addresses
        .into_iter()
        .filter_map(|(path, json)| value::address(json, &path, problems))
        .collect();
    let positions = Positions::of_addresses(&addresses);
    Some(VmParts { location: location?, os: os?, addresses, positions })
}
