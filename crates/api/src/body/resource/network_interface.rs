//! Network interfaces.

use hourgate_core::{
    network::Family,
    nsg::id::GroupId,
    resource::{
        network_interface::{IpConfigurationDraft, NetworkInterfaceDraft, Wanted},
        public_ip::Allocation,
    },
};

use super::{
    super::{
        json::Json,
        object::{Object, Problems},
        value::{address, flag, list, word},
    },
    Document, OVERLOOKED, Part,
    public_ip::{ALLOCATIONS, FAMILIES},
    value::{name, reference, references, resource_name},
};
use crate::text::quoted;

/// What only the server says of an interface.
const NIC_OVERLOOKED: [&str; 6] = [
    "macAddress",
    "virtualMachine",
    "primary",
    "hostedWorkloads",
    "vnetEncryptionSupported",
    "defaultOutboundConnectivityEnabled",
];

pub(super) fn read(
    properties: &mut Object,
    document: &mut Document,
    problems: &mut Problems,
) -> Option<NetworkInterfaceDraft> {
    properties.overlook(&NIC_OVERLOOKED);
    let group = properties.optional("networkSecurityGroup").map_or(Some(None), |json| {
        let path = properties.path_of("networkSecurityGroup");
        reference::<GroupId>(json, &path, "a network security group", problems).map(Some)
    });
    let needed = "a list of IP configurations";
    let sent = properties.required("ipConfigurations", needed, problems);
    let items = list(sent?, &properties.path_of("ipConfigurations"), needed, problems)?;
    let count = items.len();
    let mut configurations = Vec::with_capacity(count.min(256));
    for (path, json) in items {
        if let Some((configuration, part)) = configuration(json, &path, problems) {
            document.set_part(configuration.name.as_str(), part);
            configurations.push(configuration);
        }
    }
    let whole = configurations.len() == count;
    Some(NetworkInterfaceDraft { security_group: group?, configurations }).filter(|_| whole)
}

fn configuration(
    json: Json,
    path: &str,
    problems: &mut Problems,
) -> Option<(IpConfigurationDraft, Part)> {
    let mut object = Object::of(json, path, problems)?;
    let name = name(&mut object, problems)
        .and_then(|sent| resource_name(&sent, &object.path_of("name"), problems));
    let properties = object.required("properties", "an IP configuration's properties", problems);
    let path = object.path_of("properties");
    object.overlook(&OVERLOOKED);
    let mut part = Part { top: object.rest(), ..Part::default() };
    let mut properties = Object::of(properties?, &path, problems)?;
    properties.overlook(&["provisioningState", "privateLinkConnectionProperties"]);
    let wanted = wanted(&mut properties, problems);
    let subnet = properties.optional("subnet").map_or(Some(None), |json| {
        reference(json, &properties.path_of("subnet"), "a subnet", problems).map(Some)
    });
    let public = properties.optional("publicIPAddress").map_or(Some(None), |json| {
        let path = properties.path_of("publicIPAddress");
        reference(json, &path, "a public IP address", problems).map(Some)
    });
    let groups = properties.optional("applicationSecurityGroups");
    let path = properties.path_of("applicationSecurityGroups");
    let asgs = references(groups, &path, "an application security group", problems);
    let rules = properties.optional("loadBalancerInboundNatRules");
    let path = properties.path_of("loadBalancerInboundNatRules");
    let rules = references(rules, &path, "an inbound NAT rule", problems);
    let primary = match properties.optional("primary") {
        None => Some(false),
        Some(json) => flag(json, &properties.path_of("primary"), problems),
    };
    part.properties.extend(properties.rest());
    let configuration = IpConfigurationDraft {
        name: name?,
        wanted: wanted?,
        subnet: subnet?,
        public_address: public?,
        asgs: asgs?,
        nat_rules: rules?,
        primary: primary?,
    };
    Some((configuration, part))
}

/// Which address: the one that is named, if it is to be static. An address beside `Dynamic` was read here.
fn wanted(properties: &mut Object, problems: &mut Problems) -> Option<Wanted> {
    let sent = properties.optional("privateIPAddress");
    let allocation = match properties.optional("privateIPAllocationMethod") {
        None => Some(Allocation::Dynamic),
        Some(json) => {
            let path = properties.path_of("privateIPAllocationMethod");
            word(json, &path, &ALLOCATIONS, problems)
        }
    };
    let family = properties.optional("privateIPAddressVersion").map_or(Some(None), |json| {
        let path = properties.path_of("privateIPAddressVersion");
        word(json, &path, &FAMILIES, problems).map(Some)
    });
    let path = properties.path_of("privateIPAddress");
    match (allocation?, sent) {
        (Allocation::Dynamic, _) => Some(Wanted::Dynamic(family?.unwrap_or(Family::V4))),
        (Allocation::Static, None) => {
            problems.form(
                &path,
                "'privateIPAddress' is missing: a static address is needed.".to_owned(),
            );
            None
        }
        (Allocation::Static, Some(json)) => {
            let address = address(json, &path, problems)?;
            if let Some(said) = family?
                && said != Family::of(address)
            {
                let message = format!("{} is no {said} address.", quoted(&address.to_string()));
                problems.value(&path, message);
                return None;
            }
            Some(Wanted::Static(address))
        }
    }
}
