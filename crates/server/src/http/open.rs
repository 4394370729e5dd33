//! What is served without a token: whether the server is up, and how to sign in.

use std::{net::IpAddr, sync::Arc};

use hourgate_api::{
    error::ArmError,
    metadata::Endpoints,
    text::quoted,
    token::{Discovery, TokenAnswer, TokenError, TokenErrorKind},
};
use hourgate_core::event::Note;
use hourgate_store::{Origin, Principal, Store};
use hyper::{HeaderMap, StatusCode, body::Incoming, header::AUTHORIZATION};
use serde::Serialize;

use super::{
    dispatch::read,
    exchange::{Answer, Exchange, with},
};
use crate::{
    admin::person,
    guards::Reached,
    server::Server,
    signin::{ALGORITHM, Attempt, TOKEN_LIFE, credentials},
};

/// Largest form to sign in with; az's has less than 1 KiB, one with an assertion less than 16. Whoever
/// sends it is nobody yet.
const FORM_BYTES_MAX: usize = 64 << 10;

/// Signs somebody in, if the tenant is ours.
pub(super) async fn sign_in<S: Store>(
    server: &Arc<Server<S>>,
    exchange: &Exchange,
    headers: &HeaderMap,
    body: &mut Incoming,
    tenant: &str,
    from: IpAddr,
) -> Result<Answer, ArmError> {
    let basic = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok());
    let form = read(body, headers, FORM_BYTES_MAX).await?;
    if !server.sign_in.is_tenant(tenant) {
        return Ok(no_tenant(exchange, tenant));
    }
    Ok(token(server, exchange, &form, basic, from).await)
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

/// Signs somebody in with their client's secret.
async fn token<S: Store>(
    server: &Server<S>,
    exchange: &Exchange,
    form: &[u8],
    basic: Option<&str>,
    from: IpAddr,
) -> Answer {
    let sent = match credentials(form, basic) {
        Ok(sent) => sent,
        Err(error) => return exchange.json(StatusCode::BAD_REQUEST, &error),
    };
    let audience = match server.sign_in.audience(&sent.resources) {
        Ok(audience) => audience,
        Err(unknown) => {
            let tenant = server.installation.tenant;
            let error = TokenError::unknown_resource(unknown, tenant, &server.base);
            return exchange.json(StatusCode::BAD_REQUEST, &error);
        }
    };
    let now = server.now();
    let client = quoted(&sent.client);
    match server.sign_in.attempt(&sent, from, now) {
        Attempt::Right(principal) => {
            let client = principal.client.to_string();
            let origin = origin(exchange, from, Some(&principal));
            // A sign-in goes on when it cannot be recorded: somebody must be able to close a port then.
            server.note(origin, Note::SignedIn { client }).await;
            match server.sign_in.token(&principal, &server.base, audience, now) {
                Ok(token) => {
                    let answer = TokenAnswer::bearer(token, TOKEN_LIFE.as_secs() - 1);
                    exchange.json(StatusCode::OK, &answer)
                }
                Err(error) => {
                    tracing::error!(request = %exchange.request_id, %error, "no token");
                    let error = TokenError::new(TokenErrorKind::TemporarilyUnavailable);
                    exchange.json(StatusCode::SERVICE_UNAVAILABLE, &error)
                }
            }
        }
        Attempt::Wrong => {
            server.metrics.sign_in_failures.inc();
            let (recorded, before) = server.failed_sign_ins.count(now.boot.nanos);
            if before > 0 {
                let note = Note::MoreRefused { count: before };
                server.note(origin(exchange, from, None), note).await;
            }
            if recorded {
                let note = Note::SignInFailed { client };
                server.note(origin(exchange, from, None), note).await;
            }
            let error = TokenError::new(TokenErrorKind::InvalidClient);
            exchange.json(StatusCode::UNAUTHORIZED, &error)
        }
        Attempt::TooOften(wait) => {
            server.metrics.sign_in_failures.inc();
            server.failed_sign_ins.pass_over();
            let error = TokenError::new(TokenErrorKind::TemporarilyUnavailable);
            let answer = exchange.json(StatusCode::TOO_MANY_REQUESTS, &error);
            with(answer, "retry-after", &(wait.as_secs() + 1).to_string())
        }
    }
}

fn origin(exchange: &Exchange, from: IpAddr, principal: Option<&Principal>) -> Origin {
    Origin {
        person: principal.map(person),
        address: Some(from),
        action: "Hourgate.Access/signIn/action".to_owned(),
        target: exchange.target.clone(),
        correlation: exchange.correlation,
    }
}
