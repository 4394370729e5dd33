//! What others have on this machine that leads packets around our hooks, read and never changed.

use std::{collections::BTreeSet, net::IpAddr};

use nlink::netlink::{
    Connection, NetlinkSocket, Nftables, Protocol, Route,
    nftables::{Family as NftFamily, ObjectType},
};

use super::{TABLE, WireError};

/// RTM_GETLINK, asking for all.
const GET_LINKS: u16 = 18;
const REQUEST_DUMP: u16 = 0x301;
const DONE: u16 = 3;
const ERROR: u16 = 2;
const HEADER_BYTES: usize = 16;
/// `struct ifinfomsg`.
const LINK_BYTES: usize = 16;
const IFLA_IFNAME: u16 = 3;
const IFLA_XDP: u16 = 43;
const IFLA_XDP_ATTACHED: u16 = 2;

/// What others have.
#[derive(Debug, Default)]
pub(crate) struct Foreign {
    /// Flowtables: their flows skip the forward hook.
    pub(crate) flowtables: BTreeSet<String>,
    /// Connection tracking helpers: they expect connections that nobody asked for.
    pub(crate) helpers: BTreeSet<String>,
    /// Tables that translate to one of the addresses asked about.
    pub(crate) translations: BTreeSet<(String, IpAddr)>,
    /// Links with a traffic control filter that may redirect.
    pub(crate) redirects: BTreeSet<String>,
    /// Every link, and whether it is a bridge.
    pub(crate) links: Vec<(String, bool)>,
}

/// Reads what others have; `locked` are the addresses whose translations matter.
pub(crate) async fn foreign(locked: &BTreeSet<IpAddr>) -> Result<Foreign, WireError> {
    let nft = Connection::<Nftables>::new().map_err(WireError::of)?;
    let mut found = Foreign::default();
    for flowtable in nft.list_flowtables().await.map_err(WireError::of)? {
        found.flowtables.insert(format!("{} {}", flowtable.table, flowtable.name));
    }
    for table in nft.list_tables().await.map_err(WireError::of)? {
        if table.name == TABLE && table.family == NftFamily::Inet {
            continue;
        }
        for object in nft.list_objects_in(&table.name, table.family).await.map_err(WireError::of)? {
            if object.object_type() == Some(ObjectType::CtHelper) {
                found.helpers.insert(format!("{} {}", table.name, object.name));
            }
        }
        for rule in nft.list_rules(&table.name, table.family).await.map_err(WireError::of)? {
            let bytes = &rule.expression_bytes;
            if !contains(bytes, b"nat\0") {
                continue;
            }
            for address in locked {
                let to = match address {
                    IpAddr::V4(v4) => contains(bytes, &v4.octets()),
                    IpAddr::V6(v6) => contains(bytes, &v6.octets()),
                };
                if to {
                    found.translations.insert((table.name.clone(), *address));
                }
            }
        }
    }
    let route = Connection::<Route>::new().map_err(WireError::of)?;
    for link in route.get_links().await.map_err(WireError::of)? {
        let filters = route.get_filters_by_index(link.ifindex()).await.unwrap_or_default();
        let redirects = filters.iter().any(|filter| {
            filter.kind() == Some("bpf")
                || filter.raw_options().is_some_and(|options| contains(options, b"mirred\0"))
        });
        let name = link.name_or("?").to_owned();
        if redirects {
            found.redirects.insert(name.clone());
        }
        let is_bridge = link.link_info().and_then(|info| info.kind()) == Some("bridge");
        found.links.push((name, is_bridge));
    }
    Ok(found)
}

fn contains(bytes: &[u8], wanted: &[u8]) -> bool {
    bytes.windows(wanted.len()).any(|window| window == wanted)
}

/// The links with an XDP program: it may pass packets on before any hook sees them.
pub(crate) async fn xdp_links() -> Result<BTreeSet<String>, WireError> {
    let socket = NetlinkSocket::new(Protocol::Route).map_err(WireError::of)?;
    let mut request = Vec::with_capacity(HEADER_BYTES + LINK_BYTES);
    request.extend(32_u32.to_ne_bytes());
    request.extend(GET_LINKS.to_ne_bytes());
    request.extend(REQUEST_DUMP.to_ne_bytes());
    request.extend([0; 8 + LINK_BYTES]);
    socket.send(&request).await.map_err(WireError::of)?;
    let mut found = BTreeSet::new();
    loop {
        let news = socket.recv_msg().await.map_err(WireError::of)?;
        for message in super::monitor::messages(&news) {
            let kind = message.get(4..).and_then(|rest| rest.first_chunk());
            let kind = kind.map(|bytes| u16::from_ne_bytes(*bytes));
            if matches!(kind, None | Some(DONE | ERROR)) {
                return Ok(found);
            }
            let attributes = message.get(HEADER_BYTES + LINK_BYTES..).unwrap_or_default();
            let xdp = attribute(attributes, IFLA_XDP).unwrap_or_default();
            if attribute(xdp, IFLA_XDP_ATTACHED).is_some_and(|how| how.first() > Some(&0)) {
                let name = attribute(attributes, IFLA_IFNAME).unwrap_or_default();
                let name = String::from_utf8_lossy(name);
                found.insert(name.trim_end_matches('\0').to_owned());
            }
        }
    }
}

/// The value of one attribute.
fn attribute(mut rest: &[u8], wanted: u16) -> Option<&[u8]> {
    loop {
        let length = usize::from(u16::from_ne_bytes(*rest.first_chunk()?));
        let kind = u16::from_ne_bytes(*rest.get(2..)?.first_chunk()?) & 0x3fff;
        let value = rest.get(4..length)?;
        if kind == wanted {
            return Some(value);
        }
        rest = rest.get(length.next_multiple_of(4)..)?;
    }
}
