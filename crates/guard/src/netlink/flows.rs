//! The connections that the kernel tracks to a locked port.

use std::{
    collections::BTreeSet,
    net::{IpAddr, SocketAddr},
};

use hourgate_core::network::{Family, Lock, Port};
use nlink::netlink::{
    Connection, Netfilter,
    netfilter::{ConntrackFilter, ConntrackTuple, IpProtocol},
    types::AddressFamily,
};

use super::WireError;

/// One end of a flow, as a packet to it must be addressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct End {
    /// Whom it thinks it speaks with.
    pub(crate) peer: SocketAddr,
    /// Itself.
    pub(crate) own: SocketAddr,
}

/// A TCP flow to a locked port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Flow {
    /// Who began it, as our rules see them.
    pub(crate) client: IpAddr,
    /// The client's end; before translation, for it knows no other.
    pub(crate) near: End,
    /// The VM's end; behind translation.
    pub(crate) far: End,
}

/// Asks the kernel for flows.
pub(crate) struct Flows {
    conntrack: Connection<Netfilter>,
}

impl Flows {
    pub(crate) fn open() -> Result<Flows, WireError> {
        Ok(Flows { conntrack: Connection::<Netfilter>::new().map_err(WireError::of)? })
    }

    /// The TCP flows to these locks, whoever began them.
    ///
    /// The kernel walks its whole table for one question (10 to 20 ms), so it is asked once for all.
    pub(crate) async fn to(&self, locks: &BTreeSet<Lock>) -> Result<Vec<(Lock, Flow)>, WireError> {
        let mut flows = Vec::new();
        for (family, kind) in
            [(Family::V4, AddressFamily::Inet), (Family::V6, AddressFamily::Inet6)]
        {
            let mut of_family = locks.iter().filter(|lock| Family::of(lock.address) == family);
            let Some(first) = of_family.next() else { continue };
            let mut filter = ConntrackFilter::new().family(kind).proto(IpProtocol::Tcp);
            if of_family.next().is_none() {
                filter = filter.reply_src(first.address).reply_src_port(first.port.number());
            }
            let entries = self.conntrack.get_conntrack_matching(&filter).await;
            // Also those that conntrack thinks closed: our reset to one end closes a flow for it.
            for entry in entries.map_err(WireError::of)? {
                let (Some(near), Some(far)) = (end(&entry.orig), end(&entry.reply)) else {
                    continue;
                };
                let Some(port) = Port::new(far.own.port()) else { continue };
                let lock = Lock { address: far.own.ip(), port };
                if locks.contains(&lock) {
                    flows.push((lock, Flow { client: near.own.ip(), near, far }));
                }
            }
        }
        Ok(flows)
    }
}

/// The end that sends packets of this tuple.
fn end(tuple: &ConntrackTuple) -> Option<End> {
    Some(End {
        own: SocketAddr::new(tuple.src_ip?, tuple.src_port?),
        peer: SocketAddr::new(tuple.dst_ip?, tuple.dst_port?),
    })
}
