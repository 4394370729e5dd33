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
    match route {
        Route::Authorize(tenant) if is_post => authorize::decide(visit, tenant).await,
        Route::Authorize(tenant) => authorize::ask(visit, tenant),
        Route::Page(Page::SignIn) if is_post => sign_in::password(visit).await,
        Route::Page(Page::SignIn) => sign_in::ask(visit),
        Route::Page(Page::SecondFactor) if is_post => sign_in::second(visit).await,
        Route::Page(Page::SecondFactor) => sign_in::ask_second(visit),
        Route::Page(Page::With(name)) => provider::with(visit, name).await,
        Route::Page(Page::Callback) => provider::callback(visit).await,
        Route::Page(Page::Welcome) if is_post => welcome::set(visit).await,
        Route::Page(Page::Welcome) => welcome::ask(visit),
        Route::Page(Page::Factors) if is_post => factors::change(visit).await,
        Route::Page(Page::Factors) => factors::show(visit),
        Route::Page(Page::Device) if is_post => device::decide(visit).await,
        Route::Page(Page::Device) => device::ask(visit),
        Route::Page(Page::Sessions) if is_post => sessions::end(visit).await,
        Route::Page(Page::Sessions) => sessions::show(visit),
        Route::Page(Page::SignOut) if is_post => sign_in::out(visit).await,
        Route::Page(Page::SignOut) => sign_in::ask_out(visit),
        _ => visit.nothing_here(),
    }
}
