use std::collections::BTreeSet;

use super::*;
use crate::signin::person::Method;

const LIVES: Lives = Lives { idle: Duration::from_hours(12), longest: Duration::from_hours(168) };
const CLIENT: Uuid = Uuid::from_u128(1);

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + seconds).expect("a time")
}

fn ann() -> SignedIn {
    let (name, upn) = ("Ann".to_owned(), Some("ann".to_owned()));
    let methods = BTreeSet::from([Method::Pwd]);
    SignedIn { object: Uuid::from_u128(7), name, upn, at: at(0), methods }
}

fn from() -> IpAddr {
    IpAddr::from([192, 0, 2, 7])
}

fn sessions() -> Sessions {
    Sessions::of(LIVES, &[])
}

fn token(session: u128) -> RefreshToken {
    RefreshToken::first(Uuid::from_u128(session), [1; 32], [2; 32])
}

/// As the rows hold it after a restart.
fn again(changes: &[CredentialChange]) -> Sessions {
    let rows: Vec<Credential> = changes
        .iter()
        .filter_map(|change| match change {
            CredentialChange::Put(row) => Some(row.clone()),
            CredentialChange::Remove { .. } => None,
        })
        .collect();
    Sessions::of(LIVES, &rows)
}

#[test]
fn a_browsers_session_is_found_by_its_cookie_alone_and_survives_a_restart() {
    let sessions = sessions();
    let id = Uuid::from_u128(9);
    let changes = sessions.begin_in_browser(id, "secret", ann(), from(), at(0)).expect("room");
    for held in [&sessions, &again(&changes)] {
        let (session, _) = held.of_cookie("secret", at(1)).expect("a session");
        assert_eq!((session.id, session.who.object), (id, ann().object));
        assert!(held.of_cookie("secreT", at(1)).is_none());
        assert!(held.of_cookie("", at(1)).is_none());
    }
    let CredentialChange::Put(row) = &changes[0] else { panic!("a row") };
    assert!(!row.body.contains("secret"), "the cookie is kept as a digest");
}

#[test]
fn a_session_ends_when_it_is_not_used_and_however_often_it_is() {
    let sessions = sessions();
    let id = Uuid::from_u128(9);
    sessions.begin_in_browser(id, "c", ann(), from(), at(0)).expect("room");
    let hour = 3_600;
    assert!(sessions.of_cookie("c", at(11 * hour)).is_some());
    assert!(sessions.of_cookie("c", at(22 * hour)).is_some(), "used eleven hours ago");
    assert!(sessions.of_cookie("c", at(34 * hour)).is_none(), "used twelve hours ago");
    assert!(!sessions.stands(id, at(34 * hour)));
    for n in 1..17 {
        sessions.begin_in_browser(id, "c", ann(), from(), at(0)).expect("room");
        for used in 1..=n {
            let now = at(used * 10 * hour);
            assert_eq!(sessions.of_cookie("c", now).is_some(), used * 10 < 168, "{used}");
        }
    }
    assert_eq!(sessions.sweep(at(168 * hour)).len(), 1);
    assert!(sessions.sweep(at(168 * hour)).is_empty());
}

#[test]
fn use_is_written_now_and_then_and_not_for_every_page() {
    let sessions = sessions();
    sessions.begin_in_browser(Uuid::nil(), "c", ann(), from(), at(0)).expect("room");
    let written = |now| sessions.of_cookie("c", at(now)).expect("a session").1.is_some();
    assert!(!written(1));
    assert!(!written(599));
    assert!(written(600));
    assert!(!written(601));
}

#[test]
fn one_who_signs_in_again_and_again_keeps_the_newest() {
    let sessions = sessions();
    for n in 0..SESSIONS_PER_PERSON_MAX + 5 {
        let cookie = n.to_string();
        let now = at(i64::try_from(n).expect("small"));
        let id = Uuid::from_u128(n as u128);
        let changes = sessions.begin_in_browser(id, &cookie, ann(), from(), now).expect("room");
        assert_eq!(changes.len(), if n < SESSIONS_PER_PERSON_MAX { 1 } else { 2 });
    }
    assert_eq!(sessions.list(Some(ann().object), at(99)).len(), SESSIONS_PER_PERSON_MAX);
    assert!(sessions.of_cookie("0", at(99)).is_none());
    assert!(sessions.of_cookie("5", at(99)).is_some());
}

#[test]
fn a_refresh_token_is_good_once() {
    let sessions = sessions();
    let first = token(9);
    let changes = sessions.begin_at_command(&first, CLIENT, ann(), from(), at(0)).expect("room");
    let second = first.next([3; 32]);
    let Refreshed::Next { session, change } = sessions.refresh(&first, CLIENT, &second, at(100))
    else {
        panic!("refreshed")
    };
    assert_eq!(session.used, at(100));
    let third = second.next([4; 32]);
    assert!(matches!(
        again(&[change]).refresh(&second, CLIENT, &third, at(200)),
        Refreshed::Next { .. }
    ));
    // The first one comes again: somebody else holds it.
    let Refreshed::Reused { session, .. } = sessions.refresh(&first, CLIENT, &third, at(200))
    else {
        panic!("seen")
    };
    assert!(!sessions.stands(session.id, at(200)));
    assert!(matches!(sessions.refresh(&second, CLIENT, &third, at(201)), Refreshed::Unknown));
    // Nothing of it can be read in the rows.
    let CredentialChange::Put(row) = &changes[0] else { panic!("a row") };
    assert!(!row.body.contains(&hex::encode([1_u8; 32])));
}

#[test]
fn however_old_it_is_a_token_that_comes_again_ends_the_session() {
    let sessions = sessions();
    let first = token(9);
    sessions.begin_at_command(&first, CLIENT, ann(), from(), at(0)).expect("room");
    let mut held = first.clone();
    for n in 3..40_u8 {
        let next = held.next([n; 32]);
        let now = at(i64::from(n) * 3_600);
        assert!(matches!(sessions.refresh(&held, CLIENT, &next, now), Refreshed::Next { .. }));
        held = next;
    }
    let now = at(40 * 3_600);
    let again = sessions.refresh(&first, CLIENT, &first.next([99; 32]), now);
    assert!(matches!(again, Refreshed::Reused { .. }));
}

#[test]
fn a_lost_answer_can_be_asked_for_again_at_once_and_not_later() {
    for (again_after, is_given) in [(0, true), (29, true), (30, false), (-60, false)] {
        let sessions = sessions();
        let first = token(9);
        sessions.begin_at_command(&first, CLIENT, ann(), from(), at(0)).expect("room");
        let lost = first.next([3; 32]);
        let _ = sessions.refresh(&first, CLIENT, &lost, at(100));
        let given = first.next([4; 32]);
        let again = sessions.refresh(&first, CLIENT, &given, at(100 + again_after));
        assert_eq!(matches!(again, Refreshed::Next { .. }), is_given, "{again_after}");
        if is_given {
            // Whoever got the lost answer after all is found.
            let thief = sessions.refresh(&lost, CLIENT, &lost.next([5; 32]), at(140));
            assert!(matches!(thief, Refreshed::Reused { .. }));
        }
    }
    // Once the new one was used, the old one is in two hands.
    let sessions = sessions();
    let first = token(9);
    sessions.begin_at_command(&first, CLIENT, ann(), from(), at(0)).expect("room");
    let second = first.next([3; 32]);
    let _ = sessions.refresh(&first, CLIENT, &second, at(100));
    let _ = sessions.refresh(&second, CLIENT, &first.next([4; 32]), at(101));
    let again = sessions.refresh(&first, CLIENT, &first.next([5; 32]), at(102));
    assert!(matches!(again, Refreshed::Reused { .. }));
}

#[test]
fn who_makes_a_token_up_ends_nobodys_session() {
    let sessions = sessions();
    let first = token(9);
    sessions.begin_at_command(&first, CLIENT, ann(), from(), at(0)).expect("room");
    let made_up = RefreshToken::first(Uuid::from_u128(9), [8; 32], [2; 32]);
    let answer = sessions.refresh(&made_up, CLIENT, &made_up.next([9; 32]), at(1));
    assert!(matches!(answer, Refreshed::Unknown));
    assert_eq!(sessions.of_refresh(&made_up), None);
    assert!(sessions.stands(Uuid::from_u128(9), at(1)));
    for text in ["", "hgr~", "hgr~AAAA", "hg~AAAA", &"hgr~A".repeat(90)] {
        assert!(RefreshToken::parse(text).is_none(), "{text}");
    }
    assert!(RefreshToken::parse(&first.text()) == Some(first));
}

#[test]
fn a_token_of_another_client_is_a_stolen_one() {
    let sessions = sessions();
    let first = token(9);
    sessions.begin_at_command(&first, CLIENT, ann(), from(), at(0)).expect("room");
    let other = sessions.refresh(&first, Uuid::from_u128(2), &first.next([3; 32]), at(1));
    assert!(matches!(other, Refreshed::Reused { .. }));
}

#[test]
fn what_could_not_be_written_did_not_happen() {
    let sessions = sessions();
    let first = token(9);
    sessions.begin_at_command(&first, CLIENT, ann(), from(), at(0)).expect("room");
    let _ = sessions.refresh(&first, CLIENT, &first.next([3; 32]), at(1));
    sessions.not_refreshed(&first);
    let again = sessions.refresh(&first, CLIENT, &first.next([4; 32]), at(3_600));
    assert!(matches!(again, Refreshed::Next { .. }));
}

#[test]
fn who_is_disabled_has_no_session_left() {
    let sessions = sessions();
    for n in 0..3_u128 {
        let cookie = n.to_string();
        sessions.begin_in_browser(Uuid::from_u128(n), &cookie, ann(), from(), at(0)).expect("room");
    }
    assert_eq!(sessions.end_all_of(ann().object, Some(Uuid::from_u128(1))).len(), 2);
    assert!(sessions.of_cookie("1", at(1)).is_some());
    assert_eq!(sessions.end_all_of(ann().object, None).len(), 1);
    assert!(sessions.of_cookie("1", at(1)).is_none());
}
