//! Access is asked for: granted at once, planned, or refused with every reason.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
    time::Duration,
};

use ipnet::IpNet;

use super::{
    directory,
    effect::{Against, Placing, Wanted},
    pricing, replaced,
};
use crate::{
    command::{AccessAsk, Ask},
    event::Event,
    gateway::mapping,
    grant::{
        ACCESSES_PER_REQUEST_MAX, Access, CLIENT_SKEW_MAX, JUSTIFICATION_CHARS_MAX,
        LIVE_PER_VM_MAX, PLANNED_AHEAD_MAX, Request, Stage, TICKET_CHARS_MAX, Window,
    },
    id::VmId,
    network::{Family, Source},
    personal::Personal,
    policy::{Coverage, OtherAddresses, PortRule, Settings, Vm, union},
    refusal::{ApprovalNeeded, At, Refusal, Refusals, SourceNeeded, TextProperty},
    state::State,
    time::{Deadline, Now, Timestamp, distance, later},
};

/// All or nothing: one refused access refuses the request, and each says why.
pub(super) fn request(
    state: &State,
    settings: &Settings,
    ask: &Ask,
    now: Now,
) -> Result<Vec<Event>, Refusals> {
    if ask.accesses.len() > ACCESSES_PER_REQUEST_MAX {
        // Not looked at one by one: each would be good for a refusal of its own, and meanwhile nobody
        // could close anything.
        return Err(Refusal::TooManyAccesses { most: ACCESSES_PER_REQUEST_MAX }.into());
    }
    directory::may_ask(state, settings, ask, now)?;
    let live = live_on(state, ask);
    let mut refusals = about_the_whole(state, &live, ask, now);
    refusals.extend(pricing::missing(state, settings, ask.policy.subscription));
    let start = match ask.start {
        Some(start) if start > now.wall => Some(start),
        Some(_) | None => None,
    };
    let mut accesses = Vec::new();
    let mut placing = Placing::of(state, settings);
    if state.policies.contains_key(&ask.policy) {
        for sent in &ask.accesses {
            match access(state, settings, (&live, &mut placing), ask, sent, start, now) {
                Ok(access) => accesses.push(access),
                Err(found) => refusals.extend(found),
            }
        }
    }
    refusals.extend(map(state, settings, &mut accesses));
    if !refusals.is_empty() {
        return Err(Refusals(refusals));
    }
    let request = Request {
        id: ask.id,
        policy: state.policies.get(&ask.policy).map_or(&ask.policy, |policy| &policy.id).clone(),
        requester: ask.requester.clone(),
        created: now.wall,
        justification: ask.justification.clone().map(Personal),
        ticket: ask.ticket.clone().map(Personal),
        accesses,
    };
    let mut replacements = Vec::new();
    for access in &request.accesses {
        if let Stage::Granted { until, .. } = access.stage {
            let older = live.get(&access.vm).into_iter().flatten().copied();
            replacements.extend(replaced(older, &request, access, until.wall, now));
        }
    }
    let mut events = vec![Event::Requested { request }];
    events.extend(replacements);
    Ok(events)
}

/// Has a port of the firewall in front lead to each machine that is granted; both or neither.
fn map(state: &State, settings: &Settings, accesses: &mut [Access]) -> Vec<Refusal> {
    let mut refusals = Vec::new();
    let mut taken = BTreeSet::clone(&state.taken);
    for access in accesses {
        let ports = mapping::of(state, settings, &mut taken, access);
        match (&mut access.stage, ports) {
            (Stage::Granted { mapped, .. }, Ok(ports)) => *mapped = ports,
            // A port is found when it begins; whether there is one will be seen then.
            (Stage::Planned { .. } | Stage::Ended { .. }, _) => {}
            (Stage::Granted { .. }, Err(found)) => {
                let at = At { vm: access.vm.clone(), port: access.port };
                refusals.extend(found.into_iter().map(|against| against.refusal(&at)));
            }
        }
    }
    refusals
}

/// What waits or runs on each VM that is asked for.
type Live<'a> = BTreeMap<&'a VmId, Vec<(&'a Request, &'a Access)>>;

/// Gathered once: a request for a thousand VMs looks at each access once, not a thousand times.
fn live_on<'a>(state: &'a State, ask: &'a Ask) -> Live<'a> {
    let mut live: Live<'a> = ask.accesses.iter().map(|sent| (&sent.vm, Vec::new())).collect();
    for (request, access) in state.live() {
        if let Some(on_vm) = live.get_mut(&access.vm) {
            on_vm.push((request, access));
        }
    }
    live
}

fn about_the_whole(state: &State, live: &Live<'_>, ask: &Ask, now: Now) -> Vec<Refusal> {
    let mut refusals = Vec::new();
    if let Some(highest) = state.highest
        && state.clock_is_behind(now)
    {
        refusals.push(Refusal::ClockBehind { now: now.wall, highest });
    }
    if state.requests.contains_key(&ask.id) {
        refusals.push(Refusal::RequestIdTaken { request: ask.id });
    }
    if !state.policies.contains_key(&ask.policy) {
        refusals.push(Refusal::PolicyNotFound { policy: ask.policy.clone() });
    }
    if ask.accesses.is_empty() {
        refusals.push(Refusal::NothingAsked);
    }
    let mut seen = BTreeSet::new();
    for access in &ask.accesses {
        if !seen.insert((&access.vm, access.port)) {
            let at = At { vm: access.vm.clone(), port: access.port };
            refusals.push(Refusal::PortTwice { at });
        }
    }
    let mut asked: BTreeMap<&VmId, usize> = BTreeMap::new();
    for access in &ask.accesses {
        *asked.entry(&access.vm).or_default() += 1;
    }
    for (vm, asked) in asked {
        if live.get(vm).map_or(0, Vec::len) + asked > LIVE_PER_VM_MAX {
            refusals.push(Refusal::TooManyOnVm { vm: vm.clone(), most: LIVE_PER_VM_MAX });
        }
    }
    let texts = [
        (&ask.justification, TextProperty::Justification, JUSTIFICATION_CHARS_MAX),
        (&ask.ticket, TextProperty::Ticket, TICKET_CHARS_MAX),
    ];
    for (text, property, most) in texts {
        if text.as_ref().is_some_and(|text| text.chars().count() > most) {
            refusals.push(Refusal::TextTooLong { property, most });
        }
    }
    if let Some(start) = ask.start {
        if distance(start, now.wall) > CLIENT_SKEW_MAX {
            refusals.push(Refusal::StartInPast { start, now: now.wall });
        }
        let furthest = later(now.wall, PLANNED_AHEAD_MAX);
        if start > furthest {
            refusals.push(Refusal::StartTooFarAhead { start, furthest });
        }
    }
    refusals
}

fn access(
    state: &State,
    settings: &Settings,
    (live, placing): (&Live<'_>, &mut Placing<'_>),
    ask: &Ask,
    sent: &AccessAsk,
    start: Option<Timestamp>,
    now: Now,
) -> Result<Access, Vec<Refusal>> {
    let at = At { vm: sent.vm.clone(), port: sent.port };
    let Some(vm) = state.vms.get(&sent.vm) else {
        return Err(vec![Refusal::VmNotFound { vm: sent.vm.clone() }]);
    };
    let member = state.policies.get(&ask.policy).and_then(|policy| policy.members.get(&sent.vm));
    let Some(member) = member.filter(|member| member.instance == vm.instance) else {
        let policy = ask.policy.clone();
        return Err(vec![Refusal::VmNotInPolicy { vm: sent.vm.clone(), policy }]);
    };
    let Some(rule) = member.rule(sent.port) else {
        let ports = member.ports.iter().map(|rule| rule.port).collect();
        return Err(vec![Refusal::PortNotInPolicy { at, ports }]);
    };
    let mut refusals = Vec::new();
    if settings.guard_of(vm).is_none() {
        refusals.push(Refusal::NotEnforced { vm: vm.id.clone() });
    }
    let only = sent.addresses.as_ref();
    let strangers = only.into_iter().flatten().filter(|address| !vm.addresses.contains(address));
    let stranger = |address: &IpAddr| Refusal::AddressNotOfVm {
        at: at.clone(),
        address: *address,
        addresses: vm.addresses.clone(),
    };
    refusals.extend(strangers.map(stranger));
    if only.is_some_and(BTreeSet::is_empty) {
        refusals.push(Refusal::NoAddress);
    }
    // The families of what is asked for, not of all that the VM has.
    let part = only.filter(|_| refusals.is_empty()).map(|only| part_of(vm, only));
    let asked_of = part.as_ref().unwrap_or(vm);
    let source = source(live, ask, sent, asked_of, rule, &at);
    let mut rules = Vec::new();
    if let Ok(source) = source {
        let placement = member.placement;
        let wanted = Wanted { vm: asked_of, placement, rule, source, addresses: only };
        match (placing.grant(&wanted), start) {
            (Ok(placed), None) => rules = placed,
            // A number is taken when it begins; whether there is one will be seen then.
            (Ok(_), Some(_)) => {}
            (Err(found), None) => refusals.extend(found.into_iter().map(|one| one.refusal(&at))),
            (Err(found), Some(_)) => {
                let found = found.into_iter().filter(|one| !matches!(one, Against::Number(_)));
                refusals.extend(found.map(|one| one.refusal(&at)));
            }
        }
    }
    if !rule.sign_in.is_met(ask.sign_in, now.wall) {
        let (at, demand, was) = (at.clone(), rule.sign_in, ask.sign_in);
        refusals.push(Refusal::SignInNeeded { at, demand, was });
    }
    let begin = start.unwrap_or(now.wall);
    let window = window(settings, sent.window, rule, begin, &at);
    match (source, window) {
        (Ok(source), Ok(window)) if refusals.is_empty() => Ok(Access {
            vm: vm.id.clone(),
            instance: vm.instance,
            port: sent.port,
            source,
            addresses: sent.addresses.clone(),
            window,
            stage: match start {
                Some(start) => Stage::Planned { start },
                None => {
                    let until = end(window, now);
                    let (since, mapped) = (now.wall, Vec::new());
                    Stage::Granted { since, until, opened: None, rules, mapped }
                }
            },
        }),
        (source, window) => {
            refusals.extend(source.err());
            refusals.extend(window.err());
            Err(refusals)
        }
    }
}

/// A VM as if it had these of its addresses alone.
fn part_of(vm: &Vm, only: &BTreeSet<IpAddr>) -> Vm {
    let addresses = vm.addresses.iter().filter(|address| only.contains(address));
    Vm { addresses: addresses.copied().collect(), ..vm.clone() }
}

fn end(window: Window, now: Now) -> Deadline {
    match window {
        Window::Until(end) => now.until(end),
        Window::For(length) => now.after(length),
    }
}

/// The source, if the policy lets it pass without somebody else's yes.
fn source(
    live: &Live<'_>,
    ask: &Ask,
    sent: &AccessAsk,
    vm: &Vm,
    rule: &PortRule,
    at: &At,
) -> Result<Source, Refusal> {
    let source = match sent.source {
        Some(source) => source,
        None => own_source(ask, vm, at)?,
    };
    let at = at.clone();
    let families = vm.families();
    if !source.families().iter().any(|family| families.contains(family)) {
        return Err(Refusal::NoAddressInFamily { at, source, families });
    }
    match rule.allowed.coverage(source) {
        Coverage::No => {
            let allowed = rule.allowed.sources().to_vec();
            Err(Refusal::SourceNotAllowed { at, source, allowed })
        }
        Coverage::Named => match too_wide(live, ask, vm, rule, source) {
            Some(why) => Err(Refusal::ApprovalRequired { at, source, why }),
            None => Ok(source),
        },
        Coverage::OnlyAny => {
            let own = ask.address.own();
            let others = match rule.other_addresses {
                OtherAddresses::Allowed => source.single().is_some(),
                OtherAddresses::Approval => false,
            };
            if others || (own.is_some() && source.single() == own) {
                Ok(source)
            } else {
                let why = ApprovalNeeded::NotOwnAddress { own };
                Err(Refusal::ApprovalRequired { at, source, why })
            }
        }
    }
}

fn own_source(ask: &Ask, vm: &Vm, at: &At) -> Result<Source, Refusal> {
    let seen = ask.address.seen();
    let needed = |why| Refusal::SourceNeeded { at: at.clone(), seen, why };
    let own = ask.address.own().ok_or_else(|| needed(SourceNeeded::Nobodys))?;
    if vm.addresses_of(Family::of(own)).next().is_none() {
        return Err(needed(SourceNeeded::OtherFamily));
    }
    Ok(Source::Address(own))
}

/// Whether the person's live sources on that VM and port, with this one, are wider than passes.
fn too_wide(
    live: &Live<'_>,
    ask: &Ask,
    vm: &Vm,
    rule: &PortRule,
    source: Source,
) -> Option<ApprovalNeeded> {
    source.families().into_iter().find_map(|family| {
        let widest = rule.widest_unapproved.of(family);
        let nets: Vec<IpNet> = live
            .get(&vm.id)
            .into_iter()
            .flatten()
            .filter(|(request, access)| {
                access.port == rule.port && request.requester.id == ask.requester.id
            })
            .map(|(_, access)| access.source)
            .chain([source])
            .filter_map(|source| source.within(family))
            .collect();
        let most = hosts_of_length(widest, family);
        // Counted twice where they overlap they are no fewer: mostly that tells enough.
        let wide = widest > 0 && hosts(&nets) > most && hosts(&union(nets.into_iter())) > most;
        wide.then_some(ApprovalNeeded::TooWide { widest, family })
    })
}

/// How many addresses the prefixes have, each counted by itself.
fn hosts(nets: &[IpNet]) -> u128 {
    nets.iter().fold(0, |sum: u128, net| {
        sum.saturating_add(hosts_of_length(net.prefix_len(), Family::of_net(*net)))
    })
}

fn hosts_of_length(length: u8, family: Family) -> u128 {
    let free = u32::from(family.all().max_prefix_len().saturating_sub(length));
    1u128.checked_shl(free).unwrap_or(u128::MAX)
}

/// How long it lasts; the policy's longest where not said.
fn window(
    settings: &Settings,
    sent: Option<Window>,
    rule: &PortRule,
    begin: Timestamp,
    at: &At,
) -> Result<Window, Refusal> {
    let longest = rule.longest;
    let (asked, skew) = match sent {
        None => (longest, Duration::ZERO),
        Some(Window::For(length)) => (length, Duration::ZERO),
        Some(Window::Until(end)) if end <= begin => {
            return Err(Refusal::EndInPast { at: at.clone(), end, begin });
        }
        // The end was computed on the client's clock: a little too far is a clock, not a wish.
        Some(Window::Until(end)) => (distance(begin, end), CLIENT_SKEW_MAX),
    };
    if asked < settings.shortest_access {
        let shortest = settings.shortest_access;
        return Err(Refusal::TooShort { at: at.clone(), asked, shortest });
    }
    if asked > longest.saturating_add(skew) {
        return Err(Refusal::LongerThanPolicy { at: at.clone(), asked, longest });
    }
    Ok(match sent {
        Some(Window::Until(end)) => Window::Until(end.min(later(begin, longest))),
        Some(Window::For(_)) | None => Window::For(asked),
    })
}
