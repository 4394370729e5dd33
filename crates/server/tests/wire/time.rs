//! Time that goes on, and time that cannot be right: certificates renew themselves, and with a clock that
//! lies behind nothing opens.

use std::time::Duration;

use hourgate_core::event::Note;
use reqwest::Method;
use rustls::pki_types::CertificateDer;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use x509_parser::prelude::{FromDer, X509Certificate};

use crate::{
    harness::{Running, SOON, Wanted, fresh_dir, start_in, status_of_first_port},
    raw::{elapse, tls},
};

const DAY: i64 = 24 * 3600;
/// A little more than from one look at clock and certificate to the next.
const LOOK: Duration = Duration::from_secs(31);
const WHOAMI: &str = "/whoami?api-version=2026-11-01";

/// The certificate that a new connection is shown, and until when it holds (seconds since 1970).
async fn shown(server: &Running) -> (CertificateDer<'static>, i64) {
    let to = server.ready.addresses[0];
    let stream = tls(to, "localhost", &server.ready.ca, None).await.expect("it is vouched for");
    let (_, connection) = stream.get_ref();
    let leaf = connection.peer_certificates().expect("certificates")[0].clone().into_owned();
    let (_, parsed) = X509Certificate::from_der(&leaf).expect("a certificate");
    let until = parsed.validity().not_after.timestamp();
    (leaf, until)
}

#[tokio::test]
async fn the_certificate_renews_itself_under_those_who_are_connected() {
    // Clients hold certificates against the real time, so the server begins in the past.
    let wanted = Wanted::default();
    let clock = wanted.clock.clone();
    clock.set(-70 * DAY);
    let server = start_in(fresh_dir(), wanted).await.expect("a server");
    let (first, first_until) = shown(&server).await;
    assert_eq!(server.call(Method::GET, WHOAMI, None).await.status(), 200);
    let to = server.ready.addresses[0];
    let mut before = tls(to, "localhost", &server.ready.ca, None).await.expect("connected");

    // Two thirds of its life are not over yet.
    clock.set(58 * DAY);
    elapse(LOOK).await;
    assert_eq!(shown(&server).await.0, first, "58 of 90 days are over");
    clock.set(12 * DAY);
    elapse(LOOK).await;
    let renewed = async {
        loop {
            let (leaf, until) = shown(&server).await;
            if leaf != first {
                break until;
            }
        }
    };
    let until = tokio::time::timeout(SOON, renewed).await.expect("it is renewed");
    assert!((until - first_until - 70 * DAY).abs() < 120, "{first_until} {until}");

    // Who was connected goes on; who connects anew with the same authority is served as well.
    before.write_all(b"GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n").await.expect("written");
    let mut status = [0; 12];
    before.read_exact(&mut status).await.expect("an answer");
    assert_eq!(&status, b"HTTP/1.1 200");
    assert_eq!(server.token_call(&server.admin.client_secret).await.status(), 200);
}

async fn metrics(server: &Running) -> String {
    let url = format!("http://{}/metrics", server.ready.metrics.expect("metrics"));
    reqwest::get(url).await.expect("metrics").text().await.expect("text")
}

async fn metrics_say(server: &Running, line: &str) {
    let look = async { while !metrics(server).await.lines().any(|said| said == line) {} };
    let said = tokio::time::timeout(SOON, look).await;
    assert!(said.is_ok(), "never {line}");
}

fn alarms(server: &Running) -> Vec<String> {
    let notes = server.notes.lock().expect("no panic");
    let alarm =
        |note: &Note| if let Note::Alarm { what } = note { Some(what.clone()) } else { None };
    notes.iter().filter_map(alarm).collect()
}

#[tokio::test]
async fn a_clock_that_lies_behind_is_an_alarm_and_nothing_opens() {
    let config = "metrics_listen = \"127.0.0.1:0\"";
    let server = start_in(fresh_dir(), Wanted::config(config)).await.expect("a server");
    let policy = server.protect().await;
    let open = server.ask().await;
    let path = server.request_path(&open);
    server.until(&path, |seen| status_of_first_port(seen) == "Initiated").await;
    elapse(LOOK).await;
    metrics_say(&server, "hourgate_clock_behind 0").await;
    assert!(alarms(&server).is_empty());

    server.clock.set(-120);
    elapse(LOOK).await;
    metrics_say(&server, "hourgate_clock_behind 1").await;
    assert_eq!(alarms(&server).len(), 1, "{:?}", alarms(&server));
    assert!(alarms(&server)[0].contains("hourgate clock accept"), "{:?}", alarms(&server));
    let (_, ready) = server.json(Method::GET, "/readyz", None).await;
    assert_eq!(ready["clock"], "behind");
    let initiate = format!("{policy}/initiate?api-version=2020-01-01");
    let body = server.ask_body("web-1", 22);
    let (status, answer) = server.json(Method::POST, &initiate, Some(&body)).await;
    assert_eq!((status, &answer["error"]["code"]), (503, &json!("ClockBehind")), "{answer}");
    // Once is enough: what goes on is in the metric.
    elapse(LOOK).await;
    elapse(LOOK).await;
    metrics_say(&server, "hourgate_clock_behind 1").await;
    assert_eq!(alarms(&server).len(), 1);
    // What is open closes at its end, which the boot clock knows.
    server.clock.pass(Duration::from_hours(1));
    server.clock.set(-3600);
    server.until(&path, |seen| status_of_first_port(seen) == "Revoked").await;
    assert!(server.guard.as_ref().expect("a guard").openings().is_empty());

    // Right again: nobody has to accept anything.
    server.clock.set(120);
    elapse(LOOK).await;
    metrics_say(&server, "hourgate_clock_behind 0").await;
    server.ask().await;
}

#[tokio::test]
async fn a_server_that_starts_with_a_clock_behind_says_so_until_it_is_accepted() {
    let config = "metrics_listen = \"127.0.0.1:0\"";
    let server = start_in(fresh_dir(), Wanted::config(config)).await.expect("a server");
    server.protect().await;
    let clock = server.clock.clone();
    clock.set(-120);
    let server = server.restart(Wanted { clock, ..Wanted::config(config) }).await;
    metrics_say(&server, "hourgate_clock_behind 1").await;
    assert_eq!(alarms(&server).len(), 1);
    let accepted = hourgate_server::accept_clock(&server.dir.path().join("data")).await;
    let accepted = accepted.expect("an answer");
    assert!(matches!(accepted, hourgate_server::ClockAnswer::Accepted { .. }), "{accepted:?}");
    metrics_say(&server, "hourgate_clock_behind 0").await;
    server.ask().await;
}
