//! More callers at once than the server takes on: 429 and when to come back, and closing goes on.

use std::{
    convert::Infallible,
    net::IpAddr,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use hyper::body::{Body, Frame};
use reqwest::{Method, RequestBuilder};
use rustix::process::{Resource, getrlimit, setrlimit};
use serde_json::Value;
use tokio::{
    net::{TcpSocket, TcpStream},
    task::JoinSet,
};

use crate::{
    harness::{
        Running, SOON, Wanted, client, client_at, fresh_dir, start, start_in, status_of_first_port,
    },
    raw::{elapse, is_held, until_ended},
};

/// How many requests are worked on at once, and how many sign-ins.
const REQUESTS_MAX: usize = 512;
const SIGN_INS_MAX: usize = 128;
/// How many of those one address may have under way.
const SIGN_INS_PER_ADDRESS_MAX: usize = 16;
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

/// So many more calls of which nothing more comes, from one address; they end with what they are answered.
fn crowd(
    crowd: &mut JoinSet<u16>,
    server: &Running,
    count: usize,
    path: &str,
    from: IpAddr,
    dress: impl Fn(RequestBuilder) -> RequestBuilder,
) {
    let mut left = count;
    while left > 0 {
        let client = client_at(&server.ready.ca, from);
        for _ in 0..left.min(PER_CLIENT) {
            let body = reqwest::Body::wrap(Endless(Some(Bytes::from_static(b"{"))));
            let call = dress(client.post(server.url(path)).body(body));
            crowd.spawn(async move { call.send().await.expect("an answer").status().as_u16() });
        }
        left = left.saturating_sub(PER_CLIENT);
    }
}

/// One of many addresses of this machine.
fn at(last: u8) -> IpAddr {
    IpAddr::from([127, 0, 0, last])
}

fn sign_in_path(server: &Running) -> String {
    format!("/{}/oauth2/v2.0/token", server.admin.tenant_id)
}

/// Signs in with the right secret, dressed as whoever comes.
async fn sign_in(
    server: &Running,
    from: IpAddr,
    dress: impl Fn(RequestBuilder) -> RequestBuilder,
) -> u16 {
    let form = format!(
        "grant_type=client_credentials&client_id={}&client_secret={}",
        server.admin.client_id, server.admin.client_secret
    );
    let call = client_at(&server.ready.ca, from).post(server.url(&sign_in_path(server)));
    dress(call.body(form)).send().await.expect("an answer").status().as_u16()
}

/// Awaits that so many of a crowd are told to come back. Once all are who are too many, everybody has come
/// and every place is held.
async fn turned_away(all: &mut JoinSet<u16>, count: usize) {
    for _ in 0..count {
        assert_eq!(all.join_next().await.expect("one of them").expect("no panic"), 429);
    }
}

/// Awaits that those who hold a place, so many, are told that they took too long.
async fn given_up(mut all: JoinSet<u16>, count: usize) {
    assert_eq!(all.len(), count);
    elapse(Duration::from_secs(31)).await;
    while let Some(answered) = all.join_next().await {
        assert_eq!(answered.expect("no panic"), 400, "they took too long");
    }
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
    let mut all = JoinSet::new();
    let signed_in = |call: RequestBuilder| call.bearer_auth(&token);
    crowd(&mut all, &server, REQUESTS_MAX + 5, &initiate, at(1), signed_in);
    turned_away(&mut all, 5).await;
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

    given_up(all, REQUESTS_MAX).await;
    let (_, seen) = server.json(Method::GET, &request, None).await;
    assert_eq!(status_of_first_port(&seen), "Revoked");
}

#[tokio::test]
async fn strangers_who_sign_in_slowly_take_no_place_from_those_who_are_signed_in() {
    let server = start().await;
    let token = server.token().await;
    let path = sign_in_path(&server);
    let mut all = JoinSet::new();
    // One more address than it takes to hold every place.
    let addresses = SIGN_INS_MAX / SIGN_INS_PER_ADDRESS_MAX + 1;
    for last in (2..).take(addresses) {
        crowd(&mut all, &server, SIGN_INS_PER_ADDRESS_MAX, &path, at(last), |call| call);
    }
    turned_away(&mut all, SIGN_INS_PER_ADDRESS_MAX).await;
    let whoami = server.url("/whoami?api-version=2026-11-01");
    let answer = server.client.get(whoami).bearer_auth(token).send().await.expect("an answer");
    assert_eq!(answer.status(), 200);
    given_up(all, SIGN_INS_MAX).await;
    assert_eq!(server.token_call(&server.admin.client_secret).await.status(), 200);
}

#[tokio::test]
async fn one_address_that_signs_in_slowly_keeps_nobody_else_from_signing_in() {
    let server = start().await;
    let path = sign_in_path(&server);
    let mut all = JoinSet::new();
    crowd(&mut all, &server, SIGN_INS_MAX + 5, &path, at(2), |call| call);
    turned_away(&mut all, 5).await;
    assert_eq!(sign_in(&server, at(3), |call| call).await, 200, "there is room for others");
    turned_away(&mut all, SIGN_INS_MAX - SIGN_INS_PER_ADDRESS_MAX).await;
    given_up(all, SIGN_INS_PER_ADDRESS_MAX).await;
    assert_eq!(sign_in(&server, at(2), |call| call).await, 200, "their places are free again");
}

#[tokio::test]
async fn behind_a_trusted_proxy_each_client_has_a_share_of_their_own() {
    let wanted = Wanted::config("trusted_proxies = [\"127.0.0.2\"]");
    let server = start_in(fresh_dir(), wanted).await.expect("a server");
    let path = sign_in_path(&server);
    // Neighbours in one /64 are one party.
    let slow = |call: RequestBuilder| call.header("x-forwarded-for", "2001:db8::1");
    let neighbour = |call: RequestBuilder| call.header("x-forwarded-for", "2001:db8::2");
    let other = |call: RequestBuilder| call.header("x-forwarded-for", "2001:db8:0:1::1");
    let mut all = JoinSet::new();
    crowd(&mut all, &server, SIGN_INS_MAX + 5, &path, at(2), slow);
    turned_away(&mut all, 5).await;
    assert_eq!(sign_in(&server, at(2), other).await, 200, "another client of the same proxy");
    assert_eq!(sign_in(&server, at(2), neighbour).await, 429, "their share is held");
    // Whoever is no proxy is counted as who they are, whatever they say.
    assert_eq!(sign_in(&server, at(3), slow).await, 200);
    turned_away(&mut all, SIGN_INS_MAX - SIGN_INS_PER_ADDRESS_MAX).await;
    given_up(all, SIGN_INS_PER_ADDRESS_MAX).await;
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
