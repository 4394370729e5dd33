//! A server's life: it opens what is there, listens, and stops in good order. The gate stays as it is.

use std::{
    future::Future,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use hourgate_core::{
    command::Needs,
    event::Note,
    id::SubscriptionId,
    policy::{GROUPS_HOLD, GuardCover, Settings},
    time::Clock,
};
use hourgate_enforce::guard::{Guard, GuardError};
use hourgate_store::{Store, StoreError, sqlite::SqliteStore};
use tokio::{
    net::{TcpListener, TcpSocket},
    signal::unix::{SignalKind, signal},
    sync::{Notify, oneshot, watch},
    task::JoinSet,
};
use uuid::Uuid;

use crate::{
    admin::{self, AdminError},
    adopt::adopt,
    clock::SystemClock,
    config::{self, Config, ConfigError, Flags},
    control::{self, Control},
    data_dir::{DataDir, DataDirError},
    guards::{Gate, GuardAt, StartGuard, may_start_guards},
    http::{Doorway, Parsers, serve_metrics},
    interfaces::OwnAddresses,
    metrics::Metrics,
    mint::{self, NoRandomness},
    operations::{Denials, Waiters},
    outgoing::{Limits, OpenError, Outgoing},
    portal::Portal,
    server::{Owed, Places, Server, ours},
    signin::{
        Audiences, Lives, SealError, SignIn, SignInError, kept_keys,
        local::{accounts::Accounts, hashing::COST, seal::Seal, service::Services, vault::Vault},
        provider::Providers,
    },
    storage::{self, StorageError},
    tls::{Tls, TlsError},
};

/// How often this machine's addresses, the certificate and the clock are looked at.
const LOOK_EVERY: Duration = Duration::from_secs(30);
/// How many connections may wait to be accepted; that is quick, so it is for bursts.
const BACKLOG: u32 = 1_024;

/// What `hourgate serve` was told.
#[derive(Default)]
pub struct Options {
    /// `--config`: a TOML file.
    pub config: Option<PathBuf>,
    /// `--data-dir`.
    pub data_dir: Option<PathBuf>,
    /// `--listen`, as often as it was given.
    pub listen: Vec<SocketAddr>,
    /// `--no-guard`: guards stay configured, and unreached.
    pub no_guard: bool,
    /// Told once the server answers.
    pub ready: Option<oneshot::Sender<Ready>>,
    /// Stops the server, as SIGTERM and SIGINT do.
    pub stop: Option<oneshot::Receiver<()>>,
    /// What tells the time instead of the kernel: for tests, which move theirs by hand.
    pub clock: Option<Arc<dyn Clock>>,
    /// Whose a token is that nobody here gave: for tests, which come as many people.
    pub whose: Option<Whose>,
}

/// The object id of the principal that a token is for; none if it is for nobody.
pub type Whose = Arc<dyn Fn(&str) -> Option<Uuid> + Send + Sync>;

/// A server that answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ready {
    /// Where it listens, in the order configured, with the ports that were picked.
    pub addresses: Vec<SocketAddr>,
    /// Where metrics are served.
    pub metrics: Option<SocketAddr>,
    /// Its URL, as `admin.json` has it.
    pub url: String,
    /// The administrator's file.
    pub admin: PathBuf,
    /// The certificate that clients trust.
    pub ca: PathBuf,
    /// That certificate's SHA-256, if it was made just now: people must be told.
    pub fingerprint: Option<String>,
    /// Where the first administrator sets a password, within the hour and once, if this is the first start.
    pub welcome: Option<String>,
}

/// Why a server does not run.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The configuration cannot be used.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The data directory cannot be used.
    #[error(transparent)]
    DataDir(#[from] DataDirError),
    /// There is no store.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// The store fails.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// There is no administrator.
    #[error(transparent)]
    Admin(#[from] AdminError),
    /// Nobody can sign in.
    #[error(transparent)]
    SignIn(#[from] SignInError),
    /// Nobody can be called.
    #[error(transparent)]
    Outgoing(#[from] OpenError),
    /// Nothing can be sealed.
    #[error(transparent)]
    Seal(#[from] SealError),
    /// There is no way in for the first administrator.
    #[error("no link for the first administrator can be made: {0}")]
    Link(String),
    /// There is no TLS.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// An address cannot be listened on.
    #[error("cannot listen on {0}: {1}")]
    Listen(SocketAddr, std::io::Error),
    /// The control socket cannot be made.
    #[error("the control socket {} cannot be made: {}", .0.display(), .1)]
    Control(PathBuf, std::io::Error),
    /// The clock cannot be read.
    #[error("the clock cannot be read: {0}")]
    Clock(std::io::Error),
    /// Signals cannot be waited for.
    #[error("signals cannot be waited for: {0}")]
    Signals(std::io::Error),
    /// The kernel gives no randomness.
    #[error(transparent)]
    NoRandomness(#[from] NoRandomness),
}

/// Runs a server until it is told to stop.
pub async fn serve(options: Options) -> Result<(), ServeError> {
    let no_guard = options.no_guard;
    let gate = move |config: &Config, dir: &Path, store: SqliteStore, clock: Arc<dyn Clock>| {
        if no_guard {
            let covers = config.guards.iter().map(|guard| (guard.cover.clone(), NoGuard));
            Gate::start_with(covers.collect(), store, clock)
        } else {
            Gate::start(guards(config, dir), store, clock)
        }
    };
    serve_over(options, |store| store, gate).await
}

/// The same with a store that stands before the real one, and any guards: for tests, and for a
/// demonstration where there is no kernel to change.
pub async fn serve_over<S: Store>(
    mut options: Options,
    wrap: impl FnOnce(SqliteStore) -> S,
    gate: impl FnOnce(&Config, &Path, S, Arc<dyn Clock>) -> Gate,
) -> Result<(), ServeError> {
    let flags = Flags { data_dir: options.data_dir.take(), listen: options.listen.split_off(0) };
    let config = config::load(options.config.as_deref(), flags)?;
    let dir = DataDir::create(&config.data_dir)?;
    let _lock = dir.lock()?;
    let own = OwnAddresses::look();
    let clock = match options.clock.take() {
        Some(clock) => clock,
        None => Arc::new(SystemClock::new().map_err(ServeError::Clock)?),
    };
    // Before anything is written: a port that is taken leaves no half-made store behind.
    let listeners = listen(&config.listen)?;
    let sqlite = storage::open(&dir, settings(&config, &own, None), clock.clone())?;
    // Known only once the store is open; before anybody asks.
    let first = sqlite.installation().subscription;
    sqlite.set_settings(settings(&config, &own, Some(first)));
    let store = wrap(sqlite.clone());
    let addresses: Vec<SocketAddr> = listeners.iter().map(|(_, address)| *address).collect();
    let url = url(&addresses);
    let tls = Arc::new(Tls::open(&dir, &config, &addresses, own.clone(), clock.clone())?);
    let metrics = Metrics::new();
    let metrics_listener = match config.metrics_listen {
        Some(address) => Some(bind(address, false)?),
        None => None,
    };
    let control = control::listen(&dir);
    let control = control.map_err(|error| ServeError::Control(dir.control_socket(), error))?;
    let is_first = store.directory().principals().next().is_none();
    // Last, and whole: whoever waits for this file finds all that it names, and somebody who listens.
    let administrator = admin::ensure(&store, &dir, &url).await?;
    let (stop, stopping) = watch::channel(false);
    let installation = store.installation();
    let base = config.public_url.as_ref().map_or_else(|| url.clone(), |public| public.url.clone());
    let audiences = Audiences::new(&base, &addresses, own.clone());
    let rows = store.credentials().await?;
    let sealed = rows.iter().any(|row| row.kind.is_sealed());
    let seal = Seal::open(&dir, sealed)?;
    let vault = Vault::new(rows.clone());
    let services = Services::new(vault.clone());
    let accounts = Accounts::open(vault, Seal::open(&dir, true)?, &base, COST)?;
    let outgoing = Arc::new(Outgoing::open(&config.outgoing, Limits::default())?);
    let providers = Providers::open(config.providers.clone(), outgoing)?;
    let keys = kept_keys::read(&dir, &seal, &rows, config.token_key_age, clock.now().wall)?;
    let lives = Lives { idle: config.session_idle, longest: config.session_longest };
    let server = Arc::new(Server {
        gate: gate(&config, dir.path(), store.clone(), clock.clone()),
        sign_in: SignIn::open(installation.tenant, administrator, audiences, keys, (lives, &rows)),
        seal,
        accounts,
        services,
        providers,
        portal: Portal::new()?,
        owed: Owed::default(),
        base,
        trusted_proxies: config.trusted_proxies.clone(),
        proxy_protocol: config.proxy_protocol.clone(),
        hearsay: Denials::default(),
        waiters: Waiters::default(),
        denials: Denials::default(),
        failed_sign_ins: Denials::default(),
        metrics: metrics.clone(),
        stop: stopping.clone(),
        own: own.clone(),
        installation,
        places: Places::default(),
        parsers: Parsers::default(),
        parts: tokio::sync::Mutex::default(),
        whose: options.whose.take(),
        clock,
        store,
    });
    let version = env!("CARGO_PKG_VERSION").to_owned();
    server.store.note(ours(mint::uuid()?), Note::ServerStarted { version }).await?;
    adopt(&server.store).await?;
    // Before anybody can ask for a token.
    server.tend_keys().await?;
    let ready = Ready {
        addresses,
        metrics: metrics_listener.as_ref().map(|(_, address)| *address),
        url,
        admin: dir.admin(),
        ca: dir.ca(),
        fingerprint: tls.fresh_fingerprint(),
        welcome: if is_first {
            Some(server.first_link(ours(mint::uuid()?)).await.map_err(ServeError::Link)?)
        } else {
            None
        },
    };

    let mut work = JoinSet::new();
    let look = Arc::new(Notify::new());
    let keeper =
        Keeper { server: server.clone(), sqlite: sqlite.clone(), config, tls: tls.clone() };
    keeper.look_at_clock().await;
    work.spawn(keeper.run(look.clone()));
    work.spawn(look_after_credentials(server.clone()));
    work.spawn(controlled(&server, &dir, &ready.url, look).run(control));
    if let Some((listener, _)) = metrics_listener {
        work.spawn(serve_metrics(listener, server.clone()));
    }
    let doorway = Doorway::new(server.clone(), tls.server_config()?);
    let mut doors = JoinSet::new();
    for (listener, _) in listeners {
        doors.spawn(doorway.clone().serve(listener, stopping.clone()));
    }
    drop(doorway);
    let told = told_to_stop(options.stop.take());
    let mut told = std::pin::pin!(told.map_err(ServeError::Signals)?);
    announce(&ready);
    if let Some(hook) = options.ready.take() {
        // Whoever wanted to know may be gone.
        let _gone = hook.send(ready);
    }
    told.as_mut().await;
    tracing::info!("stopping; the gate stays as it is");
    let _nobody = stop.send(true);
    while doors.join_next().await.is_some() {}
    server.note(ours(mint::uuid()?), Note::ServerStopped).await;
    work.shutdown().await;
    // Before the directory's lock is let go of: who gets it finds the store free.
    sqlite.close().await;
    Ok(())
}

fn announce(ready: &Ready) {
    for address in &ready.addresses {
        tracing::info!(%address, "listening");
    }
    if let Some(fingerprint) = &ready.fingerprint {
        tracing::info!(
            ca = %ready.ca.display(),
            fingerprint,
            "a new certificate authority was made; give clients this file, and this SHA-256 to compare"
        );
    }
    if let Some(welcome) = &ready.welcome {
        tracing::info!(
            link = welcome,
            "open this link within the hour to become the first administrator; `hourgate admin link` makes another"
        );
    }
    tracing::info!(url = ready.url, admin = %ready.admin.display(), "ready");
}

/// Resolves when the server is to stop. Signals are waited for from the call on.
fn told_to_stop(asked: Option<oneshot::Receiver<()>>) -> std::io::Result<impl Future<Output = ()>> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        let asked = async {
            match asked {
                // Dropped without a word counts too: whoever started the server is gone.
                Some(asked) => drop(asked.await),
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
            () = asked => {}
        }
    })
}

fn settings(config: &Config, own: &OwnAddresses, first: Option<SubscriptionId>) -> Settings {
    // Who locks the address by which clients reach the server locks everybody out just as well.
    let public = config.public_url.as_ref().and_then(|public| public.host.parse().ok());
    Settings {
        shortest_access: config.shortest_access,
        shortest_policy: config.shortest_policy,
        guards: config.guards.iter().map(|guard| guard.cover.clone()).collect(),
        server_addresses: own.all().into_iter().chain(public).collect(),
        first_subscription: first,
        locations: config.locations.clone(),
        band: config.jit_rule_priorities,
        allow_lock_breaks: config.allow_lock_breaks,
        mapped_ports: config.mapped_ports,
        groups_hold: GROUPS_HOLD,
        groups_holds: config
            .providers
            .iter()
            .map(|provider| (provider.issuer.clone(), provider.groups_hold))
            .collect(),
        highest_roles: config
            .providers
            .iter()
            .filter_map(|provider| Some((provider.issuer.clone(), provider.highest_role?)))
            .collect(),
    }
}

/// The guards as configured. The local one is started where nobody answers on its socket.
fn guards(config: &Config, dir: &Path) -> Vec<GuardAt> {
    let local = dir.join("guard.sock");
    let may_start = may_start_guards();
    if !may_start && config.guards.iter().any(|guard| guard.socket == local) {
        tracing::warn!(
            socket = %local.display(),
            "this process lacks CAP_NET_ADMIN, so it starts no guard: nothing is closed or opened until \
             one listens there; start the server as root, or `hourgate guard` beside it"
        );
    }
    let program = std::env::current_exe().ok().filter(|_| may_start);
    let guard = |guard: &config::GuardConfig| GuardAt {
        cover: guard.cover.clone(),
        socket: guard.socket.clone(),
        start: program.clone().filter(|_| guard.socket == local).map(|program| StartGuard {
            program,
            state_dir: dir.join("guard"),
            log: dir.join("guard.log"),
        }),
    };
    config.guards.iter().map(guard).collect()
}

/// A guard that this server was told to leave alone.
struct NoGuard;

impl Guard for NoGuard {
    async fn converge(
        &self,
        _desired: Arc<hourgate_core::plan::Desired>,
    ) -> Result<hourgate_core::plan::Observed, GuardError> {
        Err(GuardError::Unreached(NO_GUARD.to_owned()))
    }

    async fn observe(&self) -> Result<hourgate_core::plan::Observed, GuardError> {
        Err(GuardError::Unreached(NO_GUARD.to_owned()))
    }

    async fn changed(&self) {
        std::future::pending().await
    }
}

const NO_GUARD: &str = "the server was started with --no-guard";

fn listen(wanted: &[SocketAddr]) -> Result<Vec<(TcpListener, SocketAddr)>, ServeError> {
    let mut listeners = Vec::new();
    for address in wanted {
        // `[::]` takes IPv4 too, unless that port of IPv4 is listened on by a listener of its own.
        let same_port = |other: &&SocketAddr| other.is_ipv4() && other.port() == address.port();
        let only_v6 = address.port() != 0 && wanted.iter().any(|other| same_port(&other));
        listeners.push(bind(*address, only_v6)?);
    }
    Ok(listeners)
}

fn bind(address: SocketAddr, only_v6: bool) -> Result<(TcpListener, SocketAddr), ServeError> {
    let failed = |error| ServeError::Listen(address, error);
    let listen = || {
        let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
        // The port of a server that ended a moment ago is free.
        socket.set_reuseaddr(true)?;
        if address.is_ipv6() {
            // Said either way: what the machine's default is must not decide who reaches us.
            rustix::net::sockopt::set_ipv6_v6only(&socket, only_v6)?;
        }
        socket.bind(address)?;
        socket.listen(BACKLOG)
    };
    let listener = listen().map_err(failed)?;
    let bound = listener.local_addr().map_err(failed)?;
    Ok((listener, bound))
}

/// The server's URL for whoever is on its machine: by name where it listens on loopback or everywhere.
fn url(addresses: &[SocketAddr]) -> String {
    match addresses.first() {
        Some(first) if !first.ip().is_loopback() && !first.ip().is_unspecified() => {
            format!("https://{first}")
        }
        Some(first) => format!("https://localhost:{}", first.port()),
        None => String::new(),
    }
}

fn controlled<S: Store>(
    server: &Arc<Server<S>>,
    dir: &DataDir,
    url: &str,
    look: Arc<Notify>,
) -> Control<S> {
    let (rotated, accepted) = (server.clone(), server.clone());
    let (keys, links) = (server.clone(), server.clone());
    Control {
        store: server.store.clone(),
        dir: dir.clone(),
        server: url.to_owned(),
        replaced: Arc::new(move |principal| rotated.sign_in.replaced(principal)),
        rotate_keys: Arc::new(move |drop_old, origin| {
            let server = keys.clone();
            Box::pin(async move { server.rotate_keys(drop_old, origin).await })
        }),
        first_link: Arc::new(move |origin| {
            let server = links.clone();
            Box::pin(async move { server.first_link(origin).await })
        }),
        accepted: Arc::new(move || {
            accepted.gate.wake_all();
            look.notify_one();
        }),
    }
}

/// Writes what is owed, and has keys and sessions go when their time is over. Apart from the rest: what waits for
/// the store must not keep a certificate from being renewed.
async fn look_after_credentials<S: Store>(server: Arc<Server<S>>) {
    loop {
        tokio::time::sleep(LOOK_EVERY).await;
        server.keep_owed().await;
        if let Err(error) = server.tend_keys().await {
            tracing::error!(%error, "the keys that sign tokens could not be looked after");
        }
        server.sweep_sessions().await;
        server.sweep_credentials().await;
    }
}

/// Looks at what changes by itself: this machine's addresses, the certificate, the clock.
struct Keeper<S> {
    server: Arc<Server<S>>,
    sqlite: SqliteStore,
    config: Config,
    tls: Arc<Tls>,
}

impl<S: Store> Keeper<S> {
    async fn run(self, look: Arc<Notify>) {
        loop {
            tokio::select! {
                () = tokio::time::sleep(LOOK_EVERY) => {}
                () = look.notified() => {}
            }
            if self.server.own.refresh() {
                let first = self.server.installation.subscription;
                self.sqlite.set_settings(settings(&self.config, &self.server.own, Some(first)));
            }
            match self.tls.renew_if_due() {
                Ok(true) => tracing::info!("the certificate was renewed"),
                Ok(false) => {}
                Err(error) => tracing::error!(%error, "the certificate could not be renewed"),
            }
            self.look_at_clock().await;
        }
    }

    /// A clock behind what was committed is an alarm: nothing opens until it is right or accepted.
    async fn look_at_clock(&self) {
        let state = match self.server.store.load(Needs::default()).await {
            Ok(state) => state,
            Err(error) => return tracing::warn!(%error, "the clock could not be compared"),
        };
        let now = self.server.now();
        let behind = state.clock_is_behind(now);
        let before = self.server.metrics.clock_behind.set(i64::from(behind)) != 0;
        if behind && !before {
            let highest = state.highest.map(|highest| highest.to_string()).unwrap_or_default();
            let what = format!(
                "the clock says {} and lies behind {highest}, which was committed; nothing opens until it is \
                 right, or accepted with `hourgate clock accept`",
                now.wall
            );
            tracing::error!(what);
            if let Ok(correlation) = mint::uuid() {
                self.server.note(ours(correlation), Note::Alarm { what }).await;
            }
        } else if before && !behind {
            tracing::info!("the clock is believed again");
            self.server.gate.wake_all();
        }
    }
}

/// A guard's name and what it covers, for those who bring guards of their own.
pub fn covers(config: &Config) -> Vec<GuardCover> {
    config.guards.iter().map(|guard| guard.cover.clone()).collect()
}
