//! Which addresses a change of one resource concerns: so that cost follows the change, not the size.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
    sync::Arc,
};

use ipnet::IpNet;

use super::{
    behind::{Behind, group_of},
    id::ResourceId,
    network::Network,
    network_interface::NetworkInterface,
    view::View,
};
use crate::{event::Event, nsg::id::AsgId, state::State};

impl State {
    /// Takes in what happened, one after the other, and says which addresses that concerns as
    /// [`Network::concerned`] does.
    pub fn evolve_all(&mut self, events: &[Event]) -> BTreeSet<IpAddr> {
        let mut concerned = BTreeSet::new();
        for event in events {
            let Some(id) = event.resource() else {
                self.evolve(event);
                continue;
            };
            let before = Arc::clone(&self.network);
            self.evolve(event);
            concerned.extend(Network::concerned(&before, &self.network, id));
        }
        concerned
    }
}

impl Network {
    /// The addresses whose flows may meet something else after a change of the resource `id`, which alone
    /// differs between `before` and `after`; for any other address [`Network::around`] says the same twice.
    ///
    /// It may name an address too many (a rule was changed that cannot match there), never one too few: who
    /// holds locks against a change, and who tells guards of it, looks at these alone.
    pub fn concerned(before: &Network, after: &Network, id: &ResourceId) -> BTreeSet<IpAddr> {
        let (was, is) = (before.get(id), after.get(id));
        if was.map(|was| &was.view) == is.map(|is| &is.view) {
            return BTreeSet::new();
        }
        let both = [before, after];
        let mut concerned = Concerned { both, behind: Behind::new(both) };
        match was.or(is).map(|one| &one.view) {
            Some(View::VirtualNetwork(_)) => concerned.virtual_network(id),
            Some(View::SecurityGroup(_)) => concerned.behind.group(id),
            Some(View::NetworkInterface(_)) => concerned.network_interface(id),
            // Who is in an application security group, interfaces say. What a public address, a load balancer or
            // a firewall leads to is translated before any rule looks. A machine is where its interfaces are, and
            // a group is a place for words.
            Some(
                View::ApplicationSecurityGroup
                | View::PublicIpAddress(_)
                | View::LoadBalancer(_)
                | View::Firewall(_)
                | View::FirewallPolicy(_)
                | View::VirtualMachine(_)
                | View::ResourceGroup,
            )
            | None => {}
        }
        concerned.behind.addresses()
    }
}

/// What was found so far.
struct Concerned<'a> {
    /// Before and after the change.
    both: [&'a Network; 2],
    behind: Behind<'a, 2>,
}

impl Concerned<'_> {
    /// An interface: what it has and had, and whoever names an application security group that it joins or
    /// leaves.
    fn network_interface(&mut self, id: &ResourceId) {
        let nics = self.both.map(|network| network.get(id)?.network_interface());
        let [joined, joins] = nics.map(|nic| nic.map(memberships).unwrap_or_default());
        let every: BTreeSet<&AsgId> = joined.keys().chain(joins.keys()).copied().collect();
        for asg in every.into_iter().filter(|asg| joined.get(asg) != joins.get(asg)) {
            self.behind.asg(asg);
        }
        nics.into_iter().flatten().for_each(|nic| self.behind.interface(nic));
    }

    /// A network: all of it and of its peers where they say `VirtualNetwork` of other addresses than before,
    /// and each subnet that got another group.
    fn virtual_network(&mut self, id: &ResourceId) {
        let networks = self.both.map(|network| network.virtual_network(id));
        let spaces = self.both.map(|network| space(network.joined_space(id)));
        if spaces[0] != spaces[1] {
            self.behind.all_of(id);
        }
        let peers: BTreeSet<&ResourceId> =
            networks.into_iter().flatten().flat_map(|network| &network.peers).collect();
        for peer in peers.into_iter().filter(|peer| *peer != id) {
            // What the network adds to its peer's: its space, where both say that they are joined.
            let added = self.both.map(|network| {
                let its = network.virtual_network(id).filter(|its| its.peers.contains(peer));
                let theirs = network.virtual_network(peer);
                let its = its.filter(|_| theirs.is_some_and(|theirs| theirs.peers.contains(id)));
                its.map(|its| space(its.address_space.clone()))
            });
            if added[0] != added[1] {
                self.behind.all_of(peer);
            }
        }
        let names = networks.into_iter().flatten().flat_map(|network| network.subnets.keys());
        for name in names.collect::<BTreeSet<_>>() {
            let [had, has] = networks.map(|network| group_of(network?, name));
            if had != has {
                self.behind.subnet(id, name);
            }
        }
    }
}

/// The addresses with which an interface is in each application security group.
fn memberships(nic: &NetworkInterface) -> BTreeMap<&AsgId, BTreeSet<IpAddr>> {
    let mut memberships: BTreeMap<&AsgId, BTreeSet<IpAddr>> = BTreeMap::new();
    for configuration in &nic.configurations {
        for asg in &configuration.asgs {
            memberships.entry(asg).or_default().insert(configuration.address);
        }
    }
    memberships
}

/// Prefixes whatever their order.
fn space(prefixes: Vec<IpNet>) -> BTreeSet<IpNet> {
    prefixes.into_iter().collect()
}
