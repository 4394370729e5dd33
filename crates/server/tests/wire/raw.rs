//! Clients that do what no library does: bytes on a TLS connection, and time that passes at once.

use std::{net::SocketAddr, path::Path, sync::Arc, time::Duration};

use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, ServerName, pem::PemObject},
};
use tokio::{
    io::{AsyncRead, AsyncReadExt},
    net::TcpStream,
    time::{advance, pause, resume, sleep, timeout},
};
use tokio_rustls::{TlsConnector, client::TlsStream};

use crate::harness::SOON;

/// A TLS connection on which nothing was said yet. `name` is what the certificate must be for.
pub(crate) async fn tls(
    to: SocketAddr,
    name: &str,
    ca: &Path,
    alpn: Option<&str>,
) -> std::io::Result<TlsStream<TcpStream>> {
    tls_over(TcpStream::connect(to).await?, name, ca, alpn).await
}

/// The same over a connection that stands.
pub(crate) async fn tls_over(
    stream: TcpStream,
    name: &str,
    ca: &Path,
    alpn: Option<&str>,
) -> std::io::Result<TlsStream<TcpStream>> {
    let pem = std::fs::read(ca).expect("ca.pem");
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(&pem).expect("a certificate")).expect("a root");
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = alpn.into_iter().map(|one| one.as_bytes().to_vec()).collect();
    let name = ServerName::try_from(name.to_owned()).expect("a name");
    TlsConnector::from(Arc::new(config)).connect(name, stream).await
}

/// Time passes for everything that waits in this test, at once.
pub(crate) async fn elapse(length: Duration) {
    // What was sent before is taken in before: while this test waits, the runtime looks at its sockets.
    sleep(Duration::from_millis(5)).await;
    pause();
    advance(length).await;
    resume();
}

/// What is still said until the other side ends the connection; it has to be about to.
pub(crate) async fn until_ended(mut stream: impl AsyncRead + Unpin) -> String {
    let mut said = Vec::new();
    let read = timeout(SOON, stream.read_to_end(&mut said)).await.expect("it is ended");
    // Ended without a goodbye counts as well.
    let _ended_how = read;
    String::from_utf8_lossy(&said).into_owned()
}

/// Whether the other side still holds the connection: nothing comes, and it has not ended.
pub(crate) async fn is_held(stream: &mut (impl AsyncRead + Unpin)) -> bool {
    let mut byte = [0];
    timeout(Duration::from_millis(20), stream.read(&mut byte)).await.is_err()
}
