//! Somebody signs in with the command: at a server that is known by its fingerprint, with a code typed in a
//! browser; and commands share what was given.

#![expect(clippy::expect_used, clippy::panic, reason = "a test stops where it cannot go on")]

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    process::{Output, Stdio},
};

use hourgate_server::{Options, Ready, ServeError};
use serde_json::Value;
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::{Child, Command},
    sync::oneshot,
    task::JoinHandle,
};

const PASSWORD: &str = "correct horse battery staple";

struct Server {
    ready: Ready,
    home: tempfile::TempDir,
    stop: oneshot::Sender<()>,
    served: JoinHandle<Result<(), ServeError>>,
}

async fn start() -> Server {
    use std::os::unix::fs::PermissionsExt;
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let home = tempfile::tempdir().expect("a directory");
    std::fs::set_permissions(home.path(), std::fs::Permissions::from_mode(0o700)).expect("a mode");
    let (ready, told) = oneshot::channel();
    let (stop, stopping) = oneshot::channel();
    let options = Options {
        data_dir: Some(home.path().join("data")),
        listen: vec!["127.0.0.1:0".parse().expect("an address")],
        no_guard: true,
        ready: Some(ready),
        stop: Some(stopping),
        ..Options::default()
    };
    let served = tokio::spawn(hourgate_server::serve(options));
    Server { ready: told.await.expect("a server"), home, stop, served }
}

impl Server {
    fn profile(&self) -> PathBuf {
        self.home.path().join("config/login.json")
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_hourgate"));
        command
            .args(arguments)
            .env_clear()
            .env("HOME", self.home.path())
            .env("HOURGATE_PROFILE", self.profile())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        command
    }

    async fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().await.expect("a command")
    }

    /// Begins to sign in: the command, and the code that it shows.
    async fn begin(&self, arguments: &[&str]) -> (Child, String) {
        let mut child = self.command(arguments).spawn().expect("a command");
        let mut lines = BufReader::new(child.stderr.take().expect("stderr")).lines();
        let line = lines.next_line().await.expect("a line").expect("a code");
        let code = line.rsplit(' ').next().expect("a code").to_owned();
        assert!(line.contains("/device") && code.len() == 9, "{line}");
        (child, code)
    }

    async fn stop(self) {
        self.stop.send(()).expect("it runs");
        self.served.await.expect("no panic").expect("a clean stop");
    }
}

/// A browser, as far as these pages need one.
struct Browser {
    client: reqwest::Client,
    base: String,
    cookies: BTreeMap<String, String>,
    form: String,
}

impl Browser {
    fn at(ready: &Ready) -> Browser {
        let pem = std::fs::read(&ready.ca).expect("ca.pem");
        let client = reqwest::Client::builder()
            .tls_certs_only([reqwest::Certificate::from_pem(&pem).expect("a certificate")])
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .expect("a client");
        let (base, cookies) = (ready.url.clone(), BTreeMap::new());
        Browser { client, base, cookies, form: String::new() }
    }

    async fn get(&mut self, path: &str) -> (u16, String) {
        let call = self.client.get(format!("{}{path}", self.base)).header("cookie", self.cookie());
        self.shown(call.send().await.expect("an answer")).await
    }

    async fn post(&mut self, path: &str, fields: &[(&str, &str)]) -> (u16, String) {
        let form = self.form.clone();
        let fields: Vec<(&str, &str)> = fields.iter().copied().chain([("form", &*form)]).collect();
        let call = self.client.post(format!("{}{path}", self.base));
        let call = call.header("cookie", self.cookie()).header("sec-fetch-site", "same-origin");
        self.shown(call.form(&fields).send().await.expect("an answer")).await
    }

    async fn shown(&mut self, answer: reqwest::Response) -> (u16, String) {
        for set in answer.headers().get_all("set-cookie") {
            let pair = set.to_str().expect("text").split(';').next().expect("a pair");
            let (name, value) = pair.split_once('=').expect("a value");
            self.cookies.insert(name.to_owned(), value.to_owned());
        }
        let status = answer.status().as_u16();
        let body = answer.text().await.expect("a body");
        if let Some((_, rest)) = body.split_once("name=\"form\" value=\"") {
            self.form = rest.split('"').next().expect("a value").to_owned();
        }
        (status, body)
    }

    fn cookie(&self) -> String {
        let pairs = self.cookies.iter().filter(|(_, value)| !value.is_empty());
        pairs.map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("; ")
    }

    async fn become_administrator(&mut self, ready: &Ready) {
        let link = ready.welcome.clone().expect("a first start");
        let path = link.strip_prefix(&self.base).expect("a link to here");
        self.get(path).await;
        let secret = path.split_once('=').expect("a secret").1;
        let fields = [
            ("link", secret),
            ("login", "ann"),
            ("name", "Ann Other"),
            ("password", PASSWORD),
            ("again", PASSWORD),
        ];
        assert_eq!(self.post("/welcome", &fields).await.0, 303);
    }

    async fn decide(&mut self, code: &str, decision: &str) {
        self.get("/device").await;
        assert_eq!(self.post("/device", &[("code", code)]).await.0, 200);
        let decided = self.post("/device", &[("code", code), ("decision", decision)]).await;
        assert_eq!(decided.0, 200, "{}", decided.1);
    }
}

fn json(output: &Output) -> Value {
    let text = String::from_utf8_lossy(&output.stdout);
    let said = String::from_utf8_lossy(&output.stderr);
    serde_json::from_str(&text).unwrap_or_else(|_| panic!("{text} {said}"))
}

/// The kept tokens are over.
fn let_time_pass(profile: &Path) {
    let text = std::fs::read_to_string(profile).expect("a sign-in");
    let mut kept: Value = serde_json::from_str(&text).expect("JSON");
    kept["accessTokenEnds"] = "2020-01-01T00:00:00Z".into();
    std::fs::write(profile, kept.to_string()).expect("written");
}

#[tokio::test(flavor = "multi_thread")]
async fn somebody_signs_in_by_a_fingerprint_and_out_again() {
    use std::os::unix::fs::PermissionsExt;
    let server = start().await;
    let mut browser = Browser::at(&server.ready);
    browser.become_administrator(&server.ready).await;
    let url = server.ready.url.clone();

    // A server that is not the one: nothing is sent to it.
    let wrong = server.run(&["login", &url, "--fingerprint", &"0F".repeat(32)]).await;
    let said = String::from_utf8_lossy(&wrong.stderr).into_owned();
    assert_eq!(wrong.status.code(), Some(6), "{said}");
    assert!(said.contains("not trusted"), "{said}");
    let unknown = server.run(&["login", &url]).await;
    assert_eq!(unknown.status.code(), Some(6), "it has no public certificate");

    let fingerprint = server.ready.fingerprint.clone().expect("a first start");
    let login = ["login", &url, "--fingerprint", &fingerprint, "-o", "json"];
    let (child, code) = server.begin(&login).await;
    browser.decide(&code, "deny").await;
    let refused = child.wait_with_output().await.expect("an end");
    assert_eq!(refused.status.code(), Some(1));
    assert!(!server.profile().exists());

    let (child, code) = server.begin(&login).await;
    browser.decide(&code, "approve").await;
    let done = child.wait_with_output().await.expect("an end");
    assert!(done.status.success());
    assert_eq!(json(&done)["signedInAs"], "ann");
    let mode = server.profile().metadata().expect("a file").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let who = json(&server.run(&["whoami", "-o", "json"]).await);
    assert_eq!((&who["name"], &who["roles"][0]["role"]), (&"Ann Other".into(), &"Owner".into()));

    // Several at once renew what is over, one after the other: nobody is taken for a thief.
    for _ in 0..2 {
        let_time_pass(&server.profile());
        let whoami = || server.run(&["whoami", "-o", "json"]);
        let all = tokio::join!(whoami(), whoami(), whoami(), whoami());
        for one in [all.0, all.1, all.2, all.3] {
            assert_eq!(json(&one)["name"], "Ann Other");
        }
    }
    let sessions = json(&server.run(&["session", "list", "-o", "json"]).await);
    assert_eq!(sessions.as_array().map(Vec::len), Some(2), "{sessions}");

    // To sign in again needs no fingerprint: it is known.
    let (child, code) = server.begin(&["login", "-o", "json"]).await;
    browser.decide(&code, "approve").await;
    assert!(child.wait_with_output().await.expect("an end").status.success());
    let sessions = json(&server.run(&["session", "list", "-o", "json"]).await);
    let sessions = sessions.as_array().expect("a list").clone();
    let earlier = sessions.iter().find(|one| one["isThisOne"] == false && one["kind"] == "command");
    let earlier = earlier.expect("the first sign-in")["id"].as_str().expect("an id").to_owned();
    assert!(server.run(&["session", "revoke", &earlier]).await.status.success());

    assert!(server.run(&["logout"]).await.status.success());
    assert!(!server.profile().exists());
    let (_, page) = browser.get("/sessions").await;
    assert!(!page.contains("the hourgate command"), "{page}");
    assert_eq!(server.run(&["logout"]).await.status.code(), Some(3));
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_profile_is_not_written_over_and_an_ended_session_says_so() {
    let server = start().await;
    let mut browser = Browser::at(&server.ready);
    browser.become_administrator(&server.ready).await;
    let (url, ca) = (server.ready.url.clone(), server.ready.ca.display().to_string());
    let admin = server.ready.admin.display().to_string();
    let refused = server.run(&["login", &url, "--ca", &ca, "--profile", &admin]).await;
    assert_eq!(refused.status.code(), Some(2));
    assert!(std::fs::read_to_string(&admin).expect("it is there").contains("clientSecret"));

    let (child, code) = server.begin(&["login", &url, "--ca", &ca, "-o", "json"]).await;
    browser.decide(&code, "approve").await;
    assert!(child.wait_with_output().await.expect("an end").status.success());
    let sessions = json(&server.run(&["session", "list", "-o", "json"]).await);
    let sessions = sessions.as_array().expect("a list").clone();
    let own = sessions.iter().find(|one| one["isThisOne"] == true).expect("this one");
    let own = own["id"].as_str().expect("an id").to_owned();
    assert!(server.run(&["session", "revoke", &own]).await.status.success());
    let over = server.run(&["whoami"]).await;
    let said = String::from_utf8_lossy(&over.stderr).into_owned();
    assert_eq!(over.status.code(), Some(1), "{said}");
    assert!(said.contains("no longer signed in") && said.contains("hourgate login"), "{said}");
    server.stop().await;
}
