//! Second factors of whoever is signed in: an authenticator app, passkeys, recovery codes.

use hourgate_api::paths::{Page, Route};
use hourgate_store::Store;
use hyper::StatusCode;
use maud::{Markup, html};

use super::{
    layout::{alert, input},
    next::Next,
    visit::{Reply, Visit},
};
use crate::signin::{Factors, Known, Method, NotSet, Session};

/// What there is, and what can be set up.
pub(super) fn show<S: Store>(visit: &Visit<'_, S>) -> Reply {
    let Some(session) = &visit.session else {
        return visit.sign_in_first(&Next::to(&Route::Page(Page::Factors), None));
    };
    visit.page("Second factors", overview(visit, session, None))
}

fn overview<S: Store>(visit: &Visit<'_, S>, session: &Session, wrong: Option<&str>) -> Markup {
    let proofs = &visit.server.proofs;
    if session.who.methods.contains(&Method::Fed) {
        return html! { p { "You sign in with another provider, which looks after your second factors." } };
    }
    let Factors { codes, passkeys, recovery } = proofs.factors(session.who.object);
    let passkey = proofs.new_passkey(&known(session), visit.here()).ok();
    let action = Route::Page(Page::Factors);
    html! {
        @if let Some(wrong) = wrong { (alert(wrong)) }
        dl {
            dt { "Authenticator app" } dd { @if codes { "set up" } @else { "none" } }
            dt { "Passkeys" } dd { (passkeys) }
            dt { "Recovery codes left" } dd { (recovery) }
        }
        @if !codes && passkeys == 0 {
            p { "With your password alone somebody who learns it is you. Set one of them up." }
        }
        @if let Some(task) = passkey {
            form method="post" action=(action) data-passkey=(task.options) data-make="1" hidden {
                (visit.form_token())
                input type="hidden" name="do" value="passkey";
                input type="hidden" name="challenge" value=(task.challenge);
                input type="hidden" name="answer" value="";
                (input("What to call the passkey", "label", "text", "off", false))
                button { "Make a passkey" }
                p role="status" {}
            }
        }
        form method="post" action=(action) {
            (visit.form_token())
            input type="hidden" name="do" value="app";
            button.quiet { @if codes { "Set up another authenticator app" } @else { "Set up an authenticator app" } }
        }
        p.or { a href=(Route::Page(Page::Sessions)) { "Your sessions" } }
        script src=(Route::Page(Page::Script)) defer {}
    }
}

/// Sets one up.
pub(super) async fn change<S: Store>(visit: &Visit<'_, S>) -> Reply {
    let Some(session) = &visit.session else {
        return visit.sign_in_first(&Next::to(&Route::Page(Page::Factors), None));
    };
    let (proofs, object) = (&visit.server.proofs, session.who.object);
    let refused = |NotSet(why): NotSet| {
        let body = overview(visit, session, Some(&why));
        visit.problem(StatusCode::BAD_REQUEST, "Second factors", body)
    };
    match visit.field("do") {
        "app" => match proofs.new_app(&known(session), visit.here()).await {
            Ok(app) => {
                let body = html! {
                    p { "Add this to your authenticator app, then type the code that it shows." }
                    p { a.button.quiet href=(app.uri) { "Open it in an app on this device" } }
                    p.hint { "Or type this secret there:" }
                    code.secret { (app.secret) }
                    (confirm(visit, None))
                };
                visit.page("Set up an authenticator app", body)
            }
            Err(why) => refused(why),
        },
        "confirm" => match proofs.confirm_app(object, visit.field("code"), visit.here()).await {
            Ok(codes) => done(visit, &codes),
            Err(NotSet(why)) => {
                let body = confirm(visit, Some(&why));
                visit.problem(StatusCode::BAD_REQUEST, "Set up an authenticator app", body)
            }
        },
        "passkey" => {
            let made = (visit.field("challenge"), visit.field("answer"), visit.field("label"));
            match proofs.keep_passkey(object, made, visit.here()).await {
                Ok(codes) => done(visit, &codes),
                Err(why) => refused(why),
            }
        }
        _ => visit.to(&Next::to(&Route::Page(Page::Factors), None)),
    }
}

fn confirm<S: Store>(visit: &Visit<'_, S>, wrong: Option<&str>) -> Markup {
    html! {
        @if let Some(wrong) = wrong { (alert(wrong)) }
        form method="post" action=(Route::Page(Page::Factors)) {
            (visit.form_token())
            input type="hidden" name="do" value="confirm";
            label for="code" { "Code that the app shows" }
            input.code #code name="code" type="text" inputmode="numeric" required
                autocomplete="one-time-code" maxlength="10";
            button { "Go on" }
        }
    }
}

fn done<S: Store>(visit: &Visit<'_, S>, recovery: &[String]) -> Reply {
    let body = html! {
        p { "From your next sign-in on, it is asked for." }
        @if !recovery.is_empty() {
            h2 { "Recovery codes" }
            p {
                "Each lets you in once without it. Print them or keep them in a safe place: they are shown this "
                "once."
            }
            code.secret { @for code in recovery { (code) br; } }
        }
        a.button.quiet href=(Route::Page(Page::Sessions)) { "Go on" }
    };
    visit.page("Set up", body)
}

fn known(session: &Session) -> Known {
    let (object, name) = (session.who.object, session.who.name.clone());
    let login = session.who.upn.clone().unwrap_or_default();
    Known { object, name, login }
}
