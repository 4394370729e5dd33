//! Roles that are not always there: what it takes to activate one, and what takes it away (P14).

use std::{collections::BTreeSet, time::Duration};

use hourgate_core::{
    command::Command,
    personal::Personal,
    role::{
        Action, Groups, Person, Rights, Scope, SignIn,
        activation::{ActivationEnd, ActivationStage, RoleApproval, Rules, Ticket},
        built_in::{JIT_REQUESTER, OWNER, READER, USER_ACCESS_ADMINISTRATOR},
        change::{
            ActivationAsk, DirectoryCommand, DirectoryRefusal as R, EligibilityDraft, Missing,
        },
    },
};
use uuid::Uuid;

use crate::{
    directory::{
        ANN, BEN, OPS, asks, disable, forget, give, given, id, introduction, meet, people, refused,
        scope,
    },
    scene::*,
};

const CEE: u128 = 3;

fn eligible(number: u128, role: Uuid, who: u128, at: &Scope) -> EligibilityDraft {
    EligibilityDraft {
        id: Uuid::from_u128(0xe000 + number),
        scope: at.clone(),
        role,
        principal: id(who),
        until: None,
        by: None,
    }
}

fn make(draft: EligibilityDraft) -> Command {
    Command::Directory(DirectoryCommand::MakeEligible(draft))
}

fn of(who: u128) -> Person {
    Person { id: id(who).into(), name: introduction(who, None).name, upn: None }
}

fn asking(number: u128, who: u128, role: Uuid, at: &Scope) -> ActivationAsk {
    ActivationAsk {
        id: Uuid::from_u128(0xc000 + number),
        person: of(who),
        role,
        scope: at.clone(),
        eligibility: None,
        length: Some(hours(2)),
        justification: Some("a disk is full".to_owned()),
        ticket: None,
        sign_in: None,
        assignment: Uuid::from_u128(0xa100 + number),
    }
}

fn activate(ask: ActivationAsk) -> Command {
    Command::Directory(DirectoryCommand::Activate(ask))
}

fn deactivate(number: u128) -> Command {
    let activation = Uuid::from_u128(0xc000 + number);
    Command::Directory(DirectoryCommand::Deactivate { activation })
}

fn decides(number: u128, who: u128, approve: bool) -> Command {
    Command::Directory(DirectoryCommand::Decide {
        activation: Uuid::from_u128(0xc000 + number),
        by: of(who),
        approve,
        why: Some("looks right".to_owned()),
        assignment: Uuid::from_u128(0xa200 + number),
    })
}

fn rules(change: impl FnOnce(&mut Rules)) -> Command {
    let mut rules = Rules::default_of(JIT_REQUESTER, scope(""));
    change(&mut rules);
    Command::Directory(DirectoryCommand::SetRules(rules))
}

fn one_of(who: &[u128]) -> RoleApproval {
    RoleApproval::OneOf(who.iter().map(|who| id(*who)).collect())
}

/// Ann is eligible to ask for access, and has nothing.
fn waiting() -> Scene {
    let mut scene = people();
    scene.does(&meet(CEE, None));
    scene.does(&make(eligible(1, JIT_REQUESTER, ANN, &scope(""))));
    scene
}

fn ask_it() -> ActivationAsk {
    asking(1, ANN, JIT_REQUESTER, &scope(""))
}

fn may(scene: &Scene, who: u128) -> bool {
    let directory = &scene.state.directory;
    let rights = Rights::of(directory, &scene.settings, id(who), Groups::Fresh, scene.now);
    rights.allow(Action::Initiate, &Scope::from(&vm("web")))
}

fn stage_of(scene: &Scene, number: u128) -> ActivationStage {
    let activation = scene.state.directory.activation(Uuid::from_u128(0xc000 + number));
    activation.expect("shown").stage.clone()
}

fn ended(scene: &Scene, number: u128) -> Option<ActivationEnd> {
    match stage_of(scene, number) {
        ActivationStage::Ended { why, .. } => Some(why),
        ActivationStage::Waiting { .. } | ActivationStage::Active { .. } => None,
    }
}

#[test]
fn an_eligible_role_gives_nothing_until_it_is_activated_and_nothing_after() {
    let mut scene = waiting();
    assert!(!may(&scene, ANN));
    scene.does(&activate(ask_it()));
    assert!(may(&scene, ANN));
    let request = scene.gets(asks(ANN));
    let due = hourgate_core::open::next_deadline(&scene.state, scene.now);
    assert_eq!(due, Some(hours(2)));
    scene.waits(hours(2));
    assert!(!may(&scene, ANN), "before anything has run");
    scene.ticks();
    assert_eq!(ended(&scene, 1), Some(ActivationEnd::Expired));
    assert_eq!((scene.stage(request), scene.open()), ("lost", vec![]));
    // Once more, by another activation.
    scene.does(&activate(asking(2, ANN, JIT_REQUESTER, &scope(""))));
    assert!(may(&scene, ANN));
}

#[test]
fn each_rule_that_was_not_met_is_told_at_once() {
    let all = |rules: &mut Rules| {
        rules.longest = hours(1);
        (rules.ticket, rules.second_factor) = (true, true);
    };
    let ticket = || Ticket { number: Personal("INC-7".to_owned()), system: None };
    let with_factor = |second_factor| Some(SignIn { at: noon(), second_factor });
    type Change = fn(&mut ActivationAsk);
    let rows: [(&str, Change, &[Missing]); 7] = [
        ("nothing is missing", |_| {}, &[]),
        ("too long", |ask| ask.length = Some(minutes(61)), &[Missing::Length]),
        ("too short", |ask| ask.length = Some(minutes(4)), &[Missing::Length]),
        ("says nothing", |ask| ask.justification = Some(" ".into()), &[Missing::Justification]),
        ("no ticket", |ask| ask.ticket = None, &[Missing::Ticket]),
        (
            "one factor alone",
            |ask| ask.sign_in = Some(SignIn { at: noon(), second_factor: false }),
            &[Missing::SecondFactor],
        ),
        (
            "all at once",
            |ask| {
                (ask.length, ask.justification) = (Some(Duration::MAX), None);
                (ask.ticket, ask.sign_in) = (None, None);
            },
            &[Missing::Length, Missing::Justification, Missing::Ticket, Missing::SecondFactor],
        ),
    ];
    for (why, change, missing) in rows {
        let mut scene = waiting();
        scene.does(&rules(all));
        let mut ask = ask_it();
        ask.length = Some(hours(1));
        (ask.ticket, ask.sign_in) = (Some(ticket()), with_factor(true));
        change(&mut ask);
        if missing.is_empty() {
            scene.does(&activate(ask));
            continue;
        }
        let missing: BTreeSet<Missing> = missing.iter().copied().collect();
        let (longest, shortest) = (hours(1), minutes(5));
        let refusal = R::RulesNotMet { missing, longest, shortest };
        assert_eq!(refused(&mut scene, &activate(ask)), refusal, "{why}");
    }
}

#[test]
fn what_is_not_said_is_the_longest_that_the_rules_allow() {
    let mut scene = waiting();
    scene.does(&activate(ActivationAsk { length: None, ..ask_it() }));
    let ActivationStage::Active { until, .. } = stage_of(&scene, 1) else { panic!("active") };
    assert_eq!(until.remaining(scene.now), hours(8));
}

#[test]
fn nobody_activates_what_they_are_not_eligible_for() {
    let mut scene = waiting();
    scene.does(&give(given(9, OWNER, BEN, &scope(""))));
    let not = |role, at: &Scope| R::NotEligible { role, scope: at.clone() };
    let group = scope("/resourceGroups/g");
    for (why, ask, refusal) in [
        (
            "somebody else",
            asking(1, BEN, JIT_REQUESTER, &scope("")),
            not(JIT_REQUESTER, &scope("")),
        ),
        ("another role", asking(1, ANN, OWNER, &scope("")), not(OWNER, &scope(""))),
        (
            "by another eligibility",
            ActivationAsk { eligibility: Some(id(7)), ..ask_it() },
            not(JIT_REQUESTER, &scope("")),
        ),
    ] {
        assert_eq!(refused(&mut scene, &activate(ask)), refusal, "{why}");
    }
    // A part of it is theirs, and no more.
    scene.does(&activate(asking(1, ANN, JIT_REQUESTER, &group)));
    let mut narrow = people();
    narrow.does(&make(eligible(1, JIT_REQUESTER, ANN, &group)));
    let whole = activate(ask_it());
    assert_eq!(refused(&mut narrow, &whole), not(JIT_REQUESTER, &scope("")));
    narrow.does(&disable(ANN, true));
    let own = activate(asking(1, ANN, JIT_REQUESTER, &group));
    assert_eq!(refused(&mut narrow, &own), not(JIT_REQUESTER, &group));
}

#[test]
fn people_of_an_eligible_group_activate_for_themselves_while_its_word_is_fresh() {
    let mut scene = people();
    scene.does(&make(eligible(1, JIT_REQUESTER, OPS, &scope(""))));
    scene.does(&activate(ask_it()));
    assert!(may(&scene, ANN) && !may(&scene, BEN));
    scene.does(&deactivate(1));
    scene.waits(minutes(61));
    let again = activate(asking(2, ANN, JIT_REQUESTER, &scope("")));
    let (role, at) = (JIT_REQUESTER, scope(""));
    assert_eq!(refused(&mut scene, &again), R::NotEligible { role, scope: at });
    scene.does(&meet(ANN, Some(&[OPS])));
    scene.does(&again);
    // A newer word that she is out of it takes the role, and what she has by it.
    let request = scene.gets(asks(ANN));
    scene.does(&meet(ANN, Some(&[])));
    assert_eq!(ended(&scene, 2), Some(ActivationEnd::Withdrawn));
    assert!(!may(&scene, ANN));
    assert_eq!(scene.stage(request), "lost");
}

#[test]
fn an_activated_role_goes_with_what_it_came_from() {
    let ineligible =
        Command::Directory(DirectoryCommand::Ineligible { eligibility: Uuid::from_u128(0xe001) });
    let take =
        Command::Directory(DirectoryCommand::Unassign { assignment: Uuid::from_u128(0xa101) });
    for (why, command, end) in [
        ("given back", deactivate(1), ActivationEnd::Deactivated),
        ("taken by somebody", take, ActivationEnd::Deactivated),
        ("not eligible any more", ineligible, ActivationEnd::Withdrawn),
        ("disabled", disable(ANN, true), ActivationEnd::Withdrawn),
        ("forgotten", forget(ANN), ActivationEnd::Withdrawn),
    ] {
        let mut scene = waiting();
        scene.does(&activate(ask_it()));
        let request = scene.gets(asks(ANN));
        scene.does(&command);
        assert_eq!(ended(&scene, 1), Some(end), "{why}");
        assert_eq!((may(&scene, ANN), scene.stage(request)), (false, "lost"), "{why}");
        assert_eq!(scene.state.directory.assignment_count(), 0, "{why}");
    }
}

#[test]
fn a_role_is_had_no_longer_than_the_eligibility_lasts() {
    let mut scene = people();
    let until = Some(noon_and(hours(1)));
    let draft = EligibilityDraft { until, ..eligible(1, JIT_REQUESTER, ANN, &scope("")) };
    scene.does(&make(draft));
    scene.does(&activate(ask_it()));
    scene.waits(hours(1));
    assert!(!may(&scene, ANN));
    scene.ticks();
    assert_eq!(scene.state.directory.eligibilities().count(), 0);
    assert!(ended(&scene, 1).is_some());
    let (role, at) = (JIT_REQUESTER, scope(""));
    let again = activate(asking(2, ANN, JIT_REQUESTER, &scope("")));
    assert_eq!(refused(&mut scene, &again), R::NotEligible { role, scope: at });
}

#[test]
fn an_approver_who_is_named_says_yes_and_nobody_else() {
    let mut scene = waiting();
    scene.does(&rules(|rules| rules.approval = one_of(&[BEN])));
    scene.does(&activate(ask_it()));
    assert!(matches!(stage_of(&scene, 1), ActivationStage::Waiting { .. }));
    assert!(!may(&scene, ANN), "waiting is not having");
    scene.does(&give(given(9, OWNER, CEE, &scope(""))));
    let activation = Uuid::from_u128(0xc001);
    let no = R::NotAnApprover { activation };
    assert_eq!(refused(&mut scene, &decides(1, CEE, true)), no, "an owner who is not named");
    assert_eq!(refused(&mut scene, &decides(1, ANN, true)), R::OwnActivation { activation });
    scene.waits(minutes(10));
    scene.does(&decides(1, BEN, true));
    let ActivationStage::Active { until, decision, .. } = stage_of(&scene, 1) else {
        panic!("active")
    };
    assert_eq!(until.remaining(scene.now), hours(2), "from the yes on, not from the ask");
    assert_eq!(decision.expect("a word").by.id, id(BEN).into());
    assert!(may(&scene, ANN));
    assert_eq!(refused(&mut scene, &decides(1, BEN, false)), R::ActivationIsOver { activation });
}

#[test]
fn nobody_is_their_own_approver_by_another_name() {
    let mut scene = waiting();
    let mail = |who: u128, mail: &str| {
        let mut introduction = introduction(who, None);
        introduction.verified_mail = Some(Personal(mail.to_owned()));
        Command::Directory(DirectoryCommand::Introduce(introduction))
    };
    scene.does(&mail(ANN, "ann@example.org"));
    scene.does(&mail(BEN, "Ann@Example.org"));
    scene.does(&rules(|rules| rules.approval = one_of(&[BEN])));
    let (role, at) = (JIT_REQUESTER, scope(""));
    let refusal = R::NoApprover { role, scope: at };
    assert_eq!(refused(&mut scene, &activate(ask_it())), refusal, "nobody else could");
    scene.does(&rules(|rules| rules.approval = one_of(&[BEN, CEE])));
    scene.does(&activate(ask_it()));
    let activation = Uuid::from_u128(0xc001);
    assert_eq!(refused(&mut scene, &decides(1, BEN, true)), R::OwnActivation { activation });
    scene.does(&decides(1, CEE, true));
}

#[test]
fn where_no_approver_is_named_who_can_give_the_role_decides() {
    let mut scene = waiting();
    scene.does(&rules(|rules| rules.approval = one_of(&[])));
    let (role, at) = (JIT_REQUESTER, scope(""));
    let refusal = R::NoApprover { role, scope: at };
    assert_eq!(refused(&mut scene, &activate(ask_it())), refusal);
    scene.does(&give(given(8, READER, CEE, &scope(""))));
    scene.does(&give(given(9, USER_ACCESS_ADMINISTRATOR, BEN, &scope(""))));
    scene.does(&activate(ask_it()));
    let activation = Uuid::from_u128(0xc001);
    let no = R::NotAnApprover { activation };
    assert_eq!(refused(&mut scene, &decides(1, CEE, true)), no);
    scene.does(&decides(1, BEN, false));
    assert_eq!(ended(&scene, 1), Some(ActivationEnd::Denied));
    assert!(!may(&scene, ANN));
}

#[test]
fn a_yes_that_comes_too_late_gives_nothing() {
    let approved = || {
        let mut scene = waiting();
        scene.does(&rules(|rules| rules.approval = one_of(&[BEN])));
        scene.does(&activate(ask_it()));
        scene
    };
    let activation = Uuid::from_u128(0xc001);
    let over = R::ActivationIsOver { activation };
    let mut scene = approved();
    scene.waits(hours(24));
    assert_eq!(refused(&mut scene, &decides(1, BEN, true)), over, "before anything has run");
    scene.ticks();
    assert_eq!(ended(&scene, 1), Some(ActivationEnd::Lapsed));
    assert_eq!(refused(&mut scene, &decides(1, BEN, true)), over);

    let mut scene = approved();
    scene.does(&deactivate(1));
    assert_eq!(ended(&scene, 1), Some(ActivationEnd::Canceled));
    assert_eq!(refused(&mut scene, &decides(1, BEN, true)), over);

    let mut scene = approved();
    scene.does(&disable(BEN, true));
    assert_eq!(refused(&mut scene, &decides(1, BEN, true)), R::NotAnApprover { activation });
}

#[test]
fn the_same_is_asked_for_once() {
    let mut scene = waiting();
    scene.does(&rules(|rules| rules.approval = one_of(&[BEN])));
    scene.does(&activate(ask_it()));
    let activation = Uuid::from_u128(0xc001);
    let again = activate(asking(2, ANN, JIT_REQUESTER, &scope("")));
    assert_eq!(refused(&mut scene, &again), R::ActivationWaits { activation });
    assert_eq!(refused(&mut scene, &activate(ask_it())), R::ActivationExists { activation });
    scene.does(&decides(1, BEN, true));
    let assignment = Uuid::from_u128(0xa201);
    assert_eq!(refused(&mut scene, &again), R::AssignmentExists { assignment });
}

#[test]
fn who_asks_again_and_again_fills_their_own_room_alone() {
    let mut scene = waiting();
    for number in 1..=220 {
        scene.waits(seconds(1));
        scene.does(&activate(asking(number, ANN, JIT_REQUESTER, &scope(""))));
        scene.does(&deactivate(number));
    }
    assert_eq!(scene.state.directory.activations().count(), 200);
    assert!(scene.state.directory.activation(Uuid::from_u128(0xc001)).is_none(), "the oldest went");
}

#[test]
fn what_was_given_meanwhile_is_not_given_twice_and_what_is_gone_not_at_all() {
    let mut scene = waiting();
    scene.does(&rules(|rules| rules.approval = one_of(&[BEN])));
    scene.does(&activate(ask_it()));
    scene.does(&give(given(7, JIT_REQUESTER, ANN, &scope(""))));
    let assignment = Uuid::from_u128(0xa007);
    assert_eq!(refused(&mut scene, &decides(1, BEN, true)), R::AssignmentExists { assignment });

    let mut scene = waiting();
    scene.does(&rules(|rules| rules.approval = one_of(&[BEN])));
    let at = Scope::from(&vm("web"));
    scene.does(&activate(asking(1, ANN, JIT_REQUESTER, &at)));
    scene.does(&remove("p"));
    let word = scene.word(&["10.0.0.4", "fd00::4"]);
    scene.does(&word);
    scene.does(&Command::UnregisterVm { id: vm("web") });
    assert_eq!(refused(&mut scene, &decides(1, BEN, true)), R::ScopeNotFound { scope: at.clone() });
    // Whether there is a machine is nothing that asking for a role tells.
    let ask = activate(asking(2, ANN, JIT_REQUESTER, &at));
    let refusal = R::NotEligible { role: JIT_REQUESTER, scope: at };
    assert_eq!(refused(&mut scene, &ask), refusal);
}

#[test]
fn what_is_over_is_shown_for_a_month() {
    let mut scene = waiting();
    scene.does(&activate(ask_it()));
    scene.does(&deactivate(1));
    scene.waits(hours(24 * 30) - seconds(1));
    scene.ticks();
    assert!(ended(&scene, 1).is_some());
    scene.waits(seconds(1));
    scene.ticks();
    assert_eq!(scene.state.directory.activations().count(), 0);
}

#[test]
fn rules_stay_within_bounds_and_name_who_is_known() {
    let mut scene = waiting();
    let bounds = R::RulesOutOfBounds { least: minutes(5), most: hours(24) };
    for longest in [minutes(4), hours(25)] {
        let command = rules(|rules| rules.longest = longest);
        assert_eq!(refused(&mut scene, &command), bounds);
    }
    let unknown = rules(|rules| rules.approval = one_of(&[77]));
    assert_eq!(refused(&mut scene, &unknown), R::PrincipalNotFound { principal: id(77) });
    assert_eq!(scene.does(&rules(|_| {})), [], "what holds by default is no event");
    let once = rules(|rules| rules.ticket = true);
    assert_eq!((scene.does(&once).len(), scene.does(&once).len()), (1, 0));
}

#[test]
fn an_eligibility_goes_with_its_scope_its_role_and_its_person() {
    let mut scene = waiting();
    let at = Scope::from(&vm("web"));
    scene.does(&make(eligible(2, READER, BEN, &at)));
    scene.does(&make(eligible(3, READER, CEE, &scope(""))));
    scene.does(&forget(CEE));
    scene.does(&set("p", vec![member("web", vec![rule(22)])]));
    scene.does(&remove("p"));
    let word = scene.word(&["10.0.0.4", "fd00::4"]);
    scene.does(&word);
    scene.does(&Command::UnregisterVm { id: vm("web") });
    let left: Vec<Uuid> = scene.state.directory.eligibilities().map(|it| it.id).collect();
    assert_eq!(left, [Uuid::from_u128(0xe001)]);
}
