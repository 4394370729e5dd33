//! What `hourgate configure --defaults` remembers between commands: group and location.

use std::{collections::BTreeMap, fs, io::ErrorKind, path::PathBuf};

use hourgate_core::id::{Location, Name};
use serde::{Deserialize, Serialize};

use crate::{
    exit::{Exit, Failure},
    profile,
};

/// What stands in where `-g` or `-l` is not given.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Defaults {
    /// The resource group.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) group: Option<Name>,
    /// The location.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) location: Option<Location>,
}

impl Defaults {
    /// Reads them; none are set where there is no file.
    pub(crate) fn read() -> Result<Defaults, Failure> {
        let Some(path) = path() else { return Ok(Defaults::default()) };
        let wrong = |why: String| {
            Failure::usage(format!("The defaults in {} cannot be used: {why}.", path.display()))
                .advise("Remove the file, or set them anew with `hourgate configure --defaults`.")
        };
        match fs::read_to_string(&path) {
            Ok(text) => serde_json::from_str(&text).map_err(|error| wrong(error.to_string())),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(Defaults::default()),
            Err(error) => Err(wrong(error.to_string())),
        }
    }

    /// Keeps them.
    pub(crate) fn write(&self) -> Result<(), Failure> {
        let path = path().ok_or_else(|| {
            Failure::usage("Neither HOME nor XDG_CONFIG_HOME says where defaults could be kept.")
        })?;
        let text = serde_json::to_string_pretty(self).unwrap_or_default();
        let made = path.parent().map_or(Ok(()), fs::create_dir_all);
        made.and_then(|()| fs::write(&path, text + "\n")).map_err(|error| {
            let shown = path.display();
            Failure::new(Exit::Refused, format!("The defaults cannot be kept in {shown}: {error}."))
        })
    }

    /// These defaults with `key=value` set, as `az configure` takes it; an empty value clears.
    pub(crate) fn with(mut self, setting: &str) -> Result<Defaults, Failure> {
        let wrong = |why: &str| Failure::usage(format!("`{setting}`: {why}."));
        let (key, value) = setting.split_once('=').ok_or_else(|| {
            wrong("write group=NAME or location=NAME; nothing behind the = clears it")
        })?;
        match key {
            "group" => {
                self.group = (!value.is_empty())
                    .then(|| value.parse().map_err(|_| wrong("that is no name of a group")))
                    .transpose()?;
            }
            "location" => {
                self.location = (!value.is_empty())
                    .then(|| value.parse().map_err(|_| wrong("that is no name of a location")))
                    .transpose()?;
            }
            _ => return Err(wrong("only group and location have defaults")),
        }
        Ok(self)
    }

    /// As rows.
    pub(crate) fn rows(&self) -> BTreeMap<&'static str, String> {
        let group = self.group.as_ref().map(|group| ("group", group.to_string()));
        let location = self.location.as_ref().map(|location| ("location", location.to_string()));
        group.into_iter().chain(location).collect()
    }
}

fn path() -> Option<PathBuf> {
    let config = profile::absolute("XDG_CONFIG_HOME")
        .or_else(|| profile::absolute("HOME").map(|home| home.join(".config")))?;
    Some(config.join("hourgate/defaults.json"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_are_set_and_cleared() {
        let set =
            Defaults::default().with("group=prod").and_then(|d| d.with("location=West Europe"));
        let set = set.expect("set");
        assert_eq!(set.rows()["group"], "prod");
        assert_eq!(set.rows()["location"], "westeurope");
        assert_eq!(set.clone().with("group=").expect("cleared").group, None);
        for wrong in ["group", "grp=x", "group=-x", "location=\u{1b}"] {
            assert_eq!(set.clone().with(wrong).expect_err(wrong).exit, Exit::Usage);
        }
    }
}
