//! Marks what tells of a person, so that the log can commit to it without holding it.
//!
//! Written as `{"personal": TEXT}`. The store keeps TEXT and a salt beside the log and writes a salted
//! digest into the record itself: erasing the salt erases the person, and the chain still stands.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

#[derive(Serialize, Deserialize)]
struct Marked {
    personal: String,
}

/// A text that tells of a person.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Personal(pub String);

impl Serialize for Personal {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serialize(&self.0, serializer)
    }
}

impl<'de> Deserialize<'de> for Personal {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Personal, D::Error> {
        Ok(Personal(Marked::deserialize(deserializer)?.personal))
    }
}

/// Writes a value that tells of a person, marked.
pub(crate) fn serialize<T: fmt::Display, S: Serializer>(
    value: &T,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    Marked { personal: value.to_string() }.serialize(serializer)
}

/// Reads it back.
pub(crate) fn deserialize<'de, T: FromStr, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<T, D::Error> {
    let text = Marked::deserialize(deserializer)?.personal;
    text.parse().map_err(|_| serde::de::Error::custom("not of the marked type"))
}
