//! From a socket to requests: TLS, HTTP/1.1 and HTTP/2, and a limit on everything that costs.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use hourgate_store::Store;
use hyper::{body::Incoming, service::service_fn};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::{
        conn::auto,
        graceful::{GracefulShutdown, Watcher},
    },
};
use rustls::ServerConfig;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{Semaphore, watch},
    task::JoinSet,
};
use tokio_rustls::TlsAcceptor;

use super::dispatch::answer;
use crate::server::Server;

/// How many connections are served at once. Past it a new one is closed at once: it costs memory before
/// anybody has signed in.
const CONNECTIONS_MAX: usize = 4_096;
/// How long a client may take to shake hands.
const HANDSHAKE_WITHIN: Duration = Duration::from_secs(10);
/// How long a client may take to send the head of a request, and to begin with the next one.
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

/// How connections are accepted on every listener.
pub(crate) struct Doorway<S> {
    pub(crate) server: Arc<Server<S>>,
    pub(crate) tls: Arc<ServerConfig>,
    places: Arc<Semaphore>,
}

impl<S: Store> Doorway<S> {
    pub(crate) fn new(server: Arc<Server<S>>, tls: Arc<ServerConfig>) -> Arc<Doorway<S>> {
        let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
        Arc::new(Doorway { server, tls, places })
    }

    /// Serves one listener until `stop` says so, then lets requests under way end.
    pub(crate) async fn serve(
        self: Arc<Doorway<S>>,
        listener: TcpListener,
        mut stop: watch::Receiver<bool>,
    ) {
        let graceful = GracefulShutdown::new();
        let mut connections = JoinSet::new();
        loop {
            let accepted = tokio::select! {
                accepted = listener.accept() => accepted,
                Some(_) = connections.join_next() => continue,
                _ = stop.wait_for(|stop| *stop) => break,
            };
            match accepted {
                Ok((stream, peer)) => {
                    self.clone().admit(&mut connections, stream, peer, graceful.watcher());
                }
                Err(error) => {
                    // Out of file descriptors, most likely: those who are here go first.
                    tracing::warn!(%error, "a connection could not be accepted");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            }
        }
        drop(listener);
        if tokio::time::timeout(FINISH_WITHIN, graceful.shutdown()).await.is_err() {
            tracing::info!("requests under way were cut off");
        }
        connections.shutdown().await;
    }

    fn admit(
        self: Arc<Doorway<S>>,
        connections: &mut JoinSet<()>,
        stream: TcpStream,
        peer: SocketAddr,
        watcher: Watcher,
    ) {
        let Ok(place) = self.places.clone().try_acquire_owned() else {
            tracing::debug!(%peer, "too many connections: one was turned away");
            return;
        };
        // Answers are small and awaited: no delay to fill a packet.
        let _set = stream.set_nodelay(true);
        connections.spawn(async move {
            let _place = place;
            self.server.metrics.connections.inc();
            self.talk(stream, peer, watcher).await;
            self.server.metrics.connections.dec();
        });
    }

    async fn talk(&self, stream: TcpStream, peer: SocketAddr, watcher: Watcher) {
        let acceptor = TlsAcceptor::from(self.tls.clone());
        let stream = match tokio::time::timeout(HANDSHAKE_WITHIN, acceptor.accept(stream)).await {
            Ok(Ok(stream)) => stream,
            Ok(Err(error)) => return tracing::debug!(%peer, %error, "no TLS"),
            Err(_) => return tracing::debug!(%peer, "TLS took too long"),
        };
        let service = service_fn(|request: hyper::Request<Incoming>| {
            let server = self.server.clone();
            async move { Ok::<_, std::convert::Infallible>(answer(server, peer, request).await) }
        });
        let mut builder = auto::Builder::new(TokioExecutor::new());
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
        let connection = builder.serve_connection(TokioIo::new(stream), service);
        if let Err(error) = watcher.watch(connection).await {
            tracing::debug!(%peer, %error, "a connection ended early");
        }
    }
}
