use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::{EncodingKey, Header};
use serde_json::{Value, json};

use super::{
    assertion::{AssertionFault, Issuers},
    *,
};
use crate::signin::local::tests::{World, at, home};

const US: &str = "https://gate.example.com/tenant/v2.0";

struct Signer {
    encoding: EncodingKey,
    algorithm: jsonwebtoken::Algorithm,
    key: ServiceKey,
}

impl Signer {
    fn p256() -> Signer {
        let pair = rcgen::KeyPair::generate().expect("a key");
        let point = pair.public_key_raw();
        let jwk = json!({
            "kty": "EC", "crv": "P-256", "kid": "any", "use": "sig",
            "x": URL_SAFE_NO_PAD.encode(&point[1..33]),
            "y": URL_SAFE_NO_PAD.encode(&point[33..]),
        });
        Signer {
            encoding: EncodingKey::from_ec_der(pair.serialized_der()),
            algorithm: jsonwebtoken::Algorithm::ES256,
            key: ServiceKey::read(&jwk).expect("a key"),
        }
    }

    fn ed25519() -> Signer {
        let document = Ed25519KeyPair::generate().expect("a key");
        let x = URL_SAFE_NO_PAD.encode(document.public_key().as_ref());
        let private = document.to_pkcs8v1().expect("pkcs8");
        let jwk = json!({ "kty": "OKP", "crv": "Ed25519", "x": x });
        Signer {
            encoding: EncodingKey::from_ed_der(private.as_ref()),
            algorithm: jsonwebtoken::Algorithm::EdDSA,
            key: ServiceKey::read(&jwk).expect("a key"),
        }
    }

    fn sign(&self, claims: &Value) -> String {
        let header = Header::new(self.algorithm);
        jsonwebtoken::encode(&header, claims, &self.encoding).expect("signed")
    }
}

/// An issuer that signs `SUBJECT for AUDIENCE` as it likes.
struct Elsewhere;

impl Issuers for Elsewhere {
    async fn subject(
        &self,
        token: &str,
        issuer: &str,
        audience: &str,
        _now: Timestamp,
    ) -> Result<String, String> {
        assert_eq!(issuer, "https://issuer.example.com");
        let payload = token.split('.').nth(1).expect("a payload");
        let payload = URL_SAFE_NO_PAD.decode(payload).expect("base64");
        let claims: Value = serde_json::from_slice(&payload).expect("json");
        if claims["aud"] == audience && token.ends_with(".good") {
            Ok(claims["sub"].as_str().expect("a subject").to_owned())
        } else {
            Err("not its token".to_owned())
        }
    }
}

fn token_of_elsewhere(subject: &str, audience: &str, signature: &str) -> String {
    let claims = json!({ "iss": "https://issuer.example.com", "sub": subject, "aud": audience });
    format!(
        "{}.{}.{signature}",
        URL_SAFE_NO_PAD.encode("{}"),
        URL_SAFE_NO_PAD.encode(claims.to_string())
    )
}

struct Scene {
    world: World,
    services: Services,
    client: Uuid,
}

impl Scene {
    async fn new() -> Scene {
        let world = World::new().await;
        let services = Services::new(world.accounts.vault.clone());
        let draft = services.draft("pipeline").expect("a draft");
        let client = draft.client;
        services.make(world.on(home(), at(0)), draft).await.expect("made");
        Scene { world, services, client }
    }

    fn claims(&self, change: impl FnOnce(&mut Value)) -> Value {
        let now = at(0).wall.as_second();
        let mut claims = json!({
            "iss": self.client, "sub": self.client, "aud": US, "exp": now + 300, "jti": "one",
        });
        change(&mut claims);
        claims
    }

    async fn show(&self, assertion: &str, client: Option<&str>) -> Result<Proved, AssertionFault> {
        let on = self.world.on(home(), at(0));
        let is_ours = |audience: &str| audience == US;
        self.services.assertion(on, (assertion, client), is_ours, &Elsewhere).await
    }

    async fn with_key(&self, signer: &Signer) -> ServiceCredential {
        let on = self.world.on(home(), at(0));
        let key = signer.key.clone();
        self.services.add_key(on, self.client, "key", key, None).await.expect("added")
    }
}

#[tokio::test]
async fn secrets_are_several_end_and_are_kept_as_digests() {
    let scene = Scene::new().await;
    let Scene { world, services, client } = &scene;
    let now = at(0).wall;
    let client_id = client.to_string();
    let on = || world.on(home(), at(0));
    let (first, secret) = services.add_secret(on(), *client, "first", None).await.expect("added");
    let until = Some(later(now, Duration::from_secs(60)));
    let (_, other) = services.add_secret(on(), *client, "second", until).await.expect("added");
    for (what, sent_client, sent, at, right) in [
        ("the first", client_id.as_str(), secret.as_str(), now, true),
        ("the second", &client_id, &other, now, true),
        ("the second, over", &client_id, &other, later(now, Duration::from_secs(60)), false),
        ("the first, over", &client_id, &secret, later(now, SECRET_LIFE), false),
        ("a wrong one", &client_id, "hg~wrong", now, false),
        ("nothing", &client_id, "", now, false),
        ("another client", "11111111-1111-4111-8111-111111111111", &secret, now, false),
        ("no client", "pipeline", &secret, now, false),
    ] {
        let proved = services.secret(sent_client, sent, at);
        assert_eq!(proved.is_some(), right, "{what}");
    }
    let proved = services.secret(&client_id, &secret, now).expect("right");
    assert_eq!(proved.credential, first.id);
    let object = proved.service.object;
    assert_eq!(services.holds(*client, first.id, now), Some(object));
    assert_eq!(services.holds(*client, first.id, later(now, SECRET_LIFE)), None);
    for row in world.store.credentials().await.expect("read") {
        assert!(!row.body.contains(&secret) && !row.id.contains(&secret));
    }
    for bad in [Some(now), Some(later(now, SECRET_LIFE_MAX + Duration::from_secs(1)))] {
        let added = services.add_secret(on(), *client, "bad", bad).await;
        assert!(matches!(added, Err(ServiceFault::End)), "{bad:?}");
    }
    services.remove_credential(on(), *client, first.id).await.expect("removed");
    assert_eq!(services.secret(&client_id, &secret, now), None);
    assert_eq!(services.holds(*client, first.id, now), None);
    let again = services.remove_credential(on(), *client, first.id).await;
    assert!(matches!(again, Err(ServiceFault::NoCredential)));
    services.remove(on(), *client).await.expect("removed");
    assert_eq!(services.secret(&client_id, &other, now), None);
    assert_eq!(world.store.credentials().await.expect("read"), []);
}

#[tokio::test]
async fn what_is_over_is_forgotten_and_an_ended_secret_is_shown_for_a_while() {
    let scene = Scene::new().await;
    let Scene { world, services, client } = &scene;
    let until = Some(later(at(0).wall, Duration::from_secs(60)));
    let on = || world.on(home(), at(0));
    let _added = services.add_secret(on(), *client, "one", until).await.expect("added");
    world.accounts.first_link(on()).await.expect("a link");
    let day = 24 * 3_600;
    let origin = on().origin;
    let sweep = |seconds: i64| services.sweep(&world.store, &origin, at(seconds).wall);
    assert_eq!(sweep(59).await, 0);
    assert_eq!(sweep(day).await, 1, "the link");
    let service = services.get(*client).expect("a service");
    assert_eq!(services.credentials(&service).len(), 1, "it is still shown");
    assert_eq!(sweep(31 * day).await, 1);
    assert_eq!(services.credentials(&service), []);
    assert_eq!(sweep(31 * day).await, 0);
    assert_eq!(world.store.credentials().await.expect("read").len(), 1, "the account stays");
}

#[tokio::test]
async fn another_services_secret_is_not_ones_own() {
    let scene = Scene::new().await;
    let Scene { world, services, client } = &scene;
    let draft = services.draft("other").expect("a draft");
    let other = draft.client;
    services.make(world.on(home(), at(0)), draft).await.expect("made");
    let on = world.on(home(), at(0));
    let (held, secret) = services.add_secret(on, other, "one", None).await.expect("added");
    let now = at(0).wall;
    assert_eq!(services.secret(&client.to_string(), &secret, now), None);
    assert!(services.secret(&other.to_string(), &secret, now).is_some());
    let on = world.on(home(), at(0));
    let removed = services.remove_credential(on, *client, held.id).await;
    assert!(matches!(removed, Err(ServiceFault::NoCredential)));
}

#[tokio::test]
async fn credentials_and_names_are_bounded() {
    let scene = Scene::new().await;
    let Scene { world, services, client } = &scene;
    for n in 0..=CREDENTIALS_MAX {
        let on = world.on(home(), at(0));
        let added = services.add_secret(on, *client, &format!("{n}"), None).await;
        assert_eq!(added.is_ok(), n < CREDENTIALS_MAX, "{n}");
    }
    for bad in ["", " ", "\u{202e}", "a\nb", &"x".repeat(NAME_CHARS_MAX + 1)] {
        assert!(matches!(services.draft(bad), Err(ServiceFault::Name)), "{bad:?}");
    }
    let nobody = Uuid::from_u128(9);
    let added = services.add_secret(world.on(home(), at(0)), nobody, "x", None).await;
    assert!(matches!(added, Err(ServiceFault::NotFound)));
}

#[tokio::test]
async fn an_assertion_is_the_services_for_us_for_a_short_time_and_once() {
    let scene = Scene::new().await;
    let (signer, stranger, ed25519) = (Signer::p256(), Signer::p256(), Signer::ed25519());
    let held = scene.with_key(&signer).await;
    let _other = scene.with_key(&ed25519).await;
    let now = at(0).wall.as_second();
    let client = scene.client.to_string();
    type Change = Box<dyn FnOnce(&mut Value)>;
    let set = |name: &'static str, value: Value| -> Change {
        Box::new(move |claims: &mut Value| claims[name] = value)
    };
    for (what, change, fault) in [
        ("for another", set("aud", json!("https://elsewhere")), AssertionFault::Audience),
        ("for others too", set("aud", json!([US, "https://elsewhere"])), AssertionFault::Audience),
        ("for nobody", set("aud", json!([])), AssertionFault::Audience),
        ("over", set("exp", json!(now - 31)), AssertionFault::Time),
        ("made to last", set("exp", json!(now + 632)), AssertionFault::Time),
        ("not begun", set("nbf", json!(now + 31)), AssertionFault::Time),
        ("from the future", set("iat", json!(now + 31)), AssertionFault::Time),
        ("at the end of time", set("exp", json!(i64::MAX)), AssertionFault::Time),
        ("about another", set("sub", json!(Uuid::from_u128(4))), AssertionFault::NoService),
        ("without a number", set("jti", json!("")), AssertionFault::Unreadable),
        ("with a long number", set("jti", json!("x".repeat(256))), AssertionFault::Unreadable),
        ("with a wrong number", set("jti", json!(7)), AssertionFault::Signature),
        ("by nobody we know", set("iss", json!(Uuid::from_u128(4))), AssertionFault::NoService),
    ] {
        let sent = signer.sign(&scene.claims(change));
        assert_eq!(scene.show(&sent, None).await, Err(fault), "{what}");
    }
    let sent = stranger.sign(&scene.claims(|_| {}));
    assert_eq!(scene.show(&sent, None).await, Err(AssertionFault::Signature), "another key");
    let sent = signer.sign(&scene.claims(|_| {}));
    let other = Uuid::from_u128(4).to_string();
    assert_eq!(scene.show(&sent, Some(&other)).await, Err(AssertionFault::NoService));
    let proved = scene.show(&sent, Some(&client)).await.expect("right");
    assert_eq!((proved.service.client, proved.credential), (scene.client, held.id));
    assert_eq!(scene.show(&sent, Some(&client)).await, Err(AssertionFault::Used));
    let again = signer.sign(&scene.claims(|claims| claims["exp"] = json!(now + 200)));
    assert_eq!(scene.show(&again, None).await, Err(AssertionFault::Used), "the same number");
    let next = ed25519.sign(&scene.claims(|claims| {
        claims["jti"] = json!("two");
        claims["aud"] = json!([US]);
    }));
    assert!(scene.show(&next, None).await.is_ok());
    // Two at once.
    let third = signer.sign(&scene.claims(|claims| claims["jti"] = json!("three")));
    let both = tokio::join!(scene.show(&third, None), scene.show(&third, None));
    assert!(both.0.is_ok() != both.1.is_ok());
}

#[tokio::test]
async fn a_token_does_not_choose_how_it_is_verified() {
    let scene = Scene::new().await;
    let signer = Signer::p256();
    let held = scene.with_key(&signer).await;
    let good = signer.sign(&scene.claims(|_| {}));
    let parts: Vec<&str> = good.split('.').collect();
    let with_header = |header: Value, signature: &str| {
        format!("{}.{}.{signature}", URL_SAFE_NO_PAD.encode(header.to_string()), parts[1])
    };
    let ServiceKey::P256 { x, .. } = &signer.key else { panic!("P-256") };
    let mac = {
        let key = EncodingKey::from_secret(&URL_SAFE_NO_PAD.decode(x).expect("base64"));
        let header = Header::new(jsonwebtoken::Algorithm::HS256);
        jsonwebtoken::encode(&header, &scene.claims(|_| {}), &key).expect("signed")
    };
    let stranger = Signer::p256();
    let ServiceKey::P256 { x, y } = &stranger.key else { panic!("P-256") };
    let mut header = Header::new(jsonwebtoken::Algorithm::ES256);
    header.jku = Some("https://evil.example.com/keys".to_owned());
    header.x5u = Some("https://evil.example.com/cert".to_owned());
    header.jwk =
        serde_json::from_value(json!({ "kty": "EC", "crv": "P-256", "x": x, "y": y })).ok();
    let brought = jsonwebtoken::encode(&header, &scene.claims(|_| {}), &stranger.encoding);
    for (what, sent) in [
        ("unsigned", with_header(json!({ "alg": "none" }), "")),
        ("unsigned, in capitals", with_header(json!({ "alg": "NONE" }), "")),
        ("no signature", with_header(json!({ "alg": "ES256" }), "")),
        ("another algorithm", with_header(json!({ "alg": "RS256" }), parts[2])),
        ("a public key as a secret", mac),
        ("a key that it brings", brought.expect("signed")),
        ("no token", "x".to_owned()),
        ("five parts", "a.b.c.d.e".to_owned()),
        ("too long", "a".repeat(assertion::ASSERTION_BYTES_MAX + 1)),
    ] {
        let shown = scene.show(&sent, None).await;
        assert!(
            matches!(shown, Err(AssertionFault::Signature | AssertionFault::Unreadable)),
            "{what}: {shown:?}"
        );
    }
    let on = scene.world.on(home(), at(0));
    scene.services.remove_credential(on, scene.client, held.id).await.expect("removed");
    assert_eq!(scene.show(&good, None).await, Err(AssertionFault::Signature), "a removed key");
}

#[tokio::test]
async fn what_is_used_up_is_forgotten_when_it_is_over_and_bounded_until_then() {
    let scene = Scene::new().await;
    let signer = Signer::p256();
    scene.with_key(&signer).await;
    let show = |seconds: i64, number: String| {
        let now = at(seconds).wall.as_second();
        let sent = signer.sign(&scene.claims(|claims| {
            claims["jti"] = json!(number);
            claims["exp"] = json!(now + 10);
        }));
        let (on, services) = (scene.world.on(home(), at(seconds)), &scene.services);
        async move { services.assertion(on, (&sent, None), |audience| audience == US, &Elsewhere).await }
    };
    for number in 0..50 {
        assert!(show(number * 60, number.to_string()).await.is_ok());
    }
    let kept = scene.world.store.credentials().await.expect("read");
    let spent = kept.iter().filter(|row| row.kind == CredentialKind::SpentAssertion).count();
    assert!(spent <= 2, "{spent}");
}

#[tokio::test]
async fn another_issuers_token_stands_for_the_service_it_is_trusted_for() {
    let scene = Scene::new().await;
    let Scene { world, services, client } = &scene;
    let client_id = client.to_string();
    let trust = Trust {
        issuer: "https://issuer.example.com".to_owned(),
        subject: "repo:org/app:main".to_owned(),
        audience: "hourgate".to_owned(),
    };
    let sent = token_of_elsewhere("repo:org/app:main", "hourgate", "good");
    let not_trusted = Err(AssertionFault::NotTrusted);
    assert_eq!(scene.show(&sent, Some(&client_id)).await, not_trusted);
    let on = world.on(home(), at(0));
    let held = services.add_trust(on, *client, "ci", trust.clone()).await.expect("added");
    let proved = scene.show(&sent, Some(&client_id)).await.expect("right");
    assert_eq!(proved.credential, held.id);
    assert_eq!(scene.show(&sent, None).await, Err(AssertionFault::NoService), "for whom?");
    let other = token_of_elsewhere("repo:org/app:main2", "hourgate", "good");
    assert_eq!(scene.show(&other, Some(&client_id)).await, not_trusted, "another subject");
    for (what, sent) in [
        ("another audience", token_of_elsewhere("repo:org/app:main", "other", "good")),
        ("a wrong signature", token_of_elsewhere("repo:org/app:main", "hourgate", "bad")),
    ] {
        let shown = scene.show(&sent, Some(&client_id)).await;
        assert!(matches!(shown, Err(AssertionFault::Issuer(_))), "{what}");
    }
    for bad in [
        Trust { issuer: "http://issuer.example.com".to_owned(), ..trust.clone() },
        Trust { subject: String::new(), ..trust.clone() },
        Trust { audience: "\u{202e}".to_owned(), ..trust.clone() },
        Trust { subject: "x".repeat(TRUST_BYTES_MAX + 1), ..trust },
    ] {
        let added = services.add_trust(world.on(home(), at(0)), *client, "bad", bad).await;
        assert!(matches!(added, Err(ServiceFault::Trust)));
    }
}

#[test]
fn a_private_key_is_sent_back_and_a_weak_one_not_taken() {
    let good = json!({ "kty": "OKP", "crv": "Ed25519", "x": URL_SAFE_NO_PAD.encode([9; 32]) });
    let with = |name: &str, value: Value| {
        let mut jwk = good.clone();
        jwk[name] = value;
        ServiceKey::read(&jwk)
    };
    for private in ["d", "k", "p"] {
        assert_eq!(with(private, json!("AAAA")), Err(UnusableKey::Private));
    }
    for (name, value) in [
        ("kty", json!("oct")),
        ("kty", json!("EC")),
        ("crv", json!("X25519")),
        ("x", json!("AAAA")),
        ("x", json!(7)),
        ("x", json!("%")),
    ] {
        assert_eq!(with(name, value.clone()), Err(UnusableKey::Unsupported), "{name} {value}");
    }
    let rsa = |bytes: usize| {
        let n = URL_SAFE_NO_PAD.encode(vec![0xc1; bytes]);
        ServiceKey::read(&json!({ "kty": "RSA", "n": n, "e": "AQAB" }))
    };
    assert!(rsa(256).is_ok());
    assert_eq!(rsa(128), Err(UnusableKey::Unsupported));
    assert_eq!(rsa(1_024), Err(UnusableKey::Unsupported));
    assert_eq!(ServiceKey::read(&json!("text")), Err(UnusableKey::Unsupported));
}

/// RFC 7638, section 3.1.
#[test]
fn a_key_is_named_as_the_rfc_has_it() {
    let n = "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECP\
             ebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY\
             368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0f\
             M4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw";
    let key = ServiceKey::read(&json!({ "kty": "RSA", "n": n, "e": "AQAB" })).expect("a key");
    assert_eq!(key.thumbprint(), "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs");
}
