//! What readers ask, each in one snapshot.

use std::{cmp::Reverse, time::Duration};

use hourgate_core::{
    grant::{PLANNED_AHEAD_MAX, Request},
    id::PolicyId,
    policy::{LONGEST_ACCESS_MAX, Vm},
    time::{Now, Timestamp},
};
use rusqlite::{Connection, named_params, params};

use super::{
    Result,
    load::{self, all, requests as read_requests},
    rows,
};
use crate::{PolicyAnswer, PolicyFilter, RequestFilter, VmFilter};

/// How many live requests a policy's answer shows: its body stays under the wire's bound.
pub const LIVE_SHOWN_MAX: usize = 2_000;
/// How many ended ones.
pub const ENDED_SHOWN_MAX: usize = 1_000;
/// For how long it shows them (Azure's).
pub const ENDED_SHOWN: Duration = Duration::from_hours(24 * 30);
/// How many requests one page of [`crate::Store::requests`] has at most.
pub const PAGE_MAX: usize = 10_000;

pub(super) fn policies(
    db: &Connection,
    which: &PolicyFilter,
    now: Now,
) -> Result<Vec<PolicyAnswer>> {
    let ids: Vec<PolicyId> = all(
        db,
        "SELECT id FROM policy WHERE (:id IS NULL OR key = :id) AND (:grp IS NULL OR grp = :grp) \
         AND (:location IS NULL OR location = :location) AND (:vm IS NULL OR EXISTS \
         (SELECT 1 FROM member WHERE member.vm = :vm AND member.policy = policy.key)) \
         ORDER BY key",
        named_params! {
            ":id": which.id.as_ref().map(rows::policy_key),
            ":grp": which.group.as_ref().map(|group| group.folded()),
            ":location": which.location.as_ref().map(|location| location.as_str()),
            ":vm": which.vm.as_ref().map(rows::vm_key),
        },
        |row| row.policy_id(0),
    )?;
    ids.into_iter()
        .filter_map(|id| match load::policy(db, &id) {
            Ok(Some(policy)) => Some(Ok(policy)),
            Ok(None) => None,
            Err(error) => Some(Err(error)),
        })
        .map(|policy| {
            let policy = policy?;
            let requests = shown(db, &policy.id, now)?;
            Ok(PolicyAnswer { policy, requests })
        })
        .collect()
}

/// The requests that a policy's answer shows, oldest first.
fn shown(db: &Connection, policy: &PolicyId, now: Now) -> Result<Vec<Request>> {
    let since = |back: Duration| {
        rows::nanos(now.wall.checked_sub(back).unwrap_or(Timestamp::MIN)).unwrap_or(i64::MIN)
    };
    // Nothing lasts longer after it was asked for than it can be planned ahead and then run.
    let created = since(ENDED_SHOWN + PLANNED_AHEAD_MAX + LONGEST_ACCESS_MAX);
    let policy = rows::policy_key(policy);
    let live = read_requests(
        db,
        "r.n IN (SELECT n FROM request WHERE policy = (SELECT n FROM resource WHERE key = ?1) \
         AND live = 1 ORDER BY created DESC, id DESC LIMIT ?2)",
        params![policy, LIVE_SHOWN_MAX as i64],
    )?;
    let ended = read_requests(
        db,
        "r.n IN (SELECT n FROM request WHERE policy = (SELECT n FROM resource WHERE key = ?1) \
         AND live = 0 AND created >= ?3 AND ended >= ?4 ORDER BY created DESC, id DESC LIMIT ?2)",
        params![policy, ENDED_SHOWN_MAX as i64, created, since(ENDED_SHOWN)],
    )?;
    let mut shown = live;
    shown.extend(ended);
    shown.sort_by_key(|request| (request.created, request.id));
    Ok(shown)
}

pub(super) fn vms(db: &Connection, which: &VmFilter) -> Result<Vec<Vm>> {
    let group = which.group.as_ref().map(|group| group.folded());
    let name = which.name.as_ref().map(|name| name.folded());
    match name {
        // Said apart, so that a name is found by its index.
        Some(name) => load::vms(db, "name = ?1 AND (?2 IS NULL OR grp = ?2)", params![name, group]),
        None => load::vms(db, "?1 IS NULL OR grp = ?1", params![group]),
    }
}

pub(super) fn requests(db: &Connection, which: &RequestFilter) -> Result<Vec<Request>> {
    let (created, id) = match &which.before {
        Some((created, id)) => (rows::nanos(*created)?, id.as_str().to_owned()),
        None => (i64::MAX, String::new()),
    };
    let most = which.most.min(PAGE_MAX) as i64;
    let standing = if which.standing_only {
        "n IN (SELECT request FROM access WHERE settled = 0) AND"
    } else {
        ""
    };
    let page = "(created, id) < (?1, ?2) AND created <= ?1 ORDER BY created DESC, id DESC LIMIT ?3";
    let mut found = match &which.vm {
        Some(vm) => read_requests(
            db,
            &format!(
                "r.n IN (SELECT n FROM request WHERE {standing} n IN (SELECT request FROM access \
                 WHERE vm = (SELECT n FROM resource WHERE key = ?4)) AND {page})"
            ),
            params![created, id, most, rows::vm_key(vm)],
        ),
        None => read_requests(
            db,
            &format!("r.n IN (SELECT n FROM request WHERE {standing} {page})"),
            params![created, id, most],
        ),
    }?;
    found.sort_by_key(|request| Reverse((request.created, request.id)));
    Ok(found)
}
