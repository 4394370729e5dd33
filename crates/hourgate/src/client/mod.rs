//! Talks to the server: one connection, one CA that is believed, one token kept in memory.

use std::{net::IpAddr, time::Duration};

use hourgate_core::network::Family;
use reqwest::{Certificate, Method, Response, StatusCode, Url, header, redirect};
use serde_json::Value;
use tokio::sync::Mutex;

use crate::{
    clock::Patience,
    exit::{Exit, Failure},
    profile::{Profile, Trust},
    view::not_understood,
};

mod failure;
pub(crate) mod pin;
pub(crate) mod token;

use failure::refused;
pub(crate) use failure::unreached;

/// How long a connection may take to come about.
const CONNECT_MAX: Duration = Duration::from_secs(10);
/// How long the server may take to answer, beyond what it was asked to wait.
const ANSWER_MAX: Duration = Duration::from_secs(30);
/// The largest answer that is read: a list of 5,000 VMs with their requests fits many times.
const ANSWER_BYTES_MAX: usize = 256 * 1024 * 1024;
/// How many pages of a list are followed.
const PAGES_MAX: usize = 10_000;
/// How long to wait when the server is busy and does not say how long.
const BUSY_PAUSE: Duration = Duration::from_secs(1);

/// A server, as the profile describes it.
pub(crate) struct Client {
    http: reqwest::Client,
    profile: Profile,
    token: Mutex<Option<String>>,
    /// How long the command may wait for what it asked to come about.
    pub(crate) patience: Patience,
}

/// One call.
pub(crate) struct Call<'a> {
    method: Method,
    path: &'a str,
    body: Option<&'a Value>,
    headers: Vec<(&'static str, String)>,
    wait: Duration,
}

/// What the server answered, when it did not refuse.
#[derive(Clone, Debug)]
pub(crate) struct Reply {
    /// The version of the resource.
    pub(crate) etag: Option<String>,
    /// The body; null if there was none.
    pub(crate) body: Value,
}

impl<'a> Call<'a> {
    /// A call without a body.
    pub(crate) fn new(method: Method, path: &'a str) -> Call<'a> {
        Call { method, path, body: None, headers: Vec::new(), wait: Duration::ZERO }
    }

    /// The same call, with a body.
    pub(crate) fn body(self, body: &'a Value) -> Call<'a> {
        Call { body: Some(body), ..self }
    }

    /// The same call, with a header.
    pub(crate) fn header(mut self, name: &'static str, value: impl Into<String>) -> Call<'a> {
        self.headers.push((name, value.into()));
        self
    }

    /// The same call, to which the server may take that long to answer.
    pub(crate) fn wait(self, wait: Duration) -> Call<'a> {
        Call { wait, ..self }
    }
}

impl Client {
    /// A client of the profile's server, over one family of addresses if `family` says which.
    pub(crate) fn new(
        profile: Profile,
        family: Option<Family>,
        timeout: Duration,
    ) -> Result<Client, Failure> {
        let builder = builder();
        let builder = match roots(&profile.trust)? {
            Some(roots) => builder.tls_certs_only(roots),
            None => builder,
        };
        let builder = match family {
            // An unspecified local address of a family leaves only that family to connect over.
            Some(Family::V4) => builder.local_address(IpAddr::from([0; 4])),
            Some(Family::V6) => builder.local_address(IpAddr::from([0; 16])),
            None => builder,
        };
        let http = builder.build().map_err(|error| {
            Failure::new(Exit::Unreached, format!("No connection can be prepared: {error}."))
        })?;
        Ok(Client { http, profile, token: Mutex::new(None), patience: Patience::new(timeout) })
    }

    /// The profile it was made of.
    pub(crate) fn profile(&self) -> &Profile {
        &self.profile
    }

    /// Whether the server can be connected to at all, over this client's family.
    pub(crate) async fn reaches(&self) -> bool {
        self.http.get(self.url("/healthz")).timeout(CONNECT_MAX).send().await.is_ok()
    }

    /// Reads a resource.
    pub(crate) async fn get(&self, path: &str) -> Result<Reply, Failure> {
        self.send(Call::new(Method::GET, path)).await
    }

    /// Reads all pages of a list, as one array.
    pub(crate) async fn list(&self, path: &str) -> Result<Vec<Value>, Failure> {
        let mut all = Vec::new();
        let mut next = path.to_owned();
        for _ in 0..PAGES_MAX {
            let mut page = self.get(&next).await?.body;
            match page.get_mut("value").map(Value::take) {
                Some(Value::Array(items)) => all.extend(items),
                Some(_) | None => return Err(not_understood("a list without `value`")),
            }
            match page.get("nextLink").and_then(Value::as_str) {
                // Only path and query: our token goes to the profile's server, whatever the link says.
                Some(link) => match Url::parse(link) {
                    Ok(link) => next = link[url::Position::BeforePath..].to_owned(),
                    Err(_) => return Err(not_understood("a nextLink that is no URL")),
                },
                None => return Ok(all),
            }
        }
        Err(not_understood("a list without an end"))
    }

    /// Calls the server.
    pub(crate) async fn send(&self, call: Call<'_>) -> Result<Reply, Failure> {
        let refused = || refused(StatusCode::PRECONDITION_FAILED, b"");
        self.send_if(call).await?.ok_or_else(refused)
    }

    /// Calls the server, with a token; renews the token and waits where the server is busy. Nothing if
    /// the resource does not stand as the call says (412).
    pub(crate) async fn send_if(&self, call: Call<'_>) -> Result<Option<Reply>, Failure> {
        let mut renewed = false;
        loop {
            let token = self.token(renewed).await?;
            let response = self.send_once(&call, &token).await?;
            let status = response.status();
            if status == StatusCode::UNAUTHORIZED && !renewed {
                renewed = true;
                continue;
            }
            // 429 is said before anything is done, so any call may be repeated.
            let pause = retry_after(&response).unwrap_or(BUSY_PAUSE);
            if status == StatusCode::TOO_MANY_REQUESTS && self.patience.left() > pause {
                self.patience.pause(pause).await;
                continue;
            }
            let etag = response.headers().get(header::ETAG);
            let etag = etag.and_then(|etag| etag.to_str().ok()).map(str::to_owned);
            let body = self.read(response).await?;
            if status == StatusCode::PRECONDITION_FAILED {
                return Ok(None);
            }
            if !status.is_success() {
                return Err(refused(status, &body));
            }
            let body = if body.is_empty() {
                Value::Null
            } else {
                serde_json::from_slice(&body)
                    .map_err(|_| not_understood("a body that is no JSON"))?
            };
            return Ok(Some(Reply { etag, body }));
        }
    }

    async fn send_once(&self, call: &Call<'_>, token: &str) -> Result<Response, Failure> {
        let mut request = self
            .http
            .request(call.method.clone(), self.url(call.path))
            .bearer_auth(token)
            .timeout(call.wait.saturating_add(ANSWER_MAX));
        for (name, value) in &call.headers {
            request = request.header(*name, value);
        }
        request = match call.body {
            Some(body) => request.json(body),
            // Servers ask for a length where a body could be.
            None if call.method == Method::POST => request.header(header::CONTENT_LENGTH, 0),
            None => request,
        };
        request.send().await.map_err(|error| unreached(&self.profile.server, &error))
    }

    async fn read(&self, mut response: Response) -> Result<Vec<u8>, Failure> {
        let mut body = Vec::new();
        let cut = |error| unreached(&self.profile.server, &error);
        while let Some(chunk) = response.chunk().await.map_err(cut)? {
            if body.len() + chunk.len() > ANSWER_BYTES_MAX {
                return Err(not_understood("a body of more than 256 MiB"));
            }
            body.extend_from_slice(&chunk);
        }
        Ok(body)
    }

    fn url(&self, path_and_query: &str) -> Url {
        let mut url = self.profile.server.clone();
        let (path, query) = match path_and_query.split_once('?') {
            Some((path, query)) => (path, Some(query)),
            None => (path_and_query, None),
        };
        url.set_path(path);
        url.set_query(query);
        url
    }
}

/// How every connection to a server is made.
pub(crate) fn builder() -> reqwest::ClientBuilder {
    // A second installation is refused and changes nothing.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    reqwest::Client::builder()
        .https_only(true)
        // A proxy's address would be taken for ours, and a redirect would carry our token away.
        .no_proxy()
        .redirect(redirect::Policy::none())
        .connect_timeout(CONNECT_MAX)
        .user_agent(concat!("hourgate/", env!("CARGO_PKG_VERSION")))
}

/// The certificates that are believed; none where those of this machine are.
pub(crate) fn roots(trust: &Trust) -> Result<Option<Vec<Certificate>>, Failure> {
    let (shown, pem) = match trust {
        Trust::Public => return Ok(None),
        Trust::Pem(pem) => ("of the profile".to_owned(), Ok(pem.clone().into_bytes())),
        Trust::File(path) => (format!("{} of the profile", path.display()), std::fs::read(path)),
    };
    let wrong = |why: String| {
        Failure::usage(format!("The CA {shown} cannot be used: {why}."))
            .advise("It is the server's `ca.pem`; the next start of the server renews its path.")
    };
    let pem = pem.map_err(|error| wrong(error.to_string()))?;
    let roots = Certificate::from_pem_bundle(&pem).map_err(|error| wrong(error.to_string()))?;
    if roots.is_empty() {
        return Err(wrong("it holds no certificate".to_owned()));
    }
    Ok(Some(roots))
}

fn retry_after(response: &Response) -> Option<Duration> {
    let seconds = response.headers().get(header::RETRY_AFTER)?.to_str().ok()?;
    seconds.parse().ok().map(Duration::from_secs)
}
