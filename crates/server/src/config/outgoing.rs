//! `[outgoing]`: where the server may call, and whose certificates it believes there.

use std::path::PathBuf;

use serde::Deserialize;

use super::{ConfigError, prefix};
use crate::outgoing::OutgoingConfig;

/// How many prefixes may be opened; each is looked at with every address.
const ALLOW_MAX: usize = 64;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct OutgoingTable {
    allow: Option<Vec<String>>,
    ca: Option<PathBuf>,
}

pub(super) fn complete(table: Option<OutgoingTable>) -> Result<OutgoingConfig, ConfigError> {
    let Some(OutgoingTable { allow, ca }) = table else { return Ok(OutgoingConfig::default()) };
    let allow = allow.unwrap_or_default();
    if allow.len() > ALLOW_MAX {
        return Err(ConfigError(format!(
            "outgoing.allow names {} prefixes; at most {ALLOW_MAX} are accepted",
            allow.len()
        )));
    }
    let allow =
        allow.iter().map(|text| prefix("outgoing.allow", text)).collect::<Result<_, _>>()?;
    if let Some(ca) = ca.as_ref().filter(|ca| !ca.is_absolute()) {
        return Err(ConfigError(format!(
            "outgoing.ca is {:?}; an absolute path to a PEM file is accepted, for example \
             \"/etc/hourgate/ca.pem\"",
            ca.display().to_string()
        )));
    }
    Ok(OutgoingConfig { allow, ca })
}
