//! Roles that are not always there: who may activate one, what it takes, and when it is theirs no longer.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use super::directory::{can_be_given, exists};
use crate::{
    personal::Personal,
    policy::Settings,
    role::{
        Action, Change, Directory, Groups, Person, Rights, Scope,
        activation::{
            ACTIVATION_SHOWN, ACTIVATIONS_MAX, ACTIVATIONS_OF_ONE_MAX, ACTIVE_MAX, ACTIVE_MIN,
            APPROVERS_MAX, Activation, ActivationEnd, ActivationId, ActivationStage,
            DECIDED_WITHIN, Decision, ELIGIBILITIES_MAX, Eligibility, EligibilityId, RoleApproval,
            Rules,
        },
        assignment::{ASSIGNMENTS_MAX, Assignment, AssignmentId, UnassignedBecause},
        change::{ActivationAsk, DirectoryChange, DirectoryRefusal, EligibilityDraft, Missing},
        definition::RoleId,
        principal::{Principal, PrincipalId, PrincipalKind},
    },
    state::State,
    time::{Deadline, Now, distance},
};

/// Lets somebody activate a role.
pub(super) fn make_eligible(
    state: &State,
    settings: &Settings,
    draft: &EligibilityDraft,
    now: Now,
) -> Result<Vec<DirectoryChange>, DirectoryRefusal> {
    let directory = &*state.directory;
    let EligibilityDraft { id, scope, role, principal, .. } = draft;
    can_be_given(state, settings, (*role, scope, *principal, None), draft.until, now)?;
    let stands = directory.eligibility(*id);
    let same = |other: &Eligibility| {
        other.scope == *scope && other.role == *role && other.principal == *principal
    };
    match stands {
        Some(stands) if !same(stands) => {
            return Err(DirectoryRefusal::EligibilityIsFixed { eligibility: *id });
        }
        Some(_) => {}
        None => {
            if let Some(other) = directory.eligibilities().find(|other| same(other)) {
                return Err(DirectoryRefusal::EligibilityExists { eligibility: other.id });
            }
            if directory.eligibilities().count() >= ELIGIBILITIES_MAX {
                return Err(DirectoryRefusal::TooManyEligibilities { most: ELIGIBILITIES_MAX });
            }
        }
    }
    let until = match stands {
        Some(stands) if stands.until.map(|until| until.wall) == draft.until => stands.until,
        Some(_) | None => draft.until.map(|until| now.until(until)),
    };
    let eligibility = Eligibility {
        id: *id,
        scope: scope.clone(),
        role: *role,
        principal: *principal,
        created: stands.map_or(now.wall, |stands| stands.created),
        by: stands.map_or_else(|| draft.by.clone(), |stands| stands.by.clone()),
        until,
    };
    if stands.is_some_and(|stands| **stands == eligibility) {
        return Ok(Vec::new());
    }
    Ok(vec![DirectoryChange::EligibilitySet { eligibility: Arc::new(eligibility) }])
}

/// Lets them no longer.
pub(super) fn ineligible(directory: &Directory, id: EligibilityId) -> Vec<DirectoryChange> {
    let why = UnassignedBecause::Asked;
    let stands = directory.eligibility(id).map(|given| given.id);
    stands.into_iter().map(|id| DirectoryChange::EligibilityRemoved { id, why }).collect()
}

/// Says what it takes.
pub(super) fn set_rules(
    state: &State,
    settings: &Settings,
    rules: &Rules,
) -> Result<Vec<DirectoryChange>, DirectoryRefusal> {
    let directory = &*state.directory;
    if directory.definition(rules.role).is_none() {
        return Err(DirectoryRefusal::RoleNotFound { role: rules.role });
    }
    if !exists(state, settings, &rules.scope) {
        return Err(DirectoryRefusal::ScopeNotFound { scope: rules.scope.clone() });
    }
    if !(ACTIVE_MIN..=ACTIVE_MAX).contains(&rules.longest) {
        return Err(DirectoryRefusal::RulesOutOfBounds { least: ACTIVE_MIN, most: ACTIVE_MAX });
    }
    if let RoleApproval::OneOf(approvers) = &rules.approval {
        if approvers.len() > APPROVERS_MAX {
            return Err(DirectoryRefusal::TooManyApprovers { most: APPROVERS_MAX });
        }
        let unknown = approvers.iter().find(|id| directory.principal(**id).is_none());
        if let Some(principal) = unknown {
            return Err(DirectoryRefusal::PrincipalNotFound { principal: *principal });
        }
    }
    if *directory.rules(rules.role, &rules.scope) == *rules {
        return Ok(Vec::new());
    }
    Ok(vec![DirectoryChange::RulesSet { rules: Arc::new(rules.clone()) }])
}

/// Somebody asks for a role: it is theirs at once, or waits for a word, or each thing that is missing is told.
pub(super) fn activate(
    state: &State,
    settings: &Settings,
    ask: &ActivationAsk,
    now: Now,
) -> Result<Vec<DirectoryChange>, DirectoryRefusal> {
    let directory = &*state.directory;
    let not_eligible =
        || DirectoryRefusal::NotEligible { role: ask.role, scope: ask.scope.clone() };
    let who = ask.person.id.principal().and_then(|id| directory.principal(id));
    let who = who.filter(|who| !who.disabled).ok_or_else(not_eligible)?;
    let groups = Rights::groups_of(directory, settings, who, Groups::Fresh, now);
    let eligible = directory.eligibilities().find(|given| {
        given.role == ask.role
            && given.scope.holds(&ask.scope)
            && (given.principal == who.id || groups.contains(&given.principal))
            && ask.eligibility.is_none_or(|wanted| wanted == given.id)
            && !given.until.is_some_and(|until| until.is_over(now))
    });
    // What is not there is told like what they are not eligible for: they may not see what there is.
    let eligible = eligible.filter(|_| exists(state, settings, &ask.scope));
    let eligible = eligible.ok_or_else(not_eligible)?;
    can_be_given(state, settings, (ask.role, &ask.scope, who.id, None), None, now)?;
    let forgotten = has_room(directory, ask, who.id)?;
    let rules = directory.rules(eligible.role, &eligible.scope);
    let length = ask.length.unwrap_or(rules.longest);
    let missing = missing(&rules, ask, length);
    if !missing.is_empty() {
        let (longest, shortest) = (rules.longest, ACTIVE_MIN);
        return Err(DirectoryRefusal::RulesNotMet { missing, longest, shortest });
    }
    let mut activation = Activation {
        id: ask.id,
        person: who.person(),
        eligibility: eligible.id,
        role: ask.role,
        scope: ask.scope.clone(),
        created: now.wall,
        length,
        justification: ask.justification.clone().map(Personal),
        ticket: ask.ticket.clone(),
        stage: ActivationStage::Waiting { until: now.after(DECIDED_WITHIN) },
    };
    match &rules.approval {
        RoleApproval::NotNeeded => {
            let mut changes =
                begin(directory, &mut activation, eligible, ask.assignment, None, now)?;
            changes.extend(forgotten);
            Ok(changes)
        }
        RoleApproval::OneOf(named) => {
            let others = directory.principals().filter(|other| !is_same(other, who));
            let can = |other: &Principal| {
                can_decide(directory, settings, named, other, (&activation, Groups::Last), now)
            };
            if !others.into_iter().any(|other| can(other)) {
                let (role, scope) = (ask.role, ask.scope.clone());
                return Err(DirectoryRefusal::NoApprover { role, scope });
            }
            let waits = DirectoryChange::ActivationSet { activation: Arc::new(activation) };
            Ok(std::iter::once(waits).chain(forgotten).collect())
        }
    }
}

/// Whether there is room for one more, and which old one of theirs is no longer shown for it.
fn has_room(
    directory: &Directory,
    ask: &ActivationAsk,
    who: PrincipalId,
) -> Result<Option<DirectoryChange>, DirectoryRefusal> {
    if directory.activation(ask.id).is_some() {
        return Err(DirectoryRefusal::ActivationExists { activation: ask.id });
    }
    if let Some(stands) = directory.given(who, ask.role, &ask.scope) {
        return Err(DirectoryRefusal::AssignmentExists { assignment: stands.id });
    }
    let (mut live, mut own) = (0, Vec::new());
    for other in directory.activations() {
        live += usize::from(other.is_live());
        if other.person.id.principal() != Some(who) {
            continue;
        }
        if other.is_live() && other.role == ask.role && other.scope == ask.scope {
            return Err(DirectoryRefusal::ActivationWaits { activation: other.id });
        }
        own.push(other);
    }
    if live >= ACTIVATIONS_MAX {
        return Err(DirectoryRefusal::TooManyActivations { most: ACTIVATIONS_MAX });
    }
    if own.len() < ACTIVATIONS_OF_ONE_MAX {
        return Ok(None);
    }
    // Whoever asks again and again fills their own room, and nobody else's.
    let oldest = own.iter().filter(|it| !it.is_live()).min_by_key(|it| (it.created, it.id));
    match oldest {
        Some(oldest) => Ok(Some(DirectoryChange::ActivationForgotten { id: oldest.id })),
        None => Err(DirectoryRefusal::TooManyActivations { most: ACTIVATIONS_OF_ONE_MAX }),
    }
}

fn missing(rules: &Rules, ask: &ActivationAsk, length: Duration) -> BTreeSet<Missing> {
    let said = |text: Option<&str>| text.is_some_and(|text| !text.trim().is_empty());
    let ticket = ask.ticket.as_ref().map(|ticket| ticket.number.0.as_str());
    let second = ask.sign_in.is_some_and(|sign_in| sign_in.second_factor);
    [
        (!(ACTIVE_MIN..=rules.longest).contains(&length), Missing::Length),
        (rules.justification && !said(ask.justification.as_deref()), Missing::Justification),
        (rules.ticket && !said(ticket), Missing::Ticket),
        (rules.second_factor && !second, Missing::SecondFactor),
    ]
    .into_iter()
    .filter_map(|(is, what)| is.then_some(what))
    .collect()
}

/// The role is theirs from now on, never for longer than they are eligible for it.
fn begin(
    directory: &Directory,
    activation: &mut Activation,
    eligible: &Eligibility,
    assignment: AssignmentId,
    decision: Option<Decision>,
    now: Now,
) -> Result<Vec<DirectoryChange>, DirectoryRefusal> {
    let who = activation.person.id.principal().unwrap_or_default();
    // Somebody may have given it to them while it waited.
    if let Some(stands) = directory.given(who, activation.role, &activation.scope) {
        return Err(DirectoryRefusal::AssignmentExists { assignment: stands.id });
    }
    if directory.activated() >= ASSIGNMENTS_MAX {
        return Err(DirectoryRefusal::TooManyAssignments { most: ASSIGNMENTS_MAX });
    }
    let own = now.after(activation.length);
    let until = eligible.until.map_or(own, |end| own.but_not_after(end));
    let since = now.wall;
    activation.stage = ActivationStage::Active { assignment, since, until, decision };
    let given = Assignment {
        id: assignment,
        scope: activation.scope.clone(),
        role: activation.role,
        principal: who,
        description: None,
        created: now.wall,
        by: Some(activation.person.id.clone()),
        until: Some(until),
    };
    Ok(vec![
        DirectoryChange::Assigned { assignment: Arc::new(given) },
        DirectoryChange::ActivationSet { activation: Arc::new(activation.clone()) },
    ])
}

/// Gives a role back, or takes back that it was asked for.
pub(super) fn deactivate(
    directory: &Directory,
    id: ActivationId,
    now: Now,
) -> Result<Vec<DirectoryChange>, DirectoryRefusal> {
    let Some(activation) = directory.activation(id) else {
        return Err(DirectoryRefusal::ActivationNotFound { activation: id });
    };
    match activation.stage {
        ActivationStage::Waiting { .. } => {
            Ok(vec![over(activation, ActivationEnd::Canceled, None, now)])
        }
        // What comes of it for the activation follows.
        ActivationStage::Active { assignment: id, .. } => {
            Ok(vec![DirectoryChange::Unassigned { id, why: UnassignedBecause::Asked }])
        }
        ActivationStage::Ended { .. } => Err(DirectoryRefusal::ActivationIsOver { activation: id }),
    }
}

/// Somebody says yes or no.
pub(super) fn decide(
    state: &State,
    settings: &Settings,
    id: ActivationId,
    (by, approve, why): (&Person, bool, Option<&str>),
    assignment: AssignmentId,
    now: Now,
) -> Result<Vec<DirectoryChange>, DirectoryRefusal> {
    let directory = &*state.directory;
    let Some(activation) = directory.activation(id) else {
        return Err(DirectoryRefusal::ActivationNotFound { activation: id });
    };
    let decider = by.id.principal().and_then(|id| directory.principal(id));
    let decider = decider.ok_or(DirectoryRefusal::NotAnApprover { activation: id })?;
    let own = activation.person.id == by.id || {
        let asker = activation.person.id.principal().and_then(|id| directory.principal(id));
        asker.is_some_and(|asker| is_same(asker, decider))
    };
    if own {
        return Err(DirectoryRefusal::OwnActivation { activation: id });
    }
    let eligible = directory.eligibility(activation.eligibility);
    let named = eligible.map(|given| directory.rules(given.role, &given.scope));
    let named = match named.as_ref().map(|rules| &rules.approval) {
        Some(RoleApproval::OneOf(named)) => named.clone(),
        // Nobody's word is needed any more, or nobody is eligible: whoever can give the role decides.
        Some(RoleApproval::NotNeeded) | None => BTreeSet::new(),
    };
    let how = (&**activation, Groups::Fresh);
    if !can_decide(directory, settings, &named, decider, how, now) {
        return Err(DirectoryRefusal::NotAnApprover { activation: id });
    }
    match activation.stage {
        ActivationStage::Waiting { until } if !until.is_over(now) => {}
        ActivationStage::Waiting { .. }
        | ActivationStage::Active { .. }
        | ActivationStage::Ended { .. } => {
            return Err(DirectoryRefusal::ActivationIsOver { activation: id });
        }
    }
    let why = why.map(|why| Personal(why.to_owned()));
    let decision = Decision { by: by.clone(), at: now.wall, why };
    if !approve {
        return Ok(vec![over(activation, ActivationEnd::Denied, Some(decision), now)]);
    }
    let eligible = eligible.filter(|given| stands(directory, given, activation, now));
    let Some(eligible) = eligible else {
        let (role, scope) = (activation.role, activation.scope.clone());
        return Err(DirectoryRefusal::NotEligible { role, scope });
    };
    // The scope may be gone since it was asked for, or the role be otherwise.
    let whose = activation.person.id.principal().unwrap_or_default();
    let what = (activation.role, &activation.scope, whose, None);
    can_be_given(state, settings, what, None, now)?;
    let mut activation = Activation::clone(activation);
    begin(directory, &mut activation, eligible, assignment, Some(decision), now)
}

/// Whether somebody may say yes or no to an activation: a person, and named, or one who can give the role there.
fn can_decide(
    directory: &Directory,
    settings: &Settings,
    named: &BTreeSet<PrincipalId>,
    who: &Principal,
    (activation, groups): (&Activation, Groups),
    now: Now,
) -> bool {
    if who.kind != PrincipalKind::User || who.disabled {
        return false;
    }
    if named.is_empty() {
        let rights = Rights::of(directory, settings, who.id, groups, now);
        return rights.allow(Action::Assignment(Change::Write), &activation.scope);
    }
    named.contains(&who.id)
        || !Rights::groups_of(directory, settings, who, groups, now).is_disjoint(named)
}

/// Whether two are one person, as far as that can be told: by a mail address that both issuers have seen to be
/// theirs. It can only ever say no to somebody.
fn is_same(one: &Principal, other: &Principal) -> bool {
    let mail = |who: &Principal| who.verified_mail.as_ref().map(|mail| mail.0.to_lowercase());
    one.id == other.id || (mail(one).is_some() && mail(one) == mail(other))
}

/// Whether an eligibility still is one for whoever activated it.
fn stands(
    directory: &Directory,
    eligible: &Eligibility,
    activation: &Activation,
    now: Now,
) -> bool {
    let who = activation.person.id.principal().and_then(|id| directory.principal(id));
    let Some(who) = who.filter(|who| !who.disabled) else { return false };
    let own = eligible.principal == who.id;
    let by_group = || {
        let group = directory.principal(eligible.principal);
        who.groups.groups.contains(&eligible.principal) && group.is_some_and(|g| !g.disabled)
    };
    !eligible.until.is_some_and(|until| until.is_over(now)) && (own || by_group())
}

/// What changes of people, roles and assignments mean for activations: one whose role was taken is over, and one
/// whose eligibility no longer stands loses its role.
pub(super) fn consequences(
    before: &Directory,
    changes: &[DirectoryChange],
    now: Now,
) -> Vec<DirectoryChange> {
    if before.activations().next().is_none() {
        return Vec::new();
    }
    let mut after = before.clone();
    changes.iter().for_each(|change| after.evolve(change));
    let taken = |assignment: AssignmentId| {
        changes.iter().find_map(|change| {
            let DirectoryChange::Unassigned { id, why } = change else { return None };
            (*id == assignment).then_some(*why)
        })
    };
    let mut more = Vec::new();
    for activation in after.activations().filter(|activation| activation.is_live()) {
        let own = activation.assignment();
        if let Some(why) = own.and_then(taken) {
            more.push(over(activation, end(why), None, now));
            continue;
        }
        let eligible = after.eligibility(activation.eligibility);
        if eligible.is_some_and(|given| stands(&after, given, activation, now)) {
            continue;
        }
        let why = UnassignedBecause::EligibilityGone;
        more.extend(own.map(|id| DirectoryChange::Unassigned { id, why }));
        more.push(over(activation, ActivationEnd::Withdrawn, None, now));
    }
    more
}

fn end(why: UnassignedBecause) -> ActivationEnd {
    match why {
        UnassignedBecause::Asked => ActivationEnd::Deactivated,
        UnassignedBecause::Expired => ActivationEnd::Expired,
        UnassignedBecause::ScopeGone
        | UnassignedBecause::PrincipalGone
        | UnassignedBecause::EligibilityGone => ActivationEnd::Withdrawn,
    }
}

fn over(
    activation: &Activation,
    why: ActivationEnd,
    decision: Option<Decision>,
    now: Now,
) -> DirectoryChange {
    let said = match &activation.stage {
        ActivationStage::Active { decision, .. } => decision.clone(),
        ActivationStage::Waiting { .. } | ActivationStage::Ended { .. } => None,
    };
    let stage = ActivationStage::Ended { at: now.wall, why, decision: decision.or(said) };
    DirectoryChange::ActivationSet {
        activation: Arc::new(Activation { stage, ..activation.clone() }),
    }
}

/// What time alone does: eligibilities end, activations that wait lapse, and old ones are no longer shown.
pub(super) fn due(directory: &Directory, now: Now) -> Vec<DirectoryChange> {
    let is_over = |until: Option<Deadline>| until.is_some_and(|until| until.is_over(now));
    let ended = directory.eligibilities().filter(|given| is_over(given.until));
    let why = UnassignedBecause::Expired;
    let ended = ended.map(|given| DirectoryChange::EligibilityRemoved { id: given.id, why });
    let others = directory.activations().filter_map(|activation| match activation.stage {
        ActivationStage::Waiting { until } => {
            until.is_over(now).then(|| over(activation, ActivationEnd::Lapsed, None, now))
        }
        ActivationStage::Active { .. } => None,
        ActivationStage::Ended { at, .. } => (distance(at, now.wall) >= ACTIVATION_SHOWN)
            .then(|| DirectoryChange::ActivationForgotten { id: activation.id }),
    });
    ended.chain(others).collect()
}

/// What goes with somebody, a role or a scope that is gone.
pub(super) fn goes_with(
    directory: &Directory,
    why: UnassignedBecause,
    gone: impl Fn(RoleId, &Scope, Option<PrincipalId>) -> bool,
) -> Vec<DirectoryChange> {
    let eligibilities = directory
        .eligibilities()
        .filter(|given| gone(given.role, &given.scope, Some(given.principal)))
        .map(|given| DirectoryChange::EligibilityRemoved { id: given.id, why });
    let rules = directory.all_rules().filter(|rules| gone(rules.role, &rules.scope, None));
    let rules = rules.map(|rules| DirectoryChange::RulesRemoved {
        role: rules.role,
        scope: rules.scope.clone(),
    });
    eligibilities.chain(rules).collect()
}
