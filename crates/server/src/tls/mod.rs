//! TLS: our own authority, a certificate that renews itself, and what a handshake may cost.

mod authority;

use std::{
    net::{IpAddr, SocketAddr},
    path::PathBuf,
    sync::{Arc, PoisonError, RwLock},
};

use hourgate_core::time::{Clock, Timestamp, distance};
use rustls::{
    ServerConfig,
    crypto::aws_lc_rs,
    server::{ClientHello, ResolvesServerCert},
    sign::CertifiedKey,
};

use self::authority::{Authority, LEAF_RENEWED_BEFORE, Names};
use crate::{
    config::Config, data_dir::DataDir, interfaces, interfaces::OwnAddresses, mint::NoRandomness,
};

/// Why there is no TLS.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file of it cannot be read or written.
    #[error("{}: {}", .0.display(), .1)]
    File(PathBuf, std::io::Error),
    /// A file of it is not what was written.
    #[error(
        "{} is damaged or does not belong to the key beside it; move both away to have new ones made, \
         which clients must then be given", .0.display()
    )]
    Unreadable(PathBuf),
    /// A certificate cannot be made.
    #[error("a certificate cannot be made: {0}")]
    Certificate(#[from] rcgen::Error),
    /// TLS refuses a key or a setting.
    #[error("TLS cannot be set up: {0}")]
    Tls(#[from] rustls::Error),
    /// The kernel gives no randomness.
    #[error(transparent)]
    NoRandomness(NoRandomness),
}

/// The server's TLS.
pub(crate) struct Tls {
    authority: Authority,
    needed: Names,
    own: OwnAddresses,
    leaf: Arc<Leaf>,
    clock: Arc<dyn Clock>,
}

/// The certificate in use.
#[derive(Debug)]
struct Leaf(RwLock<Issued>);

#[derive(Debug)]
struct Issued {
    key: Arc<CertifiedKey>,
    names: Names,
    until: Timestamp,
}

impl ResolvesServerCert for Leaf {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.0.read().unwrap_or_else(PoisonError::into_inner).key.clone())
    }
}

impl Tls {
    /// Loads or makes the authority, and has a certificate issued.
    pub(crate) fn open(
        dir: &DataDir,
        config: &Config,
        bound: &[SocketAddr],
        own: OwnAddresses,
        clock: Arc<dyn Clock>,
    ) -> Result<Tls, TlsError> {
        let now = clock.now().wall;
        let needed = needed(config, bound);
        let authority = Authority::open(dir, &needed, &found(&own), now)?;
        let names = names(&authority, &needed, &own);
        let (key, until) = authority.issue(&names, now)?;
        let leaf = Arc::new(Leaf(RwLock::new(Issued { key: Arc::new(key), names, until })));
        Ok(Tls { authority, needed, own, leaf, clock })
    }

    /// What connections are accepted with; certificates renewed later are in it.
    pub(crate) fn server_config(&self) -> Result<Arc<ServerConfig>, TlsError> {
        let mut config =
            ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
                .with_safe_default_protocol_versions()?
                .with_no_client_auth()
                .with_cert_resolver(self.leaf.clone());
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(Arc::new(config))
    }

    /// Renews the certificate if its names have changed or a third of its life is left.
    pub(crate) fn renew_if_due(&self) -> Result<bool, TlsError> {
        let now = self.clock.now().wall;
        let names = names(&self.authority, &self.needed, &self.own);
        {
            let issued = self.leaf.0.read().unwrap_or_else(PoisonError::into_inner);
            if issued.names == names && distance(now, issued.until) > LEAF_RENEWED_BEFORE {
                return Ok(false);
            }
        }
        let (key, until) = self.authority.issue(&names, now)?;
        let mut issued = self.leaf.0.write().unwrap_or_else(PoisonError::into_inner);
        *issued = Issued { key: Arc::new(key), names, until };
        Ok(true)
    }

    /// The authority's fingerprint, if people must be told it: it is new.
    pub(crate) fn fresh_fingerprint(&self) -> Option<String> {
        self.authority.fresh.then(|| self.authority.fingerprint())
    }
}

/// What the operator configured, and what every installation has.
fn needed(config: &Config, bound: &[SocketAddr]) -> Names {
    let mut names = Names::default();
    for host in ["localhost", "127.0.0.1", "::1"] {
        names.add(host);
    }
    let listening = bound.iter().map(SocketAddr::ip).filter(|address| !address.is_unspecified());
    names.ips.extend(listening.map(unmapped));
    if let Some(public) = &config.public_url {
        names.add(&public.host);
    }
    names
}

/// What this machine has of its own.
fn found(own: &OwnAddresses) -> Names {
    let mut names = Names { ips: own.all(), ..Names::default() };
    if let Some(hostname) = interfaces::hostname() {
        names.add(&hostname);
    }
    names
}

fn names(authority: &Authority, needed: &Names, own: &OwnAddresses) -> Names {
    let mut names = found(own);
    names.dns.extend(needed.dns.iter().cloned());
    names.ips.extend(needed.ips.iter().copied());
    names.within(&authority.permitted)
}

fn unmapped(address: IpAddr) -> IpAddr {
    address.to_canonical()
}
