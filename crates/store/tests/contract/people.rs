//! People, roles and what they have: kept, found by whoever takes from them, and sealed with all the rest.

use std::{collections::BTreeSet, time::Duration};

use hourgate_core::{
    command::{Ask, Command},
    event::Event,
    grant::{EndReason, Stage},
    id::RequestId,
    personal::Personal,
    refusal::Refusal,
    role::{
        Person, Scope,
        activation::{ActivationStage, Rules},
        built_in::{JIT_REQUESTER, READER},
        change::{
            ActivationAsk, AssignmentDraft, DirectoryCommand, DirectoryRefusal, EligibilityDraft,
            Introduction, RoleDraft,
        },
        definition::Permission,
        principal::PrincipalKind,
    },
    time::{Clock, Timestamp, later},
};
use hourgate_store::{Committed, Store, TransactError};
use uuid::Uuid;

use crate::fixture::{Fixture, HandClock, act, agree, ask, minutes, prepare, try_act, vm_id};

const ANN: u128 = 1;
const BOB: u128 = 2;
const OPS: u128 = 9;

fn id(number: u128) -> Uuid {
    Uuid::from_u128(0x5000 + number)
}

fn people(command: DirectoryCommand) -> Command {
    Command::Directory(command)
}

fn meet(who: u128, groups: Option<&[u128]>) -> Command {
    people(DirectoryCommand::Introduce(Introduction {
        id: id(who),
        kind: if who == OPS { PrincipalKind::Group } else { PrincipalKind::User },
        issuer: "https://login.example.org".to_owned(),
        subject: Personal(format!("subject {who}")),
        name: Personal(format!("name {who}")),
        upn: Some(Personal(format!("{who}@example.org"))),
        verified_mail: None,
        groups: groups.map(|groups| groups.iter().map(|group| id(*group)).collect()),
        said: None,
    }))
}

fn give(number: u128, role: Uuid, who: u128, scope: &Scope, until: Option<Timestamp>) -> Command {
    people(DirectoryCommand::Assign(AssignmentDraft {
        id: Uuid::from_u128(0xa000 + number),
        scope: scope.clone(),
        role,
        principal: id(who),
        kind: None,
        description: Some("for tests".to_owned()),
        until,
        by: Some(id(BOB).into()),
    }))
}

fn whole<S: Store>(store: &S) -> Scope {
    Scope::subscription(store.installation().subscription)
}

fn asks<S: Store>(store: &S, number: u64, who: u128, of: &[(&str, u16)]) -> Ask {
    let ask = ask(store, number, "ann", of);
    Ask { requester: Person { id: id(who).into(), ..ask.requester.clone() }, ..ask }
}

fn lost(committed: &Committed) -> Vec<RequestId> {
    let lost = committed.events.iter().filter_map(|event| {
        let Event::Ended { access, reason: EndReason::RightLost, .. } = event else { return None };
        Some(access.request)
    });
    lost.collect()
}

fn activation<S: Store>(store: &S, number: u128, who: u128) -> Command {
    people(DirectoryCommand::Activate(ActivationAsk {
        id: Uuid::from_u128(0xc000 + number),
        person: Person { id: id(who).into(), name: Personal("x".to_owned()), upn: None },
        role: JIT_REQUESTER,
        scope: whole(store),
        eligibility: None,
        length: Some(minutes(60)),
        justification: Some("a disk is full".to_owned()),
        ticket: None,
        sign_in: None,
        assignment: Uuid::from_u128(0xa500 + number),
    }))
}

pub(crate) async fn people_and_roles_are_kept<F: Fixture>() {
    let (place, clock) = (F::new(), HandClock::new());
    let store = place.open(&clock);
    prepare(&store).await;
    let scope = whole(&store);
    act(&store, meet(OPS, None)).await;
    act(&store, meet(ANN, Some(&[OPS]))).await;
    act(&store, meet(BOB, None)).await;
    let own = Uuid::from_u128(0xd001);
    let draft = RoleDraft {
        id: own,
        name: "Asker".to_owned(),
        description: "asks".to_owned(),
        permissions: vec![Permission {
            actions: vec!["*/read".parse().unwrap()],
            not_actions: vec!["Microsoft.Network/*".parse().unwrap()],
            ..Permission::default()
        }],
        assignable: vec![scope.clone()],
    };
    act(&store, people(DirectoryCommand::Define(draft))).await;
    let until = Some(later(clock.now().wall, minutes(600)));
    act(&store, give(1, own, OPS, &scope, until)).await;
    act(&store, give(2, READER, ANN, &Scope::from(&vm_id(&store, "web")), None)).await;
    act(&store, give(3, JIT_REQUESTER, BOB, &scope, None)).await;
    let eligible = EligibilityDraft {
        id: Uuid::from_u128(0xe001),
        scope: scope.clone(),
        role: JIT_REQUESTER,
        principal: id(OPS),
        until,
        by: None,
    };
    act(&store, people(DirectoryCommand::MakeEligible(eligible))).await;
    let rules =
        Rules { ticket: false, longest: minutes(90), ..Rules::default_of(JIT_REQUESTER, scope) };
    act(&store, people(DirectoryCommand::SetRules(rules))).await;
    act(&store, activation(&store, 1, ANN)).await;
    act(&store, people(DirectoryCommand::SetDisabled { principal: id(BOB), disabled: true })).await;

    let before = store.directory();
    assert_eq!(before.assignment_count(), 4);
    assert_eq!(store.everything().await.unwrap().directory, before);
    drop(store);
    let store = place.open(&clock);
    assert_eq!(store.directory(), before, "read back from the rows");
    agree::<F>(&store).await;

    // And all of it goes again.
    for command in [
        DirectoryCommand::Forget { principal: id(ANN) },
        DirectoryCommand::Forget { principal: id(BOB) },
        DirectoryCommand::Forget { principal: id(OPS) },
        DirectoryCommand::Undefine { role: own },
    ] {
        act(&store, people(command)).await;
    }
    let left = store.directory();
    assert_eq!((left.assignment_count(), left.principal_count()), (0, 0));
    assert_eq!(left.eligibilities().count(), 0);
    assert!(left.activations().all(|it| !it.is_live()), "what was is shown, and gives nothing");
    drop(store);
    let store = place.open(&clock);
    assert_eq!(store.directory(), left);
    agree::<F>(&store).await;
}

/// Whoever takes a right must find all that was given by it, on machines that the command does not name.
pub(crate) async fn what_somebody_has_ends_with_their_right<F: Fixture>() {
    let (place, clock) = (F::new(), HandClock::new());
    let store = place.open(&clock);
    prepare(&store).await;
    let scope = whole(&store);
    act(&store, meet(OPS, None)).await;
    act(&store, meet(ANN, Some(&[OPS]))).await;
    act(&store, meet(BOB, Some(&[OPS]))).await;
    act(&store, give(1, JIT_REQUESTER, OPS, &scope, None)).await;
    act(&store, Command::Request(asks(&store, 1, ANN, &[("web", 22), ("db", 22)]))).await;
    act(&store, Command::Request(asks(&store, 2, BOB, &[("web", 443)]))).await;
    let mut planned = asks(&store, 3, ANN, &[("db", 22)]);
    planned.start = Some(later(clock.now().wall, minutes(90)));
    act(&store, Command::Request(planned)).await;

    let gone = act(&store, meet(ANN, Some(&[]))).await;
    let [one, three] = [RequestId::mint(1), RequestId::mint(3)];
    let ended: BTreeSet<RequestId> = lost(&gone).into_iter().collect();
    assert_eq!((lost(&gone).len(), ended), (3, BTreeSet::from([one, three])));
    let stands = |request: &hourgate_core::grant::Request| {
        request.accesses.iter().all(|access| matches!(access.stage, Stage::Granted { .. }))
    };
    assert!(stands(&store.request(RequestId::mint(2)).await.unwrap().unwrap()), "bob's goes on");
    let taken = people(DirectoryCommand::Unassign { assignment: Uuid::from_u128(0xa001) });
    assert_eq!(lost(&act(&store, taken).await), [RequestId::mint(2)]);
    drop(store);
    let store = place.open(&clock);
    let request = store.request(one).await.unwrap().unwrap();
    for access in &request.accesses {
        assert!(matches!(access.stage, Stage::Ended { reason: EndReason::RightLost, .. }));
    }
    agree::<F>(&store).await;
}

/// The end of a role is a deadline of its own, and finds what was given by it.
pub(crate) async fn a_roles_end_is_a_deadline<F: Fixture>() {
    let (place, clock) = (F::new(), HandClock::new());
    let store = place.open(&clock);
    prepare(&store).await;
    act(&store, meet(ANN, None)).await;
    let until = Some(later(clock.now().wall, minutes(20)));
    act(&store, give(1, JIT_REQUESTER, ANN, &whole(&store), until)).await;
    act(&store, Command::Request(asks(&store, 1, ANN, &[("web", 22)]))).await;
    let next = store.next_deadline(clock.now()).await.unwrap();
    assert_eq!(next, Some(minutes(20)));
    clock.pass(minutes(20));
    let late = try_act(&store, Command::Request(asks(&store, 2, ANN, &[("web", 22)]))).await;
    let Err(TransactError::Refused(why)) = late else { panic!("{late:?}") };
    assert!(matches!(
        why.0.as_slice(),
        [Refusal::Directory { why: DirectoryRefusal::MayNotAsk { .. } }]
    ));
    assert_eq!(lost(&act(&store, Command::Tick).await), [RequestId::mint(1)]);
    assert_eq!(store.directory().assignment_count(), 0);
    agree::<F>(&store).await;
}

/// Somebody who waits for a word has nothing yet, and what lapses lapses by itself.
pub(crate) async fn an_activation_that_waits_lapses<F: Fixture>() {
    let (place, clock) = (F::new(), HandClock::new());
    let store = place.open(&clock);
    prepare(&store).await;
    let scope = whole(&store);
    act(&store, meet(ANN, None)).await;
    act(&store, meet(BOB, None)).await;
    let eligible = EligibilityDraft {
        id: Uuid::from_u128(0xe001),
        scope: scope.clone(),
        role: JIT_REQUESTER,
        principal: id(ANN),
        until: None,
        by: None,
    };
    act(&store, people(DirectoryCommand::MakeEligible(eligible))).await;
    let approval = hourgate_core::role::activation::RoleApproval::OneOf([id(BOB)].into());
    let rules = Rules { approval, ..Rules::default_of(JIT_REQUESTER, scope) };
    act(&store, people(DirectoryCommand::SetRules(rules))).await;
    act(&store, activation(&store, 1, ANN)).await;
    let day = Duration::from_hours(24);
    assert_eq!(store.next_deadline(clock.now()).await.unwrap(), Some(day));
    clock.pass(day);
    act(&store, Command::Tick).await;
    let shown = store.directory();
    let activation = shown.activation(Uuid::from_u128(0xc001)).unwrap();
    assert!(matches!(activation.stage, ActivationStage::Ended { .. }));
    agree::<F>(&store).await;
}
