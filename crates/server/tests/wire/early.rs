//! Refusals before a request has ended: whoever still sends hears them all the same.
//!
//! In HTTP/2 a stream that is answered before its end is reset, and curl, for one, throws the answer away
//! then. The client here is as strict.

use std::time::Duration;

use hyper::{Method, Request};
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;

use crate::{
    harness::{Running, SOON, start},
    raw::{elapse, is_held, tls, until_ended},
};

/// How long a body that nobody needs is waited for.
const UNREAD: Duration = Duration::from_secs(5);

/// What is answered over HTTP/2 to a client that sends its body after its head, as they all do; or why it
/// never got the answer.
async fn heard(
    server: &Running,
    (method, path, token): (Method, &str, &str),
    body: &[u8],
) -> Result<(u16, Value), h2::Error> {
    let to = server.ready.addresses[0];
    let stream = tls(to, "localhost", &server.ready.ca, Some("h2")).await.expect("connected");
    let (client, connection) = h2::client::handshake(stream).await?;
    tokio::spawn(connection);
    let mut client = client.ready().await?;
    let request = Request::builder()
        .method(method)
        .uri(server.url(path))
        .header("authorization", format!("Bearer {token}"))
        .header("content-length", body.len())
        .body(())
        .expect("a request");
    let (answer, mut sending) = client.send_request(request, false)?;
    tokio::time::sleep(Duration::from_millis(20)).await;
    let mut left = body;
    while !left.is_empty() {
        sending.reserve_capacity(left.len());
        let taken = std::future::poll_fn(|context| sending.poll_capacity(context)).await;
        // None where the stream was reset.
        let Some(room) = taken.transpose()? else { break };
        let (now, later) = left.split_at(room.min(left.len()));
        sending.send_data(now.to_vec().into(), later.is_empty())?;
        left = later;
    }
    let (head, mut body) = answer.await?.into_parts();
    let mut said = Vec::new();
    while let Some(part) = body.data().await {
        let part = part?;
        body.flow_control().release_capacity(part.len())?;
        said.extend_from_slice(&part);
    }
    Ok((head.status.as_u16(), serde_json::from_slice(&said).expect("JSON")))
}

#[tokio::test]
async fn a_refusal_before_the_body_was_read_reaches_who_sends_it() {
    let server = start().await;
    let policy = server.protect().await;
    let token = server.token().await;
    let initiate = format!("{policy}/initiate");
    let versioned = format!("{initiate}?api-version=2020-01-01");
    let hidden = format!("{}?api-version=2026-04-01", server.vm_id("rg1", "x%1b%5b31m"));
    let sign_in = format!("/{}/oauth2/v2.0/token", server.admin.tenant_id);
    let (small, large) = (b"{}".to_vec(), vec![b' '; 5 << 20]);
    for (method, path, token, body, status, code) in [
        (Method::PUT, "/nope", &*token, &small, 404, "InvalidResourceType"),
        (Method::PUT, "/nope", "wrong", &small, 401, "InvalidAuthenticationToken"),
        (Method::POST, &policy, &token, &small, 405, "MethodNotAllowed"),
        (Method::POST, &initiate, &token, &small, 400, "MissingApiVersionParameter"),
        (Method::POST, &versioned, "wrong", &small, 401, "InvalidAuthenticationToken"),
        (Method::PUT, &hidden, &token, &small, 400, "InvalidParameter"),
        (Method::POST, "/healthz", &token, &small, 405, "MethodNotAllowed"),
        (Method::POST, &versioned, &token, &large, 413, "RequestContentTooLarge"),
        (Method::POST, &sign_in, "", &large, 413, "RequestContentTooLarge"),
    ] {
        let heard = heard(&server, (method.clone(), path, token), body);
        let heard = tokio::time::timeout(SOON, heard).await.expect("an end");
        let (found, error) = heard.unwrap_or_else(|cut| panic!("{method} {path}: {cut}"));
        assert_eq!((found, &error["error"]["code"]), (status, &json!(code)), "{method} {path}");
    }
}

#[tokio::test]
async fn who_does_not_send_what_nobody_needs_is_refused_in_time() {
    let server = start().await;
    let to = server.ready.addresses[0];
    let head = "PUT /nope HTTP/1.1\r\nhost: localhost\r\ncontent-length: 9\r\n\r\nhalf";
    let mut slow = tls(to, "localhost", &server.ready.ca, None).await.expect("connected");
    slow.write_all(head.as_bytes()).await.expect("written");
    assert!(is_held(&mut slow).await, "not before its time");
    elapse(UNREAD + Duration::from_secs(1)).await;
    assert!(until_ended(slow).await.starts_with("HTTP/1.1 401 Unauthorized"));
    // Who waits to be told to send is told not to.
    let head = "PUT /nope HTTP/1.1\r\nhost: localhost\r\ncontent-length: 9\r\n\
                expect: 100-continue\r\n\r\n";
    let mut asks = tls(to, "localhost", &server.ready.ca, None).await.expect("connected");
    asks.write_all(head.as_bytes()).await.expect("written");
    assert!(until_ended(asks).await.starts_with("HTTP/1.1 401 Unauthorized"));
}
