//! What is served without a token: whether the server is up, and how to sign in.

use std::{net::IpAddr, sync::Arc};

use hourgate_api::{
    error::ArmError,
    metadata::Endpoints,
    text::quoted,
    token::{Discovery, TokenError, TokenErrorKind},
};
use hourgate_store::Store;
use hyper::{HeaderMap, StatusCode, body::Incoming, header::AUTHORIZATION};
use serde::Serialize;

use super::{
    dispatch::read,
    exchange::{Answer, Exchange},
    token::Caller,
};
use crate::{guards::Reached, server::Server, signin::ALGORITHM};

/// Largest form to sign in with; az's has less than 1 KiB, one with an assertion less than 16. Whoever
/// sends it is nobody yet.
const FORM_BYTES_MAX: usize = 64 << 10;

/// What a client does about its tokens.
#[derive(Clone, Copy)]
pub(super) enum Wanted {
    /// To have one.
    Token,
    /// To be shown a code.
    DeviceCode,
    /// To end a session.
    Revocation,
}

/// Has somebody signed in or out, if the tenant is ours.
pub(super) async fn sign_in<S: Store>(
    server: &Arc<Server<S>>,
    exchange: &Exchange,
    headers: &HeaderMap,
    body: &mut Incoming,
    (wanted, tenant): (Wanted, &str),
    from: IpAddr,
) -> Result<Answer, ArmError> {
    let basic = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok());
    let form = read(body, headers, FORM_BYTES_MAX).await?;
    if !server.sign_in.is_tenant(tenant) {
        return Ok(no_tenant(exchange, tenant));
    }
    let caller = Caller { server: &**server, exchange, from };
    Ok(match wanted {
        Wanted::Token => caller.token(&form, basic).await,
        Wanted::DeviceCode => caller.device(&form),
        Wanted::Revocation => caller.revoke(&form).await,
    })
}

/// A tenant's OpenID configuration.
pub(super) fn discovery<S>(server: &Server<S>, exchange: &Exchange, tenant: &str) -> Answer {
    if server.sign_in.is_tenant(tenant) {
        exchange.json(StatusCode::OK, &Discovery::new(&server.base, tenant, ALGORITHM))
    } else {
        no_tenant(exchange, tenant)
    }
}

/// The keys that sign a tenant's tokens.
pub(super) fn keys<S>(server: &Server<S>, exchange: &Exchange, tenant: &str) -> Answer {
    if server.sign_in.is_tenant(tenant) {
        exchange.json(StatusCode::OK, &server.sign_in.key_set())
    } else {
        no_tenant(exchange, tenant)
    }
}

/// Where everything is.
pub(super) fn endpoints<S>(server: &Server<S>, exchange: &Exchange) -> Answer {
    let endpoints = Endpoints::new(&server.base, server.installation.tenant);
    exchange.json(StatusCode::OK, &endpoints)
}

/// Up, and nothing more.
pub(super) fn health(exchange: &Exchange) -> Answer {
    exchange.json(StatusCode::OK, &Health { status: "up" })
}

#[derive(Serialize)]
struct Health {
    status: &'static str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Ready {
    status: &'static str,
    /// Whether the clock can be believed; while not, nothing opens.
    clock: &'static str,
    guards: Vec<GuardReady>,
}

#[derive(Serialize)]
struct GuardReady {
    name: String,
    state: &'static str,
}

/// Ready to be asked, also without a guard: then it says so, and opens nothing.
pub(super) fn ready<S: Store>(server: &Server<S>, exchange: &Exchange) -> Answer {
    let guards = server.gate.view().guards();
    let guards: Vec<GuardReady> = guards
        .into_iter()
        .map(|status| GuardReady {
            name: status.cover.name,
            state: match status.reached {
                Reached::Yes { .. } => "reached",
                Reached::No { .. } => "unreached",
            },
        })
        .collect();
    let clock = if server.metrics.clock_behind.get() == 0 { "ok" } else { "behind" };
    exchange.json(StatusCode::OK, &Ready { status: "ready", clock, guards })
}

fn no_tenant(exchange: &Exchange, tenant: &str) -> Answer {
    let error_description =
        format!("Tenant {} not found. Check that you have the correct tenant id.", quoted(tenant));
    let error = TokenError { error: TokenErrorKind::InvalidRequest, error_description };
    exchange.json(StatusCode::BAD_REQUEST, &error)
}
