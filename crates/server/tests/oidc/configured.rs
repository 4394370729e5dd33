//! What can be configured, and what is told to whoever wrote something else.

use std::time::Duration;

use hourgate_server::config;

use crate::world::{World, table};

/// What a configuration comes to, or why it is none.
fn check(world: &World, text: &str) -> Result<config::Config, String> {
    let file = world.authority.ca().with_file_name("hourgate.toml");
    std::fs::write(&file, text).unwrap();
    config::check(&file).map_err(|error| error.to_string())
}

#[test]
fn little_needs_to_be_said() {
    let world = World::new();
    let config = check(&world, &table("main", "https://id.example.com/", "")).expect("sound");
    let [provider] = &config.providers[..] else { panic!("one") };
    assert_eq!((&*provider.title, &*provider.issuer), ("main", "https://id.example.com/"));
    assert_eq!(provider.scopes, ["openid", "profile", "email"]);
    assert_eq!(&*provider.claims.upn, "preferred_username");
    assert_eq!((provider.highest_role, provider.groups_hold), (None, Duration::from_hours(1)));
    assert!(config.outgoing.allow.is_empty() && config.outgoing.ca.is_none());
}

#[test]
fn what_cannot_work_is_refused_with_what_would() {
    let world = World::new();
    let issuer = "https://id.example.com";
    let with = |more: &str| table("main", issuer, more);
    let bare = |lines: &str| format!("[[provider]]\nname = \"main\"\n{lines}\n");
    let empty = world.authority.ca().with_file_name("empty");
    std::fs::write(&empty, "\n").unwrap();
    let many: String =
        (0..33).map(|n| table(&n.to_string(), &format!("{issuer}/{n}"), "")).collect();
    let cases = [
        (table("Main", issuer, ""), "lower case letters"),
        (table("-", issuer, ""), "lower case letters"),
        (table("main", "http://id.example.com", ""), "an https URL without a query"),
        (table("main", "https://id.example.com/?tenant=a", ""), "an https URL without a query"),
        (table("main", "https://a@id.example.com", ""), "an https URL without a query"),
        (with("claim.groups = \"a\""), "unknown field `claim`"),
        (with("claims.group = \"a\""), "unknown field `group`"),
        (with("claims.groups = \"\""), "provider \"main\": claims.groups is \"\""),
        (with("scopes = [\"profile\"]"), "that has \"openid\""),
        (with("scopes = [\"openid email\"]"), "that has \"openid\""),
        (with("groups_hold = \"1h\""), "ISO 8601 duration from PT1M"),
        (with("groups_hold = \"PT59S\""), "ISO 8601 duration from PT1M"),
        (with("title = \"a\\nb\""), "one line of 1 to 256 bytes"),
        (with("client_secret_file = \"secret\""), "an absolute path"),
        (with("client_secret_file = \"/nowhere/secret\""), "/nowhere/secret, which cannot be used"),
        (
            with(&format!("client_secret_file = {:?}", empty.display().to_string())),
            "1 to 1024 bytes",
        ),
        (bare("issuer = \"https://id.example.com\""), "both missing"),
        (bare("issuer = \"https://id.example.com\"\nclient_secret_file = \"/a\""), "nobody's"),
        (
            with("") + &table("main", "https://other.example.com", ""),
            "is that of provider \"main\" too",
        ),
        (with("") + &table("other", issuer, ""), "is that of provider \"main\" too"),
        (many, "at most 32 providers"),
        ("[outgoing]\nallow = [\"10.0.0.1/8\"]".to_owned(), "outgoing.allow names \"10.0.0.1/8\""),
        ("[outgoing]\nallow = [\"localhost\"]".to_owned(), "outgoing.allow names \"localhost\""),
        ("[outgoing]\ndeny = []".to_owned(), "unknown field `deny`"),
        ("[outgoing]\nca = \"ca.pem\"".to_owned(), "an absolute path to a PEM file"),
        (
            "[outgoing]\nca = \"/nowhere/ca.pem\"".to_owned(),
            "/nowhere/ca.pem, which cannot be used",
        ),
        (format!("[outgoing]\nca = {:?}", empty.display().to_string()), "it holds no certificate"),
    ];
    for (text, expected) in cases {
        let error = check(&world, &text).expect_err(&text);
        assert!(error.contains(expected) && !error.contains('\n'), "{text}\n{error}");
    }
}
