//! A provider that does not answer: nobody hangs, and it is not asked without end.

use std::{sync::Arc, time::Duration};

use hourgate_server::provider::{Down, Freshness, Providers, Rejected, SignInFailure};
use serde_json::json;

use crate::{
    fake::{Fake, Says},
    signer::Signer,
    world::{World, table},
};

async fn down(providers: &Providers, token: &str, world: &World) -> Down {
    is_down(providers.verify(token, world.now()).await.expect_err("down"))
}

fn is_down(rejected: Rejected) -> Down {
    let Rejected::Down(down) = rejected else { panic!("{rejected}") };
    down
}

#[tokio::test]
async fn it_is_asked_again_after_longer_and_longer_and_then_it_is_back() {
    let world = World::new();
    let key = Signer::ec("a");
    let mut fake = Fake::start(&world.authority, &[&key]).await;
    let providers = world.providers(&table("main", &fake.issuer, ""));
    let token = key.token(&world.claims(&fake.issuer, &json!({})));
    fake.says("/keys", Says::Status(503, json!({})));
    for (seconds, asked) in [(1, 1), (2, 2), (4, 3), (8, 4), (16, 5), (32, 6), (60, 7), (60, 8)] {
        let answer = down(&providers, &token, &world).await;
        assert_eq!(answer.wait, Duration::from_secs(seconds));
        assert!(answer.why.contains("503"), "{answer}");
        // Whoever comes in between is told the same, at once.
        world.pass(Duration::from_secs(seconds) - Duration::from_millis(1));
        assert_eq!(down(&providers, &token, &world).await.why, answer.why);
        assert_eq!(fake.asked("/keys").len(), asked);
        // And as long as it took to fail, which is less than this.
        world.pass(Duration::from_secs(10));
    }
    fake.go_down().await;
    assert!(down(&providers, &token, &world).await.why.contains("not reached"));
    fake.come_back().await;
    fake.publish(&[&key]);
    world.pass(Duration::from_secs(70));
    let token = key.token(&world.claims(&fake.issuer, &json!({})));
    assert!(providers.verify(&token, world.now()).await.is_ok());
}

#[tokio::test]
async fn its_tokens_go_on_for_a_while_and_then_end() {
    let world = World::new();
    let key = Signer::ec("a");
    let mut fake = Fake::start(&world.authority, &[&key]).await;
    let providers = world.providers(&table("main", &fake.issuer, ""));
    let end = world.now().wall.as_second() + 86_400;
    let token =
        |who: &str| key.token(&world.claims(&fake.issuer, &json!({ "sub": who, "exp": end })));
    let (remembered, new) = (token("alice"), token("bob"));
    assert!(providers.verify(&remembered, world.now()).await.is_ok());
    fake.go_down().await;
    world.pass(Duration::from_secs(2 * 3_600 - 1));
    assert!(providers.verify(&remembered, world.now()).await.is_ok());
    assert!(providers.verify(&new, world.now()).await.is_ok());
    world.pass(Duration::from_secs(1));
    for token in [&remembered, &new] {
        let _down = down(&providers, token, &world).await;
    }
}

#[tokio::test]
async fn one_that_is_down_keeps_nobody_from_another() {
    let world = World::new();
    let key = Signer::ec("a");
    let mut broken = Fake::start(&world.authority, &[&key]).await;
    let sound = Fake::start(&world.authority, &[&key]).await;
    broken.go_down().await;
    let tables = table("broken", &broken.issuer, "") + &table("sound", &sound.issuer, "");
    let providers = world.providers(&tables);
    let back = "https://hourgate.test/back";
    let begun = providers.begin("broken", back, Freshness::AsItIs, world.now()).await;
    assert!(matches!(begun, Err(SignInFailure::Down(_))));
    assert!(providers.begin("sound", back, Freshness::AsItIs, world.now()).await.is_ok());
    let token = key.token(&world.claims(&sound.issuer, &json!({})));
    assert!(providers.verify(&token, world.now()).await.is_ok());
}

#[tokio::test]
async fn who_hangs_up_does_not_keep_the_others_from_learning_of_a_new_key() {
    let world = World::new();
    let (old, new) = (Signer::ec("old"), Signer::ec("new"));
    let fake = Fake::start(&world.authority, &[&old]).await;
    let providers = world.providers(&table("main", &fake.issuer, ""));
    let by_old = old.token(&world.claims(&fake.issuer, &json!({})));
    assert!(providers.verify(&by_old, world.now()).await.is_ok());
    world.pass(Duration::from_secs(30));
    fake.publish(&[&new]);
    // Somebody has the keys asked for, and is gone at once.
    let by_new = new.token(&world.claims(&fake.issuer, &json!({})));
    let (theirs, token, now) = (Arc::clone(&providers), by_new.clone(), world.now());
    let hung_up = tokio::spawn(async move { theirs.verify(&token, now).await.is_ok() });
    tokio::task::yield_now().await;
    hung_up.abort();
    let _gone = hung_up.await;
    assert!(providers.verify(&by_new, world.now()).await.is_ok());
    assert_eq!(fake.asked("/keys").len(), 2, "asked once for both");
}

#[tokio::test]
async fn few_wait_for_one_that_is_slow_and_none_for_long() {
    let whole = Duration::from_millis(500);
    let world = World::impatient(whole);
    let key = Signer::ec("a");
    let fake = Fake::start(&world.authority, &[&key]).await;
    fake.says("/keys", Says::Drip);
    let providers = world.providers(&table("main", &fake.issuer, ""));
    let token = key.token(&world.claims(&fake.issuer, &json!({})));
    let waiting: Vec<_> = (0..100)
        .map(|_| {
            let (providers, token, now) = (Arc::clone(&providers), token.clone(), world.now());
            tokio::spawn(async move { providers.verify(&token, now).await })
        })
        .collect();
    let mut turned_away = 0;
    for answer in waiting {
        let down = is_down(answer.await.unwrap().expect_err("slow"));
        if down.why.contains("too many wait") {
            turned_away += 1;
        } else {
            assert!(down.why.contains("did not answer"), "{down}");
        }
    }
    assert_eq!(turned_away, 100 - 32);
    assert_eq!(fake.asked("/keys").len(), 1);
    // The pause begins when it has failed: who comes after that does not wait once more.
    world.pass(whole);
    assert!(down(&providers, &token, &world).await.wait >= Duration::from_millis(900));
    assert_eq!(fake.asked("/keys").len(), 1);
}
