//! An operation that a client may ask about: everything here is done before it is answered.

use serde::{Deserialize, Serialize};

/// What has become of an operation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Operation {
    /// `Succeeded`.
    pub status: String,
}

impl Operation {
    /// One that is done.
    pub fn done() -> Operation {
        Operation { status: "Succeeded".to_owned() }
    }
}
