//! Network interfaces.

use hourgate_core::{
    id::Name,
    network::Family,
    nsg::id::GroupId,
    resource::{
        network_interface::{IpConfigurationDraft, NetworkInterfaceDraft, Wanted},
        public_ip::Allocation,
    },
};

use super::{
    super::{
        object::{Object, Problems},
        value::{address, flag, word},
    },
    Document, Part,
    parts::{opened, parts},
    public_ip::{ALLOCATIONS, FAMILIES},
    value::{references, referred},
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
    let what = "a network security group";
    let group = referred::<GroupId>(properties, "networkSecurityGroup", what, problems);
    let needed = "a list of IP configurations";
    let sent = properties.required("ipConfigurations", needed, problems)?;
    let path = properties.path_of("ipConfigurations");
    let configurations = parts(Some(sent), (&path, needed), problems, |name, object, problems| {
        let (configuration, part) = configuration(name, object, problems)?;
        document.set_part(configuration.name.as_str(), part);
        Some(configuration)
    });
    Some(NetworkInterfaceDraft { security_group: group?, configurations: configurations? })
}

fn configuration(
    name: Option<Name>,
    object: Object,
    problems: &mut Problems,
) -> Option<(IpConfigurationDraft, Part)> {
    let needed = "an IP configuration's properties";
    let (mut properties, mut part) = opened(object, needed, problems)?;
    properties.overlook(&["provisioningState", "privateLinkConnectionProperties"]);
    let wanted = wanted(&mut properties, problems);
    let subnet = referred(&mut properties, "subnet", "a subnet", problems);
    let public = referred(&mut properties, "publicIPAddress", "a public IP address", problems);
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
