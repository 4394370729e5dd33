//! More callers at once than the server takes on: 429 and when to come back, and closing goes on.

use std::{
    convert::Infallible,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use hyper::body::{Body, Frame};
use reqwest::Method;
use rustix::process::{Resource, getrlimit, setrlimit};
use serde_json::Value;
use tokio::{
    net::{TcpSocket, TcpStream},
    task::JoinSet,
};

use crate::{
    harness::{Running, SOON, client, start, status_of_first_port},
    raw::{elapse, is_held, until_ended},
};

/// How many requests are worked on at once, and how many sign-ins.
const REQUESTS_MAX: usize = 512;
const SIGN_INS_MAX: usize = 128;
/// How many connections one address may hold.
const PER_ADDRESS_MAX: usize = 1_024;
/// How many of them one client has under way: fewer than a connection may.
const PER_CLIENT: usize = 80;

/// A body that begins and never goes on.
struct Endless(Option<Bytes>);

impl Body for Endless {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.0.take().map_or(Poll::Pending, |begin| Poll::Ready(Some(Ok(Frame::data(begin)))))
    }
}

/// So many calls of which nothing more comes; they end with what they are answered.
fn crowd(server: &Running, count: usize, path: &str, token: Option<&str>) -> JoinSet<u16> {
    let mut crowd = JoinSet::new();
    let mut left = count;
    while left > 0 {
        let client = client(&server.ready.ca, None);
        for _ in 0..left.min(PER_CLIENT) {
            let body = reqwest::Body::wrap(Endless(Some(Bytes::from_static(b"{"))));
            let mut call = client.post(server.url(path)).body(body);
            if let Some(token) = token {
                call = call.bearer_auth(token);
            }
            crowd.spawn(async move { call.send().await.expect("an answer").status().as_u16() });
        }
        left = left.saturating_sub(PER_CLIENT);
    }
    crowd
}

#[tokio::test]
async fn past_the_limit_one_is_told_when_to_come_back_and_closing_goes_on() {
    let server = start().await;
    let policy = server.protect().await;
    let id = server.ask().await;
    let request = server.request_path(&id);
    server.until(&request, |seen| status_of_first_port(seen) == "Initiated").await;
    let initiate = format!("{policy}/initiate?api-version=2020-01-01");
    let token = server.token().await;
    let mut all = crowd(&server, REQUESTS_MAX + 5, &initiate, Some(&token));
    // As many as are too many are told so; by then all places are taken.
    for _ in 0..5 {
        assert_eq!(all.join_next().await.expect("one of them").expect("no panic"), 429);
    }
    let answer = server.call(Method::GET, "/whoami?api-version=2026-11-01", None).await;
    assert_eq!(answer.status(), 429);
    let seconds = answer.headers()["retry-after"].to_str().expect("text").parse::<u64>();
    assert!(seconds.is_ok_and(|seconds| seconds > 0));
    let body: Value = answer.json().await.expect("JSON");
    assert_eq!(body["error"]["code"], "TooManyRequests");
    assert_eq!(server.call(Method::GET, "/healthz", None).await.status(), 200);
    assert_eq!(server.token_call(&server.admin.client_secret).await.status(), 200);
    let (status, _) = server.json(Method::POST, &request.replace('?', "/close?"), None).await;
    assert_eq!(status, 200);

    elapse(Duration::from_secs(31)).await;
    while let Some(answered) = all.join_next().await {
        assert_eq!(answered.expect("no panic"), 400, "they took too long");
    }
    let (_, seen) = server.json(Method::GET, &request, None).await;
    assert_eq!(status_of_first_port(&seen), "Revoked");
}

#[tokio::test]
async fn strangers_who_sign_in_slowly_take_no_place_from_those_who_are_signed_in() {
    let server = start().await;
    let token = server.token().await;
    let path = format!("/{}/oauth2/v2.0/token", server.admin.tenant_id);
    let mut all = crowd(&server, SIGN_INS_MAX + 5, &path, None);
    for _ in 0..5 {
        assert_eq!(all.join_next().await.expect("one of them").expect("no panic"), 429);
    }
    let whoami = server.url("/whoami?api-version=2026-11-01");
    let answer = server.client.get(whoami).bearer_auth(token).send().await.expect("an answer");
    assert_eq!(answer.status(), 200);
    elapse(Duration::from_secs(31)).await;
    while let Some(answered) = all.join_next().await {
        assert_eq!(answered.expect("no panic"), 400);
    }
    assert_eq!(server.token_call(&server.admin.client_secret).await.status(), 200);
}

#[tokio::test]
async fn one_address_alone_does_not_take_every_connection() {
    // Both ends of every connection are in this process.
    let mut files = getrlimit(Resource::Nofile);
    files.current = files.maximum;
    setrlimit(Resource::Nofile, files).expect("as many as may be");
    let server = start().await;
    let door = server.ready.addresses[0];
    let mut held = Vec::new();
    for _ in 0..PER_ADDRESS_MAX {
        held.push(TcpStream::connect(door).await.expect("connected"));
    }
    let one_more = TcpStream::connect(door).await.expect("the kernel takes it");
    assert_eq!(until_ended(one_more).await, "", "and the server does not");
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.bind("127.0.0.2:0".parse().expect("an address")).expect("another address");
    let mut other = socket.connect(door).await.expect("connected");
    assert!(is_held(&mut other).await, "it is another's turn to speak");
    assert!(is_held(&mut held[0]).await, "nobody lost what they held");
    drop(held);
    let whoami = "/whoami?api-version=2026-11-01";
    let again = async {
        let call = || server.client.get(server.url("/healthz")).send();
        while call().await.is_err() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(SOON, again).await.expect("there is room again");
    assert_eq!(server.call(Method::GET, whoami, None).await.status(), 200);
}

#[tokio::test]
async fn those_who_only_wait_for_a_change_take_no_place_from_those_who_work() {
    let server = start().await;
    server.protect().await;
    let guard = server.guard.clone().expect("a guard");
    guard.lag(true);
    let id = server.ask().await;
    let token = server.token().await;
    let path = server.url(&format!("{}&wait=50", server.request_path(&id)));
    let mut waiting = JoinSet::new();
    for _ in 0..=REQUESTS_MAX / PER_CLIENT {
        let client = client(&server.ready.ca, None);
        for _ in 0..PER_CLIENT {
            let call = client.get(&path).bearer_auth(&token);
            waiting.spawn(async move {
                let answer = call.send().await.expect("an answer");
                (answer.status().as_u16(), answer.json::<Value>().await.expect("JSON"))
            });
        }
    }
    // Every one of them is there once another one's answer comes.
    for _ in 0..REQUESTS_MAX {
        tokio::task::yield_now().await;
    }
    let (status, _) = server.json(Method::GET, &server.request_path(&id), None).await;
    assert_eq!(status, 200);
    assert!(waiting.try_join_next().is_none(), "they still wait, and nobody was turned away");
    guard.lag(false);
    while let Some(answered) = waiting.join_next().await {
        let (status, seen) = answered.expect("no panic");
        assert_eq!((status, status_of_first_port(&seen)), (200, "Initiated"));
    }
}
