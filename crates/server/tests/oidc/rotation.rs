//! Keys come and go; who makes up their ids, or says where they are to be found, moves nothing.

use std::{sync::Arc, time::Duration};

use hourgate_server::provider::Rejected;
use serde_json::{Value, json};

use crate::{
    fake::{Fake, Says},
    signer::Signer,
    world::{World, table},
};

/// So long is not asked again for a key that is not known.
const PAUSE: Duration = Duration::from_secs(30);

#[tokio::test]
async fn a_flood_of_unknown_keys_costs_one_question() {
    let world = World::new();
    let key = Signer::ec("a");
    let fake = Fake::start(&world.authority, &[&key]).await;
    let providers = world.providers(&table("main", &fake.issuer, ""));
    let claims = world.claims(&fake.issuer, &json!({}));
    assert!(providers.verify(&key.token(&claims), world.now()).await.is_ok());
    world.pass(PAUSE);
    for round in 2..4 {
        let flood: Vec<_> = (0..300)
            .map(|n| {
                let header = json!({ "alg": "ES256", "kid": format!("made up {n}") });
                let (token, now) = (key.with_header(&header, &claims), world.now());
                let providers = Arc::clone(&providers);
                tokio::spawn(async move { providers.verify(&token, now).await })
            })
            .collect();
        for answer in flood {
            let rejected = answer.await.unwrap().expect_err("unknown");
            assert!(matches!(rejected, Rejected::Key | Rejected::Down(_)), "{rejected}");
        }
        assert_eq!(fake.asked("/keys").len(), round);
        world.pass(PAUSE);
    }
    // Those whose keys are known notice nothing, and where its ends are was asked once.
    let other = key.token(&world.claims(&fake.issuer, &json!({ "sub": "bob" })));
    assert!(providers.verify(&other, world.now()).await.is_ok());
    assert_eq!(fake.asked("/.well-known/openid-configuration").len(), 1);
}

#[tokio::test]
async fn a_new_key_counts_at_once_and_one_that_went_ends_with_what_it_signed() {
    let world = World::new();
    let (old, new) = (Signer::ec("old"), Signer::ec("new"));
    let fake = Fake::start(&world.authority, &[&old]).await;
    let providers = world.providers(&table("main", &fake.issuer, ""));
    let by_old = old.token(&world.claims(&fake.issuer, &json!({})));
    assert!(providers.verify(&by_old, world.now()).await.is_ok());
    world.pass(PAUSE);
    // Both stand: what was remembered stays.
    fake.publish(&[&old, &new]);
    let by_new = new.token(&world.claims(&fake.issuer, &json!({ "sub": "bob" })));
    assert!(providers.verify(&by_new, world.now()).await.is_ok());
    assert!(providers.verify(&by_old, world.now()).await.is_ok());
    world.pass(PAUSE);
    // The old one is taken back; the next who needs a new key has everybody learn of it.
    let newest = Signer::ec("newest");
    fake.publish(&[&new, &newest]);
    let by_newest = newest.token(&world.claims(&fake.issuer, &json!({})));
    assert!(providers.verify(&by_newest, world.now()).await.is_ok());
    assert_eq!(providers.verify(&by_old, world.now()).await.err(), Some(Rejected::Key));
    assert!(providers.verify(&by_new, world.now()).await.is_ok());
}

#[tokio::test]
async fn a_key_that_was_taken_back_ends_though_nobody_brings_a_new_one() {
    let world = World::new();
    let (old, new) = (Signer::ec("old"), Signer::ec("new"));
    let fake = Fake::start(&world.authority, &[&old]).await;
    let providers = world.providers(&table("main", &fake.issuer, ""));
    let by_old = old.token(&world.claims(&fake.issuer, &json!({})));
    assert!(providers.verify(&by_old, world.now()).await.is_ok());
    fake.publish(&[&new]);
    world.pass(Duration::from_mins(10));
    // Who comes now is let in without waiting, and has the keys looked at in the background.
    assert!(providers.verify(&by_old, world.now()).await.is_ok());
    let ended = async {
        loop {
            match providers.verify(&by_old, world.now()).await {
                Ok(_) => tokio::task::yield_now().await,
                Err(rejected) => return rejected,
            }
        }
    };
    let rejected = tokio::time::timeout(Duration::from_secs(10), ended).await.expect("it ends");
    assert_eq!(rejected, Rejected::Key);
    assert_eq!(fake.asked("/keys").len(), 2);
}

#[tokio::test]
async fn a_key_replaced_under_its_id_ends_what_the_first_signed() {
    let world = World::new();
    let (first, second) = (Signer::ec("a"), Signer::ec("a"));
    let fake = Fake::start(&world.authority, &[&first]).await;
    let providers = world.providers(&table("main", &fake.issuer, ""));
    let token = first.token(&world.claims(&fake.issuer, &json!({})));
    assert!(providers.verify(&token, world.now()).await.is_ok());
    fake.publish(&[&second]);
    world.pass(PAUSE);
    let header = json!({ "alg": "ES256", "kid": "unknown" });
    let unknown = first.with_header(&header, &world.claims(&fake.issuer, &json!({})));
    assert_eq!(providers.verify(&unknown, world.now()).await.err(), Some(Rejected::Key));
    assert_eq!(providers.verify(&token, world.now()).await.err(), Some(Rejected::Signature));
}

#[tokio::test]
async fn where_a_token_says_its_key_is_nobody_looks() {
    let world = World::new();
    let (key, foreign) = (Signer::ec("a"), Signer::ec("evil"));
    let fake = Fake::start(&world.authority, &[&key]).await;
    let evil = Fake::start(&world.authority, &[&foreign]).await;
    let providers = world.providers(&table("main", &fake.issuer, ""));
    let claims = world.claims(&fake.issuer, &json!({}));
    let place = format!("{}/keys", evil.issuer);
    let brings = [
        json!({ "jku": place }),
        json!({ "x5u": place }),
        json!({ "jwk": foreign.public() }),
        json!({ "jku": place, "kid": "a" }),
        json!({ "jwk": foreign.public(), "kid": "a" }),
        json!({ "jwk": foreign.public(), "kid": null }),
    ];
    for more in brings {
        let mut header = json!({ "alg": "ES256", "kid": "evil" });
        let header_map = header.as_object_mut().unwrap();
        header_map.extend(more.as_object().unwrap().clone());
        header_map.retain(|_, value| *value != Value::Null);
        let token = foreign.with_header(&header, &claims);
        let rejected = providers.verify(&token, world.now()).await.expect_err("foreign");
        assert!(matches!(rejected, Rejected::Key | Rejected::Signature), "{header}: {rejected}");
    }
    assert_eq!(evil.asked_in_all(), 0);
    // A good token is no worse for it.
    let header = json!({ "alg": "ES256", "kid": "a", "jku": place });
    assert!(providers.verify(&key.with_header(&header, &claims), world.now()).await.is_ok());
}

#[tokio::test]
async fn a_key_for_something_else_signs_nothing() {
    let world = World::new();
    let (key, other) = (Signer::ec("a"), Signer::ec("b"));
    let fake = Fake::start(&world.authority, &[]).await;
    let mut encrypts = other.public();
    encrypts["use"] = json!("enc");
    fake.says("/keys", Says::Json(json!({ "keys": [key.public(), encrypts] })));
    let providers = world.providers(&table("main", &fake.issuer, ""));
    let claims = world.claims(&fake.issuer, &json!({}));
    let answer = providers.verify(&other.token(&claims), world.now()).await;
    assert_eq!(answer.err(), Some(Rejected::Key));
    assert!(providers.verify(&key.token(&claims), world.now()).await.is_ok());
}
