//! A lean HTTPS client: one kept-alive connection, HTTP/1.1, no more work than the answer needs, so that
//! a figure tells of the server and not of its client.

use std::sync::Arc;

use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, ServerName, pem::PemObject},
};
use serde_json::Value;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use tokio_rustls::{TlsConnector, client::TlsStream};

use crate::Outcome;

/// Where the server is and as whom it is spoken to.
#[derive(Clone)]
pub(crate) struct Profile {
    pub(crate) address: std::net::SocketAddr,
    pub(crate) tenant: String,
    pub(crate) subscription: String,
    client_id: String,
    client_secret: String,
    tls: Arc<ClientConfig>,
}

impl Profile {
    /// Reads what the server wrote at its first start.
    pub(crate) fn read(path: &std::path::Path) -> Outcome<Profile> {
        let admin: Value = serde_json::from_slice(&std::fs::read(path)?)?;
        let text = |key: &str| -> Outcome<String> {
            Ok(admin[key].as_str().ok_or_else(|| format!("admin.json has no {key}"))?.to_owned())
        };
        let server = text("server")?;
        let address = server.strip_prefix("https://").ok_or("no https server")?.parse()?;
        let mut roots = RootCertStore::empty();
        for root in CertificateDer::pem_file_iter(text("ca")?)? {
            roots.add(root?)?;
        }
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let tls = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(Profile {
            address,
            tenant: text("tenantId")?,
            subscription: text("subscriptionId")?,
            client_id: text("clientId")?,
            client_secret: text("clientSecret")?,
            tls: Arc::new(tls),
        })
    }

    /// A token, as any client gets it.
    pub(crate) async fn token(&self) -> Outcome<String> {
        let form = format!(
            "grant_type=client_credentials&client_id={}&client_secret={}&scope=https%3A%2F%2F{}%2F.default",
            self.client_id,
            self.client_secret,
            self.address.to_string().replace(':', "%3A"),
        );
        let path = format!("/{}/oauth2/v2.0/token", self.tenant);
        let mut connection = Connection::open(self, String::new()).await?;
        connection.kind = "application/x-www-form-urlencoded";
        let answer = connection.call("POST", &path, form.as_bytes()).await?;
        let token = answer.json()?["access_token"].as_str().map(str::to_owned);
        Ok(token.ok_or("no token")?)
    }
}

/// What came back.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    /// The body of a success.
    pub(crate) fn json(&self) -> Outcome<Value> {
        if !(200..300).contains(&self.status) {
            let said = String::from_utf8_lossy(&self.body);
            let said: String = said.chars().take(600).collect();
            return Err(format!("the server answered {}: {said}", self.status).into());
        }
        if self.body.is_empty() {
            return Ok(Value::Null);
        }
        Ok(serde_json::from_slice(&self.body)?)
    }
}

/// One kept-alive connection.
pub(crate) struct Connection {
    stream: TlsStream<TcpStream>,
    host: String,
    token: String,
    kind: &'static str,
    received: Vec<u8>,
    sending: Vec<u8>,
}

impl Connection {
    /// Connects and shakes hands.
    pub(crate) async fn open(profile: &Profile, token: String) -> Outcome<Connection> {
        let stream = TcpStream::connect(profile.address).await?;
        stream.set_nodelay(true)?;
        let name = ServerName::from(profile.address.ip());
        let stream = TlsConnector::from(Arc::clone(&profile.tls)).connect(name, stream).await?;
        let host = profile.address.to_string();
        let kind = "application/json";
        Ok(Connection { stream, host, token, kind, received: Vec::new(), sending: Vec::new() })
    }

    /// Sends a request and reads its whole answer.
    pub(crate) async fn call(&mut self, method: &str, path: &str, body: &[u8]) -> Outcome<Answer> {
        use std::io::Write;
        self.sending.clear();
        write!(
            self.sending,
            "{method} {path} HTTP/1.1\r\nhost: {}\r\ncontent-type: {}\r\ncontent-length: {}\r\n",
            self.host,
            self.kind,
            body.len(),
        )?;
        if !self.token.is_empty() {
            write!(self.sending, "authorization: Bearer {}\r\n", self.token)?;
        }
        self.sending.extend_from_slice(b"\r\n");
        self.sending.extend_from_slice(body);
        self.stream.write_all(&self.sending).await?;
        self.stream.flush().await?;
        self.answer().await
    }

    async fn answer(&mut self) -> Outcome<Answer> {
        self.received.clear();
        let head_end = loop {
            if let Some(at) = find(&self.received, b"\r\n\r\n") {
                break at + 4;
            }
            self.more().await?;
        };
        let head = std::str::from_utf8(&self.received[..head_end])?;
        let status = head.get(9..12).ok_or("no status")?.parse()?;
        let length = head.split("\r\n").find_map(|line| {
            let (name, value) = line.split_once(':')?;
            name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse::<usize>())
        });
        let length = match length {
            Some(length) => length?,
            None if status == 204 => 0,
            None => return Err("an answer without a length".into()),
        };
        while self.received.len() < head_end + length {
            self.more().await?;
        }
        Ok(Answer { status, body: self.received[head_end..head_end + length].to_vec() })
    }

    async fn more(&mut self) -> Outcome<()> {
        let read = self.stream.read_buf(&mut self.received).await?;
        if read == 0 { Err("the server hung up".into()) } else { Ok(()) }
    }
}

fn find(hay: &[u8], needle: &[u8]) -> Option<usize> {
    hay.windows(needle.len()).position(|window| window == needle)
}
