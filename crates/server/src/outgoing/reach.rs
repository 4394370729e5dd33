//! Which addresses the server may call: where a name leads is decided by whoever answers for it.
//!
//! A provider's document, or its name server, could otherwise send the server to itself, to the machine it
//! runs on, or to the service that hands a cloud machine its credentials.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;

/// Where clouds answer their machines with credentials and settings. Some lie among ordinary addresses.
/// Amazon, Google, Azure and Oracle (the first), Azure's host, Alibaba, Oracle before; then IPv6 of Amazon,
/// of Google, and of Oracle.
const METADATA: [IpAddr; 7] = [
    IpAddr::V4(Ipv4Addr::new(169, 254, 169, 254)),
    IpAddr::V4(Ipv4Addr::new(168, 63, 129, 16)),
    IpAddr::V4(Ipv4Addr::new(100, 100, 100, 200)),
    IpAddr::V4(Ipv4Addr::new(192, 0, 0, 192)),
    IpAddr::V6(Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254)),
    IpAddr::V6(Ipv6Addr::new(0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254)),
    IpAddr::V6(Ipv6Addr::new(0xfd00, 0xc1, 0, 0, 0, 0, 0xa9fe, 0xa9fe)),
];

/// An address that is not called unless the operator says so.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{address} is {what}, and `allow` of [outgoing] does not name it", what = self.kind.words())]
pub struct Forbidden {
    /// Which address.
    pub address: IpAddr,
    /// Why it is not called.
    pub kind: Kind,
}

/// What is special about an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The server's own machine.
    Loopback,
    /// Its own wire only (RFC 3927, RFC 4291).
    LinkLocal,
    /// A cloud's service for its machines.
    Metadata,
    /// No address at all: 0.0.0.0/8 and `::`, which systems take for themselves.
    Unspecified,
    /// Many at once.
    Multicast,
    /// Nobody's: 240.0.0.0/4, documentation, site-local, and translations of a local meaning.
    Reserved,
}

impl Kind {
    fn words(self) -> &'static str {
        match self {
            Kind::Loopback => "a loopback address",
            Kind::LinkLocal => "a link-local address",
            Kind::Metadata => "where a cloud hands machines their credentials",
            Kind::Unspecified => "no address of anybody",
            Kind::Multicast => "a multicast address",
            Kind::Reserved => "a reserved address",
        }
    }
}

/// What may be called.
#[derive(Clone, Debug, Default)]
pub struct Reach {
    allow: Vec<IpNet>,
}

impl Reach {
    /// Every address that is not special, and what these prefixes name. A metadata service is named by its
    /// own address alone: a wider prefix was hardly written with it in mind.
    pub fn new(allow: Vec<IpNet>) -> Reach {
        Reach { allow }
    }

    /// Whether an address may be called.
    pub fn check(&self, address: IpAddr) -> Result<(), Forbidden> {
        let address = address.to_canonical();
        let meant = embedded(address).map_or(address, IpAddr::V4);
        let Some(kind) = kind(meant).or_else(|| kind(address)) else { return Ok(()) };
        let names = |net: &IpNet| match kind {
            Kind::Metadata => net.prefix_len() == net.max_prefix_len() && net.contains(&meant),
            Kind::Loopback
            | Kind::LinkLocal
            | Kind::Unspecified
            | Kind::Multicast
            | Kind::Reserved => net.contains(&address) || net.contains(&meant),
        };
        if self.allow.iter().any(names) { Ok(()) } else { Err(Forbidden { address, kind }) }
    }

    /// The addresses of a name, if all of them may be called. One that may not spoils the others: which one
    /// is connected to would be up to whoever gave the answer.
    pub fn check_all(&self, addresses: Vec<IpAddr>) -> Result<Vec<IpAddr>, Forbidden> {
        addresses.iter().try_for_each(|address| self.check(*address))?;
        Ok(addresses)
    }
}

fn kind(address: IpAddr) -> Option<Kind> {
    if METADATA.contains(&address) || is_amazons(address) {
        return Some(Kind::Metadata);
    }
    match address {
        IpAddr::V4(address) => kind_v4(address),
        IpAddr::V6(address) => kind_v6(address),
    }
}

/// Amazon keeps all of fd00:ec2::/32 for services of its machines: metadata, time, names, credentials of containers
/// (<https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/instancedata-data-retrieval.html>).
fn is_amazons(address: IpAddr) -> bool {
    matches!(address, IpAddr::V6(v6) if v6.segments()[..2] == [0xfd00, 0xec2])
}

/// IANA's registry of special IPv4 addresses (RFC 6890), without the private ones: providers and receivers
/// within the operator's own network are common.
fn kind_v4(address: Ipv4Addr) -> Option<Kind> {
    let [first, ..] = address.octets();
    match first {
        0 => Some(Kind::Unspecified),
        127 => Some(Kind::Loopback),
        224..=239 => Some(Kind::Multicast),
        240.. => Some(Kind::Reserved),
        _ if address.is_link_local() => Some(Kind::LinkLocal),
        _ if address.is_documentation() => Some(Kind::Reserved),
        _ => None,
    }
}

/// The same for IPv6; unique local addresses (fc00::/7) are private and may be called.
fn kind_v6(address: Ipv6Addr) -> Option<Kind> {
    match address.segments() {
        _ if address.is_loopback() => Some(Kind::Loopback),
        _ if address.is_unspecified() => Some(Kind::Unspecified),
        _ if address.is_multicast() => Some(Kind::Multicast),
        [0xfe80..=0xfebf, ..] => Some(Kind::LinkLocal),
        // Site-local (RFC 3879), Teredo, NAT64 of a local meaning (RFC 8215), documentation.
        [0xfec0..=0xfeff, ..]
        | [0x2001, 0 | 0xdb8, ..]
        | [0x64, 0xff9b, 1, ..]
        | [0x3fff, 0..=0xfff, ..] => Some(Kind::Reserved),
        _ => None,
    }
}

/// The IPv4 address that an IPv6 one stands for: compatible (RFC 4291), NAT64 (RFC 6052), 6to4 (RFC 3056).
/// Mapped ones are unmapped before.
fn embedded(address: IpAddr) -> Option<Ipv4Addr> {
    let IpAddr::V6(address) = address else { return None };
    let of = |high: u16, low: u16| Ipv4Addr::from((u32::from(high) << 16) | u32::from(low));
    match address.segments() {
        [0, 0, 0, 0, 0, 0, 0, 0 | 1] => None,
        [0, 0, 0, 0, 0, 0, high, low] | [0x64, 0xff9b, 0, 0, 0, 0, high, low] => {
            Some(of(high, low))
        }
        [0x2002, high, low, ..] => Some(of(high, low)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(reach: &Reach, text: &str) -> Option<Kind> {
        reach.check(text.parse().expect("an address")).err().map(|forbidden| forbidden.kind)
    }

    #[test]
    fn special_addresses_are_refused_however_they_are_written() {
        let reach = Reach::default();
        let table = [
            (Kind::Loopback, "127.0.0.1 127.255.255.254 ::1 ::ffff:127.0.0.1 64:ff9b::7f00:1"),
            (Kind::Loopback, "2002:7f00:1:: ::127.0.0.1"),
            (Kind::LinkLocal, "169.254.0.1 fe80::1 febf::1 ::ffff:169.254.7.7"),
            (Kind::Metadata, "169.254.169.254 ::ffff:169.254.169.254 64:ff9b::a9fe:a9fe"),
            (Kind::Metadata, "168.63.129.16 100.100.100.200 192.0.0.192 2002:a9fe:a9fe::1"),
            (Kind::Metadata, "fd00:ec2::254 fd20:ce::254 fd00:c1::a9fe:a9fe"),
            (Kind::Unspecified, "0.0.0.0 0.1.2.3 :: ::ffff:0.0.0.0"),
            (Kind::Multicast, "224.0.0.1 239.255.255.255 ff02::1"),
            (Kind::Reserved, "240.0.0.1 255.255.255.255 192.0.2.1 fec0::1 2001:db8::1"),
            (Kind::Reserved, "2001::1 64:ff9b:1::a00:1"),
        ];
        for (kind, addresses) in table {
            for address in addresses.split(' ') {
                assert_eq!(refused(&reach, address), Some(kind), "{address}");
            }
        }
    }

    #[test]
    fn public_and_private_addresses_may_be_called() {
        let reach = Reach::default();
        let open = "1.1.1.1 10.0.0.1 172.16.0.1 192.168.1.1 100.64.0.1 2606:4700::1111 fd12::1 \
                    64:ff9b::101:101 2001:4860::1 169.253.0.1 ::ffff:10.0.0.1";
        for address in open.split_whitespace() {
            assert_eq!(refused(&reach, address), None, "{address}");
        }
    }

    #[test]
    fn the_operator_opens_prefixes_and_metadata_one_by_one() {
        let net = |text: &str| text.parse::<IpNet>().expect("a prefix");
        let reach = Reach::new(vec![net("127.0.0.0/8"), net("169.254.0.0/16"), net("fd00::/8")]);
        for address in ["127.0.0.1", "::ffff:127.0.0.1", "64:ff9b::7f00:1", "169.254.1.1"] {
            assert_eq!(refused(&reach, address), None, "{address}");
        }
        assert_eq!(refused(&reach, "::1"), Some(Kind::Loopback));
        for address in ["169.254.169.254", "fd00:ec2::254"] {
            assert_eq!(refused(&reach, address), Some(Kind::Metadata), "{address}");
        }
        let exactly = Reach::new(vec![net("169.254.169.254/32")]);
        assert_eq!(refused(&exactly, "169.254.169.254"), None);
    }

    #[test]
    fn one_address_that_is_refused_spoils_the_others() {
        let addresses = |text: &str| -> Vec<IpAddr> {
            text.split(' ').map(|one| one.parse().expect("an address")).collect()
        };
        let reach = Reach::default();
        let good = addresses("1.1.1.1 10.0.0.1");
        assert_eq!(reach.check_all(good.clone()), Ok(good));
        let mixed = reach.check_all(addresses("1.1.1.1 127.0.0.1"));
        assert_eq!(mixed.expect_err("spoilt").kind, Kind::Loopback);
    }
}
