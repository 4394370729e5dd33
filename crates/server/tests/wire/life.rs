//! A server's life: first start, restart, a second one, a stop, and what the operator got wrong.

use std::{os::unix::fs::PermissionsExt, sync::atomic::Ordering};

use reqwest::Method;
use serde_json::Value;

use crate::harness::{Wanted, fresh_dir, read_admin, start, start_in, status_of_first_port};

fn mode(path: &std::path::Path) -> u32 {
    std::fs::metadata(path).expect("a file").permissions().mode() & 0o777
}

#[tokio::test]
async fn the_first_start_leaves_secrets_to_their_owner_alone() {
    let server = start().await;
    let data = server.dir.path().join("data");
    assert_eq!(mode(&data), 0o700);
    let secrets = ["admin.json", "ca.key", "seal.key", "log.key", "hourgate.db", "control.sock"];
    for name in secrets {
        assert_eq!(mode(&data.join(name)), 0o600, "{name}");
    }
    assert!(server.ready.fingerprint.is_some());
    assert!(server.admin.server.starts_with("https://localhost:"));
    assert!(server.admin.ca.is_absolute());
    // 256 bits in base64url, behind a mark.
    assert_eq!(server.admin.client_secret.len(), 3 + 43);
}

#[tokio::test]
async fn a_restart_keeps_everything_and_renews_where_the_server_is() {
    let server = start().await;
    server.protect().await;
    let id = server.ask().await;
    let (secret, ca) =
        (server.admin.client_secret.clone(), std::fs::read(&server.ready.ca).expect("ca"));
    let token = server.token().await;
    // On the same port: a token is for the URL that it was asked for.
    let config = format!("listen = \"{}\"", server.ready.addresses[0]);
    let wanted = Wanted { listen: Vec::new(), ..Wanted::config(&config) };
    let again = server.restart(wanted).await;
    assert_eq!(again.admin.client_secret, secret);
    assert_eq!(again.admin.server, again.ready.url);
    assert_eq!(std::fs::read(&again.ready.ca).expect("ca"), ca);
    assert_eq!(again.ready.fingerprint, None);
    let seen = again
        .until(&again.request_path(&id), |request| status_of_first_port(request) == "Initiated")
        .await;
    assert_eq!(seen["id"], serde_json::json!(id));
    let url = again.url("/whoami?api-version=2026-11-01");
    let old = again.client.get(url).bearer_auth(token).send().await.expect("an answer");
    assert_eq!(old.status(), 200);
}

#[tokio::test]
async fn a_second_server_on_one_directory_says_who_holds_it() {
    let server = start().await;
    let Err(refused) = start_in(server.dir.clone(), Wanted::default()).await else {
        panic!("two servers on one directory");
    };
    let text = refused.to_string();
    assert!(text.contains(&std::process::id().to_string()), "{text}");
    assert_eq!(server.call(Method::GET, "/healthz", None).await.status(), 200);
}

#[tokio::test]
async fn a_server_whose_port_is_taken_leaves_no_store_behind() {
    let server = start().await;
    let taken: &'static str = Box::leak(server.ready.addresses[0].to_string().into());
    let dir = fresh_dir();
    let wanted = Wanted { listen: vec![taken], ..Wanted::default() };
    let refused = start_in(dir.clone(), wanted).await.err().expect("a refusal").to_string();
    assert!(refused.contains(taken), "{refused}");
    for name in ["hourgate.db", "log.key"] {
        assert!(!dir.path().join("data").join(name).exists(), "{name}");
    }
}

#[tokio::test]
async fn a_directory_open_to_others_or_not_writable_is_refused() {
    let dir = fresh_dir();
    let data = dir.path().join("data");
    std::fs::create_dir(&data).expect("a directory");
    std::fs::set_permissions(&data, std::fs::Permissions::from_mode(0o755)).expect("a mode");
    let refused = start_in(dir.clone(), Wanted::default()).await.err().expect("a refusal");
    assert!(refused.to_string().contains("chmod 700"), "{refused}");
    std::fs::remove_dir(&data).expect("an empty directory");
    std::fs::write(&data, "a file").expect("a file");
    let refused = start_in(dir, Wanted::default()).await.err().expect("a refusal");
    assert!(refused.to_string().contains("cannot be used"), "{refused}");
}

#[tokio::test]
async fn a_configuration_that_is_wrong_says_where() {
    for (text, part) in [
        ("listne = \"127.0.0.1:1\"", "listne"),
        ("shortest_access = \"1 minute\"", "shortest_access"),
        ("public_url = \"http://a\"", "public_url"),
        ("public_url = \"https://a/path\"", "public_url"),
        ("trusted_proxies = [\"10.0.0.1/8\"]", "10.0.0.1/8"),
        ("metrics_listen = \"0.0.0.0:9464\"", "loopback"),
        ("[[guard]]\nname = \"a\"\nsockets = \"b\"", "sockets"),
        ("# first\n listne = 1", "line 2, column 2"),
        ("listen = \"nowhere\"", "address with a port"),
        ("listen = [\"a\"", "line 1, column"),
        // What cannot work, and what would let everybody in.
        ("shortest_access = \"PT2H\"", "shortest_policy"),
        ("shortest_policy = \"PT1M\"", "for example PT1H"),
        ("trusted_proxies = [\"0.0.0.0/0\"]", "every caller"),
        ("trusted_proxies = [\"::/0\"]", "every caller"),
        (
            "[[guard]]\nname = \"a\"\nsocket = \"/a\"\ncovers = [\"10.0.0.0/8\"]\n\
             [[guard]]\nname = \"b\"\nsocket = \"/b\"\ncovers = [\"10.1.0.0/16\"]",
            "10.1.0.0/16",
        ),
    ] {
        let wanted = Wanted::config(text);
        let refused = start_in(fresh_dir(), wanted).await.err().expect("a refusal").to_string();
        assert!(refused.contains(part) && refused.contains("hourgate.toml"), "{refused}");
        assert!(!refused.contains(char::is_control), "one line: {refused:?}");
    }
}

#[tokio::test]
async fn a_name_configured_later_is_vouched_for_by_the_same_key() {
    let server = start().await;
    let before = server.ready.fingerprint.clone();
    let config = "public_url = \"https://gate.example.com\"\nmetrics_listen = \"127.0.0.1:0\"";
    let again = server.restart(Wanted::config(config)).await;
    assert!(again.ready.fingerprint.is_some() && again.ready.fingerprint != before);
    assert_eq!(again.call(Method::GET, "/healthz", None).await.status(), 200);
    let (_, found) =
        again.json(Method::GET, "/organizations/v2.0/.well-known/openid-configuration", None).await;
    assert!(
        found["token_endpoint"]
            .as_str()
            .is_some_and(|url| url.starts_with("https://gate.example.com/"))
    );
    let metrics = again.ready.metrics.expect("a listener");
    let text = reqwest::get(format!("http://{metrics}/metrics")).await.expect("metrics");
    let text = text.text().await.expect("text");
    for name in ["hourgate_guard_reached", "hourgate_openings_desired", "hourgate_commits_total"] {
        assert!(text.contains(name), "{name} in {text}");
    }
}

#[tokio::test]
async fn a_lost_file_of_the_administrator_costs_a_secret_and_not_the_way_in() {
    let mut server = start().await;
    server.stop().await;
    let data = server.dir.path().join("data");
    std::fs::remove_file(data.join("admin.json")).expect("it was there");
    let file = hourgate_server::rotate_admin(&data).await.expect("a new secret");
    assert_eq!(mode(&file), 0o600);
    assert_eq!(read_admin(&file).client_id, server.admin.client_id);
    let again = start_in(server.dir.clone(), Wanted::default()).await.expect("a server");
    assert_eq!(again.call(Method::GET, "/whoami?api-version=2026-11-01", None).await.status(), 200);
    let clock = hourgate_server::accept_clock(&data).await.expect("an answer");
    assert_eq!(clock, hourgate_server::ClockAnswer::NotBehind);
}

#[tokio::test]
async fn open_is_said_once_it_is_recorded_and_then_by_both_words() {
    let server = start().await;
    server.protect().await;
    let guard = server.guard.clone().expect("a guard");
    guard.lag(true);
    let path = server.request_path(&server.ask().await);
    // Nothing can be recorded while it opens.
    server.full.store(true, Ordering::SeqCst);
    guard.lag(false);
    let said = |request: &Value| {
        let port = &request["virtualMachines"][0]["ports"][0];
        (port["status"].clone(), port["observed"]["state"].clone())
    };
    while guard.openings().is_empty() {
        tokio::task::yield_now().await;
    }
    for _ in 0..20 {
        let (_, request) = server.json(Method::GET, &path, None).await;
        assert_eq!(said(&request).0, "Initiating");
        assert_ne!(said(&request).1, "open", "as if it were recorded");
    }
    server.full.store(false, Ordering::SeqCst);
    let open = server.until(&path, |request| said(request).1 == "open").await;
    assert_eq!(said(&open).0, "Initiated");
}
