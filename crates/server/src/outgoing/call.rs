//! One call to somebody else, and what came back.

use std::{fmt, net::IpAddr};

use reqwest::{
    Client, RequestBuilder, Url,
    header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE},
};
use serde::de::DeserializeOwned;

/// Longest URL that is called; browsers and proxies take no longer ones for granted.
const URL_BYTES_MAX: usize = 2_048;
/// How much of an answer is read where the call does not say: Entra ID's keys have 20 kB.
const ANSWER_BYTES_MAX: usize = 256 << 10;

/// A text is no URL that may be called.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "an https URL of at most {URL_BYTES_MAX} bytes, without user name or fragment, is accepted"
)]
pub struct NotHttps;

/// An `https` URL.
#[derive(Clone, PartialEq, Eq)]
pub struct HttpsUrl(Url);

impl HttpsUrl {
    /// Reads a URL.
    pub fn parse(text: &str) -> Result<HttpsUrl, NotHttps> {
        if text.len() > URL_BYTES_MAX {
            return Err(NotHttps);
        }
        let url = Url::parse(text).map_err(|_| NotHttps)?;
        let plain = url.username().is_empty() && url.password().is_none();
        let fits = url.scheme() == "https" && url.has_host() && plain && url.fragment().is_none();
        if fits { Ok(HttpsUrl(url)) } else { Err(NotHttps) }
    }

    /// The address that stands in it in place of a name. Whatever way it was written, hexadecimal or with
    /// parts left out, reading the URL has made it an address.
    pub fn address(&self) -> Option<IpAddr> {
        let host = self.0.host_str()?;
        host.trim_start_matches('[').trim_end_matches(']').parse().ok()
    }

    /// The same with more in its query, encoded.
    #[must_use]
    pub fn with_query<'a>(&self, pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> HttpsUrl {
        let mut url = self.0.clone();
        url.query_pairs_mut().extend_pairs(pairs);
        HttpsUrl(url)
    }

    /// As text.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }
}

impl fmt::Debug for HttpsUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

/// A call that can be made.
pub struct Call<'a> {
    url: &'a HttpsUrl,
    form: Option<String>,
    authorization: Option<String>,
    bytes_max: usize,
}

impl<'a> Call<'a> {
    /// Asks for JSON.
    pub fn get(url: &'a HttpsUrl) -> Call<'a> {
        Call { url, form: None, authorization: None, bytes_max: ANSWER_BYTES_MAX }
    }

    /// Sends a form, and asks for JSON.
    pub fn form<'b>(
        url: &'a HttpsUrl,
        pairs: impl IntoIterator<Item = (&'b str, &'b str)>,
    ) -> Call<'a> {
        let form = form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish();
        Call { form: Some(form), ..Call::get(url) }
    }

    /// With what stands in the header `Authorization`.
    #[must_use]
    pub fn authorized(self, authorization: String) -> Call<'a> {
        Call { authorization: Some(authorization), ..self }
    }

    /// With another bound on its answer, in bytes.
    #[must_use]
    pub fn at_most(self, bytes_max: usize) -> Call<'a> {
        Call { bytes_max, ..self }
    }

    pub(super) fn url(&self) -> &HttpsUrl {
        self.url
    }

    pub(super) fn bytes_max(&self) -> usize {
        self.bytes_max
    }

    pub(super) fn request(self, client: &Client) -> RequestBuilder {
        let url = self.url.0.clone();
        let request = match self.form {
            None => client.get(url),
            Some(form) => {
                let kind = "application/x-www-form-urlencoded";
                client.post(url).header(CONTENT_TYPE, kind).body(form)
            }
        };
        let request = request.header(ACCEPT, "application/json");
        match self.authorization {
            None => request,
            Some(authorization) => request.header(AUTHORIZATION, authorization),
        }
    }
}

/// What came back, whole.
#[derive(Clone, PartialEq, Eq)]
pub struct Answer {
    /// The status code.
    pub status: u16,
    /// The body, within the call's bound.
    pub body: Vec<u8>,
}

impl Answer {
    /// The body as JSON; none where it is something else.
    pub fn json<T: DeserializeOwned>(&self) -> Option<T> {
        serde_json::from_slice(&self.body).ok()
    }
}

/// Without the body: tokens come in it.
impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Answer {{ status: {}, body: {} bytes }}", self.status, self.body.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_https_is_called_and_nobody_signs_in_by_url() {
        for text in ["https://example.com", "https://[::1]:8443/a?b=c", "https://10.0.0.1"] {
            assert!(HttpsUrl::parse(text).is_ok(), "{text}");
        }
        let long = format!("https://example.com/{}", "a".repeat(URL_BYTES_MAX));
        let refused = [
            "http://example.com",
            "ftp://example.com",
            "file:///etc/passwd",
            "https://user@example.com",
            "https://:secret@example.com",
            "https://example.com/#part",
            "https://",
            "example.com",
            "data:,x",
            &long,
        ];
        for text in refused {
            assert_eq!(HttpsUrl::parse(text), Err(NotHttps), "{text}");
        }
    }

    #[test]
    fn an_address_is_seen_however_it_is_written() {
        let loopback = "127.0.0.1 127.1 0x7f.1 2130706433 017700000001 127.0.0.1:443";
        for host in loopback.split(' ') {
            let url = HttpsUrl::parse(&format!("https://{host}/")).expect("a URL");
            assert_eq!(url.address(), Some(IpAddr::from([127, 0, 0, 1])), "{host}");
        }
        let mapped = HttpsUrl::parse("https://[::ffff:7f00:1]/").expect("a URL");
        let address = mapped.address().expect("an address");
        assert_eq!(address.to_canonical(), IpAddr::from([127, 0, 0, 1]));
        assert_eq!(HttpsUrl::parse("https://localhost/").expect("a URL").address(), None);
    }

    #[test]
    fn what_goes_into_a_query_changes_nothing_else() {
        let url = HttpsUrl::parse("https://example.com/authorize?p=1").expect("a URL");
        let with = url.with_query([("state", "a&b=c#d"), ("scope", "openid email")]);
        let text = "https://example.com/authorize?p=1&state=a%26b%3Dc%23d&scope=openid+email";
        assert_eq!(with.as_str(), text);
    }
}
