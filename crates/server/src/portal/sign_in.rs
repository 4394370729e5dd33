//! Who are you? A password and a second factor, a passkey, or another provider's word; and the way out.

use std::collections::BTreeSet;

use hourgate_api::paths::{Page, Route};
use hourgate_core::event::Note;
use hourgate_store::{CredentialKind, Store};
use hyper::StatusCode;
use maud::{Markup, html};
use uuid::Uuid;

use super::{
    attempt::Attempt,
    cookie::{self, ATTEMPT_COOKIE, SESSION_COOKIE},
    layout::{alert, input, passkey, shown},
    next::Next,
    visit::{Reply, Visit},
};
use crate::{
    mint,
    signin::{
        Method, SignedIn,
        local::{
            passkey::{PasskeyFault, challenge::Purpose},
            prove::{Outcome, PasswordRight, SecondFactor},
        },
    },
};

/// What everybody is told whose name or password is wrong.
const WRONG: &str = "The name or the password is wrong.";
/// What everybody is told whose second factor is.
const WRONG_SECOND: &str = "That does not fit. Codes are good once, and for half a minute.";
/// What everybody is told whose passkey is.
const WRONG_PASSKEY: &str = "That passkey does not sign in here.";

/// The form.
pub(super) fn ask<S: Store>(visit: &Visit<'_, S>) -> Reply {
    let next = visit.next();
    // Who is signed in may be asked once more, before something that somebody at their desk must not do.
    if visit.session.is_some() && visit.field("again").is_empty() {
        return visit.to(&next);
    }
    visit.page("Sign in", form(visit, &next, None))
}

fn form<S: Store>(visit: &Visit<'_, S>, next: &Next, wrong: Option<&str>) -> Markup {
    let providers: Vec<_> = visit.server.providers.names().collect();
    let again = if visit.field("again").is_empty() { "" } else { "&again=1" };
    let action = Route::Page(Page::SignIn);
    let options = visit.server.accounts.passkey_options(Purpose::SignIn, visit.now);
    html! {
        @if let Some(wrong) = wrong { (alert(wrong)) }
        form method="post" action=(action) {
            (visit.form_token())
            input type="hidden" name="next" value=(next.as_str());
            (input("Name", "login", "text", "username", true))
            (input("Password", "password", "password", "current-password", false))
            button { "Sign in" }
        }
        @if let Ok(Some(options)) = options {
            (passkey(&action, &options, None, html! {
                (visit.form_token())
                input type="hidden" name="next" value=(next.as_str());
                button.quiet { "Sign in with a passkey" }
            }))
        }
        @if !providers.is_empty() {
            div.or {
                @for offered in &providers {
                    @let route = Route::Page(Page::With(offered.name.to_owned()));
                    a.button.quiet href={ (route) "?next=" (encoded(next)) (again) } {
                        "Sign in with " (shown(offered.title))
                    }
                }
            }
        }
    }
}

fn encoded(next: &Next) -> String {
    form_urlencoded::byte_serialize(next.as_str().as_bytes()).collect()
}

/// Looks at a name and a password, or at a passkey alone.
pub(super) async fn password<S: Store>(visit: &Visit<'_, S>) -> Reply {
    let next = visit.next();
    let answer = visit.field("answer");
    if !answer.is_empty() {
        return passkey_alone(visit, answer, &next).await;
    }
    let (login, password) = (visit.field("login"), visit.field("password"));
    let accounts = &visit.server.accounts;
    match accounts.password(visit.occasion(), login, password).await {
        Outcome::Right(PasswordRight { object, .. }) if !visit.is_let_in(object) => {
            wrong(visit, Some(object), &next).await
        }
        Outcome::Right(PasswordRight { object, second }) if second.is_empty() => {
            let_in(visit, object, [Method::Pwd], &next).await
        }
        Outcome::Right(PasswordRight { object, .. }) => {
            let Ok(cookie) = mint::secret() else { return visit.busy() };
            let attempt = Attempt { object, next, at: visit.now.wall };
            visit.server.portal.attempts().begin(&cookie, attempt);
            Reply::To {
                place: Route::Page(Page::SecondFactor).to_string(),
                cookies: vec![cookie::set(ATTEMPT_COOKIE, &cookie)],
            }
        }
        Outcome::Wrong(object) => wrong(visit, object, &next).await,
        Outcome::Wait(wait) => visit.too_often(wait),
        Outcome::Busy => visit.busy(),
    }
}

async fn wrong<S: Store>(visit: &Visit<'_, S>, object: Option<Uuid>, next: &Next) -> Reply {
    visit.failed(object, CredentialKind::Password.as_str()).await;
    visit.problem(StatusCode::UNAUTHORIZED, "Sign in", form(visit, next, Some(WRONG)))
}

async fn passkey_alone<S: Store>(visit: &Visit<'_, S>, answer: &str, next: &Next) -> Reply {
    let accounts = &visit.server.accounts;
    match accounts.passkey(visit.occasion(), Purpose::SignIn, answer.as_bytes()).await {
        Ok(object) if visit.is_let_in(object) => {
            let_in(visit, object, [Method::Hwk, Method::Mfa], next).await
        }
        Ok(object) => wrong_passkey(visit, Some(object), next).await,
        Err(fault) => {
            visit.maybe_copied(fault).await;
            wrong_passkey(visit, None, next).await
        }
    }
}

async fn wrong_passkey<S: Store>(visit: &Visit<'_, S>, object: Option<Uuid>, next: &Next) -> Reply {
    visit.failed(object, CredentialKind::Passkey.as_str()).await;
    visit.problem(StatusCode::UNAUTHORIZED, "Sign in", form(visit, next, Some(WRONG_PASSKEY)))
}

/// A session begins for the owner of an account.
pub(super) async fn let_in<S: Store>(
    visit: &Visit<'_, S>,
    object: Uuid,
    methods: impl IntoIterator<Item = Method>,
    next: &Next,
) -> Reply {
    // Removed meanwhile.
    let Some(account) = visit.server.accounts.get(object) else { return visit.to_sign_in() };
    let methods: BTreeSet<Method> = methods.into_iter().collect();
    let (name, upn) = (account.display, Some(account.name.to_string()));
    let who = SignedIn { object, name, upn, at: visit.now.wall, methods };
    visit.signed_in(who, next).await
}

/// The form of the second factor.
pub(super) fn ask_second<S: Store>(visit: &Visit<'_, S>) -> Reply {
    match attempt(visit) {
        Some((_, attempt)) => visit.page("One more step", second_form(visit, &attempt, None)),
        None => visit.to_sign_in(),
    }
}

fn second_form<S: Store>(visit: &Visit<'_, S>, attempt: &Attempt, wrong: Option<&str>) -> Markup {
    let accounts = &visit.server.accounts;
    let has = accounts.second_factors(attempt.object);
    let options = accounts.passkey_options(Purpose::Prove(attempt.object), visit.now);
    let action = Route::Page(Page::SecondFactor);
    html! {
        @if let Some(account) = accounts.get(attempt.object) {
            p.hint { "Signing in as " (shown(account.name.as_str())) }
        }
        @if let Some(wrong) = wrong { (alert(wrong)) }
        @if has.contains(&SecondFactor::Passkey) {
            @if let Ok(Some(options)) = options {
                (passkey(&action, &options, None, html! {
                    (visit.form_token())
                    button { "Use a passkey" }
                }))
            }
        }
        @if has.contains(&SecondFactor::Totp) {
            form method="post" action=(action) {
                (visit.form_token())
                label for="code" { "Code of your authenticator app" }
                input.code #code name="code" type="text" inputmode="numeric" required
                    autocomplete="one-time-code" autofocus maxlength="10";
                button { "Go on" }
            }
        }
        @if has.contains(&SecondFactor::RecoveryCode) {
            details {
                summary { "I cannot use it now" }
                form method="post" action=(action) {
                    (visit.form_token())
                    (input("Recovery code", "recovery", "text", "off", false))
                    button.quiet { "Use a recovery code" }
                }
            }
        }
    }
}

/// Looks at the second factor.
pub(super) async fn second<S: Store>(visit: &Visit<'_, S>) -> Reply {
    let Some((cookie, attempt)) = attempt(visit) else { return visit.to_sign_in() };
    let (accounts, object) = (&visit.server.accounts, attempt.object);
    let (recovery, answer) = (visit.field("recovery"), visit.field("answer"));
    let (outcome, kind, method) = if !answer.is_empty() {
        let purpose = Purpose::Prove(object);
        let used = accounts.passkey(visit.occasion(), purpose, answer.as_bytes()).await;
        let outcome = match used {
            Ok(_) => Outcome::Right(()),
            Err(fault) => {
                visit.maybe_copied(fault).await;
                Outcome::Wrong(Some(object))
            }
        };
        (outcome, CredentialKind::Passkey, Method::Hwk)
    } else if !recovery.is_empty() {
        let outcome = match accounts.recovery_code(visit.occasion(), object, recovery).await {
            Outcome::Right(_) => Outcome::Right(()),
            Outcome::Wrong(object) => Outcome::Wrong(object),
            Outcome::Wait(wait) => Outcome::Wait(wait),
            Outcome::Busy => Outcome::Busy,
        };
        (outcome, CredentialKind::RecoveryCode, Method::Otp)
    } else {
        let outcome = accounts.totp(visit.occasion(), object, visit.field("code")).await;
        (outcome, CredentialKind::Totp, Method::Otp)
    };
    match outcome {
        Outcome::Right(()) if visit.is_let_in(object) => {
            visit.server.portal.attempts().end(&cookie);
            let_in(visit, object, [Method::Pwd, method, Method::Mfa], &attempt.next).await
        }
        Outcome::Right(()) | Outcome::Wrong(_) => {
            visit.failed(Some(object), kind.as_str()).await;
            let body = second_form(visit, &attempt, Some(WRONG_SECOND));
            visit.problem(StatusCode::UNAUTHORIZED, "One more step", body)
        }
        Outcome::Wait(wait) => visit.too_often(wait),
        Outcome::Busy => visit.busy(),
    }
}

fn attempt<S: Store>(visit: &Visit<'_, S>) -> Option<(String, Attempt)> {
    let cookie = visit.attempt_cookie()?;
    let attempt = visit.server.portal.attempts().get(cookie, visit.now.wall)?;
    Some((cookie.to_owned(), attempt))
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

    /// Whether somebody may have a session: the directory knows them, and they are not disabled. They are told
    /// no more than whoever has a wrong password.
    fn is_let_in(&self, object: Uuid) -> bool {
        let known = self.server.store.directory();
        known.principal(object).is_some_and(|who| !who.disabled)
    }

    /// A passkey of which there may be a copy is worth an alarm.
    async fn maybe_copied(&self, fault: PasskeyFault) {
        tracing::info!(%fault, "a passkey was not taken");
        if fault == PasskeyFault::Copied {
            let what = "a passkey was used of which there may be a copy: it counted backwards";
            tracing::error!(what);
            self.server.note(self.origin(None), Note::Alarm { what: what.to_owned() }).await;
        }
    }
}
