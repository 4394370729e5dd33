//! Which data directory is meant where something is done on the server's own machine.

use std::{
    fs,
    io::ErrorKind,
    path::{Path, PathBuf},
};

use clap::Args;
use serde_json::Value;

use crate::{
    exit::{Exit, Failure},
    profile,
};

/// The data directory of the server that is meant.
#[derive(Debug, Args)]
pub(crate) struct DataDir {
    /// The server's data directory [default: the profile's folder, else the default one]
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
}

impl DataDir {
    /// Where it is: as it was named, else the folder of the profile, else the default.
    pub(crate) fn find(self, profile: Option<&Path>) -> Result<PathBuf, Failure> {
        choose(self.data_dir, profile, profile::data_dir())
    }
}

/// The first of these that a server keeps its things in. One that is named is the only one looked at: who
/// names a directory means no other.
fn choose(
    named: Option<PathBuf>,
    profile: Option<&Path>,
    default: Option<PathBuf>,
) -> Result<PathBuf, Failure> {
    let mut looked = Vec::new();
    if let Some(dir) = named {
        return match is_a_servers(&dir)? {
            true => Ok(dir),
            false => Err(nowhere(vec![not_there("--data-dir", &dir)])),
        };
    }
    let folder = profile.map(folder_of);
    if let Some(dir) = folder {
        if is_a_servers(&dir)? {
            return Ok(dir);
        }
        looked.push(not_there("the profile's folder", &dir));
    }
    let Some(dir) = default else {
        looked.push("the default: neither HOME nor XDG_STATE_HOME is set".to_owned());
        return Err(nowhere(looked));
    };
    if !is_a_servers(&dir)? {
        looked.push(not_there("the default", &dir));
        return Err(nowhere(looked));
    }
    // A profile of another server was copied here: what is done to that one's secret, log or clock must
    // not be done to the one that happens to be on this machine.
    if let (Some(theirs), Some(ours)) = (profile.and_then(tenant), tenant(&dir.join("admin.json")))
        && theirs != ours
    {
        looked.push(format!("the default: {} is another server's than the profile", dir.display()));
        return Err(nowhere(looked));
    }
    Ok(dir)
}

/// The folder that a profile lies in, also where it is reached by a link.
fn folder_of(profile: &Path) -> PathBuf {
    let profile = fs::canonicalize(profile).unwrap_or_else(|_| profile.to_owned());
    match profile.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder.to_owned(),
        Some(_) | None => PathBuf::from("."),
    }
}

/// Whether a server keeps its things there. To open what is none would make one, with a log that is whole
/// and empty.
fn is_a_servers(dir: &Path) -> Result<bool, Failure> {
    match fs::symlink_metadata(dir.join("hourgate.db")) {
        Ok(_) => Ok(true),
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
            Ok(false)
        }
        Err(error) => {
            let sentence = format!("{} cannot be looked into: {error}.", dir.display());
            Err(Failure::new(Exit::Refused, sentence)
                .advise("Run it as the user that the server runs as."))
        }
    }
}

/// The tenant that a profile names; none where it cannot be read.
fn tenant(profile: &Path) -> Option<String> {
    let profile: Value = serde_json::from_slice(&fs::read(profile).ok()?).ok()?;
    profile["tenantId"].as_str().map(str::to_ascii_lowercase)
}

fn not_there(which: &str, dir: &Path) -> String {
    format!("{which}: there is no hourgate.db in {}", dir.display())
}

fn nowhere(looked: Vec<String>) -> Failure {
    Failure::new(Exit::NotFound, "No server keeps its data where was looked.")
        .because(looked)
        .advise("Name the server's data directory with --data-dir.")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A folder that a server keeps its things in, and the profile that it wrote there.
    fn server(home: &Path, name: &str, tenant: &str) -> PathBuf {
        let dir = home.join(name);
        fs::create_dir(&dir).expect("a directory");
        fs::write(dir.join("hourgate.db"), "").expect("written");
        profile(&dir, tenant);
        dir
    }

    fn profile(dir: &Path, tenant: &str) -> PathBuf {
        let path = dir.join("admin.json");
        fs::write(&path, format!(r#"{{"tenantId":"{tenant}"}}"#)).expect("written");
        path
    }

    #[test]
    fn named_before_the_profiles_folder_before_the_default() {
        let home = tempfile::tempdir().expect("a directory");
        let [one, two, three] =
            [("one", "a"), ("two", "b"), ("three", "c")].map(|(n, t)| server(home.path(), n, t));
        let (named, by_profile) = (|| Some(one.clone()), two.join("admin.json"));
        let default = || Some(three.clone());
        assert_eq!(choose(named(), Some(&by_profile), default()).expect("named"), one);
        let found = choose(None, Some(&by_profile), default()).expect("the profile's");
        assert_eq!(found, fs::canonicalize(&two).expect("it is there"));
        assert_eq!(choose(None, None, default()).expect("the default"), three);
        // Lost, it still says where the server's things are.
        fs::remove_file(&by_profile).expect("it was there");
        assert_eq!(choose(None, Some(&by_profile), default()).expect("the profile's"), two);
        let link = home.path().join("link.json");
        std::os::unix::fs::symlink(three.join("admin.json"), &link).expect("a link");
        let found = choose(None, Some(&link), None).expect("where it leads");
        assert_eq!(found, fs::canonicalize(&three).expect("it is there"));
    }

    #[test]
    fn where_was_looked_is_said() {
        let home = tempfile::tempdir().expect("a directory");
        let empty = home.path().join("empty");
        fs::create_dir(&empty).expect("a directory");
        let there = server(home.path(), "there", "a");
        let named = choose(Some(empty.clone()), Some(&there.join("admin.json")), Some(there));
        let named = named.expect_err("named, and empty: no other is meant");
        assert_eq!(named.exit, Exit::NotFound);
        assert!(
            named.text().contains("--data-dir: there is no hourgate.db in"),
            "{}",
            named.text()
        );
        assert!(!named.text().contains("profile"), "{}", named.text());
        let failure = choose(None, Some(&empty.join("admin.json")), Some(home.path().join("no")));
        let text = failure.expect_err("nowhere").text();
        for looked in ["the profile's folder", "the default", "empty", "/no"] {
            assert!(text.contains(looked), "{looked}: {text}");
        }
        let text = choose(None, None, None).expect_err("no home").text();
        assert!(text.contains("XDG_STATE_HOME"), "{text}");
    }

    #[test]
    fn a_copied_profile_stands_for_its_own_server_alone() {
        let home = tempfile::tempdir().expect("a directory");
        let local = server(home.path(), "local", "aaaa");
        let (same, other) = (home.path().join("same"), home.path().join("other"));
        for dir in [&same, &other] {
            fs::create_dir(dir).expect("a directory");
        }
        let (same, other) = (profile(&same, "AAAA"), profile(&other, "bbbb"));
        assert_eq!(choose(None, Some(&same), Some(local.clone())).expect("its own"), local);
        let text = choose(None, Some(&other), Some(local)).expect_err("another's").text();
        assert!(text.contains("another server's"), "{text}");
    }
}
