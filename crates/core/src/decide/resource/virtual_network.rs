//! What a virtual network must be: prefixes that do not overlap, subnets inside it, and nothing taken away
//! from under an interface.

use std::collections::BTreeMap;

use ipnet::IpNet;

use super::{Setting, in_use};
use crate::{
    id::Name,
    network::Family,
    resource::{
        Kind, ResourceFault, ResourceId, SubnetId, Target, View,
        fault::Part,
        virtual_network::{
            LENGTHS_V4, PEERS_MAX, PREFIXES_MAX, SUBNET_LENGTH_V6, SUBNETS_MAX, Subnet,
            VirtualNetwork, VirtualNetworkDraft,
        },
    },
};

pub(super) fn view(
    setting: &Setting<'_>,
    sent: &VirtualNetworkDraft,
    faults: &mut Vec<ResourceFault>,
) -> Option<View> {
    let stored = || setting.before.and_then(|before| before.virtual_network());
    let stored_subnets = || stored().map(|network| network.subnets.clone().into_iter().collect());
    let sent_subnets = sent.subnets.clone().or_else(stored_subnets).unwrap_or_default();
    let stored_peers = || stored().map(|network| network.peers.clone());
    let peers = sent.peers.clone().or_else(stored_peers).unwrap_or_default();
    counts(sent, (&sent_subnets, &peers), faults);
    if !faults.is_empty() {
        // What follows compares everything with everything.
        return None;
    }
    let mut subnets = BTreeMap::new();
    for (name, subnet) in sent_subnets {
        if subnets.insert(name.clone(), subnet).is_some() {
            faults.push(ResourceFault::NameTwice { name });
        }
    }
    let network = VirtualNetwork { address_space: sent.address_space.clone(), subnets, peers };
    space(&network, faults);
    subnets_inside(&network, faults);
    faults.extend(network.peers.iter().filter_map(|p| setting.of_kind(p, Kind::VirtualNetworks)));
    let view = View::VirtualNetwork(network.clone());
    let others = view.references().into_iter().filter(|target| target.resource() != setting.id);
    faults.extend(setting.references(others));
    joined(setting, &network, faults);
    kept(setting, &network, faults);
    Some(view)
}

fn counts(
    sent: &VirtualNetworkDraft,
    (subnets, peers): (&[(Name, Subnet)], &[ResourceId]),
    faults: &mut Vec<ResourceFault>,
) {
    let mut at_most = |part, count, most| {
        if count > most {
            faults.push(ResourceFault::TooManyParts { part, most });
        }
    };
    at_most(Part::Prefixes, sent.address_space.len(), PREFIXES_MAX);
    at_most(Part::Subnets, subnets.len(), SUBNETS_MAX);
    at_most(Part::Peers, peers.len(), PEERS_MAX);
    let widest = subnets.iter().map(|(_, subnet)| subnet.prefixes.len()).max().unwrap_or(0);
    at_most(Part::Prefixes, widest, PREFIXES_MAX);
    let bare = subnets.iter().any(|(_, subnet)| subnet.prefixes.is_empty());
    if sent.address_space.is_empty() || bare {
        faults.push(ResourceFault::NoPart { part: Part::Prefixes });
    }
}

fn space(network: &VirtualNetwork, faults: &mut Vec<ResourceFault>) {
    for prefix in &network.address_space {
        faults.extend(host_bits(*prefix));
        if let IpNet::V4(_) = prefix {
            faults.extend(length(*prefix, *LENGTHS_V4.start(), *LENGTHS_V4.end()));
        }
    }
    let all = network.address_space.iter().map(|prefix| (prefix, ()));
    for ((one, ()), (other, ())) in overlaps(all.map(|(prefix, by)| (*prefix, by)).collect()) {
        faults.push(ResourceFault::AddressSpacesOverlap { one, other });
    }
}

fn subnets_inside(network: &VirtualNetwork, faults: &mut Vec<ResourceFault>) {
    let mut all: Vec<(IpNet, &Name)> = Vec::new();
    for (name, subnet) in &network.subnets {
        for prefix in &subnet.prefixes {
            faults.extend(host_bits(*prefix));
            faults.extend(match Family::of_net(*prefix) {
                Family::V4 => length(*prefix, *LENGTHS_V4.start(), *LENGTHS_V4.end()),
                Family::V6 => length(*prefix, SUBNET_LENGTH_V6, SUBNET_LENGTH_V6),
            });
            if !network.address_space.iter().any(|space| space.contains(prefix)) {
                faults.push(ResourceFault::SubnetOutside {
                    subnet: name.clone(),
                    prefix: *prefix,
                    space: network.address_space.clone(),
                });
            }
            all.push((*prefix, name));
        }
    }
    for ((other_prefix, other), (prefix, subnet)) in overlaps(all) {
        faults.push(ResourceFault::SubnetsOverlap {
            subnet: subnet.clone(),
            prefix,
            other: other.clone(),
            other_prefix,
        });
    }
}

/// Networks that are joined have no address in common; nobody could tell whose it is. Held also against those
/// that say they are joined to this one.
fn joined(setting: &Setting<'_>, network: &VirtualNetwork, faults: &mut Vec<ResourceFault>) {
    if network.peers.contains(setting.id) {
        faults.push(ResourceFault::PeerOfItself);
    }
    let own = Target::Resource(setting.id.clone());
    let from = setting.network.referrers(&own).map(|peer| &peer.id);
    let mut peers: Vec<&ResourceId> = network.peers.iter().chain(from).collect();
    peers.sort();
    peers.dedup();
    for peer in peers.into_iter().filter(|peer| *peer != setting.id) {
        let Some(other) = setting.network.virtual_network(peer) else { continue };
        let prefixes = network
            .address_space
            .iter()
            .flat_map(|prefix| other.address_space.iter().map(move |other| (*prefix, *other)));
        faults.extend(prefixes.filter(|(one, other)| overlap(*one, *other)).map(
            |(prefix, other)| ResourceFault::PeersOverlap { peer: peer.clone(), prefix, other },
        ));
    }
}

/// Nothing is taken away from under an interface: neither its subnet nor its address in it.
fn kept(setting: &Setting<'_>, network: &VirtualNetwork, faults: &mut Vec<ResourceFault>) {
    let before = setting.before.and_then(|before| before.virtual_network());
    for (name, was) in before.iter().flat_map(|before| &before.subnets) {
        match network.subnets.get(name) {
            None => {
                faults.extend(in_use(setting.network, setting.id, subnet(setting.id, name)));
            }
            Some(is) if is.prefixes != was.prefixes => {
                let id = SubnetId { network: setting.id.clone(), name: name.clone() };
                let left = setting.network.in_subnet(&id);
                let left = left.filter(|(_, has)| {
                    is.prefix_of(has.address).is_none_or(|prefix| {
                        crate::resource::virtual_network::is_reserved(prefix, has.address)
                    })
                });
                faults.extend(left.map(|(nic, has)| ResourceFault::AddressLeft {
                    subnet: name.clone(),
                    by: nic.id.clone(),
                    address: has.address,
                }));
            }
            Some(_) => {}
        }
    }
}

/// A subnet as something that is referred to.
pub(super) fn subnet(network: &ResourceId, name: &Name) -> Target {
    Target::Subnet(SubnetId { network: network.clone(), name: name.clone() })
}

fn host_bits(prefix: IpNet) -> Option<ResourceFault> {
    let meant = prefix.trunc();
    (meant != prefix).then_some(ResourceFault::HostBits { prefix, meant })
}

fn length(prefix: IpNet, least: u8, most: u8) -> Option<ResourceFault> {
    let fits = (least..=most).contains(&prefix.prefix_len());
    (!fits).then_some(ResourceFault::PrefixLength { prefix, least, most })
}

fn overlap(one: IpNet, other: IpNet) -> bool {
    one.contains(&other) || other.contains(&one)
}

/// Each prefix that overlaps an earlier one, with the widest of those. Prefixes nest or are apart, so in
/// order of their addresses each needs to be held against one other only.
fn overlaps<T: Ord + Clone>(mut all: Vec<(IpNet, T)>) -> Vec<((IpNet, T), (IpNet, T))> {
    all.sort_by_key(|(prefix, by)| (prefix.network(), prefix.prefix_len(), by.clone()));
    let mut found = Vec::new();
    let mut widest: Option<(IpNet, T)> = None;
    for (prefix, by) in all {
        match &widest {
            Some(outer) if overlap(outer.0, prefix) => found.push((outer.clone(), (prefix, by))),
            Some(_) | None => widest = Some((prefix, by)),
        }
    }
    found
}
