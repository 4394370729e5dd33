//! JSON without surprises: no property twice, no deep nesting, no more values than a body can need.

use std::{cell::Cell, collections::BTreeSet, fmt};

use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::Number;

use super::BODY_BYTES_MAX;
use crate::{
    error::{ArmError, Code, too_large},
    text::quoted,
};

/// How deep a body may nest; ours need eight levels.
const DEPTH_MAX: usize = 16;
/// How many values a body may hold; 4 MiB of policies hold 200,000, and each costs us memory.
const VALUES_MAX: usize = 500_000;

/// A value of JSON.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Json {
    Null,
    Flag(bool),
    Number(Number),
    Text(String),
    List(Vec<Json>),
    Object(Vec<(String, Json)>),
}

/// What a value is, in a sentence.
impl fmt::Display for Json {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Json::Null => f.write_str("null"),
            Json::Flag(flag) => flag.fmt(f),
            Json::Number(number) => write!(f, "the number {number}"),
            Json::Text(text) => write!(f, "the text {}", quoted(text)),
            Json::List(_) => f.write_str("a list"),
            Json::Object(_) => f.write_str("an object"),
        }
    }
}

impl serde::Serialize for Json {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Json::Null => serializer.serialize_unit(),
            Json::Flag(flag) => serializer.serialize_bool(*flag),
            Json::Number(number) => number.serialize(serializer),
            Json::Text(text) => serializer.serialize_str(text),
            Json::List(items) => serializer.collect_seq(items),
            Json::Object(properties) => {
                serializer.collect_map(properties.iter().map(|(name, value)| (name, value)))
            }
        }
    }
}

/// Reads what [`Json`] wrote, for documents that are kept.
impl<'de> serde::Deserialize<'de> for Json {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Json, D::Error> {
        Level { depth: 0, values: &Cell::new(0) }.deserialize(deserializer)
    }
}

/// Reads a body.
pub(crate) fn read(body: &[u8]) -> Result<Json, ArmError> {
    if body.len() > BODY_BYTES_MAX {
        return Err(too_large(BODY_BYTES_MAX));
    }
    // Windows PowerShell writes a byte order mark in front of what it saves as UTF-8.
    let body = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body);
    if body.iter().all(u8::is_ascii_whitespace) {
        let message = "The request content is empty; a JSON object is needed.";
        return Err(ArmError::new(Code::InvalidRequestContent, message));
    }
    let values = Cell::new(0);
    let mut deserializer = serde_json::Deserializer::from_slice(body);
    let read = Level { depth: 0, values: &values }
        .deserialize(&mut deserializer)
        .and_then(|json| deserializer.end().map(|()| json));
    read.map_err(|error| {
        let message = format!("The request content is no JSON that can be read: {error}.");
        ArmError::new(Code::InvalidRequestContent, message)
    })
}

/// How deep we are, and how many values were read.
#[derive(Clone, Copy)]
struct Level<'a> {
    depth: usize,
    values: &'a Cell<usize>,
}

impl Level<'_> {
    fn below<E: serde::de::Error>(self) -> Result<Self, E> {
        if self.depth == DEPTH_MAX {
            return Err(E::custom(format!("it nests deeper than {DEPTH_MAX} levels")));
        }
        Ok(Level { depth: self.depth + 1, ..self })
    }
}

impl<'de> DeserializeSeed<'de> for Level<'_> {
    type Value = Json;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Json, D::Error> {
        self.values.set(self.values.get() + 1);
        if self.values.get() > VALUES_MAX {
            return Err(D::Error::custom(format!("it holds more than {VALUES_MAX} values")));
        }
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Level<'_> {
    type Value = Json;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E>(self) -> Result<Json, E> {
        Ok(Json::Null)
    }

    fn visit_bool<E>(self, flag: bool) -> Result<Json, E> {
        Ok(Json::Flag(flag))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Json, E> {
        Ok(Json::Number(number.into()))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Json, E> {
        Ok(Json::Number(number.into()))
    }

    fn visit_f64<E: serde::de::Error>(self, number: f64) -> Result<Json, E> {
        Number::from_f64(number).map(Json::Number).ok_or_else(|| E::custom("a number is too large"))
    }

    fn visit_str<E>(self, text: &str) -> Result<Json, E> {
        Ok(Json::Text(text.to_owned()))
    }

    fn visit_string<E>(self, text: String) -> Result<Json, E> {
        Ok(Json::Text(text))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Json, A::Error> {
        let below = self.below()?;
        let mut list = Vec::new();
        while let Some(item) = seq.next_element_seed(below)? {
            list.push(item);
        }
        Ok(Json::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Json, A::Error> {
        let below = self.below()?;
        let mut seen = BTreeSet::new();
        let mut properties = Vec::new();
        while let Some(name) = map.next_key::<String>()? {
            // Which of the two would hold? Readers differ, and that is a way past a check.
            if !seen.insert(name.to_ascii_lowercase()) {
                let message = format!("the property {} stands twice", quoted(&name));
                return Err(A::Error::custom(message));
            }
            properties.push((name, map.next_value_seed(below)?));
        }
        Ok(Json::Object(properties))
    }
}
