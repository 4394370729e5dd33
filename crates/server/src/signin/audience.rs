//! Whom a token is for: this server, by each URL that leads to it.
//!
//! A token that names another resource is given to nobody and lets nobody in: whoever was meant to have it
//! would come here with it in its owner's name.

use std::{
    collections::BTreeSet,
    net::{IpAddr, SocketAddr},
};

use hyper::http::uri::Authority;

use crate::interfaces::{OwnAddresses, hostname};

/// Longest URL that is looked at; a host name has at most 253 letters.
const URL_BYTES_MAX: usize = 512;
/// The port of an `https` URL that names none.
const HTTPS_PORT: u16 = 443;

/// The URLs that lead to this server: the one that its links begin with, and each of its names on each port
/// that it listens on, as its certificate has them.
#[derive(Debug)]
pub(crate) struct Audiences {
    base: Option<Origin>,
    names: BTreeSet<String>,
    addresses: BTreeSet<IpAddr>,
    ports: BTreeSet<u16>,
    own: OwnAddresses,
}

/// Host, in lower case and without brackets, and port.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Origin {
    host: String,
    port: u16,
}

impl Audiences {
    /// Of a server that listens there, and whose links begin with `base`.
    pub(crate) fn new(base: &str, listening: &[SocketAddr], own: OwnAddresses) -> Audiences {
        let base = origin(base);
        let localhost = Some("localhost".to_owned());
        let of_base = base.as_ref().map(|base| base.host.clone());
        let loopback = [IpAddr::from([127, 0, 0, 1]), IpAddr::from([0, 0, 0, 0, 0, 0, 0, 1_u16])];
        let listened = listening.iter().map(|at| at.ip().to_canonical());
        Audiences {
            names: [localhost, hostname(), of_base].into_iter().flatten().collect(),
            addresses: listened.filter(|ip| !ip.is_unspecified()).chain(loopback).collect(),
            ports: listening.iter().map(SocketAddr::port).collect(),
            base,
            own,
        }
    }

    /// The audience of a token that names those resources; the first that is not this server, if one is not.
    /// Where none is named it is the server, by the URL that its links begin with.
    pub(super) fn of<'a>(&self, resources: &'a [String]) -> Result<String, &'a str> {
        let mut audience = None;
        for resource in resources {
            let origin = self.ours(resource).ok_or(resource.as_str())?;
            audience.get_or_insert(origin);
        }
        Ok(audience.as_ref().or(self.base.as_ref()).map(url).unwrap_or_default())
    }

    /// Whether an audience is this server.
    pub(super) fn has(&self, audience: &str) -> bool {
        self.ours(audience).is_some()
    }

    fn ours(&self, resource: &str) -> Option<Origin> {
        let origin = origin(resource)?;
        let is_base = self.base.as_ref() == Some(&origin);
        let is_named = || {
            self.names.contains(&origin.host)
                || origin
                    .host
                    .parse()
                    .is_ok_and(|ip| self.addresses.contains(&ip) || self.own.has(ip))
        };
        (is_base || (self.ports.contains(&origin.port) && is_named())).then_some(origin)
    }
}

/// The host of such a URL, and the URL as browsers write an origin.
pub(super) fn host_and_origin(base: &str) -> Option<(String, String)> {
    let origin = origin(base)?;
    let written = url(&origin);
    Some((origin.host, written))
}

/// What an `https` URL without a path leads to. Clients leave slashes at its end, az two.
fn origin(url: &str) -> Option<Origin> {
    if url.len() > URL_BYTES_MAX {
        return None;
    }
    let (scheme, rest) = url.split_once("://")?;
    let authority = rest.trim_end_matches('/');
    if !scheme.eq_ignore_ascii_case("https") || authority.contains(['/', '@', '?', '#', '\\']) {
        return None;
    }
    let authority: Authority = authority.parse().ok()?;
    let host = authority.host().trim_start_matches('[').trim_end_matches(']');
    let host = match host.parse::<IpAddr>() {
        // One way to write it: IPv6 has many.
        Ok(ip) => ip.to_canonical().to_string(),
        Err(_) => host.to_ascii_lowercase(),
    };
    // The library takes what is no port for none.
    let port = match authority.as_str().strip_prefix(authority.host())? {
        "" => HTTPS_PORT,
        port => port.strip_prefix(':').filter(|port| is_digits(port))?.parse().ok()?,
    };
    (!host.is_empty()).then_some(Origin { host, port })
}

fn is_digits(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_digit())
}

fn url(Origin { host, port }: &Origin) -> String {
    let host = if host.contains(':') { format!("[{host}]") } else { host.clone() };
    if *port == HTTPS_PORT { format!("https://{host}") } else { format!("https://{host}:{port}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn audiences(base: &str) -> Audiences {
        let at = ["10.0.0.1:8443".parse().expect("one"), "[::]:9443".parse().expect("one")];
        Audiences::new(base, &at, OwnAddresses::default())
    }

    #[test]
    fn a_server_is_who_its_certificate_says_on_its_own_ports() {
        let server = audiences("https://Gate.example.com");
        for (sent, is) in [
            ("https://gate.example.com", Some("https://gate.example.com")),
            ("https://gate.example.com:443//", Some("https://gate.example.com")),
            ("https://gate.example.com:8443", Some("https://gate.example.com:8443")),
            ("https://LOCALHOST:9443/", Some("https://localhost:9443")),
            ("https://10.0.0.1:8443", Some("https://10.0.0.1:8443")),
            ("https://[::ffff:10.0.0.1]:8443", Some("https://10.0.0.1:8443")),
            ("https://[0:0::1]:9443", Some("https://[::1]:9443")),
            ("https://gate.example.com:1", None),
            ("https://localhost", None),
            ("https://0.0.0.0:8443", None),
            ("https://10.0.0.2:8443", None),
            ("https://gate.example.com.evil", None),
            ("https://localhost:8443@evil", None),
            ("https://localhost:8443/x", None),
            ("https://localhost:8443#", None),
            ("https://localhost:", None),
            ("https://gate.example.com:", None),
            ("https://gate.example.com:99999", None),
            ("https://gate.example.com:+443", None),
            ("https://", None),
            ("http://localhost:8443", None),
            ("localhost:8443", None),
            ("", None),
        ] {
            let named = [sent.to_owned()];
            assert_eq!(server.of(&named).ok().as_deref(), is, "{sent}");
            assert_eq!(server.has(sent), is.is_some(), "{sent}");
        }
    }

    #[test]
    fn of_several_all_are_this_server_or_the_one_that_is_not_is_told() {
        let server = audiences("https://localhost:8443");
        let (own, other) = ("https://localhost:8443".to_owned(), "https://evil".to_owned());
        assert_eq!(server.of(&[]), Ok(own.clone()));
        assert_eq!(server.of(&[own.clone(), own.clone()]), Ok(own.clone()));
        assert_eq!(server.of(&[own.clone(), other.clone()]), Err(other.as_str()));
        assert_eq!(server.of(&[other.clone(), own]), Err(other.as_str()));
    }
}
