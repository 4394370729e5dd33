//! The clients that hold no secret: which there are, and where a code may be sent for them.

use std::net::IpAddr;

use url::{Host, Url};
use uuid::Uuid;

/// Longest redirect URI that is looked at.
const REDIRECT_BYTES_MAX: usize = 512;

/// A client that anybody can claim to be: what it gets, somebody who signs in has approved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Client {
    /// `hourgate`, the command.
    Command,
    /// Azure's command line.
    AzureCli,
}

/// Where a code is sent: to a server that the client itself runs, on the machine of whoever signs in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Redirect(Url);

impl Client {
    /// Every one.
    const ALL: [Client; 2] = [Client::Command, Client::AzureCli];

    /// By its id.
    pub(crate) fn of(id: &str) -> Option<Client> {
        let id = id.parse::<Uuid>().ok()?;
        Client::ALL.into_iter().find(|client| client.id() == id)
    }

    /// What it calls itself. That of Azure's command line is Microsoft's own: it sends no other.
    pub(crate) const fn id(self) -> Uuid {
        match self {
            Client::Command => hourgate_api::token::COMMAND_CLIENT,
            Client::AzureCli => Uuid::from_u128(0x04b0_7795_8ddb_461a_bbee_02f9_e1bf_7b46),
        }
    }

    /// What people call it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Client::Command => "the hourgate command",
            Client::AzureCli => "Azure CLI (az)",
        }
    }

    /// Whether a code may be sent there for this client: to a port of loopback, by http, which leaves the
    /// machine of whoever signs in for nobody (RFC 8252, 7.3). The command's path is one; az names none.
    ///
    /// Whoever could have it sent elsewhere would be given somebody's code.
    pub(crate) fn redirect(self, uri: &str) -> Option<Redirect> {
        if uri.len() > REDIRECT_BYTES_MAX || uri.contains(['\\', '@', '#', '?']) {
            return None;
        }
        let read = Url::parse(uri).ok()?;
        let is_loopback = match read.host()? {
            Host::Domain(name) => name == "localhost",
            Host::Ipv4(address) => IpAddr::from(address) == IpAddr::from([127, 0, 0, 1]),
            Host::Ipv6(address) => address.is_loopback(),
        };
        let path_fits = match self {
            Client::Command => read.path() == hourgate_api::token::COMMAND_REDIRECT_PATH,
            Client::AzureCli => read.path() == "/",
        };
        let fits = read.scheme() == "http" && read.port().is_some() && is_loopback && path_fits;
        // Written as it is understood, or two who read it may see two places.
        let written = read.as_str() == uri || read.as_str() == format!("{uri}/");
        (fits && written).then_some(Redirect(read))
    }
}

impl Redirect {
    /// Scheme, host and port, as a page's policy names it.
    pub(crate) fn origin(&self) -> String {
        self.0.origin().ascii_serialization()
    }

    /// With these parameters.
    pub(crate) fn with(&self, parameters: &[(&str, &str)]) -> String {
        let mut url = self.0.clone();
        url.query_pairs_mut().extend_pairs(parameters);
        url.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_goes_to_loopback_and_nowhere_else() {
        for (uri, command, az) in [
            ("http://127.0.0.1:4711/signed-in", true, false),
            ("http://localhost:4711/signed-in", true, false),
            ("http://[::1]:4711/signed-in", true, false),
            ("http://localhost:4711", false, true),
            ("http://localhost:4711/", false, true),
            ("http://localhost/", false, false),
            ("https://localhost:4711/", false, false),
            ("http://localhost:4711/elsewhere", false, false),
            ("http://localhost:4711/signed-in/", false, false),
            ("http://localhost:4711/x/../signed-in", false, false),
            ("http://localhost:4711/signed-in?x=1", false, false),
            ("http://localhost:4711/signed-in#x", false, false),
            ("http://localhost.evil:4711/signed-in", false, false),
            ("http://localhost:4711@evil/signed-in", false, false),
            ("http://evil:4711/signed-in", false, false),
            ("http://127.1:4711/signed-in", false, false),
            ("http://2130706433:4711/signed-in", false, false),
            ("http://127.0.0.2:4711/signed-in", false, false),
            ("http://0.0.0.0:4711/signed-in", false, false),
            ("http:\\\\localhost:4711\\signed-in", false, false),
            (" http://localhost:4711/signed-in", false, false),
            ("http://localhost:4711/signed-in\n", false, false),
            ("http://LOCALHOST:4711/signed-in", false, false),
            ("javascript:alert(1)", false, false),
            ("data:text/html,x", false, false),
            ("//localhost:4711/signed-in", false, false),
            ("", false, false),
        ] {
            assert_eq!(Client::Command.redirect(uri).is_some(), command, "{uri}");
            assert_eq!(Client::AzureCli.redirect(uri).is_some(), az, "{uri}");
        }
        let long = format!("http://localhost:4711/{}", "x".repeat(REDIRECT_BYTES_MAX));
        assert!(Client::Command.redirect(&long).is_none());
    }

    #[test]
    fn what_is_added_to_it_is_encoded() {
        let redirect = Client::AzureCli.redirect("http://localhost:4711").expect("one");
        assert_eq!(redirect.origin(), "http://localhost:4711");
        let with = redirect.with(&[("code", "a b"), ("state", "&x=\n\"")]);
        assert_eq!(with, "http://localhost:4711/?code=a+b&state=%26x%3D%0A%22");
    }

    #[test]
    fn a_client_is_known_by_its_id() {
        let az = "04b07795-8ddb-461a-bbee-02f9e1bf7b46";
        assert_eq!(Client::of(az), Some(Client::AzureCli));
        assert_eq!(Client::of(&Client::Command.id().to_string()), Some(Client::Command));
        for other in ["", "hourgate", "00000000-0000-0000-0000-000000000000"] {
            assert_eq!(Client::of(other), None, "{other}");
        }
    }
}
