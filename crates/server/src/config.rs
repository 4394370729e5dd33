//! What the operator configured: TOML, unknown keys are errors, flags win.

mod outgoing;
mod provider;

use std::{
    collections::BTreeSet,
    net::{IpAddr, SocketAddr},
    path::{Path, PathBuf},
    time::Duration,
};

use hourgate_api::time::IsoDuration;
use hourgate_core::{
    gateway::MAPPED_PORTS,
    id::Location,
    network::Family,
    nsg::{
        band::Band,
        port::PortRange,
        word::{PRIORITY_MAX, PRIORITY_MIN, Priority},
    },
    policy::SHORTEST_ACCESS_MIN,
    policy::{GuardCover, LONGEST_ACCESS_MAX, SHORTEST_POLICY_MIN},
};
use ipnet::IpNet;
use serde::Deserialize;

use self::{outgoing::OutgoingTable, provider::ProviderTable};
use crate::outgoing::{Outgoing, OutgoingConfig};

pub use self::provider::{ClaimNames, ClientConfig, ProviderConfig};

/// Where servers listen that were not told otherwise.
const LISTEN_DEFAULT: &str = "127.0.0.1:8443";
/// How many addresses one server listens on; each costs a task.
const LISTEN_MAX: usize = 32;
/// How many guards one server may have.
const GUARDS_MAX: usize = 1_000;
/// How many locations the list of them may name.
const LOCATIONS_MAX: usize = 1_000;
/// The lowest port that accesses may be mapped to.
const MAPPED_PORT_MIN: u16 = 1024;

/// A working day: who comes back the next morning signs in again. Not under 5 minutes, or nobody gets through
/// a form.
const SESSION_IDLE: Hours = Hours {
    default: Duration::from_hours(12),
    least: Duration::from_mins(5),
    most: Duration::from_hours(720),
};
/// A week; a command that somebody uses every day signs in as often.
const SESSION_LONGEST: Hours = Hours {
    default: Duration::from_hours(168),
    least: Duration::from_mins(5),
    most: Duration::from_hours(2_160),
};
/// Thirty days. At least two: the next key is published for a day before it signs.
const TOKEN_KEY_AGE: Hours = Hours {
    default: Duration::from_hours(720),
    least: Duration::from_hours(48),
    most: Duration::from_hours(8_760),
};

/// Limits of a setting.
struct Hours {
    default: Duration,
    least: Duration,
    most: Duration,
}

/// Why a configuration cannot be used. The text names the file, the key, and what would be accepted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ConfigError(String);

/// The configuration with every default filled in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Where everything is kept.
    pub data_dir: PathBuf,
    /// Where HTTPS is served; at least one.
    pub listen: Vec<SocketAddr>,
    /// How clients reach the server; absolute URLs are made from it.
    pub public_url: Option<PublicUrl>,
    /// Whose word about a caller's address is believed.
    pub trusted_proxies: Vec<IpNet>,
    /// Proxies whose connections begin with a header of the PROXY protocol, version 2.
    pub proxy_protocol: Vec<IpNet>,
    /// Where metrics are served, without TLS; a loopback address. Nowhere if not set.
    pub metrics_listen: Option<SocketAddr>,
    /// The shortest access that can be asked for.
    pub shortest_access: Duration,
    /// The shortest "longest access" of a policy.
    pub shortest_policy: Duration,
    /// Where machines can have just-in-time access; everywhere if none.
    pub locations: Option<BTreeSet<Location>>,
    /// The priorities that rules of grants may have in a security group.
    pub jit_rule_priorities: Band,
    /// Whether a change of the network may open what a lock closes.
    pub allow_lock_breaks: bool,
    /// The ports of firewalls' public addresses that accesses are mapped to.
    pub mapped_ports: PortRange,
    /// How long a session lasts that is not used.
    pub session_idle: Duration,
    /// How long a session lasts, however often it is used.
    pub session_longest: Duration,
    /// How old a key that signs tokens becomes.
    pub token_key_age: Duration,
    /// The guards; one local one that covers everything, if none is named.
    pub guards: Vec<GuardConfig>,
    /// What may be called, and whose certificates are believed there.
    pub outgoing: OutgoingConfig,
    /// Who vouches for people besides the server itself.
    pub providers: Vec<ProviderConfig>,
}

/// One guard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GuardConfig {
    /// Its name and what it covers.
    pub cover: GuardCover,
    /// Its unix socket.
    pub socket: PathBuf,
}

/// An `https` URL without a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicUrl {
    /// The URL without a slash at its end.
    pub url: String,
    /// Its host: a name in lower case, or an address without brackets.
    pub host: String,
}

/// What a command line says, which wins.
#[derive(Clone, Debug, Default)]
pub struct Flags {
    /// `--data-dir`.
    pub data_dir: Option<PathBuf>,
    /// `--listen`, as often as it was given.
    pub listen: Vec<SocketAddr>,
}

/// Tests a configuration file and the files that it names, and says what would hold with it.
pub fn check(path: &Path) -> Result<Config, ConfigError> {
    let config = load(Some(path), Flags::default())?;
    let in_file = |why: String| ConfigError(format!("{}: {why}", path.display()));
    Outgoing::check(&config.outgoing).map_err(|error| in_file(error.to_string()))?;
    for provider in &config.providers {
        provider.secret().map_err(|error| in_file(error.to_string()))?;
    }
    Ok(config)
}

/// The configuration that a file (none: all defaults) and flags make.
pub fn load(path: Option<&Path>, flags: Flags) -> Result<Config, ConfigError> {
    let Some(path) = path else { return File::default().complete(flags) };
    let shown = path.display();
    let text = std::fs::read_to_string(path)
        .map_err(|error| ConfigError(format!("{shown} cannot be read: {error}")))?;
    let file: File = toml::from_str(&text)
        .map_err(|error| ConfigError(format!("{shown}{}", in_one_line(&text, &error))))?;
    file.complete(flags).map_err(|ConfigError(why)| ConfigError(format!("{shown}: {why}")))
}

/// Where the text is no configuration, and why. TOML's own words draw a picture of several lines, which
/// cannot be shown where lines are counted.
fn in_one_line(text: &str, error: &toml::de::Error) -> String {
    let said: Vec<&str> = error.message().lines().map(str::trim).collect();
    let said = said.join("; ");
    let before = error.span().and_then(|span| text.get(..span.start));
    let Some(before) = before else { return format!(": {said}") };
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().map_or(0, |line| line.chars().count()) + 1;
    format!(", line {line}, column {column}: {said}")
}

/// Where the server keeps its data unless told otherwise.
pub fn default_data_dir() -> Result<PathBuf, ConfigError> {
    if rustix::process::geteuid().is_root() {
        return Ok(PathBuf::from("/var/lib/hourgate"));
    }
    let state = std::env::var_os("XDG_STATE_HOME").map(PathBuf::from).filter(|p| p.is_absolute());
    let home = || Some(PathBuf::from(std::env::var_os("HOME")?).join(".local/state"));
    match state.or_else(home) {
        Some(state) => Ok(state.join("hourgate")),
        None => Err(ConfigError(
            "neither XDG_STATE_HOME nor HOME is set: name a data directory with --data-dir".into(),
        )),
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    data_dir: Option<PathBuf>,
    listen: Option<OneOrMore>,
    public_url: Option<String>,
    trusted_proxies: Option<Vec<String>>,
    proxy_protocol: Option<Vec<String>>,
    metrics_listen: Option<SocketAddr>,
    shortest_access: Option<String>,
    shortest_policy: Option<String>,
    locations: Option<Vec<String>>,
    jit_rule_priorities: Option<BandTable>,
    allow_lock_breaks: Option<bool>,
    mapped_ports: Option<PortsTable>,
    session_idle: Option<String>,
    session_longest: Option<String>,
    token_key_age: Option<String>,
    guard: Option<Vec<GuardTable>>,
    outgoing: Option<OutgoingTable>,
    provider: Option<Vec<ProviderTable>>,
}

#[derive(Debug, Deserialize)]
#[serde(
    untagged,
    expecting = "an address with a port is expected, such as \"127.0.0.1:8443\", or a list of them"
)]
enum OneOrMore {
    One(SocketAddr),
    More(Vec<SocketAddr>),
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct PortsTable {
    first: u16,
    last: u16,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct BandTable {
    first: i64,
    last: i64,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct GuardTable {
    name: String,
    socket: Option<PathBuf>,
    covers: Option<Vec<String>>,
}

impl File {
    fn complete(self, flags: Flags) -> Result<Config, ConfigError> {
        let data_dir = match flags.data_dir.or(self.data_dir) {
            Some(data_dir) => data_dir,
            None => default_data_dir()?,
        };
        let shortest_access = duration(
            "shortest_access",
            self.shortest_access.as_deref(),
            Duration::from_mins(1),
            SHORTEST_ACCESS_MIN,
        )?;
        let shortest_policy = duration(
            "shortest_policy",
            self.shortest_policy.as_deref(),
            Duration::from_hours(1),
            SHORTEST_POLICY_MIN,
        )?;
        if shortest_access > shortest_policy {
            return Err(ConfigError(format!(
                "shortest_access is {} and shortest_policy {}; under a policy as short as that nobody \
                 could ask for anything, so shortest_access must not be longer",
                IsoDuration(shortest_access),
                IsoDuration(shortest_policy)
            )));
        }
        let session_idle = hours("session_idle", self.session_idle.as_deref(), SESSION_IDLE)?;
        let session_longest =
            hours("session_longest", self.session_longest.as_deref(), SESSION_LONGEST)?;
        let token_key_age = hours("token_key_age", self.token_key_age.as_deref(), TOKEN_KEY_AGE)?;
        if let Some(metrics) = self.metrics_listen.filter(|address| !address.ip().is_loopback()) {
            return Err(ConfigError(format!(
                "metrics_listen is {metrics}; metrics are served without sign-in or TLS, so only a \
                 loopback address is accepted, for example 127.0.0.1:9464"
            )));
        }
        Ok(Config {
            listen: listen(flags.listen, self.listen)?,
            public_url: self.public_url.as_deref().map(public_url).transpose()?,
            trusted_proxies: proxies("trusted_proxies", self.trusted_proxies)?,
            proxy_protocol: proxies("proxy_protocol", self.proxy_protocol)?,
            metrics_listen: self.metrics_listen,
            shortest_access,
            shortest_policy,
            locations: self.locations.map(locations).transpose()?,
            jit_rule_priorities: band(self.jit_rule_priorities.as_ref())?,
            allow_lock_breaks: self.allow_lock_breaks.unwrap_or_default(),
            mapped_ports: mapped_ports(self.mapped_ports)?,
            session_idle,
            session_longest,
            token_key_age,
            guards: guards(self.guard, &data_dir)?,
            outgoing: outgoing::complete(self.outgoing)?,
            providers: provider::complete(self.provider.unwrap_or_default())?,
            data_dir,
        })
    }
}

fn listen(flags: Vec<SocketAddr>, file: Option<OneOrMore>) -> Result<Vec<SocketAddr>, ConfigError> {
    let listen = match file {
        _ if !flags.is_empty() => flags,
        Some(OneOrMore::One(one)) => vec![one],
        Some(OneOrMore::More(more)) => more,
        None => LISTEN_DEFAULT.parse().into_iter().collect(),
    };
    if listen.is_empty() || listen.len() > LISTEN_MAX {
        return Err(ConfigError(format!(
            "listen names {} addresses; 1 to {LISTEN_MAX} are accepted",
            listen.len()
        )));
    }
    Ok(listen)
}

/// Low ports are services', and somebody may want to reach one of the firewall itself.
fn mapped_ports(table: Option<PortsTable>) -> Result<PortRange, ConfigError> {
    let Some(PortsTable { first, last }) = table else { return Ok(MAPPED_PORTS) };
    let ports = PortRange::new(first, last).filter(|ports| ports.first() >= MAPPED_PORT_MIN);
    ports.ok_or_else(|| {
        ConfigError(format!(
            "mapped_ports is first = {first}, last = {last}; a first port from {MAPPED_PORT_MIN} and a last one \
             that is not smaller are accepted, for example first = {}, last = {}",
            MAPPED_PORTS.first(),
            MAPPED_PORTS.last()
        ))
    })
}

fn guards(
    tables: Option<Vec<GuardTable>>,
    data_dir: &Path,
) -> Result<Vec<GuardConfig>, ConfigError> {
    let local = || data_dir.join("guard.sock");
    let Some(tables) = tables else {
        return Ok(vec![GuardConfig { cover: GuardCover::everything("local"), socket: local() }]);
    };
    if tables.is_empty() || tables.len() > GUARDS_MAX {
        return Err(ConfigError(format!("1 to {GUARDS_MAX} guards are accepted")));
    }
    let mut guards: Vec<GuardConfig> = Vec::new();
    for table in tables {
        let name = table.name;
        let fits = |c: char| c.is_ascii_alphanumeric() || "-._".contains(c);
        if name.is_empty() || name.len() > 64 || !name.chars().all(fits) || name.starts_with('-') {
            return Err(ConfigError(format!(
                "guard.name is {name:?}; letters, digits and -._ are accepted, at most 64"
            )));
        }
        let covers = match table.covers {
            None => vec![Family::V4.all(), Family::V6.all()],
            Some(covers) => {
                let parsed = covers.iter().map(|text| prefix("guard.covers", text));
                parsed.collect::<Result<Vec<_>, _>>()?
            }
        };
        let socket = table.socket.unwrap_or_else(local);
        if guards.iter().any(|other| other.cover.name == name || other.socket == socket) {
            return Err(ConfigError(format!(
                "guard {name:?}: its name or its socket {} is another guard's too",
                socket.display()
            )));
        }
        for (net, other) in guards.iter().flat_map(|other| {
            let nets = other.cover.covers.iter();
            nets.map(move |theirs| (theirs, &other.cover.name))
        }) {
            // Both would be told to open it, and one would be believed when the other is late to close.
            let both = covers.iter().find(|ours| ours.contains(net) || net.contains(*ours));
            if let Some(ours) = both {
                return Err(ConfigError(format!(
                    "guard {name:?} covers {ours} and guard {other:?} {net}; an address belongs to one \
                     guard, so their prefixes must not overlap"
                )));
            }
        }
        guards.push(GuardConfig { cover: GuardCover { name, covers }, socket });
    }
    Ok(guards)
}

/// Where machines can have just-in-time access. An empty list would be none at all, which nobody means.
fn locations(names: Vec<String>) -> Result<BTreeSet<Location>, ConfigError> {
    if names.is_empty() || names.len() > LOCATIONS_MAX {
        return Err(ConfigError(format!(
            "locations names {} locations; from 1 to {LOCATIONS_MAX} are accepted, and all where the key is \
             left out",
            names.len()
        )));
    }
    let location = |name: String| {
        name.parse().map_err(|_| {
            ConfigError(format!(
                "locations: {name:?} is no location; ASCII letters, digits and '-' are accepted, such as \
                 \"westeurope\""
            ))
        })
    };
    names.into_iter().map(location).collect()
}

fn band(table: Option<&BandTable>) -> Result<Band, ConfigError> {
    let Some(BandTable { first, last }) = table else { return Ok(Band::default()) };
    let own = |number: &i64| Priority::own(u16::try_from(*number).ok()?);
    let band = own(first).zip(own(last)).and_then(|(first, last)| Band::new(first, last));
    band.ok_or_else(|| {
        ConfigError(format!(
            "jit_rule_priorities goes from {first} to {last}; first and last from {PRIORITY_MIN} to \
             {PRIORITY_MAX} are accepted, the first not larger than the last, for example \
             {{ first = 100, last = 1099 }}"
        ))
    })
}

fn duration(
    key: &str,
    text: Option<&str>,
    default: Duration,
    least: Duration,
) -> Result<Duration, ConfigError> {
    let Some(text) = text else { return Ok(default) };
    let parsed = text.parse::<jiff::SignedDuration>().ok();
    let parsed = parsed.and_then(|signed| Duration::try_from(signed).ok());
    let iso = text.starts_with('P');
    match parsed {
        Some(parsed) if iso && (least..=LONGEST_ACCESS_MAX).contains(&parsed) => Ok(parsed),
        Some(_) | None => Err(ConfigError(format!(
            "{key} is {text:?}; an ISO 8601 duration from {} to PT24H is accepted, for example {}",
            IsoDuration(least),
            IsoDuration(default)
        ))),
    }
}

/// A length of time that is told in hours: of sessions and keys.
fn hours(key: &str, text: Option<&str>, limits: Hours) -> Result<Duration, ConfigError> {
    let Some(text) = text else { return Ok(limits.default) };
    let parsed = text.parse::<jiff::SignedDuration>().ok();
    let parsed = parsed.and_then(|signed| Duration::try_from(signed).ok());
    match parsed {
        Some(parsed)
            if text.starts_with("PT") && (limits.least..=limits.most).contains(&parsed) =>
        {
            Ok(parsed)
        }
        Some(_) | None => Err(ConfigError(format!(
            "{key} is {text:?}; an ISO 8601 duration from {} to {} is accepted, for example {}",
            IsoDuration(limits.least),
            IsoDuration(limits.most),
            IsoDuration(limits.default)
        ))),
    }
}

/// Whose word is believed. Nobody can mean everybody: every caller could say then from where they call, and
/// that decides what is opened for them.
fn proxies(key: &str, named: Option<Vec<String>>) -> Result<Vec<IpNet>, ConfigError> {
    named.unwrap_or_default().iter().map(|text| proxy(key, text)).collect()
}

fn proxy(key: &str, text: &str) -> Result<IpNet, ConfigError> {
    let net = prefix(key, text)?;
    if net.prefix_len() == 0 {
        return Err(ConfigError(format!(
            "{key} names {text:?}; then every caller could choose the address that accesses are \
             opened for; name the proxies alone, for example 10.0.0.5"
        )));
    }
    Ok(net)
}

fn prefix(key: &str, text: &str) -> Result<IpNet, ConfigError> {
    let net = match text.parse::<IpAddr>() {
        Ok(address) => Some(IpNet::from(address)),
        Err(_) => text.parse::<IpNet>().ok().filter(|net| net.trunc() == *net),
    };
    net.ok_or_else(|| {
        ConfigError(format!(
            "{key} names {text:?}; an address or a prefix without host bits is accepted, for example \
             10.0.0.0/8"
        ))
    })
}

fn public_url(text: &str) -> Result<PublicUrl, ConfigError> {
    let refused = || {
        ConfigError(format!(
            "public_url is {text:?}; an https URL without a path is accepted, for example \
             https://hourgate.example.com:8443"
        ))
    };
    let url = text.strip_suffix('/').unwrap_or(text);
    let authority = url.strip_prefix("https://").ok_or_else(refused)?;
    let uri: hyper::http::uri::Authority = authority.parse().map_err(|_| refused())?;
    let host = uri.host().trim_start_matches('[').trim_end_matches(']').to_ascii_lowercase();
    let fits = |c: char| c.is_ascii_alphanumeric() || "-._:".contains(c);
    if host.is_empty() || !host.chars().all(fits) || authority.contains('@') {
        return Err(refused());
    }
    Ok(PublicUrl { url: url.to_owned(), host })
}
