//! The command's only randomness: names of what it makes, which Azure's clients choose themselves.

use uuid::Uuid;

use crate::exit::{Exit, Failure};

/// A random UUID (version 4).
pub(crate) fn uuid() -> Result<Uuid, Failure> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(|error| {
        Failure::new(Exit::Refused, format!("The kernel gives no randomness: {error}."))
    })?;
    Ok(uuid::Builder::from_random_bytes(bytes).into_uuid())
}
