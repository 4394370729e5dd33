//! The one client for every call that the server makes to others.
//!
//! Where it calls is often somebody else's word: a provider's document, a receiver's URL. So it speaks
//! `https` alone, looks at every address before it connects to it, follows no redirect, and bounds what
//! it waits for and what it reads.

mod call;
mod reach;
mod trust;

use std::{
    error::Error,
    net::{IpAddr, SocketAddr},
    path::PathBuf,
    sync::Arc,
    time::Duration,
};

use hourgate_api::text::escaped;
use ipnet::IpNet;
use reqwest::{Client, dns, redirect};
use tokio::sync::Semaphore;

pub use self::{
    call::{Answer, Call, HttpsUrl, NotHttps},
    reach::{Forbidden, Kind, Reach},
};

/// How many calls are under way at a time; the others wait within their own time. Each takes a connection,
/// and a thread while a name is resolved.
const CALLS_MAX: usize = 64;
/// How many connections to one host are kept for the next call.
const IDLE_PER_HOST_MAX: usize = 4;
/// How long they are kept.
const IDLE_MAX: Duration = Duration::from_secs(30);
/// How many addresses of a name are tried.
const ADDRESSES_MAX: usize = 16;
/// How many lines an answer's head may have.
const HEADERS_MAX: usize = 100;
/// How much of another's words about a failure is repeated in the log.
const WHY_CHARS_MAX: usize = 300;

/// What the operator says about outgoing calls.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OutgoingConfig {
    /// Special addresses that may be called all the same.
    pub allow: Vec<IpNet>,
    /// Certificates that are believed besides the system's: PEM.
    pub ca: Option<PathBuf>,
}

/// How long is waited, at most.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// For a connection.
    pub connect: Duration,
    /// For a whole call, from the name's resolution to the last byte.
    pub whole: Duration,
}

impl Default for Limits {
    /// A person waits at a sign-in page for the whole of it.
    fn default() -> Limits {
        Limits { connect: Duration::from_secs(3), whole: Duration::from_secs(10) }
    }
}

/// Why no calls can be made.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The file of certificates cannot be used.
    #[error("ca of [outgoing] is {}, which cannot be used: {}", .0.display(), .1)]
    Ca(PathBuf, String),
    /// TLS cannot be set up.
    #[error("TLS for outgoing calls cannot be set up: {0}")]
    Tls(rustls::Error),
    /// The client cannot be made.
    #[error("outgoing calls cannot be set up: {0}")]
    Client(reqwest::Error),
}

/// Why a call had no answer. The words are for the log: what the network looks like from here is nothing
/// for a caller.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OutgoingError {
    /// It leads where no call goes.
    #[error("it is not called: {0}")]
    Forbidden(Forbidden),
    /// It took too long.
    #[error("it did not answer within {} s", .0.as_secs_f32())]
    TooSlow(Duration),
    /// The answer is too large.
    #[error("its answer has more than {0} bytes")]
    TooLarge(usize),
    /// No connection, no TLS, or no HTTP.
    #[error("it is not reached: {0}")]
    Failed(String),
}

/// Makes calls.
#[derive(Debug)]
pub struct Outgoing {
    client: Client,
    reach: Arc<Reach>,
    places: Semaphore,
    whole: Duration,
}

impl Outgoing {
    /// Reads the certificates that are believed, and makes the client.
    pub fn open(config: &OutgoingConfig, limits: Limits) -> Result<Outgoing, OpenError> {
        let reach = Arc::new(Reach::new(config.allow.clone()));
        let client = Client::builder()
            .tls_backend_preconfigured(trust::client(config.ca.as_deref())?)
            .https_only(true)
            .http1_only()
            .http1_max_headers(HEADERS_MAX)
            .redirect(redirect::Policy::none())
            // HTTPS_PROXY and its kind would resolve names elsewhere, past every check.
            .no_proxy()
            .referer(false)
            .user_agent(concat!("hourgate/", env!("CARGO_PKG_VERSION")))
            .dns_resolver(Arc::new(Checked(Arc::clone(&reach))))
            .connect_timeout(limits.connect)
            .pool_max_idle_per_host(IDLE_PER_HOST_MAX)
            .pool_idle_timeout(IDLE_MAX)
            .build()
            .map_err(OpenError::Client)?;
        Ok(Outgoing { client, reach, places: Semaphore::new(CALLS_MAX), whole: limits.whole })
    }

    /// Tests what the operator says, without making a client.
    pub fn check(config: &OutgoingConfig) -> Result<(), OpenError> {
        config.ca.as_deref().map_or(Ok(()), |ca| trust::certificates(ca).map(|_| ()))
    }

    /// Makes one call, and reads its answer whole. An answer of any status is an answer.
    pub async fn make(&self, call: Call<'_>) -> Result<Answer, OutgoingError> {
        let made = tokio::time::timeout(self.whole, self.at_once(call)).await;
        made.unwrap_or(Err(OutgoingError::TooSlow(self.whole)))
    }

    async fn at_once(&self, call: Call<'_>) -> Result<Answer, OutgoingError> {
        // An address that stands in the URL itself is resolved by nobody.
        if let Some(address) = call.url().address() {
            self.reach.check(address).map_err(OutgoingError::Forbidden)?;
        }
        let _place = self.places.acquire().await.map_err(|error| failed(&error))?;
        let bytes_max = call.bytes_max();
        let mut response = call.request(&self.client).send().await.map_err(why)?;
        if response.content_length().is_some_and(|length| length > bytes_max as u64) {
            return Err(OutgoingError::TooLarge(bytes_max));
        }
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(why)? {
            if body.len().saturating_add(chunk.len()) > bytes_max {
                return Err(OutgoingError::TooLarge(bytes_max));
            }
            body.extend_from_slice(&chunk);
        }
        Ok(Answer { status: response.status().as_u16(), body })
    }
}

/// Resolves names, and gives only addresses that may be called; those are connected to, and no others.
struct Checked(Arc<Reach>);

impl dns::Resolve for Checked {
    fn resolve(&self, name: dns::Name) -> dns::Resolving {
        let reach = Arc::clone(&self.0);
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let found: Vec<IpAddr> = found.take(ADDRESSES_MAX).map(|found| found.ip()).collect();
            let checked = reach.check_all(found)?;
            let addresses = checked.into_iter().map(|address| SocketAddr::new(address, 0));
            Ok(Box::new(addresses) as dns::Addrs)
        })
    }
}

/// What stopped a call: our own resolver's word, if it is among the causes.
fn why(error: reqwest::Error) -> OutgoingError {
    let mut cause: Option<&(dyn Error + 'static)> = Some(&error);
    while let Some(one) = cause {
        if let Some(forbidden) = one.downcast_ref::<Forbidden>() {
            return OutgoingError::Forbidden(*forbidden);
        }
        cause = one.source();
    }
    failed(&error.without_url())
}

/// A failure in one line, with its causes.
fn failed(error: &(dyn Error + 'static)) -> OutgoingError {
    let mut said = vec![error.to_string()];
    let mut cause = error.source();
    while let Some(one) = cause {
        said.push(one.to_string());
        cause = one.source();
    }
    said.dedup();
    OutgoingError::Failed(escaped(&said.join(": "), WHY_CHARS_MAX))
}
