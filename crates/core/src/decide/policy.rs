//! Policies are set, confirmed, removed; and what that does to the accesses under them.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use super::{check, effect::Placing, ended, hold::Moves, pricing};
use crate::{
    command::{MemberDraft, PolicyDraft, PortDraft, Precondition},
    eligible::{Reason, reasons},
    event::{Event, LockBreak, PolicySetBecause},
    grant::{EndReason, Stage},
    id::{PolicyId, VmId},
    network::{Family, Lock, Port, Sessions},
    nsg::lockdown::Exceptions,
    policy::{
        Confirmation, Coverage, Deny, LONGEST_ACCESS_MAX, Member, PORTS_PER_VM_MAX, Policy,
        PortRule, SIGNED_IN_WITHIN_MAX, SIGNED_IN_WITHIN_MIN, SOURCES_PER_RULE_MAX, Settings,
        VMS_PER_POLICY_MAX, Vm,
    },
    refusal::{At, Refusal, Refusals, TextProperty},
    state::{State, access_id},
    time::{Now, distance, later},
};

/// Longest `kind`, in characters.
const KIND_CHARS_MAX: usize = 64;
/// The shortest time to confirm a risky lock in: less cannot be met by a person.
const CONFIRM_WITHIN_MIN: Duration = Duration::from_secs(1);
/// The longest: more is forgotten, and a forgotten roll-back opens ports.
const CONFIRM_WITHIN_MAX: Duration = Duration::from_hours(1);

/// Sets a policy as sent, with what was stored of our own properties where they were left out.
pub(super) fn set(
    state: &State,
    settings: &Settings,
    draft: &PolicyDraft,
    only_if: Precondition,
    confirm_within: Option<Duration>,
    now: Now,
) -> Result<Vec<Event>, Refusals> {
    let stored = state.policies.get(&draft.id);
    check(only_if, stored.map(|policy| policy.version))?;
    let mut refusals = too_much(draft);
    if !refusals.is_empty() {
        return Err(Refusals(refusals));
    }
    if let Some(pending) = stored.and_then(|policy| policy.confirmation.as_ref()) {
        refusals.push(Refusal::ConfirmationPending { until: pending.until.wall });
    }
    let mut members = members(state, settings, draft, &mut refusals);
    if adds(stored, &members) {
        refusals.extend(pricing::missing(state, settings, draft.id.subscription));
    }
    if refusals.is_empty() {
        place(state, settings, stored, &mut members, &mut refusals);
    }
    if refusals.is_empty() && !settings.allow_lock_breaks {
        refusals.extend(moved(state, stored, &members));
    }
    if confirm_within.is_none() {
        refusals.extend(risky(state, settings, &members));
    }
    if let Some(within) = confirm_within
        && !(CONFIRM_WITHIN_MIN..=CONFIRM_WITHIN_MAX).contains(&within)
    {
        let (least, most) = (CONFIRM_WITHIN_MIN, CONFIRM_WITHIN_MAX);
        refusals.push(Refusal::ConfirmWithinOutOfBounds { least, most });
    }
    if !refusals.is_empty() {
        return Err(Refusals(refusals));
    }
    if let Some(policy) = stored
        && policy.members == members
        && policy.kind == draft.kind
        && confirm_within.is_none()
    {
        return Ok(Vec::new());
    }
    let before = stored.map(Policy::before);
    let confirmation = confirm_within
        .map(|within| Confirmation { until: now.after(within), before: before.clone() });
    let id = stored.map_or(&draft.id, |policy| &policy.id).clone();
    Ok(with_consequences(
        state,
        Event::PolicySet {
            id: id.clone(),
            kind: draft.kind.clone(),
            version: stored.map_or(1, |policy| policy.version + 1),
            members,
            confirmation,
            before,
            why: PolicySetBecause::Asked,
        },
        &id,
        now,
    ))
}

/// Whether two rules ask for the same, wherever their denies stand.
fn same(known: &PortRule, rule: &PortRule) -> bool {
    PortRule { denies: rule.denies.clone(), ..known.clone() } == *rule
}

/// Whether a policy would hold anything that it does not hold as it stands. To take away needs no plan.
fn adds(stored: Option<&Policy>, members: &BTreeMap<VmId, Member>) -> bool {
    let known = |vm: &VmId| stored.and_then(|policy| policy.members.get(vm));
    members.iter().any(|(vm, member)| {
        known(vm).is_none_or(|known| {
            known.instance != member.instance
                || known.placement != member.placement
                || member
                    .ports
                    .iter()
                    .any(|rule| known.rule(rule.port).is_none_or(|is| !same(is, rule)))
        })
    })
}

/// Gives every lock its place: one that is stored and unchanged keeps its own, so that a PUT which changes
/// nothing changes nothing.
fn place(
    state: &State,
    settings: &Settings,
    stored: Option<&Policy>,
    members: &mut BTreeMap<VmId, Member>,
    refusals: &mut Vec<Refusal>,
) {
    let mut placing = Placing::of(state, settings);
    stored.into_iter().flat_map(|policy| policy.members.values()).for_each(|m| placing.free(m));
    let vm = |id: &VmId| state.vms.get(id);
    // What stays is kept before anything new is placed: it may not lose its number to that.
    for (id, member) in &mut *members {
        let before = stored.and_then(|policy| policy.members.get(id));
        let before = before.filter(|before| before.instance == member.instance);
        let (Some(vm), Some(before)) = (vm(id), before) else { continue };
        for rule in &mut member.ports {
            let old = before.rule(rule.port).filter(|old| old.exceptions == rule.exceptions);
            rule.denies = old.map(|old| placing.keep(vm, &old.denies)).unwrap_or_default();
        }
    }
    for (id, member) in members {
        let Some(vm) = vm(id) else { continue };
        for rule in &mut member.ports {
            let kept = std::mem::take(&mut rule.denies);
            rule.denies = placing.lock(vm, rule.port, rule.exceptions, &kept, refusals);
        }
    }
}

/// Denies that move because other groups stand before their addresses than did, and would let through there what
/// nobody granted: rules that were no exceptions when the port was locked do not become any by a later PUT. Whoever
/// changes what becomes of exceptions asks for that.
fn moved(state: &State, stored: Option<&Policy>, members: &BTreeMap<VmId, Member>) -> Vec<Refusal> {
    let mut moves = Moves::within(&state.network);
    let mut refusals = Vec::new();
    for (id, member) in members {
        let before = stored.and_then(|policy| policy.members.get(id));
        let Some(before) = before.filter(|before| before.instance == member.instance) else {
            continue;
        };
        for rule in &member.ports {
            let old = before.rule(rule.port).filter(|old| old.exceptions == rule.exceptions);
            let broken = old.map(|old| opens(&mut moves, id, old, rule)).unwrap_or_default();
            let refusal = |broken| Refusal::LockWouldBreak { broken };
            refusals.extend(broken.into_iter().map(refusal));
        }
    }
    refusals
}

/// What denies that stand elsewhere than before would newly let through.
fn opens(moves: &mut Moves<'_>, vm: &VmId, old: &PortRule, rule: &PortRule) -> Vec<LockBreak> {
    let opens = |deny: &Deny| {
        let was = old.deny(deny.address);
        let lock = Lock { address: deny.address, port: rule.port };
        let stays = was.is_some_and(|was| was.place() == deny.place());
        if stays { None } else { moves.opens(vm, lock, was, deny) }
    };
    rule.denies.iter().filter_map(opens).collect()
}

/// Keeps a policy that waits for confirmation.
pub(super) fn confirm(state: &State, id: &PolicyId) -> Result<Vec<Event>, Refusals> {
    let policy =
        state.policies.get(id).ok_or_else(|| Refusal::PolicyNotFound { policy: id.clone() })?;
    match policy.confirmation {
        Some(_) => Ok(vec![Event::PolicyConfirmed { id: policy.id.clone() }]),
        None => Err(Refusal::NothingToConfirm { policy: policy.id.clone() }.into()),
    }
}

/// Removes a policy and withdraws every access under it.
pub(super) fn remove(
    state: &State,
    id: &PolicyId,
    only_if: Precondition,
    now: Now,
) -> Result<Vec<Event>, Refusals> {
    let policy = state.policies.get(id);
    check(only_if, policy.map(|policy| policy.version))?;
    let policy = policy.ok_or_else(|| Refusal::PolicyNotFound { policy: id.clone() })?;
    let event = Event::PolicyRemoved {
        id: policy.id.clone(),
        before: policy.before(),
        why: PolicySetBecause::Asked,
    };
    Ok(with_consequences(state, event, id, now))
}

/// Puts back what stood before a change that nobody confirmed.
pub(super) fn roll_back(
    state: &State,
    settings: &Settings,
    id: &PolicyId,
    confirmation: Confirmation,
    now: Now,
) -> Vec<Event> {
    let Some(policy) = state.policies.get(id) else { return Vec::new() };
    let why = PolicySetBecause::NotConfirmed;
    let before =
        confirmation.before.map(|before| (before.kind, still_there(state, id, before.members)));
    let event = match before {
        Some((kind, mut members)) if !members.is_empty() => {
            put_back(state, settings, policy, &mut members);
            Event::PolicySet {
                id: policy.id.clone(),
                kind,
                version: policy.version + 1,
                members,
                confirmation: None,
                before: Some(policy.before()),
                why,
            }
        }
        Some(_) | None => {
            Event::PolicyRemoved { id: policy.id.clone(), before: policy.before(), why }
        }
    };
    with_consequences(state, event, id, now)
}

/// Locks that are put back get their places back. Where one is taken by now, the lock gets another; where
/// there is none, it stands without, and nothing passes it but what is granted.
fn put_back(
    state: &State,
    settings: &Settings,
    policy: &Policy,
    members: &mut BTreeMap<VmId, Member>,
) {
    let (mut placing, mut moves) = (Placing::of(state, settings), Moves::within(&state.network));
    policy.members.values().for_each(|member| placing.free(member));
    for (id, member) in &mut *members {
        let Some(vm) = state.vms.get(id) else { continue };
        for rule in &mut member.ports {
            rule.denies = placing.keep(vm, &rule.denies);
        }
    }
    for (id, member) in members {
        let Some(vm) = state.vms.get(id) else { continue };
        for rule in &mut member.ports {
            let kept = std::mem::take(&mut rule.denies);
            let before = placing.clone();
            rule.denies = placing.lock(vm, rule.port, rule.exceptions, &kept, &mut Vec::new());
            // Nobody is there to hear a refusal: what would newly pass is closed too.
            let locked = policy.members.get(id).and_then(|member| member.rule(rule.port));
            if locked.is_some_and(|locked| !opens(&mut moves, id, locked, rule).is_empty()) {
                placing = before;
                let taken = Exceptions::Taken;
                rule.denies = placing.lock(vm, rule.port, taken, &kept, &mut Vec::new());
            }
        }
    }
}

/// What can still be put back: while the change waited, a VM that it had left out may have gone or been
/// registered anew, and another policy may have taken a port of it.
fn still_there(
    state: &State,
    id: &PolicyId,
    members: BTreeMap<VmId, Member>,
) -> BTreeMap<VmId, Member> {
    members
        .into_iter()
        .filter(|(vm, member)| state.vms.get(vm).is_some_and(|vm| vm.instance == member.instance))
        .filter_map(|(vm, mut member)| {
            member.ports.retain(|rule| other_holding(state, id, &vm, rule.port).is_none());
            (!member.ports.is_empty()).then_some((vm, member))
        })
        .collect()
}

/// The policy, not `id`, that holds that port of a VM.
fn other_holding<'a>(
    state: &'a State,
    id: &PolicyId,
    vm: &'a VmId,
    port: Port,
) -> Option<&'a Policy> {
    state
        .policies_of(vm)
        .find(|(policy, member)| policy.id != *id && member.rule(port).is_some())
        .map(|(policy, _)| policy)
}

/// A change of a policy, and what it does to the accesses under it: what it no longer covers is
/// withdrawn, what it now allows for a shorter time ends earlier, everything else goes on.
fn with_consequences(state: &State, event: Event, id: &PolicyId, now: Now) -> Vec<Event> {
    let members = if let Event::PolicySet { members, .. } = &event { Some(members) } else { None };
    let mut consequences = Vec::new();
    for (request, access) in state.live().filter(|(request, _)| request.policy == *id) {
        let access_id = access_id(request, &access.vm, access.port);
        let rule = members
            .and_then(|members| access.rule_in(members))
            .filter(|rule| rule.allowed.coverage(access.source) != Coverage::No);
        let Some(rule) = rule else {
            consequences.push(ended(access_id, EndReason::PolicyChanged, now));
            continue;
        };
        if let Stage::Granted { since, until, .. } = access.stage {
            // Earlier by the same length on both clocks, even where the wall clock was set meanwhile.
            let latest = until.earlier_by(distance(later(since, rule.longest), until.wall));
            if latest.is_over(now) {
                consequences.push(ended(access_id, EndReason::PolicyChanged, now));
            } else if latest != until {
                consequences.push(Event::EndMoved { access: access_id, until: latest });
            }
        }
    }
    let mut events = vec![event];
    events.extend(consequences);
    events
}

/// What is more than anybody needs is not looked at one by one: a body of four megabytes holds a hundred
/// thousand ports, each good for a refusal of its own, and meanwhile nobody could close anything.
fn too_much(draft: &PolicyDraft) -> Vec<Refusal> {
    if draft.vms.len() > VMS_PER_POLICY_MAX {
        return vec![Refusal::TooManyVms { most: VMS_PER_POLICY_MAX }];
    }
    let crowded = draft.vms.iter().filter(|member| member.ports.len() > PORTS_PER_VM_MAX);
    let too_many = |vm: &VmId| Refusal::TooManyPorts { vm: vm.clone(), most: PORTS_PER_VM_MAX };
    crowded.map(|member| too_many(&member.vm)).collect()
}

fn members(
    state: &State,
    settings: &Settings,
    draft: &PolicyDraft,
    refusals: &mut Vec<Refusal>,
) -> BTreeMap<VmId, Member> {
    if draft.vms.is_empty() {
        refusals.push(Refusal::NoVms);
    }
    if draft.kind.as_ref().is_some_and(|kind| kind.chars().count() > KIND_CHARS_MAX) {
        refusals.push(Refusal::TextTooLong { property: TextProperty::Kind, most: KIND_CHARS_MAX });
    }
    let mut members = BTreeMap::new();
    for (position, sent) in draft.vms.iter().enumerate() {
        let id = &sent.vm;
        if id.subscription != draft.id.subscription || id.group != draft.id.group {
            let policy = draft.id.clone();
            refusals.push(Refusal::VmOfAnotherGroup { vm: id.clone(), policy });
            continue;
        }
        let Some(vm) = state.vms.get(id) else {
            refusals.push(Refusal::VmNotFound { vm: id.clone() });
            continue;
        };
        if settings.guard_of(vm).is_none() {
            refusals.push(Refusal::NotEnforced { vm: id.clone() });
        }
        let held = state.policies_of(id).next().is_some();
        if !held {
            refusals.extend(unsupported(state, settings, vm));
        }
        let stored = state.policies.get(&draft.id).and_then(|policy| policy.members.get(id));
        let stored = stored.filter(|member| member.instance == vm.instance);
        let member = member(state, settings, draft, sent, vm, stored, position, refusals);
        if members.insert(vm.id.clone(), member).is_some() {
            refusals.push(Refusal::VmTwice { vm: id.clone() });
        }
    }
    members
}

/// What stands against a VM that no policy holds yet. What is held stays held: its policy can be changed.
fn unsupported(state: &State, settings: &Settings, vm: &Vm) -> Vec<Refusal> {
    let reasons = reasons(state, settings, vm).into_iter();
    reasons
        .filter_map(|reason| match reason {
            // Said once, of the subscription, and of whatever its guards do not cover.
            Reason::Plan { .. } | Reason::NotCovered => None,
            Reason::Location { .. }
            | Reason::UnmanagedDisks
            | Reason::NoInterface
            | Reason::MissingGroup { .. }
            | Reason::UnfitFirewall { .. } => {
                Some(Refusal::Unsupported { vm: vm.id.clone(), reason })
            }
        })
        .collect()
}

#[expect(clippy::too_many_arguments, reason = "one VM of a draft and all that it is held against")]
fn member(
    state: &State,
    settings: &Settings,
    draft: &PolicyDraft,
    sent: &MemberDraft,
    vm: &Vm,
    stored: Option<&Member>,
    position: usize,
    refusals: &mut Vec<Refusal>,
) -> Member {
    if sent.ports.is_empty() {
        refusals.push(Refusal::NoPorts { vm: vm.id.clone() });
    }
    let mut seen = BTreeSet::new();
    for port in &sent.ports {
        let at = At { vm: vm.id.clone(), port: port.port };
        if !seen.insert(port.port) {
            refusals.push(Refusal::PortTwice { at: at.clone() });
        }
        if let Some(policy) = other_holding(state, &draft.id, &vm.id, port.port) {
            let policy = policy.id.clone();
            refusals.push(Refusal::PortInOtherPolicy { at: at.clone(), policy });
        }
        check_port(settings, port, at, refusals);
    }
    Member {
        instance: vm.instance,
        position: u32::try_from(position).unwrap_or(u32::MAX),
        placement: sent.placement.over(stored.map(|member| member.placement)),
        ports: sent
            .ports
            .iter()
            .map(|port| rule(port, stored.and_then(|member| member.rule(port.port))))
            .collect(),
    }
}

fn check_port(settings: &Settings, port: &PortDraft, at: At, refusals: &mut Vec<Refusal>) {
    let (least, most) = (settings.shortest_policy, LONGEST_ACCESS_MAX);
    if !(least..=most).contains(&port.longest) {
        let longest = port.longest;
        refusals.push(Refusal::LongestOutOfBounds { at: at.clone(), longest, least, most });
    }
    if port.allowed.sources().len() > SOURCES_PER_RULE_MAX {
        refusals.push(Refusal::TooManySources { at: at.clone(), most: SOURCES_PER_RULE_MAX });
    }
    let (least, most) = (SIGNED_IN_WITHIN_MIN, SIGNED_IN_WITHIN_MAX);
    if port.sign_in.over(None).within.is_some_and(|within| !(least..=most).contains(&within)) {
        refusals.push(Refusal::SignInOutOfBounds { at: at.clone(), least, most });
    }
    let widest = port.widest_unapproved.over(None);
    for family in [Family::V4, Family::V6] {
        let length = widest.of(family);
        if length > family.all().max_prefix_len() {
            refusals.push(Refusal::WidestOutOfBounds { at: at.clone(), length, family });
        }
    }
}

fn rule(sent: &PortDraft, stored: Option<&PortRule>) -> PortRule {
    let ends = sent.end_sessions.over(stored.map(|rule| rule.sessions == Sessions::EndWithAccess));
    PortRule {
        port: sent.port,
        protocol: sent.protocol,
        allowed: sent.allowed.clone(),
        longest: sent.longest,
        approval: sent.approval.over(stored.map(|rule| rule.approval)),
        sessions: if ends { Sessions::EndWithAccess } else { Sessions::GoOn },
        widest_unapproved: sent.widest_unapproved.over(stored.map(|rule| rule.widest_unapproved)),
        other_addresses: sent.other_addresses.over(stored.map(|rule| rule.other_addresses)),
        exceptions: sent.exceptions.over(stored.map(|rule| rule.exceptions)),
        sign_in: sent.sign_in.over(stored.map(|rule| rule.sign_in)),
        denies: Vec::new(),
    }
}

/// New locks on the machine that runs the server: whoever sets them may lock out everybody.
fn risky(state: &State, settings: &Settings, members: &BTreeMap<VmId, Member>) -> Vec<Refusal> {
    let locked = state.locks();
    let mut refusals = BTreeMap::new();
    for (id, member) in members {
        let Some(vm) = state.vms.get(id) else { continue };
        for (lock, _) in member.locks(vm) {
            let Lock { address, port } = lock;
            if settings.server_addresses.contains(&address) && !locked.contains_key(&lock) {
                let at = At { vm: id.clone(), port };
                refusals.insert((id, port), Refusal::ConfirmationNeeded { at });
            }
        }
    }
    refusals.into_values().collect()
}
