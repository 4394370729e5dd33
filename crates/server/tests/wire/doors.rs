//! The ways in: several listeners, both families, and whose address a call is taken to come from.

use std::net::{SocketAddr, TcpListener};

use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    harness::{Running, Wanted, fresh_dir, start_in},
    raw::tls,
};

const WHOAMI: &str = "/whoami?api-version=2026-11-01";

/// Asks through one door, by an address that the certificate must be for, who one is there.
async fn through(server: &Running, door: SocketAddr) -> Value {
    let answer = server.client.get(format!("https://{door}{WHOAMI}"));
    let answer = answer.bearer_auth(server.token().await).send().await.expect("an answer");
    assert_eq!(answer.status(), 200);
    answer.json().await.expect("JSON")
}

#[tokio::test]
async fn every_listener_leads_to_the_same_server() {
    let listen = vec!["127.0.0.1:0", "[::]:0", "[::1]:0"];
    let server = start_in(fresh_dir(), Wanted { listen, ..Wanted::default() }).await;
    let server = server.expect("a server");
    let [first, everybody, six] = server.ready.addresses[..] else { panic!("three of them") };
    assert_eq!(server.admin.server, format!("https://localhost:{}", first.port()), "the first");
    assert_eq!(through(&server, first).await["address"], "127.0.0.1");
    assert_eq!(through(&server, six).await["address"], "::1");
    // `[::]` is both families, and what comes by IPv4 is told as IPv4.
    let four = SocketAddr::from(([127, 0, 0, 1], everybody.port()));
    let seen = through(&server, four).await;
    assert_eq!((&seen["address"], &seen["addressIsOwn"]), (&json!("127.0.0.1"), &json!(false)));
    let six = SocketAddr::from(([0, 0, 0, 0, 0, 0, 0, 1], everybody.port()));
    assert_eq!(through(&server, six).await["address"], "::1");
    tls(four, "localhost", &server.ready.ca, None).await.expect("its name too");
}

#[tokio::test]
async fn where_only_everybody_is_listened_to_the_url_is_by_name() {
    let wanted = Wanted { listen: vec!["[::]:0"], ..Wanted::default() };
    let server = start_in(fresh_dir(), wanted).await.expect("a server");
    let port = server.ready.addresses[0].port();
    assert_eq!(server.admin.server, format!("https://localhost:{port}"));
    assert_eq!(server.call(Method::GET, WHOAMI, None).await.status(), 200);
}

#[tokio::test]
async fn one_port_of_both_families_can_be_named_family_by_family() {
    let free = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = free.local_addr().expect("an address").port();
    drop(free);
    let (four, six) = (format!("127.0.0.1:{port}"), format!("[::]:{port}"));
    let config = format!("listen = [\"{six}\", \"{four}\"]");
    let wanted = Wanted { listen: Vec::new(), ..Wanted::config(&config) };
    let server = start_in(fresh_dir(), wanted).await.expect("both are listened on");
    for door in [four, format!("[::1]:{port}")] {
        let door: SocketAddr = door.parse().expect("an address");
        assert_eq!(through(&server, door).await["address"], json!(door.ip()));
    }
}

#[tokio::test]
async fn a_port_that_is_taken_is_named() {
    let holder = TcpListener::bind("127.0.0.1:0").expect("a port");
    let taken = holder.local_addr().expect("an address").to_string();
    let wanted = Wanted { listen: Vec::new(), ..Wanted::config(&format!("listen = \"{taken}\"")) };
    let refused = start_in(fresh_dir(), wanted).await.err().expect("a refusal").to_string();
    assert!(refused.contains(&taken) && refused.contains("in use"), "{refused}");
}

/// A call as a proxy hands it on.
async fn forwarded(server: &Running, headers: &[(&str, &str)]) -> (Value, bool) {
    let answer = server.call_with(Method::GET, WHOAMI, None, headers).await;
    let seen: Value = answer.json().await.expect("JSON");
    (seen["address"].clone(), seen["addressIsOwn"] == true)
}

/// What comes of a request that names no source, handed on in the same way.
async fn asked(server: &Running, headers: &[(&str, &str)]) -> (u16, Value) {
    let path = format!("{}/initiate?api-version=2020-01-01", server.policy_id("rg1"));
    let mut body = server.ask_body("web-1", 22);
    let port = body["virtualMachines"][0]["ports"][0].as_object_mut().expect("a port");
    port.remove("allowedSourceAddressPrefix");
    let answer = server.call_with(Method::POST, &path, Some(&body.to_string()), headers).await;
    (answer.status().as_u16(), answer.json().await.expect("JSON"))
}

const HANDED_ON: (&str, &str) = ("x-forwarded-for", "198.51.100.1, 192.0.2.77");

#[tokio::test]
async fn without_a_trusted_proxy_nobody_says_who_they_are() {
    let server = start_in(fresh_dir(), Wanted::default()).await.expect("a server");
    server.protect().await;
    for headers in [HANDED_ON, ("forwarded", "for=192.0.2.77"), ("x-real-ip", "192.0.2.77")] {
        assert_eq!(forwarded(&server, &[headers]).await, (json!("127.0.0.1"), false));
    }
    let (status, answer) = asked(&server, &[HANDED_ON]).await;
    assert_eq!((status, &answer["error"]["code"]), (400, &json!("SourceNeeded")), "{answer}");
    // A proxy that is trusted and does not stand before this server changes nothing.
    let server = server.restart(Wanted::config("trusted_proxies = [\"10.0.0.0/8\"]")).await;
    assert_eq!(forwarded(&server, &[HANDED_ON]).await, (json!("127.0.0.1"), false));
}

#[tokio::test]
async fn a_trusted_proxys_word_is_the_source_that_opens() {
    let wanted = Wanted::config("trusted_proxies = [\"127.0.0.1\", \"10.0.0.0/8\"]");
    let server = start_in(fresh_dir(), wanted).await.expect("a server");
    server.protect().await;
    // The hop next to the proxy counts: what stands left of it anybody can write.
    assert_eq!(forwarded(&server, &[HANDED_ON]).await, (json!("192.0.2.77"), true));
    let two = [("x-forwarded-for", "198.51.100.1"), ("x-forwarded-for", "192.0.2.77, 10.1.1.1")];
    assert_eq!(forwarded(&server, &two).await, (json!("192.0.2.77"), true));
    // The proxy's own address, none, or two that disagree about who wrote them: nobody's.
    for headers in [
        &[("x-forwarded-for", "192.0.2.77, unknown")][..],
        &[("x-forwarded-for", "10.1.1.1")],
        &[HANDED_ON, ("forwarded", "for=198.51.100.1")],
        &[],
    ] {
        let (_, is_own) = forwarded(&server, headers).await;
        assert!(!is_own, "{headers:?}");
        assert_eq!(asked(&server, headers).await.0, 400, "{headers:?}");
    }
    let (status, answer) = asked(&server, &[HANDED_ON]).await;
    assert_eq!(status, 202, "{answer}");
    let port = &answer["virtualMachines"][0]["ports"][0];
    assert_eq!(port["allowedSourceAddressPrefix"], "192.0.2.77");
    let id = answer["id"].as_str().expect("an id");
    let open = |seen: &Value| seen["virtualMachines"][0]["ports"][0]["observed"]["state"] == "open";
    server.until(&server.request_path(id), open).await;
    let guard = server.guard.as_ref().expect("a guard");
    let (address, port) = ("10.9.0.4".parse().expect("one"), hourgate_core::network::Port::new(22));
    let accepts =
        |source: &str| guard.accepts(source.parse().expect("one"), address, port.expect("a port"));
    assert!(accepts("192.0.2.77") && !accepts("198.51.100.1") && !accepts("127.0.0.1"));
}
