//! Ports, sources and prefixes as people type them, with what is wrong said in their words.

use std::net::IpAddr;

use hourgate_core::{
    id::{Location, Name},
    network::{Port, Source, SourceError},
};
use ipnet::IpNet;

/// Reads a TCP port.
pub(crate) fn port(text: &str) -> Result<Port, String> {
    text.trim()
        .parse()
        .ok()
        .and_then(Port::new)
        .ok_or_else(|| format!("`{text}` is no port: a number from 1 to 65535"))
}

/// Reads an address, a prefix, or `*` (also `any`).
pub(crate) fn source(text: &str) -> Result<Source, String> {
    text.trim().parse().map_err(|error: SourceError| match error {
        SourceError::NotAnAddress => format!(
            "`{text}` is no source: an address (203.0.113.9), a prefix (203.0.113.0/24) or *"
        ),
        SourceError::HostBits { meant } => {
            format!("`{text}` has bits set behind its length: was {meant} meant?")
        }
        SourceError::Mapped => {
            format!("`{text}` is an IPv4 address dressed as IPv6: write it as IPv4")
        }
    })
}

/// Reads a private address of a VM.
pub(crate) fn address(text: &str) -> Result<IpAddr, String> {
    text.trim().parse().map_err(|_| format!("`{text}` is no address, such as 10.0.0.4 or fd00::4"))
}

/// Reads a prefix that a guard covers; an address is the prefix of itself alone.
pub(crate) fn prefix(text: &str) -> Result<IpNet, String> {
    let text = text.trim();
    let alone = text.parse::<IpAddr>().ok().map(IpNet::from);
    let net = alone.or_else(|| text.parse().ok()).ok_or_else(|| {
        format!("`{text}` is no prefix and no address, such as 10.0.0.0/8 or fd00::4")
    })?;
    if net.trunc() == net {
        Ok(net)
    } else {
        Err(format!("`{text}` has bits set behind its length: was {} meant?", net.trunc()))
    }
}

/// Reads a name of a resource or a resource group.
pub(crate) fn name(text: &str) -> Result<Name, String> {
    text.parse().map_err(|_| {
        "a name has 1 to 90 letters, digits or - . _ ( ), and neither begins with - or . nor ends \
         with ."
            .to_owned()
    })
}

/// Reads a location.
pub(crate) fn location(text: &str) -> Result<Location, String> {
    text.parse().map_err(|_| "a location is a name such as westeurope or local".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_are_1_to_65535() {
        assert_eq!(port("22").map(Port::number), Ok(22));
        assert_eq!(port("65535").map(Port::number), Ok(65_535));
        for text in ["0", "65536", "-1", "ssh", "", "22-25", "2 2"] {
            assert!(port(text).expect_err(text).contains("1 to 65535"), "{text}");
        }
    }

    #[test]
    fn what_a_guard_covers_is_a_prefix_or_an_address() {
        for (text, meant) in
            [("10.0.0.0/8", "10.0.0.0/8"), ("10.0.0.4", "10.0.0.4/32"), (" fd00::4", "fd00::4/128")]
        {
            assert_eq!(prefix(text).map(|net| net.to_string()).as_deref(), Ok(meant));
        }
        assert!(prefix("10.0.0.4/24").expect_err("host bits").contains("10.0.0.0/24"));
        for text in ["", "*", "10.0.0.300", "10.0.0.0/33"] {
            assert!(prefix(text).expect_err(text).contains("no prefix and no address"), "{text}");
        }
    }

    #[test]
    fn a_source_with_host_bits_is_told_what_was_meant() {
        assert_eq!(source("any"), Ok(Source::Any));
        assert!(source("10.0.0.0/8").is_ok());
        assert!(source("10.0.0.4/24").expect_err("host bits").contains("10.0.0.0/24"));
        assert!(source("::ffff:10.0.0.4").expect_err("mapped").contains("IPv4"));
        assert!(source("example.com").expect_err("a name").contains("203.0.113.0/24"));
    }

    #[test]
    fn names_that_would_be_options_are_none() {
        assert!(name("web-1").is_ok());
        for text in ["-oProxyCommand=x", "", "web 1", "web\u{1b}[2J", "ẃeb", "a/b", "web."] {
            assert!(name(text).is_err(), "{text}");
        }
    }
}
