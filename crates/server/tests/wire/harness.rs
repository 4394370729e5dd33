//! A real server on 127.0.0.1 with the real store and a guard in memory, and a real HTTPS client.

use std::{
    net::IpAddr,
    path::Path,
    sync::{
        Arc, Mutex, OnceLock,
        atomic::{AtomicBool, AtomicI64, Ordering},
    },
    time::Duration,
};

use hourgate_core::{
    command::{Command, Needs},
    event::Note,
    grant::Request,
    id::RequestId,
    personal::Personal,
    policy::{GuardCover, Settings, Vm},
    role::{
        Directory, Scope,
        change::{AssignmentDraft, DirectoryCommand, Introduction},
        principal::PrincipalKind,
    },
    state::State,
    time::{Clock, Now},
};
use hourgate_enforce::fake::FakeGuard;
use hourgate_server::{AdminFile, Options, Ready, ServeError, clock::SystemClock, guards::Gate};
use hourgate_store::{
    Committed, Credential, CredentialChange, Installation, LogVerdict, Origin, PolicyAnswer,
    PolicyFilter, Principal, RequestFilter, Store, StoreError, TransactError, VmFilter,
    sqlite::SqliteStore,
};
use jiff::SignedDuration;
use reqwest::{Method, Response};
use serde_json::Value;
use sha2::{Digest, Sha256};
use tempfile::TempDir;
use tokio::{sync::oneshot, task::JoinHandle};
use uuid::Uuid;

/// Who vouches for the people of these tests.
pub(crate) const ISSUER: &str = "https://people.example";
/// How long anything may take that is awaited.
pub(crate) const SOON: Duration = Duration::from_secs(10);

/// What a token of somebody else than the administrator begins with; their object id follows.
const A_PERSONS: &str = "person-";

/// A running server.
pub(crate) struct Running {
    pub(crate) dir: Arc<TempDir>,
    pub(crate) ready: Ready,
    pub(crate) admin: AdminFile,
    pub(crate) client: reqwest::Client,
    pub(crate) guard: Option<FakeGuard>,
    pub(crate) clock: Arc<HandClock>,
    /// While set, nothing can be written or read.
    pub(crate) broken: Arc<AtomicBool>,
    /// While set, nothing can be written.
    pub(crate) full: Arc<AtomicBool>,
    pub(crate) notes: Arc<Mutex<Vec<Note>>>,
    /// The store below the server.
    pub(crate) store: Arc<OnceLock<SqliteStore>>,
    /// The way to the guard, for what is changed past the wire.
    gate: Arc<OnceLock<Gate>>,
    token: tokio::sync::OnceCell<String>,
    stop: Option<oneshot::Sender<()>>,
    served: Option<JoinHandle<Result<(), ServeError>>>,
}

/// What a test wants of its server.
#[derive(Clone)]
pub(crate) struct Wanted {
    pub(crate) config: String,
    /// A guard in memory; without it, none.
    pub(crate) guard: bool,
    /// The guards that are configured, behind their sockets, instead.
    pub(crate) sockets: bool,
    pub(crate) listen: Vec<&'static str>,
    pub(crate) clock: Arc<HandClock>,
}

impl Default for Wanted {
    fn default() -> Wanted {
        Wanted {
            config: String::new(),
            guard: true,
            sockets: false,
            listen: vec!["127.0.0.1:0"],
            clock: Arc::default(),
        }
    }
}

impl Wanted {
    pub(crate) fn config(text: &str) -> Wanted {
        Wanted { config: text.to_owned(), ..Wanted::default() }
    }
}

/// The kernel's clocks, moved by hand: time goes on by itself, and jumps when a test says so.
pub(crate) struct HandClock {
    kernel: SystemClock,
    /// How far wall time was moved, in seconds.
    wall: AtomicI64,
    /// How far the boot clock was moved on, in seconds. It never goes back.
    boot: AtomicI64,
}

impl Default for HandClock {
    fn default() -> HandClock {
        let kernel = SystemClock::new().expect("a clock");
        HandClock { kernel, wall: AtomicI64::new(0), boot: AtomicI64::new(0) }
    }
}

impl HandClock {
    /// Time passes: both clocks go on.
    pub(crate) fn pass(&self, length: Duration) {
        let seconds = i64::try_from(length.as_secs()).expect("a length");
        self.boot.fetch_add(seconds, Ordering::SeqCst);
        self.set(seconds);
    }

    /// Somebody sets the clock, by so many seconds.
    pub(crate) fn set(&self, seconds: i64) {
        self.wall.fetch_add(seconds, Ordering::SeqCst);
    }
}

impl Clock for HandClock {
    fn now(&self) -> Now {
        let mut now = self.kernel.now();
        let wall = SignedDuration::from_secs(self.wall.load(Ordering::SeqCst));
        now.wall = now.wall.checked_add(wall).expect("a time");
        let boot = u64::try_from(self.boot.load(Ordering::SeqCst)).expect("it never goes back");
        now.boot.nanos += boot * 1_000_000_000;
        now
    }
}

pub(crate) fn fresh_dir() -> Arc<TempDir> {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().expect("a directory");
    std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(0o700)).expect("a mode");
    Arc::new(dir)
}

pub(crate) async fn start() -> Running {
    start_in(fresh_dir(), Wanted::default()).await.expect("a server")
}

/// A server of an installation that had a signing key before, in a file: the test knows it.
pub(crate) async fn start_with_key() -> (Running, jsonwebtoken::EncodingKey) {
    use std::os::unix::fs::DirBuilderExt;
    let (dir, key) = (fresh_dir(), rcgen::KeyPair::generate().expect("a key"));
    let data = dir.path().join("data");
    std::fs::DirBuilder::new().mode(0o700).create(&data).expect("a directory");
    std::fs::write(data.join("token.key"), key.serialize_pem()).expect("written");
    let server = start_in(dir, Wanted::default()).await.expect("a server");
    (server, jsonwebtoken::EncodingKey::from_ec_der(key.serialized_der()))
}

pub(crate) async fn start_in(dir: Arc<TempDir>, wanted: Wanted) -> Result<Running, ServeError> {
    // The provider that the client of these tests uses; one test set it already, or this one does.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let config = dir.path().join("hourgate.toml");
    std::fs::write(&config, &wanted.config).expect("a configuration");
    let (ready, told) = oneshot::channel();
    let (stop, stopping) = oneshot::channel();
    let options = Options {
        config: Some(config),
        data_dir: Some(dir.path().join("data")),
        listen: wanted.listen.iter().map(|at| at.parse().expect("an address")).collect(),
        no_guard: !wanted.guard && !wanted.sockets,
        ready: Some(ready),
        stop: Some(stopping),
        clock: Some(wanted.clock.clone()),
        whose: Some(Arc::new(|token| token.strip_prefix(A_PERSONS)?.parse().ok())),
    };
    let broken = Arc::new(AtomicBool::new(false));
    let full = Arc::new(AtomicBool::new(false));
    let notes = Arc::new(Mutex::new(Vec::new()));
    let (held, filled, listed) = (broken.clone(), full.clone(), notes.clone());
    let store: Arc<OnceLock<SqliteStore>> = Arc::default();
    let kept = store.clone();
    let gate: Arc<OnceLock<Gate>> = Arc::default();
    let kept_gate = gate.clone();
    let clock = wanted.clock;
    let guard = (wanted.guard && !wanted.sockets).then(|| FakeGuard::new(clock.clone()));
    let fake = guard.clone();
    let mut served = tokio::spawn(async move {
        match fake {
            None => hourgate_server::serve(options).await,
            Some(fake) => {
                let wrap = move |inner: SqliteStore| {
                    let _ = kept.set(inner.clone());
                    Breakable { inner, broken: held, full: filled, notes: listed }
                };
                hourgate_server::serve_over(options, wrap, move |_config, _dir, store, clock| {
                    let guards = vec![(GuardCover::everything("local"), fake)];
                    let gate = Gate::start_with(guards, store, clock);
                    let _ = kept_gate.set(gate.clone());
                    gate
                })
                .await
            }
        }
    });
    let ready = tokio::select! {
        ready = told => ready,
        failed = &mut served => return Err(failed.expect("no panic").expect_err("it ended early")),
    };
    let ready = match ready {
        Ok(ready) => ready,
        Err(_) => return Err(served.await.expect("no panic").expect_err("it ended early")),
    };
    let admin = read_admin(&ready.admin);
    Ok(Running {
        client: client(&ready.ca, None),
        token: tokio::sync::OnceCell::new(),
        stop: Some(stop),
        served: Some(served),
        dir,
        ready,
        admin,
        guard,
        clock,
        broken,
        full,
        notes,
        store,
        gate,
    })
}

pub(crate) fn read_admin(path: &Path) -> AdminFile {
    serde_json::from_slice(&std::fs::read(path).expect("admin.json")).expect("its content")
}

/// A client that trusts that certificate and nothing else.
pub(crate) fn client(ca: &Path, http1: Option<()>) -> reqwest::Client {
    let builder = if http1.is_some() { trusting(ca).http1_only() } else { trusting(ca) };
    builder.build().expect("a client")
}

/// The same, from an address of its own.
pub(crate) fn client_at(ca: &Path, from: IpAddr) -> reqwest::Client {
    trusting(ca).local_address(from).build().expect("a client")
}

fn trusting(ca: &Path) -> reqwest::ClientBuilder {
    let pem = std::fs::read(ca).expect("ca.pem");
    let root = reqwest::Certificate::from_pem(&pem).expect("a certificate");
    reqwest::Client::builder().tls_certs_only([root]).no_proxy().timeout(SOON * 20)
}

impl Running {
    pub(crate) fn url(&self, path: &str) -> String {
        format!("{}{path}", self.ready.url)
    }

    /// The path of the subscription.
    pub(crate) fn s(&self) -> String {
        format!("/subscriptions/{}", self.admin.subscription_id)
    }

    pub(crate) async fn token(&self) -> String {
        self.token.get_or_init(|| async { self.sign_in().await }).await.clone()
    }

    async fn sign_in(&self) -> String {
        let answer = self.token_call(&self.admin.client_secret).await;
        assert_eq!(answer.status(), 200);
        let answer: Value = answer.json().await.expect("JSON");
        answer["access_token"].as_str().expect("a token").to_owned()
    }

    pub(crate) async fn token_call(&self, secret: &str) -> Response {
        let scope = format!("{}//.default", self.ready.url);
        self.token_for(secret, &[("scope", &scope)]).await
    }

    /// Asks for a token as az does, for what the form names besides.
    pub(crate) async fn token_for(&self, secret: &str, wanted: &[(&str, &str)]) -> Response {
        let url = self.url(&format!("/{}/oauth2/v2.0/token", self.admin.tenant_id));
        let client = self.admin.client_id.to_string();
        let mut form = form_urlencoded::Serializer::new(String::new());
        form.extend_pairs([
            ("grant_type", "client_credentials"),
            ("client_id", &client),
            ("client_secret", secret),
            ("client_info", "1"),
            ("claims", r#"{"access_token":{"xms_cc":{"values":["CP1"]}}}"#),
        ]);
        form.extend_pairs(wanted);
        let call =
            self.client.post(url).header("content-type", "application/x-www-form-urlencoded");
        call.body(form.finish()).send().await.expect("an answer")
    }

    /// A call with a token. `path` is behind the server's URL.
    pub(crate) async fn call(&self, method: Method, path: &str, body: Option<&str>) -> Response {
        self.call_with(method, path, body, &[]).await
    }

    pub(crate) async fn call_with(
        &self,
        method: Method,
        path: &str,
        body: Option<&str>,
        headers: &[(&str, &str)],
    ) -> Response {
        let mut request =
            self.client.request(method, self.url(path)).bearer_auth(self.token().await);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        if let Some(body) = body {
            request = request.header("content-type", "application/json").body(body.to_owned());
        }
        request.send().await.expect("an answer")
    }

    /// A call, its status and its JSON.
    pub(crate) async fn json(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> (u16, Value) {
        let body = body.map(Value::to_string);
        let answer = self.call(method, path, body.as_deref()).await;
        let status = answer.status().as_u16();
        let text = answer.text().await.expect("a body");
        (status, serde_json::from_str(&text).unwrap_or(Value::String(text)))
    }

    /// A call by somebody who is known, its status and its JSON.
    pub(crate) async fn json_as(
        &self,
        who: Uuid,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> (u16, Value) {
        let mut request = self.client.request(method, self.url(path));
        request = request.bearer_auth(format!("{A_PERSONS}{who}"));
        if let Some(body) = body {
            request = request.header("content-type", "application/json").body(body.to_string());
        }
        let answer = request.send().await.expect("an answer");
        let status = answer.status().as_u16();
        let text = answer.text().await.expect("a body");
        (status, serde_json::from_str(&text).unwrap_or(Value::String(text)))
    }

    /// Changes people or roles, past the wire.
    pub(crate) async fn directory(&self, command: DirectoryCommand) {
        let store = self.store.get().expect("a store");
        let origin = Origin {
            person: None,
            address: None,
            action: String::new(),
            target: String::new(),
            correlation: Uuid::nil(),
        };
        let done = store.transact(origin, Command::Directory(command)).await;
        let done = done.expect("a change of the directory");
        if let Some(gate) = self.gate.get() {
            gate.wake_for(&done);
        }
    }

    /// Somebody who has signed in, in these groups.
    pub(crate) async fn person(&self, name: &str, groups: &[Uuid]) -> Uuid {
        self.known(PrincipalKind::User, name, Some(groups)).await
    }

    /// A group.
    pub(crate) async fn group(&self, name: &str) -> Uuid {
        self.known(PrincipalKind::Group, name, None).await
    }

    async fn known(&self, kind: PrincipalKind, name: &str, groups: Option<&[Uuid]>) -> Uuid {
        let id = id_of(&format!("{kind:?} {name}"));
        let introduction = Introduction {
            id,
            kind,
            issuer: ISSUER.to_owned(),
            subject: Personal(name.to_owned()),
            name: Personal(name.to_owned()),
            upn: None,
            verified_mail: None,
            groups: groups.map(|groups| groups.iter().copied().collect()),
            said: None,
        };
        self.directory(DirectoryCommand::Introduce(introduction)).await;
        id
    }

    /// Gives somebody a role for good. `scope` is behind the subscription: `/resourceGroups/rg1`, or nothing.
    pub(crate) async fn give(&self, role: Uuid, scope: &str, principal: Uuid) -> Uuid {
        let scope: Scope = format!("{}{scope}", self.s()).parse().expect("a scope");
        let id = id_of(&format!("{principal} {role} {scope}"));
        let draft = AssignmentDraft {
            id,
            scope,
            role,
            principal,
            kind: None,
            description: None,
            until: None,
            by: None,
        };
        self.directory(DirectoryCommand::Assign(draft)).await;
        id
    }

    pub(crate) fn vm_id(&self, group: &str, name: &str) -> String {
        format!(
            "{}/resourceGroups/{group}/providers/Microsoft.Compute/virtualMachines/{name}",
            self.s()
        )
    }

    pub(crate) fn policy_id(&self, group: &str) -> String {
        format!(
            "{}/resourceGroups/{group}/providers/Microsoft.Security/locations/centralus\
             /jitNetworkAccessPolicies/default",
            self.s()
        )
    }

    pub(crate) async fn register(&self, group: &str, name: &str, addresses: &[&str]) {
        let path = format!("{}?api-version=2026-04-01", self.vm_id(group, name));
        let body = serde_json::json!({
            "location": "centralus",
            "properties": { "privateAddresses": addresses, "osType": "Linux" },
        });
        let (status, answer) = self.json(Method::PUT, &path, Some(&body)).await;
        assert!(status == 200 || status == 201, "{status} {answer}");
    }

    /// A VM `web-1` with address 10.9.0.4, and a policy for its port 22.
    pub(crate) async fn protect(&self) -> String {
        self.register("rg1", "web-1", &["10.9.0.4"]).await;
        let policy = self.policy_id("rg1");
        let body = self.policy_body("web-1", 22);
        let path = format!("{policy}?api-version=2020-01-01");
        let (status, answer) = self.json(Method::PUT, &path, Some(&body)).await;
        assert_eq!(status, 200, "{answer}");
        policy
    }

    pub(crate) fn policy_body(&self, vm: &str, port: u16) -> Value {
        serde_json::json!({"kind": "Basic", "properties": {"virtualMachines": [{
            "id": self.vm_id("rg1", vm),
            "ports": [{
                "number": port,
                "protocol": "TCP",
                "allowedSourceAddressPrefix": "192.0.2.0/24",
                "maxRequestAccessDuration": "PT3H",
            }],
        }]}})
    }

    pub(crate) fn ask_body(&self, vm: &str, port: u16) -> Value {
        serde_json::json!({"virtualMachines": [{
            "id": self.vm_id("rg1", vm),
            "ports": [{
                "number": port, "duration": "PT1H", "allowedSourceAddressPrefix": "192.0.2.7",
            }],
        }]})
    }

    /// Asks for port 22 of `web-1`, and gives the request's id.
    pub(crate) async fn ask(&self) -> String {
        let path = format!("{}/initiate?api-version=2020-01-01", self.policy_id("rg1"));
        let (status, answer) =
            self.json(Method::POST, &path, Some(&self.ask_body("web-1", 22))).await;
        assert_eq!(status, 202, "{answer}");
        answer["id"].as_str().expect("an id").to_owned()
    }

    pub(crate) fn request_path(&self, id: &str) -> String {
        format!("{}/providers/Hourgate.Access/requests/{id}?api-version=2026-11-01", self.s())
    }

    /// Looks until it is so.
    pub(crate) async fn until(&self, path: &str, so: impl Fn(&Value) -> bool) -> Value {
        let look = async {
            loop {
                let (_, answer) = self.json(Method::GET, path, None).await;
                if so(&answer) {
                    return answer;
                }
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(SOON, look).await.expect("it became so")
    }

    pub(crate) async fn stop(&mut self) {
        if let (Some(stop), Some(served)) = (self.stop.take(), self.served.take()) {
            stop.send(()).expect("a server that listens");
            served.await.expect("no panic").expect("a clean stop");
        }
    }

    /// Stops it and starts another on the same directory.
    pub(crate) async fn restart(mut self, wanted: Wanted) -> Running {
        self.stop().await;
        let dir = self.dir.clone();
        drop(self);
        start_in(dir, wanted).await.expect("a server again")
    }
}

/// An id that follows from a text.
pub(crate) fn id_of(text: &str) -> Uuid {
    Uuid::from_slice(&Sha256::digest(text)[..16]).expect("16 bytes")
}

pub(crate) fn status_of_first_port(request: &Value) -> &str {
    request["virtualMachines"][0]["ports"][0]["status"].as_str().unwrap_or_default()
}

/// The real store, until it is told to fail.
#[derive(Clone)]
pub(crate) struct Breakable {
    inner: SqliteStore,
    broken: Arc<AtomicBool>,
    full: Arc<AtomicBool>,
    notes: Arc<Mutex<Vec<Note>>>,
}

impl Breakable {
    fn whole(&self) -> Result<(), StoreError> {
        if self.broken.load(Ordering::SeqCst) {
            return Err(StoreError::Unavailable("the disk is full".to_owned()));
        }
        Ok(())
    }
}

impl Store for Breakable {
    async fn transact(&self, origin: Origin, command: Command) -> Result<Committed, TransactError> {
        self.whole()?;
        if self.full.load(Ordering::SeqCst) {
            return Err(StoreError::Unavailable("the disk is full".to_owned()).into());
        }
        self.inner.transact(origin, command).await
    }

    async fn what_if(&self, command: Command) -> Result<Committed, TransactError> {
        self.whole()?;
        self.inner.what_if(command).await
    }

    async fn note(&self, origin: Origin, note: Note) -> Result<(), StoreError> {
        self.whole()?;
        self.notes.lock().expect("no panic").push(note.clone());
        self.inner.note(origin, note).await
    }

    async fn load(&self, needs: Needs) -> Result<State, StoreError> {
        self.whole()?;
        self.inner.load(needs).await
    }

    async fn everything(&self) -> Result<State, StoreError> {
        self.whole()?;
        self.inner.everything().await
    }

    async fn next_deadline(&self, now: Now) -> Result<Option<Duration>, StoreError> {
        self.whole()?;
        self.inner.next_deadline(now).await
    }

    async fn policies(&self, which: PolicyFilter) -> Result<Vec<PolicyAnswer>, StoreError> {
        self.whole()?;
        self.inner.policies(which).await
    }

    async fn vms(&self, which: VmFilter) -> Result<Vec<Vm>, StoreError> {
        self.whole()?;
        self.inner.vms(which).await
    }

    async fn requests(&self, which: RequestFilter) -> Result<Vec<Request>, StoreError> {
        self.whole()?;
        self.inner.requests(which).await
    }

    async fn request(&self, id: RequestId) -> Result<Option<Request>, StoreError> {
        self.whole()?;
        self.inner.request(id).await
    }

    fn settings(&self) -> Arc<Settings> {
        self.inner.settings()
    }

    fn directory(&self) -> Arc<Directory> {
        self.inner.directory()
    }

    fn installation(&self) -> Installation {
        self.inner.installation()
    }

    async fn principal(&self, client: Uuid) -> Result<Option<Principal>, StoreError> {
        self.whole()?;
        self.inner.principal(client).await
    }

    async fn set_principal(
        &self,
        origin: Origin,
        principal: Principal,
        note: Note,
    ) -> Result<(), StoreError> {
        self.whole()?;
        self.inner.set_principal(origin, principal, note).await
    }

    async fn credentials(&self) -> Result<Vec<Credential>, StoreError> {
        self.whole()?;
        self.inner.credentials().await
    }

    async fn keep(
        &self,
        origin: Origin,
        changes: Vec<CredentialChange>,
        note: Note,
    ) -> Result<(), StoreError> {
        self.whole()?;
        self.notes.lock().expect("no panic").push(note.clone());
        self.inner.keep(origin, changes, note).await
    }

    async fn verify_log(&self) -> Result<LogVerdict, StoreError> {
        self.whole()?;
        self.inner.verify_log().await
    }
}
