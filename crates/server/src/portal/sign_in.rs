//! Who are you? A password, a second factor, or another provider's word; and the way out.

use std::collections::BTreeSet;

use hourgate_api::{
    paths::{Page, Route},
    text::quoted,
};
use hourgate_core::event::Note;
use hourgate_store::Store;
use hyper::StatusCode;
use maud::{Markup, html};

use super::{
    attempt::Attempt,
    cookie::{self, ATTEMPT_COOKIE, SESSION_COOKIE},
    layout::{alert, input, shown},
    next::Next,
    visit::{Reply, Visit},
};
use crate::{
    mint,
    signin::{Factors, Known, Method, Proof, Second, SignedIn},
};

/// What everybody is told whose name or password is wrong.
const WRONG: &str = "The name or the password is wrong.";
/// What everybody is told whose second factor is.
const WRONG_SECOND: &str = "That code does not fit. Codes are good once, and for half a minute.";

/// The form.
pub(super) fn ask<S: Store>(visit: &Visit<'_, S>) -> Reply {
    let next = visit.next();
    if visit.session.is_some() {
        return visit.to(&next);
    }
    visit.page("Sign in", form(visit, &next, None))
}

fn form<S: Store>(visit: &Visit<'_, S>, next: &Next, wrong: Option<&str>) -> Markup {
    let providers = visit.server.sign_in.provider_names();
    html! {
        @if let Some(wrong) = wrong { (alert(wrong)) }
        form method="post" action=(Route::Page(Page::SignIn)) {
            (visit.form_token())
            input type="hidden" name="next" value=(next.as_str());
            (input("Name", "login", "text", "username", true))
            (input("Password", "password", "password", "current-password", false))
            button { "Sign in" }
        }
        @if !providers.is_empty() {
            div.or {
                @for name in &providers {
                    @let route = Route::Page(Page::With(name.clone()));
                    a.button.quiet href={ (route) "?next=" (encoded(next)) } {
                        "Sign in with " (shown(name))
                    }
                }
            }
        }
    }
}

fn encoded(next: &Next) -> String {
    form_urlencoded::byte_serialize(next.as_str().as_bytes()).collect()
}

/// Looks at a name and a password.
pub(super) async fn password<S: Store>(visit: &Visit<'_, S>) -> Reply {
    let next = visit.next();
    let (login, password) = (visit.field("login"), visit.field("password"));
    let proofs = &visit.server.proofs;
    match proofs.password(login, password, visit.here()).await {
        Proof::Right(known) => {
            let factors = proofs.factors(known.object);
            if factors == Factors::default() {
                return visit.signed_in(signed_in(visit, known, [Method::Pwd]), &next).await;
            }
            let passkey = (factors.passkeys > 0)
                .then(|| proofs.ask_passkey(known.object, visit.here()))
                .flatten();
            let Ok(cookie) = mint::secret() else { return visit.busy() };
            let attempt = Attempt { known, next, passkey, at: visit.now.wall };
            visit.server.portal.attempts().begin(&cookie, attempt);
            Reply::To {
                place: Route::Page(Page::SecondFactor).to_string(),
                cookies: vec![cookie::set(ATTEMPT_COOKIE, &cookie)],
            }
        }
        Proof::Wrong => {
            visit.failed(quoted(login)).await;
            let body = form(visit, &next, Some(WRONG));
            visit.problem(StatusCode::UNAUTHORIZED, "Sign in", body)
        }
        Proof::TooOften(wait) => visit.too_often(wait),
        Proof::Busy => visit.busy(),
    }
}

fn signed_in<S: Store>(
    visit: &Visit<'_, S>,
    known: Known,
    methods: impl IntoIterator<Item = Method>,
) -> SignedIn {
    let Known { object, name, login } = known;
    let methods: BTreeSet<Method> = methods.into_iter().collect();
    SignedIn { object, name, upn: Some(login), at: visit.now.wall, methods }
}

/// The form of the second factor.
pub(super) fn ask_second<S: Store>(visit: &Visit<'_, S>) -> Reply {
    match attempt(visit) {
        Some((_, attempt)) => visit.page("One more step", second_form(visit, &attempt, None)),
        None => visit.to_sign_in(),
    }
}

fn second_form<S: Store>(visit: &Visit<'_, S>, attempt: &Attempt, wrong: Option<&str>) -> Markup {
    let factors = visit.server.proofs.factors(attempt.known.object);
    let action = Route::Page(Page::SecondFactor);
    html! {
        p.hint { "Signing in as " (shown(&attempt.known.login)) }
        @if let Some(wrong) = wrong { (alert(wrong)) }
        @if let Some(task) = &attempt.passkey {
            form method="post" action=(action) data-passkey=(task.options) hidden {
                (visit.form_token())
                input type="hidden" name="challenge" value=(task.challenge);
                input type="hidden" name="answer" value="";
                button { "Use a passkey" }
                p role="status" {}
            }
            noscript { p.hint { "Passkeys need a script, which this browser does not run." } }
        }
        @if factors.codes {
            form method="post" action=(action) {
                (visit.form_token())
                label for="code" { "Code of your authenticator app" }
                input.code #code name="code" type="text" inputmode="numeric" required
                    autocomplete="one-time-code" autofocus maxlength="10";
                button { "Go on" }
            }
        }
        @if factors.recovery > 0 {
            details {
                summary { "I cannot use it now" }
                form method="post" action=(action) {
                    (visit.form_token())
                    (input("Recovery code", "recovery", "text", "off", false))
                    button.quiet { "Use a recovery code" }
                }
            }
        }
        script src=(Route::Page(Page::Script)) defer {}
    }
}

/// Looks at the second factor.
pub(super) async fn second<S: Store>(visit: &Visit<'_, S>) -> Reply {
    let Some((cookie, attempt)) = attempt(visit) else { return visit.to_sign_in() };
    let (code, recovery, answer) =
        (visit.field("code"), visit.field("recovery"), visit.field("answer"));
    let second = if !answer.is_empty() {
        let challenge = visit.field("challenge").to_owned();
        Second::Passkey { challenge, answer: answer.to_owned() }
    } else if !recovery.is_empty() {
        Second::Recovery(recovery.to_owned())
    } else {
        Second::Code(code.to_owned())
    };
    let proofs = &visit.server.proofs;
    match proofs.second(attempt.known.object, second, visit.here()).await {
        Proof::Right(method) => {
            let who = signed_in(visit, attempt.known, [Method::Pwd, method, Method::Mfa]);
            visit.signed_in(who, &attempt.next).await
        }
        Proof::Wrong => {
            visit.failed(attempt.known.object.to_string()).await;
            // A passkey answers a challenge once.
            let passkey = attempt
                .passkey
                .is_some()
                .then(|| proofs.ask_passkey(attempt.known.object, visit.here()))
                .flatten();
            let attempt = Attempt { passkey, ..attempt };
            visit.server.portal.attempts().begin(&cookie, attempt.clone());
            let body = second_form(visit, &attempt, Some(WRONG_SECOND));
            visit.problem(StatusCode::UNAUTHORIZED, "One more step", body)
        }
        Proof::TooOften(wait) => visit.too_often(wait),
        Proof::Busy => visit.busy(),
    }
}

fn attempt<S: Store>(visit: &Visit<'_, S>) -> Option<(String, Attempt)> {
    let cookie = visit.attempt_cookie()?;
    let attempt = visit.server.portal.attempts().get(cookie, visit.now.wall)?;
    Some((cookie.to_owned(), attempt))
}

/// To another provider.
pub(super) async fn with<S: Store>(visit: &Visit<'_, S>, _name: &str) -> Reply {
    visit.nothing_here()
}

/// Back from one.
pub(super) async fn callback<S: Store>(visit: &Visit<'_, S>) -> Reply {
    visit.nothing_here()
}

/// Asks whether somebody means to leave: a link alone signs nobody out.
pub(super) fn ask_out<S: Store>(visit: &Visit<'_, S>) -> Reply {
    if visit.session.is_none() {
        let body = html! {
            p { "Nobody is signed in here." }
            a.button.quiet href=(Route::Page(Page::SignIn)) { "Sign in" }
        };
        return visit.page("Signed out", body);
    }
    let body = html! {
        p { "Commands and other browsers that you are signed in at stay so." }
        form method="post" action=(Route::Page(Page::SignOut)) {
            (visit.form_token())
            button { "Sign out here" }
        }
    };
    visit.page("Sign out", body)
}

/// Ends the session of this browser.
pub(super) async fn out<S: Store>(visit: &Visit<'_, S>) -> Reply {
    let server = visit.server;
    if let Some((session, change)) =
        visit.session.as_ref().and_then(|session| server.sign_in.sessions.end(session.id))
    {
        let (object, id) = (session.who.object, session.id.to_string());
        let note = Note::SessionEnded { object, session: id };
        server.keep(visit.origin(Some(&session.who)), vec![change], note).await;
    }
    let place = Route::Page(Page::SignOut).to_string();
    Reply::To { place, cookies: vec![cookie::clear(SESSION_COOKIE)] }
}

impl<S: Store> Visit<'_, S> {
    /// The sign-in page, from the beginning.
    fn to_sign_in(&self) -> Reply {
        Reply::To { place: Route::Page(Page::SignIn).to_string(), cookies: Vec::new() }
    }
}
