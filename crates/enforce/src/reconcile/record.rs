//! What a guard saw, recorded in order, behind the back of the next convergence.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use hourgate_core::id::VmId;
use tokio::time::sleep;

use super::{Shared, lane::Lane, longer};
use crate::facts::Facts;

/// Records notices, one after the other; one that fails is tried until it is recorded.
pub(super) async fn run<F: Facts>(shared: Arc<Shared<F>>, lane: Arc<Lane>) {
    loop {
        let Some(notice) = lane.notices.pop() else {
            lane.notices.bell.notified().await;
            continue;
        };
        let mut pause = Duration::ZERO;
        let vms: BTreeSet<VmId> = notice.told.keys().cloned().collect();
        let record =
            || shared.facts.noticed(&lane.cover.name, vms.clone(), notice.observed.clone());
        let changed = loop {
            match record().await {
                Ok(changed) => break changed,
                Err(error) => {
                    pause = longer(pause);
                    let guard = &lane.cover.name;
                    tracing::warn!(guard, %error, "what a guard saw cannot be recorded");
                    sleep(pause).await;
                }
            }
        };
        shared.known().recorded(&notice.told, &notice.observed);
        if !changed.is_empty() {
            shared.wakes.vms(changed);
        }
        shared.changed();
    }
}
