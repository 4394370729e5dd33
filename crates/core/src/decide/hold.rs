//! The lock is an invariant: a change of the network that would let flows through to a locked port which
//! nobody granted is refused; or made known, where the settings allow it. And what runs and is dropped by a
//! rule since is told.
//!
//! A policy that is set cannot break another's lock: what it places are denies of its own ports. Its own it could
//! break where a deny moves to another group, so what would newly pass there is asked too ([`Moves`]). A VM that is
//! registered breaks none: while a policy holds it, its addresses stay.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
    sync::Arc,
};

use super::lead;
use crate::{
    effect::Effects,
    event::{Event, LetBy, LockBreak},
    grant::{Access, Request},
    id::VmId,
    network::{Family, Lock},
    nsg::{
        addresses::Addresses,
        flow::{Carried, Flow, Transport},
        group::SecurityGroup,
        hold::{breaks, standing},
        judge::Layers,
        region::Region,
        rule::SecurityRule,
        surroundings::Surroundings,
        takes_effect::Blocked,
        word::{Direction, Side},
    },
    open::placed_locks,
    policy::{Deny, Settings},
    refusal::{Refusal, Refusals},
    resource::{Network, ResourceId},
    state::{State, access_id},
};

/// What comes of a change of the network, all that one decision changes: that, and what it does to locks and
/// accesses.
pub(super) fn held(
    state: &State,
    settings: &Settings,
    mut events: Vec<Event>,
) -> Result<Vec<Event>, Refusals> {
    // One without a place is closed altogether, whatever the rules say.
    let locks: Vec<(&VmId, Lock, &Deny)> = placed_locks(state).collect();
    let runs = state.live().next().is_some();
    if locks.is_empty() && !runs {
        return Ok(events);
    }
    let mut imagined = State { network: Arc::clone(&state.network), ..State::default() };
    let concerned = imagined.evolve_all(&events);
    let after = imagined.network;
    let broken = broken(&state.network, &after, &locks, &concerned);
    let mut against = lead::against(state, &after);
    if !settings.allow_lock_breaks {
        let refusal = |broken: &LockBreak| Refusal::LockWouldBreak { broken: broken.clone() };
        against.extend(broken.iter().map(refusal));
    }
    if !against.is_empty() {
        return Err(Refusals(against));
    }
    events.extend(broken.into_iter().map(|broken| Event::LockBroken { broken }));
    events.extend(blocked(state, &after, &concerned));
    Ok(events)
}

fn broken(
    before: &Network,
    after: &Network,
    locks: &[(&VmId, Lock, &Deny)],
    concerned: &BTreeSet<IpAddr>,
) -> Vec<LockBreak> {
    let (mut before, mut after) = (Reaching::of(before), Reaching::of(after));
    let concerned = locks.iter().filter(|(_, lock, _)| concerned.contains(&lock.address));
    concerned
        .filter_map(|(vm, lock, deny)| {
            // Where nothing was known of the network, nothing stood before the address.
            let was = before.region(*lock, deny)?;
            let new = match after.region(*lock, deny) {
                Some(is) => breaks(&was, &Region::nothing(), &is)?,
                None => breaks(&was, &Region::nothing(), &everything(*lock))?,
            };
            Some(told(&mut before, &mut after, vm, (*lock, Some(deny), deny), &new))
        })
        .collect()
}

/// What would newly reach locked ports if their denies stood elsewhere than they do, in one network.
pub(super) struct Moves<'a> {
    before: Reaching<'a>,
    after: Reaching<'a>,
}

impl<'a> Moves<'a> {
    pub(super) fn within(network: &'a Network) -> Moves<'a> {
        Moves { before: Reaching::of(network), after: Reaching::of(network) }
    }

    /// What a deny lets through that `was` does not; that is none where the lock has no place, and nothing
    /// reaches its port.
    pub(super) fn opens(
        &mut self,
        vm: &VmId,
        lock: Lock,
        was: Option<&Deny>,
        deny: &Deny,
    ) -> Option<LockBreak> {
        let is = self.after.region(lock, deny)?;
        let was_region = match was {
            Some(was) => self.before.region(lock, was)?,
            None => Region::nothing(),
        };
        let new = breaks(&was_region, &Region::nothing(), &is)?;
        Some(told(&mut self.before, &mut self.after, vm, (lock, was, deny), &new))
    }
}

fn everything(lock: Lock) -> Region {
    Region::from(&Addresses::family(Family::of(lock.address)))
}

/// What would newly pass, by one example, and the rule that would let it.
fn told(
    before: &mut Reaching<'_>,
    after: &mut Reaching<'_>,
    vm: &VmId,
    (lock, was, deny): (Lock, Option<&Deny>, &Deny),
    new: &Region,
) -> LockBreak {
    let flow = new.example(lock);
    let by = flow.as_ref().and_then(|flow| {
        let is = after.deciding(lock, deny, flow);
        let changed = if was.is_some_and(|was| was.place() == deny.place()) {
            let was = before.deciding(lock, deny, flow);
            // The rule that is another than before, or is in another group: that is what changed.
            is.iter().find(|by| !was.contains(by))
        } else {
            // No rule changed: it is the one that stands before the deny where that goes.
            is.iter().find(|(group, _)| *group.id() == deny.group)
        };
        changed.or_else(|| is.last()).map(|(group, rule)| LetBy {
            group: group.id().clone(),
            rule: rule.name().clone(),
            priority: rule.priority(),
        })
    });
    LockBreak {
        vm: vm.clone(),
        lock,
        group: deny.group.clone(),
        deny: deny.priority,
        from: flow.as_ref().map_or(lock.address, |flow| flow.address(Side::Source)),
        transport: flow.as_ref().map_or(Transport::Tcp, transport),
        by,
    }
}

fn transport(flow: &Flow) -> Transport {
    match flow.carried() {
        Carried::Ports { transport, .. } => transport,
        Carried::Portless(_) => Transport::Other,
    }
}

/// What reaches locked ports in one network. Machines behind the same groups mostly meet the same rules, so
/// what was worked out for one is looked up for the next.
struct Reaching<'a> {
    network: &'a Network,
    around: BTreeMap<IpAddr, Option<(Layers<'a>, Surroundings)>>,
    regions: BTreeMap<Key, Region>,
}

/// The network whose names are meant, the family, the groups, and the rules of them that say something, by
/// where they lie.
type Key = (Option<ResourceId>, Family, Vec<usize>, Vec<usize>);

impl<'a> Reaching<'a> {
    fn of(network: &'a Network) -> Reaching<'a> {
        Reaching { network, around: BTreeMap::new(), regions: BTreeMap::new() }
    }

    fn around(&mut self, address: IpAddr) -> Option<&(Layers<'a>, Surroundings)> {
        let network = self.network;
        self.around.entry(address).or_insert_with(|| network.around(address)).as_ref()
    }

    /// What reaches a locked port without a grant; none where nothing is known of the network around it.
    fn region(&mut self, lock: Lock, deny: &Deny) -> Option<Region> {
        let within = self.network.within(lock.address);
        let (layers, surroundings) = self.around(lock.address)?;
        let rules = speaking(*layers, surroundings, lock, deny);
        let rules = rules.iter().map(|(_, rule)| std::ptr::from_ref(*rule).addr()).collect();
        let groups = layers.in_order(Direction::Inbound);
        let groups = groups.map(|(_, group)| std::ptr::from_ref(group).addr()).collect();
        let key = (within, Family::of(lock.address), groups, rules);
        if let Some(known) = self.regions.get(&key) {
            return Some(known.clone());
        }
        let (layers, surroundings) = self.around(lock.address)?;
        let found = standing(*layers, surroundings, lock, &deny.place());
        self.regions.insert(key, found.clone());
        Some(found)
    }

    /// The rule of each layer that decides a flow without a grant, before the deny.
    fn deciding(
        &mut self,
        lock: Lock,
        deny: &Deny,
        flow: &Flow,
    ) -> Vec<(&'a SecurityGroup, &'a SecurityRule)> {
        let Some((layers, surroundings)) = self.around(lock.address) else { return Vec::new() };
        let mut decide: Vec<(&SecurityGroup, &SecurityRule)> = Vec::new();
        for (group, rule) in speaking(*layers, surroundings, lock, deny) {
            let first = !decide.iter().any(|(decided, _)| decided.id() == group.id());
            if first && rule.matches(flow, surroundings) {
                decide.push((group, rule));
            }
        }
        decide
    }
}

/// The rules that say something of flows to a locked port, in order: in the group of its deny those before it.
fn speaking<'a>(
    layers: Layers<'a>,
    surroundings: &Surroundings,
    lock: Lock,
    deny: &Deny,
) -> Vec<(&'a SecurityGroup, &'a SecurityRule)> {
    let of = |group: &'a SecurityGroup| {
        let has_deny = *group.id() == deny.group;
        let rules = group.in_order(Direction::Inbound);
        let before = rules.take_while(move |rule| !has_deny || rule.priority() < deny.priority);
        before.filter(|rule| rule.is_to(lock, surroundings)).map(move |rule| (group, rule))
    };
    layers.in_order(Direction::Inbound).flat_map(|(_, group)| of(group)).collect()
}

/// Running accesses that a rule drops since, and those that none does any more.
fn blocked(state: &State, after: &Network, concerned: &BTreeSet<IpAddr>) -> Vec<Event> {
    let (mut before, mut after) = (Effects::of(state), Effects::within(state, after));
    let touched: BTreeSet<&VmId> = state
        .vms
        .values()
        .filter(|vm| vm.addresses.iter().any(|address| concerned.contains(address)))
        .map(|vm| &vm.id)
        .collect();
    let accesses = state.live().filter(|(_, access)| touched.contains(&access.vm));
    accesses
        .filter_map(|(request, access)| {
            change(request, access, before.blocked(access), after.blocked(access))
        })
        .collect()
}

fn change(
    request: &Request,
    access: &Access,
    before: Vec<Blocked>,
    after: Vec<Blocked>,
) -> Option<Event> {
    let access = access_id(request, &access.vm, access.port);
    let first = |blocked: Vec<Blocked>| {
        let first = blocked.into_iter().next();
        first.map(|Blocked { group, rule, priority, .. }| (group, rule, priority))
    };
    match (first(before), first(after)) {
        (None, None) => None,
        (Some(_), None) => Some(Event::AccessUnblocked { access }),
        (before, Some(after)) if before.as_ref() == Some(&after) => None,
        (_, Some((group, rule, priority))) => {
            Some(Event::AccessBlocked { access, group, rule, priority })
        }
    }
}
