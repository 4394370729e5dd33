//! Two guards, one before the other: a firewall's, whose public address leads to a machine, and the machine's
//! own. What lies inside opens first and closes last, so that at no instant a way leads to what is not
//! watched; nothing opens inside while the guard outside is out of reach; and an access counts as open only once
//! both have said so.

use std::{collections::BTreeSet, net::IpAddr, sync::Arc, time::Duration};

use hourgate_core::{id::VmId, open::MappedNeed, plan::Observed, time::Now};
use tokio::time::{Instant, timeout_at};

use super::{Shared, lane::Lane, locked};
use crate::known::{Part, Snapshot};

/// How long what closes inside waits for what closes outside. A guard that answers needs some milliseconds; one that
/// does not must not keep a port open.
const OUTSIDE_WAIT_MAX: Duration = Duration::from_millis(300);

/// What is known of a part, without what must not be led to yet because its opening was not yet seen.
pub(super) fn snapshot<F>(shared: &Shared<F>, lane: &Lane, part: &Part) -> Snapshot {
    let known = shared.known();
    let mut snapshot = known.snapshot(part, &lane.cover);
    let now = shared.clock.now();
    snapshot.keep_back(|need| {
        // One guard for both makes them in that order by itself.
        lane.cover.has(need.opening.address())
            || is_open_inside(shared, need, now)
            // What stands goes on while the guard inside is out of reach.
            || locked(&lane.sighting).leads(&need.translation)
    });
    // Both or neither: what was seen open goes on, but nothing begins to which no way can lead.
    snapshot.keep_closed(|need| !need.seen && is_cut_off(shared, need));
    snapshot
}

/// Whether the guard that would have to lead to a machine is out of reach.
fn is_cut_off<F>(shared: &Shared<F>, need: &MappedNeed) -> bool {
    let public = need.translation.at().address;
    let mut outside = shared.lanes.iter().filter(|lane| lane.cover.has(public));
    !outside.any(|lane| locked(&lane.sighting).is_reached())
}

/// Has the guards inside told of the machines that this one leads to: it was lost, or it answers again.
pub(super) fn comes_or_goes<F>(shared: &Shared<F>, lane: &Lane) {
    let behind = shared.known().behind(&lane.cover);
    let others = shared.lanes.iter().filter(|other| other.cover.name != lane.cover.name);
    others.for_each(|other: &Arc<Lane>| other.mark(&behind));
}

fn is_open_inside<F>(shared: &Shared<F>, need: &MappedNeed, now: Now) -> bool {
    let inside = shared.lanes.iter().filter(|lane| lane.cover.has(need.opening.address()));
    inside.into_iter().any(|lane| {
        let seen = locked(&lane.sighting).opening(&need.opening, now);
        seen.is_some_and(|(until, _)| until.is_some())
    })
}

/// Waits until no other guard leads to what this part is about to close, but not for long.
pub(super) async fn closes_first<F>(shared: &Shared<F>, lane: &Lane, part: &Part) {
    let mut changes = shared.changes.subscribe();
    let end = Instant::now() + OUTSIDE_WAIT_MAX;
    while leads_to_what_closes(shared, lane, part) {
        if timeout_at(end, changes.changed()).await.is_err() {
            tracing::warn!(
                guard = lane.cover.name,
                "a firewall's guard does not answer in time: what lies behind it closes all the same"
            );
            return;
        }
    }
}

fn leads_to_what_closes<F>(shared: &Shared<F>, lane: &Lane, part: &Part) -> bool {
    let spoken = |address: IpAddr| match part {
        Part::All => true,
        Part::Addresses(addresses) => addresses.contains(&address),
    };
    let now = shared.clock.now();
    let others = shared.lanes.iter().filter(|other| other.cover.name != lane.cover.name);
    let stands: Vec<_> = others
        .flat_map(|other| {
            // A guard that also has the machine closes both in that order by itself.
            let both = |address| other.cover.has(address);
            let sighting = locked(&other.sighting);
            let ending = sighting.ending(now).filter(|(_, onward)| !both(onward.to.address));
            ending.collect::<Vec<_>>()
        })
        .filter(|(_, onward)| lane.cover.has(onward.to.address) && spoken(onward.to.address))
        .collect();
    if stands.is_empty() {
        return false;
    }
    let known = shared.known();
    stands.iter().any(|(translation, _)| !known.leads(translation, now))
}

/// A guard's word together with what the others last said of the same accesses; none where that adds nothing.
pub(super) fn whole<F>(
    shared: &Shared<F>,
    lane: &Lane,
    snapshot: &Snapshot,
    observed: &Observed,
    now: Now,
) -> Option<Observed> {
    let named: BTreeSet<IpAddr> =
        snapshot.awaited.iter().flat_map(|(_, _, addresses)| addresses.iter().copied()).collect();
    let missing: Vec<IpAddr> =
        named.into_iter().filter(|address| !lane.cover.has(*address)).collect();
    if missing.is_empty() {
        return None;
    }
    let mut whole = observed.clone();
    for address in missing {
        for other in shared.lanes.iter().filter(|other| other.cover.has(address)) {
            locked(&other.sighting).add_to(&mut whole, address, now);
        }
    }
    Some(whole)
}

/// Has the guards outside told of what may now be led to, once this one has said that it is open.
pub(super) fn goes_on<F>(shared: &Shared<F>, lane: &Lane, owners: BTreeSet<VmId>) {
    let publics: BTreeSet<IpAddr> = {
        let publics = shared.known().publics(owners);
        publics.into_iter().filter(|address| !lane.cover.has(*address)).collect()
    };
    if !publics.is_empty() {
        let others = shared.lanes.iter().filter(|other| other.cover.name != lane.cover.name);
        others.for_each(|other: &Arc<Lane>| other.mark(&publics));
    }
}
