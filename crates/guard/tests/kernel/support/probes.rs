//! What a client sees, and what a VM sees.

use std::{
    io::{self, ErrorKind, Read, Write},
    net::{IpAddr, SocketAddr, TcpListener, TcpStream, UdpSocket},
    os::fd::AsFd,
    sync::{Arc, Mutex},
    time::Duration,
};

use hourgate_core::time::Clock;
use hourgate_guard::clock::MachineClock;
use socket2::{Domain, Protocol, Socket, Type};

use super::net::within;

/// How long an answer may take before it counts as none.
const SILENCE: Duration = Duration::from_millis(250);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    Open,
    /// Nothing came back.
    Silent,
    Refused,
}

/// Tries to connect from `ns`.
pub fn probe(ns: &str, address: &str, port: u16) -> Answer {
    attempt(ns, None, address, port, SILENCE)
}

/// Tries to connect from one of the addresses of `ns`.
pub fn probe_from(ns: &str, source: &str, address: &str, port: u16) -> Answer {
    attempt(ns, Some(source), address, port, SILENCE)
}

fn attempt(ns: &str, source: Option<&str>, address: &str, port: u16, wait: Duration) -> Answer {
    let to = SocketAddr::new(address.parse().unwrap(), port);
    let source = source.map(|source| SocketAddr::new(source.parse().unwrap(), 0));
    within(ns, || match connect(source, to, wait) {
        Ok(_) => Answer::Open,
        Err(error) if error.kind() == ErrorKind::ConnectionRefused => Answer::Refused,
        Err(error)
            if error.kind() == ErrorKind::TimedOut
                || error.kind() == ErrorKind::PermissionDenied =>
        {
            Answer::Silent
        }
        Err(error) => panic!("connect to {to}: {error}"),
    })
}

pub fn connect(
    source: Option<SocketAddr>,
    to: SocketAddr,
    wait: Duration,
) -> io::Result<TcpStream> {
    let socket = Socket::new(Domain::for_address(to), Type::STREAM, Some(Protocol::TCP))?;
    if let Some(source) = source {
        socket.bind(&source.into())?;
    }
    socket.connect_timeout(&to.into(), wait)?;
    Ok(socket.into())
}

/// Listens in `ns` and keeps what it accepts.
pub fn listen(ns: &str, address: &str, port: u16) -> Arc<Mutex<Vec<TcpStream>>> {
    let address: IpAddr = address.parse().unwrap();
    let listener = within(ns, || TcpListener::bind((address, port)).unwrap());
    let accepted: Arc<Mutex<Vec<TcpStream>>> = Arc::default();
    let keep = Arc::clone(&accepted);
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            keep.lock().unwrap().push(stream);
        }
    });
    accepted
}

/// Waits until something is so; says whether it came to be in time.
pub fn eventually(wait: Duration, mut so: impl FnMut() -> bool) -> bool {
    let clock = MachineClock::new().unwrap();
    let end = clock.now().after(wait);
    loop {
        if so() {
            return true;
        }
        if end.is_over(clock.now()) {
            return false;
        }
        nap(Duration::from_millis(1));
    }
}

/// Lets time pass between two looks.
pub fn nap(length: Duration) {
    let nanos = length.subsec_nanos().into();
    let seconds = i64::try_from(length.as_secs()).unwrap();
    let time = rustix::time::Timespec { tv_sec: seconds, tv_nsec: nanos };
    let _ = rustix::thread::clock_nanosleep_relative(rustix::thread::ClockId::Monotonic, &time);
}

/// Both ends of a connection through the gateway.
pub struct Session {
    pub client: TcpStream,
    pub vm: TcpStream,
}

impl Session {
    pub fn open(ns: &str, accepted: &Mutex<Vec<TcpStream>>, address: &str, port: u16) -> Session {
        let to = SocketAddr::new(address.parse().unwrap(), port);
        let client = within(ns, || connect(None, to, Duration::from_secs(2)).unwrap());
        let own = client.local_addr().unwrap();
        let mut vm = None;
        assert!(eventually(Duration::from_secs(2), || {
            let mut accepted = accepted.lock().unwrap();
            let found = accepted.iter().position(|s| s.peer_addr().ok() == Some(own));
            vm = found.map(|at| accepted.remove(at));
            vm.is_some()
        }));
        let session = Session { client, vm: vm.unwrap() };
        for end in [&session.client, &session.vm] {
            end.set_nonblocking(true).unwrap();
            end.set_nodelay(true).unwrap();
        }
        session
    }

    /// Whether a byte sent from either end arrives at the other.
    pub fn talks(&mut self) -> (bool, bool) {
        (arrives(&mut self.client, &mut self.vm), arrives(&mut self.vm, &mut self.client))
    }
}

fn arrives(from: &mut TcpStream, to: &mut TcpStream) -> bool {
    from.write_all(b"x").is_ok()
        && eventually(Duration::from_millis(400), || {
            let mut byte = [0];
            matches!(to.read(&mut byte), Ok(1))
        })
}

/// Whether an end has been reset by now.
pub fn is_reset(end: &mut TcpStream) -> bool {
    let read = end.read(&mut [0]);
    read.is_err_and(|error| error.kind() == ErrorKind::ConnectionReset)
}

/// What a packet socket in `ns` sees while `act` runs: every TCP or UDP packet to `port`, ports first.
pub fn server_sees(
    ns: &str,
    domain: Domain,
    protocol: i32,
    port: u16,
    act: impl FnOnce(),
) -> usize {
    let socket =
        within(ns, || Socket::new(domain, Type::RAW, Some(Protocol::from(protocol))).unwrap());
    socket.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
    act();
    let mut seen = 0;
    let mut packet = [0; 2048];
    while let Ok(length) = rustix::io::read(socket.as_fd(), &mut packet) {
        let header = if domain == Domain::IPV4 { usize::from(packet[0] & 15) * 4 } else { 0 };
        let ports = &packet[header..length];
        if ports.len() >= 4 && ports[2..4] == port.to_be_bytes() {
            seen += 1;
        }
    }
    seen
}

/// Whether a datagram from `ns` arrives at a socket in `to_ns`.
pub fn udp(ns: &str, to_ns: &str, address: &str, port: u16) -> bool {
    let address: IpAddr = address.parse().unwrap();
    let server = within(to_ns, || UdpSocket::bind((address, port)).unwrap());
    server.set_read_timeout(Some(SILENCE)).unwrap();
    within(ns, || {
        let any = if address.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
        UdpSocket::bind(any).unwrap().send_to(b"x", (address, port)).unwrap();
    });
    server.recv(&mut [0]).is_ok()
}

/// Whether an echo request from `ns` is answered.
pub fn icmp(ns: &str, address: &str) -> bool {
    let to = SocketAddr::new(address.parse().unwrap(), 0);
    let socket =
        within(ns, || Socket::new(Domain::IPV4, Type::RAW, Some(Protocol::ICMPV4)).unwrap());
    socket.set_read_timeout(Some(SILENCE)).unwrap();
    socket.send_to(&[8, 0, 0xf7, 0xff, 0, 0, 0, 0], &to.into()).unwrap();
    let mut packet = [0; 64];
    matches!(rustix::io::read(socket.as_fd(), &mut packet), Ok(28) if packet[20] == 0)
}

/// Sends one TCP segment without a connection. Its checksum is right: conntrack takes no other for real.
pub fn raw_tcp(ns: &str, from: &str, to: &str, ports: (u16, u16), flags: u8, extra: &[u8]) {
    let (from, to): (IpAddr, IpAddr) = (from.parse().unwrap(), to.parse().unwrap());
    let mut tcp = Vec::new();
    tcp.extend(ports.0.to_be_bytes());
    tcp.extend(ports.1.to_be_bytes());
    tcp.extend([0, 0, 0, 1, 0, 0, 0, 1, 0x50, flags, 0xff, 0xff, 0, 0, 0, 0]);
    tcp.extend(b"payload!");
    let sum = checksum(from, to, &tcp);
    tcp[16..18].copy_from_slice(&sum.to_be_bytes());
    let packet = wrap(from, to, &tcp, extra);
    within(ns, || {
        let domain = Domain::for_address(SocketAddr::new(to, 0));
        let socket = Socket::new(domain, Type::RAW, Some(Protocol::from(255))).unwrap();
        socket.send_to(&packet, &SocketAddr::new(to, 0).into()).unwrap();
    });
}

/// The checksum of TCP (RFC 9293, 3.1) over a segment of even length whose own is still zero.
fn checksum(from: IpAddr, to: IpAddr, tcp: &[u8]) -> u16 {
    let octets = |address: IpAddr| match address {
        IpAddr::V4(v4) => v4.octets().to_vec(),
        IpAddr::V6(v6) => v6.octets().to_vec(),
    };
    let length = u16::try_from(tcp.len()).unwrap().to_be_bytes();
    let pseudo = [octets(from), octets(to), length.to_vec(), vec![0, 6], tcp.to_vec()].concat();
    let words = pseudo.chunks(2).map(|word| u32::from(u16::from_be_bytes([word[0], word[1]])));
    let mut sum: u32 = words.sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !u16::try_from(sum).unwrap()
}

/// Sends the first bytes of any transport protocol: ports, then zeros.
pub fn raw_transport(ns: &str, to: &str, protocol: i32, port: u16) {
    let to = SocketAddr::new(to.parse().unwrap(), 0);
    let mut packet = [0; 24];
    packet[..2].copy_from_slice(&5555_u16.to_be_bytes());
    packet[2..4].copy_from_slice(&port.to_be_bytes());
    packet[5] = 24;
    within(ns, || {
        let socket = Socket::new(Domain::IPV4, Type::RAW, Some(Protocol::from(protocol))).unwrap();
        socket.send_to(&packet, &to.into()).unwrap();
    });
}

/// An IP packet around TCP; `extra` is a whole IPv6 extension header whose first byte says TCP.
fn wrap(from: IpAddr, to: IpAddr, tcp: &[u8], extra: &[u8]) -> Vec<u8> {
    let mut packet = Vec::new();
    match (from, to) {
        (IpAddr::V4(from), IpAddr::V4(to)) => {
            let length = u16::try_from(20 + tcp.len()).unwrap();
            packet.extend([0x45, 0]);
            packet.extend(length.to_be_bytes());
            packet.extend([0, 0, 0, 0, 64, 6, 0, 0]);
            packet.extend(from.octets());
            packet.extend(to.octets());
        }
        (IpAddr::V6(from), IpAddr::V6(to)) => {
            let length = u16::try_from(extra.len() + tcp.len()).unwrap();
            packet.extend([0x60, 0, 0, 0]);
            packet.extend(length.to_be_bytes());
            // Destination options (60) before TCP, where there are any.
            packet.extend([if extra.is_empty() { 6 } else { 60 }, 64]);
            packet.extend(from.octets());
            packet.extend(to.octets());
            packet.extend(extra);
        }
        (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => panic!("one family"),
    }
    packet.extend(tcp);
    packet
}
