//! `hourgate guard remove`: the only thing that takes locks away from a machine whole.

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    path::Path,
};

use hourgate_core::network::{Lock, Sessions};

use crate::{
    floor::{self, Floor},
    netlink::{Features, SET_SIZE, Wire, WireError},
    process::take_place,
    remembered,
};

/// Why nothing was taken away.
#[derive(Debug, thiserror::Error)]
pub enum RemoveError {
    /// A guard runs: it would put back at once what is taken away.
    #[error("the guard is running: stop it first, and the server that would start it again")]
    Running,
    /// No right, or the kernel refused.
    #[error("the table cannot be taken away: {0}")]
    Kernel(String),
    /// The state directory cannot be used.
    #[error("the state directory cannot be used: {0}")]
    State(#[from] io::Error),
}

impl RemoveError {
    fn of(error: &WireError) -> RemoveError {
        match error {
            WireError::Owned => RemoveError::Running,
            WireError::Refused(_)
            | WireError::Raced
            | WireError::Full
            | WireError::NotPermitted(_) => RemoveError::Kernel(error.to_string()),
        }
    }
}

/// What would be open after [`remove`]: every lock that the kernel or the floor has.
pub fn would_open(state_dir: &Path) -> Result<BTreeSet<Lock>, RemoveError> {
    let floor = Floor::read(state_dir)?;
    let standing = on_kernel(async |wire| {
        let survey = wire.survey().await?;
        Ok(survey.map(|survey| survey.locks).unwrap_or_default())
    })?;
    Ok(names(&floor.locks).chain(names(&standing)).collect())
}

/// Takes the table, the floor and the rules of security groups away, and says which ports that opened. Refused while a guard runs.
pub fn remove(state_dir: &Path) -> Result<BTreeSet<Lock>, RemoveError> {
    let place = if state_dir.exists() {
        Some(take_place(state_dir)?.ok_or(RemoveError::Running)?)
    } else {
        None
    };
    let opened = would_open(state_dir)?;
    on_kernel(async |wire| {
        if wire.table().await?.is_some() {
            wire.commit(wire.batch().raze()).await?;
        }
        Ok(())
    })?;
    for file in [floor::path(state_dir), remembered::path(state_dir)] {
        match std::fs::remove_file(file) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error.into()),
            Ok(()) | Err(_) => {}
        }
    }
    drop(place);
    Ok(opened)
}

fn names(locks: &BTreeMap<Lock, Sessions>) -> impl Iterator<Item = Lock> {
    locks.keys().copied()
}

fn on_kernel<T>(ask: impl AsyncFnOnce(Wire) -> Result<T, WireError>) -> Result<T, RemoveError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let wire = Wire::open(Features::of_kernel(), SET_SIZE).map_err(|e| RemoveError::of(&e))?;
        ask(wire).await.map_err(|e| RemoveError::of(&e))
    })
}
