//! Where one request ends and the next begins: whoever stands in front must not see it otherwise.
//!
//! A proxy that goes by one of `Content-Length` and `Transfer-Encoding` while the server goes by the other
//! takes the end of one client's body for the head of another's request. Hyper hands on no `Content-Length`
//! beside `Transfer-Encoding` and ends the connection after the answer, as RFC 9112, 6.1 allows; these tests
//! notice a version that does otherwise.

use tokio::io::AsyncWriteExt;

use crate::{
    harness::{Running, start},
    raw::{tls, until_ended},
};

const NEXT: &str = "GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n";

/// What is answered to a request to sign in with those header lines and that body, and to one behind it,
/// until the connection is ended.
async fn said_to(server: &Running, version: &str, lines: &str, body: &str) -> String {
    let to = server.ready.addresses[0];
    let tenant = server.admin.tenant_id;
    let sent = format!(
        "POST /{tenant}/oauth2/v2.0/token {version}\r\nhost: localhost\r\n{lines}\r\n\r\n{body}{NEXT}"
    );
    let mut stream =
        tls(to, "localhost", &server.ready.ca, Some("http/1.1")).await.expect("connected");
    stream.write_all(sent.as_bytes()).await.expect("written");
    until_ended(stream).await
}

#[tokio::test]
async fn two_lengths_are_never_two_requests() {
    let server = start().await;
    // In chunks it is a form with an unknown grant type; by its length it ends before the first.
    let chunks = "10\r\ngrant_type=other\r\n0\r\n\r\n";
    for lines in [
        "content-length: 4\r\ntransfer-encoding: chunked",
        "transfer-encoding: chunked\r\ncontent-length: 4",
        "Transfer-Encoding: CHUNKED\r\nContent-Length: 0",
        "content-length: 4\r\ntransfer-encoding: chunked\r\nconnection: keep-alive",
    ] {
        let said = said_to(&server, "HTTP/1.1", lines, chunks).await;
        assert!(said.starts_with("HTTP/1.1 400 Bad Request"), "{lines}: {said}");
        assert!(said.contains("unsupported_grant_type"), "the chunks count: {lines}: {said}");
        assert!(said.contains("connection: close"), "{lines}: {said}");
        assert_eq!(said.matches("HTTP/1.1 ").count(), 1, "nothing behind it: {lines}: {said}");
    }
}

#[tokio::test]
async fn a_length_that_can_be_read_in_two_ways_is_refused() {
    let server = start().await;
    let chunks = "10\r\ngrant_type=other\r\n0\r\n\r\n";
    for (version, lines) in [
        ("HTTP/1.1", "content-length: 4\r\ncontent-length: 5"),
        ("HTTP/1.1", "content-length: 4, 5"),
        ("HTTP/1.1", "content-length: +4"),
        ("HTTP/1.1", "content-length: 4\r\ntransfer-encoding: identity"),
        ("HTTP/1.1", "transfer-encoding: chunked, identity"),
        ("HTTP/1.1", "transfer-encoding: xchunked"),
        ("HTTP/1.1", "transfer-encoding : chunked"),
        ("HTTP/1.0", "content-length: 4\r\ntransfer-encoding: chunked"),
    ] {
        let said = said_to(&server, version, lines, chunks).await;
        assert!(said.contains(" 400 Bad Request"), "{lines}: {said}");
        assert!(!said.contains("grant_type"), "it was not looked at: {lines}: {said}");
        assert_eq!(said.matches(" 400 ").count(), 1, "nothing behind it: {lines}: {said}");
        assert!(!said.contains("200 OK"), "{lines}: {said}");
    }
}
