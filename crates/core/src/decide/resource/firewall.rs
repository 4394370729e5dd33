//! What a firewall and its policy must be: a subnet of its own, public addresses that are its own, and rules
//! whose addresses are of one family.

use super::{Setting, load_balancer::public_addresses, public_ip::unfit};
use crate::{
    network::Family,
    resource::{
        Kind, ResourceFault, View,
        fault::Part,
        firewall::{CONFIGURATIONS_MAX, Firewall, SUBNET_NAME},
        firewall_policy::{
            DNAT_FLOWS_MAX, DNAT_RULES_MAX, DnatRule, FirewallPolicy, FirewallPolicyDraft,
            GROUPS_MAX, PRIORITIES, RuleCollectionGroup,
        },
    },
};

pub(super) fn view(
    setting: &Setting<'_>,
    sent: &Firewall,
    faults: &mut Vec<ResourceFault>,
) -> Option<View> {
    let most = CONFIGURATIONS_MAX;
    match sent.configurations.len() {
        0 => faults.push(ResourceFault::NoPart { part: Part::IpConfigurations }),
        count if count > most => {
            faults.push(ResourceFault::TooManyParts { part: Part::IpConfigurations, most });
            return None;
        }
        _ => {}
    }
    super::twice(sent.configurations.iter().map(|configuration| &configuration.name), faults);
    for (place, configuration) in sent.configurations.iter().enumerate() {
        let name = configuration.name.clone();
        match &configuration.subnet {
            None if place == 0 => faults.push(ResourceFault::NoSubnet { configuration: name }),
            Some(subnet) if !subnet.name.as_str().eq_ignore_ascii_case(SUBNET_NAME) => {
                let subnet = subnet.clone();
                faults.push(ResourceFault::NotFirewallSubnet { configuration: name, subnet });
            }
            Some(_) if place > 0 => {
                faults.push(ResourceFault::SecondSubnet { configuration: name });
            }
            Some(_) | None => {}
        }
    }
    faults.extend(setting.references(sent.references()));
    let publics = sent.configurations.iter();
    let publics = publics.filter_map(|is| Some((&is.name, is.public_address.as_ref()?)));
    faults.extend(public_addresses(setting, publics));
    let policy = sent.policy.iter();
    faults.extend(policy.filter_map(|policy| setting.of_kind(policy, Kind::FirewallPolicies)));
    Some(View::Firewall(sent.clone()))
}

pub(super) fn policy(
    setting: &Setting<'_>,
    sent: &FirewallPolicyDraft,
    faults: &mut Vec<ResourceFault>,
) -> Option<View> {
    let groups = match sent {
        FirewallPolicyDraft::AsTheyAre => {
            let before = setting.before.and_then(|before| before.firewall_policy());
            return Some(View::FirewallPolicy(before.cloned().unwrap_or_default()));
        }
        FirewallPolicyDraft::Groups(groups) => groups,
    };
    let count = |group: &RuleCollectionGroup| {
        group.nat.iter().map(|collection| collection.rules.len()).sum::<usize>()
    };
    let rules = groups.iter().flat_map(|(_, group)| &group.nat).flat_map(|nat| &nat.rules);
    let flows = rules.map(DnatRule::flows).fold(0, usize::saturating_add);
    for (part, count, most) in [
        (Part::RuleCollectionGroups, groups.len(), GROUPS_MAX),
        (Part::DnatRules, groups.iter().map(|(_, group)| count(group)).sum(), DNAT_RULES_MAX),
        (Part::DnatFlows, flows, DNAT_FLOWS_MAX),
    ] {
        if count > most {
            faults.push(ResourceFault::TooManyParts { part, most });
        }
    }
    super::twice(groups.iter().map(|(name, _)| name), faults);
    for (_, group) in groups {
        super::twice(group.nat.iter().map(|collection| &collection.name), faults);
        let numbers = group.nat.iter().map(|collection| collection.priority);
        for value in numbers.chain([group.priority]).filter(|n| !PRIORITIES.contains(n)) {
            let (least, most) = (*PRIORITIES.start(), *PRIORITIES.end());
            faults.push(ResourceFault::PriorityOutside { value, least, most });
        }
        let rules = group.nat.iter().flat_map(|collection| &collection.rules);
        faults.extend(rules.clone().filter_map(crossed));
        // A gateway has no way to what is no machine's address.
        let to = rules.map(|rule| rule.to.address).filter(|address| unfit(*address));
        faults.extend(to.map(|address| ResourceFault::AddressUnfit { address }));
    }
    Some(View::FirewallPolicy(FirewallPolicy { groups: groups.iter().cloned().collect() }))
}

/// A flow stays in its family.
fn crossed(rule: &DnatRule) -> Option<ResourceFault> {
    let family = Family::of(rule.to.address);
    let other = rule.destinations.iter().copied().find(|at| Family::of(*at) != family);
    let other = other.or_else(|| {
        let sources = rule.sources.iter().find(|net| Family::of_net(**net) != family);
        sources.map(|net| net.addr())
    });
    let (rule, to) = (rule.name.clone(), rule.to.address);
    other.map(|address| ResourceFault::DnatFamilies { rule, address, to })
}
