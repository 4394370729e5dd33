//! A provider of which every answer is set by the test, and every question is kept.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};
use tokio_rustls::TlsAcceptor;

use crate::{authority::Authority, signer::Signer};

/// What is said at a path.
#[derive(Clone)]
pub(crate) enum Says {
    Json(Value),
    Status(u16, Value),
    Elsewhere(String),
    /// So many bytes, with or without saying so before.
    Much {
        bytes: usize,
        announced: bool,
    },
    /// A byte now and then, for ever.
    Drip,
}

/// One question: its path, its head as it came, and its body.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub(crate) path: String,
    pub(crate) head: String,
    pub(crate) body: String,
}

#[derive(Default)]
struct Scene {
    says: Mutex<BTreeMap<String, Says>>,
    asked: Mutex<Vec<Asked>>,
}

/// The provider.
pub(crate) struct Fake {
    pub(crate) issuer: String,
    at: SocketAddr,
    scene: Arc<Scene>,
    acceptor: TlsAcceptor,
    listening: Option<JoinHandle<()>>,
}

impl Fake {
    /// Answers as an honest provider with these keys.
    pub(crate) async fn start(authority: &Authority, keys: &[&Signer]) -> Fake {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let at = listener.local_addr().unwrap();
        let mut fake = Fake {
            issuer: format!("https://localhost:{}", at.port()),
            at,
            scene: Arc::default(),
            acceptor: authority.acceptor(),
            listening: None,
        };
        fake.listen(listener);
        fake.describe(&json!({}));
        fake.publish(keys);
        fake
    }

    fn listen(&mut self, listener: TcpListener) {
        let (scene, acceptor) = (Arc::clone(&self.scene), self.acceptor.clone());
        self.listening = Some(tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, acceptor.clone(), Arc::clone(&scene)));
            }
        }));
    }

    /// Nobody answers any more.
    pub(crate) async fn go_down(&mut self) {
        if let Some(listening) = self.listening.take() {
            listening.abort();
            let _ended = listening.await;
        }
    }

    /// At the same place again.
    pub(crate) async fn come_back(&mut self) {
        self.listen(TcpListener::bind(self.at).await.unwrap());
    }

    pub(crate) fn says(&self, path: &str, says: Says) {
        self.scene.says.lock().unwrap().insert(path.to_owned(), says);
    }

    /// What it says about itself, with something added or changed.
    pub(crate) fn describe(&self, more: &Value) {
        let mut document = json!({
            "issuer": self.issuer,
            "jwks_uri": format!("{}/keys", self.issuer),
            "authorization_endpoint": format!("{}/auth", self.issuer),
            "token_endpoint": format!("{}/token", self.issuer),
        });
        document.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        self.says("/.well-known/openid-configuration", Says::Json(document));
    }

    pub(crate) fn publish(&self, keys: &[&Signer]) {
        let keys: Vec<Value> = keys.iter().map(|key| key.public()).collect();
        self.says("/keys", Says::Json(json!({ "keys": keys })));
    }

    /// What was asked at a path.
    pub(crate) fn asked(&self, path: &str) -> Vec<Asked> {
        let asked = self.scene.asked.lock().unwrap();
        asked.iter().filter(|asked| asked.path == path).cloned().collect()
    }

    /// How much was asked at all.
    pub(crate) fn asked_in_all(&self) -> usize {
        self.scene.asked.lock().unwrap().len()
    }
}

/// One question and one answer.
async fn serve(stream: TcpStream, acceptor: TlsAcceptor, scene: Arc<Scene>) -> Option<()> {
    let mut stream = acceptor.accept(stream).await.ok()?;
    let mut read = Vec::new();
    let head_end = loop {
        if let Some(at) = read.windows(4).position(|four| four == b"\r\n\r\n") {
            break at + 4;
        }
        if stream.read_buf(&mut read).await.ok()? == 0 {
            return None;
        }
    };
    let head = String::from_utf8_lossy(&read[..head_end]).into_owned();
    let length = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse().unwrap())
    });
    while read.len() < head_end + length.unwrap_or(0_usize) {
        if stream.read_buf(&mut read).await.ok()? == 0 {
            return None;
        }
    }
    let path = head.split(' ').nth(1)?.to_owned();
    let body = String::from_utf8_lossy(&read[head_end..]).into_owned();
    let says = scene.says.lock().unwrap().get(&path).cloned();
    scene.asked.lock().unwrap().push(Asked { path, head, body });
    let nothing = Says::Status(404, json!({}));
    let (status, more, text) = match says.unwrap_or(nothing) {
        Says::Json(value) => (200, String::new(), value.to_string()),
        Says::Status(status, value) => (status, String::new(), value.to_string()),
        Says::Elsewhere(place) => (302, format!("location: {place}\r\n"), String::new()),
        Says::Much { bytes, announced: true } => (200, String::new(), " ".repeat(bytes)),
        Says::Much { bytes, announced: false } => {
            stream.write_all(b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n").await.ok()?;
            stream.write_all(" ".repeat(bytes).as_bytes()).await.ok()?;
            return stream.shutdown().await.ok();
        }
        Says::Drip => {
            stream.write_all(b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n").await.ok()?;
            loop {
                stream.write_all(b" ").await.ok()?;
                stream.flush().await.ok()?;
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
    };
    let length = text.len();
    let head = format!(
        "HTTP/1.1 {status} X\r\n{more}content-length: {length}\r\nconnection: close\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await.ok()?;
    stream.write_all(text.as_bytes()).await.ok()?;
    stream.shutdown().await.ok()
}
