//! Where somebody goes once they are signed in: to a page of ours, whatever a link says.

use hourgate_api::paths::{Page, Route};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

/// Longest place that is looked at: a client's whole ask fits.
const PLACE_BYTES_MAX: usize = 2 << 10;

/// A path of ours, with its query.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Next(String);

impl Next {
    /// Reads one. What is no page of ours to go to leads to the sessions: whoever wrote the link must not
    /// choose where somebody ends who typed a password here.
    pub(super) fn read(text: &str) -> Next {
        Next::parse(text).unwrap_or_else(Next::sessions)
    }

    /// To the sessions.
    pub(super) fn sessions() -> Next {
        Next(Route::Page(Page::Sessions).to_string())
    }

    /// To this page.
    pub(super) fn to(route: &Route, query: Option<&str>) -> Next {
        Next(match query {
            Some(query) => format!("{route}?{query}"),
            None => route.to_string(),
        })
    }

    fn parse(text: &str) -> Option<Next> {
        let plain = |byte: u8| byte.is_ascii_graphic() && byte != b'\\';
        if text.len() > PLACE_BYTES_MAX || !text.bytes().all(plain) {
            return None;
        }
        let (path, query) = match text.split_once('?') {
            Some((path, query)) => (path, Some(query)),
            None => (text, None),
        };
        // Two slashes would begin with a host.
        if !path.starts_with('/') || path.starts_with("//") || text.contains('#') {
            return None;
        }
        let route = Route::parse(path).ok()?;
        let is_a_goal = matches!(
            route,
            Route::Authorize(_) | Route::Page(Page::Device | Page::Sessions | Page::Factors)
        );
        // Written by us, so that it is read as it was understood.
        is_a_goal.then(|| Next::to(&route, query))
    }

    /// As it goes into a header or a form.
    pub(super) fn as_str(&self) -> &str {
        &self.0
    }

    /// The sign-in page that leads here, also for somebody who is signed in.
    pub(super) fn sign_in_again(&self) -> String {
        format!("{}&again=1", self.sign_in())
    }

    /// The sign-in page that leads here.
    pub(super) fn sign_in(&self) -> String {
        let next = utf8_percent_encode(&self.0, NON_ALPHANUMERIC);
        format!("{}?next={next}", Route::Page(Page::SignIn))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_is_sent_elsewhere() {
        for (sent, next) in [
            ("/device", "/device"),
            ("/Sessions/", "/sessions"),
            ("/common/oauth2/v2.0/authorize?a=b%26", "/common/oauth2/v2.0/authorize?a=b%26"),
            ("https://evil/device", "/sessions"),
            ("//evil/device", "/sessions"),
            ("/\\evil", "/sessions"),
            ("\\\\evil", "/sessions"),
            ("/%2f/evil", "/sessions"),
            ("//evil/oauth2/v2.0/authorize", "/sessions"),
            ("/%2F%2Fevil/oauth2/v2.0/authorize", "/%2F%2Fevil/oauth2/v2.0/authorize"),
            ("/device#//evil", "/sessions"),
            ("/device\r\nset-cookie: a=b", "/sessions"),
            ("/device?\u{202e}", "/sessions"),
            ("javascript:alert(1)", "/sessions"),
            ("/signout", "/sessions"),
            ("/healthz", "/sessions"),
            ("device", "/sessions"),
            ("", "/sessions"),
        ] {
            assert_eq!(Next::read(sent).as_str(), next, "{sent:?}");
        }
        let long = format!("/device?{}", "x".repeat(PLACE_BYTES_MAX));
        assert_eq!(Next::read(&long).as_str(), "/sessions");
        assert_eq!(Next::read("/device?a=b").sign_in(), "/signin?next=%2Fdevice%3Fa%3Db");
    }
}
