//! What a lock does to the rules around its port: which it closes, which stay in force beside it, and from
//! where the port is reached all the same. For whoever looks at a policy before or after it is set.

use std::net::IpAddr;

use ipnet::IpNet;

use crate::{
    network::{Family, Lock},
    nsg::{
        addresses::Addresses,
        hold,
        id::GroupId,
        lockdown::{AnySource, Numbered, WhyAny, allows},
        name::RuleName,
        region::Region,
        word::{Priority, Side},
    },
    policy::{Deny, Member, PortRule, Vm},
    resource::Network,
    screen::standing::region,
};

/// What is to be said of one locked port of one address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LockFacts {
    /// The address.
    pub address: IpAddr,
    /// Where its deny stands; none where nothing was known of the network around it: then all of it is closed.
    pub deny: Option<(GroupId, Priority)>,
    /// Allows from any source that have no effect on the port any more.
    pub closes: Vec<Allow>,
    /// Allows before the deny: they stay in force as far as other rules let them.
    pub standing: Vec<Allow>,
    /// Allows with a narrow source behind the deny: they have no effect on the port any more either.
    pub shadowed: Vec<Allow>,
    /// From where the port is reached without a grant, through every group before the address.
    pub reachable: Vec<IpNet>,
    /// What of that was not listed when the port was locked: the settings let somebody break the lock.
    pub exposed: Vec<IpNet>,
}

/// An allow rule that speaks of the port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Allow {
    /// Its name.
    pub rule: RuleName,
    /// Its number.
    pub priority: Priority,
    /// Its sources, as they were sent.
    pub sources: Vec<String>,
    /// Why they count as any; none where they are narrow.
    pub why: Option<WhyAny>,
}

/// The facts of a port of a VM, address by address; none of a VM that was registered anew since it was locked.
pub fn of_port(network: &Network, vm: &Vm, member: &Member, rule: &PortRule) -> Vec<LockFacts> {
    if vm.instance != member.instance {
        return Vec::new();
    }
    let of = |address: &IpAddr| {
        let lock = Lock { address: *address, port: rule.port };
        rule.deny(*address).and_then(|deny| placed(network, lock, deny)).unwrap_or(LockFacts {
            address: *address,
            deny: None,
            closes: Vec::new(),
            standing: Vec::new(),
            shadowed: Vec::new(),
            reachable: Vec::new(),
            exposed: Vec::new(),
        })
    };
    vm.addresses.iter().map(of).collect()
}

/// Of a lock whose deny has a place; none where nothing is known of the network around its address by now.
fn placed(network: &Network, lock: Lock, deny: &Deny) -> Option<LockFacts> {
    let (layers, surroundings) = network.around(lock.address)?;
    layers.home()?;
    let left = hold::standing(layers, &surroundings, lock, &deny.place());
    let listed = region(&deny.left, Family::of(lock.address));
    let mut facts = LockFacts {
        address: lock.address,
        deny: Some((deny.group.clone(), deny.priority)),
        closes: Vec::new(),
        standing: Vec::new(),
        shadowed: Vec::new(),
        reachable: from(&left),
        exposed: from(&left.minus(&listed)),
    };
    let mut groups = [layers.subnet, layers.nic].into_iter().flatten();
    // One that is joined to both is the same one, and its rules are told once.
    if let Some(group) = groups.find(|group| *group.id() == deny.group) {
        let (any, narrow) = allows(group, &surroundings, lock);
        let told = |rule: Numbered, why| {
            let places = group.rule(&rule.rule).map(|rule| rule.places(Side::Source).texts());
            let Numbered { rule, priority } = rule;
            Allow { rule, priority, sources: places.unwrap_or_default(), why }
        };
        let any = any.into_iter().map(|AnySource { rule, why }| told(rule, Some(why)));
        for allow in any.chain(narrow.into_iter().map(|rule| told(rule, None))) {
            let list = match (allow.priority < deny.priority, allow.why) {
                (true, _) => &mut facts.standing,
                (false, Some(_)) => &mut facts.closes,
                (false, None) => &mut facts.shadowed,
            };
            list.push(allow);
        }
        facts.standing.sort_by_key(|allow| allow.priority);
    }
    Some(facts)
}

/// The addresses that a region has, over whatever transport.
fn from(region: &Region) -> Vec<IpNet> {
    let sources: Addresses = region.sources();
    sources.prefixes()
}
