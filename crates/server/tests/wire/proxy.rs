//! A proxy that carries connections says whose each is; of nobody else is that believed (PROXY protocol, version 2).

use std::net::SocketAddr;

use serde_json::Value;
use tokio::{
    io::AsyncWriteExt,
    net::{TcpSocket, TcpStream},
};

use crate::{
    harness::{Running, Wanted, fresh_dir, start_in},
    raw::{tls_over, until_ended},
};

/// A header that says that the connection is 203.0.113.7's.
const HEADER: &[u8] =
    b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\xcb\0\x71\x07\x0a\0\0\x01\x30\x39\x20\xfb";

async fn running() -> Running {
    let wanted = Wanted::config("proxy_protocol = [\"127.0.0.2\"]\n");
    start_in(fresh_dir(), wanted).await.expect("a server")
}

async fn from(address: &str, to: SocketAddr) -> TcpStream {
    let socket = TcpSocket::new_v4().expect("a socket");
    let own = SocketAddr::new(address.parse().expect("an address"), 0);
    socket.bind(own).expect("a loopback address");
    socket.connect(to).await.expect("a connection")
}

/// What the server says of whoever calls over this connection.
async fn whoami(server: &Running, stream: TcpStream) -> std::io::Result<Value> {
    let mut tls = tls_over(stream, "localhost", &server.ready.ca, None).await?;
    let call = format!(
        "GET {}/providers/Hourgate.Access/whoami?api-version=2026-11-01 HTTP/1.1\r\nhost: localhost\r\n\
         authorization: Bearer {}\r\nconnection: close\r\n\r\n",
        server.s(),
        server.token().await
    );
    tls.write_all(call.as_bytes()).await?;
    let answer = until_ended(tls).await;
    let (_, body) = answer.split_once("\r\n\r\n").expect("a head");
    Ok(serde_json::from_str(body).expect("JSON"))
}

#[tokio::test]
async fn a_connection_through_the_proxy_is_whose_the_proxy_says() {
    let server = running().await;
    let to = server.ready.addresses[0];
    let mut stream = from("127.0.0.2", to).await;
    stream.write_all(HEADER).await.expect("sent");
    let seen = whoami(&server, stream).await.expect("an answer");
    assert_eq!((&seen["address"], &seen["addressIsOwn"]), (&"203.0.113.7".into(), &true.into()));
}

#[tokio::test]
async fn the_proxy_must_say_it_and_nobody_else_can() {
    let server = running().await;
    let to = server.ready.addresses[0];
    let silent = whoami(&server, from("127.0.0.2", to).await).await;
    assert!(silent.is_err(), "the proxy calls as nobody but whom it names: {silent:?}");
    let mut stream = from("127.0.0.3", to).await;
    stream.write_all(HEADER).await.expect("sent");
    let liar = whoami(&server, stream).await;
    assert!(liar.is_err(), "a header of anybody else is no TLS: {liar:?}");
    let direct = whoami(&server, from("127.0.0.3", to).await).await.expect("an answer");
    assert_eq!(direct["address"], "127.0.0.3");
}
