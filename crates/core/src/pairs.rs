//! Maps with keys that are no text, written as lists of pairs, since JSON's own maps know text keys only.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Writes a map as a list of pairs, in the order of the keys.
pub(crate) fn serialize<K: Serialize, V: Serialize, S: Serializer>(
    map: &BTreeMap<K, V>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(map)
}

/// Reads a list of pairs. A key that stands twice is an error: which of the two would hold?
pub(crate) fn deserialize<'de, K, V, D>(deserializer: D) -> Result<BTreeMap<K, V>, D::Error>
where
    K: Deserialize<'de> + Ord,
    V: Deserialize<'de>,
    D: Deserializer<'de>,
{
    let pairs = Vec::<(K, V)>::deserialize(deserializer)?;
    let length = pairs.len();
    let map: BTreeMap<K, V> = pairs.into_iter().collect();
    if map.len() == length { Ok(map) } else { Err(serde::de::Error::custom("a key stands twice")) }
}
