//! SYNs of our own making, and the moment at which the kernel let each of them through.
//!
//! A SYN carries a number in its sequence field. Behind the gate a raw socket hears what was let through,
//! stamped by the kernel when it arrived there: no process's turn on the CPU is part of the figure.

use std::{
    io::{self, IoSliceMut},
    net::{Ipv4Addr, SocketAddr, SocketAddrV4},
    os::fd::AsRawFd,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc::{Receiver, Sender, channel},
    },
    time::Duration,
};

use nix::{
    errno::Errno,
    sys::socket::{
        ControlMessageOwned, MsgFlags, RecvMsg, SockaddrIn, recvmsg, setsockopt,
        sockopt::ReceiveTimestampns,
    },
};
use socket2::{Domain, Protocol, Socket, Type};

use crate::{
    clock::Wall,
    lab::{Host, Lab},
};

/// Sends SYNs, from whatever address it is told; made on the host that sends.
pub(crate) struct Prober(Socket);

impl Prober {
    pub(crate) fn new() -> io::Result<Prober> {
        let socket = Socket::new(Domain::IPV4, Type::RAW, Some(Protocol::from(255)))?;
        socket.set_header_included_v4(true)?;
        Ok(Prober(socket))
    }

    /// Sends one SYN.
    pub(crate) fn send(&self, syn: &Syn) -> io::Result<()> {
        let to = SocketAddr::from((syn.to, 0));
        self.0.send_to(&syn.packet(), &to.into()).map(drop)
    }

    /// Sends one datagram.
    pub(crate) fn send_datagram(&self, datagram: &Datagram) -> io::Result<()> {
        let to = SocketAddr::from((*datagram.to.ip(), 0));
        self.0.send_to(&datagram.packet(), &to.into()).map(drop)
    }
}

/// A packet over UDP that says nothing.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Datagram {
    pub(crate) from: SocketAddrV4,
    pub(crate) to: SocketAddrV4,
}

impl Datagram {
    fn packet(&self) -> [u8; 28] {
        let mut packet = [0; 28];
        // IPv4 without options, 28 bytes in all, may not be fragmented, 64 hops, UDP. The kernel fills in
        // the checksum; UDP's may be left out.
        packet[..10].copy_from_slice(&[0x45, 0, 0, 28, 0, 0, 0x40, 0, 64, 17]);
        packet[12..16].copy_from_slice(&self.from.ip().octets());
        packet[16..20].copy_from_slice(&self.to.ip().octets());
        packet[20..22].copy_from_slice(&self.from.port().to_be_bytes());
        packet[22..24].copy_from_slice(&self.to.port().to_be_bytes());
        packet[24..26].copy_from_slice(&8_u16.to_be_bytes());
        packet
    }
}

/// A SYN.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Syn {
    pub(crate) from: Ipv4Addr,
    pub(crate) from_port: u16,
    pub(crate) to: Ipv4Addr,
    pub(crate) to_port: u16,
    pub(crate) number: u32,
}

impl Syn {
    pub(crate) fn packet(&self) -> [u8; 40] {
        let mut packet = [0; 40];
        // IPv4 without options, 40 bytes in all, may not be fragmented, 64 hops, TCP. The kernel fills in
        // the checksum.
        packet[..10].copy_from_slice(&[0x45, 0, 0, 40, 0, 0, 0x40, 0, 64, 6]);
        packet[12..16].copy_from_slice(&self.from.octets());
        packet[16..20].copy_from_slice(&self.to.octets());
        packet[20..22].copy_from_slice(&self.from_port.to_be_bytes());
        packet[22..24].copy_from_slice(&self.to_port.to_be_bytes());
        packet[24..28].copy_from_slice(&self.number.to_be_bytes());
        // 20 bytes of header, SYN, a window.
        packet[32..36].copy_from_slice(&[0x50, 0x02, 0xff, 0xff]);
        let pseudo = 6 + 20;
        let words = packet[12..40].chunks_exact(2);
        let sum: u32 = words.map(|w| u32::from(u16::from_be_bytes([w[0], w[1]]))).sum();
        let mut sum = sum + pseudo;
        while sum > 0xffff {
            sum = (sum & 0xffff) + (sum >> 16);
        }
        let [high, low] = (!(sum as u16)).to_be_bytes();
        (packet[36], packet[37]) = (high, low);
        packet
    }
}

/// A SYN that was let through.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Passed {
    pub(crate) from: Ipv4Addr,
    pub(crate) to: SocketAddrV4,
    /// When the kernel of the host behind the gate saw it.
    pub(crate) at: Wall,
}

/// Hears what arrives on a host, until it is dropped.
pub(crate) struct Ear {
    heard: Receiver<Passed>,
    stop: Arc<AtomicBool>,
}

impl Ear {
    /// Begins to listen there.
    pub(crate) fn open(lab: &Lab, host: Host) -> io::Result<Ear> {
        let (tell, heard) = channel();
        let (begins, begun) = channel();
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        lab.start(host, move || {
            let socket = listen();
            // Nobody waits any more only if the bench has ended.
            let _ = begins.send(socket.as_ref().map(drop).map_err(io::Error::kind));
            if let Ok(socket) = socket {
                hear(&socket, &tell, &stopped);
            }
        })?;
        begun.recv().map_err(io::Error::other)?.map_err(io::Error::from)?;
        Ok(Ear { heard, stop })
    }

    /// What was heard, if anything.
    pub(crate) fn heard(&self) -> Option<Passed> {
        self.heard.try_recv().ok()
    }

    /// What is heard until nothing was for so long.
    pub(crate) fn all(&self, silence: Duration) -> Vec<Passed> {
        std::iter::from_fn(|| self.heard.recv_timeout(silence).ok()).collect()
    }
}

impl Drop for Ear {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Release);
    }
}

fn listen() -> io::Result<Socket> {
    let socket = Socket::new(Domain::IPV4, Type::RAW, Some(Protocol::TCP))?;
    socket.set_recv_buffer_size(4 << 20)?;
    socket.set_read_timeout(Some(Duration::from_millis(200)))?;
    setsockopt(&socket, ReceiveTimestampns, &true)?;
    Ok(socket)
}

fn hear(socket: &Socket, tell: &Sender<Passed>, stop: &AtomicBool) {
    let mut space = nix::cmsg_space!(nix::sys::time::TimeSpec);
    let mut bytes = [0; 256];
    while !stop.load(Ordering::Acquire) {
        let mut into = [IoSliceMut::new(&mut bytes)];
        let flags = MsgFlags::empty();
        let got = recvmsg::<SockaddrIn>(socket.as_raw_fd(), &mut into, Some(&mut space), flags);
        let (length, at) = match got {
            Ok(got) => (got.bytes, stamp(&got)),
            Err(Errno::EAGAIN | Errno::EINTR) => continue,
            Err(_) => return,
        };
        if let Some(passed) = at.and_then(|at| Passed::read(&bytes[..length], at)) {
            // Whoever asked has gone: so will this.
            let _ = tell.send(passed);
        }
    }
}

#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "another library's enum: only one kind is asked for"
)]
fn stamp(got: &RecvMsg<'_, '_, SockaddrIn>) -> Option<Wall> {
    got.cmsgs().ok()?.find_map(|message| match message {
        ControlMessageOwned::ScmTimestampns(at) => {
            Some(Wall(at.tv_sec() * 1_000_000_000 + at.tv_nsec()))
        }
        _ => None,
    })
}

impl Passed {
    /// Reads an IPv4 packet that holds a SYN and nothing else.
    fn read(packet: &[u8], at: Wall) -> Option<Passed> {
        let header = usize::from(packet.first()? & 0xf) * 4;
        let tcp = packet.get(header..)?;
        let address =
            |at: usize| packet.get(at..at + 4).map(|b| Ipv4Addr::new(b[0], b[1], b[2], b[3]));
        let syn = tcp.get(13)? & 0x3f == 0x02;
        let port = u16::from_be_bytes(tcp.get(2..4)?.try_into().ok()?);
        let to = SocketAddrV4::new(address(16)?, port);
        syn.then_some(Passed { from: address(12)?, to, at })
    }
}
