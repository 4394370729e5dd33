//! People and roles: who is known, what is given to whom; and what ends because somebody may no longer.

use std::{borrow::Cow, collections::BTreeSet, sync::Arc};

use super::{Unfolding, activation, ended};
use crate::{
    command::Ask,
    event::Event,
    grant::{Access, EndReason, Request},
    id::VmId,
    policy::Settings,
    refusal::{Refusal, Refusals},
    resource::{Kind, Network, Resource},
    role::{
        Action, Directory, Groups, Rights, Scope,
        activation::Eligibility,
        assignment::{ASSIGNMENTS_MAX, Assignment, AssignmentId, UnassignedBecause},
        built_in,
        change::{
            AssignmentDraft, DirectoryChange, DirectoryCommand, DirectoryRefusal, Introduction,
            RoleDraft,
        },
        definition::{CUSTOM_ROLES_MAX, Definition, RoleId, RoleKind, Said},
        principal::{Membership, PRINCIPALS_MAX, Principal, PrincipalId, PrincipalKind},
        scope::Place,
    },
    state::{State, access_id},
    time::{Now, Timestamp},
};

/// What comes of a command about people and roles, and of what it takes from whom.
pub(super) fn directory(
    state: &State,
    settings: &Settings,
    command: &DirectoryCommand,
    now: Now,
) -> Result<Vec<Event>, Refusals> {
    let concerned = state.directory.concerned_by(command);
    let changes = changes(state, settings, command, now)?;
    let mut after = Unfolding { state: Cow::Borrowed(state), events: Vec::new() };
    after.all(with_consequences(state, changes, now));
    keeps_an_owner(settings, command, &after.state.directory)?;
    let lost = lost(&after.state, settings, &concerned, now);
    after.all(lost);
    Ok(after.events)
}

/// The changes as events, and what they mean for activated roles.
fn with_consequences(state: &State, mut changes: Vec<DirectoryChange>, now: Now) -> Vec<Event> {
    let more = activation::consequences(&state.directory, &changes, now);
    changes.extend(more);
    changes.into_iter().map(|change| Event::Directory { change }).collect()
}

fn changes(
    state: &State,
    settings: &Settings,
    command: &DirectoryCommand,
    now: Now,
) -> Result<Vec<DirectoryChange>, DirectoryRefusal> {
    let directory = &*state.directory;
    match command {
        DirectoryCommand::Introduce(said) => introduce(directory, said, now.wall),
        DirectoryCommand::SetDisabled { principal, disabled } => {
            let who = known(directory, *principal)?;
            if who.disabled == *disabled {
                return Ok(Vec::new());
            }
            let principal = Principal { disabled: *disabled, ..Principal::clone(who) };
            Ok(vec![DirectoryChange::PrincipalSet { principal: Arc::new(principal) }])
        }
        DirectoryCommand::Forget { principal } => {
            let Some(who) = directory.principal(*principal) else { return Ok(Vec::new()) };
            let why = UnassignedBecause::PrincipalGone;
            let given = directory.assignments_of(who.id).map(|given| given.id);
            let mut changes = taken(given, why);
            changes
                .extend(activation::goes_with(directory, why, |_, _, whose| whose == Some(who.id)));
            changes.push(DirectoryChange::PrincipalForgotten { id: who.id });
            Ok(changes)
        }
        DirectoryCommand::Define(draft) => define(directory, draft, now.wall),
        DirectoryCommand::Undefine { role } => undefine(directory, *role),
        DirectoryCommand::Assign(draft) => assign(state, settings, draft, now),
        DirectoryCommand::Unassign { assignment } => {
            let given = directory.assignment(*assignment).map(|given| given.id);
            Ok(taken(given, UnassignedBecause::Asked))
        }
        DirectoryCommand::MakeEligible(draft) => {
            activation::make_eligible(state, settings, draft, now)
        }
        DirectoryCommand::Ineligible { eligibility } => {
            Ok(activation::ineligible(directory, *eligibility))
        }
        DirectoryCommand::SetRules(rules) => activation::set_rules(state, settings, rules),
        DirectoryCommand::Activate(ask) => activation::activate(state, settings, ask, now),
        DirectoryCommand::Deactivate { activation } => {
            activation::deactivate(directory, *activation, now)
        }
        DirectoryCommand::Decide { activation, by, approve, why, assignment } => {
            let word = (by, *approve, why.as_deref());
            activation::decide(state, settings, *activation, word, *assignment, now)
        }
    }
}

fn taken(
    ids: impl IntoIterator<Item = AssignmentId>,
    why: UnassignedBecause,
) -> Vec<DirectoryChange> {
    ids.into_iter().map(|id| DirectoryChange::Unassigned { id, why }).collect()
}

/// Who is disabled stays so, whatever is said of them.
fn introduce(
    directory: &Directory,
    said: &Introduction,
    now: Timestamp,
) -> Result<Vec<DirectoryChange>, DirectoryRefusal> {
    let before = directory.principal(said.id);
    if let Some(before) = before {
        let same = before.kind == said.kind
            && before.issuer == said.issuer
            && before.subject == said.subject;
        if !same {
            let is = before.kind;
            return Err(DirectoryRefusal::PrincipalDiffers { principal: said.id, is });
        }
    } else if directory.principal_count() >= PRINCIPALS_MAX {
        return Err(DirectoryRefusal::TooManyPrincipals { most: PRINCIPALS_MAX });
    }
    let said_at = said.said.map_or(now, |at| at.min(now));
    let groups = match (&said.groups, before) {
        // What was said before what is known is no news.
        (Some(_), Some(before)) if before.groups.at.is_some_and(|at| at > said_at) => {
            before.groups.clone()
        }
        (Some(groups), _) => Membership { groups: groups.clone(), at: Some(said_at) },
        (None, Some(before)) => before.groups.clone(),
        (None, None) => Membership::default(),
    };
    let principal = Arc::new(Principal {
        id: said.id,
        kind: said.kind,
        issuer: said.issuer.clone(),
        subject: said.subject.clone(),
        name: said.name.clone(),
        upn: said.upn.clone(),
        verified_mail: said.verified_mail.clone(),
        disabled: before.is_some_and(|before| before.disabled),
        groups,
    });
    if before == Some(&principal) {
        return Ok(Vec::new());
    }
    Ok(vec![DirectoryChange::PrincipalSet { principal }])
}

fn known(
    directory: &Directory,
    principal: PrincipalId,
) -> Result<&Arc<Principal>, DirectoryRefusal> {
    directory.principal(principal).ok_or(DirectoryRefusal::PrincipalNotFound { principal })
}

fn define(
    directory: &Directory,
    draft: &RoleDraft,
    now: Timestamp,
) -> Result<Vec<DirectoryChange>, DirectoryRefusal> {
    is_not_built_in(draft.id)?;
    if draft.assignable.is_empty() {
        return Err(DirectoryRefusal::NoAssignableScope);
    }
    let named = |role: &&Arc<Definition>| {
        role.id() != draft.id && role.said().name.to_lowercase() == draft.name.to_lowercase()
    };
    if let Some(other) = directory.definitions().find(named) {
        let (name, by) = (draft.name.clone(), other.id());
        return Err(DirectoryRefusal::RoleNameTaken { name, by });
    }
    let before = directory.custom().get(&draft.id);
    if before.is_none() && directory.custom().len() >= CUSTOM_ROLES_MAX {
        return Err(DirectoryRefusal::TooManyRoles { most: CUSTOM_ROLES_MAX });
    }
    let said = |updated| Said {
        id: draft.id,
        name: draft.name.clone(),
        description: draft.description.clone(),
        kind: RoleKind::CustomRole,
        permissions: draft.permissions.clone(),
        assignable: draft.assignable.clone(),
        created: Some(before.and_then(|before| before.said().created).unwrap_or(now)),
        updated: Some(updated),
    };
    if let Some(before) = before
        && before.said().updated.is_some_and(|updated| *before.said() == said(updated))
    {
        return Ok(Vec::new());
    }
    let role = Arc::new(Definition::from(said(now)));
    let outside = |given: &Assignment| !role.is_assignable_at(&given.scope);
    is_not_given(directory, draft.id, outside)?;
    Ok(vec![DirectoryChange::RoleDefined { role }])
}

fn undefine(directory: &Directory, role: RoleId) -> Result<Vec<DirectoryChange>, DirectoryRefusal> {
    is_not_built_in(role)?;
    if !directory.custom().contains_key(&role) {
        return Ok(Vec::new());
    }
    is_not_given(directory, role, |_| true)?;
    // Who could activate it has nothing, so nothing is taken; its rules go with it.
    let why = UnassignedBecause::Asked;
    let mut changes = activation::goes_with(directory, why, |of, _, _| of == role);
    changes.push(DirectoryChange::RoleUndefined { id: role });
    Ok(changes)
}

fn is_not_built_in(role: RoleId) -> Result<(), DirectoryRefusal> {
    match built_in::role(role) {
        Some(built_in) => {
            let name = built_in.said().name.clone();
            Err(DirectoryRefusal::RoleIsBuiltIn { role, name })
        }
        None => Ok(()),
    }
}

fn is_not_given(
    directory: &Directory,
    role: RoleId,
    counts: impl Fn(&Assignment) -> bool,
) -> Result<(), DirectoryRefusal> {
    let given = directory.assignments().filter(|given| given.role == role && counts(given));
    let given: Vec<&Arc<Assignment>> = given.collect();
    match given.first() {
        Some(first) => {
            let (times, scope) = (given.len(), first.scope.clone());
            Err(DirectoryRefusal::RoleIsGiven { role, times, scope })
        }
        None => Ok(()),
    }
}

fn assign(
    state: &State,
    settings: &Settings,
    draft: &AssignmentDraft,
    now: Now,
) -> Result<Vec<DirectoryChange>, DirectoryRefusal> {
    let directory = &*state.directory;
    let AssignmentDraft { id, scope, role, principal, .. } = draft;
    can_be_given(state, settings, (*role, scope, *principal, draft.kind), draft.until, now)?;
    let stands = directory.assignment(*id);
    if let Some(stands) = stands {
        let same = stands.scope == *scope && stands.role == *role && stands.principal == *principal;
        if !same {
            return Err(DirectoryRefusal::AssignmentIsFixed { assignment: *id });
        }
    } else if let Some(other) = directory.given(*principal, *role, scope) {
        return Err(DirectoryRefusal::AssignmentExists { assignment: other.id });
    } else if directory.assignment_count().saturating_sub(directory.activated()) >= ASSIGNMENTS_MAX
    {
        return Err(DirectoryRefusal::TooManyAssignments { most: ASSIGNMENTS_MAX });
    }
    let same_end = |stands: &Arc<Assignment>| stands.until.map(|until| until.wall) == draft.until;
    let until = match stands {
        Some(stands) if same_end(stands) => stands.until,
        Some(_) | None => draft.until.map(|until| now.until(until)),
    };
    let assignment = Assignment {
        id: *id,
        scope: scope.clone(),
        role: *role,
        principal: *principal,
        description: draft.description.clone(),
        created: stands.map_or(now.wall, |stands| stands.created),
        by: stands.map_or_else(|| draft.by.clone(), |stands| stands.by.clone()),
        until,
    };
    if stands.is_some_and(|stands| **stands == assignment) {
        return Ok(Vec::new());
    }
    Ok(vec![DirectoryChange::Assigned { assignment: Arc::new(assignment) }])
}

/// Whether a role can be given to somebody at a scope, until then.
pub(super) fn can_be_given(
    state: &State,
    settings: &Settings,
    (role, scope, principal, kind): (RoleId, &Scope, PrincipalId, Option<PrincipalKind>),
    until: Option<Timestamp>,
    now: Now,
) -> Result<(), DirectoryRefusal> {
    let directory = &*state.directory;
    let Some(definition) = directory.definition(role) else {
        return Err(DirectoryRefusal::RoleNotFound { role });
    };
    let who = known(directory, principal)?;
    if kind.is_some_and(|kind| kind != who.kind) {
        return Err(DirectoryRefusal::PrincipalDiffers { principal: who.id, is: who.kind });
    }
    if !exists(state, settings, scope) {
        return Err(DirectoryRefusal::ScopeNotFound { scope: scope.clone() });
    }
    if !definition.is_assignable_at(scope) {
        let (name, scope) = (definition.said().name.clone(), scope.clone());
        return Err(DirectoryRefusal::RoleNotAssignable { role, name, scope });
    }
    match until {
        Some(until) if until <= now.wall => {
            Err(DirectoryRefusal::EndsInThePast { until, now: now.wall })
        }
        Some(_) | None => Ok(()),
    }
}

/// Whether there is anything at a scope. What is given where nothing is would wait there for whoever makes
/// something of that name.
pub(super) fn exists(state: &State, settings: &Settings, scope: &Scope) -> bool {
    match scope.place() {
        Place::Subscription => settings
            .first_subscription
            .is_none_or(|subscription| subscription == scope.of_subscription()),
        Place::Resource(id) if id.kind == Kind::ResourceGroups => state.network.has_group(&id.name),
        Place::Resource(id) => state.network.get(&id).is_some(),
        Place::Policy(id) => state.policies.contains_key(&id),
        Place::Other => false,
    }
}

/// Somebody must be left who can give roles: otherwise a slip locks everybody out.
fn keeps_an_owner(
    settings: &Settings,
    command: &DirectoryCommand,
    after: &Directory,
) -> Result<(), DirectoryRefusal> {
    let takes = match command {
        DirectoryCommand::SetDisabled { disabled, .. } => *disabled,
        DirectoryCommand::Forget { .. } | DirectoryCommand::Unassign { .. } => true,
        // An Owner can be given an end.
        DirectoryCommand::Assign(draft) => draft.until.is_some(),
        // What is activated has an end, and counts for nobody who could be left.
        DirectoryCommand::Introduce(_)
        | DirectoryCommand::Define(_)
        | DirectoryCommand::MakeEligible(_)
        | DirectoryCommand::Ineligible { .. }
        | DirectoryCommand::SetRules(_)
        | DirectoryCommand::Activate(_)
        | DirectoryCommand::Deactivate { .. }
        | DirectoryCommand::Decide { .. }
        | DirectoryCommand::Undefine { .. } => false,
    };
    let Some(subscription) = settings.first_subscription.filter(|_| takes) else { return Ok(()) };
    let whole = Scope::subscription(subscription);
    if after.leads(&whole).any(|who| who.kind == PrincipalKind::User || who.is_first()) {
        Ok(())
    } else {
        Err(DirectoryRefusal::LastOwner)
    }
}

/// Whether whoever asks may. The edge has looked before; between its look and this one somebody may have been
/// disabled, and what was given then would be looked at by nobody.
pub(super) fn may_ask(
    state: &State,
    settings: &Settings,
    ask: &Ask,
    now: Now,
) -> Result<(), DirectoryRefusal> {
    // Who is no principal is on the machine itself.
    let Some(principal) = ask.requester.id.principal() else { return Ok(()) };
    let rights = Rights::of(&state.directory, settings, principal, Groups::Last, now);
    let vms = || ask.accesses.iter().map(|access| &access.vm);
    let sees = |vm: &VmId| rights.allow(Action::VM_READ, &Scope::from(vm));
    if rights.may_ask(&ask.policy, vms()) && vms().all(sees) {
        Ok(())
    } else {
        Err(DirectoryRefusal::MayNotAsk { policy: ask.policy.clone() })
    }
}

/// Roles, eligibilities and activations whose time is over, and what ends with them.
pub(super) fn over(state: &State, settings: &Settings, now: Now) -> Vec<Event> {
    let directory = &*state.directory;
    let over = directory.over(now).map(|given| given.id);
    let mut changes = taken(over, UnassignedBecause::Expired);
    changes.extend(activation::due(directory, now));
    changes.extend(anchored(state, now));
    if changes.is_empty() {
        return Vec::new();
    }
    let concerned = directory.due(now);
    let mut after = Unfolding { state: Cow::Borrowed(state), events: Vec::new() };
    after.all(with_consequences(state, changes, now));
    let lost = lost(&after.state, settings, &concerned, now);
    after.all(lost);
    after.events
}

/// After a reboot the ends of roles stand on the wall clock alone, and whoever sets it back prolongs them: each
/// gets an end on this boot's clock too, once that clock can be believed.
fn anchored(state: &State, now: Now) -> Vec<DirectoryChange> {
    if state.clock_is_behind(now) {
        return Vec::new();
    }
    let anchored = |given: &Arc<Assignment>| {
        let until = given.until.filter(|end| !end.is_of_this_boot(now) && !end.is_over(now))?;
        let until = Some(now.until(until.wall));
        let assignment = Arc::new(Assignment { until, ..Assignment::clone(given) });
        Some(DirectoryChange::Assigned { assignment })
    };
    let eligible = |given: &Arc<Eligibility>| {
        let until = given.until.filter(|end| !end.is_of_this_boot(now) && !end.is_over(now))?;
        let until = Some(now.until(until.wall));
        let eligibility = Arc::new(Eligibility { until, ..Eligibility::clone(given) });
        Some(DirectoryChange::EligibilitySet { eligibility })
    };
    let eligibilities = state.directory.eligibilities().filter_map(eligible);
    state.directory.assignments().filter_map(anchored).chain(eligibilities).collect()
}

/// What was given at what is gone now: the same name may be somebody else's tomorrow.
pub(super) fn orphaned(state: &State, events: &[Event], now: Now) -> Vec<Event> {
    let gone: Vec<Scope> = events.iter().filter_map(Event::gone).collect();
    if gone.is_empty() {
        return Vec::new();
    }
    // A group that nobody made is gone with the last that was in it.
    let mut network = Network::clone(&state.network);
    for event in events {
        if let Event::ResourcePut { resource, .. } = event {
            network.put(Arc::new(Resource::clone(resource)));
        } else if let Event::ResourceDeleted { id, .. } = event {
            network.remove(id);
        }
    }
    let empty = |scope: &Scope| match scope.place() {
        Place::Resource(id) if id.kind == Kind::ResourceGroups => !network.has_group(&id.name),
        Place::Resource(_) | Place::Subscription | Place::Policy(_) | Place::Other => false,
    };
    let is_gone = |at: &Scope| gone.iter().any(|scope| scope.holds(at)) || empty(at);
    let why = UnassignedBecause::ScopeGone;
    let orphans = state.directory.assignments().filter(|given| is_gone(&given.scope));
    let mut changes = taken(orphans.map(|given| given.id), why);
    changes.extend(activation::goes_with(&state.directory, why, |_, at, _| is_gone(at)));
    with_consequences(state, changes, now)
}

/// The end of what some of these people have, and may have no longer (product P8).
fn lost(
    state: &State,
    settings: &Settings,
    concerned: &BTreeSet<PrincipalId>,
    now: Now,
) -> Vec<Event> {
    let of = |id: PrincipalId| Rights::of(&state.directory, settings, id, Groups::Last, now);
    let mut ends = Vec::new();
    for principal in concerned {
        let rights = of(*principal);
        let theirs = state
            .live()
            .filter(|(request, _)| request.requester.id.principal() == Some(*principal));
        let over = theirs.filter(|(request, access)| !may_have(&rights, request, access));
        ends.extend(over.map(|(request, access)| {
            ended(access_id(request, &access.vm, access.port), EndReason::RightLost, now)
        }));
    }
    ends
}

/// Whether somebody may still have what begins now. Their right may have ended since it was planned, at this very
/// moment, and nobody has looked yet.
pub(super) fn may_begin(
    state: &State,
    settings: &Settings,
    (request, access): (&Request, &Access),
    now: Now,
) -> bool {
    request.requester.id.principal().is_none_or(|id| {
        may_have(&Rights::of(&state.directory, settings, id, Groups::Last, now), request, access)
    })
}

/// Whether somebody with these rights could ask for that: the same as when they did.
fn may_have(rights: &Rights, request: &Request, access: &Access) -> bool {
    rights.may_ask(&request.policy, [&access.vm])
        && rights.allow(Action::VM_READ, &Scope::from(&access.vm))
}

impl From<DirectoryRefusal> for Refusals {
    fn from(why: DirectoryRefusal) -> Refusals {
        Refusal::Directory { why }.into()
    }
}
