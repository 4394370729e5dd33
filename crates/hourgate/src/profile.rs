//! Where the server is and who we are there: `admin.json`, found without being told where that is easy.

use std::{
    env, fmt, fs,
    io::ErrorKind,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Deserializer, de::Error as _};
use url::Url;
use uuid::Uuid;

use crate::exit::{Exit, Failure};

/// Names the profile where `--profile` does not.
pub(crate) const PROFILE_ENV: &str = "HOURGATE_PROFILE";

/// A server, and an identity there.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Profile {
    /// Where the server is.
    #[serde(deserialize_with = "url")]
    pub(crate) server: Url,
    /// The one CA that is believed: a PEM file.
    pub(crate) ca: PathBuf,
    /// The tenant whose tokens the server takes.
    pub(crate) tenant_id: Uuid,
    /// The subscription that everything belongs to.
    pub(crate) subscription_id: Uuid,
    /// Who we are.
    pub(crate) client_id: Uuid,
    /// What proves it.
    pub(crate) client_secret: Secret,
}

fn url<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Url, D::Error> {
    String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
}

/// A text that never shows in logs or errors.
#[derive(Clone, Deserialize)]
#[serde(transparent)]
pub(crate) struct Secret(String);

impl Secret {
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
    /// Reads the profile named by `--profile`, else by the environment, else the default data
    /// directory's `admin.json`.
    pub(crate) fn find(named: Option<&Path>) -> Result<Profile, Failure> {
        match named {
            Some(path) => Profile::read(path, true),
            None => match data_dir() {
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
        let profile: Profile = serde_json::from_str(&text).map_err(|error| {
            damaged(format!("line {}, column {}", error.line(), error.column()))
        })?;
        if profile.server.scheme() != "https" {
            return Err(damaged("its server is not reached by https".to_owned()));
        }
        Ok(profile)
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
        "Start one with `hourgate serve`, or name its admin.json with --profile or HOURGATE_PROFILE.",
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
