//! What a machine needs and nobody gave it: an interface for its addresses, and the group before that.

use std::net::IpAddr;

use uuid::Uuid;

use super::{
    super::{Setting, network_interface, refusals, security_group},
    Joining, standing, unmade,
};
use crate::{
    event::Event,
    id::{NAME_CHARS_MAX, Name},
    nsg::rule::RuleDraft,
    refusal::Refusal,
    resource::{
        Kind, Resource, ResourceDraft, ResourceFault, ResourceId, View, ViewDraft,
        network::RESOURCES_MAX,
        network_interface::{
            IpConfiguration, IpConfigurationDraft, NetworkInterface, NetworkInterfaceDraft, Wanted,
        },
        public_ip::Allocation,
        view::Tags,
        virtual_machine::{ALLOW_ALL_IN, ALLOW_ALL_OUT, Made},
    },
};

/// What is kept of a resource where nothing but what is understood was said.
const NOTHING_KEPT: &str = "{}";
/// The ids of what is made differ from the id of the making in one bit each: who mints one mints them all.
const INTERFACE_BIT: u128 = 1 << 127;
/// The same for the group.
const GROUP_BIT: u128 = 1 << 126;
/// Behind every rule that anybody can set: what nobody says anything about goes through.
const LAST_PRIORITY: i64 = 4_096;

/// What is made, changed or taken away beside a machine.
#[derive(Default)]
pub(super) struct Making {
    pub(super) before: Vec<Event>,
    /// The interface for the addresses that no other has.
    pub(super) interface: Option<ResourceId>,
    pub(super) made: Vec<Made>,
    pub(super) after: Vec<Event>,
}

impl Joining<'_> {
    /// An interface for these addresses, behind a group of its own.
    pub(super) fn made(&self, addresses: &[IpAddr], against: &mut Vec<Refusal>) -> Option<Making> {
        // The machine itself is counted already.
        if self.network().len() + 3 > RESOURCES_MAX {
            let fault = ResourceFault::TooManyResources { most: RESOURCES_MAX };
            against.extend(refusals(self.setting.id, vec![fault]).0);
            return None;
        }
        let group = self.free(Kind::NetworkSecurityGroups, "-nsg")?;
        let interface = self.free(Kind::NetworkInterfaces, "-nic")?;
        let setting = Setting { network: self.network(), id: &group, before: None };
        let rules = [rule(ALLOW_ALL_IN, "Inbound"), rule(ALLOW_ALL_OUT, "Outbound")];
        let mut faults = Vec::new();
        let view = security_group::view(&setting, &rules, &mut faults);
        against.extend(refusals(&group, faults).0);
        let view = view?;
        let configuration = |(n, address): (usize, &IpAddr)| {
            Some(IpConfiguration {
                name: configuration_name(n + 1)?,
                address: *address,
                allocation: Allocation::Static,
                subnet: None,
                public_address: None,
                asgs: Vec::new(),
                nat_rules: Vec::new(),
                primary: n == 0,
            })
        };
        let configurations: Option<Vec<IpConfiguration>> =
            addresses.iter().enumerate().map(configuration).collect();
        let nic = View::NetworkInterface(NetworkInterface {
            security_group: group.security_group(),
            configurations: configurations?,
        });
        let [group_instance, nic_instance] =
            [GROUP_BIT, INTERFACE_BIT].map(|bit| Uuid::from_u128(self.instance.as_u128() ^ bit));
        let made = vec![
            Made { id: group.clone(), instance: group_instance },
            Made { id: interface.clone(), instance: nic_instance },
        ];
        let before = vec![
            self.put(group, group_instance, view),
            self.put(interface.clone(), nic_instance, nic),
        ];
        Some(Making { before, interface: Some(interface), made, after: Vec::new() })
    }

    /// The made interface with these addresses: what is known of each that stays, stays with it.
    pub(super) fn changed(
        &self,
        nic: &Resource,
        addresses: &[IpAddr],
        against: &mut Vec<Refusal>,
    ) -> Option<Making> {
        let stored = nic.network_interface()?;
        let sent = with_addresses(stored, addresses)?;
        let setting = Setting { network: self.network(), id: &nic.id, before: Some(nic) };
        let mut faults = Vec::new();
        let view = network_interface::view(&setting, &sent, &mut faults);
        against.extend(refusals(&nic.id, faults).0);
        let made = self.still_made(std::slice::from_ref(&nic.id));
        let moved = made.iter().filter(|made| made.id != nic.id);
        let mut before: Vec<Event> = moved.filter_map(|made| self.moved(made)).collect();
        let draft = ResourceDraft {
            location: self.location.clone(),
            view: ViewDraft::NetworkInterface(sent),
            ..nic.draft()
        };
        before.extend(setting.becomes(&draft, nic.instance, view?).map(|is| setting.put(is)));
        Some(Making { before, interface: Some(nic.id.clone()), made, after: Vec::new() })
    }

    /// Nothing is left for the made interface: it goes, and its group.
    pub(super) fn without(&self, nic: &Resource) -> Making {
        let made = self.still_made(std::slice::from_ref(&nic.id));
        let after = unmade(self.network(), self.setting.id, &made);
        Making { after, ..Making::default() }
    }

    /// What was made is where its machine is.
    fn moved(&self, made: &Made) -> Option<Event> {
        let resource = standing(self.network(), made)?;
        let setting = Setting { network: self.network(), id: &made.id, before: Some(resource) };
        let draft = ResourceDraft { location: self.location.clone(), ..resource.draft() };
        let moved = setting.becomes(&draft, resource.instance, resource.view.clone())?;
        Some(setting.put(moved))
    }

    fn put(&self, id: ResourceId, instance: Uuid, view: View) -> Event {
        let resource = Resource {
            id,
            instance,
            version: 1,
            location: self.location.clone(),
            tags: Tags::new(),
            view,
            document: NOTHING_KEPT.to_owned(),
        };
        Event::ResourcePut { resource: Box::new(resource), before: None }
    }

    /// A name of that kind that nothing has, after the machine's.
    fn free(&self, kind: Kind, end: &str) -> Option<ResourceId> {
        let machine = self.setting.id;
        let name = |n: usize| -> Option<Name> {
            let end = if n == 1 { end.to_owned() } else { format!("{end}-{n}") };
            let room = NAME_CHARS_MAX.saturating_sub(end.len());
            let begin: String = machine.name.as_str().chars().take(room).collect();
            format!("{begin}{end}").parse().ok()
        };
        let ids = (1..=RESOURCES_MAX + 1).filter_map(name);
        let mut ids = ids.map(|name| ResourceId { kind, name, ..machine.clone() });
        ids.find(|id| self.network().get(id).is_none())
    }
}

/// An interface's draft with these addresses. A new one is in the subnet of the others.
fn with_addresses(
    stored: &NetworkInterface,
    addresses: &[IpAddr],
) -> Option<NetworkInterfaceDraft> {
    let mut draft = stored.draft();
    let subnet = stored.configurations.first().and_then(|first| first.subnet.clone());
    let known = |address: &IpAddr| stored.configurations.iter().position(|c| c.address == *address);
    let stays = addresses.iter().filter_map(known);
    let stays: Vec<&Name> = stays.map(|at| &stored.configurations[at].name).collect();
    let mut free = (1..).filter_map(configuration_name).filter(|name| !stays.contains(&name));
    let mut one = |address: &IpAddr| {
        let known = known(address).and_then(|at| draft.configurations.get(at).cloned());
        known.or_else(|| {
            Some(IpConfigurationDraft {
                name: free.next()?,
                wanted: Wanted::Static(*address),
                subnet: subnet.clone(),
                public_address: None,
                asgs: Vec::new(),
                nat_rules: Vec::new(),
                primary: false,
            })
        })
    };
    let configurations: Option<Vec<IpConfigurationDraft>> =
        addresses.iter().map(&mut one).collect();
    draft.configurations = configurations?;
    Some(draft)
}

fn configuration_name(n: usize) -> Option<Name> {
    format!("ipconfig{n}").parse().ok()
}

/// A rule that lets everything through, in one direction.
fn rule(name: &str, direction: &str) -> RuleDraft {
    let any = || vec!["*".to_owned()];
    RuleDraft {
        name: name.to_owned(),
        description: Some(
            "The machine was added by its address: its own rules alone count.".to_owned(),
        ),
        priority: LAST_PRIORITY,
        direction: direction.to_owned(),
        access: "Allow".to_owned(),
        protocol: "*".to_owned(),
        sources: any(),
        source_ports: any(),
        destinations: any(),
        destination_ports: any(),
    }
}
