//! Random ids and secrets: the only place that makes them.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use hourgate_core::id::{RequestId, VmInstance};
use uuid::Uuid;

/// The kernel gave no randomness; without it nothing may be minted.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("the kernel gives no randomness: {0}")]
pub struct NoRandomness(getrandom::Error);

fn bytes<const N: usize>() -> Result<[u8; N], NoRandomness> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(NoRandomness)?;
    Ok(bytes)
}

/// A random UUID (version 4).
pub(crate) fn uuid() -> Result<Uuid, NoRandomness> {
    Ok(uuid::Builder::from_random_bytes(bytes()?).into_uuid())
}

/// A request's id, random so that nobody guesses the next one.
pub(crate) fn request_id() -> Result<RequestId, NoRandomness> {
    Ok(RequestId::mint(u64::from_ne_bytes(bytes()?)))
}

/// The id of one registration of a VM.
pub(crate) fn vm_instance() -> Result<VmInstance, NoRandomness> {
    uuid().map(VmInstance)
}

/// A key, a salt, or anything else that is random bytes.
pub(crate) fn key<const N: usize>() -> Result<[u8; N], NoRandomness> {
    bytes()
}

/// A secret of 256 random bits, as text that fits into a form or a shell without quoting.
pub(crate) fn secret() -> Result<String, NoRandomness> {
    // Begins with a letter: a value is pasted behind an option, and must not look like one.
    Ok(format!("hg~{}", URL_SAFE_NO_PAD.encode(bytes::<32>()?)))
}
