//! What a browser is shown: to sign in, to let a device or a client in, to see where one is signed in.
//!
//! A page works without a script; only passkeys need one, which is served from here. Every form is bound to the
//! browser that it was shown to.

mod attempt;
mod authorize;
mod cookie;
mod device;
mod factors;
mod form;
mod layout;
mod next;
mod provider;
mod sessions;
mod sign_in;
mod visit;
mod welcome;

use std::sync::{Mutex, MutexGuard, PoisonError};

use hourgate_api::paths::{Page, Route};
use hourgate_store::Store;
use hyper::Method;

use self::{attempt::Attempts, form::FormKey, provider::Aways};
pub(crate) use self::{
    layout::{SCRIPT, STYLE},
    visit::{Reply, Sent, Shown, Visit},
};
use crate::mint::NoRandomness;

/// What the pages hold between two requests.
pub(crate) struct Portal {
    form_key: FormKey,
    attempts: Mutex<Attempts>,
    aways: Mutex<Aways>,
}

impl Portal {
    /// Nobody is half-way through anything.
    pub(crate) fn new() -> Result<Portal, NoRandomness> {
        Ok(Portal {
            form_key: FormKey::mint()?,
            attempts: Mutex::default(),
            aways: Mutex::default(),
        })
    }

    fn aways(&self) -> MutexGuard<'_, Aways> {
        self.aways.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn attempts(&self) -> MutexGuard<'_, Attempts> {
        self.attempts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Answers a browser.
pub(crate) async fn visit<S: Store>(visit: &Visit<'_, S>, route: &Route) -> Reply {
    let is_post = visit.method == Method::POST;
    if is_post && let Err(refused) = visit.is_from_our_page() {
        return refused;
    }
    if let Route::Authorize(tenant) = route {
        return match is_post {
            true => authorize::decide(visit, tenant).await,
            false => authorize::ask(visit, tenant),
        };
    }
    let Route::Page(page) = route else { return visit.nothing_here() };
    match page {
        Page::SignIn if is_post => sign_in::password(visit).await,
        Page::SignIn => sign_in::ask(visit),
        Page::SecondFactor if is_post => sign_in::second(visit).await,
        Page::SecondFactor => sign_in::ask_second(visit),
        Page::With(name) => provider::with(visit, name).await,
        Page::Callback => provider::callback(visit).await,
        Page::Welcome if is_post => welcome::set(visit).await,
        Page::Welcome => welcome::ask(visit),
        Page::Factors if is_post => factors::change(visit).await,
        Page::Factors => factors::show(visit),
        Page::Device if is_post => device::decide(visit).await,
        Page::Device => device::ask(visit),
        Page::Sessions if is_post => sessions::end(visit).await,
        Page::Sessions => sessions::show(visit),
        Page::SignOut if is_post => sign_in::out(visit).await,
        Page::SignOut => sign_in::ask_out(visit),
        // They need no visit: nobody is asked who they are for them.
        Page::Style | Page::Script => visit.nothing_here(),
    }
}
