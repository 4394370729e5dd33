//! What must be open now, and when that next changes.

use std::{
    cell::OnceCell,
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
    time::Duration,
};

use crate::{
    effect::{Effects, look_up},
    event::Event,
    gateway::{Carrier, Onward, Translation, Translations},
    grant::{Access, EndReason, Seen, Stage},
    id::{RequestId, VmId},
    network::{Family, Lock, Opening, Sessions},
    nsg::{hold, region::Region},
    plan::{Coverage, Desired, Observed, OpeningFailure},
    policy::{Deny, GuardCover},
    screen::{self, Screen, standing::Standing},
    state::{State, access_id},
    time::{CLOCK_BEHIND_MAX, Deadline, Now, distance},
};

pub use crate::effect::{grants_at, grants_in};

/// What must hold, for the addresses of the VMs that were loaded: a function of facts and time alone.
pub fn open_now(state: &State, now: Now) -> Desired {
    let locks = state.locks();
    let openings = until(&needs(state, &locks, now), now).collect();
    let coverage = state
        .vms
        .values()
        .flat_map(|vm| vm.addresses.iter().copied())
        .chain(state.released.iter().map(|lock| lock.address))
        .collect();
    Desired {
        coverage: Coverage::Only(coverage),
        locks,
        released: state.released.clone(),
        openings,
        standing: standing(state),
        screens: screens(state, []),
        translations: Translations::default(),
    }
}

/// What new flows to and from some addresses must meet. Of an address that no interface has, before which no
/// group stands, or whose groups let everything through: nothing.
///
/// `others` are addresses of no VM that was loaded.
pub fn screens(
    state: &State,
    others: impl IntoIterator<Item = IpAddr>,
) -> BTreeMap<IpAddr, Screen> {
    let screen = |address: IpAddr, vm: Option<&VmId>| {
        let (layers, surroundings) = state.network.around(address)?;
        layers.home()?;
        let grants = |layer| vm.is_some_and(|vm| grants_in(state, vm, layers, layer));
        let band = |layer| grants(layer).then(look_up);
        let screen = Screen::of(layers, &surroundings, Family::of(address), band);
        screen.chains().next()?;
        Some((address, screen))
    };
    let others = others.into_iter().map(|address| (address, None));
    let of_vms = state.vms.values();
    let of_vms = of_vms.flat_map(|vm| vm.addresses.iter().map(|address| (*address, Some(&vm.id))));
    // A VM's own word comes last, and counts.
    others.chain(of_vms).filter_map(|(address, vm)| screen(address, vm)).collect()
}

/// What passes the locks without an opening: what the groups let through before the lock's deny. That is what
/// was listed as standing exceptions, unless the settings let somebody break a lock since. Nothing passes a lock
/// without a deny.
pub fn standing(state: &State) -> BTreeMap<Lock, Vec<Standing>> {
    let passes = |(_, lock, deny): (&VmId, Lock, &Deny)| {
        let now = reaching(state, lock, deny);
        let passes = screen::standing::standing(&now, Family::of(lock.address));
        (!passes.is_empty()).then_some((lock, passes))
    };
    placed_locks(state).filter_map(passes).collect()
}

/// What reaches locked ports without a grant and was not listed as a standing exception: only where the
/// settings let somebody break a lock.
pub fn exposed(state: &State) -> BTreeMap<Lock, Region> {
    let more = |(_, lock, deny): (&VmId, Lock, &Deny)| {
        let listed = screen::standing::region(&deny.left, Family::of(lock.address));
        let more = reaching(state, lock, deny).minus(&listed);
        (!more.is_empty()).then_some((lock, more))
    };
    placed_locks(state).filter_map(more).collect()
}

/// The locks of the VMs that were loaded whose denies have a place.
pub(crate) fn placed_locks(state: &State) -> impl Iterator<Item = (&VmId, Lock, &Deny)> {
    let members = state.members().filter_map(|(_, member, vm)| Some((member, state.vms.get(vm)?)));
    let members = members.filter(|(member, vm)| member.instance == vm.instance);
    members.flat_map(|(member, vm)| {
        member.ports.iter().flat_map(move |rule| {
            let here = rule.denies.iter().filter(|deny| vm.addresses.contains(&deny.address));
            here.map(move |deny| (&vm.id, Lock { address: deny.address, port: rule.port }, deny))
        })
    })
}

/// What reaches a locked port without a grant; nothing where the network around it is not known.
fn reaching(state: &State, lock: Lock, deny: &Deny) -> Region {
    match state.network.around(lock.address) {
        Some((layers, surroundings)) if layers.home().is_some() => {
            hold::standing(layers, &surroundings, lock, &deny.place())
        }
        Some(_) | None => Region::nothing(),
    }
}

/// An access of a request needs an opening until then.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Need {
    /// What is needed.
    pub opening: Opening,
    /// Until when.
    pub until: Deadline,
    /// Whose it is.
    pub request: RequestId,
}

/// Who needs what open now, in the order of the openings; two can need one.
///
/// What a guard would let through although rules before the access's own drop it is left out.
///
/// While the clock cannot be right, only what was granted in this boot stays open: its end stands on the
/// boot clock, which no step moves.
pub fn needs(state: &State, locks: &BTreeMap<Lock, Sessions>, now: Now) -> Vec<Need> {
    let behind = state.clock_is_behind(now);
    let mut effects = Effects::of(state);
    let mut needs = Vec::with_capacity(state.requests.len());
    for (request, access) in state.live() {
        let Stage::Granted { since, until, .. } = access.stage else { continue };
        // An end of another boot stands on the wall clock alone: worth what that is worth.
        let believed = until.is_of_this_boot(now)
            || (!behind && distance(now.wall, since) <= CLOCK_BEHIND_MAX);
        if until.is_over(now) || !believed {
            continue;
        }
        let vm = state.vms.get(&access.vm).filter(|vm| vm.instance == access.instance);
        let openings = vm.into_iter().flat_map(|vm| access.openings(vm));
        let locked = openings.filter(|opening| {
            locks.contains_key(&opening.lock()) && !effects.guard_would_open_more(access, opening)
        });
        needs.extend(locked.map(|opening| Need { opening, until, request: request.id }));
    }
    needs.sort_by_key(|need| need.opening);
    needs
}

/// An access of a request needs a port of a public address to lead to its machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MappedNeed {
    /// Which flows.
    pub translation: Translation,
    /// Where they go on, and until when.
    pub onward: Onward,
    /// What must be open behind it first.
    pub opening: Opening,
    /// Whose it is.
    pub vm: VmId,
    /// The same.
    pub request: RequestId,
    /// Whether it was recorded as seen open.
    pub seen: bool,
}

/// Who needs which ports of public addresses now, by VM: just what needs an opening, so that there is never the one
/// without the other.
pub fn mapped_needs(
    state: &State,
    locks: &BTreeMap<Lock, Sessions>,
    now: Now,
) -> BTreeMap<VmId, Vec<MappedNeed>> {
    let mut by_vm: BTreeMap<VmId, Vec<MappedNeed>> = BTreeMap::new();
    let mapped = state.live().filter(|(_, access)| !access.mapped().is_empty());
    let of: BTreeSet<RequestId> = mapped.map(|(request, _)| request.id).collect();
    if of.is_empty() {
        return by_vm;
    }
    for need in needs(state, locks, now).into_iter().filter(|need| of.contains(&need.request)) {
        let Some(request) = state.requests.get(&need.request) else { continue };
        for access in request.accesses.iter().filter(|access| access.port == need.opening.port()) {
            let seen = access.was_seen_open();
            let leads = access.mapped().iter().filter(|mapped| {
                mapped.to.address == need.opening.address() && mapped.to.port == need.opening.port()
            });
            let led = leads.filter_map(|mapped| {
                let source = need.opening.source();
                let translation = Translation::new(source, mapped.at, Carrier::Tcp)?;
                let onward = Onward { to: mapped.to, until: Some(need.until) };
                let (vm, request) = (access.vm.clone(), need.request);
                Some(MappedNeed { translation, onward, opening: need.opening, vm, request, seen })
            });
            by_vm.entry(access.vm.clone()).or_default().extend(led);
        }
    }
    by_vm
}

/// Each opening that is needed, until the last who needs it no longer does.
pub fn until(needs: &[Need], now: Now) -> impl Iterator<Item = (Opening, Deadline)> {
    let same = needs.chunk_by(|one, next| one.opening == next.opening);
    same.filter_map(move |needs| {
        let ends = needs.iter().map(|need| need.until);
        let last = ends.reduce(|one, other| one.later_of(other, now))?;
        Some((needs.first()?.opening, last))
    })
}

/// How long until [`open_now`] or a stage changes by time alone; nothing if it never does.
pub fn next_deadline(state: &State, now: Now) -> Option<Duration> {
    // Until the clock can be right nothing begins, and what was granted in another boot stays closed.
    let believed = state.trusted_from().map_or(Duration::ZERO, |from| distance(now.wall, from));
    let accesses = state.live().filter_map(|(_, access)| match access.stage {
        Stage::Granted { until, .. } if until.is_of_this_boot(now) => Some(until.remaining(now)),
        Stage::Granted { until, .. } => Some(until.remaining(now).min(believed)),
        Stage::Planned { start } => Some(distance(now.wall, start).max(believed)),
        Stage::Ended { .. } => None,
    });
    let policies = state.policies.values();
    let confirmations =
        policies.filter_map(|policy| Some(policy.confirmation.as_ref()?.until.remaining(now)));
    let roles = state.directory.ends().map(|end| end.remaining(now));
    accesses.chain(confirmations).chain(roles).min()
}

/// What a guard's word adds to what is known: accesses first seen open, ended ones first seen closed,
/// openings it could not make, released locks it gave back.
pub fn noticed(state: &State, observed: &Observed, seen: &Seen) -> Vec<Event> {
    let mut events = Vec::new();
    let wanted = OnceCell::new();
    // Half a word is none: an access is open or closed on all addresses, or it is not known.
    let spoken_of = |openings: &[Opening]| {
        openings.iter().all(|opening| observed.coverage.has(opening.address()))
    };
    for (request, access) in state.accesses() {
        let id = || access_id(request, &access.vm, access.port);
        match &access.stage {
            // Most of what is open was seen open before, and nothing is asked of it.
            Stage::Granted { opened, .. }
                if opened.is_none()
                    || !observed.failed.is_empty()
                    || !observed.untranslated.is_empty() =>
            {
                let openings = openings(state, access);
                let led = translations(access, &openings);
                let failed = openings.iter().find_map(|opening| observed.failed.get(opening));
                let failed =
                    failed.or_else(|| led.iter().find_map(|t| observed.untranslated.get(t)));
                if let Some(failure) = failed {
                    let reason = EndReason::Failed { why: why(failure) };
                    events.push(Event::Ended { access: id(), at: seen.at, reason });
                } else if opened.is_none()
                    && spoken_of(&openings)
                    && !openings.is_empty()
                    && openings.iter().all(|opening| observed.openings.contains_key(opening))
                    // Where a firewall stands in front, the way is open once both say so.
                    && led.iter().all(|t| observed.translations.each.contains_key(t))
                {
                    events.push(Event::Opened { access: id(), seen: seen.clone() });
                }
            }
            Stage::Ended { opened: Some(_), closed: None, .. } => {
                let openings = openings(state, access);
                let still = |opening: &Opening| {
                    observed.openings.contains_key(opening)
                        && !wanted.get_or_init(|| wanted_by(state)).contains(opening)
                };
                // A VM that was forgotten or registered anew has no opening left under this access.
                if spoken_of(&openings) && !openings.iter().any(still) {
                    events.push(Event::Closed { access: id(), seen: seen.clone() });
                }
            }
            Stage::Planned { .. } | Stage::Granted { .. } | Stage::Ended { .. } => {}
        }
    }
    let unlocked: BTreeSet<Lock> = state
        .released
        .iter()
        .filter(|lock| observed.coverage.has(lock.address) && !observed.locks.contains_key(lock))
        .copied()
        .collect();
    if !unlocked.is_empty() {
        events.push(Event::Unlocked { locks: unlocked, seen: seen.clone() });
    }
    events
}

/// What an access opens on its VM as it is registered now.
fn openings(state: &State, access: &Access) -> Vec<Opening> {
    let vm = state.vms.get(&access.vm).filter(|vm| vm.instance == access.instance);
    vm.into_iter().flat_map(|vm| access.openings(vm)).collect()
}

/// The translations that lead to what an access opens.
fn translations(access: &Access, openings: &[Opening]) -> Vec<Translation> {
    let led = openings.iter().flat_map(|opening| {
        let mapped = access.mapped().iter();
        let mapped = mapped.filter(|mapped| mapped.to.address == opening.address());
        mapped.filter_map(|mapped| Translation::new(opening.source(), mapped.at, Carrier::Tcp))
    });
    led.collect()
}

/// Every opening that some running access needs, whenever it ends.
fn wanted_by(state: &State) -> BTreeSet<Opening> {
    let mut effects = Effects::of(state);
    state
        .live()
        .filter(|(_, access)| match access.stage {
            Stage::Granted { .. } => true,
            Stage::Planned { .. } | Stage::Ended { .. } => false,
        })
        .filter_map(|(_, access)| Some((access, state.vms.get(&access.vm)?)))
        .flat_map(|(access, vm)| access.openings(vm).map(move |opening| (access, opening)))
        .filter(|(access, opening)| !effects.guard_would_open_more(access, opening))
        .map(|(_, opening)| opening)
        .collect()
}

fn why(failure: &OpeningFailure) -> String {
    match failure {
        OpeningFailure::Full => "the guard holds as many openings as it can".to_owned(),
        OpeningFailure::TooFarAhead => "the guard refuses an end so far ahead".to_owned(),
        OpeningFailure::NotCovered => "the guard does not cover the address".to_owned(),
        OpeningFailure::NotLocked => "the port is not locked on the guard".to_owned(),
        OpeningFailure::Rejected(text) => format!("the guard could not open it: {text}"),
    }
}

impl Desired {
    /// The part of it that one guard is to enforce.
    pub fn within(&self, guard: &GuardCover) -> Desired {
        let has = |address: IpAddr| guard.has(address);
        Desired {
            coverage: match &self.coverage {
                Coverage::All => Coverage::All,
                Coverage::Only(addresses) => {
                    Coverage::Only(addresses.iter().copied().filter(|a| has(*a)).collect())
                }
            },
            locks: self
                .locks
                .iter()
                .filter(|(l, _)| has(l.address))
                .map(|(l, s)| (*l, *s))
                .collect(),
            released: self.released.iter().filter(|lock| has(lock.address)).copied().collect(),
            openings: self
                .openings
                .iter()
                .filter(|(opening, _)| has(opening.address()))
                .map(|(opening, until)| (*opening, *until))
                .collect(),
            standing: self
                .standing
                .iter()
                .filter(|(lock, _)| has(lock.address))
                .map(|(lock, standing)| (*lock, standing.clone()))
                .collect(),
            screens: self
                .screens
                .iter()
                .filter(|(address, _)| has(**address))
                .map(|(address, screen)| (*address, screen.clone()))
                .collect(),
            translations: self.translations.about(has),
        }
    }
}
