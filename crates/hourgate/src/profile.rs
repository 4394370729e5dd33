//! Where the server is and who we are there: what `hourgate login` wrote, or `admin.json`, found without being
//! told where that is easy.

use std::{
    env, fmt, fs,
    io::ErrorKind,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Deserializer, Serialize, de::Error as _};
use url::Url;
use uuid::Uuid;

use crate::exit::{Exit, Failure};

pub(crate) mod kept;

/// Names the profile where `--profile` does not.
pub(crate) const PROFILE_ENV: &str = "HOURGATE_PROFILE";

/// A server, and an identity there.
#[derive(Clone, Debug)]
pub(crate) struct Profile {
    /// Where the server is.
    pub(crate) server: Url,
    /// Whose certificates are believed.
    pub(crate) trust: Trust,
    /// The tenant whose tokens the server takes.
    pub(crate) tenant_id: Uuid,
    /// The subscription that everything belongs to.
    pub(crate) subscription_id: Uuid,
    /// Who we are.
    pub(crate) identity: Identity,
}

/// Whose certificates are believed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Trust {
    /// One CA's, in a PEM file.
    File(PathBuf),
    /// One CA's, as PEM.
    Pem(String),
    /// Those that this machine believes.
    Public,
}

/// Who we are, and what proves it.
#[derive(Clone, Debug)]
pub(crate) enum Identity {
    /// A service, with its secret.
    Service {
        /// Its client id.
        client_id: Uuid,
        /// What proves it.
        client_secret: Secret,
    },
    /// Somebody who signed in with `hourgate login`: their tokens are in this file.
    Person(PathBuf),
}

/// A profile as it is written.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Written {
    #[serde(deserialize_with = "url")]
    server: Url,
    ca: Option<PathBuf>,
    ca_pem: Option<String>,
    tenant_id: Uuid,
    subscription_id: Uuid,
    client_id: Option<Uuid>,
    client_secret: Option<Secret>,
    refresh_token: Option<Secret>,
}

fn url<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Url, D::Error> {
    String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
}

/// A text that never shows in logs or errors.
#[derive(Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(transparent)]
pub(crate) struct Secret(String);

impl Secret {
    /// A text that is one.
    pub(crate) fn new(text: String) -> Secret {
        Secret(text)
    }

    /// The text, to send it.
    pub(crate) fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("…")
    }
}

impl Profile {
    /// Reads the profile named by `--profile`, else by the environment, else what `hourgate login` wrote,
    /// else the default data directory's `admin.json`.
    pub(crate) fn find(named: Option<&Path>) -> Result<Profile, Failure> {
        let kept = kept::default_path().filter(|path| path.exists());
        match (named, kept) {
            (Some(path), _) => Profile::read(path, true),
            (None, Some(path)) => Profile::read(&path, true),
            (None, None) => match data_dir() {
                Some(dir) => Profile::read(&dir.join("admin.json"), false),
                None => Err(no_profile("neither HOME nor XDG_STATE_HOME is set")),
            },
        }
    }

    fn read(path: &Path, named: bool) -> Result<Profile, Failure> {
        let shown = path.display();
        let text = match fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) if error.kind() == ErrorKind::NotFound && !named => {
                return Err(no_profile(&format!("there is no {shown}")));
            }
            Err(error) => {
                return Err(Failure::usage(format!(
                    "The profile {shown} cannot be read: {error}."
                ))
                .advise(
                    "A server writes it at its first start, for its own user: `hourgate serve`.",
                ));
            }
        };
        let damaged = |what: String| {
            Failure::usage(format!("The profile {shown} is damaged: {what}."))
                .advise("The next start of the server, or `hourgate admin rotate`, writes it anew.")
        };
        // The parser's own words could quote the secret, so only the place is told.
        let written: Written = serde_json::from_str(&text).map_err(|error| {
            damaged(format!("line {}, column {}", error.line(), error.column()))
        })?;
        let Written {
            server,
            ca,
            ca_pem,
            tenant_id,
            subscription_id,
            client_id,
            client_secret,
            ..
        } = written;
        if server.scheme() != "https" {
            return Err(damaged("its server is not reached by https".to_owned()));
        }
        let trust = match (ca, ca_pem) {
            (Some(path), _) => Trust::File(path),
            (None, Some(pem)) => Trust::Pem(pem),
            (None, None) => Trust::Public,
        };
        let identity = match (client_id, client_secret, written.refresh_token) {
            (Some(client_id), Some(client_secret), None) => {
                Identity::Service { client_id, client_secret }
            }
            (None, None, Some(_)) => Identity::Person(path.to_owned()),
            _ => return Err(damaged("it says of nobody who signs in".to_owned())),
        };
        Ok(Profile { server, trust, tenant_id, subscription_id, identity })
    }
}

/// Where a server of this user keeps its things by default; none where the user has no home.
pub(crate) fn data_dir() -> Option<PathBuf> {
    hourgate_server::config::default_data_dir().ok()
}

/// A directory that the environment names, if the name is absolute, as XDG demands.
pub(crate) fn absolute(variable: &str) -> Option<PathBuf> {
    env::var_os(variable).map(PathBuf::from).filter(|path| path.is_absolute())
}

fn no_profile(why: &str) -> Failure {
    Failure::new(Exit::Usage, format!("No server is known here: {why}.")).advise(
        "Sign in with `hourgate login SERVER`, or start one with `hourgate serve`, or name its admin.json with \
         --profile or HOURGATE_PROFILE.",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_damaged_profile_does_not_show_its_secret() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("admin.json");
        fs::write(&path, r#"{"server":"https://localhost:1","clientSecret":"hunter2","ca":5}"#)
            .expect("written");
        let failure = Profile::find(Some(&path)).expect_err("damaged");
        assert_eq!(failure.exit, Exit::Usage);
        assert!(!failure.text().contains("hunter2"));
        assert!(failure.text().contains("admin rotate"));
    }

    #[test]
    fn a_server_without_tls_is_not_talked_to() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("admin.json");
        let id = Uuid::nil();
        let text = format!(
            r#"{{"server":"http://localhost:1","ca":"/x","tenantId":"{id}","subscriptionId":"{id}",
                "clientId":"{id}","clientSecret":"hunter2"}}"#
        );
        fs::write(&path, text).expect("written");
        let failure = Profile::find(Some(&path)).expect_err("refused");
        assert!(failure.text().contains("https"), "{}", failure.text());
    }

    #[test]
    fn a_missing_profile_says_how_to_start_a_server() {
        let failure = Profile::find(Some(Path::new("/nonexistent/admin.json"))).expect_err("none");
        assert_eq!(failure.exit, Exit::Usage);
        assert!(failure.text().contains("hourgate serve"));
    }
}
