//! Proxies that carry connections instead of requests say whose each is before anything else: the header of the
//! PROXY protocol, version 2 (<https://www.haproxy.org/download/2.9/doc/proxy-protocol.txt>, 2.2).
//!
//! Only from configured proxies is it read, and from these it must come: whoever could leave it out would call with
//! the proxy's address. Version 1 is a line of text that is read to its end; it is not taken.

use std::{
    io,
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use ppp::v2::{Addresses, Command, Header, PROTOCOL_PREFIX};
use tokio::{
    io::{AsyncRead, AsyncReadExt},
    time::timeout,
};

/// What stands before the addresses: the signature, version and command, family, and the length of the rest.
const FIXED_BYTES: usize = 16;
/// Longest rest that is read. Addresses have 36 bytes at most; what extensions say of the connection is passed over.
const REST_BYTES_MAX: usize = 1_024;
/// How long the header may take. The proxy sends it before anything that it waits for.
const WITHIN: Duration = Duration::from_secs(5);

/// Whose connection it is, by the word of the proxy `peer`: the proxy's own, where it only looks whether we are there.
pub(super) async fn whose(
    stream: &mut (impl AsyncRead + Unpin),
    peer: SocketAddr,
) -> io::Result<SocketAddr> {
    timeout(WITHIN, read(stream, peer)).await?
}

async fn read(stream: &mut (impl AsyncRead + Unpin), peer: SocketAddr) -> io::Result<SocketAddr> {
    let mut header = vec![0; FIXED_BYTES];
    stream.read_exact(&mut header).await?;
    if !header.starts_with(PROTOCOL_PREFIX) {
        return Err(unusable("it does not begin with the signature of version 2"));
    }
    let rest = match header.get(14..16) {
        Some(&[high, low]) => usize::from(u16::from_be_bytes([high, low])),
        Some(_) | None => 0,
    };
    if rest > REST_BYTES_MAX {
        return Err(unusable("it is longer than any that is read"));
    }
    header.resize(FIXED_BYTES + rest, 0);
    stream.read_exact(header.get_mut(FIXED_BYTES..).unwrap_or_default()).await?;
    let header = Header::try_from(header.as_slice()).map_err(|why| unusable(&why.to_string()))?;
    match (header.command, header.addresses) {
        (Command::Local, _) => Ok(peer),
        (Command::Proxy, Addresses::IPv4(of)) => Ok(at(of.source_address.into(), of.source_port)),
        (Command::Proxy, Addresses::IPv6(of)) => Ok(at(of.source_address.into(), of.source_port)),
        (Command::Proxy, Addresses::Unix(_) | Addresses::Unspecified) => {
            Err(unusable("it names no address"))
        }
    }
}

fn at(address: IpAddr, port: u16) -> SocketAddr {
    SocketAddr::new(address.to_canonical(), port)
}

fn unusable(why: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("no usable PROXY header: {why}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PEER: &str = "10.0.0.5:4000";

    fn header(command: u8, family: u8, rest: &[u8]) -> Vec<u8> {
        let length = u16::try_from(rest.len()).expect("short").to_be_bytes();
        [b"\r\n\r\n\0\r\nQUIT\n".as_slice(), &[command, family], &length, rest].concat()
    }

    fn v4() -> Vec<u8> {
        [[203, 0, 113, 7], [10, 0, 0, 1]]
            .concat()
            .into_iter()
            .chain([0x30, 0x39, 0x20, 0xfb])
            .collect()
    }

    async fn told(sent: &[u8]) -> Result<(String, Vec<u8>), String> {
        let mut stream = sent;
        let peer = PEER.parse().expect("an address");
        let whose = whose(&mut stream, peer).await.map_err(|why| why.to_string())?;
        Ok((whose.to_string(), stream.to_vec()))
    }

    #[tokio::test]
    async fn a_connection_is_whose_the_proxy_says() {
        let mut sent = header(0x21, 0x11, &v4());
        sent.extend(b"TLS");
        let (whose, left) = told(&sent).await.expect("a header");
        assert_eq!((whose.as_str(), left.as_slice()), ("203.0.113.7:12345", b"TLS".as_slice()));

        let mut addresses = [0; 36];
        addresses[..16]
            .copy_from_slice(&"2001:db8::7".parse::<std::net::Ipv6Addr>().expect("one").octets());
        addresses[33] = 9;
        let (whose, _) = told(&header(0x21, 0x21, &addresses)).await.expect("a header");
        assert_eq!(whose, "[2001:db8::7]:9");
        // An IPv4 address in an IPv6 one is that IPv4 address.
        addresses[..16].copy_from_slice(
            &"::ffff:203.0.113.7".parse::<std::net::Ipv6Addr>().expect("one").octets(),
        );
        let (whose, _) = told(&header(0x21, 0x21, &addresses)).await.expect("a header");
        assert_eq!(whose, "203.0.113.7:9");
        // A check of the proxy's own.
        assert_eq!(told(&header(0x20, 0x00, &[])).await.expect("a header").0, PEER);
        // Extensions are passed over.
        let extended = [v4(), vec![0x04, 0, 1, 0]].concat();
        assert_eq!(
            told(&header(0x21, 0x11, &extended)).await.expect("a header").0,
            "203.0.113.7:12345"
        );
    }

    #[tokio::test]
    async fn what_is_no_header_of_version_2_lets_nobody_in() {
        let whole = header(0x21, 0x11, &v4());
        for (why, sent) in [
            ("nothing", Vec::new()),
            ("cut off", whole[..20].to_vec()),
            ("version 1", b"PROXY TCP4 203.0.113.7 10.0.0.1 12345 8443\r\n".to_vec()),
            ("TLS at once", vec![0x16, 3, 1, 0, 200, 1, 0, 0, 196, 3, 3, 0, 0, 0, 0, 0, 0, 0]),
            ("another version", header(0x31, 0x11, &v4())),
            ("another command", header(0x25, 0x11, &v4())),
            ("addresses that are too short", header(0x21, 0x11, &[1, 2, 3])),
            ("no address", header(0x21, 0x00, &[])),
            ("a path", header(0x21, 0x31, &[0; 216])),
            ("endless", header(0x21, 0x11, &[0; 2_000])),
        ] {
            assert!(told(&sent).await.is_err(), "{why}");
        }
    }
}
