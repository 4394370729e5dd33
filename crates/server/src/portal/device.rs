//! The code that a device shows: who asks, and whether they are let in.

use hourgate_api::paths::{Page, Route};
use hourgate_core::event::Note;
use hourgate_store::Store;
use hyper::StatusCode;
use maud::{Markup, html};

use super::{
    layout::{alert, shown, time},
    next::Next,
    visit::{Reply, Visit},
};
use crate::signin::{Asking, UserCode};

/// What everybody is told whose code no device shows.
const NO_DEVICE: &str = "No device shows that code now. Codes are good for 15 minutes, and once.";

/// Asks for the code.
pub(super) fn ask<S: Store>(visit: &Visit<'_, S>) -> Reply {
    if visit.session.is_none() {
        return visit.sign_in_first(&Next::to(&Route::Page(Page::Device), None));
    }
    visit.page("Let a device in", form(visit, None))
}

fn form<S: Store>(visit: &Visit<'_, S>, wrong: Option<&str>) -> Markup {
    html! {
        @if let Some(wrong) = wrong { (alert(wrong)) }
        p { "Type the code that the device or command shows, which you are signing in at." }
        form method="post" action=(Route::Page(Page::Device)) {
            (visit.form_token())
            label for="code" { "Code" }
            input.code #code name="code" type="text" required autofocus autocomplete="off"
                autocapitalize="characters" spellcheck="false" maxlength="16" placeholder="XXXX-XXXX";
            button { "Go on" }
        }
    }
}

/// Shows who asks, or does what was decided.
pub(super) async fn decide<S: Store>(visit: &Visit<'_, S>) -> Reply {
    let Some(session) = &visit.session else {
        return visit.sign_in_first(&Next::to(&Route::Page(Page::Device), None));
    };
    let sign_in = &visit.server.sign_in;
    let now = visit.now.wall;
    let (object, from) = (session.who.object, visit.from);
    // Whoever guesses would let a stranger's device in as themselves, or turn one away.
    if let Err(wait) = sign_in.types_code(object, from, visit.now) {
        return visit.too_often(wait);
    }
    let code = UserCode::parse(visit.field("code"));
    let asking = code.and_then(|code| sign_in.devices().asking(code, now).cloned());
    let (Some(code), Some(asking)) = (code, asking) else {
        visit.failed(Some(object), "userCode").await;
        let body = form(visit, Some(NO_DEVICE));
        return visit.problem(StatusCode::BAD_REQUEST, "Let a device in", body);
    };
    sign_in.typed_right(object, from);
    let who = match visit.field("decision") {
        "approve" => Some(session.who.clone()),
        "deny" => None,
        _ => return visit.page("Is this you?", question(visit, code, &asking)),
    };
    let approved = who.is_some();
    let Some(decided) = sign_in.devices().decide(code, who, now) else {
        return visit.problem(
            StatusCode::BAD_REQUEST,
            "Let a device in",
            form(visit, Some(NO_DEVICE)),
        );
    };
    let client = decided.client.id().to_string();
    let note = match approved {
        true => Note::SignedIn { client },
        false => Note::SignInFailed { client },
    };
    visit.server.note(visit.origin(Some(&session.who)), note).await;
    if approved {
        let body = html! { p { "The device is signed in as you. You can close this page." } };
        return visit.page("Done", body);
    }
    let body = html! {
        p { "The device was turned away." }
        p { "If somebody sent you that code, tell those who run this server." }
    };
    visit.page("Turned away", body)
}

fn question<S: Store>(visit: &Visit<'_, S>, code: UserCode, asking: &Asking) -> Markup {
    let elsewhere = asking.from.to_canonical() != visit.from.to_canonical();
    html! {
        @if elsewhere {
            (alert("This device asks from another address than yours. Go on only if it is your own."))
        }
        dl {
            dt { "Who asks" } dd { (asking.client.name()) }
            dt { "From" } dd { (asking.from) }
            dt { "Your address" } dd { (visit.from) }
            dt { "Asked at" } dd { (time(asking.at)) }
            dt { "Code" } dd { code { (code) } }
            dt { "Signs in as" }
            dd { @if let Some(session) = &visit.session { (shown(&session.who.name)) } }
        }
        p {
            "Go on only if you started this yourself just now. "
            strong { "Whoever sent you a code wants to act as you." }
        }
        form method="post" action=(Route::Page(Page::Device)) {
            (visit.form_token())
            input type="hidden" name="code" value=(code);
            button name="decision" value="approve" { "Yes, sign it in" }
            button.stop name="decision" value="deny" { "No" }
        }
    }
}
