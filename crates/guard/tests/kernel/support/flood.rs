//! Many flows at once: packets written by hand, and what of them arrives on the other side.

use std::{
    collections::BTreeSet,
    io::Read as _,
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use socket2::{Domain, Protocol, Socket, Type};

use super::{
    net::{Net, within},
    probes::eventually,
};

/// How long the last packet of a flood may take to arrive.
const ARRIVES: Duration = Duration::from_secs(5);
/// What tells our packets from others, before their number.
const MAGIC: [u8; 4] = *b"hgAG";
/// Every protocol, for a socket that sees whole frames.
const ETH_P_ALL: u16 = 3;
const SEEN_BYTES: usize = 16 << 20;

/// One packet that begins a flow.
#[derive(Clone, Copy, Debug)]
pub struct Packet {
    pub from: IpAddr,
    pub to: IpAddr,
    pub protocol: u8,
    /// Of protocols without ports: nothing.
    pub ports: (u16, u16),
}

/// One side of the gateway: sends, and sees everything that arrives.
pub struct Side {
    v4: Socket,
    v6: Socket,
    seen: Socket,
}

impl Side {
    /// Everything that arrives is seen and then dropped, so that nobody answers and no flow is ever
    /// established.
    pub fn new(ns: &str) -> Side {
        let script = "table inet mute { chain incoming { type filter hook prerouting priority -400; \
                      icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert } accept; \
                      iifname \"eth0\" drop; }; }";
        let muted = std::process::Command::new("ip")
            .args(["netns", "exec", ns, "nft", script])
            .output()
            .unwrap();
        assert!(muted.status.success(), "{}", String::from_utf8_lossy(&muted.stderr));
        within(ns, || {
            let raw = |domain| Socket::new(domain, Type::RAW, Some(Protocol::from(255))).unwrap();
            let all = i32::from(ETH_P_ALL.to_be());
            let seen = Socket::new(Domain::PACKET, Type::RAW, Some(Protocol::from(all))).unwrap();
            let _ = rustix::net::sockopt::set_socket_recv_buffer_size_force(&seen, SEEN_BYTES);
            seen.set_nonblocking(true).unwrap();
            Side { v4: raw(Domain::IPV4), v6: raw(Domain::IPV6), seen }
        })
    }

    /// One that only sends, from a side that is silenced already.
    pub fn new_sender(ns: &str) -> Side {
        within(ns, || {
            let raw = |domain| Socket::new(domain, Type::RAW, Some(Protocol::from(255))).unwrap();
            Side { v4: raw(Domain::IPV4), v6: raw(Domain::IPV6), seen: raw(Domain::IPV4) }
        })
    }

    /// Sends one packet that nobody will ask about.
    pub fn send_once(&self, packet: &Packet) {
        self.send(packet, u32::MAX);
    }

    fn send(&self, packet: &Packet, number: u32) {
        let bytes = packet.bytes(number);
        let to = SocketAddr::new(packet.to, 0);
        let socket = if packet.to.is_ipv4() { &self.v4 } else { &self.v6 };
        socket.send_to(&bytes, &to.into()).unwrap_or_else(|e| panic!("{packet:?}: {e}"));
    }

    /// The numbers of our packets that arrived since this was last asked.
    fn arrived(&self, numbers: &mut BTreeSet<u32>) {
        let mut frame = vec![0; 2048];
        while let Ok(length) = (&self.seen).read(&mut frame) {
            let frame = &frame[..length];
            // What we ourselves send is seen here too, but comes from our own end of the cable.
            let at = frame.windows(4).position(|bytes| bytes == MAGIC);
            let number = at.and_then(|at| frame.get(at + 4..at + 8));
            numbers.extend(number.map(|n| u32::from_be_bytes(n.try_into().unwrap())));
        }
    }
}

/// Sends the packets from their sides and says which arrived on the other. `last` passes whatever the rules
/// say: once it has arrived, what did not will not.
pub fn flood(sides: &[Side; 2], packets: &[(usize, Packet)], last: [Packet; 2]) -> Vec<bool> {
    let number = |n: usize| u32::try_from(n).unwrap();
    for (n, (from, packet)) in packets.iter().enumerate() {
        sides[*from].send(packet, number(n));
    }
    let mut arrived = [BTreeSet::new(), BTreeSet::new()];
    let ends = [number(packets.len()), number(packets.len() + 1)];
    let here = || {
        for (side, packet) in last.iter().enumerate() {
            sides[side].send(packet, ends[side]);
        }
        for (side, numbers) in sides.iter().zip(&mut arrived) {
            side.arrived(numbers);
        }
        arrived[1].contains(&ends[0]) && arrived[0].contains(&ends[1])
    };
    assert!(eventually(ARRIVES, here), "nothing arrives any more");
    super::nap(Duration::from_millis(2));
    for (side, numbers) in sides.iter().zip(&mut arrived) {
        side.arrived(numbers);
    }
    let came = |(n, (from, _)): (usize, &(usize, Packet))| arrived[1 - from].contains(&number(n));
    packets.iter().enumerate().map(came).collect()
}

/// Makes the gateway forget every flow.
pub fn forget_flows(net: &Net) {
    net.on_gateway(&["conntrack", "-F"]);
}

impl Packet {
    fn bytes(&self, number: u32) -> Vec<u8> {
        let mark = [MAGIC, number.to_be_bytes()].concat();
        let (from, to) = self.ports;
        let ports = [from.to_be_bytes(), to.to_be_bytes()].concat();
        let zero = |count: usize| vec![0_u8; count];
        let mut body = match self.protocol {
            // A SYN; its payload is only ours to see.
            6 => {
                let flags = vec![0, 0, 0, 1, 0, 0, 0, 0, 0x50, 2, 0xff, 0xff, 0, 0, 0, 0];
                [ports, flags, mark].concat()
            }
            17 | 136 => [ports, vec![0, 16, 0, 0], mark].concat(),
            // INIT of SCTP.
            132 => {
                let init = [vec![1, 0, 0, 20], zero(3), vec![1], zero(12)].concat();
                [ports, zero(8), init, mark].concat()
            }
            1 | 58 => {
                let kind = if self.to.is_ipv4() { 8 } else { 128 };
                [vec![kind, 0, 0, 0], mark[4..].to_vec(), mark].concat()
            }
            _ => [vec![0, 0, 1, 0], zero(4), mark].concat(),
        };
        let sum_at = match self.protocol {
            6 => Some(16),
            17 | 136 => Some(6),
            1 | 58 => Some(2),
            _ => None,
        };
        if let Some(at) = sum_at {
            let sum = self.checksum(&body);
            body[at..at + 2].copy_from_slice(&sum.to_be_bytes());
        }
        [self.header(body.len()), body].concat()
    }

    fn header(&self, length: usize) -> Vec<u8> {
        let size = |bytes: usize| u16::try_from(bytes).unwrap().to_be_bytes();
        match (self.from, self.to) {
            (IpAddr::V4(from), IpAddr::V4(to)) => {
                let head = [&[0x45, 0][..], &size(20 + length), &[0, 0, 0, 0, 64, self.protocol]];
                [&head.concat()[..], &[0, 0], &from.octets(), &to.octets()].concat()
            }
            (IpAddr::V6(from), IpAddr::V6(to)) => {
                let head = [&[0x60, 0, 0, 0][..], &size(length), &[self.protocol, 64]].concat();
                [&head[..], &from.octets(), &to.octets()].concat()
            }
            (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => panic!("one family"),
        }
    }

    fn checksum(&self, body: &[u8]) -> u16 {
        let pseudo = match (self.from, self.to, self.protocol) {
            (_, _, 1) => Vec::new(),
            (IpAddr::V4(from), IpAddr::V4(to), _) => [from.octets(), to.octets()].concat(),
            (IpAddr::V6(from), IpAddr::V6(to), _) => [from.octets(), to.octets()].concat(),
            _ => panic!("one family"),
        };
        let length = u16::try_from(body.len()).unwrap().to_be_bytes();
        let tail =
            if self.protocol == 1 { Vec::new() } else { [length, [0, self.protocol]].concat() };
        let all = [&pseudo[..], &tail, body].concat();
        let mut sum: u32 =
            all.chunks(2).map(|word| u32::from(u16::from_be_bytes([word[0], word[1]]))).sum();
        while sum > 0xffff {
            sum = (sum & 0xffff) + (sum >> 16);
        }
        !u16::try_from(sum).unwrap()
    }
}
