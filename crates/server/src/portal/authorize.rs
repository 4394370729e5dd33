//! A client on somebody's machine wants to be signed in as them: it gets a code, bound to it by PKCE.

use std::time::Duration;

use hourgate_api::{
    paths::Route,
    token::{TokenError, issuer},
};
use hourgate_core::{event::Note, time::distance};
use hourgate_store::Store;
use hyper::StatusCode;
use maud::html;

use super::{
    layout::{alert, shown},
    next::Next,
    visit::{Reply, Shown, Visit},
};
use crate::{
    mint,
    signin::{Challenge, Client, Code, Redirect, resources},
};

/// Longest state and nonce that are given back.
const STATE_BYTES_MAX: usize = 1 << 10;
/// How long ago a sign-in may be that was asked for just now.
const SIGNED_IN_NOW: Duration = Duration::from_mins(1);
/// What the form carries on, as the client sent it.
const CARRIED: [&str; 10] = [
    "client_id",
    "redirect_uri",
    "response_type",
    "response_mode",
    "scope",
    "resource",
    "state",
    "nonce",
    "code_challenge",
    "code_challenge_method",
];

/// What a client asks for.
struct Ask {
    client: Client,
    redirect: Redirect,
    /// As it was sent.
    redirect_uri: String,
    state: String,
    wanted: Result<Wanted, Refused>,
}

/// What it wants, where that makes sense.
struct Wanted {
    challenge: Challenge,
    audience: String,
    nonce: Option<String>,
}

/// Why it gets no code: an error of RFC 6749, 4.1.2.1.
struct Refused {
    error: &'static str,
    description: String,
}

/// Asks whether the client is let in.
pub(super) fn ask<S: Store>(visit: &Visit<'_, S>, tenant: &str) -> Reply {
    let ask = match read(visit, tenant) {
        Ok(ask) => ask,
        Err(reply) => return reply,
    };
    if let Err(refused) = &ask.wanted {
        return turned_away(visit, &ask, refused);
    }
    let Some(session) = &visit.session else {
        if visit.field("prompt") == "none" {
            let description = "Nobody is signed in.".to_owned();
            return turned_away(visit, &ask, &Refused { error: "login_required", description });
        }
        let here = Route::Authorize(tenant.to_owned());
        return visit.sign_in_first(&Next::to(&here, visit.query.as_deref()));
    };
    // A client may want to know that somebody is there; how long ago is enough, it says.
    let ago = distance(session.who.at, visit.now.wall).as_secs();
    let too_long = visit.field("max_age").parse().is_ok_and(|most: u64| ago > most);
    if too_long || (visit.field("prompt") == "login" && ago > SIGNED_IN_NOW.as_secs()) {
        let here = Route::Authorize(tenant.to_owned());
        return visit.sign_in_again(&Next::to(&here, visit.query.as_deref()));
    }
    if visit.field("prompt") == "none" {
        // Any program of the machine can listen there: somebody says each time that it was them.
        let description = "Somebody must say yes.".to_owned();
        return turned_away(visit, &ask, &Refused { error: "interaction_required", description });
    }
    let body = html! {
        p { strong { (ask.client.name()) } " on this computer wants to be signed in as you." }
        dl {
            dt { "Signs in as" } dd { (shown(&session.who.name)) }
            dt { "Answers to" } dd { (ask.redirect.origin()) }
        }
        p { "Go on only if you started this yourself just now." }
        form method="post" action=(Route::Authorize(tenant.to_owned())) {
            (visit.form_token())
            @for name in CARRIED {
                @if !visit.field(name).is_empty() {
                    input type="hidden" name=(name) value=(visit.field(name));
                }
            }
            button name="decision" value="approve" { "Yes, sign it in" }
            button.stop name="decision" value="deny" { "No" }
        }
    };
    let shown = visit.shown(StatusCode::OK, "Is this you?", body);
    Reply::Page(Shown { leads_to: Some(ask.redirect.origin()), ..shown })
}

/// Gives the client its code, or not.
pub(super) async fn decide<S: Store>(visit: &Visit<'_, S>, tenant: &str) -> Reply {
    let ask = match read(visit, tenant) {
        Ok(ask) => ask,
        Err(reply) => return reply,
    };
    let wanted = match &ask.wanted {
        Ok(wanted) => wanted,
        Err(refused) => return turned_away(visit, &ask, refused),
    };
    let Some(session) = &visit.session else {
        return visit.sign_in_first(&Next::sessions());
    };
    if visit.field("decision") != "approve" {
        let description = "Somebody said no.".to_owned();
        return turned_away(visit, &ask, &Refused { error: "access_denied", description });
    }
    let Ok(secret) = mint::secret() else { return visit.busy() };
    let code = Code {
        client: ask.client,
        redirect: ask.redirect_uri.clone(),
        challenge: wanted.challenge,
        who: session.who.clone(),
        audience: wanted.audience.clone(),
        nonce: wanted.nonce.clone(),
    };
    if visit.server.sign_in.codes().issue(&secret, code, visit.now.wall).is_err() {
        return visit.busy();
    }
    let note = Note::SignedIn { client: ask.client.id().to_string() };
    visit.server.note(visit.origin(Some(&session.who)), note).await;
    back(visit, &ask, &[("code", &secret)])
}

/// Reads what the client asks. Where client or address are not right nothing is sent there: it may be
/// anybody's.
fn read<S: Store>(visit: &Visit<'_, S>, tenant: &str) -> Result<Ask, Reply> {
    let wrong = |what: &str| {
        let body = html! {
            (alert(what))
            p { "The program that sent you here is not set up right, or is not what it says." }
        };
        visit.problem(StatusCode::BAD_REQUEST, "That does not work", body)
    };
    if !visit.server.sign_in.is_tenant(tenant) {
        return Err(wrong("There is no such tenant."));
    }
    let client = Client::of(visit.field("client_id"));
    let client = client.ok_or_else(|| wrong("There is no such client."))?;
    let redirect_uri = visit.field("redirect_uri").to_owned();
    let redirect = client.redirect(&redirect_uri);
    let redirect = redirect.ok_or_else(|| {
        wrong("A code is sent to a program on your own computer alone, and that address is none.")
    })?;
    let state = visit.field("state");
    if state.len() > STATE_BYTES_MAX || visit.field("nonce").len() > STATE_BYTES_MAX {
        return Err(wrong("The state or nonce is too long."));
    }
    let state = state.to_owned();
    Ok(Ask { client, redirect, redirect_uri, state, wanted: wanted(visit) })
}

fn wanted<S: Store>(visit: &Visit<'_, S>) -> Result<Wanted, Refused> {
    let refused = |error, description: &str| Refused { error, description: description.to_owned() };
    if visit.field("response_type") != "code" {
        return Err(refused("unsupported_response_type", "The response type is 'code'."));
    }
    if !matches!(visit.field("response_mode"), "" | "query") {
        return Err(refused("invalid_request", "The response mode is 'query'."));
    }
    let (challenge, method) = (visit.field("code_challenge"), visit.field("code_challenge_method"));
    let challenge = Challenge::parse(challenge, method).ok_or_else(|| {
        refused("invalid_request", "A code_challenge of the method S256 is needed.")
    })?;
    let resource = Some(visit.field("resource").to_owned()).filter(|named| !named.is_empty());
    let named: Vec<String> = resources(visit.field("scope")).chain(resource).collect();
    let audience = visit.server.sign_in.audience(&named).map_err(|unknown| {
        let (tenant, base) = (visit.server.installation.tenant, &visit.server.base);
        let error = TokenError::unknown_resource(unknown, tenant, base);
        Refused { error: "invalid_resource", description: error.error_description }
    })?;
    let nonce = Some(visit.field("nonce").to_owned()).filter(|nonce| !nonce.is_empty());
    Ok(Wanted { challenge, audience, nonce })
}

fn turned_away<S: Store>(visit: &Visit<'_, S>, ask: &Ask, refused: &Refused) -> Reply {
    let told = [("error", refused.error), ("error_description", refused.description.as_str())];
    back(visit, ask, &told)
}

/// Back to the client, with its state and with who answers (RFC 9207).
fn back<S: Store>(visit: &Visit<'_, S>, ask: &Ask, told: &[(&str, &str)]) -> Reply {
    let issuer = issuer(&visit.server.base, visit.server.installation.tenant);
    let mut parameters = told.to_vec();
    if !ask.state.is_empty() {
        parameters.push(("state", &ask.state));
    }
    parameters.push(("iss", &issuer));
    Reply::To { place: ask.redirect.with(&parameters), cookies: Vec::new() }
}
