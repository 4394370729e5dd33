//! Notices when somebody else touches our table.

use nlink::netlink::{
    NetlinkSocket, Protocol,
    nftables::{NFNL_SUBSYS_NFTABLES, NFT_MSG_NEWGEN, NFTA_TABLE_NAME},
};

use super::{INET, TABLE, WireError};

/// The multicast group that hears of every change to rules.
const GROUP: u32 = 7;
/// Room for the news of a hundred thousand elements, ours included, before the kernel drops some.
const RECEIVE_BYTES_MAX: usize = 32 << 20;
const HEADER_BYTES: usize = 16;
/// The netfilter header behind the netlink one.
const FAMILY_BYTES: usize = 4;

/// What the monitor saw.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Seen {
    /// Somebody who is not us changed something of our table.
    Touched,
    /// News was lost: anything may have happened.
    Lost,
}

/// A socket that hears of every change.
pub(crate) struct Monitor {
    socket: NetlinkSocket,
    ours: u32,
}

impl Monitor {
    /// Listens from now on; changes that come from port `ours` are our own.
    pub(crate) fn open(ours: u32) -> Result<Monitor, WireError> {
        let socket = NetlinkSocket::new(Protocol::Netfilter).map_err(WireError::of)?;
        // A smaller buffer loses news earlier, which is noticed and costs a full comparison.
        let _ = socket.set_rcvbuf(RECEIVE_BYTES_MAX);
        socket.add_membership(GROUP).map_err(WireError::of)?;
        Ok(Monitor { socket, ours })
    }

    /// Waits until there is something to see.
    pub(crate) async fn next(&self) -> Seen {
        loop {
            match self.socket.recv_msg().await {
                Ok(news) if messages(&news).any(|m| touches(m, self.ours)) => return Seen::Touched,
                Ok(_) => {}
                Err(_) => return Seen::Lost,
            }
        }
    }
}

/// The messages of one datagram, header included.
pub(super) fn messages(mut news: &[u8]) -> impl Iterator<Item = &[u8]> {
    std::iter::from_fn(move || {
        let length = usize::try_from(u32::from_ne_bytes(*news.first_chunk()?)).ok()?;
        if length < HEADER_BYTES {
            return None;
        }
        let message = news.get(..length)?;
        news = news.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some(message)
    })
}

/// Whether a message is about our table and not from us.
///
/// Every message about a table or a part of it names the table in its attribute 1.
fn touches(message: &[u8], ours: u32) -> bool {
    let number = |at: usize| Some(u16::from_ne_bytes(*message.get(at..)?.first_chunk()?));
    let Some(kind) = number(4) else { return false };
    let generation = (NFNL_SUBSYS_NFTABLES << 8) | u16::from(NFT_MSG_NEWGEN);
    if kind >> 8 != NFNL_SUBSYS_NFTABLES || kind == generation {
        return false;
    }
    let port =
        message.get(12..).and_then(|rest| rest.first_chunk()).map(|b| u32::from_ne_bytes(*b));
    if port == Some(ours) {
        return false;
    }
    let mut at = HEADER_BYTES + FAMILY_BYTES;
    let family = message.get(HEADER_BYTES).copied();
    while let (Some(length), Some(attribute)) = (number(at), number(at + 2)) {
        let length = usize::from(length);
        if length < 4 {
            return false;
        }
        if attribute & 0x3fff == NFTA_TABLE_NAME {
            let name = message.get(at + 4..at + length).unwrap_or_default();
            let name = name.strip_suffix(&[0]).unwrap_or(name);
            return name == TABLE.as_bytes() && family == Some(INET as u8);
        }
        at += length.next_multiple_of(4);
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(kind: u16, port: u32, table: &[u8]) -> Vec<u8> {
        let length = u16::try_from(4 + table.len()).unwrap();
        let mut body = vec![INET as u8, 0, 0, 0];
        body.extend(length.to_ne_bytes());
        body.extend(NFTA_TABLE_NAME.to_ne_bytes());
        body.extend(table);
        body.resize(body.len().next_multiple_of(4), 0);
        let mut message = u32::try_from(HEADER_BYTES + body.len()).unwrap().to_ne_bytes().to_vec();
        message.extend(kind.to_ne_bytes());
        message.extend([0; 6]);
        message.extend(port.to_ne_bytes());
        message.extend(body);
        message
    }

    #[test]
    fn what_others_do_to_our_table_is_seen_and_nothing_else() {
        let kind = NFNL_SUBSYS_NFTABLES << 8;
        assert!(touches(&message(kind, 7, b"hourgate\0"), 8));
        assert!(!touches(&message(kind, 8, b"hourgate\0"), 8), "our own");
        assert!(!touches(&message(kind, 7, b"other\0"), 8), "another table");
        assert!(!touches(&message(kind | 15, 7, b"hourgate\0"), 8), "a generation");
        assert!(!touches(&message(kind, 7, b"hourgate\0")[..20], 8), "cut short");
        let mut both = message(kind, 8, b"hourgate\0");
        both.extend(message(kind, 7, b"hourgate\0"));
        assert_eq!(messages(&both).filter(|m| touches(m, 8)).count(), 1);
    }
}
