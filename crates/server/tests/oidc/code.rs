//! Sign-in at a provider that plays tricks: the ways in which what comes back is not what was begun.

use std::time::Duration;

use hourgate_server::provider::{
    Begun, Down, Freshness, Groups, Pending, Providers, Rejected, Returned, SignInFailure,
    Verified, Went,
};
use reqwest::Url;
use serde_json::{Value, json};

use crate::{
    fake::{Fake, Says},
    signer::Signer,
    world::{World, table},
};

pub(crate) const BACK: &str = "https://hourgate.test/back";

/// A part of the query of a URL.
pub(crate) fn part(url: &str, name: &str) -> Option<String> {
    let url = Url::parse(url).unwrap();
    url.query_pairs().find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
}

pub(crate) async fn begin(providers: &Providers, name: &str, world: &World) -> Begun {
    providers.begin(name, BACK, Freshness::AsItIs, world.now()).await.expect("begun")
}

fn code(pending: &Pending) -> Returned {
    let went = Went::Code("the code".to_owned());
    Returned { state: pending.state().to_owned(), issuer: None, went }
}

struct Scene {
    world: World,
    key: Signer,
    fake: Fake,
}

impl Scene {
    async fn new() -> Scene {
        let world = World::new();
        let key = Signer::ec("a");
        let fake = Fake::start(&world.authority, &[&key]).await;
        Scene { world, key, fake }
    }

    fn providers(&self, more: &str) -> std::sync::Arc<Providers> {
        self.world.providers(&table("main", &self.fake.issuer, more))
    }

    /// Signs somebody in, with a token that differs from a good one in this.
    async fn sign_in(
        &self,
        providers: &Providers,
        more: &Value,
    ) -> Result<Verified, SignInFailure> {
        let Begun { url, pending } = begin(providers, "main", &self.world).await;
        let mut claims = self.world.claims(&self.fake.issuer, &json!({ "aud": "hourgate" }));
        let claims_map = claims.as_object_mut().unwrap();
        claims_map.insert("nonce".to_owned(), json!(part(&url, "nonce").expect("a nonce")));
        claims_map.extend(more.as_object().unwrap().clone());
        claims_map.retain(|_, value| !value.is_null());
        let token = self.key.token(&claims);
        self.fake.says("/token", Says::Json(json!({ "id_token": token, "access_token": "at" })));
        let returned = code(&pending);
        providers.finish(pending, returned, self.world.now()).await
    }
}

#[tokio::test]
async fn somebody_is_sent_with_a_challenge_and_their_code_is_changed_with_its_answer() {
    let scene = Scene::new().await;
    scene
        .fake
        .describe(&json!({ "token_endpoint_auth_methods_supported": ["client_secret_post"] }));
    let secret = scene.world.authority.ca().with_file_name("secret");
    std::fs::write(&secret, "s&e=cret\n").unwrap();
    let secret = format!("client_secret_file = {:?}", secret.display().to_string());
    let providers = scene.providers(&secret);
    let Begun { url, pending } = begin(&providers, "main", &scene.world).await;
    assert!(url.starts_with(&format!("{}/auth?", scene.fake.issuer)), "{url}");
    let expected = [
        ("response_type", "code"),
        ("client_id", "hourgate"),
        ("redirect_uri", BACK),
        ("scope", "openid profile email"),
        ("state", pending.state()),
        ("code_challenge_method", "S256"),
    ];
    for (name, value) in expected {
        assert_eq!(part(&url, name).as_deref(), Some(value), "{name}");
    }
    assert_eq!(part(&url, "prompt"), None);
    scene.fake.says("/token", Says::Json(json!({})));
    let returned = code(&pending);
    let failure = providers.finish(pending, returned, scene.world.now()).await.expect_err("none");
    assert!(matches!(&failure, SignInFailure::Down(Down { why, .. }) if why.contains("id_token")));
    let [asked] = &scene.fake.asked("/token")[..] else { panic!("asked once") };
    let sent = |name| part(&format!("https://x/?{}", asked.body), name).expect("sent");
    assert_eq!(sent("grant_type"), "authorization_code");
    assert_eq!((&*sent("code"), &*sent("redirect_uri")), ("the code", BACK));
    assert_eq!((&*sent("client_id"), &*sent("client_secret")), ("hourgate", "s&e=cret"));
    // RFC 7636, 4.2: the challenge is the verifier's digest.
    let verifier = sent("code_verifier");
    assert!((43..=128).contains(&verifier.len()), "{verifier}");
    let digest = <sha2::Sha256 as sha2::Digest>::digest(&verifier);
    let challenge =
        base64::Engine::encode(&base64::engine::general_purpose::URL_SAFE_NO_PAD, digest);
    assert_eq!(part(&url, "code_challenge"), Some(challenge));
    // No two sign-ins have anything of it in common.
    let other = begin(&providers, "main", &scene.world).await.url;
    for name in ["state", "nonce", "code_challenge"] {
        assert_ne!(part(&url, name), part(&other, name), "{name}");
    }
}

#[tokio::test]
async fn a_secret_goes_into_the_header_where_nothing_else_is_said() {
    let scene = Scene::new().await;
    let secret = scene.world.authority.ca().with_file_name("secret");
    std::fs::write(&secret, "a b").unwrap();
    let secret = format!("client_secret_file = {:?}", secret.display().to_string());
    let providers = scene.providers(&secret);
    assert!(scene.sign_in(&providers, &json!({})).await.is_ok());
    let [asked] = &scene.fake.asked("/token")[..] else { panic!("asked once") };
    // "hourgate:a+b"
    assert!(asked.head.contains("Basic aG91cmdhdGU6YSti\r\n"), "{}", asked.head);
    assert!(!asked.body.contains("client_secret"), "{}", asked.body);
}

#[tokio::test]
async fn the_token_must_be_of_this_sign_in() {
    let scene = Scene::new().await;
    let providers = scene.providers("");
    assert!(scene.sign_in(&providers, &json!({})).await.is_ok());
    let at = scene.world.now().wall.as_second();
    let table = [
        (json!({ "nonce": "another" }), Rejected::Nonce),
        (json!({ "nonce": null }), Rejected::Nonce),
        (json!({ "aud": "another client" }), Rejected::Audience),
        (json!({ "aud": "api://hourgate" }), Rejected::Audience),
        (json!({ "aud": ["hourgate", "unknown"], "azp": "hourgate" }), Rejected::Audience),
        (json!({ "aud": ["hourgate", "api://hourgate"], "azp": "evil" }), Rejected::Party),
        (json!({ "aud": ["hourgate", "api://hourgate"] }), Rejected::Party),
        (json!({ "azp": "evil" }), Rejected::Party),
        (json!({ "iss": "https://evil.example" }), Rejected::Issuer),
        (json!({ "exp": at }), Rejected::Expired),
        (json!({ "sub": null }), Rejected::Subject),
    ];
    for (more, rejected) in table {
        match scene.sign_in(&providers, &more).await {
            Err(SignInFailure::Token(why)) => assert_eq!(why, rejected, "{more}"),
            other => panic!("{more}: {other:?}"),
        }
    }
    let several = json!({ "aud": ["hourgate", "api://hourgate"], "azp": "hourgate" });
    assert!(scene.sign_in(&providers, &several).await.is_ok());
}

#[tokio::test]
async fn what_comes_back_must_be_what_was_begun() {
    let scene = Scene::new().await;
    let providers = scene.providers("");
    let now = scene.world.now();
    let Begun { url, pending } = begin(&providers, "main", &scene.world).await;
    let finish = |returned: Returned, now| providers.finish(pending.clone(), returned, now);
    let other = Returned { state: "another".to_owned(), ..code(&pending) };
    assert!(matches!(finish(other, now).await, Err(SignInFailure::State)));
    // RFC 9207: another provider's name is never good; none is where this one does not give it.
    let evil = Returned { issuer: Some("https://evil.example".to_owned()), ..code(&pending) };
    assert!(matches!(finish(evil, now).await, Err(SignInFailure::Issuer)));
    let denied = Went::Error("access_denied".to_owned());
    let denied = Returned { went: denied, ..code(&pending) };
    let failure = finish(denied, now).await.expect_err("denied");
    assert!(matches!(&failure, SignInFailure::Refused(error) if error == "access_denied"));
    let long = Returned { went: Went::Code("a".repeat(4_097)), ..code(&pending) };
    assert!(matches!(finish(long, now).await, Err(SignInFailure::Refused(_))));
    let mut late = now;
    late.wall = hourgate_core::time::later(late.wall, Duration::from_secs(15 * 60 + 1));
    assert!(matches!(finish(code(&pending), late).await, Err(SignInFailure::TooLate)));
    assert!(scene.fake.asked("/token").is_empty(), "no code went anywhere");
    // None of it is told to a log.
    let (held, back) = (format!("{pending:?}"), format!("{:?}", code(&pending)));
    let secrets = ["state", "nonce"].map(|name| part(&url, name).expect("in the URL"));
    assert!(!secrets.iter().any(|secret| held.contains(secret)), "{held}");
    assert!(!back.contains("the code"), "{back}");
}

#[tokio::test]
async fn a_provider_that_names_itself_must_do_so() {
    let scene = Scene::new().await;
    scene.fake.describe(&json!({ "authorization_response_iss_parameter_supported": true }));
    let providers = scene.providers("");
    let Begun { pending, .. } = begin(&providers, "main", &scene.world).await;
    let returned = code(&pending);
    let failure = providers.finish(pending, returned, scene.world.now()).await;
    assert!(matches!(failure, Err(SignInFailure::Issuer)));
    assert!(scene.fake.asked("/token").is_empty());
}

#[tokio::test]
async fn another_providers_code_is_not_changed_and_its_token_not_believed() {
    let world = World::new();
    let (one, other) = (Signer::ec("a"), Signer::ec("a"));
    let honest = Fake::start(&world.authority, &[&one]).await;
    let evil = Fake::start(&world.authority, &[&other]).await;
    let tables = table("honest", &honest.issuer, "") + &table("evil", &evil.issuer, "");
    let providers = world.providers(&tables);
    let Begun { url, pending } = begin(&providers, "evil", &world).await;
    // The evil provider sent the person on to the honest one, whose answer comes back.
    let returned = Returned { issuer: Some(honest.issuer.clone()), ..code(&pending) };
    let failure = providers.finish(pending.clone(), returned, world.now()).await;
    assert!(matches!(failure, Err(SignInFailure::Issuer)));
    // Or hands out a token in the other's name.
    let nonce = part(&url, "nonce").expect("a nonce");
    let claims = world.claims(&honest.issuer, &json!({ "aud": "hourgate", "nonce": nonce }));
    for (key, rejected) in [(&other, Rejected::Issuer), (&one, Rejected::Signature)] {
        evil.says("/token", Says::Json(json!({ "id_token": key.token(&claims) })));
        let returned = code(&pending);
        match providers.finish(pending.clone(), returned, world.now()).await {
            Err(SignInFailure::Token(why)) => assert_eq!(why, rejected),
            other => panic!("{other:?}"),
        }
    }
    assert!(honest.asked("/token").is_empty());
}

#[tokio::test]
async fn a_refused_code_is_told_from_a_provider_that_does_not_answer() {
    let scene = Scene::new().await;
    let providers = scene.providers("");
    let invalid = json!({ "error": "invalid_grant", "error_description": "\u{202e}x" });
    for (says, down) in [
        (Says::Status(400, invalid), false),
        (Says::Status(401, json!({ "error": "invalid_client" })), false),
        (Says::Status(400, json!("no")), true),
        (Says::Status(429, json!({ "error": "slow_down" })), true),
        (Says::Status(500, json!({})), true),
        (Says::Elsewhere(BACK.to_owned()), true),
        (Says::Json(json!({ "id_token": 5 })), true),
        (Says::Much { bytes: 300_000, announced: true }, true),
    ] {
        scene.fake.says("/token", says);
        let Begun { pending, .. } = begin(&providers, "main", &scene.world).await;
        let returned = code(&pending);
        let failure = providers.finish(pending, returned, scene.world.now()).await;
        let failure = failure.expect_err("not signed in");
        assert_eq!(matches!(failure, SignInFailure::Down(_)), down, "{failure}");
    }
}

#[tokio::test]
async fn who_must_sign_in_anew_is_believed_only_with_the_time_of_it() {
    let scene = Scene::new().await;
    let providers = scene.providers("");
    let now = scene.world.now();
    let at = now.wall.as_second();
    for (auth_time, fresh) in
        [(Some(at), true), (Some(at - 60), true), (Some(at - 61), false), (None, false)]
    {
        let begun = providers.begin("main", BACK, Freshness::Again, now).await.expect("begun");
        assert_eq!(part(&begun.url, "prompt").as_deref(), Some("login"));
        assert_eq!(part(&begun.url, "max_age").as_deref(), Some("0"));
        let mut more = json!({ "aud": "hourgate", "nonce": part(&begun.url, "nonce") });
        if let Some(auth_time) = auth_time {
            more["auth_time"] = json!(auth_time);
        }
        let token = scene.key.token(&scene.world.claims(&scene.fake.issuer, &more));
        scene.fake.says("/token", Says::Json(json!({ "id_token": token })));
        let returned = code(&begun.pending);
        match providers.finish(begun.pending, returned, now).await {
            Ok(_) => assert!(fresh, "{auth_time:?}"),
            Err(SignInFailure::NotFresh) => assert!(!fresh, "{auth_time:?}"),
            Err(failure) => panic!("{failure}"),
        }
    }
}

#[tokio::test]
async fn what_else_is_said_counts_only_of_the_same_person_and_changes_nothing() {
    let scene = Scene::new().await;
    scene.fake.describe(&json!({ "userinfo_endpoint": format!("{}/me", scene.fake.issuer) }));
    let providers = scene.providers("");
    let more =
        json!({ "sub": "alice", "name": "Other", "groups": ["ops"], "preferred_username": "a" });
    scene.fake.says("/me", Says::Json(more.clone()));
    let signed_in = scene.sign_in(&providers, &json!({ "name": "Alice" })).await.expect("in");
    assert_eq!((&*signed_in.name, &*signed_in.upn), ("Alice", "a"));
    assert_eq!(signed_in.groups, Groups::Known(["ops".to_owned()].into()));
    let [asked] = &scene.fake.asked("/me")[..] else { panic!("asked once") };
    assert!(asked.head.contains("Bearer at\r\n"), "{}", asked.head);
    // Too many stays too many; another's, and what is none, are left.
    let overage = json!({ "hasgroups": true });
    let signed_in = scene.sign_in(&providers, &overage).await.expect("in");
    assert_eq!(signed_in.groups, Groups::TooMany);
    let mut others = more;
    others["sub"] = json!("bob");
    for says in [Says::Json(others), Says::Status(500, json!({})), Says::Json(json!([]))] {
        scene.fake.says("/me", says);
        let signed_in = scene.sign_in(&providers, &json!({})).await.expect("in");
        assert_eq!((&*signed_in.name, signed_in.groups), ("", Groups::Absent));
    }
}

#[tokio::test]
async fn nobody_signs_in_where_it_was_not_configured() {
    let scene = Scene::new().await;
    let only_tokens = format!(
        "[[provider]]\nname = \"ci\"\nissuer = {:?}\naudiences = [\"api://hourgate\"]\n",
        scene.fake.issuer
    );
    let providers = scene.world.providers(&only_tokens);
    assert_eq!(providers.names().count(), 0);
    for name in ["ci", "other"] {
        let begun = providers.begin(name, BACK, Freshness::AsItIs, scene.world.now()).await;
        assert!(matches!(begun, Err(SignInFailure::NoProvider)), "{name}");
    }
    let token = scene.key.token(&scene.world.claims(&scene.fake.issuer, &json!({})));
    assert!(providers.verify(&token, scene.world.now()).await.is_ok());
}
