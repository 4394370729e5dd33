//! Another provider's word: a browser goes there, and comes back with a code.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
    time::Duration,
};

use hourgate_api::paths::{Page, Route};
use hourgate_core::time::{Timestamp, later};
use hourgate_store::Store;
use hyper::StatusCode;
use maud::html;
use sha2::{Digest, Sha256};

use super::{
    cookie::{self, ATTEMPT_COOKIE},
    layout::{alert, shown},
    next::Next,
    visit::{Reply, Visit},
};
use crate::{
    mint,
    party::party,
    signin::{
        Method, SignedIn, introduce,
        provider::{Freshness, PENDING_LIFE, Pending, Returned, SignInFailure, Verified, Went},
    },
};

/// How many browsers are away at once. Anybody can send theirs.
const AWAY_MAX: usize = 2_000;
/// How many of those are one address's; past it the one that left first is forgotten.
const AWAY_PER_ADDRESS_MAX: usize = 50;
/// How long ago somebody is taken to have signed in there where their provider does not say: too long for
/// whatever asks for a fresh sign-in.
const UNSAID_AGE: Duration = Duration::from_hours(24);

/// A browser that was sent to a provider.
#[derive(Clone, Debug)]
struct Away {
    pending: Pending,
    next: Next,
    from: IpAddr,
    at: Timestamp,
}

/// Every one, by the digest of its cookie.
#[derive(Debug, Default)]
pub(super) struct Aways(BTreeMap<[u8; 32], Away>);

impl Aways {
    fn begin(&mut self, cookie: &str, away: Away) {
        self.0.retain(|_, held| away.at < later(held.at, PENDING_LIFE));
        let address = party(away.from);
        let theirs = self.0.values().filter(|held| party(held.from) == address).count();
        let all = self.0.len();
        let gone = (theirs >= AWAY_PER_ADDRESS_MAX || all >= AWAY_MAX).then(|| {
            let ours = |held: &Away| theirs < AWAY_PER_ADDRESS_MAX || party(held.from) == address;
            let held = self.0.iter().filter(|(_, held)| ours(held));
            held.min_by_key(|(_, held)| held.at).map(|(digest, _)| *digest)
        });
        if let Some(gone) = gone.flatten() {
            self.0.remove(&gone);
        }
        self.0.insert(digest(cookie), away);
    }

    /// It comes back, once.
    fn end(&mut self, cookie: &str) -> Option<Away> {
        self.0.remove(&digest(cookie))
    }
}

fn digest(secret: &str) -> [u8; 32] {
    Sha256::digest(secret).into()
}

/// To another provider.
pub(super) async fn with<S: Store>(visit: &Visit<'_, S>, name: &str) -> Reply {
    let freshness = match visit.field("again") {
        "" => Freshness::AsItIs,
        _ => Freshness::Again,
    };
    let (server, next) = (visit.server, visit.next());
    let back = format!("{}{}", server.base, Route::Page(Page::Callback));
    let begun = match server.providers.begin(name, &back, freshness, visit.now).await {
        Ok(begun) => begun,
        Err(why) => return failed(visit, &why),
    };
    let Ok(cookie) = mint::secret() else { return visit.busy() };
    let away = Away { pending: begun.pending, next, from: visit.from, at: visit.now.wall };
    server.portal.aways().begin(&cookie, away);
    Reply::To { place: begun.url, cookies: vec![cookie::set(ATTEMPT_COOKIE, &cookie)] }
}

/// Back from one.
pub(super) async fn callback<S: Store>(visit: &Visit<'_, S>) -> Reply {
    let server = visit.server;
    let away = visit.attempt_cookie().and_then(|cookie| server.portal.aways().end(cookie));
    let Some(away) = away else { return failed(visit, &SignInFailure::State) };
    let went = match (visit.field("code"), visit.field("error")) {
        ("", error) => Went::Error(error.to_owned()),
        (code, _) => Went::Code(code.to_owned()),
    };
    let issuer = Some(visit.field("iss").to_owned()).filter(|issuer| !issuer.is_empty());
    let returned = Returned { state: visit.field("state").to_owned(), issuer, went };
    let fresh = away.pending.freshness == Freshness::Again;
    let verified = match server.providers.finish(away.pending, returned, visit.now).await {
        Ok(verified) => verified,
        Err(why) => {
            visit.failed(None, "provider").await;
            return failed(visit, &why);
        }
    };
    let Some(object) = introduce::person(server, visit.origin(None), &verified).await else {
        visit.failed(None, "provider").await;
        let body = alert("You are not let in here. Those who run this server know why.");
        return visit.problem(StatusCode::FORBIDDEN, "Not let in", body);
    };
    let unsaid = verified.issued.checked_sub(UNSAID_AGE).unwrap_or(verified.issued);
    let at = match verified.auth_time {
        Some(at) => at.min(visit.now.wall),
        None if fresh => visit.now.wall,
        None => unsaid,
    };
    let methods = methods(&verified);
    let upn = Some(verified.upn).filter(|upn| !upn.is_empty());
    let name = Some(verified.name).filter(|name| !name.is_empty());
    let name = name.or_else(|| upn.clone()).unwrap_or(verified.subject);
    visit.signed_in(SignedIn { object, name, upn, at, methods }, &away.next).await
}

/// What a provider says of how somebody signed in, as far as it is one of the words that we know.
fn methods(verified: &Verified) -> BTreeSet<Method> {
    let known = |word: &String| match word.as_str() {
        "pwd" => Some(Method::Pwd),
        "otp" => Some(Method::Otp),
        "hwk" | "swk" | "fido" => Some(Method::Hwk),
        "mfa" => Some(Method::Mfa),
        _ => None,
    };
    verified.amr.iter().filter_map(known).chain([Method::Fed]).collect()
}

fn failed<S: Store>(visit: &Visit<'_, S>, why: &SignInFailure) -> Reply {
    tracing::info!(%why, "a sign-in with a provider failed");
    let (status, told) = match why {
        SignInFailure::NoProvider => return visit.nothing_here(),
        SignInFailure::Down(down) => (
            StatusCode::BAD_GATEWAY,
            format!("{} does not answer now. Try again, or sign in another way.", shown(&down.provider)),
        ),
        SignInFailure::Refused(_)
        | SignInFailure::State
        | SignInFailure::Issuer
        | SignInFailure::TooLate
        | SignInFailure::NotFresh
        | SignInFailure::Token(_)
        | SignInFailure::Secret(_)
        | SignInFailure::Random(_) => (
            StatusCode::UNAUTHORIZED,
            "That sign-in was not finished: it took too long, was refused, or belongs to another browser.".to_owned(),
        ),
    };
    let body = html! {
        (alert(&told))
        a.button.quiet href=(Route::Page(Page::SignIn)) { "Sign in" }
    };
    visit.problem(status, "You are not signed in", body)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn browsers_that_are_away_have_their_bounds() {
        let at = |seconds: i64| Timestamp::from_second(1_800_000_000 + seconds).expect("a time");
        let pending: Pending = serde_json::from_value(serde_json::json!({
            "provider": "p", "redirect_uri": "https://h/signin/callback", "begun": at(0),
            "freshness": "AsItIs", "state": "s", "nonce": "n", "verifier": "v",
        }))
        .expect("a sign-in under way");
        let away = |last: u32, seconds| Away {
            pending: pending.clone(),
            next: Next::sessions(),
            from: IpAddr::from(last.to_be_bytes()),
            at: at(seconds),
        };
        let mut aways = Aways::default();
        for n in 0..200 {
            aways.begin(&n.to_string(), away(1, n));
        }
        assert_eq!(aways.0.len(), AWAY_PER_ADDRESS_MAX);
        assert!(aways.end("149").is_none() && aways.end("150").is_some());
        assert!(aways.end("150").is_none(), "it comes back once");
        for n in 0..5_000_u32 {
            aways.begin(&format!("x{n}"), away(n + 10, 300));
        }
        assert!(aways.0.len() <= AWAY_MAX);
        assert!(aways.end("x4999").is_some());
        aways.begin("late", away(2, 300 + 900));
        assert_eq!(aways.0.len(), 1, "who does not come back is forgotten");
    }
}
