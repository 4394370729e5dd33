//! People and roles: one row for each rule, and what ends when somebody may no longer (P8, P14).

use std::collections::BTreeSet;

use hourgate_core::{
    command::Command,
    event::Event,
    id::RequestId,
    personal::Personal,
    refusal::Refusal,
    role::{
        Action, Groups, Person, Rights, Scope,
        assignment::UnassignedBecause,
        built_in::{CONTRIBUTOR, JIT_REQUESTER, OWNER, READER},
        change::{
            AssignmentDraft, DirectoryChange, DirectoryCommand, DirectoryRefusal, Introduction,
            RoleDraft,
        },
        definition::Permission,
        principal::{ADMINISTRATOR, LOCAL_ISSUER, PrincipalKind},
    },
    time::Timestamp,
};
use uuid::Uuid;

use crate::scene::*;

const ISSUER: &str = "https://login.example.org";

pub(crate) fn id(number: u128) -> Uuid {
    Uuid::from_u128(0x5000 + number)
}

pub(crate) const ANN: u128 = 1;
pub(crate) const BEN: u128 = 2;
pub(crate) const OPS: u128 = 9;

pub(crate) fn introduction(who: u128, groups: Option<&[u128]>) -> Introduction {
    let kind = if who == OPS { PrincipalKind::Group } else { PrincipalKind::User };
    Introduction {
        id: id(who),
        kind,
        issuer: ISSUER.to_owned(),
        subject: Personal(format!("subject {who}")),
        name: Personal(format!("name {who}")),
        upn: None,
        verified_mail: None,
        groups: groups.map(|groups| groups.iter().map(|group| id(*group)).collect()),
        said: None,
    }
}

pub(crate) fn meet(who: u128, groups: Option<&[u128]>) -> Command {
    Command::Directory(DirectoryCommand::Introduce(introduction(who, groups)))
}

pub(crate) fn scope(text: &str) -> Scope {
    format!("/subscriptions/{}{text}", Uuid::nil()).parse().expect("a scope")
}

pub(crate) fn given(number: u128, role: Uuid, who: u128, at: &Scope) -> AssignmentDraft {
    AssignmentDraft {
        id: Uuid::from_u128(0xa000 + number),
        scope: at.clone(),
        role,
        principal: id(who),
        kind: None,
        description: None,
        until: None,
        by: None,
    }
}

pub(crate) fn give(draft: AssignmentDraft) -> Command {
    Command::Directory(DirectoryCommand::Assign(draft))
}

pub(crate) fn take(number: u128) -> Command {
    let assignment = Uuid::from_u128(0xa000 + number);
    Command::Directory(DirectoryCommand::Unassign { assignment })
}

pub(crate) fn disable(who: u128, disabled: bool) -> Command {
    Command::Directory(DirectoryCommand::SetDisabled { principal: id(who), disabled })
}

pub(crate) fn forget(who: u128) -> Command {
    Command::Directory(DirectoryCommand::Forget { principal: id(who) })
}

pub(crate) fn role(number: u128, name: &str, actions: &[&str], at: &[Scope]) -> RoleDraft {
    let actions = actions.iter().map(|text| text.parse().expect("a pattern")).collect();
    RoleDraft {
        id: Uuid::from_u128(0xd000 + number),
        name: name.to_owned(),
        description: String::new(),
        permissions: vec![Permission { actions, ..Permission::default() }],
        assignable: at.to_vec(),
    }
}

pub(crate) fn define(draft: RoleDraft) -> Command {
    Command::Directory(DirectoryCommand::Define(draft))
}

pub(crate) fn asks(who: u128) -> Asking {
    let mut ask = ask("web", 22);
    ask.0.requester = Person { id: id(who).into(), ..person("ann") };
    ask
}

/// One VM with a policy, and two people who are known.
pub(crate) fn people() -> Scene {
    let mut scene = web(rule(22));
    scene.does(&meet(ANN, Some(&[OPS])));
    scene.does(&meet(BEN, None));
    scene.does(&meet(OPS, None));
    scene
}

#[track_caller]
pub(crate) fn refused(scene: &mut Scene, command: &Command) -> DirectoryRefusal {
    match scene.refuses(command).as_slice() {
        [Refusal::Directory { why }] => why.clone(),
        other => panic!("{other:?}"),
    }
}

/// Ann has a grant by a requester's role at the subscription, given to her.
fn granted() -> (Scene, RequestId) {
    let mut scene = people();
    scene.does(&give(given(1, JIT_REQUESTER, ANN, &scope(""))));
    let request = scene.gets(asks(ANN));
    assert_eq!(scene.stage(request), "granted");
    (scene, request)
}

#[test]
fn a_grant_ends_when_its_person_loses_the_right() {
    for (why, command) in [
        ("disabled", disable(ANN, true)),
        ("forgotten", forget(ANN)),
        ("the role is taken", take(1)),
    ] {
        let (mut scene, request) = granted();
        let events = scene.does(&command);
        assert!(events.iter().any(|event| matches!(event, Event::Ended { .. })), "{why}");
        assert_eq!((scene.stage(request), scene.open()), ("lost", vec![]), "{why}");
    }
}

#[test]
fn what_takes_nothing_from_a_person_ends_nothing() {
    for (why, command) in [
        ("somebody else is disabled", disable(BEN, true)),
        ("a group that she has nothing by is disabled", disable(OPS, true)),
        ("she signs in again", meet(ANN, Some(&[]))),
        ("another role is given", give(given(2, READER, ANN, &scope("")))),
        ("time goes by", Command::Tick),
    ] {
        let (mut scene, request) = granted();
        scene.waits(minutes(70));
        scene.does(&command);
        assert_eq!(scene.stage(request), "granted", "{why}");
    }
}

#[test]
fn what_another_role_still_gives_stays() {
    let (mut scene, request) = granted();
    scene.does(&give(given(2, CONTRIBUTOR, ANN, &scope("/resourceGroups/g"))));
    scene.does(&take(1));
    assert_eq!(scene.stage(request), "granted");
    scene.does(&take(2));
    assert_eq!(scene.stage(request), "lost");
}

#[test]
fn what_a_group_gave_goes_with_the_group() {
    for (why, command) in [
        ("she is out of it, by a newer word", meet(ANN, Some(&[]))),
        ("it is disabled", disable(OPS, true)),
        ("it is forgotten", forget(OPS)),
        ("its role is taken", take(1)),
    ] {
        let mut scene = people();
        scene.does(&give(given(1, JIT_REQUESTER, OPS, &scope(""))));
        let request = scene.gets(asks(ANN));
        // No word about groups is no word against them: what runs goes on, however old the last one is.
        scene.waits(minutes(90));
        scene.does(&meet(ANN, None));
        assert_eq!(scene.stage(request), "granted", "{why}");
        scene.does(&command);
        assert_eq!(scene.stage(request), "lost", "{why}");
    }
}

#[test]
fn groups_that_nobody_has_spoken_of_for_an_hour_give_nothing_new() {
    let mut scene = people();
    scene.does(&give(given(1, JIT_REQUESTER, OPS, &scope(""))));
    let may = |scene: &Scene, groups| {
        let of = &scene.state.directory;
        let rights = Rights::of(of, &scene.settings, id(ANN), groups, scene.now);
        rights.allow(Action::Initiate, &scope(""))
    };
    scene.waits(minutes(60));
    assert!(may(&scene, Groups::Fresh));
    scene.waits(seconds(1));
    assert!(!may(&scene, Groups::Fresh) && may(&scene, Groups::Last));
    scene.does(&meet(ANN, None));
    assert!(!may(&scene, Groups::Fresh), "nothing was said of groups");
    scene.does(&meet(ANN, Some(&[OPS])));
    assert!(may(&scene, Groups::Fresh));
}

#[test]
fn a_token_tells_what_was_so_when_it_was_made() {
    let mut scene = people();
    scene.does(&give(given(1, JIT_REQUESTER, OPS, &scope(""))));
    let said = |groups: &[u128], ago: u64| {
        let at = noon_and(hours(2)).checked_sub(minutes(ago)).expect("in range");
        let introduction = Introduction { said: Some(at), ..introduction(ANN, Some(groups)) };
        Command::Directory(DirectoryCommand::Introduce(introduction))
    };
    scene.waits(hours(2));
    let may = |scene: &Scene| {
        let of = &scene.state.directory;
        let rights = Rights::of(of, &scene.settings, id(ANN), Groups::Fresh, scene.now);
        rights.allow(Action::Initiate, &scope(""))
    };
    scene.does(&said(&[OPS], 61));
    assert!(!may(&scene), "an old word gives nothing, although it came just now");
    scene.does(&said(&[OPS], 10));
    assert!(may(&scene));
    scene.does(&said(&[], 5));
    scene.does(&said(&[OPS], 10));
    assert!(!may(&scene), "and takes back no newer one");
    let ahead = noon_and(hours(9));
    let introduction = Introduction { said: Some(ahead), ..introduction(ANN, Some(&[OPS])) };
    scene.does(&Command::Directory(DirectoryCommand::Introduce(introduction)));
    scene.waits(minutes(61));
    assert!(!may(&scene), "a clock that is ahead prolongs nothing");
    // What was set for the issuer counts for its people.
    scene.settings.groups_holds.insert(ISSUER.to_owned(), hours(2));
    assert!(may(&scene));
}

#[test]
fn a_role_past_its_end_gives_nothing_whatever_has_run() {
    let mut scene = people();
    let until = noon_and(minutes(30));
    let ends = AssignmentDraft { until: Some(until), ..given(1, JIT_REQUESTER, ANN, &scope("")) };
    scene.does(&give(ends));
    let request = scene.gets(asks(ANN));
    let due = hourgate_core::open::next_deadline(&scene.state, scene.now);
    assert_eq!(due, Some(minutes(30)));

    scene.waits(minutes(30));
    let why = DirectoryRefusal::MayNotAsk { policy: policy("p") };
    assert_eq!(scene.denies(asks(ANN)), [Refusal::Directory { why }], "before anything has run");
    let events = scene.ticks();
    assert_eq!(scene.stage(request), "lost");
    let gone = DirectoryChange::Unassigned {
        id: Uuid::from_u128(0xa001),
        why: UnassignedBecause::Expired,
    };
    assert!(events.contains(&Event::Directory { change: gone }));
    assert_eq!(scene.state.directory.assignment_count(), 0);
    // To set the clock back brings nothing back.
    scene.is_set_back(minutes(20));
    assert_eq!(scene.ticks(), []);
}

#[test]
fn setting_the_clock_back_lengthens_no_role() {
    let mut scene = people();
    let until = Some(noon_and(minutes(30)));
    scene.does(&give(AssignmentDraft { until, ..given(1, JIT_REQUESTER, ANN, &scope("")) }));
    scene.waits(minutes(30));
    scene.is_set_back(seconds(4));
    let why = DirectoryRefusal::MayNotAsk { policy: policy("p") };
    assert_eq!(scene.denies(asks(ANN)), [Refusal::Directory { why }]);
}

#[test]
fn who_lost_the_right_between_the_look_and_the_decision_gets_nothing() {
    let mut scene = people();
    let why = DirectoryRefusal::MayNotAsk { policy: policy("p") };
    let refusal = [Refusal::Directory { why }];
    assert_eq!(scene.denies(asks(ANN)), refusal, "nothing was given");
    scene.does(&give(given(1, READER, ANN, &scope(""))));
    assert_eq!(scene.denies(asks(ANN)), refusal, "a reader does not ask");
    scene.does(&give(given(2, JIT_REQUESTER, ANN, &Scope::from(&vm("web")))));
    scene.gets(asks(ANN));
    scene.does(&disable(ANN, true));
    assert_eq!(scene.denies(asks(ANN)), refusal, "disabled");
}

#[test]
fn a_role_at_the_machine_alone_is_enough_to_ask_for_it() {
    let mut scene = people().vm("db", &["10.0.0.9"]);
    scene.does(&set("p", vec![member("web", vec![rule(22)]), member("db", vec![rule(22)])]));
    scene.does(&give(given(1, JIT_REQUESTER, ANN, &Scope::from(&vm("web")))));
    scene.gets(asks(ANN));
    let mut both = asks(ANN).and(ask("db", 22));
    both.0.requester = asks(ANN).0.requester;
    assert_eq!(scene.denies(both).len(), 1);
}

#[test]
fn a_changed_role_takes_what_it_no_longer_gives() {
    let mut scene = people();
    let initiate = "Microsoft.Security/locations/jitNetworkAccessPolicies/initiate/action";
    let asker = |actions: &[&str]| define(role(1, "Asker", actions, &[scope("")]));
    scene.does(&asker(&[initiate, "Microsoft.Compute/*/read"]));
    scene.does(&give(given(1, Uuid::from_u128(0xd001), OPS, &scope(""))));
    let request = scene.gets(asks(ANN));
    scene.does(&asker(&[initiate, "Microsoft.Compute/virtualMachines/read"]));
    assert_eq!(scene.stage(request), "granted");
    scene.does(&asker(&[initiate]));
    assert_eq!(scene.stage(request), "lost");
}

#[test]
fn a_planned_access_of_who_lost_the_right_never_begins() {
    let (mut scene, _) = granted();
    let planned = scene.gets(asks(ANN).starting(noon_and(hours(3))));
    scene.does(&disable(ANN, true));
    scene.waits(hours(2));
    scene.ticks();
    assert_eq!(scene.stage(planned), "lost");
}

#[test]
fn what_begins_when_the_right_to_it_ends_does_not_begin() {
    let mut scene = people();
    let until = Some(noon_and(hours(1)));
    scene.does(&give(AssignmentDraft { until, ..given(1, JIT_REQUESTER, ANN, &scope("")) }));
    let planned = scene.gets(asks(ANN).starting(noon_and(hours(1))));
    scene.waits(hours(1));
    // Somebody else's command comes before the tick.
    let word = scene.word(&[]);
    scene.does(&word);
    assert_eq!((scene.stage(planned), scene.open()), ("lost", vec![]));
}

#[test]
fn a_role_is_given_only_where_it_can_be_and_to_whom_is_known() {
    use DirectoryRefusal as R;
    let mut scene = people();
    scene.settings.first_subscription = Some(Uuid::nil());
    scene.does(&define(role(1, "Local", &["*/read"], &[scope("/resourceGroups/g")])));
    scene.does(&give(given(1, READER, ANN, &scope(""))));
    let local = Uuid::from_u128(0xd001);
    let elsewhere: Scope =
        format!("/subscriptions/{}", Uuid::from_u128(7)).parse().expect("a scope");
    let vm = Scope::from(&vm("web"));
    let nowhere = scope("/resourceGroups/nowhere");
    let child = scope("/resourceGroups/g/providers/A.B/c/d");
    for (why, draft, refusal) in [
        ("nobody", given(2, READER, 77, &vm), R::PrincipalNotFound { principal: id(77) }),
        ("no role", given(2, id(8), ANN, &vm), R::RoleNotFound { role: id(8) }),
        ("no group", given(2, READER, ANN, &nowhere), R::ScopeNotFound { scope: nowhere.clone() }),
        ("no resource", given(2, READER, ANN, &child), R::ScopeNotFound { scope: child.clone() }),
        (
            "no policy",
            given(2, READER, ANN, &Scope::from(&policy("q"))),
            R::ScopeNotFound { scope: Scope::from(&policy("q")) },
        ),
        (
            "another subscription",
            given(2, READER, ANN, &elsewhere),
            R::ScopeNotFound { scope: elsewhere.clone() },
        ),
        (
            "outside of where it can be given",
            given(2, local, ANN, &scope("")),
            R::RoleNotAssignable { role: local, name: "Local".to_owned(), scope: scope("") },
        ),
        (
            "once more, by another id",
            given(2, READER, ANN, &scope("")),
            R::AssignmentExists { assignment: Uuid::from_u128(0xa001) },
        ),
        (
            "the same id for something else",
            given(1, READER, BEN, &scope("")),
            R::AssignmentIsFixed { assignment: Uuid::from_u128(0xa001) },
        ),
        (
            "of another kind than was said",
            AssignmentDraft {
                kind: Some(PrincipalKind::Group),
                ..given(2, READER, BEN, &scope(""))
            },
            R::PrincipalDiffers { principal: id(BEN), is: PrincipalKind::User },
        ),
        (
            "over before it begins",
            AssignmentDraft { until: Some(noon()), ..given(2, READER, BEN, &vm) },
            R::EndsInThePast { until: noon(), now: noon() },
        ),
    ] {
        assert_eq!(refused(&mut scene, &give(draft)), refusal, "{why}");
    }
    // The same again changes nothing; at a VM, a group, and a policy that are there it can be given.
    assert_eq!(scene.does(&give(given(1, READER, ANN, &scope("")))), []);
    scene.does(&give(given(2, local, ANN, &scope("/resourceGroups/G"))));
    scene.does(&give(given(3, local, ANN, &vm)));
    scene.does(&give(given(4, local, ANN, &Scope::from(&policy("p")))));
}

#[test]
fn roles_of_ones_own_are_made_changed_and_removed() {
    use DirectoryRefusal as R;
    let mut scene = people();
    let own = || role(1, "Asker", &["*/read"], &[scope("")]);
    assert_eq!(scene.does(&define(own())).len(), 1);
    scene.waits(minutes(1));
    assert_eq!(scene.does(&define(own())), [], "the same again is no event");
    let (owner, name) = (OWNER, "Owner".to_owned());
    let mut built_in = own();
    built_in.id = owner;
    let taken = |name: &str, by| R::RoleNameTaken { name: name.to_owned(), by };
    for (why, command, refusal) in [
        ("built-in", define(built_in), R::RoleIsBuiltIn { role: owner, name: name.clone() }),
        (
            "a built-in role's name",
            define(role(2, "owner", &["*"], &[scope("")])),
            taken("owner", OWNER),
        ),
        (
            "another's name",
            define(role(2, "ASKER", &["*"], &[scope("")])),
            taken("ASKER", Uuid::from_u128(0xd001)),
        ),
        ("nowhere", define(role(2, "X", &["*"], &[])), R::NoAssignableScope),
    ] {
        assert_eq!(refused(&mut scene, &command), refusal, "{why}");
    }
    let own_id = Uuid::from_u128(0xd001);
    scene.does(&give(given(1, own_id, ANN, &Scope::from(&vm("web")))));
    let given_at = R::RoleIsGiven { role: own_id, times: 1, scope: Scope::from(&vm("web")) };
    let undefine = Command::Directory(DirectoryCommand::Undefine { role: own_id });
    assert_eq!(refused(&mut scene, &undefine), given_at);
    let narrower = define(role(1, "Asker", &["*/read"], &[Scope::from(&policy("p"))]));
    assert_eq!(refused(&mut scene, &narrower), given_at, "it would not be assignable where it is");
    scene.does(&take(1));
    scene.does(&undefine);
    assert!(scene.state.directory.definition(own_id).is_none());
    assert_eq!(scene.does(&undefine), [], "gone is gone");
}

#[test]
fn what_was_given_at_something_goes_with_it() {
    let mut scene = people();
    let (at_vm, at_policy) = (Scope::from(&vm("web")), Scope::from(&policy("p")));
    scene.does(&give(given(1, READER, ANN, &at_vm)));
    scene.does(&give(given(2, READER, ANN, &at_policy)));
    scene.does(&give(given(3, READER, ANN, &scope("/resourceGroups/g"))));
    scene.does(&give(given(4, READER, ANN, &scope(""))));
    let stand = |scene: &Scene| -> BTreeSet<u128> {
        let all = scene.state.directory.assignments();
        all.map(|given| given.id.as_u128() - 0xa000).collect()
    };
    scene.does(&remove("p"));
    assert_eq!(stand(&scene), BTreeSet::from([1, 3, 4]));
    let word = scene.word(&["10.0.0.4", "fd00::4"]);
    scene.does(&word);
    scene.does(&Command::UnregisterVm { id: vm("web") });
    assert_eq!(stand(&scene), BTreeSet::from([4]), "the group went with its last machine");
}

#[test]
fn somebody_is_always_left_who_can_give_roles() {
    let mut scene = people();
    scene.settings.first_subscription = Some(Uuid::nil());
    let first = Introduction {
        kind: PrincipalKind::ServicePrincipal,
        issuer: LOCAL_ISSUER.to_owned(),
        subject: Personal(ADMINISTRATOR.to_owned()),
        ..introduction(50, None)
    };
    let service = Introduction { subject: Personal("bot".to_owned()), ..first.clone() };
    let service = Introduction { id: id(51), ..service };
    for who in [first, service] {
        scene.does(&Command::Directory(DirectoryCommand::Introduce(who)));
    }
    scene.does(&give(given(1, OWNER, 50, &scope(""))));
    scene.does(&give(given(2, OWNER, 51, &scope(""))));
    scene.does(&give(given(3, OWNER, OPS, &scope(""))));
    scene.does(&give(given(4, OWNER, ANN, &scope("/resourceGroups/g"))));
    let until = Some(noon_and(hours(1)));
    scene.does(&give(AssignmentDraft { until, ..given(5, OWNER, BEN, &scope("")) }));
    // A service, a group, an Owner of a part and one for a time are no one to be left with.
    for command in [disable(50, true), forget(50), take(1)] {
        assert_eq!(refused(&mut scene, &command), DirectoryRefusal::LastOwner);
    }
    scene.does(&give(given(6, OWNER, ANN, &scope(""))));
    scene.does(&disable(50, true));
    let ending = AssignmentDraft { until, ..given(6, OWNER, ANN, &scope("")) };
    for command in [disable(ANN, true), forget(ANN), take(6), give(ending)] {
        assert_eq!(refused(&mut scene, &command), DirectoryRefusal::LastOwner);
    }
    scene.does(&disable(50, false));
    scene.does(&take(6));
}

#[test]
fn who_is_disabled_stays_so_whatever_is_said_of_them() {
    let mut scene = people();
    scene.does(&disable(ANN, true));
    scene.does(&meet(ANN, Some(&[OPS])));
    assert!(scene.state.directory.principal(id(ANN)).expect("known").disabled);
    assert_eq!(scene.does(&disable(ANN, true)), [], "once more is no event");
    let other = Introduction { subject: Personal("x".to_owned()), ..introduction(ANN, None) };
    let other = Command::Directory(DirectoryCommand::Introduce(other));
    let is = PrincipalKind::User;
    let refusal = DirectoryRefusal::PrincipalDiffers { principal: id(ANN), is };
    assert_eq!(refused(&mut scene, &other), refusal, "nobody becomes somebody else");
}

#[test]
fn nobody_has_more_than_their_issuer_can_give() {
    let mut scene = people();
    scene.does(&give(given(1, OWNER, ANN, &scope(""))));
    let may = |scene: &Scene, action| {
        let of = &scene.state.directory;
        let rights = Rights::of(of, &scene.settings, id(ANN), Groups::Fresh, scene.now);
        rights.allow(action, &scope(""))
    };
    assert!(may(&scene, Action::PolicyWrite));
    scene.settings.highest_roles.insert(ISSUER.to_owned(), JIT_REQUESTER);
    assert!(!may(&scene, Action::PolicyWrite) && may(&scene, Action::Initiate));
    scene.settings.highest_roles.insert(ISSUER.to_owned(), id(404));
    assert!(!may(&scene, Action::Initiate), "a role that is gone gives nothing");
}

#[test]
fn a_change_tells_who_and_when() {
    let mut scene = people();
    let by = Some(person("root").id);
    let draft = AssignmentDraft { by: by.clone(), ..given(1, READER, ANN, &scope("")) };
    let events = scene.does(&give(draft));
    let [Event::Directory { change: DirectoryChange::Assigned { assignment } }] = events.as_slice()
    else {
        panic!("{events:?}")
    };
    let noon: Timestamp = noon();
    assert_eq!((&assignment.by, assignment.created), (&by, noon));
}
