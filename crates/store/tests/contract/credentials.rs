//! What people prove with who they are: kept whole, changed together or not at all, never in the log.

use hourgate_core::{event::Note, time::Timestamp};
use hourgate_store::{
    Credential, CredentialChange, CredentialKind, Store, StoreError,
    credential::{BODY_BYTES_MAX, CHANGES_MAX, ID_BYTES_MAX},
};
use uuid::Uuid;

use crate::fixture::{Fixture, HandClock, agree, origin};

const ANN: Uuid = Uuid::from_u128(1);

pub(crate) fn credential(kind: CredentialKind, id: &str, body: &str) -> Credential {
    Credential { kind, id: id.to_owned(), object: ANN, body: body.to_owned(), until: None }
}

pub(crate) fn note() -> Note {
    Note::PasswordSet { object: ANN }
}

async fn kept(store: &impl Store) -> Vec<Credential> {
    let mut kept = store.credentials().await.unwrap();
    kept.sort_by_key(|one| (one.kind, one.id.clone()));
    kept
}

pub(crate) async fn credentials_are_kept<F: Fixture>() {
    let (place, clock) = (F::new(), HandClock::new());
    let store = place.open(&clock);
    assert_eq!(store.credentials().await.unwrap(), []);
    let until: Timestamp = "2030-01-01T00:00:00.000000001Z".parse().unwrap();
    let session = Credential {
        until: Some(until),
        ..credential(CredentialKind::Session, "s", "{\"name\":\"\u{202e}\"}")
    };
    let own = Credential {
        object: Uuid::nil(),
        ..credential(CredentialKind::SigningKey, &"k".repeat(ID_BYTES_MAX), "")
    };
    let longest = "x".repeat(BODY_BYTES_MAX);
    let first = credential(CredentialKind::Password, "ann", &longest);
    let same_id = credential(CredentialKind::Totp, "ann", "1");
    let all = [&first, &same_id, &session, &own].map(|one| CredentialChange::Put(one.clone()));
    store.keep(origin("ann"), all.to_vec(), note()).await.unwrap();
    assert_eq!(kept(&store).await, [first, same_id.clone(), session.clone(), own.clone()]);
    agree::<F>(&store).await;

    // In their order: what is removed and put again stands, what is put and removed is gone.
    let second =
        Credential { until: Some(until), ..credential(CredentialKind::Password, "ann", "2") };
    let remove = |kind, id: &str| CredentialChange::Remove { kind, id: id.to_owned() };
    let changes = vec![
        remove(CredentialKind::Password, "ann"),
        CredentialChange::Put(second.clone()),
        CredentialChange::Put(credential(CredentialKind::Link, "l", "")),
        remove(CredentialKind::Link, "l"),
        remove(CredentialKind::Link, "never there"),
        remove(CredentialKind::Session, "s"),
    ];
    store.keep(origin("ann"), changes, note()).await.unwrap();
    assert_eq!(kept(&store).await, [second.clone(), same_id.clone(), own.clone()]);
    agree::<F>(&store).await;
    drop(store);
    let store = place.open(&clock);
    assert_eq!(kept(&store).await, [second, same_id, own]);
    agree::<F>(&store).await;
    assert_eq!(store.verify_log().await.unwrap().records, 2, "a record for each change");
}

pub(crate) async fn a_credential_past_its_bounds_costs_the_others_nothing<F: Fixture>() {
    let (place, clock) = (F::new(), HandClock::new());
    let store = place.open(&clock);
    let good = credential(CredentialKind::Password, "ann", "1");
    let long = |id: usize, body: usize| {
        credential(CredentialKind::Passkey, &"k".repeat(id), &"ü".repeat(body))
    };
    let put = |one: Credential| CredentialChange::Put(one);
    for (what, changes) in [
        ("no id", vec![put(good.clone()), put(long(0, 1))]),
        ("a long id", vec![put(good.clone()), put(long(ID_BYTES_MAX + 1, 1))]),
        ("a long body", vec![put(good.clone()), put(long(1, BODY_BYTES_MAX / 2 + 1))]),
        ("many", vec![put(good.clone()); CHANGES_MAX + 1]),
    ] {
        let (kept, noted) = tokio::join!(
            store.keep(origin("ann"), changes, note()),
            store.note(origin("bob"), Note::ServerStopped)
        );
        assert!(matches!(kept, Err(StoreError::Damaged(_))), "{what}: {kept:?}");
        assert_eq!(noted, Ok(()), "{what}");
        assert_eq!(store.credentials().await.unwrap(), [], "{what}: nothing of it stands");
        agree::<F>(&store).await;
    }
    assert_eq!(store.verify_log().await.unwrap().records, 4);
    store.keep(origin("ann"), vec![put(good.clone()); CHANGES_MAX], note()).await.unwrap();
    assert_eq!(store.credentials().await.unwrap(), [good]);
}

/// A note that could be held back among many of its kind is written all the same where it tells of a change.
pub(crate) async fn no_change_of_a_credential_goes_unrecorded<F: Fixture>() {
    let (place, clock) = (F::new(), HandClock::new());
    let store = place.open(&clock);
    for number in 0..200 {
        let put = CredentialChange::Put(credential(CredentialKind::Link, &number.to_string(), ""));
        let wrong = Note::FactorWrong { object: Some(ANN), factor: "link".to_owned() };
        store.keep(origin("ann"), vec![put], wrong).await.unwrap();
    }
    assert_eq!(store.verify_log().await.unwrap().records, 200);
    agree::<F>(&store).await;
}
