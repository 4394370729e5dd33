//! What of a resource is not understood: kept as it was sent, found again by the names of its parts.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::super::json::Json;
use crate::error::{ArmError, internal_error};

/// What is kept of a resource.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Document {
    /// Beside `properties`.
    #[serde(with = "pairs", default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) top: Vec<(String, Json)>,
    /// In `properties`.
    #[serde(with = "pairs", default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) properties: Vec<(String, Json)>,
    /// Of subnets, rules and IP configurations, by their names in lower case.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    parts: BTreeMap<String, Part>,
}

/// What is kept of a part. A list that is understood stands here empty where it was sent as a list, so that
/// one address is given back as it came: alone, or as a list of one.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Part {
    #[serde(with = "pairs", default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) top: Vec<(String, Json)>,
    #[serde(with = "pairs", default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) properties: Vec<(String, Json)>,
}

impl Part {
    /// Whether a list was sent under that name.
    pub(crate) fn lists(&self, name: &str) -> bool {
        self.properties.iter().any(|(kept, _)| kept == name)
    }
}

impl Document {
    /// Reads what was stored; nothing where nothing was kept.
    pub(crate) fn read(text: &str) -> Result<Document, ArmError> {
        serde_json::from_str(text).map_err(|_| internal_error())
    }

    /// As it is stored.
    pub(crate) fn text(&self) -> Option<String> {
        serde_json::to_string(self).ok()
    }

    /// What is kept of a part; of one without anything, nothing.
    pub(crate) fn part(&self, name: &str) -> Part {
        self.parts.get(&name.to_ascii_lowercase()).cloned().unwrap_or_default()
    }

    /// Keeps something of a part.
    pub(crate) fn set_part(&mut self, name: &str, part: Part) {
        if part == Part::default() {
            self.take_part(name);
        } else {
            self.parts.insert(name.to_ascii_lowercase(), part);
        }
    }

    /// Keeps the parts of another document in place of its own.
    pub(crate) fn keep_parts(&mut self, other: Document) {
        self.parts = other.parts;
    }

    /// Forgets a part.
    pub(crate) fn take_part(&mut self, name: &str) {
        self.parts.remove(&name.to_ascii_lowercase());
    }
}

/// Properties in the order sent, as an object.
mod pairs {
    use serde::{Deserialize as _, Deserializer, Serializer, de::Error as _};

    use super::Json;

    pub(super) fn serialize<S: Serializer>(
        pairs: &[(String, Json)],
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.collect_map(pairs.iter().map(|(name, value)| (name, value)))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Vec<(String, Json)>, D::Error> {
        match Json::deserialize(deserializer)? {
            Json::Object(pairs) => Ok(pairs),
            other @ (Json::Null
            | Json::Flag(_)
            | Json::Number(_)
            | Json::Text(_)
            | Json::List(_)) => {
                Err(D::Error::custom(format!("{other} stands where an object is needed")))
            }
        }
    }
}
