//! Where somebody is signed in, and to end that.

use hourgate_api::paths::{Page, Route};
use hourgate_core::event::Note;
use hourgate_store::Store;
use maud::{Markup, html};
use uuid::Uuid;

use super::{
    layout::{shown, time},
    next::Next,
    visit::{Reply, Visit},
};
use crate::signin::{Client, Place, Session};

/// The sessions of whoever is signed in.
pub(super) fn show<S: Store>(visit: &Visit<'_, S>) -> Reply {
    let Some(own) = &visit.session else {
        return visit.sign_in_first(&Next::sessions());
    };
    let sessions = visit.server.sign_in.sessions.list(Some(own.who.object), visit.now.wall);
    let row = |session: &Session| -> Markup {
        html! {
            tr {
                td {
                    (place(session))
                    @if session.id == own.id { " " span.hint { "(this one)" } }
                }
                td { (session.from) }
                td { (time(session.who.at)) }
                td { (time(session.used)) }
                td {
                    form method="post" action=(Route::Page(Page::Sessions)) {
                        (visit.form_token())
                        input type="hidden" name="session" value=(session.id);
                        button.stop.small aria-label={ "End the session of " (place(session)) " from " (session.from) } {
                            "End"
                        }
                    }
                }
            }
        }
    };
    let body = html! {
        p { "Signed in as " strong { (shown(&own.who.name)) } "." }
        div.scroll {
            table {
                caption hidden { "Your sessions" }
                thead {
                    tr {
                        th scope="col" { "Where" }
                        th scope="col" { "From" }
                        th scope="col" { "Signed in" }
                        th scope="col" { "Last used" }
                        th scope="col" { span.hint { "End it" } }
                    }
                }
                tbody { @for session in &sessions { (row(session)) } }
            }
        }
        p.or {
            a href=(Route::Page(Page::Factors)) { "Second factors" }
            " · "
            a href=(Route::Page(Page::Device)) { "Let a device in" }
        }
    };
    visit.page("Your sessions", body)
}

fn place(session: &Session) -> &'static str {
    match &session.at {
        Place::Browser { .. } => "A browser",
        Place::Command { client, .. } => {
            Client::of(&client.to_string()).map_or("A command", Client::name)
        }
    }
}

/// Ends one of them.
pub(super) async fn end<S: Store>(visit: &Visit<'_, S>) -> Reply {
    let Some(own) = &visit.session else {
        return visit.sign_in_first(&Next::sessions());
    };
    let sessions = &visit.server.sign_in.sessions;
    let wanted = visit.field("session").parse::<Uuid>().ok();
    let theirs = wanted.and_then(|id| sessions.get(id, visit.now.wall));
    // Somebody else's is not there for them.
    if let Some(session) = theirs.filter(|session| session.who.object == own.who.object)
        && let Some((session, change)) = sessions.end(session.id)
    {
        let (object, id) = (session.who.object, session.id.to_string());
        let note = Note::SessionEnded { object, session: id };
        visit.server.keep(visit.origin(Some(&own.who)), vec![change], note).await;
    }
    visit.to(&Next::sessions())
}
