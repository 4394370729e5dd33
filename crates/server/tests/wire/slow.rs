//! Clients that take their time, to hold what others need: each is ended in its time, and nobody else
//! notices.

use std::time::Duration;

use reqwest::Method;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::{
    harness::{Running, SOON, Wanted, fresh_dir, start, start_in},
    raw::{elapse, is_held, tls, until_ended},
};

/// How long a handshake, a body and a head may take, and how long a connection may be held for nothing.
const HANDSHAKE: Duration = Duration::from_secs(10);
const BODY: Duration = Duration::from_secs(30);
const HEAD: Duration = Duration::from_secs(75);
const SECOND: Duration = Duration::from_secs(1);

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

async fn is_served(server: &Running) {
    assert_eq!(
        server.call(Method::GET, "/whoami?api-version=2026-11-01", None).await.status(),
        200
    );
}

/// Awaits that the server holds so many connections, by what it says itself.
async fn connections_become(server: &Running, wanted: usize) {
    let url = format!("http://{}/metrics", server.ready.metrics.expect("metrics"));
    let wanted = format!("hourgate_connections {wanted}\n");
    let look = async {
        loop {
            let answer = reqwest::get(&url).await.expect("metrics");
            if answer.text().await.expect("text").contains(&wanted) {
                break;
            }
        }
    };
    let became = tokio::time::timeout(SOON, look).await;
    assert!(became.is_ok(), "never {wanted}");
}

#[tokio::test]
async fn who_does_not_shake_hands_is_hung_up_on() {
    let server = start().await;
    let to = server.ready.addresses[0];
    let mut silent = TcpStream::connect(to).await.expect("connected");
    let mut slow = TcpStream::connect(to).await.expect("connected");
    // The head of a record of 512 bytes, a byte at a time.
    for byte in [0x16, 0x03, 0x01, 0x02, 0x00, 0x01, 0x00, 0x01, 0xfc] {
        slow.write_all(&[byte]).await.expect("written");
        elapse(SECOND).await;
    }
    assert!(is_held(&mut silent).await && is_held(&mut slow).await, "not before its time");
    is_served(&server).await;
    elapse(HANDSHAKE).await;
    assert_eq!(until_ended(silent).await, "");
    assert_eq!(until_ended(slow).await, "");
    is_served(&server).await;
}

#[tokio::test]
async fn who_does_not_finish_a_head_is_hung_up_on_whatever_was_agreed() {
    let server = start().await;
    let to = server.ready.addresses[0];
    let head = b"GET /healthz HTTP/1.1\r\nhost: localhost\r\n";
    for (alpn, text) in [
        (None, &b""[..]),
        (Some("http/1.1"), b""),
        (Some("h2"), b""),
        (None, head),
        (Some("http/1.1"), head),
        (Some("h2"), PREFACE),
        // What looks like the beginning of HTTP/2 where nobody agreed on it.
        (None, b"PRI * HTTP/2.0\r\n"),
    ] {
        let mut slow = tls(to, "localhost", &server.ready.ca, alpn).await.expect("connected");
        for byte in text.iter().take(8) {
            slow.write_all(&[*byte]).await.expect("written");
            elapse(8 * SECOND).await;
        }
        let sent = u32::try_from(text.len().min(8)).expect("a few");
        if alpn != Some("h2") {
            assert!(is_held(&mut slow).await, "{alpn:?} not before its time");
        }
        elapse(HEAD - 8 * SECOND * sent + SECOND).await;
        // HTTP/2 is told goodbye first, and given time to take it.
        elapse(2 * SECOND).await;
        let said = until_ended(slow).await;
        assert!(!said.contains("200 OK"), "{said}");
        is_served(&server).await;
    }
    // Who is slow, and not too slow, is served.
    let mut slow = tls(to, "localhost", &server.ready.ca, None).await.expect("connected");
    slow.write_all(head).await.expect("written");
    elapse(HEAD - 5 * SECOND).await;
    slow.write_all(b"connection: close\r\n\r\n").await.expect("written");
    assert!(until_ended(slow).await.starts_with("HTTP/1.1 200 OK"));
}

#[tokio::test]
async fn who_sends_half_a_body_is_told_and_hung_up_on() {
    let server = start().await;
    let policy = server.protect().await;
    let token = server.token().await;
    let to = server.ready.addresses[0];
    let head = format!(
        "POST {policy}/initiate?api-version=2020-01-01 HTTP/1.1\r\nhost: localhost\r\n\
         authorization: Bearer {token}\r\ncontent-length: 400\r\n\r\n{{\"virtualMachines\":"
    );
    let sign_in = format!(
        "POST /{}/oauth2/v2.0/token HTTP/1.1\r\nhost: localhost\r\ncontent-length: 400\r\n\r\ngrant_",
        server.admin.tenant_id
    );
    for head in [head, sign_in] {
        let mut slow = tls(to, "localhost", &server.ready.ca, None).await.expect("connected");
        slow.write_all(head.as_bytes()).await.expect("written");
        elapse(BODY - 10 * SECOND).await;
        assert!(is_held(&mut slow).await, "not before its time");
        // Another byte does not prolong it.
        slow.write_all(b" ").await.expect("written");
        is_served(&server).await;
        elapse(11 * SECOND).await;
        let said = until_ended(slow).await;
        assert!(said.starts_with("HTTP/1.1 400 Bad Request"), "{said}");
        assert!(said.contains("did not arrive within 30 s"), "{said}");
        is_served(&server).await;
    }
    let (_, seen) =
        server.json(Method::GET, &format!("{policy}?api-version=2020-01-01"), None).await;
    assert_eq!(seen["properties"]["requests"], serde_json::json!([]), "nothing came of it");
}

#[tokio::test]
async fn a_connection_that_nobody_uses_any_more_is_ended() {
    let wanted = Wanted::config("metrics_listen = \"127.0.0.1:0\"");
    let server = start_in(fresh_dir(), wanted).await.expect("a server");
    let to = server.ready.addresses[0];
    is_served(&server).await;
    let mut plain = tls(to, "localhost", &server.ready.ca, Some("http/1.1")).await.expect("TLS");
    let ask = b"GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n";
    plain.write_all(ask).await.expect("written");
    let mut status = [0; 12];
    plain.read_exact(&mut status).await.expect("an answer");
    assert_eq!(&status, b"HTTP/1.1 200");
    // The library's own, on HTTP/2, and this one.
    connections_become(&server, 2).await;
    elapse(HEAD + SECOND).await;
    connections_become(&server, 0).await;
    is_served(&server).await;
}

#[tokio::test]
async fn who_stands_at_the_door_does_not_keep_the_server_from_stopping() {
    let mut server = start().await;
    let to = server.ready.addresses[0];
    let silent = TcpStream::connect(to).await.expect("connected");
    let headless = tls(to, "localhost", &server.ready.ca, Some("h2")).await.expect("connected");
    is_served(&server).await;
    let began = tokio::time::Instant::now();
    server.stop().await;
    assert!(began.elapsed() < 4 * SECOND, "{:?}", began.elapsed());
    until_ended(silent).await;
    until_ended(headless).await;
}
