//! Tokens that were verified, by their digest, so that a second look costs microseconds.

use std::{
    collections::BTreeMap,
    sync::{Arc, PoisonError, RwLock},
};

use hourgate_core::time::Timestamp;

use super::Verified;

/// How many are remembered. Past that all are forgotten, and verified again. Only who can sign fills it.
const REMEMBERED_MAX: usize = 10_000;

/// What was verified, and by which keys of which provider.
#[derive(Clone)]
pub(super) struct Remembered {
    pub(super) verified: Arc<Verified>,
    /// The provider's place in the list of them.
    pub(super) provider: usize,
    /// The generation of its keys.
    pub(super) generation: u64,
}

/// The memory.
#[derive(Default)]
pub(super) struct Memory(RwLock<BTreeMap<[u8; 32], Remembered>>);

impl Memory {
    pub(super) fn get(&self, digest: &[u8; 32], now: Timestamp) -> Option<Remembered> {
        let held = self.0.read().unwrap_or_else(PoisonError::into_inner);
        held.get(digest).filter(|remembered| remembered.verified.until > now).cloned()
    }

    pub(super) fn keep(&self, digest: [u8; 32], remembered: Remembered) {
        let mut held = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if held.len() >= REMEMBERED_MAX {
            held.clear();
        }
        held.insert(digest, remembered);
    }
}
