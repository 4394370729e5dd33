//! Second factors of whoever is signed in: an authenticator app, passkeys, recovery codes.

use std::time::Duration;

use hourgate_api::paths::{Page, Route};
use hourgate_core::time::distance;
use hourgate_store::{CredentialKind, Store};
use hyper::StatusCode;
use maud::{Markup, html};
use uuid::Uuid;

use super::{
    layout::{alert, input, passkey, shown, time},
    next::Next,
    visit::{Reply, Visit},
};
use crate::signin::{
    Method, Session,
    local::{accounts::AccountFault, factors::Factors},
};

/// How long ago somebody may have shown who they are: whoever finds a browser open must not make it theirs.
const SHOWN_WITHIN: Duration = Duration::from_mins(15);

/// What there is, and what can be set up.
pub(super) fn show<S: Store>(visit: &Visit<'_, S>) -> Reply {
    match lately(visit) {
        Ok(session) => visit.page("Second factors", overview(visit, session, None)),
        Err(reply) => reply,
    }
}

/// The session, if its owner showed who they are a short while ago; else they do so first.
fn lately<'a, S: Store>(visit: &'a Visit<'_, S>) -> Result<&'a Session, Reply> {
    let here = Next::to(&Route::Page(Page::Factors), None);
    let session = visit.session.as_ref().ok_or_else(|| visit.sign_in_first(&here))?;
    // Whoever is in by the password alone must not take a factor away, or add one of their own: it is there against
    // them.
    let has_factor = has_factor(visit, session.who.object);
    let shown = !has_factor || session.who.methods.contains(&Method::Mfa);
    if !shown || distance(session.who.at, visit.now.wall) >= SHOWN_WITHIN {
        return Err(visit.sign_in_again(&here));
    }
    Ok(session)
}

fn has_factor<S: Store>(visit: &Visit<'_, S>, object: Uuid) -> bool {
    let Factors { totp, passkeys, .. } = visit.server.accounts.factors(object);
    totp.is_some() || !passkeys.is_empty()
}

fn overview<S: Store>(visit: &Visit<'_, S>, session: &Session, wrong: Option<&str>) -> Markup {
    let (accounts, object) = (&visit.server.accounts, session.who.object);
    if accounts.get(object).is_none() {
        return html! { p { "You sign in with another provider, which looks after your second factors." } };
    }
    let Factors { totp, passkeys, recovery_codes } = accounts.factors(object);
    let options = accounts.new_passkey_options(object, visit.now);
    let action = Route::Page(Page::Factors);
    html! {
        @if let Some(wrong) = wrong { (alert(wrong)) }
        @if totp.is_none() && passkeys.is_empty() {
            p { "With your password alone, whoever learns it is you. Set one of these up." }
        }
        h2 { "Authenticator app" }
        @match totp {
            Some(made) => {
                p { "Set up at " (time(made)) "." }
                (removal(visit, "totp", "", "Remove the app"))
            }
            None => { (button(visit, "app", "Set up an authenticator app")) }
        }
        h2 { "Passkeys" }
        @for one in &passkeys {
            p { strong { (shown(&one.name)) } span.hint { " made at " (time(one.made)) } }
            (removal(visit, "passkey", &one.id, "Remove this passkey"))
        }
        @match options {
            Ok(Some(options)) => {
                (passkey(&action, &options, Some("make"), html! {
                    (visit.form_token())
                    input type="hidden" name="do" value="passkey";
                    (input("What to call the new passkey", "label", "text", "off", false))
                    button.quiet { "Make a passkey" }
                }))
            }
            Ok(None) | Err(_) => {
                p.hint { "Passkeys need a server that is reached by a name, and not by an address." }
            }
        }
        @if totp.is_some() || !passkeys.is_empty() {
            h2 { "Recovery codes" }
            p { (recovery_codes) " are left. Each lets you in once, without the other factors." }
            (button(visit, "codes", "Make new ones"))
        }
        p.or { a href=(Route::Page(Page::Sessions)) { "Your sessions" } }
    }
}

fn button<S: Store>(visit: &Visit<'_, S>, what: &str, label: &str) -> Markup {
    html! {
        form method="post" action=(Route::Page(Page::Factors)) {
            (visit.form_token())
            button.quiet name="do" value=(what) { (label) }
        }
    }
}

fn removal<S: Store>(visit: &Visit<'_, S>, kind: &str, id: &str, label: &str) -> Markup {
    html! {
        form method="post" action=(Route::Page(Page::Factors)) {
            (visit.form_token())
            input type="hidden" name="kind" value=(kind);
            input type="hidden" name="id" value=(id);
            button.stop.small name="do" value="remove" { (label) }
        }
    }
}

/// Sets one up, or takes one away.
pub(super) async fn change<S: Store>(visit: &Visit<'_, S>) -> Reply {
    let session = match lately(visit) {
        Ok(session) => session,
        Err(reply) => return reply,
    };
    let (accounts, object) = (&visit.server.accounts, session.who.object);
    let had_factor = has_factor(visit, object);
    let done = match visit.field("do") {
        "app" => match accounts.propose_totp(object, visit.now) {
            Ok(proposal) => {
                let body = html! {
                    p { "Add this to your authenticator app, then type the code that it shows." }
                    p { a.button.quiet href=(proposal.uri) { "Open it in an app on this device" } }
                    p.hint { "Or type this secret there:" }
                    code.secret { (proposal.typed) }
                    (confirm(visit, &proposal.sealed, None))
                };
                return visit.page("Set up an authenticator app", body);
            }
            Err(why) => Err(why),
        },
        "confirm" => {
            let (sealed, code) = (visit.field("proposal"), visit.field("code"));
            match accounts.confirm_totp(visit.occasion(), object, sealed, code).await {
                Err(AccountFault::Code) => {
                    let why = AccountFault::Code.to_string();
                    let body = confirm(visit, sealed, Some(&why));
                    let title = "Set up an authenticator app";
                    return visit.problem(StatusCode::BAD_REQUEST, title, body);
                }
                other => other,
            }
        }
        "passkey" => {
            let (label, answer) = (visit.field("label"), visit.field("answer").as_bytes());
            accounts.add_passkey(visit.occasion(), object, label, answer).await
        }
        "codes" => return codes(visit, session).await,
        "remove" => {
            let kind = match visit.field("kind") {
                "totp" => CredentialKind::Totp,
                _ => CredentialKind::Passkey,
            };
            accounts.remove_factor(visit.occasion(), object, kind, visit.field("id")).await
        }
        _ => Ok(()),
    };
    if done.is_ok() && !had_factor && has_factor(visit, object) {
        // Whoever came in before with the password alone may be somebody else.
        visit.end_others(session).await;
    }
    match done {
        Ok(()) if needs_codes(visit, object) => codes(visit, session).await,
        Ok(()) => visit.to(&Next::to(&Route::Page(Page::Factors), None)),
        Err(AccountFault::Vault(_) | AccountFault::NoRandomness(_)) => visit.busy(),
        Err(why) => {
            let body = overview(visit, session, Some(&why.to_string()));
            visit.problem(StatusCode::BAD_REQUEST, "Second factors", body)
        }
    }
}

/// Whoever has a second factor and no way around it is locked out with the first phone that breaks.
fn needs_codes<S: Store>(visit: &Visit<'_, S>, object: Uuid) -> bool {
    let Factors { totp, passkeys, recovery_codes } = visit.server.accounts.factors(object);
    (totp.is_some() || !passkeys.is_empty()) && recovery_codes == 0
}

async fn codes<S: Store>(visit: &Visit<'_, S>, session: &Session) -> Reply {
    let made = visit.server.accounts.new_recovery_codes(visit.occasion(), session.who.object).await;
    let Ok(codes) = made else { return visit.busy() };
    let body = html! {
        p {
            "Each of these lets you in once, without your other factors. Print them or keep them in a safe place: "
            "they are shown this once, and those that you had before no longer hold."
        }
        code.secret { @for code in &codes { (code) br; } }
        a.button.quiet href=(Route::Page(Page::Factors)) { "I have kept them" }
    };
    visit.page("Recovery codes", body)
}

fn confirm<S: Store>(visit: &Visit<'_, S>, sealed: &str, wrong: Option<&str>) -> Markup {
    html! {
        @if let Some(wrong) = wrong { (alert(wrong)) }
        form method="post" action=(Route::Page(Page::Factors)) {
            (visit.form_token())
            input type="hidden" name="do" value="confirm";
            input type="hidden" name="proposal" value=(sealed);
            label for="code" { "Code that the app shows" }
            input.code #code name="code" type="text" inputmode="numeric" required
                autocomplete="one-time-code" maxlength="10";
            button { "Go on" }
        }
    }
}
