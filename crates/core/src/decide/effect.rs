//! Where the rules of grants and locks go, and whether they take effect there: a rule that would drop what is
//! granted refuses it before it is granted.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
};

use crate::{
    effect::is_home,
    grant::{Access, GrantRule, number_in},
    network::{Family, Lock, Opening, Port, Source},
    nsg::{
        band::{Band, NoNumber},
        group::SecurityGroup,
        id::GroupId,
        judge::{Layer, Layers},
        lockdown::{Exceptions, LockdownRefusal, lockdown},
        numbers::Numbers,
        surroundings::Surroundings,
        takes_effect::{Blocked, GrantNumbers, takes_effect},
        word::{Direction, Priority},
    },
    policy::{Deny, Member, Placement, PortRule, Settings, Vm},
    refusal::{At, Refusal},
    screen::standing::standing,
    state::{State, change_numbers},
};

/// Gives out numbers in security groups, one after the other: what was given out is taken.
#[derive(Clone)]
pub(super) struct Placing<'a> {
    state: &'a State,
    band: Band,
    ours: BTreeMap<GroupId, Numbers>,
    none: Numbers,
}

/// What is asked for, as far as its rules go.
pub(super) struct Wanted<'a> {
    pub(super) vm: &'a Vm,
    pub(super) placement: Placement,
    pub(super) rule: &'a PortRule,
    pub(super) source: Source,
    pub(super) addresses: Option<&'a BTreeSet<IpAddr>>,
}

/// An address to open, and what stands before it.
struct Met<'a> {
    opening: Opening,
    layers: Layers<'a>,
    surroundings: Surroundings,
}

impl<'a> Placing<'a> {
    pub(super) fn of(state: &'a State, settings: &Settings) -> Placing<'a> {
        let (ours, none) = (state.numbers.clone(), Numbers::default());
        Placing { state, band: settings.band, ours, none }
    }

    /// The rules of a grant: one for each group in which it makes an exception, and each family of the VM's
    /// addresses. None where no group stands before them.
    pub(super) fn grant(&mut self, wanted: &Wanted<'_>) -> Result<Vec<GrantRule>, Vec<Against>> {
        let network = &self.state.network;
        let Wanted { vm, rule, source, addresses, .. } = wanted;
        let openings = Access::openings_of(vm, *source, rule.port, *addresses);
        let met: Vec<Met<'_>> = openings
            .filter_map(|opening| {
                let (layers, surroundings) = network.around(opening.address())?;
                Some(Met { opening, layers, surroundings })
            })
            .collect();
        let mut against: Vec<Against> = Vec::new();
        let mut rules: Vec<GrantRule> = Vec::new();
        for (group, addresses, deny) in places(wanted, &met) {
            let ours = self.ours.get(group.id()).unwrap_or(&self.none);
            match self.band.free(group, ours, deny) {
                Ok(priority) => {
                    let group = group.id().clone();
                    change_numbers(&mut self.ours, &group, priority, Numbers::insert);
                    rules.push(GrantRule { group, priority, addresses });
                }
                Err(why) => against.push(Against::Number(why)),
            }
        }
        // What has no number cannot be held against the rules before it.
        if against.is_empty() {
            for blocked in met.iter().flat_map(|met| self.against(met, &rules)) {
                let same = |known: &Against| match known {
                    Against::Rule(known) => {
                        known.group == blocked.group && known.rule == blocked.rule
                    }
                    Against::Number(_) => false,
                };
                if !against.iter().any(same) {
                    against.push(Against::Rule(blocked));
                }
            }
        }
        if against.is_empty() { Ok(rules) } else { Err(against) }
    }

    /// The rules that would drop some of it.
    fn against(&self, met: &Met<'_>, rules: &[GrantRule]) -> Vec<Blocked> {
        let Met { opening, layers, surroundings } = met;
        let number = |layer| number_in(rules, layers.group(layer)?.id(), opening.address());
        let numbers = GrantNumbers { subnet: number(Layer::Subnet), nic: number(Layer::Nic) };
        takes_effect(*layers, surroundings, opening, numbers, (self.band, &self.ours))
            .err()
            .unwrap_or_default()
    }

    /// Gives back the numbers of a VM's place in a policy.
    pub(super) fn free(&mut self, member: &Member) {
        for deny in member.denies() {
            change_numbers(&mut self.ours, &deny.group, deny.priority, Numbers::remove);
        }
    }

    /// Keeps the place of each deny of a VM that can stay: it is in the group in which it would go today.
    /// Those that cannot are left out.
    pub(super) fn keep(&mut self, vm: &Vm, denies: &[Deny]) -> Vec<Deny> {
        let network = &self.state.network;
        let mut kept = Vec::with_capacity(denies.len());
        for deny in denies.iter().filter(|deny| vm.addresses.contains(&deny.address)) {
            let around = network.around(deny.address);
            let home = around.as_ref().and_then(|(layers, _)| layers.home());
            let Some((_, group)) = home.filter(|(_, group)| *group.id() == deny.group) else {
                continue;
            };
            let ours = self.ours.get(group.id());
            let ours = ours.is_some_and(|ours| ours.contains(deny.priority));
            // Given back for a while, its number may be somebody else's by now.
            let theirs = Numbers::of(group, Direction::Inbound).contains(deny.priority);
            if !ours && !theirs {
                change_numbers(&mut self.ours, &deny.group, deny.priority, Numbers::insert);
                kept.push(deny.clone());
            }
        }
        kept
    }

    /// The denies of a port: those that are kept, and one for each other address of the VM before which a
    /// group stands; with everything that stands against that.
    pub(super) fn lock(
        &mut self,
        vm: &Vm,
        port: Port,
        exceptions: Exceptions,
        kept: &[Deny],
        refusals: &mut Vec<Refusal>,
    ) -> Vec<Deny> {
        let mut denies = Vec::with_capacity(vm.addresses.len());
        for address in &vm.addresses {
            if let Some(deny) = kept.iter().find(|deny| deny.address == *address) {
                denies.push(deny.clone());
                continue;
            }
            match self.deny(Lock { address: *address, port }, exceptions) {
                Ok(deny) => denies.extend(deny),
                Err(why) => {
                    let at = At { vm: vm.id.clone(), port };
                    refusals.push(Refusal::NoPlace { at, address: *address, why });
                }
            }
        }
        denies
    }

    /// The deny of a lock; none where nothing is known of the network around the address.
    fn deny(
        &mut self,
        lock: Lock,
        exceptions: Exceptions,
    ) -> Result<Option<Deny>, LockdownRefusal> {
        let Some((layers, surroundings)) = self.state.network.around(lock.address) else {
            return Ok(None);
        };
        let home = layers.home().and_then(|(_, group)| self.ours.get(group.id()));
        let ours = home.unwrap_or(&self.none);
        let found = lockdown(layers, &surroundings, lock, exceptions, ours)?;
        change_numbers(&mut self.ours, &found.group, found.priority, Numbers::insert);
        Ok(Some(Deny {
            address: lock.address,
            group: found.group,
            priority: found.priority,
            standing: found.standing,
            left: standing(&found.left, Family::of(lock.address)),
        }))
    }
}

/// Where the rules of a grant go: group, addresses, and the number that they must stand before.
fn places<'a>(
    wanted: &Wanted<'_>,
    met: &[Met<'a>],
) -> Vec<(&'a SecurityGroup, Vec<IpAddr>, Option<Priority>)> {
    let mut places = BTreeMap::new();
    for Met { opening, layers, .. } in met {
        let address = opening.address();
        for (layer, group) in layers.in_order(Direction::Inbound) {
            let goes = is_home(*layers, layer)
                || match (layer, wanted.placement) {
                    (Layer::Subnet, Placement::NicAndSubnet) => true,
                    (Layer::Subnet, Placement::Nic) | (Layer::Nic, _) => false,
                };
            if goes {
                let key = (group.id(), Family::of(address));
                let (_, addresses) = places.entry(key).or_insert((group, BTreeSet::new()));
                addresses.insert(address);
            }
        }
    }
    let deny = |group: &GroupId, addresses: &BTreeSet<IpAddr>| {
        let denies = wanted.rule.denies.iter();
        let denies =
            denies.filter(|deny| deny.group == *group && addresses.contains(&deny.address));
        denies.map(|deny| deny.priority).min()
    };
    places
        .into_iter()
        .map(|((id, _), (group, addresses))| {
            let before = deny(id, &addresses);
            (group, addresses.into_iter().collect(), before)
        })
        .collect()
}

/// What stands against a grant's rules.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Against {
    /// Another rule would drop some of what is granted.
    Rule(Blocked),
    /// There is no number for one of them.
    Number(NoNumber),
}

impl Against {
    /// As a refusal.
    pub(super) fn refusal(self, at: &At) -> Refusal {
        let at = at.clone();
        match self {
            Against::Rule(Blocked { group, rule, priority, cure, .. }) => {
                Refusal::Blocked { at, group, rule, priority, cure }
            }
            Against::Number(why) => Refusal::NoNumber { at, why },
        }
    }

    /// In words, for the record of what was planned and cannot begin.
    pub(super) fn in_words(&self) -> String {
        match self {
            Against::Rule(Blocked { group, rule, priority, .. }) => {
                format!("the rule {rule} ({priority}) of {group} would drop it")
            }
            Against::Number(NoNumber::BandFull { group, first, before }) => {
                format!("no number from {first} on and before {before} is free in {group}")
            }
            Against::Number(NoNumber::GroupFull { group, most }) => {
                format!("{group} has {most} rules, as many as it may")
            }
        }
    }
}
