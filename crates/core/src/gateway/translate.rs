//! Which translations must hold: a function of resources alone for those that always do, and of grants for
//! those that end.

use std::{collections::BTreeSet, net::IpAddr};

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use super::{Carrier, Onward, Place, Translation, Translations};
use crate::{
    network::{Family, Port},
    nsg::port::PortRange,
    resource::{
        InboundNatRuleId, Kind, Network, ResourceId, SubnetId, Target,
        firewall::{Firewall, SUBNET_NAME, Tier},
        load_balancer::{FrontendAddress, InboundNatRule, LoadBalancer},
        network_interface::IpConfiguration,
    },
};

/// What always holds on public addresses: what inbound NAT rules and DNAT rules of policies say, and which
/// ports of firewalls are silent because accesses are mapped to them.
pub fn fixed(network: &Network, mapped: PortRange) -> Translations {
    let mut holds = Translations::default();
    for resource in network.of_kind(Kind::LoadBalancers, None) {
        let Some(balancer) = resource.load_balancer() else { continue };
        for rule in &balancer.nat_rules {
            let led = inbound(network, &resource.id, balancer, rule);
            holds.each.extend(led.and_then(|(at, to)| {
                let from = Translation::new(Family::of(at.address).all(), at, rule.carrier)?;
                Some((from, Onward { to, until: None }))
            }));
        }
    }
    for resource in network.of_kind(Kind::AzureFirewalls, None) {
        let Some(firewall) = resource.firewall() else { continue };
        let own: Vec<IpAddr> = public_addresses(network, firewall).collect();
        dnat(network, firewall, &own, &mut holds);
        if fit(network, firewall).is_ok() {
            holds.silent.extend(own.into_iter().map(|address| (address, mapped)));
        }
    }
    holds
}

/// The ports of a firewall's public address that DNAT rules lead somewhere.
pub(crate) fn ruled_ports(
    network: &Network,
    firewall: &ResourceId,
    address: IpAddr,
) -> BTreeSet<Port> {
    let policy = network.get(firewall).and_then(|firewall| firewall.firewall()?.policy.as_ref());
    let policy = policy.and_then(|id| network.get(id)?.firewall_policy());
    let rules = policy.into_iter().flat_map(|policy| policy.dnat());
    let of_address = rules.filter(|rule| rule.destinations.contains(&address));
    of_address.flat_map(|rule| rule.ports.iter().copied()).collect()
}

/// Where an inbound NAT rule leads from and to: its address must be known, and an interface must name it.
fn inbound(
    network: &Network,
    id: &ResourceId,
    balancer: &LoadBalancer,
    rule: &InboundNatRule,
) -> Option<(Place, Place)> {
    let address = match &balancer.frontend(&rule.frontend)?.at {
        FrontendAddress::Public(public) => network.get(public)?.public_ip()?.address?,
        FrontendAddress::Private { address, .. } => (*address)?,
    };
    let rule_id = InboundNatRuleId { balancer: id.clone(), name: rule.name.clone() };
    let to = led_by(network, &rule_id)?;
    let at = Place { address, port: rule.port };
    let to = Place { address: to.address, port: rule.to };
    (Family::of(address) == Family::of(to.address)).then_some((at, to))
}

/// The configuration that names a rule.
fn led_by<'a>(network: &'a Network, rule: &InboundNatRuleId) -> Option<&'a IpConfiguration> {
    let target = Target::InboundNatRule(rule.clone());
    // By value: the target is made here.
    let found: Vec<&ResourceId> = network.referrers(&target).map(|nic| &nic.id).collect();
    found.into_iter().find_map(|nic| {
        let mut configurations = network.get(nic)?.network_interface()?.configurations.iter();
        configurations.find(|configuration| configuration.nat_rules.contains(rule))
    })
}

/// The public addresses of a firewall that are known.
pub(crate) fn public_addresses<'a>(
    network: &'a Network,
    firewall: &'a Firewall,
) -> impl Iterator<Item = IpAddr> + 'a {
    let publics = firewall.configurations.iter().filter_map(|is| is.public_address.as_ref());
    publics.filter_map(|public| network.get(public)?.public_ip()?.address)
}

/// What the DNAT rules of a firewall's policy say. The first that fits a flow counts; on a guard the one with the
/// longest prefix does. Prefixes nest or are apart, so it is the same once what an earlier one holds is left out.
fn dnat(network: &Network, firewall: &Firewall, own: &[IpAddr], holds: &mut Translations) {
    let policy = firewall.policy.as_ref().and_then(|id| network.get(id)?.firewall_policy());
    let mut earlier: BTreeSet<Translation> = BTreeSet::new();
    for rule in policy.into_iter().flat_map(|policy| policy.dnat()) {
        let everywhere = [Family::of(rule.to.address).all()];
        let sources: &[IpNet] = if rule.sources.is_empty() { &everywhere } else { &rule.sources };
        for address in rule.destinations.iter().filter(|address| own.contains(address)) {
            for port in &rule.ports {
                for (carrier, source) in rule
                    .carriers
                    .iter()
                    .flat_map(|carrier| sources.iter().map(move |s| (carrier, s)))
                {
                    let at = Place { address: *address, port: *port };
                    let Some(translation) = Translation::new(*source, at, *carrier) else {
                        continue;
                    };
                    if !is_held(&earlier, &translation) {
                        earlier.insert(translation);
                        let onward = Onward { to: rule.to, until: None };
                        holds.each.insert(translation, onward);
                    }
                }
            }
        }
    }
}

/// Whether an earlier one holds all of a translation's sources.
fn is_held(earlier: &BTreeSet<Translation>, translation: &Translation) -> bool {
    let source = translation.source();
    (0..=source.prefix_len()).any(|length| {
        let wider = IpNet::new(source.addr(), length).ok().map(|net| net.trunc());
        let wider =
            wider.and_then(|net| Translation::new(net, translation.at(), translation.carrier()));
        wider.is_some_and(|wider| earlier.contains(&wider))
    })
}

/// Why no access can be mapped through a firewall.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Unfit {
    /// It is of the Basic tier.
    BasicTier,
    /// It has no policy: its rules stand in itself.
    NoPolicy,
    /// It has no public address that is known.
    NoPublicAddress,
}

/// Whether accesses can be mapped through a firewall (product P18).
pub fn fit(network: &Network, firewall: &Firewall) -> Result<(), Unfit> {
    match firewall.tier {
        Tier::Basic => return Err(Unfit::BasicTier),
        Tier::Standard | Tier::Premium => {}
    }
    if firewall.policy.is_none() {
        return Err(Unfit::NoPolicy);
    }
    public_addresses(network, firewall).next().map(drop).ok_or(Unfit::NoPublicAddress)
}

/// What stands in front of a machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Front {
    /// Nothing that is known: it has a public address of its own, or no firewall is in its network or one joined
    /// to it.
    Nothing,
    /// A firewall through whose public address accesses are mapped.
    Firewall {
        /// Which.
        firewall: ResourceId,
        /// Its public address, of the machine's family.
        address: IpAddr,
    },
    /// A firewall through which none can be.
    Unfit {
        /// Which.
        firewall: ResourceId,
        /// Why.
        why: Unfit,
    },
}

/// What stands in front of one address of a machine.
pub fn front(network: &Network, address: IpAddr) -> Front {
    let Some(nic) = network.owner(address).and_then(|id| network.get(id)?.network_interface())
    else {
        return Front::Nothing;
    };
    if nic.configurations.iter().any(|is| is.public_address.is_some()) {
        return Front::Nothing;
    }
    let mut at = nic.configurations.iter().filter(|is| is.address == address);
    let Some(own) = at.find_map(|is| is.subnet.as_ref()) else { return Front::Nothing };
    let mut found = Front::Nothing;
    // The machine's own network first, then those joined to it.
    let joined = network.joined(&own.network);
    for place in [own.network.clone()].into_iter().chain(joined) {
        for (id, firewall) in firewalls_in(network, &place) {
            let publics = public_addresses(network, firewall);
            let public = publics.into_iter().find(|at| Family::of(*at) == Family::of(address));
            match (fit(network, firewall), public) {
                (Ok(()), Some(address)) => return Front::Firewall { firewall: id, address },
                (fit, _) => {
                    let why = fit.err().unwrap_or(Unfit::NoPublicAddress);
                    if found == Front::Nothing {
                        found = Front::Unfit { firewall: id, why };
                    }
                }
            }
        }
    }
    found
}

/// The firewalls that stand in a network.
fn firewalls_in<'a>(network: &'a Network, id: &ResourceId) -> Vec<(ResourceId, &'a Firewall)> {
    let Some(view) = network.virtual_network(id) else { return Vec::new() };
    let names = view.subnets.keys();
    let of_firewalls = names.filter(|name| name.as_str().eq_ignore_ascii_case(SUBNET_NAME));
    of_firewalls
        .flat_map(|name| {
            let subnet = SubnetId { network: id.clone(), name: name.clone() };
            let target = Target::Subnet(subnet);
            network.referrers(&target).map(|by| by.id.clone()).collect::<Vec<_>>()
        })
        .filter_map(|id| Some((id.clone(), network.get(&id)?.firewall()?)))
        .collect()
}

/// Where somebody connects to reach a port of a machine's address, when no access is mapped for it: its own public
/// address, a load balancer's port that leads there, or the address itself.
pub fn reached_at(network: &Network, to: Place, carrier: Carrier) -> Place {
    let configuration = network.owner(to.address).and_then(|nic| {
        let mut configurations = network.get(nic)?.network_interface()?.configurations.iter();
        configurations.find(|is| is.address == to.address)
    });
    let Some(configuration) = configuration else { return to };
    let public = configuration.public_address.as_ref();
    if let Some(address) = public.and_then(|id| network.get(id)?.public_ip()?.address) {
        return Place { address, port: to.port };
    }
    let led = configuration.nat_rules.iter().find_map(|id| {
        let balancer = network.get(&id.balancer)?.load_balancer()?;
        let rule = balancer.nat_rule(&id.name)?;
        let fits = rule.to == to.port && rule.carrier == carrier;
        let (at, _) = inbound(network, &id.balancer, balancer, rule).filter(|_| fits)?;
        Some(at)
    });
    led.unwrap_or(to)
}
