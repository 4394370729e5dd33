//! A whole server: somebody signs in on its page with the certified provider, and is known then.

use std::{collections::BTreeMap, os::unix::fs::PermissionsExt};

use hourgate_server::{Options, Ready, ServeError, serve};
use reqwest::{Certificate, Client, header, redirect};
use serde_json::json;
use tokio::{sync::oneshot, task::JoinHandle};

use crate::{authority::Authority, real::Real};

/// How the server is called, as the provider knows it.
const HOST: &str = "hourgate.test";

struct Whole {
    ready: Ready,
    client: Client,
    cookies: BTreeMap<String, String>,
    stop: oneshot::Sender<()>,
    served: JoinHandle<Result<(), ServeError>>,
    _dir: tempfile::TempDir,
}

struct Shown {
    status: u16,
    location: String,
    body: String,
}

async fn start(authority: &Authority, issuer: &str) -> Whole {
    let dir = tempfile::tempdir().unwrap();
    std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(0o700)).unwrap();
    let secret = dir.path().join("secret");
    std::fs::write(&secret, "a secret: with + and %").unwrap();
    let config = dir.path().join("hourgate.toml");
    let text = format!(
        "public_url = \"https://{HOST}\"\n[outgoing]\nallow = [\"127.0.0.0/8\", \"::1/128\"]\nca = {:?}\n\
         [[provider]]\nname = \"real\"\ntitle = \"The <real> one\"\nissuer = \"{issuer}\"\n\
         client_id = \"hourgate\"\nclient_secret_file = {:?}\n\
         scopes = [\"openid\", \"profile\", \"email\", \"groups\"]\n",
        authority.ca().display().to_string(),
        secret.display().to_string()
    );
    std::fs::write(&config, text).unwrap();
    let (ready, told) = oneshot::channel();
    let (stop, stopping) = oneshot::channel();
    let served = tokio::spawn(serve(Options {
        config: Some(config),
        data_dir: Some(dir.path().join("data")),
        listen: vec!["127.0.0.1:0".parse().unwrap()],
        no_guard: true,
        ready: Some(ready),
        stop: Some(stopping),
        ..Options::default()
    }));
    let ready = told.await.expect("a server");
    let pem = std::fs::read(&ready.ca).unwrap();
    let client = Client::builder()
        .tls_certs_only([Certificate::from_pem(&pem).unwrap()])
        .redirect(redirect::Policy::none())
        .resolve(HOST, ready.addresses[0])
        .no_proxy()
        .build()
        .unwrap();
    Whole { ready, client, cookies: BTreeMap::new(), stop, served, _dir: dir }
}

impl Whole {
    async fn get(&mut self, path: &str) -> Shown {
        let url = format!("https://{HOST}:{}{path}", self.ready.addresses[0].port());
        let cookies = self.cookies.iter().map(|(name, value)| format!("{name}={value}"));
        let cookies = cookies.collect::<Vec<_>>().join("; ");
        let call = self.client.get(url).header(header::COOKIE, cookies);
        let answer = call.send().await.expect("an answer");
        for set in answer.headers().get_all(header::SET_COOKIE) {
            let pair = set.to_str().unwrap().split(';').next().unwrap();
            let (name, value) = pair.split_once('=').unwrap();
            self.cookies.insert(name.to_owned(), value.to_owned());
        }
        let place = answer.headers().get(header::LOCATION);
        let location = place.map(|place| place.to_str().unwrap().to_owned()).unwrap_or_default();
        let status = answer.status().as_u16();
        Shown { status, location, body: answer.text().await.unwrap() }
    }

    async fn stop(self) {
        self.stop.send(()).expect("it runs");
        self.served.await.expect("no panic").expect("a clean stop");
    }
}

#[tokio::test]
async fn somebody_signs_in_on_our_page_with_another_provider() {
    let authority = Authority::new();
    let real = Real::start(&authority).await;
    real.person(&json!({
        "sub": "u-17", "name": "Alice <b>", "preferred_username": "alice", "groups": ["ops"],
    }))
    .await;
    let mut server = start(&authority, &real.issuer).await;
    let page = server.get("/signin?next=/device").await;
    assert!(page.body.contains("Sign in with The &lt;real&gt; one"), "{}", page.body);
    assert_eq!(server.get("/signin/with/other").await.status, 404);

    let away = server.get("/signin/with/real?next=/device").await;
    assert_eq!(away.status, 303, "{}", away.body);
    assert!(away.location.starts_with(&real.issuer), "{}", away.location);
    let back = real.browser().go(&away.location).await;
    assert!(back.as_str().starts_with("https://hourgate.test/signin/callback?"), "{back}");
    let path = format!("{}?{}", back.path(), back.query().unwrap());

    // Another browser has not begun it, and whoever saw the URL go by has nothing of it.
    let held = std::mem::take(&mut server.cookies);
    assert_eq!(server.get(&path).await.status, 401);
    server.cookies = held;
    let signed_in = server.get(&path).await;
    assert_eq!((signed_in.status, signed_in.location.as_str()), (303, "/device"));
    let sessions = server.get("/sessions").await;
    assert_eq!(sessions.status, 200);
    assert!(sessions.body.contains("Alice &lt;b&gt;"), "{}", sessions.body);
    assert_eq!(server.get(&path).await.status, 401, "a code comes back once");
    let factors = server.get("/factors").await;
    assert!(factors.body.contains("another provider") || factors.status == 303);
    server.stop().await;
    real.die().await;
}

#[tokio::test]
async fn a_provider_that_is_down_says_so_and_passwords_go_on() {
    let authority = Authority::new();
    let real = Real::start(&authority).await;
    let issuer = real.issuer.clone();
    real.die().await;
    let mut server = start(&authority, &issuer).await;
    let away = server.get("/signin/with/real").await;
    assert_eq!(away.status, 502);
    assert!(away.body.contains("does not answer now"), "{}", away.body);
    let link = server.ready.welcome.clone().expect("a first start");
    let path = link.strip_prefix("https://hourgate.test").expect("a link to here");
    assert_eq!(server.get(path).await.status, 200);
    server.stop().await;
}
