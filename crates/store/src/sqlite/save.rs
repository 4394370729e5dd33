//! From what happened to rows: writes what the events touch, as it stands after them.
//!
//! What an event changes is said in one place, `State::evolve`; here it is only kept.

use std::sync::Arc;

use hourgate_core::{
    event::AccessId,
    grant::{Access, Request, Stage, Window},
    id::{PolicyId, RequestId, SubscriptionId, VmId},
    network::Lock,
    policy::{Member, Policy, Vm},
    resource::{Resource, ResourceId},
    role::{
        Scope,
        activation::{Activation, ActivationId, Eligibility, EligibilityId, Rules},
        assignment::{Assignment, AssignmentId},
        definition::{Definition, RoleId},
        principal::{Principal, PrincipalId},
    },
    state::State,
    time::Timestamp,
};
use rusqlite::{Connection, named_params, params};

use super::{
    Result, directory, documents,
    fingerprint::{self, Fingerprint},
    numbers::{Named, Numbers},
    pricings, rows,
    standing::Released,
    touched::{Touched, given_back, seen_gone},
};
use crate::log::{Hash, LogKey};

/// Writes what was touched from `after`, where `before` is what of it stood, and keeps the sum over all rows in step.
pub(super) fn save(
    db: &Connection,
    key: &LogKey,
    sum: &mut Fingerprint,
    numbers: &mut Numbers,
    (before, after): (&State, &State),
    touched: &Touched,
) -> Result<()> {
    let mut save = Saver { db, key, sum, numbers, before, after };
    touched.vms.iter().try_for_each(|id| save.vm(id))?;
    // Every port is freed before one is taken: two policies may change at once.
    touched.policies.iter().try_for_each(|id| save.take_places(id))?;
    touched.policies.iter().try_for_each(|id| save.policy(id))?;
    touched.requests.iter().try_for_each(|id| save.request(*id))?;
    touched.accesses.iter().try_for_each(|id| save.access(id))?;
    touched.known_requests.iter().try_for_each(|id| save.liveness(*id))?;
    touched.resources.iter().try_for_each(|id| save.resource(id))?;
    // Nobody goes while they have something.
    let (given, taken): (Vec<AssignmentId>, Vec<AssignmentId>) =
        touched.assignments.iter().partition(|id| after.directory.assignment(**id).is_some());
    taken.into_iter().try_for_each(|id| save.assignment(id))?;
    let (eligible, ineligible): (Vec<EligibilityId>, Vec<EligibilityId>) =
        touched.eligibilities.iter().partition(|id| after.directory.eligibility(**id).is_some());
    ineligible.into_iter().try_for_each(|id| save.eligibility(id))?;
    touched.principals.iter().try_for_each(|id| save.principal(*id))?;
    touched.roles.iter().try_for_each(|id| save.role(*id))?;
    given.into_iter().try_for_each(|id| save.assignment(id))?;
    eligible.into_iter().try_for_each(|id| save.eligibility(id))?;
    touched.rules.iter().try_for_each(|(role, scope)| save.rules(*role, scope))?;
    touched.activations.iter().try_for_each(|id| save.activation(*id))?;
    touched.pricings.iter().try_for_each(|id| save.pricing(*id))?;
    seen_gone(before, after).try_for_each(|lock| save.seen_gone(&lock))?;
    given_back(before, after).try_for_each(|(lock, is)| save.given_back(&lock, &is))
}

struct Saver<'a> {
    db: &'a Connection,
    key: &'a LogKey,
    sum: &'a mut Fingerprint,
    numbers: &'a mut Numbers,
    before: &'a State,
    after: &'a State,
}

impl Saver<'_> {
    fn swap(&mut self, before: Option<Hash>, after: Option<Hash>) {
        if let Some(digest) = before {
            self.sum.take(&digest);
        }
        if let Some(digest) = after {
            self.sum.add(&digest);
        }
    }

    fn vm(&mut self, id: &VmId) -> Result<()> {
        let digest = |vm: &Vm| fingerprint::vm(self.key, vm);
        let (before, after) = (self.before.vms.get(id), self.after.vms.get(id));
        self.swap(before.map(digest), after.map(digest));
        let key = rows::vm_key(id);
        let Some(vm) = after else {
            self.db.prepare_cached("DELETE FROM vm WHERE key = ?1")?.execute([&key])?;
            return Ok(());
        };
        self.db
            .prepare_cached(
                "INSERT INTO vm (key, id, grp, name, instance, location, os) \
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) \
                 ON CONFLICT (key) DO UPDATE SET id = excluded.id, \
                 instance = excluded.instance, location = excluded.location, os = excluded.os",
            )?
            .execute(params![
                key,
                rows::vm_text(&vm.id),
                vm.id.group.folded(),
                vm.id.name.folded(),
                vm.instance.0.as_bytes(),
                vm.location.as_str(),
                rows::os_text(vm.os),
            ])?;
        self.db.prepare_cached("DELETE FROM vm_address WHERE vm = ?1")?.execute([&key])?;
        let mut insert = self
            .db
            .prepare_cached("INSERT INTO vm_address (address, vm, position) VALUES (?1, ?2, ?3)")?;
        for (position, address) in vm.addresses.iter().enumerate() {
            insert.execute(params![address.to_string(), key, position as i64])?;
        }
        Ok(())
    }

    /// Takes away the places of VMs that a policy no longer holds, or holds differently.
    fn take_places(&mut self, id: &PolicyId) -> Result<()> {
        let (before, after) = (self.before.policies.get(id), self.after.policies.get(id));
        let key = rows::policy_key(id);
        let mut delete =
            self.db.prepare_cached("DELETE FROM member WHERE vm = ?1 AND policy = ?2")?;
        for (vm, member) in before.into_iter().flat_map(|policy| &policy.members) {
            if after.and_then(|policy| policy.members.get(vm)) != Some(member) {
                self.sum.take(&fingerprint::member(self.key, id, vm, member));
                delete.execute(params![rows::vm_key(vm), key])?;
            }
        }
        Ok(())
    }

    fn policy(&mut self, id: &PolicyId) -> Result<()> {
        let digest = |policy: &Policy| fingerprint::head(self.key, policy);
        let (before, after) = (self.before.policies.get(id), self.after.policies.get(id));
        self.swap(before.map(digest), after.map(digest));
        let key = rows::policy_key(id);
        let Some(policy) = after else {
            self.db.prepare_cached("DELETE FROM policy WHERE key = ?1")?.execute([key])?;
            return Ok(());
        };
        self.head(&key, policy)?;
        for (vm, member) in &policy.members {
            if before.and_then(|policy| policy.members.get(vm)) != Some(member) {
                self.sum.add(&fingerprint::member(self.key, id, vm, member));
                self.place(&key, vm, member)?;
            }
        }
        Ok(())
    }

    fn head(&self, key: &str, policy: &Policy) -> Result<()> {
        let confirmation = policy.confirmation.as_ref();
        let before = confirmation.and_then(|c| c.before.as_ref()).map(serde_json::to_string);
        let boot = confirmation.and_then(|c| c.until.boot);
        self.db
            .prepare_cached(
                "INSERT INTO policy (key, id, grp, location, kind, version, confirm_wall, \
                 confirm_boot, confirm_nanos, confirm_before) \
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10) \
                 ON CONFLICT (key) DO UPDATE SET kind = excluded.kind, \
                 version = excluded.version, confirm_wall = excluded.confirm_wall, \
                 confirm_boot = excluded.confirm_boot, confirm_nanos = excluded.confirm_nanos, \
                 confirm_before = excluded.confirm_before",
            )?
            .execute(params![
                key,
                rows::policy_text(&policy.id),
                policy.id.group.folded(),
                policy.id.location.as_str(),
                policy.kind,
                i64::try_from(policy.version).map_err(rows::damaged)?,
                rows::maybe_nanos(confirmation.map(|c| c.until.wall))?,
                boot.as_ref().map(|boot| boot.boot.as_bytes()),
                boot.map(|boot| rows::boot_nanos(boot.nanos)),
                before.transpose().map_err(rows::damaged)?,
            ])?;
        Ok(())
    }

    fn place(&self, policy: &str, vm: &VmId, member: &Member) -> Result<()> {
        let key = rows::vm_key(vm);
        self.db
            .prepare_cached(
                "INSERT INTO member (vm, policy, vm_id, instance, position, placement) \
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            )?
            .execute(params![
                key,
                policy,
                rows::vm_text(vm),
                member.instance.0.as_bytes(),
                member.position,
                rows::placement_text(member.placement),
            ])?;
        let mut insert = self.db.prepare_cached(
            "INSERT INTO rule (vm, port, policy, position, protocol, form, sources, longest, \
             approval, sessions, widest_v4, widest_v6, other_addresses, exceptions, denies, \
             sign_in) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16)",
        )?;
        for (position, rule) in member.ports.iter().enumerate() {
            insert.execute(params![
                key,
                rule.port.number(),
                policy,
                position as i64,
                rows::protocol_text(rule.protocol),
                rows::form_text(rule.allowed.form()),
                rows::sources_text(rule.allowed.sources()),
                rows::length(rule.longest)?,
                rows::approval_text(rule.approval),
                rows::sessions_text(rule.sessions),
                rule.widest_unapproved.ipv4,
                rule.widest_unapproved.ipv6,
                rows::others_text(rule.other_addresses),
                rows::exceptions_text(rule.exceptions),
                rows::list_text(&rule.denies)?,
                rows::sign_in_text(rule.sign_in)?,
            ])?;
        }
        Ok(())
    }

    /// A request that is new, with all its accesses.
    fn request(&mut self, id: RequestId) -> Result<()> {
        let after = self.after;
        let Some(request) = after.requests.get(&id) else { return Ok(()) };
        let (live, ended) = liveness(request);
        let policy = rows::policy_text(&request.policy);
        let policy = self.numbers.of(self.db, &policy)?;
        self.db
            .prepare_cached(
                "INSERT INTO request (id, policy, policy_spelled, person, name, upn, created, \
                 justification, ticket, live, ended) \
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
            )?
            .execute(params![
                request.id.as_str(),
                policy.number,
                policy.spelled,
                request.requester.id.0,
                request.requester.name.0,
                request.requester.upn.as_ref().map(|upn| &upn.0),
                rows::nanos(request.created)?,
                request.justification.as_ref().map(|text| &text.0),
                request.ticket.as_ref().map(|text| &text.0),
                live,
                rows::maybe_nanos(ended)?,
            ])?;
        let number = self.db.last_insert_rowid();
        for (position, access) in request.accesses.iter().enumerate() {
            if !access.is_settled() {
                self.sum.add(&fingerprint::access(self.key, request, access));
            }
            let vm = rows::vm_text(&access.vm);
            insert(self.db, number, self.numbers.of(self.db, &vm)?, position, access)?;
        }
        Ok(())
    }

    /// An access whose stage changed.
    fn access(&mut self, id: &AccessId) -> Result<()> {
        let find = |state: &State| {
            let request = state.requests.get(&id.request)?;
            let access = request.access(&id.vm, id.port)?;
            (!access.is_settled()).then(|| fingerprint::access(self.key, request, access))
        };
        let (before, after) = (find(self.before), find(self.after));
        self.swap(before, after);
        let request = self.after.requests.get(&id.request);
        let Some(access) = request.and_then(|request| request.access(&id.vm, id.port)) else {
            return Ok(());
        };
        let vm = rows::vm_text(&access.vm);
        let vm = self.numbers.of(self.db, &vm)?;
        update(self.db, id.request, &vm, access)
    }

    /// Whether a request still has an access that waits or runs.
    fn liveness(&self, id: RequestId) -> Result<()> {
        let (before, after) = (self.before.requests.get(&id), self.after.requests.get(&id));
        let Some(is) = after.map(|request| liveness(request)) else { return Ok(()) };
        if before.map(|request| liveness(request)) == Some(is) {
            return Ok(());
        }
        self.db
            .prepare_cached("UPDATE request SET live = ?2, ended = ?3 WHERE id = ?1")?
            .execute(params![id.as_str(), is.0, rows::maybe_nanos(is.1)?])?;
        Ok(())
    }

    fn resource(&mut self, id: &ResourceId) -> Result<()> {
        let digest = |resource: &Arc<Resource>| fingerprint::resource(self.key, resource);
        let (before, after) = (self.before.network.get(id), self.after.network.get(id));
        self.swap(before.map(digest), after.map(digest));
        match after {
            Some(resource) => documents::put(self.db, resource),
            None => documents::delete(self.db, id),
        }
    }

    fn pricing(&mut self, id: SubscriptionId) -> Result<()> {
        let digest = |tier| fingerprint::pricing(self.key, id, tier);
        let (before, after) = (self.before.pricings.get(&id), self.after.pricings.get(&id));
        self.swap(before.copied().map(digest), after.copied().map(digest));
        // A tier that was set is never unset.
        after.map_or(Ok(()), |tier| pricings::put(self.db, id, *tier))
    }

    fn principal(&mut self, id: PrincipalId) -> Result<()> {
        let digest = |who: &Arc<Principal>| fingerprint::of_directory(self.key, "person", &**who);
        let [before, after] = [self.before, self.after].map(|state| state.directory.principal(id));
        self.swap(before.map(digest), after.map(digest));
        directory::put_principal(self.db, id, after.map(Arc::as_ref))
    }

    fn role(&mut self, id: RoleId) -> Result<()> {
        let digest = |role: &Arc<Definition>| fingerprint::of_directory(self.key, "role", &**role);
        let [before, after] =
            [self.before, self.after].map(|state| state.directory.custom().get(&id));
        self.swap(before.map(digest), after.map(digest));
        directory::put_role(self.db, id, after.map(Arc::as_ref))
    }

    fn assignment(&mut self, id: AssignmentId) -> Result<()> {
        let digest = |it: &Arc<Assignment>| fingerprint::of_directory(self.key, "given", &**it);
        let [before, after] = [self.before, self.after].map(|state| state.directory.assignment(id));
        self.swap(before.map(digest), after.map(digest));
        directory::put_assignment(self.db, id, after.map(Arc::as_ref))
    }

    fn eligibility(&mut self, id: EligibilityId) -> Result<()> {
        let digest = |it: &Arc<Eligibility>| fingerprint::of_directory(self.key, "eligible", &**it);
        let [before, after] =
            [self.before, self.after].map(|state| state.directory.eligibility(id));
        self.swap(before.map(digest), after.map(digest));
        directory::put_eligibility(self.db, id, after.map(Arc::as_ref))
    }

    fn rules(&mut self, role: RoleId, scope: &Scope) -> Result<()> {
        let digest = |it: &Arc<Rules>| fingerprint::of_directory(self.key, "rules", &**it);
        let [before, after] =
            [self.before, self.after].map(|state| state.directory.set_rules_of(role, scope));
        self.swap(before.map(digest), after.map(digest));
        directory::put_rules(self.db, (role, scope), after.map(Arc::as_ref))
    }

    fn activation(&mut self, id: ActivationId) -> Result<()> {
        let digest =
            |it: &Arc<Activation>| fingerprint::of_directory(self.key, "activation", &**it);
        let [before, after] = [self.before, self.after].map(|state| state.directory.activation(id));
        self.swap(before.map(digest), after.map(digest));
        directory::put_activation(self.db, id, after.map(Arc::as_ref))
    }

    fn seen_gone(&mut self, lock: &Lock) -> Result<()> {
        self.sum.take(&fingerprint::released(self.key, lock));
        self.db
            .prepare_cached("DELETE FROM released WHERE address = ?1 AND port = ?2")?
            .execute(params![lock.address.to_string(), lock.port.number()])?;
        Ok(())
    }

    fn given_back(&mut self, lock: &Lock, is: &Released) -> Result<()> {
        self.sum.add(&fingerprint::released(self.key, lock));
        self.db
            .prepare_cached("INSERT INTO released (address, port, vm) VALUES (?1, ?2, ?3)")?
            .execute(params![
                lock.address.to_string(),
                lock.port.number(),
                is.vm.as_ref().map(rows::vm_key),
            ])?;
        Ok(())
    }
}

/// Whether something of it waits or runs; if not, when the last of it ended.
fn liveness(request: &Request) -> (bool, Option<Timestamp>) {
    let mut last = None;
    for access in &request.accesses {
        match access.stage {
            Stage::Planned { .. } | Stage::Granted { .. } => return (true, None),
            Stage::Ended { at, .. } => last = last.max(Some(at)),
        }
    }
    (false, last.or(Some(request.created)))
}

/// The columns of an access's stage.
#[derive(Default)]
struct StageColumns<'a> {
    stage: &'static str,
    start: Option<i64>,
    since: Option<i64>,
    until: Option<i64>,
    boot: Option<[u8; 16]>,
    nanos: Option<i64>,
    ended: Option<i64>,
    reason: Option<&'static str>,
    reason_text: Option<String>,
    opened: Option<i64>,
    opened_by: Option<&'a str>,
    closed: Option<i64>,
    closed_by: Option<&'a str>,
    rules: Option<String>,
    mapped: Option<String>,
}

fn stage_columns(stage: &Stage) -> Result<StageColumns<'_>> {
    Ok(match stage {
        Stage::Planned { start } => StageColumns {
            stage: "planned",
            start: Some(rows::nanos(*start)?),
            ..StageColumns::default()
        },
        Stage::Granted { since, until, opened, rules, mapped } => StageColumns {
            stage: "granted",
            since: Some(rows::nanos(*since)?),
            until: Some(rows::nanos(until.wall)?),
            boot: until.boot.map(|boot| *boot.boot.as_bytes()),
            nanos: until.boot.map(|boot| rows::boot_nanos(boot.nanos)),
            opened: rows::maybe_nanos(opened.as_ref().map(|seen| seen.at))?,
            opened_by: opened.as_ref().map(|seen| seen.guard.as_str()),
            rules: rows::list_text(rules)?,
            mapped: rows::list_text(mapped)?,
            ..StageColumns::default()
        },
        Stage::Ended { since, until, at, reason, opened, closed } => {
            let (reason, reason_text) = rows::reason_text(reason);
            StageColumns {
                stage: "ended",
                since: rows::maybe_nanos(*since)?,
                until: rows::maybe_nanos(*until)?,
                ended: Some(rows::nanos(*at)?),
                reason: Some(reason),
                reason_text,
                opened: rows::maybe_nanos(opened.as_ref().map(|seen| seen.at))?,
                opened_by: opened.as_ref().map(|seen| seen.guard.as_str()),
                closed: rows::maybe_nanos(closed.as_ref().map(|seen| seen.at))?,
                closed_by: closed.as_ref().map(|seen| seen.guard.as_str()),
                ..StageColumns::default()
            }
        }
    })
}

fn insert(
    db: &Connection,
    request: i64,
    vm: Named<'_>,
    position: usize,
    access: &Access,
) -> Result<()> {
    let (window, window_nanos) = match access.window {
        Window::Until(end) => ("until", rows::nanos(end)?),
        Window::For(length) => ("for", rows::length(length)?),
    };
    let is = stage_columns(&access.stage)?;
    db.prepare_cached(
        "INSERT INTO access (request, vm, port, position, vm_spelled, instance, source, window, \
         window_nanos, stage, start, since, until, until_boot, until_nanos, ended, reason, \
         reason_text, opened, opened_by, closed, closed_by, settled, addresses, rules, mapped) \
         VALUES \
         (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, \
         ?20, ?21, ?22, ?23, ?24, ?25, ?26)",
    )?
    .execute(params![
        request,
        vm.number,
        access.port.number(),
        position as i64,
        vm.spelled,
        access.instance.0.as_bytes(),
        access.source.to_string(),
        window,
        window_nanos,
        is.stage,
        is.start,
        is.since,
        is.until,
        is.boot,
        is.nanos,
        is.ended,
        is.reason,
        is.reason_text,
        is.opened,
        is.opened_by,
        is.closed,
        is.closed_by,
        access.is_settled(),
        access.addresses.as_ref().map(rows::addresses_text),
        is.rules,
        is.mapped,
    ])?;
    Ok(())
}

fn update(db: &Connection, request: RequestId, vm: &Named<'_>, access: &Access) -> Result<()> {
    let is = stage_columns(&access.stage)?;
    let written = db
        .prepare_cached(
            "UPDATE access SET stage = :stage, start = :start, since = :since, until = :until, \
         until_boot = :boot, until_nanos = :nanos, ended = :ended, reason = :reason, \
         reason_text = :reason_text, opened = :opened, opened_by = :opened_by, closed = :closed, \
         closed_by = :closed_by, settled = :settled, rules = :rules, mapped = :mapped \
         WHERE request = (SELECT n FROM request WHERE id = :request) AND vm = :vm AND port = :port",
        )?
        .execute(named_params! {
            ":request": request.as_str(),
            ":vm": vm.number,
            ":port": access.port.number(),
            ":stage": is.stage,
            ":start": is.start,
            ":since": is.since,
            ":until": is.until,
            ":boot": is.boot,
            ":nanos": is.nanos,
            ":ended": is.ended,
            ":reason": is.reason,
            ":reason_text": is.reason_text,
            ":opened": is.opened,
            ":opened_by": is.opened_by,
            ":closed": is.closed,
            ":closed_by": is.closed_by,
            ":settled": access.is_settled(),
            ":rules": is.rules,
            ":mapped": is.mapped,
        })?;
    if written == 1 { Ok(()) } else { Err(rows::damaged("an access has no row")) }
}
