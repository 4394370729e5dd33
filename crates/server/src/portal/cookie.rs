//! Cookies: which there are, and how they are read and set.
//!
//! Their names begin with `__Host-`: a browser takes them from this very host over TLS alone, so that no
//! neighbour's page can plant one.

use std::collections::BTreeMap;

use hyper::{HeaderMap, header::COOKIE};

/// Holds a session.
pub(crate) const SESSION_COOKIE: &str = "__Host-hourgate";
/// Binds forms to a browser.
pub(crate) const FORM_COOKIE: &str = "__Host-hourgate-form";
/// Holds a sign-in that is half done.
pub(crate) const ATTEMPT_COOKIE: &str = "__Host-hourgate-attempt";

/// Longest value that is looked at; ours have 46 letters.
const VALUE_BYTES_MAX: usize = 128;

/// Ours of what a browser sent. One that is sent twice is none: which of both is ours cannot be told.
pub(super) fn read(headers: &HeaderMap) -> BTreeMap<&'static str, String> {
    let mut found: BTreeMap<&'static str, Option<String>> = BTreeMap::new();
    let values = headers.get_all(COOKIE).iter().filter_map(|value| value.to_str().ok());
    for (name, value) in values.flat_map(|value| value.split(';')).filter_map(|c| c.split_once('='))
    {
        let ours = [SESSION_COOKIE, FORM_COOKIE, ATTEMPT_COOKIE];
        let Some(name) = ours.into_iter().find(|ours| *ours == name.trim()) else { continue };
        let value = value.trim();
        let fits = !value.is_empty() && value.len() <= VALUE_BYTES_MAX;
        let once = !found.contains_key(name);
        found.insert(name, (fits && once).then(|| value.to_owned()));
    }
    found.into_iter().filter_map(|(name, value)| Some((name, value?))).collect()
}

/// The header that sets one until the browser ends. `Lax`: a link in a mail must find its reader signed in;
/// what changes something is a POST, and asks for more.
pub(super) fn set(name: &str, value: &str) -> String {
    format!("{name}={value}; Path=/; Secure; HttpOnly; SameSite=Lax")
}

/// The header that takes one away.
pub(super) fn clear(name: &str) -> String {
    format!("{name}=; Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age=0")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent(cookies: &[&str]) -> BTreeMap<&'static str, String> {
        let mut headers = HeaderMap::new();
        for cookie in cookies {
            headers.append(COOKIE, cookie.parse().expect("a header"));
        }
        read(&headers)
    }

    #[test]
    fn a_cookie_that_comes_twice_is_none() {
        let one = sent(&["a=b; __Host-hourgate=x; __Host-hourgate-form=y"]);
        assert_eq!(one.get(SESSION_COOKIE).map(String::as_str), Some("x"));
        assert_eq!(one.get(FORM_COOKIE).map(String::as_str), Some("y"));
        for cookies in [
            &["__Host-hourgate=x; __Host-hourgate=y"][..],
            &["__Host-hourgate=x", "__Host-hourgate=y"],
            &["__Host-hourgate=x; __Host-hourgate=x; __Host-hourgate=x"],
            &["__Host-hourgate="],
            &["__host-hourgate=x"],
            &["hourgate=x"],
        ] {
            assert_eq!(sent(cookies).get(SESSION_COOKIE), None, "{cookies:?}");
        }
        let long = format!("__Host-hourgate={}", "x".repeat(VALUE_BYTES_MAX + 1));
        assert!(sent(&[&long]).is_empty());
    }
}
