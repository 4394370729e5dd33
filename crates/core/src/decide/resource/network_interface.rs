//! What a network interface must be: addresses that are its own, inside its subnets, and groups that exist.

use std::{collections::BTreeSet, net::IpAddr};

use super::{Setting, load_balancer::public_addresses, public_ip::unfit};
use crate::{
    network::Family,
    resource::{
        ResourceFault, Target, View,
        fault::Part,
        network_interface::{
            ASGS_PER_CONFIGURATION_MAX, CONFIGURATIONS_MAX, IpConfiguration, IpConfigurationDraft,
            NetworkInterface, NetworkInterfaceDraft, Wanted,
        },
        public_ip::Allocation,
        virtual_network::is_reserved,
    },
};

pub(super) fn view(
    setting: &Setting<'_>,
    sent: &NetworkInterfaceDraft,
    faults: &mut Vec<ResourceFault>,
) -> Option<View> {
    let known = faults.len();
    shape(sent, faults);
    faults.extend(references(setting, sent));
    let in_the_way = faults.len() > known;
    let addresses = addresses(setting, sent, faults);
    if in_the_way || faults.len() > known {
        return None;
    }
    let primary = sent.configurations.iter().position(|c| c.primary).unwrap_or_default();
    let configurations = sent
        .configurations
        .iter()
        .zip(addresses)
        .enumerate()
        .map(|(place, (sent, address))| configuration(sent, address, place == primary))
        .collect();
    let security_group = sent.security_group.clone();
    Some(View::NetworkInterface(NetworkInterface { security_group, configurations }))
}

fn configuration(sent: &IpConfigurationDraft, address: IpAddr, primary: bool) -> IpConfiguration {
    IpConfiguration {
        name: sent.name.clone(),
        address,
        allocation: match sent.wanted {
            Wanted::Static(_) => Allocation::Static,
            Wanted::Dynamic(_) => Allocation::Dynamic,
        },
        subnet: sent.subnet.clone(),
        public_address: sent.public_address.clone(),
        asgs: sent.asgs.clone(),
        nat_rules: sent.nat_rules.clone(),
        primary,
    }
}

/// What is wrong with it by itself.
fn shape(sent: &NetworkInterfaceDraft, faults: &mut Vec<ResourceFault>) {
    let most = CONFIGURATIONS_MAX;
    match sent.configurations.len() {
        0 => faults.push(ResourceFault::NoPart { part: Part::IpConfigurations }),
        count if count > most => {
            faults.push(ResourceFault::TooManyParts { part: Part::IpConfigurations, most });
        }
        _ => {}
    }
    let (mut names, mut primary) = (BTreeSet::new(), false);
    let network = |c: &IpConfigurationDraft| c.subnet.as_ref().map(|s| s.network.clone());
    let first = sent.configurations.first().and_then(network);
    for configuration in &sent.configurations {
        let name = &configuration.name;
        if !names.insert(name) {
            faults.push(ResourceFault::NameTwice { name: name.clone() });
        }
        if configuration.primary && std::mem::replace(&mut primary, true) {
            faults.push(ResourceFault::TwoPrimaries { configuration: name.clone() });
        }
        if network(configuration) != first {
            faults.push(ResourceFault::TwoNetworks { configuration: name.clone() });
        }
        let most = ASGS_PER_CONFIGURATION_MAX;
        if configuration.asgs.len() > most {
            faults.push(ResourceFault::TooManyParts { part: Part::Asgs, most });
        }
    }
}

/// What it refers to exists, and public addresses and inbound NAT rules are nobody else's.
fn references(setting: &Setting<'_>, sent: &NetworkInterfaceDraft) -> Vec<ResourceFault> {
    let mut faults = setting.references(sent.references());
    let publics = sent.configurations.iter();
    let publics = publics.filter_map(|is| Some((&is.name, is.public_address.as_ref()?)));
    faults.extend(public_addresses(setting, publics));
    let mut led = BTreeSet::new();
    for (configuration, rule) in
        sent.configurations.iter().flat_map(|is| is.nat_rules.iter().map(move |rule| (is, rule)))
    {
        let asked = Target::InboundNatRule(rule.clone());
        let mut others = setting.network.referrers(&asked).map(|nic| &nic.id);
        let other = others.find(|other| *other != setting.id);
        let by = if led.insert(rule) { other } else { Some(setting.id) };
        faults.extend(by.map(|by| ResourceFault::NatRuleTaken {
            configuration: configuration.name.clone(),
            rule: rule.clone(),
            by: by.clone(),
        }));
    }
    faults
}

/// The address of each configuration; fewer where something is in the way.
fn addresses(
    setting: &Setting<'_>,
    sent: &NetworkInterfaceDraft,
    faults: &mut Vec<ResourceFault>,
) -> Vec<IpAddr> {
    // Addresses that are asked for, or kept, are nobody else's of this interface.
    let mut own: BTreeSet<IpAddr> = BTreeSet::new();
    let settled: Vec<Option<IpAddr>> = sent
        .configurations
        .iter()
        .map(|configuration| {
            let address = match configuration.wanted {
                Wanted::Static(address) => {
                    faults.extend(stands(setting, configuration, address));
                    Some(address)
                }
                Wanted::Dynamic(family) => kept(setting, configuration, family),
            }?;
            if !own.insert(address) {
                faults.push(ResourceFault::AddressInUse {
                    configuration: Some(configuration.name.clone()),
                    address,
                    by: setting.id.clone(),
                });
            }
            Some(address)
        })
        .collect();
    let picked = sent.configurations.iter().zip(settled).filter_map(|(configuration, settled)| {
        let family = match (settled, configuration.wanted) {
            (Some(address), _) => return Some(address),
            (None, Wanted::Dynamic(family)) => family,
            (None, Wanted::Static(_)) => return None,
        };
        let name = configuration.name.clone();
        let Some(subnet) = &configuration.subnet else {
            faults.push(ResourceFault::NoSubnet { configuration: name });
            return None;
        };
        // A subnet that does not exist is told already.
        let stored = setting.network.subnet(subnet)?;
        let free = stored.usable(family).find(|address| {
            let other = setting.network.owner(*address);
            other.is_none_or(|other| other == setting.id) && !own.contains(address)
        });
        let Some(address) = free else {
            let subnet = subnet.clone();
            faults.push(ResourceFault::SubnetFull { configuration: name, subnet, family });
            return None;
        };
        own.insert(address);
        Some(address)
    });
    picked.collect()
}

/// What is wrong with an address that is asked for.
fn stands(
    setting: &Setting<'_>,
    sent: &IpConfigurationDraft,
    address: IpAddr,
) -> Vec<ResourceFault> {
    let mut faults = Vec::new();
    let configuration = sent.name.clone();
    if unfit(address) {
        faults.push(ResourceFault::AddressUnfit { address });
    }
    let other = setting.network.owner(address).filter(|by| *by != setting.id);
    if let Some(by) = other {
        let configuration = Some(configuration.clone());
        faults.push(ResourceFault::AddressInUse { configuration, address, by: by.clone() });
    }
    if let Some(id) = &sent.subnet
        && let Some(subnet) = setting.network.subnet(id)
    {
        faults.extend(match subnet.prefix_of(address) {
            None => Some(ResourceFault::AddressOutside {
                configuration,
                address,
                subnet: id.clone(),
                prefixes: subnet.prefixes.clone(),
            }),
            Some(prefix) if is_reserved(prefix, address) => {
                Some(ResourceFault::AddressReserved { configuration, address, prefix })
            }
            Some(_) => None,
        });
    }
    faults
}

/// The address that a configuration has already, while it stays in its subnet.
fn kept(setting: &Setting<'_>, sent: &IpConfigurationDraft, family: Family) -> Option<IpAddr> {
    let before = setting.before?.network_interface()?;
    let before = before.configuration(&sent.name)?;
    let stays = before.subnet == sent.subnet;
    (stays && Family::of(before.address) == family).then_some(before.address)
}
