//! The connections that the kernel tracks to a locked port.

use std::net::{IpAddr, SocketAddr};

use hourgate_core::network::Lock;
use nlink::netlink::{
    Connection, Netfilter,
    netfilter::{ConntrackFilter, ConntrackTuple, IpProtocol, TcpConntrackState},
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

    /// The living TCP flows to a lock, whoever began them.
    pub(crate) async fn to(&self, lock: Lock) -> Result<Vec<Flow>, WireError> {
        let filter = ConntrackFilter::new()
            .proto(IpProtocol::Tcp)
            .reply_src(lock.address)
            .reply_src_port(lock.port.number());
        let entries =
            self.conntrack.get_conntrack_matching(&filter).await.map_err(WireError::of)?;
        let living = entries.into_iter().filter(|e| e.tcp_state != Some(TcpConntrackState::Close));
        Ok(living
            .filter_map(|entry| {
                let near = end(&entry.orig)?;
                let far = end(&entry.reply)?;
                let client = near.own.ip();
                Some(Flow { client, near, far })
            })
            .collect())
    }
}

/// The end that sends packets of this tuple.
fn end(tuple: &ConntrackTuple) -> Option<End> {
    Some(End {
        own: SocketAddr::new(tuple.src_ip?, tuple.src_port?),
        peer: SocketAddr::new(tuple.dst_ip?, tuple.dst_port?),
    })
}
