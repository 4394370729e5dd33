//! From rows to what is known: loads what is needed, and no more.

use std::{
    collections::{BTreeMap, BTreeSet, btree_map::Entry},
    net::IpAddr,
    sync::LazyLock,
};

use hourgate_core::{
    command::Needs,
    grant::{Access, Request, Stage},
    id::{PolicyId, RequestId, VmId},
    network::Lock,
    policy::{Member, Policy, PortRule, Vm},
    state::State,
    time::{Now, Timestamp},
};
use rusqlite::{Connection, Params, Statement, named_params, params};

use super::{
    Result,
    rows::{self, Columns},
};

/// What was loaded, and what of it is whole.
pub(super) struct Loader<'a> {
    db: &'a Connection,
    pub(super) state: State,
    vms: BTreeSet<VmId>,
    policies: BTreeSet<PolicyId>,
    /// VMs of which the row and the places are here, not the accesses: other people's of the same
    /// request. Whoever enforces must not take them for all there is.
    thin: BTreeSet<VmId>,
}

impl<'a> Loader<'a> {
    pub(super) fn new(db: &'a Connection, highest: Option<Timestamp>) -> Loader<'a> {
        Loader {
            db,
            state: State { highest, ..State::default() },
            vms: BTreeSet::new(),
            policies: BTreeSet::new(),
            thin: BTreeSet::new(),
        }
    }

    /// Exactly what is named; `now` says what is due.
    pub(super) fn needs(&mut self, needs: &Needs, now: Now) -> Result<()> {
        for id in &needs.policies {
            self.policy(id)?;
        }
        for id in &needs.heads {
            self.head(&rows::policy_key(id))?;
        }
        for id in &needs.vms {
            self.vm(id)?;
        }
        for id in &needs.requests {
            self.request(*id)?;
            let named = self.state.requests.get(id).into_iter();
            let vms: BTreeSet<VmId> =
                named.flat_map(|r| r.accesses.iter().map(|a| a.vm.clone())).collect();
            vms.iter().try_for_each(|vm| self.vm(vm))?;
        }
        for address in &needs.addresses {
            self.owner(*address)?;
        }
        if needs.due { self.due(now) } else { Ok(()) }
    }

    /// What `decide` will look at beside what was named, because time has come for something in it:
    /// a policy to roll back is loaded with all its VMs, an access that begins with its VM.
    pub(super) fn overdue(&mut self, now: Now) -> Result<()> {
        loop {
            let over: Vec<PolicyId> = self
                .state
                .policies
                .values()
                .filter(|p| p.confirmation.as_ref().is_some_and(|c| c.until.is_over(now)))
                .filter(|p| !self.policies.contains(&p.id))
                .map(|p| p.id.clone())
                .collect();
            let begins: BTreeSet<VmId> = self
                .state
                .live()
                .filter(|(_, access)| match access.stage {
                    Stage::Planned { start } => start <= now.wall,
                    Stage::Granted { .. } | Stage::Ended { .. } => false,
                })
                .filter(|(_, access)| !self.vms.contains(&access.vm))
                .map(|(_, access)| access.vm.clone())
                .collect();
            if over.is_empty() && begins.is_empty() {
                return Ok(());
            }
            over.iter().try_for_each(|id| self.policy(id))?;
            begins.iter().try_for_each(|id| self.vm(id))?;
        }
    }

    /// The rows of VMs on which a loaded access ended and is not yet seen closed: for want of its row
    /// a VM counts as forgotten, and its access as closed.
    pub(super) fn vms_to_close(&mut self) -> Result<()> {
        let missing: BTreeSet<VmId> = self
            .state
            .accesses()
            .filter(|(_, access)| !access.is_live() && !access.is_settled())
            .filter(|(_, access)| !self.vms.contains(&access.vm))
            .map(|(_, access)| access.vm.clone())
            .collect();
        for id in missing {
            if let Some(vm) = self.vm_row(&rows::vm_key(&id))? {
                self.thin.insert(id.clone());
                self.state.vms.insert(id, vm);
            }
        }
        Ok(())
    }

    /// What stands of all that was asked for, without what was only looked at.
    pub(super) fn without_thin(thin: &BTreeSet<VmId>, mut state: State) -> State {
        state.vms.retain(|id, _| !thin.contains(id));
        state
    }

    pub(super) fn into_parts(self) -> (State, BTreeSet<VmId>) {
        (self.state, self.thin)
    }

    fn due(&mut self, now: Now) -> Result<()> {
        let at = named_params! {
            ":wall": rows::nanos(now.wall)?,
            ":boot": now.boot.boot.as_bytes().as_slice(),
            ":nanos": rows::boot_nanos(now.boot.nanos),
        };
        let vms = self.all(
            "SELECT vm_id FROM access WHERE stage = 'granted' AND until <= :wall \
             UNION SELECT vm_id FROM access \
             WHERE stage = 'granted' AND until_boot = :boot AND until_nanos <= :nanos \
             UNION SELECT vm_id FROM access \
             WHERE stage = 'granted' AND (until_boot < :boot OR until_boot > :boot) \
             UNION SELECT vm_id FROM access WHERE stage = 'granted' AND until_boot IS NULL \
             UNION SELECT vm_id FROM access WHERE stage = 'planned' AND start <= :wall",
            at,
            |row| row.vm_id(0),
        )?;
        // Few wait to be confirmed at any time: all are looked at.
        let policies = self.all(
            &format!("SELECT {} FROM policy WHERE confirm_wall IS NOT NULL", rows::POLICY),
            [],
            rows::policy,
        )?;
        for policy in policies {
            if policy.confirmation.is_some_and(|c| c.until.is_over(now)) {
                self.policy(&policy.id)?;
            }
        }
        vms.iter().try_for_each(|vm| self.vm(vm))
    }

    fn owner(&mut self, address: IpAddr) -> Result<()> {
        let found = self.all(
            "SELECT vm.id FROM vm_address JOIN vm ON vm.key = vm_address.vm \
             WHERE vm_address.address = ?1",
            [address.to_string()],
            |row| row.vm_id(0),
        )?;
        self.state.owners.extend(found.into_iter().map(|vm| (address, vm)));
        Ok(())
    }

    /// A policy with all its VMs, each loaded as if named.
    fn policy(&mut self, id: &PolicyId) -> Result<()> {
        let key = rows::policy_key(id);
        if self.policies.contains(id) || !self.head(&key)? {
            return Ok(());
        }
        self.policies.insert(id.clone());
        let members = of_policy(self.db, &key)?;
        let mut vms: Vec<VmId> = members.iter().map(|(vm, _, _)| vm.clone()).collect();
        if let Some(policy) = self.state.policies.get_mut(id) {
            // What a roll-back brings back is locked again: those VMs are part of the policy too.
            let before = policy.confirmation.iter().filter_map(|c| c.before.as_ref());
            vms.extend(before.flat_map(|before| before.members.keys().cloned()));
            policy.members = members.into_iter().map(|(vm, _, member)| (vm, member)).collect();
        }
        vms.iter().try_for_each(|vm| self.vm(vm))
    }

    /// Whether there is such a policy; its row alone.
    fn head(&mut self, key: &str) -> Result<bool> {
        let sql = format!("SELECT {} FROM policy WHERE key = ?1", rows::POLICY);
        let mut statement = self.db.prepare_cached(&sql)?;
        let mut found = statement.query([key])?;
        let Some(row) = found.next()? else { return Ok(false) };
        let policy = rows::policy(&Columns(row))?;
        self.state.policies.entry(policy.id.clone()).or_insert(policy);
        Ok(true)
    }

    /// A VM with its place in every policy, its accesses that are not settled, and the locks released
    /// on its addresses. Of a VM that was forgotten, what is still to be seen closed or given back.
    fn vm(&mut self, id: &VmId) -> Result<()> {
        if !self.vms.insert(id.clone()) {
            return Ok(());
        }
        self.thin.remove(id);
        let key = rows::vm_key(id);
        if let Some(vm) = self.vm_row(&key)? {
            self.state.vms.insert(vm.id.clone(), vm);
        }
        let members = members(
            self.db,
            &format!("SELECT {} FROM member WHERE vm = ?1", rows::MEMBER),
            &format!("SELECT {} FROM rule WHERE vm = ?1", rows::RULE),
            [&key],
        )?;
        for (vm, policy, member) in members {
            self.place(vm, &policy, member)?;
        }
        let unsettled = requests_of(self.db, &key)?;
        for request in unsettled {
            self.state.requests.entry(request.id).or_insert(request);
        }
        self.released(id, &key)
    }

    fn place(&mut self, vm: VmId, policy: &str, member: Member) -> Result<()> {
        let known = |state: &State| {
            state.policies.keys().find(|id| rows::policy_key(id) == policy).cloned()
        };
        if known(&self.state).is_none() {
            self.head(policy)?;
        }
        if let Some(policy) = known(&self.state).and_then(|id| self.state.policies.get_mut(&id)) {
            policy.members.entry(vm).or_insert(member);
        }
        Ok(())
    }

    fn vm_row(&self, key: &str) -> Result<Option<Vm>> {
        let sql = format!("SELECT {} FROM vm WHERE key = ?1", rows::VM);
        let mut statement = self.db.prepare_cached(&sql)?;
        let mut found = statement.query([key])?;
        let Some(row) = found.next()? else { return Ok(None) };
        let mut vm = rows::vm(&Columns(row))?;
        vm.addresses = self.all(
            "SELECT address FROM vm_address WHERE vm = ?1 ORDER BY position",
            [key],
            |row| rows::address(row.text(0)?),
        )?;
        Ok(Some(vm))
    }

    fn released(&mut self, id: &VmId, key: &str) -> Result<()> {
        let locks = |row: &Columns<'_>| {
            Ok(Lock { address: rows::address(row.text(0)?)?, port: row.port(1)? })
        };
        let was_theirs = "SELECT address, port FROM released WHERE vm = ?1";
        self.state.released.extend(self.all(was_theirs, [key], locks)?);
        let addresses = self.state.vms.get(id).map(|vm| vm.addresses.clone()).unwrap_or_default();
        for address in addresses {
            let on_it = "SELECT address, port FROM released WHERE address = ?1";
            self.state.released.extend(self.all(on_it, [address.to_string()], locks)?);
        }
        Ok(())
    }

    fn request(&mut self, id: RequestId) -> Result<()> {
        if !self.state.requests.contains_key(&id) {
            let found = requests(self.db, "r.id = ?1", params![id.as_str()])?;
            self.state.requests.extend(found.into_iter().map(|request| (request.id, request)));
        }
        Ok(())
    }

    fn all<T>(
        &self,
        sql: &str,
        params: impl Params,
        read: impl Fn(&Columns<'_>) -> Result<T>,
    ) -> Result<Vec<T>> {
        all(self.db, sql, params, read)
    }
}

/// Everything that stands: every VM and policy, every request with an access that is not settled.
pub(super) fn everything(db: &Connection, highest: Option<Timestamp>) -> Result<State> {
    let mut state = State { highest, ..State::default() };
    state.vms = vms(db, "TRUE", [])?.into_iter().map(|vm| (vm.id.clone(), vm)).collect();
    for vm in state.vms.values() {
        state.owners.extend(vm.addresses.iter().map(|address| (*address, vm.id.clone())));
    }
    let heads = all(db, &format!("SELECT {} FROM policy", rows::POLICY), [], rows::policy)?;
    let mut heads: BTreeMap<String, _> =
        heads.into_iter().map(|policy| (rows::policy_key(&policy.id), policy)).collect();
    let places = members(
        db,
        &format!("SELECT {} FROM member", rows::MEMBER),
        &format!("SELECT {} FROM rule", rows::RULE),
        [],
    )?;
    for (vm, policy, member) in places {
        let policy = heads.get_mut(&policy).ok_or_else(|| rows::damaged("a VM of no policy"))?;
        policy.members.insert(vm, member);
    }
    state.policies = heads.into_values().map(|policy| (policy.id.clone(), policy)).collect();
    let unsettled = "r.id IN (SELECT request FROM access WHERE settled = 0)";
    let requests = requests(db, unsettled, [])?;
    state.requests = requests.into_iter().map(|request| (request.id, request)).collect();
    state.released = all(db, "SELECT address, port FROM released", [], |row| {
        Ok(Lock { address: rows::address(row.text(0)?)?, port: row.port(1)? })
    })?
    .into_iter()
    .collect();
    Ok(state)
}

/// A policy with all its members, without the VMs.
pub(super) fn policy_alone(db: &Connection, id: &PolicyId) -> Result<Option<Policy>> {
    let mut loader = Loader::new(db, None);
    let key = rows::policy_key(id);
    if !loader.head(&key)? {
        return Ok(None);
    }
    let members = of_policy(db, &key)?;
    let policy = loader.state.policies.remove(id);
    Ok(policy.map(|policy| Policy {
        members: members.into_iter().map(|(vm, _, member)| (vm, member)).collect(),
        ..policy
    }))
}

fn of_policy(db: &Connection, key: &str) -> Result<Vec<(VmId, String, Member)>> {
    members(
        db,
        &format!("SELECT {} FROM member WHERE policy = ?1", rows::MEMBER),
        &format!("SELECT {} FROM rule WHERE policy = ?1", rows::RULE),
        [key],
    )
}

/// VMs with their addresses, by id.
pub(super) fn vms(db: &Connection, which: &str, params: impl Params) -> Result<Vec<Vm>> {
    let sql = format!(
        "SELECT {}, (SELECT group_concat(address, ' ' ORDER BY position) FROM vm_address \
         WHERE vm_address.vm = vm.key) FROM vm WHERE {which} ORDER BY key",
        rows::VM
    );
    all(db, &sql, params, |row| {
        let mut vm = rows::vm(row)?;
        let addresses = row.maybe_text(4)?.unwrap_or_default();
        vm.addresses = addresses
            .split(' ')
            .filter(|text| !text.is_empty())
            .map(rows::address)
            .collect::<Result<_>>()?;
        Ok(vm)
    })
}

/// Places of VMs in policies, each with the key of its policy and with its rules.
fn members(
    db: &Connection,
    places: &str,
    rules: &str,
    params: impl Params + Copy,
) -> Result<Vec<(VmId, String, Member)>> {
    let mut found = all(db, places, params, rows::member)?;
    let index: BTreeMap<(String, String), usize> = found
        .iter()
        .enumerate()
        .map(|(at, (vm, policy, _))| ((policy.clone(), rows::vm_key(vm)), at))
        .collect();
    let mut ports: Vec<Vec<(u32, PortRule)>> = vec![Vec::new(); found.len()];
    let mut statement = db.prepare_cached(rules)?;
    let mut rows = statement.query(params)?;
    while let Some(row) = rows.next()? {
        let row = Columns(row);
        let at = *index
            .get(&(row.text(0)?.to_owned(), row.text(1)?.to_owned()))
            .ok_or_else(|| rows::damaged("a rule of no VM"))?;
        let (position, rule) = rows::rule(&row)?;
        ports[at].push((position, rule));
    }
    for ((_, _, member), mut ports) in found.iter_mut().zip(ports) {
        ports.sort_by_key(|(position, _)| *position);
        member.ports = ports.into_iter().map(|(_, rule)| rule).collect();
    }
    Ok(found)
}

/// Requests with all their accesses, by id.
pub(super) fn requests(db: &Connection, which: &str, params: impl Params) -> Result<Vec<Request>> {
    let sql = format!(
        "SELECT {}, {} FROM request r JOIN access a ON a.request = r.id WHERE {which}",
        rows::REQUEST,
        rows::ACCESS
    );
    let mut statement = db.prepare_cached(&sql)?;
    gathered(&mut statement, params)
}

/// Requests with an access to that VM that is not settled, with all their accesses. Joins alone: a
/// subquery costs a temporary table, which costs more than meeting a request once for each such access.
fn requests_of(db: &Connection, vm: &str) -> Result<Vec<Request>> {
    static SQL: LazyLock<String> = LazyLock::new(|| {
        format!(
            "SELECT {}, {} FROM access u CROSS JOIN request r ON r.id = u.request \
             CROSS JOIN access a ON a.request = r.id WHERE u.vm = ?1 AND u.settled = 0",
            rows::REQUEST,
            rows::ACCESS
        )
    });
    let mut statement = db.prepare_cached(&SQL)?;
    gathered(&mut statement, [vm])
}

/// Rows of requests and accesses, put together and in order here: a sorter costs more than the rows.
fn gathered(statement: &mut Statement<'_>, params: impl Params) -> Result<Vec<Request>> {
    let mut found = statement.query(params)?;
    let mut requests: BTreeMap<RequestId, (Request, BTreeMap<u32, Access>)> = BTreeMap::new();
    while let Some(row) = found.next()? {
        let row = Columns(row);
        let (position, access) = rows::access(&row, rows::REQUEST_COLUMNS)?;
        let (_, accesses) = match requests.entry(row.parsed(0)?) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(new) => new.insert((rows::request(&row)?, BTreeMap::new())),
        };
        accesses.insert(position, access);
    }
    Ok(requests
        .into_values()
        .map(|(request, accesses)| Request {
            accesses: accesses.into_values().collect(),
            ..request
        })
        .collect())
}

/// Every row that a statement finds.
pub(super) fn all<T>(
    db: &Connection,
    sql: &str,
    params: impl Params,
    read: impl Fn(&Columns<'_>) -> Result<T>,
) -> Result<Vec<T>> {
    let mut statement = db.prepare_cached(sql)?;
    let mut rows = statement.query(params)?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        found.push(read(&Columns(row))?);
    }
    Ok(found)
}
