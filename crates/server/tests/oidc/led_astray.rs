//! A provider's answers that would have the server call where it must not, or read without end.

use std::time::Duration;

use hourgate_server::provider::{Providers, Rejected};
use serde_json::json;

use crate::{
    fake::{Fake, Says},
    signer::Signer,
    world::{World, table},
};

const PLACE: &str = "/.well-known/openid-configuration";

/// Why a good token is not believed; empty if it is.
async fn why(providers: &Providers, issuer: &str, key: &Signer, world: &World) -> String {
    let token = key.token(&world.claims(issuer, &json!({})));
    match providers.verify(&token, world.now()).await {
        Ok(_) => String::new(),
        Err(Rejected::Down(down)) => down.why,
        Err(rejected) => panic!("{rejected}"),
    }
}

#[tokio::test]
async fn what_is_not_honest_is_not_believed() {
    let world = World::impatient(Duration::from_millis(700));
    let key = Signer::ec("a");
    let other = Fake::start(&world.authority, &[&key]).await;
    let much = 256 << 10;
    let honest = |fake: &Fake| {
        let place = format!("{}/keys", fake.issuer);
        json!({ "issuer": fake.issuer, "jwks_uri": place })
    };
    let table_of = [
        ("another name", "the configured issuer is another"),
        ("elsewhere", "status is 302"),
        ("too much", "more than 262144 bytes"),
        ("too much, not announced", "more than 262144 bytes"),
        ("without end", "did not answer within"),
        ("no json", "is not understood"),
        ("keys in the clear", "jwks_uri is no https URL"),
        ("keys in a file", "jwks_uri is no https URL"),
        ("keys at a metadata service", "hands machines their credentials"),
        ("keys at a metadata service, mapped", "hands machines their credentials"),
        ("keys at a link-local address", "link-local"),
        ("keys elsewhere", "status is 302"),
        ("no keys", "no key that could sign"),
    ];
    for (case, expected) in table_of {
        let fake = Fake::start(&world.authority, &[&key]).await;
        match case {
            "another name" => fake.describe(&json!({ "issuer": other.issuer })),
            "elsewhere" => fake.says(PLACE, Says::Elsewhere(format!("{}{PLACE}", other.issuer))),
            "too much" => fake.says(PLACE, Says::Much { bytes: much + 1, announced: true }),
            "too much, not announced" => {
                fake.says(PLACE, Says::Much { bytes: much + 1, announced: false });
            }
            "without end" => fake.says(PLACE, Says::Drip),
            "no json" => fake.says(PLACE, Says::Much { bytes: much, announced: false }),
            "keys in the clear" => fake.describe(&json!({ "jwks_uri": "http://localhost/keys" })),
            "keys in a file" => fake.describe(&json!({ "jwks_uri": "file:///etc/passwd" })),
            "keys at a metadata service" => {
                fake.describe(&json!({ "jwks_uri": "https://169.254.169.254/keys" }));
            }
            "keys at a metadata service, mapped" => {
                fake.describe(&json!({ "jwks_uri": "https://[::ffff:a9fe:a9fe]/keys" }));
            }
            "keys at a link-local address" => {
                fake.describe(&json!({ "jwks_uri": "https://[fe80::1]/keys" }));
            }
            "keys elsewhere" => {
                fake.says("/keys", Says::Elsewhere(format!("{}/keys", other.issuer)));
            }
            "no keys" => fake.publish(&[]),
            _ => panic!("{case}"),
        }
        let providers = world.providers(&table("main", &fake.issuer, ""));
        let said = why(&providers, &fake.issuer, &key, &world).await;
        assert!(said.contains(expected), "{case}: {said}");
        // Set right, it is believed: nothing else was wrong.
        fake.says(PLACE, Says::Json(honest(&fake)));
        fake.publish(&[&key]);
        let providers = world.providers(&table("main", &fake.issuer, ""));
        assert_eq!(why(&providers, &fake.issuer, &key, &world).await, "", "{case}");
    }
    assert_eq!(other.asked_in_all(), 0, "nobody was led there");
}

#[tokio::test]
async fn a_name_that_leads_to_this_machine_is_not_called_unless_configured() {
    let world = World::new();
    let key = Signer::ec("a");
    let fake = Fake::start(&world.authority, &[&key]).await;
    let ca = format!("ca = {:?}\n", world.authority.ca().display().to_string());
    for (allow, issuer) in [
        // By the name's resolution, by its own address, and with another part of loopback opened.
        ("", fake.issuer.clone()),
        ("", fake.issuer.replace("localhost", "127.0.0.1")),
        ("", fake.issuer.replace("localhost", "[::ffff:127.0.0.1]")),
        ("", fake.issuer.replace("localhost", "0x7f.1")),
        ("allow = [\"127.0.0.2\"]\n", fake.issuer.clone()),
    ] {
        let text = format!("[outgoing]\n{allow}{ca}{}", table("main", &issuer, ""));
        let said = why(&world.providers_with(&text), &issuer, &key, &world).await;
        assert!(said.contains("is a loopback address"), "{issuer}: {said}");
    }
    assert_eq!(fake.asked_in_all(), 0);
}

#[tokio::test]
async fn a_provider_on_a_metadata_address_is_not_called_though_its_network_is_open() {
    let world = World::new();
    let key = Signer::ec("a");
    let issuer = "https://169.254.169.254";
    let text = format!("[outgoing]\nallow = [\"169.254.0.0/16\"]\n{}", table("main", issuer, ""));
    let said = why(&world.providers_with(&text), issuer, &key, &world).await;
    assert!(said.contains("hands machines their credentials"), "{said}");
}

#[tokio::test]
async fn a_certificate_that_nobody_vouches_for_is_not_believed() {
    let world = World::new();
    let key = Signer::ec("a");
    let fake = Fake::start(&world.authority, &[&key]).await;
    let text = format!(
        "[outgoing]\nallow = [\"127.0.0.1\", \"::1\"]\n{}",
        table("main", &fake.issuer, "")
    );
    let said = why(&world.providers_with(&text), &fake.issuer, &key, &world).await;
    assert!(said.contains("certificate"), "{said}");
    assert_eq!(fake.asked_in_all(), 0);
}

/// Set where this test runs itself once more.
const AGAIN: &str = "HOURGATE_TEST_BEHIND_A_PROXY";

#[tokio::test]
async fn a_proxy_of_the_environment_resolves_no_names_for_us() {
    if std::env::var_os(AGAIN).is_none() {
        // Nothing listens there: through such a proxy nothing would be reached.
        let proxy = "http://127.0.0.1:9";
        let own = "led_astray::a_proxy_of_the_environment_resolves_no_names_for_us";
        let mut again = tokio::process::Command::new(std::env::current_exe().unwrap());
        again.args(["--exact", own]).env(AGAIN, "1").env_remove("NO_PROXY").env_remove("no_proxy");
        for name in ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"] {
            again.env(name, proxy);
        }
        let output = again.output().await.unwrap();
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success() && said.contains("1 passed"), "{said}");
        return;
    }
    let world = World::new();
    let key = Signer::ec("a");
    let fake = Fake::start(&world.authority, &[&key]).await;
    let providers = world.providers(&table("main", &fake.issuer, ""));
    assert_eq!(why(&providers, &fake.issuer, &key, &world).await, "");
}
