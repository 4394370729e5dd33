//! Ends sessions with their access: makes both ends of a flow speak once more, so that our own rule can
//! answer each with a reset that fits.
//!
//! A reset counts only with the right sequence number, which nobody outside the flow knows. So each end
//! is sent one segment, in the other's name, that lies outside its window. TCP answers such a segment with
//! an acknowledgement (RFC 9293, 3.10.7.4), which crosses our table, meets no opening any more, and is
//! rejected with a reset that carries exactly the number it asked for.

use std::net::{IpAddr, SocketAddr};

use hourgate_core::network::Family;
use socket2::{Domain, Protocol, SockAddr, Socket, Type};

use crate::netlink::{End, Flow, RESET_MARK};

/// The protocol number of raw sockets that write whole packets.
const IPPROTO_RAW: i32 = 255;
const TCP: u8 = 6;
const TCP_HEADER_BYTES: usize = 20;
/// One byte of nothing: answers to segments without any are rationed by Linux, to these not.
const PAYLOAD: [u8; 1] = [0];
/// ACK and PSH.
const FLAGS: u8 = 0x18;
const HOPS: u8 = 64;

/// Sends the segments.
pub(crate) struct Resets {
    v4: Socket,
    v6: Option<Socket>,
}

impl Resets {
    /// Opens raw sockets; needs CAP_NET_RAW. A machine without IPv6 has no IPv6 flows either.
    pub(crate) fn open() -> std::io::Result<Resets> {
        let open = |domain| -> std::io::Result<Socket> {
            let socket = Socket::new(domain, Type::RAW, Some(Protocol::from(IPPROTO_RAW)))?;
            socket.set_mark(RESET_MARK)?;
            socket.set_nonblocking(true)?;
            Ok(socket)
        };
        Ok(Resets { v4: open(Domain::IPV4)?, v6: open(Domain::IPV6).ok() })
    }

    /// Makes both ends of a flow speak. What cannot be sent is not: the kernel's rule answers the next
    /// packet of either end all the same.
    pub(crate) fn provoke(&self, flow: &Flow, sequence: u32) -> std::io::Result<()> {
        let far = self.segment(&flow.far, sequence);
        self.segment(&flow.near, sequence).and(far)
    }

    fn segment(&self, end: &End, sequence: u32) -> std::io::Result<()> {
        let packet = packet(end, sequence);
        let to = SockAddr::from(SocketAddr::new(end.own.ip(), 0));
        match (Family::of(end.own.ip()), &self.v6) {
            (Family::V4, _) => self.v4.send_to(&packet, &to).map(drop),
            (Family::V6, Some(socket)) => socket.send_to(&packet, &to).map(drop),
            (Family::V6, None) => Ok(()),
        }
    }
}

/// A segment to `end.own` in the name of `end.peer`.
fn packet(end: &End, sequence: u32) -> Vec<u8> {
    let (from, to) = (end.peer, end.own);
    let length = TCP_HEADER_BYTES + PAYLOAD.len();
    let mut tcp = Vec::with_capacity(length);
    tcp.extend(from.port().to_be_bytes());
    tcp.extend(to.port().to_be_bytes());
    tcp.extend(sequence.to_be_bytes());
    tcp.extend(sequence.to_be_bytes());
    tcp.extend([0x50, FLAGS, 0, 0, 0, 0, 0, 0]);
    tcp.extend(PAYLOAD);
    let sum = checksum(&pseudo_header(from.ip(), to.ip(), length), &tcp);
    tcp[16..18].copy_from_slice(&sum.to_be_bytes());
    let mut packet = ip_header(from.ip(), to.ip(), length);
    packet.extend(tcp);
    packet
}

fn ip_header(from: IpAddr, to: IpAddr, length: usize) -> Vec<u8> {
    let length = u16::try_from(length).unwrap_or(u16::MAX);
    let mut header = Vec::with_capacity(40);
    match (from, to) {
        (IpAddr::V4(from), IpAddr::V4(to)) => {
            header.extend([0x45, 0]);
            header.extend((length + 20).to_be_bytes());
            // Identification and checksum are filled in by the kernel.
            header.extend([0, 0, 0x40, 0, HOPS, TCP, 0, 0]);
            header.extend(from.octets());
            header.extend(to.octets());
        }
        (from, to) => {
            header.extend([0x60, 0, 0, 0]);
            header.extend(length.to_be_bytes());
            header.extend([TCP, HOPS]);
            push(&mut header, from);
            push(&mut header, to);
        }
    }
    header
}

fn pseudo_header(from: IpAddr, to: IpAddr, length: usize) -> Vec<u8> {
    let mut header = Vec::with_capacity(40);
    push(&mut header, from);
    push(&mut header, to);
    header.extend(u32::try_from(length).unwrap_or(u32::MAX).to_be_bytes());
    header.extend([0, 0, 0, TCP]);
    header
}

fn push(bytes: &mut Vec<u8>, address: IpAddr) {
    match address {
        IpAddr::V4(v4) => bytes.extend(v4.octets()),
        IpAddr::V6(v6) => bytes.extend(v6.octets()),
    }
}

/// The Internet checksum (RFC 1071) over two parts, the first of even length.
fn checksum(first: &[u8], second: &[u8]) -> u16 {
    let words = first.chunks(2).chain(second.chunks(2));
    let mut sum: u32 = words
        .map(|word| {
            let low = word.get(1).copied().unwrap_or(0);
            u32::from(u16::from_be_bytes([word[0], low]))
        })
        .sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !u16::try_from(sum).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_packet_carries_a_right_checksum() {
        for (own, peer) in [("10.0.0.4:22", "192.0.2.7:5555"), ("[2001:db8::4]:22", "[::9]:1")] {
            let end = End { own: own.parse().unwrap(), peer: peer.parse().unwrap() };
            let packet = packet(&end, 12345);
            let tcp = &packet[packet.len() - TCP_HEADER_BYTES - PAYLOAD.len()..];
            let header = pseudo_header(end.peer.ip(), end.own.ip(), tcp.len());
            assert_eq!(checksum(&header, tcp), 0, "{own}");
            assert_eq!(tcp[2..4], 22u16.to_be_bytes());
        }
    }
}
