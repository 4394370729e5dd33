//! What every guard is asked, whatever it enforces on.

use std::{future::Future, sync::Arc};

use hourgate_core::plan::{Desired, Observed};

/// Something that enforces: the nftables of a machine, later the security groups of a cloud.
pub trait Guard: Send + Sync + 'static {
    /// Makes the addresses that `desired` speaks of agree with it, closes first, and says what then
    /// stands for them. What it could not open is in [`Observed::failed`]; the rest stands all the same.
    ///
    /// Idempotent: the same call again changes nothing.
    fn converge(
        &self,
        desired: Arc<Desired>,
    ) -> impl Future<Output = Result<Observed, GuardError>> + Send;

    /// What stands now, for every address.
    fn observe(&self) -> impl Future<Output = Result<Observed, GuardError>> + Send;

    /// Returns when something may have changed without being asked for: the guard was restarted or
    /// reached again, somebody touched its rules and it repaired them.
    fn changed(&self) -> impl Future<Output = ()> + Send;
}

/// Why a guard did not answer with what stands.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GuardError {
    /// Nobody answers: what stands is not known.
    #[error("the guard is not reached: {0}")]
    Unreached(String),
    /// The guard holds this for something no honest server asks. Nothing was changed.
    #[error("the guard refused: {0}")]
    Refused(String),
    /// The kernel or the cloud failed; what stands is not known.
    #[error("the guard failed: {0}")]
    Failed(String),
}
