//! Pages: from a request to the portal, and the headers that every page has.

use std::{net::IpAddr, sync::Arc};

use bytes::Bytes;
use hourgate_api::{
    error::ArmError,
    paths::{Page, Route},
};
use hourgate_store::Store;
use hyper::{
    Method, StatusCode,
    body::Incoming,
    header::{self, HeaderValue},
    http::request::Parts,
};

use super::{
    dispatch::read,
    exchange::{Answer, Exchange, with},
};
use crate::{
    portal::{self, Reply, SCRIPT, STYLE, Sent, Shown, Visit},
    server::Server,
};

/// Largest form of a page; a passkey's answer has some 2 KiB. Whoever sends it is nobody yet.
const FORM_BYTES_MAX: usize = 64 << 10;

/// What a page may load, and where it may lead: nothing of others, and no script but ours.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; \
                      base-uri 'none'; frame-ancestors 'none'; form-action 'self'";

/// Answers a browser.
pub(super) async fn page<S: Store>(
    server: &Arc<Server<S>>,
    exchange: &Exchange,
    parts: &Parts,
    body: &mut Incoming,
    route: &Route,
    from: IpAddr,
) -> Result<Answer, ArmError> {
    if *route == Route::Page(Page::Style) {
        return Ok(asset(exchange, "text/css; charset=utf-8", STYLE));
    }
    if *route == Route::Page(Page::Script) {
        return Ok(asset(exchange, "text/javascript; charset=utf-8", SCRIPT));
    }
    let form = match parts.method {
        Method::POST => read(body, &parts.headers, FORM_BYTES_MAX).await?,
        _ => Bytes::new(),
    };
    let sent = Sent {
        method: &parts.method,
        query: parts.uri.query(),
        headers: &parts.headers,
        form: &form,
        target: exchange.target.clone(),
        correlation: exchange.correlation,
        from,
    };
    let reply = match Visit::of(server, sent).await {
        Ok(visit) => portal::visit(&visit, route).await,
        Err(error) => {
            tracing::error!(%error, "no page can be made");
            return Ok(exchange.empty(StatusCode::SERVICE_UNAVAILABLE));
        }
    };
    Ok(answer(exchange, reply))
}

fn answer(exchange: &Exchange, reply: Reply) -> Answer {
    match reply {
        Reply::To { place, cookies } => {
            let answer = guarded(exchange.empty(StatusCode::SEE_OTHER), POLICY);
            cookies.iter().fold(with(answer, "location", &place), |answer, c| cookie(answer, c))
        }
        Reply::Page(Shown { status, html, cookies, leads_to, retry_after }) => {
            let policy = match leads_to {
                Some(origin) => format!("{POLICY} {origin}"),
                None => POLICY.to_owned(),
            };
            let page = exchange.text(status, "text/html; charset=utf-8", html.into());
            let mut answer = guarded(page, &policy);
            if let Some(wait) = retry_after {
                answer = with(answer, "retry-after", &(wait.as_secs() + 1).to_string());
            }
            cookies.iter().fold(answer, |answer, c| cookie(answer, c))
        }
    }
}

/// What keeps a page out of frames, caches and other people's logs.
fn guarded(answer: Answer, policy: &str) -> Answer {
    let headers = [
        ("content-security-policy", policy),
        ("cache-control", "no-store"),
        ("referrer-policy", "no-referrer"),
        ("x-frame-options", "DENY"),
        ("cross-origin-opener-policy", "same-origin"),
        ("cross-origin-resource-policy", "same-origin"),
        ("permissions-policy", "camera=(), geolocation=(), microphone=()"),
    ];
    headers.into_iter().fold(answer, |answer, (name, value)| with(answer, name, value))
}

fn cookie(mut answer: Answer, cookie: &str) -> Answer {
    if let Ok(value) = HeaderValue::try_from(cookie) {
        answer.headers_mut().append(header::SET_COOKIE, value);
    }
    answer
}

fn asset(exchange: &Exchange, kind: &'static str, text: &'static str) -> Answer {
    let answer = exchange.text(StatusCode::OK, kind, Bytes::from_static(text.as_bytes()));
    let answer = with(answer, "cross-origin-resource-policy", "same-origin");
    with(answer, "cache-control", "no-cache")
}
