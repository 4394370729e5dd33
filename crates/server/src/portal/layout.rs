//! What every page has around it, how pages look, and the one script.

use hourgate_api::{
    paths::{Page, Route},
    text::{escaped, moment},
};
use hourgate_core::time::Timestamp;
use maud::{DOCTYPE, Markup, html};
use serde_json::Value;

use crate::signin::SignedIn;

/// How pages look.
pub(crate) const STYLE: &str = include_str!("pages.css");
/// What passkeys need.
pub(crate) const SCRIPT: &str = include_str!("pages.js");

/// How much of a text from others is shown.
const SHOWN_CHARS_MAX: usize = 200;

/// A moment, as people read it: to the second, in UTC. Programs find all of it.
pub(super) fn time(at: Timestamp) -> Markup {
    html! { time datetime=(moment(at)) { (at.strftime("%Y-%m-%d %H:%M:%S UTC").to_string()) } }
}

/// A page around its body.
pub(super) fn frame(title: &str, who: Option<&SignedIn>, body: &Markup) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                meta name="robots" content="noindex";
                title { (title) " · Hourgate" }
                link rel="stylesheet" href=(Route::Page(Page::Style));
            }
            body {
                header {
                    a.brand href=(Route::Page(Page::Sessions)) { "Hourgate" }
                    @if let Some(who) = who {
                        span.who {
                            span.name { (shown(&who.name)) }
                            " "
                            a href=(Route::Page(Page::SignOut)) { "Sign out" }
                        }
                    }
                }
                main {
                    h1 { (title) }
                    (body)
                }
            }
        }
    }
}

/// A text from others: cut short, and with no character that is not seen as itself.
pub(super) fn shown(text: &str) -> String {
    escaped(text, SHOWN_CHARS_MAX)
}

/// What went wrong with a form, above it. Told to those who hear a page too.
pub(super) fn alert(text: &str) -> Markup {
    html! { p.alert role="alert" { (text) } }
}

/// A form that a passkey fills in, where the browser runs our script and knows them.
pub(super) fn passkey(
    action: &Route,
    options: &Value,
    make: Option<&str>,
    fields: Markup,
) -> Markup {
    html! {
        form method="post" action=(action) data-passkey=(options) data-make=[make] hidden {
            (fields)
            input type="hidden" name="answer" value="";
            p role="status" {}
        }
        script src=(Route::Page(Page::Script)) defer {}
    }
}

/// A labelled field.
pub(super) fn input(label: &str, name: &str, kind: &str, complete: &str, first: bool) -> Markup {
    html! {
        label for=(name) { (label) }
        input id=(name) name=(name) type=(kind) autocomplete=(complete) required
            autofocus[first] autocapitalize="none" spellcheck="false";
    }
}
