//! Tokens that somebody brings: what a good one tells, and every way in which one is bad.

use std::{collections::BTreeSet, time::Duration};

use hourgate_core::time::later;
use hourgate_server::provider::{Groups, Rejected};
use jsonwebtoken::Algorithm;
use serde_json::{Value, json};

use crate::{
    fake::Fake,
    signer::{Signer, unsigned},
    world::{World, table},
};

fn known(ids: &[&str]) -> Groups {
    Groups::Known(ids.iter().map(|id| (*id).to_owned()).collect())
}

#[tokio::test]
async fn a_good_token_tells_who_somebody_is() {
    let world = World::new();
    for key in [Signer::ec("a"), Signer::rsa("a")] {
        let fake = Fake::start(&world.authority, &[&key]).await;
        let more = "groups_hold = \"PT30M\"\nclaims.groups = \"realm_access.roles\"";
        let providers = world.providers(&table("main", &fake.issuer, more));
        let at = world.now().wall.as_second();
        let token = key.token(&world.claims(
            &fake.issuer,
            &json!({
                "name": "Alice", "preferred_username": "alice@corp", "email": "a@example.com",
                "email_verified": true, "realm_access": { "roles": ["ops", "dev"] },
                "auth_time": at - 60, "amr": ["pwd", "mfa"], "acr": "2", "azp": "cli",
            }),
        ));
        let verified = providers.verify(&token, world.now()).await.expect("good");
        assert_eq!((&*verified.provider, &*verified.issuer), ("main", &*fake.issuer));
        assert_eq!(verified.subject, "alice");
        assert_eq!((&*verified.name, &*verified.upn), ("Alice", "alice@corp"));
        assert_eq!(verified.email, Some(("a@example.com".to_owned(), true)));
        assert_eq!(verified.groups, known(&["ops", "dev"]));
        assert_eq!(verified.groups_until, later(verified.issued, Duration::from_mins(30)));
        let count = |now| verified.groups_at(now).count();
        let last = later(verified.issued, Duration::from_secs(30 * 60 - 1));
        assert_eq!((count(last), count(verified.groups_until)), (2, 0));
        assert_eq!(verified.auth_time.expect("said").as_second(), at - 60);
        assert_eq!(verified.amr, BTreeSet::from(["pwd".to_owned(), "mfa".to_owned()]));
        assert_eq!((&*verified.acr, &*verified.party), ("2", "cli"));
        assert_eq!((verified.issued.as_second(), verified.until.as_second()), (at, at + 3_600));
        // Seen again: nothing is asked, and the answer is the same one.
        let asked = fake.asked_in_all();
        let again = providers.verify(&token, world.now()).await.expect("good");
        assert!(std::sync::Arc::ptr_eq(&verified, &again));
        assert_eq!(fake.asked_in_all(), asked);
    }
}

#[tokio::test]
async fn a_bad_token_lets_nobody_in_and_the_log_can_say_why() {
    let world = World::new();
    let (key, stranger) = (Signer::rsa("a"), Signer::rsa("a"));
    let fake = Fake::start(&world.authority, &[&key]).await;
    let providers = world.providers(&table("main", &fake.issuer, ""));
    let at = world.now().wall.as_second();
    let claims = |more: Value| world.claims(&fake.issuer, &more);
    let good = claims(json!({}));
    let header = |more: Value| {
        let mut header = json!({ "alg": "RS256", "kid": "a" });
        header.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        key.with_header(&header, &good)
    };
    let (changed_head, _) = good_parts(&key.token(&claims(json!({ "sub": "mallory" }))));
    let (_, other_signature) = good_parts(&key.token(&good));
    let several = |party: Value| claims(json!({ "aud": ["api://hourgate", "b"], "azp": party }));
    let table = [
        ("unsigned", unsigned(&good), Rejected::Algorithm),
        ("the public key as a secret", key.with_public_key_as_secret(&good), Rejected::Algorithm),
        ("a stranger's key under a known id", stranger.token(&good), Rejected::Signature),
        ("changed", format!("{changed_head}.{other_signature}"), Rejected::Signature),
        (
            "another algorithm than it was signed with",
            header(json!({ "alg": "PS256" })),
            Rejected::Signature,
        ),
        ("another type of key", header(json!({ "alg": "ES256" })), Rejected::Key),
        ("no such key", header(json!({ "kid": "b" })), Rejected::Key),
        ("critical", header(json!({ "crit": ["exp"] })), Rejected::Critical),
        ("an ID token of Keycloak's", key.token(&claims(json!({ "typ": "ID" }))), Rejected::Kind),
        (
            "one that tells of a sign-out",
            key.token(&claims(json!({ "events": {} }))),
            Rejected::Kind,
        ),
        ("bound to a key", key.token(&claims(json!({ "cnf": { "jkt": "x" } }))), Rejected::Kind),
        ("expired", key.token(&claims(json!({ "exp": at }))), Rejected::Expired),
        (
            "expired a day after it was made",
            key.token(&claims(json!({
            "iat": at - 86_400, "exp": at + 864_000 }))),
            Rejected::Expired,
        ),
        ("from the future", key.token(&claims(json!({ "nbf": at + 61 }))), Rejected::TooEarly),
        (
            "made in the future",
            key.token(&claims(json!({ "iat": at + 61, "nbf": null }))),
            Rejected::TooEarly,
        ),
        ("no end", key.token(&claims(json!({ "exp": null }))), Rejected::Time),
        ("no beginning", key.token(&claims(json!({ "iat": null }))), Rejected::Time),
        ("an end in words", key.token(&claims(json!({ "exp": "tomorrow" }))), Rejected::Time),
        ("an end past time", key.token(&claims(json!({ "exp": 1e300 }))), Rejected::Time),
        ("for others", key.token(&claims(json!({ "aud": "api://other" }))), Rejected::Audience),
        ("for nobody", key.token(&claims(json!({ "aud": null }))), Rejected::Audience),
        (
            "for a prefix of us",
            key.token(&claims(json!({ "aud": "api://hourgat" }))),
            Rejected::Audience,
        ),
        (
            "our own sign-in's, which is not meant for calls",
            key.token(&claims(json!({ "aud": "hourgate" }))),
            Rejected::Audience,
        ),
        ("for several, made for another", key.token(&several(json!("evil"))), Rejected::Party),
        ("for several, made for who knows", key.token(&several(Value::Null)), Rejected::Party),
        ("no subject", key.token(&claims(json!({ "sub": null }))), Rejected::Subject),
        ("an empty subject", key.token(&claims(json!({ "sub": "" }))), Rejected::Subject),
        (
            "a long subject",
            key.token(&claims(json!({ "sub": "a".repeat(256) }))),
            Rejected::Subject,
        ),
        (
            "a subject that looks like another's",
            key.token(&claims(json!({
            "sub": "alice\u{200b}" }))),
            Rejected::Subject,
        ),
        (
            "nobody's",
            key.token(&claims(json!({ "iss": "https://evil.example" }))),
            Rejected::Issuer,
        ),
        (
            "almost ours",
            key.token(&claims(json!({ "iss": format!("{}/", fake.issuer) }))),
            Rejected::Issuer,
        ),
        ("no issuer", key.token(&claims(json!({ "iss": null }))), Rejected::Malformed),
        ("no token", "a.b.c".to_owned(), Rejected::Malformed),
    ];
    for (why, token, rejected) in table {
        // Twice: what was refused is not remembered as good.
        for _ in 0..2 {
            let answer = providers.verify(&token, world.now()).await;
            assert_eq!(answer.err(), Some(rejected.clone()), "{why}");
        }
    }
    // The same key and claims, honestly: it was none of the rest that was refused.
    let honest = several(json!("hourgate"));
    let keycloaks = claims(json!({ "typ": "Bearer" }));
    for claims in [good, claims(json!({ "nbf": at + 60, "iat": at + 60 })), honest, keycloaks] {
        assert!(providers.verify(&key.token(&claims), world.now()).await.is_ok());
    }
}

#[tokio::test]
async fn every_algorithm_that_is_accepted_is_verified_by_itself_alone() {
    let world = World::new();
    let algorithms = [
        Algorithm::RS256,
        Algorithm::RS384,
        Algorithm::RS512,
        Algorithm::PS256,
        Algorithm::PS384,
        Algorithm::PS512,
        Algorithm::ES256,
        Algorithm::ES384,
        Algorithm::EdDSA,
    ];
    let keys: Vec<Signer> = algorithms
        .iter()
        .map(|algorithm| Signer::of(&format!("{algorithm:?}"), *algorithm))
        .collect();
    let fake = Fake::start(&world.authority, &keys.iter().collect::<Vec<_>>()).await;
    let providers = world.providers(&table("main", &fake.issuer, ""));
    let claims = world.claims(&fake.issuer, &json!({}));
    for key in &keys {
        assert!(providers.verify(&key.token(&claims), world.now()).await.is_ok(), "{}", key.id);
        for named in algorithms.iter().filter(|named| format!("{named:?}") != key.id) {
            let token = key.with_header(&json!({ "alg": named, "kid": key.id }), &claims);
            let rejected = providers.verify(&token, world.now()).await.expect_err("another");
            let other = matches!(rejected, Rejected::Key | Rejected::Signature);
            assert!(other, "{} as {named:?}: {rejected}", key.id);
        }
    }
}

/// Head and claims, and the signature.
fn good_parts(token: &str) -> (String, String) {
    let (signed, signature) = token.rsplit_once('.').unwrap();
    (signed.to_owned(), signature.to_owned())
}

#[tokio::test]
async fn a_remembered_token_ends_when_it_says() {
    let world = World::new();
    let key = Signer::ec("a");
    let fake = Fake::start(&world.authority, &[&key]).await;
    let providers = world.providers(&table("main", &fake.issuer, ""));
    let at = world.now().wall.as_second();
    let token = key.token(&world.claims(&fake.issuer, &json!({ "exp": at + 100 })));
    for step in [99, 0] {
        assert!(providers.verify(&token, world.now()).await.is_ok());
        world.pass(Duration::from_secs(step));
    }
    world.set_clock(Duration::from_secs(1));
    assert_eq!(providers.verify(&token, world.now()).await.err(), Some(Rejected::Expired));
}

#[tokio::test]
async fn only_named_programs_bring_tokens_where_some_are_named() {
    let world = World::new();
    let key = Signer::ec("a");
    let fake = Fake::start(&world.authority, &[&key]).await;
    let providers = world.providers(&table("main", &fake.issuer, "clients = [\"cli\"]"));
    for (party, good) in [("cli", true), ("hourgate", true), ("evil", false), ("", false)] {
        let claims = json!({ "azp": if party.is_empty() { Value::Null } else { json!(party) } });
        let token = key.token(&world.claims(&fake.issuer, &claims));
        let answer = providers.verify(&token, world.now()).await;
        assert_eq!(answer.err(), (!good).then_some(Rejected::Party), "{party}");
    }
}

#[tokio::test]
async fn groups_that_are_not_known_are_not_taken_for_none() {
    let world = World::new();
    let key = Signer::ec("a");
    let fake = Fake::start(&world.authority, &[&key]).await;
    let providers = world.providers(&table("main", &fake.issuer, ""));
    let many: Vec<String> = (0..1_001).map(|n| n.to_string()).collect();
    let table = [
        (json!({}), Groups::Absent),
        (json!({ "groups": [] }), known(&[])),
        (json!({ "groups": ["a", "b", "a"] }), known(&["a", "b"])),
        (json!({ "groups": "a" }), known(&["a"])),
        (json!({ "groups": many }), Groups::TooMany),
        (json!({ "_claim_names": { "groups": "src1" } }), Groups::TooMany),
        (json!({ "hasgroups": true }), Groups::TooMany),
        (json!({ "groups:src1": "https://graph.example" }), Groups::TooMany),
        (json!({ "groups": { "a": true } }), Groups::Unreadable),
        (json!({ "groups": ["a", 7] }), Groups::Unreadable),
        (json!({ "groups": ["a", ""] }), Groups::Unreadable),
        (json!({ "groups": ["a".repeat(257)] }), Groups::Unreadable),
    ];
    for (claims, groups) in table {
        let token = key.token(&world.claims(&fake.issuer, &claims));
        let verified = providers.verify(&token, world.now()).await.expect("good");
        assert_eq!(verified.groups, groups, "{claims}");
    }
}

#[tokio::test]
async fn a_mail_address_counts_as_verified_only_if_the_provider_says_so() {
    let world = World::new();
    let key = Signer::ec("a");
    let fake = Fake::start(&world.authority, &[&key]).await;
    let providers = world.providers(&table("main", &fake.issuer, ""));
    let email = |verified| Some(("a@example.com".to_owned(), verified));
    let table = [
        (json!({ "email": "a@example.com" }), email(false)),
        (json!({ "email": "a@example.com", "email_verified": true }), email(true)),
        (json!({ "email": "a@example.com", "email_verified": "true" }), email(true)),
        (json!({ "email": "a@example.com", "email_verified": "yes" }), email(false)),
        (json!({ "email": "a@example.com", "email_verified": 1 }), email(false)),
        (json!({ "email": "nobody", "email_verified": true }), None),
        (json!({ "email": format!("{}@example.com", "a".repeat(300)) }), None),
        (json!({ "email_verified": true }), None),
    ];
    for (claims, email) in table {
        let token = key.token(&world.claims(&fake.issuer, &claims));
        let verified = providers.verify(&token, world.now()).await.expect("good");
        assert_eq!(verified.email, email, "{claims}");
    }
}

#[tokio::test]
async fn two_providers_are_two_worlds() {
    let world = World::new();
    // Both have a key of the same id, a person of the same subject and a group of the same name.
    let (one, other) = (Signer::ec("a"), Signer::ec("a"));
    let first = Fake::start(&world.authority, &[&one]).await;
    let second = Fake::start(&world.authority, &[&other]).await;
    let tables = table("first", &first.issuer, "") + &table("second", &second.issuer, "");
    let providers = world.providers(&tables);
    let admins = json!({ "groups": ["admins"] });
    let of_first = world.claims(&first.issuer, &admins);
    let of_second = world.claims(&second.issuer, &admins);
    let a = providers.verify(&one.token(&of_first), world.now()).await.expect("good");
    let b = providers.verify(&other.token(&of_second), world.now()).await.expect("good");
    assert_eq!((&a.groups, &a.subject), (&b.groups, &b.subject));
    assert_ne!((&a.issuer, &a.provider), (&b.issuer, &b.provider), "so they are two groups");
    // Neither speaks for the other.
    for (key, claims) in [(&other, &of_first), (&one, &of_second)] {
        let answer = providers.verify(&key.token(claims), world.now()).await;
        assert_eq!(answer.err(), Some(Rejected::Signature));
    }
    assert_eq!(providers.rules(&first.issuer).map(|rules| &*rules.name), Some("first"));
    assert_eq!(providers.rules("https://elsewhere.example"), None);
}

#[tokio::test]
async fn an_assertion_is_for_us_alone() {
    let world = World::new();
    let key = Signer::ec("a");
    let fake = Fake::start(&world.authority, &[&key]).await;
    let providers = world.providers(&table("main", &fake.issuer, ""));
    let ours = "https://hourgate.test/token";
    for (audience, good) in [
        (json!(ours), true),
        (json!([ours]), true),
        (json!([ours, "https://other"]), false),
        (json!("api://hourgate"), false),
        (json!([]), false),
        (Value::Null, false),
    ] {
        let token = key.token(&world.claims(&fake.issuer, &json!({ "aud": audience })));
        let answer = providers.verify_assertion(&token, &[ours], world.now()).await;
        assert_eq!(answer.err(), (!good).then_some(Rejected::Audience), "{audience}");
    }
}
