//! The certified provider in a process of its own, and a browser that goes where it is sent.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    process::Stdio,
};

use reqwest::{Certificate, Client, Response, Url, header, redirect};
use serde::Deserialize;
use serde_json::Value;
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::{Child, Command},
};

use crate::authority::Authority;

/// The provider, which ends when this does.
pub(crate) struct Real {
    pub(crate) issuer: String,
    admin: String,
    child: Child,
    client: Client,
}

#[derive(Deserialize)]
struct Ready {
    issuer: String,
    admin: String,
}

fn modules() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("oidc")
}

impl Real {
    pub(crate) async fn start(authority: &Authority) -> Real {
        let modules = modules();
        assert!(
            modules.join("installed").exists(),
            "the provider that sign-in is tested with is not in {}: run ./check once, or \
             crates/server/tests/oidc/provider/install with the target folder",
            modules.display()
        );
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/oidc/provider/provider.mjs");
        let mut child = Command::new("node")
            .args([&script, &modules, &authority.certificate(), &authority.key()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("node is installed (./check does it)");
        let mut lines = BufReader::new(child.stdout.take().expect("its output")).lines();
        let line = lines.next_line().await.expect("it speaks").expect("it starts");
        let Ready { issuer, admin } = serde_json::from_str(&line).expect("it says where it is");
        Real { issuer, admin, child, client: client(authority) }
    }

    /// Who signs in next, as the provider's claims have them.
    pub(crate) async fn person(&self, person: &Value) {
        self.tell("person", person).await;
    }

    /// A new key signs from now on; the earlier stay, or not.
    pub(crate) async fn rotate(&self, keep: bool) {
        self.tell("keys", &serde_json::json!({ "keep": keep })).await;
    }

    async fn tell(&self, what: &str, body: &Value) {
        let url = format!("{}/{what}", self.admin);
        let told = self.client.post(url).json(body).send().await.unwrap();
        assert!(told.status().is_success());
    }

    pub(crate) async fn die(mut self) {
        self.child.kill().await.unwrap();
    }

    /// Asks the provider as any client does.
    pub(crate) async fn form(
        &self,
        path: &str,
        signed_in_as: Option<(&str, &str)>,
        form: &[(&str, &str)],
    ) -> Value {
        let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
        let kind = "application/x-www-form-urlencoded";
        let request = self.client.post(format!("{}{path}", self.issuer));
        let request = match signed_in_as {
            Some((id, secret)) => request.basic_auth(id, Some(secret)),
            None => request,
        };
        let request = request.header(header::CONTENT_TYPE, kind).body(body);
        request.send().await.unwrap().json().await.unwrap()
    }

    pub(crate) fn browser(&self) -> Browser {
        Browser { client: self.client.clone(), cookies: BTreeMap::new() }
    }
}

fn client(authority: &Authority) -> Client {
    // The provider of cryptography that the client of these tests uses; one test set it already, or this
    // one does.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let ca = std::fs::read(authority.ca()).unwrap();
    Client::builder()
        .tls_certs_only([Certificate::from_pem(&ca).unwrap()])
        .redirect(redirect::Policy::none())
        .no_proxy()
        .build()
        .unwrap()
}

/// Keeps cookies and follows redirects, as far as the provider's own pages go.
pub(crate) struct Browser {
    client: Client,
    cookies: BTreeMap<String, String>,
}

impl Browser {
    /// Goes to a URL, and on until it is sent to another host; that URL is the answer.
    pub(crate) async fn go(&mut self, url: &str) -> Url {
        let mut at = Url::parse(url).unwrap();
        for _ in 0..10 {
            let response = self.get(&at).await;
            let place = response.headers().get(header::LOCATION).map(|to| to.to_str().unwrap());
            let Some(place) = place else {
                panic!("{at}: {} {}", response.status(), response.text().await.unwrap())
            };
            let next = at.join(place).unwrap();
            if next.host_str() != at.host_str() {
                return next;
            }
            at = next;
        }
        panic!("it goes on and on: {at}")
    }

    /// One page.
    pub(crate) async fn get(&mut self, at: &Url) -> Response {
        let response = self.client.get(at.clone()).header(header::COOKIE, self.held());
        let response = response.send().await.unwrap();
        self.keep(&response);
        response
    }

    /// One form of it sent.
    pub(crate) async fn post(&mut self, at: &Url, form: &[(&str, &str)]) -> Response {
        let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
        let request = self.client.post(at.clone()).header(header::COOKIE, self.held());
        let kind = "application/x-www-form-urlencoded";
        let request = request.header(header::CONTENT_TYPE, kind).body(body);
        let response = request.send().await.unwrap();
        self.keep(&response);
        response
    }

    fn held(&self) -> String {
        let held = self.cookies.iter().map(|(name, value)| format!("{name}={value}"));
        held.collect::<Vec<_>>().join("; ")
    }

    fn keep(&mut self, response: &Response) {
        for cookie in response.headers().get_all(header::SET_COOKIE) {
            let pair = cookie.to_str().unwrap().split(';').next().unwrap();
            let (name, value) = pair.split_once('=').unwrap();
            if value.is_empty() {
                self.cookies.remove(name);
            } else {
                self.cookies.insert(name.to_owned(), value.to_owned());
            }
        }
    }
}
