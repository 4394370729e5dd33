//! From a socket to requests: TLS, HTTP/1.1 and HTTP/2, and a limit on everything that costs.

use std::{
    net::SocketAddr,
    pin::{Pin, pin},
    sync::Arc,
    time::Duration,
};

use hourgate_store::Store;
use hyper::{body::Incoming, service::service_fn};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::{conn::auto, graceful::GracefulConnection},
};
use rustls::ServerConfig;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{Semaphore, watch},
    task::JoinSet,
    time::{error::Elapsed, timeout},
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};

use super::{caller::is_trusted, dispatch::answer, per_address::PerAddress, proxy};
use crate::server::Server;

/// How many connections are served at once. Past it a new one is closed at once: it costs memory before
/// anybody has signed in.
const CONNECTIONS_MAX: usize = 4_096;
/// How many of them one address may hold, a quarter. An office behind one address has fewer people at work
/// at once; a proxy has more, and is trusted by name.
const PER_ADDRESS_MAX: usize = CONNECTIONS_MAX / 4;
/// How long a client may take to shake hands.
const HANDSHAKE_WITHIN: Duration = Duration::from_secs(10);
/// How long a client may take to send the head of a request, to begin with the next one, and to read the
/// rest of an answer: how long a connection may be without a request under way. Nobody has signed in
/// before a head is there, so whoever needs longer would hold a place for nothing.
const HEAD_WITHIN: Duration = Duration::from_secs(75);
/// Longest head of a request, in bytes; a token has about 600.
const HEAD_BYTES_MAX: usize = 64 << 10;
/// How many header lines a request may have.
const HEADERS_MAX: usize = 100;
/// How many requests one HTTP/2 connection may have under way.
const STREAMS_MAX: u32 = 100;
/// How long requests under way may take to end once the server is to stop. Longer than any but those
/// that wait, which are told to stop waiting.
const FINISH_WITHIN: Duration = Duration::from_secs(5);
/// How long the other side may take to hear that a connection without a request under way is ended.
const GOODBYE_WITHIN: Duration = Duration::from_secs(1);

/// How connections are accepted on every listener.
pub(crate) struct Doorway<S> {
    pub(crate) server: Arc<Server<S>>,
    pub(crate) tls: Arc<ServerConfig>,
    places: Arc<Semaphore>,
    per_address: PerAddress,
}

impl<S: Store> Doorway<S> {
    pub(crate) fn new(server: Arc<Server<S>>, tls: Arc<ServerConfig>) -> Arc<Doorway<S>> {
        let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
        Arc::new(Doorway { server, tls, places, per_address: PerAddress::of(PER_ADDRESS_MAX) })
    }

    /// Serves one listener until `stop` says so, then lets requests under way end.
    pub(crate) async fn serve(
        self: Arc<Doorway<S>>,
        listener: TcpListener,
        mut stop: watch::Receiver<bool>,
    ) {
        let mut connections = JoinSet::new();
        loop {
            let accepted = tokio::select! {
                accepted = listener.accept() => accepted,
                Some(_) = connections.join_next() => continue,
                () = told(&mut stop) => break,
            };
            match accepted {
                Ok((stream, peer)) => {
                    self.clone().admit(&mut connections, stream, peer, stop.clone());
                }
                Err(error) => {
                    // Out of file descriptors, most likely: those who are here go first.
                    tracing::warn!(%error, "a connection could not be accepted");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            }
        }
        drop(listener);
        // Each ends by itself within its time.
        while connections.join_next().await.is_some() {}
    }

    fn admit(
        self: Arc<Doorway<S>>,
        connections: &mut JoinSet<()>,
        stream: TcpStream,
        peer: SocketAddr,
        stop: watch::Receiver<bool>,
    ) {
        let Ok(place) = self.places.clone().try_acquire_owned() else {
            tracing::debug!(%peer, "too many connections: one was turned away");
            return;
        };
        // A trusted proxy holds those of many.
        let says_whose = is_trusted(&self.server.proxy_protocol, peer.ip());
        let is_proxy = says_whose || is_trusted(&self.server.trusted_proxies, peer.ip());
        let share = self.per_address.take(peer.ip());
        if share.is_none() && !is_proxy {
            tracing::debug!(%peer, "too many connections of one address: one was turned away");
            return;
        }
        // Answers are small and awaited: no delay to fill a packet.
        let _set = stream.set_nodelay(true);
        connections.spawn(async move {
            let (_place, _share) = (place, share);
            self.server.metrics.connections.inc();
            if says_whose {
                self.talk_through(stream, peer, stop).await;
            } else {
                self.talk(stream, peer, stop).await;
            }
            self.server.metrics.connections.dec();
        });
    }

    /// The same through a proxy that says whose the connection is. That one holds no more of them than anybody.
    async fn talk_through(
        &self,
        mut stream: TcpStream,
        proxy: SocketAddr,
        mut stop: watch::Receiver<bool>,
    ) {
        let told = tokio::select! {
            told = proxy::whose(&mut stream, proxy) => told,
            () = told(&mut stop) => return,
        };
        let peer = match told {
            Ok(peer) => peer,
            Err(error) => return tracing::warn!(%proxy, %error, "a proxy's connection is ended"),
        };
        let share = self.per_address.take(peer.ip());
        if share.is_none() && peer != proxy {
            return tracing::debug!(%peer, "too many connections of one address: one was turned away");
        }
        let _share = share;
        self.talk(stream, peer, stop).await;
    }

    async fn talk(&self, stream: TcpStream, peer: SocketAddr, mut stop: watch::Receiver<bool>) {
        let acceptor = TlsAcceptor::from(self.tls.clone());
        let shaken = tokio::select! {
            shaken = timeout(HANDSHAKE_WITHIN, acceptor.accept(stream)) => shaken,
            () = told(&mut stop) => return,
        };
        let stream = match shaken {
            Ok(Ok(stream)) => stream,
            Ok(Err(error)) => return tracing::debug!(%peer, %error, "no TLS"),
            Err(_) => return tracing::debug!(%peer, "TLS took too long"),
        };
        let (under_way, watched) = watch::channel(0);
        let under_way = Arc::new(under_way);
        let service = service_fn(|request: hyper::Request<Incoming>| {
            let (server, one) = (self.server.clone(), UnderWay::begin(&under_way));
            async move {
                let _one = one;
                Ok::<_, std::convert::Infallible>(answer(server, peer, request).await)
            }
        });
        let builder = builder(&stream);
        let mut connection = pin!(builder.serve_connection(TokioIo::new(stream), service));
        let ended = tokio::select! {
            ended = connection.as_mut() => Ok(ended),
            () = idle(watched) => {
                tracing::debug!(%peer, "a connection without a request is ended");
                goodbye(connection, 0).await
            }
            () = told(&mut stop) => {
                let count = *under_way.borrow();
                goodbye(connection, count).await
            }
        };
        match ended {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::debug!(%peer, %error, "a connection ended early"),
            Err(_) => tracing::debug!(%peer, "a connection was cut off"),
        }
    }
}

/// Resolves once the server is to stop.
async fn told(stop: &mut watch::Receiver<bool>) {
    // Where nobody is left to say so, it counts as said.
    let _gone = stop.wait_for(|stop| *stop).await;
}

/// HTTP as the handshake agreed on it. To tell the two versions apart by what is sent would mean to wait
/// for it, and there is no end to that.
fn builder(stream: &TlsStream<TcpStream>) -> auto::Builder<TokioExecutor> {
    let (_, tls) = stream.get_ref();
    let mut builder = match tls.alpn_protocol() {
        Some(b"h2") => auto::Builder::new(TokioExecutor::new()).http2_only(),
        Some(_) | None => auto::Builder::new(TokioExecutor::new()).http1_only(),
    };
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_WITHIN)
        .max_headers(HEADERS_MAX)
        .max_buf_size(HEAD_BYTES_MAX);
    builder
        .http2()
        .timer(TokioTimer::new())
        .keep_alive_interval(HEAD_WITHIN)
        .max_header_list_size(HEAD_BYTES_MAX as u32)
        .max_concurrent_streams(STREAMS_MAX);
    builder
}

/// Resolves once no request has been under way for so long that the connection is held for nothing: HTTP/2
/// has no such limit of its own, and a peer that answers pings would stay for ever.
async fn idle(mut under_way: watch::Receiver<usize>) {
    loop {
        if under_way.wait_for(|count| *count == 0).await.is_err() {
            return;
        }
        match timeout(HEAD_WITHIN, under_way.changed()).await {
            Ok(Ok(())) => {}
            Ok(Err(_)) | Err(_) => return,
        }
    }
}

/// Takes no further request, and lets those under way end.
async fn goodbye<C: GracefulConnection>(
    mut connection: Pin<&mut C>,
    under_way: usize,
) -> Result<Result<(), C::Error>, Elapsed> {
    connection.as_mut().graceful_shutdown();
    timeout(if under_way == 0 { GOODBYE_WITHIN } else { FINISH_WITHIN }, connection).await
}

/// One request under way on a connection, for as long as it lives.
struct UnderWay(Arc<watch::Sender<usize>>);

impl UnderWay {
    fn begin(count: &Arc<watch::Sender<usize>>) -> UnderWay {
        count.send_modify(|count| *count += 1);
        UnderWay(count.clone())
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.send_modify(|count| *count -= 1);
    }
}
