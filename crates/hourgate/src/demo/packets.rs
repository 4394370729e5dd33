//! Real packets: what a connection attempt meets, and when the last one passed.

use std::{
    io,
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use jiff::Timestamp;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpSocket, TcpStream},
    time::{Instant, MissedTickBehavior, interval, timeout},
};

use crate::clock;

/// How long an attempt may go without an answer before it counts as dropped. A first SYN is repeated
/// only after a second, so what is not answered by then was dropped.
pub(super) const SILENCE: Duration = Duration::from_millis(700);
/// How often it is tried while an end or a beginning is awaited.
const EVERY: Duration = Duration::from_millis(1);

/// What a connection attempt met.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Met {
    /// It was accepted.
    Open,
    /// Nobody answered.
    Silence,
    /// Somebody said no: a reset, or an ICMP message.
    Refusal,
}

/// Connects once.
pub(super) async fn attempt(from: IpAddr, to: SocketAddr) -> Met {
    match timeout(SILENCE, connect(from, to)).await {
        Err(_) => Met::Silence,
        Ok(Ok(_)) => Met::Open,
        Ok(Err(_)) => Met::Refusal,
    }
}

/// Connects from that address of this host.
pub(super) async fn connect(from: IpAddr, to: SocketAddr) -> io::Result<TcpStream> {
    let socket = if to.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    socket.bind(SocketAddr::new(from, 0))?;
    let stream = socket.connect(to).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// Tries again and again until the first attempt passes; how long that took since `began`.
pub(super) async fn first_accepted(
    from: IpAddr,
    to: SocketAddr,
    began: Instant,
    within: Duration,
) -> Option<Duration> {
    let (passed, mut passes) = tokio::sync::mpsc::channel(1);
    let trying = async {
        let mut ticks = interval(EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            let passed = passed.clone();
            tokio::spawn(async move {
                if timeout(SILENCE, connect(from, to)).await.is_ok_and(|outcome| outcome.is_ok()) {
                    // Only the first counts; later ones find the place taken.
                    let _ = passed.try_send(Instant::now());
                }
            });
        }
    };
    tokio::select! {
        () = trying => None,
        at = passes.recv() => at.map(|at| at.duration_since(began)),
        () = tokio::time::sleep(within) => None,
    }
}

/// Tries from shortly before `end` until shortly after it; when the last attempt that passed was sent.
pub(super) async fn last_accepted(
    from: IpAddr,
    to: SocketAddr,
    end: Timestamp,
) -> Option<Timestamp> {
    let around = Duration::from_millis(150);
    let before = Duration::try_from(end.duration_since(clock::now())).unwrap_or_default();
    tokio::time::sleep(before.saturating_sub(around)).await;
    let mut attempts = tokio::task::JoinSet::new();
    let mut ticks = interval(EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while clock::now() < end + around {
        ticks.tick().await;
        attempts.spawn(async move {
            let sent = clock::now();
            let met = timeout(Duration::from_millis(300), connect(from, to)).await;
            met.is_ok_and(|outcome| outcome.is_ok()).then_some(sent)
        });
    }
    attempts.join_all().await.into_iter().flatten().max()
}

/// How a session came to its end.
#[derive(Clone, Copy, Debug)]
pub(super) struct SessionEnd {
    /// When the last payload came back.
    pub(super) last_payload: Timestamp,
    /// Whether the connection was reset, rather than left hanging.
    pub(super) reset: bool,
}

/// Sends a byte every few milliseconds and waits for it to come back, until the session is over.
pub(super) async fn talk(mut stream: TcpStream, until: Timestamp) -> SessionEnd {
    let mut last_payload = clock::now();
    let mut byte = [0x2e];
    loop {
        let exchange = async {
            stream.write_all(&byte).await?;
            stream.read_exact(&mut byte).await
        };
        match timeout(SILENCE, exchange).await {
            Ok(Ok(_)) => last_payload = clock::now(),
            Ok(Err(error)) => {
                let reset = error.kind() == io::ErrorKind::ConnectionReset;
                return SessionEnd { last_payload, reset };
            }
            Err(_) => return SessionEnd { last_payload, reset: false },
        }
        if last_payload > until {
            return SessionEnd { last_payload, reset: false };
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
