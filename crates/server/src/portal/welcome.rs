//! A link that lets somebody set a password, once: the first administrator's way in.

use hourgate_api::paths::{Page, Route};
use hourgate_store::Store;
use hyper::StatusCode;
use maud::{Markup, html};

use super::{
    layout::{alert, input, shown},
    next::Next,
    visit::{Reply, Visit},
};
use crate::signin::{Known, Method, NotSet, SignedIn};

/// What everybody is told whose link is none.
const NO_LINK: &str = "This link is over, was used, or never was. Have a new one made.";

/// The form.
pub(super) fn ask<S: Store>(visit: &Visit<'_, S>) -> Reply {
    let link = visit.field("link");
    match visit.server.proofs.link(link, visit.here()) {
        Some(login) => visit.page("Welcome", form(visit, (link, &login), None)),
        None => no_link(visit),
    }
}

fn no_link<S: Store>(visit: &Visit<'_, S>) -> Reply {
    match visit.server.sign_in.guessed(uuid::Uuid::nil(), visit.from, visit.now) {
        Some(wait) => visit.too_often(wait),
        None => visit.problem(StatusCode::NOT_FOUND, "No such link", alert(NO_LINK)),
    }
}

fn form<S: Store>(
    visit: &Visit<'_, S>,
    (link, login): (&str, &str),
    wrong: Option<&str>,
) -> Markup {
    html! {
        @if let Some(wrong) = wrong { (alert(wrong)) }
        @if login.is_empty() {
            p { "Nobody can sign in yet. You become the first administrator." }
        } @else {
            p { "Set a password for " strong { (shown(login)) } "." }
        }
        form method="post" action=(Route::Page(Page::Welcome)) {
            (visit.form_token())
            input type="hidden" name="link" value=(link);
            @if login.is_empty() {
                (input("Name that you sign in with", "login", "text", "username", true))
                (input("Your name, as others see it", "name", "text", "name", false))
            }
            (input("Password, at least 12 characters", "password", "password", "new-password", false))
            (input("The same password again", "again", "password", "new-password", false))
            button { "Go on" }
        }
    }
}

/// Sets the password.
pub(super) async fn set<S: Store>(visit: &Visit<'_, S>) -> Reply {
    let proofs = &visit.server.proofs;
    let link = visit.field("link");
    let Some(login) = proofs.link(link, visit.here()) else { return no_link(visit) };
    let again = |why: &str| {
        let body = form(visit, (link, &login), Some(why));
        visit.problem(StatusCode::BAD_REQUEST, "Welcome", body)
    };
    let password = visit.field("password");
    if password != visit.field("again") {
        return again("The two passwords are not the same.");
    }
    let chosen = (visit.field("login"), visit.field("name"), password);
    match proofs.use_link(link, chosen, visit.here()).await {
        Ok(Known { object, name, login }) => {
            let methods = [Method::Pwd].into();
            let who = SignedIn { object, name, upn: Some(login), at: visit.now.wall, methods };
            visit.signed_in(who, &Next::to(&Route::Page(Page::Factors), None)).await
        }
        Err(NotSet(why)) => again(&why),
    }
}
