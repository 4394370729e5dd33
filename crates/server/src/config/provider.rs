//! `[[provider]]`: who vouches for people, and what of their word counts.

use std::{
    collections::BTreeSet,
    fs::File,
    io::Read,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use hourgate_core::role::{
    built_in,
    definition::{Definition, RoleId},
};
use serde::Deserialize;

use super::{ConfigError, duration};
use crate::outgoing::HttpsUrl;

/// How many providers one server may have; each is a button of the sign-in page.
const PROVIDERS_MAX: usize = 32;
/// Longest name of a provider; it stands in URLs and logs.
const NAME_CHARS_MAX: usize = 32;
/// Longest text of a setting, in bytes.
const TEXT_BYTES_MAX: usize = 256;
/// How many audiences, clients or scopes a provider may have.
const LIST_MAX: usize = 64;
/// How long the groups of a token count, unless set.
const GROUPS_HOLD: Duration = Duration::from_hours(1);
/// The shortest time that can be set for it: less than a token takes from the provider to us is nothing.
const GROUPS_HOLD_MIN: Duration = Duration::from_mins(1);
/// Longest secret that is read; Entra ID's have 40 bytes.
const SECRET_BYTES_MAX: u64 = 1_024;

/// One provider, with every default filled in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProviderConfig {
    /// Its name in URLs and logs: lower case letters, digits and `-`.
    pub name: String,
    /// Its name on pages.
    pub title: String,
    /// What it calls itself, to the letter; an `https` URL.
    pub issuer: String,
    /// As whom people are sent to it; none where it only vouches for tokens that others bring.
    pub client: Option<ClientConfig>,
    /// For whom tokens must be that are brought from it directly.
    pub audiences: BTreeSet<String>,
    /// The programs (`azp`) that may have got such a token. Where it is empty, a token for this server
    /// alone is believed whoever got it, and one for several only if it was `client`.
    pub clients: BTreeSet<String>,
    /// What is asked of it at sign-in.
    pub scopes: Vec<String>,
    /// Where it writes what.
    pub claims: ClaimNames,
    /// The most that its people may have, whatever they are given; no limit if none.
    pub highest_role: Option<RoleId>,
    /// How long groups count after a token was issued.
    pub groups_hold: Duration,
}

/// As whom the server comes to a provider.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientConfig {
    /// The client's id there.
    pub id: String,
    /// The file with its secret; none for a public client.
    pub secret_file: Option<PathBuf>,
}

/// Names of claims. Each is a claim, or, where no claim is called so, a path with dots through objects.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClaimNames {
    /// How a person is called.
    pub name: String,
    /// What they type to sign in.
    pub upn: String,
    /// Their mail address.
    pub email: String,
    /// The ids of their groups.
    pub groups: String,
}

impl ProviderConfig {
    /// Reads the secret; none for a public client. It is read when it is needed, so that a new one counts
    /// without a restart.
    pub fn secret(&self) -> Result<Option<String>, ConfigError> {
        let file = self.client.as_ref().and_then(|client| client.secret_file.as_ref());
        file.map(|path| read_secret(&self.name, path)).transpose()
    }
}

fn read_secret(provider: &str, path: &Path) -> Result<String, ConfigError> {
    let unusable = |why: &str| {
        ConfigError(format!(
            "provider {provider:?}: client_secret_file is {}, which cannot be used: {why}",
            path.display()
        ))
    };
    let mut text = String::new();
    let file = File::open(path).map_err(|error| unusable(&error.to_string()))?;
    let read = file.take(SECRET_BYTES_MAX + 1).read_to_string(&mut text);
    read.map_err(|error| unusable(&error.to_string()))?;
    // An editor ends a file with a line end that is no part of the secret.
    let secret = text.trim_end_matches(['\r', '\n']);
    if secret.is_empty() || text.len() as u64 > SECRET_BYTES_MAX {
        return Err(unusable(&format!("1 to {SECRET_BYTES_MAX} bytes are accepted")));
    }
    if secret.chars().any(char::is_control) {
        return Err(unusable("it has more than one line"));
    }
    Ok(secret.to_owned())
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ProviderTable {
    name: String,
    title: Option<String>,
    issuer: String,
    client_id: Option<String>,
    client_secret_file: Option<PathBuf>,
    audiences: Option<Vec<String>>,
    clients: Option<Vec<String>>,
    scopes: Option<Vec<String>>,
    #[serde(default)]
    claims: ClaimsTable,
    highest_role: Option<String>,
    groups_hold: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct ClaimsTable {
    name: Option<String>,
    upn: Option<String>,
    email: Option<String>,
    groups: Option<String>,
}

/// Every provider, or why they cannot be had together.
pub(super) fn complete(tables: Vec<ProviderTable>) -> Result<Vec<ProviderConfig>, ConfigError> {
    if tables.len() > PROVIDERS_MAX {
        return Err(ConfigError(format!("at most {PROVIDERS_MAX} providers are accepted")));
    }
    let mut providers: Vec<ProviderConfig> = Vec::new();
    for table in tables {
        let provider = table.complete()?;
        // A token says by its issuer whose it is; two of one issuer could not be told apart.
        let taken = |other: &&ProviderConfig| {
            other.name == provider.name || other.issuer == provider.issuer
        };
        if let Some(other) = providers.iter().find(taken) {
            return Err(ConfigError(format!(
                "provider {:?}: its name or its issuer {:?} is that of provider {:?} too",
                provider.name, provider.issuer, other.name
            )));
        }
        providers.push(provider);
    }
    Ok(providers)
}

impl ProviderTable {
    fn complete(self) -> Result<ProviderConfig, ConfigError> {
        let name = named(self.name)?;
        let key = |key: &str| format!("provider {name:?}: {key}");
        let issuer = issuer(&key("issuer"), self.issuer)?;
        let client = client(key, self.client_id, self.client_secret_file)?;
        let audiences = list(&key("audiences"), self.audiences.unwrap_or_default())?;
        if client.is_none() && audiences.is_empty() {
            return Err(ConfigError(format!(
                "{} and audiences are both missing; with the first people can sign in there, with the \
                 second tokens from there are accepted",
                key("client_id")
            )));
        }
        let claims = |claim: &str, named: Option<String>, default: &str| {
            let named = named.unwrap_or_else(|| default.to_owned());
            text(&key(&format!("claims.{claim}")), named)
        };
        Ok(ProviderConfig {
            title: text(&key("title"), self.title.unwrap_or_else(|| name.clone()))?,
            issuer,
            client,
            audiences,
            clients: list(&key("clients"), self.clients.unwrap_or_default())?,
            scopes: scopes(&key("scopes"), self.scopes)?,
            claims: ClaimNames {
                name: claims("name", self.claims.name, "name")?,
                upn: claims("upn", self.claims.upn, "preferred_username")?,
                email: claims("email", self.claims.email, "email")?,
                groups: claims("groups", self.claims.groups, "groups")?,
            },
            highest_role: self
                .highest_role
                .filter(|role| !role.is_empty())
                .map(|named| role(&key("highest_role"), &named))
                .transpose()?,
            groups_hold: duration(
                &key("groups_hold"),
                self.groups_hold.as_deref(),
                GROUPS_HOLD,
                GROUPS_HOLD_MIN,
            )?,
            name,
        })
    }
}

/// A built-in role, by its name or id. One that people change would take from others, or give them, what nobody looked
/// at.
fn role(key: &str, named: &str) -> Result<RoleId, ConfigError> {
    let mut built_in = built_in::all().iter();
    let is_meant = |role: &&Arc<Definition>| {
        role.said().name.eq_ignore_ascii_case(named) || named.parse() == Ok(role.id())
    };
    let found = built_in.find(is_meant).map(|role| role.id());
    found.ok_or_else(|| {
        let all = built_in::all().iter();
        let names: Vec<String> = all.map(|role| format!("{:?}", role.said().name)).collect();
        ConfigError(format!(
            "{key} is {named:?}; a built-in role is accepted, by its id or its name: {}",
            names.join(", ")
        ))
    })
}

fn named(name: String) -> Result<String, ConfigError> {
    let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    let ends = name.starts_with('-') || name.ends_with('-');
    if name.is_empty() || name.len() > NAME_CHARS_MAX || ends || !name.chars().all(fits) {
        return Err(ConfigError(format!(
            "provider.name is {name:?}; lower case letters, digits and - within are accepted, at most \
             {NAME_CHARS_MAX}, for example \"entra\""
        )));
    }
    Ok(name)
}

/// Compared with what tokens say to the letter, so it is kept as it was written.
fn issuer(key: &str, issuer: String) -> Result<String, ConfigError> {
    let plain = !issuer.contains(['?', '#', '\\']) && !issuer.contains(char::is_whitespace);
    if plain && HttpsUrl::parse(&issuer).is_ok() {
        return Ok(issuer);
    }
    Err(ConfigError(format!(
        "{key} is {issuer:?}; an https URL without a query is accepted, exactly as the provider writes it, \
         for example \"https://login.example.com/realms/main\""
    )))
}

fn client(
    key: impl Fn(&str) -> String,
    id: Option<String>,
    secret_file: Option<PathBuf>,
) -> Result<Option<ClientConfig>, ConfigError> {
    match (id, secret_file) {
        (None, None) => Ok(None),
        (None, Some(_)) => Err(ConfigError(format!(
            "{} is missing, and client_secret_file alone is nobody's",
            key("client_id")
        ))),
        (Some(_), Some(file)) if !file.is_absolute() => Err(ConfigError(format!(
            "{} is {:?}; an absolute path is accepted",
            key("client_secret_file"),
            file.display().to_string()
        ))),
        (Some(id), secret_file) => {
            Ok(Some(ClientConfig { id: text(&key("client_id"), id)?, secret_file }))
        }
    }
}

fn scopes(key: &str, scopes: Option<Vec<String>>) -> Result<Vec<String>, ConfigError> {
    let Some(scopes) = scopes else {
        return Ok(["openid", "profile", "email"].map(str::to_owned).to_vec());
    };
    let spaced = scopes.iter().any(|scope| scope.contains(char::is_whitespace));
    if spaced || scopes.len() > LIST_MAX || !scopes.iter().any(|scope| scope == "openid") {
        return Err(ConfigError(format!(
            "{key} is {scopes:?}; a list of at most {LIST_MAX} is accepted that has \"openid\", without \
             which a provider does not say who signed in"
        )));
    }
    scopes.into_iter().map(|scope| text(key, scope)).collect()
}

fn list(key: &str, texts: Vec<String>) -> Result<BTreeSet<String>, ConfigError> {
    if texts.len() > LIST_MAX {
        return Err(ConfigError(format!(
            "{key} has {} entries; at most {LIST_MAX} are accepted",
            texts.len()
        )));
    }
    texts.into_iter().map(|one| text(key, one)).collect()
}

fn text(key: &str, text: String) -> Result<String, ConfigError> {
    if text.is_empty() || text.len() > TEXT_BYTES_MAX || text.chars().any(char::is_control) {
        return Err(ConfigError(format!(
            "{key} is {text:?}; one line of 1 to {TEXT_BYTES_MAX} bytes is accepted"
        )));
    }
    Ok(text)
}
