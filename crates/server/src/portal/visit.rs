//! A browser's request, with who is signed in there; and what it is answered.

use std::{collections::BTreeMap, net::IpAddr, time::Duration};

use hourgate_core::{event::Note, time::Now};
use hourgate_store::{Origin, Store};
use hyper::{HeaderMap, Method, StatusCode};
use maud::{Markup, html};
use uuid::Uuid;

use super::{
    cookie::{self, ATTEMPT_COOKIE, FORM_COOKIE, SESSION_COOKIE},
    layout,
    next::Next,
};
use crate::{
    admin::visitor,
    mint,
    server::Server,
    signin::{Session, SignedIn, local::accounts::Occasion},
};

/// Longest field of a form that is looked at: a passkey's answer has some 2 KiB.
const FIELD_BYTES_MAX: usize = 16 << 10;
/// How many fields of a form, or parameters of a link, are looked at.
const FIELDS_MAX: usize = 64;
/// What is told as the action of whoever signs in by a page.
const SIGN_IN: &str = "Hourgate.Access/signIn/action";

/// What a browser sent.
pub(crate) struct Sent<'a> {
    pub(crate) method: &'a Method,
    pub(crate) query: Option<&'a str>,
    pub(crate) headers: &'a HeaderMap,
    pub(crate) form: &'a [u8],
    pub(crate) target: String,
    pub(crate) correlation: Uuid,
    pub(crate) from: IpAddr,
}

/// A browser's request.
pub(crate) struct Visit<'a, S> {
    pub(super) server: &'a Server<S>,
    pub(super) method: Method,
    /// As it was sent, behind the `?`.
    pub(super) query: Option<String>,
    pub(super) now: Now,
    pub(super) from: IpAddr,
    /// The session that stands there.
    pub(super) session: Option<Session>,
    fields: BTreeMap<String, String>,
    origin: Option<String>,
    fetch_site: Option<String>,
    cookies: BTreeMap<&'static str, String>,
    /// What forms are bound to; set with the answer, where the browser had none.
    form_cookie: String,
    target: String,
    correlation: Uuid,
}

/// What a browser is answered.
pub(crate) enum Reply {
    /// A page.
    Page(Shown),
    /// Go there.
    To {
        /// Where.
        place: String,
        /// Cookies to set, as headers.
        cookies: Vec<String>,
    },
}

/// A page as it is shown.
pub(crate) struct Shown {
    pub(crate) status: StatusCode,
    pub(crate) html: String,
    /// Cookies to set, as headers.
    pub(crate) cookies: Vec<String>,
    /// Where its form may lead besides here: a browser holds a redirect to that too.
    pub(crate) leads_to: Option<String>,
    /// How long to wait before the next try.
    pub(crate) retry_after: Option<Duration>,
}

impl<'a, S: Store> Visit<'a, S> {
    /// Reads what was sent, and finds the session of its cookie.
    pub(crate) async fn of(
        server: &'a Server<S>,
        sent: Sent<'_>,
    ) -> Result<Self, mint::NoRandomness> {
        let (now, cookies) = (server.now(), cookie::read(sent.headers));
        let text = |name: &str| sent.headers.get(name)?.to_str().ok().map(str::to_owned);
        let bytes = match *sent.method {
            Method::POST => sent.form,
            _ => sent.query.unwrap_or_default().as_bytes(),
        };
        let held = cookies.get(SESSION_COOKIE);
        let found = held.and_then(|held| server.sign_in.sessions.of_cookie(held, now.wall));
        // Whoever was disabled is nobody here, however they came in.
        let directory = server.store.directory();
        let found = found.filter(|(session, _)| {
            directory.principal(session.who.object).is_some_and(|who| !who.disabled)
        });
        let (session, change) = found.unzip();
        let form_cookie = match cookies.get(FORM_COOKIE) {
            Some(cookie) => cookie.clone(),
            None => mint::secret()?,
        };
        let visit = Visit {
            server,
            method: sent.method.clone(),
            query: sent.query.map(str::to_owned),
            now,
            from: sent.from,
            session,
            fields: fields(bytes),
            origin: text("origin"),
            fetch_site: text("sec-fetch-site"),
            cookies,
            form_cookie,
            target: sent.target,
            correlation: sent.correlation,
        };
        if let (Some(session), Some(change)) = (&visit.session, change.flatten()) {
            // That a session was used is a row and no news: the record says the least that there is.
            let note =
                Note::TokensRenewed { object: session.who.object, family: session.id.to_string() };
            server.keep(visit.origin(Some(&session.who)), vec![change], note).await;
        }
        Ok(visit)
    }

    /// A field of the form, or a parameter of the link; empty where it is not there.
    pub(super) fn field(&self, name: &str) -> &str {
        self.fields.get(name).map(String::as_str).unwrap_or_default()
    }

    /// When, from where and on whose behalf something is done to an account.
    pub(super) fn occasion(&self) -> Occasion<'_, S> {
        let who = self.session.as_ref().map(|session| &session.who);
        let (store, origin) = (&self.server.store, self.origin(who));
        Occasion { store, origin, from: self.from, now: self.now }
    }

    pub(super) fn attempt_cookie(&self) -> Option<&str> {
        self.cookies.get(ATTEMPT_COOKIE).map(String::as_str)
    }

    /// Where somebody goes once they are signed in.
    pub(super) fn next(&self) -> Next {
        Next::read(self.field("next"))
    }

    /// Whether a form was sent from a page that this browser was shown here. A page of somebody else's could
    /// have it approve a device, or sign it in as somebody whose sessions that page's owner reads.
    ///
    /// Two things must be so, each of which is enough where browsers do as they should: the browser says that the
    /// page was ours, and the form holds what only a page of ours has.
    pub(super) fn is_from_our_page(&self) -> Result<(), Reply> {
        let same_origin = self.fetch_site.as_deref() == Some("same-origin");
        let ours = match self.origin.as_deref() {
            // What a browser says for a page with our referrer policy; then the other header must say it.
            Some("null") | None => same_origin,
            Some(origin) => {
                self.server.sign_in.is_here(origin) && (same_origin || self.fetch_site.is_none())
            }
        };
        let cookie = self.cookies.get(FORM_COOKIE).map(String::as_str).unwrap_or_default();
        let session = self.session.as_ref().map(|session| session.id);
        let key = &self.server.portal.form_key;
        if ours && !cookie.is_empty() && key.fits(self.field("form"), cookie, session) {
            return Ok(());
        }
        tracing::warn!(address = %self.from, ours, "a form came from elsewhere");
        let body = html! {
            p { "This form was not sent from a page that was shown here, or it was shown too long ago." }
            p { "Nothing was changed. Go back, load the page again, and try once more." }
        };
        Err(Reply::Page(self.shown(StatusCode::FORBIDDEN, "That did not work", body)))
    }

    /// The hidden field that every form needs.
    pub(super) fn form_token(&self) -> Markup {
        let session = self.session.as_ref().map(|session| session.id);
        let token = self.server.portal.form_key.token(&self.form_cookie, session);
        html! { input type="hidden" name="form" value=(token); }
    }

    /// A page.
    pub(super) fn page(&self, title: &str, body: Markup) -> Reply {
        Reply::Page(self.shown(StatusCode::OK, title, body))
    }

    /// A page that says that something was not done.
    pub(super) fn problem(&self, status: StatusCode, title: &str, body: Markup) -> Reply {
        Reply::Page(self.shown(status, title, body))
    }

    /// A page of any status.
    pub(super) fn shown(&self, status: StatusCode, title: &str, body: Markup) -> Shown {
        let who = self.session.as_ref().map(|session| &session.who);
        let html = layout::frame(title, who, &body).into_string();
        let new = !self.cookies.contains_key(FORM_COOKIE);
        let cookies =
            new.then(|| cookie::set(FORM_COOKIE, &self.form_cookie)).into_iter().collect();
        Shown { status, html, cookies, leads_to: None, retry_after: None }
    }

    /// Go to a page of ours.
    pub(super) fn to(&self, next: &Next) -> Reply {
        Reply::To { place: next.as_str().to_owned(), cookies: Vec::new() }
    }

    pub(super) fn nothing_here(&self) -> Reply {
        let body = html! { p { "There is no such page." } };
        self.problem(StatusCode::NOT_FOUND, "Not found", body)
    }

    /// The page that asks who is there, and leads back here.
    pub(super) fn sign_in_first(&self, next: &Next) -> Reply {
        Reply::To { place: next.sign_in(), cookies: Vec::new() }
    }

    /// The same for somebody who is signed in, and must show once more who they are.
    pub(super) fn sign_in_again(&self, next: &Next) -> Reply {
        Reply::To { place: next.sign_in_again(), cookies: Vec::new() }
    }

    /// Nothing that somebody held before lets anybody in any more.
    pub(super) async fn shut_out(&self, object: Uuid) {
        let changes = self.server.sign_in.shut_out(object);
        if !changes.is_empty() {
            let note = Note::SessionEnded { object, session: "all".to_owned() };
            self.server.keep(self.origin(None), changes, note).await;
        }
    }

    /// Everybody else who is in as the same person is so no longer.
    pub(super) async fn end_others(&self, own: &Session) {
        let object = own.who.object;
        let changes = self.server.sign_in.sessions.end_all_of(object, Some(own.id));
        if !changes.is_empty() {
            let note = Note::SessionEnded { object, session: "all others".to_owned() };
            self.server.keep(self.origin(Some(&own.who)), changes, note).await;
        }
    }

    /// Somebody guesses too often.
    pub(super) fn too_often(&self, wait: Duration) -> Reply {
        self.server.metrics.sign_in_failures.inc();
        self.server.failed_sign_ins.pass_over();
        let seconds = wait.as_secs() + 1;
        let body = html! {
            p { "Too many tries were wrong lately. Try again in " (seconds) " s." }
        };
        let shown = self.shown(StatusCode::TOO_MANY_REQUESTS, "Wait a little", body);
        Reply::Page(Shown { retry_after: Some(wait), ..shown })
    }

    /// More is being looked at than can be.
    pub(super) fn busy(&self) -> Reply {
        let body = html! { p { "Too many people are signing in at once. Try again in a moment." } };
        let shown = self.shown(StatusCode::SERVICE_UNAVAILABLE, "Try again in a moment", body);
        Reply::Page(Shown { retry_after: Some(Duration::from_secs(1)), ..shown })
    }

    /// Somebody was wrong: recorded, as far as there is room. What they typed is not: a password is soon typed
    /// where a name belongs.
    pub(super) async fn failed(&self, object: Option<Uuid>, factor: &str) {
        let server = self.server;
        server.metrics.sign_in_failures.inc();
        let (recorded, before) = server.failed_sign_ins.count(self.now.boot.nanos);
        if before > 0 {
            server.note(self.origin(None), Note::MoreRefused { count: before }).await;
        }
        if recorded {
            let note = Note::FactorWrong { object, factor: factor.to_owned() };
            server.note(self.origin(None), note).await;
        }
    }

    /// Somebody is signed in: a session begins, under a cookie that nobody had before. The one that stood in
    /// this browser ends.
    pub(super) async fn signed_in(&self, who: SignedIn, next: &Next) -> Reply {
        let server = self.server;
        let (Ok(id), Ok(secret)) = (mint::uuid(), mint::secret()) else { return self.busy() };
        let sessions = &server.sign_in.sessions;
        let begun = sessions.begin_in_browser(id, &secret, who.clone(), self.from, self.now.wall);
        let Ok(mut changes) = begun else { return self.busy() };
        if let Some((_, change)) = self.session.as_ref().and_then(|old| sessions.end(old.id)) {
            changes.push(change);
        }
        let note = Note::SessionBegan { object: who.object, session: id.to_string() };
        server.keep(self.origin(Some(&who)), changes, note).await;
        if let Some(attempt) = self.attempt_cookie() {
            server.portal.attempts().end(attempt);
        }
        Reply::To {
            place: next.as_str().to_owned(),
            cookies: vec![cookie::set(SESSION_COOKIE, &secret), cookie::clear(ATTEMPT_COOKIE)],
        }
    }

    /// On whose behalf something is recorded.
    pub(super) fn origin(&self, who: Option<&SignedIn>) -> Origin {
        Origin {
            person: who.map(visitor),
            address: Some(self.from),
            action: SIGN_IN.to_owned(),
            target: self.target.clone(),
            correlation: self.correlation,
        }
    }
}

/// The fields of a form. Of one that is sent twice none is: each reader would take another.
fn fields(bytes: &[u8]) -> BTreeMap<String, String> {
    let mut fields: BTreeMap<String, Option<String>> = BTreeMap::new();
    for (name, value) in form_urlencoded::parse(bytes).take(FIELDS_MAX) {
        let once = !fields.contains_key(&*name);
        let fits = value.len() <= FIELD_BYTES_MAX;
        fields.insert(name.into_owned(), (once && fits).then(|| value.into_owned()));
    }
    fields.into_iter().filter_map(|(name, value)| Some((name, value?))).collect()
}
