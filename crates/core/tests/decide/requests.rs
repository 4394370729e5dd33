//! For how long, from when, for what, and all reasons at once (P3, P8, P10, P11).

use hourgate_core::{
    command::{Command, Needs},
    grant::{ACCESSES_PER_REQUEST_MAX, LIVE_PER_VM_MAX},
    id::RequestId,
    refusal::{Refusal, TextProperty},
};

use crate::scene::*;

#[test]
fn how_long() {
    let rows = [
        ("not said: the policy's longest", ask("web", 22), Ok(hours(3))),
        ("exactly the longest", ask("web", 22).lasting(hours(3)), Ok(hours(3))),
        (
            "one second over",
            ask("web", 22).lasting(hours(3) + seconds(1)),
            Err(Refusal::LongerThanPolicy {
                at: at("web", 22),
                asked: hours(3) + seconds(1),
                longest: hours(3),
            }),
        ),
        ("an end is kept as sent", ask("web", 22).until(noon_and(hours(1))), Ok(hours(1))),
        (
            "five minutes over the longest are a clock, not a wish: clamped",
            ask("web", 22).until(noon_and(hours(3) + minutes(5))),
            Ok(hours(3)),
        ),
        (
            "more is a wish",
            ask("web", 22).until(noon_and(hours(3) + minutes(5) + seconds(1))),
            Err(Refusal::LongerThanPolicy {
                at: at("web", 22),
                asked: hours(3) + minutes(5) + seconds(1),
                longest: hours(3),
            }),
        ),
        ("the shortest", ask("web", 22).lasting(minutes(1)), Ok(minutes(1))),
        (
            "shorter",
            ask("web", 22).lasting(seconds(59)),
            Err(Refusal::TooShort { at: at("web", 22), asked: seconds(59), shortest: minutes(1) }),
        ),
        (
            "an end that is now",
            ask("web", 22).until(noon()),
            Err(Refusal::EndInPast { at: at("web", 22), end: noon(), begin: noon() }),
        ),
    ];
    for (why, asking, answer) in rows {
        let mut scene = web(rule(22));
        match answer {
            Ok(length) => {
                scene.gets(asking);
                assert_eq!(scene.left(), [length], "{why}");
            }
            Err(refusal) => assert_eq!(scene.denies(asking), [refusal], "{why}"),
        }
    }
}

#[test]
fn it_closes_exactly_at_the_end() {
    let mut scene = web(rule(22));
    let id = scene.gets(ask("web", 22).lasting(minutes(10)));
    scene.waits(minutes(10) - seconds(1));
    assert_eq!(scene.left(), [seconds(1)]);
    assert!(scene.ticks().is_empty(), "nothing is due a second before");
    scene.waits(seconds(1));
    assert!(scene.open().is_empty(), "open_now needs no timer to know that it is over");
    assert_eq!(scene.stage(id), "granted", "nobody has looked yet");
    scene.ticks();
    assert_eq!(scene.stage(id), "expired");
    assert!(scene.ticks().is_empty(), "an end is told once");
}

#[test]
fn time_comes_before_people() {
    let mut scene = web(rule(22));
    let id = scene.gets(ask("web", 22).lasting(minutes(10)));
    scene.waits(minutes(10));
    scene.does(&end(id));
    assert_eq!(scene.stage(id), "expired", "nobody ends what time has ended");
}

#[test]
fn a_plan_begins_at_its_start() {
    let mut scene = web(rule(22));
    let asking = ask("web", 22).lasting(minutes(30)).starting(noon_and(hours(1)));
    let id = scene.gets(asking);
    scene.waits(hours(1) - seconds(1));
    assert!(scene.ticks().is_empty());
    assert_eq!((scene.stage(id), scene.open().len()), ("planned", 0));
    scene.waits(seconds(1));
    scene.ticks();
    assert_eq!((scene.stage(id), scene.left()), ("granted", vec![minutes(30)]));
}

#[test]
fn a_plan_that_began_late_ends_no_later() {
    let mut scene = web(rule(22));
    scene.gets(ask("web", 22).lasting(minutes(30)).starting(noon_and(hours(1))));
    scene.waits(hours(1) + minutes(20));
    scene.ticks();
    assert_eq!(scene.left(), [minutes(10)]);
}

#[test]
fn a_plan_that_slept_through_its_time_lapses() {
    let mut scene = web(rule(22));
    let id = scene.gets(ask("web", 22).lasting(minutes(30)).starting(noon_and(hours(1))));
    scene.waits(hours(1) + minutes(30));
    scene.ticks();
    assert_eq!((scene.stage(id), scene.open().len()), ("lapsed", 0));
}

#[test]
fn starts() {
    let days = |count: u64| hours(24 * count);
    let before = |length| noon().checked_sub(length).expect("in range");
    let rows = [
        ("now is at once", noon(), Ok("granted")),
        ("five minutes ago is a clock: at once", before(minutes(5)), Ok("granted")),
        (
            "more lies in the past",
            before(minutes(5) + seconds(1)),
            Err(Refusal::StartInPast { start: before(minutes(5) + seconds(1)), now: noon() }),
        ),
        ("90 days ahead can be planned", noon_and(days(90)), Ok("planned")),
        (
            "not more",
            noon_and(days(90) + seconds(1)),
            Err(Refusal::StartTooFarAhead {
                start: noon_and(days(90) + seconds(1)),
                furthest: noon_and(days(90)),
            }),
        ),
    ];
    for (why, start, answer) in rows {
        let mut scene = web(rule(22));
        match answer {
            Ok(stage) => {
                let id = scene.gets(ask("web", 22).starting(start));
                assert_eq!(scene.stage(id), stage, "{why}");
            }
            Err(refusal) => {
                assert_eq!(scene.denies(ask("web", 22).starting(start)), [refusal], "{why}");
            }
        }
    }
}

#[test]
fn an_end_before_a_planned_start_is_none() {
    let mut scene = web(rule(22));
    let begin = noon_and(hours(2));
    let end = noon_and(hours(1));
    let refusals = scene.denies(ask("web", 22).starting(begin).until(end));
    assert_eq!(refusals, [Refusal::EndInPast { at: at("web", 22), end, begin }]);
}

#[test]
fn what_is_asked_must_exist() {
    let scene = || web(rule(22)).vm("bare", &["10.0.0.5"]);
    let rows = [
        ("a policy", ask("web", 22).of("q"), vec![Refusal::PolicyNotFound { policy: policy("q") }]),
        ("a VM", ask("nowhere", 22), vec![Refusal::VmNotFound { vm: vm("nowhere") }]),
        (
            "in that policy",
            ask("bare", 22),
            vec![Refusal::VmNotInPolicy { vm: vm("bare"), policy: policy("p") }],
        ),
        (
            "with that port",
            ask("web", 3389),
            vec![Refusal::PortNotInPolicy { at: at("web", 3389), ports: vec![port(22)] }],
        ),
        (
            "once",
            ask("web", 22).and(ask("web", 22)),
            vec![Refusal::PortTwice { at: at("web", 22) }],
        ),
    ];
    for (why, asking, refusals) in rows {
        assert_eq!(scene().denies(asking), refusals, "{why}");
    }
    let mut nothing = ask("web", 22);
    nothing.0.accesses.clear();
    assert_eq!(scene().denies(nothing), [Refusal::NothingAsked]);
}

#[test]
fn every_reason_at_once_and_nothing_half_done() {
    let mut scene = web(rule_from(22, &["203.0.113.0/24"])).vm("bare", &["10.0.0.5"]);
    let asking = ask("web", 22)
        .from("198.51.100.1")
        .lasting(hours(4))
        .and(ask("bare", 22))
        .and(ask("nowhere", 22))
        .starting(noon_and(hours(24 * 91)));
    let refusals = scene.denies(asking);
    let said = |wanted: fn(&Refusal) -> bool| refusals.iter().any(wanted);
    assert!(said(|r| matches!(r, Refusal::StartTooFarAhead { .. })));
    assert!(said(|r| matches!(r, Refusal::SourceNotAllowed { .. })));
    assert!(said(|r| matches!(r, Refusal::LongerThanPolicy { .. })));
    assert!(said(|r| matches!(r, Refusal::VmNotInPolicy { .. })));
    assert!(said(|r| matches!(r, Refusal::VmNotFound { .. })));
    assert_eq!(refusals.len(), 5, "{refusals:?}");
}

#[test]
fn several_vms_and_ports_are_all_or_nothing() {
    let two = || {
        scene().vm("web", &["10.0.0.4"]).vm("db", &["10.0.0.5"]).policy(
            "p",
            vec![
                member("web", vec![rule(22), rule(3389)]),
                member("db", vec![for_at_most(hours(1), rule(22))]),
            ],
        )
    };
    let all = || ask("web", 22).and(ask("web", 3389)).and(ask("db", 22));
    let mut given = two();
    given.gets(all().lasting(hours(1)));
    assert_eq!(given.open().len(), 3);
    let mut refused = two();
    assert_eq!(refused.denies(all().lasting(hours(2))).len(), 1);
    assert!(refused.open().is_empty());
}

#[test]
fn limits() {
    let mut scene = web(rule(22));
    let mut many = ask("web", 22);
    for number in 0..ACCESSES_PER_REQUEST_MAX {
        many = many.and(ask("web", u16::try_from(number).expect("small") + 1000));
    }
    let told_once = [Refusal::TooManyAccesses { most: ACCESSES_PER_REQUEST_MAX }];
    assert_eq!(scene.denies(many), told_once, "nothing is said of each of them");

    let mut wordy = ask("web", 22);
    wordy.0.justification = Some("ä".repeat(2_001));
    wordy.0.ticket = Some("ä".repeat(201));
    assert_eq!(
        scene.denies(wordy),
        [
            Refusal::TextTooLong { property: TextProperty::Justification, most: 2_000 },
            Refusal::TextTooLong { property: TextProperty::Ticket, most: 200 },
        ]
    );
    let mut as_long_as_may_be = ask("web", 22);
    as_long_as_may_be.0.justification = Some("ä".repeat(2_000));
    as_long_as_may_be.0.ticket = Some("ä".repeat(200));
    scene.gets(as_long_as_may_be);
}

#[test]
fn a_vm_takes_only_so_many_live_accesses() {
    let mut scene = web(rule(22));
    let first = scene.gets(ask("web", 22).by("bob"));
    let pattern = scene.state.requests[&first].clone();
    for number in 1..LIVE_PER_VM_MAX as u64 {
        let mut request = (*pattern).clone();
        request.id = RequestId::mint(1_000_000 + number);
        scene.state.requests.insert(request.id, std::sync::Arc::new(request));
    }
    assert_eq!(
        scene.denies(ask("web", 22)),
        [Refusal::TooManyOnVm { vm: vm("web"), most: LIVE_PER_VM_MAX }]
    );
    scene.does(&end(first));
    scene.gets(ask("web", 22));
}

#[test]
fn an_id_is_one_requests() {
    let mut scene = web(rule(22));
    let id = scene.gets(ask("web", 22));
    let mut again = ask("web", 22).by("bob");
    again.0.id = id;
    assert_eq!(
        scene.refuses(&Command::Request(again.0)),
        [Refusal::RequestIdTaken { request: id }]
    );
}

#[test]
fn a_newer_request_takes_the_place_of_the_older() {
    let running = |asking: Asking| {
        let mut scene = web(others_allowed(rule(22)));
        let first = scene.gets(asking);
        scene.waits(minutes(5));
        (scene, first)
    };
    let rows = [
        ("same person, VM, port and source", ask("web", 22), ask("web", 22), "replaced"),
        (
            "also where the source is written differently",
            ask("web", 22).from(OWN),
            ask("web", 22).from("203.0.113.7/32"),
            "replaced",
        ),
        (
            "another source stands beside it",
            ask("web", 22),
            ask("web", 22).from("198.51.100.9"),
            "granted",
        ),
        ("another person's too", ask("web", 22), ask("web", 22).by("bob"), "granted"),
        (
            "a plan takes no place before it begins",
            ask("web", 22),
            ask("web", 22).starting(noon_and(hours(1))),
            "granted",
        ),
        (
            "an older plan that overlaps is replaced",
            ask("web", 22).starting(noon_and(hours(1))),
            ask("web", 22),
            "replaced",
        ),
        (
            "one that begins when the newer ends does not overlap",
            ask("web", 22).starting(noon_and(minutes(65))),
            ask("web", 22).lasting(hours(1)),
            "planned",
        ),
        (
            "a second earlier it does",
            ask("web", 22).starting(noon_and(minutes(65) - seconds(1))),
            ask("web", 22).lasting(hours(1)),
            "replaced",
        ),
    ];
    for (why, older, newer, stage) in rows {
        let (mut scene, first) = running(older);
        scene.gets(newer);
        assert_eq!(scene.stage(first), stage, "{why}");
    }
}

#[test]
fn a_replacement_leaves_no_gap() {
    let mut scene = web(rule(22));
    scene.gets(ask("web", 22).lasting(minutes(10)));
    scene.waits(minutes(9));
    let second = scene.gets(ask("web", 22).lasting(minutes(10)));
    assert_eq!(scene.left(), [minutes(10)], "one opening, now until the newer end");
    scene.waits(minutes(2));
    scene.ticks();
    assert_eq!(scene.left(), [minutes(8)]);
    assert_eq!(scene.stage(second), "granted");
}

#[test]
fn a_plan_that_begins_takes_the_place_of_what_runs() {
    let mut scene = web(rule(22));
    let running = scene.gets(ask("web", 22).lasting(hours(2)));
    let plan = scene.gets(ask("web", 22).lasting(hours(3)).starting(noon_and(hours(1))));
    scene.waits(hours(1));
    scene.ticks();
    assert_eq!((scene.stage(running), scene.stage(plan)), ("replaced", "granted"));
    assert_eq!(scene.left(), [hours(3)]);
}

#[test]
fn an_older_plan_never_takes_the_place_of_a_newer_one() {
    let mut scene = web(rule(22));
    let older = scene.gets(ask("web", 22).lasting(hours(1)).starting(noon_and(hours(2))));
    scene.waits(seconds(1));
    let newer = scene.gets(ask("web", 22).lasting(hours(1)).starting(noon_and(minutes(150))));
    scene.waits(hours(2));
    scene.ticks();
    assert_eq!((scene.stage(older), scene.stage(newer)), ("granted", "planned"));
    scene.waits(minutes(30));
    scene.ticks();
    assert_eq!((scene.stage(older), scene.stage(newer)), ("replaced", "granted"));
}

#[test]
fn two_plans_that_begin_in_one_tick_leave_the_newer_and_revive_nothing() {
    for first_minted in [0, 35] {
        let mut scene = web(rule(22));
        scene.minted = first_minted;
        let start = noon_and(hours(1));
        let older = scene.gets(ask("web", 22).starting(start));
        scene.waits(seconds(1));
        let newer = scene.gets(ask("web", 22).starting(start));
        scene.waits(hours(2));
        let events = scene.ticks();
        assert_eq!((scene.stage(older), scene.stage(newer)), ("replaced", "granted"));
        let mut ended = std::collections::BTreeSet::new();
        for event in events {
            match event {
                hourgate_core::event::Event::Ended { access, .. } => {
                    ended.insert(access);
                }
                hourgate_core::event::Event::Started { access, .. } => {
                    assert!(!ended.contains(&access), "what ended begins again");
                }
                _ => {}
            }
        }
    }
}

#[test]
fn two_peoples_grants_for_one_opening_last_until_the_later_end() {
    let mut scene = web(rule(22));
    let ann = scene.gets(ask("web", 22).lasting(hours(2)));
    let bob = scene.gets(ask("web", 22).by("bob").lasting(hours(1)));
    assert_eq!(scene.left(), [hours(2)]);
    scene.does(&end(ann));
    assert_eq!(scene.left(), [hours(1)], "what is left is the other's");
    scene.does(&end(bob));
    assert!(scene.open().is_empty());
}

#[test]
fn ending() {
    let two = || {
        scene().vm("web", &["10.0.0.4"]).policy("p", vec![member("web", vec![rule(22), rule(443)])])
    };
    let mut scene = two();
    let id = scene.gets(ask("web", 22).and(ask("web", 443)));
    let only = Some([(vm("web"), port(443))].into_iter().collect());
    scene.does(&Command::End { request: id, only });
    assert_eq!(scene.open(), ["203.0.113.7/32 > 10.0.0.4 22"], "a part of it");
    scene.does(&end(id));
    assert!(scene.open().is_empty(), "the rest");
    assert!(scene.does(&end(id)).is_empty(), "what has ended can be ended: nothing happens");
    let plan = scene.gets(ask("web", 22).starting(noon_and(hours(1))));
    scene.does(&end(plan));
    assert_eq!(scene.stage(plan), "ended", "a plan too");
    let request = RequestId::mint(999);
    assert_eq!(scene.refuses(&end(request)), [Refusal::RequestNotFound { request }]);
}

#[test]
fn a_request_needs_the_head_of_its_policy_and_its_vms_alone() {
    let asking = ask("web", 22);
    let empty = scene().state;
    let needs = Command::Request(asking.0.clone()).needs(&empty.network, &empty.directory);
    let wanted = Needs {
        heads: [policy("p")].into_iter().collect(),
        requests: [asking.0.id].into_iter().collect(),
        vms: [vm("web")].into_iter().collect(),
        ..Needs::default()
    };
    assert_eq!(needs, wanted);
}
