//! What a load balancer must be: addresses that are its own, and ports of them that lead to one machine each.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
};

use super::{Setting, in_use, public_ip::unfit};
use crate::{
    id::Name,
    resource::{
        Kind, ResourceFault, ResourceId, SubnetId, View,
        fault::Part,
        load_balancer::{FRONTENDS_MAX, FrontendAddress, LoadBalancer, NAT_RULES_MAX},
    },
};

pub(super) fn view(
    setting: &Setting<'_>,
    sent: &LoadBalancer,
    faults: &mut Vec<ResourceFault>,
) -> Option<View> {
    for (part, count, most) in [
        (Part::Frontends, sent.frontends.len(), FRONTENDS_MAX),
        (Part::InboundNatRules, sent.nat_rules.len(), NAT_RULES_MAX),
    ] {
        if count > most {
            faults.push(ResourceFault::TooManyParts { part, most });
        }
    }
    if !faults.is_empty() {
        return None;
    }
    let frontends = sent.frontends.iter().map(|frontend| &frontend.name);
    super::twice(frontends, faults);
    super::twice(sent.nat_rules.iter().map(|rule| &rule.name), faults);
    faults.extend(setting.references(sent.references()));
    let publics = sent.frontends.iter().filter_map(|frontend| match &frontend.at {
        FrontendAddress::Public(public) => Some((&frontend.name, public)),
        FrontendAddress::Private { .. } => None,
    });
    faults.extend(public_addresses(setting, publics));
    for frontend in &sent.frontends {
        if let FrontendAddress::Private { subnet, address: Some(address) } = &frontend.at {
            faults.extend(private(setting, &frontend.name, subnet, *address));
        }
    }
    rules(sent, faults);
    kept(setting, sent, faults);
    Some(View::LoadBalancer(sent.clone()))
}

/// Each public address exists, is one, and is nobody else's.
pub(super) fn public_addresses<'a>(
    setting: &Setting<'_>,
    named: impl Iterator<Item = (&'a Name, &'a ResourceId)>,
) -> Vec<ResourceFault> {
    let mut faults = Vec::new();
    let mut own = BTreeSet::new();
    for (configuration, target) in named {
        faults.extend(setting.of_kind(target, Kind::PublicIpAddresses));
        let asked = crate::resource::Target::Resource(target.clone());
        let mut others = setting.network.referrers(&asked).map(|other| &other.id);
        let other = others.find(|other| *other != setting.id);
        let by = if own.insert(target) { other } else { Some(setting.id) };
        faults.extend(by.map(|by| ResourceFault::PublicAddressInUse {
            configuration: configuration.clone(),
            target: target.clone(),
            by: by.clone(),
        }));
    }
    faults
}

/// What is wrong with an address within a network.
fn private(
    setting: &Setting<'_>,
    name: &Name,
    id: &SubnetId,
    address: IpAddr,
) -> Option<ResourceFault> {
    if unfit(address) {
        return Some(ResourceFault::AddressUnfit { address });
    }
    if let Some(by) = setting.network.owner(address) {
        let configuration = Some(name.clone());
        return Some(ResourceFault::AddressInUse { configuration, address, by: by.clone() });
    }
    // A subnet that does not exist is told already.
    let subnet = setting.network.subnet(id)?;
    subnet.prefix_of(address).is_none().then(|| ResourceFault::AddressOutside {
        configuration: name.clone(),
        address,
        subnet: id.clone(),
        prefixes: subnet.prefixes.clone(),
    })
}

/// Each rule has an address of the load balancer, and a port of it that no other has.
fn rules(sent: &LoadBalancer, faults: &mut Vec<ResourceFault>) {
    let mut taken: BTreeMap<_, &Name> = BTreeMap::new();
    for rule in &sent.nat_rules {
        if sent.frontend(&rule.frontend).is_none() {
            faults.push(ResourceFault::FrontendNotFound {
                rule: rule.name.clone(),
                frontend: rule.frontend.clone(),
            });
        }
        let at = (&rule.frontend, rule.carrier, rule.port);
        match taken.get(&at) {
            Some(other) => faults.push(ResourceFault::FrontendPortTwice {
                rule: rule.name.clone(),
                other: (*other).clone(),
                port: rule.port,
                carrier: rule.carrier,
            }),
            None => {
                taken.insert(at, &rule.name);
            }
        }
    }
}

/// No rule is taken away that an interface names.
fn kept(setting: &Setting<'_>, sent: &LoadBalancer, faults: &mut Vec<ResourceFault>) {
    let Some(before) = setting.before.and_then(|before| before.load_balancer()) else { return };
    let gone = LoadBalancer {
        nat_rules: {
            let rules = before.nat_rules.iter();
            rules.filter(|rule| sent.nat_rule(&rule.name).is_none()).cloned().collect()
        },
        ..LoadBalancer::default()
    };
    let targets = gone.nat_targets(setting.id);
    faults.extend(targets.filter_map(|target| in_use(setting.network, setting.id, target)));
}
