//! Which addresses a change of one resource may concern, before it is known what the resource will be: whoever
//! decides about the change loads what stands at these.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
};

use super::{
    behind::{Behind, group_of},
    id::{Kind, ResourceId, SubnetId, Target},
    network::Network,
    network_interface::{NetworkInterfaceDraft, Wanted},
    view::{ResourceDraft, View},
    virtual_network::{VirtualNetwork, VirtualNetworkDraft},
};
use crate::{id::Name, nsg::id::AsgId};

impl Network {
    /// Every address that [`Network::concerned`] can name for the change of a resource, as far as something is
    /// known of the network around it before. It may name an address too many, never one too few.
    ///
    /// `draft` is what the resource shall be; none where it is to go.
    pub fn near(&self, id: &ResourceId, draft: Option<&ResourceDraft>) -> BTreeSet<IpAddr> {
        let mut near = Near { network: self, behind: Behind::new([self]) };
        match self.get(id).map(|resource| &resource.view) {
            Some(View::VirtualNetwork(network)) => near.virtual_network(id, network, draft),
            Some(View::SecurityGroup(_)) => near.behind.group(id),
            Some(View::NetworkInterface(_)) => near.network_interface(id, draft),
            // Who is in an application security group, interfaces say. A public address is translated before
            // any rule looks.
            Some(
                View::ApplicationSecurityGroup
                | View::PublicIpAddress(_)
                | View::LoadBalancer(_)
                | View::Firewall(_)
                | View::FirewallPolicy(_),
            ) => {}
            // What was made for a machine changes and goes with it.
            Some(View::VirtualMachine(machine)) => {
                machine.interfaces.iter().for_each(|nic| near.network_interface(nic, None));
            }
            _ if id.kind == Kind::ResourceGroups => {
                let within = self.of_kind(Kind::NetworkInterfaces, Some(&id.name));
                within.for_each(|nic| near.network_interface(&nic.id, None));
            }
            Some(View::ResourceGroup) => {}
            None => near.made(draft),
        }
        near.behind.addresses()
    }
}

impl Network {
    /// The firewalls that a change of a resource may concern: whoever decides about it loads the accesses that are
    /// mapped through them.
    pub fn firewalls_near(&self, id: &ResourceId) -> BTreeSet<ResourceId> {
        let is_one = |id: &ResourceId| id.kind == Kind::AzureFirewalls;
        match id.kind {
            Kind::AzureFirewalls => BTreeSet::from([id.clone()]),
            Kind::PublicIpAddresses | Kind::FirewallPolicies => {
                let target = Target::Resource(id.clone());
                let by = self.referrers(&target).map(|by| &by.id);
                by.filter(|by| is_one(by)).cloned().collect()
            }
            Kind::ResourceGroups => {
                let within = self.of_kind(Kind::AzureFirewalls, Some(&id.name));
                within.map(|firewall| firewall.id.clone()).collect()
            }
            Kind::VirtualNetworks
            | Kind::NetworkSecurityGroups
            | Kind::ApplicationSecurityGroups
            | Kind::NetworkInterfaces
            | Kind::VirtualMachines
            | Kind::LoadBalancers => BTreeSet::new(),
        }
    }
}

struct Near<'a> {
    network: &'a Network,
    behind: Behind<'a, 1>,
}

impl Near<'_> {
    /// A resource that is new: nobody refers to it yet but a network that already says it is joined to it.
    fn made(&mut self, draft: Option<&ResourceDraft>) {
        let Some(sent) = draft.map(|draft| &draft.view) else { return };
        let peers = sent.virtual_network().and_then(|network| network.peers.as_ref());
        peers.into_iter().flatten().for_each(|peer| self.behind.all_of(peer));
        let joins = sent.network_interface().map(asgs_of).unwrap_or_default();
        joins.keys().for_each(|asg| self.behind.asg(asg));
    }

    fn network_interface(&mut self, id: &ResourceId, draft: Option<&ResourceDraft>) {
        let Some(nic) = self.network.get(id).and_then(|nic| nic.network_interface()) else {
            return;
        };
        self.behind.interface(nic);
        let joined = asgs_of(&nic.draft());
        let sent = draft.and_then(|draft| draft.view.network_interface());
        let joins = sent.map(asgs_of).unwrap_or_default();
        let every: BTreeSet<&AsgId> = joined.keys().chain(joins.keys()).collect();
        for asg in every.into_iter().filter(|asg| joined.get(asg) != joins.get(asg)) {
            self.behind.asg(asg);
        }
    }

    /// A network: all of it and of its peers where its space or its peers change, and each subnet that gets
    /// another group or goes.
    fn virtual_network(
        &mut self,
        id: &ResourceId,
        is: &VirtualNetwork,
        draft: Option<&ResourceDraft>,
    ) {
        let nothing = VirtualNetworkDraft {
            address_space: Vec::new(),
            subnets: Some(Vec::new()),
            peers: Some(Vec::new()),
        };
        let sent = draft.and_then(|draft| draft.view.virtual_network()).unwrap_or(&nothing);
        let peers = sent.peers.as_ref().unwrap_or(&is.peers);
        if is.address_space != sent.address_space || is.peers != *peers {
            self.behind.all_of(id);
            is.peers.iter().chain(peers).for_each(|peer| self.behind.all_of(peer));
            return;
        }
        // Of which nothing is said, that stays.
        let Some(sent) = &sent.subnets else { return };
        for name in is.subnets.keys() {
            let will = sent.iter().find(|(its, _)| its == name);
            let will = will.and_then(|(_, subnet)| subnet.security_group.as_ref());
            if group_of(is, name) != will.map(ResourceId::from) {
                self.behind.subnet(id, name);
            }
        }
    }
}

/// The configurations with which an interface shall be in each application security group: which address that
/// is follows from name, wish and subnet.
fn asgs_of(nic: &NetworkInterfaceDraft) -> BTreeMap<AsgId, BTreeSet<Configured>> {
    let mut asgs: BTreeMap<AsgId, BTreeSet<Configured>> = BTreeMap::new();
    for its in &nic.configurations {
        let address = match its.wanted {
            Wanted::Static(address) => Some(address),
            Wanted::Dynamic(_) => None,
        };
        for asg in &its.asgs {
            let configured = (its.name.clone(), address, its.subnet.clone());
            asgs.entry(asg.clone()).or_default().insert(configured);
        }
    }
    asgs
}

type Configured = (Name, Option<IpAddr>, Option<SubnetId>);
