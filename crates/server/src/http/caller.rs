//! From which address a call came: the socket's, or the one that a proxy we trust saw.

use std::net::{IpAddr, SocketAddr};

use hourgate_core::role::OwnAddress;
use hyper::HeaderMap;
use ipnet::IpNet;

use crate::interfaces::OwnAddresses;

/// The headers that are believed of a trusted proxy, and some that never are: whoever sends one is misled, or
/// misleads.
const FORWARDING: [&str; 5] =
    ["forwarded", "x-forwarded-for", "x-real-ip", "true-client-ip", "cf-connecting-ip"];
/// How many hops of a forwarding header are looked at, from the right; more is somebody's game.
const HOPS_MAX: usize = 16;

/// The caller's address, and whether it may stand for their own.
///
/// Of forwarding headers only what a trusted proxy wrote counts: the rightmost hop that is no trusted
/// proxy. Whoever calls directly can write whatever they want there, and it is not read.
pub(crate) fn address(
    peer: SocketAddr,
    headers: &HeaderMap,
    (trusted, carriers): (&[IpNet], &[IpNet]),
    own: &OwnAddresses,
) -> OwnAddress {
    let is_carrier = |address| is_trusted(carriers, address);
    let is_trusted = |address| is_trusted(trusted, address);
    let peer = peer.ip().to_canonical();
    let seen = if is_trusted(peer) { hops(headers, is_trusted).unwrap_or(peer) } else { peer };
    if seen.is_loopback()
        || seen.is_unspecified()
        || is_trusted(seen)
        || is_carrier(seen)
        || own.has(seen)
    {
        OwnAddress::Nobodys(seen)
    } else {
        OwnAddress::Seen(seen)
    }
}

/// Whether a call brings a word about its address that is not believed: the peer is no trusted proxy.
pub(super) fn is_hearsay(peer: SocketAddr, headers: &HeaderMap, trusted: &[IpNet]) -> bool {
    let told = FORWARDING.iter().any(|name| headers.contains_key(*name));
    told && !is_trusted(trusted, peer.ip())
}

/// Whether an address is a trusted proxy's.
pub(super) fn is_trusted(trusted: &[IpNet], address: IpAddr) -> bool {
    trusted.iter().any(|net| net.contains(&address.to_canonical()))
}

/// The rightmost hop that is no trusted proxy; none if there is no such header. A hop that is no address
/// ends the search: what stands left of it is hearsay.
fn hops(headers: &HeaderMap, is_trusted: impl Fn(IpAddr) -> bool) -> Option<IpAddr> {
    let listed = |name: &str| -> Vec<String> {
        let values = headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
        values.flat_map(|value| value.split(',')).map(|hop| hop.trim().to_owned()).collect()
    };
    let (forwarded, legacy) = (listed("forwarded"), listed("x-forwarded-for"));
    let hops: Vec<Option<IpAddr>> = match (forwarded.is_empty(), legacy.is_empty()) {
        // A proxy writes one of the two and hands the other on as the caller sent it. Which is whose
        // cannot be told, and believing the wrong one lets the caller choose whose address they have.
        (false, false) => return None,
        (false, true) => forwarded.iter().map(|element| of_element(element)).collect(),
        (true, _) => legacy.iter().map(|hop| node(hop)).collect(),
    };
    let mut last = None;
    for hop in hops.into_iter().rev().take(HOPS_MAX) {
        let Some(hop) = hop else { break };
        last = Some(hop);
        if !is_trusted(hop) {
            break;
        }
    }
    last
}

/// The `for=` of one element of `Forwarded` (RFC 7239).
fn of_element(element: &str) -> Option<IpAddr> {
    let pairs = element.split(';').filter_map(|pair| pair.trim().split_once('='));
    let (_, value) = pairs.into_iter().find(|(name, _)| name.eq_ignore_ascii_case("for"))?;
    node(value.trim_matches('"'))
}

/// An address as a node is written: bare, in brackets, with or without a port.
fn node(text: &str) -> Option<IpAddr> {
    let address = text.parse::<IpAddr>().ok().or_else(|| {
        let socket = text.parse::<SocketAddr>().ok().map(|socket| socket.ip());
        socket.or_else(|| text.strip_prefix('[')?.strip_suffix(']')?.parse().ok())
    });
    address.map(|address| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(peer: &str, header: Option<(&'static str, &str)>) -> OwnAddress {
        let mut headers = HeaderMap::new();
        if let Some((name, value)) = header {
            headers.insert(name, value.parse().expect("a header"));
        }
        let trusted = ["10.0.0.0/8".parse().expect("a prefix")];
        let peer = SocketAddr::new(peer.parse().expect("an address"), 1);
        address(peer, &headers, (&trusted, &[]), &OwnAddresses::default())
    }

    fn own(text: &str) -> OwnAddress {
        OwnAddress::Seen(text.parse().expect("an address"))
    }

    fn nobodys(text: &str) -> OwnAddress {
        OwnAddress::Nobodys(text.parse().expect("an address"))
    }

    #[test]
    fn a_stranger_cannot_say_who_they_are() {
        let header = Some(("x-forwarded-for", "198.51.100.7"));
        assert_eq!(seen("203.0.113.9", header), own("203.0.113.9"));
    }

    #[test]
    fn a_trusted_proxy_is_believed_for_one_hop_only() {
        let header = Some(("x-forwarded-for", "1.1.1.1, 198.51.100.7, 10.0.0.2"));
        assert_eq!(seen("10.0.0.1", header), own("198.51.100.7"));
        let header = Some(("forwarded", "for=1.1.1.1, for=\"[2001:db8::7]:443\";proto=https"));
        assert_eq!(seen("10.0.0.1", header), own("2001:db8::7"));
        assert_eq!(
            seen("10.0.0.1", Some(("x-forwarded-for", "198.51.100.7:99"))),
            own("198.51.100.7")
        );
    }

    #[test]
    fn a_header_that_the_proxy_only_handed_on_is_not_believed() {
        let mut headers = HeaderMap::new();
        headers.insert("forwarded", "for=192.0.2.66".parse().expect("a header"));
        headers.insert("x-forwarded-for", "198.51.100.7".parse().expect("a header"));
        let trusted = ["10.0.0.0/8".parse().expect("a prefix")];
        let peer = SocketAddr::from(([10, 0, 0, 1], 1));
        let seen = address(peer, &headers, (&trusted, &[]), &OwnAddresses::default());
        assert_eq!(seen, nobodys("10.0.0.1"));
    }

    #[test]
    fn what_is_no_address_ends_the_search() {
        let header = Some(("x-forwarded-for", "198.51.100.7, unknown"));
        assert_eq!(seen("10.0.0.1", header), nobodys("10.0.0.1"));
    }

    #[test]
    fn a_proxys_and_loopback_addresses_are_nobodys() {
        assert_eq!(seen("10.0.0.1", None), nobodys("10.0.0.1"));
        assert_eq!(seen("127.0.0.1", None), nobodys("127.0.0.1"));
        assert_eq!(seen("::ffff:127.0.0.1", None), nobodys("127.0.0.1"));
        assert_eq!(seen("::ffff:203.0.113.9", None), own("203.0.113.9"));
    }

    #[test]
    fn a_word_from_anybody_else_is_noticed() {
        let trusted = ["10.0.0.0/8".parse().expect("a prefix")];
        for (peer, name, noticed) in [
            ("203.0.113.9", "x-forwarded-for", true),
            ("203.0.113.9", "forwarded", true),
            ("203.0.113.9", "x-real-ip", true),
            ("203.0.113.9", "accept", false),
            ("10.0.0.1", "x-forwarded-for", false),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(name, "198.51.100.7".parse().expect("a header"));
            let peer = SocketAddr::new(peer.parse().expect("an address"), 1);
            assert_eq!(is_hearsay(peer, &headers, &trusted), noticed, "{name} from {peer}");
        }
    }

    #[test]
    fn a_proxy_that_only_looks_whether_we_are_there_is_nobody() {
        let carriers = ["10.0.0.5/32".parse().expect("a prefix")];
        let peer = SocketAddr::from(([10, 0, 0, 5], 1));
        let own = OwnAddresses::default();
        let seen = address(peer, &HeaderMap::new(), (&[], &carriers), &own);
        assert_eq!(seen, nobodys("10.0.0.5"));
    }
}
