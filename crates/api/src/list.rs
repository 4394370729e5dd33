//! Lists as Azure sends them: a page, and where the next one is.

use serde::{Deserialize, Serialize};

/// A page of a list. An empty list is `{"value":[]}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct List<T> {
    /// The page.
    pub value: Vec<T>,
    /// The absolute URL of the next page; absent on the last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_link: Option<String>,
}

impl<T> List<T> {
    /// A list that is complete.
    pub fn whole(value: Vec<T>) -> List<T> {
        List { value, next_link: None }
    }
}
