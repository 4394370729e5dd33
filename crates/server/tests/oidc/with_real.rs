//! Sign-in with the certified provider: what it says is what people's providers say.

use std::{sync::Arc, time::Duration};

use hourgate_server::provider::{
    Begun, Freshness, Groups, Pending, Providers, Rejected, Returned, SignInFailure, Verified, Went,
};
use reqwest::Url;
use serde_json::json;

use crate::{
    code::{BACK, part},
    real::Real,
    world::{World, table},
};

/// Both are as the script beside this has them.
const CLIENT_SECRET: &str = "a secret: with + and %";
const RESOURCE: &str = "api://hourgate";

fn configured(world: &World, name: &str, real: &Real) -> String {
    let secret = world.authority.ca().with_file_name("secret");
    std::fs::write(&secret, CLIENT_SECRET).unwrap();
    let scopes = "scopes = [\"openid\", \"profile\", \"email\", \"groups\"]";
    let secret = format!("client_secret_file = {:?}", secret.display().to_string());
    table(name, &real.issuer, &format!("{scopes}\n{secret}"))
}

fn returned(url: &Url) -> Returned {
    let url = url.as_str();
    let went = match (part(url, "code"), part(url, "error")) {
        (Some(code), None) => Went::Code(code),
        (_, error) => panic!("{error:?} {:?}", part(url, "error_description")),
    };
    Returned { state: part(url, "state").expect("a state"), issuer: part(url, "iss"), went }
}

/// Goes through the provider's pages; what is pending, and what came back.
async fn go(
    providers: &Providers,
    name: &str,
    real: &Real,
    freshness: Freshness,
    world: &World,
) -> (Pending, Returned) {
    let begun = providers.begin(name, BACK, freshness, world.now()).await;
    let Begun { url, pending } = begun.expect("begun");
    let back = real.browser().go(&url).await;
    assert!(back.as_str().starts_with(BACK), "{back}");
    (pending, returned(&back))
}

async fn sign_in(
    providers: &Providers,
    name: &str,
    real: &Real,
    world: &World,
) -> Result<Verified, SignInFailure> {
    let (pending, returned) = go(providers, name, real, Freshness::AsItIs, world).await;
    providers.finish(pending, returned, world.now()).await
}

/// A token that a program gets with its own secret.
async fn program_token(real: &Real) -> String {
    // Encoded as a form's values are, as RFC 6749 has it.
    let secret = form_urlencoded::byte_serialize(CLIENT_SECRET.as_bytes()).collect::<String>();
    let form = [("grant_type", "client_credentials"), ("resource", RESOURCE), ("scope", "read")];
    let answer = real.form("/token", Some(("hourgate", &secret)), &form).await;
    answer["access_token"].as_str().unwrap_or_else(|| panic!("{answer}")).to_owned()
}

#[tokio::test]
async fn somebody_signs_in_and_is_who_the_provider_says() {
    let world = World::new();
    let real = Real::start(&world.authority).await;
    real.person(&json!({
        "sub": "u-17", "name": "Alice", "preferred_username": "alice", "email": "a@example.com",
        "email_verified": true, "groups": ["ops", "dev"],
    }))
    .await;
    let providers = world.providers(&configured(&world, "real", &real));
    let (pending, back) = go(&providers, "real", &real, Freshness::AsItIs, &world).await;
    assert_eq!(back.issuer.as_deref(), Some(&*real.issuer), "it names itself");
    let verified = providers.finish(pending.clone(), back.clone(), world.now()).await;
    let verified = verified.expect("signed in");
    assert_eq!((&*verified.issuer, &*verified.subject), (&*real.issuer, "u-17"));
    assert_eq!((&*verified.name, &*verified.upn), ("Alice", "alice"));
    assert_eq!(verified.email, Some(("a@example.com".to_owned(), true)));
    assert_eq!(verified.groups, Groups::Known(["dev", "ops"].map(str::to_owned).into()));
    // Whoever saw the URL go by has nothing of it.
    let replayed = providers.finish(pending, back, world.now()).await.expect_err("used");
    assert!(
        matches!(&replayed, SignInFailure::Refused(why) if why == "invalid_grant"),
        "{replayed}"
    );
}

#[tokio::test]
async fn a_code_that_was_begun_elsewhere_is_worth_nothing() {
    let world = World::new();
    let real = Real::start(&world.authority).await;
    let providers = world.providers(&configured(&world, "real", &real));
    // An attacker's code, put into a sign-in that somebody else began: the verifier is another's.
    let (_, theirs) = go(&providers, "real", &real, Freshness::AsItIs, &world).await;
    let begun = providers.begin("real", BACK, Freshness::AsItIs, world.now()).await;
    let pending = begun.expect("begun").pending;
    let injected = Returned { state: pending.state().to_owned(), ..theirs };
    let failure = providers.finish(pending, injected, world.now()).await.expect_err("injected");
    assert!(matches!(&failure, SignInFailure::Refused(why) if why == "invalid_grant"), "{failure}");
}

#[tokio::test]
async fn a_client_without_a_secret_signs_people_in_anew() {
    let world = World::new();
    let real = Real::start(&world.authority).await;
    let table = table("real", &real.issuer, "")
        .replace("client_id = \"hourgate\"", "client_id = \"public\"");
    let providers = world.providers(&table);
    let (pending, back) = go(&providers, "real", &real, Freshness::Again, &world).await;
    let verified = providers.finish(pending, back, world.now()).await.expect("signed in");
    assert!(verified.auth_time.is_some());
    assert_eq!(verified.groups, Groups::Absent, "the scope was not asked for");
}

#[tokio::test]
async fn keys_rotate_under_way() {
    let world = World::new();
    let real = Real::start(&world.authority).await;
    let providers = world.providers(&configured(&world, "real", &real));
    let first = program_token(&real).await;
    assert!(providers.verify(&first, world.now()).await.is_ok());
    // A new key signs, and the old one is still published.
    real.rotate(true).await;
    world.pass(Duration::from_secs(30));
    assert!(sign_in(&providers, "real", &real, &world).await.is_ok());
    assert!(providers.verify(&first, world.now()).await.is_ok());
    // The old ones are taken back.
    real.rotate(false).await;
    world.pass(Duration::from_secs(30));
    assert!(sign_in(&providers, "real", &real, &world).await.is_ok());
    assert_eq!(providers.verify(&first, world.now()).await.err(), Some(Rejected::Key));
}

#[tokio::test]
async fn a_program_brings_its_token() {
    let world = World::new();
    let real = Real::start(&world.authority).await;
    let providers = world.providers(&configured(&world, "real", &real));
    let verified = providers.verify(&program_token(&real).await, world.now()).await.expect("good");
    assert_eq!((&*verified.subject, &verified.groups), ("hourgate", &Groups::Absent));
}

#[tokio::test]
async fn somebody_at_another_screen_brings_the_token_of_a_device_code() {
    let world = World::new();
    let real = Real::start(&world.authority).await;
    let providers = world.providers(&configured(&world, "real", &real));
    let form = [("client_id", "public"), ("scope", "openid"), ("resource", RESOURCE)];
    let begun = real.form("/device/auth", None, &form).await;
    let code = |name: &str| begun[name].as_str().unwrap_or_else(|| panic!("{begun}")).to_owned();
    let device = code("device_code");
    let poll = [
        ("grant_type", "urn:ietf:params:oauth:grant-type:device_code"),
        ("client_id", "public"),
        ("device_code", &device),
        ("resource", RESOURCE),
    ];
    let waiting = real.form("/token", None, &poll).await;
    assert_eq!(waiting["error"], "authorization_pending");
    approve(&real, &code("verification_uri"), &code("user_code")).await;
    let answer = real.form("/token", None, &poll).await;
    let token = answer["access_token"].as_str().unwrap_or_else(|| panic!("{answer}"));
    let verified = providers.verify(token, world.now()).await.expect("good");
    assert_eq!(&*verified.subject, "alice");
}

/// Types the code at the provider's page, and confirms it.
async fn approve(real: &Real, page: &str, code: &str) {
    let mut browser = real.browser();
    let at = Url::parse(page).unwrap();
    let form = browser.get(&at).await.text().await.unwrap();
    let hidden = |page: &str| {
        let (_, rest) = page.split_once("name=\"xsrf\" value=\"").expect("a form");
        rest.split_once('"').expect("a value").0.to_owned()
    };
    let typed = [("xsrf", &*hidden(&form)), ("user_code", code)];
    let page = browser.post(&at, &typed).await.text().await.unwrap();
    let confirmed = [("xsrf", &*hidden(&page)), ("user_code", code), ("confirm", "yes")];
    let mut response = browser.post(&at, &confirmed).await;
    let mut at = at;
    while let Some(place) = response.headers().get(reqwest::header::LOCATION) {
        at = at.join(place.to_str().unwrap()).unwrap();
        response = browser.get(&at).await;
    }
    assert!(response.status().is_success(), "{}", response.text().await.unwrap());
}

#[tokio::test]
async fn two_real_providers_do_not_get_into_each_others_way() {
    let world = World::new();
    let (one, other) = (Real::start(&world.authority).await, Real::start(&world.authority).await);
    let tables = configured(&world, "one", &one) + &configured(&world, "other", &other);
    let providers: Arc<Providers> = world.providers(&tables);
    let person = json!({ "sub": "alice", "groups": ["admins"] });
    one.person(&person).await;
    other.person(&person).await;
    let a = sign_in(&providers, "one", &one, &world).await.expect("signed in");
    let b = sign_in(&providers, "other", &other, &world).await.expect("signed in");
    assert_eq!((&a.subject, &a.groups), (&b.subject, &b.groups));
    assert_ne!(a.issuer, b.issuer);
    // Sent to one, back from the other.
    let begun = providers.begin("one", BACK, Freshness::AsItIs, world.now()).await;
    let pending = begun.expect("begun").pending;
    let (_, back) = go(&providers, "other", &other, Freshness::AsItIs, &world).await;
    let mixed = Returned { state: pending.state().to_owned(), ..back };
    let failure = providers.finish(pending, mixed, world.now()).await;
    assert!(matches!(failure, Err(SignInFailure::Issuer)));
    // One goes down: who was seen goes on, the other signs people in.
    let token = program_token(&one).await;
    assert!(providers.verify(&token, world.now()).await.is_ok());
    let (pending, back) = go(&providers, "one", &one, Freshness::AsItIs, &world).await;
    one.die().await;
    let failure = providers.finish(pending, back, world.now()).await;
    assert!(matches!(failure, Err(SignInFailure::Down(_))));
    assert!(providers.verify(&token, world.now()).await.is_ok());
    assert!(sign_in(&providers, "other", &other, &world).await.is_ok());
}
